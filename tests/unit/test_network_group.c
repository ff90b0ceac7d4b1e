/* test_network_group.c - server/core/network_group.c: what clients and the host want, what is told
 * and listed. */
#include "tests/support/test.h"

#include <errno.h>

#include "tests/support/groupnet.h"

/* -- clients that say what they want -- */

static void test_a_client_that_joins_gets_its_groups_alone(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(join(f, 2, V4, 7), 0);
	assert_int_equal(join(f, 2, V4, 7), 0); /* twice is once */
	data(f, V4, 1, 7);
	got(f, "h2");
	data(f, V4, 1, 8);
	got(f, "h34");
	data(f, V6, 1, 7);
	got(f, "h34");
	data_to(f, 1, mac_n(BROADCAST), 0x0806);
	got(f, "h234");
	assert_int_equal(join(f, 2, V6, 9), 0);
	assert_int_equal(drop(f, 2, V4, 7), 0);
	data(f, V4, 1, 7);
	got(f, "h34");
	assert_int_equal(drop(f, 2, V4, 7), -ENOENT);
	data(f, V6, 1, 9);
	got(f, "h2");
	assert_int_equal(drop(f, 2, V6, 9), 0);
	data(f, V6, 1, 9); /* it still is one that chooses */
	got(f, "h34");
	network_groups_all(f->fn.net, 2, true);
	data(f, V6, 1, 9);
	got(f, "h234");
	network_groups_all(f->fn.net, 2, false);
	data(f, V6, 1, 9);
	got(f, "h34");
}

static void test_what_a_client_joined_no_leave_and_no_time_ends(void **state)
{
	struct fixture *f = *state;
	join(f, 2, V4, 7);
	report(f, V4, 2, 7);
	report(f, V4, 2, 8);
	leave(f, V4, 2, 7);
	query(f, V4, 4, 9);
	for (unsigned i = 0; i < 4; i++) {
		wait_ms(f, 125000);
		query(f, V4, 4, 9);
	}
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h24");
	data(f, V4, 1, 8); /* nobody known; and 2 chooses */
	got(f, "h34");
	report(f, V4, 2, 7);
	assert_int_equal(drop(f, 2, V4, 7), 0); /* a guest behind it is still in */
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h24");
}

static void test_joins_that_are_wrong_say_why(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	const struct feth_mac group = mgroup_mac(V4, 7);
	assert_int_equal(network_group_join(f->fn.net, 2, mac_n(7), &err), -EINVAL);
	assert_string_equal(err.text,
		"lab: a group is an address whose first byte is odd; this is a station's");
	assert_int_equal(network_group_join(f->fn.net, 9, group, &err), -ENOENT);
	assert_string_equal(err.text, "lab: port 9 has no client");
	assert_int_equal(network_group_join(f->fn.net, PORT_HOST, group, &err), -ENOENT);
	assert_int_equal(network_group_join(f->fn.net, PORT_NONE, group, &err), -ENOENT);
	assert_int_equal(network_group_leave(f->fn.net, 9, group, &err), -ENOENT);
	assert_int_equal(network_group_leave(f->fn.net, 2, group, &err), -ENOENT);
	assert_string_equal(err.text, "lab: port b has not joined that group");
	network_groups_all(f->fn.net, 9, true);
	network_groups_all(f->fn.net, PORT_NONE, true);
	for (unsigned i = 0; i < 896; i++) {
		assert_int_equal(join(f, 2, V4, i), 0);
		f->fn.groups[0] = '\0';
	}
	assert_int_equal(network_group_join(f->fn.net, 3, mgroup_mac(V4, 896), &err), -ENOSPC);
	assert_string_equal(err.text, "lab: no room for another group; a network has 896 without "
				      "the host's: leave one, or join \"all\"");
	data(f, V4, 1, 896);
	got(f, "h34"); /* to 3 as before */
}

static void test_a_join_alone_makes_nobody_choose(void **state)
{
	struct fixture *f = *state;
	const struct feth_mac group = mgroup_mac(V4, 7);
	assert_int_equal(network_group_join(f->fn.net, 2, group, NULL), 0);
	assert_int_equal(network_group_leave(f->fn.net, 2, group, NULL), 0);
	data(f, V4, 1, 8); /* the next of that call was refused, say */
	got(f, "h234");
	assert_int_equal(join(f, 2, V4, 7), 0);
	data(f, V4, 1, 8);
	got(f, "h34");
}

