/* rules_main_sim.c - the rules against the simulated kernel: a fresh machine for each test, all
 * releases or one. See rules.h. */
#include "tests/darwin/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	struct sim *sim;
	struct sim_proc *root, *user, *now;
} machine;

static void machine_new(enum sim_profile profile)
{
	machine.sim = sim_new(profile);
	machine.root = machine.sim ? sim_proc_new(machine.sim, 0) : NULL;
	machine.user = machine.sim ? sim_proc_new(machine.sim, 501) : NULL;
	if (!machine.root || !machine.user) {
		fputs("darwin_rules: out of memory\n", stderr);
		exit(2);
	}
	machine.now = machine.root;
	sim_become(machine.now);
}

static void machine_free(void)
{
	sim_proc_exit(machine.user);
	sim_proc_exit(machine.root);
	sim_free(machine.sim);
	memset(&machine, 0, sizeof(machine));
}

static int sys_getsockopt(int fd, int level, int option, void *value, size_t *len)
{
	return sim_getsockopt(machine.now, fd, level, option, value, len);
}

static int sys_shutdown(int fd, int how)
{
	return sim_shutdown(machine.now, fd, how);
}

static int sys_socketpair(int domain, int type, int out[2])
{
	return sim_socketpair(machine.now, domain, type, out);
}

static long sys_sendto(int fd, const void *buf, size_t size, const void *addr, size_t addr_len)
{
	return sim_sendto(machine.now, fd, buf, size, addr, addr_len);
}

static bool sys_sigpipe(void)
{
	return sim_sigpipe(machine.now);
}

static int sys_poll(int fd, int events)
{
	return sim_poll(machine.now, fd, events);
}

static int sys_select(int fd, bool write)
{
	return sim_select(machine.now, fd, write);
}

static int sys_kqueue(void)
{
	return sim_kqueue(machine.now);
}

static int sys_kevent_add(int kq, int fd, int filter)
{
	return sim_kevent_add(machine.now, kq, fd, filter);
}

static int sys_kevent_delete(int kq, int fd, int filter)
{
	return sim_kevent_delete(machine.now, kq, fd, filter);
}

static int sys_kevent(int kq, int fd, int filter)
{
	return sim_kevent(machine.now, kq, fd, filter);
}

static void become(struct sim_proc *p)
{
	machine.now = p;
	sim_become(p);
}

static void sys_as_user(bool user)
{
	become(user ? machine.user : machine.root);
}

static void sys_in_process(void (*fn)(void *), void *arg)
{
	struct sim_proc *p = sim_proc_new(machine.sim, 0);
	expect(p != NULL);
	become(p);
	fn(arg);
	become(machine.root);
	sim_proc_exit(p);
}

/* The simulation is one piece of memory, so a child has the whole machine for itself. */
static bool sys_aborts(void (*fn)(void *), void *arg)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		rules_fail(__FILE__, __LINE__, "no second process");
	if (pid == 0) {
		(void)!freopen("/dev/null", "w", stderr); /* it says why it panics */
		fn(arg);
		_exit(0);
	}
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFSIGNALED(status) && WTERMSIG(status) == 6; /* SIGABRT */
}

static bool sys_bpf_for_root(void)
{
	return !sim_knobs(machine.sim)->bpf_group_only;
}

static int sys_host_output(const char *ifname, const void *frame, size_t len)
{
	return sim_host_output(machine.sim, ifname, frame, len);
}

/* What the stack would put together for a broadcast datagram. */
static int sys_host_udp_send(const char *ifname, const uint8_t from[4], const uint8_t to[4],
	uint16_t port, const void *payload, size_t len)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t frame[1514];
	if (len > sizeof(frame) - 42)
		return -DW_EMSGSIZE;
	size_t n = frame_udp(frame, broadcast, from, to, port, payload, len);
	return sim_host_output(machine.sim, ifname, frame, n);
}

/* Whatever has come until now was for nobody. */
static int sys_host_udp_listen(const char *ifname, uint16_t port)
{
	uint8_t frame[2048];
	(void)port;
	while (sim_host_input(machine.sim, ifname, frame, sizeof(frame)) > 0)
		;
	return 0;
}

static size_t sys_host_udp_recv(const char *ifname, uint16_t port, void *payload, size_t size)
{
	static uint8_t frame[FRAME_MAX];
	size_t n;
	while ((n = sim_host_input(machine.sim, ifname, frame, sizeof(frame))) > 0) {
		if (n < 42 || frame[12] != 0x08 || frame[13] != 0 || frame[23] != 17)
			continue;
		if (((unsigned)frame[36] << 8 | frame[37]) != port)
			continue;
		size_t len = ((size_t)frame[38] << 8 | frame[39]) - 8;
		if (len > n - 42 || len > size)
			continue;
		memcpy(payload, frame + 42, len);
		return len;
	}
	return 0;
}

static int sys_host_join(const char *ifname, int family, const void *group, bool join)
{
	return sim_host_join(machine.sim, ifname, family, group, join);
}

static struct sim_knobs *sys_knobs(void)
{
	return sim_knobs(machine.sim);
}

static void sys_run(void)
{
	sim_run(machine.sim);
}

static void sys_foreign_interface(const char *name, uint8_t type)
{
	sim_host_interface(machine.sim, name, type);
}

const struct rules_sys rules_sys = {
	.simulated = true,
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
	.knobs = sys_knobs,
	.run = sys_run,
	.foreign_interface = sys_foreign_interface,
};

int main(int argc, char **argv)
{
	struct rules_options options;
	const char *name;
	enum sim_profile one = SIM_10_14;
	if (!rules_options(&options, &name, argc, argv) ||
		(name && !sim_profile_find(&one, name))) {
		fputs("usage: darwin_rules [--profile RELEASE] [--rule NUMBER] [--all]\n"
		      "RELEASE is one of 10.14 12 13 14.0 14.1 15; all of them when left out\n",
			stderr);
		return 2;
	}
	for (unsigned p = 0; p < SIM_PROFILES; p++)
		if (!name || p == (unsigned)one)
			(void)rules_run((enum sim_profile)p, &options, machine_new, machine_free);
	return rules_sum(&options);
}
