/* prop_l3glue.c - many neighbours, honest ones and invented ones, in any order of events: no packet
 * is lost unaccounted or goes to whom it is not for, questions and memory have their limits, and
 * nobody pushes out a neighbour that packets go to. */
#include "tests/support/test.h"

#include "tests/support/l3rig.h"
#include "tests/support/rng.h"

#define STEPS 30000u
#define PEOPLE 24u

static uint32_t known_of(const struct l3rig *r, unsigned list)
{
	return r->g->neighbours.lists[list].n;
}

static void assert_bounded(const struct l3rig *r)
{
	const struct neigh_cache *c = &r->g->neighbours;
	assert_true(known_of(r, NEIGH_USED) <= NEIGH_USED_MAX);
	assert_true(known_of(r, NEIGH_FRESH) <= NEIGH_FRESH_MAX);
	assert_true(known_of(r, NEIGH_ASKED) <= NEIGH_ASKED_MAX);
	assert_true(known_of(r, NEIGH_ANSWERED) <= NEIGH_ANSWERED_MAX);
	assert_true(known_of(r, NEIGH_HEARD) <= NEIGH_HEARD_MAX);
	assert_true(c->fresh <= NEIGH_MAX);
	assert_true(c->waiting <= NEIGH_WAITING_BYTES);
	assert_true(r->g->n_out <= L3_OWN_FRAMES);
}

/* -- what becomes of each packet: all are IPv4, of 24 bytes, the last 4 a running number -- */

struct model {
	unsigned mac[PEOPLE];      /* claimed last; 0: none yet */
	uint32_t seen[PEOPLE];     /* the number of the packet that came last */
	uint64_t asked_ms[PEOPLE]; /* when all were asked for it */
	uint32_t sent, arrived;
	uint64_t lost;
};

static void send_packet(struct l3rig *r, struct model *m, unsigned to, struct frame *out, bool *now)
{
	static uint8_t b[14 + 24];
	memset(b, 0, sizeof(b));
	b[14] = 0x45;
	b[30] = 10;
	b[33] = (uint8_t)(10 + to);
	packet_put32(b + 34, ++m->sent);
	*out = (struct frame){ .head = b + 14, .head_len = 24, .len = 24 };
	*now = l3glue_out(r->g, out, 1);
}

static void check_frame(const struct l3rig *r, struct model *m, const struct frame *f)
{
	const unsigned type = packet_get16(f->head + 12);
	assert_memory_equal(f->head + 6, mac_n(HOST_MAC).b, 6);
	if (type == 0x0806) {
		const unsigned about = f->head[14 + 27] - 10u;
		if (packet_get16(f->head + 20) == 2)
			return;          /* an answer */
		if (!(f->head[0] & 1)) { /* him alone: by the address he said last */
			assert_int_equal(f->head[5], m->mac[about]);
			return;
		}
		if (about >= PEOPLE)
			return;
		assert_true(r->now - m->asked_ms[about] >= NEIGH_RETRANS_MS);
		m->asked_ms[about] = r->now;
		return;
	}
	if (type != 0x0800)
		return;
	const unsigned to = f->head[33] - 10u;
	const uint32_t number = packet_get32(f->head + 34);
	assert_true(to < PEOPLE);
	assert_int_equal(f->head[5], m->mac[to]);
	assert_true(number > m->seen[to]); /* in order, and once */
	m->seen[to] = number;
	m->arrived++;
}

static void pull_all(struct l3rig *r, struct model *m, struct rng *rng)
{
	struct frame frames[16];
	unsigned n;
	while ((n = l3glue_pull(r->g, frames, rng_between(rng, 1, 16))))
		for (unsigned i = 0; i < n; i++)
			check_frame(r, m, &frames[i]);
}

static uint32_t waiting(const struct l3rig *r)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->g->neighbours.fresh; i++)
		n += r->g->neighbours.entries[i].n_waiting;
	return n;
}

