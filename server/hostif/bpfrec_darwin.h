/* bpfrec_darwin.h - the records that a BPF device gives, and those that it takes for a batch.
 *
 * Pure. A record is a header of 18 bytes (or more: it says so), then the frame; the next one begins
 * at a multiple of 4 (XNU bpf.c:catchpacket(), bpf_movein_batch()). */
#ifndef SERVER_HOSTIF_BPFREC_DARWIN_H
#define SERVER_HOSTIF_BPFREC_DARWIN_H

#include <stddef.h>
#include <stdint.h>

#include "server/core/frame.h"
#include "server/hostif/darwin_abi.h"

/* What one read() gave, and how much of it was looked at. */
struct bpfrec_reader {
	const uint8_t *data; /* borrowed */
	size_t len, at;      /* bytes; all is read where at == len */
	unsigned cut, bad;   /* counted so far: frames not whole, records that make no sense */
};

/* Up to @max frames as views into the data. Only whole ones of FETH_FRAME_MIN to FETH_FRAME_MAX
 * bytes; what follows a record without sense is lost. 0 means that there are no more. */
unsigned bpfrec_next(struct bpfrec_reader *r, struct frame *frames, unsigned max);

/* The pieces of one frame as a record, header and padding included. */
struct bpfrec_writer {
	struct seg *pieces; /* borrowed */
	unsigned n, max;
};

/* Adds a record; false where the pieces do not fit, and then nothing was added. @header is the
 * record's own memory, which stands until the pieces were written. */
bool bpfrec_add(struct bpfrec_writer *w, struct dw_bpf_hdr *header, const struct frame *f);

#endif
