/* control_events.c - main's side of event.subscribe: who on control.sock hears of which network.
 * See daemon_priv.h.
 *
 * A network's loop tells main only of what somebody here wants (CMD_EVENTS). So a subscription is
 * answered when every loop knows: what happens after the answer is heard. */
#include <errno.h>
#include <stdlib.h>

#include "server/io/daemon_priv.h"

/* A subscription under way. */
struct watching {
	struct watching *next, **link; /* daemon.watching */
	struct daemon *d;
	struct command *cmd; /* to be answered */
	unsigned left;       /* loops that do not know yet, and one */
};

static void post_wanted(struct daemon *d, struct watching *w);

static void one_less(struct watching *w)
{
	struct daemon *d = w->d;
	struct command *cmd = w->cmd;
	if (--w->left)
		return;
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	free(w);
	cmd->done(cmd);
	if (control_wanted(d) != d->posted) /* who asked has gone meanwhile */
		post_wanted(d, NULL);
}

static void loop_knows(struct command *cmd)
{
	struct watching *w = cmd->owner;
	command_free(cmd);
	if (w)
		one_less(w);
}

uint32_t control_wanted(const struct daemon *d)
{
	uint32_t events = d->hub.wanted;
	for (const struct watching *w = d->watching; w; w = w->next)
		events |= w->cmd->in.events;
	return events;
}

/* Tells every loop what main wants to hear of. @w: who waits for that, or NULL. */
static void post_wanted(struct daemon *d, struct watching *w)
{
	const uint32_t events = d->posted = control_wanted(d);
	for (struct netctl *e = d->networks, *next; e; e = next) {
		next = e->next;
		struct command *cmd = e->stopping ? NULL : command_new(CMD_EVENTS);
		if (!cmd)
			continue; /* without memory there is less to hear, until the next time */
		cmd->in.events = events;
		cmd->owner = w;
		cmd->done = loop_knows;
		if (w)
			w->left++;
		netloop_post(e->nl, cmd);
	}
}

void control_subscribe(struct daemon *d, struct command *cmd)
{
	if (cmd->network[0] && !control_find_or_err(d, cmd))
		return cmd->done(cmd);
	struct watching *w = calloc(1, sizeof(*w));
	if (!w) {
		err_set(&cmd->err, -ENOMEM, "event.subscribe: out of memory");
		return cmd->done(cmd);
	}
	w->d = d;
	w->cmd = cmd;
	w->left = 1;
	w->next = d->watching;
	w->link = &d->watching;
	if (w->next)
		w->next->link = &w->next;
	d->watching = w;
	post_wanted(d, w);
	one_less(w);
}

/* A subscription began or ended. */
static void on_changed(void *ctx)
{
	struct daemon *d = ctx;
	post_wanted(d, NULL);
}

static void greet(void *ctx, struct subscriber *sub)
{
	const struct daemon *d = ctx;
	for (const struct netctl *e = d->networks; e; e = e->next)
		if (e->groups && !e->stopping)
			hub_greet(sub, e->facts.spec.network, e->slot, e->groups);
}

void control_events_init(struct daemon *d)
{
	d->hub.changed = on_changed;
	d->hub.greet = greet;
	d->hub.ctx = d;
}

void control_event(void *ctx, unsigned kind, uint64_t object, const void *data, size_t len)
{
	struct netctl *ent = ctx;
	if (!ent->announced) /* it could not be made after all */
		return;
	hub_tell(&ent->d->hub, (enum event_kind)kind, ent->facts.spec.network,
		event_topic(ent->slot, (enum event_kind)kind, object), data, len);
}

/* Whether another network has its number. */
static bool slot_taken(const struct netctl *ent)
{
	for (const struct netctl *e = ent->d->networks; e; e = e->next)
		if (e != ent && e->slot == ent->slot)
			return true;
	return false;
}

void control_announce(struct netctl *ent)
{
	ent->announced = true;
	ent->slot = 1;
	while (slot_taken(ent))
		ent->slot++;
	control_judge(ent); /* one of its name may have been before */
	hub_tell_network(&ent->d->hub, &ent->facts, ent->slot);
	hostwatch_groups(ent);
}

void control_announce_gone(const struct netctl *ent)
{
	if (ent->announced)
		hub_tell_removed(&ent->d->hub, ent->facts.spec.network, ent->slot);
}
