/* querier.h - who asks for reports in a network, and how long an answer is good; and the questions.
 *
 * One of a family. Others are queriers by RFC 3376, 6.6.2, the one with the lowest address the one
 * that counts. We may ask too where no other is heard; but as a switch that has no address of its
 * own, from 0.0.0.0, which nobody yields to (RFC 4541, 2.1.1, 1b). MLD has no such address, so
 * there it is the link-local one of an Ethernet address that is nobody's.
 *
 * Pure. */
#ifndef SERVER_CORE_QUERIER_H
#define SERVER_CORE_QUERIER_H

#include "server/core/fdb.h"
#include "server/core/snoop.h"

/* What a querier says of itself counts within limits, for any guest may be one. An answer is good
 * for as long as with the RFC's own numbers at least: longer does no harm, shorter ends what others
 * reported. And neither an answer nor the querier lasts longer than ten minutes: or one query of
 * large numbers would keep us from asking for 61 hours. So a query that gives hosts more time to
 * answer than a querier would does not count: reports would end before they are said again. */
#define QUERIER_GOOD_MIN_MS (QUERY_ROBUSTNESS * QUERY_INTERVAL_MS + QUERY_RESPONSE_MS) /* 260 s */
#define QUERIER_THERE_MIN_MS 10000u
#define QUERIER_MAX_MS 600000u
#define QUERIER_RESPONSE_MAX_MS 60000u
#define QUERIER_STARTUP 2u /* RFC 3376, 8.6 and 8.7: so many at first, at a quarter */

struct querier {
	bool wanted;        /* we ask where nobody else does */
	bool present;       /* somebody asks */
	bool asking;        /* it is us */
	uint8_t source[16]; /* the other one's address */
	uint16_t port;      /* where it was heard */
	uint64_t until_ms;  /* when it is gone if not heard again; RFC 3376, 8.5 */
	uint64_t since_ms;  /* answers from before then are as if given then */
	uint64_t next_ms;   /* our next query */
	unsigned n_sent;    /* by us, as long as it matters */
	uint32_t good_ms;   /* how long an answer is good: RFC 3376, 8.4 */
};

void querier_init(struct querier *q);
/* Time has come to be @now_ms, or `wanted` has changed. */
void querier_update(struct querier *q, uint64_t now_ms);
/* A query was heard from @port. Return: for how long a querier is taken to be there, milliseconds;
 * 0: it counts for nothing */
uint32_t querier_heard(
	struct querier *q, const struct snoop *query, uint16_t port, uint64_t now_ms);
/* Whether an MLD query is one of ours, from @mac, that has come back: by a loop, or a bridge that
 * sends back what it gets. (Those of IGMP are from nobody.) */
bool querier_is_ours(const struct snoop *query, struct feth_mac mac);
/* A port is gone, and with it a querier that was there. */
void querier_forget(struct querier *q, uint16_t port, uint64_t now_ms);
/* Whether somebody else asks, so that we need not and, in MLD, must not. */
static inline bool querier_other(const struct querier *q)
{
	return q->present && !q->asking;
}
/* Whether we ask now. */
bool querier_due(struct querier *q, uint64_t now_ms);
/* When what was heard at @heard_ms is good no more; UINT64_MAX: nobody asks, so it stays. */
uint64_t querier_good_until(const struct querier *q, uint64_t heard_ms);

#define QUERIER_FRAME_MAX 96u

/* A general query, IGMPv3 or MLDv2, which versions before take as their own (RFC 3376, 7.1; RFC
 * 3810, 8.1). @mac: ours. @out: QUERIER_FRAME_MAX bytes. Returns the frame's length. */
uint32_t querier_frame(enum mcast_family family, struct feth_mac mac, uint32_t response_ms,
	uint8_t out[QUERIER_FRAME_MAX]);

#endif
