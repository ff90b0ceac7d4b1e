/* sim_local.c - the table darwin_sys for code in this process: calls of the process set by
 * sim_become(). */
#include "tests/darwin/sim_priv.h"

#include <stdlib.h>
#include <time.h>

static struct sim_proc *self;

void sim_become(struct sim_proc *p)
{
	self = p;
}

/* A call before sim_become() is a mistake of the test. */
static struct sim_proc *me(void)
{
	if (!self)
		abort();
	return self;
}

static uint32_t local_geteuid(void)
{
	return sim_euid(me());
}

static int local_socket(int domain, int type, int protocol)
{
	return sim_socket(me(), domain, type, protocol);
}

static int local_open(const char *path)
{
	return sim_open(me(), path);
}

static int local_close(int fd)
{
	return sim_close(me(), fd);
}

static int local_ioctl(int fd, unsigned long request, void *arg)
{
	return sim_ioctl(me(), fd, request, arg);
}

static int local_setsockopt(int fd, int level, int option, int value)
{
	return sim_setsockopt(me(), fd, level, option, &value, sizeof(value));
}

static int local_bind(int fd, const void *addr, size_t addr_len)
{
	return sim_bind(me(), fd, addr, addr_len);
}

static int local_connect(int fd, const void *addr, size_t addr_len)
{
	return sim_connect(me(), fd, addr, addr_len);
}

static long local_read(int fd, void *buf, size_t size)
{
	return sim_read(me(), fd, buf, size);
}

static long local_write(int fd, const void *buf, size_t size)
{
	return sim_write(me(), fd, buf, size);
}

static long local_writev(int fd, const struct seg *pieces, unsigned n)
{
	return sim_writev(me(), fd, pieces, n);
}

static int local_sysctlbyname(
	const char *name, void *old, size_t *old_len, const void *new, size_t new_len)
{
	return sim_sysctlbyname(me(), name, old, old_len, new, new_len);
}

static int local_sysctl(const int *mib, unsigned n, void *old, size_t *old_len)
{
	return sim_sysctl(me(), mib, n, old, old_len);
}

/* Virtual time just goes on; with a clock given, the sleep is one. */
static void local_sleep_us(unsigned us)
{
	struct sim *sim = me()->sim;

	if (sim->clock) {
		struct timespec t = { .tv_sec = us / 1000000,
			.tv_nsec = (long)(us % 1000000) * 1000 };
		nanosleep(&t, NULL);
		sim_settle(sim);
		return;
	}
	sim_advance_us(sim, us);
}

const struct darwin_sys darwin_sys = {
	.geteuid = local_geteuid,
	.socket = local_socket,
	.open = local_open,
	.close = local_close,
	.ioctl = local_ioctl,
	.setsockopt = local_setsockopt,
	.bind = local_bind,
	.connect = local_connect,
	.read = local_read,
	.write = local_write,
	.writev = local_writev,
	.sysctlbyname = local_sysctlbyname,
	.sysctl = local_sysctl,
	.sleep_us = local_sleep_us,
};
