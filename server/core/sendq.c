/* sendq.c - see sendq.h. */
#include "server/core/sendq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/qemu.h"
#include "server/core/offload.h"

uint32_t framing_span(enum framing framing, const uint8_t *p, size_t left)
{
	struct wire_item item = { .total = (uint32_t)left };
	if (framing == FRAMING_QEMU) {
		size_t need;
		(void)qemu_next(p, left, &item, &need);
	} else {
		struct wire_scan scan = { 0 };
		(void)wire_next(&scan, p, left, &item);
	}
	return item.total;
}

static uint8_t owing_header(uint8_t *out, const struct frame *frame)
{
	const uint8_t n = wire_ext_header(out, WIRE_EXT_OFFLOAD, WIRE_OFFLOAD_LEN + frame->len);
	offload_to_vnet(out + n, frame);
	out[n + VNET_HDR_LEN] = 1; /* num_buffers, as virtio 1.2, 5.1.6.4.1 has it for a guest */
	out[n + VNET_HDR_LEN + 1] = 0;
	return n + WIRE_OFFLOAD_LEN;
}

uint8_t framing_header(enum framing framing, uint8_t out[WIRE_HDR_MAX], uint32_t len)
{
	if (framing == FRAMING_QEMU) {
		qemu_frame_header(out, len);
		return QEMU_HDR_LEN;
	}
	return wire_frame_header(out, len);
}

uint8_t framing_header_of(
	enum framing framing, uint8_t out[FRAMING_HDR_MAX], const struct frame *frame)
{
	return frame->offload.flags && framing == FRAMING_NATIVE
		       ? owing_header(out, frame)
		       : framing_header(framing, out, frame->len);
}

void sendq_init(
	struct sendq *q, struct block_pool *frames, struct block_pool *rpc, enum framing framing)
{
	memset(q, 0, sizeof(*q));
	q->frame_pool = frames;
	q->rpc_pool = rpc;
	q->framing = framing;
	q->limit = SENDQ_FRAMES_MAX;
	q->fresh = UINT32_MAX;
}

static void item_free(struct sendq_item *item, void (*drop_fd)(int fd))
{
	for (unsigned i = 0; i < item->n_fds; i++)
		drop_fd(item->fds[i]);
	block_unref(item->block);
	free(item);
}

static void lane_clear(struct sendq_lane *lane, void (*drop_fd)(int fd))
{
	while (lane->first) {
		struct sendq_item *item = lane->first;
		lane->first = item->next;
		item_free(item, drop_fd);
	}
	lane->last = NULL;
	lane->bytes = 0;
}

void sendq_fini(struct sendq *q, void (*drop_fd)(int fd))
{
	lane_clear(&q->rpc, drop_fd);
	lane_clear(&q->frames, drop_fd);
	q->n_messages = 0;
	q->rpc_begun = false;
}

bool sendq_empty(const struct sendq *q)
{
	return !q->rpc.first && !q->frames.first;
}

static void lane_append(struct sendq_lane *lane, struct sendq_item *item)
{
	if (lane->last)
		lane->last->next = item;
	else
		lane->first = item;
	lane->last = item;
}

static uint32_t item_left(const struct sendq_item *item)
{
	return (uint32_t)(item->hdr_len - item->hdr_off) + (item->end - item->off);
}

/* Bytes until the object that was begun in this item ends; 0 where none is begun. */
static uint32_t begun_left(const struct sendq *q, struct sendq_item *item)
{
	if (!item->chunk)
		return item->hdr_off || item->off ? item_left(item) : 0;
	while (item->mark < item->off)
		item->mark += framing_span(
			q->framing, item->block->data + item->mark, item->end - item->mark);
	return item->mark - item->off;
}

uint32_t sendq_drop_frames(struct sendq *q)
{
	struct sendq_item *first = q->frames.first;
	if (!first)
		return 0;
	const uint32_t before = q->frames.bytes;
	const uint32_t keep = begun_left(q, first);
	if (keep) {
		q->frames.first = first->next;
		first->next = NULL;
	}
	lane_clear(&q->frames, NULL);
	if (keep) {
		if (first->chunk)
			first->end = first->off + keep;
		lane_append(&q->frames, first);
		q->frames.bytes = keep;
	}
	return before - keep;
}

/* The first message that is not begun. */
static struct sendq_item *first_unsent(const struct sendq *q)
{
	struct sendq_item *item = q->rpc.first;
	return item && q->rpc_begun ? item->next : item;
}

bool sendq_waits(const struct sendq *q, uint64_t topic)
{
	const struct sendq_item *item = first_unsent(q);
	while (item && item->topic != topic)
		item = item->next;
	return item;
}

