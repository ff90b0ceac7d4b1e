/* hub.h - who on this loop is told of what: the subscribers of event.subscribe.
 *
 * Two kinds of hub: main's, for control sessions, and one of each network, for its native sessions.
 * An event is written once and given to all who want it. A subscriber who reads too slowly finds of
 * each object the newest state only (sendq.h), and what host.groups says has joined and left is
 * then told from what it heard last. */
#ifndef SERVER_IO_HUB_H
#define SERVER_IO_HUB_H

#include "server/rpc/event.h"

struct hub;
struct subscriber;

struct subscriber_ops {
	/* Gives it a notification; @topic as in sendq.h. */
	void (*tell)(struct subscriber *sub, enum event_kind kind, const void *data, size_t len,
		uint64_t topic);
	/* Whether one of that topic waits to be written. */
	bool (*waits)(const struct subscriber *sub, uint64_t topic);
	/* Something it should have been told is lost; what it knows is worth nothing any more. It
	 * stays in the hub until it leaves in a turn of its own. */
	void (*lost)(struct subscriber *sub);
};

struct subscriber {
	struct subscriber *next, **link; /* link: NULL while it is in no hub */
	const struct subscriber_ops *ops;
	uint32_t events;                 /* mask of EVENT_BIT() */
	char network[FETH_NAME_MAX + 1]; /* the one it wants to hear of; empty: all */
	struct heard *heard; /* owned: of networks whose host.groups waits to be written */
};

/* All zero, but for these four, is a hub without subscribers. */
struct hub {
	struct subscriber *first;
	uint32_t wanted; /* what any of them wants */
	/* Before somebody joins: what happened until now is told first. NULL: nothing to do. */
	void (*settle)(void *ctx);
	/* Somebody wants host.groups: tells it what there is, by hub_greet(). */
	void (*greet)(void *ctx, struct subscriber *sub);
	/* `wanted` has changed; NULL: nobody wants to know. */
	void (*changed)(void *ctx);
	void *ctx;
};

/* Sets what a subscriber hears of. @events 0: nothing, and it is in no hub. */
void hub_subscribe(struct hub *hub, struct subscriber *sub, uint32_t events, const char *network);
void hub_leave(struct hub *hub, struct subscriber *sub);

/* Tells all who want it. @data: a whole notification. */
void hub_tell(struct hub *hub, enum event_kind kind, const char *network, uint64_t topic,
	const void *data, size_t len);
void hub_tell_network(struct hub *hub, const struct network_facts *facts, unsigned slot);
void hub_tell_removed(struct hub *hub, const char *network, unsigned slot);
void hub_tell_host_groups(struct hub *hub, const char *network, unsigned slot,
	const struct groups *was, const struct groups *is);
/* Of what happened on @network some of these @kinds (EVENT_BIT()) were lost: all who want to hear
 * of any of them are told so. */
void hub_lost(struct hub *hub, uint32_t kinds, const char *network);
/* Tells @sub alone of all groups, as joined. */
void hub_greet(struct subscriber *sub, const char *network, unsigned slot, const struct groups *is);

#endif
