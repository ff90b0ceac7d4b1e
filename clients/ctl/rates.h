/* rates.h - from two snapshots to so many a second.
 *
 * Counters begin anew: a port that went and came again counts from zero, and so does all of a
 * daemon that was started again. A rate is then what was counted since, where it is known that this
 * is all of it (snap_port.age_ms), and not known else: never a guess, and never negative. */
#ifndef CLIENTS_CTL_RATES_H
#define CLIENTS_CTL_RATES_H

#include "clients/ctl/snapshot.h"

struct rate {
	bool known;                 /* else all below is zero */
	double rx_frames, rx_bytes; /* a second */
	double tx_frames, tx_bytes;
	double drops;
	const char *reason; /* of most of the drops; borrowed of the newer snapshot; NULL: none */
};

/* Of a network. @before: an older snapshot, or NULL; @net: a network of the newer one. */
void rates_network(const struct snapshot *before, const struct snap_network *net, struct rate *out);

/* Of a port of @net. */
void rates_port(const struct snapshot *before, const struct snap_network *net,
	const struct snap_port *port, struct rate *out);

#endif
