/* network_command.c - a network answers the control plane. See command.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/core/network_priv.h"

struct port_info network_host_info(const struct network *net)
{
	struct port_info info = {
		.id = PORT_HOST,
		.name = "host",
		.kind = PORT_KIND_HOST,
		.attached = net->host != NULL,
		.declared = true,
		.mac = net->facts.spec.mac,
		.locked = true,
		.mtu = net->facts.spec.mtu,
		.cap = frame_room(net->facts.spec.mtu, true),
		.rules = net->host_side.info.rules,
		.looped = net->host_side.info.looped,
	};
	return info;
}

/* Calls @item for each number that the list asks for, the host side first. */
static void for_each_port(struct network *net, struct command *cmd,
	void (*item)(struct network *net, struct command *cmd, uint16_t id))
{
	uint64_t id = net->facts.has_host ? 0 : 1;
	if (cmd->has_after)
		id = cmd->after_n < FDB_PORTS ? cmd->after_n + 1 : FDB_PORTS;
	for (; id < FDB_PORTS; id++) {
		if (id && !net->recs[id])
			continue;
		if (cmd->n_items == cmd->limit) {
			cmd->more = true;
			return;
		}
		item(net, cmd, (uint16_t)id);
		cmd->n_items++;
	}
}

static void put_info(struct network *net, struct command *cmd, uint16_t id)
{
	cmd->items.ports[cmd->n_items] = id ? net->recs[id]->info : network_host_info(net);
}

static void put_counters(struct network *net, struct command *cmd, uint16_t id)
{
	const struct port_rec *rec = net->recs[id];
	struct port_counters *c = &cmd->items.counters[cmd->n_items];
	c->id = id;
	memcpy(c->name, id ? rec->info.name : "host", id ? sizeof(c->name) : sizeof("host"));
	c->stats = rec->stats;
	c->age_ms = id && net->now_ms > rec->since_ms ? net->now_ms - rec->since_ms : 0;
	c->queued_bytes = id && rec->client ? rec->client->ops->queued(rec->client) : 0;
}

const char *network_port_name(const struct network *net, uint16_t id)
{
	const struct port_rec *rec = network_rec(net, id);
	if (rec)
		return rec->info.name;
	return id == PORT_HOST && net->facts.has_host ? "host" : "";
}

static void list_groups(struct network *net, struct command *cmd)
{
	struct group_row *rows = calloc(cmd->limit + 1, sizeof(*rows));
	if (!rows) {
		err_set(&cmd->err, -ENOMEM, "%s: out of memory", net->facts.spec.network);
		return;
	}
	unsigned n = network_group_list(
		net, cmd->after_mac, (uint16_t)cmd->after_n, cmd->has_after, rows, cmd->limit + 1);
	cmd->more = n > cmd->limit;
	if (cmd->more)
		n = cmd->limit;
	for (unsigned i = 0; i < n; i++) {
		struct group_info *info = &cmd->items.members[i];
		info->row = rows[i];
		snprintf(
			info->name, sizeof(info->name), "%s", network_port_name(net, rows[i].port));
	}
	cmd->n_items = n;
	free(rows);
}

static void list_fdb(struct network *net, struct command *cmd, uint64_t now_ms)
{
	struct fdb_info *found = calloc(cmd->limit, sizeof(*found));
	if (!found) {
		err_set(&cmd->err, -ENOMEM, "%s: out of memory", net->facts.spec.network);
		return;
	}
	const size_t n = fdb_list(&net->sw.fdb, cmd->has_after ? &cmd->after_mac : NULL,
		(uint16_t)cmd->after_n, now_ms, found, cmd->limit, &cmd->more);
	for (size_t i = 0; i < n; i++) {
		struct fdb_row *row = &cmd->items.fdb[i];
		row->info = found[i];
		snprintf(row->name, sizeof(row->name), "%s", network_port_name(net, found[i].port));
	}
	cmd->n_items = (uint32_t)n;
	free(found);
}

static void flush_fdb(struct network *net, struct command *cmd)
{
	const struct fdb_want *w = &cmd->in.fdb;
	const char *network = net->facts.spec.network;
	uint16_t port = w->port;
	if (w->has_port && w->name[0]) {
		const struct port_rec *rec = network_rec_named(net, w->name);
		port = rec ? rec->info.id : PORT_HOST;
		if (!rec && !(net->facts.has_host && name_same(w->name, "host")))
			err_set(&cmd->err, -ENOENT,
				"%s: there is no port %s; fethctl port list %s shows them", network,
				w->name, network);
	} else if (w->has_port &&
		   !(port == PORT_HOST ? net->facts.has_host : network_rec(net, port) != NULL)) {
		err_set(&cmd->err, -ENOENT,
			"%s: there is no port %u; fethctl port list %s shows them", network,
			(unsigned)port, network);
	}
	if (cmd->err.code)
		return;
	const mac_key key = mac_key_at(w->mac.b);
	cmd->out.flushed =
		fdb_flush(&net->sw.fdb, w->has_port ? port : PORT_NONE, w->has_mac ? &key : NULL);
}

