/* server.c - darwinsim: a simulated machine that other processes use over a socket (wire.h).
 *
 *   darwinsim --socket PATH --profile 14.1
 *
 * One thread, one request at a time, so everything that happens has an order, which is that of a
 * kernel with one processor. What has ended comes first: before each request, whatever descriptors
 * and processes are gone by then are closed. The machine outlives its processes, as it does on
 * macOS. SIGTERM ends it; where its standard input is a pipe, so does the end of that, so that it
 * does not outlive its test. */
#include "tests/darwin/server.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 10 /* what is due in simulated time happens this soon, also if nobody asks */
#define READ_AT_ONCE (256u * 1024u)

/* -- memory -- */

static void die(const char *what)
{
	fprintf(stderr, "darwinsim: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint8_t *bytes_add(struct bytes *b, size_t n)
{
	if (n > b->capacity - b->len) {
		const size_t capacity = b->len + n + b->capacity / 2;
		uint8_t *data = realloc(b->data, capacity);
		if (!data)
			die("memory");
		b->data = data;
		b->capacity = capacity;
	}
	b->len += n;
	return b->data + b->len - n;
}

void bytes_text(struct bytes *b, const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	const int n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(line))
		die("a line too long");
	memcpy(bytes_add(b, (size_t)n), line, (size_t)n);
}

static void bytes_drop(struct bytes *b, size_t n)
{
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

/* -- descriptors -- */

static void watch(int epoll, int op, int fd, uint32_t events, struct source *source)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };
	if (epoll_ctl(epoll, op, fd, &ev) < 0)
		die("epoll_ctl");
}

struct desc *desc_find(const struct conn *conn, uint64_t id)
{
	struct desc *desc = conn->descs[(id & 0xffff) % DESCS_MAX];
	return desc && desc->id == id ? desc : NULL;
}

int64_t desc_new(struct conn *conn, int fd)
{
	int sv[2] = { -1, -1 };
	struct desc *desc = calloc(1, sizeof(*desc));
	if (!desc || (unsigned)fd >= DESCS_MAX || conn->pass_fd >= 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0) {
		free(desc);
		(void)sim_close(conn->proc, fd);
		return -DW_EMFILE;
	}
	desc->source.kind = SOURCE_DESC;
	desc->conn = conn;
	desc->id = ++conn->serial << 16 | (unsigned)fd;
	desc->pair = sv[0];
	conn->pass_fd = sv[1];
	conn->descs[fd] = desc;
	watch(conn->m->hangups, EPOLL_CTL_ADD, sv[0], EPOLLRDHUP, &desc->source);
	return (int64_t)desc->id;
}

static void desc_close(struct desc *desc)
{
	const int fd = (int)(desc->id & 0xffff);
	desc->conn->descs[fd] = NULL;
	close(desc->pair);
	(void)sim_close(desc->conn->proc, fd);
	free(desc);
}

