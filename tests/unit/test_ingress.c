/* test_ingress.c - server/core/ingress.c: the short way finds the frames that wire_next() and
 * qemu_next() find, and stops at all else. (At every cut: property/prop_wire.c.) */
#include "tests/support/test.h"

#include "server/core/egress.h"
#include "server/core/ingress.h"
#include "server/core/offload.h"
#include "tests/support/stream.h"

static struct frame frames[8];
static size_t used;

static unsigned native(const uint8_t *bytes, size_t len, unsigned max)
{
	uint8_t *buf = exact_copy(bytes, len);
	const unsigned n = ingress_native(buf, len, frames, max, &used);
	free(buf);
	return n;
}

static void test_frames_back_to_back_are_views_with_their_framing(void **state)
{
	(void)state;
	struct bytes b = { 0 };
	put_frame(&b, FRAMING_NATIVE, 0, 60, false);
	put_frame(&b, FRAMING_NATIVE, 1, 300, false);
	put_frame(&b, FRAMING_NATIVE, 2, 60, true);
	assert_int_equal(ingress_native(b.data, b.len, frames, 8, &used), 3);
	assert_int_equal(used, b.len);
	static const uint32_t lens[] = { 60, 300, 60 };
	static const uint8_t hdrs[] = { 2, 3, 5 };
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(frame_is(frames[i].head, frames[i].len, i, lens[i]));
		assert_int_equal(frames[i].head_len, lens[i]);
		assert_int_equal(frames[i].wire_hdr, hdrs[i]);
		assert_int_equal(frames[i].framing, FRAMING_NATIVE);
		assert_int_equal(frames[i].more_n, 0);
	}
	assert_int_equal(ingress_native(b.data, b.len, frames, 2, &used), 2);
	assert_int_equal(used, 62 + 303);
	free(b.data);
}

static void test_all_else_is_left_where_it_is(void **state)
{
	(void)state;
	assert_int_equal(native(NULL, 0, 8), 0);
	assert_int_equal(used, 0);
	assert_int_equal(native(BYTES(0xc4, 1, 'x', 0x90), 8), 1); /* a message follows */
	assert_int_equal(used, 3);
	assert_int_equal(native(BYTES(0xc4, 1, 'x', 0xd4, 1, 'y'), 8), 1); /* an ext */
	assert_int_equal(native(BYTES(0xc4, 0, 0xc4), 8), 1); /* a cut header; an empty frame */
	assert_int_equal(used, 2);
	assert_int_equal(native(BYTES(0xc5, 0), 8), 0);
	assert_int_equal(native(BYTES(0xc6, 0, 0, 0), 8), 0);
	assert_int_equal(native(BYTES(0xc4, 2, 'x'), 8), 0);                 /* a cut body */
	assert_int_equal(native(BYTES(0xc6, 0x00, 0x01, 0x00, 0x12), 8), 0); /* too long */
	assert_int_equal(native(BYTES('G', 'E', 'T'), 8), 0);
	assert_int_equal(used, 0);
}

static void test_qemu_frames_likewise(void **state)
{
	(void)state;
	static uint8_t longest[4 + QEMU_FRAME_MAX + 1];
	struct bytes b = { 0 };
	put_frame(&b, FRAMING_QEMU, 0, 60, false);
	put_frame(&b, FRAMING_QEMU, 1, 0, false);
	bytes_add(&b, BYTES(0, 0, 0, 2, 'x'));
	assert_int_equal(ingress_qemu(b.data, b.len, frames, 8, &used), 2);
	assert_int_equal(used, 64 + 4);
	assert_true(frame_is(frames[0].head, frames[0].len, 0, 60));
	assert_int_equal(frames[0].wire_hdr, 4);
	assert_int_equal(frames[0].framing, FRAMING_QEMU);
	assert_int_equal(frames[1].len, 0);
	free(b.data);

	qemu_frame_header(longest, QEMU_FRAME_MAX);
	assert_int_equal(ingress_qemu(longest, sizeof(longest), frames, 8, &used), 1);
	qemu_frame_header(longest, QEMU_FRAME_MAX + 1);
	assert_int_equal(ingress_qemu(longest, sizeof(longest), frames, 8, &used), 0);
}

/* What an egress writes of frames that owe something and others; the sizes need ext 8, 16 and 32.
 */
static const uint32_t owing_lens[] = { 60, 243, 244, 1500, 65523, 65524, 65553, 14 };
#define N_OWING (sizeof(owing_lens) / sizeof(*owing_lens))

