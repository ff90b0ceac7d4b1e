/* port_shm.h - a native port whose frames go by rings in shared memory (protocol/ring.h).
 *
 * Belongs to a session, whose stream it leaves calls, wakes and the client's end to. What is
 * judged of the client's frames is copied out of the ring before that; 256 KiB are read a turn, and
 * the ring is read again in the next turn while there is more: nobody needs to be woken then.
 * Frames for the client are copied into its ring at once; one that has no room is dropped and
 * counted. */
#ifndef SERVER_IO_PORT_SHM_H
#define SERVER_IO_PORT_SHM_H

#include "server/io/stream_port.h"

/* Shared memory that the clients of one network may have at once. 256 MiB: 127 ports with rings as
 * they are if nobody says. Of those attached: who keeps it mapped behind that keeps the memory. */
#define PORT_SHM_MAX ((size_t)256 * 1024 * 1024)

/* The client broke the rings' rules; its connection is to be ended. */
typedef void port_shm_broken_fn(struct stream_port *sp, const char *why);

/**
 * port_shm_open() - make the rings of a port
 * @sp:		to be attached behind this; has them as sp->shm until port_shm_close()
 * @ring:	bytes of each ring, ring_size_good()
 * @owes:	OFFLOAD_*: what frames of its client may owe
 * @out_fd:	out: the memory, to be given to the client
 *
 * Return: 0, -EBUSY: PORT_SHM_MAX; or another negative errno, with the sentence
 */
int port_shm_open(struct stream_port *sp, uint32_t ring, uint8_t owes, port_shm_broken_fn *broken,
	int *out_fd, struct err *err);
void port_shm_close(struct stream_port *sp); /* it is no port any more; or it has no rings */

/* The client said that it has put or taken something. */
void port_shm_woken(struct stream_port *sp);

/* Port operations, port.h. */
void port_shm_send(struct port *port, struct frame *frames, unsigned n, bool flooded);
void port_shm_flush(struct port *port);
void port_shm_limit(struct port *port, uint32_t bytes);
uint32_t port_shm_queued(const struct port *port);

#endif
