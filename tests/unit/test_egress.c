/* test_egress.c - server/core/egress.c: what one write carries, and what becomes of the rest. */
#include "tests/support/test.h"

#include "tests/support/stream.h"

struct fixture {
	struct egress eg;
	struct sendq q;
	struct block_pool pool;
	struct egress_sum sum;
	struct bytes in, sink;
	struct frame frames[EGRESS_FRAMES + 1];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	block_pool_init(&f->pool, BLOCK_POOL_LIMIT);
	sendq_init(&f->q, &f->pool, &f->pool, FRAMING_NATIVE);
	egress_reset(&f->eg);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	sendq_fini(&f->q, no_fd);
	const size_t left = f->pool.used;
	block_pool_fini(&f->pool);
	free(f->in.data);
	free(f->sink.data);
	free(f);
	return left ? -1 : 0;
}

/* Adds all frames of f->in; returns how many there were. */
static unsigned add_all(struct fixture *f, enum framing in, enum framing out)
{
	const unsigned n = views(&f->in, in, f->frames, EGRESS_FRAMES + 1);
	assert_int_equal(egress_add(&f->eg, f->frames, n, out), n);
	return n;
}

/* All of @sink is frames with the ids from @from on, each of 60 + id bytes, in @framing. */
static void holds_frames(const struct bytes *sink, enum framing framing, uint32_t from, uint32_t n)
{
	struct wire_scan scan = { 0 };
	struct wire_item item;
	size_t at = 0;
	for (uint32_t id = from; id < from + n; id++, at += item.total) {
		assert_int_equal(next_item(framing, &scan, sink->data + at, sink->len - at, &item),
			WIRE_FRAME);
		assert_true(frame_is(item.data, item.len, id, 60 + id));
	}
	assert_int_equal(at, sink->len);
}

static void put_frames(struct fixture *f, enum framing framing, unsigned n)
{
	for (uint32_t id = 0; id < n; id++)
		put_frame(&f->in, framing, id, 60 + id, false);
}

static void test_a_run_in_its_own_framing_is_one_entry(void **state)
{
	struct fixture *f = *state;
	put_frames(f, FRAMING_NATIVE, 300); /* bin 8 and bin 16 */
	put_frame(&f->in, FRAMING_NATIVE, 300, 360, true);
	assert_int_equal(add_all(f, FRAMING_NATIVE, FRAMING_NATIVE), 301);
	assert_int_equal(f->eg.n_segs, 1);
	assert_ptr_equal(f->eg.segs[0].base, f->in.data);
	assert_int_equal(f->eg.segs[0].len, f->in.len); /* headers included, as they came */
	assert_int_equal(f->eg.bytes, f->in.len);
}

static void test_a_gap_begins_another_entry(void **state)
{
	struct fixture *f = *state;
	put_frame(&f->in, FRAMING_NATIVE, 0, 60, false);
	put_frame(&f->in, FRAMING_NATIVE, 1, 61, false);
	bytes_add(&f->in, BYTES(0x91, 0xc0)); /* a call in between */
	put_frame(&f->in, FRAMING_NATIVE, 2, 62, false);
	add_all(f, FRAMING_NATIVE, FRAMING_NATIVE);
	assert_int_equal(f->eg.n_segs, 2);
	gather(&f->sink, f->eg.segs, f->eg.n_segs, SIZE_MAX);
	holds_frames(&f->sink, FRAMING_NATIVE, 0, 3);
}

static void test_other_framings_get_headers(void **state)
{
	static const enum framing pairs[][2] = { { FRAMING_QEMU, FRAMING_NATIVE },
		{ FRAMING_NATIVE, FRAMING_QEMU }, { FRAMING_QEMU, FRAMING_QEMU } };
	struct fixture *f = *state;
	for (unsigned i = 0; i < 3; i++) {
		f->in.len = f->sink.len = 0;
		egress_reset(&f->eg);
		put_frames(f, pairs[i][0], 210);
		add_all(f, pairs[i][0], pairs[i][1]);
		assert_int_equal(f->eg.n_segs, 1); /* short ones are copied together */
		assert_int_equal(gather(&f->sink, f->eg.segs, f->eg.n_segs, SIZE_MAX), f->eg.bytes);
		holds_frames(&f->sink, pairs[i][1], 0, 210);
	}
}

