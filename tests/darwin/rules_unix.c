/* rules_unix.c - rules 57 to 59: Unix sockets, as far as the ports of a switch meet them. See
 * rules.h. */
#include "tests/darwin/rules.h"

#include <string.h>

static int socket_option(int fd, int option)
{
	int value = 0;
	size_t len = sizeof(value);
	expect_eq(rules_sys.getsockopt(fd, DW_SOL_SOCKET, option, &value, &len), 0);
	return value;
}

/* uipc_socket.c:sosendcheck, uipc_usrreq.c:uipc_send. */
static void datagram_limits(void)
{
	static uint8_t data[70000];
	int fds[2];
	expect_eq(rules_sys.socketpair(DW_AF_UNIX, DW_SOCK_DGRAM, fds), 0);
	own(fds[0]);
	own(fds[1]);
	expect_eq(socket_option(fds[0], DW_SO_SNDBUF), 2048);
	expect_eq(darwin_sys.write(fds[0], data, 2048), 2048);
	expect_err(darwin_sys.write(fds[0], data, 2049), DW_EMSGSIZE);
	expect_eq(darwin_sys.read(fds[1], data, sizeof(data)), 2048);
	expect_eq(darwin_sys.setsockopt(fds[0], DW_SOL_SOCKET, DW_SO_SNDBUF, 65536), 0);
	expect_eq(darwin_sys.setsockopt(fds[1], DW_SOL_SOCKET, DW_SO_RCVBUF, 262144), 0);
	expect_eq(darwin_sys.write(fds[0], data, 65536), 65536);
	expect_err(darwin_sys.write(fds[0], data, 65537), DW_EMSGSIZE);
	expect_eq(darwin_sys.read(fds[1], data, sizeof(data)), 65536);
}

/* A datagram takes the 16 bytes of its sender's address beside its own (sbappendaddr). */
static void full_receiver(void)
{
	uint8_t data[1024] = { 0 }; /* four of them fit but for the addresses */
	int fds[2];
	for (int32_t nonblock = 0; nonblock < 2; nonblock++) {
		expect_eq(rules_sys.socketpair(DW_AF_UNIX, DW_SOCK_DGRAM, fds), 0);
		own(fds[0]);
		own(fds[1]);
		expect_eq(darwin_sys.ioctl(fds[0], DW_FIONBIO, &nonblock), 0);
		int room = socket_option(fds[1], DW_SO_RCVBUF);
		expect(room >= 4096 && room < 1 << 20);
		int fit = room / 1040, sent = 0;
		long rc;
		do {
			data[0] = (uint8_t)sent;
			rc = darwin_sys.write(fds[0], data, sizeof(data));
			sent++;
		} while (rc == (long)sizeof(data) && sent < 2000);
		expect_err(rc, DW_ENOBUFS); /* at once, also where writes wait */
		expect_eq(sent - 1, fit);
		expect_err(darwin_sys.write(fds[0], data, sizeof(data)), DW_ENOBUFS);
		/* nothing says when there is room again: it is writable all the time */
		expect(rules_sys.poll(fds[0], DW_POLLOUT) & DW_POLLOUT);
		expect_eq(darwin_sys.read(fds[1], data, sizeof(data)), sizeof(data));
		expect_eq(data[0], 0); /* the oldest, all are there */
		expect_eq(darwin_sys.write(fds[0], data, sizeof(data)), sizeof(data));
	}
}

/* uipc_proto.c:localsw has streams and datagrams; uipc_socket.c:socreate_internal. */
static void no_seqpacket(void)
{
	int fds[2];
	expect_err(darwin_sys.socket(DW_AF_UNIX, DW_SOCK_SEQPACKET, 0), DW_EPROTONOSUPPORT);
	expect_err(rules_sys.socketpair(DW_AF_UNIX, DW_SOCK_SEQPACKET, fds), DW_EPROTONOSUPPORT);
	own(darwin_sys.socket(DW_AF_UNIX, DW_SOCK_STREAM, 0));
	own(darwin_sys.socket(DW_AF_UNIX, DW_SOCK_DGRAM, 0));
}

static int peer_credentials(int fd, struct dw_xucred *out)
{
	size_t len = sizeof(*out);
	memset(out, 0xee, sizeof(*out));
	int rc = rules_sys.getsockopt(fd, DW_SOL_LOCAL, DW_LOCAL_PEERCRED, out, &len);
	if (rc == 0)
		expect_eq(len, sizeof(*out));
	return rc;
}

static int peer_pid(int fd, int32_t *out)
{
	size_t len = sizeof(*out);
	return rules_sys.getsockopt(fd, DW_SOL_LOCAL, DW_LOCAL_PEERPID, out, &len);
}

/* uipc_usrreq.c:uipc_ctloutput, unp_connect2. */
static void credentials(void)
{
	struct dw_xucred who;
	int32_t pid = 0;
	int fds[2];
	int stream = own(darwin_sys.socket(DW_AF_UNIX, DW_SOCK_STREAM, 0));
	int datagram = own(darwin_sys.socket(DW_AF_UNIX, DW_SOCK_DGRAM, 0));
	expect_err(peer_credentials(stream, &who), DW_ENOTCONN);
	expect_err(peer_credentials(datagram, &who), DW_EINVAL);
	expect_err(peer_pid(stream, &pid), DW_ENOTCONN);
	expect_err(peer_pid(datagram, &pid), DW_ENOTCONN);

	expect_eq(rules_sys.socketpair(DW_AF_UNIX, DW_SOCK_STREAM, fds), 0);
	own(fds[0]);
	own(fds[1]);
	for (unsigned i = 0; i < 2; i++) {
		expect_eq(peer_credentials(fds[i], &who), 0);
		expect_eq(who.version, 0);
		expect_eq(who.uid, 0);
		expect(who.ngroups >= 1);
		expect_eq(peer_pid(fds[i], &pid), 0);
		expect(pid > 0);
	}
	rules_sys.as_user(true);
	expect_eq(rules_sys.socketpair(DW_AF_UNIX, DW_SOCK_STREAM, fds), 0);
	expect_eq(peer_credentials(fds[0], &who), 0);
	(void)darwin_sys.close(fds[0]);
	(void)darwin_sys.close(fds[1]);
	rules_sys.as_user(false);
	expect_eq(who.uid, 501);
}

static const struct rule rules[] = {
	{ 57, "a datagram is SO_SNDBUF long, 2048 at first: EMSGSIZE", .fn = datagram_limits },
	{ 57, "a datagram to a full receiver is ENOBUFS, whether writes wait or not",
		.fn = full_receiver },
	{ 58, "there is no SOCK_SEQPACKET: EPROTONOSUPPORT", .fn = no_seqpacket },
	{ 59, "a peer's uid is known of connected streams, its pid of what is connected",
		.fn = credentials },
};

const struct rule_list rules_unix = RULES_OF(rules);
