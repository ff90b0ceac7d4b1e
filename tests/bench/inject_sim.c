/* inject_sim.c - bench_inject on the simulated Darwin kernel (tests/darwin). */
#include <stdio.h>
#include <string.h>

#include "tests/bench/inject_lab.h"
#include "tests/darwin/sim.h"

#define INTERFACES_MAX 64u

const bool machine_simulated = true;

static struct sim *sim;
static int32_t max_mtu; /* as it was; 0 where there is no such setting */

int machine_start(const char *profile, char *text, size_t size)
{
	enum sim_profile p;
	if (!sim_profile_find(&p, profile ? profile : "15"))
		return -1;
	sim = sim_new(p);
	struct sim_proc *proc = sim ? sim_proc_new(sim, 0) : NULL;
	if (!proc)
		return -1;
	sim_become(proc);
	if (!lab_sysctl_int("net.link.fake.max_mtu", &max_mtu))
		max_mtu = 0;
	snprintf(text, size, "simulated macOS %s", sim_profile_name(p));
	return 0;
}

bool machine_clean(void)
{
	static struct sim_if_info ifs[INTERFACES_MAX];
	const unsigned n = sim_interfaces(sim, ifs, INTERFACES_MAX);
	bool clean = n <= INTERFACES_MAX;
	for (unsigned i = 0; clean && i < n; i++)
		clean = strncmp(ifs[i].name, "feth", 4) != 0;
	int32_t now;
	if (!lab_sysctl_int("net.link.fake.max_mtu", &now))
		now = 0;
	clean = clean && now == max_mtu;
	sim_free(sim);
	return clean;
}
