/* wire.c - see wire.h. */
#include "protocol/wire.h"

#include <string.h>

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static enum wire_kind bad(struct wire_item *item, const char *reason)
{
	item->reason = reason;
	return WIRE_BAD;
}

static enum wire_kind more(struct wire_scan *scan, size_t need)
{
	scan->need = need;
	return WIRE_MORE;
}

/* A frame or ext whose header of `hdr` bytes announces `body` bytes. */
static enum wire_kind blob(struct wire_scan *scan, const uint8_t *buf, size_t len, uint8_t hdr,
	uint32_t body, enum wire_kind kind, struct wire_item *item)
{
	const size_t total = (size_t)hdr + body;
	if (len < total)
		return more(scan, total);

	item->data = buf + hdr;
	item->len = body;
	item->total = (uint32_t)total;
	item->hdr_len = hdr;
	item->ext = kind == WIRE_EXT ? (int8_t)buf[hdr - 1] : 0;
	return kind;
}

/* Header sizes behind the type byte, for the fixed-size and length-prefixed values 0xc0..0xdf:
 * `fixed` bytes of value, or a length of `width` bytes that counts bytes (kind 'b', plus one for an
 * ext's type) or values (kind 'a', 'm'). 'x' is 0xc1, which msgpack never uses. */
static const struct shape {
	char kind;
	uint8_t width;
	uint8_t fixed;
} shapes[32] = {
	{ 'v', 0, 0 },  /* c0 nil */
	{ 'x', 0, 0 },  /* c1 */
	{ 'v', 0, 0 },  /* c2 false */
	{ 'v', 0, 0 },  /* c3 true */
	{ 'b', 1, 0 },  /* c4 bin 8 */
	{ 'b', 2, 0 },  /* c5 bin 16 */
	{ 'b', 4, 0 },  /* c6 bin 32 */
	{ 'b', 1, 1 },  /* c7 ext 8 */
	{ 'b', 2, 1 },  /* c8 ext 16 */
	{ 'b', 4, 1 },  /* c9 ext 32 */
	{ 'v', 0, 4 },  /* ca float 32 */
	{ 'v', 0, 8 },  /* cb float 64 */
	{ 'v', 0, 1 },  /* cc uint 8 */
	{ 'v', 0, 2 },  /* cd uint 16 */
	{ 'v', 0, 4 },  /* ce uint 32 */
	{ 'v', 0, 8 },  /* cf uint 64 */
	{ 'v', 0, 1 },  /* d0 int 8 */
	{ 'v', 0, 2 },  /* d1 int 16 */
	{ 'v', 0, 4 },  /* d2 int 32 */
	{ 'v', 0, 8 },  /* d3 int 64 */
	{ 'v', 0, 2 },  /* d4 fixext 1 */
	{ 'v', 0, 3 },  /* d5 fixext 2 */
	{ 'v', 0, 5 },  /* d6 fixext 4 */
	{ 'v', 0, 9 },  /* d7 fixext 8 */
	{ 'v', 0, 17 }, /* d8 fixext 16 */
	{ 'b', 1, 0 },  /* d9 str 8 */
	{ 'b', 2, 0 },  /* da str 16 */
	{ 'b', 4, 0 },  /* db str 32 */
	{ 'a', 2, 0 },  /* dc array 16 */
	{ 'a', 4, 0 },  /* dd array 32 */
	{ 'm', 2, 0 },  /* de map 16 */
	{ 'm', 4, 0 },  /* df map 32 */
};

static uint32_t be(const uint8_t *p, uint8_t width)
{
	return width == 1 ? p[0] : width == 2 ? be16(p) : be32(p);
}

/* What one value is made of: *head bytes of header and body, then *children values if it is a
 * container. False: the header itself is cut, and *head says how much of it there must be. */
static bool value_shape(
	const uint8_t *p, size_t left, uint64_t *head, uint64_t *children, bool *never)
{
	const uint8_t t = p[0];
	*children = 0;
	*never = false;
	*head = 1;
	if (t <= 0x7f || t >= 0xe0)
		return true;
	if (t <= 0x9f) {
		*children = t <= 0x8f ? 2ull * (t & 0x0f) : t & 0x0fu;
		return true;
	}
	if (t <= 0xbf) {
		*head = 1ull + (t & 0x1f);
		return true;
	}

	const struct shape *s = &shapes[t - 0xc0];
	if (s->kind == 'x') {
		*never = true;
		return true;
	}
	if (left < 1u + s->width) {
		*head = 1u + s->width;
		return false;
	}
	const uint32_t n = s->width ? be(p + 1, s->width) : 0;
	*head = 1ull + s->width + s->fixed + (s->kind == 'b' ? n : 0);
	if (s->kind == 'a' || s->kind == 'm')
		*children = s->kind == 'm' ? 2ull * n : n;
	return true;
}

