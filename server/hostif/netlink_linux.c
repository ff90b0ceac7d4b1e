/* netlink_linux.c - see netlink_linux.h.
 *
 * Message formats: rtnetlink(7), netlink(7), linux/if_link.h, linux/pkt_sched.h; libmnl builds and
 * walks them. Requests are synchronous: the kernel has done the work when sendto() returns, so the
 * answer is already there to read; the timeout is for the answer that we do not expect. */
#include "server/hostif/netlink_linux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* IFF_LOWER_UP of linux/if.h, which cannot be included beside net/if.h */
#define LOWER_UP 0x10000u

#define NL_BUF 32768u    /* largest piece of a dump: linux, netlink_recvmsg(), max_recvmsg_len */
#define NL_REQUEST 1024u /* largest request here: two names, alias, filter, below 500 bytes */
#define NL_PATIENCE_S 5
#define NL_IFLA_ALLMULTI                                                                           \
	61u /* linux/if_link.h since Linux 6.1; older headers have no name for it */

static int cidr_family(const struct cidr *addr)
{
	return addr->family == 4 ? AF_INET : AF_INET6;
}

static unsigned cidr_len(const struct cidr *addr)
{
	return addr->family == 4 ? 4 : 16;
}

int nl_open(struct nl *nl)
{
	*nl = (struct nl){ .sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC) };
	if (!nl->sock)
		return -errno;
	if (mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		const int rc = -errno;
		nl_close(nl);
		return rc;
	}
	const struct timeval patience = { .tv_sec = NL_PATIENCE_S };
	(void)setsockopt(
		mnl_socket_get_fd(nl->sock), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	/* Linux 4.12 on; without it errors have a number only. */
	int on = 1;
	(void)mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(nl->sock, NETLINK_CAP_ACK, &on, sizeof(on));
	return 0;
}

void nl_close(struct nl *nl)
{
	if (nl->sock)
		mnl_socket_close(nl->sock);
	nl->sock = NULL;
}

static struct nlmsghdr *request(void *buf, int type, int flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = (uint16_t)type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	return nlh;
}

static void copy_text(char *out, size_t size, const struct nlattr *attr)
{
	size_t len = mnl_attr_get_payload_len(attr);
	if (len >= size)
		len = size - 1;
	memcpy(out, mnl_attr_get_payload(attr), len);
	out[len] = '\0';
}

static int why_attr(const struct nlattr *attr, void *data)
{
	struct nl *nl = data;
	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
		copy_text(nl->why, sizeof(nl->why), attr);
	return MNL_CB_OK;
}

/* The result an NLMSG_ERROR carries, and the words behind it (netlink(7), NETLINK_EXT_ACK). */
static int error_of(struct nl *nl, const struct nlmsghdr *nlh)
{
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nlmsgerr))
		return -EPROTO;
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return e->error;

	size_t skip = sizeof(*e);
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - sizeof(e->msg);
	if (e->error && skip <= mnl_nlmsg_get_payload_len(nlh))
		mnl_attr_parse(nlh, (unsigned)skip, why_attr, nl);
	return e->error;
}

/* Sends one request and takes its answers, each to @each (may be NULL), up to the closing
 * acknowledgement. -EINTR: a dump that changed while it was read. */
