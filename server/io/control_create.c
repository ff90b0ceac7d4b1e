/* control_create.c - makes networks: what is asked for and what follows from it, the pair, the
 * sockets, the loop; and takes them away when their loop has gone. See daemon_priv.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/io/machine.h"
#include "server/io/netfiles.h"
#include "server/priv/verbs.h"

#define MTU_DEFAULT 1500u
#define LONGEST_SOCKET "/seqpacket.sock" /* of those in a network's directory, now and to come */

/* How long a create waits for a name. What holds it up on macOS is whoever still uses the destroyed
 * interface, most often for less than a millisecond; Apple's own tests allow six seconds. */
#define CREATE_MS 5000u

/* A network whose pair could not be made yet: macOS keeps a name for a while after its interface
 * was destroyed. */
struct creating {
	struct creating *next;
	struct netctl *ent;
	struct command *cmd;
	uv_timer_t timer;
	uint64_t until_ms;
	uint32_t wait_ms;
};

/* @judge: as if we had every privilege. */
static int choose_backend(
	const struct network_want *w, bool judge, const struct hostif_ops **out, struct err *err)
{
	const char *name = w->backend[0] ? w->backend : "auto";
	if (strcmp(name, "auto")) {
		*out = hostif_find(name);
		if (!*out)
			return err_set(err, -EINVAL,
				"backend: there is no %.15s; use auto, %s or none", name,
				hostif_backends[0]->name);
	} else if (judge || verb_pair_allowed(hostif_backends[0]->name)) {
		*out = hostif_backends[0];
	} else if (control_wants_host(w)) {
		return err_set(
			err, -EACCES, "%s: a host side needs %s", w->name, machine.privilege);
	} else {
		*out = hostif_find("none");
	}
	if (!(*out)->has_host && control_wants_host(w))
		return err_set(err, -EINVAL,
			"%s: backend %s has no host side, so no mac, addresses, up, unit, dhcp, "
			"nat or bridge",
			w->name, (*out)->name);
	return 0;
}

static void default_access(const struct daemon *d, struct access_rules *rules)
{
	rules->uid = ACCESS_NO_ONE;
	rules->gid = d->access.admin_gid;
	rules->mode = ACCESS_MODE;
	memcpy(rules->group, d->options.settings.admin_group, sizeof(rules->group));
}

static uint32_t unit_base(const struct daemon *d, const struct hostif_ops *ops)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a backend was chosen before */
	return d->options.settings.has_unit_base ? d->options.settings.unit_base : ops->unit_base;
}

static int check_unit(uint32_t unit, uint32_t base, struct err *err)
{
	if (unit >= base + NETID_UNIT_MIN && unit < base + NETID_UNIT_MIN + NETID_UNITS)
		return 0;
	return err_set(err, -EINVAL, "unit: %u is out of range; %u to %u are possible", unit,
		base + NETID_UNIT_MIN, base + NETID_UNIT_MIN + NETID_UNITS - 1);
}

int control_describe(struct daemon *d, const struct network_want *w, bool judge,
	const struct hostif_ops **ops, struct network_facts *f, struct err *err)
{
	struct hostif_spec *s = &f->spec;
	*f = (struct network_facts){ 0 };
	int rc = choose_backend(w, judge, ops, err);
	if (!rc && w->has_unit)
		rc = check_unit(w->unit, unit_base(d, *ops), err);
	if (rc < 0)
		return rc;

	f->id = netid_id(w->name);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): err_set() returns the code given */
	snprintf(f->backend, sizeof(f->backend), "%s", (*ops)->name);
	f->has_host = (*ops)->has_host;
	f->mtu_min = (*ops)->mtu_min;
	f->mtu_max = (*ops)->mtu_max;
	char path[2 * PATH_TEXT];
	netfiles_path(path, d->options.run_dir, w->name);
	if (strlen(path) + sizeof(LONGEST_SOCKET) > VERB_PATH_MAX)
		return err_set(err, -ENAMETOOLONG,
			"%s: the sockets in %s would have paths over %u bytes; choose a shorter "
			"name or "
			"--run-dir",
			w->name, path, VERB_PATH_MAX - 1);
	memcpy(f->path, path, strlen(path) + 1);

	memcpy(s->network, w->name, sizeof(s->network));
	snprintf(s->tag, sizeof(s->tag), "fethd:%s:%s", d->options.run_dir, w->name);
	s->mtu = MTU_DEFAULT;
	s->mac = netid_mac(&d->key, w->name, NULL);
	s->service_mac = netid_service_mac(&d->key, s->tag);
	s->up = true;
	f->multicast.policy = MCAST_SNOOP;
	default_access(d, &f->access);
	return control_settings(w, f, err);
}

