/* doors.c - see doors.h. */
#include "server/io/doors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/dgram.h"
#include "server/io/listener.h"
#include "server/io/msgio.h"
#include "server/io/netfiles.h"
#include "server/io/port_qemu.h"
#include "server/io/port_vde.h"
#include "server/io/refusals.h"
#include "server/io/session.h"
#include "server/io/shared.h"
#include "server/priv/sock.h"

/* A listening socket of a network, and what to make of its connections. */
struct door {
	struct door *next;
	struct doors *doors;
	struct listener *listener; /* NULL: it is of kind dgram */
	struct dgram *dgram;
	enum port_kind kind;
	char port[FETH_NAME_MAX + 1]; /* the declared port it is of; empty: of the network */
};

const char *door_path(enum port_kind kind)
{
	switch (kind) {
	case PORT_KIND_NATIVE:
		return "feth.sock";
	case PORT_KIND_QEMU:
		return "qemu.sock";
	case PORT_KIND_DGRAM:
		return "dgram/sock";
	case PORT_KIND_SEQPACKET:
		return sock_has(SOCK_SEQPACKET) ? "seqpacket.sock" : NULL;
	case PORT_KIND_VDE:
		return "vde/ctl";
	case PORT_KIND_HOST:
	case PORT_KIND_TAP:
	case PORT_KIND_UDP:
		break;
	}
	return NULL;
}

int door_socket_type(enum port_kind kind)
{
	switch (kind) {
	case PORT_KIND_DGRAM:
		return SOCK_DGRAM;
	case PORT_KIND_SEQPACKET:
		return SOCK_SEQPACKET;
	case PORT_KIND_HOST:
	case PORT_KIND_NATIVE:
	case PORT_KIND_QEMU:
	case PORT_KIND_TAP:
	case PORT_KIND_VDE:
	case PORT_KIND_UDP:
		break;
	}
	return SOCK_STREAM;
}

static bool enter(struct doors *doors, uint32_t uid)
{
	return shared_enter(
		ioloop_shared(doors->host.loop), uid, uid == 0 || uid == doors->access->uid);
}

static bool may_attach(const struct doors *doors, const struct peer *who)
{
	const struct access_rules *rules = &network_facts(doors->host.net)->access;
	return access_rights(doors->access, who, rules) & RIGHT_ATTACH;
}

static void refuse(const struct door *door, const char *what, const struct peer *peer)
{
	const struct msg_port_host *host = &door->doors->host;
	char where[FETH_NAME_MAX + 16];
	if (door->port[0])
		snprintf(where, sizeof(where), "ports/%s", door->port);
	else
		snprintf(where, sizeof(where), "%s", door_path(door->kind));
	refusals_put(host->loop, what, network_facts(host->net)->spec.network, peer->uid, peer->pid,
		where);
}

/* Makes a socket a port, whose place among the connections of @who is taken: of any kind but native
 * and VDE. @other: the other end, where that is ours to give away; else -1. */
static int open_port(const struct doors *doors, int fd, int other, const struct peer *who,
	const struct port_conf *conf, struct port_info *out, struct err *err)
{
	const struct msg_port_host *host = &doors->host;
	if (conf->kind == PORT_KIND_QEMU)
		return port_qemu_open(
			host->loop, host->net, host->clients, fd, who, conf, out, err);
	struct msg_port_conf mc = {
		.fd = fd,
		.who = who,
		.counted = true,
		.port = conf,
		.place = { .fd = -1 },
		.greeting = conf->kind == PORT_KIND_DGRAM,
	};
	if (other >= 0 && conf->kind == PORT_KIND_DGRAM &&
		!sock_name(other, &mc.place.addr, &mc.place.len))
		mc.place.len = 0;
	return msg_port_open(NULL, host, &mc, out, err);
}

