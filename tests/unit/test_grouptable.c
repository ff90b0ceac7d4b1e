/* test_grouptable.c - server/core/grouptable.c: members and their reasons, news, order, limits. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/grouptable.h"
#include "tests/support/eth.h"

static mac_key group_key(unsigned n)
{
	const uint8_t b[6] = { 0x33, 0x33, 0, 0, (uint8_t)(n >> 8), (uint8_t)n };
	return mac_key_at(b);
}

static int setup(void **state)
{
	struct grouptable *t = malloc(sizeof(*t));
	*state = t;
	return grouptable_init(t, 0x5eed);
}

static int teardown(void **state)
{
	grouptable_fini(*state);
	free(*state);
	return 0;
}

static struct member *find(const struct grouptable *t, unsigned group, uint16_t port)
{
	const uint16_t g = grouptable_find(t, group_key(group));
	return g == GROUPTABLE_NONE ? NULL : grouptable_member(t, g, port);
}

static struct member *add(struct grouptable *t, unsigned group, uint16_t port, uint8_t how)
{
	return grouptable_add(t, group_key(group), port, how, 1000);
}

/* Takes all the news there are; the last of them is looked at. */
static unsigned news(struct grouptable *t, bool *joined, uint16_t *only)
{
	struct feth_mac mac;
	unsigned n = 0;
	while (grouptable_news(t, &mac, joined, only))
		n++;
	return n;
}

static void test_a_port_is_in_a_group_until_its_last_reason_goes(void **state)
{
	struct grouptable *t = *state;
	assert_null(find(t, 1, 5));
	add(t, 1, 5, GROUP_RPC);
	add(t, 1, 5, GROUP_SNOOPED);
	add(t, 1, 6, GROUP_SNOOPED);
	assert_int_equal(t->n_members, 2);
	assert_int_equal(find(t, 1, 5)->how, GROUP_RPC | GROUP_SNOOPED);
	grouptable_drop(t, find(t, 1, 5), GROUP_RPC);
	assert_int_equal(find(t, 1, 5)->how, GROUP_SNOOPED);
	grouptable_drop(t, find(t, 1, 5), GROUP_RPC | GROUP_SNOOPED);
	assert_null(find(t, 1, 5));
	assert_non_null(find(t, 1, 6));
	assert_int_equal(t->per_port[5], 0);
	assert_int_equal(t->per_port[6], 1);
	grouptable_drop(t, find(t, 1, 6), GROUP_RPC); /* which it was not in for */
	assert_int_equal(t->per_port[6], 1);
}

static void test_a_report_takes_a_leave_back_and_a_call_does_not(void **state)
{
	struct grouptable *t = *state;
	struct member *m = add(t, 1, 5, GROUP_SNOOPED);
	m->leave_ms = 77;
	grouptable_add(t, group_key(1), 5, GROUP_RPC, 2000);
	assert_int_equal(m->leave_ms, 77);
	assert_int_equal(m->heard_ms, 1000);
	grouptable_add(t, group_key(1), 5, GROUP_SNOOPED, 3000);
	assert_int_equal(m->leave_ms, 0);
	assert_int_equal(m->heard_ms, 3000);
}

static void test_news_are_of_none_one_and_several(void **state)
{
	struct grouptable *t = *state;
	bool joined;
	uint16_t only;
	assert_int_equal(news(t, &joined, &only), 0);
	add(t, 1, 5, GROUP_RPC);
	assert_int_equal(news(t, &joined, &only), 1);
	assert_true(joined);
	assert_int_equal(only, 5);
	add(t, 1, 5, GROUP_SNOOPED); /* the same port, another reason */
	assert_int_equal(news(t, &joined, &only), 0);
	add(t, 1, PORT_HOST, GROUP_HOST);
	assert_int_equal(news(t, &joined, &only), 1);
	assert_true(joined);
	assert_int_equal(only, PORT_NONE);
	add(t, 1, 7, GROUP_RPC); /* two or three */
	assert_int_equal(news(t, &joined, &only), 0);
	grouptable_drop(t, find(t, 1, 7), GROUP_RPC);
	grouptable_drop(t, find(t, 1, 5), GROUP_RPC | GROUP_SNOOPED);
	assert_int_equal(news(t, &joined, &only), 1);
	assert_true(joined);
	assert_int_equal(only, PORT_HOST);
	grouptable_drop(t, find(t, 1, PORT_HOST), GROUP_HOST);
	assert_int_equal(news(t, &joined, &only), 1);
	assert_false(joined);
	assert_int_equal(only, PORT_NONE);
	assert_int_equal(t->n_groups, 0);
}

static void test_what_came_and_went_is_no_news_and_leaves_nothing(void **state)
{
	struct grouptable *t = *state;
	bool joined;
	uint16_t only;
	add(t, 1, 5, GROUP_RPC);
	grouptable_drop(t, find(t, 1, 5), GROUP_RPC);
	add(t, 1, 6, GROUP_RPC); /* the group is still there, with its number */
	grouptable_drop(t, find(t, 1, 6), GROUP_RPC);
	assert_int_equal(t->n_groups, 1);
	assert_int_equal(news(t, &joined, &only), 0);
	assert_int_equal(t->n_groups, 0);
	assert_int_equal(grouptable_find(t, group_key(1)), GROUPTABLE_NONE);
}

