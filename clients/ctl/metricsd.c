/* metricsd.c - metrics, and metrics --listen: a small server of one text, in one loop.
 *
 * Every client is a stranger: it may send a byte a minute, never read, or open connections without
 * end. So each has a time limit and room for one request; when all places are taken, the one that
 * has been there longest without being owed an answer goes, then the longest of all. The daemon is
 * asked once for all who wait, and never for one that came while it was being asked: what is
 * answered is never older than the question. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/ctl/clock.h"
#include "clients/ctl/ctl.h"
#include "clients/ctl/door.h"
#include "clients/ctl/http.h"
#include "clients/ctl/sigpipe.h"
#include "clients/ctl/snapread.h"

#define CLIENTS_MAX 64u
/* To send a request, to read the answer, and for all of it. A scrape of Prometheus gives up after
 * ten seconds. */
#define CLIENT_MS 10000u
/* For the daemon, which answers within milliseconds. */
#define DAEMON_MS 5000u
#define SHUT_MS 500u /* without descriptors */
/* Bytes thrown away of one who goes on sending, before its connection is closed. */
#define LINGER_MAX 65536u

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Darwin: SO_NOSIGPIPE, set by door_accept() */
#endif

/* A text, shared by those that it is sent to. */
struct body {
	unsigned refs;
	size_t len;
	char *data; /* owned, of open_memstream() */
};

enum state { UNUSED, READING, WAITING, WRITING, LINGERING };

struct visitor {
	enum state state;
	int fd;
	uint64_t since_ms;
	uint64_t number; /* in the order they came */
	uint64_t round;  /* WAITING: the answer of this reading of the daemon, or of a later one */
	struct http_request request;
	char head[HTTP_HEAD_MAX];
	size_t head_len, sent; /* sent: of head and body */
	struct body *body;     /* NULL: none */
	size_t had;            /* bytes of the request; LINGERING: thrown away */
	char data[HTTP_REQUEST_MAX];
};

struct metricsd {
	struct ctl *ctl;
	const char *network; /* NULL: all */
	struct door door;
	bool reading;           /* the daemon */
	bool dead;              /* its connection is to be closed */
	uint64_t round;         /* readings begun */
	uint64_t asked_ms;      /* when this one began */
	uint64_t shut_until_ms; /* nobody is let in before */
	bool over;
	uint64_t n_visitors; /* that ever came */
	struct visitor visitors[CLIENTS_MAX];
};

/* -- bodies -- */

static void body_unref(struct body *body)
{
	if (!body || --body->refs)
		return;
	free(body->data);
	free(body);
}

/* NULL: out of memory. */
static struct body *body_of(const struct snapshot *s, enum metrics_format format)
{
	struct body *body = calloc(1, sizeof(*body));
	FILE *f = body ? open_memstream(&body->data, &body->len) : NULL;
	if (!f) {
		free(body);
		return NULL;
	}
	body->refs = 1;
	metrics_write(f, s, format);
	if (!fclose(f))
		return body;
	body_unref(body);
	return NULL;
}

static struct body *body_of_text(const char *text)
{
	struct body *body = calloc(1, sizeof(*body));
	if (!body)
		return NULL;
	body->refs = 1;
	body->data = strdup(text);
	body->len = body->data ? strlen(text) : 0;
	return body;
}

/* -- visitors -- */

static void part_with(struct visitor *v)
{
	close(v->fd);
	body_unref(v->body);
	v->body = NULL;
	v->state = UNUSED;
}

/* Gives it the answer. @body: borrowed; NULL: none */
static void answer(struct visitor *v, unsigned status, const char *type, struct body *body)
{
	v->state = WRITING;
	v->head_len = http_head(status, type, body ? body->len : 0, v->head);
	v->sent = 0;
	if (!body || v->request.head)
		return;
	body->refs++;
	v->body = body;
}

static void refuse(struct visitor *v, unsigned status, const char *sentence)
{
	struct body *body = body_of_text(sentence);
	answer(v, status, "text/plain; charset=utf-8", body);
	body_unref(body);
}

static void hear(struct metricsd *m, struct visitor *v)
{
	const ssize_t n = recv(v->fd, v->data + v->had, sizeof(v->data) - v->had, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0)
		return part_with(v);
	v->had += (size_t)n;
	if (!http_parse(v->data, v->had, m->door.tcp, &v->request))
		return;
	if (v->request.status != 200)
		return refuse(v, v->request.status, http_sentence(v->request.status));
	v->state = WAITING;
	v->round = m->round + 1; /* not the one under way */
}