static void on_accepted(void *ctx, int fd, const struct peer *peer)
{
	struct door *door = ctx;
	struct doors *doors = door->doors;
	struct err err = { 0 };

	if (!enter(doors, peer->uid)) {
		refuse(door, "connect", peer);
		close(fd);
		return;
	}
	if (door->kind == PORT_KIND_NATIVE) {
		(void)session_open(doors->sessions, fd, peer, door->port[0] ? door->port : NULL);
		return;
	}
	if (!may_attach(doors, peer)) {
		refuse(door, "attach", peer); /* nothing in this framing could tell it why */
		shared_leave(ioloop_shared(doors->host.loop), peer->uid);
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
	if (door->kind == PORT_KIND_VDE) {
		(void)port_vde_open(&doors->host, fd, peer, &conf);
		return;
	}
	struct port_info info;
	const int rc = open_port(doors, fd, -1, peer, &conf, &info, &err);
	if (rc < 0)
		log_warn("port", "refused uid=%u pid=%u: %s", (unsigned)peer->uid,
			(unsigned)peer->pid, err.text);
}

static void on_door_closed(void *ctx)
{
	struct door *door = ctx;
	struct doors *doors = door->doors;
	free(door);
	if (!--doors->n)
		doors->empty(doors->ctx);
}

static const struct listener_ops listener_ops = {
	.accepted = on_accepted,
	.closed = on_door_closed,
};

static bool dgram_enter(void *ctx, const struct peer *who)
{
	struct door *door = ctx;
	struct doors *doors = door->doors;
	if (!may_attach(doors, who)) {
		refuse(door, "attach", who);
		return false;
	}
	if (enter(doors, who->uid))
		return true;
	refuse(door, "connect", who);
	return false;
}

static int dgram_fresh(void *ctx, int *out_fd, struct err *err)
{
	const struct door *door = ctx;
	return netfiles_renew(
		network_facts(door->doors->host.net), door->doors->access, door->port, out_fd, err);
}

static const struct dgram_ops dgram_ops = {
	.enter = dgram_enter,
	.fresh = dgram_fresh,
	.closed = on_door_closed,
};

int doors_open(struct doors *doors, const char *port, enum port_kind kind, const char *only, int fd)
{
	struct door *door = calloc(1, sizeof(*door));
	if (!door) {
		close(fd);
		return -ENOMEM;
	}
	door->doors = doors;
	door->kind = kind;
	snprintf(door->port, sizeof(door->port), "%s", port);
	const int rc =
		kind == PORT_KIND_DGRAM
			? dgram_open(&door->dgram, &doors->host, fd, port, only, &dgram_ops, door)
			: listener_open(&door->listener, doors->host.loop, fd, &listener_ops, door);
	if (rc < 0) {
		free(door);
		return rc;
	}
	door->next = doors->first;
	doors->first = door;
	doors->n++;
	return 0;
}

struct dgram *doors_dgram(const struct doors *doors, const char *port)
{
	const struct door *door = doors->first;
	while (door && !name_same(door->port, port))
		door = door->next;
	return door ? door->dgram : NULL;
}

static void door_close(struct door *door)
{
	if (door->dgram)
		dgram_close(door->dgram);
	else
		listener_close(door->listener);
}

void doors_close(struct doors *doors, const char *port)
{
	for (struct door **link = &doors->first; *link; link = &(*link)->next) {
		struct door *door = *link;
		if (!name_same(door->port, port))
			continue;
		*link = door->next;
		door_close(door);
		return;
	}
}

void doors_close_all(struct doors *doors)
{
	while (doors->first) {
		struct door *door = doors->first;
		doors->first = door->next;
		door_close(door);
	}
}

void doors_renew(struct doors *doors)
{
	for (struct door *door = doors->first; door; door = door->next)
		if (door->dgram)
			dgram_renew(door->dgram);
}

/* Makes @fd, our end of a pair, a port; @other is to be given away. */
static int open_end(
	struct doors *doors, int fd, int other, struct command *cmd, struct port_info *out)
{
	struct port_conf *conf = &cmd->in.conf;
	conf->uid = cmd->who.uid;
	conf->pid = cmd->who.pid;
	if (conf->kind == PORT_KIND_NATIVE)
		return session_open_attached(doors->sessions, fd, &cmd->who, conf, out, &cmd->err);
	return open_port(doors, fd, other, &cmd->who, conf, out, &cmd->err);
}

/* port.open: a socket pair, one end of which is a port. */
void doors_pair(struct doors *doors, struct command *cmd)
{
	int sv[2];
	if (!enter(doors, cmd->who.uid)) {
		err_set(&cmd->err, -EBUSY, "%s: you have %u connections, which is the limit",
			cmd->network, CLIENTS_PER_UID);
		return;
	}
	int rc = sock_pair(door_socket_type(cmd->in.conf.kind), sv);
	if (rc < 0) {
		shared_leave(ioloop_shared(doors->host.loop), cmd->who.uid);
		err_set(&cmd->err, rc, "%s: cannot make a socket pair: %s", cmd->network,
			strerror(-rc));
		return;
	}
	if (door_socket_type(cmd->in.conf.kind) == SOCK_STREAM) {
		const int size = IOLOOP_SNDBUF;
		(void)setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	} else {
		msgio_buffers(sv[1]);
	}
	struct port_info info;
	rc = open_end(doors, sv[0], sv[1], cmd, &info);
	if (rc < 0) {
		close(sv[1]);
		return;
	}
	cmd->out.port = info;
	cmd->fds[0] = sv[1];
	cmd->n_fds = 1;
}
