/* netloop.c - see netloop.h. */
#include "server/io/netloop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "server/base/log.h"
#include "server/core/apply.h"
#include "server/io/client.h"
#include "server/io/listener.h"
#include "server/io/newsdesk.h"
#include "server/io/port_qemu.h"
#include "server/io/port_tap.h"
#include "server/io/refusals.h"
#include "server/io/session.h"
#include "server/priv/sock.h"

#define TICK_MS 1000u /* ageing; and IGMP and MLD count in seconds (mcast_tick()) */

/* A listening socket of a network, and what to make of its connections. */
struct door {
	struct door *next;
	struct netloop *nl;
	struct listener *listener;
	enum port_kind kind;
	char port[FETH_NAME_MAX + 1]; /* the declared port it is of; empty: of the network */
};

struct netloop {
	struct ioloop *loop;
	struct network *net;
	struct access access;
	const struct netloop_events *events;
	void *ctx;
	struct session_host sessions;
	struct newsdesk desk;
	struct client_list clients;
	struct door *doors;
	unsigned n_doors;
	uv_timer_t tick;
	const struct hostif_ops *ops; /* with host */
	struct hostif *host;          /* owned */
	uv_poll_t *host_poll;         /* owned; NULL where there is nothing to poll */
	struct ioloop_later rest;     /* the host side is not read: pacing, stream.h */
	bool resting;
	bool stopping;
	bool tick_closed;
};

static void maybe_gone(struct netloop *nl)
{
	if (!nl->stopping || nl->clients.n || nl->n_doors || !nl->tick_closed)
		return;
	network_free(nl->net);
	nl->events->gone(nl->ctx);
	free(nl);
}

/* -- the host side -- */

static void on_host(uv_poll_t *poll, int status, int events);
static void host_close(struct netloop *nl);

static void rested(void *arg)
{
	struct netloop *nl = arg;
	nl->resting = false;
	uv_poll_start(nl->host_poll, UV_READABLE, on_host);
	if (nl->ops->more && nl->ops->more(nl->host))
		on_host(nl->host_poll, 0, UV_READABLE);
}

