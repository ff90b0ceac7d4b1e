/* prop_wire.c - wire_next(): the same items however the bytes are cut, and the same ends as
 * msgpack-c's. */
#include "tests/support/test.h"

#include <msgpack.h>

#include "protocol/wire.h"
#include "server/core/ingress.h"
#include "tests/support/stream.h"
#include "tests/support/values.h"

struct found {
	enum wire_kind kind; /* WIRE_MORE: the bytes ended here */
	struct wire_item item;
	size_t at;
};

/* Objects of a stream: frames, ext, RPC. */
static void put_object(struct bytes *b, struct rng *rng, uint32_t max_frame)
{
	uint32_t n = rng_below(rng, rng_one_in(rng, 30) ? max_frame : 100);
	switch (rng_below(rng, 4)) {
	case 0:
	case 1:
		put_length(b, rng, 0xc4, n);
		put_random(b, rng, n);
		break;
	case 2:
		if (rng_one_in(rng, 2)) {
			const unsigned form = rng_below(rng, 5);
			bytes_byte(b, 0xd4 + form);
			n = 1u << form;
		} else {
			put_length(b, rng, 0xc7, n);
		}
		bytes_byte(b, rng_between(rng, 1, 255)); /* no ext is of type 0 */
		put_random(b, rng, n);
		break;
	default:
		put_array(b, rng, 6);
	}
}

/* All items of @b at once; returns how many, the last being WIRE_MORE or WIRE_BAD. */
static unsigned at_once(const struct bytes *b, struct found *out, unsigned max)
{
	struct wire_scan scan = { 0 };
	size_t at = 0;
	for (unsigned n = 0; n < max; n++) {
		out[n].at = at;
		out[n].kind = wire_next(&scan, b->data + at, b->len - at, &out[n].item);
		if (out[n].kind == WIRE_MORE || out[n].kind == WIRE_BAD)
			return n + 1;
		at += out[n].item.total;
	}
	return max;
}

/* The same, with the bytes arriving up to @ends in memory that ends there; all of @want again. */
static void in_pieces(const struct bytes *b, const struct found *want, unsigned n, struct rng *rng,
	uint32_t piece)
{
	struct wire_scan scan = { 0 };
	size_t at = 0, arrived = 0;
	for (unsigned i = 0; i < n;) {
		uint8_t *buf = exact_copy(b->data + at, arrived - at);
		struct wire_item item;
		const enum wire_kind kind = wire_next(&scan, buf, arrived - at, &item);
		if (kind == WIRE_MORE) {
			/* it asks for more than there is and for no byte of the next object */
			assert_true(scan.need > arrived - at);
			if (want[i].kind != WIRE_MORE && want[i].kind != WIRE_BAD)
				assert_true(scan.need <= want[i].item.total);
			free(buf);
			if (arrived == b->len) {
				assert_int_equal(want[i].kind, WIRE_MORE);
				return;
			}
			arrived += rng_between(rng, 1, piece);
			if (arrived > b->len)
				arrived = b->len;
			continue;
		}
		assert_int_equal(kind, want[i].kind);
		if (kind == WIRE_BAD) {
			assert_string_equal(item.reason, want[i].item.reason);
			free(buf);
			return;
		}
		assert_int_equal(item.total, want[i].item.total);
		assert_int_equal(item.len, want[i].item.len);
		assert_int_equal(item.hdr_len, want[i].item.hdr_len);
		assert_int_equal(item.ext, want[i].item.ext);
		assert_int_equal(item.data - buf, want[i].item.data - (b->data + at));
		free(buf);
		at += item.total;
		i++;
	}
}

static void test_cuts_make_no_difference_to_valid_streams(void **state)
{
	(void)state;
	struct rng rng = rng_start("valid streams");
	struct bytes b = { 0 };
	struct found want[12];
	for (unsigned round = 0; round < 1500; round++) {
		b.len = 0;
		const unsigned n = rng_between(&rng, 1, 10);
		for (unsigned i = 0; i < n; i++)
			put_object(&b, &rng, 3000);
		assert_int_equal(at_once(&b, want, 12), n + 1);
		assert_int_equal(want[n].kind, WIRE_MORE);
		assert_int_equal(want[n].at, b.len);
		in_pieces(&b, want, n + 1, &rng, 1 + rng_below(&rng, 200));
		if (b.len < 300)
			in_pieces(&b, want, n + 1, &rng, 1);
	}
	free(b.data);
}

static void test_every_cut_point_is_survived(void **state)
{
	(void)state;
	struct rng rng = rng_start("cut points");
	struct bytes b = { 0 };
	struct found want;
	for (unsigned round = 0; round < 300; round++) {
		b.len = 0;
		put_object(&b, &rng, 200);
		assert_int_equal(at_once(&b, &want, 1), 1);
		for (size_t cut = 0; cut < b.len; cut++) {
			struct wire_scan scan = { 0 };
			struct wire_item item;
			uint8_t *buf = exact_copy(b.data, cut);
			assert_int_equal(wire_next(&scan, buf, cut, &item), WIRE_MORE);
			assert_in_range(scan.need, cut + 1, b.len);
			free(buf);
			assert_int_equal(wire_next(&scan, b.data, b.len, &item), want.kind);
			assert_int_equal(item.total, b.len);
		}
	}
	free(b.data);
}

