/* network_apply.c - makes the declared ports of a network what they shall be. See apply.h and
 * network_priv.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/network_priv.h"

static bool is_wanted(const struct apply *a, const char *name)
{
	for (uint32_t i = 0; i < a->n_ports; i++)
		if (name_same(a->ports[i].name, name))
			return true;
	return false;
}

/* Whether the port is there only because the last apply said so, and this one does not. */
static bool is_old(const struct apply *a, const struct port_rec *rec)
{
	if (!rec->info.declared || is_wanted(a, rec->info.name))
		return false;
	for (uint32_t i = 0; i < a->n_old; i++)
		if (name_same(a->old[i].text, rec->info.name))
			return true;
	return false;
}

/* Whether an address is somebody's who will not give it up. */
static int check_mac(const struct network *net, const struct apply *a, const struct port_conf *conf,
	const char *field, struct feth_mac mac, struct err *err)
{
	const struct port_rec *rec = network_rec_named(net, conf->name);
	const char *holder = network_mac_holder(net, mac, rec ? rec->info.id : PORT_NONE);
	const struct port_rec *other = holder ? network_rec_named(net, holder) : NULL;
	if (!holder || (other && (is_old(a, other) || is_wanted(a, holder))))
		return 0;
	return err_set(err, -EEXIST, "port %s: %s: that address belongs to %s; give another",
		conf->name, field, holder);
}

/* A port that is locked, and was given no address, has the one of its name to itself. */
static int check_derived(const struct network *net, const struct apply *a,
	const struct port_conf *conf, struct err *err)
{
	const struct feth_mac mac = netid_mac(&net->key, net->facts.spec.network, conf->name);
	for (uint32_t i = 0; i < a->n_ports; i++) {
		const struct port_conf *other = &a->ports[i];
		bool same = other->mac_given && mac_equal(other->mac, mac);
		for (unsigned k = 0; k < other->rules.n_macs; k++)
			same |= mac_equal(other->rules.macs[k], mac);
		if (same && other != conf)
			return err_set(err, -EEXIST,
				"port %s: mac: that address belongs to %s, which is locked to it; "
				"give another",
				other->name, conf->name);
	}
	return check_mac(net, a, conf, "locked", mac, err);
}

static int check_port(const struct network *net, const struct apply *a,
	const struct port_conf *conf, struct err *err)
{
	const struct port_rec *rec = network_rec_named(net, conf->name);
	if (rec && !rec->info.declared)
		return err_set(err, -EBUSY,
			"port %s: a client has this name that was not declared; declare another, "
			"or remove it first",
			conf->name);
	if (rec && rec->info.kind != conf->kind && !a->replace)
		return err_set(err, -EBUSY,
			"port %s: its kind is %s, which cannot change while it is there; with "
			"replace it is removed and made anew",
			conf->name, port_kind_name(rec->info.kind));
	if (rec && !tapplace_same(&rec->info.tap, &conf->tap) && !a->replace)
		return err_set(err, -EBUSY,
			"port %s: ifname: its interface is %s%s%s, which cannot change while it is "
			"there; with replace it is removed and made anew",
			conf->name, rec->info.tap.ifname, rec->info.tap.netns[0] ? " in " : "",
			rec->info.tap.netns);
	if (rec && !dial_text_same(&rec->info.dial, &conf->dial) && !a->replace)
		return err_set(err, -EBUSY,
			"port %s: %s: whom it calls (%s) cannot change while it is there; with "
			"replace it is removed and made anew",
			conf->name, conf->kind == PORT_KIND_QEMU ? "connect" : "remote",
			rec->info.dial.connect[0]  ? rec->info.dial.connect
			: rec->info.dial.remote[0] ? rec->info.dial.remote
						   : "nobody");
	int rc = conf->mac_given ? check_mac(net, a, conf, "mac", conf->mac, err)
		 : conf->locked  ? check_derived(net, a, conf, err)
				 : 0;
	for (unsigned i = 0; !rc && i < conf->rules.n_macs; i++)
		rc = check_mac(net, a, conf, "macs", conf->rules.macs[i], err);
	return rc;
}

