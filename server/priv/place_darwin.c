/* place_darwin.c - sockets that peers named, on macOS. See verbs.h.
 *
 * There is no descriptor of a socket's file. What keeps a peer from having us write where it could
 * not itself is that this thread has its ids while it connects. Who is connected hears of the other
 * end's closing (bsd/kern/uipc_usrreq.c:unp_drop), so nobody has to be asked whether it is there.
 */
#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/access.h"
#include "server/priv/sock.h"
#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

#define GROUP_NOBODY ((gid_t)-2)
#define ID_NONE ((uid_t)-101) /* KAUTH_UID_NONE: the process' own again */

/* The user's own group. Not that of its file: a file has its directory's here, which may be any. */
static gid_t group_of(uid_t uid)
{
	char text[4096];
	struct passwd entry, *found = NULL;
	const int rc = getpwuid_r(uid, &entry, text, sizeof(text), &found);
	return !rc && found ? found->pw_gid : GROUP_NOBODY;
}

/* Apple discourages it, as too easily forgotten; there is no other way for a thread. */
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
static int connect_as(int fd, const struct sockaddr_un *addr, socklen_t len, uid_t uid)
{
	const bool as = geteuid() == 0 && uid != 0;
	if (as && pthread_setugid_np(uid, group_of(uid)) < 0)
		return -errno;
	const int rc = connect(fd, (const struct sockaddr *)addr, len) < 0 ? -errno : 0;
	if (as)
		(void)pthread_setugid_np(ID_NONE, ID_NONE);
	return rc;
}

int verb_connect_peer(int fd, const struct sockaddr_un *name, socklen_t len, uint32_t uid,
	struct verb_place *out, struct err *err)
{
	const size_t before = offsetof(struct sockaddr_un, sun_path);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	if (len <= before || len > sizeof(*name) || !name->sun_path[0])
		return err_set(
			err, -EDESTADDRREQ, "a client's socket must be bound to be answered");
	/* need not end with 0 */
	memcpy(addr.sun_path, name->sun_path, len - before);
	if (addr.sun_path[sizeof(addr.sun_path) - 1])
		return err_set(err, -ENAMETOOLONG, "the path of the client's socket is too long");
	const char *path = addr.sun_path;
	if (path[0] != '/')
		return err_set(err, -EINVAL,
			"%s says nothing without knowing whose directory it is in; bind a client's "
			"socket by its whole path",
			path);
	int rc = uid == ACCESS_NO_ONE ? verbs_check_way(path) : 0;
	if (rc == -ELOOP)
		return err_set(err, rc, VERBS_LINKED, path);
	if (!rc && lstat(path, &st) < 0)
		rc = -errno;
	if (rc < 0)
		return err_set(err, rc, "cannot look at %s: %s", path, strerror(-rc));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -ENOTSOCK, "%s is no socket", path);
	if (uid != ACCESS_NO_ONE && st.st_uid != uid)
		return err_set(err, -EACCES,
			"%s is a socket of user %u, and user %u named it; a client's socket must "
			"be its own",
			path, (unsigned)st.st_uid, (unsigned)uid);
	rc = connect_as(fd, &addr, sizeof(addr), st.st_uid);
	if (rc < 0)
		return err_set(
			err, rc, "cannot reach the client's socket %s: %s", path, strerror(-rc));
	if (out)
		*out = (struct verb_place){
			.fd = -1, .uid = st.st_uid, .len = sizeof(addr), .addr = addr
		};
	return 0;
}

bool verb_place_held(const struct verb_place *place)
{
	(void)place;
	return true;
}

bool verbs_held(int dir, const char *path, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	(void)dir;
	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", path, name) >=
		(int)sizeof(addr.sun_path))
		return false; /* as good as: it could not be reached */
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	if (fd < 0)
		return true;
	const int rc = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? errno : 0;
	close(fd);
	return rc != ECONNREFUSED;
}

void verb_place_close(struct verb_place *place)
{
	place->fd = -1;
}
