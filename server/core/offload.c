/* offload.c - see offload.h. */
#include "server/core/offload.h"

#include "server/core/arpnd.h"
#include "server/core/be.h"
#include "server/core/csum.h"

#define ETH_P_IPV4 0x0800u
#define ETH_P_IPV6 0x86ddu
#define IPPROTO_HOPOPTS 0u /* IANA's numbers; <netinet/in.h> is not for the core */
#define IPPROTO_TCP 6u
#define IPPROTO_UDP 17u
#define IPPROTO_ROUTING 43u
#define IPPROTO_DSTOPTS 60u

#define TCP_CSUM 16u /* where the checksum is, from the start of the header */
#define UDP_CSUM 6u
#define UDP_HEADER 8u

/* RFC 791, 3.1. The protocol, or -1. */
static int parse_ipv4(const uint8_t *b, uint32_t have, uint32_t len, uint32_t l3, uint32_t *l4)
{
	if (have < l3 + 20 || b[l3] >> 4 != 4 || (b[l3] & 15) < 5)
		return -1;
	if (get16(b + l3 + 2) != len - l3 || get16(b + l3 + 6) & 0x3fff) /* MF, offset */
		return -1;
	*l4 = l3 + (b[l3] & 15) * 4u;
	return b[l3 + 9];
}

/* RFC 8200, 3 and 4: only those extension headers that come whole with every segment. */
static int parse_ipv6(const uint8_t *b, uint32_t have, uint32_t len, uint32_t l3, uint32_t *l4)
{
	if (have < l3 + 40 || b[l3] >> 4 != 6 || get16(b + l3 + 4) != len - l3 - 40)
		return -1;
	uint8_t next = b[l3 + 6];
	uint32_t at = l3 + 40;
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
		if (have < at + 8)
			return -1;
		next = b[at];
		at += (b[at + 1] + 1u) * 8;
	}
	*l4 = at;
	return next;
}

bool offload_parse(const uint8_t *b, uint32_t have, uint32_t len, struct offload_parts *out)
{
	uint32_t l3 = 14, l4 = 0, payload;
	if (have > len)
		have = len;
	if (have < l3)
		return false;
	uint32_t type = get16(b + 12);
	for (unsigned tags = 0; tags < 2 && (type == ETH_P_CTAG || type == ETH_P_STAG); tags++) {
		if (have < l3 + 4)
			return false;
		type = get16(b + l3 + 2);
		l3 += 4;
	}
	int protocol = -1;
	if (type == ETH_P_IPV4)
		protocol = parse_ipv4(b, have, len, l3, &l4);
	else if (type == ETH_P_IPV6)
		protocol = parse_ipv6(b, have, len, l3, &l4);
	if (protocol == IPPROTO_TCP) {
		if (have < l4 + 20 || b[l4 + 12] >> 4 < 5)
			return false;
		payload = l4 + (b[l4 + 12] >> 4) * 4u;
	} else if (protocol == IPPROTO_UDP) {
		if (have < l4 + UDP_HEADER || get16(b + l4 + 4) != len - l4)
			return false;
		payload = l4 + UDP_HEADER;
	} else {
		return false;
	}
	if (have < payload)
		return false;
	out->l3 = (uint16_t)l3;
	out->l4 = (uint16_t)l4;
	out->payload = (uint16_t)payload;
	out->protocol = (uint8_t)protocol;
	out->v6 = type == ETH_P_IPV6;
	return true;
}

/* The gso_type that these headers stand for, without ECN, which is the sender's to say. */
static uint8_t type_of(const struct offload_parts *p)
{
	if (p->protocol == IPPROTO_UDP)
		return VNET_GSO_UDP_L4;
	return p->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
}

static bool is_tagged(const struct frame *frame)
{
	return frame_type(frame) == ETH_P_CTAG || frame_type(frame) == ETH_P_STAG;
}

static bool is_super_frame(struct frame *frame, uint32_t mtu)
{
	struct offload *o = &frame->offload;
	struct offload_parts p;
	uint8_t buf[OFFLOAD_HEADERS];
	uint32_t have;
	const uint8_t *b = frame_whole(frame, buf, sizeof(buf), &have);
	if (have > OFFLOAD_HEADERS)
		have = OFFLOAD_HEADERS;
	if (frame->len > FETH_FRAME_MAX || !offload_parse(b, have, frame->len, &p))
		return false;
	const bool udp = p.protocol == IPPROTO_UDP;
	const uint8_t type = udp ? o->gso_type : o->gso_type & (uint8_t)~VNET_GSO_ECN;
	if (type != type_of(&p) || o->csum_start != p.l4 ||
		o->csum_offset != (udp ? UDP_CSUM : TCP_CSUM) || !o->gso_size)
		return false;

	const uint32_t payload = frame->len - p.payload;
	if (payload <= o->gso_size) { /* one segment: no longer than the frame, judged elsewhere */
		o->gso_type = 0;
		o->gso_size = 0;
		return true;
	}
	if (payload > (uint32_t)o->gso_size * OFFLOAD_SEGMENTS)
		return false;
	o->hdr_len = p.payload;
	if (udp && p.v6)
		o->gso_type |= VNET_GSO_V6;
	return frame_fits(frame, mtu);
}

