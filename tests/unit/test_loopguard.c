/* test_loopguard.c - server/core/loopguard.c: what is a loop, and what only looks like one. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/loopguard.h"
#include "tests/support/eth.h"

static int setup(void **state)
{
	struct loopguard *lg = calloc(1, sizeof(*lg));
	loopguard_init(lg, 42);
	*state = lg;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* The frame with number @n of a station comes from a port. */
static bool comes(struct loopguard *lg, unsigned station, unsigned n, uint16_t in, uint64_t now_ms)
{
	uint8_t buf[60];
	struct frame frame = eth_frame(buf, BROADCAST, station, 0x88b5, 60, 'x');
	buf[20] = (uint8_t)(n >> 8);
	buf[21] = (uint8_t)n;
	return loopguard_look(lg, &frame, 0, in, now_ms);
}

static void test_a_port_that_brings_back_frame_after_frame_is_looped(void **state)
{
	struct loopguard *lg = *state;
	for (unsigned n = 0; n < LOOPGUARD_HITS; n++) {
		assert_false(comes(lg, 1, n, 1, 1000 + n));
		assert_int_equal(comes(lg, 1, n, 2, 1000 + n), n == LOOPGUARD_HITS - 1);
	}
	assert_true(loopguard_cut(lg, 2));
	assert_false(loopguard_cut(lg, 1));
}

static void test_one_frame_that_goes_round_is_enough_and_one_of_two_ports_is_cut(void **state)
{
	struct loopguard *lg = *state;
	unsigned cut = 0;
	assert_false(comes(lg, 1, 0, 1, 1000));
	for (unsigned n = 0; n < 1000; n++) { /* ports 2 and 3 are joined */
		const uint16_t in = (uint16_t)(2 + n % 2);
		if (!loopguard_cut(lg, in))
			cut += comes(lg, 1, 0, in, 1000 + n / 10);
		if (cut)
			break; /* nothing comes round any more */
	}
	assert_int_equal(cut, 1);
	assert_int_equal(loopguard_cut(lg, 2) + loopguard_cut(lg, 3), 1);
	/* what was under way still comes from the other, and is no loop */
	const uint16_t other = loopguard_cut(lg, 2) ? 3 : 2;
	for (unsigned n = 0; n < 1000; n++)
		assert_false(comes(lg, 1, n % 50, other, 1100));
}

static void test_the_host_side_takes_more(void **state)
{
	struct loopguard *lg = *state;
	assert_false(comes(lg, 1, 0, 1, 1000));
	for (unsigned n = 1; n < LOOPGUARD_HITS_HOST; n++)
		assert_false(comes(lg, 1, 0, PORT_HOST, 1000));
	assert_true(comes(lg, 1, 0, PORT_HOST, 1000));
	assert_true(loopguard_cut(lg, PORT_HOST));
}

static void test_it_is_tried_again_and_cut_for_longer_if_it_loops_again(void **state)
{
	struct loopguard *lg = *state;
	uint64_t now = 1000, hold = LOOPGUARD_HOLD_MS;
	for (unsigned time = 0; time < 8; time++) {
		assert_false(comes(lg, 1, time, 1, now));
		for (unsigned n = 1; n < LOOPGUARD_HITS; n++)
			assert_false(comes(lg, 1, time, 2, now));
		assert_true(comes(lg, 1, time, 2, now));
		assert_int_equal(loopguard_over(lg, now + hold - 1), PORT_NONE);
		assert_true(loopguard_cut(lg, 2));
		assert_int_equal(loopguard_over(lg, now + hold), 2);
		assert_int_equal(loopguard_over(lg, now + hold), PORT_NONE);
		assert_false(loopguard_cut(lg, 2));
		now += hold + 10;
		hold = 2 * hold < LOOPGUARD_HOLD_MAX_MS ? 2 * hold : LOOPGUARD_HOLD_MAX_MS;
	}
	now += LOOPGUARD_HOLD_MAX_MS; /* well for a while: all is forgotten */
	assert_false(comes(lg, 1, 99, 1, now));
	for (unsigned n = 0; n < LOOPGUARD_HITS; n++)
		comes(lg, 1, 99, 2, now);
	assert_int_equal(loopguard_over(lg, now + LOOPGUARD_HOLD_MS), 2);
}

