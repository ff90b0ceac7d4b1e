/* prop_fdb.c - the forwarding table against a list that is searched from end to end. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "server/core/fdb.h"
#include "tests/support/rng.h"

#define CAPACITY_MAX 24u
#define PORTS 9u

/* The same policy as fdb.h tells it, in the simplest words. Entries lie in the order in which they
 * were last heard. */
struct entry {
	mac_key key;
	uint16_t port;
	bool is_static;
	uint64_t seen_ms;
};

struct model {
	struct entry entries[CAPACITY_MAX];
	unsigned n, capacity;
};

static struct entry *model_find(struct model *m, mac_key key)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->entries[i].key == key)
			return &m->entries[i];
	return NULL;
}

static void model_remove(struct model *m, struct entry *e)
{
	const size_t i = (size_t)(e - m->entries);
	memmove(e, e + 1, (--m->n - i) * sizeof(*e));
}

static void model_append(struct model *m, struct entry e)
{
	m->entries[m->n++] = e;
}

static unsigned held(const struct model *m, uint16_t port)
{
	unsigned n = 0;
	for (unsigned i = 0; i < m->n; i++)
		n += !m->entries[i].is_static && m->entries[i].port == port;
	return n;
}

static struct entry *oldest(struct model *m, uint16_t port)
{
	for (unsigned i = 0; i < m->n; i++)
		if (!m->entries[i].is_static && m->entries[i].port == port)
			return &m->entries[i];
	return NULL;
}

/* Room for one more of @port: its own oldest goes where it holds its share, else that of the
 * heaviest. */
static bool model_make_room(struct model *m, uint16_t port)
{
	if (m->n < m->capacity)
		return true;
	unsigned holding = 0;
	uint16_t heaviest = port;
	for (uint16_t p = 0; p < PORTS; p++) {
		holding += held(m, p) > 0;
		if (held(m, p) > held(m, heaviest))
			heaviest = p;
	}
	if (held(m, port) && held(m, port) * holding >= m->capacity)
		heaviest = port;
	struct entry *victim = oldest(m, heaviest);
	if (victim)
		model_remove(m, victim);
	return victim;
}

static enum fdb_learned model_learn(
	struct model *m, mac_key key, uint16_t port, uint64_t now_ms, uint16_t *old)
{
	struct entry *e = model_find(m, key);
	if (!e) {
		if (model_make_room(m, port))
			model_append(m, (struct entry){ key, port, false, now_ms });
		return FDB_NEW;
	}
	if (e->is_static)
		return e->port == port ? FDB_KNOWN : FDB_SPOOFED;
	const struct entry was = *e;
	if (was.port == port && now_ms - was.seen_ms < FDB_REFRESH_MS)
		return FDB_KNOWN;
	model_remove(m, e);
	model_append(m, (struct entry){ key, port, false, now_ms });
	*old = was.port;
	return now_ms - was.seen_ms > FDB_AGE_MS ? FDB_NEW
	       : was.port == port                ? FDB_KNOWN
						 : FDB_MOVED;
}

/* Whether learning would change nothing. */
static bool model_knows(struct model *m, mac_key key, uint16_t port, uint64_t now_ms)
{
	const struct entry *e = model_find(m, key);
	return e && e->port == port && (e->is_static || now_ms - e->seen_ms < FDB_REFRESH_MS);
}

static uint16_t model_lookup(struct model *m, mac_key key, uint64_t now_ms)
{
	const struct entry *e = model_find(m, key);
	return e && (e->is_static || now_ms - e->seen_ms <= FDB_AGE_MS) ? e->port : PORT_NONE;
}

static int model_add_static(struct model *m, mac_key key, uint16_t port)
{
	struct entry *e = model_find(m, key);
	if (e && e->is_static)
		return e->port == port ? 0 : -EEXIST;
	if (e)
		model_remove(m, e);
	if (!model_make_room(m, port))
		return -ENOSPC;
	model_append(m, (struct entry){ key, port, true, 0 });
	return 0;
}

static void model_forget_port(struct model *m, uint16_t port)
{
	for (unsigned i = m->n; i-- > 0;)
		if (m->entries[i].port == port)
			model_remove(m, &m->entries[i]);
}

