/* end_stream.c - ends on a Unix stream: native, QEMU's framing, and native framing with nobody to
 * attach to: through bench_relay, or with nothing between the two ends at all. See ends.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/ends.h"

static uint8_t native_header(uint8_t *out, uint32_t len)
{
	if (len <= 0xff) {
		out[0] = 0xc4;
		out[1] = (uint8_t)len;
		return 2;
	}
	out[0] = 0xc5;
	out[1] = (uint8_t)(len >> 8);
	out[2] = (uint8_t)len;
	return 3;
}

static uint8_t qemu_header(uint8_t *out, uint32_t len)
{
	out[0] = 0;
	out[1] = 0;
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	return 4;
}

int end_connect(struct end *end, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(addr.sun_path, path);
	end->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (end->fd < 0 || connect(end->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	end_socket(end->fd);
	return 0;
}

int end_write(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		const ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -1;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int send_hello(struct end *end)
{
	uint8_t frame[60], hdr[8];
	const size_t len = end_hello(end, frame);
	const uint8_t n = end->ops->header(hdr, (uint32_t)len);
	return end_write(end->fd, hdr, n) < 0 || end_write(end->fd, frame, len) < 0 ? -1 : 0;
}

/* Bytes that a number stands for. */
static size_t number(const uint8_t *p, unsigned bytes)
{
	size_t n = 0;
	while (bytes--)
		n = n << 8 | *p++;
	return n;
}

/* Length of the msgpack object at @p; 0: it is not there to its end. What an answer of fethd has:
 * no floats, nothing that is longer than 65535. */
static size_t object(const uint8_t *p, size_t len)
{
	static const uint8_t width[] = { [0xc4 - 0xc0] = 1,
		2,
		4,
		[0xcc - 0xc0] = 1,
		2,
		4,
		8,
		1,
		2,
		4,
		8,
		[0xd9 - 0xc0] = 1,
		2,
		4,
		2,
		4,
		2,
		4 };
	if (!len)
		return 0;
	const uint8_t t = p[0];
	const unsigned w = t >= 0xc0 && t <= 0xdf ? width[t - 0xc0] : 0;
	if (len < 1 + w)
		return 0;
	size_t at = 1 + w, objects = 0;
	if (t >= 0xa0 && t <= 0xbf)
		at += t & 0x1f;
	else if ((t >= 0xc4 && t <= 0xc6) || (t >= 0xd9 && t <= 0xdb))
		at += number(p + 1, w);
	else if (t >= 0x80 && t <= 0x9f)
		objects = (t & 0xf) * (t < 0x90 ? 2u : 1u);
	else if (t >= 0xdc && t <= 0xdf)
		objects = number(p + 1, w) * (t < 0xde ? 1u : 2u);
	while (objects-- && at <= len) {
		const size_t n = object(p + at, len - at);
		if (!n)
			return 0;
		at += n;
	}
	return at <= len ? at : 0;
}

static void keep(struct end *end, size_t at, size_t len)
{
	end->kept = len - at;
	memmove(end->buf, end->buf + at, end->kept);
}

int end_attach(struct end *end, const char *path, const void *request, size_t bytes)
{
	static const uint8_t done[] = { 0x01, 0x01, 0xc0 }; /* 1, 1, nil, … */
	if (end_connect(end, path) < 0 || end_write(end->fd, request, bytes) < 0)
		return -1;
	size_t len = 0, reply = 0;
	for (unsigned tries = 0; !reply && tries < 50; tries++) {
		const ssize_t n = recv(end->fd, end->buf + len, END_READ - len, 0);
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -1;
		len += n > 0 ? (size_t)n : 0;
		reply = object(end->buf, len);
	}
	const size_t array = end->buf[0] == 0xdc ? 3 : 1; /* of four, in either form */
	if (reply < 6 || memcmp(end->buf + array, done, sizeof(done)) != 0) {
		errno = EPROTO;
		return -1;
	}
	keep(end, reply, len);
	return 0;
}

/* [0, 1, "attach", []] */
static int open_native(struct end *end, const char *where, bool hello)
{
	static const uint8_t attach[] = { 0x94, 0x00, 0x01, 0xa6, 'a', 't', 't', 'a', 'c', 'h',
		0x90 };
	if (end_attach(end, where, attach, sizeof(attach)) < 0)
		return -1;
	return hello ? send_hello(end) : 0;
}

