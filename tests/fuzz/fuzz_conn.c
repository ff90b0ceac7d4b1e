/* fuzz_conn.c - libfeth's core against a server that says anything, in any pieces.
 *
 * The input: one byte n, n bytes of choices (what is done next; all zero when they are used up; the
 * first is 128 or more for a monitor, which gets records instead of frames), and the stream as the
 * server sends it. Whatever it is: every frame of the stream up to its first
 * fault is delivered once and in order, every descriptor ends in exactly one place, and what was
 * written is calls and frames, whole and in the order they were taken. */
#include <string.h>

#include "clients/lib/conn.h"
#include "protocol/text.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"
#include "tests/support/rng.h"

#define FDS_MAX 256u
#define SENT_MAX 256u

enum fd_state { FD_UNUSED, FD_OPEN, FD_CLOSED };

struct peer {
	struct conn c;
	struct rng rng;
	const uint8_t *stream;
	size_t len, fed;
	struct wire_scan scan; /* of the model: the next frame that must be delivered */
	size_t at;
	bool over; /* its end was seen */

	struct bytes out; /* what was written */
	struct {
		uint32_t msgid; /* 0: a frame */
		uint32_t len;
	} sent[SENT_MAX];
	unsigned n_sent;
};

/* conn.h gives close_fd() no data. */
static enum fd_state fds[FDS_MAX];
static int last_fd;

static uint8_t pattern[FETH_FRAME_MAX];

static void close_fd(int fd)
{
	must(fd >= 0 && fd < (int)FDS_MAX && fds[fd] == FD_OPEN);
	fds[fd] = FD_CLOSED;
}

static void on_reply(struct feth_conn *conn, const struct feth_reply *reply, void *user)
{
	(void)conn;
	(void)reply;
	(void)user;
}

static void read_all(const uint8_t *data, size_t len)
{
	volatile uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + data[i]);
}

static void is_text(const char *text)
{
	must(utf8_valid(text, strlen(text)));
}

/* -- what comes in -- */

/* The model: the next frame of the whole stream, looked at in one piece. */
static bool next_frame(struct peer *p, struct wire_item *item)
{
	for (;;) {
		const enum wire_kind kind =
			wire_next(&p->scan, p->stream + p->at, p->len - p->at, item);
		if (kind == WIRE_MORE || kind == WIRE_BAD)
			return false;
		if (kind == WIRE_RPC) {
			struct rpc_msg msg;
			const enum rpc_fault fault = rpc_decode(&msg, item->data, item->len);
			rpc_msg_fini(&msg);
			if (fault == RPC_BAD_ENVELOPE)
				return false; /* and it is found again the next time */
		}
		p->at += item->total;
		if (p->c.records ? kind == WIRE_EXT && item->ext == 2 && item->len >= 16
				 : kind == WIRE_FRAME)
			return true;
	}
}

static void take_reply(const struct conn_item *item)
{
	const struct feth_reply *r = &item->reply;
	must(r->n_fds <= FETH_FDS_MAX);
	must(r->status <= 0 && (!r->status || !r->n_fds));
	for (unsigned i = 0; i < r->n_fds; i++)
		close_fd(r->fds[i]);
	is_text(r->code);
	is_text(r->message);
	read_all(r->result, r->result_len);
}

static size_t take_frames(struct peer *p)
{
	struct feth_frame frames[8];
	const size_t n = conn_frames(&p->c, frames, rng_between(&p->rng, 1, 8));
	for (size_t i = 0; i < n; i++) {
		struct wire_item want;
		must(next_frame(p, &want));
		must(frames[i].len == want.len);
		must(!memcmp(frames[i].data, want.data, want.len));
	}
	return n;
}

