/* route_darwin.h - what the kernel says of interfaces: the messages of a PF_ROUTE socket and the
 * records of a NET_RT_IFLIST2 dump, which are of one make.
 *
 * Pure: bytes in, records out. Nothing in the bytes is believed before its bounds were checked. */
#ifndef SERVER_HOSTIF_ROUTE_DARWIN_H
#define SERVER_HOSTIF_ROUTE_DARWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/text.h"
#include "server/core/hostif.h"

enum route_kind {
	ROUTE_LINK,       /* an interface: flags, mtu, name, mac */
	ROUTE_ADDR,       /* an address of an interface */
	ROUTE_GROUP,      /* a group an interface listens to; mac only where it is a link address */
	ROUTE_LINK_NEWS,  /* an interface has changed: flags */
	ROUTE_ADDRS_NEWS, /* its addresses have */
	ROUTE_GROUPS_NEWS, /* its memberships have */
};

struct route_record {
	enum route_kind kind;
	uint16_t index;         /* of the interface */
	uint32_t flags;         /* DW_IFF_* */
	uint32_t mtu;           /* bytes */
	char name[HOSTIF_NAME]; /* "" where it is not told */
	bool has_mac;
	struct feth_mac mac;
	struct cidr addr; /* family 0: none, or none we know */
};

struct route_reader {
	const uint8_t *at; /* borrowed */
	size_t left;       /* bytes */
};

/* The next record; false at the end, and where what follows makes no sense. Records of other kinds,
 * and such as are too short for what they say they are, are passed over. In a dump, RTM_NEWADDR is
 * a record; from a socket it is news: @news tells which. */
bool route_next(struct route_reader *r, bool news, struct route_record *out);

#endif
