/* session.h - one connection that speaks the native protocol: RPC, and on a network's socket
 * frames.
 *
 * A session on control.sock belongs to main; one on NET/feth.sock to that network's loop, and is
 * its port while attached. Calls are carried out one after the other, in the order they stand;
 * while one is under way nothing more is read. */
#ifndef SERVER_IO_SESSION_H
#define SERVER_IO_SESSION_H

#include "server/core/network.h"
#include "server/io/client.h"
#include "server/io/ioloop.h"

struct hub;
struct session;

/* What a session needs of whoever accepted it; outlives all its sessions. */
struct session_host {
	struct ioloop *loop;
	struct network *net; /* of native sessions; NULL for control */
	struct client_list *clients;
	struct hub *hub; /* where event.subscribe subscribes */
	/* What @who may do on the network of that name; "": everywhere. */
	unsigned (*rights)(void *ctx, const struct peer *who, const char *network);
	/* Carries out a command and calls cmd->done on this loop, now or later. */
	void (*submit)(void *ctx, struct command *cmd);
	void *ctx;
};

/**
 * session_open() - serve a connection
 * @fd:		taken over, also on failure; so is its place among the connections of its user
 *		(shared_enter())
 * @peer:	who it is; judged anew at each call
 * @port_name:	the one declared port that attach gives here, or NULL
 *
 * Return: 0 or a negative errno
 */
int session_open(
	const struct session_host *host, int fd, const struct peer *peer, const char *port_name);

/* The same for a descriptor that port.open made: it is a port from the start. */
int session_open_attached(const struct session_host *host, int fd, const struct peer *peer,
	const struct port_conf *conf, struct port_info *out, struct err *err);

#endif