static size_t take_records(struct peer *p)
{
	struct feth_record records[8];
	const size_t n = conn_records(&p->c, records, rng_between(&p->rng, 1, 8));
	for (size_t i = 0; i < n; i++) {
		const struct feth_record *r = &records[i];
		struct wire_item want;
		must(next_frame(p, &want));
		must((uint8_t)r->time_ns == want.data[7] && r->time_ns >> 56 == want.data[0]);
		must(r->port == (want.data[8] << 8 | want.data[9]));
		must(r->verdict == want.data[10] && r->reason == want.data[11]);
		must(feth_drop_name(r->reason));
		must(r->frame_len >> 24 == want.data[12] && (uint8_t)r->frame_len == want.data[15]);
		must(r->len == want.len - 16);
		must(!memcmp(r->data, want.data + 16, r->len));
	}
	return n;
}

/* Takes all that can be delivered. Return: whether the connection is over */
static bool deliver(struct peer *p)
{
	conn_recycle(&p->c);
	for (;;) {
		struct conn_item item;
		const size_t n = p->c.records ? take_records(p) : take_frames(p);
		if (n)
			continue;
		switch (conn_next(&p->c, &item)) {
		case CONN_FRAME:
			continue;
		case CONN_REPLY:
			must(item.fn == on_reply && item.user == p);
			take_reply(&item);
			continue;
		case CONN_NOTICE:
			is_text(item.notice.method);
			read_all(item.notice.params, item.notice.params_len);
			continue;
		case CONN_NONE:
			return false;
		case CONN_FAILED:
			must(p->c.status < 0 && p->c.why[0]);
			return true;
		}
	}
}

static void feed(struct peer *p, size_t max)
{
	uint8_t *space;
	int with[3];
	size_t n_with = 0;
	size_t len = conn_space(&p->c, &space);
	must(len);
	len = len < max ? len : max;
	len = len < p->len - p->fed ? len : p->len - p->fed;
	memcpy(space, p->stream + p->fed, len);
	p->fed += len;
	for (unsigned n = rng_below(&p->rng, 4); n && last_fd < (int)FDS_MAX; n--) {
		fds[last_fd] = FD_OPEN;
		with[n_with++] = last_fd++;
	}
	conn_received(&p->c, len, with, n_with);
}

/* -- what goes out -- */

static void wrote(struct peer *p, const struct conn_plan *plan, size_t len)
{
	for (unsigned i = 0; i < plan->n_iov && len; i++) {
		const size_t part = plan->iov[i].iov_len < len ? plan->iov[i].iov_len : len;
		bytes_add(&p->out, plan->iov[i].iov_base, part);
		len -= part;
	}
}

static void log_sent(struct peer *p, uint32_t msgid, uint32_t len)
{
	must(p->n_sent < SENT_MAX);
	p->sent[p->n_sent].msgid = msgid;
	p->sent[p->n_sent++].len = len;
}

/* Some frames, of which the socket takes some bytes. */
static void send_frames(struct peer *p)
{
	static const uint32_t sizes[] = { 14, 60, 255, 256, 512, 513, 1514, 9014, 65553 };
	static struct conn_plan plan;
	struct feth_frame frames[CONN_BATCH];
	const unsigned n = rng_below(&p->rng, 9);
	if (p->n_sent + n > SENT_MAX || p->out.len > 1u << 20)
		return;
	for (unsigned i = 0; i < n; i++)
		frames[i] =
			(struct feth_frame){ .data = pattern, .len = sizes[rng_below(&p->rng, 9)] };
	conn_plan(&p->c, &plan, frames, n);
	size_t all = 0;
	for (unsigned i = 0; i < plan.n_iov; i++)
		all += plan.iov[i].iov_len;
	size_t len = all;
	if (rng_one_in(&p->rng, 2))
		len = rng_below(&p->rng, (uint32_t)all + 1);
	wrote(p, &plan, len);
	const int taken = conn_sent(&p->c, &plan, len);
	must(taken >= 0 && taken <= (int)n);
	must(taken == (int)n || len < all);
	for (int i = 0; i < taken; i++)
		log_sent(p, 0, frames[i].len);
}

