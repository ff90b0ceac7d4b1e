/* stream.h - one connected Unix stream socket on the loop: bytes in, messages and frames out.
 *
 * Built on uv_poll_t with our own recvmsg and sendmsg (descriptors must ride along, and uv_pipe_t
 * costs 11 to 17 %: limits.md, 5). Used by sessions (native, control) and by QEMU-framed ports.
 *
 * Pacing. Frames for a reader whose queue is full are dropped, and nobody waits for it. But a fast
 * reader may only be waiting for a processor, which sender and daemon keep busy with what is then
 * dropped: on two busy processors up to one run in three lost 85 % so (docs/benchmarks.md). So
 * where all of a batch was for ports that had to drop of it, and those had caught up with
 * everything within the last STREAM_FAST_MS, its sender is not read again until a queue has been
 * written out, at most IOLOOP_PACE_MS later. A reader that is slow or has stopped holds nobody, nor
 * does a flooded frame; and who sends to others as well is not held
 * (docs/decisions/0007-pacing.md).
 *
 * Life: OPEN - DYING (stream_fail() was called: no more I/O) - gone. The owner hears `lost` once,
 * in a turn of its own, and `closed` last of all, where it may free the memory. */
#ifndef SERVER_IO_STREAM_H
#define SERVER_IO_STREAM_H

#include <stdbool.h>

#include "server/core/lag.h"
#include "server/core/sendq.h"
#include "server/io/ioloop.h"

/* Answers of one peer that wait to be written: input pauses there (docs/protocol.md, 2), so that a
 * caller who pipelines without end waits for itself. What these may weigh is SENDQ_RPC_MAX. */
#define STREAM_ANSWERS_MAX 64u

#define STREAM_FAST_MS 50u /* a process waits for a processor so long on a busy machine */

struct stream;
struct port_stats;

struct stream_ops {
	/**
	 * input() - decode
	 * @buf:	begins where an object begins
	 * @need:	out: bytes from the start of the first object not consumed that bring
	 * progress
	 *
	 * Return: bytes of whole objects consumed; less than all of them also where the stream was
	 * paused or failed on the way
	 */
	size_t (*input)(struct stream *s, const uint8_t *buf, size_t len, size_t *need);
	void (*batch_end)(struct stream *s); /* all of one read was given; views die after this */
	void (*lost)(struct stream *s, const char *why);
	void (*closed)(struct stream *s);
};

struct stream {
	struct ioloop *loop;
	const struct stream_ops *ops;
	void *poll;            /* owned: a uv_poll_t, freed with the handle */
	int fd;                /* owned */
	uint32_t uid;          /* of its peer */
	int events;            /* what the poll handle waits for */
	bool reading;          /* inside a read: writes are left to its end */
	bool mute;             /* its peer reads no more; what it sent before is still taken */
	bool paused;           /* takes no input: a call is being carried out */
	bool choked;           /* takes no input: STREAM_ANSWERS_MAX, SENDQ_RPC_MAX */
	bool yielded;          /* takes no input before its next turn */
	bool held;             /* takes no input: pacing */
	bool unicast;          /* its egress has frames for it alone */
	bool dropped;          /* some of those, of the present batch */
	bool timely;           /* what waits for it must not be old: see lag.h */
	uint64_t caught_up_ms; /* when nothing waited for it */
	uint64_t written;      /* bytes, so far */
	struct lag lag;
	bool dying;
	const char *why; /* constant text */
	struct ioloop_later bury, resume, release, yield;
	struct sendq q;
	struct egress *eg;        /* frames of this batch; NULL outside of one */
	struct port_stats *stats; /* of the port it is; NULL while it is none */
	uint8_t *tail;            /* owned: bytes of an object not yet whole, or not yet taken */
	size_t tail_len, tail_capacity, tail_need;
};

/* Takes over @fd, also on failure. @frames: pool for queued frames (the rpc pool where there are
 * none). */
int stream_open(struct stream *s, struct ioloop *loop, int fd, uint32_t uid, enum framing framing,
	struct block_pool *frames, const struct stream_ops *ops);

/* Queues a message (rpc.h); @fds are given away. A peer too slow for it is failed, and counted. */
void stream_put_message(struct stream *s, const void *data, size_t len, uint64_t topic,
	const int *fds, uint8_t n_fds);
/* Port operations (port.h) for the stream's own port. */
void stream_send(struct stream *s, struct frame *frames, unsigned n, bool flooded);
void stream_flush(struct stream *s);
/* The same for who does not count for pacing: a monitor, which everything goes to besides. */
void stream_flush_aside(struct stream *s);
/* Drops frames that wait; one that is begun is finished. */
void stream_drop_frames(struct stream *s);
/* Whether what waits for it must not be old: of a port, until it is one no more. */
void stream_set_timely(struct stream *s, bool timely);

static inline bool stream_takes_input(const struct stream *s)
{
	return !s->dying && !s->yielded && !s->paused && !s->choked && !s->held;
}
void stream_yield(struct stream *s); /* goes on in the next turn: others have waited long enough */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s); /* takes up what was held back, in a turn of its own */

/* The stream is of no more use. Writes what still fits if @drain. @why must be constant. */
void stream_fail(struct stream *s, const char *why, bool drain);

#endif
