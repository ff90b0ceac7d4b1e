/* drop.c - see drop.h. */
#include "server/core/drop.h"

const char *drop_name(enum drop_reason reason)
{
	static const char *const names[DROP_N] = {
#define DROP(symbol, name) name,
#include "protocol/drops.def"
#undef DROP
	};
	return names[reason];
}

void port_stats_add(struct port_stats *sum, const struct port_stats *more)
{
	sum->rx_frames += more->rx_frames;
	sum->rx_bytes += more->rx_bytes;
	sum->tx_frames += more->tx_frames;
	sum->tx_bytes += more->tx_bytes;
	for (unsigned r = 0; r < DROP_N; r++)
		sum->drops[r] += more->drops[r];
}
