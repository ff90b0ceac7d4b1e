/* pair_darwin.c - see pair_darwin.h. */
#include "server/hostif/pair_darwin.h"

#include <stdlib.h>
#include <string.h>

#include "server/hostif/darwin_abi.h"
#include "server/hostif/iflist_darwin.h"

#define ADDRS_MAX 64u /* of one interface that are looked at; the others are taken for missing */

_Static_assert(HOSTIF_ADDRS_MAX <= 32, "one bit per address");

/* -- whose it is -- */

static int member_look(
	struct ifctl *c, const struct iflist *list, const char *name, struct member *out)
{
	struct route_record link;
	*out = (struct member){ 0 };
	if (!iflist_find(list, name, &link))
		return 0;
	*out = (struct member){
		.there = true,
		.index = link.index,
		.mtu = link.mtu,
		.mac = link.mac,
		.up = link.flags & DW_IFF_UP,
	};
	const int rc = if_get_peer(c, name, out->peer);
	if (rc == -DW_ENXIO) { /* it went meanwhile */
		*out = (struct member){ 0 };
		return 0;
	}
	return rc;
}

/* Whether it has no MAC of anybody's yet, and no peer: as the kernel makes it, "feth" and the unit
 * (if_fake.c:feth_clone_create(), rule 5). */
static bool nameless(const struct member *m, const char *name)
{
	const unsigned long unit = strtoul(name + strcspn(name, "0123456789"), NULL, 10);
	const struct feth_mac fresh = { { 'f', 'e', 't', 'h', (uint8_t)(unit >> 8),
		(uint8_t)unit } };
	return m->there && !m->peer[0] && mac_equal(m->mac, fresh);
}

/* There are no tags. The service member's MAC is the next best: it is derived from the tag, so that
 * nobody else has any reason to use it, not even another fethd with a network of this name. The
 * host member's is no such proof; it is ours as the peer of the service member, or alone where no
 * other has that one's name: it is free, or what has it is nameless, as after a crash between that
 * one's create and its MAC. The nameless one itself may be anybody's. @made: it was ours a moment
 * ago, so that one of the two MACs is enough, for people may change the other. */
static void judge(struct pair *p, bool made)
{
	const struct hostif_spec *spec = p->spec;
	struct member *h = &p->host, *s = &p->service;
	const bool joined = h->there && s->there && !strcmp(h->peer, spec->service) &&
			    !strcmp(s->peer, spec->host);
	const bool host_mac = h->there && mac_equal(h->mac, spec->mac);
	const bool service_mac = s->there && mac_equal(s->mac, spec->service_mac);
	if (joined) {
		h->ours = s->ours = service_mac || (made && host_mac);
		return;
	}
	h->ours =
		host_mac && !h->peer[0] && (service_mac || !s->there || nameless(s, spec->service));
	s->ours = service_mac && !s->peer[0];
}

int pair_look(struct ifctl *c, const struct hostif_spec *spec, bool made, struct pair *out)
{
	struct iflist list;
	*out = (struct pair){ .spec = spec };
	memcpy(c->name, spec->host, sizeof(c->name));
	c->call = "NET_RT_IFLIST2";
	int rc = iflist_get(&list, DW_AF_LINK, 0);
	if (rc < 0)
		return rc;
	rc = member_look(c, &list, spec->host, &out->host);
	if (!rc)
		rc = member_look(c, &list, spec->service, &out->service);
	iflist_free(&list);
	judge(out, made);
	return rc;
}

bool pair_whole(const struct pair *p)
{
	return p->host.ours && p->service.ours;
}

int pair_destroy(struct ifctl *c, const struct pair *p)
{
	const int host = p->host.ours ? if_destroy(c, p->spec->host) : 0;
	if (host < 0 && p->service.ours) {
		struct ifctl other = *c; /* the first failure is the one to tell of */
		(void)if_destroy(&other, p->spec->service);
		return host;
	}
	return p->service.ours ? if_destroy(c, p->spec->service) : host;
}

/* -- changing it -- */

static struct end end_of(const struct member *m)
{
	return (struct end){ .mtu = m->mtu, .mac = m->mac, .up = m->up };
}

struct state state_of(const struct pair *p)
{
	return (struct state){ .host = end_of(&p->host), .service = end_of(&p->service) };
}

static int member_mtu(struct ifctl *c, const char *name, struct member *m, uint32_t mtu)
{
	const int rc = m->mtu == mtu ? 0 : if_set_mtu(c, name, mtu);
	if (!rc)
		m->mtu = mtu;
	return rc;
}

