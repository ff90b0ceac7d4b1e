/* keys.c - see keys.h. */
#include "server/conf/keys.h"

#include <stdio.h>
#include <string.h>

#include "protocol/rights.h"
#include "server/conf/vlantext.h"

/* docs/man/fethd.conf.5 says what each means; tests/lint/docs.py holds it to these. */
const struct key keys_network[] = {
	{ "backend", "backend", KEY_TEXT, KEY_PINNED },
	{ "unit", "unit", KEY_UINT, KEY_PINNED },
	{ "mtu", "mtu", KEY_UINT, 0 },
	{ "mac", "mac", KEY_TEXT, 0 },
	{ "address", "addresses", KEY_LIST, 0 },
	{ "up", "up", KEY_BOOL, 0 },
	{ "multicast", "multicast", KEY_TEXT, 0 },
	{ "querier", "querier", KEY_BOOL, 0 },
	{ "too-big", "too_big", KEY_BOOL, 0 },
	{ "dhcp", "dhcp", KEY_BOOL_TEXT, 0 },
	{ "nat", "nat", KEY_BOOL, 0 },
	{ "bridge", "bridge", KEY_BOOL_TEXT, 0 },
	{ "owner", "owner", KEY_TEXT, 0 },
	{ "group", "group", KEY_TEXT, 0 },
	{ "mode", "mode", KEY_TEXT, 0 },
	{ "allow", "allow", KEY_ALLOW, 0 },
	{ 0 },
};

const struct key keys_port[] = {
	{ "kind", "kind", KEY_TEXT, KEY_PINNED | KEY_OWN },
	{ "ifname", "ifname", KEY_TEXT, KEY_PINNED | KEY_OWN },
	{ "netns", "netns", KEY_TEXT, KEY_PINNED | KEY_OWN },
	{ "connect", "connect", KEY_TEXT, KEY_PINNED | KEY_OWN },
	{ "local", "local", KEY_TEXT, KEY_PINNED | KEY_OWN },
	{ "remote", "remote", KEY_TEXT, KEY_PINNED | KEY_OWN },
	{ "mac", "mac", KEY_TEXT, KEY_OWN },
	{ "macs", "macs", KEY_LIST, KEY_OWN },
	{ "locked", "locked", KEY_BOOL, KEY_OWN },
	{ "isolated", "isolated", KEY_BOOL, 0 },
	{ "up", "up", KEY_BOOL, 0 },
	{ "vlan", "vlan", KEY_VLAN, 0 },
	{ "cap", "cap", KEY_UINT, 0 },
	{ "queue", "queue", KEY_UINT, 0 },
	{ "rx-rate", "rx_rate", KEY_UINT, 0 },
	{ "tx-rate", "tx_rate", KEY_UINT, 0 },
	{ "storm", "storm", KEY_UINT, 0 },
	{ "loop-guard", "loop_guard", KEY_BOOL, 0 },
	{ "raw-offload", "raw_offload", KEY_BOOL, 0 },
	{ 0 },
};

bool key_is_list(const struct key *key)
{
	return key->kind == KEY_LIST || key->kind == KEY_ALLOW || key->kind == KEY_VLAN;
}

const struct key *key_find(const struct key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (!strcmp(keys->name, name))
			return keys;
	return NULL;
}

/* 1, 0, or -1 where it is neither. */
static int truth(const char *text)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(text, words[i]))
			return (int)(i & 1);
	return -1;
}

