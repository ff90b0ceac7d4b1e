/* arpnd.h - the hardware addresses that a frame gives for its sender in ARP and in IPv6 neighbour
 * discovery, read only.
 *
 * Theory of operation. A switch that lets a port use its own addresses only looks at the source of
 * each frame; but hosts believe what ARP and ND say inside. So of these frames, and of no others,
 * the switch asks for the addresses claimed: the sender's of ARP (RFC 826) and RARP (RFC 903),
 * which AARP of AppleTalk has at the same place, and the source and target link-layer address
 * options of the five messages of ND (RFC 4861, 4.6.1), behind up to two VLAN tags, a SNAP header
 * (RFC 1042) and IPv6 extension headers.
 *
 * Receivers are more and less exact, so this reads what the least exact of them would: six bytes at
 * the place of the sender's address, whatever lengths the packet names; every option of either
 * kind, whatever the hop limit, checksum and padding are. What cannot be read to its end though a
 * receiver might is *doubtful*: an address or option of another length than Ethernet's, an option
 * of length 0, three tags, a message that lies in pieces and is longer than ARPND_SCRATCH, and ND
 * in fragments, which hosts must ignore (RFC 6980, 5). Of fragments the first tells: it must have
 * the whole header chain (RFC 7112, 5), else it is doubtful; the others are nothing without it.
 *
 * Pure. */
#ifndef SERVER_CORE_ARPND_H
#define SERVER_CORE_ARPND_H

#include "server/core/fdb.h"
#include "server/core/frame.h"

/* A frame in pieces is put together up to here; ND of an Ethernet of 1500 bytes is whole then. */
#define ARPND_SCRATCH 1522u

#define ETH_P_IP4 0x0800u
#define ETH_P_ARP 0x0806u
#define ETH_P_RARP 0x8035u
#define ETH_P_AARP 0x80f3u
#define ETH_P_IP6 0x86ddu
#define ETH_LENGTH_MAX 1500u /* up to here it is a length: an 802.2 header follows */

struct arpnd {
	bool doubtful;     /* there may be more than arpnd_next() gives; known at its end */
	bool of_another;   /* Redirect: the address is that of a better next hop */
	bool options;      /* ND: `at` is at an option; else at an address */
	const uint8_t *at; /* lives as long as the frame, or scratch */
	uint32_t left;     /* bytes there */
};

/* Whether frames of an Ethernet type may be, or carry, what is read here. */
static inline bool arpnd_type(uint16_t type)
{
	if (type == ETH_P_IP4 || type > ETH_P_STAG) /* what most are goes first */
		return false;
	return type == ETH_P_IP6 || type == ETH_P_ARP || type == ETH_P_CTAG || type == ETH_P_STAG ||
	       type == ETH_P_RARP || type == ETH_P_AARP || type <= ETH_LENGTH_MAX;
}

/* arpnd_inside() but for what most are of these types: TCP and UDP over IPv6. */
bool arpnd_worth(const struct frame *frame);

/* Whether a frame of at least 14 bytes, whose type arpnd_type() takes, is worth arpnd_read(). */
static inline bool arpnd_inside(const struct frame *frame)
{
	if (frame_type(frame) == ETH_P_IP6 && frame->head_len > 20 &&
		(frame->head[20] == 6 || frame->head[20] == 17))
		return false;
	return arpnd_worth(frame);
}

static inline bool arpnd_may(const struct frame *frame)
{
	return arpnd_type(frame_type(frame)) && arpnd_inside(frame);
}

/* Reads a frame of at least 14 bytes. @scratch: for one that lies in pieces. */
void arpnd_read(const struct frame *frame, uint8_t scratch[ARPND_SCRATCH], struct arpnd *out);

/* The next address that the frame claims; false at the end. */
bool arpnd_next(struct arpnd *a, mac_key *claim);

#endif
