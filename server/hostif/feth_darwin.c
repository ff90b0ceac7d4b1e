/* feth_darwin.c - the feth backend's control half: makes, changes and removes pairs.
 *
 * Theory of operation. On macOS a network's host side is a pair of feth interfaces ("fake
 * Ethernet", XNU if_fake.c), made each other's peers: what goes out of one comes in at the other.
 * The host member is an ordinary interface of this machine, with its addresses. The service member
 * is ours: it has no address and no protocol, so the stack has no part in it. Frames from the host
 * come in there and are read by a BPF device that sees incoming ones only (bpf_darwin.c); frames
 * for the host are put out there raw by an AF_NDRV socket, or by BPF where there is none
 * (inject_darwin.c). On the host member it would be the other way round.
 *
 * What differs from Linux, and shapes all below:
 *
 *   1. A feth lasts until it is destroyed: no descriptor holds it, and destroying one leaves its
 *      peer. So a crash leaves both (sweep), and each is destroyed for itself.
 *   2. There are no tags. Ours is what has the name and the MAC that we gave it, and no peer but
 *      ours (pair_darwin.c: judge()). Therefore the MAC is set at once after the create. A crash
 *      between the two calls leaves one interface with the kernel's MAC, down, that nobody can
 *      claim; the network then takes the next unit.
 *   3. Several settings are the whole machine's, net.link.fake.*, and are captured by an interface
 *      when it is created, for good. Some would damage frames, and we refuse to work with them. The
 *      largest MTU is one of them and 2048 by default: it is raised for each create of ours and
 *      put back.
 *   4. A destroyed interface is gone at once but its name is busy for a while (BUSY_TRIES).
 *   5. IFF_UP comes and goes behind our back: the first protocol or address raises an interface,
 *      the last protocol lowers it (rule 19). So it is asked for, and set last.
 *   6. Other programs destroy interfaces of ours: ZeroTier does it to feth0 to feth9999 when it
 *      starts. Our units begin above that. PF_ROUTE tells (watch_darwin.c), and the daemon makes
 * the pair anew.
 *
 * The kernel's calls go through the table darwin_sys, in Darwin's numbers (darwin_abi.h), so that
 * all of this runs on a simulated kernel as well (tests/darwin). XNU is cited by file and function;
 * a rule by its number in docs/macos.md. */
#include "server/hostif/feth_darwin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/base/log.h"
#include "server/hostif/backends.h"
#include "server/hostif/bpf_darwin.h"
#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"
#include "server/hostif/errno_darwin.h"
#include "server/hostif/fakesysctl_darwin.h"
#include "server/hostif/frames_darwin.h"
#include "server/hostif/iflist_darwin.h"
#include "server/hostif/inject_darwin.h"
#include "server/hostif/pair_darwin.h"
#include "server/hostif/wanted.h"
#include "server/hostif/watch_darwin.h"

/* ZeroTier's start destroys every feth0 to feth9999, whoever made it (its MacEthernetTap.cpp), so
 * no unit of ours is below; the service member's is 5000 higher and still within feth's 32767. */
#define UNIT_BASE 10000u

/* No routing message tells that a pair was parted, nor that an interface went that was down. A look
 * costs a dump and two calls. */
#define CHECK_MS 2000u

/* A destroyed interface's name is free only when a thread of the kernel's is through with it; until
 * then a create says EBUSY (dlil_ctl.c:dlil_if_acquire(), rule 7), and nothing tells when that
 * ends. That thread is woken at once and has little to do (dlil.c:ifnet_detach_final()), so that a
 * millisecond or two are enough most often. Where they are not, the caller tries again: we are on
 * the loop that moves frames. */
#define BUSY_TRIES 3u
#define BUSY_US 1000u

#define OFFLOADS (DW_IFCAP_RXCSUM | DW_IFCAP_TXCSUM | DW_IFCAP_TSO4 | DW_IFCAP_TSO6 | DW_IFCAP_LRO)

/* Says what failed, of the last call of @c; returns the native error. */
static int refused(struct err *err, const struct hostif_spec *spec, const struct ifctl *c, int dw,
	const char *verb)
{
	const struct attempt a = { spec->network, verb, c->name, c->call };
	return feth_refused(err, &a, dw);
}

