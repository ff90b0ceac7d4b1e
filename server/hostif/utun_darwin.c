/* utun_darwin.c - the tun backend of macOS: the host member is a utun interface, of which we make
 * an Ethernet host (core/l3glue.h).
 *
 * Theory of operation. A utun (XNU if_utun.c) is the other end of a kernel control socket: who
 * connects one to unit N + 1 of the control makes utunN, a read is a packet that the host sends
 * there, a write one that it receives, each behind its address family in four bytes; and the
 * interface goes with the socket, so that a crash leaves none. Nobody else can destroy it. As on
 * Linux (tun_linux.c) there is no hardware address, and no IPv6 address comes by itself
 * (IFEF_NOAUTOIPV6LL): the link-local one that follows from the MAC is given to it.
 *
 * It is a point-to-point interface, which for IPv4 brings no route to the address's subnet
 * (netinet/in.c:in_ifinit()); so that is added, by a routing socket, and taken away with the
 * address. For IPv6 the kernel does it (nd6_prelist_add()).
 *
 * XNU's ARP and neighbour discovery leave point-to-point interfaces alone. Groups are not known:
 * the host is given every multicast. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/ipaddr.h"
#include "server/hostif/backends.h"
#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"
#include "server/hostif/errno_darwin.h"
#include "server/hostif/feth_darwin.h"
#include "server/hostif/ifioctl_darwin.h"
#include "server/hostif/iflist_darwin.h"
#include "server/hostif/l3io.h"
#include "server/hostif/wanted.h"
#include "server/hostif/watch_darwin.h"

#define FAMILY_LEN 4u
#define ALIGN 64u
#define ROOM (16u + FETH_FRAME_MAX)
#define PIECES 1024u /* of one write (UIO_MAXIOV) */

static bool utun_allowed(void)
{
	return darwin_sys.geteuid() == 0;
}

static int refused(
	struct err *err, const struct hostif_spec *spec, const char *verb, const char *call, int dw)
{
	const struct attempt a = { spec->network, verb, spec->host, call };
	return feth_refused(err, &a, dw);
}

/* -- routes to the subnets -- */

static uint8_t *put_inet(uint8_t *at, const struct cidr *addr, bool mask)
{
	struct dw_sockaddr_in sin = { .len = sizeof(sin), .family = DW_AF_INET };
	for (unsigned i = 0; i < 4; i++) {
		const unsigned bits = addr->prefix > 8 * i ? addr->prefix - 8 * i : 0;
		const uint8_t m = (uint8_t)(bits >= 8 ? 0xff : 0xff00u >> bits);
		sin.addr[i] = mask ? m : addr->addr[i] & m;
	}
	memcpy(at, &sin, sizeof(sin));
	return at + sizeof(sin);
}

static uint16_t index_of(const char *name)
{
	struct iflist list;
	struct route_record link = { .index = 0 };
	if (iflist_get(&list, DW_AF_LINK, 0) < 0)
		return 0;
	if (!iflist_find(&list, name, &link))
		link.index = 0;
	iflist_free(&list);
	return link.index;
}

/* As route(8) has it, "add -net 10.0.0.0/24 -interface utun5". 0 also where it is so already; a /32
 * has none. */
static int subnet_route(const char *name, const struct cidr *addr, bool there)
{
	_Alignas(4) uint8_t msg[sizeof(struct dw_rt_msghdr) + 2 * sizeof(struct dw_sockaddr_in) +
				sizeof(struct dw_sockaddr_dl)];
	struct dw_sockaddr_dl dl = { .len = sizeof(dl), .family = DW_AF_LINK };
	struct dw_rt_msghdr h = { .msglen = sizeof(msg),
		.version = DW_RTM_VERSION,
		.type = there ? DW_RTM_ADD : DW_RTM_DELETE,
		.flags = DW_RTF_UP | DW_RTF_STATIC,
		.addrs = 1 << DW_RTAX_DST | 1 << DW_RTAX_GATEWAY | 1 << DW_RTAX_NETMASK };
	if (addr->family != 4 || addr->prefix == 32)
		return 0;
	dl.index = index_of(name);
	if (!dl.index)
		return -DW_ENXIO;
	memcpy(msg, &h, sizeof(h));
	uint8_t *at = put_inet(msg + sizeof(h), addr, false);
	memcpy(at, &dl, sizeof(dl));
	(void)put_inet(at + sizeof(dl), addr, true);

	const int fd = darwin_sys.socket(DW_AF_ROUTE, DW_SOCK_RAW, 0);
	if (fd < 0)
		return fd;
	const long rc = darwin_sys.write(fd, msg, sizeof(msg));
	darwin_sys.close(fd);
	return rc < 0 && rc != (there ? -DW_EEXIST : -DW_ESRCH) ? (int)rc : 0;
}

/* -- what is declared -- */

