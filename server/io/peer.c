/* peer.c - what of peer.h is the same everywhere. */
#include "server/io/peer.h"
#include "server/io/machine.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>

bool peer_in_group(const struct peer *peer, uint32_t gid)
{
	if (peer->gid == gid)
		return true;
	for (unsigned i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == gid)
			return true;
	return peer_group_elsewhere(peer, gid);
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
		return err_set(err, -ENOENT, "there is no group %.32s on this machine; %s", text,
			machine.make_group);
	*out_gid = gr->gr_gid;
	return 0;
}
