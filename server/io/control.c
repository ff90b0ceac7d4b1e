/* control.c - the commands of control sessions: finds who carries each out; removes and lists
 * networks. See daemon_priv.h.
 *
 * A network is made in control_create.c; changes of a living one take several steps:
 * control_ops.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"

struct netctl *control_find(const struct daemon *d, const char *name)
{
	for (struct netctl *e = d->networks; e; e = e->next)
		if (!strcmp(e->facts.spec.network, name))
			return e;
	return NULL;
}

struct netctl *control_find_or_err(struct daemon *d, struct command *cmd)
{
	struct netctl *ent = control_find(d, cmd->network);
	if (!ent || ent->stopping) {
		err_set(&cmd->err, -ENOENT, "there is no network %s; fethctl list shows them",
			cmd->network);
		return NULL;
	}
	return ent;
}

unsigned control_rights(void *ctx, const struct peer *who, const char *network)
{
	const struct daemon *d = ctx;
	const struct netctl *ent = control_find(d, network);
	return access_rights(&d->access, who, ent ? &ent->facts.access : NULL);
}

void control_judge(struct netctl *ent)
{
	const struct network_facts *f = &ent->facts;
	clients_judge(&ent->d->clients, &ent->d->access, f->spec.network, &f->access);
}

/* -- delete, list, enter -- */

static void delete_network(struct daemon *d, struct command *cmd)
{
	struct netctl *ent = control_find_or_err(d, cmd);
	if (!ent)
		return cmd->done(cmd);
	if (ent->busy || ent->applying) {
		err_set(&cmd->err, -EBUSY, "%s: another change is under way; try again",
			cmd->network);
		return cmd->done(cmd);
	}
	state_forget(d, cmd->network);
	ent->asker = cmd;
	control_stop(ent);
}

static bool may_observe(const struct daemon *d, const struct command *cmd, const struct netctl *e)
{
	return access_rights(&d->access, &cmd->who, &e->facts.access) & RIGHT_OBSERVE;
}

/* Networks in the order of their names, `limit` from the first behind `after`. */
static void list_networks(struct daemon *d, struct command *cmd)
{
	const uint32_t room = cmd->limit < NETWORKS_MAX ? cmd->limit : NETWORKS_MAX;
	cmd->items.networks = calloc(room, sizeof(*cmd->items.networks));
	if (!cmd->items.networks) {
		err_set(&cmd->err, -ENOMEM, "network.list: out of memory");
		return cmd->done(cmd);
	}
	const char *after = cmd->has_after ? cmd->after_name : "";
	for (;;) {
		const struct netctl *next = NULL;
		for (const struct netctl *e = d->networks; e; e = e->next)
			if (!e->stopping && strcmp(e->facts.spec.network, after) > 0 &&
				(!next || strcmp(e->facts.spec.network, next->facts.spec.network) <
						  0) &&
				may_observe(d, cmd, e))
				next = e;
		if (!next)
			break;
		if (cmd->n_items == cmd->limit) {
			cmd->more = true;
			break;
		}
		cmd->items.networks[cmd->n_items++] = next->facts;
		after = next->facts.spec.network;
	}
	cmd->done(cmd);
}

static void enter_network(struct daemon *d, struct command *cmd)
{
	const struct netctl *ent = control_find_or_err(d, cmd);
	if (!ent)
		return cmd->done(cmd);
	if (!ent->facts.has_host) {
		err_set(&cmd->err, -EOPNOTSUPP,
			"%s: backend %s has no host side, so there is nothing to enter",
			cmd->network, ent->facts.backend);
		return cmd->done(cmd);
	}
	cmd->out.facts = ent->facts;
	(void)verb_namespaces(d->options.rootless, cmd->fds, &cmd->n_fds, &cmd->err);
	cmd->done(cmd);
}

/* -- the rest -- */

/* daemon.show under way: the counters of all loops are added up. */
struct counting {
	struct command *cmd; /* to be answered */
	unsigned left;       /* loops that have not said, and one */
};

static void one_counted(struct counting *c)
{
	struct command *cmd = c->cmd;
	if (--c->left)
		return;
	free(c);
	cmd->done(cmd);
}

static void counted(struct command *cmd)
{
	struct counting *c = cmd->owner;
	if (!cmd->err.code) /* else it ends, and is counted among the retired next time */
		daemon_counters_add(&c->cmd->out.daemon.counters, &cmd->out.daemon.counters);
	command_free(cmd);
	one_counted(c);
}

