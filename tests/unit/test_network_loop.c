/* test_network_loop.c - server/core/network_loop.c: loops that are really there, and what becomes
 * of them: a frame that a joined port gets is sent by the port it is joined to, until none is left.
 */
#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/network_priv.h"
#include "tests/support/eth.h"
#include "tests/support/fakenet.h"

#define PORTS 5u
#define WAITING 4096u
#define SIZE 60u

struct fixture {
	struct fakenet fn;
	struct fake_port p[PORTS]; /* by number; [0] is not used: the host side */
	unsigned joined[PORTS]; /* what this port gets comes from that one; UINT_MAX: from none */
	struct {
		unsigned from;
		uint8_t b[SIZE];
	} waiting[WAITING];
	unsigned n_waiting;
	unsigned got[PORTS]; /* frames */
};

/* What a port gets is sent by the one it is joined to, later. */
static void on_seen(void *ctx, unsigned port, const struct frame *frame)
{
	struct fixture *f = ctx;
	if (!frame)
		return;
	f->got[port]++;
	if (f->joined[port] == UINT32_MAX || f->n_waiting == WAITING)
		return;
	assert_int_equal(frame->len, SIZE);
	f->waiting[f->n_waiting].from = f->joined[port];
	memcpy(f->waiting[f->n_waiting++].b, frame->head, SIZE);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	int rc = fakenet_open(&f->fn, true, 1500);
	f->fn.now_ms = 1000;
	f->fn.seen = on_seen;
	f->fn.seen_ctx = f;
	f->joined[0] = UINT32_MAX;
	for (unsigned i = 1; i < PORTS; i++) {
		const char name[2] = { (char)('a' + i - 1), '\0' };
		f->joined[i] = UINT32_MAX;
		rc = rc ? rc : fake_attach(&f->fn, &f->p[i], name, 0, false, NULL);
	}
	return rc;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 1; i < PORTS; i++)
		fake_detach(&f->p[i]);
	fakenet_close(&f->fn);
	free(f);
	return 0;
}

static void join(struct fixture *f, unsigned a, unsigned b)
{
	f->joined[a] = b;
	f->joined[b] = a;
}

/* A frame with content of its own from a port; what goes round does so for @rounds frames at most.
 * Whether it came to an end before. */
static bool settles(struct fixture *f, unsigned from, unsigned dst, unsigned src, unsigned rounds)
{
	static unsigned number;
	uint8_t buf[SIZE];
	struct frame frame = eth_frame(buf, dst, src, 0x88b5, SIZE, 'x');
	number++;
	memcpy(buf + 20, &number, sizeof(number));
	memset(f->got, 0, sizeof(f->got));
	fake_batch(&f->fn, from ? &f->p[from] : NULL, &frame, 1);
	for (; f->n_waiting && rounds; rounds--) {
		const unsigned in = f->waiting[0].from;
		memcpy(buf, f->waiting[0].b, SIZE);
		f->n_waiting--;
		memmove(&f->waiting[0], &f->waiting[1], f->n_waiting * sizeof(f->waiting[0]));
		frame = (struct frame){ .head = buf, .head_len = SIZE, .len = SIZE };
		fake_batch(&f->fn, in ? &f->p[in] : NULL, &frame, 1);
	}
	return !f->n_waiting;
}

static void tick(struct fixture *f, uint64_t ms)
{
	network_tick(f->fn.net, f->fn.now_ms += ms);
}

static uint64_t looped_drops(const struct fixture *f, unsigned port)
{
	return f->fn.net->recs[port]->stats.drops[DROP_LOOPED];
}

