/* session.c - see session.h. */
#include "server/io/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "protocol/wire.h"
#include "server/base/log.h"
#include "server/core/ingress.h"
#include "server/core/offload.h"
#include "server/io/memberships.h"
#include "server/io/newsdesk.h"
#include "server/io/port_shm.h"
#include "server/io/refusals.h"
#include "server/io/shared.h"
#include "server/io/stream_port.h"
#include "server/rpc/method.h"

/* Calls of one session carried out in one turn of the loop: 16 of the most expensive ones (a list
 * of a full table) hold the others for a few milliseconds, and a thousand cheap ones still take 70
 * turns. */
#define CALLS_PER_TURN 16u

struct session {
	struct stream_port sp; /* a port while attached */
	const struct session_host *host;
	struct wire_scan scan;
	bool submitted; /* a command of ours is out */
	bool monitor;   /* attached, but no port: it only watches */
	uint8_t owes;   /* OFFLOAD_*: what frames that it sends as port may owe */
	bool gone;      /* closed; only that command keeps the memory */
	uint32_t msgid; /* of the call under way */
	const struct method *method;
	char only[FETH_NAME_MAX + 1]; /* the port that attach gives; empty: as asked */
	bool opened;                  /* by port.open: it has no path */
	char network[FETH_NAME_MAX + 1];
	struct subscriber sub;   /* in host->hub, while it wants to hear anything */
	struct memberships *own; /* owned: the groups it has joined; NULL before it joins any */
};

static struct session *of_stream(struct stream *s)
{
	return (struct session *)s;
}

static struct session *of_subscriber(struct subscriber *sub)
{
	return (struct session *)((char *)sub - offsetof(struct session, sub));
}

static const struct session *of_const_subscriber(const struct subscriber *sub)
{
	return (const struct session *)((const char *)sub - offsetof(struct session, sub));
}

/* -- as a port -- */

static void port_changed(struct port *port, const struct network_facts *facts)
{
	struct session *se = of_stream(&stream_port_of_port(port)->s);
	struct rpc_out out;
	rpc_out_init(&out);
	event_pack_network(facts, &out);
	if (rpc_out_ok(&out))
		stream_put_message(&se->sp.s, out.buf.data, out.buf.size,
			event_topic(NEWSDESK_SLOT, EVENT_NETWORK_CHANGED, 0), NULL, 0);
	rpc_out_fini(&out);
}

static const struct port_ops port_ops = {
	.send = stream_port_send,
	.flush = stream_port_flush,
	.close = stream_port_close,
	.changed = port_changed,
	.limit = stream_port_limit,
	.queued = stream_port_queued,
};

static const struct port_ops shm_ops = {
	.send = port_shm_send,
	.flush = port_shm_flush,
	.close = stream_port_close,
	.changed = port_changed,
	.limit = port_shm_limit,
	.queued = port_shm_queued,
};

static void monitor_flush_port(struct port *port)
{
	stream_flush_aside(&stream_port_of_port(port)->s);
}

