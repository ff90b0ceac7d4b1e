/* shared.h - what all loops of a daemon have in common: how many connections each user has, what is
 * being closed of theirs, who was refused what, and main's loop. May be called from any thread;
 * none of it on the path of frames. */
#ifndef SERVER_IO_SHARED_H
#define SERVER_IO_SHARED_H

#include <stdbool.h>
#include <stdint.h>

/* Connections of one uid to this daemon, and descriptors of his that wait to be closed; the
 * connections not for root and the daemon's own user, who could do
 * worse. 256: four times the VMs of a busy desktop, and 32 MiB of queued RPC at the worst. */
#define CLIENTS_PER_UID 256u

struct ioloop;
struct refusals;
struct shared;

struct shared *shared_new(void); /* NULL without memory */
void shared_free(struct shared *sh);

/* main's loop and what it keeps for all; set once, before there is another thread. */
void shared_set(struct shared *sh, struct ioloop *main_loop, struct refusals *refusals);
struct ioloop *shared_main(struct shared *sh);
struct refusals *shared_refusals(struct shared *sh);

/* Counts a connection of @uid in, and out again. False, and it is not counted: it has
 * CLIENTS_PER_UID already, and is not @unlimited. */
bool shared_enter(struct shared *sh, uint32_t uid, bool unlimited);
void shared_leave(struct shared *sh, uint32_t uid);

/**
 * shared_close() - close descriptors elsewhere: the last close of a socket that lingers takes as
 *	long as its owner set
 * @uid:	whose doing that may be
 * @fds:	int[n], need not be aligned; they leak where there is no memory
 *
 * On a thread of that user's, which there is while there is something to close, so that he makes
 * nobody wait but himself; neither a loop nor the end of the process waits for it. Until it is
 * closed each descriptor counts as a connection.
 *
 * Return: false where more than CLIENTS_PER_UID are counted now: who goes on sending them has to go
 */
bool shared_close(struct shared *sh, uint32_t uid, const void *fds, unsigned n);

#endif
