/* control_settings.c - what a network is and what network.create or network.set want of it give
 * what it shall be. Decides, changes nothing. See daemon_priv.h. */
#include <errno.h>
#include <string.h>

#include "server/io/daemon_priv.h"
#include "server/io/peer.h"

#define MTU_IPV6_MIN 1280u /* RFC 8200, 5 */

static int check_mtu(const struct network_facts *f, struct err *err)
{
	const struct hostif_spec *s = &f->spec;
	if (s->mtu < f->mtu_min || s->mtu > f->mtu_max)
		return err_set(err, -EINVAL, "mtu: %u is out of range; %s networks take %u to %u",
			s->mtu, f->backend, f->mtu_min, f->mtu_max);
	for (unsigned i = 0; i < s->n_addrs; i++)
		if (s->addrs[i].family == 6 && s->mtu < MTU_IPV6_MIN)
			return err_set(err, -EINVAL,
				"mtu: %u is under the 1280 that IPv6 needs; remove the IPv6 "
				"addresses first",
				s->mtu);
	return 0;
}

/* The bridge takes all that comes by its ports, so nobody would ever hear the address. */
static int check_bridge(const struct hostif_spec *s, struct err *err)
{
	char text[CIDR_TEXT];
	if (!s->bridge[0] || !s->n_addrs)
		return 0;
	cidr_format(text, &s->addrs[0]);
	return err_set(err, -EINVAL,
		"bridge: %s: an interface in a bridge can have no addresses; give %s to %s itself, "
		"and none to the network",
		s->network, text, s->bridge);
}

bool control_wants_host(const struct network_want *w)
{
	return w->has_mac || w->has_addrs || w->has_up || w->has_unit ||
	       (w->has_dhcp && w->dhcp.on) || (w->has_nat && w->nat) ||
	       (w->has_bridge && w->bridge[0]);
}

static bool wants_access(const struct network_want *w)
{
	return w->has_owner || w->has_group || w->has_mode || w->has_allow;
}

bool control_wants_kernel(const struct network_want *w)
{
	return w->has_mtu || control_wants_host(w) || w->has_dhcp || w->has_nat || w->has_bridge ||
	       (!w->has_multicast && !w->has_querier && !w->has_too_big && !w->has_defaults &&
		       !wants_access(w));
}

/* DHCP and NAT stand on the addresses: what was so far may not fit the new ones. */
static int set_services(const struct network_want *w, struct network_facts *f, struct err *err)
{
	struct dhcp_want dhcp = w->dhcp;
	if (!w->has_dhcp)
		dhcp = (struct dhcp_want){ f->dhcp.on, f->dhcp.given, f->dhcp.from, f->dhcp.to };
	if (w->has_nat)
		f->nat = w->nat;
	const int rc = dhcp_choose(&f->spec, &dhcp, &f->dhcp, err);
	return rc < 0 ? rc : services_check(f, err);
}

static int find_rule(const struct allow *allow, struct access_rule *out, struct err *err)
{
	out->allow = *allow;
	return allow->group ? group_find(allow->name, &out->id, err)
			    : user_find(allow->name, &out->id, err);
}

/* The same user may have a name and a number: so it is looked for when both are known. */
static int check_rules(const struct access_rules *rules, struct err *err)
{
	unsigned a, b;
	if (!access_twice(rules, &a, &b))
		return 0;
	return err_set(err, -EINVAL, "allow: %s and %s are the same %s; give one rule for it",
		rules->allow[a].allow.name, rules->allow[b].allow.name,
		rules->allow[a].allow.group ? "group" : "user");
}

static int set_access(const struct network_want *w, struct access_rules *rules, struct err *err)
{
	int rc = 0;
	if (w->has_owner) {
		memcpy(rules->owner, w->owner, sizeof(rules->owner));
		rc = user_find(w->owner, &rules->uid, err);
	}
	if (!rc && w->has_group) {
		memcpy(rules->group, w->group, sizeof(rules->group));
		rc = group_find(w->group, &rules->gid, err);
	}
	if (w->has_mode)
		rules->mode = w->mode;
	if (rc < 0 || !w->has_allow)
		return rc;
	memset(rules->allow, 0, sizeof(rules->allow));
	for (unsigned i = 0; !rc && i < w->n_allow; i++)
		rc = find_rule(&w->allow[i], &rules->allow[i], err);
	rules->n_allow = w->n_allow;
	return rc < 0 ? rc : check_rules(rules, err);
}

int control_settings(const struct network_want *w, struct network_facts *f, struct err *err)
{
	struct hostif_spec *s = &f->spec;
	if (w->has_mtu)
		s->mtu = w->mtu;
	if (w->has_mac)
		s->mac = w->mac;
	if (w->has_up)
		s->up = w->up;
	if (w->has_addrs) {
		s->n_addrs = w->n_addrs;
		memcpy(s->addrs, w->addrs, sizeof(s->addrs));
	}
	if (w->has_multicast)
		f->multicast.policy = w->multicast;
	if (w->has_querier)
		f->multicast.querier = w->querier;
	if (w->has_too_big)
		f->too_big = w->too_big;
	if (w->has_defaults)
		f->defaults = w->defaults;
	/* who asks or not: a guest that comes back reports nothing unasked, and would be deaf */
	f->multicast.ask_new = true;
	if (w->has_bridge)
		memcpy(s->bridge, w->bridge, sizeof(s->bridge));
	int rc = check_mtu(f, err);
	if (!rc)
		rc = check_bridge(s, err);
	if (!rc)
		rc = set_access(w, &f->access, err);
	return rc < 0 ? rc : set_services(w, f, err);
}
