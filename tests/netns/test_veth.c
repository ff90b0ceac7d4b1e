/* test_veth.c - the veth backend against a real kernel, in network namespaces of its own.
 *
 * Each test starts in a new, empty namespace. Needs root, or user namespaces; says so and ends with
 * 77 otherwise. One file, long as it is, since all tests stand on one rig. What the backend
 * promises is looked at from outside: through a packet socket on the host member, through ordinary
 * sockets, and by asking the kernel. */
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/core/offload.h"
#include "server/hostif/backends.h"
#include "server/hostif/netlink_linux.h"
#include "server/hostif/packetring_linux.h"

#define BUF (4352u * 1024u) /* what a loop gives recv() */
#define SILENCE_S 10
#define TYPE_TEST 0x88b5u /* IEEE 802: for local experiments */

static const struct hostif_ops *const veth = &hostif_veth;
static struct err err;
static uint8_t buf[BUF];
static bool is_root; /* of the machine, not only of a user namespace */

/* -- the stage -- */

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int setup(void **state)
{
	(void)state;
	err = (struct err){ 0 };
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ioctl(fd, SIOCSIFFLAGS, &ifr);
	return close(fd);
}

static struct hostif_spec spec_of(const char *network, unsigned unit)
{
	struct hostif_spec s = {
		.mac = { { 2, 0, 0, 0, (uint8_t)unit, 1 } },
		.service_mac = { { 2, 0, 0, 0, (uint8_t)unit, 2 } },
		.mtu = 1500,
		.up = true,
	};
	snprintf(s.network, sizeof(s.network), "%s", network);
	snprintf(s.host, sizeof(s.host), "feth%u", unit);
	snprintf(s.service, sizeof(s.service), "feth%u", unit + 5000);
	snprintf(s.tag, sizeof(s.tag), "fethd:/run/fethd:%s", network);
	return s;
}

static void add_addr(struct hostif_spec *s, const char *text)
{
	const char *why;
	assert_true(cidr_parse(&s->addrs[s->n_addrs++], text, &why));
}

/* A made and opened pair, and a packet socket on its host member that plays the host. */
struct rig {
	struct hostif_spec spec;
	struct hostif *hif;
	int host; /* sees what arrives at the host member, sends from it */
};

/* What arrives is what came out of the service member. */
static int packet_on(const char *name)
{
	const int on = 1;
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	const int size = 1 << 20;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	const struct sockaddr_ll addr = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name) };
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%d %s", rc, err.text);
}

static struct rig rig_open(struct hostif_spec spec)
{
	struct rig r = { .spec = spec };
	struct hostif_made made;
	must(veth->make(&r.spec, &made, &err));
	must(veth->open(&r.hif, &made, &r.spec, &err));
	r.host = packet_on(r.spec.host);
	return r;
}

static void rig_close(struct rig *r)
{
	close(r->host);
	veth->close(r->hif);
	veth->remove(&r->spec);
	assert_true(veth->name_free(r->spec.host));
	assert_true(veth->name_free(r->spec.service));
}

/* Changes the rig to @want, which must work. */
static void rig_change(struct rig *r, struct hostif_spec want)
{
	must(veth->change(&r->spec, &want, &err));
	r->spec = want;
}

static struct nl_link link_of(const char *name)
{
	struct nl nl;
	struct nl_link link = { 0 };
	assert_int_equal(nl_open(&nl), 0);
	const int rc = nl_link_get(&nl, name, &link);
	nl_close(&nl);
	assert_int_equal(rc, 0);
	return link;
}

static int make_foreign(const char *one, const char *two)
{
	struct nl nl;
	const struct nl_end a = { one, { { 2, 9, 9, 9, 9, 1 } } };
	const struct nl_end b = { two, { { 2, 9, 9, 9, 9, 2 } } };
	assert_int_equal(nl_open(&nl), 0);
	assert_int_equal(nl_veth_make(&nl, &a, &b, 1500), 0);
	nl_close(&nl);
	return link_of(one).index;
}

static void delete_link(const char *name)
{
	struct nl nl;
	assert_int_equal(nl_open(&nl), 0);
	assert_int_equal(nl_link_delete(&nl, link_of(name).index), 0);
	nl_close(&nl);
}

static void set_up(const char *name, bool up)
{
	struct nl nl;
	assert_int_equal(nl_open(&nl), 0);
	assert_int_equal(nl_link_set_up(&nl, link_of(name).index, up), 0);
	nl_close(&nl);
}

/* The kernel lets a member send a little after its peer came up again (linux,
 * net/core/link_watch.c). */
static void wait_running(const char *name)
{
	struct ifreq ifr = { 0 };
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (int64_t end = now_ms() + 3000; now_ms() < end && !(ifr.ifr_flags & IFF_RUNNING);)
		assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	assert_true(ifr.ifr_flags & IFF_RUNNING);
	close(fd);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, ms) > 0;
}

static void assert_pair(const struct hostif_spec *s)
{
	const struct nl_link host = link_of(s->host), service = link_of(s->service);
	assert_int_equal(host.mtu, s->mtu);
	assert_int_equal(service.mtu, s->mtu);
	assert_true(mac_equal(host.mac, s->mac));
	assert_true(mac_equal(service.mac, s->service_mac));
	assert_string_equal(host.alias, s->tag);
	assert_string_equal(service.alias, s->tag);
	assert_int_equal(host.up, s->up);
	assert_true(service.up);
	assert_int_equal(host.peer, service.index);
}

/* -- frames -- */

/* A frame of @len bytes with @head in front (addresses are put first) and a pattern behind. */
struct test_frame {
	size_t len;
	uint8_t b[FETH_FRAME_MAX + 32];
};

static struct test_frame *frame_new(const char *types, size_t n_types, size_t len)
{
	struct test_frame *f = malloc(sizeof(*f));
	assert_non_null(f);
	f->len = len;
	for (size_t i = 0; i < len; i++)
		f->b[i] = (uint8_t)(i * 7 + (i >> 8));
	static const uint8_t addresses[12] = { 2, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2 };
	memcpy(f->b, addresses, sizeof(addresses));
	memcpy(f->b + 12, types, n_types);
	return f;
}

#define FRAME(types, len) frame_new(types, sizeof(types) - 1, len)

static bool is_test_frame(const uint8_t *b)
{
	static const uint8_t dst[6] = { 2, 1, 1, 1, 1, 1 };
	return !memcmp(b, dst, 6);
}

/* The next of our frames that the backend gives, into *out; others are the host's own chatter. */
static bool service_next(struct hostif *hif, struct frame *out)
{
	const int64_t end = now_ms() + 1000;
	for (int64_t left = 1000; left > 0; left = end - now_ms()) {
		if (!readable(veth->fd(hif), (int)left))
			break;
		const int n = veth->recv(hif, out, 1, buf, sizeof(buf));
		assert_true(n >= 0);
		if (n && is_test_frame(out->head))
			return true;
	}
	return false;
}

static void assert_service_gets(struct rig *r, const struct test_frame *f)
{
	struct frame got = { 0 };
	if (!service_next(r->hif, &got))
		fail_msg("a frame of %zu bytes did not arrive", f->len);
	assert_int_equal(got.len, f->len);
	assert_int_equal(got.head_len, f->len);
	assert_int_equal(got.more_n, 0);
	assert_memory_equal(got.head, f->b, f->len);
}

/* The next of our frames at the host member, with its tag put back; 0: none within @ms. */
static size_t host_next(int fd, uint8_t *out, size_t size, int ms)
{
	const int64_t end = now_ms() + ms;
	do {
		if (!readable(fd, ms))
			return 0;
		_Alignas(struct cmsghdr) char control[256];
		struct iovec iov[2] = { { out, 12 }, { out + 16, size - 16 } };
		struct msghdr msg = { .msg_iov = iov,
			.msg_iovlen = 2,
			.msg_control = control,
			.msg_controllen = sizeof(control) };
		const ssize_t n = recvmsg(fd, &msg, 0);
		if (n < 14 || !is_test_frame(out))
			continue;
		struct tpacket_auxdata aux = { 0 };
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
			if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
				memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID)) {
			memmove(out + 12, out + 16, (size_t)n - 12);
			return (size_t)n;
		}
		out[12] = (uint8_t)(aux.tp_vlan_tpid >> 8);
		out[13] = (uint8_t)aux.tp_vlan_tpid;
		out[14] = (uint8_t)(aux.tp_vlan_tci >> 8);
		out[15] = (uint8_t)aux.tp_vlan_tci;
		return (size_t)n + 4;
	} while (now_ms() < end);
	return 0;
}

