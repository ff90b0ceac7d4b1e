/* test_l3glue.c - server/core/l3glue.c, l3frame.c, neigh.c: what is said in the name of a host that
 * knows IP packets only, and what it is given. Times and limits: property/prop_l3glue.c too. */
#include "tests/support/test.h"

#include "tests/support/l3rig.h"

#define IPV6 true
#define IPV4 false

static int begin(void **state)
{
	static struct l3rig rig;
	*state = &rig;
	return l3rig_begin(&rig) ? 0 : -1;
}

/* Behind the checks of its own addresses. */
static int begin_checked(void **state)
{
	if (begin(state) < 0)
		return -1;
	struct l3rig *r = *state;
	for (unsigned i = 0; i < 5; i++)
		(void)l3rig_after(r, 1000);
	return 0;
}

static int end(void **state)
{
	struct l3rig *r = *state;
	l3glue_free(r->g);
	return 0;
}

/* The only frame there is to send. */
static struct frame only(struct l3rig *r)
{
	struct frame f[2];
	assert_int_equal(l3glue_pull(r->g, f, 2), 1);
	return f[0];
}

static void loses(struct l3rig *r, uint64_t want)
{
	uint64_t packets, bytes;
	l3glue_lost(r->g, &packets, &bytes);
	assert_int_equal(packets, want);
	assert_int_equal(bytes > 0, want > 0);
}

/* -- who is it? -- */

static void test_a_packet_waits_until_its_neighbour_says_who_it_is(void **state)
{
	struct l3rig *r = *state;
	assert_string_equal(l3rig_out(r, IPV4, 7, 'a'), "all: arp who has 7 from 1; ");
	assert_string_equal(l3rig_out(r, IPV4, 7, 'b'), "");
	l3rig_arp(r, 2, HOST_MAC, 7, 7, 1);
	assert_true(l3glue_more(r->g));
	assert_string_equal(l3rig_said(r), "7: ip a; 7: ip b; ");
	assert_false(l3glue_more(r->g));
	assert_string_equal(l3rig_out(r, IPV4, 7, 'c'), "7: ip c; ");
	assert_string_equal(l3rig_out(r, IPV6, 7, 'd'), "group 7: ns 7 from 1; ");
	l3rig_say(r, (struct l3rig_nd){ 136, 0x60, .from = 7, .to = 1, .target = 7, .option = 7 });
	assert_string_equal(l3rig_said(r), "7: ip d; ");
	assert_string_equal(l3rig_out(r, IPV6, 7, 'e'), "7: ip e; ");
	loses(r, 0);
}

static void test_the_questions_are_those_of_the_rfcs_to_the_byte(void **state)
{
	struct l3rig *r = *state;
	uint8_t packet[14 + 40] = { [14] = 0x45, [14 + 16] = 10, 0, 0, 7 };
	struct frame f = { .head = packet + 14, .head_len = 20, .len = 20 };
	assert_int_equal(l3glue_out(r->g, &f, 1), 0);
	f = only(r);
	assert_int_equal(f.len, 60);
	assert_memory_equal(f.head,
		"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\xee\x08\x06\0\1\x08\0\6\4\0\1"
		"\x02\0\0\0\0\xee\x0a\0\0\1\0\0\0\0\0\0\x0a\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\0",
		60);
	packet[14] = 0x60;
	packet[14 + 24] = 0xfd;
	packet[14 + 39] = 7;
	f = (struct frame){ .head = packet + 14, .head_len = 40, .len = 40 };
	assert_int_equal(l3glue_out(r->g, &f, 1), 0);
	f = only(r);
	assert_int_equal(f.len, 86);
	assert_memory_equal(f.head,
		"\x33\x33\xff\0\0\7\x02\0\0\0\0\xee\x86\xdd\x60\0\0\0\0\x20\x3a\xff"
		"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xff\2\0\0\0\0\0\0\0\0\0\1\xff\0\0\7\x87\0",
		56);
	assert_memory_equal(
		f.head + 58, "\0\0\0\0\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7\1\1\x02\0\0\0\0\xee", 28);
	const uint16_t pseudo = packet_pseudo(f.head + 14, true, 58, 32);
	assert_int_equal(packet_sum(f.head + 54, 32, pseudo), 0xffff);
}

static void test_who_does_not_answer_is_asked_three_times_a_second_apart(void **state)
{
	struct l3rig *r = *state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const char *asks = v6 ? "group 9: ns 9 from 1; " : "all: arp who has 9 from 1; ";
		assert_string_equal(l3rig_out(r, v6, 9, 'a'), asks);
		assert_string_equal(l3rig_after(r, 999), "");
		assert_string_equal(l3rig_after(r, 1), asks);
		assert_string_equal(l3rig_after(r, 1000), asks);
		loses(r, 0);
		assert_string_equal(l3rig_after(r, 1000), "");
		loses(r, 1);
		assert_string_equal(l3rig_out(r, v6, 9, 'b'), ""); /* known not to answer */
		loses(r, 1);
		assert_string_equal(l3rig_after(r, 999), "");
		assert_string_equal(l3rig_out(r, v6, 9, 'c'), "");
		assert_string_equal(l3rig_after(r, 1), "");
		assert_string_equal(l3rig_out(r, v6, 9, 'd'), asks);
		loses(r, 1);
		l3rig_arp(r, 2, HOST_MAC, 9, 9, 1);
		(void)l3rig_said(r);
	}
}

