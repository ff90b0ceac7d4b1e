/* peer.h - who is at the other end of a Unix socket, as the kernel attests it. */
#ifndef SERVER_IO_PEER_H
#define SERVER_IO_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/core/access.h"

/* The identity of whoever connected (Linux: SO_PEERCRED, SO_PEERGROUPS; macOS: LOCAL_PEERCRED): it
 * holds for the connection's life. The pid, which nothing is decided by, is 0 where not known. */
int peer_of(int fd, struct peer *out);

/* The sender of a datagram. Linux: attested, with the groups that its process has, as /proc says.
 * macOS: nothing attests who sent it; it is whose the socket is that it is bound to, in the groups
 * that the directory has him in (access.elsewhere), and what keeps others out is the mode of the
 * path that it was sent to. -errno where nobody says. */
struct msgio_in;
int peer_of_sender(const struct msgio_in *m, struct peer *out);

/* access.elsewhere: the system keeps more groups of a user than it attests. */
bool peer_group_elsewhere(const struct peer *peer, uint32_t gid);

/* A Unix user or group by name or number. -ENOENT with a sentence. */
int user_find(const char *text, uint32_t *out_uid, struct err *err);
int group_find(const char *text, uint32_t *out_gid, struct err *err);

#endif