static void sum_up(const struct network *net, struct network_sum *sum)
{
	sum->stats = net->retired;
	for (unsigned id = 0; id < FDB_PORTS; id++)
		if (net->recs[id] && !net->recs[id]->monitor)
			port_stats_add(&sum->stats, &net->recs[id]->stats);
	sum->moves = net->sw.moves;
	sum->multicast = *network_multicast_stats(net);
	sum->too_big_answered = net->toobig.bucket.answered;
	sum->too_big_limited = net->toobig.bucket.limited;
	fdb_count(&net->sw.fdb, &sum->learned, &sum->statics);
	sum->groups = net->sw.mcast.table.n_groups;
	sum->queue_memory = net->pool.used;
}

static bool same_addresses(const struct hostif_spec *a, const struct hostif_spec *b)
{
	if (!mac_equal(a->mac, b->mac) || a->n_addrs != b->n_addrs)
		return false;
	for (unsigned i = 0; i < a->n_addrs; i++)
		if (!cidr_equal(&a->addrs[i], &b->addrs[i]))
			return false;
	return true;
}

static bool spec_same(const struct hostif_spec *a, const struct hostif_spec *b)
{
	return a->mtu == b->mtu && a->up == b->up && !strcmp(a->bridge, b->bridge) &&
	       same_addresses(a, b);
}

static bool mcast_same(const struct mcast_conf *a, const struct mcast_conf *b)
{
	return a->policy == b->policy && a->querier == b->querier && a->ask_new == b->ask_new;
}

/* Sets the MTU of every port and tells the clients what is true now. Raising: the word is queued
 * before the cap rises, so that no larger frame comes before it; lowering: the other way round. */
static void tell_ports(struct network *net, uint32_t old_mtu)
{
	const uint32_t mtu = net->facts.spec.mtu;
	const bool lower = mtu < old_mtu;
	network_apply_rules(net, &net->host_side);
	for (unsigned id = 1; id < FDB_PORTS; id++) {
		struct port_rec *rec = net->recs[id];
		if (!rec)
			continue;
		if (lower)
			network_apply_rules(net, rec);
		if (rec->client && rec->client->ops->changed)
			rec->client->ops->changed(rec->client, &net->facts);
		if (net->recs[id] == rec) /* it has not left meanwhile */
			network_apply_rules(net, rec);
	}
	if (net->events->changed)
		net->events->changed(net->ctx, &net->facts);
}

/* Checks what is wanted; an MTU that shrinks does so here, before the kernel's. */
static void prepare(struct network *net, struct command *cmd)
{
	const struct network_facts *want = &cmd->out.facts;
	if (!mac_equal(want->spec.mac, net->facts.spec.mac)) {
		const char *holder = network_mac_holder(net, want->spec.mac, PORT_HOST);
		if (holder) {
			err_set(&cmd->err, -EEXIST,
				"%s: that MAC address belongs to port %s; give another",
				net->facts.spec.network, holder);
			return;
		}
	}
	const uint32_t old = net->facts.spec.mtu;
	if (want->spec.mtu < old) {
		net->facts.spec.mtu = want->spec.mtu;
		tell_ports(net, old);
	}
}

static void set_facts(struct network *net, struct command *cmd)
{
	const struct network_facts *facts = &cmd->out.facts;
	const uint32_t old = net->facts.spec.mtu;
	if (facts->has_host && !mac_equal(facts->spec.mac, net->facts.spec.mac)) {
		fdb_remove_static(&net->sw.fdb, mac_key_at(net->facts.spec.mac.b), PORT_HOST);
		(void)fdb_add_static(&net->sw.fdb, mac_key_at(facts->spec.mac.b), PORT_HOST);
	}
	if (facts->has_host && !same_addresses(&facts->spec, &net->facts.spec))
		network_announce_host(net);
	const bool same = spec_same(&facts->spec, &net->facts.spec) &&
			  mcast_same(&facts->multicast, &net->facts.multicast) &&
			  dhcp_same(&facts->dhcp, &net->facts.dhcp) &&
			  facts->nat == net->facts.nat && facts->carrier == net->facts.carrier &&
			  facts->bridged == net->facts.bridged &&
			  facts->bridge_mtu == net->facts.bridge_mtu &&
			  facts->too_big == net->facts.too_big &&
			  rules_same(&facts->defaults, &net->facts.defaults) &&
			  access_same(&facts->access, &net->facts.access);
	net->facts = *facts;
	net->facts.ports = net->n_attached;
	(void)network_set_multicast(net, &net->facts.multicast);
	if (!same)
		tell_ports(net, old);
}