static void assert_host_gets(struct rig *r, const struct test_frame *f)
{
	static uint8_t got[FETH_FRAME_MAX + 64];
	const size_t n = host_next(r->host, got, sizeof(got), 1000);
	assert_int_equal(n, f->len);
	assert_memory_equal(got, f->b, n);
}

static struct frame view(const struct test_frame *f)
{
	return (struct frame){
		.head = f->b, .head_len = (uint32_t)f->len, .len = (uint32_t)f->len
	};
}

/* Both ways, byte for byte. */
static void assert_crosses(struct rig *r, struct test_frame *f)
{
	const struct frame v = view(f);
	assert_int_equal(send(r->host, f->b, f->len, 0), f->len);
	assert_service_gets(r, f);
	assert_int_equal(veth->send(r->hif, &v, 1), 1);
	assert_host_gets(r, f);
	free(f);
}

/* -- life -- */

static void test_pair_is_made_as_specified_and_removed_without_a_trace(void **state)
{
	(void)state;
	struct hostif_spec s = spec_of("lab", 101);
	add_addr(&s, "10.0.0.1/24");
	struct rig r = rig_open(s);
	assert_pair(&s);
	assert_false(veth->name_free("feth101"));
	assert_false(veth->name_free("feth5101"));
	assert_int_equal(fcntl(veth->fd(r.hif), F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(veth->fd(r.hif), F_GETFL) & O_NONBLOCK);
	rig_close(&r);

	struct hostif_made made;
	s.up = false;
	must(veth->make(&s, &made, &err));
	assert_pair(&s);
	close(made.rx_fd);
	veth->remove(&s);
	assert_true(veth->name_free("feth101"));
	veth->remove(&s); /* again: nothing to do */
}

static void test_taken_name_is_left_alone(void **state)
{
	(void)state;
	const struct hostif_spec s = spec_of("lab", 101);
	struct hostif_made made = { .rx_fd = -5, .tx_fd = -5 };

	int index = make_foreign("feth101", "other0");
	assert_int_equal(veth->make(&s, &made, &err), -EEXIST);
	assert_non_null(strstr(err.text, "feth101"));
	assert_int_equal(link_of("feth101").index, index);
	assert_true(veth->name_free("feth5101"));
	veth->remove(&s); /* not ours: stays as well */
	assert_int_equal(link_of("feth101").index, index);
	struct hostif_spec want = s;
	want.mtu = 2000;
	assert_int_equal(veth->change(&s, &want, &err), -ENODEV);
	assert_int_equal(link_of("feth101").mtu, 1500);
	delete_link("feth101");

	index = make_foreign("other0", "feth5101");
	assert_int_equal(veth->make(&s, &made, &err), -EEXIST);
	assert_non_null(strstr(err.text, "feth5101"));
	assert_int_equal(link_of("other0").index, index);
	assert_true(veth->name_free("feth101"));
	assert_int_equal(made.rx_fd, -5);
}

static void test_pair_of_another_daemon_is_foreign(void **state)
{
	(void)state;
	struct hostif_spec theirs = spec_of("lab", 101);
	snprintf(theirs.tag, sizeof(theirs.tag), "fethd:/tmp/fethd:lab");
	struct rig r = rig_open(theirs);
	const int index = link_of("feth101").index;

	const struct hostif_spec ours = spec_of("lab", 101);
	struct hostif_made made;
	assert_int_equal(veth->make(&ours, &made, &err), -EEXIST);
	veth->remove(&ours);
	assert_int_equal(link_of("feth101").index, index);
	rig_close(&r);
}

static void test_own_pair_is_replaced(void **state)
{
	(void)state;
	struct rig old = rig_open(spec_of("lab", 101));
	const int index = link_of("feth101").index;
	struct hostif_made made;
	must(veth->make(&old.spec, &made, &err));
	assert_int_not_equal(link_of("feth101").index, index);
	assert_pair(&old.spec);
	struct frame f;
	int rc = 1;
	while (rc == 1) /* what came before */
		rc = veth->recv(old.hif, &f, 1, buf, sizeof(buf));
	assert_int_equal(rc, -ENODEV);
	close(made.rx_fd);
	rig_close(&old);
}

static void test_make_is_all_or_nothing(void **state)
{
	(void)state;
	struct hostif_made made;
	struct hostif_spec s = spec_of("lab", 101);
	s.mac.b[0] = 1; /* a group: the kernel refuses it */
	assert_int_equal(veth->make(&s, &made, &err), -EADDRNOTAVAIL);
	assert_non_null(strstr(err.text, "lab: cannot make interface feth101: "));
	assert_true(veth->name_free("feth101"));
	assert_true(veth->name_free("feth5101"));

	s = spec_of("lab", 101);
	s.addrs[0] = (struct cidr){ .family = 4, .prefix = 33, .addr = { 10, 0, 0, 1 } };
	s.n_addrs = 1; /* refused last of all */
	const int fd = dup(0);
	close(fd);
	assert_true(veth->make(&s, &made, &err) < 0);
	assert_non_null(strstr(err.text, "10.0.0.1/33"));
	assert_true(veth->name_free("feth101"));
	assert_true(veth->name_free("feth5101"));
	const int next = dup(0);
	assert_int_equal(next, fd); /* no descriptor is left */
	close(next);

	/* where the machine has IPv6 switched off that is not for want of rights */
	const int off = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);
	if (off >= 0 && write(off, "1", 1) == 1) {
		s = spec_of("lab", 101);
		add_addr(&s, "fd00::1/64");
		assert_int_equal(veth->make(&s, &made, &err), -EIO);
		assert_non_null(strstr(err.text, "IPv6"));
		assert_true(veth->name_free("feth101"));
	}
	close(off);

	s = spec_of("lab", 101);
	add_addr(&s, "fd00::1/64");
	s.mtu = 1279;
	assert_int_equal(veth->make(&s, &made, &err), -EINVAL);
	assert_non_null(strstr(err.text, "1280"));
	assert_true(veth->name_free("feth101"));
}

static void test_without_privilege_says_what_is_needed(void **state)
{
	(void)state;
	const pid_t child = fork();
	if (!child) {
		struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct none[2] = { 0 };
		struct hostif_made made;
		const struct hostif_spec s = spec_of("lab", 101);
		syscall(SYS_capset, &head, none);
		const int rc = veth->make(&s, &made, &err);
		const bool ok = rc == -EPERM &&
				strstr(err.text, "lab: cannot make interface feth101: needs root");
		fprintf(stderr, "%s\n", err.text);
		_exit(ok && veth->sweep("fethd:/run/fethd:", NULL, 0, &err) == 0 ? 0 : 1);
	}
	int status = -1;
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void test_sweep_removes_only_ours(void **state)
{
	(void)state;
	struct hostif_made made;
	struct hostif_spec s[3] = { spec_of("a", 101), spec_of("b", 102), spec_of("c", 103) };
	snprintf(s[2].tag, sizeof(s[2].tag), "fethd:/run/fethd2:c");
	for (int i = 0; i < 3; i++) {
		must(veth->make(&s[i], &made, &err));
		close(made.rx_fd);
	}
	make_foreign("feth104", "feth5104");

	assert_int_equal(veth->sweep("", NULL, 0, &err), -EINVAL);
	assert_int_equal(veth->sweep("fethd:/run/fethd:", NULL, 0, &err), 2);
	assert_true(veth->name_free("feth101"));
	assert_true(veth->name_free("feth5102"));
	assert_false(veth->name_free("feth103"));
	assert_false(veth->name_free("feth104"));
	assert_int_equal(veth->sweep("fethd:/run/fethd:", NULL, 0, &err), 0);
}

/* -- changes -- */

static void test_mtu_rises_and_falls_on_both_members(void **state)
{
	(void)state;
	static const uint32_t mtus[] = { 9000, 65521, 1500, 68, 1279, 1280, 576, 1500 };
	struct rig r = rig_open(spec_of("lab", 101));
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		struct hostif_spec want = r.spec;
		want.mtu = mtus[i];
		rig_change(&r, want);
		assert_pair(&want);
	}
	rig_close(&r);
}

