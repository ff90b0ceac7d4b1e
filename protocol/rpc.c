/* rpc.c - see rpc.h. */
#include "protocol/rpc.h"

#include <string.h>

#include "feth/errors.h"
#include "protocol/text.h"

static bool get_str(const msgpack_object *o, struct rpc_str *out)
{
	if (o->type != MSGPACK_OBJECT_STR)
		return false;
	out->ptr = o->via.str.ptr;
	out->len = o->via.str.size;
	return true;
}

/* [] or [map]; nothing else. */
static bool get_params(const msgpack_object *o, const msgpack_object_map **out)
{
	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size > 1)
		return false;
	if (!o->via.array.size)
		return true;
	if (o->via.array.ptr[0].type != MSGPACK_OBJECT_MAP)
		return false;
	*out = &o->via.array.ptr[0].via.map;
	return true;
}

static enum rpc_fault read_envelope(struct rpc_msg *msg, const msgpack_object *root)
{
	if (root->type != MSGPACK_OBJECT_ARRAY || !root->via.array.size)
		return RPC_BAD_ENVELOPE;
	const msgpack_object *v = root->via.array.ptr;
	const uint32_t n = root->via.array.size;
	if (v[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER || v[0].via.u64 > RPC_NOTIFY)
		return RPC_BAD_ENVELOPE;
	msg->kind = (enum rpc_kind)v[0].via.u64;

	if (msg->kind == RPC_NOTIFY) {
		if (n != 3 || !get_str(&v[1], &msg->method) || !get_params(&v[2], &msg->params))
			return RPC_BAD_ENVELOPE;
		return RPC_OK;
	}

	if (n < 2 || v[1].type != MSGPACK_OBJECT_POSITIVE_INTEGER || v[1].via.u64 > UINT32_MAX)
		return RPC_BAD_ENVELOPE;
	msg->msgid = (uint32_t)v[1].via.u64;
	if (msg->kind == RPC_REQUEST) {
		if (n != 4 || !get_str(&v[2], &msg->method) || !get_params(&v[3], &msg->params))
			return RPC_BAD_PARAMS;
		return RPC_OK;
	}

	if (n != 4)
		return RPC_BAD_ENVELOPE;
	msg->failed = v[2].type != MSGPACK_OBJECT_NIL;
	if (v[2].type == MSGPACK_OBJECT_ARRAY && v[2].via.array.size == 2) {
		get_str(&v[2].via.array.ptr[0], &msg->code);
		get_str(&v[2].via.array.ptr[1], &msg->text);
	}
	msg->result = &v[3];
	return RPC_OK;
}

enum rpc_fault rpc_decode(struct rpc_msg *msg, const uint8_t *data, size_t len)
{
	memset(msg, 0, sizeof(*msg));
	if (!msgpack_zone_init(&msg->zone, 2048))
		return RPC_NO_MEMORY;

