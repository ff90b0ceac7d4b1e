/* mcast.h - where a frame for a multicast group goes: the rules, over grouptable.h.
 *
 * Theory of operation. A member is a port in a group, for one reason or several: its client joined,
 * an IGMP or MLD report was heard from it, the host's kernel listens. Clients and the kernel take
 * back what they said. A report is good as long as the querier says (RFC 3376, 8.4: 260 s); after a
 * leave others behind the port have the last member query time (8.8) to object: asked by the
 * querier, or by us where there is none.
 *
 * Where no querier is heard nobody asks, and nobody says again what he reported: then reports are
 * good until a leave. Else a group with one lasting member (the host's own in ff02::fb, say) would
 * lose all the others after 260 s.
 *
 * Groups are Ethernet addresses, for by these frames are passed on; VLANs share them. A port that
 * reported a group with a tag does not leave by a leave, which might be of another VLAN.
 *
 * What is not known is flooded rather than lost. A port that reported a group for which there was
 * no room, or one that is cut (snoop.h), is *blurred*: it gets every group of the family for as
 * long as the report would be good.
 *
 * After RFC 4541: queries go to all; reports to multicast routers alone, lest a host keep silent
 * because it heard another's (2.1.1, 1a), but to all where there is no router and no querier of
 * ours; a port behind which a router is gets every group of its family; 224.0.0.x, ff02::1 and what
 * is not IP's goes to all (2.1.2, 2).
 *
 * Time: now_ms of any call is monotonic milliseconds. What a clock skips counts as MCAST_GAP_MS at
 * most, for nobody could report while the machine slept; what it goes back as nothing.
 *
 * Pure: no I/O, no clock, no allocation after mcast_init(). */
#ifndef SERVER_CORE_MCAST_H
#define SERVER_CORE_MCAST_H

#include "server/core/grouptable.h"
#include "server/core/querier.h"

/* RFC 3376, 8.8: one second, as often as the robustness. */
#define MCAST_LEAVE_MS 2000u
#define MCAST_LEAVE_RESPONSE_MS 1000u /* 8.8: what they have who are asked after a leave */
#define MCAST_GAP_MS 60000u           /* mcast_tick() comes every second or so */

/* What becomes of frames for IP groups (01:00:5e and 33:33); all others always flood. */
enum mcast_policy {
	MCAST_SNOOP,  /* known groups to their members, unknown ones to all */
	MCAST_STRICT, /* unknown ones to router ports and those of "all" only */
	MCAST_FLOOD,  /* to every port; reports are not looked at */
};

struct mcast_conf {
	enum mcast_policy policy;
	bool querier; /* ask for reports ourselves where no other querier is heard */
	bool ask_new; /* ask each port that attaches, once, what it wants (RFC 4541, 2.1.1); and all
			 after MCAST_FLOOD */
};

/* More bits of group_row.how, beyond those of grouptable.h. */
#define GROUP_ROUTER                                                                               \
	8u            /* a multicast router is there: every group of the family of `group`, which  \
			 is 01:00:5e:00:00:00 or 33:33:00:00:00:00 then */
#define GROUP_ALL 16u /* its client wants all: every group; `group` is all zero then */

struct group_row {
	struct feth_mac group;
	uint16_t port;
	uint8_t how;         /* GROUP_* bits, at least one */
	uint32_t age_ms;     /* since it was last joined or reported; 0 where that is not kept */
	uint32_t expires_ms; /* until it is forgotten, unless reported again; 0: it stays */
};

/* Counted since the network was made. */
struct mcast_stats {
	uint64_t reports;  /* IGMP and MLD reports, leaves included */
	uint64_t queries;  /* heard */
	uint64_t bad;      /* malformed IGMP, MLD or PIM: ignored, and flooded all the same */
	uint64_t full;     /* joins by report for which there was no room */
	uint64_t unwanted; /* frames for an IP group, or reports, that went to nobody */
};

/* What is known of a family's routers, and of the ports' doings in it. */
struct mcast_side {
	struct querier querier;
	struct portset routers; /* behind which a router was heard */
	uint64_t router_until_ms[FDB_PORTS];
	struct portset blurred; /* of which we do not know all */
	uint64_t blurred_ms[FDB_PORTS];
	struct portset ask, ask_again; /* to be asked at the next tick, and the one after */
	struct portset due;            /* to be asked now */
};

