/* gro.h - neighbouring segments of a flow made into one super-frame, for receivers that take one.
 *
 * What a plain port sends are frames of an MTU each. A kernel, or a guest with offloads, has less
 * work with one packet of 64 KiB than with 45 of them: twice the throughput of a client to the
 * host, at a quarter of the work for each byte (limits.md, 3). So of the frames of one batch those
 * of a flow that could be the pieces of one super-frame become one, as Linux does for its network
 * cards (net/ipv4/tcp_offload.c, udp_offload.c). Its payload stays where it is.
 *
 * Cutting the super-frame gives back the very frames it was made of, bit by bit (prop_gro.c). That
 * is the rule from which all others follow: TCP with the same addresses, ports, acknowledgement,
 * window and options, sequence numbers that follow each other; all but the last of one size; PSH
 * and FIN at the last only, CWR at the first only; no SYN, RST or URG; the same hop limit, class
 * and label; no fragments, options or extension headers of IP, nor padding; the IPv4 identification
 * grows by one. UDP the same way, where it has a checksum. Checksums are verified before, for the
 * receiver is told that they are right: what is broken is handed on as it is. One thing is let go:
 * an identification that stays the same is accepted of packets that may not be fragmented, which
 * nobody may look at (RFC 6864, 4.1), as several systems always send 0.
 *
 * Frames of one flow never overtake each other, and none overtakes what is not TCP or UDP.
 *
 * Pure. */
#ifndef SERVER_CORE_GRO_H
#define SERVER_CORE_GRO_H

#include "server/core/frame.h"

#define GRO_BATCH 64u /* frames looked at together: as many as are read at once (io) */
/* Ethernet, a tag, IPv6, and TCP with all its options are 118. */
#define GRO_HEADER 120u
/* Of a frame that takes part: a header with another tag (vlan.h), and a ring's end within the rest.
 */
#define GRO_PIECES 3u
/* Super-frames whose headers live at the same time: those of 256 frames at least. */
#define GRO_HEADERS 128u
/* Flows under way at once. Looked through one by one; the oldest makes room. Linux has 8 for each
 * of 8 buckets. */
#define GRO_FLOWS 8u

struct gro {
	unsigned n_headers; /* in use; set it to 0 when the frames made before are gone */
	uint8_t headers[GRO_HEADERS][GRO_HEADER];
	struct frame frames[GRO_BATCH]; /* the last result */
	struct seg segs[GRO_BATCH * GRO_PIECES];
};

/* Whether these may be worth the trouble: cheap, and right about all that is short or alone. */
bool gro_worth(const struct frame *frames, unsigned n);

/**
 * gro_coalesce() - make super-frames of what can be
 * @g:		gets the frames; its headers of earlier calls stay as they are
 * @frames:	neither changed nor kept; each at least 14 bytes long
 * @n:		at most GRO_BATCH
 * @takes:	OFFLOAD_* of the receiver: kinds it does not take are not made
 * @max:	bytes of the longest frame to be made; 0: only what IP allows (65535 and a header)
 *
 * Return: how many g->frames there are now: super-frames, whose headers and pieces lie in @g, and
 * all others as they were, views like @frames. Their `more` live until the next call, their headers
 * until n_headers is set back. 0: nothing was to be made, or there is no room for headers; take
 * @frames
 */
unsigned gro_coalesce(
	struct gro *g, const struct frame *frames, unsigned n, uint8_t takes, uint32_t max);

#endif
