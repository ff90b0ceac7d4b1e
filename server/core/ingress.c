/* ingress.c - see ingress.h. */
#include "server/core/ingress.h"

#include <string.h>

#include "protocol/qemu.h"

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Field by field: a struct returned or assigned whole is made on the stack first, and the wide copy
 * from there waits for the narrow stores. */
static void view(
	struct frame *out, const uint8_t *at, uint32_t len, enum framing framing, uint8_t hdr)
{
	memset(out, 0, sizeof(*out));
	out->head = at + hdr;
	out->head_len = len;
	out->len = len;
	out->framing = (uint8_t)framing;
	out->wire_hdr = hdr;
}

unsigned ingress_native(
	const uint8_t *buf, size_t len, struct frame *frames, unsigned max, size_t *out_used)
{
	const uint8_t *p = buf;
	const uint8_t *const end = buf + len;
	unsigned n = 0;

	for (; n < max; n++) {
		const size_t left = (size_t)(end - p);
		uint32_t body;
		uint8_t hdr;
		if (left >= 2 && p[0] == 0xc4) {
			hdr = 2;
			body = p[1];
		} else if (left >= 3 && p[0] == 0xc5) {
			hdr = 3;
			body = (uint32_t)p[1] << 8 | p[2];
		} else if (left >= 5 && p[0] == 0xc6) {
			hdr = 5;
			body = be32(p + 1);
			if (body > FETH_FRAME_MAX)
				break;
		} else {
			break;
		}
		if (left - hdr < body)
			break;
		view(&frames[n], p, body, FRAMING_NATIVE, hdr);
		p += hdr + body;
	}
	*out_used = (size_t)(p - buf);
	return n;
}

unsigned ingress_qemu(
	const uint8_t *buf, size_t len, struct frame *frames, unsigned max, size_t *out_used)
{
	const uint8_t *p = buf;
	const uint8_t *const end = buf + len;
	unsigned n = 0;

	for (; n < max; n++) {
		const size_t left = (size_t)(end - p);
		if (left < QEMU_HDR_LEN)
			break;
		const uint32_t body = be32(p);
		if (body > QEMU_FRAME_MAX || left - QEMU_HDR_LEN < body)
			break;
		view(&frames[n], p, body, FRAMING_QEMU, QEMU_HDR_LEN);
		p += QEMU_HDR_LEN + body;
	}
	*out_used = (size_t)(p - buf);
	return n;
}
