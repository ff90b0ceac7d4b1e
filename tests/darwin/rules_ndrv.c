/* rules_ndrv.c - rules 44 to 53: AF_NDRV sockets. See rules.h. */
#include "tests/darwin/rules.h"

#include <string.h>

/* ndrv.c:ndrv_attach: asked once, when it is made. */
static void socket_needs_root(void)
{
	rules_sys.as_user(true);
	expect_err(darwin_sys.socket(DW_AF_NDRV, DW_SOCK_RAW, 0), DW_EPERM);
	rules_sys.as_user(false);
	drop(ndrv_socket());
}

static int bind_to(int fd, const char *ifname)
{
	struct dw_sockaddr_ndrv addr;
	ndrv_addr(&addr, ifname);
	return darwin_sys.bind(fd, &addr, sizeof(addr));
}

static int connect_to(int fd, const char *ifname)
{
	struct dw_sockaddr_ndrv addr;
	ndrv_addr(&addr, ifname);
	return darwin_sys.connect(fd, &addr, sizeof(addr));
}

/* ndrv.c:ndrv_bind keeps the address before it looks for the interface. */
static void bind_errors(void)
{
	struct pair p;
	char absent[DW_IFNAMSIZ];
	pair_new(&p, false);
	if_fresh(absent);
	int fd = ndrv_socket();
	expect_err(bind_to(fd, absent), DW_EADDRNOTAVAIL);
	expect_err(bind_to(fd, p.s), DW_EINVAL); /* it is spoiled */
	fd = ndrv_socket();
	expect_eq(bind_to(fd, p.s), 0);
	expect_err(bind_to(fd, p.s), DW_EINVAL);
	expect_err(bind_to(fd, p.h), DW_EINVAL);
	/* the name counts as a whole: feth31000 is not feth310001 */
	char longer[DW_IFNAMSIZ];
	memcpy(longer, p.s, sizeof(longer));
	longer[strlen(longer) - 1] = '\0';
	fd = ndrv_socket();
	expect_err(bind_to(fd, longer), DW_EADDRNOTAVAIL);
}

/* uipc_socket.c:sosendcheck. */
static void unconnected(void)
{
	struct pair p;
	struct tap in;
	struct dw_sockaddr_ndrv addr;
	uint8_t frame[80];
	pair_new(&p, true);
	tap_open(&in, p.h, TAP_IN_ONLY, 4096);
	frame_make(frame, sizeof(frame), 1);
	int fd = ndrv_socket();
	expect_eq(bind_to(fd, p.s), 0);
	expect_err(darwin_sys.write(fd, frame, sizeof(frame)), DW_EDESTADDRREQ);
	tap_expect_nothing(&in);
	ndrv_addr(&addr, p.s);
	expect_eq(rules_sys.sendto(fd, frame, sizeof(frame), &addr, sizeof(addr)), sizeof(frame));
	tap_expect(&in, frame, sizeof(frame));
	ndrv_addr(&addr, "en77"); /* ndrv.c:ndrv_send: nobody looks at it */
	expect_eq(rules_sys.sendto(fd, frame, sizeof(frame), &addr, sizeof(addr)), sizeof(frame));
	tap_expect(&in, frame, sizeof(frame));
}

static void connect_length(void)
{
	struct pair p;
	struct dw_sockaddr_ndrv addr;
	pair_new(&p, true);
	int fd = ndrv_socket();
	expect_eq(bind_to(fd, p.s), 0);
	ndrv_addr(&addr, p.s);
	addr.len = 17;
	expect_err(darwin_sys.connect(fd, &addr, 17), DW_EINVAL);
	ndrv_addr(&addr, p.s);
	expect_eq(darwin_sys.connect(fd, &addr, sizeof(addr)), 0);
	inject_number(fd, 1, 60);
}

/* ndrv_connect() has an EISCONN, but uipc_socket.c:soconnectlock disconnects first a protocol that
 * does not require connections, by ndrv_disconnect(); and soisdisconnected() leaves
 * SS_CANTSENDMORE behind, which soisconnected() does not take away. */
