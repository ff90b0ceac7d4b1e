/* test_sendq.c - server/core/sendq.c: what goes first, what is finished, what is refused. */
#include "tests/support/test.h"

#include <errno.h>

#include "tests/support/stream.h"

static struct block_pool frames_pool, rpc_pool;

static int setup(void **state)
{
	struct sendq *q = malloc(sizeof(*q));
	*state = q;
	block_pool_init(&frames_pool, BLOCK_POOL_LIMIT);
	block_pool_init(&rpc_pool, BLOCK_POOL_LIMIT);
	sendq_init(q, &frames_pool, &rpc_pool, FRAMING_NATIVE);
	return 0;
}

/* After a test nothing may be left, whatever it did. */
static int teardown(void **state)
{
	sendq_fini(*state, no_fd);
	const size_t left = frames_pool.used + rpc_pool.used;
	block_pool_fini(&frames_pool);
	block_pool_fini(&rpc_pool);
	free(*state);
	return left ? -1 : 0;
}

static const uint8_t frame_bytes[65553] = "abcdefghijklmnopqrstuvwxyz";

static struct frame frame_of(uint32_t len)
{
	return (struct frame){ .head = frame_bytes, .head_len = len, .len = len };
}

static enum sendq_put put_shared(struct sendq *q, uint32_t len)
{
	struct frame f = frame_of(len);
	const enum sendq_put put = sendq_put_shared(q, &f);
	block_forget_copies(&frames_pool);
	return put;
}

/* Frames of 14 bytes with the letters of @text as their first byte, in one chunk. */
static void put_chunk(struct sendq *q, const char *text)
{
	uint8_t *at = sendq_put_chunk(q, 16 * (uint32_t)strlen(text), false);
	assert_non_null(at);
	for (; *text; text++, at += 16) {
		memset(at, 0, 16);
		at[0] = 0xc4;
		at[1] = 14;
		at[2] = (uint8_t)*text;
	}
}

/* An RPC object: [letter]. */
static int put_message(struct sendq *q, char letter, uint64_t topic)
{
	const uint8_t msg[3] = { 0x91, 0xcc, (uint8_t)letter };
	return sendq_put_message(q, msg, sizeof(msg), topic, NULL, 0);
}

static int put_big_message(struct sendq *q, uint32_t len)
{
	static const uint8_t zeros[FETH_RPC_MAX];
	return sendq_put_message(q, zeros, len, 0, NULL, 0);
}

/* What a stream says: the letters of its frames and messages, messages in capitals as they are. */
static void says(const struct bytes *stream, const char *want)
{
	char text[64];
	size_t n = 0;
	struct wire_scan scan = { 0 };
	struct wire_item item;
	for (size_t at = 0; at < stream->len; at += item.total) {
		const enum wire_kind kind =
			wire_next(&scan, stream->data + at, stream->len - at, &item);
		assert_true(kind == WIRE_FRAME || kind == WIRE_RPC);
		text[n++] = (char)item.data[kind == WIRE_RPC ? 2 : 0];
	}
	text[n] = '\0';
	assert_string_equal(text, want);
}

static void drains_to(struct sendq *q, const char *want)
{
	struct bytes sink = { 0 };
	drain(q, &sink);
	says(&sink, want);
	free(sink.data);
}

static void test_an_empty_queue_has_nothing_to_write(void **state)
{
	struct seg iov[3];
	const int *fds;
	uint8_t n_fds;
	assert_true(sendq_empty(*state));
	assert_int_equal(sendq_fill(*state, iov, 3, &fds, &n_fds), 0);
	assert_int_equal(sendq_drop_frames(*state), 0);
	assert_int_equal(sendq_room(*state), SENDQ_FRAMES_MAX);
}

/* A frame in three pieces, 14 + 4 + 300 bytes. */
static struct frame in_pieces(struct seg more[2], char *third)
{
	memset(third, 'C', 300);
	more[0] = (struct seg){ "BBBB", 4 };
	more[1] = (struct seg){ third, 300 };
	return (struct frame){
		.head = frame_bytes, .head_len = 14, .len = 318, .more = more, .more_n = 2
	};
}

