/* process_linux.c - processes, by /proc. See keeper.h, tool.h. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/priv/keeper.h"
#include "server/priv/tool.h"

int keeper_program(char *out, size_t size)
{
	snprintf(out, size, "/proc/self/exe"); /* also where the file itself was replaced */
	return 0;
}

const char *tool_where(const char *name)
{
	if (!strcmp(name, "dnsmasq"))
		return "install the package dnsmasq-base (Debian, Ubuntu) or dnsmasq";
	if (!strcmp(name, "ovs-vsctl"))
		return "install the package openvswitch-switch (Debian, Ubuntu) or openvswitch";
	return "install the package nftables";
}

/* Arguments are texts, each with its end, of which the last may be cut off. */
static bool has_argument(const char *args, size_t len, const char *argument)
{
	const size_t want = strlen(argument) + 1;
	for (const char *p = args; (size_t)(args + len - p) >= want;) {
		if (!memcmp(p, argument, want))
			return true;
		const char *end = memchr(p, '\0', (size_t)(args + len - p));
		if (!end)
			return false;
		p = end + 1;
	}
	return false;
}

static bool runs_with(const char *pid, const char *argument)
{
	char path[300], args[4096];
	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	const ssize_t n = read(fd, args, sizeof(args));
	close(fd);
	return n > 0 && has_argument(args, (size_t)n, argument);
}

/* A descriptor of the process is readable once it has closed its own, sockets included
 * (kernel/exit.c: do_exit()). Before Linux 5.3 there is none, and nothing to wait for. */
static bool end(pid_t pid)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	const bool killed = !kill(pid, SIGKILL);
	if (p.fd >= 0) {
		if (killed)
			(void)poll(&p, 1, PROCESS_END_MS);
		close(p.fd);
	}
	return killed;
}

unsigned process_kill_by_argument(const char *argument)
{
	DIR *dir = opendir("/proc");
	unsigned n = 0;
	const struct dirent *e;
	while (dir && (e = readdir(dir))) {
		const long pid =
			isdigit((unsigned char)e->d_name[0]) ? strtol(e->d_name, NULL, 10) : 0;
		if (pid > 1 && pid != getpid() && runs_with(e->d_name, argument))
			n += end((pid_t)pid);
	}
	if (dir)
		closedir(dir);
	return n;
}