static void remove_port(struct network *net, struct command *cmd)
{
	const struct port_rec *rec = network_rec_named(net, cmd->in.conf.name);
	if (rec)
		cmd->out.port = rec->info; /* its name in the case it was declared with */
	(void)network_remove_port(net, cmd->in.conf.name, &cmd->err);
}

static void set_port(struct network *net, struct command *cmd, uint64_t now_ms)
{
	const struct port_conf *conf = &cmd->in.conf;
	const struct port_rec *rec = network_rec_named(net, conf->name);
	if (!rec && net->facts.has_host && name_same(conf->name, "host"))
		rec = &net->host_side;
	if (rec)
		(void)network_set_port(net, rec->info.id, conf, now_ms, &cmd->out.port, &cmd->err);
	else
		err_set(&cmd->err, -ENOENT,
			"%s: there is no port %s; fethctl port list %s shows them",
			net->facts.spec.network, conf->name, net->facts.spec.network);
}

/* What is listed is all there is, or it is worth nothing. */
static void set_host_groups(struct network *net, const struct groups *before_and_now)
{
	const struct groups *now = before_and_now ? &before_and_now[1] : NULL;
	if (now && now->total <= GROUPS_MAX)
		network_set_host_groups(net, now->mac, now->n);
	else
		network_set_host_groups(net, NULL, 0);
}

static bool alloc_items(struct command *cmd, size_t size)
{
	cmd->items.any = calloc(cmd->limit, size);
	if (!cmd->items.any)
		err_set(&cmd->err, -ENOMEM, "%s: out of memory", cmd->network);
	return cmd->items.any;
}

void network_command(struct network *net, struct command *cmd, uint64_t now_ms)
{
	net->now_ms = now_ms;
	memcpy(cmd->dir, net->facts.path, sizeof(cmd->dir));
	switch (cmd->kind) {
	case CMD_NETWORK_SHOW:
		cmd->out.facts = net->facts;
		break;
	case CMD_PORT_ADD:
		(void)network_declare(net, &cmd->in.conf, &cmd->out.port, &cmd->err);
		break;
	case CMD_PORT_REMOVE:
		remove_port(net, cmd);
		break;
	case CMD_PORT_SET:
		set_port(net, cmd, now_ms);
		break;
	case CMD_PORT_LIST:
		if (alloc_items(cmd, sizeof(*cmd->items.ports)))
			for_each_port(net, cmd, put_info);
		break;
	case CMD_STATS_GET:
		if (alloc_items(cmd, sizeof(*cmd->items.counters)))
			for_each_port(net, cmd, put_counters);
		sum_up(net, &cmd->out.sum);
		break;
	case CMD_GROUP_LIST:
		if (alloc_items(cmd, sizeof(*cmd->items.members)))
			list_groups(net, cmd);
		break;
	case CMD_HOST_GROUPS:
		set_host_groups(net, cmd->items.groups);
		break;
	case CMD_FDB_LIST:
		if (alloc_items(cmd, sizeof(*cmd->items.fdb)))
			list_fdb(net, cmd, now_ms);
		break;
	case CMD_FDB_FLUSH:
		flush_fdb(net, cmd);
		break;
	case CMD_APPLY_CHECK:
		(void)network_apply_check(net, cmd->asked, &cmd->err);
		break;
	case CMD_APPLY_PORTS:
		(void)network_apply_ports(net, cmd->asked, now_ms, &cmd->err);
		break;
	case CMD_LIST_DECLARED:
		network_list_declared(net, cmd);
		break;
	case CMD_PREPARE:
		prepare(net, cmd);
		break;
	case CMD_FACTS:
		set_facts(net, cmd);
		break;
	case CMD_HELLO:
	case CMD_ATTACH:
	case CMD_DETACH:
	case CMD_GROUP_JOIN:
	case CMD_GROUP_LEAVE:
	case CMD_RPC_METHODS:
	case CMD_EVENT_SUBSCRIBE:
	case CMD_EVENTS:
	case CMD_PORT_TAP:
	case CMD_PORT_DIAL:
	case CMD_NETWORK_APPLY:
	case CMD_DAEMON_RELOAD:
	case CMD_NETWORK_CREATE:
	case CMD_NETWORK_DELETE:
	case CMD_NETWORK_LIST:
	case CMD_NETWORK_SET:
	case CMD_NETWORK_ENTER:
	case CMD_DAEMON_SHOW:
	case CMD_DAEMON_SET:
	case CMD_DAEMON_STOP:
	case CMD_PORT_OPEN:
	case CMD_PORT_LISTEN:
	case CMD_HOST:
	case CMD_COUNTERS:
		err_set(&cmd->err, -EOPNOTSUPP, "%s: not a network's command",
			net->facts.spec.network);
		break;
	}
}