static void put_owing(struct bytes *b, uint8_t *payload, bool plain_too)
{
	static struct egress eg;
	egress_reset(&eg);
	for (unsigned i = 0; i < N_OWING; i++) {
		struct frame f = {
			.head = payload, .head_len = owing_lens[i], .len = owing_lens[i]
		};
		f.offload = (struct offload){ .flags = VNET_NEEDS_CSUM,
			.gso_type = i & 1 ? VNET_GSO_TCPV4 : 0,
			.gso_size = (uint16_t)(40000 + i),
			.csum_start = 14,
			.csum_offset = 16,
			.hdr_len = 54 };
		assert_int_equal(egress_add(&eg, &f, 1, FRAMING_NATIVE), 1);
		f.offload = (struct offload){ 0 };
		if (plain_too)
			assert_int_equal(egress_add(&eg, &f, 1, FRAMING_NATIVE), 1);
	}
	for (unsigned i = 0; i < eg.n_segs; i++)
		bytes_add(b, eg.segs[i].base, eg.segs[i].len);
	assert_int_equal(b->len, eg.bytes);
}

static void test_frames_that_owe_something_go_and_come(void **state)
{
	(void)state;
	static uint8_t payload[65553];
	static struct frame got[2 * N_OWING];
	struct bytes b = { 0 };
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 31);
	put_owing(&b, payload, true);
	assert_int_equal(ingress_owing(b.data, b.len, got, 2 * N_OWING, &used), 2 * N_OWING);
	assert_int_equal(used, b.len);
	for (unsigned i = 0; i < 2 * N_OWING; i++) {
		const struct offload *o = &got[i].offload;
		assert_int_equal(got[i].len, owing_lens[i / 2]);
		assert_memory_equal(got[i].head, payload, got[i].len);
		assert_int_equal(o->flags, i & 1 ? 0 : VNET_NEEDS_CSUM);
		assert_int_equal(got[i].wire_hdr != 0, i & 1);
		if (i & 1)
			continue;
		assert_int_equal(o->gso_type, i / 2 & 1 ? VNET_GSO_TCPV4 : 0);
		assert_int_equal(o->gso_size, 40000 + i / 2);
		assert_int_equal(o->csum_start, 14);
		assert_int_equal(o->csum_offset, 16);
	}
	assert_int_equal(ingress_owing(b.data, b.len, got, 3, &used), 3);
	assert_int_equal(ingress_native(b.data, b.len, got, 8, &used), 0);
	free(b.data);
}

/* What they say counts, though nobody has judged it. */
static void test_many_segments_are_a_batch(void **state)
{
	(void)state;
	static const struct {
		uint16_t size;
		unsigned n;
	} cases[] = { { 1, 1 }, { 10, 9 }, { 20, 18 }, { 0, 20 }, { 600, 20 } };
	static uint8_t payload[600];
	struct frame got[20];
	for (unsigned k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		static struct egress eg;
		struct bytes b = { 0 };
		struct frame f = { .head = payload, .head_len = 600, .len = 600 };
		f.offload.flags = VNET_NEEDS_CSUM;
		f.offload.gso_type = VNET_GSO_TCPV4;
		f.offload.gso_size = cases[k].size;
		egress_reset(&eg);
		for (unsigned i = 0; i < 20; i++)
			assert_int_equal(egress_add(&eg, &f, 1, FRAMING_NATIVE), 1);
		for (unsigned i = 0; i < eg.n_segs; i++)
			bytes_add(&b, eg.segs[i].base, eg.segs[i].len);
		assert_int_equal(ingress_owing(b.data, b.len, got, 20, &used), cases[k].n);
		assert_int_equal(used, cases[k].n * (600 + 12 + 4));
		free(b.data);
	}
}

/* At any cut as many as wire_next() finds whole. */
static void test_cut_ones_are_left(void **state)
{
	(void)state;
	static uint8_t payload[65553];
	struct bytes b = { 0 };
	put_owing(&b, payload, false);
	size_t end = 0;
	for (unsigned i = 0; i < 4; i++) {
		struct wire_scan scan = { 0 };
		struct wire_item item;
		assert_int_equal(wire_next(&scan, b.data + end, b.len - end, &item), WIRE_EXT);
		for (size_t cut = end; cut < end + item.total; cut++) {
			uint8_t *buf = exact_copy(b.data, cut);
			assert_int_equal(ingress_owing(buf, cut, frames, 8, &used), i);
			assert_int_equal(used, end);
			free(buf);
		}
		end += item.total;
	}
	free(b.data);
	assert_int_equal(ingress_owing(BYTES(0xc7, 11, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), frames,
				 8, &used),
		0); /* too short for its header */
	assert_int_equal(ingress_owing(BYTES(0xc7, 1, 3, 0, 0xc4, 0), frames, 8, &used), 0);
	assert_int_equal(
		ingress_owing(BYTES(0xc9, 0xff, 0xff, 0xff, 0xff, 1), frames, 8, &used), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_back_to_back_are_views_with_their_framing),
		cmocka_unit_test(test_all_else_is_left_where_it_is),
		cmocka_unit_test(test_qemu_frames_likewise),
		cmocka_unit_test(test_frames_that_owe_something_go_and_come),
		cmocka_unit_test(test_many_segments_are_a_batch),
		cmocka_unit_test(test_cut_ones_are_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
