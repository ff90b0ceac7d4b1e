/* snapread.h - reads a snapshot from a daemon, one call after the other, without ever waiting: a
 * screen must hear its keys, and a server its clients, while a daemon takes its time.
 *
 * A network that goes while it is read is left out, unless it is the one that was asked for. */
#ifndef CLIENTS_CTL_SNAPREAD_H
#define CLIENTS_CTL_SNAPREAD_H

#include "clients/ctl/snapshot.h"
#include "feth/client.h"

/* What was read, given: snapshot_free() it; or NULL, and one sentence that lives until the call
 * returns. @code: of errors.h, where the daemon said it; else "". */
typedef void snapread_done(void *user, struct snapshot *s, const char *code, const char *why);

/**
 * snapread_start() - begin
 * @conn:	of control.sock, or of the network's own socket
 * @network:	only this one; NULL: all, which control.sock alone can tell. Borrowed until @done
 * @done:	called exactly once, from feth_recv() or feth_close(), or at once if it cannot begin
 */
void snapread_start(struct feth_conn *conn, const char *network, snapread_done *done, void *user);

/* The same, waiting for it: NULL, and a sentence in @why, where it did not come within @timeout_ms;
 * then *conn may have been closed, and be NULL. */
struct snapshot *snapread_wait(
	struct feth_conn **conn, const char *network, int timeout_ms, char *why, size_t size);

void snapshot_free(struct snapshot *s); /* NULL is fine */

#endif
