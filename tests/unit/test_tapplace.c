/* test_tapplace.c - server/core/tapplace.c: what a tap's interface and namespace may be called. */
#include "tests/support/test.h"

#include "server/core/tapplace.h"

static void test_names_of_interfaces(void **state)
{
	(void)state;
	static const char *const good[] = { "eth0", "a", "vm-1.tap", "abcdefghijklmno", "v_1+2" };
	static const char *const bad[] = { "", "abcdefghijklmnop", ".", "..", "a/b", "a b", "a\tb",
		"tap%d", "a:1", "a@b", "-a", "\x7f", "\xc3\xa4", "a\"", "a\nb" };
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(tapplace_ifname(good[i]));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(tapplace_ifname(bad[i]));
}

static void test_names_of_namespaces(void **state)
{
	(void)state;
	static const char *const good[] = { "box", "a.b", "/proc/1/ns/net", "/run/netns/box",
		"..." };
	static const char *const bad[] = { "", ".", "..", "a/b", "../box", "a b", "\n", "\x80" };
	char text[TAPPLACE_NETNS + 1];
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(tapplace_netns(good[i]));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(tapplace_netns(bad[i]));
	memset(text, 'a', sizeof(text));
	text[TAPPLACE_NETNS] = '\0';
	assert_non_null(tapplace_netns(text));
	text[TAPPLACE_NETNS - 1] = '\0';
	assert_null(tapplace_netns(text));
}

static void test_two_places_are_one_if_both_names_are(void **state)
{
	(void)state;
	const struct tap_place a = { "eth0", "box" }, b = { "eth1", "box" }, c = { "eth0", "" };
	assert_true(tapplace_same(&a, &a));
	assert_false(tapplace_same(&a, &b));
	assert_false(tapplace_same(&a, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_interfaces),
		cmocka_unit_test(test_names_of_namespaces),
		cmocka_unit_test(test_two_places_are_one_if_both_names_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