/* -- the host -- */

static void test_the_host_gets_what_its_kernel_listens_to(void **state)
{
	struct fixture *f = *state;
	const struct feth_mac macs[] = { mgroup_mac(V4, 7), mac_n(3), mgroup_mac(V6, 7) };
	network_set_host_groups(f->fn.net, macs, 2); /* the second is no group */
	assert_int_equal(f->fn.net->sw.mcast.table.n_members, 1);
	data(f, V4, 1, 7);
	got(f, "h");
	data(f, V4, 1, 8);
	got(f, "234");
	data(f, V6, 1, 7);
	got(f, "234");
	data_to(f, 1, mac_n(BROADCAST), 0x0806);
	got(f, "h234");
	network_set_host_groups(f->fn.net, macs + 1, 2);
	data(f, V4, 1, 7);
	got(f, "234");
	data(f, V6, 1, 7);
	got(f, "h");
	network_set_host_groups(f->fn.net, macs, 0); /* none at all */
	data(f, V6, 1, 7);
	got(f, "234");
	report(f, V4, 3, 8);
	network_set_host_groups(f->fn.net, NULL, 0); /* nobody knows */
	clear(f);
	data(f, V4, 1, 8);
	got(f, "h3");
	data(f, V6, 1, 7);
	got(f, "h234");
}

static void test_reports_through_the_host_side_count_too(void **state)
{
	struct fixture *f = *state;
	const struct feth_mac macs[] = { mgroup_mac(V4, 7) };
	network_set_host_groups(f->fn.net, macs, 1);
	report(f, V4, 0, 7);
	report(f, V4, 0, 8); /* from behind a bridge, say */
	clear(f);
	data(f, V4, 1, 8);
	got(f, "h");
	network_set_host_groups(f->fn.net, macs, 0);
	data(f, V4, 1, 7); /* perhaps somebody behind it */
	got(f, "h");
	f->p[1].log[0] = '\0';
	wait_ms(f, 2000);
	assert_string_equal(f->p[1].log, ""); /* the host side is asked, and nobody else */
	data(f, V4, 1, 7);
	got(f, "h");
	wait_ms(f, 1000);
	data(f, V4, 1, 7);
	got(f, "234");
	data(f, V4, 1, 8);
	got(f, "h");
}

static void test_more_groups_than_there_is_room_for_is_not_known(void **state)
{
	struct fixture *f = *state;
	static struct feth_mac macs[1025];
	for (unsigned i = 0; i < 1025; i++)
		macs[i] = mgroup_mac(V6, i);
	network_set_host_groups(f->fn.net, macs, 1025);
	data(f, V4, 1, 7);
	got(f, "h234");
	network_set_host_groups(f->fn.net, macs, 1024);
	data(f, V4, 1, 7);
	got(f, "234");
	data(f, V6, 1, 1023);
	got(f, "h");
	network_set_host_groups(f->fn.net, macs, 0);
	assert_int_equal(f->fn.net->sw.mcast.table.n_members, 0);
	assert_int_equal(f->fn.net->sw.mcast.table.n_groups, 0);
}

/* -- what is told -- */

static void told(struct fixture *f, const char *want)
{
	assert_string_equal(f->fn.groups, want);
	f->fn.groups[0] = '\0';
}

static void test_the_first_member_and_the_last_are_told(void **state)
{
	struct fixture *f = *state;
	const struct feth_mac macs[] = { mgroup_mac(V4, 7) };
	report(f, V4, 2, 7);
	told(f, "+01005e010007=2 ");
	report(f, V4, 2, 7);
	told(f, "");
	join(f, 3, V4, 7);
	told(f, "+01005e010007 ");
	network_set_host_groups(f->fn.net, macs, 1);
	told(f, "");
	leave(f, V4, 2, 7);
	told(f, "");
	wait_ms(f, 3000);
	told(f, "");
	network_set_host_groups(f->fn.net, macs, 0);
	told(f, "+01005e010007=3 "); /* whoever tunnels from 3 wants it no more */
	fake_detach(&f->p[3]);
	told(f, "-01005e010007 ");
	network_set_host_groups(f->fn.net, macs, 1);
	told(f, "+01005e010007=0 ");
	join(f, 4, V6, 7);
	told(f, "+333300010007=4 ");
	drop(f, 4, V6, 7);
	told(f, "-333300010007 ");
	join(f, 4, V6, 7);
	network_groups_all(f->fn.net, 4, true); /* in no group by that */
	told(f, "+333300010007=4 ");
	report(f, V6, 4, 8);
	f->fn.groups[0] = '\0';
	configure(f, MCAST_FLOOD, false, false);
	told(f, "-333300010008 ");
}