static void test_link_state_and_macs_change(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	struct hostif_spec want = r.spec;
	want.mac.b[5] = 0x77;
	want.service_mac.b[5] = 0x78;
	rig_change(&r, want);
	assert_pair(&want);
	want.up = false;
	rig_change(&r, want);
	assert_pair(&want);
	want.up = true;
	want.mtu = 4000;
	rig_change(&r, want);
	assert_pair(&want);
	rig_close(&r);
}

/* Whether the host member has the address, and something can be bound to it. */
static bool has_addr(const char *name, const char *text)
{
	struct cidr want;
	const char *why;
	assert_true(cidr_parse(&want, text, &why));
	struct ifaddrs *all = NULL;
	bool found = false;
	assert_int_equal(getifaddrs(&all), 0);
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		if (!a->ifa_addr || strcmp(a->ifa_name, name) != 0)
			continue;
		const void *addr = NULL, *mask = NULL;
		if (a->ifa_addr->sa_family == AF_INET && want.family == 4) {
			addr = &((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr;
			mask = &((const struct sockaddr_in *)(const void *)a->ifa_netmask)
					->sin_addr;
		} else if (a->ifa_addr->sa_family == AF_INET6 && want.family == 6) {
			addr = &((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr;
			mask = &((const struct sockaddr_in6 *)(const void *)a->ifa_netmask)
					->sin6_addr;
		}
		if (!addr || memcmp(addr, want.addr, want.family == 4 ? 4 : 16) != 0)
			continue;
		unsigned bits = 0;
		for (unsigned i = 0; i < (want.family == 4 ? 4u : 16u); i++)
			bits += (unsigned)__builtin_popcount(((const uint8_t *)mask)[i]);
		found |= bits == want.prefix;
	}
	freeifaddrs(all);
	return found;
}

/* Usable: bound to, and routed out of this interface. */
static bool usable(const char *own, const char *neighbour)
{
	struct cidr a, b;
	const char *why;
	assert_true(cidr_parse(&a, own, &why) && cidr_parse(&b, neighbour, &why));
	struct sockaddr_in6 s6 = { .sin6_family = AF_INET6 }, d6 = s6;
	struct sockaddr_in s4 = { .sin_family = AF_INET }, d4 = s4;
	const bool v4 = a.family == 4;
	memcpy(v4 ? (void *)&s4.sin_addr : &s6.sin6_addr, a.addr, v4 ? 4 : 16);
	memcpy(v4 ? (void *)&d4.sin_addr : &d6.sin6_addr, b.addr, v4 ? 4 : 16);
	d4.sin_port = d6.sin6_port = htons(9);
	const struct sockaddr *s = v4 ? (void *)&s4 : (void *)&s6;
	const struct sockaddr *d = v4 ? (void *)&d4 : (void *)&d6;
	const socklen_t len = v4 ? sizeof(s4) : sizeof(s6);
	const int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
	const bool ok = !bind(fd, s, len) && !connect(fd, d, len);
	close(fd);
	return ok;
}

static void assert_addresses_work(void)
{
	assert_true(has_addr("feth101", "10.0.0.1/24"));
	assert_true(has_addr("feth101", "fd00::1/64"));
	assert_true(usable("10.0.0.1/24", "10.0.0.9/24"));
	assert_true(usable("fd00::1/64", "fd00::9/64"));
}

static void test_addresses_survive_mtu_and_link_changes(void **state)
{
	(void)state;
	struct hostif_spec want = spec_of("lab", 101);
	add_addr(&want, "10.0.0.1/24");
	add_addr(&want, "fd00::1/64");
	struct rig r = rig_open(want);
	assert_addresses_work(); /* at once: no duplicate address detection */

	want.mtu = 1280;
	rig_change(&r, want);
	assert_addresses_work();
	want.mtu = 9000;
	rig_change(&r, want);
	assert_addresses_work();
	want.up = false;
	rig_change(&r, want);
	assert_true(has_addr("feth101", "10.0.0.1/24"));
	assert_true(has_addr("feth101", "fd00::1/64"));
	want.up = true;
	rig_change(&r, want);
	assert_addresses_work();

	/* taken away by somebody else: the same again puts them back */
	set_up("feth101", false);
	assert_false(has_addr("feth101", "fd00::1/64"));
	rig_change(&r, want);
	assert_pair(&want);
	assert_addresses_work();

	/* an MTU below 1280 and IPv6 exclude each other */
	struct hostif_spec small = want;
	small.mtu = 1000;
	assert_int_equal(veth->change(&want, &small, &err), -EINVAL);
	assert_pair(&want);
	small.n_addrs = 1;
	rig_change(&r, small);
	assert_false(has_addr("feth101", "fd00::1/64"));
	rig_change(&r, want);
	assert_addresses_work();
	rig_close(&r);
}

static void test_pair_made_down_has_its_addresses_when_it_comes_up(void **state)
{
	(void)state;
	struct hostif_spec want = spec_of("lab", 101);
	add_addr(&want, "10.0.0.1/24");
	add_addr(&want, "fd00::1/64");
	want.up = false;
	struct rig r = rig_open(want);
	assert_true(has_addr("feth101", "fd00::1/64"));
	want.up = true;
	rig_change(&r, want);
	assert_addresses_work();
	rig_close(&r);
}

static void test_addresses_change_as_a_difference(void **state)
{
	(void)state;
	struct hostif_spec want = spec_of("lab", 101);
	add_addr(&want, "10.0.0.1/24");
	add_addr(&want, "10.0.0.2/24"); /* secondary: goes with the first unless put back */
	add_addr(&want, "fd00::1/64");
	struct rig r = rig_open(want);
	struct nl nl;
	struct cidr foreign;
	const char *why;
	assert_int_equal(nl_open(&nl), 0);
	assert_true(cidr_parse(&foreign, "10.9.9.9/24", &why));
	assert_int_equal(nl_addr_add(&nl, link_of("feth101").index, &foreign), 0);
	nl_close(&nl);

	want.addrs[0] = want.addrs[1];
	want.n_addrs = 1;
	add_addr(&want, "fd00::1/48");
	add_addr(&want, "10.0.5.1/30");
	rig_change(&r, want);
	assert_false(has_addr("feth101", "10.0.0.1/24"));
	assert_true(has_addr("feth101", "10.0.0.2/24"));
	assert_false(has_addr("feth101", "fd00::1/64"));
	assert_true(has_addr("feth101", "fd00::1/48"));
	assert_true(has_addr("feth101", "10.0.5.1/30"));
	assert_true(has_addr("feth101", "10.9.9.9/24"));

	/* the broadcast address that programs ask for */
	struct ifreq ifr = { .ifr_name = "feth101" };
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(fd, SIOCGIFBRDADDR, &ifr), 0);
	const struct sockaddr_in *sin = (const void *)&ifr.ifr_broadaddr;
	assert_true(sin->sin_addr.s_addr == inet_addr("10.9.9.255") ||
		    sin->sin_addr.s_addr == inet_addr("10.0.0.255"));
	close(fd);
	rig_close(&r);
}

static void test_refused_change_changes_nothing(void **state)
{
	(void)state;
	struct hostif_spec s = spec_of("lab", 101);
	add_addr(&s, "10.0.0.1/24");
	add_addr(&s, "fd00::1/64");
	struct rig r = rig_open(s);

	/* after the MTU: the MAC is a group's */
	struct hostif_spec want = s;
	want.mtu = 9000;
	want.mac.b[0] = 1;
	assert_int_equal(veth->change(&s, &want, &err), -EADDRNOTAVAIL);
	assert_non_null(strstr(err.text, "feth101"));
	assert_pair(&s);
	assert_addresses_work();

	/* after everything: an address that cannot be */
	want = s;
	want.mtu = 1400;
	want.mac.b[5] = 0x55;
	want.up = false;
	want.n_addrs = 0;
	add_addr(&want, "10.0.7.1/24");
	want.addrs[1] = (struct cidr){ .family = 4, .prefix = 40, .addr = { 10, 0, 8, 1 } };
	want.n_addrs = 2;
	assert_int_equal(veth->change(&s, &want, &err), -EINVAL);
	assert_non_null(strstr(err.text, "10.0.8.1/40"));
	assert_pair(&s);
	assert_addresses_work();
	assert_false(has_addr("feth101", "10.0.7.1/24"));

	/* an address that was there before us stays there */
	struct nl nl;
	const char *why;
	struct cidr foreign;
	assert_true(cidr_parse(&foreign, "10.0.7.1/24", &why));
	assert_int_equal(nl_open(&nl), 0);
	assert_int_equal(nl_addr_add(&nl, link_of("feth101").index, &foreign), 0);
	nl_close(&nl);
	assert_int_equal(veth->change(&s, &want, &err), -EINVAL);
	assert_true(has_addr("feth101", "10.0.7.1/24"));
	rig_close(&r);
}

/* An XDP program on the service member limits the MTU of its peer only (linux, veth_xdp_set()), so
 * that raising both is refused halfway. */
static bool attach_xdp(const char *name)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { 0 };
	attr.prog_type = BPF_PROG_TYPE_XDP;
	attr.insns = (uint64_t)(uintptr_t)pass;
	attr.insn_cnt = 2;
	attr.license = (uint64_t)(uintptr_t) "GPL";
	const int prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (prog < 0)
		return false;

	_Alignas(struct nlmsghdr) char msg[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(msg);
	nlh->nlmsg_type = RTM_SETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)if_nametoindex(name);
	struct nlattr *xdp = mnl_attr_nest_start(nlh, IFLA_XDP);
	mnl_attr_put_u32(nlh, IFLA_XDP_FD, (uint32_t)prog);
	mnl_attr_nest_end(nlh, xdp);
	struct mnl_socket *sock = mnl_socket_open(NETLINK_ROUTE);
	mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID);
	mnl_socket_sendto(sock, nlh, nlh->nlmsg_len);
	const ssize_t n = mnl_socket_recvfrom(sock, msg, sizeof(msg));
	const int rc = mnl_cb_run(msg, (size_t)n, 0, mnl_socket_get_portid(sock), NULL, NULL);
	mnl_socket_close(sock);
	close(prog);
	return rc >= 0;
}

