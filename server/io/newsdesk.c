/* newsdesk.c - see newsdesk.h. */
#include "server/io/newsdesk.h"

#include <stdio.h>

#include "server/base/log.h"

static void tell_later(void *arg)
{
	newsdesk_tell(arg);
}

static void settle(void *ctx)
{
	newsdesk_tell(ctx);
}

static void greet(void *ctx, struct subscriber *sub)
{
	const struct newsdesk *desk = ctx;
	if (desk->host_known)
		hub_greet(sub, network_facts(desk->net)->spec.network, NEWSDESK_SLOT, &desk->host);
}

void newsdesk_init(
	struct newsdesk *desk, struct ioloop *loop, const struct network *net, uint32_t forwarded)
{
	desk->loop = loop;
	desk->net = net;
	desk->forwarded = forwarded;
	desk->hub.settle = settle;
	desk->hub.greet = greet;
	desk->hub.ctx = desk;
}

void newsdesk_stop(struct newsdesk *desk)
{
	desk->stopped = true;
	desk->changed = false;
	desk->news.n = 0;
	ioloop_cancel(desk->loop, &desk->later);
}

static bool wanted(const struct newsdesk *desk, enum event_kind kind)
{
	return !desk->stopped && (desk->hub.wanted | desk->forwarded) & EVENT_BIT(kind);
}

static void give(struct newsdesk *desk, enum event_kind kind, uint64_t object, struct rpc_out *out)
{
	if (!rpc_out_ok(out))
		return;
	hub_tell(&desk->hub, kind, network_facts(desk->net)->spec.network,
		event_topic(NEWSDESK_SLOT, kind, object), out->buf.data, out->buf.size);
	if (desk->forwarded & EVENT_BIT(kind))
		desk->forward(desk->ctx, kind, object, out->buf.data, out->buf.size);
}

void newsdesk_tell(struct newsdesk *desk)
{
	const struct network_facts *facts = network_facts(desk->net);
	struct rpc_out out;
	if (!desk->changed && !desk->news.n)
		return;
	rpc_out_init(&out);
	if (desk->changed) {
		event_pack_network(facts, &out);
		give(desk, EVENT_NETWORK_CHANGED, 0, &out);
	}
	for (unsigned i = 0; i < desk->news.n; i++) {
		const struct news_item *item = &desk->news.items[i];
		rpc_out_clear(&out);
		event_pack_news(facts->spec.network, facts->path, item, &out);
		give(desk, event_of_news(item), news_object(item), &out);
	}
	rpc_out_fini(&out);
	desk->changed = false;
	desk->news.n = 0;
}

/* Who hears this asks group.list. */
static void tell_lost(struct newsdesk *desk)
{
	struct rpc_out out;
	rpc_out_init(&out);
	rpc_out_notify(&out, event_name(EVENT_GROUP_CHANGED));
	rpc_out_map(&out);
	rpc_put_text(&out, "network", network_facts(desk->net)->spec.network);
	rpc_put_bool(&out, "lost", true);
	rpc_out_end(&out);
	give(desk, EVENT_GROUP_CHANGED, 0, &out);
	rpc_out_fini(&out);
}

void newsdesk_tick(struct newsdesk *desk)
{
	if (!desk->groups_lost || desk->stopped ||
		ioloop_now(desk->loop) - desk->groups_ms < NEWSDESK_GROUPS_MS)
		return;
	newsdesk_tell(desk);
	desk->groups_lost = false;
	tell_lost(desk);
}

void newsdesk_forward(struct newsdesk *desk, uint32_t events)
{
	newsdesk_tell(desk);
	desk->forwarded = events;
}

static void soon(struct newsdesk *desk)
{
	ioloop_defer(desk->loop, &desk->later, tell_later, desk); /* nothing, where it is queued */
}

static void put(struct newsdesk *desk, const struct news_item *item)
{
	if (!wanted(desk, event_of_news(item)))
		return;
	if (!news_put(&desk->news, item)) { /* seldom: one writing for 64 pieces of news */
		if (item->kind == NEWS_MOVED)
			return; /* in the middle of a batch, where nobody may write */
		newsdesk_tell(desk);
		(void)news_put(&desk->news, item);
	}
	soon(desk);
}

void newsdesk_changed(struct newsdesk *desk)
{
	if (!wanted(desk, EVENT_NETWORK_CHANGED))
		return;
	desk->changed = true;
	soon(desk);
}

void newsdesk_port(struct newsdesk *desk, const struct port_info *info, bool changed)
{
	const struct news_item item = {
		.kind = changed          ? NEWS_PORT_CHANGED
			: info->attached ? NEWS_PORT_ATTACHED
					 : NEWS_PORT_DETACHED,
		.port = *info,
	};
	put(desk, &item);
}

/* Whether another change of a group may be told in this second. */
static bool group_due(struct newsdesk *desk)
{
	const uint64_t now = ioloop_now(desk->loop);
	if (now - desk->groups_ms >= NEWSDESK_GROUPS_MS && !desk->groups_lost) {
		desk->groups_ms = now;
		desk->n_groups = 0;
	}
	if (desk->n_groups < NEWSDESK_GROUPS) {
		desk->n_groups++;
		return true;
	}
	if (!desk->groups_lost)
		log_warn("events",
			"net=%s: over %u changes of groups in a second; not all are told",
			network_facts(desk->net)->spec.network, NEWSDESK_GROUPS);
	desk->groups_lost = true;
	return false;
}

void newsdesk_group(struct newsdesk *desk, struct feth_mac group, bool joined, uint16_t only)
{
	if (!wanted(desk, EVENT_GROUP_CHANGED) || !group_due(desk))
		return;
	const struct news_item item = {
		.kind = NEWS_GROUP,
		.group = { .mac = group, .joined = joined, .only = only },
	};
	put(desk, &item);
}

static void put_moved(struct newsdesk *desk, struct news_item *item)
{
	snprintf(item->moved.from_name, sizeof(item->moved.from_name), "%s",
		network_port_name(desk->net, item->moved.from));
	snprintf(item->moved.to_name, sizeof(item->moved.to_name), "%s",
		network_port_name(desk->net, item->moved.to));
	put(desk, item);
}

void newsdesk_moved(struct newsdesk *desk, struct feth_mac mac, uint16_t from, uint16_t to)
{
	if (!wanted(desk, EVENT_FDB_MOVED) ||
		!news_moved_due(&desk->news, mac, ioloop_now(desk->loop)))
		return;
	struct news_item item = { .kind = NEWS_MOVED,
		.moved = { .mac = mac, .from = from, .to = to } };
	put_moved(desk, &item);
}

void newsdesk_duplicate(
	struct newsdesk *desk, struct feth_mac mac, uint16_t from, uint16_t to, struct feth_mac own)
{
	struct news_item item = { .kind = NEWS_DUPLICATE,
		.moved = { .mac = mac, .from = from, .to = to, .own = own } };
	put_moved(desk, &item);
}

void newsdesk_host_groups(struct newsdesk *desk, const struct groups *was, const struct groups *is)
{
	desk->host = *is;
	desk->host_known = true;
	hub_tell_host_groups(
		&desk->hub, network_facts(desk->net)->spec.network, NEWSDESK_SLOT, was, is);
}
