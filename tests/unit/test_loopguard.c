/* test_loopguard.c - server/core/loopguard.c: what is a loop, and what only looks like one. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/loopguard.h"
#include "tests/support/eth.h"

static int setup(void **state)
{
	struct loopguard *lg = calloc(1, sizeof(*lg));
	const struct netid_key key = netid_key("test");
	loopguard_init(lg, &key, 42);
	*state = lg;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static bool is_cut(const struct loopguard *lg, uint16_t port)
{
	return lg->ports[port].looped;
}

static bool look(struct loopguard *lg, const struct frame *frame, uint16_t vlan, uint16_t in,
	uint64_t now_ms)
{
	return loopguard_look(lg, frame, 1, 1, vlan, in, now_ms);
}

/* The frame with number @n of a station comes from a port. */
static bool comes(struct loopguard *lg, unsigned station, unsigned n, uint16_t in, uint64_t now_ms)
{
	uint8_t buf[60];
	struct frame frame = eth_frame(buf, BROADCAST, station, 0x88b5, 60, 'x');
	buf[20] = (uint8_t)(n >> 8);
	buf[21] = (uint8_t)n;
	return look(lg, &frame, LOOPGUARD_NO_VLAN, in, now_ms);
}

/* One frame of a station goes from port 1 and comes back from another until there is suspicion. */
static void suspect(struct loopguard *lg, unsigned n, uint16_t in, uint64_t now_ms)
{
	assert_false(comes(lg, 1, n, 1, now_ms));
	for (unsigned i = 0; i < LOOPGUARD_HITS; i++) {
		assert_false(loopguard_suspects(lg, now_ms));
		assert_false(comes(lg, 1, n, in, now_ms));
	}
	assert_true(loopguard_suspects(lg, now_ms));
}

struct probe {
	uint8_t b[LOOPGUARD_PROBE_LEN];
	uint16_t from, vlan;
};

static struct probe send_probe(struct loopguard *lg, uint64_t now_ms)
{
	struct probe p;
	p.from = loopguard_probe(lg, now_ms, p.b, &p.vlan);
	assert_false(
		loopguard_suspects(lg, now_ms + LOOPGUARD_PROBE_GAP_MS)); /* until there is more */
	return p;
}

static bool returns(struct loopguard *lg, const struct probe *p, uint16_t in, uint64_t now_ms)
{
	const struct frame frame = { .head = p->b, .head_len = sizeof(p->b), .len = sizeof(p->b) };
	return look(lg, &frame, p->vlan, in, now_ms);
}

static void cut_it(struct loopguard *lg, unsigned n, uint16_t in, uint64_t now_ms)
{
	suspect(lg, n, in, now_ms);
	const struct probe p = send_probe(lg, now_ms);
	assert_true(returns(lg, &p, in, now_ms));
	assert_true(is_cut(lg, in));
}

static void test_hits_want_a_probe_and_one_that_comes_back_cuts(void **state)
{
	struct loopguard *lg = *state;
	for (unsigned n = 0; n < LOOPGUARD_HITS; n++) {
		assert_false(loopguard_suspects(lg, 1000 + n));
		assert_false(comes(lg, 7, n, 1, 1000 + n));
		assert_false(comes(lg, 7, n, 2, 1000 + n));
	}
	assert_true(loopguard_suspects(lg, 1100));
	const struct probe p = send_probe(lg, 1100);
	assert_int_equal(p.from, 1);
	assert_int_equal(p.vlan, LOOPGUARD_NO_VLAN);
	assert_memory_equal(p.b, mac_n(BROADCAST).b, 6);
	assert_memory_equal(p.b + 6, mac_n(7).b, 6); /* a lock lets it through that did before */
	assert_false(is_cut(lg, 2));
	assert_true(returns(lg, &p, 2, 1105));
	assert_true(is_cut(lg, 2));
	assert_int_equal(lg->ports[2].first, 1);
	assert_false(is_cut(lg, 1));
}

/* Of a loop through the host the probe is to come back from the client, if it may. */
static void test_every_other_probe_goes_the_other_way_and_what_is_of_the_host_first(void **state)
{
	struct loopguard *lg = *state;
	uint64_t now = 1000;
	for (unsigned i = 0; i < 4; i++, now += LOOPGUARD_PROBE_GAP_MS) {
		const uint16_t first = i < 2 ? 1 : PORT_HOST;
		assert_false(comes(lg, 1, i, first, now));
		for (unsigned n = 0; n < LOOPGUARD_HITS; n++)
			assert_false(comes(lg, 1, i, 2, now));
		const struct probe p = send_probe(lg, now);
		assert_int_equal(p.from, i == 0 ? 1 : i == 3 ? PORT_HOST : 2);
		if (i == 3)
			assert_true(returns(lg, &p, 2, now));
	}
	assert_int_equal(lg->ports[2].first, PORT_HOST);
}

