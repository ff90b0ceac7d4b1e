/* msg_port.c - see msg_port.h. */
#include "server/io/msg_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "server/base/log.h"
#include "server/core/msgq.h"
#include "server/io/msgio.h"
#include "server/io/shared.h"
#include "server/io/stream.h"
#include "server/priv/sock.h"

/* Pieces of the messages of one write: 64 frames of up to three. */
#define MSG_SEGS 192u
#define WRITE_ROUNDS 16u /* writes per turn, so that one fast reader does not hold the loop */

struct msg_port {
	struct msg_port_host host;
	struct port port;
	struct client client;
	struct peer *who; /* owned; NULL: an administrator's */
	enum port_kind kind;
	int fd; /* owned, unless `to` */
	struct verb_place place;
	bool counted, fed, to, lasting, greeting;
	void (*ended)(void *ctx, const char *why);
	void *ctx;

	uv_poll_t poll;   /* unless `to` */
	uv_timer_t probe; /* where it has a place */
	unsigned handles; /* not yet closed */
	int events;       /* what the poll handle waits for */
	struct ioloop_later bury, rest, again;
	bool resting; /* takes no input: pacing, stream.h */
	bool blocked; /* the queue is tried again by `again` */
	bool attached, dying;
	const char *why;
	uint64_t heard_ms;
	uint64_t caught_up_ms; /* when nothing waited for it */
	bool unicast, dropped; /* as of struct stream */
	struct msgq q;

	/* of this batch */
	unsigned n_msgs, n_segs;
	struct pending {
		uint32_t len;
		uint16_t n; /* pieces */
		bool flooded;
	} msgs[MSGIO_BATCH];
	struct seg segs[MSG_SEGS];
};

static const struct peer administrator; /* root */

static struct msg_port *of_port(const struct port *port)
{
	return (struct msg_port *)((char *)(uintptr_t)port - offsetof(struct msg_port, port));
}

static struct msg_port *of_client(const struct client *client)
{
	return (struct msg_port *)((char *)(uintptr_t)client - offsetof(struct msg_port, client));
}

/* -- life -- */

static void on_poll(uv_poll_t *poll, int status, int events);
static void try_again(void *arg);

/* Nothing tells when there is room again. */
static void wait_a_moment(struct msg_port *mp)
{
	if (mp->blocked)
		return;
	mp->blocked = true;
	ioloop_hold(mp->host.loop, &mp->again, try_again, mp);
}

static void watch(struct msg_port *mp)
{
	if (mp->dying)
		return;
	if (mp->to) { /* its socket is polled for others */
		if (mp->q.n)
			wait_a_moment(mp);
		return;
	}
	const int events = (mp->fed || mp->resting ? 0 : UV_READABLE) |
			   (mp->q.n && !mp->blocked ? UV_WRITABLE : 0);
	if (events == mp->events)
		return;
	mp->events = events;
	if (events)
		uv_poll_start(&mp->poll, events, on_poll);
	else
		uv_poll_stop(&mp->poll);
}

static void detach(struct msg_port *mp, const char *why)
{
	if (!mp->attached)
		return;
	log_info("port", "detached net=%s port=%u uid=%u pid=%u why=%s",
		network_facts(mp->host.net)->spec.network, (unsigned)mp->port.id,
		(unsigned)mp->client.uid, mp->who ? (unsigned)mp->who->pid : 0u, why);
	mp->port.stats->drops[DROP_DETACHED] += mp->q.n;
	network_detach(mp->host.net, &mp->port);
	mp->attached = false;
	msgq_fini(&mp->q);
	mp->n_msgs = mp->n_segs = 0;
}

/* What it was given, whatever became of it. */
static void let_go(struct msg_port *mp)
{
	struct shared *sh = ioloop_shared(mp->host.loop);
	if (!mp->to) {
		if (sock_drained(mp->fd))
			close(mp->fd);
		else /* with what is unread, and descriptors that came along */
			(void)shared_close(sh, mp->client.uid, &mp->fd, 1);
	}
	verb_place_close(&mp->place);
	if (mp->counted)
		shared_leave(sh, mp->client.uid);
	msgq_fini(&mp->q);
}

static void gone(struct msg_port *mp)
{
	struct block_pool *pool = network_pool(mp->host.net);
	if (!pool->used)
		block_pool_fini(pool); /* only its spares */
	ioloop_tidy(mp->host.loop);
	client_leave(mp->host.clients, &mp->client);
	free(mp->who);
	free(mp);
}

