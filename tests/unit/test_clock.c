/* test_clock.c - time that jumps: what of a network ages, and what waits, when the clock is hours
 * ahead at once, as after a suspend where it goes on meanwhile (Darwin's does), and when it stands
 * still, as where it does not (Linux); and nothing is done a thousand times to catch up. */
#include "tests/support/groupnet.h"

#include "server/core/bucket.h"
#include "server/core/membership.h"
#include "server/core/news.h"
#include "server/core/toobig.h"
#include "server/core/twins.h"
#include "tests/support/rng.h"

#define HOUR UINT64_C(3600000)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)

/* How far it may be ahead. 2^32 milliseconds are 49.7 days. */
static const uint64_t jumps[] = { 61000, HOUR, 9 * HOUR, 3 * DAY, UINT64_C(1) << 32, 60 * DAY, YEAR,
	100 * YEAR };
#define JUMPS (sizeof(jumps) / sizeof(jumps[0]))

/* The clock is @ms ahead, and the next tick comes. */
static void jump(struct fixture *f, uint64_t ms)
{
	network_tick(f->fn.net, f->fn.now_ms += ms);
}

static void tick(struct fixture *f)
{
	jump(f, 1000);
}

static bool knows(struct fixture *f, unsigned port, enum mcast_family family, unsigned group)
{
	struct group_row rows[64];
	const struct feth_mac mac = mgroup_mac(family, group);
	const unsigned n =
		network_group_list(f->fn.net, (struct feth_mac){ 0 }, 0, false, rows, 64);
	for (unsigned i = 0; i < n; i++)
		if (rows[i].port == port && mac_equal(rows[i].group, mac))
			return true;
	return false;
}

/* -- forwarding -- */

static void test_learned_addresses_age_at_once_and_are_learned_again(void **state)
{
	struct fixture *f = *state;
	configure(f, MCAST_FLOOD, false, false);
	for (unsigned i = 0; i < JUMPS; i++) {
		fake_send(&f->fn, &f->p[1], BROADCAST, 1, 'x');
		fake_send(&f->fn, &f->p[2], BROADCAST, 2, 'x');
		clear(f);
		fake_send(&f->fn, &f->p[1], 2, 1, 'x');
		got(f, "2");
		/* the frame comes before the tick, or behind it */
		if (i % 2)
			jump(f, jumps[i]);
		else
			f->fn.now_ms += jumps[i];
		clear(f);
		fake_send(&f->fn, &f->p[1], 2, 1, 'x');
		got(f, jumps[i] > FDB_AGE_MS ? "h234" : "2"); /* not lost: to all */
		fake_send(&f->fn, &f->p[2], 1, 2, 'x');
		got(f, "1");
		fake_send(&f->fn, &f->p[1], 2, 1, 'x');
		got(f, "2");
	}
}

static void test_static_addresses_stay_whatever_the_clock_does(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	configure(f, MCAST_FLOOD, false, false);
	fake_detach(&f->p[3]);
	assert_int_equal(fake_attach(&f->fn, &f->p[3], "locked", 7, true, &err), 0);
	for (unsigned i = 0; i < JUMPS; i++) {
		jump(f, jumps[i]);
		clear(f);
		fake_send(&f->fn, &f->p[1], 7, 1, 'x');
		got(f, "3");
		fake_send(&f->fn, &f->p[1], 2, 7, 'x'); /* still nobody else's */
		got(f, "");
		fake_send(&f->fn, &f->p[1], HOST_MAC, 1, 'x');
		got(f, "h");
	}
}

static void test_a_clock_that_stands_still_ages_nothing(void **state)
{
	struct fixture *f = *state;
	configure(f, MCAST_SNOOP, false, false);
	fake_send(&f->fn, &f->p[2], BROADCAST, 2, 'x');
	report(f, V4, 1, 5);
	for (unsigned i = 0; i < 5000; i++)
		jump(f, 0);
	clear(f);
	fake_send(&f->fn, &f->p[1], 2, 1, 'x');
	got(f, "2");
	data(f, V4, 3, 5);
	got(f, "h1");
}