/* A frame of 60 bytes and id 0 in three pieces, without framing. */
static struct frame scattered(struct fixture *f, struct seg more[2])
{
	f->in.len = 0;
	put_frame(&f->in, FRAMING_NONE, 0, 60, false);
	more[0] = (struct seg){ f->in.data + 20, 1 };
	more[1] = (struct seg){ f->in.data + 21, 39 };
	return (struct frame){
		.head = f->in.data, .head_len = 20, .len = 60, .more = more, .more_n = 2
	};
}

static void test_scattered_frames_keep_their_pieces(void **state)
{
	struct fixture *f = *state;
	struct seg more[2];
	const struct frame frame = scattered(f, more);
	assert_int_equal(egress_add(&f->eg, &frame, 1, FRAMING_NATIVE), 1);
	assert_int_equal(f->eg.n_segs, 4);
	assert_int_equal(f->eg.payload, 60);
	gather(&f->sink, f->eg.segs, f->eg.n_segs, SIZE_MAX);
	holds_frames(&f->sink, FRAMING_NATIVE, 0, 1);
}

static void test_it_is_full_at_1024_frames_or_512_entries(void **state)
{
	struct fixture *f = *state;
	for (uint32_t id = 0; id < 1025; id++)
		put_frame(&f->in, FRAMING_NATIVE, id, 14, false);
	assert_int_equal(views(&f->in, FRAMING_NATIVE, f->frames, 1025), 1025);
	assert_int_equal(egress_add(&f->eg, f->frames, 1025, FRAMING_NATIVE), 1024);
	assert_int_equal(f->eg.n_segs, 1);
	assert_int_equal(egress_add(&f->eg, f->frames + 1024, 1, FRAMING_NATIVE), 0);

	egress_reset(&f->eg);
	assert_int_equal(egress_add(&f->eg, f->frames, 1025, FRAMING_QEMU), 256);
	assert_int_equal(f->eg.n_segs, 512);

	struct seg more[2];
	const struct frame frame = scattered(f, more);
	egress_reset(&f->eg);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(egress_add(&f->eg, &frame, 1, FRAMING_NATIVE), 1);
	assert_int_equal(egress_add(&f->eg, &frame, 1, FRAMING_NATIVE), 0);
}

static void test_the_last_entry_grows_though_no_other_fits(void **state)
{
	struct fixture *f = *state;
	struct bytes qemu = { 0 };
	put_frames(f, FRAMING_NATIVE, 255);
	for (uint32_t id = 255; id < 300; id++)
		put_frame(&qemu, FRAMING_QEMU, id, 60 + id, false);
	assert_int_equal(add_all(f, FRAMING_NATIVE, FRAMING_QEMU), 255); /* 510 entries */
	const unsigned n = views(&qemu, FRAMING_QEMU, f->frames, 50);
	assert_int_equal(egress_add(&f->eg, f->frames, n, FRAMING_QEMU), 45);
	assert_int_equal(f->eg.n_segs, 511);
	gather(&f->sink, f->eg.segs, f->eg.n_segs, SIZE_MAX);
	holds_frames(&f->sink, FRAMING_QEMU, 0, 300);
	free(qemu.data);
}

