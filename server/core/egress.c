/* egress.c - see egress.h. */
#include "server/core/egress.h"

#include <string.h>

void egress_reset(struct egress *eg)
{
	eg->n_segs = 0;
	eg->n_frames = 0;
	eg->bytes = 0;
	eg->flat_len = 0;
	eg->payload = 0;
}

/* Whether @frame can still be added, in whatever way. */
static bool fits(const struct egress *eg, const struct frame *frame)
{
	return eg->n_frames < EGRESS_FRAMES && eg->n_segs + 2u + frame->more_n <= EGRESS_SEGS &&
	       eg->flat_len <= EGRESS_FLAT - EGRESS_COPY - WIRE_HDR_MAX;
}

static bool is_in(const struct frame *frame, enum framing framing)
{
	return frame->wire_hdr && frame->framing == framing;
}

static bool ends_at(const struct egress *eg, const uint8_t *base)
{
	if (!eg->n_segs)
		return false;
	const struct seg *last = eg->segs + eg->n_segs - 1;
	return (const uint8_t *)last->base + last->len == base;
}

/* @len bytes at @base leave next: in the last entry, if it ends there. */
static void put_seg(struct egress *eg, const uint8_t *base, size_t len)
{
	if (ends_at(eg, base))
		eg->segs[eg->n_segs - 1].len += len;
	else
		eg->segs[eg->n_segs++] = (struct seg){ base, len };
}

/* The next @len bytes of flat, which are written already, leave next. */
static void put_flat(struct egress *eg, uint32_t len)
{
	put_seg(eg, eg->flat + eg->flat_len, len);
	eg->flat_len += len;
}

/* Adds the first frame of some, which is in the framing it leaves in, and those that lie in memory
 * right behind it. Returns how many. */
static unsigned add_stretch(
	struct egress *eg, const struct frame *frames, unsigned n, enum framing framing)
{
	const uint8_t *const start = frames->head - frames->wire_hdr;
	const uint8_t *end = start;
	uint32_t *ends = eg->ends + eg->n_frames;
	uint8_t *hdr_len = eg->hdr_len + eg->n_frames;
	uint32_t bytes = eg->bytes;
	uint64_t payload = eg->payload;
	if (n > EGRESS_FRAMES - eg->n_frames)
		n = EGRESS_FRAMES - eg->n_frames;

	unsigned i = 0;
	for (; i < n; i++) {
		const struct frame *f = &frames[i];
		if (f->head - f->wire_hdr != end || !is_in(f, framing))
			break;
		const uint32_t span = f->wire_hdr + f->len;
		end += span;
		bytes += span;
		payload += f->len;
		ends[i] = bytes;
		hdr_len[i] = f->wire_hdr;
	}
	const uint32_t len = bytes - eg->bytes;
	eg->bytes = bytes;
	eg->payload = payload;
	eg->n_frames += i;
	if (len <= EGRESS_COPY && !ends_at(eg, start)) {
		memcpy(eg->flat + eg->flat_len, start, len);
		put_flat(eg, len);
	} else {
		put_seg(eg, start, len);
	}
	return i;
}

/* Adds a frame that leaves in another framing than it came in, or came in none. */
static void add_reframed(struct egress *eg, const struct frame *frame, enum framing framing)
{
	const unsigned k = eg->n_frames++;
	uint8_t *out = eg->flat + eg->flat_len;
	const uint8_t hdr = framing_header(framing, out, frame->len);

	eg->hdr_len[k] = hdr;
	eg->bytes += hdr + frame->len;
	eg->ends[k] = eg->bytes;
	eg->payload += frame->len;
	if (frame->len > EGRESS_COPY) {
		put_flat(eg, hdr);
		put_seg(eg, frame->head, frame->head_len);
		for (unsigned i = 0; i < frame->more_n; i++)
			put_seg(eg, frame->more[i].base, frame->more[i].len);
		return;
	}
	memcpy(out + hdr, frame->head, frame->head_len);
	out += hdr + frame->head_len;
	for (unsigned i = 0; i < frame->more_n; i++) {
		memcpy(out, frame->more[i].base, frame->more[i].len);
		out += frame->more[i].len;
	}
	put_flat(eg, hdr + frame->len);
}

