/* sim_ifnet.c - interfaces as such: names, cloning, attaching, up and down, protocols. What if.c,
 * dlil.c, dlil_subr.c and kpi_interface.c do; their ioctls are in sim_ifioctl.c. */
#include "tests/darwin/sim_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IFT_LOOP 24 /* net/if_types.h */
#define IFF_LOOPBACK 8u

/* if.c:ifunit_extract(): "feth007" is feth, 7; a name without digits at the end is none. */
static bool extract(const char *name, char base[DW_IFNAMSIZ + 1], unsigned *unit)
{
	size_t len = strnlen(name, DW_IFNAMSIZ);
	uint64_t n = 0, digit = 1;

	if (len < 2 || (name[0] >= '0' && name[0] <= '9'))
		return false;
	size_t end = len;
	while (end > 0 && name[end - 1] >= '0' && name[end - 1] <= '9') {
		n += (uint64_t)(name[end - 1] - '0') * digit;
		if (n > 1000000)
			return false;
		digit *= 10;
		end--;
	}
	if (end == len || end == 0)
		return false;
	memcpy(base, name, end);
	base[end] = '\0';
	*unit = (unsigned)n;
	return true;
}

static struct sim_ifnet *by_unit(struct sim *sim, const char *base, unsigned unit)
{
	for (struct sim_ifnet *ifp = sim->ifnets; ifp; ifp = ifp->next) {
		if (ifp->unit == unit && strcmp(ifp->base, base) == 0)
			return ifp;
	}
	return NULL;
}

struct sim_ifnet *sim_ifnet_named(struct sim *sim, const char *base, unsigned unit)
{
	return by_unit(sim, base, unit);
}

struct sim_ifnet *sim_ifnet_find(struct sim *sim, const char *name)
{
	char base[DW_IFNAMSIZ + 1];
	unsigned unit;

	if (!extract(name, base, &unit))
		return NULL;
	struct sim_ifnet *ifp = by_unit(sim, base, unit);
	return ifp && ifp->attached ? ifp : NULL;
}

/* -- attaching -- */

/* dlil.c:ifnet_attach(): at the end of ifnet_head, and with an index, which it keeps when it comes
 * again under the same name. */
static void attach(struct sim_ifnet *ifp)
{
	struct sim *sim = ifp->sim;
	struct sim_ifnet **at = &sim->ifnets;

	while (*at) {
		if (*at == ifp)
			*at = ifp->next;
		else
			at = &(*at)->next;
	}
	*at = ifp;
	ifp->next = NULL;
	if (ifp->index == 0)
		ifp->index = sim->next_index++;
	ifp->attached = ifp->inuse = true;
	ifp->generation++;
	sim_tell_event(ifp, DW_KEV_DL_IF_ATTACHED);
}

static struct sim_ifnet *ifnet_new(struct sim *sim, const char *base, unsigned unit)
{
	struct sim_ifnet *ifp = calloc(1, sizeof(*ifp));
	if (!ifp)
		abort();
	ifp->sim = sim;
	ifp->unit = unit;
	snprintf(ifp->base, sizeof(ifp->base), "%s", base);
	snprintf(ifp->name, sizeof(ifp->name), "%.9s%u", base, unit % 1000000);
	ifp->next = sim->ifnets;
	sim->ifnets = ifp;
	return ifp;
}

void sim_host_interface(struct sim *sim, const char *name, uint8_t type)
{
	char base[DW_IFNAMSIZ + 1];
	unsigned unit;

	if (!extract(name, base, &unit) || by_unit(sim, base, unit))
		abort(); /* the test's mistake */
	struct sim_ifnet *ifp = ifnet_new(sim, base, unit);
	ifp->type = type;
	if (type == IFT_LOOP) {
		ifp->mtu = 16384;
		ifp->flags = DW_IFF_UP | IFF_LOOPBACK | DW_IFF_RUNNING | DW_IFF_MULTICAST;
	} else {
		ifp->mtu = 1500;
		ifp->flags = DW_IFF_UP | DW_IFF_BROADCAST | DW_IFF_RUNNING | DW_IFF_SIMPLEX |
			     DW_IFF_MULTICAST;
		ifp->mac_len = 6;
		memcpy(ifp->mac, (const uint8_t[]){ 0xa4, 0x83, 0xe7, 0, 0, (uint8_t)unit }, 6);
	}
	attach(ifp);
}

