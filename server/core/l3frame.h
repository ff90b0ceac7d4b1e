/* l3frame.h - frames of ARP and neighbour discovery, made and taken apart. Below l3glue.h, which
 * decides what is said; arpnd.h reads what others claim. Pure. */
#ifndef SERVER_CORE_L3FRAME_H
#define SERVER_CORE_L3FRAME_H

#include "server/core/neigh.h"

#define L3_HEADER 14u
#define IP4_LEN 20u
#define IP6_LEN 40u

/* RFC 826; IANA, "ARP Parameters" */
#define ARP_LEN 28u
#define ARP_FRAME 60u /* padded, as IEEE 802.3 has it */
#define ARP_REQUEST 1u
#define ARP_REPLY 2u

/* RFC 4861, 4 */
#define ND_RA 134u
#define ND_NS 135u
#define ND_NA 136u
#define ND_REDIRECT 137u
#define ND_FIXED 24u /* of NS and NA, before their options */
#define ND_SOURCE 1u /* options */
#define ND_TARGET 2u
#define ND_NONE 0u
/* Its absence ends what a router is used for (7.2.5), and whether this one is is not known here. */
#define NA_ROUTER 0x80u
#define NA_SOLICITED 0x40u
#define NA_OVERRIDE 0x20u
#define ND_HOP_LIMIT 255u
#define PROTO_ICMP6 58u

#define L3_FRAME_MAX (L3_HEADER + IP6_LEN + ND_FIXED + 8u)

struct l3_frame {
	uint8_t b[L3_FRAME_MAX];
	uint8_t len;
};

/* RFC 826, "Packet format". @from: NULL: 0.0.0.0; @target: NULL: not known, zeros. */
void l3frame_arp(struct l3_frame *out, unsigned op, struct feth_mac dst, struct feth_mac src,
	const struct ip *from, const struct feth_mac *target, const struct ip *to);

/* NS or NA (RFC 4861, 4.3 and 4.4). @from: NULL: ::; @option: which one says @src. */
void l3frame_nd(struct l3_frame *out, uint8_t type, uint8_t flags, struct feth_mac dst,
	struct feth_mac src, const struct ip *from, const struct ip *to, const struct ip *target,
	uint8_t option);

/* The Ethernet group of a multicast address: RFC 1112, 6.4; RFC 2464, 7. */
struct feth_mac l3frame_group4(const uint8_t ip[4]);
struct feth_mac l3frame_group6(const uint8_t ip[16]);

/* ff02::1:ff00:0/104 of an address (RFC 4291, 2.7.1). */
struct ip l3frame_solicited(const struct ip *target);

/* The address in the first option of that kind, *out NULL where there is none; false: the message
 * is to be discarded (RFC 4861, 4.6). */
bool l3frame_option(const uint8_t *p, uint32_t len, uint8_t kind, const uint8_t **out);

/* Where the ICMPv6 message of a packet begins, behind extension headers as well (RFC 8200, 4) and
 * also of a first fragment; 0: there is none; L3FRAME_CUT: that is behind the @len bytes,
 * of which there are IP6_LEN. */
#define L3FRAME_CUT UINT32_MAX
uint32_t l3frame_icmp6(const uint8_t *ip, uint32_t len);

#endif
