/* announce.h - frames that say where an address is now.
 *
 * Bridges beyond a port, or behind the host side, learn from sources: until a station sends, what
 * is for it goes where it was. So who knows that it has moved says so for it, in a frame that no
 * host answers, as hypervisors do after a migration: a RARP request for its own address (RFC 903).
 * Where its IP addresses are known as well, hosts can be told too: ARP (RFC 5227, 2.3: ARP
 * Announcement) and a neighbour advertisement that nobody asked for (RFC 4861, 7.2.6).
 *
 * Pure. */
#ifndef SERVER_CORE_ANNOUNCE_H
#define SERVER_CORE_ANNOUNCE_H

#include <stdint.h>

#include "feth/types.h"
#include "protocol/text.h"

#define ANNOUNCE_MAX 86u /* the longest: ND */

/* Each writes a frame from @mac to @out and returns its length. */
uint32_t announce_rarp(struct feth_mac mac, uint8_t out[ANNOUNCE_MAX]);
/* That @addr, of either family, is at @mac. */
uint32_t announce_address(struct feth_mac mac, const struct cidr *addr, uint8_t out[ANNOUNCE_MAX]);

#endif
