/* network.h - one network: a switch, a host side and ports; carries out verdicts.
 *
 * Shares nothing with any other network, so each can live on a loop of its own. The control plane
 * reaches it through network_command() alone, with plain data in and out; the edges of its own loop
 * call the rest. Reports what others must know through `struct network_events`. No libuv, no clock.
 */
#ifndef SERVER_CORE_NETWORK_H
#define SERVER_CORE_NETWORK_H

#include "protocol/text.h"
#include "server/base/err.h"
#include "server/core/block.h"
#include "server/core/command.h"
#include "server/core/hostif.h"
#include "server/core/netid.h"
#include "server/core/port.h"
#include "server/core/vswitch.h"

#define PORTS_MAX 1024u /* per network: numbers fit a fixed table; more VMs are more networks */

struct network;

struct network_events {
	/* The number of attached ports changed. */
	void (*ports)(void *ctx, unsigned attached);
};

/**
 * network_new() - a network without a host side yet
 * @seed:	random and secret
 * @key:	of the machine, for derived port addresses
 *
 * Return: 0, -ENOMEM, or -EEXIST where the facts contradict themselves
 */
int network_new(struct network **out, const struct network_facts *facts,
	const struct netid_key *key, uint64_t seed, const struct network_events *events, void *ctx);
/* All ports must be detached; the host side is the caller's. NULL is fine. */
void network_free(struct network *net);

/* Sets (or with NULL takes away) the host side; borrowed. Frames for it are dropped meanwhile. */
void network_set_host(struct network *net, const struct hostif_ops *ops, struct hostif *host);

const struct network_facts *network_facts(const struct network *net);
struct block_pool *network_pool(struct network *net);

/**
 * network_attach() - make a client a port
 * @conf:	name (empty: one is chosen), kind, address; a declared port of this name that waits
 *is taken over, and its settings win
 * @port:	the client; `stats` and `id` are set
 * @now_ms:	monotonic milliseconds
 * @out:	what became of it
 *
 * Return: 0; -EBUSY name in use; -EEXIST name or address taken; -EINVAL; -ENOSPC no number left;
 *-ENOMEM
 */
int network_attach(struct network *net, const struct port_conf *conf, struct port *port,
	uint64_t now_ms, struct port_info *out, struct err *err);

/* Ends a port; its addresses are forgotten. A declared port goes back to waiting. */
void network_detach(struct network *net, struct port *port);

/**
 * network_input() - switch a batch
 * @in:		the port it came from, or PORT_HOST
 * @frames:	views, living until network_flush(); their order is kept per destination
 * @now_ms:	monotonic milliseconds, never less than before
 */
void network_input(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms);

/* Ends the batch of one or more network_input() calls: everything taken is sent, queued or dropped.
 */
void network_flush(struct network *net);

/* Counts frames the edge itself had to drop, from a port or (PORT_NONE) from none. */
void network_count(
	struct network *net, uint16_t in, enum drop_reason reason, uint64_t n, uint64_t bytes);

/* Forgets aged addresses; every few seconds. */
void network_tick(struct network *net, uint64_t now_ms);

/* Carries out a command of the control plane (command.h); sets cmd->err. Those kinds that need more
 * than the network itself are the loop's: see netloop.h. */
void network_command(struct network *net, struct command *cmd, uint64_t now_ms);

#endif
