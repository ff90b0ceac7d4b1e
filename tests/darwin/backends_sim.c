/* backends_sim.c - the backends of fethd-darwin, as hostif/backends.c lists them on macOS. Linked
 * ahead of that one. */
#include <string.h>

#include "server/hostif/backends.h"

const struct hostif_ops *const hostif_backends[] = {
	&hostif_feth,
	&hostif_utun,
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