static int talk(struct nl *nl, struct nlmsghdr *nlh,
	void (*each)(void *data, const struct nlmsghdr *nlh), void *data)
{
	_Alignas(struct nlmsghdr) char buf[NL_BUF];
	const uint32_t seq = ++nl->seq;
	const uint32_t me = mnl_socket_get_portid(nl->sock);
	bool torn = false;

	nl->why[0] = '\0';
	nlh->nlmsg_seq = seq;
	if (mnl_socket_sendto(nl->sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;

	for (;;) {
		const ssize_t n = mnl_socket_recvfrom(nl->sock, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		int left = (int)n;
		for (const struct nlmsghdr *in = (void *)buf; mnl_nlmsg_ok(in, left);
			in = mnl_nlmsg_next(in, &left)) {
			if (in->nlmsg_seq != seq || in->nlmsg_pid != me)
				continue; /* the rest of a dump we gave up on */
			torn |= (in->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (in->nlmsg_type == NLMSG_ERROR)
				return error_of(nl, in);
			if (in->nlmsg_type == NLMSG_DONE)
				return torn ? -EINTR : 0;
			if (each)
				each(data, in);
		}
	}
}

/* -- links -- */

static struct nlmsghdr *link_request(void *buf, int type, int flags, int index)
{
	struct nlmsghdr *nlh = request(buf, type, flags);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = index;
	return nlh;
}

static void put_end(struct nlmsghdr *nlh, const struct nl_end *end, uint32_t mtu)
{
	mnl_attr_put_strz(nlh, IFLA_IFNAME, end->name);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(end->mac.b), end->mac.b);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
}

int nl_veth_make(struct nl *nl, const struct nl_end *one, const struct nl_end *two, uint32_t mtu)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh = link_request(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);

	/* IFLA_IFALIAS would be taken and ignored here (measured, Linux 6.18: only RTM_SETLINK
	 * sets it), so the tag comes in a second request. */
	put_end(nlh, one, mtu);
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	struct nlattr *kind = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	put_end(nlh, two, mtu);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, kind);
	mnl_attr_nest_end(nlh, info);
	return talk(nl, nlh, NULL, NULL);
}

static int kind_attr(const struct nlattr *attr, void *data)
{
	struct nl_link *link = data;
	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		copy_text(link->kind, sizeof(link->kind), attr);
	return MNL_CB_OK;
}

static int link_attr(const struct nlattr *attr, void *data)
{
	struct nl_link *link = data;
	const uint16_t type = mnl_attr_get_type(attr);
	const size_t len = mnl_attr_get_payload_len(attr);
	if (type == IFLA_IFNAME)
		copy_text(link->name, sizeof(link->name), attr);
	else if (type == IFLA_IFALIAS)
		copy_text(link->alias, sizeof(link->alias), attr);
	else if (type == IFLA_LINKINFO)
		(void)mnl_attr_parse_nested(attr, kind_attr, link);
	else if (type == IFLA_ADDRESS && len == sizeof(link->mac.b))
		memcpy(link->mac.b, mnl_attr_get_payload(attr), len);
	else if (type == IFLA_MTU && len == 4)
		link->mtu = mnl_attr_get_u32(attr);
	else if (type == IFLA_LINK && len == 4)
		link->peer = (int)mnl_attr_get_u32(attr);
	else if (type == IFLA_MASTER && len == 4)
		link->master = (int)mnl_attr_get_u32(attr);
	else if ((type == IFLA_PROMISCUITY || type == NL_IFLA_ALLMULTI) && len == 4)
		link->takes_all |= mnl_attr_get_u32(attr) > 0;
	return MNL_CB_OK;
}

/* An AF_BRIDGE message has the same type but tells of a bridge port; its RTM_DELLINK means "left
 * the bridge". */
bool nl_link_parse(struct nl_link *link, const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK)
		return false;
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct ifinfomsg))
		return false;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	if (ifi->ifi_family != AF_UNSPEC)
		return false;

	/* the flags are only what somebody set by hand, the attributes also what a bridge did */
	*link = (struct nl_link){
		.index = ifi->ifi_index,
		.ethernet = ifi->ifi_type == ARPHRD_ETHER,
		.up = (ifi->ifi_flags & IFF_UP) != 0,
		.carrier = (ifi->ifi_flags & LOWER_UP) != 0,
		.takes_all = (ifi->ifi_flags & (IFF_PROMISC | IFF_ALLMULTI)) != 0,
	};
	(void)mnl_attr_parse(nlh, sizeof(*ifi), link_attr, link);
	return true;
}

