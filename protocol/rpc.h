/* rpc.h - RPC objects: envelopes and fields, to and from structs, by msgpack-c.
 *
 * Only objects that wire.c found complete and in bounds come here, so msgpack-c never sees a length
 * it could trip over. The envelopes are msgpack-RPC's: [0, msgid, method, [params]],
 * [1, msgid, error, result], [2, method, [params]]; params is one map, or missing.
 *
 * No I/O. Used by both ends. */
#ifndef PROTOCOL_RPC_H
#define PROTOCOL_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <msgpack.h>

#include "feth/types.h"

enum rpc_kind { RPC_REQUEST = 0, RPC_RESPONSE = 1, RPC_NOTIFY = 2 };

/* A string inside the message: borrowed, not terminated. */
struct rpc_str {
	const char *ptr;
	uint32_t len;
};

struct rpc_msg {
	enum rpc_kind kind;
	uint32_t msgid;                   /* requests and responses */
	struct rpc_str method;            /* requests and notifications */
	const msgpack_object_map *params; /* requests, notifications; NULL where none were given */
	bool failed;                      /* responses: error was not nil */
	struct rpc_str code, text;        /* responses that failed; empty where of another shape */
	const msgpack_object *result;     /* responses */
	msgpack_zone zone;                /* owns everything above; also borrows the input bytes */
};

enum rpc_fault {
	RPC_OK,
	RPC_BAD_PARAMS,   /* a request with a usable msgid, the rest is wrong: answer `invalid` */
	RPC_BAD_ENVELOPE, /* nothing that could be answered */
	RPC_NO_MEMORY,
};

/**
 * rpc_decode() - read one envelope
 * @msg:	out; rpc_msg_fini() it whatever is returned
 * @data:	a complete array as wire_next() gives it; must stay while @msg is used
 */
enum rpc_fault rpc_decode(struct rpc_msg *msg, const uint8_t *data, size_t len);
void rpc_msg_fini(struct rpc_msg *msg);

bool rpc_str_is(struct rpc_str s, const char *text);

/* How a field of a map was found. */
enum rpc_field {
	RPC_FIELD_ABSENT, /* not there, or nil */
	RPC_FIELD_OK,
	RPC_FIELD_BAD, /* wrong type, does not fit, or there twice */
};

/* Look up @key in @map (NULL: an empty one). Outputs are written only for RPC_FIELD_OK. */
enum rpc_field rpc_get(const msgpack_object_map *map, const char *key, const msgpack_object **out);
enum rpc_field rpc_get_uint(const msgpack_object_map *map, const char *key, uint64_t *out);
enum rpc_field rpc_get_bool(const msgpack_object_map *map, const char *key, bool *out);
/* Text: well-formed UTF-8 without NUL that fits in @size with its end; terminated. */
enum rpc_field rpc_get_text(const msgpack_object_map *map, const char *key, char *out, size_t size);
enum rpc_field rpc_get_array(
	const msgpack_object_map *map, const char *key, const msgpack_object_array **out);
/* The same for a value that is at hand, such as an element of an array. */
bool rpc_text(const msgpack_object *o, char *out, size_t size);

/* A message being written. Maps and arrays are opened and closed, and their sizes filled in at the
 * close, so that no count can be wrong. Failure (out of memory, over FETH_RPC_MAX) sticks: look at
 * rpc_out_ok() once at the end. */
#define RPC_OUT_DEPTH 8u
struct rpc_out {
	msgpack_sbuffer buf;
	msgpack_packer pk;
	size_t open_at[RPC_OUT_DEPTH];  /* where the open containers' headers are */
	uint32_t open_n[RPC_OUT_DEPTH]; /* values put into them so far */
	unsigned depth;
	bool failed;
};

void rpc_out_init(struct rpc_out *out);
void rpc_out_fini(struct rpc_out *out);
void rpc_out_clear(struct rpc_out *out); /* empty again; keeps the memory */
/* The whole message is there: nothing failed, all is closed, at most FETH_RPC_MAX bytes. */
bool rpc_out_ok(const struct rpc_out *out);

/* Envelopes. After a request, notification or response is begun its params map, or its result, is
 * to be written: exactly one value, then rpc_out_end() for the envelope. */
void rpc_out_request(struct rpc_out *out, uint32_t msgid, const char *method);
void rpc_out_notify(struct rpc_out *out, const char *method);
void rpc_out_response(struct rpc_out *out, uint32_t msgid);
void rpc_out_end(struct rpc_out *out);
/* A whole error response. */
void rpc_out_error(struct rpc_out *out, uint32_t msgid, const char *code, const char *text);

void rpc_out_map(struct rpc_out *out);
void rpc_out_array(struct rpc_out *out);
void rpc_out_close(struct rpc_out *out); /* ends the innermost map or array */
void rpc_out_text(struct rpc_out *out, const char *text);
void rpc_out_uint(struct rpc_out *out, uint64_t v);
void rpc_out_bool(struct rpc_out *out, bool v);
void rpc_out_nil(struct rpc_out *out);
/* A complete msgpack value made elsewhere. */
void rpc_out_raw(struct rpc_out *out, const uint8_t *data, size_t len);

/* In a map: key and value. */
void rpc_put_text(struct rpc_out *out, const char *key, const char *text);
void rpc_put_uint(struct rpc_out *out, const char *key, uint64_t v);
void rpc_put_bool(struct rpc_out *out, const char *key, bool v);
void rpc_put_mac(struct rpc_out *out, const char *key, struct feth_mac mac);
void rpc_put_map(struct rpc_out *out, const char *key);
void rpc_put_array(struct rpc_out *out, const char *key);

/* The name on the wire for a negative errno; the nearest of errors.h, `system` for all others. */
const char *rpc_error_name(int rc);
/* The negative errno for a name; -EIO for names this version does not know. */
int rpc_error_number(struct rpc_str s);

#endif
