/* network.c - the frame path of a network. See network.h. */
#include "server/core/network_priv.h"
#include "server/core/offload.h"
#include "server/core/police.h"

#include <errno.h>
#include <stdlib.h>

int network_new(struct network **out, const struct network_facts *facts,
	const struct netid_key *key, uint64_t seed, const struct network_events *events, void *ctx)
{
	struct network *net = calloc(1, sizeof(*net));
	if (!net)
		return -ENOMEM;
	net->facts = *facts;
	net->facts.ports = 0;
	net->key = *key;
	net->events = events;
	net->ctx = ctx;
	net->recs[PORT_HOST] = &net->host_side;
	net->vlan.vlan = VLAN_OWN;
	loopguard_init(&net->guard, key, seed);
	block_pool_init(&net->pool, BLOCK_POOL_LIMIT);
	int rc = vswitch_init(&net->sw, seed);
	if (rc < 0)
		goto fail;
	rc = network_offload_init(net);
	if (rc < 0)
		goto fail;
	net->host_side.info.rules = rules_host;
	network_apply_rules(net, &net->host_side);
	/* not the host's address, which its own bridge, say, would not expect from here; and no
	 * port has a name like this */
	net->sw.mcast.own = netid_mac(key, facts->spec.network, ".querier");
	mcast_configure(&net->sw.mcast, &facts->multicast);
	if (facts->has_host) {
		rc = fdb_add_static(&net->sw.fdb, mac_key_at(facts->spec.mac.b), PORT_HOST);
		if (rc < 0)
			goto fail;
		mcast_attach(&net->sw.mcast, PORT_HOST);
	}
	*out = net;
	return 0;

fail:
	network_free(net);
	return rc;
}

void network_free(struct network *net)
{
	if (!net)
		return;
	for (unsigned id = 1; id < FDB_PORTS; id++)
		free(net->recs[id]);
	vswitch_fini(&net->sw);
	block_pool_fini(&net->pool);
	free(net->offload);
	free(net);
}

void network_set_host(struct network *net, const struct hostif_ops *ops, struct hostif *host)
{
	net->host_ops = host ? ops : NULL;
	net->host = host;
	net->host_answers = host && ops->tick;
	net->sw.ports[PORT_HOST].owes = host && ops->offload;
	net->offload->host = host && ops->offload ? ops->offload(host) : 0;
	if (host && net->had_host)
		network_announce_host(net);
	net->had_host |= host != NULL;
}

const struct network_facts *network_facts(const struct network *net)
{
	return &net->facts;
}

struct block_pool *network_pool(struct network *net)
{
	return &net->pool;
}

static uint64_t bytes_of(const struct frame *frames, unsigned n)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < n; i++)
		sum += frames[i].len;
	return sum;
}

/* @frames: what became of @n frames, of @bytes bytes, which is what is counted. */
static void hand_host(
	struct network *net, struct frame *frames, unsigned n_out, unsigned n, uint64_t bytes)
{
	struct port_stats *stats = &net->host_side.stats;
	unsigned taken = 0;
	if (net->host_ops)
		taken = net->host_ops->send(net->host, frames, n_out);
	if (taken == n_out) {
		stats->tx_frames += n;
		stats->tx_bytes += bytes;
		return;
	}
	/* which ones it refused is not told: the share of them is near enough for a counter */
	const unsigned refused = (unsigned)((uint64_t)n * (n_out - taken) / n_out);
	stats->tx_frames += n - refused;
	stats->drops[DROP_HOST_REFUSED] += refused;
	stats->tx_bytes += bytes * taken / n_out;
}

static void give_host(struct network *net, struct frame *frames, unsigned n)
{
	const unsigned headers = net->gro.n_headers;
	if (!(net->offload->host & OFFLOAD_SUPER)) {
		hand_host(net, frames, n, n, bytes_of(frames, n));
		return;
	}
	for (unsigned used; n; frames += used, n -= used) {
		struct frame *out;
		unsigned n_out;
		used = network_gro_next(
			net, net->offload->host, FETH_FRAME_MAX, frames, n, &out, &n_out);
		hand_host(net, out, n_out, used, bytes_of(frames, used));
		net->gro.n_headers = headers; /* it has read them */
	}
}

