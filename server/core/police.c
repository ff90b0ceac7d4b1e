/* police.c - see police.h. */
#include "server/core/police.h"

void police_input(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms)
{
	const struct port_rec *rec = net->recs[in];
	if (!rec->info.rules.up) {
		network_refuse(net, in, DROP_LINK_DOWN, frames, n);
		return;
	}
	network_pass_in(net, in, frames, n, now_ms);
}

static bool isolated(const struct network *net, uint16_t port)
{
	return port != PORT_HOST && net->recs[port]->info.rules.isolated;
}

void police_output(struct network *net, uint16_t in, struct port_rec *rec, struct frame *frames,
	unsigned n, bool flooded)
{
	const struct port_rules *rules = &rec->info.rules;
	if (!rules->up) {
		if (!flooded)
			rec->stats.drops[DROP_LINK_DOWN] += n;
		return;
	}
	if (rules->isolated && isolated(net, in)) {
		if (!flooded)
			net->recs[in]->stats.drops[DROP_ISOLATED] += n;
		return;
	}
	network_pass_out(net, in, rec, frames, n, flooded);
}
