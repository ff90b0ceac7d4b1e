/* l3glue.c - see l3glue.h. */
#include "server/core/l3glue.h"

#include <errno.h>
#include <stdlib.h>

#include "server/core/announce.h"
#include "server/core/arpnd.h"
#include "server/core/be.h"
#include "server/core/csum.h"
#include "server/core/ipaddr.h"

/* What is looked at of a frame in pieces: NS and NA with more options than anybody sends. */
#define SEEN 256u

/* RFC 5227, 1.1: three probes, which come a second apart; and RFC 4862, 5.1: one. The last second
 * is for the answer. */
#define PROBES4 3u
#define PROBES6 1u
#define PROBE_MS 1000u
#define DEFEND_MS 10000u /* RFC 5227, 1.1: DEFEND_INTERVAL */

static const struct feth_mac broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static struct ip ip_at(uint8_t family, const uint8_t *p)
{
	struct ip ip = { .family = family };
	memcpy(ip.b, p, family == 4 ? 4 : 16);
	return ip;
}

static struct feth_mac mac_at(const uint8_t *p)
{
	struct feth_mac mac;
	memcpy(mac.b, p, 6);
	return mac;
}

static bool is_mine(const struct l3glue *g, const uint8_t *mac)
{
	return !memcmp(mac, g->mac.b, 6);
}

/* One that a neighbour may have. */
static bool is_station(const uint8_t *mac)
{
	static const uint8_t zero[6];
	return !(mac[0] & 1) && memcmp(mac, zero, 6) != 0;
}

/* -- addresses -- */

static bool is_zero(const struct ip *ip)
{
	static const uint8_t zero[16];
	return !memcmp(ip->b, zero, 16);
}

static bool is_multicast(const struct ip *ip)
{
	return ip->family == 4 ? ip->b[0] >> 4 == 14 : ip->b[0] == 0xff;
}

static struct l3_own *own_find(struct l3glue *g, const struct ip *ip)
{
	for (unsigned i = 0; i < g->n_own; i++)
		if (ip_equal(&g->own[i].ip, ip))
			return &g->own[i];
	return NULL;
}

/* Of all hosts, or of all of a subnet of ours. */
static bool is_broadcast(const struct l3glue *g, const struct ip *ip)
{
	static const uint8_t all[4] = { 0xff, 0xff, 0xff, 0xff };
	if (ip->family != 4)
		return false;
	for (unsigned i = 0; i < g->n_own; i++)
		if (g->own[i].ip.family == 4 &&
			ip4_is_broadcast_of(ip->b, g->own[i].ip.b, g->own[i].prefix))
			return true;
	return !memcmp(ip->b, all, sizeof(all));
}

/* Of one host. */
static bool is_unicast(const struct l3glue *g, const struct ip *ip)
{
	return ip->family == 4 ? ip4_is_host(ip->b) && !is_broadcast(g, ip) : ip6_is_host(ip->b);
}

static bool on_link(const struct l3glue *g, const struct ip *ip)
{
	for (unsigned i = 0; i < g->n_own; i++)
		if (g->own[i].ip.family == ip->family &&
			ip_same_prefix(g->own[i].ip.b, ip->b, g->own[i].prefix))
			return true;
	return false;
}

struct cidr l3_link_local(struct feth_mac mac)
{
	const uint8_t *m = mac.b;
	return (struct cidr){ 6, 64,
		{ 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4],
			m[5] } };
}

/* @was: those before, of which it may be one. */
static void own_add(
	struct l3glue *g, const struct cidr *cidr, const struct l3_own *was, unsigned n_was)
{
	const struct ip ip = ip_at(cidr->family, cidr->addr);
	if (own_find(g, &ip))
		return;
	struct l3_own *own = &g->own[g->n_own++];
	*own = (struct l3_own){
		.ip = ip, .checking = ip.family == 6, .asks = ip.family == 6 ? PROBES6 : PROBES4
	};
	for (unsigned i = 0; i < n_was; i++)
		if (ip_equal(&was[i].ip, &ip) && !was[i].duplicate)
			*own = was[i];
	own->prefix = cidr->prefix;
	g->checking = true;
}

