/* prop_offload.c - a network whose ports take some of the work that frames owe, or none, or have
 * rules about VLANs: everybody gets every frame, in order, as it was or finished; and what a port
 * was given is still there when it is flushed. */
#include "tests/support/test.h"

#include <stdio.h>

#include "server/core/network_priv.h"
#include "tests/support/fakenet.h"
#include "tests/support/rng.h"
#include "tests/support/segments.h"

#define SLOTS 5u
#define HOST SLOTS
#define BATCH 40u
#define GOT 30000u
#define NETWORKS 30u
#define BATCHES 12u

static uint8_t data[65536];

/* A frame by the model: all its bytes, and what it owes. */
struct want {
	struct frame frame; /* in one piece; head owned */
	bool finished;
};

/* What a port was given: views, and the bytes as they were then. */
struct got {
	struct frame view;
	struct seg more[8];
	uint8_t *bytes; /* owned */
};

struct receiver {
	uint8_t takes;
	uint32_t max;
	unsigned n_want, n_got, n_flushed;
	struct want want[BATCH];
	struct got got[GOT];
};

struct run {
	struct rng rng;
	struct fakenet fn;
	struct hostif_ops host_ops;
	struct fake_port ports[SLOTS];
	struct vlan_rule rules[SLOTS + 1];
	bool vlans;
	struct receiver to[SLOTS + 1];
};

static struct run *running; /* for the host's operations, which are given no more than fakenet's */

static struct receiver *receiver_of(struct run *r, unsigned id)
{
	for (unsigned s = 0; id && s < SLOTS; s++)
		if (r->ports[s].port.id == id)
			return &r->to[s];
	return &r->to[HOST];
}

static void on_seen(void *ctx, unsigned id, const struct frame *f)
{
	struct run *r = ctx;
	struct receiver *to = receiver_of(r, id);
	if (f) {
		assert_true(to->n_got < GOT && f->more_n <= 8 && f->head_len >= 14);
		struct got *got = &to->got[to->n_got++];
		got->view = *f;
		for (unsigned i = 0; i < f->more_n; i++)
			got->more[i] = f->more[i];
		got->view.more = got->more;
		got->bytes = flat_frame(f);
	}
	if (f && id)
		return; /* looked at when it is flushed */
	for (; to->n_flushed < to->n_got; to->n_flushed++) {
		const struct got *got = &to->got[to->n_flushed];
		uint8_t *now = flat_frame(&got->view);
		assert_memory_equal(now, got->bytes, got->view.len);
		free(now);
	}
}

static uint8_t host_takes(const struct hostif *hif)
{
	(void)hif;
	return running->to[HOST].takes;
}

/* -- the model -- */

/* The frame in the form it leaves in, in memory of its own. */
static struct frame edited(const struct frame *f, enum vlan_form form, unsigned vlan)
{
	struct frame out = *f;
	uint8_t *b = malloc(f->len + 4);
	assert_non_null(b);
	const bool tagged = frame_type(f) == ETH_P_CTAG;
	int more = 0;
	memcpy(b, f->head, 12);
	if (form == VLAN_TAGGED && !tagged) {
		packet_put16(b + 12, ETH_P_CTAG);
		packet_put16(b + 14, vlan);
		memcpy(b + 16, f->head + 12, f->len - 12);
		more = 4;
	} else if (form == VLAN_UNTAGGED && tagged) {
		memcpy(b + 12, f->head + 16, f->len - 16);
		more = -4;
	} else {
		memcpy(b + 12, f->head + 12, f->len - 12);
	}
	out.head = b;
	out.head_len = out.len = f->len + (uint32_t)more;
	if (out.offload.flags)
		out.offload.csum_start = (uint16_t)(out.offload.csum_start + more);
	if (out.offload.gso_type)
		out.offload.hdr_len = (uint16_t)(out.offload.hdr_len + more);
	return out;
}

static void expect(struct run *r, unsigned slot, const struct frame *f, unsigned vlan)
{
	struct receiver *to = &r->to[slot];
	enum vlan_form form = VLAN_AS_IS;
	if (r->vlans)
		form = vlan_form(slot == HOST ? NULL : &r->rules[slot], (uint16_t)vlan);
	if (form == VLAN_NOT)
		return;
	struct want *want = &to->want[to->n_want++];
	want->frame = edited(f, form, vlan);
	const uint8_t needs = offload_needs(&want->frame);
	want->finished = needs && (needs & ~to->takes || want->frame.len > to->max);
}

