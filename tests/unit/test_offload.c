/* test_offload.c - what a frame may owe, and how that is said. */
#include "tests/support/test.h"

#include "tests/support/bytes.h"
#include "tests/support/packet.h"

#define MTU 1500u

static uint8_t zeros[65536];
static uint8_t buf[PACKET_HEADERS + 65536];

static const struct packet tcp4 = {
	.tcp = true, .dst = 2, .src = 1, .tcp_flags = 0x10, .payload = zeros, .len = 40000
};
static const struct packet udp6 = {
	.v6 = true, .dst = 2, .src = 1, .payload = zeros, .len = 40000
};

/* Each is fine, and comes to be recognised as what it is. */
static void test_super_frames_of_every_kind(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		struct packet p = tcp4;
		p.tcp = i & 1;
		p.v6 = i & 2;
		p.tags = i >> 2 & 3;
		p.ip_options = p.ext = p.tcp_options = i >> 4 & 3;
		if (p.tags == 3)
			continue;
		struct frame f = packet_super(&p, buf, 1200);
		assert_true(offload_valid(&f, MTU));
		assert_int_equal(f.offload.hdr_len, f.len - 40000);
		assert_int_equal(offload_needs(&f),
			OFFLOAD_CSUM | (p.tcp         ? p.v6 ? OFFLOAD_TSO6 : OFFLOAD_TSO4
					       : p.v6 ? OFFLOAD_USO6
						      : OFFLOAD_USO4));
		assert_true(frame_fits(&f, MTU));
		assert_false(frame_fits(&f, 1200));
	}
}

static void test_a_frame_that_owes_nothing(void **state)
{
	(void)state;
	struct frame f = packet_make(&tcp4, buf, false);
	f.offload.gso_size = 7;
	f.offload.csum_start = 60000;
	assert_true(offload_valid(&f, MTU));
	assert_int_equal(offload_needs(&f), 0);
	assert_int_equal(f.offload.gso_size, 0);
	assert_int_equal(f.offload.csum_start, 0);
	assert_false(frame_fits(&f, MTU));
}

static void test_the_checksum_lies_inside(void **state)
{
	(void)state;
	struct packet p = tcp4;
	p.len = 10;
	const struct frame good = packet_make(&p, buf, true);
	struct frame f = good;
	assert_true(offload_valid(&f, MTU));
	assert_int_equal(offload_needs(&f), OFFLOAD_CSUM);
	f.offload.csum_offset = (uint16_t)(f.len - f.offload.csum_start - 2);
	assert_true(offload_valid(&f, MTU)); /* of whatever protocol */
	f.offload.csum_offset++;
	assert_false(offload_valid(&f, MTU));
	f = good;
	f.offload.csum_start = 13;
	assert_false(offload_valid(&f, MTU));
	f.offload.csum_start = f.offload.csum_offset = 65535;
	assert_false(offload_valid(&f, MTU));
	f = good;
	f.offload.flags = 2;
	assert_false(offload_valid(&f, MTU));
}

static void expect_bad(const struct frame *frame, const char *what)
{
	struct frame f = *frame;
	if (offload_valid(&f, MTU))
		fail_msg("taken: %s", what);
}

