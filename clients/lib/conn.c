/* conn.c - see conn.h: the connection's state, and bytes in, items out. conn_out.c is the way out.
 */
#include "clients/lib/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/text.h"

int conn_init(struct conn *c, void (*close_fd)(int fd))
{
	memset(c, 0, sizeof(*c));
	c->close_fd = close_fd;
	rpc_out_init(&c->request);
	c->rx.data = malloc(CONN_RX_BYTES);
	if (!c->rx.data)
		return -ENOMEM;
	c->rx.capacity = CONN_RX_BYTES;
	return 0;
}

void conn_fini(struct conn *c)
{
	for (unsigned i = 0; i < c->n_arrived; i++)
		c->close_fd(c->arrived[i].fd);
	for (unsigned i = 0; i < FETH_CALLS_MAX; i++)
		for (unsigned k = 0; k < c->calls[i].n_fds; k++)
			c->close_fd(c->calls[i].fds[k]);
	rpc_out_fini(&c->request);
	free(c->rx.data);
	free(c->kept.data);
	free(c->tx.data);
	memset(c, 0, sizeof(*c));
}

int conn_fail(struct conn *c, int status, const char *fmt, ...)
{
	if (c->status)
		return c->status;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	c->status = status;
	return status;
}

int conn_error(struct conn *c, int rc, const char *fmt, ...)
{
	if (c->status)
		return rc; /* why the connection ended stays */
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	return rc;
}

/* -- in -- */

size_t conn_space(struct conn *c, uint8_t **out)
{
	struct conn_bytes *rx = &c->rx;
	const size_t len = rx->end - rx->start;
	if (rx->start && len)
		memmove(rx->data, rx->data + rx->start, len); /* the head of a cut object */
	rx->start = 0;
	rx->end = len;
	*out = rx->data + len;
	return rx->capacity - len;
}

size_t conn_space_behind(const struct conn *c, uint8_t **out)
{
	*out = c->rx.data + c->rx.end;
	return c->rx.capacity - c->rx.end;
}

/* Closes descriptors whose bytes lie before `pos`: no reply can announce them any more. */
static void drop_arrived(struct conn *c, uint64_t pos)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < c->n_arrived; i++) {
		if (c->arrived[i].to > pos) {
			c->arrived[kept++] = c->arrived[i];
		} else {
			c->close_fd(c->arrived[i].fd);
			c->counters.fds_closed++;
		}
	}
	c->n_arrived = kept;
}

void conn_received(struct conn *c, size_t len, const int *fds, size_t n_fds)
{
	const uint64_t from = c->rx_pos + (c->rx.end - c->rx.start);
	c->rx.end += len;

	drop_arrived(c, c->rx_pos);
	for (size_t i = 0; i < n_fds; i++) {
		if (c->n_arrived == CONN_ARRIVED_MAX) {
			c->close_fd(fds[i]);
			c->counters.fds_closed++;
			continue;
		}
		c->arrived[c->n_arrived++] =
			(struct conn_arrived){ .fd = fds[i], .from = from, .to = from + len };
	}
}

int conn_eof(struct conn *c)
{
	if (c->end_status)
		return conn_fail(c, c->end_status, "%s", c->end_why);
	return conn_fail(c, -ECONNRESET, "the server closed the connection");
}

/* What was kept comes first, also when the connection is over meanwhile. */
static bool has_kept(const struct conn *c)
{
	return c->kept.start < c->kept.end;
}

void conn_recycle(struct conn *c)
{
	if (!has_kept(c))
		c->kept.start = c->kept.end = 0;
}

/* -- envelopes -- */

struct envelope {
	enum rpc_kind kind;
	uint32_t msgid;
	bool failed;
	const uint8_t *body; /* result or params, NULL for none; borrowed from the message */
	size_t body_len;
	uint64_t n_fds; /* announced */
	uint32_t mtu;
};

