/* loopguard.h - finds ports that bring back what the switch has just flooded.
 *
 * Theory of operation. Two ports joined behind the switch, by a bridge in a guest, say, or by the
 * host, are a loop: a broadcast goes round for ever, and every round makes more of it. A switch
 * without spanning tree sees it by the frames themselves: what it flooded comes back, byte for
 * byte, from another port than it first came from. So flooded frames, and no others, are remembered
 * for LOOPGUARD_BACK_MS by a keyed print of their content, and each that comes back is a *hit* for
 * the port it comes from. Hits fill a bucket that leaks; when it is full there is something to be
 * tried.
 *
 * For a hit may be no loop. Two machines with one MAC address say the same when they boot; a bond
 * asks by ARP on each of its cables; a station that has moved repeats itself from another port; and
 * somebody may send beforehand, with another's address, what that other is going to say, so that
 * his port brings it back. What nobody can know beforehand is a *probe*: a frame made here, with
 * random data, flooded as if it came from where the frame did that came back, from the same
 * station, in the same VLAN. So it goes where that frame went, and is let through where that was,
 * by locks too; every other one as if from the port where the frame came back. If it comes back
 * from a port, this one is *looped*: for a while no frame goes in or out there, which cuts the
 * loop. (Not only what is flooded: a loop teaches each switch in it that a station is beyond the
 * next, and then unicast goes round for ever as well.) Then it is tried again; if it loops again,
 * the next while is twice as long.
 *
 * In a storm probes may be lost, as queues are full. They are sent again as long as hits go on; and
 * where these are more than anybody says twice, thousands a second, the port is cut without a
 * probe. Who wants another port cut so has to send its frames before it does, in which a port
 * locked to its addresses does not let him, and the other has to flood thousands of them a second
 * that can be foretold. The prints are keyed, so that nothing else will do.
 *
 * A frame may also go round in one direction only, the other having been lost on the way; then it
 * comes from the same port again and again, and so does what a station repeats. This is left to a
 * probe as well. What takes longer than LOOPGUARD_BACK_MS for a round is not seen: it is no storm.
 *
 * What a bridge or repeater sends on with another source, or changed, is no hit. A guest that sends
 * each of thousands of frames a second on several ports (Linux's bonding mode "broadcast") is what
 * `loop_guard: false` is for.
 *
 * When a port is found all others begin anew: in a loop of two both are hit, and to cut one will
 * do. The host side takes more, so that of the two ends of a loop through the host the client's is
 * cut.
 *
 * Pure: no I/O, no clock, no allocation. */
#ifndef SERVER_CORE_LOOPGUARD_H
#define SERVER_CORE_LOOPGUARD_H

#include "server/core/bucket.h"
#include "server/core/fdb.h"
#include "server/core/frame.h"
#include "server/core/netid.h"

/* What came back later was repeated, not looped: the slowest bridge here is a guest in software
 * emulation, which takes 5 ms. */
#define LOOPGUARD_BACK_MS 500u
/* For so many hits, of which so many a second are forgotten, a probe. A loop makes hundreds in its
 * first tenth of a second, twins some ten when they boot. */
#define LOOPGUARD_HITS 32u
#define LOOPGUARD_LEAK 8u
/* So many are a storm whatever becomes of probes. Two clients joined by a third program, all
 * probes lost, were cut after 30 to 110 ms on a busy machine, with probes after 3. A guest that
 * scans its network, as arp-scan(1) does, says 1000 things a second that can be foretold. */
