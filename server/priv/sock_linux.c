/* sock_linux.c - see sock.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/priv/sock.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16; include/uapi/asm-generic/socket.h */
#endif

static void refuse_descriptors(int fd)
{
	const int off = 0;
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
}

int sock_new(int family, int type)
{
	const int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (family == AF_UNIX)
		refuse_descriptors(fd); /* connections inherit it */
	return fd;
}

int sock_accept(int fd)
{
	const int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return conn < 0 ? -errno : conn;
}

bool sock_has(int type)
{
	(void)type;
	return true;
}

int sock_pair(int type, int out[2])
{
	int sv[2];
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	(void)fcntl(sv[0], F_SETFL, O_NONBLOCK);
	refuse_descriptors(sv[0]); /* the other end takes what we send */
	out[0] = sv[0];
	out[1] = sv[1];
	return 0;
}

/* Nothing tells a SOCK_DGRAM that the other end is closed. An abstract address of the kernel's
 * choice (unix(7), autobind) does, when somebody tries to connect; and as it is connected to us
 * nobody else can send to it. */
bool sock_name(int fd, struct sockaddr_un *out, socklen_t *out_len)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	*out_len = sizeof(*out);
	return !bind(fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) &&
	       !getsockname(fd, (struct sockaddr *)out, out_len);
}

int sock_unread(int fd)
{
	int unread;
	return ioctl(fd, SIOCOUTQ, &unread) < 0 ? -1 : unread; /* unix(7) */
}

bool sock_drained(int fd)
{
	int left;
	shutdown(fd, SHUT_RDWR);
	return !ioctl(fd, SIOCINQ, &left) && !left;
}

void sock_attest(int fd, bool on)
{
	const int value = on;
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &value, sizeof(value));
}
