/* test_rates.c - clients/ctl/rates.c: so many a second, also where counters begin anew. */
#include "tests/support/test.h"

#include <stdio.h>

#include "clients/ctl/rates.h"
#include "tests/support/snap.h"

static void near(double is, double want)
{
	assert_true(is > want - 0.001 && is < want + 0.001);
}

static void test_a_rate_is_the_difference_over_the_time(void **state)
{
	struct snap a = { 0 }, b = { 0 };
	struct rate r;
	(void)state;
	struct snap_network *na = snap_network(&a, "lab", 1000),
			    *nb = snap_network(&b, "lab", 3000);
	snap_port(na, 1, "vm", 5000)->traffic.tx_bytes = 100;
	struct snap_port *p = snap_port(nb, 1, "vm", 9000);
	p->traffic.tx_bytes = 600;
	p->traffic.tx_frames = 8;
	rates_port(&a.s, nb, p, &r);
	assert_true(r.known);
	near(r.rx_bytes, 2000);
	near(r.rx_frames, 20);
	near(r.tx_bytes, 250);
	near(r.tx_frames, 4);
	near(r.drops, 0);
	assert_null(r.reason);
	rates_network(&a.s, nb, &r);
	assert_true(r.known);
	near(r.rx_bytes, 2000);
}

static void test_the_reason_told_is_that_of_most_drops_now(void **state)
{
	struct snap a = { 0 }, b = { 0 };
	struct rate r;
	(void)state;
	struct snap_network *na = snap_network(&a, "lab", 0), *nb = snap_network(&b, "lab", 1000);
	snap_port(na, 1, "vm", 0)->traffic.drops = SNAP_DROPS({ "runt", 1000 }, { "spoofed", 5 });
	struct snap_port *p = snap_port(nb, 1, "vm", 0);
	p->traffic.drops = SNAP_DROPS({ "queue_full", 7 }, { "runt", 1002 }, { "spoofed", 5 });
	rates_port(&a.s, nb, p, &r);
	assert_true(r.known);
	near(r.drops, 9);
	assert_string_equal(r.reason, "queue_full");
}

static void test_without_a_before_or_time_nothing_is_known(void **state)
{
	struct snap a = { 0 }, b = { 0 };
	struct rate r;
	(void)state;
	struct snap_network *nb = snap_network(&b, "lab", 1000);
	struct snap_port *p = snap_port(nb, 1, "vm", 500);
	rates_port(NULL, nb, p, &r);
	assert_false(r.known);
	rates_network(NULL, nb, &r);
	assert_false(r.known);
	rates_port(&a.s, nb, p, &r); /* the network was not there */
	assert_false(r.known);
	struct snap_network *na = snap_network(&a, "lab", 1000); /* the clock stood still */
	snap_port(na, 1, "vm", 0);
	rates_port(&a.s, nb, p, &r);
	assert_false(r.known);
	near(r.rx_bytes, 0);
	na->at_ms = 2000; /* or went back */
	rates_port(&a.s, nb, p, &r);
	rates_network(&a.s, nb, &r);
	assert_false(r.known);
}

static void test_a_port_made_anew_counts_from_zero(void **state)
{
	struct snap a = { 0 }, b = { 0 };
	struct rate r;
	(void)state;
	struct snap_network *na = snap_network(&a, "lab", 0), *nb = snap_network(&b, "lab", 2000);
	snap_port(na, 1, "vm", 100);
	/* more than before, yet none of it is the old port's */
	struct snap_port *p = snap_port(nb, 1, "vm", 5000);
	p->age_ms = 500;
	rates_port(&a.s, nb, p, &r);
	assert_true(r.known);
	near(r.rx_bytes, 2500);
	/* one that was not there before */
	p = snap_port(nb, 2, "new", 400);
	p->age_ms = 1999;
	rates_port(&a.s, nb, p, &r);
	assert_true(r.known);
	near(r.rx_bytes, 200);
	/* that was there before, but of which nothing was known */
	p = snap_port(nb, 3, "missed", 400);
	rates_port(&a.s, nb, p, &r);
	assert_false(r.known);
}

static void test_another_at_the_same_number_is_another(void **state)
{
	struct snap a = { 0 }, b = { 0 };
	struct rate r;
	(void)state;
	struct snap_network *na = snap_network(&a, "lab", 0), *nb = snap_network(&b, "lab", 1000);
	snap_port(na, 1, "vm", 100);
	struct snap_port *p = snap_port(nb, 1, "other", 300);
	rates_port(&a.s, nb, p, &r);
	assert_false(r.known);
}

static void test_counters_that_fell_are_not_known(void **state)
{
	struct snap a = { 0 }, b = { 0 };
	struct rate r;
	(void)state;
	struct snap_network *na = snap_network(&a, "lab", 0), *nb = snap_network(&b, "lab", 1000);
	struct snap_port *before = snap_port(na, 0, "host", 1000),
			 *now = snap_port(nb, 0, "host", 900);
	now->has_age = before->has_age = false;
	rates_port(&a.s, nb, now, &r);
	assert_false(r.known);
	rates_network(&a.s, nb, &r);
	assert_false(r.known);
	now->traffic.rx_bytes = nb->traffic.rx_bytes = 2000; /* a reason that is gone fell, too */
	now->traffic.rx_frames = nb->traffic.rx_frames = 20;
	before->traffic.drops = SNAP_DROPS({ "runt", 1 });
	rates_port(&a.s, nb, now, &r);
	assert_false(r.known);
	rates_network(&a.s, nb, &r);
	assert_true(r.known);
}

static void test_ports_are_found_by_number_and_name(void **state)
{
	struct snap a = { 0 };
	char names[SNAP_PORTS][8];
	(void)state;
	struct snap_network *n = snap_network(&a, "lab", 0);
	for (uint32_t i = 0; i < SNAP_PORTS; i++) {
		snprintf(names[i], sizeof(names[i]), "p%u", i);
		snap_port(n, 3 * i, names[i], 0);
	}
	for (uint32_t i = 0; i < SNAP_PORTS; i++) {
		assert_ptr_equal(snapshot_port(n, 3 * i, names[i]), &n->ports[i]);
		assert_null(snapshot_port(n, 3 * i + 1, names[i]));
		assert_null(snapshot_port(n, 3 * i, "other"));
	}
	assert_null(snapshot_port(NULL, 0, "p0"));
	assert_ptr_equal(snapshot_network(&a.s, "lab"), n);
	assert_null(snapshot_network(&a.s, "Lab"));
	assert_null(snapshot_network(NULL, "lab"));
	const struct snap_counts drops = SNAP_DROPS({ "a", 1 }, { "b", 2 });
	assert_int_equal(snap_counts_sum(&drops), 3);
	assert_int_equal(snap_count_of(&drops, "b"), 2);
	assert_int_equal(snap_count_of(&drops, "c"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_rate_is_the_difference_over_the_time),
		cmocka_unit_test(test_the_reason_told_is_that_of_most_drops_now),
		cmocka_unit_test(test_without_a_before_or_time_nothing_is_known),
		cmocka_unit_test(test_a_port_made_anew_counts_from_zero),
		cmocka_unit_test(test_another_at_the_same_number_is_another),
		cmocka_unit_test(test_counters_that_fell_are_not_known),
		cmocka_unit_test(test_ports_are_found_by_number_and_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
