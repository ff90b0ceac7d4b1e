/* vswitch.c - see vswitch.h. */
#include "server/core/vswitch.h"

int vswitch_init(struct vswitch *sw, uint64_t seed)
{
	memset(sw->ports, 0, sizeof(sw->ports));
	sw->vlans = false;
	sw->moves = 0;
	memset(&sw->mcast, 0, sizeof(sw->mcast));
	const int rc = fdb_init(&sw->fdb, FDB_CAPACITY, seed);
	return rc < 0 ? rc : mcast_init(&sw->mcast, seed);
}

void vswitch_fini(struct vswitch *sw)
{
	fdb_fini(&sw->fdb);
	mcast_fini(&sw->mcast);
}

static struct verdict drop(enum drop_reason reason)
{
	return (struct verdict){ VERDICT_DROP, (uint8_t)reason, PORT_NONE };
}

/* Learns a source that is new, has moved or was silent. False: it belongs to another port. */
static bool learn(struct vswitch *sw, mac_key src, uint16_t in, uint64_t now_ms)
{
	uint16_t old;
	switch (fdb_learn(&sw->fdb, src, in, now_ms, &old)) {
	case FDB_SPOOFED:
		return false;
	case FDB_MOVED:
		sw->moves++;
		sw->moved.key = src;
		sw->moved.from = old;
		sw->moved.to = in;
		break;
	case FDB_KNOWN:
	case FDB_NEW:
		break;
	}
	return true;
}

unsigned vswitch_run_inside(const struct frame *frames, unsigned n, uint32_t room)
{
	unsigned i = 0;
	while (i < n && frames[i].len - FETH_FRAME_MIN <= room &&
		vswitch_same_header(frames[i].head, frames->head) && !arpnd_inside(&frames[i]))
		i++;
	return i ? i : 1;
}

/* Whether what a frame of ARP or ND says of its sender may be so. */
static bool sender_true(const struct vswitch *sw, const struct frame *frame, uint16_t in)
{
	uint8_t scratch[ARPND_SCRATCH];
	struct arpnd a;
	mac_key claim;
	const bool locked = sw->ports[in].locked;
	arpnd_read(frame, scratch, &a);
	if (a.of_another && !locked)
		return true;
	while (arpnd_next(&a, &claim))
		if (locked ? !fdb_static_on(&sw->fdb, claim, in)
			   : fdb_static_elsewhere(&sw->fdb, claim, in))
			return false;
	return !(locked && a.doubtful);
}

/* Made twice, with @vlans and without: networks that have none do not pay for them, which a
 * compiler by itself does not see to (40 instructions a frame, gcc 12). */
__attribute__((always_inline)) static inline struct verdict decide(struct vswitch *sw,
	const struct frame *frame, uint16_t in, uint64_t now_ms, const bool vlans,
	uint16_t *out_vlan)
{
	const struct vport *from = &sw->ports[in];
	uint16_t vlan = 0;
	if (frame->len < FETH_FRAME_MIN)
		return drop(DROP_RUNT);
	if (!frame_fits(frame, from->mtu))
		return drop(DROP_OVERSIZE);
	if (vlans)
		vlan = vlan_of(from->vlan, frame);
	if (vlan == VLAN_REFUSED)
		return drop(DROP_VLAN);
	if (vlans)
		*out_vlan = vlan;

	mac_key src = mac_key_at(frame->head + 6);
	if (vlans)
		src = fdb_key_in(&sw->fdb, src, vlan);
	if (from->locked) {
		if (!fdb_static_on(&sw->fdb, src, in))
			return drop(DROP_SPOOFED);
	} else if (!(frame->head[6] & 1) && !fdb_knows(&sw->fdb, src, in, now_ms) &&
		   !learn(sw, src, in, now_ms)) {
		return drop(DROP_SPOOFED);
	}
	if (arpnd_may(frame) && !sender_true(sw, frame, in))
		return drop(DROP_SPOOFED);

	if (frame->head[0] & 1) {
		const uint16_t to = mcast_route(&sw->mcast, frame, in, now_ms);
		return to == MCAST_TO_ALL ? (struct verdict){ VERDICT_FLOOD, 0, PORT_NONE }
					  : (struct verdict){ VERDICT_GROUP, 0, to };
	}
	mac_key dst = mac_key_at(frame->head);
	if (vlans)
		dst = fdb_key_in(&sw->fdb, dst, vlan);
	const uint16_t out = fdb_find(&sw->fdb, dst, now_ms);
	if (out == PORT_NONE)
		return (struct verdict){ VERDICT_FLOOD, 0, PORT_NONE };
	if (out == in)
		return drop(DROP_LOCAL);
	if (vlans && vlan_form(sw->ports[out].vlan, vlan) == VLAN_NOT)
		return drop(DROP_VLAN); /* a static address: it is nowhere else */
	return (struct verdict){ VERDICT_PORT, 0, out };
}

struct verdict vswitch_decide(
	struct vswitch *sw, const struct frame *frame, uint16_t in, uint64_t now_ms)
{
	return decide(sw, frame, in, now_ms, false, NULL);
}

struct verdict vswitch_decide_vlan(
	struct vswitch *sw, const struct frame *frame, uint16_t in, uint64_t now_ms, uint16_t *vlan)
{
	return decide(sw, frame, in, now_ms, true, vlan);
}

/* Bytes from the type on that say of which VLAN a frame is. */
static uint32_t vlan_bytes(const struct frame *frame)
{
	const uint16_t type = frame_type(frame);
	return type == ETH_P_CTAG || type == ETH_P_STAG ? 6 : 2;
}

unsigned vswitch_run_vlan(
	const struct vswitch *sw, const struct frame *frames, unsigned n, uint16_t in)
{
	unsigned i = 1;
	if (frames->len < FETH_FRAME_MIN)
		return 1;
	const uint32_t bytes = vlan_bytes(frames);
	n = vswitch_run(sw, frames, n, in);
	if (frames->head_len >= 12 + bytes)
		while (i < n && frames[i].head_len >= 12 + bytes &&
			!memcmp(frames[i].head + 12, frames->head + 12, bytes))
			i++;
	return i;
}
