/* test_joins.c - what programs join on a host member is seen: hostif_ops.groups of the veth
 * backend, and the events that say so, against a real kernel.
 *
 * Each test starts in a new, empty network namespace. Needs root, or user namespaces; says so and
 * ends with 77 otherwise. Before Linux 6.14 the kernel tells nobody that a group was joined; there
 * the tests hold the backend to saying so itself (groups_told). */
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/core/groups.h"
#include "server/hostif/backends.h"
#include "server/hostif/kernel_linux.h"
#include "server/hostif/netlink_linux.h"

#define HOST "feth101"
#define SERVICE "feth5101"
#define ROOM 32u       /* events of one read, as hostwatch.c has */
#define PER_SOCKET 20u /* net.ipv4.igmp_max_memberships */

static const struct hostif_ops *const veth = &hostif_veth;
static struct err err;
static bool is_root; /* of the machine, not only of a user namespace */

static const uint8_t ALL_HOSTS[6] = { 1, 0, 0x5e, 0, 0, 1 };

/* -- the stage -- */

static int new_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	const int rc = ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return rc;
}

static int setup(void **state)
{
	(void)state;
	err = (struct err){ 0 };
	return new_namespace();
}

static const struct hostif_spec spec = {
	.network = "lab",
	.host = HOST,
	.service = SERVICE,
	.tag = "fethd:/run/fethd:lab",
	.mac = { { 2, 0, 0, 0, 101, 1 } },
	.service_mac = { { 2, 0, 0, 0, 101, 2 } },
	.mtu = 1500,
	.up = true,
	.n_addrs = 1,
	.addrs = { { .family = 4, .prefix = 24, .addr = { 10, 9, 9, 1 } } },
};

static void make_pair(void)
{
	struct hostif_made made;
	if (veth->make(&spec, &made, &err) < 0)
		fail_msg("%s", err.text);
	close(made.rx_fd);
}

static void link_do(int (*change)(struct nl *nl, int index, bool on), const char *name, bool on)
{
	struct nl nl;
	struct nl_link link;
	assert_int_equal(nl_open(&nl), 0);
	assert_int_equal(nl_link_get(&nl, name, &link), 0);
	assert_int_equal(change(&nl, link.index, on), 0);
	nl_close(&nl);
}

static int no_address_of_its_own(struct nl *nl, int index, bool on)
{
	(void)on;
	return nl_link_set_addr_gen_none(nl, index);
}

/* The kernel says that a link runs a little after it came up (linux, net/core/link_watch.c). */
static void wait_running(const char *name)
{
	struct ifreq ifr = { 0 };
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (unsigned i = 0; i < 3000 && !(ifr.ifr_flags & IFF_RUNNING); i++, usleep(1000))
		assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	assert_true(ifr.ifr_flags & IFF_RUNNING);
	close(fd);
}

/* A pair of which nothing is told but what a test does: it makes no IPv6 address, which joins a
 * group, and both links have come up and said so. */
static void make_quiet_pair(void)
{
	struct hostif_spec down = spec;
	struct hostif_made made;
	down.up = false;
	if (veth->make(&down, &made, &err) < 0)
		fail_msg("%s", err.text);
	close(made.rx_fd);
	link_do(no_address_of_its_own, HOST, true);
	link_do(nl_link_set_up, HOST, true);
	wait_running(HOST);
	wait_running(SERVICE);
	link_do(nl_link_set_up, HOST, true); /* waits for the lock under which they said it */
}

static int watch_open(void)
{
	const int fd = veth->watch_open(&err);
	if (fd < 0)
		fail_msg("%s", err.text);
	return fd;
}

/* -- joining -- */

static int join4(int fd, const char *group)
{
	struct ip_mreqn m = { .imr_ifindex = (int)if_nametoindex(HOST) };
	assert_int_equal(inet_pton(AF_INET, group, &m.imr_multiaddr), 1);
	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m));
}

static int join6(int fd, const char *group)
{
	struct ipv6_mreq m = { .ipv6mr_interface = if_nametoindex(HOST) };
	assert_int_equal(inet_pton(AF_INET6, group, &m.ipv6mr_multiaddr), 1);
	return setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m, sizeof(m));
}

