/* mpacket.h - IGMP, MLD and PIM packets of tests, with checksums of their own making.
 *
 * Groups are one number: IPv4 239.1.0.n (01:00:5e:01:00:n), IPv6 ff05::1:n (33:33:00:01:00:n). */
#ifndef TESTS_SUPPORT_MPACKET_H
#define TESTS_SUPPORT_MPACKET_H

#include "server/core/snoop.h"

#define MPACKET_MAX 9000u

struct mpacket {
	uint8_t b[MPACKET_MAX];
	uint32_t len;
	uint32_t ip;  /* where the IP header begins */
	uint32_t msg; /* where the message does */
	uint32_t end; /* where the IP packet ends; padding follows */
	enum mcast_family family;
};

/* A record of a report of IGMPv3 or MLDv2. */
struct mrecord {
	uint8_t type;
	unsigned group;
	uint16_t sources;
	uint8_t aux; /* words */
};

struct feth_mac mgroup_mac(enum mcast_family family, unsigned group);
/* The address itself, 4 or 16 bytes. */
void mgroup_put(enum mcast_family family, unsigned group, uint8_t *out);

/* A packet around a message, from host 10.0.0.@src or fe80::@src (0: 0.0.0.0, ::) to the group of
 * this address. */
void mpacket_make(struct mpacket *p, enum mcast_family family, unsigned src, const uint8_t *dst,
	const uint8_t *msg, uint32_t len);

/* @group 0: general. @version of IGMP or MLD; @code as on the wire. */
void mpacket_query(struct mpacket *p, enum mcast_family family, unsigned version, unsigned src,
	unsigned group, uint16_t code, uint8_t qrv, uint8_t qqic, uint16_t sources);
/* A join or leave of versions without records: IGMP 1 and 2, MLD 1. */
void mpacket_report(
	struct mpacket *p, enum mcast_family family, unsigned version, unsigned group, bool join);
void mpacket_records(
	struct mpacket *p, enum mcast_family family, const struct mrecord *records, unsigned n);
/* A PIM hello; @hold: seconds, -1: the option is not there. */
void mpacket_hello(struct mpacket *p, enum mcast_family family, unsigned src, int hold);

/* Puts the checksums right after a change. */
void mpacket_sum(struct mpacket *p);
/* Puts a VLAN tag in. */
void mpacket_tag(struct mpacket *p, uint16_t type);
/* Adds @n bytes of padding. */
void mpacket_pad(struct mpacket *p, uint32_t n);

static inline struct frame mpacket_frame(const struct mpacket *p)
{
	return (struct frame){ .head = p->b, .head_len = p->len, .len = p->len };
}

#endif
