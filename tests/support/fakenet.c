/* fakenet.c - see fakenet.h. */
#include "tests/support/fakenet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/network_priv.h"
#include "tests/support/eth.h"
#include "tests/support/stream.h"

static void note(char log[FAKE_LOG], const char *event)
{
	const size_t len = strlen(log);
	if (len + strlen(event) >= FAKE_LOG)
		abort();
	strcpy(log + len, event);
}

static void note_frames(char log[FAKE_LOG], const struct frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		note(log, (const char[]){ eth_tag(&frames[i]), '\0' });
}

static struct fake_port *fake_of(const struct port *port)
{
	return (struct fake_port *)(uintptr_t)port; /* its first member */
}

static void maybe_detach(struct fake_port *p, const char *event)
{
	if (!p->detach_on || strcmp(p->detach_on, event))
		return;
	fake_detach(p);
	if (p->also && p->also->attached)
		fake_detach(p->also);
}

static void show(const struct fakenet *fn, unsigned port, const struct frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fn->seen(fn->seen_ctx, port, &frames[i]);
}

static void on_send(struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	struct fake_port *p = fake_of(port);
	if (p->fn->seen)
		show(p->fn, port->id, frames, n);
	else
		note_frames(p->log, frames, n);
	p->n_flooded += flooded ? n : 0;
	for (unsigned i = 0; p->slow && flooded && i < n; i++)
		if (sendq_put_shared(&p->q, &frames[i]) != SENDQ_TAKEN)
			port->stats->drops[DROP_QUEUE_FULL]++;
	port->stats->tx_frames += n;
}

static void on_flush(struct port *port)
{
	const struct fakenet *fn = fake_of(port)->fn;
	if (fn->seen)
		fn->seen(fn->seen_ctx, port->id, NULL);
	else
		note(fake_of(port)->log, "|");
	maybe_detach(fake_of(port), "flush");
}

static void on_close(struct port *port, bool gone)
{
	note(fake_of(port)->log, gone ? "X" : "x");
	maybe_detach(fake_of(port), "close");
}

static void on_changed(struct port *port, const struct network_facts *facts)
{
	const struct fake_port *p = fake_of(port);
	char text[32];
	snprintf(
		text, sizeof(text), "<%u/%u>", facts->spec.mtu, p->fn->net->sw.ports[port->id].mtu);
	note(fake_of(port)->log, text);
	maybe_detach(fake_of(port), "changed");
}

static void on_limit(struct port *port, uint32_t bytes)
{
	fake_of(port)->limit = bytes;
}

static uint32_t on_queued(const struct port *port)
{
	return fake_of(port)->q.frames.bytes;
}

static const struct port_ops port_ops = {
	.send = on_send,
	.flush = on_flush,
	.close = on_close,
	.changed = on_changed,
	.limit = on_limit,
	.queued = on_queued,
};

static unsigned host_send(struct hostif *hif, const struct frame *frames, unsigned n)
{
	struct fakenet *fn = (struct fakenet *)(void *)hif;
	const unsigned taken = n < fn->host_takes ? n : fn->host_takes;
	if (fn->seen)
		show(fn, PORT_HOST, frames, taken);
	else
		note_frames(fn->host_log, frames, taken);
	return taken;
}

static const struct hostif_ops host_ops = { .name = "note", .has_host = true, .send = host_send };

static void on_ports(void *ctx, unsigned attached)
{
	struct fakenet *fn = ctx;
	fn->ports_events++;
	fn->ports_now = attached;
}

static void on_group(void *ctx, const struct feth_mac *group, bool joined, uint16_t only)
{
	struct fakenet *fn = ctx;
	const uint8_t *b = group->b;
	char text[32], port[8] = "";
	if (only != PORT_NONE)
		snprintf(port, sizeof(port), "=%u", only);
	snprintf(text, sizeof(text), "%c%02x%02x%02x%02x%02x%02x%s ", joined ? '+' : '-', b[0],
		b[1], b[2], b[3], b[4], b[5], port);
	if (strlen(fn->groups) + strlen(text) < FAKE_LOG)
		note(fn->groups, text);
}

static void on_looped(void *ctx, const struct port_info *info, uint16_t first, uint32_t hold_ms)
{
	struct fakenet *fn = ctx;
	fn->loop_first = first;
	char text[FETH_NAME_MAX + 3];
	snprintf(text, sizeof(text), "%c%s ", info->looped ? '+' : '-', info->name);
	if (!hold_ms)
		abort();
	if (strlen(fn->loops) + strlen(text) < FAKE_LOG)
		note(fn->loops, text);
}

