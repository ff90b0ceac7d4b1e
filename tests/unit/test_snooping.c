/* test_snooping.c - server/core/mcast.c: what is learned of IGMP, MLD and PIM, and where that sends
 * frames. */
#include "tests/support/test.h"

#include <errno.h>

#include "tests/support/groupnet.h"

/* -- policies -- */

static void test_a_known_group_goes_to_its_members_an_unknown_one_to_all(void **state)
{
	struct fixture *f = *state;
	for (unsigned v = V4; v <= V6; v++) {
		data(f, v, 1, 7);
		got(f, "h234");
		report(f, v, 3, 7);
		got(f, "h124"); /* no router, so the report goes to all */
		data(f, v, 1, 7);
		got(f, "h3");
		data(f, v, 3, 7); /* not back */
		got(f, "h");
		data(f, v, 0, 7);
		got(f, "3");
		report(f, v, 1, 7);
		clear(f);
		data(f, v, 0, 7);
		got(f, "13");
		data(f, v, 1, 8); /* another is unknown still */
		got(f, "h234");
	}
	assert_int_equal(stats(f)->reports, 4);
}

static void test_strict_keeps_unknown_groups_from_all_but_routers_and_those_of_all(void **state)
{
	struct fixture *f = *state;
	configure(f, MCAST_STRICT, false, false);
	network_set_host_groups(f->fn.net, NULL, 0);
	data(f, V4, 1, 7);
	got(f, "h"); /* what it listens to is not known */
	network_set_host_groups(f->fn.net, (const struct feth_mac[]){ mgroup_mac(V4, 9) }, 1);
	data(f, V4, 1, 7);
	got(f, "");
	assert_int_equal(stats(f)->unwanted, 1);
	network_groups_all(f->fn.net, 4, true);
	query(f, V4, 2, 9);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "24");
	data(f, V6, 1, 7); /* no router of that family */
	got(f, "4");
	data(f, V4, 1, 9);
	got(f, "h24");
	report(f, V4, 3, 7);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "234");
}

static void test_flood_does_not_look_at_reports(void **state)
{
	struct fixture *f = *state;
	report(f, V4, 3, 7);
	query(f, V4, 4, 9);
	assert_int_equal(join(f, 2, V4, 7), 0);
	configure(f, MCAST_FLOOD, false, false);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h234");
	report(f, V4, 3, 8);
	got(f, "h124");
	assert_int_equal(stats(f)->reports, 1);
	configure(f, MCAST_SNOOP, false, false); /* what was heard before is forgotten */
	data(f, V4, 1, 7);
	got(f, "h2");
	data(f, V4, 1, 8);
	got(f, "h34"); /* not to 2, which chooses */
}

static void test_no_policy_is_none(void **state)
{
	struct fixture *f = *state;
	const struct mcast_conf conf = { .policy = (enum mcast_policy)3 };
	configure(f, MCAST_STRICT, false, false);
	assert_int_equal(network_set_multicast(f->fn.net, &conf), -EINVAL);
	assert_int_equal(network_multicast(f->fn.net)->policy, MCAST_STRICT);
}

/* -- reports, queries, routers -- */

static void test_reports_go_to_routers_alone(void **state)
{
	struct fixture *f = *state;
	query(f, V4, 4, 9);
	got(f, "h123"); /* queries to all */
	report(f, V4, 1, 7);
	got(f, "h4"); /* the host gets all as long as nobody knows better */
	leave(f, V4, 1, 7);
	got(f, "h4");
	network_set_host_groups(f->fn.net, (const struct feth_mac[]){ mgroup_mac(V4, 7) }, 1);
	report(f, V4, 2, 7);
	got(f, "4");
	report(f, V6, 2, 7); /* there is none of IPv6 */
	got(f, "h134");
	network_groups_all(f->fn.net, 3, true);
	report(f, V4, 2, 7);
	got(f, "34");
	report(f, V4, 4, 7); /* its own */
	got(f, "3");
}

