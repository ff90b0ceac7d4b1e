/* shared_dir.c - directories that clients make sockets of their own in (verbs.h: verb_shared_*).
 *
 * Such a directory is ours and sticky, so that of what lies there each can remove his own only, and
 * what is ours stays what it is: it may be looked for by name, and given away by name. What others
 * put there is never followed, opened or looked at, only unlinked; but a socket that somebody has
 * open stays, or its client, who outlives us, could never be reached again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

/* A name of ours that is taken was made by a client who guesses 32 bits; so often he does not. */
#define BIND_TRIES 4

static int open_dir(const char *path)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* While nobody else can write to it. Directories go if they are empty. Into others we do not look:
 * whoever made one may have mounted a file system of his there, which never answers. */
static void empty(const char *path)
{
	const int fd = open_dir(path);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	bool removed;
	do { /* as verb_dir_clear() */
		removed = false;
		rewinddir(dir);
		const struct dirent *e;
		while ((e = readdir(dir)))
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
				!(e->d_type == DT_SOCK && verbs_held(fd, path, e->d_name)))
				removed |= !unlinkat(fd, e->d_name, 0) ||
					   !unlinkat(fd, e->d_name, AT_REMOVEDIR);
	} while (removed);
	closedir(dir);
}

static int check_ours(const char *path, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return err_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return err_set(err, -EACCES, "%s is not a directory of ours; remove it", path);
	return 0;
}

int verb_shared_make(const char *path, struct err *err)
{
	int rc = verbs_check_path(path, err);
	if (rc < 0)
		return rc;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_set(
			err, -errno, "cannot make the directory %s: %s", path, strerror(errno));
	rc = check_ours(path, err); /* what holds it is ours, so nobody else can have made it */
	if (rc < 0)
		return rc;
	if (chmod(path, 0755) < 0)
		return err_set(err, -errno, "cannot chmod %s: %s", path, strerror(errno));
	empty(path);
	return 0;
}

int verb_shared_give(
	const char *path, const char *socket, const struct access_files *files, struct err *err)
{
	int rc = verbs_check_path(path, err);
	if (!rc)
		rc = check_ours(path, err);
	if (rc < 0)
		return rc;
	const struct access_files own = { files->uid, files->gid,
		01700u | (files->mode & 060 ? 070u : 0) | (files->mode & 06 ? 07u : 0) };
	const int fd = open_dir(path);
	rc = fd < 0 ? fd : verbs_give(fd, ".", &own);
	if (rc < 0)
		verbs_give_failed(rc, path, &own, err);
	else if ((rc = verbs_give(fd, socket, files)) < 0)
		verbs_give_failed(rc, path, files, err);
	if (fd >= 0)
		close(fd);
	return rc;
}

void verb_shared_clear(const char *path)
{
	if (verbs_check_path(path, NULL) || check_ours(path, NULL))
		return;
	if (chmod(path, 0755) < 0) /* nothing comes after */
		return;
	empty(path);
	rmdir(path);
}

/* Its mode while it is ours, for then nobody can put a link in its place. One that we cannot give
 * away, not being root, lets everybody send; but it is connected, and Linux takes from its peer
 * alone (af_unix.c:unix_may_send). */
static int let_in(const char *path, uint32_t uid)
{
	if (chmod(path, 0600) < 0)
		return -errno;
	if (uid == geteuid() || !lchown(path, (uid_t)uid, (gid_t)-1))
		return 0;
	return chmod(path, 0666) < 0 ? -errno : 0;
}

int verb_shared_bind(
	int fd, const char *dir, uint32_t uid, char out_path[PATH_TEXT], struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc = -EADDRINUSE;
	for (unsigned i = 0; i < BIND_TRIES && rc == -EADDRINUSE; i++) {
		uint32_t number;
		if (getentropy(&number, sizeof(number)) < 0)
			return err_set(err, -EIO, "%s: the system gives no random numbers", dir);
		char path[PATH_TEXT];
		if (snprintf(path, sizeof(path), "%s/%08x", dir, (unsigned)number) >=
			(int)sizeof(path))
			return err_set(err, -ENAMETOOLONG, "%s is too long for sockets", dir);
		rc = verbs_check_path(path, err);
		if (rc < 0)
			return rc;
		memcpy(addr.sun_path, path, strlen(path) + 1);
		rc = bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	}
	if (rc < 0)
		return err_set(err, rc, "cannot bind a socket in %s: %s", dir, strerror(-rc));
	rc = let_in(addr.sun_path, uid);
	if (rc < 0) {
		unlink(addr.sun_path);
		return err_set(err, rc, "cannot give %s to user %u: %s", addr.sun_path,
			(unsigned)uid, strerror(-rc));
	}
	memcpy(out_path, addr.sun_path, strlen(addr.sun_path) + 1);
	return 0;
}