	msgpack_object *root = msgpack_zone_malloc(&msg->zone, sizeof(*root));
	if (!root)
		return RPC_NO_MEMORY;
	size_t off = 0;
	switch (msgpack_unpack((const char *)data, len, &off, &msg->zone, root)) {
	case MSGPACK_UNPACK_SUCCESS:
	case MSGPACK_UNPACK_EXTRA_BYTES:
		break;
	case MSGPACK_UNPACK_NOMEM_ERROR:
		return RPC_NO_MEMORY;
	case MSGPACK_UNPACK_CONTINUE:
	case MSGPACK_UNPACK_PARSE_ERROR:
		return RPC_BAD_ENVELOPE;
	}
	if (off != len)
		return RPC_BAD_ENVELOPE;
	return read_envelope(msg, root);
}

void rpc_msg_fini(struct rpc_msg *msg)
{
	if (msg->zone.chunk_list.head)
		msgpack_zone_destroy(&msg->zone);
	memset(msg, 0, sizeof(*msg));
}

bool rpc_str_is(struct rpc_str s, const char *text)
{
	return strlen(text) == s.len && (!s.len || !memcmp(s.ptr, text, s.len));
}

enum rpc_field rpc_get(const msgpack_object_map *map, const char *key, const msgpack_object **out)
{
	const msgpack_object *found = NULL;
	for (uint32_t i = 0; map && i < map->size; i++) {
		struct rpc_str s;
		if (!get_str(&map->ptr[i].key, &s) || !rpc_str_is(s, key))
			continue;
		if (found)
			return RPC_FIELD_BAD;
		found = &map->ptr[i].val;
	}
	if (!found || found->type == MSGPACK_OBJECT_NIL)
		return RPC_FIELD_ABSENT;
	*out = found;
	return RPC_FIELD_OK;
}

enum rpc_field rpc_get_uint(const msgpack_object_map *map, const char *key, uint64_t *out)
{
	const msgpack_object *o;
	const enum rpc_field f = rpc_get(map, key, &o);
	if (f != RPC_FIELD_OK)
		return f;
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return RPC_FIELD_BAD;
	*out = o->via.u64;
	return f;
}

enum rpc_field rpc_get_bool(const msgpack_object_map *map, const char *key, bool *out)
{
	const msgpack_object *o;
	const enum rpc_field f = rpc_get(map, key, &o);
	if (f != RPC_FIELD_OK)
		return f;
	if (o->type != MSGPACK_OBJECT_BOOLEAN)
		return RPC_FIELD_BAD;
	*out = o->via.boolean;
	return f;
}

bool rpc_text(const msgpack_object *o, char *out, size_t size)
{
	struct rpc_str s;
	if (!get_str(o, &s) || s.len >= size || !utf8_valid(s.ptr, s.len))
		return false;
	if (s.len)
		memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
	return true;
}

enum rpc_field rpc_get_text(const msgpack_object_map *map, const char *key, char *out, size_t size)
{
	const msgpack_object *o;
	const enum rpc_field f = rpc_get(map, key, &o);
	if (f != RPC_FIELD_OK)
		return f;
	return rpc_text(o, out, size) ? RPC_FIELD_OK : RPC_FIELD_BAD;
}

enum rpc_field rpc_get_array(
	const msgpack_object_map *map, const char *key, const msgpack_object_array **out)
{
	const msgpack_object *o;
	const enum rpc_field f = rpc_get(map, key, &o);
	if (f != RPC_FIELD_OK)
		return f;
	if (o->type != MSGPACK_OBJECT_ARRAY)
		return RPC_FIELD_BAD;
	*out = &o->via.array;
	return f;
}

void rpc_out_init(struct rpc_out *out)
{
	memset(out, 0, sizeof(*out));
	msgpack_sbuffer_init(&out->buf);
	msgpack_packer_init(&out->pk, &out->buf, msgpack_sbuffer_write);
}

void rpc_out_fini(struct rpc_out *out)
{
	msgpack_sbuffer_destroy(&out->buf);
}

void rpc_out_clear(struct rpc_out *out)
{
	msgpack_sbuffer_clear(&out->buf);
	out->depth = 0;
	out->failed = false;
}

bool rpc_out_ok(const struct rpc_out *out)
{
	return !out->failed && !out->depth && out->buf.size <= FETH_RPC_MAX;
}

/* Notes the outcome of packing one value into the innermost container. */
static void packed(struct rpc_out *out, int rc)
{
	if (rc || out->buf.size > FETH_RPC_MAX)
		out->failed = true;
	else if (out->depth)
		out->open_n[out->depth - 1]++;
}

/* Opens a container with a 16-bit count, which rpc_out_close() fills in. */
static void open_container(struct rpc_out *out, bool map)
{
	const size_t at = out->buf.size;
	packed(out, map ? msgpack_pack_map(&out->pk, UINT16_MAX)
			: msgpack_pack_array(&out->pk, UINT16_MAX));
	if (out->failed || out->depth == RPC_OUT_DEPTH) {
		out->failed = true;
		return;
	}
	out->open_at[out->depth] = at;
	out->open_n[out->depth++] = 0;
}

void rpc_out_map(struct rpc_out *out)
{
	open_container(out, true);
}

void rpc_out_array(struct rpc_out *out)
{
	open_container(out, false);
}

void rpc_out_close(struct rpc_out *out)
{
	if (out->failed || !out->depth) {
		out->failed = true;
		return;
	}
	out->depth--;
	uint8_t *head = (uint8_t *)out->buf.data + out->open_at[out->depth];
	uint32_t n = out->open_n[out->depth];
	if (head[0] == 0xde) { /* a map counts pairs */
		if (n % 2)
			out->failed = true;
		n /= 2;
	}
	if (n > UINT16_MAX)
		out->failed = true;
	head[1] = (uint8_t)(n >> 8);
	head[2] = (uint8_t)n;
}

void rpc_out_text(struct rpc_out *out, const char *text)
{
	packed(out, msgpack_pack_str_with_body(&out->pk, text, strlen(text)));
}

void rpc_out_uint(struct rpc_out *out, uint64_t v)
{
	packed(out, msgpack_pack_uint64(&out->pk, v));
}

void rpc_out_bool(struct rpc_out *out, bool v)
{
	packed(out, v ? msgpack_pack_true(&out->pk) : msgpack_pack_false(&out->pk));
}

void rpc_out_nil(struct rpc_out *out)
{
	packed(out, msgpack_pack_nil(&out->pk));
}

void rpc_out_raw(struct rpc_out *out, const uint8_t *data, size_t len)
{
	packed(out, msgpack_sbuffer_write(&out->buf, (const char *)data, len));
}

void rpc_out_request(struct rpc_out *out, uint32_t msgid, const char *method)
{
	rpc_out_array(out);
	rpc_out_uint(out, RPC_REQUEST);
	rpc_out_uint(out, msgid);
	rpc_out_text(out, method);
	rpc_out_array(out);
}

void rpc_out_notify(struct rpc_out *out, const char *method)
{
	rpc_out_array(out);
	rpc_out_uint(out, RPC_NOTIFY);
	rpc_out_text(out, method);
	rpc_out_array(out);
}

void rpc_out_response(struct rpc_out *out, uint32_t msgid)
{
	rpc_out_array(out);
	rpc_out_uint(out, RPC_RESPONSE);
	rpc_out_uint(out, msgid);
	rpc_out_nil(out);
}

void rpc_out_end(struct rpc_out *out)
{
	while (out->depth && !out->failed)
		rpc_out_close(out);
}

void rpc_out_error(struct rpc_out *out, uint32_t msgid, const char *code, const char *text)
{
	rpc_out_array(out);
	rpc_out_uint(out, RPC_RESPONSE);
	rpc_out_uint(out, msgid);
	rpc_out_array(out);
	rpc_out_text(out, code);
	rpc_out_text(out, text);
	rpc_out_close(out);
	rpc_out_nil(out);
	rpc_out_close(out);
}

void rpc_put_text(struct rpc_out *out, const char *key, const char *text)
{
	rpc_out_text(out, key);
	rpc_out_text(out, text);
}

void rpc_put_uint(struct rpc_out *out, const char *key, uint64_t v)
{
	rpc_out_text(out, key);
	rpc_out_uint(out, v);
}

void rpc_put_bool(struct rpc_out *out, const char *key, bool v)
{
	rpc_out_text(out, key);
	rpc_out_bool(out, v);
}

void rpc_put_mac(struct rpc_out *out, const char *key, struct feth_mac mac)
{
	char text[MAC_TEXT];
	mac_format(text, mac);
	rpc_put_text(out, key, text);
}

void rpc_put_map(struct rpc_out *out, const char *key)
{
	rpc_out_text(out, key);
	rpc_out_map(out);
}

void rpc_put_array(struct rpc_out *out, const char *key)
{
	rpc_out_text(out, key);
	rpc_out_array(out);
}

const char *rpc_error_name(int rc)
{
	switch (-rc) {
#define X(symbol, name, number, text)                                                              \
	case number:                                                                               \
		return name;
		FETH_ERRORS(X)
#undef X
	case EPERM:
		return "denied";
	case EADDRINUSE:
		return "exists";
	case ENODEV:
	case ENXIO:
		return "not_found";
	case ENAMETOOLONG:
	case ERANGE:
		return "invalid";
	case E2BIG:
	case ENOSPC:
		return "too_large";
	case EAGAIN:
		return "busy";
	default:
		return "system";
	}
}

int rpc_error_number(struct rpc_str s)
{
#define X(symbol, name, number, text)                                                              \
	if (rpc_str_is(s, name))                                                                   \
		return -number;
	FETH_ERRORS(X)
#undef X
	return -EIO;
}
