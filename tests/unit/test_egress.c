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

/* Frames have 60 + id bytes: short ones are copied together, those over EGRESS_COPY are not. */
#define LONG 1000u

static void put(struct bytes *b, enum framing framing, uint32_t id)
{
	put_frame(b, framing, id, 60 + id, false);
}

static void put_run(struct bytes *b, enum framing framing, uint32_t from, uint32_t n)
{
	for (uint32_t id = from; id < from + n; id++)
		put(b, framing, id);
}

/* Adds all frames of f->in; returns how many there were. */
static unsigned add_all(struct fixture *f, enum framing in, enum framing out)
{
	const unsigned n = views(&f->in, in, f->frames, EGRESS_FRAMES + 1);
	assert_int_equal(egress_add(&f->eg, f->frames, n, out), n);
	return n;
}

/* The next object of @sink is the frame @id; returns its bytes. */
static size_t holds(const struct bytes *sink, size_t at, enum framing framing, uint32_t id)
{
	struct wire_scan scan = { 0 };
	struct wire_item item;
	assert_int_equal(
		next_item(framing, &scan, sink->data + at, sink->len - at, &item), WIRE_FRAME);
	assert_true(frame_is(item.data, item.len, id, 60 + id));
	return item.total;
}

/* All of @sink is frames with the ids from @from on. */
static void holds_run(const struct bytes *sink, enum framing framing, uint32_t from, uint32_t n)
{
	size_t at = 0;
	for (uint32_t id = from; id < from + n; id++)
		at += holds(sink, at, framing, id);
	assert_int_equal(at, sink->len);
}

/* What the egress would write is these frames; and its own sums are right. */
static void writes_run(struct fixture *f, enum framing framing, uint32_t from, uint32_t n)
{
	f->sink.len = 0;
	assert_int_equal(gather(&f->sink, f->eg.segs, f->eg.n_segs, SIZE_MAX), f->eg.bytes);
	assert_int_equal(f->eg.n_frames, n);
	assert_int_equal(f->eg.ends[n - 1], f->eg.bytes);
	holds_run(&f->sink, framing, from, n);
}

static void test_a_run_in_its_own_framing_is_one_entry(void **state)
{
	struct fixture *f = *state;
	put_run(&f->in, FRAMING_NATIVE, 0, 300); /* bin 8 and bin 16 */
	put_frame(&f->in, FRAMING_NATIVE, 300, 360, true);
	assert_int_equal(add_all(f, FRAMING_NATIVE, FRAMING_NATIVE), 301);
	assert_int_equal(f->eg.n_segs, 1);
	assert_ptr_equal(f->eg.segs[0].base, f->in.data);
	assert_int_equal(f->eg.segs[0].len, f->in.len); /* headers included, as they came */
	writes_run(f, FRAMING_NATIVE, 0, 301);
}

static void test_a_run_that_comes_in_parts_is_still_one_entry(void **state)
{
	struct fixture *f = *state;
	put_run(&f->in, FRAMING_QEMU, LONG, 5);
	views(&f->in, FRAMING_QEMU, f->frames, 5);
	assert_int_equal(egress_add(&f->eg, f->frames, 2, FRAMING_QEMU), 2);
	assert_int_equal(egress_add(&f->eg, f->frames + 2, 0, FRAMING_QEMU), 0);
	assert_int_equal(egress_add(&f->eg, f->frames + 2, 3, FRAMING_QEMU), 3);
	assert_int_equal(f->eg.n_segs, 1);
	writes_run(f, FRAMING_QEMU, LONG, 5);
}

static void test_a_gap_begins_another_entry(void **state)
{
	struct fixture *f = *state;
	put_run(&f->in, FRAMING_NATIVE, LONG, 2);
	bytes_add(&f->in, BYTES(0x91, 0xc0)); /* a call in between */
	put(&f->in, FRAMING_NATIVE, LONG + 2);
	add_all(f, FRAMING_NATIVE, FRAMING_NATIVE);
	assert_int_equal(f->eg.n_segs, 2);
	writes_run(f, FRAMING_NATIVE, LONG, 3);
}

static void test_short_frames_that_stand_alone_are_copied_together(void **state)
{
	struct fixture *f = *state;
	for (uint32_t id = 0; id < 10; id++) {
		put(&f->in, FRAMING_NATIVE, id);
		bytes_add(&f->in, BYTES(0x91, 0xc0));
	}
	add_all(f, FRAMING_NATIVE, FRAMING_NATIVE);
	assert_int_equal(f->eg.n_segs, 1);
	writes_run(f, FRAMING_NATIVE, 0, 10);
}