static int open_qemu(struct end *end, const char *where, bool hello)
{
	return end_connect(end, where) < 0 || (hello && send_hello(end) < 0) ? -1 : 0;
}

static int open_raw(struct end *end, const char *where, bool hello)
{
	(void)hello; /* there is no switch to learn it */
	return end_connect(end, where);
}

/* The other end is a raw one; it is waited for when the first frames are. */
static int open_direct(struct end *end, const char *where, bool hello)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	(void)hello;
	if (strlen(where) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(addr.sun_path, where);
	end->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	end->listens = true;
	return end->fd < 0 || bind(end->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
			       listen(end->fd, 1) < 0
		       ? -1
		       : 0;
}

static int stream_send(struct end *end)
{
	struct batch *b = &end->out;
	struct iovec iov[END_BATCH_MAX];
	const size_t stride = b->hdr + b->size;
	const size_t len = stride * b->n;

	batch_stamp(b);
	for (unsigned i = 0; i < b->n; i++)
		iov[i] = (struct iovec){ b->bytes + i * stride, stride };
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = b->n };
	const ssize_t n = sendmsg(end->fd, &msg, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	end->calls++;
	b->next += b->n;
	if ((size_t)n < len && end_write(end->fd, b->bytes + n, len - (size_t)n) < 0)
		return -1;
	return (int)b->n;
}

/* Reads more behind what is kept; 1, or what recv() of the end returns for it. */
static int fill(struct end *end, size_t *len)
{
	const ssize_t n = recv(end->fd, end->buf + end->kept, END_READ - end->kept, 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return -1;
	end->calls++;
	*len = end->kept + (size_t)n;
	return 1;
}

static int native_recv(struct end *end)
{
	size_t len = 0, at = 0;
	const int rc = fill(end, &len);
	if (rc <= 0)
		return rc;
	const uint8_t *p = end->buf;
	while (len - at >= 3) {
		size_t hdr, n;
		if (p[at] == 0xc4) {
			hdr = 2;
			n = p[at + 1];
		} else if (p[at] == 0xc5) {
			hdr = 3;
			n = (size_t)p[at + 1] << 8 | p[at + 2];
		} else {
			errno = EPROTO; /* a message; none is sent to us after attach */
			return -1;
		}
		if (len - at - hdr < n)
			break;
		tally_frame(&end->in, p + at + hdr, n);
		at += hdr + n;
	}
	keep(end, at, len);
	return 1;
}

static int qemu_recv(struct end *end)
{
	size_t len = 0, at = 0;
	const int rc = fill(end, &len);
	if (rc <= 0)
		return rc;
	const uint8_t *p = end->buf;
	while (len - at >= 4) {
		const size_t n = (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
		if (p[at] || n > END_READ - 4) {
			errno = EPROTO;
			return -1;
		}
		if (len - at - 4 < n)
			break;
		tally_frame(&end->in, p + at + 4, n);
		at += 4 + n;
	}
	keep(end, at, len);
	return 1;
}

static int direct_recv(struct end *end)
{
	if (end->listens) {
		const int fd = accept(end->fd, NULL, NULL);
		if (fd < 0)
			return errno == EINTR ? 0 : -1;
		close(end->fd);
		end->fd = fd;
		end->listens = false;
		end_socket(fd);
	}
	return native_recv(end);
}

const struct end_ops end_native = {
	.name = "native",
	.header = native_header,
	.open = open_native,
	.send = stream_send,
	.recv = native_recv,
};

const struct end_ops end_qemu = {
	.name = "qemu",
	.header = qemu_header,
	.open = open_qemu,
	.send = stream_send,
	.recv = qemu_recv,
};

const struct end_ops end_raw = {
	.name = "raw",
	.header = native_header,
	.open = open_raw,
	.send = stream_send,
	.recv = native_recv,
};

const struct end_ops end_direct = {
	.name = "direct",
	.header = native_header,
	.open = open_direct,
	.send = stream_send,
	.recv = direct_recv,
};