static void on_closed(uv_handle_t *handle)
{
	struct msg_port *mp = handle->data;
	if (!--mp->handles)
		gone(mp);
}

/* The last of it, in a turn of its own. */
static void bury(void *arg)
{
	struct msg_port *mp = arg;
	detach(mp, mp->why);
	if (mp->resting)
		ioloop_cancel(mp->host.loop, &mp->rest);
	if (mp->blocked)
		ioloop_cancel(mp->host.loop, &mp->again);
	if (mp->ended)
		mp->ended(mp->ctx, mp->why);
	mp->handles = 1; /* ours, until all are on their way */
	if (!mp->to) {
		mp->handles++;
		uv_close((uv_handle_t *)&mp->poll, on_closed); /* while the number is ours */
	}
	if (mp->place.len) {
		mp->handles++;
		uv_close((uv_handle_t *)&mp->probe, on_closed);
	}
	let_go(mp);
	if (!--mp->handles)
		gone(mp);
}

/* It is of no more use; the rest follows when nobody on the stack uses it. */
static void fail(struct msg_port *mp, const char *why)
{
	if (mp->dying)
		return;
	mp->dying = true;
	mp->why = why;
	ioloop_defer(mp->host.loop, &mp->bury, bury, mp);
}

void msg_port_end(struct msg_port *mp, const char *why)
{
	if (mp->dying)
		return;
	detach(mp, why);
	fail(mp, why);
}

uint64_t msg_port_heard_ms(const struct msg_port *mp)
{
	return mp->heard_ms;
}

bool msg_port_held(const struct msg_port *mp)
{
	return !mp->place.len || verb_place_held(&mp->place);
}

static void on_probe(uv_timer_t *timer)
{
	struct msg_port *mp = timer->data;
	if (ioloop_now(mp->host.loop) - mp->heard_ms >= MSG_PORT_PROBE_MS &&
		!verb_place_held(&mp->place))
		fail(mp, "nobody has its socket open");
}

/* -- to the client -- */

static void write_queue(struct msg_port *mp);

static void try_again(void *arg)
{
	struct msg_port *mp = arg;
	mp->blocked = false;
	write_queue(mp);
}

/* What became of a write that did nothing. Whether its first message is to be given up, as another
 * would fare no better. */
static bool give_up(struct msg_port *mp, int rc)
{
	switch (-rc) {
	case EAGAIN: /* watch() sees to it */
		return false;
	case ENOBUFS:
	case ENOMEM:
		wait_a_moment(mp);
		return false;
	case EMSGSIZE:
		mp->port.stats->drops[DROP_TOO_BIG_FOR_PORT]++;
		return true;
	default:
		mp->port.stats->drops[DROP_DETACHED]++;
		if (!mp->lasting)
			fail(mp, rc == -EPERM ? "its socket is connected to another"
					      : "its client has gone");
		return true;
	}
}

/* Counts messages that are written. */
static void count(struct msg_port *mp, const struct msgio_out *msgs, unsigned n)
{
	struct port_stats *stats = mp->port.stats;
	stats->tx_frames += n;
	for (unsigned i = 0; i < n; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.*): no more are written than there are */
		for (unsigned s = 0; s < msgs[i].n; s++)
			stats->tx_bytes += msgs[i].segs[s].len;
}

/* Returns how many of the messages are done with, from the first: written or given up. */
static unsigned write_msgs(struct msg_port *mp, const struct msgio_out *msgs, unsigned n)
{
	const struct sockaddr_un *to = mp->to ? &mp->place.addr : NULL;
	unsigned done = 0;
	while (done < n && !mp->dying) {
		const int rc = msgio_send(mp->fd, msgs + done, n - done, to, mp->place.len);
		if (rc > 0) {
			count(mp, msgs + done, (unsigned)rc);
			done += (unsigned)rc;
		} else if (give_up(mp, rc)) {
			done++;
		} else {
			break;
		}
	}
	return done;
}

static void write_queue(struct msg_port *mp)
{
	struct seg segs[MSGIO_BATCH];
	struct msgio_out msgs[MSGIO_BATCH];
	const bool waits = mp->q.n;
	for (unsigned round = 0; round < WRITE_ROUNDS && mp->q.n && !mp->dying; round++) {
		const unsigned n = msgq_fill(&mp->q, segs, MSGIO_BATCH);
		for (unsigned i = 0; i < n; i++)
			msgs[i] = (struct msgio_out){ &segs[i], 1 };
		const unsigned done = write_msgs(mp, msgs, n);
		msgq_consume(&mp->q, done);
		if (done < n)
			break;
	}
	watch(mp);
	if (waits && !mp->q.n) {
		mp->caught_up_ms = ioloop_now(mp->host.loop);
		ioloop_release(mp->host.loop);
	}
}