void desc_announce(struct desc *desc)
{
	if (!desc->announced)
		desc->announced = send(desc->pair, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

static void on_ready(void *ctx, struct sim_proc *proc, int fd)
{
	const struct machine *m = ctx;
	for (const struct conn *c = m->conns; c; c = c->next)
		if (c->proc == proc && (unsigned)fd < DESCS_MAX && c->descs[fd])
			desc_announce(c->descs[fd]);
}

/* -- connections -- */

static void conn_close(struct conn *conn)
{
	struct machine *m = conn->m;
	for (struct conn **link = &m->conns; *link; link = &(*link)->next) {
		if (*link != conn)
			continue;
		*link = conn->next;
		break;
	}
	if (m->current == conn)
		m->current = NULL;
	for (unsigned i = 0; i < DESCS_MAX; i++)
		if (conn->descs[i])
			desc_close(conn->descs[i]);
	if (conn->proc)
		sim_proc_exit(conn->proc);
	if (conn->pass_fd >= 0)
		close(conn->pass_fd);
	close(conn->fd);
	free(conn->in.data);
	free(conn->out.data);
	free(conn);
}

static void conn_accept(struct machine *m, int listener)
{
	const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *conn = fd < 0 ? NULL : calloc(1, sizeof(*conn));
	if (!conn) {
		if (fd >= 0)
			close(fd);
		return;
	}
	conn->source.kind = SOURCE_CONN;
	conn->m = m;
	conn->fd = fd;
	conn->pass_fd = -1;
	conn->next = m->conns;
	m->conns = conn;
	watch(m->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, &conn->source);
	watch(m->hangups, EPOLL_CTL_ADD, fd, EPOLLRDHUP, &conn->source);
}

/* Closes what the other side has closed, at once and in any number. */
static void close_hung_up(struct machine *m)
{
	struct epoll_event ev;
	while (epoll_wait(m->hangups, &ev, 1, 0) == 1) { /* one by one: each may free others */
		struct source *source = ev.data.ptr;
		if (source->kind == SOURCE_DESC)
			desc_close((struct desc *)source);
		else
			conn_close((struct conn *)source);
	}
}

/* Sends what it can of the reply; false where the connection is dead. */
static bool conn_write(struct conn *conn)
{
	while (conn->out_at < conn->out.len) {
		struct iovec iov = { conn->out.data + conn->out_at, conn->out.len - conn->out_at };
		union {
			struct cmsghdr align;
			char space[CMSG_SPACE(sizeof(int))];
		} control = { 0 };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		if (conn->pass_fd >= 0) {
			msg.msg_control = &control;
			msg.msg_controllen = sizeof(control);
			struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
			head->cmsg_level = SOL_SOCKET;
			head->cmsg_type = SCM_RIGHTS;
			head->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(head), &conn->pass_fd, sizeof(int));
		}
		const ssize_t n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (!conn->waiting)
				watch(conn->m->epoll, EPOLL_CTL_MOD, conn->fd, EPOLLOUT,
					&conn->source);
			conn->waiting = true;
			return true;
		}
		if (n < 0)
			return false;
		if (conn->pass_fd >= 0)
			close(conn->pass_fd);
		conn->pass_fd = -1;
		conn->out_at += (size_t)n;
	}
	conn->out.len = conn->out_at = 0;
	if (conn->waiting)
		watch(conn->m->epoll, EPOLL_CTL_MOD, conn->fd, EPOLLIN, &conn->source);
	conn->waiting = false;
	return true;
}

/* "process EUID" or "test". */
static bool conn_greet(struct conn *conn, const uint8_t *data, size_t len)
{
	char text[32] = "";
	unsigned euid;
	if (len >= sizeof(text))
		return false;
	memcpy(text, data, len);
	conn->greeted = true;
	if (!strcmp(text, "test"))
		return true;
	if (sscanf(text, "process %u", &euid) != 1)
		return false;
	conn->proc = sim_proc_new(conn->m->sim, euid);
	return conn->proc;
}

static bool conn_serve(struct conn *conn, const uint8_t *data, size_t len)
{
	if (!conn->greeted)
		return conn_greet(conn, data, len);
	(void)bytes_add(&conn->out, sizeof(uint32_t));
	if (!(conn->proc ? call_serve : door_serve)(conn, data, len, &conn->out))
		return false;
	const uint32_t n = (uint32_t)(conn->out.len - sizeof(uint32_t));
	memcpy(conn->out.data, &n, sizeof(n));
	return conn_write(conn);
}

/* The requests that have come whole. False where it has closed, or is to be. */
static bool conn_requests(struct conn *conn)
{
	struct machine *m = conn->m;
	size_t at = 0;
	while (!conn->waiting && conn->in.len - at >= sizeof(uint32_t)) {
		uint32_t n;
		memcpy(&n, conn->in.data + at, sizeof(n));
		if (n > WIRE_REQUEST_MAX)
			return false;
		if (conn->in.len - at - sizeof(n) < n)
			break;
		m->current = conn;
		close_hung_up(m);
		if (m->current != conn)
			return true; /* it is gone already */
		if (!conn_serve(conn, conn->in.data + at + sizeof(n), n))
			return false;
		at += sizeof(n) + n;
	}
	bytes_drop(&conn->in, at);
	return true;
}

