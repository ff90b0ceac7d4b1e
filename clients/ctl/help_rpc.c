/* help_rpc.c - `fethctl help rpc`: the daemon's methods and their fields, from the same two tables
 * as the daemon's own. */
#include <string.h>

#include "clients/ctl/ctl.h"

static const struct out_field method_columns[] = {
	{ "METHOD", "method", out_any, false },
	{ "SOCKETS", "sockets", out_any, false },
	{ "RIGHT", "right", out_any, false },
	{ "WHAT", "what", out_any, false },
};

static const struct out_field field_columns[] = {
	{ "FIELD", "field", out_any, false },
	{ "TYPE", "type", out_any, false },
	{ "NEEDED", "needed", out_any, false },
	{ "WHAT", "what", out_any, false },
};

enum method_id {
#define METHOD(symbol, name, sockets, right, summary) METHOD_##symbol,
#include "protocol/methods.def"
#undef METHOD
	METHOD_N
};

enum needed { NEEDED_NO, NEEDED_YES, NEEDED_ONC };

static const struct {
	const char *name, *sockets, *right, *summary;
} methods[METHOD_N] = {
#define METHOD(symbol, name, sockets, right, summary) { name, #sockets, #right, summary },
#include "protocol/methods.def"
#undef METHOD
};

static const struct {
	enum method_id method;
	const char *name, *type;
	enum needed needed;
	const char *summary;
} fields[] = {
#define FIELD(symbol, name, type, needed, summary)                                                 \
	{ METHOD_##symbol, name, type, NEEDED_##needed, summary },
#include "protocol/fields.def"
#undef FIELD
};

static void put_fields(struct rpc_out *doc, unsigned method)
{
	static const char *const needed[] = { "no", "yes", "on control.sock" };
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].method != method)
			continue;
		rpc_out_map(doc);
		rpc_put_text(doc, "field", fields[i].name);
		rpc_put_text(doc, "type", fields[i].type);
		rpc_put_text(doc, "needed", needed[fields[i].needed]);
		rpc_put_text(doc, "what", fields[i].summary);
		rpc_out_close(doc);
	}
}

static void put_method(struct rpc_out *doc, unsigned i)
{
	char lower[16] = "";
	for (size_t k = 0; methods[i].right[k] && k + 1 < sizeof(lower); k++)
		lower[k] = (char)(methods[i].right[k] - 'A' + 'a');
	rpc_out_map(doc);
	rpc_put_text(doc, "method", methods[i].name);
	rpc_put_array(doc, "sockets");
	if (strchr(methods[i].sockets, 'N'))
		rpc_out_text(doc, "feth.sock");
	if (strchr(methods[i].sockets, 'C'))
		rpc_out_text(doc, "control.sock");
	rpc_out_close(doc);
	rpc_put_text(doc, "right", lower);
	rpc_put_text(doc, "what", methods[i].summary);
	rpc_put_array(doc, "fields");
	put_fields(doc, i);
	rpc_out_close(doc);
	rpc_out_close(doc);
}

/* Prints an array that was written to @doc as a table. */
static int show(struct ctl *ctl, struct rpc_out *doc, const struct out_field *columns, size_t n)
{
	struct rows rows = { 0 };
	msgpack_object list = { .type = MSGPACK_OBJECT_NIL };
	size_t used = 0;
	rpc_out_close(doc);
	bool good = rpc_out_ok(doc) && msgpack_unpack(doc->buf.data, doc->buf.size, &used,
					       &ctl->zone, &list) == MSGPACK_UNPACK_SUCCESS;
	for (uint32_t i = 0; good && i < list.via.array.size; i++)
		good = rows_add(&rows, &list.via.array.ptr[i]);
	if (good)
		ctl->out->table(ctl->out, columns, n, &rows, NULL);
	rows_fini(&rows);
	rpc_out_fini(doc);
	return good ? 0 : ctl_fail("out of memory");
}

int help_rpc(struct ctl *ctl, const char *method)
{
	struct rpc_out doc;
	rpc_out_init(&doc);
	rpc_out_array(&doc);
	if (!method) {
		for (unsigned i = 0; i < METHOD_N; i++)
			put_method(&doc, i);
		return show(ctl, &doc, OUT_FIELDS(method_columns));
	}
	for (unsigned i = 0; i < METHOD_N; i++) {
		if (strcmp(methods[i].name, method) != 0)
			continue;
		put_fields(&doc, i);
		return show(ctl, &doc, OUT_FIELDS(field_columns));
	}
	rpc_out_fini(&doc);
	return ctl_usage(NULL, "help rpc: there is no method %s", method);
}
