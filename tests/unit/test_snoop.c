/* test_snoop.c - server/core/snoop.c: what Linux sends, what the RFCs allow, and every way to be
 * malformed. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/core/snoop.h"
#include "tests/support/bytes.h"
#include "tests/support/eth.h"
#include "tests/support/mpacket.h"

static struct mpacket packet; /* long; each test makes its own in here */

static struct snoop parse_at(const uint8_t *data, uint32_t len)
{
	static uint8_t scratch[SNOOP_SCRATCH];
	const struct frame frame = { .head = data, .head_len = len, .len = len };
	struct snoop s;
	snoop_parse(&frame, scratch, &s);
	return s;
}

static struct snoop parse(const struct mpacket *p)
{
	return parse_at(p->b, p->len);
}

static void is_kind(const struct mpacket *p, enum snoop_kind kind)
{
	uint8_t *copy = exact_copy(p->b, p->len);
	assert_int_equal(parse_at(copy, p->len).kind, kind);
	free(copy);
}

/* The report's joins and leaves as "+01005e010007-333300010008"; leaves of some sources with a '~'.
 */
static void changes(struct snoop s, char *out)
{
	struct feth_mac mac;
	bool join;
	*out = '\0';
	assert_int_equal(s.kind, SNOOP_REPORT);
	while (snoop_next(&s, &mac, &join))
		out += sprintf(out, "%c%02x%02x%02x%02x%02x%02x",
			join        ? '+'
			: s.sources ? '~'
				    : '-',
			mac.b[0], mac.b[1], mac.b[2], mac.b[3], mac.b[4], mac.b[5]);
}

static void says(struct snoop s, const char *want)
{
	static char text[13 * 1000];
	changes(s, text);
	assert_string_equal(text, want);
}