static void compare(struct receiver *to)
{
	unsigned at = 0;
	for (unsigned i = 0; i < to->n_want; i++) {
		const struct frame *want = &to->want[i].frame;
		const struct got *got = &to->got[at];
		unsigned n = 1;
		if (to->want[i].finished)
			n = gso_need(want).frames;
		assert_true(at + n <= to->n_got);
		at += n;
		if (!to->want[i].finished) {
			assert_int_equal(got->view.len, want->len);
			assert_memory_equal(got->bytes, want->head, want->len);
			assert_memory_equal(
				&got->view.offload, &want->offload, sizeof(want->offload));
			continue;
		}
		struct frame segs[OFFLOAD_SEGMENTS];
		for (unsigned k = 0; k < n; k++) { /* the views may be gone, the bytes are ours */
			segs[k] = got[k].view;
			segs[k].head = got[k].bytes;
			segs[k].head_len = segs[k].len;
			segs[k].more_n = 0;
		}
		if (want->offload.gso_type) {
			check_segments(want, segs, n);
			continue;
		}
		const struct offload *o = &want->offload;
		const uint32_t l4_len = want->len - o->csum_start;
		assert_int_equal(segs->len, want->len);
		assert_int_equal(packet_get16(segs->head + o->csum_start + o->csum_offset),
			due_checksum(
				(uint16_t)packet_get16(want->head + o->csum_start + o->csum_offset),
				l4_len, segs->head + o->csum_start, l4_len, o->csum_offset));
	}
	assert_int_equal(at, to->n_got);
	for (unsigned i = 0; i < to->n_want; i++)
		free((void *)(uintptr_t)to->want[i].frame.head);
	for (unsigned i = 0; i < to->n_got; i++)
		free(to->got[i].bytes);
	to->n_want = to->n_got = to->n_flushed = 0;
}

/* -- operations -- */

static uint8_t random_takes(struct rng *rng)
{
	switch (rng_below(rng, 3)) {
	case 0:
		return 0;
	case 1:
		return 0x3f;
	default:
		return (uint8_t)rng_below(rng, 0x40);
	}
}

static void open_network(struct run *r)
{
	assert_int_equal(fakenet_open(&r->fn, true, 1500), 0);
	fakenet_unguard(&r->fn);
	const bool vlans = rng_one_in(&r->rng, 3);
	r->vlans = false;
	for (unsigned s = 0; s < SLOTS; s++) {
		struct port_conf conf = { .kind = PORT_KIND_NATIVE, .control = true };
		snprintf(conf.name, sizeof(conf.name), "p%u", s);
		conf.mac_given = conf.has_locked = conf.locked = true; /* known in every VLAN */
		conf.mac = mac_n(1 + s);
		conf.rules.given = RULE_LOOP_GUARD;
		struct vlan_rule *rule = &r->rules[s];
		*rule = (struct vlan_rule){ 0 };
		if (vlans && rng_one_in(&r->rng, 2)) {
			rule->kind = rng_one_in(&r->rng, 2) ? VLAN_ACCESS : VLAN_TRUNK;
			rule->native = 10;
			if (rule->kind == VLAN_TRUNK)
				assert_int_equal(vlan_add(rule, 20, 20), 0);
			conf.rules.vlan = *rule;
			conf.rules.given |= RULE_VLAN;
			r->vlans = true;
		}
		struct receiver *to = &r->to[s];
		to->takes = random_takes(&r->rng);
		to->max = rng_one_in(&r->rng, 3) ? rng_between(&r->rng, 1, 65535) : FETH_FRAME_MAX;
		memset(&r->ports[s], 0, sizeof(r->ports[s]));
		r->ports[s].port.offload = to->takes;
		r->ports[s].port.offload_max = to->max;
		r->ports[s].port.owes = s < 2;
		assert_int_equal(fake_attach_conf(&r->fn, &r->ports[s], &conf, NULL), 0);
	}
	r->to[HOST].takes = random_takes(&r->rng);
	r->to[HOST].max = FETH_FRAME_MAX;
	r->host_ops = *r->fn.net->host_ops;
	r->host_ops.offload = host_takes;
	running = r;
	network_set_host(r->fn.net, &r->host_ops, r->fn.net->host);
	r->fn.seen = on_seen;
	r->fn.seen_ctx = r;
}

