/* place_linux.c - sockets that peers named, on Linux. See verbs.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/core/access.h"
#include "server/priv/mounts_linux.h"
#include "server/priv/sock.h"
#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000u /* Linux 5.8 */
#endif
#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */
#endif
#define CACHED_TRIES 8u /* a rename somewhere at that moment makes one fail */

/* The file at @path, at once or not at all, where the kernel can say so. What is bound is in its
 * cache. A link to a directory on the way is followed only with @links. */
static int open_path(const char *path, bool links)
{
	const struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_CACHED | (links ? RESOLVE_NO_MAGICLINKS : RESOLVE_NO_SYMLINKS),
	};
	long fd = -1;
	for (unsigned i = 0; i < CACHED_TRIES; i++) {
		fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	if (fd < 0 && (errno == EINVAL || errno == ENOSYS)) { /* before 5.12, before 5.6 */
		if (!links)
			return verbs_open_real(path);
		fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd < 0 ? -errno : (int)fd;
}

/* To connect to it asks the file system who may: a user's own could hold us up. */
static int check_mount(const struct statx *st, const char *path, struct err *err)
{
	char type[MOUNT_TYPE];
	if (!(st->stx_mask & STATX_MNT_ID))
		return 0; /* before 5.8 nobody knows */
	if (!mount_type(st->stx_mnt_id, type))
		return err_set(err, -ENODEV,
			"cannot find out what file system %s is on; put the client's socket on a "
			"local one",
			path);
	if (!mount_local(type))
		return err_set(err, -EOPNOTSUPP,
			"%s is on a file system of type %s, which may keep us waiting; put the "
			"client's socket on a local one, such as tmpfs or ext4",
			path, type);
	return 0;
}

/* Whether the file is a socket, and of @uid. AT_STATX_DONT_SYNC: asks no server. */
static int check_file(int fd, const char *path, uint32_t uid, uint32_t *out_uid, struct err *err)
{
	struct statx st;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_UID | STATX_MNT_ID,
		    &st) < 0)
		return err_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.stx_mode))
		return err_set(err, -ENOTSOCK, "%s is no socket", path);
	if (uid != ACCESS_NO_ONE && st.stx_uid != uid)
		return err_set(err, -EACCES,
			"%s is a socket of user %u, and user %u named it; a client's socket must "
			"be its own",
			path, (unsigned)st.stx_uid, (unsigned)uid);
	*out_uid = st.stx_uid;
	return check_mount(&st, path, err);
}

static void by_descriptor(struct verb_place *place)
{
	snprintf(place->addr.sun_path, sizeof(place->addr.sun_path), "/proc/self/fd/%d", place->fd);
	place->len = sizeof(place->addr);
}

/* The one at a path. */
static int find_path(const char *path, uint32_t uid, struct verb_place *out, struct err *err)
{
	if (path[0] != '/')
		return err_set(err, -EINVAL,
			"%s says nothing without knowing whose directory it is in; bind a client's "
			"socket by its whole path",
			path);
	out->fd = open_path(path, uid != ACCESS_NO_ONE);
	if (out->fd == -EAGAIN)
		return err_set(err, -EAGAIN,
			"%s is not there, or not on a local file system; put the client's socket "
			"on one",
			path);
	if (out->fd == -ELOOP)
		return err_set(err, -ELOOP, VERBS_LINKED, path);
	if (out->fd < 0)
		return err_set(err, out->fd, "cannot open %s: %s", path, strerror(-out->fd));
	const int rc = check_file(out->fd, path, uid, &out->uid, err);
	if (rc < 0)
		return rc;
	by_descriptor(out);
	return 0;
}

static int find(const struct sockaddr_un *name, socklen_t len, uint32_t uid, struct verb_place *out,
	struct err *err)
{
	const size_t before = offsetof(struct sockaddr_un, sun_path);
	char path[sizeof(name->sun_path) + 1] = "";
	if (len <= before || len > sizeof(*name))
		return err_set(
			err, -EDESTADDRREQ, "a client's socket must be bound to be answered");
	if (name->sun_path[0]) {
		memcpy(path, name->sun_path, len - before); /* need not end with 0 */
		return find_path(path, uid, out, err);
	}
	memcpy(&out->addr, name, len);
	out->len = len;
	return 0;
}

static int connect_to(int fd, const struct verb_place *place)
{
	return connect(fd, (const struct sockaddr *)&place->addr, place->len) < 0 ? -errno : 0;
}

/* An abstract address has no owner, but the socket that @fd is connected to by now has. */
static int check_abstract(int fd, uint32_t uid, struct err *err)
{
	uint32_t owner;
	if (sock_peer_owner(fd, &owner) < 0)
		return err_set(err, -EACCES,
			"this kernel does not say whose an abstract socket is; user %u must bind a "
			"path",
			(unsigned)uid);
	if (owner != uid)
		return err_set(err, -EACCES,
			"the abstract socket is user %u's, and user %u named it; a client's socket "
			"must be its own",
			(unsigned)owner, (unsigned)uid);
	return 0;
}

/* A path need not end with 0. */
static void unreached(const struct sockaddr_un *name, socklen_t len, int rc, struct err *err)
{
	const char *path = name->sun_path[0] ? name->sun_path : "(abstract)";
	const size_t max = path == name->sun_path ? len - offsetof(struct sockaddr_un, sun_path)
						  : strlen(path);
	err_set(err, rc, "cannot reach the client's socket %.*s: %s", (int)max, path,
		strerror(-rc));
}

/* A filter of system calls may say -EPERM of looking, which would be taken for that of connecting:
 * then there would be a place. */
static int refused(struct err *err)
{
	if (err)
		err->code = -EACCES;
	return -EACCES;
}

int verb_connect_peer(int fd, const struct sockaddr_un *name, socklen_t len, uint32_t uid,
	struct verb_place *out, struct err *err)
{
	struct verb_place place = {
		.fd = -1, .uid = ACCESS_NO_ONE, .addr = { .sun_family = AF_UNIX }
	};
	int rc = find(name, len, uid, &place, err);
	if (rc < 0) {
		verb_place_close(&place);
		return rc == -EPERM ? refused(err) : rc;
	}
	rc = connect_to(fd, &place);
	if (rc < 0)
		unreached(name, len, rc, err);
	if (!name->sun_path[0] && uid != ACCESS_NO_ONE && rc == -EPERM)
		rc = err_set(err, -EACCES,
			"the client's socket has an abstract name and has connected, so nobody can "
			"find out whose it is; user %u must bind a path, or not connect",
			(unsigned)uid);
	else if (!name->sun_path[0] && uid != ACCESS_NO_ONE && !rc)
		rc = check_abstract(fd, uid, err); /* not that of one that was not reached */
	if (out && (!rc || rc == -EPERM))
		*out = place;
	else
		verb_place_close(&place);
	return rc;
}

/* To connect asks the same that a send would, and says nothing to whoever is there. */
bool verb_place_held(const struct verb_place *place)
{
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	if (fd < 0)
		return true; /* not known */
	const int rc = connect_to(fd, place);
	close(fd);
	return rc != -ECONNREFUSED;
}

bool verbs_held(int dir, const char *path, const char *name)
{
	struct verb_place place = { .addr = { .sun_family = AF_UNIX } };
	(void)path;
	place.fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (place.fd < 0)
		return errno != ENOENT;
	by_descriptor(&place);
	const bool held = verb_place_held(&place);
	verb_place_close(&place);
	return held;
}

void verb_place_close(struct verb_place *place)
{
	if (place->fd >= 0)
		close(place->fd);
	place->fd = -1;
}