static void row_is(const struct group_row *row, struct feth_mac group, unsigned port, unsigned how,
	uint32_t age_ms, uint32_t expires_ms)
{
	assert_memory_equal(row->group.b, group.b, 6);
	assert_int_equal(row->port, port);
	assert_int_equal(row->how, how);
	assert_int_equal(row->age_ms, age_ms);
	assert_int_equal(row->expires_ms, expires_ms);
}

static void test_members_are_listed_in_order_with_why_and_how_long(void **state)
{
	struct fixture *f = *state;
	const struct feth_mac none = { { 0 } }, routers4 = { { 1, 0, 0x5e } },
			      routers6 = { { 0x33, 0x33 } };
	const struct feth_mac macs[] = { mgroup_mac(V4, 7) };
	struct group_row all[16], rows[16];
	network_tick(f->fn.net, f->fn.now_ms);
	join(f, 3, V4, 7);
	report(f, V6, 2, 7);
	report(f, V4, 2, 7);
	report(f, V4, 3, 7);
	wait_ms(f, 5000);
	query(f, V4, 1, 9);
	wait_ms(f, 2000);
	report(f, V4, 4, 8);
	leave(f, V4, 4, 8);
	network_set_host_groups(f->fn.net, macs, 1);
	network_groups_all(f->fn.net, 4, true);
	query(f, V6, 4, 9);
	const unsigned n = network_group_list(f->fn.net, none, 0, false, all, 16);
	assert_int_equal(n, 8);
	row_is(&all[0], none, 4, GROUP_ALL, 0, 0);
	row_is(&all[1], routers4, 1, GROUP_ROUTER, 0, 253000);
	row_is(&all[2], mgroup_mac(V4, 7), 0, GROUP_HOST, 0, 0);
	row_is(&all[3], mgroup_mac(V4, 7), 2, GROUP_SNOOPED, 7000, 258000);
	row_is(&all[4], mgroup_mac(V4, 7), 3, GROUP_RPC | GROUP_SNOOPED, 7000, 0);
	row_is(&all[5], mgroup_mac(V4, 8), 4, GROUP_SNOOPED, 0, 2000);
	row_is(&all[6], routers6, 4, GROUP_ROUTER, 0, 255000);
	row_is(&all[7], mgroup_mac(V6, 7), 2, GROUP_SNOOPED, 7000, 260000);

	for (unsigned size = 1; size < 9; size++) { /* in pages of any size it is the same list */
		unsigned at = 0, got_n;
		struct feth_mac after = none;
		uint16_t port = 0;
		do {
			got_n = network_group_list(f->fn.net, after, port, at > 0, rows, size);
			for (unsigned i = 0; i < got_n; i++)
				row_is(&rows[i], all[at + i].group, all[at + i].port,
					all[at + i].how, all[at + i].age_ms,
					all[at + i].expires_ms);
			at += got_n;
			after = all[at - 1].group;
			port = all[at - 1].port;
		} while (got_n == size);
		assert_int_equal(at, 8);
	}
	assert_int_equal(/* the rest of that group is passed over */
		network_group_list(f->fn.net, mgroup_mac(V4, 7), PORT_NONE, true, rows, 16), 3);
	assert_int_equal(/* one that has gone meanwhile: all of the next */
		network_group_list(f->fn.net, mgroup_mac(V4, 6), 3, true, rows, 16), 6);
	assert_int_equal(rows[0].port, 0);
	for (unsigned i = 0; i < 252; i++)
		wait_ms(f, 1000);
	query(f, V4, 1, 9); /* 252 s later; the reports of 7 end at 260 */
	wait_ms(f, 5500);
	leave(f, V4, 2, 7);
	assert_int_equal(network_group_list(f->fn.net, mgroup_mac(V4, 7), 0, true, rows, 16), 3);
	row_is(&rows[0], mgroup_mac(V4, 7), 2, GROUP_SNOOPED, 264500, 500);
	const struct feth_mac last = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	assert_int_equal(network_group_list(f->fn.net, last, 0, true, rows, 16), 0);
	assert_int_equal(network_group_list(f->fn.net, none, 0, false, rows, 0), 0);
}