static mac_key mac_of(mac_key key)
{
	return key & 0xffffffffffff;
}

static uint32_t model_flush(struct model *m, uint16_t port, const mac_key *key)
{
	const unsigned before = m->n;
	for (unsigned i = m->n; i-- > 0;) {
		const struct entry *e = &m->entries[i];
		if (!e->is_static && (port == PORT_NONE || e->port == port) &&
			(!key || mac_of(e->key) == mac_of(*key)))
			model_remove(m, &m->entries[i]);
	}
	return before - m->n;
}

static void model_expire(struct model *m, uint64_t now_ms)
{
	for (unsigned i = m->n; i-- > 0;)
		if (!m->entries[i].is_static && now_ms - m->entries[i].seen_ms > FDB_AGE_MS)
			model_remove(m, &m->entries[i]);
}

static int by_mac(const void *a, const void *b)
{
	const struct fdb_info *x = a, *y = b;
	const int order = memcmp(x->mac.b, y->mac.b, 6);
	return order ? order : x->vlan - y->vlan;
}

/* The whole list in pages of @limit is the sorted list of the model. */
static void same_list(struct fdb *fdb, struct model *m, uint64_t now_ms, size_t limit)
{
	struct fdb_info want[CAPACITY_MAX], got[CAPACITY_MAX], *after = NULL, last;
	size_t n = 0, at = 0;
	for (unsigned i = 0; i < m->n; i++) {
		const struct entry *e = &m->entries[i];
		if (model_lookup(m, e->key, now_ms) == PORT_NONE)
			continue;
		want[n++] = (struct fdb_info){ mac_of_key(e->key), (uint16_t)(e->key >> 48),
			e->port, e->is_static, e->is_static ? 0 : now_ms - e->seen_ms };
	}
	qsort(want, n, sizeof(*want), by_mac);
	for (bool more = true; more; after = &last) {
		const size_t page = fdb_list(fdb, after ? &after->mac : NULL,
			after ? after->vlan : 0, now_ms, got, limit, &more);
		assert_true(page <= limit && at + page <= n);
		for (size_t i = 0; i < page; i++, at++) {
			assert_memory_equal(got[i].mac.b, want[at].mac.b, 6);
			assert_int_equal(got[i].vlan, want[at].vlan);
			assert_int_equal(got[i].port, want[at].port);
			assert_int_equal(got[i].is_static, want[at].is_static);
			assert_int_equal(got[i].age_ms, want[at].age_ms);
		}
		if (page)
			last = got[page - 1];
		assert_int_equal(more, at < n);
	}
}

/* What the table says of itself is true. */
static void sound(const struct fdb *fdb)
{
	uint32_t statics = 0, dynamic = 0, holding = 0;
	for (uint32_t b = 0; b <= fdb->mask; b++)
		for (uint32_t i = fdb->buckets[b]; i != UINT32_MAX; i = fdb->entries[i].chain)
			statics += fdb->entries[i].is_static;
	for (unsigned p = 0; p < FDB_PORTS; p++) {
		uint32_t n = 0, before = UINT32_MAX;
		uint64_t seen = 0;
		for (uint32_t i = fdb->ports[p].oldest; i != UINT32_MAX; i = fdb->entries[i].next) {
			assert_int_equal(fdb->entries[i].port, p);
			assert_int_equal(fdb->entries[i].prev, before);
			assert_true(fdb->entries[i].seen_ms >= seen);
			seen = fdb->entries[i].seen_ms;
			before = i;
			n++;
		}
		assert_int_equal(fdb->ports[p].newest, before);
		assert_int_equal(fdb->ports[p].n, n);
		dynamic += n;
		holding += n > 0;
	}
	assert_int_equal(fdb->n_holding, holding);
	assert_int_equal(fdb->n, statics + dynamic);
	uint32_t learned, fixed;
	fdb_count(fdb, &learned, &fixed);
	assert_int_equal(learned, dynamic);
	assert_int_equal(fixed, statics);
}

