/* ifioctl_darwin.c - see ifioctl_darwin.h. */
#include "server/hostif/ifioctl_darwin.h"

#include <string.h>

#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"

#define DESTROY_TRIES 3u

void ifctl_init(struct ifctl *c)
{
	*c = (struct ifctl){ .inet = -1, .inet6 = -1, .call = "" };
}

void ifctl_close(struct ifctl *c)
{
	if (c->inet >= 0)
		darwin_sys.close(c->inet);
	if (c->inet6 >= 0)
		darwin_sys.close(c->inet6);
	ifctl_init(c);
}

static void copy_name(char out[DW_IFNAMSIZ], const char *name)
{
	size_t n = 0;
	while (n < DW_IFNAMSIZ - 1 && name[n])
		n++;
	memset(out, 0, DW_IFNAMSIZ);
	memcpy(out, name, n);
}

/* Which socket a call goes through matters for addresses only: each family knows its own. */
static int ask_family(struct ifctl *c, int family, const char *call, const char *name,
	unsigned long request, void *arg)
{
	int *fd = family == DW_AF_INET6 ? &c->inet6 : &c->inet;
	copy_name(c->name, name);
	if (*fd < 0) {
		c->call = "socket";
		const int rc = darwin_sys.socket(family, DW_SOCK_DGRAM, 0);
		if (rc < 0)
			return rc;
		*fd = rc;
	}
	c->call = call;
	const int rc = darwin_sys.ioctl(*fd, request, arg);
	return rc < 0 ? rc : 0;
}

static int ask(
	struct ifctl *c, const char *call, const char *name, unsigned long request, void *arg)
{
	return ask_family(c, DW_AF_INET, call, name, request, arg);
}

#define ASK(c, request, name, arg) ask(c, #request, name, DW_##request, arg)

static struct dw_ifreq ifreq(const char *name)
{
	struct dw_ifreq req;
	memset(&req, 0, sizeof(req));
	copy_name(req.name, name);
	return req;
}

int if_create(struct ifctl *c, const char *name)
{
	struct dw_ifreq req = ifreq(name);
	return ASK(c, SIOCIFCREATE, name, &req);
}

int if_destroy(struct ifctl *c, const char *name)
{
	int rc = -DW_EINVAL;
	for (unsigned tries = 0; rc && tries < DESTROY_TRIES; tries++) {
		struct dw_ifreq req = ifreq(name);
		uint32_t flags;
		rc = ASK(c, SIOCIFDESTROY, name, &req);
		if (rc && if_get_flags(c, name, &flags) == -DW_ENXIO)
			rc = 0;
	}
	c->call = "SIOCIFDESTROY";
	return rc;
}

int if_get_flags(struct ifctl *c, const char *name, uint32_t *out)
{
	struct dw_ifreq req = ifreq(name);
	const int rc = ASK(c, SIOCGIFFLAGS, name, &req);
	if (!rc)
		*out = (uint16_t)req.u.flags;
	return rc;
}

int if_set_up(struct ifctl *c, const char *name, bool up)
{
	struct dw_ifreq req = ifreq(name);
	uint32_t flags = 0;
	const int rc = if_get_flags(c, name, &flags);
	if (rc < 0 || !!(flags & DW_IFF_UP) == up)
		return rc;
	flags = up ? flags | DW_IFF_UP : flags & ~DW_IFF_UP;
	req.u.flags = (int16_t)flags;
	return ASK(c, SIOCSIFFLAGS, name, &req);
}

int if_set_mtu(struct ifctl *c, const char *name, uint32_t mtu)
{
	struct dw_ifreq req = ifreq(name);
	req.u.mtu = (int32_t)mtu;
	return ASK(c, SIOCSIFMTU, name, &req);
}

int if_get_mtu_max(struct ifctl *c, const char *name, uint32_t *out)
{
	struct dw_ifreq req = ifreq(name);
	const int rc = ASK(c, SIOCGIFDEVMTU, name, &req);
	if (!rc)
		*out = req.u.devmtu.max > 0 ? (uint32_t)req.u.devmtu.max : 0;
	return rc;
}

int if_set_mac(struct ifctl *c, const char *name, struct feth_mac mac)
{
	struct dw_ifreq req = ifreq(name);
	req.u.addr.len =
		sizeof(mac.b); /* of the MAC, not of the sockaddr; 0 would erase it: rule 17 */
	req.u.addr.family = DW_AF_LINK;
	memcpy(req.u.addr.data, mac.b, sizeof(mac.b));
	return ASK(c, SIOCSIFLLADDR, name, &req);
}