/* Takes the unsent message of @topic out of the lane; NULL where there is none. */
static struct sendq_item *take_unsent(struct sendq *q, uint64_t topic)
{
	struct sendq_lane *lane = &q->rpc;
	struct sendq_item *before = q->rpc_begun ? lane->first : NULL;
	struct sendq_item *item = first_unsent(q);
	while (item && item->topic != topic) {
		before = item;
		item = item->next;
	}
	if (!item)
		return NULL;
	if (before)
		before->next = item->next;
	else
		lane->first = item->next;
	if (lane->last == item)
		lane->last = before;
	item->next = NULL;
	lane->bytes -= item->end;
	return item;
}

int sendq_put_message(struct sendq *q, const void *data, uint32_t len, uint64_t topic,
	const int *fds, uint8_t n_fds)
{
	if (q->rpc.bytes > SENDQ_RPC_MAX)
		return -ENOBUFS;
	struct block *block = block_new(q->rpc_pool, len);
	if (!block)
		return -ENOMEM;
	memcpy(block->data, data, len);
	block->len = len;

	struct sendq_item *item = topic ? take_unsent(q, topic) : NULL;
	if (item) {
		block_unref(item->block);
		q->n_messages--;
	} else {
		item = calloc(1, sizeof(*item));
	}
	if (!item) {
		block_unref(block);
		return -ENOMEM;
	}
	item->block = block;
	item->end = len;
	item->topic = topic;
	item->n_fds = n_fds;
	if (n_fds)
		memcpy(item->fds, fds, n_fds * sizeof(*fds));
	lane_append(&q->rpc, item);
	q->rpc.bytes += len;
	q->n_messages++;
	return 0;
}

uint32_t sendq_room(const struct sendq *q)
{
	const uint32_t limit = q->limit < q->fresh ? q->limit : q->fresh;
	return q->frames.bytes < limit ? limit - q->frames.bytes : 0;
}

static void copy_frame(uint8_t *out, const struct frame *frame)
{
	memcpy(out, frame->head, frame->head_len);
	out += frame->head_len;
	for (unsigned i = 0; i < frame->more_n; i++) {
		memcpy(out, frame->more[i].base, frame->more[i].len);
		out += frame->more[i].len;
	}
}

/* A frame so short that an item of its own would be most of what it costs, or with a header that
 * has no room there. */
static enum sendq_put put_short(struct sendq *q, const struct frame *frame)
{
	uint8_t hdr[FRAMING_HDR_MAX];
	const uint8_t hdr_len = framing_header_of(q->framing, hdr, frame);
	uint8_t *out = sendq_put_chunk(q, hdr_len + frame->len, false);
	if (!out)
		return SENDQ_NO_MEMORY;
	memcpy(out, hdr, hdr_len);
	copy_frame(out + hdr_len, frame);
	return SENDQ_TAKEN;
}

bool sendq_put_block(
	struct sendq *q, struct block *block, const uint8_t *hdr, uint8_t hdr_len, uint32_t done)
{
	struct sendq_item *item = calloc(1, sizeof(*item));
	if (!item)
		return false;
	item->block = block_ref(block);
	item->end = block->len;
	memcpy(item->hdr, hdr, hdr_len);
	item->hdr_len = hdr_len;
	item->hdr_off = done < hdr_len ? (uint8_t)done : hdr_len;
	item->off = done - item->hdr_off;
	/* a chunk that something stands behind takes no more: else unicast and flooded frames in
	 * turn would make one slow port hold BLOCK_STANDARD for each frame, and the whole pool */
	if (q->frames.last && q->frames.last->chunk)
		q->frames.last->block = block_trim(q->frames.last->block);
	lane_append(&q->frames, item);
	q->frames.bytes += item_left(item);
	return true;
}

enum sendq_put sendq_put_shared(struct sendq *q, const struct frame *frame)
{
	uint8_t hdr[FRAMING_HDR_MAX];
	bool fresh;
	const bool owes = frame->offload.flags;
	if (frame->len + (owes ? FRAMING_HDR_MAX : WIRE_HDR_MAX) > sendq_room(q))
		return SENDQ_FULL;
	if (frame->len <= SENDQ_SHORT || owes)
		return put_short(q, frame);
	struct block *block = block_copy(q->frame_pool, frame->head, frame->len, false, &fresh);
	if (!block)
		return SENDQ_NO_MEMORY;
	if (fresh)
		copy_frame(block->data, frame);
	const uint8_t hdr_len = framing_header_of(q->framing, hdr, frame);
	return sendq_put_block(q, block, hdr, hdr_len, 0) ? SENDQ_TAKEN : SENDQ_NO_MEMORY;
}