/* Copies a string of the server's; what is no UTF-8 becomes '?'. */
static void copy_text(char *out, size_t size, struct rpc_str s)
{
	size_t len = s.len < size ? s.len : size - 1;
	while (len && len < s.len && ((uint8_t)s.ptr[len] & 0xc0) == 0x80)
		len--; /* cut between characters */
	if (len)
		memcpy(out, s.ptr, len);
	out[len] = '\0';
	if (utf8_valid(s.ptr, len))
		return;
	for (size_t i = 0; i < len; i++)
		if (!out[i] || ((uint8_t)out[i] & 0x80))
			out[i] = '?';
}

/* Bytes of the header of the array at p. */
static size_t array_header(const uint8_t *p)
{
	return p[0] == 0xdc ? 3 : p[0] == 0xdd ? 5 : 1;
}

/* The position behind `n` values that start at `at`; the object is known to be whole. */
static size_t skip_values(
	struct rpc_msg *msg, const uint8_t *data, size_t len, size_t at, unsigned n)
{
	while (n--) {
		msgpack_object value;
		size_t used = 0;
		msgpack_unpack((const char *)data + at, len - at, &used, &msg->zone, &value);
		at += used;
	}
	return at;
}

/* The result, or the params map, as bytes. */
static void find_body(struct rpc_msg *msg, const uint8_t *data, size_t len, struct envelope *env)
{
	const bool reply = msg->kind == RPC_RESPONSE;
	size_t at = skip_values(msg, data, len, array_header(data), reply ? 3 : 2);
	if (!reply)
		at += array_header(data + at); /* the array around params */
	if (reply || msg->params) {
		env->body = data + at;
		env->body_len = len - at;
	}
}

static const msgpack_object_map *body_map(const struct rpc_msg *msg)
{
	if (msg->kind != RPC_RESPONSE)
		return msg->params;
	return msg->result->type == MSGPACK_OBJECT_MAP ? &msg->result->via.map : NULL;
}

static void copy_field(const msgpack_object_map *map, const char *key, char *out, size_t size)
{
	const msgpack_object *o;
	out[0] = '\0';
	if (rpc_get(map, key, &o) == RPC_FIELD_OK && o->type == MSGPACK_OBJECT_STR)
		copy_text(out, size, (struct rpc_str){ o->via.str.ptr, o->via.str.size });
}

/* Two notices say why the stream is about to end. */
static void note_end(struct conn *c, const msgpack_object_map *params)
{
	char what[512];
	if (!strcmp(c->method, "protocol.error")) {
		copy_field(params, "message", what, sizeof(what));
		c->end_status = -EPROTO;
		snprintf(c->end_why, sizeof(c->end_why), "the server ended the connection: %s",
			what);
	} else if (!strcmp(c->method, "network.removed")) {
		copy_field(params, "network", what, sizeof(what));
		c->end_status = -ENODEV;
		snprintf(c->end_why, sizeof(c->end_why), "network %s was removed", what);
	}
}

/* Reads one RPC object into *env and the texts of `c`. Return: 0 or c->status */
static int read_envelope(struct conn *c, const uint8_t *data, size_t len, struct envelope *env)
{
	struct rpc_msg msg;
	const enum rpc_fault fault = rpc_decode(&msg, data, len);
	int rc = 0;
	memset(env, 0, sizeof(*env));
	env->kind = RPC_REQUEST; /* also malformed ones: whatever they ask, we do not answer */

	if (fault == RPC_NO_MEMORY)
		rc = conn_fail(c, -ENOMEM, "out of memory");
	if (fault == RPC_BAD_ENVELOPE)
		rc = conn_fail(c, -EPROTO, "the server sent an array that is no RPC message");
	if (fault != RPC_OK || msg.kind == RPC_REQUEST)
		goto out;

	env->kind = msg.kind;
	env->msgid = msg.msgid;
	env->failed = msg.failed;
	find_body(&msg, data, len, env);

	const msgpack_object_map *map = body_map(&msg);
	uint64_t v;
	if (!msg.failed && rpc_get_uint(map, "fds", &v) == RPC_FIELD_OK)
		env->n_fds = v; /* an error brings none: who gets one looks no further */
	if (rpc_get_uint(map, "mtu", &v) == RPC_FIELD_OK && v <= UINT32_MAX)
		env->mtu = (uint32_t)v;
	if (msg.kind == RPC_NOTIFY) {
		copy_text(c->method, sizeof(c->method), msg.method);
		note_end(c, map);
	} else {
		copy_text(c->code, sizeof(c->code), msg.code);
		copy_text(c->message, sizeof(c->message), msg.text);
	}

out:
	rpc_msg_fini(&msg);
	return rc;
}