static void pass_host(struct network *net, struct frame *frames, unsigned n)
{
	net->holds = true;
	if (!net->offload->owing) {
		give_host(net, frames, n);
		return;
	}
	for (unsigned used; n; frames += used, n -= used) {
		struct frame *out;
		unsigned n_out;
		used = network_offload_next(
			net, net->offload->host, FETH_FRAME_MAX, frames, n, &out, &n_out);
		if (out == frames)
			give_host(net, out, n_out);
		else if (n_out) /* what was cut for the host is not to become one again */
			hand_host(net, out, n_out, n_out, bytes_of(out, n_out));
	}
}

static uint32_t longest(const struct port *port)
{
	return port->offload_max ? port->offload_max : FETH_FRAME_MAX;
}

/* What is flooded is not coalesced: it would have to be for each port. */
static void hand_port(
	struct network *net, struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	if (flooded || !(port->offload & OFFLOAD_SUPER)) {
		port->ops->send(port, frames, n, flooded);
		return;
	}
	for (unsigned used; n; frames += used, n -= used) {
		struct frame *out;
		unsigned n_out;
		used = network_gro_next(net, port->offload, longest(port), frames, n, &out, &n_out);
		port->ops->send(port, out, n_out, false);
	}
}

static void hand_owing(
	struct network *net, struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	for (unsigned used; n; frames += used, n -= used) {
		struct frame *out;
		unsigned n_out;
		used = network_offload_next(
			net, port->offload, longest(port), frames, n, &out, &n_out);
		if (out == frames)
			hand_port(net, port, out, n_out, flooded);
		else if (n_out)
			port->ops->send(port, out, n_out, flooded);
		if (out != frames)
			net->work += n_out;
	}
}

static inline void give_port(
	struct network *net, struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	net->holds |= !port->copies;
	if (net->offload->owing)
		hand_owing(net, port, frames, n, flooded);
	else if (port->offload)
		hand_port(net, port, frames, n, flooded);
	else /* as most are */
		port->ops->send(port, frames, n, flooded);
}

/* Those of a run that fit a port, in runs. */
static void send_fitting(
	struct network *net, struct port_rec *rec, struct frame *frames, unsigned n, bool flooded)
{
	const uint32_t mtu = net->sw.ports[rec->info.id].mtu;
	unsigned from = 0;
	for (unsigned i = 0; i <= n; i++) {
		if (i < n && frame_fits(&frames[i], mtu))
			continue;
		if (i > from && rec == &net->host_side)
			pass_host(net, frames + from, i - from);
		else if (i > from)
			give_port(net, rec->client, frames + from, i - from, flooded);
		if (i < n)
			rec->stats.drops[DROP_TOO_BIG_FOR_PORT]++;
		if (i < n && !flooded) /* else it may be for another port, where it fits */
			network_tell_too_big(net, rec->info.id, &frames[i], 1);
		from = i + 1;
	}
}

/* The host side is narrower than the network where it is in a bridge that is. */
static void pass_host_fitting(struct network *net, struct frame *frames, unsigned n, bool flooded)
{
	if (net->sw.ports[PORT_HOST].mtu < net->facts.spec.mtu)
		send_fitting(net, &net->host_side, frames, n, flooded);
	else
		pass_host(net, frames, n);
}

static void send_host(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, bool flooded)
{
	if (net->sw.ports[PORT_HOST].special)
		police_output(net, in, &net->host_side, frames, n, flooded);
	else
		pass_host_fitting(net, frames, n, flooded);
}

static void touch(struct network *net, struct port_rec *rec)
{
	if (rec->touched)
		return;
	rec->touched = true;
	net->touched[net->n_touched++] = rec->info.id;
}

void network_pass_out(
	struct network *net, struct port_rec *rec, struct frame *frames, unsigned n, bool flooded)
{
	if (rec == &net->host_side) {
		pass_host_fitting(net, frames, n, flooded);
		return;
	}
	touch(net, rec);
	send_fitting(net, rec, frames, n, flooded);
}

static void send_port(struct network *net, uint16_t in, uint16_t out, struct frame *frames,
	unsigned n, bool flooded)
{
	struct port_rec *rec = net->recs[out];
	const struct vport *vport = &net->sw.ports[out];
	if (!rec->client) { /* declared, locked, and nobody there */
		rec->stats.drops[DROP_DETACHED] += n;
		return;
	}
	if (vport->special) {
		police_output(net, in, rec, frames, n, flooded);
		return;
	}
	touch(net, rec);
	if (vport->mtu < net->sw.ports[in].mtu)
		send_fitting(net, rec, frames, n, flooded);
	else
		give_port(net, rec->client, frames, n, flooded);
}

