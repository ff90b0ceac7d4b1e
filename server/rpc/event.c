/* event.c - event.subscribe, and what events look like. See event.h. */
#include "server/rpc/event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/rpc/method.h"

/* What may be repeated in a sentence. */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.*-_ "

static const char *const names[] = {
#define EVENT(symbol, name, summary) name,
#include "protocol/events.def"
#undef EVENT
};

const char *event_name(enum event_kind kind)
{
	return names[kind];
}

bool event_match(const char *text, uint32_t *mask)
{
	const size_t len = strlen(text);
	const bool all = len && text[len - 1] == '*' && (len == 1 || text[len - 2] == '.');
	uint32_t found = 0;
	for (unsigned k = 0; k < EVENT_N; k++)
		if (all ? !strncmp(text, names[k], len - 1) : !strcmp(text, names[k]))
			found |= EVENT_BIT(k);
	*mask |= found;
	return found;
}

/* "events: ...; they are network.changed, ..." */
static int bad_events(struct err *err, const char *what)
{
	char known[256] = "";
	for (unsigned k = 0; k < EVENT_N; k++) {
		const size_t at = strlen(known);
		snprintf(known + at, sizeof(known) - at, "%s%s", k ? ", " : "", names[k]);
	}
	return err_set(err, -EINVAL, "events: %s; known are %s, and patterns such as port.* or *",
		what, known);
}

int parse_EVENT_SUBSCRIBE(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	const msgpack_object_array *list;
	if (!cmd->network[0]) {
		const int rc = want_name(params, "network", false, cmd->network, err);
		if (rc < 0)
			return rc;
	}
	switch (rpc_get_array(params, "events", &list)) {
	case RPC_FIELD_ABSENT:
		return bad_events(err, "an array of names is required, an empty one for none");
	case RPC_FIELD_BAD:
		return bad_events(err, "must be given once, as an array of names");
	case RPC_FIELD_OK:
		break;
	}
	if (list->size > EVENTS_MAX)
		return err_set(err, -E2BIG, "events: at most %u names are possible", EVENTS_MAX);
	for (uint32_t i = 0; i < list->size; i++) {
		char text[32], what[64];
		if (!rpc_text(&list->ptr[i], text, sizeof(text)))
			return bad_events(err, "one of them is no text that a name could be");
		if (event_match(text, &cmd->in.events))
			continue;
		if (text[strspn(text, NAME_CHARACTERS)])
			return bad_events(err, "one of them has letters that no name has");
		snprintf(what, sizeof(what), "there is no event %s", text);
		return bad_events(err, what);
	}
	return 0;
}

void pack_EVENT_SUBSCRIBE(const struct command *cmd, struct rpc_out *out)
{
	rpc_out_map(out);
	rpc_put_array(out, "events");
	for (unsigned k = 0; k < EVENT_N; k++)
		if (cmd->in.events & EVENT_BIT(k))
			rpc_out_text(out, names[k]);
	rpc_out_close(out);
	if (cmd->network[0])
		rpc_put_text(out, "network", cmd->network);
	rpc_out_close(out);
}

/* -- notifications -- */

void event_pack_network(const struct network_facts *facts, struct rpc_out *out)
{
	rpc_out_notify(out, names[EVENT_NETWORK_CHANGED]);
	pack_facts(facts, out);
	rpc_out_end(out);
}

/* Begins one whose params are a map that begins with the network. */
static void begin(enum event_kind kind, const char *network, struct rpc_out *out)
{
	rpc_out_notify(out, names[kind]);
	rpc_out_map(out);
	rpc_put_text(out, "network", network);
}

void event_pack_removed(const char *network, struct rpc_out *out)
{
	begin(EVENT_NETWORK_REMOVED, network, out);
	rpc_out_end(out);
}

enum event_kind event_of_news(const struct news_item *item)
{
	switch (item->kind) {
	case NEWS_PORT_ATTACHED:
		return EVENT_PORT_ATTACHED;
	case NEWS_PORT_CHANGED:
		return EVENT_PORT_CHANGED;
	case NEWS_PORT_DETACHED:
		return EVENT_PORT_DETACHED;
	case NEWS_GROUP:
		return EVENT_GROUP_CHANGED;
	case NEWS_MOVED:
		return EVENT_FDB_MOVED;
	case NEWS_DUPLICATE:
		break;
	}
	return EVENT_FDB_DUPLICATE;
}

static void put_advice(const struct feth_mac *own, const char *at, struct rpc_out *out)
{
	char mac[MAC_TEXT], text[256];
	mac_format(mac, *own);
	snprintf(text, sizeof(text),
		"start each QEMU with its own mac=, such as mac=%s at port %s; where they are one "
		"machine, take away one of its two ways here",
		mac, at);
	rpc_put_text(out, "advice", text);
}

void event_pack_news(
	const char *network, const char *dir, const struct news_item *item, struct rpc_out *out)
{
	begin(event_of_news(item), network, out);
	switch (item->kind) {
	case NEWS_PORT_ATTACHED:
	case NEWS_PORT_CHANGED:
	case NEWS_PORT_DETACHED:
		pack_port_fields(&item->port, dir, out);
		break;
	case NEWS_GROUP:
		rpc_put_mac(out, "group", item->group.mac);
		rpc_put_bool(out, "joined", item->group.joined);
		if (item->group.only != PORT_NONE)
			rpc_put_uint(out, "only", item->group.only);
		break;
	case NEWS_MOVED:
	case NEWS_DUPLICATE:
		rpc_put_mac(out, "mac", item->moved.mac);
		rpc_put_uint(out, "from", item->moved.from);
		rpc_put_text(out, "from_name", item->moved.from_name);
		rpc_put_uint(out, "to", item->moved.to);
		rpc_put_text(out, "to_name", item->moved.to_name);
		if (item->kind == NEWS_DUPLICATE)
			put_advice(&item->moved.own, item->moved.to_name, out);
		break;
	}
	rpc_out_end(out);
}

static void put_groups(struct rpc_out *out, const char *key, const struct groups *groups)
{
	char text[MAC_TEXT];
	rpc_put_array(out, key);
	for (unsigned i = 0; i < groups->n; i++) {
		mac_format(text, groups->mac[i]);
		rpc_out_text(out, text);
	}
	rpc_out_close(out);
}

void event_pack_host_groups(
	const char *network, const struct groups *was, const struct groups *is, struct rpc_out *out)
{
	struct groups joined, left;
	groups_compare(was, is, &joined, &left);
	begin(EVENT_HOST_GROUPS, network, out);
	put_groups(out, "groups", is);
	put_groups(out, "joined", &joined);
	put_groups(out, "left", &left);
	rpc_put_bool(out, "more", is->total > GROUPS_MAX);
	rpc_out_end(out);
}

/* -- topics (sendq.h): 4 bits of kind, 12 of network, 48 of object -- */

uint64_t event_topic(unsigned slot, enum event_kind kind, uint64_t object)
{
	if (!slot || slot >= EVENT_SLOTS || kind == EVENT_NETWORK_REMOVED)
		return 0;
	return (uint64_t)kind << 60 | (uint64_t)slot << 48 | object;
}

uint64_t event_topic_of_news(unsigned slot, const struct news_item *item)
{
	return event_topic(slot, event_of_news(item), news_object(item));
}
