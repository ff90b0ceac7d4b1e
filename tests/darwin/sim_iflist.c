/* sim_iflist.c - the dump of interfaces, addresses and memberships that sysctl NET_RT_IFLIST2
 * gives: net/rtsock.c:sysctl_iflist2(). */
#include "tests/darwin/sim_priv.h"

#include <stdlib.h>
#include <string.h>

struct dump {
	uint8_t *data; /* owned */
	size_t len, capacity;
};

static void add(struct dump *d, const uint8_t *msg, size_t len)
{
	if (len > d->capacity - d->len) {
		d->capacity = 2 * d->capacity + 4096 + len;
		d->data = realloc(d->data, d->capacity);
		if (!d->data)
			abort();
	}
	memcpy(d->data + d->len, msg, len);
	d->len += len;
}

static void add_interface(struct dump *d, struct sim_rtinfo *info, const struct sim_ifnet *ifp)
{
	uint8_t msg[SIM_RTMSG_MAX];
	struct dw_if_msghdr2 h = { 0 };
	int32_t addrs;

	sim_rt_link(info, DW_RTAX_IFP, ifp);
	size_t len = sim_rt_build(msg, DW_RTM_IFINFO2, sizeof(h), info, true, &addrs);
	info->has[DW_RTAX_IFP] = false;
	memcpy(&h, msg, sizeof(h));
	h.addrs = addrs;
	h.flags = (uint16_t)ifp->flags;
	h.index = ifp->index;
	h.snd_len = (int32_t)ifp->out.n;
	h.snd_maxlen = (int32_t)SIM_QUEUE_LIMIT;
	h.if_type = ifp->type;
	h.addrlen = 6;
	h.hdrlen = 14;
	h.mtu = ifp->mtu;
	h.metric = ifp->metric;
	memcpy(msg, &h, sizeof(h));
	add(d, msg, len);
}

static void add_address(struct dump *d, struct sim_rtinfo *info, const struct sim_ifnet *ifp,
	const struct sim_addr *a)
{
	uint8_t msg[SIM_RTMSG_MAX];
	struct dw_ifa_msghdr h = { 0 };
	int32_t addrs;

	sim_rt_addr(info, a);
	size_t len = sim_rt_build(msg, DW_RTM_NEWADDR, sizeof(h), info, true, &addrs);
	memcpy(&h, msg, sizeof(h));
	h.addrs = addrs;
	h.index = ifp->index;
	memcpy(msg, &h, sizeof(h));
	add(d, msg, len);
}

static void add_member(struct dump *d, struct sim_rtinfo *info, const struct sim_ifnet *ifp,
	const struct sim_member *m)
{
	uint8_t msg[SIM_RTMSG_MAX];
	struct dw_ifma_msghdr2 h = { 0 };
	int32_t addrs;

	sim_rt_member(info, ifp, m);
	size_t len = sim_rt_build(msg, DW_RTM_NEWMADDR2, sizeof(h), info, true, &addrs);
	memcpy(&h, msg, sizeof(h));
	h.addrs = addrs;
	h.index = ifp->index;
	/* ifma_reqcnt: of a group's joins the protocol asks for one (in_mcast.c:in_addmulti) */
	h.refcount = m->family == DW_AF_LINK ? (int32_t)m->refs : 1;
	memcpy(msg, &h, sizeof(h));
	add(d, msg, len);
}

int sim_iflist2(struct sim *sim, int af, int index, void *old, size_t *old_len)
{
	struct dump d = { 0 };
	/* One for all, as there: what is not taken out again is still in the next message, a
	 * GATEWAY of the last group in the IFINFO2 of the interface that follows. */
	struct sim_rtinfo info = { 0 };

	af = (uint8_t)af;
	for (const struct sim_ifnet *ifp = sim->ifnets; ifp; ifp = ifp->next) {
		if (!ifp->attached || (index && index != ifp->index))
			continue;
		add_interface(&d, &info, ifp);
		for (const struct sim_addr *a = ifp->addrs; a; a = a->next) {
			if (!af || af == a->family)
				add_address(&d, &info, ifp, a);
		}
		for (const struct sim_member *m = ifp->members; m; m = m->next) {
			if (!af || af == m->family)
				add_member(&d, &info, ifp, m);
		}
		info.has[DW_RTAX_IFA] = info.has[DW_RTAX_NETMASK] = info.has[DW_RTAX_BRD] = false;
	}

	/* kern_newsysctl.c:sysctl_old_user(): all of it or nothing */
	size_t room = *old_len;
	int rc = 0;
	*old_len = d.len;
	if (old && room < d.len) {
		*old_len = 0;
		rc = -DW_ENOMEM;
	} else if (old && d.len > 0) {
		memcpy(old, d.data, d.len);
	}
	free(d.data);
	return rc;
}
