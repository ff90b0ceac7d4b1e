/* netlink_watch_linux.c - see netlink_linux.h: what the kernel tells unasked, links that change and
 * groups that are joined, from one socket.
 *
 * rtnetlink(7). IPv4 and IPv6 tell of each group when its first member on a link has joined and
 * when its last has left, in both cases after the list of mcast_linux.h was changed (linux,
 * net/ipv4/igmp.c, net/ipv6/mcast.c). They do not when they put a link's groups back as it comes
 * up; then the link's own events have to do. */
#include "server/hostif/netlink_linux.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What linux/rtnetlink.h has since Linux 6.14; it comes with the system and may be older. */
#define NL_NEWMULTICAST 56u
#define NL_DELMULTICAST 57u
#define NL_GROUP_IPV4_MCADDR 37
#define NL_GROUP_IPV6_MCADDR 38

/* What waits to be read, bytes, doubled by the kernel; a message takes 768. Programs may join
 * groups as fast as they can call (140 a millisecond, measured), which must not push out the news
 * of links: this is 20 ms of it, where the default of 208 KiB is 2. */
#define NL_WATCH_RCVBUF (1024 * 1024)

/* Datagrams of one nl_watch_read(): a flood of joins is one event, and must end some time. */
#define NL_WATCH_READS 1024u

/* A dump's datagrams are as large as what it is read into (netlink_dump()), and a link takes 1100
 * bytes there (measured), so that one never has more events than this. */
#define NL_WATCH_BUF 8192u
#define NL_WATCH_LINKS 16u

int nl_watch_open(void)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		const int rc = -errno;
		close(fd);
		return rc;
	}
	const int size = NL_WATCH_RCVBUF;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* EINVAL before Linux 6.14: see nl_groups_told() */
	const int groups[] = { NL_GROUP_IPV4_MCADDR, NL_GROUP_IPV6_MCADDR };
	for (unsigned i = 0; i < 2; i++)
		(void)setsockopt(
			fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i]));
	return fd;
}

static bool in_group(const uint32_t *bits, socklen_t len, unsigned group)
{
	group--; /* they count from 1 */
	return len * 8 > group && bits[group / 32] >> group % 32 & 1u;
}

/* Never all of them: a kernel of today tells nobody of what joins below IP. Neither dev_mc_add(),
 * which packet sockets use (linux, net/packet/af_packet.c, packet_dev_mc()), nor SIOCADDMULTI, `ip
 * maddr` (net/core/dev_ioctl.c), say anything (measured: Linux 6.18). */
enum hostif_told nl_groups_told(int fd)
{
	uint32_t bits[8] = { 0 }; /* what does not fit is cut off, and @len is the whole */
	socklen_t len = sizeof(bits);
	if (getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, bits, &len) < 0)
		return HOSTIF_TOLD_NONE;
	if (len > sizeof(bits))
		len = sizeof(bits);
	return in_group(bits, len, NL_GROUP_IPV4_MCADDR) &&
			       in_group(bits, len, NL_GROUP_IPV6_MCADDR)
		       ? HOSTIF_TOLD_IP
		       : HOSTIF_TOLD_NONE;
}

/* The events of one nl_watch_read(). */
struct news {
	struct hostif_event *events;
	unsigned n, max;
	uint32_t index; /* whose groups were told of last */
};

static int link_news(struct news *to, const struct nlmsghdr *nlh)
{
	struct nl_link link;
	if (!nl_link_parse(&link, nlh) || !link.name[0])
		return 0;
	if (to->n == to->max)
		return -ENOBUFS;
	struct hostif_event *e = &to->events[to->n++];
	*e = (struct hostif_event){
		.gone = nlh->nlmsg_type == RTM_DELLINK, .down = !link.up, .mtu = link.mtu
	};
	memcpy(e->name, link.name, sizeof(e->name));
	return 0;
}

/* Once for each interface, however many come and go. What is told of one that has gone meanwhile,
 * or to another namespace, is nobody's business. */
static int group_news(struct news *to, const struct nlmsghdr *nlh)
{
	char name[HOSTIF_NAME];
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct ifaddrmsg))
		return 0;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	if (ifa->ifa_index == to->index || !if_indextoname(ifa->ifa_index, name))
		return 0;
	for (unsigned i = 0; i < to->n; i++)
		if (to->events[i].groups && !strcmp(to->events[i].name, name))
			return 0;
	if (to->n == to->max)
		return -ENOBUFS;
	struct hostif_event *e = &to->events[to->n++];
	*e = (struct hostif_event){ .groups = true };
	memcpy(e->name, name, sizeof(e->name));
	to->index = ifa->ifa_index;
	return 0;
}

/* One datagram's worth of events. */
static int watch_parse(struct news *to, const char *buf, int len)
{
	int rc = 0;
	for (const struct nlmsghdr *nlh = (const void *)buf; !rc && mnl_nlmsg_ok(nlh, len);
		nlh = mnl_nlmsg_next(nlh, &len)) {
		if (nlh->nlmsg_type == NL_NEWMULTICAST || nlh->nlmsg_type == NL_DELMULTICAST)
			rc = group_news(to, nlh);
		else
			rc = link_news(to, nlh);
	}
	return rc;
}

/* Some were lost. Has the kernel say here once more what every link is, lest one that was taken
 * down in a flood of joins stays so unnoticed; what has gone is for the caller to find out. */
static void tell_again(int fd)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg)); /* zero: all */
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	(void)send(fd, nlh, nlh->nlmsg_len, 0);
}

int nl_watch_read(int fd, struct hostif_event *events, unsigned max)
{
	_Alignas(struct nlmsghdr) char buf[NL_WATCH_BUF];
	struct news news = { .events = events, .max = max };

	for (unsigned reads = 0; reads < NL_WATCH_READS; reads++) {
		if (news.n && max - news.n < NL_WATCH_LINKS)
			break; /* the next might not fit */
		struct sockaddr_nl from = { 0 };
		struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
		struct msghdr msg = { .msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1 };
		const ssize_t got = recvmsg(fd, &msg, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (got < 0) {
			const int rc = -errno;
			if (rc == -ENOBUFS) /* the kernel could not queue some */
				tell_again(fd);
			return rc;
		}
		if (from.nl_pid)
			continue; /* not the kernel */
		if (msg.msg_flags & MSG_TRUNC)
			return -ENOBUFS;
		const int rc = watch_parse(&news, buf, (int)got);
		if (rc < 0)
			return rc;
	}
	return (int)news.n;
}
