/* unix.c - the default transport of libfeth: a connected Unix stream socket under conn.c.
 *
 * Each system call says MSG_DONTWAIT, and only poll(2) waits. What the user sees as blocking is
 * made here of trying, waiting and trying again. The socket's own flags are not changed where that
 * does: Darwin's sendmsg() waits for room all the same, unless the socket itself is non-blocking
 * (XNU, uipc_socket.c:sosendcheck). */
#include "clients/lib/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0 /* Darwin: set_cloexec() below does it */
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Darwin: SO_NOSIGPIPE, set when the socket is taken over */
#endif

#define SNDBUF_BYTES (416 * 1024) /* see client.h, feth_open() */
/* Reads without a frame after which feth_recv() looks at the clock, lest a server holds it for
 * ever. */
#define FILLS_MAX 16u

#define STREAM_EVERY                                                                               \
	64u /* of so many feth_recv() that find frames in a ring one reads the socket */

#ifdef CLOCK_UPTIME_RAW
#define CLOCK_AWAKE CLOCK_UPTIME_RAW /* Darwin, whose CLOCK_MONOTONIC goes on in a sleep */
#else
#define CLOCK_AWAKE CLOCK_MONOTONIC
#endif

/* A machine that slept has waited for nobody: neither side could do anything meanwhile. */
static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_AWAKE, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

/* When a wait of `timeout_ms` ends. */
static uint64_t deadline_of(int timeout_ms)
{
	if (timeout_ms < 0)
		return UINT64_MAX;
	return timeout_ms ? now_ms() + (uint64_t)timeout_ms : 0;
}

/* 1: ready, or the connection is gone; 0: time is up; -errno. */
static int wait_for(const struct feth_conn *conn, short events, uint64_t deadline)
{
	int timeout = -1;
	if (deadline != UINT64_MAX) {
		const uint64_t now = deadline ? now_ms() : 0;
		const uint64_t left = deadline > now ? deadline - now : 0;
		timeout = left < INT32_MAX ? (int)left : INT32_MAX;
	}
	struct pollfd p = { .fd = conn->fd, .events = events };
	const int rc = poll(&p, 1, timeout);
	return rc < 0 ? -errno : rc;
}

static void close_fd(int fd)
{
	close(fd);
}

int feth_open_fd(struct feth_conn **out, int fd)
{
	struct feth_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return -ENOMEM;
	if (conn_init(&conn->core, close_fd) < 0) {
		conn_fini(&conn->core);
		free(conn);
		return -ENOMEM;
	}
	conn->fd = fd;

	/* The kernel cuts it to what it allows; a smaller one only makes batches smaller. */
	const int bytes = SNDBUF_BYTES;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
#ifdef __APPLE__
	const int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		const int rc = -errno;
		conn_fini(&conn->core);
		free(conn);
		return rc;
	}
#endif
#ifdef SO_NOSIGPIPE
	const int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
	*out = conn;
	return 0;
}

/* Tells all who wait that no answer will come. */
static void cancel_calls(struct feth_conn *conn)
{
	feth_reply_fn *fn;
	void *user;
	while (conn_take_call(&conn->core, &fn, &user)) {
		const struct feth_reply reply = {
			.status = conn->core.status, .code = "", .message = conn->core.why
		};
		fn(conn, &reply, user);
	}
}

void feth_close(struct feth_conn *conn)
{
	if (!conn)
		return;
	conn_fail(&conn->core, -ECANCELED, "the connection was closed");
	cancel_calls(conn);
	close(conn->fd);
	shm_free(conn->shm);
	conn_fini(&conn->core);
	free(conn);
}

/* -- reading -- */

