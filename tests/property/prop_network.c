/* prop_network.c - a network against a naive switch: one table of addresses, one loop over ports.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/eth.h"
#include "tests/support/fakenet.h"
#include "tests/support/rng.h"

#define SLOTS 6u /* port names p0 to p5 */
#define MACS 18u /* 0 to 9 free to use, the host's, broadcast, and the derived one of each slot */
#define MAC_HOST 10u
#define MAC_BROADCAST 11u
#define MAC_DERIVED 12u
#define HOST SLOTS /* the host side as a port */
#define NOWHERE 99u

struct slot {
	bool exists, declared, attached, locked, given;
	bool new; /* to be announced */
	unsigned mac;
};

struct address {
	unsigned port; /* NOWHERE: unknown */
	bool is_static;
	uint64_t seen_ms;
};

struct run {
	struct rng rng;
	struct fakenet fn;
	struct fake_port ports[SLOTS];
	struct feth_mac macs[MACS];

	/* the model */
	struct slot slots[SLOTS];
	struct address table[MACS];
	char logs[SLOTS + 1][FAKE_LOG]; /* [HOST] too */
	struct port_stats stats[SLOTS + 1], total;
	uint32_t mtu;
};

static void forget(struct run *r, unsigned port)
{
	for (unsigned m = 0; m < MACS; m++)
		if (r->table[m].port == port)
			r->table[m] = (struct address){ .port = NOWHERE };
}

/* Whether @port may use @mac; remembers it. */
static bool learn(struct run *r, unsigned mac, unsigned port)
{
	struct address *a = &r->table[mac];
	if (a->is_static)
		return a->port == port;
	if (a->port != port || r->fn.now_ms - a->seen_ms >= FDB_REFRESH_MS)
		*a = (struct address){ port, false, r->fn.now_ms };
	return true;
}

static unsigned lookup(const struct run *r, unsigned mac)
{
	const struct address *a = &r->table[mac];
	return a->is_static || r->fn.now_ms - a->seen_ms <= FDB_AGE_MS ? a->port : NOWHERE;
}

static bool mac_free(const struct run *r, unsigned mac)
{
	for (unsigned s = 0; s < SLOTS; s++)
		if (r->slots[s].exists && (r->slots[s].given || r->slots[s].locked) &&
			r->slots[s].mac == mac)
			return false;
	return mac != MAC_HOST;
}

static int model_make(struct run *r, unsigned s, struct slot want)
{
	if (want.given && want.mac == MAC_BROADCAST)
		return -EINVAL;
	if ((want.given || want.locked) && !mac_free(r, want.mac))
		return -EEXIST;
	r->slots[s] = want;
	r->stats[s] = (struct port_stats){ 0 };
	if (want.locked)
		r->table[want.mac] = (struct address){ s, true, 0 };
	return 0;
}

static int model_attach(struct run *r, unsigned s, struct slot want)
{
	struct slot *slot = &r->slots[s];
	if (slot->attached)
		return -EBUSY;
	if (slot->exists && want.given && want.mac != slot->mac)
		return -EEXIST;
	const int rc = slot->exists ? 0 : model_make(r, s, want);
	if (rc < 0)
		return rc;
	slot->attached = true;
	slot->new = slot->given || slot->locked;
	if (slot->given && !slot->locked)
		learn(r, slot->mac, s);
	return 0;
}

static void model_detach(struct run *r, unsigned s)
{
	struct slot *slot = &r->slots[s];
	slot->attached = false;
	forget(r, s);
	if (!slot->declared)
		slot->exists = false;
	else if (slot->locked)
		r->table[slot->mac] = (struct address){ s, true, 0 };
}

/* -- operations -- */

static struct port_conf random_conf(struct run *r, unsigned s, struct slot *want)
{
	struct port_conf conf = { .kind = PORT_KIND_NATIVE };
	snprintf(conf.name, sizeof(conf.name), "p%u", s);
	*want = (struct slot){ .exists = true, .mac = MAC_DERIVED + s };
	if (rng_one_in(&r->rng, 2)) {
		want->given = conf.mac_given = true;
		want->mac = rng_below(&r->rng, MACS);
		conf.mac = r->macs[want->mac];
	}
	want->locked = conf.has_locked = conf.locked = rng_one_in(&r->rng, 3);
	return conf;
}

static void op_attach(struct run *r, unsigned s)
{
	struct slot want;
	struct fake_port fresh = { 0 }, *p = &r->ports[s];
	const struct port_conf conf = random_conf(r, s, &want);
	const int rc = model_attach(r, s, want);
	if (rc < 0) /* a stranger, who may not disturb the one who has the name */
		p = &fresh;
	assert_int_equal(fake_attach_conf(&r->fn, p, &conf, NULL), rc);
}