static bool number(const char *text, uint64_t *out)
{
	uint64_t v = 0;
	for (const char *p = text; *p; p++) {
		const unsigned digit = (unsigned)(*p - '0');
		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return *text;
}

bool key_takes(const struct key *key, const char *text, const char **why)
{
	uint64_t v;
	struct allow allow;
	switch (key->kind) {
	case KEY_TEXT:
	case KEY_LIST:
	case KEY_BOOL_TEXT:
		return true;
	case KEY_ALLOW:
		return allow_parse(&allow, text, why);
	case KEY_VLAN:
		return vlantext_takes(text, why);
	case KEY_UINT:
		*why = "must be a whole number in decimal digits";
		return number(text, &v);
	case KEY_BOOL:
		*why = "must be yes or no";
		return truth(text) >= 0;
	}
	return false;
}

static void put_allow(const char *text, struct rpc_out *out)
{
	const char *why;
	struct allow allow;
	if (!allow_parse(&allow, text, &why))
		return; /* key_takes() said that it is one */
	rpc_out_map(out);
	rpc_put_text(out, allow.group ? "group" : "user", allow.name);
	rpc_put_array(out, "rights");
	for (unsigned right = RIGHT_ATTACH; right <= RIGHT_CONTROL; right <<= 1)
		if (allow.rights & right)
			rpc_out_text(out, right_name(right));
	rpc_out_close(out);
	rpc_out_close(out);
}

static void put_list(
	const struct key *key, const char *const *texts, unsigned n, struct rpc_out *out)
{
	rpc_out_array(out);
	for (unsigned i = 0; i < n; i++)
		if (key->kind == KEY_ALLOW)
			put_allow(texts[i], out);
		else
			rpc_out_text(out, texts[i]);
	rpc_out_close(out);
}

void key_put(const struct key *key, const char *const *texts, unsigned n, struct rpc_out *out)
{
	uint64_t v = 0;
	switch (key->kind) {
	case KEY_LIST:
	case KEY_ALLOW:
		put_list(key, texts, n, out);
		break;
	case KEY_VLAN:
		vlantext_put(texts, n, out);
		break;
	case KEY_TEXT:
		rpc_out_text(out, texts[0]);
		break;
	case KEY_UINT:
		(void)number(texts[0], &v);
		rpc_out_uint(out, v);
		break;
	case KEY_BOOL:
		rpc_out_bool(out, truth(texts[0]) == 1);
		break;
	case KEY_BOOL_TEXT:
		if (truth(texts[0]) < 0)
			rpc_out_text(out, texts[0]);
		else
			rpc_out_bool(out, truth(texts[0]) == 1);
		break;
	}
}

static bool one_text(const msgpack_object *value, char *out, size_t size)
{
	int n;
	switch (value->type) {
	case MSGPACK_OBJECT_STR:
		return rpc_text(value, out, size);
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		n = snprintf(out, size, "%llu", (unsigned long long)value->via.u64);
		break;
	case MSGPACK_OBJECT_BOOLEAN:
		n = snprintf(out, size, "%s", value->via.boolean ? "yes" : "no");
		break;
	default:
		return false;
	}
	return n > 0 && (size_t)n < size;
}

/* "user:anna=attach,observe" of {user, rights}. */
static bool allow_text(const msgpack_object *value, char *out, size_t size)
{
	char name[UNIX_NAME], right[16];
	const msgpack_object_array *rights;
	if (value->type != MSGPACK_OBJECT_MAP)
		return false;
	const msgpack_object_map *map = &value->via.map;
	const bool user = rpc_get_text(map, "user", name, sizeof(name)) == RPC_FIELD_OK;
	if ((!user && rpc_get_text(map, "group", name, sizeof(name)) != RPC_FIELD_OK) ||
		rpc_get_array(map, "rights", &rights) != RPC_FIELD_OK)
		return false;
	int n = snprintf(out, size, "%s:%s", user ? "user" : "group", name);
	for (uint32_t i = 0; i < rights->size; i++) {
		if (n < 0 || (size_t)n >= size || !rpc_text(&rights->ptr[i], right, sizeof(right)))
			return false;
		n += snprintf(out + n, size - (size_t)n, "%c%s", i ? ',' : '=', right);
	}
	return n > 0 && (size_t)n < size;
}

bool key_text(
	const struct key *key, const msgpack_object *value, unsigned i, char *out, size_t size)
{
	if (key->kind == KEY_VLAN)
		return vlantext_line(value, i, out, size);
	if (!key_is_list(key))
		return !i && one_text(value, out, size);
	if (value->type != MSGPACK_OBJECT_ARRAY || i >= value->via.array.size)
		return false;
	const msgpack_object *element = &value->via.array.ptr[i];
	return key->kind == KEY_ALLOW ? allow_text(element, out, size)
				      : one_text(element, out, size);
}
