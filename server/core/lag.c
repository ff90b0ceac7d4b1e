/* lag.c - see lag.h. */
#include "server/core/lag.h"

bool lag_asks(const struct lag *lag, uint64_t now_ms, uint64_t behind_ms)
{
	if (lag_capped(lag))
		return true;
	if (!lag->open)
		return behind_ms >= LAG_PATIENCE_MS;
	return now_ms - lag->since_ms >= LAG_WINDOW_MS;
}

static void begin(struct lag *lag, uint64_t now_ms, uint64_t written, uint32_t unread)
{
	lag->open = true;
	lag->behind = lag->emptied = false;
	lag->since_ms = now_ms;
	lag->written = written;
	lag->unread = unread;
}

/* The power of two from @bytes on, within bounds. */
static uint32_t rounded(uint64_t bytes)
{
	uint32_t cap = LAG_MIN;
	while (cap < LAG_ANY && cap < bytes)
		cap *= 2;
	return cap;
}

/* What the window that ends now says. */
static uint32_t judge(const struct lag *lag, uint64_t now_ms, uint64_t written, uint32_t unread)
{
	const uint64_t had = lag->unread + (written - lag->written);
	const uint64_t read = had > unread ? had - unread : 0;
	const uint64_t elapsed = now_ms - lag->since_ms;
	uint32_t cap = lag->cap;
	if (elapsed >= LAG_FORGET_MS && !lag->behind)
		return LAG_ANY;
	if (lag->behind && !read)
		return cap;
	if (lag->behind)
		cap = rounded(read * LAG_MS / elapsed);
	if ((!lag->behind || lag->emptied) && cap < 2 * (uint64_t)lag->cap)
		cap = rounded(2 * (uint64_t)lag->cap);
	return cap;
}

bool lag_look(struct lag *lag, uint64_t now_ms, uint64_t written, uint32_t unread, bool waits)
{
	if (!lag->open)
		begin(lag, now_ms, written, unread);
	lag->behind |= waits;
	lag->emptied |= waits && !unread;
	if (now_ms - lag->since_ms < LAG_WINDOW_MS)
		return false;
	const uint32_t cap = judge(lag, now_ms, written, unread);
	const bool changed = cap != lag->cap;
	lag->cap = cap;
	begin(lag, now_ms, written, unread);
	lag->open = waits || lag_capped(lag);
	return changed;
}

uint32_t lag_room(const struct lag *lag, uint32_t unread)
{
	if (!lag_capped(lag))
		return UINT32_MAX;
	const uint32_t left = unread < lag->cap ? lag->cap - unread : 0;
	return left > LAG_MIN ? left : LAG_MIN;
}
