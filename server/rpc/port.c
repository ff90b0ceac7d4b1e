/* port.c - attach, detach and the port.* methods. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocol/ring.h"
#include "server/core/monitor.h"
#include "server/rpc/method.h"

/* Fields a later version has: who asks for them must not believe to have them. */
static int refuse_unknown(const msgpack_object_map *params, struct err *err)
{
	static const char *const later[] = { "offload" };
	const msgpack_object *o;
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (rpc_get(params, later[i], &o) != RPC_FIELD_ABSENT)
			return err_set(err, -EOPNOTSUPP,
				"%s: this version of fethd does not have it; attach without",
				later[i]);
	return 0;
}

/* What is a client's own to ask, in its attach: of a port that is no session yet. */
static int refuse_clients_own(const msgpack_object_map *params, struct err *err)
{
	const msgpack_object *o;
	if (rpc_get(params, "monitor", &o) != RPC_FIELD_ABSENT)
		return err_set(err, -EOPNOTSUPP,
			"monitor: a client asks for it itself, by attach; this makes ports");
	if (rpc_get(params, "shm", &o) != RPC_FIELD_ABSENT)
		return err_set(err, -EOPNOTSUPP,
			"shm: a client asks for it itself, by attach; this makes ports");
	if (rpc_get(params, "groups", &o) == RPC_FIELD_ABSENT)
		return 0;
	return err_set(err, -EOPNOTSUPP,
		"groups: a client joins them itself, by attach or "
		"group.join, or with IGMP and MLD");
}

static int want_conf(
	const msgpack_object_map *params, bool name_required, struct command *cmd, struct err *err)
{
	struct port_conf *conf = &cmd->in.conf;
	conf->control = cmd->rights & RIGHT_CONTROL;
	int rc = refuse_unknown(params, err);
	if (!rc)
		rc = want_name(params, "name", name_required, conf->name, err);
	if (!rc)
		rc = want_mac(params, "mac", &conf->mac_given, &conf->mac, err);
	if (!rc)
		rc = want_bool(params, "locked", &conf->has_locked, &conf->locked, err);
	if (!rc)
		rc = want_rules(params, &conf->rules, err);
	if (!rc && cmd->kind != CMD_PORT_SET && name_same(conf->name, "host"))
		return bad_field(err, "name", "host is the host side's own name; give another");
	return rc;
}

/* `ifname` and `netns`, which are of ports of kind tap alone. */
static int want_tap(const msgpack_object_map *params, struct port_conf *conf, struct err *err)
{
	const struct {
		const char *field;
		char *out;
		size_t size;
		const char *(*fault)(const char *text);
	} fields[] = {
		{ "ifname", conf->tap.ifname, sizeof(conf->tap.ifname), tapplace_ifname },
		{ "netns", conf->tap.netns, sizeof(conf->tap.netns), tapplace_netns },
	};
	const bool is_tap = conf->kind == PORT_KIND_TAP;
	for (unsigned i = 0; i < 2; i++) {
		const enum rpc_field f =
			rpc_get_text(params, fields[i].field, fields[i].out, fields[i].size);
		if (f == RPC_FIELD_ABSENT)
			continue;
		if (!is_tap)
			return bad_field(err, fields[i].field, "only ports of kind tap have one");
		if (f == RPC_FIELD_BAD)
			fields[i].out[0] = '\0'; /* no text, or one that is too long */
		const char *fault = fields[i].fault(fields[i].out);
		if (fault)
			return bad_field(err, fields[i].field, fault);
	}
	if (is_tap && !conf->tap.ifname[0])
		return bad_field(
			err, "ifname", "a port of kind tap needs the name of its interface");
	return 0;
}

/* @declared: in port.add, where a kind is required, and may be tap. */
static int want_kind(
	const msgpack_object_map *params, bool declared, enum port_kind *out, struct err *err)
{
	char kind[16];
	switch (rpc_get_text(params, "kind", kind, sizeof(kind))) {
	case RPC_FIELD_ABSENT:
		if (declared)
			break;
		*out = PORT_KIND_QEMU;
		return 0;
	case RPC_FIELD_OK:
		if (!strcmp(kind, "native") || !strcmp(kind, "qemu")) {
			*out = kind[0] == 'n' ? PORT_KIND_NATIVE : PORT_KIND_QEMU;
			return 0;
		}
		if (strcmp(kind, "tap") != 0)
			break;
		if (!declared)
			return err_set(err, -EINVAL,
				"kind: a tap is no descriptor to be given away; declare it with "
				"port.add");
		*out = PORT_KIND_TAP;
		return 0;
	case RPC_FIELD_BAD:
		break;
	}
	return bad_field(
		err, "kind", declared ? "must be native, qemu or tap" : "must be native or qemu");
}