static void test_of_what_waits_for_one_neighbour_the_newest_is_kept(void **state)
{
	struct l3rig *r = *state;
	char want[400] = "";
	for (unsigned i = 0; i < NEIGH_WAITING + 3; i++)
		(void)l3rig_out(r, IPV4, 7, (char)('A' + i));
	loses(r, 3);
	l3rig_arp(r, 2, HOST_MAC, 7, 7, 1);
	for (unsigned i = 3; i < NEIGH_WAITING + 3; i++)
		snprintf(want + strlen(want), 16, "7: ip %c; ", 'A' + (char)i);
	assert_string_equal(l3rig_said(r), want);
}

static void test_all_that_waits_has_a_limit_together(void **state)
{
	struct l3rig *r = *state;
	static uint8_t b[14 + 60000];
	unsigned kept = 0;
	for (unsigned n = 10; n < 30; n++) {
		memset(b, 0, sizeof(b));
		b[14] = 0x45;
		b[14 + 16] = 10;
		b[14 + 19] = (uint8_t)n;
		struct frame f = { .head = b + 14, .head_len = 60000, .len = 60000 };
		assert_int_equal(l3glue_out(r->g, &f, 1), 0);
		(void)l3rig_said(r);
		assert_true(r->g->neighbours.waiting <= NEIGH_WAITING_BYTES);
	}
	loses(r, 16);
	for (unsigned n = 10; n < 30; n++) {
		l3rig_arp(r, 2, HOST_MAC, n, n, 1);
		kept += strlen(l3rig_said(r)) > 0;
	}
	assert_int_equal(kept, 4);
	assert_int_equal(r->g->neighbours.waiting, 0);
}

static void test_a_new_address_of_a_neighbour_is_believed_of_it_alone(void **state)
{
	struct l3rig *r = *state;
	(void)l3rig_out(r, IPV4, 7, 'a');
	l3rig_arp(r, 2, HOST_MAC, 7, 7, 1);
	(void)l3rig_said(r);
	l3rig_arp(r, 1, BROADCAST, 8, 7, 7); /* gratuitous */
	assert_string_equal(l3rig_out(r, IPV4, 7, 'b'), "8: ip b; ");
	l3rig_arp(r, 1, BROADCAST, 9, 9, 9);
	assert_string_equal(l3rig_out(r, IPV4, 9, 'c'), "all: arp who has 9 from 1; ");
	l3rig_arp(r, 2, BROADCAST, 6, 6, 6);
	assert_string_equal(l3rig_out(r, IPV4, 6, 'c'), "all: arp who has 6 from 1; ");
}

/* RFC 4861, 7.2.5, as a table: known before as 7; then an advertisement by 8 (or without address).
 */
static void test_advertisements_are_believed_by_their_flags(void **state)
{
	struct l3rig *r = *state;
	static const struct {
		uint8_t flags;
		unsigned option;
		bool moves, stale;
	} rows[] = {
		{ 0x00, 8, false, true },
		{ 0x40, 8, false, true }, /* not overriding: it only casts doubt */
		{ 0x20, 8, true, true },
		{ 0x60, 8, true, false },
		{ 0x40, 7, false, false },
		{ 0x00, 7, false, false },
		{ 0x40, 0, false, false },
		{ 0x00, 0, false, false },
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const unsigned n = 100 + i;
		(void)l3rig_out(r, IPV6, n, 'a');
		struct l3rig_nd nd = { 136, 0x60, .from = n, .to = 1, .target = n, .option = 7 };
		l3rig_say(r, nd);
		assert_string_equal(l3rig_said(r), "7: ip a; ");
		nd.flags = rows[i].flags;
		nd.option = rows[i].option;
		l3rig_say(r, nd);
		assert_string_equal(
			l3rig_out(r, IPV6, n, 'b'), rows[i].moves ? "8: ip b; " : "7: ip b; ");
		const struct ip ip = { 6, { 0xfd, [15] = (uint8_t)n } };
		/* STALE, and the packet made it DELAY */
		assert_int_equal(neigh_find(&r->g->neighbours, &ip)->state,
			rows[i].stale ? NEIGH_DELAY : NEIGH_REACHABLE);
	}
}

