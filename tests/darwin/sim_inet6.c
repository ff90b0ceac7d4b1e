/* sim_inet6.c - IPv6 addresses and what they bring along: netinet6/in6.c:in6_control(),
 * in6_update_ifa(), in6_ifattach.c. Detection of duplicates, router solicitation and prefix routes
 * are not simulated. */
#include "tests/darwin/sim_priv.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t link_all_nodes[16] = { 0xff, 2, [15] = 1 };
static const uint8_t if_all_nodes[16] = { 0xff, 1, [15] = 1 };
/* in6_nigroup(): ends with the first bytes of the MD5 of the machine's name, whatever it is */
static const uint8_t node_information[16] = { 0xff, 2, [11] = 2, [12] = 0xff, 0x3c, 0xa1, 0x5e };

static bool is_link_local(const uint8_t a[16])
{
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

static struct sim_addr *find(struct sim_ifnet *ifp, const uint8_t addr[16])
{
	for (struct sim_addr *a = ifp->addrs; a; a = a->next) {
		if (a->family == DW_AF_INET6 && memcmp(a->addr, addr, 16) == 0)
			return a;
	}
	return NULL;
}

/* in6_ifaupdate_aux(): the groups of an address, joined again each time that it is given again */
static void join(struct sim_ifnet *ifp, const struct sim_addr *a, bool on)
{
	uint8_t solicited[16] = { 0xff, 2, [11] = 1, [12] = 0xff };

	memcpy(solicited + 13, a->addr + 13, 3);
	const uint8_t *const groups[] = { solicited, link_all_nodes, node_information,
		if_all_nodes };
	for (unsigned i = 0; i < 4; i++) {
		if (on)
			sim_member_join(ifp, DW_AF_INET6, groups[i]);
		else /* in6_purgeaddr(): the list is that of LIST_INSERT_HEAD() */
			sim_member_leave(ifp, DW_AF_INET6, groups[3 - i]);
	}
}

/* in6_mask2len(), and what makes of its -1 the (uint8_t) in front of it */
static unsigned mask_len(const uint8_t mask[16], size_t bytes)
{
	unsigned n = 0;

	while (n < bytes * 8 && mask[n / 8] & 0x80 >> n % 8)
		n++;
	for (unsigned i = n; i < bytes * 8; i++) {
		if (mask[i / 8] & 0x80 >> i % 8)
			return 255;
	}
	return n;
}

/* in6_update_ifa(). An address that is there already only gets its groups once more. */
static int update(struct sim_ifnet *ifp, const struct dw_in6_aliasreq *req)
{
	if (req->prefixmask.len == 0 || req->prefixmask.len > sizeof(req->prefixmask))
		return -DW_EINVAL;
	/* what lies behind sin6_len does not count, unless nothing of the mask lies before it */
	size_t lim = req->prefixmask.len;
	size_t at = offsetof(struct dw_sockaddr_in6, addr);
	size_t bytes = lim < at || lim - at > 16 ? 16 : lim - at;
	unsigned plen = mask_len(req->prefixmask.addr, bytes);
	if (plen == 0)
		return -DW_EINVAL;
	if (req->lifetime.pltime > req->lifetime.vltime)
		return -DW_EINVAL;
	if (req->dstaddr.family != DW_AF_UNSPEC)
		return -DW_EINVAL;

	struct sim_addr *a = find(ifp, req->addr.addr);
	bool is_new = !a;
	if (is_new) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return -DW_ENOBUFS;
		a->family = DW_AF_INET6;
		memcpy(a->addr, req->addr.addr, 16);
		memcpy(a->mask, req->prefixmask.addr, 16);
		struct sim_addr **end = &ifp->addrs;
		while (*end)
			end = &(*end)->next;
		*end = a;
	}
	a->prefix = plen;
	/* SIOCSIFADDR, which would raise the interface, is never said: the search for an earlier
	 * address meets the link address first, and takes that for one */
	if (is_new)
		sim_tell_addr(ifp, a, true); /* in6_ifaddloop() */
	a->joins++;
	join(ifp, a, true);
	return 0;
}

