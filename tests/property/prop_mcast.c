/* prop_mcast.c - groups of a network against a naive model: for every frame, who gets it, and for
 * everything that happens, what is told of it. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/eth.h"
#include "tests/support/fakenet.h"
#include "tests/support/mpacket.h"
#include "tests/support/rng.h"

#define PORTS 6u  /* 0 the host, 1 to 5 */
#define GROUPS 4u /* of each family */
#define NONE 98u  /* what is told of a group: no members, */
#define MANY 99u  /* several; else the only one */

struct membership {
	bool rpc, host, reported, tagged, some;
	uint64_t heard, leave; /* leave 0: none */
};

struct side {
	struct membership in[PORTS][GROUPS];
	uint64_t router_until[PORTS]; /* 0: none */
	bool ask[PORTS], ask_again[PORTS];
	unsigned told[GROUPS];
	/* the other querier, and us */
	bool present, asking;
	unsigned source, port;
	uint64_t until, since, next, good;
	unsigned sent;
};

struct run {
	struct rng rng;
	struct fakenet fn;
	struct fake_port ports[PORTS];
	struct mpacket packet;

	/* the model */
	struct side sides[MCAST_FAMILIES];
	bool there[PORTS], choosing[PORTS], all[PORTS], host_known;
	struct mcast_conf conf;
	uint64_t now, seen;
	bool started;
	struct mcast_stats stats;
	unsigned flushes[PORTS]; /* with nothing but queries of ours */
};

static void advance(struct run *r)
{
	const uint64_t seen = r->fn.now_ms;
	if (r->started && seen > r->seen)
		r->now += seen - r->seen < 60000 ? seen - r->seen : 60000;
	r->seen = seen;
	r->started = true;
}

static void update_querier(struct run *r, struct side *s)
{
	const bool other = s->until > r->now;
	const bool asking = r->conf.querier && r->conf.policy != MCAST_FLOOD && !other;
	if ((asking && !s->asking) || (other && !s->present))
		s->since = r->now;
	if (asking && !s->asking) {
		s->next = r->now;
		s->sent = 0;
		s->good = 260000;
	}
	s->asking = asking;
	s->present = asking || other;
}

static void fresh_side(struct side *s)
{
	s->present = s->asking = false;
	s->source = s->sent = 0;
	s->port = PORTS;
	s->until = s->since = s->next = 0;
	s->good = 260000;
	for (unsigned p = 0; p < PORTS; p++) {
		s->router_until[p] = 0;
		s->ask[p] = s->ask_again[p] = false;
	}
}

static bool is_in(const struct side *s, unsigned port, unsigned group)
{
	const struct membership *m = &s->in[port][group];
	return m->rpc || m->host || m->reported;
}

static void forget(struct run *r, unsigned port)
{
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		struct side *s = &r->sides[f];
		memset(s->in[port], 0, sizeof(s->in[port]));
		s->router_until[port] = 0;
		s->ask[port] = s->ask_again[port] = false;
		if (s->port == port) {
			s->until = 0;
			update_querier(r, s);
		}
	}
	r->there[port] = r->choosing[port] = r->all[port] = false;
}

/* -- what comes of something -- */

/* Who has got a frame 'x', or (tick) only flushes. */
static void check_logs(struct run *r, const bool want[PORTS])
{
	assert_string_equal(r->fn.host_log, want[0] ? "x" : "");
	r->fn.host_log[0] = '\0';
	for (unsigned p = 1; p < PORTS; p++) {
		char text[16] = "";
		if (!r->there[p])
			continue;
		if (want[p])
			strcat(text, "x|");
		while (r->flushes[p]) {
			strcat(text, "|");
			r->flushes[p]--;
		}
		assert_string_equal(r->ports[p].log, text);
		r->ports[p].log[0] = '\0';
	}
}

/* What is told is what is new, and nothing else. */
static void check_told(struct run *r)
{
	size_t len = 0;
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		for (unsigned g = 0; g < GROUPS; g++) {
			struct side *s = &r->sides[f];
			unsigned n = 0, state = NONE;
			for (unsigned p = 0; p < PORTS; p++)
				if (is_in(s, p, g))
					state = n++ ? MANY : p;
			if (state == s->told[g])
				continue;
			s->told[g] = state;
			const struct feth_mac mac = mgroup_mac(f, g);
			char text[48], only[16] = "";
			if (n == 1)
				snprintf(only, sizeof(only), "=%u", state);
			snprintf(text, sizeof(text), "%c%02x%02x%02x%02x%02x%02x%s ", n ? '+' : '-',
				mac.b[0], mac.b[1], mac.b[2], mac.b[3], mac.b[4], mac.b[5], only);
			assert_non_null(strstr(r->fn.groups, text));
			len += strlen(text);
		}
	}
	assert_int_equal(strlen(r->fn.groups), len);
	r->fn.groups[0] = '\0';
}

