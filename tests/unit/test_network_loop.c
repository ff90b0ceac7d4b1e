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
	uint8_t probe[SIZE]; /* the last that a port got */
	unsigned probes;     /* that port 4 got */
};

static bool is_probe(const uint8_t *frame)
{
	return frame[12] == 0x90 && frame[13] == 0;
}

/* What a port gets is sent by the one it is joined to, later. */
static void on_seen(void *ctx, unsigned port, const struct frame *frame)
{
	struct fixture *f = ctx;
	if (!frame)
		return;
	f->got[port]++;
	if (is_probe(frame->head)) {
		memcpy(f->probe, frame->head, SIZE);
		f->probes += port == 4;
	}
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
		if (f->p[i].attached)
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

/* Port @in brings back what port 1 says, until it is suspected. The probe is in f->probe. */
static void suspect(struct fixture *f, unsigned in)
{
	uint8_t buf[SIZE];
	const unsigned before = f->probes;
	struct frame frame;
	for (unsigned n = 0; n < LOOPGUARD_HITS; n++) {
		assert_int_equal(f->probes, before);
		frame = eth_frame(buf, BROADCAST, 1, 0x88b5, SIZE, 'x');
		buf[20] = (uint8_t)n;
		fake_batch(&f->fn, &f->p[1], &frame, 1);
		frame = eth_frame(buf, BROADCAST, 1, 0x88b5, SIZE, 'x');
		buf[20] = (uint8_t)n;
		fake_batch(&f->fn, &f->p[in], &frame, 1);
	}
	assert_int_equal(f->probes, before + 1);
	memset(f->got, 0, sizeof(f->got));
}

/* Port @in sends the probe back. */
static void send_probe(struct fixture *f, unsigned in)
{
	struct frame frame = { .head = f->probe, .head_len = SIZE, .len = SIZE };
	fake_batch(&f->fn, &f->p[in], &frame, 1);
}

static uint16_t port_of(const struct fixture *f, unsigned station)
{
	return fdb_find(&f->fn.net->sw.fdb, key_n(station), f->fn.now_ms);
}

static void set_rules(struct fixture *f, uint16_t port, struct port_rules rules)
{
	const struct port_conf conf = { .control = true, .rules = rules };
	struct port_info out;
	assert_int_equal(network_set_port(f->fn.net, port, &conf, f->fn.now_ms, &out, NULL), 0);
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
		f->fn.now_ms++;
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
	for (unsigned n = 0; n < 1000 && !f->fn.loops[0]; n++) {
		f->fn.now_ms++;
		assert_true(settles(f, 1, BROADCAST, 1, 10));
	}
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

	f->fn.now_ms += LOOPGUARD_PROBE_GAP_MS;
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

static void test_who_repeats_himself_is_tried_ten_times_a_second_at_most_and_not_cut(void **state)
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
	assert_int_equal(f->got[2], 3000 + f->probes);
	assert_in_range(f->probes, 3, 3000 / LOOPGUARD_PROBE_GAP_MS + 1);
}

/* He says beforehand, as it, what an unlocked port is going to say: ARP requests of its scan. */
static void test_whose_broadcasts_are_foretold_is_not_cut_and_both_are_told_of(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[SIZE];
	for (unsigned n = 0; n < 2000; n++) {
		for (unsigned i = 3; i > 1; i--) {
			struct frame frame = eth_frame(buf, BROADCAST, 2, 0x0800, SIZE, 'x');
			memcpy(buf + 20, &n, sizeof(n));
			fake_batch(&f->fn, &f->p[i], &frame, 1);
		}
		f->fn.now_ms++;
	}
	assert_true(f->probes > 0);
	tick(f, 0);
	assert_string_equal(f->fn.loops, "2 ");
}

/* Linux's bonding asks for its target on each cable in turn; a beacon goes on from another port. */
static void test_a_bond_and_a_station_that_fails_over_are_not_cut(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[SIZE];
	const struct frame frame = eth_frame(buf, BROADCAST, 9, 0x0800, SIZE, 'x');
	for (unsigned n = 0; n < 4000; n++) {
		struct frame one = frame;
		f->fn.now_ms += 50;
		fake_batch(&f->fn, &f->p[1 + n % 2], &one, 1);
	}
	for (unsigned n = 0; n < 400; n++) {
		struct frame one = frame;
		f->fn.now_ms += 5;
		fake_batch(&f->fn, &f->p[n < 200 ? 3 : 4], &one, 1);
	}
	assert_null(strchr(f->fn.loops, '+'));
}

/* Neither by the first of a batch, which cuts the port, nor in runs that a rate makes, nor where
 * there are VLANs. */
static void test_what_comes_behind_the_frame_that_cut_the_port_counts_for_nothing(void **state)
{
	struct fixture *f = *state;
	const struct port_rules rates = { .given = RULE_RX_RATE, .rx_rate = 1 };
	struct port_rules access = { .given = RULE_VLAN };
	access.vlan.kind = VLAN_ACCESS;
	access.vlan.native = 10;
	for (unsigned round = 0; round < 3; round++) {
		uint8_t b[6][SIZE];
		struct frame frames[6] = { [0] = { .head = b[0], .head_len = SIZE, .len = SIZE } };
		if (round == 1)
			set_rules(f, 2, rates);
		for (uint16_t i = 1; i < PORTS && round == 2; i++)
			set_rules(f, i, access);
		suspect(f, 2);
		memcpy(b[0], f->probe, SIZE);
		for (unsigned i = 1; i < 6; i++)
			frames[i] = eth_frame(b[i], i < 3 ? 4 : 77, i, 0x0800, SIZE, 'x');
		f->fn.loops[0] = '\0';
		const uint64_t drops = looped_drops(f, 2);
		fake_batch(&f->fn, &f->p[2], frames, 6);
		assert_string_equal(f->fn.loops, "+b ");
		assert_int_equal(f->fn.loop_first, 1);
		assert_int_equal(looped_drops(f, 2), drops + 6);
		assert_int_equal(f->got[0] + f->got[1] + f->got[3] + f->got[4], 0);
		for (unsigned i = 1; i < 6; i++)
			assert_int_equal(port_of(f, i), PORT_NONE);
		fake_detach(&f->p[2]);
		assert_int_equal(fake_attach(&f->fn, &f->p[2], "b", 0, false, NULL), 0);
		f->fn.now_ms += LOOPGUARD_PROBE_GAP_MS;
	}
}

static void test_what_is_still_under_way_after_the_cut_does_not_stay_learned(void **state)
{
	struct fixture *f = *state;
	join(f, 2, 3);
	assert_true(settles(f, 1, BROADCAST, 1, 1000));
	const unsigned cut = f->fn.net->recs[2]->info.looped ? 2 : 3, other = 5 - cut;
	f->joined[2] = f->joined[3] = UINT32_MAX;
	assert_true(settles(f, 4, BROADCAST, 4, 1));
	assert_true(settles(f, other, BROADCAST, 1, 1)); /* one more of 1's, from the loop */
	assert_int_equal(port_of(f, 1), other);
	assert_int_equal(port_of(f, 4), 4);
	tick(f, LOOPGUARD_BACK_MS);
	assert_int_equal(port_of(f, 1), PORT_NONE);
	assert_true(settles(f, 4, 1, 4, 1)); /* 1, which is silent, is reached */
	assert_int_equal(f->got[1], 1);
}

/* A client that loops on purpose, leaves and comes back. */
static void test_a_client_makes_the_network_forget_once_in_a_while_only(void **state)
{
	struct fixture *f = *state;
	unsigned forgot = 0;
	for (unsigned n = 0; n < 100; n++) { /* for ten seconds */
		assert_true(settles(f, 4, BROADCAST, 4, 1));
		assert_int_equal(port_of(f, 4), 4);
		suspect(f, 3);
		f->fn.loops[0] = '\0';
		send_probe(f, 3);
		assert_string_equal(f->fn.loops, "+c ");
		assert_int_equal(port_of(f, 4), 4);
		fake_detach(&f->p[3]);
		assert_int_equal(fake_attach(&f->fn, &f->p[3], "c", 0, false, NULL), 0);
		tick(f, LOOPGUARD_PROBE_GAP_MS);
		forgot += port_of(f, 4) == PORT_NONE;
	}
	assert_true(forgot <= 2);
	tick(f, LOOPGUARD_HOLD_MS);
	assert_int_equal(port_of(f, 4), PORT_NONE);
}

/* What a station behind one sends goes round: who is not known at a lock could not. */
static void test_a_loop_of_two_locked_ports_is_found(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 2; i < 4; i++) {
		fake_detach(&f->p[i]);
		assert_int_equal(
			fake_attach(&f->fn, &f->p[i], i == 2 ? "b" : "c", 10 + i, true, NULL), 0);
	}
	join(f, 2, 3);
	assert_true(settles(f, 2, BROADCAST, 12, 1000));
	assert_string_equal(f->fn.loops, "+b ");
}

