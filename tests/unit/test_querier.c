/* test_querier.c - server/core/querier.c: who asks, for how long an answer is good, and the bytes
 * of our questions. */
#include "tests/support/test.h"

#include <string.h>

#include "server/core/querier.h"
#include "tests/support/mpacket.h"

/* A general query of a querier with this last byte of its address. */
static uint32_t hear(struct querier *q, uint8_t from, uint8_t robustness, uint32_t interval_ms,
	uint32_t response_ms, uint64_t now_ms)
{
	const struct snoop query = { .kind = SNOOP_QUERY,
		.robustness = robustness,
		.interval_ms = interval_ms,
		.response_ms = response_ms,
		.nobody = !from,
		.general = true,
		.for_all = true,
		.source[15] = from };
	return querier_heard(q, &query, 1, now_ms);
}

static void test_without_a_querier_answers_stay_good(void **state)
{
	(void)state;
	struct querier q;
	querier_init(&q);
	querier_update(&q, 1000);
	assert_false(q.present);
	assert_int_equal(querier_good_until(&q, 5), UINT64_MAX);
	assert_false(querier_due(&q, 1000));
}

static void test_a_querier_is_there_for_255_s_and_answers_good_for_260(void **state)
{
	(void)state;
	struct querier q;
	querier_init(&q);
	assert_int_equal(hear(&q, 9, 2, 125000, 10000, 1000), 255000);
	assert_true(q.present);
	assert_int_equal(querier_good_until(&q, 500), 261000); /* as if given when it came */
	assert_int_equal(querier_good_until(&q, 2000), 262000);
	querier_update(&q, 255999);
	assert_true(q.present);
	querier_update(&q, 256000);
	assert_false(q.present);
	assert_int_equal(querier_good_until(&q, 2000), UINT64_MAX);
}

static void test_the_lowest_address_counts(void **state)
{
	(void)state;
	struct querier q;
	querier_init(&q);
	hear(&q, 9, 3, 160000, 2000, 0);
	assert_int_equal(q.good_ms, 482000);
	assert_int_equal(hear(&q, 10, 2, 20000, 2000, 1000), 41000); /* a router all the same */
	assert_int_equal(q.good_ms, 482000);
	hear(&q, 8, 2, 200000, 4000, 2000);
	assert_int_equal(q.good_ms, 404000);
	hear(&q, 8, 2, 190000, 4000, 3000); /* itself again */
	assert_int_equal(q.good_ms, 384000);
	hear(&q, 10, 2, 150000, 2000, 400000); /* long gone */
	assert_int_equal(q.good_ms, 302000);
}

static void test_who_asks_faster_ends_nothing_that_was_good(void **state)
{
	(void)state;
	struct querier q;
	querier_init(&q);
	hear(&q, 9, 2, 200000, 10000, 0);
	hear(&q, 9, 2, 150000, 1000, 100000);
	assert_int_equal(querier_good_until(&q, 1000), 401000);
	hear(&q, 9, 1, 1000, 0, 110000); /* 1 s would be no time at all */
	assert_int_equal(querier_good_until(&q, 1000), 370000);
	assert_int_equal(q.until_ms, 120000);
}

static void test_nothing_lasts_longer_than_ten_minutes(void **state)
{
	(void)state;
	struct querier q;
	querier_init(&q);
	assert_int_equal(hear(&q, 9, 7, 31744000, 10000, 0), 595000);
	assert_int_equal(q.until_ms, 595000);
	assert_int_equal(q.good_ms, 600000);
	hear(&q, 9, 7, 31744000, 60000, 0);
	assert_int_equal(q.good_ms, 600000);
	/* else answers might come when all is over */
	assert_int_equal(hear(&q, 8, 2, 125000, 60001, 0), 0);
	assert_int_equal(q.source[15], 9);
}

static void test_a_querier_goes_with_its_port(void **state)
{
	(void)state;
	struct querier q;
	querier_init(&q);
	q.wanted = true;
	querier_update(&q, 0);
	querier_forget(&q, PORT_NONE, 0);
	assert_true(q.asking);
	hear(&q, 9, 2, 125000, 10000, 1000); /* port 1 */
	querier_forget(&q, 2, 2000);
	assert_true(querier_other(&q));
	querier_forget(&q, 1, 3000);
	assert_true(q.asking && !querier_other(&q));
	assert_true(querier_due(&q, 3000));
}

static void test_a_query_that_is_not_for_all_is_no_queriers(void **state)
{
	(void)state;
	struct querier q;
	const struct snoop query = { .kind = SNOOP_QUERY, .robustness = 1, .source[15] = 1 };
	querier_init(&q);
	assert_int_equal(querier_heard(&q, &query, 1, 0), 0);
	assert_false(q.present);
	assert_int_equal(q.good_ms, 260000);
}

static void test_a_switch_that_asks_is_no_querier(void **state)
{
	(void)state;
	struct querier q;
	querier_init(&q);
	assert_int_equal(hear(&q, 0, 2, 125000, 10000, 0), 0);
	assert_false(q.present);
}

