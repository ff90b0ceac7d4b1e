/* sim_route.c - who is told what happens: routing sockets (net/rtsock.c, net/raw_usrreq.c) and
 * event sockets (kern/kern_event.c). Each message is kept until it is read; what does not fit into
 * the receive buffer is lost, and nobody hears of that. */
#include "tests/darwin/sim_file.h"

#include <stdlib.h>
#include <string.h>

#define RAW_SPACE 8192u  /* RAWRCVQ, RAWSNDQ of net/raw_cb.h */
#define KEV_SPACE 32768u /* KEV_RECVSPACE of sys/kern_event.h */
#define SB_EFFICIENCY 8u /* uipc_socket2.c: memory for so many times the bytes */
#define MSIZE 256u       /* an mbuf */
#define MCLBYTES 2048u   /* a cluster, where a header does not fit into an mbuf */
#define RT_MSGHDR 92u    /* struct rt_msghdr */

struct note {
	struct note *next;
	uint32_t len, memory;
	uint8_t data[];
};

struct listener {
	struct listener *next;
	struct sim_file *f;
	struct sim_sock so;
	bool events;                  /* PF_SYSTEM; false: PF_ROUTE */
	struct dw_kev_request filter; /* 0 in a field: any */
	uint32_t bytes, memory;
	struct note *first, **end;
};

struct listeners {
	struct listener *first;
	uint32_t event_id;
};

static struct listeners *all(struct sim *sim)
{
	if (!sim->route) {
		sim->route = calloc(1, sizeof(struct listeners));
		if (!sim->route)
			abort();
	}
	return sim->route;
}

void sim_route_free(struct sim *sim)
{
	free(sim->route);
	sim->route = NULL;
}

/* uipc_socket2.c:sbappendaddr(), sbappendrecord() */
static void append(struct listener *l, const void *data, size_t len, uint32_t memory)
{
	if (len > l->so.rcv_hiwat - l->bytes || l->so.cantrcv ||
		l->memory >= l->so.rcv_hiwat * SB_EFFICIENCY)
		return;
	struct note *note = malloc(sizeof(*note) + len);
	if (!note)
		abort();
	note->next = NULL;
	note->len = (uint32_t)len;
	note->memory = memory;
	memcpy(note->data, data, len);
	if (!l->first)
		l->end = &l->first;
	*l->end = note;
	l->end = &note->next;
	l->bytes += note->len;
	l->memory += memory;
	sim_file_ready(l->f);
}

static struct note *take(struct listener *l)
{
	struct note *note = l->first;
	if (note) {
		l->first = note->next;
		l->bytes -= note->len;
		l->memory -= note->memory;
	}
	return note;
}

/* -- the sockets -- */

static long listener_read(struct sim_file *f, void *buf, size_t size)
{
	struct listener *l = f->priv;
	struct note *note = take(l);

	if (!note) {
		if (l->so.cantrcv)
			return 0;
		if (!f->nonblock)
			sim_halt("read of a %s socket with nothing to read sleeps for ever",
				f->ops->name);
		return -DW_EAGAIN;
	}
	/* PR_ATOMIC: a record a read, what does not fit is gone */
	size_t n = note->len < size ? note->len : size;
	memcpy(buf, note->data, n);
	free(note);
	return (long)n;
}

static long route_write(
	struct sim_file *f, const void *buf, size_t size, const void *addr, size_t addr_len)
{
	(void)addr;
	(void)addr_len;
	return sim_route_write(f, buf, size);
}

static int listener_ioctl(struct sim_file *f, unsigned long request, void *arg)
{
	struct listener *l = f->priv;

	if (request == DW_FIONREAD) { /* sys_socket.c:soioctl(): the bytes of all records */
		int32_t n = (int32_t)l->bytes;
		memcpy(arg, &n, sizeof(n));
		return 0;
	}
	if ((request >> 8 & 0xff) == 'i')
		return sim_ifioctl(f, request, arg, l->events ? DW_AF_SYSTEM : DW_AF_ROUTE);
	if (l->events && request == DW_SIOCSKEVFILT) {
		memcpy(&l->filter, arg, sizeof(l->filter));
		return 0;
	}
	return l->events ? -DW_ENOTSUP : -DW_EOPNOTSUPP;
}

static int listener_setsockopt(
	struct sim_file *f, int level, int option, const void *value, size_t len)
{
	struct listener *l = f->priv;

	if (level != DW_SOL_SOCKET)
		return -DW_EINVAL;
	return sim_sock_setopt(&l->so, option, value, len);
}

