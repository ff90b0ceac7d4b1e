/* monitor.h - somebody who watches a network: which frames it gets, and the records it gets of
 * them.
 *
 * A monitor sees each frame once, where it comes into the switch, with what was decided of it. It
 * is no port: nothing is sent to it or learned from it. What its program (bpf.h) does not want is
 * passed over; of the rest a record (docs/protocol.md: ext 2) is copied, as it will be written, to
 * memory of its own, from where its client is given a batch at a time. That client's queue is its
 * own too: who reads too slowly loses records, and nobody else anything. Where the queue is full
 * frames are counted and not even copied.
 *
 * Pure. Used by network_monitor.c only. */
#ifndef SERVER_CORE_MONITOR_H
#define SERVER_CORE_MONITOR_H

#include "protocol/text.h"
#include "protocol/wire.h"
#include "server/core/bpf.h"
#include "server/core/port.h"
#include "server/core/sendq.h"
#include "server/core/vswitch.h"

/* Of one network. More than anybody looks at; and each costs every frame a run of its program. */
#define MONITORS_MAX 16u
/* Most bytes of a frame in a record: what an ext may hold. No frame that passes is longer: the
 * largest MTU of any backend is 65521. */
#define MONITOR_SNAPLEN_MAX 65549u
_Static_assert(MONITOR_SNAPLEN_MAX == WIRE_EXT_MAX - WIRE_MONITOR_LEN, "a record is one ext");
/* Records that may wait for the client of one, in bytes: 8 ms at 1 Gbit/s, in which a program that
 * writes a file gets a processor as a rule. libpcap's own buffer is twice that. */
#define MONITOR_QUEUE (1024u * 1024u)
/* Most memory that waits for the client of one; the network's pool grows by it. */
#define MONITOR_POOL (MONITOR_QUEUE + BLOCK_STANDARD)
/* Records on their way, until they are written or queued. Some 1500 of 60 bytes, or two of the
 * longest. */
#define MONITOR_STAGE (128u * 1024u)

/* What is wanted of a monitor. */
struct monitor_conf {
	uint32_t snaplen;                     /* 1 to MONITOR_SNAPLEN_MAX */
	bool one;                             /* only frames from or for one port */
	char name[FETH_NAME_MAX + 1];         /* which; empty: by number */
	uint16_t port;                        /* which; by name PORT_NONE while there is none */
	uint16_t n_steps;                     /* 0: every frame */
	struct bpf_step steps[BPF_STEPS_MAX]; /* checked */
};

struct monitor;

/* @conf: copied. @port: the client, borrowed; its `stats` count what is dropped of its records.
 * Return: 0 or -ENOMEM */
int monitor_new(struct monitor **out, const struct monitor_conf *conf, struct port *port);
void monitor_free(struct monitor *m); /* NULL is fine */

/* Its own copy, of which `port` may be changed. */
struct monitor_conf *monitor_conf(struct monitor *m);

/* What happened to a run of frames. */
struct sighting {
	uint64_t ns; /* since the epoch */
	uint16_t in; /* the port they came from; PORT_NONE: the switch made them */
	struct verdict verdict;
};

/* The record's number for why a frame was dropped: by drop.h's list, from 1; 0 where it was not. */
uint8_t monitor_reason(struct verdict verdict);

/* Makes records of those frames of a run that are wanted. */
void monitor_take(
	struct monitor *m, const struct sighting *seen, const struct frame *frames, unsigned n);
/* The batch is over: gives what is there to the client, and has it written. */
void monitor_flush(struct monitor *m);

#endif
