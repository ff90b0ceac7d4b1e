/* peer_linux.c - see peer.h. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
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

bool peer_in_group(const struct peer *peer, uint32_t gid)
{
	if (peer->gid == gid)
		return true;
	for (unsigned i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

int group_find(const char *text, uint32_t *out_gid, struct err *err)
{
	char *end;
	errno = 0;
	const unsigned long n = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && n < UINT32_MAX) {
		*out_gid = (uint32_t)n;
		return 0;
	}
	const struct group *gr = getgrnam(text);
	if (!gr)
		return err_set(err, -ENOENT,
			"there is no group %.32s on this machine; groupadd makes one", text);
	*out_gid = gr->gr_gid;
	return 0;
}