static void test_mtu_refused_by_one_member_changes_neither(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	if (!attach_xdp("feth5101")) {
		assert_false(is_root);
		rig_close(&r);
		skip();
	}
	struct hostif_spec want = r.spec;
	want.mtu = 9000;
	assert_int_equal(veth->change(&r.spec, &want, &err), -EINVAL);
	assert_non_null(strstr(err.text, "lab: cannot set the MTU of interface feth101"));
	assert_pair(&r.spec);
	rig_close(&r);
}

/* -- frames both ways -- */

static void test_frames_cross_byte_for_byte(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	assert_crosses(&r, FRAME("\x88\xb5", 14));
	assert_crosses(&r, FRAME("\x88\xb5", 60));
	assert_crosses(&r, FRAME("\x08\x00", 61));
	assert_crosses(&r, FRAME("\x00\x26\x42\x42\x03", 60));     /* 802.3 with LLC */
	assert_crosses(&r, FRAME("\x88\xb5", 1514));               /* full size */
	assert_crosses(&r, FRAME("\x81\x00\x60\x05\x88\xb5", 64)); /* VLAN 5, priority 3 */
	assert_crosses(&r, FRAME("\x81\x00\xe0\x00\x88\xb5", 64)); /* priority tag */
	assert_crosses(&r, FRAME("\x81\x00\x0f\xff\x08\x00", 20)); /* VLAN 4095, the least */
	assert_crosses(&r, FRAME("\x81\x00\x10\x05\x88\xb5", 64)); /* DEI */
	assert_crosses(&r, FRAME("\x88\xa8\x00\x07\x88\xb5", 64)); /* 802.1ad alone */
	assert_crosses(&r, FRAME("\x88\xa8\x00\x07\x81\x00\x00\x05\x08\x00", 68)); /* QinQ */
	assert_crosses(&r, FRAME("\x81\x00\x00\x07\x81\x00\x00\x05\x08\x00", 68)); /* its elder */
	assert_crosses(&r, FRAME("\x81\x00\x00\x05\x88\xb5", 1518)); /* full size and a tag */
	assert_crosses(&r, FRAME("\x81\x00\x00\x07\x81\x00\x00\x05\x08\x00", 1518));
	rig_close(&r);
}

static void test_jumbo_frames_cross(void **state)
{
	(void)state;
	static const uint32_t mtus[] = { 9000, 65521 };
	for (int i = 0; i < 2; i++) {
		struct hostif_spec s = spec_of("lab", 101);
		s.mtu = mtus[i];
		struct rig r = rig_open(s);
		assert_crosses(&r, FRAME("\x88\xb5", s.mtu + 14));
		assert_crosses(&r, FRAME("\x81\x00\x00\x05\x88\xb5", s.mtu + 18));
		rig_close(&r);
	}
}

static void test_raised_mtu_cuts_no_frame(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	assert_crosses(&r, FRAME("\x88\xb5", 1514)); /* recv() knows 1500 */
	struct hostif_spec want = r.spec;
	want.mtu = 9000;
	rig_change(&r, want);
	assert_crosses(&r, FRAME("\x81\x00\x00\x05\x88\xb5", 9018));

	/* by somebody else, and after a rename */
	struct nl nl;
	assert_int_equal(nl_open(&nl), 0);
	set_up("feth5101", false);
	struct ifreq ifr = { .ifr_name = "feth5101", .ifr_newname = "mine0" };
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(fd, SIOCSIFNAME, &ifr), 0);
	close(fd);
	set_up("mine0", true);
	wait_running("feth101");
	assert_int_equal(nl_link_set_mtu(&nl, link_of("mine0").index, 65521), 0);
	assert_int_equal(nl_link_set_mtu(&nl, link_of("feth101").index, 65521), 0);
	nl_close(&nl);
	assert_crosses(&r, FRAME("\x88\xb5", 65535));

	close(r.host);
	veth->close(r.hif);
	veth->remove(&r.spec); /* finds the host member; the renamed one goes with it */
	assert_true(veth->name_free("feth101"));
	assert_true(veth->name_free("mine0"));
}

static void test_scattered_frame_is_sent_whole(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	struct test_frame *f = FRAME("\x81\x00\x00\x05\x88\xb5", 1000);
	const struct seg more[] = { { f->b + 18, 1 }, { f->b + 19, 0 }, { f->b + 19, 981 } };
	const struct frame v = {
		.head = f->b, .head_len = 18, .len = 1000, .more = more, .more_n = 3
	};
	assert_int_equal(veth->send(r.hif, &v, 1), 1);
	assert_host_gets(&r, f);

	/* as many pieces as a call can have, with the header, and one more; then more than one
	 * call's worth */
	static struct seg bytes[1024];
	for (size_t i = 0; i < 986; i++)
		bytes[i] = (struct seg){ f->b + 14 + i, 1 };
	for (size_t i = 986; i < 1024; i++)
		bytes[i] = (struct seg){ f->b, 0 };
	struct frame many[3];
	many[0] = (struct frame){
		.head = f->b, .head_len = 14, .len = 1000, .more = bytes, .more_n = 1022
	};
	many[1] = many[0];
	many[1].more_n = 1023;
	many[2] = many[0];
	assert_int_equal(veth->send(r.hif, many, 3), 2);
	assert_host_gets(&r, f);
	assert_host_gets(&r, f);
	free(f);
	rig_close(&r);
}

