/* test_fdb.c - server/core/fdb.c: learning, ageing, static addresses, fairness, listing. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "server/core/fdb.h"

#define CAPACITY 8u
#define SEED 0x5eed

static mac_key key(unsigned n)
{
	const uint8_t b[6] = { 0x02, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n };
	return mac_key_at(b);
}

static int setup(void **state)
{
	struct fdb *fdb = malloc(sizeof(*fdb));
	*state = fdb;
	return fdb_init(fdb, CAPACITY, SEED);
}

static int teardown(void **state)
{
	fdb_fini(*state);
	free(*state);
	return 0;
}

static enum fdb_learned learn(struct fdb *fdb, unsigned n, uint16_t port, uint64_t now_ms)
{
	uint16_t old;
	return fdb_learn(fdb, key(n), port, now_ms, &old);
}

static void test_an_address_is_a_key_and_back(void **state)
{
	(void)state;
	const uint8_t a[7] = { 0xff, 0xfe, 0xfd, 0x01, 0x02, 0x03, 0x99 };
	assert_memory_equal(mac_of_key(mac_key_at(a)).b, a, 6);
	const uint8_t b[6] = { 0xff, 0xfe, 0xfd, 0x01, 0x02, 0x04 };
	assert_true(mac_key_at(a) != mac_key_at(b));
	assert_true(mac_key_at(a) >> 48 == 0);
}

static void test_an_address_is_found_where_it_was_heard(void **state)
{
	struct fdb *fdb = *state;
	assert_int_equal(fdb_find(fdb, key(1), 0), PORT_NONE);
	assert_int_equal(learn(fdb, 1, 3, 0), FDB_NEW);
	assert_int_equal(learn(fdb, 1, 3, 1), FDB_KNOWN);
	assert_int_equal(fdb_find(fdb, key(1), 1), 3);
	assert_int_equal(fdb_find(fdb, key(2), 1), PORT_NONE);
}

static void test_an_address_moves_and_tells_from_where(void **state)
{
	struct fdb *fdb = *state;
	uint16_t old = PORT_NONE;
	learn(fdb, 1, 3, 0);
	assert_int_equal(fdb_learn(fdb, key(1), 4, 0, &old), FDB_MOVED);
	assert_int_equal(old, 3);
	assert_int_equal(fdb_find(fdb, key(1), 0), 4);
	assert_int_equal(fdb->n, 1);
}

static void test_an_address_ages_300_seconds_after_it_was_heard(void **state)
{
	struct fdb *fdb = *state;
	learn(fdb, 1, 3, 5000);
	assert_int_equal(fdb_find(fdb, key(1), 305000), 3);
	assert_int_equal(fdb_find(fdb, key(1), 305001), PORT_NONE);
	assert_int_equal(learn(fdb, 1, 4, 305001), FDB_NEW); /* not a move: nobody was there */
	assert_int_equal(fdb_find(fdb, key(1), 605001), 4);
	assert_int_equal(fdb_find(fdb, key(1), 605002), PORT_NONE);
}

static void test_hearing_an_address_again_keeps_it(void **state)
{
	struct fdb *fdb = *state;
	learn(fdb, 1, 3, 0);
	learn(fdb, 1, 3, FDB_REFRESH_MS - 1); /* too soon to be noted */
	assert_int_equal(fdb_find(fdb, key(1), FDB_AGE_MS + 1), PORT_NONE);
	assert_int_equal(learn(fdb, 1, 3, FDB_AGE_MS), FDB_KNOWN);
	assert_int_equal(fdb_find(fdb, key(1), 2 * FDB_AGE_MS), 3);
}

static void test_expiry_forgets_what_is_too_old(void **state)
{
	struct fdb *fdb = *state;
	learn(fdb, 1, 3, 0);
	learn(fdb, 2, 3, 10);
	learn(fdb, 3, 4, 10);
	fdb_add_static(fdb, key(4), 3);
	fdb_expire(fdb, FDB_AGE_MS);
	assert_int_equal(fdb->n, 4);
	fdb_expire(fdb, FDB_AGE_MS + 1);
	assert_int_equal(fdb->n, 3);
	fdb_expire(fdb, FDB_AGE_MS + 11);
	assert_int_equal(fdb->n, 1);
	assert_int_equal(fdb->n_holding, 0);
	assert_int_equal(fdb_find(fdb, key(4), UINT64_MAX), 3); /* static: for ever */
}