/* It leaves by the access port, and comes back by the trunk, and not the other way. */
static void test_a_loop_of_one_direction_from_an_access_port_to_a_trunk_is_found(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[SIZE], tagged[SIZE + 4];
	struct port_rules rules = { .given = RULE_VLAN };
	rules.vlan.kind = VLAN_ACCESS;
	rules.vlan.native = 10;
	set_rules(f, 1, rules);
	set_rules(f, 2, rules);
	rules.vlan = (struct vlan_rule){ .kind = VLAN_TRUNK };
	vlan_add(&rules.vlan, 10, 10);
	set_rules(f, 3, rules);
	f->joined[2] = 3;
	struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, SIZE, 'x');
	fake_batch(&f->fn, &f->p[1], &frame, 1);
	for (unsigned n = 0; f->n_waiting && n < 1000; n++) {
		const uint8_t *b = f->waiting[0].b;
		memcpy(tagged, b, 12);
		memcpy(tagged + 12, "\x81\x00\x00\x0a", 4);
		memcpy(tagged + 16, b + 12, SIZE - 12);
		f->n_waiting--;
		memmove(&f->waiting[0], &f->waiting[1], f->n_waiting * sizeof(f->waiting[0]));
		frame = (struct frame){ .head = tagged, .head_len = SIZE + 4, .len = SIZE + 4 };
		fake_batch(&f->fn, &f->p[3], &frame, 1);
	}
	assert_string_equal(f->fn.loops, "+c ");
}

