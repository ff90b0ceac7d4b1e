/* tapio.h - frames through the descriptor of a tap interface: what the backend tap and ports of the
 * kind tap do alike. A read or a write is a frame, as the system has it; there is no way to move
 * several by one call. Beside packet_linux.h. */
#ifndef SERVER_HOSTIF_TAPIO_H
#define SERVER_HOSTIF_TAPIO_H

#include "server/core/frame.h"

/* Room for a frame however long; frames lie one behind the other, so that short ones need little.
 */
#define TAPIO_ROOM ((size_t)FETH_FRAME_MAX)

/* Reads up to @max frames, as views into @buf of @size bytes, as long as TAPIO_ROOM is left in it.
 * Returns how many; 0: none now; -ENODEV: the interface is gone; -ENOBUFS: @size is too little. */
int tapio_recv(int fd, struct frame *frames, unsigned max, uint8_t *buf, size_t size);

/* Writes @n frames; every frame after a refused one is still tried. Returns how many the kernel
 * took, and where @out_bytes is not NULL how many bytes those have. */
unsigned tapio_send(int fd, const struct frame *frames, unsigned n, uint64_t *out_bytes);

#endif