static void test_groups_come_in_the_order_of_their_bytes(void **state)
{
	struct grouptable *t = *state;
	const unsigned order[] = { 0x0100, 0x00ff, 0x0001, 0xff00, 0x0101 };
	const unsigned sorted[] = { 0x0001, 0x00ff, 0x0100, 0x0101, 0xff00 };
	for (unsigned i = 0; i < 5; i++)
		add(t, order[i], 3, GROUP_RPC);
	add(t, 0x0050, 3, GROUP_RPC); /* one without members is not there */
	grouptable_drop(t, find(t, 0x0050, 3), GROUP_RPC);
	struct feth_mac from = { { 0 } };
	for (unsigned i = 0; i < 5; i++) {
		const uint16_t g = grouptable_next(t, &from);
		assert_int_not_equal(g, GROUPTABLE_NONE);
		from = mac_of_key(t->groups[g].key);
		assert_int_equal(from.b[4] << 8 | from.b[5], sorted[i]);
		assert_int_equal(grouptable_next(t, &from), g); /* itself too */
		from.b[5]++; /* none of them ends in ff but one, whose next is the same */
		if (!from.b[5])
			from.b[4]++;
	}
	assert_int_equal(grouptable_next(t, &from), GROUPTABLE_NONE);
}

static void test_reports_leave_room_for_clients_and_the_host(void **state)
{
	struct grouptable *t = *state;
	unsigned n = 0;
	while (add(t, n, (uint16_t)(1 + n / 200), GROUP_SNOOPED))
		n++;
	assert_int_equal(n, 768);
	assert_non_null(add(t, 5, 100, GROUP_SNOOPED)); /* a group that is there */
	for (; n < 896; n++)
		assert_non_null(add(t, n, n % 2 ? PORT_HOST : 50, n % 2 ? GROUP_HOST : GROUP_RPC));
	assert_null(add(t, n, 51, GROUP_RPC));
	for (; n < 1024; n++) /* the host's alone */
		assert_non_null(add(t, n, PORT_HOST, GROUP_HOST));
	assert_null(add(t, n, 51, GROUP_RPC));
	assert_null(add(t, n, PORT_HOST, GROUP_HOST));
	assert_non_null(add(t, n - 1, 51, GROUP_RPC));
}

static void test_a_port_reports_256_groups_and_joins_and_the_host_are_not_counted(void **state)
{
	struct grouptable *t = *state;
	unsigned n = 0;
	while (add(t, n, 1, GROUP_SNOOPED))
		n++;
	assert_int_equal(n, 256);
	assert_non_null(add(t, 0, 1, GROUP_SNOOPED)); /* in that one already */
	for (n = 200; n < 400; n++)
		assert_non_null(add(t, n, 1, GROUP_RPC));
	assert_null(add(t, 300, 1, GROUP_SNOOPED)); /* or it could be there when that ends */
	for (n = 0; n < 1000; n++)
		assert_non_null(add(t, n, PORT_HOST, GROUP_HOST));
	grouptable_drop(t, find(t, 0, 1), 0xff);
	assert_non_null(add(t, 999, 1, GROUP_SNOOPED));
}

static void test_members_are_bounded_and_their_room_is_used_again(void **state)
{
	struct grouptable *t = *state;
	bool joined;
	uint16_t only;
	for (unsigned round = 0; round < 3; round++) {
		unsigned n = 0;
		while (add(t, n % 16, (uint16_t)(1 + n / 16), GROUP_SNOOPED))
			n++;
		assert_int_equal(n, 12288);
		while (n < 16384 && add(t, n % 16, (uint16_t)(1 + n / 16), GROUP_RPC))
			n++;
		assert_int_equal(n, 14336);
		assert_null(add(t, 16, 1, GROUP_RPC));
		while (n < 16384 && add(t, n % 16, (uint16_t)(1 + n / 16), GROUP_HOST))
			n++;
		assert_int_equal(n, 16384);
		assert_null(add(t, 16, PORT_HOST, GROUP_HOST));
		for (n = 0; n < 16384; n++) {
			assert_non_null(find(t, n % 16, (uint16_t)(1 + n / 16)));
			grouptable_drop(t, find(t, n % 16, (uint16_t)(1 + n / 16)), 0xff);
		}
		assert_int_equal(t->n_members, 0);
		assert_int_equal(news(t, &joined, &only), 0);
		assert_int_equal(t->n_groups, 0);
	}
	assert_int_equal(t->top_members, 16384);
	assert_int_equal(t->top_groups, 16);
}

static void test_port_sets_hold_every_number(void **state)
{
	(void)state;
	struct portset set = { 0 }, other = { 0 };
	const uint16_t numbers[] = { 0, 1, 63, 64, 65, 127, 128, 1000, 1023, 1024 };
	assert_true(portset_empty(&set));
	for (unsigned i = 0; i < 10; i++)
		portset_add(&set, numbers[i]);
	unsigned from = 0;
	for (unsigned i = 0; i < 10; i++) {
		const uint16_t p = portset_next(&set, from);
		assert_int_equal(p, numbers[i]);
		from = p + 1u;
	}
	assert_int_equal(portset_next(&set, from), PORT_NONE);
	portset_put(&other, 64, true);
	portset_put(&other, 1024, true);
	portset_without(&set, &other);
	assert_false(portset_has(&set, 64));
	assert_false(portset_has(&set, 1024));
	assert_true(portset_has(&set, 1023));
	portset_join(&set, &other);
	assert_true(portset_has(&set, 64));
	portset_put(&set, 64, false);
	assert_false(portset_has(&set, 64));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_port_is_in_a_group_until_its_last_reason_goes),
		T(test_a_report_takes_a_leave_back_and_a_call_does_not),
		T(test_news_are_of_none_one_and_several),
		T(test_what_came_and_went_is_no_news_and_leaves_nothing),
		T(test_groups_come_in_the_order_of_their_bytes),
		T(test_reports_leave_room_for_clients_and_the_host),
		T(test_a_port_reports_256_groups_and_joins_and_the_host_are_not_counted),
		T(test_members_are_bounded_and_their_room_is_used_again),
		cmocka_unit_test(test_port_sets_hold_every_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
