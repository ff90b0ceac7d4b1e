/* packet.h - TCP and UDP packets of tests, with checksums reckoned the plain way: word by word. */
#ifndef TESTS_SUPPORT_PACKET_H
#define TESTS_SUPPORT_PACKET_H

#include "server/core/offload.h"
#include "tests/support/eth.h"

/* Longest: addresses, two tags, IPv6, extension headers, TCP with options. */
#define PACKET_HEADERS 256u

/* What is wanted. All zero is a UDP packet over IPv4 without payload. */
struct packet {
	bool v6, tcp;
	unsigned dst, src;       /* mac_n() */
	unsigned tags;           /* up to 2 */
	unsigned ip_options;     /* 32-bit words, IPv4 */
	unsigned ext;            /* IPv6: so many destination options of 8 bytes */
	unsigned tcp_options;    /* 32-bit words */
	uint8_t tcp_flags;       /* ACK is 0x10 */
	uint8_t tos;             /* the ECN bits, say */
	uint16_t ip_id, ip_frag; /* IPv4 */
	uint32_t seq, ack;
	const uint8_t *payload;
	uint32_t len; /* of the payload */
};

static inline void packet_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void packet_put32(uint8_t *p, uint32_t v)
{
	packet_put16(p, v >> 16);
	packet_put16(p + 2, v & 0xffff);
}

static inline uint32_t packet_get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t packet_get32(const uint8_t *p)
{
	return packet_get16(p) << 16 | packet_get16(p + 2);
}

/* RFC 1071: the sum of 16-bit words, not complemented, on top of @sum. */
static inline uint16_t packet_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* The pseudo-header's sum (RFC 9293, 3.1; RFC 8200, 8.1) for @len bytes behind the IP header. */
static inline uint16_t packet_pseudo(const uint8_t *ip, bool v6, uint8_t protocol, uint32_t len)
{
	uint8_t rest[4];
	packet_put16(rest, protocol);
	packet_put16(rest + 2, len);
	return packet_sum(rest, 4, packet_sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, 0));
}

/* Writes the packet, checksum complete or (@partial) owed, to @b, which has room for PACKET_HEADERS
 * and the payload. */
static inline struct frame packet_make(const struct packet *p, uint8_t *b, bool partial)
{
	uint32_t at = 12;
	memcpy(b, mac_n(p->dst).b, 6);
	memcpy(b + 6, mac_n(p->src).b, 6);
	for (unsigned i = 0; i < p->tags; i++, at += 4) {
		packet_put16(b + at, i ? ETH_P_CTAG : p->tags == 2 ? ETH_P_STAG : ETH_P_CTAG);
		packet_put16(b + at + 2, 0x2000u + 5 + i);
	}
	packet_put16(b + at, p->v6 ? 0x86dd : 0x0800);
	at += 2;
	const uint8_t protocol = p->tcp ? 6 : 17;
	const uint32_t l4_len = (p->tcp ? 20 + 4 * p->tcp_options : 8) + p->len;
	uint8_t *ip = b + at;
	if (p->v6) {
		memset(ip, 0, 40);
		packet_put16(ip, 0x6000u | (uint32_t)p->tos << 4);
		packet_put16(ip + 4, 8 * p->ext + l4_len);
		ip[6] = p->ext ? 60 : protocol;
		ip[7] = 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = (uint8_t)p->src;
		ip[39] = (uint8_t)p->dst;
		at += 40;
		for (unsigned i = 0; i < p->ext; i++, at += 8) { /* PadN */
			memset(b + at, 0, 8);
			b[at] = i + 1 < p->ext ? 60 : protocol;
			b[at + 2] = 1;
			b[at + 3] = 4;
		}
	} else {
		const uint32_t hdr = 20 + 4 * p->ip_options;
		memset(ip, 0, 20);
		memset(ip + 20, 1, hdr - 20); /* no operation */
		ip[0] = (uint8_t)(0x40 | hdr / 4);
		ip[1] = p->tos;
		packet_put16(ip + 2, hdr + l4_len);
		packet_put16(ip + 4, p->ip_id);
		packet_put16(ip + 6, p->ip_frag);
		ip[8] = 64;
		ip[9] = protocol;
		ip[12] = ip[16] = 10;
		ip[15] = (uint8_t)p->src;
		ip[19] = (uint8_t)p->dst;
		packet_put16(ip + 10, (uint16_t)~packet_sum(ip, hdr, 0));
		at += hdr;
	}
	uint8_t *l4 = b + at;
	memset(l4, 0, p->tcp ? 20 : 8);
	packet_put16(l4, 1000 + p->src);
	packet_put16(l4 + 2, 2000 + p->dst);
	if (p->tcp) {
		packet_put32(l4 + 4, p->seq);
		packet_put32(l4 + 8, p->ack);
		l4[12] = (uint8_t)((5 + p->tcp_options) << 4);
		l4[13] = p->tcp_flags;
		packet_put16(l4 + 14, 8000);
		memset(l4 + 20, 1, 4 * p->tcp_options);
	} else {
		packet_put16(l4 + 4, l4_len);
	}
	if (p->len)
		memcpy(l4 + l4_len - p->len, p->payload, p->len);
	const uint32_t csum = p->tcp ? 16 : 6;
	packet_put16(l4 + csum, packet_pseudo(ip, p->v6, protocol, l4_len));
	struct frame frame = { .head = b, .head_len = at + l4_len, .len = at + l4_len };
	if (partial) {
		frame.offload.flags = VNET_NEEDS_CSUM;
		frame.offload.csum_start = (uint16_t)at;
		frame.offload.csum_offset = (uint16_t)csum;
	} else {
		const uint16_t sum = (uint16_t)~packet_sum(l4, l4_len, 0);
		packet_put16(l4 + csum, sum ? sum : 0xffff);
	}
	return frame;
}

/* The same, to be cut into segments of @gso_size bytes of payload. */
static inline struct frame packet_super(const struct packet *p, uint8_t *b, uint16_t gso_size)
{
	struct frame frame = packet_make(p, b, true);
	frame.offload.gso_type = p->tcp ? p->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4 : VNET_GSO_UDP_L4;
	frame.offload.gso_size = gso_size;
	return frame;
}

#endif
