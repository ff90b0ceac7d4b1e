/* cmd_network.c - create, delete, list, show, set. */
#include <stdio.h>
#include <string.h>

#include "clients/ctl/ctl.h"
#include "clients/ctl/rules.h"
#include "protocol/rights.h"
#include "protocol/text.h"

/* Rules as --allow takes them. */
static void out_allow(FILE *f, const msgpack_object *value)
{
	const bool list = value && value->type == MSGPACK_OBJECT_ARRAY;
	const uint32_t n = list ? value->via.array.size : 0;
	for (uint32_t i = 0; i < n; i++) {
		const msgpack_object *rule = &value->via.array.ptr[i];
		const msgpack_object *user = out_get(rule, "user");
		fputs(user ? "user:" : "group:", f);
		out_any(f, user ? user : out_get(rule, "group"));
		fputc('=', f);
		const msgpack_object *rights = out_get(rule, "rights");
		const bool some = rights && rights->type == MSGPACK_OBJECT_ARRAY;
		for (uint32_t k = 0; some && k < rights->via.array.size; k++) {
			if (k)
				fputc(',', f);
			out_any(f, &rights->via.array.ptr[k]);
		}
		if (i + 1 < n)
			fputc(' ', f);
	}
	if (!n)
		fputs("-", f);
}

static const struct out_field columns[] = {
	{ "NAME", "name", out_any, false },
	{ "BACKEND", "backend", out_any, false },
	{ "HOST", "host", out_any, false },
	{ "STATE", "up", out_up, false },
	{ "CARRIER", "carrier", out_carrier, false },
	{ "MTU", "mtu", out_any, true },
	{ "MAC", "mac", out_any, false },
	{ "MULTICAST", "multicast", out_any, false },
	{ "PORTS", "ports", out_any, true },
	{ "ADDRESSES", "addresses", out_any, false },
};

static const struct out_field lines[] = {
	{ "Network", "name", out_any, false },
	{ "Id", "id", out_any, false },
	{ "Backend", "backend", out_any, false },
	{ "Unit", "unit", out_any, false },
	{ "Host interface", "host", out_any, false },
	{ "Service interface", "service", out_any, false },
	{ "State", "up", out_up, false },
	{ "Carrier", "carrier", out_carrier, false },
	{ "MTU", "mtu", out_any, false },
	{ "Smallest MTU", "mtu_min", out_any, false },
	{ "Largest MTU", "mtu_max", out_any, false },
	{ "MAC", "mac", out_any, false },
	{ "Addresses", "addresses", out_any, false },
	{ "DHCP", "dhcp", out_any, false },
	{ "NAT", "nat", out_any, false },
	{ "Bridge", "bridge", out_any, false },
	{ "Bridged", "bridged", out_any, false },
	{ "MTU of the bridge", "bridge_mtu", out_any, false },
	{ "Multicast", "multicast", out_any, false },
	{ "Querier", "querier", out_any, false },
	{ "Answers too long packets", "too_big", out_any, false },
	{ "Port defaults", "defaults", out_any, false },
	{ "Ports", "ports", out_any, false },
	{ "Owner", "owner", out_any, false },
	{ "Group", "group", out_any, false },
	{ "Mode", "mode", out_any, false },
	{ "Allowed", "allow", out_allow, false },
	{ "Sockets", "path", out_any, false },
	{ "Saved", "saved", out_any, false },
};

/* `--address`, as often as it is given. `none` among others is as wrong as a word would be. */
static int put_addresses(const struct args *args, struct rpc_out *params)
{
	unsigned n = 0;
	if (!args_flag(args, "address"))
		return 0;
	for (unsigned i = 0; i < args->n_given; i++)
		n += !strcmp(args->given[i].option->name, "address");

	rpc_put_array(params, "addresses");
	for (unsigned i = 0; i < args->n_given; i++) {
		const char *text = args->given[i].value;
		const char *why;
		struct cidr cidr;
		if (strcmp(args->given[i].option->name, "address") != 0)
			continue;
		if (n == 1 && !strcmp(text, "none"))
			continue;
		if (!cidr_parse(&cidr, text, &why))
			return ctl_fail("--address %s: %s", text, why);
		rpc_out_text(params, text);
	}
	rpc_out_close(params);
	return 0;
}

