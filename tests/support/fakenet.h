/* fakenet.h - a network whose ports and host side write down what they are given.
 *
 * Each keeps a log of events: a frame's tag (eth.h), "|" for flush, "<9000/1500>" for the news of
 * an MTU of 9000 while its own was still 1500, "x" for close, "X" for close because the network
 * goes. */
#ifndef TESTS_SUPPORT_FAKENET_H
#define TESTS_SUPPORT_FAKENET_H

#include "server/core/network.h"
#include "server/core/sendq.h"

#define FAKE_LOG 512u

struct fake_port {
	struct port port;
	struct fakenet *fn;
	struct port_info info;
	char log[FAKE_LOG];
	bool attached;
	bool slow; /* keeps flooded frames in q */
	struct sendq q;
	const char *detach_on;  /* the event to leave at: "flush", "changed", "close" */
	struct fake_port *also; /* who leaves with it */
	uint32_t limit;         /* what port_ops.limit said last */
	unsigned n_flooded;     /* frames that came with `flooded` */
};

struct fakenet {
	struct network *net;
	struct network_facts facts;
	char host_log[FAKE_LOG];
	unsigned host_takes;   /* of each run */
	unsigned ports_events; /* calls of network_events.ports */
	unsigned ports_now;    /* what the last one said */
	/* Of network_events.group, as long as there is room: "+333300010007=2 " where port 2 is the
	 * only member, "+333300010007 " of several, "-333300010007 " of none. */
	char groups[FAKE_LOG];
	/* Of network_events.looped and duplicate, as long as there is room: "+b " where port b is
	 * cut, "-b " where it is tried again, "2 " where two stations have the address with this
	 * last byte. */
	char loops[FAKE_LOG];
	uint16_t loop_first; /* who sent first what the last of these brought back */
	uint64_t now_ms;
	/* If not NULL, is shown every frame that a port gets, and NULL for its flush; of the host,
	 * port 0, what it is given. */
	void (*seen)(void *ctx, unsigned port, const struct frame *frame);
	void *seen_ctx;
};

/* Return: 0 or what network_new() says. @has_host: else it is a private switch. */
int fakenet_open(struct fakenet *fn, bool has_host, uint32_t mtu);
/* Ports to be made, and the host side, may send what others have sent: random frames do. */
void fakenet_unguard(struct fakenet *fn);
/* Detaches nobody: that is the test's. */
void fakenet_close(struct fakenet *fn);

/* As network_attach(); @mac 0: none given. The port's log begins empty. */
int fake_attach(struct fakenet *fn, struct fake_port *p, const char *name, unsigned mac,
	bool locked, struct err *err);
int fake_attach_conf(
	struct fakenet *fn, struct fake_port *p, const struct port_conf *conf, struct err *err);
void fake_detach(struct fake_port *p);

/* One frame of 60 bytes from a port (NULL: the host), and a flush. */
void fake_send(struct fakenet *fn, struct fake_port *from, unsigned dst, unsigned src, char tag);
void fake_batch(struct fakenet *fn, struct fake_port *from, struct frame *frames, unsigned n);

/* Runs a command; the caller frees it. */
struct command *fake_command(struct fakenet *fn, enum command_kind kind);
void fake_run(struct fakenet *fn, struct command *cmd);
/* CMD_PREPARE, then CMD_FACTS, as main does; returns the error of the first. */
int fake_set_mtu(struct fakenet *fn, uint32_t mtu);

#endif
