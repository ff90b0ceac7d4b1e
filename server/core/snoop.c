/* snoop.c - see snoop.h. */
#include "server/core/snoop.h"

#include <string.h>

#include "server/core/be.h"

#define IPPROTO_IGMP_ 2u
#define IPPROTO_ICMPV6_ 58u
#define IPPROTO_PIM_ 103u

/* RFC 3376, 4 and 9; RFC 2710, 3.1; RFC 3810, 5 */
#define IGMP_QUERY 0x11u
#define IGMP_REPORT_V1 0x12u
#define IGMP_REPORT_V2 0x16u
#define IGMP_LEAVE 0x17u
#define IGMP_REPORT_V3 0x22u
#define MLD_QUERY 130u
#define MLD_REPORT_V1 131u
#define MLD_DONE 132u
#define MLD_REPORT_V2 143u

/* Group record types: RFC 3376, 4.2.12; RFC 3810, 5.2.12 */
enum { IS_IN = 1, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK };

#define IP4_ALL_HOSTS 0xe0000001u
#define PIM_HELLO 0x20u             /* version 2, type 0: RFC 7761, 4.9 */
#define PIM_HOLDTIME 1u             /* RFC 7761, 4.9.2 */
#define PIM_HOLD_DEFAULT_MS 105000u /* RFC 7761, 4.11: Default_Hello_Holdtime */

struct span {
	const uint8_t *p;
	uint32_t len;
};

/* RFC 1071: adds the 16-bit words of @s. Exact for less than 128 KiB. */
static uint32_t sum_words(uint32_t sum, struct span s)
{
	for (; s.len > 1; s.p += 2, s.len -= 2)
		sum += get16(s.p);
	return s.len ? sum + (uint32_t)(s.p[0] << 8) : sum;
}

