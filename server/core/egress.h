/* egress.h - the frames of one batch on their way to one stream: what one writev will carry.
 *
 * Frames that arrived in the framing they leave in, one behind the other, become one entry of the
 * write that points into the read buffer, headers included: 98 times vde_switch at 60 bytes,
 * against 47 times with an entry per frame (limits.md, 4). An entry costs the kernel some 30 ns, so
 * what would be many short ones is copied together instead: frames under EGRESS_COPY bytes that
 * stand alone or need another header. Longer ones get a header here and entries of their own.
 *
 * An egress is lent to a port from its first frame in a batch to the flush, so idle ports need
 * none. */
#ifndef SERVER_CORE_EGRESS_H
#define SERVER_CORE_EGRESS_H

#include "server/core/sendq.h"

/* One write carries at most this many entries and frames. 1024 is IOV_MAX on Linux and macOS;
 * frames of 60 bytes then go 62 KiB at a time, where batches of 16 and more cost the same
 * (limits.md, 1). */
#define EGRESS_SEGS 512u
#define EGRESS_FRAMES 1024u
/* Copying n bytes against one more entry, both in ns a frame, measured with one read and one write
 * of 64 KiB: 62 bytes 6 against 31, 512 bytes 13 against 31, 1517 bytes 24 against 50. */
#define EGRESS_COPY 512u
#define EGRESS_FLAT (32u * 1024u)
/* Runs of flooded frames known apart; what comes beyond is kept by each port for itself. A stretch
 * of broadcasts between unicast is one, so more is no traffic but somebody who tries. */
#define EGRESS_FLOODS 32u

struct egress {
	struct egress *next; /* in the loop's list of free ones */
	unsigned n_segs, n_frames;
	uint32_t bytes;    /* of all entries */
	uint32_t flat_len; /* bytes of flat in use */
	uint64_t payload;  /* of the frames alone */
	unsigned n_floods; /* runs of frames that others get as well */
	struct egress_run {
		uint16_t from, to;
	} floods[EGRESS_FLOODS];
	struct seg segs[EGRESS_SEGS];
	uint32_t ends[EGRESS_FRAMES];   /* where each frame ends, in bytes from the start */
	uint8_t hdr_len[EGRESS_FRAMES]; /* framing bytes of each */
	uint8_t flat[EGRESS_FLAT];      /* headers made here, and what was copied behind them */
};

void egress_reset(struct egress *eg);

/* Adds frames to leave in @framing. Returns how many were taken: fewer than @n where it is full, so
 * that the port writes first. An empty one takes any frame of less than EGRESS_SEGS pieces. */
unsigned egress_add(
	struct egress *eg, const struct frame *frames, unsigned n, enum framing framing);

/* Frames from number @from on, up to the last one added, are flooded: those that must be kept are
 * kept once for all ports (block_copy()), unless they are short. */
void egress_flooded(struct egress *eg, unsigned from);

/* What became of the frames of a batch. */
struct egress_sum {
	uint32_t frames; /* written or queued */
	uint64_t bytes;  /* their payload */
	uint32_t full;   /* dropped: no room in the queue */
	uint32_t no_memory;
	bool broken; /* no memory for the rest of a frame begun: the stream can only be closed */
};

/* The first @written bytes went out; the rest of a frame begun goes to the queue, and whole frames
 * behind it as long as there is room. Empties @eg. With a queue that is not empty @written must be
 * 0. */
void egress_settle(struct egress *eg, size_t written, struct sendq *q, struct egress_sum *sum);

#endif