static void linux_says(const char *hex, const char *want)
{
	uint8_t frame[200];
	const size_t len = strlen(hex) / 2;
	for (size_t i = 0; i < len; i++) {
		const char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };
		frame[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	const struct frame f = { .head = frame, .head_len = (uint32_t)len, .len = (uint32_t)len };
	assert_true(snoop_may(&f));
	says(parse_at(frame, (uint32_t)len), want);
}

/* Frames of Linux 6, as they were on the wire: joining and leaving 239.1.2.3, 232.1.2.3 from
 * 10.0.0.9, and ff05::1:3. */
static void test_what_linux_reports_is_understood(void **state)
{
	(void)state;
	linux_says("01005e000016020000000001080046c00028000040000102f9f80a000001e000001694040000"
		   "2200e8f90000000104000000ef010203",
		"+01005e010203");
	linux_says("01005e000016020000000001080046c00028000040000102f9f80a000001e000001694040000"
		   "2200e9f90000000103000000ef010203",
		"-01005e010203");
	linux_says("01005e010203020000000001080046c00020000040000102e9120a000001ef01020394040000"
		   "1600f8faef010203",
		"+01005e010203");
	linux_says("01005e000002020000000001080046c00020000040000102fa140a000001e000000294040000"
		   "1700f7faef010203",
		"-01005e010203");
	linux_says("01005e010203020000000001080046c00020000040000102e9120a000001ef01020394040000"
		   "1200fcfaef010203",
		"+01005e010203");
	linux_says("01005e000016020000000001080046c0002c000040000102f9f40a000001e000001694040000"
		   "2200e4ef0000000105000001e80102030a000009",
		"+01005e010203");
	linux_says("01005e000016020000000001080046c0002c000040000102f9f40a000001e000001694040000"
		   "2200e3ef0000000106000001e80102030a000009",
		"~01005e010203");
	linux_says("33330000001602000000000286dd600000000024000100000000000000000000000000000000"
		   "ff0200000000000000000000000000163a000502000001008f006f880000000104000000ff02"
		   "00000000000000000001ff000002",
		"+3333ff000002"); /* from ::, the address is still to be proved free */
	linux_says("33330000001602000000000186dd6000000000240001fe80000000000000000000fffe000001"
		   "ff0200000000000000000000000000163a000502000001008f0072030000000103000000ff05"
		   "0000000000000000000000010003",
		"-333300010003");
	linux_says("33330001000302000000000186dd6000000000200001fe80000000000000000000fffe000001"
		   "ff0500000000000000000000000100033a000502000001008300811700000000ff0500000000"
		   "00000000000000010003",
		"+333300010003");
	linux_says("33330000000202000000000186dd6000000000200001fe80000000000000000000fffe000001"
		   "ff0200000000000000000000000000023a000502000001008400801c00000000ff0500000000"
		   "00000000000000010003",
		"-333300010003");
}

static void test_what_a_linux_bridge_asks_is_understood(void **state)
{
	(void)state;
	const uint8_t v3[] = { 0x01, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 0x0b, 8, 0, 0x46, 0xc0, 0,
		0x24, 0, 0, 0x40, 0, 1, 2, 4, 0x13, 0, 0, 0, 0, 0xe0, 0, 0, 1, 0x94, 4, 0, 0, 0x11,
		0x64, 0xec, 0x1e, 0, 0, 0, 0, 2, 0x7d, 0, 0 };
	struct snoop s = parse_at(v3, sizeof(v3));
	assert_int_equal(s.kind, SNOOP_QUERY);
	assert_int_equal(s.family, MCAST_IP4);
	assert_int_equal(s.version, 3);
	assert_true(s.general);
	assert_true(s.nobody);
	assert_int_equal(s.robustness, 2);
	assert_int_equal(s.response_ms, 10000);
	assert_int_equal(s.interval_ms, 125000);
	assert_false(s.tagged);
}

static void test_queries_tell_their_version_by_length_and_code(void **state)
{
	(void)state;
	const struct {
		enum mcast_family family;
		unsigned version, group;
		uint16_t code;
		uint32_t response_ms;
	} cases[] = {
		{ MCAST_IP4, 1, 0, 0, 10000 },
		{ MCAST_IP4, 2, 0, 100, 10000 },
		{ MCAST_IP4, 2, 7, 10, 1000 },
		{ MCAST_IP4, 3, 0, 127, 12700 },
		{ MCAST_IP4, 3, 7, 10, 1000 },
		{ MCAST_IP6, 1, 0, 10000, 10000 },
		{ MCAST_IP6, 1, 7, 65535, 65535 },
		{ MCAST_IP6, 2, 0, 10000, 10000 },
		{ MCAST_IP6, 2, 7, 1000, 1000 },
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		mpacket_query(&packet, cases[i].family, cases[i].version, 3, cases[i].group,
			cases[i].code, 0, 0, 0);
		const struct snoop s = parse(&packet);
		assert_int_equal(s.kind, SNOOP_QUERY);
		assert_int_equal(s.family, cases[i].family);
		assert_int_equal(s.version, cases[i].version);
		assert_int_equal(s.general, !cases[i].group);
		assert_int_equal(s.response_ms, cases[i].response_ms);
		assert_int_equal(s.robustness, 2); /* none given, so the default */
		assert_int_equal(s.interval_ms, 125000);
		assert_int_equal(s.source[15], 3);
		assert_false(s.nobody);
	}
}

/* RFC 3376, 4.1.1: (mantissa | 16) << (exponent + 3); RFC 3810, 5.1.3 with 12 bits. */
static void test_codes_above_half_are_floating(void **state)
{
	(void)state;
	const struct {
		uint8_t code;
		uint32_t value;
	} of8[] = { { 127, 127 }, { 128, 128 }, { 0x8f, 248 }, { 0x90, 256 }, { 0xff, 31744 } };
	for (unsigned i = 0; i < 5; i++) {
		mpacket_query(&packet, MCAST_IP4, 3, 3, 0, of8[i].code, 7, of8[i].code, 0);
		const struct snoop s = parse(&packet);
		assert_int_equal(s.response_ms, of8[i].value * 100);
		assert_int_equal(s.interval_ms, of8[i].value * 1000);
		assert_int_equal(s.robustness, 7);
	}
	const struct {
		uint16_t code;
		uint32_t value;
	} of16[] = { { 32767, 32767 }, { 32768, 32768 }, { 0x8fff, 65528 }, { 0x9000, 65536 },
		{ 0xffff, 8387584 } };
	for (unsigned i = 0; i < 5; i++) {
		mpacket_query(&packet, MCAST_IP6, 2, 3, 0, of16[i].code, 0xff, 0xff, 0);
		const struct snoop s = parse(&packet);
		assert_int_equal(s.response_ms, of16[i].value);
		assert_int_equal(s.interval_ms, 31744000);
		assert_int_equal(s.robustness, 7); /* the other bits are not of it */
	}
}

static void test_records_say_who_is_in_whatever_their_sources(void **state)
{
	(void)state;
	const struct mrecord records[] = {
		{ 1, 1, 0, 0 },   /* IS_IN {}: nothing */
		{ 1, 2, 3, 0 },   /* IS_IN: in */
		{ 2, 3, 0, 0 },   /* IS_EX: in */
		{ 2, 4, 2, 1 },   /* with auxiliary data */
		{ 3, 5, 0, 0 },   /* TO_IN {}: out */
		{ 3, 6, 1, 0 },   /* TO_IN: in */
		{ 4, 7, 0, 255 }, /* TO_EX: in */
		{ 5, 8, 1, 0 },   /* ALLOW: in */
		{ 6, 9, 1, 0 },   /* BLOCK: out of some */
		{ 0, 10, 0, 0 },  /* types of the future: nothing */
		{ 7, 11, 1, 1 },
		{ 255, 12, 0, 0 },
		{ 4, 13, 0, 0 },
	};
	mpacket_records(&packet, MCAST_IP4, records, 13);
	says(parse(&packet), "+01005e010002+01005e010003+01005e010004-01005e010005+01005e010006"
			     "+01005e010007+01005e010008~01005e010009+01005e01000d");
	mpacket_records(&packet, MCAST_IP6, records, 13);
	says(parse(&packet), "+333300010002+333300010003+333300010004-333300010005+333300010006"
			     "+333300010007+333300010008~333300010009+33330001000d");
	mpacket_records(&packet, MCAST_IP4, NULL, 0);
	says(parse(&packet), "");
	mpacket_records(&packet, MCAST_IP6, NULL, 0);
	says(parse(&packet), "");
}

static void test_a_group_is_the_low_bits_of_its_address(void **state)
{
	(void)state;
	mpacket_report(&packet, MCAST_IP4, 2, 7, true);
	packet.b[packet.msg + 4] = 0xe1; /* 225.255.254.253: the 24th bit is not in the address */
	packet.b[packet.msg + 5] = 0xff;
	packet.b[packet.msg + 6] = 0xfe;
	packet.b[packet.msg + 7] = 0xfd;
	mpacket_sum(&packet);
	says(parse(&packet), "+01005e7ffefd");
	mpacket_report(&packet, MCAST_IP6, 1, 7, true);
	memcpy(&packet.b[packet.msg + 8 + 12], "\xde\xad\xbe\xef", 4);
	mpacket_sum(&packet);
	says(parse(&packet), "+3333deadbeef");
}

static void test_one_tag_and_padding_are_looked_past(void **state)
{
	(void)state;
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		for (unsigned t = 0; t < 2; t++) {
			mpacket_report(&packet, f, 1, 7, true);
			assert_false(parse(&packet).tagged);
			mpacket_tag(&packet, t ? 0x88a8 : 0x8100);
			mpacket_pad(&packet, 30);
			says(parse(&packet), f ? "+333300010007" : "+01005e010007");
			assert_true(parse(&packet).tagged);
			mpacket_tag(&packet, 0x88a8); /* two are too many */
			is_kind(&packet, SNOOP_DATA);
		}
	}
}

