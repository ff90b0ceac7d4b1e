/* network_priv.h - the inside of a network, shared by the network*.c files and police.c only:
 * network.c moves frames, network_offload.c finishes them, network_gro.c makes super-frames of
 * them, network_ports.c comes and goes,
 * network_rules.c restricts, network_macs.c knows whose addresses are whose, network_announce.c
 * says where they are, network_loop.c cuts loops, network_monitor.c watches, network_command.c
 * answers. */
#ifndef SERVER_CORE_NETWORK_PRIV_H
#define SERVER_CORE_NETWORK_PRIV_H

#include "server/core/apply.h"
#include "server/core/bucket.h"
#include "server/core/gro.h"
#include "server/core/gso.h"
#include "server/core/loopguard.h"
#include "server/core/monitor.h"
#include "server/core/network.h"
#include "server/core/toobig.h"
#include "server/core/twins.h"

/* A port's own address, and whether it is locked. */
struct port_addr {
	bool given, locked;
	struct feth_mac mac;
};

/* What is left of the limits of a port. */
struct police {
	struct bucket rx, tx; /* bytes */
	struct bucket storm;  /* frames */
};

/* A port's number, settings and counters. Lives as long as its client, or until removed if
 * declared. */
struct port_rec {
	struct port_info info;
	struct port_rules floor; /* what its client may not loosen; all are given */
	struct port_rules asked; /* what it asked for itself, and nobody with control changed */
	bool has_vlan;           /* counted in network.n_vlans */
	bool mac_given;
	struct port_addr floor_addr;
	bool touched;        /* has taken frames since the last flush */
	struct port *client; /* borrowed; NULL while it waits */
	uint64_t since_ms;   /* when its counters began */
	struct port_stats stats;
	struct monitor *monitor; /* owned; NULL: a port */
	struct police police;
};

/* Frames of one verdict at a time where there are VLANs; as many as are read at once (io). */
#define VLAN_RUN 64u
#define VLAN_FORMS 2u
/* Of one batch: when they are used up the ports write what they have, every 256 frames or less
 * often, which is no slower than all at once (limits.md, 1). */
#define VLAN_HEADERS 512u
#define VLAN_SEGS 512u /* of a run; no write has more */

/* A run of frames in one of the forms they leave in, made once for all ports. */
struct vlan_made {
	bool made;
	unsigned n, refused; /* frames; and those that cannot leave so */
	struct frame frames[VLAN_RUN];
	struct seg segs[VLAN_SEGS];
};

/* Answers of one batch; more than so many guests that meet their first long packet at once would be
 * a flood. */
#define TOOBIG_BATCH 8u

/* Answers to packets that were too long (toobig.h); their bytes live until the flush. */
struct network_toobig {
	struct toobig bucket;
	unsigned n;
	uint8_t answers[TOOBIG_BATCH][TOOBIG_FRAME_MAX];
};

struct network_vlan {
	uint16_t vlan; /* of the run under way; VLAN_OWN: none is */
	struct vlan_made made[VLAN_FORMS];
	unsigned n_headers; /* used since the ports wrote */
	uint8_t headers[VLAN_HEADERS][VLAN_HEADER];
};

/* Finished forms of frames that owe work, shared by all that need them, until the ports have
 * written: room for what one super-frame takes at most, in each form that VLANs give it. Pages of
 * this that nobody needs are never touched. */
#define OFFLOAD_FORMS (1u + VLAN_FORMS)
#define OFFLOAD_FRAMES OFFLOAD_SEGMENTS                           /* of one form */
#define OFFLOAD_SEGS (2u * OFFLOAD_SEGMENTS)                      /* of one form */
#define OFFLOAD_BYTES (OFFLOAD_SEGMENTS * (OFFLOAD_HEADERS + 8u)) /* of one form; with a tag */

struct network_offload {
	bool owing;           /* some of the frames under way owe work */
	uint8_t host;         /* OFFLOAD_*: what the host side takes */
	struct gso_need used; /* what frames since the ports wrote may take, of one form */
	struct gso_need now;  /* of that those under way */
	unsigned n_made, n_frames, n_segs;
	uint32_t n_bytes;
	struct {
		unsigned first, n;              /* of frames[] */
	} made[OFFLOAD_FORMS * OFFLOAD_FRAMES]; /* by frame.made - 1 */
	struct frame frames[OFFLOAD_FORMS * OFFLOAD_FRAMES];
	struct seg segs[OFFLOAD_FORMS * OFFLOAD_SEGS];
	uint8_t bytes[OFFLOAD_FORMS * OFFLOAD_BYTES];
};

struct network {
	struct network_facts facts;
	struct netid_key key;
	const struct network_events *events;
	void *ctx;
	uint64_t now_ms; /* of the batch, or the command, under way */
	struct vswitch sw;
	struct twins twins;
	struct loopguard guard;
	struct portset loop_news; /* ports of which it is to be told that they are looped, or not */
	bool has_loop_news;
	uint64_t forget_ms, forgot_ms; /* when all addresses are to be forgotten, and were; 0 */
	struct block_pool pool;