static void op_detach(struct run *r, unsigned s)
{
	if (!r->slots[s].attached)
		return;
	fake_detach(&r->ports[s]);
	model_detach(r, s);
}

static void op_declare(struct run *r, unsigned s)
{
	struct slot want;
	struct command *cmd = fake_command(&r->fn, CMD_PORT_ADD);
	cmd->in.conf = random_conf(r, s, &want);
	want.declared = true;
	const int rc = r->slots[s].exists ? -EEXIST : model_make(r, s, want);
	fake_run(&r->fn, cmd);
	assert_int_equal(cmd->err.code, rc);
	command_free(cmd);
}

static void op_remove(struct run *r, unsigned s)
{
	struct command *cmd = fake_command(&r->fn, CMD_PORT_REMOVE);
	snprintf(cmd->in.conf.name, sizeof(cmd->in.conf.name), "P%u", s);
	fake_run(&r->fn, cmd);
	assert_int_equal(cmd->err.code, r->slots[s].exists ? 0 : -ENOENT);
	command_free(cmd);
	r->slots[s].declared = false;
	if (r->slots[s].attached) {
		op_detach(r, s);
	} else {
		forget(r, s);
		r->slots[s].exists = false;
	}
}

static void op_mtu(struct run *r)
{
	r->mtu = rng_between(&r->rng, 68, 200);
	assert_int_equal(fake_set_mtu(&r->fn, r->mtu), 0);
	for (unsigned s = 0; s < SLOTS; s++)
		r->ports[s].log[0] = '\0';
}

static void deliver(struct run *r, unsigned port, char tag, uint32_t len)
{
	char *log = r->logs[port];
	const char text[2] = { tag, '\0' };
	strcat(log, text);
	r->stats[port].tx_frames++;
	r->total.tx_frames++;
	if (port == HOST) { /* fake ports do not count bytes */
		r->stats[port].tx_bytes += len;
		r->total.tx_bytes += len;
	}
}

static void count_drop(struct run *r, unsigned port, enum drop_reason reason)
{
	r->stats[port].drops[reason]++;
	r->total.drops[reason]++;
}

static void model_frame(
	struct run *r, unsigned in, unsigned dst, unsigned src, uint32_t len, bool tagged, char tag)
{
	r->stats[in].rx_frames++;
	r->stats[in].rx_bytes += len;
	r->total.rx_frames++;
	r->total.rx_bytes += len;
	if (len < 14) {
		count_drop(r, in, DROP_RUNT);
		return;
	}
	if (len > r->mtu + 14 + (tagged ? 4 : 0)) {
		count_drop(r, in, DROP_OVERSIZE);
		return;
	}
	if ((in != HOST && r->slots[in].locked && src != r->slots[in].mac) ||
		(src != MAC_BROADCAST && !learn(r, src, in))) {
		count_drop(r, in, DROP_SPOOFED);
		return;
	}
	const unsigned out = dst == MAC_BROADCAST ? NOWHERE : lookup(r, dst);
	if (out == in)
		count_drop(r, in, DROP_LOCAL);
	else if (out != NOWHERE && out != HOST && !r->slots[out].attached)
		count_drop(r, out, DROP_DETACHED);
	else if (out != NOWHERE)
		deliver(r, out, tag, len);
	for (unsigned port = 0; out == NOWHERE && port <= HOST; port++)
		if (port != in && (port == HOST || r->slots[port].attached))
			deliver(r, port, tag, len);
}

static void op_batch(struct run *r, unsigned in)
{
	static uint8_t bufs[64][300];
	struct frame frames[64];
	if (in != HOST && !r->slots[in].attached)
		return;
	const unsigned n = rng_below(&r->rng, 65);
	unsigned dst = 0, src = 0;
	for (unsigned i = 0; i < n; i++) {
		if (i == 0 || rng_one_in(&r->rng, 3)) { /* runs */
			dst = rng_below(&r->rng, MACS);
			src = rng_below(&r->rng, MACS);
			if (rng_one_in(&r->rng, 2)) /* an honest one */
				src = in == HOST ? MAC_HOST : r->slots[in].mac;
		}
		const bool tagged = rng_one_in(&r->rng, 4);
		const char tag = (char)('a' + i % 26);
		uint32_t len = rng_one_in(&r->rng, 3) ? r->mtu + rng_between(&r->rng, 13, 20)
						      : rng_between(&r->rng, 15, 80);
		frames[i] = eth_frame(bufs[i], 0, 0, tagged ? 0x8100 : 0x0800, len, tag);
		memcpy(bufs[i], r->macs[dst].b, 6);
		memcpy(bufs[i] + 6, r->macs[src].b, 6);
		if (rng_one_in(&r->rng, 20))
			frames[i].len = frames[i].head_len = len = rng_below(&r->rng, 14);
		model_frame(r, in, dst, src, len, tagged, tag);
	}
	fake_batch(&r->fn, in == HOST ? NULL : &r->ports[in], frames, n);

	assert_string_equal(r->fn.host_log, r->logs[HOST]);
	r->fn.host_log[0] = r->logs[HOST][0] = '\0';
	for (unsigned s = 0; s < SLOTS; s++) {
		if (!r->slots[s].attached)
			continue;
		if (r->logs[s][0]) /* who got something is flushed once, at the end */
			strcat(r->logs[s], "|");
		assert_string_equal(r->ports[s].log, r->logs[s]);
		r->ports[s].log[0] = r->logs[s][0] = '\0';
	}
}

