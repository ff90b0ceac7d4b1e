/* access.c - see access.h. */
#include "server/io/access.h"

static bool in_group(const struct access *access, const struct peer *peer, uint32_t gid)
{
	if (gid == ACCESS_NO_GROUP || (access->rootless && gid == UID_OVERFLOW))
		return false;
	return peer_in_group(peer, gid);
}

unsigned access_rights(const struct access *access, const struct peer *peer, uint32_t gid)
{
	const unsigned port = RIGHT_ATTACH | RIGHT_OBSERVE | RIGHT_CONTROL;
	if (access->rootless && peer->uid == UID_OVERFLOW)
		return RIGHT_ANY;
	if (peer->uid == 0 || peer->uid == access->uid || in_group(access, peer, access->admin_gid))
		return port | RIGHT_ADMIN;
	return in_group(access, peer, gid) ? port : (unsigned)RIGHT_ANY;
}