static int member_mac(struct ifctl *c, const char *name, struct member *m, struct feth_mac mac)
{
	const int rc = mac_equal(m->mac, mac) ? 0 : if_set_mac(c, name, mac);
	if (!rc)
		m->mac = mac;
	return rc;
}

/* The service member's MTU is never below the host member's on the way. The frame path does not
 * mind (it tests neither), a bridge or a BPF write may. */
static int apply_mtu(struct ifctl *c, struct pair *p, const struct state *to)
{
	const struct hostif_spec *spec = p->spec;
	int rc = 0;
	if (to->service.mtu > p->service.mtu)
		rc = member_mtu(c, spec->service, &p->service, to->service.mtu);
	if (!rc)
		rc = member_mtu(c, spec->host, &p->host, to->host.mtu);
	if (!rc)
		rc = member_mtu(c, spec->service, &p->service, to->service.mtu);
	return rc;
}

/* Up or down is asked of the kernel each time: it changes by itself when protocols come and go
 * (rule 19), and with addresses. */
int pair_apply(struct ifctl *c, struct pair *p, const struct state *to, const char **out_what)
{
	const struct hostif_spec *spec = p->spec;
	*out_what = "set the MTU of";
	int rc = apply_mtu(c, p, to);
	if (rc < 0)
		return rc;
	*out_what = "set the MAC of";
	rc = member_mac(c, spec->host, &p->host, to->host.mac);
	if (!rc)
		rc = member_mac(c, spec->service, &p->service, to->service.mac);
	if (rc < 0)
		return rc;
	*out_what = to->service.up ? "bring up" : "take down";
	rc = if_set_up(c, spec->service, to->service.up);
	if (rc < 0)
		return rc;
	*out_what = to->host.up ? "bring up" : "take down";
	return if_set_up(c, spec->host, to->host.up);
}

int pair_join(struct ifctl *c, struct pair *p)
{
	if (p->host.peer[0])
		return 0;
	const int rc = if_set_peer(c, p->spec->service, p->spec->host);
	if (!rc) {
		memcpy(p->host.peer, p->spec->service, sizeof(p->host.peer));
		memcpy(p->service.peer, p->spec->host, sizeof(p->service.peer));
	}
	return rc;
}

/* -- addresses -- */

static int addr_delete(struct ifctl *c, const char *name, const struct cidr *addr)
{
	const int rc = if_delete_addr(c, name, addr);
	return rc == -DW_EADDRNOTAVAIL ? 0 : rc; /* somebody was faster */
}

/* An address that is there is left alone, not added again: that would take its route away and make
 * it anew (in.c:inctl_ifaddr()). */
int pair_addrs(struct ifctl *c, const struct pair *p, const struct hostif_spec *now,
	const struct hostif_spec *want, uint32_t *added, const struct cidr **out_addr,
	const char **out_what)
{
	struct cidr there[ADDRS_MAX];
	const char *name = p->spec->host;
	c->call = "NET_RT_IFLIST2";
	*out_addr = NULL;
	*out_what = "list the addresses of";
	if (!now->n_addrs && !want->n_addrs)
		return 0;
	const int n = iflist_addrs(p->host.index, there, ADDRS_MAX);
	if (n < 0)
		return n;

	*out_what = "take";
	for (unsigned i = 0; i < now->n_addrs; i++) {
		*out_addr = &now->addrs[i];
		const bool keep = has_addr(want->addrs, want->n_addrs, *out_addr);
		const int rc = keep ? 0 : addr_delete(c, name, *out_addr);
		if (rc < 0)
			return rc;
	}
	*out_what = "give";
	for (unsigned i = 0; i < want->n_addrs; i++) {
		*out_addr = &want->addrs[i];
		if (has_addr(there, (unsigned)n, *out_addr))
			continue;
		const int rc = if_add_addr(c, name, *out_addr);
		if (rc < 0)
			return rc;
		*added |= 1u << i;
	}
	return 0;
}

void pair_addrs_undo(struct ifctl *c, const struct pair *p, const struct hostif_spec *now,
	const struct hostif_spec *want, uint32_t added)
{
	struct cidr there[ADDRS_MAX];
	for (unsigned i = 0; i < want->n_addrs; i++)
		if (added & 1u << i && !has_addr(now->addrs, now->n_addrs, &want->addrs[i]))
			(void)if_delete_addr(c, p->spec->host, &want->addrs[i]);
	const int n = iflist_addrs(p->host.index, there, ADDRS_MAX);
	for (unsigned i = 0; i < now->n_addrs; i++)
		if (n < 0 || !has_addr(there, (unsigned)n, &now->addrs[i]))
			(void)if_add_addr(c, p->spec->host, &now->addrs[i]);
}