static void test_refused_frame_does_not_stop_the_others(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	struct test_frame *good = FRAME("\x88\xb5", 60);
	struct test_frame *good_tagged = FRAME("\x81\x00\x00\x05\x88\xb5", 1518);
	struct test_frame *too_long = FRAME("\x88\xb5", 1515);
	struct test_frame *qinq = FRAME("\x88\xa8\x00\x07\x81\x00\x00\x05\x88\xb5", 1522);
	struct test_frame *stag = FRAME("\x88\xa8\x00\x07\x88\xb5", 1518);
	const struct frame batch[] = { view(too_long), view(good), view(qinq), view(stag),
		view(good_tagged), view(too_long) };

	assert_int_equal(veth->send(r.hif, batch, 6), 2);
	assert_host_gets(&r, good);
	assert_host_gets(&r, good_tagged);
	uint8_t b[64];
	assert_int_equal(host_next(r.host, b, sizeof(b), 50), 0);
	free(good);
	free(good_tagged);
	free(too_long);
	free(qinq);
	free(stag);
	rig_close(&r);
}

static void test_batches_keep_order(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	static struct frame batch[200];
	static uint8_t frames[200][60];
	struct test_frame *f = FRAME("\x88\xb5", 60);
	for (unsigned i = 0; i < 200; i++) {
		memcpy(frames[i], f->b, 60);
		frames[i][20] = (uint8_t)i;
		batch[i] = (struct frame){ .head = frames[i], .head_len = 60, .len = 60 };
	}
	assert_int_equal(veth->send(r.hif, batch, 200), 200);
	for (unsigned i = 0; i < 200; i++) {
		uint8_t b[128];
		assert_int_equal(host_next(r.host, b, sizeof(b), 1000), 60);
		assert_memory_equal(b, frames[i], 60);
	}

	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(send(r.host, frames[i], 60, 0), 60);
	unsigned got = 0, most = 0;
	while (got < 200 && readable(veth->fd(r.hif), 1000)) {
		struct frame in[HOSTIF_BATCH];
		const int n = veth->recv(r.hif, in, HOSTIF_BATCH, buf, sizeof(buf));
		assert_in_range(n, 0, HOSTIF_BATCH);
		most = (unsigned)n > most ? (unsigned)n : most;
		for (int k = 0; k < n; k++)
			if (is_test_frame(in[k].head))
				assert_memory_equal(in[k].head, frames[got++], 60);
	}
	assert_int_equal(got, 200);
	assert_int_equal(most, HOSTIF_BATCH);
	struct frame in;
	assert_int_equal(veth->recv(r.hif, &in, 1, buf, 1000), -ENOBUFS); /* no room for one */
	free(f);
	rig_close(&r);
}

/* -- the receive ring -- */

/* Sends frame @i of a flood of such: @len bytes with its number in it, @tagged with its tag. */
static void flood_send(struct rig *r, unsigned i, size_t len, bool tagged)
{
	struct test_frame *f =
		tagged ? FRAME("\x81\x00\x00\x07\x88\xb5", len) : FRAME("\x88\xb5", len);
	f->b[20] = (uint8_t)(i >> 8);
	f->b[21] = (uint8_t)i;
	assert_int_equal(send(r->host, f->b, len, 0), len);
	free(f);
}

static size_t any_length(size_t len)
{
	(void)len;
	return 0;
}

static unsigned flood_first; /* the number of the first frame that flood_read() came by */

/* Reads all that is there, whose numbers must ascend below @below. Returns how many came. @len: how
 * long the frame of a number is, or 0. */
static unsigned flood_read(struct rig *r, unsigned below, size_t (*len)(size_t i))
{
	struct frame in[HOSTIF_BATCH];
	unsigned got = 0, next = 0;
	int n;
	do {
		n = veth->recv(r->hif, in, HOSTIF_BATCH, buf, sizeof(buf));
		assert_in_range(n, 0, HOSTIF_BATCH);
		for (int k = 0; k < n; k++) {
			if (!is_test_frame(in[k].head))
				continue;
			const unsigned i = (unsigned)in[k].head[20] << 8 | in[k].head[21];
			assert_in_range(i, next, below - 1);
			const size_t want = len(i);
			assert_true(!want || in[k].len == want);
			assert_int_equal(in[k].len, in[k].head_len);
			for (uint32_t b = 22; b < in[k].len; b++)
				assert_int_equal(in[k].head[b], (uint8_t)(b * 7 + (b >> 8)));
			flood_first = got++ ? flood_first : i;
			next = i + 1;
		}
		veth->done(r->hif);
	} while (n > 0);
	return got;
}

static const size_t mixed[] = { 60, 1523, 1524, 1525, 9014, 60, 64, 1514, 9018, 9014, 1600, 2048 };
#define N_MIXED (sizeof(mixed) / sizeof(mixed[0]))

static size_t mixed_len(size_t i)
{
	return mixed[i % N_MIXED];
}

/* Those that fit a slot and those that do not, which go another way. */
static void test_long_and_short_frames_keep_order(void **state)
{
	(void)state;
	struct hostif_spec s = spec_of("lab", 101);
	s.mtu = 9000;
	struct rig r = rig_open(s);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 100; i++)
			flood_send(&r, i, mixed_len(i), mixed_len(i) == 9018 || i % 5 == 0);
		assert_int_equal(flood_read(&r, 100, mixed_len), 100);
	}
	rig_close(&r);
}

/* What nobody reads is lost, and counted; what was there is whole and in order, and then all goes
 * on as before. */
static void overrun(struct rig *r, unsigned n, size_t len)
{
	struct test_frame *f = FRAME("\x88\xb5", 60);
	flood_read(r, 1, any_length);
	(void)veth->missed(r->hif);
	for (unsigned i = 0; i < n; i++)
		flood_send(r, i, len, false);
	uint32_t lost = veth->missed(r->hif); /* while frames wait */
	const unsigned got = flood_read(r, n, any_length);
	lost += veth->missed(r->hif);
	assert_int_equal(flood_first, 0);
	assert_in_range(got, 100, n - 100);
	assert_in_range(got + lost, n, n + 32); /* the host has to say something, too */
	assert_int_equal(send(r->host, f->b, 60, 0), 60);
	assert_service_gets(r, f);
	assert_int_equal(veth->missed(r->hif), 0);
	free(f);
}

static void test_what_is_not_read_is_counted(void **state)
{
	(void)state;
	struct hostif_spec s = spec_of("lab", 101);
	s.mtu = 9000;
	struct rig r = rig_open(s);
	overrun(&r, 12000, 60);  /* the slots are full, or the queue is */
	overrun(&r, 2000, 9014); /* the queue, while there are slots */
	rig_close(&r);
}

/* Has the first full slot say that its frame is not in the queue, where it is. False: no ring. */
static bool part_from_queue(int fd)
{
	uint8_t *map = mmap(NULL, PACKET_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool done = false;
	if (map == MAP_FAILED)
		return false;
	for (unsigned i = 0; i < PACKET_RING_SLOTS && !done; i++) {
		const unsigned per = PACKET_RING_BLOCK / PACKET_RING_SLOT;
		struct tpacket2_hdr *slot = (void *)(map + (size_t)(i / per) * PACKET_RING_BLOCK +
						     (size_t)(i % per) * PACKET_RING_SLOT);
		done = slot->tp_status & TP_STATUS_COPY;
		if (done)
			slot->tp_status &= ~(uint32_t)TP_STATUS_COPY;
	}
	munmap(map, PACKET_RING_BYTES);
	return done;
}

/* A frame is left in the queue, as where the socket has news each time it is asked for one. */
static void test_slots_and_queue_get_into_step_again(void **state)
{
	(void)state;
	struct hostif_spec s = spec_of("lab", 101);
	s.mtu = 9000;
	struct rig r = rig_open(s);
	struct test_frame *f = FRAME("\x88\xb5", 9014);
	for (unsigned round = 0; round < 3; round++) {
		flood_read(&r, 1, any_length);
		(void)veth->missed(r.hif);
		for (unsigned i = 0; i < 3; i++)
			flood_send(&r, i, 9014, false);
		if (!part_from_queue(veth->fd(r.hif)))
			break; /* this kernel gets no ring */
		assert_int_equal(flood_read(&r, 3, any_length), 2);
		assert_false(readable(veth->fd(r.hif), 0));
		assert_int_equal(veth->missed(r.hif), 1);
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(send(r.host, f->b, 2000 + i, 0), 2000 + i);
		f->len = 2000 + i;
		assert_service_gets(&r, f);
	}
	free(f);
	rig_close(&r);
}

static void test_frames_outlive_their_interface(void **state)
{
	(void)state;
	struct hostif_spec s = spec_of("lab", 101);
	s.mtu = 9000;
	struct rig r = rig_open(s);
	struct test_frame *f = FRAME("\x88\xb5", 1000);
	struct frame got;
	assert_int_equal(send(r.host, f->b, f->len, 0), f->len);
	assert_true(service_next(r.hif, &got));
	flood_send(&r, 0, 9014, false); /* not in the ring, and behind the news */
	delete_link("feth101");
	assert_int_equal(got.len, f->len);
	assert_memory_equal(got.head, f->b, f->len);
	int rc = 1;
	while (rc == 1)
		rc = veth->recv(r.hif, &got, 1, buf, sizeof(buf));
	assert_int_equal(rc, -ENODEV);
	free(f);
	rig_close(&r);
}

#define TCX_INGRESS 46 /* BPF_TCX_INGRESS, Linux 6.6; the headers may be older */

/* Has all that interface @from receives received by @to instead, past what would make it fit for
 * @to. False: this kernel cannot. It lasts as long as the interface. */
static bool redirect(int from, int to)
{
	const struct bpf_insn prog[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = to },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = BPF_F_INGRESS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (uintptr_t)prog,
		.insn_cnt = sizeof(prog) / sizeof(prog[0]),
		.license = (uintptr_t) "GPL" };
	const int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	if (fd < 0)
		return false;
	union bpf_attr link = { 0 };
	link.link_create.prog_fd = (uint32_t)fd;
	link.link_create.target_ifindex = (uint32_t)from;
	link.link_create.attach_type = TCX_INGRESS;
	const int rc = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link));
	close(fd);
	return rc >= 0;
}