static int listener_getsockopt(struct sim_file *f, int level, int option, void *value, size_t *len)
{
	struct listener *l = f->priv;

	if (level != DW_SOL_SOCKET)
		return -DW_EINVAL;
	return sim_sock_getopt(&l->so, option, value, len);
}

static int listener_poll(struct sim_file *f, int events)
{
	struct listener *l = f->priv;

	return (l->first ? events & DW_POLLIN : 0) | (events & DW_POLLOUT);
}

static int listener_select(struct sim_file *f, bool write)
{
	struct listener *l = f->priv;

	return write || l->first != NULL;
}

static void listener_close(struct sim_file *f)
{
	struct listener *l = f->priv;
	struct note *note;

	for (struct listener **at = &all(f->sim)->first; *at; at = &(*at)->next) {
		if (*at == l) {
			*at = l->next;
			break;
		}
	}
	while ((note = take(l)))
		free(note);
	free(l);
}

#define LISTENER_OPS                                                                               \
	.ioctl = listener_ioctl, .read = listener_read, .setsockopt = listener_setsockopt,         \
	.getsockopt = listener_getsockopt, .poll = listener_poll, .select = listener_select,       \
	.close = listener_close
static const struct sim_file_ops route_ops = {
	.name = "routing", .write = route_write, LISTENER_OPS
};
static const struct sim_file_ops event_ops = { .name = "event", LISTENER_OPS };

static int listener_new(struct sim_proc *p, bool events)
{
	struct listener *l = calloc(1, sizeof(*l));
	if (!l)
		return -DW_ENOMEM;
	l->so.profile = p->sim->profile;
	l->so.snd_hiwat = RAW_SPACE;
	l->so.rcv_hiwat = events ? KEV_SPACE : RAW_SPACE;
	l->events = events;
	int fd = sim_file_new(p, events ? &event_ops : &route_ops, l, &l->f);
	if (fd < 0) {
		free(l);
		return fd;
	}
	struct listener **at = &all(p->sim)->first;
	while (*at)
		at = &(*at)->next;
	*at = l;
	return fd;
}

int sim_route_socket(struct sim_proc *p)
{
	return listener_new(p, false);
}

int sim_event_socket(struct sim_proc *p)
{
	return listener_new(p, true);
}

/* -- routing messages -- */

/* raw_usrreq.c:raw_input() to every routing socket: an mbuf of the sender's address goes before */
static void tell_route(struct sim *sim, const uint8_t *msg, size_t len, size_t head)
{
	uint32_t memory = MSIZE + MSIZE;

	if (head > 88) /* MHLEN: rt_msg1() takes a cluster */
		memory += MCLBYTES;
	else if (len > 88)
		memory += MSIZE; /* m_copyback() */
	for (struct listener *l = all(sim)->first; l; l = l->next) {
		if (!l->events)
			append(l, msg, len, memory);
	}
}

void sim_tell_ifinfo(struct sim_ifnet *ifp)
{
	const struct sim_rtinfo none = { 0 };
	uint8_t msg[SIM_RTMSG_MAX];
	struct dw_if_msghdr h;
	int32_t addrs;

	size_t len = sim_rt_build(msg, DW_RTM_IFINFO, sizeof(h), &none, false, &addrs);
	memcpy(&h, msg, sizeof(h));
	h.index = ifp->index;
	h.flags = (uint16_t)ifp->flags;
	h.data.type = ifp->type;
	h.data.addrlen = 6;
	h.data.hdrlen = 14;
	h.data.mtu = ifp->mtu;
	h.data.metric = ifp->metric;
	memcpy(msg, &h, sizeof(h));
	tell_route(ifp->sim, msg, len, sizeof(h));
}

/* The route that goes with an address: a subnet's for IPv4, by in.c:in_ifinit(); the address's own
 * for IPv6, by in6.c:in6_ifaddloop(). struct rt_msghdr is not in darwin_abi.h. */
static void tell_subnet(struct sim_ifnet *ifp, const struct sim_addr *a, bool added)
{
	struct sim_rtinfo info = { 0 };
	uint8_t msg[SIM_RTMSG_MAX];
	int32_t addrs;

	sim_rt_addr(&info, a);
	info.has[DW_RTAX_IFA] = info.has[DW_RTAX_BRD] = false;
	info.has[DW_RTAX_NETMASK] = a->family == DW_AF_INET;
	memcpy(info.sa[DW_RTAX_DST], info.sa[DW_RTAX_IFA], SIM_SA_MAX);
	info.has[DW_RTAX_DST] = true;
	for (size_t i = 0; i < 4 && a->family == DW_AF_INET; i++)
		info.sa[DW_RTAX_DST][4 + i] &= a->mask[i];
	sim_rt_link(&info, DW_RTAX_GATEWAY, ifp);

	size_t len = sim_rt_build(
		msg, added ? DW_RTM_ADD : DW_RTM_DELETE, RT_MSGHDR, &info, false, &addrs);
	memcpy(msg + 4, &ifp->index, sizeof(ifp->index));
	memcpy(msg + 12, &addrs, sizeof(addrs));
	tell_route(ifp->sim, msg, len, RT_MSGHDR);
}