static int put_rule(const char *text, struct rpc_out *params)
{
	struct allow rule;
	const char *why;
	if (!allow_parse(&rule, text, &why))
		return ctl_fail("--allow %s: %s", text, why);
	rpc_out_map(params);
	rpc_put_text(params, rule.group ? "group" : "user", rule.name);
	rpc_put_array(params, "rights");
	for (unsigned right = RIGHT_ATTACH; right <= RIGHT_CONTROL; right <<= 1)
		if (rule.rights & right)
			rpc_out_text(params, right_name(right));
	rpc_out_close(params);
	rpc_out_close(params);
	return 0;
}

/* Owner, group, mode; and `--allow`, as often as it is given. */
static int put_access(const struct args *args, struct rpc_out *params)
{
	static const char *const texts[] = { "owner", "group", "mode" };
	unsigned n = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (args_value(args, texts[i]))
			rpc_put_text(params, texts[i], args_value(args, texts[i]));
	if (!args_flag(args, "allow"))
		return 0;
	for (unsigned i = 0; i < args->n_given; i++)
		n += !strcmp(args->given[i].option->name, "allow");

	rpc_put_array(params, "allow");
	for (unsigned i = 0; i < args->n_given; i++) {
		const char *text = args->given[i].value;
		if (strcmp(args->given[i].option->name, "allow") != 0)
			continue;
		if (n == 1 && !strcmp(text, "none"))
			continue;
		if (put_rule(text, params))
			return CTL_FAILED;
	}
	rpc_out_close(params);
	return 0;
}

/* `--dhcp`, `--dhcp FROM-TO`, `--dhcp off`; `--nat`, `--nat off`. */
static int put_services(const struct args *args, struct rpc_out *params)
{
	bool on = true;
	const char *dhcp = args_value(args, "dhcp");
	if (dhcp && strchr(dhcp, '-')) {
		rpc_put_text(params, "dhcp", dhcp);
	} else if (dhcp && strcmp(dhcp, "on") != 0 && strcmp(dhcp, "off") != 0) {
		return ctl_fail("--dhcp %s: it must be FROM-TO such as 10.77.0.50-10.77.0.150, or "
				"on or off",
			dhcp);
	} else if (args_flag(args, "dhcp")) {
		rpc_put_bool(params, "dhcp", !dhcp || !strcmp(dhcp, "on"));
	}
	if (args_flag(args, "nat") && !args_value(args, "nat"))
		rpc_put_bool(params, "nat", true);
	else if (args_flag(args, "nat") && args_switch(args, "nat", &on) < 0)
		return CTL_FAILED;
	else if (args_flag(args, "nat"))
		rpc_put_bool(params, "nat", on);
	const char *bridge = args_value(args, "bridge");
	if (bridge && !strcmp(bridge, "off"))
		rpc_put_bool(params, "bridge", false);
	else if (bridge)
		rpc_put_text(params, "bridge", bridge);
	return 0;
}

static int put_settings(const struct args *args, struct rpc_out *params)
{
	uint32_t mtu;
	struct feth_mac mac;
	const int has_mtu = args_uint(args, "mtu", &mtu);
	const int has_mac = has_mtu < 0 ? -1 : args_mac(args, "mac", &mac);
	if (has_mac < 0)
		return CTL_FAILED;
	if (has_mtu)
		rpc_put_uint(params, "mtu", mtu);
	if (has_mac)
		rpc_put_mac(params, "mac", mac);
	if (args_flag(args, "up") && args_flag(args, "down"))
		return ctl_usage(args->cmd, "--up and --down contradict each other");
	if (args_flag(args, "up") || args_flag(args, "down"))
		rpc_put_bool(params, "up", args_flag(args, "up"));
	if (args_value(args, "multicast")) /* the daemon knows which there are */
		rpc_put_text(params, "multicast", args_value(args, "multicast"));
	bool querier, too_big;
	const int has_querier = args_switch(args, "querier", &querier);
	const int has_too_big = has_querier < 0 ? -1 : args_switch(args, "too-big", &too_big);
	if (has_too_big < 0)
		return CTL_FAILED;
	if (has_querier)
		rpc_put_bool(params, "querier", querier);
	if (has_too_big)
		rpc_put_bool(params, "too_big", too_big);
	if (put_services(args, params) || rules_put_defaults(args, params) ||
		put_access(args, params))
		return CTL_FAILED;
	return put_addresses(args, params);
}

