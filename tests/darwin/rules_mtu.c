/* rules_mtu.c - rules 14 to 19: MTU, the sysctls that a create captures, link address and flags.
 * See rules.h. */
#include "tests/darwin/rules.h"

#include <string.h>

#define MAX_MTU "net.link.fake.max_mtu"

static bool has_max_mtu(void)
{
	int value;
	return sysctl_int(MAX_MTU, &value) == 0;
}

/* if_fake.c:feth_ioctl, get_max_mtu: the limit is the one of the moment of the create. */
static void mtu_limits(void)
{
	char a[DW_IFNAMSIZ], b[DW_IFNAMSIZ];
	unsigned max = DW_FETH_MTU_MAX;
	if (has_max_mtu()) {
		max = 3000;
		expect_eq(sysctl_set_int(MAX_MTU, (int)max), 0);
	}
	if_must_create(a);
	expect_err(if_set_mtu(a, 71), DW_EINVAL);
	expect_err(if_set_mtu(a, 0), DW_EINVAL);
	expect_err(if_set_mtu(a, max + 1), DW_EINVAL);
	expect_err(if_set_mtu(a, 65536), DW_EINVAL);
	expect_eq(if_mtu(a), 1500);
	expect_eq(if_set_mtu(a, 72), 0);
	expect_eq(if_mtu(a), 72);
	expect_eq(if_set_mtu(a, max), 0);
	expect_eq(if_mtu(a), max);
	struct dw_ifreq req = { 0 };
	expect_eq(if_ioctl(DW_SIOCGIFDEVMTU, a, &req), 0);
	expect_eq(req.u.devmtu.current, max);
	expect_eq(req.u.devmtu.min, 72);
	expect_eq(req.u.devmtu.max, max);
	rules_sys.as_user(true);
	expect_err(if_set_mtu(a, 1500), DW_EPERM);
	rules_sys.as_user(false);
	if (!has_max_mtu())
		return;

	/* raising the sysctl does nothing for what is there, and all for what comes */
	expect_eq(sysctl_set_int(MAX_MTU, 9000), 0);
	expect_err(if_set_mtu(a, 3001), DW_EINVAL);
	if_must_create(b);
	expect_eq(if_set_mtu(b, 9000), 0);
	expect_err(if_set_mtu(b, 9001), DW_EINVAL);
	/* nor does lowering it */
	expect_eq(sysctl_set_int(MAX_MTU, 1500), 0);
	expect_eq(if_set_mtu(b, 8999), 0);
}

static void max_mtu_range(void)
{
	int value = 0;
	expect_eq(sysctl_int(MAX_MTU, &value), 0);
	if (rules_sys.simulated) /* a program may have changed it on a Mac */
		expect_eq(value, 2048);
	expect_err(sysctl_set_int(MAX_MTU, 1499), DW_EINVAL);
	expect_err(sysctl_set_int(MAX_MTU, 16371), DW_EINVAL);
	int now = 0;
	expect_eq(sysctl_int(MAX_MTU, &now), 0);
	expect_eq(now, value);
	expect_eq(sysctl_set_int(MAX_MTU, 1500), 0);
	expect_eq(sysctl_set_int(MAX_MTU, 16370), 0);
	expect_eq(sysctl_int(MAX_MTU, &now), 0);
	expect_eq(now, 16370);
	rules_sys.as_user(true);
	expect_err(sysctl_set_int(MAX_MTU, 2048), DW_EPERM);
	expect_eq(sysctl_int(MAX_MTU, &now), 0);
	rules_sys.as_user(false);
	expect_eq(now, 16370);
}

static void no_max_mtu(void)
{
	int value;
	char a[DW_IFNAMSIZ];
	expect_err(sysctl_int(MAX_MTU, &value), DW_ENOENT);
	expect_err(sysctl_set_int(MAX_MTU, 9000), DW_ENOENT);
	if_must_create(a);
	expect_eq(if_set_mtu(a, 16370), 0);
	expect_err(if_set_mtu(a, 16371), DW_EINVAL);
}