static void set_cloexec(int fd)
{
	if (!MSG_CMSG_CLOEXEC)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Bytes of a control message that are there. Where the buffer was too small for it, Darwin leaves
 * its length as it was sent (XNU, uipc_syscalls.c:copyout_control). */
static size_t cmsg_bytes(const struct msghdr *msg, struct cmsghdr *c)
{
	const unsigned char *data = CMSG_DATA(c);
	const size_t before = (size_t)(data - (const unsigned char *)msg->msg_control);
	const size_t said = c->cmsg_len - CMSG_LEN(0);
	const size_t room = before < msg->msg_controllen ? msg->msg_controllen - before : 0;
	return said < room ? said : room;
}

/* The descriptors of a message; returns how many. `fds` has room for all the control buffer holds.
 */
static size_t take_fds(struct msghdr *msg, int *fds)
{
	size_t n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		const size_t count = cmsg_bytes(msg, c) / sizeof(int);
		memcpy(fds + n, CMSG_DATA(c), count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			set_cloexec(fds[n++]);
	}
	return n;
}

/* One read into `space`. 1: something came; 0: nothing is there now; the negative status: it is
 * over, or -EPIPE, if the end of the stream is to be left to another read. */
static int read_into(struct feth_conn *conn, uint8_t *space, size_t room, bool leave_end)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * CONN_ARRIVED_MAX)];
	} control;
	int fds[sizeof(control) / sizeof(int)];
	struct iovec iov = { .iov_base = space, .iov_len = room };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };

	ssize_t n;
	do
		n = recvmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0 && leave_end)
		return conn_error(&conn->core, -EPIPE, "the server closed the connection");
	if (n < 0 && errno != ECONNRESET)
		return conn_fail(&conn->core, -errno, "cannot read: %s", strerror(errno));
	if (n < 0)
		return conn_eof(&conn->core);

	const size_t n_fds = take_fds(&msg, fds);
	conn_received(&conn->core, (size_t)n, fds, n_fds);
	if (msg.msg_flags & MSG_CTRUNC)
		return conn_fail(&conn->core, -EIO,
			"descriptors were lost: too many at once, or this process has too many");
	return n ? 1 : conn_eof(&conn->core);
}

static int fill(struct feth_conn *conn)
{
	uint8_t *space;
	const size_t room = conn_space(&conn->core, &space);
	return read_into(conn, space, room, false);
}

/* The same while feth_send() waits, when everything that is there stays where it is. Where there is
 * no room behind that, a millisecond passes instead. */
static int fill_behind(struct feth_conn *conn)
{
	uint8_t *space;
	const size_t room = conn_space_behind(&conn->core, &space);
	if (room)
		return read_into(conn, space, room, true);
	poll(NULL, 0, 1);
	return 1;
}

/* -- writing -- */

/* Writes one plan. Bytes written; 0: nothing fits; -errno, with the sentence. */
static ssize_t write_plan(struct feth_conn *conn, struct conn_plan *plan)
{
	/* an int or a size_t, as the system has it */
	struct msghdr msg = { .msg_iov = plan->iov, .msg_iovlen = (uint16_t)plan->n_iov };
	ssize_t n;
	do
		n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	const int rc = -errno;
	if (rc == -EAGAIN || rc == -EWOULDBLOCK)
		return 0;
	if (rc == -EPIPE || rc == -ECONNRESET || rc == -ENOTCONN)
		return conn_error(&conn->core, -EPIPE, "the server closed the connection");
	return conn_error(&conn->core, rc, "cannot write: %s", strerror(-rc));
}

bool feth_wants_write(const struct feth_conn *conn)
{
	return conn->core.tx.start < conn->core.tx.end;
}

int feth_flush(struct feth_conn *conn)
{
	if (conn->core.status)
		return conn->core.status;
	while (feth_wants_write(conn)) {
		struct conn_plan plan;
		conn_plan(&conn->core, &plan, NULL, 0);
		const ssize_t n = write_plan(conn, &plan);
		if (n <= 0)
			return (int)n;
		conn_sent(&conn->core, &plan, (size_t)n);
	}
	return 0;
}

/* How many of the frames can be sent at all; an error if it is not even the first. */
static int usable(struct feth_conn *conn, const struct feth_frame *frames, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const uint32_t len = frames[i].len;
		if (len >= FETH_FRAME_MIN && len <= FETH_FRAME_MAX)
			continue;
		if (i)
			return (int)i;
		return conn_error(&conn->core, -EINVAL,
			"a frame of %u bytes: it must have %u to %u", len, FETH_FRAME_MIN,
			FETH_FRAME_MAX);
	}
	return (int)n;
}

/* Up to CONN_BATCH frames by one system call. Frames taken; 0: none fits; -errno. */
static int send_batch(struct feth_conn *conn, const struct feth_frame *frames, size_t n)
{
	struct conn_plan plan;
	const int good = usable(conn, frames, n < CONN_BATCH ? n : CONN_BATCH);
	if (good < 0)
		return good;
	conn_plan(&conn->core, &plan, frames, (size_t)good);
	const ssize_t bytes = write_plan(conn, &plan);
	if (bytes <= 0)
		return (int)bytes;
	return conn_sent(&conn->core, &plan, (size_t)bytes);
}

/* Waits until something can be written. */
static int wait_writable(struct feth_conn *conn)
{
	const int rc = wait_for(conn, POLLOUT, UINT64_MAX);
	if (rc < 0)
		return conn_error(&conn->core, rc, "cannot wait: %s", strerror(-rc));
	return 0;
}

