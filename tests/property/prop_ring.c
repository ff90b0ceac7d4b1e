/* prop_ring.c - protocol/ring.h against a plain queue: what is put comes out, whole and in order,
 * and what has no room has really none. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "protocol/ring.h"
#include "tests/support/rng.h"

#define STEPS 20000u

/* What lies in the ring: for each record its length, its flags and the byte it is filled with. */
struct model {
	struct {
		uint32_t len, flags;
		uint32_t need; /* bytes of the ring, with what is skipped before */
		uint8_t fill;
	} items[1 << 14];
	uint32_t put, shown, taken, released; /* counts */
	uint32_t at;                          /* where the next one lies */
};

struct both {
	struct ring_writer w;
	struct ring_reader r;
	struct model m;
	bool asleep, waits; /* as they were told they might */
};

/* Bytes of records not released. */
static uint32_t bytes_in(const struct model *m)
{
	uint32_t sum = 0;
	for (uint32_t i = m->released; i < m->put; i++)
		sum += m->items[i % (1 << 14)].need;
	return sum;
}

static uint32_t need_of(const struct both *b, uint32_t len)
{
	const uint32_t span = (4 + len + 7) / 8 * 8;
	return b->m.at + span > b->w.size ? b->w.size - b->m.at + span : span;
}

static void put(struct both *b, struct rng *rng, uint32_t max)
{
	const uint32_t len = rng_one_in(rng, 4) ? rng_below(rng, max) : rng_below(rng, 100);
	const uint32_t flags = rng_one_in(rng, 3) ? RING_OFFLOAD : 0;
	const uint8_t fill = (uint8_t)rng_next(rng);
	const uint32_t need = need_of(b, len), used = bytes_in(&b->m);
	uint32_t room = ring_room(&b->w);
	const uint32_t before = room;
	uint8_t *body = NULL;
	if (!flags && rng_one_in(rng, 2))
		body = ring_reserve_short(&b->w, &room, len);
	if (body)
		assert_int_equal(before - room, need);
	else
		body = ring_reserve(&b->w, len, flags);
	assert_int_equal(body != NULL, used ? used + need <= b->w.limit : need <= b->w.size);
	if (!body) {
		b->waits = ring_wait(&b->w, len);
		assert_true(b->waits); /* nobody released meanwhile */
		return;
	}
	assert_true(body >= b->w.data && body + len <= b->w.data + b->w.size);
	memset(body, fill, len);
	const uint32_t i = b->m.put++ % (1 << 14);
	b->m.items[i].len = len;
	b->m.items[i].flags = flags;
	b->m.items[i].fill = fill;
	b->m.items[i].need = need;
	b->m.at = (b->m.at + need) % b->w.size;
}

static void take(struct both *b, struct rng *rng)
{
	struct ring_record rec = { 0 };
	const uint32_t max = rng_below(rng, 200), before = ring_left(&b->r);
	uint32_t left = before;
	const bool is_short = ring_next_short(&b->r, &left, max, &rec);
	assert_true(
		is_short ? rec.len <= max && before - left == ring_span(rec.len) : left == before);
	const enum ring_item got = is_short ? RING_RECORD : ring_next(&b->r, &rec);
	if (b->m.taken == b->m.shown) {
		assert_int_equal(got, RING_NONE);
		b->asleep = ring_sleep(&b->r);
		assert_true(b->asleep);
		return;
	}
	assert_int_equal(got, RING_RECORD);
	const uint32_t i = b->m.taken++ % (1 << 14);
	assert_int_equal(rec.len, b->m.items[i].len);
	assert_int_equal(rec.flags, b->m.items[i].flags);
	for (uint32_t k = 0; k < rec.len; k++)
		assert_int_equal(rec.body[k], b->m.items[i].fill);
}

static void publish(struct both *b)
{
	assert_int_equal(ring_publish(&b->w), b->asleep);
	b->asleep = false;
	b->m.shown = b->m.put;
}

static void release(struct both *b)
{
	const bool woken = ring_release(&b->r);
	assert_true(b->waits || !woken);
	b->m.released = b->m.taken;
	if (b->waits && b->m.taken == b->m.put)
		assert_true(woken); /* nothing is left: nobody may be left waiting */
	b->waits &= !woken;
}

static void run(struct rng rng)
{
	const uint32_t size = 1024u << rng_below(&rng, 8);
	uint8_t *area = aligned_alloc(128, ring_area(size));
	struct both *b = calloc(1, sizeof(*b));
	const enum ring_way way = rng_one_in(&rng, 2) ? RING_TO_SERVER : RING_TO_CLIENT;
	memset(area, 0, ring_area(size));
	ring_writer_init(&b->w, area, way, size);
	ring_reader_init(&b->r, area, way, size);
	if (rng_one_in(&rng, 2))
		b->w.limit = size / 2;
	const uint32_t start = rng_one_in(&rng, 2) ? 0u - 3 * size : 0;
	b->w.head = b->w.tail = b->r.head = b->r.tail = start;
	atomic_store(&b->w.words->head, start);
	atomic_store(&b->w.words->tail, start);
	const uint32_t max = size / 4 < RING_BODY_MAX ? size / 4 : RING_BODY_MAX;

	for (unsigned i = 0; i < STEPS; i++) {
		switch (rng_below(&rng, 8)) {
		case 0:
		case 1:
		case 2:
			put(b, &rng, max);
			break;
		case 3:
			publish(b);
			break;
		case 4:
			release(b);
			break;
		default:
			take(b, &rng);
		}
	}
	assert_false(b->w.broken);
	free(b);
	free(area);
}

static void test_what_comes_out_is_what_was_put_in(void **state)
{
	(void)state;
	struct rng rng = rng_start("ring");
	for (unsigned i = 0; i < 40; i++)
		run((struct rng){ .state = rng_next(&rng) });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_comes_out_is_what_was_put_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
