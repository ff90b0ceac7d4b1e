/* frame.h - a frame as the switch sees it: a borrowed view, never a copy.
 *
 * Frames come in batches from one read; the views point into the reader's buffer and live until
 * network_flush() returns. Whoever keeps a frame longer copies it into a block (block.h). */
#ifndef SERVER_CORE_FRAME_H
#define SERVER_CORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "feth/types.h"

/* A piece of memory. Laid out like POSIX's struct iovec, which io/ asserts. */
struct seg {
	const void *base;
	size_t len; /* bytes */
};

/* How a frame lies in a stream of bytes. */
enum framing {
	FRAMING_NONE,   /* not in a stream: datagrams, the host side */
	FRAMING_NATIVE, /* msgpack bin (protocol/wire.h) */
	FRAMING_QEMU,   /* 32-bit length (protocol/qemu.h) */
};

/* Work still owed on a frame; the fields of virtio_net_hdr (virtio 1.2, 5.1.6) in host order. All
 * zero: none. Offsets count from the start of the frame as it lies here, with a tag if it has one.
 * Validated once at ingress by offload_valid() (offload.h), which also sets hdr_len. */
struct offload {
	uint8_t flags;        /* VNET_NEEDS_CSUM or 0 */
	uint8_t gso_type;     /* VNET_GSO_*; not 0: a super-frame, to be cut into segments */
	uint16_t gso_size;    /* payload bytes per segment */
	uint16_t csum_start;  /* where summing begins */
	uint16_t csum_offset; /* behind csum_start: where the sum goes */
	uint16_t hdr_len;     /* of a super-frame: bytes before its payload, as we read them */
};

struct frame {
	const uint8_t *head; /* first segment: at least the 14 bytes of the Ethernet header of any
				frame that is not a runt, and whatever headers are to be read */
	uint32_t head_len;   /* bytes at head */
	uint32_t len;        /* bytes of the whole frame */
	const struct seg *more; /* further segments, NULL if head is all */
	uint16_t more_n;
	uint8_t framing;  /* enum framing: the framing that `wire_hdr` is of */
	uint8_t wire_hdr; /* bytes of that framing right before head; 0: none there. Only with
			     more_n == 0, so header and frame are one span */
	struct offload offload;
	uint16_t made; /* owned by network_offload.c: its finished form, once made; else 0 */
};

/* IEEE 802.1Q-2018, 9.5: the types of customer and service tags. */
#define ETH_P_CTAG 0x8100u
#define ETH_P_STAG 0x88a8u

static inline uint16_t frame_type(const struct frame *f)
{
	return (uint16_t)(f->head[12] << 8 | f->head[13]);
}

/* The first @max bytes of a frame in one piece, in @buf where they lie in several. Of a frame in
 * one piece all is there. *len: how many there are. */
static inline const uint8_t *frame_whole(
	const struct frame *f, uint8_t *buf, uint32_t max, uint32_t *len)
{
	*len = f->head_len;
	if (!f->more_n)
		return f->head;
	uint32_t n = f->head_len < max ? f->head_len : max;
	memcpy(buf, f->head, n);
	for (unsigned i = 0; i < f->more_n; i++) {
		const struct seg *seg = &f->more[i];
		const size_t part = seg->len < max - n ? seg->len : max - n;
		memcpy(buf + n, seg->base, part);
		n += (uint32_t)part;
	}
	*len = n;
	return buf;
}

/* Longest frame a network of this MTU carries: header, payload, and one 802.1Q or 802.1ad tag where
 * the frame has one. Linux's packet_snd() grants the four bytes to 802.1Q only, so a longer 802.1ad
 * frame for the host is refused there and counted. */
static inline uint32_t frame_room(uint32_t mtu, bool tagged)
{
	return mtu + 14 + (tagged ? 4 : 0);
}

/* Whether a frame of 14 bytes at least has that room; of a super-frame, whether its segments do. */
static inline bool frame_fits(const struct frame *f, uint32_t mtu)
{
	if (f->len <= frame_room(mtu, false))
		return true;
	const uint32_t len =
		f->offload.gso_type ? (uint32_t)f->offload.hdr_len + f->offload.gso_size : f->len;
	const bool tagged = frame_type(f) == ETH_P_CTAG || frame_type(f) == ETH_P_STAG;
	return len <= frame_room(mtu, tagged);
}

#endif
