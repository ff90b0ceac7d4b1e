/* group.c - the group.* methods, and the field `groups` of attach. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/rpc/method.h"

static const char how_list[] =
	"must be \"all\" or an array of group addresses such as \"01:00:5e:00:00:fb\"";

static bool mac_is_broadcast(struct feth_mac mac)
{
	static const struct feth_mac all = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	return mac_equal(mac, all);
}

/* One element of the array. */
static int want_group(const msgpack_object *o, struct feth_mac *out, struct err *err)
{
	char text[MAC_TEXT];
	if (!rpc_text(o, text, sizeof(text)) || !mac_parse(out, text))
		return bad_field(err, "groups", how_list);
	if (!mac_is_group(*out))
		return err_set(err, -EINVAL,
			"groups: %s is the address of one station, not of a group", text);
	if (mac_is_broadcast(*out))
		return err_set(err, -EINVAL,
			"groups: %s is broadcast, which every port gets unasked", text);
	return 0;
}

int want_groups(
	const msgpack_object_map *params, bool required, struct group_want *out, struct err *err)
{
	const msgpack_object_array *list;
	char text[8];
	if (rpc_get_text(params, "groups", text, sizeof(text)) == RPC_FIELD_OK) {
		if (strcmp(text, "all") != 0)
			return bad_field(err, "groups", how_list);
		out->given = out->all = true;
		return 0;
	}
	switch (rpc_get_array(params, "groups", &list)) {
	case RPC_FIELD_ABSENT:
		return required ? bad_field(err, "groups", how_list) : 0;
	case RPC_FIELD_BAD:
		return bad_field(err, "groups", how_list);
	case RPC_FIELD_OK:
		break;
	}
	if (list->size > PORT_GROUPS_MAX)
		return err_set(err, -E2BIG, "groups: a port can be in %u at most; \"all\" is all",
			PORT_GROUPS_MAX);
	out->given = true;
	for (; out->n < list->size; out->n++) {
		const int rc = want_group(&list->ptr[out->n], &out->mac[out->n], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int parse_GROUP_JOIN(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	return want_groups(params, true, &cmd->groups, err);
}

int parse_GROUP_LEAVE(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	return want_groups(params, true, &cmd->groups, err);
}

void pack_GROUP_JOIN(const struct command *cmd, struct rpc_out *out)
{
	rpc_out_map(out);
	rpc_put_uint(out, "groups", cmd->out.groups.n);
	rpc_put_bool(out, "all", cmd->out.groups.all);
	rpc_out_close(out);
}

void pack_GROUP_LEAVE(const struct command *cmd, struct rpc_out *out)
{
	pack_GROUP_JOIN(cmd, out);
}

/* -- group.list -- */

/* `after`: [group, port], as `next` has it. */
int parse_GROUP_LIST(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	const msgpack_object_array *after;
	const int rc = want_network(params, cmd, err);
	if (rc < 0)
		return rc;
	const enum rpc_field f = rpc_get_array(params, "after", &after);
	cmd->has_after = f == RPC_FIELD_OK;
	if (f == RPC_FIELD_ABSENT)
		return want_limit(params, cmd, err);
	char text[MAC_TEXT];
	if (f == RPC_FIELD_OK && after->size == 2 && rpc_text(&after->ptr[0], text, sizeof(text)) &&
		mac_parse(&cmd->after_mac, text) &&
		after->ptr[1].type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
		after->ptr[1].via.u64 < FDB_PORTS) {
		cmd->after_n = after->ptr[1].via.u64;
		return want_limit(params, cmd, err);
	}
	return bad_field(err, "after",
		"must be an array of a group and a port number, the `next` of an earlier answer");
}

static void put_how(struct rpc_out *out, uint8_t how)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {
		{ GROUP_RPC, "rpc" },
		{ GROUP_SNOOPED, "snooped" },
		{ GROUP_HOST, "host" },
		{ GROUP_ROUTER, "router" },
		{ GROUP_ALL, "all" },
	};
	rpc_put_array(out, "how");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (how & names[i].bit)
			rpc_out_text(out, names[i].name);
	rpc_out_close(out);
}

void pack_GROUP_LIST(const struct command *cmd, struct rpc_out *out)
{
	char text[MAC_TEXT];
	rpc_out_map(out);
	rpc_put_array(out, "items");
	uint32_t i = 0;
	for (; i < cmd->n_items && !list_full(out); i++) {
		const struct group_row *row = &cmd->items.members[i].row;
		rpc_out_map(out);
		if (row->how & GROUP_ALL)
			rpc_put_text(out, "group", "all");
		else
			rpc_put_mac(out, "group", row->group);
		rpc_put_uint(out, "port", row->port);
		rpc_put_text(out, "name", cmd->items.members[i].name);
		put_how(out, row->how);
		rpc_put_uint(out, "age", row->age_ms);
		if (row->expires_ms)
			rpc_put_uint(out, "expires", row->expires_ms);
		rpc_out_close(out);
	}
	rpc_out_close(out);
	rpc_out_text(out, "next");
	if (cmd->more || i < cmd->n_items) {
		const struct group_row *last = &cmd->items.members[i - 1].row;
		mac_format(text, last->group);
		rpc_out_array(out);
		rpc_out_text(out, text);
		rpc_out_uint(out, last->port);
		rpc_out_close(out);
	} else {
		rpc_out_nil(out);
	}
	rpc_out_close(out);
}
