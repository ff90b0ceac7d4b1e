/* vswitch.h - the decision: a frame, the port it came from and the time give where it goes, or why
 * it is dropped.
 *
 * Nothing is sent here; network.c carries verdicts out. Learns sources in the fdb on the way. Pure.
 */
#ifndef SERVER_CORE_VSWITCH_H
#define SERVER_CORE_VSWITCH_H

#include "server/core/arpnd.h"
#include "server/core/drop.h"
#include "server/core/fdb.h"
#include "server/core/frame.h"
#include "server/core/mcast.h"
#include "server/core/vlan.h"

enum verdict_kind {
	VERDICT_DROP,  /* `reason` */
	VERDICT_PORT,  /* to `port` */
	VERDICT_FLOOD, /* to every other port */
	VERDICT_GROUP, /* to the others of mcast_set(`port`) */
};

struct verdict {
	uint8_t kind;   /* enum verdict_kind */
	uint8_t reason; /* enum drop_reason */
	uint16_t port;
};

static inline bool verdict_same(struct verdict a, struct verdict b)
{
	return a.kind == b.kind && a.reason == b.reason && a.port == b.port;
}

/* What the switch knows of a port. */
struct vport {
	bool locked;                  /* its static addresses are the only sources it may use */
	bool special;                 /* its frames go through police.h */
	bool owes;                    /* its frames may owe work (offload.h) */
	uint32_t mtu;                 /* payload bytes: see frame_room() */
	const struct vlan_rule *vlan; /* borrowed; NULL: transparent */
};

struct vswitch {
	struct fdb fdb;
	struct mcast mcast;
	struct vport ports[FDB_PORTS]; /* by number; those not in use are never asked for */
	bool vlans;                    /* some port has a rule about them; then all are special */
	uint64_t moves;                /* addresses that changed port */
	struct {
		mac_key key;
		uint16_t from, to;
	} moved; /* the last of these */
};

/* @seed as of fdb_init(). Return: 0 or -ENOMEM; vswitch_fini() is safe either way. */
int vswitch_init(struct vswitch *sw, uint64_t seed);
void vswitch_fini(struct vswitch *sw);

/**
 * vswitch_decide() - where a frame goes
 * @in:	the port it came from, in use
 *
 * Order of the checks: length, source, the sender inside ARP and ND, destination. Group addresses
 * are never learned (802.1D-2004, 7.8); a frame for the port it came from is filtered (7.7.1).
 *
 * In ARP and ND nobody may claim an address that is static elsewhere, such as the host's, and a
 * locked port none but its own, nor anything doubtful (arpnd.h). What a Redirect names is another's
 * address by its nature, a router's word of which is taken where the port is not locked.
 */
struct verdict vswitch_decide(
	struct vswitch *sw, const struct frame *frame, uint16_t in, uint64_t now_ms);

/* The same where there are VLANs: each has addresses of its own, and frames of ports that are no
 * members are dropped before their source is looked at. The host's address and static ones are
 * guarded in all. VERDICT_FLOOD and VERDICT_GROUP are to be sent to members of *vlan only, which is
 * that of the frame, unless it is dropped. */
struct verdict vswitch_decide_vlan(struct vswitch *sw, const struct frame *frame, uint16_t in,
	uint64_t now_ms, uint16_t *vlan);

/* Whether two Ethernet headers, 14 bytes, are the same: two words that overlap. */
static inline bool vswitch_same_header(const uint8_t *a, const uint8_t *b)
{
	uint64_t a1, a2, b1, b2;
	memcpy(&a1, a, 8);
	memcpy(&b1, b, 8);
	memcpy(&a2, a + 6, 8);
	memcpy(&b2, b + 6, 8);
	return !((a1 ^ b1) | (a2 ^ b2));
}

/* vswitch_run() of frames that may be ARP or ND, or carry it: those of which none does. */
unsigned vswitch_run_inside(const struct frame *frames, unsigned n, uint32_t room);

/* How many frames, the first one included, vswitch_decide() treats as the first, from the same port
 * at the same time: they have the same two addresses and lengths that no rule forbids. Most of a
 * batch are such, and to see it costs a tenth of a decision. Of those for an IP group each may be
 * the report that changes where the next one goes; of those that may be ARP or ND each has a sender
 * of its own inside. */
static inline unsigned vswitch_run(
	const struct vswitch *sw, const struct frame *frames, unsigned n, uint16_t in)
{
	const uint32_t room = sw->ports[in].mtu; /* payload of an untagged frame: frame_room() */
	const uint8_t *first = frames->head;
	unsigned i = 1;
	if (frames->len - FETH_FRAME_MIN > room)
		return 1;
	if ((first[0] & 1) && mcast_is_ip(first) && sw->mcast.conf.policy != MCAST_FLOOD)
		return 1;
	if (arpnd_type(frame_type(frames)))
		return vswitch_run_inside(frames, n, room);
	while (i < n && frames[i].len - FETH_FRAME_MIN <= room &&
		vswitch_same_header(frames[i].head, first))
		i++;
	return i;
}

/* The same for vswitch_decide_vlan(): they have the same type, and tag, and what is behind it. */
unsigned vswitch_run_vlan(
	const struct vswitch *sw, const struct frame *frames, unsigned n, uint16_t in);

#endif