static void test_of_two_ports_one_is_cut(void **state)
{
	struct loopguard *lg = *state;
	suspect(lg, 0, 2, 1000);
	const struct probe p = send_probe(lg, 1000);
	assert_true(returns(lg, &p, 3, 1001)); /* whichever is first */
	assert_false(returns(lg, &p, 2, 1001));
	/* what was under way still comes from the other, and is no loop */
	for (unsigned n = 0; n < 1000; n++)
		assert_false(comes(lg, 1, n % 50, 2, 1100));
	assert_true(is_cut(lg, 3));
	assert_false(is_cut(lg, 2));
}

static void test_the_host_side_is_cut_when_three_probes_came_back(void **state)
{
	struct loopguard *lg = *state;
	uint64_t now = 1000;
	for (unsigned n = 0; n < LOOPGUARD_PROBES_HOST; n++) {
		now += LOOPGUARD_PROBE_GAP_MS;
		suspect(lg, n, PORT_HOST, now);
		const struct probe p = send_probe(lg, now);
		assert_int_equal(returns(lg, &p, PORT_HOST, now), n + 1 == LOOPGUARD_PROBES_HOST);
		assert_false(returns(lg, &p, PORT_HOST, now)); /* the same counts once */
	}
	assert_true(is_cut(lg, PORT_HOST));
}

static void test_probes_that_came_back_long_ago_do_not_count(void **state)
{
	struct loopguard *lg = *state;
	uint64_t now = 1000;
	for (unsigned n = 0; n < 7; n++) { /* never three that follow each other in time */
		now += LOOPGUARD_PROBE_MS + (n % 2 == 0);
		suspect(lg, n, PORT_HOST, now);
		const struct probe p = send_probe(lg, now);
		assert_false(returns(lg, &p, PORT_HOST, now));
	}
	for (unsigned n = 1; n < LOOPGUARD_PROBES_HOST; n++) {
		now += LOOPGUARD_PROBE_MS;
		suspect(lg, n, PORT_HOST, now);
		const struct probe p = send_probe(lg, now);
		assert_int_equal(returns(lg, &p, PORT_HOST, now), n + 1 == LOOPGUARD_PROBES_HOST);
	}
}

static void test_a_probe_is_sent_again_while_hits_go_on(void **state)
{
	struct loopguard *lg = *state;
	struct probe p[3];
	uint64_t now = 1000;
	suspect(lg, 0, 2, now);
	for (unsigned i = 0; i < 3; i++) {
		p[i] = send_probe(lg, now);
		for (unsigned n = 0; n < LOOPGUARD_HITS; n++)
			assert_false(comes(lg, 1, 0, 2, now));
		now += LOOPGUARD_PROBE_GAP_MS;
		assert_false(loopguard_suspects(lg, now - 1));
		assert_true(loopguard_suspects(lg, now));
	}
	assert_memory_not_equal(p[0].b, p[1].b, LOOPGUARD_PROBE_LEN);
	assert_true(returns(lg, &p[0], 2, 1400)); /* an early one counts as well */
}

static void test_a_probe_of_old_is_nothing(void **state)
{
	struct loopguard *lg = *state;
	suspect(lg, 0, 2, 1000);
	const struct probe p = send_probe(lg, 1000);
	assert_false(returns(lg, &p, 3, 1001 + LOOPGUARD_PROBE_MS));
	assert_false(returns(lg, &p, 2, 3600 * 1000));
	assert_true(returns(lg, &p, 2, 1000 + LOOPGUARD_PROBE_MS));
}

/* Where probes are lost. 20000 a second: what two frames of each batch of a storm are. */
static void test_a_storm_is_cut_without_a_probe_and_soon(void **state)
{
	struct loopguard *lg = *state;
	unsigned n = 0;
	assert_false(comes(lg, 1, 0, 1, 1000));
	while (!comes(lg, 1, 0, (uint16_t)(2 + n % 2), 1000 + n / 40))
		n++;
	assert_in_range(n / 40, 1, 60); /* milliseconds; two ports share them */
	assert_int_equal(is_cut(lg, 2) + is_cut(lg, 3), 1);
	assert_int_equal(lg->ports[is_cut(lg, 2) ? 2 : 3].first, 1);
}

