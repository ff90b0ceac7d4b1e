/* out_json.c - see out.h: for programs. The server's msgpack as JSON, field by field. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "clients/ctl/out.h"

/* Nesting is bounded by the wire (WIRE_DEPTH_MAX), so that recursion is. NULL: out of memory. */
static json_t *to_json(const msgpack_object *v);

/* JSON is UTF-8; whatever else a server may send as text becomes '?'. */
static json_t *text_to_json(const char *text, size_t len)
{
	json_t *json = json_stringn(len ? text : "", len);
	if (json)
		return json;
	char *copy = malloc(len + 1);
	if (!copy)
		return NULL;
	for (size_t i = 0; i < len; i++)
		copy[i] = (char)(text[i] & 0x80 ? '?' : text[i]);
	json = json_stringn(copy, len);
	free(copy);
	return json;
}

static json_t *array_to_json(const msgpack_object_array *a)
{
	json_t *json = json_array();
	for (uint32_t i = 0; json && i < a->size; i++) {
		if (json_array_append_new(json, to_json(&a->ptr[i])) < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

/* Keys that are no text cannot be told in JSON, and no method has any. */
static json_t *map_to_json(const msgpack_object_map *m)
{
	json_t *json = json_object();
	for (uint32_t i = 0; json && i < m->size; i++) {
		const msgpack_object *k = &m->ptr[i].key;
		if (k->type != MSGPACK_OBJECT_STR)
			continue;
		json_t *key = text_to_json(k->via.str.ptr, k->via.str.size);
		const int rc = key ? json_object_set_new(
					     json, json_string_value(key), to_json(&m->ptr[i].val))
				   : -1;
		json_decref(key);
		if (rc < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

static json_t *to_json(const msgpack_object *v)
{
	switch (v->type) {
	case MSGPACK_OBJECT_BOOLEAN:
		return json_boolean(v->via.boolean);
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		return v->via.u64 <= LLONG_MAX ? json_integer((json_int_t)v->via.u64)
					       : json_real((double)v->via.u64);
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return json_integer(v->via.i64);
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64: {
		json_t *real = json_real(v->via.f64);
		return real ? real : json_null(); /* not a number */
	}
	case MSGPACK_OBJECT_STR:
		return text_to_json(v->via.str.ptr, v->via.str.size);
	case MSGPACK_OBJECT_ARRAY:
		return array_to_json(&v->via.array);
	case MSGPACK_OBJECT_MAP:
		return map_to_json(&v->via.map);
	case MSGPACK_OBJECT_NIL:
	case MSGPACK_OBJECT_BIN:
	case MSGPACK_OBJECT_EXT:
		break;
	}
	return json_null();
}

static void print(struct out *out, json_t *json)
{
	if (!json || json_dumpf(json, stdout, JSON_INDENT(2)) < 0)
		out->failed = true;
	else
		putchar('\n');
	json_decref(json);
}

static void table(struct out *out, const struct out_field *fields, size_t n_fields,
	const struct rows *rows, const msgpack_object *doc)
{
	(void)fields;
	(void)n_fields;
	if (doc) {
		print(out, to_json(doc));
		return;
	}
	json_t *json = json_array();
	for (size_t i = 0; json && i < rows->n; i++) {
		if (json_array_append_new(json, to_json(rows->items[i])) < 0) {
			json_decref(json);
			json = NULL;
		}
	}
	print(out, json);
}

static void record(
	struct out *out, const struct out_field *fields, size_t n_fields, const msgpack_object *map)
{
	(void)fields;
	(void)n_fields;
	print(out, to_json(map));
}

static void event(struct out *out, uint64_t time_ms, const char *name, const msgpack_object *params)
{
	json_t *line = json_object();
	int rc = line ? 0 : -1;
	if (!rc)
		rc = json_object_set_new(line, "time", json_integer((json_int_t)time_ms));
	if (!rc)
		rc = json_object_set_new(line, "event", text_to_json(name, strlen(name)));
	if (!rc)
		rc = json_object_set_new(line, "params", to_json(params));
	if (rc < 0 || json_dumpf(line, stdout, JSON_COMPACT) < 0)
		out->failed = true;
	else
		putchar('\n');
	json_decref(line);
	fflush(stdout);
}

static void stream(struct out *out, const struct out_field *fields, size_t n_fields,
	const struct rows *rows, const msgpack_object *doc)
{
	json_t *line = to_json(doc);
	(void)fields;
	(void)n_fields;
	(void)rows;
	if (!line || json_dumpf(line, stdout, JSON_COMPACT) < 0)
		out->failed = true;
	else
		putchar('\n');
	json_decref(line);
	fflush(stdout);
}

static void nothing(struct out *out)
{
	print(out, json_object());
}

struct out *out_json_new(void)
{
	struct out *out = malloc(sizeof(*out));
	if (out)
		*out = (struct out){ .table = table,
			.record = record,
			.event = event,
			.stream = stream,
			.nothing = nothing };
	return out;
}
