/* tapio.h - frames through the descriptor of a tap interface. A read or a write is a frame, as the
 * system has it; there is no way to move several by one call. Beside packet_linux.h. */
#ifndef SERVER_HOSTIF_TAPIO_H
#define SERVER_HOSTIF_TAPIO_H

#include "server/core/frame.h"

/* Room for a frame however long, and what is before it; frames lie one behind the other, so that
 * short ones need little. */
#define TAPIO_HEADER 16u /* of which the last VNET_HDR_LEN bytes are used */
#define TAPIO_ROOM ((size_t)TAPIO_HEADER + FETH_FRAME_MAX)

/* @vnet: each frame has a virtio_net_hdr of VNET_HDR_LEN bytes before it, little-endian. What it
 * says of a frame that was read is not judged yet (offload_valid()); what is written may owe what
 * the other end takes. */

/* Reads up to @max frames, as views into @buf of @size bytes, as long as TAPIO_ROOM is left in it.
 * Returns how many; 0: none now; -ENODEV: the interface is gone; -ENOBUFS: @size is too little. */
int tapio_recv(int fd, bool vnet, struct frame *frames, unsigned max, uint8_t *buf, size_t size);

/* Writes @n frames; every frame after a refused one is still tried. Returns how many the kernel
 * took. */
unsigned tapio_send(int fd, bool vnet, const struct frame *frames, unsigned n);

#endif