static void test_what_the_storm_limit_dropped_does_not_come_back(void **state)
{
	struct fixture *f = *state;
	uint8_t b[2][SIZE];
	struct frame frames[2];
	set_rules(f, 1, (struct port_rules){ .given = RULE_STORM, .storm = 1 });
	for (unsigned i = 0; i < 2; i++)
		frames[i] = eth_frame(b[i], BROADCAST, 1, 0x88b5, SIZE, (char)('x' + i));
	fake_batch(&f->fn, &f->p[1], frames, 2);
	frames[0] = eth_frame(b[0], BROADCAST, 1, 0x88b5, SIZE, 'y');
	fake_batch(&f->fn, &f->p[2], frames, 1);
	assert_false(f->fn.net->guard.ports[2].hits.used);
	fake_batch(&f->fn, &f->p[3], frames, 1);
	assert_true(f->fn.net->guard.ports[3].hits.used);
}

/* What is flushed before the probe is sent makes the client go that it was to come from. */
static void test_the_probe_of_a_client_that_leaves_is_not_sent(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[SIZE];
	const struct port_rules isolated = { .given = RULE_ISOLATED, .isolated = true };
	for (uint16_t i = 1; i < PORTS; i++)
		set_rules(f, i, isolated);
	f->p[4].detach_on = "flush";
	f->p[4].also = &f->p[1];
	for (unsigned n = 0; n < LOOPGUARD_REPEATS + 2; n++) {
		struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, SIZE, 'x');
		network_input(f->fn.net, 1, &frame, 1, f->fn.now_ms);
	}
	assert_true(loopguard_suspects(&f->fn.net->guard, f->fn.now_ms));
	set_rules(f, 4, (struct port_rules){ .given = RULE_ISOLATED });
	struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, SIZE, 'x');
	fake_batch(&f->fn, &f->p[1], &frame, 1);
	assert_false(f->p[1].attached);
	assert_int_equal(f->probes, 0);
}

/* Its groups and routers went with what else was heard there. */
static void test_a_port_that_is_tried_again_is_asked_what_it_wants(void **state)
{
	struct fixture *f = *state;
	struct mcast *mc = &f->fn.net->sw.mcast;
	const struct mcast_conf conf = { .policy = MCAST_SNOOP, .ask_new = true };
	assert_int_equal(network_set_multicast(f->fn.net, &conf), 0);
	portset_add(&mc->sides[MCAST_IP4].routers, 2);
	suspect(f, 2);
	send_probe(f, 2);
	assert_false(portset_has(&mc->sides[MCAST_IP4].routers, 2));
	assert_false(portset_has(&mc->sides[MCAST_IP4].ask, 2));
	f->fn.net->now_ms += LOOPGUARD_HOLD_MS;
	network_loop_tick(f->fn.net);
	assert_true(portset_has(&mc->sides[MCAST_IP4].ask, 2));
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
		T(test_who_repeats_himself_is_tried_ten_times_a_second_at_most_and_not_cut),
		T(test_whose_broadcasts_are_foretold_is_not_cut_and_both_are_told_of),
		T(test_a_bond_and_a_station_that_fails_over_are_not_cut),
		T(test_what_comes_behind_the_frame_that_cut_the_port_counts_for_nothing),
		T(test_what_is_still_under_way_after_the_cut_does_not_stay_learned),
		T(test_a_client_makes_the_network_forget_once_in_a_while_only),
		T(test_a_loop_of_two_locked_ports_is_found),
		T(test_a_loop_of_one_direction_from_an_access_port_to_a_trunk_is_found),
		T(test_what_the_storm_limit_dropped_does_not_come_back),
		T(test_the_probe_of_a_client_that_leaves_is_not_sent),
		T(test_a_port_that_is_tried_again_is_asked_what_it_wants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
