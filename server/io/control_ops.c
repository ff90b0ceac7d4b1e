/* control_ops.c - operations on a living network: network.set, port.add, port.remove. See
 * daemon_priv.h.
 *
 * The kernel first, our state second: an operation that fails leaves everything as it was. What a
 * network's loop has to do in between goes through netloop_post(), so an operation is a chain of
 * steps, each begun when the one before came back; `busy` keeps two chains off one network. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/io/daemon_priv.h"
#include "server/io/doors.h"
#include "server/io/netfiles.h"
#include "server/priv/verbs.h"
#include "server/rpc/apply.h"

/* An operation under way on a network. */
struct op {
	struct netctl *ent;
	struct command *cmd;       /* to be answered */
	struct network_facts want; /* set: what shall be true; then what is true */
	bool kernel;               /* set: the pair is to be changed */
};

static void op_end(struct op *op)
{
	struct command *cmd = op->cmd;
	op->ent->busy = false;
	free(op);
	cmd->done(cmd);
}

static struct op *op_begin(struct daemon *d, struct command *cmd)
{
	struct netctl *ent = control_find_or_err(d, cmd);
	if (!ent) {
		cmd->done(cmd);
		return NULL;
	}
	const bool others = ent->applying && !cmd->inner;
	struct op *op = ent->busy || others ? NULL : calloc(1, sizeof(*op));
	if (!op) {
		err_set(&cmd->err, -EBUSY, "%s: another change is under way; try again",
			cmd->network);
		cmd->done(cmd);
		return NULL;
	}
	op->ent = ent;
	op->cmd = cmd;
	ent->busy = true;
	return op;
}

/* A command of an operation; `done` is the next step. NULL: op->cmd->err says why. */
static struct command *op_step(
	struct op *op, enum command_kind kind, void (*done)(struct command *cmd))
{
	struct command *cmd = command_new(kind);
	if (!cmd) {
		err_set(&op->cmd->err, -ENOMEM, "%s: out of memory", op->cmd->network);
		return NULL;
	}
	cmd->owner = op;
	cmd->done = done;
	memcpy(cmd->network, op->cmd->network, sizeof(cmd->network));
	peer_assign(&cmd->who, &op->cmd->who);
	return cmd;
}

/* Sends one to the network's loop, or ends the operation. */
static void op_post(struct op *op, enum command_kind kind, void (*done)(struct command *cmd))
{
	struct command *cmd = op_step(op, kind, done);
	if (!cmd)
		return op_end(op);
	if (kind == CMD_PREPARE || kind == CMD_FACTS)
		cmd->out.facts = op->want;
	else
		cmd->in.conf = op->cmd->in.conf;
	netloop_post(op->ent->nl, cmd);
}

/* network.set, last step: the network's loop knows. */
static void set_done(struct command *cmd)
{
	struct op *op = cmd->owner;
	command_free(cmd);
	control_judge(op->ent);
	op_end(op);
}

static int give_sockets(const struct netctl *ent, const struct network_facts *f, struct err *err)
{
	return netfiles_give(f->path, &ent->d->access, &f->access, err);
}

/* The pair, its place in a bridge and the rules of NAT: all of them, or none. @later: the bridge
 * may come later. */
static int change_host(struct netctl *ent, struct network_facts *want, bool later, struct err *err)
{
	const struct hostif_spec now = ent->facts.spec;
	struct err undone = { 0 };
	int rc = verb_pair_change(ent->ops->name, &now, &want->spec, err);
	if (rc < 0)
		return rc;
	rc = bridges_change(ent, &now, want, later, err);
	if (!rc) {
		struct network_facts back = ent->facts;
		rc = services_rules(ent, want, err);
		if (rc < 0)
			(void)bridges_change(ent, &want->spec, &back, true, NULL);
	}
	if (rc < 0 && verb_pair_change(ent->ops->name, &want->spec, &now, &undone) < 0)
		log_warn("network", "%s", undone.text);
	return rc;
}

/* Changes the sockets' files and the host side: both, or neither. */
static int change_system(struct op *op)
{
	struct netctl *ent = op->ent;
	struct err *err = &op->cmd->err;
	const bool sockets = !access_same(&ent->facts.access, &op->want.access);
	int rc = sockets ? give_sockets(ent, &op->want, err) : 0;
	if (!rc && op->kernel)
		rc = change_host(ent, &op->want, op->cmd->inner, err);
	if (rc < 0 && sockets)
		(void)give_sockets(ent, &ent->facts, NULL);
	return rc;
}

