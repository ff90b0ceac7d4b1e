/* sendq.h - what waits to be written to one stream: RPC messages and frames.
 *
 * Two lanes. RPC messages go first, but an object once begun is finished: a reader must never find
 * the middle of a frame replaced by a message. Frames may be dropped when there is no room, whole;
 * messages never are: a put that finds no room is the caller's sign to close the peer.
 *
 * Frames wait in two shapes. Those of one peer alone are bytes in chunks, already framed, many in
 * one block. A flooded frame is a reference to the copy that all queues share, and its own few
 * bytes of framing.
 *
 * Pure: the caller writes what sendq_fill() shows and reports with sendq_consume(), with nothing
 * put in between. */
#ifndef SERVER_CORE_SENDQ_H
#define SERVER_CORE_SENDQ_H

#include <stdbool.h>

#include "protocol/wire.h"
#include "server/core/block.h"
#include "server/core/frame.h"

/* Queued frame bytes of one port, if nobody says: as fast as 1 to 3 MiB (limits.md, 4: out-queue
 * limit), and at 1 Gbit/s 2 ms of old frames. */
#define SENDQ_FRAMES_MAX (256u * 1024u)
/* Queued RPC bytes of one peer before one last reply. */
#define SENDQ_RPC_MAX 65536u
#define SENDQ_FDS_MAX 2u
/* A flooded frame up to this is copied into each queue: the item that would refer to a shared copy
 * is about 110 bytes, and is counted nowhere. */
#define SENDQ_SHORT 256u

struct sendq_item {
	struct sendq_item *next;
	struct block *block;       /* one reference of ours */
	uint32_t off, end;         /* bytes of block->data still to be written */
	uint32_t mark;             /* chunks: an object boundary at or before which off was once */
	uint8_t hdr[WIRE_HDR_MAX]; /* shared frames: the framing, before the block's bytes */
	uint8_t hdr_off, hdr_len;
	uint8_t n_fds; /* messages: descriptors that ride along, owned, closed by the caller */
	int fds[SENDQ_FDS_MAX];
	bool chunk;
	uint64_t topic; /* messages: 0, or the event of which only the newest state matters */
};

struct sendq_lane {
	struct sendq_item *first, *last;
	uint32_t bytes;
};

struct sendq {
	struct block_pool *frame_pool; /* borrowed; the network's */
	struct block_pool *rpc_pool;   /* borrowed; the loop's: frames can never starve messages */
	enum framing framing;          /* of queued frames */
	uint32_t limit; /* bytes of frames that may be queued; SENDQ_FRAMES_MAX at first */
	uint32_t fresh; /* the same, so that they are not old when they are read (lag.h) */
	struct sendq_lane rpc, frames;
	uint32_t n_messages;
	bool rpc_begun; /* the first message is partly written */
};

void sendq_init(
	struct sendq *q, struct block_pool *frames, struct block_pool *rpc, enum framing framing);
/* Drops everything. @drop_fd is told each descriptor that was never sent, to close it. */
void sendq_fini(struct sendq *q, void (*drop_fd)(int fd));
bool sendq_empty(const struct sendq *q);

/* Drops the frames that are not begun; returns how many bytes went. */
uint32_t sendq_drop_frames(struct sendq *q);

/**
 * sendq_put_message() - queue an RPC object
 * @topic:	0, or a number: an unsent message of the same topic goes, for this one says it all.
 *This one stands at the end all the same: what was said in between was true before it
 * @fds:	descriptors to send with it, given to the queue if it is taken; may be NULL
 *
 * Return: 0; -ENOBUFS where more than SENDQ_RPC_MAX bytes wait already (close the peer); -ENOMEM
 */
int sendq_put_message(struct sendq *q, const void *data, uint32_t len, uint64_t topic,
	const int *fds, uint8_t n_fds);
/* Whether a message of @topic, not 0, waits of which nothing is written yet. */
bool sendq_waits(const struct sendq *q, uint64_t topic);

enum sendq_put { SENDQ_TAKEN, SENDQ_FULL, SENDQ_NO_MEMORY };

/* Queues a flooded frame, whose bytes stay until the batch is flushed: by reference to its one copy
 * (block_copy()), or copied where it is short. */
enum sendq_put sendq_put_shared(struct sendq *q, const struct frame *frame);

/* Queues a reference to @block, a whole frame, behind the @hdr_len bytes of framing at @hdr. @done
 * bytes of both are written already, so that what is left is taken over the limit. False: no
 * memory. */
bool sendq_put_block(
	struct sendq *q, struct block *block, const uint8_t *hdr, uint8_t hdr_len, uint32_t done);

/* Room for @len bytes of framed frames at the end of the queue, contiguous, or NULL. @begun: the
 * bytes are the rest of an object partly written, which is taken over the limit; @mark as in the
 * item. sendq_room() says how much may be asked for in all. */
uint8_t *sendq_put_chunk(struct sendq *q, uint32_t len, bool begun);
uint32_t sendq_room(const struct sendq *q);
/* How many bytes one sendq_put_chunk() can best take now: the rest of the last chunk, or a new one.
 */
uint32_t sendq_chunk_room(const struct sendq *q);

/**
 * sendq_fill() - what to write next
 * @iov:	out
 * @max:	entries at iov, at least 3
 * @out_fds:	out: descriptors that belong to iov[0], or NULL; then nothing else is in iov
 * @out_n_fds:	out
 *
 * Return: entries used; 0 where the queue is empty
 */
unsigned sendq_fill(const struct sendq *q, struct seg *iov, unsigned max, const int **out_fds,
	uint8_t *out_n_fds);

/* @written bytes of what sendq_fill() showed have been written. Descriptors that went with them are
 * handed to @drop_fd. */
void sendq_consume(struct sendq *q, size_t written, void (*drop_fd)(int fd));

/* Bytes that one frame takes in a stream, from its first bytes. (Of our own making: always valid.)
 */
uint32_t framing_span(enum framing framing, const uint8_t *p, size_t left);
/* Writes the header a frame of @len bytes has in @framing; returns its length. */
uint8_t framing_header(enum framing framing, uint8_t out[WIRE_HDR_MAX], uint32_t len);
/* The same of a frame that may owe work, which the native framing says (offload.h). */
#define FRAMING_HDR_MAX (WIRE_HDR_MAX + WIRE_OFFLOAD_LEN)
uint8_t framing_header_of(
	enum framing framing, uint8_t out[FRAMING_HDR_MAX], const struct frame *frame);

#endif
