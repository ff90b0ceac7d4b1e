/* sim_rtmsg.c - how routing messages lie in memory: net/rtsock.c:rt_msg1(), rt_msg2(), and what the
 * kernel keeps as addresses. */
#include "tests/darwin/sim_priv.h"

#include <string.h>

/* dlil_alloc_lladdr(): name and address, in multiples of 4, at least a sockaddr_dl. */
void sim_rt_link(struct sim_rtinfo *info, int which, const struct sim_ifnet *ifp)
{
	struct dw_sockaddr_dl head = { .family = DW_AF_LINK,
		.index = ifp->index,
		.type = ifp->type,
		.nlen = (uint8_t)strlen(ifp->name),
		.alen = ifp->mac_len };
	uint8_t *sa = info->sa[which];
	size_t size = offsetof(struct dw_sockaddr_dl, data) + head.nlen + sizeof(ifp->mac);

	if (size < sizeof(head))
		size = sizeof(head);
	head.len = (uint8_t)DW_RT_ROUNDUP(size);
	memset(sa, 0, SIM_SA_MAX);
	memcpy(sa, &head, offsetof(struct dw_sockaddr_dl, data));
	memcpy(sa + offsetof(struct dw_sockaddr_dl, data), ifp->name, head.nlen);
	memcpy(sa + offsetof(struct dw_sockaddr_dl, data) + head.nlen, ifp->mac, head.alen);
	info->has[which] = true;
}

static void put_inet(struct sim_rtinfo *info, int which, const uint8_t addr[4])
{
	struct dw_sockaddr_in sin = { .len = sizeof(sin), .family = DW_AF_INET };

	memcpy(sin.addr, addr, sizeof(sin.addr));
	memset(info->sa[which], 0, SIM_SA_MAX);
	memcpy(info->sa[which], &sin, sizeof(sin));
	info->has[which] = true;
}

static void put_inet6(struct sim_rtinfo *info, int which, const uint8_t addr[16])
{
	struct dw_sockaddr_in6 sin6 = { .len = sizeof(sin6), .family = DW_AF_INET6 };

	memcpy(sin6.addr, addr, sizeof(sin6.addr));
	memset(info->sa[which], 0, SIM_SA_MAX);
	memcpy(info->sa[which], &sin6, sizeof(sin6));
	info->has[which] = true;
}

/* IFA, NETMASK, BRD */
void sim_rt_addr(struct sim_rtinfo *info, const struct sim_addr *a)
{
	if (a->family == DW_AF_INET6) {
		put_inet6(info, DW_RTAX_IFA, a->addr);
		put_inet6(info, DW_RTAX_NETMASK, a->mask);
		info->has[DW_RTAX_BRD] = false; /* ifa_dstaddr: point-to-point only */
		return;
	}
	put_inet(info, DW_RTAX_IFA, a->addr);
	put_inet(info, DW_RTAX_NETMASK, a->mask);
	put_inet(info, DW_RTAX_BRD, a->broad);
	/* in.c:in_socktrim(): a mask ends with its last byte that is not zero; no such byte: 0 */
	uint8_t len = 4;
	for (uint8_t i = 0; i < 4; i++) {
		if (a->mask[i] != 0)
			len = (uint8_t)(5 + i);
	}
	info->sa[DW_RTAX_NETMASK][0] = len > 4 ? len : 0;
}

/* if.c:copy_and_normalize(): no name, no index; until 14 as long as it must be */
static void put_group_mac(
	struct sim_rtinfo *info, int which, const struct sim_ifnet *ifp, const uint8_t mac[6])
{
	struct dw_sockaddr_dl sdl = {
		.len = ifp->sim->profile >= SIM_15 ? 20 : 14, .family = DW_AF_LINK, .alen = 6
	};

	memcpy(sdl.data, mac, 6);
	memset(info->sa[which], 0, SIM_SA_MAX);
	memcpy(info->sa[which], &sdl, sizeof(sdl));
	info->has[which] = true;
}

/* IFA, IFP, and GATEWAY where the group has a link entry */
void sim_rt_member(struct sim_rtinfo *info, const struct sim_ifnet *ifp, const struct sim_member *m)
{
	memset(info, 0, sizeof(*info));
	if (m->family == DW_AF_INET)
		put_inet(info, DW_RTAX_IFA, m->group);
	else if (m->family == DW_AF_INET6)
		put_inet6(info, DW_RTAX_IFA, m->group);
	else
		put_group_mac(info, DW_RTAX_IFA, ifp, m->mac);
	sim_rt_link(info, DW_RTAX_IFP, ifp);
	if (m->ll)
		put_group_mac(info, DW_RTAX_GATEWAY, ifp, m->ll->mac);
}

size_t sim_rt_build(uint8_t out[SIM_RTMSG_MAX], uint8_t type, size_t head,
	const struct sim_rtinfo *info, bool round, int32_t *addrs)
{
	size_t at = head, len = head;

	memset(out, 0, SIM_RTMSG_MAX);
	*addrs = 0;
	for (int i = 0; i < DW_RTAX_MAX; i++) {
		if (!info->has[i])
			continue;
		*addrs |= 1 << i;
		memcpy(out + at, info->sa[i], info->sa[i][0]);
		len = at + info->sa[i][0];
		at += DW_RT_ROUNDUP(info->sa[i][0]);
	}
	if (round)
		len = at;
	struct dw_rt_head h = { .msglen = (uint16_t)len, .version = DW_RTM_VERSION, .type = type };
	memcpy(out, &h, sizeof(h));
	return len;
}
