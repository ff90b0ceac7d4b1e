/* give_linux.c - see verbs_priv.h. All of it through one descriptor: a name may be another file's
 * by the next call, and fchmodat() follows links. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/priv/verbs_priv.h"

static int give(int fd, const struct access_files *files)
{
	struct stat st;
	char self[32];
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	const bool other =
		st.st_uid != files->uid || (files->gid != ACCESS_NO_ONE && st.st_gid != files->gid);
	if (other && fchownat(fd, "", (uid_t)files->uid, (gid_t)files->gid, AT_EMPTY_PATH) < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd); /* fchmod() takes no O_PATH */
	return chmod(self, (mode_t)files->mode) < 0 ? -errno : 0;
}

int verbs_give(int dir, const char *name, const struct access_files *files)
{
	const int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	const int rc = give(fd, files);
	close(fd);
	return rc;
}
