/* gro.c - see gro.h. TCP: RFC 9293, 3.1; UDP: RFC 768; IPv4: RFC 791, 3.1; IPv6: RFC 8200, 3. */
#include "server/core/gro.h"
#include "server/core/be.h"
#include "server/core/csum.h"
#include "server/core/offload.h"

#include <string.h>

#define ETH_P_IP4 0x0800u
#define ETH_P_IP6 0x86ddu
#define PROTO_TCP 6u
#define PROTO_UDP 17u

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u
#define TCP_ECE 0x40u
#define TCP_CWR 0x80u
#define TCP_ENDS (TCP_FIN | TCP_PSH) /* only the last segment of some has these */

#define IP_LENGTH_MAX 65535u
#define DONT_FRAGMENT 0x40u

/* Frames shorter than this are not worth looking for company: a kernel takes them as fast as it
 * takes bytes. */
#define WORTH_BYTES 256u

#define NONE 0xffu
_Static_assert(GRO_BATCH < NONE, "frames are numbered by a byte");

struct packet {
	const uint8_t *b; /* its headers, in one piece */
	uint8_t l3, l4;   /* bytes before the IP header, and before that of TCP or UDP */
	uint8_t data;     /* and before the payload */
	bool v6, udp;
	bool joins;    /* alone, it looks as if it could be a piece of a super-frame */
	uint32_t size; /* bytes of payload */
};

/* A super-frame under way, or a frame that may become one. */
struct flow {
	struct packet first;
	uint8_t header[GRO_HEADER]; /* where first.b is if the frame lies in several pieces */
	uint8_t out;                /* its place in the result */
	uint8_t last;               /* the number of its last frame */
	uint8_t n;                  /* frames */
	uint8_t ends;               /* TCP_ENDS of the last */
	uint8_t id_step;            /* by which IPv4 identifications grow */
	uint32_t bytes;             /* of payload */
};

struct work {
	struct gro *g;
	const struct frame *in;
	uint8_t takes;
	uint32_t max;
	unsigned n_out, n_super, n_flows;
	uint8_t next[GRO_BATCH];  /* of a frame: the one behind it in its super-frame, or NONE */
	uint8_t first[GRO_BATCH]; /* of a result: its first frame */
	struct flow flows[GRO_FLOWS]; /* oldest first */
};

/* -- reading -- */

/* Whether @p is of a flow that can be told from others. Sets all but `joins` of layer 4. */
static bool read_ip(struct packet *p, uint32_t have, uint32_t len, uint16_t type, uint32_t *end)
{
	const uint8_t *ip = p->b + p->l3;
	uint8_t protocol;
	if (type == ETH_P_IP4 && have >= p->l3 + 20u && ip[0] == 0x45) {
		if (ip[6] & 0x3f || ip[7])
			return false; /* a fragment */
		protocol = ip[9];
		p->v6 = false;
		p->l4 = p->l3 + 20;
		*end = p->l3 + (uint32_t)get16(ip + 2);
	} else if (type == ETH_P_IP6 && have >= p->l3 + 40u && ip[0] >> 4 == 6) {
		protocol = ip[6];
		p->v6 = true;
		p->l4 = p->l3 + 40;
		*end = p->l4 + (uint32_t)get16(ip + 4);
	} else {
		return false;
	}
	p->udp = protocol == PROTO_UDP;
	return (p->udp || protocol == PROTO_TCP) && *end <= len;
}

static bool read_tcp(struct packet *p, uint32_t have, uint32_t end)
{
	const uint8_t *tcp = p->b + p->l4;
	if (have < p->l4 + 20u || tcp[12] >> 4 < 5)
		return false;
	const uint32_t data = p->l4 + (tcp[12] >> 4) * 4u;
	if (have < data || end < data)
		return false;
	p->data = (uint8_t)data;
	/* a sum of 0xffff is valid where 0 is meant, and 0 is what would come back */
	p->joins =
		(tcp[13] & ~(TCP_ENDS | TCP_CWR | TCP_ECE)) == TCP_ACK && get16(tcp + 16) != 0xffff;
	return true;
}