/* -- rule 16 -- */

static uint32_t offloads(const char *name)
{
	struct dw_ifreq req = { 0 };
	expect_eq(if_ioctl(DW_SIOCGIFCAP, name, &req), 0);
	return (uint32_t)req.u.cap[1] &
	       (DW_IFCAP_RXCSUM | DW_IFCAP_TXCSUM | DW_IFCAP_TSO4 | DW_IFCAP_TSO6 | DW_IFCAP_LRO);
}

/* With the sysctls as they are delivered, nothing is left for the receiver to do. */
static void no_offloads(void)
{
	char a[DW_IFNAMSIZ];
	static const char *const zero[] = { "net.link.fake.hwcsum", "net.link.fake.tso_support",
		"net.link.fake.fcs", "net.link.fake.trailer_length", "net.link.fake.lro",
		"net.link.fake.separate_frame_header" };
	for (unsigned i = 0; i < sizeof(zero) / sizeof(zero[0]); i++) {
		int value = 0;
		int rc = sysctl_int(zero[i], &value);
		if (rc != -DW_ENOENT) /* not in every release */
			expect_eq(rc, 0);
		expect_eq(value, 0);
	}
	int bsd_mode = 0;
	expect_eq(sysctl_int("net.link.fake.bsd_mode", &bsd_mode), 0);
	expect_eq(bsd_mode, 1);
	if_must_create(a);
	expect_eq(offloads(a), 0);
}

#define PAYLOAD "what is summed up here"

