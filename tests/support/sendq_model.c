/* sendq_model.c - see sendq_model.h. */
#include "tests/support/sendq_model.h"

#include "tests/support/test.h"

#include <errno.h>

#include "tests/support/stream.h"

#define ACCEPTED_MAX 32768u
#define PENDING_MAX 16384u
#define BATCH_MAX 600u

struct accepted {
	uint32_t id, len;
	uint32_t span; /* bytes in the stream */
};

struct message {
	uint32_t id, len, topic;
};

struct run {
	struct rng rng;
	enum framing framing;
	struct block_pool frames_pool, rpc_pool;
	struct sendq q;
	struct egress eg;
	struct bytes in[3]; /* a batch, by the framing it arrives in */
	struct bytes sink;  /* what the peer has, from the first object not wholly there */
	struct wire_scan scan;

	/* the model */
	struct accepted accepted[ACCEPTED_MAX]; /* not wholly arrived */
	unsigned first, end;
	uint32_t spans;                      /* the sum of theirs */
	struct message pending[PENDING_MAX]; /* of which no byte has arrived */
	unsigned n_pending;
	struct message current; /* begun; len 0: none */
	bool frame_begun;
	uint32_t next_id;
	bool broken;
};

static uint32_t queued(const struct run *r)
{
	return r->spans - (r->frame_begun ? (uint32_t)r->sink.len : 0);
}

static uint32_t room_of(const struct run *r)
{
	return r->q.limit > queued(r) ? r->q.limit - queued(r) : 0;
}

static void accept(struct run *r, struct accepted a)
{
	assert_true(r->end < ACCEPTED_MAX);
	r->accepted[r->end++] = a;
	r->spans += a.span;
}

/* [id, bin]: @len bytes in all, 9 at least */
static void message_bytes(struct bytes *b, const struct message *m)
{
	b->len = 0;
	bytes_add(b, BYTES(0x92, 0xce, (uint8_t)(m->id >> 24), (uint8_t)(m->id >> 16),
			     (uint8_t)(m->id >> 8), (uint8_t)m->id));
	bytes_add(b, BYTES(0xc5, (uint8_t)((m->len - 9) >> 8), (uint8_t)(m->len - 9)));
	bytes_add(b, frame_pattern(m->id), m->len - 9);
}

static void message_arrived(struct run *r, const struct wire_item *item)
{
	struct bytes want = { 0 };
	assert_true(r->current.len);
	message_bytes(&want, &r->current);
	assert_int_equal(item->len, want.len);
	assert_memory_equal(item->data, want.data, want.len);
	free(want.data);
	r->current.len = 0;
}

/* An object whose first byte is @t has begun to arrive. */
static void object_begins(struct run *r, uint8_t t)
{
	if (r->framing == FRAMING_QEMU || (t >= 0xc4 && t <= 0xc6)) {
		assert_int_equal(r->n_pending, 0); /* else a message would go first */
		assert_true(r->first < r->end);
		r->frame_begun = true;
		return;
	}
	assert_true(r->n_pending);
	r->current = r->pending[0];
	memmove(r->pending, r->pending + 1, --r->n_pending * sizeof(*r->pending));
}

/* Reads whole objects off the sink. */
static void receive(struct run *r)
{
	struct wire_item item;
	for (size_t at = 0; r->sink.data; at += item.total) {
		const uint8_t *next = r->sink.data + at;
		const size_t left = r->sink.len - at;
		if (left && !r->frame_begun && !r->current.len)
			object_begins(r, *next);
		const enum wire_kind kind = next_item(r->framing, &r->scan, next, left, &item);
		if (kind == WIRE_MORE) {
			if (left)
				memmove(r->sink.data, next, left);
			r->sink.len = left;
			return;
		}
		if (kind == WIRE_RPC) {
			message_arrived(r, &item);
		} else {
			assert_int_equal(kind, WIRE_FRAME);
			const struct accepted *a = &r->accepted[r->first++];
			assert_true(r->frame_begun);
			assert_int_equal(item.total, a->span);
			assert_true(frame_is(item.data, item.len, a->id, a->len));
			r->frame_begun = false;
			r->spans -= a->span;
		}
	}
}

