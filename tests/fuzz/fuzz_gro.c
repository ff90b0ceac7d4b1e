/* fuzz_gro.c - any frames, and such that go on where the one before ended: what becomes a
 * super-frame is valid, and cutting it gives back the frames it was made of. */
#include "server/core/gro.h"
#include "server/core/offload.h"
#include "tests/support/bytes.h"
#include "tests/support/flowpackets.h"
#include "tests/support/fuzz.h"
#include "tests/support/rng.h"

#define LEN_MAX 2100u

struct sent {
	uint8_t *b;
	uint32_t len;
	struct seg more;
	bool came;
};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* The segment behind this one, if it is one at all. */
static void go_on(uint8_t *b, uint32_t len, unsigned how)
{
	struct offload_parts p;
	if (!offload_parse(b, len, len, &p))
		return;
	if (!p.v6)
		put16(b + p.l3 + 4, get16(b + p.l3 + 4) + (how & 1));
	if (p.protocol == 6) {
		const uint32_t seq =
			(get16(b + p.l4 + 4) << 16 | get16(b + p.l4 + 6)) + len - p.payload;
		put16(b + p.l4 + 4, seq >> 16);
		put16(b + p.l4 + 6, seq);
		b[p.l4 + 13] |= how >> 4 & 9; /* FIN, PSH */
	}
	if (how & 2)
		segment_sums(b, len);
}

static bool is_same(const struct sent *s, const uint8_t *b, uint32_t len)
{
	struct offload_parts p;
	if (s->came || s->len != len)
		return false;
	if (offload_parse(b, len, len, &p) && !p.v6 && b[p.l3 + 6] & 0x40)
		return segment_same(s->b, b, len);
	return !memcmp(s->b, b, len);
}

static void came_back(struct sent *sent, unsigned n, const uint8_t *b, uint32_t len)
{
	unsigned i = 0;
	while (i < n && !is_same(&sent[i], b, len))
		i++;
	must(i < n);
	sent[i].came = true;
}

static void check(const struct gro *g, unsigned n_out, struct sent *sent, unsigned n, uint8_t takes)
{
	static uint8_t segment[SUPER_MAX];
	for (unsigned k = 0; k < n_out; k++) {
		const struct frame *f = &g->frames[k];
		uint8_t *flat = frame_flat(f);
		if (f->offload.gso_type) {
			struct frame judged = *f;
			judged.offload.gso_type &= (uint8_t)~VNET_GSO_V6;
			must(offload_valid(&judged, LEN_MAX));
			must(!memcmp(&judged.offload, &f->offload, sizeof(f->offload)));
			must(!(offload_needs(f) & ~takes));
			must(super_has_pseudo(flat, f->len));
			uint32_t len;
			for (unsigned i = 0;
				(len = super_segment(flat, f->len, &f->offload, i, segment)); i++)
				came_back(sent, n, segment, len);
		} else {
			came_back(sent, n, flat, f->len);
		}
		free(flat);
	}
	for (unsigned i = 0; i < n; i++)
		must(sent[i].came);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct gro g;
	struct rng rng = { .bytes = data, .left = len };
	struct sent sent[GRO_BATCH];
	struct frame frames[GRO_BATCH];
	unsigned n = 0;
	const uint8_t takes = (uint8_t)rng_below(&rng, 64);
	const uint32_t max = rng_below(&rng, 0x10000);
	while (n < GRO_BATCH && !rng_empty(&rng)) {
		const unsigned how = rng_below(&rng, 256);
		struct sent *s = &sent[n];
		*s = (struct sent){ 0 };
		if (n && how & 0x80) { /* like the last one */
			s->len = s[-1].len;
			s->b = exact_copy(s[-1].b, s->len);
			go_on(s->b, s->len, how);
		} else {
			s->len = 14 + rng_below(&rng, LEN_MAX - 13);
			uint8_t *b = calloc(s->len, 1);
			must(b != NULL);
			const size_t there = rng.left < s->len ? rng.left : s->len;
			if (there)
				memcpy(b, rng.bytes, there);
			rng.bytes += there;
			rng.left -= there;
			s->b = b;
			struct offload_parts p;
			if (how & 2 && offload_parse(b, s->len, s->len, &p))
				segment_sums(b, s->len);
		}
		const uint32_t at = how & 4 ? 14 + (how >> 3 & 15) * 9 : s->len;
		s->more = (struct seg){ s->b + at, s->len - at };
		frames[n++] = (struct frame){ .head = s->b,
			.head_len = at < s->len ? at : s->len,
			.len = s->len,
			.more = at < s->len ? &s->more : NULL,
			.more_n = at < s->len ? 1 : 0 };
		if (at > s->len)
			s->more = (struct seg){ s->b, 0 };
	}
	g.n_headers = 0;
	(void)gro_worth(frames, n);
	const unsigned n_out = gro_coalesce(&g, frames, n, takes, max);
	must(n_out < n || !n);
	if (n_out)
		check(&g, n_out, sent, n, takes);
	for (unsigned i = 0; i < n; i++)
		free(sent[i].b);
	return 0;
}
