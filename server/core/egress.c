/* egress.c - see egress.h. */
#include "server/core/egress.h"

#include <string.h>

void egress_reset(struct egress *eg)
{
	eg->n_segs = 0;
	eg->n_frames = 0;
	eg->bytes = 0;
	eg->payload = 0;
}

bool egress_fits(const struct egress *eg, const struct frame *frame)
{
	return eg->n_frames < EGRESS_FRAMES && eg->n_segs + 2u + frame->more_n <= EGRESS_SEGS;
}

void egress_add(struct egress *eg, const struct frame *frame, enum framing framing)
{
	const unsigned k = eg->n_frames++;
	struct seg *last = eg->segs + eg->n_segs;
	uint32_t span = frame->len;

	if (frame->wire_hdr && frame->framing == framing) {
		const uint8_t *start = frame->head - frame->wire_hdr;
		span += frame->wire_hdr;
		eg->hdr_len[k] = frame->wire_hdr;
		if (eg->n_segs && (const uint8_t *)last[-1].base + last[-1].len == start) {
			last[-1].len += span;
		} else {
			*last = (struct seg){ start, span };
			eg->n_segs++;
		}
	} else {
		const uint8_t hdr = framing_header(framing, eg->hdrs[k], frame->len);
		span += hdr;
		eg->hdr_len[k] = hdr;
		*last++ = (struct seg){ eg->hdrs[k], hdr };
		*last++ = (struct seg){ frame->head, frame->head_len };
		if (frame->more_n)
			memcpy(last, frame->more, frame->more_n * sizeof(*last));
		eg->n_segs += 2u + frame->more_n;
	}
	eg->bytes += span;
	eg->ends[k] = eg->bytes;
	eg->payload += frame->len;
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
