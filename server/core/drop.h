/* drop.h - why a frame was dropped, and the counters of a port. */
#ifndef SERVER_CORE_DROP_H
#define SERVER_CORE_DROP_H

#include <stdint.h>

/* X(symbol, name on the wire); docs/protocol.md, stats.get says what each means */
#define DROP_REASONS(X)                                                                            \
	X(RUNT, "runt")                                                                            \
	X(OVERSIZE, "oversize")                                                                    \
	X(SPOOFED, "spoofed")                                                                      \
	X(BAD_OFFLOAD, "bad_offload")                                                              \
	X(DETACHED, "detached")                                                                    \
	X(LOCAL, "local")                                                                          \
	X(QUEUE_FULL, "queue_full")                                                                \
	X(TOO_BIG_FOR_PORT, "too_big_for_port")                                                    \
	X(HOST_REFUSED, "host_refused")                                                            \
	X(NO_MEMORY, "no_memory")                                                                  \
	X(LINK_DOWN, "link_down")                                                                  \
	X(ISOLATED, "isolated")

enum drop_reason {
#define X(symbol, name) DROP_##symbol,
	DROP_REASONS(X)
#undef X
		DROP_N
};

const char *drop_name(enum drop_reason reason);

/* Counted at the port a frame came from, but for queue_full, too_big_for_port, host_refused,
 * no_memory, and detached and link_down of a frame for a port whose client has gone or whose link
 * is down, which are of the port it was for. */
struct port_stats {
	uint64_t rx_frames, rx_bytes; /* from the client, dropped ones too */
	uint64_t tx_frames, tx_bytes; /* to the client: written or queued */
	uint64_t drops[DROP_N];
};

void port_stats_add(struct port_stats *sum, const struct port_stats *more);

#endif
