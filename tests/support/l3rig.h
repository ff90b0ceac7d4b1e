/* l3rig.h - a host of IP packets behind l3glue.c, for tests: 10.0.0.1/24 and fd00::1/64 at
 * mac_n(HOST_MAC); and neighbours, of which n is 10.0.0.n and fd00::n at mac_n(n). What the glue
 * sends is told in words, read here by the RFCs and not by our own code. */
#ifndef TESTS_SUPPORT_L3RIG_H
#define TESTS_SUPPORT_L3RIG_H

#include <stdio.h>

#include "server/core/l3glue.h"
#include "tests/support/bytes.h"
#include "tests/support/packet.h"

#define L3RIG_WORDS 4096u

struct l3rig {
	struct l3glue *g;
	struct hostif_spec spec;
	uint64_t now;
	char words[L3RIG_WORDS]; /* of the last look */
};

static inline bool l3rig_begin(struct l3rig *r)
{
	static const struct netid_key key = { "only for tests!" };
	*r = (struct l3rig){ .now = 1000,
		.spec = { .mac = mac_n(HOST_MAC),
			.mtu = 1500,
			.up = true,
			.n_addrs = 2,
			.addrs = {
				{ 4, 24, { 10, 0, 0, 1 } }, { 6, 64, { 0xfd, 0, [15] = 1 } } } } };
	return !l3glue_new(&r->g, &key, &r->spec);
}

static inline const char *l3rig_mac(const uint8_t *mac, char out[20])
{
	if (!memcmp(mac, mac_n(BROADCAST).b, 6))
		return "all";
	if (mac[0] == 0x33)
		snprintf(out, 20, "group %x", mac[5]);
	else if (mac[0] == 0x01)
		snprintf(out, 20, "group4 %x", mac[5]);
	else
		snprintf(out, 20, "%u", mac[5]);
	return out;
}

/* "to: what". Addresses of IP by their last byte. */
static inline void l3rig_tell(const struct frame *f, char *out, size_t size)
{
	char to[20];
	const uint8_t *p = f->head + 14;
	const char *dst = l3rig_mac(f->head, to);
	const unsigned type = packet_get16(f->head + 12);
	if (type == 0x0806)
		snprintf(out, size, "%s: arp %s %u from %u; ", dst, p[7] == 1 ? "who has" : "reply",
			p[27], p[17]);
	else if (type == 0x86dd && p[6] == 58 && p[40] == 135)
		snprintf(out, size, "%s: ns %u from %u%s; ", dst, p[63], p[23],
			p[5] == 32 ? "" : " anon");
	else if (type == 0x86dd && p[6] == 58 && p[40] == 136)
		snprintf(out, size, "%s: na %u to %u %x; ", dst, p[63], p[39], p[44]);
	else
		snprintf(out, size, "%s: ip %c; ", dst, f->head[f->len - 1]);
}

/* All that the glue has to send now. */
static inline const char *l3rig_said(struct l3rig *r)
{
	struct frame frames[8];
	unsigned n;
	size_t at = 0;
	r->words[0] = '\0';
	while ((n = l3glue_pull(r->g, frames, 8)))
		for (unsigned i = 0; i < n && at + 40 < L3RIG_WORDS; at = strlen(r->words), i++)
			l3rig_tell(&frames[i], r->words + at, L3RIG_WORDS - at);
	return r->words;
}

/* A second, or so, later: what it says then. */
static inline const char *l3rig_after(struct l3rig *r, uint64_t ms)
{
	r->now += ms;
	l3glue_tick(r->g, r->now);
	return l3rig_said(r);
}

