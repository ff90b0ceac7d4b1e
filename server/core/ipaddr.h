/* ipaddr.h - what kind of address it is. Addresses are as on the wire: 4 bytes, or 16. Pure. */
#ifndef SERVER_CORE_IPADDR_H
#define SERVER_CORE_IPADDR_H

#include <stdbool.h>
#include <stdint.h>

#define IP6_MTU_MIN 1280u /* RFC 8200, 5: every link takes so much */

/* The first @bits of two addresses of one family, of which they have so many, are the same. */
bool ip_same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits);

/* RFC 1122, 3.2.1.3: one of the subnet of @own that is no host's, whose host part has no bit set,
 * or all. A /31 and a /32 have none (RFC 3021). */
bool ip4_is_broadcast_of(const uint8_t *a, const uint8_t *own, unsigned prefix);

/* One that a host may have, as far as it tells itself: not 0.x, 127.x, multicast or class E. */
bool ip4_is_host(const uint8_t *a);
/* Not ::, ::1 or multicast. (An anycast address looks like any other.) */
bool ip6_is_host(const uint8_t *a);

#endif
