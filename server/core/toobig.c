/* toobig.c - see toobig.h. */
#include "server/core/toobig.h"

#include <string.h>

#include "server/core/be.h"
#include "server/core/csum.h"
#include "server/core/ipaddr.h"

#define IP4_MTU_MIN 68u    /* RFC 791, 3.2: every host takes so much */
#define IP4_ERROR_MAX 576u /* RFC 1812, 4.3.2.3 */

#define PROTO_HOPOPTS 0u
#define PROTO_ICMP 1u
#define PROTO_ROUTING 43u
#define PROTO_FRAGMENT 44u
#define PROTO_AH 51u
#define PROTO_ICMPV6 58u
#define PROTO_DSTOPTS 60u

/* Of the invoking packet everything that is looked at, and everything that is said again. */
#define SEEN (IP6_MTU_MIN - 48u)

#define TTL 64u
#define TOS_CONTROL 0xc0u /* RFC 1812, 4.3.2.5: precedence 6 */
#define DONT_FRAGMENT 0x4000u

struct packet {
	uint8_t b[SEEN];
	uint32_t len;    /* bytes at b */
	uint32_t room;   /* bytes of the frame behind its header, which may be more */
	bool unfinished; /* to be cut: the checksum of IP is made for each segment (gso.h) */
};

#define EACH_MS (1000u / TOOBIG_PER_SECOND)

bool toobig_may(const struct toobig *tb, uint64_t now_ms)
{
	return tb->full_ms <= now_ms || tb->full_ms - now_ms <= (TOOBIG_BURST - 1) * EACH_MS;
}

void toobig_take(struct toobig *tb, uint64_t now_ms)
{
	tb->full_ms = (tb->full_ms > now_ms ? tb->full_ms : now_ms) + EACH_MS;
	tb->answered++;
}

/* -- addresses -- */

/* Nor one of all hosts of a subnet. */
static bool is_host4(const uint8_t *a, const struct cidr *addrs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (addrs[i].family == 4 && ip4_is_broadcast_of(a, addrs[i].addr, addrs[i].prefix))
			return false;
	return ip4_is_host(a);
}

static const struct cidr *answerer(
	const struct cidr *addrs, unsigned n, uint8_t family, const uint8_t *sender)
{
	const struct cidr *first = NULL;
	for (unsigned i = 0; i < n; i++) {
		if (addrs[i].family != family)
			continue;
		if (ip_same_prefix(addrs[i].addr, sender, addrs[i].prefix))
			return &addrs[i];
		if (!first)
			first = &addrs[i];
	}
	return first;
}

/* -- what may be answered -- */

/* ICMP that asks or answers, and is no error: RFC 792, 950, 1256, 8335. Others may be errors. */
static bool is_icmp_query(uint8_t type)
{
	return type == 0 || (type >= 8 && type <= 10) || (type >= 13 && type <= 18) || type == 42 ||
	       type == 43;
}

static bool may_answer4(const struct packet *p, uint32_t mtu, const struct cidr *addrs, unsigned n)
{
	const uint8_t *ip = p->b;
	if (p->len < 20 || ip[0] >> 4 != 4)
		return false;
	const uint32_t header = (ip[0] & 15) * 4u, total = get16(ip + 2);
	if (header < 20 || header > p->len || total < header || total > p->room || total <= mtu)
		return false;
	if (!p->unfinished && csum_fold(csum_add(0, ip, header)) != 0xffff)
		return false;
	/* it may be fragmented, which we do not; or it is a fragment, and not the first */
	if (!(get16(ip + 6) & DONT_FRAGMENT) || (get16(ip + 6) & 0x1fff))
		return false;
	if (!is_host4(ip + 12, addrs, n) || !is_host4(ip + 16, addrs, n))
		return false;
	return ip[9] != PROTO_ICMP || (p->len > header && is_icmp_query(ip[header]));
}

/* Whether what follows the headers is no error of ICMPv6, nor a redirect (RFC 4443, 2.4 e). */
static bool no_error6(const struct packet *p)
{
	uint8_t next = p->b[6];
	for (uint32_t at = 40; at + 8 <= p->len;) {
		const uint8_t *h = p->b + at;
		switch (next) {
		case PROTO_HOPOPTS:
		case PROTO_ROUTING:
		case PROTO_DSTOPTS:
			at += (h[1] + 1u) * 8;
			break;
		case PROTO_AH: /* RFC 4302, 2.2 */
			at += (h[1] + 2u) * 4;
			break;
		case PROTO_FRAGMENT:
			if (get16(h + 2) & 0xfff8)
				return false; /* not the first: what it is of is not told */
			at += 8;
			break;
		case PROTO_ICMPV6:
			return h[0] >= 128 && h[0] != 137;
		default:
			return true;
		}
		next = h[0];
	}
	return false; /* headers without an end */
}

