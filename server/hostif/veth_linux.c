/* veth_linux.c - the veth backend's control half: makes, changes and removes pairs.
 *
 * Theory of operation. A network's host side is a veth pair in our namespace. The host member is an
 * ordinary interface and belongs to the people of this machine. The service member belongs to us:
 * frames are read from and written to it by a packet socket (packet_linux.h), and the network stack
 * is to have no part in it. Left alone, the stack would answer ARP for every address of the machine
 * there (measured), solicit routers, report multicast groups, and take whatever the host broadcasts
 * for traffic from outside. Three things keep it away:
 *
 *   1. IFF_NOARP, addr_gen_mode none, no address. These alone make the member silent of itself
 *      (measured for 10 s with a packet socket on the host member: without them MLD reports, a
 *      neighbour and three router solicitations; with IFF_NOARP alone still router solicitations;
 *      with both nothing, also not when asked by IGMP and MLD queries).
 *   2. disable_ipv6, which is in /proc only and may be read-only there. Silence does not need it,
 *      the routes do: each IPv6 device gets ff00::/8, and a program that multicasts without naming
 *      an interface might get this one.
 *   3. The seal: traffic control drops all that the stack sends there, and all that it receives
 *      there, behind packet sockets (linux, __netif_receive_skb_core(): ptype_all first, then
 *      ingress). So a DHCP client, LLDP or mDNS daemon that serves every interface cannot speak
 *      into the network by the back door, and a bridged neighbour cannot reach the host's INPUT
 *      chain by the service member's MAC or hand it each broadcast twice. Our frames go around it
 *      by PACKET_QDISC_BYPASS, which also hides them from a sniffer of the service member; people
 *      sniff the host member. Needs clsact and cls_bpf (every distribution has them); where they
 *      are missing 1 and 2 must do.
 *
 * Offloads: the stack may leave to the device what a virtio_net_hdr can say, which the packet
 * socket passes on: checksums, segmentation of TCP and of UDP. Everything else that leaves a frame
 * unfinished is off on both members, and all of it where there is no such header
 * (ethtool_linux.c).
 *
 * Ownership: a pair is ours if its alias is our tag. Names are only ever used to find it; a change
 * is made by index, after its alias was seen. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/core/ipaddr.h"
#include "server/hostif/backends.h"
#include "server/hostif/ethtool_linux.h"
#include "server/hostif/mcast_linux.h"
#include "server/hostif/member_linux.h"
#include "server/hostif/packet_linux.h"

#define SWEEP_MAX 1024u /* interfaces; a daemon has 64 networks of two */

static bool veth_allowed(void)
{
	return member_allowed(1u << CAP_NET_ADMIN | 1u << CAP_NET_RAW);
}

/* -- finding what is ours -- */

struct pair {
	struct nl_link host, service; /* index 0: there is none */
};

static bool is_ours(const struct nl_link *link, const char *tag)
{
	return !strcmp(link->kind, "veth") && !strcmp(link->alias, tag);
}

/* Both members with our tag; -ENODEV where one is missing or not ours any more. */
static int pair_find(struct nl *nl, const struct hostif_spec *spec, struct pair *out)
{
	struct pair p;
	int rc = member_named(nl, spec->host, &p.host);
	if (!rc)
		rc = member_named(nl, spec->service, &p.service);
	if (rc < 0)
		return rc == -EEXIST ? -ENODEV : rc;
	if (!is_ours(&p.host, spec->tag) || !is_ours(&p.service, spec->tag))
		return -ENODEV;
	*out = p;
	return 0;
}

/* Frees one of the names for make(): finds what has it and whether that may go. */
static int name_check(struct nl *nl, const struct hostif_spec *spec, const char *name,
	int *out_index, struct err *err)
{
	struct nl_link link;
	int rc = member_named(nl, name, &link);
	*out_index = 0;
	if (rc == -ENODEV)
		return 0;
	if (rc < 0 && rc != -EEXIST)
		return member_refused(err, spec, rc, nl, "look for interface", name);
	if (rc == -EEXIST || !is_ours(&link, spec->tag))
		return err_set(err, -EEXIST,
			"%s: cannot make interface %s: there is one of this name that is not "
			"ours; remove it, or give the network another unit",
			spec->network, name);
	*out_index = link.index;
	return 0;
}

/* Removes what is left of an earlier pair of ours, after making sure that nothing foreign has
 * either name. */
