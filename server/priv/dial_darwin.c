/* dial_darwin.c - see verbs_priv.h. Darwin can neither open a socket's file nor connect to what was
 * opened, so between the look and the connect its name may become another's: who can rename there
 * could as well have put his socket there in the first place. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "server/priv/verbs_priv.h"

int verbs_connect(int fd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTSOCK;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	return connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}
