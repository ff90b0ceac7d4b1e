/* msgq.c - see msgq.h. */
#include "server/core/msgq.h"

#include <stdlib.h>
#include <string.h>

#define RING_FIRST 64u /* items; what a batch has */

struct msgq_item {
	struct block *block; /* a reference of ours */
	uint32_t off, len;   /* the message, in its bytes */
};

void msgq_init(struct msgq *q, struct block_pool *pool)
{
	*q = (struct msgq){ .pool = pool, .limit = SENDQ_FRAMES_MAX };
}

static struct msgq_item *item_at(const struct msgq *q, uint32_t i)
{
	return &q->ring[(q->first + i) & (q->capacity - 1)];
}

/* Empty: what was had for it goes. */
static void let_go(struct msgq *q)
{
	block_unref(q->tail);
	q->tail = NULL;
	free(q->ring);
	q->ring = NULL;
	q->capacity = q->first = 0;
}

void msgq_fini(struct msgq *q)
{
	msgq_consume(q, q->n);
	let_go(q);
}

/* Makes room for one more item. */
static bool grow(struct msgq *q)
{
	if (q->n < q->capacity)
		return true;
	const uint32_t capacity = q->capacity ? 2 * q->capacity : RING_FIRST;
	struct msgq_item *ring = malloc(capacity * sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < q->n; i++)
		ring[i] = *item_at(q, i);
	free(q->ring);
	q->ring = ring;
	q->capacity = capacity;
	q->first = 0;
	return true;
}

static void copy(uint8_t *out, const struct seg *segs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		memcpy(out, segs[i].base, segs[i].len);
		out += segs[i].len;
	}
}

/* A reference to the copy of a flooded frame. */
static struct block *shared(struct msgq *q, const struct seg *segs, unsigned n_segs, uint32_t len)
{
	bool fresh;
	struct block *block = block_copy(q->pool, segs[0].base, len, false, &fresh);
	if (!block)
		return NULL;
	if (fresh)
		copy(block->data, segs, n_segs);
	return block_ref(block);
}

/* The chunk that has room for @len bytes more. */
static struct block *chunk(struct msgq *q, uint32_t len)
{
	if (q->tail && q->tail->capacity - q->tail->len >= len)
		return q->tail;
	struct block *block = block_new(q->pool, len > BLOCK_STANDARD ? len : BLOCK_STANDARD);
	if (!block)
		return NULL;
	block_unref(q->tail);
	q->tail = block;
	return block;
}

enum sendq_put msgq_put(
	struct msgq *q, const struct seg *segs, unsigned n_segs, uint32_t len, bool flooded)
{
	struct msgq_item item = { .len = len };
	if (q->bytes > q->limit || len + MSGQ_OVERHEAD > q->limit - q->bytes)
		return SENDQ_FULL;
	if (!grow(q))
		return SENDQ_NO_MEMORY;
	if (flooded && len > SENDQ_SHORT) {
		item.block = shared(q, segs, n_segs, len);
		if (!item.block)
			return SENDQ_NO_MEMORY;
	} else {
		struct block *block = chunk(q, len);
		if (!block)
			return SENDQ_NO_MEMORY;
		item.off = block->len;
		copy(block->data + block->len, segs, n_segs);
		block->len += len;
		item.block = block_ref(block);
	}
	*item_at(q, q->n) = item;
	q->n++;
	q->bytes += len + MSGQ_OVERHEAD;
	return SENDQ_TAKEN;
}

unsigned msgq_fill(const struct msgq *q, struct seg *out, unsigned max)
{
	unsigned n = 0;
	for (; n < max && n < q->n; n++) {
		const struct msgq_item *item = item_at(q, n);
		out[n] = (struct seg){ item->block->data + item->off, item->len };
	}
	return n;
}

void msgq_consume(struct msgq *q, unsigned n)
{
	for (; n; n--) {
		const struct msgq_item *item = item_at(q, 0);
		q->bytes -= item->len + MSGQ_OVERHEAD;
		block_unref(item->block);
		q->first = (q->first + 1) & (q->capacity - 1);
		q->n--;
	}
	if (!q->n)
		let_go(q);
}