void l3glue_set(struct l3glue *g, const struct hostif_spec *spec)
{
	struct l3_own was[HOSTIF_ADDRS_MAX + 1];
	const unsigned n_was = g->n_own;
	memcpy(was, g->own, sizeof(was));
	if (!mac_equal(g->mac, spec->mac))
		g->n_out = g->n_given; /* what it still would say is not so any more */
	g->mac = spec->mac;
	g->n_own = 0;
	for (unsigned i = 0; spec->up && i < spec->n_addrs; i++)
		own_add(g, &spec->addrs[i], was, n_was);
	const struct cidr local = l3_link_local(spec->mac);
	if (spec->up && spec->mtu >= IP6_MTU_MIN)
		own_add(g, &local, was, n_was);
}

int l3glue_new(struct l3glue **out, const struct netid_key *key, const struct hostif_spec *spec)
{
	struct l3glue *g = calloc(1, sizeof(*g));
	if (!g || neigh_init(&g->neighbours, key) < 0) {
		free(g);
		return -ENOMEM;
	}
	l3glue_set(g, spec);
	*out = g;
	return 0;
}

static void given_back(struct l3glue *g)
{
	while (g->given) {
		struct neigh_packet *p = g->given;
		g->given = p->next;
		free(p);
	}
	g->out_first = (g->out_first + g->n_given) % L3_OWN_FRAMES;
	g->n_out -= g->n_given;
	g->n_given = 0;
}

void l3glue_free(struct l3glue *g)
{
	if (!g)
		return;
	given_back(g);
	neigh_fini(&g->neighbours);
	free(g);
}

/* -- frames of its own -- */

/* Room for one; NULL: too many wait. */
static struct l3_frame *own_frame(struct l3glue *g)
{
	if (g->n_out == L3_OWN_FRAMES)
		return NULL;
	return &g->out[(g->out_first + g->n_out++) % L3_OWN_FRAMES];
}

static void send_arp(struct l3glue *g, unsigned op, struct feth_mac dst, const struct ip *from,
	const struct feth_mac *target, const struct ip *to)
{
	struct l3_frame *f = own_frame(g);
	if (f)
		l3frame_arp(f, op, dst, g->mac, from, target, to);
}

static void send_nd(struct l3glue *g, uint8_t type, uint8_t flags, struct feth_mac dst,
	const struct ip *from, const struct ip *to, const struct ip *target, uint8_t option)
{
	struct l3_frame *f = own_frame(g);
	if (f)
		l3frame_nd(f, type, flags, dst, g->mac, from, to, target, option);
}

/* Tells all whose it is: whoever thinks otherwise. */
static void defend(struct l3glue *g, const struct l3_own *own)
{
	struct cidr cidr = { own->ip.family, own->prefix, { 0 } };
	struct l3_frame *f = own_frame(g);
	if (!f)
		return;
	memcpy(cidr.addr, own->ip.b, sizeof(cidr.addr));
	f->len = (uint8_t)announce_address(g->mac, &cidr, f->b);
}

/* The address to ask from: of the neighbour's subnet, or any. NULL: none can be used (yet). */
static const struct ip *asker(const struct l3glue *g, const struct ip *neighbour)
{
	const struct ip *any = NULL;
	for (unsigned i = 0; i < g->n_own; i++) {
		const struct l3_own *own = &g->own[i];
		if (own->ip.family != neighbour->family || own->checking || own->duplicate)
			continue;
		if (ip_same_prefix(own->ip.b, neighbour->b, own->prefix))
			return &own->ip;
		any = &own->ip;
	}
	return any;
}

