/* cmd_enter.c - enter: a program in the namespaces where a network's host side lives.
 *
 * The daemon hands over its user namespace (if it made one, --rootless) and its network namespace.
 * In a user namespace of the daemon's we have all capabilities until exec(), which takes them from
 * everybody but uid 0; as ambient ones they stay, so that `ip` and `ping` work (capabilities(7)).
 */
#include "clients/ctl/exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Makes all permitted capabilities inheritable and ambient. Return: 0 or -errno */
static int keep_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	if (syscall(SYS_capget, &head, caps) < 0)
		return -errno;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		caps[i].inheritable = caps[i].permitted;
	if (syscall(SYS_capset, &head, caps) < 0)
		return -errno;
	for (unsigned cap = 0; cap < 32 * _LINUX_CAPABILITY_U32S_3; cap++) {
		if (!(caps[cap / 32].permitted >> (cap % 32) & 1))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

static int join_namespaces(const int *fds, unsigned n)
{
	const bool user = n == 2;
	if (n != 1 && n != 2)
		return -EPROTO;
	if (user && setns(fds[0], CLONE_NEWUSER) < 0)
		return -errno;
	if (setns(fds[n - 1], CLONE_NEWNET) < 0)
		return -errno;
	return user && geteuid() != 0 ? keep_capabilities() : 0;
}
#else
static int join_namespaces(const int *fds, unsigned n)
{
	(void)fds;
	(void)n;
	return -ENOSYS;
}
#endif

int cmd_enter(struct ctl *ctl, const struct args *args)
{
	struct rpc_out params;
	struct ctl_result spaces;
	const char *network = args_operand_name(args, 0, "network");
	if (!network)
		return CTL_FAILED;
	if (ctl_connect(ctl, NULL))
		return CTL_FAILED;
	ctl_params(&params, network);
	if (ctl_call(ctl, "network.enter", &params, "enter network", network, &spaces))
		return CTL_FAILED;

	const int rc = join_namespaces(spaces.fds, spaces.n_fds);
	for (unsigned i = 0; i < spaces.n_fds; i++)
		close(spaces.fds[i]);
	if (rc < 0)
		return ctl_fail("cannot enter network %s: %s%s", network, strerror(-rc),
			rc == -EPERM ? " (use root, or the daemon's own user)" : "");
	if (setenv("FETH_NET", network, 1) < 0)
		return ctl_fail("out of memory");

	const char *shell = getenv("SHELL");
	char *const own_shell[] = { (char *)(uintptr_t)(shell && *shell ? shell : "/bin/sh"),
		NULL };
	return exec_command(args->command ? args->command : own_shell);
}
