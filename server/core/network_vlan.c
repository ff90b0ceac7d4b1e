/* network_vlan.c - frames where ports have rules about VLANs (vlan.h).
 *
 * All ports of such a network are special, so its frames come by network_pass_in() and leave by
 * police_output(), and a network without rules knows nothing of it. On the way a run of frames of
 * one VLAN is brought into the form each port is to have it in: with its tag, or without. Each form
 * is made once for all ports; the new headers live in the network until the batch is flushed. */
#include "server/core/police.h"

static void apply_all(struct network *net)
{
	for (unsigned id = 0; id < FDB_PORTS; id++)
		if (net->recs[id] && !net->recs[id]->monitor)
			network_apply_rules(net, net->recs[id]);
}

/* The first rule has come, or the last has gone. Addresses were learned in no VLAN, or in some;
 * what a client gave is known again. */
static void change_all(struct network *net)
{
	net->sw.vlans = net->n_vlans != 0;
	fdb_flush(&net->sw.fdb, PORT_NONE, NULL);
	apply_all(net);
	for (unsigned i = 0; i < net->n_attached; i++)
		network_learn_given(net, net->recs[net->attached[i]], net->now_ms);
}

void network_vlan_apply(struct network *net, struct port_rec *rec, bool has)
{
	net->sw.ports[rec->info.id].vlan = has ? &rec->info.rules.vlan : NULL;
	if (has == rec->has_vlan)
		return;
	rec->has_vlan = has;
	net->n_vlans += has ? 1 : -1u;
	if (net->sw.vlans != (net->n_vlans != 0))
		change_all(net);
}

/* How many of these frames there is room for now; 0: the ports must write first. */
static unsigned room_for(const struct network *net, const struct frame *frames, unsigned n)
{
	unsigned i = 0, segs = 0;
	if (VLAN_HEADERS - net->vlan.n_headers < VLAN_FORMS * VLAN_RUN)
		return 0;
	while (i < n && i < VLAN_RUN && (!i || segs + 1 + frames[i].more_n <= VLAN_SEGS))
		segs += 1u + frames[i++].more_n;
	return i;
}

static void make(struct network_vlan *v, struct vlan_made *to, enum vlan_form form,
	const struct frame *frames, unsigned n)
{
	unsigned segs = 0;
	to->made = true;
	to->n = to->refused = 0;
	for (unsigned i = 0; i < n; i++) {
		int used = -1;
		if (1u + frames[i].more_n <= VLAN_SEGS - segs)
			used = vlan_edit(&frames[i], form, v->vlan, v->headers[v->n_headers],
				&to->segs[segs], &to->frames[to->n]);
		if (used < 0) {
			to->refused++;
			continue;
		}
		v->n_headers += to->frames[to->n].head == v->headers[v->n_headers];
		segs += (unsigned)used;
		to->n++;
	}
}

bool network_vlan_reaches(const struct network *net, uint16_t port)
{
	return net->vlan.vlan == VLAN_OWN ||
	       vlan_form(net->sw.ports[port].vlan, net->vlan.vlan) != VLAN_NOT;
}

struct frame *network_vlan_out(struct network *net, uint16_t in, uint16_t out, struct frame *frames,
	unsigned *n, bool flooded)
{
	struct network_vlan *v = &net->vlan;
	const struct vlan_rule *rule = net->sw.ports[out].vlan;
	if (v->vlan == VLAN_OWN)
		return !rule || rule->native ? frames : NULL;
	const enum vlan_form form = vlan_form(rule, v->vlan);
	if (form == VLAN_NOT)
		return NULL;
	if (form == VLAN_AS_IS)
		return frames;

	struct vlan_made *made = &v->made[form == VLAN_TAGGED];
	if (!made->made)
		make(v, made, form, frames, *n);
	if (!flooded)
		net->recs[in]->stats.drops[DROP_VLAN] += made->refused;
	*n = made->n;
	return *n ? made->frames : NULL;
}

static void run_end(struct network_vlan *v)
{
	v->vlan = VLAN_OWN;
	for (unsigned form = 0; form < VLAN_FORMS; form++)
		v->made[form].made = false;
}

static void deliver(struct network *net, uint16_t in, struct verdict v, uint16_t vlan,
	struct frame *frames, unsigned n)
{
	net->vlan.vlan = vlan;
	network_conclude(net, in, v, frames, n);
	run_end(&net->vlan);
}

void network_vlan_flood(struct network *net, uint16_t in, uint16_t vlan, struct frame *frame)
{
	if (vlan == VLAN_REFUSED)
		return;
	if (!room_for(net, frame, 1))
		network_flush_ports(net);
	net->vlan.vlan = vlan;
	network_flood(net, in, frame, 1);
	run_end(&net->vlan);
}

/* network.c has the same, without VLANs. */
void network_vlan_pass_in(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms)
{
	unsigned from = 0;
	struct verdict run = { 0 };
	uint16_t run_vlan = 0, vlan = 0;
	for (unsigned i = 0; i < n; i += vswitch_run_vlan(&net->sw, &frames[i], n - i, in)) {
		const uint64_t moves = net->sw.moves;
		const struct verdict v =
			vswitch_decide_vlan(&net->sw, &frames[i], in, now_ms, &vlan);
		if (net->sw.moves != moves)
			network_note_move(net, now_ms);
		if (i > from && (!verdict_same(v, run) || vlan != run_vlan)) {
			deliver(net, in, run, run_vlan, frames + from, i - from);
			from = i;
			if (network_drops_looped(net, in, frames + i, n - i))
				return;
		}
		run = v;
		run_vlan = vlan;
	}
	if (n)
		deliver(net, in, run, run_vlan, frames + from, n - from);
}

/* A client may leave when it is flushed. */
static bool is_there(const struct network *net, uint16_t in)
{
	return in == PORT_HOST || (net->recs[in] && net->recs[in]->client);
}

void network_vlan_input(struct network *net, uint16_t in, struct frame *frames, unsigned n)
{
	while (n && is_there(net, in)) {
		const unsigned next = room_for(net, frames, n);
		if (!next) {
			network_flush_ports(net);
			continue;
		}
		police_input(net, in, frames, next);
		frames += next;
		n -= next;
	}
}