static bool feth_allowed(void)
{
	return darwin_sys.geteuid() == 0;
}

static int spec_check(const struct hostif_spec *spec, struct err *err)
{
	if (spec->mtu < DW_IF_MINMTU || spec->mtu > DW_FETH_MTU_MAX)
		return err_set(err, -EINVAL,
			"%s: interface %s cannot have an MTU of %u; make it %u to %u",
			spec->network, spec->host, spec->mtu, DW_IF_MINMTU, DW_FETH_MTU_MAX);
	return ipv6_check(spec, err);
}

/* -- steps that make and change share -- */

/* Everything of a pair that exists: MTUs, MACs, link state, addresses. */
static int pair_become(struct ifctl *c, struct pair *p, const struct hostif_spec *now,
	const struct hostif_spec *want, uint32_t *added, struct err *err)
{
	const struct state to = state_wanted(want);
	const struct cidr *addr;
	const char *what;
	int rc = pair_apply(c, p, &to, &what);
	if (rc < 0)
		return refused(err, want, c, rc, what);

	rc = pair_addrs(c, p, now, want, added, &addr, &what);
	if (rc < 0) {
		char text[CIDR_TEXT], verb[CIDR_TEXT + 16];
		if (!addr)
			return refused(err, want, c, rc, what);
		cidr_format(text, addr);
		snprintf(verb, sizeof(verb), "%s %s %s", what, text,
			!strcmp(what, "give") ? "to" : "from");
		return refused(err, want, c, rc, verb);
	}
	/* addresses may have raised it */
	rc = if_set_up(c, want->host, want->up);
	return rc < 0 ? refused(err, want, c, rc, want->up ? "bring up" : "take down") : 0;
}

/* The largest MTU that both members captured. */
static int pair_mtu_max(struct ifctl *c, const struct hostif_spec *spec, uint32_t *out)
{
	uint32_t host = 0, service = 0;
	int rc = if_get_mtu_max(c, spec->host, &host);
	if (!rc)
		rc = if_get_mtu_max(c, spec->service, &service);
	if (!rc)
		*out = host < service ? host : service;
	return rc;
}

static int mtu_check(const struct hostif_spec *spec, uint32_t captured, struct err *err)
{
	if (spec->mtu <= captured)
		return 0;
	return err_set(err, -EINVAL,
		"%s: interface %s cannot have an MTU of %u (SIOCGIFDEVMTU): it took %u for the "
		"most when it was made; make it smaller, or allow more (sudo sysctl "
		"net.link.fake.max_mtu=%u) and create the network anew",
		spec->network, spec->host, spec->mtu, captured, DW_FETH_MTU_MAX);
}

/* -- making one -- */

/* What exists so far, to be taken back on failure. */
struct making {
	struct ifctl c;
	bool host, service; /* created by us */
	int rx_fd, tx_fd;
	uint32_t mtu_max;
};

static void making_undo(struct making *m, const struct hostif_spec *spec)
{
	if (m->rx_fd >= 0)
		darwin_sys.close(m->rx_fd);
	if (m->tx_fd >= 0 && m->tx_fd != m->rx_fd)
		darwin_sys.close(m->tx_fd);
	int rc = m->host ? if_destroy(&m->c, spec->host) : 0;
	const int rc2 = m->service ? if_destroy(&m->c, spec->service) : 0;
	if (rc || rc2)
		log_warn("feth", "not removed if=%s,%s: %s", spec->host, spec->service,
			strerror(-dw_native(rc ? rc : rc2)));
}

static int settings_check(const struct hostif_spec *spec, struct err *err)
{
	struct fake_fault fault;
	const int rc = fake_check(&fault);
	if (!rc)
		return 0;
	if (rc < 0) {
		const struct attempt a = { spec->network, "make", spec->host, fault.name };
		return feth_refused(err, &a, rc);
	}
	return err_set(err, -EIO,
		"%s: cannot make interface %s: %s is %d, which %s; somebody has changed it, set it "
		"back: sudo sysctl %s=%d",
		spec->network, spec->host, fault.name, fault.value, fault.harm, fault.name,
		fault.wanted);
}

