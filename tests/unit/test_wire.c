/* test_wire.c - protocol/wire.c: every header form, every limit, every reason to refuse. */
#include "tests/support/test.h"

#include "protocol/wire.h"
#include "tests/support/bytes.h"

/* wire_next() at the start of an object, in memory that ends where the bytes end. */
static enum wire_kind next(const uint8_t *bytes, size_t len, struct wire_item *item, size_t *need)
{
	struct wire_scan scan = { 0 };
	uint8_t *buf = exact_copy(bytes, len);
	const enum wire_kind kind = wire_next(&scan, buf, len, item);
	if (kind != WIRE_MORE && kind != WIRE_BAD)
		item->data = bytes + (item->data - buf);
	*need = scan.need;
	free(buf);
	return kind;
}

static struct wire_item whole(enum wire_kind kind, const uint8_t *bytes, size_t len)
{
	struct wire_item item = { 0 };
	size_t need;
	assert_int_equal(next(bytes, len, &item, &need), kind);
	assert_int_equal(item.total, len);
	assert_ptr_equal(item.data, bytes + item.hdr_len);
	assert_int_equal(item.len, len - item.hdr_len);
	return item;
}

static void more(size_t need, const uint8_t *bytes, size_t len)
{
	struct wire_item item;
	size_t found;
	assert_int_equal(next(bytes, len, &item, &found), WIRE_MORE);
	assert_int_equal(found, need);
}

static void bad(const char *reason, const uint8_t *bytes, size_t len)
{
	struct wire_item item = { 0 };
	size_t need;
	assert_int_equal(next(bytes, len, &item, &need), WIRE_BAD);
	assert_string_equal(item.reason, reason);
}

#define FRAME14 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x01, 0x88, 0xb5

static void test_bin_of_each_width_is_a_frame(void **state)
{
	(void)state;
	assert_int_equal(whole(WIRE_FRAME, BYTES(0xc4, 14, FRAME14)).hdr_len, 2);
	assert_int_equal(whole(WIRE_FRAME, BYTES(0xc5, 0, 14, FRAME14)).hdr_len, 3);
	assert_int_equal(whole(WIRE_FRAME, BYTES(0xc6, 0, 0, 0, 14, FRAME14)).hdr_len, 5);
	assert_int_equal(whole(WIRE_FRAME, BYTES(0xc4, 0)).len, 0); /* a runt, but well framed */
}

