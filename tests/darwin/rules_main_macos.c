/* rules_main_macos.c - the rules against the kernel of this Mac. See rules.h; tests/macos/verify.sh
 * runs it.
 *
 * As root. It makes interfaces of the units 31000 to 32767, and refuses to start where there is one
 * already; with --all also the lowest free ones, for a moment. It takes away all it makes after
 * each test, and puts net.link.fake.max_mtu back. */
#include "tests/darwin/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysctl.h>
#include <sys/wait.h>
#include <unistd.h>

_Static_assert(DW_POLLIN == POLLIN && DW_POLLOUT == POLLOUT && DW_POLLNVAL == POLLNVAL, "poll");
_Static_assert(DW_EVFILT_READ == EVFILT_READ && DW_EVFILT_WRITE == EVFILT_WRITE, "kevent");

#define USER 501 /* the first that macOS gives to a person; need not exist */
#define HOST_MAX 32u
#define MAX_MTU "net.link.fake.max_mtu"

static volatile sig_atomic_t pipes, stop;
static int saved_max_mtu = -1; /* -1: there is no such sysctl */

/* What the tests' stand-ins for the host's stack keep open, until a test ends. */
static struct {
	struct {
		char ifname[DW_IFNAMSIZ];
		int fd;
	} raw[HOST_MAX];
	unsigned n_raw;
	int udp;     /* listening, -1: none */
	int join[2]; /* memberships live as long as their socket: IPv4's, IPv6's; -1: none */
} host = { .udp = -1, .join = { -1, -1 } };

static int result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

/* -- calls -- */

static int sys_getsockopt(int fd, int level, int option, void *value, size_t *len)
{
	socklen_t size = (socklen_t)*len;
	int rc = getsockopt(fd, level, option, value, &size);
	*len = size;
	return result(rc);
}

static int sys_shutdown(int fd, int how)
{
	return result(shutdown(fd, how));
}

static int sys_socketpair(int domain, int type, int out[2])
{
	return result(socketpair(domain, type, 0, out));
}

static long sys_sendto(int fd, const void *buf, size_t size, const void *addr, size_t addr_len)
{
	return result(sendto(fd, buf, size, 0, addr, (socklen_t)addr_len));
}

static void on_signal(int number)
{
	if (number == SIGPIPE)
		pipes = 1;
	else
		stop = 1;
}

static bool sys_sigpipe(void)
{
	bool came = pipes;
	pipes = 0;
	return came;
}

static int sys_poll(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = (short)events };
	int rc = poll(&p, 1, 0);
	return rc < 0 ? -errno : p.revents;
}

static int sys_select(int fd, bool write)
{
	fd_set set;
	struct timeval none = { 0, 0 };
	if (fd >= FD_SETSIZE)
		return -EINVAL;
	FD_ZERO(&set);
	FD_SET(fd, &set);
	return result(select(fd + 1, write ? NULL : &set, write ? &set : NULL, NULL, &none));
}

static int sys_kqueue(void)
{
	return result(kqueue());
}

static int change(int kq, int fd, int filter, uint16_t flags)
{
	struct kevent ev;
	EV_SET(&ev, (uintptr_t)fd, (int16_t)filter, flags, 0, 0, NULL);
	return result(kevent(kq, &ev, 1, NULL, 0, NULL));
}

static int sys_kevent_add(int kq, int fd, int filter)
{
	return change(kq, fd, filter, EV_ADD);
}

static int sys_kevent_delete(int kq, int fd, int filter)
{
	return change(kq, fd, filter, EV_DELETE);
}

static int sys_kevent(int kq, int fd, int filter)
{
	struct kevent ev[8];
	struct timespec none = { 0, 0 };
	int n = kevent(kq, NULL, 0, ev, 8, &none);
	for (int i = 0; i < n; i++)
		if (ev[i].ident == (uintptr_t)fd && ev[i].filter == filter)
			return 1;
	return n < 0 ? -errno : 0;
}

static void sys_as_user(bool user)
{
	if (seteuid(user ? USER : 0) < 0)
		rules_fail(__FILE__, __LINE__, "seteuid: %s", strerror(errno));
}

static void sys_in_process(void (*fn)(void *), void *arg)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		rules_fail(__FILE__, __LINE__, "fork: %s", strerror(errno));
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	expect_eq(status, 0);
}

/* Only a kernel panic would tell. */
static bool sys_aborts(void (*fn)(void *), void *arg)
{
	(void)fn;
	(void)arg;
	return false;
}

