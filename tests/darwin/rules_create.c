/* rules_create.c - rules 1 to 9: creating and destroying. See rules.h. */
#include "tests/darwin/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* if.c:ifioctl_ifreq asks for root before if_clone_create() looks at the name. */
static void create_needs_root(void)
{
	char name[DW_IFNAMSIZ];
	if_fresh(name);
	rules_sys.as_user(true);
	struct dw_ifreq req = { 0 };
	expect_err(if_create(name), DW_EPERM);
	expect_err(if_create("xeth0"), DW_EPERM);
	expect_err(if_create("feth32768"), DW_EPERM);
	expect_err(if_ioctl(DW_SIOCIFCREATE2, name, &req), DW_EPERM);
	rules_sys.as_user(false);
	expect(!if_listed(name, NULL));
}

/* if.c:if_clone_lookup, if_clone_create. */
static void names(void)
{
	expect_err(if_create("xeth0"), DW_EINVAL);
	expect_err(if_create("feth1a"), DW_EINVAL);
	expect_err(if_create("fethx"), DW_EINVAL);
	expect_err(if_create("feth-1"), DW_EINVAL);
	expect_err(if_create("feth32768"), DW_ENXIO);
	expect_err(if_create("feth99999"), DW_ENXIO);
	expect_eq(if_create("feth32767"), 0);
	expect(if_listed("feth32767", NULL));
	expect_eq(if_destroy("feth32767"), 0);
}

/* if.c:if_clone_lookup reads the number, if_fake.c:feth_clone_create names by it. */
static void leading_zeros(void)
{
	char name[DW_IFNAMSIZ], zeros[DW_IFNAMSIZ];
	unsigned unit = rules_unit();
	if_name(name, unit);
	snprintf(zeros, sizeof(zeros), "feth00%u", unit);
	struct dw_ifreq req = { 0 };
	expect_eq(if_ioctl(DW_SIOCIFCREATE, zeros, &req), 0);
	rules_own_if(name, true);
	expect(if_listed(name, NULL));
	expect_eq(if_mtu(name), 1500);
	expect_str(req.name, zeros); /* written back as it was */
}

static void create_existing(void)
{
	char a[DW_IFNAMSIZ], b[DW_IFNAMSIZ];
	struct dw_ifreq req = { 0 };
	if_must_create(a);
	expect_err(if_create(a), DW_EEXIST);
	expect_err(if_ioctl(DW_SIOCIFCREATE2, a, &req), DW_EEXIST);

	/* CREATE2 makes the same thing */
	if_fresh(b);
	req = (struct dw_ifreq){ 0 };
	expect_eq(if_ioctl(DW_SIOCIFCREATE2, b, &req), 0);
	rules_own_if(b, true);
	expect_str(req.name, b);
	struct link x, y;
	expect(if_listed(a, &x) && if_listed(b, &y));
	expect_eq(x.flags, y.flags);
	expect_eq(x.mtu, y.mtu);
	expect_err(if_create(b), DW_EEXIST);
}

static unsigned lowest_free(unsigned from)
{
	char name[DW_IFNAMSIZ];
	for (unsigned unit = from;; unit++) {
		if_name(name, unit);
		if (!if_listed(name, NULL))
			return unit;
	}
}

/* if.c:if_clone_create: a bit map of units, the first clear bit. */
static void wildcard(void)
{
	char want[DW_IFNAMSIZ];
	unsigned unit = 0;
	for (unsigned i = 0; i < 3; i++) {
		unit = lowest_free(i ? unit + 1 : 0);
		struct dw_ifreq req = { 0 };
		int rc = if_ioctl(DW_SIOCIFCREATE, "feth", &req);
		if (rc == 0)
			rules_own_if(req.name, true);
		expect_eq(rc, 0);
		if_name(want, unit);
		expect_str(req.name, want);
		expect(if_listed(want, NULL));
	}
}

/* A unit in between that has become free is the next; one that is still being taken down is passed
 * over in silence. */
static void wildcard_reuse(void)
{
	struct dw_ifreq req = { 0 };
	for (unsigned i = 0; i < 3; i++)
		expect_eq(if_ioctl(DW_SIOCIFCREATE, "feth", &req), 0);
	expect_eq(if_destroy("feth1"), 0);
	req = (struct dw_ifreq){ 0 };
	expect_eq(if_ioctl(DW_SIOCIFCREATE, "feth", &req), 0);
	expect_str(req.name, "feth1");

	rules_sys.knobs()->busy_calls = 1;
	expect_eq(if_destroy("feth0"), 0);
	req = (struct dw_ifreq){ 0 };
	expect_eq(if_ioctl(DW_SIOCIFCREATE, "feth", &req), 0);
	expect_str(req.name, "feth3");
	req = (struct dw_ifreq){ 0 };
	expect_eq(if_ioctl(DW_SIOCIFCREATE, "feth", &req), 0);
	expect_str(req.name, "feth0");
}

