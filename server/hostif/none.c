/* none.c - the backend without a host side: a private switch. Needs no privilege and touches
 * nothing of the system, so there is nothing to call. */
#include "server/hostif/backends.h"

const struct hostif_ops hostif_none = {
	.name = "none",
	.has_host = false,
	.mtu_min = HOSTIF_MTU_MIN,
	.mtu_max = HOSTIF_MTU_MAX,
};