/* A tap whose header may say anything; up. */
static int tap_named(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0)
		return fd;
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	set_up(name, true);
	return fd;
}

/* A super-frame for which there is no word in the header of a packet socket: UDP to be cut into
 * fragments. */
static void write_unspeakable(int tap)
{
	uint8_t b[10 + 14 + 3000] = { 1, 3, 42, 0, 0xc8, 5, 34, 0, 6, 0 }; /* csum, UFO, 1480 */
	static const uint8_t head[] = { 2, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0, 0x45, 0, 0x0b,
		0xb8, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 7, 0x0b, 0xa4, 0,
		0 };
	memcpy(b + 10, head, sizeof(head));
	assert_int_equal(write(tap, b, sizeof(b)), sizeof(b));
}

/* Such a frame leaves a slot of the ring locked, and the kernel drops all that come behind it. */
static void test_ring_that_is_stuck_is_left(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	struct test_frame *f = FRAME("\x88\xb5", 60);
	const int tap = tap_named("tap0");
	if (tap < 0 || !redirect(link_of("tap0").index, link_of("feth5101").index)) {
		close(tap);
		free(f);
		rig_close(&r);
		skip();
	}
	flood_read(&r, 1, any_length);
	(void)veth->missed(r.hif);
	write_unspeakable(tap);
	flood_send(&r, 0, 60, false);
	assert_int_equal(flood_read(&r, 1, any_length), 0);
	assert_in_range(veth->missed(r.hif), 2, 34);
	assert_crosses(&r, f);
	close(tap);
	rig_close(&r);
}

/* While frames come fast another descriptor says when to read on, and then the first again. */
static void test_frames_gather(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	struct frame in[HOSTIF_BATCH];
	flood_read(&r, 1, any_length);
	assert_int_equal(veth->gathers(r.hif), -1);
	for (unsigned i = 0; i < 100; i++)
		flood_send(&r, i, 60, false);
	assert_int_equal(veth->recv(r.hif, in, HOSTIF_BATCH, buf, sizeof(buf)), HOSTIF_BATCH);
	const int gap = veth->gathers(r.hif);
	assert_true(gap >= 0 && gap != veth->fd(r.hif));
	unsigned got = HOSTIF_BATCH;
	for (int n = 1; n > 0;) {
		veth->done(r.hif);
		assert_true(readable(gap, 1000));
		n = veth->recv(r.hif, in, HOSTIF_BATCH, buf, sizeof(buf));
		assert_in_range(n, 0, HOSTIF_BATCH);
		got += (unsigned)n;
		assert_int_equal(veth->gathers(r.hif), n >= 4 ? gap : -1);
	}
	assert_in_range(got, 100, 110);
	veth->done(r.hif);
	assert_false(readable(veth->fd(r.hif), 0));
	flood_send(&r, 0, 60, false);
	assert_true(readable(veth->fd(r.hif), 1000));
	rig_close(&r);
}

static void test_without_a_ring(void **state)
{
	setenv("FETHD_RING", "off", 1);
	test_frames_cross_byte_for_byte(state);
	test_raised_mtu_cuts_no_frame(state);
	test_batches_keep_order(state);
	test_long_and_short_frames_keep_order(state);
	test_what_is_not_read_is_counted(state);
	struct rig r = rig_open(spec_of("lab", 101));
	for (unsigned i = 0; i < 100; i++)
		flood_send(&r, i, 60, false);
	assert_int_equal(flood_read(&r, 100, any_length), 100);
	assert_int_equal(veth->gathers(r.hif), -1);
	rig_close(&r);
	unsetenv("FETHD_RING");
}

static void test_no_frame_of_another_interface_slips_in(void **state)
{
	(void)state;
	/* a second pair that is talked through all the while */
	struct rig other = rig_open(spec_of("noise", 102));
	struct test_frame *f = FRAME("\x88\xb5", 60);
	const struct frame v = view(f);
	const pid_t child = fork();
	if (!child)
		for (;;) {
			(void)veth->send(other.hif, &v, 1);
			(void)send(other.host, f->b, f->len, 0);
		}
	for (unsigned i = 0; i < 30; i++) {
		struct rig r = rig_open(spec_of("lab", 101));
		struct frame in[HOSTIF_BATCH];
		const int n = veth->recv(r.hif, in, HOSTIF_BATCH, buf, sizeof(buf));
		for (int k = 0; k < n; k++)
			assert_false(is_test_frame(in[k].head));
		rig_close(&r);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	free(f);
	rig_close(&other);
}

/* -- offloads -- */

static uint32_t ethtool_value(const char *name, uint32_t command)
{
	struct ethtool_value value = { .cmd = command };
	struct ifreq ifr = { .ifr_data = (void *)&value };
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
	return value.data;
}

static int tcp_listen(const char *addr)
{
	const struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(5001), .sin_addr.s_addr = inet_addr(addr)
	};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* Returns how many of the frames are super-frames. */
static unsigned relay(struct hostif *from, struct hostif *to, uint32_t mtu)
{
	struct frame frames[HOSTIF_BATCH];
	unsigned super = 0;
	const int n = veth->recv(from, frames, HOSTIF_BATCH, buf, sizeof(buf));
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		assert_true(offload_valid(&frames[i], mtu));
		assert_true(frame_fits(&frames[i], mtu));
		assert_int_equal(offload_needs(&frames[i]) & ~veth->offload(to), 0);
		super += frames[i].offload.gso_type != 0;
	}
	assert_int_equal(veth->send(to, frames, (unsigned)n), n);
	return super;
}

/* A connection between two namespaces, through two pairs and us, like a guest's: as super-frames,
 * and where there is no header to say so, as whole frames with their checksums. */