static void test_other_framings_get_headers(void **state)
{
	static const enum framing pairs[][2] = { { FRAMING_QEMU, FRAMING_NATIVE },
		{ FRAMING_NATIVE, FRAMING_QEMU }, { FRAMING_QEMU, FRAMING_QEMU } };
	struct fixture *f = *state;
	for (unsigned i = 0; i < 3; i++) {
		const bool other = pairs[i][0] != pairs[i][1];
		f->in.len = 0;
		put_run(&f->in, pairs[i][0], 0, 100);
		egress_reset(&f->eg);
		add_all(f, pairs[i][0], pairs[i][1]);
		assert_int_equal(f->eg.n_segs, 1); /* copied */
		writes_run(f, pairs[i][1], 0, 100);

		f->in.len = 0;
		put_run(&f->in, pairs[i][0], LONG, 100);
		egress_reset(&f->eg);
		add_all(f, pairs[i][0], pairs[i][1]);
		assert_int_equal(f->eg.n_segs, other ? 200 : 1);
		writes_run(f, pairs[i][1], LONG, 100);
	}
}

static void test_512_bytes_are_copied_and_513_are_not(void **state)
{
	struct fixture *f = *state;
	for (uint32_t more = 0; more < 2; more++) {
		const uint32_t id = EGRESS_COPY - 60 + more; /* another framing: of the frame */
		f->in.len = 0;
		put(&f->in, FRAMING_QEMU, id);
		egress_reset(&f->eg);
		add_all(f, FRAMING_QEMU, FRAMING_NATIVE);
		assert_int_equal(f->eg.flat_len, more ? 3 : 3 + EGRESS_COPY);
		writes_run(f, FRAMING_NATIVE, id, 1);

		f->in.len = 0; /* its own: of the whole stretch */
		put(&f->in, FRAMING_NATIVE, id - 3);
		egress_reset(&f->eg);
		add_all(f, FRAMING_NATIVE, FRAMING_NATIVE);
		assert_int_equal(f->eg.flat_len, more ? 0 : EGRESS_COPY);
		writes_run(f, FRAMING_NATIVE, id - 3, 1);
	}
}

/* The frame @id in three pieces that do not lie side by side, without framing, in @b. */
static struct frame scattered(struct bytes *b, uint32_t id, struct seg more[2])
{
	b->len = 0;
	put(b, FRAMING_NONE, id);
	bytes_byte(b, '-');
	bytes_byte(b, b->data[20]);
	more[0] = (struct seg){ b->data + b->len - 1, 1 };
	more[1] = (struct seg){ b->data + 21, 60 + id - 21 };
	return (struct frame){
		.head = b->data, .head_len = 20, .len = 60 + id, .more = more, .more_n = 2
	};
}

static void test_scattered_frames_come_together(void **state)
{
	struct fixture *f = *state;
	static const uint32_t ids[] = { 0, LONG };
	for (unsigned i = 0; i < 2; i++) {
		struct seg more[2];
		const struct frame frame = scattered(&f->in, ids[i], more);
		egress_reset(&f->eg);
		assert_int_equal(egress_add(&f->eg, &frame, 1, FRAMING_NATIVE), 1);
		assert_int_equal(f->eg.payload, 60 + ids[i]);
		writes_run(f, FRAMING_NATIVE, ids[i], 1);
	}
}

static void test_it_is_full_at_1024_frames_512_entries_or_32_kib_of_copies(void **state)
{
	struct fixture *f = *state;
	for (uint32_t id = 0; id < 1025; id++)
		put_frame(&f->in, FRAMING_NATIVE, id, 14, false);
	assert_int_equal(views(&f->in, FRAMING_NATIVE, f->frames, 1025), 1025);
	assert_int_equal(egress_add(&f->eg, f->frames, 1025, FRAMING_NATIVE), 1024);
	assert_int_equal(egress_add(&f->eg, f->frames + 1024, 1, FRAMING_NATIVE), 0);
	assert_int_equal(f->eg.n_segs, 1);

	f->in.len = 0;
	put_run(&f->in, FRAMING_NATIVE, LONG, 300);
	assert_int_equal(views(&f->in, FRAMING_NATIVE, f->frames, 1025), 300);
	egress_reset(&f->eg);
	assert_int_equal(egress_add(&f->eg, f->frames, 300, FRAMING_QEMU), 256);
	assert_int_equal(f->eg.n_segs, 512);
	writes_run(f, FRAMING_QEMU, LONG, 256);

	f->in.len = 0;
	for (uint32_t id = 0; id < 300; id++)
		put_frame(&f->in, FRAMING_NATIVE, id, 512, false);
	assert_int_equal(views(&f->in, FRAMING_NATIVE, f->frames, 1025), 300);
	egress_reset(&f->eg);
	assert_int_equal(egress_add(&f->eg, f->frames, 300, FRAMING_QEMU), 63);
	assert_in_range(f->eg.flat_len, EGRESS_FLAT - 2 * 518, EGRESS_FLAT);

	struct seg more[2]; /* a header and three pieces each */
	const struct frame frame = scattered(&f->in, LONG, more);
	egress_reset(&f->eg);
	for (unsigned n = 0; n < 128; n++)
		assert_int_equal(egress_add(&f->eg, &frame, 1, FRAMING_NATIVE), 1);
	assert_int_equal(egress_add(&f->eg, &frame, 1, FRAMING_NATIVE), 0);
	assert_int_equal(f->eg.n_segs, 512);
}

