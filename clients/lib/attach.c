/* attach.c - the two methods of the protocol that libfeth spells out: attach, as a port or as a
 * monitor, and detach. */
#include "clients/lib/transport.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "protocol/text.h"

/* By bit of FETH_OFFLOAD_*. */
static const char *const offload_names[] = { "csum", "tso4", "tso6", "ecn", "uso4", "uso6" };
#define OFFLOAD_NAMES (sizeof(offload_names) / sizeof(offload_names[0]))

static void put_names(struct rpc_out *params, const char *key, uint32_t bits)
{
	rpc_put_array(params, key);
	for (unsigned i = 0; i < OFFLOAD_NAMES; i++)
		if (bits & 1u << i)
			rpc_out_text(params, offload_names[i]);
	rpc_out_close(params);
}

static void put_offload(struct rpc_out *params, const struct feth_offload *offload)
{
	rpc_put_map(params, "offload");
	put_names(params, "rx", offload->rx);
	put_names(params, "tx", offload->tx);
	if (offload->max)
		rpc_put_uint(params, "max", offload->max);
	rpc_out_close(params);
}

static uint32_t get_names(const msgpack_object_map *map, const char *key)
{
	const msgpack_object_array *list;
	char text[8];
	uint32_t bits = 0;
	if (rpc_get_array(map, key, &list) != RPC_FIELD_OK)
		return 0;
	for (uint32_t i = 0; i < list->size; i++)
		for (unsigned k = 0; k < OFFLOAD_NAMES; k++)
			if (rpc_text(&list->ptr[i], text, sizeof(text)) &&
				!strcmp(text, offload_names[k]))
				bits |= 1u << k;
	return bits;
}

static int encode_opts(struct conn *c, struct rpc_out *params, const struct feth_attach_opts *opts)
{
	if (opts->name && !name_valid(opts->name))
		return conn_error(c, -EINVAL,
			"attach: a port's name is a letter or digit, then at most %u letters, "
			"digits, '-' and '_'",
			FETH_NAME_MAX - 1);
	rpc_out_map(params);
	if (opts->name)
		rpc_put_text(params, "name", opts->name);
	if (opts->mac)
		rpc_put_mac(params, "mac", *opts->mac);
	if (opts->locked)
		rpc_put_bool(params, "locked", true);
	if (opts->shm)
		rpc_put_bool(params, "shm", true);
	if (opts->offload.rx | opts->offload.tx)
		put_offload(params, &opts->offload);
	rpc_out_close(params);
	return rpc_out_ok(params) ? 0 : conn_error(c, -ENOMEM, "out of memory");
}

