/* msg_port.h - a port whose client is at the other end of a message socket: a frame is a message,
 * without any header. SOCK_DGRAM (QEMU's dgram, vfkit, krunkit, the data of VDE), SOCK_SEQPACKET
 * (UML's bess) and connected UDP.
 *
 * Frames come in by the batch and go out by the batch (msgio.h). What the socket does not take
 * waits in a bounded queue (core/msgq.h): until it is writable (EAGAIN), or a moment later where
 * the system does not tell of that (ENOBUFS, macOS). An empty message is never sent: QEMU takes it
 * for the end. Frames that are too short or too long are dropped by the switch and counted.
 *
 * It ends where its client has gone: end of a SOCK_SEQPACKET, a refused message, or a place
 * (verbs.h) that nobody holds, which is asked when nothing was heard for MSG_PORT_PROBE_MS. Life:
 * open - dying - gone; the owner hears `ended` once, in a turn of its own. */
#ifndef SERVER_IO_MSG_PORT_H
#define SERVER_IO_MSG_PORT_H

#include "server/core/network.h"
#include "server/io/client.h"
#include "server/io/ioloop.h"
#include "server/priv/verbs.h"

#define MSG_PORT_PROBE_MS 5000u

struct msg_port;
struct msgio_in;

/* Where it lives; copied. */
struct msg_port_host {
	struct ioloop *loop;
	struct network *net;
	struct client_list *clients; /* joined; outlives the port */
};

struct msg_port_conf {
	int fd; /* non-blocking and connected, but for `to`; given, also on failure */
	const struct peer *who; /* copied; needs the right to attach as long as it lasts. NULL: an
				   administrator's, of root, who is not judged */
	bool counted; /* its place among the connections of its user (shared_enter()) is given,
			 also on failure */
	const struct port_conf *port; /* kind, name and rules that are wanted; uid and pid are
					 `who`'s */
	struct verb_place place; /* asked whether somebody holds it, if its len is not 0; given,
				    also on failure */
	/* What comes in is read by the owner, who gives it by msg_port_input(); `fd` is not read.
	 */
	bool fed;
	/* `fd` is the owner's, not connected, and stays: messages are sent to `place`. Also fed. */
	bool to;
	bool lasting;       /* a refused message is a frame lost, and no end: UDP */
	uint32_t frame_max; /* bytes of the longest frame that fits its client (port.h); 0: any */
	bool greeting;      /* VFKT as the first message is no frame (vfkit) */
	/* It is over, and its memory goes when this returns. NULL: nobody wants to know. Not called
	 * where msg_port_open() failed. */
	void (*ended)(void *ctx, const char *why);
	void *ctx;
};

/**
 * msg_port_open() - make a client's message socket a port
 * @out:	until `ended` returns; NULL is fine
 * @info:	what became of it
 *
 * Return: 0 or a negative errno with a sentence in @err, as network_attach()
 */
int msg_port_open(struct msg_port **out, const struct msg_port_host *host,
	const struct msg_port_conf *conf, struct port_info *info, struct err *err);

/* Ends it: it is a port no more when this returns, and `ended` follows. Not within a batch. Fine
 * where it has ended. @why must be constant. */
void msg_port_end(struct msg_port *mp, const char *why);

/* Messages for one that is fed: views into the loop's buffer (msgio_recv()), MSGIO_BATCH at most.
 * Ends with network_flush(). */
void msg_port_input(struct msg_port *mp, const struct msgio_in *msgs, unsigned n);

/* Whether somebody has its client's socket open, where that can be asked; else true. */
bool msg_port_held(const struct msg_port *mp);

/* When something was heard of it last; milliseconds of the loop's. */
uint64_t msg_port_heard_ms(const struct msg_port *mp);

#endif
