/* dial_linux.c - see verbs_priv.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/priv/verbs_priv.h"

/* What was looked at is what is connected to, whatever becomes of its name meanwhile. */
int verbs_connect(int fd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	const int at = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (at < 0)
		return -errno;
	int rc = fstat(at, &st) < 0 ? -errno : S_ISLNK(st.st_mode) ? -ELOOP : 0;
	if (!rc && !S_ISSOCK(st.st_mode))
		rc = -ENOTSOCK;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", at);
	if (!rc && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		rc = -errno;
	close(at);
	return rc;
}