static void test_every_packet_goes_to_who_claimed_the_address_last_or_is_accounted_for(void **state)
{
	static struct l3rig r;
	static struct model m;
	struct rng rng = rng_start("every_packet_goes_to_who_claimed_the_address_last");
	(void)state;
	memset(&m, 0, sizeof(m));
	assert_true(l3rig_begin(&r));
	r.now = 100000;
	l3glue_tick(r.g, r.now);
	for (unsigned step = 0; step < STEPS; step++) {
		const unsigned who = rng_below(&rng, PEOPLE);
		const unsigned kind = rng_below(&rng, 10);
		if (kind < 6) {
			struct frame f;
			bool now;
			pull_all(&r, &m, &rng); /* as l3glue_out() wants it */
			send_packet(&r, &m, who, &f, &now);
			if (now)
				check_frame(&r, &m, &f);
		} else if (kind < 8) { /* some never answer */
			const struct ip ip = { 4, { 10, 0, 0, (uint8_t)(10 + who) } };
			const bool request = rng_one_in(&rng, 2);
			if (who < 4)
				continue;
			pull_all(&r, &m, &rng);
			const unsigned mac = rng_between(&rng, 40, 43);
			l3rig_arp(&r, request ? 1 : 2, HOST_MAC, mac, 10 + who, 1);
			if (neigh_find(&r.g->neighbours, &ip))
				m.mac[who] = mac;
		} else { /* what is asked is asked now */
			pull_all(&r, &m, &rng);
			r.now +=
				rng_one_in(&rng, 8) ? rng_below(&rng, 40000) : rng_below(&rng, 900);
			l3glue_tick(r.g, r.now);
		}
		if (rng_one_in(&rng, 3))
			pull_all(&r, &m, &rng);
		assert_bounded(&r);
	}
	uint64_t lost, bytes;
	pull_all(&r, &m, &rng);
	l3glue_lost(r.g, &lost, &bytes);
	assert_int_equal(m.sent, m.arrived + lost + waiting(&r));
	assert_true(m.arrived > STEPS / 8);
	assert_true(lost > 0);
	l3glue_free(r.g);
}

/* -- crowds -- */

/* Station n of 65536: 10.x.y.z or fd00::x:y, at 02:00:00:xx:xx:01. */
static void crowd_arp(struct l3rig *r, uint32_t n)
{
	uint8_t b[60] = { [12] = 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1 };
	memset(b, 0xff, 6);
	const uint8_t mac[6] = { 2, 0, 0, (uint8_t)(n >> 8), (uint8_t)n, 1 };
	memcpy(b + 6, mac, 6);
	memcpy(b + 22, mac, 6);
	b[28] = b[38] = 10;
	b[29] = (uint8_t)(1 + (n >> 16));
	packet_put16(b + 30, n & 0xffff);
	b[41] = 1;
	(void)l3rig_frame(r, b, sizeof(b));
}

static void crowd_ns(struct l3rig *r, uint32_t n)
{
	uint8_t b[86];
	const struct l3rig_nd nd = { 135, .from = 7, .target = 1, .option = 7 };
	const uint32_t len = l3rig_nd_make(b, &nd);
	packet_put16(b + 22 + 12, 1 + (n >> 16));
	packet_put16(b + 22 + 14, n & 0xffff);
	packet_put16(b + 54 + 26 + 3, n & 0xffff);
	memset(b + 56, 0, 2);
	packet_put16(b + 56,
		(uint16_t)~packet_sum(b + 54, len - 54, packet_pseudo(b + 14, true, 58, 32)));
	(void)l3rig_frame(r, b, len);
}

/* The host sends to 10.9.x.y. */
static void scan(struct l3rig *r, uint32_t n)
{
	uint8_t b[14 + 20] = { [14] = 0x45, [30] = 10, 9, (uint8_t)(n >> 8), (uint8_t)n };
	struct frame f = { .head = b + 14, .head_len = 20, .len = 20 };
	(void)l3glue_out(r->g, &f, 1);
}

static unsigned drain(struct l3rig *r)
{
	struct frame frames[64];
	unsigned n, broadcasts = 0;
	while ((n = l3glue_pull(r->g, frames, 64)))
		for (unsigned i = 0; i < n; i++)
			broadcasts += frames[i].head[0] == 0xff && frames[i].head[21] == 1;
	return broadcasts;
}

static void meet(struct l3rig *r, unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++) {
		for (unsigned v6 = 0; v6 < 2; v6++)
			(void)l3rig_out(r, v6, n, 'a');
		l3rig_arp(r, 2, HOST_MAC, n, n, 1);
		l3rig_say(r, (struct l3rig_nd){
				     136, 0x60, .from = n, .to = 1, .target = n, .option = n });
		(void)l3rig_after(r, 20); /* the limit of questions */
	}
}

/* Packets go to each at once. */
static void assert_known(struct l3rig *r, unsigned from, unsigned to)
{
	char want[32];
	(void)l3rig_said(r);
	for (unsigned n = from; n < to; n++) {
		snprintf(want, sizeof(want), "%u: ip z; ", n);
		for (unsigned v6 = 0; v6 < 2; v6++)
			assert_memory_equal(l3rig_out(r, v6, n, 'z'), want, strlen(want));
	}
}