static void test_a_sum_still_owed_is_not_looked_at(void **state)
{
	(void)state;
	uint8_t scratch[SNOOP_SCRATCH];
	mpacket_report(&packet, MCAST_IP6, 1, 7, true);
	packet.b[packet.msg + 2] ^= 1;
	is_kind(&packet, SNOOP_BAD);
	struct frame frame = mpacket_frame(&packet);
	frame.offload.flags = 1; /* VIRTIO_NET_HDR_F_NEEDS_CSUM */
	struct snoop s;
	snoop_parse(&frame, scratch, &s);
	says(s, "+333300010007");
}

static void test_messages_in_pieces_are_put_together(void **state)
{
	(void)state;
	const struct mrecord records[] = { { 4, 1, 3, 2 }, { 3, 2, 0, 0 }, { 4, 3, 90, 0 } };
	uint8_t scratch[SNOOP_SCRATCH];
	struct snoop s;
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		mpacket_records(&packet, f, records, f ? 2 : 3);
		for (uint32_t cut = 14; cut < packet.len; cut++) {
			const uint32_t third = cut + (packet.len - cut) / 2;
			uint8_t *head = exact_copy(packet.b, cut);
			const struct seg more[2] = { { packet.b + cut, third - cut },
				{ packet.b + third, packet.len - third } };
			const struct frame frame = { .head = head,
				.head_len = cut,
				.len = packet.len,
				.more = more,
				.more_n = 2 };
			assert_true(snoop_may(&frame));
			snoop_parse(&frame, scratch, &s);
			says(s, f ? "+333300010001-333300010002"
				  : "+01005e010001-01005e010002+01005e010003");
			free(head);
		}
	}
}

