/* stream_port.h - a connection over a stream that is, or may become, a port of a network: what its
 * two framings (session.h, port_qemu.h) have in common.
 *
 * Each puts a struct stream_port first into its own, and adds how it decodes its input. */
#ifndef SERVER_IO_STREAM_PORT_H
#define SERVER_IO_STREAM_PORT_H

#include "server/core/network.h"
#include "server/io/client.h"
#include "server/io/stream.h"

struct stream_port {
	struct stream s; /* first, so that a stream of ours is its stream_port */
	struct client client;
	struct port port;            /* while attached */
	struct network *net;         /* borrowed; NULL: it can be no port */
	struct client_list *clients; /* borrowed: the list that client is in */
	uint32_t pid;
	struct port_shm *shm; /* owned by port_shm.h: its rings; NULL where it has none */
	unsigned right;       /* that it needs to stay a port, while attached */
	bool attached;
};

static inline struct stream_port *stream_port_of(struct stream *s)
{
	return (struct stream_port *)s;
}

static inline struct stream_port *stream_port_of_port(struct port *port)
{
	return (struct stream_port *)((char *)port - offsetof(struct stream_port, port));
}

static inline struct stream_port *stream_port_of_client(struct client *client)
{
	return (struct stream_port *)((char *)client - offsetof(struct stream_port, client));
}

/**
 * stream_port_open() - begin to serve a connection
 * @sp:		with net, clients, client.close, client.judged and port.ops set
 * @who:	copied
 * @fd:		taken over, also on failure; so is its place among the connections of its user
 *		(shared_enter())
 *
 * Return: 0 or a negative errno; then nothing is to be undone
 */
int stream_port_open(struct stream_port *sp, struct ioloop *loop, int fd, const struct peer *who,
	enum framing framing, const struct stream_ops *ops);
/* To be called by the stream's `closed`, before the memory is freed. */
void stream_port_closed(struct stream_port *sp);

/* Makes it a port. @kind: for the log; @right: what it needs to stay one. Return: as
 * network_attach() */
int stream_port_attach(struct stream_port *sp, const struct port_conf *conf, const char *kind,
	unsigned right, struct port_info *out, struct err *err);
/* It is a port no more, if it was one; its name and number are free at once. */
void stream_port_detach(struct stream_port *sp, const char *why);
/* Whether it may be the port that it is, if it is one, with these rights. */
bool stream_port_may(const struct stream_port *sp, unsigned rights);
/* What its client is and does was taken away: it is a port no more, nothing waits for it, and that
 * is counted and logged. What is left is to close it. */
void stream_port_revoke(struct stream_port *sp, const char *what, const char *network);
#define STREAM_PORT_REVOKED "its right was taken away"

/* Port operations, port.h. */
void stream_port_send(struct port *port, struct frame *frames, unsigned n, bool flooded);
void stream_port_flush(struct port *port);
void stream_port_limit(struct port *port, uint32_t bytes);
uint32_t stream_port_queued(const struct port *port);
void stream_port_close(struct port *port, bool gone); /* by client.close */

/* client.close where nothing is to be said before: detached now, closed when it is written out. */
void stream_port_leave(struct client *client, bool gone);

#endif
