/* l3io.h - what the backends tun and utun do alike with frames: l3glue.h between them and the
 * descriptor, which they read and write. */
#ifndef SERVER_HOSTIF_L3IO_H
#define SERVER_HOSTIF_L3IO_H

#include "server/core/l3glue.h"

struct l3io {
	struct l3glue *glue; /* owned */
	char network[FETH_NAME_MAX + 1];
	char host[HOSTIF_NAME];
};

/* 0, or the sentence. */
int l3io_open(struct l3io *io, const struct hostif_spec *spec, struct err *err);
void l3io_close(struct l3io *io); /* a zeroed one is fine */

/* What recv() gives once @n packets were read (l3glue_out()). Before anything is read l3glue_pull()
 * must have given nothing. */
unsigned l3io_out(struct l3io *io, struct frame *frames, unsigned n, unsigned max);

/* send(): @write gives packets to the descriptor and returns how many it took. */
unsigned l3io_in(struct l3io *io, const struct frame *frames, unsigned n,
	unsigned (*write)(void *ctx, const struct frame *packets, unsigned n), void *ctx);

/* hostif_ops.tick. */
void l3io_tick(struct l3io *io, uint64_t now_ms, struct hostif_lost *lost);

#endif