static void test_a_router_gets_all_groups_of_its_family_for_255_s(void **state)
{
	struct fixture *f = *state;
	report(f, V4, 1, 7);
	report(f, V6, 1, 7);
	query(f, V4, 4, 9);
	clear(f);
	data(f, V4, 2, 7);
	got(f, "h14");
	data(f, V6, 2, 7);
	got(f, "h1");
	wait_ms(f, 254000);
	query(f, V4, 4, 9);
	wait_ms(f, 254000);
	report(f, V4, 1, 7);
	clear(f);
	data(f, V4, 2, 7);
	got(f, "h14");
	wait_ms(f, 1000);
	data(f, V4, 2, 7);
	got(f, "h1");
}

static void test_queries_that_are_not_for_all_flood_and_change_nothing(void **state)
{
	struct fixture *f = *state;
	join(f, 3, V6, 5);
	report(f, V6, 1, 7);
	clear(f);
	for (unsigned i = 0; i < 3; i++) { /* of a group, tagged, to a group's address */
		mpacket_query(&packet, V6, 2, 9, i ? 0 : 7, 1, 1, 1, 0);
		if (i == 1)
			mpacket_tag(&packet, 0x8100);
		if (i == 2)
			packet.b[5] = 99;
		put_in(f, 2, &packet);
		got(f, "h134"); /* also to who is not in the group */
		assert_false(f->fn.net->sw.mcast.sides[V6].querier.present);
	}
	data(f, V6, 4, 7);
	got(f, "h1");
	assert_int_equal(stats(f)->queries, 3);
	wait_ms(f, 1000000);
	data(f, V6, 4, 7);
	got(f, "h1");
}

static void test_a_query_from_nobody_marks_no_router(void **state)
{
	struct fixture *f = *state;
	report(f, V4, 1, 7);
	query(f, V4, 4, 0);
	clear(f);
	data(f, V4, 2, 7);
	got(f, "h1");
	report(f, V4, 2, 8);
	got(f, "h134");
}

static void test_pim_marks_a_router_for_as_long_as_it_says(void **state)
{
	struct fixture *f = *state;
	for (unsigned v = V4; v <= V6; v++) {
		report(f, v, 1, 7);
		clear(f);
		mpacket_hello(&packet, v, 9, 30);
		put_in(f, 4, &packet);
		got(f, "h123");
		data(f, v, 2, 7);
		got(f, "h14");
		wait_ms(f, 30000);
		data(f, v, 2, 7);
		got(f, "h1");
		query(f, v, 4, 9);
		mpacket_hello(&packet, v, 9, 30); /* takes nothing from the query's 255 s */
		put_in(f, 4, &packet);
		wait_ms(f, 31000);
		clear(f);
		data(f, v, 2, 7);
		got(f, "h14");
		mpacket_hello(&packet, v, 9, 0); /* "I go" */
		put_in(f, 4, &packet);
		clear(f);
		data(f, v, 2, 7);
		got(f, "h1");
	}
}

static void test_the_host_may_be_the_router(void **state)
{
	struct fixture *f = *state;
	network_set_host_groups(f->fn.net, (const struct feth_mac[]){ mgroup_mac(V4, 9) }, 1);
	query(f, V4, 0, 9);
	clear(f);
	report(f, V4, 1, 7);
	got(f, "h");
	data(f, V4, 2, 7);
	got(f, "h1");
	data(f, V4, 2, 8);
	got(f, "h134");
}

static void test_what_is_malformed_floods_is_counted_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	query(f, V4, 4, 9);
	clear(f);
	for (unsigned i = 0; i < 3; i++) {
		mpacket_report(&packet, V4, 2, 7, true);
		if (i == 1)
			mpacket_query(&packet, V4, 3, 3, 0, 10, 2, 10, 0);
		if (i == 2)
			mpacket_hello(&packet, V4, 9, 10);
		packet.b[packet.msg + 2] ^= 1;
		put_in(f, 1, &packet);
		got(f, "h234");
	}
	assert_int_equal(stats(f)->bad, 3);
	assert_int_equal(stats(f)->reports, 0);
	assert_int_equal(stats(f)->queries, 1);
	struct group_row rows[4];
	const struct feth_mac none = { { 0 } };
	assert_int_equal(network_group_list(f->fn.net, none, 0, false, rows, 4), 1);
	assert_int_equal(rows[0].port, 4);
	assert_string_equal(f->fn.groups, "");
}