static void test_a_flooded_frame_is_copied_once_for_all_queues(void **state)
{
	struct sendq *native = *state, qemu;
	sendq_init(&qemu, &frames_pool, &rpc_pool, FRAMING_QEMU);
	struct seg more[2];
	char third[300];
	struct frame f = in_pieces(more, third);
	assert_int_equal(sendq_put_shared(native, &f), SENDQ_TAKEN);
	assert_int_equal(sendq_put_shared(&qemu, &f), SENDQ_TAKEN);
	assert_int_equal(frames_pool.used, 318);
	assert_int_equal(frames_pool.n_copies, 1);
	assert_int_equal(native->frames.first->block->refs, 3);
	block_forget_copies(&frames_pool);
	assert_int_equal(frames_pool.n_copies, 0);

	struct bytes sink = { 0 };
	drain(native, &sink);
	assert_int_equal(sink.len, 3 + 318);
	assert_memory_equal(sink.data,
		"\xc5\x01\x3e"
		"abcdefghijklmn"
		"BBBB",
		21);
	assert_memory_equal(sink.data + 21, third, 300);
	assert_int_equal(frames_pool.used, 318);
	sink.len = 0;
	drain(&qemu, &sink);
	assert_int_equal(sink.len, 4 + 318);
	assert_memory_equal(sink.data,
		"\0\0\x01\x3e"
		"abcdefghijklmn"
		"BBBB",
		22);
	assert_int_equal(frames_pool.used, 0);
	free(sink.data);
}

static void test_short_flooded_frames_are_copied_into_each_queue(void **state)
{
	struct sendq *q = *state;
	const struct seg more = { "BBBB", 4 };
	struct frame f = {
		.head = frame_bytes, .head_len = 14, .len = 18, .more = &more, .more_n = 1
	};
	assert_int_equal(sendq_put_shared(q, &f), SENDQ_TAKEN);
	assert_int_equal(sendq_put_shared(q, &f), SENDQ_TAKEN);
	assert_int_equal(frames_pool.n_copies, 0);
	assert_ptr_equal(q->frames.first, q->frames.last); /* one item holds both */
	assert_int_equal(q->frames.bytes, 2 * 20);
	struct bytes sink = { 0 };
	drain(q, &sink);
	assert_int_equal(sink.len, 40);
	assert_memory_equal(sink.data + 20,
		"\xc4\x12"
		"abcdefghijklmn"
		"BBBB",
		20);
	free(sink.data);
}

static void test_the_rest_of_a_frame_begun_is_kept_though_the_pool_is_full(void **state)
{
	struct sendq *q = *state;
	const size_t limit = frames_pool.limit;
	frames_pool.limit = 0;
	assert_null(sendq_put_chunk(q, 20, false));
	uint8_t *rest = sendq_put_chunk(q, 20, true);
	assert_non_null(rest);
	memset(rest, 'r', 20);
	assert_null(sendq_put_chunk(q, 20, false)); /* over the limit now: nothing else */
	assert_int_equal(q->frames.bytes, 20);
	frames_pool.limit = limit;
	assert_int_equal(sendq_drop_frames(q), 0); /* begun: it stays */
}

static void test_messages_go_before_frames_that_wait(void **state)
{
	put_chunk(*state, "ab");
	put_shared(*state, 14);
	put_message(*state, 'X', 0);
	put_message(*state, 'Y', 0);
	drains_to(*state, "XYaba");
}

static void test_a_frame_begun_is_finished_before_a_message(void **state)
{
	struct sendq *q = *state;
	for (size_t cut = 0; cut <= 64; cut++) { /* c d are shared, a b in a chunk */
		struct bytes sink = { 0 };
		const struct frame c = {
			.head = (const uint8_t *)"c.............", .head_len = 14, .len = 14
		};
		struct frame f = c;
		put_chunk(q, "ab");
		sendq_put_shared(q, &f);
		sendq_put_shared(q, &f);
		for (size_t left = cut; left;)
			left -= drain_once(q, &sink, left, 3);
		put_message(q, 'X', 0);
		drain(q, &sink);

		char want[8] = "abcc";
		const size_t at = (cut + 15) / 16;
		memmove(want + at + 1, want + at, 5 - at);
		want[at] = 'X';
		says(&sink, want);
		free(sink.data);
	}
}