static void test_who_was_not_heard_of_for_long_is_asked_whether_it_is_there(void **state)
{
	struct l3rig *r = *state;
	(void)l3rig_out(r, IPV4, 7, 'a');
	l3rig_arp(r, 2, HOST_MAC, 7, 7, 1);
	(void)l3rig_said(r);
	assert_string_equal(l3rig_after(r, 45000), ""); /* nobody sends, nobody asks */
	assert_string_equal(l3rig_out(r, IPV4, 7, 'b'), "7: ip b; ");
	assert_string_equal(l3rig_after(r, 4999), "");
	assert_string_equal(l3rig_after(r, 1), "7: arp who has 7 from 1; ");
	l3rig_arp(r, 2, HOST_MAC, 7, 7, 1);
	assert_string_equal(l3rig_after(r, 1000), "");
	assert_string_equal(l3rig_after(r, 45000), "");
	(void)l3rig_out(r, IPV4, 7, 'c');
	assert_string_equal(l3rig_after(r, 5000), "7: arp who has 7 from 1; ");
	assert_string_equal(l3rig_after(r, 1000), "7: arp who has 7 from 1; ");
	assert_string_equal(l3rig_out(r, IPV4, 7, 'd'), "7: ip d; ");
	assert_string_equal(l3rig_after(r, 1000), "7: arp who has 7 from 1; ");
	assert_string_equal(l3rig_after(r, 1000), ""); /* gone: perhaps another has the address */
	assert_string_equal(l3rig_out(r, IPV4, 7, 'e'), "all: arp who has 7 from 1; ");
	loses(r, 0);
}

static void test_reachable_lasts_half_a_minute_more_or_less_at_random(void **state)
{
	struct l3rig *r = *state;
	uint64_t least = UINT64_MAX, most = 0;
	for (unsigned n = 2; n < HOST_MAC; n++) {
		(void)l3rig_out(r, IPV4, n, 'a');
		(void)l3rig_after(r, 1000);
		l3rig_arp(r, 2, HOST_MAC, n, n, 1);
		const struct ip ip = { 4, { 10, 0, 0, (uint8_t)n } };
		const uint64_t ms = neigh_find(&r->g->neighbours, &ip)->due_ms - r->now;
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	assert_in_range(least, 15000, 16000);
	assert_in_range(most, 44000, 45000);
}

/* -- who am I? -- */

static void test_arp_is_answered_for_own_addresses_and_no_others(void **state)
{
	struct l3rig *r = *state;
	l3rig_arp(r, 1, BROADCAST, 7, 7, 1);
	struct frame f = only(r);
	assert_memory_equal(f.head,
		"\x02\0\0\0\0\7\x02\0\0\0\0\xee\x08\x06\0\1\x08\0\6\4\0\2"
		"\x02\0\0\0\0\xee\x0a\0\0\1\x02\0\0\0\0\7\x0a\0\0\7",
		42);
	assert_string_equal(l3rig_out(r, IPV4, 7, 'a'), "7: ip a; "); /* he is known now */
	l3rig_arp(r, 1, BROADCAST, 8, 8, 2);
	assert_string_equal(l3rig_said(r), "");
	l3rig_arp(r, 1, BROADCAST, 8, 0, 1); /* may I have it? */
	assert_string_equal(l3rig_said(r), "8: arp reply 0 from 1; ");
	l3rig_arp(r, 1, 9, 8, 8, 1); /* for another's MAC, flooded */
	assert_string_equal(l3rig_said(r), "");
	l3rig_arp(r, 3, BROADCAST, 8, 8, 1); /* RARP's */
	assert_string_equal(l3rig_said(r), "");
}

static void test_neighbour_solicitations_are_answered(void **state)
{
	struct l3rig *r = *state;
	l3rig_say(r, (struct l3rig_nd){ 135, .from = 7, .target = 1, .option = 7 });
	struct frame f = only(r);
	assert_memory_equal(f.head,
		"\x02\0\0\0\0\7\x02\0\0\0\0\xee\x86\xdd\x60\0\0\0\0\x20\x3a\xff"
		"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7\x88\0",
		56);
	assert_memory_equal(f.head + 58,
		"\xe0\0\0\0\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2\1\x02\0\0\0\0\xee", 28);
	const uint16_t pseudo = packet_pseudo(f.head + 14, true, 58, 32);
	assert_int_equal(packet_sum(f.head + 54, 32, pseudo), 0xffff);
	assert_string_equal(l3rig_out(r, IPV6, 7, 'a'), "7: ip a; ");
	/* to us alone, without an address: answered where it came from */
	l3rig_say(r, (struct l3rig_nd){ 135, .from = 8, .to = 1, .target = 1 });
	assert_string_equal(l3rig_said(r), "8: na 1 to 8 e0; ");
	assert_string_equal(l3rig_out(r, IPV6, 8, 'a'), "group 8: ns 8 from 1; ");
	l3rig_say(r, (struct l3rig_nd){ 135, .from = 7, .target = 2, .option = 7 });
	assert_string_equal(l3rig_said(r), "");
	l3rig_say(r, (struct l3rig_nd){ 135, .mac = 7, .target = 1 }); /* may I have it? */
	assert_string_equal(l3rig_said(r), "group 1: na 1 to 1 a0; ");
}

static void test_broken_neighbour_discovery_is_neither_answered_nor_believed(void **state)
{
	struct l3rig *r = *state;
	const struct l3rig_nd ask = { 135, .from = 7, .target = 1, .option = 7 };
	static const struct {
		unsigned at;
		uint8_t value;
	} faults[] = {
		{ 14 + 7, 254 },  /* hop limit: it came from elsewhere */
		{ 54 + 1, 1 },    /* code */
		{ 54 + 2, 0x77 }, /* checksum */
		{ 54 + 25, 0 },   /* length of the option */
		{ 54 + 25, 2 },   /* the option goes beyond the end */
		{ 14 + 5, 16 },   /* cut */
		{ 14 + 5, 40 },   /* longer than the frame */
		{ 54 + 26, 3 },   /* a group's address */
		{ 54 + 8, 0xff }, /* about a group */
	};
	uint8_t b[86];
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		const uint32_t len = l3rig_nd_make(b, &ask);
		b[faults[i].at] = faults[i].value;
		if (faults[i].at != 54 + 2) { /* only this one is wrong */
			memset(b + 56, 0, 2);
			const uint32_t n = b[14 + 5] < 32 ? b[14 + 5] : 32u;
			const uint16_t pseudo = packet_pseudo(b + 14, true, 58, b[14 + 5]);
			packet_put16(b + 56, (uint16_t)~packet_sum(b + 54, n, pseudo));
		}
		assert_int_equal(l3rig_frame(r, b, len), L3_TAKEN);
		assert_string_equal(l3rig_said(r), "");
	}
	/* who says :: has no address to say, and asks by the group */
	l3rig_say(r, (struct l3rig_nd){ 135, .mac = 7, .target = 1, .option = 7 });
	l3rig_say(r, (struct l3rig_nd){ 135, .mac = 7, .to = 1, .target = 1 });
	assert_string_equal(l3rig_said(r), "");
	/* solicited, and to all */
	(void)l3rig_out(r, IPV6, 7, 'a');
	l3rig_say(r, (struct l3rig_nd){ 136, 0x60, .from = 7, .target = 7, .option = 7 });
	assert_string_equal(l3rig_said(r), "");
	/* the good one at last */
	assert_int_equal(l3rig_frame(r, b, l3rig_nd_make(b, &ask)), L3_TAKEN);
	assert_string_equal(l3rig_said(r), "7: na 1 to 7 e0; 7: ip a; ");
}

