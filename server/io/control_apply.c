/* control_apply.c - network.apply: a network becomes what it is declared to be. See daemon_priv.h.
 *
 * It is made of the other operations, in the order of what fails most easily: everything is
 * checked; the network is made, or its settings change (all or none of them: control_set()); then
 * its ports. What goes wrong after that was not to be known before, and the answer says what is
 * done. A network that is made by it goes again if its ports cannot be. `applying` keeps others off
 * meanwhile. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"
#include "server/rpc/apply.h"

struct applying {
	struct daemon *d;
	struct command *cmd; /* to be answered */
	struct netctl *ent;  /* while `applying` holds it; NULL: there is none */
	uint32_t at;         /* in apply.done: whose socket is next */
	bool ports_failed;   /* not all ports are as wanted */
	bool replaced;       /* what was there is gone */
};

static void end(struct applying *ap)
{
	struct command *cmd = ap->cmd;
	if (ap->ent) {
		ap->ent->applying = false;
		cmd->out.facts = ap->ent->facts;
	}
	free(ap);
	cmd->done(cmd);
}

/* A step: a command of our own. NULL: the answer is on its way. */
static struct command *step(
	struct applying *ap, enum command_kind kind, void (*done)(struct command *cmd))
{
	struct command *cmd = command_new(kind);
	if (!cmd) {
		err_set(&ap->cmd->err, -ENOMEM, "%s: out of memory", ap->cmd->network);
		end(ap);
		return NULL;
	}
	cmd->owner = ap;
	cmd->done = done;
	cmd->inner = true;
	peer_assign(&cmd->who, &ap->cmd->who);
	memcpy(cmd->network, ap->cmd->network, sizeof(cmd->network));
	return cmd;
}

/* Ends a step. Whether it did what it should. */
static bool stepped(struct applying *ap, struct command *cmd)
{
	const bool good = !cmd->err.code;
	if (!good)
		ap->cmd->err = cmd->err;
	command_free(cmd);
	return good;
}

/* -- ports -- */

static void taken_back(struct command *cmd)
{
	struct applying *ap = cmd->owner;
	command_free(cmd);
	end(ap);
}

/* Says what is done although the whole is not; or, where all is new, takes it away again. */
static void fail_ports(struct applying *ap)
{
	const struct apply *a = ap->cmd->apply;
	struct err *err = &ap->cmd->err;
	unsigned n[3] = { 0 };
	if (a->created) {
		struct command *cmd = step(ap, CMD_NETWORK_DELETE, taken_back);
		if (!cmd)
			return;
		struct netctl *ent = ap->ent;
		ap->ent = NULL;
		state_forget(ap->d, cmd->network);
		ent->asker = cmd;
		return control_stop(ent);
	}
	for (uint32_t i = 0; i < a->n_done; i++)
		n[a->done[i].what]++;
	const struct err why = *err;
	err_set(err, why.code,
		"%.380s. The settings of the network are as declared; of its ports %u were added, "
		"%u "
		"changed, %u removed",
		why.text, n[APPLY_ADDED], n[APPLY_CHANGED], n[APPLY_REMOVED]);
	end(ap);
}

static void remember_ports(struct netctl *ent, const struct apply *a)
{
	struct port_name *names = calloc(a->n_ports + 1u, sizeof(*names));
	if (!names)
		return; /* those before stay known */
	for (uint32_t i = 0; i < a->n_ports; i++)
		memcpy(names[i].text, a->ports[i].name, sizeof(names[i].text));
	free(ent->applied);
	ent->applied = names;
	ent->n_applied = a->n_ports;
}

static void undeclared(struct command *cmd)
{
	struct applying *ap = cmd->owner;
	command_free(cmd);
	fail_ports(ap);
}

/* Its port is declared, and there is no socket for it. */
static void fail_socket(struct applying *ap, const char *port)
{
	struct command *cmd = step(ap, CMD_PORT_REMOVE, undeclared);
	if (!cmd)
		return;
	memcpy(cmd->in.conf.name, port, sizeof(cmd->in.conf.name));
	netloop_post(ap->ent->nl, cmd);
}

