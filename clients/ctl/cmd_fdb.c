/* cmd_fdb.c - fdb. */
#include "clients/ctl/ctl.h"

static const struct out_field columns[] = {
	{ "MAC", "mac", out_any, false },
	{ "PORT", "port", out_any, true },
	{ "NAME", "name", out_any, false },
	{ "TYPE", "static", out_fixed, false },
	{ "AGE", "age", out_age, true },
};

int cmd_fdb(struct ctl *ctl, const struct args *args)
{
	return ctl_show_list(
		ctl, args, "fdb.list", "list the addresses of network", OUT_FIELDS(columns));
}
