/* dial.c - sockets to whom administrators say: see verbs.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/priv/sock.h"
#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

static bool anywhere; /* set once, by verb_dial_anywhere() */

void verb_dial_anywhere(void)
{
	anywhere = true;
}

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t address_of(const struct endpoint *end, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (end->family == 4) {
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons(end->port);
		memcpy(&out->in.sin_addr, end->addr, 4);
		return sizeof(out->in);
	}
	out->in6.sin6_family = AF_INET6;
	out->in6.sin6_port = htons(end->port);
	memcpy(&out->in6.sin6_addr, end->addr, 16);
	return sizeof(out->in6);
}

/* As it was given. */
static void target(const struct dial *dial, char out[DIAL_TEXT])
{
	char addr[INET6_ADDRSTRLEN];
	if (dial->way == DIAL_PATH) {
		memcpy(out, dial->path, sizeof(dial->path));
		return;
	}
	inet_ntop(dial->remote.family == 4 ? AF_INET : AF_INET6, dial->remote.addr, addr,
		sizeof(addr));
	snprintf(out, DIAL_TEXT, dial->remote.family == 4 ? "%s:%s:%u" : "%s:[%s]:%u",
		dial->way == DIAL_TCP ? "tcp" : "udp", addr, dial->remote.port);
}

static int failed(const struct dial *dial, int rc, const char *what, struct err *err)
{
	char to[DIAL_TEXT];
	target(dial, to);
	return err_set(err, rc, "cannot %s %s: %s", what, to,
		rc == -ECONNREFUSED ? "nobody listens there"
		: rc == -EAGAIN     ? "too many wait there to be accepted"
		: rc == -EPROTOTYPE ? "it is a socket of another type"
		: rc == -ELOOP      ? "that is a link; name the socket itself"
		: rc == -ENOTSOCK   ? "that is no socket"
				    : strerror(-rc));
}

static int connect_inet(int fd, const struct dial *dial)
{
	union address remote, local;
	const int on = 1;
	socklen_t len = address_of(&dial->local, &local);
	if (dial->way == DIAL_TCP)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	else if (bind(fd, &local.any, len) < 0)
		return -errno;
	len = address_of(&dial->remote, &remote);
	return connect(fd, &remote.any, len) < 0 ? -errno : 0;
}

static int check(const struct dial *dial, struct err *err)
{
	if (dial->way == DIAL_NONE)
		return err_set(err, -EINVAL, "there is nobody to connect to");
	if (anywhere || dial_is_local(dial))
		return 0;
	return err_set(err, -EACCES, "other machines are not called");
}

int verb_dial(const struct dial *dial, int *out_fd, struct err *err)
{
	const bool path = dial->way == DIAL_PATH;
	int rc = check(dial, err);
	if (rc < 0)
		return rc;
	const int fd = sock_new(path                       ? AF_UNIX
				: dial->remote.family == 4 ? AF_INET
							   : AF_INET6,
		dial->way == DIAL_UDP ? SOCK_DGRAM : SOCK_STREAM);
	if (fd < 0)
		return failed(dial, fd, "make a socket for", err);
	rc = path ? verbs_connect(fd, dial->path) : connect_inet(fd, dial);
	if (!rc || rc == -EINPROGRESS) {
		*out_fd = fd;
		return rc ? 1 : 0;
	}
	close(fd);
	return failed(dial, rc, dial->way == DIAL_UDP ? "send to" : "connect to", err);
}

int verb_dialled(const struct dial *dial, int fd, struct err *err)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	return error ? failed(dial, -error, "connect to", err) : 0;
}