static void test_tcp_gets_through(void **state)
{
	(void)state;
	static const uint32_t mtus[] = { 1500, 9000, 1500 };
	for (int i = 0; i < 3; i++) {
		const bool plain = i == 2;
		unsigned super = 0;
		setenv("FETHD_OFFLOAD", plain ? "off" : "on", 1);
		struct hostif_spec s1 = spec_of("lab", 101), s2 = spec_of("lab", 102);
		s1.mtu = s2.mtu = mtus[i];
		add_addr(&s1, "10.0.0.1/24");
		add_addr(&s2, "10.0.0.2/24");
		assert_int_equal(setup(NULL), 0);
		const int home = open("/proc/self/ns/net", O_RDONLY);
		struct rig one = rig_open(s1);
		assert_int_equal(veth->offload(one.hif) & OFFLOAD_TSO4, plain ? 0 : OFFLOAD_TSO4);
		assert_int_equal(ethtool_value("feth101", ETHTOOL_GTXCSUM), !plain);
		assert_int_equal(ethtool_value("feth101", ETHTOOL_GTSO), !plain);
		assert_int_equal(ethtool_value("feth5101", ETHTOOL_GGRO), 0);
		const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_int_equal(setup(NULL), 0);
		struct rig two = rig_open(s2);
		const int listener = tcp_listen("10.0.0.2");

		const struct sockaddr_in to = { .sin_family = AF_INET,
			.sin_port = htons(5001),
			.sin_addr.s_addr = inet_addr("10.0.0.2") };
		const size_t total = 8u << 20;
		size_t sent = 0, got = 0;
		int server = -1;
		static uint8_t data[65536], in[65536];
		(void)connect(client, (const struct sockaddr *)&to, sizeof(to));
		const int64_t end = now_ms() + 15000;
		while (got < total && now_ms() < end) {
			struct pollfd p[] = { { veth->fd(one.hif), POLLIN, 0 },
				{ veth->fd(two.hif), POLLIN, 0 } };
			poll(p, 2, 1);
			super += relay(one.hif, two.hif, mtus[i]);
			super += relay(two.hif, one.hif, mtus[i]);
			if (server < 0)
				server = accept(listener, NULL, NULL);
			for (size_t k = 0; k < sizeof(data); k++)
				data[k] = (uint8_t)((sent + k) % 251);
			size_t want = total - sent < sizeof(data) ? total - sent : sizeof(data);
			ssize_t n = sent < total ? send(client, data, want, MSG_NOSIGNAL) : 0;
			sent += n > 0 ? (size_t)n : 0;
			while (server >= 0 && (n = recv(server, in, sizeof(in), MSG_DONTWAIT)) > 0)
				for (ssize_t k = 0; k < n; k++)
					assert_int_equal(in[k], got++ % 251);
		}
		assert_int_equal(got, total);
		assert_true(plain ? !super : super > 0);
		close(server);
		close(listener);
		close(client);
		rig_close(&two);
		assert_int_equal(setns(home, CLONE_NEWNET), 0);
		close(home);
		rig_close(&one);
	}
	unsetenv("FETHD_OFFLOAD");
}

/* -- silence -- */

/* Counts what comes out of the service member for @ms; prints the beginning of each. */
static unsigned count_noise(int host, int ms)
{
	unsigned n = 0;
	const int64_t end = now_ms() + ms;
	for (int64_t left = ms; left > 0; left = end - now_ms()) {
		if (!readable(host, (int)left))
			break;
		uint8_t b[128];
		const ssize_t len = recv(host, b, sizeof(b), 0);
		if (len < 14)
			continue;
		n++;
		fprintf(stderr, "  noise:");
		for (int i = 0; i < 60 && i < len; i++)
			fprintf(stderr, "%s%02x", i == 6 || i == 12 || i == 14 ? " " : "", b[i]);
		fprintf(stderr, "\n");
	}
	return n;
}

static void udp(const char *to, const char *from_if)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(9) };
	const bool v4 = inet_pton(AF_INET, to, &a4.sin_addr) == 1;
	const int on = 1;
	if (!v4)
		assert_int_equal(inet_pton(AF_INET6, to, &a6.sin6_addr), 1);
	a6.sin6_scope_id = if_nametoindex(from_if);
	const int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	(void)sendto(fd, "x", 1, 0, v4 ? (void *)&a4 : (void *)&a6, v4 ? sizeof(a4) : sizeof(a6));
	close(fd);
}

/* Frames that a network stack would answer, as if they came from the host: who has our addresses,
 * who is in which group. */
static void provoke(int host)
{
	static const struct {
		size_t len;
		const char *bytes;
	} frames[] = {
		/* ARP: who has 10.0.0.1, tell 10.0.0.9 */
		{ 42, "\xff\xff\xff\xff\xff\xff\x02\x07\x07\x07\x07\x07\x08\x06\x00\x01\x08\x00"
		      "\x06\x04\x00\x01\x02\x07\x07\x07\x07\x07\x0a\x00\x00\x09\x00\x00\x00\x00"
		      "\x00\x00\x0a\x00\x00\x01" },
		/* ARP to the service member itself, 02:00:00:00:65:02 */
		{ 42, "\x02\x00\x00\x00\x65\x02\x02\x07\x07\x07\x07\x07\x08\x06\x00\x01\x08\x00"
		      "\x06\x04\x00\x01\x02\x07\x07\x07\x07\x07\x0a\x00\x00\x09\x00\x00\x00\x00"
		      "\x00\x00\x0a\x00\x00\x01" },
		/* IGMPv2 general query, 10.0.0.9 to 224.0.0.1, max 1 s */
		{ 46, "\x01\x00\x5e\x00\x00\x01\x02\x07\x07\x07\x07\x07\x08\x00\x46\x00\x00\x20"
		      "\x00\x00\x00\x00\x01\x02\x3a\xce\x0a\x00\x00\x09\xe0\x00\x00\x01\x94\x04"
		      "\x00\x00\x11\x0a\xee\xf5\x00\x00\x00\x00" },
		/* MLD general query, fe80::9 to ff02::1, max 1 s */
		{ 86, "\x33\x33\x00\x00\x00\x01\x02\x07\x07\x07\x07\x07\x86\xdd\x60\x00\x00\x00"
		      "\x00\x20\x00\x01\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		      "\x00\x09\xff\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
		      "\x3a\x00\x05\x02\x00\x00\x00\x00\x82\x00\x7c\x37\x03\xe8\x00\x00\x00\x00"
		      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" },
	};
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		assert_int_equal(send(host, frames[i].bytes, frames[i].len, 0), frames[i].len);
}

static void test_service_member_is_silent(void **state)
{
	(void)state;
	struct hostif_spec s = spec_of("lab", 101);
	add_addr(&s, "10.0.0.1/24");
	add_addr(&s, "fd00::1/64");
	struct rig r = rig_open(s);

	unsigned noise = 0;
	for (int i = 0; i < SILENCE_S; i++) {
		provoke(r.host);
		udp("10.0.0.2", "feth101"); /* asks by ARP, which nobody answers */
		udp("10.0.0.255", "feth101");
		udp("fd00::2", "feth101");
		udp("ff02::1", "feth101");
		noise += count_noise(r.host, 1000);
	}
	assert_int_equal(noise, 0);

	/* the questions did arrive at our side */
	struct frame in[HOSTIF_BATCH];
	unsigned arp = 0;
	for (int n; (n = veth->recv(r.hif, in, HOSTIF_BATCH, buf, sizeof(buf))) > 0;)
		for (int i = 0; i < n; i++)
			arp += frame_type(&in[i]) == 0x0806;
	assert_true(arp >= 2 * SILENCE_S);

	/* nor does it wake up where the kernel makes its IPv6 anew */
	struct hostif_spec want = s;
	want.n_addrs = 1;
	want.mtu = 1000;
	rig_change(&r, want);
	rig_change(&r, s);
	assert_int_equal(count_noise(r.host, 3000), 0);
	rig_close(&r);
}

static void test_programs_cannot_speak_through_the_service_member(void **state)
{
	(void)state;
	struct hostif_spec s = spec_of("lab", 101);
	add_addr(&s, "10.0.0.1/24");
	struct rig r = rig_open(s);
	struct nl nl;
	assert_int_equal(nl_open(&nl), 0);
	const int sealed = nl_link_seal(&nl, link_of("feth5101").index);
	nl_close(&nl);
	assert_int_not_equal(sealed, 0); /* the kernel can, so it should have been */
	if (sealed != -EEXIST) {         /* this kernel has no clsact or no cls_bpf */
		fprintf(stderr, "SKIPPED: not sealed: %s\n", strerror(-sealed));
		rig_close(&r);
		skip();
	}

	/* out: joining groups there, as mDNS daemons do, and raw frames, as DHCP clients do */
	const int index = (int)if_nametoindex("feth5101");
	const int fd4 = socket(AF_INET, SOCK_DGRAM, 0);
	const struct ip_mreqn m4 = { .imr_multiaddr.s_addr = inet_addr("224.0.0.251"),
		.imr_ifindex = index };
	assert_int_equal(setsockopt(fd4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m4, sizeof(m4)), 0);
	udp("ff02::1", "feth5101");
	const int raw = packet_on("feth5101");
	struct test_frame *f = FRAME("\x88\xb5", 60);
	(void)send(raw, f->b, f->len, 0);
	assert_int_equal(count_noise(r.host, 1500), 0);

	/* in: a broadcast that comes to the host member from a bridge, from elsewhere; the stack of
	 * the service member would hand it to whoever listens. UDP 10.0.0.77:7 to 10.0.0.255:5000
	 */
	static const char bytes[] =
		"\xff\xff\xff\xff\xff\xff\x02\x07\x07\x07\x07\x07\x08\x00\x45\x00\x00\x1d\x00\x00"
		"\x00\x00"
		"\x40\x11\x65\x85\x0a\x00\x00\x4d\x0a\x00\x00\xff\x00\x07\x13\x88\x00\x09\x00\x00x";
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(5000) };
	const int udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(udp_fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(send(r.host, bytes, sizeof(bytes) - 1, 0), sizeof(bytes) - 1);
	assert_false(readable(udp_fd, 200));

	/* while the other way around it does get to the host: the frame is a good one */
	const struct frame v = { .head = (const uint8_t *)bytes,
		.head_len = sizeof(bytes) - 1,
		.len = sizeof(bytes) - 1 };
	assert_int_equal(veth->send(r.hif, &v, 1), 1);
	assert_true(readable(udp_fd, 1000));
	close(fd4);
	close(raw);
	close(udp_fd);
	free(f);
	rig_close(&r);
}

/* -- things that happen to us -- */

static bool has_event(const struct hostif_event *ev, int n, const char *name, bool gone)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(ev[i].name, name) && ev[i].gone == gone)
			return true;
	return false;
}

