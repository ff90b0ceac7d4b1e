/* gso.h - finishes what a frame owes: writes its checksum, or cuts it into segments.
 *
 * Of the payload nothing is copied: a finished frame is a copy of the headers, changed as is due,
 * and pieces of the payload where it lies. What each segment gets is what Linux gives it
 * (net/ipv4/tcp_offload.c, udp_offload.c, af_inet.c), so that a receiver cannot tell who cut it:
 *   - IPv4: total length, checksum, and an identification that counts up from the packet's own
 *   - IPv6: payload length; extension headers come with each
 *   - TCP: sequence number, checksum; FIN and PSH on the last alone, CWR on the first alone
 *     (RFC 3168, 6.1.2)
 *   - UDP: length, checksum
 *   - tags, options and all else as they are
 *
 * Pure. */
#ifndef SERVER_CORE_GSO_H
#define SERVER_CORE_GSO_H

#include "server/core/offload.h"

/* Room that finishing one frame takes. */
struct gso_need {
	unsigned frames; /* at most OFFLOAD_SEGMENTS */
	unsigned segs;   /* frames + pieces of the payload, at most */
	uint32_t bytes;  /* of headers, at most GSO_BYTES */
};

#define GSO_ALIGN 8u
#define GSO_BYTES (OFFLOAD_SEGMENTS * OFFLOAD_HEADERS)

/* @frame: valid, and owing something. */
struct gso_need gso_need(const struct frame *frame);

/**
 * gso_finish() - the frames that a receiver gets who takes no offload
 * @frame:	offload_valid(), and owing something
 * @bytes, @segs, @out:	room as gso_need() says; all stay as long as @out is used, and so does the
 * 		frame
 *
 * Return: how many, in their order; none owes anything. 0: its headers are not what they were when
 * it was judged
 */
unsigned gso_finish(const struct frame *frame, uint8_t *bytes, struct seg *segs, struct frame *out);

#endif
