/* test_msgq.c - server/core/msgq.c: whole messages in their order, bounded, flooded ones kept once.
 */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/msgq.h"

static struct block_pool pool;

static int setup(void **state)
{
	struct msgq *q = malloc(sizeof(*q));
	*state = q;
	block_pool_init(&pool, BLOCK_POOL_LIMIT);
	msgq_init(q, &pool);
	return 0;
}

/* After a test nothing may be left, whatever it did. */
static int teardown(void **state)
{
	msgq_fini(*state);
	block_forget_copies(&pool);
	const size_t left = pool.used;
	block_pool_fini(&pool);
	free(*state);
	return left ? -1 : 0;
}

static uint8_t bytes[70000];

static enum sendq_put put(struct msgq *q, uint8_t first, uint32_t len)
{
	memset(bytes, first, len);
	const struct seg segs[] = { { bytes, 1 }, { bytes + 1, len - 1 } };
	return msgq_put(q, segs, 2, len, false);
}

static void expect(struct msgq *q, uint8_t first, uint32_t len)
{
	struct seg seg;
	assert_int_equal(msgq_fill(q, &seg, 1), 1);
	assert_int_equal(seg.len, len);
	const uint8_t *b = seg.base;
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(b[i], first);
	msgq_consume(q, 1);
}

static void test_messages_come_out_whole_and_in_order(void **state)
{
	struct msgq *q = *state;
	static const uint32_t lens[] = { 14, 1514, 65553, 60, 9018, 40000, 14 };
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(put(q, (uint8_t)i, lens[i]), SENDQ_TAKEN);
	struct seg segs[16];
	assert_int_equal(msgq_fill(q, segs, 16), 7);
	assert_int_equal(msgq_fill(q, segs, 3), 3);
	for (unsigned i = 0; i < 7; i++)
		expect(q, (uint8_t)i, lens[i]);
	assert_int_equal(q->n, 0);
	assert_int_equal(q->bytes, 0);
	assert_int_equal(pool.used, 0);
}

static void test_the_ring_goes_round_and_grows(void **state)
{
	struct msgq *q = *state;
	unsigned in = 0, out = 0;
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 50; i++, in++)
			assert_int_equal(put(q, (uint8_t)in, 20 + in % 7), SENDQ_TAKEN);
		for (unsigned i = 0; i < 45; i++, out++)
			expect(q, (uint8_t)out, 20 + out % 7);
	}
	for (; out < in; out++)
		expect(q, (uint8_t)out, 20 + out % 7);
	assert_int_equal(q->n, 0);
}

static void test_what_is_over_the_limit_is_refused_and_nothing_is_lost(void **state)
{
	struct msgq *q = *state;
	q->limit = 3 * (1000 + MSGQ_OVERHEAD);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(put(q, (uint8_t)i, 1000), SENDQ_TAKEN);
	assert_int_equal(put(q, 9, 14), SENDQ_FULL);
	expect(q, 0, 1000);
	assert_int_equal(put(q, 3, 1001), SENDQ_FULL);
	assert_int_equal(put(q, 3, 1000), SENDQ_TAKEN);
	q->limit = 100; /* less than what waits: that stays */
	assert_int_equal(put(q, 9, 14), SENDQ_FULL);
	for (unsigned i = 1; i < 4; i++)
		expect(q, (uint8_t)i, 1000);
}

static void test_runts_count_against_the_limit_too(void **state)
{
	struct msgq *q = *state;
	unsigned n = 0;
	while (put(q, 1, 14) == SENDQ_TAKEN)
		n++;
	assert_int_equal(n, SENDQ_FRAMES_MAX / (14 + MSGQ_OVERHEAD));
}

static void test_a_flooded_frame_is_kept_once_for_all(void **state)
{
	struct msgq *q = *state, other;
	memset(bytes, 7, 1514);
	const struct seg seg = { bytes, 1514 };
	msgq_init(&other, &pool);
	assert_int_equal(msgq_put(q, &seg, 1, 1514, true), SENDQ_TAKEN);
	const size_t once = pool.used;
	assert_int_equal(once, 1514);
	assert_int_equal(msgq_put(&other, &seg, 1, 1514, true), SENDQ_TAKEN);
	assert_int_equal(pool.used, once);
	block_forget_copies(&pool);
	memset(bytes, 8, 1514); /* another frame at the same place */
	assert_int_equal(msgq_put(q, &seg, 1, 1514, true), SENDQ_TAKEN);
	block_forget_copies(&pool);
	expect(&other, 7, 1514);
	expect(q, 7, 1514);
	expect(q, 8, 1514);
	msgq_fini(&other);
	assert_int_equal(pool.used, 0);
}

static void test_without_memory_for_it_a_frame_is_refused(void **state)
{
	struct msgq *q = *state;
	pool.limit = BLOCK_STANDARD;
	assert_int_equal(put(q, 1, 1514), SENDQ_TAKEN);
	assert_int_equal(put(q, 2, 40000), SENDQ_NO_MEMORY);
	expect(q, 1, 1514);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_messages_come_out_whole_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_ring_goes_round_and_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_is_over_the_limit_is_refused_and_nothing_is_lost, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_runts_count_against_the_limit_too, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_flooded_frame_is_kept_once_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_without_memory_for_it_a_frame_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
