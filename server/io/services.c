/* services.c - what a network's host member serves beside frames: DHCP and DNS, by a dnsmasq, and
 * NAT. See daemon_priv.h. */
#include <errno.h>

#include "server/base/log.h"
#include "server/core/nat.h"
#include "server/io/daemon_priv.h"
#include "server/priv/verbs.h"

int services_check(const struct network_facts *want, struct err *err)
{
	const struct hostif_ops *ops = hostif_find(want->backend);
	if (want->dhcp.on && ops && ops->layer3)
		return err_set(err, -EINVAL,
			"dhcp: backend %s is an interface of IP packets, and DHCP needs hardware "
			"addresses; use another backend, or none of dhcp",
			want->backend);
	if (want->spec.bridge[0] && ops && ops->layer3)
		return err_set(err, -EINVAL,
			"bridge: backend %s is an interface of IP packets, which no bridge takes; "
			"use another backend, or no bridge",
			want->backend);
	int rc = want->dhcp.on ? verb_dhcp_available(err) : 0;
	if (!rc && want->nat && !nat_possible(&want->spec))
		rc = err_set(err, -EINVAL,
			"nat: the network has no IPv4 address; give one such as 10.77.0.1/24");
	if (!rc && want->nat)
		rc = verb_nat_available(err);
	return rc;
}

/* @made: there may be any; else they were refused, but forwarding may have been switched on. */
static void clear_rules(struct netctl *ent, bool made)
{
	const char *network = ent->facts.spec.network;
	struct err err = { 0 };
	bool last = true;
	for (const struct netctl *e = ent->d->networks; e; e = e->next)
		last = last && (e == ent || !e->natted);
	ent->natted = false;
	if (verb_nat_clear(made ? network : NULL, last, &err) < 0)
		log_warn("services",
			"the rules of nat are still there net=%s: %s; the next start of fethd "
			"tries again",
			network, err.text);
}

/* Also where nothing changed: that brings back what somebody else's flush took. */
int services_rules(struct netctl *ent, const struct network_facts *want, struct err *err)
{
	if (want->nat) {
		/* even a failed attempt may have switched forwarding on */
		const bool before = ent->natted;
		ent->natted = true;
		const int rc = verb_nat_set(&want->spec, err);
		if (rc < 0 && !before)
			clear_rules(ent, rc == -ETIMEDOUT);
		return rc;
	}
	if (ent->natted)
		clear_rules(ent, true);
	return 0;
}

/* Whether a dnsmasq would be told something else. */
static bool same(const struct network_facts *a, const struct network_facts *b)
{
	return a->dhcp.on && b->dhcp.on && dhcp_same(&a->dhcp, &b->dhcp) && a->nat == b->nat &&
	       a->spec.up == b->spec.up &&
	       cidr_equal(&a->spec.addrs[a->dhcp.at], &b->spec.addrs[b->dhcp.at]);
}

void services_dhcp(struct netctl *ent, const struct network_facts *before, bool anew)
{
	const struct network_facts *f = &ent->facts;
	if (!anew &&
		!before) /* new: RUN/state may not have known what is still there of its name */
		services_clean(f->spec.network);
	if (!anew && before && same(before, f))
		return;
	if (f->dhcp.on && f->spec.up) /* of an interface that is down nobody can have the address */
		return dhcpd_start(ent);
	dhcpd_stop(ent);
	if (!f->dhcp.on)
		verb_dhcp_clear(f->spec.network, false);
}

void services_stop(struct netctl *ent)
{
	dhcpd_stop(ent);
	if (ent->natted)
		clear_rules(ent, true);
	if (ent->facts.has_host)
		verb_dhcp_clear(ent->facts.spec.network, false);
}

void services_clean(const char *network)
{
	verb_dhcp_clear(network, true);
}

void services_sweep(void)
{
	const int n = verb_nat_sweep();
	if (n)
		log_info("services", "removed rules=%d of a daemon that did not end well", n);
}
