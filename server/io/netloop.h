/* netloop.h - a network on its loop: its listeners, clients, host side and ageing.
 *
 * This is the only door between the control plane and a network. Commands go in by netloop_post()
 * and come back through cmd->done; events go out through struct netloop_events. All of it is plain
 * data and descriptors that change hands. Today both sides share one loop and the door is a call;
 * giving each network a thread means queueing here, and nowhere else. */
#ifndef SERVER_IO_NETLOOP_H
#define SERVER_IO_NETLOOP_H

#include "server/core/network.h"
#include "server/io/ioloop.h"

struct netloop;

struct netloop_events {
	void (*ports)(void *ctx, unsigned attached); /* the number of attached ports changed */
	void (*port_removed)(void *ctx, const char *port); /* a declared one; its path is empty */
	void (*port_lost)(
		void *ctx, const char *port); /* a tap's interface is gone, see CMD_PORT_TAP */
	void (*host_lost)(void *ctx);         /* the host side's descriptors are dead */
	/* A notification main wants to hear of (netloop_conf.events, CMD_EVENTS), whole; @kind and
	 * @object as in rpc/event.h. */
	void (*event)(void *ctx, unsigned kind, uint64_t object, const void *data, size_t len);
	void (*gone)(void *ctx); /* netloop_stop() is through; all is freed */
};

struct netloop_conf {
	struct network_facts facts;
	struct netid_key key;
	uint64_t seed;
	struct access access;
	uint32_t events;        /* of which main wants to hear */
	int native_fd, qemu_fd; /* listening; given, also on failure */
};

int netloop_start(struct netloop **out, struct ioloop *loop, const struct netloop_conf *conf,
	const struct netloop_events *events, void *ctx, struct err *err);

/* Gives (or with NULL takes away) the host side: what verb_pair_make() returned, given. */
int netloop_host(struct netloop *nl, const struct hostif_ops *ops, const struct hostif_made *made,
	const struct hostif_spec *spec, struct err *err);

bool netloop_has_host(const struct netloop *nl); /* false also where it was lost */

/* The socket of a declared port, listening; given, also on failure. */
int netloop_listen(struct netloop *nl, const char *port, enum port_kind kind, int fd);

/* Carries out a command; cmd->done is called when it is through, now or later. */
void netloop_post(struct netloop *nl, struct command *cmd);

/* Ends it: clients are told and closed, everything is closed, then `gone`. */
void netloop_stop(struct netloop *nl);

#endif