/* The host sends a UDP packet to n, whose last byte is @tag; what became of it and what is said. */
static inline const char *l3rig_out(struct l3rig *r, bool v6, unsigned n, char tag)
{
	uint8_t b[PACKET_HEADERS + 8];
	char now[64] = "";
	const struct packet p = {
		.v6 = v6, .dst = n, .src = 1, .payload = (uint8_t *)&tag, .len = 1
	};
	struct frame f = packet_make(&p, b, false);
	f.head += 14;
	f.len -= 14;
	f.head_len -= 14;
	if (l3glue_out(r->g, &f, 1))
		l3rig_tell(&f, now, sizeof(now));
	l3rig_said(r);
	memmove(r->words + strlen(now), r->words, strlen(r->words) + 1);
	memcpy(r->words, now, strlen(now));
	return r->words;
}

static inline enum l3_in l3rig_frame(struct l3rig *r, const uint8_t *b, uint32_t len)
{
	uint8_t *copy = exact_copy(b, len);
	struct frame f = { .head = copy, .head_len = len, .len = len };
	const enum l3_in in = l3glue_in(r->g, &f);
	free(copy);
	return in;
}

/* ARP from the station @from, who says he is @ip (0: 0.0.0.0), about @about. */
static inline void l3rig_arp(
	struct l3rig *r, unsigned op, unsigned to, unsigned from, unsigned ip, unsigned about)
{
	uint8_t b[60] = { [12] = 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, (uint8_t)op };
	memcpy(b, mac_n(to).b, 6);
	memcpy(b + 6, mac_n(from).b, 6);
	memcpy(b + 22, mac_n(from).b, 6);
	b[28] = ip ? 10 : 0;
	b[31] = (uint8_t)ip;
	b[38] = 10;
	b[41] = (uint8_t)about;
	(void)l3rig_frame(r, b, sizeof(b));
}

struct l3rig_nd {
	uint8_t type, flags; /* 135, 136 */
	unsigned from;       /* the station, and 0: it says :: */
	unsigned mac;        /* its hardware address, where not from */
	unsigned to;         /* 1: us; 0: the group of the target (NS), or all nodes (NA) */
	unsigned target;
	unsigned option; /* whose address it has; 0: none */
};

/* Writes it to @b, which has 86 bytes; how long it is. */
static inline uint32_t l3rig_nd_make(uint8_t *b, const struct l3rig_nd *nd)
{
	const uint32_t n = 24 + (nd->option ? 8 : 0);
	uint8_t *ip = b + 14, *icmp = ip + 40;
	memset(b, 0, 86);
	memcpy(b + 6, mac_n(nd->mac ? nd->mac : nd->from).b, 6);
	b[12] = 0x86;
	b[13] = 0xdd;
	ip[0] = 0x60;
	ip[5] = (uint8_t)n;
	ip[6] = 58;
	ip[7] = 255;
	if (nd->from) {
		ip[8] = 0xfd;
		ip[23] = (uint8_t)nd->from;
	}
	if (nd->to) {
		memcpy(b, mac_n(HOST_MAC).b, 6);
		ip[24] = 0xfd;
		ip[39] = (uint8_t)nd->to;
	} else {
		const bool ns = nd->type == 135;
		const uint8_t mac[6] = { 0x33, 0x33, ns ? 0xff : 0, 0, 0,
			(uint8_t)(ns ? nd->target : 1) };
		memcpy(b, mac, 6);
		ip[24] = 0xff;
		ip[25] = 2;
		ip[35] = ns;
		ip[36] = ns ? 0xff : 0;
		ip[39] = mac[5];
	}
	icmp[0] = nd->type;
	icmp[4] = nd->flags;
	icmp[8] = 0xfd;
	icmp[23] = (uint8_t)nd->target;
	if (nd->option) {
		icmp[24] = nd->type == 135 ? 1 : 2;
		icmp[25] = 1;
		memcpy(icmp + 26, mac_n(nd->option).b, 6);
	}
	packet_put16(icmp + 2, (uint16_t)~packet_sum(icmp, n, packet_pseudo(ip, true, 58, n)));
	return 54 + n;
}

static inline void l3rig_say(struct l3rig *r, struct l3rig_nd nd)
{
	uint8_t b[86];
	(void)l3rig_frame(r, b, l3rig_nd_make(b, &nd));
}

#endif
