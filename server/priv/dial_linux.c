/* dial_linux.c - see verbs_priv.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/core/dial.h"
#include "server/priv/verbs_priv.h"

static bool is_link(int at, const char *name)
{
	struct stat st;
	return !fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISLNK(st.st_mode);
}

/* The way down, one directory after the other, each from the one before: what openat2() does with
 * RESOLVE_NO_SYMLINKS, on kernels before 5.6, too. */
int verbs_open_real(const char *path)
{
	char copy[DIAL_TEXT + 1], *save = NULL;
	const int n = snprintf(copy, sizeof(copy), "%s", path);
	if (n < 0 || (size_t)n >= sizeof(copy))
		return -ENAMETOOLONG;
	int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -errno;
	for (char *name = strtok_r(copy, "/", &save), *next; name; name = next) {
		next = strtok_r(NULL, "/", &save);
		const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC | (next ? O_DIRECTORY : 0);
		const int in = openat(at, name, flags);
		int rc = in < 0 ? -errno : 0;
		if ((!rc && !next) || rc == -ENOTDIR) /* a link is no directory, and opens itself */
			rc = is_link(at, name) ? -ELOOP : rc;
		close(at);
		if (rc < 0) {
			if (in >= 0)
				close(in);
			return rc;
		}
		at = in;
	}
	return at;
}

/* What was looked at is what is connected to, whatever becomes of its name meanwhile. */
int verbs_connect(int fd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	const int at = verbs_open_real(path);
	if (at < 0)
		return at;
	int rc = fstat(at, &st) < 0 ? -errno : 0;
	if (!rc && !S_ISSOCK(st.st_mode))
		rc = -ENOTSOCK;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", at);
	if (!rc && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		rc = -errno;
	close(at);
	return rc;
}

/* Nothing of any packet is taken. */
int verbs_deaf(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog prog = { .len = 1, .filter = &nothing };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

int verbs_hear(int fd)
{
	const int none = 0;
	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)) < 0 ? -errno : 0;
}

void verbs_watch(int fd)
{
	const int on = 1, idle_s = VERBS_GONE_S / 2, each_s = VERBS_GONE_S / 6, tries = 3;
	const unsigned most_ms = VERBS_GONE_S * 1000u; /* where something is on its way */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &each_s, sizeof(each_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most_ms, sizeof(most_ms));
}