/* neigh_run(): who has this address? Or: have you still? */
static void ask(void *ctx, const struct neigh *n)
{
	struct l3glue *g = ctx;
	const bool all = n->state == NEIGH_INCOMPLETE && !n->hinted;
	const struct ip *from = asker(g, &n->ip);
	if (n->ip.family == 4) {
		send_arp(g, ARP_REQUEST, all ? broadcast : n->mac, from, NULL, &n->ip);
		return;
	}
	if (!from)
		return; /* the next time */
	const struct ip to = all ? l3frame_solicited(&n->ip) : n->ip;
	send_nd(g, ND_NS, 0, all ? l3frame_group6(to.b) : n->mac, from, &to, &n->ip, ND_SOURCE);
}

/* -- duplicate addresses -- */

/* Whether it is to be said now that somebody else has it. */
static bool conflict(struct l3glue *g, struct l3_own *own, const uint8_t *mac)
{
	if (own->told && g->now_ms - own->told_ms < DEFEND_MS)
		return false;
	own->told = true;
	own->told_ms = g->now_ms;
	g->has_conflict = true;
	g->conflict = (struct l3_conflict){ own->ip, mac_at(mac), own->duplicate };
	return true;
}

static void give_up(struct l3glue *g, struct l3_own *own, const uint8_t *mac)
{
	own->checking = false;
	own->asks = 0;
	own->duplicate = true;
	(void)conflict(g, own, mac);
}

bool l3glue_conflict(struct l3glue *g, struct l3_conflict *out)
{
	if (!g->has_conflict)
		return false;
	*out = g->conflict;
	g->has_conflict = false;
	return true;
}

static void probe(struct l3glue *g, const struct ip *ip)
{
	if (ip->family == 4) {
		send_arp(g, ARP_REQUEST, broadcast, NULL, NULL, ip);
		return;
	}
	const struct ip to = l3frame_solicited(ip);
	send_nd(g, ND_NS, 0, l3frame_group6(to.b), NULL, &to, ip, 0);
}

static void check_own(struct l3glue *g)
{
	g->checking = false;
	for (unsigned i = 0; i < g->n_own; i++) {
		struct l3_own *own = &g->own[i];
		if (!own->asks && !own->checking)
			continue;
		if (g->now_ms >= own->due_ms) {
			if (own->asks)
				probe(g, &own->ip);
			own->checking &= own->asks > 0;
			own->asks = (uint8_t)(own->asks - (own->asks > 0));
			own->due_ms = g->now_ms + PROBE_MS;
		}
		g->checking |= own->asks || own->checking;
	}
}

void l3glue_tick(struct l3glue *g, uint64_t now_ms)
{
	g->now_ms = now_ms;
	if (g->checking)
		check_own(g);
	neigh_run(&g->neighbours, now_ms, ask, g);
}

/* -- from the network -- */

static void arp_in(struct l3glue *g, const uint8_t *eth, const uint8_t *p, uint32_t len)
{
	if (len < ARP_LEN || get16(p) != 1 || get16(p + 2) != ETH_P_IP4 || p[4] != 6 || p[5] != 4)
		return;
	const unsigned op = get16(p + 6);
	const struct feth_mac mac = mac_at(p + 8);
	const struct ip from = ip_at(4, p + 14), to = ip_at(4, p + 24);
	if ((op != ARP_REQUEST && op != ARP_REPLY) || !is_station(mac.b) || is_mine(g, mac.b))
		return;
	struct l3_own *own = own_find(g, &from);
	if (own) {
		if (conflict(g, own, mac.b))
			defend(g, own);
		return;
	}
	own = own_find(g, &to);
	/* 0.0.0.0: somebody asks whether he may have it (RFC 5227, 2.1.1) */
	if (!is_zero(&from)) {
		if (!is_unicast(g, &from))
			return;
		unsigned how = NEIGH_OVERRIDE;
		if (own && op == ARP_REQUEST && on_link(g, &from))
			how |= NEIGH_CREATE;
		if (own && op == ARP_REPLY && is_mine(g, eth))
			how |= NEIGH_SOLICITED;
		neigh_heard(&g->neighbours, &from, &mac, how, g->now_ms);
	}
	if (own && op == ARP_REQUEST)
		send_arp(g, ARP_REPLY, mac, &own->ip, &mac, &from);
}