static void test_cuts_make_no_difference_to_nonsense(void **state)
{
	(void)state;
	struct rng rng = rng_start("nonsense");
	struct bytes b = { 0 };
	struct found want[200];
	for (unsigned round = 0; round < 6000; round++) {
		b.len = 0;
		put_object(&b, &rng, 100);
		for (unsigned i = rng_between(&rng, 1, 3); i; i--)
			b.data[rng_below(&rng, (uint32_t)b.len)] = (uint8_t)rng_next(&rng);
		put_random(&b, &rng, rng_below(&rng, 8));
		const unsigned n = at_once(&b, want, 200);
		in_pieces(&b, want, n, &rng, rng_one_in(&rng, 2) ? 1 : 40);
	}
	free(b.data);
}

/* What msgpack-c makes of an object. Only for bytes whose promises wire_next() has checked. */
static msgpack_unpack_return reference(const struct bytes *b, size_t *end)
{
	msgpack_zone zone;
	msgpack_object o;
	*end = 0;
	assert_true(msgpack_zone_init(&zone, 2048));
	const msgpack_unpack_return rc =
		msgpack_unpack((const char *)b->data, b->len, end, &zone, &o);
	msgpack_zone_destroy(&zone);
	return rc;
}

static void agree(const struct bytes *b)
{
	struct wire_scan scan = { 0 };
	struct wire_item item = { 0 };
	size_t end;
	switch (wire_next(&scan, b->data, b->len, &item)) {
	case WIRE_RPC: {
		const msgpack_unpack_return rc = reference(b, &end);
		assert_true(rc == MSGPACK_UNPACK_SUCCESS || rc == MSGPACK_UNPACK_EXTRA_BYTES);
		assert_int_equal(end, item.total);
		break;
	}
	case WIRE_MORE:
		if (b->len)
			assert_int_equal(reference(b, &end), MSGPACK_UNPACK_CONTINUE);
		break;
	case WIRE_BAD:
		if (!strcmp(item.reason, "byte c1 is no msgpack type"))
			assert_int_equal(reference(b, &end), MSGPACK_UNPACK_PARSE_ERROR);
		break;
	case WIRE_FRAME:
	case WIRE_EXT:
		break;
	}
}

static void test_msgpack_c_finds_the_same_ends(void **state)
{
	(void)state;
	struct rng rng = rng_start("against msgpack-c");
	struct bytes b = { 0 };
	for (unsigned round = 0; round < 4000; round++) {
		b.len = 0;
		put_array(&b, &rng, 8);
		const size_t len = b.len;
		if (len <= FETH_RPC_MAX) {
			struct wire_scan scan = { 0 };
			struct wire_item item;
			assert_int_equal(wire_next(&scan, b.data, len, &item), WIRE_RPC);
			assert_int_equal(item.total, len);
		}
		agree(&b);
		put_random(&b, &rng, 3);
		agree(&b);
		for (unsigned i = 0; i < 4; i++) { /* four mutations, each on top */
			b.len = rng_one_in(&rng, 3) ? rng_below(&rng, (uint32_t)len) : len;
			if (b.len) {
				b.data[rng_below(&rng, (uint32_t)b.len)] = (uint8_t)rng_next(&rng);
				if ((b.data[0] & 0xf0) != 0x90)
					b.data[0] = 0x93;
			}
			agree(&b);
		}
	}
	free(b.data);
}

/* The frames that the short way takes off a stream are the items that the long way finds, up to the
 * first that is no whole frame; whatever the bytes are. */
static void same_frames(const struct bytes *b, enum framing framing, unsigned max)
{
	struct frame got[16];
	struct wire_scan scan = { 0 };
	struct wire_item item = { 0 };
	size_t used = 0, at = 0;
	uint8_t *buf = exact_copy(b->data, b->len);
	const unsigned n = (framing == FRAMING_QEMU ? ingress_qemu : ingress_native)(
		buf, b->len, got, max, &used);
	for (unsigned i = 0; i < n; i++, at += item.total) {
		assert_int_equal(
			next_item(framing, &scan, buf + at, b->len - at, &item), WIRE_FRAME);
		assert_ptr_equal(got[i].head, item.data);
		assert_int_equal(got[i].len, item.len);
		assert_int_equal(got[i].wire_hdr, item.hdr_len);
	}
	assert_int_equal(used, at);
	if (n < max)
		assert_int_not_equal(
			next_item(framing, &scan, buf + at, b->len - at, &item), WIRE_FRAME);
	free(buf);
}

static void test_the_short_way_finds_the_same_frames(void **state)
{
	(void)state;
	struct rng rng = rng_start("ingress");
	struct bytes b = { 0 };
	for (unsigned round = 0; round < 4000; round++) {
		const enum framing framing = rng_one_in(&rng, 2) ? FRAMING_QEMU : FRAMING_NATIVE;
		const uint32_t n = rng_below(&rng, 12);
		b.len = 0;
		for (uint32_t id = 0; id < n; id++) {
			const uint32_t len = rng_below(&rng, rng_one_in(&rng, 9) ? 400 : 40);
			put_frame(&b, framing, id, len, rng_one_in(&rng, 5));
		}
		if (rng_one_in(&rng, 3))
			put_object(&b, &rng, 40);
		if (b.len && rng_one_in(&rng, 2))
			b.data[rng_below(&rng, (uint32_t)b.len)] = (uint8_t)rng_next(&rng);
		if (b.len && rng_one_in(&rng, 2))
			b.len = rng_below(&rng, (uint32_t)b.len);
		same_frames(&b, framing, rng_between(&rng, 1, 16));
	}
	free(b.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts_make_no_difference_to_valid_streams),
		cmocka_unit_test(test_every_cut_point_is_survived),
		cmocka_unit_test(test_cuts_make_no_difference_to_nonsense),
		cmocka_unit_test(test_msgpack_c_finds_the_same_ends),
		cmocka_unit_test(test_the_short_way_finds_the_same_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
