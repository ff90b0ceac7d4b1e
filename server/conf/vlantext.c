/* vlantext.c - see vlantext.h. */
#include "server/conf/vlantext.h"

#include <stdio.h>
#include <string.h>

#define NUMBER_MAX 65535u    /* more is no VLAN, and that is found later; but it is a number */
#define RANGES_OF_A_LINE 12u /* "4000-4094," each: far under what a line may have */

/* Reads a number and moves on; false: there is none. */
static bool number(const char **p, uint32_t *out)
{
	uint32_t v = 0;
	const char *s = *p;
	for (; *s >= '0' && *s <= '9' && v <= NUMBER_MAX; s++)
		v = v * 10 + (uint32_t)(*s - '0');
	const bool good = s != *p && v <= NUMBER_MAX;
	*p = s;
	*out = v;
	return good;
}

static bool skip(const char **p, const char *word)
{
	const size_t len = strlen(word);
	if (strncmp(*p, word, len) != 0)
		return false;
	*p += len;
	return true;
}

static bool range(const char **p, uint32_t *from, uint32_t *to)
{
	if (!number(p, from))
		return false;
	*to = *from;
	return !skip(p, "-") || number(p, to);
}

/* One line of a trunk: "native=N", "tagged=N,N-M,...", or both. @out NULL: it is looked at only. */
static bool trunk(const char *p, bool *has_native, uint32_t *native, struct rpc_out *out)
{
	*has_native = skip(&p, "native=");
	if (*has_native && (!number(&p, native) || !*p || !skip(&p, ",")))
		return !*p;
	uint32_t from, to;
	if (!skip(&p, "tagged="))
		return false;
	do {
		if (!range(&p, &from, &to))
			return false;
		if (out && from == to)
			rpc_out_uint(out, from);
		if (out && from != to) {
			rpc_out_array(out);
			rpc_out_uint(out, from);
			rpc_out_uint(out, to);
			rpc_out_close(out);
		}
	} while (skip(&p, ","));
	return !*p;
}

/* A single number, or none, which is 0. */
static bool plain(const char *text, uint32_t *out)
{
	*out = 0;
	return !strcmp(text, "none") || (number(&text, out) && !*text);
}

bool vlantext_takes(const char *text, const char **why)
{
	uint32_t n;
	bool has;
	*why = "must be a VLAN such as 10, a trunk such as native=1,tagged=10,20-29, or none";
	if (plain(text, &n))
		return true;
	/* what ends at a native number must have one */
	return trunk(text, &has, &n, NULL) && strcmp(text, "native=") != 0;
}

void vlantext_put(const char *const *lines, unsigned n, struct rpc_out *out)
{
	uint32_t native = 0, v;
	bool has;
	if (n == 1 && plain(lines[0], &v)) {
		rpc_out_uint(out, v);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		if (!plain(lines[i], &v) && trunk(lines[i], &has, &v, NULL) && has)
			native = v;
	rpc_out_map(out);
	rpc_put_uint(out, "native", native);
	rpc_put_array(out, "tagged");
	for (unsigned i = 0; i < n; i++)
		if (!plain(lines[i], &v))
			(void)trunk(lines[i], &has, &v, out);
		else
			rpc_out_uint(out, 0); /* beside others it is no trunk's, and is told so */
	rpc_out_close(out);
	rpc_out_close(out);
}

static unsigned long long uint_of(const msgpack_object *o)
{
	return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? o->via.u64 : 0;
}

static int put_range(char *out, size_t size, const char *before, const msgpack_object *o)
{
	if (o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == 2)
		return snprintf(out, size, "%s%llu-%llu", before, uint_of(&o->via.array.ptr[0]),
			uint_of(&o->via.array.ptr[1]));
	return snprintf(out, size, "%s%llu", before, uint_of(o));
}

bool vlantext_line(const msgpack_object *value, unsigned i, char *out, size_t size)
{
	const msgpack_object_array *tagged = &(const msgpack_object_array){ 0 };
	uint64_t native = 0;
	size_t len = 0;
	int n = 0;
	if (!value || value->type != MSGPACK_OBJECT_MAP) {
		n = value ? snprintf(out, size, "%llu", uint_of(value))
			  : snprintf(out, size, "none");
		return !i && n > 0 && (size_t)n < size;
	}
	(void)rpc_get_uint(&value->via.map, "native", &native);
	(void)rpc_get_array(&value->via.map, "tagged", &tagged);
	const unsigned from = i * RANGES_OF_A_LINE;
	if (i && from >= tagged->size)
		return false;
	if (!i && (native || !tagged->size))
		n = snprintf(out, size, "native=%llu%s", (unsigned long long)native,
			tagged->size ? "," : "");
	for (unsigned k = from; k < tagged->size && k < from + RANGES_OF_A_LINE; k++) {
		len += (size_t)n;
		if (len >= size)
			return false;
		n = put_range(out + len, size - len, k == from ? "tagged=" : ",", &tagged->ptr[k]);
	}
	return len + (size_t)n < size;
}