/* A socket that has joined a group, by the way its text says; close() leaves. */
static int joined(const char *group)
{
	const bool v6 = strchr(group, ':');
	const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(v6 ? join6(fd, group) : join4(fd, group), 0);
	return fd;
}

static int joined_packet(const uint8_t group[6])
{
	struct packet_mreq m = { .mr_ifindex = (int)if_nametoindex(HOST),
		.mr_type = PACKET_MR_MULTICAST,
		.mr_alen = 6 };
	memcpy(m.mr_address, group, 6);
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)), 0);
	return fd;
}

/* As `ip maddr add|del` does. */
static void maddr(unsigned long request, const uint8_t group[6])
{
	struct ifreq ifr = { .ifr_name = HOST };
	memcpy(ifr.ifr_hwaddr.sa_data, group, 6);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(fd, request, &ifr), 0);
	close(fd);
}

/* Joins 239.x.y.z for all numbers below @n, on as many sockets as that takes; they are in @fds. */
static unsigned join_many(unsigned n, int *fds)
{
	unsigned n_fds = 0;
	for (unsigned i = 0; i < n; i++) {
		char group[32];
		if (i % PER_SOCKET == 0)
			fds[n_fds++] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		snprintf(group, sizeof(group), "239.1.%u.%u", i >> 8, i & 255);
		assert_int_equal(join4(fds[n_fds - 1], group), 0);
	}
	return n_fds;
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

/* -- looking -- */

static struct groups now(void)
{
	static struct groups g;
	assert_int_equal(groups_read(&g, veth, HOST), 0);
	for (unsigned i = 1; i < g.n; i++)
		assert_true(memcmp(g.mac[i - 1].b, g.mac[i].b, 6) < 0);
	return g;
}

static bool listens(const uint8_t group[6])
{
	const struct groups g = now();
	struct feth_mac mac;
	memcpy(mac.b, group, 6);
	return groups_has(&g, mac);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, ms) > 0;
}

/* The next events; fails where none come in ten seconds. */
static int news(int watch, struct hostif_event *ev, unsigned max)
{
	assert_true(readable(watch, 10000));
	return veth->watch_read(watch, ev, max);
}

static void drain(int watch)
{
	struct hostif_event ev[ROOM];
	int n;
	while ((n = veth->watch_read(watch, ev, ROOM)) != 0)
		assert_true(n > 0 || n == -ENOBUFS);
}

static bool is_groups(const struct hostif_event *e)
{
	return e->groups && !strcmp(e->name, HOST) && !e->gone && !e->down && !e->mtu;
}

static bool is_told(int watch)
{
	return veth->groups_told(watch) == HOSTIF_TOLD_IP;
}

static void unwatch(int watch)
{
	close(watch);
	veth->remove(&spec);
}

/* A quiet pair and its news; false, and said, where this kernel tells nobody of joins. */
static bool watch_quiet_pair(int *out_watch)
{
	make_quiet_pair();
	const int watch = watch_open();
	*out_watch = watch;
	if (is_told(watch))
		return true;
	printf("not on this kernel: it tells nobody that a group was joined\n");
	unwatch(watch);
	return false;
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* -- groups() -- */

static void test_a_program_joins_and_leaves(void **state)
{
	(void)state;
	static const uint8_t v4[] = { 1, 0, 0x5e, 1, 2, 3 },
			     v6[] = { 0x33, 0x33, 0, 0, 0x12, 0x34 };
	static const uint8_t lldp[] = { 1, 0x80, 0xc2, 0, 0, 0x0e };
	static const uint8_t decnet[] = { 0xab, 0, 0, 3, 0, 0 };
	make_pair();
	const struct groups before = now();
	assert_true(listens(ALL_HOSTS));

	const int fds[] = { joined("239.1.2.3"), joined("ff02::1234"), joined_packet(lldp) };
	maddr(SIOCADDMULTI, decnet);
	assert_true(listens(v4));
	assert_true(listens(v6));
	assert_true(listens(lldp));
	assert_true(listens(decnet));
	assert_int_equal(now().n, before.n + 4);

	close_all(fds, 3);
	maddr(SIOCDELMULTI, decnet);
	const struct groups after = now();
	assert_int_equal(after.n, before.n);
	assert_memory_equal(after.mac, before.mac, before.n * sizeof(before.mac[0]));
	veth->remove(&spec);
}

static void test_a_group_stays_until_the_last_has_left(void **state)
{
	(void)state;
	static const uint8_t mac[] = { 1, 0, 0x5e, 1, 2, 3 };
	make_pair();
	const unsigned before = now().n;
	/* twice the same, another of the same MAC (RFC 1112, 6.4: 32 share one), and one below IP
	 */
	const int fds[] = { joined("239.1.2.3"), joined("239.1.2.3"), joined("239.129.2.3"),
		joined_packet(mac) };
	assert_int_equal(now().n, before + 1);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(listens(mac));
		close(fds[i]);
	}
	assert_false(listens(mac));
	veth->remove(&spec);
}

