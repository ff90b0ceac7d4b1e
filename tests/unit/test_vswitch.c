/* test_vswitch.c - server/core/vswitch.c: every verdict, every reason, in the order of the checks.
 */
#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/vswitch.h"
#include "tests/support/claims.h"
#include "tests/support/eth.h"

static int setup(void **state)
{
	struct vswitch *sw = malloc(sizeof(*sw));
	*state = sw;
	const int rc = vswitch_init(sw, 1);
	for (unsigned p = 0; p < 5; p++)
		sw->ports[p].mtu = 1500;
	return rc || fdb_add_static(&sw->fdb, key_n(HOST_MAC), PORT_HOST);
}

static int teardown(void **state)
{
	vswitch_fini(*state);
	free(*state);
	return 0;
}

static struct verdict decide_typed(struct vswitch *sw, uint16_t in, unsigned dst, unsigned src,
	uint32_t len, uint16_t type, uint64_t now_ms)
{
	uint8_t buf[15];
	struct frame frame = eth_frame(buf, dst, src, type, sizeof(buf), 't');
	frame.head_len = len < 14 ? len : 14; /* the rest is never looked at */
	frame.len = len;
	return vswitch_decide(sw, &frame, in, now_ms);
}

static struct verdict decide(struct vswitch *sw, uint16_t in, unsigned dst, unsigned src)
{
	return decide_typed(sw, in, dst, src, 60, 0x88b5, 0);
}

static void dropped(struct verdict v, enum drop_reason reason)
{
	assert_int_equal(v.kind, VERDICT_DROP);
	assert_string_equal(drop_name(v.reason), drop_name(reason));
}

static void to_port(struct verdict v, uint16_t port)
{
	assert_int_equal(v.kind, VERDICT_PORT);
	assert_int_equal(v.port, port);
}

static void test_under_14_bytes_is_a_runt_and_teaches_nothing(void **state)
{
	struct vswitch *sw = *state;
	for (uint32_t len = 0; len < 14; len++)
		dropped(decide_typed(sw, 1, 2, 1, len, 0, 0), DROP_RUNT);
	assert_int_equal(decide_typed(sw, 1, 2, 1, 14, 0x88b5, 0).kind, VERDICT_FLOOD);
	dropped(decide_typed(sw, 1, 2, 9, 13, 0, 0), DROP_RUNT);
	assert_int_equal(fdb_find(&sw->fdb, key_n(9), 0), PORT_NONE);
}

static void test_the_cap_is_the_mtu_a_header_and_one_tag(void **state)
{
	struct vswitch *sw = *state;
	assert_int_equal(decide_typed(sw, 1, 2, 1, 1514, 0x0800, 0).kind, VERDICT_FLOOD);
	dropped(decide_typed(sw, 1, 2, 9, 1515, 0x0800, 0), DROP_OVERSIZE);
	dropped(decide_typed(sw, 1, 2, 9, 1518, 0x0800, 0), DROP_OVERSIZE);
	assert_int_equal(decide_typed(sw, 1, 2, 1, 1518, 0x8100, 0).kind, VERDICT_FLOOD);
	assert_int_equal(decide_typed(sw, 1, 2, 1, 1518, 0x88a8, 0).kind, VERDICT_FLOOD);
	dropped(decide_typed(sw, 1, 2, 9, 1519, 0x8100, 0), DROP_OVERSIZE);
	dropped(decide_typed(sw, 1, 2, 9, 1519, 0x88a8, 0), DROP_OVERSIZE);
	assert_int_equal(fdb_find(&sw->fdb, key_n(9), 0), PORT_NONE);
	dropped(decide_typed(sw, PORT_HOST, 2, HOST_MAC, 1515, 0x0800, 0), DROP_OVERSIZE);
}

static void test_unknown_and_group_destinations_flood(void **state)
{
	struct vswitch *sw = *state;
	assert_int_equal(decide(sw, 1, 2, 1).kind, VERDICT_FLOOD);
	assert_int_equal(decide(sw, 1, BROADCAST, 1).kind, VERDICT_FLOOD);
	assert_int_equal(decide(sw, PORT_HOST, BROADCAST, HOST_MAC).kind, VERDICT_FLOOD);
	/* all floods are one run */
	assert_true(verdict_same(decide(sw, 1, 2, 1), decide(sw, 1, BROADCAST, 1)));
}

static void test_learned_destinations_get_it_alone(void **state)
{
	struct vswitch *sw = *state;
	decide(sw, 2, BROADCAST, 2);
	to_port(decide(sw, 1, 2, 1), 2);
	to_port(decide(sw, 2, 1, 2), 1);
	to_port(decide(sw, 1, HOST_MAC, 1), PORT_HOST);
	to_port(decide(sw, PORT_HOST, 1, HOST_MAC), 1);
	/* 300 s of silence later nobody knows */
	assert_int_equal(decide_typed(sw, 1, 2, 1, 60, 0x88b5, FDB_AGE_MS + 1).kind, VERDICT_FLOOD);
}