/* if_fake.c:feth_clone_create, feth_ifnet_set_attrs. */
static void fresh_interface(void)
{
	char name[DW_IFNAMSIZ], peer[DW_IFNAMSIZ];
	unsigned unit = rules_unit();
	if_name(name, unit);
	expect_eq(if_create(name), 0);
	expect_eq(if_mtu(name), 1500);
	expect_eq(if_flags(name), 0x8802); /* BROADCAST, MULTICAST, SIMPLEX */
	const uint8_t mac[6] = { 'f', 'e', 't', 'h', (uint8_t)(unit >> 8), (uint8_t)unit };
	struct link link;
	expect(if_listed(name, &link));
	expect_eq(link.flags, 0x8802);
	expect_eq(link.mtu, 1500);
	expect_eq(link.alen, 6);
	expect_mem(link.mac, mac, 6);
	expect(link.index > 0);
	expect_eq(if_get_peer(name, peer), 0);
	expect_str(peer, "");

	struct dw_ifmediareq media = { 0 };
	memcpy(media.name, name, sizeof(media.name));
	expect_eq(darwin_sys.ioctl(if_ctl(), DW_SIOCGIFMEDIA, &media), 0);
	expect_eq(media.status, DW_IFM_AVALID);
}

static void destroy_errors(void)
{
	char absent[DW_IFNAMSIZ], name[DW_IFNAMSIZ];
	if_fresh(absent);
	expect_err(if_destroy(absent), DW_ENXIO);
	expect_err(if_destroy("xeth0"), DW_EINVAL);
	if_must_create(name);
	rules_sys.as_user(true);
	expect_err(if_destroy(name), DW_EPERM);
	expect_err(if_destroy(absent), DW_EPERM);
	rules_sys.as_user(false);
	expect(if_listed(name, NULL));
	expect_eq(if_destroy(name), 0);
	expect_err(if_destroy(name), DW_ENXIO);
}

static void destroy_what_is_no_feth(void)
{
	rules_sys.foreign_interface("lo0", 24); /* IFT_LOOP */
	rules_sys.foreign_interface("en0", DW_IFT_ETHER);
	expect_err(if_destroy("lo0"), DW_EINVAL);
	expect_err(if_destroy("en0"), DW_EINVAL);
	expect(if_listed("lo0", NULL) && if_listed("en0", NULL));
}

/* dlil.c:ifnet_detach leaves the rest to a thread; dlil_ctl.c:dlil_if_acquire: EBUSY until then. */
static void destroy_is_asynchronous(void)
{
	char name[DW_IFNAMSIZ], other[DW_IFNAMSIZ];
	if_must_create(name);
	if_must_create(other);
	if_up(name, true);
	expect_eq(if_destroy(name), 0);

	expect(!if_listed(name, NULL));
	struct dw_ifreq req = { 0 };
	expect_err(if_flags(name), DW_ENXIO);
	expect_err(if_set_flags(name, DW_IFF_UP), DW_ENXIO);
	expect_err(if_mtu(name), DW_ENXIO);
	expect_err(if_set_mtu(name, 1400), DW_ENXIO);
	expect_err(if_ioctl(DW_SIOCGIFDEVMTU, name, &req), DW_ENXIO);
	req.u.addr.len = 6;
	expect_err(if_ioctl(DW_SIOCSIFLLADDR, name, &req), DW_ENXIO);
	expect_err(if_set_peer(name, other), DW_ENXIO);
	expect_err(if_set_peer(other, name), DW_ENXIO);
	expect_err(if_get_peer(name, req.name), DW_ENXIO);
	expect_err(if_destroy(name), DW_ENXIO);

	int rc = if_create(name);
	for (unsigned i = 0; rc == -DW_EBUSY && i < 10000; i++) {
		darwin_sys.sleep_us(1000);
		rc = if_create(name);
	}
	expect_eq(rc, 0);
	expect_eq(if_flags(name), 0x8802);
	expect_eq(if_mtu(name), 1500);
}

static void busy_calls(void)
{
	char name[DW_IFNAMSIZ], other[DW_IFNAMSIZ];
	rules_sys.knobs()->busy_calls = 3;
	if_must_create(name);
	expect_eq(if_destroy(name), 0);
	if_must_create(other); /* another name is not held up */
	for (unsigned i = 0; i < 3; i++) {
		expect_err(if_create(name), DW_EBUSY);
		expect_err(if_flags(name), DW_ENXIO);
	}
	expect_eq(if_create(name), 0);
	expect_eq(if_flags(name), 0x8802);
}

static void busy_time(void)
{
	char name[DW_IFNAMSIZ];
	rules_sys.knobs()->busy_us = 50000;
	if_must_create(name);
	expect_eq(if_destroy(name), 0);
	for (unsigned i = 0; i < 4; i++) {
		expect_err(if_create(name), DW_EBUSY);
		darwin_sys.sleep_us(10000);
	}
	expect_err(if_create(name), DW_EBUSY);
	darwin_sys.sleep_us(20000);
	expect_eq(if_create(name), 0);
}

