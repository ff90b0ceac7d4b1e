/* conn_out.c - see conn.h: calls and frames in, bytes out. */
#include "clients/lib/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int queue(struct conn *c, const uint8_t *data, size_t len)
{
	struct conn_bytes *tx = &c->tx;
	const size_t used = tx->end - tx->start;
	if (tx->start && len > tx->capacity - tx->end) {
		memmove(tx->data, tx->data + tx->start, used);
		tx->start = 0;
		tx->end = used;
	}
	if (len > tx->capacity - tx->end) {
		size_t capacity = tx->capacity ? tx->capacity : 4096;
		while (capacity < used + len)
			capacity *= 2;
		uint8_t *p = realloc(tx->data, capacity);
		if (!p)
			return -ENOMEM;
		tx->data = p;
		tx->capacity = capacity;
	}
	memcpy(tx->data + tx->end, data, len);
	tx->end += len;
	return 0;
}

/* -- calls -- */

static bool is_map(uint8_t type)
{
	return (type & 0xf0) == 0x80 || type == 0xde || type == 0xdf;
}

/* Writes the message into c->request. The server ends a connection over a message it cannot read,
 * so that the caller's params are looked at here. */
static int build_request(struct conn *c, uint32_t msgid, const char *method, const uint8_t *params,
	size_t params_len)
{
	struct rpc_out *out = &c->request;
	if (params && (!params_len || !is_map(params[0])))
		return conn_error(c, -EINVAL, "%s: params must be one msgpack map", method);
	if (params && params_len > FETH_RPC_MAX)
		return conn_error(
			c, -EMSGSIZE, "%s: the call is over %u bytes", method, FETH_RPC_MAX);

	rpc_out_clear(out);
	rpc_out_request(out, msgid, method);
	if (params)
		rpc_out_raw(out, params, params_len);
	rpc_out_end(out);
	if (out->buf.size > FETH_RPC_MAX)
		return conn_error(
			c, -EMSGSIZE, "%s: the call is over %u bytes", method, FETH_RPC_MAX);
	if (!rpc_out_ok(out))
		return conn_error(c, -ENOMEM, "out of memory");

	struct wire_scan scan = { 0 };
	struct wire_item w;
	const uint8_t *data = (const uint8_t *)out->buf.data;
	if (wire_next(&scan, data, out->buf.size, &w) != WIRE_RPC || w.total != out->buf.size)
		return conn_error(c, -EINVAL, "%s: params must be one msgpack map", method);
	return 0;
}

static bool msgid_used(const struct conn *c, uint32_t msgid)
{
	for (unsigned i = 0; i < FETH_CALLS_MAX; i++)
		if (c->calls[i].used && c->calls[i].msgid == msgid)
			return true;
	return false;
}

int conn_call(struct conn *c, const char *method, const uint8_t *params, size_t params_len,
	feth_reply_fn *fn, void *user, uint32_t *out_msgid)
{
	if (c->status)
		return c->status;
	struct conn_call *call = NULL;
	for (unsigned i = 0; i < FETH_CALLS_MAX && !call; i++)
		if (!c->calls[i].used)
			call = &c->calls[i];
	if (!call)
		return conn_error(
			c, -EBUSY, "%s: %u calls are unanswered already", method, FETH_CALLS_MAX);

	uint32_t msgid = c->last_msgid;
	do
		msgid++;
	while (msgid_used(c, msgid));
	int rc = build_request(c, msgid, method, params, params_len);
	if (rc < 0)
		return rc;
	if (c->request.buf.size > CONN_TX_MAX - (c->tx.end - c->tx.start))
		return conn_error(c, -ENOBUFS, "%s: the server does not read", method);
	rc = queue(c, (const uint8_t *)c->request.buf.data, c->request.buf.size);
	if (rc < 0)
		return conn_error(c, rc, "out of memory");

	*call = (struct conn_call){ .used = true, .msgid = msgid, .fn = fn, .user = user };
	c->last_msgid = msgid;
	*out_msgid = msgid;
	return 0;
}

int conn_wake(struct conn *c)
{
	static const uint8_t wake[] = { 0xd4, WIRE_EXT_WAKE, 0 };
	if (c->tx.end - c->tx.start > CONN_TX_MAX)
		return conn_error(c, -ENOBUFS, "the server does not read");
	const int rc = queue(c, wake, sizeof(wake));
	return rc < 0 ? conn_error(c, rc, "out of memory") : 0;
}

