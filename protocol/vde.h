/* vde.h - the control protocol of vde_switch: one request, one answer, both in the machine's own
 * byte order and layout, for both ends are on it.
 *
 * A client connects to `ctl` and says where its datagram socket is; the answer says where ours is.
 * Frames then go between the two, one a datagram, and the connection stays for as long as the
 * client does. Two layouts of the request are about (vde-2, src/vde_switch/datasock.c: struct
 * request_v1, request_v3; what libvdeplug sends is version 3), each followed by what the client
 * says of itself, whose end nothing tells.
 *
 * Pure: no I/O, no allocation. */
#ifndef PROTOCOL_VDE_H
#define PROTOCOL_VDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VDE_MAGIC 0xfeedfaceu
/* VDE_ETHBUFSIZE of libvdeplug: what its users have room for, as a rule; longer ones are cut short
 * there, not dropped. */
#define VDE_FRAME_MAX (9216u + 18u)
#define VDE_DESCR_MAX 128u /* MAXDESCR of libvdeplug: bytes of what a client says of itself */

/* struct sockaddr_un as it lies in memory: two bytes, then the path. */
#ifdef __APPLE__
#define VDE_PATH_LEN 104u
#else
#define VDE_PATH_LEN 108u
#endif
#define VDE_ADDR_LEN (2u + VDE_PATH_LEN)

#define VDE_REQUEST_V1 (14u + VDE_ADDR_LEN) /* magic, type, a MAC address, address */
#define VDE_REQUEST_V3 (12u + VDE_ADDR_LEN) /* magic, version, type, address */
#define VDE_REQUEST_MAX VDE_REQUEST_V1

enum vde_found {
	VDE_MORE,    /* cut: more bytes are needed */
	VDE_REQUEST, /* one is there */
	VDE_BAD,     /* it is none, or not one that can be served */
};

struct vde_request {
	uint32_t len; /* bytes of the request; what follows describes the client */
	/* Linux: no path but a name in the abstract namespace, all VDE_PATH_LEN bytes of it, the
	 * first of which is 0 (user-mode Linux). */
	bool abstract;
	char path[VDE_PATH_LEN]; /* its datagram socket: absolute, without "..", ended by 0 */
};

/**
 * vde_next() - the request at the start of what a client sent
 * @len:	bytes at @buf; may be 0
 * @out:	written for VDE_REQUEST only
 * @need:	VDE_MORE: bytes in all that bring progress, at most VDE_REQUEST_MAX
 * @reason:	VDE_BAD: a constant sentence
 *
 * Stateless: a cut request is simply asked for again.
 */
enum vde_found vde_next(
	const uint8_t *buf, size_t len, struct vde_request *out, size_t *need, const char **reason);

/* Writes the answer: the address of our datagram socket, at a @path shorter than VDE_PATH_LEN. */
void vde_answer(uint8_t out[VDE_ADDR_LEN], const char *path);

#endif
