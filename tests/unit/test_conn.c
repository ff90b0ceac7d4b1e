/* test_conn.c - libfeth: the core byte by byte, then the transport over a socket pair. */
#include "clients/lib/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/lib/transport.h"
#include "tests/support/test.h"

/* -- what a server says -- */

static const uint8_t FRAME[] = { 0xc4, 14, /* bin8, 14 bytes */
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
static const uint8_t REPLY_1[] = { 0x94, 1, 1, 0xc0, 0x81, 0xa1, 'a', 7 }; /* {"a": 7} */
static const uint8_t REPLY_2[] = { 0x94, 1, 2, 0xc0, 0xc3 };               /* true */
/* [1, 1, ["denied", "no"], nil] */
static const uint8_t ERROR_1[] = { 0x94, 1, 1, 0x92, 0xa6, 'd', 'e', 'n', 'i', 'e', 'd', 0xa2, 'n',
	'o', 0xc0 };
/* [1, 1, nil, {"fds": 1}] and [1, 2, nil, {"fds": 2}] */
static const uint8_t FDS_1[] = { 0x94, 1, 1, 0xc0, 0x81, 0xa3, 'f', 'd', 's', 1 };
static const uint8_t FDS_2[] = { 0x94, 1, 2, 0xc0, 0x81, 0xa3, 'f', 'd', 's', 2 };
/* [2, "network.changed", [{"mtu": 9000}]] */
static const uint8_t CHANGED[] = { 0x93, 2, 0xaf, 'n', 'e', 't', 'w', 'o', 'r', 'k', '.', 'c', 'h',
	'a', 'n', 'g', 'e', 'd', 0x91, 0x81, 0xa3, 'm', 't', 'u', 0xcd, 0x23, 0x28 };
/* [2, "x", []] */
static const uint8_t UNKNOWN_NOTICE[] = { 0x93, 2, 0xa1, 'x', 0x90 };
static const uint8_t UNKNOWN_EXT[] = { 0xc7, 2, 9, 0xab, 0xcd };
static const uint8_t REQUEST[] = { 0x94, 0, 1, 0xa1, 'x', 0x90 };
static const uint8_t MALFORMED_REQUEST[] = { 0x93, 0, 1, 0xa1, 'x' };
/* [2, "protocol.error", [{"code": "invalid", "message": "bad"}]] */
static const uint8_t PROTOCOL_ERROR[] = { 0x93, 2, 0xae, 'p', 'r', 'o', 't', 'o', 'c', 'o', 'l',
	'.', 'e', 'r', 'r', 'o', 'r', 0x91, 0x82, 0xa4, 'c', 'o', 'd', 'e', 0xa7, 'i', 'n', 'v',
	'a', 'l', 'i', 'd', 0xa7, 'm', 'e', 's', 's', 'a', 'g', 'e', 0xa3, 'b', 'a', 'd' };
/* [2, "network.removed", [{"network": "lab"}]] */
static const uint8_t REMOVED[] = { 0x93, 2, 0xaf, 'n', 'e', 't', 'w', 'o', 'r', 'k', '.', 'r', 'e',
	'm', 'o', 'v', 'e', 'd', 0x91, 0x81, 0xa7, 'n', 'e', 't', 'w', 'o', 'r', 'k', 0xa3, 'l',
	'a', 'b' };

/* A stream being put together. */
struct bytes {
	uint8_t data[8192];
	size_t len;
};

static void put(struct bytes *b, const uint8_t *data, size_t len)
{
	assert_true(len <= sizeof(b->data) - b->len);
	memcpy(b->data + b->len, data, len);
	b->len += len;
}
#define PUT(b, array) put((b), (array), sizeof(array))

/* -- the core -- */

static int closed[64];
static unsigned n_closed;

static void fake_close(int fd)
{
	closed[n_closed++] = fd;
}

static void no_reply(struct feth_conn *conn, const struct feth_reply *reply, void *user)
{
	(void)conn;
	(void)reply;
	(void)user;
}

static int setup(void **state)
{
	struct conn *c = malloc(sizeof(*c));
	*state = c;
	n_closed = 0;
	return c ? conn_init(c, fake_close) : -1;
}

static int teardown(void **state)
{
	conn_fini(*state);
	free(*state);
	return 0;
}

static void feed_fds(struct conn *c, const uint8_t *data, size_t len, const int *fds, size_t n_fds)
{
	uint8_t *space;
	assert_true(conn_space(c, &space) >= len);
	memcpy(space, data, len);
	conn_received(c, len, fds, n_fds);
}

static void feed(struct conn *c, const uint8_t *data, size_t len)
{
	feed_fds(c, data, len, NULL, 0);
}
#define FEED(c, array) feed((c), (array), sizeof(array))

static uint32_t call(struct conn *c)
{
	uint32_t msgid = 0;
	assert_int_equal(conn_call(c, "x", NULL, 0, no_reply, NULL, &msgid), 0);
	return msgid;
}

static uint32_t sync_call(struct conn *c)
{
	uint32_t msgid = 0;
	assert_int_equal(conn_call(c, "x", NULL, 0, NULL, NULL, &msgid), 0);
	return msgid;
}

/* A connection as good as new. Return: descriptors the old one had closed at its end */
static unsigned restart(void **state)
{
	teardown(state);
	const unsigned n = n_closed;
	if (setup(state) < 0)
		abort();
	return n;
}

static void note(char *log, char what)
{
	const size_t len = strlen(log);
	log[len] = what;
	log[len + 1] = '\0';
}

/* Appends to `log` what can be delivered: f for a frame, r a reply, e an error reply, n a notice.
 */
static void deliver(struct conn *c, char *log)
{
	for (;;) {
		struct feth_frame frames[3];
		struct conn_item item;
		const size_t n = conn_frames(c, frames, 3);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(frames[i].len, 14);
			assert_memory_equal(frames[i].data, FRAME + 2, 14);
			note(log, 'f');
		}
		switch (conn_next(c, &item)) {
		case CONN_FRAME:
			continue;
		case CONN_REPLY:
			note(log, item.reply.status ? 'e' : 'r');
			continue;
		case CONN_NOTICE:
			note(log, 'n');
			continue;
		case CONN_NONE:
			return;
		case CONN_FAILED:
			note(log, '!');
			return;
		}
	}
}

static void test_items_come_in_order_however_the_stream_is_cut(void **state)
{
	struct bytes b = { .len = 0 };
	PUT(&b, FRAME);
	PUT(&b, CHANGED);
	PUT(&b, REPLY_1);
	PUT(&b, UNKNOWN_EXT);
	PUT(&b, FRAME);
	PUT(&b, FRAME);
	PUT(&b, REQUEST);
	PUT(&b, REPLY_2);
	PUT(&b, FRAME);
	PUT(&b, UNKNOWN_NOTICE);

	for (size_t cut = 0; cut <= b.len; cut++) {
		struct conn *c = *state;
		char log[32] = "";
		call(c);
		call(c);
		feed(c, b.data, cut);
		deliver(c, log);
		feed(c, b.data + cut, b.len - cut);
		deliver(c, log);
		assert_string_equal(log, "fnrffrfn");
		assert_int_equal(c->counters.ignored, 2); /* the ext and the request */
		restart(state);
	}
}

static void test_items_come_byte_by_byte(void **state)
{
	struct conn *c = *state;
	struct bytes b = { .len = 0 };
	char log[32] = "";
	PUT(&b, FRAME);
	PUT(&b, ERROR_1);
	PUT(&b, CHANGED);
	PUT(&b, FRAME);

	call(c);
	for (size_t i = 0; i < b.len; i++) {
		feed(c, b.data + i, 1);
		deliver(c, log);
	}
	assert_string_equal(log, "fenf");
}

static void test_reply_has_its_result_as_bytes(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	call(c);
	FEED(c, REPLY_1);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.status, 0);
	assert_int_equal(item.reply.result_len, 4);
	assert_memory_equal(item.reply.result, REPLY_1 + 4, 4);
	assert_string_equal(item.reply.code, "");
	assert_string_equal(item.reply.message, "");
}

static void test_error_reply_has_code_and_sentence(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	call(c);
	FEED(c, ERROR_1);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.status, -EACCES);
	assert_string_equal(item.reply.code, "denied");
	assert_string_equal(item.reply.message, "no");
	assert_null(item.reply.result);
}

static void test_error_of_another_shape_is_still_an_error(void **state)
{
	static const uint8_t odd[] = { 0x94, 1, 1, 0xc3, 0xc0 }; /* [1, 1, true, nil] */
	static const uint8_t binary[] = { 0x94, 1, 2, 0x92, 0xa2, 0xff, 0, 0xa2, 'n', 0xff, 0xc0 };
	struct conn *c = *state;
	struct conn_item item;
	call(c);
	call(c);
	FEED(c, odd);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.status, -EIO);
	assert_string_equal(item.reply.code, "system");
	assert_string_equal(item.reply.message, "the server gave no reason");
	FEED(c, binary);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_string_equal(item.reply.code, "??");
	assert_string_equal(item.reply.message, "n?");
}

