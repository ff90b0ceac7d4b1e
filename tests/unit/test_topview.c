/* test_topview.c - clients/ctl/topview.c: what the screen of top shows at which size, and its keys.
 */
#include "tests/support/test.h"

#include <stdio.h>

#include "clients/ctl/topview.h"
#include "tests/support/rng.h"
#include "tests/support/snap.h"

static void number_is(double value, const char *want)
{
	char text[TOP_NUMBER];
	top_number(true, value, text);
	assert_string_equal(text, want);
	assert_true(strlen(text) <= 5);
}

static void test_numbers_keep_to_five_characters(void **state)
{
	char text[TOP_NUMBER];
	(void)state;
	number_is(0, "0");
	number_is(0.04, "0");
	number_is(0.3, "0.3");
	number_is(9.94, "9.9");
	number_is(9.96, "10");
	number_is(999.4, "999");
	number_is(999.6, "1.00k");
	number_is(12345, "12.3k");
	number_is(99940, "99.9k");
	number_is(99960, "100k");
	number_is(999499, "999k");
	number_is(999501, "1.00M");
	number_is(1.25e9, "1.25G");
	number_is(1.8e19, "18.0E");
	number_is(1e30, "lots");
	top_number(false, 5, text);
	assert_string_equal(text, "-");
}

/* Two networks with rates: lab, where vm2 sends more than vm1 and vm1 drops, and wan. */
static void two_networks(struct snap *a, struct snap *b)
{
	memset(a, 0, sizeof(*a));
	memset(b, 0, sizeof(*b));
	struct snap_network *la = snap_network(a, "lab", 0), *lb = snap_network(b, "lab", 1000);
	snap_port(la, 1, "vm1", 0);
	snap_port(la, 2, "vm2", 0);
	snap_port(lb, 1, "vm1", 1200)->traffic.drops = (struct snap_counts){ b->drops[0][0], 1 };
	b->drops[0][0][0] = (struct snap_count){ "too_big_for_port", 40 };
	lb->ports[0].queued_bytes = 250;
	snap_port(lb, 2, "vm2", 34500);
	struct snap_network *wa = snap_network(a, "wan", 0), *wb = snap_network(b, "wan", 1000);
	snap_port(wa, 0, "host", 0);
	snap_port(wb, 0, "host", 100000)->kind = "host";
	wb->host = "feth101";
	b->s.has_daemon = true;
	b->s.version = "1.2.3";
	b->s.uptime_ms = 3723000;
}

static struct top_line lines[64];

static size_t lay_out(struct top_view *view, const struct snap *a, const struct snap *b,
	unsigned columns, unsigned rows)
{
	memset(lines, 'X', sizeof(lines));
	const size_t fit =
		top_lay_out(view, a ? &a->s : NULL, b ? &b->s : NULL, columns, lines, rows);
	for (unsigned i = 0; i < rows; i++) /* a character a cell, each line all of them */
		assert_int_equal(strlen(lines[i].text), columns);
	return fit;
}

static void line_is(unsigned i, const char *want)
{
	const size_t len = strlen(want);
	assert_memory_equal(lines[i].text, want, len);
	for (const char *p = lines[i].text + len; *p; p++)
		assert_int_equal(*p, ' ');
}

static void test_a_screen_of_80_columns(void **state)
{
	struct snap a, b;
	struct top_view view = { .every_ms = 1000 };
	(void)state;
	two_networks(&a, &b);
	assert_int_equal(lay_out(&view, &a, &b, 80, 10), 7);
	line_is(0,
		"fethd 1.2.3  up 1:02:03  networks 2  attached 3                all, by rate, 1 s");
}

static void test_rows_and_their_order(void **state)
{
	struct snap a, b;
	struct top_view view = { .every_ms = 2500 };
	(void)state;
	two_networks(&a, &b);
	lay_out(&view, &a, &b, 80, 10);
	line_is(1,
		"NETWORK             RX-F/S  RX-B/S  TX-F/S  TX-B/S  DROP/S  REASON       QUEUE");
	assert_int_equal(lines[1].style, TOP_REVERSE);
	line_is(2,
		"wan                  1.00k    100k       0       0       0                  0%");
	assert_int_equal(lines[2].style, TOP_BOLD);
	line_is(3,
		"  host               1.00k    100k       0       0       0                  0%");
	line_is(4,
		"lab                    357   35.7k       0       0       0                 25%");
	line_is(5,
		"  vm2                  345   34.5k       0       0       0                  0%");
	line_is(6, "  vm1                   12   1.20k       0       0      40  too_big_fo~    "
		   "25%");
	assert_int_equal(lines[6].style, TOP_PLAIN);
	line_is(7, "");
	line_is(9, "q quit  s sort  b bits  n network  arrows, pages  +- interval");
	assert_non_null(strstr(lines[0].text, "all, by rate, 2.5 s"));

	view.sort = TOP_BY_DROPS;
	lay_out(&view, &a, &b, 80, 10);
	assert_memory_equal(lines[2].text, "lab ", 4); /* equal drops of networks: by name */
	assert_memory_equal(lines[3].text, "  vm1 ", 6);
	view.sort = TOP_BY_QUEUE;
	lay_out(&view, &a, &b, 80, 10);
	assert_memory_equal(lines[3].text, "  vm1 ", 6);
	view.sort = TOP_BY_NAME;
	view.network = "lab";
	view.bits = true;
	lay_out(&view, &a, &b, 80, 10);
	assert_non_null(strstr(lines[0].text, "lab, by name"));
	assert_non_null(strstr(lines[1].text, "RX-b/S"));
	line_is(2,
		"lab                    357    286k       0       0       0                 25%");
	line_is(3, "  vm1                   12   9.60k       0       0      40  too_big_fo~    "
		   "25%");
	line_is(5, "");
}