static void test_what_is_no_group_is_not_shown(void **state)
{
	(void)state;
	static const uint8_t unicast[] = { 2, 1, 2, 3, 4, 5 };
	make_pair();
	const unsigned before = now().n;
	maddr(SIOCADDMULTI, unicast); /* the kernel takes it */
	assert_false(listens(unicast));
	assert_int_equal(now().n, before);
	veth->remove(&spec);
}

static void test_other_interfaces_do_not_matter(void **state)
{
	(void)state;
	make_pair();
	struct hostif_spec other = spec;
	struct hostif_made made;
	snprintf(other.network, sizeof(other.network), "lab2");
	snprintf(other.host, sizeof(other.host), "feth1011"); /* begins with the other's name */
	snprintf(other.service, sizeof(other.service), "feth6011");
	other.addrs[0].addr[2] = 8;
	assert_int_equal(veth->make(&other, &made, &err), 0);
	close(made.rx_fd);
	struct feth_mac mac[64];
	const int before = veth->groups("feth1011", mac, 64);
	const int fd = joined("239.1.2.3");
	assert_int_equal(veth->groups("feth1011", mac, 64), before);
	close(fd);
	veth->remove(&other);
	veth->remove(&spec);
}

static void test_a_link_that_is_down_listens_to_nothing_of_ip(void **state)
{
	(void)state;
	static const uint8_t mac[] = { 1, 0, 0x5e, 1, 2, 3 };
	struct hostif_event ev[ROOM];
	make_pair();
	const int fd = joined("239.1.2.3"), watch = watch_open();
	link_do(nl_link_set_up, HOST, false);
	assert_false(listens(mac));
	int n = news(
		watch, ev, 64); /* the link's own event is there, whether groups are told or not */
	bool told = false;
	for (int i = 0; i < n; i++)
		told |= !ev[i].groups && ev[i].down && !strcmp(ev[i].name, HOST);
	assert_true(told);

	link_do(nl_link_set_up, HOST, true);
	assert_true(listens(mac));
	n = news(watch, ev, ROOM);
	told = false;
	for (int i = 0; i < n; i++)
		told |= !ev[i].groups && !ev[i].down && !strcmp(ev[i].name, HOST);
	assert_true(told);
	close(fd);
	close(watch);
	veth->remove(&spec);
}

static void test_a_list_longer_than_asked_for(void **state)
{
	(void)state;
	enum { N = 200 };
	int fds[N / PER_SOCKET];
	struct feth_mac some[12];
	make_pair();
	const unsigned n_fds = join_many(N, fds);
	const struct groups all = now();
	assert_true(all.n >= N && all.n == all.total);

	memset(some, 0xee, sizeof(some));
	assert_int_equal(veth->groups(HOST, some, 10), all.n);
	assert_memory_equal(some, all.mac, 10 * sizeof(some[0]));
	assert_int_equal(some[10].b[0], 0xee);
	assert_int_equal(veth->groups(HOST, NULL, 0), all.n);
	close_all(fds, n_fds);
	veth->remove(&spec);
}

/* More than a page of the kernel's list, and more than we look at. */
static void test_more_groups_than_the_bound(void **state)
{
	(void)state;
	enum { N = GROUPS_MAX + 500 };
	static int fds[N / PER_SOCKET + 1];
	make_pair();
	const struct groups before = now();
	const unsigned n_fds = join_many(N, fds);
	const struct groups all = now();
	assert_int_equal(all.n, GROUPS_MAX);
	assert_int_equal(all.total, before.total + N);
	close_all(fds, n_fds);
	const struct groups after = now();
	assert_int_equal(after.total, before.total);
	assert_memory_equal(after.mac, before.mac, before.n * sizeof(before.mac[0]));
	veth->remove(&spec);
}

