/* stream_port.c - see stream_port.h. */
#include "server/io/stream_port.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/io/shared.h"

int stream_port_open(struct stream_port *sp, struct ioloop *loop, int fd, const struct peer *who,
	enum framing framing, const struct stream_ops *ops)
{
	sp->client.who = peer_copy(who);
	if (!sp->client.who) {
		close(fd);
		shared_leave(ioloop_shared(loop), who->uid);
		return -ENOMEM;
	}
	sp->client.uid = who->uid;
	sp->pid = who->pid;
	struct block_pool *pool = sp->net ? network_pool(sp->net) : ioloop_rpc_pool(loop);
	const int rc = stream_open(&sp->s, loop, fd, who->uid, framing, pool, ops);
	if (rc < 0) {
		free(sp->client.who);
		shared_leave(ioloop_shared(loop), who->uid);
		return rc;
	}
	client_join(sp->clients, &sp->client);
	return 0;
}

void stream_port_closed(struct stream_port *sp)
{
	shared_leave(ioloop_shared(sp->s.loop), sp->client.uid);
	client_leave(sp->clients, &sp->client);
	free(sp->client.who);
}

int stream_port_attach(struct stream_port *sp, const struct port_conf *conf, const char *kind,
	unsigned right, struct port_info *out, struct err *err)
{
	const int rc = network_attach(sp->net, conf, &sp->port, ioloop_now(sp->s.loop), out, err);
	if (rc < 0)
		return rc;
	sp->attached = true;
	sp->right = right;
	sp->s.stats = sp->port.stats;
	stream_set_timely(&sp->s, !conf->monitor);
	log_info("port", "attached net=%s port=%u name=%s kind=%s uid=%u pid=%u",
		network_facts(sp->net)->spec.network, (unsigned)out->id, out->name, kind,
		(unsigned)out->uid, (unsigned)out->pid);
	return 0;
}

void stream_port_detach(struct stream_port *sp, const char *why)
{
	if (!sp->attached)
		return;
	log_info("port", "detached net=%s port=%u uid=%u pid=%u why=%s",
		network_facts(sp->net)->spec.network, (unsigned)sp->port.id,
		(unsigned)sp->client.uid, (unsigned)sp->pid, why);
	network_detach(sp->net, &sp->port);
	sp->attached = false;
	sp->s.stats = NULL;
	stream_set_timely(&sp->s, false);
}

bool stream_port_may(const struct stream_port *sp, unsigned rights)
{
	if (!sp->attached)
		return true;
	return (rights & sp->right) == sp->right &&
	       (rights & RIGHT_CONTROL || !network_port_loosened(sp->net, sp->port.id));
}

void stream_port_revoke(struct stream_port *sp, const char *what, const char *network)
{
	ioloop_counters(sp->s.loop)->revoked++;
	log_warn("access", "revoked %s net=%s uid=%u pid=%u", what, network,
		(unsigned)sp->client.uid, (unsigned)sp->pid);
	if (!sp->attached)
		return;
	stream_port_detach(sp, STREAM_PORT_REVOKED);
	stream_drop_frames(&sp->s);
}

void stream_port_send(struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	stream_send(&stream_port_of_port(port)->s, frames, n, flooded);
}

void stream_port_flush(struct port *port)
{
	stream_flush(&stream_port_of_port(port)->s);
}

void stream_port_limit(struct port *port, uint32_t bytes)
{
	stream_port_of_port(port)->s.q.limit = bytes;
}

uint32_t stream_port_queued(const struct port *port)
{
	const struct stream_port *sp =
		(const void *)((const char *)port - offsetof(struct stream_port, port));
	return sp->s.q.frames.bytes;
}

void stream_port_close(struct port *port, bool gone)
{
	struct client *client = &stream_port_of_port(port)->client;
	client->close(client, gone);
}

void stream_port_leave(struct client *client, bool gone)
{
	struct stream_port *sp = stream_port_of_client(client);
	const char *why = gone ? "its network is removed" : "its port is removed";
	stream_port_detach(sp, why); /* now, so that the next call finds its name and number free */
	stream_fail(&sp->s, why, true);
}