static void test_a_group_of_a_routers_row_is_in_one_row_with_it(void **state)
{
	struct fixture *f = *state;
	const struct feth_mac mac = { { 1, 0, 0x5e } }, none = { { 0 } }; /* of 239.0.0.0, say */
	struct group_row rows[4];
	query(f, V4, 2, 9);
	assert_int_equal(network_group_join(f->fn.net, 2, mac, NULL), 0);
	assert_int_equal(network_group_join(f->fn.net, 3, mac, NULL), 0);
	assert_int_equal(network_group_list(f->fn.net, none, 0, false, rows, 4), 2);
	assert_int_equal(rows[0].how, GROUP_RPC | GROUP_ROUTER);
	assert_int_equal(rows[1].how, GROUP_RPC);
}

static void test_slow_members_share_one_copy(void **state)
{
	struct fixture *f = *state;
	struct block_pool *pool = network_pool(f->fn.net);
	report(f, V4, 2, 7);
	report(f, V4, 3, 7);
	f->p[2].slow = f->p[3].slow = f->p[4].slow = true;
	uint8_t buf[600];
	struct frame frame = eth_frame(buf, 1, 1, 0x0800, sizeof(buf), 'x');
	memcpy(buf, mgroup_mac(V4, 7).b, 6);
	fake_batch(&f->fn, &f->p[1], &frame, 1);
	assert_int_equal(pool->used, 600);
	assert_ptr_equal(f->p[2].q.frames.first->block, f->p[3].q.frames.first->block);
	assert_null(f->p[4].q.frames.first);
	fake_detach(&f->p[2]);
	fake_detach(&f->p[3]);
	assert_int_equal(pool->used, 0);
}

static void test_a_private_switch_has_no_host_among_its_members(void **state)
{
	(void)state;
	struct fakenet fn;
	struct fake_port a = { 0 }, b = { 0 };
	const struct feth_mac macs[] = { mgroup_mac(V4, 7) }, none = { { 0 } };
	struct group_row row;
	uint8_t buf[60];
	assert_int_equal(fakenet_open(&fn, false, 1500), 0);
	fake_attach(&fn, &a, "", 0, false, NULL);
	fake_attach(&fn, &b, "", 0, false, NULL);
	network_set_host_groups(fn.net, macs, 1);
	assert_int_equal(network_group_list(fn.net, none, 0, false, &row, 1), 0);
	struct frame frame = data_frame(buf, macs[0], 0x0800);
	fake_batch(&fn, &a, &frame, 1);
	assert_string_equal(b.log, "x|");
	network_group_join(fn.net, b.port.id, macs[0], NULL);
	fake_batch(&fn, &b, &frame, 1);
	assert_string_equal(a.log, "");
	assert_int_equal(network_multicast_stats(fn.net)->unwanted, 1);
	assert_int_equal(fn.net->host_side.stats.drops[DROP_HOST_REFUSED], 0);
	fake_detach(&a);
	fake_detach(&b);
	fakenet_close(&fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_client_that_joins_gets_its_groups_alone),
		T(test_what_a_client_joined_no_leave_and_no_time_ends),
		T(test_joins_that_are_wrong_say_why),
		T(test_a_join_alone_makes_nobody_choose),
		T(test_the_host_gets_what_its_kernel_listens_to),
		T(test_reports_through_the_host_side_count_too),
		T(test_more_groups_than_there_is_room_for_is_not_known),
		T(test_the_first_member_and_the_last_are_told),
		T(test_members_are_listed_in_order_with_why_and_how_long),
		T(test_a_group_of_a_routers_row_is_in_one_row_with_it),
		T(test_slow_members_share_one_copy),
		cmocka_unit_test(test_a_private_switch_has_no_host_among_its_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