static int names_clear(struct nl *nl, const struct hostif_spec *spec, struct err *err)
{
	int index[2] = { 0, 0 };
	int rc = name_check(nl, spec, spec->host, &index[0], err);
	if (!rc)
		rc = name_check(nl, spec, spec->service, &index[1], err);
	if (rc < 0)
		return rc;
	for (int i = 0; i < 2; i++) {
		rc = index[i] ? nl_link_delete(nl, index[i]) : 0;
		if (rc < 0 && rc != -ENODEV) /* the second goes with the first */
			return member_refused(err, spec, rc, nl, "replace interface", spec->host);
	}
	return 0;
}

/* -- the service member -- */

static void disable_ipv6(const char *name)
{
	char path[96];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* no IPv6, or /proc/sys is read-only (containers) */
	if (write(fd, "1", 1) < 0)
		log_debug("veth", "disable_ipv6 if=%s error=%s", name, strerror(errno));
	close(fd);
}

/* Takes IPv6 off the service member; to be done before it comes up. Below an MTU of 1280 there is
 * none to take off, and what comes back above it is as new. */
static int service_silence_ipv6(struct nl *nl, const struct nl_link *service)
{
	const int rc = nl_link_set_addr_gen_none(nl, service->index);
	if (rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP)
		return 0;
	disable_ipv6(service->name);
	return rc;
}

static int service_prepare(struct nl *nl, const struct nl_link *service)
{
	int rc = nl_link_set_noarp(nl, service->index);
	if (!rc)
		rc = service_silence_ipv6(nl, service);
	return rc;
}

/* -- changing a pair -- */

/* Across 1280 the kernel makes the member's IPv6 anew, with an address of its own and a router
 * solicitation, as soon as the MTU is set. So it is down meanwhile; the host member sees its
 * carrier go and come, the packet socket stays bound. */
static int service_mtu(struct nl *nl, struct nl_link *service, uint32_t mtu)
{
	const bool wakes = service->mtu < IP6_MTU_MIN && mtu >= IP6_MTU_MIN;
	const bool was_up = service->up;
	int rc = wakes ? member_up(nl, service, false) : 0;
	if (rc < 0)
		return rc;
	rc = member_mtu(nl, service, mtu);
	if (!rc && wakes)
		rc = service_silence_ipv6(nl, service);
	const int up = member_up(nl, service, was_up);
	return rc ? rc : up;
}

/* The service member's MTU is never below the host member's on the way, so that no frame the host
 * may send is refused. */
static int pair_mtu(struct nl *nl, struct pair *p, uint32_t host, uint32_t service)
{
	int rc = service > p->service.mtu ? service_mtu(nl, &p->service, service) : 0;
	if (!rc)
		rc = member_mtu(nl, &p->host, host);
	if (!rc)
		rc = service_mtu(nl, &p->service, service);
	return rc;
}

/* Brings the pair from what it is to @to. On failure some of it may be changed. */
static int pair_apply(struct nl *nl, struct pair *p, const struct state *to, const char **out_what)
{
	*out_what = "set the MTU of interface";
	int rc = pair_mtu(nl, p, to->host.mtu, to->service.mtu);
	if (rc < 0)
		return rc;
	*out_what = "set the MAC of interface";
	rc = member_mac(nl, &p->host, to->host.mac);
	if (!rc)
		rc = member_mac(nl, &p->service, to->service.mac);
	if (rc < 0)
		return rc;
	*out_what = to->host.up ? "bring up interface" : "take down interface";
	rc = member_up(nl, &p->service, to->service.up);
	if (!rc)
		rc = member_up(nl, &p->host, to->host.up);
	return rc;
}

static int veth_change(
	const struct hostif_spec *now, const struct hostif_spec *want, struct err *err)
{
	int rc = ipv6_check(want, err);
	if (rc < 0)
		return rc;
	struct nl nl;
	rc = nl_open(&nl);
	if (rc < 0)
		return member_refused(err, want, rc, NULL, "open netlink for", want->host);

	struct pair p;
	rc = pair_find(&nl, now, &p);
	if (rc == -ENODEV)
		err_set(err, rc,
			"%s: cannot change interface %s: it or %s is gone, or not ours any more",
			want->network, now->host, now->service);
	else if (rc < 0)
		member_refused(err, want, rc, &nl, "look for interface", now->host);
	if (rc < 0)
		goto done;

	/* The kernel's word counts, not @now: somebody may have used `ip link`. */
	const struct state was = { .host = member_end(&p.host), .service = member_end(&p.service) };
	const struct state to = state_wanted(want);
	const char *what;
	uint32_t added = 0;
	rc = pair_apply(&nl, &p, &to, &what);
	if (rc < 0)
		member_refused(err, want, rc, &nl, what, want->host);
	else
		rc = member_addrs(&nl, p.host.index, now, want, &added, err);
	if (rc < 0) {
		(void)pair_apply(&nl, &p, &was, &what);
		member_addrs_undo(&nl, p.host.index, now, want, added);
	}
done:
	nl_close(&nl);
	return rc;
}

