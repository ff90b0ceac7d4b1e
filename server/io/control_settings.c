/* control_settings.c - what a network is and what network.create or network.set want of it give
 * what it shall be. Decides, changes nothing. See daemon_priv.h. */
#include <errno.h>
#include <string.h>

#include "server/io/daemon_priv.h"

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

bool control_wants_host(const struct network_want *w)
{
	return w->has_mac || w->has_addrs || w->has_up || w->has_unit ||
	       (w->has_dhcp && w->dhcp.on) || (w->has_nat && w->nat);
}

bool control_wants_kernel(const struct network_want *w)
{
	return w->has_mtu || control_wants_host(w) ||
	       (!w->has_multicast && !w->has_querier && !w->has_defaults);
}

/* DHCP and NAT stand on the addresses: what was so far may not fit the new ones. */
static int set_services(const struct network_want *w, struct network_facts *f, struct err *err)
{
	struct dhcp_want dhcp = w->dhcp;
	if (!w->has_dhcp)
		dhcp = (struct dhcp_want){ f->dhcp.on, f->dhcp.given, f->dhcp.from, f->dhcp.to };
	if (w->has_nat)
		f->nat = w->nat;
	if (dhcp.on || f->nat)
		return err_set(
			err, -EOPNOTSUPP, "%s: dhcp and nat are not there yet", f->spec.network);
	return dhcp_choose(&f->spec, &dhcp, &f->dhcp, err);
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
	if (w->has_defaults)
		f->defaults = w->defaults;
	/* who asks or not: a guest that comes back reports nothing unasked, and would be deaf */
	f->multicast.ask_new = true;
	const int rc = check_mtu(f, err);
	return rc < 0 ? rc : set_services(w, f, err);
}
