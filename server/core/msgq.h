/* msgq.h - frames that wait to be written to a message socket, whole, one behind the other.
 *
 * What sendq.h is for streams: bounded in bytes, and what does not fit is the caller's to count. A
 * message is written or not, so nothing here is ever half through, and there is no framing. Those
 * of one peer alone are copied into chunks, many in one block; a flooded frame is a reference to
 * the copy that all queues share.
 *
 * Pure. */
#ifndef SERVER_CORE_MSGQ_H
#define SERVER_CORE_MSGQ_H

#include <stdbool.h>

#include "server/core/block.h"
#include "server/core/frame.h"
#include "server/core/sendq.h"

/* What a frame counts against the limit beside its bytes: so that a queue of runts is bounded, too.
 */
#define MSGQ_OVERHEAD 32u

struct msgq {
	struct block_pool *pool; /* borrowed; the network's */
	struct msgq_item *ring;  /* owned; `capacity` of them, a power of two, or none */
	uint32_t capacity, first, n;
	struct block *tail; /* a reference: the chunk that the next frame is copied behind; or NULL
			     */
	uint32_t bytes;     /* of all that wait, with MSGQ_OVERHEAD each */
	uint32_t limit;     /* of `bytes`; SENDQ_FRAMES_MAX at first */
};

void msgq_init(struct msgq *q, struct block_pool *pool);
void msgq_fini(struct msgq *q); /* drops everything */

/**
 * msgq_put() - keep a frame
 * @segs:	where its bytes are; copied, or (@flooded) kept once for all queues by block_copy()
 *		under the address of the first one
 * @len:	bytes of all of them, not 0
 */
enum sendq_put msgq_put(
	struct msgq *q, const struct seg *segs, unsigned n_segs, uint32_t len, bool flooded);

/* The first @max messages, one entry each. Returns how many. */
unsigned msgq_fill(const struct msgq *q, struct seg *out, unsigned max);
/* The first @n are written, or given up. */
void msgq_consume(struct msgq *q, unsigned n);

#endif
