/* sim_inet.c - IPv4 addresses and what they bring along: netinet/in.c:in_control(), in_ifinit(),
 * raw_ip.c:rip_ctlinput(). The ARP announcement of a new address is not simulated. */
#include "tests/darwin/sim_priv.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t all_hosts[4] = { 224, 0, 0, 1 };

static uint32_t word(const uint8_t b[4])
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put_word(uint8_t b[4], uint32_t w)
{
	for (unsigned i = 0; i < 4; i++)
		b[i] = (uint8_t)(w >> (24 - 8 * i));
}

/* -- the subnet's route: one per subnet, whoever came first has it -- */

static bool subnet_taken(const struct sim *sim, const struct sim_addr *a)
{
	for (const struct sim_ifnet *ifp = sim->ifnets; ifp; ifp = ifp->next) {
		for (const struct sim_addr *b = ifp->addrs; b; b = b->next) {
			if (b != a && b->route && word(b->mask) == word(a->mask) &&
				((word(b->addr) ^ word(a->addr)) & word(a->mask)) == 0)
				return true;
		}
	}
	return false;
}

/* rtinit(RTM_ADD): EEXIST is no failure for in_ifinit(), but then nobody is told */
static void route_add(struct sim_ifnet *ifp, struct sim_addr *a)
{
	if (a->route || subnet_taken(ifp->sim, a))
		return;
	if (ifp->flags & DW_IFF_POINTOPOINT) /* without an address of the other end: none */
		return;
	a->route = true;
	sim_tell_addr(ifp, a, true);
}

/* in_ifscrub() */
static void route_delete(struct sim_ifnet *ifp, struct sim_addr *a)
{
	if (!a->route)
		return;
	a->route = false;
	sim_tell_addr(ifp, a, false);
}

void sim_inet_updown(struct sim_ifnet *ifp, bool up)
{
	for (struct sim_addr *a = ifp->addrs; a; a = a->next) {
		if (a->family != DW_AF_INET)
			continue;
		if (up)
			route_add(ifp, a);
		else
			route_delete(ifp, a);
	}
}

/* -- addresses -- */

static struct sim_addr *first(struct sim_ifnet *ifp)
{
	struct sim_addr *a = ifp->addrs;

	while (a && a->family != DW_AF_INET)
		a = a->next;
	return a;
}

static struct sim_addr *find(struct sim_ifnet *ifp, const uint8_t addr[4])
{
	for (struct sim_addr *a = ifp->addrs; a; a = a->next) {
		if (a->family == DW_AF_INET && memcmp(a->addr, addr, 4) == 0)
			return a;
	}
	return NULL;
}

/* ifnet_ioctl(PF_INET, SIOCSIFADDR), which is said of the first address whenever another one
 * changes, too: ether_inet_pr_module.c:ether_inet_prmod_ioctl() raises what does not run, then
 * if_fake.c:feth_ioctl() whatever is down. */
static void raise(struct sim_ifnet *ifp)
{
	if (!ifp->attached)
		return;
	if (!(ifp->flags & DW_IFF_RUNNING)) {
		sim_set_flags(ifp, DW_IFF_UP, DW_IFF_UP);
		sim_feth_ioctl(NULL, ifp, DW_SIOCSIFFLAGS, NULL);
	}
	if (ifp->feth)
		sim_set_flags(ifp, DW_IFF_UP, DW_IFF_UP);
}