static void test_a_loop_ends_by_itself_and_one_end_of_it_is_told_of(void **state)
{
	struct fixture *f = *state;
	join(f, 2, 3);
	assert_true(settles(f, 1, BROADCAST, 1, 1000));
	const unsigned cut = f->fn.net->recs[2]->info.looped ? 2 : 3, other = 5 - cut;
	assert_string_equal(f->fn.loops, cut == 2 ? "+b " : "+c ");
	assert_true(looped_drops(f, cut) > 0);
	assert_int_equal(looped_drops(f, other), 0);
	/* the other end works: what is behind it gets and sends broadcasts */
	f->joined[2] = f->joined[3] = UINT32_MAX;
	assert_true(settles(f, 1, BROADCAST, 1, 0));
	assert_int_equal(f->got[other], 1);
	assert_int_equal(f->got[cut], 0);
	assert_int_equal(f->got[4], 1);
	assert_true(settles(f, other, BROADCAST, 9, 10));
	assert_int_equal(f->got[1], 1);
}

static void test_while_it_is_cut_nothing_passes_and_nothing_is_learned_there(void **state)
{
	struct fixture *f = *state;
	join(f, 2, 3);
	assert_true(settles(f, 1, BROADCAST, 1, 1000));
	const unsigned cut = f->fn.net->recs[2]->info.looped ? 2 : 3;
	f->joined[2] = f->joined[3] = UINT32_MAX;
	assert_true(settles(f, 1, BROADCAST, 1, 1));
	uint64_t drops = looped_drops(f, cut);
	static const unsigned dsts[] = { BROADCAST, 1, 77 }, srcs[] = { 1, 8 };
	for (unsigned i = 0; i < 6; i++) {
		assert_true(settles(f, cut, dsts[i % 3], srcs[i / 3], 1));
		assert_int_equal(f->got[1] + f->got[4], 0);
		assert_int_equal(looped_drops(f, cut), ++drops);
	}
	assert_int_equal(fdb_find(&f->fn.net->sw.fdb, key_n(1), f->fn.now_ms), 1);
	assert_int_equal(fdb_find(&f->fn.net->sw.fdb, key_n(8), f->fn.now_ms), PORT_NONE);
	assert_true(settles(f, 1, BROADCAST, 1, 1)); /* leaves it out, and counts nothing */
	assert_int_equal(f->got[cut], 0);
	assert_int_equal(looped_drops(f, cut), drops);
}

/* One with an address that was given to it is still known to be there. */
static void test_what_is_for_a_cut_port_alone_is_counted_there(void **state)
{
	struct fixture *f = *state;
	fake_detach(&f->p[2]);
	assert_int_equal(fake_attach(&f->fn, &f->p[2], "b", 9, false, NULL), 0);
	assert_int_equal(f->p[2].info.id, 2);
	f->joined[2] = 2; /* sends back what it gets */
	for (unsigned n = 0; n < LOOPGUARD_HITS + 1; n++)
		assert_true(settles(f, 1, BROADCAST, 1, 10));
	assert_string_equal(f->fn.loops, "+b ");
	const uint64_t drops = looped_drops(f, 2);
	assert_true(settles(f, 1, 9, 1, 1));
	assert_int_equal(f->got[2] + f->got[4], 0);
	assert_int_equal(looped_drops(f, 2), drops + 1);
}

static void test_it_is_tried_again_and_well_when_the_loop_is_gone(void **state)
{
	struct fixture *f = *state;
	join(f, 2, 3);
	assert_true(settles(f, 1, BROADCAST, 1, 1000));
	const unsigned cut = f->fn.net->recs[2]->info.looped ? 2 : 3;
	f->fn.loops[0] = '\0';
	tick(f, LOOPGUARD_HOLD_MS - 1);
	assert_string_equal(f->fn.loops, "");
	tick(f, 1);
	assert_string_equal(f->fn.loops, cut == 2 ? "-b " : "-c ");
	assert_true(settles(f, 1, BROADCAST, 1, 1000)); /* the loop is still there */
	assert_int_equal(strchr(f->fn.loops, '+') != NULL, 1);
	f->joined[2] = f->joined[3] = UINT32_MAX;
	tick(f, 2 * LOOPGUARD_HOLD_MS);
	f->fn.loops[0] = '\0';
	assert_true(settles(f, 2, BROADCAST, 9, 1));
	assert_int_equal(f->got[1] + f->got[3] + f->got[4], 3);
	assert_true(settles(f, 1, BROADCAST, 1, 1));
	assert_int_equal(f->got[2] + f->got[3] + f->got[4], 3);
	assert_string_equal(f->fn.loops, "");
}

