/* tap_darwin.c - no tap interfaces: see verbs.h. */
#include <errno.h>

#include "server/priv/verbs.h"

static int refuse(const struct tap_spec *spec, struct err *err)
{
	return err_set(err, -EOPNOTSUPP,
		"kind: %s: port %s cannot be a tap, which macOS does not have; declare it as "
		"native "
		"or qemu",
		spec->network, spec->port);
}

int verb_tap_make(const struct tap_spec *spec, int *out_fd, struct err *err)
{
	(void)out_fd;
	return refuse(spec, err);
}

int verb_tap_mtu(const struct tap_spec *spec, struct err *err)
{
	return refuse(spec, err);
}
