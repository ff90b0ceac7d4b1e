/* peer_linux.c - see peer.h. */
#include <errno.h>
#include <sys/socket.h>

#include "server/io/peer.h"

int peer_of(int fd, struct peer *out)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	out->uid = cred.uid;
	out->gid = cred.gid;
	out->pid = (uint32_t)cred.pid;

	len = sizeof(out->groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out->groups, &len) < 0)
		len = 0; /* ERANGE: more groups than we look at */
	out->n_groups = (unsigned)(len / sizeof(out->groups[0]));
	return 0;
}

bool peer_group_elsewhere(const struct peer *peer, uint32_t gid)
{
	(void)peer;
	(void)gid;
	return false; /* SO_PEERGROUPS has them all */
}
