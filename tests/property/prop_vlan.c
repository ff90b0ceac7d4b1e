/* prop_vlan.c - a network whose ports have rules about VLANs against a naive switch: each frame is
 * a list of tags and a letter, each VLAN has a table of addresses, one loop goes over the ports.
 * Every delivery is compared, byte for byte. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/core/network_priv.h"
#include "tests/support/eth.h"
#include "tests/support/fakenet.h"
#include "tests/support/rng.h"

#define SLOTS 6u
#define HOST SLOTS
#define NOWHERE 99u
#define MACS 12u /* the last two: the host's and broadcast */
#define MAC_HOST (MACS - 2)
#define MAC_ALL (MACS - 1)
#define VLANS 7u
#define BATCH 1200u /* more than there are headers for */
#define TEXT                                                                                       \
	40u /* the longest frame: what is behind its addresses, and a byte for each of them        \
	     */

static const uint16_t vlans[VLANS] = { 0, 1, 2, 3, 1000, 4094, 4095 };

struct text {
	uint8_t len;
	uint8_t b[TEXT];
};

struct seen {
	unsigned n;
	struct text all[4 * BATCH];
};

/* What a port was given and has not written: that must not change until it is flushed. */
struct pending {
	unsigned n;
	struct {
		unsigned n;
		struct seg segs[5];
	} all[BATCH];
};

/* A port by the model. */
struct slot {
	bool attached;
	struct vlan_rule rule;
	bool locked; /* to address number `slot` */
};

struct run {
	struct rng rng;
	struct fakenet fn;
	struct fake_port ports[SLOTS];
	struct slot slots[SLOTS + 1]; /* [HOST] too, which is transparent */
	unsigned table[VLANS][MACS];  /* the port; NOWHERE */
	struct seen want[SLOTS + 1], got[SLOTS + 1];
	struct pending pending[SLOTS];
	uint64_t drops[SLOTS + 1][DROP_N];
	bool aware;
};

static unsigned number(const uint8_t *mac)
{
	for (unsigned m = 0; m < MAC_HOST; m++)
		if (!memcmp(mac, mac_n(m).b, 6))
			return m;
	return mac[0] & 1 ? MAC_ALL : MAC_HOST;
}

static void put_mac(uint8_t *b, unsigned m)
{
	memcpy(b, mac_n(m == MAC_HOST ? HOST_MAC : m == MAC_ALL ? BROADCAST : m).b, 6);
}

static void note(struct seen *to, const struct text *t)
{
	assert_true(to->n < 4 * BATCH);
	to->all[to->n++] = *t;
}

static void read_segs(struct run *r, unsigned slot, const struct seg *segs, unsigned n)
{
	uint8_t flat[64];
	struct text t = { 0 };
	size_t len = 0;
	for (unsigned i = 0; i < n; i++) {
		assert_true(segs[i].len <= sizeof(flat) - len);
		memcpy(flat + len, segs[i].base, segs[i].len);
		len += segs[i].len;
	}
	t.len = (uint8_t)(2 + len - 12);
	t.b[0] = (uint8_t)number(flat);
	t.b[1] = (uint8_t)number(flat + 6);
	memcpy(t.b + 2, flat + 12, len - 12);
	note(&r->got[slot], &t);
}

static void on_seen(void *ctx, unsigned id, const struct frame *f)
{
	struct run *r = ctx;
	struct seg segs[5];
	unsigned slot = HOST;
	for (unsigned s = 0; id && s < SLOTS; s++)
		if (r->slots[s].attached && r->ports[s].port.id == id)
			slot = s;
	struct pending *p = slot == HOST ? NULL : &r->pending[slot];
	if (f) {
		size_t len = f->head_len;
		assert_true(f->head_len >= 14 && f->more_n <= 4);
		segs[0] = (struct seg){ f->head, f->head_len };
		for (unsigned i = 0; i < f->more_n; i++) {
			segs[1 + i] = f->more[i];
			len += f->more[i].len;
		}
		assert_int_equal(len, f->len);
	}
	if (f && !p) {
		read_segs(r, slot, segs, 1u + f->more_n);
	} else if (f) {
		assert_true(p->n < BATCH);
		p->all[p->n].n = 1u + f->more_n;
		memcpy(p->all[p->n++].segs, segs, sizeof(segs));
	} else {
		for (unsigned i = 0; i < p->n; i++)
			read_segs(r, slot, p->all[i].segs, p->all[i].n);
		p->n = 0;
	}
}