/* The list says the same as the model. */
static void check_list(struct run *r)
{
	struct group_row rows[2 * PORTS * GROUPS + 3 * PORTS];
	const struct feth_mac none = { { 0 } };
	unsigned n = 0;
	for (unsigned p = 0; p < PORTS; p++) {
		n += r->all[p];
		for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
			n += r->sides[f].router_until[p] != 0;
			for (unsigned g = 0; g < GROUPS; g++)
				n += is_in(&r->sides[f], p, g);
		}
	}
	assert_int_equal(
		network_group_list(r->fn.net, none, 0, false, rows, sizeof(rows) / sizeof(rows[0])),
		n);
	for (unsigned i = 0; i < n; i++) {
		const struct group_row *row = &rows[i];
		if (row->how >= GROUP_ROUTER)
			continue;
		const unsigned f = row->group.b[0] == 0x33;
		const struct side *s = &r->sides[f];
		const struct membership *m = &s->in[row->port][row->group.b[5]];
		assert_int_equal(row->how,
			m->rpc * GROUP_RPC | m->reported * GROUP_SNOOPED | m->host * GROUP_HOST);
		assert_int_equal(
			!row->expires_ms, row->how != GROUP_SNOOPED || (!s->present && !m->leave));
	}
	const struct mcast_stats *stats = network_multicast_stats(r->fn.net);
	assert_memory_equal(stats, &r->stats, sizeof(*stats));
}

/* -- frames -- */

static void to_all(const struct run *r, unsigned in, bool want[PORTS])
{
	for (unsigned p = 0; p < PORTS; p++)
		want[p] = r->there[p] && p != in;
}

/* Those who get whatever it is. */
static void to_wide(const struct run *r, unsigned f, unsigned in, bool want[PORTS])
{
	for (unsigned p = 0; p < PORTS; p++)
		if (p != in &&
			(r->all[p] || r->sides[f].router_until[p] || (p == 0 && !r->host_known)))
			want[p] = true;
}

static void send_frame(struct run *r, unsigned in, struct mpacket *p, const bool want[PORTS])
{
	mpacket_pad(p, 1);
	p->b[p->len - 1] = 'x';
	struct frame frame = mpacket_frame(p);
	fake_batch(&r->fn, in ? &r->ports[in] : NULL, &frame, 1);
	check_logs(r, want);
}

static void op_data(struct run *r, unsigned f, unsigned in, unsigned g)
{
	const struct side *s = &r->sides[f];
	bool want[PORTS] = { false }, known = false, any = false;
	mpacket_report(&r->packet, f, 1, g, true);
	r->packet.b[14 + (f ? 6 : 9)] = 17;
	for (unsigned p = 0; p < PORTS; p++)
		known |= is_in(s, p, g);
	for (unsigned p = 0; p < PORTS; p++) {
		if (p == in || !r->there[p])
			continue;
		if (known)
			want[p] = is_in(s, p, g);
		else if (r->conf.policy == MCAST_SNOOP)
			want[p] = p != 0 && !r->choosing[p];
	}
	to_wide(r, f, in, want);
	if (r->conf.policy == MCAST_FLOOD)
		to_all(r, in, want);
	for (unsigned p = 0; p < PORTS; p++)
		any |= want[p];
	r->stats.unwanted += !any && r->conf.policy != MCAST_FLOOD;
	send_frame(r, in, &r->packet, want);
}

static void begin_leave(struct run *r, struct side *s, unsigned port, unsigned g)
{
	const bool ours = s->asking || !s->present;
	s->in[port][g].leave = r->now + (ours ? 3000 : 2000);
	if (ours)
		s->ask[port] = s->ask_again[port] = true;
}

static void heard_change(
	struct run *r, unsigned f, unsigned in, unsigned g, bool join, bool tagged, bool some)
{
	struct side *s = &r->sides[f];
	struct membership *m = &s->in[in][g];
	if (join) {
		m->some = some && (m->some || !m->reported);
		m->reported = true;
		m->tagged |= tagged;
		m->heard = r->now;
		m->leave = 0;
	} else if (m->reported && !m->tagged && !tagged && !m->leave) {
		if (!some || (m->some && (s->asking || !s->present)))
			begin_leave(r, s, in, g);
	}
}

