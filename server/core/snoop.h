/* snoop.h - what a frame says about multicast groups: IGMP, MLD and PIM hello, read only.
 *
 * IGMPv1 (RFC 1112), v2 (RFC 2236), v3 (RFC 3376), MLDv1 (RFC 2710), v2 (RFC 3810), and of PIM the
 * hello (RFC 7761, 4.9.2), behind at most one 802.1Q or 802.1ad tag. A message is taken as a whole
 * or not at all: all its lengths, counts and checksums are looked at before anything of it counts.
 *
 * A switch passes frames on by address, whatever sources were asked for, so of the source lists
 * only that they are empty or not matters: who wants some sources of a group wants the group.
 *
 * Pure. */
#ifndef SERVER_CORE_SNOOP_H
#define SERVER_CORE_SNOOP_H

#include "server/core/frame.h"

/* A frame in pieces is put together up to here: a message of an Ethernet of 1500 bytes is whole
 * then. What is longer and in pieces is cut, and not understood. */
#define SNOOP_SCRATCH 1518u

enum snoop_kind {
	SNOOP_DATA,   /* none of ours: data like any other */
	SNOOP_BAD,    /* one of ours, but malformed */
	SNOOP_OTHER,  /* IGMP of a type that is none of ours */
	SNOOP_QUERY,  /* who is there? */
	SNOOP_REPORT, /* joins and leaves: snoop_next() */
	SNOOP_HELLO,  /* a multicast router: PIM */
};

enum mcast_family { MCAST_IP4, MCAST_IP6, MCAST_FAMILIES };

/* RFC 3376, 8.1, 8.2, 8.3 and RFC 3810, 9.1, 9.2, 9.3: what is so if nobody says otherwise. */
#define QUERY_ROBUSTNESS 2u
#define QUERY_INTERVAL_MS 125000u
#define QUERY_RESPONSE_MS 10000u

struct snoop {
	enum snoop_kind kind;
	enum mcast_family family;
	bool tagged;
	bool cut; /* SNOOP_BAD as it did not fit into scratch: what it says is not known */

	/* queries */
	uint8_t version; /* of IGMP or MLD */
	bool general;    /* about all groups */
	bool for_all; /* all hosts hear it and answer: general, untagged, its Ethernet destination
			 that of its IP destination, no checksum still owed */
	bool nobody;  /* from 0.0.0.0: by a switch, which is no querier (RFC 4541, 2.1.1) */
	uint8_t robustness;
	uint32_t response_ms;
	uint32_t interval_ms;
	uint8_t source[16]; /* who asks; of IPv4 the last four bytes, the others zero */

	uint32_t hold_ms; /* hello: how long it is good for; 0: the router goes */

	/* reports: what snoop_next() reads; lives as long as the frame, or scratch */
	const uint8_t *records;
	uint8_t type;  /* of the message */
	uint16_t left; /* records still to be read */
	bool sources;  /* of what was read last: only some sources are asked for, or left */
};

/* Whether a frame for an IP group may be one of ours: a look at three bytes. */
static inline bool snoop_may(const struct frame *frame)
{
	const uint8_t *p = frame->head + 12;
	const uint16_t outer = frame_type(frame);
	const uint32_t tag = outer == ETH_P_CTAG || outer == ETH_P_STAG ? 4 : 0;
	if (frame->head_len < 14 + tag + 10)
		return true; /* in small pieces */
	p += tag;
	if (p[0] == 0x08 && p[1] == 0x00) /* protocol IGMP, PIM */
		return p[2 + 9] == 2 || p[2 + 9] == 103;
	if (p[0] == 0x86 && p[1] == 0xdd) /* next header hop-by-hop options, PIM */
		return p[2 + 6] == 0 || p[2 + 6] == 103;
	return false;
}

/* Reads a frame of at least 14 bytes. @scratch: for one that lies in pieces. */
void snoop_parse(const struct frame *frame, uint8_t scratch[SNOOP_SCRATCH], struct snoop *out);

/* The next join or leave of a report; false at the end. With `sources` a leave is of some sources
 * only (BLOCK_OLD_SOURCES), maybe all there were: by it alone a host leaves that asked for sources
 * (RFC 3376, 5.1). */
bool snoop_next(struct snoop *report, struct feth_mac *group, bool *join);

#endif
