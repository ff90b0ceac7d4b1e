/* test_announce.c - server/core/announce.c: the bytes of each frame. */
#include "tests/support/test.h"

#include "server/core/announce.h"
#include "server/core/arpnd.h"
#include "tests/support/bytes.h"
#include "tests/support/eth.h"

static uint8_t frame[ANNOUNCE_MAX];

static void is(uint32_t len, const uint8_t *want, size_t want_len)
{
	assert_int_equal(len, want_len);
	assert_memory_equal(frame, want, want_len);
}

/* RFC 903: sender and target are the station, the protocol addresses are not known. */
static void test_a_station_asks_for_its_own_address(void **state)
{
	(void)state;
	memset(frame, 0xa5, sizeof(frame));
	is(announce_rarp(mac_n(7), frame),
		BYTES(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 0x80, 0x35, 0, 1, 8, 0,
			6, 4, 0, 3, 2, 0, 0, 0, 0, 7, 0, 0, 0, 0, 2, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

/* RFC 5227, 2.3: a request for its own address, from it. */
static void test_an_ipv4_address_is_announced_by_arp(void **state)
{
	const struct cidr addr = { .family = 4, .prefix = 24, .addr = { 10, 77, 0, 1 } };
	(void)state;
	memset(frame, 0xa5, sizeof(frame));
	is(announce_address(mac_n(7), &addr, frame),
		BYTES(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 8, 6, 0, 1, 8, 0, 6, 4,
			0, 1, 2, 0, 0, 0, 0, 7, 10, 77, 0, 1, 0, 0, 0, 0, 0, 0, 10, 77, 0, 1, 0, 0,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

/* RFC 4861, 4.4; the checksum is worked out by hand (RFC 1071). */
static void test_an_ipv6_address_is_announced_by_an_advertisement(void **state)
{
	const struct cidr addr = { .family = 6, .prefix = 64, .addr = { 0xfd, [15] = 1 } };
	(void)state;
	memset(frame, 0xa5, sizeof(frame));
	is(announce_address(mac_n(7), &addr, frame),
		BYTES(0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 7, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 32,
			58, 255, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 2, 0, 0,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 136, 0, 0xda, 0x94, 0xa0, 0, 0, 0, 0xfd,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 2, 0, 0, 0, 0, 7));
}

static void test_what_is_announced_claims_the_address_it_is_from(void **state)
{
	const struct cidr addrs[] = { { .family = 0 },
		{ .family = 4, .prefix = 8, .addr = { 10, 1, 2, 3 } },
		{ .family = 6, .prefix = 64, .addr = { 0xfe, 0x80, [15] = 9 } } };
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		uint8_t scratch[ARPND_SCRATCH];
		struct arpnd a;
		mac_key claim;
		const uint32_t len = i ? announce_address(mac_n(9), &addrs[i], frame)
				       : announce_rarp(mac_n(9), frame);
		const struct frame view = { .head = frame, .head_len = len, .len = len };
		arpnd_read(&view, scratch, &a);
		assert_true(arpnd_next(&a, &claim));
		assert_true(claim == key_n(9));
		assert_false(arpnd_next(&a, &claim));
		assert_false(a.doubtful);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_station_asks_for_its_own_address),
		cmocka_unit_test(test_an_ipv4_address_is_announced_by_arp),
		cmocka_unit_test(test_an_ipv6_address_is_announced_by_an_advertisement),
		cmocka_unit_test(test_what_is_announced_claims_the_address_it_is_from),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
