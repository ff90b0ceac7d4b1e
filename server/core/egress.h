/* egress.h - the frames of one batch on their way to one stream: what one writev will carry.
 *
 * Frames that arrived in the framing they leave in, one behind the other, become one entry of the
 * write that points into the read buffer, headers included: 98 times vde_switch at 60 bytes,
 * against 47 times with an entry per frame (limits.md, 4). Anything else gets a header here and
 * entries of its own.
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

struct egress {
	struct egress *next; /* in the loop's list of free ones */
	unsigned n_segs, n_frames;
	uint32_t bytes;   /* of all entries */
	uint64_t payload; /* of the frames alone */
	struct seg segs[EGRESS_SEGS];
	uint32_t ends[EGRESS_FRAMES];   /* where each frame ends, in bytes from the start */
	uint8_t hdr_len[EGRESS_FRAMES]; /* framing bytes of each */
	uint8_t hdrs[EGRESS_FRAMES][8]; /* headers written here, for those that had none to reuse */
};

void egress_reset(struct egress *eg);

/* Whether @frame can still be added; else the port flushes first. */
bool egress_fits(const struct egress *eg, const struct frame *frame);

/* Adds a frame to leave in @framing. It must fit. */
void egress_add(struct egress *eg, const struct frame *frame, enum framing framing);

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
