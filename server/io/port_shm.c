/* port_shm.c - see port_shm.h. */
#include "server/io/port_shm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "protocol/ring.h"
#include "server/core/arpnd.h"
#include "server/core/offload.h"
#include "server/io/shmem.h"

/* Bytes put into a ring before the client may see them, at the latest: 32 frames of 60 bytes or
 * more, as many as bring what there is to be had (limits.md, 7). */
#define SHOW_BYTES 2048u

/* Read of a ring whose client had to rest, before it is known whether there is room again. */
#define PROBE_BYTES (16u * 1024u)

/* Copied of every frame: whatever headers anybody reads, and what may be owed on them. */
#define HEAD_BYTES OFFLOAD_HEADERS

/* The shortest frames are many, and a call of memcpy() is a third of all that is done with one.
 * Records of them are one cache line or two. */
#define LINE 64u
#define SHORT_LINE (LINE - RING_WORD) /* bytes of a frame that is one */
#define SHORT (SHORT_LINE + LINE)

#define WAKE_TOPIC UINT64_MAX /* of two wakes that wait one is enough */

struct port_shm {
	struct stream_port *sp;
	port_shm_broken_fn *broken;
	uint8_t *area; /* owned: mapped */
	size_t bytes;  /* of it */
	struct ring_reader rx;
	struct ring_writer tx;
	uint32_t shown;   /* of tx: head as the client may see it */
	uint32_t flushed; /* of tx: head at the flush before */
	bool touched;     /* of tx: something was put, or had no room */
	bool unicast;     /* some of it was for it alone */
	bool dropped;     /* some of that had no room */
	bool held;        /* its client rests: pacing */
	bool waits;       /* for room in tx, so that who sends may go on: pacing, stream.h */
	uint8_t owes;     /* OFFLOAD_*: what frames of the client may owe */
	bool ended;       /* a ring is broken */
	bool busy;        /* `later` is out: it reads in a turn to come */
	struct ioloop_later later;
	uint64_t caught_up_ms; /* when the client had taken all that the flush before had put */
};

/* -- from the client -- */

/* Once: the session closes the connection. */
static void end(struct port_shm *p)
{
	if (!p->ended)
		p->broken(p->sp, "its rings in shared memory make no sense");
	p->ended = true;
}

/* Whether nobody will judge what follows these bytes of a frame, HEAD_BYTES of it: TCP and UDP
 * without extension headers, and what is neither IP nor ARP nor has a tag or an 802.2 header,
 * behind which there may be any of them. */
static bool rest_is_payload(const uint8_t *head)
{
	const uint16_t type = (uint16_t)(head[12] << 8 | head[13]);
	switch (type) {
	case 0x0800:
		return head[23] == 6 || head[23] == 17;
	case 0x86dd:
		return head[20] == 6 || head[20] == 17;
	case 0x0806:
	case ETH_P_CTAG:
	case ETH_P_STAG:
		return false;
	default:
		return type > ETH_LENGTH_MAX;
	}
}

/* Makes a view of a copy of a whole record. */
static inline uint8_t *view_copy(struct frame *f, uint8_t *at, const struct ring_record *rec)
{
	memset(f, 0, sizeof(*f));
	f->len = rec->len;
	const uint8_t hdr = wire_frame_header(at, rec->len);
	memcpy(at + hdr, rec->body, rec->len);
	f->head = at + hdr;
	f->head_len = rec->len;
	f->framing = FRAMING_NATIVE;
	f->wire_hdr = hdr;
	return at + hdr + rec->len;
}

/* Makes a view of a record: of a copy behind the native framing, so that a native stream can have
 * it as it is; of a long one that is payload a copy of its headers, and the rest where it lies.
 * Returns where the next one may be. */
static inline uint8_t *view(struct frame *f, uint8_t *at, const struct ring_record *rec)
{
	memset(f, 0, sizeof(*f));
	f->len = rec->len;
	if (rec->len > EGRESS_COPY) {
		struct seg *rest = (struct seg *)(((uintptr_t)at + 15) & ~(uintptr_t)15);
		uint8_t *head = (uint8_t *)(rest + 1);
		memcpy(head, rec->body, HEAD_BYTES);
		if (rest_is_payload(head)) {
			*rest = (struct seg){ rec->body + HEAD_BYTES, rec->len - HEAD_BYTES };
			f->head = head;
			f->head_len = HEAD_BYTES;
			f->more = rest;
			f->more_n = 1;
			return head + HEAD_BYTES;
		}
	}
	return view_copy(f, at, rec);
}

