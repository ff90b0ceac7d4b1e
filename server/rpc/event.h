/* event.h - what event.subscribe tells: names, patterns of names, and the params of notifications.
 *
 * An event is plain data. What it points to is borrowed for the call. */
#ifndef SERVER_RPC_EVENT_H
#define SERVER_RPC_EVENT_H

#include "protocol/rpc.h"
#include "server/core/command.h"
#include "server/core/groups.h"
#include "server/core/news.h"

enum event_kind {
#define EVENT(symbol, name, summary) EVENT_##symbol,
#include "protocol/events.def"
#undef EVENT
	EVENT_N
};

#define EVENT_BIT(kind) (1u << (kind))
#define EVENTS_MAX 64u /* names in one call; there are not as many */

const char *event_name(enum event_kind kind);

/* Adds the events that @text means to @mask: a name, `port.*` for all of a noun, or `*`. False:
 * none. */
bool event_match(const char *text, uint32_t *mask);

/* Whole notifications. @dir: the directory of the network's sockets. */
void event_pack_network(const struct network_facts *facts, struct rpc_out *out);
void event_pack_removed(const char *network, struct rpc_out *out);
void event_pack_news(
	const char *network, const char *dir, const struct news_item *item, struct rpc_out *out);
/* What has joined and left is what differs between @was and @is. */
void event_pack_host_groups(const char *network, const struct groups *was, const struct groups *is,
	struct rpc_out *out);

/* The kind of a piece of news. */
enum event_kind event_of_news(const struct news_item *item);

/* Of which object an event tells the newest state: with it sendq.h replaces what is older. @slot: a
 * number of the network, below EVENT_SLOTS; 0: nothing is replaced. */
#define EVENT_SLOTS 4096u
uint64_t event_topic(unsigned slot, enum event_kind kind, uint64_t object);
uint64_t event_topic_of_news(unsigned slot, const struct news_item *item);

#endif
