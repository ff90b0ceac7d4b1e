/* inject_macos.c - bench_inject on the Mac it runs on. */
#include <stdio.h>

#include "tests/bench/inject_lab.h"

const bool machine_simulated = false;

static int32_t max_mtu; /* as it was; 0 where there is no such setting */

static int32_t read_max_mtu(void)
{
	int32_t value;
	return lab_sysctl_int("net.link.fake.max_mtu", &value) ? value : 0;
}

int machine_start(const char *profile, char *text, size_t size)
{
	char release[32], model[64], cpu[96];
	if (profile)
		return -1;
	max_mtu = read_max_mtu();
	lab_sysctl_text("kern.osproductversion", release, sizeof(release));
	lab_sysctl_text("hw.model", model, sizeof(model));
	lab_sysctl_text("machdep.cpu.brand_string", cpu, sizeof(cpu));
	snprintf(text, size, "macOS %s, %s, %s", release, model, cpu);
	return 0;
}

/* lab_close() says which interface stays. */
bool machine_clean(void)
{
	return read_max_mtu() == max_mtu;
}
