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
 * put back but by network.set.
 *
 * A look that fails tells nothing, so what was last seen is believed until one succeeds. Open
 * vSwitch may be away for a while, or hang: it is then asked less and less often, and a port that
 * it could not be told to give up keeps its unit from other networks until it has. */
#include <errno.h>
#include <string.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"

/* From the first of some news to the look: a container engine makes interfaces by the dozen. A look
 * takes half a millisecond for each bridge, where a machine has a thousand interfaces. */
#define BRIDGES_LOOK_MS 50u
/* After a try that failed: at first, and at most, doubled each time. */
#define AGAIN_FIRST_MS 1000u
#define AGAIN_MS 60000u
/* A try that failed after so long held up main: until it is repeated nobody else's is made. */
#define SLOW_MS 500u

static bool wanted(const struct hostif_spec *spec)
{
	return spec->bridge[0];
}

bool bridges_carrier(const struct netctl *ent, const struct network_facts *f)
{
	return verb_pair_carrier(ent->ops->name, &f->spec) && (!wanted(&f->spec) || f->bridged);
}

static uint64_t now_ms(struct daemon *d)
{
	uv_update_time(&d->uv); /* a tool may have taken long */
	return uv_now(&d->uv);
}

/* Of the bridges' timer; it runs no later than in @ms. */
static void look_in(struct daemon *d, uint64_t ms)
{
	uv_timer_t *timer = &d->bridges;
	const bool soon = uv_is_active((uv_handle_t *)timer) && uv_timer_get_due_in(timer) <= ms;
	if (!soon && !uv_is_closing((uv_handle_t *)timer))
		uv_timer_start(timer, bridges_look, ms, 0);
}

/* A try that began at @began has failed. When the next may be. */
static uint64_t again(struct daemon *d, uint64_t began)
{
	const uint64_t now = now_ms(d);
	const unsigned wait = d->bridge_wait ? 2 * d->bridge_wait : AGAIN_FIRST_MS;
	d->bridge_wait = wait < AGAIN_MS ? wait : AGAIN_MS;
	if (now - began >= SLOW_MS)
		d->bridge_hangs_until = now + d->bridge_wait;
	look_in(d, d->bridge_wait);
	return now + d->bridge_wait;
}

static void failed(struct netctl *ent, uint64_t began, const struct err *err)
{
	if (!ent->bridge_failed)
		log_warn("bridge", "in vain net=%s: %s; tried again, every %u s in the end",
			ent->facts.spec.network, err->text, AGAIN_MS / 1000);
	ent->bridge_failed = ent->look_at_bridge = true;
	ent->bridge_after = again(ent->d, began);
}

/* -- ports of Open vSwitch that may be left -- */

static void owe(struct daemon *d, uint64_t began, const struct err *err)
{
	if (!d->bridge_owed)
		log_warn("bridge", "ports may be left in Open vSwitch, which is told later: %s",
			err->text);
	d->bridge_owed = true;
	d->bridge_owed_after = again(d, began);
}

static void pay(struct daemon *d)
{
	const struct hostif_spec *keep[NETWORKS_MAX];
	const uint64_t began = now_ms(d);
	struct err err = { 0 };
	unsigned n = 0;
	for (const struct netctl *e = d->networks; e; e = e->next)
		if (e->bridge_tool && wanted(&e->facts.spec) && n < NETWORKS_MAX)
			keep[n++] = &e->facts.spec;
	if (verb_bridge_sweep(keep, n, &err) < 0)
		return owe(d, began, &err);
	if (d->bridge_owed)
		log_info("bridge", "no ports are left in Open vSwitch");
	d->bridge_owed = false;
	state_left_bridge(d);
}

bool bridges_sweep(struct daemon *d)
{
	if (!d->bridge_owed || now_ms(d) >= d->bridge_hangs_until)
		pay(d);
	return !d->bridge_owed;
}

/* Out of where @spec says, now or later; false: later. */
static bool part(struct netctl *ent, const struct hostif_spec *spec)
{
	struct daemon *d = ent->d;
	const uint64_t began = now_ms(d);
	struct err err = { 0 };
	if (began < d->bridge_hangs_until && ent->bridge_tool)
		err_set(&err, -EBUSY, "it did not answer");
	else if (!verb_bridge_leave(spec, ent->bridge_index, false, &err))
		return true;
	ent->bridge_tool = true;
	owe(d, began, &err);
	return false;
}

bool bridges_end(struct netctl *ent)
{
	return !ent->paired || (!ent->bridge_tool && !wanted(&ent->facts.spec)) ||
	       part(ent, &ent->facts.spec);
}

/* -- what is asked for -- */

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
	if (state->was)
		log_warn("bridge",
			"lowered net=%s bridge=%s was=%u now=%u: a bridge takes the least MTU of "
			"its ports; its own longer packets do not leave it now",
			s->network, s->bridge, (unsigned)state->was, (unsigned)state->now);
	f->bridged = state->in;
	f->bridge_mtu = state->mtu;
	if (state->index) /* else there is none, and its ports may be remembered */
		ent->bridge_tool = state->tool;
}