static void test_notice_brings_params_and_mtu(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	FEED(c, CHANGED);
	assert_int_equal(conn_next(c, &item), CONN_NOTICE);
	assert_string_equal(item.notice.method, "network.changed");
	assert_int_equal(item.notice.mtu, 9000);
	assert_int_equal(item.notice.params_len, 8);
	assert_memory_equal(item.notice.params, CHANGED + sizeof(CHANGED) - 8, 8);

	FEED(c, UNKNOWN_NOTICE);
	assert_int_equal(conn_next(c, &item), CONN_NOTICE);
	assert_null(item.notice.params);
}

static void test_pipelined_calls_may_be_answered_in_any_order(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	int a = 0, b = 0;
	uint32_t msgid;
	assert_int_equal(conn_call(c, "x", NULL, 0, no_reply, &a, &msgid), 0);
	assert_int_equal(conn_call(c, "x", NULL, 0, no_reply, &b, &msgid), 0);
	FEED(c, REPLY_2);
	FEED(c, REPLY_1);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_ptr_equal(item.user, &b);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_ptr_equal(item.user, &a);
}

static void test_what_precedes_an_awaited_reply_is_kept_in_order(void **state)
{
	struct bytes b = { .len = 0 };
	PUT(&b, FRAME);
	PUT(&b, CHANGED);
	PUT(&b, UNKNOWN_EXT);
	PUT(&b, FRAME);
	PUT(&b, REPLY_1); /* of the other call */
	PUT(&b, REPLY_1); /* once more: nobody's */
	PUT(&b, FRAME);
	const size_t before = b.len;
	PUT(&b, REPLY_2);
	PUT(&b, FRAME);

	for (size_t cut = 0; cut <= b.len; cut++) {
		struct conn *c = *state;
		struct conn_item item;
		char log[32] = "";
		call(c);
		const uint32_t msgid = sync_call(c);
		feed(c, b.data, cut);
		const bool whole = cut >= before + sizeof(REPLY_2);
		assert_int_equal(conn_await(c, msgid, &item), whole ? CONN_REPLY : CONN_NONE);
		feed(c, b.data + cut, b.len - cut);
		if (!whole)
			assert_int_equal(conn_await(c, msgid, &item), CONN_REPLY);
		assert_int_equal(*item.reply.result, 0xc3);
		deliver(c, log);
		assert_string_equal(log, "fnfrff");
		assert_int_equal(c->counters.ignored, 2);
		restart(state);
	}
}

/* Of 14 bytes from port 7, for all, 60 long; at 0x0102030405060708. */
static const uint8_t RECORD[] = { 0xc7, 16 + 14, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0, 7, 2, 0, 0, 0, 0, 60,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
static const uint8_t SHORT_RECORD[] = { 0xc7, 15, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0, 7, 2, 0, 0, 0, 0 };

static void test_a_monitor_gets_records_in_order_and_no_frames(void **state)
{
	struct bytes b = { .len = 0 };
	PUT(&b, RECORD);
	PUT(&b, SHORT_RECORD);
	PUT(&b, FRAME);
	PUT(&b, RECORD);
	PUT(&b, REPLY_1);
	PUT(&b, RECORD);
	for (size_t cut = 0; cut <= b.len; cut++) {
		struct conn *c = *state;
		struct conn_item item;
		struct feth_record records[4];
		c->records = true;
		const uint32_t msgid = sync_call(c);
		feed(c, b.data, cut);
		const bool whole = cut >= b.len - sizeof(RECORD);
		assert_int_equal(conn_await(c, msgid, &item), whole ? CONN_REPLY : CONN_NONE);
		feed(c, b.data + cut, b.len - cut);
		if (!whole)
			assert_int_equal(conn_await(c, msgid, &item), CONN_REPLY);
		assert_int_equal(conn_records(c, records, 4), 3);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(records[i].time_ns, 0x0102030405060708);
			assert_int_equal(records[i].port, 7);
			assert_int_equal(records[i].verdict, FETH_TO_ALL);
			assert_int_equal(records[i].reason, 0);
			assert_int_equal(records[i].frame_len, 60);
			assert_int_equal(records[i].len, 14);
			assert_memory_equal(records[i].data, FRAME + 2, 14);
		}
		assert_int_equal(conn_next(c, &item), CONN_NONE);
		assert_int_equal(c->counters.ignored, 2); /* the frame and what is too short */
		restart(state);
	}
}

static void test_frames_over_the_limit_are_dropped_and_counted_while_waiting(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	static uint8_t big[5 + 60000] = { 0xc6, 0, 0, 0xea, 0x60 };
	const uint32_t msgid = sync_call(c);
	for (unsigned i = 0; i < 20; i++) {
		FEED(c, big);
		assert_int_equal(conn_await(c, msgid, &item), CONN_NONE);
	}
	FEED(c, CHANGED);
	FEED(c, REPLY_1);
	assert_int_equal(conn_await(c, msgid, &item), CONN_REPLY);
	assert_int_equal(c->counters.frames_dropped, 20 - FETH_KEEP_MAX / sizeof(big));

	struct feth_frame frames[32];
	assert_int_equal(conn_frames(c, frames, 32), FETH_KEEP_MAX / sizeof(big));
	assert_int_equal(conn_next(c, &item), CONN_NOTICE); /* never dropped */
}

static void test_too_many_messages_while_waiting_end_the_connection(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	enum conn_kind kind = CONN_NONE;
	const uint32_t msgid = sync_call(c);
	unsigned n = 0;
	while (kind == CONN_NONE && n < 1000000) {
		FEED(c, CHANGED);
		kind = conn_await(c, msgid, &item);
		n++;
	}
	assert_int_equal(kind, CONN_FAILED);
	assert_int_equal(c->status, -ENOBUFS);
	assert_int_equal(n, (FETH_KEEP_MAX + CONN_KEPT_RPC_MAX) / sizeof(CHANGED) + 1);
}

static void test_protocol_error_tells_why_the_stream_ends(void **state)
{
	struct conn *c = *state;
	char log[8] = "";
	FEED(c, PROTOCOL_ERROR);
	deliver(c, log);
	assert_string_equal(log, "n");
	assert_int_equal(conn_eof(c), -EPROTO);
	assert_string_equal(c->why, "the server ended the connection: bad");
	deliver(c, log);
	assert_string_equal(log, "n!");
}

static void test_removed_network_tells_why_the_stream_ends(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	const uint32_t msgid = sync_call(c);
	FEED(c, FRAME);
	FEED(c, REMOVED);
	assert_int_equal(conn_await(c, msgid, &item), CONN_NONE);
	assert_int_equal(conn_eof(c), -ENODEV);
	assert_string_equal(c->why, "network lab was removed");
	assert_int_equal(conn_await(c, msgid, &item), CONN_FAILED);

	char log[8] = ""; /* what came before the end is not lost */
	deliver(c, log);
	assert_string_equal(log, "fn!");
}

static void test_nonsense_ends_the_connection_with_a_sentence(void **state)
{
	static const struct {
		uint8_t data[8];
		size_t len;
		const char *why;
	} bad[] = {
		{ { 0xc0 }, 1, "neither frame nor RPC" },
		{ { 0xdd, 0, 2, 0, 0 }, 5, "promises more" },
		{ { 0x92, 0xdb, 0, 1, 0, 0 }, 6, "over 65536" }, /* an oversized reply */
		{ { 0xc6, 0, 2, 0, 0 }, 5, "frame over" },
		{ { 0x94, 1, 0xc1, 0, 0 }, 5, "c1" },
		{ { 0x90 }, 1, "no RPC message" },
		{ { 0x91, 5 }, 2, "no RPC message" },
		{ { 0x93, 1, 1, 0xc0 }, 4, "no RPC message" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct conn *c = *state;
		struct conn_item item;
		FEED(c, FRAME);
		feed(c, bad[i].data, bad[i].len);
		char log[8] = "";
		deliver(c, log);
		assert_string_equal(log, "f!");
		assert_int_equal(c->status, -EPROTO);
		assert_non_null(strstr(c->why, bad[i].why));
		assert_int_equal(conn_await(c, 1, &item), CONN_FAILED);
		restart(state);
	}
}

static void test_wakes_are_passed_over_and_sent(void **state)
{
	struct conn *c = *state;
	static const uint8_t wake[] = { 0xd4, 0x03, 0x00 };
	struct conn_item item;
	struct conn_plan plan;
	FEED(c, wake);
	FEED(c, CHANGED);
	FEED(c, wake);
	assert_int_equal(conn_next(c, &item), CONN_NOTICE);
	assert_int_equal(conn_next(c, &item), CONN_NONE);
	assert_int_equal(c->counters.ignored, 0);

	assert_int_equal(conn_wake(c), 0);
	conn_plan(c, &plan, NULL, 0);
	assert_int_equal(plan.n_iov, 1);
	assert_int_equal(plan.iov[0].iov_len, 3);
	assert_memory_equal(plan.iov[0].iov_base, wake, 3);
	assert_int_equal(conn_sent(c, &plan, 3), 0);
}

static void test_malformed_request_is_ignored(void **state)
{
	struct conn *c = *state;
	char log[8] = "";
	FEED(c, MALFORMED_REQUEST);
	deliver(c, log);
	assert_string_equal(log, "");
	assert_int_equal(c->counters.ignored, 1);
}

/* -- descriptors -- */

static void test_descriptors_go_to_the_reply_they_came_with(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	const int one[] = { 50 }, two[] = { 51, 52 };
	struct bytes b = { .len = 0 };
	call(c);
	call(c);
	PUT(&b, FRAME); /* may be read together with the reply behind it */
	PUT(&b, FDS_1);
	feed_fds(c, b.data, b.len, one, 1);
	feed_fds(c, FDS_2, sizeof(FDS_2), two, 2);

	struct feth_frame frame;
	assert_int_equal(conn_frames(c, &frame, 1), 1);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.n_fds, 1);
	assert_int_equal(item.reply.fds[0], 50);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.n_fds, 2);
	assert_int_equal(item.reply.fds[0], 51);
	assert_int_equal(item.reply.fds[1], 52);
	assert_int_equal(n_closed, 0);
}