/* Settles the egress, whose frames are @batch, after a write of random length. */
static void settle(struct run *r, const struct accepted *batch)
{
	const unsigned n = r->eg.n_frames;
	const uint32_t bytes = r->eg.bytes;
	size_t written = 0;
	if (sendq_empty(&r->q) && !rng_one_in(&r->rng, 8))
		written = rng_one_in(&r->rng, 3) ? bytes : rng_below(&r->rng, bytes + 1);

	/* the model: what is written or begun is taken, and then as much as there is room for */
	uint32_t room = room_of(r), at = 0;
	unsigned want = 0;
	uint64_t payload = 0;
	for (; want < n; want++) {
		const uint32_t span = batch[want].span;
		const bool begun = at < written;
		const uint32_t rest =
			begun ? (at + span > written ? at + span - (uint32_t)written : 0) : span;
		if (!begun && rest > room)
			break;
		room -= rest < room ? rest : room; /* what is begun is taken in any case */
		at += span;
	}

	struct egress_sum sum;
	assert_int_equal(gather(&r->sink, r->eg.segs, r->eg.n_segs, written), written);
	egress_settle(&r->eg, written, &r->q, &sum);
	assert_int_equal(sum.frames + sum.full + sum.no_memory, n);
	if (sum.no_memory)
		assert_true(sum.frames < n && sum.full == 0);
	else
		assert_int_equal(sum.frames, want);
	for (unsigned i = 0; i < sum.frames; i++) {
		payload += batch[i].len;
		accept(r, batch[i]);
	}
	assert_int_equal(sum.bytes, payload);
	r->broken = sum.broken;
	if (sum.broken) /* the begun one is not counted as sent, but part of it is on its way */
		assert_true(sum.no_memory);
	else
		receive(r);
}

static uint32_t random_len(struct rng *rng)
{
	return rng_one_in(rng, 60)  ? rng_between(rng, 14, FETH_FRAME_MAX)
	       : rng_one_in(rng, 4) ? rng_between(rng, 14, 9014)
				    : rng_between(rng, 14, 100);
}

/* A frame of random framing at the end of its buffer; where it lies is known when all are there. */
static struct accepted make_frame(struct run *r, enum framing *from)
{
	uint8_t hdr[WIRE_HDR_MAX];
	const struct accepted a = { .id = r->next_id++, .len = random_len(&r->rng) };
	*from = rng_one_in(&r->rng, 3) ? rng_below(&r->rng, 3) : r->framing;
	const bool long_form = *from == FRAMING_NATIVE && rng_one_in(&r->rng, 10);
	put_frame(&r->in[*from], *from, a.id, a.len, long_form);
	if (*from == FRAMING_NATIVE && rng_one_in(&r->rng, 10)) /* a gap in the run */
		bytes_byte(&r->in[*from], 0x90);
	struct accepted out = a;
	out.span = a.len + (long_form && r->framing == FRAMING_NATIVE
					   ? 5u
					   : framing_header(r->framing, hdr, a.len));
	return out;
}

/* A frame of the host's, or of a guest's in pieces. */
static struct frame raw_frame(struct run *r, const uint8_t *p, uint32_t len, struct seg more[2])
{
	struct frame f = { .head = p, .head_len = len, .len = len };
	if (rng_one_in(&r->rng, 2)) {
		const uint32_t cut = rng_between(&r->rng, 14, len);
		f.head_len = 14;
		more[0] = (struct seg){ p + 14, cut - 14 };
		more[1] = (struct seg){ p + cut, len - cut };
		f.more = more;
		f.more_n = 2;
	}
	return f;
}

