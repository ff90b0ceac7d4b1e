/* grouptable.h - which ports are in which multicast group, and why: the memory of mcast.c, which
 * has the rules.
 *
 * Bounded, and keyed by a secret as fdb.h is, so that whoever chooses groups cannot choose what
 * shares a bucket. Of the room a part is kept from reports, which any guest can send, for clients
 * and the host, and a part of that for the host.
 *
 * Pure: no I/O, no clock, no allocation after grouptable_init(). */
#ifndef SERVER_CORE_GROUPTABLE_H
#define SERVER_CORE_GROUPTABLE_H

#include "server/core/portset.h"

#define GROUPTABLE_GROUPS 1024u   /* a large office has some hundred; 168 bytes each */
#define GROUPTABLE_MEMBERS 16384u /* 16 for each of 1024 ports, a Linux guest is in about six */
/* Of both, what reports may take. */
#define GROUPTABLE_REPORTED(limit) ((limit) / 4u * 3u)
/* And what reports and clients may: the rest is the host's alone, for a list of its groups that is
 * not whole is no list. */
#define GROUPTABLE_JOINED(limit) ((limit) / 8u * 7u)
/* Of one port's reports, so that a guest that joins at random fills its own share only.
 * What its client joined is not counted, that has a limit in io/memberships.c; nor what is reported
 * through the host side, of which the kernel says most too. */
#define GROUPTABLE_PER_PORT 256u
#define GROUPTABLE_NONE UINT16_MAX

/* Why a port is in a group. */
#define GROUP_RPC 1u     /* its client joined */
#define GROUP_SNOOPED 2u /* an IGMP or MLD report was heard from it */
#define GROUP_HOST 4u    /* the host's kernel says so; port PORT_HOST */

struct member {
	uint64_t heard_ms; /* joined or reported last */
	uint64_t leave_ms; /* when a leave takes effect; 0: none */
	uint32_t chain;    /* next in the bucket, or of the free ones: index + 1 */
	uint16_t group;
	uint16_t port;
	uint8_t how; /* GROUP_RPC, GROUP_SNOOPED, GROUP_HOST; 0: not in use */
	bool tagged; /* reported with a VLAN tag */
	bool some;   /* reported for some sources only, ever since it was */
	bool fresh;  /* in the host's list that is being set */
};

struct group {
	mac_key key;
	struct portset ports;
	uint16_t n;     /* in ports */
	uint16_t chain; /* next in the bucket, or of the free ones: index + 1 */
	uint16_t news;  /* next of those with news: index + 1 */
	uint16_t told;  /* what grouptable_news() said last */
	bool used;
	bool has_news;
};

struct grouptable {
	struct group *groups;     /* owned; GROUPTABLE_GROUPS of them */
	struct member *members;   /* owned; GROUPTABLE_MEMBERS of them */
	uint16_t *group_buckets;  /* owned; as many, index + 1 */
	uint32_t *member_buckets; /* owned; as many, index + 1 */
	uint64_t seed;
	uint32_t n_groups, n_members;     /* in use */
	uint32_t top_groups, top_members; /* from here on they were never used */
	uint32_t free_members;            /* index + 1 */
	uint16_t free_groups, news;       /* index + 1 */
	uint16_t per_port[FDB_PORTS];     /* that were reported from each */
};

/* Return: 0, or -ENOMEM; grouptable_fini() is safe either way. */
int grouptable_init(struct grouptable *t, uint64_t seed);
void grouptable_fini(struct grouptable *t);

static inline uint32_t grouptable_hash(const struct grouptable *t, uint64_t key)
{
	uint64_t h = (key ^ t->seed) * 0x9e3779b97f4a7c15; /* as fdb_bucket() */
	h ^= h >> 32;
	h *= t->seed | 1;
	return (uint32_t)(h >> 32);
}

/* The number of a group that has members, or had until now; GROUPTABLE_NONE. */
static inline uint16_t grouptable_find(const struct grouptable *t, mac_key key)
{
	uint16_t i = t->group_buckets[grouptable_hash(t, key) % GROUPTABLE_GROUPS];
	for (; i; i = t->groups[i - 1].chain)
		if (t->groups[i - 1].key == key)
			return (uint16_t)(i - 1);
	return GROUPTABLE_NONE;
}

/* A port in a group; NULL where it is not. */
struct member *grouptable_member(const struct grouptable *t, uint16_t group, uint16_t port);

/* Puts a port in a group for the reason @how as well, at @now_ms; a report takes a leave back.
 * NULL: there is no room. */
struct member *grouptable_add(
	struct grouptable *t, mac_key key, uint16_t port, uint8_t how, uint64_t now_ms);
/* Takes a reason away, and with the last one the port out of the group. */
void grouptable_drop(struct grouptable *t, struct member *m, uint8_t how);

/* The groups whose members are nobody, one, or several, and were not when this told last: takes
 * one. @only: the one, else PORT_NONE. False where there is none. What has no members is there
 * until this told so. */
bool grouptable_news(struct grouptable *t, struct feth_mac *group, bool *joined, uint16_t *only);

/* The first group in the order of their bytes that has members, from @from on; GROUPTABLE_NONE. */
uint16_t grouptable_next(const struct grouptable *t, const struct feth_mac *from);

#endif
