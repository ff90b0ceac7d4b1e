/* toobig.h - the answer to a packet that is too long for where it goes: ICMP "fragmentation needed"
 * (RFC 792, RFC 1191) and ICMPv6 "packet too big" (RFC 4443, 3.2).
 *
 * A switch drops what is too long and says nothing, and path MTU discovery waits for ever. Where a
 * network has an address of the packet's family the switch answers in the host's name, as a router
 * would. It answers only what may be answered (RFC 1122, 3.2.2; RFC 4443, 2.4 e): no error, no
 * multicast or broadcast, no fragment but the first, nobody whose address is not one host's. Also
 * nothing malformed, and nothing that is not too long after all: a short packet in a padded frame.
 *
 * Pure: bytes and addresses in, bytes out. */
#ifndef SERVER_CORE_TOOBIG_H
#define SERVER_CORE_TOOBIG_H

#include "protocol/text.h"
#include "server/core/frame.h"

/* The longest answer: an ICMPv6 one of 1280 bytes (RFC 4443, 2.4 c), a header and a tag. */
#define TOOBIG_FRAME_MAX (1280u + 14u + 4u)

/* Answers of one network: a token bucket of so many at once, and so many a second. Path MTU
 * discovery needs one for each pair of hosts every ten minutes (RFC 1191, 6.3), and a lost one is
 * asked for again by the next packet; a hundred a second, 60 KB, let 6000 guests begin within a
 * minute, and cost nobody anything if all packets of a flood are too long. (RFC 4443, 2.4 f wants a
 * bucket, and says 10 and 10 of one small device.) */
#define TOOBIG_BURST 50u
#define TOOBIG_PER_SECOND 100u

struct toobig {
	uint64_t full_ms;  /* when the bucket is full again; of network_input()'s clock */
	uint64_t answered; /* since the network was made */
	uint64_t limited;  /* not looked at, for the bucket was empty */
};

/* Whether there is a token. Asked first, so that a flood of what is too long costs little. */
bool toobig_may(const struct toobig *tb, uint64_t now_ms);
/* Takes it: an answer goes. */
void toobig_take(struct toobig *tb, uint64_t now_ms);

/**
 * toobig_answer() - what to say to the sender of a frame
 * @frame:	that was dropped for its length; at least 14 bytes, with at most one 802.1Q tag
 * @mtu:	payload bytes that would have been possible
 * @room:	payload bytes that the sender can be given; at least 68
 * @mac:	of the host
 * @addrs:	of the host, @n of them; the one of the sender's subnet, or else the first, answers
 * @out:	the answer, with the tag that the frame had
 *
 * Return: its length in bytes; 0 where there is none to give
 */
uint32_t toobig_answer(const struct frame *frame, uint32_t mtu, uint32_t room, struct feth_mac mac,
	const struct cidr *addrs, unsigned n, uint8_t out[TOOBIG_FRAME_MAX]);

#endif