static void test_the_host_side_takes_more_of_a_storm(void **state)
{
	struct loopguard *lg = *state;
	assert_false(comes(lg, 1, 0, 1, 1000));
	for (unsigned n = 1; n < LOOPGUARD_STORM_HOST; n++)
		assert_false(comes(lg, 1, 0, PORT_HOST, 1000));
	assert_true(comes(lg, 1, 0, PORT_HOST, 1000));
	assert_true(is_cut(lg, PORT_HOST));
}

/* Somebody says what the victim will: its scan of the network, a thousand frames a second. */
static void test_what_can_be_foretold_cuts_nobody(void **state)
{
	struct loopguard *lg = *state;
	for (unsigned n = 0; n < 60000; n++) {
		assert_false(comes(lg, 2, n, 3, 1000 + n));
		assert_false(comes(lg, 2, n, 2, 1000 + n));
	}
	assert_true(loopguard_suspects(lg, 61000));
}

static void test_it_is_tried_again_and_cut_for_longer_if_it_loops_again(void **state)
{
	struct loopguard *lg = *state;
	uint64_t now = 1000, hold = LOOPGUARD_HOLD_MS;
	for (unsigned time = 0; time < 8; time++) {
		cut_it(lg, time, 2, now);
		assert_int_equal(loopguard_over(lg, now + hold - 1), PORT_NONE);
		assert_true(is_cut(lg, 2));
		assert_int_equal(loopguard_over(lg, now + hold), 2);
		assert_int_equal(loopguard_over(lg, now + hold), PORT_NONE);
		assert_false(is_cut(lg, 2));
		now += hold + 10;
		hold = 2 * hold < LOOPGUARD_HOLD_MAX_MS ? 2 * hold : LOOPGUARD_HOLD_MAX_MS;
	}
	now += LOOPGUARD_HOLD_MAX_MS; /* well for a while: all is forgotten */
	cut_it(lg, 99, 2, now);
	assert_int_equal(loopguard_over(lg, now + LOOPGUARD_HOLD_MS), 2);
}

static void test_another_client_begins_anew(void **state)
{
	struct loopguard *lg = *state;
	cut_it(lg, 0, 2, 1000);
	loopguard_forget(lg, 2);
	assert_false(is_cut(lg, 2));
	assert_int_equal(loopguard_over(lg, UINT64_MAX / 2), PORT_NONE);
	/* nor is what the one before has sent another's */
	suspect(lg, 1, 2, 2000);
	loopguard_forget(lg, 1);
	assert_false(loopguard_suspects(lg, 3000));
	for (unsigned n = 0; n < LOOPGUARD_REPEATS; n++)
		assert_false(comes(lg, 1, 1, 2, 2000));
	assert_false(loopguard_suspects(lg, 3000));
}

static void test_repeats_from_one_port_want_a_probe_and_are_no_loop(void **state)
{
	struct loopguard *lg = *state;
	unsigned probes = 0;
	for (unsigned n = 0; n < 10000; n++) { /* ARP retries, a beacon, a stream of equal frames */
		assert_false(comes(lg, 1, 0, 1, 1000 + n / 10));
		assert_false(comes(lg, 2, 0, 2, 1000 + n / 10));
		if (loopguard_suspects(lg, 1000 + n / 10)) {
			send_probe(lg, 1000 + n / 10);
			probes++;
		}
	}
	assert_in_range(probes, 1, 10);
}

static void test_what_comes_back_late_was_said_again(void **state)
{
	struct loopguard *lg = *state;
	uint64_t now = 1000;
	for (unsigned n = 0; n < 1000; n++) {
		assert_false(comes(lg, 1, 0, (uint16_t)(1 + n % 2), now));
		now += LOOPGUARD_BACK_MS + 1;
	}
	assert_false(loopguard_suspects(lg, now));
}

/* As many as twins that boot at one moment say: RS, DAD, MLD, ARP, DHCP, mDNS; then some each
 * second for a long time. */
static void test_two_machines_with_one_address_are_no_loop(void **state)
{
	struct loopguard *lg = *state;
	uint64_t now = 1000;
	for (unsigned n = 0; n < 24; n++) {
		assert_false(comes(lg, 1, n, 1, now));
		assert_false(comes(lg, 1, n, 2, now += 2));
	}
	for (unsigned n = 0; n < 7 * 600; n++) {
		now += 1000 / 7;
		assert_false(comes(lg, 1, n % 5, (uint16_t)(1 + n % 2), now));
		assert_false(comes(lg, 1, n % 5, (uint16_t)(2 - n % 2), now + 1));
	}
	assert_false(loopguard_suspects(lg, now));
}

