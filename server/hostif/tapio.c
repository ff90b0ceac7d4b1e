/* tapio.c - see tapio.h. */
#include "server/hostif/tapio.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define ALIGN 64u    /* frames start on cache lines */
#define PIECES 1024u /* of one write (UIO_MAXIOV) */

_Static_assert(sizeof(struct seg) == sizeof(struct iovec) &&
		       offsetof(struct seg, base) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct seg, len) == offsetof(struct iovec, iov_len),
	"a frame's segments are copied as iovecs");

int tapio_recv(int fd, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	size_t used = 0;
	unsigned n = 0;

	if (size < TAPIO_ROOM)
		return -ENOBUFS;
	while (n < max && size - used >= TAPIO_ROOM) {
		const ssize_t got = read(fd, buf + used, TAPIO_ROOM);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (got <= 0) /* whatever the system calls it: tun has three words for it */
			return n ? (int)n : -ENODEV;
		const uint32_t len = (uint32_t)got;
		frames[n++] = (struct frame){ .head = buf + used, .head_len = len, .len = len };
		used += (len + ALIGN - 1) / ALIGN * ALIGN;
		if (used > size)
			break;
	}
	return (int)n;
}

static bool write_one(int fd, const struct frame *f)
{
	struct iovec iov[PIECES];
	ssize_t rc;

	if (f->more_n >= PIECES)
		return false;
	iov[0] = (struct iovec){ .iov_base = (void *)f->head, .iov_len = f->head_len };
	if (f->more_n)
		memcpy(&iov[1], f->more, f->more_n * sizeof(*iov));
	do
		rc = writev(fd, iov, 1 + f->more_n);
	while (rc < 0 && errno == EINTR);
	return rc >= 0;
}

unsigned tapio_send(int fd, const struct frame *frames, unsigned n, uint64_t *out_bytes)
{
	unsigned taken = 0;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!write_one(fd, &frames[i]))
			continue;
		taken++;
		bytes += frames[i].len;
	}
	if (out_bytes)
		*out_bytes = bytes;
	return taken;
}
