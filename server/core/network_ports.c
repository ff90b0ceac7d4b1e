/* network_ports.c - ports come and go. See network.h. */
#include "server/core/network_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct port_rec *network_rec(const struct network *net, uint16_t id)
{
	return id && id < FDB_PORTS ? net->recs[id] : NULL;
}

struct port_rec *network_rec_named(const struct network *net, const char *name)
{
	for (unsigned id = 1; id < FDB_PORTS; id++)
		if (net->recs[id] && name_same(net->recs[id]->info.name, name))
			return net->recs[id];
	return NULL;
}

void network_choose_name(const struct network *net, const char *prefix, char out[FETH_NAME_MAX + 1])
{
	const size_t len = strlen(prefix);
	bool taken[PORTS_MAX + 2] = { false };
	for (unsigned id = 1; id < FDB_PORTS; id++) {
		char head[FETH_NAME_MAX + 1];
		if (!net->recs[id])
			continue;
		const char *name = net->recs[id]->info.name;
		snprintf(head, sizeof(head), "%.*s", (int)len, name);
		if (!name_same(head, prefix) || name[len] != '-')
			continue;
		const unsigned long n = strtoul(name + len + 1, NULL, 10);
		if (n <= PORTS_MAX)
			taken[n] = true; /* also "qemu-7x": it does no harm to pass 7 over */
	}
	unsigned n = 1;
	while (taken[n])
		n++; /* ends: PORTS_MAX names at most are taken, and one of these is free */
	snprintf(out, FETH_NAME_MAX + 1, "%s-%u", prefix, n);
}

static void tell_port(const struct network *net, const struct port_info *info, bool changed)
{
	if (net->events->port)
		net->events->port(net->ctx, info, changed);
}

/* Makes the record of a port that has the settings of @conf, checked. */
static int make_rec(
	struct network *net, const struct port_conf *conf, struct port_rec **out, struct err *err)
{
	const char *name = net->facts.spec.network;
	struct port_rules floor = rules_builtin;
	rules_take(&floor, &net->facts.defaults);
	const int allowed = network_check_rules(net, &floor, conf, err);
	if (allowed < 0)
		return allowed;

	uint16_t id = 1;
	while (id <= PORTS_MAX && net->recs[id])
		id++;
	if (id > PORTS_MAX)
		return err_set(err, -ENOSPC, "%s: all %u ports are in use", name, PORTS_MAX);
	struct port_rec *rec = calloc(1, sizeof(*rec));
	if (!rec)
		return err_set(err, -ENOMEM, "%s: out of memory", name);

	rec->info.id = id;
	rec->info.kind = conf->kind;
	rec->info.tap = conf->tap;
	rec->info.dial = conf->dial;
	if (conf->name[0])
		snprintf(rec->info.name, sizeof(rec->info.name), "%s", conf->name);
	else
		network_choose_name(net, port_kind_name(conf->kind), rec->info.name);
	rec->since_ms = net->now_ms;
	rec->info.mac = netid_mac(&net->key, name, rec->info.name);
	rec->floor_addr = network_addr(rec);
	rec->floor = rec->info.rules = floor;
	rules_take(&rec->info.rules, &conf->rules);
	const struct port_addr addr = network_addr_with(rec->floor_addr, conf);
	const int rc = network_check_macs(net, id, &addr, &rec->info.rules, err);
	if (rc < 0) {
		free(rec);
		return rc;
	}
	net->recs[id] = rec;
	net->sw.ports[id] = (struct vport){ 0 };
	network_apply_rules(net, rec);
	network_set_addr(net, rec, &addr);
	network_watch_port(net, rec, true);
	*out = rec;
	return 0;
}

static void drop_rec(struct network *net, struct port_rec *rec)
{
	const uint16_t id = rec->info.id;
	fdb_forget_port(&net->sw.fdb, id);
	port_stats_add(&net->retired, &rec->stats);
	network_watch_port(net, rec, false);
	net->recs[id] = NULL;
	network_vlan_apply(net, rec, false);
	free(rec);
}

/* The record a client is to have: the declared one of that name, or a new one. */
static int find_or_make(
	struct network *net, const struct port_conf *conf, struct port_rec **out, struct err *err)
{
	const char *name = net->facts.spec.network;
	struct port_rec *rec = conf->name[0] ? network_rec_named(net, conf->name) : NULL;
	if (!rec && conf->take_only)
		return err_set(err, -ENOENT, "%s: there is no port %s", name, conf->name);
	if (!rec)
		return make_rec(net, conf, out, err);
	if (rec->client)
		return err_set(err, -EBUSY, "%s: port %s has a client; choose another name", name,
			rec->info.name);
	if (dial_text_any(&rec->info.dial) && !conf->dialled)
		return err_set(err, -EBUSY,
			"%s: port %s is for whom it calls itself; choose another name", name,
			rec->info.name);
	if (rec->info.kind != conf->kind)
		return err_set(err, -EEXIST, "%s: port %s is of kind %s", name, rec->info.name,
			port_kind_name(rec->info.kind));
	if (conf->mac_given && !mac_equal(conf->mac, rec->info.mac))
		return err_set(err, -EEXIST, "%s: port %s is declared with another MAC address",
			name, rec->info.name);
	struct port_rules rules = rec->info.rules;
	const struct port_addr addr = network_addr(rec);
	rules_take(&rules, &conf->rules);
	int rc = network_check_rules(net, &rec->floor, conf, err);
	if (!rc)
		rc = network_check_addr(net, rec, conf, err);
	if (!rc)
		rc = network_check_macs(net, rec->info.id, &addr, &rules, err);
	if (rc < 0)
		return rc;
	rec->info.rules = rules;
	if (conf->rules.given & RULE_MACS)
		network_set_addr(net, rec, &addr);
	*out = rec;
	return 0;
}

