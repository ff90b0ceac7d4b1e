/* network.c - the network.* methods. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/rpc/method.h"

static int want_addresses(
	const msgpack_object_map *params, struct network_want *want, struct err *err)
{
	const msgpack_object_array *list;
	const enum rpc_field f = rpc_get_array(params, "addresses", &list);
	if (f == RPC_FIELD_ABSENT)
		return 0;
	if (f == RPC_FIELD_BAD)
		return bad_field(
			err, "addresses", "must be an array of texts such as \"10.0.0.1/24\"");
	if (list->size > HOSTIF_ADDRS_MAX)
		return err_set(err, -E2BIG, "addresses: at most %u are possible", HOSTIF_ADDRS_MAX);
	want->has_addrs = true;
	for (uint32_t i = 0; i < list->size; i++) {
		char text[CIDR_TEXT];
		const char *why = "it is no text that an address could be";
		struct cidr c;
		if (!rpc_text(&list->ptr[i], text, sizeof(text)))
			return bad_field(err, "addresses", why);
		if (!cidr_parse(&c, text, &why))
			return err_set(err, -EINVAL, "addresses: %.49s: %s", text, why);
		for (unsigned k = 0; k < want->n_addrs; k++)
			if (cidr_equal(&c, &want->addrs[k]))
				return err_set(
					err, -EINVAL, "addresses: %.49s is given twice", text);
		want->addrs[want->n_addrs++] = c;
	}
	return 0;
}

static const char *const policies[] = {
	[MCAST_SNOOP] = "snoop",
	[MCAST_STRICT] = "strict",
	[MCAST_FLOOD] = "flood",
};

static int want_multicast(
	const msgpack_object_map *params, struct network_want *want, struct err *err)
{
	char text[16];
	const enum rpc_field f = rpc_get_text(params, "multicast", text, sizeof(text));
	for (unsigned p = 0; f == RPC_FIELD_OK && p < sizeof(policies) / sizeof(policies[0]); p++) {
		if (strcmp(text, policies[p]) != 0)
			continue;
		want->has_multicast = true;
		want->multicast = (enum mcast_policy)p;
	}
	if (f != RPC_FIELD_ABSENT && !want->has_multicast)
		return bad_field(err, "multicast", "must be snoop, strict or flood");
	const int rc = want_bool(params, "querier", &want->has_querier, &want->querier, err);
	return rc < 0 ? rc : want_bool(params, "too_big", &want->has_too_big, &want->too_big, err);
}

/* true, false, or the range as text. */
static int want_dhcp(const msgpack_object_map *params, struct network_want *want, struct err *err)
{
	char text[DHCP_RANGE_TEXT];
	const char *why;
	const enum rpc_field f = rpc_get_text(params, "dhcp", text, sizeof(text));
	if (f == RPC_FIELD_ABSENT)
		return 0;
	if (f == RPC_FIELD_OK) {
		if (!dhcp_parse(&want->dhcp, text, &why))
			return bad_field(err, "dhcp", why);
		want->has_dhcp = true;
		return 0;
	}
	if (rpc_get_bool(params, "dhcp", &want->dhcp.on) != RPC_FIELD_OK)
		return bad_field(err, "dhcp",
			"must be true, false or a range such as \"10.77.0.50-10.77.0.150\"");
	want->has_dhcp = true;
	return 0;
}

/* A name, or false: none. */
static int want_bridge(const msgpack_object_map *params, struct network_want *want, struct err *err)
{
	bool on = false;
	const char *fault = "must be the name of a bridge, of at most 15 bytes, or false";
	const enum rpc_field f = rpc_get_text(params, "bridge", want->bridge, sizeof(want->bridge));
	if (f == RPC_FIELD_ABSENT)
		return 0;
	if (f == RPC_FIELD_OK)
		fault = tapplace_ifname(want->bridge);
	else if (rpc_get_bool(params, "bridge", &on) == RPC_FIELD_OK && !on)
		fault = NULL;
	want->has_bridge = !fault;
	return fault ? bad_field(err, "bridge", fault) : 0;
}

