/* bridges.c - the host member as a port of a bridge of this machine, by which the network goes on
 * to others: a VXLAN, a physical card. See daemon_priv.h.
 *
 * Who says so himself hears at once what is wrong: that there is no such bridge, or that it cannot
 * pass on what the network may send. A file's network is made all the same, since bridges may come
 * later, and waits for its own. From then on the system's news tell: the host member is put into a
 * bridge that is made, or made anew, and the network learns what its other ports can carry. A
 * bridge drops what is too long for the next port without a word (linux, net/bridge/br_forward.c,
 * is_skb_forwardable()); we drop it before, counted, and say so.
 *
 * What people do stays: a host member that somebody took out of a bridge that is still there is not
 * put back but by network.set. */
#include <errno.h>
#include <string.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"

/* From the first of some news to the look: a container engine makes interfaces by the dozen. A look
 * takes half a millisecond for each bridge, where a machine has a thousand interfaces. */
#define BRIDGES_LOOK_MS 50u

static bool wanted(const struct hostif_spec *spec)
{
	return spec->bridge[0];
}

bool bridges_carrier(const struct netctl *ent, const struct network_facts *f)
{
	return verb_pair_carrier(ent->ops->name, &f->spec) && (!wanted(&f->spec) || f->bridged);
}

int bridges_check(const struct network_facts *want, struct err *err)
{
	const struct hostif_spec *s = &want->spec;
	struct bridge_state state;
	struct err why = { 0 };
	const int rc = wanted(s) ? verb_bridge_look(s, &state, &why) : 0;
	if (rc < 0) /* `not_found` would be about the network */
		return err_set(err, rc == -ENODEV ? -EINVAL : rc, "%s", why.text);
	if (!wanted(s))
		return 0;
	if (!state.mtu || state.mtu >= s->mtu)
		return 0;
	return err_set(err, -EINVAL,
		"mtu: %s: the bridge %s carries packets of %u bytes at most, by %s, and the "
		"network's have up to %u; give the network --mtu %u, or %s a larger MTU",
		s->network, s->bridge, state.mtu, state.narrow, s->mtu, state.mtu, state.narrow);
}

/* What was found, or nothing; says so where frames will be dropped. */
static void take(struct netctl *ent, struct network_facts *f, const struct bridge_state *state)
{
	const struct hostif_spec *s = &f->spec;
	if (state->mtu && state->mtu < s->mtu && state->mtu != ent->facts.bridge_mtu)
		log_warn("bridge",
			"narrow net=%s bridge=%s by=%s bridge_mtu=%u mtu=%u: longer packets to the "
			"bridge are dropped; fethctl set %s --mtu %u, or give %s a larger MTU",
			s->network, s->bridge, state->narrow, (unsigned)state->mtu,
			(unsigned)s->mtu, s->network, (unsigned)state->mtu, state->narrow);
	f->bridged = state->in;
	f->bridge_mtu = state->mtu;
	ent->bridge_index = state->index;
	ent->bridge_tool = state->tool;
}

int bridges_change(struct netctl *ent, const struct hostif_spec *now, struct network_facts *want,
	bool later, struct err *err)
{
	struct bridge_state state = { 0 };
	struct err why = { 0 };
	int rc = 0;
	if (wanted(now) && strcmp(now->bridge, want->spec.bridge) != 0)
		rc = verb_bridge_leave(now, &why);
	if (!rc && wanted(&want->spec))
		rc = verb_bridge_join(&want->spec, &state, &why);
	if (rc == -EOPNOTSUPP) /* nor will it ever be */
		later = false;
	if (rc < 0 && !later) {
		if (wanted(now))
			(void)verb_bridge_join(now, &state, NULL);
		return err_set(err, rc, "%s", why.text);
	}
	if (rc < 0)
		log_warn("bridge", "not bridged yet, until that changes: %s", why.text);
	take(ent, want, &state);
	return 0;
}

void bridges_end(struct netctl *ent)
{
	struct err err = { 0 };
	/* the kernel's lose it with the interface */
	if (ent->bridge_tool && verb_bridge_leave(&ent->facts.spec, &err) < 0)
		log_warn("bridge", "%s", err.text);
}

/* -- what happens to it -- */

static void tell(struct netctl *ent, const struct network_facts *now)
{
	const struct network_facts *was = &ent->facts;
	if (now->bridged == was->bridged && now->bridge_mtu == was->bridge_mtu &&
		now->carrier == was->carrier)
		return;
	struct command *cmd = command_new(CMD_FACTS);
	if (!cmd)
		return;
	log_info("bridge", "changed net=%s bridge=%s bridged=%d bridge_mtu=%u", now->spec.network,
		now->spec.bridge, now->bridged, (unsigned)now->bridge_mtu);
	ent->facts = *now;
	cmd->out.facts = *now;
	cmd->done = command_free;
	netloop_post(ent->nl, cmd);
}

static void look(struct netctl *ent)
{
	const struct hostif_spec *s = &ent->facts.spec;
	struct bridge_state state = { 0 };
	struct network_facts now = ent->facts;
	struct err err = { 0 };
	if (!verb_bridge_look(s, &state, NULL) && !state.in && state.index != ent->bridge_index &&
		verb_bridge_join(s, &state, &err) < 0)
		log_warn("bridge", "%s", err.text);
	take(ent, &now, &state);
	now.carrier = bridges_carrier(ent, &now);
	tell(ent, &now);
}

static void look_soon(struct netctl *ent)
{
	uv_timer_t *timer = &ent->d->bridges;
	ent->look_at_bridge = true;
	if (!uv_is_active((uv_handle_t *)timer))
		uv_timer_start(timer, bridges_look, BRIDGES_LOOK_MS, 0);
}

void bridges_look(uv_timer_t *timer)
{
	const struct daemon *d = timer->data;
	for (struct netctl *ent = d->networks; ent; ent = ent->next) {
		if (!ent->look_at_bridge || ent->stopping)
			continue;
		ent->look_at_bridge = false;
		if (ent->busy || ent->applying)
			look_soon(ent);
		else if (wanted(&ent->facts.spec) && !ent->remaking && !ent->retry)
			look(ent);
	}
}

void bridges_made(struct netctl *ent)
{
	if (!wanted(&ent->facts.spec))
		return;
	/* the new host member is in none; the switch of Open vSwitch, where it is a process, holds
	 * on to the old one (measured: OVS 3.1) */
	bridges_end(ent);
	ent->bridge_index = 0;
	if (ent->busy || ent->applying)
		look_soon(ent);
	else
		look(ent);
}

void bridges_event(struct daemon *d, const char *name)
{
	for (struct netctl *ent = d->networks; ent; ent = ent->next) {
		const struct hostif_spec *s = &ent->facts.spec;
		const bool about = !name || !ent->bridge_tool || !strcmp(name, s->bridge) ||
				   !strcmp(name, s->host);
		if (wanted(s) && about)
			look_soon(ent);
	}
}