/* network.set, second step: the network agrees (and an MTU that shrinks has shrunk); now the
 * kernel. */
static void set_prepared(struct command *cmd)
{
	struct op *op = cmd->owner;
	struct netctl *ent = op->ent;
	const bool refused = cmd->err.code;
	if (refused)
		op->cmd->err = cmd->err;
	command_free(cmd);
	if (refused)
		return op_end(op);
	if (ent->stopping) {
		err_set(&op->cmd->err, -ENOENT, "%s: the network is being removed",
			op->cmd->network);
		return op_end(op);
	}

	if (change_system(op) < 0) {
		/* `not_found` would be about the network, `invalid` about a field */
		if (op->cmd->err.code == -ENODEV || op->cmd->err.code == -EINVAL)
			op->cmd->err.code = -EIO;
		op->want = ent->facts; /* back to what was */
	} else {
		op->want.ports = ent->facts.ports;
		op->want.mtu_max = ent->facts.mtu_max;
		op->want.saved = ent->facts.saved;
		op->want.carrier =
			op->kernel ? bridges_carrier(ent, &op->want) : ent->facts.carrier;
		if (!op->kernel) {
			op->want.bridged = ent->facts.bridged;
			op->want.bridge_mtu = ent->facts.bridge_mtu;
		}
		const struct network_facts before = ent->facts;
		ent->facts = op->want;
		op->cmd->out.facts = op->want;
		if (before.spec.mtu != ent->facts.spec.mtu)
			taps_mtu(ent);
		services_dhcp(ent, &before, false);
		log_info("network", "changed net=%s mtu=%u up=%d addresses=%u uid=%u pid=%u",
			ent->facts.spec.network, (unsigned)ent->facts.spec.mtu, ent->facts.spec.up,
			(unsigned)ent->facts.spec.n_addrs, (unsigned)op->cmd->who.uid,
			(unsigned)op->cmd->who.pid);
		if (op->kernel)
			(void)state_save(ent->d, NULL);
	}
	op_post(op, CMD_FACTS, set_done);
}

void control_set(struct daemon *d, struct command *cmd)
{
	const struct network_want *w = &cmd->in.want;
	struct op *op = op_begin(d, cmd);
	if (!op)
		return;
	struct netctl *ent = op->ent;
	op->want = ent->facts;
	if (w->whole)
		(void)control_whole(ent, w, &op->want, &cmd->err);
	else if (!ent->ops->has_host && control_wants_host(w))
		err_set(&cmd->err, -EINVAL,
			"%s: backend %s has no host side, so no mac, addresses, up, dhcp, nat or "
			"bridge",
			cmd->network, ent->facts.backend);
	else if (!control_settings(w, &op->want, &cmd->err) && (w->has_bridge || w->has_mtu))
		(void)bridges_check(&op->want, &cmd->err);
	if (cmd->err.code)
		return op_end(op);
	if (w->whole && facts_same(&op->want, &ent->facts)) {
		cmd->out.facts = ent->facts;
		return op_end(op);
	}
	op->kernel = ent->ops->has_host && (w->whole || control_wants_kernel(w));
	op_post(op, CMD_PREPARE, set_prepared);
}

void control_port_listen(struct netctl *ent, struct command *cmd)
{
	char path[2 * PATH_TEXT];
	const struct access_files files = access_files(&ent->d->access, &ent->facts.access);
	netfiles_port(path, ent->facts.path, cmd->in.conf.name);
	if (verb_listen(
		    path, door_socket_type(cmd->in.conf.kind), &files, &cmd->fds[0], &cmd->err) < 0)
		return cmd->done(cmd);
	cmd->n_fds = 1;
	netloop_post(ent->nl, cmd);
}

void control_port_listened(const struct netctl *ent, const struct command *cmd)
{
	char path[2 * PATH_TEXT];
	netfiles_port(path, ent->facts.path, cmd->in.conf.name);
	if (cmd->err.code)
		verb_unlink(path);
}

/* port.add, last step where the socket could not be made: the port is undeclared again. */
static void add_undone(struct command *cmd)
{
	struct op *op = cmd->owner;
	command_free(cmd);
	op_end(op);
}