static void test_another_client_begins_anew(void **state)
{
	struct loopguard *lg = *state;
	comes(lg, 1, 0, 1, 1000);
	for (unsigned n = 0; n < LOOPGUARD_HITS; n++)
		comes(lg, 1, 0, 2, 1000);
	assert_true(loopguard_cut(lg, 2));
	loopguard_forget(lg, 2);
	assert_false(loopguard_cut(lg, 2));
	assert_int_equal(loopguard_over(lg, UINT64_MAX / 2), PORT_NONE);
}

static void test_repeats_from_one_port_are_no_loop(void **state)
{
	struct loopguard *lg = *state;
	for (unsigned n = 0; n < 10000; n++) { /* ARP retries, a beacon, a stream of equal frames */
		assert_false(comes(lg, 1, 0, 1, 1000 + n / 10));
		assert_false(comes(lg, 2, 0, 2, 1000 + n / 10));
	}
}

static void test_what_comes_back_late_was_said_again(void **state)
{
	struct loopguard *lg = *state;
	uint64_t now = 1000;
	for (unsigned n = 0; n < 1000; n++) {
		assert_false(comes(lg, 1, 0, (uint16_t)(1 + n % 2), now));
		now += LOOPGUARD_BACK_MS + 1;
	}
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
}

static void test_a_frame_is_the_same_however_it_lies_in_memory(void **state)
{
	struct loopguard *lg = *state;
	uint8_t buf[200];
	for (unsigned cut = 14; cut < 200; cut++) {
		struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, 200, 'x');
		buf[30] = (uint8_t)cut;
		assert_false(loopguard_look(lg, &frame, 0, 1, 1000));
		const struct seg more[] = { { buf + cut, 1 }, { buf + cut + 1, 199 - cut } };
		frame.head_len = cut;
		frame.more = more;
		frame.more_n = 2;
		loopguard_forget(lg, 2);
		for (unsigned n = 1; n < LOOPGUARD_HITS; n++)
			assert_false(loopguard_look(lg, &frame, 0, 2, 1000));
		assert_true(loopguard_look(lg, &frame, 0, 2, 1000));
		frame.len++; /* another length is another frame */
		loopguard_forget(lg, 2);
		for (unsigned n = 0; n < 2 * LOOPGUARD_HITS; n++)
			assert_false(loopguard_look(lg, &frame, 0, 2, 1000));
	}
}

static void test_who_joins_two_vlans_is_no_loop(void **state)
{
	struct loopguard *lg = *state;
	uint8_t buf[60];
	struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, 60, 'x');
	for (unsigned n = 0; n < 1000; n++) {
		assert_false(loopguard_look(lg, &frame, 7, 1, 1000));
		assert_false(loopguard_look(lg, &frame, 8, 2, 1000));
	}
}

static void test_two_loops_at_once_are_both_found(void **state)
{
	struct loopguard *lg = *state;
	bool cut[7] = { false };
	comes(lg, 1, 0, 1, 1000);
	for (unsigned n = 0; n < 10000; n++) {
		for (uint16_t in = 3; in < 7; in++) { /* 3 and 4 are joined, and 5 and 6 */
			const uint16_t other = in % 2 ? in + 1 : in - 1;
			if (!cut[in] && !cut[other])
				cut[in] = comes(lg, 1, 0, in, 1000);
		}
	}
	assert_true(cut[3] != cut[4]);
	assert_true(cut[5] != cut[6]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_port_that_brings_back_frame_after_frame_is_looped),
		T(test_one_frame_that_goes_round_is_enough_and_one_of_two_ports_is_cut),
		T(test_the_host_side_takes_more),
		T(test_it_is_tried_again_and_cut_for_longer_if_it_loops_again),
		T(test_another_client_begins_anew),
		T(test_repeats_from_one_port_are_no_loop),
		T(test_what_comes_back_late_was_said_again),
		T(test_two_machines_with_one_address_are_no_loop),
		T(test_a_station_that_has_moved_may_repeat_itself),
		T(test_a_bridge_with_two_guests_and_multicast_is_no_loop),
		T(test_a_frame_is_the_same_however_it_lies_in_memory),
		T(test_who_joins_two_vlans_is_no_loop),
		T(test_two_loops_at_once_are_both_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
