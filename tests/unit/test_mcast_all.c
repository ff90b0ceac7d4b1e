/* test_mcast_all.c - server/core/mcast.c: what always goes to all, and what we ask all ourselves.
 */
#include "tests/support/groupnet.h"

/* -- what always goes to all -- */

/* With everything in its way: known groups, a port that chooses, a host whose groups are known. */
static void always(void **state, struct feth_mac dst, uint16_t type)
{
	struct fixture *f = *state;
	join(f, 2, V4, 7);
	report(f, V4, 3, 8);
	report(f, V6, 3, 8);
	query(f, V4, 4, 9);
	query(f, V6, 4, 9);
	network_set_host_groups(f->fn.net, (const struct feth_mac[]){ mgroup_mac(V4, 7) }, 1);
	for (unsigned policy = MCAST_SNOOP; policy <= MCAST_FLOOD; policy++) {
		configure(f, policy, false, false);
		clear(f);
		data_to(f, 1, dst, type);
		got(f, "h234");
		data_to(f, 0, dst, type);
		got(f, "1234");
	}
}

#define ALWAYS(name, type, ...)                                                                    \
	static void test_##name##_goes_to_all(void **state)                                        \
	{                                                                                          \
		always(state, (struct feth_mac){ { __VA_ARGS__ } }, type);                         \
	}

ALWAYS(decnet_hello_of_routers, 0x6003, 0xab, 0, 0, 0x03, 0, 0)
ALWAYS(decnet_hello_of_endnodes, 0x6003, 0xab, 0, 0, 0x04, 0, 0)
ALWAYS(appletalk, 0x809b, 0x09, 0, 0x07, 0xff, 0xff, 0xff)
ALWAYS(appletalk_of_a_zone, 0x809b, 0x09, 0, 0x07, 0, 0, 0x20)
ALWAYS(mdns, 0x0800, 0x01, 0, 0x5e, 0, 0, 0xfb)
ALWAYS(stp, 0x0026, 0x01, 0x80, 0xc2, 0, 0, 0)
ALWAYS(lacp, 0x8809, 0x01, 0x80, 0xc2, 0, 0, 0x02)
ALWAYS(eapol, 0x888e, 0x01, 0x80, 0xc2, 0, 0, 0x03)
ALWAYS(lldp, 0x88cc, 0x01, 0x80, 0xc2, 0, 0, 0x0e)
ALWAYS(isis_level_1, 0x0200, 0x01, 0x80, 0xc2, 0, 0, 0x14)
ALWAYS(isis_level_2, 0x0200, 0x01, 0x80, 0xc2, 0, 0, 0x15)
ALWAYS(isis_of_iso, 0x0200, 0x09, 0, 0x2b, 0, 0, 0x05)
ALWAYS(all_hosts, 0x0800, 0x01, 0, 0x5e, 0, 0, 0x01)
ALWAYS(ospf, 0x0800, 0x01, 0, 0x5e, 0, 0, 0x05)
ALWAYS(all_nodes, 0x86dd, 0x33, 0x33, 0, 0, 0, 0x01)
ALWAYS(mpls_multicast, 0x8847, 0x01, 0, 0x5e, 0x80, 0, 0x07)
ALWAYS(broadcast, 0x0806, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)

static void test_reports_of_groups_that_go_to_all_keep_nobody_out(void **state)
{
	struct fixture *f = *state;
	mpacket_report(&packet, V4, 2, 7, true);
	memcpy(packet.b + packet.msg + 4, "\xe0\x00\x00\xfb", 4); /* mDNS */
	mpacket_sum(&packet);
	put_in(f, 3, &packet);
	assert_string_equal(f->fn.groups, "+01005e0000fb=3 "); /* a tunnel wants to know */
	clear(f);
	data_to(f, 1, (struct feth_mac){ { 1, 0, 0x5e, 0, 0, 0xfb } }, 0x0800);
	got(f, "h234");
}

/* -- our own queries -- */

static unsigned asked(struct fixture *f, unsigned port)
{
	const unsigned n =
		(unsigned)strlen(f->p[port].log); /* a query ends in 0: a flush is seen */
	f->p[port].log[0] = '\0';
	return n;
}

static void test_as_querier_we_ask_all_ports_of_both_families(void **state)
{
	struct fixture *f = *state;
	wait_ms(f, 5000);
	assert_int_equal(asked(f, 1), 0);
	configure(f, MCAST_SNOOP, true, false);
	wait_ms(f, 1000);
	for (unsigned i = 1; i < 5; i++)
		assert_int_equal(asked(f, i), 2);
	wait_ms(f, 31000);
	assert_int_equal(asked(f, 1), 0);
	wait_ms(f, 1000);
	assert_int_equal(asked(f, 1), 2);
	wait_ms(f, 124000);
	assert_int_equal(asked(f, 1), 0);
	wait_ms(f, 1000);
	assert_int_equal(asked(f, 1), 2);
	report(f, V4, 3, 7); /* we are who it is for */
	got(f, "h");
	query(f, V4, 2, 9); /* another one: ours of IPv4 end, until it is gone */
	clear(f);
	wait_ms(f, 125000);
	assert_int_equal(asked(f, 1), 1);
	wait_ms(f, 125000);
	assert_int_equal(asked(f, 1), 1);
	wait_ms(f, 5000);
	assert_int_equal(asked(f, 1), 1);
	configure(f, MCAST_FLOOD, true, false);
	wait_ms(f, 300000);
	assert_int_equal(asked(f, 1), 0);
}