void conn_forget(struct conn *c, uint32_t msgid)
{
	for (unsigned i = 0; i < FETH_CALLS_MAX; i++)
		if (c->calls[i].used && c->calls[i].msgid == msgid)
			memset(&c->calls[i], 0, sizeof(c->calls[i]));
}

bool conn_take_call(struct conn *c, feth_reply_fn **fn, void **user)
{
	for (unsigned i = 0; i < FETH_CALLS_MAX; i++) {
		struct conn_call *call = &c->calls[i];
		if (!call->used || !call->fn)
			continue;
		for (unsigned k = 0; k < call->n_fds; k++)
			c->close_fd(call->fds[k]);
		*fn = call->fn;
		*user = call->user;
		memset(call, 0, sizeof(*call));
		return true;
	}
	return false;
}

/* -- frames -- */

/* Appends memory to the plan; what lies behind the last piece makes it longer. */
static void add(struct conn_plan *plan, const uint8_t *data, size_t len)
{
	struct iovec *last = plan->n_iov ? &plan->iov[plan->n_iov - 1] : NULL;
	if (last && (const uint8_t *)last->iov_base + last->iov_len == data) {
		last->iov_len += len;
		return;
	}
	/* sendmsg() only reads what an iovec points to */
	plan->iov[plan->n_iov++] = (struct iovec){ (void *)(uintptr_t)data, len };
}

#define HEAD_MAX (WIRE_HDR_MAX + WIRE_OFFLOAD_LEN)

/* What goes before a frame. Returns its length. */
static size_t put_head(const struct conn *c, uint8_t out[HEAD_MAX], const struct feth_frame *f)
{
	const uint8_t *vnet = c->vnet_out ? c->vnet_out[f - c->sending] : NULL;
	if (!vnet)
		return wire_frame_header(out, f->len);
	const uint8_t len = wire_ext_header(out, WIRE_EXT_OFFLOAD, WIRE_OFFLOAD_LEN + f->len);
	memcpy(out + len, vnet, WIRE_OFFLOAD_LEN);
	return len + WIRE_OFFLOAD_LEN;
}

void conn_plan(struct conn *c, struct conn_plan *plan, const struct feth_frame *frames, size_t n)
{
	size_t at = 0; /* in plan->small */
	size_t end = c->tx.end - c->tx.start;
	plan->frames = frames;
	plan->n = n < CONN_BATCH ? n : CONN_BATCH;
	plan->queued = end;
	plan->n_iov = 0;

	if (end)
		add(plan, c->tx.data + c->tx.start, end);
	for (size_t i = 0; i < plan->n; i++) {
		uint8_t *head = plan->small + at;
		size_t len = put_head(c, head, &frames[i]);
		end += len + frames[i].len;
		plan->ends[i] = end;
		if (frames[i].len <= CONN_COPY_MAX) {
			memcpy(head + len, frames[i].data, frames[i].len);
			len += frames[i].len;
		}
		add(plan, head, len);
		at += len;
		if (frames[i].len > CONN_COPY_MAX)
			add(plan, frames[i].data, frames[i].len);
	}
}

int conn_sent(struct conn *c, const struct conn_plan *plan, size_t len)
{
	c->tx.start += len < plan->queued ? len : plan->queued;
	if (c->tx.start == c->tx.end)
		c->tx.start = c->tx.end = 0;

	size_t taken = 0;
	while (taken < plan->n && plan->ends[taken] <= len)
		taken++;
	const size_t begin = taken ? plan->ends[taken - 1] : plan->queued;
	if (taken == plan->n || len <= begin)
		return (int)taken;

	/* frame `taken` was begun */
	const struct feth_frame *f = &plan->frames[taken];
	uint8_t head[HEAD_MAX];
	const size_t head_len = put_head(c, head, f);
	const size_t done = len - begin;
	int rc = 0;
	if (done < head_len)
		rc = queue(c, head + done, head_len - done);
	const size_t body = done > head_len ? done - head_len : 0;
	if (!rc)
		rc = queue(c, f->data + body, f->len - body);
	if (rc < 0)
		return conn_fail(c, rc, "out of memory with a frame half sent");
	return (int)taken + 1;
}