static bool read_udp(struct packet *p, uint32_t have, uint32_t end)
{
	const uint8_t *udp = p->b + p->l4;
	if (have < p->l4 + 8u || end < p->l4 + 8u)
		return false;
	p->data = p->l4 + 8;
	p->joins = get16(udp + 4) == end - p->l4 && get16(udp + 6);
	return true;
}

/* Reads the headers of TCP or UDP; false: it is something else, or too odd to tell. @header: room
 * for them where the frame lies in several pieces. */
static bool read_packet(const struct frame *frame, uint8_t header[GRO_HEADER], struct packet *p)
{
	uint32_t have, end;
	p->b = frame_whole(frame, header, GRO_HEADER, &have);
	p->l3 = 14;
	uint16_t type = frame_type(frame);
	if (type == ETH_P_CTAG && have >= 18) {
		p->l3 = 18;
		type = get16(p->b + 16);
	}
	if (!read_ip(p, have, frame->len, type, &end))
		return false;
	if (p->udp ? !read_udp(p, have, end) : !read_tcp(p, have, end))
		return false;
	p->size = end - p->data;
	p->joins = p->joins && p->size && end == frame->len && !frame->offload.flags &&
		   !frame->offload.gso_type && frame->more_n < GRO_PIECES;
	return true;
}

/* -- checksums -- */

static uint64_t pseudo(const struct packet *p, uint32_t len)
{
	return csum_pseudo(p->b + p->l3, p->v6, p->udp ? PROTO_UDP : PROTO_TCP, len);
}

/* Writes the pieces behind the first @skip bytes of a frame. Returns how many. */
static unsigned pieces(const struct frame *frame, size_t skip, struct seg *segs)
{
	unsigned n = 0;
	struct seg piece = { frame->head, frame->head_len };
	for (unsigned i = 0;; i++) {
		const size_t off = skip < piece.len ? skip : piece.len;
		if (off < piece.len)
			segs[n++] =
				(struct seg){ (const uint8_t *)piece.base + off, piece.len - off };
		skip -= off;
		if (i == frame->more_n)
			return n;
		piece = frame->more[i];
	}
}

static bool verify(const struct frame *frame, const struct packet *p)
{
	const uint8_t *ip = p->b + p->l3;
	struct seg segs[GRO_PIECES];
	if (!p->v6 && (csum_fold(csum_add(0, ip, 20)) != 0xffff || get16(ip + 10) == 0xffff))
		return false;
	const unsigned n = pieces(frame, p->l4, segs);
	const uint64_t sum = pseudo(p, p->data - p->l4 + p->size);
	return csum_fold(n == 1 ? csum_add(sum, segs->base, segs->len)
				: csum_add_segs(sum, segs, n)) == 0xffff;
}

/* -- which belong together -- */

static bool same(const struct packet *a, const struct packet *b, unsigned from, unsigned to)
{
	return !memcmp(a->b + from, b->b + from, to - from);
}

static bool same_flow(const struct packet *a, const struct packet *b)
{
	const unsigned addresses = a->l3 + (a->v6 ? 8u : 12u);
	/* up to the ports, but the addresses first, which differ soonest */
	return a->l4 == b->l4 && a->l3 == b->l3 && a->udp == b->udp &&
	       same(a, b, addresses, a->l4 + 4u) && same(a, b, 0, a->l3);
}

/* Whether the headers of @p are those of the next piece. */
static bool follows_ip(const struct flow *flow, const struct packet *p, uint8_t *id_step)
{
	const struct packet *a = &flow->first;
	const unsigned l3 = a->l3;
	if (a->v6)
		return same(a, p, l3, l3 + 4) && same(a, p, l3 + 6, l3 + 8);
	const uint16_t step = (uint16_t)(get16(p->b + l3 + 4) - get16(a->b + l3 + 4));
	*id_step = step != 0;
	return step == (*id_step ? flow->n : 0) && (flow->n == 1 || *id_step == flow->id_step) &&
	       (*id_step || a->b[l3 + 6] & DONT_FRAGMENT) && same(a, p, l3, l3 + 2) &&
	       same(a, p, l3 + 6, l3 + 9);
}

