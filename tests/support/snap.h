/* snap.h - snapshots written out, for tests of what fethctl makes of them. */
#ifndef TESTS_SUPPORT_SNAP_H
#define TESTS_SUPPORT_SNAP_H

#include <string.h>

#include "clients/ctl/snapshot.h"

#define SNAP_PORTS 64u

/* A snapshot of at most two networks, to be filled in; its memory is its own. */
struct snap {
	struct snapshot s;
	struct snap_network nets[2];
	struct snap_port ports[2][SNAP_PORTS];
	struct snap_count drops[2][SNAP_PORTS][4];
};

static inline struct snap_network *snap_network(struct snap *s, const char *name, uint64_t at_ms)
{
	struct snap_network *net = &s->nets[s->s.n_networks];
	*net = (struct snap_network){ .name = name, .backend = "none", .host = "", .at_ms = at_ms };
	net->ports = s->ports[s->s.n_networks++];
	s->s.networks = s->nets;
	return net;
}

static inline struct snap_port *snap_port(
	struct snap_network *net, uint32_t id, const char *name, uint64_t rx_bytes)
{
	struct snap_port *p = &net->ports[net->n_ports++];
	*p = (struct snap_port){ .id = id,
		.name = name,
		.kind = "qemu",
		.mac = "02:00:00:00:00:01",
		.attached = true,
		.up = true,
		.has_age = true,
		.age_ms = 1000000,
		.queue_bytes = 1000,
		.traffic = { .rx_bytes = rx_bytes, .rx_frames = rx_bytes / 100 } };
	net->traffic.rx_bytes += rx_bytes;
	net->traffic.rx_frames += rx_bytes / 100;
	return p;
}

#define SNAP_DROPS(...)                                                                            \
	(struct snap_counts)                                                                       \
	{                                                                                          \
		(const struct snap_count[]){ __VA_ARGS__ },                                        \
			sizeof((struct snap_count[]){ __VA_ARGS__ }) / sizeof(struct snap_count)   \
	}

#endif