static bool may_answer6(const struct packet *p, uint32_t mtu)
{
	const uint8_t *ip = p->b;
	/* RFC 8201, 4: less is not believed */
	if (mtu < IP6_MTU_MIN || p->len < 40 || ip[0] >> 4 != 6)
		return false;
	const uint32_t total = 40u + get16(ip + 4);
	return total <= p->room && total > mtu && ip6_is_host(ip + 8) && ip6_is_host(ip + 24) &&
	       no_error6(p);
}

/* -- answers -- */

/* RFC 792: type 3, code 4; the next hop's MTU as in RFC 1191, 4. @ip: where the answer goes. */
static uint32_t put_answer4(
	uint8_t *ip, const struct packet *p, uint32_t mtu, uint32_t room, const struct cidr *from)
{
	const uint32_t most = room < IP4_ERROR_MAX ? room : IP4_ERROR_MAX;
	const uint32_t total = get16(p->b + 2);
	const uint32_t said = total < most - 28 ? total : most - 28;
	uint8_t *icmp = ip + 20;

	memset(ip, 0, 28);
	ip[0] = 0x45;
	ip[1] = TOS_CONTROL;
	put16(ip + 2, 28 + said);
	put16(ip + 6, DONT_FRAGMENT);
	ip[8] = TTL;
	ip[9] = PROTO_ICMP;
	memcpy(ip + 12, from->addr, 4);
	memcpy(ip + 16, p->b + 12, 4);
	csum_put(ip + 10, csum_add(0, ip, 20));
	icmp[0] = 3;
	icmp[1] = 4;
	put16(icmp + 6, mtu);
	memcpy(icmp + 8, p->b, said);
	csum_put(icmp + 2, csum_add(0, icmp, 8 + said));
	return 28 + said;
}

/* RFC 4443, 3.2: type 2, code 0. */
static uint32_t put_answer6(
	uint8_t *ip, const struct packet *p, uint32_t mtu, const struct cidr *from)
{
	const uint32_t total = 40u + get16(p->b + 4);
	const uint32_t said = total < IP6_MTU_MIN - 48 ? total : IP6_MTU_MIN - 48;
	uint8_t *icmp = ip + 40;

	memset(ip, 0, 48);
	ip[0] = 0x60;
	put16(ip + 4, 8 + said);
	ip[6] = PROTO_ICMPV6;
	ip[7] = TTL;
	memcpy(ip + 8, from->addr, 16);
	memcpy(ip + 24, p->b + 8, 16);
	icmp[0] = 2;
	put16(icmp + 4, mtu >> 16);
	put16(icmp + 6, mtu);
	memcpy(icmp + 8, p->b, said);
	csum_put(icmp + 2, csum_add(csum_pseudo(ip, true, PROTO_ICMPV6, 8 + said), icmp, 8 + said));
	return 48 + said;
}

/* Copies what lies behind the first @skip bytes, as much as is looked at. */
static void take_packet(const struct frame *frame, uint32_t skip, struct packet *out)
{
	struct seg piece = { frame->head, frame->head_len };
	size_t off = skip;
	out->len = 0;
	out->room = frame->len - skip;
	out->unfinished = frame->offload.gso_type;
	for (unsigned i = 0;; i++) {
		size_t n = off < piece.len ? piece.len - off : 0;
		if (n > SEEN - out->len)
			n = SEEN - out->len;
		if (n)
			memcpy(out->b + out->len, (const uint8_t *)piece.base + off, n);
		out->len += (uint32_t)n;
		off -= piece.len < off ? piece.len : off;
		if (i == frame->more_n || out->len == SEEN)
			return;
		piece = frame->more[i];
	}
}

uint32_t toobig_answer(const struct frame *frame, uint32_t mtu, uint32_t room, struct feth_mac mac,
	const struct cidr *addrs, unsigned n, uint8_t out[TOOBIG_FRAME_MAX])
{
	const uint8_t *eth = frame->head;
	uint32_t header = 14;
	struct packet p;
	if ((eth[0] & 1) || (eth[6] & 1) || mtu < IP4_MTU_MIN || room < IP4_MTU_MIN)
		return 0;
	take_packet(frame, 12, &p);
	if (p.len >= 6 && get16(p.b) == ETH_P_CTAG)
		header = 18;
	memcpy(out, eth + 6, 6);
	memcpy(out + 6, mac.b, 6);
	memcpy(out + 12, p.b, header - 12);
	const uint16_t type = get16(out + header - 2);

	take_packet(frame, header, &p);
	if (type == 0x0800 && may_answer4(&p, mtu, addrs, n)) {
		const struct cidr *from = answerer(addrs, n, 4, p.b + 12);
		return from ? header + put_answer4(out + header, &p, mtu, room, from) : 0;
	}
	if (type == 0x86dd && room >= IP6_MTU_MIN && may_answer6(&p, mtu)) {
		const struct cidr *from = answerer(addrs, n, 6, p.b + 8);
		return from ? header + put_answer6(out + header, &p, mtu, from) : 0;
	}
	return 0;
}