int control_whole(const struct netctl *ent, const struct network_want *w, struct network_facts *f,
	struct err *err)
{
	const struct network_facts *is = &ent->facts;
	const struct hostif_ops *ops;
	struct network_want want = *w;
	memcpy(want.name, is->spec.network, sizeof(want.name));
	if (!want.backend[0] || !strcmp(want.backend, "auto"))
		memcpy(want.backend, is->backend, sizeof(want.backend));
	const int rc = control_describe(ent->d, &want, true, &ops, f, err);
	if (rc < 0 || ops != ent->ops)
		return rc; /* another backend: another network */
	f->unit = is->unit;
	memcpy(f->spec.host, is->spec.host, sizeof(f->spec.host));
	memcpy(f->spec.service, is->spec.service, sizeof(f->spec.service));
	f->mtu_max = is->mtu_max;
	f->ports = is->ports;
	f->carrier = is->carrier;
	f->bridged = is->bridged;
	f->bridge_mtu = is->bridge_mtu;
	f->saved = is->saved;
	return control_settings(&want, f, err);
}

static int make_pair(struct netctl *ent, uint32_t unit, struct hostif_made *made, struct err *err)
{
	struct hostif_spec *s = &ent->facts.spec;
	netid_names(unit, s->host, s->service);
	if (ent->ops->single)
		s->service[0] = '\0';
	if (ent->ops->prefix)
		snprintf(s->host, sizeof(s->host), "%s%u", ent->ops->prefix, (unsigned)unit);
	ent->facts.unit = unit;
	if (state_left(ent->d, unit))
		return err_set(err, -EBUSY,
			"%s: unit %u is taken: %s may still be a port of an Open vSwitch that does "
			"not answer; start that, or choose another",
			s->network, (unsigned)unit, s->host);
	ent->d->making = ent;
	int rc = state_save(ent->d, err);
	ent->d->making = NULL;
	if (rc < 0 && ent->ops->untagged)
		return rc;
	rc = verb_pair_make(ent->ops->name, s, made, err);
	if (!rc) {
		ent->paired = true;
		ent->facts.carrier = verb_pair_carrier(ent->ops->name, s);
		if (made->mtu_max)
			ent->facts.mtu_max = made->mtu_max;
	}
	return rc;
}

/* The unit asked for, or the one it had, or the one of the formula and those after it. */
static int make_some_pair(
	struct netctl *ent, const struct network_want *w, struct hostif_made *made, struct err *err)
{
	const struct daemon *d = ent->d;
	const uint32_t base = unit_base(d, ent->ops);
	if (d->bridge_owed)
		(void)bridges_sweep(ent->d);
	if (w->has_unit) {
		const int rc = make_pair(ent, w->unit, made, err);
		if (rc == -EEXIST && ent->ops->single)
			err_set(err, rc,
				"%s: unit %u is taken: an interface %s that is not ours exists; "
				"choose another",
				w->name, w->unit, ent->facts.spec.host);
		else if (rc == -EEXIST)
			err_set(err, rc,
				"%s: unit %u is taken: an interface %s or %s that is not ours "
				"exists; choose another",
				w->name, w->unit, ent->facts.spec.host, ent->facts.spec.service);
		return rc;
	}
	uint32_t unit = netid_unit(ent->facts.id, base);
	(void)state_unit(d, w->name, &unit);
	if (unit < base + NETID_UNIT_MIN || unit >= base + NETID_UNIT_MIN + NETID_UNITS)
		unit = netid_unit(ent->facts.id, base);
	int rc = -EEXIST;
	for (unsigned tries = 0; tries < NETID_UNITS && rc == -EEXIST; tries++) {
		rc = make_pair(ent, unit, made, err);
		if (rc == -EBUSY && state_left(d, unit))
			rc = -EEXIST;
		unit = netid_unit_next(unit, base);
	}
	if (!rc)
		*err = (struct err){ 0 }; /* what the units before had to say */
	return rc;
}

static void ent_free(struct netctl *ent)
{
	if (!bridges_end(ent))
		state_leave(ent->d, &ent->facts, true);
	if (ent->paired && verb_pair_remove(ent->ops->name, &ent->facts.spec) < 0)
		state_leave(ent->d, &ent->facts, false);
	free(ent->groups);
	free(ent->applied);
	free(ent);
}

static void on_ports(void *ctx, unsigned attached)
{
	struct netctl *ent = ctx;
	ent->facts.ports = attached;
}

