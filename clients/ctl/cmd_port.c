/* cmd_port.c - port list, add, set, remove. */
#include <string.h>

#include "clients/ctl/ctl.h"
#include "clients/ctl/rules.h"

/* Where its client comes in, or is. */
static void place_text(FILE *f, const msgpack_object *port)
{
	static const struct {
		const char *before, *key;
	} parts[] = {
		{ "", "path" },
		{ "", "ifname" },
		{ " in ", "netns" },
		{ "to ", "connect" },
		{ "", "local" },
		{ " to ", "remote" },
		{ ", not now: ", "why" },
	};
	bool any = false;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const msgpack_object *value = out_get(port, parts[i].key);
		if (!value)
			continue;
		fputs(parts[i].before, f);
		out_any(f, value);
		any = true;
	}
	if (!any)
		out_any(f, NULL);
}

static const struct out_field columns[] = {
	{ "PORT", "port", out_any, true },
	{ "NAME", "name", out_any, false },
	{ "KIND", "kind", out_any, false },
	{ "STATE", "state", out_any, false },
	{ "MAC", "mac", out_any, false },
	{ "LOCKED", "locked", out_any, false },
	{ "CAP", "cap", out_any, true },
	{ "RULES", NULL, rules_text, false },
	{ "UID", "uid", out_any, true },
	{ "PID", "pid", out_any, true },
	{ "SOCKET", NULL, place_text, false },
};

static const struct out_field lines[] = {
	{ "Port", "port", out_any, false },
	{ "Name", "name", out_any, false },
	{ "Kind", "kind", out_any, false },
	{ "State", "state", out_any, false },
	{ "MAC", "mac", out_any, false },
	{ "Also", "macs", out_any, false },
	{ "Locked", "locked", out_any, false },
	{ "Cap", "cap", out_any, false },
	{ "Rules", NULL, rules_text, false },
	{ "Queue", "queue", out_any, false },
	{ "Storm limit", "storm", out_any, false },
	{ "Socket", "path", out_any, false },
	{ "Interface", "ifname", out_any, false },
	{ "Namespace", "netns", out_any, false },
	{ "Connects to", "connect", out_any, false },
	{ "At", "local", out_any, false },
	{ "Sends to", "remote", out_any, false },
	{ "Not now, for", "why", out_any, false },
};

/* --mac, --also, --lock, --locked: the addresses of a port. Return: 0, or CTL_FAILED after a
 * sentence
 */
static int put_addresses(const struct args *args, struct rpc_out *params)
{
	struct feth_mac mac;
	bool locked;
	const int has_mac = args_mac(args, "mac", &mac);
	const int has_locked = args_switch(args, "locked", &locked);
	if (has_mac < 0 || has_locked < 0)
		return CTL_FAILED;
	if (has_mac)
		rpc_put_mac(params, "mac", mac);
	if (has_locked)
		rpc_put_bool(params, "locked", locked);
	if (args_flag(args, "lock"))
		rpc_put_bool(params, "locked", true);
	if (!args_flag(args, "also"))
		return 0;
	rpc_put_array(params, "macs");
	for (unsigned i = 0; i < args->n_given; i++) /* the daemon says which are none */
		if (!strcmp(args->given[i].option->name, "also") &&
			strcmp(args->given[i].value, "none") != 0)
			rpc_out_text(params, args->given[i].value);
	rpc_out_close(params);
	return 0;
}

int cmd_port_list(struct ctl *ctl, const struct args *args)
{
	return ctl_show_list(
		ctl, args, "port.list", "list the ports of network", OUT_FIELDS(columns));
}

int cmd_port_add(struct ctl *ctl, const struct args *args)
{
	static const char *const places[] = { "ifname", "netns", "connect", "local", "remote" };
	struct rpc_out params;
	struct ctl_result port;
	const char *network = args_operand_name(args, 0, "network");
	const char *name = network ? args_operand_name(args, 1, "port") : NULL;
	if (!name)
		return CTL_FAILED;
	ctl_params(&params, network);
	rpc_put_text(&params, "name", name);
	rpc_put_text(
		&params, "kind", args_value(args, "kind") ? args_value(args, "kind") : "native");
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (args_value(args, places[i]))
			rpc_put_text(&params, places[i], args_value(args, places[i]));
	if (put_addresses(args, &params) || rules_put(args, &params) || ctl_connect(ctl, NULL)) {
		rpc_out_fini(&params);
		return CTL_FAILED;
	}
	if (ctl_call(ctl, "port.add", &params, "add port", name, &port))
		return CTL_FAILED;
	ctl->out->record(ctl->out, OUT_FIELDS(lines), &port.value);
	return 0;
}

int cmd_port_set(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	struct ctl_result port;
	const char *network = args_operand_name(args, 0, "network");
	const char *name = network ? args_operand_name(args, 1, "port") : NULL;
	if (!name)
		return CTL_FAILED;
	if (!args->n_given)
		return ctl_usage(args->cmd, "port set: what is to be changed?");
	ctl_params(&params, network);
	rpc_put_text(&params, "name", name);
	if (put_addresses(args, &params) || rules_put(args, &params) ||
		ctl_connect_observer(ctl, network)) {
		rpc_out_fini(&params);
		return CTL_FAILED;
	}
	if (ctl_call(ctl, "port.set", &params, "change port", name, &port))
		return CTL_FAILED;
	ctl->out->record(ctl->out, OUT_FIELDS(lines), &port.value);
	return 0;
}

int cmd_port_remove(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	const char *network = args_operand_name(args, 0, "network");
	const char *name = network ? args_operand_name(args, 1, "port") : NULL;
	if (!name)
		return CTL_FAILED;
	if (ctl_connect_observer(ctl, network))
		return CTL_FAILED;
	ctl_params(&params, network);
	rpc_put_text(&params, "name", name);
	if (ctl_call(ctl, "port.remove", &params, "remove port", name, NULL))
		return CTL_FAILED;
	ctl->out->nothing(ctl->out);
	return 0;
}
