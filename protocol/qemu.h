/* qemu.h - QEMU's stream framing: a 32-bit big-endian length, then that many bytes of frame.
 *
 * Spoken by QEMU's `-netdev stream` and `socket`, Lima, libkrun, passt and socket_vmnet clients
 * (net/stream_data.c and net/net.c of QEMU: net_fill_rstate). Nothing else is on the stream.
 *
 * Pure: no I/O, no allocation. */
#ifndef PROTOCOL_QEMU_H
#define PROTOCOL_QEMU_H

#include "protocol/wire.h"

#define QEMU_HDR_LEN 4u
/* QEMU's own buffer, NET_BUFSIZE = 4096 + 65536: it ends the connection at more, and so do we. What
 * is longer than a port's cap but not than this is well framed and merely dropped. */
#define QEMU_FRAME_MAX 69632u

/* The next frame: WIRE_FRAME, WIRE_MORE (*need says how many bytes bring progress) or WIRE_BAD. A
 * length of 0 is a frame of no bytes. Stateless, so a cut frame is simply asked for again. */
enum wire_kind qemu_next(const uint8_t *buf, size_t len, struct wire_item *item, size_t *need);

/* Writes the QEMU_HDR_LEN bytes before a frame of @len bytes. */
void qemu_frame_header(uint8_t *out, uint32_t len);

#endif
