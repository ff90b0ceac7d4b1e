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
	eg->n_floods = 0;
}

/* Whether @frame can still be added, in whatever way. */
static bool fits(const struct egress *eg, const struct frame *frame)
{
	return eg->n_frames < EGRESS_FRAMES && eg->n_segs + 2u + frame->more_n <= EGRESS_SEGS &&
	       eg->flat_len <= EGRESS_FLAT - EGRESS_COPY - FRAMING_HDR_MAX;
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
	const uint8_t hdr = frame->offload.flags ? framing_header_of(framing, out, frame)
						 : framing_header(framing, out, frame->len);

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

void egress_flooded(struct egress *eg, unsigned from)
{
	if (from == eg->n_frames)
		return;
	if (eg->n_floods && eg->floods[eg->n_floods - 1].to == from) {
		eg->floods[eg->n_floods - 1].to = (uint16_t)eg->n_frames;
	} else if (eg->n_floods < EGRESS_FLOODS) {
		eg->floods[eg->n_floods++] = (struct egress_run){
			.from = (uint16_t)from,
			.to = (uint16_t)eg->n_frames,
		};
	}
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

/* Whether frame @k is flooded; and the first one behind it of which that is not true. */
static bool is_flooded(const struct egress *eg, unsigned k, unsigned *end)
{
	unsigned i = 0;
	while (i < eg->n_floods && eg->floods[i].to <= k)
		i++;
	const bool flooded = i < eg->n_floods && eg->floods[i].from <= k;
	*end = i == eg->n_floods ? eg->n_frames : flooded ? eg->floods[i].to : eg->floods[i].from;
	return flooded;
}

static uint32_t start_of(const struct egress *eg, unsigned k)
{
	return k ? eg->ends[k - 1] : 0;
}

/* Whether frame @k is one to be kept by reference, and where its bytes are for all ports alike. @c:
 * at its start. */
static bool shared_at(const struct egress *eg, unsigned k, struct cursor c, const uint8_t **out)
{
	const uint32_t len = eg->ends[k] - start_of(eg, k) - eg->hdr_len[k];
	if (len <= SENDQ_SHORT || eg->hdr_len[k] > WIRE_HDR_MAX)
		return false;
	skip(&c, eg->hdr_len[k]);
	*out = (const uint8_t *)c.seg->base + c.off;
	return (uintptr_t)*out - (uintptr_t)eg->flat >= EGRESS_FLAT; /* else egress_add()'s copy */
}

/* Keeps frame @k, of which @done bytes are written, by reference. @c: at its start, and then behind
 * it. */
static bool keep_reference(const struct egress *eg, unsigned k, struct cursor *c, const uint8_t *of,
	uint32_t done, struct sendq *q)
{
	const uint8_t hdr_len = eg->hdr_len[k];
	const uint32_t len = eg->ends[k] - start_of(eg, k) - hdr_len;
	uint8_t hdr[WIRE_HDR_MAX];
	bool fresh;
	struct block *block = block_copy(q->frame_pool, of, len, done, &fresh);
	if (!block)
		return false;
	take(c, hdr, hdr_len);
	if (fresh)
		take(c, block->data, len);
	else
		skip(c, len);
	return sendq_put_block(q, block, hdr, hdr_len, done);
}

/* What is left of an egress, and where it goes. */
struct rest {
	const struct egress *eg;
	struct sendq *q;
	struct egress_sum *sum;
	unsigned k;      /* the first frame not dealt with */
	struct cursor c; /* at its start, or where it was cut */
};

/* The frame that was begun: it must be finished. */
static bool keep_begun(struct rest *r, uint32_t written)
{
	const struct egress *eg = r->eg;
	const uint32_t start = start_of(eg, r->k);
	struct cursor c = { eg->segs, 0 };
	unsigned end;
	skip(&c, start);
	const uint8_t *of = NULL;
	if (is_flooded(eg, r->k, &end) && shared_at(eg, r->k, c, &of)) {
		r->c = c;
		if (!keep_reference(eg, r->k, &r->c, of, written - start, r->q))
			return false;
	} else {
		const uint32_t left = eg->ends[r->k] - written;
		uint8_t *out = sendq_put_chunk(r->q, left, true);
		if (!out)
			return false;
		take(&r->c, out, left);
	}
	r->k++;
	return true;
}

/* Flooded frames before @end. False: there was no room or memory for one. */
static bool keep_flooded(struct rest *r, unsigned end)
{
	const struct egress *eg = r->eg;
	while (r->k < end) {
		const uint32_t span = eg->ends[r->k] - start_of(eg, r->k);
		const uint8_t *of = NULL;
		if (span > sendq_room(r->q)) {
			r->sum->full = eg->n_frames - r->k;
			return false;
		}
		bool kept;
		if (shared_at(eg, r->k, r->c, &of)) {
			kept = keep_reference(eg, r->k, &r->c, of, 0, r->q);
		} else {
			uint8_t *out = sendq_put_chunk(r->q, span, false);
			kept = out;
			if (out)
				take(&r->c, out, span);
		}
		if (!kept) {
			r->sum->no_memory = eg->n_frames - r->k;
			return false;
		}
		r->k++;
	}
	return true;
}

/* Others before @end, many at a time. */
static bool keep_own(struct rest *r, unsigned end)
{
	const struct egress *eg = r->eg;
	while (r->k < end) {
		const uint32_t at = start_of(eg, r->k);
		const uint32_t room = sendq_room(r->q);
		const uint32_t chunk = sendq_chunk_room(r->q);
		if (first_beyond(eg, r->k, (uint64_t)at + room) == r->k) {
			r->sum->full = eg->n_frames - r->k;
			return false;
		}
		unsigned stop =
			first_beyond(eg, r->k, (uint64_t)at + (room < chunk ? room : chunk));
		if (stop == r->k)
			stop = r->k + 1; /* longer than the rest of a chunk: one of its own */
		if (stop > end)
			stop = end;
		const uint32_t len = eg->ends[stop - 1] - at;
		uint8_t *out = sendq_put_chunk(r->q, len, false);
		if (!out) {
			r->sum->no_memory = eg->n_frames - r->k;
			return false;
		}
		take(&r->c, out, len);
		r->k = stop;
	}
	return true;
}

static void keep_rest(struct rest *r)
{
	bool more = true;
	while (more && r->k < r->eg->n_frames) {
		unsigned end;
		if (is_flooded(r->eg, r->k, &end))
			more = keep_flooded(r, end);
		else
			more = keep_own(r, end);
	}
}

void egress_settle(struct egress *eg, size_t written, struct sendq *q, struct egress_sum *sum)
{
	*sum = (struct egress_sum){ .frames = eg->n_frames, .bytes = eg->payload };
	if (written == eg->bytes) {
		egress_reset(eg);
		return;
	}

	struct rest r = {
		.eg = eg,
		.q = q,
		.sum = sum,
		.k = first_beyond(eg, 0, written), /* not wholly written */
		.c = { eg->segs, 0 },
	};
	skip(&r.c, written);
	if (written > start_of(eg, r.k) && !keep_begun(&r, (uint32_t)written)) {
		sum->broken = true;
		sum->no_memory = eg->n_frames - r.k;
	} else {
		keep_rest(&r);
	}
	sum->frames = r.k;
	sum->bytes -= payload_from(eg, r.k);
	egress_reset(eg);
}
