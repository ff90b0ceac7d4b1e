/* client.c - the kernel of a simulated machine in another process, as the table that the feth
 * backend is linked against. See wire.h.
 *
 * Descriptors are real ones, ends of socket pairs, so that they can be polled, counted and closed
 * by code that knows nothing of this. Where there is no machine, or it has gone, nothing can be
 * tested: the process ends with a sentence. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"
#include "tests/darwin/wire.h"

#define DESCS_MAX 65536u
#define PIECES_MAX 64u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of everything below */
static int machine = -1;
static uint64_t ids[DESCS_MAX]; /* by real descriptor: wire_request.desc; 0: none of these */

static void die(const char *what)
{
	fprintf(stderr, "ERROR: the simulated machine: %s: %s\n", what, strerror(errno));
	_exit(125);
}

/* -- messages -- */

static void put(const struct iovec *pieces, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *data = pieces[i].iov_base;
		for (size_t at = 0; at < pieces[i].iov_len;) {
			const ssize_t done =
				send(machine, data + at, pieces[i].iov_len - at, MSG_NOSIGNAL);
			if (done < 0 && errno != EINTR)
				die("send");
			at += done > 0 ? (size_t)done : 0;
		}
	}
}

/* All pieces at once, as far as the socket takes them. */
static void put_all(struct iovec *pieces, unsigned n)
{
	const struct msghdr msg = { .msg_iov = pieces, .msg_iovlen = n };
	ssize_t done;
	do
		done = sendmsg(machine, &msg, MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		die("sendmsg");
	size_t left = (size_t)done;
	for (; n && left >= pieces->iov_len; pieces++, n--)
		left -= pieces->iov_len;
	if (n) {
		pieces->iov_base = (uint8_t *)pieces->iov_base + left;
		pieces->iov_len -= left;
		put(pieces, n);
	}
}

static void take(void *buf, size_t size)
{
	for (size_t at = 0; at < size;) {
		const ssize_t n = recv(machine, (uint8_t *)buf + at, size - at, MSG_WAITALL);
		if (n == 0)
			errno = EPIPE;
		if (n == 0 || (n < 0 && errno != EINTR))
			die("recv");
		at += n > 0 ? (size_t)n : 0;
	}
}

/* The length of a reply, and the descriptor that comes with its first byte, or -1. */
static uint32_t take_head(int *out_fd)
{
	uint32_t size;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { &size, sizeof(size) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	do
		n = recvmsg(machine, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		errno = n ? errno : EPIPE;
		die("recvmsg");
	}
	const struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	*out_fd = -1;
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		memcpy(out_fd, CMSG_DATA(head), sizeof(*out_fd));
	take((uint8_t *)&size + n, sizeof(size) - (size_t)n);
	return size;
}

static uint32_t my_euid(void)
{
	const char *text = getenv(WIRE_ENV_UID);
	return text && *text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static void connect_machine(void)
{
	const char *path = getenv(WIRE_ENV_SOCKET);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	if (!path || strlen(path) >= sizeof(addr.sun_path)) {
		errno = EINVAL;
		die(WIRE_ENV_SOCKET " must name darwinsim's socket");
	}
	memcpy(addr.sun_path, path, strlen(path));
	machine = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (machine < 0 || connect(machine, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		die(path);
	char text[32];
	const uint32_t n = (uint32_t)snprintf(text, sizeof(text), "process %u", my_euid());
	struct iovec pieces[] = { { (void *)&n, sizeof(n) }, { text, n } };
	put_all(pieces, 2);
}

/* A request and its reply. */
struct call {
	struct wire_request rq;
	struct iovec pieces[PIECES_MAX]; /* the first two are ours; tail behind them */
	unsigned n;
	struct wire_reply reply;
	int fd;           /* the descriptor that came, or -1 */
	void *tail;       /* where the reply's goes */
	size_t size, len; /* room there; how much came */
};

static struct call call_begin(enum wire_op op, int fd)
{
	return (struct call){
		.rq = { .op = (uint32_t)op,
			.desc = fd >= 0 && (unsigned)fd < DESCS_MAX ? ids[fd] : 0 },
		.n = 2,
	};
}

static void call_add(struct call *c, const void *data, size_t len)
{
	if (len)
		c->pieces[c->n++] = (struct iovec){ (void *)data, len };
}

/* Locked. */
static void call_do(struct call *c)
{
	uint32_t size = sizeof(c->rq);
	if (machine < 0)
		connect_machine();
	for (unsigned i = 2; i < c->n; i++)
		size += (uint32_t)c->pieces[i].iov_len;
	c->pieces[0] = (struct iovec){ &size, sizeof(size) };
	c->pieces[1] = (struct iovec){ &c->rq, sizeof(c->rq) };
	put_all(c->pieces, c->n);

	const uint32_t got = take_head(&c->fd);
	if (got < sizeof(c->reply) || got - sizeof(c->reply) > c->size) {
		errno = EPROTO;
		die("reply");
	}
	take(&c->reply, sizeof(c->reply));
	c->len = got - sizeof(c->reply);
	take(c->tail, c->len);
}

static int rc_of(const struct call *c)
{
	return (int)c->reply.rc;
}

/* -- calls -- */

static uint32_t sys_geteuid(void)
{
	return my_euid();
}

/* A new descriptor, or -DW_E*. */
static int descriptor(struct call *c)
{
	pthread_mutex_lock(&lock);
	call_do(c);
	int rc = rc_of(c);
	if (c->reply.rc > 0) {
		/* where we have no room for it the kernel has closed it */
		rc = c->fd >= 0 && (unsigned)c->fd < DESCS_MAX ? c->fd : -DW_EMFILE;
		if (rc >= 0)
			ids[rc] = (uint64_t)c->reply.rc;
		else if (c->fd >= 0)
			close(c->fd);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static int sys_socket(int domain, int type, int protocol)
{
	struct call c = call_begin(WIRE_SOCKET, -1);
	c.rq.arg[0] = (uint64_t)domain;
	c.rq.arg[1] = (uint64_t)type;
	c.rq.arg[2] = (uint64_t)protocol;
	return descriptor(&c);
}

static int sys_open(const char *path)
{
	struct call c = call_begin(WIRE_OPEN, -1);
	call_add(&c, path, strlen(path) + 1);
	return descriptor(&c);
}

/* The machine sees that the pair's end is closed. */
static int sys_close(int fd)
{
	pthread_mutex_lock(&lock);
	const bool ours = fd >= 0 && (unsigned)fd < DESCS_MAX && ids[fd];
	if (ours)
		ids[fd] = 0;
	pthread_mutex_unlock(&lock);
	return ours && !close(fd) ? 0 : -DW_EBADF;
}

static int locked(struct call *c)
{
	pthread_mutex_lock(&lock);
	call_do(c);
	pthread_mutex_unlock(&lock);
	return rc_of(c);
}

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	union {
		uint8_t bytes[0x1fff + WIRE_DRVSPEC_MAX];
		struct dw_ifdrv drv;
		struct dw_bpf_program program;
	} back;
	const size_t n = DW_IOC_SIZE(request);
	const void *more = NULL;
	size_t more_len = 0;
	struct call c = call_begin(WIRE_IOCTL, fd);
	struct dw_ifdrv drv;
	if (request == DW_SIOCSDRVSPEC || request == DW_SIOCGDRVSPEC) {
		memcpy(&drv, arg, sizeof(drv));
		more = drv.data;
		more_len = drv.len;
	} else if (request == DW_BIOCSETF || request == DW_BIOCSETFNR) {
		memcpy(&back.program, arg, sizeof(back.program));
		more = (const void *)(uintptr_t)back.program.insns; /* struct bpf_insn: 8 bytes */
		more_len = back.program.len * (size_t)8;
	}
	if (!more)
		more_len = 0;
	if (more_len > WIRE_DRVSPEC_MAX)
		return -DW_EINVAL;
	c.rq.arg[0] = request;
	c.rq.arg[1] = n;
	call_add(&c, arg, n);
	call_add(&c, more, more_len);
	c.tail = back.bytes;
	c.size = sizeof(back);
	const int rc = locked(&c);
	if (request == DW_SIOCGDRVSPEC && c.len == n + more_len && more_len)
		memcpy(drv.data, back.bytes + n, more_len);
	/* sys_generic.c:ioctl(): copied out only where it worked */
	if (rc >= 0 && request & DW_IOC_OUT && c.len >= n) {
		memcpy(arg, back.bytes, n);
		if (request == DW_SIOCGDRVSPEC)
			memcpy((uint8_t *)arg + offsetof(struct dw_ifdrv, data), &drv.data,
				sizeof(drv.data));
	}
	return rc;
}

static int sys_setsockopt(int fd, int level, int option, int value)
{
	struct call c = call_begin(WIRE_SETSOCKOPT, fd);
	c.rq.arg[0] = (uint64_t)level;
	c.rq.arg[1] = (uint64_t)option;
	c.rq.arg[2] = (uint64_t)value;
	return locked(&c);
}

static int sys_bind(int fd, const void *addr, size_t addr_len)
{
	struct call c = call_begin(WIRE_BIND, fd);
	call_add(&c, addr, addr_len);
	return locked(&c);
}

static int sys_connect(int fd, const void *addr, size_t addr_len)
{
	struct call c = call_begin(WIRE_CONNECT, fd);
	call_add(&c, addr, addr_len);
	return locked(&c);
}

static long sys_read(int fd, void *buf, size_t size)
{
	char seen[16];
	while (recv(fd, seen, sizeof(seen), MSG_DONTWAIT) == (ssize_t)sizeof(seen))
		; /* what said that it is readable; more comes if it still is */
	struct call c = call_begin(WIRE_READ, fd);
	c.rq.arg[0] = size;
	c.tail = buf;
	c.size = size;
	(void)locked(&c);
	return (long)c.reply.rc;
}

static long sys_writev(int fd, const struct seg *pieces, unsigned n)
{
	struct call c = call_begin(WIRE_WRITE, fd);
	uint8_t *all = NULL;
	if (n <= PIECES_MAX - 2) {
		for (unsigned i = 0; i < n; i++)
			call_add(&c, pieces[i].base, pieces[i].len);
	} else {
		size_t len = 0, at = 0;
		for (unsigned i = 0; i < n; i++)
			len += pieces[i].len;
		all = malloc(len + 1);
		if (!all)
			return -DW_ENOMEM;
		for (unsigned i = 0; i < n; at += pieces[i++].len)
			memcpy(all + at, pieces[i].base, pieces[i].len);
		call_add(&c, all, len);
	}
	(void)locked(&c);
	free(all);
	return (long)c.reply.rc;
}

static long sys_write(int fd, const void *buf, size_t size)
{
	const struct seg piece = { buf, size };
	return sys_writev(fd, &piece, 1);
}

static int sys_sysctlbyname(
	const char *name, void *old, size_t *old_len, const void *new, size_t new_len)
{
	struct call c = call_begin(WIRE_SYSCTLBYNAME, -1);
	c.rq.arg[0] = old && old_len ? *old_len : 0;
	c.rq.arg[1] = old != NULL;
	c.rq.arg[2] = new ? new_len : 0;
	call_add(&c, name, strlen(name) + 1);
	call_add(&c, new, new ? new_len : 0);
	c.tail = old;
	c.size = c.rq.arg[0];
	const int rc = locked(&c);
	if (old_len)
		*old_len = c.reply.size;
	return rc;
}

static int sys_sysctl(const int *mib, unsigned n, void *old, size_t *old_len)
{
	struct call c = call_begin(WIRE_SYSCTL, -1);
	c.rq.arg[0] = old ? *old_len : 0;
	c.rq.arg[1] = old != NULL;
	call_add(&c, mib, n * sizeof(*mib));
	c.tail = old;
	c.size = c.rq.arg[0];
	const int rc = locked(&c);
	*old_len = c.reply.size;
	return rc;
}

static void sys_sleep_us(unsigned us)
{
	usleep(us);
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