/* Three of a native run, two that come from QEMU, one in pieces: 60 to 65 bytes. */
static void add_mixture(struct fixture *f, struct bytes *qemu, struct seg more[2])
{
	f->in.len = qemu->len = 0;
	for (uint32_t id = 0; id < 6; id++)
		put_frame(id == 3 || id == 4 ? qemu : &f->in,
			id < 3   ? FRAMING_NATIVE
			: id < 5 ? FRAMING_QEMU
				 : FRAMING_NONE,
			id, 60 + id, false);
	assert_int_equal(views(&f->in, FRAMING_NATIVE, f->frames, 3), 3);
	assert_int_equal(views(qemu, FRAMING_QEMU, f->frames + 3, 2), 2);
	const uint8_t *last = f->in.data + f->in.len - 65;
	more[0] = (struct seg){ last + 14, 1 };
	more[1] = (struct seg){ last + 15, 50 };
	f->frames[5] = (struct frame){
		.head = last, .head_len = 14, .len = 65, .more = more, .more_n = 2
	};
	assert_int_equal(egress_add(&f->eg, f->frames, 6, FRAMING_NATIVE), 6);
}

static void test_a_short_write_at_any_byte_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct bytes qemu = { 0 };
	struct seg more[2];
	size_t total = SIZE_MAX;
	for (size_t cut = 0; cut <= total; cut++) {
		f->sink.len = 0;
		add_mixture(f, &qemu, more);
		total = f->eg.bytes;
		assert_int_equal(total, 60 + 61 + 62 + 63 + 64 + 65 + 6 * 2);
		gather(&f->sink, f->eg.segs, f->eg.n_segs, cut);
		egress_settle(&f->eg, cut, &f->q, &f->sum);
		assert_int_equal(f->sum.frames, 6);
		assert_int_equal(f->sum.bytes, 60 + 61 + 62 + 63 + 64 + 65);
		assert_int_equal(f->sum.full + f->sum.no_memory + f->sum.broken, 0);
		assert_int_equal(f->eg.n_frames + f->eg.n_segs + f->eg.bytes, 0);
		memset(f->in.data, 0, f->in.len); /* the views die */
		memset(qemu.data, 0, qemu.len);
		assert_int_equal(f->q.frames.bytes, total - cut);
		drain(&f->q, &f->sink);
		holds_frames(&f->sink, FRAMING_NATIVE, 0, 6);
	}
	free(qemu.data);
}

static void test_a_message_after_a_short_write_waits_for_the_frame_begun(void **state)
{
	struct fixture *f = *state;
	struct bytes qemu = { 0 };
	struct seg more[2];
	for (size_t cut = 0; cut <= 387; cut++) {
		f->sink.len = 0;
		add_mixture(f, &qemu, more);
		gather(&f->sink, f->eg.segs, f->eg.n_segs, cut);
		egress_settle(&f->eg, cut, &f->q, &f->sum);
		assert_int_equal(sendq_put_message(&f->q, BYTES(0x91, 0xc0), 0, NULL, 0), 0);
		drain(&f->q, &f->sink);

		/* exactly at the first boundary from `cut` on */
		struct wire_scan scan = { 0 };
		struct wire_item item;
		size_t at = 0;
		while (at < cut) {
			assert_int_equal(
				wire_next(&scan, f->sink.data + at, f->sink.len - at, &item),
				WIRE_FRAME);
			at += item.total;
		}
		assert_memory_equal(f->sink.data + at, "\x91\xc0", 2);
		memmove(f->sink.data + at, f->sink.data + at + 2, f->sink.len - at - 2);
		f->sink.len -= 2;
		holds_frames(&f->sink, FRAMING_NATIVE, 0, 6);
	}
	free(qemu.data);
}

static void test_a_queue_that_is_not_empty_gets_all_of_it(void **state)
{
	struct fixture *f = *state;
	put_frames(f, FRAMING_NATIVE, 4);
	const unsigned n = views(&f->in, FRAMING_NATIVE, f->frames, 4);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(egress_add(&f->eg, &f->frames[i], 1, FRAMING_NATIVE), 1);
		egress_settle(&f->eg, 0, &f->q, &f->sum);
		assert_int_equal(f->sum.frames, 1);
	}
	assert_ptr_equal(f->q.frames.first, f->q.frames.last); /* in one chunk */
	drain(&f->q, &f->sink);
	holds_frames(&f->sink, FRAMING_NATIVE, 0, 4);
}

