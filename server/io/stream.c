/* stream.c - see stream.h. */
#include "server/io/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "server/core/drop.h"
#include "server/io/shared.h"
#include "server/priv/sock.h"

/* Our segments go to the kernel as they are. */
_Static_assert(sizeof(struct seg) == sizeof(struct iovec) &&
		       offsetof(struct seg, base) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct seg, len) == offsetof(struct iovec, iov_len),
	"struct seg is laid out like struct iovec");

#define WRITE_SEGS 256u  /* entries of one write from the queue */
#define WRITE_ROUNDS 16u /* writes per turn, so that one fast reader does not hold the loop */

static void close_fd(int fd)
{
	close(fd);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct stream *s)
{
	if (s->dying)
		return;
	const int events =
		(stream_takes_input(s) ? UV_READABLE : 0) | (sendq_empty(&s->q) ? 0 : UV_WRITABLE);
	if (events == s->events)
		return;
	s->events = events;
	if (events)
		uv_poll_start(s->poll, events, on_poll);
	else
		uv_poll_stop(s->poll);
}

static void on_closed(uv_handle_t *handle)
{
	struct stream *s = handle->data;
	free(handle);
	s->poll = NULL;
	if (!s->q.frame_pool->used)
		block_pool_fini(s->q.frame_pool); /* only its spares */
	ioloop_tidy(s->loop);
	s->ops->closed(s);
}

/* The last of a stream: in a turn of its own, so that nobody on the stack still uses it. */
static void bury(void *arg)
{
	struct stream *s = arg;
	if (s->held)
		ioloop_cancel(s->loop, &s->release);
	s->ops->lost(s, s->why);
	if (s->eg)
		ioloop_egress_return(s->loop, s->eg);
	s->eg = NULL;
	sendq_fini(&s->q, close_fd);
	free(s->tail);
	s->tail = NULL;
	uv_close(s->poll,
		on_closed); /* which takes it out of the poller, while the number is ours */
	/* with what is unread, and descriptors that came along */
	if (sock_drained(s->fd))
		close(s->fd);
	else
		(void)shared_close(ioloop_shared(s->loop), s->uid, &s->fd, 1);
	s->fd = -1;
}

static void write_queue(struct stream *s);
static void resumed(void *arg);

/* Input rests while too many answers wait: 64 KiB and one reply (docs/protocol.md, 2). */
static void choke(struct stream *s)
{
	const bool choked = s->q.n_messages >= STREAM_ANSWERS_MAX || s->q.rpc.bytes > SENDQ_RPC_MAX;
	if (s->choked && !choked)
		ioloop_defer(s->loop, &s->resume, resumed, s);
	s->choked = choked;
}

void stream_fail(struct stream *s, const char *why, bool drain)
{
	if (s->dying)
		return;
	if (drain)
		write_queue(s);
	if (s->dying)
		return;
	s->dying = true;
	s->why = why;
	ioloop_defer(s->loop, &s->bury, bury, s);
}

/* Its peer has closed: nothing is written any more. What it sent before that is still to be read;
 * the end is found there. */
static void go_mute(struct stream *s)
{
	s->mute = true;
	sendq_fini(&s->q, close_fd);
	choke(s);
	watch(s);
}

/* One sendmsg. Bytes written, 0 where the socket is full; negative: nothing can be written ever. */
static ssize_t write_segs(
	struct stream *s, const struct seg *segs, unsigned n, const int *fds, uint8_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SENDQ_FDS_MAX * sizeof(int))];
	} control;
	/* the width of its counts is each system's own */
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)segs,
		.msg_iovlen = (uint16_t)n };
	if (n_fds) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = (socklen_t)CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	ssize_t rc;
	do
		rc = sendmsg(s->fd, &msg, SOCK_SEND_FLAGS);
	while (rc < 0 && errno == EINTR);
	if (rc >= 0) {
		s->written += (uint64_t)rc;
		return rc;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return 0;
	if (errno == EPIPE || errno == ECONNRESET) {
		go_mute(s);
		return -1;
	}
	stream_fail(s, "cannot be written to", false);
	return -1;
}