/* In order with what happens there: a loop answers behind all that it has read before. */
static void count(struct daemon *d, struct command *cmd)
{
	struct counting *c = calloc(1, sizeof(*c));
	if (!c) {
		err_set(&cmd->err, -ENOMEM, "daemon.show: out of memory");
		return cmd->done(cmd);
	}
	c->cmd = cmd;
	c->left = 1;
	for (struct netctl *e = d->networks, *next; e; e = next) {
		next = e->next;
		struct command *one = command_new(CMD_COUNTERS);
		if (!one)
			continue;
		one->owner = c;
		one->done = counted;
		c->left++;
		netloop_post(e->nl, one);
	}
	one_counted(c);
}

static void show_daemon(struct daemon *d, struct command *cmd)
{
	struct daemon_facts *f = &cmd->out.daemon;
	f->pid = (uint32_t)getpid();
	f->uid = d->access.uid;
	f->networks = d->n_networks;
	f->uptime_ms = uv_now(&d->uv) - d->started_ms;
	f->rootless = d->options.rootless;
	f->log_level = (uint8_t)log_get_level();
	memcpy(f->run_dir, d->options.run_dir, sizeof(f->run_dir));
	memcpy(f->admin_group, d->options.settings.admin_group, sizeof(f->admin_group));
	f->counters = *ioloop_counters(d->loop);
	daemon_counters_add(&f->counters, &d->retired);
	count(d, cmd);
}

static void set_daemon(struct daemon *d, struct command *cmd)
{
	const struct daemon_want *w = &cmd->in.daemon;
	const enum log_level was = log_get_level(), level = (enum log_level)w->log_level;
	if (w->has_log_level && level != was) {
		/* said at whichever of the two levels says more */
		log_set_level(level > was ? level : was);
		log_info("daemon", "log_level=%s uid=%u pid=%u", log_level_name(level),
			(unsigned)cmd->who.uid, (unsigned)cmd->who.pid);
		log_set_level(level);
	}
	show_daemon(d, cmd);
}

static void pass_on(struct daemon *d, struct command *cmd)
{
	struct netctl *ent = control_find_or_err(d, cmd);
	if (ent)
		netloop_post(ent->nl, cmd);
	else
		cmd->done(cmd);
}

void control_submit(void *ctx, struct command *cmd)
{
	struct daemon *d = ctx;
	if (!control_save_after(d, cmd))
		return cmd->done(cmd);
	switch (cmd->kind) {
	case CMD_NETWORK_CREATE:
		return control_create(d, cmd);
	case CMD_NETWORK_DELETE:
		return delete_network(d, cmd);
	case CMD_NETWORK_LIST:
		return list_networks(d, cmd);
	case CMD_NETWORK_SET:
		return control_set(d, cmd);
	case CMD_NETWORK_APPLY:
		return control_apply(d, cmd);
	case CMD_NETWORK_ENTER:
		return enter_network(d, cmd);
	case CMD_EVENT_SUBSCRIBE:
		return control_subscribe(d, cmd);
	case CMD_PORT_ADD:
	case CMD_PORT_REMOVE:
		return control_port(d, cmd);
	case CMD_DAEMON_SHOW:
		return show_daemon(d, cmd);
	case CMD_DAEMON_SET:
		return set_daemon(d, cmd);
	case CMD_DAEMON_RELOAD:
		return control_reload(d, cmd);
	case CMD_DAEMON_STOP:
		log_info("daemon", "asked to stop uid=%u pid=%u", (unsigned)cmd->who.uid,
			(unsigned)cmd->who.pid);
		cmd->done(cmd);
		return daemon_stop(d);
	case CMD_NETWORK_SHOW:
	case CMD_PORT_OPEN:
	case CMD_PORT_SET:
	case CMD_PORT_LIST:
	case CMD_GROUP_LIST:
	case CMD_FDB_LIST:
	case CMD_FDB_FLUSH:
	case CMD_STATS_GET:
		return pass_on(d, cmd);
	case CMD_HELLO:
	case CMD_ATTACH:
	case CMD_DETACH:
	case CMD_GROUP_JOIN:
	case CMD_GROUP_LEAVE:
	case CMD_RPC_METHODS:
	case CMD_APPLY_CHECK:
	case CMD_APPLY_PORTS:
	case CMD_LIST_DECLARED:
	case CMD_PREPARE:
	case CMD_FACTS:
	case CMD_EVENTS:
	case CMD_PORT_TAP:
	case CMD_PORT_DIAL:
	case CMD_HOST_GROUPS:
	case CMD_PORT_LISTEN:
	case CMD_HOST:
	case CMD_COUNTERS:
		err_set(&cmd->err, -EOPNOTSUPP, "not a command for the control socket");
		return cmd->done(cmd);
	}
}