/* -- making one -- */

/* Makes the pair, both ends down, and tags it. */
static int pair_make(
	struct nl *nl, const struct hostif_spec *spec, struct pair *out, struct err *err)
{
	const struct nl_end host = { .name = spec->host, .mac = spec->mac };
	const struct nl_end service = { .name = spec->service, .mac = spec->service_mac };
	struct pair p = { 0 };

	int rc = nl_veth_make(nl, &host, &service, spec->mtu);
	if (rc == -EEXIST)
		return err_set(err, rc,
			"%s: cannot make interface %s: it or %s exists already and is not ours",
			spec->network, spec->host, spec->service);
	if (rc == -EOPNOTSUPP)
		return err_set(err, rc,
			"%s: cannot make interface %s: this kernel has no veth; try modprobe veth, "
			"or use the backend none",
			spec->network, spec->host);
	if (rc < 0)
		return member_refused(err, spec, rc, nl, "make interface", spec->host);

	/* From here on by index. The names are ours as of now, and the ends know each other: that
	 * both are what we made is sure enough to put our tag on them. */
	rc = member_named(nl, spec->host, &p.host);
	if (!rc)
		rc = member_named(nl, spec->service, &p.service);
	if (!rc && (p.host.peer != p.service.index || p.service.peer != p.host.index ||
			   !mac_equal(p.host.mac, spec->mac) ||
			   !mac_equal(p.service.mac, spec->service_mac)))
		rc = -EAGAIN;
	if (rc < 0)
		return member_refused(err, spec, rc, nl, "find the new interface", spec->host);

	rc = nl_link_set_alias(nl, p.host.index, spec->tag);
	if (!rc)
		rc = nl_link_set_alias(nl, p.service.index, spec->tag);
	if (rc < 0) {
		member_refused(err, spec, rc, nl, "tag interface", spec->host);
		(void)nl_link_delete(nl, p.host.index);
		return rc;
	}
	*out = p;
	return 0;
}

static int offloads_set(
	const struct hostif_spec *spec, const char *name, uint8_t offload, struct err *err)
{
	char on[ETHTOOL_FEATURE];
	const int rc = ethtool_offloads_set(name, offload, on);
	if (rc < 0 && on[0])
		return err_set(err, rc,
			"%s: cannot use interface %s: %s cannot be switched off, and clients would "
			"get unfinished frames",
			spec->network, name, on);
	return rc < 0 ? member_refused(err, spec, rc, NULL, "set the offloads of", name) : 0;
}

/* Brings a new pair into service, around the packet socket @fd. */
static int pair_start(struct nl *nl, const struct hostif_spec *spec, struct pair *p, int fd,
	const struct packet_traits *traits, struct err *err)
{
	int rc = offloads_set(spec, spec->host, traits->offload, err);
	if (!rc)
		rc = offloads_set(spec, spec->service, traits->offload, err);
	if (rc < 0)
		return rc;

	rc = service_prepare(nl, &p->service);
	if (!rc && traits->bypass) {
		const int sealed = nl_link_seal(nl, p->service.index);
		if (sealed < 0)
			log_info("veth",
				"not sealed if=%s: %s%s%s; programs of this machine that use every "
				"interface may speak there",
				spec->service, strerror(-sealed), nl->why[0] ? ": " : "", nl->why);
	}
	if (!rc)
		rc = nl_link_set_up(nl, p->service.index, true);
	if (!rc)
		rc = packet_bind(fd, p->service.index);
	if (rc < 0)
		return member_refused(err, spec, rc, nl, "start interface", spec->service);

	/* up before its addresses: IPv6 ones of a link that is down do not work until it is */
	rc = spec->up ? nl_link_set_up(nl, p->host.index, true) : 0;
	if (rc < 0)
		return member_refused(err, spec, rc, nl, "bring up interface", spec->host);
	static const struct hostif_spec nothing;
	uint32_t added = 0;
	return member_addrs(nl, p->host.index, &nothing, spec, &added, err);
}