static void test_a_loop_through_the_host_is_cut_at_the_port(void **state)
{
	struct fixture *f = *state;
	join(f, 0, 2);
	assert_true(settles(f, 1, BROADCAST, 1, 4000));
	assert_string_equal(f->fn.loops, "+b ");
	assert_true(settles(f, 0, BROADCAST, HOST_MAC, 1));
	assert_int_equal(f->got[1] + f->got[3] + f->got[4], 3);
}

static void test_a_host_that_sends_back_what_it_gets_is_cut_too(void **state)
{
	struct fixture *f = *state;
	bool cut = false;
	for (unsigned n = 0; n < 1000 && !cut; n++) { /* it comes back once, so it is no storm */
		f->joined[0] = 0;
		assert_true(settles(f, 1, BROADCAST, 1, 10));
		cut = f->fn.loops[0];
	}
	assert_string_equal(f->fn.loops, "+host ");
	assert_true(settles(f, 1, BROADCAST, 1, 10));
	assert_int_equal(f->got[0], 0);
	f->fn.loops[0] = '\0';
	tick(f, LOOPGUARD_HOLD_MS);
	assert_string_equal(f->fn.loops, "-host ");
}

static void test_to_take_the_guard_off_the_host_ends_its_cut(void **state)
{
	struct fixture *f = *state;
	struct port_info out;
	const struct port_conf conf = { .control = true,
		.rules = { .given = RULE_LOOP_GUARD, .loop_guard = false } };
	f->joined[0] = 0;
	for (unsigned n = 0; n < 1000 && !f->fn.loops[0]; n++)
		assert_true(settles(f, 1, BROADCAST, 1, 10));
	assert_string_equal(f->fn.loops, "+host ");
	f->joined[0] = UINT32_MAX;
	assert_int_equal(network_set_port(f->fn.net, PORT_HOST, &conf, 1000, &out, NULL), 0);
	assert_false(out.looped);
	assert_true(settles(f, 0, BROADCAST, HOST_MAC, 1));
	assert_int_equal(f->got[1] + f->got[2] + f->got[3] + f->got[4], 4);
	assert_true(settles(f, 1, BROADCAST, 1, 1));
	assert_int_equal(f->got[0], 1);
}

static void test_who_is_not_guarded_may_loop(void **state)
{
	struct fixture *f = *state;
	struct port_info out;
	const struct port_conf conf = { .control = true,
		.rules = { .given = RULE_LOOP_GUARD, .loop_guard = false } };
	for (uint16_t id = 2; id < 4; id++)
		assert_int_equal(network_set_port(f->fn.net, id, &conf, 1000, &out, NULL), 0);
	join(f, 2, 3);
	assert_false(settles(f, 1, BROADCAST, 1, 1000));
	assert_string_equal(f->fn.loops, "");
	f->n_waiting = 0;
}

static void test_to_take_the_guard_off_or_to_leave_ends_the_cut(void **state)
{
	struct fixture *f = *state;
	struct port_info out;
	const struct port_conf conf = { .control = true,
		.rules = { .given = RULE_LOOP_GUARD, .loop_guard = false } };
	join(f, 2, 3);
	assert_true(settles(f, 1, BROADCAST, 1, 1000));
	const uint16_t cut = f->fn.net->recs[2]->info.looped ? 2 : 3;
	f->joined[2] = f->joined[3] = UINT32_MAX;
	assert_int_equal(network_set_port(f->fn.net, cut, &conf, 1000, &out, NULL), 0);
	assert_false(out.looped);
	assert_true(settles(f, cut, BROADCAST, 9, 1));
	assert_int_equal(f->got[1], 1);

	join(f, 1, 4);
	assert_true(settles(f, 2, BROADCAST, 2, 1000));
	const unsigned second = f->fn.net->recs[1]->info.looped ? 1 : 4;
	f->joined[1] = f->joined[4] = UINT32_MAX;
	fake_detach(&f->p[second]);
	assert_int_equal(fake_attach(&f->fn, &f->p[second], "new", 0, false, NULL), 0);
	assert_false(f->p[second].info.looped);
	assert_true(settles(f, second, BROADCAST, 9, 1));
	assert_int_equal(f->got[2], 1);
	tick(f, LOOPGUARD_HOLD_MS); /* of the old one no more is told */
	assert_null(strchr(f->fn.loops, '-'));
}

