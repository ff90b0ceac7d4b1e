/* hostwatch.c - notices when a host side vanishes under us and makes it anew, and to which
 * multicast groups the host listens. See daemon_priv.h.
 *
 * On Linux the service member is the one that matters: where only the host member left our sight it
 * was moved to another namespace, and the pair is alive. Darwin has members that live on alone, and
 * tells nobody when they are parted: so it is also asked now and then (hostif_ops.check_ms).
 *
 * Whether the wire to the host is whole, its carrier, is told to whoever asks or listens: clients
 * see by it why nobody answers.
 *
 * The groups that the host listens to are read here too, when the system says that they have
 * changed, and where it does not say all of that, now and then. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"

/* Where the system says nothing of groups, or nothing of those joined below IP: how often some
 * networks are asked, and how many, in turn. With four networks or less a program that joins is
 * heard of within 100 ms; and 64 of them, 170 us each (measured: Linux 6.18), hold nobody up. */
#define GROUPS_ASK_OFTEN_MS 50u
#define GROUPS_ASK_MS 500u
#define GROUPS_ASK_AT_ONCE 4u

struct watch {
	struct watch *next;
	struct daemon *d;
	const struct hostif_ops *ops;
	uv_poll_t poll;
	uv_timer_t check, ask;
	unsigned n_open; /* of the three handles */
	unsigned asked;  /* networks, in this round */
	int fd;          /* -1: there are no news, nor poll */
};

static void check_all(struct daemon *d, const struct hostif_ops *ops)
{
	for (struct netctl *ent = d->networks; ent; ent = ent->next)
		if (ent->ops == ops && ent->paired && !ent->stopping && !ent->retry &&
			!verb_pair_whole(ops->name, &ent->facts.spec))
			hostwatch_recover(ent);
}

/* A service member that somebody took down or gave another MTU becomes again what it is declared to
 * be. It is ours; the host member is not, so what people do to that one stays, though it shows here
 * too: a veth loses its carrier when its peer goes down. */
static void put_right(
	struct daemon *d, const struct hostif_ops *ops, const struct hostif_event *event)
{
	for (const struct netctl *ent = d->networks; ent; ent = ent->next) {
		const struct hostif_spec *spec = &ent->facts.spec;
		struct err err;
		if (ent->ops != ops || ent->stopping || ent->busy || ent->retry || ent->remaking ||
			strcmp(spec->service, event->name) != 0)
			continue;
		if (!event->down && (!event->mtu || event->mtu == spec->mtu))
			continue;
		const int rc = verb_pair_change(ops->name, spec, spec, &err);
		if (rc < 0 && rc != -ENODEV && rc != -EBUSY) /* gone meanwhile: that is told too */
			log_warn("hostwatch", "%s", err.text);
	}
}

/* -- carrier -- */

/* Linux takes the IPv6 addresses of an interface that somebody takes down, and gives none back when
 * it is up again; on one of packets the link-local one would stay away too (tun_linux.c). */
static void give_addresses(const struct netctl *ent)
{
	const struct hostif_spec *spec = &ent->facts.spec;
	if (ent->ops->layer3 && spec->up && !ent->busy)
		(void)verb_pair_change(ent->ops->name, spec, spec, NULL);
}

static void set_carrier(struct netctl *ent, bool on)
{
	struct command *cmd = on != ent->facts.carrier ? command_new(CMD_FACTS) : NULL;
	if (!cmd)
		return;
	log_info("hostwatch", "carrier net=%s host=%s on=%d", ent->facts.spec.network,
		ent->facts.spec.host, on);
	ent->facts.carrier = on;
	if (on)
		give_addresses(ent);
	cmd->out.facts = ent->facts;
	cmd->done = command_free;
	netloop_post(ent->nl, cmd);
}

/* Asked anew rather than believed of an event, which may be of a pair that was there before. */
static void look_at_wire(struct netctl *ent)
{
	ent->look_at_wire = false;
	if (!ent->stopping && !ent->busy && !ent->remaking && ent->paired)
		set_carrier(ent, !ent->retry && bridges_carrier(ent, &ent->facts));
}