/* A frame behind the header that says what it owes. False: it may not, or that cannot be. */
static bool view_owing(
	const struct port_shm *p, struct frame *f, uint8_t **at, const struct ring_record *rec)
{
	uint8_t hdr[WIRE_OFFLOAD_LEN];
	if (!p->owes || rec->flags != RING_OFFLOAD || rec->len < sizeof(hdr) + FETH_FRAME_MIN)
		return false;
	memcpy(hdr, rec->body, sizeof(hdr));
	const struct ring_record inner = { .body = rec->body + sizeof(hdr),
		.len = rec->len - (uint32_t)sizeof(hdr) };
	*at = view(f, *at, &inner);
	offload_from_vnet(f, hdr);
	if (!f->offload.flags && !f->offload.gso_type)
		return true;
	f->framing = FRAMING_NONE; /* what stands before it is of frames that owe nothing */
	f->wire_hdr = 0;
	return offload_valid(f, network_facts(p->sp->net)->spec.mtu) &&
	       !(offload_needs(f) & ~p->owes);
}

/* Makes views of short frames that follow one another, from the @n-th on. Returns how many there
 * are then. Each is copied as if its record filled one cache line or two, which the piece of the
 * ring has, and the next one overwrites what was too much: they lie as a native stream has them. */
static unsigned view_short(struct port_shm *p, struct frame *frames, unsigned n, uint8_t **at)
{
	struct ring_reader rx = p->rx; /* nothing written here can be that: it is in registers */
	struct ring_record rec;
	uint8_t *hdr = *at;
	uint32_t left = ring_left(&rx);
	while (n < IOLOOP_BATCH && left >= 2 * LINE && ring_next_short(&rx, &left, SHORT, &rec)) {
		hdr[0] = 0xc4; /* bin 8, as wire_frame_header() writes it, but in place */
		hdr[1] = (uint8_t)rec.len;
		memcpy(hdr + 2, rec.body, SHORT_LINE);
		if (rec.len > SHORT_LINE)
			memcpy(hdr + 2 + SHORT_LINE, rec.body + SHORT_LINE, LINE);
		frames[n++] = (struct frame){
			.head = hdr + 2,
			.head_len = rec.len,
			.len = rec.len,
			.framing = FRAMING_NATIVE,
			.wire_hdr = 2,
		};
		hdr += 2 + rec.len;
	}
	p->rx = rx;
	*at = hdr;
	return n;
}

/* Reads the ring until it ends, or @most bytes; whatever it holds counts, lest a client that always
 * puts more keeps us here. Returns whether there may be more. */
static bool read_ring(struct port_shm *p, uint32_t most)
{
	struct network *net = p->sp->net;
	struct ioloop *loop = p->sp->s.loop;
	struct frame frames[IOLOOP_BATCH];
	struct ring_record rec = { 0 };
	uint8_t *at = ioloop_buf(loop); /* takes IOLOOP_READ and the longest record */
	const uint32_t start = p->rx.tail;
	const uint64_t now_ms = ioloop_now(loop);
	enum ring_item got = RING_RECORD;

	while (got == RING_RECORD && p->rx.tail - start < most && p->sp->attached &&
		network_work(net) < NETWORK_WORK) {
		unsigned n = 0;
		uint32_t segments = 0;
		if (!network_holds(net)) /* what is written again is in the nearest cache */
			at = ioloop_buf(loop);
		while (n < IOLOOP_BATCH && segments < OFFLOAD_STEP && p->rx.tail - start < most) {
			n = view_short(p, frames, n, &at);
			if (n == IOLOOP_BATCH)
				break;
			got = ring_next(&p->rx, &rec);
			if (got != RING_RECORD)
				break;
			if (!rec.flags && rec.len <= 0xff)
				at = view_copy(&frames[n++], at, &rec);
			else if (!rec.flags && rec.len <= FETH_FRAME_MAX)
				at = view(&frames[n++], at, &rec);
			else if (rec.flags && view_owing(p, &frames[n], &at, &rec))
				segments += offload_segments(&frames[n++]);
			else
				network_count(net, p->sp->port.id, DROP_BAD_OFFLOAD, 1, rec.len);
		}
		if (n)
			network_input(net, p->sp->port.id, frames, n, now_ms);
	}
	network_flush(net);
	if (got == RING_BROKEN)
		end(p);
	return got == RING_RECORD;
}