static uint64_t wall_clock_ns(const struct port *port)
{
	struct timespec ts;
	(void)port;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static const struct port_ops monitor_ops = {
	.send = stream_port_send,
	.flush = monitor_flush_port,
	.close = stream_port_close,
	.changed = port_changed,
	.limit = stream_port_limit,
	.queued = stream_port_queued,
	.now_ns = wall_clock_ns,
};

static void protocol_error(struct session *se, const char *code, const char *reason);

static void on_broken_rings(struct stream_port *sp, const char *why)
{
	protocol_error(of_stream(&sp->s), "invalid", why);
}

/* @out_fd: out, where conf->ring: the memory of the rings. */
static int attach(struct session *se, const struct port_conf *conf, unsigned right,
	struct port_info *out, int *out_fd, struct err *err)
{
	if (se->sp.attached)
		return err_set(err, -EEXIST, "this connection is a port already; detach first");
	if (conf->monitor && se->only[0])
		return err_set(err, -EINVAL,
			"monitor: this socket is of port %s; watch by the network's feth.sock",
			se->only);
	int rc = 0;
	if (conf->ring)
		rc = port_shm_open(
			&se->sp, conf->ring, conf->offload.tx, on_broken_rings, out_fd, err);
	if (rc < 0)
		return rc;
	se->sp.port.offload = conf->offload.rx;
	se->sp.port.offload_max = conf->offload.max;
	se->sp.port.owes = conf->offload.tx;
	se->sp.port.copies = conf->ring && !conf->monitor;
	se->owes = conf->offload.tx;
	se->sp.port.ops = conf->monitor ? &monitor_ops : se->sp.shm ? &shm_ops : &port_ops;
	rc = stream_port_attach(
		&se->sp, conf, conf->monitor ? "monitor" : "native", right, out, err);
	se->monitor = rc == 0 && conf->monitor;
	if (rc < 0 && se->sp.shm) {
		port_shm_close(&se->sp);
		close(*out_fd);
	}
	return rc;
}

static void detach(struct session *se, const char *why)
{
	stream_port_detach(&se->sp, why);
	port_shm_close(&se->sp);
	se->monitor = false;
	free(se->own);
	se->own = NULL;
}

/* -- as a subscriber -- */

static void sub_tell(
	struct subscriber *sub, enum event_kind kind, const void *data, size_t len, uint64_t topic)
{
	struct session *se = of_subscriber(sub);
	if (kind == EVENT_NETWORK_CHANGED && se->sp.attached)
		return; /* as a port it has heard, before its cap changed */
	stream_put_message(&se->sp.s, data, len, topic, NULL, 0);
}

static bool sub_waits(const struct subscriber *sub, uint64_t topic)
{
	return sendq_waits(&of_const_subscriber(sub)->sp.s.q, topic);
}

static void say_error(struct session *se, const char *code, const char *reason);

/* As a peer that does not read what it should have heard. */
static void sub_lost(struct subscriber *sub)
{
	struct session *se = of_subscriber(sub);
	if (se->sp.s.dying)
		return;
	ioloop_counters(se->host->loop)->slow++;
	say_error(se, "busy",
		"more happened at once than could be told; connect and subscribe again");
	stream_fail(&se->sp.s, "events were lost", true);
}

static const struct subscriber_ops subscriber_ops = {
	.tell = sub_tell,
	.waits = sub_waits,
	.lost = sub_lost,
};

/* -- calls -- */

static void send_out(struct session *se, const struct rpc_out *out, const int *fds, uint8_t n_fds)
{
	stream_put_message(&se->sp.s, out->buf.data, out->buf.size, 0, fds, n_fds);
}

static void reply_error(struct session *se, uint32_t msgid, const char *code, const char *text)
{
	struct rpc_out out;
	rpc_out_init(&out);
	rpc_out_error(&out, msgid, code, text);
	if (rpc_out_ok(&out))
		send_out(se, &out, NULL, 0);
	else
		stream_fail(&se->sp.s, "out of memory", false);
	rpc_out_fini(&out);
}

static void close_fds(struct command *cmd)
{
	for (unsigned i = 0; i < cmd->n_fds; i++)
		close(cmd->fds[i]);
	cmd->n_fds = 0;
}

static void reply(struct session *se, struct command *cmd)
{
	if (cmd->err.code) {
		close_fds(cmd);
		reply_error(se, se->msgid, rpc_error_name(cmd->err.code), cmd->err.text);
		return;
	}
	struct rpc_out out;
	rpc_out_init(&out);
	rpc_out_response(&out, se->msgid);
	se->method->pack(cmd, &out);
	rpc_out_end(&out);
	if (rpc_out_ok(&out)) {
		send_out(se, &out, cmd->fds, cmd->n_fds);
	} else {
		close_fds(cmd);
		reply_error(se, se->msgid, "too_large", "the answer would be over 65536 bytes");
	}
	rpc_out_fini(&out);
}

/* Whether the caller has on @network what the command needs. */
static bool may(const struct session *se, struct command *cmd, const char *network)
{
	cmd->rights = se->host->rights(se->host->ctx, se->sp.client.who, network);
	return (cmd->rights & cmd->right) == cmd->right;
}

/* event.subscribe takes effect behind its answer. */
static void subscribed(struct session *se, const struct command *cmd)
{
	if (se->sp.s.dying) /* it has left its hub for good */
		return;
	if (cmd->kind == CMD_EVENT_SUBSCRIBE && !cmd->err.code)
		hub_subscribe(se->host->hub, &se->sub, cmd->in.events, cmd->network);
}

/* A command comes back. */
static void on_done(struct command *cmd)
{
	struct session *se = cmd->owner;
	se->submitted = false;
	if (se->gone) {
		close_fds(cmd);
		free(se);
	} else {
		if (cmd->kind == CMD_EVENT_SUBSCRIBE && !cmd->err.code &&
			!may(se, cmd, cmd->network))
			err_set(&cmd->err, -EACCES, "the right to observe was taken away");
		reply(se, cmd);
		subscribed(se, cmd);
		stream_resume(&se->sp.s);
	}
	command_free(cmd);
}

static void attach_with_groups(struct session *se, struct command *cmd)
{
	if (attach(se, &cmd->in.conf, cmd->right, &cmd->out.port, &cmd->fds[0], &cmd->err) < 0)
		return;
	cmd->n_fds = se->sp.shm != NULL;
	if (cmd->groups.given && memberships_join(&se->own, se->host->net, se->sp.port.id,
					 &cmd->groups, &cmd->err) < 0)
		detach(se, "it could not join"); /* what there is of fds is closed by the reply */
}

static void change_groups(struct session *se, struct command *cmd)
{
	if (!se->sp.attached) {
		err_set(&cmd->err, -ENOENT, "this connection is no port; attach first");
		return;
	}
	if (se->monitor) {
		err_set(&cmd->err, -EINVAL,
			"this connection only watches: it sees the frames of every group, and is "
			"in none");
		return;
	}
	if (cmd->kind == CMD_GROUP_JOIN)
		(void)memberships_join(
			&se->own, se->host->net, se->sp.port.id, &cmd->groups, &cmd->err);
	else if (se->own)
		memberships_leave(se->own, se->host->net, se->sp.port.id, &cmd->groups);
	cmd->out.groups.n = se->own ? se->own->n : 0;
	cmd->out.groups.all = se->own && se->own->all;
}

/* Without a name it is its own port, and this returns true. */
static bool set_own_port(struct session *se, struct command *cmd)
{
	if (cmd->in.conf.name[0])
		return false;
	if (!se->sp.attached)
		err_set(&cmd->err, -ENOENT,
			"this connection is no port; attach first, or name one");
	else
		(void)network_set_port(se->host->net, se->sp.port.id, &cmd->in.conf,
			ioloop_now(se->host->loop), &cmd->out.port, &cmd->err);
	return true;
}

/* Those that concern this connection alone are carried out here. */
static bool own_command(struct session *se, struct command *cmd)
{
	switch (cmd->kind) {
	case CMD_HELLO: {
		char text[4 * sizeof(cmd->in.hello.client) + 1];
		log_debug("session", "hello uid=%u pid=%u client=%s", (unsigned)se->sp.client.uid,
			(unsigned)se->sp.pid, log_text(text, sizeof(text), cmd->in.hello.client));
		return true;
	}
	case CMD_ATTACH:
		if (se->only[0]) {
			memcpy(cmd->in.conf.name, se->only, sizeof(se->only));
			cmd->in.conf.take_only = true;
		}
		cmd->in.conf.uid = se->sp.client.uid;
		cmd->in.conf.pid = se->sp.pid;
		cmd->in.conf.monitor = cmd->monitor;
		attach_with_groups(se, cmd);
		return true;
	case CMD_DETACH:
		if (!se->sp.attached) {
			err_set(&cmd->err, -ENOENT, "this connection is no port; attach first");
			return true;
		}
		detach(se, "it asked to");
		stream_drop_frames(&se->sp.s);
		return true;
	case CMD_PORT_SET:
		return set_own_port(se, cmd);
	case CMD_GROUP_JOIN:
	case CMD_GROUP_LEAVE:
		change_groups(se, cmd);
		return true;
	case CMD_RPC_METHODS:
		return true;
	case CMD_EVENT_SUBSCRIBE: /* on the control socket main must know of it first */
		return se->host->net;
	default:
		return false;
	}
}

/* -- who may -- */

static void put_refusal(const struct session *se, const char *network)
{
	char where[FETH_NAME_MAX + 16];
	snprintf(where, sizeof(where), "%s%s",
		se->opened       ? "port.open"
		: !se->host->net ? "control.sock"
		: se->only[0]    ? "ports/"
				 : "feth.sock",
		se->only);
	refusals_put(
		se->host->loop, se->method->name, network, se->sp.client.uid, se->sp.pid, where);
}

/* @right: what is missing. Of a network that the caller has no right on it is not told whether it
 * exists. */
static void deny(struct session *se, uint32_t msgid, unsigned right, const char *network)
{
	struct err err;
	if (right & RIGHT_ADMIN)
		err_set(&err, -EACCES,
			"only root and the admin group may do this; see fethd --admin-group");
	else if (!network[0])
		err_set(&err, -EACCES,
			"only root and the admin group may do this for all networks; name one in "
			"the field network");
	else
		err_set(&err, -EACCES,
			"%s network %s on which you have the right to %s; root and the admin group "
			"can give it: fethctl set %s --allow",
			se->host->net ? "this is no" : "there is no", network, right_name(right),
			network);
	put_refusal(se, network);
	reply_error(se, msgid, "denied", err.text);
}

/* The network that a call is about, as far as can be told before its params are looked at. */
static void about_network(
	const struct session *se, const struct rpc_msg *msg, char out[FETH_NAME_MAX + 1])
{
	memcpy(out, se->network, FETH_NAME_MAX + 1);
	if (!out[0] && want_name(msg->params, "network", false, out, NULL) < 0)
		out[0] = '\0'; /* its parser says what is wrong, to those who may do it anywhere */
}

/* Judges the caller and fills a command. False: it was denied, and that is answered. */
static bool prepare_call(struct session *se, const struct rpc_msg *msg, struct command *cmd)
{
	const struct method *m = se->method;
	char about[FETH_NAME_MAX + 1];
	about_network(se, msg, about);
	cmd->right = method_needs(m, !se->host->net, msg->params);
	if (!may(se, cmd, about)) {
		deny(se, msg->msgid, cmd->right & ~cmd->rights, about);
		return false;
	}
	peer_assign(&cmd->who, se->sp.client.who);
	memcpy(cmd->network, se->network, sizeof(cmd->network));
	if (m->parse(msg->params, cmd, &cmd->err) < 0 ||
		method_check(m->kind, !se->host->net, msg->params, &cmd->err) < 0)
		return true;
	/* a right on a network that is named is none for a method which knows of no network */
	if (strcmp(cmd->network, about) != 0 && !may(se, cmd, cmd->network)) {
		deny(se, msg->msgid, cmd->right & ~cmd->rights, cmd->network);
		return false;
	}
	return true;
}

static void call(struct session *se, const struct rpc_msg *msg)
{
	const struct method *m = method_find(msg->method);
	if (!m) {
		reply_error(se, msg->msgid, "unsupported",
			"there is no such method; fethctl help rpc lists them");
		return;
	}
	if (!(m->sockets & (se->host->net ? SOCKET_N : SOCKET_C))) {
		reply_error(se, msg->msgid, "unsupported",
			se->host->net ? "this method is on the control socket only"
				      : "this method is on a network's own socket only");
		return;
	}
	/* What was answered on another loop is true here, of rights above all: they are judged now,
	 * and nothing else is carried out before the call is. */
	ioloop_take(se->host->loop);
	if (se->sp.s.dying)
		return;
	se->msgid = msg->msgid;
	se->method = m;
	struct command *cmd = command_new(m->kind);
	if (!cmd) {
		reply_error(se, msg->msgid, "system", "out of memory");
		return;
	}
	cmd->done = on_done;
	cmd->owner = se;
	if (!prepare_call(se, msg, cmd)) {
		command_free(cmd);
		return;
	}
	if (cmd->err.code || own_command(se, cmd)) {
		reply(se, cmd);
		subscribed(se, cmd);
		command_free(cmd);
		return;
	}
	se->submitted = true;
	se->host->submit(se->host->ctx, cmd); /* may be back before this returns */
	if (se->submitted)
		stream_pause(&se->sp.s);
}

static void say_error(struct session *se, const char *code, const char *reason)
{
	struct rpc_out out;
	rpc_out_init(&out);
	rpc_out_notify(&out, "protocol.error");
	rpc_out_map(&out);
	rpc_put_text(&out, "code", code);
	rpc_put_text(&out, "message", reason);
	rpc_out_end(&out);
	if (rpc_out_ok(&out))
		send_out(se, &out, NULL, 0);
	rpc_out_fini(&out);
}

static void protocol_error(struct session *se, const char *code, const char *reason)
{
	ioloop_counters(se->host->loop)->protocol_error++;
	log_warn("session", "protocol error net=%s uid=%u pid=%u: %s", se->network,
		(unsigned)se->sp.client.uid, (unsigned)se->sp.pid, reason);
	say_error(se, code, reason);
	stream_fail(&se->sp.s, reason, true);
}

static void rpc_object(struct session *se, const uint8_t *data, size_t len)
{
	struct rpc_msg msg;
	switch (rpc_decode(&msg, data, len)) {
	case RPC_OK:
		if (msg.kind == RPC_REQUEST)
			call(se, &msg);
		else
			ioloop_counters(se->host->loop)->ignored++;
		break;
	case RPC_BAD_PARAMS:
		reply_error(se, msg.msgid, "invalid",
			"a request is [0, msgid, method, [params]] with one map, or none, as "
			"params");
		break;
	case RPC_BAD_ENVELOPE:
		protocol_error(
			se, "invalid", "an array that is no request, response or notification");
		break;
	case RPC_NO_MEMORY:
		stream_fail(&se->sp.s, "out of memory", false);
		break;
	}
	rpc_msg_fini(&msg);
}

/* -- the stream -- */

/* The next frames of a port that may send unfinished ones: those that may not be are dropped.
 * Returns how many bytes they took. */
static size_t take_owing(struct session *se, const uint8_t *buf, size_t len, uint64_t now)
{
	struct network *net = se->host->net;
	struct frame frames[IOLOOP_BATCH];
	size_t used;
	const uint32_t mtu = network_facts(net)->spec.mtu;
	const unsigned n = ingress_owing(buf, len, frames, IOLOOP_BATCH, &used);
	unsigned good = 0;
	for (unsigned i = 0; i < n; i++) {
		struct frame *f = &frames[i];
		const bool owes = f->offload.flags || f->offload.gso_type;
		if (owes && (!offload_valid(f, mtu) || offload_needs(f) & ~se->owes))
			network_count(net, se->sp.port.id, DROP_BAD_OFFLOAD, 1, f->len);
		else
			frames[good++] = *f;
	}
	if (good)
		network_input(net, se->sp.port.id, frames, good, now);
	return used;
}

static size_t on_input(struct stream *s, const uint8_t *buf, size_t len, size_t *need)
{
	struct session *se = of_stream(s);
	struct network *net = se->host->net;
	struct frame frames[IOLOOP_BATCH];
	size_t at = 0;
	unsigned calls = 0;
	const uint64_t now = ioloop_now(s->loop);

	while (stream_takes_input(s)) {
		if (se->sp.attached && !se->monitor) { /* nearly always, and then nearly all */
			size_t used;
			const unsigned n =
				ingress_native(buf + at, len - at, frames, IOLOOP_BATCH, &used);
			if (n) {
				network_input(net, se->sp.port.id, frames, n, now);
				at += used;
				if (network_work(net) >= NETWORK_WORK)
					stream_yield(s);
				continue;
			}
			used = se->owes ? take_owing(se, buf + at, len - at, now) : 0;
			at += used;
			if (used) {
				if (network_work(net) >= NETWORK_WORK)
					stream_yield(s);
				continue;
			}
		}
		struct wire_item item;
		const enum wire_kind kind = wire_next(&se->scan, buf + at, len - at, &item);
		if (kind == WIRE_MORE) {
			*need = se->scan.need;
			break;
		}
		if (kind == WIRE_BAD) {
			protocol_error(se, "invalid", item.reason);
			break;
		}
		at += item.total;
		if (kind == WIRE_RPC) { /* takes effect where it stands, behind these frames */
			if (net)
				network_flush(net);
			rpc_object(se, item.data, item.len);
			if (++calls == CALLS_PER_TURN)
				stream_yield(s);
		} else if (!net) {
			protocol_error(se, "unsupported", "frames are not for the control socket");
		} else if (kind == WIRE_EXT && item.ext == WIRE_EXT_WAKE && se->sp.shm) {
			port_shm_woken(&se->sp);
		} else {
			network_count(net, se->sp.attached ? se->sp.port.id : PORT_NONE,
				kind == WIRE_EXT ? DROP_BAD_OFFLOAD : DROP_DETACHED, 1, item.len);
		}
	}
	return at;
}

static void on_batch_end(struct stream *s)
{
	struct session *se = of_stream(s);
	if (se->host->net)
		network_flush(se->host->net);
}

static void on_lost(struct stream *s, const char *why)
{
	struct session *se = of_stream(s);
	log_debug("session", "closed net=%s uid=%u pid=%u why=%s", se->network,
		(unsigned)se->sp.client.uid, (unsigned)se->sp.pid, why);
	detach(se, why);
	hub_leave(se->host->hub, &se->sub);
}

static void on_closed(struct stream *s)
{
	struct session *se = of_stream(s);
	stream_port_closed(&se->sp);
	se->gone = true;
	if (!se->submitted)
		free(se);
}

static const struct stream_ops stream_ops = {
	.input = on_input,
	.batch_end = on_batch_end,
	.lost = on_lost,
	.closed = on_closed,
};

static void say_removed(struct session *se)
{
	struct rpc_out out;
	rpc_out_init(&out);
	event_pack_removed(se->network, &out);
	if (rpc_out_ok(&out))
		send_out(se, &out, NULL, 0);
	rpc_out_fini(&out);
}

static void client_close(struct client *client, bool gone)
{
	struct session *se = of_stream(&stream_port_of_client(client)->s);
	if (gone && se->host->net && !se->sp.s.dying &&
		(se->sp.attached || se->sub.events & EVENT_BIT(EVENT_NETWORK_REMOVED)))
		say_removed(se);
	detach(se, gone ? "its network is removed" : "its port is removed");
	stream_port_leave(client, gone);
}

/* What it is or hears by a right that is no more ends, and it with that: a client that went on
 * would not know that it is deaf. */
static void client_judged(struct client *client, const char *network, unsigned rights)
{
	struct session *se = of_stream(&stream_port_of_client(client)->s);
	const bool port = !stream_port_may(&se->sp, rights);
	const bool hears =
		se->sub.events && !strcmp(se->sub.network, network) && !(rights & RIGHT_OBSERVE);
	if (se->sp.s.dying || (!port && !hears))
		return;
	stream_port_revoke(&se->sp, port ? "port" : "subscription", network);
	detach(se, STREAM_PORT_REVOKED);
	say_error(se, "denied",
		port ? "the right by which this was a port of the network was taken away; root and "
		       "the admin group can give it back"
		     : "the right to observe this network was taken away; root and the admin group "
		       "can give it back");
	stream_fail(&se->sp.s, STREAM_PORT_REVOKED, true);
}

static int open_session(
	struct session **out, const struct session_host *host, int fd, const struct peer *peer)
{
	struct session *se = calloc(1, sizeof(*se));
	if (!se) {
		close(fd);
		shared_leave(ioloop_shared(host->loop), peer->uid);
		return -ENOMEM;
	}
	se->sp.port.ops = &port_ops;
	se->sub.ops = &subscriber_ops;
	se->sp.net = host->net;
	se->sp.clients = host->clients;
	se->sp.client.close = client_close;
	se->sp.client.judged = client_judged;
	se->host = host;
	if (host->net)
		memcpy(se->network, network_facts(host->net)->spec.network, sizeof(se->network));
	const int rc = stream_port_open(&se->sp, host->loop, fd, peer, FRAMING_NATIVE, &stream_ops);
	if (rc < 0) {
		free(se);
		return rc;
	}
	*out = se;
	return 0;
}

int session_open(
	const struct session_host *host, int fd, const struct peer *peer, const char *port_name)
{
	struct session *se;
	const int rc = open_session(&se, host, fd, peer);
	if (rc < 0) {
		log_warn("session", "refused uid=%u pid=%u: %s", (unsigned)peer->uid,
			(unsigned)peer->pid, strerror(-rc));
		return rc;
	}
	if (port_name)
		snprintf(se->only, sizeof(se->only), "%s", port_name);
	return 0;
}

int session_open_attached(const struct session_host *host, int fd, const struct peer *peer,
	const struct port_conf *conf, struct port_info *out, struct err *err)
{
	struct session *se;
	int no_rings = -1; /* port.open gives none */
	int rc = open_session(&se, host, fd, peer);
	if (rc < 0)
		return err_set(err, rc, "%s: cannot serve another port: %s",
			network_facts(host->net)->spec.network, strerror(-rc));
	se->opened = true;
	rc = attach(se, conf, RIGHT_ATTACH, out, &no_rings, err);
	if (rc < 0)
		stream_fail(&se->sp.s, "not attached", false);
	return rc;
}