static bool start_call(struct peer *p, feth_reply_fn *fn, uint32_t *msgid)
{
	static const uint8_t params[] = { 0x81, 0xa1, 'a', 1 };
	if (p->n_sent == SENT_MAX)
		return false;
	const bool with = rng_one_in(&p->rng, 2);
	const int rc = conn_call(
		&p->c, "x.y", with ? params : NULL, with ? sizeof(params) : 0, fn, p, msgid);
	if (!rc)
		log_sent(p, *msgid, 0);
	return !rc;
}

/* As feth_call(): nothing is delivered meanwhile, and after a while it gives up. */
static void call_and_wait(struct peer *p)
{
	struct conn_item item;
	uint32_t msgid;
	if (!start_call(p, NULL, &msgid))
		return;
	conn_recycle(&p->c);
	for (;;) {
		const enum conn_kind kind = conn_await(&p->c, msgid, &item);
		if (kind == CONN_REPLY) {
			take_reply(&item);
			return;
		}
		must(kind == CONN_NONE || kind == CONN_FAILED);
		if (kind == CONN_FAILED || p->fed == p->len || rng_one_in(&p->rng, 8)) {
			conn_forget(&p->c, msgid);
			return;
		}
		feed(p, rng_between(&p->rng, 1, 512));
	}
}

/* What was written is what was taken. */
static void check_out(struct peer *p)
{
	struct wire_scan scan = { 0 };
	struct wire_item item;
	size_t at = 0;
	for (unsigned i = 0; i < p->n_sent; i++, at += item.total) {
		const enum wire_kind kind =
			wire_next(&scan, p->out.data + at, p->out.len - at, &item);
		if (!p->sent[i].msgid) {
			must(kind == WIRE_FRAME && item.len == p->sent[i].len);
			must(!memcmp(item.data, pattern, item.len));
			continue;
		}
		struct rpc_msg msg;
		must(kind == WIRE_RPC && rpc_decode(&msg, item.data, item.len) == RPC_OK);
		must(msg.kind == RPC_REQUEST && msg.msgid == p->sent[i].msgid);
		rpc_msg_fini(&msg);
	}
	must(at == p->out.len);
}

/* -- all of it -- */

static void flush(struct peer *p)
{
	static struct conn_plan plan;
	conn_plan(&p->c, &plan, NULL, 0);
	wrote(p, &plan, plan.queued);
	must(!conn_sent(&p->c, &plan, plan.queued));
	must(p->c.tx.start == p->c.tx.end);
}

static void step(struct peer *p)
{
	uint32_t msgid;
	switch (rng_below(&p->rng, 8)) {
	case 0:
		feed(p, p->len);
		break;
	case 1:
		feed(p, rng_between(&p->rng, 1, 8));
		break;
	case 2:
	case 3:
		feed(p, rng_between(&p->rng, 1, 2048));
		break;
	case 4:
		(void)start_call(p, on_reply, &msgid);
		break;
	case 5:
		call_and_wait(p);
		break;
	case 6:
		send_frames(p);
		break;
	case 7:
		p->over |= deliver(p);
		break;
	}
}

static void end(struct peer *p)
{
	struct wire_item none;
	feth_reply_fn *fn;
	void *user;
	if (!p->over)
		(void)deliver(p);
	must(conn_eof(&p->c) < 0);
	must(deliver(p));
	must(!next_frame(p, &none));
	must(!p->c.counters.frames_dropped);
	flush(p);
	check_out(p);
	while (conn_take_call(&p->c, &fn, &user))
		must(fn == on_reply && user == p);
	conn_fini(&p->c);
	for (int i = 0; i < last_fd; i++)
		must(fds[i] == FD_CLOSED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct peer p;
	const size_t n = len ? data[0] : 0;
	if (len < 1 + n)
		return 0;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + (i >> 8));
	memset(fds, 0, sizeof(fds));
	last_fd = 0;
	p = (struct peer){
		.rng = { .bytes = data + 1, .left = n },
		.stream = data + 1 + n,
		.len = len - 1 - n,
	};
	must(!conn_init(&p.c, close_fd));
	p.c.records = n && data[1] & 0x80;
	while (!p.over && p.fed < p.len)
		step(&p);
	end(&p);
	free(p.out.data);
	return 0;
}
