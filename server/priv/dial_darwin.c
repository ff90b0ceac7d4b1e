/* dial_darwin.c - see verbs_priv.h. Darwin can neither open a socket's file nor connect to what was
 * opened, so between the look and the connect its name may become another's: there who owns one of
 * the path's directories is trusted not to. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/priv/verbs_priv.h"

/* More than the socket's buffer can hold, so the oldest are gone when as many were taken. */
#define QUEUED_MOST 65536u

int verbs_check_way(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const size_t len = (size_t)(strrchr(path, '/') - path);
	memcpy(dir, path, len);
	dir[len] = '\0';
	const int fd = open(len ? dir : "/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW_ANY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int verbs_connect(int fd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	const int rc = verbs_check_way(path);
	if (rc < 0)
		return rc;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTSOCK;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	return connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}

int verbs_deaf(int fd)
{
	(void)fd; /* no socket has a filter here */
	return 0;
}

int verbs_hear(int fd)
{
	char byte;
	for (unsigned i = 0; i < QUEUED_MOST; i++)
		if (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
			break;
	return 0;
}

void verbs_watch(int fd)
{
	const int on = 1, idle_s = VERBS_GONE_S / 2, each_s = VERBS_GONE_S / 6, tries = 3;
	const int most_s = VERBS_GONE_S; /* where something is on its way */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPALIVE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &each_s, sizeof(each_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_RXT_CONNDROPTIME, &most_s, sizeof(most_s));
}
