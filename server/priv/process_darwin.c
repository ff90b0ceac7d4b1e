/* process_darwin.c - processes, by sysctl(3). See keeper.h, tool.h. */
#include <errno.h>
#include <mach-o/dyld.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "server/priv/keeper.h"
#include "server/priv/tool.h"

int keeper_program(char *out, size_t size)
{
	uint32_t n = (uint32_t)size;
	return _NSGetExecutablePath(out, &n) ? -ENAMETOOLONG : 0;
}

const char *tool_where(const char *name)
{
	return strcmp(name, "dnsmasq") ? "it is a part of macOS, /sbin/pfctl"
				       : "brew install dnsmasq";
}

/* KERN_PROCARGS2: how many arguments, the program's path, zeros, and the arguments, each with its
 * end (bsd/kern/kern_sysctl.c: sysctl_procargsx()). */
static bool runs_with(int pid, char *buf, size_t size, const char *argument)
{
	int name[] = { CTL_KERN, KERN_PROCARGS2, pid };
	const size_t want = strlen(argument) + 1;
	if (sysctl(name, 3, buf, &size, NULL, 0) < 0 || size < sizeof(int))
		return false;
	for (size_t at = sizeof(int); at + want <= size; at++)
		if (!buf[at - 1] && !memcmp(buf + at, argument, want))
			return true;
	return false;
}

/* Nobody but launchd is the parent of such a process, and it does not keep the dead. */
static bool end(pid_t pid)
{
	const bool killed = !kill(pid, SIGKILL);
	for (unsigned ms = 0; killed && ms < PROCESS_END_MS && !kill(pid, 0); ms++)
		usleep(1000);
	return killed;
}

unsigned process_kill_by_argument(const char *argument)
{
	int name[] = { CTL_KERN, KERN_PROC, KERN_PROC_ALL };
	const size_t room = 64u * 1024; /* enough for the arguments of any server of ours */
	size_t size = 0;
	unsigned n = 0;
	if (sysctl(name, 3, NULL, &size, NULL, 0) < 0)
		return 0;
	struct kinfo_proc *all = malloc(size);
	char *args = malloc(room);
	if (all && args && sysctl(name, 3, all, &size, NULL, 0) == 0) {
		for (size_t i = 0; i < size / sizeof(*all); i++) {
			const int pid = all[i].kp_proc.p_pid;
			if (pid > 1 && pid != getpid() && runs_with(pid, args, room, argument))
				n += end(pid);
		}
	}
	free(all);
	free(args);
	return n;
}
