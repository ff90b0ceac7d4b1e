/* port_qemu.h - one connection that speaks QEMU's stream framing: it is a port from accept to
 * close. */
#ifndef SERVER_IO_PORT_QEMU_H
#define SERVER_IO_PORT_QEMU_H

#include "server/core/network.h"
#include "server/io/client.h"
#include "server/io/ioloop.h"

/**
 * port_qemu_open() - attach a connection
 * @fd:		taken over, also on failure; so is its place among the connections of its user
 *		(shared_enter())
 * @clients:	joined; outlives the port
 * @who:	whose it is, and needs the right to attach as long as it lasts
 * @out:	what became of it
 *
 * Return: 0 or a negative errno, then with a sentence in @err
 */
int port_qemu_open(struct ioloop *loop, struct network *net, struct client_list *clients, int fd,
	const struct peer *who, const struct port_conf *conf, struct port_info *out,
	struct err *err);

/* The same for a connection that the daemon has made itself, as an administrator wanted, which
 * needs no right to stay. @who: whoever listened there, or we ourselves where nobody knows. @ended:
 * it is over; not called where this fails. @why is constant. */
int port_qemu_dial(struct ioloop *loop, struct network *net, struct client_list *clients, int fd,
	const struct peer *who, const struct port_conf *conf,
	void (*ended)(void *ctx, const char *why), void *ctx, struct port_info *out,
	struct err *err);

#endif
