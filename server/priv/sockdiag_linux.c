/* sockdiag_linux.c - sock_peer_owner() of sock.h, by what the kernel knows of
 * every socket: its inode, that of its peer, and whose it is (sock_diag(7)). */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/priv/sock.h"

/* The value of attribute @type in an answer. 0, -ENOENT: it has none, or what the kernel said. */
static int attribute(const char *buf, size_t len, unsigned type, uint32_t *out)
{
	const struct nlmsghdr *nlh = (const void *)buf;
	if (len < NLMSG_HDRLEN || nlh->nlmsg_len > len)
		return -EPROTO;
	if (nlh->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(nlh))->error;
	struct rtattr a;
	for (size_t at = NLMSG_SPACE(sizeof(struct unix_diag_msg));
		at + sizeof(a) <= nlh->nlmsg_len; at += RTA_ALIGN(a.rta_len)) {
		memcpy(&a, buf + at, sizeof(a));
		if (a.rta_len < sizeof(a))
			break;
		if (a.rta_type != type || a.rta_len < RTA_LENGTH(sizeof(*out)) ||
			at + RTA_LENGTH(sizeof(*out)) > nlh->nlmsg_len)
			continue;
		memcpy(out, buf + at + RTA_LENGTH(0), sizeof(*out));
		return 0;
	}
	return -ENOENT;
}

/* Asks about the Unix socket of this inode, in our network namespace. */
static int ask(int nl, uint32_t inode, uint32_t show, unsigned type, uint32_t *out)
{
	struct {
		struct nlmsghdr nlh;
		struct unix_diag_req req;
	} msg = {
		.nlh = { .nlmsg_len = sizeof(msg),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST },
		.req = { .sdiag_family = AF_UNIX,
			.udiag_states = UINT32_MAX,
			.udiag_ino = inode,
			.udiag_show = show,
			.udiag_cookie = { UINT32_MAX, UINT32_MAX } },
	};
	_Alignas(struct nlmsghdr) char buf[1024];
	if (send(nl, &msg, sizeof(msg), 0) < 0)
		return -errno;
	const ssize_t n = recv(nl, buf, sizeof(buf), 0); /* the answer is there already */
	return n < 0 ? -errno : attribute(buf, (size_t)n, type, out);
}

int sock_peer_owner(int fd, uint32_t *out_uid)
{
	struct stat st;
	uint32_t inode = 0, uid = 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	const int nl =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	if (nl < 0)
		return -errno;
	int rc = ask(nl, (uint32_t)st.st_ino, UDIAG_SHOW_PEER, UNIX_DIAG_PEER, &inode);
	if (!rc)
		rc = ask(nl, inode, UDIAG_SHOW_UID, UNIX_DIAG_UID, &uid);
	close(nl);
	if (!rc)
		*out_uid = uid;
	return rc;
}