static void add_told(const struct op *op, const struct port_info *port)
{
	log_info("port", "declared net=%s port=%u name=%s kind=%s uid=%u pid=%u",
		op->ent->facts.spec.network, (unsigned)port->id, port->name,
		port_kind_name(port->kind), (unsigned)op->cmd->who.uid, (unsigned)op->cmd->who.pid);
}

/* port.add of a tap, last step: the network's loop has its descriptor. */
static void add_opened(struct command *cmd)
{
	struct op *op = cmd->owner;
	op->cmd->err = cmd->err;
	op->cmd->out.port = cmd->out.port;
	command_free(cmd);
	if (op->cmd->err.code)
		return op_post(op, CMD_PORT_REMOVE, add_undone);
	taps_opened(op->ent, op->cmd->out.port.name);
	add_told(op, &op->cmd->out.port);
	op_end(op);
}

/* port.add of a tap, second step: declared; now its interface. */
static void add_tap(struct op *op, const struct port_info *port)
{
	struct err *err = &op->cmd->err;
	struct command *cmd = NULL;
	int fd;
	if (!taps_make(op->ent, port, &fd, err)) {
		cmd = taps_command(op->ent, port->name, fd);
		if (!cmd)
			err_set(err, -ENOMEM, "%s: out of memory", op->cmd->network);
	}
	if (!cmd)
		return op_post(op, CMD_PORT_REMOVE, add_undone);
	cmd->owner = op;
	cmd->done = add_opened;
	netloop_post(op->ent->nl, cmd);
}

/* port.add, last step: it is there, and calls, if it is one that does. */
static void add_called(struct op *op, const struct port_info *port)
{
	if (dial_text_any(&port->dial) && !op->ent->stopping)
		dials_begin(op->ent, port->name, port->kind, &port->dial);
	add_told(op, port);
	op_end(op);
}

/* port.add, third step: it is served. */
static void add_listening(struct command *cmd)
{
	struct op *op = cmd->owner;
	control_port_listened(op->ent, cmd);
	op->cmd->err = cmd->err;
	command_free(cmd);
	if (op->cmd->err.code)
		return op_post(op, CMD_PORT_REMOVE, add_undone);
	add_called(op, &op->cmd->out.port);
}

/* port.add, second step: declared; now its socket. */
static void add_declared(struct command *cmd)
{
	struct op *op = cmd->owner;
	op->cmd->err = cmd->err;
	op->cmd->out.port = cmd->out.port;
	memcpy(op->cmd->dir, cmd->dir, sizeof(cmd->dir));
	command_free(cmd);
	if (!op->cmd->err.code && op->ent->stopping)
		err_set(&op->cmd->err, -ENOENT, "%s: the network is being removed",
			op->cmd->network);
	if (op->cmd->err.code)
		return op_end(op);

	if (op->cmd->out.port.kind == PORT_KIND_TAP)
		return add_tap(op, &op->cmd->out.port);
	if (dial_text_any(&op->cmd->out.port.dial) && op->cmd->out.port.kind != PORT_KIND_DGRAM)
		return add_called(op, &op->cmd->out.port);
	cmd = op_step(op, CMD_PORT_LISTEN, add_listening);
	if (!cmd)
		return op_post(op, CMD_PORT_REMOVE, add_undone);
	memcpy(cmd->in.conf.name, op->cmd->out.port.name, sizeof(cmd->in.conf.name));
	cmd->in.conf.kind = op->cmd->out.port.kind;
	cmd->in.conf.dial = op->cmd->out.port.dial;
	control_port_listen(op->ent, cmd);
}

/* port.remove, last step. */
static void remove_done(struct command *cmd)
{
	struct op *op = cmd->owner;
	op->cmd->err = cmd->err;
	command_free(cmd);
	op_end(op);
}

void control_port(struct daemon *d, struct command *cmd)
{
	if (cmd->kind == CMD_PORT_ADD && dials_check(d, &cmd->in.conf, &cmd->err) < 0)
		return cmd->done(cmd);
	struct op *op = op_begin(d, cmd);
	if (!op)
		return;
	op_post(op, cmd->kind, cmd->kind == CMD_PORT_ADD ? add_declared : remove_done);
}