/* 1: joins, -1: leaves, 0: neither (RFC 3376, 4.2.12). */
static int sense(unsigned type, unsigned sources)
{
	static const int without[8] = { 0, 0, 1, -1, 1, 1, 0, 0 };
	static const int with[8] = { 0, 1, 1, 1, 1, 1, -1, 0 };
	return sources ? with[type] : without[type];
}

static void op_report(struct run *r, unsigned f, unsigned in)
{
	struct side *s = &r->sides[f];
	struct mrecord records[5];
	const unsigned n = rng_below(&r->rng, 6), g = rng_below(&r->rng, GROUPS);
	const bool old = rng_one_in(&r->rng, 2), join = rng_below(&r->rng, 3),
		   tagged = rng_one_in(&r->rng, 10), bad = rng_one_in(&r->rng, 10),
		   deaf = r->conf.policy == MCAST_FLOOD;
	for (unsigned i = 0; i < n; i++)
		records[i] = (struct mrecord){ (uint8_t)rng_below(&r->rng, 8),
			rng_below(&r->rng, GROUPS), (uint16_t)rng_below(&r->rng, 3),
			(uint8_t)rng_below(&r->rng, 2) };
	if (old)
		mpacket_report(&r->packet, f, rng_between(&r->rng, 1, 2), g, join);
	else
		mpacket_records(&r->packet, f, records, n);
	if (bad)
		r->packet.b[r->packet.msg + 2] ^= 0x10;
	if (tagged)
		mpacket_tag(&r->packet, 0x8100);

	bool want[PORTS] = { false }, any = false;
	if (!deaf)
		advance(r);
	if (bad && !deaf)
		r->stats.bad++;
	if (!bad && !deaf) {
		r->stats.reports++;
		if (old)
			heard_change(r, f, in, g, join, tagged, false);
		for (unsigned i = 0; i < n && !old; i++) {
			const int way = sense(records[i].type, records[i].sources);
			if (way)
				heard_change(r, f, in, records[i].group, way > 0, tagged,
					records[i].sources && records[i].type != 2 &&
						records[i].type != 4);
		}
	}
	for (unsigned p = 0; p < PORTS; p++)
		any |= s->router_until[p] != 0;
	if (bad || deaf || (!any && !s->asking)) {
		to_all(r, in, want);
	} else {
		to_wide(r, f, in, want);
		any = false;
		for (unsigned p = 0; p < PORTS; p++)
			any |= want[p];
		r->stats.unwanted += !any;
	}
	send_frame(r, in, &r->packet, want);
}

static uint64_t at_least(uint64_t ms, uint64_t least)
{
	return ms < least ? least : ms;
}

static void heard_router(struct run *r, struct side *s, unsigned in, uint64_t hold)
{
	if (!hold)
		s->router_until[in] = 0;
	else if (s->router_until[in] < r->now + hold)
		s->router_until[in] = r->now + hold;
}

static void op_query(struct run *r, unsigned f, unsigned in)
{
	struct side *s = &r->sides[f];
	const unsigned src = rng_below(&r->rng, 5), seconds = rng_between(&r->rng, 1, 100),
		       qrv = rng_below(&r->rng, 8), version = rng_between(&r->rng, 1, f ? 2 : 3);
	const bool bad = (f && !src), deaf = r->conf.policy == MCAST_FLOOD,
		   tail = version == (f ? 2 : 3), tagged = rng_one_in(&r->rng, 6),
		   astray = rng_one_in(&r->rng, 6);
	const unsigned group = rng_one_in(&r->rng, 4) ? GROUPS / 2 : 0;
	const uint8_t qqic = (uint8_t)rng_below(&r->rng, 128);
	mpacket_query(&r->packet, f, version, src, group,
		(uint16_t)(version == 1 && !f ? 0 : seconds * (f ? 100 : 1)), (uint8_t)qrv, qqic,
		0);
	if (tagged)
		mpacket_tag(&r->packet, 0x88a8);
	if (astray)
		r->packet.b[5] ^= 0x40;

	bool want[PORTS];
	to_all(r, in, want);
	if (!deaf) {
		advance(r);
		r->stats.bad += bad;
		r->stats.queries += !bad;
	}
	if (!deaf && !bad && src && !group && !tagged && !astray) {
		uint64_t rounds =
			(uint64_t)(tail && qrv ? qrv : 2) * (tail && qqic ? qqic : 125) * 1000;
		const uint64_t response = version == 1 && !f ? 10000 : seconds * 100;
		rounds = rounds + response > 600000 ? 600000 - response : rounds;
		const uint64_t stays = at_least(rounds + response / 2, 10000);
		heard_router(r, s, in, stays);
		if (r->now >= s->until || src <= s->source) {
			const uint64_t good = at_least(rounds + response, 260000);
			if (good < s->good)
				s->since = r->now;
			s->good = good;
			s->source = src;
			s->port = in;
			s->until = r->now + stays;
			update_querier(r, s);
		}
	}
	send_frame(r, in, &r->packet, want);
}