static void test_a_message_begun_is_finished_though_frames_wait(void **state)
{
	struct bytes sink = { 0 };
	put_message(*state, 'X', 0);
	drain_once(*state, &sink, 1, 3);
	put_chunk(*state, "a");
	put_message(*state, 'Y', 0);
	drain(*state, &sink);
	says(&sink, "XYa");
	free(sink.data);
}

static void test_the_newest_of_a_topic_replaces_the_unsent_one(void **state)
{
	struct sendq *q = *state;
	put_message(q, 'A', 1);
	put_message(q, 'B', 2);
	put_message(q, 'C', 0);
	put_message(q, 'D', 1); /* instead of A, but behind what was said since */
	put_message(q, 'E', 0); /* topic 0 replaces nothing */
	assert_int_equal(q->rpc.bytes, 4 * 3);
	assert_true(sendq_waits(q, 1) && sendq_waits(q, 2) && !sendq_waits(q, 3));
	drains_to(q, "BCDE");
	assert_false(sendq_waits(q, 1));
	put_message(q, 'F', 1); /* what is sent is not unsent */
	drains_to(q, "F");
}

static void test_a_message_begun_is_not_replaced(void **state)
{
	struct sendq *q = *state;
	struct bytes sink = { 0 };
	put_message(q, 'A', 1);
	drain_once(q, &sink, 1, 3);
	put_message(q, 'B', 1);
	put_message(q, 'C', 1);
	drain(q, &sink);
	says(&sink, "AC");
	put_message(q, 'D', 1);
	drain_once(q, &sink, 3, 3);
	says(&sink, "ACD");
	free(sink.data);
}

static void test_a_replacement_may_have_another_size(void **state)
{
	struct sendq *q = *state;
	put_message(q, 'A', 1);
	assert_int_equal(sendq_put_message(q, BYTES(0x94, 0xcc, 'B', 0, 0, 0), 1, NULL, 0), 0);
	assert_int_equal(q->rpc.bytes, 6);
	assert_int_equal(rpc_pool.used, 6);
	drains_to(q, "B");
}

static void test_more_than_65536_waiting_bytes_of_messages_are_refused(void **state)
{
	struct sendq *q = *state;
	assert_int_equal(put_big_message(q, 65535), 0);
	assert_int_equal(put_big_message(q, 1), 0);
	assert_int_equal(put_big_message(q, 65536), 0); /* the last reply */
	assert_int_equal(put_big_message(q, 1), -ENOBUFS);
	struct bytes sink = { 0 };
	drain_once(q, &sink, 65536, 3);
	assert_int_equal(put_big_message(q, 1), 0);
	free(sink.data);
}

static void test_frames_have_256_kib(void **state)
{
	struct sendq *q = *state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(put_shared(q, 65533), SENDQ_TAKEN); /* and bin 16's 3 bytes */
	assert_int_equal(sendq_room(q), 65536);
	assert_int_equal(put_shared(q, 65531), SENDQ_FULL); /* with the longest header */
	assert_int_equal(put_shared(q, 65530), SENDQ_TAKEN);
	assert_int_equal(sendq_room(q), 3);
	assert_null(sendq_put_chunk(q, 4, false));
	assert_int_equal(put_shared(q, 14), SENDQ_FULL);
	struct bytes sink = { 0 };
	drain_once(q, &sink, 100, 3);
	assert_int_equal(sendq_room(q), 103);
	free(sink.data);
}