/* A declared port is no more: its socket goes, too. */
static void on_port_removed(void *ctx, const char *port)
{
	struct netctl *ent = ctx;
	char path[2 * PATH_TEXT];
	netfiles_port(path, ent->facts.path, port);
	verb_unlink(path);
	taps_remove(ent, port);
	dials_remove(ent, port);
	for (unsigned i = 0; i < ent->n_applied; i++) /* who declares it next is not a file */
		if (name_same(ent->applied[i].text, port))
			ent->applied[i].text[0] = '\0';
}

static void on_port_lost(void *ctx, const char *port)
{
	taps_lost(ctx, port);
}

static void on_dial_lost(void *ctx, const char *port, uint32_t serial, const char *why)
{
	dials_lost(ctx, port, serial, why);
}

static void on_host_lost(void *ctx)
{
	struct netctl *ent = ctx;
	ent->hosted = false;
	hostwatch_recover(ent);
}

static void on_events_lost(void *ctx, uint32_t kinds)
{
	const struct netctl *ent = ctx;
	hub_lost(&ent->d->hub, kinds, ent->facts.spec.network);
}

/* The network's loop is through with it: take away what main made. */
static void on_gone(void *ctx, const struct daemon_counters *counters)
{
	struct netctl *ent = ctx;
	struct daemon *d = ent->d;
	daemon_counters_add(&d->retired, counters);
	for (struct netctl **link = &d->networks; *link; link = &(*link)->next) {
		if (*link != ent)
			continue;
		*link = ent->next;
		d->n_networks--;
		break;
	}
	netfiles_clear(ent->facts.path);
	struct command *asker = ent->asker;
	if (asker)
		log_info("network", "removed net=%s uid=%u pid=%u", ent->facts.spec.network,
			(unsigned)asker->who.uid, (unsigned)asker->who.pid);
	else
		log_info("network", "removed net=%s", ent->facts.spec.network);
	control_announce_gone(ent);
	ent_free(ent);
	if (!d->stopping)
		(void)state_save(d, NULL);
	if (asker)
		asker->done(asker);
	daemon_maybe_end(d);
}

static const struct netloop_events netloop_events = {
	.ports = on_ports,
	.port_removed = on_port_removed,
	.port_lost = on_port_lost,
	.dial_lost = on_dial_lost,
	.host_lost = on_host_lost,
	.event = control_event,
	.events_lost = on_events_lost,
	.gone = on_gone,
};

void control_stop(struct netctl *ent)
{
	if (ent->stopping)
		return;
	ent->stopping = true;
	hostwatch_forget(ent);
	services_stop(ent);
	taps_remove(ent, NULL);
	dials_remove(ent, NULL);
	netloop_stop(ent->nl);
}

static int check_new(struct daemon *d, const char *name, struct err *err)
{
	if (d->stopping)
		return err_set(err, -EBUSY, "%s: fethd is ending", name);
	if (d->n_networks + d->n_creating >= NETWORKS_MAX)
		return err_set(err, -ENOSPC,
			"%s: there are %u networks, which is the limit; delete one", name,
			NETWORKS_MAX);
	for (const struct netctl *e = d->networks; e; e = e->next)
		if (name_same(e->facts.spec.network, name))
			return err_set(err, -EEXIST,
				"there is a network %s already; names differ by more than case",
				e->facts.spec.network);
	for (const struct creating *c = d->creating; c; c = c->next)
		if (name_same(c->ent->facts.spec.network, name))
			return err_set(err, -EEXIST, "a network %s is being made",
				c->ent->facts.spec.network);
	return 0;
}

/* Starts the network's loop and gives it the pair, whose descriptors are taken over in any case.
 * From then on its end is on_gone(). */
static int start_network(struct netctl *ent, const struct hostif_made *made, struct err *err)
{
	struct daemon *d = ent->d;
	struct netloop_conf conf = {
		.facts = ent->facts,
		.key = d->key,
		.access = d->access,
		.events = control_wanted(d),
		.ops = ent->ops,
		.made = *made,
	};
	if (getentropy(&conf.seed, sizeof(conf.seed)) < 0) {
		netloop_made_close(made);
		return err_set(err, -EIO, "%s: the system gives no random numbers",
			ent->facts.spec.network);
	}
	int rc = netfiles_make(&conf, err);
	if (rc < 0) {
		netloop_made_close(made);
		return rc;
	}
	rc = netloop_start(&ent->nl, d->loop, &conf, &netloop_events, ent, err);
	if (rc < 0)
		netfiles_clear(ent->facts.path);
	ent->hosted = !rc && ent->ops->has_host;
	return rc;
}

/* -- a create under way -- */

static void on_creating_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void creating_end(struct creating *c)
{
	struct daemon *d = c->ent->d;
	struct creating **link = &d->creating;
	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	d->n_creating--;
	uv_close((uv_handle_t *)&c->timer, on_creating_closed);
}

