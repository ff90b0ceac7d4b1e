/* verbs.c - see verbs.h. */
#include "server/priv/verbs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/priv/sock.h"
#include "server/priv/verbs_priv.h"

static char run_dir[PATH_TEXT]; /* set once by verb_run_dir() */
static bool run_dir_made;
static int run_fd = -1; /* holds the lock */

#define TEMP_END ".new" /* of what is not in its place yet; no name of a network or port has it */

int verbs_check_path(const char *path, struct err *err)
{
	const size_t n = strlen(run_dir);
	if (strncmp(path, run_dir, n) || path[n] != '/' || strstr(path, "/../"))
		return err_set(err, -EINVAL, "%s is not inside the run directory", path);
	if (strlen(path) >= VERB_PATH_MAX)
		return err_set(err, -ENAMETOOLONG,
			"the socket path %s has %zu bytes, %u are possible; use a shorter name or "
			"--run-dir",
			path, strlen(path), VERB_PATH_MAX - 1);
	return 0;
}

const char *verbs_run_dir(void)
{
	return run_dir;
}

int verbs_path(char out[2 * PATH_TEXT], const char *network, const char *file, struct err *err)
{
	if (network && !name_valid(network))
		return err_set(err, -EINVAL, "%s is no name of a network", network);
	snprintf(out, 2 * PATH_TEXT, "%s/%s%s%s", run_dir, network ? network : "",
		network ? "/" : "", file);
	return verbs_check_path(out, err);
}

/* A directory that nobody but us can have tampered with. */
static int check_dir(const char *path, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return err_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(
			err, -ENOTDIR, "%s is not a directory; remove it or choose another", path);
	if (st.st_uid != geteuid())
		return err_set(err, -EACCES, "%s belongs to user %u, not to us; choose another",
			path, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EACCES, "%s is writable by others; chmod go-w it", path);
	return 0;
}

static int make_dir(const char *path, bool *out_made, struct err *err)
{
	const bool made = mkdir(path, 0755) == 0;
	if (!made && errno != EEXIST)
		return err_set(
			err, -errno, "cannot make the directory %s: %s", path, strerror(errno));
	*out_made = made;
	const int rc = check_dir(path, err);
	if (rc < 0)
		return rc;
	/* umask took the bits that let clients through */
	if (made && chmod(path, 0755) < 0)
		return err_set(err, -errno, "cannot chmod %s: %s", path, strerror(errno));
	return 0;
}

/* ':' ends the run directory in the tag of an interface. */
static int check_run_dir_name(const char *path, struct err *err)
{
	const size_t most = VERB_PATH_MAX - sizeof("/a/seqpacket.sock");
	if (path[0] != '/' || strchr(path, ':'))
		return err_set(err, -EINVAL,
			"the run directory %s must be an absolute path without ':'; choose another",
			path);
	if (strlen(path) > most)
		return err_set(err, -ENAMETOOLONG,
			"the run directory %s is too long for socket paths; choose one of at most "
			"%zu bytes",
			path, most);
	return 0;
}

int verb_run_dir(char path[PATH_TEXT], struct err *err)
{
	int rc = check_run_dir_name(path, err);
	if (!rc)
		rc = make_dir(path, &run_dir_made, err);
	if (rc < 0)
		return rc;
	char real[PATH_MAX];
	if (!realpath(path, real))
		return err_set(err, -errno, "cannot resolve %s: %s", path, strerror(errno));
	rc = check_run_dir_name(real, err);
	if (rc < 0)
		return rc;
	memcpy(path, real, strlen(real) + 1);
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		rc = -EBUSY;
		close(fd);
		return err_set(err, rc,
			"another fethd serves %s; stop it (fethctl daemon stop) or choose another "
			"--run-dir",
			path);
	}
	run_fd = fd;
	snprintf(run_dir, sizeof(run_dir), "%s", path);
	return 0;
}

void verb_run_dir_leave(void)
{
	if (run_dir_made)
		rmdir(run_dir);
}

static const struct hostif_ops *host_backend(const char *name, struct err *err)
{
	const struct hostif_ops *ops = hostif_find(name);
	if (!ops || !ops->has_host) {
		err_set(err, -EINVAL, "there is no backend %s with a host side", name);
		return NULL;
	}
	return ops;
}

bool verbs_name_ours(const char *name)
{
	if (strncmp(name, "feth", 4) || !name[4])
		return false;
	for (const char *p = name + 4; *p; p++)
		if (*p < '0' || *p > '9')
			return false;
	return true;
}