static void test_descriptors_find_a_reply_that_is_cut_anywhere(void **state)
{
	const int one[] = { 50 };
	for (size_t cut = 1; cut <= sizeof(FDS_1); cut++) {
		struct conn *c = *state;
		struct conn_item item;
		call(c);
		feed_fds(c, FDS_1, cut, one, 1); /* they come with the first byte */
		const bool whole = cut == sizeof(FDS_1);
		if (!whole)
			assert_int_equal(conn_next(c, &item), CONN_NONE);
		feed(c, FDS_1 + cut, sizeof(FDS_1) - cut);
		assert_int_equal(conn_next(c, &item), CONN_REPLY);
		assert_int_equal(item.reply.n_fds, 1);
		assert_int_equal(restart(state), 0);
	}
}

static void test_descriptors_wait_with_a_kept_reply(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	const int one[] = { 50 };
	call(c);
	const uint32_t msgid = sync_call(c);
	feed_fds(c, FDS_1, sizeof(FDS_1), one, 1);
	FEED(c, REPLY_2);
	assert_int_equal(conn_await(c, msgid, &item), CONN_REPLY);
	FEED(c, FRAME);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.n_fds, 1);
	assert_int_equal(item.reply.fds[0], 50);
	assert_int_equal(n_closed, 0);
}

static void test_second_answer_to_a_kept_call_gets_nothing(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	const int one[] = { 50 }, other[] = { 51 };
	/* [1, 1, nil, {"fds": 2}] */
	static const uint8_t two[] = { 0x94, 1, 1, 0xc0, 0x81, 0xa3, 'f', 'd', 's', 2 };
	call(c);
	const uint32_t msgid = sync_call(c);
	feed_fds(c, FDS_1, sizeof(FDS_1), one, 1);
	feed_fds(c, two, sizeof(two), other, 1);
	FEED(c, REPLY_2);
	assert_int_equal(conn_await(c, msgid, &item), CONN_REPLY);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.n_fds, 1);
	assert_int_equal(item.reply.fds[0], 50);
	assert_int_equal(conn_next(c, &item), CONN_NONE);
	FEED(c, FRAME);
	assert_int_equal(n_closed, 1);
	assert_int_equal(closed[0], 51);
}

static void test_descriptors_of_an_unread_reply_are_closed_at_the_end(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	const int one[] = { 50 };
	call(c);
	const uint32_t msgid = sync_call(c);
	feed_fds(c, FDS_1, sizeof(FDS_1), one, 1);
	FEED(c, REPLY_2);
	assert_int_equal(conn_await(c, msgid, &item), CONN_REPLY);
	conn_fini(c);
	assert_int_equal(n_closed, 1);
	assert_int_equal(conn_init(c, fake_close), 0);
}

static void test_unannounced_descriptors_are_closed(void **state)
{
	struct conn *c = *state;
	char log[16] = "";
	const int one[] = { 50 };
	call(c);
	feed_fds(c, REPLY_1, sizeof(REPLY_1), one, 1); /* announces none */
	deliver(c, log);
	feed_fds(c, FRAME, sizeof(FRAME), one, 1); /* a frame brings none */
	deliver(c, log);
	FEED(c, FRAME);
	deliver(c, log);
	assert_string_equal(log, "rff");
	assert_int_equal(n_closed, 2);
	assert_int_equal(c->counters.fds_closed, 2);
}

static void test_descriptors_are_not_taken_by_a_later_reply(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	const int one[] = { 50 };
	call(c);
	feed_fds(c, FRAME, sizeof(FRAME), one, 1);
	FEED(c, FDS_1); /* says it brings one, and does not */
	struct feth_frame frame;
	assert_int_equal(conn_frames(c, &frame, 1), 1);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.status, -EIO);
	assert_int_equal(item.reply.n_fds, 0);
	assert_null(item.reply.result);
}

/* Who gets an error looks no further, so descriptors would leak there. */
static void test_an_error_brings_no_descriptors(void **state)
{
	/* [1, 1, true, {"fds": 1}] */
	static const uint8_t both[] = { 0x94, 1, 1, 0xc3, 0x81, 0xa3, 'f', 'd', 's', 1 };
	struct conn *c = *state;
	struct conn_item item;
	const int one[] = { 50 };
	call(c);
	feed_fds(c, both, sizeof(both), one, 1);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_true(item.reply.status < 0);
	assert_int_equal(item.reply.n_fds, 0);
	FEED(c, FRAME);
	assert_int_equal(c->counters.fds_closed, 1);
	assert_int_equal(closed[0], 50);
}

static void test_wrong_number_of_descriptors_fails_the_call(void **state)
{
	struct conn *c = *state;
	struct conn_item item;
	const int fds[] = { 50, 51, 52, 53, 54, 55 };
	/* [1, 1, nil, {"fds": 6}]: more than FETH_FDS_MAX */
	static const uint8_t six[] = { 0x94, 1, 1, 0xc0, 0x81, 0xa3, 'f', 'd', 's', 6 };
	call(c);
	call(c);
	feed_fds(c, six, sizeof(six), fds, 6);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.status, -EIO);
	feed_fds(c, FDS_2, sizeof(FDS_2), fds, 1);
	assert_int_equal(conn_next(c, &item), CONN_REPLY);
	assert_int_equal(item.reply.status, -EIO);
	FEED(c, FRAME);
	assert_int_equal(n_closed, 7);
}

static void test_hoarded_descriptors_are_bounded(void **state)
{
	struct conn *c = *state;
	const int one[] = { 50 };
	uint8_t text = 'x';
	static const uint8_t begin[] = { 0x94, 1, 1, 0xc0, 0xda, 0x7f, 0xff }; /* a long str */
	call(c);
	FEED(c, begin);
	for (unsigned i = 0; i < 100 && n_closed < 60; i++) {
		char log[8] = "";
		feed_fds(c, &text, 1, one, 1);
		deliver(c, log);
		assert_true(c->n_arrived <= CONN_ARRIVED_MAX);
	}
	assert_int_equal(n_closed, 60);
	n_closed = 0;
}

/* -- calls out -- */

static void test_call_is_written_as_documented(void **state)
{
	struct conn *c = *state;
	static const uint8_t params[] = { 0x81, 0xa1, 'a', 1 };
	/* [0, 1, "x", [{"a": 1}]], arrays with 16-bit counts */
	static const uint8_t expect[] = { 0xdc, 0, 4, 0, 1, 0xa1, 'x', 0xdc, 0, 1, 0x81, 0xa1, 'a',
		1 };
	uint32_t msgid;
	assert_int_equal(conn_call(c, "x", params, sizeof(params), no_reply, NULL, &msgid), 0);
	assert_int_equal(c->tx.end - c->tx.start, sizeof(expect));
	assert_memory_equal(c->tx.data + c->tx.start, expect, sizeof(expect));
}

static void test_params_must_be_one_map(void **state)
{
	struct conn *c = *state;
	static const struct {
		uint8_t data[4];
		size_t len;
	} bad[] = {
		{ { 0xc0 }, 1 },             /* nil */
		{ { 0x91, 1 }, 2 },          /* an array */
		{ { 0x81, 0xa1, 'a' }, 3 },  /* cut */
		{ { 0x80, 0x80 }, 2 },       /* two */
		{ { 0xde, 0xff, 0xff }, 3 }, /* promises too much */
		{ { 0x81, 1, 0xc1 }, 3 },
		{ { 0x80 }, 0 },
	};
	uint32_t msgid;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(conn_call(c, "x", bad[i].data, bad[i].len, no_reply, NULL, &msgid),
			-EINVAL);
	static uint8_t big[FETH_RPC_MAX + 1] = { 0x80 };
	assert_int_equal(conn_call(c, "x", big, sizeof(big), no_reply, NULL, &msgid), -EMSGSIZE);
	assert_int_equal(
		conn_call(c, "x", big, sizeof(big) - 1, no_reply, NULL, &msgid), -EMSGSIZE);
	assert_int_equal(c->tx.end, 0);
	assert_int_equal(call(c), 1); /* no entry of the table was lost */
}