static void test_what_finds_no_room_is_dropped_whole_and_counted(void **state)
{
	struct fixture *f = *state;
	for (uint32_t id = 0; id < 200; id++)
		put_frame(&f->in, FRAMING_NATIVE, id, 1514, false);
	assert_int_equal(add_all(f, FRAMING_NATIVE, FRAMING_NATIVE), 200);
	gather(&f->sink, f->eg.segs, f->eg.n_segs, 10);
	egress_settle(&f->eg, 10, &f->q, &f->sum);
	/* 1507 bytes of the one begun, then 1517 each of 262144 - 1507 */
	assert_int_equal(f->sum.frames, 1 + 171);
	assert_int_equal(f->sum.bytes, 172 * 1514);
	assert_int_equal(f->sum.full, 28);
	assert_int_equal(f->sum.no_memory, 0);
	drain(&f->q, &f->sink);

	struct frame got[201];
	assert_int_equal(views(&f->sink, FRAMING_NATIVE, got, 201), 172);
	for (uint32_t id = 0; id < 172; id++)
		assert_true(frame_is(got[id].head, got[id].len, id, 1514));
}

static void test_frames_longer_than_the_rest_of_a_block_get_their_own(void **state)
{
	struct fixture *f = *state;
	static const uint32_t lens[] = { 20000, 20000, 14, 65553, 12765, 20000, 65553, 14 };
	for (uint32_t id = 0; id < 8; id++)
		put_frame(&f->in, FRAMING_NATIVE, id, lens[id], false);
	add_all(f, FRAMING_NATIVE, FRAMING_NATIVE);
	egress_settle(&f->eg, 0, &f->q, &f->sum);
	assert_int_equal(f->sum.frames, 8);
	drain(&f->q, &f->sink);
	struct frame got[9];
	assert_int_equal(views(&f->sink, FRAMING_NATIVE, got, 9), 8);
	for (uint32_t id = 0; id < 8; id++)
		assert_true(frame_is(got[id].head, got[id].len, id, lens[id]));
}

static void test_without_memory_frames_are_dropped_and_a_begun_one_breaks_the_stream(void **state)
{
	struct fixture *f = *state;
	f->pool.limit = 0;
	for (size_t cut = 0; cut <= 3 * 62; cut++) {
		f->in.len = 0;
		for (uint32_t id = 0; id < 3; id++)
			put_frame(&f->in, FRAMING_NATIVE, id, 60, false);
		add_all(f, FRAMING_NATIVE, FRAMING_NATIVE);
		egress_settle(&f->eg, cut, &f->q, &f->sum);
		assert_int_equal(f->sum.frames, cut / 62);
		assert_int_equal(f->sum.bytes, 60 * (cut / 62));
		assert_int_equal(f->sum.no_memory, 3 - cut / 62);
		assert_int_equal(f->sum.full, 0);
		assert_int_equal(f->sum.broken, cut % 62 != 0);
		assert_true(sendq_empty(&f->q));
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_run_in_its_own_framing_is_one_entry),
		T(test_a_gap_begins_another_entry),
		T(test_other_framings_get_headers),
		T(test_scattered_frames_keep_their_pieces),
		T(test_it_is_full_at_1024_frames_or_512_entries),
		T(test_the_last_entry_grows_though_no_other_fits),
		T(test_a_short_write_at_any_byte_loses_nothing),
		T(test_a_message_after_a_short_write_waits_for_the_frame_begun),
		T(test_a_queue_that_is_not_empty_gets_all_of_it),
		T(test_what_finds_no_room_is_dropped_whole_and_counted),
		T(test_frames_longer_than_the_rest_of_a_block_get_their_own),
		T(test_without_memory_frames_are_dropped_and_a_begun_one_breaks_the_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
