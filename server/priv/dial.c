/* dial.c - sockets to whom administrators say: see verbs.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

static int failed(const char *what, const char *whom, int rc, struct err *err)
{
	return err_set(err, rc, "cannot %s %s: %s", what, whom,
		rc == -ECONNREFUSED ? "nobody listens there"
		: rc == -EAGAIN     ? "too many wait there to be accepted"
		: rc == -EPROTOTYPE ? "it is a socket of another type"
		: rc == -ELOOP      ? "there is a link in that path; name the real one"
		: rc == -EISCONN    ? "that is itself; everything would come back"
		: rc == -ENOTSOCK   ? "that is no socket"
				    : strerror(-rc));
}

static int connect_inet(int fd, const struct endpoint *remote)
{
	union address addr;
	const socklen_t len = address_of(remote, &addr);
	return connect(fd, &addr.any, len) < 0 ? -errno : 0;
}

static int connect_tcp(int fd, const struct endpoint *remote)
{
	const int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	verbs_watch(fd);
	return connect_inet(fd, remote);
}

static int bind_inet(int fd, const struct endpoint *local)
{
	union address addr;
	const socklen_t len = address_of(local, &addr);
	return bind(fd, &addr.any, len) < 0 ? -errno : 0;
}

static int check(const struct dial *dial, struct err *err)
{
	if (dial->way == DIAL_NONE)
		return err_set(err, -EINVAL, "there is nobody to connect to");
	if (anywhere || dial_is_local(dial))
		return 0;
	return err_set(err, -EACCES, "other machines are not called");
}

static bool named(const struct dial *dial)
{
	return dial->way == DIAL_PATH || dial->way == DIAL_PLACE;
}

/* As it was given. */
static int failed_at(const char *what, const struct dial *dial, const struct endpoint *end, int rc,
	struct err *err)
{
	char addr[INET6_ADDRSTRLEN], whom[DIAL_TEXT];
	if (named(dial))
		return failed(what, dial->path, rc, err);
	inet_ntop(end->family == 4 ? AF_INET : AF_INET6, end->addr, addr, sizeof(addr));
	snprintf(whom, sizeof(whom), end->family == 4 ? "%s%s:%u" : "%s[%s]:%u",
		dial->way == DIAL_TCP ? "tcp:" : "", addr, end->port);
	return failed(what, whom, rc, err);
}

/* Who calls a number of those that are given to callers, and nobody is there, may be given that
 * very number, and is then connected to himself (RFC 9293, 3.5: both ends open at once). */
static bool to_itself(int fd)
{
	union address here = { 0 }, there = { 0 };
	socklen_t n = sizeof(here), m = sizeof(there);
	return !getsockname(fd, &here.any, &n) && !getpeername(fd, &there.any, &m) && n == m &&
	       !memcmp(&here, &there, n);
}

/* Between bind() and connect() it is anybody's to send to. A datagram that another processor has
 * looked the socket up for by then, and not yet queued, is still heard: two in 50 000 ports made in
 * a flood. To wait for it (membarrier(2), for all processors) would hold main for 12 ms each, and
 * who wants to can send it with the peer's address as well. */
static int make_udp(const struct dial *dial, int fd, struct err *err)
{
	int rc = verbs_deaf(fd);
	if (!rc)
		rc = bind_inet(fd, &dial->local);
	if (rc < 0)
		return failed_at("get datagrams at", dial, &dial->local, rc, err);
	rc = connect_inet(fd, &dial->remote);
	if (!rc && to_itself(fd)) /* `local` is any address of this machine */
		rc = -EISCONN;
	if (!rc)
		rc = verbs_hear(fd);
	return rc < 0 ? failed_at("send to", dial, &dial->remote, rc, err) : 0;
}

/* 0, or -EINPROGRESS; or another, and the sentence. */
static int make(const struct dial *dial, int fd, struct err *err)
{
	int rc = -EINVAL;
	switch (dial->way) {
	case DIAL_PATH:
		rc = verbs_connect(fd, dial->path);
		break;
	case DIAL_TCP:
		rc = connect_tcp(fd, &dial->remote);
		if (!rc && to_itself(fd))
			rc = -ECONNREFUSED;
		break;
	case DIAL_UDP:
		return make_udp(dial, fd, err);
	case DIAL_PLACE: /* verb_connect_peer() is for that, on the network's loop */
		if (strlen(dial->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return failed("connect to", dial->path, -ENAMETOOLONG, err);
		rc = 0;
		break;
	case DIAL_NONE:
		break;
	}
	return rc < 0 && rc != -EINPROGRESS ? failed_at("connect to", dial, &dial->remote, rc, err)
					    : rc;
}

int verb_dial(const struct dial *dial, int *out_fd, struct err *err)
{
	int rc = check(dial, err);
	if (rc < 0)
		return rc;
	const bool datagrams = dial->way == DIAL_UDP || dial->way == DIAL_PLACE;
	const int fd = sock_new(named(dial)                ? AF_UNIX
				: dial->remote.family == 4 ? AF_INET
							   : AF_INET6,
		datagrams ? SOCK_DGRAM : SOCK_STREAM);
	if (fd < 0)
		return failed_at("make a socket for", dial, &dial->remote, fd, err);
	rc = make(dial, fd, err);
	if (!rc || rc == -EINPROGRESS) {
		*out_fd = fd;
		return rc ? 1 : 0;
	}
	close(fd);
	return rc;
}

int verb_dialled(const struct dial *dial, int fd, struct err *err)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (!error && to_itself(fd))
		error = ECONNREFUSED;
	return error ? failed_at("connect to", dial, &dial->remote, -error, err) : 0;
}
