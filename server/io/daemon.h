/* daemon.h - the whole: loop, control socket, networks, signals. Started by main.c. */
#ifndef SERVER_IO_DAEMON_H
#define SERVER_IO_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/core/command.h"

struct daemon_options {
	char run_dir[PATH_TEXT];
	char admin_group[UNIX_NAME]; /* empty: none */
	unsigned control_mode;       /* of control.sock; 0: for the admin group, if there is one */
	bool has_unit_base;
	uint32_t unit_base; /* where not given, the backend has its own */
	bool rootless;      /* the namespaces are entered already */
};

/* Serves until SIGTERM, SIGINT or daemon.stop, then takes everything away that it made. Return: 0,
 * or a negative errno where it could not start. */
int daemon_run(const struct daemon_options *options, struct err *err);

#endif
