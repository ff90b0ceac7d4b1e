/* vlan.c - VLANs on the command line: 10, native=1,tagged=10,20-29, none. */
#include <string.h>

#include "clients/ctl/rules.h"

#define VLAN_MAX 4094u
#define VLAN_TEXT 512u /* longest value: 32 ranges take 320 */

/* A number of @len characters; 0: it is none that a VLAN could have. */
static uint32_t number(const char *text, size_t len)
{
	uint32_t v = 0;
	for (size_t i = 0; i < len && v <= VLAN_MAX; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		v = v * 10 + (uint32_t)(text[i] - '0');
	}
	return v <= VLAN_MAX ? v : 0;
}

/* "10" or "20-29". */
static bool put_range(struct rpc_out *params, const char *text, size_t len)
{
	const char *dash = memchr(text, '-', len);
	if (!dash) {
		const uint32_t v = number(text, len);
		if (v)
			rpc_out_uint(params, v);
		return v;
	}
	const uint32_t from = number(text, (size_t)(dash - text));
	const uint32_t to = number(dash + 1, len - (size_t)(dash + 1 - text));
	rpc_out_array(params);
	rpc_out_uint(params, from);
	rpc_out_uint(params, to);
	rpc_out_close(params);
	return from && from <= to;
}

/* Whether the item of @len characters begins with "@key="; then that is skipped. */
static bool skip_key(const char **item, size_t *len, const char *key)
{
	const size_t n = strlen(key);
	if (*len <= n || memcmp(*item, key, n) != 0 || (*item)[n] != '=')
		return false;
	*item += n + 1;
	*len -= n + 1;
	return true;
}

/* native=N first, if at all, then tagged=N or N-M and further ones, separated by commas. */
static bool put_trunk(struct rpc_out *params, const char *text)
{
	size_t len = strcspn(text, ",");
	bool good = true;
	uint32_t native = 0;
	if (skip_key(&text, &len, "native")) {
		native = number(text, len);
		good = native || (len == 1 && *text == '0');
		text += len + (text[len] == ',');
		len = strcspn(text, ",");
	}
	rpc_put_uint(params, "native", native);
	rpc_put_array(params, "tagged");
	good = good && (len ? skip_key(&text, &len, "tagged") && len : native != 0);
	while (good && len) {
		good = put_range(params, text, len);
		text += len;
		if (!*text)
			break;
		len = strcspn(++text, ",");
		good = good && len;
	}
	rpc_out_close(params);
	return good;
}

int vlan_put(struct rpc_out *params, const char *field, const char *where, const char *value)
{
	const uint32_t access = number(value, strlen(value));
	bool good = true;
	if (access || !strcmp(value, "none")) {
		rpc_put_uint(params, field, access);
	} else {
		rpc_put_map(params, field);
		good = strlen(value) < VLAN_TEXT && put_trunk(params, value);
		rpc_out_close(params);
	}
	if (good)
		return 0;
	return ctl_fail("%s %s: it must be a VLAN such as 10, a trunk such as "
			"native=1,tagged=10,20-29, or none",
		where, value);
}

/* What @o, a VLAN or an array of the first and the last, is called. */
static void put_text(FILE *f, const msgpack_object *o)
{
	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 2) {
		out_any(f, o);
		return;
	}
	out_any(f, &o->via.array.ptr[0]);
	fputc('-', f);
	out_any(f, &o->via.array.ptr[1]);
}

void vlan_text(FILE *f, const msgpack_object *v)
{
	const msgpack_object *native, *tagged;
	if (!v || v->type != MSGPACK_OBJECT_MAP) {
		out_any(f, v);
		return;
	}
	native = out_get(v, "native");
	tagged = out_get(v, "tagged");
	if (native) {
		fputs("native=", f);
		out_any(f, native);
	}
	if (!tagged || tagged->type != MSGPACK_OBJECT_ARRAY)
		return;
	for (uint32_t i = 0; i < tagged->via.array.size; i++) {
		fputs(i ? "," : ",tagged=", f);
		put_text(f, &tagged->via.array.ptr[i]);
	}
}