static void test_a_wide_screen_says_more(void **state)
{
	struct snap a, b;
	struct top_view view = { .every_ms = 1000 };
	(void)state;
	two_networks(&a, &b);
	b.ports[0][0].attached = false;
	b.ports[0][1].up = false;
	lay_out(&view, &a, &b, 200, 50);
	assert_non_null(strstr(lines[1].text, "KIND"));
	assert_non_null(strstr(lines[1].text, "MAC"));
	assert_non_null(strstr(lines[2].text, "feth101"));
	assert_non_null(strstr(lines[3].text, "host       02:00:00:00:00:01"));
	assert_non_null(strstr(lines[5].text, "down"));
	assert_non_null(strstr(lines[6].text, "waiting"));
	assert_non_null(strstr(lines[6].text, "too_big_for_port"));
}

static void test_narrow_screens_keep_what_matters(void **state)
{
	struct snap a, b;
	struct top_view view = { .every_ms = 1000 };
	(void)state;
	two_networks(&a, &b);
	lay_out(&view, &a, &b, 24, 10);
	line_is(1, "NETWORK   RX-B/S  TX-B/S");
	line_is(5, "  vm2      34.5k       0");
	lay_out(&view, &a, &b, 6, 4);
	assert_memory_equal(lines[1].text, "NETWO~", 6);
	assert_int_equal(lay_out(&view, &a, &b, 1, 1), 1);
	assert_int_equal(lay_out(&view, &a, &b, 80, 2), 1); /* the title, and a row */
	assert_int_equal(lay_out(&view, &a, &b, 80, 3), 1);
	assert_memory_equal(lines[2].text, "wan ", 4);
}

static void test_names_are_cut_and_odd_characters_replaced(void **state)
{
	struct snap b = { 0 };
	struct top_view view = { .every_ms = 1000 };
	(void)state;
	struct snap_network *n = snap_network(&b, "a-network-with-a-name-of-32-chars", 0);
	snap_port(n, 1, "\x1b[31m\xc3\xa9\n", 0);
	lay_out(&view, NULL, &b, 80, 8);
	assert_memory_equal(lines[2].text, "a-network-with-a-na~ ", 21);
	assert_memory_equal(lines[3].text, "  ?[31m??? ", 11);
	assert_non_null(strstr(lines[3].text, "       -       -"));
	lay_out(&view, NULL, &b, 120, 8);
	assert_memory_equal(lines[2].text, "a-network-with-a-name-of-32-chars ", 34);
}

static void test_scrolling_ends_at_the_ends(void **state)
{
	static char names[SNAP_PORTS][8];
	struct snap b = { 0 };
	struct top_view view = { .every_ms = 1000, .sort = TOP_BY_NAME };
	(void)state;
	struct snap_network *n = snap_network(&b, "lab", 0);
	for (uint32_t i = 0; i < 30; i++) {
		snprintf(names[i], sizeof(names[i]), "p%02u", i);
		snap_port(n, i + 1, names[i], 0);
	}
	assert_int_equal(lay_out(&view, NULL, &b, 80, 13), 10);
	assert_non_null(strstr(lines[12].text, " 1-10 of 31"));
	view.first = 5;
	lay_out(&view, NULL, &b, 80, 13);
	assert_memory_equal(lines[2].text, "  p04 ", 6);
	assert_non_null(strstr(lines[12].text, " 6-15 of 31"));
	view.first = SIZE_MAX / 2;
	lay_out(&view, NULL, &b, 80, 13);
	assert_int_equal(view.first, 21);
	assert_memory_equal(lines[11].text, "  p29 ", 6);
	n->n_ports = 3; /* fewer now: nothing to scroll */
	lay_out(&view, NULL, &b, 80, 13);
	assert_int_equal(view.first, 0);
	assert_null(strstr(lines[12].text, " of "));
}