	const struct hostif_ops *host_ops; /* borrowed, with host; NULL while there is none */
	struct hostif *host;
	struct port_rec host_side; /* its rules and counters; has no client */
	struct port_stats retired; /* of ports that are gone */

	struct port_rec *recs[FDB_PORTS]; /* owned, by number; [PORT_HOST]: host_side above */
	uint16_t attached[FDB_PORTS];     /* numbers of those with a client, for flooding */
	unsigned n_attached;
	uint16_t touched[FDB_PORTS];
	unsigned n_touched;
	uint32_t work; /* of this batch: network_work() */
	bool holds;    /* views of this batch: network_holds() */

	struct portset announce; /* ports to be announced at the next tick */
	bool announces;          /* there are some */
	bool had_host;           /* a host side was there before */
	bool host_answers;       /* it answers some frames itself: hostif_ops.tick */
	unsigned announce_host;  /* ticks until it is announced; 0: not at all */

	struct port_rec *monitors[MONITORS_MAX]; /* of recs[], in no order */
	unsigned n_monitors;
	uint64_t seen_ns; /* when they saw the first frame of this batch; 0: none yet */

	struct network_toobig toobig;
	uint16_t from;    /* the port of the batch under way */
	unsigned n_vlans; /* ports with a rule about VLANs */
	struct network_vlan vlan;
	struct network_offload *offload; /* owned */
	struct gro gro;                  /* its headers live until the ports have written */
};

/* The record of a number or name, or NULL. */
struct port_rec *network_rec(const struct network *net, uint16_t id);
struct port_rec *network_rec_named(const struct network *net, const char *name);

/* The host side as a port of the list. */
struct port_info network_host_info(const struct network *net);

/* Declares a port that waits for clients. As network_attach() for the checks. */
int network_declare(
	struct network *net, const struct port_conf *conf, struct port_info *out, struct err *err);
/* Removes a declared port, or asks the client of another to go. */
int network_remove_port(struct network *net, const char *name, struct err *err);

/* The rest of the way of frames that police.h let pass: into the switch from @in, or to the client
 * of @rec, which has one, or to the host side. */
void network_pass_in(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms);
void network_pass_out(
	struct network *net, struct port_rec *rec, struct frame *frames, unsigned n, bool flooded);

/* Frames from @in, a port with a client or the host side, go to all that are to get what is
 * flooded. */
void network_flood(struct network *net, uint16_t in, struct frame *frames, unsigned n);

/* Brings what follows from a port's rules and the network's MTU up to date. */
void network_apply_rules(struct network *net, struct port_rec *rec);
/* Whether what @conf asks may go over @floor: 0 or -EACCES. */
int network_check_rules(const struct network *net, const struct port_rules *floor,
	const struct port_conf *conf, struct err *err);
/* A port's own address as it is. */
struct port_addr network_addr(const struct port_rec *rec);
/* What it becomes by @conf. */
struct port_addr network_addr_with(struct port_addr addr, const struct port_conf *conf);
/* Whether a client without control may ask that of a port: 0 or -EACCES. */
int network_check_addr(const struct network *net, const struct port_rec *rec,
	const struct port_conf *conf, struct err *err);
/* Whether a port (0: one to be made) can have these: 0, -EINVAL, -EEXIST, -ENOSPC. */
int network_check_macs(const struct network *net, uint16_t id, const struct port_addr *addr,
	const struct port_rules *rules, struct err *err);
/* Makes @addr the port's own, checked, with the rules in force: what was learned of it is
 * forgotten, what it is locked to is static, and what it was given else is known. */
void network_set_addr(struct network *net, struct port_rec *rec, const struct port_addr *addr);
/* Forgets what was learned of a port; the addresses of a locked one stay. */
void network_forget_addresses(struct network *net, const struct port_rec *rec);
/* Given addresses are known before it first sends. */
void network_learn_given(struct network *net, const struct port_rec *rec, uint64_t now_ms);

/* Monitors. network_watch() has them see a run of frames with one verdict, where there are any;
 * @in PORT_NONE: the switch made them. @to: the ports of VERDICT_GROUP; NULL: mcast_set() of it. */
int network_monitor_attach(struct network *net, const struct port_conf *conf, struct port *port,
	struct port_info *out, struct err *err);
void network_monitor_detach(struct network *net, struct port *port);
void network_watch(struct network *net, uint16_t in, struct verdict v, const struct portset *to,
	struct frame *frames, unsigned n);
void network_watch_flush(struct network *net);
/* A port of that name has come, or (@there false) goes. */
void network_watch_port(struct network *net, const struct port_rec *rec, bool there);

/* Frames that @in may not send: counted at it, and monitors see them. */
void network_refuse(struct network *net, uint16_t in, enum drop_reason reason, struct frame *frames,
	unsigned n);

/* "qemu-7": the prefix, and the lowest number that no port has. */
void network_choose_name(
	const struct network *net, const char *prefix, char out[FETH_NAME_MAX + 1]);