static void test_ext_of_each_form_has_its_type(void **state)
{
	(void)state;
	static const struct {
		uint8_t bytes[20];
		uint8_t len, hdr_len;
		int8_t type;
	} rows[] = {
		{ { 0xc7, 1, 1, 0xaa }, 4, 3, 1 },
		{ { 0xc8, 0, 1, 2, 0xaa }, 5, 4, 2 },
		{ { 0xc9, 0, 0, 0, 1, 3, 0xaa }, 7, 6, 3 },
		{ { 0xc7, 0, 63 }, 3, 3, 63 },
		{ { 0xd4, 1 }, 3, 2, 1 }, /* fixext: the body is 1, 2, 4, 8, 16 bytes */
		{ { 0xd5, 2 }, 4, 2, 2 },
		{ { 0xd6, 0x7f }, 6, 2, 127 },
		{ { 0xd7, 0x80 }, 10, 2, -128 },
		{ { 0xd8, 0xff }, 18, 2, -1 }, /* -1 is msgpack's own timestamp */
		{ { 0xd4, 0 }, 3, 2, 0 },
		{ { 0xc7, 0, 0 }, 3, 3, 0 },
		{ { 0xc8, 0, 0, 0 }, 4, 4, 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct wire_item item = whole(WIRE_EXT, rows[i].bytes, rows[i].len);
		assert_int_equal(item.hdr_len, rows[i].hdr_len);
		assert_int_equal(item.ext, rows[i].type);
	}
}

static void test_arrays_of_each_width_are_rpc(void **state)
{
	(void)state;
	whole(WIRE_RPC, BYTES(0x90));
	whole(WIRE_RPC, BYTES(0x91, 0xc0));
	whole(WIRE_RPC, BYTES(0xdc, 0, 0));
	whole(WIRE_RPC, BYTES(0xdc, 0, 1, 0xc0));
	whole(WIRE_RPC, BYTES(0xdd, 0, 0, 0, 0));
	whole(WIRE_RPC, BYTES(0xdd, 0, 0, 0, 1, 0xc0));
}

static void test_every_kind_of_value_has_its_length(void **state)
{
	(void)state;
	whole(WIRE_RPC, BYTES(0x95, 0x00, 0x7f, 0xe0, 0xff, 0xc0));       /* fixints, nil */
	whole(WIRE_RPC, BYTES(0x92, 0xc2, 0xc3));                         /* false, true */
	whole(WIRE_RPC, BYTES(0x92, 0xa0, 0xa2, 'h', 'i'));               /* fixstr */
	whole(WIRE_RPC, BYTES(0x92, 0xd9, 0, 0xd9, 2, 'h', 'i'));         /* str 8 */
	whole(WIRE_RPC, BYTES(0x91, 0xda, 0, 2, 'h', 'i'));               /* str 16 */
	whole(WIRE_RPC, BYTES(0x91, 0xdb, 0, 0, 0, 2, 'h', 'i'));         /* str 32 */
	whole(WIRE_RPC, BYTES(0x92, 0xc4, 0, 0xc4, 1, 0xc1));             /* bin 8 */
	whole(WIRE_RPC, BYTES(0x91, 0xc5, 0, 1, 0xc1));                   /* bin 16 */
	whole(WIRE_RPC, BYTES(0x91, 0xc6, 0, 0, 0, 1, 0xc1));             /* bin 32 */
	whole(WIRE_RPC, BYTES(0x91, 0xca, 1, 2, 3, 4));                   /* float 32 */
	whole(WIRE_RPC, BYTES(0x91, 0xcb, 1, 2, 3, 4, 5, 6, 7, 8));       /* float 64 */
	whole(WIRE_RPC, BYTES(0x92, 0xcc, 0xff, 0xd0, 0x80));             /* (u)int 8 */
	whole(WIRE_RPC, BYTES(0x92, 0xcd, 1, 2, 0xd1, 1, 2));             /* (u)int 16 */
	whole(WIRE_RPC, BYTES(0x92, 0xce, 1, 2, 3, 4, 0xd2, 1, 2, 3, 4)); /* (u)int 32 */
	whole(WIRE_RPC, BYTES(0x91, 0xcf, 1, 2, 3, 4, 5, 6, 7, 8));       /* uint 64 */
	whole(WIRE_RPC, BYTES(0x91, 0xd3, 1, 2, 3, 4, 5, 6, 7, 8));       /* int 64 */
	whole(WIRE_RPC, BYTES(0x91, 0xc7, 2, 9, 1, 2));                   /* ext 8 */
	whole(WIRE_RPC, BYTES(0x91, 0xc8, 0, 2, 9, 1, 2));                /* ext 16 */
	whole(WIRE_RPC, BYTES(0x91, 0xc9, 0, 0, 0, 2, 9, 1, 2));          /* ext 32 */
	whole(WIRE_RPC, BYTES(0x92, 0xd4, 9, 1, 0xd5, 9, 1, 2));          /* fixext 1, 2 */
	whole(WIRE_RPC, BYTES(0x91, 0xd6, 9, 1, 2, 3, 4));                /* fixext 4 */
	whole(WIRE_RPC, BYTES(0x91, 0xd7, 9, 1, 2, 3, 4, 5, 6, 7, 8));    /* fixext 8 */
	whole(WIRE_RPC, BYTES(0x91, 0xd8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8));
	whole(WIRE_RPC, BYTES(0x93, 0x80, 0x81, 1, 2, 0x90));            /* fixmap, empty ones */
	whole(WIRE_RPC, BYTES(0x91, 0xde, 0, 1, 0xa1, 'k', 0x91, 0xc0)); /* map 16 */
	whole(WIRE_RPC, BYTES(0x92, 0xdf, 0, 0, 0, 1, 1, 0x82, 1, 2, 3, 4, 5)); /* map 32 */
}

static void test_only_bin_ext_and_array_begin_an_object(void **state)
{
	(void)state;
	for (unsigned t = 0; t < 256; t++) {
		const uint8_t byte = (uint8_t)t;
		struct wire_item item = { 0 };
		size_t need;
		const enum wire_kind kind = next(&byte, 1, &item, &need);
		const bool array = (t >= 0x90 && t <= 0x9f) || t == 0xdc || t == 0xdd;
		const bool blob = (t >= 0xc4 && t <= 0xc9) || (t >= 0xd4 && t <= 0xd8);
		assert_int_equal(kind, t == 0x90 ? WIRE_RPC : array || blob ? WIRE_MORE : WIRE_BAD);
		if (kind == WIRE_BAD)
			assert_string_equal(item.reason,
				"neither frame nor RPC: an object must be bin, ext or array");
	}
}

static void test_c1_is_refused_where_it_stands(void **state)
{
	(void)state;
	bad("byte c1 is no msgpack type", BYTES(0x91, 0xc1));
	bad("byte c1 is no msgpack type", BYTES(0x92, 0x81, 0xa1, 'k', 0xc1));
	whole(WIRE_RPC, BYTES(0x91, 0xa1, 0xc1)); /* in a body it is a byte like any other */
}

static void test_the_longest_frame_and_ext_are_taken_and_one_byte_more_is_not(void **state)
{
	(void)state;
	more(5 + 65553, BYTES(0xc6, 0x00, 0x01, 0x00, 0x11));
	bad("frame over 65553 bytes", BYTES(0xc6, 0x00, 0x01, 0x00, 0x12));
	bad("frame over 65553 bytes", BYTES(0xc6, 0xff, 0xff, 0xff, 0xff));
	more(6 + 65565, BYTES(0xc9, 0x00, 0x01, 0x00, 0x1d, 1));
	bad("ext over 65565 bytes", BYTES(0xc9, 0x00, 0x01, 0x00, 0x1e, 1));
	bad("ext over 65565 bytes", BYTES(0xc9, 0xff, 0xff, 0xff, 0xff, 1));

	uint8_t *longest = calloc(1, 5 + 65553);
	bytes_put(longest, BYTES(0xc6, 0x00, 0x01, 0x00, 0x11));
	assert_int_equal(whole(WIRE_FRAME, longest, 5 + 65553).len, FETH_FRAME_MAX);
	free(longest);
}

static void test_an_rpc_object_of_65536_bytes_is_the_longest(void **state)
{
	(void)state;
	uint8_t *buf = calloc(1, FETH_RPC_MAX);  /* fixints 0 */
	bytes_put(buf, BYTES(0xdc, 0xff, 0xfd)); /* 65533 values of a byte: 65536 in all */
	whole(WIRE_RPC, buf, FETH_RPC_MAX);
	bytes_put(buf, BYTES(0x91, 0xda, 0xff, 0xfc)); /* a string of 65532 bytes: the same */
	whole(WIRE_RPC, buf, FETH_RPC_MAX);
	free(buf);

	bad("container promises more values than may follow", BYTES(0xdc, 0xff, 0xfe));
	bad("RPC object over 65536 bytes", BYTES(0x91, 0xda, 0xff, 0xfd));
	/* 65531 bytes for the string, 1 for the value still owed */
	more(65535, BYTES(0x92, 0xda, 0xff, 0xfb));
	bad("container promises more values than may follow", BYTES(0x92, 0xda, 0xff, 0xfc));
}

static void test_promises_are_refused_before_they_are_kept(void **state)
{
	(void)state;
	const char *why = "container promises more values than may follow";
	bad(why, BYTES(0xdd, 0x03, 0x00, 0x00, 0x00)); /* msgpack-c 4.0.0 asks for 1 GiB here */
	bad(why, BYTES(0xdd, 0xff, 0xff, 0xff, 0xff));
	bad(why, BYTES(0x91, 0xdd, 0x03, 0x00, 0x00, 0x00));
	bad(why, BYTES(0x91, 0xdf, 0xff, 0xff, 0xff, 0xff));
	bad(why, BYTES(0x91, 0xdf, 0x80, 0x00, 0x00, 0x00));       /* 2^31 pairs are 2^32 values */
	bad(why, BYTES(0x91, 0xde, 0x80, 0x00));                   /* 32768 pairs are 65536 */
	bad(why, BYTES(0x92, 0xdc, 0x80, 0x00, 0xdc, 0x80, 0x00)); /* each would do, both do not */
	more(5, BYTES(0x91, 0xde, 0x7f, 0xfe)); /* 32766 pairs and 4 bytes: 65536 */
	bad(why, BYTES(0x91, 0xde, 0x7f, 0xff));
}

static void test_sixteen_deep_is_the_limit(void **state)
{
	(void)state;
	uint8_t deep[20];
	memset(deep, 0x91, sizeof(deep));
	deep[16] = 0xc0;
	whole(WIRE_RPC, deep, 17); /* 16 arrays around a nil */
	deep[16] = 0x91;
	bad("RPC object nested over 16 deep", deep, 17);
	deep[16] = 0x90; /* an empty one too */
	bad("RPC object nested over 16 deep", deep, 17);
	memset(deep + 8, 0x81, 9); /* maps count as arrays do */
	bad("RPC object nested over 16 deep", deep, 17);

	/* depth is given back: two towers of 15 side by side */
	uint8_t towers[31] = { 0x92 };
	memset(towers + 1, 0x91, 30);
	towers[15] = towers[30] = 0xc0;
	whole(WIRE_RPC, towers, 31);
}

static void test_need_is_what_brings_progress(void **state)
{
	(void)state;
	more(1, NULL, 0);
	more(2, BYTES(0xc4));
	more(3, BYTES(0xc5));
	more(3, BYTES(0xc5, 0));
	more(5, BYTES(0xc6));
	more(16, BYTES(0xc4, 14));
	more(16, BYTES(0xc4, 14, 0xff));
	more(3, BYTES(0xc7));
	more(4, BYTES(0xc8));
	more(6, BYTES(0xc9));
	more(6, BYTES(0xc9, 0, 0, 0, 1));
	more(7, BYTES(0xc9, 0, 0, 0, 1, 1));
	more(2, BYTES(0xd4));
	more(3, BYTES(0xd4, 1));
	more(18, BYTES(0xd8, 1));
	more(3, BYTES(0xdc));
	more(5, BYTES(0xdd, 0, 0));
	more(2, BYTES(0x91));
	more(4, BYTES(0x92, 0, 0xa1)); /* a string of one byte must still come */
	more(6, BYTES(0x91, 0xce, 1)); /* uint 32: four bytes */
	more(6, BYTES(0x91, 0xdf, 0)); /* the header of a map 32 */
	more(10, BYTES(0x94, 0, 1, 0xa6, 'a'));
}

static void test_items_follow_one_another_and_the_scan_starts_afresh(void **state)
{
	(void)state;
	static const uint8_t stream[] = { 0x92, 0x81, 1, 0x90, 0xc0, /* [{1: []}, nil] */
		0xc4, 1, 0xaa,                                       /* a frame */
		0xd4, 5, 0xbb,                                       /* an ext */
		0x91, 0x91, 0xc2 };                                  /* [[false]] */
	static const enum wire_kind kinds[] = { WIRE_RPC, WIRE_FRAME, WIRE_EXT, WIRE_RPC };
	static const uint32_t totals[] = { 5, 3, 3, 3 };

	struct wire_scan scan = { 0 };
	size_t at = 0;
	for (unsigned i = 0; i < 4; i++) {
		struct wire_item item;
		assert_int_equal(
			wire_next(&scan, stream + at, sizeof(stream) - at, &item), kinds[i]);
		assert_int_equal(item.total, totals[i]);
		at += item.total;
	}
	assert_int_equal(at, sizeof(stream));
}

static void test_a_cut_object_goes_on_where_it_was_though_its_bytes_moved(void **state)
{
	(void)state;
	static const uint8_t call[] = { 0x94, 0, 1, 0xa2, 'h', 'i', 0x91, 0x81, 0xa1, 'k', 0xc3 };
	struct wire_scan scan = { 0 };
	struct wire_item item;
	for (size_t len = 0; len < sizeof(call); len++) {
		uint8_t *buf = exact_copy(call, len);
		assert_int_equal(wire_next(&scan, buf, len, &item), WIRE_MORE);
		assert_in_range(scan.need, len + 1, sizeof(call));
		free(buf);
	}
	assert_int_equal(wire_next(&scan, call, sizeof(call), &item), WIRE_RPC);
	assert_int_equal(item.total, sizeof(call));
}

static void header(const uint8_t *want, size_t len, uint32_t frame)
{
	uint8_t out[WIRE_HDR_MAX];
	assert_int_equal(wire_frame_header(out, frame), len);
	assert_memory_equal(out, want, len);
}

static void ext_header(const uint8_t *want, size_t len, int8_t type, uint32_t body)
{
	uint8_t out[WIRE_HDR_MAX];
	assert_int_equal(wire_ext_header(out, type, body), len);
	assert_memory_equal(out, want, len);
}

static void test_headers_written_are_the_shortest(void **state)
{
	(void)state;
	header(BYTES(0xc4, 0), 0);
	header(BYTES(0xc4, 0xff), 255);
	header(BYTES(0xc5, 0x01, 0x00), 256);
	header(BYTES(0xc5, 0xff, 0xff), 65535);
	header(BYTES(0xc6, 0x00, 0x01, 0x00, 0x00), 65536);
	header(BYTES(0xc6, 0x00, 0x01, 0x00, 0x11), FETH_FRAME_MAX);
	ext_header(BYTES(0xc7, 0xff, 1), 1, 255);
	ext_header(BYTES(0xc8, 0x01, 0x00, 2), 2, 256);
	ext_header(BYTES(0xc9, 0x00, 0x01, 0x00, 0x1d, 0xff), -1, WIRE_EXT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bin_of_each_width_is_a_frame),
		cmocka_unit_test(test_ext_of_each_form_has_its_type),
		cmocka_unit_test(test_arrays_of_each_width_are_rpc),
		cmocka_unit_test(test_every_kind_of_value_has_its_length),
		cmocka_unit_test(test_only_bin_ext_and_array_begin_an_object),
		cmocka_unit_test(test_c1_is_refused_where_it_stands),
		cmocka_unit_test(test_the_longest_frame_and_ext_are_taken_and_one_byte_more_is_not),
		cmocka_unit_test(test_an_rpc_object_of_65536_bytes_is_the_longest),
		cmocka_unit_test(test_promises_are_refused_before_they_are_kept),
		cmocka_unit_test(test_sixteen_deep_is_the_limit),
		cmocka_unit_test(test_need_is_what_brings_progress),
		cmocka_unit_test(test_items_follow_one_another_and_the_scan_starts_afresh),
		cmocka_unit_test(test_a_cut_object_goes_on_where_it_was_though_its_bytes_moved),
		cmocka_unit_test(test_headers_written_are_the_shortest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