/* Sends a datagram out of H and says whether S's tap has it with a right UDP checksum. */
static bool sum_is_right(const struct pair *p)
{
	static const uint8_t from[4] = { 198, 51, 100, 1 }, to[4] = { 198, 51, 100, 3 };
	static const uint8_t mac[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t frame[200];
	size_t len = frame_udp(frame, mac, from, to, 7777, PAYLOAD, sizeof(PAYLOAD));
	struct tap tap;
	tap_open(&tap, p->s, TAP_IN_ONLY, 4096);
	expect_eq(rules_sys.host_output(p->h, frame, len), 0);
	size_t got_len;
	const uint8_t *got = tap_next(&tap, &got_len, 100);
	expect(got != NULL);
	expect_eq(got_len, len);
	expect_mem(got + 14 + 12, frame + 14 + 12, 14); /* addresses, ports, length */
	uint8_t pseudo[200];
	memcpy(pseudo, got + 14 + 12, 8);
	size_t udp_len = got_len - 34;
	const uint8_t rest[4] = { 0, 17, (uint8_t)(udp_len >> 8), (uint8_t)udp_len };
	memcpy(pseudo + 8, rest, 4);
	memcpy(pseudo + 12, got + 34, udp_len);
	drop(tap.fd);
	return checksum(pseudo, 12 + udp_len, 0) == 0;
}

static void hwcsum_captured(void)
{
	struct pair plain, early, late;
	pair_new(&plain, true);
	expect(sum_is_right(&plain));
	expect_eq(sysctl_set_int("net.link.fake.hwcsum", 1), 0);
	pair_new(&early, true);
	expect_eq(sysctl_set_int("net.link.fake.hwcsum", 0), 0);
	pair_new(&late, true);
	expect(!sum_is_right(&early)); /* captured, though the sysctl is 0 again */
	expect(sum_is_right(&plain));
	expect(sum_is_right(&late));
	expect_eq(offloads(early.h) & (DW_IFCAP_TXCSUM | DW_IFCAP_RXCSUM),
		DW_IFCAP_TXCSUM | DW_IFCAP_RXCSUM);
	expect_eq(offloads(late.h), 0);
}

/* How many bytes more than were sent come out at the other side. */
static size_t extra_bytes(const struct pair *p)
{
	uint8_t frame[100];
	struct tap tap;
	tap_open(&tap, p->h, TAP_IN_ONLY, 4096);
	frame_make(frame, sizeof(frame), 5);
	int fd = ndrv_open(p->s);
	inject(fd, frame, sizeof(frame));
	size_t len;
	const uint8_t *got = tap_next(&tap, &len, 100);
	expect(got != NULL);
	expect(len >= sizeof(frame));
	expect_mem(got, frame, sizeof(frame));
	drop(tap.fd);
	drop(fd);
	if_up(p->s, true); /* the last socket has taken it down: rule 19 */
	return len - sizeof(frame);
}

static void fcs_captured(void)
{
	struct pair plain, fcs, trailer;
	pair_new(&plain, true);
	expect_eq(extra_bytes(&plain), 0);
	expect_eq(sysctl_set_int("net.link.fake.fcs", 1), 0);
	pair_new(&fcs, true);
	expect_eq(sysctl_set_int("net.link.fake.fcs", 0), 0);
	expect_eq(sysctl_set_int("net.link.fake.trailer_length", 8), 0);
	pair_new(&trailer, true);
	expect_eq(sysctl_set_int("net.link.fake.trailer_length", 0), 0);
	expect_eq(extra_bytes(&fcs), 4);
	expect_eq(extra_bytes(&trailer), 8);
	expect_eq(extra_bytes(&plain), 0);
}

static void tso_captured(void)
{
	char a[DW_IFNAMSIZ], b[DW_IFNAMSIZ];
	expect_eq(sysctl_set_int("net.link.fake.tso_support", 1), 0);
	if_must_create(a);
	expect_eq(sysctl_set_int("net.link.fake.tso_support", 0), 0);
	if_must_create(b);
	expect_eq(offloads(a) & (DW_IFCAP_TSO4 | DW_IFCAP_TSO6), DW_IFCAP_TSO4 | DW_IFCAP_TSO6);
	expect_eq(offloads(b), 0);
}

/* -- rules 17 to 19 -- */

static int set_lladdr(const char *name, uint8_t len, const uint8_t mac[6])
{
	struct dw_ifreq req = { 0 };
	req.u.addr.len = len;
	req.u.addr.family = DW_AF_LINK;
	memcpy(req.u.addr.data, mac, 6);
	return if_ioctl(DW_SIOCSIFLLADDR, name, &req);
}

/* kpi_interface.c:ifnet_set_lladdr_internal: the length is that of the address. */
static void link_address(void)
{
	char a[DW_IFNAMSIZ];
	struct link before, now;
	static const uint8_t mac[6] = { 0x02, 1, 2, 3, 4, 5 };
	if_must_create(a);
	expect(if_listed(a, &before));
	static const uint8_t wrong[] = { 1, 5, 7, 8, 16, 20 };
	for (unsigned i = 0; i < sizeof(wrong); i++)
		expect_err(set_lladdr(a, wrong[i], mac), DW_EINVAL);
	rules_sys.as_user(true);
	expect_err(set_lladdr(a, 6, mac), DW_EPERM);
	rules_sys.as_user(false);
	expect(if_listed(a, &now));
	expect_mem(now.mac, before.mac, 6);

	expect_eq(set_lladdr(a, 6, mac), 0);
	expect(if_listed(a, &now));
	expect_eq(now.alen, 6);
	expect_mem(now.mac, mac, 6);
	if_up(a, true);
	expect_eq(set_lladdr(a, 6, before.mac), 0); /* while it is up, too */
	expect(if_listed(a, &now));
	expect_mem(now.mac, before.mac, 6);

	expect_eq(set_lladdr(a, 0, mac), 0); /* erases it */
	expect(if_listed(a, &now));
	expect_eq(now.alen, 0);
}

/* if.c:ifioctl_ifreq keeps what is in IFF_CANTCHANGE; if_fake.c:feth_ioctl moves RUNNING. */
static void flags(void)
{
	char a[DW_IFNAMSIZ];
	if_must_create(a);
	expect_eq(if_set_flags(a, DW_IFF_RUNNING), 0);
	expect_eq(if_flags(a), 0x8802);
	expect_eq(if_set_flags(a, DW_IFF_UP), 0); /* no BROADCAST and so on: they stay */
	expect_eq(if_flags(a), 0x8843);
	expect_eq(if_set_flags(a, DW_IFF_UP | DW_IFF_ALLMULTI | 0x10 /* POINTOPOINT */), 0);
	expect_eq(if_flags(a), 0x8843);
	expect_eq(if_set_flags(a, 0), 0);
	expect_eq(if_flags(a), 0x8802);
	expect_eq(if_set_flags(a, DW_IFF_UP | DW_IFF_RUNNING), 0);
	expect_eq(if_flags(a), 0x8843);
	rules_sys.as_user(true);
	expect_err(if_set_flags(a, 0), DW_EPERM);
	expect_eq(if_flags(a), 0x8843);
	rules_sys.as_user(false);
}

/* dlil.c:dlil_handle_proto_attach, dlil_subr.c:if_proto_free. */
static void protocols_move_up(void)
{
	char a[DW_IFNAMSIZ], b[DW_IFNAMSIZ], c[DW_IFNAMSIZ];
	struct dw_sockaddr_ndrv addr;
	uint8_t addr4[4], addr6[16];
	if_fresh_addr(addr4);
	if_fresh_addr6(addr6);
	if_must_create(a);
	int fd = ndrv_socket();
	expect_eq(if_flags(a), 0x8802);
	ndrv_addr(&addr, a);
	expect_eq(darwin_sys.bind(fd, &addr, sizeof(addr)), 0);
	expect_eq(if_flags(a), 0x8843);
	drop(fd);
	eventually(if_flags(a) == 0x8802, 2000);

	/* an address is a protocol too, and stays: the socket's end is not the last */
	if_must_create(b);
	expect_eq(if_add_addr(b, addr4, 30), 0);
	expect_eq(if_flags(b), 0x8843);
	fd = ndrv_open(b);
	drop(fd);
	darwin_sys.sleep_us(50000);
	expect_eq(if_flags(b), 0x8843);

	if_must_create(c);
	expect_eq(if_add_addr6(c, addr6, 64), 0);
	expect_eq(if_flags(c), 0x8843);
}

static const struct rule rules[] = {
	{ 14, "the MTU is 72 to what max_mtu was at create, whatever becomes of it later",
		.fn = mtu_limits },
	{ 15, "max_mtu is 1500 to 16370, and 2048 to begin with", .fn = max_mtu_range,
		.from = SIM_12 },
	{ 15, "there is no max_mtu: the MTU goes to 16370", .fn = no_max_mtu, .before = SIM_12 },
	{ 16, "sysctls as they are delivered: a feth has no offloads", .fn = no_offloads },
	{ 16, "hwcsum is captured at create, and leaves checksums undone", .fn = hwcsum_captured,
		.sim_only = "changes a sysctl that every feth of the machine gets" },
	{ 16, "fcs and trailer_length are captured at create, and add bytes", .fn = fcs_captured,
		.from = SIM_12, .sim_only = "changes sysctls that every feth of the machine gets" },
	{ 16, "tso_support is captured at create", .fn = tso_captured, .from = SIM_13,
		.sim_only = "changes a sysctl that every feth of the machine gets" },
	{ 17, "a link address has sa_len 6; 0 erases it, anything else is EINVAL",
		.fn = link_address },
	{ 18, "only some flags change; RUNNING goes with UP", .fn = flags },
	{ 19, "the first protocol brings an interface up, the last takes it down",
		.fn = protocols_move_up },
};

const struct rule_list rules_mtu = RULES_OF(rules);
