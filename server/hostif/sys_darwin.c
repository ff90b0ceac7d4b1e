/* sys_darwin.c - see darwin_sys.h: the kernel itself. Each call is the system's own, its errno made
 * the result, and tried again where a signal came in between. */
#include "server/hostif/darwin_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct seg) == sizeof(struct iovec) &&
		       offsetof(struct seg, base) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct seg, len) == offsetof(struct iovec, iov_len),
	"struct seg is laid out like struct iovec");

static int result(int rc)
{
	return rc < 0 ? -errno : rc;
}

static uint32_t sys_geteuid(void)
{
	return geteuid();
}

/* SIGPIPE does not come from losing an interface, only from shutdown (rule 53), and is ignored. */
static int sys_socket(int domain, int type, int protocol)
{
	const int fd = socket(domain, type, protocol);
	if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		return result(fd);
	const int rc = -errno;
	close(fd);
	return rc;
}

static int sys_open(const char *path)
{
	int fd;
	do
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return result(fd);
}

static int sys_close(int fd)
{
	return result(close(fd));
}

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return result(ioctl(fd, request, arg));
}

static int sys_setsockopt(int fd, int level, int option, int value)
{
	return result(setsockopt(fd, level, option, &value, sizeof(value)));
}

static int sys_bind(int fd, const void *addr, size_t addr_len)
{
	return result(bind(fd, addr, (socklen_t)addr_len));
}

static int sys_connect(int fd, const void *addr, size_t addr_len)
{
	return result(connect(fd, addr, (socklen_t)addr_len));
}

static long sys_read(int fd, void *buf, size_t size)
{
	ssize_t n;
	do
		n = read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static long sys_write(int fd, const void *buf, size_t size)
{
	ssize_t n;
	do
		n = write(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static long sys_writev(int fd, const struct seg *pieces, unsigned n_pieces)
{
	ssize_t n;
	do
		n = writev(fd, (const struct iovec *)(const void *)pieces, (int)n_pieces);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* The kernel writes nothing to a new value; its interface merely does not say so. */
static int sys_sysctlbyname(
	const char *name, void *old, size_t *old_len, const void *new, size_t new_len)
{
	return result(sysctlbyname(name, old, old_len, (void *)(uintptr_t) new, new_len));
}

static int sys_sysctl(const int *mib, unsigned n, void *old, size_t *old_len)
{
	return result(sysctl((int *)(uintptr_t)mib, n, old, old_len, NULL, 0));
}

static void sys_sleep_us(unsigned us)
{
	struct timespec left = { .tv_sec = us / 1000000u, .tv_nsec = (long)(us % 1000000u) * 1000 };
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

const struct darwin_sys darwin_sys = {
	.geteuid = sys_geteuid,
	.socket = sys_socket,
	.open = sys_open,
	.close = sys_close,
	.ioctl = sys_ioctl,
	.setsockopt = sys_setsockopt,
	.bind = sys_bind,
	.connect = sys_connect,
	.read = sys_read,
	.write = sys_write,
	.writev = sys_writev,
	.sysctlbyname = sys_sysctlbyname,
	.sysctl = sys_sysctl,
	.sleep_us = sys_sleep_us,
};