static void tell(struct visitor *v)
{
	const size_t body = v->body ? v->body->len : 0;
	while (v->sent < v->head_len + body) {
		const bool head = v->sent < v->head_len;
		const char *at = head ? v->head + v->sent : v->body->data + (v->sent - v->head_len);
		const size_t len = head ? v->head_len - v->sent : v->head_len + body - v->sent;
		const ssize_t n = send(v->fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0)
			return part_with(v);
		v->sent += (size_t)n;
	}
	/* a socket closed with unread bytes resets the connection, and the answer may be lost */
	shutdown(v->fd, SHUT_WR);
	body_unref(v->body);
	v->body = NULL;
	v->state = LINGERING;
	v->had = 0;
}

static void linger(struct visitor *v)
{
	const ssize_t n = recv(v->fd, v->data, sizeof(v->data), 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n > 0)
		v->had += (size_t)n;
	if (n <= 0 || v->had > LINGER_MAX)
		part_with(v);
}

/* Who makes room: one that is owed nothing before one that is, the oldest of them. */
static struct visitor *place(struct metricsd *m)
{
	struct visitor *oldest = NULL;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct visitor *v = &m->visitors[i];
		if (v->state == UNUSED)
			return v;
		const bool owed = v->state == WAITING || v->state == WRITING;
		const bool best_owed =
			oldest && (oldest->state == WAITING || oldest->state == WRITING);
		if (!oldest || owed < best_owed ||
			(owed == best_owed && v->number < oldest->number))
			oldest = v;
	}
	part_with(oldest);
	return oldest;
}

/* A few at once, so that those who are here get their turn. */
static void welcome(struct metricsd *m, uint64_t now)
{
	for (unsigned i = 0; i < 16; i++) {
		const int fd = door_accept(&m->door);
		if (fd == -EMFILE || fd == -ENFILE)
			m->shut_until_ms = now + SHUT_MS; /* or poll() would tell again at once */
		if (fd < 0)
			return;
		struct visitor *v = place(m);
		v->state = READING;
		v->fd = fd;
		v->since_ms = now;
		v->number = m->n_visitors++;
		v->had = 0;
		v->request = (struct http_request){ 0 };
	}
}

/* -- the daemon -- */

static void answer_all(struct metricsd *m, const struct snapshot *s, const char *why)
{
	struct body *bodies[METRICS_FORMATS] = { NULL };
	char sentence[1100];
	snprintf(sentence, sizeof(sentence), "%s%s%s\n", "fethd does not answer", why ? ": " : "",
		why ? why : "");
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct visitor *v = &m->visitors[i];
		const enum metrics_format format = v->request.format;
		if (v->state != WAITING || v->round > m->round)
			continue;
		if (s && !bodies[format])
			bodies[format] = body_of(s, format);
		if (bodies[format])
			answer(v, 200, metrics_content_type(format), bodies[format]);
		else
			refuse(v, 503, s ? "out of memory\n" : sentence);
	}
	for (unsigned f = 0; f < METRICS_FORMATS; f++)
		body_unref(bodies[f]);
}

static void on_read(void *user, struct snapshot *s, const char *code, const char *why)
{
	struct metricsd *m = user;
	m->reading = false;
	m->dead |= !s && !*code;
	answer_all(m, s, why);
	snapshot_free(s);
}

static void disconnect(struct metricsd *m)
{
	feth_close(m->ctl->conn); /* may call on_read() */
	m->ctl->conn = NULL;
	m->dead = false;
}

static bool somebody_waits(const struct metricsd *m)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (m->visitors[i].state == WAITING)
			return true;
	return false;
}

/* Asks the daemon, if somebody wants to know and it is not being asked. */
static void ask(struct metricsd *m, uint64_t now)
{
	if (m->reading && now - m->asked_ms > DAEMON_MS)
		m->dead = true;
	if (m->dead)
		disconnect(m);
	if (m->reading || !somebody_waits(m))
		return;
	m->round++;
	m->asked_ms = now;
	if (!m->ctl->conn) {
		const int rc = ctl_try_observer(m->ctl, m->network);
		if (rc < 0)
			return answer_all(m, NULL, strerror(-rc));
	}
	m->reading = true;
	snapread_start(m->ctl->conn, m->network, on_read, m);
}

static void hear_daemon(struct metricsd *m)
{
	struct feth_frame frame; /* none can come: this is no port */
	const int rc = feth_recv(m->ctl->conn, &frame, 1, 0);
	m->dead |= rc < 0 && rc != -EINTR;
}