static void test_more_calls_than_the_server_takes_are_busy(void **state)
{
	struct conn *c = *state;
	uint32_t msgid;
	char log[80] = "";
	for (unsigned i = 0; i < FETH_CALLS_MAX; i++)
		assert_int_equal(call(c), i + 1);
	assert_int_equal(conn_call(c, "x", NULL, 0, no_reply, NULL, &msgid), -EBUSY);
	FEED(c, REPLY_1);
	deliver(c, log);
	assert_int_equal(call(c), FETH_CALLS_MAX + 1);
	assert_int_equal(conn_call(c, "x", NULL, 0, no_reply, NULL, &msgid), -EBUSY);
	conn_forget(c, 2);
	call(c);
	FEED(c, REPLY_2); /* late: ignored */
	deliver(c, log);
	assert_string_equal(log, "r");
}

static void test_message_numbers_wrap_around_those_in_use(void **state)
{
	struct conn *c = *state;
	assert_int_equal(call(c), 1);
	c->last_msgid = UINT32_MAX - 1;
	assert_int_equal(call(c), UINT32_MAX);
	assert_int_equal(call(c), 0);
	assert_int_equal(call(c), 2);
}

static void test_requests_that_nobody_reads_are_bounded(void **state)
{
	struct conn *c = *state;
	static uint8_t params[60000] = { 0x81, 0xa1, 'a', 0xc6, 0, 0, (60000 - 8) >> 8,
		(60000 - 8) & 0xff };
	uint32_t msgid;
	int rc = 0;
	for (unsigned i = 0; !rc && i < 100; i++) {
		rc = conn_call(c, "x", params, sizeof(params), NULL, NULL, &msgid);
		conn_forget(c, msgid);
	}
	assert_int_equal(rc, -ENOBUFS);
	assert_true(c->tx.end - c->tx.start <= CONN_TX_MAX);
}

/* -- frames out -- */

/* Frames of such sizes that all header lengths and both ways of laying them out occur. */
#define N_SIZES 8u
static const uint32_t SIZES[N_SIZES] = { 14, 60, 255, 256, 257, 300, 14, 1000 };
static uint8_t payload[N_SIZES][FETH_FRAME_MAX];

static void make_frames(struct feth_frame *frames, const uint32_t *sizes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizes[i]; k++)
			payload[i][k] = (uint8_t)(k * 7 + i);
		frames[i] = (struct feth_frame){ payload[i], sizes[i] };
	}
}

/* What must be on the wire. */
static void encode(struct bytes *b, const struct feth_frame *frames, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t head[WIRE_HDR_MAX];
		put(b, head, wire_frame_header(head, frames[i].len));
		put(b, frames[i].data, frames[i].len);
	}
}

/* "Writes" the first `len` bytes of a plan. */
static void write_plan(const struct conn_plan *plan, size_t len, struct bytes *out)
{
	for (unsigned i = 0; i < plan->n_iov && len; i++) {
		const size_t n = plan->iov[i].iov_len < len ? plan->iov[i].iov_len : len;
		put(out, plan->iov[i].iov_base, n);
		len -= n;
	}
	assert_int_equal(len, 0);
}

static size_t plan_len(const struct conn_plan *plan)
{
	size_t len = 0;
	for (unsigned i = 0; i < plan->n_iov; i++)
		len += plan->iov[i].iov_len;
	return len;
}

/* Sends all frames with writes of at most `step` bytes, after a first one of `first`. */
static void send_all(struct conn *c, const struct feth_frame *frames, size_t n, size_t first,
	size_t step, struct bytes *out)
{
	static struct conn_plan plan;
	size_t taken = 0;
	size_t allowed = first;
	while (taken < n || c->tx.start < c->tx.end) {
		conn_plan(c, &plan, frames + taken, n - taken);
		const size_t len = plan_len(&plan) < allowed ? plan_len(&plan) : allowed;
		write_plan(&plan, len, out);
		const int rc = conn_sent(c, &plan, len);
		assert_true(rc >= 0);
		taken += (size_t)rc;
		allowed = step;
	}
}

static void test_frames_survive_a_short_write_at_every_byte(void **state)
{
	struct feth_frame frames[N_SIZES];
	struct bytes expect = { .len = 0 };
	make_frames(frames, SIZES, N_SIZES);
	encode(&expect, frames, N_SIZES);
	for (size_t cut = 0; cut <= expect.len; cut++) {
		static struct bytes out;
		out.len = 0;
		send_all(*state, frames, N_SIZES, cut, SIZE_MAX, &out);
		assert_int_equal(out.len, expect.len);
		assert_memory_equal(out.data, expect.data, expect.len);
	}
}

static void test_frames_and_calls_survive_writes_of_few_bytes(void **state)
{
	struct conn *c = *state;
	struct feth_frame frames[N_SIZES];
	make_frames(frames, SIZES, N_SIZES);
	for (size_t step = 1; step < 9; step++) {
		static struct bytes expect, out;
		expect.len = out.len = 0;
		call(c); /* goes first */
		put(&expect, c->tx.data + c->tx.start, c->tx.end - c->tx.start);
		encode(&expect, frames, N_SIZES);
		send_all(c, frames, N_SIZES, step, step, &out);
		assert_int_equal(out.len, expect.len);
		assert_memory_equal(out.data, expect.data, expect.len);
	}
}

static void test_a_call_stands_behind_a_frame_that_was_begun(void **state)
{
	struct conn *c = *state;
	struct feth_frame frame;
	static struct conn_plan plan;
	static struct bytes out;
	const uint32_t size = 1000;
	out.len = 0;
	make_frames(&frame, &size, 1);
	conn_plan(c, &plan, &frame, 1);
	write_plan(&plan, 500, &out);
	assert_int_equal(conn_sent(c, &plan, 500), 1);
	call(c);
	send_all(c, &frame, 0, SIZE_MAX, SIZE_MAX, &out);

	struct wire_scan scan = { 0 };
	struct wire_item w;
	assert_int_equal(wire_next(&scan, out.data, out.len, &w), WIRE_FRAME);
	assert_int_equal(w.len, 1000);
	assert_memory_equal(w.data, payload[0], 1000);
	assert_int_equal(wire_next(&scan, out.data + w.total, out.len - w.total, &w), WIRE_RPC);
}

static void test_a_frame_is_taken_only_when_a_byte_of_it_is_written(void **state)
{
	struct conn *c = *state;
	struct feth_frame frames[N_SIZES];
	static struct conn_plan plan;
	make_frames(frames, SIZES, N_SIZES);
	call(c);
	conn_plan(c, &plan, frames, N_SIZES);
	assert_int_equal(conn_sent(c, &plan, plan.queued), 0);
	assert_int_equal(c->tx.end, 0);
	conn_plan(c, &plan, frames, N_SIZES);
	assert_int_equal(conn_sent(c, &plan, plan.ends[1]), 2);
	assert_int_equal(c->tx.end, 0);
	conn_plan(c, &plan, frames, N_SIZES);
	assert_int_equal(conn_sent(c, &plan, 1), 1);
	assert_int_equal(c->tx.end - c->tx.start, 15);
}

static void test_batch_is_one_plan_of_few_pieces(void **state)
{
	struct conn *c = *state;
	static struct conn_plan plan;
	static uint8_t data[CONN_BATCH + 1][FETH_FRAME_MAX];
	struct feth_frame frames[CONN_BATCH + 1];
	for (size_t i = 0; i <= CONN_BATCH; i++)
		frames[i] = (struct feth_frame){ data[i], 60 };
	conn_plan(c, &plan, frames, CONN_BATCH + 1);
	assert_int_equal(plan.n, CONN_BATCH);
	assert_int_equal(plan.n_iov, 1); /* small frames lie side by side */

	for (size_t i = 0; i <= CONN_BATCH; i++)
		frames[i].len = i % 2 ? FETH_FRAME_MAX : 1514;
	call(c);
	conn_plan(c, &plan, frames, CONN_BATCH);
	assert_int_equal(plan.n_iov, 1 + 2 * CONN_BATCH);
}

/* -- over a socket pair -- */

struct pair {
	struct feth_conn *conn;
	int peer;
};

static int setup_pair(void **state)
{
	static struct pair p;
	int fd[2];
	*state = &p;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	p.peer = fd[1];
	return feth_open_fd(&p.conn, fd[0]);
}

static int teardown_pair(void **state)
{
	struct pair *p = *state;
	feth_close(p->conn);
	if (p->peer >= 0)
		close(p->peer);
	return 0;
}

static void say(struct pair *p, const uint8_t *data, size_t len)
{
	assert_int_equal(write(p->peer, data, len), len);
}
#define SAY(p, array) say((p), (array), sizeof(array))