/* All ways to lie in an egress: a long run, one copied, one with a header, one in pieces, one in
 * pieces that is copied, one that stands alone. */
static const uint32_t mixture[] = { LONG, LONG + 1, LONG + 2, 3, LONG + 4, LONG + 5, 6, 7 };
#define MIXED (sizeof(mixture) / sizeof(*mixture))
#define MIXED_PAYLOAD (8u * 60 + 5 * LONG + 28)

static void add_mixture(struct fixture *f, struct bytes memory[4])
{
	static struct seg more[2][2];
	for (unsigned i = 0; i < 4; i++)
		memory[i].len = 0;
	put_run(&memory[0], FRAMING_NATIVE, LONG, 3);
	bytes_byte(&memory[0], 0x90);
	put(&memory[0], FRAMING_NATIVE, 7);
	put(&memory[1], FRAMING_QEMU, 3);
	put(&memory[1], FRAMING_QEMU, LONG + 4);

	struct frame native[4];
	assert_int_equal(views(&memory[0], FRAMING_NATIVE, native, 4), 4);
	memcpy(f->frames, native, 3 * sizeof(*native));
	assert_int_equal(views(&memory[1], FRAMING_QEMU, f->frames + 3, 2), 2);
	f->frames[5] = scattered(&memory[2], LONG + 5, more[0]);
	f->frames[6] = scattered(&memory[3], 6, more[1]);
	f->frames[7] = native[3];
	assert_int_equal(egress_add(&f->eg, f->frames, MIXED, FRAMING_NATIVE), MIXED);
}

static void holds_mixture(const struct bytes *sink)
{
	size_t at = 0;
	for (unsigned i = 0; i < MIXED; i++)
		at += holds(sink, at, FRAMING_NATIVE, mixture[i]);
	assert_int_equal(at, sink->len);
}

static void test_a_short_write_at_any_byte_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct bytes memory[4] = { { 0 } };
	size_t total = SIZE_MAX;
	for (size_t cut = 0; cut <= total; cut++) {
		f->sink.len = 0;
		add_mixture(f, memory);
		total = f->eg.bytes;
		assert_true(total > MIXED_PAYLOAD);
		gather(&f->sink, f->eg.segs, f->eg.n_segs, cut);
		egress_settle(&f->eg, cut, &f->q, &f->sum);
		assert_int_equal(f->sum.frames, MIXED);
		assert_int_equal(f->sum.bytes, MIXED_PAYLOAD);
		assert_int_equal(f->sum.full + f->sum.no_memory + f->sum.broken, 0);
		assert_int_equal(f->eg.n_frames + f->eg.n_segs + f->eg.bytes, 0);
		for (unsigned i = 0; i < 4; i++) /* the views die */
			memset(memory[i].data, 0, memory[i].len);
		assert_int_equal(f->q.frames.bytes, total - cut);
		drain(&f->q, &f->sink);
		holds_mixture(&f->sink);
	}
	for (unsigned i = 0; i < 4; i++)
		free(memory[i].data);
}

