/* dgram.h - a path where clients come by datagram: NET/dgram/sock, and ports/NAME of kind dgram.
 *
 * Theory of operation. Nobody connects a datagram socket so that we could hear of it: a client is
 * whoever sends, known by where its own socket is bound. Its first datagram is judged (who it is
 * the kernel says, SO_PASSCRED), its socket is looked up and connected to (verb_connect_peer()),
 * and it is a port, until a datagram for it is refused or nobody has its socket open any more.
 *
 * Some clients connect() to the path (vfkit, krunkit, VZ): they hold the socket that was there
 * then, and on Linux take datagrams from it alone; so what is for them is sent from it. Others name
 * the path with each datagram (QEMU, Dynamips): they are sent to by a socket of their own. Once one
 * has connected, a fresh socket takes the place at the path, so that clients do not share a queue
 * and a buffer. Those that had connected before that and said nothing yet share theirs, and are
 * told apart by where they are bound: nothing tells how many they are, so the socket is never
 * connected to one of them, which would shut out the others. It is kept for a while without a
 * client, too. What one of those does not read fills the buffer that all of them are sent from, and
 * nothing tells whose it is.
 *
 * On Linux a socket that is not connected back holds net.unix.max_dgram_qlen datagrams (10 if
 * nobody says; systemd says 512), and the client waits for room. That costs little: 0.26 M frames a
 * second of processor with 10 and 512 alike (limits.md, 4).
 *
 * A declared port may have one client and no other, whose path its administrator has said: that one
 * is sent to before it has sent anything (dgram_call()). It is heard by where it is bound, and on
 * Linux by being the user whose socket that is: a name alone another may have, in a namespace of
 * its own.
 *
 * Bounded: DGRAM_PER_UID clients of one user, beyond which his own that was silent longest goes;
 * newcomers are judged DGRAM_NEW at a turn, and the rest of what they send is dropped. */
#ifndef SERVER_IO_DGRAM_H
#define SERVER_IO_DGRAM_H

#include "server/io/msg_port.h"

/* Half of the connections a user may have (CLIENTS_PER_UID), so that datagrams leave him some. */
#define DGRAM_PER_UID 128u
/* A stranger's datagram costs some 30 us to judge, and 64 may come at once. */
#define DGRAM_NEW 8u
/* Sockets that a path had before, with nobody known on them: kept so long, and so many for each
 * user. Guests may say nothing before they have booted. */
#define DGRAM_KEEP_MS 120000u
#define DGRAM_KEPT 16u

struct dgram;

struct dgram_ops {
	/* May @who attach, and is there room for one more connection of his? Then it is counted
	 * (shared_enter()). Says so itself if not. */
	bool (*enter)(void *ctx, const struct peer *who);
	/* A fresh socket, with its file as it is to be now, in place of the one at the path.
	 * -errno, with a sentence. */
	int (*fresh)(void *ctx, int *out_fd, struct err *err);
	void (*closed)(void *ctx); /* dgram_close() is through; may free ctx */
};

/* Takes over @fd, bound, also on failure. @port: the declared port it is of, which has one client
 * at a time; empty: of the network. @only: the path of its only client; empty: whoever sends. */
int dgram_open(struct dgram **out, const struct msg_port_host *host, int fd, const char *port,
	const char *only, const struct dgram_ops *ops, void *ctx);
/* Makes its only client the port's, which has none now. @fd: a datagram socket that nothing was
 * done with, given, also on failure. @ended: as of msg_port_conf. -errno, with a sentence. */
int dgram_call(struct dgram *d, int fd, void (*ended)(void *ctx, const char *why), void *ctx,
	struct port_info *out, struct err *err);
/* Its clients go, too. */
void dgram_close(struct dgram *d);
/* Another socket at the path, with another file: who may send to it has changed. */
void dgram_renew(struct dgram *d);

#endif
