/* conn.h - the client's side of the native protocol without any I/O.
 *
 * Bytes in, items out: frames, replies, notices, or the reason why the connection is over. Calls
 * and frames in, bytes out. unix.c moves the bytes; tests move them one at a time.
 *
 * What comes in lies in one buffer (`rx`), and frames are views into it. While unix.c waits for one
 * reply, everything that stands before it moves to the `kept` queue as the bytes it came in, and is
 * decoded from there later, so that the order of the stream is the order of delivery. Out goes one
 * queue of bytes (`tx`): requests, and the rest of a frame that was begun; other frames are written
 * from where they are.
 *
 * Everything is bounded: rx is fixed, tx and kept have limits, descriptors have too. Descriptors
 * nobody announced are closed through a function given at the start. */
#ifndef CLIENTS_LIB_CONN_H
#define CLIENTS_LIB_CONN_H

#include <stdarg.h>
#include <sys/uio.h>

#include "feth/client.h"
#include "protocol/rpc.h"
#include "protocol/wire.h"

#define CONN_RX_BYTES ((size_t)256 * 1024) /* one read; the largest object is a quarter of it */
#define CONN_TX_MAX ((size_t)1024 * 1024)  /* requests waiting to be written, bytes */
#define CONN_KEPT_RPC_MAX                                                                          \
	((size_t)1024 * 1024) /* over FETH_KEEP_MAX, for what must not be dropped */
#define CONN_ARRIVED_MAX 16u  /* descriptors received and not yet paired */

/* Frames of one sendmsg. 64 reach the plateau of what batches bring, see client.h. */
#define CONN_BATCH 64u
/* Frames up to this many bytes are copied behind their header, so that neighbours share an iovec.
 * Sender's CPU per frame over a socket pair, copied against one iovec each (Linux 6.18, batch 64):
 * 60 bytes 40 and 109 ns, 256: 66 and 134, 512: 80 and 150; at 1024 both are 170 to 190. */
#define CONN_COPY_MAX 512u

/* Bytes of which [start, end) are alive. */
struct conn_bytes {
	uint8_t *data; /* owned */
	size_t start, end;
	size_t capacity; /* bytes */
};

/* A call that has no answer yet, or one that lies in `kept`. */
struct conn_call {
	bool used;
	bool answered; /* descriptors are paired; a second answer is ignored */
	uint32_t msgid;
	feth_reply_fn *fn; /* NULL: feth_call() waits for it */
	void *user;
	int fds[FETH_FDS_MAX]; /* owned */
	uint32_t n_fds;
	bool fds_lost; /* the reply announced others than came */
};

/* A descriptor that came with bytes [from, to) of the stream. */
struct conn_arrived {
	int fd; /* owned */
	uint64_t from, to;
};

enum conn_kind {
	CONN_NONE,   /* nothing whole is there: read more */
	CONN_FRAME,  /* a frame is next, or a record: conn_frames(), conn_records() have it */
	CONN_REPLY,  /* item.reply, for item.fn */
	CONN_NOTICE, /* item.notice */
	CONN_FAILED, /* conn.status says why */
};

struct conn_item {
	struct feth_reply reply; /* its descriptors are given */
	feth_reply_fn *fn;
	void *user;
	struct feth_notice notice;
};

struct conn {
	struct conn_bytes rx, kept, tx;
	struct wire_scan scan;
	const uint8_t **vnet_in;        /* during feth_recv_vnet(): beside its frames */
	const uint8_t *const *vnet_out; /* during feth_send_vnet(): beside sending */
	const struct feth_frame *sending;
	bool records;    /* a monitor: records are what comes, and frames are not */
	uint64_t rx_pos; /* position in the stream of rx.start */

	struct conn_call calls[FETH_CALLS_MAX];
	uint32_t last_msgid;

	struct conn_arrived arrived[CONN_ARRIVED_MAX];
	unsigned n_arrived;
	void (*close_fd)(int fd);

