/* access.c - see access.h. */
#include "server/core/access.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MODE_R 4u
#define MODE_W 2u

static size_t peer_size(const struct peer *peer)
{
	return offsetof(struct peer, groups) + peer->n_groups * sizeof(peer->groups[0]);
}

struct peer *peer_copy(const struct peer *peer)
{
	struct peer *copy = malloc(peer_size(peer));
	if (copy)
		peer_assign(copy, peer);
	return copy;
}

void peer_assign(struct peer *to, const struct peer *from)
{
	memcpy(to, from, peer_size(from));
}

static bool in_group(const struct access *access, const struct peer *peer, uint32_t gid)
{
	if (gid == ACCESS_NO_ONE || (access->rootless && gid == UID_OVERFLOW))
		return false;
	if (peer->gid == gid)
		return true;
	for (unsigned i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == gid)
			return true;
	return access->elsewhere && access->elsewhere(peer, gid);
}

static unsigned of_bits(unsigned bits)
{
	return (bits & MODE_R ? (unsigned)RIGHT_OBSERVE : 0) |
	       (bits & MODE_W ? (unsigned)RIGHT_ATTACH : 0);
}

/* Groups last, and only where something is to be won: asking of one may take long. */
static unsigned of_rules(
	const struct access *access, const struct peer *peer, const struct access_rules *rules)
{
	unsigned rights = of_bits(rules->mode & 7);
	if (peer->uid == rules->uid) {
		rights |= of_bits(rules->mode >> 6 & 7);
		if ((rules->mode >> 6 & 6) == (MODE_R | MODE_W))
			rights |= RIGHT_CONTROL;
	}
	for (unsigned i = 0; i < rules->n_allow; i++)
		if (!rules->allow[i].allow.group && rules->allow[i].id == peer->uid)
			rights |= rules->allow[i].allow.rights;
	const unsigned group = of_bits(rules->mode >> 3 & 7);
	if (group & ~rights && in_group(access, peer, rules->gid))
		rights |= group;
	for (unsigned i = 0; i < rules->n_allow; i++)
		if (rules->allow[i].allow.group && rules->allow[i].allow.rights & ~rights &&
			in_group(access, peer, rules->allow[i].id))
			rights |= rules->allow[i].allow.rights;
	return rights & RIGHT_CONTROL ? RIGHTS_NETWORK : rights;
}

unsigned access_rights(
	const struct access *access, const struct peer *peer, const struct access_rules *rules)
{
	if (access->rootless && peer->uid == UID_OVERFLOW)
		return rules ? of_bits(rules->mode & 7) : (unsigned)RIGHT_ANY;
	if (peer->uid == 0 || peer->uid == access->uid || in_group(access, peer, access->admin_gid))
		return RIGHTS_NETWORK | RIGHT_ADMIN;
	return rules ? of_rules(access, peer, rules) : (unsigned)RIGHT_ANY;
}

bool access_same(const struct access_rules *a, const struct access_rules *b)
{
	if (strcmp(a->owner, b->owner) != 0 || strcmp(a->group, b->group) != 0 ||
		a->uid != b->uid || a->gid != b->gid || a->mode != b->mode ||
		a->n_allow != b->n_allow)
		return false;
	for (unsigned i = 0; i < a->n_allow; i++) {
		const struct access_rule *x = &a->allow[i], *y = &b->allow[i];
		if (x->id != y->id || x->allow.group != y->allow.group ||
			x->allow.rights != y->allow.rights ||
			strcmp(x->allow.name, y->allow.name) != 0)
			return false;
	}
	return true;
}

bool access_twice(const struct access_rules *rules, unsigned *first, unsigned *second)
{
	for (unsigned i = 0; i < rules->n_allow; i++)
		for (unsigned k = i + 1; k < rules->n_allow; k++)
			if (rules->allow[i].id == rules->allow[k].id &&
				rules->allow[i].allow.group == rules->allow[k].allow.group) {
				*first = i;
				*second = k;
				return true;
			}
	return false;
}

/* The kernel looks at the first class that fits: an owner without rights who is in the group would
 * be kept out. So a class has what any behind it has. And who cannot be given a file gets in as
 * anybody does: only root can give one away. */
struct access_files access_files(const struct access *access, const struct access_rules *rules)
{
	const bool owned = rules->uid != ACCESS_NO_ONE;
	const bool give = owned && access->uid == 0;
	const bool others = rules->mode & 06 || rules->n_allow ||
			    (owned && !give && rules->uid != access->uid && rules->mode & 0600);
	const bool group = rules->gid != ACCESS_NO_ONE && rules->mode & 060;
	return (struct access_files){
		.uid = give ? rules->uid : access->uid,
		.gid = rules->gid,
		.mode = others  ? 0666
			: group ? 0660
				: 0600,
	};
}

struct access_files access_files_shared(
	const struct access *access, const struct access_rules *rules)
{
	struct access_files files = access_files(access, rules);
	if (files.uid != access->uid)
		files.mode = 0666; /* its owner is one of the others now */
	files.uid = access->uid;
	return files;
}
