/* port.h - what a client is to a network: the interface that each kind of attachment implements.
 *
 * Life cycle:
 *   1. The edge accepts a connection and calls network_attach() with a struct port of its own; from
 *      then on the network may call the operations below.
 *   2. It decodes what the client sends and calls network_input(), then network_flush().
 *   3. network_detach() ends it, called by the edge; nothing is called after it returns.
 * A network that wants a client gone calls close(); the edge then detaches, at once or soon. */
#ifndef SERVER_CORE_PORT_H
#define SERVER_CORE_PORT_H

#include "server/core/drop.h"
#include "server/core/frame.h"

struct port;
struct network_facts;

struct port_ops {
	/* Takes a run of frames for the client; each is sent, kept or dropped and counted. Views
	 * live until flush(). @flooded: other ports get them too, so that what must be kept is best
	 * kept by block_copy(). */
	void (*send)(struct port *port, struct frame *frames, unsigned n, bool flooded);
	/* The batch is over: what was taken goes out, or is copied. */
	void (*flush)(struct port *port);
	/* Asks the client to go; @gone: because its network is being removed. */
	void (*close)(struct port *port, bool gone);
	/* The network's MTU, address or link changed; NULL where the client cannot hear. */
	void (*changed)(struct port *port, const struct network_facts *facts);
	/* How many bytes of frames may wait for the client from now on; what waits already stays.
	 * NULL where none ever wait. */
	void (*limit)(struct port *port, uint32_t bytes);
	/* Bytes of frames that wait for the client. */
	uint32_t (*queued)(const struct port *port);
	/* Of monitors: nanoseconds since the epoch, now. Asked once a batch. */
	uint64_t (*now_ns)(const struct port *port);
};

struct port {
	const struct port_ops *ops;
	struct port_stats *stats; /* the network's, set by network_attach() */
	uint16_t id;              /* its number, set by network_attach() */
	/* Set by the edge before network_attach(); all zero is a port that knows whole frames only.
	 */
	uint8_t offload;      /* OFFLOAD_*: what send() takes unfinished (offload.h) */
	bool copies;          /* send() copies all it takes: no view need live until flush() */
	bool owes;            /* its own frames may have `offload` set, by offload_valid() */
	uint32_t offload_max; /* bytes of the longest super-frame send() takes; 0: any */
	uint32_t frame_max;   /* bytes of the longest frame its client can take, with one tag; it
				 lowers the port's cap. 0: any; else 68 at least */
};

#endif