/* RFC 4861, 7.2.3. */
static void solicited(struct l3glue *g, const uint8_t *eth, const uint8_t *ip, const uint8_t *mac)
{
	const struct ip from = ip_at(6, ip + 8), to = ip_at(6, ip + 24);
	const struct ip target = ip_at(6, ip + IP6_LEN + 8), node = l3frame_solicited(&target);
	struct l3_own *own = own_find(g, &target);
	if (!own || own->duplicate || is_mine(g, eth + 6))
		return;
	if (is_zero(&from)) {
		if (mac || !ip_equal(&to, &node))
			return;
		if (own->checking) /* he asks the same: nobody shall have it (RFC 4862, 5.4.3) */
			give_up(g, own, eth + 6);
		else
			defend(g, own);
		return;
	}
	if (own->checking || !is_unicast(g, &from) || own_find(g, &from))
		return;
	const struct feth_mac back = mac_at(mac ? mac : eth + 6);
	if (mac) {
		const unsigned create = on_link(g, &from) ? NEIGH_CREATE : 0;
		neigh_heard(&g->neighbours, &from, &back, NEIGH_OVERRIDE | create, g->now_ms);
	}
	send_nd(g, ND_NA, NA_ROUTER | NA_SOLICITED | NA_OVERRIDE, back, &own->ip, &from, &own->ip,
		ND_TARGET);
}

/* RFC 4861, 7.2.5; RFC 4862, 5.4.4. */
static void advertised(struct l3glue *g, const uint8_t *eth, const uint8_t *ip, const uint8_t *mac)
{
	const uint8_t flags = ip[IP6_LEN + 4];
	const struct ip target = ip_at(6, ip + IP6_LEN + 8);
	if ((flags & NA_SOLICITED && ip[24] == 0xff) || is_mine(g, eth + 6))
		return;
	struct l3_own *own = own_find(g, &target);
	if (own) {
		if (own->checking)
			give_up(g, own, mac ? mac : eth + 6);
		else if (!own->duplicate && conflict(g, own, mac ? mac : eth + 6))
			defend(g, own);
		return;
	}
	const struct feth_mac known = mac ? mac_at(mac) : broadcast;
	const unsigned how = (flags & NA_SOLICITED ? NEIGH_SOLICITED : 0u) |
			     (flags & NA_OVERRIDE ? NEIGH_OVERRIDE : 0u);
	if (is_unicast(g, &target))
		neigh_heard(&g->neighbours, &target, mac ? &known : NULL, how, g->now_ms);
}

/* RFC 4861, 7.1. @ip: @len bytes, with those of the ICMPv6 message, which has at least 8. */
static void nd_in(struct l3glue *g, const uint8_t *eth, const uint8_t *ip, uint32_t len)
{
	const uint8_t *icmp = ip + IP6_LEN, *mac;
	const uint32_t n = get16(ip + 4);
	if (ip[7] != ND_HOP_LIMIT || n < ND_FIXED || n > len - IP6_LEN || icmp[1] ||
		icmp[8] == 0xff)
		return;
	if (csum_fold(csum_add(csum_pseudo(ip, true, PROTO_ICMP6, n), icmp, n)) != 0xffff)
		return;
	if (!l3frame_option(icmp + ND_FIXED, n - ND_FIXED, icmp[0] == ND_NS ? ND_SOURCE : ND_TARGET,
		    &mac) ||
		(mac && (!is_station(mac) || is_mine(g, mac))))
		return;
	if (icmp[0] == ND_NS)
		solicited(g, eth, ip, mac);
	else if (icmp[0] == ND_NA)
		advertised(g, eth, ip, mac);
}

