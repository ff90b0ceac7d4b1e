/* prop_groups.c - sets of groups against a table of bits, one for each MAC that could be in it. */
#include "tests/support/test.h"

#include <string.h>

#include "server/core/groups.h"
#include "tests/support/rng.h"

#define ROUNDS 300u
#define UNIVERSE_MAX 3000u /* MACs in play: sets below, at and above the bound */

/* The @i-th MAC in ascending order: they differ in their first, middle and last bytes. */
static struct feth_mac nth(unsigned i)
{
	return (struct feth_mac){ { (uint8_t)(1 + 2 * (i / 1000)), 0, (uint8_t)(i / 250 % 4), 9, 0,
		(uint8_t)(i % 250) } };
}

struct model {
	bool in[UNIVERSE_MAX];
	unsigned universe;
};

/* The lowest GROUPS_MAX of the model, as numbers. */
static unsigned lowest(const struct model *m, unsigned *out)
{
	unsigned n = 0;
	for (unsigned i = 0; i < m->universe && n < GROUPS_MAX; i++)
		if (m->in[i])
			out[n++] = i;
	return n;
}

static unsigned size(const struct model *m)
{
	unsigned n = 0;
	for (unsigned i = 0; i < m->universe; i++)
		n += m->in[i];
	return n;
}

static void assert_same(const struct groups *g, const struct model *m)
{
	static unsigned want[GROUPS_MAX];
	const unsigned n = lowest(m, want);
	assert_int_equal(g->n, n);
	assert_int_equal(g->total, size(m));
	for (unsigned i = 0; i < n; i++)
		assert_memory_equal(g->mac[i].b, nth(want[i]).b, 6);
}

/* Some of the universe in random order, with repeats as long as none can be out of sight. */
static void fill(struct rng *rng, struct groups *g, struct model *m)
{
	const unsigned puts = rng_below(rng, 2 * m->universe + 1);
	*g = (struct groups){ 0 };
	memset(m->in, 0, sizeof(m->in));
	for (unsigned k = 0; k < puts; k++) {
		const unsigned i = rng_below(rng, m->universe);
		if (m->in[i] && !groups_has(g, nth(i)))
			continue; /* pushed out: it would be counted again */
		const bool was = m->in[i];
		m->in[i] = true;
		const bool taken = groups_put(g, nth(i));
		assert_int_equal(taken, !was && groups_has(g, nth(i)));
	}
	assert_same(g, m);
	for (unsigned i = 0; i < m->universe; i++)
		if (groups_has(g, nth(i)))
			assert_true(m->in[i]);
}

/* joined = is \ was and left = was \ is, of what is in sight; so was - left + joined = is. */
static void assert_changes(const struct groups *was, const struct groups *is, unsigned universe)
{
	static struct groups joined, left;
	unsigned j = 0, l = 0;
	groups_compare(was, is, &joined, &left);
	for (unsigned i = 0; i < universe; i++) {
		const struct feth_mac mac = nth(i);
		const bool before = groups_has(was, mac), after = groups_has(is, mac);
		if (!before && after)
			assert_memory_equal(joined.mac[j++].b, mac.b, 6);
		if (before && !after)
			assert_memory_equal(left.mac[l++].b, mac.b, 6);
	}
	assert_int_equal(joined.n, j);
	assert_int_equal(left.n, l);
	assert_int_equal(joined.total, j);
	assert_int_equal(left.total, l);
}

static void test_sets_and_changes_are_those_of_the_model(void **state)
{
	(void)state;
	static struct groups was, is;
	static struct model m;
	struct rng rng = rng_start("prop_groups");
	for (unsigned round = 0; round < ROUNDS; round++) {
		m.universe = rng_one_in(&rng, 4) ? UNIVERSE_MAX : rng_between(&rng, 1, 64);
		fill(&rng, &was, &m);
		fill(&rng, &is, &m);
		assert_changes(&was, &is, m.universe);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets_and_changes_are_those_of_the_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
