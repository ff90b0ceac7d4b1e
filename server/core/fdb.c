/* fdb.c - see fdb.h. */
#include "server/core/fdb.h"

#include <errno.h>
#include <stdlib.h>

int fdb_init(struct fdb *fdb, uint32_t capacity, uint64_t seed)
{
	memset(fdb, 0, sizeof(*fdb));
	fdb->free = FDB_END;
	fdb->seed = seed;
	for (unsigned p = 0; p < FDB_PORTS; p++)
		fdb->ports[p].oldest = fdb->ports[p].newest = FDB_END;

	uint32_t n_buckets = 1;
	while (n_buckets < capacity)
		n_buckets *= 2;
	fdb->entries = calloc(capacity, sizeof(*fdb->entries));
	fdb->buckets = malloc(n_buckets * sizeof(*fdb->buckets));
	if (!fdb->entries || !fdb->buckets) {
		fdb_fini(fdb);
		return -ENOMEM;
	}
	for (uint32_t b = 0; b < n_buckets; b++)
		fdb->buckets[b] = FDB_END;
	fdb->mask = n_buckets - 1;
	fdb->capacity = capacity;
	return 0;
}

void fdb_fini(struct fdb *fdb)
{
	free(fdb->entries);
	free(fdb->buckets);
	fdb->entries = NULL;
	fdb->buckets = NULL;
}

static uint32_t find(const struct fdb *fdb, mac_key key)
{
	const struct fdb_entry *e = fdb_entry(fdb, key);
	return e ? (uint32_t)(e - fdb->entries) : FDB_END;
}

/* Dynamic entries are on their port's list; static ones are on none, but counted nowhere else
 * either. */
static void list_append(struct fdb *fdb, uint32_t i)
{
	struct fdb_entry *e = &fdb->entries[i];
	struct fdb_list *l = &fdb->ports[e->port];
	e->prev = l->newest;
	e->next = FDB_END;
	if (l->newest != FDB_END)
		fdb->entries[l->newest].next = i;
	else
		l->oldest = i;
	l->newest = i;
	if (!l->n++)
		fdb->n_holding++;
}

static void list_remove(struct fdb *fdb, uint32_t i)
{
	const struct fdb_entry *e = &fdb->entries[i];
	struct fdb_list *l = &fdb->ports[e->port];
	if (e->prev != FDB_END)
		fdb->entries[e->prev].next = e->next;
	else
		l->oldest = e->next;
	if (e->next != FDB_END)
		fdb->entries[e->next].prev = e->prev;
	else
		l->newest = e->prev;
	if (!--l->n)
		fdb->n_holding--;
}

static void forget(struct fdb *fdb, uint32_t i)
{
	struct fdb_entry *e = &fdb->entries[i];
	if (e->is_static)
		fdb->n_static--;
	else
		list_remove(fdb, i);
	uint32_t *link = &fdb->buckets[fdb_bucket(fdb, e->key)];
	while (*link != i)
		link = &fdb->entries[*link].chain;
	*link = e->chain;
	e->chain = fdb->free;
	fdb->free = i;
	fdb->n--;
}

/* The oldest address of the port that holds most, among equals of @port; FDB_END where no dynamic
 * one is left. */
static uint32_t oldest_of_heaviest(const struct fdb *fdb, uint16_t port)
{
	unsigned most = port;
	for (unsigned p = 0; p < FDB_PORTS; p++)
		if (fdb->ports[p].n > fdb->ports[most].n)
			most = p;
	return fdb->ports[most].oldest;
}

/* An unused entry in the bucket of @key, for @port to fill in; FDB_END where there is no room. */
static uint32_t take_entry(struct fdb *fdb, mac_key key, uint16_t port)
{
	if (fdb->n == fdb->capacity) {
		const struct fdb_list *own = &fdb->ports[port];
		const bool over_share =
			own->n && (uint64_t)own->n * fdb->n_holding >= fdb->capacity;
		const uint32_t victim = over_share ? own->oldest : oldest_of_heaviest(fdb, port);
		if (victim == FDB_END)
			return FDB_END;
		forget(fdb, victim);
	}

	uint32_t i = fdb->free;
	if (i != FDB_END)
		fdb->free = fdb->entries[i].chain;
	else
		i = fdb->fresh++;
	uint32_t *bucket = &fdb->buckets[fdb_bucket(fdb, key)];
	fdb->entries[i] = (struct fdb_entry){ .key = key, .port = port, .chain = *bucket };
	*bucket = i;
	fdb->n++;
	return i;
}

enum fdb_learned fdb_learn(
	struct fdb *fdb, mac_key key, uint16_t port, uint64_t now_ms, uint16_t *old_port)
{
	uint32_t i = find(fdb, key);
	if (i == FDB_END) {
		i = take_entry(fdb, key, port);
		if (i != FDB_END) {
			fdb->entries[i].seen_ms = now_ms;
			list_append(fdb, i);
		}
		return FDB_NEW;
	}

