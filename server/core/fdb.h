/* fdb.h - the forwarding table: behind which port each Ethernet address is.
 *
 * Theory of operation. A switch learns an address from the source of every frame and sends frames
 * for it to that port alone; what it does not know it floods. So the table decides who sees whose
 * traffic, and an attacker wants two things of it: to fill it, so that everything is flooded, and
 * to find addresses that share a bucket, so that look-ups crawl. Against the first the table is
 * *fair*: when it is full, a port that holds its share or more pushes out its own oldest address,
 * and only a port below its share takes from the one that holds most. Against the second the hash
 * is keyed by a secret.
 *
 * Dynamic addresses age: an address not heard of for FDB_AGE_MS is unknown. *Static* ones (the
 * host's, and those a port is locked to) stay until removed, are never evicted, and a frame from
 * such an address on another port is spoofed.
 *
 * With VLANs (vlan.h) the VLAN an address was learned in is part of its key, so each has a table of
 * its own. A static address has none: it is guarded in all of them (fdb_key_in()).
 *
 * Every port's dynamic addresses are a list in the order they were last heard, so that the oldest
 * is at hand. To keep the frame path cheap an address moves to the end of its list at most once in
 * FDB_REFRESH_MS.
 *
 * Pure: no I/O, no clock, no allocation after fdb_init(). Called by vswitch.c only. */
#ifndef SERVER_CORE_FDB_H
#define SERVER_CORE_FDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "feth/types.h"

#define FDB_CAPACITY 8192u        /* what desktop switches hold; 448 KiB when full */
#define FDB_AGE_MS (300u * 1000u) /* IEEE 802.1D-2004, 7.9.2: recommended default */
#define FDB_REFRESH_MS 1000u
/* Who locks ports to addresses gets one in so many of the table's: else he would leave no room to
 * learn in, and everything would be flooded. */
#define FDB_STATIC_SHARE 2u
#define FDB_PORTS 1025u /* port numbers, 0 is the host side */
#define PORT_HOST 0u
#define PORT_NONE UINT16_MAX

/* An address as a number: equal addresses, equal numbers. The top two bytes are the VLAN it was
 * learned in, 0 where there is none. Never 0xffff in them. */
typedef uint64_t mac_key;