/* -- the loop -- */

static void serve_visitor(struct metricsd *m, struct visitor *v, short events, uint64_t now)
{
	if (now - v->since_ms > CLIENT_MS)
		return part_with(v);
	if (!events)
		return;
	switch (v->state) {
	case UNUSED:
		return;
	case READING:
		return hear(m, v);
	case WAITING: /* it has gone, or sends what nobody wants; the answer will tell */
		return events & (POLLERR | POLLHUP) ? part_with(v) : (void)0;
	case WRITING:
		return events & (POLLERR | POLLHUP) ? part_with(v) : tell(v);
	case LINGERING:
		return linger(v);
	}
}

static short wanted(const struct visitor *v)
{
	switch (v->state) {
	case READING:
	case LINGERING:
		return POLLIN;
	case WRITING:
		return POLLOUT;
	case UNUSED:
	case WAITING:
		break;
	}
	return 0;
}

static void turn(struct metricsd *m)
{
	struct pollfd fds[3 + CLIENTS_MAX] = {
		{ .fd = m->door.fd, .events = POLLIN },
		{ .fd = sigpipe_fd(), .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	const bool shut = clock_now_ms() < m->shut_until_ms;
	bool busy = m->reading || shut;
	if (shut)
		fds[0].fd = -1;
	if (m->ctl->conn && !m->dead) {
		fds[2].fd = feth_fd(m->ctl->conn);
		if (feth_wants_write(m->ctl->conn))
			fds[2].events |= POLLOUT;
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct visitor *v = &m->visitors[i];
		fds[3 + i].fd = v->state == UNUSED ? -1 : v->fd;
		fds[3 + i].events = wanted(v);
		busy |= v->state != UNUSED;
	}
	/* time limits are looked at four times a second, and not at all where nobody is */
	if (poll(fds, 3 + CLIENTS_MAX, busy ? 250 : -1) < 0)
		return;
	const uint64_t now = clock_now_ms();
	if (fds[1].revents)
		m->over = sigpipe_next() != 0;
	if (fds[2].revents)
		hear_daemon(m);
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (m->visitors[i].state != UNUSED)
			serve_visitor(m, &m->visitors[i], fds[3 + i].revents, now);
	if (fds[0].revents) /* last: what was polled is of those who were here then */
		welcome(m, now);
	ask(m, now);
}

static int serve(struct ctl *ctl, const char *network, const char *where)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct metricsd *m = calloc(1, sizeof(*m));
	char why[256], name[256];
	if (!m)
		return ctl_fail("out of memory");
	m->ctl = ctl;
	m->network = network;
	int status = 0;
	if (door_open(&m->door, where, why, sizeof(why)) < 0) {
		free(m);
		return ctl_fail("cannot serve metrics at %s: %s", where, why);
	}
	const int rc = sigpipe_open(signals, sizeof(signals) / sizeof(signals[0]), false);
	signal(SIGPIPE, SIG_IGN);
	if (rc < 0)
		status = ctl_fail("cannot wait for signals: %s", strerror(-rc));
	if (!status) {
		door_name(&m->door, name, sizeof(name));
		printf("%s\n", name);
		fflush(stdout);
	}
	while (!status && !m->over)
		turn(m);
	sigpipe_close();
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (m->visitors[i].state != UNUSED)
			part_with(&m->visitors[i]);
	door_close(&m->door);
	if (ctl->conn)
		disconnect(m);
	free(m);
	return status;
}

static int print(struct ctl *ctl, const char *network)
{
	char why[1024];
	if (network ? ctl_connect_observer(ctl, network) : ctl_connect(ctl, NULL))
		return CTL_FAILED;
	struct snapshot *s = snapread_wait(&ctl->conn, network, CTL_TIMEOUT_MS, why, sizeof(why));
	if (!s)
		return ctl_fail("cannot read the counters%s%s: %s", network ? " of network " : "",
			network ? network : "", why);
	metrics_write(stdout, s, METRICS_OPEN);
	snapshot_free(s);
	return 0;
}

int cmd_metrics(struct ctl *ctl, const struct args *args)
{
	const char *network = NULL;
	const char *where = args_value(args, "listen");
	if (args->n_operands && !(network = args_operand_name(args, 0, "network")))
		return CTL_FAILED;
	if (ctl->json)
		return ctl_usage(args->cmd, "metrics are OpenMetrics text; `fethctl stats --json` "
					    "has the counters as JSON");
	return where ? serve(ctl, network, where) : print(ctl, network);
}