/* The host may answer, and will have to know who that is. */
static void came_from(struct l3glue *g, const uint8_t *eth, const struct ip *ip)
{
	const struct feth_mac mac = mac_at(eth + 6);
	if (is_station(mac.b) && !is_mine(g, mac.b) && is_unicast(g, ip) && !own_find(g, ip))
		neigh_hint(&g->neighbours, ip, &mac, g->now_ms);
}

/* The packet behind the header, padding taken off where that is easy. */
static enum l3_in pass(struct frame *frame, uint32_t total)
{
	frame->head += L3_HEADER;
	frame->head_len -= L3_HEADER;
	frame->len -= L3_HEADER;
	frame->wire_hdr = 0;
	if (frame->offload.flags)
		frame->offload.csum_start = (uint16_t)(frame->offload.csum_start - L3_HEADER);
	if (frame->offload.gso_type)
		frame->offload.hdr_len = (uint16_t)(frame->offload.hdr_len - L3_HEADER);
	else if (total > frame->len)
		return L3_REFUSED;
	else if (!frame->more_n)
		frame->head_len = frame->len = total;
	return L3_PASS;
}

static enum l3_in ip4_in(struct l3glue *g, struct frame *frame, const uint8_t *ip, uint32_t len)
{
	if (len < IP4_LEN || ip[0] >> 4 != 4 || (ip[0] & 15) < 5 || get16(ip + 2) < IP4_LEN)
		return L3_REFUSED;
	const struct ip from = ip_at(4, ip + 12), to = ip_at(4, ip + 16);
	if (frame->head[0] & 1 && !is_multicast(&to) && !is_broadcast(g, &to))
		return L3_TAKEN;
	came_from(g, frame->head, &from);
	return pass(frame, get16(ip + 2));
}

static enum l3_in ip6_in(struct l3glue *g, struct frame *frame, const uint8_t *ip, uint32_t len)
{
	if (len < IP6_LEN || ip[0] >> 4 != 6)
		return L3_REFUSED;
	if (frame->head[0] & 1 && ip[24] != 0xff)
		return L3_TAKEN;
	const uint32_t at = l3frame_icmp6(ip, len);
	if (at == L3FRAME_CUT && L3_HEADER + len < frame->len)
		return L3_REFUSED; /* more headers than are looked at */
	if (at && at != L3FRAME_CUT && ip[at] >= ND_RA && ip[at] <= ND_REDIRECT) {
		if (at == IP6_LEN)
			nd_in(g, frame->head, ip, len);
		return L3_TAKEN;
	}
	const struct ip from = ip_at(6, ip + 8);
	came_from(g, frame->head, &from);
	return pass(frame, IP6_LEN + get16(ip + 4));
}

enum l3_in l3glue_in(struct l3glue *g, struct frame *frame)
{
	uint8_t scratch[SEEN];
	uint32_t len;
	if (!(frame->head[0] & 1) && !is_mine(g, frame->head))
		return L3_TAKEN;
	const uint8_t *eth = frame_whole(frame, scratch, SEEN, &len);
	const uint8_t *p = eth + L3_HEADER;
	len -= L3_HEADER;
	switch (frame_type(frame)) {
	case ETH_P_IP4:
		return ip4_in(g, frame, p, len);
	case ETH_P_IP6:
		return ip6_in(g, frame, p, len);
	case ETH_P_ARP:
		arp_in(g, eth, p, len);
		return L3_TAKEN;
	default:
		return L3_REFUSED;
	}
}

/* -- from the host -- */

static void lost(struct l3glue *g, const struct frame *packet)
{
	g->neighbours.lost++;
	g->neighbours.lost_bytes += packet->len + L3_HEADER;
}

