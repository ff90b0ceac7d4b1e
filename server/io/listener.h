/* listener.h - a listening Unix socket on the loop: accepts, asks the kernel who it is, hands over.
 */
#ifndef SERVER_IO_LISTENER_H
#define SERVER_IO_LISTENER_H

#include "server/io/ioloop.h"
#include "server/io/peer.h"

struct listener;

/* Without descriptors left (EMFILE) accepting pauses, or the loop would spin on a readable socket.
 */
#define LISTENER_PAUSE_MS 1000u
#define LISTENER_BATCH 16u /* accepted per turn */

struct listener_ops {
	/* A connection and who made it; @fd is given. */
	void (*accepted)(void *ctx, int fd, const struct peer *peer);
	void (*closed)(void *ctx); /* listener_close() is through; may free ctx */
};

/* Takes over @fd (listening, non-blocking), also on failure. */
int listener_open(struct listener **out, struct ioloop *loop, int fd,
	const struct listener_ops *ops, void *ctx);
void listener_close(struct listener *l);

/* Lets who connects wait, until listener_go(). */
void listener_wait(struct listener *l);
void listener_go(struct listener *l);

#endif