int bridges_change(struct netctl *ent, const struct hostif_spec *now, struct network_facts *want,
	bool later, struct err *err)
{
	const uint64_t began = now_ms(ent->d);
	const bool other = strcmp(now->bridge, want->spec.bridge) != 0;
	struct bridge_state state = { 0 };
	struct err why = { 0 };
	int rc = 0;
	if (wanted(now) && other) {
		rc = verb_bridge_leave(now, ent->bridge_index, true, &why);
		if (rc < 0 && ent->bridge_tool) { /* it may be out all the same: back then */
			ent->bridge_index = 0;
			failed(ent, began, &why);
		}
		if (rc < 0)
			return err_set(err, rc, "%s", why.text);
		ent->bridge_tool = false;
		ent->bridge_index = 0;
	}
	if (wanted(&want->spec))
		rc = verb_bridge_join(&want->spec, &state, &why);
	if (rc == -EOPNOTSUPP) /* nor will it ever be */
		later = false;
	const bool none = rc == -ENODEV || rc == -EINVAL;
	if (rc < 0 && !later) {
		if (other && !none)
			(void)part(ent, &want->spec); /* what is left of the try */
		if (wanted(now) && !verb_bridge_join(now, &state, NULL)) {
			ent->bridge_tool = state.tool;
			ent->bridge_index = state.index;
		}
		return err_set(err, rc, "%s", why.text);
	}
	ent->bridge_failed = false;
	if (none)
		log_warn("bridge", "not bridged yet, until that changes: %s", why.text);
	else if (rc < 0)
		failed(ent, began, &why);
	else
		ent->bridge_index = state.index;
	if (rc < 0 && !none && !other) { /* it may well be in it */
		want->bridged = ent->facts.bridged;
		want->bridge_mtu = ent->facts.bridge_mtu;
	} else {
		take(ent, want, &state);
	}
	return 0;
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

/* Whether the bridge could be asked, and did what it should. */
static int look_at(struct netctl *ent, struct network_facts *now, struct err *err)
{
	const struct hostif_spec *s = &ent->facts.spec;
	struct bridge_state state = { 0 };
	if (ent->bridge_anew) {
		/* the new host member is in none; the switch of Open vSwitch, where it is a
		 * process, holds on to the old one (measured: OVS 3.1) */
		const int rc = ent->bridge_tool ? verb_bridge_leave(s, 0, true, err) : 0;
		if (rc < 0)
			return rc;
		ent->bridge_anew = false;
		ent->bridge_index = 0;
	}
	int rc = verb_bridge_look(s, &state, err);
	if (rc < 0 && rc != -ENODEV && rc != -EINVAL)
		return rc;
	if (!rc && !state.in && state.index != ent->bridge_index)
		rc = verb_bridge_join(s, &state, err);
	else if (rc < 0) /* there is none to be asked */
		rc = 0;
	if (!rc && state.index)
		ent->bridge_index = state.index;
	take(ent, now, &state);
	return rc;
}

static void look(struct netctl *ent)
{
	struct network_facts now = ent->facts;
	struct err err = { 0 };
	const uint64_t began = now_ms(ent->d);
	now.bridged &= !ent->bridge_anew;
	if (look_at(ent, &now, &err) < 0)
		failed(ent, began, &err);
	else
		ent->bridge_failed = false;
	now.carrier = bridges_carrier(ent, &now);
	tell(ent, &now);
}

/* From when on it may be looked at. */
static uint64_t due(const struct netctl *ent)
{
	uint64_t at = ent->bridge_failed ? ent->bridge_after : 0;
	if ((ent->bridge_tool || ent->bridge_failed) && at < ent->d->bridge_hangs_until)
		at = ent->d->bridge_hangs_until;
	return at;
}

static bool can_look(const struct netctl *ent)
{
	return !ent->busy && !ent->applying;
}

static void look_soon(struct netctl *ent)
{
	ent->look_at_bridge = true;
	look_in(ent->d, BRIDGES_LOOK_MS);
}

/* Whom to look at now: who waits longest after a failure comes before those that failed later. */
static struct netctl *next_due(struct daemon *d)
{
	const uint64_t now = now_ms(d);
	struct netctl *first = NULL;
	for (struct netctl *ent = d->networks; ent; ent = ent->next)
		if (ent->look_at_bridge && !ent->stopping && can_look(ent) && due(ent) <= now &&
			(!first || due(ent) < due(first)))
			first = ent;
	return first;
}

void bridges_look(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	bool any = false;
	for (struct netctl *ent; (ent = next_due(d));) {
		ent->look_at_bridge = false;
		if (wanted(&ent->facts.spec) && !ent->remaking && !ent->retry)
			look(ent);
		else
			ent->bridge_failed = false;
	}
	if (d->bridge_owed && now_ms(d) >= d->bridge_owed_after &&
		now_ms(d) >= d->bridge_hangs_until)
		pay(d);
	const uint64_t now = now_ms(d);
	if (d->bridge_owed) {
		any = true;
		look_in(d,
			d->bridge_owed_after > now ? d->bridge_owed_after - now : BRIDGES_LOOK_MS);
	}
	for (const struct netctl *ent = d->networks; ent; ent = ent->next) {
		any |= ent->bridge_failed;
		if (ent->look_at_bridge && !ent->stopping)
			look_in(d, due(ent) > now ? due(ent) - now : BRIDGES_LOOK_MS);
	}
	if (!any)
		d->bridge_wait = 0;
}

void bridges_made(struct netctl *ent)
{
	struct network_facts now = ent->facts;
	if (!wanted(&now.spec))
		return;
	ent->bridge_anew = true;
	if (can_look(ent) && due(ent) <= now_ms(ent->d))
		return look(ent);
	now.bridged = now.carrier = false;
	if (can_look(ent))
		tell(ent, &now);
	look_soon(ent);
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
