/* fakesysctl_darwin.c - see fakesysctl_darwin.h. XNU if_fake.c. */
#include "server/hostif/fakesysctl_darwin.h"

#include <stddef.h>

#include "server/base/log.h"
#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"

#define MAX_MTU "net.link.fake.max_mtu"
#define RESTORE_TRIES 3u

static const struct fake_fault must[] = {
	{ "net.link.fake.hwcsum", 0, 0, "leaves checksums undone" },
	{ "net.link.fake.tso_support", 0, 0, "makes frames of up to 64 KiB" },
	{ "net.link.fake.lro", 0, 0, "joins frames" },
	{ "net.link.fake.fcs", 0, 0, "puts four bytes behind every frame" },
	{ "net.link.fake.trailer_length", 0, 0, "puts a trailer behind every frame" },
	{ "net.link.fake.separate_frame_header", 0, 0, "parts headers from their frames" },
	{ "net.link.fake.bsd_mode", 0, 1, "takes frames another way than the one we know" },
};

static int get(const char *name, int *out)
{
	size_t len = sizeof(*out);
	const int rc = darwin_sys.sysctlbyname(name, out, &len, NULL, 0);
	return rc < 0 ? rc : len == sizeof(*out) ? 0 : -DW_EINVAL;
}

static int set(const char *name, int value)
{
	return darwin_sys.sysctlbyname(name, NULL, NULL, &value, sizeof(value));
}

/* A setting that this release does not have cannot be wrong. */
int fake_check(struct fake_fault *out)
{
	for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
		int value = must[i].wanted;
		const int rc = get(must[i].name, &value);
		if (rc == -DW_ENOENT || (!rc && value == must[i].wanted))
			continue;
		*out = must[i];
		out->value = value;
		return rc < 0 ? rc : 1;
	}
	return 0;
}

/* macOS up to 10.14 has no such setting, and the limit is what it can be anyway. Many of these
 * handlers report success whatever came of it, so what counts is what can be read back. */
void fake_raise(struct fake_limit *out)
{
	int now;
	*out = (struct fake_limit){ 0 };
	if (get(MAX_MTU, &out->was) < 0 || out->was >= (int)DW_FETH_MTU_MAX)
		return;
	if (set(MAX_MTU, (int)DW_FETH_MTU_MAX) < 0)
		return;
	out->raised = get(MAX_MTU, &now) < 0 || now != out->was;
}

/* If somebody gave it another value meanwhile, then that is the one they want. */
void fake_restore(struct fake_limit *limit)
{
	int rc = 0, now;
	for (unsigned tries = 0; limit->raised && tries < RESTORE_TRIES; tries++) {
		if (!get(MAX_MTU, &now) && now != (int)DW_FETH_MTU_MAX)
			limit->raised = false;
		else
			rc = set(MAX_MTU, limit->was);
	}
	if (limit->raised && !get(MAX_MTU, &now) && now == (int)DW_FETH_MTU_MAX)
		log_warn("feth", "not restored %s=%d: error %d; sudo sysctl %s=%d", MAX_MTU,
			limit->was, -rc, MAX_MTU, limit->was);
	limit->raised = false;
}