static void test_messages_find_room_where_frames_do_not(void **state)
{
	struct sendq *q = *state;
	frames_pool.limit = 0;
	assert_int_equal(put_shared(q, 14), SENDQ_NO_MEMORY);
	assert_null(sendq_put_chunk(q, 14, false));
	assert_int_equal(put_message(q, 'A', 0), 0);
	rpc_pool.limit = rpc_pool.used;
	assert_int_equal(put_message(q, 'B', 0), -ENOMEM);
	assert_int_equal(put_message(q, 'B', 1), -ENOMEM);
	drains_to(q, "A");
}

static unsigned n_dropped;
static int dropped[8];

static void drop_fd(int fd)
{
	dropped[n_dropped++] = fd;
}

static void test_descriptors_ride_alone_with_the_first_byte(void **state)
{
	struct sendq *q = *state;
	struct seg iov[8];
	const int *fds;
	uint8_t n_fds;
	n_dropped = 0;
	put_chunk(q, "a");
	put_message(q, 'A', 0);
	assert_int_equal(sendq_put_message(q, BYTES(0x91, 0xcc, 'B'), 0, (int[]){ 50, 51 }, 2), 0);
	put_message(q, 'C', 0);

	assert_int_equal(sendq_fill(q, iov, 8, &fds, &n_fds), 1); /* A alone */
	assert_null(fds);
	sendq_consume(q, 3, drop_fd);

	assert_int_equal(sendq_fill(q, iov, 8, &fds, &n_fds), 1); /* B with them, nothing else */
	assert_int_equal(n_fds, 2);
	assert_int_equal(fds[0], 50);
	assert_int_equal(fds[1], 51);
	assert_int_equal(iov[0].len, 3);
	sendq_consume(q, 0, drop_fd); /* the socket was full */
	assert_int_equal(n_dropped, 0);
	sendq_consume(q, 1, drop_fd);
	assert_int_equal(n_dropped, 2);
	assert_int_equal(dropped[0], 50);
	assert_int_equal(dropped[1], 51);

	assert_int_equal(sendq_fill(q, iov, 8, &fds, &n_fds), 2); /* the rest of B, and C */
	assert_null(fds);
	assert_int_equal(iov[0].len, 2);
	sendq_consume(q, 5, drop_fd);
	drains_to(q, "a");
	assert_int_equal(n_dropped, 2);
}

static void test_descriptors_wait_until_the_frame_begun_is_through(void **state)
{
	struct sendq *q = *state;
	struct seg iov[8];
	struct bytes sink = { 0 };
	const int *fds;
	uint8_t n_fds;
	n_dropped = 0;
	put_chunk(q, "ab");
	drain_once(q, &sink, 3, 3);
	assert_int_equal(sendq_put_message(q, BYTES(0x91, 0xcc, 'B'), 0, (int[]){ 50 }, 1), 0);
	assert_int_equal(sendq_fill(q, iov, 8, &fds, &n_fds), 1);
	assert_null(fds);
	assert_int_equal(iov[0].len, 13);
	sendq_consume(q, 13, drop_fd);
	assert_int_equal(sendq_fill(q, iov, 8, &fds, &n_fds), 1);
	assert_non_null(fds);
	sendq_consume(q, 3, drop_fd);
	assert_int_equal(n_dropped, 1);
	drains_to(q, "b");
	free(sink.data);
}

static void test_unsent_descriptors_are_closed_at_the_end(void **state)
{
	struct sendq *q = *state;
	n_dropped = 0;
	assert_int_equal(sendq_put_message(q, BYTES(0x90), 0, (int[]){ 60, 61 }, 2), 0);
	put_shared(q, 14);
	sendq_fini(q, drop_fd);
	assert_int_equal(n_dropped, 2);
	assert_true(sendq_empty(q));
	assert_int_equal(frames_pool.used + rpc_pool.used, 0);
}