/* @heavy: of many segments. */
static uint8_t *random_frame(struct run *r, struct frame *out, unsigned in, bool heavy)
{
	struct rng *rng = &r->rng;
	static const unsigned dsts[] = { 1, 2, 3, 4, 5, HOST_MAC, BROADCAST, 77 };
	static uint8_t tos; /* no two of a batch have the same: none are gathered (prop_gro) */
	struct packet p = {
		.v6 = rng_one_in(rng, 2),
		.tcp = !rng_one_in(rng, 3),
		.dst = dsts[rng_below(rng, sizeof(dsts) / sizeof(*dsts))],
		.src = in == HOST ? HOST_MAC : 1 + in,
		.tags = rng_one_in(rng, 3),
		.ext = rng_below(rng, 3),
		.tcp_options = rng_below(rng, 4),
		.tcp_flags = (uint8_t)rng_next(rng),
		.tos = tos++,
		.seq = (uint32_t)rng_next(rng),
		.payload = data,
		.len = rng_below(rng, heavy || rng_one_in(rng, 5) ? 60000 : 4000),
	};
	data[rng_below(rng, sizeof(data))]++;
	const uint16_t gso_size = (uint16_t)rng_between(rng, 118, heavy ? 300 : 1280);
	uint8_t *b = malloc(PACKET_HEADERS + p.len);
	assert_non_null(b);
	if (rng_one_in(rng, 4)) { /* owes nothing */
		p.len = p.len < 1300 ? p.len : 1300;
		*out = packet_make(&p, b, false);
	} else if (rng_one_in(rng, 4)) {
		p.len = p.len < 1300 ? p.len : 1300;
		*out = packet_make(&p, b, true);
	} else {
		*out = packet_super(&p, b, gso_size);
		if (p.tcp && p.tcp_flags & 0x80)
			out->offload.gso_type |= VNET_GSO_ECN;
	}
	if (p.tags)
		packet_put16(b + 14, rng_one_in(rng, 2) ? 10 : 20);
	assert_true(offload_valid(out, 1500));
	return b;
}

static void model(struct run *r, unsigned in, const struct frame *f)
{
	const struct vlan_rule *rule = in == HOST ? NULL : &r->rules[in];
	const unsigned vlan = r->vlans ? vlan_of(rule, f) : 0;
	if (vlan == VLAN_REFUSED)
		return;
	unsigned out = HOST + 1;
	for (unsigned s = 0; s < SLOTS; s++)
		if (!memcmp(f->head, mac_n(1 + s).b, 6))
			out = s;
	if (!memcmp(f->head, mac_n(HOST_MAC).b, 6))
		out = HOST;
	for (unsigned s = 0; s <= HOST; s++)
		if (s != in && (s == out || out > HOST))
			expect(r, s, f, vlan);
}

static void batch(struct run *r)
{
	static const unsigned sources[] = { 0, 1, HOST };
	const unsigned in = sources[rng_below(&r->rng, 3)];
	struct frame frames[BATCH];
	uint8_t *bufs[BATCH];
	const unsigned n = 1 + rng_below(&r->rng, BATCH);
	const bool heavy = rng_one_in(&r->rng, 6);
	for (unsigned i = 0; i < n; i++) {
		bufs[i] = random_frame(r, &frames[i], in, heavy);
		model(r, in, &frames[i]);
	}
	for (unsigned done = 0; done < n;) { /* in one call or several */
		const unsigned part = 1 + rng_below(&r->rng, n - done);
		network_input(r->fn.net, in == HOST ? PORT_HOST : r->ports[in].port.id,
			frames + done, part, 0);
		done += part;
	}
	network_flush(r->fn.net);
	for (unsigned i = 0; i < n; i++)
		free(bufs[i]);
	for (unsigned s = 0; s <= HOST; s++)
		compare(&r->to[s]);
}

static void test_everybody_gets_what_he_takes(void **state)
{
	(void)state;
	static struct run r;
	r.rng = rng_start("prop_offload");
	for (unsigned i = 0; i < NETWORKS; i++) {
		open_network(&r);
		for (unsigned k = 0; k < BATCHES; k++)
			batch(&r);
		for (unsigned s = 0; s < SLOTS; s++)
			fake_detach(&r.ports[s]);
		assert_int_equal(network_pool(r.fn.net)->used, 0);
		fakenet_close(&r.fn);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_everybody_gets_what_he_takes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