/* Says it with `n` copies of a descriptor. */
static void say_with(struct pair *p, const uint8_t *data, size_t len, int fd, size_t n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 32)];
	} control;
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	memset(&control, 0, sizeof(control));
	msg.msg_control = control.bytes;
	msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
	assert_int_equal(sendmsg(p->peer, &msg, 0), len);
}

static void say_with_fds(struct pair *p, const uint8_t *data, size_t len, size_t n)
{
	say_with(p, data, len, STDERR_FILENO, n);
}

static unsigned open_fds(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_call_returns_the_answer_and_loses_no_frame(void **state)
{
	struct pair *p = *state;
	struct feth_reply reply;
	struct feth_frame frames[4];
	SAY(p, FRAME); /* the answer can be there already: the first msgid is 1 */
	SAY(p, REPLY_1);
	SAY(p, FRAME);
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, &reply, 1000), 0);
	assert_int_equal(reply.result_len, 4);
	assert_int_equal(feth_recv(p->conn, frames, 4, 0), 2);
	assert_int_equal(feth_recv(p->conn, frames, 4, 0), 0);
	assert_int_equal(feth_recv(p->conn, frames, 4, 5), 0);
}

static void test_call_times_out_and_ignores_the_late_answer(void **state)
{
	struct pair *p = *state;
	struct feth_reply reply;
	struct feth_frame frame;
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, &reply, 5), -ETIMEDOUT);
	assert_int_equal(reply.status, -ETIMEDOUT);
	assert_string_equal(reply.message, "the server did not answer within 5 ms");
	SAY(p, REPLY_1);
	assert_int_equal(feth_recv(p->conn, &frame, 1, 0), 0);
	SAY(p, REPLY_2);
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, &reply, 0), 0); /* there already */
	for (unsigned i = 0; i < 2 * FETH_CALLS_MAX; i++)
		assert_int_equal(feth_call(p->conn, "x", NULL, 0, &reply, 0), -ETIMEDOUT);
}

static void test_failed_call_has_the_sentence_of_the_server(void **state)
{
	struct pair *p = *state;
	SAY(p, ERROR_1);
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, NULL, 1000), -EACCES);
	assert_string_equal(feth_error(p->conn), "no");
}

static void test_attach_reads_its_result(void **state)
{
	struct pair *p = *state;
	/* [1, 1, nil, {"port": 3, "name": "a", "network": "lab", "mtu": 1500, "mac": "02:…:01",
	 * "cap": 1518}] */
	static const uint8_t good[] = { 0x94, 1, 1, 0xc0, 0x86, 0xa4, 'p', 'o', 'r', 't', 3, 0xa4,
		'n', 'a', 'm', 'e', 0xa1, 'a', 0xa7, 'n', 'e', 't', 'w', 'o', 'r', 'k', 0xa3, 'l',
		'a', 'b', 0xa3, 'm', 't', 'u', 0xcd, 5, 0xdc, 0xa3, 'm', 'a', 'c', 0xb1, '0', '2',
		':', '0', '0', ':', '0', '0', ':', '0', '0', ':', '0', '0', ':', '0', '1', 0xa3,
		'c', 'a', 'p', 0xcd, 5, 0xee };
	const struct feth_mac mac = { { 2, 0, 0, 0, 0, 1 } };
	const struct feth_attach_opts opts = { .name = "a", .mac = &mac, .locked = true };
	struct feth_port port;
	SAY(p, good);
	assert_int_equal(feth_attach(p->conn, &opts, &port, 1000), 0);
	assert_int_equal(port.port, 3);
	assert_string_equal(port.name, "a");
	assert_string_equal(port.network, "lab");
	assert_int_equal(port.mtu, 1500);
	assert_int_equal(port.cap, 1518);
	assert_memory_equal(port.mac.b, mac.b, 6);

	SAY(p, REPLY_2); /* true */
	assert_int_equal(feth_attach(p->conn, NULL, &port, 1000), -EPROTO);
	const struct feth_attach_opts bad = { .name = "a/b" };
	assert_int_equal(feth_attach(p->conn, &bad, &port, 1000), -EINVAL);
}

/* -- a server that knows shared memory, whatever it does with it -- */

#define RING RING_BYTES_MIN

/* Memory for rings; sealed, where there are seals. */
static int memory(bool sealed)
{
#ifdef F_ADD_SEALS
	const int fd = memfd_create("rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)ring_area(RING)), 0);
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
#else
	FILE *file = tmpfile();
	assert_non_null(file);
	const int fd = dup(fileno(file));
	fclose(file);
	assert_true(sealed && fd >= 0 && !ftruncate(fd, (off_t)ring_area(RING)));
	return fd;
#endif
}

/* Grants the port with this memory in the answer to call number `msgid`. */
static void grant(struct pair *p, uint8_t msgid, int fd)
{
	/* [1, msgid, nil, {"port": 3, "name": "a", "network": "lab", "mtu": 1500,
	 * "mac": "02:…:01", "cap": 1518, "fds": 1, "shm": {"size": …, "ring": …}}] */
	const uint32_t size = (uint32_t)ring_area(RING);
	const uint8_t good[] = { 0x94, 1, msgid, 0xc0, 0x88, 0xa4, 'p', 'o', 'r', 't', 3, 0xa4, 'n',
		'a', 'm', 'e', 0xa1, 'a', 0xa7, 'n', 'e', 't', 'w', 'o', 'r', 'k', 0xa3, 'l', 'a',
		'b', 0xa3, 'm', 't', 'u', 0xcd, 5, 0xdc, 0xa3, 'm', 'a', 'c', 0xb1, '0', '2', ':',
		'0', '0', ':', '0', '0', ':', '0', '0', ':', '0', '0', ':', '0', '1', 0xa3, 'c',
		'a', 'p', 0xcd, 5, 0xee, 0xa3, 'f', 'd', 's', 1, 0xa3, 's', 'h', 'm', 0x82, 0xa4,
		's', 'i', 'z', 'e', 0xce, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
		(uint8_t)(size >> 8), (uint8_t)size, 0xa4, 'r', 'i', 'n', 'g', 0xce, RING >> 24,
		RING >> 16 & 0xff, RING >> 8 & 0xff, RING & 0xff };
	say_with(p, good, sizeof(good), fd, 1);
}

static const struct feth_attach_opts with_shm = { .shm = true };

/* The server's end of what the client got. */
struct server {
	uint8_t *area;
	struct ring_writer tx;
	struct ring_reader rx;
};

static struct server attach_shm(struct pair *p)
{
	struct server s;
	struct feth_port port;
	const int fd = memory(true);
	s.area = mmap(NULL, ring_area(RING), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(s.area != MAP_FAILED);
	ring_writer_init(&s.tx, s.area, RING_TO_CLIENT, RING);
	ring_reader_init(&s.rx, s.area, RING_TO_SERVER, RING);
	assert_true(ring_sleep(&s.rx));
	grant(p, 1, fd);
	close(fd);
	assert_int_equal(feth_attach(p->conn, &with_shm, &port, 1000), 0);
	assert_true(port.shm);
	static uint8_t request[4096];
	assert_true(read(p->peer, request, sizeof(request)) > 0);
	return s;
}

static void server_puts(struct server *s, uint32_t len, uint32_t flags)
{
	uint8_t *at = ring_reserve(&s->tx, len, flags);
	assert_non_null(at);
	memset(at, 0xff, len);
}

static void test_rings_that_were_not_asked_for_are_not_used(void **state)
{
	struct pair *p = *state;
	struct feth_port port;
	struct feth_frame frame = { FRAME + 2, 14 };
	const int fd = memory(true);
	const unsigned before = open_fds();
	grant(p, 1, fd);
	assert_int_equal(feth_attach(p->conn, NULL, &port, 1000), 0);
	assert_false(port.shm);
	assert_null(p->conn->shm);
	grant(p, 2, fd);
	assert_int_equal(feth_monitor(p->conn, NULL, &port, 1000), 0);
	assert_null(p->conn->shm);
	assert_int_equal(open_fds(), before);
	close(fd);
	assert_int_equal(feth_send(p->conn, &frame, 1), 1);
}

static void test_memory_that_can_be_cut_is_refused(void **state)
{
#ifdef F_ADD_SEALS
	struct pair *p = *state;
	struct feth_port port;
	const int fd = memory(false);
	const unsigned before = open_fds();
	grant(p, 1, fd);
	SAY(p, REPLY_2); /* to detach */
	assert_int_equal(feth_attach(p->conn, &with_shm, &port, 1000), -EPROTO);
	assert_null(p->conn->shm);
	assert_int_equal(open_fds(), before);
	close(fd);
#else
	(void)state;
	skip();
#endif
}

/* What the first brought is unmapped: the sanitizer would find it. */
static void test_rings_that_are_granted_twice_are_the_later_ones(void **state)
{
	struct pair *p = *state;
	struct server s = attach_shm(p);
	const uint8_t *first = p->conn->shm->area;
	const int fd = memory(true);
	grant(p, 2, fd);
	close(fd);
	assert_int_equal(feth_attach(p->conn, &with_shm, NULL, 1000), 0);
	assert_true(p->conn->shm->area != first);
	munmap(s.area, ring_area(RING));
}

static void test_who_waits_after_a_call_is_woken(void **state)
{
	struct pair *p = *state;
	struct server s = attach_shm(p);
	server_puts(&s, 60, 0);
	assert_true(ring_publish(&s.tx)); /* from the first frame on */
	server_puts(&s, 60, 0);
	assert_false(ring_publish(&s.tx)); /* once */
	SAY(p, REPLY_2);
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, NULL, 1000), 0);
	server_puts(&s, 60, 0);
	assert_true(ring_publish(&s.tx)); /* the wake may have come during the call */
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, NULL, 0), -ETIMEDOUT);
	server_puts(&s, 60, 0);
	assert_true(ring_publish(&s.tx));
	struct feth_frame in[8];
	assert_int_equal(feth_recv(p->conn, in, 8, 0), 4);
	assert_int_equal(feth_recv(p->conn, in, 8, 0), 0);
	server_puts(&s, 60, 0);
	assert_true(ring_publish(&s.tx));
	munmap(s.area, ring_area(RING));
}

