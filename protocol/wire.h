/* wire.h - the native protocol's byte stream cut into items: frames and RPC objects.
 *
 * A stream is msgpack objects back to back: bin is a frame, ext 1 a frame with offload work, array
 * an RPC message (docs/protocol.md). Frames never meet msgpack-c: their header is one to five bytes
 * and is read here. The end of an RPC object is found here too, bounded in size, depth and
 * promised values, because msgpack-c 4.0.0 allocates over 1 GiB for `dd 03 00 00 00`; only a
 * complete, checked object is handed to rpc.c.
 *
 * Pure: no I/O, no allocation. Used by both ends. */
#ifndef PROTOCOL_WIRE_H
#define PROTOCOL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feth/types.h"

#define WIRE_DEPTH_MAX 16u                  /* arrays and maps inside one another */
#define WIRE_OFFLOAD_LEN 12u                /* virtio_net_hdr, virtio 1.2, 5.1.6 */
#define WIRE_EXT_MAX (FETH_FRAME_MAX + 12u) /* largest ext body */
#define WIRE_EXT_OFFLOAD 1                  /* ext type: offload header, then a frame */
#define WIRE_EXT_MONITOR 2                  /* ext type: monitor record, then a cut frame */
#define WIRE_EXT_WAKE 3                     /* ext type: look at the rings, protocol/ring.h */
#define WIRE_MONITOR_LEN 16u                /* a monitor record before the frame's bytes */
#define WIRE_HDR_MAX 6u                     /* ext32: type byte, length, ext type */

enum wire_kind {
	WIRE_MORE,  /* nothing whole yet: *need* says how many bytes would bring progress */
	WIRE_FRAME, /* bin */
	WIRE_EXT,   /* ext; `ext` is its type, 1 is a frame with offload */
	WIRE_RPC,   /* array: a complete RPC object, size, depth and promises checked */
	WIRE_BAD,   /* cannot be skipped: the connection must end; `reason` says why */
};

struct wire_item {
	const uint8_t *data; /* borrowed from the buffer: frame or ext body, or the whole array */
	uint32_t len;        /* bytes at data */
	uint32_t total;      /* bytes of the buffer this item takes, header included */
	uint8_t hdr_len;     /* framing bytes right before data; 0 for RPC */
	int8_t ext;          /* WIRE_EXT: its type */
	const char *reason;  /* WIRE_BAD: a constant sentence */
};

/* Where the scan of a cut object stands, so that no byte is looked at twice however it is cut.
 * All zero is the start of an object; wire_next() resets it with every item it returns. */
struct wire_scan {
	size_t off;          /* next byte to look at */
	size_t need;         /* after WIRE_MORE: bytes in the buffer that bring progress */
	uint64_t owed_total; /* values still promised by all open containers */
	uint32_t owed[WIRE_DEPTH_MAX]; /* of them, by depth */
	uint8_t depth;                 /* open containers; 0 is outside an RPC object */
};

/**
 * wire_next() - the next item of a stream
 * @scan:	state of the object that starts at buf[0]; keep it with the stream
 * @buf:	bytes, beginning where an object begins
 * @len:	how many; may be 0
 * @item:	out; written for WIRE_FRAME, WIRE_EXT and WIRE_RPC; only `reason` for WIRE_BAD
 *
 * After WIRE_MORE call again with the same bytes and more behind them; they may have moved.
 *
 * Return: what was found. After WIRE_BAD the stream is of no further use.
 */
enum wire_kind wire_next(
	struct wire_scan *scan, const uint8_t *buf, size_t len, struct wire_item *item);

/**
 * wire_frame_header() - the shortest header for a frame
 * @out:	WIRE_HDR_MAX bytes of room
 * @len:	length of the frame, at most FETH_FRAME_MAX
 *
 * Return: bytes written, 2 to 5
 */
uint8_t wire_frame_header(uint8_t *out, uint32_t len);

/* The header of an ext object with a body of @len bytes; 3 to 6 bytes. */
uint8_t wire_ext_header(uint8_t *out, int8_t type, uint32_t len);

#endif