/* -- replies -- */

static struct conn_call *find_call(struct conn *c, uint32_t msgid)
{
	for (unsigned i = 0; i < FETH_CALLS_MAX; i++)
		if (c->calls[i].used && c->calls[i].msgid == msgid)
			return &c->calls[i];
	return NULL;
}

/* Gives a call the descriptors that came with the byte its reply begins with. A number other than
 * the announced one is an error of the call. */
static void pair_fds(struct conn *c, struct conn_call *call, uint64_t pos, uint64_t announced)
{
	unsigned rest = 0;
	for (unsigned i = 0; i < c->n_arrived; i++) {
		const struct conn_arrived *a = &c->arrived[i];
		if (call->n_fds < announced && call->n_fds < FETH_FDS_MAX && a->from <= pos &&
			pos < a->to)
			call->fds[call->n_fds++] = a->fd;
		else
			c->arrived[rest++] = *a;
	}
	c->n_arrived = rest;
	call->fds_lost = call->n_fds != announced;
	for (unsigned i = 0; call->fds_lost && i < call->n_fds; i++)
		c->close_fd(call->fds[i]);
	if (call->fds_lost)
		call->n_fds = 0;
}

static void fail_reply(struct conn *c, struct feth_reply *reply, int status, const char *text)
{
	snprintf(c->message, sizeof(c->message), "%s", text);
	reply->status = status;
}

/* Ends a call: its entry is free afterwards. The texts in `c` are those of its envelope. */
static void finish_call(
	struct conn *c, struct conn_call *call, const struct envelope *env, struct conn_item *item)
{
	struct feth_reply *reply = &item->reply;
	memset(item, 0, sizeof(*item));
	item->fn = call->fn;
	item->user = call->user;
	reply->code = c->code;
	reply->message = c->message;
	memcpy(reply->fds, call->fds, sizeof(reply->fds));
	reply->n_fds = call->n_fds;

	if (call->fds_lost)
		fail_reply(c, reply, -EIO, "the reply's descriptors did not arrive");
	else if (env->failed)
		reply->status =
			rpc_error_number((struct rpc_str){ c->code, (uint32_t)strlen(c->code) });
	if (env->failed && !c->code[0]) /* an error of another shape than ours */
		snprintf(c->code, sizeof(c->code), "system");
	if (env->failed && !c->message[0])
		fail_reply(c, reply, reply->status, "the server gave no reason");
	if (!reply->status) {
		reply->result = env->body;
		reply->result_len = env->body_len;
	}
	memset(call, 0, sizeof(*call));
}

/* -- the streams -- */

/* The next object of rx or kept. Kept bytes were whole when they were put there. */
static enum wire_kind next_object(struct conn *c, bool kept, struct wire_item *w)
{
	struct wire_scan whole = { 0 };
	struct conn_bytes *b = kept ? &c->kept : &c->rx;
	const enum wire_kind kind =
		wire_next(kept ? &whole : &c->scan, b->data + b->start, b->end - b->start, w);
	if (kind == WIRE_BAD)
		conn_fail(c, -EPROTO, "the server broke the protocol: %s", w->reason);
	return kind;
}

static void consume(struct conn *c, bool kept, const struct wire_item *w)
{
	if (kept) {
		c->kept.start += w->total;
	} else {
		c->rx.start += w->total;
		c->rx_pos += w->total;
	}
}