static void test_what_is_no_frame_in_a_ring_is_passed_over_and_given_back(void **state)
{
	struct pair *p = *state;
	struct server s = attach_shm(p);
	struct feth_counters counters;
	struct feth_frame in[8];
	server_puts(&s, 0, 0);
	server_puts(&s, 13, 0);
	server_puts(&s, 14, 0);
	server_puts(&s, 12 + 13, RING_OFFLOAD);
	(void)ring_publish(&s.tx);
	assert_int_equal(feth_recv(p->conn, in, 8, 0), 1);
	assert_int_equal(in[0].len, 14);
	feth_get_counters(p->conn, &counters);
	assert_int_equal(counters.ignored, 3);

	assert_int_equal(feth_recv(p->conn, in, 8, 0), 0);
	uint8_t *at;
	while ((at = ring_reserve(&s.tx, 1000, RING_OFFLOAD)))
		memset(at, 0xff, 1000);
	assert_true(ring_wait(&s.tx, 1000));
	(void)ring_publish(&s.tx);
	assert_int_equal(feth_recv(p->conn, in, 8, 0), 0);
	ring_look(&s.tx);
	assert_int_equal(ring_used(&s.tx), 0);
	uint8_t wake[8];
	assert_int_equal(recv(p->peer, wake, sizeof(wake), MSG_DONTWAIT), 3);
	munmap(s.area, ring_area(RING));
}

static void test_who_does_not_wait_hears_that_the_server_is_gone(void **state)
{
	struct pair *p = *state;
	struct server s = attach_shm(p);
	const struct feth_frame frame = { FRAME + 2, 14 };
	struct feth_frame in[4];
	feth_set_nonblocking(p->conn, true);
	close(p->peer);
	p->peer = -1;
	assert_int_equal(feth_send(p->conn, &frame, 1), 1); /* it cannot be woken any more */
	assert_int_equal(feth_send(p->conn, &frame, 1), -EPIPE);
	assert_int_equal(feth_send(p->conn, &frame, 1), -EPIPE);
	assert_int_equal(feth_recv(p->conn, in, 4, 0), -ECONNRESET);
	munmap(s.area, ring_area(RING));
}

static void test_who_found_no_room_hears_that_the_server_is_gone(void **state)
{
	struct pair *p = *state;
	struct server s = attach_shm(p);
	const struct feth_frame frame = { FRAME + 2, 14 };
	feth_set_nonblocking(p->conn, true);
	atomic_store(&s.rx.words->empty, 0); /* it runs, as far as anybody knows */
	for (unsigned i = 0; i < RING / 24; i++)
		assert_int_equal(feth_send(p->conn, &frame, 1), 1);
	assert_int_equal(feth_send(p->conn, &frame, 1), 0);
	assert_int_equal(feth_send(p->conn, &frame, 1), 0);
	close(p->peer);
	p->peer = -1;
	assert_int_equal(feth_send(p->conn, &frame, 1), -EPIPE);
	munmap(s.area, ring_area(RING));
}

static void test_a_monitor_asks_for_what_it_wants_and_receives_records(void **state)
{
	struct pair *p = *state;
	/* [1, 1, nil, {"port": 9, "name": "m", "network": "lab", "mtu": 1500}] */
	static const uint8_t good[] = { 0x94, 1, 1, 0xc0, 0x84, 0xa4, 'p', 'o', 'r', 't', 9, 0xa4,
		'n', 'a', 'm', 'e', 0xa1, 'm', 0xa7, 'n', 'e', 't', 'w', 'o', 'r', 'k', 0xa3, 'l',
		'a', 'b', 0xa3, 'm', 't', 'u', 0xcd, 5, 0xdc };
	/* [0, 1, "attach", [{"name": "m", "monitor": {"snaplen": 64, "port": 3,
	 * "filter": [[6, 0, 0, 7]]}}]] */
	static const uint8_t asked[] = { 0xdc, 0, 4, 0, 1, 0xa6, 'a', 't', 't', 'a', 'c', 'h', 0xdc,
		0, 1, 0xde, 0, 2, 0xa4, 'n', 'a', 'm', 'e', 0xa1, 'm', 0xa7, 'm', 'o', 'n', 'i',
		't', 'o', 'r', 0xde, 0, 3, 0xa7, 's', 'n', 'a', 'p', 'l', 'e', 'n', 64, 0xa4, 'p',
		'o', 'r', 't', 3, 0xa6, 'f', 'i', 'l', 't', 'e', 'r', 0xdc, 0, 1, 0xdc, 0, 4, 6, 0,
		0, 7 };
	const struct feth_insn insn = { 6, 0, 0, 7 };
	const uint16_t three = 3;
	const struct feth_monitor_opts opts = {
		.name = "m", .port = &three, .snaplen = 64, .filter = &insn, .n_filter = 1
	};
	uint8_t got[256];
	struct feth_port port;
	struct feth_record records[4];
	struct feth_frame frame;
	assert_int_equal(feth_recv_records(p->conn, records, 4, 0), -EINVAL);
	SAY(p, good);
	SAY(p, RECORD);
	assert_int_equal(feth_monitor(p->conn, &opts, &port, 1000), 0);
	assert_int_equal(port.port, 9);
	assert_string_equal(port.name, "m");
	assert_int_equal(port.mtu, 1500);
	assert_int_equal(port.cap, 0);
	assert_int_equal(read(p->peer, got, sizeof(got)), sizeof(asked));
	assert_memory_equal(got, asked, sizeof(asked));
	assert_int_equal(feth_recv(p->conn, &frame, 1, 0), -EINVAL);
	assert_int_equal(feth_recv_records(p->conn, records, 4, 1000), 1);
	assert_int_equal(records[0].port, 7);
	assert_int_equal(feth_recv_records(p->conn, records, 4, 0), 0);

	const struct feth_monitor_opts longer = { .filter = &insn, .n_filter = 513 };
	assert_int_equal(feth_monitor(p->conn, &longer, NULL, 0), -EMSGSIZE);
}

static void test_a_drop_has_a_name_by_its_number(void **state)
{
	(void)state;
	assert_string_equal(feth_drop_name(0), "");
	assert_string_equal(feth_drop_name(1), "runt");
	assert_string_equal(feth_drop_name(3), "spoofed");
	assert_string_equal(feth_drop_name(255), "unknown");
}

static void test_received_descriptors_are_the_callers_and_closed_on_exec(void **state)
{
	struct pair *p = *state;
	struct feth_reply reply;
	const unsigned before = open_fds();
	SAY(p, FRAME);
	say_with_fds(p, FDS_1, sizeof(FDS_1), 1);
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, &reply, 1000), 0);
	assert_int_equal(reply.n_fds, 1);
	assert_int_equal(fcntl(reply.fds[0], F_GETFD), FD_CLOEXEC);
	close(reply.fds[0]);

	say_with_fds(p, FDS_2, sizeof(FDS_2), 2);
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, NULL, 1000), 0);
	say_with_fds(p, FRAME, sizeof(FRAME), 3);
	struct feth_frame frame;
	assert_int_equal(feth_recv(p->conn, &frame, 1, 0), 1);
	assert_int_equal(feth_recv(p->conn, &frame, 1, 0), 1);
	SAY(p, FRAME);
	assert_int_equal(feth_recv(p->conn, &frame, 1, 0), 1);
	assert_int_equal(open_fds(), before);
}

static void test_lost_descriptors_end_the_connection(void **state)
{
	struct pair *p = *state;
	const unsigned before = open_fds();
	say_with_fds(p, FDS_1, sizeof(FDS_1), 20); /* more than we make room for */
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, NULL, 1000), -EIO);
	feth_close(p->conn);
	p->conn = NULL;
	assert_int_equal(open_fds(), before - 1);
}

static unsigned heard;
static uint32_t heard_mtu;

