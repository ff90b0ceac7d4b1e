/* sim_member.c - multicast memberships: net/if.c:if_addmulti_common(), if_delmulti_common(), and
 * the counting that in_mcast.c and in6_mcast.c do above.
 *
 * Only what can be seen of them: entries, and the messages about them. The IGMP and MLD reports
 * that the host sends are not simulated. */
#include "tests/darwin/sim_priv.h"

#include <stdlib.h>
#include <string.h>

void sim_embed_scope(const struct sim_ifnet *ifp, uint8_t addr[16])
{
	bool link = addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
	bool group = addr[0] == 0xff && ((addr[1] & 15) == 1 || (addr[1] & 15) == 2);

	if (link || group) {
		addr[2] = (uint8_t)(ifp->index >> 8);
		addr[3] = (uint8_t)ifp->index;
	}
}

static struct sim_member **find(struct sim_ifnet *ifp, int family, const uint8_t *group)
{
	for (struct sim_member **at = &ifp->members; *at; at = &(*at)->next) {
		struct sim_member *m = *at;
		if (m->family != family)
			continue;
		if (family == DW_AF_LINK ? memcmp(m->mac, group, 6) == 0
					 : memcmp(m->group, group, 16) == 0)
			return at;
	}
	return NULL;
}

/* if_attach_ifma(): newest first */
static struct sim_member *attach(struct sim_ifnet *ifp, int family, const uint8_t mac[6])
{
	struct sim_member *m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->family = family;
	memcpy(m->mac, mac, 6);
	m->refs = 1;
	m->next = ifp->members;
	ifp->members = m;
	return m;
}

/* The group's own form, 16 bytes, and its link address: ether_inet_pr_module.c, if_ether.h */
static void map(
	const struct sim_ifnet *ifp, int family, const void *group, uint8_t out[16], uint8_t mac[6])
{
	memset(out, 0, 16);
	if (family == DW_AF_INET) {
		memcpy(out, group, 4);
		memcpy(mac, (const uint8_t[]){ 1, 0, 0x5e, out[1] & 0x7f, out[2], out[3] }, 6);
		return;
	}
	memcpy(out, group, 16);
	sim_embed_scope(ifp, out);
	memcpy(mac, (const uint8_t[]){ 0x33, 0x33, out[12], out[13], out[14], out[15] }, 6);
}

int sim_member_join(struct sim_ifnet *ifp, int family, const void *group)
{
	uint8_t key[16], mac[6];

	map(ifp, family, group, key, mac);
	struct sim_member **at = find(ifp, family, key);
	if (at) {
		(*at)->refs++; /* in_mcast.c:in_addmulti(): nothing is told */
		return 0;
	}
	if (!(ifp->flags & DW_IFF_MULTICAST))
		return -DW_EADDRNOTAVAIL;

	/* dlil_resolve_multi() asks the protocol; without one ether_check_multi() is asked instead,
	 * which knows link addresses only */
	if (family == DW_AF_INET ? !ifp->proto_inet : !ifp->proto_inet6)
		return -DW_EAFNOSUPPORT;
	/* of the link entry nobody is told */
	at = find(ifp, DW_AF_LINK, mac);
	if (at)
		(*at)->refs++;
	struct sim_member *ll = at ? *at : attach(ifp, DW_AF_LINK, mac);
	struct sim_member *m = attach(ifp, family, mac);
	memcpy(m->group, key, sizeof(m->group));
	m->ll = ll;
	sim_tell_member(ifp, m, true);
	return 0;
}

static void take_out(struct sim_ifnet *ifp, struct sim_member *m)
{
	for (struct sim_member **at = &ifp->members; *at; at = &(*at)->next) {
		if (*at == m) {
			*at = m->next;
			return;
		}
	}
}

int sim_member_leave(struct sim_ifnet *ifp, int family, const void *group)
{
	uint8_t key[16], mac[6];

	map(ifp, family, group, key, mac);
	struct sim_member **at = find(ifp, family, key);
	if (!at)
		return -DW_EADDRNOTAVAIL;
	struct sim_member *m = *at;
	if (--m->refs > 0)
		return 0;
	take_out(ifp, m);
	bool last = --m->ll->refs == 0;
	if (last)
		take_out(ifp, m->ll);
	sim_tell_member(ifp, m, false);
	if (last)
		free(m->ll);
	free(m);
	return 0;
}

/* if.c:copy_and_normalize(): the link address of what SIOCADDMULTI is given */
static bool normalize(const struct dw_sockaddr *sa, uint8_t mac[6])
{
	const uint8_t *bytes = (const uint8_t *)sa;

	if (sa->family == DW_AF_UNSPEC) {
		if (sa->len < 8)
			return false;
		memcpy(mac, sa->data, 6);
		return true;
	}
	/* a sockaddr_dl, which fits no better than this into an ifreq; only Ethernet's length */
	size_t nlen = bytes[5], alen = bytes[6], slen = bytes[7];
	if (sa->len < 8 || 8 + nlen + alen + slen > sa->len || alen != 6)
		return false;
	memcpy(mac, bytes + 8 + nlen, 6);
	return true;
}

int sim_link_member(struct sim_ifnet *ifp, const struct dw_sockaddr *sa, bool join)
{
	uint8_t mac[6];

	if (!normalize(sa, mac))
		return -DW_ENOMEM;
	struct sim_member **at = find(ifp, DW_AF_LINK, mac);
	if (join) {
		if (at) {
			if ((*at)->anon++ == 0)
				(*at)->refs++;
			return 0;
		}
		if (!(mac[0] & 1)) /* ether_if_module.c:ether_check_multi() */
			return -DW_EADDRNOTAVAIL;
		struct sim_member *m = attach(ifp, DW_AF_LINK, mac);
		m->anon = 1;
		sim_tell_member(ifp, m, true);
		return 0;
	}

	if (!at || (*at)->anon == 0)
		return -DW_ENOENT;
	struct sim_member *m = *at;
	if (--m->anon > 0 || --m->refs > 0)
		return 0;
	take_out(ifp, m);
	sim_tell_member(ifp, m, false);
	free(m);
	return 0;
}

int sim_host_join(struct sim *sim, const char *ifname, int family, const void *group, bool join)
{
	sim_settle(sim);
	struct sim_ifnet *ifp = sim_ifnet_find(sim, ifname);
	if (!ifp)
		return -DW_ENXIO;
	return join ? sim_member_join(ifp, family, group) : sim_member_leave(ifp, family, group);
}