static int taken(const struct hostif_spec *spec, const char *name, struct err *err)
{
	return err_set(err, -EEXIST,
		"%s: cannot make interface %s (SIOCIFCREATE): there is one of this name that is "
		"not ours; remove it, or give the network another unit",
		spec->network, name);
}

/* Removes what is left of an earlier pair of ours, after making sure that nothing foreign has
 * either name. */
static int names_clear(struct ifctl *c, const struct hostif_spec *spec, struct err *err)
{
	struct pair p;
	int rc = pair_look(c, spec, false, &p);
	if (rc < 0)
		return refused(err, spec, c, rc, "look for");
	if (p.host.there && !p.host.ours)
		return taken(spec, spec->host, err);
	if (p.service.there && !p.service.ours)
		return taken(spec, spec->service, err);
	rc = pair_destroy(c, &p);
	return rc < 0 ? refused(err, spec, c, rc, "replace") : 0;
}

/* One try. The limit is the whole machine's, so it is raised for this call and not for any wait. */
static int create_raised(struct ifctl *c, const char *name)
{
	struct fake_limit limit;
	fake_raise(&limit);
	const int rc = if_create(c, name);
	fake_restore(&limit);
	return rc;
}

static int create(struct ifctl *c, const char *name)
{
	int rc = create_raised(c, name);
	for (unsigned tries = 1; rc == -DW_EBUSY && tries < BUSY_TRIES; tries++) {
		darwin_sys.sleep_us(BUSY_US);
		rc = create_raised(c, name);
	}
	return rc;
}

static int member_create(struct ifctl *c, const struct hostif_spec *spec, const char *name,
	struct feth_mac mac, bool *created, struct err *err)
{
	int rc = create(c, name);
	if (rc == -DW_EEXIST)
		return taken(spec, name, err);
	if (rc < 0)
		return refused(err, spec, c, rc, "make");
	*created = true;
	rc = if_set_mac(c, name, mac);
	return rc < 0 ? refused(err, spec, c, rc, "set the MAC of") : 0;
}

static int members_create(struct making *m, const struct hostif_spec *spec, struct err *err)
{
	int rc = member_create(&m->c, spec, spec->host, spec->mac, &m->host, err);
	if (!rc)
		rc = member_create(&m->c, spec, spec->service, spec->service_mac, &m->service, err);
	return rc;
}

/* What the settings should have seen to, as the interface itself says it. */
static int caps_check(struct ifctl *c, const struct hostif_spec *spec, struct err *err)
{
	uint32_t host = 0, service = 0;
	int rc = if_get_caps(c, spec->host, &host);
	if (!rc)
		rc = if_get_caps(c, spec->service, &service);
	if (rc < 0)
		return refused(err, spec, c, rc, "ask for the offloads of");
	if (!((host | service) & OFFLOADS))
		return 0;
	return err_set(err, -EIO,
		"%s: cannot use interface %s (SIOCGIFCAP): it leaves checksums or segmentation to "
		"others, and clients would get unfinished frames; switch that off: sudo sysctl "
		"net.link.fake.hwcsum=0 net.link.fake.tso_support=0 net.link.fake.lro=0",
		spec->network, spec->host);
}

/* Opens what reads and what injects; on the service member, both. */
static int descriptors_open(struct making *m, const struct hostif_spec *spec, struct err *err)
{
	struct attempt a = { spec->network, "read", spec->service, "" };
	m->rx_fd = bpf_open(spec->service, &a.call);
	if (m->rx_fd < 0)
		return feth_refused(err, &a, m->rx_fd);

	uint32_t injected = DW_FETH_MTU_MAX;
	a.verb = "write to";
	int rc = ndrv_open(spec->service, &a.call);
	if (rc >= 0) {
		m->tx_fd = rc;
	} else if (rc == -DW_EPROTONOSUPPORT || rc == -DW_EAFNOSUPPORT) {
		rc = bpf_inject(m->rx_fd, &injected, &a.call);
		m->tx_fd = m->rx_fd;
		log_info("feth", "no AF_NDRV if=%s: BPF injects, up to mtu=%u", spec->service,
			injected);
	}
	if (rc < 0)
		return feth_refused(err, &a, rc);
	if (spec->mtu > injected)
		return err_set(err, -EINVAL,
			"%s: interface %s cannot have an MTU of %u: without AF_NDRV this release "
			"of "
			"macOS takes frames of %u bytes at most (BPF); make it %u or less",
			spec->network, spec->host, spec->mtu, injected + FETH_FRAME_MIN, injected);
	if (m->mtu_max > injected)
		m->mtu_max = injected;
	return 0;
}

