/* fuzz_tapio.c - what the other side of a tap gives to its reader: any virtio_net_hdr before any
 * bytes, runts and nothing. A socket that keeps messages apart stands in for the tap. What is read
 * is what was written, is judged, and can be finished; what is written is what is read there. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/gso.h"
#include "server/hostif/tapio.h"
#include "tests/support/rng.h"
#include "tests/support/segments.h"

#define FRAMES 8u

struct message {
	const uint8_t *data;
	uint32_t len;
};

/* What a tap says of a frame does not outlive the judgement unless it can be done. */
static void finish(struct frame *f, uint32_t mtu)
{
	if (!offload_valid(f, mtu) || !offload_needs(f))
		return;
	const struct cut cut = cut_frame(f);
	if (f->offload.gso_type)
		check_segments(f, cut.out, cut.n);
	cut_free(&cut);
}

/* In two pieces, to whoever has the other end. */
static void write_back(int fds[2], bool vnet, const struct frame *f, uint32_t cut)
{
	static uint8_t got[VNET_HDR_LEN + FETH_FRAME_MAX];
	const uint32_t hdr = vnet ? VNET_HDR_LEN : 0;
	const struct seg more = { f->head + cut, f->len - cut };
	struct frame out = *f;
	out.head_len = cut;
	out.more = &more;
	out.more_n = 1;
	must(tapio_send(fds[0], vnet, &out, 1) == 1);
	must(read(fds[1], got, sizeof(got)) == (ssize_t)(hdr + f->len));
	must(!memcmp(got + hdr, f->head, f->len));
	struct frame back = { .head = got + hdr, .head_len = f->len, .len = f->len };
	if (!vnet)
		return;
	offload_from_vnet(&back, got);
	must(back.offload.flags == f->offload.flags &&
		back.offload.gso_type == f->offload.gso_type);
}

static void judge(const struct message *m, struct frame *f, bool vnet, uint32_t mtu, int fds[2])
{
	const uint32_t hdr = vnet ? VNET_HDR_LEN : 0;
	const uint32_t most = hdr + FETH_FRAME_MAX, len = (m->len < most ? m->len : most) - hdr;
	must(f->len == len && f->head_len == len && !f->more_n);
	must(!memcmp(f->head, m->data + hdr, len));
	struct frame said = { .head = f->head, .head_len = len, .len = len };
	if (vnet && (m->data[0] || m->data[1])) /* else nothing is owed, whatever the rest says */
		offload_from_vnet(&said, m->data);
	must(!memcmp(&said.offload, &f->offload, sizeof(said.offload)));
	if (len < FETH_FRAME_MIN)
		return; /* the switch drops it */
	finish(f, mtu);
	if (offload_valid(f, mtu))
		write_back(fds, vnet, f, FETH_FRAME_MIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t *buf;
	static int fds[2];
	const size_t size = FRAMES * TAPIO_ROOM;
	if (!buf) {
		const int room = 4 * 1024 * 1024;
		must((buf = malloc(size)) != NULL);
		must(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds));
		for (unsigned i = 0; i < 2; i++)
			(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	}
	if (len < 4)
		return 0;
	const bool vnet = data[0] & 1;
	const uint32_t mtu = 68u + (uint32_t)(data[1] << 8 | data[2]);
	struct message msgs[FRAMES];
	struct frame frames[FRAMES];
	unsigned n = 0, good = 0;
	const uint32_t hdr = vnet ? VNET_HDR_LEN : 0;
	bool over = false;
	for (size_t at = 3; at < len && n < FRAMES; n++) {
		/* the last one has all that is left, the others up to 255 bytes */
		const bool last = data[at] == 0xff || n == FRAMES - 1;
		uint32_t l = (uint32_t)(len - at - 1);
		if (!last && l > data[at])
			l = data[at];
		msgs[n] = (struct message){ data + at + 1, l };
		if (send(fds[1], msgs[n].data, l, 0) < 0)
			break;
		at += 1 + l;
	}
	for (unsigned i = 0; i < n && !over; i++) {
		over = msgs[i].len <= hdr;
		good += !over;
	}
	unsigned done = 0;
	while (done < good) {
		const int got = tapio_recv(fds[0], vnet, frames, FRAMES, buf, size);
		must(got > 0 && (unsigned)got <= good - done);
		for (int i = 0; i < got; i++)
			must(frames[i].head >= buf && frames[i].head + frames[i].len <= buf + size);
		for (int i = 0; i < got; i++)
			judge(&msgs[done + (unsigned)i], &frames[i], vnet, mtu, fds);
		done += (unsigned)got;
	}
	if (over && !done) /* as one that was deleted */
		must(tapio_recv(fds[0], vnet, frames, FRAMES, buf, size) == -ENODEV);
	while (recv(fds[0], buf, size, 0) >= 0) /* what came after the end */
		;
	return 0;
}
