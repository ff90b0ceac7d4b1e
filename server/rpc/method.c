/* method.c - see method.h. */
#include "server/rpc/method.h"

#include <errno.h>
#include <string.h>

static const struct method methods[] = {
#define METHOD(symbol, name, sockets, right, summary)                                              \
	{ name, SOCKET_##sockets, RIGHT_##right, CMD_##symbol, parse_##symbol, pack_##symbol },
#include "protocol/methods.def"
#undef METHOD
};

const struct method *method_find(struct rpc_str name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (rpc_str_is(name, methods[i].name))
			return &methods[i];
	return NULL;
}

const char *method_name(enum command_kind kind)
{
	size_t i = 0;
	while (methods[i].kind != kind)
		i++;
	return methods[i].name;
}

unsigned method_needs(const struct method *m, bool control, const msgpack_object_map *params)
{
	char name[FETH_NAME_MAX + 1];
	const msgpack_object *o;
	if (m->kind == CMD_ATTACH && wants_monitor(params)) /* a name is taken from ports */
		return RIGHT_OBSERVE |
		       (rpc_get(params, "name", &o) != RPC_FIELD_ABSENT ? RIGHT_ATTACH : 0u);
	if (m->kind == CMD_PORT_SET &&
		rpc_get_text(params, "name", name, sizeof(name)) == RPC_FIELD_OK &&
		name_same(name, "host"))
		return RIGHT_ADMIN; /* it is the host's network that is limited */
	if (m->kind == CMD_PORT_SET && (control || rpc_get(params, "name", &o) != RPC_FIELD_ABSENT))
		return RIGHT_CONTROL;
	if (m->kind == CMD_PORT_ADD &&
		rpc_get_text(params, "kind", name, sizeof(name)) == RPC_FIELD_OK &&
		!strcmp(name, "tap"))
		return RIGHT_ADMIN; /* it is an interface of the host's, wherever its caller says */
	if (m->kind == CMD_PORT_ADD && (rpc_get(params, "connect", &o) != RPC_FIELD_ABSENT ||
					       rpc_get(params, "remote", &o) != RPC_FIELD_ABSENT))
		return RIGHT_ADMIN; /* the daemon connects with its own rights, wherever it is told
				     */
	return m->right;
}

int bad_field(struct err *err, const char *field, const char *why)
{
	return err_set(err, -EINVAL, "%s: %s", field, why);
}

int want_name(const msgpack_object_map *params, const char *field, bool required,
	char out[FETH_NAME_MAX + 1], struct err *err)
{
	char name[FETH_NAME_MAX + 1] = "";
	switch (rpc_get_text(params, field, name, sizeof(name))) {
	case RPC_FIELD_ABSENT:
		if (required)
			return bad_field(err, field, "a name is required");
		out[0] = '\0';
		return 0;
	case RPC_FIELD_OK:
		if (name_valid(name)) {
			memcpy(out, name, sizeof(name));
			return 0;
		}
		break;
	case RPC_FIELD_BAD:
		break;
	}
	return bad_field(err, field,
		"a name is a letter or digit, then up to 31 letters, digits, '-' or '_'");
}

int want_network(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	if (cmd->network[0])
		return 0;
	return want_name(params, "network", true, cmd->network, err);
}

int want_mac(const msgpack_object_map *params, const char *field, bool *has, struct feth_mac *out,
	struct err *err)
{
	char text[MAC_TEXT];
	switch (rpc_get_text(params, field, text, sizeof(text))) {
	case RPC_FIELD_ABSENT:
		*has = false;
		return 0;
	case RPC_FIELD_OK:
		if (!mac_parse(out, text))
			break;
		if (mac_is_group(*out))
			return bad_field(err, field,
				"this is a group address; give one of a single station");
		if (mac_is_zero(*out))
			return bad_field(err, field, "an address of all zeros is no address");
		*has = true;
		return 0;
	case RPC_FIELD_BAD:
		break;
	}
	return bad_field(err, field, "a MAC address looks like 02:00:00:00:00:01");
}

int want_bool(
	const msgpack_object_map *params, const char *field, bool *has, bool *out, struct err *err)
{
	const enum rpc_field f = rpc_get_bool(params, field, out);
	if (f == RPC_FIELD_BAD)
		return bad_field(err, field, "must be true or false");
	*has = f == RPC_FIELD_OK;
	return 0;
}

int want_u32(const msgpack_object_map *params, const char *field, bool *has, uint32_t *out,
	struct err *err)
{
	uint64_t v = 0;
	const enum rpc_field f = rpc_get_uint(params, field, &v);
	if (f == RPC_FIELD_BAD || v > UINT32_MAX)
		return bad_field(err, field, "must be a whole number, not negative and in range");
	*has = f == RPC_FIELD_OK;
	if (*has)
		*out = (uint32_t)v;
	return 0;
}

int want_limit(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	bool has = false;
	uint32_t limit = 0;
	const int rc = want_u32(params, "limit", &has, &limit, err);
	if (rc < 0)
		return rc;
	if (has && (!limit || limit > LIST_LIMIT))
		return bad_field(err, "limit", "must be 1 to 256");
	cmd->limit = has ? limit : LIST_DEFAULT;
	return 0;
}
