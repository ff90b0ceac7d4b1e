/* rules_net.c - interfaces, for the rules: making them, and what is read about them. See rules.h.
 */
#include "tests/darwin/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_WAIT_MS 10000u /* Apple's own tests allow 6 s (net_test_lib.c:ifnet_create_common) */

void if_name(char out[DW_IFNAMSIZ], unsigned unit)
{
	snprintf(out, DW_IFNAMSIZ, "feth%u", unit);
}

void if_fresh(char out[DW_IFNAMSIZ])
{
	if_name(out, rules_unit());
}

/* One for each call: its owner is whoever calls now, and a test makes few. */
int if_ctl(void)
{
	return own(darwin_sys.socket(DW_AF_INET, DW_SOCK_DGRAM, 0));
}

int if_ioctl(unsigned long request, const char *name, struct dw_ifreq *req)
{
	int fd = darwin_sys.socket(DW_AF_INET, DW_SOCK_DGRAM, 0);
	if (fd < 0)
		return fd;
	memset(req->name, 0, sizeof(req->name));
	memcpy(req->name, name, strnlen(name, sizeof(req->name)));
	int rc = darwin_sys.ioctl(fd, request, req);
	(void)darwin_sys.close(fd);
	return rc;
}

int if_create(const char *name)
{
	struct dw_ifreq req = { 0 };
	int rc = if_ioctl(DW_SIOCIFCREATE, name, &req);
	if (rc == 0)
		rules_own_if(name, true);
	return rc;
}

int if_destroy(const char *name)
{
	struct dw_ifreq req = { 0 };
	int rc = if_ioctl(DW_SIOCIFDESTROY, name, &req);
	if (rc == 0)
		rules_own_if(name, false);
	return rc;
}

void if_must_create(char out[DW_IFNAMSIZ])
{
	if_fresh(out);
	int rc = if_create(out);
	for (unsigned i = 0; rc == -DW_EBUSY && i < BUSY_WAIT_MS; i++) {
		darwin_sys.sleep_us(1000);
		rc = if_create(out);
	}
	expect_eq(rc, 0);
}

long if_flags(const char *name)
{
	struct dw_ifreq req = { 0 };
	int rc = if_ioctl(DW_SIOCGIFFLAGS, name, &req);
	return rc < 0 ? rc : (long)(uint16_t)req.u.flags;
}

int if_set_flags(const char *name, uint32_t flags)
{
	struct dw_ifreq req = { 0 };
	req.u.flags = (int16_t)(uint16_t)flags;
	return if_ioctl(DW_SIOCSIFFLAGS, name, &req);
}

void if_up(const char *name, bool up)
{
	long flags = if_flags(name);
	expect(flags >= 0);
	uint32_t now = (uint32_t)flags;
	expect_eq(if_set_flags(name, up ? now | DW_IFF_UP : now & ~DW_IFF_UP), 0);
}

long if_mtu(const char *name)
{
	struct dw_ifreq req = { 0 };
	int rc = if_ioctl(DW_SIOCGIFMTU, name, &req);
	return rc < 0 ? rc : (long)req.u.mtu;
}

int if_set_mtu(const char *name, unsigned mtu)
{
	struct dw_ifreq req = { 0 };
	req.u.mtu = (int32_t)mtu;
	return if_ioctl(DW_SIOCSIFMTU, name, &req);
}

int if_drvspec(unsigned long request, const char *name, uint64_t cmd, void *data, uint64_t len)
{
	struct dw_ifdrv drv = { .cmd = cmd, .len = len, .data = data };
	memcpy(drv.name, name, strnlen(name, sizeof(drv.name)));
	int fd = darwin_sys.socket(DW_AF_INET, DW_SOCK_DGRAM, 0);
	if (fd < 0)
		return fd;
	int rc = darwin_sys.ioctl(fd, request, &drv);
	(void)darwin_sys.close(fd);
	return rc;
}

int if_set_peer(const char *name, const char *peer)
{
	struct dw_fake_request req = { 0 };
	memcpy(req.u.peer_name, peer, strnlen(peer, sizeof(req.u.peer_name)));
	return if_drvspec(DW_SIOCSDRVSPEC, name, DW_FETH_SET_PEER, &req, sizeof(req));
}

int if_get_peer(const char *name, char out[DW_IFNAMSIZ])
{
	struct dw_fake_request req;
	memset(&req, 0xee, sizeof(req)); /* all of it must be written */
	int rc = if_drvspec(DW_SIOCGDRVSPEC, name, DW_FETH_GET_PEER, &req, sizeof(req));
	if (rc == 0)
		memcpy(out, req.u.peer_name, DW_IFNAMSIZ);
	return rc;
}

void if_fresh_addr(uint8_t out[4])
{
	static unsigned n;
	const uint8_t addr[4] = { 198, 51, 100, (uint8_t)(n++ % 64 * 4 + 1) };
	memcpy(out, addr, sizeof(addr));
}

void if_fresh_addr6(uint8_t out[16])
{
	static uint16_t n;
	n++;
	const uint8_t addr[16] = { 0x20, 0x01, 0x0d, 0xb8, 0xfe, 0x7a, (uint8_t)(n >> 8),
		(uint8_t)n, [15] = 1 };
	memcpy(out, addr, sizeof(addr));
}