static void test_a_station_that_has_moved_may_repeat_itself(void **state)
{
	struct loopguard *lg = *state;
	for (unsigned n = 0; n < 100; n++)
		assert_false(comes(lg, 1, 0, 1, 1000 + n));
	/* from another port now: twenty a second until the first is forgotten, and then its own */
	for (unsigned n = 0; n < 1000; n++)
		assert_false(comes(lg, 1, 0, 2, 1150 + 50 * n));
}

static void test_a_bridge_with_two_guests_and_multicast_is_no_loop(void **state)
{
	struct loopguard *lg = *state;
	/* stations 10 and 11 behind port 2, 1 behind port 1; one of them repeats the payload of
	 * another, as reflectors of mDNS do, from an address of its own */
	for (unsigned n = 0; n < 2000; n++) {
		assert_false(comes(lg, 1, n, 1, 1000 + n));
		assert_false(comes(lg, 10, n, 2, 1000 + n));
		assert_false(comes(lg, 11, n, 2, 1000 + n));
	}
	assert_false(loopguard_suspects(lg, 4000));
}

/* Frames in two pieces, from 14 bytes on; with a tag the first has that as well. */
static void test_a_frame_is_the_same_however_it_lies_in_memory(void **state)
{
	struct loopguard *lg = *state;
	uint8_t buf[200];
	for (unsigned cut = 14; cut < 200; cut++) {
		struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, 200, 'x');
		buf[30] = (uint8_t)cut;
		assert_false(look(lg, &frame, 0, 1, 1000));
		const struct seg more[] = { { buf + cut, 1 }, { buf + cut + 1, 199 - cut } };
		frame.head_len = cut;
		frame.more = more;
		frame.more_n = 2;
		loopguard_forget(lg, 2);
		for (unsigned n = 0; n < LOOPGUARD_HITS; n++) {
			assert_int_equal(lg->suspect.from, PORT_NONE);
			assert_false(look(lg, &frame, 0, 2, 1000));
		}
		assert_int_equal(lg->suspect.from, 1);
		lg->suspect.from = PORT_NONE;
		frame.len++; /* another length is another frame */
		for (unsigned n = 0; n < LOOPGUARD_REPEATS; n++)
			assert_false(look(lg, &frame, 0, 2, 1000));
		assert_int_equal(lg->suspect.from, PORT_NONE);
	}
}

/* Those with the same print for every 64-bit key, were it multiplied and folded. */
static void test_two_frames_have_one_print_by_chance_only(void **state)
{
	struct loopguard *lg = *state;
	uint8_t buf[60];
	const struct frame frame = eth_frame(buf, BROADCAST, 1, 0x0806, 60, 'x');
	for (unsigned n = 0; n < 4 * LOOPGUARD_HITS; n++) {
		buf[41] = (uint8_t)n;
		assert_false(look(lg, &frame, 0, 1, 1000));
		buf[7] ^= 0x80;
		buf[11] ^= 0x80;
		buf[19] ^= 0x80;
		buf[23] ^= 0x80;
		assert_false(look(lg, &frame, 0, 2, 1000));
	}
	assert_false(lg->ports[1].hits.used || lg->ports[2].hits.used);
}

static void test_prints_are_of_a_key(void **state)
{
	struct loopguard *lg = *state, *other = calloc(2, sizeof(*other));
	const struct netid_key key = netid_key("other");
	loopguard_init(&other[0], &key, 42);
	const struct netid_key same = netid_key("test");
	loopguard_init(&other[1], &same, 43);
	assert_memory_not_equal(&lg->key, &other[0].key, sizeof(lg->key));
	assert_memory_not_equal(&lg->key, &other[1].key, sizeof(lg->key));
	assert_memory_not_equal(lg->key.b, lg->key.b + 8, 8);
	free(other);
}

static void test_who_joins_two_vlans_is_no_loop(void **state)
{
	struct loopguard *lg = *state;
	uint8_t buf[60];
	struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, 60, 'x');
	for (unsigned n = 0; n < 1000; n++) {
		assert_false(look(lg, &frame, 7, 1, 1000));
		assert_false(look(lg, &frame, 8, 2, 1000));
	}
	assert_false(lg->ports[1].hits.used || lg->ports[2].hits.used);
}

