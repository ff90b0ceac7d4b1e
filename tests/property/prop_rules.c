/* prop_rules.c - the fate of each frame between ports with random rules, against a switch that
 * looks at one frame after the other; and what a token bucket gives, whatever its clock does. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/network_priv.h"
#include "server/core/police.h"
#include "tests/support/eth.h"
#include "tests/support/fakenet.h"
#include "tests/support/rng.h"

#define PORTS 6u  /* p1 to p5, whose addresses are 1 to 5, and the host side, number 0 */
#define LOCKED 5u /* the port that is locked to its address */
#define MACS 8u   /* 0: the host's; 6 and 7: of nobody */
#define NOWHERE 99u
#define BATCH 30u
#define LEN_MAX 1514u

/* Thousandths. A rate of 0: without end. */
struct model_bucket {
	uint64_t level, at_ms;
};

struct model_port {
	bool isolated, up;
	uint32_t cap, rates[2], storm; /* rates: rx, tx */
	struct model_bucket rate[2], flood;
	char log[BATCH + 1];
	unsigned n_log;
	uint64_t drops[DROP_N];
};

struct run {
	struct rng rng;
	struct fakenet fn;
	struct fake_port fakes[PORTS]; /* [0] unused */
	struct model_port ports[PORTS];
	unsigned where[MACS];
	uint8_t bufs[BATCH][LEN_MAX];
};

/* -- the model -- */

static void fill(struct run *r, struct model_bucket *b, uint64_t rate, uint64_t burst)
{
	b->level += (r->fn.now_ms - b->at_ms) * rate;
	b->at_ms = r->fn.now_ms;
	if (b->level > burst * 1000)
		b->level = burst * 1000;
}

static bool take(struct model_bucket *b, uint64_t n)
{
	if (b->level < n * 1000)
		return false;
	b->level -= n * 1000;
	return true;
}

static bool fits(const struct model_port *p, const struct frame *f)
{
	const bool tagged = frame_type(f) == ETH_P_CTAG;
	return f->len <= p->cap - (tagged ? 0 : 4);
}

static bool within(struct run *r, struct model_port *p, unsigned direction, const struct frame *f)
{
	const uint32_t rate = p->rates[direction];
	if (!rate)
		return true;
	fill(r, &p->rate[direction], rate, rate / 4 > 131072 ? rate / 4 : 131072);
	return !fits(p, f) || take(&p->rate[direction], f->len);
}

static void output(struct run *r, unsigned in, unsigned out, const struct frame *f, bool flooded)
{
	struct model_port *p = &r->ports[out];
	if (!p->up)
		p->drops[DROP_LINK_DOWN] += !flooded;
	else if (p->isolated && r->ports[in].isolated)
		r->ports[in].drops[DROP_ISOLATED] += !flooded;
	else if (!within(r, p, 1, f))
		p->drops[DROP_RATE]++;
	else if (!fits(p, f))
		p->drops[DROP_TOO_BIG_FOR_PORT]++;
	else
		p->log[p->n_log++] = eth_tag(f);
}

static enum drop_reason input(
	struct run *r, unsigned in, unsigned dst, unsigned src, const struct frame *f)
{
	struct model_port *p = &r->ports[in];
	if (!p->up)
		return DROP_LINK_DOWN;
	if (!within(r, p, 0, f))
		return DROP_RATE;
	if (!fits(p, f))
		return DROP_OVERSIZE;
	if ((src == 0 || src == LOCKED || in == LOCKED) && src != in)
		return DROP_SPOOFED;
	r->where[src] = in;
	const unsigned out = dst == BROADCAST ? NOWHERE : r->where[dst];
	if (out == in)
		return DROP_LOCAL;
	if (out != NOWHERE) {
		output(r, in, out, f, false);
		return DROP_N;
	}
	if (p->storm)
		fill(r, &p->flood, p->storm, p->storm);
	if (p->storm && !take(&p->flood, 1))
		return DROP_STORM;
	for (unsigned k = 0; k < PORTS; k++)
		if (k != in)
			output(r, in, k, f, true);
	return DROP_N;
}

static void model_set(struct run *r, unsigned k, const struct port_rules *want)
{
	struct model_port *p = &r->ports[k];
	if (want->given & RULE_ISOLATED)
		p->isolated = want->isolated;
	if (want->given & RULE_CAP)
		p->cap = want->cap < 1518 ? want->cap : 1518;
	if (want->given & RULE_RX_RATE)
		p->rates[0] = want->rx_rate;
	if (want->given & RULE_TX_RATE)
		p->rates[1] = want->tx_rate;
	if (want->given & RULE_STORM)
		p->storm = want->storm;
	if (!(want->given & RULE_UP))
		return;
	for (unsigned m = 0; m < MACS && !want->up; m++)
		if (r->where[m] == k && m != LOCKED)
			r->where[m] = NOWHERE;
	p->up = want->up;
}