static void look_at_wires(struct daemon *d, const struct hostif_ops *ops, bool all)
{
	for (struct netctl *ent = d->networks; ent; ent = ent->next)
		if (ent->look_at_wire || (all && ent->ops == ops))
			look_at_wire(ent);
}

static void on_check(uv_timer_t *timer)
{
	const struct watch *w = timer->data;
	check_all(w->d, w->ops);
	look_at_wires(w->d, w->ops, true);
}

/* -- groups -- */

/* Without a watch what was read once would be believed for ever. */
static bool watched(const struct daemon *d, const struct hostif_ops *ops)
{
	for (const struct watch *w = d->watches; w; w = w->next)
		if (w->ops == ops)
			return true;
	return false;
}

/* The loop knows of them; now main's subscribers, and who subscribes later. */
static void groups_posted(struct command *cmd)
{
	struct netctl *ent = cmd->owner;
	const bool good = !cmd->err.code;
	ent->telling_groups = false;
	if (good) {
		*ent->groups = cmd->items.groups[1];
		hub_tell_host_groups(&ent->d->hub, ent->facts.spec.network, ent->slot,
			&cmd->items.groups[0], &cmd->items.groups[1]);
	}
	command_free(cmd);
	if (good && ent->look)
		hostwatch_groups(ent);
}

static bool groups_same(const struct groups *a, const struct groups *b)
{
	return a->total == b->total && a->n == b->n &&
	       !memcmp(a->mac, b->mac, a->n * sizeof(a->mac[0]));
}

void hostwatch_groups(struct netctl *ent)
{
	struct groups now = { .total = UINT_MAX }; /* not known, so there may be any number */
	ent->look = ent->telling_groups;
	if (ent->look) /* when the loop has heard of the last change */
		return;
	if (ent->stopping || !ent->paired || !ent->ops->groups || !watched(ent->d, ent->ops))
		return;
	(void)groups_read(&now, ent->ops, ent->facts.spec.host);
	if (ent->groups ? groups_same(ent->groups, &now) : now.total == UINT_MAX)
		return;

	struct command *cmd = command_new(CMD_HOST_GROUPS);
	struct groups *both = calloc(2, sizeof(*both));
	if (!ent->groups)
		ent->groups = calloc(1, sizeof(*ent->groups));
	if (!cmd || !both || !ent->groups) { /* the next look finds it again */
		free(both);
		command_free(cmd);
		return;
	}
	both[0] = *ent->groups;
	both[1] = now;
	ent->telling_groups = true;
	cmd->items.groups = both;
	cmd->owner = ent;
	cmd->done = groups_posted;
	memcpy(cmd->network, ent->facts.spec.network, sizeof(cmd->network));
	netloop_post(ent->nl, cmd);
}

/* Marks those that an event may be about: the groups change with a link's state as well. */
static void may_be_otherwise(
	struct daemon *d, const struct hostif_ops *ops, const struct hostif_event *event)
{
	for (struct netctl *ent = d->networks; ent; ent = ent->next) {
		const bool host = !strcmp(ent->facts.spec.host, event->name);
		const bool service = !strcmp(ent->facts.spec.service, event->name);
		if (ent->ops != ops)
			continue;
		ent->look |= host;
		ent->look_at_wire |= !event->groups && (host || service);
	}
}

/* @all: not only those that are marked. */
static void look_at_groups(struct daemon *d, const struct hostif_ops *ops, bool all)
{
	for (struct netctl *ent = d->networks; ent; ent = ent->next)
		if (ent->look || (all && ent->ops == ops))
			hostwatch_groups(ent);
}

static void on_ask(uv_timer_t *timer)
{
	struct watch *w = timer->data;
	const unsigned from = w->asked, to = from + GROUPS_ASK_AT_ONCE;
	unsigned i = 0;
	for (struct netctl *ent = w->d->networks; ent; ent = ent->next) {
		if (ent->ops != w->ops)
			continue;
		if (i >= from && i < to)
			hostwatch_groups(ent);
		i++;
	}
	w->asked = to < i ? to : 0;
}

/* -- the members themselves -- */