/* Brings two new interfaces into service. */
static int pair_start(struct making *m, const struct hostif_spec *spec, struct err *err)
{
	static const struct hostif_spec nothing;
	struct pair p;
	int rc = pair_look(&m->c, spec, true, &p);
	if (!rc && !pair_whole(&p))
		rc = -DW_ENXIO;
	if (rc < 0)
		return refused(err, spec, &m->c, rc, "find");
	rc = caps_check(&m->c, spec, err);
	if (rc < 0)
		return rc;
	rc = pair_mtu_max(&m->c, spec, &m->mtu_max);
	if (rc < 0)
		return refused(err, spec, &m->c, rc, "ask for the largest MTU of");
	rc = mtu_check(spec, m->mtu_max, err);
	if (rc < 0)
		return rc;
	rc = pair_join(&m->c, &p);
	if (rc < 0)
		return refused(err, spec, &m->c, rc, "pair");
	rc = descriptors_open(m, spec, err);
	if (rc < 0)
		return rc;
	uint32_t added = 0;
	return pair_become(&m->c, &p, &nothing, spec, &added, err);
}

static int feth_make(const struct hostif_spec *spec, struct hostif_made *out, struct err *err)
{
	struct making m = { .rx_fd = -1, .tx_fd = -1 };
	int rc = spec_check(spec, err);
	if (!rc)
		rc = settings_check(spec, err);
	if (rc < 0)
		return rc;
	ifctl_init(&m.c);
	rc = names_clear(&m.c, spec, err);
	if (!rc)
		rc = members_create(&m, spec, err);
	if (!rc)
		rc = pair_start(&m, spec, err);
	if (rc < 0)
		making_undo(&m, spec);
	else
		*out = (struct hostif_made){
			.rx_fd = m.rx_fd, .tx_fd = m.tx_fd, .mtu_max = m.mtu_max
		};
	ifctl_close(&m.c);
	return rc;
}

/* -- changing and removing one -- */

static int pair_find(
	struct ifctl *c, const struct hostif_spec *now, struct pair *out, struct err *err)
{
	const int rc = pair_look(c, now, true, out);
	if (rc < 0)
		return refused(err, now, c, rc, "look for");
	if (pair_whole(out))
		return 0;
	return err_set(err, -ENODEV,
		"%s: cannot change interface %s: it or %s is gone, or not ours any more; if it "
		"does "
		"not come back, delete the network and create it anew",
		now->network, now->host, now->service);
}

/* Changes a pair that is ours. The kernel's word counts, not @now: somebody may have used
 * ifconfig. */
static int pair_change(struct ifctl *c, struct pair *p, const struct hostif_spec *now,
	const struct hostif_spec *want, struct err *err)
{
	const struct state was = state_of(p);
	uint32_t captured = 0, added = 0;
	const char *what;
	int rc = pair_mtu_max(c, now, &captured);
	if (rc < 0)
		return refused(err, want, c, rc, "ask for the largest MTU of");
	rc = mtu_check(want, captured, err);
	if (rc < 0)
		return rc;
	rc = pair_join(c, p);
	if (rc < 0)
		return refused(err, want, c, rc, "pair");
	rc = pair_become(c, p, now, want, &added, err);
	if (rc < 0) {
		(void)pair_apply(c, p, &was, &what);
		pair_addrs_undo(c, p, now, want, added);
		(void)if_set_up(c, now->host, was.host.up);
	}
	return rc;
}

