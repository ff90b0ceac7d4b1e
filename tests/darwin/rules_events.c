/* rules_events.c - rules 54 to 56: memberships, routing messages and kernel events, by the layouts
 * of net/route.h, net/if_var.h and sys/kern_event.h. See rules.h. */
#include "tests/darwin/rules.h"

#include <stdlib.h>
#include <string.h>

struct address {
	const uint8_t *at; /* its length is its first byte; NULL: not there */
};

/* The addresses behind a message's head: those of its mask, in the order of RTAX_*, each padded to
 * 4 bytes (rtsock.c:rt_msg1, rt_msg2, ROUNDUP32). All of the message must be used up. */
static void addresses(struct address out[DW_RTAX_MAX], int32_t mask, const uint8_t *at, size_t len)
{
	size_t used = 0;
	for (unsigned i = 0; i < DW_RTAX_MAX; i++) {
		out[i].at = NULL;
		if (!(mask & 1 << i))
			continue;
		expect(used < len);
		out[i].at = at + used;
		used += DW_RT_ROUNDUP(at[used]);
		expect(used <= len);
	}
	expect_eq(used, len);
}

/* The six bytes of a link address. */
static const uint8_t *link_mac(struct address a)
{
	expect(a.at != NULL);
	struct dw_sockaddr_dl dl;
	memcpy(&dl, a.at, 8);
	expect_eq(dl.family, DW_AF_LINK);
	expect_eq(dl.alen, 6);
	expect(dl.len >= 8 + dl.nlen + dl.alen);
	return a.at + 8 + dl.nlen;
}

/* netinet6/scope6.c:in6_setscope: the kernel keeps the interface's index in the second word of a
 * group of link scope, and shows it so. */
static bool is_address(struct address a, int family, const uint8_t *addr)
{
	uint8_t bytes[16];
	if (!a.at || a.at[1] != family)
		return false;
	if (family == DW_AF_INET)
		return memcmp(a.at + 4, addr, 4) == 0;
	memcpy(bytes, a.at + 8, sizeof(bytes));
	if (bytes[0] == 0xff && (bytes[1] & 0x0f) == 2)
		bytes[2] = bytes[3] = 0;
	return memcmp(bytes, addr, sizeof(bytes)) == 0;
}

/* RFC 1112, 6.4; RFC 2464, 7. */
static const uint8_t group4[4] = { 239, 1, 2, 3 };
static const uint8_t mac4[6] = { 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 };
static const uint8_t group6[16] = { 0xff, 0x02, [12] = 0x12, 0x34, 0x56, 0x78 };
static const uint8_t mac6[6] = { 0x33, 0x33, 0x12, 0x34, 0x56, 0x78 };

struct watched {
	struct pair p;
	uint16_t index;
	int route, events;
};

static void watch(struct watched *w)
{
	struct link link;
	int32_t on = 1;
	uint8_t addr[16];
	pair_new(&w->p, true);
	if_fresh_addr(addr);
	expect_eq(if_add_addr(w->p.h, addr, 30), 0);
	if_fresh_addr6(addr);
	expect_eq(if_add_addr6(w->p.h, addr, 64), 0);
	expect(if_listed(w->p.h, &link));
	w->index = link.index;
	w->route = own(darwin_sys.socket(DW_AF_ROUTE, DW_SOCK_RAW, 0));
	expect_eq(darwin_sys.ioctl(w->route, DW_FIONBIO, &on), 0);
	w->events = own(darwin_sys.socket(DW_AF_SYSTEM, DW_SOCK_RAW, DW_SYSPROTO_EVENT));
	struct dw_kev_request want = { .vendor = DW_KEV_VENDOR_APPLE,
		.kev_class = DW_KEV_NETWORK_CLASS,
		.subclass = DW_KEV_DL_SUBCLASS };
	expect_eq(darwin_sys.ioctl(w->events, DW_SIOCSKEVFILT, &want), 0);
	expect_eq(darwin_sys.ioctl(w->events, DW_FIONBIO, &on), 0);
	darwin_sys.sleep_us(100000); /* what the addresses bring about is over by then */
}