static void flood(struct network *net, uint16_t in, struct frame *frames, unsigned n)
{
	net->work += n * net->n_attached;
	if (in != PORT_HOST && net->facts.has_host)
		send_host(net, in, frames, n, true);
	for (unsigned i = 0; i < net->n_attached; i++)
		if (net->attached[i] != in)
			send_port(net, in, net->attached[i], frames, n, true);
}

static void send_ports(struct network *net, uint16_t in, const struct portset *ports,
	struct frame *frames, unsigned n)
{
	if (portset_has(ports, PORT_HOST))
		send_host(net, in, frames, n, true);
	for (uint16_t p = 0; (p = portset_next(ports, p + 1u)) != PORT_NONE; net->work += n)
		send_port(net, in, p, frames, n, true);
}

static void send_group(
	struct network *net, uint16_t in, uint16_t to, struct frame *frames, unsigned n)
{
	struct portset ports;
	mcast_set(&net->sw.mcast, to, &ports);
	portset_remove(&ports, in);
	if (portset_empty(&ports))
		net->sw.mcast.stats.unwanted += n;
	else
		send_ports(net, in, &ports, frames, n);
}

static void deliver(
	struct network *net, uint16_t in, struct verdict v, struct frame *frames, unsigned n)
{
	switch ((enum verdict_kind)v.kind) {
	case VERDICT_DROP:
		net->recs[in]->stats.drops[v.reason] += n;
		if (v.reason == DROP_OVERSIZE)
			network_tell_too_big(net, in, frames, n);
		break;
	case VERDICT_PORT:
		if (v.port == PORT_HOST)
			send_host(net, in, frames, n, false);
		else
			send_port(net, in, v.port, frames, n, false);
		break;
	case VERDICT_FLOOD:
		flood(net, in, frames, n);
		break;
	case VERDICT_GROUP:
		send_group(net, in, v.port, frames, n);
		break;
	}
}

void network_refuse(
	struct network *net, uint16_t in, enum drop_reason reason, struct frame *frames, unsigned n)
{
	const struct verdict v = { VERDICT_DROP, (uint8_t)reason, PORT_NONE };
	net->recs[in]->stats.drops[reason] += n;
	if (net->n_monitors)
		network_watch(net, in, v, NULL, frames, n);
}

bool network_drops_looped(struct network *net, uint16_t in, struct frame *frames, unsigned n)
{
	if (!net->recs[in]->info.looped)
		return false;
	network_refuse(net, in, DROP_LOOPED, frames, n);
	return true;
}

static bool floods(struct verdict v)
{
	return v.kind == VERDICT_FLOOD || (v.kind == VERDICT_GROUP && mcast_floods(v.port));
}

static inline void conclude(
	struct network *net, uint16_t in, struct verdict v, struct frame *frames, unsigned n)
{
	if (v.kind == VERDICT_PORT && v.port != PORT_HOST && !net->n_monitors) {
		send_port(net, in, v.port, frames, n, false); /* what most are goes first */
		return;
	}
	const unsigned pass = floods(v) ? police_storm(net, in, frames, n) : n;
	if ((v.kind == VERDICT_FLOOD || v.kind == VERDICT_GROUP) &&
		network_loops(net, in, frames, n, pass)) {
		network_refuse(net, in, DROP_LOOPED, frames, n);
		return;
	}
	if (net->n_monitors && pass)
		network_watch(net, in, v, NULL, frames, pass);
	if (pass)
		deliver(net, in, v, frames, pass);
	if (pass < n)
		network_refuse(net, in, DROP_STORM, frames + pass, n - pass);
}

void network_conclude(
	struct network *net, uint16_t in, struct verdict v, struct frame *frames, unsigned n)
{
	conclude(net, in, v, frames, n);
}

void network_flood(struct network *net, uint16_t in, struct frame *frames, unsigned n)
{
	const struct verdict v = { .kind = VERDICT_FLOOD, .port = PORT_NONE };
	if (net->n_monitors)
		network_watch(net, in, v, NULL, frames, n);
	deliver(net, in, v, frames, n);
}