static const struct hostif_ops *checked(
	const char *backend, const struct hostif_spec *spec, struct err *err)
{
	const struct hostif_ops *ops = host_backend(backend, err);
	if (!ops)
		return NULL;
	if (!verbs_name_ours(spec->host) ||
		!(ops->single ? !spec->service[0] : verbs_name_ours(spec->service))) {
		err_set(err, -EINVAL, "%s and %s are no interface names of ours", spec->host,
			spec->service);
		return NULL;
	}
	return ops;
}

bool verb_pair_allowed(const char *backend)
{
	const struct hostif_ops *ops = hostif_find(backend);
	return ops && ops->has_host && ops->allowed();
}

int verb_pair_make(const char *backend, const struct hostif_spec *spec, struct hostif_made *out,
	struct err *err)
{
	const struct hostif_ops *ops = checked(backend, spec, err);
	return ops ? ops->make(spec, out, err) : -EINVAL;
}

int verb_pair_change(const char *backend, const struct hostif_spec *now,
	const struct hostif_spec *want, struct err *err)
{
	const struct hostif_ops *ops = checked(backend, now, err);
	return ops ? ops->change(now, want, err) : -EINVAL;
}

int verb_pair_remove(const char *backend, const struct hostif_spec *spec)
{
	const struct hostif_ops *ops = checked(backend, spec, NULL);
	return ops ? ops->remove(spec) : -EINVAL;
}

bool verb_name_free(const char *backend, const char *name)
{
	const struct hostif_ops *ops = host_backend(backend, NULL);
	return ops && ops->name_free(name);
}

bool verb_pair_whole(const char *backend, const struct hostif_spec *spec)
{
	const struct hostif_ops *ops = checked(backend, spec, NULL);
	if (!ops)
		return false;
	return ops->whole ? ops->whole(spec) : !ops->name_free(spec->service);
}

bool verb_pair_carrier(const char *backend, const struct hostif_spec *spec)
{
	const struct hostif_ops *ops = checked(backend, spec, NULL);
	return ops && ops->carrier(spec);
}

int verb_pair_sweep(
	const char *prefix, const struct hostif_spec *known, unsigned n_known, struct err *err)
{
	int n = 0;
	for (const struct hostif_ops *const *ops = hostif_backends; *ops; ops++) {
		if (!(*ops)->has_host || !(*ops)->sweep)
			continue;
		const int rc = (*ops)->sweep(prefix, known, n_known, err);
		if (rc < 0)
			return rc;
		n += rc;
	}
	return n;
}

int verb_watch(const char *backend, struct err *err)
{
	const struct hostif_ops *ops = host_backend(backend, err);
	return ops ? ops->watch_open(err) : -EINVAL;
}

int verb_dir_make(const char *path, struct err *err)
{
	const int rc = verbs_check_path(path, err);
	if (rc < 0)
		return rc;
	bool made;
	return make_dir(path, &made, err);
}

void verb_dir_clear(const char *path)
{
	if (verbs_check_path(path, NULL) || check_dir(path, NULL))
		return;
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) { /* out of descriptors; an empty one can go all the same */
		if (fd >= 0)
			close(fd);
		rmdir(path);
		return;
	}
	bool removed;
	do { /* on macOS' file systems an entry that goes may hide the next from this round */
		removed = false;
		rewinddir(dir);
		const struct dirent *e;
		while ((e = readdir(dir))) {
			struct stat st;
			if (!fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
				S_ISSOCK(st.st_mode))
				removed |= !unlinkat(fd, e->d_name, 0);
		}
	} while (removed);
	closedir(dir);
	rmdir(path);
}