static void test_addresses_are_looked_for_before_they_are_relied_on(void **state)
{
	struct l3rig *r = *state;
	/* IPv6 last: fe80::ff:fe00:ee of the MAC */
	assert_string_equal(l3rig_after(r, 0),
		"all: arp who has 1 from 0; group 1: ns 1 from 0 anon; group ee: ns 238 from 0 "
		"anon; ");
	l3rig_say(r, (struct l3rig_nd){ 135, .from = 7, .target = 1, .option = 7 });
	assert_string_equal(l3rig_said(r), ""); /* not yet ours */
	l3rig_arp(r, 1, BROADCAST, 7, 7, 1);
	assert_string_equal(l3rig_said(r), "7: arp reply 7 from 1; ");
	assert_string_equal(l3rig_after(r, 1000), "all: arp who has 1 from 0; ");
	l3rig_say(r, (struct l3rig_nd){ 135, .from = 7, .target = 1, .option = 7 });
	assert_string_equal(l3rig_said(r), "7: na 1 to 7 e0; ");
	assert_string_equal(l3rig_after(r, 1000), "all: arp who has 1 from 0; ");
	assert_string_equal(l3rig_after(r, 1000), "");
	assert_string_equal(l3rig_after(r, 60000), "");
}

static void test_an_ipv6_address_that_somebody_has_is_given_up(void **state)
{
	struct l3rig *r = *state;
	struct l3_conflict c;
	(void)l3rig_after(r, 0);
	l3rig_say(r, (struct l3rig_nd){ 136, 0x20, .from = 9, .target = 1, .option = 9 });
	assert_true(l3glue_conflict(r->g, &c));
	assert_false(l3glue_conflict(r->g, &c));
	assert_true(c.given_up);
	assert_memory_equal(c.mac.b, mac_n(9).b, 6);
	assert_memory_equal(c.ip.b, r->spec.addrs[1].addr, 16);
	(void)l3rig_after(r, 5000);
	l3rig_say(r, (struct l3rig_nd){ 135, .from = 7, .target = 1, .option = 7 });
	assert_string_equal(l3rig_said(r), "");
	/* asked from the link-local address instead */
	assert_string_equal(l3rig_out(r, IPV6, 7, 'a'), "group 7: ns 7 from 238; ");
	/* declared anew, it is looked for anew */
	r->spec.n_addrs = 1;
	l3glue_set(r->g, &r->spec);
	r->spec.n_addrs = 2;
	l3glue_set(r->g, &r->spec);
	(void)l3rig_after(r, 0);
	(void)l3rig_after(r, 1000);
	l3rig_say(r, (struct l3rig_nd){ 135, .from = 8, .target = 1, .option = 8 });
	assert_non_null(strstr(l3rig_said(r), "8: na 1 to 8 e0; "));
}

