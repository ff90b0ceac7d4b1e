/* loopguard.h - finds ports that bring back what the switch has just flooded.
 *
 * Theory of operation. Two ports joined behind the switch, by a bridge in a guest, say, or by the
 * host, are a loop: a broadcast goes round for ever, and every round makes more of it. A switch
 * without spanning tree sees it by the frames themselves: what it flooded comes back, byte for
 * byte, from another port than it first came from. So flooded frames, and no others, are remembered
 * for LOOPGUARD_BACK_MS by a keyed print of their content, and each that comes back is a *hit* for
 * the port it comes from. Hits fill a bucket that leaks; a port whose bucket is full is *looped*:
 * for a while no frame goes in or out there, which cuts the loop. (Not only what is flooded: a loop
 * teaches each switch in it that a station is beyond the next, and then unicast goes round for ever
 * as well.) Then it is tried again; if it loops again, the next while is twice as long.
 *
 * What is no loop and looks like one: two machines with one MAC address that boot at the same
 * moment say the same (router solicitations, MLD reports, DHCP, mDNS probes), up to some ten frames
 * in a second and then ever fewer; an address that changes its port repeats its ARP from another. A
 * loop makes hundreds of hits in its first tenth of a second, as a frame needs well under a
 * millisecond for a round. LOOPGUARD_HITS and the leak lie between the two. What a bridge or
 * repeater sends on with another source, or changed, is no hit. A guest that sends each frame on
 * several ports at once (Linux's bonding mode "broadcast") is what `loop_guard: false` is for.
 *
 * A frame may also go round in one direction only, the other having been lost on the way; then it
 * comes from the same port again and again, and so does what a station repeats. Nothing but a try
 * tells the two apart: the port is *suspect*, and a *probe*, a frame that nobody has a reason to
 * send, is flooded as if it came from there. If that comes back from a port, this one is looped.
 *
 * When a port is found all others begin anew: in a loop of two both are hit, and to cut one will
 * do. The host side takes more, so that of the two ends of a loop through the host the client's is
 * cut.
 *
 * Somebody may want another port cut. For this he must send the other's frames before it does,
 * which a port locked to its addresses does not let him; the prints are keyed, so that nothing else
 * will.
 *
 * Pure: no I/O, no clock, no allocation. */
#ifndef SERVER_CORE_LOOPGUARD_H
#define SERVER_CORE_LOOPGUARD_H

#include "server/core/bucket.h"
#include "server/core/fdb.h"
#include "server/core/frame.h"

/* What came back later was repeated, not looped: the slowest bridge here is a guest in software
 * emulation, which takes 5 ms. */
#define LOOPGUARD_BACK_MS 500u
#define LOOPGUARD_HITS 32u
#define LOOPGUARD_HITS_HOST 128u
#define LOOPGUARD_LEAK 8u /* hits a second */
/* Of repeats from one port: more than retries are, fewer than the slowest loop makes; to suspect
 * costs one frame a second. */
#define LOOPGUARD_REPEATS 64u
#define LOOPGUARD_REPEATS_LEAK 16u
#define LOOPGUARD_PROBE_MS 1000u /* between two probes; and how long one may take */
#define LOOPGUARD_PROBES_HOST 3u /* that come back from the host side until that is cut */
#define LOOPGUARD_PROBE_LEN 60u
#define LOOPGUARD_HOLD_MS 5000u
#define LOOPGUARD_HOLD_MAX_MS 60000u
/* A loop needs one frame remembered; as many as a batch or two make it hard to be pushed out. */
#define LOOPGUARD_SEEN 256u
/* Of neighbours in a batch with the same two addresses the first so many are looked at: what goes
 * round comes again, soon as one of the first. */
#define LOOPGUARD_LOOKS 2u
/* Bytes of a frame that make its print, beside its length. They have its source, so that frames
 * that differ behind them only are of one station, and no harm is done. */
#define LOOPGUARD_PRINT 96u

struct loopguard_seen {
	uint64_t print; /* 0: none */
	uint64_t at_ms; /* when it last came from `port` */
	uint16_t port;  /* where it came from first */
};

struct loopguard_port {
	struct bucket hits, repeats; /* what is left of them until they are too many */
	uint64_t until_ms; /* looped until then; then, up to when another time counts as again */
	uint32_t hold_ms;  /* of the last time */
	bool looped;
};

struct loopguard_probe {
	uint64_t print; /* of the last one; 0: none */
	uint64_t sent_ms;
	uint32_t n;     /* sent so far */
	uint32_t backs; /* that came back from the host side, one after the other */
	uint16_t port;  /* suspect; PORT_NONE */
	uint16_t vlan;  /* there */
	bool back;      /* the last one has come back from there */
};

/* loopguard_init() makes it empty. */
struct loopguard {
	uint64_t seed; /* random and secret */
	unsigned n_looped;
	struct loopguard_probe probe;
	struct loopguard_seen seen[LOOPGUARD_SEEN];
	struct loopguard_port ports[FDB_PORTS];
};

/* @lg is all zero. */
void loopguard_init(struct loopguard *lg, uint64_t seed);

/* Whether no frame is to go in or out there. */
static inline bool loopguard_cut(const struct loopguard *lg, uint16_t port)
{
	return lg->ports[port].looped;
}

/* A frame of at least 14 bytes from port @in, not cut, is about to be flooded in @vlan (a number
 * for each; what comes back in another was brought there). True: that makes the port looped. */
bool loopguard_look(struct loopguard *lg, const struct frame *frame, uint16_t vlan, uint16_t in,
	uint64_t now_ms);

/* Whether a port is suspect, so that a probe is to be sent as from there. */
static inline bool loopguard_suspects(const struct loopguard *lg, uint64_t now_ms)
{
	return lg->probe.port != PORT_NONE && now_ms - lg->probe.sent_ms >= LOOPGUARD_PROBE_MS;
}

/* Makes the probe, from address @own, and waits for it. Returns the port that it is to be flooded
 * from, in *vlan. */
uint16_t loopguard_probe(struct loopguard *lg, struct feth_mac own, uint64_t now_ms,
	uint8_t out[LOOPGUARD_PROBE_LEN], uint16_t *vlan);

/* A port whose while is over, and which is looped no longer; PORT_NONE where there is no other. */
uint16_t loopguard_over(struct loopguard *lg, uint64_t now_ms);

/* Another client is there, or the guard is off: the port begins anew. */
void loopguard_forget(struct loopguard *lg, uint16_t port);

#endif
