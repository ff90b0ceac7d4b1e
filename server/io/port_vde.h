/* port_vde.h - a client of vde_switch's control protocol (protocol/vde.h): libvdeplug and all that
 * uses it, user-mode Linux.
 *
 * It says where its datagram socket is and is told where ours is: beside `ctl`, in NET/vde. From
 * then on it is a port (msg_port.h) until its connection, or its socket, is closed. */
#ifndef SERVER_IO_PORT_VDE_H
#define SERVER_IO_PORT_VDE_H

#include "server/io/msg_port.h"

/**
 * port_vde_open() - serve a connection
 * @fd:		taken over, also on failure; so is its place among the connections of its user
 *		(shared_enter())
 * @who:	whose it is; his own must be the socket that he names, and he needs the right to
 *		attach as long as it lasts
 * @conf:	copied: kind, and the name of a declared port
 *
 * Return: 0 or a negative errno
 */
int port_vde_open(const struct msg_port_host *host, int fd, const struct peer *who,
	const struct port_conf *conf);

#endif
