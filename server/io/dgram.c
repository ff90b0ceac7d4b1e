/* dgram.c - see dgram.h. */
#include "server/io/dgram.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "server/base/log.h"
#include "server/core/access.h"
#include "server/io/msgio.h"
#include "server/io/peer.h"
#include "server/io/shared.h"
#include "server/priv/sock.h"

#define HASH 256u      /* chains of clients; a power of two */
#define TICK_MS 10000u /* looks for sockets that were kept long enough */
#define ASK_MS 100u    /* between questions whether the one there is is held */
#define LOG_MS 1000u   /* between lines about newcomers that nothing became of */

/* A socket that the path has, or had. */
struct way {
	struct way *next;
	struct dgram *d;
	int fd; /* owned */
	uv_poll_t poll;
	struct ioloop_later rest;
	bool resting;      /* is not read: pacing, stream.h */
	bool current;      /* is at the path */
	unsigned n;        /* clients that are sent to from it */
	uint32_t uid;      /* whose the last of them was; ACCESS_NO_ONE: there was none */
	uint64_t empty_ms; /* since when there are none, if it is not current */
};

struct known {
	struct known *next; /* in its chain */
	struct dgram *d;
	struct msg_port *mp;
	struct way *way; /* from which it is sent to; NULL: by a socket of its own */
	uint32_t uid;
	void (*ended)(void *ctx, const char *why); /* of one that was called; else NULL */
	void *ctx;
	uint32_t name_len; /* of sun_path */
	char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

struct dgram {
	struct msg_port_host host;
	const struct dgram_ops *ops;
	void *ctx;
	char port[FETH_NAME_MAX + 1];
	struct sockaddr_un only; /* sun_path "": whoever sends */
	struct way *ways;
	uv_timer_t tick;
	unsigned handles; /* not yet closed */
	unsigned n_known;
	bool closing;
	uint64_t logged_ms, asked_ms;
	struct known *chains[HASH];
};

static void on_poll(uv_poll_t *poll, int status, int events);

/* -- sockets -- */

static void maybe_closed(struct dgram *d)
{
	if (!d->closing || d->handles || d->n_known)
		return;
	const struct dgram_ops *ops = d->ops;
	void *ctx = d->ctx;
	free(d);
	ops->closed(ctx);
}

static void on_way_closed(uv_handle_t *handle)
{
	struct way *way = handle->data;
	struct dgram *d = way->d;
	free(way);
	d->handles--;
	maybe_closed(d);
}

/* It is read no more. */
static void way_stop(struct way *way)
{
	if (way->resting)
		ioloop_cancel(way->d->host.loop, &way->rest);
	way->resting = false;
	uv_poll_stop(&way->poll);
}

static void way_close(struct way *way)
{
	struct way **link = &way->d->ways;
	while (*link != way)
		link = &(*link)->next;
	*link = way->next;
	way_stop(way);
	uv_close((uv_handle_t *)&way->poll, on_way_closed); /* while the number is ours */
	if (sock_drained(way->fd))
		close(way->fd);
	else /* with descriptors that came along; whose they are nobody has asked */
		(void)shared_close(ioloop_shared(way->d->host.loop), 0, &way->fd, 1);
}

/* Takes over @fd, also on failure. It is the one at the path from now on. */
static int way_open(struct dgram *d, int fd)
{
	struct way *way = calloc(1, sizeof(*way));
	const int rc = way ? uv_poll_init(ioloop_uv(d->host.loop), &way->poll, fd) : -ENOMEM;
	if (rc < 0) {
		free(way);
		close(fd);
		return rc;
	}
	for (struct way *w = d->ways; w; w = w->next) {
		if (w->current && !w->n)
			w->empty_ms = ioloop_now(d->host.loop);
		w->current = false;
	}
	way->d = d;
	way->fd = fd;
	way->current = true;
	way->uid = ACCESS_NO_ONE;
	way->poll.data = way;
	way->next = d->ways;
	d->ways = way;
	d->handles++;
	msgio_buffers(fd);
	uv_poll_start(&way->poll, UV_READABLE, on_poll);
	return 0;
}

/* How many sockets that are newer than @way are kept for the same user. */
static unsigned kept_before(const struct way *way)
{
	unsigned n = 0;
	for (const struct way *w = way->d->ways; w != way; w = w->next)
		n += !w->current && !w->n && w->uid == way->uid;
	return n;
}

/* Closes sockets that were kept long enough, or are too many of one user. */
static void tidy(struct dgram *d)
{
	const uint64_t now_ms = ioloop_now(d->host.loop);
	for (struct way *way = d->ways, *next; way; way = next) { /* the newest first */
		next = way->next;
		if (way->current || way->n)
			continue;
		if (kept_before(way) >= DGRAM_KEPT || now_ms - way->empty_ms >= DGRAM_KEEP_MS)
			way_close(way);
	}
}

void dgram_renew(struct dgram *d)
{
	struct err err = { 0 };
	if (d->closing)
		return;
	int fd, rc = d->ops->fresh(d->ctx, &fd, &err);
	if (!rc)
		rc = way_open(d, fd);
	if (rc < 0) /* the one that is there stays, shared by more */
		log_warn("port", "net=%s: no fresh datagram socket: %s",
			network_facts(d->host.net)->spec.network,
			err.code ? err.text : strerror(-rc));
	tidy(d);
}

/* -- clients -- */

/* Of a path without what is behind it: some systems count that, others do not. */
static const char *name_at(const struct msgio_in *m, uint32_t *out_len)
{
	const char *name = m->from->sun_path;
	const uint32_t len = m->from_len - (uint32_t)offsetof(struct sockaddr_un, sun_path);
	*out_len = name[0] ? (uint32_t)strnlen(name, len) : len;
	return name;
}

/* FNV-1a. Who invents names to share a chain has DGRAM_PER_UID of them at most. */
static struct known **chain_of(struct dgram *d, const char *name, uint32_t len)
{
	uint32_t h = 2166136261u;
	for (uint32_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return &d->chains[(h ^ h >> 16) & (HASH - 1)];
}

/* Whose a datagram is. One of another user, whom it says the same of, is another: in a mount
 * namespace of his own anybody can bind a socket by any name. */
static struct known *find(struct dgram *d, const char *name, uint32_t len, const struct msgio_in *m)
{
	struct known *k = *chain_of(d, name, len);
	while (k && (k->name_len != len || memcmp(k->name, name, len) != 0 ||
			    (m->attested && m->uid != k->uid)))
		k = k->next;
	return k;
}

static void forget(struct known *k)
{
	struct dgram *d = k->d;
	struct known **link = chain_of(d, k->name, k->name_len);
	while (*link && *link != k)
		link = &(*link)->next;
	if (*link)
		*link = k->next;
}

/* Its port is over. */
static void on_ended(void *ctx, const char *why)
{
	struct known *k = ctx;
	struct dgram *d = k->d;
	forget(k);
	if (k->way && !--k->way->n) {
		k->way->empty_ms = ioloop_now(d->host.loop);
		k->way->uid = k->uid;
	}
	if (k->way && !k->way->n && d->closing)
		way_close(k->way);
	if (k->ended)
		k->ended(k->ctx, why);
	free(k);
	d->n_known--;
	maybe_closed(d);
}

/* One goes for a newcomer of the same user, if he has too many. */
static void make_room(struct dgram *d, uint32_t uid)
{
	struct known *oldest = NULL;
	unsigned n = 0;
	for (unsigned i = 0; i < HASH && d->n_known >= DGRAM_PER_UID; i++)
		for (struct known *k = d->chains[i]; k; k = k->next) {
			if (k->uid != uid)
				continue;
			n++;
			if (!oldest || msg_port_heard_ms(k->mp) < msg_port_heard_ms(oldest->mp))
				oldest = k;
		}
	if (n < DGRAM_PER_UID)
		return;
	forget(oldest); /* whatever else it sends, it is another from now on */
	msg_port_end(oldest->mp, "too many datagram clients of its user");
}

/* What became of a newcomer, if that was nothing: now and then a line. */
static void say(struct dgram *d, const struct peer *who, const char *text)
{
	const uint64_t now_ms = ioloop_now(d->host.loop);
	if (d->logged_ms && now_ms - d->logged_ms < LOG_MS)
		return;
	d->logged_ms = now_ms;
	char said[2 * ERR_TEXT]; /* the path in it may be anything */
	log_warn("port", "refused net=%s uid=%u pid=%u: %s",
		network_facts(d->host.net)->spec.network, (unsigned)who->uid, (unsigned)who->pid,
		log_text(said, sizeof(said), text));
}

/* How it is to be sent to: by a socket of its own, @fd, or from the one it is connected to. */
static int reach(struct way *way, int fd, const struct sockaddr_un *name, uint32_t len,
	uint32_t uid, struct msg_port_conf *conf, struct err *err)
{
	const int rc = verb_connect_peer(fd, name, len, uid, &conf->place, err);
	conf->to = rc == -EPERM;
	conf->fed = true;
	conf->fd = conf->to ? way->fd : fd;
	if (rc < 0)
		close(fd);
	return conf->to ? 0 : rc;
}

/* Its path is found to be @uid's now. */
static void end_others(struct dgram *d, const char *name, uint32_t len, uint32_t uid)
{
	for (struct known *k = *chain_of(d, name, len), *next; k; k = next) {
		next = k->next;
		if (k->uid == uid || k->name_len != len || memcmp(k->name, name, len) != 0)
			continue;
		forget(k);
		msg_port_end(k->mp, "its path is another user's now");
	}
}

/* Makes it a port, of @k. */
static int attach(struct way *way, struct known *k, const struct msgio_in *m,
	const struct peer *who, struct err *err)
{
	struct dgram *d = way->d;
	struct port_conf port = { .kind = PORT_KIND_DGRAM, .take_only = d->port[0] };
	struct port_info info;
	struct msg_port_conf conf = {
		.who = who,
		.counted = true,
		.port = &port,
		.greeting = true,
		.ended = on_ended,
		.ctx = k,
	};
	memcpy(port.name, d->port, sizeof(port.name));
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	const int rc = fd < 0 ? err_set(err, fd, "cannot make a socket: %s", strerror(-fd))
			      : reach(way, fd, m->from, m->from_len, who->uid, &conf, err);
	if (rc < 0) {
		shared_leave(ioloop_shared(d->host.loop), who->uid);
		return rc;
	}
	k->way = conf.to ? way : NULL;
	return msg_port_open(&k->mp, &d->host, &conf, &info, err); /* takes all it was given */
}

/* Whether the one client that a declared port has is gone, so that a machine which was started
 * again need not wait until that is noticed. */
static bool vacated(struct dgram *d)
{
	const uint64_t now_ms = ioloop_now(d->host.loop);
	if (now_ms - d->asked_ms < ASK_MS)
		return false;
	d->asked_ms = now_ms;
	for (unsigned i = 0; i < HASH; i++)
		for (struct known *k = d->chains[i], *next; k; k = next) {
			next = k->next;
			if (msg_port_held(k->mp))
				return false;
			forget(k);
			msg_port_end(k->mp, "nobody has its socket open");
		}
	return true;
}

/* It is a port: its datagrams are its own from now on. */
static void remember(struct known *k)
{
	struct known **chain = chain_of(k->d, k->name, k->name_len);
	k->next = *chain;
	*chain = k;
	k->d->n_known++;
	if (k->way)
		k->way->n++;
}

/* A datagram of somebody who is not known; NULL: nothing became of him. */
static struct known *arrive(struct way *way, const struct msgio_in *m)
{
	struct dgram *d = way->d;
	struct peer who;
	struct err err = { 0 };
	if (!m->from_len || peer_of_sender(m, &who) < 0)
		return NULL; /* it could not be answered, or nobody says whose it is */
	if (d->port[0] && d->n_known && !vacated(d))
		return NULL; /* one at a time */
	if (!d->ops->enter(d->ctx, &who))
		return NULL;
	make_room(d, who.uid);
	struct known *k = calloc(1, sizeof(*k));
	if (!k) {
		shared_leave(ioloop_shared(d->host.loop), who.uid);
		return NULL;
	}
	k->d = d;
	k->uid = who.uid;
	const char *name = name_at(m, &k->name_len);
	memcpy(k->name, name, k->name_len);
	if (attach(way, k, m, &who, &err) < 0) {
		say(d, &who, err.text);
		free(k);
		return NULL;
	}
	end_others(d, name, k->name_len, k->uid);
	remember(k);
	return k;
}

int dgram_call(struct dgram *d, int fd, void (*ended)(void *ctx, const char *why), void *ctx,
	struct port_info *out, struct err *err)
{
	struct way *way = d->ways; /* the one at the path */
	struct port_conf port = { .kind = PORT_KIND_DGRAM, .take_only = true, .dialled = true };
	struct known *k = calloc(1, sizeof(*k));
	if (!k) {
		close(fd);
		return err_set(err, -ENOMEM, "out of memory");
	}
	memcpy(port.name, d->port, sizeof(port.name));
	struct msg_port_conf conf = {
		.port = &port,
		.place = { .fd = -1 },
		.greeting = true,
		.ended = on_ended,
		.ctx = k,
	};
	int rc = reach(way, fd, &d->only, sizeof(d->only), ACCESS_NO_ONE, &conf, err);
	k->d = d;
	k->uid = conf.place.uid;
	k->way = conf.to ? way : NULL;
	k->ended = ended;
	k->ctx = ctx;
	k->name_len = (uint32_t)strlen(d->only.sun_path);
	memcpy(k->name, d->only.sun_path, k->name_len);
	if (!rc)
		rc = msg_port_open(&k->mp, &d->host, &conf, out, err);
	if (rc < 0)
		free(k);
	else
		remember(k);
	return rc;
}

/* Whose a datagram is; NULL: nobody's. */
static struct known *sender(struct way *way, const struct msgio_in *m, unsigned *arrivals)
{
	uint32_t len = 0;
	const char *name = m->from_len ? name_at(m, &len) : NULL;
	struct known *k = name ? find(way->d, name, len, m) : NULL;
	if (way->d->only.sun_path[0])
		return k; /* nobody else's, though he were called so */
	if (k || *arrivals == DGRAM_NEW)
		return k;
	++*arrivals;
	return arrive(way, m);
}

static bool same_sender(const struct msgio_in *a, const struct msgio_in *b)
{
	return a->from_len == b->from_len && a->uid == b->uid &&
	       (!a->from_len || !memcmp(a->from, b->from, a->from_len));
}

/* Gives each sender's neighbouring datagrams to its port. */
static void take(struct way *way, const struct msgio_in *msgs, unsigned n)
{
	struct dgram *d = way->d;
	unsigned arrivals = 0;
	for (unsigned i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && same_sender(&msgs[i], &msgs[i + run]);)
			run++;
		struct known *k = sender(way, &msgs[i], &arrivals);
		if (k) {
			msg_port_input(k->mp, msgs + i, run);
			continue;
		}
		uint64_t bytes = 0;
		for (unsigned m = 0; m < run; m++)
			bytes += msgs[i + m].len;
		network_count(d->host.net, PORT_NONE, DROP_DETACHED, run, bytes);
	}
}

static void on_descriptors(void *ctx, const void *fds, unsigned n)
{
	const struct way *way = ctx;
	struct ioloop *loop = way->d->host.loop;
	ioloop_counters(loop)->ignored++;
	/* on root's account, who has no limit: whose they are is not known before all is read */
	(void)shared_close(ioloop_shared(loop), 0, fds, n);
}

static void rested(void *arg)
{
	struct way *way = arg;
	way->resting = false;
	uv_poll_start(&way->poll, UV_READABLE, on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	static const struct msgio_ops ops = { .descriptors = on_descriptors };
	struct way *way = poll->data;
	struct dgram *d = way->d;
	struct ioloop *loop = d->host.loop;
	struct msgio_in msgs[MSGIO_BATCH];
	(void)events;
	const int n = msgio_recv(way->fd, ioloop_buf(loop), msgs, true, &ops, way);
	if (n > 0) {
		const unsigned before = way->n;
		ioloop_batch(loop);
		take(way, msgs, (unsigned)n);
		if (way->current && way->n > before)
			dgram_renew(d);
	}
	if (way->resting)
		return;
	if (n > 0 && ioloop_overran(loop)) {
		way->resting = true;
		uv_poll_stop(poll);
		ioloop_hold(loop, &way->rest, rested, way);
	} else if (status < 0) { /* libuv has stopped it at POLLERR; the read took the error */
		uv_poll_start(poll, UV_READABLE, on_poll);
	}
}

/* -- life -- */

static void on_tick(uv_timer_t *timer)
{
	tidy(timer->data);
}

static void on_tick_closed(uv_handle_t *handle)
{
	struct dgram *d = handle->data;
	d->handles--;
	maybe_closed(d);
}

int dgram_open(struct dgram **out, const struct msg_port_host *host, int fd, const char *port,
	const char *only, const struct dgram_ops *ops, void *ctx)
{
	struct dgram *d = calloc(1, sizeof(*d));
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	d->host = *host;
	d->ops = ops;
	d->ctx = ctx;
	snprintf(d->port, sizeof(d->port), "%s", port);
	d->only.sun_family = AF_UNIX;
	snprintf(d->only.sun_path, sizeof(d->only.sun_path), "%s", only);
	const int rc = way_open(d, fd);
	if (rc < 0) {
		free(d);
		return rc;
	}
	uv_timer_init(ioloop_uv(host->loop), &d->tick);
	d->tick.data = d;
	d->handles++;
	uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
	*out = d;
	return 0;
}

void dgram_close(struct dgram *d)
{
	if (d->closing)
		return;
	d->closing = true;
	uv_close((uv_handle_t *)&d->tick, on_tick_closed);
	for (unsigned i = 0; i < HASH; i++)
		for (struct known *k = d->chains[i]; k; k = k->next)
			msg_port_end(k->mp, "its socket is removed");
	for (struct way *way = d->ways, *next; way; way = next) {
		next = way->next;
		if (way->n)
			way_stop(way); /* who came now would be ended by nobody */
		else
			way_close(way);
	}
}
