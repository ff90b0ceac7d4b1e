/* wiredump.c - says what our own decoder makes of the bytes given in hex, one object; exits with 1
 * where it would close the connection or they are not exactly one object. For docs.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/rpc.h"
#include "protocol/wire.h"

static size_t from_hex(const char *hex, uint8_t *out, size_t max)
{
	size_t n = 0;
	unsigned byte;
	for (; n < max && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		out[n++] = (uint8_t)byte;
	return n;
}

static int print_rpc(const struct wire_item *item)
{
	static const char *const kinds[] = { "request", "response", "notification" };
	struct rpc_msg msg;
	const enum rpc_fault fault = rpc_decode(&msg, item->data, item->len);
	if (fault == RPC_OK)
		printf("%s %u %.*s\n", kinds[msg.kind], msg.msgid, (int)msg.method.len,
			msg.method.len ? msg.method.ptr : "");
	rpc_msg_fini(&msg);
	return fault == RPC_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
	static uint8_t buf[8192];
	struct wire_scan scan = { 0 };
	struct wire_item item = { 0 };
	if (argc != 2)
		return 2;
	const size_t len = from_hex(argv[1], buf, sizeof(buf));
	const enum wire_kind kind = wire_next(&scan, buf, len, &item);
	if (kind == WIRE_MORE || kind == WIRE_BAD || item.total != len)
		return 1;
	if (kind == WIRE_RPC)
		return print_rpc(&item);
	printf(kind == WIRE_EXT ? "ext " : "frame ");
	for (uint32_t i = 0; i < item.len; i++)
		printf("%02x", item.data[i]);
	printf("\n");
	return 0;
}
