/* fuzz_wire.c - a native stream as a session reads it: items, and of RPC objects the envelopes. */
#include "protocol/rpc.h"
#include "protocol/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

/* The same item must be found one byte later or earlier in the reading. */
static void again_in_two_steps(const uint8_t *data, size_t len, size_t cut, enum wire_kind kind,
	const struct wire_item *item)
{
	struct wire_scan scan = { 0 };
	struct wire_item got = { 0 };
	uint8_t *part = exact_copy(data, cut);
	enum wire_kind k = wire_next(&scan, part, cut, &got);
	free(part);
	if (k == WIRE_MORE) {
		must(scan.need > cut);
		k = wire_next(&scan, data, len, &got);
	}
	must(k == kind);
	if (kind == WIRE_BAD)
		must(got.reason == item->reason);
	else if (kind != WIRE_MORE)
		must(got.total == item->total && got.len == item->len && got.ext == item->ext);
}

static void decode(const uint8_t *data, size_t len)
{
	struct rpc_msg msg;
	uint8_t *copy = exact_copy(data, len);
	const enum rpc_fault fault = rpc_decode(&msg, copy, len);
	must(fault != RPC_NO_MEMORY);
	if (fault == RPC_OK && msg.kind == RPC_RESPONSE)
		must(msg.result);
	rpc_msg_fini(&msg);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_scan scan = { 0 };
	struct wire_item item = { 0 };
	enum wire_kind kind;
	for (size_t n = 0; (kind = wire_next(&scan, data, len, &item)) != WIRE_MORE; n++) {
		again_in_two_steps(data, len, len * (n % 8) / 8, kind, &item);
		if (kind == WIRE_BAD)
			return 0;
		must(item.total && item.total <= len);
		if (kind == WIRE_RPC)
			decode(item.data, item.len);
		data += item.total;
		len -= item.total;
	}
	must(scan.need > len);
	return 0;
}
