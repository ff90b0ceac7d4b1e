/* tap_linux.c - the interfaces of ports of kind tap, in whatever network namespace: see verbs.h.
 *
 * An interface for another namespace is made here and moved there. Made there, its descriptor would
 * keep the namespace alive after the last process and the last name of it are gone (linux, tun.c:
 * the socket behind it holds its namespace), and nobody would ever know.
 *
 * What must be done in the other namespace is done by a thread that lives for the purpose: if it
 * could not come back it would not have to, and no other thread is ever anywhere else than at home.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "server/hostif/netlink_linux.h"
#include "server/hostif/tapdev_linux.h"
#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

/* Its name until it is moved; the system finds the number. */
#define MOVING "fethtap%d"

static int failed(
	const struct tap_spec *spec, int rc, const char *why, const char *what, struct err *err)
{
	const char *in = spec->place.netns;
	if (rc == -EPERM)
		return err_set(err, rc,
			"%s: port %s: cannot %s interface %s%s%s: needs root or CAP_NET_ADMIN%s",
			spec->network, spec->port, what, spec->place.ifname, in[0] ? " in " : "",
			in, in[0] ? " there" : "");
	return err_set(err, rc == -EACCES ? -EIO : rc,
		"%s: port %s: cannot %s interface %s%s%s: %s%s%s", spec->network, spec->port, what,
		spec->place.ifname, in[0] ? " in " : "", in, strerror(-rc), why[0] ? ": " : "",
		why);
}

/* "fethd:<run dir>:<network>:<port>", for people and for verb_tap_mtu(). */
static void tag_of(const struct tap_spec *spec, char out[HOSTIF_TAG])
{
	snprintf(out, HOSTIF_TAG, "fethd:%s:%s:%s", verbs_run_dir(), spec->network, spec->port);
}

/* -- elsewhere -- */

struct job {
	int (*fn)(const struct tap_spec *spec, struct err *err);
	const struct tap_spec *spec;
	struct err *err;
	int netns;
	int rc; /* out */
};

static void *elsewhere(void *arg)
{
	struct job *job = arg;
	job->rc = setns(job->netns, CLONE_NEWNET) < 0
			  ? failed(job->spec, -errno, "", "enter the namespace for", job->err)
			  : job->fn(job->spec, job->err);
	return NULL;
}

/* Calls @fn in the namespace @netns; -1: in this one. */
static int run_in(int netns, int (*fn)(const struct tap_spec *spec, struct err *err),
	const struct tap_spec *spec, struct err *err)
{
	struct job job = { .fn = fn, .spec = spec, .err = err, .netns = netns };
	pthread_t thread;
	if (netns < 0)
		return fn(spec, err);
	const int rc = pthread_create(&thread, NULL, elsewhere, &job);
	if (rc)
		return failed(spec, -rc, "", "start a thread for", err);
	pthread_join(thread, NULL);
	return job.rc;
}

/* The namespace that @spec names, to be closed; -1: none. */
static int open_netns(const struct tap_spec *spec, int *out_fd, struct err *err)
{
	const char *name = spec->place.netns;
	char path[sizeof("/run/netns/") + TAPPLACE_NETNS];
	struct statfs fs;
	*out_fd = -1;
	if (!name[0])
		return 0;
	snprintf(path, sizeof(path), "%s%s", name[0] == '/' ? "" : "/run/netns/", name);
	/* not O_PATH, which the kernel does not take there; a FIFO must not hold us */
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(err, -EIO,
			"netns: %s: port %s: cannot open the namespace %s: %s; ip netns list shows "
			"those with names",
			spec->network, spec->port, path, strerror(errno));
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC) {
		close(fd);
		return err_set(err, -EINVAL, "netns: %s: port %s: %s is no network namespace",
			spec->network, spec->port, path);
	}
	*out_fd = fd;
	return 0;
}

static int check(const struct tap_spec *spec, struct err *err)
{
	const char *fault = tapplace_ifname(spec->place.ifname);
	if (!fault && spec->place.netns[0])
		fault = tapplace_netns(spec->place.netns);
	if (!fault)
		return 0;
	return err_set(err, -EINVAL, "%s: port %s: %s", spec->network, spec->port, fault);
}

/* -- making one -- */

