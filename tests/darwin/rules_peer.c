/* rules_peer.c - rules 10 to 13: peers, and calls that do not exist. See rules.h. */
#include "tests/darwin/rules.h"

#include <string.h>

static int set_peer_raw(const char *name, const struct dw_fake_request *req, uint64_t len)
{
	struct dw_fake_request copy = *req;
	return if_drvspec(DW_SIOCSDRVSPEC, name, DW_FETH_SET_PEER, &copy, len);
}

/* if_fake.c:if_fake_request_copyin, feth_set_drvspec. */
static void bad_requests(void)
{
	char a[DW_IFNAMSIZ], b[DW_IFNAMSIZ], absent[DW_IFNAMSIZ], peer[DW_IFNAMSIZ];
	if_must_create(a);
	if_must_create(b);
	if_fresh(absent);
	struct dw_fake_request req = { 0 };
	memcpy(req.u.peer_name, b, sizeof(req.u.peer_name));

	expect_err(set_peer_raw(a, &req, 159), DW_EINVAL);
	expect_err(set_peer_raw(a, &req, 0), DW_EINVAL);
	expect_err(if_drvspec(DW_SIOCSDRVSPEC, a, DW_FETH_SET_PEER, NULL, 160), DW_EINVAL);
	for (unsigned i = 0; i < 4; i++) {
		req.reserved[i] = 1ull << (i * 8);
		expect_err(set_peer_raw(a, &req, 160), DW_EINVAL);
		req.reserved[i] = 0;
	}
	expect_err(if_set_peer(a, absent), DW_ENXIO);
	expect_err(if_set_peer(absent, a), DW_ENXIO);
	expect_err(if_drvspec(DW_SIOCSDRVSPEC, a, 9, &req, 160), DW_EOPNOTSUPP);
	expect_err(if_drvspec(DW_SIOCSDRVSPEC, a, 0, &req, 160), DW_EOPNOTSUPP);
	expect_err(if_drvspec(DW_SIOCGDRVSPEC, a, 9, &req, 160), DW_EOPNOTSUPP);

	rules_sys.as_user(true);
	expect_err(if_set_peer(a, b), DW_EPERM);
	expect_err(set_peer_raw(a, &req, 159), DW_EPERM); /* before the request is read */
	rules_sys.as_user(false);

	/* none of that has done anything; longer than need be is good */
	expect_eq(if_get_peer(a, peer), 0);
	expect_str(peer, "");
	struct {
		struct dw_fake_request req;
		uint8_t more[40];
	} longer = { .req = req };
	expect_eq(if_drvspec(DW_SIOCSDRVSPEC, a, DW_FETH_SET_PEER, &longer, sizeof(longer)), 0);
	expect_eq(if_get_peer(a, peer), 0);
	expect_str(peer, b);
}

static void no_feth_as_peer(void)
{
	char a[DW_IFNAMSIZ];
	if_must_create(a);
	if (rules_sys.simulated) {
		rules_sys.foreign_interface("lo0", 24); /* IFT_LOOP */
		rules_sys.foreign_interface("en0", DW_IFT_ETHER);
		rules_sys.foreign_interface("bridge0", DW_IFT_BRIDGE);
	}
	static const char *const names[] = { "lo0", "en0", "bridge0" };
	unsigned tried = 0;
	for (unsigned i = 0; i < 3; i++) {
		if (!if_listed(names[i], NULL))
			continue; /* a Mac need not have all */
		tried++;
		expect_err(if_set_peer(a, names[i]), DW_EINVAL);
	}
	expect(tried > 0);
}

/* if_fake.c:feth_config: who has a peer gets no other. */
static void already_peered(void)
{
	struct pair p, q;
	pair_new(&p, false);
	pair_new(&q, false);
	char third[DW_IFNAMSIZ], peer[DW_IFNAMSIZ];
	if_must_create(third);
	expect_err(if_set_peer(p.h, p.s), DW_EBUSY); /* the same pair */
	expect_err(if_set_peer(p.s, p.h), DW_EBUSY); /* from the other side */
	expect_err(if_set_peer(p.h, q.s), DW_EBUSY);
	expect_err(if_set_peer(p.h, third), DW_EBUSY);
	expect_err(if_set_peer(third, p.h), DW_EBUSY);
	expect_err(if_set_peer(third, p.s), DW_EBUSY);
	expect_eq(if_get_peer(third, peer), 0);
	expect_str(peer, "");
	expect_eq(if_get_peer(p.h, peer), 0);
	expect_str(peer, p.s);
}

static int media_status(const char *name)
{
	struct dw_ifmediareq media = { 0 };
	memcpy(media.name, name, strnlen(name, sizeof(media.name)));
	expect_eq(darwin_sys.ioctl(if_ctl(), DW_SIOCGIFMEDIA, &media), 0);
	return media.status;
}

