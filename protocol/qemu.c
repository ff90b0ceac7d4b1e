/* qemu.c - see qemu.h. */
#include "protocol/qemu.h"

enum wire_kind qemu_next(const uint8_t *buf, size_t len, struct wire_item *item, size_t *need)
{
	if (len < QEMU_HDR_LEN) {
		*need = QEMU_HDR_LEN;
		return WIRE_MORE;
	}

	const uint32_t n =
		(uint32_t)buf[0] << 24 | (uint32_t)buf[1] << 16 | (uint32_t)buf[2] << 8 | buf[3];
	if (n > QEMU_FRAME_MAX) {
		item->reason = "frame length over 69632";
		return WIRE_BAD;
	}
	if (len - QEMU_HDR_LEN < n) {
		*need = QEMU_HDR_LEN + n;
		return WIRE_MORE;
	}

	item->data = buf + QEMU_HDR_LEN;
	item->len = n;
	item->total = QEMU_HDR_LEN + n;
	item->hdr_len = QEMU_HDR_LEN;
	item->ext = 0;
	return WIRE_FRAME;
}

void qemu_frame_header(uint8_t *out, uint32_t len)
{
	out[0] = (uint8_t)(len >> 24);
	out[1] = (uint8_t)(len >> 16);
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
}