static int veth_make(const struct hostif_spec *spec, struct hostif_made *out, struct err *err)
{
	struct nl nl = { 0 };
	struct pair p = { 0 };
	struct packet_traits traits;
	const char *what;

	int rc = ipv6_check(spec, err);
	if (rc < 0)
		return rc;
	const int fd = packet_socket(&traits, &what);
	if (fd == -EPERM)
		return member_refused(err, spec, fd, NULL, "make interface", spec->host);
	if (fd < 0)
		return member_refused(err, spec, fd, NULL, what, spec->service);
	rc = nl_open(&nl);
	if (rc < 0) {
		member_refused(err, spec, rc, NULL, "open netlink for", spec->host);
		goto fail;
	}
	rc = names_clear(&nl, spec, err);
	if (rc < 0)
		goto fail;
	rc = pair_make(&nl, spec, &p, err);
	if (rc < 0)
		goto fail;
	rc = pair_start(&nl, spec, &p, fd, &traits, err);
	if (rc < 0)
		goto fail;

	nl_close(&nl);
	*out = (struct hostif_made){ .rx_fd = fd, .tx_fd = fd };
	return 0;

fail:
	if (p.host.index)
		(void)nl_link_delete(&nl, p.host.index);
	nl_close(&nl);
	close(fd);
	return rc;
}

static int veth_remove(const struct hostif_spec *spec)
{
	const char *const names[] = { spec->host, spec->service };
	struct nl nl;
	int rc = nl_open(&nl);

	/* both names: one may have been renamed or moved to a container, and goes with its peer */
	for (int i = 0; i < 2 && rc >= 0; i++) {
		struct nl_link link;
		if (member_named(&nl, names[i], &link) || !is_ours(&link, spec->tag))
			continue;
		rc = nl_link_delete(&nl, link.index);
		if (rc == -ENODEV)
			rc = 0;
	}
	if (rc < 0)
		log_warn("veth", "not removed if=%s: %s", spec->host, strerror(-rc));
	nl_close(&nl);
	return rc < 0 ? rc : 0;
}

/* -- after a crash -- */

struct sweep {
	const char *prefix;
	int index[SWEEP_MAX];
	unsigned n;
};

static void sweep_note(void *data, const struct nl_link *link)
{
	struct sweep *s = data;
	if (s->n < SWEEP_MAX && !strcmp(link->kind, "veth") &&
		!strncmp(link->alias, s->prefix, strlen(s->prefix)))
		s->index[s->n++] = link->index;
}

static int veth_sweep(
	const char *prefix, const struct hostif_spec *known, unsigned n, struct err *err)
{
	(void)known; /* the tag says more */
	(void)n;
	if (!prefix[0])
		return err_set(err, -EINVAL, "nothing says which interfaces are ours");
	struct nl nl;
	struct sweep s = { .prefix = prefix };
	int rc = nl_open(&nl);
	if (!rc)
		rc = nl_link_list(&nl, sweep_note, &s);

	int removed = 0;
	for (unsigned i = 0; i < s.n && !rc; i++) {
		rc = nl_link_delete(&nl, s.index[i]);
		if (!rc)
			removed++;
		else if (rc == -ENODEV)
			rc = 0; /* went with its peer: a pair counts once */
	}
	if (rc < 0)
		err_set(err, rc, "cannot remove the interfaces tagged %s: %s%s", prefix,
			strerror(-rc),
			rc == -EPERM ? "; run fethd as root, or with --rootless" : "");
	nl_close(&nl);
	return rc < 0 ? rc : removed;
}

/* The service member says it: the host member may be in another namespace. */
static bool veth_carrier(const struct hostif_spec *spec)
{
	struct nl nl;
	struct nl_link link = { .carrier = false };
	int rc = nl_open(&nl);
	if (!rc)
		rc = member_named(&nl, spec->service, &link);
	nl_close(&nl);
	return !rc && is_ours(&link, spec->tag) && link.carrier;
}

const struct hostif_ops hostif_veth = {
	.name = "veth",
	.has_host = true,
	.mtu_min = HOSTIF_MTU_MIN,
	.mtu_max = HOSTIF_MTU_MAX,
	.allowed = veth_allowed,
	.make = veth_make,
	.change = veth_change,
	.remove = veth_remove,
	.name_free = member_name_free,
	.carrier = veth_carrier,
	.sweep = veth_sweep,
	.groups = mcast_groups,
	.watch_open = member_watch_open,
	.watch_read = nl_watch_read,
	.groups_told = nl_groups_told,
	.open = packet_open,
	.close = packet_close,
	.recv = packet_recv,
	.done = packet_done,
	.missed = packet_missed,
	.send = packet_send,
	.fd = packet_fd,
	.gathers = packet_gathers,
	.offload = packet_offload,
};