/* netinet/in.c:in_control: only on an AF_INET socket. */
int if_add_addr(const char *name, const uint8_t addr[4], unsigned prefix)
{
	struct dw_ifaliasreq req = { 0 };
	memcpy(req.name, name, strnlen(name, sizeof(req.name)));
	req.addr.len = req.mask.len = req.broadaddr.len = 16;
	req.addr.family = req.mask.family = req.broadaddr.family = DW_AF_INET;
	for (unsigned i = 0; i < 4; i++) {
		uint8_t mask = 0;
		for (unsigned bit = 0; bit < 8; bit++)
			if (i * 8 + bit < prefix)
				mask = (uint8_t)(mask | 0x80u >> bit);
		req.addr.addr[i] = addr[i];
		req.mask.addr[i] = mask;
		req.broadaddr.addr[i] = (uint8_t)(addr[i] | (uint8_t)~mask);
	}
	return darwin_sys.ioctl(if_ctl(), DW_SIOCAIFADDR, &req);
}

/* netinet6/in6.c:in6ctl_aifaddr: only on an AF_INET6 socket. */
int if_add_addr6(const char *name, const uint8_t addr[16], unsigned prefix)
{
	struct dw_in6_aliasreq req = { 0 };
	memcpy(req.name, name, strnlen(name, sizeof(req.name)));
	req.addr.len = req.prefixmask.len = 28;
	req.addr.family = req.prefixmask.family = DW_AF_INET6;
	memcpy(req.addr.addr, addr, 16);
	for (unsigned i = 0; i < prefix; i++)
		req.prefixmask.addr[i / 8] =
			(uint8_t)(req.prefixmask.addr[i / 8] | 0x80u >> (i % 8));
	req.flags = DW_IN6_IFF_NODAD;
	req.lifetime.vltime = req.lifetime.pltime = DW_ND6_INFINITE_LIFETIME;
	int fd = own(darwin_sys.socket(DW_AF_INET6, DW_SOCK_DGRAM, 0));
	return darwin_sys.ioctl(fd, DW_SIOCAIFADDR_IN6, &req);
}

void pair_new(struct pair *p, bool up)
{
	if_must_create(p->h);
	if_must_create(p->s);
	expect_eq(if_set_peer(p->h, p->s), 0);
	if (up) {
		if_up(p->h, true);
		if_up(p->s, true);
	}
}

/* rtsock.c:sysctl_iflist2. Grows between the two calls are met by asking again. */
uint8_t *if_dump(int family, unsigned index, size_t *out_len)
{
	const int mib[] = { DW_CTL_NET, DW_AF_ROUTE, 0, family, DW_NET_RT_IFLIST2, (int)index };
	for (unsigned i = 0; i < 20; i++) {
		size_t len = 0;
		expect_eq(darwin_sys.sysctl(mib, 6, NULL, &len), 0);
		len += 1024;
		uint8_t *buf = malloc(len);
		expect(buf != NULL);
		if (darwin_sys.sysctl(mib, 6, buf, &len) == 0) {
			*out_len = len;
			return buf;
		}
		free(buf);
	}
	expect_eq(darwin_sys.sysctl(mib, 6, NULL, &(size_t){ 0 }), 0);
	rules_fail(__FILE__, __LINE__, "NET_RT_IFLIST2: the list does not hold still");
}

/* Whether the link address behind an RTM_IFINFO2 is of this interface, and if so fills @out. */
static bool is_link(const uint8_t *message, const char *name, struct link *out)
{
	struct dw_if_msghdr2 head;
	struct dw_sockaddr_dl dl = { 0 };
	memcpy(&head, message, sizeof(head));
	if (!(head.addrs & 1 << DW_RTAX_IFP) || head.msglen < sizeof(head) + 8)
		return false;
	/* the interface's is the first of its addresses: nothing before RTAX_IFP is set */
	const uint8_t *at = message + sizeof(head);
	size_t room = head.msglen - sizeof(head);
	memcpy(&dl, at, room < sizeof(dl) ? room : sizeof(dl));
	if (dl.family != DW_AF_LINK || 8u + dl.nlen + dl.alen > room)
		return false;
	if (strlen(name) != dl.nlen || memcmp(at + 8, name, dl.nlen) != 0)
		return false;
	if (!out)
		return true;
	*out = (struct link){ .index = head.index,
		.flags = (uint32_t)head.flags & 0xffff,
		.mtu = head.mtu,
		.alen = dl.alen };
	if (dl.alen == 6)
		memcpy(out->mac, at + 8 + dl.nlen, 6);
	return true;
}

bool if_listed(const char *name, struct link *out)
{
	size_t len;
	bool found = false;
	uint8_t *dump = if_dump(0, 0, &len);
	for (size_t at = 0; at + sizeof(struct dw_rt_head) <= len && !found;) {
		struct dw_rt_head head;
		memcpy(&head, dump + at, sizeof(head));
		if (head.msglen < sizeof(head) || head.msglen > len - at)
			break;
		if (head.type == DW_RTM_IFINFO2 && head.msglen >= sizeof(struct dw_if_msghdr2))
			found = is_link(dump + at, name, out);
		at += head.msglen;
	}
	free(dump);
	return found;
}

/* -- sysctls -- */

int sysctl_int(const char *name, int *out)
{
	size_t len = sizeof(*out);
	return darwin_sys.sysctlbyname(name, out, &len, NULL, 0);
}

/* A simulated machine is thrown away; a real one gets its values back from rules_main_macos.c,
 * which saved them at the start. */
int sysctl_set_int(const char *name, int value)
{
	return darwin_sys.sysctlbyname(name, NULL, NULL, &value, sizeof(value));
}