/* Counts messages of this type about this group on our interface, and looks at each. */
static unsigned members_told(
	const struct watched *w, uint8_t type, int family, const uint8_t *group, const uint8_t *mac)
{
	uint8_t buf[2048];
	unsigned told = 0;
	long n;
	while ((n = darwin_sys.read(w->route, buf, sizeof(buf))) > 0) {
		struct dw_ifma_msghdr head;
		struct address a[DW_RTAX_MAX];
		expect(n >= 4);
		memcpy(&head, buf, n < (long)sizeof(head) ? (size_t)n : sizeof(head));
		expect_eq(head.msglen, n); /* one message a read */
		if (head.type != DW_RTM_NEWMADDR && head.type != DW_RTM_DELMADDR)
			continue;
		expect_eq(head.version, DW_RTM_VERSION);
		if (head.index != w->index)
			continue;
		addresses(a, head.addrs, buf + sizeof(head), (size_t)n - sizeof(head));
		if (!is_address(a[DW_RTAX_IFA], family, group))
			continue;
		expect_eq(head.type, type);
		expect(a[DW_RTAX_IFP].at != NULL);
		if (a[DW_RTAX_GATEWAY].at)
			expect_mem(link_mac(a[DW_RTAX_GATEWAY]), mac, 6);
		else
			expect_eq(type, DW_RTM_DELMADDR); /* a join knows its mapping */
		told++;
	}
	expect_err(n, DW_EAGAIN);
	return told;
}

static unsigned told_within(const struct watched *w, uint8_t type, int family, const uint8_t *group,
	const uint8_t *mac, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		unsigned n = members_told(w, type, family, group, mac);
		if (n > 0)
			return n;
		darwin_sys.sleep_us(1000);
	}
	return 0;
}

/* if.c:if_addmulti_common, if_delmulti_common; KEV_DL_ADDMULTI is of the ioctls only. */
static void memberships_told(void)
{
	struct watched w;
	watch(&w);
	static const struct {
		int family;
		const uint8_t *group, *mac;
	} of[] = { { DW_AF_INET, group4, mac4 }, { DW_AF_INET6, group6, mac6 } };
	for (unsigned i = 0; i < 2; i++) {
		(void)members_told(&w, 0, DW_AF_UNSPEC, group6, mac6); /* drains */
		expect_eq(rules_sys.host_join(w.p.h, of[i].family, of[i].group, true), 0);
		expect_eq(told_within(
				  &w, DW_RTM_NEWMADDR, of[i].family, of[i].group, of[i].mac, 2000),
			1);
		expect_eq(rules_sys.host_join(w.p.h, of[i].family, of[i].group, false), 0);
		/* IGMPv3 and MLDv2 keep a left group until they have reported it */
		expect_eq(told_within(
				  &w, DW_RTM_DELMADDR, of[i].family, of[i].group, of[i].mac, 10000),
			1);
	}
	uint8_t buf[256];
	while (darwin_sys.read(w.events, buf, sizeof(buf)) >= 48) {
		struct dw_kern_event_msg msg;
		memcpy(&msg, buf, sizeof(msg));
		expect(msg.code != DW_KEV_DL_ADDMULTI && msg.code != DW_KEV_DL_DELMULTI);
	}
}

struct found {
	unsigned network, link, ifinfo, newaddr, other_index, other_family;
};

/* Walks a dump and counts what there is of this group. */
static struct found look(uint16_t index, int dump_family, unsigned dump_index, int family,
	const uint8_t *group, const uint8_t *mac)
{
	struct found f = { 0 };
	size_t len;
	static uint8_t dump[262144];
	uint8_t *whole = if_dump(dump_family, dump_index, &len);
	size_t n = len < sizeof(dump) ? len : sizeof(dump);
	memcpy(dump, whole, n);
	free(whole); /* now a check may end the test */
	expect_eq(n, len);
	for (size_t at = 0; at < len;) {
		struct dw_ifma_msghdr2 head;
		struct address a[DW_RTAX_MAX];
		expect(len - at >= sizeof(head));
		memcpy(&head, dump + at, sizeof(head));
		expect(head.msglen >= sizeof(head) && head.msglen <= len - at);
		expect_eq(head.msglen % 4, 0);
		expect_eq(head.version, DW_RTM_VERSION);
		f.ifinfo += head.type == DW_RTM_IFINFO2;
		f.newaddr += head.type == DW_RTM_NEWADDR;
		f.other_index += head.index != index;
		if (head.type == DW_RTM_NEWMADDR2) {
			addresses(a, head.addrs, dump + at + sizeof(head),
				head.msglen - sizeof(head));
			struct address ifa = a[DW_RTAX_IFA];
			expect(ifa.at != NULL && a[DW_RTAX_IFP].at != NULL);
			expect(head.refcount > 0);
			f.other_family += ifa.at[1] != DW_AF_LINK;
			if (head.index == index && is_address(ifa, family, group)) {
				f.network++;
				expect_mem(link_mac(a[DW_RTAX_GATEWAY]), mac, 6);
			}
			if (head.index == index && ifa.at[1] == DW_AF_LINK &&
				memcmp(link_mac(ifa), mac, 6) == 0) {
				f.link++;
				/* if.c:copy_and_normalize: no name; 14 bytes, or those of a
				 * whole struct sockaddr_dl since macOS 15 */
				expect_eq(ifa.at[5], 0);
				expect(ifa.at[0] == 14 || ifa.at[0] == 20);
				expect(a[DW_RTAX_GATEWAY].at == NULL);
			}
		}
		at += head.msglen;
	}
	return f;
}

