/* flowpackets.h - TCP and UDP packets of tests, and super-frames cut the slow and obvious way. */
#ifndef TESTS_SUPPORT_FLOWPACKETS_H
#define TESTS_SUPPORT_FLOWPACKETS_H

#include "server/core/frame.h"

#define SEGMENT_HEADERS 138u /* Ethernet, two tags, IPv6, TCP with options */
#define SUPER_MAX (SEGMENT_HEADERS + 65535u)

struct segment_conf {
	unsigned dst, src; /* addresses as of eth.h */
	uint16_t vlan;     /* 0: no tag */
	bool v6, udp;
	uint8_t tos, ttl;
	bool df;
	uint16_t id;
	uint32_t label; /* of IPv6, 20 bits */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;   /* of TCP */
	uint8_t options; /* bytes of them, a multiple of four; a timestamp comes first */
	uint32_t stamp;
	const uint8_t *payload; /* NULL: zeroes */
	uint32_t size;
};

#define FLAG_FIN 0x01u
#define FLAG_SYN 0x02u
#define FLAG_RST 0x04u
#define FLAG_PSH 0x08u
#define FLAG_ACK 0x10u
#define FLAG_URG 0x20u
#define FLAG_ECE 0x40u
#define FLAG_CWR 0x80u

/* Writes a packet with right checksums; returns its length. @out: SEGMENT_HEADERS and the payload.
 */
uint32_t segment_write(uint8_t *out, const struct segment_conf *conf);

/* Makes the checksums right of what segment_write() wrote and somebody changed. */
void segment_sums(uint8_t *b, uint32_t len);

/* The Internet checksum, complemented, of @n bytes and a sum so far; two bytes at a time. */
uint16_t segment_sum(uint32_t sum, const uint8_t *b, uint32_t n);

/* Where IP and the layer above begin. */
uint32_t segment_l3(const uint8_t *b);
uint32_t segment_l4(const uint8_t *b);

/* All bytes of a frame, one behind the other; free() it. */
uint8_t *frame_flat(const struct frame *frame);

/* The segments of a super-frame one after the other: the @k'th, from 0, or 0 where there is none.
 * @flat: its bytes; @owed: what is said of it. Returns the length. */
uint32_t super_segment(
	const uint8_t *flat, uint32_t len, const struct offload *owed, unsigned k, uint8_t *out);

/* Whether the checksum field has the sum of the pseudo-header, as is due where one is owed. */
bool super_has_pseudo(const uint8_t *flat, uint32_t len);

/* Whether two packets of IPv4 that may not be fragmented are the same but for the identification,
 * which nobody may look at; then the header's checksum, right in both, differs too. */
bool segment_same(const uint8_t *a, const uint8_t *b, uint32_t len);

#endif