static void keep(struct msg_port *mp, const struct seg *segs, const struct pending *msg)
{
	struct port_stats *stats = mp->port.stats;
	switch (msgq_put(&mp->q, segs, msg->n, msg->len, msg->flooded)) {
	case SENDQ_TAKEN: /* counted when it is written, or given up */
		break;
	case SENDQ_FULL:
		stats->drops[DROP_QUEUE_FULL]++;
		mp->dropped |= mp->unicast;
		break;
	case SENDQ_NO_MEMORY:
		stats->drops[DROP_NO_MEMORY]++;
		break;
	}
}

/* Writes what there is of this batch; what is not taken waits, or is dropped. */
static void settle(struct msg_port *mp)
{
	struct msgio_out msgs[MSGIO_BATCH];
	struct port_stats *stats = mp->port.stats;
	const struct seg *segs = mp->segs;
	unsigned done = 0;
	if (mp->q.n && !mp->blocked)
		write_queue(mp); /* it may have room by now */
	for (unsigned i = 0, at = 0; i < mp->n_msgs; at += mp->msgs[i].n, i++)
		msgs[i] = (struct msgio_out){ mp->segs + at, mp->msgs[i].n };
	if (!mp->q.n && mp->n_msgs) {
		done = write_msgs(mp, msgs, mp->n_msgs);
		if (done < mp->n_msgs)
			mp->caught_up_ms = ioloop_now(mp->host.loop); /* until now */
	}
	for (unsigned i = 0; i < mp->n_msgs; segs += mp->msgs[i].n, i++) {
		if (i < done)
			continue;
		if (mp->dying)
			stats->drops[DROP_DETACHED]++;
		else
			keep(mp, segs, &mp->msgs[i]);
	}
	mp->n_msgs = mp->n_segs = 0;
	mp->unicast = false;
	watch(mp);
}

/* Whether there is room in this batch for a frame of @n pieces. */
static bool has_room(const struct msg_port *mp, unsigned n)
{
	return mp->n_msgs < MSGIO_BATCH && mp->n_segs + n <= MSG_SEGS;
}

static void add(struct msg_port *mp, const struct frame *frame, bool flooded)
{
	struct seg *segs = mp->segs + mp->n_segs;
	segs[0] = (struct seg){ frame->head, frame->head_len };
	if (frame->more_n)
		memcpy(segs + 1, frame->more, frame->more_n * sizeof(*segs));
	mp->msgs[mp->n_msgs++] = (struct pending){
		.len = frame->len, .n = (uint16_t)(frame->more_n + 1), .flooded = flooded
	};
	mp->n_segs += frame->more_n + 1u;
}

/* One of more pieces than a batch has room for. */
static void add_many(struct msg_port *mp, const struct frame *frame, bool flooded)
{
	const struct pending msg = {
		.len = frame->len, .n = (uint16_t)(frame->more_n + 1), .flooded = flooded
	};
	struct seg *segs = malloc(msg.n * sizeof(*segs));
	if (!segs) {
		mp->port.stats->drops[DROP_NO_MEMORY]++;
		return;
	}
	segs[0] = (struct seg){ frame->head, frame->head_len };
	memcpy(segs + 1, frame->more, frame->more_n * sizeof(*segs));
	keep(mp, segs, &msg);
	free(segs);
}

static void msg_send(struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	struct msg_port *mp = of_port(port);
	if (mp->dying) {
		port->stats->drops[DROP_DETACHED] += n;
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		const struct frame *frame = &frames[i];
		if (!has_room(mp, frame->more_n + 1u))
			settle(mp);
		mp->unicast |= !flooded;
		if (frame->more_n < MSG_SEGS)
			add(mp, frame, flooded);
		else
			add_many(mp, frame, flooded);
	}
}

static void msg_flush(struct port *port)
{
	struct msg_port *mp = of_port(port);
	const uint64_t now_ms = ioloop_now(mp->host.loop);
	if (mp->n_msgs || mp->q.n)
		settle(mp);
	if (!mp->q.n)
		mp->caught_up_ms = now_ms;
	ioloop_flushed(mp->host.loop, mp->dropped && now_ms - mp->caught_up_ms <= STREAM_FAST_MS);
	mp->dropped = false;
}