/* -- the model -- */

struct tag {
	unsigned type; /* 0: none */
	unsigned priority, vlan;
};

struct packet {
	unsigned dst, src;
	struct tag tags[2];
	bool cut; /* ends within its first tag */
	uint8_t letter;
	uint8_t bytes; /* of payload */
};

static bool member(const struct vlan_rule *rule, unsigned vlan)
{
	if (rule->kind == VLAN_TRANSPARENT)
		return true;
	if (vlan && vlan == rule->native)
		return true;
	for (unsigned i = 0; rule->kind == VLAN_TRUNK && i < rule->n; i++)
		if (vlan >= rule->tagged[i].from && vlan <= rule->tagged[i].to)
			return true;
	return false;
}

/* The VLAN of a packet, -1: refused. */
static int vlan_in(const struct vlan_rule *rule, const struct packet *p)
{
	const struct tag *tag = &p->tags[0];
	if (rule->kind == VLAN_TRANSPARENT)
		return tag->type == 0x8100 && !p->cut ? (int)tag->vlan : 0;
	if (p->cut || tag->type == 0x88a8)
		return -1;
	if (!tag->type || (!tag->vlan && !p->tags[1].type))
		return rule->native ? rule->native : -1;
	return rule->kind == VLAN_TRUNK && tag->vlan && member(rule, tag->vlan) ? (int)tag->vlan
										: -1;
}

static void put16(struct text *t, unsigned v)
{
	t->b[t->len++] = (uint8_t)(v >> 8);
	t->b[t->len++] = (uint8_t)v;
}

static struct text write_packet(const struct packet *p)
{
	struct text t = { .len = 2, .b = { (uint8_t)p->dst, (uint8_t)p->src } };
	for (unsigned i = 0; i < 2; i++) {
		if (!p->tags[i].type)
			continue;
		put16(&t, p->tags[i].type);
		if (p->cut)
			return t;
		put16(&t, p->tags[i].priority << 13 | p->tags[i].vlan);
	}
	put16(&t, 0x88b5);
	for (unsigned i = 0; i < p->bytes; i++)
		t.b[t.len++] = p->letter;
	return t;
}

static unsigned index_of(unsigned vlan)
{
	unsigned i = 0;
	while (vlans[i] != vlan)
		i++;
	return i;
}

static bool is_static(const struct run *r, unsigned mac, unsigned *out_port)
{
	*out_port = mac;
	if (mac == MAC_HOST)
		*out_port = HOST;
	return mac == MAC_HOST || (mac < SLOTS && r->slots[mac].attached && r->slots[mac].locked);
}

static void forget(struct run *r, unsigned port)
{
	for (unsigned v = 0; v < VLANS; v++)
		for (unsigned m = 0; m < MACS; m++)
			if (port == NOWHERE || r->table[v][m] == port)
				r->table[v][m] = NOWHERE;
}

/* False: not in that form. */
static bool deliver(struct run *r, unsigned out, const struct packet *p, unsigned vlan)
{
	struct packet q = *p;
	const struct vlan_rule *rule = &r->slots[out].rule;
	const bool untagged = rule->kind != VLAN_TRANSPARENT && vlan == rule->native;
	if (r->aware && vlan && untagged && q.tags[0].type) {
		if (q.tags[1].type)
			return false;
		q.tags[0].type = 0;
	} else if (r->aware && vlan && !untagged) {
		if (!q.tags[0].type)
			q.tags[0] = (struct tag){ 0x8100, 0, 0 };
		q.tags[0].vlan = vlan;
	}
	const struct text t = write_packet(&q);
	note(&r->want[out], &t);
	return true;
}