static void test_a_static_address_elsewhere_is_spoofed(void **state)
{
	struct fdb *fdb = *state;
	assert_int_equal(fdb_add_static(fdb, key(1), 3), 0);
	assert_int_equal(learn(fdb, 1, 3, 0), FDB_KNOWN);
	assert_int_equal(learn(fdb, 1, 4, 0), FDB_SPOOFED);
	assert_int_equal(fdb_find(fdb, key(1), 0), 3);
	assert_int_equal(fdb_add_static(fdb, key(1), 3), 0);
	assert_int_equal(fdb_add_static(fdb, key(1), 4), -EEXIST);
	fdb_remove_static(fdb, key(1), 4); /* not that port's */
	assert_int_equal(fdb_find(fdb, key(1), 0), 3);
	fdb_remove_static(fdb, key(1), 3);
	assert_int_equal(fdb_find(fdb, key(1), 0), PORT_NONE);
	assert_int_equal(learn(fdb, 1, 4, 0), FDB_NEW);
	fdb_remove_static(fdb, key(1), 4); /* learned, not static */
	assert_int_equal(fdb_find(fdb, key(1), 0), 4);
}

static void test_a_learned_address_becomes_static(void **state)
{
	struct fdb *fdb = *state;
	learn(fdb, 1, 4, 0);
	assert_int_equal(fdb_add_static(fdb, key(1), 3), 0);
	assert_int_equal(fdb_find(fdb, key(1), UINT64_MAX), 3);
	assert_int_equal(fdb->n, 1);
}

static void test_a_table_full_of_static_addresses_learns_nothing(void **state)
{
	struct fdb *fdb = *state;
	learn(fdb, 100, 1, 0);
	for (unsigned i = 0; i < CAPACITY; i++)
		assert_int_equal(
			fdb_add_static(fdb, key(i), 1), 0); /* pushes out the learned one */
	assert_int_equal(fdb_find(fdb, key(100), 0), PORT_NONE);
	assert_int_equal(fdb_add_static(fdb, key(99), 1), -ENOSPC);
	assert_int_equal(learn(fdb, 101, 2, 0), FDB_NEW);
	assert_int_equal(fdb_find(fdb, key(101), 0), PORT_NONE);
	fdb_remove_static(fdb, key(0), 1);
	learn(fdb, 101, 2, 0);
	assert_int_equal(fdb_find(fdb, key(101), 0), 2);
}

static void test_flooding_port_evicts_only_its_own_addresses(void **state)
{
	struct fdb *fdb = *state;
	learn(fdb, 1, 1, 0);
	learn(fdb, 2, 3, 0);
	for (unsigned i = 0; i < 3 * CAPACITY; i++)
		learn(fdb, 100 + i, 2, i);
	assert_int_equal(fdb_find(fdb, key(1), 3 * CAPACITY), 1);
	assert_int_equal(fdb_find(fdb, key(2), 3 * CAPACITY), 3);
	assert_int_equal(fdb->ports[2].n, CAPACITY - 2);
	/* and the oldest of them first */
	assert_int_equal(fdb_find(fdb, key(100 + 2 * CAPACITY + 1), 3 * CAPACITY), PORT_NONE);
	assert_int_equal(fdb_find(fdb, key(100 + 2 * CAPACITY + 2), 3 * CAPACITY), 2);
}

static void test_a_newcomer_takes_from_the_port_that_holds_most(void **state)
{
	struct fdb *fdb = *state;
	learn(fdb, 1, 1, 0);
	for (unsigned i = 0; i < CAPACITY; i++)
		learn(fdb, 100 + i, 2, i + 1);
	learn(fdb, 3, 3, 20);
	assert_int_equal(fdb_find(fdb, key(1), 20), 1);
	assert_int_equal(fdb_find(fdb, key(3), 20), 3);
	assert_int_equal(fdb->ports[2].n, CAPACITY - 2);
}

static void test_no_port_takes_from_one_that_holds_no_more_than_itself(void **state)
{
	struct fdb *fdb = *state; /* static addresses make the equal shares smaller */
	for (unsigned i = 0; i < 4; i++)
		fdb_add_static(fdb, key(100 + i), 9);
	learn(fdb, 1, 1, 0);
	learn(fdb, 2, 1, 0);
	for (unsigned i = 0; i < 10; i++)
		learn(fdb, 10 + i, 2, i);
	assert_int_equal(fdb_find(fdb, key(1), 10), 1);
	assert_int_equal(fdb_find(fdb, key(2), 10), 1);
	assert_int_equal(fdb->ports[2].n, 2);
}

