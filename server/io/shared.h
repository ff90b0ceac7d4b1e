/* shared.h - what all loops of a daemon have in common: how many connections each user has, who was
 * refused what, and main's loop. May be called from any thread; none of it on the path of frames.
 */
#ifndef SERVER_IO_SHARED_H
#define SERVER_IO_SHARED_H

#include <stdbool.h>
#include <stdint.h>

/* Connections of one uid to this daemon; not for root and the daemon's own user, who could do
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

#endif