static inline mac_key mac_key_at(const uint8_t *p)
{
	uint32_t lo;
	uint16_t hi;
	memcpy(&lo, p, sizeof(lo));
	memcpy(&hi, p + 4, sizeof(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline struct feth_mac mac_of_key(mac_key key)
{
	const uint32_t lo = (uint32_t)key;
	const uint16_t hi = (uint16_t)(key >> 32);
	struct feth_mac mac;
	memcpy(mac.b, &lo, sizeof(lo));
	memcpy(mac.b + 4, &hi, sizeof(hi));
	return mac;
}

static inline uint16_t vlan_of_key(mac_key key)
{
	return (uint16_t)(key >> 48);
}

struct fdb_entry {
	mac_key key;
	uint64_t seen_ms;
	uint32_t chain;      /* next in the bucket; FDB_END */
	uint32_t prev, next; /* in the port's list, older and newer; FDB_END */
	uint16_t port;
	bool is_static;
};

struct fdb_list {
	uint32_t oldest, newest; /* FDB_END where empty */
	uint32_t n;
};

struct fdb {
	struct fdb_entry *entries; /* owned; `capacity` of them */
	uint32_t *buckets;         /* owned; `mask` + 1 of them */
	uint32_t mask;
	uint32_t capacity;
	uint32_t n;         /* in use */
	uint32_t n_static;  /* of these */
	uint32_t fresh;     /* entries from here on were never used */
	uint32_t free;      /* list of given-back entries, by `chain` */
	uint32_t n_holding; /* ports that hold a dynamic address */
	uint64_t seed;
	struct fdb_list ports[FDB_PORTS];
};

#define FDB_END UINT32_MAX

/* Two rounds of multiply and fold, keyed: who does not know the seed cannot choose collisions. */
static inline uint32_t fdb_bucket(const struct fdb *fdb, mac_key key)
{
	uint64_t h = (key ^ fdb->seed) * 0x9e3779b97f4a7c15;
	h ^= h >> 32;
	h *= fdb->seed | 1;
	return (uint32_t)(h >> 32) & fdb->mask;
}

/* The entry of @key, expired or not; NULL where there is none. */
static inline struct fdb_entry *fdb_entry(const struct fdb *fdb, mac_key key)
{
	for (uint32_t i = fdb->buckets[fdb_bucket(fdb, key)]; i != FDB_END;
		i = fdb->entries[i].chain)
		if (fdb->entries[i].key == key)
			return &fdb->entries[i];
	return NULL;
}

/* What stands for an address in a VLAN: itself where it is static, or the VLAN is 0. */
static inline mac_key fdb_key_in(const struct fdb *fdb, mac_key key, uint16_t vlan)
{
	const struct fdb_entry *e = vlan ? fdb_entry(fdb, key) : NULL;
	return !vlan || (e && e->is_static) ? key : key | (mac_key)vlan << 48;
}

/* What learning an address found. */
enum fdb_learned {
	FDB_KNOWN,   /* already there, on this port */
	FDB_NEW,     /* learned, or no room for it */
	FDB_MOVED,   /* was on another port until now */
	FDB_SPOOFED, /* static on another port; nothing changed */
};

/**
 * fdb_init() - make an empty table
 * @capacity:	most addresses remembered at once, at least 1
 * @seed:	random and secret per network; a constant in tests
 *
 * Return: 0, or -ENOMEM (then @fdb is empty, and fdb_fini() still safe)
 */
int fdb_init(struct fdb *fdb, uint32_t capacity, uint64_t seed);
void fdb_fini(struct fdb *fdb);

/**
 * fdb_learn() - note that @key was heard on @port
 * @key:	a source address, not a group (802.1D-2004, 7.8)
 * @now_ms:	monotonic milliseconds, never less than in the call before
 * @old_port:	out: for FDB_MOVED, where it was
 */
enum fdb_learned fdb_learn(
	struct fdb *fdb, mac_key key, uint16_t port, uint64_t now_ms, uint16_t *old_port);

/* Whether fdb_learn() would find nothing to do. Nearly always, so it is asked first, and inline. */
static inline bool fdb_knows(const struct fdb *fdb, mac_key key, uint16_t port, uint64_t now_ms)
{
	const struct fdb_entry *e = fdb_entry(fdb, key);
	return e && e->port == port && (e->is_static || now_ms - e->seen_ms < FDB_REFRESH_MS);
}

/* The port that reaches @key; PORT_NONE where unknown or older than FDB_AGE_MS. */
static inline uint16_t fdb_find(const struct fdb *fdb, mac_key key, uint64_t now_ms)
{
	const struct fdb_entry *e = fdb_entry(fdb, key);
	if (!e || (!e->is_static && now_ms - e->seen_ms > FDB_AGE_MS))
		return PORT_NONE;
	return e->port;
}

/* Whether @key is a static address of @port, or of any other. */
static inline bool fdb_static_on(const struct fdb *fdb, mac_key key, uint16_t port)
{
	const struct fdb_entry *e = fdb_entry(fdb, key);
	return e && e->is_static && e->port == port;
}

static inline bool fdb_static_elsewhere(const struct fdb *fdb, mac_key key, uint16_t port)
{
	const struct fdb_entry *e = fdb_entry(fdb, key);
	return e && e->is_static && e->port != port;
}

/* How many more static addresses ports may have. */
static inline uint32_t fdb_static_room(const struct fdb *fdb)
{
	const uint32_t most = fdb->capacity / FDB_STATIC_SHARE;
	return fdb->n_static < most ? most - fdb->n_static : 0;
}

/* Makes @key a static address of @port, whatever was known of it. -EEXIST where it is static on
 * another port, -ENOSPC where the whole table is static addresses. */
int fdb_add_static(struct fdb *fdb, mac_key key, uint16_t port);
/* Forgets @key if it is a static address of @port. */
void fdb_remove_static(struct fdb *fdb, mac_key key, uint16_t port);

/* Forgets all addresses of a port, static ones too. */
void fdb_forget_port(struct fdb *fdb, uint16_t port);

/* Forgets what was learned on @port (PORT_NONE: on all), or of it only @key; static addresses stay.
 * Returns how many. What a port still sends from is learned again with its next frame. */
uint32_t fdb_flush(struct fdb *fdb, uint16_t port, const mac_key *key);

/* How many addresses there are, those that fdb_expire() would forget included. */
void fdb_count(const struct fdb *fdb, uint32_t *out_learned, uint32_t *out_static);

/* Forgets what is older than FDB_AGE_MS. Called every few seconds, so that memory and fairness do
 * not count the dead; fdb_find() alone would be correct. */
void fdb_expire(struct fdb *fdb, uint64_t now_ms);

struct fdb_info {
	struct feth_mac mac;
	uint16_t vlan; /* it was learned in; 0 none, or all */
	uint16_t port;
	bool is_static;
	uint64_t age_ms;
};

/* Up to @limit known addresses in the order of their bytes, and of VLANs, from the first greater
 * than @after in @after_vlan (NULL: the smallest). Returns how many; *more is whether there are
 * further ones. */
size_t fdb_list(const struct fdb *fdb, const struct feth_mac *after, uint16_t after_vlan,
	uint64_t now_ms, struct fdb_info *out, size_t limit, bool *more);

#endif