static void test_a_frame_for_its_own_port_is_filtered(void **state)
{
	struct vswitch *sw = *state;
	decide(sw, 1, BROADCAST, 1);
	decide(sw, 1, BROADCAST, 2);
	dropped(decide(sw, 1, 2, 1), DROP_LOCAL);
	dropped(decide(sw, 1, 1, 1), DROP_LOCAL);
	dropped(decide(sw, PORT_HOST, HOST_MAC, HOST_MAC), DROP_LOCAL);
	dropped(decide(sw, 3, 3, 3), DROP_LOCAL); /* learned from this very frame */
}

static void test_addresses_of_others_are_spoofed(void **state)
{
	struct vswitch *sw = *state;
	dropped(decide(sw, 1, BROADCAST, HOST_MAC), DROP_SPOOFED);
	fdb_add_static(&sw->fdb, key_n(7), 2);
	dropped(decide(sw, 1, BROADCAST, 7), DROP_SPOOFED);
	dropped(decide(sw, PORT_HOST, BROADCAST, 7), DROP_SPOOFED);
	assert_int_equal(decide(sw, 2, BROADCAST, 7).kind, VERDICT_FLOOD);
}

static void test_a_locked_port_has_one_source(void **state)
{
	struct vswitch *sw = *state;
	sw->ports[2].locked = true;
	assert_int_equal(fdb_add_static(&sw->fdb, key_n(7), 2), 0);
	assert_int_equal(decide(sw, 2, BROADCAST, 7).kind, VERDICT_FLOOD);
	dropped(decide(sw, 2, BROADCAST, 8), DROP_SPOOFED);
	dropped(decide(sw, 2, BROADCAST, BROADCAST),
		DROP_SPOOFED); /* a group is no source of its */
	assert_int_equal(fdb_find(&sw->fdb, key_n(8), 0), PORT_NONE);
	to_port(decide(sw, 1, 7, 1), 2);
}

static struct claims claims; /* long */

static struct verdict decide_claims(struct vswitch *sw, uint16_t in)
{
	const struct frame frame = claims_frame(&claims);
	return vswitch_decide(sw, &frame, in, 0);
}

/* Port 2 is locked to 7 and 8, port 3 is not locked. */
static void lock_two(struct vswitch *sw)
{
	sw->ports[2].locked = true;
	assert_int_equal(fdb_add_static(&sw->fdb, key_n(7), 2), 0);
	assert_int_equal(fdb_add_static(&sw->fdb, key_n(8), 2), 0);
}

static void test_a_locked_port_may_have_several_sources(void **state)
{
	struct vswitch *sw = *state;
	lock_two(sw);
	assert_int_equal(decide(sw, 2, BROADCAST, 7).kind, VERDICT_FLOOD);
	assert_int_equal(decide(sw, 2, BROADCAST, 8).kind, VERDICT_FLOOD);
	dropped(decide(sw, 2, BROADCAST, 9), DROP_SPOOFED);
	dropped(decide(sw, 3, BROADCAST, 8), DROP_SPOOFED);
	to_port(decide(sw, 1, 8, 1), 2);
}

static void test_a_locked_port_claims_its_own_addresses_in_arp_and_nd(void **state)
{
	struct vswitch *sw = *state;
	lock_two(sw);
	for (unsigned sender = 6; sender < 10; sender++) {
		const bool own = sender == 7 || sender == 8;
		claims_arp(&claims, 7, sender);
		assert_int_equal(decide_claims(sw, 2).kind, own ? VERDICT_FLOOD : VERDICT_DROP);
		for (unsigned type = 133; type <= 137; type++) {
			claims_nd(&claims, 8, type, sender);
			assert_int_equal(
				decide_claims(sw, 2).kind, own ? VERDICT_FLOOD : VERDICT_DROP);
		}
		claims_begin(&claims, 7);
		claims_tag(&claims, ETH_P_STAG);
		claims_tag(&claims, ETH_P_CTAG);
		claims_16(&claims, ETH_P_ARP);
		claims_arp_body(&claims, 2, sender);
		assert_int_equal(decide_claims(sw, 2).kind, own ? VERDICT_FLOOD : VERDICT_DROP);
	}
	claims_arp(&claims, 7, 7);
	claims.b[18] = 8; /* what is doubtful is not its own */
	dropped(decide_claims(sw, 2), DROP_SPOOFED);
	assert_int_equal(decide_claims(sw, 3).reason, DROP_SPOOFED); /* 7 is its source's owner */
	claims_arp(&claims, 9, 9);
	claims.b[18] = 8;
	assert_int_equal(decide_claims(sw, 3).kind, VERDICT_FLOOD);
}

