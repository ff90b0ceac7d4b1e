/* port_vde.c - see port_vde.h. */
#include "server/io/port_vde.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/vde.h"
#include "server/base/log.h"
#include "server/io/refusals.h"
#include "server/io/shared.h"
#include "server/io/stream_port.h"
#include "server/priv/sock.h"

struct port_vde {
	struct stream_port sp; /* the connection, which itself is never a port */
	struct msg_port_host host;
	struct port_conf conf;
	struct msg_port *data; /* NULL before the request, and when it has ended */
	char path[PATH_TEXT];  /* of our socket; empty: there is none */
	bool asked;            /* the request has come */
	bool closed;           /* the connection is no more; the memory waits for `data` */
	uint32_t described;    /* bytes that came behind the request */
};

static struct port_vde *of_stream(struct stream *s)
{
	return (struct port_vde *)stream_port_of(s);
}

static const char *network_of(const struct port_vde *pv)
{
	return network_facts(pv->host.net)->spec.network;
}

static void remove_socket(struct port_vde *pv)
{
	if (pv->path[0])
		verb_unlink(pv->path);
	pv->path[0] = '\0';
}

static void on_data_ended(void *ctx, const char *why)
{
	struct port_vde *pv = ctx;
	pv->data = NULL;
	remove_socket(pv);
	if (pv->closed)
		free(pv);
	else
		stream_fail(&pv->sp.s, why, false);
}

/* -- the request -- */

/* A datagram socket of ours, connected to the client's; or -errno and a sentence. */
static int connect_back(const struct port_vde *pv, const struct vde_request *req, struct err *err)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	if (fd < 0)
		return err_set(
			err, fd, "%s: cannot make a socket: %s", network_of(pv), strerror(-fd));
	memcpy(name.sun_path, req->path, sizeof(name.sun_path));
	const int rc = verb_connect_peer(fd, &name, sizeof(name), pv->sp.client.uid, NULL, err);
	if (!rc)
		return fd;
	if (rc != -EACCES)
		ioloop_counters(pv->host.loop)->unreachable++;
	close(fd);
	return rc;
}

/* Makes it a port, with a socket that the client can send to. */
static int attach(struct port_vde *pv, const struct vde_request *req, struct err *err)
{
	char dir[2 * PATH_TEXT];
	snprintf(dir, sizeof(dir), "%s/vde", network_facts(pv->host.net)->path);
	const int fd = connect_back(pv, req, err);
	if (fd < 0)
		return fd;
	int rc = verb_shared_bind(fd, dir, pv->sp.client.uid, pv->path, err);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	const struct msg_port_conf conf = {
		.fd = fd,
		.who = pv->sp.client.who,
		.port = &pv->conf,
		.place = { .fd = -1 },
		.ended = on_data_ended,
		.ctx = pv,
		.frame_max = VDE_FRAME_MAX,
	};
	struct port_info info;
	rc = msg_port_open(&pv->data, &pv->host, &conf, &info, err);
	if (rc < 0)
		remove_socket(pv);
	return rc;
}

static void bad_request(struct port_vde *pv, const char *reason)
{
	ioloop_counters(pv->host.loop)->protocol_error++;
	if (refusals_admit(pv->host.loop, pv->sp.client.uid))
		log_warn("port", "protocol error net=%s uid=%u pid=%u: %s", network_of(pv),
			(unsigned)pv->sp.client.uid, (unsigned)pv->sp.pid, reason);
	stream_fail(&pv->sp.s, reason, false);
}

static void take_request(struct port_vde *pv, const struct vde_request *req)
{
	struct err err = { 0 };
	char said[2 * ERR_TEXT]; /* a path may be anything */
	uint8_t answer[VDE_ADDR_LEN];
	pv->asked = true;
	const int rc = attach(pv, req, &err);
	if (rc < 0) { /* nothing in this protocol could tell it why */
		if (rc == -EACCES)
			ioloop_counters(pv->host.loop)->denied++;
		if (refusals_admit(pv->host.loop, pv->sp.client.uid))
			log_warn("port", "refused net=%s uid=%u pid=%u: %s", network_of(pv),
				(unsigned)pv->sp.client.uid, (unsigned)pv->sp.pid,
				log_text(said, sizeof(said), err.text));
		stream_fail(&pv->sp.s, "not attached", false);
		return;
	}
	vde_answer(answer, pv->path);
	stream_put_message(&pv->sp.s, answer, sizeof(answer), 0, NULL, 0);
}

static size_t on_input(struct stream *s, const uint8_t *buf, size_t len, size_t *need)
{
	struct port_vde *pv = of_stream(s);
	struct vde_request req;
	const char *reason;
	size_t at = 0;
	if (!pv->asked) {
		switch (vde_next(buf, len, &req, need, &reason)) {
		case VDE_MORE:
			return 0;
		case VDE_BAD:
			bad_request(pv, reason);
			return 0;
		case VDE_REQUEST:
			take_request(pv, &req);
			at = req.len;
		}
	}
	/* what it says of itself: nothing is decided by it */
	pv->described += (uint32_t)(len - at);
	if (pv->described > VDE_DESCR_MAX)
		bad_request(pv, "more behind a request of VDE than a description has");
	return len;
}

/* -- life -- */

static void on_batch_end(struct stream *s)
{
	(void)s;
}

static void on_lost(struct stream *s, const char *why)
{
	struct port_vde *pv = of_stream(s);
	if (pv->data)
		msg_port_end(pv->data, why);
}

static void on_closed(struct stream *s)
{
	struct port_vde *pv = of_stream(s);
	stream_port_closed(&pv->sp);
	pv->closed = true;
	if (!pv->data)
		free(pv);
}

static const struct stream_ops stream_ops = {
	.input = on_input,
	.batch_end = on_batch_end,
	.lost = on_lost,
	.closed = on_closed,
};

/* Of the connection; the port that came of it is a client as well, and hears the same. */
static void leave(struct client *client, bool gone)
{
	struct port_vde *pv = of_stream(&stream_port_of_client(client)->s);
	const char *why = gone ? "its network is removed" : "its port is removed";
	if (pv->data)
		msg_port_end(pv->data, why);
	stream_fail(&pv->sp.s, why, false);
}

static void judged(struct client *client, const char *network, unsigned rights)
{
	struct port_vde *pv = of_stream(&stream_port_of_client(client)->s);
	(void)network;
	if (!pv->asked && !(rights & RIGHT_ATTACH))
		stream_fail(&pv->sp.s, STREAM_PORT_REVOKED, false);
}

int port_vde_open(const struct msg_port_host *host, int fd, const struct peer *who,
	const struct port_conf *conf)
{
	struct port_vde *pv = calloc(1, sizeof(*pv));
	if (!pv) {
		close(fd);
		shared_leave(ioloop_shared(host->loop), who->uid);
		return -ENOMEM;
	}
	pv->host = *host;
	pv->conf = *conf;
	pv->sp.net = host->net;
	pv->sp.clients = host->clients;
	pv->sp.client.close = leave;
	pv->sp.client.judged = judged;
	const int rc = stream_port_open(&pv->sp, host->loop, fd, who, FRAMING_NONE, &stream_ops);
	if (rc < 0)
		free(pv);
	return rc;
}
