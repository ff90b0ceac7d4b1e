/* give_darwin.c - see verbs_priv.h. A socket's file cannot be opened here, so each call looks up
 * its name; none of them follows a link there. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/priv/verbs_priv.h"

int verbs_give(int dir, const char *name, const struct access_files *files)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	const bool other =
		st.st_uid != files->uid || (files->gid != ACCESS_NO_ONE && st.st_gid != files->gid);
	if (other &&
		fchownat(dir, name, (uid_t)files->uid, (gid_t)files->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return fchmodat(dir, name, (mode_t)files->mode, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}
