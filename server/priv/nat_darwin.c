/* nat_darwin.c - the verbs of NAT, by pfctl(8) and net.inet.ip.forwarding. See verbs.h.
 *
 * The rules of a network are an anchor below com.apple, which macOS' own /etc/pf.conf evaluates, so
 * that nobody has to edit it. pf is enabled by a token, and disabled again when nobody else holds
 * one (pfctl -E, -X). RUN/nat.state remembers the token and what the switch was, for this boot. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "server/core/nat.h"
#include "server/priv/tool.h"
#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

#define STATE_FILE "nat.state"
#define ANCHORS "com.apple"
#define FORWARDING "net.inet.ip.forwarding"

static void this_boot(char out[64])
{
	size_t size = 64;
	if (sysctlbyname("kern.bootsessionuuid", out, &size, NULL, 0) < 0)
		out[0] = '\0';
	out[63] = '\0';
}

int verb_nat_available(struct err *err)
{
	char path[PATH_MAX];
	return tool_find("pfctl", path)
		       ? err_set(err, -EOPNOTSUPP, "nat: there is no pfctl here; %s",
				 tool_where("pfctl"))
		       : 0;
}

/* pfctl with up to five arguments. */
static int pfctl(
	const char *const args[5], const char *input, char *said, size_t size, struct err *err)
{
	char path[PATH_MAX];
	int rc = verb_nat_available(err);
	if (rc < 0)
		return rc;
	(void)tool_find("pfctl", path);
	const char *const argv[] = { path, args[0], args[1], args[2], args[3], args[4], NULL };
	return tool_run(argv, input, said, size, err);
}

/* The interface of the default route; as `route -n get default` has it, "  interface: en0". */
static int outside(char out[HOSTIF_NAME], struct err *err)
{
	char path[PATH_MAX], said[2048];
	const char *const argv[] = { path, "-n", "get", "default", NULL };
	if (tool_find("route", path) || tool_run(argv, NULL, said, sizeof(said), NULL))
		said[0] = '\0';
	const char *name = strstr(said, "interface: ");
	if (!name)
		return err_set(err, -EIO,
			"nat: this machine has no default route to let anything out by; connect "
			"it, then try again");
	name += strlen("interface: ");
	snprintf(out, HOSTIF_NAME, "%.*s", (int)strcspn(name, "\n \t"), name);
	return 0;
}

static int forwarding_on(struct err *err)
{
	char path[2 * PATH_TEXT], boot[64], said[1024], text[256];
	int rc = verbs_path(path, NULL, STATE_FILE, err);
	if (rc < 0 || !access(path, F_OK))
		return rc;
	const char *const enable[5] = { "-E" };
	int was = 0;
	size_t size = sizeof(was);
	if (sysctlbyname(FORWARDING, &was, &size, NULL, 0) < 0)
		return err_set(err, -EIO, "nat: cannot read " FORWARDING ": %s", strerror(errno));
	rc = pfctl(enable, NULL, said, sizeof(said), err);
	if (rc < 0)
		return rc;
	const char *token = strstr(said, "Token : ");
	this_boot(boot);
	snprintf(text, sizeof(text), "%s\n%d %.*s\n", boot, was,
		token ? (int)strspn(token + 8, "0123456789") : 0, token ? token + 8 : "");
	rc = verb_write(path, text, err);
	const int on = 1;
	if (!rc && sysctlbyname(FORWARDING, NULL, NULL, (void *)(uintptr_t)&on, sizeof(on)) < 0)
		rc = err_set(
			err, -errno, "nat: cannot switch " FORWARDING " on: %s", strerror(errno));
	return rc;
}

static void forwarding_back(void)
{
	char path[2 * PATH_TEXT], boot[64], line[128], token[32], said[256];
	int was = 0;
	if (verbs_path(path, NULL, STATE_FILE, NULL) < 0)
		return;
	FILE *f = fopen(path, "re");
	this_boot(boot);
	bool valid = f && fgets(line, sizeof(line), f);
	if (valid) {
		line[strcspn(line, "\n")] = '\0';
		valid = !strcmp(line, boot) && fgets(line, sizeof(line), f);
	}
	if (valid) {
		char *end;
		was = (int)strtol(line, &end, 10);
		snprintf(token, sizeof(token), "%.*s",
			(int)strspn(end + (*end == ' '), "0123456789"), end + (*end == ' '));
		if (!was)
			(void)sysctlbyname(FORWARDING, NULL, NULL, &was, sizeof(was));
		const char *const release[5] = { "-X", token };
		if (token[0])
			(void)pfctl(release, NULL, said, sizeof(said), NULL);
	}
	if (f)
		fclose(f);
	(void)verb_write(path, NULL, NULL);
}

int verb_nat_set(const struct hostif_spec *spec, struct err *err)
{
	char name[NAT_NAME], anchor[NAT_NAME + 16], text[NAT_TEXT], said[1024], uplink[HOSTIF_NAME];
	if (!verbs_name_ours(spec->host) || !name_valid(spec->network))
		return err_set(err, -EINVAL, "%s is no interface of ours", spec->host);
	int rc = outside(uplink, err);
	if (!rc)
		rc = forwarding_on(err);
	if (rc < 0)
		return rc;
	nat_name(name, verbs_run_dir(), spec->network);
	snprintf(anchor, sizeof(anchor), ANCHORS "/%s", name);
	nat_pf(text, spec, uplink);
	const char *const args[5] = { "-a", anchor, "-f", "-" };
	return pfctl(args, text, said, sizeof(said), err);
}

static int remove_anchor(const char *name, struct err *err)
{
	char anchor[NAT_NAME + 16], said[1024];
	snprintf(anchor, sizeof(anchor), ANCHORS "/%s", name);
	const char *const args[5] = { "-a", anchor, "-F", "nat" };
	return pfctl(args, NULL, said, sizeof(said), err);
}

int verb_nat_clear(const char *network, bool last, struct err *err)
{
	char name[NAT_NAME];
	int rc = 0;
	if (network) {
		nat_name(name, verbs_run_dir(), network);
		rc = remove_anchor(name, err);
	}
	if (last)
		forwarding_back();
	return rc;
}

int verb_nat_sweep(void)
{
	char path[2 * PATH_TEXT], prefix[NAT_NAME], name[NAT_NAME], list[16384];
	if (verbs_path(path, NULL, STATE_FILE, NULL) < 0 || access(path, F_OK) < 0)
		return 0;
	const char *const args[5] = { "-a", ANCHORS, "-s", "Anchors" };
	int n = 0;
	nat_prefix(prefix, verbs_run_dir());
	if (!pfctl(args, NULL, list, sizeof(list), NULL))
		for (const char *p = list; nat_find(&p, prefix, name);)
			n += remove_anchor(name, NULL) == 0;
	forwarding_back();
	return n;
}
