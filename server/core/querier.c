/* querier.c - see querier.h. */
#include "server/core/querier.h"

#include <string.h>

#include "server/core/csum.h"

void querier_init(struct querier *q)
{
	*q = (struct querier){ .good_ms = QUERIER_GOOD_MIN_MS, .port = PORT_NONE };
}

void querier_update(struct querier *q, uint64_t now_ms)
{
	const bool other = now_ms < q->until_ms;
	const bool asking = q->wanted && !other;
	if (asking && !q->asking) {
		q->next_ms = now_ms;
		q->n_sent = 0;
		q->good_ms = QUERIER_GOOD_MIN_MS; /* our own numbers are the RFC's */
		q->since_ms = now_ms;
	}
	if (other && !q->present)
		q->since_ms = now_ms;
	q->asking = asking;
	q->present = asking || other;
}

static uint32_t at_least(uint32_t ms, uint32_t least)
{
	return ms < least ? least : ms;
}

uint32_t querier_heard(struct querier *q, const struct snoop *query, uint16_t port, uint64_t now_ms)
{
	const uint32_t response = query->response_ms;
	if (query->nobody || !query->for_all || response > QUERIER_RESPONSE_MAX_MS)
		return 0;
	uint32_t rounds = query->robustness * query->interval_ms; /* 7 * 31744 s fits */
	if (rounds > QUERIER_MAX_MS - response)
		rounds = QUERIER_MAX_MS - response;
	const uint32_t there = at_least(rounds + response / 2, QUERIER_THERE_MIN_MS);
	if (now_ms < q->until_ms && memcmp(query->source, q->source, sizeof(q->source)) > 0)
		return there; /* the other has the lower address */

	const uint32_t good = at_least(rounds + response, QUERIER_GOOD_MIN_MS);
	if (good < q->good_ms) /* what was good until now has still to be asked for */
		q->since_ms = now_ms;
	q->good_ms = good;
	q->until_ms = now_ms + there;
	q->port = port;
	memcpy(q->source, query->source, sizeof(q->source));
	querier_update(q, now_ms);
	return there;
}

void querier_forget(struct querier *q, uint16_t port, uint64_t now_ms)
{
	if (q->port != port)
		return;
	q->port = PORT_NONE;
	q->until_ms = 0;
	querier_update(q, now_ms);
}

bool querier_due(struct querier *q, uint64_t now_ms)
{
	if (!q->asking || now_ms < q->next_ms)
		return false;
	if (q->n_sent < QUERIER_STARTUP)
		q->n_sent++;
	q->next_ms =
		now_ms + (q->n_sent < QUERIER_STARTUP ? QUERY_INTERVAL_MS / 4 : QUERY_INTERVAL_MS);
	return true;
}

uint64_t querier_good_until(const struct querier *q, uint64_t heard_ms)
{
	if (!q->present)
		return UINT64_MAX;
	return (heard_ms > q->since_ms ? heard_ms : q->since_ms) + q->good_ms;
}

/* -- frames -- */

static uint8_t *put(uint8_t *p, const void *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

/* Fills in the checksum of what lies from @from to @to at @at, begun with @sum. */
static void put_sum(uint8_t *at, const uint8_t *from, const uint8_t *to, uint64_t sum)
{
	csum_put(at, csum_add(sum, from, (size_t)(to - from)));
}

static uint32_t igmp_frame(struct feth_mac mac, uint32_t response_ms, uint8_t *out)
{
	/* Precedence 6, no identification as it is never in fragments, one hop, router alert (RFC
	 * 3376, 4); 0.0.0.0 to 224.0.0.1 */
	static const uint8_t ip[24] = { 0x46, 0xc0, 0, 36, 0, 0, 0x40, 0, 1, 2, 0, 0, 0, 0, 0, 0,
		224, 0, 0, 1, 0x94, 4, 0, 0 };
	static const uint8_t to[6] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 };
	/* below 128 a code is the number itself */
	const uint8_t query[12] = {
		0x11,
		(uint8_t)(response_ms / 100), [8] = QUERY_ROBUSTNESS, [9] = QUERY_INTERVAL_MS / 1000
	};
	uint8_t *p = put(out, to, 6);
	p = put(p, mac.b, 6);
	*p++ = 0x08;
	*p++ = 0x00;
	uint8_t *const header = p;
	p = put(p, ip, sizeof(ip));
	put_sum(header + 10, header, p, 0);
	uint8_t *const message = p;
	p = put(p, query, sizeof(query));
	put_sum(message + 2, message, p, 0);
	memset(p, 0, (size_t)(out + 60 - p)); /* the shortest Ethernet frame */
	return 60;
}

/* Link-local, as RFC 3810, 5.1.14 has it, and above all that is made of an address in the usual
 * way: the lower one is the querier (7.6.2), so no router yields to us. */
static void mld_source(struct feth_mac mac, uint8_t out[16])
{
	static const uint8_t prefix[10] = { 0xfe, 0x80, [8] = 0xff, [9] = 0xff };
	memcpy(out, prefix, sizeof(prefix));
	memcpy(out + sizeof(prefix), mac.b, sizeof(mac.b));
}

bool querier_is_ours(const struct snoop *query, struct feth_mac mac)
{
	uint8_t source[16];
	mld_source(mac, source);
	return query->family == MCAST_IP6 && !memcmp(query->source, source, sizeof(source));
}

static uint32_t mld_frame(struct feth_mac mac, uint32_t response_ms, uint8_t *out)
{
	static const uint8_t to[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	/* RFC 8200, 3: 36 bytes follow, the next header is hop-by-hop options, one hop */
	static const uint8_t ip[8] = { 0x60, 0, 0, 0, 0, 36, 0, 1 };
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	/* ICMPv6 is next; router alert (RFC 2711, 2.1), PadN of two */
	static const uint8_t options[8] = { 58, 0, 5, 2, 0, 0, 1, 0 };
	const uint8_t query[28] = { 130, [4] = (uint8_t)(response_ms >> 8),
		(uint8_t)response_ms, [24] = QUERY_ROBUSTNESS, [25] = QUERY_INTERVAL_MS / 1000 };
	uint8_t *p = put(out, to, 6);
	p = put(p, mac.b, 6);
	*p++ = 0x86;
	*p++ = 0xdd;
	p = put(p, ip, sizeof(ip));
	uint8_t *const addresses = p;
	mld_source(mac, p);
	p += 16;
	p = put(p, all_nodes, sizeof(all_nodes));
	p = put(p, options, sizeof(options));
	uint8_t *const message = p;
	p = put(p, query, sizeof(query));
	/* the pseudo header: addresses, then length and next header; the options are not in it */
	put_sum(message + 2, message, p, csum_add(csum_be16(sizeof(query) + 58), addresses, 32));
	return (uint32_t)(p - out);
}

uint32_t querier_frame(enum mcast_family family, struct feth_mac mac, uint32_t response_ms,
	uint8_t out[QUERIER_FRAME_MAX])
{
	return family == MCAST_IP4 ? igmp_frame(mac, response_ms, out)
				   : mld_frame(mac, response_ms, out);
}