static void test_a_loop_is_not_taken_for_two_stations_with_one_address(void **state)
{
	struct fixture *f = *state;
	join(f, 2, 3);
	assert_true(settles(f, 1, BROADCAST, 1, 1000));
	assert_true(f->fn.net->sw.moves > TWINS_MOVES);
	tick(f, 1000);
	assert_int_equal(strlen(f->fn.loops), 3); /* the loop, and nothing else */
}

static void test_two_stations_with_one_address_are_told_of_and_not_cut(void **state)
{
	struct fixture *f = *state;
	for (unsigned n = 0; n < 12; n++) {
		settles(f, 1 + n % 2, BROADCAST, 7, 1);
		f->fn.now_ms += TWINS_GAP_MS;
	}
	tick(f, 0);
	assert_string_equal(f->fn.loops, "7 ");
}

static void test_a_bridge_with_guests_of_its_own_is_not_cut(void **state)
{
	struct fixture *f = *state;
	for (unsigned n = 0; n < 2000; n++) { /* 10 and 11 behind port 2 talk to all, and to 1 */
		assert_true(settles(f, 2, BROADCAST, 10 + n % 2, 1));
		assert_true(settles(f, 1, 10 + n % 2, 1, 1));
	}
	assert_string_equal(f->fn.loops, "");
}

/* Frames go round in one direction only: each comes from the same port every time. */
static void test_a_loop_of_one_direction_is_found_by_a_probe(void **state)
{
	struct fixture *f = *state;
	f->joined[3] = 2; /* what port 3 gets comes from port 2, and not the other way */
	assert_false(settles(f, 2, BROADCAST, 7, 40));
	assert_string_equal(f->fn.loops, ""); /* as anybody's who repeats himself */
	f->n_waiting = 1;
	settles(f, 4, BROADCAST, 8, 2000);
	assert_string_equal(f->fn.loops, "+b ");
	assert_int_equal(f->n_waiting, 0);
}

static void test_who_repeats_himself_is_asked_once_a_second_and_not_cut(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[SIZE];
	const struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, SIZE, 'x');
	for (unsigned n = 0; n < 3000; n++) { /* for three seconds */
		struct frame one = frame;
		f->fn.now_ms++;
		fake_batch(&f->fn, &f->p[1], &one, 1);
	}
	assert_string_equal(f->fn.loops, "");
	assert_int_equal(f->got[1], 0);
	assert_in_range(f->got[2], 3000 + 2, 3000 + 4);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_loop_ends_by_itself_and_one_end_of_it_is_told_of),
		T(test_while_it_is_cut_nothing_passes_and_nothing_is_learned_there),
		T(test_what_is_for_a_cut_port_alone_is_counted_there),
		T(test_it_is_tried_again_and_well_when_the_loop_is_gone),
		T(test_a_loop_through_the_host_is_cut_at_the_port),
		T(test_a_host_that_sends_back_what_it_gets_is_cut_too),
		T(test_to_take_the_guard_off_the_host_ends_its_cut),
		T(test_who_is_not_guarded_may_loop),
		T(test_to_take_the_guard_off_or_to_leave_ends_the_cut),
		T(test_a_loop_is_not_taken_for_two_stations_with_one_address),
		T(test_two_stations_with_one_address_are_told_of_and_not_cut),
		T(test_a_bridge_with_guests_of_its_own_is_not_cut),
		T(test_a_loop_of_one_direction_is_found_by_a_probe),
		T(test_who_repeats_himself_is_asked_once_a_second_and_not_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