static void test_dropping_frames_leaves_what_is_begun_and_the_messages(void **state)
{
	struct sendq *q = *state;
	for (size_t cut = 0; cut <= 64; cut++) {
		struct bytes sink = { 0 };
		put_chunk(q, "ab");
		put_shared(q, 14);
		put_shared(q, 14);
		for (size_t left = cut; left;)
			left -= drain_once(q, &sink, left, 3);
		put_message(q, 'X', 0);

		const size_t keep = (16 - cut % 16) % 16;
		assert_int_equal(sendq_drop_frames(q), 64 - cut - keep);
		assert_int_equal(sendq_room(q), SENDQ_FRAMES_MAX - keep);
		put_chunk(q, "z"); /* and it goes on */
		assert_int_equal(put_shared(q, 14), SENDQ_TAKEN);
		drain(q, &sink);

		char want[16] = "abaa";
		strcpy(want + (cut + 15) / 16, "Xza");
		says(&sink, want);
		free(sink.data);
	}
}

static void test_chunks_fill_blocks_and_larger_ones_have_their_own(void **state)
{
	struct sendq *q = *state;
	assert_int_equal(sendq_chunk_room(q), BLOCK_STANDARD);
	uint8_t *a = sendq_put_chunk(q, 100, false);
	assert_int_equal(sendq_chunk_room(q), BLOCK_STANDARD - 100);
	assert_ptr_equal(sendq_put_chunk(q, BLOCK_STANDARD - 110, false), a + 100);
	assert_int_equal(sendq_chunk_room(q), BLOCK_STANDARD); /* 10 bytes hold no frame */
	assert_ptr_equal(sendq_put_chunk(q, 10, false), a + BLOCK_STANDARD - 10);
	assert_non_null(sendq_put_chunk(q, 50000, false));
	assert_int_equal(frames_pool.used, BLOCK_STANDARD + 50000);
	sendq_fini(q, no_fd);
}

static void test_a_queue_holds_little_more_memory_than_it_has_bytes(void **state)
{
	struct sendq *q = *state; /* unicast and flooded frames in turn, the worst case */
	while (sendq_room(q) > 64) {
		put_chunk(q, "a");
		assert_int_equal(put_shared(q, 14), SENDQ_TAKEN);
	}
	assert_in_range(frames_pool.used, 1, 2 * SENDQ_FRAMES_MAX);
	sendq_fini(q, no_fd);
}

static void test_spans_are_read_back_from_bytes(void **state)
{
	(void)state;
	const uint8_t native[5] = { 0xc6, 0, 0, 0, 0 }, qemu[5] = { 0, 0, 0, 1, 'x' };
	assert_int_equal(framing_span(FRAMING_NATIVE, native, 5), 5);
	assert_int_equal(framing_span(FRAMING_QEMU, qemu, 5), 5);
	uint8_t hdr[WIRE_HDR_MAX];
	assert_int_equal(framing_header(FRAMING_NATIVE, hdr, 14), 2);
	assert_int_equal(framing_header(FRAMING_QEMU, hdr, 14), 4);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_an_empty_queue_has_nothing_to_write),
		T(test_a_flooded_frame_is_copied_once_for_all_queues),
		T(test_short_flooded_frames_are_copied_into_each_queue),
		T(test_the_rest_of_a_frame_begun_is_kept_though_the_pool_is_full),
		T(test_messages_go_before_frames_that_wait),
		T(test_a_frame_begun_is_finished_before_a_message),
		T(test_a_message_begun_is_finished_though_frames_wait),
		T(test_the_newest_of_a_topic_replaces_the_unsent_one),
		T(test_a_message_begun_is_not_replaced),
		T(test_a_replacement_may_have_another_size),
		T(test_more_than_65536_waiting_bytes_of_messages_are_refused),
		T(test_frames_have_256_kib),
		T(test_messages_find_room_where_frames_do_not),
		T(test_descriptors_ride_alone_with_the_first_byte),
		T(test_descriptors_wait_until_the_frame_begun_is_through),
		T(test_unsent_descriptors_are_closed_at_the_end),
		T(test_dropping_frames_leaves_what_is_begun_and_the_messages),
		T(test_chunks_fill_blocks_and_larger_ones_have_their_own),
		T(test_a_queue_holds_little_more_memory_than_it_has_bytes),
		T(test_spans_are_read_back_from_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