static void test_what_is_wrong_stands_in_the_title(void **state)
{
	struct snap a, b;
	struct top_view view = { .every_ms = 1000, .note = "fethd is gone, trying again" };
	(void)state;
	two_networks(&a, &b);
	lay_out(&view, NULL, NULL, 80, 24);
	assert_memory_equal(lines[0].text, "fethd is gone, trying again ", 28);
	line_is(2, "");
	lay_out(&view, &a, &b, 80, 24);
	assert_memory_equal(lines[0].text, "fethd is gone, trying again ", 28);
	assert_memory_equal(lines[2].text, "wan ", 4);
	b.s.has_daemon = false;
	view.note = NULL;
	lay_out(&view, &a, &b, 80, 24);
	assert_memory_equal(lines[0].text, "fethd  attached 3 ", 18);
	b.s.has_daemon = true;
	b.s.uptime_ms = 90061000;
	lay_out(&view, &a, &b, 80, 24);
	assert_non_null(strstr(lines[0].text, "up 1d 1:01 "));
}

/* Whatever the size, the sort, what is there and how far it was scrolled: every line is as wide as
 * the screen, and nothing is written beyond (ASan sees that). */
static void test_every_size_is_filled(void **state)
{
	struct rng rng = rng_start("topview");
	static char names[SNAP_PORTS][44];
	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		struct snap a, b;
		two_networks(&a, &b);
		const unsigned more = rng_below(&rng, 40);
		for (unsigned k = 0; k < more; k++) {
			snprintf(names[k], sizeof(names[k]), "%.*s%u", (int)rng_below(&rng, 28),
				"abcdefghijklmnopqrstuvwxyzABCDEF", k);
			snap_port(
				&b.nets[0], 10 + k, names[k], rng_next(&rng) >> rng_below(&rng, 64))
				->age_ms = rng_below(&rng, 2000);
		}
		struct top_view view = {
			.sort = (enum top_sort)rng_below(&rng, TOP_SORTS),
			.bits = rng_one_in(&rng, 2),
			.first = rng_below(&rng, 60),
			.every_ms = 1 + rng_below(&rng, 60000),
			.network = rng_one_in(&rng, 3) ? "lab" : NULL,
		};
		lay_out(&view, rng_one_in(&rng, 4) ? NULL : &a, rng_one_in(&rng, 9) ? NULL : &b,
			rng_between(&rng, 1, rng_one_in(&rng, 5) ? TOP_COLUMNS_MAX : 100),
			rng_between(&rng, 1, 60));
	}
}

static void key_is(const char *bytes, size_t n, enum top_key want, size_t used)
{
	size_t took = 99;
	assert_int_equal(top_key((const unsigned char *)bytes, n, &took), want);
	assert_int_equal(took, used);
}
#define KEY(bytes, want, used) key_is(bytes, sizeof(bytes) - 1, want, used)

static void test_keys(void **state)
{
	(void)state;
	KEY("q", TOP_KEY_QUIT, 1);
	KEY("\x03", TOP_KEY_QUIT, 1);
	KEY("sq", TOP_KEY_SORT, 1);
	KEY("b", TOP_KEY_BITS, 1);
	KEY("n", TOP_KEY_NETWORK, 1);
	KEY("+", TOP_KEY_FASTER, 1);
	KEY("-", TOP_KEY_SLOWER, 1);
	KEY("\x0c", TOP_KEY_REDRAW, 1);
	KEY("x", TOP_KEY_NONE, 1);
	KEY("\xff", TOP_KEY_NONE, 1);
	KEY("\x1b[A", TOP_KEY_UP, 3);
	KEY("\x1bOBq", TOP_KEY_DOWN, 3);
	KEY("\x1b[5~", TOP_KEY_PAGE_UP, 4);
	KEY("\x1b[6~", TOP_KEY_PAGE_DOWN, 4);
	KEY("\x1b[H", TOP_KEY_HOME, 3);
	KEY("\x1b[4~", TOP_KEY_END, 4);
	KEY("\x1b[1;5A", TOP_KEY_UP, 6);
	KEY("\x1b[15~", TOP_KEY_NONE, 5);
	KEY("\x1b[999999999999~", TOP_KEY_NONE, 15);
	KEY("\x1b", TOP_KEY_NONE, 0);
	KEY("\x1b[", TOP_KEY_NONE, 0);
	KEY("\x1b[5", TOP_KEY_NONE, 0);
	KEY("\x1bq", TOP_KEY_NONE, 1); /* the key ESC, then q */
	KEY("\x1b[\x1b", TOP_KEY_NONE, 3);
	KEY("\x1b[0000000000000000000000000000000000", TOP_KEY_NONE, 36); /* has no end */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_keep_to_five_characters),
		cmocka_unit_test(test_a_screen_of_80_columns),
		cmocka_unit_test(test_rows_and_their_order),
		cmocka_unit_test(test_a_wide_screen_says_more),
		cmocka_unit_test(test_narrow_screens_keep_what_matters),
		cmocka_unit_test(test_names_are_cut_and_odd_characters_replaced),
		cmocka_unit_test(test_scrolling_ends_at_the_ends),
		cmocka_unit_test(test_what_is_wrong_stands_in_the_title),
		cmocka_unit_test(test_every_size_is_filled),
		cmocka_unit_test(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
