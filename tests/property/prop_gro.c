/* prop_gro.c - cutting what gro_coalesce() made gives back the very frames it was made of, in the
 * order of their flow, whatever was among them. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/gro.h"
#include "server/core/gso.h"
#include "server/core/offload.h"
#include "tests/support/bytes.h"
#include "tests/support/flowpackets.h"
#include "tests/support/rng.h"

#define FLOWS 5u
#define OTHER FLOWS       /* frames of no flow */
#define STRAY (FLOWS + 1) /* of one of their own */
#define ROUNDS 3000u
#define ROOM 9100u
#define MTU 9000u

struct flow {
	struct segment_conf conf;
	bool id_stays;
};

struct sent {
	uint8_t *b; /* owned: as long as the frame, so that ASan sees who reads behind it */
	uint32_t len;
	unsigned flow;
	bool id_free; /* of an identification that nobody may look at */
	struct seg more[GRO_PIECES];
};

struct run {
	struct rng rng;
	struct gro g;
	struct flow flows[FLOWS];
	struct sent sent[GRO_BATCH];
	struct frame frames[GRO_BATCH];
	unsigned n;
	uint8_t payload[ROOM];
	uint64_t supers, segments;
};

static void begin_flow(struct run *r, unsigned k)
{
	struct rng *g = &r->rng;
	struct flow *f = &r->flows[k];
	f->id_stays = rng_one_in(g, 4);
	/* some differ in one thing only */
	f->conf = (struct segment_conf){ .dst = 1,
		.src = 2 + (k & 1),
		.vlan = rng_one_in(g, 3) ? (uint16_t)rng_between(g, 1, 2) : 0,
		.v6 = rng_one_in(g, 2),
		.udp = rng_one_in(g, 3),
		.tos = (uint8_t)rng_below(g, 4),
		.ttl = 64,
		.df = f->id_stays || rng_one_in(g, 2),
		.id = (uint16_t)rng_next(g),
		.label = rng_below(g, 3),
		.sport = (uint16_t)(1000 + k),
		.dport = 80,
		.seq = (uint32_t)rng_next(g),
		.ack = 5,
		.window = 100,
		.flags = FLAG_ACK | (rng_one_in(g, 4) ? FLAG_ECE : 0),
		.options = rng_one_in(g, 3) ? 0 : 12,
		.size = rng_one_in(g, 3) ? rng_between(g, 1, 40) : rng_between(g, 100, 1400) };
	if (rng_one_in(g, 8))
		f->conf.size = rng_between(g, 1400, 8900);
}

/* Something that ends a super-frame, or does not. */
static void disturb(struct run *r, struct segment_conf *c)
{
	switch (rng_below(&r->rng, 12)) {
	case 0:
		c->flags ^= (uint8_t)(1u << rng_below(&r->rng, 8));
		break;
	case 1:
		c->seq += rng_below(&r->rng, 3) - 1u;
		break;
	case 2:
		c->ack++;
		break;
	case 3:
		c->window++;
		break;
	case 4:
		c->stamp++;
		break;
	case 5:
		c->id += (uint16_t)(rng_below(&r->rng, 3) - 1);
		break;
	case 6:
		c->size = rng_below(&r->rng, c->size + 2);
		break;
	case 7:
		c->ttl--;
		break;
	case 8:
		c->tos ^= 2;
		break;
	case 9:
		c->options = 20;
		break;
	case 10:
		c->df = !c->df;
		break;
	default:
		c->flags |= FLAG_PSH;
		break;
	}
}

static void keep(struct run *r, const uint8_t *b, uint32_t len, unsigned flow, bool id_free)
{
	struct sent *s = &r->sent[r->n];
	struct frame *f = &r->frames[r->n++];
	s->b = exact_copy(b, len);
	s->len = len;
	s->flow = flow;
	s->id_free = id_free;
	*f = (struct frame){ .head = s->b, .head_len = len, .len = len };
	unsigned pieces = rng_one_in(&r->rng, 3) ? rng_below(&r->rng, GRO_PIECES + 1) : 0;
	uint32_t end = len;
	while (pieces && end > 14) {
		const uint32_t at = rng_between(&r->rng, 14, rng_one_in(&r->rng, 2) ? end : 14);
		s->more[--pieces] = (struct seg){ s->b + at, end - at };
		f->more = &s->more[pieces];
		f->more_n++;
		f->head_len = end = at;
	}
}

static void send_flow(struct run *r)
{
	uint8_t b[ROOM + SEGMENT_HEADERS];
	const unsigned k = rng_below(&r->rng, FLOWS);
	struct flow *f = &r->flows[k];
	struct segment_conf c = f->conf;
	for (unsigned i = 0; i < ROOM; i += 97)
		r->payload[i] = (uint8_t)rng_next(&r->rng);
	c.payload = r->payload;
	if (rng_one_in(&r->rng, 8))
		disturb(r, &c);
	f->conf.seq = c.seq + c.size;
	f->conf.id = f->id_stays ? c.id : c.id + 1;

	uint32_t len = segment_write(b, &c);
	const uint32_t ports = segment_l4(b) + 4;
	bool stray = false;
	if (rng_one_in(&r->rng, 40)) {
		const uint32_t at = 40 + rng_below(&r->rng, len - 40);
		b[at] ^= (uint8_t)(1u << rng_below(&r->rng, 8));
		stray = at < ports;
		if (rng_one_in(&r->rng, 2))
			segment_sums(b, len);
	}
	if (rng_one_in(&r->rng, 40)) {
		memset(b + len, 0, 6);
		len += rng_between(&r->rng, 1, 6);
	}
	keep(r, b, len, stray ? STRAY : k, !c.v6 && c.df);
}