/* -- operations -- */

static uint32_t random_rate(struct run *r)
{
	static const uint32_t rates[] = { 0, 1, 5000, 1000000, 3000000, UINT32_MAX };
	return rates[rng_below(&r->rng, 6)];
}

static void op_set(struct run *r)
{
	const unsigned k = rng_below(&r->rng, PORTS);
	struct port_conf conf = { .control = true };
	struct port_rules *want = &conf.rules;
	struct port_info info;
	want->given = (uint32_t)rng_next(&r->rng) & rules_builtin.given & ~(uint32_t)RULE_MACS;
	if (!k)
		want->given &= rules_host.given;
	want->isolated = rng_one_in(&r->rng, 2);
	want->up = !rng_one_in(&r->rng, 3);
	want->cap = rng_between(&r->rng, 86, 1700);
	want->queue = 4096;
	want->rx_rate = random_rate(r);
	want->tx_rate = random_rate(r);
	want->storm = rng_one_in(&r->rng, 2) ? rng_between(&r->rng, 1, 60) : 0;
	assert_int_equal(
		network_set_port(r->fn.net, (uint16_t)k, &conf, r->fn.now_ms, &info, NULL), 0);
	model_set(r, k, want);
}

static unsigned random_mac(struct run *r, unsigned likely)
{
	return rng_one_in(&r->rng, 8) ? rng_below(&r->rng, MACS) : likely;
}

static void without_flushes(const char *log, char *out)
{
	for (; *log; log++)
		if (*log != '|')
			*out++ = *log;
	*out = '\0';
}

static void check(struct run *r)
{
	char got[FAKE_LOG];
	for (unsigned k = 0; k < PORTS; k++) {
		struct model_port *p = &r->ports[k];
		char *log = k ? r->fakes[k].log : r->fn.host_log;
		p->log[p->n_log] = '\0';
		without_flushes(log, got);
		assert_string_equal(got, p->log);
		log[0] = '\0';
		p->n_log = 0;
		const struct port_stats *stats = &r->fn.net->recs[k]->stats;
		for (unsigned d = 0; d < DROP_N; d++)
			if (stats->drops[d] != p->drops[d])
				fail_msg("port %u: %llu %s, not %llu", k,
					(unsigned long long)stats->drops[d],
					drop_name((enum drop_reason)d),
					(unsigned long long)p->drops[d]);
	}
}

static void op_batch(struct run *r)
{
	struct frame frames[BATCH];
	const unsigned n = rng_between(&r->rng, 1, BATCH);
	const unsigned in = rng_below(&r->rng, PORTS);
	unsigned dst = BROADCAST;
	for (unsigned i = 0; i < n; i++) {
		if (rng_one_in(&r->rng, 3)) /* else a run */
			dst = rng_one_in(&r->rng, 3) ? BROADCAST : rng_below(&r->rng, MACS);
		const unsigned src = random_mac(r, in);
		const uint32_t len =
			rng_one_in(&r->rng, 2) ? LEN_MAX : rng_between(&r->rng, 60, LEN_MAX);
		frames[i] = eth_frame(r->bufs[i], dst ? dst : HOST_MAC, src ? src : HOST_MAC,
			rng_one_in(&r->rng, 4) ? ETH_P_CTAG : 0x88b5, len, (char)('A' + i));
		const enum drop_reason why = input(r, in, dst, src, &frames[i]);
		if (why < DROP_N)
			r->ports[in].drops[why]++;
	}
	fake_batch(&r->fn, in ? &r->fakes[in] : NULL, frames, n);
	check(r);
}

static void one_run(struct rng *rng, uint64_t drops[DROP_N])
{
	struct run *r = calloc(1, sizeof(*r));
	r->rng.state = rng_next(rng);
	assert_int_equal(fakenet_open(&r->fn, true, 1500), 0);
	fakenet_unguard(&r->fn);
	for (unsigned m = 0; m < MACS; m++)
		r->where[m] = m == 0 || m == LOCKED ? m : NOWHERE;
	for (unsigned k = 0; k < PORTS; k++) {
		r->ports[k] = (struct model_port){
			.up = true, .cap = 1518, .storm = k ? RULES_STORM : 0
		};
		for (unsigned d = 0; d < 2; d++)
			r->ports[k].rate[d].level = UINT64_MAX / 2; /* full, of whatever size */
		r->ports[k].flood.level = UINT64_MAX / 2;
		if (k)
			assert_int_equal(fake_attach(&r->fn, &r->fakes[k], "",
						 k == LOCKED ? LOCKED : 0, k == LOCKED, NULL),
				0);
	}
	for (unsigned i = 0; i < 500; i++) {
		if (rng_one_in(&r->rng, 8))
			op_set(r);
		else
			op_batch(r);
		if (rng_one_in(&r->rng, 2))
			r->fn.now_ms +=
				rng_below(&r->rng, 300); /* in all less than addresses live */
	}
	for (unsigned k = 0; k < PORTS; k++)
		for (unsigned d = 0; d < DROP_N; d++)
			drops[d] += r->ports[k].drops[d];
	for (unsigned k = 1; k < PORTS; k++)
		fake_detach(&r->fakes[k]);
	fakenet_close(&r->fn);
	free(r);
}

