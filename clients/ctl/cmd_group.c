/* cmd_group.c - groups. */
#include "clients/ctl/ctl.h"

static const struct out_field columns[] = {
	{ "GROUP", "group", out_any, false },
	{ "PORT", "port", out_any, true },
	{ "NAME", "name", out_any, false },
	{ "HOW", "how", out_any, false },
	{ "AGE", "age", out_age, true },
	{ "EXPIRES", "expires", out_left, true },
};

int cmd_groups(struct ctl *ctl, const struct args *args)
{
	return ctl_show_list(
		ctl, args, "group.list", "list the groups of network", OUT_FIELDS(columns));
}
