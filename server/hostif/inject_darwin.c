/* inject_darwin.c - see inject_darwin.h. XNU ndrv.c, bpf.c:bpfwrite(). */
#include "server/hostif/inject_darwin.h"

#include <stdio.h>
#include <string.h>

#include "feth/types.h"
#include "server/hostif/bpfrec_darwin.h"
#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"

/* The longest frame is refused where the socket's buffer is smaller, and 8192 is the default (rule
 * 24, NDRVSNDQ). Nothing ever waits in that buffer, so what it may hold costs nothing: 64 KiB is
 * beyond all that a feth takes (16370 bytes behind a header and a tag) and far below what
 * setsockopt() allows (kern.ipc.maxsockbuf, 8 MiB). */
#define SEND_BUFFER (64 * 1024)
_Static_assert(SEND_BUFFER >= DW_FETH_MTU_MAX + FETH_FRAME_MIN + 4, "the longest frame fits");

#define PIECES 1024u     /* of one writev(): UIO_MAXIOV */
#define BATCH 64u        /* frames of one write, as of one recv() */
#define LEEWAY 18u       /* bpf.c: BPF_WRITE_LEEWAY; a header and a tag */
#define WRITE_MAX 65553u /* where nothing says less: no frame of ours is longer */

int ndrv_open(const char *name, const char **out_call)
{
	struct dw_sockaddr_ndrv addr;
	memset(&addr, 0, sizeof(addr));
	addr.len = sizeof(addr);
	addr.family = DW_AF_NDRV;
	snprintf(addr.name, sizeof(addr.name), "%s", name);

	*out_call = "socket AF_NDRV";
	const int fd = darwin_sys.socket(DW_AF_NDRV, DW_SOCK_RAW, 0);
	if (fd < 0)
		return fd;
	/* no release that we know waits in a write (rule 49); one that did would halt all networks
	 */
	int on = 1;
	*out_call = "FIONBIO of AF_NDRV";
	int rc = darwin_sys.ioctl(fd, DW_FIONBIO, &on);
	if (rc >= 0) {
		*out_call = "SO_SNDBUF of AF_NDRV";
		rc = darwin_sys.setsockopt(fd, DW_SOL_SOCKET, DW_SO_SNDBUF, SEND_BUFFER);
	}
	if (rc >= 0) {
		*out_call = "SO_NOSIGPIPE of AF_NDRV";
		rc = darwin_sys.setsockopt(fd, DW_SOL_SOCKET, DW_SO_NOSIGPIPE, 1);
	}
	if (rc >= 0) {
		*out_call = "bind AF_NDRV";
		rc = darwin_sys.bind(fd, &addr, sizeof(addr));
	}
	/* The address means nothing here, but without one write() says EDESTADDRREQ (rule 46). */
	if (rc >= 0) {
		*out_call = "connect AF_NDRV";
		rc = darwin_sys.connect(fd, &addr, sizeof(addr));
	}
	if (rc < 0) {
		darwin_sys.close(fd);
		return rc;
	}
	return fd;
}

/* AF_NDRV has no limit but its buffer, and single BPF writes the kernel's own, which follows the
 * interface. A batch however is refused as a whole for one frame that is too long, so there the
 * limit is ours to keep: what bpf_inject() set. */
void inject_init(struct inject *in, int rx_fd, int tx_fd, uint32_t mtu)
{
	int32_t batch = 0;
	uint32_t most = 0;
	*in = (struct inject){ .fd = tx_fd, .way = INJECT_NDRV, .most = WRITE_MAX };
	if (tx_fd != rx_fd)
		return;
	in->way = INJECT_BPF;
	if (darwin_sys.ioctl(tx_fd, DW_BIOCGBATCHWRITE, &batch) < 0 || !batch)
		return;
	in->way = INJECT_BPF_BATCH;
	if (darwin_sys.ioctl(tx_fd, DW_BIOCGWRITEMAX, &most) < 0 || !most)
		most = mtu;
	in->most = most + LEEWAY < WRITE_MAX ? most + LEEWAY : WRITE_MAX;
}

/* A frame under 14 bytes makes the kernel panic: feth strips a header without looking whether there
 * is one (if_fake.c:feth_output_common(), rule 23). Nobody should give us one; nobody may. */
static bool fits(const struct inject *in, const struct frame *f)
{
	return f->len >= FETH_FRAME_MIN && f->len <= in->most && f->more_n < PIECES - 2;
}

/* Whether an error is of the interface and not of the frame: it is down, which the routing socket
 * tells too, or gone. */
static bool is_end(long rc)
{
	return rc == -DW_ENETDOWN || rc == -DW_ENXIO || rc == -DW_ENODEV || rc == -DW_EBADF;
}

static long write_pieces(int fd, const struct seg *pieces, unsigned n)
{
	return n == 1 ? darwin_sys.write(fd, pieces->base, pieces->len)
		      : darwin_sys.writev(fd, pieces, n);
}

static long write_one(const struct inject *in, const struct frame *f)
{
	struct seg pieces[PIECES];
	pieces[0] = (struct seg){ f->head, f->head_len };
	if (f->more_n)
		memcpy(pieces + 1, f->more, f->more_n * sizeof(*pieces));
	return write_pieces(in->fd, pieces, 1u + f->more_n);
}

static unsigned send_singly(const struct inject *in, const struct frame *frames, unsigned n)
{
	unsigned taken = 0;
	for (unsigned i = 0; i < n; i++) {
		const long rc = fits(in, &frames[i]) ? write_one(in, &frames[i]) : -DW_EMSGSIZE;
		if (rc >= 0)
			taken++;
		else if (is_end(rc))
			break;
	}
	return taken;
}

/* -- batches -- */

struct batch {
	struct seg pieces[PIECES];
	struct dw_bpf_hdr headers[BATCH];
	struct bpfrec_writer w;
	unsigned n; /* frames */
};

/* Lays out as many of @frames as go into one write, but for those that do not fit at all. How many
 * were looked at. */
static unsigned batch_fill(
	struct batch *b, const struct inject *in, const struct frame *frames, unsigned n)
{
	unsigned i = 0;
	b->w = (struct bpfrec_writer){ .pieces = b->pieces, .max = PIECES };
	b->n = 0;
	for (; i < n && b->n < BATCH; i++) {
		if (!fits(in, &frames[i]))
			continue;
		if (!bpfrec_add(&b->w, &b->headers[b->n], &frames[i]))
			break;
		b->n++;
	}
	return i;
}

/* The kernel takes a batch or refuses it as a whole (rule 37), so no frame may be in one that it
 * could refuse for itself; how long they may be was settled before. Where it does so for another
 * reason - its memory is short, say - these are lost. */
static unsigned send_batches(const struct inject *in, const struct frame *frames, unsigned n)
{
	struct batch b;
	unsigned taken = 0;
	for (unsigned at = 0; at < n;) {
		at += batch_fill(&b, in, frames + at, n - at);
		if (!b.n)
			continue;
		const long rc = write_pieces(in->fd, b.pieces, b.w.n);
		if (rc >= 0)
			taken += b.n;
		else if (is_end(rc))
			break;
	}
	return taken;
}

unsigned inject_frames(const struct inject *in, const struct frame *frames, unsigned n)
{
	return in->way == INJECT_BPF_BATCH ? send_batches(in, frames, n)
					   : send_singly(in, frames, n);
}
