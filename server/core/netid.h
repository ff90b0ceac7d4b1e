/* netid.h - from the name of a network to its numbers, interface names and addresses.
 *
 * Deterministic, so that a network looks the same after every restart, and different machines
 * differ where they must. The formulas are a contract: people write firewall rules for
 * them. */
#ifndef SERVER_CORE_NETID_H
#define SERVER_CORE_NETID_H

#include <stdbool.h>
#include <stdint.h>

#include "feth/types.h"
#include "server/core/hostif.h"

#define NETID_UNIT_MIN 100u        /* below: for hand-made interfaces */
#define NETID_UNITS 4900u          /* 100 to 4999 */
#define NETID_SERVICE_OFFSET 5000u /* the service member's unit above the host member's */
#define NETID_BASE_MAX 22768u      /* base + 4999 + 5000 stays within feth's 32767 units */

struct netid_key {
	uint8_t b[16]; /* from the machine id */
};

/* SipHash-2-4 (Aumasson, Bernstein 2012) of @len bytes. */
uint64_t siphash24(const struct netid_key *key, const void *data, size_t len);

/* The key that a machine id (/etc/machine-id, gethostuuid(2)) gives; hashed, for the id itself is a
 * secret of sorts (machine-id(5)). Any text, also an empty one. */
struct netid_key netid_key(const char *machine_id);

/* The 64-bit id of a network: the name itself where it is 16 lower-case hex digits (a ZeroTier
 * network id), else FNV-1a 64 of it. */
uint64_t netid_id(const char *name);

/* The unit an id prefers, @base included: base + 100 to base + 4999. */
uint32_t netid_unit(uint64_t id, uint32_t base);
/* The unit to try after @unit; wraps to base + 100. After NETID_UNITS tries all were tried. */
uint32_t netid_unit_next(uint32_t unit, uint32_t base);

/* "feth<unit>" and "feth<unit + 5000>". */
void netid_names(uint32_t unit, char host[HOSTIF_NAME], char service[HOSTIF_NAME]);

/* 02 and five bytes of SipHash over the parts: locally administered, never a group. One part (@port
 * NULL) is the host member's address, two a port's. */
struct feth_mac netid_mac(const struct netid_key *key, const char *network, const char *port);

/* The service member's address, of its pair's tag (hostif.h): no other pair has it, also not that
 * of another daemon with a network of this name. */
struct feth_mac netid_service_mac(const struct netid_key *key, const char *tag);

#endif
