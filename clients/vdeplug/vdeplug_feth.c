/* vdeplug_feth.c - libvdeplug_feth.so: what libvdeplug calls for a URL feth://NET.
 *
 *	feth://lab		a port of the network lab, of the user's own daemon or the system's
 *	feth://lab[vm1]		its port vm1, declared (of the kind below) or made
 *	feth:///run/f/lab	the same by the directory of the network's sockets, or its feth.sock
 *
 * The port is a descriptor that takes and gives one frame a message, had by port.open: what
 * libvdeplug's users poll and read is that descriptor itself, and nothing is between. The
 * connection it came by stays open beside it, for its end tells them that the daemon is gone.
 *
 * The interface is that of libvdeplug 4 (its include/libvdeplug_mod.h): one symbol, vdeplug_ops. It
 * is written down here because a plugin needs nothing else of that library, to build or to run. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "feth/client.h"

#define CALL_MS 10000 /* as feth_open(): for a daemon that does not answer */

#ifdef __linux__
#define KIND "seqpacket" /* the end of the other side is seen at once */
#else
#define KIND "dgram"
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* -- libvdeplug_mod.h -- */

struct vdeplug_module;

struct vdeconn {
	void *handle;                  /* the library's, as is the next */
	struct vdeplug_module *module; /* both are filled in behind open */
	struct feth_conn *conn;        /* owned */
	int fd;                        /* owned: the port */
};

struct vde_open_args; /* port, group and mode: of vde_switch's protocol alone */

struct vdeplug_module {
	int flags;
	struct vdeconn *(*open_real)(
		char *url, char *descr, int interface_version, struct vde_open_args *args);
	ssize_t (*recv)(struct vdeconn *vde, void *buf, size_t len, int flags);
	ssize_t (*send)(struct vdeconn *vde, const void *buf, size_t len, int flags);
	int (*datafd)(struct vdeconn *vde);
	int (*ctlfd)(struct vdeconn *vde);
	int (*close)(struct vdeconn *vde);
};

/* -- what a URL says -- */

struct place {
	const char *network; /* its name or a path; in `url` */
	const char *port;    /* "" for any; in `url` */
	char url[108 + 64];  /* a path, and a name in brackets */
	char path[108];      /* of its feth.sock */
};

/* NAME or NAME[PORT]; the library's text is gone when open returns. */
static int split(struct place *place, const char *url)
{
	if (strlen(url) >= sizeof(place->url))
		return -ENAMETOOLONG;
	memcpy(place->url, url, strlen(url) + 1);
	place->network = place->url;
	place->port = "";
	char *open = strchr(place->url, '[');
	if (!open)
		return 0;
	char *close = strchr(open, ']');
	if (!close || close[1])
		return -EINVAL;
	*open = *close = '\0';
	place->port = open + 1;
	return 0;
}

/* Of a path: the feth.sock that it is, or that lies in it. */
static int find_socket(struct place *place)
{
	static const char *const below[] = { "", "/feth.sock" };
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		struct stat st;
		const int n = snprintf(
			place->path, sizeof(place->path), "%s%s", place->network, below[i]);
		if (n < 0 || (size_t)n >= sizeof(place->path))
			return -ENAMETOOLONG;
		if (!stat(place->path, &st) && S_ISSOCK(st.st_mode))
			return 0;
	}
	return -ENOENT;
}

static int connect_to(struct place *place, struct feth_conn **out)
{
	if (!strchr(place->network, '/'))
		return feth_open(out, NULL, place->network);
	const int rc = find_socket(place);
	return rc < 0 ? rc : feth_open(out, place->path, NULL);
}

/* -- port.open -- */

static size_t put_text(uint8_t *out, const char *text)
{
	const size_t len = strlen(text);
	out[0] = 0xd9; /* str 8 */
	out[1] = (uint8_t)len;
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): MessagePack says the length */
	memcpy(out + 2, text, len);
	return 2 + len;
}