static void test_our_own_query_is_known_and_no_other(void **state)
{
	(void)state;
	const struct feth_mac own = { { 2, 1, 2, 3, 4, 5 } }, other = { { 2, 1, 2, 3, 4, 6 } };
	uint8_t buf[QUERIER_FRAME_MAX], scratch[SNOOP_SCRATCH];
	struct snoop query;
	for (unsigned v = 0; v < MCAST_FAMILIES; v++) {
		const uint32_t len = querier_frame(v, own, 10000, buf);
		const struct frame frame = { .head = buf, .head_len = len, .len = len };
		snoop_parse(&frame, scratch, &query);
		assert_int_equal(query.kind, SNOOP_QUERY);
		assert_int_equal(querier_is_ours(&query, own), v == MCAST_IP6);
		assert_false(querier_is_ours(&query, other));
	}
}

static void test_we_ask_twice_early_and_then_every_125_s(void **state)
{
	(void)state;
	struct querier q;
	querier_init(&q);
	q.wanted = true;
	querier_update(&q, 1000);
	assert_true(q.asking && q.present);
	const uint64_t at[] = { 1000, 32250, 157250, 282250 };
	for (unsigned i = 0; i < 4; i++) {
		assert_false(querier_due(&q, at[i] - 1));
		assert_true(querier_due(&q, at[i]));
		assert_false(querier_due(&q, at[i]));
	}
}

static void test_we_yield_and_begin_again(void **state)
{
	(void)state;
	struct querier q;
	querier_init(&q);
	q.wanted = true;
	querier_update(&q, 0);
	assert_true(querier_due(&q, 0));
	hear(&q, 200, 2, 30000, 1000, 20000); /* whatever its address */
	assert_false(q.asking);
	assert_true(q.present);
	assert_false(querier_due(&q, 80000));
	querier_update(&q, 80500);
	assert_true(q.asking && q.present);
	assert_int_equal(q.good_ms, 260000);
	assert_int_equal(querier_good_until(&q, 1000), 340500); /* asked from now on */
	assert_true(querier_due(&q, 80500));
	assert_true(querier_due(&q, 80500 + 31250));
	q.wanted = false;
	querier_update(&q, 120000);
	assert_false(q.asking || q.present || querier_due(&q, 500000));
}

static void test_our_igmp_query_byte_by_byte(void **state)
{
	(void)state;
	const struct feth_mac mac = { { 2, 0, 0, 0, 0, 0x0b } };
	/* what a Linux bridge sends as its querier, and padding to 60 */
	const uint8_t want[60] = { 0x01, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 0x0b, 8, 0, 0x46, 0xc0, 0,
		0x24, 0, 0, 0x40, 0, 1, 2, 4, 0x13, 0, 0, 0, 0, 0xe0, 0, 0, 1, 0x94, 4, 0, 0, 0x11,
		0x64, 0xec, 0x1e, 0, 0, 0, 0, 2, 0x7d };
	uint8_t out[QUERIER_FRAME_MAX];
	assert_int_equal(querier_frame(MCAST_IP4, mac, 10000, out), 60);
	assert_memory_equal(out, want, 60);
}

static void test_our_mld_query_byte_by_byte(void **state)
{
	(void)state;
	const struct feth_mac mac = { { 2, 0x11, 0x22, 0x33, 0x44, 0x55 } };
	struct mpacket p;
	mpacket_query(&p, MCAST_IP6, 2, 1, 0, 10000, 2, 125, 0);
	memcpy(p.b + 6, mac.b, 6);
	const uint8_t id[8] = { 0xff, 0xff, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };
	memcpy(p.b + p.ip + 16, id, 8);
	mpacket_sum(&p);
	uint8_t out[QUERIER_FRAME_MAX];
	assert_int_equal(querier_frame(MCAST_IP6, mac, 10000, out), p.len);
	assert_memory_equal(out, p.b, p.len);
}

static void test_our_queries_are_understood(void **state)
{
	(void)state;
	const struct feth_mac mac = { { 2, 1, 2, 3, 4, 5 } };
	uint8_t out[QUERIER_FRAME_MAX], scratch[SNOOP_SCRATCH];
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		const uint32_t len = querier_frame(f, mac, 1000, out);
		const struct frame frame = { .head = out, .head_len = len, .len = len };
		struct snoop s;
		snoop_parse(&frame, scratch, &s);
		assert_int_equal(s.kind, SNOOP_QUERY);
		assert_int_equal(s.version, f == MCAST_IP4 ? 3 : 2);
		assert_true(s.general);
		assert_int_equal(s.response_ms, 1000);
		assert_int_equal(s.interval_ms, 125000);
		assert_int_equal(s.nobody, f == MCAST_IP4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_querier_answers_stay_good),
		cmocka_unit_test(test_a_querier_is_there_for_255_s_and_answers_good_for_260),
		cmocka_unit_test(test_the_lowest_address_counts),
		cmocka_unit_test(test_who_asks_faster_ends_nothing_that_was_good),
		cmocka_unit_test(test_nothing_lasts_longer_than_ten_minutes),
		cmocka_unit_test(test_a_querier_goes_with_its_port),
		cmocka_unit_test(test_a_query_that_is_not_for_all_is_no_queriers),
		cmocka_unit_test(test_a_switch_that_asks_is_no_querier),
		cmocka_unit_test(test_our_own_query_is_known_and_no_other),
		cmocka_unit_test(test_we_ask_twice_early_and_then_every_125_s),
		cmocka_unit_test(test_we_yield_and_begin_again),
		cmocka_unit_test(test_our_igmp_query_byte_by_byte),
		cmocka_unit_test(test_our_mld_query_byte_by_byte),
		cmocka_unit_test(test_our_queries_are_understood),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