static void test_pair_deleted_under_us_is_noticed(void **state)
{
	(void)state;
	const int watch = veth->watch_open(&err);
	assert_true(watch >= 0);
	assert_int_equal(fcntl(watch, F_GETFD), FD_CLOEXEC);
	struct hostif_event ev[64];
	assert_int_equal(veth->watch_read(watch, ev, 64), 0);

	struct rig r = rig_open(spec_of("lab", 101));
	int n = veth->watch_read(watch, ev, 64);
	assert_true(has_event(ev, n, "feth101", false));
	assert_true(has_event(ev, n, "feth5101", false));
	assert_false(has_event(ev, n, "feth5101", true));

	/* what already waits is no excuse */
	delete_link("feth101");
	assert_true(readable(veth->fd(r.hif), 1000));
	struct frame f;
	assert_int_equal(veth->recv(r.hif, &f, 1, buf, sizeof(buf)), -ENODEV);
	assert_int_equal(veth->recv(r.hif, &f, 1, buf, sizeof(buf)), -ENODEV);
	struct test_frame *t = FRAME("\x88\xb5", 60);
	const struct frame batch[] = { view(t), view(t) };
	assert_int_equal(veth->send(r.hif, batch, 2), 0);
	n = veth->watch_read(watch, ev, 64);
	assert_true(has_event(ev, n, "feth101", true));
	assert_true(has_event(ev, n, "feth5101", true));
	struct hostif_spec want = r.spec;
	want.mtu = 2000;
	assert_int_equal(veth->change(&r.spec, &want, &err), -ENODEV);
	rig_close(&r);

	/* and it can be made anew */
	struct rig again = rig_open(spec_of("lab", 101));
	assert_crosses(&again, FRAME("\x88\xb5", 60));
	rig_close(&again);
	free(t);
	close(watch);
}

static void test_lost_news_are_reported(void **state)
{
	(void)state;
	const int watch = veth->watch_open(&err);
	const int small = 1;
	setsockopt(watch, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	struct hostif_event ev[4];
	for (int i = 0; i < 20; i++) {
		make_foreign("other0", "other1");
		delete_link("other0");
	}
	int n;
	bool lost = false;
	while ((n = veth->watch_read(watch, ev, 4)) != 0) {
		assert_true(n == -ENOBUFS || (n > 0 && n <= 4));
		lost |= n == -ENOBUFS;
	}
	assert_true(lost);
	close(watch);
}

static void test_service_member_taken_down_and_up(void **state)
{
	(void)state;
	struct rig r = rig_open(spec_of("lab", 101));
	struct frame f;
	set_up("feth5101", false);
	assert_int_equal(veth->recv(r.hif, &f, 1, buf, sizeof(buf)), -ENETDOWN);
	struct test_frame *t = FRAME("\x88\xb5", 60);
	const struct frame batch[] = { view(t), view(t) };
	assert_int_equal(veth->send(r.hif, batch, 2), 0);
	rig_change(&r, r.spec); /* puts it right */
	wait_running("feth101");
	assert_crosses(&r, FRAME("\x88\xb5", 60));

	/* down and up again before anybody looked: no error, and no frame lost for it */
	set_up("feth5101", false);
	set_up("feth5101", true);
	assert_int_equal(veth->send(r.hif, batch, 2), 2);
	set_up("feth5101", false);
	set_up("feth5101", true);
	assert_true(veth->recv(r.hif, &f, 1, buf, sizeof(buf)) >= 0);
	assert_host_gets(&r, t);
	assert_host_gets(&r, t);

	/* the host member down: frames are lost, and that is said */
	set_up("feth101", false);
	assert_int_equal(veth->send(r.hif, batch, 2), 0);
	free(t);
	rig_close(&r);
}

static void test_table_finds_backends_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(hostif_find("veth"), veth);
	assert_ptr_equal(hostif_find("none"), &hostif_none);
	assert_ptr_equal(hostif_find("fake"), &hostif_fake);
	assert_null(hostif_find("feth"));
	assert_ptr_equal(hostif_backends[0], veth);
	assert_false(hostif_none.has_host);
}

int main(void)
{
	is_root = unshare(CLONE_NEWNET) == 0;
	if (!is_root && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		fprintf(stderr, "SKIPPED: test_veth needs root or user namespaces: %s\n",
			strerror(errno));
		return 77;
	}
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_pair_is_made_as_specified_and_removed_without_a_trace),
		TEST(test_taken_name_is_left_alone),
		TEST(test_pair_of_another_daemon_is_foreign),
		TEST(test_own_pair_is_replaced),
		TEST(test_make_is_all_or_nothing),
		TEST(test_without_privilege_says_what_is_needed),
		TEST(test_sweep_removes_only_ours),
		TEST(test_mtu_rises_and_falls_on_both_members),
		TEST(test_link_state_and_macs_change),
		TEST(test_addresses_survive_mtu_and_link_changes),
		TEST(test_pair_made_down_has_its_addresses_when_it_comes_up),
		TEST(test_addresses_change_as_a_difference),
		TEST(test_refused_change_changes_nothing),
		TEST(test_mtu_refused_by_one_member_changes_neither),
		TEST(test_frames_cross_byte_for_byte),
		TEST(test_jumbo_frames_cross),
		TEST(test_raised_mtu_cuts_no_frame),
		TEST(test_scattered_frame_is_sent_whole),
		TEST(test_refused_frame_does_not_stop_the_others),
		TEST(test_batches_keep_order),
		TEST(test_long_and_short_frames_keep_order),
		TEST(test_what_is_not_read_is_counted),
		TEST(test_slots_and_queue_get_into_step_again),
		TEST(test_frames_outlive_their_interface),
		TEST(test_ring_that_is_stuck_is_left),
		TEST(test_frames_gather),
		TEST(test_without_a_ring),
		TEST(test_no_frame_of_another_interface_slips_in),
		TEST(test_tcp_gets_through),
		TEST(test_service_member_is_silent),
		TEST(test_programs_cannot_speak_through_the_service_member),
		TEST(test_pair_deleted_under_us_is_noticed),
		TEST(test_lost_news_are_reported),
		TEST(test_service_member_taken_down_and_up),
		TEST(test_table_finds_backends_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
