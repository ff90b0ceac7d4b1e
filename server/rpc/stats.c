/* stats.c - fdb.list, fdb.flush and stats.get. */
#include <errno.h>

#include "server/rpc/method.h"

/* `after`: a MAC address, or [MAC, VLAN], as `next` has it. */
int parse_FDB_LIST(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	const msgpack_object *o;
	const int rc = want_network(params, cmd, err);
	if (rc < 0)
		return rc;
	char text[MAC_TEXT];
	const enum rpc_field f = rpc_get(params, "after", &o);
	if (f == RPC_FIELD_ABSENT)
		return want_limit(params, cmd, err);
	if (f == RPC_FIELD_OK && o->type == MSGPACK_OBJECT_ARRAY) {
		const msgpack_object_array *pair = &o->via.array;
		o = pair->size == 2 ? &pair->ptr[0] : NULL;
		if (o && pair->ptr[1].type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
			pair->ptr[1].via.u64 <= VLAN_MAX + 1)
			cmd->after_n = pair->ptr[1].via.u64;
		else
			o = NULL;
	}
	cmd->has_after = f == RPC_FIELD_OK && o && rpc_text(o, text, sizeof(text)) &&
			 mac_parse(&cmd->after_mac, text);
	if (!cmd->has_after)
		return bad_field(err, "after",
			"must be a MAC address, or an array of one and a VLAN, the `next` of an "
			"earlier answer");
	return want_limit(params, cmd, err);
}

/* A port's number, or its name. */
static int want_port(const msgpack_object_map *params, struct fdb_want *w, struct err *err)
{
	static const char why[] = "must be a port's number or name";
	uint64_t n = 0;
	switch (rpc_get_uint(params, "port", &n)) {
	case RPC_FIELD_ABSENT:
		return 0;
	case RPC_FIELD_OK:
		if (n >= FDB_PORTS)
			return bad_field(err, "port", why);
		w->has_port = true;
		w->port = (uint16_t)n;
		return 0;
	case RPC_FIELD_BAD:
		break;
	}
	if (rpc_get_text(params, "port", w->name, sizeof(w->name)) != RPC_FIELD_OK ||
		!name_valid(w->name))
		return bad_field(err, "port", why);
	w->has_port = true;
	return 0;
}

int parse_FDB_FLUSH(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	struct fdb_want *w = &cmd->in.fdb;
	int rc = want_network(params, cmd, err);
	if (!rc)
		rc = want_port(params, w, err);
	return rc ? rc : want_mac(params, "mac", &w->has_mac, &w->mac, err);
}

int parse_STATS_GET(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	return parse_PORT_LIST(params, cmd, err);
}

static void put_next(const struct fdb_info *last, struct rpc_out *out)
{
	char text[MAC_TEXT];
	mac_format(text, last->mac);
	if (!last->vlan) {
		rpc_put_text(out, "next", text);
		return;
	}
	rpc_put_array(out, "next");
	rpc_out_text(out, text);
	rpc_out_uint(out, last->vlan);
	rpc_out_close(out);
}

void pack_FDB_LIST(const struct command *cmd, struct rpc_out *out)
{
	rpc_out_map(out);
	rpc_put_array(out, "items");
	uint32_t i = 0;
	for (; i < cmd->n_items && !list_full(out); i++) {
		const struct fdb_row *row = &cmd->items.fdb[i];
		rpc_out_map(out);
		rpc_put_mac(out, "mac", row->info.mac);
		if (row->info.vlan)
			rpc_put_uint(out, "vlan", row->info.vlan);
		rpc_put_uint(out, "port", row->info.port);
		rpc_put_text(out, "name", row->name);
		rpc_put_bool(out, "static", row->info.is_static);
		if (!row->info.is_static)
			rpc_put_uint(out, "age", row->info.age_ms);
		rpc_out_close(out);
	}
	rpc_out_close(out);
	if (cmd->more || i < cmd->n_items) {
		put_next(&cmd->items.fdb[i - 1].info, out);
	} else {
		rpc_out_text(out, "next");
		rpc_out_nil(out);
	}
	rpc_out_close(out);
}

void pack_FDB_FLUSH(const struct command *cmd, struct rpc_out *out)
{
	rpc_out_map(out);
	rpc_put_uint(out, "flushed", cmd->out.flushed);
	rpc_out_close(out);
}

static void put_stats(const struct port_stats *s, struct rpc_out *out)
{
	rpc_put_uint(out, "rx_frames", s->rx_frames);
	rpc_put_uint(out, "rx_bytes", s->rx_bytes);
	rpc_put_uint(out, "tx_frames", s->tx_frames);
	rpc_put_uint(out, "tx_bytes", s->tx_bytes);
	rpc_put_map(out, "drops");
	for (unsigned r = 0; r < DROP_N; r++)
		if (s->drops[r])
			rpc_put_uint(out, drop_name((enum drop_reason)r), s->drops[r]);
	rpc_out_close(out);
}

static void put_multicast(const struct mcast_stats *m, struct rpc_out *out)
{
	rpc_put_map(out, "multicast");
	rpc_put_uint(out, "reports", m->reports);
	rpc_put_uint(out, "queries", m->queries);
	rpc_put_uint(out, "bad", m->bad);
	rpc_put_uint(out, "full", m->full);
	rpc_put_uint(out, "unwanted", m->unwanted);
	rpc_out_close(out);
}

static void put_too_big(const struct network_sum *sum, struct rpc_out *out)
{
	rpc_put_map(out, "too_big");
	rpc_put_uint(out, "answered", sum->too_big_answered);
	rpc_put_uint(out, "limited", sum->too_big_limited);
	rpc_out_close(out);
}

void pack_STATS_GET(const struct command *cmd, struct rpc_out *out)
{
	rpc_out_map(out);
	rpc_put_array(out, "items");
	uint32_t i = 0;
	for (; i < cmd->n_items && !list_full(out); i++) {
		const struct port_counters *c = &cmd->items.counters[i];
		rpc_out_map(out);
		rpc_put_uint(out, "port", c->id);
		rpc_put_text(out, "name", c->name);
		if (c->id != PORT_HOST)
			rpc_put_uint(out, "age", c->age_ms);
		rpc_put_uint(out, "queued_bytes", c->queued_bytes);
		put_stats(&c->stats, out);
		rpc_out_close(out);
	}
	rpc_out_close(out);
	rpc_out_text(out, "next");
	if (cmd->more || i < cmd->n_items)
		rpc_out_uint(out, cmd->items.counters[i - 1].id);
	else
		rpc_out_nil(out);
	rpc_put_map(out, "network");
	put_stats(&cmd->out.sum.stats, out);
	rpc_put_uint(out, "moves", cmd->out.sum.moves);
	put_multicast(&cmd->out.sum.multicast, out);
	put_too_big(&cmd->out.sum, out);
	rpc_put_map(out, "addresses");
	rpc_put_uint(out, "learned", cmd->out.sum.learned);
	rpc_put_uint(out, "static", cmd->out.sum.statics);
	rpc_out_close(out);
	rpc_put_uint(out, "groups", cmd->out.sum.groups);
	rpc_put_uint(out, "queue_memory", cmd->out.sum.queue_memory);
	rpc_out_close(out);
	rpc_out_close(out);
}