static void next_socket(struct applying *ap);

static void socket_made(struct command *cmd)
{
	struct applying *ap = cmd->owner;
	struct err err = cmd->err;
	control_port_listened(ap->ent, cmd);
	command_free(cmd);
	if (err.code) {
		ap->cmd->err = err;
		return fail_socket(ap, ap->cmd->apply->done[ap->at].name);
	}
	const struct apply_done *done = &ap->cmd->apply->done[ap->at++];
	if (dial_text_any(&done->dial) && !ap->ent->stopping)
		dials_begin(ap->ent, done->name, done->kind, &done->dial);
	next_socket(ap);
}

static bool has_socket(const struct apply_done *done)
{
	return done->kind == PORT_KIND_DGRAM ||
	       (done->kind != PORT_KIND_TAP && !dial_text_any(&done->dial));
}

/* The sockets of the ports that were added, one after the other. */
static void next_socket(struct applying *ap)
{
	const struct apply *a = ap->cmd->apply;
	while (ap->at < a->n_done &&
		(a->done[ap->at].what != APPLY_ADDED || !has_socket(&a->done[ap->at])))
		ap->at++;
	if (ap->at == a->n_done) {
		if (ap->ports_failed)
			return fail_ports(ap);
		remember_ports(ap->ent, a);
		return end(ap);
	}
	struct command *cmd = step(ap, CMD_PORT_LISTEN, socket_made);
	if (!cmd)
		return;
	memcpy(cmd->in.conf.name, a->done[ap->at].name, sizeof(cmd->in.conf.name));
	cmd->in.conf.kind = a->done[ap->at].kind;
	cmd->in.conf.dial = a->done[ap->at].dial;
	control_port_listen(ap->ent, cmd);
}

/* The other ports that were added. Before anything else: who removes one of them is heard of after
 * this, and finds what there is to end. */
static void begin_others(struct applying *ap)
{
	const struct apply *a = ap->cmd->apply;
	for (uint32_t i = 0; i < a->n_done; i++) {
		const struct apply_done *done = &a->done[i];
		if (done->what != APPLY_ADDED || has_socket(done))
			continue;
		if (done->kind == PORT_KIND_TAP)
			taps_begin(ap->ent, done);
		else
			dials_begin(ap->ent, done->name, done->kind, &done->dial);
	}
}

static void ports_applied(struct command *cmd)
{
	struct applying *ap = cmd->owner;
	ap->ports_failed = !stepped(ap, cmd);
	if (!ap->ent->stopping)
		begin_others(ap);
	next_socket(ap);
}

static void apply_ports(struct applying *ap)
{
	struct command *cmd = step(ap, CMD_APPLY_PORTS, ports_applied);
	if (!cmd)
		return;
	cmd->asked = ap->cmd->apply;
	netloop_post(ap->ent->nl, cmd);
}

/* -- the network -- */

static void checked(struct command *cmd);

static void check(struct applying *ap)
{
	struct command *cmd = step(ap, CMD_APPLY_CHECK, checked);
	if (!cmd)
		return;
	cmd->asked = ap->cmd->apply;
	netloop_post(ap->ent->nl, cmd);
}

static void made(struct command *cmd)
{
	struct applying *ap = cmd->owner;
	if (!stepped(ap, cmd)) {
		const struct err why = ap->cmd->err;
		if (ap->replaced)
			err_set(&ap->cmd->err, why.code,
				"%s was removed to be made anew, and that failed: %.380s",
				ap->cmd->network, why.text);
		return end(ap);
	}
	ap->cmd->apply->created = true;
	ap->ent = control_find(ap->d, ap->cmd->network);
	if (!ap->ent) { /* deleted in the moment it was there */
		err_set(&ap->cmd->err, -ENOENT, "%s: somebody removed it", ap->cmd->network);
		return end(ap);
	}
	ap->ent->applying = true;
	check(ap);
}

static void make(struct applying *ap)
{
	struct command *cmd = step(ap, CMD_NETWORK_CREATE, made);
	if (!cmd)
		return;
	cmd->in.want = ap->cmd->in.want;
	control_create(ap->d, cmd);
}