	struct fdb_entry *e = &fdb->entries[i];
	if (e->is_static)
		return e->port == port ? FDB_KNOWN : FDB_SPOOFED;
	if (e->port == port && now_ms - e->seen_ms < FDB_REFRESH_MS)
		return FDB_KNOWN;

	const bool expired = now_ms - e->seen_ms > FDB_AGE_MS;
	*old_port = e->port;
	list_remove(fdb, i);
	e->port = port;
	e->seen_ms = now_ms;
	list_append(fdb, i);
	return expired ? FDB_NEW : *old_port == port ? FDB_KNOWN : FDB_MOVED;
}

int fdb_add_static(struct fdb *fdb, mac_key key, uint16_t port)
{
	uint32_t i = find(fdb, key);
	if (i != FDB_END && fdb->entries[i].is_static)
		return fdb->entries[i].port == port ? 0 : -EEXIST;
	if (i != FDB_END)
		forget(fdb, i);
	i = take_entry(fdb, key, port);
	if (i == FDB_END)
		return -ENOSPC;
	fdb->entries[i].is_static = true;
	fdb->n_static++;
	return 0;
}

void fdb_remove_static(struct fdb *fdb, mac_key key, uint16_t port)
{
	const uint32_t i = find(fdb, key);
	if (i != FDB_END && fdb->entries[i].is_static && fdb->entries[i].port == port)
		forget(fdb, i);
}

void fdb_forget_port(struct fdb *fdb, uint16_t port)
{
	while (fdb->ports[port].oldest != FDB_END)
		forget(fdb, fdb->ports[port].oldest);
	for (uint32_t b = 0; b <= fdb->mask; b++) {
		for (uint32_t i = fdb->buckets[b], next; i != FDB_END; i = next) {
			next = fdb->entries[i].chain;
			if (fdb->entries[i].port == port)
				forget(fdb, i);
		}
	}
}

/* Forgets those learned of a port; of one address, in whatever VLAN, if @key is given. */
static void flush_port(struct fdb *fdb, uint16_t port, const mac_key *key)
{
	for (uint32_t i = fdb->ports[port].oldest, next; i != FDB_END; i = next) {
		next = fdb->entries[i].next;
		if (!key || !((fdb->entries[i].key ^ *key) << 16))
			forget(fdb, i);
	}
}

uint32_t fdb_flush(struct fdb *fdb, uint16_t port, const mac_key *key)
{
	const uint32_t before = fdb->n;
	for (uint16_t p = 0; p < FDB_PORTS; p++)
		if (port == PORT_NONE || p == port)
			flush_port(fdb, p, key);
	return before - fdb->n;
}

void fdb_count(const struct fdb *fdb, uint32_t *out_learned, uint32_t *out_static)
{
	uint32_t learned = 0;
	for (unsigned p = 0; p < FDB_PORTS; p++)
		learned += fdb->ports[p].n;
	*out_learned = learned;
	*out_static = fdb->n - learned;
}

void fdb_expire(struct fdb *fdb, uint64_t now_ms)
{
	for (unsigned p = 0; p < FDB_PORTS; p++) {
		uint32_t i;
		while (i = fdb->ports[p].oldest,
			i != FDB_END && now_ms - fdb->entries[i].seen_ms > FDB_AGE_MS)
			forget(fdb, i);
	}
}

static int order(
	const struct feth_mac *a, uint16_t a_vlan, const struct feth_mac *b, uint16_t b_vlan)
{
	const int by_mac = memcmp(a->b, b->b, sizeof(a->b));
	return by_mac ? by_mac : (int)a_vlan - (int)b_vlan;
}

/* Where an address belongs among @n rows in order. */
static size_t place(
	const struct fdb_info *rows, size_t n, const struct feth_mac *mac, uint16_t vlan)
{
	size_t lo = 0;
	while (lo < n) {
		const size_t mid = lo + (n - lo) / 2;
		if (order(&rows[mid].mac, rows[mid].vlan, mac, vlan) < 0)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

size_t fdb_list(const struct fdb *fdb, const struct feth_mac *after, uint16_t after_vlan,
	uint64_t now_ms, struct fdb_info *out, size_t limit, bool *more)
{
	size_t n = 0;
	*more = false;
	for (uint32_t b = 0; b <= fdb->mask; b++) {
		for (uint32_t i = fdb->buckets[b]; i != FDB_END; i = fdb->entries[i].chain) {
			const struct fdb_entry *e = &fdb->entries[i];
			const uint64_t age = e->is_static ? 0 : now_ms - e->seen_ms;
			const struct feth_mac mac = mac_of_key(e->key);
			const uint16_t vlan = vlan_of_key(e->key);
			if (age > FDB_AGE_MS ||
				(after && order(&mac, vlan, after, after_vlan) <= 0))
				continue;
			const size_t at = place(out, n, &mac, vlan);
			*more |= n == limit;
			if (at == limit)
				continue;
			n -= n == limit; /* the last one falls out */
			memmove(out + at + 1, out + at, (n - at) * sizeof(*out));
			out[at] = (struct fdb_info){ mac, vlan, e->port, e->is_static, age };
			n++;
		}
	}
	return n;
}
