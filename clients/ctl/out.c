/* out.c - what both forms of output share, and how values look to people. See out.h. */
#include "clients/ctl/out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool rows_add(struct rows *rows, const msgpack_object *item)
{
	if (rows->n == rows->capacity) {
		const size_t capacity = rows->capacity ? 2 * rows->capacity : 64;
		const msgpack_object **p =
			realloc((void *)rows->items, capacity * sizeof(const void *));
		if (!p)
			return false;
		rows->items = p;
		rows->capacity = capacity;
	}
	rows->items[rows->n++] = item;
	return true;
}

void rows_fini(struct rows *rows)
{
	free((void *)rows->items);
	memset(rows, 0, sizeof(*rows));
}

const msgpack_object *out_get(const msgpack_object *map, const char *key)
{
	const size_t len = key ? strlen(key) : 0;
	if (!key)
		return map;
	if (map->type != MSGPACK_OBJECT_MAP)
		return NULL;
	for (uint32_t i = 0; i < map->via.map.size; i++) {
		const msgpack_object_kv *kv = &map->via.map.ptr[i];
		if (kv->key.type == MSGPACK_OBJECT_STR && kv->key.via.str.size == len &&
			!memcmp(kv->key.via.str.ptr, key, len))
			return kv->val.type == MSGPACK_OBJECT_NIL ? NULL : &kv->val;
	}
	return NULL;
}

void out_print_text(FILE *f, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)text[i];
		/* C1 controls are c2 80 to c2 9f in UTF-8 */
		const bool c1 = c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0;
		fputc(c < 0x20 || c == 0x7f || c1 ? '?' : c, f);
		i += c1;
	}
}

static void print_array(FILE *f, const msgpack_object_array *a)
{
	for (uint32_t i = 0; i < a->size; i++) {
		fputs(i ? ", " : "", f);
		out_any(f, &a->ptr[i]);
	}
}

static void print_map(FILE *f, const msgpack_object_map *m)
{
	for (uint32_t i = 0; i < m->size; i++) {
		fputs(i ? ", " : "", f);
		out_any(f, &m->ptr[i].key);
		fputc(' ', f);
		out_any(f, &m->ptr[i].val);
	}
}

void out_any(FILE *f, const msgpack_object *v)
{
	const msgpack_object_type type = v ? v->type : MSGPACK_OBJECT_NIL;
	switch (type) {
	case MSGPACK_OBJECT_STR:
		if (v->via.str.size)
			out_print_text(f, v->via.str.ptr, v->via.str.size);
		else
			fputc('-', f);
		return;
	case MSGPACK_OBJECT_BOOLEAN:
		fputs(v->via.boolean ? "yes" : "no", f);
		return;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		fprintf(f, "%" PRIu64, v->via.u64);
		return;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		fprintf(f, "%" PRId64, v->via.i64);
		return;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		fprintf(f, "%g", v->via.f64);
		return;
	case MSGPACK_OBJECT_ARRAY:
		if (v->via.array.size)
			print_array(f, &v->via.array);
		else
			fputc('-', f);
		return;
	case MSGPACK_OBJECT_MAP:
		if (v->via.map.size)
			print_map(f, &v->via.map);
		else
			fputc('-', f);
		return;
	case MSGPACK_OBJECT_NIL:
		fputc('-', f);
		return;
	case MSGPACK_OBJECT_BIN:
	case MSGPACK_OBJECT_EXT:
		fputc('?', f);
		return;
	}
}

void out_up(FILE *f, const msgpack_object *v)
{
	if (v && v->type == MSGPACK_OBJECT_BOOLEAN)
		fputs(v->via.boolean ? "up" : "down", f);
	else
		out_any(f, v);
}

void out_carrier(FILE *f, const msgpack_object *v)
{
	if (v && v->type == MSGPACK_OBJECT_BOOLEAN)
		fputs(v->via.boolean ? "yes" : "lost", f);
	else
		out_any(f, v);
}

void out_age(FILE *f, const msgpack_object *v)
{
	if (v && v->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		fprintf(f, "%" PRIu64 ".%u s", v->via.u64 / 1000,
			(unsigned)(v->via.u64 % 1000 / 100));
	else
		out_any(f, v);
}

void out_rate(FILE *f, const msgpack_object *v)
{
	if (v && v->type == MSGPACK_OBJECT_FLOAT64)
		fprintf(f, v->via.f64 > 0 && v->via.f64 < 9.95 ? "%.1f" : "%.0f", v->via.f64);
	else
		out_any(f, v);
}

void out_left(FILE *f, const msgpack_object *v)
{
	if (v)
		out_age(f, v);
	else
		fputs("stays", f);
}

void out_fixed(FILE *f, const msgpack_object *v)
{
	if (v && v->type == MSGPACK_OBJECT_BOOLEAN)
		fputs(v->via.boolean ? "static" : "learned", f);
	else
		out_any(f, v);
}
