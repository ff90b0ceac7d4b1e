/* test_closing.c - descriptors whose close takes as long as a stranger likes: a TCP socket that
 * lingers, with bytes that its peer does not take. What waits for such a close does not return
 * before ctest's time is over.
 *
 * The sockets here take descriptors also where the kernel could refuse them (sock.h). */
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "server/io/ioloop.h"
#include "server/io/shared.h"
#include "server/io/stream.h"

#define LINGER_SECONDS 1000

/* A socket that lingers until its *peer is closed. */
static int lingering(int *peer)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = LINGER_SECONDS };
	static const char some[65536];
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	const int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(l, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
	*peer = accept(l, NULL, NULL);
	assert_true(*peer >= 0);
	close(l);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (send(fd, some, sizeof(some), 0) > 0)
		;
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0); /* XNU lingers only so */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return fd;
}

/* Both ends; that out[1] is closed out[0] can tell. */
static void make_pipe(int out[2])
{
	assert_int_equal(pipe(out), 0);
}

static bool ended(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, ms) == 1;
}

static void test_a_user_makes_nobody_wait_but_himself(void **state)
{
	struct shared *sh = shared_new();
	int peer, his[2], others[2];
	(void)state;
	const int fd = lingering(&peer);
	make_pipe(his);
	make_pipe(others);
	assert_true(shared_close(sh, 1000, &fd, 1));
	assert_true(shared_close(sh, 1000, &his[1], 1));
	assert_true(shared_close(sh, 1001, &others[1], 1));
	assert_true(ended(others[0], -1));
	assert_false(ended(his[0], 0));
	close(peer);
	assert_true(ended(his[0], -1));
	close(his[0]);
	close(others[0]);
	shared_free(sh);
}

static void test_what_waits_counts_until_it_is_closed(void **state)
{
	struct shared *sh = shared_new();
	int peer, last[2], nothing[CLIENTS_PER_UID - 2];
	(void)state;
	const int fd = lingering(&peer);
	make_pipe(last);
	for (unsigned i = 0; i < CLIENTS_PER_UID - 2; i++)
		nothing[i] = dup(last[0]);
	assert_true(shared_close(sh, 1000, &fd, 1));
	assert_true(shared_close(sh, 1000, nothing, CLIENTS_PER_UID - 2));
	assert_true(shared_enter(sh, 1000, false));
	assert_false(shared_enter(sh, 1000, false));
	assert_false(shared_close(sh, 1000, &last[1], 1)); /* but it is closed, too */
	assert_true(shared_enter(sh, 1001, false));
	close(peer);
	assert_true(ended(last[0], -1));
	while (!shared_enter(sh, 1000, false)) /* soon */
		usleep(1000);
	shared_leave(sh, 1000);
	shared_leave(sh, 1000);
	shared_leave(sh, 1001);
	close(last[0]);
	shared_free(sh);
}

static void test_an_end_does_not_wait(void **state)
{
	struct shared *sh = shared_new();
	int peer, last[2];
	(void)state;
	const int fd = lingering(&peer);
	make_pipe(last);
	const int both[2] = { fd, last[1] };
	assert_true(shared_close(sh, 1000, both, 2));
	shared_free(sh); /* the thread goes on, and is the last to need it */
	assert_false(ended(last[0], 0));
	close(peer);
	assert_true(ended(last[0], -1));
	close(last[0]);
}

/* -- of a stream -- */

struct rig {
	uv_loop_t uv;
	struct shared *shared;
	struct ioloop *loop;
	struct stream s;
	const char *why;
	bool closed;
	int far; /* the client's end */
};

static struct rig *rig_of(struct stream *s)
{
	return (struct rig *)((char *)s - offsetof(struct rig, s));
}

static size_t on_input(struct stream *s, const uint8_t *buf, size_t len, size_t *need)
{
	(void)s;
	(void)buf;
	(void)need;
	return len;
}

static void on_batch_end(struct stream *s)
{
	(void)s;
}

static void on_lost(struct stream *s, const char *why)
{
	rig_of(s)->why = why;
}

static void on_closed(struct stream *s)
{
	rig_of(s)->closed = true;
}

static const struct stream_ops ops = { on_input, on_batch_end, on_lost, on_closed };

