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

int verb_bridge_leave(const struct hostif_spec *spec, int joined, bool wait, struct err *err)
{
	(void)spec;
	(void)joined;
	(void)wait;
	(void)err;
	return 0;
}

int verb_bridge_sweep(const struct hostif_spec *const keep[], unsigned n, struct err *err)
{
	(void)keep;
	(void)n;
	(void)err;
	return 0;
}