/* The asynchronous half of a destroy: dlil.c:ifnet_detach_final(). Only here do BPF, addresses and
 * protocols learn of it, and only after its end is the name free. */
static void detach_final(struct sim_ifnet *ifp)
{
	sim_bpf_detach(ifp);
	sim_queue_flush(&ifp->out);
	sim_queue_flush(&ifp->in);
	sim_inet_purge(ifp);
	/* proto_unplumb(); a socket of AF_NDRV is left with nothing to detach */
	sim_proto_detach(ifp, DW_AF_INET);
	sim_proto_detach(ifp, DW_AF_INET6);
	if (ifp->n_ndrv > 1)
		ifp->n_ndrv = 1;
	sim_proto_detach(ifp, DW_AF_NDRV);
	ifp->flags &= ~(DW_IFF_PROMISC | DW_IFF_ALLMULTI);
	ifp->caps_on = 0;
	ifp->input_off = false;
	sim_tell_event(ifp, DW_KEV_DL_IF_DETACHED);
	ifp->detaching = false;
}

void sim_ifnet_settle(struct sim *sim)
{
	for (struct sim_ifnet *ifp = sim->ifnets; ifp; ifp = ifp->next) {
		if (ifp->detaching && sim_now_us(sim) - ifp->detach_us >= sim->knobs.busy_us)
			detach_final(ifp);
		if (!ifp->attached && !ifp->detaching && ifp->busy_left == 0)
			ifp->inuse = false;
	}
}

/* dlil.c:ifnet_detach(). The routing sockets hear of it only where it was up, by if_down(): while
 * it can still be looked up, but for 10.14, where it cannot any more. The event sockets hear of it
 * in any case, once it cannot. */
static void detach(struct sim_ifnet *ifp)
{
	bool down_first = ifp->sim->profile > SIM_10_14;

	if (down_first)
		sim_set_flags(ifp, 0, DW_IFF_UP);
	ifp->attached = false;
	if (!down_first)
		sim_set_flags(ifp, 0, DW_IFF_UP);
	sim_tell_event(ifp, DW_KEV_DL_IF_DETACHING);
	ifp->detaching = true;
	ifp->detach_us = sim_now_us(ifp->sim);
	ifp->busy_left = ifp->sim->knobs.busy_calls;
	sim_ifnet_settle(ifp->sim);
}

struct sim_ifnet *sim_ifnet_make(struct sim *sim, const char *base, unsigned unit)
{
	struct sim_ifnet *ifp = by_unit(sim, base, unit);
	if (!ifp)
		ifp = ifnet_new(sim, base, unit);
	attach(ifp);
	return ifp;
}

void sim_ifnet_end(struct sim_ifnet *ifp)
{
	detach(ifp);
}

void sim_ifnet_free(struct sim *sim)
{
	while (sim->ifnets) {
		struct sim_ifnet *ifp = sim->ifnets;
		sim->ifnets = ifp->next;
		sim_queue_flush(&ifp->out);
		sim_queue_flush(&ifp->in);
		sim_inet_free(ifp);
		free(ifp);
	}
}

/* -- cloning; feth is the only cloner here -- */

#define WILDCARD UINT32_MAX

/* if.c:if_clone_lookup(). The number may wrap, as it does there. */
static bool cloner(const char *name, uint32_t *unit)
{
	size_t len = strnlen(name, DW_IFNAMSIZ);

	if (len < 4 || memcmp(name, "feth", 4) != 0)
		return false;
	*unit = len == 4 ? WILDCARD : 0;
	for (size_t i = 4; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		*unit = *unit * 10 + (uint32_t)(name[i] - '0');
	}
	return true;
}

/* feth_clone_create(), with dlil_ctl.c:dlil_if_acquire() */
static int create(struct sim *sim, uint32_t unit)
{
	struct sim_ifnet *ifp = by_unit(sim, "feth", unit);

	if (ifp && ifp->inuse) {
		if (!ifp->attached && ifp->busy_left > 0)
			ifp->busy_left--;
		return -DW_EBUSY;
	}
	if (!ifp)
		ifp = ifnet_new(sim, "feth", unit);
	sim_feth_create(ifp);
	attach(ifp);
	/* ifnet_set_lladdr() */
	memcpy(ifp->mac, "feth", 4);
	ifp->mac[4] = (uint8_t)(unit >> 8);
	ifp->mac[5] = (uint8_t)unit;
	ifp->mac_len = 6;
	sim_tell_event(ifp, DW_KEV_DL_LINK_ADDRESS_CHANGED);
	return 0;
}