static void test_two_that_look_for_one_address_both_give_it_up(void **state)
{
	struct l3rig *r = *state;
	struct l3_conflict c;
	(void)l3rig_after(r, 0);
	l3rig_say(
		r, (struct l3rig_nd){ 135, .mac = HOST_MAC, .target = 1 }); /* our own comes back */
	assert_false(l3glue_conflict(r->g, &c));
	l3rig_say(r, (struct l3rig_nd){ 135, .mac = 9, .target = 1 });
	assert_true(l3glue_conflict(r->g, &c));
	assert_true(c.given_up);
}

static void test_an_address_in_use_is_defended_every_ten_seconds_at_most(void **state)
{
	struct l3rig *r = *state;
	struct l3_conflict c;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 50; i++)
			l3rig_arp(r, i % 2 + 1, BROADCAST, 9, 1, i % 3);
		assert_string_equal(l3rig_said(r), "all: arp who has 1 from 1; ");
		assert_true(l3glue_conflict(r->g, &c));
		assert_false(c.given_up);
		assert_memory_equal(c.mac.b, mac_n(9).b, 6);
		for (unsigned i = 0; i < 50; i++)
			l3rig_say(r, (struct l3rig_nd){
					     136, 0x20, .from = 9, .target = 1, .option = 9 });
		assert_string_equal(l3rig_said(r), "group 1: na 1 to 1 a0; ");
		assert_true(l3glue_conflict(r->g, &c));
		assert_string_equal(l3rig_after(r, 9999), "");
		l3rig_arp(r, 1, BROADCAST, 9, 1, 1);
		assert_string_equal(l3rig_said(r), "");
		assert_false(l3glue_conflict(r->g, &c));
		(void)l3rig_after(r, 1);
	}
}

static void test_what_is_down_says_nothing(void **state)
{
	struct l3rig *r = *state;
	const struct l3rig_nd ask = { 135, .from = 7, .target = 1, .option = 7 };
	r->spec.up = false;
	l3glue_set(r->g, &r->spec);
	l3rig_arp(r, 1, BROADCAST, 7, 7, 1);
	l3rig_say(r, ask);
	l3rig_arp(r, 1, BROADCAST, 9, 1, 1);
	assert_string_equal(l3rig_after(r, 5000), "");
	r->spec.up = true;
	l3glue_set(r->g, &r->spec);
	(void)l3rig_after(r, 0);
	(void)l3rig_after(r, 1000); /* looked for again: others may have it meanwhile */
	l3rig_arp(r, 1, BROADCAST, 7, 7, 1);
	l3rig_say(r, ask);
	assert_string_equal(l3rig_said(r), "7: arp reply 7 from 1; 7: na 1 to 7 e0; ");
}

static void test_a_new_mac_is_answered_with(void **state)
{
	struct l3rig *r = *state;
	r->spec.mac = mac_n(0xdd);
	l3glue_set(r->g, &r->spec);
	assert_string_equal(l3rig_after(r, 0), "group dd: ns 221 from 0 anon; ");
	l3rig_arp(r, 1, BROADCAST, 7, 7, 1);
	const struct frame f = only(r);
	assert_memory_equal(f.head + 6, mac_n(0xdd).b, 6);
	assert_memory_equal(f.head + 22, mac_n(0xdd).b, 6);
	l3rig_arp(r, 1, HOST_MAC, 7, 7, 1); /* to the old one */
	assert_string_equal(l3rig_said(r), "");
	const struct cidr local =
		l3_link_local((struct feth_mac){ { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55 } });
	assert_memory_equal(local.addr, "\xfe\x80\0\0\0\0\0\0\x02\x11\x22\xff\xfe\x33\x44\x55", 16);
}

/* -- what the kernel is given -- */

static enum l3_in give(struct l3rig *r, unsigned to, const uint8_t *group, bool v6, unsigned dst,
	struct frame *out)
{
	static uint8_t b[PACKET_HEADERS];
	const struct packet p = { .v6 = v6, .dst = dst, .src = 7 };
	*out = packet_make(&p, b, false);
	memcpy(b, group ? group : mac_n(to).b, 6);
	return l3glue_in(r->g, out);
}

