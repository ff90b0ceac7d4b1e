/* port_tap.h - a port whose client is a kernel: what goes in and out at a tap interface. */
#ifndef SERVER_IO_PORT_TAP_H
#define SERVER_IO_PORT_TAP_H

#include "server/core/network.h"
#include "server/io/client.h"
#include "server/io/ioloop.h"

struct port_tap_host {
	struct ioloop *loop;
	struct network *net;
	struct client_list *clients;
	/* The interface is gone without being asked to; the port waits again. */
	void (*lost)(void *ctx, const char *port);
	void *ctx;
};

/* Makes the interface of @fd (verb_tap_make()) the client of the declared port @name. Takes over
 * @fd, also on failure; closing it takes the interface away. */
int port_tap_open(const struct port_tap_host *host, int fd, const char *name, struct port_info *out,
	struct err *err);

#endif
