/* rootless_linux.c - the verbs that are about privilege itself. See verbs.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/core/netid.h"
#include "server/priv/verbs.h"

static bool rootless;

static int write_proc(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	const int rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* user_namespaces(7): one user and one group, mapped to themselves; setgroups must be denied first.
 */
static int map_ids(uid_t uid, gid_t gid)
{
	char text[64];
	snprintf(text, sizeof(text), "%u %u 1\n", (unsigned)uid, (unsigned)uid);
	int rc = write_proc("/proc/self/uid_map", text);
	if (!rc)
		rc = write_proc("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1\n", (unsigned)gid, (unsigned)gid);
	if (!rc)
		rc = write_proc("/proc/self/gid_map", text);
	return rc;
}

/* Lets what we start, dnsmasq and nft, have the capabilities that we have in here: exec() takes
 * them from everybody but uid 0, unless they are ambient (capabilities(7)). */
static void share_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	if (syscall(SYS_capget, &head, caps) < 0)
		return;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		caps[i].inheritable = caps[i].permitted;
	if (syscall(SYS_capset, &head, caps) < 0)
		return;
	static const unsigned long needed[] = { CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE };
	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, needed[i], 0, 0);
}

static void loopback_up(void)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	if (fd < 0)
		return;
	(void)ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
}

/* Makes and removes a pair of a unit that no network gets. */
static int try_pair(struct err *err)
{
	struct hostif_spec spec = {
		.network = "probe",
		.tag = "fethd:probe",
		.mac = { { 2, 0, 0, 0, 0, 1 } },
		.service_mac = { { 2, 0, 0, 0, 0, 2 } },
		.mtu = 1500,
	};
	struct hostif_made made;
	netid_names(NETID_UNIT_MIN - 1, spec.host, spec.service);
	const int rc = verb_pair_make("veth", &spec, &made, err);
	if (rc < 0)
		return rc;
	close(made.rx_fd);
	if (made.tx_fd != made.rx_fd)
		close(made.tx_fd);
	verb_pair_remove("veth", &spec);
	return 0;
}

int verb_rootless(struct err *err)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	int rc = unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 ? -errno : map_ids(uid, gid);
	if (rc < 0)
		return err_set(err, rc,
			"--rootless: cannot make a user namespace: %s; on Ubuntu 24.04 and later "
			"allow it with sysctl kernel.apparmor_restrict_unprivileged_userns=0, "
			"elsewhere see sysctl user.max_user_namespaces",
			strerror(-rc));
	rootless = true;
	share_capabilities();
	loopback_up();
	struct err why = { 0 };
	rc = try_pair(&why);
	if (rc < 0)
		return err_set(err, rc,
			"--rootless: the namespace cannot make interfaces (%.200s); on Ubuntu "
			"24.04 and later set sysctl kernel.apparmor_restrict_unprivileged_userns=0",
			why.text);
	return 0;
}

bool verb_is_rootless(void)
{
	return rootless;
}

int verb_namespaces(bool user, int out_fds[2], uint8_t *out_n, struct err *err)
{
	static const char *const paths[] = { "/proc/self/ns/user", "/proc/self/ns/net" };
	uint8_t n = 0;
	for (unsigned i = user ? 0 : 1; i < 2; i++) {
		out_fds[n] = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (out_fds[n] < 0) {
			const int rc = -errno;
			while (n)
				close(out_fds[--n]);
			return err_set(err, rc, "cannot open %s: %s", paths[i], strerror(-rc));
		}
		n++;
	}
	*out_n = n;
	return 0;
}