/* `shm` of attach: true, or a map of ring. */
static int want_shm(const msgpack_object_map *params, uint32_t *out, struct err *err)
{
	const msgpack_object *o;
	const enum rpc_field f = rpc_get(params, "shm", &o);
	uint64_t ring = RING_BYTES;
	if (f == RPC_FIELD_ABSENT)
		return 0;
	const bool is_bool = f == RPC_FIELD_OK && o->type == MSGPACK_OBJECT_BOOLEAN;
	if (!is_bool && !(f == RPC_FIELD_OK && o->type == MSGPACK_OBJECT_MAP))
		return bad_field(err, "shm", "must be given once, as true or a map of ring");
	if (is_bool && !o->via.boolean)
		return 0;
	if (!is_bool && (rpc_get_uint(&o->via.map, "ring", &ring) == RPC_FIELD_BAD ||
				!ring_size_good(ring)))
		return bad_field(err, "shm.ring",
			"must be a power of two from 262144 to 4194304, bytes of each ring");
	*out = (uint32_t)ring;
	return 0;
}

int parse_ATTACH(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	cmd->in.conf.kind = PORT_KIND_NATIVE;
	int rc = want_conf(params, false, cmd, err);
	if (!rc)
		rc = want_groups(params, false, &cmd->groups, err);
	if (!rc)
		rc = want_monitor(params, &cmd->monitor, err);
	if (!rc)
		rc = want_shm(params, &cmd->in.conf.ring, err);
	const struct port_conf *conf = &cmd->in.conf;
	if (!rc && cmd->monitor &&
		(conf->mac_given || conf->locked || conf->rules.given || cmd->groups.given ||
			conf->ring))
		return bad_field(err, "monitor",
			"who only watches has no address, groups, rules or rings; give a name at "
			"most");
	return rc;
}

int parse_DETACH(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	(void)params;
	(void)cmd;
	(void)err;
	return 0;
}

int parse_PORT_ADD(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	int rc = want_network(params, cmd, err);
	if (!rc)
		rc = want_conf(params, true, cmd, err);
	if (!rc)
		rc = want_kind(params, true, &cmd->in.conf.kind, err);
	if (!rc)
		rc = want_tap(params, &cmd->in.conf, err);
	return rc < 0 ? rc : refuse_clients_own(params, err);
}

int parse_PORT_OPEN(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	int rc = want_network(params, cmd, err);
	if (!rc)
		rc = want_conf(params, false, cmd, err);
	if (!rc)
		rc = want_kind(params, false, &cmd->in.conf.kind, err);
	return rc < 0 ? rc : refuse_clients_own(params, err);
}

int parse_PORT_LIST(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	const int rc = want_network(params, cmd, err);
	if (rc < 0)
		return rc;
	const enum rpc_field f = rpc_get_uint(params, "after", &cmd->after_n);
	if (f == RPC_FIELD_BAD || (f == RPC_FIELD_OK && cmd->after_n >= FDB_PORTS))
		return bad_field(
			err, "after", "must be a port number, the `next` of an earlier answer");
	cmd->has_after = f == RPC_FIELD_OK;
	return want_limit(params, cmd, err);
}

int parse_PORT_SET(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	const msgpack_object *o;
	const bool native = cmd->network[0]; /* where without a name it is the caller's own */
	const int rc = want_network(params, cmd, err);
	if (rc < 0)
		return rc;
	if (rpc_get(params, "kind", &o) != RPC_FIELD_ABSENT)
		return err_set(err, -EOPNOTSUPP,
			"kind: it cannot be changed; remove the port and add it anew");
	return want_conf(params, !native, cmd, err);
}

int parse_PORT_REMOVE(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	const int rc = want_network(params, cmd, err);
	return rc < 0 ? rc : want_name(params, "name", true, cmd->in.conf.name, err);
}

static void put_macs(const struct port_rules *rules, struct rpc_out *out)
{
	char text[MAC_TEXT];
	rpc_put_array(out, "macs");
	for (unsigned i = 0; i < rules->n_macs; i++) {
		mac_format(text, rules->macs[i]);
		rpc_out_text(out, text);
	}
	rpc_out_close(out);
}

/* What a monitor has not. */
static void put_station(const struct port_info *port, struct rpc_out *out)
{
	rpc_put_mac(out, "mac", port->mac);
	if (port->rules.n_macs)
		put_macs(&port->rules, out);
	rpc_put_bool(out, "locked", port->locked);
	rpc_put_uint(out, "cap", port->cap);
	pack_rules(&port->rules, out);
}