static void test_the_kernel_gets_what_an_ethernet_interface_would_let_through(void **state)
{
	struct l3rig *r = *state;
	struct frame f;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		assert_int_equal(give(r, HOST_MAC, NULL, v6, 1, &f), L3_PASS);
		assert_int_equal(f.len, v6 ? 48 : 28);
		assert_int_equal(f.head_len, f.len);
		assert_int_equal(f.head[0] >> 4, v6 ? 6 : 4);
		assert_int_equal(give(r, HOST_MAC, NULL, v6, 99, &f), L3_PASS); /* to be routed */
		assert_int_equal(give(r, 9, NULL, v6, 1, &f), L3_TAKEN); /* flooded, another's */
		assert_int_equal(give(r, BROADCAST, NULL, v6, 99, &f), L3_TAKEN);
		assert_int_equal(
			give(r, 0, (const uint8_t *)"\1\0\x5e\0\0\1", v6, 1, &f), L3_TAKEN);
	}
	assert_int_equal(give(r, BROADCAST, NULL, IPV4, 255, &f), L3_PASS); /* 10.0.0.255 */
	uint8_t b[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 8, 0, 0x45, 0, 0,
		28, [30] = 224, 0, 0, 251 };
	assert_int_equal(l3rig_frame(r, b, 60), L3_PASS);
	memset(b + 30, 0xff, 4);
	assert_int_equal(l3rig_frame(r, b, 60), L3_PASS);
	loses(r, 0);
}

static void test_what_is_no_packet_is_refused(void **state)
{
	struct l3rig *r = *state;
	uint8_t b[64] = { [12] = 8, 0, 0x45, 0, 0, 28 };
	static const struct {
		unsigned at;
		uint8_t value;
		uint32_t len;
	} faults[] = {
		{ 12, 0x88, 60 }, /* another type */
		{ 14, 0x65, 60 }, /* IPv6 in a frame of IPv4 */
		{ 14, 0x44, 60 }, /* a header of 16 bytes */
		{ 17, 19, 60 },   /* shorter than its header */
		{ 17, 47, 60 },   /* longer than the frame */
		{ 17, 28, 33 },   /* cut */
		{ 17, 28, 14 },   /* nothing */
	};
	memcpy(b, mac_n(HOST_MAC).b, 6);
	assert_int_equal(l3rig_frame(r, b, 60), L3_PASS);
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		const uint8_t was = b[faults[i].at];
		b[faults[i].at] = faults[i].value;
		assert_int_equal(l3rig_frame(r, b, faults[i].len), L3_REFUSED);
		b[faults[i].at] = was;
	}
	b[12] = 0x86;
	b[13] = 0xdd;
	b[14] = 0x60;
	memset(b + 18, 0, 42);
	assert_int_equal(l3rig_frame(r, b, 54), L3_PASS);
	b[19] = 1; /* one byte that is not there */
	assert_int_equal(l3rig_frame(r, b, 54), L3_REFUSED);
	assert_int_equal(l3rig_frame(r, b, 53), L3_REFUSED);
	const uint8_t tagged[64] = { 2, 0, 0, 0, 0, HOST_MAC, [12] = 0x81, 0, 0, 5, 8, 0, 0x45, 0,
		0, 28 };
	assert_int_equal(l3rig_frame(r, tagged, 64), L3_REFUSED);
}

static void test_padding_does_not_reach_the_kernel_and_work_owed_moves_along(void **state)
{
	struct l3rig *r = *state;
	uint8_t b[80] = { [12] = 8, 0, 0x45, 0, 0, 28 };
	memcpy(b, mac_n(HOST_MAC).b, 6);
	struct frame f = { .head = b, .head_len = 60, .len = 60 };
	assert_int_equal(l3glue_in(r->g, &f), L3_PASS);
	assert_int_equal(f.len, 28);
	assert_ptr_equal(f.head, b + 14);
	f = (struct frame){ .head = b,
		.head_len = 80,
		.len = 80,
		.offload = { VNET_NEEDS_CSUM, VNET_GSO_TCPV4, 10, 34, 16, 54 } };
	assert_int_equal(l3glue_in(r->g, &f), L3_PASS);
	assert_int_equal(f.len, 66);
	assert_int_equal(f.offload.csum_start, 20);
	assert_int_equal(f.offload.hdr_len, 40);
	assert_int_equal(f.offload.gso_size, 10);
	/* and back */
	struct frame out = { .head = b + 14, .head_len = 66, .len = 66, .offload = f.offload };
	b[14 + 16] = 224;
	assert_int_equal(l3glue_out(r->g, &out, 1), 1);
	assert_int_equal(out.offload.csum_start, 34);
	assert_int_equal(out.len, 80);
}

static void test_a_frame_in_pieces_is_read_alike(void **state)
{
	struct l3rig *r = *state;
	const struct l3rig_nd ask = { 135, .from = 7, .target = 1, .option = 7 };
	uint8_t b[86];
	const uint32_t len = l3rig_nd_make(b, &ask);
	for (uint32_t cut = 14; cut < len; cut++) {
		uint8_t *first = exact_copy(b, cut), *rest = exact_copy(b + cut, len - cut);
		const struct seg more = { rest, len - cut };
		struct frame f = {
			.head = first, .head_len = cut, .len = len, .more = &more, .more_n = 1
		};
		assert_int_equal(l3glue_in(r->g, &f), L3_TAKEN);
		assert_string_equal(l3rig_said(r), "7: na 1 to 7 e0; ");
		free(first);
		free(rest);
	}
}