/* Where a packet goes: one neighbour, or (@mac) a group. False: nowhere. */
static bool destination(
	const struct l3glue *g, const struct frame *packet, struct ip *to, struct feth_mac *mac)
{
	const uint8_t *p = packet->head;
	const uint8_t version = packet->len ? p[0] >> 4 : 0;
	if (!(version == 4 && packet->len >= IP4_LEN) && !(version == 6 && packet->len >= IP6_LEN))
		return false;
	*to = ip_at(version, p + (version == 4 ? 16 : 24));
	*mac = (struct feth_mac){ { 0 } };
	if (is_multicast(to)) {
		*mac = version == 4 ? l3frame_group4(to->b) : l3frame_group6(to->b);
		const uint32_t at = version == 6 ? l3frame_icmp6(p, packet->len) : 0;
		if (!at || at == L3FRAME_CUT)
			return true;
		return p[at] < ND_NS || p[at] > ND_REDIRECT; /* those are ours */
	}
	if (is_broadcast(g, to)) {
		*mac = broadcast;
		return true;
	}
	return is_unicast(g, to);
}

static void put_header(
	const struct l3glue *g, struct frame *packet, struct feth_mac dst, uint8_t family)
{
	packet->head -= L3_HEADER;
	packet->head_len += L3_HEADER;
	packet->len += L3_HEADER;
	if (packet->offload.flags)
		packet->offload.csum_start = (uint16_t)(packet->offload.csum_start + L3_HEADER);
	uint8_t *eth = (uint8_t *)packet->head;
	memcpy(eth, dst.b, 6);
	memcpy(eth + 6, g->mac.b, 6);
	eth[12] = family == 4 ? 0x08 : 0x86;
	eth[13] = family == 4 ? 0x00 : 0xdd;
}

/* Whether a packet is a frame now. */
static bool out_one(struct l3glue *g, struct frame *packet)
{
	struct ip to;
	struct feth_mac mac;
	if (!destination(g, packet, &to, &mac)) {
		lost(g, packet);
		return false;
	}
	if (mac.b[0]) {
		put_header(g, packet, mac, to.family);
		return true;
	}
	struct neigh *n = neigh_use(&g->neighbours, &to, g->now_ms);
	if (n->state == NEIGH_FAILED) {
		lost(g, packet);
		return false;
	}
	put_header(g, packet, n->mac, to.family);
	if (neigh_known(n))
		return true;
	neigh_wait(&g->neighbours, n, packet);
	return false;
}

unsigned l3glue_out(struct l3glue *g, struct frame *packets, unsigned n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++)
		if (out_one(g, &packets[i]))
			packets[kept++] = packets[i];
	neigh_run(&g->neighbours, g->now_ms, ask, g);
	return kept;
}

unsigned l3glue_pull(struct l3glue *g, struct frame *frames, unsigned max)
{
	unsigned n = 0;
	given_back(g);
	while (n < max && g->n_given < g->n_out) {
		const unsigned at = (g->out_first + g->n_given++) % L3_OWN_FRAMES;
		const uint32_t len = g->out[at].len;
		frames[n++] = (struct frame){ .head = g->out[at].b, .head_len = len, .len = len };
	}
	for (struct neigh_packet *p; n < max && (p = neigh_ready(&g->neighbours));) {
		memcpy(p->data + 6, g->mac.b, 6); /* it may be another by now */
		p->next = g->given;
		g->given = p;
		frames[n++] = p->frame;
	}
	return n;
}

bool l3glue_more(const struct l3glue *g)
{
	return g->n_out > g->n_given || g->neighbours.ready;
}

void l3glue_lost(struct l3glue *g, uint64_t *packets, uint64_t *bytes)
{
	*packets = g->neighbours.lost - g->told_lost;
	*bytes = g->neighbours.lost_bytes - g->told_bytes;
	g->told_lost = g->neighbours.lost;
	g->told_bytes = g->neighbours.lost_bytes;
}
