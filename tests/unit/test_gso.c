/* test_gso.c - a few packets cut by hand; any others are prop_gso's. */
#include "tests/support/test.h"

#include "server/core/gso.h"
#include "tests/support/segments.h"

static uint8_t buf[PACKET_HEADERS + 65536], bytes[GSO_BYTES];
static struct seg segs[2 * OFFLOAD_SEGMENTS];
static struct frame out[OFFLOAD_SEGMENTS];

static unsigned cut(const struct packet *p, uint16_t gso_size)
{
	struct frame f = packet_super(p, buf, gso_size);
	assert_true(offload_valid(&f, 9000));
	return gso_finish(&f, bytes, segs, out);
}

static void test_three_segments_of_tcp(void **state)
{
	(void)state;
	const struct packet p = {
		.tcp = true,
		.dst = 2,
		.src = 1,
		.tcp_flags = 0x99, /* CWR, ACK, PSH, FIN */
		.ip_id = 0xffff,
		.ip_frag = 0x4000,
		.seq = 0xfffffff0,
		.ack = 77,
		.payload = (const uint8_t *)"abcdefghijklmnopqrstuvwxyz",
		.len = 26,
	};
	assert_int_equal(cut(&p, 10), 3);
	const uint8_t flags[] = { 0x90, 0x10, 0x19 };
	const uint32_t seq[] = { 0xfffffff0, 0xfffffffa, 4 }, id[] = { 0xffff, 0, 1 };
	const uint32_t len[] = { 10, 10, 6 };
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *b = flat_frame(&out[i]);
		assert_int_equal(out[i].len, 54 + len[i]);
		assert_int_equal(packet_get16(b + 16), 40 + len[i]);
		assert_int_equal(packet_get16(b + 18), id[i]);
		assert_int_equal(packet_get16(b + 20), 0x4000);
		assert_int_equal(packet_get32(b + 38), seq[i]);
		assert_int_equal(packet_get32(b + 42), 77);
		assert_int_equal(b[47], flags[i]);
		assert_memory_equal(b + 54, p.payload + 10 * i, len[i]);
		/* as if each had been made alone */
		struct packet alone = p;
		uint8_t want[PACKET_HEADERS + 26];
		alone.tcp_flags = flags[i];
		alone.ip_id = (uint16_t)id[i];
		alone.seq = seq[i];
		alone.payload = p.payload + 10 * i;
		alone.len = len[i];
		const struct frame made = packet_make(&alone, want, false);
		assert_memory_equal(b, made.head, made.len);
		free(b);
	}
}

static void test_udp_over_ipv6_with_a_tag_and_options(void **state)
{
	(void)state;
	const struct packet p = { .v6 = true,
		.dst = 2,
		.src = 1,
		.tags = 1,
		.ext = 2,
		.payload = (const uint8_t *)"0123456789",
		.len = 10 };
	assert_int_equal(cut(&p, 4), 3);
	for (unsigned i = 0; i < 3; i++) {
		struct packet alone = p;
		uint8_t want[PACKET_HEADERS + 10];
		alone.payload += 4 * i;
		alone.len = i < 2 ? 4 : 2;
		const struct frame made = packet_make(&alone, want, false);
		uint8_t *b = flat_frame(&out[i]);
		assert_int_equal(out[i].len, made.len);
		assert_memory_equal(b, made.head, made.len);
		free(b);
	}
}

/* The sum of everything is ffff, so its complement is what says in UDP that there is none. */
static void test_a_checksum_of_zero_is_written_as_ones(void **state)
{
	(void)state;
	uint8_t payload[2] = { 0, 0 };
	struct packet p = { .dst = 2, .src = 1, .payload = payload, .len = 2 };
	struct frame f = packet_make(&p, buf, true);
	packet_put16(payload, (uint16_t)~packet_sum(f.head + 34, 10, 0));
	f = packet_make(&p, buf, true);
	assert_true(offload_valid(&f, 1500));
	assert_int_equal(gso_finish(&f, bytes, segs, out), 1);
	uint8_t *b = flat_frame(out);
	assert_int_equal(packet_get16(b + 40), 0xffff);
	free(b);
}

/* Only the headers are copied. */
static void test_payload_stays_where_it_is(void **state)
{
	(void)state;
	static uint8_t payload[60000];
	const struct packet p = {
		.tcp = true, .dst = 2, .src = 1, .payload = payload, .len = sizeof(payload)
	};
	const unsigned n = cut(&p, 1448);
	assert_int_equal(n, 42);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(out[i].more_n, 1);
		assert_ptr_equal(out[i].more->base, buf + 54 + 1448 * i);
		assert_int_equal(out[i].head_len, 54);
	}
}

static void test_any_protocol_can_have_its_checksum_written(void **state)
{
	(void)state;
	uint8_t b[61] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };
	for (unsigned i = 14; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 7);
	struct frame f = { .head = b, .head_len = sizeof(b), .len = sizeof(b) };
	f.offload =
		(struct offload){ .flags = VNET_NEEDS_CSUM, .csum_start = 15, .csum_offset = 8 };
	assert_true(offload_valid(&f, 1500));
	assert_int_equal(gso_finish(&f, bytes, segs, out), 1);
	uint8_t *is = flat_frame(out);
	assert_int_equal(packet_get16(is + 23), (uint16_t)~packet_sum(b + 15, sizeof(b) - 15, 0));
	packet_put16(is + 23, packet_get16(b + 23));
	assert_memory_equal(is, b, sizeof(b));
	free(is);

	f.offload.csum_offset = sizeof(b) - 15 - 2; /* the last bytes there are */
	assert_true(offload_valid(&f, 1500));
	assert_int_equal(gso_finish(&f, bytes, segs, out), 1);
	assert_int_equal(out->more_n, 0);
	assert_int_equal(out->len, sizeof(b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_segments_of_tcp),
		cmocka_unit_test(test_udp_over_ipv6_with_a_tag_and_options),
		cmocka_unit_test(test_a_checksum_of_zero_is_written_as_ones),
		cmocka_unit_test(test_payload_stays_where_it_is),
		cmocka_unit_test(test_any_protocol_can_have_its_checksum_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