static void on_host(uv_poll_t *poll, int status, int events)
{
	struct netloop *nl = poll->data;
	struct frame frames[HOSTIF_BATCH];
	(void)events;
	int n = nl->ops->recv(nl->host, frames, HOSTIF_BATCH, ioloop_buf(nl->loop), IOLOOP_BUF);
	if (n > 0 && nl->ops->offload)
		n = (int)network_judge(nl->net, PORT_HOST, frames, (unsigned)n);
	if (n > 0) {
		ioloop_batch(nl->loop);
		network_input(nl->net, PORT_HOST, frames, (unsigned)n, ioloop_now(nl->loop));
		network_flush(nl->net);
		if (nl->resting) {
			/* the poll was stopped: this comes of events seen before */
		} else if (ioloop_overran(nl->loop)) {
			nl->resting = true;
			uv_poll_stop(poll); /* the kernel keeps 4 MiB meanwhile */
			ioloop_hold(nl->loop, &nl->rest, rested, nl);
		} else if (nl->ops->more && nl->ops->more(nl->host)) {
			nl->resting = true; /* others come first, then the rest of it */
			uv_poll_stop(poll);
			ioloop_defer(nl->loop, &nl->rest, rested, nl);
		}
	} else if (n == -ENODEV || n == -ENXIO || n == -EBADF) {
		host_close(nl); /* gone; main makes it anew */
		nl->events->host_lost(nl->ctx);
		return;
	}
	if (status < 0 &&
		!nl->resting) /* libuv stops at POLLERR; recv() took the error, such as ENETDOWN */
		uv_poll_start(poll, UV_READABLE, on_host);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void host_close(struct netloop *nl)
{
	network_set_host(nl->net, NULL, NULL);
	if (nl->resting)
		ioloop_cancel(nl->loop, &nl->rest);
	nl->resting = false;
	if (nl->host_poll) {
		uv_poll_stop(nl->host_poll);
		uv_close((uv_handle_t *)nl->host_poll, free_handle);
	}
	nl->host_poll = NULL;
	if (nl->host)
		nl->ops->close(nl->host);
	nl->host = NULL;
}

bool netloop_has_host(const struct netloop *nl)
{
	return nl->host != NULL;
}

int netloop_host(struct netloop *nl, const struct hostif_ops *ops, const struct hostif_made *made,
	const struct hostif_spec *spec, struct err *err)
{
	host_close(nl);
	if (!made)
		return 0;
	nl->ops = ops;
	int rc = ops->open(&nl->host, made, spec, err);
	if (rc < 0)
		return rc;
	const int fd = ops->fd(nl->host);
	if (fd >= 0) {
		nl->host_poll = calloc(1, sizeof(*nl->host_poll));
		rc = nl->host_poll ? uv_poll_init(ioloop_uv(nl->loop), nl->host_poll, fd) : -ENOMEM;
		if (rc < 0) {
			free(nl->host_poll);
			nl->host_poll = NULL;
			host_close(nl);
			return err_set(err, -EIO, "%s: cannot wait for its host side: %s",
				spec->network, strerror(-rc));
		}
		nl->host_poll->data = nl;
		uv_poll_start(nl->host_poll, UV_READABLE, on_host);
	}
	network_set_host(nl->net, ops, nl->host);
	return 0;
}

/* -- listeners -- */

static bool may_connect(const struct netloop *nl, uint32_t uid)
{
	return uid == 0 || uid == nl->access.uid ||
	       ioloop_connections(nl->loop, uid) < CLIENTS_PER_UID;
}

static unsigned rights_of(void *ctx, const struct peer *who, const char *network)
{
	const struct netloop *nl = ctx;
	(void)network;
	return access_rights(&nl->access, who, &network_facts(nl->net)->access);
}

static void refuse(const struct door *door, const char *what, const struct peer *peer)
{
	char where[FETH_NAME_MAX + 16];
	snprintf(where, sizeof(where), "%s%s",
		door->port[0]                    ? "ports/"
		: door->kind == PORT_KIND_NATIVE ? "feth.sock"
						 : "qemu.sock",
		door->port);
	refusals_put(ioloop_refusals(door->nl->loop), what,
		network_facts(door->nl->net)->spec.network, peer->uid, peer->pid, where);
}

static void on_accepted(void *ctx, int fd, const struct peer *peer)
{
	struct door *door = ctx;
	struct netloop *nl = door->nl;
	struct err err = { 0 };

	if (!may_connect(nl, peer->uid)) {
		refuse(door, "connect", peer);
		close(fd);
		return;
	}
	if (door->kind == PORT_KIND_NATIVE) {
		(void)session_open(&nl->sessions, fd, peer, door->port[0] ? door->port : NULL);
		return;
	}
	if (!(rights_of(nl, peer, "") & RIGHT_ATTACH)) {
		refuse(door, "attach", peer); /* nothing in this framing could tell it why */
		close(fd);
		return;
	}
	struct port_conf conf = {
		.kind = door->kind,
		.uid = peer->uid,
		.pid = peer->pid,
		.take_only = door->port[0] != '\0',
	};
	memcpy(conf.name, door->port, sizeof(conf.name));
	struct port_info info;
	if (port_qemu_open(nl->loop, nl->net, &nl->clients, fd, peer, &conf, &info, &err) < 0)
		log_warn("port", "refused uid=%u pid=%u: %s", (unsigned)peer->uid,
			(unsigned)peer->pid, err.text);
}

static void on_door_closed(void *ctx)
{
	struct door *door = ctx;
	struct netloop *nl = door->nl;
	free(door);
	nl->n_doors--;
	maybe_gone(nl);
}

static const struct listener_ops listener_ops = {
	.accepted = on_accepted,
	.closed = on_door_closed,
};

int netloop_listen(struct netloop *nl, const char *port, enum port_kind kind, int fd)
{
	struct door *door = calloc(1, sizeof(*door));
	if (!door) {
		close(fd);
		return -ENOMEM;
	}
	door->nl = nl;
	door->kind = kind;
	snprintf(door->port, sizeof(door->port), "%s", port);
	const int rc = listener_open(&door->listener, nl->loop, fd, &listener_ops, door);
	if (rc < 0) {
		free(door);
		return rc;
	}
	door->next = nl->doors;
	nl->doors = door;
	nl->n_doors++;
	return 0;
}

static void close_door(struct netloop *nl, const char *port)
{
	for (struct door **link = &nl->doors; *link; link = &(*link)->next) {
		struct door *door = *link;
		if (!name_same(door->port, port))
			continue;
		*link = door->next;
		listener_close(door->listener);
		return;
	}
}

/* -- commands -- */

/* port.open: a socket pair, one end of which is a port. */
static void open_port(struct netloop *nl, struct command *cmd)
{
	int sv[2];
	cmd->in.conf.uid = cmd->who.uid;
	cmd->in.conf.pid = cmd->who.pid;
	if (!may_connect(nl, cmd->who.uid)) {
		err_set(&cmd->err, -EBUSY, "%s: you have %u connections, which is the limit",
			cmd->network, CLIENTS_PER_UID);
		return;
	}
	int rc = sock_pair(sv);
	if (rc < 0) {
		err_set(&cmd->err, rc, "%s: cannot make a socket pair: %s", cmd->network,
			strerror(-rc));
		return;
	}
	const int size = IOLOOP_SNDBUF;
	(void)setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	struct port_info info;
	rc = cmd->in.conf.kind == PORT_KIND_QEMU
		     ? port_qemu_open(nl->loop, nl->net, &nl->clients, sv[0], &cmd->who,
			       &cmd->in.conf, &info, &cmd->err)
		     : session_open_attached(
			       &nl->sessions, sv[0], &cmd->who, &cmd->in.conf, &info, &cmd->err);
	if (rc < 0) {
		close(sv[1]);
		return;
	}
	cmd->out.port = info;
	cmd->fds[0] = sv[1];
	cmd->n_fds = 1;
}

static void on_tap_lost(void *ctx, const char *port)
{
	struct netloop *nl = ctx;
	nl->events->port_lost(nl->ctx, port);
}

static void open_tap(struct netloop *nl, struct command *cmd)
{
	const struct port_tap_host host = { .loop = nl->loop,
		.net = nl->net,
		.clients = &nl->clients,
		.lost = on_tap_lost,
		.ctx = nl };
	(void)port_tap_open(&host, cmd->fds[0], cmd->in.conf.name, &cmd->out.port, &cmd->err);
	cmd->n_fds = 0; /* taken over */
}

static void set_facts(struct netloop *nl, struct command *cmd)
{
	const struct access_rules was = network_facts(nl->net)->access;
	network_command(nl->net, cmd, ioloop_now(nl->loop));
	const struct network_facts *facts = network_facts(nl->net);
	if (!access_same(&was, &facts->access))
		clients_judge(&nl->clients, &nl->access, facts->spec.network, &facts->access);
}

static void port_removed(const struct netloop *nl, const struct command *cmd, const char *name)
{
	log_info("port", "removed net=%s path=%s/ports/%s uid=%u pid=%u", cmd->network, cmd->dir,
		name, (unsigned)cmd->who.uid, (unsigned)cmd->who.pid);
	nl->events->port_removed(nl->ctx, name);
}

/* Also where it failed, of what is done. */
static void ports_applied(struct netloop *nl, const struct command *cmd)
{
	for (uint32_t i = 0; i < cmd->asked->n_done; i++) {
		const struct apply_done *done = &cmd->asked->done[i];
		if (done->what != APPLY_REMOVED)
			continue;
		close_door(nl, done->name);
		port_removed(nl, cmd, done->name);
	}
}

void netloop_post(struct netloop *nl, struct command *cmd)
{
	if (nl->stopping) {
		if (cmd->kind == CMD_PORT_TAP)
			close(cmd->fds[0]);
		err_set(&cmd->err, -ENOENT, "%s: the network is being removed", cmd->network);
	} else if (cmd->kind == CMD_PORT_OPEN) {
		open_port(nl, cmd);
	} else if (cmd->kind == CMD_PORT_TAP) {
		open_tap(nl, cmd);
	} else if (cmd->kind == CMD_EVENTS) {
		newsdesk_forward(&nl->desk, cmd->in.events);
	} else if (cmd->kind == CMD_FACTS) {
		set_facts(nl, cmd);
	} else {
		if (cmd->kind == CMD_PORT_REMOVE)
			close_door(nl, cmd->in.conf.name);
		network_command(nl->net, cmd, ioloop_now(nl->loop));
		if (cmd->kind == CMD_PORT_REMOVE && !cmd->err.code)
			port_removed(nl, cmd, cmd->out.port.name);
		if (cmd->kind == CMD_APPLY_PORTS)
			ports_applied(nl, cmd);
		if (cmd->kind == CMD_HOST_GROUPS)
			newsdesk_host_groups(
				&nl->desk, &cmd->items.groups[0], &cmd->items.groups[1]);
	}
	cmd->done(cmd);
}

static void submit(void *ctx, struct command *cmd)
{
	netloop_post(ctx, cmd);
}

/* -- life -- */

static void on_tick(uv_timer_t *timer)
{
	struct netloop *nl = timer->data;
	network_tick(nl->net, ioloop_now(nl->loop));
	newsdesk_tick(&nl->desk);
}

static void on_tick_closed(uv_handle_t *handle)
{
	struct netloop *nl = handle->data;
	nl->tick_closed = true;
	maybe_gone(nl);
}

static void on_clients_empty(void *ctx)
{
	maybe_gone(ctx);
}

static void on_ports(void *ctx, unsigned attached)
{
	struct netloop *nl = ctx;
	nl->events->ports(nl->ctx, attached);
}

static void on_group(void *ctx, const struct feth_mac *group, bool joined, uint16_t only)
{
	struct netloop *nl = ctx;
	newsdesk_group(&nl->desk, *group, joined, only);
}

static void on_port(void *ctx, const struct port_info *info, bool changed)
{
	struct netloop *nl = ctx;
	newsdesk_port(&nl->desk, info, changed);
}

static void on_moved(void *ctx, struct feth_mac mac, uint16_t from, uint16_t to)
{
	struct netloop *nl = ctx;
	newsdesk_moved(&nl->desk, mac, from, to);
}

/* Seldom: twins.h. */
static void on_duplicate(
	void *ctx, struct feth_mac mac, uint16_t from, uint16_t to, struct feth_mac own)
{
	struct netloop *nl = ctx;
	char mac_text[MAC_TEXT], own_text[MAC_TEXT];
	mac_format(mac_text, mac);
	mac_format(own_text, own);
	log_warn("switch",
		"net=%s: two machines have the address %s, at port %s and at port %s, and neither "
		"is reached for long; start each QEMU with its own mac=, such as mac=%s at port %s",
		network_facts(nl->net)->spec.network, mac_text, network_port_name(nl->net, from),
		network_port_name(nl->net, to), own_text, network_port_name(nl->net, to));
	newsdesk_duplicate(&nl->desk, mac, from, to, own);
}

/* Seldom: the longer a port loops the longer it is cut. */
static void on_looped(void *ctx, const struct port_info *info, uint16_t first, uint32_t hold_ms)
{
	struct netloop *nl = ctx;
	const char *name = network_facts(nl->net)->spec.network;
	if (info->looped)
		log_warn("switch",
			"net=%s: port %s brings back what was sent to all, first sent by port %s: "
			"there is a loop behind it; no frame goes in or out there for %u s. Join "
			"it to the network once only, or end the bridge or client that sends back "
			"what it gets",
			name, info->name, network_port_name(nl->net, first),
			(unsigned)(hold_ms / 1000));
	else
		log_info("switch", "net=%s: port %s is tried again after a loop", name, info->name);
	newsdesk_port(&nl->desk, info, true);
}

static void on_changed(void *ctx, const struct network_facts *facts)
{
	struct netloop *nl = ctx;
	(void)facts;
	newsdesk_changed(&nl->desk);
}

static const struct network_events network_events = {
	.ports = on_ports,
	.group = on_group,
	.port = on_port,
	.moved = on_moved,
	.duplicate = on_duplicate,
	.looped = on_looped,
	.changed = on_changed,
};

static void forward(void *ctx, enum event_kind kind, uint64_t object, const void *data, size_t len)
{
	const struct netloop *nl = ctx;
	nl->events->event(nl->ctx, kind, object, data, len);
}

int netloop_start(struct netloop **out, struct ioloop *loop, const struct netloop_conf *conf,
	const struct netloop_events *events, void *ctx, struct err *err)
{
	const char *name = conf->facts.spec.network;
	struct netloop *nl = calloc(1, sizeof(*nl));
	int rc = nl ? network_new(
			      &nl->net, &conf->facts, &conf->key, conf->seed, &network_events, nl)
		    : -ENOMEM;
	if (rc < 0) {
		free(nl);
		close(conf->native_fd);
		close(conf->qemu_fd);
		return err_set(err, rc, "%s: cannot start its switch: %s", name, strerror(-rc));
	}
	nl->loop = loop;
	nl->access = conf->access;
	nl->events = events;
	nl->ctx = ctx;
	nl->clients.empty = on_clients_empty;
	nl->clients.ctx = nl;
	nl->sessions = (struct session_host){
		.loop = loop,
		.net = nl->net,
		.clients = &nl->clients,
		.hub = &nl->desk.hub,
		.rights = rights_of,
		.submit = submit,
		.ctx = nl,
	};
	newsdesk_init(&nl->desk, loop, nl->net, conf->events);
	nl->desk.forward = forward;
	nl->desk.ctx = nl;
	(void)network_set_multicast(nl->net, &conf->facts.multicast);
	uv_timer_init(ioloop_uv(loop), &nl->tick);
	nl->tick.data = nl;
	uv_timer_start(&nl->tick, on_tick, TICK_MS, TICK_MS);

	*out = nl;
	rc = netloop_listen(nl, "", PORT_KIND_NATIVE, conf->native_fd);
	const int rc2 = netloop_listen(nl, "", PORT_KIND_QEMU, conf->qemu_fd);
	if (rc < 0 || rc2 < 0) {
		err_set(err, rc < 0 ? rc : rc2, "%s: cannot serve its sockets: %s", name,
			strerror(rc < 0 ? -rc : -rc2));
		netloop_stop(nl); /* `gone` tells when */
		return err->code;
	}
	return 0;
}

void netloop_stop(struct netloop *nl)
{
	if (nl->stopping)
		return;
	nl->stopping = true;
	newsdesk_stop(&nl->desk);
	host_close(nl);
	while (nl->doors) {
		struct door *door = nl->doors;
		nl->doors = door->next;
		listener_close(door->listener);
	}
	clients_close(&nl->clients, true);
	uv_close((uv_handle_t *)&nl->tick, on_tick_closed);
}