/* if.c:if_clone_create() */
int sim_clone_create(struct sim *sim, char name[DW_IFNAMSIZ])
{
	uint32_t unit;

	if (!cloner(name, &unit))
		return -DW_EINVAL;
	if (sim_ifnet_find(sim, name))
		return -DW_EEXIST;
	if (unit != WILDCARD) {
		if (unit > DW_IF_MAXUNIT)
			return -DW_ENXIO;
		return create(sim, unit);
	}

	/* The bitmap of units is cleared before the name is free: then the next one is tried. */
	for (unit = 0; unit <= DW_IF_MAXUNIT; unit++) {
		const struct sim_ifnet *ifp = by_unit(sim, "feth", unit);
		if (ifp && ifp->attached)
			continue;
		int rc = create(sim, unit);
		if (rc == -DW_EBUSY)
			continue;
		if (rc == 0)
			snprintf(name, DW_IFNAMSIZ, "feth%u", unit);
		return rc;
	}
	return -DW_ENOSPC;
}

/* if.c:if_clone_destroy() */
int sim_clone_destroy(struct sim *sim, const char name[DW_IFNAMSIZ])
{
	uint32_t unit;

	if (!cloner(name, &unit))
		return -DW_EINVAL;
	struct sim_ifnet *ifp = sim_ifnet_find(sim, name);
	if (!ifp)
		return -DW_ENXIO;
	sim_feth_destroy(ifp);
	detach(ifp);
	return 0;
}

/* -- flags and protocols -- */

void sim_set_flags(struct sim_ifnet *ifp, uint32_t flags, uint32_t mask)
{
	/* if.c:if_updown(): the routing sockets are told of this alone, before the other flags
	 * change, and nothing is told of those */
	if (mask & DW_IFF_UP && (flags ^ ifp->flags) & DW_IFF_UP) {
		ifp->flags ^= DW_IFF_UP;
		if (ifp->attached || ifp->sim->profile == SIM_10_14) {
			sim_queue_flush(&ifp->out);
			sim_inet_updown(ifp, ifp->flags & DW_IFF_UP);
			sim_tell_ifinfo(ifp);
		}
	}
	ifp->flags = (flags & mask) | (ifp->flags & ~mask);
}

bool sim_proto_any(const struct sim_ifnet *ifp)
{
	return ifp->proto_inet || ifp->proto_inet6 || ifp->n_ndrv > 0;
}

/* What follows a protocol's coming and going: the driver is told, which makes RUNNING follow UP
 * (if_fake.c:feth_ioctl), and so are the event sockets. */
static void follow(struct sim_ifnet *ifp, bool up)
{
	sim_set_flags(ifp, up ? DW_IFF_UP : 0, DW_IFF_UP);
	sim_feth_ioctl(NULL, ifp, DW_SIOCSIFFLAGS, NULL);
	sim_tell_event(ifp, DW_KEV_DL_SIFFLAGS);
}

void sim_proto_attach(struct sim_ifnet *ifp, int family)
{
	bool *which = family == DW_AF_INET    ? &ifp->proto_inet
		      : family == DW_AF_INET6 ? &ifp->proto_inet6
					      : NULL;

	/* dlil.c:dlil_attach_protocol(): the second time is EEXIST, and nothing follows */
	if (which ? *which : ifp->n_ndrv++ > 0)
		return;
	if (which)
		*which = true;
	sim_tell_proto(ifp, DW_KEV_DL_PROTO_ATTACHED, family);
	follow(ifp, true); /* dlil.c:dlil_handle_proto_attach() */
}

void sim_proto_detach(struct sim_ifnet *ifp, int family)
{
	bool *which = family == DW_AF_INET    ? &ifp->proto_inet
		      : family == DW_AF_INET6 ? &ifp->proto_inet6
					      : NULL;

	if (which ? !*which : ifp->n_ndrv == 0)
		return;
	if (which)
		*which = false;
	else if (--ifp->n_ndrv > 0)
		return;
	/* dlil_subr.c:if_proto_free() */
	sim_tell_proto(ifp, DW_KEV_DL_PROTO_DETACHED, family);
	if (!sim_proto_any(ifp))
		follow(ifp, false);
}
