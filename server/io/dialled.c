/* dialled.c - see dialled.h. */
#include "server/io/dialled.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/io/dgram.h"
#include "server/io/msg_port.h"
#include "server/io/peer.h"
#include "server/io/port_qemu.h"
#include "server/io/shared.h"

/* Bytes in a datagram: 16 bits of length, less the UDP header, which IPv4's length includes with
 * its own of 20 (RFC 768, RFC 791 3.1, RFC 8200 8.1). */
#define UDP6_MAX (65535u - 8u)
#define UDP4_MAX (UDP6_MAX - 20u)

/* A connection; at its end its way to main, for which there is memory so. */
struct call {
	struct message msg;
	const struct dialled_host *host;
	uint32_t serial;
	const char *why;
	char port[FETH_NAME_MAX + 1];
};

static void told(void *arg)
{
	struct call *call = arg;
	call->host->lost(call->host->ctx, call->port, call->serial, call->why);
	free(call);
}

static void ended(void *ctx, const char *why)
{
	struct call *call = ctx;
	call->why = why;
	call->msg = (struct message){ .fn = told, .arg = call };
	ioloop_post(call->host->main_loop, &call->msg);
}

/* Who is at the other end: of a path whoever listens there. */
static int who(const struct dialled_host *host, int fd, bool path, struct peer *out)
{
	*out = (struct peer){ .uid = host->uid };
	return path ? peer_of(fd, out) : 0;
}

static int open_stream(struct call *call, struct command *cmd, struct port_conf *conf)
{
	const struct dialled_host *host = call->host;
	struct peer peer;
	const int fd = cmd->fds[0];
	const int rc = who(host, fd, cmd->in.dialled.dial.connect[0] == '/', &peer);
	if (rc < 0) {
		close(fd);
		return err_set(&cmd->err, rc, "%s: port %s: nobody knows whose socket that is: %s",
			cmd->network, call->port, strerror(-rc));
	}
	conf->uid = peer.uid;
	conf->pid = peer.pid;
	if (!shared_enter(ioloop_shared(host->loop), peer.uid, true)) { /* we came to him */
		close(fd);
		return err_set(
			&cmd->err, -ENOMEM, "%s: port %s: out of memory", cmd->network, call->port);
	}
	return port_qemu_dial(host->loop, host->net, host->clients, fd, &peer, conf, ended, call,
		&cmd->out.port, &cmd->err);
}

/* Nobody attests who sends; the kernel lets in what comes from `remote` alone. A refused datagram
 * is no end: the other may come later, and nothing tells when it is gone. */
static int open_datagrams(struct call *call, struct command *cmd, const struct port_conf *conf)
{
	const struct dialled_host *host = call->host;
	const struct msg_port_host where = {
		.loop = host->loop,
		.net = host->net,
		.clients = host->clients,
	};
	const struct msg_port_conf mc = {
		.fd = cmd->fds[0],
		.port = conf,
		.place = { .fd = -1 },
		.lasting = true,
		.frame_max = cmd->in.dialled.dial.remote[0] == '[' ? UDP6_MAX : UDP4_MAX,
		.ended = ended,
		.ctx = call,
	};
	return msg_port_open(NULL, &where, &mc, &cmd->out.port, &cmd->err);
}

/* The one client of a port that has a socket of its own. */
static int open_place(struct call *call, struct command *cmd)
{
	struct dgram *d = call->host->door(call->host->ctx, call->port);
	if (d) {
		const int rc = dgram_call(d, cmd->fds[0], ended, call, &cmd->out.port, &cmd->err);
		if (rc == -ENOENT) /* the file, which may come; of the port it ends the tries */
			cmd->err.code = -ECONNREFUSED;
		return rc;
	}
	close(cmd->fds[0]);
	return err_set(
		&cmd->err, -ENOENT, "%s: port %s was removed meanwhile", cmd->network, call->port);
}

static void open_call(const struct dialled_host *host, struct command *cmd)
{
	const char *name = cmd->in.dialled.name;
	struct port_conf conf = {
		.kind = cmd->in.dialled.kind, .take_only = true, .dialled = true
	};
	struct call *call = NULL;
	cmd->n_fds = 0;
	/* a session of the loop's may have removed the port, and declared another */
	if (!network_calls(host->net, name, conf.kind, &cmd->in.dialled.dial))
		err_set(&cmd->err, -ENOENT, "%s: port %s was removed meanwhile", cmd->network,
			name);
	else if (!(call = calloc(1, sizeof(*call))))
		err_set(&cmd->err, -ENOMEM, "%s: out of memory", cmd->network);
	if (!call) {
		close(cmd->fds[0]);
		return;
	}
	call->host = host;
	call->serial = cmd->in.dialled.serial;
	memcpy(call->port, name, sizeof(call->port));
	memcpy(conf.name, name, sizeof(conf.name));
	const int rc = conf.kind == PORT_KIND_UDP     ? open_datagrams(call, cmd, &conf)
		       : conf.kind == PORT_KIND_DGRAM ? open_place(call, cmd)
						      : open_stream(call, cmd, &conf);
	if (rc < 0)
		free(call);
}

void dialled(const struct dialled_host *host, struct command *cmd)
{
	if (cmd->n_fds)
		open_call(host, cmd);
	else
		network_set_why(host->net, cmd->in.dialled.name, cmd->in.dialled.why);
}