static void removed(struct command *cmd)
{
	struct applying *ap = cmd->owner;
	if (stepped(ap, cmd))
		make(ap);
	else
		end(ap);
}

/* @facts: what it shall be. What it was and nobody says otherwise stays also here. */
static void replace(struct applying *ap, const struct network_facts *facts)
{
	struct network_want *want = &ap->cmd->in.want;
	struct netctl *ent = ap->ent;
	struct command *cmd = step(ap, CMD_NETWORK_DELETE, removed);
	if (!cmd)
		return;
	memcpy(want->backend, facts->backend, sizeof(want->backend));
	if (!want->has_unit && facts->has_host && ent->facts.has_host) {
		want->has_unit = true;
		want->unit = ent->facts.unit;
	}
	ap->ent = NULL;
	ap->replaced = true;
	ent->asker = cmd;
	control_stop(ent);
}

static void settled(struct command *cmd)
{
	struct applying *ap = cmd->owner;
	if (stepped(ap, cmd))
		apply_ports(ap);
	else
		end(ap);
}

static void checked(struct command *cmd)
{
	struct applying *ap = cmd->owner;
	const bool created = ap->cmd->apply->created;
	if (!stepped(ap, cmd))
		return created ? fail_ports(ap) : end(ap);
	if (created)
		return apply_ports(ap);
	cmd = step(ap, CMD_NETWORK_SET, settled);
	if (!cmd)
		return;
	cmd->in.want = ap->cmd->in.want;
	cmd->in.want.whole = true;
	control_set(ap->d, cmd);
}

/* What no living network can change: the field, or NULL. */
static const char *fixed(
	const struct netctl *ent, const struct network_want *w, const struct network_facts *f)
{
	if (strcmp(f->backend, ent->facts.backend) != 0)
		return "backend";
	if (w->has_unit && (!ent->facts.has_host || w->unit != ent->facts.unit))
		return "unit";
	return NULL;
}

static void change(struct applying *ap)
{
	struct command *cmd = ap->cmd;
	struct apply *a = cmd->apply;
	struct netctl *ent = ap->ent;
	struct network_facts want;
	a->before = ent->facts;
	ent->applying = true;
	if (control_whole(ent, &cmd->in.want, &want, &cmd->err) < 0)
		return end(ap);
	const char *field = fixed(ent, &cmd->in.want, &want);
	if (field && !a->replace) {
		err_set(&cmd->err, -EBUSY,
			"%s: %s has another, which cannot change while it is there; with replace "
			"it "
			"is removed and made anew",
			field, cmd->network);
		return end(ap);
	}
	if (field)
		return replace(ap, &want);
	free(a->old);
	a->old = calloc(ent->n_applied + 1u, sizeof(*a->old));
	if (!a->old) {
		err_set(&cmd->err, -ENOMEM, "%s: out of memory", cmd->network);
		return end(ap);
	}
	a->n_old = ent->n_applied;
	if (a->n_old)
		memcpy(a->old, ent->applied, a->n_old * sizeof(*a->old));
	check(ap);
}

void control_apply(struct daemon *d, struct command *cmd)
{
	struct netctl *ent = control_find(d, cmd->network);
	struct applying *ap = NULL;
	for (uint32_t i = 0; i < cmd->apply->n_ports; i++)
		if (dials_check(d, &cmd->apply->ports[i], &cmd->err) < 0)
			return cmd->done(cmd);
	if (ent && (ent->busy || ent->applying || ent->stopping))
		err_set(&cmd->err, -EBUSY, "%s: another change is under way; try again",
			cmd->network);
	else
		ap = calloc(1, sizeof(*ap));
	if (!ap) {
		if (!cmd->err.code)
			err_set(&cmd->err, -ENOMEM, "%s: out of memory", cmd->network);
		return cmd->done(cmd);
	}
	ap->d = d;
	ap->cmd = cmd;
	ap->ent = ent;
	if (ent)
		change(ap);
	else
		make(ap);
}