static int is_there(const struct tap_spec *spec, struct err *err)
{
	return err_set(err, -EEXIST,
		"%s: port %s: there is an interface %s already%s%s; give another name, or remove "
		"it",
		spec->network, spec->port, spec->place.ifname, spec->place.netns[0] ? " in " : "",
		spec->place.netns);
}

/* All that goes along with it where it is moved. */
static int set_up(struct nl *nl, const struct tap_spec *spec, int index)
{
	char tag[HOSTIF_TAG];
	tag_of(spec, tag);
	int rc = nl_link_set_alias(nl, index, tag);
	if (!rc)
		rc = nl_link_set_mac(nl, index, spec->mac);
	if (!rc)
		rc = nl_link_set_mtu(nl, index, spec->mtu);
	return rc;
}

static int place(const struct tap_spec *spec, const char *name, int netns, struct err *err)
{
	struct nl nl;
	struct nl_link link;
	const char *what = "set up";
	int rc = nl_open(&nl);
	if (!rc)
		rc = nl_link_get(&nl, name, &link);
	if (!rc)
		rc = set_up(&nl, spec, link.index);
	if (!rc && netns >= 0) {
		what = "move";
		rc = nl_link_move(&nl, link.index, netns, spec->place.ifname);
	}
	if (rc == -EEXIST && netns >= 0)
		is_there(spec, err);
	else if (rc == -EINVAL && netns >= 0)
		err_set(err, rc, "netns: %s: port %s: %s is no network namespace", spec->network,
			spec->port, spec->place.netns);
	else if (rc < 0)
		failed(spec, rc, nl.why, what, err);
	nl_close(&nl);
	return rc;
}

/* Where it is. */
static int bring_up(const struct tap_spec *spec, struct err *err)
{
	struct nl nl;
	struct nl_link link;
	int rc = nl_open(&nl);
	if (!rc)
		rc = nl_link_get(&nl, spec->place.ifname, &link);
	if (!rc)
		rc = nl_link_set_up(&nl, link.index, true);
	if (rc < 0)
		failed(spec, rc, nl.why, "bring up", err);
	nl_close(&nl);
	return rc;
}

int verb_tap_make(const struct tap_spec *spec, int *out_fd, struct err *err)
{
	char name[HOSTIF_NAME];
	int netns = -1;
	int rc = check(spec, err);
	if (!rc)
		rc = open_netns(spec, &netns, err);
	if (rc < 0)
		return rc;
	const int fd = tapdev_make(netns < 0 ? spec->place.ifname : MOVING, TAPDEV_TAP, name);
	if (fd == -EEXIST)
		rc = is_there(spec, err);
	else if (fd == -EOPNOTSUPP)
		rc = err_set(err, fd,
			"%s: port %s: there is no /dev/net/tun here; try modprobe tun",
			spec->network, spec->port);
	else if (fd == -EACCES)
		rc = err_set(err, fd,
			"%s: port %s: /dev/net/tun may be opened by others only; chmod it 0666, as "
			"udev does, or run fethd as root",
			spec->network, spec->port);
	else if (fd < 0)
		rc = failed(spec, fd, "", "make", err);
	if (!rc)
		rc = place(spec, name, netns, err);
	if (!rc)
		rc = run_in(netns, bring_up, spec, err);
	if (netns >= 0)
		close(netns);
	if (rc < 0 && fd >= 0)
		close(fd);
	if (!rc)
		*out_fd = fd;
	return rc;
}

/* -- changing one -- */

static int set_mtu(const struct tap_spec *spec, struct err *err)
{
	char tag[HOSTIF_TAG];
	struct nl nl;
	struct nl_link link = { 0 };
	int rc = nl_open(&nl);
	tag_of(spec, tag);
	if (!rc)
		rc = nl_link_get(&nl, spec->place.ifname, &link);
	if (!rc && strcmp(link.alias, tag) != 0)
		rc = -ENODEV;
	if (!rc && link.mtu != spec->mtu)
		rc = nl_link_set_mtu(&nl, link.index, spec->mtu);
	if (rc < 0)
		failed(spec, rc, nl.why, "set the MTU of", err);
	nl_close(&nl);
	return rc;
}

int verb_tap_mtu(const struct tap_spec *spec, struct err *err)
{
	int netns = -1;
	int rc = check(spec, err);
	if (!rc)
		rc = open_netns(spec, &netns, err);
	if (!rc)
		rc = run_in(netns, set_mtu, spec, err);
	if (netns >= 0)
		close(netns);
	return rc;
}
