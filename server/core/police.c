/* police.c - see police.h. */
#include "server/core/police.h"

#include "server/core/offload.h"

uint32_t police_burst(uint32_t rate)
{
	const uint64_t burst = rate * (uint64_t)POLICE_BURST_MS / 1000;
	return burst < POLICE_BURST_MIN ? POLICE_BURST_MIN : (uint32_t)burst;
}

/* What is done with a run of frames from or for a port. */
typedef void run_fn(
	struct network *net, struct port_rec *rec, struct frame *frames, unsigned n, bool flooded);

static void pass_in(
	struct network *net, struct port_rec *rec, struct frame *frames, unsigned n, bool flooded)
{
	(void)flooded;
	network_pass_in(net, rec->info.id, frames, n, net->now_ms);
}

static void drop_in(
	struct network *net, struct port_rec *rec, struct frame *frames, unsigned n, bool flooded)
{
	(void)flooded;
	network_refuse(net, rec->info.id, DROP_RATE, frames, n);
}

static void drop_out(
	struct network *net, struct port_rec *rec, struct frame *frames, unsigned n, bool flooded)
{
	(void)net;
	(void)frames;
	(void)flooded;
	rec->stats.drops[DROP_RATE] += n;
}

/* What a frame costs of a burst: of one that is to be cut what becomes of it, but no more than a
 * full bucket holds, lest it might never pass. */
static uint32_t bytes_of(const struct frame *frame, uint32_t burst)
{
	const uint32_t more = (offload_segments(frame) - 1) * frame->offload.hdr_len;
	const uint32_t bytes = frame->len + more;
	return bytes < burst ? bytes : burst;
}

/* Those of some frames that @rate, not 0, lets through are passed, the others dropped. One over the
 * cap is not looked at: it goes no further, and is counted as that. */
static void limit(struct network *net, struct port_rec *rec, struct bucket *bucket, uint32_t rate,
	struct frame *frames, unsigned n, bool flooded, run_fn *pass, run_fn *drop)
{
	const uint32_t mtu = net->sw.ports[rec->info.id].mtu, burst = police_burst(rate);
	unsigned from = 0;
	bool good = true;
	bucket_fill(bucket, rate, burst, net->now_ms);
	for (unsigned i = 0; i <= n; i++) {
		const bool ok = i < n && (!frame_fits(&frames[i], mtu) ||
						 bucket_take(bucket, bytes_of(&frames[i], burst)));
		if (i < n && ok == good)
			continue;
		if (i > from)
			(good ? pass : drop)(net, rec, frames + from, i - from, flooded);
		from = i;
		good = ok;
	}
}

static void take(struct network *net, struct port_rec *rec, struct frame *frames, unsigned n)
{
	const struct port_rules *rules = &rec->info.rules;
	if (rules->rx_rate)
		limit(net, rec, &rec->police.rx, rules->rx_rate, frames, n, false, pass_in,
			drop_in);
	else
		pass_in(net, rec, frames, n, false);
}

void police_input(struct network *net, uint16_t in, struct frame *frames, unsigned n)
{
	struct port_rec *rec = net->recs[in];
	if (!rec->info.rules.up)
		network_refuse(net, in, DROP_LINK_DOWN, frames, n);
	else if (rec->info.looped)
		network_refuse(net, in, DROP_LOOPED, frames, n);
	else
		take(net, rec, frames, n);
}

static void send_out(struct network *net, uint16_t in, struct port_rec *rec, struct frame *frames,
	unsigned n, bool flooded)
{
	const uint32_t rate = rec->info.rules.tx_rate;
	if (net->sw.vlans)
		frames = network_vlan_out(net, in, rec->info.id, frames, &n, flooded);
	if (!frames)
		return;
	if (rate)
		limit(net, rec, &rec->police.tx, rate, frames, n, flooded, network_pass_out,
			drop_out);
	else
		network_pass_out(net, rec, frames, n, flooded);
}

void police_output(struct network *net, uint16_t in, struct port_rec *rec, struct frame *frames,
	unsigned n, bool flooded)
{
	const struct port_rules *rules = &rec->info.rules;
	struct port_rec *from = net->recs[in];
	if (rec->info.looped)
		rec->stats.drops[DROP_LOOPED] += flooded ? 0 : n;
	else if (!rules->up)
		rec->stats.drops[DROP_LINK_DOWN] += flooded ? 0 : n;
	else if (rules->isolated && from->info.rules.isolated)
		from->stats.drops[DROP_ISOLATED] += flooded ? 0 : n;
	else
		send_out(net, in, rec, frames, n, flooded);
}

unsigned police_storm(struct network *net, uint16_t in, const struct frame *frames, unsigned n)
{
	struct port_rec *rec = net->recs[in];
	struct bucket *bucket = &rec->police.storm;
	const uint32_t storm = rec->info.rules.storm;
	unsigned taken = 0;
	if (!storm)
		return n;
	bucket_fill(bucket, storm, storm, net->now_ms);
	for (; taken < n; taken++) {
		const uint32_t segments = offload_segments(&frames[taken]);
		if (!bucket_take(bucket, segments < storm ? segments : storm))
			break;
	}
	return taken;
}
