/* confdir.c - the verbs about configuration files; see verbs.h.
 *
 * Files are looked at through descriptors that are held, so that what was checked is what is read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/priv/verbs.h"

#define NETWORKS "networks.d"
#define SUFFIX ".conf"

static char conf_dir[PATH_MAX]; /* set once by verb_conf_dir(); empty: there is none */

int verb_conf_dir(const char *path, struct err *err)
{
	if (strlen(path) >= sizeof(conf_dir) - 128)
		return err_set(
			err, -ENAMETOOLONG, "the configuration directory's path is too long");
	memcpy(conf_dir, path, strlen(path) + 1);
	return 0;
}

/* Whether nobody but root and us can have written what is open there. */
static int check_owner(int fd, const char *dir, const char *name, bool want_dir, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "cannot look at %s%s: %s", dir, name, strerror(errno));
	if (want_dir ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s%s is no %s; put one there", dir, name,
			want_dir ? "directory" : "file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(err, -EACCES,
			"%s%s belongs to user %u, who could then do all that fethd can; give it to "
			"root",
			dir, name, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EACCES,
			"%s%s is writable by others, who could then do all that fethd can; chmod "
			"go-w it",
			dir, name);
	return 0;
}

/* Opens a directory: DIR (@name empty), or one below it. Return: the descriptor, or -errno. */
static int open_dir(int at, const char *name, struct err *err)
{
	const char *shown = *name ? "/" : "";
	char full[64];
	snprintf(full, sizeof(full), "%s%s", shown, name);
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	const int fd = *name ? openat(at, name, flags | O_NOFOLLOW) : open(conf_dir, flags);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return err_set(
			err, -errno, "cannot open %s%s: %s", conf_dir, full, strerror(errno));
	const int rc = check_owner(fd, conf_dir, full, true, err);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

/* The directory that a name is in, and what is left of the name. */
static int open_parent(const char **name, struct err *err)
{
	static const char networks[] = NETWORKS "/";
	if (!conf_dir[0])
		return -ENOENT;
	const int top = open_dir(-1, "", err);
	if (top < 0 || strncmp(*name, networks, sizeof(networks) - 1) != 0)
		return top;
	*name += sizeof(networks) - 1;
	const int fd = open_dir(top, NETWORKS, err);
	close(top);
	return fd;
}

static bool is_conf(const char *name)
{
	const size_t len = strlen(name), end = sizeof(SUFFIX) - 1;
	return name[0] != '.' && len > end && !strcmp(name + len - end, SUFFIX);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

int verb_conf_names(char out[][VERB_CONF_NAME], unsigned max, struct err *err)
{
	const char *name = NETWORKS "/";
	unsigned n = 0;
	const int fd = open_parent(&name, err);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		const int rc = -errno;
		close(fd);
		return err_set(err, rc, "cannot read %s/" NETWORKS ": %s", conf_dir, strerror(-rc));
	}
	const struct dirent *e;
	while ((e = readdir(dir))) {
		if (!is_conf(e->d_name))
			continue;
		if (n < max) /* a name too long for us is none of a network, and found to be so */
			snprintf(out[n], VERB_CONF_NAME, "%.63s", e->d_name);
		n++;
	}
	closedir(dir);
	qsort(out, n < max ? n : max, VERB_CONF_NAME, by_name);
	return (int)n;
}

static int read_all(int fd, size_t max, char **out, size_t *len, const char *name, struct err *err)
{
	char *text = malloc(max + 2);
	size_t n = 0;
	ssize_t got = 1;
	if (!text)
		return err_set(err, -ENOMEM, "%s/%s: out of memory", conf_dir, name);
	while (got > 0 && n < max + 1) { /* one byte more says that it is longer */
		got = read(fd, text + n, max + 1 - n);
		if (got > 0)
			n += (size_t)got;
	}
	if (got < 0) {
		const int rc = -errno;
		free(text);
		return err_set(err, rc, "cannot read %s/%s: %s", conf_dir, name, strerror(-rc));
	}
	text[n] = '\0';
	*out = text;
	*len = n;
	return 0;
}

int verb_conf_read(const char *name, size_t max, char **out, size_t *len, struct err *err)
{
	const char *file = name;
	char shown[VERB_CONF_NAME + 16];
	snprintf(shown, sizeof(shown), "/%s", name);
	const int dir = open_parent(&file, err);
	if (dir < 0)
		return dir;
	/* O_NONBLOCK: a FIFO must not keep us waiting before it is seen to be one */
	const int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int rc = fd < 0 ? -errno : 0;
	close(dir);
	if (rc == -ENOENT)
		return rc;
	if (rc == -ELOOP || rc == -EMLINK) /* BSD says the second */
		return err_set(err, -EACCES,
			"%s%s is a link, and could lead where others write; put the file itself "
			"there",
			conf_dir, shown);
	if (rc < 0)
		return err_set(err, rc, "cannot open %s%s: %s", conf_dir, shown, strerror(-rc));
	rc = check_owner(fd, conf_dir, shown, false, err);
	if (!rc)
		rc = read_all(fd, max, out, len, name, err);
	close(fd);
	return rc;
}

/* -- writing -- */

static int write_text(int dir, const char *temp, const char *text)
{
	const size_t len = strlen(text);
	const int fd =
		openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	errno = 0;
	int rc = write(fd, text, len) == (ssize_t)len ? 0 : errno ? -errno : -EIO;
	if (!rc && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		rc = -errno;
	if (close(fd) < 0 && !rc)
		rc = -errno;
	return rc;
}

static int make_dirs(struct err *err)
{
	char path[PATH_MAX];
	if (!conf_dir[0])
		return err_set(err, -ENOENT,
			"there is no configuration directory to save to; start fethd with --config "
			"DIR");
	snprintf(path, sizeof(path), "%s", conf_dir);
	for (int i = 0; i < 2; i++) {
		if (!mkdir(path, 0755) && chmod(path, 0755) < 0) /* umask took others' bits */
			return err_set(err, -errno, "cannot chmod %s: %s", path, strerror(errno));
		snprintf(path, sizeof(path), "%.*s/" NETWORKS, PATH_MAX - 16, conf_dir);
	}
	return 0; /* who could not be made cannot be opened either */
}

int verb_conf_write(const char *network, const char *text, struct err *err)
{
	char file[FETH_NAME_MAX + 16], temp[FETH_NAME_MAX + 24];
	const char *rest = NETWORKS "/";
	if (!name_valid(network))
		return err_set(err, -EINVAL, "%s is no name of a network", network);
	int rc = text ? make_dirs(err) : 0;
	if (rc < 0)
		return rc;
	const int dir = open_parent(&rest, err);
	if (dir == -ENOENT && !text)
		return 0;
	if (dir == -ENOENT)
		return err_set(err, dir, "cannot make the directory %s/" NETWORKS, conf_dir);
	if (dir < 0)
		return dir;
	snprintf(file, sizeof(file), "%s" SUFFIX, network);
	snprintf(temp, sizeof(temp), "%s.new", file); /* ends otherwise, so it is never read */
	(void)unlinkat(dir, temp, 0);                 /* left over from a crash */
	rc = text ? write_text(dir, temp, text) : 0;
	if (!rc && text && renameat(dir, temp, dir, file) < 0)
		rc = -errno;
	if (!text && unlinkat(dir, file, 0) < 0 && errno != ENOENT)
		rc = -errno;
	if (rc < 0)
		(void)unlinkat(dir, temp, 0);
	else
		(void)fsync(dir); /* where a file system cannot, the file is whole all the same */
	close(dir);
	return rc < 0 ? err_set(err, rc, "cannot %s %s/" NETWORKS "/%s: %s",
				text ? "write" : "remove", conf_dir, file, strerror(-rc))
		      : 0;
}