/* -- multicast: a gap counts as MCAST_GAP_MS -- */

static void test_a_report_outlives_a_night(void **state)
{
	struct fixture *f = *state;
	for (enum mcast_family v = V4; v <= V6; v++) {
		configure(f, MCAST_SNOOP, false, false);
		query(f, v, 4, 9); /* so that reports age */
		report(f, v, 1, 5);
		jump(f, 9 * HOUR); /* 60 s of the 260 that it is good for */
		assert_true(knows(f, 1, v, 5));
		clear(f);
		data(f, v, 3, 5);
		got(f, "h14"); /* behind 4 is who asked */
		/* it is said again, and all goes on */
		report(f, v, 1, 5);
		for (unsigned i = 0; i < 4; i++) {
			jump(f, 3 * DAY);
			query(f, v, 4, 9);
		}
		assert_true(knows(f, 1, v, 5));
		/* but nothing lasts for ever: five such gaps are 300 s, and nobody answered */
		jump(f, 3 * DAY);
		assert_false(knows(f, 1, v, 5));
		/* who asked has gone with the night, and without him nothing ages (decision 10) */
		report(f, v, 1, 5);
		for (unsigned i = 0; i < 40; i++)
			jump(f, 3 * DAY);
		assert_true(knows(f, 1, v, 5));
		fake_detach(&f->p[4]);
		assert_int_equal(fake_attach(&f->fn, &f->p[4], "d", 0, false, NULL), 0);
	}
}

static void test_what_clients_joined_stays(void **state)
{
	struct fixture *f = *state;
	configure(f, MCAST_STRICT, true, false);
	assert_int_equal(join(f, 2, V6, 8), 0);
	for (unsigned i = 0; i < 40; i++) {
		jump(f, jumps[i % JUMPS]);
		assert_true(knows(f, 2, V6, 8));
	}
}

struct counted {
	unsigned n;
};

static void count(void *ctx, unsigned port, const struct frame *frame)
{
	struct counted *c = ctx;
	c->n += frame && port == 1;
}

static void test_our_querier_asks_once_however_long_it_was(void **state)
{
	struct fixture *f = *state;
	static struct counted asked;
	configure(f, MCAST_SNOOP, true, false);
	for (unsigned i = 0; i < 300; i++)
		tick(f); /* beyond those of the start */
	f->fn.seen = count;
	f->fn.seen_ctx = &asked;
	for (unsigned i = 0; i < JUMPS; i++) {
		asked.n = 0;
		jump(f, jumps[i]);
		assert_true(asked.n <= MCAST_FAMILIES);
		for (unsigned k = 0; k < 10; k++)
			tick(f);
		assert_true(asked.n <= MCAST_FAMILIES);
	}
	asked.n = 0; /* after all of that it asks as often as ever: in 125 s once, of each family */
	for (unsigned k = 0; k < 125; k++)
		tick(f);
	assert_int_equal(asked.n, MCAST_FAMILIES);
	asked.n = 0; /* and not at all while no time passes */
	for (unsigned k = 0; k < 5000; k++)
		jump(f, 0);
	assert_int_equal(asked.n, 0);
}

static void test_a_leave_under_way_gives_its_time_to_object(void **state)
{
	struct fixture *f = *state;
	configure(f, MCAST_SNOOP, false, false);
	report(f, V4, 1, 5);
	leave(f, V4, 1, 5);
	jump(f, 3 * DAY); /* it slept in between: the others behind the port could not say a word */
	assert_false(knows(f, 1, V4, 5));
	report(f, V4, 1, 5); /* they do now, and it is as it was */
	assert_true(knows(f, 1, V4, 5));
}

