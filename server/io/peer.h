/* peer.h - who is at the other end of a Unix socket, as the kernel attests it. */
#ifndef SERVER_IO_PEER_H
#define SERVER_IO_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"

#define PEER_GROUPS 256u /* supplementary groups looked at; more are ignored, which only denies */

struct peer {
	uint32_t uid, gid, pid;
	uint32_t groups[PEER_GROUPS];
	unsigned n_groups;
};

/* The identity of whoever connected (Linux: SO_PEERCRED, SO_PEERGROUPS; macOS: LOCAL_PEERCRED): it
 * holds for the connection's life. The pid, which nothing is decided by, is 0 where not known. */
int peer_of(int fd, struct peer *out);

bool peer_in_group(const struct peer *peer, uint32_t gid);

/* Whether a group that is not in @peer is the peer's all the same, since the system keeps more of
 * them than it attests. For peer_in_group(). */
bool peer_group_elsewhere(const struct peer *peer, uint32_t gid);

/* A Unix group by name or number. -ENOENT with a sentence. */
int group_find(const char *text, uint32_t *out_gid, struct err *err);

#endif
