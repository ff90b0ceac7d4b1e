/* sim_utun.c - utun interfaces: the kernel control that makes them, and what they add to
 * interfaces. net/if_utun.c, kern/kern_control.c. Packets have their family in four bytes before
 * them. */
#include "tests/darwin/sim_file.h"

#include <stdlib.h>
#include <string.h>

#define CONTROL_ID 1u /* of the one control there is */
#define FAMILY_LEN 4u
#define MTU_DEFAULT 1500u /* UTUN_DEFAULT_MTU */

struct control {
	struct sim_sock so;
	struct sim_ifnet *ifp; /* connected */
};

/* kern_control.c:ctl_setup_kctl(), if_utun.c:utun_ctl_setup(), utun_ctl_connect() */
static int control_connect(struct sim_file *f, const void *addr, size_t len)
{
	struct control *c = f->priv;
	struct dw_sockaddr_ctl sa;
	int rc = sim_sock_check_addr(addr, len);
	if (rc)
		return rc;
	if (c->ifp)
		return -DW_EISCONN;
	if (len != sizeof(sa))
		return -DW_EINVAL;
	memcpy(&sa, addr, sizeof(sa));
	if (sa.id != CONTROL_ID)
		return -DW_ENOENT;
	if (sim_euid(f->proc) != 0) /* CTL_FLAG_PRIVILEGED */
		return -DW_EPERM;
	if (!sa.unit)
		sim_halt("connect to utun_control without a unit is not simulated");
	struct sim_ifnet *ifp = sim_ifnet_named(f->sim, "utun", sa.unit - 1);
	if (ifp && ifp->inuse)
		return -DW_EBUSY;
	ifp = sim_ifnet_make(f->sim, "utun", sa.unit - 1);
	ifp->type = DW_IFT_OTHER;
	ifp->utun = true;
	ifp->mtu = MTU_DEFAULT;
	ifp->mac_len = 0;
	ifp->flags = DW_IFF_UP | DW_IFF_MULTICAST | DW_IFF_POINTOPOINT | DW_IFF_RUNNING;
	ifp->n_routes = 0;
	ifp->control = f;
	c->ifp = ifp;
	c->so.connected = true;
	return 0;
}

static int control_ioctl(struct sim_file *f, unsigned long request, void *arg)
{
	struct dw_ctl_info info;
	(void)f;
	if (request != DW_CTLIOCGINFO)
		return -DW_ENOTSUP;
	memcpy(&info, arg, sizeof(info));
	if (strncmp(info.name, DW_UTUN_CONTROL_NAME, sizeof(info.name)) != 0)
		return -DW_ENOENT;
	info.id = CONTROL_ID;
	memcpy(arg, &info, sizeof(info));
	return 0;
}

static long control_read(struct sim_file *f, void *buf, size_t size)
{
	const struct control *c = f->priv;
	if (!c->ifp)
		return -DW_ENOTCONN;
	struct sim_frame *packet = sim_queue_take(&c->ifp->out);
	if (!packet) {
		if (!f->nonblock)
			sim_halt("read of a utun with nothing to read sleeps for ever");
		return -DW_EAGAIN;
	}
	const size_t n = packet->len < size ? packet->len : size; /* the rest of a record is lost */
	memcpy(buf, packet->data, n);
	free(packet);
	return (long)n;
}

/* utun_ctl_send(), utun_demux(): what is of neither family is lost without a word. */
static long control_write(
	struct sim_file *f, const void *buf, size_t size, const void *addr, size_t addr_len)
{
	const struct control *c = f->priv;
	const uint8_t *p = buf;
	(void)addr;
	(void)addr_len;
	if (!c->ifp)
		return -DW_ENOTCONN;
	if (size > FAMILY_LEN && !p[0] && !p[1] && !p[2] &&
		(p[3] == DW_AF_INET ? c->ifp->proto_inet
				    : p[3] == DW_AF_INET6 && c->ifp->proto_inet6))
		sim_queue_put(&c->ifp->in, p + FAMILY_LEN, size - FAMILY_LEN);
	return (long)size;
}

static int control_poll(struct sim_file *f, int events)
{
	const struct control *c = f->priv;
	return (c->ifp && c->ifp->out.n ? events & DW_POLLIN : 0) | (events & DW_POLLOUT);
}