/* -- what is told, limited, remembered -- */

static void test_limits_fill_once_and_no_more(void **state)
{
	struct bucket b = { 0 };
	struct toobig tb = { 0 };
	uint64_t now = 5000;
	(void)state;
	for (unsigned i = 0; i < JUMPS; i++) {
		unsigned taken = 0, answered = 0;
		now += jumps[i];
		for (unsigned k = 0; k < 100000; k++) { /* time stands still here */
			bucket_fill(&b, 1000, 250, now);
			taken += bucket_take(&b, 1);
			if (!toobig_may(&tb, now))
				continue;
			toobig_take(&tb, now);
			answered++;
		}
		assert_int_equal(taken, 250);
		assert_int_equal(answered, TOOBIG_BURST);
	}
}

static void test_a_rate_limited_port_works_on_after_a_jump(void **state)
{
	struct fixture *f = *state;
	struct port_conf conf = { .name = "slow", .kind = PORT_KIND_NATIVE };
	conf.rules = (struct port_rules){
		.given = RULE_RX_RATE | RULE_STORM, .rx_rate = 10000, .storm = 10
	};
	configure(f, MCAST_FLOOD, false, false);
	fake_detach(&f->p[1]);
	assert_int_equal(fake_attach_conf(&f->fn, &f->p[1], &conf, NULL), 0);
	for (unsigned i = 0; i < JUMPS; i++) {
		unsigned passed = 0;
		jump(f, jumps[i]);
		for (unsigned k = 0; k < 5000; k++) {
			clear(f);
			fake_send(&f->fn, &f->p[1], BROADCAST, 1, 'x');
			passed += strchr(f->p[2].log, 'x') != NULL;
		}
		assert_int_equal(passed, 10); /* the storm limit's second, once */
		tick(f);
		clear(f);
		fake_send(&f->fn, &f->p[1], BROADCAST, 1, 'x');
		got(f, "h234");
	}
}

static void test_what_is_told_once_a_second_is_told_once(void **state)
{
	struct news news = { 0 };
	uint64_t now = 7000;
	(void)state;
	for (unsigned i = 0; i < JUMPS; i++) {
		unsigned told = 0;
		now += jumps[i];
		for (unsigned k = 0; k < 1000; k++)
			told += news_moved_due(&news, mac_n(1), now);
		assert_int_equal(told, 1);
	}
}

static void test_twins_are_told_once_after_a_jump(void **state)
{
	static struct twins t;
	uint64_t now = 9000;
	(void)state;
	memset(&t, 0, sizeof(t));
	for (unsigned i = 0; i < JUMPS; i++) {
		struct twin told;
		unsigned n = 0;
		now += jumps[i];
		/* two moves before and two behind a jump are no twins */
		twins_moved(&t, key_n(i + 1), 1, 2, now);
		twins_moved(&t, key_n(i + 1), 2, 1, now);
		now += 61000;
		twins_moved(&t, key_n(i + 1), 1, 2, now);
		twins_moved(&t, key_n(i + 1), 2, 1, now);
		assert_false(twins_next(&t, now, &told));
		for (unsigned k = 0; k < 100; k++)
			twins_moved(&t, key_n(i + 1), (uint16_t)(1 + k % 2), (uint16_t)(2 - k % 2),
				now += TWINS_GAP_MS);
		while (n < 100 && twins_next(&t, now, &told))
			n++;
		assert_int_equal(n, 1);
	}
}

static void test_memberships_of_groups_are_asked_again(void **state)
{
	static struct memberships m;
	bool member = false;
	uint64_t now = 3000;
	(void)state;
	memset(&m, 0, sizeof(m));
	for (unsigned i = 0; i < JUMPS; i++) {
		membership_put(&m, 5, 6, true, now);
		assert_true(membership_get(&m, 5, 6, now, &member) && member);
		now += jumps[i];
		assert_false(membership_get(&m, 5, 6, now, &member));
	}
}