static int give(
	struct ifctl *c, const struct hostif_spec *spec, const struct cidr *addr, struct err *err)
{
	int rc = if_add_addr(c, spec->host, addr);
	if (rc == -DW_EEXIST)
		rc = 0;
	if (rc < 0)
		return refused(err, spec, "give an address to", c->call, rc);
	rc = subnet_route(spec->host, addr, true);
	return rc < 0 ? refused(err, spec, "add the route of", "RTM_ADD", rc) : 0;
}

static int take(
	struct ifctl *c, const struct hostif_spec *spec, const struct cidr *addr, struct err *err)
{
	(void)subnet_route(spec->host, addr, false);
	const int rc = if_delete_addr(c, spec->host, addr);
	return rc < 0 && rc != -DW_EADDRNOTAVAIL
		       ? refused(err, spec, "take an address from", c->call, rc)
		       : 0;
}

static int become(struct ifctl *c, const struct hostif_spec *now, const struct hostif_spec *want,
	struct err *err)
{
	const struct cidr before = l3_link_local(now->mac), is = l3_link_local(want->mac);
	int rc = if_set_mtu(c, want->host, want->mtu);
	if (rc < 0)
		return refused(err, want, "set the MTU of", c->call, rc);
	for (unsigned i = 0; !rc && i < now->n_addrs; i++)
		if (!has_addr(want->addrs, want->n_addrs, &now->addrs[i]))
			rc = take(c, want, &now->addrs[i], err);
	for (unsigned i = 0; !rc && i < want->n_addrs; i++)
		rc = give(c, want, &want->addrs[i], err);
	if (!rc && !cidr_equal(&before, &is))
		rc = take(c, want, &before, err);
	if (!rc && want->mtu >= IP6_MTU_MIN)
		rc = give(c, want, &is, err);
	if (rc < 0)
		return rc;
	/* last, for addresses may have raised it (rule 19) */
	rc = if_set_up(c, want->host, want->up);
	return rc < 0 ? refused(err, want, want->up ? "bring up" : "take down", c->call, rc) : 0;
}

static int utun_change(
	const struct hostif_spec *now, const struct hostif_spec *want, struct err *err)
{
	struct ifctl c;
	int rc = ipv6_check(want, err);
	if (rc < 0)
		return rc;
	ifctl_init(&c);
	rc = become(&c, now, want, err);
	if (rc < 0)
		(void)become(&c, want, now, NULL);
	ifctl_close(&c);
	return rc;
}

/* The socket whose other end is the interface of this name, "utun5". */
static int control(const char *name, const char **out_call)
{
	struct dw_ctl_info info = { .name = DW_UTUN_CONTROL_NAME };
	int32_t on = 1;
	*out_call = "socket";
	const int fd = darwin_sys.socket(DW_AF_SYSTEM, DW_SOCK_DGRAM, DW_SYSPROTO_CONTROL);
	if (fd < 0)
		return fd;
	*out_call = "CTLIOCGINFO";
	int rc = darwin_sys.ioctl(fd, DW_CTLIOCGINFO, &info);
	if (!rc) {
		const struct dw_sockaddr_ctl to = { .len = sizeof(to),
			.family = DW_AF_SYSTEM,
			.sysaddr = DW_AF_SYS_CONTROL,
			.id = info.id,
			.unit = (uint32_t)strtoul(name + strlen("utun"), NULL, 10) + 1 };
		*out_call = "connect";
		rc = darwin_sys.connect(fd, &to, sizeof(to));
	}
	if (!rc) {
		*out_call = "FIONBIO";
		rc = darwin_sys.ioctl(fd, DW_FIONBIO, &on);
	}
	if (rc < 0) {
		darwin_sys.close(fd);
		return rc;
	}
	return fd;
}

static int utun_make(const struct hostif_spec *spec, struct hostif_made *out, struct err *err)
{
	const char *call;
	struct hostif_spec nothing = { .mac = spec->mac };
	struct ifctl c;
	int rc = ipv6_check(spec, err);
	if (rc < 0)
		return rc;
	const int fd = control(spec->host, &call);
	if (fd == -DW_EBUSY && !strcmp(call, "connect"))
		return err_set(err, -EEXIST,
			"%s: cannot make interface %s: another program has it; give the network "
			"another unit",
			spec->network, spec->host);
	if (fd < 0)
		return refused(err, spec, "make", call, fd);
	ifctl_init(&c);
	rc = become(&c, &nothing, spec, err);
	ifctl_close(&c);
	if (rc < 0) {
		darwin_sys.close(fd); /* and the interface is gone */
		return rc;
	}
	*out = (struct hostif_made){ .rx_fd = fd, .tx_fd = fd };
	return 0;
}

/* It went with its socket. */
static int utun_remove(const struct hostif_spec *spec)
{
	(void)spec;
	return 0;
}

static bool is_there(const char *name, uint32_t *flags)
{
	struct ifctl c;
	ifctl_init(&c);
	const int rc = if_get_flags(&c, name, flags);
	ifctl_close(&c);
	return rc != -DW_ENXIO;
}

static bool utun_name_free(const char *name)
{
	uint32_t flags;
	return !is_there(name, &flags);
}

static bool utun_whole(const struct hostif_spec *spec)
{
	uint32_t flags;
	return is_there(spec->host, &flags);
}

