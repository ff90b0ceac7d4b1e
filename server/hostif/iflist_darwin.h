/* iflist_darwin.h - what interfaces there are, from the kernel's list of them (NET_RT_IFLIST2).
 *
 * Needs no privilege. It is also the only public way to an interface's MAC and memberships.
 * Functions return -DW_E* on failure. */
#ifndef SERVER_HOSTIF_IFLIST_DARWIN_H
#define SERVER_HOSTIF_IFLIST_DARWIN_H

#include <stdint.h>

#include "server/hostif/route_darwin.h"

struct iflist {
	uint8_t *data; /* owned */
	size_t len;
};

/* The list as it is now. @family: DW_AF_LINK for interfaces and their link-level groups, 0 for
 * their addresses too. @index: of one interface, 0 for all. iflist_free() afterwards. */
int iflist_get(struct iflist *out, int family, unsigned index);
void iflist_free(struct iflist *list);

/* The interface of this name, or of this index, in a list; false: none. */
bool iflist_find(const struct iflist *list, const char *name, struct route_record *out);
bool iflist_find_index(const struct iflist *list, uint16_t index, struct route_record *out);

/* See hostif_ops.groups; -DW_ENXIO where there is no such interface,
 * -DW_EOPNOTSUPP while it is promiscuous or takes all multicast, as a bridge's member does. */
int iflist_groups(const char *name, struct feth_mac *out, unsigned max);

/* The addresses of an interface: how many of them were written. */
int iflist_addrs(uint16_t index, struct cidr *out, unsigned max);

#endif
