/* network_loop.c - what is done about loops (loopguard.h). See network.h. */
#include <stdlib.h>

#include "server/core/network_priv.h"

/* What came back was not from there, nor what went round the other way from where it came. */
static void forget_addresses(struct network *net)
{
	fdb_flush(&net->sw.fdb, PORT_NONE, NULL);
	for (unsigned i = 0; i < net->n_attached; i++)
		network_learn_given(net, net->recs[net->attached[i]], net->now_ms);
}

/* What follows from it, in the middle of a batch: who is to hear does so when it is flushed. */
static void set_looped(struct network *net, uint16_t id, bool looped)
{
	struct port_rec *rec = net->recs[id];
	rec->info.looped = looped;
	network_apply_rules(net, rec);
	if (looped) {
		forget_addresses(net);
		twins_forget(&net->twins, PORT_NONE);
	}
	portset_add(&net->loop_news, id);
	net->has_loop_news = true;
}

bool network_loops(struct network *net, uint16_t in, const struct frame *frames, unsigned n)
{
	if (!net->recs[in]->info.rules.loop_guard)
		return false;
	if (loopguard_cut(&net->guard, in))
		return true;
	for (unsigned i = 0; i < n && i < LOOPGUARD_LOOKS; i++) {
		if (!loopguard_look(&net->guard, &frames[i], net->vlan.vlan, in, net->now_ms))
			continue;
		set_looped(net, in, true);
		return true;
	}
	return false;
}

/* From an address of its own, which no port has. */
void network_loop_probe(struct network *net)
{
	uint8_t buf[LOOPGUARD_PROBE_LEN];
	uint16_t vlan;
	const struct feth_mac own = netid_mac(&net->key, net->facts.spec.network, ".loop");
	const uint16_t port = loopguard_probe(&net->guard, own, net->now_ms, buf, &vlan);
	struct frame frame = { .head = buf, .head_len = sizeof(buf), .len = sizeof(buf) };
	if (!net->recs[port] || (port != PORT_HOST && !net->recs[port]->client))
		return;
	if (net->sw.vlans)
		network_vlan_flood(net, port, vlan, &frame);
	else
		network_flood(net, port, &frame, 1);
}

void network_loop_tick(struct network *net)
{
	uint16_t id;
	while ((id = loopguard_over(&net->guard, net->now_ms)) != PORT_NONE)
		set_looped(net, id, false);
	network_tell_loops(net);
}

void network_loop_forget(struct network *net, struct port_rec *rec)
{
	loopguard_forget(&net->guard, rec->info.id);
	portset_remove(&net->loop_news, rec->info.id);
	rec->info.looped = false;
}

void network_tell_loops(struct network *net)
{
	uint16_t id = PORT_NONE;
	if (!net->has_loop_news)
		return;
	net->has_loop_news = false;
	while ((id = portset_next(&net->loop_news, id == PORT_NONE ? 0 : id + 1u)) != PORT_NONE) {
		portset_remove(&net->loop_news, id);
		const struct port_info info =
			id == PORT_HOST ? network_host_info(net) : net->recs[id]->info;
		if (net->events->looped)
			net->events->looped(net->ctx, &info, net->guard.ports[id].hold_ms);
	}
}
