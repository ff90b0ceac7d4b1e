/* refusals.h - one line in the log for each refusal, and how many there were (core/audit.h). One
 * for the whole daemon, whatever loop the refusal is of. */
#ifndef SERVER_IO_REFUSALS_H
#define SERVER_IO_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/core/command.h"

/* A period of core/audit.h: a stranger writes 1.6 lines a second at most, and what was left out is
 * told while it is still of interest. */
#define REFUSALS_MS 10000u

struct ioloop;
struct refusals;

/* @main_loop: periods end there. NULL: no memory. */
struct refusals *refusals_new(struct ioloop *main_loop);
/* On main's loop, when there is no other any more: says what is still to be said; closes its
 * handle. */
void refusals_close(struct refusals *r);
void refusals_free(struct refusals *r); /* when the loop has no handles left */

/* Whether there is room for a line about @uid, on any loop; if not, it is one of those that the
 * period's end tells of. For what anybody can have written as often as he connects. */
bool refusals_admit(struct ioloop *loop, uint32_t uid);

/**
 * refusals_put() - somebody was refused something: counts it, and writes a line if there is room
 * @loop:	the one it happened on
 * @method:	of the call, or `attach` or `connect` where there was none
 * @network:	its name, or ""
 * @socket:	where: control.sock, feth.sock, qemu.sock, ports/NAME or port.open
 */
void refusals_put(struct ioloop *loop, const char *method, const char *network, uint32_t uid,
	uint32_t pid, const char *socket);

#endif