static void test_a_message_after_a_short_write_waits_for_the_frame_begun(void **state)
{
	struct fixture *f = *state;
	struct bytes memory[4] = { { 0 } };
	size_t total = SIZE_MAX;
	for (size_t cut = 0; cut <= total; cut++) {
		f->sink.len = 0;
		add_mixture(f, memory);
		total = f->eg.bytes;
		gather(&f->sink, f->eg.segs, f->eg.n_segs, cut);
		egress_settle(&f->eg, cut, &f->q, &f->sum);
		assert_int_equal(sendq_put_message(&f->q, BYTES(0x91, 0xc0), 0, NULL, 0), 0);
		drain(&f->q, &f->sink);

		size_t at = 0; /* exactly at the first boundary from `cut` on */
		for (unsigned i = 0; at < cut; i++)
			at += holds(&f->sink, at, FRAMING_NATIVE, mixture[i]);
		assert_memory_equal(f->sink.data + at, "\x91\xc0", 2);
		memmove(f->sink.data + at, f->sink.data + at + 2, f->sink.len - at - 2);
		f->sink.len -= 2;
		holds_mixture(&f->sink);
	}
	for (unsigned i = 0; i < 4; i++)
		free(memory[i].data);
}

static void test_a_queue_that_is_not_empty_gets_all_of_it(void **state)
{
	struct fixture *f = *state;
	put_run(&f->in, FRAMING_NATIVE, 0, 4);
	const unsigned n = views(&f->in, FRAMING_NATIVE, f->frames, 4);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(egress_add(&f->eg, &f->frames[i], 1, FRAMING_NATIVE), 1);
		egress_settle(&f->eg, 0, &f->q, &f->sum);
		assert_int_equal(f->sum.frames, 1);
	}
	assert_ptr_equal(f->q.frames.first, f->q.frames.last); /* in one chunk */
	drain(&f->q, &f->sink);
	holds_run(&f->sink, FRAMING_NATIVE, 0, 4);
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

/* Unicast, a short broadcast, broadcasts of two kinds, unicast: as one port has them. */
static void add_with_floods(struct fixture *f)
{
	f->frames[0].framing = FRAMING_NATIVE;
	assert_int_equal(egress_add(&f->eg, f->frames, 1, f->q.framing), 1);
	for (unsigned i = 1; i < 4; i++) { /* a run each, side by side */
		const unsigned from = f->eg.n_frames;
		assert_int_equal(egress_add(&f->eg, &f->frames[i], 1, f->q.framing), 1);
		egress_flooded(&f->eg, from);
	}
	assert_int_equal(egress_add(&f->eg, &f->frames[4], 1, f->q.framing), 1);
}

static void test_what_512_ports_must_keep_of_a_broadcast_is_kept_once(void **state)
{
	static struct sendq queues[512];
	struct fixture *f = *state;
	const uint32_t ids[] = { LONG, 0, LONG + 1, LONG + 2, 1 };
	const size_t shared = 2 * 60 + (LONG + 1) + (LONG + 2);
	for (unsigned i = 0; i < 5; i++)
		put(&f->in, FRAMING_NATIVE, ids[i]);
	assert_int_equal(views(&f->in, FRAMING_NATIVE, f->frames, EGRESS_FRAMES), 5);
	for (unsigned i = 0; i < 512; i++) {
		sendq_init(&queues[i], &f->pool, &f->pool, i % 2 ? FRAMING_NATIVE : FRAMING_QEMU);
		f->q.framing = queues[i].framing;
		add_with_floods(f);
		/* each has written another part, up to the end of the second broadcast */
		const uint32_t cut = i * 7 % f->eg.ends[2];
		f->sink.len = 0;
		gather(&f->sink, f->eg.segs, f->eg.n_segs, cut);
		const size_t before = f->pool.used;
		egress_settle(&f->eg, cut, &queues[i], &f->sum);
		assert_int_equal(f->sum.frames, 5);
		size_t blocks = 0; /* of its own: for unicast, and for what is short */
		for (const struct sendq_item *it = queues[i].frames.first; it; it = it->next)
			blocks += it->chunk ? it->block->capacity : 0;
		assert_int_equal(f->pool.used - before, blocks + (i ? 0 : shared));
		assert_int_equal(f->pool.n_copies, 2);
	}
	block_forget_copies(&f->pool);
	memset(f->in.data, 0, f->in.len); /* the views die */
	for (unsigned i = 0; i < 512; i++) {
		f->sink.len = 0;
		drain(&queues[i], &f->sink);
		/* its end is whole: what was begun was shown to be finished elsewhere */
		const uint32_t span = 60 + LONG + 2 + (queues[i].framing == FRAMING_QEMU ? 4 : 3);
		const uint32_t tail = 61 + (queues[i].framing == FRAMING_QEMU ? 4 : 2);
		assert_true(f->sink.len >= span + tail);
		size_t at = f->sink.len - span - tail;
		at += holds(&f->sink, at, queues[i].framing, LONG + 2);
		at += holds(&f->sink, at, queues[i].framing, 1);
		assert_int_equal(at, f->sink.len);
	}
	assert_int_equal(f->pool.used, 0);
}