unsigned egress_add(struct egress *eg, const struct frame *frames, unsigned n, enum framing framing)
{
	unsigned i = 0;
	while (i < n && fits(eg, &frames[i])) {
		if (is_in(&frames[i], framing))
			i += add_stretch(eg, frames + i, n - i, framing);
		else
			add_reframed(eg, &frames[i++], framing);
	}
	return i;
}

/* Reads the entries from a place in them onwards. */
struct cursor {
	const struct seg *seg;
	size_t off; /* in *seg */
};

static void skip(struct cursor *c, size_t n)
{
	while (n >= c->seg->len - c->off) {
		n -= c->seg->len - c->off;
		c->seg++;
		c->off = 0;
		if (!n)
			return;
	}
	c->off += n;
}

static void take(struct cursor *c, uint8_t *out, size_t n)
{
	while (n) {
		size_t part = c->seg->len - c->off;
		if (part > n)
			part = n;
		memcpy(out, (const uint8_t *)c->seg->base + c->off, part);
		out += part;
		n -= part;
		c->off += part;
		if (c->off == c->seg->len) {
			c->seg++;
			c->off = 0;
		}
	}
}

/* The first frame from @from on that does not end within @limit bytes. */
static unsigned first_beyond(const struct egress *eg, unsigned from, uint64_t limit)
{
	unsigned lo = from, hi = eg->n_frames;
	while (lo < hi) {
		const unsigned mid = lo + (hi - lo) / 2;
		if (eg->ends[mid] <= limit)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint64_t payload_from(const struct egress *eg, unsigned from)
{
	uint64_t sum = 0;
	for (unsigned k = from; k < eg->n_frames; k++)
		sum += eg->ends[k] - (k ? eg->ends[k - 1] : 0) - eg->hdr_len[k];
	return sum;
}

void egress_settle(struct egress *eg, size_t written, struct sendq *q, struct egress_sum *sum)
{
	*sum = (struct egress_sum){ .frames = eg->n_frames, .bytes = eg->payload };
	if (written == eg->bytes) {
		egress_reset(eg);
		return;
	}

	unsigned k = first_beyond(eg, 0, written); /* the first frame not wholly written */
	uint32_t at = (uint32_t)written;
	struct cursor c = { eg->segs, 0 };
	skip(&c, written);

	if (at > (k ? eg->ends[k - 1] : 0)) { /* begun: it must be finished */
		uint8_t *out = sendq_put_chunk(q, eg->ends[k] - at, true);
		if (!out) {
			sum->broken = true;
			sum->no_memory = eg->n_frames - k;
			goto dropped;
		}
		take(&c, out, eg->ends[k] - at);
		at = eg->ends[k++];
	}
	while (k < eg->n_frames) {
		uint32_t room = sendq_room(q);
		const uint32_t chunk = sendq_chunk_room(q);
		const unsigned fit = first_beyond(eg, k, (uint64_t)at + room);
		if (fit == k) {
			sum->full = eg->n_frames - k;
			break;
		}
		unsigned stop = first_beyond(eg, k, (uint64_t)at + (room < chunk ? room : chunk));
		if (stop == k)
			stop = k + 1; /* longer than the rest of a chunk: one of its own */
		uint8_t *out = sendq_put_chunk(q, eg->ends[stop - 1] - at, false);
		if (!out) {
			sum->no_memory = eg->n_frames - k;
			break;
		}
		take(&c, out, eg->ends[stop - 1] - at);
		at = eg->ends[stop - 1];
		k = stop;
	}
dropped:
	sum->frames = k;
	sum->bytes -= payload_from(eg, k);
	egress_reset(eg);
}
