/* text.h - the written forms that travel as strings: names, addresses.
 *
 * One parser for daemon and clients, so that both refuse the same things. Pure. */
#ifndef PROTOCOL_TEXT_H
#define PROTOCOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feth/types.h"

#define MAC_TEXT 18u  /* "02:00:00:00:00:01" and its end */
#define CIDR_TEXT 50u /* "ffff:...:255.255.255.255/128" and its end */

/* An IP address with its prefix length, in the order of the wire. */
struct cidr {
	uint8_t family; /* 4 or 6; 0 is none */
	uint8_t prefix; /* 1 to 32, or 1 to 128 */
	uint8_t addr[16];
};

/* A letter or digit, then up to 31 letters, digits, '-', '_' (design: names of networks, ports). */
bool name_valid(const char *name);

/* Equal but for the case of letters: such names are one file on APFS. */
bool name_same(const char *a, const char *b);

/* Six hexadecimal pairs joined by ':' or '-', nothing else. False leaves *out alone. */
bool mac_parse(struct feth_mac *out, const char *text);
void mac_format(char out[MAC_TEXT], struct feth_mac mac);
bool mac_equal(struct feth_mac a, struct feth_mac b);
bool mac_is_group(struct feth_mac mac); /* IEEE 802.3, 3.2.3 b: broadcast and multicast */
bool mac_is_zero(struct feth_mac mac);

/* "10.0.0.1", at the beginning of *text, which moves behind it. False leaves *text alone. */
bool ipv4_parse(uint8_t out[4], const char **text);

/* "10.0.0.1/24" or "fd00::1/64"; the prefix is required. Refuses what no interface can have: the
 * unspecified, multicast, broadcast and IPv4 network addresses (RFC 3021 excepts /31 and /32).
 * On false, *why is a constant sentence. */
bool cidr_parse(struct cidr *out, const char *text, const char **why);
void cidr_format(char out[CIDR_TEXT], const struct cidr *cidr);
bool cidr_equal(const struct cidr *a, const struct cidr *b);

/* An IP address and a port of TCP or UDP. */
struct endpoint {
	uint8_t family;   /* 4 or 6; 0 is none */
	uint8_t addr[16]; /* in the order of the wire */
	uint16_t port;    /* 1 to 65535 */
};

#define ENDPOINT_TEXT 56u /* "[ffff:...:255.255.255.255]:65535" and its end */

/* "127.0.0.1:5000" or "[::1]:5000". No names: nothing is looked up. On false, *why is a constant
 * sentence. */
bool endpoint_parse(struct endpoint *out, const char *text, const char **why);

/* Whether it never leaves this machine: 127.0.0.0/8 (RFC 1122, 3.2.1.3), ::1 (RFC 4291, 2.5.3). */
bool endpoint_is_loopback(const struct endpoint *end);

/* Whether `len` bytes are well-formed UTF-8 (RFC 3629, 4) without NUL. */
bool utf8_valid(const char *text, size_t len);

#endif
