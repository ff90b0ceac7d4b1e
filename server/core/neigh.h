/* neigh.h - the neighbours of a host side that knows IP packets only: whose hardware address is
 * whose, and the packets that wait to hear it. Below l3glue.h.
 *
 * Theory of operation. Each neighbour is in a state of RFC 4861, 7.3.2, those of ARP too:
 *
 *   INCOMPLETE  asked for, by all; packets wait
 *   REACHABLE   said so itself not long ago
 *   STALE       known, but not for how long; the next packet makes it DELAY
 *   DELAY       known, and about to be asked
 *   PROBE       being asked, it alone
 *   FAILED      did not answer; packets for it are dropped for a second, then it is asked again
 *
 * Lists, each with a limit of its own, the longest unused first: neighbours the host sends to
 * (*used*); those it would send to if they answered, not asked yet (*fresh*) and *asked*; those
 * that sent something before the host did (*answered*); and those that it sends nothing to
 * (*heard*). A full list forgets its own first: who invents a thousand neighbours pushes out
 * inventions, and a host that scans an address range pushes out what it scanned, and neither the
 * neighbours that packets go to.
 *
 * Who sends from a thousand invented addresses makes the host answer all of them. That must not
 * keep it from whom it wants to reach of its own accord: so an address that a packet came from is
 * asked for where that came from, first and alone, which costs only who sent it; and the limit of
 * questions to all is another for these, also where it is forgotten from where they came. What is
 * asked of all is remembered until the answer had its time, for only the limit lets anything into
 * that list; and who waits for the limit is taken newest first, for among many that nobody waits
 * for any more it is the one that somebody does.
 *
 * Memory: the table is made once; packets that wait are copied, with limits. Pure. */
#ifndef SERVER_CORE_NEIGH_H
#define SERVER_CORE_NEIGH_H

#include "server/core/bucket.h"
#include "server/core/frame.h"
#include "server/core/netid.h"

/* Linux remembers 1024 of each family before it refuses (gc_thresh3 of arp(7)), and a network has
 * at most 1024 ports. */
#define NEIGH_USED_MAX 1024u
/* A second and more of what NEIGH_ASK_* let pass, so that each may answer. */
#define NEIGH_ASKED_MAX 256u
#define NEIGH_FRESH_MAX 64u
#define NEIGH_ANSWERED_MAX 512u
#define NEIGH_HEARD_MAX 512u
#define NEIGH_MAX                                                                                  \
	(NEIGH_USED_MAX + NEIGH_ASKED_MAX + NEIGH_FRESH_MAX + NEIGH_ANSWERED_MAX + NEIGH_HEARD_MAX)

/* What waits for one neighbour: of more the oldest goes (RFC 4861, 7.2.2). Enough for what several
 * connections begin with at once; TCP sends the rest again. And what waits for all of them. */
#define NEIGH_WAITING 16u
#define NEIGH_WAITING_BYTES (256u * 1024u)

/* Milliseconds, and times. RFC 4861, 10; and RFC 1122, 2.3.2.1 wants the same of ARP: no more than
 * one request a second for one neighbour. */
#define NEIGH_RETRANS_MS 1000u
#define NEIGH_REACHABLE_MS 30000u /* times 0.5 to 1.5, at random */
#define NEIGH_DELAY_MS 5000u
#define NEIGH_SOLICITS 3u

/* Requests to all, of all neighbours together: each is a broadcast to every port. And those of them
 * for *answered* ones. */
#define NEIGH_ASK_BURST 48u
#define NEIGH_ASK_PER_SECOND 75u
#define NEIGH_ANSWER_BURST 16u
#define NEIGH_ANSWER_PER_SECOND 25u

/* That something came from an address is remembered longer than from where, for the host's answers
 * come when the loop gets to them, and a turn of it reads some thousands of small frames: of the
 * last 8192 to 16384 addresses that were not known, two bits each in filters of 65536. Of others at
 * most one in ten is taken for such a one; and soon another, when there are so many. 16 KiB. */
#define NEIGH_MARKED 8192u
#define NEIGH_MARK_BITS 65536u

struct ip {
	uint8_t family; /* 4 or 6 */
	uint8_t b[16];  /* in the order of the wire; IPv4 in the first four, then zeros */
};

static inline bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && !memcmp(a->b, b->b, sizeof(a->b));
}

enum neigh_state {
	NEIGH_INCOMPLETE,
	NEIGH_REACHABLE,
	NEIGH_STALE,
	NEIGH_DELAY,
	NEIGH_PROBE,
	NEIGH_FAILED,
};

