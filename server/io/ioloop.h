/* ioloop.h - what all handles of one libuv loop share: the read buffer, spare memory, the dead.
 *
 * One per loop: main's, and one of each network. Whatever runs on the loop may use the read buffer
 * until it returns to the loop; nothing in it survives that. But for ioloop_post() all of it is
 * called on the loop's own thread. */
#ifndef SERVER_IO_IOLOOP_H
#define SERVER_IO_IOLOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/message.h"
#include "server/core/block.h"
#include "server/core/command.h"
#include "server/core/egress.h"

#define IOLOOP_BUF (4352u * 1024u) /* host side: 64 slots of 64 KiB, as far as they are touched */
#define IOLOOP_READ                                                                                \
	(256u * 1024u)   /* one read of a stream: 128 KiB loses nothing, 64 KiB 11 %, 16 KiB       \
			    55 % (limits.md, 4) */
#define IOLOOP_BATCH 64u /* frames decided together: 8 reach 90 %, 32 to 64 all */
#define IOLOOP_SNDBUF (416u * 1024u) /* 2.4 times the default's 208 KiB; 4 MiB adds nothing */
#define IOLOOP_EGRESS 32u            /* 21 KiB each; more ports in one batch is a flood */
#define IOLOOP_PACE_MS 1u            /* see ioloop_hold() */
#define IOLOOP_TIDY_MS 1000u

struct ioloop;
struct shared;
struct stream;

struct ioloop *ioloop_new(void *uv, struct shared *shared); /* a uv_loop_t; NULL without memory */
void ioloop_free(struct ioloop *loop);  /* when the uv loop has no handles left; NULL is fine */
void ioloop_close(struct ioloop *loop); /* closes its own handles; no more messages may come */

/* Has msg->fn called on the loop, in a turn to come (inbox.h). From any thread. */
void ioloop_post(struct ioloop *loop, struct message *msg);
/* Carries out what has come, now (inbox_take()). */
void ioloop_take(struct ioloop *loop);

/* The loop itself (a uv_loop_t), and its time: monotonic milliseconds, cached per turn. */
void *ioloop_uv(struct ioloop *loop);
uint64_t ioloop_now(struct ioloop *loop);
uint8_t *ioloop_buf(struct ioloop *loop);
struct block_pool *ioloop_rpc_pool(struct ioloop *loop);
struct daemon_counters *ioloop_counters(struct ioloop *loop); /* of what happened on this loop */
struct shared *ioloop_shared(struct ioloop *loop);

/* Lends an empty egress until the flush, and takes it back. NULL where IOLOOP_EGRESS are lent: a
 * flood to more ports than that is written port by port, by way of the shared one, which is empty
 * again as soon as its borrower is through. */
struct egress *ioloop_egress(struct ioloop *loop);
void ioloop_egress_return(struct ioloop *loop, struct egress *eg);

/* A stream has closed: soon the memory that is kept for use again goes back to the system, so that
 * a crowd which came and went leaves nothing. At most once in IOLOOP_TIDY_MS (5 ms for 10 MiB of
 * crumbs). */
void ioloop_tidy(struct ioloop *loop);
struct egress *ioloop_egress_shared(struct ioloop *loop);

/* Has @fn called with @arg before the loop waits again, when nothing of the present turn is on the
 * stack any more. Each entry is embedded in its owner, and queued at most once at a time. */
struct ioloop_later {
	struct ioloop_later *next;
	void (*fn)(void *arg);
	void *arg;
	bool queued;
};
void ioloop_defer(
	struct ioloop *loop, struct ioloop_later *later, void (*fn)(void *arg), void *arg);

/* Pacing (stream.h says why). Every port that a batch went to says whether its reader fell behind;
 * ioloop_overran() says whether all of them did since ioloop_batch(). ioloop_hold() is
 * ioloop_defer() after the next ioloop_release() or IOLOOP_PACE_MS, whichever comes first.
 * ioloop_cancel() takes back either. */
void ioloop_batch(struct ioloop *loop);
void ioloop_flushed(struct ioloop *loop, bool behind);
bool ioloop_overran(const struct ioloop *loop);
void ioloop_hold(struct ioloop *loop, struct ioloop_later *later, void (*fn)(void *arg), void *arg);
void ioloop_cancel(struct ioloop *loop, struct ioloop_later *later);
void ioloop_release(struct ioloop *loop);

#endif