static void test_in_pieces_more_than_the_scratch_is_malformed(void **state)
{
	(void)state;
	const struct mrecord records[] = { { 4, 1, 500, 0 } };
	uint8_t scratch[SNOOP_SCRATCH];
	struct snoop s;
	mpacket_records(&packet, MCAST_IP4, records, 1);
	says(parse(&packet), "+01005e010001");
	const struct seg more = { packet.b + 100, packet.len - 100 };
	const struct frame frame = {
		.head = packet.b, .head_len = 100, .len = packet.len, .more = &more, .more_n = 1
	};
	snoop_parse(&frame, scratch, &s);
	assert_int_equal(s.kind, SNOOP_BAD);
	assert_true(s.cut);
	packet.b[packet.msg] ^= 1; /* malformed and whole is not cut */
	s = parse(&packet);
	assert_int_equal(s.kind, SNOOP_BAD);
	assert_false(s.cut);
}

static void test_a_query_is_for_all_if_every_host_answers_it(void **state)
{
	(void)state;
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		for (unsigned i = 0; i < 5; i++) {
			mpacket_query(&packet, f, f ? 2 : 3, 9, i == 1 ? 7 : 0, 100, 1, 1, 0);
			if (i == 2)
				mpacket_tag(&packet, 0x8100);
			if (i == 3)
				packet.b[5] ^= 2; /* another Ethernet address */
			struct frame frame = mpacket_frame(&packet);
			frame.offload.flags = i == 4; /* a sum that may never be made */
			uint8_t scratch[SNOOP_SCRATCH];
			struct snoop s;
			snoop_parse(&frame, scratch, &s);
			assert_int_equal(s.kind, SNOOP_QUERY);
			assert_int_equal(s.for_all, i == 0);
		}
	}
	mpacket_query(&packet, MCAST_IP4, 3, 9, 0, 100, 1, 1, 0);
	packet.b[packet.ip + 12] = 127; /* nobody takes what comes from there */
	mpacket_sum(&packet);
	is_kind(&packet, SNOOP_BAD);
}

static void test_records_say_whether_sources_count(void **state)
{
	(void)state;
	const struct mrecord records[] = { { 1, 1, 1, 0 }, { 2, 1, 1, 0 }, { 3, 1, 1, 0 },
		{ 3, 1, 0, 0 }, { 4, 1, 1, 0 }, { 5, 1, 1, 0 }, { 5, 1, 0, 0 }, { 6, 1, 1, 0 } };
	const bool want[] = { true, false, true, false, false, true, false, true };
	struct feth_mac mac;
	bool join;
	mpacket_records(&packet, MCAST_IP6, records, 8);
	struct snoop s = parse(&packet);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(snoop_next(&s, &mac, &join));
		assert_int_equal(s.sources, want[i]);
	}
	assert_false(snoop_next(&s, &mac, &join));
}