static void wake(struct port_shm *p)
{
	static const uint8_t ext[] = { 0xd4, WIRE_EXT_WAKE, 0 };
	stream_put_message(&p->sp->s, ext, sizeof(ext), WAKE_TOPIC, NULL, 0);
}

static void turn(void *arg)
{
	struct port_shm *p = arg;
	struct ioloop *loop = p->sp->s.loop;
	p->busy = false;
	if (p->ended || p->sp->s.dying)
		return;
	ioloop_batch(loop);
	const bool more = read_ring(p, p->held ? PROBE_BYTES : IOLOOP_READ);
	if (ring_release(&p->rx))
		wake(p);
	if (p->ended)
		return;
	p->held = ioloop_overran(loop);
	if (p->held) {
		p->busy = true;
		ioloop_hold(loop, &p->later, turn, p);
	} else if (more || !ring_sleep(&p->rx)) {
		p->busy = true;
		ioloop_defer(loop, &p->later, turn, p);
	}
}

void port_shm_woken(struct stream_port *sp)
{
	struct port_shm *p = sp->shm;
	if (p->waits) {
		p->waits = false;
		ioloop_release(p->sp->s.loop);
	}
	if (!p->busy) {
		p->busy = true;
		ioloop_defer(p->sp->s.loop, &p->later, turn, p);
	}
}

/* -- to the client -- */

static struct port_shm *of_port(struct port *port)
{
	return stream_port_of_port(port)->shm;
}

static inline bool put(struct port_shm *p, const struct frame *f)
{
	const bool owes = f->offload.flags; /* then the client takes that */
	uint8_t *at = ring_reserve(
		&p->tx, f->len + (owes ? WIRE_OFFLOAD_LEN : 0), owes ? RING_OFFLOAD : 0);
	if (!at)
		return false;
	if (owes) {
		memset(at, 0, WIRE_OFFLOAD_LEN);
		offload_to_vnet(at, f);
		at[VNET_HDR_LEN] = 1; /* num_buffers, as for a guest */
		at += WIRE_OFFLOAD_LEN;
	}
	memcpy(at, f->head, f->head_len);
	at += f->head_len;
	for (unsigned i = 0; i < f->more_n; i++) {
		memcpy(at, f->more[i].base, f->more[i].len);
		at += f->more[i].len;
	}
	return true;
}

static inline void copy_halves(uint8_t *to, const uint8_t *from, uint32_t len, uint32_t half)
{
	memcpy(to, from, half);
	memcpy(to + len - half, from + len - half, half);
}

/* Puts short frames that follow one another, from the @i-th on. Returns where they end. */
static unsigned put_short(
	struct port_shm *p, const struct frame *frames, unsigned i, unsigned n, uint64_t *bytes)
{
	struct ring_writer tx = p->tx; /* as in view_short() */
	uint32_t room = ring_room(&tx);
	const uint32_t unshown = tx.head - p->shown;
	if (room > SHOW_BYTES - unshown)
		room = SHOW_BYTES - unshown;
	for (; i < n; i++) {
		const struct frame *f = &frames[i];
		const uint32_t len = f->len;
		if (len < LINE / 2 || len > SHORT || f->more_n || f->offload.flags)
			break;
		uint8_t *at = ring_reserve_short(&tx, &room, len);
		if (!at)
			break;
		if (len <= LINE) /* in two halves, which may overlap */
			copy_halves(at, f->head, len, LINE / 2);
		else
			copy_halves(at, f->head, len, LINE);
		*bytes += len;
	}
	p->tx = tx;
	return i;
}