/* Whether the switch reads on behind the headers that lead to this one (arpnd.c, snoop.c): IGMP,
 * ICMPv6 and PIM, and what may stand before them in IPv6: fragment, authentication, mobility, host
 * identity, shim6 (IANA, "Assigned Internet Protocol Numbers"). None of them has its checksum left
 * to others; Linux reckons them itself. */
static bool is_read_on(uint8_t next)
{
	switch (next) {
	case 2:
	case 44:
	case 51:
	case 58:
	case 103:
	case 135:
	case 139:
	case 140:
		return true;
	default:
		return false;
	}
}

/* Whether a checksum that begins here is behind all that the switch reads of a frame. It is written
 * when the frame has been judged: before that place it could make another frame of it, with a value
 * that the sender has chosen. */
static bool is_behind_judged(const struct frame *frame)
{
	const uint32_t start = frame->offload.csum_start;
	uint8_t buf[OFFLOAD_HEADERS], next;
	uint32_t have, l3 = 14, l4, type = frame_type(frame);
	const uint8_t *b = frame_whole(frame, buf, sizeof(buf), &have);
	if (have > OFFLOAD_HEADERS)
		have = OFFLOAD_HEADERS;
	for (unsigned tags = 0; type == ETH_P_CTAG || type == ETH_P_STAG; tags++, l3 += 4) {
		if (tags == 2 || have < l3 + 4)
			return false;
		type = get16(b + l3 + 2);
	}
	if (type == ETH_P_IPV4) {
		if (have < l3 + 20 || b[l3] >> 4 != 4 || (b[l3] & 15) < 5)
			return false;
		next = b[l3 + 9];
		l4 = l3 + (b[l3] & 15) * 4u;
	} else if (type == ETH_P_IPV6) {
		if (have < l3 + 40)
			return false;
		next = b[l3 + 6];
		l4 = l3 + 40;
		while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
			next == IPPROTO_DSTOPTS) {
			if (have < l4 + 8)
				return false;
			next = b[l4];
			l4 += (b[l4 + 1] + 1u) * 8;
		}
	} else { /* a length is followed by what may be a type again */
		return type > ETH_LENGTH_MAX && type != ETH_P_ARP && type != ETH_P_RARP &&
		       type != ETH_P_AARP && start >= l3;
	}
	return !is_read_on(next) && start >= l4;
}

bool offload_valid(struct frame *frame, uint32_t mtu)
{
	struct offload *o = &frame->offload;
	o->hdr_len = 0;
	if (!o->flags && !o->gso_type) {
		*o = (struct offload){ 0 };
		return true;
	}
	const uint32_t end = (uint32_t)o->csum_start + o->csum_offset + 2;
	/* virtio 1.2, 5.1.6.2.1: no super-frame without a checksum to be written */
	if (o->flags != VNET_NEEDS_CSUM || end > frame->len || end > OFFLOAD_HEADERS)
		return false;
	if (o->gso_type)
		return is_super_frame(frame, mtu);
	o->gso_size = 0;
	return is_behind_judged(frame);
}

void offload_guess(struct frame *frame, uint32_t mtu)
{
	struct offload *o = &frame->offload;
	struct offload_parts p;
	uint8_t buf[OFFLOAD_HEADERS];
	uint32_t have;
	const uint8_t *b = frame_whole(frame, buf, sizeof(buf), &have);
	if (!offload_parse(b, have < OFFLOAD_HEADERS ? have : OFFLOAD_HEADERS, frame->len, &p))
		return;
	const uint16_t at = p.protocol == IPPROTO_UDP ? UDP_CSUM : TCP_CSUM;
	const uint64_t pseudo = csum_pseudo(b + p.l3, p.v6, p.protocol, frame->len - p.l4);
	if (csum_get(b + p.l4 + at) != csum_fold(pseudo))
		return;
	*o = (struct offload){ .flags = VNET_NEEDS_CSUM, .csum_start = p.l4, .csum_offset = at };
	const uint32_t room = frame_room(mtu, is_tagged(frame));
	if (p.protocol == IPPROTO_TCP && frame->len > room && room > p.payload) {
		o->gso_type = type_of(&p);
		o->gso_size = (uint16_t)(room - p.payload);
	}
	if (offload_valid(frame, mtu)) {
		frame->framing =
			FRAMING_NONE; /* what stands before it is of frames that owe nothing */
		frame->wire_hdr = 0;
	} else {
		*o = (struct offload){ 0 };
	}
}

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void put_le16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void offload_from_vnet(struct frame *frame, const uint8_t *hdr)
{
	frame->offload = (struct offload){
		.flags = hdr[0] & VNET_NEEDS_CSUM,
		.gso_type = hdr[1],
		.gso_size = le16(hdr + 4),
		.csum_start = le16(hdr + 6),
		.csum_offset = le16(hdr + 8),
	};
}

void offload_to_vnet(uint8_t *hdr, const struct frame *frame)
{
	const struct offload *o = &frame->offload;
	memset(hdr, 0, VNET_HDR_LEN);
	if (!o->flags)
		return;
	hdr[0] = VNET_NEEDS_CSUM;
	hdr[1] = o->gso_type & (uint8_t)~VNET_GSO_V6;
	put_le16(hdr + 2, o->gso_type ? o->hdr_len : o->csum_start + o->csum_offset + 2u);
	put_le16(hdr + 4, o->gso_size);
	put_le16(hdr + 6, o->csum_start);
	put_le16(hdr + 8, o->csum_offset);
}