/* One of each message that there is. */
static unsigned make_nth(struct mpacket *p, unsigned n)
{
	const struct mrecord records[] = { { 4, 1, 2, 1 }, { 3, 2, 0, 0 }, { 1, 3, 1, 3 } };
	const enum mcast_family f = n % 2 ? MCAST_IP6 : MCAST_IP4;
	switch (n / 2) {
	case 0:
		mpacket_query(p, f, 1, 3, 0, 0, 0, 0, 0);
		break;
	case 1:
		mpacket_query(p, f, f ? 1 : 2, 3, 7, 10, 0, 0, 0);
		break;
	case 2:
		mpacket_query(p, f, f ? 2 : 3, 3, 0, 10, 2, 125, 0);
		break;
	case 3:
		mpacket_query(p, f, f ? 2 : 3, 3, 7, 10, 2, 125, 3);
		break;
	case 4:
		mpacket_report(p, f, 1, 7, true);
		break;
	case 5:
		mpacket_report(p, f, f ? 1 : 2, 7, true);
		break;
	case 6:
		mpacket_report(p, f, f ? 1 : 2, 7, false);
		break;
	case 7:
		mpacket_records(p, f, records, 3);
		break;
	case 8:
		mpacket_hello(p, f, 3, 105);
		break;
	default:
		return 0;
	}
	return 1;
}

static void test_every_cut_is_no_message(void **state)
{
	(void)state;
	unsigned n = 0;
	for (; make_nth(&packet, n); n++) {
		assert_true(parse(&packet).kind > SNOOP_OTHER);
		for (uint32_t len = 14; len < packet.len; len++) {
			uint8_t *cut = exact_copy(packet.b, len);
			const struct frame frame = { .head = cut, .head_len = len, .len = len };
			const enum snoop_kind kind = parse_at(cut, len).kind;
			assert_true(kind == SNOOP_BAD || kind == SNOOP_DATA);
			(void)snoop_may(&frame);
			free(cut);
		}
	}
	assert_int_equal(n, 18);
}

/* Lengths in the headers that are less than what the message takes, with sums that are right. */
static void test_every_shorter_length_is_no_message(void **state)
{
	(void)state;
	for (unsigned n = 0; make_nth(&packet, n); n++) {
		const struct mpacket whole = packet;
		const enum snoop_kind kind = parse(&whole).kind;
		for (uint32_t len = 0; len < whole.end - whole.msg; len++) {
			packet = whole;
			packet.end = whole.msg + len;
			const uint32_t in_ip =
				packet.end - packet.ip - (packet.family == MCAST_IP6 ? 40 : 0);
			uint8_t *at = packet.b + packet.ip + (packet.family == MCAST_IP6 ? 4 : 2);
			at[0] = (uint8_t)(in_ip >> 8);
			at[1] = (uint8_t)in_ip;
			mpacket_sum(&packet);
			const struct snoop s = parse(&packet);
			if (s.kind == kind && kind == SNOOP_QUERY) /* an older version's */
				assert_true(len == 8 || len == 24 || len == 12 || len == 28);
			else if (s.kind == kind && kind == SNOOP_HELLO) /* options end there */
				assert_true(len == 4 || len == 12);
			else
				assert_true(s.kind == SNOOP_BAD || s.kind == SNOOP_DATA);
		}
	}
}