/* Who has come with an address of his own since the last is announced, in a frame of 60 bytes. */
static void op_tick(struct run *r)
{
	for (unsigned s = 0; s < SLOTS; s++) {
		struct slot *slot = &r->slots[s];
		const bool announced = slot->attached && slot->new &&lookup(r, slot->mac) == s;
		slot->new = false;
		for (unsigned port = 0; announced && port <= HOST; port++)
			if (port != s && (port == HOST || r->slots[port].attached))
				deliver(r, port, '\0', 60);
	}
	network_tick(r->fn.net, r->fn.now_ms);
	for (unsigned s = 0; s < SLOTS; s++)
		r->ports[s].log[0] = '\0'; /* flushes */
}

static void check_counters(struct run *r)
{
	struct command *cmd = fake_command(&r->fn, CMD_STATS_GET);
	fake_run(&r->fn, cmd);
	unsigned n = 0;
	for (unsigned s = 0; s < SLOTS; s++)
		n += r->slots[s].exists;
	assert_int_equal(cmd->n_items, 1 + n);
	for (unsigned i = 0; i < cmd->n_items; i++) {
		const struct port_counters *c = &cmd->items.counters[i];
		const unsigned s = c->id ? (unsigned)(c->name[1] - '0') : HOST;
		assert_memory_equal(&c->stats, &r->stats[s], sizeof(c->stats));
	}
	assert_memory_equal(&cmd->out.sum.stats, &r->total, sizeof(r->total));
	command_free(cmd);
}

static void step(struct run *r)
{
	const unsigned s = rng_below(&r->rng, SLOTS);
	const uint32_t op = rng_below(&r->rng, 100);
	r->fn.now_ms += rng_below(&r->rng, 500);
	if (op < 12)
		op_attach(r, s);
	else if (op < 15)
		op_detach(r, s);
	else if (op < 19)
		op_declare(r, s);
	else if (op < 21)
		op_remove(r, s);
	else if (op < 23)
		op_mtu(r);
	else if (op < 25)
		r->fn.now_ms += rng_below(&r->rng, 400000);
	else if (op < 28)
		op_tick(r);
	else if (op < 40)
		op_batch(r, HOST);
	else
		op_batch(r, s);
}

static void one_run(struct rng *rng)
{
	struct run *r = calloc(1, sizeof(*r));
	r->rng.state = rng_next(rng);
	r->mtu = 100;
	assert_int_equal(fakenet_open(&r->fn, true, r->mtu), 0);
	fakenet_unguard(&r->fn);
	const struct netid_key key = netid_key("test"); /* as fakenet_open() */
	for (unsigned m = 0; m < MACS; m++) {
		const char name[3] = { 'p', (char)('0' + (m - MAC_DERIVED) % 10), '\0' };
		r->macs[m] = m == MAC_HOST        ? mac_n(HOST_MAC)
			     : m == MAC_BROADCAST ? mac_n(BROADCAST)
			     : m >= MAC_DERIVED   ? netid_mac(&key, "lab", name)
						  : mac_n(m);
		r->table[m] = (struct address){ .port = NOWHERE };
	}
	r->table[MAC_HOST] = (struct address){ HOST, true, 0 };

	for (unsigned i = 0; i < 400; i++) {
		step(r);
		if (i % 10 == 0)
			check_counters(r);
	}
	for (unsigned s = 0; s < SLOTS; s++)
		op_detach(r, s);
	check_counters(r);
	fakenet_close(&r->fn);
	free(r);
}

static void test_a_network_is_a_naive_switch_made_fast(void **state)
{
	(void)state;
	struct rng rng = rng_start("network");
	for (unsigned i = 0; i < 250; i++)
		one_run(&rng);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_network_is_a_naive_switch_made_fast),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