static bool sys_bpf_for_root(void)
{
	struct stat st;
	return stat("/dev/bpf0", &st) == 0 && st.st_uid == 0 && !(st.st_mode & 077);
}

/* -- the host's stack -- */

/* An AF_NDRV socket on the interface: what it writes leaves there as the stack's frames do. It must
 * not change the interface: bind() brings it up (rule 19), so it is put back. */
static int raw_socket(const char *ifname)
{
	struct dw_sockaddr_ndrv addr;
	for (unsigned i = 0; i < host.n_raw; i++)
		if (strcmp(host.raw[i].ifname, ifname) == 0)
			return host.raw[i].fd;
	long flags = if_flags(ifname);
	if (flags < 0)
		return (int)flags;
	if (host.n_raw == HOST_MAX)
		return -DW_EMFILE;
	int fd = darwin_sys.socket(DW_AF_NDRV, DW_SOCK_RAW, 0);
	if (fd < 0)
		return fd;
	ndrv_addr(&addr, ifname);
	int rc = darwin_sys.bind(fd, &addr, sizeof(addr));
	if (rc == 0)
		rc = darwin_sys.connect(fd, &addr, sizeof(addr));
	if (rc == 0)
		rc = darwin_sys.setsockopt(fd, DW_SOL_SOCKET, DW_SO_SNDBUF, (int)FRAME_MAX);
	if (rc == 0)
		rc = if_set_flags(ifname, (uint32_t)flags);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	host.raw[host.n_raw].fd = fd;
	snprintf(host.raw[host.n_raw++].ifname, DW_IFNAMSIZ, "%s", ifname);
	return fd;
}

static int sys_host_output(const char *ifname, const void *frame, size_t len)
{
	int fd = raw_socket(ifname);
	if (fd < 0)
		return fd;
	long n = darwin_sys.write(fd, frame, len);
	return n < 0 ? (int)n : 0;
}

static int udp_socket(const char *ifname, const uint8_t addr[4], uint16_t port)
{
	int one = 1;
	unsigned index = if_nametoindex(ifname);
	struct sockaddr_in sin = {
		.sin_len = sizeof(sin), .sin_family = AF_INET, .sin_port = htons(port)
	};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return -errno;
	if (addr)
		memcpy(&sin.sin_addr, addr, 4);
	if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) == 0 &&
		setsockopt(fd, IPPROTO_IP, IP_BOUND_IF, &index, sizeof(index)) == 0 &&
		bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	int error = errno;
	close(fd);
	return -error;
}

