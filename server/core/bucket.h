/* bucket.h - a token bucket: so much a second, and a burst beside it.
 *
 * It never gives more than rate * time + burst, where time is what the clock goes forward between
 * the calls: a clock that is set back gives nothing and takes nothing, one that jumps ahead (a
 * machine that slept) fills the bucket once. Counts in thousandths, so that nothing is lost to
 * rounding at a call every millisecond.
 *
 * All zero is a bucket that was never used: it begins full. Pure. */
#ifndef SERVER_CORE_BUCKET_H
#define SERVER_CORE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint64_t level;   /* thousandths of what there is to take */
	uint64_t seen_ms; /* when it was last filled */
	bool used;
};

/* Brings it up to @now_ms. @rate: a second, not 0; @burst: what it holds at most. Both may differ
 * from call to call. */
static inline void bucket_fill(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_ms)
{
	const uint64_t full = burst * UINT64_C(1000);
	const uint64_t elapsed = now_ms > b->seen_ms ? now_ms - b->seen_ms : 0;
	if (b->level > full)
		b->level = full;
	if (!b->used || elapsed > (full - b->level) / rate)
		b->level = full;
	else
		b->level += elapsed * rate;
	b->seen_ms = now_ms;
	b->used = true;
}

/* Takes @n, all of it or nothing. */
static inline bool bucket_take(struct bucket *b, uint32_t n)
{
	if (b->level < n * UINT64_C(1000))
		return false;
	b->level -= n * UINT64_C(1000);
	return true;
}

#endif