static void hear(struct feth_conn *conn, const struct feth_notice *notice, void *user)
{
	(void)conn;
	(void)user;
	heard++;
	heard_mtu = notice->mtu;
}

static void test_notice_is_told_between_the_frames_it_stands_between(void **state)
{
	struct pair *p = *state;
	struct feth_frame frames[8];
	heard = 0;
	feth_on_notice(p->conn, hear, NULL);
	SAY(p, FRAME);
	SAY(p, FRAME);
	SAY(p, CHANGED);
	SAY(p, FRAME);
	SAY(p, UNKNOWN_NOTICE);
	assert_int_equal(feth_recv(p->conn, frames, 8, FETH_FOREVER), 2);
	assert_int_equal(heard, 0);
	assert_int_equal(feth_recv(p->conn, frames, 8, FETH_FOREVER), 1);
	assert_int_equal(heard, 1);
	assert_int_equal(heard_mtu, 9000);
	assert_int_equal(feth_recv(p->conn, frames, 8, FETH_FOREVER), 0); /* told: does not wait */
	assert_int_equal(heard, 2);
}

static int reply_status[8];
static unsigned n_replies;

static void note_reply(struct feth_conn *conn, const struct feth_reply *reply, void *user)
{
	(void)conn;
	(void)user;
	reply_status[n_replies++] = reply->status;
}

/* A callback that makes a call of its own, whose answer is there already. */
static void call_again(struct feth_conn *conn, const struct feth_reply *reply, void *user)
{
	note_reply(conn, reply, user);
	if (!reply->status)
		assert_int_equal(feth_call(conn, "x", NULL, 0, NULL, 1000), 0);
}

static void test_callback_may_call(void **state)
{
	struct pair *p = *state;
	struct feth_frame frames[4];
	n_replies = 0;
	assert_int_equal(feth_call_start(p->conn, "x", NULL, 0, call_again, NULL), 0);
	SAY(p, REPLY_1);
	SAY(p, FRAME);
	SAY(p, REPLY_2);
	assert_int_equal(feth_recv(p->conn, frames, 4, 1000), 1);
	assert_int_equal(n_replies, 1);
}

static void test_every_started_call_ends_with_its_callback(void **state)
{
	struct pair *p = *state;
	struct feth_frame frame;
	n_replies = 0;
	assert_int_equal(feth_call_start(p->conn, "x", NULL, 0, note_reply, NULL), 0);
	assert_int_equal(feth_call_start(p->conn, "x", NULL, 0, note_reply, NULL), 0);
	SAY(p, REPLY_1);
	close(p->peer);
	p->peer = -1;
	assert_int_equal(feth_recv(p->conn, &frame, 1, 1000), -ECONNRESET);
	assert_int_equal(n_replies, 2);
	assert_int_equal(reply_status[0], 0);
	assert_int_equal(reply_status[1], -ECONNRESET);

	assert_int_equal(feth_call_start(p->conn, "x", NULL, 0, note_reply, NULL), -ECONNRESET);
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, NULL, 1000), -ECONNRESET);
	assert_int_equal(n_replies, 2);
}

static void test_close_cancels_calls(void **state)
{
	struct pair *p = *state;
	n_replies = 0;
	assert_int_equal(feth_call_start(p->conn, "x", NULL, 0, call_again, NULL), 0);
	feth_close(p->conn);
	p->conn = NULL;
	assert_int_equal(n_replies, 1);
	assert_int_equal(reply_status[0], -ECANCELED);
}

static void test_reason_of_the_end_is_read_though_writing_fails(void **state)
{
	struct pair *p = *state;
	const struct feth_frame frame = { FRAME + 2, 14 };
	SAY(p, PROTOCOL_ERROR);
	close(p->peer);
	p->peer = -1;
	assert_int_equal(feth_send(p->conn, &frame, 1), -EPIPE);
	assert_int_equal(feth_call(p->conn, "x", NULL, 0, NULL, FETH_FOREVER), -EPROTO);
	assert_string_equal(feth_error(p->conn), "the server ended the connection: bad");
}

static void test_end_with_unread_frames_is_an_end_like_any_other(void **state)
{
	struct pair *p = *state;
	struct feth_frame frame = { FRAME + 2, 14 };
	assert_int_equal(feth_send(p->conn, &frame, 1), 1);
	SAY(p, FRAME);
	close(p->peer); /* the kernel tells us ECONNRESET behind the data */
	p->peer = -1;
	assert_int_equal(feth_recv(p->conn, &frame, 1, 1000), 1);
	assert_int_equal(feth_recv(p->conn, &frame, 1, 1000), -ECONNRESET);
	assert_string_equal(feth_error(p->conn), "the server closed the connection");
}

static void test_server_that_stops_reading_is_still_listened_to(void **state)
{
	struct pair *p = *state;
	struct feth_frame frame;
	n_replies = 0;
	shutdown(p->peer, SHUT_RD);
	assert_int_equal(feth_call_start(p->conn, "x", NULL, 0, note_reply, NULL), 0);
	assert_int_equal(feth_flush(p->conn), -EPIPE);
	assert_int_equal(feth_recv(p->conn, &frame, 1, 5), 0);
	SAY(p, REPLY_1);
	assert_int_equal(feth_recv(p->conn, &frame, 1, 1000), 0);
	assert_int_equal(n_replies, 1);
}

/* Reads whole frames of `size` bytes from the peer's end until it is empty; returns how many. */
static unsigned drain(struct pair *p, struct bytes *rest, uint32_t size, unsigned expect)
{
	unsigned n = 0;
	ssize_t got;
	while ((got = recv(p->peer, rest->data + rest->len, sizeof(rest->data) - rest->len,
			MSG_DONTWAIT)) > 0) {
		struct wire_scan scan = { 0 };
		struct wire_item w;
		size_t at = 0;
		rest->len += (size_t)got;
		while (wire_next(&scan, rest->data + at, rest->len - at, &w) == WIRE_FRAME) {
			assert_int_equal(w.len, size);
			assert_int_equal(w.data[0], (uint8_t)(expect + n));
			n++;
			at += w.total;
		}
		memmove(rest->data, rest->data + at, rest->len - at);
		rest->len -= at;
	}
	return n;
}

static void test_nonblocking_send_takes_what_fits_and_finishes_what_it_began(void **state)
{
	struct pair *p = *state;
	static uint8_t data[256][1514];
	static struct bytes rest;
	struct feth_frame frames[256];
	unsigned sent = 0, received = 0;
	rest.len = 0;
	for (unsigned i = 0; i < 256; i++) {
		data[i][0] = (uint8_t)i;
		frames[i] = (struct feth_frame){ data[i], 1514 };
	}
	feth_set_nonblocking(p->conn, true);
	while (sent < 5 * 256) {
		const unsigned at = sent % 256;
		const int n = feth_send(p->conn, frames + at, 256 - at);
		assert_true(n >= 0);
		sent += (unsigned)n;
		if (!n) {
			assert_true(sent - received > 64); /* it did not give up early */
			received += drain(p, &rest, 1514, received);
		}
	}
	for (unsigned i = 0; i < 100 && feth_wants_write(p->conn); i++) {
		received += drain(p, &rest, 1514, received);
		assert_int_equal(feth_flush(p->conn), 0);
	}
	received += drain(p, &rest, 1514, received);
	assert_int_equal(received, sent);
}

static void test_unsendable_frames_are_refused_where_they_stand(void **state)
{
	struct pair *p = *state;
	static uint8_t data[FETH_FRAME_MAX + 1];
	const struct feth_frame frames[] = { { data, 14 }, { data, FETH_FRAME_MAX + 1 },
		{ data, 13 } };
	assert_int_equal(feth_send(p->conn, frames, 3), 1);
	assert_int_equal(feth_send(p->conn, frames + 1, 2), -EINVAL);
	assert_int_equal(feth_send(p->conn, frames + 2, 1), -EINVAL);
	assert_int_equal(feth_send(p->conn, frames, 0), 0);
}

static void test_one_read_feeds_many_small_batches(void **state)
{
	struct pair *p = *state;
	struct feth_frame frames[3];
	static struct bytes b;
	unsigned n = 0;
	b.len = 0;
	for (unsigned i = 0; i < 400; i++)
		PUT(&b, FRAME);
	say(p, b.data, b.len);
	for (int rc; (rc = feth_recv(p->conn, frames, 3, 0)) > 0;)
		n += (unsigned)rc;
	assert_int_equal(n, 400);
}

