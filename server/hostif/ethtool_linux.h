/* ethtool_linux.h - which work a veth leaves to "hardware". Below veth_linux.c. */
#ifndef SERVER_HOSTIF_ETHTOOL_LINUX_H
#define SERVER_HOSTIF_ETHTOOL_LINUX_H

#include "server/core/hostif.h"

#define ETHTOOL_FEATURE 32u /* ETH_GSTRING_LEN */

/* Switches off every offload of @name that would leave a frame unfinished - sent without its
 * checksum, longer than the MTU, or several received ones in one - but for what @offload has
 * (OFFLOAD_*, core/offload.h), which is left as it is: on, in a new veth. Asks the kernel
 * afterwards: -EOPNOTSUPP if one is still on, its name in @out_on. -errno otherwise. */
int ethtool_offloads_set(const char *name, uint8_t offload, char out_on[ETHTOOL_FEATURE]);

#endif