static void op_hello(struct run *r, unsigned f, unsigned in)
{
	const unsigned hold = rng_below(&r->rng, 3) * 100;
	bool want[PORTS];
	to_all(r, in, want);
	mpacket_hello(&r->packet, f, 9, (int)hold);
	if (r->conf.policy != MCAST_FLOOD) {
		advance(r);
		heard_router(r, &r->sides[f], in, hold * 1000);
	}
	send_frame(r, in, &r->packet, want);
}

/* -- time -- */

static void expire(struct run *r, struct side *s)
{
	for (unsigned p = 0; p < PORTS; p++) {
		if (s->router_until[p] <= r->now)
			s->router_until[p] = 0;
		for (unsigned g = 0; g < GROUPS; g++) {
			struct membership *m = &s->in[p][g];
			const uint64_t heard = m->heard > s->since ? m->heard : s->since;
			if ((s->present && r->now >= heard + s->good) ||
				(m->leave && r->now >= m->leave)) {
				m->reported = m->tagged = m->some = false;
				m->leave = 0;
			}
		}
	}
}

static void ask(struct run *r, struct side *s, bool six)
{
	if (s->asking && r->now >= s->next) {
		s->next = r->now + (s->sent++ ? 125000 : 31250);
		for (unsigned p = 0; p < PORTS; p++)
			r->flushes[p] += r->there[p];
	}
	for (unsigned p = 0; p < PORTS; p++) {
		r->flushes[p] += s->ask[p] && !(six && s->present && !s->asking);
		s->ask[p] = s->ask_again[p];
		s->ask_again[p] = false;
	}
}

static void op_tick(struct run *r)
{
	const bool nobody[PORTS] = { false };
	if (rng_one_in(&r->rng, 50)) /* back, or far ahead */
		r->fn.now_ms += rng_one_in(&r->rng, 2) ? 100000000 : (uint64_t)-5000;
	else
		r->fn.now_ms += rng_one_in(&r->rng, 3) ? rng_below(&r->rng, 60000)
						       : rng_below(&r->rng, 3000);
	advance(r);
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		update_querier(r, &r->sides[f]);
		expire(r, &r->sides[f]);
		ask(r, &r->sides[f], f == MCAST_IP6);
	}
	network_tick(r->fn.net, r->fn.now_ms);
	check_logs(r, nobody);
}

/* -- calls -- */

static void op_attach(struct run *r, unsigned p)
{
	char name[3] = { 'p', (char)('0' + p), '\0' };
	if (r->there[p] || !p)
		return;
	assert_int_equal(fake_attach(&r->fn, &r->ports[p], name, 0, false, NULL), 0);
	/* the lowest number is taken: the model's numbers are the network's */
	if (r->ports[p].port.id != p) {
		fake_detach(&r->ports[p]);
		return;
	}
	r->there[p] = true;
	for (unsigned f = 0; f < MCAST_FAMILIES; f++)
		r->sides[f].ask[p] = r->conf.ask_new && r->conf.policy != MCAST_FLOOD;
}

static void op_detach(struct run *r, unsigned p)
{
	if (!p || !r->there[p])
		return;
	fake_detach(&r->ports[p]);
	forget(r, p);
}

static void op_join(struct run *r, unsigned f, unsigned p, unsigned g)
{
	struct membership *m = &r->sides[f].in[p][g];
	const bool ok = p && r->there[p];
	assert_int_equal(network_group_join(r->fn.net, (uint16_t)p, mgroup_mac(f, g), NULL),
		ok ? 0 : -ENOENT);
	if (!ok)
		return;
	m->rpc = true; /* op_all() makes it choose */
}

