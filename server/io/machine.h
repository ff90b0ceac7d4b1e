/* machine.h - what a daemon has to know of its machine, and each system keeps elsewhere. */
#ifndef SERVER_IO_MACHINE_H
#define SERVER_IO_MACHINE_H

#include <stddef.h>

#define MACHINE_ID 64u /* bytes of a machine's id as text, and its end */

struct machine {
	/* where run directories are, fethd(8) */
	const char *root_run_dir;  /* root's */
	const char *root_config;   /* root's configuration */
	const char *user_variable; /* everybody else's: what this names, */
	const char *user_suffix;   /* and this */
	const char *id_source;     /* where machine_id() looks */
	/* what people are told */
	const char *privilege;  /* what making interfaces needs, and how to have it */
	const char *make_group; /* how to make a Unix group */
};

extern const struct machine machine;

/* What no other machine has, and this one keeps; empty where it has none. */
void machine_id(char out[MACHINE_ID]);

/* As many descriptors as the system grants: a client is one, and the usual default is 1024 or 256.
 */
void machine_raise_descriptors(void);

#endif
