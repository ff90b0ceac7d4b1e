/* tapio.c - see tapio.h. */
#include "server/hostif/tapio.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/core/hostif.h"
#include "server/core/offload.h"

#define ALIGN 64u    /* frames begin TAPIO_HEADER bytes behind the start of a cache line */
#define PIECES 1024u /* of one write (UIO_MAXIOV) */

/* Bytes of a frame up to which it is put into one piece behind its header, since write() costs less
 * than writev(): CPU time of a call to a tap is less by 8 % at 60 bytes, by 8 % at 1514, 6 % at
 * 3000 and nothing at 4096; from 9000 bytes on the copy costs more (measured). */
#define SHORT 2048u

_Static_assert(VNET_HDR_LEN <= TAPIO_HEADER, "there is room for it");
_Static_assert(sizeof(struct seg) == sizeof(struct iovec) &&
		       offsetof(struct seg, base) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct seg, len) == offsetof(struct iovec, iov_len),
	"a frame's segments are copied as iovecs");

/* Of what was read at @at, @hdr bytes of them the header. */
static struct frame frame_at(const uint8_t *at, uint32_t got, uint32_t hdr)
{
	const uint32_t len = got - hdr;
	struct frame f = { .head = at + hdr, .head_len = len, .len = len };
	if (hdr && (at[0] || at[1]))
		offload_from_vnet(&f, at);
	return f;
}

int tapio_recv(int fd, bool vnet, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	const uint32_t hdr = vnet ? VNET_HDR_LEN : 0;
	size_t used = 0;
	uint32_t segments = 0;
	unsigned n = 0;

	if (size < TAPIO_ROOM)
		return -ENOBUFS;
	while (n < max && used + TAPIO_ROOM <= size && used < HOSTIF_BATCH_BYTES &&
		segments < OFFLOAD_STEP) {
		uint8_t *at = buf + used + TAPIO_HEADER - hdr;
		const ssize_t got = read(fd, at, hdr + FETH_FRAME_MAX);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (got <= (ssize_t)hdr) /* gone: tun has three words for it */
			return n ? (int)n : -ENODEV;
		frames[n] = frame_at(at, (uint32_t)got, hdr);
		segments += offload_segments(&frames[n]);
		const size_t took = TAPIO_HEADER + frames[n++].len;
		used += (took + ALIGN - 1) / ALIGN * ALIGN;
	}
	return (int)n;
}

static bool write_short(int fd, bool vnet, const struct frame *f)
{
	uint8_t buf[VNET_HDR_LEN + SHORT];
	size_t used = 0;
	ssize_t rc;

	if (vnet) {
		offload_to_vnet(buf, f);
		used = VNET_HDR_LEN;
	}
	memcpy(buf + used, f->head, f->head_len);
	used += f->head_len;
	for (unsigned i = 0; i < f->more_n; i++) {
		memcpy(buf + used, f->more[i].base, f->more[i].len);
		used += f->more[i].len;
	}
	do
		rc = write(fd, buf, used);
	while (rc < 0 && errno == EINTR);
	return rc >= 0;
}

static bool write_long(int fd, bool vnet, const struct frame *f)
{
	uint8_t hdr[VNET_HDR_LEN];
	struct iovec iov[PIECES];
	int n = 0;
	ssize_t rc;

	if (f->more_n > PIECES - 2)
		return false;
	if (vnet) {
		offload_to_vnet(hdr, f);
		iov[n++] = (struct iovec){ .iov_base = hdr, .iov_len = sizeof(hdr) };
	}
	iov[n++] = (struct iovec){ .iov_base = (void *)f->head, .iov_len = f->head_len };
	if (f->more_n)
		memcpy(&iov[n], f->more, f->more_n * sizeof(*iov));
	do
		rc = writev(fd, iov, n + f->more_n);
	while (rc < 0 && errno == EINTR);
	return rc >= 0;
}

unsigned tapio_send(int fd, bool vnet, const struct frame *frames, unsigned n)
{
	unsigned taken = 0;
	for (unsigned i = 0; i < n; i++)
		taken += frames[i].len <= SHORT ? write_short(fd, vnet, &frames[i])
						: write_long(fd, vnet, &frames[i]);
	return taken;
}
