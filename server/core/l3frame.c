/* l3frame.c - see l3frame.h. */
#include "server/core/l3frame.h"

#include "server/core/arpnd.h"
#include "server/core/be.h"
#include "server/core/csum.h"

/* All else is zero. */
static uint8_t *begin(
	struct l3_frame *out, struct feth_mac dst, struct feth_mac src, uint16_t type, uint32_t len)
{
	memset(out->b, 0, sizeof(out->b));
	memcpy(out->b, dst.b, 6);
	memcpy(out->b + 6, src.b, 6);
	put16(out->b + 12, type);
	out->len = (uint8_t)(L3_HEADER + len);
	return out->b + L3_HEADER;
}

void l3frame_arp(struct l3_frame *out, unsigned op, struct feth_mac dst, struct feth_mac src,
	const struct ip *from, const struct feth_mac *target, const struct ip *to)
{
	uint8_t *p = begin(out, dst, src, ETH_P_ARP, ARP_LEN);
	put16(p, 1);
	put16(p + 2, ETH_P_IP4);
	p[4] = 6;
	p[5] = 4;
	put16(p + 6, op);
	memcpy(p + 8, src.b, 6);
	if (from)
		memcpy(p + 14, from->b, 4);
	if (target)
		memcpy(p + 18, target->b, 6);
	memcpy(p + 24, to->b, 4);
	out->len = ARP_FRAME;
}

void l3frame_nd(struct l3_frame *out, uint8_t type, uint8_t flags, struct feth_mac dst,
	struct feth_mac src, const struct ip *from, const struct ip *to, const struct ip *target,
	uint8_t option)
{
	const uint32_t len = ND_FIXED + (option ? 8 : 0);
	uint8_t *ip = begin(out, dst, src, ETH_P_IP6, IP6_LEN + len), *icmp = ip + IP6_LEN;
	ip[0] = 0x60;
	put16(ip + 4, len);
	ip[6] = PROTO_ICMP6;
	ip[7] = ND_HOP_LIMIT;
	if (from)
		memcpy(ip + 8, from->b, 16);
	memcpy(ip + 24, to->b, 16);
	icmp[0] = type;
	icmp[4] = flags;
	memcpy(icmp + 8, target->b, 16);
	if (option) {
		icmp[ND_FIXED] = option;
		icmp[ND_FIXED + 1] = 1;
		memcpy(icmp + ND_FIXED + 2, src.b, 6);
	}
	csum_put(icmp + 2, csum_add(csum_pseudo(ip, true, PROTO_ICMP6, len), icmp, len));
}

struct feth_mac l3frame_group4(const uint8_t ip[4])
{
	return (struct feth_mac){ { 0x01, 0, 0x5e, ip[1] & 0x7f, ip[2], ip[3] } };
}

struct feth_mac l3frame_group6(const uint8_t ip[16])
{
	return (struct feth_mac){ { 0x33, 0x33, ip[12], ip[13], ip[14], ip[15] } };
}

struct ip l3frame_solicited(const struct ip *target)
{
	struct ip ip = { 6, { 0xff, 2, [11] = 1, [12] = 0xff } };
	memcpy(ip.b + 13, target->b + 13, 3);
	return ip;
}

bool l3frame_option(const uint8_t *p, uint32_t len, uint8_t kind, const uint8_t **out)
{
	*out = NULL;
	while (len) {
		const uint32_t n = len < 8 ? 0 : p[1] * 8u;
		if (!n || n > len)
			return false;
		if (p[0] == kind && n == 8 && !*out)
			*out = p + 2;
		p += n;
		len -= n;
	}
	return true;
}

uint32_t l3frame_icmp6(const uint8_t *ip, uint32_t len)
{
	uint32_t at = IP6_LEN;
	uint8_t next = ip[6];
	while (next != PROTO_ICMP6) {
		const bool fragment = next == 44;
		if (next != 0 && next != 43 && next != 60 && !fragment)
			return 0; /* not hop-by-hop, routing, destination */
		if (at + 8 > len)
			return L3FRAME_CUT;
		if (fragment && (ip[at + 2] || ip[at + 3] & 0xf8))
			return 0; /* a later one */
		next = ip[at];
		at += fragment ? 8 : (ip[at + 1] + 1u) * 8;
	}
	return at + 8 <= len ? at : L3FRAME_CUT;
}