static void test_flood_of_ignored_objects_does_not_hold_the_caller(void **state)
{
	struct pair *p = *state;
	struct feth_frame frame;
	static struct bytes b; /* many at once, to be faster than the reader */
	for (b.len = 0; b.len + sizeof(UNKNOWN_EXT) <= sizeof(b.data);)
		PUT(&b, UNKNOWN_EXT);
	const pid_t child = fork();
	if (!child) {
		close(feth_fd(p->conn)); /* so that writing ends with the reader */
		while (write(p->peer, b.data, b.len) > 0)
			;
		_exit(0);
	}
	assert_true(child > 0);
	alarm(20); /* or it would be for ever */
	for (int i = 0; i < 4; i++)
		assert_int_equal(feth_recv(p->conn, &frame, 1, i % 2), 0);
	alarm(0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void test_names_in_paths_are_checked(void **state)
{
	char path[108];
	(void)state;
	assert_int_equal(feth_socket_path("/r", "lab", path, sizeof(path)), 0);
	assert_string_equal(path, "/r/lab/feth.sock");
	assert_int_equal(feth_socket_path("/r", NULL, path, sizeof(path)), 0);
	assert_string_equal(path, "/r/control.sock");
	assert_int_equal(feth_socket_path("/r", "../x", path, sizeof(path)), -EINVAL);
	assert_int_equal(feth_socket_path("/r", "lab", path, 16), -ENAMETOOLONG);
	setenv("FETHD_RUN_DIR", "/from/env", 1);
	assert_int_equal(feth_socket_path(NULL, NULL, path, sizeof(path)), 0);
	assert_string_equal(path, "/from/env/control.sock");
	unsetenv("FETHD_RUN_DIR");
	struct feth_conn *conn;
	assert_int_equal(feth_open(&conn, "/nonexistent/feth.sock", NULL), -ENOENT);
}

#define CORE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define PAIR(f) cmocka_unit_test_setup_teardown(f, setup_pair, teardown_pair)

/* An ext of type 1, a frame, and an ext that is too short for one. */
static void test_frames_that_owe_work_come_and_go(void **state)
{
	struct conn *c = *state;
	const uint8_t header[FETH_VNET_LEN] = { 1, 1, 54, 0, 0xe8, 3, 34, 0, 16, 0, 1, 0 };
	uint8_t body[1500] = { 2 };
	struct feth_frame frames[4] = { { body, sizeof(body) }, { body, 60 }, { body, 60 } };
	const uint8_t *vnet[4] = { header, NULL, header };
	static struct conn_plan plan;
	struct bytes out = { 0 };

	c->vnet_out = vnet;
	c->sending = frames;
	conn_plan(c, &plan, frames, 2);
	write_plan(&plan, plan_len(&plan), &out);
	assert_int_equal(conn_sent(c, &plan, plan_len(&plan)), 2);
	conn_plan(c, &plan, frames + 2, 1);         /* the next of the same call */
	for (size_t cut = 1; cut < 30; cut += 28) { /* in its headers; behind */
		conn_plan(c, &plan, frames + 2, 1);
		const size_t at = out.len;
		write_plan(&plan, cut, &out);
		assert_int_equal(conn_sent(c, &plan, cut), 1);
		put(&out, c->tx.data + c->tx.start, c->tx.end - c->tx.start);
		c->tx.start = c->tx.end = 0;
		assert_int_equal(out.len - at, 3 + FETH_VNET_LEN + 60);
	}
	c->vnet_out = NULL;
	assert_int_equal(out.len, 4 + 12 + 1500 + 2 + 60 + 2 * (3 + 12 + 60));

	feed(c, out.data, out.len);
	feed(c, (const uint8_t *)"\xc7\x0d\x01xxxxxxxxxxxxx", 16);
	feed(c, (const uint8_t *)"\xc7\x02\x09yy", 5);
	const uint8_t *got[8];
	struct feth_frame in[8];
	c->vnet_in = got;
	assert_int_equal(conn_frames(c, in, 8), 4);
	c->vnet_in = NULL;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(in[i].len, i ? 60 : 1500);
		assert_memory_equal(in[i].data, body, in[i].len);
		assert_int_equal(got[i] != NULL, i != 1);
		if (got[i])
			assert_memory_equal(got[i], header, sizeof(header));
	}
	assert_int_equal(c->counters.ignored, 2);

	struct conn_item item;
	const uint32_t msgid = sync_call(c);
	FEED(c, REPLY_1);
	feed(c, out.data, out.len); /* and those that come before a reply that is awaited */
	assert_int_equal(msgid, 1);
	FEED(c, REPLY_2);
	sync_call(c);
	assert_int_equal(conn_await(c, 1, &item), CONN_REPLY);
	assert_int_equal(conn_await(c, 2, &item), CONN_REPLY);
	assert_int_equal(c->counters.ignored, 2);
	c->vnet_in = got;
	assert_int_equal(conn_frames(c, in, 8), 4);
	c->vnet_in = NULL;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(got[i] != NULL, i != 1);
	assert_memory_equal(got[0], header, sizeof(header));
	conn_recycle(c);

	feed(c, out.data, out.len); /* who does not look for them gets those that owe nothing */
	assert_int_equal(conn_frames(c, in, 8), 1);
	assert_int_equal(c->counters.ignored, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE(test_frames_that_owe_work_come_and_go),
		CORE(test_items_come_in_order_however_the_stream_is_cut),
		CORE(test_items_come_byte_by_byte),
		CORE(test_reply_has_its_result_as_bytes),
		CORE(test_error_reply_has_code_and_sentence),
		CORE(test_error_of_another_shape_is_still_an_error),
		CORE(test_notice_brings_params_and_mtu),
		CORE(test_pipelined_calls_may_be_answered_in_any_order),
		CORE(test_what_precedes_an_awaited_reply_is_kept_in_order),
		CORE(test_a_monitor_gets_records_in_order_and_no_frames),
		CORE(test_frames_over_the_limit_are_dropped_and_counted_while_waiting),
		CORE(test_too_many_messages_while_waiting_end_the_connection),
		CORE(test_protocol_error_tells_why_the_stream_ends),
		CORE(test_removed_network_tells_why_the_stream_ends),
		CORE(test_nonsense_ends_the_connection_with_a_sentence),
		CORE(test_wakes_are_passed_over_and_sent),
		CORE(test_malformed_request_is_ignored),
		CORE(test_descriptors_go_to_the_reply_they_came_with),
		CORE(test_descriptors_find_a_reply_that_is_cut_anywhere),
		CORE(test_descriptors_wait_with_a_kept_reply),
		CORE(test_second_answer_to_a_kept_call_gets_nothing),
		CORE(test_descriptors_of_an_unread_reply_are_closed_at_the_end),
		CORE(test_unannounced_descriptors_are_closed),
		CORE(test_descriptors_are_not_taken_by_a_later_reply),
		CORE(test_an_error_brings_no_descriptors),
		CORE(test_wrong_number_of_descriptors_fails_the_call),
		CORE(test_hoarded_descriptors_are_bounded),
		CORE(test_call_is_written_as_documented),
		CORE(test_params_must_be_one_map),
		CORE(test_more_calls_than_the_server_takes_are_busy),
		CORE(test_message_numbers_wrap_around_those_in_use),
		CORE(test_requests_that_nobody_reads_are_bounded),
		CORE(test_frames_survive_a_short_write_at_every_byte),
		CORE(test_frames_and_calls_survive_writes_of_few_bytes),
		CORE(test_a_call_stands_behind_a_frame_that_was_begun),
		CORE(test_a_frame_is_taken_only_when_a_byte_of_it_is_written),
		CORE(test_batch_is_one_plan_of_few_pieces),
		PAIR(test_call_returns_the_answer_and_loses_no_frame),
		PAIR(test_call_times_out_and_ignores_the_late_answer),
		PAIR(test_failed_call_has_the_sentence_of_the_server),
		PAIR(test_attach_reads_its_result),
		PAIR(test_rings_that_were_not_asked_for_are_not_used),
		PAIR(test_memory_that_can_be_cut_is_refused),
		PAIR(test_rings_that_are_granted_twice_are_the_later_ones),
		PAIR(test_who_waits_after_a_call_is_woken),
		PAIR(test_what_is_no_frame_in_a_ring_is_passed_over_and_given_back),
		PAIR(test_who_does_not_wait_hears_that_the_server_is_gone),
		PAIR(test_who_found_no_room_hears_that_the_server_is_gone),
		PAIR(test_a_monitor_asks_for_what_it_wants_and_receives_records),
		cmocka_unit_test(test_a_drop_has_a_name_by_its_number),
		PAIR(test_received_descriptors_are_the_callers_and_closed_on_exec),
		PAIR(test_lost_descriptors_end_the_connection),
		PAIR(test_notice_is_told_between_the_frames_it_stands_between),
		PAIR(test_callback_may_call),
		PAIR(test_every_started_call_ends_with_its_callback),
		PAIR(test_close_cancels_calls),
		PAIR(test_reason_of_the_end_is_read_though_writing_fails),
		PAIR(test_end_with_unread_frames_is_an_end_like_any_other),
		PAIR(test_server_that_stops_reading_is_still_listened_to),
		PAIR(test_nonblocking_send_takes_what_fits_and_finishes_what_it_began),
		PAIR(test_unsendable_frames_are_refused_where_they_stand),
		PAIR(test_one_read_feeds_many_small_batches),
		PAIR(test_flood_of_ignored_objects_does_not_hold_the_caller),
		cmocka_unit_test(test_names_in_paths_are_checked),
	};
	return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