static void test_more_floods_than_are_told_apart_are_kept_all_the_same(void **state)
{
	struct fixture *f = *state;
	const unsigned n = 2 * EGRESS_FLOODS + 20;
	put_run(&f->in, FRAMING_NATIVE, LONG, n);
	assert_int_equal(views(&f->in, FRAMING_NATIVE, f->frames, EGRESS_FRAMES), n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(egress_add(&f->eg, &f->frames[i], 1, FRAMING_NATIVE), 1);
		if (i % 2)
			egress_flooded(&f->eg, i);
	}
	egress_flooded(&f->eg, n); /* of none */
	assert_int_equal(f->eg.n_floods, EGRESS_FLOODS);
	egress_settle(&f->eg, 0, &f->q, &f->sum);
	assert_int_equal(f->sum.frames, n);
	assert_int_equal(f->eg.n_floods, 0);
	assert_int_equal(f->pool.n_copies, EGRESS_FLOODS);
	block_forget_copies(&f->pool);
	drain(&f->q, &f->sink);
	holds_run(&f->sink, FRAMING_NATIVE, LONG, n);
}

/* As test_a_short_write_at_any_byte_loses_nothing(), of broadcasts. */
static void test_broadcasts_cut_at_any_byte_lose_nothing(void **state)
{
	struct fixture *f = *state;
	struct bytes memory[4] = { { 0 } };
	size_t total = SIZE_MAX;
	for (size_t cut = 0; cut <= total; cut++) {
		f->sink.len = 0;
		add_mixture(f, memory);
		egress_flooded(&f->eg, (unsigned)(cut % 3)); /* not all of them */
		total = f->eg.bytes;
		gather(&f->sink, f->eg.segs, f->eg.n_segs, cut);
		egress_settle(&f->eg, cut, &f->q, &f->sum);
		assert_int_equal(f->sum.frames, MIXED);
		assert_int_equal(f->q.frames.bytes, total - cut);
		block_forget_copies(&f->pool);
		for (unsigned i = 0; i < 4; i++)
			memset(memory[i].data, 0, memory[i].len);
		drain(&f->q, &f->sink);
		holds_mixture(&f->sink);
	}
	for (unsigned i = 0; i < 4; i++)
		free(memory[i].data);
}

static void test_with_a_full_pool_frames_are_dropped_and_a_begun_one_is_finished(void **state)
{
	struct fixture *f = *state;
	f->pool.limit = 0;
	for (uint32_t cut = 0; cut <= 3 * 62; cut++) {
		const uint32_t taken = (cut + 61) / 62; /* wholly written, or begun */
		f->in.len = 0;
		for (uint32_t id = 0; id < 3; id++)
			put_frame(&f->in, FRAMING_NATIVE, id, 60, false);
		add_all(f, FRAMING_NATIVE, FRAMING_NATIVE);
		egress_settle(&f->eg, cut, &f->q, &f->sum);
		assert_int_equal(f->sum.frames, taken);
		assert_int_equal(f->sum.bytes, 60 * taken);
		assert_int_equal(f->sum.no_memory, 3 - taken);
		assert_int_equal(f->sum.full, 0);
		assert_false(f->sum.broken);
		assert_int_equal(f->q.frames.bytes, taken * 62 - cut);
		f->sink.len = 0;
		drain(&f->q, &f->sink);
		assert_int_equal(f->sink.len, taken * 62 - cut);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_run_in_its_own_framing_is_one_entry),
		T(test_a_run_that_comes_in_parts_is_still_one_entry),
		T(test_a_gap_begins_another_entry),
		T(test_short_frames_that_stand_alone_are_copied_together),
		T(test_other_framings_get_headers),
		T(test_512_bytes_are_copied_and_513_are_not),
		T(test_scattered_frames_come_together),
		T(test_it_is_full_at_1024_frames_512_entries_or_32_kib_of_copies),
		T(test_a_short_write_at_any_byte_loses_nothing),
		T(test_a_message_after_a_short_write_waits_for_the_frame_begun),
		T(test_a_queue_that_is_not_empty_gets_all_of_it),
		T(test_what_finds_no_room_is_dropped_whole_and_counted),
		T(test_frames_longer_than_the_rest_of_a_block_get_their_own),
		T(test_what_512_ports_must_keep_of_a_broadcast_is_kept_once),
		T(test_more_floods_than_are_told_apart_are_kept_all_the_same),
		T(test_broadcasts_cut_at_any_byte_lose_nothing),
		T(test_with_a_full_pool_frames_are_dropped_and_a_begun_one_is_finished),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
