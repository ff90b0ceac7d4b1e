/* sock_darwin.c - see sock.h. Flags are set after the fact: XNU has no SOCK_CLOEXEC, SOCK_NONBLOCK
 * or accept4(), and nothing of ours calls exec() in between. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/priv/sock.h"

/* @fd with its flags, or -errno and it is closed. */
static int prepared(int fd)
{
	if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	const int rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

int sock_new(int family, int type)
{
	return prepared(socket(family, type, 0));
}

bool sock_has(int type)
{
	return type != SOCK_SEQPACKET; /* bsd/kern/uipc_proto.c */
}

int sock_accept(int fd)
{
	return prepared(accept(fd, NULL, NULL));
}

int sock_pair(int type, int out[2])
{
	int sv[2];
	if (socketpair(AF_UNIX, type, 0, sv) < 0)
		return -errno;
	const int rc = prepared(sv[0]);
	if (rc < 0) {
		close(sv[1]);
		return rc;
	}
	(void)fcntl(sv[1], F_SETFD, FD_CLOEXEC);
	out[0] = sv[0];
	out[1] = sv[1];
	return 0;
}

/* Who is connected hears of it (bsd/kern/uipc_usrreq.c:unp_drop). */
bool sock_name(int fd, struct sockaddr_un *out, socklen_t *out_len)
{
	(void)fd;
	(void)out;
	(void)out_len;
	return false;
}

int sock_peer_owner(int fd, uint32_t *out_uid)
{
	(void)fd;
	(void)out_uid;
	return -EOPNOTSUPP;
}

/* SO_NWRITE is what lies in the sender's buffer; of a Unix socket that is always empty, for all
 * goes at once to the receiver's (bsd/kern/uipc_usrreq.c:uipc_send). */
int sock_unread(int fd)
{
	(void)fd;
	return -1;
}

/* To end its reading would purge what came, here (bsd/kern/uipc_socket.c:sorflush). */
bool sock_drained(int fd)
{
	shutdown(fd, SHUT_WR);
	return false;
}

/* Nothing does. */
void sock_attest(int fd, bool on)
{
	(void)fd;
	(void)on;
}
