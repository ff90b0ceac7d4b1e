/* offload.h - work owed on a frame: a checksum that is still to be written, and a packet that is
 * still to be cut into segments.
 *
 * A guest or a kernel that knows its frames stay on this machine leaves both to whoever sends them
 * out, and says so in a virtio_net_hdr (virtio 1.2, 5.1.6). Here a frame keeps that in
 * `frame.offload`. It is judged once, where it comes in; from then on everybody may rely on it.
 * Whoever does not take what a frame owes gets it finished (network_offload.c).
 *
 * The checksum field holds the sum of the pseudo-header meanwhile, length included, not
 * complemented.
 *
 * Pure. */
#ifndef SERVER_CORE_OFFLOAD_H
#define SERVER_CORE_OFFLOAD_H

#include "server/core/frame.h"

/* What a receiver takes unfinished, and what a frame needs it to take. */
enum {
	OFFLOAD_CSUM = 1,
	OFFLOAD_TSO4 = 2,
	OFFLOAD_TSO6 = 4,
	OFFLOAD_ECN = 8, /* super-frames of TCP with CWR set */
	OFFLOAD_USO4 = 16,
	OFFLOAD_USO6 = 32,
};

/* Super-frames of any kind. */
#define OFFLOAD_SUPER (OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_USO4 | OFFLOAD_USO6)

/* Values of virtio_net_hdr, which systems other than Linux have no header for. */
#define VNET_NEEDS_CSUM 1u /* flags; what is sent on has no other */
#define VNET_GSO_TCPV4 1u
#define VNET_GSO_TCPV6 4u
#define VNET_GSO_UDP_L4 5u
#define VNET_GSO_V6 0x40u  /* ours, on no wire: UDP_L4 is over IPv6 */
#define VNET_GSO_ECN 0x80u /* with TCP */

#define VNET_HDR_LEN 10u     /* without num_buffers */
#define VNET_HDR_NUM_LEN 12u /* with */

/* Into how many segments one super-frame may be cut. Linux 6.18 sends 124 over an MTU of 576, which
 * is the smallest in practice, 130 over the least it believes of a path (552), and 267 over 296.
 * Bounds what a hostile gso_size of 1 costs. */
#define OFFLOAD_SEGMENTS 512u
/* Once frames that are read make so many segments, those are switched before more are read: else 64
 * of 600 bytes would be 32768. A read of 256 KiB of ordinary ones makes 180. */
#define OFFLOAD_STEP 512u
/* Ethernet, two tags, IPv6 and TCP with all options are 122; the rest is for extension headers. */
#define OFFLOAD_HEADERS 256u

/* Where the headers of TCP or UDP in IP lie in a frame. */
struct offload_parts {
	uint16_t l3;      /* bytes before the IP header, tags included */
	uint16_t l4;      /* before that of TCP or UDP */
	uint16_t payload; /* before the payload */
	uint8_t protocol; /* 6 or 17 */
	bool v6;
};

/**
 * offload_parse() - read the headers of TCP or UDP
 * @b:		the first @have bytes of the frame; OFFLOAD_HEADERS are always enough
 * @len:	bytes of the whole frame
 *
 * Up to two tags, IPv4 with options, IPv6 with extension headers (hop-by-hop, routing and
 * destination options) are understood. Checksums are not looked at.
 *
 * Return: whether it is a whole packet, no fragment, whose lengths agree with that of the frame to
 * the byte: none is longer or shorter, or ends in padding
 */
bool offload_parse(const uint8_t *b, uint32_t have, uint32_t len, struct offload_parts *out);

/**
 * offload_valid() - judge what a frame is said to owe
 * @frame:	len and all bytes as they are; whatever in `offload`
 * @mtu:	of the port it came from
 *
 * Nothing is believed: the checksum lies inside the frame and its first OFFLOAD_HEADERS bytes,
 * behind all headers by which the switch decides, and not in what it reads itself (ARP and its kin,
 * IGMP, ICMPv6, PIM); where it lies behind them is the sender's to say, as in a tunnel; and of a
 * super-frame the headers agree with gso_type and csum_start, a segment with its headers is no
 * longer than the MTU allows, there are at most OFFLOAD_SEGMENTS, and the headers have at most
 * OFFLOAD_HEADERS bytes. Sets offload.hdr_len. A super-frame that is only one segment becomes a
 * plain frame that owes its checksum. To be called by the edge for each frame that has anything in
 * `offload`; of the others it is true.
 *
 * Return: false: drop it, DROP_BAD_OFFLOAD
 */
bool offload_valid(struct frame *frame, uint32_t mtu);

/**
 * offload_guess() - find out what a frame owes of which nothing says so
 * @frame:	that says nothing
 * @mtu:	of the port it came from
 *
 * libkrun takes the virtio_net_hdr off before it writes a frame (its docs and krunkit's:
 * offloading). A checksum field that holds the sum of the pseudo-header alone is one that is owed:
 * a whole one would have to be the same by chance, and then it comes out the same. TCP over the MTU
 * is cut into the longest segments that fit, since nobody says how long they may be.
 */
void offload_guess(struct frame *frame, uint32_t mtu);

/* OFFLOAD_*: what a receiver must take to get a valid frame as it is; 0: it owes nothing. */
static inline uint8_t offload_needs(const struct frame *frame)
{
	const uint8_t type = frame->offload.gso_type;
	uint8_t needs = frame->offload.flags ? OFFLOAD_CSUM : 0;
	if (!type)
		return needs;
	switch (type & 0x3fu) {
	case VNET_GSO_TCPV4:
		needs |= OFFLOAD_TSO4;
		break;
	case VNET_GSO_TCPV6:
		needs |= OFFLOAD_TSO6;
		break;
	default:
		needs |= type & VNET_GSO_V6 ? OFFLOAD_USO6 : OFFLOAD_USO4;
		break;
	}
	return type & VNET_GSO_ECN ? needs | OFFLOAD_ECN : needs;
}

/* Into how many a valid frame is to be cut; 1: it is no super-frame. Of one not judged yet as many
 * or more, whatever it says. */
static inline uint32_t offload_segments(const struct frame *frame)
{
	const struct offload *o = &frame->offload;
	return o->gso_type && o->gso_size
		       ? (frame->len - o->hdr_len + o->gso_size - 1) / o->gso_size
		       : 1;
}

/* Fills frame->offload from the first VNET_HDR_LEN bytes of a little-endian virtio_net_hdr, to be
 * judged by offload_valid(); hdr_len and num_buffers are not looked at. That a checksum was
 * verified already (VIRTIO_NET_HDR_F_DATA_VALID) is no work owed, and not kept. */
void offload_from_vnet(struct frame *frame, const uint8_t *hdr);

/* Writes the first VNET_HDR_LEN bytes of the header of a frame whose offload is valid; hdr_len says
 * how much of it is headers. Whoever has num_buffers behind it writes that itself. */
void offload_to_vnet(uint8_t *hdr, const struct frame *frame);

#endif