static void test_each_frame_has_the_fate_it_should(void **state)
{
	(void)state;
	struct rng rng = rng_start("rules");
	static const enum drop_reason seen[] = { DROP_OVERSIZE, DROP_SPOOFED, DROP_LOCAL,
		DROP_TOO_BIG_FOR_PORT, DROP_LINK_DOWN, DROP_ISOLATED, DROP_RATE, DROP_STORM };
	uint64_t drops[DROP_N] = { 0 };
	for (unsigned i = 0; i < 200; i++)
		one_run(&rng, drops);
	for (unsigned i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		assert_true(
			drops[seen[i]] > 100); /* each fate is met often enough to say something */
}

/* -- buckets -- */

static uint64_t random_time(struct rng *rng, uint64_t now)
{
	switch (rng_below(rng, 12)) {
	case 0:
		return rng_next(rng); /* anything */
	case 1:
		return now - rng_below(rng, 100000); /* set back, beyond zero even */
	case 2:
		return now + (UINT64_C(1) << rng_below(rng, 50)); /* slept */
	case 3:
		return UINT64_MAX;
	default:
		return now + rng_below(rng, 20);
	}
}

static void test_a_bucket_never_gives_more_than_time_and_burst(void **state)
{
	(void)state;
	struct rng rng = rng_start("bucket");
	for (unsigned round = 0; round < 3000; round++) {
		struct bucket b = { 0 };
		const uint32_t rate = rng_one_in(&rng, 3)
					      ? 1 + (uint32_t)(rng_next(&rng) >> 32) % UINT32_MAX
					      : rng_between(&rng, 1, 5000);
		const uint32_t burst = rng_one_in(&rng, 3) ? (uint32_t)rng_next(&rng)
							   : rng_between(&rng, 1, 200000);
		uint64_t now = rng_next(&rng), given = 0;
		long double allowed = burst;
		for (unsigned i = 0; i < 200; i++) {
			const uint64_t next = random_time(&rng, now);
			if (i && next > now)
				allowed += (long double)(next - now) * rate / 1000;
			now = next;
			bucket_fill(&b, rate, burst, now);
			assert_true(b.level <= burst * UINT64_C(1000));
			const uint32_t n = rng_one_in(&rng, 2) ? burst : rng_below(&rng, 2000);
			const uint64_t level = b.level;
			const bool taken = bucket_take(&b, n);
			assert_int_equal(taken, level >= n * UINT64_C(1000));
			given += taken ? n : 0;
			assert_true((long double)given <= allowed + 0.001L);
		}
		/* nor does it stop for good, wherever the clock went */
		now = now < UINT64_MAX / 2 ? now : 0;
		bucket_fill(&b, rate, burst, now);
		bucket_fill(&b, rate, burst, now + UINT64_C(1000) * burst / rate + 1000);
		assert_true(bucket_take(&b, burst));
	}
}

/* The rate is given, to the last byte, however the time is cut into calls. */
static void test_a_bucket_gives_all_of_its_rate(void **state)
{
	(void)state;
	struct rng rng = rng_start("bucket");
	for (unsigned round = 0; round < 200; round++) {
		struct bucket b = { 0 };
		const uint32_t rate = rng_between(&rng, 1, 100000);
		uint64_t now = 1000, given = 0;
		bucket_fill(&b, rate, 200000, now);
		assert_true(bucket_take(&b, 200000)); /* empty */
		while (now < 1000 + 100000) {
			const uint64_t step = rng_between(&rng, 1, 999);
			now += step < 101000 - now ? step : 101000 - now;
			bucket_fill(&b, rate, 200000, now);
			while (bucket_take(&b, 1))
				given++;
		}
		assert_int_equal(given, rate * UINT64_C(100));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_frame_has_the_fate_it_should),
		cmocka_unit_test(test_a_bucket_never_gives_more_than_time_and_burst),
		cmocka_unit_test(test_a_bucket_gives_all_of_its_rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
