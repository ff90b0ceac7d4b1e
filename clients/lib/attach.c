/* attach.c - the two methods of the protocol that libfeth spells out: attach and detach. */
#include "clients/lib/transport.h"

#include <errno.h>
#include <string.h>

#include "protocol/text.h"

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

static bool decode_fields(const msgpack_object *o, struct feth_port *port)
{
	uint32_t number;
	char mac[MAC_TEXT];
	if (o->type != MSGPACK_OBJECT_MAP)
		return false;
	const msgpack_object_map *map = &o->via.map;
	if (!get_u32(map, "port", UINT16_MAX, &number) ||
		!get_u32(map, "mtu", UINT32_MAX, &port->mtu) ||
		!get_u32(map, "cap", UINT32_MAX, &port->cap) ||
		rpc_get_text(map, "name", port->name, sizeof(port->name)) != RPC_FIELD_OK ||
		rpc_get_text(map, "network", port->network, sizeof(port->network)) !=
			RPC_FIELD_OK ||
		rpc_get_text(map, "mac", mac, sizeof(mac)) != RPC_FIELD_OK)
		return false;
	port->port = (uint16_t)number;
	return mac_parse(&port->mac, mac);
}

static int decode_port(struct conn *c, const struct feth_reply *reply, struct feth_port *out)
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
	const bool good = got == MSGPACK_UNPACK_SUCCESS && decode_fields(&o, &port);
	msgpack_zone_destroy(&zone);
	if (got == MSGPACK_UNPACK_NOMEM_ERROR)
		return conn_error(c, -ENOMEM, "out of memory");
	if (!good)
		return conn_error(c, -EPROTO, "attach: the answer is not as documented");
	*out = port;
	return 0;
}

int feth_attach(struct feth_conn *conn, const struct feth_attach_opts *opts, struct feth_port *out,
	int timeout_ms)
{
	struct rpc_out params;
	struct feth_reply reply;
	int rc = 0;
	rpc_out_init(&params);
	if (opts)
		rc = encode_opts(&conn->core, &params, opts);
	if (!rc)
		rc = feth_call(conn, "attach", opts ? (const uint8_t *)params.buf.data : NULL,
			params.buf.size, &reply, timeout_ms);
	rpc_out_fini(&params);
	if (!rc && out)
		rc = decode_port(&conn->core, &reply, out);
	return rc;
}

int feth_detach(struct feth_conn *conn, int timeout_ms)
{
	return feth_call(conn, "detach", NULL, 0, NULL, timeout_ms);
}