static void op_batch(struct run *r)
{
	static struct accepted all[BATCH_MAX], batch[BATCH_MAX];
	static enum framing from[BATCH_MAX];
	static struct frame frames[3][BATCH_MAX + 1];
	const unsigned n = rng_between(&r->rng, 1, rng_one_in(&r->rng, 20) ? BATCH_MAX : 40);
	for (unsigned i = 0; i < 3; i++)
		r->in[i].len = 0;
	for (unsigned i = 0; i < n; i++)
		all[i] = make_frame(r, &from[i]);
	views(&r->in[FRAMING_NATIVE], FRAMING_NATIVE, frames[FRAMING_NATIVE], BATCH_MAX + 1);
	views(&r->in[FRAMING_QEMU], FRAMING_QEMU, frames[FRAMING_QEMU], BATCH_MAX + 1);

	static struct frame out[BATCH_MAX];
	static struct seg more[BATCH_MAX][2];
	unsigned next[3] = { 0 };
	const uint8_t *raw = r->in[FRAMING_NONE].data;
	for (unsigned i = 0; i < n; i++) {
		if (from[i] != FRAMING_NONE) {
			out[i] = frames[from[i]][next[from[i]]++];
			continue;
		}
		out[i] = raw_frame(r, raw, all[i].len, more[i]);
		raw += all[i].len;
	}

	unsigned in_batch = 0;
	for (unsigned i = 0; i < n && !r->broken;) {
		const unsigned want = rng_between(&r->rng, 1, n - i);
		const unsigned before = r->eg.n_frames;
		const unsigned got = egress_add(&r->eg, out + i, want, r->framing);
		if (rng_one_in(&r->rng, 2))
			egress_flooded(&r->eg, before);
		memcpy(batch + in_batch, all + i, got * sizeof(*batch));
		in_batch += got;
		i += got;
		if (got < want) {
			settle(r, batch);
			in_batch = 0;
		}
	}
	if (!r->broken)
		settle(r, batch);
	block_forget_copies(&r->frames_pool);
	for (unsigned i = 0; i < 3; i++) /* the views die */
		memset(bytes_room(&r->in[i], 0) - r->in[i].len, 0xee, r->in[i].len);
}

static void op_flooded(struct run *r)
{
	if (sendq_empty(&r->q))
		return; /* an edge writes then */
	struct bytes b = { 0 };
	uint8_t hdr[WIRE_HDR_MAX];
	struct accepted a = { .id = r->next_id++, .len = random_len(&r->rng) };
	a.span = a.len + framing_header(r->framing, hdr, a.len);
	put_frame(&b, FRAMING_NONE, a.id, a.len, false);
	struct frame f = { .head = b.data, .head_len = a.len, .len = a.len };
	const bool fits = a.len + WIRE_HDR_MAX <= room_of(r);
	switch (sendq_put_shared(&r->q, &f)) {
	case SENDQ_TAKEN:
		assert_true(fits);
		accept(r, a);
		break;
	case SENDQ_FULL:
		assert_false(fits);
		break;
	case SENDQ_NO_MEMORY: { /* a short one may need a chunk */
		const size_t need = a.len > SENDQ_SHORT ? a.len : BLOCK_STANDARD;
		assert_true(r->frames_pool.used + need > r->frames_pool.limit);
		break;
	}
	}
	block_forget_copies(&r->frames_pool);
	free(b.data);
}

static void op_message(struct run *r)
{
	if (r->framing == FRAMING_QEMU)
		return;
	struct bytes b = { 0 };
	const struct message m = { r->next_id++,
		rng_between(&r->rng, 9, rng_one_in(&r->rng, 9) ? 30000 : 60),
		rng_below(&r->rng, 4) };
	message_bytes(&b, &m);
	const bool full = r->q.rpc.bytes > SENDQ_RPC_MAX;
	assert_int_equal(
		sendq_put_message(&r->q, b.data, m.len, m.topic, NULL, 0), full ? -ENOBUFS : 0);
	free(b.data);
	if (full)
		return;
	unsigned i = 0;
	while (i < r->n_pending && (!m.topic || r->pending[i].topic != m.topic))
		i++;
	if (i < r->n_pending) /* it goes, and the new one stands at the end */
		memmove(r->pending + i, r->pending + i + 1,
			(--r->n_pending - i) * sizeof(*r->pending));
	assert_true(r->n_pending < PENDING_MAX);
	r->pending[r->n_pending++] = m;
}

