/* mcast_linux.h - the link-layer groups that an interface listens to, as the kernel lists them.
 *
 * Beside veth_linux.c, which offers it as hostif_ops.groups; that they changed is told by
 * netlink_linux.h. */
#ifndef SERVER_HOSTIF_MCAST_LINUX_H
#define SERVER_HOSTIF_MCAST_LINUX_H

#include <stdbool.h>

#include "feth/types.h"

/* What hostif_ops says of groups(); -EOPNOTSUPP while the interface takes every multicast frame, as
 * a bridge's port does or one that tcpdump looks at: then the list does not say who listens. */
int mcast_groups(const char *host, struct feth_mac *out, unsigned max);

/* One line of /proc/net/dev_mcast; false where it is of another interface than @index, or not of an
 * Ethernet group. */
bool mcast_line(const char *line, unsigned index, struct feth_mac *out);

#endif
