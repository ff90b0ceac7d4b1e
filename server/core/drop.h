/* drop.h - why a frame was dropped, and the counters of a port. */
#ifndef SERVER_CORE_DROP_H
#define SERVER_CORE_DROP_H

#include <stdint.h>

enum drop_reason {
#define DROP(symbol, name) DROP_##symbol,
#include "protocol/drops.def"
#undef DROP
	DROP_N
};

const char *drop_name(enum drop_reason reason);

/* Counted at the port a frame came from, but for queue_full, too_big_for_port, host_refused,
 * no_memory, and detached, link_down and rate of a frame for a port without a client, a link or
 * enough of its tx_rate, which are of the port it was for. */
struct port_stats {
	uint64_t rx_frames, rx_bytes; /* from the client, dropped ones too */
	uint64_t tx_frames, tx_bytes; /* to the client: written or queued */
	uint64_t drops[DROP_N];
};

void port_stats_add(struct port_stats *sum, const struct port_stats *more);

#endif
