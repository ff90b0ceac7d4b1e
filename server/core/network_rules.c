/* network_rules.c - the rules of ports, and what follows from them. See network.h. */
#include "server/core/network_priv.h"

#include <errno.h>

/* The cap of a port as a payload: what vswitch.h and network.c measure frames by. */
static uint32_t payload_cap(const struct network *net, const struct port_rec *rec)
{
	const uint32_t client = rec->client ? rec->client->frame_max : 0;
	uint32_t cap = frame_room(net->facts.spec.mtu, true);
	if (rec->info.rules.cap && rec->info.rules.cap < cap)
		cap = rec->info.rules.cap;
	if (client && client < cap)
		cap = client;
	return cap - frame_room(0, true);
}

void network_apply_rules(struct network *net, struct port_rec *rec)
{
	struct vport *vport = &net->sw.ports[rec->info.id];
	const uint32_t bridge = net->facts.bridge_mtu;
	vport->mtu = payload_cap(net, rec);
	/* a bridge drops without a word what is too long for its next port: here it is counted */
	if (rec == &net->host_side && bridge && bridge < vport->mtu)
		vport->mtu = bridge;
	vport->special = net->sw.vlans || rec->info.looped || rules_special(&rec->info.rules);
	if (rec != &net->host_side) /* which network_set_host() knows of */
		vport->owes = rec->info.rules.raw_offload || (rec->client && rec->client->owes);
	rec->info.mtu = net->facts.spec.mtu;
	rec->info.cap = frame_room(vport->mtu, true);
	network_vlan_apply(net, rec, rec->info.rules.vlan.kind != VLAN_TRANSPARENT);
	if (rec->client && rec->client->ops->limit)
		rec->client->ops->limit(rec->client, rec->info.rules.queue);
}

/* What was learned of a port whose link goes down is true no longer; one that comes up is as good
 * as new, though its client still has joined what it had joined. */
static void change_link(struct network *net, const struct port_rec *rec, uint64_t now_ms)
{
	if (!rec->client)
		return;
	if (rec->info.rules.up) {
		mcast_attach(&net->sw.mcast, rec->info.id);
		network_learn_given(net, rec, now_ms);
		network_announce_port(net, rec);
	} else {
		mcast_forget(&net->sw.mcast, rec->info.id);
		network_forget_addresses(net, rec);
		network_tell_groups(net);
	}
}

int network_check_rules(const struct network *net, const struct port_rules *floor,
	const struct port_conf *conf, struct err *err)
{
	const char *field = conf->control ? NULL : rules_loosened(floor, &conf->rules);
	if (!field)
		return 0;
	return err_set(err, -EACCES,
		"%s: this loosens what network %s says of the port; ask who controls the network",
		field, net->facts.spec.network);
}

/* What else it has is the network's: network.set. */
static int set_host(
	struct network *net, const struct port_conf *conf, struct port_info *out, struct err *err)
{
	struct port_rec *rec = &net->host_side;
	const struct port_rules before = rec->info.rules;
	const uint32_t foreign = conf->rules.given & ~rules_host.given;
	const char *field = conf->mac_given    ? "mac"
			    : conf->has_locked ? "locked"
					       : rules_name(foreign);
	if (field)
		return err_set(err, -EINVAL,
			"%s: the host side has rx_rate, tx_rate, storm and loop_guard of its own; "
			"all else is "
			"the network's, see network.set",
			field);
	rules_take(&rec->info.rules, &conf->rules);
	if (!rec->info.rules.loop_guard)
		network_loop_forget(net, rec);
	network_apply_rules(net, rec);
	*out = network_host_info(net);
	if (!rules_same(&before, &rec->info.rules) && net->events->port)
		net->events->port(net->ctx, out, true);
	return 0;
}

bool network_port_loosened(const struct network *net, uint16_t id)
{
	const struct port_rec *rec = network_rec(net, id);
	if (!rec || rec->monitor)
		return false;
	const struct port_conf now = {
		.rules = rec->info.rules,
		.mac_given = rec->mac_given,
		.mac = rec->info.mac,
		.has_locked = true,
		.locked = rec->info.locked,
	};
	return network_check_rules(net, &rec->floor, &now, NULL) < 0 ||
	       network_check_addr(net, rec, &now, NULL) < 0;
}

int network_set_port(struct network *net, uint16_t id, const struct port_conf *conf,
	uint64_t now_ms, struct port_info *out, struct err *err)
{
	struct port_rec *rec = id < FDB_PORTS ? net->recs[id] : NULL;
	if (!rec || (id == PORT_HOST && !net->facts.has_host))
		return err_set(
			err, -ENOENT, "%s: there is no port %u", net->facts.spec.network, id);
	if (rec->monitor)
		return err_set(err, -EINVAL,
			"%s: %s is a monitor, which has no rules: it sends nothing, and sees all",
			net->facts.spec.network, rec->info.name);
	if (id == PORT_HOST)
		return set_host(net, conf, out, err);
	const struct port_rules before = rec->info.rules;
	const struct port_addr old = network_addr(rec);
	const struct port_addr addr = network_addr_with(old, conf);
	struct port_rules rules = before;
	rules_take(&rules, &conf->rules);
	int rc = network_check_rules(net, &rec->floor, conf, err);
	if (!rc)
		rc = network_check_addr(net, rec, conf, err);
	if (!rc)
		rc = network_check_macs(net, id, &addr, &rules, err);
	if (rc < 0)
		return rc;
	rec->info.rules = rules;
	if (!rules.loop_guard)
		network_loop_forget(net, rec);
	if (conf->control) {
		rules_take(&rec->floor, &conf->rules);
		rec->floor_addr = network_addr_with(rec->floor_addr, conf);
		rec->asked.given &= ~conf->rules.given;
	} else {
		rules_take(&rec->asked, &conf->rules);
	}
	network_apply_rules(net, rec);
	const bool same_addr = old.given == addr.given && old.locked == addr.locked &&
			       mac_equal(old.mac, addr.mac);
	if (!same_addr || conf->rules.given & RULE_MACS) {
		network_set_addr(net, rec, &addr);
		network_announce_port(net, rec);
	}
	*out = rec->info;
	if (same_addr && rules_same(&before, &rec->info.rules))
		return 0;
	if (!vlan_same(&before.vlan, &rec->info.rules.vlan)) {
		network_forget_addresses(net, rec);
		network_learn_given(net, rec, now_ms);
	}
	if (before.up != rec->info.rules.up)
		change_link(net, rec, now_ms);
	if (net->events->port)
		net->events->port(net->ctx, out, true);
	return 0;
}
