/* test_mcast.c - server/hostif/mcast_linux.c: lines of /proc/net/dev_mcast, as they are and as they
 * might be. What the kernel really says is in netns/test_joins.c. */
#include "tests/support/test.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "server/hostif/mcast_linux.h"

static void assert_group(const char *line, unsigned index, const uint8_t want[6])
{
	struct feth_mac mac = { { 0 } };
	if (!mcast_line(line, index, &mac))
		fail_msg("not taken: %s", line);
	assert_memory_equal(mac.b, want, 6);
}

static void assert_none(const char *line, unsigned index)
{
	const struct feth_mac untouched = { { 9, 9, 9, 9, 9, 9 } };
	struct feth_mac mac = untouched;
	if (mcast_line(line, index, &mac))
		fail_msg("taken: %s", line);
	assert_memory_equal(mac.b, untouched.b, 6);
}

static void test_a_line_of_the_interface_is_a_group(void **state)
{
	(void)state;
	assert_group("3    feth101         1     0     01005e010203\n", 3,
		(const uint8_t[]){ 1, 0, 0x5e, 1, 2, 3 });
	assert_group("12345 feth101         2147483647 1     3333ffabcdef", 12345,
		(const uint8_t[]){ 0x33, 0x33, 0xff, 0xab, 0xcd, 0xef });
	assert_group("3    a.name-of:15byt  1     0     ffffffffffff\n", 3,
		(const uint8_t[]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff });
	assert_group("3    17              1     0     01005e010203\n", 3,
		(const uint8_t[]){ 1, 0, 0x5e, 1, 2, 3 }); /* an interface called 17 */
}

static void test_other_interfaces_and_addresses_are_skipped(void **state)
{
	(void)state;
	assert_none("3    feth101         1     0     01005e010203\n", 4);
	assert_none("33   feth101         1     0     01005e010203\n", 3);
	assert_none("3    feth101         1     0     02005e010203\n", 3); /* no group */
	assert_none("3    ib0             1     0     "
		    "00ffffffff12401bffff0000000000000000000000\n",
		3);
	assert_none("3    x               1     0     01005e0102\n", 3);
	assert_none("3    x               1     0     01005e01020\n", 3);
	assert_none("3    x               1     0     \n", 3); /* a link without addresses */
}

static void test_odd_lines_are_no_groups(void **state)
{
	(void)state;
	char longest[300];
	memset(longest, 'f', sizeof(longest));
	memcpy(longest, "3 x 1 0 ", 8);
	longest[sizeof(longest) - 1] = '\0';
	assert_none(longest, 3);
	assert_none("", 3);
	assert_none("\n", 3);
	assert_none("3", 3);
	assert_none("3 x 1 0 01005E010203", 3); /* the kernel writes small letters */
	assert_none("3 x 1 0 01:00:5e:01:02:03", 3);
	assert_none("3 x 1 0 0x005e010203", 3);
	assert_none("3 x 1 01005e010203", 3);
	assert_none("3 x 1 0 0 01005e010203", 3);
	assert_none("3x x 1 0 01005e010203", 3);
	assert_none("x 1 0 01005e010203", 0); /* no number is not nought */
	assert_none("Idx Device    : Count Querier	Group    Users Timer	Reporter", 3);
	assert_none("99999999999999999999 x 1 0 01005e010203", 3);
}

static void test_who_is_not_there_has_none(void **state)
{
	(void)state;
	struct feth_mac mac;
	assert_int_equal(mcast_groups("no-such-if", &mac, 1), -ENODEV);
	assert_int_equal(mcast_groups("", &mac, 1), -ENODEV);
	assert_int_equal(mcast_groups("a-name-much-longer-than-any", &mac, 1), -ENODEV);
}

/* Anybody may ask; lo takes part in no multicast and has an address of six zero bytes. */
static void test_the_loopback_interface_is_asked_without_privilege(void **state)
{
	(void)state;
	struct feth_mac mac[64];
	if (!if_nametoindex("lo"))
		skip();
	const int n = mcast_groups("lo", mac, 64);
	assert_true(n >= 0);
	for (int i = 0; i < n && i < 64; i++)
		assert_true(mac[i].b[0] & 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_of_the_interface_is_a_group),
		cmocka_unit_test(test_other_interfaces_and_addresses_are_skipped),
		cmocka_unit_test(test_odd_lines_are_no_groups),
		cmocka_unit_test(test_who_is_not_there_has_none),
		cmocka_unit_test(test_the_loopback_interface_is_asked_without_privilege),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
