/* door.c - see door.h. */
#include "clients/ctl/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static int say(char *why, size_t size, int rc, const char *text)
{
	snprintf(why, size, "%s", text);
	return rc;
}

static bool parse_port(const char *text, in_port_t *out)
{
	char *end;
	errno = 0;
	const unsigned long n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n > 65535)
		return false;
	*out = htons((uint16_t)n);
	return true;
}

/* 1: an address of TCP; 0: none, so it is a path; -EINVAL: one that is not allowed. */
static int parse_tcp(const char *where, union address *out, socklen_t *len)
{
	const char *colon = strrchr(where, ':');
	char host[64] = "";
	if (strchr(where, '/') || !colon || (size_t)(colon - where) >= sizeof(host))
		return 0;
	memcpy(host, where, (size_t)(colon - where));
	memset(out, 0, sizeof(*out));
	if (!strcmp(host, "[::1]")) {
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_addr = in6addr_loopback;
		*len = sizeof(out->in6);
		return parse_port(colon + 1, &out->in6.sin6_port) ? 1 : -EINVAL;
	}
	out->in.sin_family = AF_INET;
	*len = sizeof(out->in);
	if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &out->in.sin_addr) !=
			1 ||
		ntohl(out->in.sin_addr.s_addr) >> 24 != 127)
		return -EINVAL;
	return parse_port(colon + 1, &out->in.sin_port) ? 1 : -EINVAL;
}

static int new_socket(int family)
{
	const int fd = socket(family, SOCK_STREAM, 0);
	if (fd < 0)
		return -errno;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* Takes away what a server that did not end well left at @path. 0: nothing is there now. */
static int clear_path(const struct sockaddr_un *un, char *why, size_t size)
{
	struct stat st;
	if (lstat(un->sun_path, &st) < 0)
		return 0; /* bind() says what is wrong, if anything is */
	if (!S_ISSOCK(st.st_mode))
		return say(why, size, -EEXIST, "something is there that is no socket");
	const int fd = new_socket(AF_UNIX);
	if (fd < 0)
		return say(why, size, fd, strerror(-fd));
	const int rc = connect(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 ? errno : 0;
	close(fd);
	if (rc != ECONNREFUSED)
		return say(why, size, -EADDRINUSE, "somebody listens there already");
	unlink(un->sun_path);
	return 0;
}

static int listen_at(
	struct door *door, const union address *address, socklen_t len, char *why, size_t size)
{
	const int on = 1;
	const int fd = new_socket(address->any.sa_family);
	if (fd < 0)
		return say(why, size, fd, strerror(-fd));
	if (door->tcp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &address->any, len) < 0 || listen(fd, BACKLOG) < 0) {
		const int rc = -errno;
		close(fd);
		return say(why, size, rc, strerror(-rc));
	}
	door->fd = fd;
	return 0;
}

int door_open(struct door *door, const char *where, char *why, size_t size)
{
	union address address;
	socklen_t len;
	memset(door, 0, sizeof(*door));
	door->fd = -1;
	const int tcp = parse_tcp(where, &address, &len);
	if (tcp < 0)
		return say(why, size, tcp,
			"it must be a path, or a port of the loopback such as 127.0.0.1:9464: who "
			"else shall read it asks a web server before it");
	door->tcp = tcp > 0;
	if (door->tcp)
		return listen_at(door, &address, len, why, size);

	memset(&address, 0, sizeof(address));
	address.un.sun_family = AF_UNIX;
	if (!*where || strlen(where) >= sizeof(address.un.sun_path) ||
		strlen(where) >= sizeof(door->path))
		return say(why, size, -ENAMETOOLONG, "the path is empty or too long for a socket");
	memcpy(address.un.sun_path, where, strlen(where) + 1);
	memcpy(door->path, where, strlen(where) + 1);
	int rc = clear_path(&address.un, why, size);
	if (!rc)
		rc = listen_at(door, &address, sizeof(address.un), why, size);
	if (!rc && lstat(door->path, &door->made) < 0)
		door->path[0] = '\0';
	return rc;
}

void door_close(struct door *door)
{
	struct stat now;
	if (door->fd < 0)
		return;
	if (!door->tcp && door->path[0] && !lstat(door->path, &now) &&
		now.st_ino == door->made.st_ino && now.st_dev == door->made.st_dev)
		unlink(door->path);
	close(door->fd);
	door->fd = -1;
}

void door_name(const struct door *door, char *out, size_t size)
{
	union address address = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(address);
	char host[INET6_ADDRSTRLEN] = "";
	if (!door->tcp || getsockname(door->fd, &address.any, &len) < 0) {
		snprintf(out, size, "%s", door->path);
		return;
	}
	const bool six = address.any.sa_family == AF_INET6;
	inet_ntop(address.any.sa_family,
		six ? (const void *)&address.in6.sin6_addr : (const void *)&address.in.sin_addr,
		host, sizeof(host));
	snprintf(out, size, six ? "http://[%s]:%u/metrics" : "http://%s:%u/metrics", host,
		(unsigned)ntohs(six ? address.in6.sin6_port : address.in.sin_port));
}

int door_accept(struct door *door)
{
	const int fd = accept(door->fd, NULL, NULL);
	if (fd < 0)
		return -errno;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
#ifdef SO_NOSIGPIPE
	const int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
	return fd;
}
