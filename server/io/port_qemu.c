/* port_qemu.c - see port_qemu.h. */
#include "server/io/port_qemu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/qemu.h"
#include "server/base/log.h"
#include "server/core/ingress.h"
#include "server/io/stream.h"

struct port_qemu {
	struct stream s;
	struct client client;
	struct port port;
	struct network *net;
	struct client_list *clients;
	uint32_t pid;
	bool attached;
};

static struct port_qemu *of_stream(struct stream *s)
{
	return (struct port_qemu *)s;
}

static struct port_qemu *of_port(struct port *port)
{
	return (struct port_qemu *)((char *)port - offsetof(struct port_qemu, port));
}

static void port_send(struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	stream_send(&of_port(port)->s, frames, n, flooded);
}

static void port_flush(struct port *port)
{
	stream_flush(&of_port(port)->s);
}

static void detach(struct port_qemu *q, const char *why)
{
	if (!q->attached)
		return;
	log_info("port", "detached net=%s port=%u uid=%u pid=%u why=%s",
		network_facts(q->net)->spec.network, (unsigned)q->port.id, (unsigned)q->client.uid,
		(unsigned)q->pid, why);
	network_detach(q->net, &q->port);
	q->attached = false;
	q->s.stats = NULL;
}

static void port_close(struct port *port, bool gone)
{
	const char *why = gone ? "its network is removed" : "its port is removed";
	detach(of_port(port), why); /* now, so that the next call finds its name and number free */
	stream_fail(&of_port(port)->s, why, true);
}

static uint32_t port_queued(const struct port *port)
{
	const struct port_qemu *q =
		(const struct port_qemu *)((const char *)port - offsetof(struct port_qemu, port));
	return q->s.q.frames.bytes;
}

static const struct port_ops port_ops = {
	.send = port_send,
	.flush = port_flush,
	.close = port_close,
	.changed = NULL, /* nothing in this framing could say so */
	.queued = port_queued,
};

static void bad_stream(struct port_qemu *q, const char *reason)
{
	ioloop_counters(q->s.loop)->protocol_error++;
	log_warn("port", "protocol error net=%s port=%u uid=%u pid=%u: %s",
		network_facts(q->net)->spec.network, (unsigned)q->port.id, (unsigned)q->client.uid,
		(unsigned)q->pid, reason);
	stream_fail(&q->s, reason, false);
}

static size_t on_input(struct stream *s, const uint8_t *buf, size_t len, size_t *need)
{
	struct port_qemu *q = of_stream(s);
	struct frame frames[IOLOOP_BATCH];
	const uint64_t now = ioloop_now(s->loop);
	size_t at = 0, used;
	unsigned n;

	while ((n = ingress_qemu(buf + at, len - at, frames, IOLOOP_BATCH, &used))) {
		network_input(q->net, q->port.id, frames, n, now);
		at += used;
	}
	struct wire_item item;
	if (qemu_next(buf + at, len - at, &item, need) == WIRE_BAD)
		bad_stream(q, item.reason);
	return at;
}

static void on_batch_end(struct stream *s)
{
	network_flush(of_stream(s)->net);
}

static void on_lost(struct stream *s, const char *why)
{
	detach(of_stream(s), why);
}

static void on_closed(struct stream *s)
{
	struct port_qemu *q = of_stream(s);
	ioloop_leave(s->loop, q->client.uid);
	client_leave(q->clients, &q->client);
	free(q);
}

static const struct stream_ops stream_ops = {
	.input = on_input,
	.batch_end = on_batch_end,
	.lost = on_lost,
	.closed = on_closed,
};

static void client_close(struct client *client, bool gone)
{
	struct port_qemu *q =
		(struct port_qemu *)((char *)client - offsetof(struct port_qemu, client));
	port_close(&q->port, gone);
}

int port_qemu_open(struct ioloop *loop, struct network *net, struct client_list *clients, int fd,
	const struct port_conf *conf, struct port_info *out, struct err *err)
{
	const char *name = network_facts(net)->spec.network;
	struct port_qemu *q = calloc(1, sizeof(*q));
	int rc = q ? stream_open(&q->s, loop, fd, FRAMING_QEMU, network_pool(net), &stream_ops)
		   : -ENOMEM;
	if (rc < 0) {
		if (!q)
			close(fd);
		free(q);
		return err_set(err, rc, "%s: cannot serve another port: %s", name, strerror(-rc));
	}
	q->port.ops = &port_ops;
	q->net = net;
	q->clients = clients;
	q->pid = conf->pid;
	q->client.uid = conf->uid;
	q->client.close = client_close;
	client_join(clients, &q->client);
	ioloop_enter(loop, conf->uid);

	rc = network_attach(net, conf, &q->port, ioloop_now(loop), out, err);
	if (rc < 0) {
		stream_fail(&q->s, "not attached", false);
		return rc;
	}
	q->attached = true;
	q->s.stats = q->port.stats;
	log_info("port", "attached net=%s port=%u name=%s kind=qemu uid=%u pid=%u", name,
		(unsigned)out->id, out->name, (unsigned)conf->uid, (unsigned)conf->pid);
	return 0;
}