static void on_events(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	struct hostif_event ev[32] = { 0 };
	bool gone = status < 0; /* some were lost, and libuv has stopped the poll */
	(void)events;
	const int n = w->ops->watch_read(w->fd, ev, sizeof(ev) / sizeof(ev[0]));
	for (int i = 0; i < n; i++) {
		may_be_otherwise(w->d, w->ops, &ev[i]);
		if (ev[i].groups)
			continue; /* says nothing of the interface itself */
		gone |= ev[i].gone;
		bridges_event(w->d, ev[i].name);
		if (!ev[i].gone)
			put_right(w->d, w->ops, &ev[i]);
	}
	if (gone || n == -ENOBUFS)
		check_all(w->d, w->ops);
	if (status < 0 || n == -ENOBUFS)
		bridges_event(w->d, NULL);
	look_at_wires(w->d, w->ops, status < 0 || n == -ENOBUFS);
	look_at_groups(w->d, w->ops, status < 0 || n == -ENOBUFS);
	if (status < 0)
		uv_poll_start(poll, UV_READABLE, on_events);
}

/* How often to ask for groups, in milliseconds; 0: never, the system tells. */
static unsigned ask_ms(const struct hostif_ops *ops, int fd)
{
	if (!ops->groups)
		return 0;
	if (fd < 0)
		return GROUPS_ASK_OFTEN_MS;
	switch (ops->groups_told ? ops->groups_told(fd) : HOSTIF_TOLD_ALL) {
	case HOSTIF_TOLD_ALL:
		break;
	case HOSTIF_TOLD_IP:
		return GROUPS_ASK_MS;
	case HOSTIF_TOLD_NONE:
		return GROUPS_ASK_OFTEN_MS;
	}
	return 0;
}