static int send_stream(struct feth_conn *conn, const struct feth_frame *frames, size_t n)
{
	size_t taken = 0;
	int rc = conn->core.status;

	while (!rc && taken < n) {
		const size_t queued = conn->core.tx.end - conn->core.tx.start;
		rc = send_batch(conn, frames + taken, n - taken);
		if (rc > 0) {
			taken += (size_t)rc;
			rc = 0;
			continue;
		}
		if (rc < 0 || queued > conn->core.tx.end - conn->core.tx.start)
			continue; /* an error, or only what was queued before went out */
		if (conn->nonblocking)
			break;
		rc = wait_writable(conn);
	}
	/* the rest of a frame that was begun goes out as well, if we may wait for that */
	while (!rc && !conn->nonblocking && feth_wants_write(conn)) {
		rc = feth_flush(conn);
		if (!rc && feth_wants_write(conn))
			rc = wait_writable(conn);
	}
	return taken ? (int)taken : rc;
}

/* -- frames in shared memory -- */

/* Tells a server that sleeps beside its rings. 0, or -errno with the sentence */
static int wake(struct feth_conn *conn)
{
	int rc = conn_wake(&conn->core);
	if (!rc)
		rc = feth_flush(conn);
	while (!rc && !conn->nonblocking && feth_wants_write(conn)) {
		rc = wait_writable(conn);
		if (!rc)
			rc = feth_flush(conn);
	}
	return rc;
}

static int publish(struct feth_conn *conn)
{
	struct shm *shm = conn->shm;
	int rc = 0;
	if (ring_publish(&shm->tx) && (rc = wake(conn)) < 0) {
		shm->full = true; /* the reason is in the socket, if there is one for good */
		atomic_store(&shm->tx.words->empty, 1);
	}
	if (shm->tx.broken)
		rc = conn_fail(&conn->core, -EPROTO, "the server broke the rules of shared memory");
	return rc;
}

/* Reads the wake that says there is room; one for who receives may be with it. 0, or -errno */
static int read_behind(struct feth_conn *conn)
{
	const int got = fill_behind(conn);
	if (got > 0)
		shm_wants_wake(conn->shm);
	return got < 0 ? got : 0;
}

/* Waits until the server may have made room; its wake comes by the socket. */
static int wait_room(struct feth_conn *conn)
{
	const int rc = wait_for(conn, POLLIN, UINT64_MAX);
	if (rc < 0)
		return conn_error(&conn->core, rc, "cannot wait: %s", strerror(-rc));
	return read_behind(conn);
}

static int send_rings(struct feth_conn *conn, const struct feth_frame *frames, size_t n)
{
	struct shm *shm = conn->shm;
	const uint8_t *const *vnet = conn->core.vnet_out;
	size_t taken = 0;
	int rc = conn->core.status;
	if (!rc && shm->full)
		rc = read_behind(conn);
	shm->full = rc < 0; /* then that is what the next one hears, too */
	while (!rc && taken < n) {
		taken += shm_put(shm, frames + taken, vnet ? vnet + taken : NULL, n - taken);
		rc = publish(conn);
		if (rc || taken == n)
			break;
		rc = usable(conn, frames + taken, 1); /* 1, or why not */
		if (rc < 0)
			break;
		rc = 0;
		if (!ring_wait(&shm->tx, WIRE_OFFLOAD_LEN + frames[taken].len))
			continue; /* there is some by now */
		shm->full = conn->nonblocking;
		if (shm->full)
			break;
		rc = wait_room(conn);
	}
	return taken ? (int)taken : rc;
}

int feth_send(struct feth_conn *conn, const struct feth_frame *frames, size_t n)
{
	if (n > INT32_MAX)
		n = INT32_MAX; /* what can be returned */
	const int rc = conn->shm ? send_rings(conn, frames, n) : send_stream(conn, frames, n);
	conn->unsent = rc >= 0 && (size_t)rc < n;
	return rc;
}

int feth_send_vnet(struct feth_conn *conn, const struct feth_frame *frames,
	const uint8_t *const *vnet, size_t n)
{
	conn->core.vnet_out = vnet;
	conn->core.sending = frames;
	const int rc = feth_send(conn, frames, n);
	conn->core.vnet_out = NULL;
	return rc;
}

/* Frames from the ring: how many, or why the connection is over. */
static int take(struct feth_conn *conn, struct feth_frame *frames, size_t max)
{
	const int n =
		shm_take(conn->shm, frames, conn->core.vnet_in, max, &conn->core.counters.ignored);
	if (n < 0)
		return conn_fail(&conn->core, n, "the server broke the rules of shared memory");
	return n;
}

/* Gives back what was handed out, and takes what is there, now and then after a look at the
 * socket. */
