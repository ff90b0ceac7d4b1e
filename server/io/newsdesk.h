/* newsdesk.h - what happens on a network, told to its native subscribers and to main.
 *
 * Events come from the core, many of them in the middle of a batch of frames. They are noted
 * (core/news.h) and told in a turn of their own, so that nothing is written meanwhile, and of what
 * happens twice in one turn the newest is told. Main gets them as bytes, ready to be sent on. */
#ifndef SERVER_IO_NEWSDESK_H
#define SERVER_IO_NEWSDESK_H

#include "server/core/network.h"
#include "server/io/hub.h"
#include "server/io/ioloop.h"

/* Changes of groups told in a second; that there were more is told in one word when it is over. A
 * guest may join and leave a thousand groups in a millisecond, and events wait 65536 bytes at most
 * before their reader is closed as slow. */
#define NEWSDESK_GROUPS 256u
#define NEWSDESK_GROUPS_MS 1000u

#define NEWSDESK_SLOT 1u /* of the one network that native sessions have (rpc/event.h) */

struct newsdesk {
	struct hub hub; /* the network's native sessions */
	struct ioloop *loop;
	const struct network *net;
	uint32_t forwarded; /* what main wants to hear of: mask of EVENT_BIT() */
	/* Gives main a notification; @object as in event_topic(). */
	void (*forward)(
		void *ctx, enum event_kind kind, uint64_t object, const void *data, size_t len);
	void *ctx;
	struct ioloop_later later;
	bool stopped;
	bool changed; /* the network itself */
	struct news news;
	uint64_t groups_ms; /* when this second began */
	unsigned n_groups;  /* changes noted in it */
	bool groups_lost;   /* and others not, of which nobody was told yet */
	bool host_known;
	struct groups host; /* where host_known */
};

void newsdesk_init(
	struct newsdesk *desk, struct ioloop *loop, const struct network *net, uint32_t forwarded);
/* What was not told never will be: of a network that goes, network.removed says it all. */
void newsdesk_stop(struct newsdesk *desk);

/* Time passes: what was lost is told. Every second or so. */
void newsdesk_tick(struct newsdesk *desk);
/* Tells what has happened, now. */
void newsdesk_tell(struct newsdesk *desk);
/* From now on main wants these. */
void newsdesk_forward(struct newsdesk *desk, uint32_t events);

/* What happened; see struct network_events. */
void newsdesk_changed(struct newsdesk *desk);
void newsdesk_port(struct newsdesk *desk, const struct port_info *info, bool changed);
void newsdesk_group(struct newsdesk *desk, struct feth_mac group, bool joined, uint16_t only);
void newsdesk_moved(struct newsdesk *desk, struct feth_mac mac, uint16_t from, uint16_t to);
void newsdesk_duplicate(struct newsdesk *desk, struct feth_mac mac, uint16_t from, uint16_t to,
	struct feth_mac own);
/* The host's groups, told at once and to native subscribers only: main knew first. */
void newsdesk_host_groups(struct newsdesk *desk, const struct groups *was, const struct groups *is);

#endif