static void send_other(struct run *r)
{
	uint8_t b[128];
	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)rng_next(&r->rng);
	static const uint16_t types[] = { 0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806 };
	const uint16_t type = types[rng_below(&r->rng, 5)];
	b[12] = (uint8_t)(type >> 8);
	b[13] = (uint8_t)type;
	b[14] = type == 0x0800 ? 0x45 : type == 0x86dd ? 0x60 : b[14];
	b[20] |= 0x20; /* of IPv4 a fragment: else it may be a flow */
	if (type == 0x86dd)
		b[20] = 44;
	keep(r, b, rng_between(&r->rng, 15, sizeof(b)), OTHER, false);
}

static bool is_same(const struct sent *s, const uint8_t *b, uint32_t len)
{
	return s->len == len && (s->id_free ? segment_same(s->b, b, len) : !memcmp(s->b, b, len));
}

struct back {
	bool came[GRO_BATCH];
	unsigned n;
};

/* It is the next of its flow, and no other of its flow, or of none, is still to come before it. */
static void came_back(struct run *r, struct back *back, const uint8_t *b, uint32_t len)
{
	unsigned i = 0;
	while (i < r->n && (back->came[i] || !is_same(&r->sent[i], b, len)))
		i++;
	assert_in_range(i, 0, r->n - 1);
	for (unsigned k = 0; k < i; k++)
		if (!back->came[k])
			assert_false(
				r->sent[k].flow == OTHER || r->sent[i].flow == OTHER ||
				(r->sent[k].flow == r->sent[i].flow && r->sent[i].flow != STRAY));
	back->came[i] = true;
	back->n++;
}

/* What gso.h makes of a super-frame is what the naive cutter does. */
static void cut_by_gso(const struct frame *f, const uint8_t *flat)
{
	static uint8_t segment[SUPER_MAX];
	const struct gso_need need = gso_need(f);
	uint8_t *bytes = malloc(need.bytes);
	struct seg *segs = calloc(need.segs, sizeof(*segs));
	struct frame *out = calloc(need.frames, sizeof(*out));
	assert_true(bytes && segs && out);
	const unsigned n = gso_finish(f, bytes, segs, out);
	for (unsigned i = 0; i < n; i++) {
		const uint32_t len = super_segment(flat, f->len, &f->offload, i, segment);
		uint8_t *is = frame_flat(&out[i]);
		assert_int_equal(out[i].len, len);
		assert_memory_equal(is, segment, len);
		free(is);
	}
	assert_int_equal(super_segment(flat, f->len, &f->offload, n, segment), 0);
	free(bytes);
	free(segs);
	free(out);
}

static void check(struct run *r, unsigned n, uint8_t takes, uint32_t max)
{
	static uint8_t segment[SUPER_MAX];
	struct back back = { 0 };
	for (unsigned k = 0; k < n; k++) {
		struct frame *f = &r->g.frames[k];
		uint8_t *flat = frame_flat(f);
		assert_true(f->head_len >= 14);
		if (!f->offload.gso_type) {
			came_back(r, &back, flat, f->len);
			free(flat);
			continue;
		}
		struct frame judged = *f;
		judged.offload.gso_type &= (uint8_t)~VNET_GSO_V6; /* as it comes */
		assert_true(offload_valid(&judged, MTU));
		assert_memory_equal(&judged.offload, &f->offload, sizeof(f->offload));
		assert_true(super_has_pseudo(flat, f->len));
		assert_int_equal(offload_needs(f) & ~takes, 0);
		assert_true(!max || f->len <= max);
		uint32_t len;
		for (unsigned i = 0; (len = super_segment(flat, f->len, &f->offload, i, segment));
			i++, r->segments++)
			came_back(r, &back, segment, len);
		cut_by_gso(f, flat);
		r->supers++;
		free(flat);
	}
	assert_int_equal(back.n, r->n);
}

static void round_of(struct run *r)
{
	static const uint8_t kinds[] = { 0x3f, 0x3f, 0x37, 0x0f, 0x03, 0x05, 0x31, 0x3e };
	const uint8_t takes = kinds[rng_below(&r->rng, sizeof(kinds))];
	const uint32_t max = rng_one_in(&r->rng, 3) ? rng_between(&r->rng, 1000, 70000) : 0;
	r->n = 0;
	for (unsigned k = 0; k < FLOWS; k++)
		if (!r->flows[k].conf.ttl || rng_one_in(&r->rng, 8))
			begin_flow(r, k);
	for (unsigned i = rng_between(&r->rng, 1, GRO_BATCH); i; i--) {
		if (rng_one_in(&r->rng, 30))
			send_other(r);
		else
			send_flow(r);
	}
	r->g.n_headers = 0;
	const unsigned n = gro_coalesce(&r->g, r->frames, r->n, takes, max);
	assert_true(n < r->n);
	if (n)
		check(r, n, takes, max);
	for (unsigned i = 0; i < r->n; i++)
		free(r->sent[i].b);
}

static void test_cutting_gives_back_what_was_coalesced(void **state)
{
	(void)state;
	struct run *r = calloc(1, sizeof(*r));
	assert_non_null(r);
	r->rng = rng_start("prop_gro");
	for (unsigned i = 0; i < ROUNDS; i++)
		round_of(r);
	/* and it is worth it: most of these frames are of five flows that go on */
	printf("%llu super-frames of %llu segments\n", (unsigned long long)r->supers,
		(unsigned long long)r->segments);
	assert_true(r->supers > ROUNDS && r->segments > 2 * r->supers);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cutting_gives_back_what_was_coalesced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
