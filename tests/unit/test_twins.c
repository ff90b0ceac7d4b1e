/* test_twins.c - server/core/twins.c: which addresses are of several stations. */
#include "tests/support/test.h"

#include "server/core/twins.h"
#include "tests/support/eth.h"

static struct twins t;

static int setup(void **state)
{
	(void)state;
	t = (struct twins){ 0 };
	return 0;
}

/* Moves to and fro between two ports, @n times. */
static void to_and_fro(unsigned mac, unsigned n, uint64_t now_ms, unsigned step_ms)
{
	for (unsigned i = 0; i < n; i++)
		twins_moved(&t, key_n(mac), (uint16_t)(1 + i % 2), (uint16_t)(2 - i % 2),
			now_ms + (uint64_t)i * step_ms);
}

static void test_five_moves_in_ten_seconds_are_twins(void **state)
{
	struct twin w;
	(void)state;
	to_and_fro(7, TWINS_MOVES - 1, 1000, 100);
	assert_false(twins_next(&t, 2000, &w));
	twins_moved(&t, key_n(7), 1, 2, 2000);
	assert_true(twins_next(&t, 2500, &w));
	assert_true(w.key == key_n(7));
	assert_int_equal(w.from, 1);
	assert_int_equal(w.to, 2);
	assert_false(twins_next(&t, 2500, &w));
}

static void test_three_stations_are_found_as_well(void **state)
{
	struct twin w;
	(void)state;
	for (unsigned i = 0; i < TWINS_MOVES; i++)
		twins_moved(&t, key_n(7), (uint16_t)(1 + i % 3), (uint16_t)(1 + (i + 1) % 3),
			1000 + i * TWINS_GAP_MS);
	assert_true(twins_next(&t, 2000, &w));
}

static void test_moves_far_apart_are_none(void **state)
{
	struct twin w;
	(void)state;
	to_and_fro(7, 1000, 1000, TWINS_MS / (TWINS_MOVES - 2));
	assert_false(twins_next(&t, 1000000, &w));
}

static void test_a_loop_that_is_soon_over_is_none(void **state)
{
	struct twin w;
	(void)state;
	for (unsigned i = 0; i < 4000; i++)
		twins_moved(
			&t, key_n(7), (uint16_t)(1 + i % 2), (uint16_t)(2 - i % 2), 1000 + i / 10);
	assert_false(twins_next(&t, 2000, &w));
	for (unsigned i = 0; i < 1000; i++) /* but not one that goes on */
		twins_moved(
			&t, key_n(7), (uint16_t)(1 + i % 2), (uint16_t)(2 - i % 2), 1400 + i / 10);
	assert_true(twins_next(&t, 2000, &w));
}

static void test_each_is_told_of_once_a_minute(void **state)
{
	struct twin w;
	unsigned told = 0;
	(void)state;
	for (unsigned s = 0; s < 600; s++) {
		to_and_fro(7, 9, 1000 + 1000 * s, 100);
		told += twins_next(&t, 1950 + 1000 * s, &w);
		assert_false(twins_next(&t, 1950 + 1000 * s, &w));
	}
	assert_int_equal(told, 10);
}

static void test_of_many_some_are_told(void **state)
{
	struct twin w;
	unsigned told = 0;
	(void)state;
	for (unsigned mac = 1; mac < 200; mac++)
		to_and_fro(mac, TWINS_MOVES, 1000, 100);
	while (twins_next(&t, 2000, &w))
		told++;
	assert_int_equal(told, TWINS_TOLD);
	to_and_fro(201, TWINS_MOVES, 3000 + TWINS_TOLD_MS, 100);
	assert_true(twins_next(&t, 4000 + TWINS_TOLD_MS, &w));
}

static void test_a_crowd_of_other_moves_does_not_hide_twins_that_go_on(void **state)
{
	struct twin w;
	(void)state;
	for (unsigned i = 0; i < TWINS_MOVES; i++) {
		to_and_fro(7, 1, 1000 + 100 * i, 0);
		for (unsigned mac = 100; mac < 100 + TWINS_MAX - 1; mac++)
			to_and_fro(mac, 1, 1000 + 100 * i, 0);
	}
	bool found = false;
	while (twins_next(&t, 2000, &w))
		found |= w.key == key_n(7);
	assert_true(found);
}

static void test_what_was_of_a_port_that_is_gone_does_not_count(void **state)
{
	struct twin w;
	(void)state;
	to_and_fro(7, TWINS_MOVES, 3000, 100);
	twins_forget(&t, 2);
	assert_false(twins_next(&t, 4000, &w));
	to_and_fro(7, TWINS_MOVES, 5000, 100);
	twins_forget(&t, 3);
	assert_true(twins_next(&t, 6000, &w));
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_five_moves_in_ten_seconds_are_twins),
		T(test_three_stations_are_found_as_well),
		T(test_moves_far_apart_are_none),
		T(test_a_loop_that_is_soon_over_is_none),
		T(test_each_is_told_of_once_a_minute),
		T(test_of_many_some_are_told),
		T(test_a_crowd_of_other_moves_does_not_hide_twins_that_go_on),
		T(test_what_was_of_a_port_that_is_gone_does_not_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
