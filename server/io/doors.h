/* doors.h - where a network's clients come in: its listening and datagram sockets, those of its
 * declared ports, and the pairs that port.open makes. On the network's loop. */
#ifndef SERVER_IO_DOORS_H
#define SERVER_IO_DOORS_H

#include "server/io/msg_port.h"

struct dgram;
struct door;
struct session_host;

struct doors {
	/* given */
	struct msg_port_host host;
	const struct session_host *sessions; /* of native clients */
	const struct access *access;
	void (*empty)(void *ctx); /* none is left */
	void *ctx;

	/* its own */
	struct door *first; /* those that are open */
	unsigned n;         /* those that are being closed, too */
};

/* Where in a network's directory clients of a kind come in; NULL: there is no such place. */
const char *door_path(enum port_kind kind);
/* The type of socket that clients of a kind connect to. */
int door_socket_type(enum port_kind kind);

/* Lets clients in at @fd, listening or bound; taken over, also on failure. @port: the declared port
 * it is of; empty: of the network. @only: as of dgram_open(). 0 or a negative errno. */
int doors_open(
	struct doors *doors, const char *port, enum port_kind kind, const char *only, int fd);
/* That of a declared port of kind dgram; NULL: there is none. */
struct dgram *doors_dgram(const struct doors *doors, const char *port);
/* That of a declared port, if there is one. */
void doors_close(struct doors *doors, const char *port);
void doors_close_all(struct doors *doors);

/* Who may come in has changed. Listening sockets are given to others by their files; who sends
 * datagrams may have the socket open, so there is to be another. */
void doors_renew(struct doors *doors);

/* Carries out a CMD_PORT_OPEN: makes a socket pair, one end of which becomes a port. */
void doors_pair(struct doors *doors, struct command *cmd);

#endif
