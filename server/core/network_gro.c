/* network_gro.c - frames on their way to a receiver that takes super-frames, which those become
 * that can (gro.h). */
#include "server/core/network_priv.h"

unsigned network_gro_next(struct network *net, uint8_t takes, uint32_t max, struct frame *frames,
	unsigned n, struct frame **out, unsigned *n_out)
{
	if (n > GRO_BATCH)
		n = GRO_BATCH;
	*n_out = gro_worth(frames, n) ? gro_coalesce(&net->gro, frames, n, takes, max) : 0;
	*out = *n_out ? net->gro.frames : frames;
	if (!*n_out)
		*n_out = n;
	return n;
}