static void test_counters_know_their_age_over_the_end_of_32_bits(void **state)
{
	struct fixture *f = *state;
	f->fn.now_ms = (UINT64_C(1) << 32) - 500;
	fake_detach(&f->p[1]);
	assert_int_equal(fake_attach(&f->fn, &f->p[1], "a", 0, false, NULL), 0);
	f->fn.now_ms += 2000;
	struct command *cmd = fake_command(&f->fn, CMD_STATS_GET);
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->items.counters[1].id, 1);
	assert_int_equal(cmd->items.counters[1].age_ms, 2000);
	assert_true(cmd->items.counters[0].age_ms < UINT64_C(1) << 40);
	command_free(cmd);
}

/* -- all at once -- */

/* Whatever the clock does, frames for a static address reach it alone, what a client joined stays
 * joined, a tick asks at most one question of each family at each port, and all is sound. */
static void test_any_clock_breaks_nothing(void **state)
{
	struct fixture *f = *state;
	struct rng rng = rng_start("clock");
	static struct counted asked;
	configure(f, MCAST_SNOOP, true, true);
	fake_detach(&f->p[3]);
	assert_int_equal(fake_attach(&f->fn, &f->p[3], "locked", 7, true, NULL), 0);
	assert_int_equal(join(f, 2, V4, 20), 0);
	f->fn.seen_ctx = &asked;
	for (unsigned i = 0; i < 20000; i++) {
		const uint64_t ahead = rng_one_in(&rng, 3)   ? 0
				       : rng_one_in(&rng, 4) ? jumps[rng_below(&rng, JUMPS)]
							     : rng_below(&rng, 3000);
		const unsigned from = rng_one_in(&rng, 2) ? 1 : 4;
		f->fn.now_ms +=
			ahead / 1000; /* lest a few thousand centuries are the end of time */
		clear(f);
		switch (rng_below(&rng, 8)) {
		case 0:
			report(f, rng_below(&rng, 2), from, 1 + rng_below(&rng, 9));
			break;
		case 1:
			leave(f, rng_below(&rng, 2), from, 1 + rng_below(&rng, 9));
			break;
		case 2:
			query(f, rng_below(&rng, 2), from, 1 + rng_below(&rng, 9));
			break;
		case 3:
			fake_send(&f->fn, &f->p[from], BROADCAST, 1 + rng_below(&rng, 5), 'x');
			break;
		case 4:
			fake_send(&f->fn, &f->p[from], 7, from, 'x');
			got(f, "3");
			break;
		case 5:
			data(f, V4, from, 20);
			assert_non_null(strchr(f->p[2].log, 'x'));
			break;
		default:
			asked.n = 0;
			f->fn.seen = count;
			network_tick(f->fn.net, f->fn.now_ms);
			f->fn.seen = NULL;
			assert_true(asked.n <= 2 * MCAST_FAMILIES); /* all, and behind a leave */
		}
		assert_true(knows(f, 2, V4, 20));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_learned_addresses_age_at_once_and_are_learned_again),
		T(test_static_addresses_stay_whatever_the_clock_does),
		T(test_a_clock_that_stands_still_ages_nothing),
		T(test_a_report_outlives_a_night),
		T(test_what_clients_joined_stays),
		T(test_our_querier_asks_once_however_long_it_was),
		T(test_a_leave_under_way_gives_its_time_to_object),
		T(test_a_rate_limited_port_works_on_after_a_jump),
		T(test_counters_know_their_age_over_the_end_of_32_bits),
		T(test_any_clock_breaks_nothing),
		cmocka_unit_test(test_limits_fill_once_and_no_more),
		cmocka_unit_test(test_what_is_told_once_a_second_is_told_once),
		cmocka_unit_test(test_twins_are_told_once_after_a_jump),
		cmocka_unit_test(test_memberships_of_groups_are_asked_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
