/* network_priv.h - the inside of a network, shared by the network*.c files only:
 * network.c moves frames, network_ports.c comes and goes, network_command.c answers. */
#ifndef SERVER_CORE_NETWORK_PRIV_H
#define SERVER_CORE_NETWORK_PRIV_H

#include "server/core/network.h"

/* A port's number, settings and counters. Lives as long as its client, or until removed if
 * declared. */
struct port_rec {
	struct port_info info;
	bool mac_given;
	bool touched;        /* has taken frames since the last flush */
	struct port *client; /* borrowed; NULL while it waits */
	struct port_stats stats;
};

struct network {
	struct network_facts facts;
	struct netid_key key;
	const struct network_events *events;
	void *ctx;
	struct vswitch sw;
	struct block_pool pool;

	const struct hostif_ops *host_ops; /* borrowed, with host; NULL while there is none */
	struct hostif *host;
	struct port_stats host_stats;
	struct port_stats retired; /* of ports that are gone */

	struct port_rec *recs[FDB_PORTS]; /* owned, by number; [0] unused, the host side is above */
	uint16_t attached[FDB_PORTS];     /* numbers of those with a client, for flooding */
	unsigned n_attached;
	uint16_t touched[FDB_PORTS];
	unsigned n_touched;
};

/* The record of a number or name, or NULL. */
struct port_rec *network_rec(const struct network *net, uint16_t id);
struct port_rec *network_rec_named(const struct network *net, const char *name);

/* Declares a port that waits for clients. As network_attach() for the checks. */
int network_declare(
	struct network *net, const struct port_conf *conf, struct port_info *out, struct err *err);
/* Removes a declared port, or asks the client of another to go. */
int network_remove_port(struct network *net, const char *name, struct err *err);

/* Says of which groups something is new. */
void network_tell_groups(struct network *net);

/* Whether an address is free for a port other than @except (0: any). */
bool network_mac_free(
	const struct network *net, struct feth_mac mac, uint16_t except, const char **holder);

#endif