static bool utun_carrier(const struct hostif_spec *spec)
{
	uint32_t flags = 0;
	return is_there(spec->host, &flags) && flags & DW_IFF_UP;
}

/* -- frames -- */

struct hostif {
	int fd; /* owned */
	struct l3io io;
};

static void utun_close(struct hostif *hif)
{
	if (!hif)
		return;
	l3io_close(&hif->io);
	darwin_sys.close(hif->fd);
	free(hif);
}

static int utun_open(struct hostif **out, const struct hostif_made *made,
	const struct hostif_spec *spec, struct err *err)
{
	struct hostif *hif = calloc(1, sizeof(*hif));
	if (!hif) {
		darwin_sys.close(made->rx_fd);
		return err_set(err, -ENOMEM, "%s: out of memory", spec->network);
	}
	hif->fd = made->rx_fd; /* and made->tx_fd is the same */
	const int rc = l3io_open(&hif->io, spec, err);
	if (rc < 0) {
		utun_close(hif);
		return rc;
	}
	*out = hif;
	return 0;
}

/* Packets one behind the other, each at a cache line, with room for its Ethernet header where its
 * family was. */
static int read_packets(
	struct hostif *hif, struct frame *packets, unsigned max, uint8_t *buf, size_t size)
{
	size_t used = 0;
	unsigned n = 0;
	if (size < ROOM)
		return -ENOBUFS;
	while (n < max && used + ROOM <= size && used < HOSTIF_BATCH_BYTES) {
		uint8_t *packet = buf + used + 16;
		const long got = darwin_sys.read(
			hif->fd, packet - FAMILY_LEN, FAMILY_LEN + FETH_FRAME_MAX - L3_HEADER);
		if (got == -DW_EAGAIN)
			break;
		if (got <= (long)FAMILY_LEN) /* 0: its end */
			return n ? (int)n : -ENODEV;
		const uint32_t len = (uint32_t)got - FAMILY_LEN;
		packets[n++] = (struct frame){ .head = packet, .head_len = len, .len = len };
		used += (16 + len + ALIGN - 1) / ALIGN * ALIGN;
	}
	return (int)n;
}

static int utun_recv(
	struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	const unsigned own = l3glue_pull(hif->io.glue, frames, max);
	if (own)
		return (int)own;
	const int n = read_packets(hif, frames, max, buf, size);
	return n > 0 ? (int)l3io_out(&hif->io, frames, (unsigned)n, max) : n;
}

static bool write_one(const struct hostif *hif, const struct frame *packet)
{
	struct seg pieces[PIECES];
	uint8_t family[FAMILY_LEN] = { 0 };
	unsigned n = 0;
	if (packet->more_n > PIECES - 2)
		return false;
	pieces[n++] = (struct seg){ family, sizeof(family) };
	pieces[n++] = (struct seg){ packet->head, packet->head_len };
	for (unsigned i = 0; i < packet->more_n; i++)
		pieces[n++] = packet->more[i];
	const uint8_t *first = packet->head_len ? packet->head : packet->more[0].base;
	family[FAMILY_LEN - 1] = first[0] >> 4 == 6 ? DW_AF_INET6 : DW_AF_INET;
	return darwin_sys.writev(hif->fd, pieces, n) >= 0;
}

static unsigned write_packets(void *ctx, const struct frame *packets, unsigned n)
{
	unsigned taken = 0;
	for (unsigned i = 0; i < n; i++)
		taken += write_one(ctx, &packets[i]);
	return taken;
}

static unsigned utun_send(struct hostif *hif, const struct frame *frames, unsigned n)
{
	return l3io_in(&hif->io, frames, n, write_packets, hif);
}

static bool utun_more(const struct hostif *hif)
{
	return l3glue_more(hif->io.glue);
}

static int utun_fd(const struct hostif *hif)
{
	return hif->fd;
}

static void utun_tick(struct hostif *hif, uint64_t now_ms, struct hostif_lost *lost)
{
	l3io_tick(&hif->io, now_ms, lost);
}

static void utun_changed(struct hostif *hif, const struct hostif_spec *spec)
{
	l3glue_set(hif->io.glue, spec);
}

const struct hostif_ops hostif_utun = {
	.name = "tun",
	.has_host = true,
	.single = true,
	.layer3 = true,
	.prefix = "utun",
	.mtu_min = DW_IF_MINMTU,
	.mtu_max = DW_UTUN_MTU_MAX,
	.unit_base = 10000, /* as feth's, far from those that the system takes by itself, from 0 */
	.allowed = utun_allowed,
	.make = utun_make,
	.change = utun_change,
	.remove = utun_remove,
	.name_free = utun_name_free,
	.whole = utun_whole,
	.carrier = utun_carrier,
	.watch_open = watch_open,
	.watch_read = watch_read,
	.open = utun_open,
	.close = utun_close,
	.recv = utun_recv,
	.more = utun_more,
	.send = utun_send,
	.fd = utun_fd,
	.tick = utun_tick,
	.changed = utun_changed,
};