static void test_the_table_is_as_a_plain_list_would_be(void **state)
{
	(void)state;
	struct rng rng = rng_start("fdb");
	struct fdb *fdb = malloc(sizeof(*fdb));
	for (unsigned round = 0; round < 600; round++) {
		struct model m = { .capacity = rng_between(&rng, 1, CAPACITY_MAX) };
		const unsigned keys = rng_between(&rng, 1, 3 * CAPACITY_MAX);
		const unsigned ports = rng_between(&rng, 1, PORTS);
		uint64_t now_ms = rng_next(&rng) >> 20;
		assert_int_equal(fdb_init(fdb, m.capacity, rng_next(&rng)), 0);
		for (unsigned step = 0; step < 600; step++) {
			mac_key key = 2 + 256 * (mac_key)rng_below(&rng, keys);
			if (rng_one_in(&rng, 3)) /* in a VLAN */
				key |= (mac_key)rng_between(&rng, 1, 2) << 48;
			const uint16_t port = (uint16_t)rng_below(&rng, ports);
			uint16_t old = 0, old_model = 0;
			switch (rng_below(&rng, 40)) {
			case 0: {
				const bool full =
					rng_one_in(&rng, 4); /* static only now and then */
				assert_int_equal(full ? fdb_add_static(fdb, key, port) : 0,
					full ? model_add_static(&m, key, port) : 0);
				break;
			}
			case 1: {
				struct entry *e = model_find(&m, key);
				fdb_remove_static(fdb, key, port);
				if (e && e->is_static && e->port == port)
					model_remove(&m, e);
				break;
			}
			case 2:
				if (rng_one_in(&rng, 3)) {
					fdb_forget_port(fdb, port);
					model_forget_port(&m, port);
				}
				break;
			case 3:
				fdb_expire(fdb, now_ms);
				model_expire(&m, now_ms);
				break;
			case 4:
				now_ms += rng_below(&rng, 200000);
				break;
			case 5:
				same_list(fdb, &m, now_ms, rng_between(&rng, 1, CAPACITY_MAX));
				break;
			case 6: {
				const bool all = rng_one_in(&rng, 8);
				const bool of_port = rng_one_in(&rng, 2);
				const uint16_t where = of_port ? port : PORT_NONE;
				const mac_key *what = all ? NULL : &key;
				assert_int_equal(
					fdb_flush(fdb, where, what), model_flush(&m, where, what));
				break;
			}
			default:
				now_ms += rng_below(&rng, 300);
				assert_int_equal(fdb_knows(fdb, key, port, now_ms),
					model_knows(&m, key, port, now_ms));
				assert_int_equal(fdb_learn(fdb, key, port, now_ms, &old),
					model_learn(&m, key, port, now_ms, &old_model));
				assert_int_equal(old, old_model);
			}
			assert_int_equal(fdb_find(fdb, key, now_ms), model_lookup(&m, key, now_ms));
			assert_int_equal(fdb->n, m.n);
			if (step % 8 == 0)
				sound(fdb);
		}
		for (mac_key k = 0; k < keys; k++)
			assert_int_equal(fdb_find(fdb, 2 + 256 * k, now_ms),
				model_lookup(&m, 2 + 256 * k, now_ms));
		fdb_fini(fdb);
	}
	free(fdb);
}

/* Whatever others do, who holds fewer addresses than its share of the table keeps them. */
static void test_who_holds_less_than_its_share_keeps_it(void **state)
{
	(void)state;
	struct rng rng = rng_start("fairness");
	struct fdb *fdb = malloc(sizeof(*fdb));
	for (unsigned round = 0; round < 40; round++) {
		const unsigned ports = rng_between(&rng, 2, PORTS);
		const unsigned share = 24 / ports;
		assert_int_equal(fdb_init(fdb, 24, rng_next(&rng)), 0);
		uint16_t old;
		for (unsigned i = 0; i < share; i++)
			fdb_learn(fdb, 2 + 256 * i, 0, 0, &old);
		for (unsigned i = 0; i < 2000; i++)
			fdb_learn(fdb, 2 + 256 * (mac_key)(1000 + rng_below(&rng, 4000)),
				(uint16_t)rng_between(&rng, 1, ports - 1), i, &old);
		for (unsigned i = 0; i < share; i++)
			assert_int_equal(fdb_find(fdb, 2 + 256 * i, 2000), 0);
		fdb_fini(fdb);
	}
	free(fdb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_table_is_as_a_plain_list_would_be),
		cmocka_unit_test(test_who_holds_less_than_its_share_keeps_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