static bool follows_tcp(const struct flow *flow, const struct packet *p)
{
	const struct packet *a = &flow->first;
	const unsigned l4 = a->l4;
	const unsigned flags = a->b[l4 + 13] ^ p->b[l4 + 13];
	return a->data == p->data && get32(p->b + l4 + 4) - get32(a->b + l4 + 4) == flow->bytes &&
	       !(flags & ~(TCP_ENDS | TCP_CWR)) && !(p->b[l4 + 13] & TCP_CWR) &&
	       same(a, p, l4 + 8, l4 + 13) && same(a, p, l4 + 14, l4 + 16) &&
	       same(a, p, l4 + 18, a->data);
}

static bool has_room(const struct work *w, const struct flow *flow, const struct packet *p)
{
	const struct packet *a = &flow->first;
	const uint32_t len = a->data + flow->bytes + p->size;
	return p->size <= a->size && len - a->l3 <= IP_LENGTH_MAX && (!w->max || len <= w->max);
}

/* -- making -- */

static uint8_t gso_type(const struct packet *p)
{
	if (p->udp)
		return p->v6 ? VNET_GSO_UDP_L4 | VNET_GSO_V6 : VNET_GSO_UDP_L4;
	const uint8_t type = p->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	return p->b[p->l4 + 13] & TCP_CWR ? type | VNET_GSO_ECN : type;
}

/* The flow gets no more. What is one frame still stays as it was. */
static void finish(struct work *w, const struct flow *flow)
{
	const struct packet *p = &flow->first;
	struct frame *out = &w->g->frames[flow->out];
	if (flow->n < 2)
		return;
	uint8_t *b = w->g->headers[w->g->n_headers++];
	uint8_t *ip = b + p->l3, *l4 = b + p->l4;
	const uint32_t len = p->data - p->l4 + flow->bytes;
	const uint16_t owed = csum_fold(pseudo(p, len));
	memcpy(b, p->b, p->data);
	if (p->v6) {
		put16(ip + 4, len);
	} else {
		put16(ip + 2, len + 20);
		put16(ip + 10, 0);
		const uint16_t sum = (uint16_t)~csum_fold(csum_add(0, ip, 20));
		memcpy(ip + 10, &sum, 2);
	}
	if (p->udp)
		put16(l4 + 4, len);
	else
		l4[13] |= flow->ends;
	const uint16_t csum_offset = p->udp ? 6 : 16;
	memcpy(l4 + csum_offset, &owed, 2);
	*out = (struct frame){
		.head = b,
		.head_len = p->data,
		.len = p->data + flow->bytes,
		.more_n = flow->n, /* frames as yet: lay_out() */
		.offload = { .flags = VNET_NEEDS_CSUM,
			.gso_type = gso_type(p),
			.gso_size = (uint16_t)p->size,
			.csum_start = p->l4,
			.csum_offset = csum_offset,
			.hdr_len = p->data },
	};
	w->n_super++;
}

static void close_flow(struct work *w, unsigned k)
{
	finish(w, &w->flows[k]);
	for (w->n_flows--; k < w->n_flows; k++) {
		struct flow *flow = &w->flows[k];
		*flow = w->flows[k + 1];
		if (flow->first.b == w->flows[k + 1].header)
			flow->first.b = flow->header;
	}
}

static void close_all(struct work *w)
{
	for (unsigned k = 0; k < w->n_flows; k++)
		finish(w, &w->flows[k]);
	w->n_flows = 0;
}

static uint8_t kind_of(const struct packet *p)
{
	if (p->udp)
		return p->v6 ? OFFLOAD_USO6 : OFFLOAD_USO4;
	return p->v6 ? OFFLOAD_TSO6 : OFFLOAD_TSO4;
}

