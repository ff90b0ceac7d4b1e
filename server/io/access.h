/* access.h - who may do what: from a peer's identity to its rights. */
#ifndef SERVER_IO_ACCESS_H
#define SERVER_IO_ACCESS_H

#include "server/io/peer.h"
#include "server/rpc/method.h"

#define ACCESS_NO_GROUP UINT32_MAX
#define UID_OVERFLOW 65534u /* whoever is not mapped into our user namespace looks like this */

/* What the daemon judges by; set once at start. */
struct access {
	uint32_t uid;       /* the daemon's own */
	uint32_t admin_gid; /* --admin-group, or ACCESS_NO_GROUP */
	bool rootless;      /* in a user namespace: UID_OVERFLOW is nobody we know */
};

/* Root, the daemon's own user and the admin group hold every right; members of a network's group
 * (@gid, or ACCESS_NO_GROUP) may attach, observe and control its ports. Others hold RIGHT_ANY. */
unsigned access_rights(const struct access *access, const struct peer *peer, uint32_t gid);

#endif