static void op_write(struct run *r)
{
	const size_t max = rng_one_in(&r->rng, 2) ? rng_between(&r->rng, 1, 100)
						  : rng_between(&r->rng, 1, 200000);
	drain_once(&r->q, &r->sink, max, rng_between(&r->rng, 3, 20));
	receive(r);
}

static void op_drop_frames(struct run *r)
{
	const uint32_t before = queued(r);
	r->end = r->first + (r->frame_begun ? 1 : 0);
	r->spans = r->frame_begun ? r->accepted[r->first].span : 0;
	assert_int_equal(sendq_drop_frames(&r->q), before - queued(r));
}

static void step(struct run *r)
{
	const uint32_t op = rng_below(&r->rng, 100);
	if (op < 20)
		op_batch(r);
	else if (op < 35)
		op_flooded(r);
	else if (op < 55)
		op_message(r);
	else if (op < 97)
		op_write(r);
	else if (op < 98)
		op_drop_frames(r);
	else if (op < 99) /* memory runs out, or comes back */
		r->frames_pool.limit =
			rng_one_in(&r->rng, 4) ? r->frames_pool.used + 40000 : BLOCK_POOL_LIMIT;
	else /* the client, or who controls its port, says how much may wait */
		r->q.limit = rng_one_in(&r->rng, 2) ? SENDQ_FRAMES_MAX
						    : rng_below(&r->rng, SENDQ_FRAMES_MAX);
	if (r->broken)
		return;

	uint32_t rpc = 0;
	for (unsigned i = 0; i < r->n_pending; i++)
		rpc += r->pending[i].len;
	rpc += r->current.len ? r->current.len - (uint32_t)r->sink.len : 0;
	assert_int_equal(r->q.rpc.bytes, rpc);
	assert_int_equal(r->q.n_messages, r->n_pending + (r->current.len ? 1 : 0));
	assert_int_equal(r->q.frames.bytes, queued(r));
	assert_int_equal(sendq_room(&r->q), room_of(r));
	/* two queued bytes are never worth more than four of memory, but for an object or two */
	assert_true(r->frames_pool.used <= 2 * queued(r) + 4 * (FETH_FRAME_MAX + WIRE_HDR_MAX));
	if (r->first == r->end)
		r->first = r->end = 0;
}

void sendq_model_run(struct rng rng, unsigned steps)
{
	struct run *r = calloc(1, sizeof(*r));
	r->rng = rng;
	r->framing = rng_one_in(&r->rng, 4) ? FRAMING_QEMU : FRAMING_NATIVE;
	block_pool_init(&r->frames_pool, BLOCK_POOL_LIMIT);
	block_pool_init(&r->rpc_pool, BLOCK_POOL_LIMIT);
	sendq_init(&r->q, &r->frames_pool, &r->rpc_pool, r->framing);
	egress_reset(&r->eg);
	while (steps-- && !r->broken && !rng_empty(&r->rng))
		step(r);
	while (!r->broken && !sendq_empty(&r->q)) {
		drain_once(&r->q, &r->sink, SIZE_MAX, 20);
		receive(r);
	}
	if (!r->broken) {
		assert_int_equal(r->first, r->end);
		assert_int_equal(r->n_pending + r->current.len + r->sink.len, 0);
		assert_int_equal(r->frames_pool.used + r->rpc_pool.used, 0);
	}
	sendq_fini(&r->q, no_fd);
	assert_int_equal(r->frames_pool.used + r->rpc_pool.used, 0);
	block_pool_fini(&r->frames_pool);
	block_pool_fini(&r->rpc_pool);
	for (unsigned i = 0; i < 3; i++)
		free(r->in[i].data);
	free(r->sink.data);
	free(r);
}
