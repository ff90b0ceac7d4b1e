/* path.c - where daemons listen, and connecting to them. The order of the search is fixed by
 * docs/man/fethctl.1, FILES. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "feth/client.h"
#include "protocol/text.h"

/* A listener whose queue is full makes connect() wait, also one that nobody accepts from. */
#define CONNECT_TIMEOUT_S 10

#ifdef __APPLE__
#define SYSTEM_RUN_DIR "/var/run/fethd"
#define USER_BASE "HOME"
#define USER_SUFFIX "/.fethd"
#else
#define SYSTEM_RUN_DIR "/run/fethd"
#define USER_BASE "XDG_RUNTIME_DIR"
#define USER_SUFFIX "/fethd"
#endif

static void set_connect_timeout(int fd, time_t seconds)
{
	const struct timeval tv = { .tv_sec = seconds };
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int open_socket(void)
{
#ifdef SOCK_CLOEXEC
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
#else
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
	return fd < 0 ? -errno : fd;
}

/* A connected descriptor, or -errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);
	if (!len || len >= sizeof(addr.sun_path))
		return len ? -ENAMETOOLONG : -EINVAL;
	memcpy(addr.sun_path, path, len);

	const int fd = open_socket();
	if (fd < 0)
		return fd;
	set_connect_timeout(fd, CONNECT_TIMEOUT_S);
	int rc;
	do
		rc = connect(fd, (const struct sockaddr *)&addr, sizeof(addr));
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return rc;
	}
	set_connect_timeout(fd, 0);
	return fd;
}

static int join(char *out, size_t size, const char *dir, const char *network)
{
	const int n = network ? snprintf(out, size, "%s/%s/feth.sock", dir, network)
			      : snprintf(out, size, "%s/control.sock", dir);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Whether a daemon answers in this run directory. */
static bool answers(const char *dir)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	if (join(path, sizeof(path), dir, NULL) < 0)
		return false;
	const int fd = connect_to(path);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The run directory to use where none was given. */
static int find_run_dir(char *out, size_t size)
{
	const char *given = getenv("FETHD_RUN_DIR");
	const char *base = getenv(USER_BASE);
	const char *dir = given && *given ? given : SYSTEM_RUN_DIR;

	if (dir != given && geteuid() != 0 && base && *base == '/') {
		const int n = snprintf(out, size, "%s%s", base, USER_SUFFIX);
		if (n > 0 && (size_t)n < size && answers(out))
			return 0;
	}
	const int n = snprintf(out, size, "%s", dir);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int feth_socket_path(const char *run_dir, const char *network, char *out, size_t size)
{
	char dir[512];
	if (network && !name_valid(network))
		return -EINVAL;
	if (!run_dir) {
		const int rc = find_run_dir(dir, sizeof(dir));
		if (rc < 0)
			return rc;
		run_dir = dir;
	}
	return join(out, size, run_dir, network);
}

int feth_open(struct feth_conn **out, const char *path, const char *network)
{
	char found[sizeof(((struct sockaddr_un *)0)->sun_path)];
	if (!path) {
		const int rc = feth_socket_path(NULL, network, found, sizeof(found));
		if (rc < 0)
			return rc;
		path = found;
	}

	const int fd = connect_to(path);
	if (fd < 0)
		return fd;
	const int rc = feth_open_fd(out, fd);
	if (rc < 0)
		close(fd);
	return rc;
}
