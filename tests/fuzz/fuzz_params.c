/* fuzz_params.c - the getters of rpc.h over any map a client may send; and what they read, written
 * by the builders, is read again. */
#include "protocol/rpc.h"
#include "protocol/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

static void each_getter(const msgpack_object_map *map, const char *key, struct rpc_out *out)
{
	const msgpack_object *o;
	const msgpack_object_array *a;
	uint64_t n;
	bool b;
	char text[65];
	if (rpc_get_uint(map, key, &n) == RPC_FIELD_OK)
		rpc_put_uint(out, key, n);
	if (rpc_get_bool(map, key, &b) == RPC_FIELD_OK)
		rpc_put_bool(out, key, b);
	if (rpc_get_text(map, key, text, sizeof(text)) == RPC_FIELD_OK)
		rpc_put_text(out, key, text);
	if (rpc_get_array(map, key, &a) == RPC_FIELD_OK) {
		rpc_put_array(out, key);
		for (uint32_t i = 0; i < a->size; i++)
			if (rpc_text(&a->ptr[i], text, sizeof(text)))
				rpc_out_text(out, text);
		rpc_out_close(out);
	}
	(void)rpc_get(map, key, &o);
}

/* Every key that is text, and some that are asked for anyway. */
static void every_field(const msgpack_object_map *map, struct rpc_out *out)
{
	static const char *const names[] = { "network", "mtu", "mac", "addresses", "" };
	for (unsigned i = 0; i < 5; i++)
		each_getter(map, names[i], out);
	for (uint32_t i = 0; map && i < map->size && i < 50; i++) {
		char key[65];
		if (rpc_text(&map->ptr[i].key, key, sizeof(key)))
			each_getter(map, key, out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_scan scan = { 0 };
	struct wire_item item;
	struct rpc_msg msg, again;
	if (wire_next(&scan, data, len, &item) != WIRE_RPC)
		return 0;
	uint8_t *copy = exact_copy(item.data, item.len);
	struct rpc_out out;
	rpc_out_init(&out);
	if (rpc_decode(&msg, copy, item.len) == RPC_OK && msg.kind != RPC_RESPONSE) {
		rpc_out_request(&out, 1, "m");
		rpc_out_map(&out);
		every_field(msg.params, &out);
		rpc_out_end(&out);
		if (rpc_out_ok(&out)) {
			const uint8_t *p = (const uint8_t *)out.buf.data;
			must(wire_next(&scan, p, out.buf.size, &item) == WIRE_RPC);
			must(rpc_decode(&again, item.data, item.len) == RPC_OK);
			rpc_msg_fini(&again);
		}
	} else if (msg.kind == RPC_RESPONSE && msg.failed) {
		must(rpc_error_number(msg.code) < 0);
	}
	rpc_out_fini(&out);
	rpc_msg_fini(&msg);
	free(copy);
	return 0;
}
