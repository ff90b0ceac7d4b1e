/* test_nat.c - core/nat.c: rules as text, and whose they are. */
#include "tests/support/test.h"

#include <string.h>

#include "server/core/nat.h"

static struct hostif_spec spec_with(const char *const *addrs)
{
	struct hostif_spec spec = { .network = "lab", .host = "feth101" };
	const char *why;
	for (; *addrs; addrs++)
		assert_true(cidr_parse(&spec.addrs[spec.n_addrs++], *addrs, &why));
	return spec;
}

#define SPEC(...) spec_with((const char *const[]){ __VA_ARGS__, NULL })

static void test_a_name_says_which_run_directory_and_network(void **state)
{
	(void)state;
	char a[NAT_NAME], b[NAT_NAME], prefix[NAT_NAME];
	nat_name(a, "/run/fethd", "lab");
	nat_prefix(prefix, "/run/fethd");
	assert_int_equal(strlen(prefix), strlen("fethd-0123456789abcdef-"));
	assert_memory_equal(a, prefix, strlen(prefix));
	assert_string_equal(a + strlen(prefix), "lab");
	nat_name(b, "/run/fethd2", "lab");
	assert_string_not_equal(a, b);
	nat_name(b, "/run/fethd", "abcdefghijklmnopqrstuvwxyz012345");
	assert_int_equal(strlen(b), 55);
}

static void test_a_table_replaces_itself(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("10.77.0.1/24", "fd00::1/64", "192.168.5.129/25");
	char text[NAT_TEXT];
	nat_nft(text, "fethd-x-lab", &s);
	assert_string_equal(text,
		"table ip fethd-x-lab\n"
		"delete table ip fethd-x-lab\n"
		"table ip fethd-x-lab {\n"
		"	chain postrouting {\n"
		"		type nat hook postrouting priority 100; policy accept;\n"
		"		ip saddr 10.77.0.0/24 oifname != \"feth101\" masquerade\n"
		"		ip saddr 192.168.5.128/25 oifname != \"feth101\" masquerade\n"
		"	}\n"
		"	chain forward {\n"
		"		type filter hook forward priority 0; policy accept;\n"
		"		oifname != \"feth101\" accept\n"
		"		iifname \"feth101\" accept\n"
		"		ct state established,related accept\n"
		"		ct status dnat accept\n"
		"		drop\n"
		"	}\n"
		"}\n");
	nat_nft(text, "fethd-x-lab", NULL);
	assert_string_equal(text, "table ip fethd-x-lab\ndelete table ip fethd-x-lab\n");
}

static void test_the_longest_table_fits(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("203.200.200.200/24");
	char text[NAT_TEXT], table[NAT_NAME];
	while (s.n_addrs < HOSTIF_ADDRS_MAX)
		s.addrs[s.n_addrs++] = s.addrs[0];
	memset(s.host, 'h', HOSTIF_NAME - 1);
	nat_name(table, "/", "abcdefghijklmnopqrstuvwxyz012345");
	nat_nft(text, table, &s);
	assert_string_equal(
		text + strlen(text) - strlen("\t\tdrop\n\t}\n}\n"), "\t\tdrop\n\t}\n}\n");
	nat_pf(text, &s, s.host);
	assert_int_equal(text[strlen(text) - 1], '\n');
	unsigned lines = 0;
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, HOSTIF_ADDRS_MAX);
}

static void test_pf_translates_to_the_interface_s_own_address(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("10.77.0.1/24", "fd00::1/64");
	char text[NAT_TEXT];
	nat_pf(text, &s, "en0");
	assert_string_equal(text, "nat on en0 inet from 10.77.0.0/24 to any -> (en0)\n");
}

static void test_only_ipv4_is_translated(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("fd00::1/64");
	assert_false(nat_possible(&s));
	s = SPEC("fd00::1/64", "10.0.0.1/32");
	assert_true(nat_possible(&s));
}

static void test_ours_are_found_in_a_list(void **state)
{
	(void)state;
	const char *list = "table ip filter\ntable ip fethd-12-lab\ntable ip fethd-123-lab\n"
			   "table ip xfethd-12-a\ntable ip fethd-12-\ntable ip6 fethd-12-b_-c\n"
			   "  com.apple/fethd-12-d\nfethd-12-e";
	static const char *const want[] = { "fethd-12-lab", "fethd-12-b_-c", "fethd-12-d",
		"fethd-12-e" };
	char name[NAT_NAME];
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		assert_true(nat_find(&list, "fethd-12-", name));
		assert_string_equal(name, want[i]);
	}
	assert_false(nat_find(&list, "fethd-12-", name));
	list = "fethd-12-0123456789012345678901234567890123456789012345678901234567890123456789\n";
	assert_false(nat_find(&list, "fethd-12-", name)); /* longer than any of ours */
	list = "";
	assert_false(nat_find(&list, "fethd-12-", name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_says_which_run_directory_and_network),
		cmocka_unit_test(test_a_table_replaces_itself),
		cmocka_unit_test(test_the_longest_table_fits),
		cmocka_unit_test(test_pf_translates_to_the_interface_s_own_address),
		cmocka_unit_test(test_only_ipv4_is_translated),
		cmocka_unit_test(test_ours_are_found_in_a_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
