/* ingress.h - frames out of the bytes of one read of a stream, many at once.
 *
 * The short way for what nearly all of a stream is: whole frames, back to back. Whatever is not one
 * (a cut frame, a message, nonsense) is left to wire_next() or qemu_next(), which say what it is;
 * the two agree on every frame. 346 instructions a frame from the read to the write became 86 by
 * taking frames in batches here, in vswitch_run() and in egress_add() (docs/benchmarks.md).
 *
 * Pure. */
#ifndef SERVER_CORE_INGRESS_H
#define SERVER_CORE_INGRESS_H

#include "server/core/frame.h"

/**
 * ingress_native() - whole frames (bin objects) at the start of some bytes
 * @buf:	begins where an object begins
 * @frames:	out: views into @buf, @max at most
 * @out_used:	out: the bytes they take, headers included
 *
 * Return: how many; fewer than @max where something else follows, or the bytes end
 */
unsigned ingress_native(
	const uint8_t *buf, size_t len, struct frame *frames, unsigned max, size_t *out_used);

/* The same where frames may owe work: also ext objects of type 1, 12 bytes of virtio_net_hdr and a
 * frame, whose `offload` is as it was said and not judged yet. One that is too short for its header
 * is left. Fewer than @max too where they make OFFLOAD_STEP segments. */
unsigned ingress_owing(
	const uint8_t *buf, size_t len, struct frame *frames, unsigned max, size_t *out_used);

/* The same for QEMU's framing. */
unsigned ingress_qemu(
	const uint8_t *buf, size_t len, struct frame *frames, unsigned max, size_t *out_used);

#endif