void port_shm_send(struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	struct port_shm *p = of_port(port);
	struct port_stats *stats = port->stats;
	unsigned i = 0;
	uint64_t bytes = 0;
	p->touched = true;
	p->unicast |= !flooded;
	if (p->sp->s.dying) {
		stats->drops[DROP_DETACHED] += n;
		return;
	}
	for (;; i++) {
		i = put_short(p, frames, i, n, &bytes);
		if (i == n || !put(p, &frames[i]))
			break;
		bytes += frames[i].len;
		if (p->tx.head - p->shown >= SHOW_BYTES) {
			ring_show(&p->tx);
			p->shown = p->tx.head;
		}
	}
	stats->tx_frames += i;
	stats->tx_bytes += bytes;
	if (i == n)
		return;
	stats->drops[DROP_QUEUE_FULL] += n - i;
	p->dropped |= !flooded;
}

/* Pacing, as stream.h says, but a ring shows that it fills before anything is lost: who sends to it
 * rests while more than half is in it, for a client that had less in the last STREAM_FAST_MS. */
static bool falls_behind(struct port_shm *p)
{
	const uint64_t now_ms = ioloop_now(p->sp->s.loop);
	const uint32_t half = p->tx.size / 2, before = p->flushed - p->tx.tail;
	if ((int32_t)before <= (int32_t)half) /* of what was put in before this batch */
		p->caught_up_ms = now_ms;
	if (!p->dropped && !(p->unicast && ring_used(&p->tx) > half))
		return false;
	if (!p->waits)
		p->waits = ring_wait_half(&p->tx);
	return now_ms - p->caught_up_ms <= STREAM_FAST_MS;
}

void port_shm_flush(struct port *port)
{
	struct port_shm *p = of_port(port);
	if (!p->touched)
		return;
	if (ring_publish(&p->tx))
		wake(p);
	ring_look(&p->tx);
	ioloop_flushed(p->sp->s.loop, falls_behind(p));
	p->shown = p->flushed = p->tx.head;
	p->touched = p->unicast = p->dropped = false;
	if (p->tx.broken)
		end(p);
}

/* What waits in a ring is what waits for another port in its queue and its socket's buffer, and at
 * most what was read in a turn. */
void port_shm_limit(struct port *port, uint32_t bytes)
{
	struct port_shm *p = of_port(port);
	const uint32_t size = p->tx.size;
	const uint32_t beside = IOLOOP_SNDBUF + IOLOOP_READ;
	p->tx.limit = size > beside && bytes < size - beside ? bytes + beside : size;
}

uint32_t port_shm_queued(const struct port *port)
{
	const struct stream_port *sp =
		(const void *)((const char *)port - offsetof(struct stream_port, port));
	struct port_shm *p = sp->shm;
	ring_look(&p->tx);
	return ring_used(&p->tx);
}

/* -- life -- */

int port_shm_open(struct stream_port *sp, uint32_t ring, uint8_t owes, port_shm_broken_fn *broken,
	int *out_fd, struct err *err)
{
	const size_t bytes = ring_area(ring);
	const char *name = network_facts(sp->net)->spec.network;
	if (bytes > PORT_SHM_MAX - sp->clients->shared)
		return err_set(err, -EBUSY,
			"%s: its clients share %zu MiB already, which is the limit; attach without "
			"shm",
			name, PORT_SHM_MAX >> 20);
	struct port_shm *p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, -ENOMEM, "%s: out of memory", name);
	void *area;
	const int fd = shmem_make(bytes, &area);
	if (fd < 0) {
		free(p);
		return err_set(err, fd, "%s: cannot make %zu bytes of shared memory: %s", name,
			bytes, strerror(-fd));
	}
	p->sp = sp;
	p->broken = broken;
	p->owes = owes;
	p->area = area;
	p->bytes = bytes;
	ring_reader_init(&p->rx, area, RING_TO_SERVER, ring);
	ring_writer_init(&p->tx, area, RING_TO_CLIENT, ring);
	(void)ring_sleep(&p->rx); /* the first frame wakes us */
	sp->clients->shared += bytes;
	sp->shm = p;
	*out_fd = fd;
	return 0;
}

void port_shm_close(struct stream_port *sp)
{
	struct port_shm *p = sp->shm;
	if (!p)
		return;
	sp->shm = NULL;
	if (p->busy)
		ioloop_cancel(sp->s.loop, &p->later);
	sp->clients->shared -= p->bytes;
	munmap(p->area, p->bytes);
	free(p);
}