/* Whether an object is of what comes here beside messages: frames, or a monitor's records. */
static bool comes(const struct conn *c, enum wire_kind kind, const struct wire_item *w)
{
	if (c->records)
		return kind == WIRE_EXT && w->ext == WIRE_EXT_MONITOR && w->len >= WIRE_MONITOR_LEN;
	return kind == WIRE_FRAME || (c->vnet_in && w->ext == WIRE_EXT_OFFLOAD &&
					     w->len >= WIRE_OFFLOAD_LEN + FETH_FRAME_MIN);
}

/* Counts an object that is passed over. A wake has done its work when it was read. */
static void pass_over(struct conn *c, enum wire_kind kind, const struct wire_item *w)
{
	c->counters.ignored += !(kind == WIRE_EXT && w->ext == WIRE_EXT_WAKE);
}

/* The next frame or record, if no message stands before it. */
static bool next_frame(struct conn *c, struct wire_item *w)
{
	for (;;) {
		const bool kept = has_kept(c);
		if (c->status && !kept)
			return false;
		const enum wire_kind kind = next_object(c, kept, w);
		if (kind != WIRE_FRAME && kind != WIRE_EXT)
			return false;
		consume(c, kept, w);
		if (comes(c, kind, w))
			return true;
		pass_over(c, kind, w);
	}
}

size_t conn_frames(struct conn *c, struct feth_frame *frames, size_t max)
{
	size_t n = 0;
	struct wire_item w;
	while (n < max && next_frame(c, &w)) {
		const uint32_t vnet = w.ext ? WIRE_OFFLOAD_LEN : 0;
		if (c->vnet_in)
			c->vnet_in[n] = vnet ? w.data : NULL;
		frames[n++] = (struct feth_frame){ .data = w.data + vnet, .len = w.len - vnet };
	}
	return n;
}

static uint64_t big_endian(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;
	while (n--)
		v = v << 8 | *p++;
	return v;
}

size_t conn_records(struct conn *c, struct feth_record *records, size_t max)
{
	size_t n = 0;
	struct wire_item w;
	while (n < max && next_frame(c, &w))
		records[n++] = (struct feth_record){
			.time_ns = big_endian(w.data, 8),
			.port = (uint16_t)big_endian(w.data + 8, 2),
			.verdict = w.data[10],
			.reason = w.data[11],
			.frame_len = (uint32_t)big_endian(w.data + 12, 4),
			.data = w.data + WIRE_MONITOR_LEN,
			.len = w.len - WIRE_MONITOR_LEN,
		};
	return n;
}

/* Handles the RPC object `w`; CONN_NONE: it was skipped. */
static enum conn_kind take_rpc(
	struct conn *c, bool kept, const struct wire_item *w, struct conn_item *item)
{
	struct envelope env;
	const uint64_t pos = c->rx_pos;
	if (read_envelope(c, w->data, w->len, &env) < 0)
		return CONN_FAILED;
	consume(c, kept, w);

	if (env.kind == RPC_NOTIFY) {
		memset(item, 0, sizeof(*item));
		item->notice = (struct feth_notice){ .method = c->method,
			.params = env.body,
			.params_len = env.body_len,
			.mtu = !strcmp(c->method, "network.changed") ? env.mtu : 0 };
		return CONN_NOTICE;
	}
	struct conn_call *call = env.kind == RPC_RESPONSE ? find_call(c, env.msgid) : NULL;
	if (!call) {
		c->counters.ignored++;
		return CONN_NONE;
	}
	if (!kept)
		pair_fds(c, call, pos, env.n_fds);
	finish_call(c, call, &env, item);
	return CONN_REPLY;
}

