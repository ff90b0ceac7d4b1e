/* apply.h - network.apply and daemon.reload: what is declared, and what was done to get there.
 *
 * Plain data that hangs on a command, because most commands have none of it. */
#ifndef SERVER_CORE_APPLY_H
#define SERVER_CORE_APPLY_H

#include "server/core/command.h"

#define APPLY_PORTS_MAX 1024u /* declared ports: as many as a network has (PORTS_MAX) */

struct port_name {
	char text[FETH_NAME_MAX + 1];
};

enum apply_what { APPLY_ADDED, APPLY_CHANGED, APPLY_REMOVED };

struct apply_done {
	enum apply_what what;
	enum port_kind kind;
	char name[FETH_NAME_MAX + 1];
	struct feth_mac mac;
	struct tap_place tap;
	struct dial_text dial;
};

struct apply {
	/* in */
	bool replace; /* what cannot be changed is removed and made anew */
	uint32_t n_ports;
	struct port_conf *ports; /* owned; wanted, no two of one name or given address */
	uint32_t n_old;
	struct port_name *old; /* owned; declared by the last apply: its to remove */
	/* out */
	bool created;
	struct network_facts before; /* where not created */
	uint32_t n_done;         /* at most n_ports added or changed, and as many removed as were */
	struct apply_done *done; /* owned */
};

enum reload_what { RELOAD_CREATED, RELOAD_CHANGED, RELOAD_REMOVED, RELOAD_SAME, RELOAD_FAILED };

struct reload_done {
	enum reload_what what;
	char name[FETH_NAME_MAX + 1];
	char why[ERR_TEXT]; /* failed */
};

#define RELOAD_RESTART_MAX 8u

struct reload {
	bool replace;
	uint32_t n;
	struct reload_done *done; /* owned */
	const char
		*restart[RELOAD_RESTART_MAX]; /* keys of fethd.conf that count at the next start */
	uint32_t n_restart;
};

/* NULL is fine. */
void apply_free(struct apply *apply);
void reload_free(struct reload *reload);

#endif
