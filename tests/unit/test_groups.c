/* test_groups.c - server/core/groups.c: a set in order, its bound, and what joined and left. */
#include "tests/support/test.h"

#include <errno.h>
#include <string.h>

#include "server/core/groups.h"

static struct feth_mac mac(unsigned n)
{
	return (struct feth_mac){ { 1, 0, 0x5e, (uint8_t)(n >> 16), (uint8_t)(n >> 8),
		(uint8_t)n } };
}

static void put(struct groups *g, const unsigned *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		(void)groups_put(g, mac(list[i]));
}
#define PUT(g, ...)                                                                                \
	put(g, (const unsigned[]){ __VA_ARGS__ },                                                  \
		sizeof((const unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned))

static void assert_groups(const struct groups *g, const unsigned *list, unsigned n)
{
	assert_int_equal(g->n, n);
	assert_int_equal(g->total, n);
	for (unsigned i = 0; i < n; i++)
		assert_memory_equal(g->mac[i].b, mac(list[i]).b, 6);
}
#define ASSERT_GROUPS(g, ...)                                                                      \
	assert_groups(g, (const unsigned[]){ __VA_ARGS__ },                                        \
		sizeof((const unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned))

static void test_a_group_has_the_first_bit_of_the_wire(void **state)
{
	(void)state;
	assert_true(groups_is((struct feth_mac){ { 0x01, 0, 0x5e, 0, 0, 1 } }));
	assert_true(groups_is((struct feth_mac){ { 0x33, 0x33, 0, 0, 0, 1 } }));
	assert_true(groups_is((struct feth_mac){ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } }));
	assert_false(groups_is((struct feth_mac){ { 0x02, 0xff, 0xff, 0xff, 0xff, 0xff } }));
	assert_false(groups_is((struct feth_mac){ { 0 } }));
}

static void test_whatever_the_order_the_list_is_ascending(void **state)
{
	(void)state;
	struct groups g = { 0 };
	PUT(&g, 3, 1, 0x20000, 2, 0x300, 5, 4);
	ASSERT_GROUPS(&g, 1, 2, 3, 4, 5, 0x300, 0x20000);
	assert_true(groups_has(&g, mac(0x300)));
	assert_false(groups_has(&g, mac(0x301)));
	assert_false(groups_has(&g, mac(0)));
	assert_false(groups_has(&g, mac(0x20001)));
}

static void test_what_is_there_is_not_put_again(void **state)
{
	(void)state;
	struct groups g = { 0 };
	assert_false(groups_has(&g, mac(7)));
	assert_true(groups_put(&g, mac(7)));
	assert_true(groups_has(&g, mac(7)));
	assert_false(groups_put(&g, mac(7)));
	assert_true(groups_put(&g, mac(6)));
	assert_false(groups_put(&g, mac(7)));
	ASSERT_GROUPS(&g, 6, 7);
}

static void test_a_full_set_keeps_the_lowest_and_counts_all(void **state)
{
	(void)state;
	struct groups g = { 0 };
	for (unsigned i = GROUPS_MAX; i-- > 0;)
		assert_true(groups_put(&g, mac(2 * i + 10)));
	assert_int_equal(g.n, GROUPS_MAX);
	assert_int_equal(g.total, GROUPS_MAX);

	assert_false(groups_put(&g, mac(2 * GROUPS_MAX + 10))); /* above all */
	assert_int_equal(g.n, GROUPS_MAX);
	assert_int_equal(g.total, GROUPS_MAX + 1);
	assert_memory_equal(g.mac[GROUPS_MAX - 1].b, mac(2 * GROUPS_MAX + 8).b, 6);

	assert_true(groups_put(&g, mac(11))); /* between the lowest: the highest goes */
	assert_int_equal(g.n, GROUPS_MAX);
	assert_int_equal(g.total, GROUPS_MAX + 2);
	assert_memory_equal(g.mac[1].b, mac(11).b, 6);
	assert_memory_equal(g.mac[2].b, mac(12).b, 6);
	assert_memory_equal(g.mac[GROUPS_MAX - 1].b, mac(2 * GROUPS_MAX + 6).b, 6);

	assert_true(groups_put(&g, mac(2 * GROUPS_MAX + 5))); /* in the last place */
	assert_memory_equal(g.mac[GROUPS_MAX - 1].b, mac(2 * GROUPS_MAX + 5).b, 6);
	assert_false(groups_put(&g, mac(10))); /* there, in a full one */
	assert_int_equal(g.total, GROUPS_MAX + 3);
}

static void test_joined_and_left(void **state)
{
	(void)state;
	struct groups was = { 0 }, is = { 0 }, joined, left;
	memset(&joined, 0xff, sizeof(joined)); /* what was there before does not matter */
	memset(&left, 0xff, sizeof(left));
	PUT(&was, 2, 4, 6, 8);
	PUT(&is, 1, 4, 5, 8, 9);
	groups_compare(&was, &is, &joined, &left);
	ASSERT_GROUPS(&joined, 1, 5, 9);
	ASSERT_GROUPS(&left, 2, 6);

	groups_compare(&was, &was, &joined, &left);
	assert_int_equal(joined.n + left.n + joined.total + left.total, 0);
}

static void test_from_none_and_to_none(void **state)
{
	(void)state;
	struct groups none = { 0 }, some = { 0 }, joined, left;
	PUT(&some, 3, 1, 2);
	groups_compare(&none, &some, &joined, &left);
	ASSERT_GROUPS(&joined, 1, 2, 3);
	assert_int_equal(left.n, 0);
	groups_compare(&some, &none, &joined, &left);
	ASSERT_GROUPS(&left, 1, 2, 3);
	assert_int_equal(joined.n, 0);
	groups_compare(&none, &none, &joined, &left);
	assert_int_equal(joined.n + left.n, 0);
}

static void test_all_of_a_full_set_may_change(void **state)
{
	(void)state;
	struct groups was = { 0 }, is = { 0 }, joined, left;
	for (unsigned i = 0; i < GROUPS_MAX; i++) {
		(void)groups_put(&was, mac(2 * i));
		(void)groups_put(&is, mac(2 * i + 1));
	}
	groups_compare(&was, &is, &joined, &left);
	assert_memory_equal(joined.mac, is.mac, sizeof(is.mac));
	assert_memory_equal(left.mac, was.mac, sizeof(was.mac));
	assert_int_equal(joined.total, GROUPS_MAX);
	assert_int_equal(left.total, GROUPS_MAX);
}

static void test_the_lowest_are_given_and_how_many_there_are(void **state)
{
	(void)state;
	struct groups g = { 0 };
	struct feth_mac out[4];
	memset(out, 0xee, sizeof(out));
	PUT(&g, 3, 1, 2);
	assert_int_equal(groups_give(&g, out, 2), 3);
	assert_memory_equal(out, g.mac, 2 * sizeof(out[0]));
	assert_int_equal(out[2].b[0], 0xee);
	assert_int_equal(groups_give(&g, out, 4), 3);
	assert_memory_equal(out, g.mac, 3 * sizeof(out[0]));
	assert_int_equal(out[3].b[0], 0xee);
	assert_int_equal(groups_give(&g, NULL, 0), 3);
}

/* A backend that has as many groups as it is told. */
static int has;

static int some_groups(const char *host, struct feth_mac *out, unsigned max)
{
	assert_string_equal(host, "feth101");
	for (int i = 0; i < has && (unsigned)i < max; i++)
		out[i] = mac((unsigned)i);
	return has;
}

static const struct hostif_ops backend = { .name = "some", .groups = some_groups };

static void test_a_backend_is_asked(void **state)
{
	(void)state;
	struct groups g = { 0 };
	has = 2;
	assert_int_equal(groups_read(&g, &backend, "feth101"), 0);
	ASSERT_GROUPS(&g, 0, 1);
	has = -ENODEV;
	assert_int_equal(groups_read(&g, &backend, "feth101"), -ENODEV);
	ASSERT_GROUPS(&g, 0, 1); /* as it was */
	has = GROUPS_MAX + 7;
	assert_int_equal(groups_read(&g, &backend, "feth101"), 0);
	assert_int_equal(g.n, GROUPS_MAX);
	assert_int_equal(g.total, GROUPS_MAX + 7);
	has = 0;
	assert_int_equal(groups_read(&g, &backend, "feth101"), 0);
	assert_int_equal(g.n + g.total, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_group_has_the_first_bit_of_the_wire),
		cmocka_unit_test(test_whatever_the_order_the_list_is_ascending),
		cmocka_unit_test(test_what_is_there_is_not_put_again),
		cmocka_unit_test(test_a_full_set_keeps_the_lowest_and_counts_all),
		cmocka_unit_test(test_joined_and_left),
		cmocka_unit_test(test_from_none_and_to_none),
		cmocka_unit_test(test_all_of_a_full_set_may_change),
		cmocka_unit_test(test_the_lowest_are_given_and_how_many_there_are),
		cmocka_unit_test(test_a_backend_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
