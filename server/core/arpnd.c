/* arpnd.c - see arpnd.h. */
#include "server/core/arpnd.h"

#include "server/core/be.h"

/* IANA, "Assigned Internet Protocol Numbers": extension headers, and what may follow them */
enum {
	NEXT_HOPOPTS = 0,
	NEXT_TCP = 6,
	NEXT_UDP = 17,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_AH = 51,
	NEXT_ICMP6 = 58,
	NEXT_DSTOPTS = 60,
	NEXT_MOBILITY = 135,
	NEXT_HIP = 139,
	NEXT_SHIM6 = 140,
};

/* RFC 4861, 4.1 to 4.5 */
enum { ND_RS = 133, ND_RA, ND_NS, ND_NA, ND_REDIRECT };
#define ND_SOURCE 1u /* options: 4.6.1 */
#define ND_TARGET 2u

#define ARP_SENDER 8u /* where its hardware address is: RFC 826, "Packet format" */
#define TAGS_MAX 2u
#define SNAP_LEN 8u

struct span {
	const uint8_t *p;
	uint32_t len;
};

static bool is_tag(uint16_t type)
{
	return type == ETH_P_CTAG || type == ETH_P_STAG;
}

static void skip(struct span *s, uint32_t n)
{
	s->p += n;
	s->len -= n;
}

/* Passes over addresses, tags and SNAP: the Ethernet type then, 0 where it does not get there. */
static uint16_t inner_type(struct span *s, bool *three_tags)
{
	uint16_t type = get16(s->p + 12);
	skip(s, 14);
	for (unsigned tags = 0; is_tag(type); tags++) {
		*three_tags = tags == TAGS_MAX;
		if (*three_tags || s->len < 4)
			return 0;
		type = get16(s->p + 2);
		skip(s, 4);
	}
	if (type > ETH_LENGTH_MAX)
		return type;
	/* IEEE 802.2: SAP 0xaa twice, unnumbered; then the organisation, whichever */
	if (s->len < SNAP_LEN || s->p[0] != 0xaa || s->p[1] != 0xaa || s->p[2] != 3)
		return 0;
	type = get16(s->p + 6);
	skip(s, SNAP_LEN);
	return type;
}

bool arpnd_worth(const struct frame *frame)
{
	struct span s = { frame->head, frame->head_len };
	bool three_tags = false;
	const uint16_t type = inner_type(&s, &three_tags);
	if (type == ETH_P_IP6)
		return s.len < 7 || (s.p[6] != NEXT_TCP && s.p[6] != NEXT_UDP);
	return type == ETH_P_ARP || type == ETH_P_RARP || type == ETH_P_AARP || three_tags ||
	       (!type && frame->more_n); /* it may be in the next piece */
}

static void arp(struct arpnd *out, struct span s)
{
	if (s.len < ARP_SENDER + 6) {
		out->doubtful = true;
		return;
	}
	out->doubtful = s.p[4] != 6;
	out->at = s.p + ARP_SENDER;
	out->left = 6;
}

/* @in_part: a fragment, or cut. */
static void nd(struct arpnd *out, struct span m, bool in_part)
{
	static const uint8_t fixed[] = { 8, 16, 24, 24, 40 };
	if (m.len && (m.p[0] < ND_RS || m.p[0] > ND_REDIRECT))
		return;
	out->doubtful = in_part;
	if (!m.len)
		return;
	if (m.len <= fixed[m.p[0] - ND_RS])
		return;
	out->of_another = m.p[0] == ND_REDIRECT;
	skip(&m, fixed[m.p[0] - ND_RS]);
	out->options = true;
	out->at = m.p;
	out->left = m.len;
}

/* The length of an extension header, from its first two bytes; 0: @next is none. */
static uint32_t extension_len(uint8_t next, const uint8_t *p)
{
	switch (next) {
	case NEXT_HOPOPTS:
	case NEXT_ROUTING:
	case NEXT_DSTOPTS:
	case NEXT_MOBILITY:
	case NEXT_HIP:
	case NEXT_SHIM6:
		return (p[1] + 1u) * 8; /* RFC 8200, 4; RFC 6275, 6.1; RFC 7401, 5; RFC 5533, 5 */
	case NEXT_FRAGMENT:
		return 8;
	case NEXT_AH:
		return (p[1] + 2u) * 4; /* RFC 4302, 2.2 */
	default:
		return 0;
	}
}

static void ip6(struct arpnd *out, struct span s, bool cut)
{
	if (s.len < 40)
		return; /* no host reads it */
	uint8_t next = s.p[6];
	const uint32_t payload = get16(s.p + 4);
	bool fragment = false;
	skip(&s, 40);
	if (s.len > payload) { /* what follows is padding */
		s.len = payload;
		cut = false;
	}
	while (next != NEXT_ICMP6) {
		static const uint8_t none[2];
		const uint32_t len = extension_len(next, s.len < 2 ? none : s.p);
		if (!len)
			return;
		if (s.len < len) { /* else a host could not read it either */
			out->doubtful = fragment || cut;
			return;
		}
		if (next == NEXT_FRAGMENT) {
			if (get16(s.p + 2) >> 3)
				return;
			fragment = true;
		}
		next = s.p[0];
		skip(&s, len);
	}
	nd(out, s, fragment || cut);
}

void arpnd_read(const struct frame *frame, uint8_t scratch[ARPND_SCRATCH], struct arpnd *out)
{
	struct span s;
	*out = (struct arpnd){ 0 };
	s.p = frame_whole(frame, scratch, ARPND_SCRATCH, &s.len);
	const bool cut = frame->more_n && frame->len > ARPND_SCRATCH;
	switch (inner_type(&s, &out->doubtful)) {
	case ETH_P_ARP:
	case ETH_P_RARP:
	case ETH_P_AARP:
		arp(out, s);
		break;
	case ETH_P_IP6:
		ip6(out, s, cut);
		break;
	default:
		break;
	}
}

bool arpnd_next(struct arpnd *a, mac_key *claim)
{
	if (!a->options) {
		if (a->left < 6)
			return false;
		a->left = 0;
		*claim = mac_key_at(a->at);
		return true;
	}
	while (a->left) {
		const uint8_t *option = a->at;
		const uint32_t len = a->left < 2 ? 0 : option[1] * 8u;
		const bool address = option[0] == ND_SOURCE || option[0] == ND_TARGET;
		/* RFC 4861, 4.6: of length 0, or cut, the packet is discarded; RFC 2464, 6: 1 */
		a->doubtful |= !len || len > a->left || (address && len != 8);
		const bool read = address && a->left >= 8;
		if (read)
			*claim = mac_key_at(option + 2);
		a->left = len && len < a->left ? a->left - len : 0;
		a->at += a->left ? len : 0;
		if (read)
			return true;
	}
	return false;
}
