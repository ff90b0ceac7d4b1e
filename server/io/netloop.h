/* netloop.h - a network on its loop: its listeners, clients, host side and ageing.
 *
 * Each network has a thread, whose loop owns every handle and all memory of it; main has what is
 * here, and calls it on its own loop. This is the only door between the two. Commands go in by
 * netloop_post() and come back through cmd->done; events come out through struct netloop_events.
 * All of it is plain data and descriptors that change hands, carried as messages (inbox.h) in the
 * order they were sent, each way: what main hears of a network was so when it was said. */
#ifndef SERVER_IO_NETLOOP_H
#define SERVER_IO_NETLOOP_H

#include "server/core/network.h"
#include "server/io/ioloop.h"

/* Bytes of events on their way to main. 1 MiB is some 4000, more than the limits of news.h and
 * newsdesk.h let happen in the longest that main ever waits for a tool (tool.h: 5 s), but for
 * clients that come and go by the thousand. */
#define NETLOOP_EVENTS_MAX (1024u * 1024u)

struct netloop;

/* All of them are called on main's loop, in a turn of their own. */
struct netloop_events {
	void (*ports)(void *ctx, unsigned attached); /* the number of attached ports changed */
	void (*port_removed)(void *ctx, const char *port); /* a declared one; its path is empty */
	/* A tap's interface is gone, see CMD_PORT_TAP. */
	void (*port_lost)(void *ctx, const char *port);
	/* What a port was connected to by CMD_PORT_DIAL is gone. @why: constant text. */
	void (*dial_lost)(void *ctx, const char *port, uint32_t serial, const char *why);
	void (*host_lost)(void *ctx); /* the host side's descriptors are dead, and closed */
	/* A notification main wants to hear of (netloop_conf.events, CMD_EVENTS), whole; @kind and
	 * @object as in rpc/event.h. */
	void (*event)(void *ctx, unsigned kind, uint64_t object, const void *data, size_t len);
	/* Of these some did not fit into NETLOOP_EVENTS_MAX, and are lost. @kinds: a mask. */
	void (*events_lost)(void *ctx, uint32_t kinds);
	/* netloop_stop() is through; all is freed. @counters: what it had counted. */
	void (*gone)(void *ctx, const struct daemon_counters *counters);
};

struct netloop_conf {
	struct network_facts facts;
	struct netid_key key;
	uint64_t seed;
	struct access access;
	uint32_t events; /* of which main wants to hear */
	struct netloop_door {
		enum port_kind kind;
		int fd;      /* listening, or bound; given, also on failure */
	} doors[PORT_KINDS]; /* where clients come in, beside ports of their own */
	unsigned n_doors;
	const struct hostif_ops *ops;
	struct hostif_made made; /* as of CMD_HOST, or -1 and -1; given, also on failure */
};

/* Closes the doors of a network that was never started. */
void netloop_doors_close(const struct netloop_conf *conf);
/* Of a pair that nobody was given after all. */
void netloop_made_close(const struct hostif_made *made);

/* Starts the thread. 0, or the sentence and nothing is left of it. */
int netloop_start(struct netloop **out, struct ioloop *main_loop, const struct netloop_conf *conf,
	const struct netloop_events *events, void *ctx, struct err *err);

/* Has a command carried out; cmd->done is called, on main's loop, when it is through: later, or at
 * once where netloop_stop() was called before. */
void netloop_post(struct netloop *nl, struct command *cmd);

/* Ends it: clients are told and closed, everything is closed, then `gone`. */
void netloop_stop(struct netloop *nl);

#endif