static void set_sndbuf(int fd, uint32_t size)
{
	const int bytes = (int)size; /* more than wmem_max is cut to it, which is fine */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* How fast is it, and what may wait for it? @waits: something does, or is going to. */
static void look_back(struct stream *s, bool waits)
{
	const uint64_t now_ms = ioloop_now(s->loop);
	if (!s->timely || !lag_asks(&s->lag, now_ms, now_ms - s->caught_up_ms))
		return;
	const int unread = sock_unread(s->fd);
	if (unread < 0)
		return;
	if (lag_look(&s->lag, now_ms, s->written, (uint32_t)unread, waits))
		set_sndbuf(s->fd, lag_capped(&s->lag) ? s->lag.cap / 2 /* Linux doubles it */
						      : IOLOOP_SNDBUF);
	s->q.fresh = lag_room(&s->lag, (uint32_t)unread);
}

void stream_set_timely(struct stream *s, bool timely)
{
	if (lag_capped(&s->lag))
		set_sndbuf(s->fd, IOLOOP_SNDBUF);
	lag_init(&s->lag);
	s->q.fresh = UINT32_MAX;
	s->timely = timely;
}

static void write_queue(struct stream *s)
{
	const bool waits = !sendq_empty(&s->q);
	struct seg segs[WRITE_SEGS];
	if (s->q.frames.first)
		look_back(s, true);
	for (unsigned round = 0; round < WRITE_ROUNDS && !sendq_empty(&s->q) && !s->dying;
		round++) {
		const int *fds;
		uint8_t n_fds;
		const unsigned n = sendq_fill(&s->q, segs, WRITE_SEGS, &fds, &n_fds);
		const ssize_t rc = write_segs(s, segs, n, fds, n_fds);
		if (rc <= 0)
			break;
		sendq_consume(&s->q, (size_t)rc, close_fd);
	}
	choke(s);
	watch(s);
	if (waits && sendq_empty(&s->q)) {
		s->caught_up_ms = ioloop_now(s->loop);
		lag_caught_up(&s->lag);
		ioloop_release(s->loop);
	}
}

void stream_put_message(struct stream *s, const void *data, size_t len, uint64_t topic,
	const int *fds, uint8_t n_fds)
{
	const int rc = s->dying || s->mute
			       ? -EPIPE
			       : sendq_put_message(&s->q, data, (uint32_t)len, topic, fds, n_fds);
	if (rc < 0) {
		for (unsigned i = 0; i < n_fds; i++)
			close(fds[i]);
		if (rc == -ENOBUFS)
			ioloop_counters(s->loop)->slow++;
		if (rc != -EPIPE)
			stream_fail(s, rc == -ENOBUFS ? "too slow for its RPC" : "out of memory",
				false);
		return;
	}
	/* answers to one read are written together, unless they are more than may wait */
	if (!s->reading || s->q.rpc.bytes > SENDQ_RPC_MAX / 2 ||
		s->q.n_messages >= STREAM_ANSWERS_MAX)
		write_queue(s);
}

/* Ends the batch so far: writes what the socket takes, keeps or drops the rest. */
static void settle(struct stream *s, struct egress *eg)
{
	struct egress_sum sum;
	size_t written = 0;
	/* It may have room for what waits: the kernel says so late, at three quarters free
	 * (unix_writable()). Of an overload at 1514 bytes 2 % are lost so, against 7. */
	if (eg->n_frames && !sendq_empty(&s->q))
		write_queue(s);
	if (eg->n_frames && sendq_empty(&s->q) && !s->dying && !s->mute) {
		const ssize_t rc = write_segs(s, eg->segs, eg->n_segs, NULL, 0);
		written = rc > 0 ? (size_t)rc : 0;
		if (written < eg->bytes)
			s->caught_up_ms = ioloop_now(s->loop); /* until now */
	}
	if (s->dying || s->mute) {
		if (s->stats)
			s->stats->drops[DROP_DETACHED] += eg->n_frames;
		egress_reset(eg);
		return;
	}
	if (written < eg->bytes || lag_capped(&s->lag))
		look_back(s, written < eg->bytes);
	egress_settle(eg, written, &s->q, &sum);
	s->dropped |= sum.full && s->unicast;
	s->unicast = false;
	if (s->stats) {
		s->stats->tx_frames += sum.frames;
		s->stats->tx_bytes += sum.bytes;
		s->stats->drops[DROP_QUEUE_FULL] += sum.full;
		s->stats->drops[DROP_NO_MEMORY] += sum.no_memory;
	}
	if (sum.broken)
		stream_fail(s, "out of memory", false);
	watch(s);
}

/* A slow reader's share of a flooded run: references to the one copy. */
static void keep_shared(struct stream *s, const struct frame *frames, unsigned n)
{
	if (s->eg && s->eg->n_frames)
		settle(s, s->eg); /* what came before goes before */
	look_back(s, true);
	for (unsigned i = 0; i < n; i++) {
		switch (sendq_put_shared(&s->q, &frames[i])) {
		case SENDQ_TAKEN:
			s->stats->tx_frames++;
			s->stats->tx_bytes += frames[i].len;
			break;
		case SENDQ_FULL:
			s->stats->drops[DROP_QUEUE_FULL]++;
			break;
		case SENDQ_NO_MEMORY:
			s->stats->drops[DROP_NO_MEMORY]++;
			break;
		}
	}
	watch(s);
}

void stream_send(struct stream *s, struct frame *frames, unsigned n, bool flooded)
{
	if (s->dying || s->mute) {
		if (s->stats)
			s->stats->drops[DROP_DETACHED] += n;
		return;
	}
	if (flooded && !sendq_empty(&s->q)) {
		keep_shared(s, frames, n);
		return;
	}
	s->unicast |= !flooded;
	if (!s->eg)
		s->eg = ioloop_egress(s->loop);
	struct egress *eg = s->eg ? s->eg : ioloop_egress_shared(s->loop);
	for (;;) {
		const unsigned from = eg->n_frames;
		const unsigned taken = egress_add(eg, frames, n, s->q.framing);
		if (flooded)
			egress_flooded(eg, from);
		if (taken == n)
			break;
		frames += taken;
		n -= taken;
		settle(s, eg); /* full */
		if (s->dying || s->mute) {
			if (s->stats)
				s->stats->drops[DROP_DETACHED] += n;
			return;
		}
	}
	if (!s->eg)
		settle(s, eg);
}

static void finish_egress(struct stream *s)
{
	if (!s->eg)
		return;
	if (s->eg->n_frames)
		settle(s, s->eg);
	ioloop_egress_return(s->loop, s->eg);
	s->eg = NULL;
}

void stream_flush_aside(struct stream *s)
{
	finish_egress(s);
	s->dropped = false;
}

void stream_flush(struct stream *s)
{
	finish_egress(s);
	const uint64_t now_ms = ioloop_now(s->loop);
	if (sendq_empty(&s->q))
		s->caught_up_ms = now_ms;
	/* one with a cap is known to be slow, though little waits for it */
	ioloop_flushed(s->loop,
		s->dropped && !lag_capped(&s->lag) && now_ms - s->caught_up_ms <= STREAM_FAST_MS);
	s->dropped = false;
}

void stream_drop_frames(struct stream *s)
{
	sendq_drop_frames(&s->q);
	watch(s);
}

/* Makes the tail hold @len bytes at least. */
static bool tail_reserve(struct stream *s, size_t len)
{
	if (len <= s->tail_capacity)
		return true;
	uint8_t *bigger = realloc(s->tail, len);
	if (!bigger) {
		stream_fail(s, "out of memory", false);
		return false;
	}
	s->tail = bigger;
	s->tail_capacity = len;
	return true;
}

static void tail_save(struct stream *s, const uint8_t *rest, size_t len)
{
	if (!len) {
		free(s->tail);
		s->tail = NULL;
		s->tail_len = s->tail_capacity = 0;
		return;
	}
	if (!tail_reserve(s, len > s->tail_need ? len : s->tail_need))
		return;
	memmove(s->tail, rest, len);
	s->tail_len = len;
}

/* Completes the object in the tail from buf; returns how much of buf that took. */
static size_t tail_top_up(struct stream *s, const uint8_t *buf, size_t len)
{
	size_t at = 0;
	while (at < len && s->tail_len && stream_takes_input(s)) {
		if (!tail_reserve(s, s->tail_need))
			break;
		size_t part = s->tail_need - s->tail_len;
		if (part > len - at)
			part = len - at;
		memcpy(s->tail + s->tail_len, buf + at, part);
		s->tail_len += part;
		at += part;
		if (s->tail_len < s->tail_need)
			break;
		if (s->ops->input(s, s->tail, s->tail_len, &s->tail_need) == s->tail_len)
			s->tail_len =
				0; /* the bytes stay: views point there until the batch ends */
	}
	return at;
}

static void released(void *arg)
{
	struct stream *s = arg;
	s->held = false;
	watch(s);
	resumed(s);
}

/* A batch of ours is over: rests where somebody could not keep up with it. */
static void pace(struct stream *s)
{
	if (!ioloop_overran(s->loop) || s->dying || s->held)
		return;
	s->held = true;
	ioloop_hold(s->loop, &s->release, released, s);
	watch(s);
}

static void take_input(struct stream *s, const uint8_t *buf, size_t len)
{
	ioloop_batch(s->loop);
	s->reading = true;
	size_t at = s->tail_len ? tail_top_up(s, buf, len) : 0;
	if (!s->tail_len && stream_takes_input(s) && at < len)
		at += s->ops->input(s, buf + at, len - at, &s->tail_need);
	s->ops->batch_end(s);
	s->reading = false;
	if (s->dying)
		return;
	if (!s->tail_len) {
		tail_save(s, buf + at, len - at);
	} else if (at < len && tail_reserve(s, s->tail_len + len - at)) {
		memcpy(s->tail + s->tail_len, buf + at, len - at);
		s->tail_len += len - at;
	}
	if (s->dying)
		return;
	pace(s);
	write_queue(s);
}

static void resumed(void *arg)
{
	struct stream *s = arg;
	if (!stream_takes_input(s))
		return;
	if (s->tail_len) {
		ioloop_batch(s->loop);
		s->reading = true;
		const size_t used = s->ops->input(s, s->tail, s->tail_len, &s->tail_need);
		s->ops->batch_end(s);
		s->reading = false;
		if (s->dying)
			return;
		s->tail_len -= used;
		if (s->tail_len)
			memmove(s->tail, s->tail + used, s->tail_len);
		else
			tail_save(s, NULL, 0);
		pace(s);
	}
	write_queue(s);
}

/* Descriptors that came along are nobody's. */
static void drop_fds(struct stream *s, const void *fds, unsigned n)
{
	ioloop_counters(s->loop)->ignored++;
	if (!shared_close(ioloop_shared(s->loop), s->uid, fds, n))
		stream_fail(s, "sent more descriptors than can be closed", false);
}

/* One recvmsg. */
static ssize_t read_some(struct stream *s, uint8_t *buf)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SOCK_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = IOLOOP_READ };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;
	do
		n = recvmsg(s->fd, &msg, SOCK_RECV_FLAGS);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			drop_fds(s, CMSG_DATA(c), sock_fds(&msg, c));
	return n;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct stream *s = poll->data;
	if (s->dying)
		return;
	if (status < 0) { /* the peer closed without reading all: libuv stopped the poll */
		s->events = 0;
		events = UV_READABLE;
		go_mute(s);
	}
	if (events & UV_WRITABLE)
		write_queue(s);
	/* what waits in the tail to be taken up again comes first */
	if (!stream_takes_input(s) || s->resume.queued || !(events & UV_READABLE))
		return;

	uint8_t *buf = ioloop_buf(s->loop);
	const ssize_t n = read_some(s, buf);
	if (n > 0)
		take_input(s, buf, (size_t)n);
	else if (n == 0)
		stream_fail(s, "closed by peer", true); /* it may only have ended its sending */
	else if (errno != EAGAIN && errno != EWOULDBLOCK)
		stream_fail(s, "closed by peer", false);
}