int network_attach(struct network *net, const struct port_conf *conf, struct port *port,
	uint64_t now_ms, struct port_info *out, struct err *err)
{
	struct port_rec *rec;
	net->now_ms = now_ms;
	if (conf->monitor)
		return network_monitor_attach(net, conf, port, out, err);
	const int rc = find_or_make(net, conf, &rec, err);
	if (rc < 0)
		return rc;

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): err_set() returns the code given */
	const uint16_t id = rec->info.id;
	rec->client = port;
	rules_take(&rec->asked, &conf->rules);
	rec->info.attached = true;
	rec->info.uid = conf->uid;
	rec->info.pid = conf->pid;
	rec->info.ring = conf->ring;
	port->id = id;
	port->stats = &rec->stats;
	rec->info.offload = conf->offload;
	rec->info.why[0] = '\0';
	network_apply_rules(net, rec);
	net->attached[net->n_attached++] = id;
	net->facts.ports = net->n_attached;
	mcast_attach(&net->sw.mcast, id);
	network_learn_given(net, rec, now_ms);
	network_announce_port(net, rec);
	*out = rec->info;
	net->events->ports(net->ctx, net->n_attached);
	tell_port(net, out, false);
	return 0;
}

void network_detach(struct network *net, struct port *port)
{
	struct port_rec *rec = net->recs[port->id];
	unsigned i = 0;
	if (rec->monitor) {
		network_monitor_detach(net, port);
		return;
	}
	while (net->attached[i] != port->id)
		i++;
	net->attached[i] = net->attached[--net->n_attached];
	net->facts.ports = net->n_attached;

	rec->client = NULL;
	rec->touched = false;
	rec->info.attached = false;
	rec->info.uid = rec->info.pid = rec->info.ring = 0;
	rec->info.offload = (struct port_offload){ 0 };
	network_loop_forget(net, rec);
	rec->info.rules = rec->floor; /* what the client itself asked for goes with it */
	rec->asked = (struct port_rules){ 0 };
	network_apply_rules(net, rec);
	network_set_addr(net, rec, &rec->floor_addr);
	const struct port_info info = rec->info;
	port->stats = NULL;
	mcast_detach(&net->sw.mcast, info.id);
	twins_forget(&net->twins, info.id);
	if (!info.declared)
		drop_rec(net, rec);
	net->events->ports(net->ctx, net->n_attached);
	tell_port(net, &info, false);
	network_tell_groups(net);
}

int network_declare(
	struct network *net, const struct port_conf *conf, struct port_info *out, struct err *err)
{
	if (network_rec_named(net, conf->name))
		return err_set(err, -EEXIST, "%s: there is a port %s already",
			net->facts.spec.network, conf->name);
	struct port_rec *rec;
	const int rc = make_rec(net, conf, &rec, err);
	if (rc < 0)
		return rc;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): err_set() returns the code given */
	rec->info.declared = true;
	rec->floor = rec->info.rules;
	rec->floor_addr = network_addr(rec);
	*out = rec->info;
	tell_port(net, out, true);
	return 0;
}

bool network_calls(const struct network *net, const char *name, enum port_kind kind,
	const struct dial_text *dial)
{
	const struct port_rec *rec = network_rec_named(net, name);
	return rec && rec->info.declared && rec->info.kind == kind &&
	       dial_text_same(&rec->info.dial, dial);
}

void network_set_why(struct network *net, const char *name, const char *why)
{
	struct port_rec *rec = network_rec_named(net, name);
	if (!rec || !rec->info.declared || rec->client || !strcmp(rec->info.why, why))
		return;
	snprintf(rec->info.why, sizeof(rec->info.why), "%s", why);
	tell_port(net, &rec->info, true);
}

int network_remove_port(struct network *net, const char *name, struct err *err)
{
	struct port_rec *rec = network_rec_named(net, name);
	if (!rec)
		return err_set(err, -ENOENT,
			"%s: there is no port %s; fethctl port list %s shows them",
			net->facts.spec.network, name, net->facts.spec.network);
	rec->info.declared = false; /* so that detaching takes the record away */
	if (rec->client) {
		rec->client->ops->close(rec->client, false);
		return 0;
	}
	const struct port_info info = rec->info;
	drop_rec(net, rec);
	tell_port(net, &info, false);
	return 0;
}