/* A frame, the last of the result, may be the first of some. */
static void open_flow(struct work *w, unsigned i, const struct packet *p)
{
	const uint8_t flags = p->udp ? 0 : p->b[p->l4 + 13];
	if (!p->joins || flags & TCP_ENDS || !(w->takes & kind_of(p)) ||
		(flags & TCP_CWR && !(w->takes & OFFLOAD_ECN)))
		return;
	if (w->n_flows == GRO_FLOWS)
		close_flow(w, 0);
	struct flow *flow = &w->flows[w->n_flows++];
	flow->first = *p;
	if (p->b != w->in[i].head)
		flow->first.b = memcpy(flow->header, p->b, p->data);
	flow->out = (uint8_t)(w->n_out - 1);
	flow->last = (uint8_t)i;
	flow->n = 1;
	flow->ends = 0;
	flow->bytes = p->size;
}

/* Whether frame @i became the next piece of a flow. */
static bool join(struct work *w, struct flow *flow, unsigned i, const struct packet *p)
{
	uint8_t id_step = 0;
	if (!p->joins || !has_room(w, flow, p) || !follows_ip(flow, p, &id_step) ||
		(!p->udp && !follows_tcp(flow, p)))
		return false;
	if (flow->n == 1 && !verify(&w->in[flow->last], &flow->first))
		return false;
	if (!verify(&w->in[i], p))
		return false;
	w->next[flow->last] = (uint8_t)i;
	flow->last = (uint8_t)i;
	flow->n++;
	flow->id_step = id_step;
	flow->bytes += p->size;
	flow->ends = (uint8_t)(p->udp ? 0 : p->b[p->l4 + 13] & TCP_ENDS);
	return true;
}

static void take(struct work *w, unsigned i)
{
	struct packet p;
	uint8_t header[GRO_HEADER];
	const bool read = read_packet(&w->in[i], header, &p);
	w->next[i] = NONE;
	if (!read)
		close_all(w);
	for (unsigned k = w->n_flows; read && k--;) {
		struct flow *flow = &w->flows[k];
		if (!same_flow(&flow->first, &p))
			continue;
		if (join(w, flow, i, &p)) {
			if (flow->ends || p.size < flow->first.size)
				close_flow(w, k);
			return;
		}
		close_flow(w, k);
		break;
	}
	w->first[w->n_out] = (uint8_t)i;
	w->g->frames[w->n_out++] = w->in[i];
	if (read)
		open_flow(w, i, &p);
}

/* The payload of each super-frame, now that it is known which frames they are of. */
static void lay_out(struct work *w)
{
	struct seg *segs = w->g->segs;
	for (unsigned k = 0; k < w->n_out; k++) {
		struct frame *out = &w->g->frames[k];
		if (w->next[w->first[k]] == NONE)
			continue;
		unsigned n = 0;
		out->more = segs;
		for (uint8_t i = w->first[k]; i != NONE; i = w->next[i])
			n += pieces(&w->in[i], out->head_len, segs + n);
		out->more_n = (uint16_t)n;
		segs += n;
	}
}

bool gro_worth(const struct frame *frames, unsigned n)
{
	unsigned worth = 0;
	for (unsigned i = 0; i < n && worth < 2; i++) {
		if (frames[i].len < WORTH_BYTES || frames[i].offload.flags)
			continue;
		const uint16_t type = frame_type(&frames[i]);
		worth += type == ETH_P_IP4 || type == ETH_P_IP6 || type == ETH_P_CTAG;
	}
	return worth == 2;
}

unsigned gro_coalesce(
	struct gro *g, const struct frame *frames, unsigned n, uint8_t takes, uint32_t max)
{
	struct work w;
	if (n / 2 > GRO_HEADERS - g->n_headers || !(takes & OFFLOAD_CSUM))
		return 0;
	w.g = g;
	w.in = frames;
	w.takes = takes;
	w.max = max;
	w.n_out = w.n_super = w.n_flows = 0;
	for (unsigned i = 0; i < n; i++)
		take(&w, i);
	close_all(&w);
	if (!w.n_super)
		return 0;
	lay_out(&w);
	return w.n_out;
}