/* utun_ctl_disconnect() */
static void control_close(struct sim_file *f)
{
	struct control *c = f->priv;
	if (c->ifp) {
		c->ifp->control = NULL;
		sim_ifnet_end(c->ifp);
	}
	free(c);
}

static const struct sim_file_ops control_ops = {
	.name = "utun control",
	.ioctl = control_ioctl,
	.read = control_read,
	.write = control_write,
	.connect = control_connect,
	.poll = control_poll,
	.close = control_close,
};

int sim_control_socket(struct sim_proc *p)
{
	struct control *c = calloc(1, sizeof(*c));
	if (!c)
		return -DW_ENOMEM;
	c->so.profile = p->sim->profile;
	const int fd = sim_file_new(p, &control_ops, c, NULL);
	if (fd < 0)
		free(c);
	return fd;
}

/* utun_ioctl() */
int sim_utun_ioctl(struct sim_ifnet *ifp, unsigned long request, const void *arg)
{
	const struct dw_ifreq *ifr = arg;
	if (request == DW_SIOCSIFMTU)
		ifp->mtu = (uint32_t)ifr->u.mtu;
	return request == DW_SIOCSIFMTU || request == DW_SIOCSIFFLAGS ? 0 : -DW_EOPNOTSUPP;
}

int sim_utun_output(struct sim *sim, const char *ifname, const void *packet, size_t len)
{
	sim_settle(sim);
	struct sim_ifnet *ifp = sim_ifnet_find(sim, ifname);
	uint8_t *b = malloc(FAMILY_LEN + len);
	if (!b)
		abort();
	const bool up = ifp && ifp->utun && ifp->control && ifp->flags & DW_IFF_UP;
	if (up) {
		const uint8_t six = *(const uint8_t *)packet >> 4 == 6;
		const uint8_t family[FAMILY_LEN] = { 0, 0, 0, six ? DW_AF_INET6 : DW_AF_INET };
		memcpy(b, family, sizeof(family));
		memcpy(b + FAMILY_LEN, packet, len);
		sim_queue_put(&ifp->out, b, FAMILY_LEN + len);
		sim_file_ready(ifp->control);
	}
	free(b);
	return up ? 0 : -DW_ENETDOWN;
}

/* -- routes to a subnet by an interface: rtsock.c:route_output() -- */

long sim_route_write(struct sim_file *f, const uint8_t *msg, size_t size)
{
	struct dw_rt_msghdr h;
	struct dw_sockaddr_in dst, mask;
	struct dw_sockaddr_dl dl;
	const size_t all = sizeof(h) + sizeof(dst) + sizeof(dl) + sizeof(mask);
	if (size != all)
		sim_halt("a routing message of %zu bytes is not simulated", size);
	memcpy(&h, msg, sizeof(h));
	memcpy(&dst, msg + sizeof(h), sizeof(dst));
	memcpy(&dl, msg + sizeof(h) + sizeof(dst), sizeof(dl));
	memcpy(&mask, msg + all - sizeof(mask), sizeof(mask));
	if (h.msglen != size || h.version != DW_RTM_VERSION || h.addrs != 7 ||
		dst.len != sizeof(dst) || dl.len != sizeof(dl) || mask.len != sizeof(mask) ||
		dl.family != DW_AF_LINK)
		return -DW_EINVAL;
	if (sim_euid(f->proc) != 0)
		return -DW_EPERM;
	for (struct sim_ifnet *ifp = f->sim->ifnets; ifp; ifp = ifp->next) {
		unsigned i = 0;
		if (!ifp->attached || ifp->index != dl.index)
			continue;
		while (i < ifp->n_routes && (memcmp(ifp->routes[i].net, dst.addr, 4) != 0 ||
						    memcmp(ifp->routes[i].mask, mask.addr, 4) != 0))
			i++;
		if (h.type == DW_RTM_ADD && i < ifp->n_routes)
			return -DW_EEXIST;
		if (h.type == DW_RTM_DELETE && i == ifp->n_routes)
			return -DW_ESRCH;
		if (h.type == DW_RTM_DELETE) {
			ifp->routes[i] = ifp->routes[--ifp->n_routes];
			return (long)size;
		}
		if (i == SIM_ROUTES)
			return -DW_ENOBUFS;
		memcpy(ifp->routes[i].net, dst.addr, 4);
		memcpy(ifp->routes[i].mask, mask.addr, 4);
		ifp->n_routes++;
		return (long)size;
	}
	return -DW_ENXIO;
}