static void model(struct run *r, unsigned in, const struct packet *p)
{
	static const struct vlan_rule plain;
	unsigned home;
	const int vlan = r->aware ? vlan_in(&r->slots[in].rule, p) : 0;
	if (vlan < 0) {
		r->drops[in][DROP_VLAN]++;
		return;
	}
	unsigned *table = r->table[index_of((unsigned)vlan)];
	if ((in != HOST && r->slots[in].locked && p->src != in) ||
		(is_static(r, p->src, &home) && home != in)) {
		r->drops[in][DROP_SPOOFED]++;
		return;
	}
	if (p->src != MAC_ALL && !is_static(r, p->src, &home))
		table[p->src] = in;

	unsigned out = NOWHERE;
	if (p->dst != MAC_ALL)
		out = is_static(r, p->dst, &home) ? home : table[p->dst];
	if (out == in) {
		r->drops[in][DROP_LOCAL]++;
	} else if (out != NOWHERE) {
		const bool may = member(r->aware ? &r->slots[out].rule : &plain, (unsigned)vlan);
		if (!may || !deliver(r, out, p, (unsigned)vlan))
			r->drops[in][DROP_VLAN]++;
	} else {
		for (unsigned port = 0; port <= HOST; port++)
			if (port != in && r->slots[port].attached &&
				member(&r->slots[port].rule, (unsigned)vlan))
				(void)deliver(r, port, p, (unsigned)vlan);
	}
}

/* -- operations -- */

static unsigned random_vlan(struct rng *rng, unsigned from, unsigned to)
{
	return vlans[rng_between(rng, from, to)];
}

static struct vlan_rule random_rule(struct rng *rng)
{
	struct vlan_rule rule = { .kind = (uint8_t)rng_below(rng, 3) };
	if (rule.kind != VLAN_TRANSPARENT)
		rule.native = (uint16_t)random_vlan(rng, rule.kind == VLAN_ACCESS, 5);
	for (unsigned i = rng_below(rng, 4); rule.kind == VLAN_TRUNK && i; i--) {
		const unsigned a = random_vlan(rng, 1, 5), b = random_vlan(rng, 1, 5);
		assert_int_equal(vlan_add(&rule, a < b ? a : b, a < b ? b : a), 0);
	}
	return rule;
}

static void see_awareness(struct run *r)
{
	bool aware = false;
	for (unsigned s = 0; s < SLOTS; s++)
		aware |= r->slots[s].attached && r->slots[s].rule.kind != VLAN_TRANSPARENT;
	if (aware != r->aware)
		forget(r, NOWHERE);
	r->aware = aware;
}

static void op_attach(struct run *r, unsigned s)
{
	struct slot *slot = &r->slots[s];
	struct port_conf conf = { .kind = PORT_KIND_NATIVE, .control = true };
	snprintf(conf.name, sizeof(conf.name), "p%u", s);
	conf.has_locked = true;
	slot->locked = conf.locked = conf.mac_given = rng_one_in(&r->rng, 3);
	conf.mac = mac_n(s);
	slot->rule = (struct vlan_rule){ 0 };
	if (!rng_one_in(&r->rng, 3)) {
		slot->rule = conf.rules.vlan = random_rule(&r->rng);
		conf.rules.given = RULE_VLAN;
	}
	assert_int_equal(fake_attach_conf(&r->fn, &r->ports[s], &conf, NULL), 0);
	slot->attached = true;
	if (slot->locked) /* whatever was learned of it */
		r->table[0][s] = NOWHERE;
	see_awareness(r);
}

static void op_detach(struct run *r, unsigned s)
{
	fake_detach(&r->ports[s]);
	forget(r, s);
	r->slots[s] = (struct slot){ .attached = false };
	see_awareness(r);
}

static void op_set(struct run *r, unsigned s)
{
	struct port_conf conf = { .control = true, .rules.given = RULE_VLAN };
	struct port_info info;
	conf.rules.vlan = random_rule(&r->rng);
	if (!vlan_same(&conf.rules.vlan, &r->slots[s].rule))
		forget(r, s);
	r->slots[s].rule = conf.rules.vlan;
	assert_int_equal(
		network_set_port(r->fn.net, r->ports[s].port.id, &conf, 0, &info, NULL), 0);
	see_awareness(r);
}

static struct packet random_packet(struct run *r, unsigned in)
{
	struct rng *rng = &r->rng;
	struct packet p = { .letter = (uint8_t)rng_below(rng, 256) };
	p.dst = rng_below(rng, MACS);
	p.src = rng_one_in(rng, 3) ? rng_below(rng, MACS) : in == HOST ? MAC_HOST : in;
	p.bytes = (uint8_t)rng_below(rng, 20);
	if (rng_one_in(rng, 2))
		p.tags[0] = (struct tag){ rng_one_in(rng, 8) ? 0x88a8 : 0x8100, rng_below(rng, 8),
			random_vlan(rng, 0, 6) };
	if (p.tags[0].type && rng_one_in(rng, 5))
		p.tags[1] = (struct tag){ rng_one_in(rng, 3) ? 0x88a8 : 0x8100, rng_below(rng, 8),
			random_vlan(rng, 0, 6) };
	p.cut = p.tags[0].type && rng_one_in(rng, 20);
	return p;
}