#define LOOPGUARD_STORM 1000u
#define LOOPGUARD_STORM_LEAK 2000u
#define LOOPGUARD_STORM_HOST 4000u
/* Of repeats from one port: more than retries are, fewer than the slowest loop makes. */
#define LOOPGUARD_REPEATS 64u
#define LOOPGUARD_REPEATS_LEAK 16u
#define LOOPGUARD_PROBE_MS 1000u    /* one may take so long */
#define LOOPGUARD_PROBE_GAP_MS 100u /* at least, between two: what a suspect costs everybody */
#define LOOPGUARD_PROBES (LOOPGUARD_PROBE_MS / LOOPGUARD_PROBE_GAP_MS)
#define LOOPGUARD_PROBES_HOST 3u /* that come back from the host side until that is cut */
#define LOOPGUARD_PROBE_LEN 60u
#define LOOPGUARD_HOLD_MS 5000u
#define LOOPGUARD_HOLD_MAX_MS 60000u
/* A loop needs one frame remembered; as many as a batch or two make it hard to be pushed out. */
#define LOOPGUARD_SEEN 256u
/* Of frames of a batch that follow each other and are all flooded, whatever their addresses, the
 * first so many are looked at: what goes round comes again, soon as one of the first. */
#define LOOPGUARD_LOOKS 2u
/* Bytes of a frame that make its print, beside its length. They have its source, so that frames
 * that differ behind them only are of one station, and no harm is done. */
#define LOOPGUARD_PRINT 96u
#define LOOPGUARD_NO_VLAN UINT16_MAX /* where tags are left alone */

struct loopguard_seen {
	uint64_t print; /* 0: none */
	uint64_t at_ms; /* when it last came from `port` */
	uint16_t port;  /* where it came from first */
};

struct loopguard_port {
	struct bucket hits, storm, repeats; /* what is left of them until they are too many */
	uint64_t until_ms; /* looped until then; then, up to when another time counts as again */
	uint32_t hold_ms;  /* of the last time */
	uint16_t first;    /* the port that first sent what came back the last time */
	bool looped;
};

struct loopguard_probe {
	uint64_t print; /* 0: none */
	uint64_t sent_ms;
	uint16_t first; /* the port whose frame came back */
	bool back;      /* it has come back from the host side */
};

/* What a probe is to be like. */
struct loopguard_suspect {
	uint16_t from;  /* as if it came from there; PORT_NONE: there is none */
	uint16_t first; /* the port whose frame came back */
	uint16_t vlan;
	struct feth_mac src;
};

/* loopguard_init() makes it empty. */
struct loopguard {
	struct netid_key key; /* random and secret */
	unsigned n_looped;
	struct loopguard_suspect suspect;
	uint64_t probed_ms; /* when the last probe was sent */
	uint32_t n_probes;  /* sent so far */
	uint32_t backs;     /* that came back from the host side, one after the other */
	struct loopguard_probe probes[LOOPGUARD_PROBES];
	struct loopguard_seen seen[LOOPGUARD_SEEN];
	struct loopguard_port ports[FDB_PORTS];
};

/* @lg is all zero; @seed is random and secret, @key is of the machine. */
void loopguard_init(struct loopguard *lg, const struct netid_key *key, uint64_t seed);

/* @n frames of at least 14 bytes from port @in, not cut, and guarded; the first @flooded are about
 * to be flooded in @vlan (a number for each: what comes back in another was brought there), the
 * others to be dropped. True: the port is looped from now on. */
bool loopguard_look(struct loopguard *lg, const struct frame *frames, unsigned n, unsigned flooded,
	uint16_t vlan, uint16_t in, uint64_t now_ms);

/* Whether a probe is to be sent. */
static inline bool loopguard_suspects(const struct loopguard *lg, uint64_t now_ms)
{
	return lg->suspect.from != PORT_NONE &&
	       (!lg->n_probes || now_ms - lg->probed_ms >= LOOPGUARD_PROBE_GAP_MS);
}

/* Makes the probe that is due, and waits for it. Returns the port that it is to be flooded from, in
 * *vlan, without a tag. */
uint16_t loopguard_probe(
	struct loopguard *lg, uint64_t now_ms, uint8_t out[LOOPGUARD_PROBE_LEN], uint16_t *vlan);

/* A port whose while is over, and which is looped no longer; PORT_NONE where there is no other. */
uint16_t loopguard_over(struct loopguard *lg, uint64_t now_ms);

/* Another client is there, or the guard is off: the port begins anew. */
void loopguard_forget(struct loopguard *lg, uint16_t port);

#endif
