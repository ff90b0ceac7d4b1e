/* memberships.h - the groups that one client has joined by RPC.
 *
 * The network knows them too; they are kept here once more so that a call takes effect whole or not
 * at all, and so that the limit is the client's own: what is snooped of its port does not count. */
#ifndef SERVER_IO_MEMBERSHIPS_H
#define SERVER_IO_MEMBERSHIPS_H

#include "server/core/network.h"

struct memberships {
	bool all;                             /* every multicast */
	uint32_t n;                           /* in mac[] */
	struct feth_mac mac[PORT_GROUPS_MAX]; /* ascending, each once */
};

/**
 * memberships_join() - join what is wanted
 * @own:	owned by the caller: made here when it is needed, free() it when the port is gone
 * @port:	attached
 *
 * Return: 0, also where nothing is new; -ENOSPC over PORT_GROUPS_MAX; -ENOMEM; or what
 * network_group_join() says. After a failure nothing has changed
 */
int memberships_join(struct memberships **own, struct network *net, uint16_t port,
	const struct group_want *want, struct err *err);

/* Leaves what is named and was joined; the rest of the names is ignored. */
void memberships_leave(
	struct memberships *own, struct network *net, uint16_t port, const struct group_want *want);

#endif
