/* tapplace.h - where the interface of a port of kind tap is: its name, and in which network
 * namespace. Pure. */
#ifndef SERVER_CORE_TAPPLACE_H
#define SERVER_CORE_TAPPLACE_H

#include <stdbool.h>

#include "server/core/hostif.h"

#define TAPPLACE_NETNS 108u /* bytes of a namespace's path, with its end; as a socket's */

struct tap_place {
	char ifname[HOSTIF_NAME];
	/* As of ip-netns(8): a name, or an absolute path such as /proc/PID/ns/net. Empty: the
	 * daemon's own namespace. */
	char netns[TAPPLACE_NETNS];
};

/* NULL where the text can be one, else what is wrong with it. */
const char *tapplace_ifname(const char *text);
const char *tapplace_netns(const char *text);

bool tapplace_same(const struct tap_place *a, const struct tap_place *b);

#endif
