/* network_macs.c - whose addresses are whose: given to ports, locked, guarded. See network.h.
 *
 * An address given to a port (`mac` or `macs`) is nobody else's: it cannot be given twice, nor be
 * the host's. A port that is locked has its own address in any case, given or derived, and all of
 * them are static in the forwarding table: vswitch.c lets it use these only, and nobody else use
 * them. A port that is not locked may use any that is not guarded, as DECnet's hosts do, which
 * change theirs to AA-00-04-00-xx-xx while they run. */
#include "server/core/network_priv.h"

#include <errno.h>
#include <stdio.h>

static bool has_mac(const struct port_rules *rules, struct feth_mac mac)
{
	for (unsigned i = 0; i < rules->n_macs; i++)
		if (mac_equal(rules->macs[i], mac))
			return true;
	return false;
}

static bool holds(const struct port_rec *rec, struct feth_mac mac)
{
	return ((rec->mac_given || rec->info.locked) && mac_equal(rec->info.mac, mac)) ||
	       has_mac(&rec->info.rules, mac);
}

const char *network_mac_holder(const struct network *net, struct feth_mac mac, uint16_t except)
{
	if (except != PORT_HOST && net->facts.has_host && mac_equal(mac, net->facts.spec.mac))
		return "the host side";
	for (unsigned id = 1; id < FDB_PORTS; id++)
		if (id != except && net->recs[id] && holds(net->recs[id], mac))
			return net->recs[id]->info.name;
	return NULL;
}

struct port_addr network_addr(const struct port_rec *rec)
{
	return (struct port_addr){ rec->mac_given, rec->info.locked, rec->info.mac };
}

struct port_addr network_addr_with(struct port_addr addr, const struct port_conf *conf)
{
	if (conf->mac_given) {
		addr.given = true;
		addr.mac = conf->mac;
	}
	if (conf->has_locked)
		addr.locked = conf->locked;
	return addr;
}

static bool same_macs(const struct port_rules *a, const struct port_rules *b)
{
	for (unsigned i = 0; i < a->n_macs; i++)
		if (!has_mac(b, a->macs[i]))
			return false;
	return a->n_macs == b->n_macs;
}

int network_check_addr(const struct network *net, const struct port_rec *rec,
	const struct port_conf *conf, struct err *err)
{
	const struct port_addr *floor = &rec->floor_addr;
	const char *field = NULL;
	if (conf->control)
		return 0;
	if (conf->rules.given & RULE_MACS && (floor->locked || rec->floor.n_macs) &&
		!same_macs(&conf->rules, &rec->floor))
		field = "macs";
	if (conf->mac_given && (floor->locked || floor->given) && !mac_equal(conf->mac, floor->mac))
		field = "mac";
	if (conf->has_locked && !conf->locked && floor->locked)
		field = "locked";
	if (!field)
		return 0;
	return err_set(err, -EACCES,
		"%s: port %s was declared with what it may use; ask who controls network %s", field,
		rec->info.name, net->facts.spec.network);
}

static int check_mac(const struct network *net, uint16_t id, struct feth_mac mac, struct err *err)
{
	const char *name = net->facts.spec.network;
	if (mac_is_group(mac) || mac_is_zero(mac))
		return err_set(err, -EINVAL,
			"%s: a port's MAC address must be neither a group address nor all zero",
			name);
	const char *holder = network_mac_holder(net, mac, id);
	char text[MAC_TEXT];
	if (!holder)
		return 0;
	mac_format(text, mac);
	return err_set(err, -EEXIST, "%s: the MAC address %s belongs to %s; give another", name,
		text, holder);
}

int network_check_macs(const struct network *net, uint16_t id, const struct port_addr *addr,
	const struct port_rules *rules, struct err *err)
{
	const struct port_rec *rec = net->recs[id];
	int rc = addr->given || addr->locked ? check_mac(net, id, addr->mac, err) : 0;
	for (unsigned i = 0; !rc && i < rules->n_macs; i++)
		rc = check_mac(net, id, rules->macs[i], err);
	if (rc < 0 || !addr->locked)
		return rc;
	const unsigned has = rec && rec->info.locked ? 1u + rec->info.rules.n_macs : 0;
	if (1u + rules->n_macs <= fdb_static_room(&net->sw.fdb) + has)
		return 0;
	return err_set(err, -ENOSPC,
		"%s: no room to lock a port to %u more addresses; a network has %u, and learns in "
		"as many",
		net->facts.spec.network, 1u + rules->n_macs, FDB_CAPACITY / FDB_STATIC_SHARE);
}

