/* conffiles.h - the configuration: what fethd.conf and the files of networks.d say, together. */
#ifndef SERVER_IO_CONFFILES_H
#define SERVER_IO_CONFFILES_H

#include "server/conf/daemonfile.h"
#include "server/conf/netfile.h"

#define CONF_NETWORKS_MAX 64u /* as many networks as there can be (NETWORKS_MAX) */

/* A network that a file declares, and how far that is true. */
struct declared {
	struct netfile *nf; /* owned */
	bool pending;       /* is to be applied, now or as soon as the system allows */
	bool dropped;       /* somebody deleted it and left the file: until the next reload */
	char why[ERR_TEXT]; /* it could not be applied; empty: it was not tried, or could */
};

struct confset {
	struct daemon_settings daemon;
	struct declared nets[CONF_NETWORKS_MAX]; /* by name */
	unsigned n;
};

/* Reads everything in the directory of verb_conf_dir(), which need not be there. What is wrong is
 * added to @faults. Return: owned; NULL: out of memory. */
struct confset *conffiles_load(struct faults *faults);
void conffiles_free(struct confset *set);

struct declared *conffiles_find(struct confset *set, const char *network);

/* Puts in a file that was written meanwhile: given, also on failure. */
int conffiles_put(struct confset *set, struct netfile *nf, struct err *err);
void conffiles_remove(struct confset *set, const char *network);

#endif
