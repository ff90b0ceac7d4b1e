/* test_dial.c - server/core/dial.c: whom a port calls, and when it tries again. */
#include <string.h>

#include "server/core/dial.h"
#include "tests/support/test.h"

/* What `connect` alone says. */
static bool calls(struct dial *out, const char *connect, const char **why)
{
	struct dial_text text = { 0 };
	const char *field;
	if (strlen(connect) >= sizeof(text.connect)) {
		*why = "too long";
		return false;
	}
	strcpy(text.connect, connect);
	return dial_parse(out, &text, &field, why);
}

static void test_paths_are_absolute_and_can_be_kept(void **state)
{
	(void)state;
	struct dial dial;
	const char *why;
	char text[DIAL_TEXT];
	assert_true(calls(&dial, "/run/a b.sock", &why));
	assert_int_equal(dial.way, DIAL_PATH);
	assert_string_equal(dial.path, "/run/a b.sock");
	assert_true(dial_is_local(&dial));
	static const char *const bad[] = { "", "run/a", "./a", "\\a", "/a\n", "/a\x7f", "/a ;b",
		"/a ", "/a\xff", "unix:/a" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		why = NULL;
		if (calls(&dial, bad[i], &why))
			fail_msg("%s can be called", bad[i]);
		assert_non_null(why);
	}
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[DIAL_TEXT - 1] = '\0';
	assert_true(calls(&dial, text, &why));
}

static void test_tcp_is_local_where_its_address_is(void **state)
{
	(void)state;
	struct dial dial;
	const char *why;
	assert_true(calls(&dial, "tcp:127.0.0.1:5000", &why));
	assert_int_equal(dial.way, DIAL_TCP);
	assert_int_equal(dial.remote.port, 5000);
	assert_true(dial_is_local(&dial));
	assert_true(calls(&dial, "tcp:[::1]:5000", &why));
	assert_true(dial_is_local(&dial));
	assert_true(calls(&dial, "tcp:10.0.0.1:5000", &why));
	assert_false(dial_is_local(&dial));
	assert_false(calls(&dial, "tcp:localhost:5000", &why));
	assert_non_null(strstr(why, "names are not looked up"));
	assert_false(calls(&dial, "tcp:127.0.0.1", &why));
	assert_false(calls(&dial, "TCP:127.0.0.1:5000", &why));
}

static void test_a_place_is_a_path_alone(void **state)
{
	(void)state;
	struct dial_text text = { .remote = "/tmp/vm.sock" };
	struct dial dial;
	const char *field = NULL, *why = NULL;
	assert_true(dial_parse(&dial, &text, &field, &why));
	assert_int_equal(dial.way, DIAL_PLACE);
	assert_string_equal(dial.path, "/tmp/vm.sock");
	assert_true(dial_is_local(&dial));
}

static void test_udp_has_two_ends(void **state)
{
	(void)state;
	static const struct {
		const char *local, *remote, *field;
		bool here;
	} rows[] = {
		{ "127.0.0.1:1", "127.0.0.1:2", NULL, true }, { "[::1]:1", "[::1]:2", NULL, true },
		{ "0.0.0.0:1", "127.0.0.1:2", NULL, false },
		{ "127.0.0.1:1", "10.0.0.1:2", NULL, false },
		{ "127.0.0.1", "127.0.0.1:2", "local", false },
		{ "", "127.0.0.1:2", "local", false }, { "127.0.0.1:1", "", "remote", false },
		{ "127.0.0.1:1", "localhost:1", "remote", false },
		{ "127.0.0.1:1", "/x", "remote", false }, { "", "/x ;", "remote", false },
		{ "", "/x\n", "remote", false }, { "127.0.0.1:1", "[::1]:1", "remote", false },
		{ "127.0.0.1:1", "127.0.0.1:1", "remote", false }, /* itself */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct dial_text text = { 0 };
		struct dial dial;
		const char *field = NULL, *why = NULL;
		strcpy(text.local, rows[i].local);
		strcpy(text.remote, rows[i].remote);
		assert_true(dial_text_any(&text));
		if (dial_parse(&dial, &text, &field, &why) != !rows[i].field)
			fail_msg("row %zu", i);
		if (rows[i].field) {
			assert_string_equal(field, rows[i].field);
			assert_non_null(why);
			continue;
		}
		assert_int_equal(dial.way, DIAL_UDP);
		assert_int_equal(dial.local.port, 1);
		assert_int_equal(dial.remote.port, 2);
		assert_int_equal(dial_is_local(&dial), rows[i].here);
	}
	const struct dial_text none = { 0 };
	assert_false(dial_text_any(&none));
}

static void test_texts_are_the_same_in_all_parts(void **state)
{
	(void)state;
	const struct dial_text a = { .connect = "/a" }, b = { .local = "/a" },
			       c = { .remote = "/a" };
	const struct dial_text *all[] = { &a, &b, &c };
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(dial_text_same(all[i], all[k]), i == k);
}

static void test_a_wait_doubles_up_to_the_most(void **state)
{
	(void)state;
	uint32_t most = DIAL_FIRST_MS;
	struct dial_pace pace = { 0 };
	for (unsigned tries = 0; tries < 1000; tries++) {
		for (uint32_t i = 0; i < 40; i++) {
			struct dial_pace same = pace;
			assert_in_range(
				dial_pace_wait_ms(&same, tries, i << 27 ^ i), most / 2, most);
		}
		struct dial_pace first = pace;
		assert_int_equal(dial_pace_wait_ms(&first, tries, 0), most / 2);
		assert_int_equal(dial_pace_wait_ms(&pace, tries, most / 2), most);
		most = 2 * most < DIAL_MOST_MS ? 2 * most : DIAL_MOST_MS;
	}
}

static void test_only_a_connection_that_held_begins_anew(void **state)
{
	(void)state;
	struct dial_pace pace = { 0 };
	uint64_t now = 1000;
	for (unsigned i = 0; i < 3; i++)
		(void)dial_pace_wait_ms(&pace, now, 0);
	dial_pace_opened(&pace, now);
	now += DIAL_STEADY_MS - 1; /* as of who takes one in and sends him away */
	assert_int_equal(dial_pace_wait_ms(&pace, now, 0), 8 * DIAL_FIRST_MS / 2);
	now += DIAL_STEADY_MS; /* not connected, however long */
	assert_int_equal(dial_pace_wait_ms(&pace, now, 0), 16 * DIAL_FIRST_MS / 2);
	dial_pace_opened(&pace, now);
	now += DIAL_STEADY_MS;
	assert_int_equal(dial_pace_wait_ms(&pace, now, 0), DIAL_FIRST_MS / 2);
	assert_int_equal(dial_pace_wait_ms(&pace, now, 0), 2 * DIAL_FIRST_MS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_are_absolute_and_can_be_kept),
		cmocka_unit_test(test_tcp_is_local_where_its_address_is),
		cmocka_unit_test(test_a_place_is_a_path_alone),
		cmocka_unit_test(test_udp_has_two_ends),
		cmocka_unit_test(test_texts_are_the_same_in_all_parts),
		cmocka_unit_test(test_a_wait_doubles_up_to_the_most),
		cmocka_unit_test(test_only_a_connection_that_held_begins_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
