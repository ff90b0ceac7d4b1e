/* network_loop.c - what is done about loops (loopguard.h). See network.h. */
#include <stdlib.h>

#include "server/core/network_priv.h"

/* What went round taught us stations beyond any port of the loop, and what is still under way does
 * so for a while. So all is forgotten when that has come; and not too often, for to forget is to
 * flood, and who loops may do so on purpose. */
static void forget_soon(struct network *net)
{
	const uint64_t soon = net->now_ms + LOOPGUARD_BACK_MS;
	const uint64_t again = net->forgot_ms + LOOPGUARD_HOLD_MS;
	net->forget_ms = net->forgot_ms && again > soon ? again : soon;
}

static void forget_all(struct network *net)
{
	net->forget_ms = 0;
	net->forgot_ms = net->now_ms;
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
	if (looped) { /* nothing that came from there is true */
		fdb_flush(&net->sw.fdb, id, NULL);
		network_learn_given(net, rec, net->now_ms);
		mcast_forget(&net->sw.mcast, id);
		twins_forget(&net->twins, id);
		forget_soon(net);
	} else {
		mcast_attach(&net->sw.mcast, id);
	}
	portset_add(&net->loop_news, id);
	net->has_loop_news = true;
}

_Static_assert(VLAN_OWN == LOOPGUARD_NO_VLAN, "a run of no VLAN");

bool network_loops(
	struct network *net, uint16_t in, const struct frame *frames, unsigned n, unsigned flooded)
{
	if (!net->recs[in]->info.rules.loop_guard ||
		!loopguard_look(&net->guard, frames, n, flooded, net->vlan.vlan, in, net->now_ms))
		return false;
	set_looped(net, in, true);
	return true;
}

/* The ports write what they have before, so that there is room, and the suspect who leaves by that
 * is none; and after, for its bytes are here. */
void network_loop_probe(struct network *net)
{
	uint8_t buf[LOOPGUARD_PROBE_LEN];
	struct frame frame = { .head = buf, .head_len = sizeof(buf), .len = sizeof(buf) };
	uint16_t vlan;
	network_flush_ports(net);
	if (!loopguard_suspects(&net->guard, net->now_ms))
		return;
	const uint16_t port = loopguard_probe(&net->guard, net->now_ms, buf, &vlan);
	if (net->sw.vlans)
		network_vlan_flood(net, port, vlan, &frame);
	else
		network_flood(net, port, &frame, 1);
	network_flush_ports(net);
}

void network_loop_tick(struct network *net)
{
	uint16_t id;
	while ((id = loopguard_over(&net->guard, net->now_ms)) != PORT_NONE)
		set_looped(net, id, false);
	if (net->forget_ms && net->now_ms >= net->forget_ms)
		forget_all(net);
	network_tell_loops(net);
}

void network_loop_forget(struct network *net, struct port_rec *rec)
{
	loopguard_forget(&net->guard, rec->info.id);
	portset_remove(&net->loop_news, rec->info.id);
	if (rec->info.looped)
		mcast_attach(&net->sw.mcast, rec->info.id);
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
		const struct loopguard_port *p = &net->guard.ports[id];
		if (net->events->looped)
			net->events->looped(net->ctx, &info, p->first, p->hold_ms);
	}
}