static int begin_recv(struct feth_conn *conn, struct feth_frame *frames, size_t max)
{
	if (ring_release(&conn->shm->rx))
		(void)wake(conn); /* an error shows again where it can be told */
	if (!conn->core.status && ++conn->shm->calls % STREAM_EVERY == 0) {
		(void)fill(conn);
		return 0;
	}
	return take(conn, frames, max);
}

/* Gives back what was passed over. False: there is more. */
static bool sleep_at_ring(struct feth_conn *conn)
{
	if (ring_release(&conn->shm->rx))
		(void)wake(conn); /* an error shows again where it can be told */
	return ring_sleep(&conn->shm->rx);
}

/* -- receiving -- */

void feth_on_notice(struct feth_conn *conn, feth_notice_fn *fn, void *user)
{
	conn->on_notice = fn;
	conn->notice_user = user;
}

static void close_all(const int *fds, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		close(fds[i]);
}

/* Runs callbacks up to the next frame. 1: some ran; 0: none; or the negative status. */
static int dispatch(struct feth_conn *conn)
{
	struct conn_item item;
	for (int ran = 0;; ran = 1) {
		switch (conn_next(&conn->core, &item)) {
		case CONN_NONE:
		case CONN_FRAME:
			return ran;
		case CONN_FAILED:
			cancel_calls(conn);
			return conn->core.status;
		case CONN_REPLY:
			if (item.fn)
				item.fn(conn, &item.reply, item.user);
			else
				close_all(item.reply.fds, item.reply.n_fds);
			break;
		case CONN_NOTICE:
			if (conn->on_notice)
				conn->on_notice(conn, &item.notice, conn->notice_user);
			break;
		}
	}
}

/* Waits for something to read, and meanwhile writes what waits. 1: read; 0: time is up; -errno. */
static int wait_readable(struct feth_conn *conn, uint64_t deadline)
{
	for (;;) {
		const bool writing = feth_wants_write(conn) && !conn->send_over;
		int rc = wait_for(conn, writing ? POLLIN | POLLOUT : POLLIN, deadline);
		if (rc <= 0)
			return rc;
		if (!writing)
			return 1;
		rc = feth_flush(conn);
		if (rc < 0 && rc != -EPIPE)
			return rc;
		if (rc < 0)
			conn->send_over = true; /* what the server sent before can still be read */
		rc = wait_for(conn, POLLIN, 0);
		if (rc)
			return rc;
	}
}

/* Either frames or records is NULL. */
static int receive(struct feth_conn *conn, struct feth_frame *frames, struct feth_record *records,
	size_t max, int timeout_ms)
{
	const uint64_t deadline = deadline_of(timeout_ms);
	bool told = false;
	unsigned fills = 0;
	int n = 0;
	if (!max)
		return conn_error(&conn->core, -EINVAL, "no room for a frame");
	if (max > INT32_MAX)
		max = INT32_MAX;
	if (frames && conn->shm)
		n = begin_recv(conn, frames, max);
	if (n)
		return n;

	for (;;) {
		conn_recycle(&conn->core);
		int rc = dispatch(conn);
		if (rc < 0) { /* what the server had put before is still there */
			n = frames && conn->shm ? take(conn, frames, max) : 0;
			return n > 0 ? n : rc;
		}
		told |= rc > 0;
		n = frames ? (int)conn_frames(&conn->core, frames, max)
			   : (int)conn_records(&conn->core, records, max);
		if (!n && frames && conn->shm) /* a callback may have attached, or detached */
			n = take(conn, frames, max);
		if (n)
			return n;
		if (fills >= FILLS_MAX && (told || now_ms() >= deadline)) {
			if (frames && conn->shm)
				shm_wants_wake(conn->shm);
			return 0;
		}

		rc = fill(conn);
		if (rc < 0)
			continue; /* dispatch() tells */
		if (rc > 0) {
			fills++;
			continue;
		}
		if (frames && conn->shm && !sleep_at_ring(conn)) {
			fills++;
			continue;
		}
		if (told || !timeout_ms)
			return 0;
		rc = wait_readable(conn, deadline);
		if (rc < 0)
			return conn_error(&conn->core, rc, "cannot wait: %s", strerror(-rc));
		if (!rc)
			return 0;
	}
}

/* A callback may call this again. */
static int receive_frames(struct feth_conn *conn, struct feth_frame *frames, const uint8_t **vnet,
	size_t max, int timeout_ms)
{
	const uint8_t **outer = conn->core.vnet_in;
	if (conn->core.records)
		return conn_error(&conn->core, -EINVAL, "a monitor receives records, not frames");
	conn->core.vnet_in = vnet;
	const int rc = receive(conn, frames, NULL, max, timeout_ms);
	conn->core.vnet_in = outer;
	return rc;
}