static void test_nobody_claims_the_address_of_the_host_or_of_a_locked_port(void **state)
{
	struct vswitch *sw = *state;
	lock_two(sw);
	static const unsigned guarded[] = { HOST_MAC, 7 };
	for (unsigned i = 0; i < 2; i++) {
		claims_arp(&claims, 9, guarded[i]);
		dropped(decide_claims(sw, 3), DROP_SPOOFED);
		for (unsigned type = 133; type < 137; type++) {
			claims_nd(&claims, 9, type, guarded[i]);
			dropped(decide_claims(sw, 3), DROP_SPOOFED);
		}
		claims_nd(&claims, 9, 137, guarded[i]); /* a router says where another is */
		assert_int_equal(decide_claims(sw, 3).kind, VERDICT_FLOOD);
	}
	claims_arp(&claims, HOST_MAC, 7);
	dropped(decide_claims(sw, PORT_HOST), DROP_SPOOFED);
	claims_arp(&claims, HOST_MAC, HOST_MAC);
	assert_int_equal(decide_claims(sw, PORT_HOST).kind, VERDICT_FLOOD);
	claims_arp(&claims, 9, 10); /* ARP for another that nobody has locked: a proxy */
	assert_int_equal(decide_claims(sw, 3).kind, VERDICT_FLOOD);
}

/* Of each frame of a run what it would be alone. */
static void test_a_run_hides_no_arp(void **state)
{
	struct vswitch *sw = *state;
	static struct claims each[6];
	struct frame frames[6];
	lock_two(sw);
	for (unsigned kind = 0; kind < 3; kind++) {
		for (unsigned i = 0; i < 6; i++) {
			if (kind == 0) {
				claims_arp(&each[i], 9, i == 3 ? HOST_MAC : 9);
			} else if (kind == 1) {
				claims_nd(&each[i], 9, 135, i == 3 ? HOST_MAC : 9);
				if (i < 3)
					each[i].b[each[i].ip + 6] = 6; /* TCP */
			} else {
				claims_begin(&each[i], 9);
				claims_tag(&each[i], ETH_P_CTAG);
				claims_16(&each[i], i < 3 ? ETH_P_IP4 : ETH_P_ARP);
				claims_arp_body(&each[i], 1, i == 3 ? HOST_MAC : 9);
			}
			frames[i] = claims_frame(&each[i]);
		}
		unsigned seen = 0;
		for (unsigned i = 0; i < 6; i += vswitch_run(sw, &frames[i], 6 - i, 3)) {
			const struct verdict v = vswitch_decide(sw, &frames[i], 3, 0);
			assert_int_equal(v.kind, i == 3 ? VERDICT_DROP : VERDICT_FLOOD);
			seen |= 1u << i;
		}
		assert_true(seen & 1u << 3);
		assert_int_equal(vswitch_run(sw, frames, 6, 3), kind ? 3 : 1);
	}
}

static void test_group_sources_are_never_learned(void **state)
{
	struct vswitch *sw = *state;
	const uint32_t n = sw->fdb.n;
	assert_int_equal(decide(sw, 1, 2, BROADCAST).kind, VERDICT_FLOOD);
	assert_int_equal(sw->fdb.n, n);
}

static void test_moves_are_counted(void **state)
{
	struct vswitch *sw = *state;
	decide(sw, 1, BROADCAST, 5);
	decide(sw, 1, BROADCAST, 5);
	assert_int_equal(sw->moves, 0);
	decide(sw, 2, BROADCAST, 5);
	decide(sw, 1, BROADCAST, 5);
	assert_int_equal(sw->moves, 2);
	to_port(decide(sw, 3, 5, 3), 1);
}

static void test_a_run_ends_where_another_decision_may_begin(void **state)
{
	struct vswitch *sw = *state;
	static uint8_t buf[8][1600];
	struct frame frames[8];
	for (unsigned i = 0; i < 8; i++)
		frames[i] = eth_frame(buf[i], 2, 1, 0x0800, 60, 'x');
	assert_int_equal(vswitch_run(sw, frames, 8, 1), 8);
	assert_int_equal(vswitch_run(sw, frames, 1, 1), 1);
	buf[5][5] = 3; /* another destination */
	assert_int_equal(vswitch_run(sw, frames, 8, 1), 5);
	buf[4][11] = 3; /* another source */
	assert_int_equal(vswitch_run(sw, frames, 8, 1), 4);
	frames[3].len = 1515; /* too long, perhaps */
	assert_int_equal(vswitch_run(sw, frames, 8, 1), 3);
	frames[2].len = 13;
	assert_int_equal(vswitch_run(sw, frames, 8, 1), 2);
	frames[1].len = 1514;
	assert_int_equal(vswitch_run(sw, frames, 8, 1), 2);
	/* one that is dropped for its length is a run of its own */
	assert_int_equal(vswitch_run(sw, frames + 2, 6, 1), 1);
	assert_int_equal(vswitch_run(sw, frames + 3, 5, 1), 1);
}

