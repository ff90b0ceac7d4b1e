/* port_tap.c - see port_tap.h. The frames go by the data half of the backend tap, which does the
 * same for the host side. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "server/base/log.h"
#include "server/io/port_tap.h"

struct port_tap {
	struct port_tap_host host;
	struct port port;
	struct client client;
	struct peer who; /* all zero: root, whose interface it is */
	char name[FETH_NAME_MAX + 1];
	const struct hostif_ops *ops;
	struct hostif *hif; /* owned; NULL once it is closed */
	uv_poll_t poll;
	struct ioloop_later rest; /* it is not read: pacing, stream.h */
	bool resting;
};

static struct port_tap *tap_of(const struct port *port)
{
	return (void *)((char *)port - offsetof(struct port_tap, port));
}

static void on_closed(uv_handle_t *poll)
{
	struct port_tap *tap = poll->data;
	client_leave(tap->host.clients, &tap->client);
	free(tap);
}

static void end(struct port_tap *tap, const char *why)
{
	if (!tap->hif)
		return;
	log_info("port", "detached net=%s port=%u name=%s why=%s",
		network_facts(tap->host.net)->spec.network, (unsigned)tap->port.id, tap->name, why);
	network_detach(tap->host.net, &tap->port);
	if (tap->resting)
		ioloop_cancel(tap->host.loop, &tap->rest);
	uv_close((uv_handle_t *)&tap->poll, on_closed);
	tap->ops->close(tap->hif);
	tap->hif = NULL;
}

/* -- from the kernel -- */

static void on_readable(uv_poll_t *poll, int status, int events);

static void rested(void *arg)
{
	struct port_tap *tap = arg;
	tap->resting = false;
	uv_poll_start(&tap->poll, UV_READABLE, on_readable);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct port_tap *tap = poll->data;
	struct ioloop *loop = tap->host.loop;
	struct network *net = tap->host.net;
	struct frame frames[HOSTIF_BATCH];
	(void)events;
	int n = tap->ops->recv(tap->hif, frames, HOSTIF_BATCH, ioloop_buf(loop), IOLOOP_BUF);
	if (n > 0)
		n = (int)network_judge(net, tap->port.id, frames, (unsigned)n);
	if (n < 0) {
		const struct port_tap_host host = tap->host;
		char name[FETH_NAME_MAX + 1];
		memcpy(name, tap->name, sizeof(name));
		end(tap, "its interface is gone");
		host.lost(host.ctx, name);
		return;
	}
	if (n > 0) {
		ioloop_batch(loop);
		network_input(net, tap->port.id, frames, (unsigned)n, ioloop_now(loop));
		network_flush(net);
	}
	if (!tap->hif || tap->resting)
		return; /* removed by what it sent, or its poll was stopped before */
	if (n > 0 && ioloop_overran(loop)) {
		tap->resting = true;
		uv_poll_stop(poll); /* the interface keeps 1000 frames meanwhile */
		ioloop_hold(loop, &tap->rest, rested, tap);
	} else if (status < 0) { /* libuv has stopped it at POLLERR */
		uv_poll_start(poll, UV_READABLE, on_readable);
	}
}

/* -- to the kernel: at once, so that nothing ever waits here -- */

static void tap_send(struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	const struct port_tap *tap = tap_of(port);
	uint64_t bytes = 0;
	(void)flooded;
	const unsigned taken = tap->ops->send(tap->hif, frames, n);
	for (unsigned i = 0; i < n; i++)
		bytes += frames[i].len;
	if (taken < n) /* as pass_host() */
		bytes = bytes * taken / n;
	port->stats->tx_frames += taken;
	port->stats->tx_bytes += bytes;
	port->stats->drops[DROP_HOST_REFUSED] += n - taken;
}

static void tap_flush(struct port *port)
{
	(void)port;
	ioloop_flushed(tap_of(port)->host.loop, false);
}

static void close_port(struct port *port, bool gone)
{
	end(tap_of(port), gone ? "its network is removed" : "its port is removed");
}

static uint32_t queued(const struct port *port)
{
	(void)port;
	return 0;
}

static const struct port_ops port_ops = {
	.send = tap_send,
	.flush = tap_flush,
	.close = close_port,
	.queued = queued,
};

/* -- as a client -- */

static void leave(struct client *client, bool gone)
{
	struct port_tap *tap =
		(struct port_tap *)((char *)client - offsetof(struct port_tap, client));
	close_port(&tap->port, gone);
}

/* An administrator said that it shall be here. */
static void judged(struct client *client, const char *network, unsigned rights)
{
	(void)client;
	(void)network;
	(void)rights;
}

static int attach(struct port_tap *tap, struct port_info *out, struct err *err)
{
	struct port_conf conf = { .kind = PORT_KIND_TAP, .take_only = true };
	memcpy(conf.name, tap->name, sizeof(conf.name));
	const int rc = network_attach(
		tap->host.net, &conf, &tap->port, ioloop_now(tap->host.loop), out, err);
	if (rc < 0)
		return rc;
	log_info("port", "attached net=%s port=%u name=%s kind=tap if=%s netns=%s",
		network_facts(tap->host.net)->spec.network, (unsigned)out->id, out->name,
		out->tap.ifname, out->tap.netns[0] ? out->tap.netns : "-");
	return 0;
}

int port_tap_open(const struct port_tap_host *host, int fd, const char *name, struct port_info *out,
	struct err *err)
{
	const struct hostif_spec *spec = &network_facts(host->net)->spec;
	const struct hostif_made made = { .rx_fd = fd, .tx_fd = fd };
	struct port_tap *tap = calloc(1, sizeof(*tap));
	if (!tap) {
		close(fd);
		return err_set(err, -ENOMEM, "%s: out of memory", spec->network);
	}
	tap->host = *host;
	tap->ops = hostif_find("tap");
	tap->port.ops = &port_ops;
	tap->port.owes = true;
	tap->client.who = &tap->who;
	tap->client.close = leave;
	tap->client.judged = judged;
	tap->poll.data = tap;
	snprintf(tap->name, sizeof(tap->name), "%s", name);
	int rc = tap->ops->open(&tap->hif, &made, spec, err); /* takes over @fd */
	if (rc < 0)
		goto fail;
	tap->port.offload = tap->ops->offload(tap->hif);
	rc = uv_poll_init(ioloop_uv(host->loop), &tap->poll, fd);
	if (rc < 0) {
		err_set(err, -EIO, "%s: port %s: cannot wait for its interface: %s", spec->network,
			name, strerror(-rc));
		goto fail;
	}
	client_join(host->clients, &tap->client);
	rc = attach(tap, out, err);
	if (rc < 0) {
		uv_close((uv_handle_t *)&tap->poll, on_closed); /* while the number is ours */
		tap->ops->close(tap->hif);
		tap->hif = NULL;
		return rc;
	}
	uv_poll_start(&tap->poll, UV_READABLE, on_readable);
	return 0;

fail:
	if (tap->hif)
		tap->ops->close(tap->hif);
	free(tap);
	return err->code;
}
