/* method.h - the table of RPC methods: from params to a command, from a command to a result.
 *
 * Nothing is carried out here. A session looks a method up, checks who asks, lets `parse` fill a
 * command, sends that to whoever can carry it out, and lets `pack` write what came back. */
#ifndef SERVER_RPC_METHOD_H
#define SERVER_RPC_METHOD_H

#include "protocol/rights.h"
#include "protocol/rpc.h"
#include "server/core/command.h"

enum { SOCKET_N = 1, SOCKET_C = 2, SOCKET_NC = 3 };

struct method {
	const char *name;
	unsigned sockets; /* where it may be called */
	enum right right; /* by whom; see method_needs() */
	enum command_kind kind;
	/* Fills @cmd from @params (may be NULL). 0, or -EINVAL with a sentence that names the
	 * field. */
	int (*parse)(const msgpack_object_map *params, struct command *cmd, struct err *err);
	/* Writes the one value that is the result of a command that succeeded. */
	void (*pack)(const struct command *cmd, struct rpc_out *out);
};

/* The method of that name, or NULL. */
const struct method *method_find(struct rpc_str name);
const char *method_name(enum command_kind kind); /* of one that is in the table */

/* The right that this call needs, as far as its params change what the table says: to attach as a
 * monitor is to observe, and to change a port by its name, which is the only way on the @control
 * socket, is to control. */
unsigned method_needs(const struct method *m, bool control, const msgpack_object_map *params);

/* Holds @params (may be NULL) to protocol/fields.def: 0, or -EINVAL with a sentence about the first
 * field that is missing, there twice, or of a type it never has. @control: on the control socket.
 * What `parse` has to say of the same field is better, so it comes first. */
int method_check(
	enum command_kind method, bool control, const msgpack_object_map *params, struct err *err);

/* parse and pack of each method, one file per noun. */
#define METHOD(symbol, name, sockets, right, summary)                                              \
	int parse_##symbol(                                                                        \
		const msgpack_object_map *params, struct command *cmd, struct err *err);           \
	void pack_##symbol(const struct command *cmd, struct rpc_out *out);
#include "protocol/methods.def"
#undef METHOD

/* A network as results and notifications show it. */
void pack_facts(const struct network_facts *facts, struct rpc_out *out);
/* A port's fields, into an open map. @dir: the network's directory, or NULL. */
void pack_port_fields(const struct port_info *port, const char *dir, struct rpc_out *out);

/* Whether a list's answer should end here and go on with `next`: one more item might not fit. */
static inline bool list_full(const struct rpc_out *out)
{
	return out->buf.size > FETH_RPC_MAX - 8192; /* a network with ALLOW_MAX rules: 5400 */
}

/* Shared by the parsers. -EINVAL with "FIELD: what is wrong". */
int bad_field(struct err *err, const char *field, const char *why);
/* `network`, required on the control socket; on a native one cmd->network is set already. */
int want_network(const msgpack_object_map *params, struct command *cmd, struct err *err);
/* A name; absent: *out is empty, and an error if @required. */
int want_name(const msgpack_object_map *params, const char *field, bool required,
	char out[FETH_NAME_MAX + 1], struct err *err);
int want_mac(const msgpack_object_map *params, const char *field, bool *has, struct feth_mac *out,
	struct err *err);
int want_bool(
	const msgpack_object_map *params, const char *field, bool *has, bool *out, struct err *err);
int want_u32(const msgpack_object_map *params, const char *field, bool *has, uint32_t *out,
	struct err *err);
/* `groups`: "all", or group addresses but broadcast. */
int want_groups(
	const msgpack_object_map *params, bool required, struct group_want *out, struct err *err);
/* `monitor` of attach: *out is the caller's to free, and stays as it was where none is wanted. */
int want_monitor(const msgpack_object_map *params, struct monitor_conf **out, struct err *err);
/* Whether an attach with these params is one that only watches, so that another right is needed. */
bool wants_monitor(const msgpack_object_map *params);
/* The rules of rules.h that are given, in @params or another map. */
int want_rules(const msgpack_object_map *params, struct port_rules *r, struct err *err);
int want_vlan(const msgpack_object_map *params, struct port_rules *rules, struct err *err);
/* A network's `defaults`: the same, less what is of one port alone. */
int want_defaults(
	const msgpack_object_map *params, bool *has, struct port_rules *out, struct err *err);
/* Those rules that are given, but for `cap`, into an open map. */
void pack_rules(const struct port_rules *rules, struct rpc_out *out);
/* Nothing where the port is transparent. */
void pack_vlan(const struct vlan_rule *rule, struct rpc_out *out);
void pack_defaults(const struct port_rules *rules, struct rpc_out *out);
int want_limit(const msgpack_object_map *params, struct command *cmd, struct err *err);

#endif