/* A Unix user's or group's name or number; whether there is such a one is found out later. */
static int want_unix(const msgpack_object_map *params, const char *field, bool *has,
	char out[UNIX_NAME], struct err *err)
{
	const enum rpc_field f = rpc_get_text(params, field, out, UNIX_NAME);
	if (f == RPC_FIELD_BAD || (f == RPC_FIELD_OK && !out[0]))
		return err_set(err, -EINVAL, "%s: must be the name or number of a Unix %s, as text",
			field, !strcmp(field, "group") ? "group" : "user");
	*has = f == RPC_FIELD_OK;
	return 0;
}

/* As of a file, but for x: others may not control, and of the rest the owner does by r and w. */
static int want_mode(const msgpack_object_map *params, struct network_want *want, struct err *err)
{
	char text[8];
	const enum rpc_field f = rpc_get_text(params, "mode", text, sizeof(text));
	if (f == RPC_FIELD_ABSENT)
		return 0;
	const size_t len = f == RPC_FIELD_OK ? strlen(text) : 0;
	const char *digits = len == 4 ? text + 1 : text;
	if ((len != 3 && (len != 4 || text[0] != '0')) || strspn(digits, "0246") != 3)
		return bad_field(err, "mode",
			"must be octal text such as \"0660\", for owner, group and others each 4 "
			"(observe), 2 (attach), 6 (both) or 0");
	want->mode =
		(uint16_t)((digits[0] - '0') << 6 | (digits[1] - '0') << 3 | (digits[2] - '0'));
	want->has_mode = true;
	return 0;
}

static int want_rights(const msgpack_object_map *rule, unsigned char *out, struct err *err)
{
	const msgpack_object_array *list;
	if (rpc_get_array(rule, "rights", &list) != RPC_FIELD_OK || !list->size)
		return bad_field(err, "allow", "each rule needs rights, an array of at least one");
	unsigned rights = 0;
	for (uint32_t i = 0; i < list->size; i++) {
		char text[16] = "";
		const unsigned right = rpc_text(&list->ptr[i], text, sizeof(text))
					       ? right_parse(text, strlen(text))
					       : (unsigned)RIGHT_ANY;
		if (!right || rights & right)
			return bad_field(err, "allow",
				right ? "a rule has a right twice"
				      : "rights are attach, observe and control");
		rights |= right;
	}
	*out = (unsigned char)rights;
	return 0;
}

static int want_rule(const msgpack_object *o, struct allow *out, struct err *err)
{
	const msgpack_object_map *rule = o->type == MSGPACK_OBJECT_MAP ? &o->via.map : NULL;
	const enum rpc_field user = rpc_get_text(rule, "user", out->name, sizeof(out->name));
	const enum rpc_field group = rpc_get_text(rule, "group", out->name, sizeof(out->name));
	if (user == RPC_FIELD_BAD || group == RPC_FIELD_BAD || user == group || !out->name[0])
		return bad_field(err, "allow",
			"each rule is a map with either user or group, the name or number as text, "
			"and rights");
	out->group = group == RPC_FIELD_OK;
	return want_rights(rule, &out->rights, err);
}

static int want_access(const msgpack_object_map *params, struct network_want *want, struct err *err)
{
	const msgpack_object_array *list;
	int rc = want_unix(params, "owner", &want->has_owner, want->owner, err);
	if (!rc)
		rc = want_unix(params, "group", &want->has_group, want->group, err);
	if (!rc)
		rc = want_mode(params, want, err);
	if (rc < 0)
		return rc;
	const enum rpc_field f = rpc_get_array(params, "allow", &list);
	if (f == RPC_FIELD_ABSENT)
		return 0;
	if (f == RPC_FIELD_BAD)
		return bad_field(err, "allow", "must be an array of rules, an empty one for none");
	if (list->size > ALLOW_MAX)
		return err_set(err, -E2BIG, "allow: at most %u rules are possible; use a group",
			ALLOW_MAX);
	for (uint32_t i = 0; !rc && i < list->size; i++)
		rc = want_rule(&list->ptr[i], &want->allow[i], err);
	want->n_allow = (uint16_t)list->size;
	want->has_allow = true;
	return rc;
}

