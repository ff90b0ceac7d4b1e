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
	DIAL_PATH, /* a stream socket at `path` */
	DIAL_TCP,  /* `remote` */
	DIAL_UDP,  /* from `local` to `remote`, and nobody else is heard */
};

struct dial {
	enum dial_way way;
	char path[DIAL_TEXT];
	struct endpoint local, remote;
};

/* The same as it was said, to be shown and kept; empty: it was not. */
struct dial_text {
	char connect[DIAL_TEXT];
};

bool dial_text_same(const struct dial_text *a, const struct dial_text *b);

/* What `connect` says: an absolute path, or "tcp:" and an endpoint. False: *why, a constant
 * sentence, says what is wrong. */
bool dial_parse(struct dial *out, const char *text, const char **why);

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

/* The wait after @tries failed ones (0: the first has failed), by @random between half of it and
 * all: those who lost the same uplink do not come back to it in one moment. */
uint32_t dial_wait_ms(unsigned tries, uint32_t random);

#endif