/* in_ifinit(): @a has its mask already, all zero for the one of its class */
static void init(struct sim_ifnet *ifp, struct sim_addr *a, bool is_new)
{
	uint32_t host = word(a->addr);

	raise(ifp);
	if (is_new) {
		/* only now, as IFD_NOTREADY keeps the rise from giving it a route */
		struct sim_addr **at = &ifp->addrs;
		while (*at)
			at = &(*at)->next;
		*at = a;
	}
	if (word(a->mask) == 0) {
		put_word(a->mask, host >> 31 == 0   ? 0xff000000u
				  : host >> 30 == 2 ? 0xffff0000u
						    : 0xffffff00u);
	}
	a->prefix = 0;
	while (a->prefix < 32 && word(a->mask) << a->prefix & 0x80000000u)
		a->prefix++;
	put_word(a->broad, (host & word(a->mask)) | ~word(a->mask));
	route_add(ifp, a);
	if (ifp->flags & DW_IFF_MULTICAST && !ifp->all_hosts) {
		ifp->all_hosts = true;
		sim_member_join(ifp, DW_AF_INET, all_hosts);
	}
}

/* SIOCAIFADDR: in_control() and inctl_ifaddr(). To give an address again is no mistake: with a
 * mask, its route goes and comes. */
static int add(struct sim_ifnet *ifp, const struct dw_ifaliasreq *req)
{
	uint32_t host = word(req->addr.addr);

	if (req->addr.family != DW_AF_INET)
		return -DW_EINVAL;
	if (host >> 28 == 14 || host == 0xffffffffu || host == 0)
		return -DW_EINVAL;

	struct sim_addr *a = find(ifp, req->addr.addr);
	bool is_new = !a;
	if (is_new) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return -DW_ENOBUFS;
		a->family = DW_AF_INET;
		memcpy(a->addr, req->addr.addr, 4);
		sim_proto_attach(ifp, DW_AF_INET); /* in_domifattach() */
	}
	bool has_mask = req->mask.len != 0;
	if (has_mask) {
		route_delete(ifp, a);
		memcpy(a->mask, req->mask.addr, 4);
	}
	if (is_new || has_mask)
		init(ifp, a, is_new);
	if (req->broadaddr.family == DW_AF_INET)
		memcpy(a->broad, req->broadaddr.addr, 4);
	return 0;
}

/* The address leaves the list; inctl_ifaddr(), SIOCDIFADDR. PF_INET stays attached. */
static void take_out(struct sim_ifnet *ifp, struct sim_addr *a)
{
	route_delete(ifp, a);
	for (struct sim_addr **at = &ifp->addrs; *at; at = &(*at)->next) {
		if (*at == a) {
			*at = a->next;
			break;
		}
	}
	free(a);
	if (first(ifp)) {
		raise(ifp);
	} else if (ifp->all_hosts) {
		ifp->all_hosts = false;
		sim_member_leave(ifp, DW_AF_INET, all_hosts);
	}
}

/* SIOCDIFADDR. Of an address that says no family the first one is meant. */
static int delete (struct sim_ifnet *ifp, const struct dw_ifreq *req)
{
	struct dw_sockaddr_in sin;

	memcpy(&sin, &req->u.addr, sizeof(sin));
	struct sim_addr *a = find(ifp, sin.addr);
	if (!a && sin.family != DW_AF_INET)
		a = first(ifp);
	if (!a)
		return -DW_EADDRNOTAVAIL;
	take_out(ifp, a);
	return 0;
}

int sim_in_control(struct sim_file *f, struct sim_ifnet *ifp, unsigned long request, void *arg)
{
	if (request != DW_SIOCAIFADDR && request != DW_SIOCDIFADDR)
		return -DW_EOPNOTSUPP;
	if (sim_euid(f->proc) != 0)
		return -DW_EPERM;
	return request == DW_SIOCAIFADDR ? add(ifp, arg) : delete (ifp, arg);
}

void sim_inet_purge(struct sim_ifnet *ifp)
{
	struct sim_addr *a;

	while ((a = first(ifp)))
		take_out(ifp, a);
	sim_inet6_purge(ifp);
}

void sim_inet_free(struct sim_ifnet *ifp)
{
	while (ifp->addrs) {
		struct sim_addr *a = ifp->addrs;
		ifp->addrs = a->next;
		free(a);
	}
	while (ifp->members) {
		struct sim_member *m = ifp->members;
		ifp->members = m->next;
		free(m);
	}
}
