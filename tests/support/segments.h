/* segments.h - what must be true of the frames that a super-frame was cut into, found out the plain
 * way: all bytes in a row, checksums word by word. Aborts where something is not. */
#ifndef TESTS_SUPPORT_SEGMENTS_H
#define TESTS_SUPPORT_SEGMENTS_H

#include "server/core/gso.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"
#include "tests/support/packet.h"

/* All bytes of a frame; free() them. */
static inline uint8_t *flat_frame(const struct frame *f)
{
	struct bytes b = { NULL, 0, 0 };
	must(f->head_len <= f->len);
	bytes_add(&b, f->head, f->head_len);
	for (unsigned i = 0; i < f->more_n; i++)
		bytes_add(&b, f->more[i].base, f->more[i].len);
	must(b.len == f->len);
	return b.data;
}

/* What leaves of a frame that owes work; cut_free() it. */
struct cut {
	unsigned n;
	struct frame *out;
	struct seg *segs; /* theirs */
	uint8_t *bytes;
};

static inline struct cut cut_frame(const struct frame *owing)
{
	const struct gso_need need = gso_need(owing);
	must(need.frames && need.frames <= OFFLOAD_SEGMENTS && need.bytes <= GSO_BYTES);
	const struct cut c = {
		.n = need.frames,
		.out = malloc(need.frames * sizeof(*c.out)),
		.segs = malloc(need.segs * sizeof(*c.segs)),
		.bytes = malloc(need.bytes),
	};
	must(c.out && c.segs && c.bytes);
	must(gso_finish(owing, c.bytes, c.segs, c.out) == c.n);
	return c;
}

static inline void cut_free(const struct cut *c)
{
	free(c->bytes);
	free(c->segs);
	free(c->out);
}

/* The checksum of TCP or UDP that is due where @was, of @was_len bytes of L4, owed it, and @is is
 * what leaves: the seed with the other length, and all that is there now. */
static inline uint16_t due_checksum(
	uint16_t seed, uint32_t was_len, const uint8_t *l4, uint32_t len, uint32_t field)
{
	uint32_t sum = seed;
	sum += 0xffff ^ was_len;
	sum += len;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = packet_sum(l4, len, sum);
	sum += 0xffff ^ packet_get16(l4 + field);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum ? (uint16_t)~sum : 0xffff;
}

/* @owing: valid, with gso_type. Returns the sum of their payloads. */
static inline void check_segments(const struct frame *owing, const struct frame *segs, unsigned n)
{
	uint8_t *was = flat_frame(owing);
	const struct offload *o = &owing->offload;
	struct offload_parts p, q;
	must(offload_parse(was, owing->len, owing->len, &p));
	const uint32_t l4 = p.l4, hdr = p.payload, payload = owing->len - hdr;
	must(n == (payload + o->gso_size - 1) / o->gso_size);
	for (unsigned i = 0; i < n; i++) {
		const bool last = i == n - 1;
		const uint32_t at = i * o->gso_size, part = last ? payload - at : o->gso_size;
		uint8_t *is = flat_frame(&segs[i]);
		must(!segs[i].offload.flags && !segs[i].offload.gso_type && !segs[i].wire_hdr);
		must(segs[i].len == hdr + part && offload_parse(is, hdr, segs[i].len, &q));
		must(q.l3 == p.l3 && q.l4 == l4 && q.payload == hdr && q.protocol == p.protocol);
		must(!memcmp(is + hdr, was + hdr + at, part));
		const uint16_t due = due_checksum((uint16_t)packet_get16(was + l4 + o->csum_offset),
			owing->len - l4, is + l4, segs[i].len - l4, o->csum_offset);
		must(packet_get16(is + l4 + o->csum_offset) ==
			(p.protocol == 6 && due == 0xffff ? 0 : due));
		if (!p.v6) {
			must(packet_sum(is + p.l3, (is[p.l3] & 15) * 4u, 0) == 0xffff);
			must(packet_get16(is + p.l3 + 4) ==
				((packet_get16(was + p.l3 + 4) + i) & 0xffff));
		}
		if (p.protocol == 6) {
			const uint8_t flags = was[l4 + 13];
			must(packet_get32(is + l4 + 4) == packet_get32(was + l4 + 4) + at);
			must(is[l4 + 13] == (flags & (last ? 0xff : 0xf6) & (i ? 0x7f : 0xff)));
		}
		/* and nothing else has changed */
		for (uint32_t b = 0; b < hdr; b++) {
			const bool ip = b >= p.l3 && b < p.l3 + (p.v6 ? 6u : 12u) &&
					b - p.l3 >= (p.v6 ? 4 : 2) &&
					(p.v6 || b - p.l3 < 6 || b - p.l3 >= 10);
			const bool tcp =
				p.protocol == 6 && ((b >= l4 + 4 && b < l4 + 8) || b == l4 + 13 ||
							   (b >= l4 + 16 && b < l4 + 18));
			const bool udp = p.protocol == 17 && b >= l4 + 4;
			must(ip || tcp || udp || is[b] == was[b]);
		}
		free(is);
	}
	free(was);
}

#endif