/* Without news of interfaces the looks of check_ms still find what happened. */
static void start_news(struct watch *w)
{
	struct err err = { 0 };
	w->fd = verb_watch(w->ops->name, &err);
	if (w->fd >= 0 && uv_poll_init(&w->d->uv, &w->poll, w->fd) == 0) {
		w->poll.data = w;
		w->n_open++;
		uv_poll_start(&w->poll, UV_READABLE, on_events);
		return;
	}
	log_warn("hostwatch", "no news of interfaces, so a lost one is made anew late or never: %s",
		w->fd < 0 ? err.text : "the event loop does not take the descriptor");
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

void hostwatch_need(struct daemon *d, const struct hostif_ops *ops)
{
	for (const struct watch *w = d->watches; w; w = w->next)
		if (w->ops == ops)
			return;
	struct watch *w = calloc(1, sizeof(*w));
	if (!w)
		return;
	w->d = d;
	w->ops = ops;
	start_news(w);
	uv_timer_init(&d->uv, &w->check);
	w->check.data = w->ask.data = w;
	w->n_open += 2;
	if (ops->check_ms)
		uv_timer_start(&w->check, on_check, ops->check_ms, ops->check_ms);
	uv_timer_init(&d->uv, &w->ask);
	const unsigned ask = ask_ms(ops, w->fd);
	if (ask)
		uv_timer_start(&w->ask, on_ask, ask, ask);
	w->next = d->watches;
	d->watches = w;
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;
	if (!--w->n_open)
		free(w);
}

void hostwatch_close(struct daemon *d)
{
	while (d->watches) {
		struct watch *w = d->watches;
		d->watches = w->next;
		if (w->fd >= 0) {
			uv_close((uv_handle_t *)&w->poll, on_watch_closed);
			close(w->fd);
		}
		uv_close((uv_handle_t *)&w->check, on_watch_closed);
		uv_close((uv_handle_t *)&w->ask, on_watch_closed);
	}
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

void hostwatch_forget(struct netctl *ent)
{
	if (ent->retry)
		uv_close((uv_handle_t *)ent->retry, free_handle);
	ent->retry = NULL;
}

static void on_retry(uv_timer_t *timer)
{
	hostwatch_recover(timer->data);
}

/* Whether the pair is there but for what can be set again: parted, say, or down. */
static bool mend(const struct netctl *ent)
{
	const struct hostif_spec *spec = &ent->facts.spec;
	return ent->ops->whole && ent->hosted &&
	       !verb_pair_change(ent->ops->name, spec, spec, NULL) &&
	       verb_pair_whole(ent->ops->name, spec);
}

/* What the new pair captured may differ from what the old one had. */
static void limit_changed(struct netctl *ent, uint32_t mtu_max)
{
	const uint32_t most = mtu_max ? mtu_max : ent->ops->mtu_max;
	struct command *cmd = most != ent->facts.mtu_max ? command_new(CMD_FACTS) : NULL;
	if (!cmd)
		return;
	ent->facts.mtu_max = most;
	cmd->out.facts = ent->facts;
	cmd->done = command_free;
	netloop_post(ent->nl, cmd);
}

/* Tries again soon, then less often. */
static void recover_later(struct netctl *ent, const struct err *err)
{
	if (!ent->retry) {
		log_error("hostwatch", "lost its host side net=%s, trying every %u ms at most: %s",
			ent->facts.spec.network, RETRY_MS, err->text);
		ent->retry = calloc(1, sizeof(*ent->retry));
		if (!ent->retry)
			return;
		uv_timer_init(&ent->d->uv, ent->retry);
		ent->retry->data = ent;
		ent->retry_ms = RETRY_FIRST_MS;
	}
	uv_update_time(&ent->d->uv); /* from the end of this try */
	uv_timer_start(ent->retry, on_retry, ent->retry_ms, 0);
	ent->retry_ms = 2 * ent->retry_ms < RETRY_MS ? 2 * ent->retry_ms : RETRY_MS;
}

/* -- making it anew: its loop closes what it has of the old one; then there is a new pair, whose
 * descriptors the loop gets -- */

static void remake_failed(struct netctl *ent, const struct err *err)
{
	ent->remaking = ent->remake_again = false;
	recover_later(ent, err);
}

/* Last step: the loop has it. */
static void host_given(struct command *cmd)
{
	struct netctl *ent = cmd->owner;
	const struct err err = cmd->err;
	const uint32_t mtu_max = cmd->in.host.made.mtu_max;
	command_free(cmd);
	if (ent->stopping)
		return;
	limit_changed(ent, mtu_max);
	if (err.code)
		return remake_failed(ent, &err);
	log_warn("hostwatch", "made anew net=%s host=%s: somebody had removed it",
		ent->facts.spec.network, ent->facts.spec.host);
	const bool again = ent->remake_again;
	ent->remaking = ent->remake_again = false;
	ent->hosted = true;
	hostwatch_forget(ent);
	bridges_made(ent);
	look_at_wire(ent);
	hostwatch_groups(ent);
	services_dhcp(ent, NULL, true);
	if (again && !verb_pair_whole(ent->ops->name, &ent->facts.spec))
		hostwatch_recover(ent);
}

/* Second step: the loop has nothing of the old one. */
static void host_taken(struct command *cmd)
{
	struct netctl *ent = cmd->owner;
	const struct hostif_spec *spec = &ent->facts.spec;
	struct err err = { 0 };
	if (ent->stopping)
		return command_free(cmd);
	(void)verb_pair_remove(ent->ops->name, spec);
	if (verb_pair_make(ent->ops->name, spec, &cmd->in.host.made, &err) < 0) {
		command_free(cmd);
		return remake_failed(ent, &err);
	}
	cmd->in.host.given = true;
	cmd->in.host.ops = ent->ops;
	cmd->in.host.spec = *spec;
	cmd->done = host_given;
	netloop_post(ent->nl, cmd);
}

static void remake(struct netctl *ent)
{
	struct command *cmd = command_new(CMD_HOST);
	if (!cmd) {
		struct err err;
		err_set(&err, -ENOMEM, "out of memory");
		return recover_later(ent, &err);
	}
	set_carrier(ent, false);
	ent->remaking = true;
	ent->hosted = false;
	memcpy(cmd->network, ent->facts.spec.network, sizeof(cmd->network));
	cmd->owner = ent;
	cmd->done = host_taken;
	netloop_post(ent->nl, cmd);
}

void hostwatch_recover(struct netctl *ent)
{
	if (ent->stopping)
		return;
	if (ent->remaking) {
		ent->remake_again = true;
		return;
	}
	if (!mend(ent))
		return remake(ent);
	log_warn("hostwatch", "put right net=%s host=%s: somebody had changed it",
		ent->facts.spec.network, ent->facts.spec.host);
	look_at_wire(ent);
}
