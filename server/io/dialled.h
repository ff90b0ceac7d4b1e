/* dialled.h - ports that call, on the network's loop: what main has connected them to (dials.c)
 * becomes their client. */
#ifndef SERVER_IO_DIALLED_H
#define SERVER_IO_DIALLED_H

#include "server/core/network.h"
#include "server/io/client.h"
#include "server/io/ioloop.h"

struct dgram;

/* Where they live; outlives all their connections. */
struct dialled_host {
	struct ioloop *loop, *main_loop;
	struct network *net;
	struct client_list *clients;
	uint32_t uid; /* the daemon's own */
	/* On main's loop: a connection has ended; @serial as of CMD_PORT_DIAL, @why constant. */
	void (*lost)(void *ctx, const char *port, uint32_t serial, const char *why);
	/* Where datagrams of a declared port's client come in; NULL: nowhere. */
	struct dgram *(*door)(void *ctx, const char *port);
	void *ctx;
};

/* Carries out a CMD_PORT_DIAL. */
void dialled(const struct dialled_host *host, struct command *cmd);

#endif
