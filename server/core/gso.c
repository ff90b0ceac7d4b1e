/* gso.c - see gso.h. */
#include "server/core/gso.h"

#include "server/core/be.h"
#include "server/core/csum.h"

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u
#define IPPROTO_TCP 6u

/* -- the pieces of a frame -- */

/* A place in a frame. */
struct place {
	const struct frame *frame;
	unsigned next; /* of more[] */
	struct seg rest;
};

static struct place start_of(const struct frame *frame)
{
	return (struct place){ frame, 0, { frame->head, frame->head_len } };
}

/* The next bytes that lie together, @max at most; there are some. */
static struct seg take(struct place *at, size_t max)
{
	while (!at->rest.len)
		at->rest = at->frame->more[at->next++];
	const struct seg part = { at->rest.base, at->rest.len < max ? at->rest.len : max };
	at->rest.base = (const uint8_t *)at->rest.base + part.len;
	at->rest.len -= part.len;
	return part;
}

static void copy(struct place *at, uint8_t *out, uint32_t len)
{
	while (len) {
		const struct seg part = take(at, len);
		memcpy(out, part.base, part.len);
		out += part.len;
		len -= (uint32_t)part.len;
	}
}

/* Returns how many pieces. */
static unsigned view(struct place *at, struct seg *segs, uint32_t len)
{
	unsigned n = 0;
	while (len) {
		segs[n] = take(at, len);
		len -= (uint32_t)segs[n++].len;
	}
	return n;
}

static void put_frame(struct frame *out, const uint8_t *head, uint32_t head_len,
	const struct seg *segs, unsigned n_segs, uint32_t payload)
{
	*out = (struct frame){
		.head = head,
		.head_len = head_len,
		.len = head_len + payload,
		.more = n_segs ? segs : NULL,
		.more_n = (uint16_t)n_segs,
	};
}

/* -- finishing -- */

/* Bytes that are copied: up to the payload, or to the checksum that is to be written. */
static uint32_t copied(const struct frame *frame)
{
	const struct offload *o = &frame->offload;
	return o->gso_type ? o->hdr_len : (uint32_t)o->csum_start + o->csum_offset + 2;
}

static uint32_t stride(uint32_t len)
{
	return (len + GSO_ALIGN - 1) & ~(GSO_ALIGN - 1);
}

struct gso_need gso_need(const struct frame *frame)
{
	const uint32_t hdr = copied(frame);
	const unsigned n = offload_segments(frame);
	return (struct gso_need){ n, n + 1u + frame->more_n, n * stride(hdr) };
}

static unsigned finish_csum(
	const struct frame *frame, uint8_t *bytes, struct seg *segs, struct frame *out)
{
	const uint32_t start = frame->offload.csum_start, len = copied(frame);
	struct place at = start_of(frame);
	copy(&at, bytes, len);
	/* the first entry is only there to be summed up */
	segs[0] = (struct seg){ bytes + start, len - start };
	const unsigned n = view(&at, segs + 1, frame->len - len);
	csum_put_nonzero(bytes + len - 2, csum_add_segs(0, segs, n + 1));
	put_frame(out, bytes, len, segs + 1, n, frame->len - len);
	return 1;
}

/* What is the same for all segments of a super-frame. */
struct cut {
	struct offload_parts parts;
	uint64_t seed; /* of the checksum, without a length */
	uint32_t seq;  /* of TCP, of the first */
	uint32_t id;   /* of IPv4, of the first */
	uint8_t flags; /* of TCP */
};

static void edit_ip(const struct cut *c, uint8_t *hdr, unsigned i, uint32_t len)
{
	uint8_t *ip = hdr + c->parts.l3;
	if (c->parts.v6) {
		put16(ip + 4, len - c->parts.l3 - 40);
		return;
	}
	put16(ip + 2, len - c->parts.l3);
	put16(ip + 4, c->id + i);
	put16(ip + 10, 0);
	csum_put(ip + 10, csum_add(0, ip, (ip[0] & 15) * 4u));
}

static void edit_tcp(const struct cut *c, uint8_t *tcp, uint32_t done, bool first, bool last)
{
	put16(tcp + 4, (c->seq + done) >> 16);
	put16(tcp + 6, (c->seq + done) & 0xffff);
	tcp[13] = c->flags;
	if (!last)
		tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (!first)
		tcp[13] &= (uint8_t)~TCP_CWR;
}

static bool read_headers(struct cut *c, const struct frame *frame, const uint8_t *hdr)
{
	const uint32_t len = frame->offload.hdr_len;
	if (!offload_parse(hdr, len, frame->len, &c->parts) || c->parts.payload != len)
		return false;
	const uint8_t *l4 = hdr + c->parts.l4;
	c->seed = csum_get(l4 + frame->offload.csum_offset) +
		  csum_minus(csum_be16(frame->len - c->parts.l4));
	if (!c->parts.v6)
		c->id = get16(hdr + c->parts.l3 + 4);
	if (c->parts.protocol == IPPROTO_TCP) {
		c->seq = get32(l4 + 4);
		c->flags = l4[13];
	}
	return true;
}

unsigned gso_finish(const struct frame *frame, uint8_t *bytes, struct seg *segs, struct frame *out)
{
	const struct offload *o = &frame->offload;
	if (!o->gso_type)
		return finish_csum(frame, bytes, segs, out);

	const uint32_t hdr_len = o->hdr_len, payload = frame->len - hdr_len;
	struct place at = start_of(frame);
	struct cut c = { .seed = 0 };
	unsigned i = 0;
	copy(&at, bytes, hdr_len);
	if (!read_headers(&c, frame, bytes))
		return 0;
	for (uint32_t done = 0; done < payload; i++) {
		uint8_t *hdr = bytes + (size_t)i * stride(hdr_len), *l4 = hdr + c.parts.l4;
		const bool last = payload - done <= o->gso_size;
		const uint32_t part = last ? payload - done : o->gso_size;
		const uint32_t l4_len = hdr_len + part - c.parts.l4;
		if (i)
			memcpy(hdr, bytes, hdr_len);
		edit_ip(&c, hdr, i, hdr_len + part);
		if (c.parts.protocol == IPPROTO_TCP)
			edit_tcp(&c, l4, done, !i, last);
		else
			put16(l4 + 4, l4_len);
		const unsigned n = view(&at, segs, part);
		put16(l4 + o->csum_offset, 0);
		const uint64_t sum = csum_add(csum_add_segs(c.seed + csum_be16(l4_len), segs, n),
			l4, hdr_len - c.parts.l4);
		if (c.parts.protocol == IPPROTO_TCP)
			csum_put(l4 + o->csum_offset, sum);
		else
			csum_put_nonzero(l4 + o->csum_offset, sum);
		put_frame(&out[i], hdr, hdr_len, segs, n, part);
		segs += n;
		done += part;
	}
	return i;
}