static void rig_init(struct rig *rig)
{
	int sv[2];
	*rig = (struct rig){ .shared = shared_new() };
	assert_int_equal(uv_loop_init(&rig->uv), 0);
	rig->loop = ioloop_new(&rig->uv, rig->shared);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(fcntl(sv[0], F_SETFL, O_NONBLOCK), 0);
	rig->far = sv[1];
	assert_true(shared_enter(rig->shared, 1000, false)); /* the stream */
	assert_int_equal(stream_open(&rig->s, rig->loop, sv[0], 1000, FRAMING_NATIVE,
				 ioloop_rpc_pool(rig->loop), &ops),
		0);
}

/* Sends @fd, and has it no more. False where the system does not know these flags. */
static bool send_so(struct rig *rig, int fd, int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	memset(&control, 0, sizeof(control));
	msg.msg_control = control.bytes;
	msg.msg_controllen = sizeof(control.bytes);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	const ssize_t n = sendmsg(rig->far, &msg, flags);
	close(fd);
	return n == 1;
}

static void send_away(struct rig *rig, int fd)
{
	assert_true(send_so(rig, fd, 0));
}

static void run_until_closed(struct rig *rig)
{
	while (!rig->closed)
		uv_run(&rig->uv, UV_RUN_ONCE);
}

static void rig_fini(struct rig *rig)
{
	close(rig->far);
	ioloop_close(rig->loop);
	uv_run(&rig->uv, UV_RUN_DEFAULT);
	ioloop_free(rig->loop);
	assert_int_equal(uv_loop_close(&rig->uv), 0);
	shared_free(rig->shared);
}

/* The client sees the end, the loop goes on, and the connection counts until it is closed. Which
 * of the two descriptors the kernel closes first is its own affair. */
static void test_descriptors_that_nobody_read_do_not_hold_the_loop(void **state)
{
	struct rig rig;
	int peer, after[2];
	char byte;
	(void)state;
	rig_init(&rig);
	make_pipe(after);
	send_away(&rig, lingering(&peer));
	send_away(&rig, after[1]);
	stream_fail(&rig.s, "over", false);
	run_until_closed(&rig);
	assert_true(recv(rig.far, &byte, 1, 0) <= 0);
	shared_leave(rig.shared, 1000); /* its owner's part of it */
	for (unsigned i = 1; i < CLIENTS_PER_UID; i++)
		assert_true(shared_enter(rig.shared, 1000, false));
	assert_false(shared_enter(rig.shared, 1000, false));
	for (unsigned i = 1; i < CLIENTS_PER_UID; i++)
		shared_leave(rig.shared, 1000);
	rig_fini(&rig); /* does not wait either */
	close(peer);
	assert_true(ended(after[0], -1));
	close(after[0]);
}

static void test_a_byte_out_of_band_does_not_hold_the_loop(void **state)
{
	struct rig rig;
	int peer, after[2];
	(void)state;
	rig_init(&rig);
	make_pipe(after);
	const bool sent = send_so(&rig, lingering(&peer), MSG_OOB);
	send_away(&rig, after[1]);
	while (ended(rig.s.fd, 0))
		uv_run(&rig.uv, UV_RUN_NOWAIT);
	assert_int_equal(ended(after[0], sent ? 0 : -1), !sent);
	close(peer);
	assert_true(ended(after[0], -1));
	close(after[0]);
	stream_fail(&rig.s, "over", false);
	run_until_closed(&rig);
	rig_fini(&rig);
}

static void test_who_sends_more_than_can_be_closed_has_to_go(void **state)
{
	struct rig rig;
	int peer;
	(void)state;
	rig_init(&rig);
	send_away(&rig, lingering(&peer));
	for (unsigned i = 0; i < CLIENTS_PER_UID && !rig.closed; i++) {
		send_away(&rig, dup(STDIN_FILENO));
		do
			uv_run(&rig.uv, UV_RUN_NOWAIT);
		while (!rig.closed && ended(rig.s.fd, 0));
		assert_int_equal(rig.s.dying, i >= CLIENTS_PER_UID - 2);
	}
	run_until_closed(&rig);
	assert_string_equal(rig.why, "sent more descriptors than can be closed");
	assert_int_equal(ioloop_counters(rig.loop)->ignored, CLIENTS_PER_UID);
	close(peer);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_user_makes_nobody_wait_but_himself),
		cmocka_unit_test(test_what_waits_counts_until_it_is_closed),
		cmocka_unit_test(test_an_end_does_not_wait),
		cmocka_unit_test(test_descriptors_that_nobody_read_do_not_hold_the_loop),
		cmocka_unit_test(test_a_byte_out_of_band_does_not_hold_the_loop),
		cmocka_unit_test(test_who_sends_more_than_can_be_closed_has_to_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
