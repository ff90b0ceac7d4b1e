/* hostside.h - a network's host side on its loop: when its descriptors are read, and what of it
 * goes into the network. What the network sends there goes straight to hostif_ops.send(). */
#ifndef SERVER_IO_HOSTSIDE_H
#define SERVER_IO_HOSTSIDE_H

#include "server/core/network.h"
#include "server/io/ioloop.h"

struct uv_poll_s;

struct hostside {
	/* given */
	struct ioloop *loop;
	struct network *net;
	/* Its descriptors are dead, and closed; on the loop, with frames of a batch on the stack.
	 */
	void (*lost)(void *ctx);
	void *ctx;

	/* its own */
	const struct hostif_ops *ops;
	struct hostif *host;           /* owned; NULL: there is none */
	struct uv_poll_s *poll;        /* owned; NULL where there is nothing to poll */
	struct uv_poll_s *gather_poll; /* owned; NULL until frames first gathered */
	bool gathers;                  /* that one is polled instead */
	struct ioloop_later rest;      /* it is not read: pacing, stream.h */
	bool resting;
};

/* Takes over the descriptors of @made, also on failure. 0, or the sentence and nothing is open. */
int hostside_open(struct hostside *h, const struct hostif_ops *ops, const struct hostif_made *made,
	const struct hostif_spec *spec, struct err *err);
/* Fine where nothing is open. */
void hostside_close(struct hostside *h);

/* Every second. */
void hostside_tick(struct hostside *h);
/* It has something to say itself (hostif_ops.more), in a turn to come. */
void hostside_waits(struct hostside *h);
/* What is declared of it is this now. */
void hostside_changed(struct hostside *h, const struct hostif_spec *spec);

#endif