static void test_forgetting_a_port_forgets_all_of_it(void **state)
{
	struct fdb *fdb = *state;
	learn(fdb, 1, 1, 0);
	learn(fdb, 2, 2, 0);
	learn(fdb, 3, 1, 0);
	fdb_add_static(fdb, key(4), 1);
	fdb_add_static(fdb, key(5), 2);
	fdb_forget_port(fdb, 1);
	assert_int_equal(fdb->n, 2);
	assert_int_equal(fdb_find(fdb, key(1), 0), PORT_NONE);
	assert_int_equal(fdb_find(fdb, key(4), 0), PORT_NONE);
	assert_int_equal(fdb_find(fdb, key(2), 0), 2);
	assert_int_equal(fdb_find(fdb, key(5), 0), 2);
	fdb_forget_port(fdb, FDB_PORTS - 1); /* holds nothing */
	assert_int_equal(fdb->n, 2);
}

static void test_lists_are_in_order_and_in_pages(void **state)
{
	struct fdb *fdb = *state;
	struct fdb_info rows[CAPACITY];
	bool more;
	for (unsigned i = 5; i >= 1; i--)
		learn(fdb, 256 * i, (uint16_t)i, 1000 * i); /* the fifth byte: memcmp's order */
	fdb_add_static(fdb, key(3), 7);
	learn(fdb, 9, 1, 0); /* will have aged */

	const uint64_t now = FDB_AGE_MS + 1000;
	assert_int_equal(fdb_list(fdb, NULL, 0, now, rows, 4, &more), 4);
	assert_true(more);
	assert_memory_equal(rows[0].mac.b, "\x02\0\0\0\0\x03", 6);
	assert_true(rows[0].is_static);
	assert_int_equal(rows[0].port, 7);
	assert_int_equal(rows[0].age_ms, 0);
	assert_memory_equal(rows[1].mac.b, "\x02\0\0\0\x01\0", 6);
	assert_false(rows[1].is_static);
	assert_int_equal(rows[1].age_ms, FDB_AGE_MS);

	assert_int_equal(fdb_list(fdb, &rows[3].mac, 0, now, rows, 4, &more), 2);
	assert_false(more);
	assert_memory_equal(rows[0].mac.b, "\x02\0\0\0\x04\0", 6);
	assert_int_equal(fdb_list(fdb, &rows[1].mac, 0, now, rows, 4, &more), 0);
	assert_false(more);
	assert_int_equal(fdb_list(fdb, NULL, 0, now, rows, 6, &more), 6); /* exactly all */
	assert_false(more);
}

static void test_an_empty_table_lists_nothing(void **state)
{
	struct fdb_info row;
	bool more = true;
	assert_int_equal(fdb_list(*state, NULL, 0, 0, &row, 1, &more), 0);
	assert_false(more);
}

static void test_a_table_of_one_works(void **state)
{
	(void)state;
	struct fdb *fdb = malloc(sizeof(*fdb));
	assert_int_equal(fdb_init(fdb, 1, SEED), 0);
	learn(fdb, 1, 1, 0);
	learn(fdb, 2, 2, 0);
	assert_int_equal(fdb_find(fdb, key(1), 0), PORT_NONE);
	assert_int_equal(fdb_find(fdb, key(2), 0), 2);
	fdb_fini(fdb);
	free(fdb);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_address_is_a_key_and_back),
		T(test_an_address_is_found_where_it_was_heard),
		T(test_an_address_moves_and_tells_from_where),
		T(test_an_address_ages_300_seconds_after_it_was_heard),
		T(test_hearing_an_address_again_keeps_it),
		T(test_expiry_forgets_what_is_too_old),
		T(test_a_static_address_elsewhere_is_spoofed),
		T(test_a_learned_address_becomes_static),
		T(test_a_table_full_of_static_addresses_learns_nothing),
		T(test_flooding_port_evicts_only_its_own_addresses),
		T(test_a_newcomer_takes_from_the_port_that_holds_most),
		T(test_no_port_takes_from_one_that_holds_no_more_than_itself),
		T(test_forgetting_a_port_forgets_all_of_it),
		T(test_lists_are_in_order_and_in_pages),
		T(test_an_empty_table_lists_nothing),
		cmocka_unit_test(test_a_table_of_one_works),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