/* rtsock.c:sysctl_iflist2. */
static void dump_of_memberships(void)
{
	struct watched w;
	watch(&w);
	expect_eq(rules_sys.host_join(w.p.h, DW_AF_INET, group4, true), 0);
	expect_eq(rules_sys.host_join(w.p.h, DW_AF_INET6, group6, true), 0);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		int family = v6 ? DW_AF_INET6 : DW_AF_INET;
		const uint8_t *group = v6 ? group6 : group4, *mac = v6 ? mac6 : mac4;
		/* all, of one interface */
		struct found f = look(w.index, 0, w.index, family, group, mac);
		expect_eq(f.ifinfo, 1);
		expect_eq(f.other_index, 0);
		expect(f.newaddr >= 2); /* an IPv4 and an IPv6 address */
		expect_eq(f.network, 1);
		expect_eq(f.link, 1);
		/* link entries alone */
		f = look(w.index, DW_AF_LINK, w.index, family, group, mac);
		expect_eq(f.network, 0);
		expect_eq(f.link, 1);
		expect_eq(f.other_family, 0);
		expect_eq(f.newaddr, 0);
		/* of all interfaces */
		f = look(w.index, DW_AF_LINK, 0, family, group, mac);
		expect(f.ifinfo >= 2 && f.other_index > 0);
		expect_eq(f.link, 1);
	}
	/* groups that an address brings along: 224.0.0.1, ff02::1 */
	static const uint8_t all4[4] = { 224, 0, 0, 1 }, all4_mac[6] = { 1, 0, 0x5e, 0, 0, 1 };
	static const uint8_t all6[16] = { 0xff, 0x02, [15] = 1 };
	static const uint8_t all6_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	expect_eq(look(w.index, 0, w.index, DW_AF_INET, all4, all4_mac).network, 1);
	expect_eq(look(w.index, 0, w.index, DW_AF_INET6, all6, all6_mac).network, 1);

	expect_eq(rules_sys.host_join(w.p.h, DW_AF_INET, group4, false), 0);
	for (unsigned i = 0;; i++) {
		struct found f = look(w.index, 0, w.index, DW_AF_INET, group4, mac4);
		if (f.network == 0 && f.link == 0)
			break;
		expect(i < 1000);
		darwin_sys.sleep_us(10000);
	}
	expect_eq(look(w.index, 0, w.index, DW_AF_INET6, group6, mac6).link, 1);
}

/* kern_event.c:kev_post_msg, dlil.c:dlil_post_msg: the name is the family's, the unit apart. */
static void event_name(void)
{
	struct watched w;
	uint8_t buf[256];
	watch(&w);
	while (darwin_sys.read(w.events, buf, sizeof(buf)) > 0)
		;
	expect_eq(if_set_mtu(w.p.h, 1400), 0);
	bool found = false;
	for (unsigned i = 0; i < 2000 && !found; i++) {
		long n = darwin_sys.read(w.events, buf, sizeof(buf));
		if (n == -DW_EAGAIN) {
			darwin_sys.sleep_us(1000);
			continue;
		}
		struct dw_kern_event_msg msg;
		struct dw_net_event_data data;
		expect(n >= 24);
		memcpy(&msg, buf, 24);
		expect_eq(msg.total_size, n);
		expect_eq(msg.vendor, DW_KEV_VENDOR_APPLE);
		expect_eq(msg.kev_class, DW_KEV_NETWORK_CLASS);
		expect_eq(msg.subclass, DW_KEV_DL_SUBCLASS);
		if (msg.code != DW_KEV_DL_SIFMTU || n < 48)
			continue;
		memcpy(&data, buf + 24, sizeof(data));
		if (data.unit != strtoul(w.p.h + 4, NULL, 10))
			continue;          /* of somebody else's interface */
		expect_eq(data.family, 2); /* IFNET_FAMILY_ETHERNET, as of en0 */
		expect_str(data.name, "feth");
		found = true;
	}
	expect(found);
}

static const struct rule rules[] = {
	{ 54, "a join is told by RTM_NEWMADDR, a leave by RTM_DELMADDR, neither by KEV_DL_*MULTI",
		.fn = memberships_told },
	{ 55, "a dump has a membership twice: by its group with the mapping, and as a link's",
		.fn = dump_of_memberships },
	{ 56, "an event names \"feth\" and the unit apart", .fn = event_name },
};

const struct rule_list rules_events = RULES_OF(rules);