/* in6_ifattach_aliasreq(): the first address ever brings the link-local one along */
static void attach_link_local(struct sim_ifnet *ifp)
{
	if (ifp->utun) /* IFEF_NOAUTOIPV6LL */
		return;
	struct dw_in6_aliasreq req = { .lifetime = { .vltime = DW_ND6_INFINITE_LIFETIME,
					       .pltime = DW_ND6_INFINITE_LIFETIME } };

	for (const struct sim_addr *a = ifp->addrs; a; a = a->next) {
		if (a->family == DW_AF_INET6 && is_link_local(a->addr))
			return;
	}
	req.addr.len = req.prefixmask.len = sizeof(req.addr);
	req.addr.family = req.prefixmask.family = DW_AF_INET6;
	req.addr.addr[0] = 0xfe;
	req.addr.addr[1] = 0x80;
	/* in6_iid_from_hw(); without a link address it would be borrowed or drawn */
	memcpy(req.addr.addr + 8, ifp->mac, 3);
	req.addr.addr[8] ^= 2;
	req.addr.addr[11] = 0xff;
	req.addr.addr[12] = 0xfe;
	memcpy(req.addr.addr + 13, ifp->mac + 3, 3);
	memset(req.prefixmask.addr, 0xff, 8);
	sim_embed_scope(ifp, req.addr.addr);
	update(ifp, &req);
}

/* in6ctl_aifaddr() */
static int add(struct sim_ifnet *ifp, struct dw_in6_aliasreq *req)
{
	const uint8_t *a = req->addr.addr;
	static const uint8_t zero[12];

	bool compat = memcmp(a, zero, 12) == 0; /* v4-compatible, or unspecified */
	bool loopback = compat && memcmp(a + 12, (const uint8_t[]){ 0, 0, 0, 1 }, 4) == 0;
	bool mapped = memcmp(a, zero, 10) == 0 && a[10] == 0xff && a[11] == 0xff;
	if (a[0] == 0xff || mapped || (compat && !loopback))
		return -DW_EINVAL;

	if (is_link_local(a)) {
		req->addr.addr[2] = req->addr.addr[3] = 0;
		sim_embed_scope(ifp, req->addr.addr);
	}
	if (!ifp->proto_inet6) {
		sim_proto_attach(ifp, DW_AF_INET6);
		attach_link_local(ifp);
	}
	return update(ifp, req);
}

/* in6_purgeaddr() */
static void take_out(struct sim_ifnet *ifp, struct sim_addr *a)
{
	sim_tell_addr(ifp, a, false); /* in6_ifremloop() */
	for (; a->joins > 0; a->joins--)
		join(ifp, a, false);
	for (struct sim_addr **at = &ifp->addrs; *at; at = &(*at)->next) {
		if (*at == a) {
			*at = a->next;
			break;
		}
	}
	free(a);
}

/* The scope of a link-local address in a request: none, or this interface's. */
static bool scope_ok(const struct sim_ifnet *ifp, const struct dw_sockaddr_in6 *sin6)
{
	unsigned embedded = (unsigned)(sin6->addr[2] << 8 | sin6->addr[3]);

	if (sin6->family != DW_AF_INET6 || !is_link_local(sin6->addr))
		return true;
	return (embedded == 0 || embedded == ifp->index) &&
	       (sin6->scope_id == 0 || sin6->scope_id == ifp->index);
}

int sim_in6_control(struct sim_file *f, struct sim_ifnet *ifp, unsigned long request, void *arg)
{
	if (request == DW_SIOCAIFADDR || request == DW_SIOCDIFADDR)
		return -DW_EINVAL; /* IPv4's, on the wrong socket */
	if (request != DW_SIOCAIFADDR_IN6 && request != DW_SIOCDIFADDR_IN6)
		return -DW_EOPNOTSUPP;
	if (sim_euid(f->proc) != 0)
		return -DW_EPERM;

	bool adds = request == DW_SIOCAIFADDR_IN6;
	struct dw_in6_aliasreq *req = arg;
	struct dw_sockaddr_in6 sin6 = adds ? req->addr : ((struct dw_in6_ifreq *)arg)->u.addr;
	if (!scope_ok(ifp, &sin6))
		return -DW_EINVAL;
	struct sim_addr *a = NULL;
	if (sin6.family == DW_AF_INET6) {
		if (is_link_local(sin6.addr))
			sim_embed_scope(ifp, sin6.addr);
		a = find(ifp, sin6.addr);
	}
	if (!adds && !a)
		return -DW_EADDRNOTAVAIL;
	if (sin6.family != DW_AF_INET6 || sin6.len != sizeof(sin6))
		return -DW_EAFNOSUPPORT;
	if (adds)
		return add(ifp, req);
	take_out(ifp, a);
	return 0;
}

void sim_inet6_purge(struct sim_ifnet *ifp)
{
	struct sim_addr *a = ifp->addrs;

	while (a) {
		struct sim_addr *next = a->next;
		if (a->family == DW_AF_INET6)
			take_out(ifp, a);
		a = next;
	}
}