static void test_the_word_of_routers_stays_outside_and_that_of_the_host_goes_out(void **state)
{
	struct l3rig *r = *state;
	uint8_t b[86];
	for (unsigned type = 133; type <= 137; type++) {
		const struct l3rig_nd nd = { .type = (uint8_t)type, .from = 7, .target = 9 };
		uint32_t len = l3rig_nd_make(b, &nd);
		assert_int_equal(l3rig_frame(r, b, len), type == 133 ? L3_PASS : L3_TAKEN);
		uint8_t ext[94]; /* a header between */
		memcpy(ext, b, 54);
		memcpy(ext + 54, "\x3a\0\1\4\0\0\0\0", 8);
		memcpy(ext + 62, b + 54, len - 54);
		ext[14 + 5] = (uint8_t)(len - 54 + 8);
		ext[14 + 6] = 60;
		assert_int_equal(l3rig_frame(r, ext, len + 8), type == 133 ? L3_PASS : L3_TAKEN);
		struct frame out = { .head = b + 14, .head_len = len - 14, .len = len - 14 };
		assert_int_equal(l3glue_out(r->g, &out, 1), type == 133 || type == 134);
	}
	loses(r, 3);
}

/* RFC 8200, 4: what cannot be judged by what is seen of it, since that is all headers, is not
 * passed on; and a first fragment tells what it is of. */
static void test_no_chain_of_headers_hides_the_word_of_routers(void **state)
{
	struct l3rig *r = *state;
	const struct l3rig_nd nd = { .type = 134, .from = 7, .target = 9 };
	uint8_t b[86], ext[14 + 40 + 512 + 40] = { 0 };
	const uint32_t len = l3rig_nd_make(b, &nd);
	memcpy(ext, b, 54);
	for (unsigned words = 0; words < 64; words += 9) {
		const uint32_t at = 54 + 8 * (words + 1), all = at + len - 54;
		ext[20] = 60;
		ext[54] = 58;
		ext[55] = (uint8_t)words;
		memcpy(ext + at, b + 54, len - 54);
		packet_put16(ext + 18, all - 54);
		assert_int_equal(l3rig_frame(r, ext, all), L3_TAKEN);
		const struct seg more = { ext + 60, all - 60 };
		struct frame f = {
			.head = ext, .head_len = 60, .len = all, .more = &more, .more_n = 1
		};
		assert_int_equal(l3glue_in(r->g, &f) == L3_PASS, false);
	}
	memcpy(ext + 54, "\x3a\0\0\1\0\0\0\7", 8); /* more follow */
	memcpy(ext + 62, b + 54, len - 54);
	ext[20] = 44;
	packet_put16(ext + 18, len - 54 + 8);
	assert_int_equal(l3rig_frame(r, ext, len + 8), L3_TAKEN);
	ext[56] = 1; /* a later one */
	assert_int_equal(l3rig_frame(r, ext, len + 8), L3_PASS);
}

/* -- where the host's packets go -- */

static void test_groups_and_broadcasts_need_no_neighbour(void **state)
{
	struct l3rig *r = *state;
	static const struct {
		uint8_t ip[16];
		unsigned version;
		const char *to;
	} rows[] = {
		{ { 224, 129, 2, 251 }, 4, "\1\0\x5e\1\2\xfb" },
		{ { 255, 255, 255, 255 }, 4, "\xff\xff\xff\xff\xff\xff" },
		{ { 10, 0, 0, 255 }, 4, "\xff\xff\xff\xff\xff\xff" },
		{ { 0xff, 2, [12] = 1, 2, 3, 4 }, 6, "\x33\x33\1\2\3\4" },
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t b[14 + 40] = { [14] = (uint8_t)(rows[i].version << 4 | 5) };
		memcpy(b + 14 + (rows[i].version == 4 ? 16 : 24), rows[i].ip,
			rows[i].version == 4 ? 4 : 16);
		struct frame f = { .head = b + 14, .head_len = 40, .len = 40 };
		assert_int_equal(l3glue_out(r->g, &f, 1), 1);
		assert_int_equal(f.len, 54);
		assert_memory_equal(f.head, rows[i].to, 6);
		assert_memory_equal(f.head + 6, mac_n(HOST_MAC).b, 6);
		assert_int_equal(frame_type(&f), rows[i].version == 4 ? 0x0800 : 0x86dd);
	}
	assert_string_equal(l3rig_said(r), "");
}