static void created(struct netctl *ent, struct command *cmd, int rc)
{
	struct daemon *d = ent->d;
	if (rc < 0 && !ent->nl) {
		const bool written = ent->facts.has_host;
		ent_free(ent);
		if (written)
			(void)state_save(d, NULL);
		return cmd->done(cmd);
	}
	ent->next = d->networks;
	d->networks = ent;
	d->n_networks++;
	if (rc < 0) { /* its loop must end first; the answer comes then */
		ent->asker = cmd;
		return control_stop(ent);
	}
	if (ent->ops->has_host)
		hostwatch_need(d, ent->ops);
	bridges_event(d, ent->facts.spec.host); /* what happened before that */
	(void)state_save(d, NULL);
	const struct network_facts *f = &ent->facts;
	log_info("network", "created net=%s backend=%s host=%s mtu=%u uid=%u pid=%u",
		f->spec.network, f->backend, f->has_host ? f->spec.host : "-",
		(unsigned)f->spec.mtu, (unsigned)cmd->who.uid, (unsigned)cmd->who.pid);
	services_dhcp(ent, NULL, false);
	control_announce(ent);
	cmd->out.facts = *f;
	cmd->done(cmd);
}

static int put_into_bridge(struct netctl *ent, struct command *cmd)
{
	struct network_facts *f = &ent->facts;
	static const struct hostif_spec nowhere;
	const int rc = bridges_change(ent, &nowhere, f, cmd->inner, &cmd->err);
	f->carrier = !rc && bridges_carrier(ent, f);
	return rc;
}

/* -EBUSY: nothing happened, and later it may. */
static int create_try(struct netctl *ent, struct command *cmd)
{
	struct hostif_made made = { .rx_fd = -1, .tx_fd = -1 };
	int rc = ent->ops->has_host ? make_some_pair(ent, &cmd->in.want, &made, &cmd->err) : 0;
	if (!rc && ent->facts.spec.bridge[0]) {
		rc = put_into_bridge(ent, cmd);
		if (rc < 0)
			netloop_made_close(&made);
	}
	if (!rc)
		rc = start_network(ent, &made, &cmd->err);
	return rc < 0 ? rc : services_rules(ent, &ent->facts, &cmd->err);
}

static void on_creating(uv_timer_t *timer)
{
	struct creating *c = timer->data;
	struct netctl *ent = c->ent;
	struct command *cmd = c->cmd;
	cmd->err = (struct err){ 0 };
	const int rc = create_try(ent, cmd);
	uv_update_time(&ent->d->uv);
	if (rc == -EBUSY && !ent->nl && uv_now(&ent->d->uv) < c->until_ms) {
		c->wait_ms = 2 * c->wait_ms < RETRY_MS ? 2 * c->wait_ms : RETRY_MS;
		uv_timer_start(timer, on_creating, c->wait_ms, 0);
		return;
	}
	creating_end(c);
	created(ent, cmd, rc);
}

static bool create_later(struct netctl *ent, struct command *cmd)
{
	struct daemon *d = ent->d;
	struct creating *c = calloc(1, sizeof(*c));
	if (!c)
		return false;
	c->ent = ent;
	c->cmd = cmd;
	c->wait_ms = RETRY_FIRST_MS;
	c->until_ms = uv_now(&d->uv) + CREATE_MS;
	uv_timer_init(&d->uv, &c->timer);
	c->timer.data = c;
	uv_timer_start(&c->timer, on_creating, c->wait_ms, 0);
	c->next = d->creating;
	d->creating = c;
	d->n_creating++;
	return true;
}

void control_create_stop(struct daemon *d)
{
	while (d->creating) {
		struct creating *c = d->creating;
		struct netctl *ent = c->ent;
		struct command *cmd = c->cmd;
		creating_end(c);
		created(ent, cmd, err_set(&cmd->err, -EBUSY, "%s: fethd is ending", cmd->network));
	}
}

void control_create(struct daemon *d, struct command *cmd)
{
	const struct network_want *w = &cmd->in.want;
	if (check_new(d, w->name, &cmd->err) < 0)
		return cmd->done(cmd);
	struct netctl *ent = calloc(1, sizeof(*ent));
	if (!ent) {
		err_set(&cmd->err, -ENOMEM, "%s: out of memory", w->name);
		return cmd->done(cmd);
	}
	ent->d = d;
	int rc = control_describe(d, w, false, &ent->ops, &ent->facts, &cmd->err);
	if (!rc && !cmd->inner) /* others are made, and told later */
		rc = bridges_check(&ent->facts, &cmd->err);
	if (!rc)
		rc = create_try(ent, cmd);
	if (rc != -EBUSY || ent->nl || !create_later(ent, cmd))
		created(ent, cmd, rc);
}
