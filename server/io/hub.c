/* hub.c - see hub.h. */
#include "server/io/hub.h"

#include <stdlib.h>
#include <string.h>

/* What a subscriber had heard of a host's groups before the word that waits for it. */
struct heard {
	struct heard *next;
	unsigned slot;
	struct groups groups;
};

static struct heard **find_heard(struct subscriber *sub, unsigned slot)
{
	struct heard **link = &sub->heard;
	while (*link && (*link)->slot != slot)
		link = &(*link)->next;
	return link;
}

static void drop_heard(struct heard **link)
{
	struct heard *heard = *link;
	*link = heard->next;
	free(heard);
}

static void sum_up(struct hub *hub)
{
	const uint32_t was = hub->wanted;
	hub->wanted = 0;
	for (const struct subscriber *s = hub->first; s; s = s->next)
		hub->wanted |= s->events;
	if (hub->wanted != was && hub->changed)
		hub->changed(hub->ctx);
}

static void take_out(struct subscriber *sub)
{
	if (sub->link) {
		*sub->link = sub->next;
		if (sub->next)
			sub->next->link = sub->link;
	}
	sub->link = NULL;
	sub->events = 0;
	while (sub->heard)
		drop_heard(&sub->heard);
}

void hub_leave(struct hub *hub, struct subscriber *sub)
{
	if (!sub->link)
		return;
	take_out(sub);
	sum_up(hub);
}

void hub_subscribe(struct hub *hub, struct subscriber *sub, uint32_t events, const char *network)
{
	if (hub->settle)
		hub->settle(hub->ctx);
	take_out(sub);
	memcpy(sub->network, network, strlen(network) + 1);
	if (events) {
		sub->events = events;
		sub->next = hub->first;
		sub->link = &hub->first;
		if (sub->next)
			sub->next->link = &sub->next;
		hub->first = sub;
	}
	sum_up(hub);
	if (events & EVENT_BIT(EVENT_HOST_GROUPS))
		hub->greet(hub->ctx, sub);
}

static bool wants(const struct subscriber *sub, enum event_kind kind, const char *network)
{
	return sub->events & EVENT_BIT(kind) &&
	       (!sub->network[0] || !strcmp(sub->network, network));
}

void hub_tell(struct hub *hub, enum event_kind kind, const char *network, uint64_t topic,
	const void *data, size_t len)
{
	for (struct subscriber *s = hub->first; s; s = s->next)
		if (wants(s, kind, network))
			s->ops->tell(s, kind, data, len, topic);
}

void hub_tell_network(struct hub *hub, const struct network_facts *facts, unsigned slot)
{
	struct rpc_out out;
	if (!(hub->wanted & EVENT_BIT(EVENT_NETWORK_CHANGED)))
		return;
	rpc_out_init(&out);
	event_pack_network(facts, &out);
	if (rpc_out_ok(&out))
		hub_tell(hub, EVENT_NETWORK_CHANGED, facts->spec.network,
			event_topic(slot, EVENT_NETWORK_CHANGED, 0), out.buf.data, out.buf.size);
	rpc_out_fini(&out);
}

void hub_tell_removed(struct hub *hub, const char *network, unsigned slot)
{
	struct rpc_out out;
	for (struct subscriber *s = hub->first; s; s = s->next) {
		struct heard **heard = find_heard(s, slot);
		if (*heard)
			drop_heard(heard);
	}
	if (!(hub->wanted & EVENT_BIT(EVENT_NETWORK_REMOVED)))
		return;
	rpc_out_init(&out);
	event_pack_removed(network, &out);
	if (rpc_out_ok(&out))
		hub_tell(hub, EVENT_NETWORK_REMOVED, network, 0, out.buf.data, out.buf.size);
	rpc_out_fini(&out);
}

/* Tells one subscriber how it got from @was to @is; if it does not go out now, what it had heard
 * before is kept, so that the word that replaces this one can be told from there. */
static void tell_host_groups(struct subscriber *sub, const char *network, unsigned slot,
	const struct groups *was, const struct groups *is)
{
	const uint64_t topic = event_topic(slot, EVENT_HOST_GROUPS, 0);
	struct heard **link = find_heard(sub, slot);
	struct rpc_out out;
	if (*link && !sub->ops->waits(sub, topic))
		drop_heard(link);
	struct heard *heard = *link;
	rpc_out_init(&out);
	event_pack_host_groups(network, heard ? &heard->groups : was, is, &out);
	if (rpc_out_ok(&out))
		sub->ops->tell(sub, EVENT_HOST_GROUPS, out.buf.data, out.buf.size, topic);
	rpc_out_fini(&out);
	if (heard || !sub->ops->waits(sub, topic))
		return;
	heard = malloc(sizeof(*heard));
	if (!heard)
		return; /* then what is told next may leave a change out; the list is right */
	heard->slot = slot;
	heard->groups = *was;
	heard->next = sub->heard;
	sub->heard = heard;
}

void hub_tell_host_groups(struct hub *hub, const char *network, unsigned slot,
	const struct groups *was, const struct groups *is)
{
	for (struct subscriber *s = hub->first; s; s = s->next)
		if (wants(s, EVENT_HOST_GROUPS, network))
			tell_host_groups(s, network, slot, was, is);
}

void hub_lost(struct hub *hub, uint32_t kinds, const char *network)
{
	for (struct subscriber *s = hub->first; s; s = s->next)
		if (s->events & kinds && (!s->network[0] || !strcmp(s->network, network)))
			s->ops->lost(s);
}

void hub_greet(struct subscriber *sub, const char *network, unsigned slot, const struct groups *is)
{
	static const struct groups none;
	if (wants(sub, EVENT_HOST_GROUPS, network))
		tell_host_groups(sub, network, slot, &none, is);
}
