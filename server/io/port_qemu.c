/* port_qemu.c - see port_qemu.h. */
#include "server/io/port_qemu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/qemu.h"
#include "server/base/log.h"
#include "server/core/ingress.h"
#include "server/io/refusals.h"
#include "server/io/shared.h"
#include "server/io/stream_port.h"

struct port_qemu {
	struct stream_port sp;                     /* first: stream_port.h */
	void (*ended)(void *ctx, const char *why); /* NULL where the client came to us */
	void *ctx;
};

static const struct port_ops port_ops = {
	.send = stream_port_send,
	.flush = stream_port_flush,
	.close = stream_port_close,
	.changed = NULL, /* nothing in this framing could say so */
	.limit = stream_port_limit,
	.queued = stream_port_queued,
};

static void bad_stream(struct stream_port *sp, const char *reason)
{
	ioloop_counters(sp->s.loop)->protocol_error++;
	if (refusals_admit(sp->s.loop, sp->client.uid))
		log_warn("port", "protocol error net=%s port=%u uid=%u pid=%u: %s",
			network_facts(sp->net)->spec.network, (unsigned)sp->port.id,
			(unsigned)sp->client.uid, (unsigned)sp->pid, reason);
	stream_fail(&sp->s, reason, false);
}

static size_t on_input(struct stream *s, const uint8_t *buf, size_t len, size_t *need)
{
	struct stream_port *sp = stream_port_of(s);
	struct frame frames[IOLOOP_BATCH];
	const uint64_t now = ioloop_now(s->loop);
	size_t at = 0, used;
	unsigned n;

	while ((n = ingress_qemu(buf + at, len - at, frames, IOLOOP_BATCH, &used))) {
		network_input(sp->net, sp->port.id, frames, n, now);
		at += used;
		if (network_work(sp->net) >= NETWORK_WORK) {
			stream_yield(s);
			return at;
		}
	}
	struct wire_item item;
	if (qemu_next(buf + at, len - at, &item, need) == WIRE_BAD)
		bad_stream(sp, item.reason);
	return at;
}

static void on_batch_end(struct stream *s)
{
	network_flush(stream_port_of(s)->net);
}

static void on_lost(struct stream *s, const char *why)
{
	struct stream_port *sp = stream_port_of(s);
	const struct port_qemu *pq = (const struct port_qemu *)sp;
	stream_port_detach(sp, why);
	if (pq->ended)
		pq->ended(pq->ctx, why);
}

static void on_closed(struct stream *s)
{
	stream_port_closed(stream_port_of(s));
	free(s);
}

static void judged(struct client *client, const char *network, unsigned rights)
{
	struct stream_port *sp = stream_port_of_client(client);
	if (stream_port_may(sp, rights))
		return;
	stream_port_revoke(sp, "port", network);
	stream_fail(&sp->s, STREAM_PORT_REVOKED, true);
}

static const struct stream_ops stream_ops = {
	.input = on_input,
	.batch_end = on_batch_end,
	.lost = on_lost,
	.closed = on_closed,
};

int port_qemu_dial(struct ioloop *loop, struct network *net, struct client_list *clients, int fd,
	const struct peer *who, const struct port_conf *conf,
	void (*ended)(void *ctx, const char *why), void *ctx, struct port_info *out,
	struct err *err)
{
	struct port_qemu *pq = calloc(1, sizeof(*pq));
	struct stream_port *sp = (struct stream_port *)pq;
	int rc = -ENOMEM;
	if (pq) {
		sp->net = net;
		sp->clients = clients;
		sp->client.close = stream_port_leave;
		sp->client.judged = judged;
		sp->port.ops = &port_ops;
		rc = stream_port_open(sp, loop, fd, who, FRAMING_QEMU, &stream_ops);
	} else {
		close(fd);
		shared_leave(ioloop_shared(loop), who->uid);
	}
	if (rc < 0) {
		free(pq);
		return err_set(err, rc, "%s: cannot serve another port: %s",
			network_facts(net)->spec.network, strerror(-rc));
	}
	rc = stream_port_attach(sp, conf, "qemu", ended ? 0 : RIGHT_ATTACH, out, err);
	if (rc < 0) {
		stream_fail(&sp->s, "not attached", false);
		return rc;
	}
	pq->ended = ended;
	pq->ctx = ctx;
	return 0;
}

int port_qemu_open(struct ioloop *loop, struct network *net, struct client_list *clients, int fd,
	const struct peer *who, const struct port_conf *conf, struct port_info *out,
	struct err *err)
{
	return port_qemu_dial(loop, net, clients, fd, who, conf, NULL, NULL, out, err);
}