/* Any bit that flips on the way breaks a checksum, or makes it another kind of packet. */
static void test_every_flipped_bit_is_noticed(void **state)
{
	(void)state;
	for (unsigned n = 0; make_nth(&packet, n); n++) {
		const bool hello = parse(&packet).kind == SNOOP_HELLO;
		for (uint32_t bit = packet.ip * 8; bit < packet.len * 8; bit++) {
			/* IPv6 has no checksum of its header: not of traffic class and flow
			 * label, the options, and the hop limit, which is fixed but for PIM */
			const uint32_t at = bit / 8 - packet.ip;
			if (packet.family == MCAST_IP6 &&
				(at < 4 || (at == 7 && hello) || (at >= 40 && at < 48 && !hello)))
				continue;
			packet.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			const enum snoop_kind kind = parse(&packet).kind;
			assert_true(kind == SNOOP_BAD || kind == SNOOP_DATA);
			packet.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

/* -- malformed, with checksums that are right -- */

static void bad_with(struct mpacket p, uint32_t at, uint8_t value)
{
	p.b[at] = value;
	mpacket_sum(&p);
	is_kind(&p, SNOOP_BAD);
}

static void test_ip4_headers_that_are_wrong(void **state)
{
	(void)state;
	mpacket_report(&packet, MCAST_IP4, 2, 7, true);
	const uint32_t ip = packet.ip;
	bad_with(packet, ip, 0x56);     /* version 5 */
	bad_with(packet, ip, 0x44);     /* 16 bytes of header */
	bad_with(packet, ip + 2, 0xff); /* longer than the frame */
	bad_with(packet, ip + 3, 23);   /* shorter than its header */
	bad_with(packet, ip + 6, 0x20); /* more fragments */
	bad_with(packet, ip + 6, 0x01); /* not the first one */
	bad_with(packet, ip + 7, 0x01);
	bad_with(packet, ip + 12, 224); /* a group asks */
	bad_with(packet, ip + 12, 255);
	bad_with(packet, ip + 16, 10); /* to a host */
	struct mpacket p = packet;
	p.b[ip + 10] ^= 1; /* the header's checksum */
	is_kind(&p, SNOOP_BAD);
	p = packet;
	p.b[ip] = 0x4f; /* 60 bytes of header: beyond the packet */
	is_kind(&p, SNOOP_BAD);
	p = packet;
	p.b[ip + 9] = 17; /* UDP */
	mpacket_sum(&p);
	is_kind(&p, SNOOP_DATA);
	p.b[12] = 0x86; /* IPv6 to an IPv4 group */
	p.b[13] = 0xdd;
	is_kind(&p, SNOOP_DATA);
}

static void test_ip6_headers_that_are_wrong(void **state)
{
	(void)state;
	mpacket_report(&packet, MCAST_IP6, 1, 7, true);
	const uint32_t ip = packet.ip;
	bad_with(packet, ip + 4, 1);  /* longer than the frame */
	bad_with(packet, ip + 5, 11); /* no room for four bytes behind the options */
	bad_with(packet, ip + 7, 2);  /* hop limit */
	bad_with(packet, ip + 7, 255);
	bad_with(packet, ip + 8, 0x20);  /* a source that is not link-local */
	bad_with(packet, ip + 9, 0xc0);  /* site-local, which once was */
	bad_with(packet, ip + 24, 0xfe); /* to a host */
	bad_with(packet, ip + 41, 200);  /* options beyond the packet */
	bad_with(packet, ip + 42, 6);    /* no router alert */
	bad_with(packet, ip + 43, 3);    /* an option that ends beyond */
	bad_with(packet, ip + 43, 200);
	bad_with(packet, ip + 45, 1); /* for RSVP */
	bad_with(packet, ip + 47, 1); /* padding that ends beyond */
	struct mpacket p = packet;
	p.b[ip + 40] = 17; /* UDP behind options */
	is_kind(&p, SNOOP_DATA);
	p = packet;
	p.b[ip + 6] = 58; /* ICMPv6 without options */
	is_kind(&p, SNOOP_DATA);
	p = packet;
	p.b[p.msg] = 128; /* an echo with them */
	is_kind(&p, SNOOP_DATA);
	p = packet;
	p.b[ip] = 0x40;
	is_kind(&p, SNOOP_DATA);
	p.b[12] = 0x08; /* IPv4 to an IPv6 group */
	p.b[13] = 0x00;
	is_kind(&p, SNOOP_DATA);
}

static void test_padding_options_are_passed(void **state)
{
	(void)state;
	mpacket_report(&packet, MCAST_IP6, 1, 7, true);
	/* Pad1, Pad1, then the router alert */
	const uint8_t options[6] = { 0, 0, 5, 2, 0, 0 };
	memcpy(packet.b + packet.ip + 42, options, 6);
	says(parse(&packet), "+333300010007");
}

static void test_messages_about_what_is_no_group(void **state)
{
	(void)state;
	for (unsigned n = 2; make_nth(&packet, n) && n < 14; n++) {
		const enum mcast_family f = packet.family;
		if (n == 4 || n == 5)
			continue; /* about all */
		bad_with(packet, packet.msg + (f ? 8 : 4), f ? 0xfe : 10);
		bad_with(packet, packet.msg + (f ? 8 : 4), f ? 0 : 240);
	}
	const struct mrecord records[] = { { 4, 1, 0, 0 }, { 4, 2, 0, 0 } };
	mpacket_records(&packet, MCAST_IP4, records, 2);
	bad_with(packet, packet.msg + 8 + 8 + 4, 10); /* the second: the first does not count */
	mpacket_records(&packet, MCAST_IP6, records, 2);
	bad_with(packet, packet.msg + 8 + 20 + 4, 0xfe);
}

static void test_counts_beyond_the_packet(void **state)
{
	(void)state;
	const struct mrecord records[] = { { 4, 1, 2, 1 } };
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		mpacket_records(&packet, f, records, 1);
		const uint32_t msg = packet.msg;
		bad_with(packet, msg + 7, 2); /* records */
		bad_with(packet, msg + 6, 0xff);
		bad_with(packet, msg + 8 + 1, 2); /* words of auxiliary data */
		bad_with(packet, msg + 8 + 1, 255);
		bad_with(packet, msg + 8 + 3, 3); /* sources */
		bad_with(packet, msg + 8 + 2, 0xff);
		mpacket_query(&packet, f, f ? 2 : 3, 3, 7, 10, 2, 125, 3);
		const uint32_t sources = packet.msg + (f ? 26 : 10);
		bad_with(packet, sources + 1, 4);
		bad_with(packet, sources, 0xff);
		/* fewer than there are: what follows is for the future */
		packet.b[sources + 1] = 2;
		mpacket_sum(&packet);
		is_kind(&packet, SNOOP_QUERY);
	}
}

static void test_general_queries_are_for_all_hosts_and_have_no_sources(void **state)
{
	(void)state;
	mpacket_query(&packet, MCAST_IP4, 3, 3, 0, 10, 2, 125, 1);
	is_kind(&packet, SNOOP_BAD);
	mpacket_query(&packet, MCAST_IP6, 2, 3, 0, 10, 2, 125, 1);
	is_kind(&packet, SNOOP_BAD);
	mpacket_query(&packet, MCAST_IP4, 2, 3, 0, 10, 0, 0, 0);
	bad_with(packet, packet.ip + 19, 2);
	mpacket_query(&packet, MCAST_IP6, 1, 3, 0, 10, 0, 0, 0);
	bad_with(packet, packet.ip + 39, 2);
	mpacket_query(&packet, MCAST_IP6, 1, 0, 0, 10, 0, 0, 0); /* from :: */
	is_kind(&packet, SNOOP_BAD);
	mpacket_query(&packet, MCAST_IP4, 2, 0, 0, 10, 0, 0, 0); /* from 0.0.0.0 */
	is_kind(&packet, SNOOP_QUERY);
	assert_true(parse(&packet).nobody);
}

static void test_other_igmp_is_told_apart(void **state)
{
	(void)state;
	mpacket_report(&packet, MCAST_IP4, 2, 7, true);
	packet.b[packet.msg] = 0x13; /* DVMRP */
	mpacket_sum(&packet);
	is_kind(&packet, SNOOP_OTHER);
	packet.b[packet.msg + 2] ^= 1;
	is_kind(&packet, SNOOP_BAD);
}

static void test_a_hello_says_for_how_long(void **state)
{
	(void)state;
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		mpacket_hello(&packet, f, 3, 30);
		struct snoop s = parse(&packet);
		assert_int_equal(s.kind, SNOOP_HELLO);
		assert_int_equal(s.family, f);
		assert_int_equal(s.hold_ms, 30000);
		mpacket_hello(&packet, f, 3, 0);
		assert_int_equal(parse(&packet).hold_ms, 0);
		mpacket_hello(&packet, f, 3, 65535);
		assert_int_equal(parse(&packet).hold_ms, 65535000);
		mpacket_hello(&packet, f, 3, -1);
		assert_int_equal(parse(&packet).hold_ms, 105000);
		bad_with(packet, packet.msg + 7, 5); /* an option beyond the packet */
		bad_with(packet, packet.msg + 6, 255);
		packet.b[packet.msg] = 0x23; /* a join/prune of PIM is data */
		is_kind(&packet, SNOOP_DATA);
		packet.b[packet.msg] = 0x10; /* version 1 */
		is_kind(&packet, SNOOP_DATA);
	}
}

static void test_data_is_seen_at_three_bytes(void **state)
{
	(void)state;
	uint8_t buf[64];
	struct frame frame = eth_frame(buf, BROADCAST, 1, 0x0800, 64, 'x');
	buf[14 + 9] = 17;
	assert_false(snoop_may(&frame));
	buf[14 + 9] = 2;
	assert_true(snoop_may(&frame));
	buf[14 + 9] = 103;
	assert_true(snoop_may(&frame));
	buf[12] = 0x88; /* neither IPv4 nor IPv6 */
	assert_false(snoop_may(&frame));
	buf[12] = 0x86;
	buf[13] = 0xdd;
	buf[14 + 6] = 58;
	assert_false(snoop_may(&frame));
	buf[14 + 6] = 0;
	assert_true(snoop_may(&frame));
	buf[12] = 0x81; /* a tag, of UDP over IPv4 */
	buf[13] = 0x00;
	buf[16] = 0x08;
	buf[17] = 0x00;
	buf[18 + 9] = 17;
	assert_false(snoop_may(&frame));
	buf[18 + 9] = 2;
	assert_true(snoop_may(&frame));
	frame.head_len = 27; /* what would tell is in another piece */
	assert_true(snoop_may(&frame));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_linux_reports_is_understood),
		cmocka_unit_test(test_what_a_linux_bridge_asks_is_understood),
		cmocka_unit_test(test_queries_tell_their_version_by_length_and_code),
		cmocka_unit_test(test_codes_above_half_are_floating),
		cmocka_unit_test(test_records_say_who_is_in_whatever_their_sources),
		cmocka_unit_test(test_a_group_is_the_low_bits_of_its_address),
		cmocka_unit_test(test_one_tag_and_padding_are_looked_past),
		cmocka_unit_test(test_a_sum_still_owed_is_not_looked_at),
		cmocka_unit_test(test_messages_in_pieces_are_put_together),
		cmocka_unit_test(test_in_pieces_more_than_the_scratch_is_malformed),
		cmocka_unit_test(test_a_query_is_for_all_if_every_host_answers_it),
		cmocka_unit_test(test_records_say_whether_sources_count),
		cmocka_unit_test(test_every_cut_is_no_message),
		cmocka_unit_test(test_every_shorter_length_is_no_message),
		cmocka_unit_test(test_every_flipped_bit_is_noticed),
		cmocka_unit_test(test_ip4_headers_that_are_wrong),
		cmocka_unit_test(test_ip6_headers_that_are_wrong),
		cmocka_unit_test(test_padding_options_are_passed),
		cmocka_unit_test(test_messages_about_what_is_no_group),
		cmocka_unit_test(test_counts_beyond_the_packet),
		cmocka_unit_test(test_general_queries_are_for_all_hosts_and_have_no_sources),
		cmocka_unit_test(test_other_igmp_is_told_apart),
		cmocka_unit_test(test_a_hello_says_for_how_long),
		cmocka_unit_test(test_data_is_seen_at_three_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