void verb_unlink(const char *path)
{
	struct stat st;
	if (!verbs_check_path(path, NULL) && !lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
}

static int bind_at(int fd, const char *path, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	memcpy(addr.sun_path, path, strlen(path) + 1);
	unlink(path); /* left over from a crash between bind and rename */
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(err, -errno, "cannot bind %s: %s", path, strerror(errno));
	return 0;
}

int verbs_give_failed(int rc, const char *path, const struct access_files *files, struct err *err)
{
	if (files->gid == ACCESS_NO_ONE)
		return err_set(err, rc, "cannot give %s to user %u, mode %04o: %s", path,
			(unsigned)files->uid, files->mode, strerror(-rc));
	return err_set(err, rc, "cannot give %s to user %u and group %u, mode %04o: %s", path,
		(unsigned)files->uid, (unsigned)files->gid, files->mode, strerror(-rc));
}

/* A network's loop is putting it in its place, and has made it as it shall be: nobody else's yet.
 */
static bool on_its_way(const char *name)
{
	const size_t n = strlen(name), end = strlen(TEMP_END);
	return n > end && !strcmp(name + n - end, TEMP_END);
}

static int give_sockets(const char *path, const struct access_files *files, struct err *err)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int rc = dir ? 0 : -errno;
	if (!dir && fd >= 0)
		close(fd);
	const struct dirent *e;
	while (dir && !rc && (e = readdir(dir))) {
		struct stat st;
		if (!on_its_way(e->d_name) && !fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
			S_ISSOCK(st.st_mode))
			rc = verbs_give(fd, e->d_name, files);
		if (rc == -ENOENT) /* gone meanwhile */
			rc = 0;
	}
	if (dir)
		closedir(dir);
	return rc < 0 ? verbs_give_failed(rc, path, files, err) : 0;
}

int verb_dir_give(const char *path, const struct access_files *files, struct err *err)
{
	char ports[2 * PATH_TEXT];
	int rc = verbs_check_path(path, err);
	if (!rc)
		rc = check_dir(path, err);
	snprintf(ports, sizeof(ports), "%s/ports", path);
	if (!rc)
		rc = give_sockets(path, files, err);
	return rc < 0 ? rc : give_sockets(ports, files, err);
}

/* Makes a socket under the name @temp, and when its file is as @files says that of @path. */
static int put_socket(const char *path, const char *temp, int type,
	const struct access_files *files, int *out_fd, struct err *err)
{
	const int fd = sock_new(AF_UNIX, type);
	if (fd < 0)
		return err_set(err, fd, "cannot make a socket for %s: %s", path, strerror(-fd));
	if (type == SOCK_DGRAM)
		sock_attest(fd, true); /* of what comes the moment it is there, too */
	int rc = bind_at(fd, temp, err);
	if (rc < 0)
		goto fail;
	rc = verbs_give(AT_FDCWD, temp, files);
	if (rc < 0) {
		rc = verbs_give_failed(rc, path, files, err);
		goto fail;
	}
	if ((type != SOCK_DGRAM && listen(fd, 128) < 0) || rename(temp, path) < 0) {
		rc = err_set(err, -errno, "cannot put a socket at %s: %s", path, strerror(errno));
		goto fail;
	}
	*out_fd = fd;
	return 0;

fail:
	unlink(temp);
	close(fd);
	return rc;
}

int verb_listen(
	const char *path, int type, const struct access_files *files, int *out_fd, struct err *err)
{
	char temp[PATH_TEXT];
	int rc = verbs_check_path(path, err);
	if (rc < 0)
		return rc;
	snprintf(temp, sizeof(temp), "%s" TEMP_END, path);
	return put_socket(path, temp, type, files, out_fd, err);
}

int verb_shared_listen(const char *dir, const char *name, int type,
	const struct access_files *files, int *out_fd, struct err *err)
{
	char path[2 * PATH_TEXT], temp[PATH_TEXT];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	const int rc = verbs_check_path(path, err);
	if (rc < 0)
		return rc;
	snprintf(temp, sizeof(temp), "%.*s" TEMP_END, (int)(sizeof(temp) - sizeof(TEMP_END)), dir);
	return put_socket(path, temp, type, files, out_fd, err);
}

int verb_write(const char *path, const char *text, struct err *err)
{
	char temp[PATH_TEXT];
	int rc = verbs_check_path(path, err);
	if (rc < 0)
		return rc;
	snprintf(temp, sizeof(temp), "%s" TEMP_END, path);
	unlink(temp); /* left over from a crash */
	if (!text)
		return unlink(path) < 0 && errno != ENOENT ? -errno : 0;

	const int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, -errno, "cannot write %s: %s", temp, strerror(errno));
	const size_t len = strlen(text);
	errno = 0;
	rc = write(fd, text, len) == (ssize_t)len ? 0 : errno ? -errno : -EIO;
	if (close(fd) < 0 && !rc)
		rc = -errno;
	if (!rc && rename(temp, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(temp);
		return err_set(err, rc, "cannot write %s: %s", path, strerror(-rc));
	}
	return 0;
}