struct mcast {
	struct mcast_conf conf;
	struct feth_mac own; /* whom our queries are from */
	struct mcast_stats stats;
	struct grouptable table;
	struct mcast_side sides[MCAST_FAMILIES];
	struct portset ports;     /* attached; the host side if there is one */
	struct portset choosing;  /* whose clients say what they want: get no unknown group */
	struct portset all;       /* whose clients want all */
	bool host_known;          /* what the host's kernel listens to */
	bool started;             /* seen_ms is one */
	uint64_t now_ms, seen_ms; /* our clock; what we were told last */
};

/* Where a frame goes: a number that mcast_set() understands until the next mcast_news(). */
#define MCAST_TO_ALL UINT16_MAX
#define MCAST_TO_UNKNOWN (GROUPTABLE_NONE - 8u) /* and the family: a group without members */
#define MCAST_TO_ROUTERS (GROUPTABLE_NONE - 4u) /* and the family: a report */

/* @seed as of fdb_init(); `own` is the caller's to set. Return: 0, or -ENOMEM; mcast_fini() is safe
 * either way. */
int mcast_init(struct mcast *mc, uint64_t seed);
void mcast_fini(struct mcast *mc);
void mcast_configure(struct mcast *mc, const struct mcast_conf *conf);

/* A port is there: a client's, or PORT_HOST. */
void mcast_attach(struct mcast *mc, uint16_t port);
void mcast_detach(struct mcast *mc, uint16_t port);
/* What was heard from behind a port is forgotten: its link is down. What its client joined stays.
 */
void mcast_forget(struct mcast *mc, uint16_t port);

/* Whether an address is of an IP group: IPv4 (RFC 1112, 6.4) or IPv6 (RFC 2464, 7). */
static inline bool mcast_is_ip(const uint8_t *mac)
{
	return (mac[0] == 0x33 && mac[1] == 0x33) ||
	       (mac[0] == 0x01 && mac[1] == 0x00 && mac[2] == 0x5e && mac[3] < 0x80);
}

/* Decides where a frame for any group goes, and learns from it if it is IGMP, MLD or PIM. */
uint16_t mcast_route(struct mcast *mc, const struct frame *frame, uint16_t in, uint64_t now_ms);
/* Whether @to, not MCAST_TO_ALL, is a flood: of a group that nobody is known to want. */
static inline bool mcast_floods(uint16_t to)
{
	return to >= MCAST_TO_UNKNOWN && to < MCAST_TO_ROUTERS;
}
/* The ports that @to, not MCAST_TO_ALL, means; the one the frame came from may be among them. */
void mcast_set(const struct mcast *mc, uint16_t to, struct portset *out);

/* A client of an attached port joins or leaves. Return: 0; -ENOSPC; -ENOENT it has not joined. A
 * port that joins gets unknown groups all the same until mcast_all() said that it chooses: it may
 * be that of several joins one is refused, and all are taken back. */
int mcast_join(struct mcast *mc, uint16_t port, struct feth_mac group);
int mcast_leave(struct mcast *mc, uint16_t port, struct feth_mac group);
/* From now on it chooses; and whether it chose all. */
void mcast_all(struct mcast *mc, uint16_t port, bool all);
/* What the host's kernel listens to, instead of what it was; NULL: not known. More than there is
 * room for is as good as not known. */
void mcast_host(struct mcast *mc, const struct feth_mac *macs, unsigned n);

/* Time passes: memberships end, queriers come and go. Every second. */
void mcast_tick(struct mcast *mc, uint64_t now_ms);

/* A query to be sent. */
struct mcast_ask {
	enum mcast_family family;
	uint32_t response_ms;
	struct portset ports;
};

/* Takes the next query that is due, after mcast_tick(); false where none is. */
bool mcast_asks(struct mcast *mc, struct mcast_ask *out);

/* See network_group_list(). */
unsigned mcast_list(const struct mcast *mc, struct feth_mac after, uint16_t after_port,
	bool has_after, struct group_row *out, unsigned max);

#endif