/* Writes the address of an IP group, IPv4 239.1.2.3, over a frame's destination. */
static void to_group(uint8_t *buf)
{
	const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 };
	memcpy(buf, group, 6);
}

static void test_frames_for_ip_groups_are_no_run_as_each_may_be_a_report(void **state)
{
	struct vswitch *sw = *state;
	uint8_t buf[4][60];
	struct frame frames[4];
	for (unsigned i = 0; i < 4; i++) {
		frames[i] = eth_frame(buf[i], BROADCAST, 1, 0x0800, 60, 'x');
		to_group(buf[i]);
	}
	assert_int_equal(vswitch_run(sw, frames, 4, 1), 1);
	memcpy(buf[0], "\x33\x33", 2);
	assert_int_equal(vswitch_run(sw, frames, 4, 1), 1);
	frames[0].len = 13; /* and a runt, of which no byte need be there, is looked at by length */
	frames[0].head = NULL;
	assert_int_equal(vswitch_run(sw, frames, 1, 1), 1);
	sw->mcast.conf.policy = MCAST_FLOOD; /* nobody reads reports then */
	assert_int_equal(vswitch_run(sw, frames + 1, 3, 1), 3);
	sw->mcast.conf.policy = MCAST_SNOOP;
	for (unsigned i = 0; i < 4; i++) /* other groups have none */
		frames[i] = eth_frame(buf[i], BROADCAST, 1, 0x0800, 60, 'x');
	assert_int_equal(vswitch_run(sw, frames, 4, 1), 4);
}

static void test_groups_come_after_the_other_checks(void **state)
{
	struct vswitch *sw = *state;
	uint8_t buf[60];
	struct frame frame = eth_frame(buf, BROADCAST, 1, 0x0800, 60, 'x');
	to_group(buf);
	mcast_attach(&sw->mcast, 1);
	mcast_attach(&sw->mcast, 2);
	const struct verdict unknown = vswitch_decide(sw, &frame, 1, 0);
	assert_int_equal(unknown.kind, VERDICT_GROUP);
	assert_int_equal(fdb_find(&sw->fdb, key_n(1), 0), 1);
	mcast_join(&sw->mcast, 2, (struct feth_mac){ { 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 } });
	const struct verdict known = vswitch_decide(sw, &frame, 1, 0);
	assert_int_equal(known.kind, VERDICT_GROUP);
	assert_false(verdict_same(unknown, known));
	struct portset ports;
	mcast_set(&sw->mcast, known.port, &ports);
	assert_int_equal(portset_next(&ports, 0), 2);
	assert_int_equal(portset_next(&ports, 3), PORT_NONE);
	mcast_leave(&sw->mcast, 2, (struct feth_mac){ { 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 } });
	assert_true(verdict_same(vswitch_decide(sw, &frame, 1, 0), unknown)); /* though not told */
	dropped(vswitch_decide(sw, &(struct frame){ .head = buf, .head_len = 13, .len = 13 }, 1, 0),
		DROP_RUNT);
	memcpy(buf + 6, mac_n(HOST_MAC).b, 6);
	dropped(vswitch_decide(sw, &frame, 1, 0), DROP_SPOOFED);
	memcpy(buf + 6, mac_n(1).b, 6);
	frame.len = 1515;
	dropped(vswitch_decide(sw, &frame, 1, 0), DROP_OVERSIZE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_under_14_bytes_is_a_runt_and_teaches_nothing),
		T(test_the_cap_is_the_mtu_a_header_and_one_tag),
		T(test_unknown_and_group_destinations_flood),
		T(test_learned_destinations_get_it_alone),
		T(test_a_frame_for_its_own_port_is_filtered),
		T(test_addresses_of_others_are_spoofed),
		T(test_a_locked_port_has_one_source),
		T(test_a_locked_port_may_have_several_sources),
		T(test_a_locked_port_claims_its_own_addresses_in_arp_and_nd),
		T(test_nobody_claims_the_address_of_the_host_or_of_a_locked_port),
		T(test_a_run_hides_no_arp),
		T(test_group_sources_are_never_learned),
		T(test_moves_are_counted),
		T(test_a_run_ends_where_another_decision_may_begin),
		T(test_frames_for_ip_groups_are_no_run_as_each_may_be_a_report),
		T(test_groups_come_after_the_other_checks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
