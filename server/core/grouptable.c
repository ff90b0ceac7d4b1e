/* grouptable.c - see grouptable.h. */
#include "server/core/grouptable.h"

#include <errno.h>
#include <stdlib.h>

/* group.told, where it is no port: none, several */
#define TOLD_NONE (PORT_NONE - 1)
#define TOLD_MANY PORT_NONE

int grouptable_init(struct grouptable *t, uint64_t seed)
{
	memset(t, 0, sizeof(*t));
	t->seed = seed;
	t->groups = calloc(GROUPTABLE_GROUPS, sizeof(*t->groups));
	t->members = calloc(GROUPTABLE_MEMBERS, sizeof(*t->members));
	t->group_buckets = calloc(GROUPTABLE_GROUPS, sizeof(*t->group_buckets));
	t->member_buckets = calloc(GROUPTABLE_MEMBERS, sizeof(*t->member_buckets));
	if (t->groups && t->members && t->group_buckets && t->member_buckets)
		return 0;
	grouptable_fini(t);
	return -ENOMEM;
}

void grouptable_fini(struct grouptable *t)
{
	free(t->groups);
	free(t->members);
	free(t->group_buckets);
	free(t->member_buckets);
	t->groups = NULL;
	t->members = NULL;
	t->group_buckets = NULL;
	t->member_buckets = NULL;
}

static uint32_t *member_bucket(const struct grouptable *t, uint16_t group, uint16_t port)
{
	const uint64_t key = (uint64_t)group << 16 | port;
	return &t->member_buckets[grouptable_hash(t, key) % GROUPTABLE_MEMBERS];
}

struct member *grouptable_member(const struct grouptable *t, uint16_t group, uint16_t port)
{
	for (uint32_t i = *member_bucket(t, group, port); i; i = t->members[i - 1].chain) {
		struct member *m = &t->members[i - 1];
		if (m->group == group && m->port == port)
			return m;
	}
	return NULL;
}

/* -- groups -- */

static uint16_t state_of(const struct group *g)
{
	return g->n > 1 ? TOLD_MANY : g->n ? portset_next(&g->ports, 0) : TOLD_NONE;
}

static void note_news(struct grouptable *t, uint16_t group)
{
	struct group *g = &t->groups[group];
	if (g->has_news)
		return;
	g->has_news = true;
	g->news = t->news;
	t->news = (uint16_t)(group + 1);
}

static uint16_t new_group(struct grouptable *t, mac_key key)
{
	uint16_t i = t->free_groups;
	if (i)
		t->free_groups = t->groups[i - 1].chain;
	else
		i = (uint16_t)++t->top_groups;
	uint16_t *bucket = &t->group_buckets[grouptable_hash(t, key) % GROUPTABLE_GROUPS];
	t->groups[i - 1] =
		(struct group){ .key = key, .chain = *bucket, .told = TOLD_NONE, .used = true };
	*bucket = i;
	t->n_groups++;
	return (uint16_t)(i - 1);
}

static void free_group(struct grouptable *t, uint16_t group)
{
	struct group *g = &t->groups[group];
	uint16_t *link = &t->group_buckets[grouptable_hash(t, g->key) % GROUPTABLE_GROUPS];
	while (*link != group + 1)
		link = &t->groups[*link - 1].chain;
	*link = g->chain;
	g->used = false;
	g->chain = t->free_groups;
	t->free_groups = (uint16_t)(group + 1);
	t->n_groups--;
}

bool grouptable_news(struct grouptable *t, struct feth_mac *group, bool *joined, uint16_t *only)
{
	while (t->news) {
		const uint16_t i = (uint16_t)(t->news - 1);
		struct group *g = &t->groups[i];
		const uint16_t state = state_of(g);
		const bool same = state == g->told;
		t->news = g->news;
		g->has_news = false;
		g->told = state;
		*group = mac_of_key(g->key);
		*joined = state != TOLD_NONE;
		*only = *joined ? state : PORT_NONE;
		if (!g->n)
			free_group(t, i);
		if (!same)
			return true;
	}
	return false;
}

