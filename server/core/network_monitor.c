/* network_monitor.c - who watches a network: comes, goes, and sees its frames. See network.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/core/network_priv.h"

/* The port that is to be watched, by number or name; a monitor is none. */
static int find_watched(const struct network *net, struct monitor_conf *conf, struct err *err)
{
	const char *name = net->facts.spec.network;
	if (!conf->one)
		return 0;
	const bool host = conf->name[0] ? name_same(conf->name, "host") : conf->port == PORT_HOST;
	if (host && net->facts.has_host) {
		conf->port = PORT_HOST;
		return 0;
	}
	const struct port_rec *rec =
		conf->name[0] ? network_rec_named(net, conf->name) : network_rec(net, conf->port);
	if (rec && !rec->monitor) {
		conf->port = rec->info.id;
		return 0;
	}
	if (conf->name[0])
		return err_set(err, -ENOENT,
			"%s: there is no port %s to watch; fethctl port list %s shows them", name,
			conf->name, name);
	return err_set(err, -ENOENT,
		"%s: there is no port %u to watch; fethctl port list %s shows them", name,
		conf->port, name);
}

/* Numbers from the top, so that those of ports are as if nobody watched. */
static uint16_t free_number(const struct network *net)
{
	uint16_t id = PORTS_MAX;
	while (id && net->recs[id])
		id--;
	return id;
}

int network_monitor_attach(struct network *net, const struct port_conf *conf, struct port *port,
	struct port_info *out, struct err *err)
{
	const char *name = net->facts.spec.network;
	const uint16_t id = free_number(net);
	if (net->n_monitors == MONITORS_MAX)
		return err_set(err, -EBUSY, "%s: %u monitors watch already, which is the limit",
			name, MONITORS_MAX);
	if (!id)
		return err_set(err, -ENOSPC, "%s: all %u ports are in use", name, PORTS_MAX);
	if (conf->name[0] && network_rec_named(net, conf->name))
		return err_set(err, -EBUSY, "%s: there is a port %s already; choose another name",
			name, conf->name);
	struct port_rec *rec = calloc(1, sizeof(*rec));
	int rc = rec ? monitor_new(&rec->monitor, conf->monitor, port) : -ENOMEM;
	if (rc < 0) {
		free(rec);
		return err_set(err, rc, "%s: out of memory", name);
	}
	rc = find_watched(net, monitor_conf(rec->monitor), err);
	if (rc < 0) {
		monitor_free(rec->monitor);
		free(rec);
		return rc;
	}
	rec->info = (struct port_info){
		.id = id,
		.kind = conf->kind,
		.attached = true,
		.monitor = true,
		.rules = rules_builtin,
		.mtu = net->facts.spec.mtu,
		.uid = conf->uid,
		.pid = conf->pid,
	};
	if (conf->name[0])
		snprintf(rec->info.name, sizeof(rec->info.name), "%s", conf->name);
	else
		network_choose_name(net, "monitor", rec->info.name);
	rec->since_ms = net->now_ms;
	rec->client = port;
	port->id = id;
	port->stats = &rec->stats;
	net->recs[id] = rec;
	net->monitors[net->n_monitors++] = rec;
	net->pool.limit += MONITOR_POOL;
	rec->info.rules.queue = MONITOR_QUEUE;
	if (port->ops->limit)
		port->ops->limit(port, MONITOR_QUEUE);
	net->seen_ns = 0;
	*out = rec->info;
	if (net->events->port)
		net->events->port(net->ctx, out, false);
	return 0;
}

void network_monitor_detach(struct network *net, struct port *port)
{
	struct port_rec *rec = net->recs[port->id];
	struct port_info info = rec->info;
	unsigned i = 0;
	while (net->monitors[i] != rec)
		i++;
	net->monitors[i] = net->monitors[--net->n_monitors];
	net->recs[info.id] = NULL;
	net->pool.limit -= MONITOR_POOL;
	port->stats = NULL;
	monitor_free(rec->monitor);
	free(rec);
	info.attached = false;
	info.uid = info.pid = 0;
	if (net->events->port)
		net->events->port(net->ctx, &info, false);
}

void network_watch_port(struct network *net, const struct port_rec *rec, bool there)
{
	for (unsigned i = 0; i < net->n_monitors; i++) {
		struct monitor_conf *conf = monitor_conf(net->monitors[i]->monitor);
		if (conf->one && conf->name[0] && name_same(conf->name, rec->info.name))
			conf->port = there ? rec->info.id : PORT_NONE;
	}
}

/* -- frames -- */

/* Whether a verdict has @port among those that the frames are for. What its own rules then say of
 * them is another matter. */
static bool goes_to(
	const struct network *net, struct verdict v, const struct portset *to, uint16_t port)
{
	struct portset set;
	if (net->sw.vlans && !network_vlan_reaches(net, port))
		return false;
	switch ((enum verdict_kind)v.kind) {
	case VERDICT_DROP:
		return false;
	case VERDICT_PORT:
		return v.port == port;
	case VERDICT_FLOOD:
		return port == PORT_HOST || (net->recs[port] && net->recs[port]->client);
	case VERDICT_GROUP:
		if (!to)
			mcast_set(&net->sw.mcast, v.port, &set);
		return portset_has(to ? to : &set, port);
	}
	return false;
}

static void show(struct network *net, uint16_t in, struct verdict v, const struct portset *to,
	const struct frame *frames, unsigned n)
{
	const struct sighting seen = { .ns = net->seen_ns, .in = in, .verdict = v };
	for (unsigned i = 0; i < net->n_monitors; i++) {
		struct monitor *m = net->monitors[i]->monitor;
		const struct monitor_conf *conf = monitor_conf(m);
		if (!conf->one || (conf->port != PORT_NONE &&
					  (conf->port == in || goes_to(net, v, to, conf->port))))
			monitor_take(m, &seen, frames, n);
		net->work += n * (1u + conf->n_steps / 16); /* instructions of BPF: a ns each */
	}
}

void network_watch(struct network *net, uint16_t in, struct verdict v, const struct portset *to,
	struct frame *frames, unsigned n)
{
	if (!net->seen_ns) {
		const struct port *port = net->monitors[0]->client;
		net->seen_ns = port->ops->now_ns(port);
	}
	if (!net->offload->owing) {
		show(net, in, v, to, frames, n);
		return;
	}
	for (unsigned used; n; frames += used, n -= used) { /* as they would be on a wire */
		struct frame *out;
		unsigned n_out;
		used = network_offload_next(net, 0, 0, frames, n, &out, &n_out);
		show(net, in, v, to, out, n_out);
	}
}

void network_watch_flush(struct network *net)
{
	for (unsigned i = 0; i < net->n_monitors; i++)
		monitor_flush(net->monitors[i]->monitor);
	net->seen_ns = 0;
}