static void op_leave(struct run *r, unsigned f, unsigned p, unsigned g)
{
	struct membership *m = &r->sides[f].in[p][g];
	assert_int_equal(network_group_leave(r->fn.net, (uint16_t)p, mgroup_mac(f, g), NULL),
		m->rpc ? 0 : -ENOENT);
	m->rpc = false;
}

static void op_all(struct run *r, unsigned p)
{
	const bool all = rng_one_in(&r->rng, 2);
	network_groups_all(r->fn.net, (uint16_t)p, all);
	if (!p || !r->there[p])
		return;
	r->choosing[p] = true;
	r->all[p] = all;
}

static void op_host(struct run *r)
{
	struct feth_mac macs[2 * GROUPS];
	unsigned n = 0;
	r->host_known = rng_below(&r->rng, 4);
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		for (unsigned g = 0; g < GROUPS; g++) {
			struct membership *m = &r->sides[f].in[0][g];
			const bool in = r->host_known && rng_one_in(&r->rng, 3);
			if (in)
				macs[n++] = mgroup_mac(f, g);
			if (m->host && !in && m->reported && !m->tagged && !m->leave)
				begin_leave(r, &r->sides[f], 0, g);
			m->host = in;
		}
	}
	network_set_host_groups(r->fn.net, r->host_known ? macs : NULL, n);
}

static void op_configure(struct run *r)
{
	const bool was_deaf = r->conf.policy == MCAST_FLOOD;
	r->conf.policy = rng_below(&r->rng, 6) ? rng_below(&r->rng, 2) : MCAST_FLOOD;
	r->conf.querier = rng_one_in(&r->rng, 2);
	r->conf.ask_new = rng_one_in(&r->rng, 2);
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		struct side *s = &r->sides[f];
		if (r->conf.policy == MCAST_FLOOD) {
			fresh_side(s);
			for (unsigned i = 0; i < PORTS * GROUPS; i++) {
				struct membership *m = &s->in[i / GROUPS][i % GROUPS];
				m->reported = m->tagged = m->some = false;
				m->leave = 0;
			}
		} else if (was_deaf && r->conf.ask_new) {
			memcpy(s->ask, r->there, sizeof(s->ask));
		}
		update_querier(r, s);
	}
	assert_int_equal(network_set_multicast(r->fn.net, &r->conf), 0);
}

static void step(struct run *r)
{
	const unsigned p = rng_below(&r->rng, PORTS), g = rng_below(&r->rng, GROUPS),
		       f = rng_below(&r->rng, MCAST_FAMILIES);
	const uint32_t op = rng_below(&r->rng, 200);
	r->fn.now_ms += rng_below(&r->rng, 200);
	if (op < 6)
		op_attach(r, p);
	else if (op < 8)
		op_detach(r, p);
	else if (op < 14)
		op_join(r, f, p, g);
	else if (op < 20)
		op_leave(r, f, p, g);
	else if (op < 22)
		op_all(r, p);
	else if (op < 26)
		op_host(r);
	else if (op < 28)
		op_configure(r);
	else if (op < 80)
		op_tick(r);
	else if (!r->there[p])
		return;
	else if (op < 115)
		op_report(r, f, p);
	else if (op < 120)
		op_query(r, f, p);
	else if (op < 123)
		op_hello(r, f, p);
	else
		op_data(r, f, p, g);
}

static void one_run(struct rng *rng)
{
	struct run *r = calloc(1, sizeof(*r));
	r->rng.state = rng_next(rng);
	assert_int_equal(fakenet_open(&r->fn, true, 1500), 0);
	fakenet_unguard(&r->fn);
	r->fn.now_ms = 1000000000;
	r->there[0] = true;
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		fresh_side(&r->sides[f]);
		for (unsigned g = 0; g < GROUPS; g++)
			r->sides[f].told[g] = NONE;
	}
	for (unsigned p = 1; p < PORTS; p++)
		op_attach(r, p);
	for (unsigned i = 0; i < 1000; i++) {
		step(r);
		check_told(r);
		if (i % 10 == 0)
			check_list(r);
	}
	for (unsigned p = 1; p < PORTS; p++) {
		op_detach(r, p);
		check_told(r);
	}
	fakenet_close(&r->fn);
	free(r);
}

static void test_groups_are_a_table_of_who_said_what_when(void **state)
{
	(void)state;
	struct rng rng = rng_start("mcast");
	for (unsigned i = 0; i < 400; i++)
		one_run(&rng);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_are_a_table_of_who_said_what_when),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