static void rename_link(const char *from, const char *to)
{
	struct ifreq ifr = { 0 };
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", from);
	snprintf(ifr.ifr_newname, sizeof(ifr.ifr_newname), "%s", to);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	link_do(nl_link_set_up, from, false); /* before Linux 6.2 one that is up keeps its name */
	assert_int_equal(ioctl(fd, SIOCSIFNAME, &ifr), 0);
	link_do(nl_link_set_up, to, true);
	close(fd);
}

/* A packet socket for which the interface is promiscuous, or takes all multicast. */
static int taking(unsigned short how)
{
	struct packet_mreq m = { .mr_ifindex = (int)if_nametoindex(HOST), .mr_type = how };
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)), 0);
	return fd;
}

static void set_flag(short flag, bool on)
{
	struct ifreq ifr = { .ifr_name = HOST };
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags = (short)(on ? ifr.ifr_flags | flag : ifr.ifr_flags & ~flag);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

/* Then who gets multicast is not who joined: a bridge, say, joins nothing. */
static void test_while_it_takes_all_the_list_is_not_known(void **state)
{
	(void)state;
	static const short flags[] = { IFF_PROMISC, IFF_ALLMULTI };
	struct feth_mac mac[4];
	struct hostif_event ev[ROOM];
	make_pair();
	const unsigned n = now().n;
	const int watch = watch_open();
	int fd = taking(PACKET_MR_PROMISC);
	assert_int_equal(veth->groups(HOST, mac, 4), -EOPNOTSUPP);
	int n_ev = news(watch, ev, ROOM);
	bool told = false;
	for (int i = 0; i < n_ev; i++)
		told |= !ev[i].groups && !strcmp(ev[i].name, HOST);
	assert_true(told); /* so it is asked again */
	close(fd);
	assert_int_equal(now().n, n);
	fd = taking(PACKET_MR_ALLMULTI);
	if (kernel_since(6, 1)) /* which shows it */
		assert_int_equal(veth->groups(HOST, mac, 4), -EOPNOTSUPP);
	close(fd);
	for (unsigned i = 0; i < 2; i++) {
		set_flag(flags[i], true);
		assert_int_equal(veth->groups(HOST, mac, 4), -EOPNOTSUPP);
		set_flag(flags[i], false);
		assert_int_equal(now().n, n);
	}
	close(watch);
	veth->remove(&spec);
}

static void test_where_there_is_no_interface_there_is_no_list(void **state)
{
	(void)state;
	struct feth_mac mac[4];
	struct groups g = { .n = 3 };
	assert_int_equal(veth->groups(HOST, mac, 4), -ENODEV);
	make_pair();
	assert_true(veth->groups(HOST, mac, 4) > 0);
	if (is_root) { /* ip(8) would have no privilege in a user namespace */
		assert_int_equal(system("ip link property add dev " HOST " altname another"), 0);
		assert_int_equal(veth->groups("another", mac, 4), -ENODEV);
	}
	rename_link(HOST, "renamed");
	assert_int_equal(veth->groups(HOST, mac, 4), -ENODEV);
	assert_true(veth->groups("renamed", mac, 4) > 0);
	rename_link("renamed", HOST);
	veth->remove(&spec);
	assert_int_equal(veth->groups(HOST, mac, 4), -ENODEV);
	assert_int_equal(groups_read(&g, veth, HOST), -ENODEV);
	assert_int_equal(g.n, 3);
}

static void test_anybody_may_ask(void **state)
{
	(void)state;
	if (!is_root)
		skip(); /* there is nobody else in this user namespace */
	make_pair();
	const int fd = joined("239.1.2.3");
	const pid_t child = fork();
	if (!child) {
		/* the sanitizers' own end would fail here: it may not look at this process */
		static struct groups g;
		const struct feth_mac want = { { 1, 0, 0x5e, 1, 2, 3 } };
		_exit(!setgid(65534) && !setuid(65534) && !groups_read(&g, veth, HOST) &&
					groups_has(&g, want)
				? 0
				: 1);
	}
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd);
	veth->remove(&spec);
}