/* A v2 report goes to its own group: the same two addresses as the data around it. */
static void test_a_report_between_frames_of_one_run_is_seen(void **state)
{
	struct fixture *f = *state;
	uint8_t bufs[4][60];
	struct frame frames[5];
	query(f, V4, 4, 9);
	report(f, V4, 2, 7);
	clear(f);
	for (unsigned i = 0; i < 4; i++) {
		frames[i] = data_frame(bufs[i], mgroup_mac(V4, 7), 0x0800);
		bufs[i][59] = (uint8_t)('a' + i);
	}
	mpacket_report(&packet, V4, 2, 7, true);
	mpacket_pad(&packet, 1);
	packet.b[packet.len - 1] = 'r';
	memcpy(packet.b + 6, bufs[0] + 6, 6);
	frames[4] = frames[3];
	frames[3] = frames[2];
	frames[2] = mpacket_frame(&packet);
	fake_batch(&f->fn, &f->p[1], frames, 5);
	assert_string_equal(f->p[2].log, "abcd|");
	assert_string_equal(f->p[4].log, "abrcd|"); /* the router gets the report too, in order */
	assert_string_equal(f->p[3].log, "");
	clear(f);
	data(f, V4, 3, 7);
	got(f, "h124");
}

static void test_frames_in_pieces_are_understood(void **state)
{
	struct fixture *f = *state;
	mpacket_report(&packet, V6, 1, 7, true);
	mpacket_pad(&packet, 1);
	packet.b[packet.len - 1] = 'x';
	const struct seg more = { packet.b + 14, packet.len - 14 };
	uint8_t head[14];
	memcpy(head, packet.b, 14);
	head[13] = 0xdd;
	struct frame frame = {
		.head = head, .head_len = 14, .len = packet.len, .more = &more, .more_n = 1
	};
	fake_batch(&f->fn, &f->p[3], &frame, 1);
	assert_int_equal(stats(f)->reports, 1);
	clear(f);
	data(f, V6, 1, 7);
	got(f, "h3");
}

/* -- how memberships end -- */

static void test_a_leave_takes_three_seconds_in_which_others_may_object(void **state)
{
	struct fixture *f = *state;
	report(f, V4, 2, 7);
	report(f, V4, 3, 7);
	leave(f, V4, 3, 7);
	wait_ms(f, 1000);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h23");
	leave(f, V4, 3, 7); /* again: it begins not anew */
	wait_ms(f, 2000);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h2");
	leave(f, V4, 2, 7);
	wait_ms(f, 1000);
	report(f, V4, 2, 7); /* another host behind that port */
	wait_ms(f, 300000);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h2");
	leave(f, V4, 4, 7); /* who is not in it */
	leave(f, V4, 2, 8);
	wait_ms(f, 3000);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h2");
}

static void test_records_of_version_3_join_and_leave(void **state)
{
	struct fixture *f = *state;
	const struct mrecord in[] = { { 4, 7, 0, 0 }, { 5, 8, 1, 1 }, { 6, 9, 1, 0 } };
	const struct mrecord out[] = { { 3, 7, 0, 0 }, { 3, 8, 1, 0 } };
	for (unsigned v = V4; v <= V6; v++) {
		mpacket_records(&packet, v, in, 3);
		put_in(f, 2, &packet);
		clear(f);
		data(f, v, 1, 7);
		got(f, "h2");
		data(f, v, 1, 8);
		got(f, "h2");
		data(f, v, 1, 9);
		got(f, "h234");
		mpacket_records(&packet, v, out, 2);
		put_in(f, 2, &packet);
		wait_ms(f, 3000);
		clear(f);
		data(f, v, 1, 7);
		got(f, "h234");
		data(f, v, 1, 8);
		got(f, "h2");
	}
}

/* A record of one source. */
static void record(struct fixture *f, unsigned in, uint8_t type, unsigned group)
{
	const struct mrecord r = { type, group, 1, 0 };
	mpacket_records(&packet, V4, &r, 1);
	put_in(f, in, &packet);
	clear(f);
}

static void in_7(struct fixture *f, const char *want)
{
	clear(f);
	data(f, V4, 1, 7);
	got(f, want);
}