static void link_take(void *data, const struct nlmsghdr *nlh)
{
	struct nl_link link;
	if (nl_link_parse(&link, nlh))
		*(struct nl_link *)data = link;
}

int nl_link_get(struct nl *nl, const char *name, struct nl_link *out)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nl_link found = { 0 };

	nl->why[0] = '\0';
	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	struct nlmsghdr *nlh = link_request(buf, RTM_GETLINK, 0, 0);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	const int rc = talk(nl, nlh, link_take, &found);
	if (rc < 0)
		return rc;
	if (!found.index)
		return -ENODEV;
	*out = found;
	return 0;
}

struct link_listener {
	void (*each)(void *data, const struct nl_link *link);
	void *data;
};

static void link_tell(void *data, const struct nlmsghdr *nlh)
{
	const struct link_listener *to = data;
	struct nl_link link;
	if (nl_link_parse(&link, nlh))
		to->each(to->data, &link);
}

/* Of the bridge of index @master only, or of all. */
static int link_dump(
	struct nl *nl, int master, void (*each)(void *data, const struct nl_link *link), void *data)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct link_listener to = { .each = each, .data = data };

	for (int tries = 0; tries < 10; tries++) {
		struct nlmsghdr *nlh = link_request(buf, RTM_GETLINK, NLM_F_DUMP, 0);
		mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		if (master)
			mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)master);
		const int rc = talk(nl, nlh, link_tell, &to);
		if (rc != -EINTR)
			return rc;
	}
	return -EAGAIN;
}

int nl_link_list(struct nl *nl, void (*each)(void *data, const struct nl_link *link), void *data)
{
	return link_dump(nl, 0, each, data);
}

int nl_link_ports(
	struct nl *nl, int master, void (*each)(void *data, const struct nl_link *link), void *data)
{
	return link_dump(nl, master, each, data);
}

int nl_link_delete(struct nl *nl, int index)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	return talk(nl, link_request(buf, RTM_DELLINK, 0, index), NULL, NULL);
}

int nl_link_set_alias(struct nl *nl, int index, const char *alias)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh = link_request(buf, RTM_SETLINK, 0, index);
	mnl_attr_put_str(nlh, IFLA_IFALIAS, alias);
	return talk(nl, nlh, NULL, NULL);
}

int nl_link_set_mtu(struct nl *nl, int index, uint32_t mtu)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh = link_request(buf, RTM_SETLINK, 0, index);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return talk(nl, nlh, NULL, NULL);
}

int nl_link_set_mac(struct nl *nl, int index, struct feth_mac mac)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh = link_request(buf, RTM_SETLINK, 0, index);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac.b), mac.b);
	return talk(nl, nlh, NULL, NULL);
}

int nl_link_move(struct nl *nl, int index, int netns, const char *name)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh = link_request(buf, RTM_SETLINK, 0, index);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return talk(nl, nlh, NULL, NULL);
}

int nl_link_set_master(struct nl *nl, int index, int master)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh = link_request(buf, RTM_SETLINK, 0, index);
	mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)master);
	return talk(nl, nlh, NULL, NULL);
}

static int link_set_flag(struct nl *nl, int index, unsigned flag, bool on)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh = link_request(buf, RTM_SETLINK, 0, index);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	ifi->ifi_flags = on ? flag : 0;
	ifi->ifi_change = flag;
	return talk(nl, nlh, NULL, NULL);
}

int nl_link_set_up(struct nl *nl, int index, bool up)
{
	return link_set_flag(nl, index, IFF_UP, up);
}

int nl_link_set_noarp(struct nl *nl, int index)
{
	return link_set_flag(nl, index, IFF_NOARP, true);
}

int nl_link_set_addr_gen_none(struct nl *nl, int index)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh = link_request(buf, RTM_SETLINK, 0, index);
	struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(nlh, AF_INET6);
	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
	return talk(nl, nlh, NULL, NULL);
}