static int sys_host_udp_send(const char *ifname, const uint8_t from[4], const uint8_t to[4],
	uint16_t port, const void *payload, size_t len)
{
	struct sockaddr_in sin = {
		.sin_len = sizeof(sin), .sin_family = AF_INET, .sin_port = htons(port)
	};
	int fd = udp_socket(ifname, from, port);
	if (fd < 0)
		return fd;
	memcpy(&sin.sin_addr, to, 4);
	long n = sendto(fd, payload, len, 0, (struct sockaddr *)&sin, sizeof(sin));
	int rc = n < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int sys_host_udp_listen(const char *ifname, uint16_t port)
{
	if (host.udp >= 0)
		close(host.udp);
	host.udp = udp_socket(ifname, NULL, port);
	return host.udp < 0 ? host.udp : 0;
}

static size_t sys_host_udp_recv(const char *ifname, uint16_t port, void *payload, size_t size)
{
	(void)ifname;
	(void)port;
	if (host.udp < 0)
		return 0;
	ssize_t n = recv(host.udp, payload, size, MSG_DONTWAIT);
	return n > 0 ? (size_t)n : 0;
}

static int sys_host_join(const char *ifname, int family, const void *group, bool join)
{
	bool v6 = family == DW_AF_INET6;
	unsigned index = if_nametoindex(ifname);
	if (host.join[v6] < 0) {
		host.join[v6] = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
		if (host.join[v6] < 0)
			return -errno;
	}
	if (v6) {
		struct ipv6_mreq req = { .ipv6mr_interface = index };
		memcpy(&req.ipv6mr_multiaddr, group, 16);
		return result(setsockopt(host.join[1], IPPROTO_IPV6,
			join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &req, sizeof(req)));
	}
	struct ip_mreqn req = { .imr_ifindex = (int)index };
	memcpy(&req.imr_multiaddr, group, 4);
	return result(setsockopt(host.join[0], IPPROTO_IP,
		join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &req, sizeof(req)));
}

const struct rules_sys rules_sys = {
	.getsockopt = sys_getsockopt,
	.shutdown = sys_shutdown,
	.socketpair = sys_socketpair,
	.sendto = sys_sendto,
	.sigpipe = sys_sigpipe,
	.poll = sys_poll,
	.select = sys_select,
	.kqueue = sys_kqueue,
	.kevent_add = sys_kevent_add,
	.kevent_delete = sys_kevent_delete,
	.kevent = sys_kevent,
	.as_user = sys_as_user,
	.in_process = sys_in_process,
	.aborts = sys_aborts,
	.bpf_for_root = sys_bpf_for_root,
	.host_output = sys_host_output,
	.host_udp_send = sys_host_udp_send,
	.host_udp_listen = sys_host_udp_listen,
	.host_udp_recv = sys_host_udp_recv,
	.host_join = sys_host_join,
};

/* -- around each test -- */

static void end(void)
{
	int now;
	(void)seteuid(0);
	for (unsigned i = 0; i < 2; i++) {
		if (host.join[i] >= 0)
			close(host.join[i]);
		host.join[i] = -1;
	}
	if (host.udp >= 0)
		close(host.udp);
	host.udp = -1;
	while (host.n_raw > 0)
		close(host.raw[--host.n_raw].fd);
	rules_clean();
	if (saved_max_mtu > 0 && sysctl_int(MAX_MTU, &now) == 0 && now != saved_max_mtu)
		(void)sysctl_set_int(MAX_MTU, saved_max_mtu);
	if (stop) {
		puts("stopped; everything made has been taken away");
		exit(130);
	}
}

/* Darwin 18 is macOS 10.14, 19 is 10.15, 20 is 11, and so on to 24, which is 15. 25 is 26. */
static bool find_release(enum sim_profile *out, char text[64])
{
	size_t len = 64;
	int major = 0, minor = 0;
	if (sysctlbyname("kern.osrelease", text, &len, NULL, 0) < 0)
		return false;
	if (sscanf(text, "%d.%d", &major, &minor) != 2 || major < 18)
		return false;
	if (major == 18)
		*out = SIM_10_14;
	else if (major <= 21)
		*out = SIM_12;
	else if (major == 22)
		*out = SIM_13;
	else if (major == 23)
		*out = minor == 0 ? SIM_14_0 : SIM_14_1;
	else
		*out = SIM_15;
	return true;
}

/* Ours to use are feth31000 to feth32767. */
static bool units_free(void)
{
	struct ifaddrs *list;
	bool all_free = true;
	if (getifaddrs(&list) < 0)
		return false;
	for (struct ifaddrs *i = list; i && all_free; i = i->ifa_next) {
		if (strncmp(i->ifa_name, "feth", 4) != 0)
			continue;
		unsigned long unit = strtoul(i->ifa_name + 4, NULL, 10);
		if (unit >= 31000 && unit <= 32767) {
			fprintf(stderr,
				"darwin_rules: %s exists already. If an earlier run has left it, "
				"remove it: sudo ifconfig %s destroy\n",
				i->ifa_name, i->ifa_name);
			all_free = false;
		}
	}
	freeifaddrs(list);
	return all_free;
}

int main(int argc, char **argv)
{
	struct rules_options options;
	const char *name;
	char release[64];
	enum sim_profile profile;
	if (!rules_options(&options, &name, argc, argv) || name) {
		fputs("usage: darwin_rules [--rule NUMBER] [--all]\n", stderr);
		return 2;
	}
	if (geteuid() != 0) {
		fputs("darwin_rules: making interfaces takes root: run it with sudo\n", stderr);
		return 2;
	}
	if (!find_release(&profile, release)) {
		fputs("darwin_rules: this is no macOS of 10.14 or later\n", stderr);
		return 2;
	}
	if (!units_free())
		return 2;
	if (sysctl_int(MAX_MTU, &saved_max_mtu) < 0)
		saved_max_mtu = -1;

	struct sigaction action = { .sa_handler = on_signal };
	sigemptyset(&action.sa_mask);
	const int signals[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP };
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	printf("Darwin %s, held to the rules of macOS %s\n", release, rules_release(profile));
	(void)rules_run(profile, &options, NULL, end);
	return rules_sum(&options);
}