static int put_creation(const struct args *args, struct rpc_out *params)
{
	uint32_t unit;
	const int has_unit = args_uint(args, "unit", &unit);
	if (has_unit < 0)
		return CTL_FAILED;
	if (has_unit)
		rpc_put_uint(params, "unit", unit);
	if (args_value(args, "backend"))
		rpc_put_text(params, "backend", args_value(args, "backend"));
	return put_settings(args, params);
}

/* Creating and changing: the arguments are looked at before a daemon is needed. */
static int change(struct ctl *ctl, const struct args *args, const char *method, const char *verb,
	int (*put)(const struct args *args, struct rpc_out *params))
{
	struct rpc_out params;
	struct ctl_result network;
	const char *name = args_operand_name(args, 0, "network");
	if (!name)
		return CTL_FAILED;
	ctl_params(&params, name);
	if (args_flag(args, "save"))
		rpc_put_bool(&params, "save", true);
	int status = put(args, &params);
	if (!status)
		status = ctl_connect(ctl, NULL);
	if (status) {
		rpc_out_fini(&params);
		return status;
	}
	status = ctl_call(ctl, method, &params, verb, name, &network);
	if (!status)
		ctl->out->record(ctl->out, OUT_FIELDS(lines), &network.value);
	return status;
}

int cmd_create(struct ctl *ctl, const struct args *args)
{
	return change(ctl, args, "network.create", "create network", put_creation);
}

int cmd_set(struct ctl *ctl, const struct args *args)
{
	if (!args->n_given)
		return ctl_usage(args->cmd, "set: what is to be changed?");
	return change(ctl, args, "network.set", "change network", put_settings);
}

int cmd_delete(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	struct ctl_result result;
	const char *name = args_operand_name(args, 0, "network");
	if (!name)
		return CTL_FAILED;
	if (ctl_connect(ctl, NULL))
		return CTL_FAILED;
	ctl_params(&params, name);
	if (args_flag(args, "save"))
		rpc_put_bool(&params, "save", true);
	if (ctl_call(ctl, "network.delete", &params, "delete network", name, &result))
		return CTL_FAILED;
	const msgpack_object *saved = out_get(&result.value, "saved");
	if (saved && saved->type == MSGPACK_OBJECT_BOOLEAN && saved->via.boolean)
		fprintf(stderr,
			"fethctl: %s is gone, and comes back at the next start or reload; fethctl "
			"delete %s --save removes its file\n",
			name, name);
	ctl->out->nothing(ctl->out);
	return 0;
}

int cmd_list(struct ctl *ctl, const struct args *args)
{
	struct rows rows;
	(void)args;
	if (ctl_connect(ctl, NULL))
		return CTL_FAILED;
	const int status = ctl_list(ctl, "network.list", NULL, "list", "networks", &rows, NULL);
	if (!status)
		ctl->out->table(ctl->out, OUT_FIELDS(columns), &rows, NULL);
	rows_fini(&rows);
	return status;
}

int cmd_show(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	struct ctl_result network;
	const char *name = args_operand_name(args, 0, "network");
	if (!name)
		return CTL_FAILED;
	if (ctl_connect_observer(ctl, name))
		return CTL_FAILED;
	ctl_params(&params, name);
	if (ctl_call(ctl, "network.show", &params, "show network", name, &network))
		return CTL_FAILED;
	ctl->out->record(ctl->out, OUT_FIELDS(lines), &network.value);
	return 0;
}