static bool begin_wide(struct l3rig *r)
{
	if (!l3rig_begin(r))
		return false;
	r->spec.addrs[0].prefix = 8;
	l3glue_set(r->g, &r->spec);
	for (unsigned i = 0; i < 6; i++)
		(void)l3rig_after(r, 1000);
	return true;
}

static void test_ten_thousand_invented_neighbours_push_out_only_each_other(void **state)
{
	static struct l3rig r;
	(void)state;
	assert_true(begin_wide(&r));
	meet(&r, 10, 200);
	for (uint32_t n = 0; n < 10000; n++) {
		crowd_arp(&r, n);
		crowd_ns(&r, n);
		assert_int_equal(drain(&r), 0);
		assert_bounded(&r);
	}
	assert_int_equal(known_of(&r, NEIGH_HEARD), NEIGH_HEARD_MAX);
	assert_known(&r, 10, 200);
	l3glue_free(r.g);
}

static void test_a_host_that_scans_pushes_out_only_what_it_scanned(void **state)
{
	static struct l3rig r;
	unsigned broadcasts = 0;
	(void)state;
	assert_true(begin_wide(&r));
	meet(&r, 10, 200);
	const uint64_t from = r.now;
	for (uint32_t n = 0; n < 10000; n++) {
		scan(&r, n);
		broadcasts += drain(&r);
		r.now++;
		l3glue_tick(r.g, r.now);
		assert_bounded(&r);
	}
	assert_known(&r, 10, 200);
	assert_in_range(
		broadcasts, 500, NEIGH_ASK_BURST + NEIGH_ASK_PER_SECOND * (r.now - from) / 1000);
	assert_true(known_of(&r, NEIGH_ASKED) <= NEIGH_ASKED_MAX);
	l3glue_free(r.g);
}

/* A packet @in from invented station n, by the MAC of station 200; and the host's answer. */
static void spoof(struct l3rig *r, bool v6, uint32_t n, bool in, bool out)
{
	uint8_t b[14 + 48] = { [12] = v6 ? 0x86 : 0x08, v6 ? 0xdd : 0x00, v6 ? 0x60 : 0x45 };
	uint8_t back[sizeof(b)];
	const unsigned src = v6 ? 22 : 26, dst = v6 ? 38 : 30;
	memcpy(b, mac_n(HOST_MAC).b, 6);
	memcpy(b + 6, mac_n(200).b, 6);
	b[v6 ? 19 : 17] = v6 ? 8 : 48;
	b[src] = b[dst] = v6 ? 0xfd : 10;
	b[dst + (v6 ? 15 : 3)] = 1;
	memcpy(back, b, sizeof(b));
	packet_put16(b + src + (v6 ? 12 : 1), 0x4000 + (n >> 16));
	packet_put16(b + src + (v6 ? 14 : 2), n & 0xffff);
	memcpy(back + dst, b + src, v6 ? 16 : 4);
	if (in)
		assert_int_equal(l3rig_frame(r, b, sizeof(b)), L3_PASS);
	struct frame f = { .head = back + 14, .head_len = 48, .len = 48 };
	if (out)
		(void)l3glue_out(r->g, &f, 1);
}

/* What is asked about @n now, among all else; to all or not. */
static bool asked_about(struct l3rig *r, bool v6, unsigned n, bool all)
{
	struct frame frames[64];
	unsigned count;
	bool found = false;
	while ((count = l3glue_pull(r->g, frames, 64)))
		for (unsigned i = 0; i < count; i++) {
			const uint8_t *f = frames[i].head;
			const bool asks =
				v6 ? f[12] == 0x86 && f[54] == 135 : f[13] == 0x06 && f[21] == 1;
			const uint8_t *about = v6 ? f + 62 : f + 38;
			found |= asks && (f[0] & 1) == all && !about[1] && about[v6 ? 15 : 3] == n;
		}
	return found;
}

/* A millisecond with twenty of them; how many are asked for of all. */
static unsigned flood(struct l3rig *r, uint32_t *invented)
{
	r->now++;
	l3glue_tick(r->g, r->now);
	for (unsigned i = 0; i < 20; i++)
		spoof(r, i % 2, (*invented)++, true, true);
	return drain(r);
}

/* A packet from station @n to the host, or the host's to it. */
static void real(struct l3rig *r, bool v6, unsigned n, bool in)
{
	uint8_t b[PACKET_HEADERS];
	const struct packet p = { .v6 = v6, .dst = in ? 1 : n, .src = in ? n : 1 };
	struct frame f = packet_make(&p, b, false);
	if (in) {
		memcpy(b, mac_n(HOST_MAC).b, 6);
		assert_int_equal(l3glue_in(r->g, &f), L3_PASS);
		return;
	}
	f.head += 14;
	f.len = f.head_len -= 14;
	(void)l3glue_out(r->g, &f, 1);
}