static void test_who_asked_for_sources_leaves_by_blocking_them(void **state)
{
	struct fixture *f = *state;
	record(f, 2, 5, 7); /* ALLOW */
	record(f, 2, 6, 7); /* BLOCK */
	wait_ms(f, 2000);
	assert_int_equal(strlen(f->p[2].log), 2); /* asked twice */
	in_7(f, "h2");
	wait_ms(f, 1000);
	in_7(f, "h234");
	record(f, 2, 3, 7); /* TO_IN; and one of two sources goes */
	record(f, 2, 6, 7);
	wait_ms(f, 1000);
	record(f, 2, 1, 7); /* the answer */
	wait_ms(f, 5000);
	in_7(f, "h2");
	report(f, V4, 2, 7); /* somebody wants all */
	record(f, 2, 5, 7);
	record(f, 2, 6, 7);
	wait_ms(f, 5000);
	in_7(f, "h2");
	record(f, 3, 5, 7);
	query(f, V4, 4, 9); /* who asks for that source only */
	record(f, 3, 6, 7);
	wait_ms(f, 5000);
	in_7(f, "h234");
	wait_ms(f, 255000); /* so it ends as what is not said again */
	query(f, V4, 4, 9);
	in_7(f, "h234");
}

static void test_without_a_querier_we_ask_behind_the_port_of_a_leave(void **state)
{
	struct fixture *f = *state;
	for (unsigned v = V4; v <= V6; v++) {
		report(f, v, 2, 7);
		leave(f, v, 2, 7);
		clear(f);
		wait_ms(f, 1000);
		assert_int_equal(strlen(f->p[2].log), 1);
		assert_int_equal(strlen(f->p[3].log), 0);
		report(f, v, 2, 7); /* the answer of another behind it */
		wait_ms(f, 5000);
		clear(f);
		data(f, v, 1, 7);
		got(f, "h2");
		query(f, v, 4, 9); /* now it is the querier's */
		leave(f, v, 2, 7);
		clear(f);
		wait_ms(f, 2000);
		assert_int_equal(strlen(f->p[2].log), 0);
		data(f, v, 1, 7);
		got(f, "h234");
	}
}

static void test_a_querier_counts_ten_minutes_at_most_and_goes_with_its_port(void **state)
{
	struct fixture *f = *state;
	const struct querier *q = &f->fn.net->sw.mcast.sides[V4].querier;
	mpacket_query(&packet, V4, 3, 9, 0, 100, 7, 255, 0); /* 7 * 31744 s */
	put_in(f, 3, &packet);
	report(f, V4, 2, 7);
	clear(f);
	wait_ms(f, 594000);
	assert_true(q->present);
	wait_ms(f, 1000);
	assert_false(q->present);
	query(f, V4, 4, 9);
	query(f, V4, 3, 8);
	fake_detach(&f->p[4]); /* not the one that counts */
	assert_true(q->present);
	fake_detach(&f->p[3]);
	assert_false(q->present);
	query(f, V4, 1, 200); /* any address counts then */
	assert_true(q->present);
}

static uint8_t own_query[QUERIER_FRAME_MAX];
static uint32_t own_len;

static void keep_query(void *ctx, unsigned port, const struct frame *frame)
{
	(void)ctx;
	if (!frame || port != 2 || frame->head[0] != 0x33)
		return;
	own_len = frame->len;
	memcpy(own_query, frame->head, own_len);
}

/* By a bridge that is joined twice, or sends back what it gets. */
static void test_our_own_query_that_comes_back_does_not_silence_us(void **state)
{
	struct fixture *f = *state;
	const struct querier *q = &f->fn.net->sw.mcast.sides[V6].querier;
	f->fn.seen = keep_query;
	own_len = 0;
	configure(f, MCAST_SNOOP, true, false);
	network_tick(f->fn.net, f->fn.now_ms += 1000);
	assert_true(own_len > 0);
	assert_true(q->asking);
	struct frame frame = { .head = own_query, .head_len = own_len, .len = own_len };
	fake_batch(&f->fn, &f->p[3], &frame, 1);
	assert_true(q->asking);
	f->fn.seen = NULL;
	clear(f);
	data(f, V6, 1, 7);
	report(f, V6, 2, 7);
	clear(f);
	data(f, V6, 1, 7);
	got(f, "h2");       /* and port 3 is no router's; what the host wants is not known */
	query(f, V6, 3, 9); /* another's, from there, is what it was */
	assert_false(q->asking);
}

