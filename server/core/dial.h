/* dial.h - whom a port calls: where fethd is the one who connects. Pure.
 *
 * As an administrator says it, in `connect`, or `local` and `remote`, of port.add; and when to try
 * again. */
#ifndef SERVER_CORE_DIAL_H
#define SERVER_CORE_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/text.h"

#define DIAL_TEXT 108u /* of a path as sockets have it (sun_path of Linux) */
#define DIAL_WHY 160u  /* why it is not connected now */

enum dial_way {
	DIAL_NONE,
	DIAL_PATH,  /* a stream socket at `path` */
	DIAL_TCP,   /* `remote` */
	DIAL_UDP,   /* from `local` to `remote`, and nobody else is heard */
	DIAL_PLACE, /* a datagram socket at `path`, which sends to the port's own */
};

struct dial {
	enum dial_way way;
	char path[DIAL_TEXT];
	struct endpoint local, remote;
};

/* The same as it was said, to be shown and kept; empty: it was not. */
struct dial_text {
	char connect[DIAL_TEXT]; /* an absolute path, or "tcp:" and an endpoint */
	/* of UDP: endpoints; or `remote` alone, the absolute path of a datagram socket */
	char local[ENDPOINT_TEXT], remote[DIAL_TEXT];
};

/* Whether it says anything: the port calls. */
bool dial_text_any(const struct dial_text *text);
bool dial_text_same(const struct dial_text *a, const struct dial_text *b);

/* What it says: a `connect`, a `remote`, or `local` and `remote`. False: *field is the one with the
 * fault, and *why, a constant sentence, says which. */
bool dial_parse(
	struct dial *out, const struct dial_text *text, const char **field, const char **why);

/* Whether it stays on this machine. */
bool dial_is_local(const struct dial *dial);

/* A connection that held so long was one; the tries before it are forgotten. One that ends before,
 * as passt's for who comes second, is a failed try. */
#define DIAL_STEADY_MS 5000u
/* How long a try may take; a Unix socket decides at once. */
#define DIAL_CONNECT_MS 5000u
/* Between tries, at first and at most, doubled each time. A try is a handful of system calls, and a
 * machine that is started by hand takes longer than the first; 5 s is what a person waits for one
 * that was started anew. */
#define DIAL_FIRST_MS 50u
#define DIAL_MOST_MS 5000u

/* When to try again. All zero: never tried. */
struct dial_pace {
	unsigned tries; /* that failed, one after the other */
	bool open;
	uint64_t since_ms;
};

/* A connection is there. */
void dial_pace_opened(struct dial_pace *pace, uint64_t now_ms);

/* A try has failed, or a connection has ended. The milliseconds until the next: by @random between
 * half of the wait and all of it, so that those who lost the same uplink do not come back to it in
 * one moment. */
uint32_t dial_pace_wait_ms(struct dial_pace *pace, uint64_t now_ms, uint32_t random);

#endif