static void connect_twice(void)
{
	struct pair p;
	uint8_t frame[60];
	pair_new(&p, true);
	int fd = ndrv_open(p.s);
	frame_make(frame, sizeof(frame), 1);
	inject(fd, frame, sizeof(frame));
	expect_eq(darwin_sys.setsockopt(fd, DW_SOL_SOCKET, DW_SO_NOSIGPIPE, 1), 0);
	expect_eq(connect_to(fd, p.s), 0);
	expect_err(darwin_sys.write(fd, frame, sizeof(frame)), DW_EPIPE);
}

static void unbound(void)
{
	struct pair p;
	uint8_t frame[60];
	pair_new(&p, true);
	int fd = ndrv_socket();
	frame_make(frame, sizeof(frame), 1);
	expect_eq(connect_to(fd, p.s), 0);
	expect_err(darwin_sys.write(fd, frame, sizeof(frame)), DW_EINVAL);
}

/* Nothing ever stays in its send buffer. */
static void never_blocks(void)
{
	struct pair p;
	uint8_t frame[1514];
	pair_new(&p, true);
	int fd = ndrv_open(p.s);
	int32_t on = 1;
	frame_make(frame, sizeof(frame), 1);
	if (rules_sys.simulated) {
		rules_sys.knobs()->hold_output = true;
		rules_sys.knobs()->queue_limit = 16;
	}
	int kq = own(rules_sys.kqueue());
	expect_eq(rules_sys.kevent_add(kq, fd, DW_EVFILT_WRITE), 0);
	for (unsigned mode = 0; mode < 2; mode++) {
		for (unsigned i = 0; i < 3000; i++) {
			long n = darwin_sys.write(fd, frame, sizeof(frame));
			if (n != -DW_ENOBUFS)
				expect_eq(n, sizeof(frame));
		}
		expect_eq(rules_sys.poll(fd, DW_POLLOUT), DW_POLLOUT);
		expect_eq(rules_sys.select(fd, true), 1);
		expect_eq(rules_sys.kevent(kq, fd, DW_EVFILT_WRITE), 1);
		expect_eq(darwin_sys.ioctl(fd, DW_FIONBIO, &on), 0);
	}
}

/* ndrv.c:ndrv_find_inbound: only what NDRV_SETDMXSPEC has asked for. */
static void receives_nothing(void)
{
	struct pair p;
	uint8_t buf[2048];
	pair_new(&p, true);
	int s = ndrv_open(p.s), h = ndrv_open(p.h);
	int32_t on = 1;
	expect_eq(darwin_sys.ioctl(s, DW_FIONBIO, &on), 0);
	expect_eq(darwin_sys.ioctl(h, DW_FIONBIO, &on), 0);
	struct tap in_h, in_s;
	tap_open(&in_h, p.h, TAP_IN_ONLY, 4096);
	tap_open(&in_s, p.s, TAP_IN_ONLY, 4096);
	inject_number(s, 1, 60);
	inject_number(h, 2, 60);
	tap_expect_number(&in_h, 1);
	tap_expect_number(&in_s, 2);
	expect_err(darwin_sys.read(s, buf, sizeof(buf)), DW_EAGAIN);
	expect_err(darwin_sys.read(h, buf, sizeof(buf)), DW_EAGAIN);
	expect_eq(rules_sys.poll(s, DW_POLLIN), 0);
	expect_eq(rules_sys.select(s, false), 0);
}

static long write_one(int fd)
{
	uint8_t frame[60];
	frame_make(frame, sizeof(frame), 1);
	return darwin_sys.write(fd, frame, sizeof(frame));
}