uint16_t grouptable_next(const struct grouptable *t, const struct feth_mac *from)
{
	uint16_t best = GROUPTABLE_NONE;
	struct feth_mac least;
	for (uint32_t i = 0; i < t->top_groups; i++) {
		if (!t->groups[i].used || !t->groups[i].n)
			continue;
		const struct feth_mac mac = mac_of_key(t->groups[i].key);
		if (memcmp(mac.b, from->b, sizeof(mac.b)) < 0)
			continue;
		if (best != GROUPTABLE_NONE && memcmp(mac.b, least.b, sizeof(mac.b)) > 0)
			continue;
		best = (uint16_t)i;
		least = mac;
	}
	return best;
}

/* -- members -- */

static uint32_t room_for(uint8_t how, uint32_t limit)
{
	if (how == GROUP_HOST)
		return limit;
	return how == GROUP_RPC ? GROUPTABLE_JOINED(limit) : GROUPTABLE_REPORTED(limit);
}

static bool has_room(const struct grouptable *t, uint16_t group, uint8_t how)
{
	return t->n_members < room_for(how, GROUPTABLE_MEMBERS) &&
	       (group != GROUPTABLE_NONE || t->n_groups < room_for(how, GROUPTABLE_GROUPS));
}

/* Whether one more may be reported from @port; also of a group its client joined, or it could leave
 * more behind than its share. */
static bool may_report(const struct grouptable *t, uint16_t port)
{
	return port == PORT_HOST || t->per_port[port] < GROUPTABLE_PER_PORT;
}

static struct member *new_member(struct grouptable *t, uint16_t group, uint16_t port)
{
	uint32_t i = t->free_members;
	if (i)
		t->free_members = t->members[i - 1].chain;
	else
		i = ++t->top_members;
	uint32_t *bucket = member_bucket(t, group, port);
	t->members[i - 1] = (struct member){ .chain = *bucket, .group = group, .port = port };
	*bucket = i;
	t->n_members++;
	return &t->members[i - 1];
}

struct member *grouptable_add(
	struct grouptable *t, mac_key key, uint16_t port, uint8_t how, uint64_t now_ms)
{
	uint16_t group = grouptable_find(t, key);
	struct member *m = group == GROUPTABLE_NONE ? NULL : grouptable_member(t, group, port);
	const bool first = how == GROUP_SNOOPED && !(m && m->how & GROUP_SNOOPED);
	if (first && !may_report(t, port))
		return NULL;
	if (!m) {
		if (!has_room(t, group, how))
			return NULL;
		if (group == GROUPTABLE_NONE)
			group = new_group(t, key);
		m = new_member(t, group, port);
		portset_add(&t->groups[group].ports, port);
		t->groups[group].n++;
		note_news(t, group);
	}
	if (how == GROUP_SNOOPED || !m->how)
		m->heard_ms = now_ms;
	if (how == GROUP_SNOOPED)
		m->leave_ms = 0;
	t->per_port[port] = (uint16_t)(t->per_port[port] + first);
	m->how |= how;
	return m;
}

void grouptable_drop(struct grouptable *t, struct member *m, uint8_t how)
{
	if (how & m->how & GROUP_SNOOPED) {
		m->leave_ms = 0;
		m->tagged = m->some = false;
		t->per_port[m->port]--;
	}
	m->how &= (uint8_t)~how;
	if (m->how)
		return;
	const uint32_t i = (uint32_t)(m - t->members);
	uint32_t *link = member_bucket(t, m->group, m->port);
	while (*link != i + 1)
		link = &t->members[*link - 1].chain;
	*link = m->chain;
	m->chain = t->free_members;
	t->free_members = i + 1;
	t->n_members--;
	portset_remove(&t->groups[m->group].ports, m->port);
	t->groups[m->group].n--;
	note_news(t, m->group);
}