/* rt_newaddrmsg(): address then route, and the other way round where they go */
void sim_tell_addr(struct sim_ifnet *ifp, const struct sim_addr *a, bool added)
{
	struct sim_rtinfo info = { 0 };
	uint8_t msg[SIM_RTMSG_MAX];
	struct dw_ifa_msghdr h;
	int32_t addrs;

	if (!added)
		tell_subnet(ifp, a, false);
	sim_rt_addr(&info, a);
	sim_rt_link(&info, DW_RTAX_IFP, ifp);
	size_t len = sim_rt_build(
		msg, added ? DW_RTM_NEWADDR : DW_RTM_DELADDR, sizeof(h), &info, false, &addrs);
	memcpy(&h, msg, sizeof(h));
	h.addrs = addrs;
	h.index = ifp->index;
	h.metric = (int32_t)ifp->metric;
	memcpy(msg, &h, sizeof(h));
	tell_route(ifp->sim, msg, len, sizeof(h));
	if (added)
		tell_subnet(ifp, a, true);
}

/* rt_newmaddrmsg() */
void sim_tell_member(struct sim_ifnet *ifp, const struct sim_member *m, bool joined)
{
	struct sim_rtinfo info;
	uint8_t msg[SIM_RTMSG_MAX];
	struct dw_ifma_msghdr h;
	int32_t addrs;

	sim_rt_member(&info, ifp, m);
	size_t len = sim_rt_build(
		msg, joined ? DW_RTM_NEWMADDR : DW_RTM_DELMADDR, sizeof(h), &info, false, &addrs);
	memcpy(&h, msg, sizeof(h));
	h.addrs = addrs;
	h.index = ifp->index;
	memcpy(msg, &h, sizeof(h));
	tell_route(ifp->sim, msg, len, sizeof(h));
}

/* -- kernel events -- */

/* kern_event.c:kev_post_msg_internal(), with struct net_event_data and @extra bytes behind it */
static void tell_event(struct sim_ifnet *ifp, uint32_t code, const void *more, size_t extra)
{
	struct listeners *ls = all(ifp->sim);
	struct dw_net_event_data data = { .family = 2 /* IFNET_FAMILY_ETHERNET */,
		.unit = ifp->unit };
	uint8_t msg[64];
	size_t head = offsetof(struct dw_kern_event_msg, data);
	struct dw_kern_event_msg h = { .total_size = (uint32_t)(head + sizeof(data) + extra),
		.vendor = DW_KEV_VENDOR_APPLE,
		.kev_class = DW_KEV_NETWORK_CLASS,
		.subclass = DW_KEV_DL_SUBCLASS,
		.id = ++ls->event_id,
		.code = code };

	memcpy(data.name, ifp->base, sizeof(data.name));
	memcpy(msg, &h, head);
	memcpy(msg + head, &data, sizeof(data));
	memcpy(msg + head + sizeof(data), more, extra);
	for (struct listener *l = ls->first; l; l = l->next) {
		const struct dw_kev_request *f = &l->filter;
		if (!l->events || (f->vendor && f->vendor != h.vendor) ||
			(f->vendor && f->kev_class && f->kev_class != h.kev_class) ||
			(f->vendor && f->kev_class && f->subclass && f->subclass != h.subclass))
			continue;
		append(l, msg, h.total_size, MSIZE);
	}
}

void sim_tell_event(struct sim_ifnet *ifp, uint32_t code)
{
	/* if_fake.c:interface_link_event() counts kern_event_msg's event_data[1] too */
	bool link = code == DW_KEV_DL_LINK_ON || code == DW_KEV_DL_LINK_OFF;

	tell_event(ifp, code, (const uint8_t[4]){ 0 }, link ? 4 : 0);
}

void sim_tell_proto(struct sim_ifnet *ifp, uint32_t code, int family)
{
	/* struct kev_dl_proto_data */
	const uint32_t more[2] = { (uint32_t)family,
		(uint32_t)ifp->proto_inet + (uint32_t)ifp->proto_inet6 + (ifp->n_ndrv > 0) };

	tell_event(ifp, code, more, sizeof(more));
}
