/* msgio_linux.c - see msgio.h. */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/core/access.h"
#include "server/io/ioloop.h"
#include "server/io/msgio.h"
#include "server/priv/sock.h"

_Static_assert(sizeof(struct seg) == sizeof(struct iovec) &&
		       offsetof(struct seg, base) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct seg, len) == offsetof(struct iovec, iov_len),
	"struct seg is laid out like struct iovec");

/* What the kernel may say beside a message. Too little room would do no harm but that it closed
 * what did not fit itself, which may take long (io/shared.h). */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(SOCK_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

/* Behind the slots. */
struct aside {
	union control control[MSGIO_BATCH];
	struct sockaddr_un names[MSGIO_BATCH];
};

_Static_assert(MSGIO_BATCH *MSGIO_SLOT + sizeof(struct aside) <= MSGIO_BUF, "all of it has room");
_Static_assert(MSGIO_BUF <= IOLOOP_BUF, "a loop's buffer will do");
_Static_assert(MSGIO_BATCH *MSGIO_SLOT % 64 == 0, "what is behind the slots is aligned");

static void read_control(
	struct msghdr *msg, struct msgio_in *in, const struct msgio_ops *ops, void *ctx)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS)
			ops->descriptors(ctx, CMSG_DATA(c), sock_fds(msg, c));
		if (c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;
			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			/* nobody asked when it was sent: that is what there is then */
			in->attested = cred.pid || cred.uid != UID_OVERFLOW;
			in->uid = cred.uid;
			in->gid = cred.gid;
			in->pid = (uint32_t)cred.pid;
		}
	}
}

int msgio_recv(int fd, uint8_t *buf, struct msgio_in *out, bool named, const struct msgio_ops *ops,
	void *ctx)
{
	struct aside *aside = (void *)(buf + (size_t)MSGIO_BATCH * MSGIO_SLOT);
	struct mmsghdr msgs[MSGIO_BATCH];
	struct iovec iov[MSGIO_BATCH];
	memset(msgs, 0, sizeof(msgs));
	for (unsigned i = 0; i < MSGIO_BATCH; i++) {
		iov[i].iov_base = buf + (size_t)i * MSGIO_SLOT;
		iov[i].iov_len = MSGIO_SLOT;
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
		msgs[i].msg_hdr.msg_control = aside->control[i].bytes;
		msgs[i].msg_hdr.msg_controllen = sizeof(aside->control[i].bytes);
		if (named) {
			msgs[i].msg_hdr.msg_name = &aside->names[i];
			msgs[i].msg_hdr.msg_namelen = sizeof(aside->names[i]);
		}
	}
	int n;
	do
		n = recvmmsg(
			fd, msgs, MSGIO_BATCH, MSG_DONTWAIT | MSG_TRUNC | SOCK_RECV_FLAGS, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct msghdr *msg = &msgs[i].msg_hdr;
		out[i] = (struct msgio_in){ .data = iov[i].iov_base, .len = msgs[i].msg_len };
		if (named && msg->msg_namelen > offsetof(struct sockaddr_un, sun_path)) {
			out[i].from = msg->msg_name;
			/* a path of 108 bytes has an end behind it, which it is said to have, too
			 */
			out[i].from_len = msg->msg_namelen < sizeof(aside->names[i])
						  ? msg->msg_namelen
						  : sizeof(aside->names[i]);
		}
		if (msg->msg_controllen)
			read_control(msg, &out[i], ops, ctx);
		if (!out[i].attested) /* anybody can say that he is bound there */
			out[i].from_len = 0;
	}
	return n;
}

bool msgio_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };
	int left;
	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLRDHUP | POLLERR) &&
	       !(ioctl(fd, SIOCINQ, &left) == 0 && left);
}

int msgio_send(int fd, const struct msgio_out *msgs, unsigned n, const struct sockaddr_un *to,
	uint32_t to_len)
{
	struct mmsghdr out[MSGIO_BATCH];
	if (n > MSGIO_BATCH)
		n = MSGIO_BATCH;
	memset(out, 0, n * sizeof(out[0]));
	for (unsigned i = 0; i < n; i++) {
		out[i].msg_hdr.msg_iov = (struct iovec *)(uintptr_t)msgs[i].segs;
		out[i].msg_hdr.msg_iovlen = msgs[i].n;
		if (to) {
			out[i].msg_hdr.msg_name = (void *)(uintptr_t)to;
			out[i].msg_hdr.msg_namelen = to_len;
		}
	}
	int rc;
	do
		rc = sendmmsg(fd, out, n, MSG_DONTWAIT | SOCK_SEND_FLAGS);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : rc;
}

/* What is written counts against the sender's buffer until it is read, so the reader's own does not
 * matter here; of UDP it is what holds a burst. */
void msgio_buffers(int fd)
{
	const int snd = IOLOOP_SNDBUF, rcv = 4 * 1024 * 1024;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &snd, sizeof(snd));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcv, sizeof(rcv));
}
