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
	struct rows rows;
	const char *network = args_operand_name(args, 0, "network");
	if (!network)
		return CTL_FAILED;
	if (ctl_connect_observer(ctl, network))
		return CTL_FAILED;
	const int status = ctl_list(
		ctl, "group.list", network, "list the groups of network", network, &rows, NULL);
	if (!status)
		ctl->out->table(ctl->out, OUT_FIELDS(columns), &rows, NULL);
	rows_fini(&rows);
	return status;
}