/* dlil_output.c:dlil_output: ifnet_datamov_begin() fails. */
static void interface_gone(void)
{
	struct pair p;
	pair_new(&p, true);
	int fd = ndrv_open(p.s);
	expect_eq(write_one(fd), 60);
	expect_eq(if_destroy(p.s), 0);
	eventually(write_one(fd) == -DW_ENXIO, 2000);
	darwin_sys.sleep_us(20000);
	expect_err(write_one(fd), DW_ENXIO);
	expect_eq(rules_sys.poll(fd, DW_POLLOUT) & DW_POLLOUT, DW_POLLOUT);
}

/* ndrv.c:ndrv_do_detach: the protocol goes with the last socket. */
static void two_sockets(void)
{
	struct pair p;
	struct tap in, writer;
	uint8_t frame[60];
	pair_new(&p, false);
	if_up(p.h, true);
	int a = ndrv_open(p.s), b = ndrv_open(p.s);
	tap_open(&in, p.h, TAP_IN_ONLY, 4096);
	tap_open(&writer, p.s, TAP_HDRCMPLT | TAP_IN_ONLY, 4096);
	expect_eq(if_flags(p.s), 0x8843);
	inject_number(a, 1, 60);
	inject_number(b, 2, 60);
	tap_expect_number(&in, 1);
	tap_expect_number(&in, 2);
	drop(a);
	darwin_sys.sleep_us(20000);
	expect_eq(if_flags(p.s), 0x8843);
	inject_number(b, 3, 60);
	tap_expect_number(&in, 3);
	drop(b);
	eventually(if_flags(p.s) == 0x8802, 2000);
	frame_make(frame, sizeof(frame), 4);
	expect_err(darwin_sys.write(writer.fd, frame, sizeof(frame)), DW_ENETDOWN);
	if_up(p.s, true); /* nothing keeps it from coming up without a protocol */
	inject_number(writer.fd, 5, 60);
	tap_expect_number(&in, 5);
}

static void sigpipe(void)
{
	struct pair p;
	pair_new(&p, true);
	(void)rules_sys.sigpipe();
	int gone = ndrv_open(p.h);
	int loud = ndrv_open(p.s), quiet = ndrv_open(p.s);
	expect_eq(rules_sys.shutdown(loud, 1), 0); /* SHUT_WR */
	expect_err(write_one(loud), DW_EPIPE);
	expect(rules_sys.sigpipe());
	expect_eq(darwin_sys.setsockopt(quiet, DW_SOL_SOCKET, DW_SO_NOSIGPIPE, 1), 0);
	expect_eq(write_one(quiet), 60);
	expect_eq(rules_sys.shutdown(quiet, 1), 0);
	expect_err(write_one(quiet), DW_EPIPE);
	expect(!rules_sys.sigpipe());
	expect_eq(if_destroy(p.h), 0);
	eventually(write_one(gone) == -DW_ENXIO, 2000);
	expect(!rules_sys.sigpipe());
}

static const struct rule rules[] = {
	{ 44, "an AF_NDRV socket is for root: EPERM", .fn = socket_needs_root },
	{ 45, "bind to what is absent: EADDRNOTAVAIL; any second bind: EINVAL", .fn = bind_errors },
	{ 46, "write unconnected: EDESTADDRREQ; sendto works, its address is not read",
		.fn = unconnected },
	{ 47, "connect with an address of 17 bytes: EINVAL", .fn = connect_length },
	{ 47, "a second connect works, and ends the sending: EPIPE", .fn = connect_twice },
	{ 48, "connected and never bound: write is EINVAL", .fn = unbound },
	{ 49, "a write never waits nor says EAGAIN; it is always writable", .fn = never_blocks },
	{ 50, "it receives nothing", .fn = receives_nothing },
	{ 51, "interface gone: write is ENXIO", .fn = interface_gone },
	{ 52, "two sockets inject at one interface; the last to go takes it down",
		.fn = two_sockets },
	{ 53, "EPIPE and SIGPIPE come of shutdown, not of the interface's end", .fn = sigpipe },
};

const struct rule_list rules_ndrv = RULES_OF(rules);
