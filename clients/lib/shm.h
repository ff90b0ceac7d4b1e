/* shm.h - the client's end of rings in shared memory (protocol/ring.h): where feth_send() and
 * feth_recv() find and leave frames when feth_attach() got them. The stream is unix.c's. */
#ifndef CLIENTS_LIB_SHM_H
#define CLIENTS_LIB_SHM_H

#include "feth/client.h"
#include "protocol/ring.h"

struct shm {
	uint8_t *area; /* owned: mapped */
	size_t bytes;  /* of it */
	struct ring_reader rx;
	struct ring_writer tx;
	bool full; /* feth_send() found no room, or could not wake: it looks at the socket first */
	unsigned calls; /* of feth_recv() that found frames */
};

/**
 * shm_open_rings() - map what attach's answer brought
 * @fd:		borrowed
 * @size:	bytes of the memory, as the server says
 * @ring:	bytes of each ring, likewise
 *
 * The server wakes from the first frame on.
 *
 * Return: 0, -EPROTO: they do not fit together, or the memory could be cut under us; or another
 * negative errno
 */
int shm_open_rings(struct shm **out, int fd, uint64_t size, uint64_t ring);
void shm_free(struct shm *shm); /* NULL is fine */

/* The next frame is to wake, since a wake may have been read where nobody takes frames. What is in
 * the ring by now does not. */
static inline void shm_wants_wake(struct shm *shm)
{
	atomic_store(&shm->rx.words->empty, 1);
}

/**
 * shm_take() - the next frames
 * @vnet:	out: the header before each, or NULL; NULL where nobody wants them, who is given no
 *frame that has one
 *
 * Passes over what is no frame, up to a ring full at a time, whatever the server puts meanwhile.
 *
 * Return: how many; views, until ring_release(). -EPROTO: the server broke the rings' rules
 */
int shm_take(struct shm *shm, struct feth_frame *frames, const uint8_t **vnet, size_t max,
	uint64_t *ignored);

/* Puts frames, and before each what @vnet has for it (NULL: nothing for any), up to the first that
 * has no room, or cannot be sent. Return: how many */
size_t shm_put(
	struct shm *shm, const struct feth_frame *frames, const uint8_t *const *vnet, size_t n);

#endif