static void test_packets_that_no_neighbour_can_have_are_lost(void **state)
{
	struct l3rig *r = *state;
	static const uint8_t to[][4] = { { 0, 0, 0, 0 }, { 0, 1, 2, 3 }, { 127, 0, 0, 1 },
		{ 240, 0, 0, 1 } };
	uint8_t b[14 + 40] = { 0 };
	struct frame f;
	for (unsigned i = 0; i < 4; i++) {
		b[14] = 0x45;
		memcpy(b + 30, to[i], 4);
		f = (struct frame){ .head = b + 14, .head_len = 40, .len = 40 };
		assert_int_equal(l3glue_out(r->g, &f, 1), 0);
	}
	for (unsigned i = 0; i < 2; i++) { /* :: and ::1 */
		memset(b, 0, sizeof(b));
		b[14] = 0x60;
		b[53] = (uint8_t)i;
		f = (struct frame){ .head = b + 14, .head_len = 40, .len = 40 };
		assert_int_equal(l3glue_out(r->g, &f, 1), 0);
	}
	for (unsigned len = 0; len < 20; len += 19) { /* cut, or nothing */
		b[14] = 0x45;
		f = (struct frame){ .head = b + 14, .head_len = len, .len = len };
		assert_int_equal(l3glue_out(r->g, &f, 1), 0);
	}
	assert_string_equal(l3rig_said(r), "");
	loses(r, 8);
}

/* The interface does not tell which router a packet is for. */
static void test_addresses_of_other_subnets_are_asked_for_as_well(void **state)
{
	struct l3rig *r = *state;
	uint8_t b[14 + 20] = { [14] = 0x45, [30] = 192, 0, 2, 77 };
	struct frame f = { .head = b + 14, .head_len = 20, .len = 20 };
	assert_int_equal(l3glue_out(r->g, &f, 1), 0);
	assert_string_equal(l3rig_said(r), "all: arp who has 77 from 1; ");
}

static void test_a_batch_keeps_its_order_and_loses_only_what_waits(void **state)
{
	struct l3rig *r = *state;
	static uint8_t b[6][PACKET_HEADERS + 1];
	struct frame f[6];
	(void)l3rig_out(r, IPV4, 7, 'x');
	l3rig_arp(r, 2, HOST_MAC, 7, 7, 1);
	(void)l3rig_said(r);
	for (unsigned i = 0; i < 6; i++) {
		const uint8_t tag = (uint8_t)('a' + i);
		const struct packet p = {
			.dst = i % 2 ? 8 : 7, .src = 1, .payload = &tag, .len = 1
		};
		f[i] = packet_make(&p, b[i], false);
		f[i].head += 14;
		f[i].len = f[i].head_len -= 14;
	}
	assert_int_equal(l3glue_out(r->g, f, 6), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(eth_tag(&f[i]), 'a' + (int)(2 * i));
	l3rig_arp(r, 2, HOST_MAC, 8, 8, 1);
	assert_string_equal(
		l3rig_said(r), "all: arp who has 8 from 1; 8: ip b; 8: ip d; 8: ip f; ");
}

#define CHECKED(test) cmocka_unit_test_setup_teardown(test, begin_checked, end)
#define FRESH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECKED(test_a_packet_waits_until_its_neighbour_says_who_it_is),
		CHECKED(test_the_questions_are_those_of_the_rfcs_to_the_byte),
		CHECKED(test_who_does_not_answer_is_asked_three_times_a_second_apart),
		CHECKED(test_of_what_waits_for_one_neighbour_the_newest_is_kept),
		CHECKED(test_all_that_waits_has_a_limit_together),
		CHECKED(test_a_new_address_of_a_neighbour_is_believed_of_it_alone),
		CHECKED(test_advertisements_are_believed_by_their_flags),
		CHECKED(test_who_was_not_heard_of_for_long_is_asked_whether_it_is_there),
		CHECKED(test_reachable_lasts_half_a_minute_more_or_less_at_random),
		CHECKED(test_arp_is_answered_for_own_addresses_and_no_others),
		CHECKED(test_neighbour_solicitations_are_answered),
		CHECKED(test_broken_neighbour_discovery_is_neither_answered_nor_believed),
		FRESH(test_addresses_are_looked_for_before_they_are_relied_on),
		FRESH(test_an_ipv6_address_that_somebody_has_is_given_up),
		FRESH(test_two_that_look_for_one_address_both_give_it_up),
		CHECKED(test_an_address_in_use_is_defended_every_ten_seconds_at_most),
		CHECKED(test_what_is_down_says_nothing),
		CHECKED(test_a_new_mac_is_answered_with),
		CHECKED(test_the_kernel_gets_what_an_ethernet_interface_would_let_through),
		CHECKED(test_what_is_no_packet_is_refused),
		CHECKED(test_padding_does_not_reach_the_kernel_and_work_owed_moves_along),
		CHECKED(test_a_frame_in_pieces_is_read_alike),
		CHECKED(test_the_word_of_routers_stays_outside_and_that_of_the_host_goes_out),
		CHECKED(test_no_chain_of_headers_hides_the_word_of_routers),
		CHECKED(test_groups_and_broadcasts_need_no_neighbour),
		CHECKED(test_packets_that_no_neighbour_can_have_are_lost),
		CHECKED(test_addresses_of_other_subnets_are_asked_for_as_well),
		CHECKED(test_a_batch_keeps_its_order_and_loses_only_what_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
