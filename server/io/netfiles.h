/* netfiles.h - the files of a network: its directory, the sockets its clients come in by, ports/.
 *
 *	NET/feth.sock, NET/qemu.sock	doors (door_path()), ours alone to make
 *	NET/vde/ctl			a door in a directory that clients write to, too
 *	NET/ports/NAME			declared ports: control_ops.c */
#ifndef SERVER_IO_NETFILES_H
#define SERVER_IO_NETFILES_H

#include "server/io/netloop.h"

/* Makes all of it, and the doors of @conf, as @conf->facts say and whose daemon it is. 0, or the
 * sentence and nothing is left. */
int netfiles_make(struct netloop_conf *conf, struct err *err);
/* Gives the sockets to those who may connect by @rules. Some may be given and others not where
 * that failed. */
int netfiles_give(const char *path, const struct access *access, const struct access_rules *rules,
	struct err *err);
/* A fresh socket where datagrams come in: of the declared port @port, or of the network. May be
 * called on any thread. */
int netfiles_renew(const struct network_facts *facts, const struct access *access, const char *port,
	int *out_fd, struct err *err);
/* Removes all of it; also what a daemon that crashed has left. @path: the network's directory. */
void netfiles_clear(const char *path);

/* The file @name of a network whose directory is @path. */
void netfiles_path(char out[2 * PATH_TEXT], const char *path, const char *name);
/* The socket of a declared port. */
void netfiles_port(char out[2 * PATH_TEXT], const char *path, const char *port);

#endif