static void test_reports_are_good_for_260_s_where_somebody_asks(void **state)
{
	struct fixture *f = *state;
	report(f, V4, 2, 7);
	report(f, V6, 2, 7);
	wait_ms(f, 1000000); /* nobody asked, so nobody said it again */
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h2");
	query(f, V4, 4, 9);
	wait_ms(f, 125000);
	query(f, V4, 4, 9);
	report(f, V4, 3, 7);
	wait_ms(f, 134000);
	query(f, V4, 4, 9);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h234");
	wait_ms(f, 1000);
	data(f, V4, 1, 7);
	got(f, "h34");
	data(f, V6, 1, 7); /* a family of its own */
	got(f, "h2");
	wait_ms(f, 125000);
	query(f, V4, 4, 9);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h234"); /* nobody is known to be in it */
}

static void test_the_queriers_numbers_count(void **state)
{
	struct fixture *f = *state;
	mpacket_query(&packet, V4, 3, 9, 0, 10, 3, 120, 0); /* 3 * 120 s + 1 s */
	put_in(f, 4, &packet);
	report(f, V4, 2, 7);
	for (unsigned i = 0; i < 3; i++) {
		wait_ms(f, 120000);
		mpacket_query(&packet, V4, 3, 9, 0, 10, 3, 120, 0);
		put_in(f, 4, &packet);
	}
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h24");
	wait_ms(f, 1000);
	data(f, V4, 1, 7);
	got(f, "h234");
}

static void test_a_leave_with_a_tag_or_after_one_does_not_count(void **state)
{
	struct fixture *f = *state;
	report(f, V4, 2, 7);
	report(f, V4, 3, 7);
	mpacket_report(&packet, V4, 2, 7, true);
	mpacket_tag(&packet, 0x8100);
	put_in(f, 3, &packet); /* on a VLAN as well */
	mpacket_report(&packet, V4, 2, 7, false);
	mpacket_tag(&packet, 0x8100);
	put_in(f, 2, &packet);
	leave(f, V4, 3, 7);
	wait_ms(f, 10000);
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h23");
}

static void test_a_port_that_goes_takes_all_along(void **state)
{
	struct fixture *f = *state;
	report(f, V4, 2, 7);
	join(f, 2, V6, 7);
	network_groups_all(f->fn.net, 2, true);
	query(f, V6, 2, 9);
	fake_detach(&f->p[2]);
	assert_int_equal(fake_attach(&f->fn, &f->p[2], "new", 0, false, NULL), 0);
	assert_int_equal(f->p[2].port.id, 2);
	report(f, V4, 3, 8);
	report(f, V6, 3, 8);
	clear(f);
	data(f, V4, 1, 8);
	got(f, "h3");
	data(f, V6, 1, 8);
	got(f, "h3");
	data(f, V4, 1, 7);
	got(f, "h234");
	data(f, V6, 1, 7);
	got(f, "h234");
}

static void test_a_clock_that_jumps_ends_nothing(void **state)
{
	struct fixture *f = *state;
	query(f, V4, 4, 9);
	report(f, V4, 2, 7);
	network_tick(f->fn.net, f->fn.now_ms += 86400000); /* the machine slept: 60 s */
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h24");
	network_tick(f->fn.net, f->fn.now_ms - 86400000);
	wait_ms(f, 60000); /* seen as going on from back there: one more gap */
	clear(f);
	data(f, V4, 1, 7);
	got(f, "h24");
	wait_ms(f, 75000);
	data(f, V4, 1, 7);
	got(f, "h24");
	wait_ms(f, 1000); /* 255 s: no router, and nobody who asks */
	data(f, V4, 1, 7);
	got(f, "h2");
}

/* -- no room -- */

