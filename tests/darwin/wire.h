/* wire.h - how processes speak to darwinsim (server.c), the simulated machine in a process of its
 * own.
 *
 * A stream socket. Every message, either way, is its length (4 bytes, the machine's order) and that
 * many bytes. The first one says what the connection is:
 *
 *   "process EUID"   one simulated process; it ends with the connection. It sends a request and
 *                    waits for the reply. A reply that makes a descriptor has one end of a socket
 *                    pair with it (SCM_RIGHTS): that is the descriptor in the caller's world.
 *                    A byte is there to be read while the simulated one is readable, so that it can
 *                    be polled; and when it is closed, by whomever, so is the simulated one, before
 *                    any later request of anybody is looked at.
 *   "test"           a test's door: lines of text, see server_door.c */
#ifndef TESTS_DARWIN_WIRE_H
#define TESTS_DARWIN_WIRE_H

#include <stdint.h>

#define WIRE_REQUEST_MAX (8u << 20)
#define WIRE_REPLY_MAX (40u << 20) /* a BPF buffer has at most 32 MiB */
#define WIRE_DRVSPEC_MAX 4096u     /* bytes behind a struct dw_ifdrv */
#define WIRE_ENV_SOCKET "FETHD_DARWIN_SIM"
#define WIRE_ENV_UID "FETHD_DARWIN_UID" /* the effective user; default 0 */

enum wire_op {
	WIRE_SOCKET = 1,   /* arg: domain, type, protocol */
	WIRE_OPEN,         /* tail: path */
	WIRE_IOCTL,        /* arg: request, bytes of argument; tail: those, what ifdrv.data has */
	WIRE_SETSOCKOPT,   /* arg: level, option, value */
	WIRE_BIND,         /* tail: address */
	WIRE_CONNECT,      /* tail: address */
	WIRE_READ,         /* arg: size; the reply's tail: bytes */
	WIRE_WRITE,        /* tail: bytes */
	WIRE_SYSCTLBYNAME, /* arg: size of old, whether there is one, length of new; tail: name,
			      NUL, new; the reply's tail: old */
	WIRE_SYSCTL,       /* arg: size of old, whether there is one; tail: mib */
};

struct wire_request {
	uint32_t op;
	uint32_t unused;
	uint64_t desc; /* as the reply that made it said; 0: none */
	uint64_t arg[3];
};

struct wire_reply {
	int64_t rc;    /* as in darwin_sys.h; a new descriptor's number for wire_request.desc */
	uint64_t size; /* sysctl: *old_len */
};

#endif