int if_get_caps(struct ifctl *c, const char *name, uint32_t *out)
{
	struct dw_ifreq req = ifreq(name);
	const int rc = ASK(c, SIOCGIFCAP, name, &req);
	if (!rc)
		*out = (uint32_t)req.u.cap[1];
	return rc;
}

static struct dw_ifdrv ifdrv(const char *name, unsigned cmd, struct dw_fake_request *fake)
{
	struct dw_ifdrv drv;
	memset(&drv, 0, sizeof(drv));
	memset(fake, 0, sizeof(*fake));
	copy_name(drv.name, name);
	drv.cmd = cmd;
	drv.len = sizeof(*fake);
	drv.data = fake;
	return drv;
}

int if_set_peer(struct ifctl *c, const char *name, const char *peer)
{
	struct dw_fake_request fake;
	struct dw_ifdrv drv = ifdrv(name, DW_FETH_SET_PEER, &fake);
	copy_name(fake.u.peer_name, peer);
	return ASK(c, SIOCSDRVSPEC, name, &drv);
}

int if_get_peer(struct ifctl *c, const char *name, char out[HOSTIF_NAME])
{
	struct dw_fake_request fake;
	struct dw_ifdrv drv = ifdrv(name, DW_FETH_GET_PEER, &fake);
	const int rc = ASK(c, SIOCGDRVSPEC, name, &drv);
	if (!rc) {
		fake.u.peer_name[DW_IFNAMSIZ - 1] = '\0';
		copy_name(out, fake.u.peer_name);
	}
	return rc;
}

/* -- addresses -- */

/* The first @prefix bits of @len bytes. */
static void put_mask(uint8_t *out, size_t len, unsigned prefix)
{
	for (size_t i = 0; i < len; i++) {
		const unsigned bits = prefix > 8 * i ? prefix - 8 * (unsigned)i : 0;
		out[i] = (uint8_t)(bits >= 8 ? 0xff : 0xff00u >> bits);
	}
}

static struct dw_sockaddr_in inet(const uint8_t addr[4])
{
	struct dw_sockaddr_in sin = { .len = sizeof(sin), .family = DW_AF_INET };
	memcpy(sin.addr, addr, sizeof(sin.addr));
	return sin;
}

static struct dw_sockaddr_in6 inet6(const uint8_t addr[16])
{
	struct dw_sockaddr_in6 sin6 = { .len = sizeof(sin6), .family = DW_AF_INET6 };
	memcpy(sin6.addr, addr, sizeof(sin6.addr));
	return sin6;
}

/* The broadcast address is left out: the kernel makes it of the mask (in.c:in_ifinit()). */
static int add_inet(struct ifctl *c, const char *name, const struct cidr *addr)
{
	struct dw_ifaliasreq req;
	uint8_t mask[4];
	memset(&req, 0, sizeof(req));
	copy_name(req.name, name);
	put_mask(mask, sizeof(mask), addr->prefix);
	req.addr = inet(addr->addr);
	req.mask = inet(mask);
	return ASK(c, SIOCAIFADDR, name, &req);
}

/* No duplicate address detection, for the reason given in netlink_linux.c: nl_addr_add(). */
static int add_inet6(struct ifctl *c, const char *name, const struct cidr *addr)
{
	struct dw_in6_aliasreq req;
	uint8_t mask[16];
	memset(&req, 0, sizeof(req));
	copy_name(req.name, name);
	put_mask(mask, sizeof(mask), addr->prefix);
	req.addr = inet6(addr->addr);
	req.prefixmask = inet6(mask);
	req.flags = DW_IN6_IFF_NODAD;
	req.lifetime.vltime = req.lifetime.pltime = DW_ND6_INFINITE_LIFETIME;
	return ask_family(c, DW_AF_INET6, "SIOCAIFADDR_IN6", name, DW_SIOCAIFADDR_IN6, &req);
}

int if_add_addr(struct ifctl *c, const char *name, const struct cidr *addr)
{
	return addr->family == 6 ? add_inet6(c, name, addr) : add_inet(c, name, addr);
}

int if_delete_addr(struct ifctl *c, const char *name, const struct cidr *addr)
{
	if (addr->family == 6) {
		struct dw_in6_ifreq req;
		memset(&req, 0, sizeof(req));
		copy_name(req.name, name);
		req.u.addr = inet6(addr->addr);
		return ask_family(
			c, DW_AF_INET6, "SIOCDIFADDR_IN6", name, DW_SIOCDIFADDR_IN6, &req);
	}
	struct dw_ifreq req = ifreq(name);
	const struct dw_sockaddr_in sin = inet(addr->addr);
	memcpy(&req.u.addr, &sin, sizeof(sin));
	return ASK(c, SIOCDIFADDR, name, &req);
}
