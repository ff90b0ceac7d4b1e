/* machine_linux.c - see machine.h. */
#include "server/io/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

const struct machine machine = {
	.root_run_dir = "/run/fethd",
	.root_config = "/etc/fethd",
	.user_variable = "XDG_RUNTIME_DIR",
	.user_suffix = "/fethd",
	.id_source = "/etc/machine-id",
	.privilege = "root or CAP_NET_ADMIN; run fethd as root, or as yourself with --rootless",
	.make_group = "groupadd makes one",
};

void machine_id(char out[MACHINE_ID])
{
	out[0] = '\0';
	FILE *f = fopen(machine.id_source, "re");
	if (f && !fgets(out, MACHINE_ID, f))
		out[0] = '\0';
	if (f)
		fclose(f);
	out[strcspn(out, "\n")] = '\0';
}

void machine_raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
