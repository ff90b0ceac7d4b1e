/* claims.h - ARP and ND frames of tests, and what they claim. */
#ifndef TESTS_SUPPORT_CLAIMS_H
#define TESTS_SUPPORT_CLAIMS_H

#include "server/core/arpnd.h"
#include "tests/support/bytes.h"
#include "tests/support/eth.h"

#define CLAIMS_MAX 4000u

/* A frame that is put together front to back. */
struct claims {
	uint8_t b[CLAIMS_MAX];
	uint32_t len;
	uint32_t ip; /* where the IPv6 header begins */
};

static inline void claims_bytes(struct claims *c, const void *data, size_t len)
{
	memcpy(c->b + c->len, data, len);
	c->len += (uint32_t)len;
}

static inline void claims_byte(struct claims *c, unsigned v)
{
	c->b[c->len++] = (uint8_t)v;
}

static inline void claims_16(struct claims *c, unsigned v)
{
	claims_byte(c, v >> 8);
	claims_byte(c, v);
}

static inline void claims_zero(struct claims *c, uint32_t n)
{
	memset(c->b + c->len, 0, n);
	c->len += n;
}

/* The two addresses, to broadcast. */
static inline void claims_begin(struct claims *c, unsigned src)
{
	c->len = 0;
	claims_bytes(c, mac_n(BROADCAST).b, 6);
	claims_bytes(c, mac_n(src).b, 6);
}

static inline void claims_tag(struct claims *c, unsigned type)
{
	claims_16(c, type);
	claims_16(c, 7);
}

static inline void claims_snap(struct claims *c, unsigned type)
{
	claims_16(c, 300);
	claims_bytes(c, "\xaa\xaa\x03\x00\x00", 5);
	claims_byte(c, 0);
	claims_16(c, type);
}

/* Behind the Ethernet type: ARP, or its kin. */
static inline void claims_arp_body(struct claims *c, unsigned operation, unsigned sender)
{
	claims_bytes(c, "\x00\x01\x08\x00\x06\x04", 6);
	claims_16(c, operation);
	claims_bytes(c, mac_n(sender).b, 6);
	claims_bytes(c, "\x0a\x00\x00\x01", 4);
	claims_bytes(c, mac_n(0x77).b, 6); /* the target's, which is nobody's claim */
	claims_bytes(c, "\x0a\x00\x00\x02", 4);
}

static inline void claims_arp(struct claims *c, unsigned src, unsigned sender)
{
	claims_begin(c, src);
	claims_16(c, ETH_P_ARP);
	claims_arp_body(c, 1, sender);
	claims_zero(c, 18);
}

/* Behind the Ethernet type: an IPv6 header whose length claims_end() fills in. */
static inline void claims_ip6(struct claims *c, unsigned next)
{
	c->ip = c->len;
	claims_bytes(c, "\x60\0\0\0\0\0", 6);
	claims_byte(c, next);
	claims_byte(c, 255);
	claims_zero(c, 32);
}

/* An extension header of @len bytes, that of a fragment included. */
static inline void claims_extension(struct claims *c, unsigned kind, unsigned next, uint32_t len)
{
	const uint32_t at = c->len;
	claims_zero(c, len);
	c->b[at] = (uint8_t)next;
	if (kind != 44)
		c->b[at + 1] = (uint8_t)(kind == 51 ? len / 4 - 2 : len / 8 - 1);
}

/* A message of ND, 133 to 137, without options. */
static inline void claims_nd_body(struct claims *c, unsigned type)
{
	static const uint8_t fixed[] = { 8, 16, 24, 24, 40 };
	claims_byte(c, type);
	claims_zero(c, fixed[type - 133] - 1u);
}

static inline void claims_option(struct claims *c, unsigned type, unsigned mac)
{
	claims_byte(c, type);
	claims_byte(c, 1);
	claims_bytes(c, mac_n(mac).b, 6);
}

static inline void claims_end(struct claims *c)
{
	const uint32_t n = c->len - c->ip - 40;
	c->b[c->ip + 4] = (uint8_t)(n >> 8);
	c->b[c->ip + 5] = (uint8_t)n;
}

/* A neighbour solicitation (135), or another, whose sender says to be @sender. */
static inline void claims_nd(struct claims *c, unsigned src, unsigned type, unsigned sender)
{
	claims_begin(c, src);
	claims_16(c, ETH_P_IP6);
	claims_ip6(c, 58);
	claims_nd_body(c, type);
	claims_option(c, type < 136 ? 1 : 2, sender);
	claims_end(c);
}

static inline struct frame claims_frame(const struct claims *c)
{
	return (struct frame){ .head = c->b, .head_len = c->len, .len = c->len };
}

#endif
