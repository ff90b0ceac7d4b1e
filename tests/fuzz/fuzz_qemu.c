/* fuzz_qemu.c - a QEMU stream as its port reads it. */
#include "protocol/qemu.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	for (;;) {
		uint8_t *copy = exact_copy(data, len);
		struct wire_item item = { 0 };
		size_t need = 0;
		const enum wire_kind kind = qemu_next(copy, len, &item, &need);
		uint8_t hdr[QEMU_HDR_LEN];
		if (kind == WIRE_FRAME) {
			must(item.total == item.len + QEMU_HDR_LEN && item.total <= len);
			must(item.len <= QEMU_FRAME_MAX);
			qemu_frame_header(hdr, item.len);
			must(!memcmp(hdr, copy, QEMU_HDR_LEN));
		}
		free(copy);
		if (kind == WIRE_MORE)
			must(need > len && need <= QEMU_HDR_LEN + QEMU_FRAME_MAX);
		if (kind != WIRE_FRAME)
			return 0;
		data += item.total;
		len -= item.total;
	}
}
