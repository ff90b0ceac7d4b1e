/* test_ipaddr.c - which addresses are hosts', and which are all hosts'. */
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <string.h>

#include "server/core/ipaddr.h"

struct address {
	uint8_t b[16];
};

static struct address of(const char *text)
{
	struct address a;
	if (inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, a.b) != 1)
		fail_msg("%s", text);
	return a;
}

static void test_a_prefix_is_compared_bit_by_bit(void **state)
{
	(void)state;
	const uint8_t a[] = { 10, 0, 0x80, 1 };
	for (unsigned bit = 0; bit < 32; bit++) {
		uint8_t b[4];
		memcpy(b, a, 4);
		b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		for (unsigned bits = 0; bits <= 32; bits++)
			if (ip_same_prefix(a, b, bits) != (bits <= bit))
				fail_msg("bit %u of %u", bit, bits);
	}
	assert_true(ip_same_prefix(of("fd00::1").b, of("fd00::1").b, 128));
	assert_false(ip_same_prefix(of("fd00::1").b, of("fd00::2").b, 127));
}

static void test_broadcasts_are_those_of_the_subnet(void **state)
{
	(void)state;
	static const struct {
		const char *own;
		unsigned prefix;
		const char *all, *none, *host, *outside;
	} nets[] = {
		{ "10.0.0.1", 24, "10.0.0.255", "10.0.0.0", "10.0.0.254", "10.0.1.255" },
		{ "172.16.5.1", 20, "172.16.15.255", "172.16.0.0", "172.16.5.255", "172.16.16.0" },
		{ "10.0.0.5", 30, "10.0.0.7", "10.0.0.4", "10.0.0.6", "10.0.0.3" },
		{ "10.0.0.1", 8, "10.255.255.255", "10.0.0.0", "10.0.0.255", "11.255.255.255" },
	};
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		const struct address own = of(nets[i].own);
		assert_true(ip4_is_broadcast_of(of(nets[i].all).b, own.b, nets[i].prefix));
		assert_true(ip4_is_broadcast_of(of(nets[i].none).b, own.b, nets[i].prefix));
		assert_false(ip4_is_broadcast_of(of(nets[i].host).b, own.b, nets[i].prefix));
		assert_false(ip4_is_broadcast_of(of(nets[i].outside).b, own.b, nets[i].prefix));
	}
	for (uint8_t last = 0; last < 4; last++) { /* nobody's but hosts' */
		const uint8_t a[] = { 10, 0, 0, last };
		assert_false(ip4_is_broadcast_of(a, a, 31));
		assert_false(ip4_is_broadcast_of(a, a, 32));
	}
}

static void test_hosts(void **state)
{
	(void)state;
	static const char *const hosts4[] = { "1.0.0.0", "10.0.0.1", "126.255.255.255", "128.0.0.1",
		"169.254.1.1", "223.255.255.255" };
	static const char *const others4[] = { "0.0.0.0", "0.255.0.1", "127.0.0.1", "127.255.0.1",
		"224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255" };
	static const char *const hosts6[] = { "::2", "::101", "fd00::", "fe80::1", "1::" };
	static const char *const others6[] = { "::", "::1", "ff02::1", "ff00::" };
	for (size_t i = 0; i < sizeof(hosts4) / sizeof(hosts4[0]); i++)
		assert_true(ip4_is_host(of(hosts4[i]).b));
	for (size_t i = 0; i < sizeof(others4) / sizeof(others4[0]); i++)
		assert_false(ip4_is_host(of(others4[i]).b));
	for (size_t i = 0; i < sizeof(hosts6) / sizeof(hosts6[0]); i++)
		assert_true(ip6_is_host(of(hosts6[i]).b));
	for (size_t i = 0; i < sizeof(others6) / sizeof(others6[0]); i++)
		assert_false(ip6_is_host(of(others6[i]).b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_prefix_is_compared_bit_by_bit),
		cmocka_unit_test(test_broadcasts_are_those_of_the_subnet),
		cmocka_unit_test(test_hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