uint32_t sendq_chunk_room(const struct sendq *q)
{
	const struct sendq_item *last = q->frames.last;
	if (last && last->chunk && last->end == last->block->len &&
		last->block->capacity - last->end >= FETH_FRAME_MIN)
		return last->block->capacity - last->end;
	return BLOCK_STANDARD;
}

uint8_t *sendq_put_chunk(struct sendq *q, uint32_t len, bool begun)
{
	if (!begun && len > sendq_room(q))
		return NULL;

	struct sendq_item *item = q->frames.last;
	if (begun || !item || !item->chunk || item->end != item->block->len ||
		item->block->capacity - item->end < len) {
		item = calloc(1, sizeof(*item));
		if (!item)
			return NULL;
		item->block = begun ? block_new_beyond(q->frame_pool, len)
				    : block_new(q->frame_pool,
					      len > BLOCK_STANDARD ? len : BLOCK_STANDARD);
		if (!item->block) {
			free(item);
			return NULL;
		}
		item->chunk = true;
		item->mark = begun ? len : 0;
		lane_append(&q->frames, item);
	}
	uint8_t *at = item->block->data + item->end;
	item->end += len;
	item->block->len = item->end;
	q->frames.bytes += len;
	return at;
}

/* One item as up to two entries; at most @limit bytes. Returns entries used. */
static unsigned item_segs(const struct sendq_item *item, uint32_t limit, struct seg *iov)
{
	unsigned n = 0;
	const uint32_t hdr = (uint32_t)(item->hdr_len - item->hdr_off);
	if (hdr)
		iov[n++] = (struct seg){ item->hdr + item->hdr_off, hdr };
	uint32_t body = item->end - item->off;
	if (body > limit - hdr)
		body = limit - hdr;
	iov[n++] = (struct seg){ item->block->data + item->off, body };
	return n;
}

unsigned sendq_fill(const struct sendq *q, struct seg *iov, unsigned max, const int **out_fds,
	uint8_t *out_n_fds)
{
	unsigned n = 0;
	*out_fds = NULL;
	*out_n_fds = 0;

	struct sendq_item *frame = q->frames.first;
	if (q->rpc.first) {
		const uint32_t begun = frame ? begun_left(q, frame) : 0;
		if (begun)
			n = item_segs(frame, begun, iov);
		for (struct sendq_item *m = q->rpc.first; m && n < max; m = m->next) {
			if (m->n_fds) {
				if (n) /* descriptors ride on a write of their own */
					break;
				*out_fds = m->fds;
				*out_n_fds = m->n_fds;
				return item_segs(m, item_left(m), iov);
			}
			n += item_segs(m, item_left(m), iov + n);
		}
		return n;
	}
	for (; frame && n + 2 <= max; frame = frame->next)
		n += item_segs(frame, item_left(frame), iov + n);
	return n;
}

/* Takes up to @n bytes off the lane's first item, frees it when it is through; returns how many. */
static size_t lane_consume(struct sendq_lane *lane, size_t n, void (*drop_fd)(int fd))
{
	struct sendq_item *item = lane->first;
	const uint32_t left = item_left(item);
	if (n > left)
		n = left;
	const uint32_t hdr = (uint32_t)(item->hdr_len - item->hdr_off);
	const uint32_t from_hdr = n < hdr ? (uint32_t)n : hdr;
	item->hdr_off = (uint8_t)(item->hdr_off + from_hdr);
	item->off += (uint32_t)n - from_hdr;
	lane->bytes -= (uint32_t)n;
	if (n && item->n_fds) { /* they went with the first byte */
		for (unsigned i = 0; i < item->n_fds; i++)
			drop_fd(item->fds[i]);
		item->n_fds = 0;
	}
	if (n == left) {
		lane->first = item->next;
		if (!lane->first)
			lane->last = NULL;
		item_free(item, drop_fd);
	}
	return n;
}

void sendq_consume(struct sendq *q, size_t written, void (*drop_fd)(int fd))
{
	while (written) {
		if (!q->rpc.first) {
			written -= lane_consume(&q->frames, written, drop_fd);
			continue;
		}
		const uint32_t begun = q->frames.first ? begun_left(q, q->frames.first) : 0;
		if (begun) {
			written -= lane_consume(
				&q->frames, written < begun ? written : begun, drop_fd);
			continue;
		}
		const uint32_t left = item_left(q->rpc.first);
		const size_t taken = lane_consume(&q->rpc, written, drop_fd);
		q->n_messages -= taken == left;
		written -= taken;
		q->rpc_begun = q->rpc.first && q->rpc.first->off;
	}
}