/* It answers what it was asked. */
static void answer(struct l3rig *r, bool v6, unsigned n)
{
	if (v6)
		l3rig_say(r, (struct l3rig_nd){
				     136, 0x60, .from = n, .to = 1, .target = n, .option = n });
	else
		l3rig_arp(r, 2, HOST_MAC, n, n, 1);
	const struct ip ip = v6 ? (struct ip){ 6, { 0xfd, [15] = (uint8_t)n } }
				: (struct ip){ 4, { 10, 0, 0, (uint8_t)n } };
	assert_true(neigh_known(neigh_find(&r->g->neighbours, &ip)));
}

/* Each new neighbour is found within two seconds, be it that the host begins, again every second,
 * or that they do, and answers a millisecond later. */
static void test_who_sends_from_invented_addresses_keeps_nobody_from_being_found(void **state)
{
	static struct l3rig r;
	uint32_t invented = 0;
	unsigned broadcasts = 0;
	(void)state;
	assert_true(begin_wide(&r));
	const uint64_t from = r.now;
	for (unsigned ms = 0; ms < 3000; ms++)
		broadcasts += flood(&r, &invented);
	for (unsigned n = 10; n < 50; n++) {
		const bool v6 = n % 2, host_begins = n / 2 % 2;
		unsigned ms = 0;
		do {
			assert_true(ms < 2000);
			broadcasts += flood(&r, &invented);
			if (ms % 1000 == 0 && !host_begins)
				real(&r, v6, n, true);
			if (ms % 1000 == 0)
				real(&r, v6, n, false);
			ms++;
		} while (!asked_about(&r, v6, n, host_begins));
		broadcasts += flood(&r, &invented);
		answer(&r, v6, n);
		assert_bounded(&r);
	}
	assert_true(
		broadcasts <= NEIGH_ANSWER_BURST + NEIGH_ANSWER_PER_SECOND * (r.now - from) / 1000);
	l3glue_free(r.g);
}

/* The loop reads thousands from a port before it comes to what the host answers; and a tun keeps
 * 500 of that. */
static void test_answers_that_come_late_are_known_for_such(void **state)
{
	static struct l3rig r;
	unsigned broadcasts = 0;
	(void)state;
	assert_true(begin_wide(&r));
	for (uint32_t n = 0; n < 5000; n++)
		spoof(&r, false, n, true, false);
	for (uint32_t n = 0; n < 500; n++) {
		spoof(&r, false, n, false, true);
		broadcasts += drain(&r);
	}
	assert_int_equal(broadcasts, NEIGH_ANSWER_BURST);
	assert_bounded(&r);
	l3glue_free(r.g);
}

/* They exist, and answer, and the host talks to all of them once: the ones it has not talked to for
 * longest go. */
static void test_of_more_neighbours_than_are_remembered_the_longest_unused_go(void **state)
{
	static struct l3rig r;
	(void)state;
	assert_true(begin_wide(&r));
	meet(&r, 10, 60);
	for (uint32_t n = 0; n < 3000; n++) {
		crowd_arp(&r, n);
		uint8_t b[14 + 20] = { [14] = 0x45, [30] = 10, 1, (uint8_t)(n >> 8), (uint8_t)n };
		struct frame f = { .head = b + 14, .head_len = 20, .len = 20 };
		assert_int_equal(l3glue_out(r.g, &f, 1), 1); /* he spoke: nobody is asked */
		if (n % 400 == 0) {
			r.now += 1500;
			l3glue_tick(r.g, r.now);
			assert_known(&r, 10, 60);
		}
		(void)drain(&r);
		assert_bounded(&r);
	}
	assert_int_equal(known_of(&r, NEIGH_USED), NEIGH_USED_MAX);
	assert_known(&r, 10, 60);
	l3glue_free(r.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_every_packet_goes_to_who_claimed_the_address_last_or_is_accounted_for),
		cmocka_unit_test(test_ten_thousand_invented_neighbours_push_out_only_each_other),
		cmocka_unit_test(test_a_host_that_scans_pushes_out_only_what_it_scanned),
		cmocka_unit_test(
			test_who_sends_from_invented_addresses_keeps_nobody_from_being_found),
		cmocka_unit_test(test_answers_that_come_late_are_known_for_such),
		cmocka_unit_test(test_of_more_neighbours_than_are_remembered_the_longest_unused_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
