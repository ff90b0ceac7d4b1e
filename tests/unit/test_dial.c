/* test_dial.c - server/core/dial.c: whom a port calls, and when it tries again. */
#include <string.h>

#include "server/core/dial.h"
#include "tests/support/test.h"

static void test_paths_are_absolute_and_can_be_kept(void **state)
{
	(void)state;
	struct dial dial;
	const char *why;
	char text[DIAL_TEXT + 1];
	assert_true(dial_parse(&dial, "/run/a b.sock", &why));
	assert_int_equal(dial.way, DIAL_PATH);
	assert_string_equal(dial.path, "/run/a b.sock");
	assert_true(dial_is_local(&dial));
	static const char *const bad[] = { "", "run/a", "./a", "\\a", "/a\n", "/a\x7f", "/a ;b",
		"/a ", "/a\xff", "unix:/a" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		why = NULL;
		if (dial_parse(&dial, bad[i], &why))
			fail_msg("%s can be called", bad[i]);
		assert_non_null(why);
	}
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[DIAL_TEXT] = '\0';
	assert_false(dial_parse(&dial, text, &why));
	text[DIAL_TEXT - 1] = '\0';
	assert_true(dial_parse(&dial, text, &why));
}

static void test_tcp_is_local_where_its_address_is(void **state)
{
	(void)state;
	struct dial dial;
	const char *why;
	assert_true(dial_parse(&dial, "tcp:127.0.0.1:5000", &why));
	assert_int_equal(dial.way, DIAL_TCP);
	assert_int_equal(dial.remote.port, 5000);
	assert_true(dial_is_local(&dial));
	assert_true(dial_parse(&dial, "tcp:[::1]:5000", &why));
	assert_true(dial_is_local(&dial));
	assert_true(dial_parse(&dial, "tcp:10.0.0.1:5000", &why));
	assert_false(dial_is_local(&dial));
	assert_false(dial_parse(&dial, "tcp:localhost:5000", &why));
	assert_non_null(strstr(why, "names are not looked up"));
	assert_false(dial_parse(&dial, "tcp:127.0.0.1", &why));
	assert_false(dial_parse(&dial, "TCP:127.0.0.1:5000", &why));
}

static void test_udp_is_local_where_both_ends_are(void **state)
{
	(void)state;
	const struct endpoint here = { .family = 4, .addr = { 127, 0, 0, 1 }, .port = 1 };
	const struct endpoint any = { .family = 4, .port = 1 };
	struct dial dial = { .way = DIAL_UDP, .local = here, .remote = here };
	assert_true(dial_is_local(&dial));
	dial.local = any;
	assert_false(dial_is_local(&dial));
	dial.local = here;
	dial.remote = any;
	assert_false(dial_is_local(&dial));
}

static void test_a_wait_doubles_up_to_the_most(void **state)
{
	(void)state;
	uint32_t most = DIAL_FIRST_MS;
	for (unsigned tries = 0; tries < 40; tries++) {
		assert_int_equal(dial_wait_ms(tries, 0), most / 2);
		assert_int_equal(dial_wait_ms(tries, most / 2), most);
		for (uint32_t random = 1; random; random *= 3) {
			const uint32_t ms = dial_wait_ms(tries, random);
			assert_in_range(ms, most / 2, most);
			if (random > UINT32_MAX / 3)
				break;
		}
		most = 2 * most < DIAL_MOST_MS ? 2 * most : DIAL_MOST_MS;
	}
	assert_int_equal(dial_wait_ms(UINT32_MAX, UINT32_MAX) <= DIAL_MOST_MS, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_are_absolute_and_can_be_kept),
		cmocka_unit_test(test_tcp_is_local_where_its_address_is),
		cmocka_unit_test(test_udp_is_local_where_both_ends_are),
		cmocka_unit_test(test_a_wait_doubles_up_to_the_most),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