/* A descriptor, or -errno. */
static int open_port(struct feth_conn *conn, const char *name)
{
	uint8_t params[64 + FETH_NAME_MAX];
	struct feth_reply reply;
	size_t len = 1;
	if (strlen(name) > FETH_NAME_MAX)
		return -ENAMETOOLONG;
	params[0] = name[0] ? 0x82 : 0x81; /* fixmap */
	len += put_text(params + len, "kind");
	len += put_text(params + len, KIND);
	if (name[0]) {
		len += put_text(params + len, "name");
		len += put_text(params + len, name);
	}
	const int rc = feth_call(conn, "port.open", params, len, &reply, CALL_MS);
	for (uint32_t i = 1; i < reply.n_fds; i++)
		close(reply.fds[i]);
	if (rc < 0) /* whoever called has room for an errno only */
		fprintf(stderr, "libvdeplug_feth: %s\n", feth_error(conn));
	return rc < 0 ? rc : reply.n_fds ? reply.fds[0] : -EPROTO;
}

static int open_vde(struct vdeconn *vde, const char *url)
{
	struct place place;
	int rc = split(&place, url);
	if (!rc)
		rc = connect_to(&place, &vde->conn);
	if (!rc)
		rc = open_port(vde->conn, place.port);
	if (rc < 0)
		return rc;
	vde->fd = rc;
	return 0;
}

/* -- what libvdeplug calls -- */

static int feth_vde_close(struct vdeconn *vde)
{
	if (vde->fd >= 0)
		close(vde->fd);
	feth_close(vde->conn);
	free(vde);
	return 0;
}

static struct vdeconn *feth_vde_open(
	char *url, char *descr, int interface_version, struct vde_open_args *args)
{
	(void)descr;
	(void)args;
	if (interface_version != 1) {
		errno = EINVAL;
		return NULL;
	}
	struct vdeconn *vde = calloc(1, sizeof(*vde));
	if (!vde)
		return NULL;
	vde->fd = -1;
	const int rc = open_vde(vde, url);
	if (rc < 0) {
		feth_vde_close(vde);
		errno = -rc;
		return NULL;
	}
	return vde;
}

/* The other side is gone: a descriptor that has reached its end is readable for ever, and whoever
 * waits for it would spin. One of a socket that nobody can send to is not. */
static void fall_silent(const struct vdeconn *vde)
{
	const int idle = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (idle < 0)
		return;
	if (dup2(idle, vde->fd) >= 0)
		(void)fcntl(vde->fd, F_SETFD, FD_CLOEXEC);
	close(idle);
}

/* 0: a frame that does not fit into @buf, which is better lost than cut short. */
static ssize_t feth_vde_recv(struct vdeconn *vde, void *buf, size_t len, int flags)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	const ssize_t n = recvmsg(vde->fd, &msg, flags);
	if (!n || (n < 0 && errno == ECONNRESET)) { /* no frame is empty */
		fall_silent(vde);
		errno = ECONNRESET;
		return -1;
	}
	return msg.msg_flags & MSG_TRUNC ? 0 : n;
}

static ssize_t feth_vde_send(struct vdeconn *vde, const void *buf, size_t len, int flags)
{
	return send(vde->fd, buf, len, flags | MSG_NOSIGNAL);
}

static int feth_vde_datafd(struct vdeconn *vde)
{
	return vde->fd;
}

static int feth_vde_ctlfd(struct vdeconn *vde)
{
	return feth_fd(vde->conn);
}

extern FETH_API struct vdeplug_module vdeplug_ops;
struct vdeplug_module vdeplug_ops = {
	.open_real = feth_vde_open,
	.recv = feth_vde_recv,
	.send = feth_vde_send,
	.datafd = feth_vde_datafd,
	.ctlfd = feth_vde_ctlfd,
	.close = feth_vde_close,
};