static void test_as_querier_reports_end_after_260_s(void **state)
{
	struct fixture *f = *state;
	report(f, V4, 2, 7);
	configure(f, MCAST_SNOOP, true, false);
	wait_ms(f, 259000);
	report(f, V4, 3, 7);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h23");
	wait_ms(f, 1000);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h3");
}

static void test_as_querier_we_ask_behind_the_port_of_a_leave_twice(void **state)
{
	struct fixture *f = *state;
	configure(f, MCAST_SNOOP, true, false);
	report(f, V6, 2, 7);
	wait_ms(f, 2000);
	clear(f);
	leave(f, V6, 2, 7);
	clear(f);
	wait_ms(f, 1000);
	assert_int_equal(asked(f, 2), 1);
	assert_int_equal(asked(f, 1), 0);
	wait_ms(f, 1000);
	assert_int_equal(asked(f, 2), 1);
	data(f, V6, 1, 7);
	got(f, "h2");
	wait_ms(f, 1000);
	assert_int_equal(asked(f, 2), 0);
	data(f, V6, 1, 7);
	got(f, "h234");
}

static void test_a_port_that_attaches_is_asked_once_where_that_is_wanted(void **state)
{
	struct fixture *f = *state;
	configure(f, MCAST_SNOOP, false, true);
	fake_detach(&f->p[2]);
	assert_int_equal(fake_attach(&f->fn, &f->p[2], "new", 0, false, NULL), 0);
	wait_ms(f, 1000);
	assert_int_equal(asked(f, 2), 2);
	assert_int_equal(asked(f, 1), 0);
	wait_ms(f, 300000);
	assert_int_equal(asked(f, 2), 0);
	query(f, V6, 1, 9); /* whom our address would make yield */
	clear(f);
	fake_detach(&f->p[2]);
	assert_int_equal(fake_attach(&f->fn, &f->p[2], "new", 0, false, NULL), 0);
	wait_ms(f, 1000);
	assert_int_equal(asked(f, 2), 1);
	configure(f, MCAST_FLOOD, false, true);
	fake_detach(&f->p[2]);
	assert_int_equal(fake_attach(&f->fn, &f->p[2], "new", 0, false, NULL), 0);
	wait_ms(f, 1000);
	assert_int_equal(asked(f, 2), 0);
}

static void test_after_flooding_all_ports_are_asked_where_that_is_wanted(void **state)
{
	struct fixture *f = *state;
	configure(f, MCAST_FLOOD, false, true);
	wait_ms(f, 1000);
	assert_int_equal(asked(f, 1), 0);
	configure(f, MCAST_STRICT, false, true);
	wait_ms(f, 1000);
	for (unsigned i = 1; i < 5; i++)
		assert_int_equal(asked(f, i), 2);
	configure(f, MCAST_SNOOP, false, true); /* nothing was missed */
	wait_ms(f, 5000);
	assert_int_equal(asked(f, 1), 0);
	configure(f, MCAST_FLOOD, false, true);
	configure(f, MCAST_SNOOP, false, false);
	wait_ms(f, 5000);
	assert_int_equal(asked(f, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_decnet_hello_of_routers_goes_to_all),
		T(test_decnet_hello_of_endnodes_goes_to_all),
		T(test_appletalk_goes_to_all),
		T(test_appletalk_of_a_zone_goes_to_all),
		T(test_mdns_goes_to_all),
		T(test_stp_goes_to_all),
		T(test_lacp_goes_to_all),
		T(test_eapol_goes_to_all),
		T(test_lldp_goes_to_all),
		T(test_isis_level_1_goes_to_all),
		T(test_isis_level_2_goes_to_all),
		T(test_isis_of_iso_goes_to_all),
		T(test_all_hosts_goes_to_all),
		T(test_ospf_goes_to_all),
		T(test_all_nodes_goes_to_all),
		T(test_mpls_multicast_goes_to_all),
		T(test_broadcast_goes_to_all),
		T(test_reports_of_groups_that_go_to_all_keep_nobody_out),
		T(test_as_querier_we_ask_all_ports_of_both_families),
		T(test_as_querier_reports_end_after_260_s),
		T(test_as_querier_we_ask_behind_the_port_of_a_leave_twice),
		T(test_a_port_that_attaches_is_asked_once_where_that_is_wanted),
		T(test_after_flooding_all_ports_are_asked_where_that_is_wanted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
