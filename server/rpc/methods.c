/* methods.c - the table of the fields of all methods: params are held to it, and rpc.methods shows
 * it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/rpc/method.h"

enum needed { NEEDED_NO, NEEDED_YES, NEEDED_ONC };

struct field {
	enum command_kind method;
	const char *name;
	const char *type; /* alternatives with | between them */
	enum needed needed;
	const char *summary;
};

static const struct field fields[] = {
#define FIELD(symbol, name, type, needed, summary)                                                 \
	{ CMD_##symbol, name, type, NEEDED_##needed, summary },
#include "protocol/fields.def"
#undef FIELD
};

static const struct {
	enum command_kind kind;
	const char *sockets, *right, *summary;
} methods[] = {
#define METHOD(symbol, name, sockets, right, summary) { CMD_##symbol, #sockets, #right, summary },
#include "protocol/methods.def"
#undef METHOD
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))
#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

static bool type_fits(const char *type, size_t len, const msgpack_object *o)
{
	static const struct {
		const char *name;
		msgpack_object_type type;
	} types[] = {
		{ "bool", MSGPACK_OBJECT_BOOLEAN },
		{ "uint", MSGPACK_OBJECT_POSITIVE_INTEGER },
		{ "text", MSGPACK_OBJECT_STR },
		{ "name", MSGPACK_OBJECT_STR },
		{ "mac", MSGPACK_OBJECT_STR },
		{ "array", MSGPACK_OBJECT_ARRAY },
		{ "map", MSGPACK_OBJECT_MAP },
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i].name) == len && !memcmp(types[i].name, type, len))
			return o->type == types[i].type;
	return false;
}

static bool some_type_fits(const char *type, const msgpack_object *o)
{
	for (;;) {
		const size_t len = strcspn(type, "|");
		if (type_fits(type, len, o))
			return true;
		if (!type[len])
			return false;
		type += len + 1;
	}
}

int method_check(
	enum command_kind method, bool control, const msgpack_object_map *params, struct err *err)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *f = &fields[i];
		const msgpack_object *o;
		if (f->method != method || (f->needed == NEEDED_ONC && !control))
			continue;
		switch (rpc_get(params, f->name, &o)) {
		case RPC_FIELD_ABSENT:
			if (f->needed != NEEDED_NO)
				return err_set(
					err, -EINVAL, "%s: must be given: %s", f->name, f->summary);
			break;
		case RPC_FIELD_BAD:
			return bad_field(err, f->name, "is given twice");
		case RPC_FIELD_OK:
			if (!some_type_fits(f->type, o))
				return err_set(err, -EINVAL, "%s: must be %s", f->name, f->type);
			break;
		}
	}
	return 0;
}

/* -- rpc.methods -- */

int parse_RPC_METHODS(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	char after[FETH_NAME_MAX + 1];
	const enum rpc_field f = rpc_get_text(params, "after", after, sizeof(after));
	const struct rpc_str name = { after, f == RPC_FIELD_OK ? (uint32_t)strlen(after) : 0 };
	const struct method *m = f == RPC_FIELD_OK ? method_find(name) : NULL;
	if (f != RPC_FIELD_ABSENT && !m)
		return bad_field(err, "after", "must be a method, the `next` of an earlier answer");
	cmd->has_after = m != NULL;
	cmd->after_n = m ? (uint64_t)m->kind : 0;
	return want_limit(params, cmd, err);
}

static void put_lower(struct rpc_out *out, const char *key, const char *text)
{
	char lower[16] = "";
	for (size_t i = 0; text[i] && i + 1 < sizeof(lower); i++)
		lower[i] = (char)(text[i] - 'A' + 'a');
	rpc_put_text(out, key, lower);
}

static void put_field(struct rpc_out *out, const struct field *f)
{
	static const char *const needed[] = { "no", "yes", "control" };
	rpc_out_map(out);
	rpc_put_text(out, "field", f->name);
	rpc_put_text(out, "type", f->type);
	rpc_put_text(out, "needed", needed[f->needed]);
	rpc_put_text(out, "what", f->summary);
	rpc_out_close(out);
}

static void put_method(struct rpc_out *out, size_t i)
{
	rpc_out_map(out);
	rpc_put_text(out, "method", method_name(methods[i].kind));
	rpc_put_array(out, "sockets");
	if (strchr(methods[i].sockets, 'N'))
		rpc_out_text(out, "native");
	if (strchr(methods[i].sockets, 'C'))
		rpc_out_text(out, "control");
	rpc_out_close(out);
	put_lower(out, "right", methods[i].right);
	rpc_put_text(out, "what", methods[i].summary);
	rpc_put_array(out, "fields");
	for (size_t k = 0; k < N_FIELDS; k++)
		if (fields[k].method == methods[i].kind)
			put_field(out, &fields[k]);
	rpc_out_close(out);
	rpc_out_close(out);
}

void pack_RPC_METHODS(const struct command *cmd, struct rpc_out *out)
{
	size_t i = 0;
	while (cmd->has_after && i < N_METHODS && methods[i++].kind != cmd->after_n) {
	}
	rpc_out_map(out);
	rpc_put_array(out, "items");
	for (uint32_t n = 0; i < N_METHODS && n < cmd->limit && !list_full(out); i++, n++)
		put_method(out, i);
	rpc_out_close(out);
	rpc_out_text(out, "next");
	if (i < N_METHODS)
		rpc_out_text(out, method_name(methods[i - 1].kind));
	else
		rpc_out_nil(out);
	rpc_out_close(out);
}