/* -- traffic control -- */

static struct nlmsghdr *tc_request(void *buf, int type, int index, uint32_t parent)
{
	struct nlmsghdr *nlh = request(buf, type, NLM_F_CREATE | NLM_F_EXCL);
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = index;
	tc->tcm_parent = parent;
	return nlh;
}

/* A filter that drops everything: a classic BPF program of one instruction, "return TC_ACT_SHOT".
 */
static int tc_drop_all(struct nl *nl, int index, uint32_t where)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	static const struct sock_filter program[] = { { .code = BPF_RET | BPF_K,
		.k = TC_ACT_SHOT } };
	struct nlmsghdr *nlh =
		tc_request(buf, RTM_NEWTFILTER, index, TC_H_MAKE(TC_H_CLSACT, where));
	struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);
	tc->tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL));

	mnl_attr_put_strz(nlh, TCA_KIND, "bpf");
	struct nlattr *options = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put_u16(nlh, TCA_BPF_OPS_LEN, 1);
	mnl_attr_put(nlh, TCA_BPF_OPS, sizeof(program), program);
	mnl_attr_put_u32(nlh, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(nlh, options);
	return talk(nl, nlh, NULL, NULL);
}

int nl_link_seal(struct nl *nl, int index)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh = tc_request(buf, RTM_NEWQDISC, index, TC_H_CLSACT);
	struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);
	tc->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(nlh, TCA_KIND, "clsact");

	int rc = talk(nl, nlh, NULL, NULL);
	if (!rc)
		rc = tc_drop_all(nl, index, TC_H_MIN_INGRESS);
	if (!rc)
		rc = tc_drop_all(nl, index, TC_H_MIN_EGRESS);
	return rc;
}

/* -- addresses -- */

static struct nlmsghdr *addr_request(
	void *buf, int type, int flags, int index, const struct cidr *addr)
{
	struct nlmsghdr *nlh = request(buf, type, flags);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = (uint8_t)cidr_family(addr);
	ifa->ifa_prefixlen = addr->prefix;
	ifa->ifa_scope = RT_SCOPE_UNIVERSE;
	ifa->ifa_index = (uint32_t)index;
	mnl_attr_put(nlh, IFA_LOCAL, cidr_len(addr), addr->addr);
	mnl_attr_put(nlh, IFA_ADDRESS, cidr_len(addr), addr->addr);
	return nlh;
}

int nl_addr_add(struct nl *nl, int index, const struct cidr *addr)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	struct nlmsghdr *nlh =
		addr_request(buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, addr);

	if (addr->family == 6) {
		/* No duplicate address detection (RFC 4862, 5.4): it keeps an address
		 * "tentative", which nothing can bind, for a second or until some port comes up;
		 * a declared address is to be usable when we say that the network is there. Its
		 * owner is this host, by declaration. */
		mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NODAD);
	} else if (addr->prefix <= 30) {
		/* The kernel adds the route to the broadcast address by itself, but programs that
		 * ask for it (SIOCGIFBRDADDR) get what is said here. */
		uint8_t broadcast[4];
		for (unsigned i = 0; i < 4; i++) {
			const unsigned bits = addr->prefix > 8 * i ? addr->prefix - 8 * i : 0;
			broadcast[i] = (uint8_t)(addr->addr[i] | (bits >= 8 ? 0 : 0xffu >> bits));
		}
		mnl_attr_put(nlh, IFA_BROADCAST, sizeof(broadcast), broadcast);
	}
	return talk(nl, nlh, NULL, NULL);
}

int nl_addr_delete(struct nl *nl, int index, const struct cidr *addr)
{
	_Alignas(struct nlmsghdr) char buf[NL_REQUEST];
	return talk(nl, addr_request(buf, RTM_DELADDR, 0, index, addr), NULL, NULL);
}
