/* stream.h - what an edge does around sendq and egress, without sockets: frames out of a buffer,
 * bytes into a sink. */
#ifndef TESTS_SUPPORT_STREAM_H
#define TESTS_SUPPORT_STREAM_H

#include "protocol/qemu.h"
#include "server/core/egress.h"
#include "tests/support/bytes.h"

/* The bytes of frame @id from its fifth on; the first four are the id. So a reader can tell which
 * frame it has, and that no byte of it is wrong. */
static inline const uint8_t *frame_pattern(uint32_t id)
{
	static uint8_t pattern[FETH_FRAME_MAX + 256];
	for (uint32_t i = 0; !pattern[1] && i < sizeof(pattern); i++)
		pattern[sizeof(pattern) - 1 - i] = (uint8_t)(1 + i % 251);
	return pattern + (id & 0xff);
}

/* Appends frame @id of @len bytes in @framing. @long_form: in msgpack's longest header. */
static inline void put_frame(
	struct bytes *b, enum framing framing, uint32_t id, uint32_t len, bool long_form)
{
	uint8_t hdr[WIRE_HDR_MAX];
	if (framing == FRAMING_NATIVE && long_form) {
		const uint8_t bin32[5] = { 0xc6, (uint8_t)(len >> 24), (uint8_t)(len >> 16),
			(uint8_t)(len >> 8), (uint8_t)len };
		bytes_add(b, bin32, 5);
	} else if (framing != FRAMING_NONE) {
		bytes_add(b, hdr, framing_header(framing, hdr, len));
	}
	bytes_add(b, &id, len < 4 ? len : 4);
	if (len > 4)
		bytes_add(b, frame_pattern(id), len - 4);
}

static inline bool frame_is(const uint8_t *data, size_t len, uint32_t id, uint32_t want_len)
{
	return len == want_len && !memcmp(data, &id, len < 4 ? len : 4) &&
	       (len <= 4 || !memcmp(data + 4, frame_pattern(id), len - 4));
}

/* The next object of a stream, whatever its framing. */
static inline enum wire_kind next_item(enum framing framing, struct wire_scan *scan,
	const uint8_t *buf, size_t len, struct wire_item *item)
{
	if (framing == FRAMING_QEMU)
		return qemu_next(buf, len, item, &scan->need);
	return wire_next(scan, buf, len, item);
}

/* Views of all frames in a stream, as an edge makes them; other objects are skipped. */
static inline unsigned views(
	const struct bytes *b, enum framing framing, struct frame *frames, unsigned max)
{
	unsigned n = 0;
	size_t at = 0;
	struct wire_scan scan = { 0 };
	struct wire_item item;
	for (; at < b->len && n < max; at += item.total) {
		const enum wire_kind kind =
			next_item(framing, &scan, b->data + at, b->len - at, &item);
		if (kind == WIRE_MORE || kind == WIRE_BAD)
			break;
		if (kind != WIRE_FRAME)
			continue;
		frames[n++] = (struct frame){ .head = item.data,
			.head_len = item.len,
			.len = item.len,
			.framing = (uint8_t)framing,
			.wire_hdr = item.hdr_len };
	}
	return n;
}

/* The first @max bytes of some entries, as writev would take them; returns how many there were. */
static inline size_t gather(struct bytes *sink, const struct seg *segs, unsigned n, size_t max)
{
	size_t taken = 0;
	for (unsigned i = 0; i < n && taken < max; i++) {
		const size_t part = segs[i].len < max - taken ? segs[i].len : max - taken;
		bytes_add(sink, segs[i].base, part);
		taken += part;
	}
	return taken;
}

static inline void no_fd(int fd)
{
	(void)fd;
	abort();
}

/* Writes once from the queue, up to @max bytes of up to @segs entries. */
static inline size_t drain_once(struct sendq *q, struct bytes *sink, size_t max, unsigned segs)
{
	struct seg iov[256];
	const int *fds;
	uint8_t n_fds;
	const unsigned n = sendq_fill(q, iov, segs, &fds, &n_fds);
	const size_t written = gather(sink, iov, n, max);
	sendq_consume(q, written, no_fd);
	return written;
}

static inline void drain(struct sendq *q, struct bytes *sink)
{
	while (!sendq_empty(q))
		drain_once(q, sink, SIZE_MAX, 256);
}

#endif
