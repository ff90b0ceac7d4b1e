/* test_netid.c - server/core/netid.c: the formulas are a contract, so every vector is a constant.
 */
#include "tests/support/test.h"

#include <string.h>

#include "server/core/netid.h"

static void test_siphash_gives_its_authors_vectors(void **state)
{
	(void)state;
	/* Aumasson, Bernstein 2012, appendix A (15 bytes), and vectors_sip64 of their reference
	 * code: key 00 01 ... 0f, message 00 01 ... of n bytes */
	static const struct {
		size_t n;
		uint64_t hash;
	} rows[] = {
		{ 0, 0x726fdb47dd0e0e31 },
		{ 1, 0x74f839c593dc67fd },
		{ 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 },
		{ 15, 0xa129ca6149be45e5 },
	};
	struct netid_key key;
	uint8_t message[16];
	for (unsigned i = 0; i < 16; i++)
		key.b[i] = message[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_true(siphash24(&key, message, rows[i].n) == rows[i].hash);
}

static void test_sixteen_lower_case_hex_digits_are_the_id_itself(void **state)
{
	(void)state;
	assert_true(netid_id("8056c2e21c000001") == 0x8056c2e21c000001);
	assert_true(netid_id("ffffffffffffffff") == UINT64_MAX);
	assert_true(netid_id("0000000000000000") == 0);
}

static void test_any_other_name_is_hashed_with_fnv_1a(void **state)
{
	(void)state;
	assert_true(netid_id("") == 0xcbf29ce484222325);  /* the offset basis */
	assert_true(netid_id("a") == 0xaf63dc4c8601ec8c); /* draft-eastlake-fnv, appendix C */
	assert_true(netid_id("foobar") == 0x85944171f73967e8);
	assert_true(netid_id("8056C2E21C000001") != 0x8056c2e21c000001);  /* upper case */
	assert_true(netid_id("8056c2e21c00000") != 0x8056c2e21c00000);    /* 15 */
	assert_true(netid_id("8056c2e21c0000011") != 0x8056c2e21c000001); /* 17 */
	assert_true(netid_id("8056c2e21c00000g") != 0x8056c2e21c000000);
}

static void test_units_have_the_documented_vectors(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t unit;
	} rows[] = {
		{ "8056c2e21c000001", 3533 },
		{ "0000000000000001", 101 },
		{ "0000000000000000", 100 },
		{ "ffffffffffffffff", 1555 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(netid_unit(netid_id(rows[i].name), 0), rows[i].unit);
		assert_int_equal(netid_unit(netid_id(rows[i].name), 10000), 10000 + rows[i].unit);
	}
}

static void test_units_to_try_wrap_through_all_4900(void **state)
{
	(void)state;
	static const uint32_t bases[] = { 0, 10000, NETID_BASE_MAX };
	for (unsigned b = 0; b < 3; b++) {
		static bool seen[NETID_UNITS];
		memset(seen, 0, sizeof(seen));
		const uint32_t first = netid_unit(UINT64_MAX, bases[b]);
		uint32_t unit = first;
		for (unsigned i = 0; i < NETID_UNITS; i++) {
			assert_in_range(unit, bases[b] + 100, bases[b] + 4999);
			assert_false(seen[unit - bases[b] - 100]);
			seen[unit - bases[b] - 100] = true;
			unit = netid_unit_next(unit, bases[b]);
		}
		assert_int_equal(unit, first);
	}
	assert_int_equal(netid_unit_next(4999, 0), 100);
	assert_int_equal(NETID_BASE_MAX + 4999 + NETID_SERVICE_OFFSET, 32767);
}

static void test_the_service_member_is_5000_above(void **state)
{
	(void)state;
	char host[HOSTIF_NAME], service[HOSTIF_NAME];
	netid_names(3533, host, service);
	assert_string_equal(host, "feth3533");
	assert_string_equal(service, "feth8533");
	netid_names(NETID_BASE_MAX + 4999, host, service);
	assert_string_equal(host, "feth27767");
	assert_string_equal(service, "feth32767");
}

static void mac_is(const char *machine, const char *network, const char *port, const char *want)
{
	const struct netid_key key = netid_key(machine);
	char text[MAC_TEXT];
	mac_format(text, netid_mac(&key, network, port));
	assert_string_equal(text, want);
}

static void test_addresses_have_their_vectors(void **state)
{
	(void)state;
	/* computed once with an independent SipHash */
	mac_is("", "lab", NULL, "02:9f:4e:65:ca:a8");
	mac_is("0123456789abcdef0123456789abcdef", "lab", NULL, "02:f6:17:03:55:64");
	mac_is("0123456789abcdef0123456789abcdef", "lab", "native-1", "02:be:ca:01:b2:16");
	mac_is("0123456789abcdef0123456789abcdef", "Lab", NULL, "02:85:b4:60:0f:ed");
	mac_is("fedcba9876543210fedcba9876543210", "lab", NULL, "02:a4:53:85:96:c1");
	mac_is("0123456789abcdef0123456789abcdef", "abcdefghijklmnopqrstuvwxyz012345",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", "02:22:b7:af:cf:a6");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_gives_its_authors_vectors),
		cmocka_unit_test(test_sixteen_lower_case_hex_digits_are_the_id_itself),
		cmocka_unit_test(test_any_other_name_is_hashed_with_fnv_1a),
		cmocka_unit_test(test_units_have_the_documented_vectors),
		cmocka_unit_test(test_units_to_try_wrap_through_all_4900),
		cmocka_unit_test(test_the_service_member_is_5000_above),
		cmocka_unit_test(test_addresses_have_their_vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