void pack_port_fields(const struct port_info *port, const char *dir, struct rpc_out *out)
{
	rpc_put_uint(out, "port", port->id);
	rpc_put_text(out, "name", port->name);
	rpc_put_text(out, "kind", port_kind_name(port->kind));
	rpc_put_text(out, "state",
		port->attached   ? "attached"
		: port->declared ? "waiting"
				 : "gone");
	if (port->monitor)
		rpc_put_bool(out, "monitor", true);
	else
		put_station(port, out);
	if (port->looped)
		rpc_put_bool(out, "looped", true);
	if (port->kind == PORT_KIND_TAP) {
		rpc_put_text(out, "ifname", port->tap.ifname);
		if (port->tap.netns[0])
			rpc_put_text(out, "netns", port->tap.netns);
		return; /* its client is a kernel, and it has no socket */
	}
	if (port->attached && port->kind != PORT_KIND_HOST) {
		rpc_put_uint(out, "uid", port->uid);
		rpc_put_uint(out, "pid", port->pid);
		if (port->ring)
			rpc_put_uint(out, "ring", port->ring);
	}
	if (dir && port->declared && port->kind != PORT_KIND_HOST) {
		char path[PATH_TEXT + sizeof("/ports/") + FETH_NAME_MAX];
		snprintf(path, sizeof(path), "%s/ports/%s", dir, port->name);
		rpc_put_text(out, "path", path);
	}
}

void pack_ATTACH(const struct command *cmd, struct rpc_out *out)
{
	const struct port_info *port = &cmd->out.port;
	rpc_out_map(out);
	rpc_put_uint(out, "port", port->id);
	rpc_put_text(out, "name", port->name);
	rpc_put_text(out, "network", cmd->network);
	rpc_put_uint(out, "mtu", port->mtu);
	if (port->monitor) {
		rpc_put_bool(out, "monitor", true);
		rpc_put_uint(out, "snaplen", cmd->monitor->snaplen);
	} else {
		rpc_put_mac(out, "mac", port->mac);
		rpc_put_uint(out, "cap", port->cap);
	}
	if (cmd->n_fds) {
		rpc_put_uint(out, "fds", cmd->n_fds);
		rpc_put_map(out, "shm");
		rpc_put_uint(out, "size", ring_area(port->ring));
		rpc_put_uint(out, "ring", port->ring);
		rpc_out_close(out);
	}
	rpc_put_array(out, "features");
	if (cmd->n_fds)
		rpc_out_text(out, "shm");
	rpc_out_close(out);
	rpc_out_close(out);
}

void pack_DETACH(const struct command *cmd, struct rpc_out *out)
{
	(void)cmd;
	rpc_out_map(out);
	rpc_out_close(out);
}

void pack_PORT_ADD(const struct command *cmd, struct rpc_out *out)
{
	rpc_out_map(out);
	pack_port_fields(&cmd->out.port, cmd->dir, out);
	rpc_out_close(out);
}

void pack_PORT_SET(const struct command *cmd, struct rpc_out *out)
{
	pack_PORT_ADD(cmd, out);
}

void pack_PORT_OPEN(const struct command *cmd, struct rpc_out *out)
{
	const struct port_info *port = &cmd->out.port;
	rpc_out_map(out);
	rpc_put_uint(out, "fds", cmd->n_fds);
	rpc_put_uint(out, "port", port->id);
	rpc_put_text(out, "name", port->name);
	rpc_put_text(out, "kind", port_kind_name(port->kind));
	rpc_put_text(out, "network", cmd->network);
	rpc_put_uint(out, "mtu", port->mtu);
	rpc_put_mac(out, "mac", port->mac);
	rpc_put_uint(out, "cap", port->cap);
	rpc_out_close(out);
}

void pack_PORT_LIST(const struct command *cmd, struct rpc_out *out)
{
	const struct port_info *items = cmd->items.ports;
	rpc_out_map(out);
	rpc_put_array(out, "items");
	uint32_t i = 0;
	for (; i < cmd->n_items && !list_full(out); i++) {
		rpc_out_map(out);
		pack_port_fields(&items[i], cmd->dir, out);
		rpc_out_close(out);
	}
	rpc_out_close(out);
	rpc_out_text(out, "next");
	if (cmd->more || i < cmd->n_items)
		rpc_out_uint(out, items[i - 1].id);
	else
		rpc_out_nil(out);
	rpc_out_close(out);
}

void pack_PORT_REMOVE(const struct command *cmd, struct rpc_out *out)
{
	(void)cmd;
	rpc_out_map(out);
	rpc_out_close(out);
}