static void *in_another_namespace(void *arg)
{
	static const uint8_t theirs[] = { 1, 0, 0x5e, 1, 2, 3 }, own[] = { 1, 0, 0x5e, 4, 5, 6 };
	bool *ok = arg;
	if (new_namespace() < 0)
		return NULL;
	make_pair(); /* of the same names and numbers */
	const int fd = joined("239.4.5.6");
	*ok = listens(own) && !listens(theirs);
	close(fd);
	veth->remove(&spec);
	return NULL;
}

static void test_a_thread_sees_its_own_namespace(void **state)
{
	(void)state;
	bool ok = false;
	pthread_t thread;
	make_pair();
	const int fd = joined("239.1.2.3");
	assert_int_equal(pthread_create(&thread, NULL, in_another_namespace, &ok), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(ok);
	close(fd);
	veth->remove(&spec);
}

/* -- events -- */

/* Joins and leaves @times; prints how long until the new list is in hand. */
static void measure(int watch, const char *group, const uint8_t mac[6], unsigned times)
{
	double worst = 0, sum = 0;
	for (unsigned i = 0; i < times; i++) {
		struct hostif_event ev[ROOM];
		const double start = now_us();
		const int fd = joined(group);
		assert_int_equal(news(watch, ev, ROOM), 1);
		assert_true(is_groups(&ev[0]));
		assert_true(listens(mac)); /* by the time it is told it is so */
		const double took = now_us() - start;
		sum += took;
		worst = took > worst ? took : worst;
		close(fd);
		assert_int_equal(news(watch, ev, ROOM), 1);
		assert_true(is_groups(&ev[0]));
		assert_false(listens(mac));
		assert_false(readable(watch, 0));
	}
	printf("%s: from the join to the new list %.0f us, worst of %u: %.0f us\n", group,
		sum / times, times, worst);
}

static void test_a_join_is_told_at_once(void **state)
{
	(void)state;
	static const uint8_t v4[] = { 1, 0, 0x5e, 1, 2, 3 },
			     v6[] = { 0x33, 0x33, 0, 0, 0x12, 0x34 };
	struct hostif_event ev[ROOM];
	make_quiet_pair();
	const int watch = watch_open();
	if (!is_told(watch)) {
		assert_int_equal(veth->groups_told(watch), HOSTIF_TOLD_NONE);
		close(joined("239.1.2.3"));
		link_do(nl_link_set_up, SERVICE, false);
		const int n = news(watch, ev, ROOM);
		for (int i = 0; i < n; i++)
			assert_false(ev[i].groups);
		printf("this kernel does not tell of joined groups, and groups_told says so\n");
	} else {
		measure(watch, "239.1.2.3", v4, 50);
		measure(watch, "ff02::1234", v6, 50);
	}
	close(watch);
	veth->remove(&spec);
}

/* What happens first is told first; joins between two link changes stay between them. */
static void test_events_come_in_order(void **state)
{
	(void)state;
	struct hostif_event ev[ROOM];
	int watch;
	if (!watch_quiet_pair(&watch))
		return;
	const int fd = joined("239.1.2.3");
	link_do(nl_link_set_up, SERVICE, false);
	int n = news(watch, ev, ROOM);
	assert_true(n >= 2);
	assert_true(is_groups(&ev[0]));
	bool down = false;
	for (int i = 1; i < n; i++)
		down |= ev[i].down && !strcmp(ev[i].name, SERVICE);
	assert_true(down);

	drain(watch);
	link_do(nl_link_set_up, SERVICE, true);
	close(fd);
	n = news(watch, ev, ROOM);
	bool up = false, told = false;
	for (int i = 0; i < n && !told; i++) {
		up |= !ev[i].groups && !ev[i].down && !strcmp(ev[i].name, SERVICE);
		told = is_groups(&ev[i]);
	}
	assert_true(up); /* before the leave */
	assert_true(told);
	unwatch(watch);
}

static void test_many_joins_are_one_event(void **state)
{
	(void)state;
	enum { N = 400 }; /* what the smallest queue of news holds */
	int fds[N / PER_SOCKET], watch;
	struct hostif_event ev[ROOM];
	if (!watch_quiet_pair(&watch))
		return;
	const struct groups before = now();
	const unsigned n_fds = join_many(N, fds);
	assert_int_equal(now().n, before.n + N);
	assert_int_equal(news(watch, ev, ROOM), 1);
	assert_true(is_groups(&ev[0]));
	close_all(fds, n_fds);
	assert_int_equal(news(watch, ev, ROOM), 1);
	assert_true(is_groups(&ev[0]));
	assert_false(readable(watch, 0));
	assert_int_equal(now().n, before.n);
	unwatch(watch);
}

/* A read ends, however much there is; what could not be queued is said to be lost. */
static void test_a_flood_of_joins_is_bounded(void **state)
{
	(void)state;
	struct hostif_event ev[ROOM];
	int watch;
	if (!watch_quiet_pair(&watch))
		return;
	unsigned reads = 0;
	if (is_root) { /* others get a smaller queue */
		for (unsigned i = 0; i < 1000; i++)
			close(joined("239.1.2.3"));
		for (; readable(watch, 0); reads++) {
			assert_int_equal(veth->watch_read(watch, ev, ROOM), 1);
			assert_true(is_groups(&ev[0]));
		}
		assert_int_equal(reads, 2); /* of 2000 messages */
	}

	for (unsigned i = 0; i < 20000; i++)
		close(joined("239.1.2.3"));
	assert_int_equal(news(watch, ev, ROOM), -ENOBUFS);
	drain(watch);
	const int fd = joined("239.1.2.3");
	assert_int_equal(news(watch, ev, ROOM), 1);
	assert_true(is_groups(&ev[0]));
	close(fd);
	unwatch(watch);
}

/* Its joins were told of before it went; nobody could ask for them any more. */
static void test_an_interface_that_has_gone_is_only_gone(void **state)
{
	(void)state;
	struct hostif_event ev[ROOM];
	make_pair();
	const int watch = watch_open();
	const int fd = joined("239.1.2.3");
	veth->remove(&spec);
	const int n = news(watch, ev, ROOM);
	bool gone = false;
	for (int i = 0; i < n; i++) {
		assert_false(ev[i].groups);
		gone |= ev[i].gone && !strcmp(ev[i].name, HOST);
	}
	assert_true(gone);
	close(fd);
	close(watch);
}

/* For the record; groups_told never claims these. */
static void test_what_joins_below_ip(void **state)
{
	(void)state;
	static const uint8_t lldp[] = { 1, 0x80, 0xc2, 0, 0, 0x0e };
	make_quiet_pair();
	const int watch = watch_open();
	assert_int_not_equal(veth->groups_told(watch), HOSTIF_TOLD_ALL);
	close(joined_packet(lldp));
	printf("a packet socket's membership is told: %s\n", readable(watch, 0) ? "yes" : "no");
	drain(watch);
	maddr(SIOCADDMULTI, lldp);
	printf("one by ip maddr is told: %s\n", readable(watch, 0) ? "yes" : "no");
	assert_true(listens(lldp));
	close(watch);
	veth->remove(&spec);
	assert_int_equal(veth->groups_told(-1), HOSTIF_TOLD_NONE);
}

int main(void)
{
	is_root = unshare(CLONE_NEWNET) == 0;
	if (!is_root && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		fprintf(stderr, "SKIPPED: test_joins needs root or user namespaces: %s\n",
			strerror(errno));
		return 77;
	}
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_a_program_joins_and_leaves),
		TEST(test_a_group_stays_until_the_last_has_left),
		TEST(test_what_is_no_group_is_not_shown),
		TEST(test_other_interfaces_do_not_matter),
		TEST(test_a_link_that_is_down_listens_to_nothing_of_ip),
		TEST(test_a_list_longer_than_asked_for),
		TEST(test_more_groups_than_the_bound),
		TEST(test_while_it_takes_all_the_list_is_not_known),
		TEST(test_where_there_is_no_interface_there_is_no_list),
		TEST(test_anybody_may_ask),
		TEST(test_a_thread_sees_its_own_namespace),
		TEST(test_a_join_is_told_at_once),
		TEST(test_events_come_in_order),
		TEST(test_many_joins_are_one_event),
		TEST(test_a_flood_of_joins_is_bounded),
		TEST(test_an_interface_that_has_gone_is_only_gone),
		TEST(test_what_joins_below_ip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