static int want_settings(
	const msgpack_object_map *params, struct network_want *want, struct err *err)
{
	int rc = want_u32(params, "mtu", &want->has_mtu, &want->mtu, err);
	if (!rc)
		rc = want_mac(params, "mac", &want->has_mac, &want->mac, err);
	if (!rc)
		rc = want_bool(params, "up", &want->has_up, &want->up, err);
	if (!rc)
		rc = want_addresses(params, want, err);
	if (!rc)
		rc = want_multicast(params, want, err);
	if (!rc)
		rc = want_dhcp(params, want, err);
	if (!rc)
		rc = want_bool(params, "nat", &want->has_nat, &want->nat, err);
	if (!rc)
		rc = want_bridge(params, want, err);
	if (!rc)
		rc = want_defaults(params, &want->has_defaults, &want->defaults, err);
	if (!rc)
		rc = want_access(params, want, err);
	return rc;
}

static int want_save(const msgpack_object_map *params, struct network_want *want, struct err *err)
{
	bool has;
	return want_bool(params, "save", &has, &want->save, err);
}

int parse_NETWORK_CREATE(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	struct network_want *want = &cmd->in.want;
	int rc = want_network(params, cmd, err);
	if (!rc)
		rc = want_settings(params, want, err);
	if (!rc)
		rc = want_u32(params, "unit", &want->has_unit, &want->unit, err);
	if (rc < 0)
		return rc;
	if (name_same(cmd->network, "state"))
		return bad_field(err, "network",
			"state is a file of the run directory, beside the networks; give another "
			"name");
	const enum rpc_field f =
		rpc_get_text(params, "backend", want->backend, sizeof(want->backend));
	if (f == RPC_FIELD_BAD || (f == RPC_FIELD_OK && !want->backend[0]))
		return bad_field(err, "backend", "must be auto, veth, tap, tun, feth or none");
	memcpy(want->name, cmd->network, sizeof(want->name));
	return want_save(params, want, err);
}

int parse_NETWORK_SET(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	int rc = want_network(params, cmd, err);
	if (!rc)
		rc = want_settings(params, &cmd->in.want, err);
	return rc < 0 ? rc : want_save(params, &cmd->in.want, err);
}

int parse_NETWORK_DELETE(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	const int rc = want_network(params, cmd, err);
	return rc < 0 ? rc : want_save(params, &cmd->in.want, err);
}

int parse_NETWORK_SHOW(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	return want_network(params, cmd, err);
}

int parse_NETWORK_ENTER(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	return want_network(params, cmd, err);
}

int parse_NETWORK_LIST(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	const int rc = want_name(params, "after", false, cmd->after_name, err);
	if (rc < 0)
		return rc;
	cmd->has_after = cmd->after_name[0] != '\0';
	return want_limit(params, cmd, err);
}

static void put_access(const struct access_rules *rules, struct rpc_out *out)
{
	char mode[8];
	if (rules->owner[0])
		rpc_put_text(out, "owner", rules->owner);
	if (rules->group[0])
		rpc_put_text(out, "group", rules->group);
	snprintf(mode, sizeof(mode), "%04o", (unsigned)rules->mode);
	rpc_put_text(out, "mode", mode);
	rpc_put_array(out, "allow");
	for (unsigned i = 0; i < rules->n_allow; i++) {
		const struct allow *allow = &rules->allow[i].allow;
		rpc_out_map(out);
		rpc_put_text(out, allow->group ? "group" : "user", allow->name);
		rpc_put_array(out, "rights");
		for (unsigned right = RIGHT_ATTACH; right <= RIGHT_CONTROL; right <<= 1)
			if (allow->rights & right)
				rpc_out_text(out, right_name(right));
		rpc_out_close(out);
		rpc_out_close(out);
	}
	rpc_out_close(out);
}