static void on_conn(struct conn *conn)
{
	if (conn->waiting) {
		if (!conn_write(conn) || (!conn->waiting && !conn_requests(conn)))
			conn_close(conn);
		return;
	}
	(void)bytes_add(&conn->in, READ_AT_ONCE);
	conn->in.len -= READ_AT_ONCE;
	const ssize_t n = recv(conn->fd, conn->in.data + conn->in.len, READ_AT_ONCE, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		conn->in.len += (size_t)n;
	if (n <= 0 || !conn_requests(conn))
		conn_close(conn);
}

/* -- the program -- */

static uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	memcpy(addr.sun_path, path, strlen(path));
	/* anybody: the daemon under test may run as any user */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		chmod(path, 0666) < 0 || listen(fd, 64) < 0)
		die(path);
	return fd;
}

static int signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void machine_start(struct machine *m, enum sim_profile profile)
{
	*m = (struct machine){ .sim = sim_new(profile) };
	if (!m->sim)
		die("memory");
	sim_set_clock(m->sim, now_us);
	sim_on_ready(m->sim, on_ready, m);
	sim_host_interface(m->sim, "lo0", 24); /* IFT_LOOP */
	sim_host_interface(m->sim, "en0", DW_IFT_ETHER);
	m->others = sim_proc_new(m->sim, 0);
	m->others_fd = sim_socket(m->others, DW_AF_INET, DW_SOCK_DGRAM, 0);
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	m->hangups = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll < 0 || m->hangups < 0 || m->others_fd < 0)
		die("cannot start");
}

static void machine_end(struct machine *m)
{
	while (m->conns)
		conn_close(m->conns);
	close(m->epoll);
	close(m->hangups);
	sim_proc_exit(m->others);
	sim_free(m->sim);
}

static void serve(struct machine *m, const char *path)
{
	struct source listener = { SOURCE_LISTENER }, term = { SOURCE_SIGNAL },
		      hangups = { SOURCE_HANGUPS };
	const int signal_fd = signals(), listen_fd = listen_at(path);
	watch(m->epoll, EPOLL_CTL_ADD, signal_fd, EPOLLIN, &term);
	watch(m->epoll, EPOLL_CTL_ADD, listen_fd, EPOLLIN, &listener);
	watch(m->epoll, EPOLL_CTL_ADD, m->hangups, EPOLLIN, &hangups);
	struct stat input;
	if (!fstat(STDIN_FILENO, &input) && S_ISFIFO(input.st_mode))
		watch(m->epoll, EPOLL_CTL_ADD, STDIN_FILENO, 0, &term); /* EPOLLHUP */
	for (bool end = false; !end;) {
		struct epoll_event ev;
		/* one by one: what is closed meanwhile must not be among the rest */
		const int n = epoll_wait(m->epoll, &ev, 1, m->conns ? TICK_MS : -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		if (n <= 0) {
			(void)sim_poll(
				m->others, m->others_fd, 0); /* an entry: what is due, happens */
			continue;
		}
		struct source *source = ev.data.ptr;
		if (source->kind == SOURCE_LISTENER)
			conn_accept(m, listen_fd);
		else if (source->kind == SOURCE_CONN)
			on_conn((struct conn *)source);
		else if (source->kind == SOURCE_HANGUPS)
			close_hung_up(m);
		else
			end = true;
	}
	close(listen_fd);
	close(signal_fd);
	unlink(path);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "profile", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	static struct machine m;
	enum sim_profile profile = SIM_15;
	const char *path = NULL;
	int opt;
	bool good = true;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 's')
			path = optarg;
		else if (opt != 'p' || !sim_profile_find(&profile, optarg))
			good = false;
	}
	if (!good || !path || optind < argc) {
		fprintf(stderr, "usage: darwinsim --socket PATH [--profile 10.14|...|15]\n");
		return 2;
	}
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	machine_start(&m, profile);
	serve(&m, path);
	machine_end(&m);
	return 0;
}
