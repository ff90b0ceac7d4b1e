/* sim_sysctl.c - what is asked for by name: net.link.fake.*, as far as feth in BSD mode and the
 * look at it go, and the release. */
#include "tests/darwin/sim_priv.h"

#include <string.h>

#define FETH_TRAILER_MAX 28
#define BUFLET_MIN 512
#define BUFLET_MAX (32 * 1024)

static const struct sim_fake_sysctl defaults = { .txstart = 1,
	.vlan_tagging = 1,
	.bsd_mode = 1,
	.max_mtu = (int)DW_FETH_MTU_DEFAULT,
	.buflet_size = BUFLET_MIN };

void sim_fake_init(struct sim_fake_sysctl *fake)
{
	*fake = defaults;
}

/* The handlers of if_fake.c. What a handler says of sysctl_io_number()'s own errors does not count:
 * those of these three end in "return 0". */
static bool max_mtu_ok(const struct sim_fake_sysctl *fake, int value)
{
	unsigned v = (unsigned)value;

	return v <= DW_FETH_MTU_MAX && v >= 1500 && v > (unsigned)fake->buflet_size;
}

static bool buflet_ok(const struct sim_fake_sysctl *fake, int value)
{
	unsigned v = (unsigned)value;

	return v <= BUFLET_MAX && v >= BUFLET_MIN && (v & (v - 1)) == 0 &&
	       v < (unsigned)fake->max_mtu;
}

static bool trailer_ok(const struct sim_fake_sysctl *fake, int value)
{
	(void)fake;
	return (unsigned)value <= FETH_TRAILER_MAX;
}

#define FAKE(field, first, ok)                                                                     \
	{                                                                                          \
		"net.link.fake." #field, offsetof(struct sim_fake_sysctl, field), first, ok        \
	}

static const struct {
	const char *name;
	size_t at;
	enum sim_profile
		first; /* that has it: read from the SYSCTL_* of each release's if_fake.c */
	bool (*ok)(const struct sim_fake_sysctl *fake, int value);
} names[] = {
	FAKE(txstart, SIM_10_14, NULL),
	FAKE(hwcsum, SIM_10_14, NULL),
	FAKE(nxattach, SIM_10_14, NULL),
	FAKE(bsd_mode, SIM_10_14, NULL),
	FAKE(debug, SIM_10_14, NULL),
	FAKE(fcs, SIM_12, NULL),
	FAKE(trailer_length, SIM_12, trailer_ok),
	FAKE(max_mtu, SIM_12, max_mtu_ok),
	FAKE(buflet_size, SIM_12, buflet_ok),
	FAKE(tso_support, SIM_13, NULL),
	FAKE(lro, SIM_14_0, NULL),
	FAKE(vlan_tagging, SIM_15, NULL),
	FAKE(separate_frame_header, SIM_15, NULL),
};

/* kern.osrelease of each: the first two digits are what programs look at */
static const char *const osrelease[SIM_PROFILES] = { "18.7.0", "21.6.0", "22.6.0", "23.0.0",
	"23.1.0", "24.4.0" };

/* kern_newsysctl.c:sysctl_old_user(): without a buffer the size, with too small a one nothing. */
static int give(const void *value, size_t size, void *old, size_t *old_len)
{
	if (!old_len)
		return 0;
	size_t room = *old_len;
	*old_len = size;
	if (!old)
		return 0;
	if (room < size) {
		*old_len = 0;
		return -DW_ENOMEM;
	}
	memcpy(old, value, size);
	return 0;
}

int sim_sysctlbyname(struct sim_proc *p, const char *name, void *old, size_t *old_len,
	const void *new, size_t new_len)
{
	struct sim *sim = p->sim;

	sim_settle(sim);
	if (new) {
		int rc = sim_told_to_fail(sim, "sysctlbyname");
		if (rc)
			return rc;
	}
	if (strcmp(name, "kern.osrelease") == 0) {
		const char *release = osrelease[sim->profile];
		if (new)
			return -DW_EPERM; /* CTLFLAG_RD */
		return give(release, strlen(release) + 1, old, old_len);
	}

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, name) != 0 || sim->profile < names[i].first)
			continue;
		/* kern_newsysctl.c:sysctl_root(): root before the handler */
		if (new && p->euid != 0)
			return -DW_EPERM;
		int *value = (int *)((char *)&sim->fake + names[i].at);
		int wanted = 0, rc = give(value, sizeof(*value), old, old_len);
		if (!new || rc)
			return rc;
		if (new_len != sizeof(wanted)) {
			/* sysctl_io_number() says EINVAL, the handler says 0 */
			return names[i].ok ? 0 : -DW_EINVAL;
		}
		memcpy(&wanted, new, sizeof(wanted));
		if (names[i].ok && wanted != *value && !names[i].ok(&sim->fake, wanted))
			return -DW_EINVAL;
		*value = wanted;
		return 0;
	}
	return -DW_ENOENT;
}

int sim_sysctl(struct sim_proc *p, const int *mib, unsigned n, void *old, size_t *old_len)
{
	sim_settle(p->sim);
	/* Only where a test asks for it by this name: reading needs no privilege. What can happen
	 * is ENOBUFS, where the list grows between rtsock.c:sysctl_iflist2()'s two passes. */
	if (strcmp(p->sim->knobs.fail_call, "sysctl") == 0) {
		int rc = sim_told_to_fail(p->sim, "sysctl");
		if (rc)
			return rc;
	}
	if (n < 2 || mib[0] != DW_CTL_NET || mib[1] != DW_AF_ROUTE)
		return -DW_ENOENT;
	/* rtsock.c:sysctl_rtsock(): {CTL_NET, PF_ROUTE, 0, family, what, argument} */
	if (n != 6 || mib[4] != DW_NET_RT_IFLIST2 || !old_len)
		return -DW_EINVAL;
	return sim_iflist2(p->sim, mib[3], mib[5], old, old_len);
}