static void put_bridge(const struct network_facts *facts, struct rpc_out *out)
{
	if (facts->spec.bridge[0])
		rpc_put_text(out, "bridge", facts->spec.bridge);
	else
		rpc_put_bool(out, "bridge", false);
	rpc_put_bool(out, "bridged", facts->bridged);
	if (facts->bridge_mtu)
		rpc_put_uint(out, "bridge_mtu", facts->bridge_mtu);
}

void pack_facts(const struct network_facts *facts, struct rpc_out *out)
{
	char text[CIDR_TEXT];
	rpc_out_map(out);
	rpc_put_text(out, "name", facts->spec.network);
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)facts->id);
	rpc_put_text(out, "id", text);
	rpc_put_text(out, "backend", facts->backend);
	rpc_put_uint(out, "mtu", facts->spec.mtu);
	rpc_put_uint(out, "mtu_min", facts->mtu_min);
	rpc_put_uint(out, "mtu_max", facts->mtu_max);
	rpc_put_uint(out, "cap", frame_room(facts->spec.mtu, true));
	if (facts->has_host) {
		rpc_put_uint(out, "unit", facts->unit);
		rpc_put_text(out, "host", facts->spec.host);
		if (facts->spec.service[0])
			rpc_put_text(out, "service", facts->spec.service);
		rpc_put_mac(out, "mac", facts->spec.mac);
		rpc_put_bool(out, "up", facts->spec.up);
		rpc_put_bool(out, "carrier", facts->carrier);
		rpc_put_array(out, "addresses");
		for (unsigned i = 0; i < facts->spec.n_addrs; i++) {
			cidr_format(text, &facts->spec.addrs[i]);
			rpc_out_text(out, text);
		}
		rpc_out_close(out);
		if (facts->dhcp.on) {
			char range[DHCP_RANGE_TEXT];
			dhcp_format(range, &facts->dhcp);
			rpc_put_text(out, "dhcp", range);
		} else {
			rpc_put_bool(out, "dhcp", false);
		}
		rpc_put_bool(out, "nat", facts->nat);
		put_bridge(facts, out);
	}
	rpc_put_text(out, "multicast", policies[facts->multicast.policy]);
	rpc_put_bool(out, "querier", facts->multicast.querier);
	rpc_put_bool(out, "too_big", facts->too_big);
	rpc_put_map(out, "defaults");
	pack_defaults(&facts->defaults, out);
	rpc_out_close(out);
	rpc_put_uint(out, "ports", facts->ports);
	put_access(&facts->access, out);
	rpc_put_text(out, "path", facts->path);
	rpc_put_bool(out, "saved", facts->saved);
	rpc_out_close(out);
}

void pack_NETWORK_CREATE(const struct command *cmd, struct rpc_out *out)
{
	pack_facts(&cmd->out.facts, out);
}

void pack_NETWORK_SET(const struct command *cmd, struct rpc_out *out)
{
	pack_facts(&cmd->out.facts, out);
}

void pack_NETWORK_SHOW(const struct command *cmd, struct rpc_out *out)
{
	pack_facts(&cmd->out.facts, out);
}

void pack_NETWORK_DELETE(const struct command *cmd, struct rpc_out *out)
{
	rpc_out_map(out);
	rpc_put_bool(out, "saved", cmd->out.facts.saved);
	rpc_out_close(out);
}

void pack_NETWORK_ENTER(const struct command *cmd, struct rpc_out *out)
{
	rpc_out_map(out);
	rpc_put_uint(out, "fds", cmd->n_fds);
	rpc_put_text(out, "host", cmd->out.facts.spec.host);
	rpc_out_close(out);
}

void pack_NETWORK_LIST(const struct command *cmd, struct rpc_out *out)
{
	const struct network_facts *items = cmd->items.networks;
	rpc_out_map(out);
	rpc_put_array(out, "items");
	uint32_t i = 0;
	for (; i < cmd->n_items && !list_full(out); i++)
		pack_facts(&items[i], out);
	rpc_out_close(out);
	rpc_out_text(out, "next");
	if (cmd->more || i < cmd->n_items)
		rpc_out_text(out, items[i - 1].spec.network);
	else
		rpc_out_nil(out);
	rpc_out_close(out);
}
