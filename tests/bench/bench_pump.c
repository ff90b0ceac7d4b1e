/* bench_pump.c - a plain client as most are: carries frames between a tap and a switch, unchanged.
 * It knows nothing of offloads, so what one side's kernel hands it in segments goes out in
 * segments.
 *
 *   bench_pump TAP native|raw PATH     a stream: up to 64 frames in one write
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
#include <unistd.h>

#include "tests/bench/ends.h"

#define FRAME_MAX 65550u
#define HDR_MAX 5u

static uint8_t in[END_READ], out[END_BATCH_MAX * 2048u + FRAME_MAX]; /* from the switch, to it */

static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	return fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0 ? fd : -1;
}

static int write_all(int fd, const uint8_t *at, size_t len)
{
	while (len) {
		const ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -1;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* What the tap has, up to 64 frames, in one write. */
static int tap_to_stream(int tap, int fd)
{
	size_t len = 0;
	for (unsigned n = 0; n < END_BATCH_MAX && len + 3 + FRAME_MAX <= sizeof(out); n++) {
		const ssize_t got = read(tap, out + len + 3, FRAME_MAX);
		if (got < 0) {
			if (errno == EAGAIN || errno == EINTR)
				break;
			return -1;
		}
		/* bin 16 for all: a longer header than a short frame needs, and as valid */
		out[len] = 0xc5;
		out[len + 1] = (uint8_t)(got >> 8);
		out[len + 2] = (uint8_t)got;
		len += 3 + (size_t)got;
	}
	return write_all(fd, out, len);
}

/* Length of the header at @p and of what follows it; 0: not a frame. */
static size_t header(const uint8_t *p, size_t *len)
{
	switch (p[0]) {
	case 0xc4:
		*len = p[1];
		return 2;
	case 0xc5:
		*len = (size_t)p[1] << 8 | p[2];
		return 3;
	case 0xc6:
		*len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
		return 5;
	default:
		return 0;
	}
}

static int stream_to_tap(int fd, int tap, size_t *kept)
{
	const ssize_t n = recv(fd, in + *kept, sizeof(in) - *kept, MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	const size_t len = *kept + (size_t)n;
	size_t at = 0;
	while (len - at >= HDR_MAX) {
		size_t frame;
		const size_t hdr = header(in + at, &frame);
		if (!hdr || frame > FRAME_MAX) {
			errno = EPROTO;
			return -1;
		}
		if (len - at < hdr + frame)
			break;
		/* a tap that is full drops, as an interface does */
		if (write(tap, in + at + hdr, frame) < 0 && errno != EAGAIN && errno != EIO)
			return -1;
		at += hdr + frame;
	}
	*kept = len - at;
	memmove(in, in + at, *kept);
	return 0;
}

/* One frame from one side to the other. */
static int one(int from, int to)
{
	const ssize_t n = read(from, in, FRAME_MAX);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (write(to, in, (size_t)n) < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EIO)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct end end = { .fd = -1, .mac = { 0x02, 0xbe, 0, 0, 0, 9 } };
	if (argc == 4 && !strcmp(argv[2], "native"))
		end.ops = &end_native;
	else if (argc == 4 && !strcmp(argv[2], "raw"))
		end.ops = &end_raw;
	else if (argc == 4 && !strcmp(argv[2], "packet"))
		end.ops = &end_packet;
	if (!end.ops) {
		fputs("usage: bench_pump TAP native|raw|packet WHERE\n", stderr);
		return 2;
	}
	const bool relay = end.ops == &end_packet;
	const int tap = open_tap(argv[1]);
	end.buf = malloc(END_BATCH_MAX * END_SLOT);
	if (tap < 0 || !end.buf || end.ops->open(&end, argv[3], relay) < 0) {
		fprintf(stderr, "bench_pump: %s, %s: %s\n", argv[1], argv[3], strerror(errno));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	size_t kept = 0;
	struct pollfd p[2] = { { .fd = tap, .events = POLLIN },
		{ .fd = end.fd, .events = POLLIN } };
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return 1;
		int rc = 0;
		if (p[0].revents)
			rc = relay ? one(tap, end.fd) : tap_to_stream(tap, end.fd);
		if (p[1].revents && rc >= 0)
			rc = relay ? one(end.fd, tap) : stream_to_tap(end.fd, tap, &kept);
		if (rc < 0) {
			fprintf(stderr, "bench_pump: %s\n", strerror(errno));
			return 1;
		}
	}
}
