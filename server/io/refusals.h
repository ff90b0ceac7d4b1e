/* refusals.h - one line in the log for each refusal, and how many there were (core/audit.h). */
#ifndef SERVER_IO_REFUSALS_H
#define SERVER_IO_REFUSALS_H

#include <stdint.h>

#include "server/core/command.h"

/* A period of core/audit.h: a stranger writes 1.6 lines a second at most, and what was left out is
 * told while it is still of interest. */
#define REFUSALS_MS 10000u

struct refusals;

struct refusals *refusals_new(void *uv, struct daemon_counters *counters); /* NULL: no memory */
void refusals_close(struct refusals *r); /* says what is still to be said; closes its handle */
void refusals_free(struct refusals *r);  /* when the loop has no handles left */

/**
 * refusals_put() - somebody was refused something: counts it, and writes a line if there is room
 * @method:	of the call, or `attach` or `connect` where there was none
 * @network:	its name, or ""
 * @socket:	where: control.sock, feth.sock, qemu.sock, ports/NAME or port.open
 */
void refusals_put(struct refusals *r, const char *method, const char *network, uint32_t uid,
	uint32_t pid, const char *socket);

#endif