/* Each was checked, and there is room for it. */
static void add_static(struct network *net, const struct port_rec *rec)
{
	const struct port_rules *rules = &rec->info.rules;
	(void)fdb_add_static(&net->sw.fdb, mac_key_at(rec->info.mac.b), rec->info.id);
	for (unsigned i = 0; i < rules->n_macs; i++)
		(void)fdb_add_static(&net->sw.fdb, mac_key_at(rules->macs[i].b), rec->info.id);
}

void network_forget_addresses(struct network *net, const struct port_rec *rec)
{
	fdb_forget_port(&net->sw.fdb, rec->info.id);
	if (rec->info.locked)
		add_static(net, rec);
}

/* As if the port had sent a frame without a tag, where it may. */
static void learn(
	struct network *net, const struct port_rec *rec, struct feth_mac mac, uint64_t now_ms)
{
	const struct vlan_rule *vlan = net->sw.ports[rec->info.id].vlan;
	const mac_key key = fdb_key_in(&net->sw.fdb, mac_key_at(mac.b), vlan ? vlan->native : 0);
	uint16_t old;
	if (!vlan || vlan->native) /* of a trunk whose frames all have tags nobody knows in which */
		(void)fdb_learn(&net->sw.fdb, key, rec->info.id, now_ms, &old);
}

void network_learn_given(struct network *net, const struct port_rec *rec, uint64_t now_ms)
{
	const struct port_rules *rules = &rec->info.rules;
	if (!rec->client || rec->info.locked || !rules->up)
		return;
	/* a tap is made with the port's address, given or not, and may never send by itself */
	if (rec->mac_given || rec->info.kind == PORT_KIND_TAP)
		learn(net, rec, rec->info.mac, now_ms);
	for (unsigned i = 0; i < rules->n_macs; i++)
		learn(net, rec, rules->macs[i], now_ms);
}

void network_set_addr(struct network *net, struct port_rec *rec, const struct port_addr *addr)
{
	rec->mac_given = addr->given;
	rec->info.mac = addr->mac;
	rec->info.locked = net->sw.ports[rec->info.id].locked = addr->locked;
	network_forget_addresses(net, rec);
	network_learn_given(net, rec, net->now_ms);
}

void network_note_move(struct network *net, uint64_t now_ms)
{
	const mac_key key = net->sw.moved.key;
	const uint16_t from = net->sw.moved.from, to = net->sw.moved.to;
	twins_moved(&net->twins, key, from, to, now_ms);
	if (net->events->moved)
		net->events->moved(net->ctx, mac_of_key(key), from, to);
}

/* An address for a station at a port: what the port has where it is given none, unless that is
 * @taken; then one that no port has, for none is called so. */
static struct feth_mac own_mac(const struct network *net, uint16_t port, struct feth_mac taken)
{
	const char *network = net->facts.spec.network, *name = network_port_name(net, port);
	const struct feth_mac mac = netid_mac(&net->key, network, name);
	char other[FETH_NAME_MAX + 3];
	snprintf(other, sizeof(other), "%s.2", name);
	return mac_equal(mac, taken) ? netid_mac(&net->key, network, other) : mac;
}

/* The one at the host side keeps its address. */
void network_tell_twins(struct network *net, uint64_t now_ms)
{
	struct twin w;
	while (twins_next(&net->twins, now_ms, &w)) {
		const struct feth_mac mac = mac_of_key(w.key);
		const uint16_t from = w.to == PORT_HOST ? w.to : w.from;
		const uint16_t to = w.to == PORT_HOST ? w.from : w.to;
		if (net->events->duplicate)
			net->events->duplicate(net->ctx, mac, from, to, own_mac(net, to, mac));
	}
}
