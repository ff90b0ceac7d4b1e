/* test_qemu.c - protocol/qemu.c: QEMU's stream framing at its edges. */
#include "tests/support/test.h"

#include "protocol/qemu.h"
#include "tests/support/bytes.h"

static enum wire_kind next(const uint8_t *bytes, size_t len, struct wire_item *item, size_t *need)
{
	uint8_t *buf = exact_copy(bytes, len);
	const enum wire_kind kind = qemu_next(buf, len, item, need);
	free(buf);
	return kind;
}

static void test_a_cut_header_needs_four_bytes(void **state)
{
	(void)state;
	static const uint8_t hdr[4] = { 0, 0, 0, 14 };
	for (size_t len = 0; len < 4; len++) {
		struct wire_item item;
		size_t need = 0;
		assert_int_equal(next(hdr, len, &item, &need), WIRE_MORE);
		assert_int_equal(need, 4);
	}
}

static void test_lengths_from_0_to_69632_are_frames(void **state)
{
	(void)state;
	static const uint32_t lens[] = { 0, 1, 13, 14, 1514, 69632 };
	static uint8_t buf[4 + 69632];
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		const uint32_t len = lens[i];
		struct wire_item item = { .ext = 1 };
		size_t need = 0;
		qemu_frame_header(buf, len);
		assert_int_equal(qemu_next(buf, 4 + len, &item, &need), WIRE_FRAME);
		assert_ptr_equal(item.data, buf + 4);
		assert_int_equal(item.len, len);
		assert_int_equal(item.total, 4 + len);
		assert_int_equal(item.hdr_len, 4);
		assert_int_equal(item.ext, 0);
		if (!len)
			continue;
		assert_int_equal(next(buf, 4 + len - 1, &item, &need), WIRE_MORE);
		assert_int_equal(need, 4 + len);
	}
}

static void test_longer_lengths_end_the_stream_at_the_header(void **state)
{
	(void)state;
	struct wire_item item = { 0 };
	size_t need;
	assert_int_equal(next(BYTES(0x00, 0x01, 0x10, 0x01), &item, &need), WIRE_BAD); /* 69633 */
	assert_string_equal(item.reason, "frame length over 69632");
	assert_int_equal(next(BYTES(0xff, 0xff, 0xff, 0xff), &item, &need), WIRE_BAD);
	assert_int_equal(next(BYTES(0xc4, 0x0e, 0xff, 0xff), &item, &need), WIRE_BAD); /* native */
}

static void test_the_header_is_big_endian(void **state)
{
	(void)state;
	uint8_t out[4];
	qemu_frame_header(out, 0x00011000);
	assert_memory_equal(out, "\x00\x01\x10\x00", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cut_header_needs_four_bytes),
		cmocka_unit_test(test_lengths_from_0_to_69632_are_frames),
		cmocka_unit_test(test_longer_lengths_end_the_stream_at_the_header),
		cmocka_unit_test(test_the_header_is_big_endian),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