/* -- from the client -- */

static void rested(void *arg)
{
	struct msg_port *mp = arg;
	mp->resting = false;
	watch(mp);
}

/* A greeting, the end, or what no frame can be; the others are views. Returns how many. */
static unsigned frames_of(
	struct msg_port *mp, const struct msgio_in *msgs, unsigned n, struct frame *frames)
{
	unsigned kept = 0, empty = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct msgio_in *m = &msgs[i];
		const bool greets = mp->greeting && m->len == 4 && !memcmp(m->data, "VFKT", 4);
		mp->greeting = false;
		if (greets)
			continue;
		if (!m->len) {
			empty++;
			continue;
		}
		if (m->len > MSGIO_SLOT) {
			network_count(mp->host.net, mp->port.id, DROP_OVERSIZE, 1, m->len);
			continue;
		}
		if (m->len < FETH_FRAME_MIN) {
			network_count(mp->host.net, mp->port.id, DROP_RUNT, 1, m->len);
			continue;
		}
		frames[kept++] = (struct frame){
			.head = m->data, .head_len = m->len, .len = m->len, .framing = FRAMING_NONE
		};
	}
	/* asked once, for a peer may send as many as it likes */
	if (empty && mp->kind == PORT_KIND_SEQPACKET && msgio_ended(mp->fd))
		fail(mp, "closed by peer");
	else if (empty)
		network_count(mp->host.net, mp->port.id, DROP_RUNT, empty, 0);
	return kept;
}

void msg_port_input(struct msg_port *mp, const struct msgio_in *msgs, unsigned n)
{
	struct frame frames[MSGIO_BATCH];
	struct network *net = mp->host.net;
	if (mp->dying)
		return;
	mp->heard_ms = ioloop_now(mp->host.loop);
	n = frames_of(mp, msgs, n, frames);
	if (!n)
		return;
	network_input(net, mp->port.id, frames, n, mp->heard_ms);
	network_flush(net);
}

static void on_descriptors(void *ctx, const void *fds, unsigned n)
{
	struct msg_port *mp = ctx;
	ioloop_counters(mp->host.loop)->ignored++;
	if (!shared_close(ioloop_shared(mp->host.loop), mp->client.uid, fds, n))
		fail(mp, "sent more descriptors than can be closed");
}

