/* backends.c - the table of host side backends compiled in, the system's best first. */
#include "server/hostif/backends.h"

#include <string.h>

const struct hostif_ops *const hostif_backends[] = {
#ifdef __APPLE__
	&hostif_feth,
	&hostif_utun,
#endif
#ifdef __linux__
	&hostif_veth,
	&hostif_tap,
	&hostif_tun,
#endif
	&hostif_none,
	&hostif_fake,
	NULL,
};

const struct hostif_ops *hostif_find(const char *name)
{
	for (const struct hostif_ops *const *ops = hostif_backends; *ops; ops++)
		if (!strcmp((*ops)->name, name))
			return *ops;
	return NULL;
}