static void yielded(void *arg)
{
	struct stream *s = arg;
	s->yielded = false;
	watch(s);
	resumed(s);
}

void stream_yield(struct stream *s)
{
	s->yielded = true;
	ioloop_defer(s->loop, &s->yield, yielded, s);
	watch(s);
}

void stream_pause(struct stream *s)
{
	s->paused = true;
	watch(s);
}

void stream_resume(struct stream *s)
{
	if (!s->paused || s->dying)
		return;
	s->paused = false;
	ioloop_defer(s->loop, &s->resume, resumed, s);
}

/* A byte out of band would be thrown away as we read past it, and with it, here, the descriptors
 * that came along. */
static void take_oob(int fd)
{
	const int on = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

int stream_open(struct stream *s, struct ioloop *loop, int fd, uint32_t uid, enum framing framing,
	struct block_pool *frames, const struct stream_ops *ops)
{
	memset(s, 0, sizeof(*s));
	s->loop = loop;
	s->ops = ops;
	s->fd = fd;
	s->uid = uid;
	sendq_init(&s->q, frames, ioloop_rpc_pool(loop), framing);
	lag_init(&s->lag);
	set_sndbuf(fd, IOLOOP_SNDBUF);
	take_oob(fd);

	uv_poll_t *poll = malloc(sizeof(*poll));
	if (!poll) {
		close(fd);
		return -ENOMEM;
	}
	const int rc = uv_poll_init(ioloop_uv(loop), poll, fd);
	if (rc < 0) {
		free(poll);
		close(fd);
		return rc;
	}
	poll->data = s;
	s->poll = poll;
	watch(s);
	return 0;
}
