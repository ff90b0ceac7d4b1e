/* peer_linux.c - see peer.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server/io/msgio.h"
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

/* The real, the effective and the saved one. */
static bool all_are(const char *at, uint32_t uid)
{
	char *end;
	for (unsigned i = 0; i < 3; i++, at = end)
		if (strtoul(at, &end, 10) != uid || end == at)
			return false;
	return true;
}

/* The supplementary groups of a process, if it still is one of @who's. (Another with its number by
 * now is of the same user, who could do as that one does anyway.) */
static void read_groups(FILE *status, struct peer *who)
{
	char line[4096]; /* of 256 groups, at most 11 bytes each */
	bool same = false;
	while (fgets(line, sizeof(line), status)) {
		if (!strncmp(line, "Uid:", 4))
			same = all_are(line + 4, who->uid);
		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		char *at = line + 7, *end;
		for (;; at = end) {
			const unsigned long gid = strtoul(at, &end, 10);
			if (end == at || !same || who->n_groups == PEER_GROUPS)
				return;
			who->groups[who->n_groups++] = (uint32_t)gid;
		}
	}
}

int peer_of_sender(const struct msgio_in *m, struct peer *out)
{
	if (!m->attested)
		return -EPERM;
	out->uid = m->uid;
	out->gid = m->gid;
	out->pid = m->pid;
	out->n_groups = 0;
	char path[32];
	snprintf(path, sizeof(path), "/proc/%u/status", (unsigned)m->pid);
	FILE *status = m->pid ? fopen(path, "re") : NULL;
	if (status) {
		read_groups(status, out);
		fclose(status);
	}
	return 0;
}

bool peer_group_elsewhere(const struct peer *peer, uint32_t gid)
{
	(void)peer;
	(void)gid;
	return false; /* SO_PEERGROUPS has them all */
}
