/* types.h - the few types and limits that everybody who touches a frame shares.
 *
 * Installed with libfeth; also the bottom of the daemon's own include order. */
#ifndef FETH_TYPES_H
#define FETH_TYPES_H

#include <stdint.h>

/* An Ethernet address in the order of the wire. */
struct feth_mac {
	uint8_t b[6];
};

/* A frame starts at its destination address and has no FCS. */
#define FETH_FRAME_MIN 14u    /* two addresses and a type (IEEE 802.3, 3.1.1) */
#define FETH_FRAME_MAX 65553u /* 65535 bytes of payload behind a header and one 802.1Q tag */

/* Longest name of a network or port: a letter or digit, then letters, digits, '-', '_'. */
#define FETH_NAME_MAX 32u

/* Largest RPC object either side may send. */
#define FETH_RPC_MAX 65536u

/* Version of the native protocol (docs/protocol.md). */
#define FETH_PROTOCOL_VERSION 1u

#endif
