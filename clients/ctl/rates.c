/* rates.c - see rates.h. */
#include "clients/ctl/rates.h"

#include <string.h>

/* Whether no counter of @now is less than it was. */
static bool went_on(const struct snap_traffic *before, const struct snap_traffic *now)
{
	if (now->rx_frames < before->rx_frames || now->rx_bytes < before->rx_bytes ||
		now->tx_frames < before->tx_frames || now->tx_bytes < before->tx_bytes)
		return false;
	for (size_t i = 0; i < before->drops.n; i++)
		if (snap_count_of(&now->drops, before->drops.items[i].name) <
			before->drops.items[i].n)
			return false;
	return true;
}

static void rate_of(const struct snap_traffic *before, const struct snap_traffic *now,
	double seconds, struct rate *out)
{
	uint64_t most = 0, all = 0;
	out->known = true;
	out->rx_frames = (double)(now->rx_frames - before->rx_frames) / seconds;
	out->rx_bytes = (double)(now->rx_bytes - before->rx_bytes) / seconds;
	out->tx_frames = (double)(now->tx_frames - before->tx_frames) / seconds;
	out->tx_bytes = (double)(now->tx_bytes - before->tx_bytes) / seconds;
	for (size_t i = 0; i < now->drops.n; i++) {
		const struct snap_count *d = &now->drops.items[i];
		const uint64_t n = d->n - snap_count_of(&before->drops, d->name);
		all += n;
		if (n <= most)
			continue;
		most = n;
		out->reason = d->name;
	}
	out->drops = (double)all / seconds;
}

/* The network as it was, and how long ago; NULL where nothing can be said. */
static const struct snap_network *older(
	const struct snapshot *before, const struct snap_network *net, double *seconds)
{
	const struct snap_network *was = snapshot_network(before, net->name);
	if (!was || net->at_ms <= was->at_ms) /* a clock may stand still, as in a suspend */
		return NULL;
	*seconds = (double)(net->at_ms - was->at_ms) / 1000;
	return was;
}

void rates_network(const struct snapshot *before, const struct snap_network *net, struct rate *out)
{
	double seconds = 0;
	const struct snap_network *was = older(before, net, &seconds);
	memset(out, 0, sizeof(*out));
	if (was && went_on(&was->traffic, &net->traffic))
		rate_of(&was->traffic, &net->traffic, seconds, out);
}

void rates_port(const struct snapshot *before, const struct snap_network *net,
	const struct snap_port *port, struct rate *out)
{
	static const struct snap_traffic nothing;
	double seconds = 0;
	const struct snap_network *was = older(before, net, &seconds);
	const struct snap_port *p = snapshot_port(was, port->id, port->name);
	const bool anew = port->has_age && (double)port->age_ms < seconds * 1000;
	memset(out, 0, sizeof(*out));
	if (!was)
		return;
	if (anew)
		rate_of(&nothing, &port->traffic, seconds, out);
	else if (p && went_on(&p->traffic, &port->traffic))
		rate_of(&p->traffic, &port->traffic, seconds, out);
}
