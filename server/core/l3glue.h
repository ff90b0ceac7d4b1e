/* l3glue.h - makes an Ethernet host of an interface that knows IP packets only (tun, utun).
 *
 * Theory of operation. The kernel behind such an interface has no hardware address and asks nobody
 * for theirs: so the glue does, in its name. It answers ARP (RFC 826) and neighbour discovery (RFC
 * 4861) for the declared addresses and for the link-local one that follows from the MAC, finds out
 * by them who a packet goes to (neigh.h), and puts headers on and takes them off. Neither protocol
 * reaches the kernel, or is taken from it; only router discovery (RFC 4861, 6) of a host that is a
 * router goes its way, and no router's word by these comes to the host, who has its addresses
 * declared. (ICMP's redirect, RFC 792, does: it says by which router, which is of no account here.)
 *
 * What an interface without hardware addresses cannot tell: which router a packet is to go by, for
 * only its destination is in it. So whatever the host sends there is taken to be on the network.
 *
 * To the kernel goes IP only, and of that only what an Ethernet interface would have let through:
 * for the MAC, or for a group and then for an IP address of many (RFC 1122, 3.3.6): what was
 * flooded for others must not be routed on.
 *
 * Duplicate addresses. IPv6: looked for before an address is answered for (RFC 4862, 5.4), and not
 * answered for, nor asked from, if somebody has it. IPv4: the host uses it at once, as it does on
 * every other interface, and meanwhile it is looked for (RFC 5227, 2.1.1); who has it too is told
 * of it, and it is defended (2.4 c: a host that others rely on keeps its address).
 *
 * Pure: bytes and times in, bytes out. Times are milliseconds, never less than before. */
#ifndef SERVER_CORE_L3GLUE_H
#define SERVER_CORE_L3GLUE_H

#include "server/core/hostif.h"
#include "server/core/l3frame.h"

/* Frames of the glue's own that wait to be taken: in a turn of the loop some hundred ask at most
 * (a read of 256 KiB from one port); those it does not answer ask again a second later. */
#define L3_OWN_FRAMES 128u

struct l3_conflict {
	struct ip ip;
	struct feth_mac mac; /* who has it as well */
	bool given_up;       /* it is not answered for; else it is defended */
};

struct l3_own {
	struct ip ip;
	uint8_t prefix;
	bool checking;   /* IPv6: not answered for yet */
	bool duplicate;  /* IPv6: never */
	bool told;       /* of a conflict, at told_ms */
	uint8_t asks;    /* questions left: does anybody have it? */
	uint64_t due_ms; /* while checking, or asks are left */
	uint64_t told_ms;
};

struct l3glue {
	struct feth_mac mac;
	struct l3_own own[HOSTIF_ADDRS_MAX + 1]; /* the link-local one too */
	unsigned n_own;
	struct neigh_cache neighbours;
	uint64_t now_ms;
	bool checking; /* something is due of own[] */
	uint64_t told_lost, told_bytes;
	struct l3_frame out[L3_OWN_FRAMES];
	unsigned out_first, n_out, n_given; /* of n_out the first are with the caller */
	struct neigh_packet *given;         /* likewise; owned */
	bool has_conflict;
	struct l3_conflict conflict;
};

/* The link-local address of a MAC (RFC 4291, appendix A): fe80::/64. */
struct cidr l3_link_local(struct feth_mac mac);

/* @key: random and secret. 0 or -ENOMEM. */
int l3glue_new(struct l3glue **out, const struct netid_key *key, const struct hostif_spec *spec);
void l3glue_free(struct l3glue *g); /* NULL is fine */

/* What is declared is this now; while it is not up, nothing is said in its name. */
void l3glue_set(struct l3glue *g, const struct hostif_spec *spec);

/* What time it is; does what is due. Before packets, and at least every second. */
void l3glue_tick(struct l3glue *g, uint64_t now_ms);

/**
 * l3glue_out() - packets from the host become frames
 * @packets:	in one piece each, behind L3_HEADER bytes that may be written; `offload` counts from
 *		where the packet begins
 *
 * Those whose neighbour is known are frames then, and first in @packets, in their order. The others
 * wait, copied, or are dropped; both may lead to frames of l3glue_pull(). To be called when that
 *has nothing to give, or packets of one neighbour would change places.
 *
 * Return: how many are frames
 */
unsigned l3glue_out(struct l3glue *g, struct frame *packets, unsigned n);

/* Frames to send, of its own and those that waited: how many, at most @max, 0 for none. They stand
 * until the next call. */
unsigned l3glue_pull(struct l3glue *g, struct frame *frames, unsigned max);
bool l3glue_more(const struct l3glue *g);

enum l3_in {
	L3_PASS,    /* the host's kernel is to have it */
	L3_TAKEN,   /* it was for the glue, or an Ethernet interface would have passed it over */
	L3_REFUSED, /* it is no IP packet, or a broken one */
};

/* A frame of at least 14 bytes from the network. PASS: it is a packet then, without its header, and
 * `offload` counts from its beginning. */
enum l3_in l3glue_in(struct l3glue *g, struct frame *frame);

/* Packets of the host's that were dropped since the last call: nobody answered for their
 * destination, too many waited, or they are none that an Ethernet can carry. */
void l3glue_lost(struct l3glue *g, uint64_t *packets, uint64_t *bytes);

/* Somebody else has an address of ours, which was not told before or ten seconds ago. */
bool l3glue_conflict(struct l3glue *g, struct l3_conflict *out);

#endif
