/* bench_pump.c - clients that carry frames between a tap and a switch, unchanged.
 *
 *   bench_pump TAP native PATH         as most are: a tap without offloads, so its kernel sends and
 *                                      gets segments; up to 64 frames in one write
 *   bench_pump TAP offload PATH        the same with all that a tap can leave to others
 *   bench_pump TAP packet INTERFACE    one frame read, one written, with a poll() before each: the
 *                                      simplest relay there is
 *
 * Prints "ready"; ends with either side. PATH is fethd's native socket, TAP exists or is made. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/ends.h"

#define FRAME_MAX 65553u
#define VNET 12u /* bytes of a virtio_net_hdr, as fethd has it */
#define EXT_OFFLOAD 1u
#define HDR_MAX 6u

struct pump {
	int tap, fd;
	bool offload;
	struct end end;
	uint8_t out[END_BATCH * 2048u + FRAME_MAX]; /* to the switch */
};

static int open_tap(const char *name, bool offload)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), vnet = VNET;
	if (offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -1;
	if (offload && (ioctl(fd, TUNSETVNETHDRSZ, &vnet) < 0 ||
			       ioctl(fd, TUNSETOFFLOAD,
				       TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0))
		return -1;
	return fd;
}

/* [0, 1, "attach", [{"offload": {"rx": […], "tx": […]}}]] */
static int attach_offload(struct end *end, const char *path)
{
	static const char all[] = "\x94\xa4"
				  "csum"
				  "\xa4"
				  "tso4"
				  "\xa4"
				  "tso6"
				  "\xa3"
				  "ecn";
	char request[128];
	const int n = snprintf(request, sizeof(request),
		"\x94%c\x01\xa6"
		"attach"
		"\x91\x81\xa7"
		"offload"
		"\x82\xa2"
		"rx%s"
		"\xa2"
		"tx%s",
		0, all, all);
	return end_attach(end, path, request, (size_t)n);
}

/* The header of a frame whose virtio_net_hdr says what it owes, before both. Bytes. */
static size_t ext_header(uint8_t *out, size_t len)
{
	const uint8_t h[] = { 0xc9, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		(uint8_t)len, EXT_OFFLOAD };
	memcpy(out, h, sizeof(h));
	return sizeof(h);
}

/* What a tap says of a frame, as it may be said on: flags other than NEEDS_CSUM are for receivers.
 */
static bool owes(uint8_t *vnet)
{
	vnet[0] &= 1; /* flags */
	vnet[10] = vnet[11] = 0;
	return vnet[0] != 0;
}

/* What the tap has, up to 64 frames, in one write. */
static int tap_to_stream(struct pump *p)
{
	const size_t before = p->offload ? VNET : 0;
	size_t len = 0;
	for (unsigned n = 0; n < END_BATCH && len + HDR_MAX + VNET + FRAME_MAX <= sizeof(p->out);
		n++) {
		uint8_t *at = p->out + len;
		/* where the frame lies if a header and what it owes go before it */
		const ssize_t got = read(p->tap, at + HDR_MAX, VNET + FRAME_MAX);
		if (got < (ssize_t)before) {
			if (got >= 0 || errno == EAGAIN || errno == EINTR)
				break;
			return -1;
		}
		const size_t frame = (size_t)got - before;
		if (p->offload && owes(at + HDR_MAX)) {
			len += ext_header(at, (size_t)got) + (size_t)got;
			continue;
		}
		/* bin 16 for all: a longer header than a short frame needs, and as valid */
		at[0] = 0xc5;
		at[1] = (uint8_t)(frame >> 8);
		at[2] = (uint8_t)frame;
		memmove(at + 3, at + HDR_MAX + before, frame);
		len += 3 + frame;
	}
	return end_write(p->fd, p->out, len);
}

/* What begins at @b: bytes of its header, and of what is behind it; 0: a message. */
static size_t header(const uint8_t *b, size_t *len, bool *ext)
{
	const unsigned big =
		b[0] >= 0xc7 ? b[0] - 0xc7u : b[0] - 0xc4u; /* 8, 16 or 32 bits of length */
	if (b[0] < 0xc4 || b[0] > 0xc9)
		return 0;
	*ext = b[0] >= 0xc7;
	*len = 0;
	for (unsigned i = 0; i < 1u << big; i++)
		*len = *len << 8 | b[1 + i];
	return 1 + (1u << big) + *ext;
}

/* One frame to the tap, which drops when it is full, as an interface does. */
static int put(struct pump *p, const uint8_t *b, size_t len, bool ext)
{
	static uint8_t nothing[VNET];
	struct iovec iov[2] = { { nothing, p->offload && !ext ? VNET : 0 },
		{ (void *)(uintptr_t)b, len } };
	if (writev(p->tap, iov, 2) < 0 && errno != EAGAIN && errno != EIO && errno != EINVAL)
		return -1;
	return 0;
}

static int stream_to_tap(struct pump *p)
{
	uint8_t *in = p->end.buf;
	const ssize_t n = recv(p->fd, in + p->end.kept, END_READ - p->end.kept, MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	const size_t len = p->end.kept + (size_t)n;
	size_t at = 0;
	while (len - at >= HDR_MAX) {
		size_t body;
		bool ext;
		const size_t hdr = header(in + at, &body, &ext);
		if (!hdr || body > VNET + FRAME_MAX || (ext && !p->offload)) {
			errno = EPROTO;
			return -1;
		}
		if (len - at < hdr + body)
			break;
		if (put(p, in + at + hdr, body, ext) < 0)
			return -1;
		at += hdr + body;
	}
	p->end.kept = len - at;
	memmove(in, in + at, p->end.kept);
	return 0;
}

/* One frame from one side to the other. */
static int one(struct pump *p, int from, int to)
{
	const ssize_t n = read(from, p->out, FRAME_MAX);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (write(to, p->out, (size_t)n) < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EIO)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	static struct pump p = { .end = { .fd = -1, .mac = { 0x02, 0xbe, 0, 0, 0, 9 } } };
	const char *kind = argc == 4 ? argv[2] : "";
	const bool relay = !strcmp(kind, "packet");
	p.offload = !strcmp(kind, "offload");
	if (!relay && !p.offload && strcmp(kind, "native") != 0) {
		fputs("usage: bench_pump TAP native|offload|packet WHERE\n", stderr);
		return 2;
	}
	p.end.ops = relay ? &end_packet : &end_native;
	p.end.buf = malloc(END_BATCH_MAX * END_SLOT);
	p.tap = open_tap(argv[1], p.offload);
	if (p.tap < 0 || !p.end.buf ||
		(p.offload ? attach_offload(&p.end, argv[3])
			   : p.end.ops->open(&p.end, argv[3], relay)) < 0) {
		fprintf(stderr, "bench_pump: %s, %s: %s\n", argv[1], argv[3], strerror(errno));
		return 1;
	}
	p.fd = p.end.fd;
	puts("ready");
	fflush(stdout);
	struct pollfd fds[2] = { { .fd = p.tap, .events = POLLIN },
		{ .fd = p.fd, .events = POLLIN } };
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return 1;
		int rc = 0;
		if (fds[0].revents)
			rc = relay ? one(&p, p.tap, p.fd) : tap_to_stream(&p);
		if (fds[1].revents && rc >= 0)
			rc = relay ? one(&p, p.fd, p.tap) : stream_to_tap(&p);
		if (rc < 0) {
			fprintf(stderr, "bench_pump: %s\n", strerror(errno));
			return 1;
		}
	}
}