static inline void pass_in(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms)
{
	unsigned from = 0;
	struct verdict run = { 0 };
	for (unsigned i = 0; i < n; i += vswitch_run(&net->sw, &frames[i], n - i, in)) {
		const uint64_t moves = net->sw.moves;
		const struct verdict v = vswitch_decide(&net->sw, &frames[i], in, now_ms);
		if (net->sw.moves != moves)
			network_note_move(net, now_ms);
		if (i > from && !verdict_same(v, run)) {
			conclude(net, in, run, frames + from, i - from);
			from = i;
			if (network_drops_looped(net, in, frames + i, n - i))
				return;
		}
		run = v;
	}
	if (n)
		conclude(net, in, run, frames + from, n - from);
}

void network_pass_in(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms)
{
	if (network_drops_looped(net, in, frames, n)) /* since the first frames of the batch */
		return;
	if (net->sw.vlans)
		network_vlan_pass_in(net, in, frames, n, now_ms);
	else
		pass_in(net, in, frames, n, now_ms);
}

void network_flush_ports(struct network *net)
{
	for (unsigned i = 0; i < net->n_touched; i++) {
		struct port_rec *rec = net->recs[net->touched[i]];
		if (!rec || !rec->touched)
			continue;
		rec->touched = false;
		if (rec->client)
			rec->client->ops->flush(rec->client);
	}
	net->n_touched = 0;
	net->vlan.n_headers = 0;
	net->gro.n_headers = 0;
	block_forget_copies(&net->pool);
	network_offload_written(net);
}

void network_admit(struct network *net, uint16_t in, struct frame *frames, unsigned n)
{
	if (net->sw.vlans)
		network_vlan_input(net, in, frames, n);
	else if (net->sw.ports[in].special)
		police_input(net, in, frames, n);
	else
		pass_in(net, in, frames, n, net->now_ms);
}

void network_input(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms)
{
	struct port_stats *stats = &net->recs[in]->stats;
	stats->rx_frames += n;
	stats->rx_bytes += bytes_of(frames, n);
	net->now_ms = now_ms;
	net->from = in;
	if (net->sw.ports[in].owes)
		network_offload_input(net, in, frames, n);
	else
		network_admit(net, in, frames, n);
}

void network_flush(struct network *net)
{
	if (loopguard_suspects(&net->guard, net->now_ms))
		network_loop_probe(net);
	network_flush_ports(net);
	net->toobig.n = 0;
	net->work = 0;
	net->holds = false;
	if (net->n_monitors)
		network_watch_flush(net);
	network_tell_loops(net);
	network_tell_groups(net);
	if (net->host_answers && net->events->host_waits && net->host_ops->more(net->host))
		net->events->host_waits(net->ctx);
}

bool network_holds(const struct network *net)
{
	return net->holds;
}

uint32_t network_work(const struct network *net)
{
	return net->work;
}

void network_count(
	struct network *net, uint16_t in, enum drop_reason reason, uint64_t n, uint64_t bytes)
{
	struct port_stats *stats = in == PORT_NONE ? &net->retired : &net->recs[in]->stats;
	stats->rx_frames += n;
	stats->rx_bytes += bytes;
	stats->drops[reason] += n;
}

unsigned network_judge(struct network *net, uint16_t in, struct frame *frames, unsigned n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++) {
		if (!offload_valid(&frames[i], net->facts.spec.mtu))
			network_count(net, in, DROP_BAD_OFFLOAD, 1, frames[i].len);
		else if (kept++ != i)
			frames[kept - 1] = frames[i];
	}
	return kept;
}

static void send_query(struct network *net, const struct mcast_ask *ask)
{
	uint8_t buf[QUERIER_FRAME_MAX];
	const uint32_t len = querier_frame(ask->family, net->sw.mcast.own, ask->response_ms, buf);
	struct frame frame = { .head = buf, .head_len = len, .len = len };
	if (net->n_monitors)
		network_watch(net, PORT_NONE, (struct verdict){ VERDICT_GROUP, 0, 0 }, &ask->ports,
			&frame, 1);
	send_ports(net, PORT_HOST, &ask->ports, &frame, 1);
	network_flush(net);
}

void network_tick(struct network *net, uint64_t now_ms)
{
	struct mcast_ask ask;
	net->now_ms = now_ms;
	fdb_expire(&net->sw.fdb, now_ms);
	mcast_tick(&net->sw.mcast, now_ms);
	while (mcast_asks(&net->sw.mcast, &ask))
		send_query(net, &ask);
	network_loop_tick(net);
	network_tell_twins(net, now_ms);
	network_announce(net);
	network_tell_groups(net);
}
