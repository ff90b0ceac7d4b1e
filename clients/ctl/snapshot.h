/* snapshot.h - what a daemon counts, all of it, at about one moment: plain data, for who shows
 * rates (rates.h) or writes metrics (metrics.h).
 *
 * Texts are the daemon's and may be anything. Pure: snapread.h fills it. */
#ifndef CLIENTS_CTL_SNAPSHOT_H
#define CLIENTS_CTL_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts by name: frames dropped by reason, for one. Names that are not there stand for zero. */
struct snap_count {
	const char *name;
	uint64_t n;
};

struct snap_counts {
	const struct snap_count *items;
	size_t n;
};

struct snap_traffic {
	uint64_t rx_frames, rx_bytes; /* from the client */
	uint64_t tx_frames, tx_bytes; /* to it */
	struct snap_counts drops;     /* by reason */
};

struct snap_port {
	uint32_t id;
	const char *name;
	const char *kind; /* "" where not known, as mac */
	const char *mac;
	bool attached;
	bool up;         /* its link, as it is set */
	bool has_age;    /* not so: it has counted as long as its network is there */
	uint64_t age_ms; /* since its counters began */
	uint32_t queued_bytes;
	uint32_t queue_bytes; /* most that may wait for its client; 0: not known */
	struct snap_traffic traffic;
};

struct snap_network {
	const char *name;
	const char *backend;
	const char *host; /* the host member; "" where there is no host side, or it is not known */
	bool has_up, up;
	bool has_carrier, carrier;
	uint32_t mtu, cap;
	uint64_t at_ms;              /* when its counters were read: the reader's monotonic clock */
	struct snap_traffic traffic; /* of all its ports that ever were */
	uint64_t moves;
	struct snap_counts multicast;
	uint64_t learned, statics, groups, queue_memory;
	struct snap_port *ports; /* by number */
	size_t n_ports;
};

struct snapshot {
	bool has_daemon; /* its own fields are known: not so of a network's own socket */
	const char *version;
	uint64_t uptime_ms;
	struct snap_counts counters;
	struct snap_network *networks; /* as the daemon lists them: by name */
	size_t n_networks;
};

/* The network of that name; NULL where there is none, or no snapshot. */
const struct snap_network *snapshot_network(const struct snapshot *s, const char *name);
/* The port of that number and name: another may have come to its number. NULL: none. */
const struct snap_port *snapshot_port(
	const struct snap_network *net, uint32_t id, const char *name);

uint64_t snap_count_of(const struct snap_counts *counts, const char *name);
uint64_t snap_counts_sum(const struct snap_counts *counts);

#endif