enum neigh_list {
	NEIGH_FRESH,
	NEIGH_ASKED,
	NEIGH_ANSWERED,
	NEIGH_USED,
	NEIGH_HEARD,
	NEIGH_LISTS,
};

/* A frame that waits for its first six bytes. */
struct neigh_packet {
	struct neigh_packet *next;
	struct frame frame; /* of data[] */
	uint8_t data[];
};

struct neigh {
	struct ip ip;
	struct feth_mac mac; /* of INCOMPLETE and FAILED only if hinted */
	bool hinted;         /* something came from there; it was not asked there yet */
	uint8_t state;       /* enum neigh_state */
	uint8_t list;        /* enum neigh_list */
	uint8_t asks;        /* of this round */
	uint8_t n_waiting;
	uint32_t chain;      /* next of the bucket */
	uint32_t prev, next; /* of the list */
	uint64_t used_ms;    /* the host last sent to it, to within a second; FAILED: since when */
	uint64_t due_ms;     /* INCOMPLETE, DELAY, PROBE: when something is to be done; REACHABLE:
				until when */
	struct neigh_packet *first, *last; /* owned */
};

struct neigh_cache {
	struct neigh *entries; /* owned; NEIGH_MAX */
	uint32_t *buckets;     /* owned */
	struct netid_key key;  /* of the hash, so that peers cannot choose collisions */
	uint64_t random;
	uint32_t free, fresh; /* entries given back; entries never used */
	struct {
		uint32_t oldest, newest, n;
	} lists[NEIGH_LISTS];
	uint64_t due_ms;                         /* nothing is to be done before */
	struct bucket asking, answering;         /* NEIGH_ASK_*, NEIGH_ANSWER_* */
	uint64_t marks[2][NEIGH_MARK_BITS / 64]; /* those before are [1] */
	uint32_t n_marked;                       /* in [0] */
	struct ip hint;                          /* the last one: most come many times in a row */
	struct feth_mac hint_mac;
	uint32_t waiting;                        /* bytes */
	struct neigh_packet *ready, *ready_last; /* owned: those that waited long enough */
	uint64_t lost, lost_bytes;               /* packets that were dropped, since ever */
};

/* @key: random and secret. 0 or -ENOMEM, and then neigh_fini() is still safe. */
int neigh_init(struct neigh_cache *c, const struct netid_key *key);
void neigh_fini(struct neigh_cache *c);

/* NULL where it is not known. */
struct neigh *neigh_find(const struct neigh_cache *c, const struct ip *ip);

static inline bool neigh_known(const struct neigh *n)
{
	return n->state != NEIGH_INCOMPLETE && n->state != NEIGH_FAILED;
}

/* The neighbour that the host sends a packet to, now; made where there is none, and then, or where
 * it was not heard of for long, neigh_run() has something to ask. */
struct neigh *neigh_use(struct neigh_cache *c, const struct ip *ip, uint64_t now_ms);

/* A frame for an INCOMPLETE one is copied and waits; where it goes is put in when the neighbour is
 * known. What there is no room for is dropped and counted. */
void neigh_wait(struct neigh_cache *c, struct neigh *n, const struct frame *frame);

/* How a neighbour was heard of: RFC 4861, 7.2.5. */
enum {
	NEIGH_SOLICITED = 1, /* it answered what it was asked */
	NEIGH_OVERRIDE = 2,  /* its address is to be believed even where another is known */
	NEIGH_CREATE = 4,    /* it wants something of the host, which will have to answer */
};

/**
 * neigh_heard() - a neighbour made its hardware address known
 * @mac:	NULL: it did not say it, but that it is there
 * @how:	NEIGH_* above
 *
 * Packets that waited become ready.
 */
void neigh_heard(struct neigh_cache *c, const struct ip *ip, const struct feth_mac *mac,
	unsigned how, uint64_t now_ms);

/* A packet came from @ip, by @mac. That is believed of nobody, but where @ip is not known it will
 * be asked for there. */
void neigh_hint(
	struct neigh_cache *c, const struct ip *ip, const struct feth_mac *mac, uint64_t now_ms);

/* Does what is due: calls @ask for each neighbour to be asked: all where it is INCOMPLETE and not
 * hinted, or it alone. It may be called as often as one likes. */
void neigh_run(struct neigh_cache *c, uint64_t now_ms,
	void (*ask)(void *ctx, const struct neigh *n), void *ctx);

/* The next frame that is ready, or NULL; given: free() it. */
struct neigh_packet *neigh_ready(struct neigh_cache *c);

#endif