static void seen_from_both_sides(void)
{
	struct pair p;
	char peer[DW_IFNAMSIZ];
	pair_new(&p, false);
	struct dw_fake_request req;
	expect_eq(if_get_peer(p.h, peer), 0);
	expect_str(peer, p.s);
	expect_eq(if_get_peer(p.s, peer), 0);
	expect_str(peer, p.h);
	expect_eq(media_status(p.h), DW_IFM_AVALID | DW_IFM_ACTIVE);
	expect_eq(media_status(p.s), DW_IFM_AVALID | DW_IFM_ACTIVE);
	expect_eq(if_flags(p.h), 0x8802); /* neither is up for it */
	expect_eq(if_flags(p.s), 0x8802);

	memset(&req, 0, sizeof(req));
	expect_err(if_drvspec(DW_SIOCGDRVSPEC, p.h, DW_FETH_GET_PEER, &req, 159), DW_EINVAL);
	rules_sys.as_user(true);
	memset(peer, 0, sizeof(peer));
	expect_eq(if_get_peer(p.h, peer), 0); /* no root needed to ask */
	rules_sys.as_user(false);
	expect_str(peer, p.s);
}

static void unpeer(void)
{
	struct pair p;
	char peer[DW_IFNAMSIZ];
	for (unsigned side = 0; side < 2; side++) {
		pair_new(&p, false);
		expect_eq(if_set_peer(side ? p.s : p.h, ""), 0);
		expect_eq(if_get_peer(p.h, peer), 0);
		expect_str(peer, "");
		expect_eq(if_get_peer(p.s, peer), 0);
		expect_str(peer, "");
		expect_eq(media_status(p.h), DW_IFM_AVALID);
		expect_eq(if_set_peer(p.h, ""), 0); /* there is none to leave */
		expect_eq(if_set_peer(p.s, p.h), 0);
		expect_eq(if_get_peer(p.h, peer), 0);
		expect_str(peer, p.s);
	}
}

/* The size of the structure is part of the number (sys/ioccom.h), so a wrong one is an unknown
 * call: if.c:ifioctl ends in if_fake.c:feth_ioctl's default, bpf.c:bpfioctl in its own. */
static void wrong_size(void)
{
	char a[DW_IFNAMSIZ];
	uint64_t room[64] = { 0 }; /* 512 bytes: enough for any of them */
	if_must_create(a);
	static const unsigned long unknown[] = {
		DW_IOC(DW_IOC_IN, 'i', 123, 44),              /* SIOCSDRVSPEC is 40 */
		DW_IOC(DW_IOC_IN | DW_IOC_OUT, 'i', 123, 48), /* SIOCGDRVSPEC */
		DW_IOC(DW_IOC_IN, 'i', 121, 36),              /* SIOCIFDESTROY is 32 */
		DW_IOC(DW_IOC_IN, 'i', 52, 40),               /* SIOCSIFMTU */
		DW_IOC(DW_IOC_IN | DW_IOC_OUT, 'i', 51, 40),  /* SIOCGIFMTU */
		DW_IOC(DW_IOC_IN, 'i', 60, 24),               /* SIOCSIFLLADDR */
	};
	int fd = if_ctl();
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		memset(room, 0, sizeof(room));
		memcpy(room, a, sizeof(a));
		expect_err(darwin_sys.ioctl(fd, unknown[i], room), DW_EOPNOTSUPP);
	}
	expect(if_listed(a, NULL));
	expect_eq(if_mtu(a), 1500);

	struct tap tap;
	tap_open(&tap, a, 0, 4096);
	static const unsigned long unknown_bpf[] = {
		DW_IOC(DW_IOC_IN, 'B', 108, 36), /* BIOCSETIF is 32 */
		DW_IOC(DW_IOC_IN, 'B', 112, 8),  /* BIOCIMMEDIATE is 4 */
		DW_IOC(DW_IOC_OUT, 'B', 102, 8), /* BIOCGBLEN */
		DW_IO('B', 250),
	};
	for (unsigned i = 0; i < sizeof(unknown_bpf) / sizeof(unknown_bpf[0]); i++) {
		memset(room, 0, sizeof(room));
		memcpy(room, a, sizeof(a));
		expect_err(darwin_sys.ioctl(tap.fd, unknown_bpf[i], room), DW_EINVAL);
	}
}

static const struct rule rules[] = {
	{ 10, "a bad request to peer is refused, each with its own error", .fn = bad_requests },
	{ 10, "lo0, en0 and bridge0 are no peers: EINVAL", .fn = no_feth_as_peer },
	{ 10, "who has a peer gets no other, nor the same again: EBUSY", .fn = already_peered },
	{ 11, "a peer is seen from both sides, by anybody", .fn = seen_from_both_sides },
	{ 12, "an empty name unpeers both sides; with no peer it does nothing", .fn = unpeer },
	{ 13, "a structure of the wrong size makes an unknown call: EOPNOTSUPP, on bpf EINVAL",
		.fn = wrong_size },
};

const struct rule_list rules_peer = RULES_OF(rules);