static int feth_change(
	const struct hostif_spec *now, const struct hostif_spec *want, struct err *err)
{
	struct ifctl c;
	struct pair p;
	int rc = spec_check(want, err);
	if (rc < 0)
		return rc;
	ifctl_init(&c);
	rc = pair_find(&c, now, &p, err);
	if (!rc)
		rc = pair_change(&c, &p, now, want, err);
	ifctl_close(&c);
	return rc;
}

static int feth_remove(const struct hostif_spec *spec)
{
	struct ifctl c;
	struct pair p;
	ifctl_init(&c);
	int rc = pair_look(&c, spec, true, &p);
	if (!rc)
		rc = pair_destroy(&c, &p);
	if (rc < 0)
		log_warn("feth", "not removed if=%s call=%s: %s", c.name, c.call,
			strerror(-dw_native(rc)));
	ifctl_close(&c);
	return dw_native(rc);
}

static bool feth_name_free(const char *name)
{
	struct ifctl c;
	uint32_t flags;
	ifctl_init(&c);
	const int rc = if_get_flags(&c, name, &flags);
	ifctl_close(&c);
	return rc == -DW_ENXIO;
}

/* A service member that is down or has another MTU is told of, but that may get lost. Of MACs
 * nothing tells; they are all that marks a pair as ours after a crash, so neither may be another.
 */
static bool works(const struct pair *p, const struct hostif_spec *spec)
{
	return p->host.peer[0] && p->service.up && p->service.mtu == spec->mtu &&
	       mac_equal(p->host.mac, spec->mac) && mac_equal(p->service.mac, spec->service_mac);
}

/* What cannot be looked at is taken for whole: nothing is made anew on a guess. */
static bool feth_whole(const struct hostif_spec *spec)
{
	struct ifctl c;
	struct pair p;
	ifctl_init(&c);
	const int rc = pair_look(&c, spec, true, &p);
	ifctl_close(&c);
	return rc < 0 || (pair_whole(&p) && works(&p, spec));
}

static bool feth_carrier(const struct hostif_spec *spec)
{
	struct ifctl c;
	struct pair p;
	ifctl_init(&c);
	const int rc = pair_look(&c, spec, true, &p);
	ifctl_close(&c);
	return rc >= 0 && pair_whole(&p) && p.host.peer[0] && p.host.up && p.service.up;
}

/* Goes on where one cannot be removed, and tells of the first. */
static int feth_sweep(
	const char *prefix, const struct hostif_spec *known, unsigned n, struct err *err)
{
	struct ifctl c;
	int removed = 0, failed = 0;
	(void)prefix; /* of tags, which there are none of */
	ifctl_init(&c);
	for (unsigned i = 0; i < n; i++) {
		struct pair p;
		int rc = pair_look(&c, &known[i], false, &p);
		if (!rc)
			rc = pair_destroy(&c, &p);
		if (rc < 0 && !failed)
			failed = refused(err, &known[i], &c, rc, "remove, after a crash,");
		else if (!rc && (p.host.ours || p.service.ours))
			removed++;
	}
	ifctl_close(&c);
	return failed ? failed : removed;
}

static int feth_groups(const char *host, struct feth_mac *out, unsigned max)
{
	const int rc = iflist_groups(host, out, max);
	return rc == -DW_ENXIO ? -ENODEV : dw_native(rc);
}

const struct hostif_ops hostif_feth = {
	.name = "feth",
	.has_host = true,
	.untagged = true,
	.mtu_min = DW_IF_MINMTU,
	.mtu_max = DW_FETH_MTU_MAX,
	.unit_base = UNIT_BASE,
	.allowed = feth_allowed,
	.make = feth_make,
	.change = feth_change,
	.remove = feth_remove,
	.name_free = feth_name_free,
	.whole = feth_whole,
	.check_ms = CHECK_MS,
	.carrier = feth_carrier,
	.sweep = feth_sweep,
	.groups = feth_groups,
	.watch_open = watch_open,
	.watch_read = watch_read,
	.open = frames_open,
	.close = frames_close,
	.recv = frames_recv,
	.more = frames_more,
	.send = frames_send,
	.fd = frames_fd,
};