static void test_a_port_of_which_not_all_is_known_gets_all(void **state)
{
	struct fixture *f = *state;
	configure(f, MCAST_STRICT, false, false);
	network_set_host_groups(f->fn.net, (const struct feth_mac[]){ mgroup_mac(V6, 9) }, 1);
	query(f, V4, 4, 9);
	for (unsigned i = 0; i < 256; i += 8) {
		struct mrecord records[8];
		for (unsigned k = 0; k < 8; k++)
			records[k] = (struct mrecord){ .type = 4, .group = i + k };
		mpacket_records(&packet, V4, records, 8);
		put_in(f, 2, &packet);
		clear(f);
	}
	data(f, V4, 1, 300);
	got(f, "4");
	report(f, V4, 2, 300);
	assert_int_equal(stats(f)->full, 1);
	report(f, V4, 3, 301);
	clear(f);
	data(f, V4, 1, 300);
	got(f, "24");
	data(f, V4, 1, 301);
	got(f, "234");
	data(f, V6, 1, 300); /* of the other family all is known */
	got(f, "");
	wait_ms(f, 125000);
	query(f, V4, 4, 9);
	wait_ms(f, 125000);
	query(f, V4, 4, 9);
	wait_ms(f, 10000); /* that report is over, and so are the others */
	clear(f);
	data(f, V4, 1, 300);
	got(f, "4");
	for (unsigned i = 0; i < 257; i++) {
		report(f, V4, 3, i);
		clear(f);
	}
	data(f, V4, 1, 500);
	got(f, "34");
	fake_detach(&f->p[3]); /* who comes after it is another */
	assert_int_equal(fake_attach(&f->fn, &f->p[3], "new", 0, false, NULL), 0);
	data(f, V4, 1, 500);
	got(f, "4");
}

/* Longer than can be put together. */
static void test_a_port_whose_report_is_cut_gets_all(void **state)
{
	struct fixture *f = *state;
	const struct mrecord long_one = { 4, 7, 500, 0 };
	configure(f, MCAST_STRICT, false, false);
	network_set_host_groups(f->fn.net, (const struct feth_mac[]){ mgroup_mac(V6, 9) }, 1);
	mpacket_records(&packet, V4, &long_one, 1);
	const struct seg more = { packet.b + 100, packet.len - 100 };
	struct frame frame = {
		.head = packet.b, .head_len = 100, .len = packet.len, .more = &more, .more_n = 1
	};
	fake_batch(&f->fn, &f->p[3], &frame, 1);
	assert_int_equal(stats(f)->bad, 1);
	clear(f);
	data(f, V4, 1, 8);
	got(f, "3");
	data(f, V6, 1, 8);
	got(f, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_known_group_goes_to_its_members_an_unknown_one_to_all),
		T(test_strict_keeps_unknown_groups_from_all_but_routers_and_those_of_all),
		T(test_flood_does_not_look_at_reports),
		T(test_no_policy_is_none),
		T(test_reports_go_to_routers_alone),
		T(test_a_router_gets_all_groups_of_its_family_for_255_s),
		T(test_queries_that_are_not_for_all_flood_and_change_nothing),
		T(test_a_query_from_nobody_marks_no_router),
		T(test_pim_marks_a_router_for_as_long_as_it_says),
		T(test_the_host_may_be_the_router),
		T(test_what_is_malformed_floods_is_counted_and_changes_nothing),
		T(test_a_report_between_frames_of_one_run_is_seen),
		T(test_frames_in_pieces_are_understood),
		T(test_a_leave_takes_three_seconds_in_which_others_may_object),
		T(test_records_of_version_3_join_and_leave),
		T(test_who_asked_for_sources_leaves_by_blocking_them),
		T(test_without_a_querier_we_ask_behind_the_port_of_a_leave),
		T(test_a_querier_counts_ten_minutes_at_most_and_goes_with_its_port),
		T(test_our_own_query_that_comes_back_does_not_silence_us),
		T(test_reports_are_good_for_260_s_where_somebody_asks),
		T(test_the_queriers_numbers_count),
		T(test_a_leave_with_a_tag_or_after_one_does_not_count),
		T(test_a_port_that_goes_takes_all_along),
		T(test_a_clock_that_jumps_ends_nothing),
		T(test_a_port_of_which_not_all_is_known_gets_all),
		T(test_a_port_whose_report_is_cut_gets_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