static bool is_container(uint8_t t)
{
	return (t >= 0x80 && t <= 0x9f) || (t >= 0xdc && t <= 0xdf);
}

/* Finds the end of the array that starts at buf[0]. Needs no recursion: `owed` counts, for each
 * open container, the values still promised. */
static enum wire_kind rpc_object(
	struct wire_scan *scan, const uint8_t *buf, size_t len, struct wire_item *item)
{
	do {
		if (scan->off >= len)
			return more(scan, scan->off + 1);

		uint64_t head, children;
		bool never;
		if (!value_shape(buf + scan->off, len - scan->off, &head, &children, &never))
			return more(scan, scan->off + (size_t)head);
		if (never)
			return bad(item, "byte c1 is no msgpack type");
		if (head > FETH_RPC_MAX - scan->off)
			return bad(item, "RPC object over 65536 bytes");

		/* each promised value is at least one byte */
		const uint64_t owed = scan->owed_total - (scan->depth ? 1 : 0);
		if (owed + children > FETH_RPC_MAX - scan->off - head)
			return bad(item, "container promises more values than may follow");
		if (is_container(buf[scan->off]) && scan->depth == WIRE_DEPTH_MAX)
			return bad(item, "RPC object nested over 16 deep");
		if (len - scan->off < head) /* a cut body; its header is read again then */
			return more(scan, scan->off + (size_t)head);

		if (scan->depth)
			scan->owed[scan->depth - 1]--;
		if (children)
			scan->owed[scan->depth++] = (uint32_t)children;
		scan->owed_total = owed + children;
		scan->off += (size_t)head;

		while (scan->depth && !scan->owed[scan->depth - 1])
			scan->depth--;
	} while (scan->depth);

	item->data = buf;
	item->len = (uint32_t)scan->off;
	item->total = (uint32_t)scan->off;
	item->hdr_len = 0;
	item->ext = 0;
	memset(scan, 0, sizeof(*scan));
	return WIRE_RPC;
}

enum wire_kind wire_next(
	struct wire_scan *scan, const uint8_t *buf, size_t len, struct wire_item *item)
{
	if (!len)
		return more(scan, 1);

	const uint8_t t = buf[0];
	if (t >= 0xc4 && t <= 0xc6) { /* bin: a frame */
		const uint8_t width = (uint8_t)(1u << (t - 0xc4));
		if (len < 1u + width)
			return more(scan, 1u + width);
		const uint32_t n = be(buf + 1, width);
		if (n > FETH_FRAME_MAX)
			return bad(item, "frame over 65553 bytes");
		return blob(scan, buf, len, (uint8_t)(1 + width), n, WIRE_FRAME, item);
	}
	if ((t >= 0x90 && t <= 0x9f) || t == 0xdc || t == 0xdd)
		return rpc_object(scan, buf, len, item);
	if (t >= 0xc7 && t <= 0xc9) {
		const uint8_t width = (uint8_t)(1u << (t - 0xc7));
		if (len < 2u + width)
			return more(scan, 2u + width);
		const uint32_t n = be(buf + 1, width);
		if (n > WIRE_EXT_MAX)
			return bad(item, "ext over 65565 bytes");
		return blob(scan, buf, len, (uint8_t)(2 + width), n, WIRE_EXT, item);
	}
	if (t >= 0xd4 && t <= 0xd8) {
		if (len < 2)
			return more(scan, 2);
		return blob(scan, buf, len, 2, 1u << (t - 0xd4), WIRE_EXT, item);
	}
	return bad(item, "neither frame nor RPC: an object must be bin, ext or array");
}

uint8_t wire_frame_header(uint8_t *out, uint32_t len)
{
	if (len <= 0xff) {
		out[0] = 0xc4;
		out[1] = (uint8_t)len;
		return 2;
	}
	if (len <= 0xffff) {
		out[0] = 0xc5;
		out[1] = (uint8_t)(len >> 8);
		out[2] = (uint8_t)len;
		return 3;
	}
	out[0] = 0xc6;
	out[1] = (uint8_t)(len >> 24);
	out[2] = (uint8_t)(len >> 16);
	out[3] = (uint8_t)(len >> 8);
	out[4] = (uint8_t)len;
	return 5;
}

uint8_t wire_ext_header(uint8_t *out, int8_t type, uint32_t len)
{
	uint8_t n = wire_frame_header(out, len);
	out[0] = (uint8_t)(out[0] + 3); /* bin 8/16/32 -> ext 8/16/32 */
	out[n] = (uint8_t)type;
	return (uint8_t)(n + 1);
}
