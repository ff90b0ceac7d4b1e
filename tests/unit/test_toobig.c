/* test_toobig.c - who is told that his packet is too long, and what. That the bytes are what other
 * stacks understand is for netns/test_toobig.py: the kernel's own ping reads them there. */
#include "tests/support/test.h"

#include "server/core/toobig.h"
#include "tests/support/eth.h"

static const struct cidr nets[] = {
	{ 4, 24, { 10, 0, 0, 1 } },
	{ 6, 64, { 0xfd, 0, [15] = 1 } },
	{ 4, 16, { 172, 16, 0, 1 } },
	{ 6, 10, { 0xfe, 0x80, [15] = 0x11 } },
};

struct sent {
	uint8_t b[3000];
	struct frame frame;
	uint8_t *ip;
	struct cidr nets[4];
	unsigned n_nets;
	uint32_t mtu, room;
	uint8_t answer[TOOBIG_FRAME_MAX];
};

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned sum_of(const uint8_t *p, uint32_t len, unsigned long sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] * 256ul;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned)sum;
}

static void begin(struct sent *s, unsigned type, uint32_t len)
{
	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < sizeof(s->b); i++)
		s->b[i] = (uint8_t)i;
	memcpy(s->b, mac_n(9).b, 6);
	memcpy(s->b + 6, mac_n(1).b, 6);
	put16(s->b + 12, type);
	s->ip = s->b + 14;
	s->frame = (struct frame){ .head = s->b, .head_len = 14 + len, .len = 14 + len };
	memcpy(s->nets, nets, sizeof(nets));
	s->n_nets = 4;
	s->mtu = 1280;
	s->room = 1500;
}

static void sum4(struct sent *s)
{
	put16(s->ip + 10, 0);
	put16(s->ip + 10, 0xffff - sum_of(s->ip, (s->ip[0] & 15) * 4u, 0));
}

/* UDP from 10.0.0.7 to 10.9.9.9, DF. */
static struct sent *packet4(struct sent *s, uint32_t len)
{
	static const uint8_t ip[20] = { 0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 0, 0,
		7, 10, 9, 9, 9 };
	begin(s, 0x0800, len);
	memcpy(s->ip, ip, sizeof(ip));
	put16(s->ip + 2, len);
	sum4(s);
	return s;
}

/* UDP from fd00::7 to fd01::9. */
static struct sent *packet6(struct sent *s, uint32_t len)
{
	begin(s, 0x86dd, len);
	memset(s->ip, 0, 40);
	s->ip[0] = 0x60;
	put16(s->ip + 4, len - 40);
	s->ip[6] = 17;
	s->ip[7] = 64;
	s->ip[8] = s->ip[24] = 0xfd;
	s->ip[25] = 1;
	s->ip[23] = 7;
	s->ip[39] = 9;
	return s;
}

static uint32_t ask(struct sent *s)
{
	return toobig_answer(
		&s->frame, s->mtu, s->room, mac_n(HOST_MAC), s->nets, s->n_nets, s->answer);
}

