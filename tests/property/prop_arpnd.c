/* prop_arpnd.c - random ARP and ND frames against what they were made of; and any frame, cut or
 * changed anywhere: what the short look passes over claims nothing. */
#include "tests/support/test.h"

#include "tests/support/claims.h"
#include "tests/support/rng.h"

#define ROUNDS 20000u

struct want {
	unsigned mac[64], n;
	bool doubtful;
};

static void put_options(struct rng *rng, struct claims *c, struct want *want)
{
	const unsigned n = rng_below(rng, 12);
	for (unsigned i = 0; i < n; i++) {
		const unsigned mac = rng_below(rng, 200), type = rng_below(rng, 6);
		claims_option(c, type, mac);
		if (type == 1 || type == 2)
			want->mac[want->n++] = mac;
	}
}

static unsigned put_extensions(struct rng *rng, struct claims *c, struct want *want)
{
	static const uint8_t kinds[] = { 0, 43, 51, 60, 44 };
	unsigned n = rng_below(rng, 5);
	const unsigned first = n ? kinds[rng_below(rng, 5)] : 58;
	claims_ip6(c, first);
	for (unsigned kind = first; n; n--) {
		const unsigned next = n > 1 ? kinds[rng_below(rng, 5)] : 58;
		claims_extension(c, kind, next, kind == 44 ? 8 : 8 * rng_between(rng, 1, 6));
		want->doubtful |= kind == 44;
		kind = next;
	}
	return first;
}

static void make(struct rng *rng, struct claims *c, struct want *want)
{
	static const uint16_t arps[] = { ETH_P_ARP, ETH_P_RARP, ETH_P_AARP };
	*want = (struct want){ 0 };
	claims_begin(c, 1);
	for (unsigned tags = rng_below(rng, 3); tags; tags--)
		claims_tag(c, rng_one_in(rng, 2) ? ETH_P_CTAG : ETH_P_STAG);
	const unsigned type = rng_one_in(rng, 3) ? arps[rng_below(rng, 3)] : ETH_P_IP6;
	if (rng_one_in(rng, 4))
		claims_snap(c, type);
	else
		claims_16(c, type);
	if (type == ETH_P_IP6) {
		put_extensions(rng, c, want);
		claims_nd_body(c, rng_between(rng, 133, 137));
		put_options(rng, c, want);
		claims_end(c);
	} else {
		want->mac[want->n++] = rng_below(rng, 200);
		claims_arp_body(c, rng_below(rng, 9), want->mac[0]);
	}
	claims_zero(c, rng_below(rng, 30));
}

/* Reads a frame, in random pieces and none with a byte behind it. */
static unsigned read_all(struct rng *rng, const struct claims *c, mac_key *out, bool *doubtful)
{
	static uint8_t scratch[ARPND_SCRATCH];
	const uint32_t cut = rng_one_in(rng, 2) ? c->len : rng_between(rng, 14, c->len);
	uint8_t *first = exact_copy(c->b, cut), *rest = exact_copy(c->b + cut, c->len - cut);
	const struct seg more = { rest, c->len - cut };
	const struct frame frame = { .head = first,
		.head_len = cut,
		.len = c->len,
		.more = cut < c->len ? &more : NULL,
		.more_n = cut < c->len };
	struct arpnd a;
	mac_key claim;
	unsigned n = 0;
	arpnd_read(&frame, scratch, &a);
	while (arpnd_next(&a, &claim)) {
		if (n < 64)
			out[n] = claim;
		n++;
	}
	assert_true(n * 6 <= c->len);
	*doubtful = a.doubtful;
	if (!arpnd_may(&frame)) {
		assert_int_equal(n, 0);
		assert_false(a.doubtful);
	}
	free(first);
	free(rest);
	return n;
}

static void test_what_was_put_in_is_what_is_read(void **state)
{
	static struct claims c;
	struct rng rng = rng_start("what_was_put_in_is_what_is_read");
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct want want;
		mac_key got[64];
		bool doubtful;
		make(&rng, &c, &want);
		assert_int_equal(read_all(&rng, &c, got, &doubtful), want.n);
		for (unsigned i = 0; i < want.n; i++)
			assert_true(got[i] == key_n(want.mac[i]));
		assert_int_equal(doubtful, want.doubtful);
	}
}

static void test_cut_or_changed_frames_are_read_within_their_bounds(void **state)
{
	static struct claims c;
	struct rng rng = rng_start("cut_or_changed_frames_are_read_within_their_bounds");
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct want want;
		mac_key got[64];
		bool doubtful;
		make(&rng, &c, &want);
		for (unsigned n = rng_below(&rng, 5); n; n--)
			c.b[rng_between(&rng, 12, c.len - 1)] = (uint8_t)rng_next(&rng);
		if (rng_one_in(&rng, 2))
			c.len = rng_between(&rng, 14, c.len);
		(void)read_all(&rng, &c, got, &doubtful);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_put_in_is_what_is_read),
		cmocka_unit_test(test_cut_or_changed_frames_are_read_within_their_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
