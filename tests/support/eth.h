/* eth.h - Ethernet frames of tests. Addresses are one number: 02:00:00:00:00:n. */
#ifndef TESTS_SUPPORT_ETH_H
#define TESTS_SUPPORT_ETH_H

#include "server/core/fdb.h"
#include "server/core/frame.h"

#define BROADCAST 0xffu
#define HOST_MAC 0xeeu

static inline struct feth_mac mac_n(unsigned n)
{
	if (n == BROADCAST)
		return (struct feth_mac){ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	return (struct feth_mac){ { 0x02, 0, 0, 0, 0, (uint8_t)n } };
}

static inline mac_key key_n(unsigned n)
{
	return mac_key_at(mac_n(n).b);
}

/* Writes a frame of @len bytes, 15 at least, whose last byte is @tag, to @buf. */
static inline struct frame eth_frame(
	uint8_t *buf, unsigned dst, unsigned src, uint16_t type, uint32_t len, char tag)
{
	memset(buf, 0, len);
	memcpy(buf, mac_n(dst).b, 6);
	memcpy(buf + 6, mac_n(src).b, 6);
	buf[12] = (uint8_t)(type >> 8);
	buf[13] = (uint8_t)type;
	buf[len - 1] = (uint8_t)tag;
	return (struct frame){ .head = buf, .head_len = len, .len = len };
}

static inline char eth_tag(const struct frame *frame)
{
	const struct seg *last = frame->more_n ? &frame->more[frame->more_n - 1] : NULL;
	return last ? ((const char *)last->base)[last->len - 1] : (char)frame->head[frame->len - 1];
}

#endif