/* Some frames lie in several pieces. */
static struct frame frame_of(
	struct rng *rng, const struct packet *p, uint8_t *buf, struct seg *segs)
{
	const struct text t = write_packet(p);
	put_mac(buf, p->dst);
	put_mac(buf + 6, p->src);
	memcpy(buf + 12, t.b + 2, t.len - 2u);
	struct frame f = { .head = buf, .head_len = 10u + t.len, .len = 10u + t.len };
	if (f.len > 14 && rng_one_in(rng, 10)) {
		const uint32_t at = rng_between(rng, 14, f.len - 1);
		const uint32_t mid = rng_between(rng, at, f.len);
		segs[0] = (struct seg){ buf + at, mid - at };
		segs[1] = (struct seg){ buf + mid, f.len - mid };
		f.head_len = at;
		f.more = segs;
		f.more_n = 2;
	}
	return f;
}

static void op_batch(struct run *r, unsigned in)
{
	static uint8_t bufs[BATCH][TEXT + 12];
	static struct seg segs[BATCH][2];
	static struct frame frames[BATCH];
	struct packet p = { .dst = MAC_ALL, .bytes = 4 };
	const unsigned n = rng_one_in(&r->rng, 20) ? BATCH : rng_below(&r->rng, 80);
	for (unsigned i = 0; i < n; i++) {
		if (!i || rng_one_in(&r->rng, 3)) /* runs */
			p = random_packet(r, in);
		p.letter = (uint8_t)i;
		frames[i] = frame_of(&r->rng, &p, bufs[i], segs[i]);
		model(r, in, &p);
	}
	network_input(r->fn.net, in == HOST ? PORT_HOST : r->ports[in].port.id, frames, n, 0);
	network_flush(r->fn.net);

	for (unsigned s = 0; s <= HOST; s++) {
		assert_int_equal(r->got[s].n, r->want[s].n);
		for (unsigned i = 0; i < r->got[s].n; i++) {
			const struct text *got = &r->got[s].all[i], *want = &r->want[s].all[i];
			assert_int_equal(got->len, want->len);
			assert_memory_equal(got->b, want->b, got->len);
		}
		r->got[s].n = r->want[s].n = 0;
	}
	const struct port_stats *stats =
		in == HOST ? &r->fn.net->host_side.stats : r->ports[in].port.stats;
	assert_int_equal(stats->drops[DROP_VLAN], r->drops[in][DROP_VLAN]);
	assert_int_equal(stats->drops[DROP_SPOOFED], r->drops[in][DROP_SPOOFED]);
	assert_int_equal(stats->drops[DROP_LOCAL], r->drops[in][DROP_LOCAL]);
}

static void step(struct run *r)
{
	const unsigned s = rng_below(&r->rng, SLOTS);
	const uint32_t op = rng_below(&r->rng, 100);
	if (!r->slots[s].attached) {
		memset(r->drops[s], 0, sizeof(r->drops[s]));
		op_attach(r, s);
	} else if (op < 3) {
		op_detach(r, s);
	} else if (op < 15) {
		op_set(r, s);
	} else {
		op_batch(r, op < 35 ? HOST : s);
	}
}

static void test_frames_reach_members_of_their_vlan_in_the_form_that_is_due(void **state)
{
	(void)state;
	struct rng rng = rng_start("vlan");
	struct run *r = malloc(sizeof(*r));
	for (unsigned round = 0; round < 150; round++) {
		memset(r, 0, sizeof(*r));
		r->rng.state = rng_next(&rng);
		assert_int_equal(fakenet_open(&r->fn, true, 1500), 0);
		fakenet_unguard(&r->fn);
		r->fn.seen = on_seen;
		r->fn.seen_ctx = r;
		r->slots[HOST].attached = true;
		forget(r, NOWHERE);
		for (unsigned i = 0; i < 200; i++)
			step(r);
		for (unsigned s = 0; s < SLOTS; s++)
			if (r->slots[s].attached)
				op_detach(r, s);
		assert_false(r->fn.net->sw.vlans);
		fakenet_close(&r->fn);
	}
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_reach_members_of_their_vlan_in_the_form_that_is_due),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