static void read_msgs(struct msg_port *mp)
{
	static const struct msgio_ops ops = { .descriptors = on_descriptors };
	struct msgio_in msgs[MSGIO_BATCH];
	struct ioloop *loop = mp->host.loop;
	const int n = msgio_recv(mp->fd, ioloop_buf(loop), msgs, false, &ops, mp);
	if (n < 0 && !mp->lasting)
		return fail(mp, "closed by peer");
	if (n <= 0 || mp->dying)
		return;
	ioloop_batch(loop);
	msg_port_input(mp, msgs, (unsigned)n);
	if (mp->dying || mp->resting || !ioloop_overran(loop))
		return;
	mp->resting = true;
	ioloop_hold(loop, &mp->rest, rested, mp);
	watch(mp);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct msg_port *mp = poll->data;
	if (mp->dying)
		return;
	if (status < 0) { /* libuv has stopped it at POLLERR; the read takes the error */
		mp->events = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	if (events & UV_WRITABLE && mp->q.n)
		write_queue(mp);
	if (events & UV_READABLE && !mp->fed && !mp->resting && !mp->dying)
		read_msgs(mp);
	watch(mp);
}

/* -- as a port and a client -- */

static void close_port(struct port *port, bool is_gone)
{
	msg_port_end(of_port(port), is_gone ? "its network is removed" : "its port is removed");
}

static void leave(struct client *client, bool is_gone)
{
	close_port(&of_client(client)->port, is_gone);
}

static void limit(struct port *port, uint32_t bytes)
{
	of_port(port)->q.limit = bytes;
}

static uint32_t queued(const struct port *port)
{
	return of_port(port)->q.bytes;
}

static const struct port_ops port_ops = {
	.send = msg_send,
	.flush = msg_flush,
	.close = close_port,
	.changed = NULL, /* nothing could say so */
	.limit = limit,
	.queued = queued,
};

static void judged(struct client *client, const char *network, unsigned rights)
{
	struct msg_port *mp = of_client(client);
	const bool control = rights & RIGHT_CONTROL;
	if (!mp->who || !mp->attached ||
		(rights & RIGHT_ATTACH &&
			(control || !network_port_loosened(mp->host.net, mp->port.id))))
		return;
	ioloop_counters(mp->host.loop)->revoked++;
	log_warn("access", "revoked port net=%s uid=%u pid=%u", network, (unsigned)mp->client.uid,
		(unsigned)mp->who->pid);
	msg_port_end(mp, "its right was taken away");
}

static int start(struct msg_port *mp, struct err *err)
{
	const char *name = network_facts(mp->host.net)->spec.network;
	uv_loop_t *uv = ioloop_uv(mp->host.loop);
	const int rc = mp->to ? 0 : uv_poll_init(uv, &mp->poll, mp->fd);
	if (rc < 0)
		return err_set(err, rc, "%s: cannot serve another port: %s", name, strerror(-rc));
	if (mp->place.len) {
		uv_timer_init(uv, &mp->probe);
		uv_timer_start(&mp->probe, on_probe, MSG_PORT_PROBE_MS, MSG_PORT_PROBE_MS);
	}
	mp->poll.data = mp->probe.data = mp;
	client_join(mp->host.clients, &mp->client);
	return 0;
}

static int attach(struct msg_port *mp, const struct port_conf *wanted, struct port_info *info,
	struct err *err)
{
	struct port_conf conf = *wanted;
	conf.uid = mp->client.uid;
	conf.pid = mp->who ? mp->who->pid : 0;
	const int rc = network_attach(
		mp->host.net, &conf, &mp->port, ioloop_now(mp->host.loop), info, err);
	if (rc < 0)
		return rc;
	mp->attached = true;
	log_info("port", "attached net=%s port=%u name=%s kind=%s uid=%u pid=%u",
		network_facts(mp->host.net)->spec.network, (unsigned)info->id, info->name,
		port_kind_name(conf.kind), (unsigned)conf.uid, (unsigned)conf.pid);
	return 0;
}

/* Nothing became of it, and it has no handles. */
static int refuse(
	const struct msg_port_host *host, const struct msg_port_conf *conf, struct err *err)
{
	struct verb_place place = conf->place;
	if (!conf->to)
		close(conf->fd);
	if (place.len)
		verb_place_close(&place);
	if (conf->counted && conf->who)
		shared_leave(ioloop_shared(host->loop), conf->who->uid);
	return err_set(err, -ENOMEM, "%s: cannot serve another port: out of memory",
		network_facts(host->net)->spec.network);
}

int msg_port_open(struct msg_port **out, const struct msg_port_host *host,
	const struct msg_port_conf *conf, struct port_info *info, struct err *err)
{
	struct msg_port *mp = calloc(1, sizeof(*mp));
	struct peer *who = conf->who && mp ? peer_copy(conf->who) : NULL;
	if (!mp || (conf->who && !who)) {
		free(mp);
		return refuse(host, conf, err);
	}
	mp->host = *host;
	mp->who = who;
	mp->client.who = who ? who : (struct peer *)(uintptr_t)&administrator;
	mp->client.uid = who ? who->uid : 0;
	mp->client.close = leave;
	mp->client.judged = judged;
	mp->port.ops = &port_ops;
	mp->port.frame_max = conf->frame_max;
	mp->kind = conf->port->kind;
	mp->fd = conf->fd;
	mp->place = conf->place;
	if (!mp->place.len)
		mp->place.fd = -1;
	mp->counted = conf->counted;
	mp->to = conf->to;
	mp->fed = conf->fed || conf->to;
	mp->lasting = conf->lasting;
	mp->greeting = conf->greeting;
	mp->heard_ms = mp->caught_up_ms = ioloop_now(host->loop);
	msgq_init(&mp->q, network_pool(host->net));
	if (!mp->to)
		msgio_buffers(mp->fd);
	int rc = start(mp, err);
	if (rc < 0) {
		let_go(mp);
		free(mp->who);
		free(mp);
		return rc;
	}
	rc = attach(mp, conf->port, info, err);
	if (rc < 0) {
		fail(mp, "not attached");
		return rc;
	}
	mp->ended = conf->ended; /* what did not begin does not end */
	mp->ctx = conf->ctx;
	watch(mp);
	if (out)
		*out = mp;
	return 0;
}