/* An address has moved, as the switch noted it. */
void network_note_move(struct network *net, uint64_t now_ms);
/* Says of which addresses there are several. */
void network_tell_twins(struct network *net, uint64_t now_ms);

/* network_toobig.c. Frames of the batch under way were over the cap of @port, which is the one they
 * came from or were for: who sent them is told, where the network is set to. */
void network_tell_too_big(
	struct network *net, uint16_t port, const struct frame *frames, unsigned n);

/* Carries out a verdict on frames from @in, and shows it to monitors. */
void network_conclude(
	struct network *net, uint16_t in, struct verdict v, struct frame *frames, unsigned n);
/* The ports write what they have. */
void network_flush_ports(struct network *net);

/* network_offload.c. Return: 0 or -ENOMEM. */
int network_offload_init(struct network *net);
/* What network_input() is for @in whose frames may owe work. */
void network_offload_input(struct network *net, uint16_t in, struct frame *frames, unsigned n);
/**
 * network_offload_next() - the next frames of a run as a receiver gets them
 * @takes:	OFFLOAD_*
 * @max:	bytes of the longest frame that it takes unfinished
 * @out:	out: frames as they are, or finished; *n_out of them, which may be 0
 *
 * Return: how many of @frames, 1 at least, these are
 */
unsigned network_offload_next(struct network *net, uint8_t takes, uint32_t max,
	struct frame *frames, unsigned n, struct frame **out, unsigned *n_out);
/* Nobody looks at the finished forms any more. */
void network_offload_written(struct network *net);

/* network_gro.c. The same for a receiver that takes super-frames, with frames that owe nothing or
 * are taken as they are; what is made lives until the ports have written, but for *out itself,
 * which lives until the next call. @max: bytes of the longest frame that it takes. */
unsigned network_gro_next(struct network *net, uint8_t takes, uint32_t max, struct frame *frames,
	unsigned n, struct frame **out, unsigned *n_out);

/* The rest of network_input(): frames of @in go by its rules. */
void network_admit(struct network *net, uint16_t in, struct frame *frames, unsigned n);

/* network_vlan.c. What follows from a port's rule about VLANs, which it has or has not. */
void network_vlan_apply(struct network *net, struct port_rec *rec, bool has);
/* Frames of no run are the switch's own: every port that takes frames without a tag gets them. */
#define VLAN_OWN UINT16_MAX
/* What police_input() and network_pass_in() are where there are none: frames come in, and go on. */
void network_vlan_input(struct network *net, uint16_t in, struct frame *frames, unsigned n);
void network_vlan_pass_in(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms);
/* network_flood() of one frame without a tag, in a VLAN; to nobody where that is VLAN_REFUSED. */
void network_vlan_flood(struct network *net, uint16_t in, uint16_t vlan, struct frame *frame);
/* Whether a port is a member of the VLAN of the run under way. */
bool network_vlan_reaches(const struct network *net, uint16_t port);
/* The frames of the run as port @out gets them; *n is how many. NULL: none, it is no member. Those
 * that cannot leave so, with a second tag, are counted at @in, if it was for @out alone. */
struct frame *network_vlan_out(struct network *net, uint16_t in, uint16_t out, struct frame *frames,
	unsigned *n, bool flooded);
/* Frames from @in, of which the first @flooded are about to be flooded, and the others dropped.
 * True: they all are to be dropped, and what comes behind them, for the port is looped. */
bool network_loops(
	struct network *net, uint16_t in, const struct frame *frames, unsigned n, unsigned flooded);
/* Whether what comes from @in now is to be dropped, and is. */
bool network_drops_looped(struct network *net, uint16_t in, struct frame *frames, unsigned n);
/* Sends a frame that can come back only by a loop; the ports write all they have. */
void network_loop_probe(struct network *net);
/* A port whose time is over is tried again. */
void network_loop_tick(struct network *net);
/* The port begins anew: it has another client, or is not guarded. */
void network_loop_forget(struct network *net, struct port_rec *rec);
/* Says which ports are looped now, and which no longer. */
void network_tell_loops(struct network *net);

/* A port's client has come, or its addresses or link have changed: says so soon. */
void network_announce_port(struct network *net, const struct port_rec *rec);
void network_announce_host(struct network *net);
/* Says what is to be said; in a tick. */
void network_announce(struct network *net);

/* network_apply.c: network.apply. Whether its ports are possible: 0; -EBUSY, -EEXIST, -ENOSPC. */
int network_apply_check(const struct network *net, const struct apply *apply, struct err *err);
/* Makes the declared ports so; apply->done says what was done, also on failure. */
int network_apply_ports(struct network *net, struct apply *apply, uint64_t now_ms, struct err *err);
void network_list_declared(const struct network *net, struct command *cmd);

/* Says of which groups something is new. */
void network_tell_groups(struct network *net);

/* Whose an address is, of all but @except (PORT_HOST, or a port's number): "the host side", the
 * name of the port it was given to, or NULL. */
const char *network_mac_holder(const struct network *net, struct feth_mac mac, uint16_t except);

#endif
