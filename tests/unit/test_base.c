/* test_base.c - server/base and the small tables of server/core: errors, log text, names. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/err.h"
#include "server/base/log.h"
#include "server/core/command.h"

static void test_an_error_keeps_its_number_and_sentence(void **state)
{
	(void)state;
	struct err err = { 0 };
	assert_int_equal(err_set(&err, -ENOENT, "%s: no port %u", "lab", 7u), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.text, "lab: no port 7");
	assert_int_equal(err_set(NULL, -EBUSY, "nobody listens"), -EBUSY);
}

static void test_a_long_sentence_is_cut(void **state)
{
	(void)state;
	char text[2 * ERR_TEXT];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	struct err err;
	err_set(&err, -EINVAL, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT - 1);
}

static void escaped(size_t size, const char *text, const char *want)
{
	char *out = malloc(size); /* ends where it ends, for ASan */
	assert_string_equal(log_text(out, size, text), want);
	free(out);
}

static void test_text_of_peers_cannot_write_log_lines(void **state)
{
	(void)state;
	escaped(64, "plain text, ~ too", "plain text, ~ too");
	escaped(64, "a\nfethd: error: fake", "a\\x0afethd: error: fake");
	escaped(64, "\x1b[31m\x7f\xc3\xa9\\", "\\x1b[31m\\x7f\\xc3\\xa9\\x5c");
}

static void test_log_text_is_cut_before_an_escape_that_does_not_fit(void **state)
{
	(void)state;
	escaped(1, "abc", "");
	escaped(5, "\n\n", "\\x0a");
	escaped(8, "\n\n", "\\x0a");
	escaped(9, "\n\n", "\\x0a\\x0a");
}

static void test_names_of_reasons_and_kinds(void **state)
{
	(void)state;
	assert_string_equal(drop_name(DROP_RUNT), "runt");
	assert_string_equal(drop_name(DROP_NO_MEMORY), "no_memory");
	assert_string_equal(port_kind_name(PORT_KIND_HOST), "host");
	assert_string_equal(port_kind_name(PORT_KIND_NATIVE), "native");
	assert_string_equal(port_kind_name(PORT_KIND_QEMU), "qemu");
	assert_string_equal(port_kind_name(PORT_KIND_TAP), "tap");
	assert_string_equal(port_kind_name(PORT_KIND_DGRAM), "dgram");
	assert_string_equal(port_kind_name(PORT_KIND_SEQPACKET), "seqpacket");
	assert_string_equal(port_kind_name(PORT_KIND_VDE), "vde");
	assert_string_equal(port_kind_name(PORT_KIND_UDP), "udp");
	for (unsigned i = 0; i < PORT_KINDS; i++) {
		enum port_kind kind;
		assert_true(port_kind_find(port_kind_name((enum port_kind)i), &kind));
		assert_int_equal(kind, i);
	}
	enum port_kind none;
	assert_false(port_kind_find("Qemu", &none));
	assert_false(port_kind_find("", &none));
}

static void test_counters_add_up_field_by_field(void **state)
{
	(void)state;
	struct port_stats sum = { 1, 2, 3, 4, { 0 } };
	struct port_stats more = { 10, 20, 30, 40, { 0 } };
	for (unsigned r = 0; r < DROP_N; r++)
		more.drops[r] = r + 1;
	port_stats_add(&sum, &more);
	port_stats_add(&sum, &more);
	assert_int_equal(sum.rx_frames, 21);
	assert_int_equal(sum.rx_bytes, 42);
	assert_int_equal(sum.tx_frames, 63);
	assert_int_equal(sum.tx_bytes, 84);
	for (unsigned r = 0; r < DROP_N; r++)
		assert_int_equal(sum.drops[r], 2 * (r + 1));
}

static void test_a_command_owns_its_items(void **state)
{
	(void)state;
	struct command *cmd = command_new(CMD_PORT_LIST);
	assert_int_equal(cmd->kind, CMD_PORT_LIST);
	assert_int_equal(cmd->err.code, 0);
	cmd->items.any = malloc(10); /* LeakSanitizer watches */
	command_free(cmd);
	command_free(NULL);
}

static void test_log_levels_have_names(void **state)
{
	enum log_level level = LOG_WARN;
	(void)state;
	for (unsigned i = LOG_ERROR; i <= LOG_DEBUG; i++) {
		assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
		assert_int_equal(level, i);
	}
	assert_false(log_level_parse("Warn", &level));
	assert_false(log_level_parse("", &level));
	assert_int_equal(level, LOG_DEBUG);
	assert_int_equal(log_get_level(), LOG_INFO);
	log_set_level(LOG_ERROR);
	assert_int_equal(log_get_level(), LOG_ERROR);
	log_set_level(LOG_INFO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_error_keeps_its_number_and_sentence),
		cmocka_unit_test(test_a_long_sentence_is_cut),
		cmocka_unit_test(test_text_of_peers_cannot_write_log_lines),
		cmocka_unit_test(test_log_text_is_cut_before_an_escape_that_does_not_fit),
		cmocka_unit_test(test_log_levels_have_names),
		cmocka_unit_test(test_names_of_reasons_and_kinds),
		cmocka_unit_test(test_counters_add_up_field_by_field),
		cmocka_unit_test(test_a_command_owns_its_items),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