/* It leaves by an access port, and comes back by a trunk. */
static void test_in_a_vlan_a_frame_is_the_same_with_its_tag(void **state)
{
	struct loopguard *lg = *state;
	uint8_t plain[120], tagged[124];
	const struct frame a = eth_frame(plain, BROADCAST, 1, 0x88b5, 120, 'x');
	memcpy(tagged, plain, 12);
	memcpy(tagged + 12, "\x81\x00\x00\x07", 4);
	memcpy(tagged + 16, plain + 12, 108);
	const struct frame b = { .head = tagged, .head_len = 124, .len = 124 };
	assert_false(look(lg, &a, 7, 1, 1000));
	assert_false(look(lg, &b, 7, 2, 1000));
	assert_true(lg->ports[2].hits.used);
	assert_false(look(lg, &a, LOOPGUARD_NO_VLAN, 3, 1000));
	assert_false(look(lg, &b, LOOPGUARD_NO_VLAN, 4, 1000)); /* of no VLAN it is another */
	assert_false(lg->ports[4].hits.used);
}

static void test_what_was_not_flooded_does_not_come_back_and_probes_are_seen_there(void **state)
{
	struct loopguard *lg = *state;
	uint8_t buf[60];
	struct frame frames[64];
	const struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, 60, 'x');
	for (unsigned i = 0; i < 64; i++)
		frames[i] = frame;
	assert_false(loopguard_look(lg, frames, 64, 0, 0, 1, 1000));
	assert_false(loopguard_look(lg, frames, 64, 1, 0, 2, 1000));
	assert_false(lg->ports[2].hits.used);
	assert_false(loopguard_look(lg, frames, 64, 1, 0, 1, 1000));
	assert_true(lg->ports[1].hits.used);

	suspect(lg, 0, 2, 2000);
	const struct probe p = send_probe(lg, 2000);
	frames[40] = (struct frame){ .head = p.b, .head_len = sizeof(p.b), .len = sizeof(p.b) };
	assert_true(loopguard_look(lg, frames, 64, 1, p.vlan, 2, 2001));
}

static void test_two_loops_at_once_are_both_found(void **state)
{
	struct loopguard *lg = *state;
	for (uint16_t in = 3; in < 7; in += 2) { /* 3 and 4 are joined, and 5 and 6 */
		const uint64_t now = 1000 + in * LOOPGUARD_PROBE_GAP_MS;
		comes(lg, 1, 0, 1, now);
		for (unsigned n = 0; n < LOOPGUARD_HITS; n++)
			for (uint16_t other = 3; other < 7; other++)
				if (!is_cut(lg, 3) || other > 4)
					comes(lg, 1, 0, other, now);
		const struct probe p = send_probe(lg, now);
		assert_true(returns(lg, &p, in, now));
		assert_false(returns(lg, &p, in + 1, now));
	}
	assert_true(is_cut(lg, 3));
	assert_true(is_cut(lg, 5));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_hits_want_a_probe_and_one_that_comes_back_cuts),
		T(test_every_other_probe_goes_the_other_way_and_what_is_of_the_host_first),
		T(test_of_two_ports_one_is_cut),
		T(test_the_host_side_is_cut_when_three_probes_came_back),
		T(test_probes_that_came_back_long_ago_do_not_count),
		T(test_a_probe_is_sent_again_while_hits_go_on),
		T(test_a_probe_of_old_is_nothing),
		T(test_a_storm_is_cut_without_a_probe_and_soon),
		T(test_the_host_side_takes_more_of_a_storm),
		T(test_what_can_be_foretold_cuts_nobody),
		T(test_it_is_tried_again_and_cut_for_longer_if_it_loops_again),
		T(test_another_client_begins_anew),
		T(test_repeats_from_one_port_want_a_probe_and_are_no_loop),
		T(test_what_comes_back_late_was_said_again),
		T(test_two_machines_with_one_address_are_no_loop),
		T(test_a_station_that_has_moved_may_repeat_itself),
		T(test_a_bridge_with_two_guests_and_multicast_is_no_loop),
		T(test_a_frame_is_the_same_however_it_lies_in_memory),
		T(test_two_frames_have_one_print_by_chance_only),
		T(test_prints_are_of_a_key),
		T(test_who_joins_two_vlans_is_no_loop),
		T(test_in_a_vlan_a_frame_is_the_same_with_its_tag),
		T(test_what_was_not_flooded_does_not_come_back_and_probes_are_seen_there),
		T(test_two_loops_at_once_are_both_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