static int event_socket(void)
{
	int fd = own(darwin_sys.socket(DW_AF_SYSTEM, DW_SOCK_RAW, DW_SYSPROTO_EVENT));
	struct dw_kev_request want = { .vendor = DW_KEV_VENDOR_APPLE,
		.kev_class = DW_KEV_NETWORK_CLASS,
		.subclass = DW_KEV_DL_SUBCLASS };
	int32_t on = 1;
	expect_eq(darwin_sys.ioctl(fd, DW_SIOCSKEVFILT, &want), 0);
	expect_eq(darwin_sys.ioctl(fd, DW_FIONBIO, &on), 0);
	return fd;
}

/* Reads what has come and counts the events of this code on this unit. */
static unsigned count_events(int fd, uint32_t code, const char *name)
{
	uint8_t buf[256];
	unsigned n = 0;
	while (darwin_sys.read(fd, buf, sizeof(buf)) >= 48) {
		struct dw_kern_event_msg msg;
		struct dw_net_event_data data;
		memcpy(&msg, buf, sizeof(msg));
		memcpy(&data, buf + 24, sizeof(data));
		unsigned unit = (unsigned)strtoul(name + 4, NULL, 10);
		if (msg.code == code && data.unit == unit)
			n++;
	}
	return n;
}

/* if_fake.c:feth_clone_destroy unpeers by feth_config(), which tells of both. */
static void the_other_side_survives(void)
{
	struct pair p;
	pair_new(&p, true);
	expect_eq(if_set_mtu(p.s, 1400), 0);
	long flags = if_flags(p.s);
	int events_h = event_socket(), events_s = event_socket();
	expect_eq(if_destroy(p.h), 0);

	char peer[DW_IFNAMSIZ];
	expect(if_listed(p.s, NULL));
	expect_eq(if_flags(p.s), flags);
	expect_eq(if_mtu(p.s), 1400);
	expect_eq(if_get_peer(p.s, peer), 0);
	expect_str(peer, "");
	eventually(count_events(events_s, DW_KEV_DL_LINK_OFF, p.s) == 1, 2000);
	eventually(count_events(events_h, DW_KEV_DL_LINK_OFF, p.h) == 1, 2000);
}

struct child {
	struct pair p;
	bool done;
};

static void make_and_leave(void *arg)
{
	struct child *c = arg;
	if (if_create(c->p.h) < 0 || if_create(c->p.s) < 0 || if_set_peer(c->p.h, c->p.s) < 0)
		return;
	if_up(c->p.h, true);
	struct tap tap;
	tap_open(&tap, c->p.s, TAP_IN_ONLY, 4096);
	(void)ndrv_open(c->p.s);
	c->done = true;
}

/* A feth hangs on no descriptor. */
static void outlives_its_maker(void)
{
	struct child c = { 0 };
	if_fresh(c.p.h);
	if_fresh(c.p.s);
	rules_own_if(c.p.h, true); /* the child notes them in its own memory */
	rules_own_if(c.p.s, true);
	rules_sys.in_process(make_and_leave, &c);
	if (rules_sys.simulated)
		expect(c.done);
	char peer[DW_IFNAMSIZ];
	expect(if_listed(c.p.h, NULL) && if_listed(c.p.s, NULL));
	expect_eq(if_get_peer(c.p.h, peer), 0);
	expect_str(peer, c.p.s);
	expect_eq(if_flags(c.p.h), 0x8843);
	/* its socket is closed, and that was the only protocol: rule 19 */
	eventually(if_flags(c.p.s) == 0x8802, 2000);
}

static const struct rule rules[] = {
	{ 1, "create is for root, and that is asked before the name is looked at",
		.fn = create_needs_root },
	{ 2, "a name is feth and a number up to 32767", .fn = names },
	{ 2, "leading zeros of a number are dropped", .fn = leading_zeros },
	{ 3, "create of what exists is EEXIST; CREATE2 is as CREATE", .fn = create_existing },
	{ 4, "create of \"feth\" takes the lowest free unit and writes the name back",
		.fn = wildcard, .ask = "takes units outside of 31000 to 32767 for a moment" },
	{ 4, "create of \"feth\" takes a freed unit again, and passes over a busy one",
		.fn = wildcard_reuse, .sim_only = "needs the lowest units to itself" },
	{ 5, "a new feth has MTU 1500, flags 0x8802, an address from its unit, no peer, no link",
		.fn = fresh_interface },
	{ 6, "destroy of what is absent is ENXIO, by a user EPERM, of no cloner's name EINVAL",
		.fn = destroy_errors },
	{ 6, "destroy of lo0 and en0 is EINVAL", .fn = destroy_what_is_no_feth,
		.sim_only = "would be tried on interfaces that are not ours" },
	{ 7, "destroy returns at once; the name resolves no more, and is EBUSY for a while",
		.fn = destroy_is_asynchronous },
	{ 7, "create is EBUSY for a given number of calls", .fn = busy_calls,
		.sim_only = "counts the calls by a knob" },
	{ 7, "create is EBUSY for a given time", .fn = busy_time,
		.sim_only = "sets the time by a knob" },
	{ 8, "destroying one side leaves the other unpeered and as it was; LINK_OFF for both",
		.fn = the_other_side_survives },
	{ 9, "a process that ends leaves its interfaces", .fn = outlives_its_maker },
};

const struct rule_list rules_create = RULES_OF(rules);