/* A plain frame that owes a checksum @at of it, with what @change makes of it. */
#define OWES(packet, good, at, change)                                                             \
	do {                                                                                       \
		f = packet_make(&(packet), buf, true);                                             \
		f.offload.csum_start = (uint16_t)(at);                                             \
		f.offload.csum_offset = 0;                                                         \
		change;                                                                            \
		if (offload_valid(&f, MTU) != (good))                                              \
			fail_msg("%s: %s at %u, %s", (good) ? "not taken" : "taken", #packet, at,  \
				#change);                                                          \
	} while (0)

static void test_a_checksum_is_behind_what_the_switch_reads(void **state)
{
	(void)state;
	static const uint8_t read_on[] = { 2, 44, 51, 58, 103, 135, 139, 140 };
	struct packet p4 = tcp4, p6 = udp6, ext = udp6;
	struct frame f;
	p4.len = p6.len = ext.len = 300;
	ext.ext = 3;
	for (unsigned tags = 0; tags <= 2; tags++) {
		const unsigned l3 = 14 + 4 * tags;
		p4.tags = p6.tags = ext.tags = tags;
		for (unsigned at = 12; at < l3 + 80; at++) {
			p4.ip_options = 0;
			OWES(p4, at >= l3 + 20, at, );
			p4.ip_options = 3;
			OWES(p4, at >= l3 + 32, at, );
			OWES(p6, at >= l3 + 40, at, );
			OWES(ext, at >= l3 + 64, at, );
			OWES(ext, at >= l3 + 64, at, buf[l3 + 6] = 0);       /* hop by hop */
			OWES(ext, at >= l3 + 64, at, buf[l3 + 40 + 8] = 43); /* routing */
			OWES(ext, false, at, buf[l3 + 40 + 16] = 58);
			/* of what the switch does not read all is the sender's, but for the type */
			OWES(p4, at >= l3, at, packet_put16(buf + l3 - 2, 0x8864)); /* PPPoE */
			OWES(p4, at >= l3, at, packet_put16(buf + l3 - 2, 0x0805));
			OWES(p4, at >= l3, at, packet_put16(buf + l3 - 2, 1501));
			OWES(p4, false, at, packet_put16(buf + l3 - 2, 1500)); /* LLC */
			OWES(p4, false, at, packet_put16(buf + l3 - 2, 0x0806));
			OWES(p4, false, at, packet_put16(buf + l3 - 2, 0x8035));
			OWES(p4, false, at, packet_put16(buf + l3 - 2, 0x80f3));
			OWES(p4, false, at, buf[l3] = 0x44); /* a header that ends in itself */
			OWES(p4, false, at, buf[l3] = 0x65);
		}
		for (unsigned i = 0; i < sizeof(read_on); i++) {
			OWES(p4, false, l3 + 40, buf[l3 + 9] = read_on[i]);
			OWES(p6, false, l3 + 44, buf[l3 + 6] = read_on[i]);
			OWES(ext, false, l3 + 70, buf[l3 + 56] = read_on[i]);
		}
		OWES(p4, true, l3 + 100, buf[l3 + 9] = 47);     /* inside of GRE */
		OWES(p6, true, l3 + 100, );                     /* and of VXLAN */
		OWES(ext, false, l3 + 100, buf[l3 + 57] = 255); /* headers beyond it */
	}
	p4.tags = 2;
	OWES(p4, false, 60, packet_put16(buf + 20, ETH_P_CTAG)); /* three */
	OWES(p4, false, 14, f.len = f.head_len = 16);
	OWES(p4, false, 22, f.len = f.head_len = 24);
}
#undef OWES

static void test_super_frames_that_contradict_themselves(void **state)
{
	(void)state;
	struct frame f;
#define BAD(packet, change)                                                                        \
	do {                                                                                       \
		f = packet_super(&(packet), buf, 1200);                                            \
		change;                                                                            \
		expect_bad(&f, #packet ", " #change);                                              \
	} while (0)
	BAD(tcp4, f.offload.flags = 0);
	BAD(tcp4, f.offload.gso_size = 0);
	BAD(tcp4, f.offload.gso_size = 1461);
	BAD(tcp4, f.offload.gso_size = 40000 / OFFLOAD_SEGMENTS);
	BAD(tcp4, f.offload.gso_type = VNET_GSO_TCPV6);
	BAD(tcp4, f.offload.gso_type = VNET_GSO_UDP_L4);
	BAD(tcp4, f.offload.gso_type = 3); /* UFO: never */
	BAD(tcp4, f.offload.gso_type |= VNET_GSO_V6);
	BAD(udp6, f.offload.gso_type |= VNET_GSO_V6);
	BAD(udp6, f.offload.gso_type |= VNET_GSO_ECN);
	BAD(tcp4, f.offload.csum_start++);
	BAD(tcp4, f.offload.csum_offset = 6);
	BAD(tcp4, buf[14] = 0x65);
	BAD(tcp4, buf[14] = 0x44);
	BAD(tcp4, buf[14 + 6] = 0x20);  /* a first fragment */
	BAD(tcp4, buf[14 + 7] = 1);     /* a later one */
	BAD(tcp4, buf[14 + 9] = 17);    /* UDP, it says */
	BAD(tcp4, buf[14 + 3]++);       /* longer than the frame */
	BAD(tcp4, buf[34 + 12] = 0x40); /* TCP header of 16 bytes */
	BAD(tcp4, buf[13] = 6);         /* ARP */
	BAD(udp6, buf[14 + 6] = 44);    /* a fragment */
	BAD(udp6, buf[14 + 6] = 51);    /* authenticated: cannot be cut */
	BAD(udp6, buf[14 + 5]++);
	BAD(udp6, buf[54 + 5]++); /* the length in UDP */
	BAD(udp6, f.len = f.head_len -= 1);
#undef BAD
	struct packet deep = udp6;
	deep.ext = 26; /* with 62 bytes before and behind: over the limit */
	f = packet_super(&deep, buf, 1000);
	expect_bad(&f, "more headers than anybody has");
	deep.ext = 24;
	f = packet_super(&deep, buf, 1000);
	assert_true(offload_valid(&f, MTU));
}

static void test_only_as_long_as_frames_may_be(void **state)
{
	(void)state;
	struct packet p = tcp4;
	p.len = 65535 - 40;
	struct frame f = packet_super(&p, buf, 1460);
	assert_true(offload_valid(&f, MTU));
	struct packet long6 = udp6;
	long6.len = 65535 - 8; /* a payload of 65535, and 40 bytes of header */
	f = packet_super(&long6, buf, 1400);
	assert_false(offload_valid(&f, MTU));
}

static void test_one_segment_is_no_super_frame(void **state)
{
	(void)state;
	struct packet p = tcp4;
	for (p.len = 0; p.len <= 1201; p.len += p.len ? 1 : 1200) {
		struct frame f = packet_super(&p, buf, 1200);
		assert_true(offload_valid(&f, MTU));
		assert_int_equal(f.offload.gso_type != 0, p.len == 1201);
		assert_true(offload_needs(&f) & OFFLOAD_CSUM);
	}
}

static void test_headers_in_pieces(void **state)
{
	(void)state;
	struct frame f = packet_super(&tcp4, buf, 1200);
	const struct seg more[] = { { buf + 16, 20 }, { buf + 36, f.len - 36 } };
	f.head_len = 16;
	f.more = more;
	f.more_n = 2;
	assert_true(offload_valid(&f, MTU));
	assert_int_equal(f.offload.hdr_len, 54);
}

static void test_the_header_of_virtio(void **state)
{
	(void)state;
	struct packet p = tcp4;
	p.tcp_flags = 0x90;
	struct frame f = packet_super(&p, buf, 1200), back = f;
	f.offload.gso_type |= VNET_GSO_ECN;
	assert_true(offload_valid(&f, MTU));
	assert_int_equal(offload_needs(&f), OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_ECN);
	uint8_t hdr[VNET_HDR_LEN];
	offload_to_vnet(hdr, &f);
	const uint8_t want[] = { 1, 0x81, 54, 0, 0xb0, 0x04, 34, 0, 16, 0 };
	assert_memory_equal(hdr, want, sizeof(want));
	offload_from_vnet(&back, hdr);
	assert_true(offload_valid(&back, MTU));
	assert_memory_equal(&back.offload, &f.offload, sizeof(f.offload));

	f = packet_super(&udp6, buf, 1200);
	assert_true(offload_valid(&f, MTU));
	offload_to_vnet(hdr, &f);
	assert_int_equal(hdr[1], 5); /* our own bit stays here */

	const uint8_t verified[] = { 2, 0, 9, 9, 9, 9, 9, 9, 9, 9 };
	offload_from_vnet(&f, verified);
	assert_true(offload_valid(&f, MTU));
	assert_int_equal(offload_needs(&f), 0);
	offload_to_vnet(hdr, &f);
	const uint8_t none[VNET_HDR_LEN] = { 0 };
	assert_memory_equal(hdr, none, sizeof(none));

	p.len = 10;
	f = packet_make(&p, buf, true);
	assert_true(offload_valid(&f, MTU));
	offload_to_vnet(hdr, &f);
	const uint8_t sum[] = { 1, 0, 52, 0, 0, 0, 34, 0, 16, 0 };
	assert_memory_equal(hdr, sum, sizeof(sum));
}

static void test_what_nothing_says_is_found_out(void **state)
{
	(void)state;
	static uint8_t payload[65600];
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 131 >> 3);
	for (unsigned i = 0; i < 32; i++) {
		struct packet p = { .tcp = i & 1,
			.v6 = i & 2,
			.tags = i >> 2 & 1,
			.tcp_options = 3,
			.dst = 2,
			.src = 1,
			.payload = payload };
		p.len = i & 8 ? 30000 : 700;
		struct frame f = packet_make(&p, buf, i & 16);
		const struct offload owed = f.offload;
		f.offload = (struct offload){ 0 };
		offload_guess(&f, MTU);
		if (!(i & 16) || (!p.tcp && p.len > MTU)) {
			/* finished already; or UFO, which owes a checksum and is too long */
			assert_int_equal(offload_needs(&f), i & 16 ? OFFLOAD_CSUM : 0);
			continue;
		}
		assert_int_equal(f.offload.flags, VNET_NEEDS_CSUM);
		assert_int_equal(f.offload.csum_start, owed.csum_start);
		assert_int_equal(f.offload.csum_offset, owed.csum_offset);
		assert_int_equal(f.offload.gso_type != 0, p.len > MTU);
		if (p.len > MTU) {
			assert_int_equal(
				f.offload.hdr_len + f.offload.gso_size, frame_room(MTU, p.tags));
			assert_true(offload_needs(&f) & (p.v6 ? OFFLOAD_TSO6 : OFFLOAD_TSO4));
		}
	}
	struct packet p = { .tcp = true, .dst = 2, .src = 1, .payload = payload, .len = 700 };
	for (unsigned owes = 0; owes < 2; owes++) { /* what it came in is not what it goes in */
		struct frame framed = packet_make(&p, buf, owes);
		framed.offload = (struct offload){ 0 };
		framed.framing = FRAMING_QEMU;
		framed.wire_hdr = 4;
		offload_guess(&framed, MTU);
		assert_int_equal(framed.offload.flags, owes);
		assert_int_equal(framed.framing, owes ? FRAMING_NONE : FRAMING_QEMU);
		assert_int_equal(framed.wire_hdr, owes ? 0 : 4);
	}
	p.len = 65600 - 54;
	struct frame f = packet_make(&p, buf, true);
	f.offload = (struct offload){ 0 };
	offload_guess(&f, MTU);
	assert_int_equal(offload_needs(&f), 0); /* longer than any packet */
	p.len = 1000;
	f = packet_make(&p, buf, true);
	for (uint32_t len = 14; len < 100; len++) { /* cut */
		f.offload = (struct offload){ 0 };
		f.head_len = f.len = len;
		offload_guess(&f, MTU);
		assert_int_equal(offload_needs(&f), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_super_frames_of_every_kind),
		cmocka_unit_test(test_a_frame_that_owes_nothing),
		cmocka_unit_test(test_the_checksum_lies_inside),
		cmocka_unit_test(test_a_checksum_is_behind_what_the_switch_reads),
		cmocka_unit_test(test_super_frames_that_contradict_themselves),
		cmocka_unit_test(test_only_as_long_as_frames_may_be),
		cmocka_unit_test(test_one_segment_is_no_super_frame),
		cmocka_unit_test(test_headers_in_pieces),
		cmocka_unit_test(test_the_header_of_virtio),
		cmocka_unit_test(test_what_nothing_says_is_found_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
