/* cmd_fdb.c - fdb, fdb flush. */
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/ctl.h"

static const struct out_field columns[] = {
	{ "MAC", "mac", out_any, false },
	{ "VLAN", "vlan", out_any, true },
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

static const struct out_field flushed[] = {
	{ "Forgotten", "flushed", out_any, false },
};

/* --port: a number of a few digits is one, all else a name. */
static int put_port(const struct args *args, struct rpc_out *params)
{
	const char *port = args_value(args, "port");
	if (!port)
		return 0;
	if (*port && strlen(port) < 6 && strspn(port, "0123456789") == strlen(port)) {
		rpc_put_uint(params, "port", strtoul(port, NULL, 10));
		return 0;
	}
	if (args_name(args, "port", &port) < 0)
		return CTL_FAILED;
	rpc_put_text(params, "port", port);
	return 0;
}

int cmd_fdb_flush(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	struct ctl_result result;
	struct feth_mac mac;
	const char *network = args_operand_name(args, 0, "network");
	const int has_mac = args_mac(args, "mac", &mac);
	if (!network || has_mac < 0 || ctl_connect_observer(ctl, network))
		return CTL_FAILED;
	ctl_params(&params, network);
	if (put_port(args, &params)) {
		rpc_out_fini(&params);
		return CTL_FAILED;
	}
	if (has_mac)
		rpc_put_mac(&params, "mac", mac);
	const int status = ctl_call(
		ctl, "fdb.flush", &params, "forget the addresses of network", network, &result);
	if (!status)
		ctl->out->record(ctl->out, OUT_FIELDS(flushed), &result.value);
	return status;
}