static void test_ipv4_is_told_the_mtu_of_the_next_hop(void **state)
{
	(void)state;
	struct sent s;
	const uint8_t *a = s.answer, *ip = a + 14, *icmp = ip + 20;
	packet4(&s, 1500);
	assert_int_equal(ask(&s), 14 + 576);
	assert_memory_equal(a, mac_n(1).b, 6);
	assert_memory_equal(a + 6, mac_n(HOST_MAC).b, 6);
	assert_memory_equal(a + 12, "\x08\x00\x45\xc0\x02\x40\x00\x00\x40\x00\x40\x01", 12);
	assert_memory_equal(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x07", 8);
	assert_int_equal(sum_of(ip, 20, 0), 0xffff);
	assert_int_equal(sum_of(icmp, 556, 0), 0xffff);
	assert_memory_equal(icmp, "\x03\x04", 2);
	assert_memory_equal(icmp + 4, "\0\0\x05\0", 4); /* 1280 */
	assert_memory_equal(icmp + 8, s.ip, 548);
	s.room = 300; /* he takes no more */
	assert_int_equal(ask(&s), 14 + 300);
	assert_memory_equal(icmp + 8, s.ip, 272);
	assert_int_equal(sum_of(icmp, 280, 0), 0xffff);
	s.room = s.mtu = 68;
	assert_int_equal(ask(&s), 14 + 68);
	packet4(&s, 120)->mtu = 100;
	assert_int_equal(ask(&s), 14 + 148); /* all that he sent */
	assert_memory_equal(icmp + 8, s.ip, 120);
}

static void test_ipv6_is_told_the_mtu(void **state)
{
	(void)state;
	struct sent s;
	const uint8_t *a = s.answer, *ip = a + 14, *icmp = ip + 40;
	packet6(&s, 2000)->mtu = 1400;
	assert_int_equal(ask(&s), 14 + 1280);
	assert_memory_equal(a, mac_n(1).b, 6);
	assert_memory_equal(a + 12, "\x86\xdd\x60\0\0\0\x04\xd8\x3a\x40", 10); /* 1240 bytes, 58 */
	assert_memory_equal(ip + 8, s.nets[1].addr, 16);
	assert_memory_equal(ip + 24, s.ip + 8, 16);
	assert_memory_equal(icmp, "\x02\0", 2);
	assert_memory_equal(icmp + 4, "\0\0\x05\x78", 4);
	assert_memory_equal(icmp + 8, s.ip, 1232);
	const unsigned pseudo = sum_of(ip + 8, 32, 1240 + 58);
	assert_int_equal(sum_of(icmp, 1240, pseudo), 0xffff);
	packet6(&s, 1281); /* an odd length, and just too long */
	assert_int_equal(ask(&s), 14 + 1280);
	packet6(&s, 1280);
	assert_int_equal(ask(&s), 0);
	packet6(&s, 2000)->mtu = 1279; /* nobody would believe it */
	assert_int_equal(ask(&s), 0);
	packet6(&s, 2000)->room = 1279;
	assert_int_equal(ask(&s), 0);
}

static void test_the_answer_has_the_tag_of_the_question(void **state)
{
	(void)state;
	struct sent s;
	packet4(&s, 1500);
	memmove(s.b + 18, s.b + 14, 1500);
	memcpy(s.b + 12, "\x81\x00\x60\x0a\x08\x00", 6);
	s.frame.len = s.frame.head_len += 4;
	assert_int_equal(ask(&s), 18 + 576);
	assert_memory_equal(s.answer + 12, "\x81\x00\x60\x0a\x08\x00\x45", 7);
	assert_memory_equal(s.answer + 18 + 28, s.b + 18, 548);
	memcpy(s.b + 12, "\x88\xa8", 2);
	assert_int_equal(ask(&s), 0);
	memcpy(s.b + 12, "\x81\x00\x60\x0a\x81\x00", 6);
	assert_int_equal(ask(&s), 0);
}

static void test_the_address_of_his_own_subnet_answers(void **state)
{
	(void)state;
	struct sent s;
	packet4(&s, 1500);
	memcpy(s.ip + 12, "\xac\x10\x05\x05", 4); /* 172.16.5.5 */
	sum4(&s);
	assert_true(ask(&s));
	assert_memory_equal(s.answer + 26, "\xac\x10\x00\x01", 4);
	memcpy(s.ip + 12, "\xc0\x00\x02\x05", 4); /* of none of them: the first */
	sum4(&s);
	assert_true(ask(&s));
	assert_memory_equal(s.answer + 26, "\x0a\x00\x00\x01", 4);
	packet6(&s, 1500);
	memcpy(s.ip + 8, "\xfe\x80", 2);
	assert_true(ask(&s));
	assert_memory_equal(s.answer + 14 + 8, s.nets[3].addr, 16);
	s.n_nets = 1; /* no IPv6 */
	assert_int_equal(ask(&s), 0);
	packet4(&s, 1500)->n_nets = 0;
	assert_int_equal(ask(&s), 0);
}

/* Linux leaves the checksum of IP to whoever cuts the packet, at times. */
static void test_the_header_of_what_is_to_be_cut_is_not_finished(void **state)
{
	(void)state;
	struct sent s;
	packet4(&s, 1500);
	put16(s.ip + 10, 0);
	assert_int_equal(ask(&s), 0);
	s.frame.offload.flags = 1; /* of TCP or UDP: that of IP is always right */
	assert_int_equal(ask(&s), 0);
	s.frame.offload.gso_type = 1;
	assert_int_equal(ask(&s), 14 + 576);
	assert_int_equal(sum_of(s.answer + 14, 20, 0), 0xffff);
	assert_int_equal(sum_of(s.answer + 34, 556, 0), 0xffff);
}

#define REFUSED(what, change)                                                                      \
	do {                                                                                       \
		struct sent s;                                                                     \
		what;                                                                              \
		assert_true(ask(&s));                                                              \
		change;                                                                            \
		assert_int_equal(ask(&s), 0);                                                      \
	} while (0)
#define REFUSED4(change) REFUSED(packet4(&s, 1500), change; sum4(&s))
#define REFUSED6(change) REFUSED(packet6(&s, 1500), change)

static void test_ipv4_that_nobody_answers(void **state)
{
	(void)state;
	REFUSED4(s.b[0] |= 1); /* sent to a group */
	REFUSED4(s.b[6] |= 1); /* and from one */
	REFUSED4(s.ip[6] = 0); /* it may be fragmented */
	REFUSED4(s.ip[7] = 8); /* a fragment, not the first */
	REFUSED4(memset(s.ip + 12, 0, 4));
	REFUSED4(s.ip[12] = 127);
	REFUSED4(s.ip[12] = 224);
	REFUSED4(s.ip[12] = 240);
	REFUSED4(memset(s.ip + 12, 255, 4));
	REFUSED4(s.ip[15] = 255); /* 10.0.0.255: all of a subnet of ours */
	REFUSED4(s.ip[15] = 0);
	REFUSED4(s.ip[16] = 224);
	REFUSED4(memset(s.ip + 16, 255, 4));
	REFUSED4(memcpy(s.ip + 16, "\xac\x10\xff\xff", 4));
	REFUSED4(s.mtu = 1500); /* not too long: the frame was padded */
	REFUSED4(s.ip[0] = 0x44);
	REFUSED4(s.ip[0] = 0x65);
	REFUSED4(put16(s.ip + 2, 1501)); /* longer than it is */
	REFUSED(packet4(&s, 1500), s.ip[10] ^= 1);
	REFUSED(packet4(&s, 1500), s.frame.len = s.frame.head_len = 14 + 19);
	REFUSED(packet4(&s, 1500), s.mtu = 67);
	REFUSED(packet4(&s, 1500), s.room = 67);
	REFUSED(packet4(&s, 1500), s.b[12] = 9);
}

static void test_errors_are_not_answered(void **state)
{
	(void)state;
	static const uint8_t fine4[] = { 0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43 };
	struct sent s;
	for (unsigned type = 0; type < 256; type++) {
		packet4(&s, 1500)->ip[9] = 1;
		sum4(&s);
		s.ip[20] = (uint8_t)type;
		assert_int_equal(ask(&s) != 0, memchr(fine4, (int)type, sizeof(fine4)) != NULL);
		packet6(&s, 1500)->ip[6] = 58;
		s.ip[40] = (uint8_t)type;
		assert_int_equal(ask(&s) != 0, type >= 128 && type != 137);
	}
	packet4(&s, 1500)->ip[9] = 1; /* behind options */
	s.ip[0] = 0x46;
	memset(s.ip + 20, 1, 4);
	sum4(&s);
	s.ip[24] = 3;
	assert_int_equal(ask(&s), 0);
	s.ip[24] = 8;
	assert_true(ask(&s));
}

static void test_ipv6_that_nobody_answers(void **state)
{
	(void)state;
	REFUSED6(s.b[0] |= 1);
	REFUSED6(memset(s.ip + 8, 0, 16));
	REFUSED6(memset(s.ip + 8, 0, 15); s.ip[23] = 1);
	REFUSED6(s.ip[8] = 0xff);
	REFUSED6(s.ip[24] = 0xff);
	REFUSED6(s.ip[0] = 0x40);
	REFUSED6(put16(s.ip + 4, 1461));
	REFUSED6(put16(s.ip + 4, 0));
	REFUSED6(s.mtu = 1500);
}

/* What an ICMPv6 error hides behind. */
static void test_headers_before_an_error_are_passed_over(void **state)
{
	(void)state;
	struct sent s;
	static const struct {
		uint8_t next, words, bytes;
	} before[] = { { 0, 1, 16 }, { 43, 0, 8 }, { 60, 2, 24 }, { 51, 2, 16 }, { 44, 9, 8 } };
	for (unsigned i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		packet6(&s, 1500)->ip[6] = before[i].next;
		memset(s.ip + 40, 0, before[i].bytes);
		s.ip[40] = 58;
		s.ip[41] = before[i].words;
		s.ip[40 + before[i].bytes] = 1; /* unreachable */
		assert_int_equal(ask(&s), 0);
		s.ip[40 + before[i].bytes] = 128; /* an echo request */
		assert_true(ask(&s));
	}
	s.ip[43] = 8; /* the fragment is not the first */
	assert_int_equal(ask(&s), 0);
	s.ip[43] = 7; /* flags and reserved bits only */
	assert_true(ask(&s));
	packet6(&s, 1500)->ip[6] = 0; /* headers for ever */
	for (unsigned at = 40; at < 1500; at += 8)
		memset(s.ip + at, 0, 8);
	assert_int_equal(ask(&s), 0);
	packet6(&s, 1500)->ip[6] = 60;
	s.ip[41] = 255;
	assert_int_equal(ask(&s), 0);
}

static void test_a_frame_in_pieces_is_read_all_the_same(void **state)
{
	(void)state;
	struct sent s;
	uint8_t whole[TOOBIG_FRAME_MAX];
	packet4(&s, 1500);
	assert_int_equal(ask(&s), 590);
	memcpy(whole, s.answer, 590);
	for (uint32_t at = 14; at < 700; at++) {
		const struct seg more[2] = { { s.b + at, 3 }, { s.b + at + 3, 1514 - at - 3 } };
		memset(s.answer, 0, sizeof(s.answer));
		s.frame.head_len = at;
		s.frame.more = more;
		s.frame.more_n = 2;
		assert_int_equal(ask(&s), 590);
		assert_memory_equal(s.answer, whole, 590);
	}
}

static bool take(struct toobig *tb, uint64_t now_ms)
{
	const bool may = toobig_may(tb, now_ms);
	if (may)
		toobig_take(tb, now_ms);
	return may;
}

static void test_a_bucket_holds_so_many_and_fills_so_fast(void **state)
{
	(void)state;
	struct toobig tb = { 0 };
	uint64_t now = 5;
	for (unsigned i = 0; i < TOOBIG_BURST; i++)
		assert_true(take(&tb, now));
	assert_false(take(&tb, now));
	assert_false(take(&tb, now + 9));
	assert_true(take(&tb, now + 10));
	assert_false(take(&tb, now + 10));
	assert_int_equal(tb.answered, TOOBIG_BURST + 1);
	unsigned n = 0;
	for (now = 1000000; now < 1010000; now++)
		n += take(&tb, now);
	assert_int_equal(n, TOOBIG_BURST + 10 * TOOBIG_PER_SECOND - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4_is_told_the_mtu_of_the_next_hop),
		cmocka_unit_test(test_ipv6_is_told_the_mtu),
		cmocka_unit_test(test_the_answer_has_the_tag_of_the_question),
		cmocka_unit_test(test_the_address_of_his_own_subnet_answers),
		cmocka_unit_test(test_the_header_of_what_is_to_be_cut_is_not_finished),
		cmocka_unit_test(test_ipv4_that_nobody_answers),
		cmocka_unit_test(test_errors_are_not_answered),
		cmocka_unit_test(test_ipv6_that_nobody_answers),
		cmocka_unit_test(test_headers_before_an_error_are_passed_over),
		cmocka_unit_test(test_a_frame_in_pieces_is_read_all_the_same),
		cmocka_unit_test(test_a_bucket_holds_so_many_and_fills_so_fast),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
