/* groups.h - the multicast groups that somebody listens to: a sorted set of MACs, and what changed
 * from one to the next.
 *
 * Pure: no I/O, no allocation. A backend's groups() puts in order here what its kernel tells; who
 * watches a host member reads it with groups_read() and compares with what it was. */
#ifndef SERVER_CORE_GROUPS_H
#define SERVER_CORE_GROUPS_H

#include <stdbool.h>

#include "feth/types.h"
#include "server/core/hostif.h"

/* Groups of one interface that are looked at. A host has about ten; what bounds it is that a list,
 * or everything joined and everything left at once, is one RPC object: a MAC as text takes 18
 * bytes, so 2 * 1024 of them 36 KiB of FETH_RPC_MAX. */
#define GROUPS_MAX 1024u

struct groups {
	unsigned n;     /* in mac[] */
	unsigned total; /* that there are; above n: the highest have no room here */
	struct feth_mac mac[GROUPS_MAX]; /* ascending, each once */
};

/* Whether @mac can be a group at all: IEEE 802.3, 3.2.3, the first bit on the wire. */
static inline bool groups_is(struct feth_mac mac)
{
	return mac.b[0] & 1u;
}

/* Puts @mac in its place, if it is not there. A full set keeps the lowest; what has no room adds to
 * the total each time it is put. Return: whether it is in the set, and was not. */
bool groups_put(struct groups *g, struct feth_mac mac);

bool groups_has(const struct groups *g, struct feth_mac mac);

/* Writes the lowest @max into @out, as hostif_ops.groups has to. Return: the total */
int groups_give(const struct groups *g, struct feth_mac *out, unsigned max);

/**
 * groups_read() - ask a backend
 * @out:	untouched on failure
 * @host:	name of a host member
 *
 * Return: 0, or what hostif_ops.groups says: -ENODEV
 */
int groups_read(struct groups *out, const struct hostif_ops *ops, const char *host);

/* What is in @is and not in @was has joined, what is in @was and not in @is has left. Where a total
 * is above GROUPS_MAX, this is true of the lowest GROUPS_MAX only, and a low one that joins pushes
 * a high one out. */
void groups_compare(const struct groups *was, const struct groups *is, struct groups *out_joined,
	struct groups *out_left);

#endif
