/* msgio_darwin.c - see msgio.h. A call for each message: what is faster, recvmsg_x(), is no public
 * interface. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/io/msgio.h"
#include "server/priv/sock.h"

_Static_assert(sizeof(struct seg) == sizeof(struct iovec) &&
		       offsetof(struct seg, base) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct seg, len) == offsetof(struct iovec, iov_len),
	"struct seg is laid out like struct iovec");
_Static_assert(MSGIO_BATCH *MSGIO_SLOT + MSGIO_BATCH * sizeof(struct sockaddr_un) <= MSGIO_BUF,
	"all of it has room");

static ssize_t recv_one(int fd, struct msghdr *msg)
{
	ssize_t n;
	do
		n = recvmsg(fd, msg, MSG_DONTWAIT | SOCK_RECV_FLAGS);
	while (n < 0 && errno == EINTR);
	return n;
}

int msgio_recv(int fd, uint8_t *buf, struct msgio_in *out, bool named, const struct msgio_ops *ops,
	void *ctx)
{
	struct sockaddr_un *names = (void *)(buf + (size_t)MSGIO_BATCH * MSGIO_SLOT);
	int n = 0;
	while (n < (int)MSGIO_BATCH) {
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(SOCK_FDS_MAX * sizeof(int))];
		} control;
		struct iovec iov = { buf + (size_t)n * MSGIO_SLOT, MSGIO_SLOT };
		struct msghdr msg = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes),
			.msg_name = named ? &names[n] : NULL,
			.msg_namelen = named ? sizeof(names[n]) : 0,
		};
		const ssize_t len = recv_one(fd, &msg);
		if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (len < 0)
			return n ? n : -errno;
		/* what was cut off is not told: one byte more than there was room for */
		out[n] = (struct msgio_in){ .data = iov.iov_base,
			.len = (uint32_t)len + (msg.msg_flags & MSG_TRUNC ? 1u : 0u) };
		if (named && msg.msg_namelen > offsetof(struct sockaddr_un, sun_path)) {
			out[n].from = &names[n];
			out[n].from_len = msg.msg_namelen < sizeof(names[n]) ? msg.msg_namelen
									     : sizeof(names[n]);
		}
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
				ops->descriptors(ctx, CMSG_DATA(c), sock_fds(&msg, c));
		n++;
	}
	return n;
}

bool msgio_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

int msgio_send(int fd, const struct msgio_out *msgs, unsigned n, const struct sockaddr_un *to,
	uint32_t to_len)
{
	for (unsigned i = 0; i < n; i++) {
		const struct msghdr msg = {
			.msg_iov = (struct iovec *)(uintptr_t)msgs[i].segs,
			.msg_iovlen = msgs[i].n,
			.msg_name = (void *)(uintptr_t)to,
			.msg_namelen = to ? to_len : 0,
		};
		ssize_t rc;
		do
			rc = sendmsg(fd, &msg, MSG_DONTWAIT | SOCK_SEND_FLAGS);
		while (rc < 0 && errno == EINTR);
		if (rc < 0)
			return i ? (int)i : errno == EWOULDBLOCK ? -EAGAIN : -errno;
	}
	return (int)n;
}

/* SO_SNDBUF is the longest message that can be sent, 2 KiB if nobody says, and SO_RCVBUF what may
 * wait to be read, which Apple's own advice has at four times as much (XNU uipc_usrreq.c). */
void msgio_buffers(int fd)
{
	const int snd = MSGIO_SLOT, rcv = 4 * 1024 * 1024;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &snd, sizeof(snd));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcv, sizeof(rcv));
}
