/* ingress.c - see ingress.h. */
#include "server/core/ingress.h"

#include <string.h>

#include "protocol/qemu.h"
#include "protocol/wire.h"
#include "server/core/be.h"
#include "server/core/offload.h"

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
			body = get16(p + 1);
		} else if (left >= 5 && p[0] == 0xc6) {
			hdr = 5;
			body = get32(p + 1);
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

/* The header of an ext object with a frame in it: its length, that of the body in *body; 0: it is
 * something else. */
static uint8_t owing_header(const uint8_t *p, size_t left, uint32_t *body)
{
	uint8_t hdr;
	if (left >= 3 && p[0] == 0xc7) {
		hdr = 3;
		*body = p[1];
	} else if (left >= 4 && p[0] == 0xc8) {
		hdr = 4;
		*body = get16(p + 1);
	} else if (left >= 6 && p[0] == 0xc9) {
		hdr = 6;
		*body = get32(p + 1);
	} else {
		return 0;
	}
	return p[hdr - 1] == WIRE_EXT_OFFLOAD ? hdr : 0;
}

unsigned ingress_owing(
	const uint8_t *buf, size_t len, struct frame *frames, unsigned max, size_t *out_used)
{
	size_t at = 0;
	unsigned n = 0;
	for (uint32_t segments = 0; n < max && segments < OFFLOAD_STEP;) {
		size_t used;
		uint32_t body;
		const unsigned plain =
			ingress_native(buf + at, len - at, frames + n, max - n, &used);
		n += plain;
		at += used;
		const uint8_t *p = buf + at;
		const uint8_t hdr = n < max ? owing_header(p, len - at, &body) : 0;
		if (!hdr || body < WIRE_OFFLOAD_LEN || body > WIRE_EXT_MAX || len - at - hdr < body)
			break;
		view(&frames[n], p + hdr + WIRE_OFFLOAD_LEN, body - WIRE_OFFLOAD_LEN, FRAMING_NONE,
			0);
		if (body - WIRE_OFFLOAD_LEN >= FETH_FRAME_MIN)
			offload_from_vnet(&frames[n], p + hdr);
		segments += offload_segments(&frames[n]);
		n++;
		at += hdr + body;
	}
	*out_used = at;
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
		const uint32_t body = get32(p);
		if (body > QEMU_FRAME_MAX || left - QEMU_HDR_LEN < body)
			break;
		view(&frames[n], p, body, FRAMING_QEMU, QEMU_HDR_LEN);
		p += QEMU_HDR_LEN + body;
	}
	*out_used = (size_t)(p - buf);
	return n;
}