	int status;     /* not 0: the connection is over, for this reason */
	int end_status; /* what the end of the stream will mean, where the server announced it */
	char why[1200]; /* the sentence to the last failure */
	char end_why[1200];
	char code[32], message[1024], method[64]; /* terminated copies for items */
	struct feth_counters counters;

	struct rpc_out request;
};

/* Return: 0, -ENOMEM (conn_fini() is safe then) */
int conn_init(struct conn *c, void (*close_fd)(int fd));
/* Closes all descriptors; calls are forgotten, see conn_take_call(). */
void conn_fini(struct conn *c);

/* Ends the connection for good; the first reason stays. Return: c->status */
int conn_fail(struct conn *c, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Sets the sentence only. Return: rc */
int conn_error(struct conn *c, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* -- in -- */

/* Room to read into. Ends the life of all views handed out. Return: bytes, at least
 * CONN_RX_BYTES minus one object */
size_t conn_space(struct conn *c, uint8_t **out);

/* The same without moving or ending anything: room behind what is there. Return: bytes, also 0 */
size_t conn_space_behind(const struct conn *c, uint8_t **out);

/**
 * conn_received() - note that bytes were read into the space
 * @len:	how many
 * @fds:	descriptors that came with them; given
 */
void conn_received(struct conn *c, size_t len, const int *fds, size_t n_fds);

/* The stream has ended. Return: c->status */
int conn_eof(struct conn *c);

/* Begins a receiving call: views handed out are dead, so their memory may be used again. */
void conn_recycle(struct conn *c);

/* The next frames, up to the first item of another kind. Skips what is unknown. Return: how many */
size_t conn_frames(struct conn *c, struct feth_frame *frames, size_t max);
/* The same for records. */
size_t conn_records(struct conn *c, struct feth_record *records, size_t max);

/* The next item where it is no frame; see enum conn_kind. */
enum conn_kind conn_next(struct conn *c, struct conn_item *item);

/**
 * conn_await() - look for one reply among what was read, and keep all that stands before it
 * @msgid:	of a call whose fn is NULL
 *
 * Return: CONN_REPLY, CONN_NONE or CONN_FAILED
 */
enum conn_kind conn_await(struct conn *c, uint32_t msgid, struct conn_item *item);

/* -- out -- */

/* Queues a call. Return: 0, or as feth_call_start() */
int conn_call(struct conn *c, const char *method, const uint8_t *params, size_t params_len,
	feth_reply_fn *fn, void *user, uint32_t *out_msgid);

/* Queues a wake, for a server that sleeps beside its rings. Return: 0, -ENOMEM, -ENOBUFS */
int conn_wake(struct conn *c);

/* Nobody waits for this call any more; its answer will be ignored. */
void conn_forget(struct conn *c, uint32_t msgid);

/* Takes one unanswered call with a callback out of the table; false: there is none. */
bool conn_take_call(struct conn *c, feth_reply_fn **fn, void **user);

/* A batch laid out for one sendmsg. */
struct conn_plan {
	const struct feth_frame *frames; /* borrowed */
	size_t n;                        /* of them in this batch */
	size_t queued;                   /* bytes of tx in front */
	struct iovec iov[1 + 2 * CONN_BATCH];
	unsigned n_iov;
	size_t ends[CONN_BATCH]; /* bytes up to the end of each frame, tx included */
	/* headers, small frames */
	uint8_t small[CONN_BATCH * (WIRE_HDR_MAX + WIRE_OFFLOAD_LEN + CONN_COPY_MAX)];
};

/**
 * conn_plan() - lay out what waits in tx and up to CONN_BATCH frames behind it
 * @plan:	out; conn_sent() must follow before anything else is done with @c
 * @frames:	checked sizes
 */
void conn_plan(struct conn *c, struct conn_plan *plan, const struct feth_frame *frames, size_t n);

/**
 * conn_sent() - note how many bytes of a plan were written
 *
 * The rest of a frame begun moves to tx.
 *
 * Return: frames taken, begun ones included; -ENOMEM: the connection is over
 */
int conn_sent(struct conn *c, const struct conn_plan *plan, size_t len);

#endif