int network_apply_check(const struct network *net, const struct apply *a, struct err *err)
{
	unsigned n = a->n_ports;
	for (unsigned id = 1; id < FDB_PORTS; id++)
		if (net->recs[id] && !is_old(a, net->recs[id]) &&
			!is_wanted(a, net->recs[id]->info.name))
			n++;
	if (n > PORTS_MAX)
		return err_set(err, -ENOSPC,
			"%s: with these ports there would be %u; %u are possible",
			net->facts.spec.network, n, PORTS_MAX);
	for (uint32_t i = 0; i < a->n_ports; i++) {
		const int rc = check_port(net, a, &a->ports[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void note(struct apply *a, enum apply_what what, const struct port_info *info)
{
	struct apply_done *d = &a->done[a->n_done++];
	d->what = what;
	d->kind = info->kind;
	memcpy(d->name, info->name, sizeof(d->name));
	d->mac = info->mac;
	d->tap = info->tap;
	d->dial = info->dial;
}

static int remove_one(
	struct network *net, struct apply *a, const struct port_info *info, struct err *err)
{
	const struct port_info was = *info;
	const int rc = network_remove_port(net, was.name, err);
	if (!rc)
		note(a, APPLY_REMOVED, &was);
	return rc;
}

static int remove_all(struct network *net, struct apply *a, struct err *err)
{
	int rc = 0;
	for (unsigned id = 1; id < FDB_PORTS && !rc; id++)
		if (net->recs[id] && is_old(a, net->recs[id]))
			rc = remove_one(net, a, &net->recs[id]->info, err);
	for (uint32_t i = 0; i < a->n_ports && !rc; i++) {
		const struct port_rec *rec = network_rec_named(net, a->ports[i].name);
		if (rec && !(rec->info.kind == a->ports[i].kind &&
				   tapplace_same(&rec->info.tap, &a->ports[i].tap) &&
				   dial_text_same(&rec->info.dial, &a->ports[i].dial)))
			rc = remove_one(net, a, &rec->info, err);
	}
	return rc;
}

/* The address of a port that is declared so. */
static struct port_addr declared_addr(const struct network *net, const struct port_conf *conf)
{
	return (struct port_addr){
		.given = conf->mac_given,
		.locked = conf->locked,
		.mac = conf->mac_given ? conf->mac
				       : netid_mac(&net->key, net->facts.spec.network, conf->name),
	};
}

/* All rules that it has then. */
static struct port_rules declared_rules(const struct network *net, const struct port_conf *conf)
{
	struct port_rules rules = rules_builtin;
	rules_take(&rules, &net->facts.defaults);
	rules_take(&rules, &conf->rules);
	return rules;
}

static bool is_declared_so(
	const struct network *net, const struct port_rec *rec, const struct port_conf *conf)
{
	const struct port_addr addr = declared_addr(net, conf), *is = &rec->floor_addr;
	const struct port_rules rules = declared_rules(net, conf);
	return addr.given == is->given && addr.locked == is->locked &&
	       mac_equal(addr.mac, is->mac) && rules_same(&rules, &rec->floor);
}

/* Ports that swap addresses have none meanwhile. */
static void give_up_macs(struct network *net, const struct apply *a)
{
	for (uint32_t i = 0; i < a->n_ports; i++) {
		struct port_rec *rec = network_rec_named(net, a->ports[i].name);
		if (!rec || is_declared_so(net, rec, &a->ports[i]))
			continue;
		const struct port_addr none = { .mac = netid_mac(&net->key, net->facts.spec.network,
							rec->info.name) };
		rec->info.rules.n_macs = 0;
		network_set_addr(net, rec, &none);
	}
}

/* The applying failed before these had what they shall have: as far as nobody else has it now, they
 * get back what was theirs. */
static void take_macs_back(struct network *net, const struct apply *a, uint32_t from)
{
	struct err err;
	for (uint32_t i = from; i < a->n_ports; i++) {
		struct port_rec *rec = network_rec_named(net, a->ports[i].name);
		if (!rec ||
			network_check_macs(net, rec->info.id, &rec->floor_addr, &rec->floor, &err))
			continue;
		rec->info.rules.n_macs = rec->floor.n_macs;
		memcpy(rec->info.rules.macs, rec->floor.macs, sizeof(rec->floor.macs));
		network_set_addr(net, rec, &rec->floor_addr);
	}
}

/* A declared port becomes what @conf says, and what that does not say the default. Its client
 * stays, and with it what it asked for itself (decision 11) as far as that is no looser. */
static int redeclare(struct network *net, struct port_rec *rec, const struct port_conf *conf,
	uint64_t now_ms, struct err *err)
{
	const struct port_addr addr = declared_addr(net, conf);
	const struct port_rules rules = declared_rules(net, conf);
	const struct port_rules asked = rec->asked;
	struct port_rules may = asked;
	struct port_conf all = { .control = true, .rules = rules };
	/* `macs` are given anew with the address */
	may.given &= ~(rules_looser(&rules, &asked) | RULE_MACS);
	rules_take(&all.rules, &may);
	struct port_info info;
	int rc = network_check_macs(net, rec->info.id, &addr, &all.rules, err);
	if (!rc)
		rc = network_set_port(net, rec->info.id, &all, now_ms, &info, err);
	if (rc < 0)
		return rc;
	rec->floor = rules;
	rec->asked = asked; /* also what it may not have now: the next time it may */
	rec->floor_addr = addr;
	network_set_addr(net, rec, &addr);
	if (net->events->port)
		net->events->port(net->ctx, &rec->info, true);
	return 0;
}

static int declare(struct network *net, struct apply *a, const struct port_conf *conf,
	uint64_t now_ms, struct err *err)
{
	struct port_rec *rec = network_rec_named(net, conf->name);
	struct port_info info;
	struct err why = { 0 };
	if (rec && is_declared_so(net, rec, conf))
		return 0;
	const int rc = rec ? redeclare(net, rec, conf, now_ms, &why)
			   : network_declare(net, conf, &info, &why);
	if (rc < 0)
		return err_set(err, rc, "port %s: %s", conf->name, why.text);
	note(a, rec ? APPLY_CHANGED : APPLY_ADDED, rec ? &rec->info : &info);
	return 0;
}

int network_apply_ports(struct network *net, struct apply *a, uint64_t now_ms, struct err *err)
{
	a->n_done = 0;
	a->done = calloc(2 * (size_t)a->n_ports + a->n_old + 1, sizeof(*a->done));
	if (!a->done)
		return err_set(err, -ENOMEM, "%s: out of memory", net->facts.spec.network);
	int rc = remove_all(net, a, err);
	if (rc < 0)
		return rc;
	uint32_t i = 0;
	give_up_macs(net, a);
	for (; i < a->n_ports && !rc; i++)
		rc = declare(net, a, &a->ports[i], now_ms, err);
	if (rc < 0)
		take_macs_back(net, a, i - 1);
	return rc;
}

void network_list_declared(const struct network *net, struct command *cmd)
{
	uint32_t n = 0;
	for (unsigned id = 1; id < FDB_PORTS; id++)
		n += net->recs[id] && net->recs[id]->info.declared;
	struct port_info *now = calloc(2 * (size_t)n + 1, sizeof(*now));
	if (!now) {
		err_set(&cmd->err, -ENOMEM, "%s: out of memory", net->facts.spec.network);
		return;
	}
	cmd->items.ports = now;
	for (unsigned id = 1; id < FDB_PORTS; id++) {
		const struct port_rec *rec = net->recs[id];
		if (!rec || !rec->info.declared)
			continue;
		struct port_info *is = &now[cmd->n_items], *standard = &now[n + cmd->n_items];
		cmd->n_items++;
		const struct port_conf nothing = { .kind = rec->info.kind };
		*is = *standard = rec->info;
		is->rules = rec->floor; /* without what its client has asked for */
		is->mac = rec->floor_addr.mac;
		is->locked = rec->floor_addr.locked;
		standard->rules = declared_rules(net, &nothing);
		standard->mac = netid_mac(&net->key, net->facts.spec.network, rec->info.name);
		standard->locked = false;
		/* as nobody sees it, since its cap is a result of rules and network; none of its
		 * own is a cap over all networks' */
		is->cap = rec->floor.cap ? rec->floor.cap : FETH_FRAME_MAX;
		standard->cap = standard->rules.cap ? standard->rules.cap : FETH_FRAME_MAX;
	}
}
