/* bridge_darwin.c - the host member is put into no bridge by us: see verbs.h. */
#include <errno.h>

#include "server/priv/verbs.h"

static int refuse(const struct hostif_spec *spec, struct err *err)
{
	return err_set(err, -EOPNOTSUPP,
		"bridge: %s: this is for Linux; on macOS ifconfig %s addm %s does it, until the "
		"interface is made anew",
		spec->network, spec->bridge, spec->host[0] ? spec->host : "INTERFACE");
}

int verb_bridge_look(const struct hostif_spec *spec, struct bridge_state *out, struct err *err)
{
	(void)out;
	return refuse(spec, err);
}

int verb_bridge_join(const struct hostif_spec *spec, struct bridge_state *out, struct err *err)
{
	(void)out;
	return refuse(spec, err);
}

int verb_bridge_leave(const struct hostif_spec *spec, struct err *err)
{
	(void)spec;
	(void)err;
	return 0;
}

void verb_bridge_sweep(void)
{
}