static bool sum_right(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* The pseudo header of RFC 8200, 8.1: addresses at @ip6 + 8, length and next header. */
static uint32_t sum_pseudo(const uint8_t *ip6, uint32_t len, uint8_t next)
{
	return sum_words(len + next, (struct span){ ip6 + 8, 32 });
}

/* RFC 3376, 4.1.1 and 4.1.7: from 128 on a code is 1 bit, 3 bits exponent, 4 bits mantissa. */
static uint32_t code8(uint8_t code)
{
	return code < 128 ? code : (uint32_t)((code & 0x0f) | 0x10) << ((code >> 4 & 7) + 3);
}

/* RFC 3810, 5.1.3: from 32768 on 1 bit, 3 bits exponent, 12 bits mantissa. */
static uint32_t code16(uint16_t code)
{
	return code < 32768 ? code : (uint32_t)((code & 0x0fff) | 0x1000) << ((code >> 12 & 7) + 3);
}

static uint32_t address_len(enum mcast_family family)
{
	return family == MCAST_IP4 ? 4 : 16;
}

static bool is_group(enum mcast_family family, const uint8_t *address)
{
	return family == MCAST_IP4 ? address[0] >> 4 == 0xe : address[0] == 0xff;
}

/* RFC 1112, 6.4: the low 23 bits; RFC 2464, 7: the low 32 bits. */
static struct feth_mac group_mac(enum mcast_family family, const uint8_t *a)
{
	if (family == MCAST_IP4)
		return (struct feth_mac){ { 0x01, 0x00, 0x5e, a[1] & 0x7f, a[2], a[3] } };
	return (struct feth_mac){ { 0x33, 0x33, a[12], a[13], a[14], a[15] } };
}

static bool all_zero(const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* -- group records -- */

/* The length of the record that begins @rest, 0 where it is no whole one. */
static uint32_t record_len(enum mcast_family family, struct span rest)
{
	const uint32_t address = address_len(family);
	if (rest.len < 4 + address || !is_group(family, rest.p + 4))
		return 0;
	const uint32_t len = 4 + address + get16(rest.p + 2) * address + rest.p[1] * 4u;
	return len <= rest.len ? len : 0;
}

/* Whether @n whole records lie there. What follows them is for the future (RFC 3376, 4.2.11). */
static bool records_whole(enum mcast_family family, struct span rest, uint16_t n)
{
	for (; n; n--) {
		const uint32_t len = record_len(family, rest);
		if (!len)
			return false;
		rest.p += len;
		rest.len -= len;
	}
	return true;
}

/* Whether a record joins or leaves; 0: neither. Types that nobody knows are passed over (RFC 3376,
 * 4.2.12). */
static int record_sense(const uint8_t *record, bool sources)
{
	switch (record[0]) {
	case IS_EX:
	case TO_EX:
	case ALLOW:
		return 1;
	case IS_IN:
		return sources ? 1 : 0;
	case TO_IN:
		return sources ? 1 : -1;
	case BLOCK:
		return sources ? -1 : 0;
	default:
		return 0;
	}
}

bool snoop_next(struct snoop *report, struct feth_mac *group, bool *join)
{
	const enum mcast_family family = report->family;
	while (report->left) {
		const uint8_t *record = report->records;
		report->left--;
		if (report->type != IGMP_REPORT_V3 && report->type != MLD_REPORT_V2) {
			*group = group_mac(family, record);
			*join = report->type != IGMP_LEAVE && report->type != MLD_DONE;
			report->sources = false;
			return true;
		}
		report->records +=
			record_len(family, (struct span){ record, UINT32_MAX }); /* seen whole */
		const bool sources = get16(record + 2) != 0;
		const int sense = record_sense(record, sources);
		if (!sense)
			continue;
		/* EXCLUDE asks for all sources but those */
		report->sources = sources && record[0] != IS_EX && record[0] != TO_EX;
		*group = group_mac(family, record + 4);
		*join = sense > 0;
		return true;
	}
	return false;
}

/* -- messages -- */

/* The part of a query from the version that has it on: "S, QRV" and "QQIC", then a source list. */
static bool query_tail(struct snoop *out, const uint8_t *tail, uint32_t room)
{
	const uint16_t sources = get16(tail + 2);
	if (room < sources * address_len(out->family) || (out->general && sources))
		return false;
	/* RFC 3376, 4.1.6 and 4.1.7: zero is none, and then it is the default */
	if (tail[0] & 7)
		out->robustness = tail[0] & 7;
	if (tail[1])
		out->interval_ms = code8(tail[1]) * 1000;
	return true;
}

static enum snoop_kind igmp_query(struct snoop *out, struct span m, uint32_t dst)
{
	out->general = all_zero(m.p + 4, 4);
	if (out->general ? dst != IP4_ALL_HOSTS : !is_group(MCAST_IP4, m.p + 4))
		return SNOOP_BAD;
	if (m.len == 8) { /* RFC 3376, 7.1: the version is told by length and code */
		out->version = m.p[1] ? 2 : 1;
		if (m.p[1])
			out->response_ms = m.p[1] * 100u;
		return SNOOP_QUERY;
	}
	out->version = 3;
	out->response_ms = code8(m.p[1]) * 100;
	return m.len >= 12 && query_tail(out, m.p + 8, m.len - 12) ? SNOOP_QUERY : SNOOP_BAD;
}

static enum snoop_kind igmp(struct snoop *out, struct span m, uint32_t dst, bool summed)
{
	if (m.len < 8 || (summed && !sum_right(sum_words(0, m))))
		return SNOOP_BAD;
	out->type = m.p[0];
	switch (m.p[0]) {
	case IGMP_QUERY:
		return igmp_query(out, m, dst);
	case IGMP_REPORT_V1:
	case IGMP_REPORT_V2:
	case IGMP_LEAVE:
		out->records = m.p + 4;
		out->left = 1;
		return is_group(MCAST_IP4, m.p + 4) ? SNOOP_REPORT : SNOOP_BAD;
	case IGMP_REPORT_V3:
		out->records = m.p + 8;
		out->left = get16(m.p + 6);
		return records_whole(MCAST_IP4, (struct span){ m.p + 8, m.len - 8 }, out->left)
			       ? SNOOP_REPORT
			       : SNOOP_BAD;
	default:
		return SNOOP_OTHER;
	}
}

static enum snoop_kind mld_query(struct snoop *out, const uint8_t *ip6, struct span m)
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	out->general = all_zero(m.p + 8, 16);
	if (out->general ? memcmp(ip6 + 24, all_nodes, 16) != 0 : !is_group(MCAST_IP6, m.p + 8))
		return SNOOP_BAD;
	if (m.len == 24) { /* RFC 3810, 8.1 */
		out->version = 1;
		out->response_ms = get16(m.p + 4);
		return SNOOP_QUERY;
	}
	out->version = 2;
	out->response_ms = code16(get16(m.p + 4));
	return m.len >= 28 && query_tail(out, m.p + 24, m.len - 28) ? SNOOP_QUERY : SNOOP_BAD;
}

static enum snoop_kind mld(struct snoop *out, const uint8_t *ip6, struct span m)
{
	out->type = m.p[0];
	switch (m.p[0]) {
	case MLD_QUERY:
		return m.len >= 24 && !out->nobody ? mld_query(out, ip6, m) : SNOOP_BAD;
	case MLD_REPORT_V1:
	case MLD_DONE:
		out->records = m.p + 8;
		out->left = 1;
		return m.len >= 24 && is_group(MCAST_IP6, m.p + 8) ? SNOOP_REPORT : SNOOP_BAD;
	default: /* MLD_REPORT_V2 */
		if (m.len < 8)
			return SNOOP_BAD;
		out->records = m.p + 8;
		out->left = get16(m.p + 6);
		return records_whole(MCAST_IP6, (struct span){ m.p + 8, m.len - 8 }, out->left)
			       ? SNOOP_REPORT
			       : SNOOP_BAD;
	}
}

/* RFC 7761, 4.9: version, type, checksum, then options of type, length, value. @sum: of the pseudo
 * header. */
static enum snoop_kind pim(struct snoop *out, struct span m, uint32_t sum, bool summed)
{
	if (!m.len || m.p[0] != PIM_HELLO)
		return SNOOP_DATA;
	if (m.len < 4 || (summed && !sum_right(sum_words(sum, m))))
		return SNOOP_BAD;
	out->hold_ms = PIM_HOLD_DEFAULT_MS;
	for (uint32_t at = 4; at < m.len;) {
		if (m.len - at < 4 || m.len - at - 4 < get16(m.p + at + 2))
			return SNOOP_BAD;
		const uint16_t len = get16(m.p + at + 2);
		if (get16(m.p + at) == PIM_HOLDTIME && len == 2)
			out->hold_ms = get16(m.p + at + 4) * 1000u;
		at += 4u + len;
	}
	return SNOOP_HELLO;
}

/* -- IP -- */

static enum snoop_kind ip4(struct snoop *out, struct span ip, bool summed)
{
	if (ip.len < 20 || (ip.p[9] != IPPROTO_IGMP_ && ip.p[9] != IPPROTO_PIM_))
		return SNOOP_DATA;
	const uint32_t header = (ip.p[0] & 0x0f) * 4u;
	const uint32_t total = get16(ip.p + 2);
	if (ip.p[0] >> 4 != 4 || header < 20 || header > total || total > ip.len)
		return SNOOP_BAD;
	if (!sum_right(sum_words(0, (struct span){ ip.p, header })))
		return SNOOP_BAD;
	if (get16(ip.p + 6) & 0x3fff) /* a fragment: more to come, or not the first */
		return SNOOP_BAD;
	/* no group, no broadcast asks, and no host hears what is from 127.x */
	if (!is_group(MCAST_IP4, ip.p + 16) || ip.p[12] >= 0xe0 || ip.p[12] == 127)
		return SNOOP_BAD;
	memcpy(out->source + 12, ip.p + 12, 4);
	out->nobody = all_zero(ip.p + 12, 4);
	const struct span m = { ip.p + header, total - header };
	if (ip.p[9] == IPPROTO_PIM_)
		return pim(out, m, 0, summed);
	return igmp(out, m, get32(ip.p + 16), summed);
}

/* Whether a hop-by-hop options header has the router alert "MLD" (RFC 2711, 2.1), and is whole
 * (RFC 8200, 4.2). */
static bool has_alert(struct span options)
{
	bool found = false;
	for (uint32_t at = 2; at < options.len;) {
		if (options.p[at] == 0) { /* Pad1 */
			at++;
			continue;
		}
		if (options.len - at < 2 || options.len - at - 2 < options.p[at + 1])
			return false;
		const uint32_t len = options.p[at + 1];
		found |= options.p[at] == 5 && len == 2 && get16(options.p + at + 2) == 0;
		at += 2 + len;
	}
	return found;
}

static enum snoop_kind ip6(struct snoop *out, struct span ip, bool summed)
{
	if (ip.len < 40 || ip.p[0] >> 4 != 6)
		return SNOOP_DATA;
	const uint32_t payload = get16(ip.p + 4);
	struct span m = { ip.p + 40, payload };
	memcpy(out->source, ip.p + 8, 16);
	out->nobody = all_zero(ip.p + 8, 16);
	if (ip.p[6] == IPPROTO_PIM_) {
		if (payload > ip.len - 40)
			return SNOOP_BAD;
		return pim(out, m, sum_pseudo(ip.p, payload, IPPROTO_PIM_), summed);
	}
	/* other packets have hop-by-hop options too */
	if (ip.p[6] != 0 || ip.len < 48 || m.p[0] != IPPROTO_ICMPV6_)
		return SNOOP_DATA;
	const uint32_t options = (m.p[1] + 1u) * 8;
	if (ip.len - 40 <= options)
		return SNOOP_BAD;
	const uint8_t type = m.p[options];
	if (type != MLD_QUERY && type != MLD_REPORT_V1 && type != MLD_DONE && type != MLD_REPORT_V2)
		return SNOOP_DATA;
	if (payload > ip.len - 40 || payload < options + 4)
		return SNOOP_BAD;
	/* RFC 3810, 6.2 and 7.4: link-local, hop limit 1, router alert, else it is ignored; RFC
	 * 3590: who has no address yet may report */
	const bool local = ip.p[8] == 0xfe && ip.p[9] >> 6 == 2;
	if (ip.p[7] != 1 || !(local || out->nobody) || !is_group(MCAST_IP6, ip.p + 24) ||
		!has_alert((struct span){ m.p, options }))
		return SNOOP_BAD;
	m.p += options;
	m.len -= options;
	const uint32_t pseudo = sum_pseudo(ip.p, m.len, IPPROTO_ICMPV6_);
	if (summed && !sum_right(sum_words(pseudo, m)))
		return SNOOP_BAD;
	return mld(out, ip.p, m);
}

/* A query that some hosts do not take, or not for one that they have to answer, may not count: it
 * would seem that nobody is there. @mac: where the frame goes. */
static bool for_all(const struct snoop *query, const uint8_t *mac, bool summed)
{
	static const uint8_t to[MCAST_FAMILIES][6] = { { 0x01, 0x00, 0x5e, 0, 0, 1 },
		{ 0x33, 0x33, 0, 0, 0, 1 } }; /* of 224.0.0.1, ff02::1 */
	return query->general && !query->tagged && summed && !memcmp(mac, to[query->family], 6);
}

void snoop_parse(const struct frame *frame, uint8_t scratch[SNOOP_SCRATCH], struct snoop *out)
{
	*out = (struct snoop){
		.robustness = QUERY_ROBUSTNESS,
		.response_ms = QUERY_RESPONSE_MS,
		.interval_ms = QUERY_INTERVAL_MS,
	};
	struct span s;
	s.p = frame_whole(
		frame, scratch, SNOOP_SCRATCH, &s.len); /* what does not fit is not there */
	uint16_t type = get16(s.p + 12);
	uint32_t header = 14;
	if ((type == ETH_P_CTAG || type == ETH_P_STAG) && s.len >= 18) {
		out->tagged = true;
		type = get16(s.p + 16);
		header = 18;
	}
	/* a sum that is still to be made says nothing (virtio 1.2, 5.1.6.2: NEEDS_CSUM) */
	const bool summed = !(frame->offload.flags & 1);
	const bool six = s.p[0] == 0x33;
	s.p += header;
	s.len -= header;
	out->family = six ? MCAST_IP6 : MCAST_IP4;
	if (type == 0x0800 && !six)
		out->kind = ip4(out, s, summed);
	else if (type == 0x86dd && six)
		out->kind = ip6(out, s, summed);
	out->for_all = out->kind == SNOOP_QUERY && for_all(out, frame->head, summed);
	out->cut = out->kind == SNOOP_BAD && frame->more_n && frame->len > SNOOP_SCRATCH;
}