static bool get_u32(const msgpack_object_map *map, const char *key, uint32_t max, uint32_t *out)
{
	uint64_t v;
	if (rpc_get_uint(map, key, &v) != RPC_FIELD_OK || v > max)
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool decode_fields(const msgpack_object *o, bool monitor, struct feth_port *port)
{
	uint32_t number;
	char mac[MAC_TEXT];
	if (o->type != MSGPACK_OBJECT_MAP)
		return false;
	const msgpack_object_map *map = &o->via.map;
	if (!get_u32(map, "port", UINT16_MAX, &number) ||
		!get_u32(map, "mtu", UINT32_MAX, &port->mtu) ||
		rpc_get_text(map, "name", port->name, sizeof(port->name)) != RPC_FIELD_OK ||
		rpc_get_text(map, "network", port->network, sizeof(port->network)) != RPC_FIELD_OK)
		return false;
	port->port = (uint16_t)number;
	if (monitor)
		return true;
	return get_u32(map, "cap", UINT32_MAX, &port->cap) &&
	       rpc_get_text(map, "mac", mac, sizeof(mac)) == RPC_FIELD_OK &&
	       mac_parse(&port->mac, mac);
}

/* What `offload` of an answer says; nothing of a server that does not know it. */
static void decode_offload(const msgpack_object *o, struct feth_offload *out)
{
	const msgpack_object *offload;
	uint64_t max = 0;
	if (rpc_get(&o->via.map, "offload", &offload) != RPC_FIELD_OK ||
		offload->type != MSGPACK_OBJECT_MAP)
		return;
	const msgpack_object_map *map = &offload->via.map;
	out->rx = get_names(map, "rx");
	out->tx = get_names(map, "tx");
	if (rpc_get_uint(map, "max", &max) == RPC_FIELD_OK && max <= FETH_FRAME_MAX)
		out->max = (uint32_t)max;
}

/* What `shm` of an answer says of the memory that comes with it; 0 where it says nothing. */
struct rings {
	uint64_t size, ring;
};

static void decode_rings(const msgpack_object *o, struct rings *out)
{
	const msgpack_object *shm;
	if (o->type != MSGPACK_OBJECT_MAP || rpc_get(&o->via.map, "shm", &shm) != RPC_FIELD_OK ||
		shm->type != MSGPACK_OBJECT_MAP ||
		rpc_get_uint(&shm->via.map, "size", &out->size) != RPC_FIELD_OK ||
		rpc_get_uint(&shm->via.map, "ring", &out->ring) != RPC_FIELD_OK)
		*out = (struct rings){ 0 };
}

/* @rings: NULL where none were asked for */
static int decode_port(struct conn *c, const struct feth_reply *reply, bool monitor,
	struct feth_port *out, struct rings *rings)
{
	msgpack_zone zone;
	msgpack_object o;
	struct feth_port port;
	size_t used = 0;
	if (!msgpack_zone_init(&zone, 1024))
		return conn_error(c, -ENOMEM, "out of memory");
	memset(&port, 0, sizeof(port));
	const msgpack_unpack_return got =
		msgpack_unpack((const char *)reply->result, reply->result_len, &used, &zone, &o);
	const bool good = got == MSGPACK_UNPACK_SUCCESS && decode_fields(&o, monitor, &port);
	if (good) {
		if (rings)
			decode_rings(&o, rings);
		decode_offload(&o, &port.offload);
	}
	msgpack_zone_destroy(&zone);
	if (got == MSGPACK_UNPACK_NOMEM_ERROR)
		return conn_error(c, -ENOMEM, "out of memory");
	if (!good)
		return conn_error(c, -EPROTO, "attach: the answer is not as documented");
	port.shm = rings && reply->n_fds == 1 && rings->size;
	if (out)
		*out = port;
	return 0;
}

/* The frames go by the memory from now on, also if they went by another. */
static int use_rings(struct feth_conn *conn, int fd, const struct rings *rings)
{
	struct shm *shm;
	const int rc = shm_open_rings(&shm, fd, rings->size, rings->ring);
	if (!rc) {
		shm_free(conn->shm);
		conn->shm = shm;
		return 0;
	}
	(void)feth_detach(conn, 1000); /* there is nothing that would read what it is sent */
	return conn_error(
		&conn->core, rc, "attach: cannot use the shared memory: %s", strerror(-rc));
}

static void encode_filter(struct rpc_out *params, const struct feth_insn *filter, size_t n)
{
	rpc_put_array(params, "filter");
	for (size_t i = 0; i < n; i++) {
		rpc_out_array(params);
		rpc_out_uint(params, filter[i].code);
		rpc_out_uint(params, filter[i].jt);
		rpc_out_uint(params, filter[i].jf);
		rpc_out_uint(params, filter[i].k);
		rpc_out_close(params);
	}
	rpc_out_close(params);
}

static int encode_monitor(
	struct conn *c, struct rpc_out *params, const struct feth_monitor_opts *opts)
{
	static const struct feth_monitor_opts all = { 0 };
	if (!opts)
		opts = &all;
	if (opts->filter && opts->n_filter > FETH_FILTER_MAX)
		return conn_error(c, -EMSGSIZE, "the filter has %zu instructions, over %u",
			opts->n_filter, FETH_FILTER_MAX);
	rpc_out_map(params);
	if (opts->name)
		rpc_put_text(params, "name", opts->name);
	rpc_put_map(params, "monitor");
	if (opts->snaplen)
		rpc_put_uint(params, "snaplen", opts->snaplen);
	if (opts->port_name)
		rpc_put_text(params, "port", opts->port_name);
	else if (opts->port)
		rpc_put_uint(params, "port", *opts->port);
	if (opts->filter)
		encode_filter(params, opts->filter, opts->n_filter);
	rpc_out_close(params);
	rpc_out_close(params);
	return rpc_out_ok(params) ? 0 : conn_error(c, -ENOMEM, "out of memory");
}

static int attach(struct feth_conn *conn, struct rpc_out *params, bool monitor, bool shm,
	struct feth_port *out, int timeout_ms)
{
	struct feth_reply reply;
	struct rings rings = { 0 };
	const uint8_t *data = params->buf.size ? (const uint8_t *)params->buf.data : NULL;
	int rc = feth_call(conn, "attach", data, params->buf.size, &reply, timeout_ms);
	if (rc)
		return rc;
	conn->core.records = monitor;
	if (out || reply.n_fds)
		rc = decode_port(&conn->core, &reply, monitor, out, shm ? &rings : NULL);
	if (!rc && reply.n_fds == 1 && rings.size)
		rc = use_rings(conn, reply.fds[0], &rings);
	for (uint32_t i = 0; i < reply.n_fds; i++)
		close(reply.fds[i]);
	return rc;
}

int feth_attach(struct feth_conn *conn, const struct feth_attach_opts *opts, struct feth_port *out,
	int timeout_ms)
{
	struct rpc_out params;
	rpc_out_init(&params); /* without any: none are sent */
	int rc = opts ? encode_opts(&conn->core, &params, opts) : 0;
	if (!rc)
		rc = attach(conn, &params, false, opts && opts->shm, out, timeout_ms);
	rpc_out_fini(&params);
	return rc;
}

int feth_monitor(struct feth_conn *conn, const struct feth_monitor_opts *opts,
	struct feth_port *out, int timeout_ms)
{
	struct rpc_out params;
	rpc_out_init(&params);
	int rc = encode_monitor(&conn->core, &params, opts);
	if (!rc)
		rc = attach(conn, &params, true, false, out, timeout_ms);
	rpc_out_fini(&params);
	return rc;
}

const char *feth_drop_name(uint8_t reason)
{
	static const char *const names[] = {
		"",
#define DROP(symbol, name) name,
#include "protocol/drops.def"
#undef DROP
	};
	return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}

int feth_detach(struct feth_conn *conn, int timeout_ms)
{
	const int rc = feth_call(conn, "detach", NULL, 0, NULL, timeout_ms);
	if (!rc) {
		shm_free(conn->shm);
		conn->shm = NULL;
	}
	return rc;
}