static void on_duplicate(
	void *ctx, struct feth_mac mac, uint16_t from, uint16_t to, struct feth_mac own)
{
	struct fakenet *fn = ctx;
	char text[8];
	snprintf(text, sizeof(text), "%u ", mac.b[5]);
	if (strlen(fn->loops) + strlen(text) < FAKE_LOG)
		note(fn->loops, text);
	if (from == to || mac_equal(mac, own))
		abort();
}

static const struct network_events events = {
	.ports = on_ports, .group = on_group, .looped = on_looped, .duplicate = on_duplicate
};

int fakenet_open(struct fakenet *fn, bool has_host, uint32_t mtu)
{
	memset(fn, 0, sizeof(*fn));
	fn->host_takes = UINT32_MAX;
	fn->facts.has_host = has_host;
	fn->facts.mtu_min = 68;
	fn->facts.mtu_max = 65521;
	fn->facts.spec.mtu = mtu;
	if (has_host)
		fn->facts.spec.mac = mac_n(HOST_MAC);
	strcpy(fn->facts.spec.network, "lab");
	const struct netid_key key = netid_key("test");
	const int rc = network_new(&fn->net, &fn->facts, &key, 42, &events, fn);
	if (rc == 0 && has_host)
		network_set_host(fn->net, &host_ops, (struct hostif *)(void *)fn);
	return rc;
}

void fakenet_unguard(struct fakenet *fn)
{
	struct network *net = fn->net;
	net->facts.defaults.given |= RULE_LOOP_GUARD;
	net->facts.defaults.loop_guard = net->host_side.info.rules.loop_guard = false;
}

void fakenet_close(struct fakenet *fn)
{
	network_free(fn->net);
	fn->net = NULL;
}

int fake_attach(struct fakenet *fn, struct fake_port *p, const char *name, unsigned mac,
	bool locked, struct err *err)
{
	struct port_conf conf = { .kind = PORT_KIND_NATIVE,
		.has_locked = locked,
		.locked = locked,
		.uid = 1000,
		.pid = 7 };
	strcpy(conf.name, name);
	conf.mac_given = mac != 0;
	conf.mac = mac_n(mac);
	return fake_attach_conf(fn, p, &conf, err);
}

int fake_attach_conf(
	struct fakenet *fn, struct fake_port *p, const struct port_conf *conf, struct err *err)
{
	p->port.ops = &port_ops;
	p->fn = fn;
	p->log[0] = '\0';
	sendq_init(&p->q, network_pool(fn->net), network_pool(fn->net), FRAMING_NATIVE);
	const int rc = network_attach(fn->net, conf, &p->port, fn->now_ms, &p->info, err);
	p->attached = rc == 0;
	return rc;
}

void fake_detach(struct fake_port *p)
{
	p->attached = false;
	sendq_fini(&p->q, no_fd);
	network_detach(p->fn->net, &p->port);
}

void fake_batch(struct fakenet *fn, struct fake_port *from, struct frame *frames, unsigned n)
{
	network_input(fn->net, from ? from->port.id : PORT_HOST, frames, n, fn->now_ms);
	network_flush(fn->net);
}

void fake_send(struct fakenet *fn, struct fake_port *from, unsigned dst, unsigned src, char tag)
{
	uint8_t buf[60];
	struct frame frame = eth_frame(buf, dst, src, 0x88b5, sizeof(buf), tag);
	fake_batch(fn, from, &frame, 1);
}

struct command *fake_command(struct fakenet *fn, enum command_kind kind)
{
	struct command *cmd = command_new(kind);
	cmd->limit = LIST_LIMIT;
	cmd->out.facts = *network_facts(fn->net);
	return cmd;
}

void fake_run(struct fakenet *fn, struct command *cmd)
{
	network_command(fn->net, cmd, fn->now_ms);
}

int fake_set_mtu(struct fakenet *fn, uint32_t mtu)
{
	struct command *cmd = fake_command(fn, CMD_PREPARE);
	cmd->out.facts.spec.mtu = mtu;
	fake_run(fn, cmd);
	const int rc = cmd->err.code;
	cmd->kind = CMD_FACTS;
	if (rc == 0)
		fake_run(fn, cmd);
	command_free(cmd);
	return rc;
}