enum conn_kind conn_next(struct conn *c, struct conn_item *item)
{
	for (;;) {
		struct wire_item w;
		const bool kept = has_kept(c);
		if (c->status && !kept)
			return CONN_FAILED;
		const enum wire_kind kind = next_object(c, kept, &w);
		if (kind == WIRE_MORE)
			return CONN_NONE;
		if (comes(c, kind, &w))
			return CONN_FRAME;
		if (kind == WIRE_FRAME || kind == WIRE_EXT) {
			pass_over(c, kind, &w);
			consume(c, kept, &w);
		} else if (kind == WIRE_RPC) {
			const enum conn_kind found = take_rpc(c, kept, &w, item);
			if (found != CONN_NONE)
				return found;
		}
	}
}

/* -- keeping what arrives while one reply is awaited -- */

/* Appends bytes to the kept queue, which may hold `limit`. */
static int keep(struct conn *c, const uint8_t *data, size_t len, size_t limit)
{
	struct conn_bytes *k = &c->kept;
	const size_t used = k->end - k->start;
	if (len > limit - (used < limit ? used : limit))
		return -ENOBUFS;
	if (k->start && len > k->capacity - k->end) {
		memmove(k->data, k->data + k->start, used);
		k->start = 0;
		k->end = used;
	}
	if (len > k->capacity - k->end) {
		size_t capacity = k->capacity ? k->capacity : CONN_RX_BYTES;
		while (capacity < used + len)
			capacity *= 2;
		uint8_t *p = realloc(k->data, capacity);
		if (!p)
			return -ENOMEM;
		k->data = p;
		k->capacity = capacity;
	}
	memcpy(k->data + k->end, data, len);
	k->end += len;
	return 0;
}

/* A frame or ext while a reply is awaited. Who receives next may look for those that owe work. */
static void take_frame(struct conn *c, enum wire_kind kind, const struct wire_item *w)
{
	const bool owing = kind == WIRE_EXT && w->ext == WIRE_EXT_OFFLOAD && !c->records &&
			   w->len >= WIRE_OFFLOAD_LEN + FETH_FRAME_MIN;
	if (!owing && !comes(c, kind, w))
		pass_over(c, kind, w);
	else if (keep(c, w->data - w->hdr_len, w->total, FETH_KEEP_MAX) < 0)
		c->counters.frames_dropped++;
	consume(c, false, w);
}

/* One RPC object while `msgid` is awaited; CONN_NONE: it was kept, or skipped. */
static enum conn_kind await_rpc(
	struct conn *c, const struct wire_item *w, uint32_t msgid, struct conn_item *item)
{
	struct envelope env;
	if (read_envelope(c, w->data, w->len, &env) < 0)
		return CONN_FAILED;

	struct conn_call *call = env.kind == RPC_RESPONSE ? find_call(c, env.msgid) : NULL;
	if (env.kind != RPC_NOTIFY && (!call || call->answered)) {
		c->counters.ignored++;
		consume(c, false, w);
		return CONN_NONE;
	}
	if (call) {
		call->answered = true;
		pair_fds(c, call, c->rx_pos, env.n_fds);
	}
	if (call && call->msgid == msgid) {
		consume(c, false, w);
		finish_call(c, call, &env, item);
		return CONN_REPLY;
	}
	const int rc = keep(c, w->data, w->len, FETH_KEEP_MAX + CONN_KEPT_RPC_MAX);
	if (rc < 0) {
		conn_fail(c, rc, "too many messages arrived during one call");
		return CONN_FAILED;
	}
	consume(c, false, w);
	return CONN_NONE;
}

enum conn_kind conn_await(struct conn *c, uint32_t msgid, struct conn_item *item)
{
	while (!c->status) {
		struct wire_item w;
		const enum wire_kind kind = next_object(c, false, &w);
		switch (kind) {
		case WIRE_MORE:
			return CONN_NONE;
		case WIRE_BAD:
			return CONN_FAILED;
		case WIRE_FRAME:
		case WIRE_EXT:
			take_frame(c, kind, &w);
			break;
		case WIRE_RPC: {
			const enum conn_kind found = await_rpc(c, &w, msgid, item);
			if (found != CONN_NONE)
				return found;
			break;
		}
		}
	}
	return CONN_FAILED;
}
