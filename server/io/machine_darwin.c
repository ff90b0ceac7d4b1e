/* machine_darwin.c - see machine.h. */
#include "server/io/machine.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/sysctl.h>
#include <sys/syslimits.h>
#include <time.h>
#include <unistd.h>

const struct machine machine = {
	.root_run_dir = "/var/run/fethd",
	.root_config = "/etc/fethd",
	.user_variable = "HOME",
	.user_suffix = "/.fethd",
	.id_source = "gethostuuid(2)",
	.privilege = "root; run fethd as root (sudo fethd)",
	.make_group = "sudo dseditgroup -o create makes one",
};

void machine_id(char out[MACHINE_ID])
{
	const struct timespec wait = { .tv_sec = 1 }; /* it may have to be looked up */
	uuid_t id;
	out[0] = '\0';
	if (gethostuuid(id, &wait) < 0)
		return;
	for (unsigned i = 0; i < sizeof(id); i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
}

/* The highest limit is RLIM_INFINITY by default, which is no possible soft one: setrlimit(2) says
 * EINVAL. What the kernel really grants is kern.maxfilesperproc. */
void machine_raise_descriptors(void)
{
	struct rlimit limit;
	int most = 0;
	size_t size = sizeof(most);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (sysctlbyname("kern.maxfilesperproc", &most, &size, NULL, 0) < 0 || most <= 0)
		most = OPEN_MAX;
	limit.rlim_cur = limit.rlim_max < (rlim_t)most ? limit.rlim_max : (rlim_t)most;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
