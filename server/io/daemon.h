/* daemon.h - the whole: loop, control socket, networks, signals. Started by main.c. */
#ifndef SERVER_IO_DAEMON_H
#define SERVER_IO_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/conf/daemonfile.h"
#include "server/core/command.h"
#include "server/io/conffiles.h"

struct daemon_options {
	char run_dir[PATH_TEXT];
	struct daemon_settings given;    /* on the command line */
	struct daemon_settings settings; /* the same, and what fethd.conf says besides */
	bool rootless;                   /* the namespaces are entered already */
};

/* Serves until SIGTERM, SIGINT or daemon.stop, then takes everything away that it made. @conf: what
 * its files say; given. Return: 0, or a negative errno where it could not start. */
int daemon_run(const struct daemon_options *options, struct confset *conf, struct err *err);

/* What is wrong in a configuration for a daemon with these options, added to @faults. Makes
 * nothing, and needs no privilege. */
void daemon_judge(
	const struct daemon_options *options, const struct confset *conf, struct faults *faults);

#endif