int feth_recv(struct feth_conn *conn, struct feth_frame *frames, size_t max, int timeout_ms)
{
	return receive_frames(conn, frames, NULL, max, timeout_ms);
}

int feth_recv_vnet(struct feth_conn *conn, struct feth_frame *frames, const uint8_t **vnet,
	size_t max, int timeout_ms)
{
	for (size_t i = 0; i < max; i++)
		vnet[i] = NULL; /* also where callbacks run, and no frame comes */
	return receive_frames(conn, frames, vnet, max, timeout_ms);
}

int feth_recv_records(
	struct feth_conn *conn, struct feth_record *records, size_t max, int timeout_ms)
{
	if (!conn->core.records)
		return conn_error(&conn->core, -EINVAL, "this connection is no monitor");
	return receive(conn, NULL, records, max, timeout_ms);
}

/* -- calling -- */

/* The reply of a call that got no answer. */
static int no_answer(struct feth_conn *conn, struct feth_reply *reply, int rc)
{
	*reply = (struct feth_reply){ .status = rc, .code = "", .message = conn->core.why };
	return rc;
}

/* Waits for one reply. 0: it is in *item; -errno, with the sentence. */
static int await(struct feth_conn *conn, uint32_t msgid, int timeout_ms, struct conn_item *item)
{
	const uint64_t deadline = deadline_of(timeout_ms);
	bool late = false;
	for (;;) {
		const enum conn_kind kind = conn_await(&conn->core, msgid, item);
		if (kind == CONN_REPLY)
			return 0;
		if (kind == CONN_FAILED)
			return conn->core.status;
		if (late)
			return conn_error(&conn->core, -ETIMEDOUT,
				"the server did not answer within %d ms", timeout_ms);

		int rc = fill(conn);
		if (!rc) {
			rc = wait_readable(conn, deadline);
			late = !rc;
			if (rc < 0 && rc != -EINTR)
				return conn_error(
					&conn->core, rc, "cannot wait: %s", strerror(-rc));
		} else if (rc > 0) { /* it is looked at once more */
			late = deadline != UINT64_MAX && now_ms() >= deadline;
		} /* else conn_await() tells */
	}
}

int feth_call(struct feth_conn *conn, const char *method, const uint8_t *params, size_t params_len,
	struct feth_reply *reply, int timeout_ms)
{
	struct feth_reply unwanted;
	struct conn_item item;
	uint32_t msgid;
	struct feth_reply *out = reply ? reply : &unwanted;

	int rc = conn_call(&conn->core, method, params, params_len, NULL, NULL, &msgid);
	if (rc < 0)
		return no_answer(conn, out, rc);
	rc = feth_flush(conn);
	if (rc == -EPIPE)
		conn->send_over = true;
	conn_recycle(&conn->core);
	rc = await(conn, msgid, timeout_ms, &item);
	if (conn->shm)
		shm_wants_wake(conn->shm);
	if (rc < 0) {
		conn_forget(&conn->core, msgid);
		return no_answer(conn, out, rc);
	}

	*out = item.reply;
	if (!reply)
		close_all(unwanted.fds, unwanted.n_fds);
	if (item.reply.status)
		conn_error(&conn->core, 0, "%s", item.reply.message);
	return item.reply.status;
}

int feth_call_start(struct feth_conn *conn, const char *method, const uint8_t *params,
	size_t params_len, feth_reply_fn *fn, void *user)
{
	uint32_t msgid;
	if (!fn)
		return conn_error(&conn->core, -EINVAL, "%s: no callback", method);
	const int rc = conn_call(&conn->core, method, params, params_len, fn, user, &msgid);
	if (!rc)
		feth_flush(conn); /* an error shows again where it can be told */
	return rc;
}

/* -- the rest -- */

void feth_set_nonblocking(struct feth_conn *conn, bool nonblocking)
{
	conn->nonblocking = nonblocking;
}

short feth_events(const struct feth_conn *conn)
{
	const bool out = feth_wants_write(conn) || (conn->unsent && !conn->shm);
	return out ? POLLIN | POLLOUT : POLLIN;
}

int feth_fd(const struct feth_conn *conn)
{
	return conn->fd;
}

const char *feth_error(const struct feth_conn *conn)
{
	return conn->core.why;
}

void feth_get_counters(const struct feth_conn *conn, struct feth_counters *out)
{
	*out = conn->core.counters;
}

const char *feth_version(void)
{
	return FETHD_VERSION;
}
