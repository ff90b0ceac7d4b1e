/* port.c - attach, detach and the port.* methods. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocol/ring.h"
#include "server/core/monitor.h"
#include "server/core/offload.h"
#include "server/rpc/method.h"

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
	if (rpc_get(params, "offload", &o) != RPC_FIELD_ABSENT)
		return err_set(err, -EOPNOTSUPP,
			"offload: a client asks for it itself, by attach; this makes ports");
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
	int rc = want_name(params, "name", name_required, conf->name, err);
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

/* A text of @size, to which "" is as if it was not there: so it is refused. */
static int want_dial_text(const msgpack_object_map *params, const char *field, char *out,
	size_t size, struct err *err)
{
	const enum rpc_field f = rpc_get_text(params, field, out, size);
	if (f == RPC_FIELD_ABSENT || (f == RPC_FIELD_OK && out[0]))
		return 0;
	return bad_field(err, field,
		!strcmp(field, "connect")
			? "must be the absolute path of a socket, or tcp:ADDRESS:PORT"
		: !strcmp(field, "remote")
			? "must be ADDRESS:PORT, or of kind dgram an absolute path"
			: "must be ADDRESS:PORT");
}

/* `connect` of ports of kind qemu, `remote` of kind dgram, `local` and `remote` of kind udp, which
 * needs them. */
static int want_dial(const msgpack_object_map *params, struct port_conf *conf, struct err *err)
{
	struct dial_text *text = &conf->dial;
	const bool udp = conf->kind == PORT_KIND_UDP, dgram = conf->kind == PORT_KIND_DGRAM;
	const char *field, *why;
	struct dial dial;
	int rc = want_dial_text(params, "connect", text->connect, sizeof(text->connect), err);
	if (!rc)
		rc = want_dial_text(params, "local", text->local, sizeof(text->local), err);
	if (!rc)
		rc = want_dial_text(params, "remote", text->remote, sizeof(text->remote), err);
	if (rc < 0)
		return rc;
	if (text->connect[0] && conf->kind != PORT_KIND_QEMU)
		return bad_field(err, "connect",
			"only ports of kind qemu can; another fethd is reached so by its "
			"qemu.sock");
	if (!udp && text->local[0])
		return bad_field(err, "local", "only ports of kind udp have one");
	if (!udp && !dgram && text->remote[0])
		return bad_field(err, "remote", "only ports of kind udp and dgram have one");
	if (dgram && text->remote[0] && text->remote[0] != '/')
		return bad_field(err, "remote", "must be the absolute path of its client's socket");
	if (udp && (!text->local[0] || !text->remote[0]))
		return bad_field(err, text->local[0] ? "remote" : "local",
			"a port of kind udp needs both its own ADDRESS:PORT and the other's");
	if (dial_text_any(text) && !dial_parse(&dial, text, &field, &why))
		return bad_field(err, field, why);
	return 0;
}

/* Kinds that can be declared, and those whose other end is a descriptor that can be given away. */
#define KIND(symbol) (1u << PORT_KIND_##symbol)
#define KINDS_DECLARED                                                                             \
	(KIND(NATIVE) | KIND(QEMU) | KIND(TAP) | KIND(DGRAM) | KIND(SEQPACKET) | KIND(VDE) |       \
		KIND(UDP))
#define KINDS_OPENED (KIND(NATIVE) | KIND(QEMU) | KIND(DGRAM) | KIND(SEQPACKET))

/* "must be native, qemu or tap" */
static int bad_kind(unsigned kinds, struct err *err)
{
	char text[128] = "must be ";
	for (unsigned kind = 0; kind < PORT_KINDS; kind++) {
		const unsigned behind = kinds >> kind >> 1;
		const size_t len = strlen(text);
		if (kinds >> kind & 1)
			snprintf(text + len, sizeof(text) - len, "%s%s",
				port_kind_name((enum port_kind)kind),
				!behind                 ? ""
				: behind & (behind - 1) ? ", "
							: " or ");
	}
	return bad_field(err, "kind", text);
}

/* @declared: in port.add, where a kind is required. */
static int want_kind(
	const msgpack_object_map *params, bool declared, enum port_kind *out, struct err *err)
{
	const unsigned kinds = declared ? KINDS_DECLARED : KINDS_OPENED;
	char text[16];
	enum port_kind kind = PORT_KIND_QEMU;
	const enum rpc_field f = rpc_get_text(params, "kind", text, sizeof(text));
	if (f == RPC_FIELD_BAD || (f == RPC_FIELD_OK && !port_kind_find(text, &kind)) ||
		(f == RPC_FIELD_ABSENT && declared))
		return bad_kind(kinds, err);
	if (kind == PORT_KIND_TAP && !declared)
		return err_set(err, -EINVAL,
			"kind: a tap is no descriptor to be given away; declare it with port.add");
	if (!(kinds >> kind & 1))
		return bad_kind(kinds, err);
	*out = kind;
	return 0;
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

/* By bit of OFFLOAD_*. */
static const char *const offload_names[] = { "csum", "tso4", "tso6", "ecn", "uso4", "uso6" };
#define OFFLOAD_NAMES (sizeof(offload_names) / sizeof(offload_names[0]))

/* Names that nobody knows are passed over: others may come. */
static int want_offload_list(
	const msgpack_object_map *map, const char *key, uint8_t *out, struct err *err)
{
	const msgpack_object_array *list;
	char text[32];
	uint8_t bits = 0;
	const enum rpc_field f = rpc_get_array(map, key, &list);
	if (f == RPC_FIELD_ABSENT)
		return 0;
	for (uint32_t i = 0; f == RPC_FIELD_OK && i < list->size; i++) {
		if (list->ptr[i].type != MSGPACK_OBJECT_STR)
			return bad_field(err, "offload", "rx and tx are arrays of names");
		for (unsigned bit = 0; bit < OFFLOAD_NAMES; bit++)
			if (rpc_text(&list->ptr[i], text, sizeof(text)) &&
				!strcmp(text, offload_names[bit]))
				bits |= (uint8_t)(1u << bit);
	}
	if (f == RPC_FIELD_BAD)
		return bad_field(err, "offload", "rx and tx are arrays of names");
	/* virtio 1.2, 5.1.3.1: none without csum, and ecn is of super-frames of TCP */
	if (!(bits & OFFLOAD_CSUM))
		bits = 0;
	if (!(bits & (OFFLOAD_TSO4 | OFFLOAD_TSO6)))
		bits &= (uint8_t)~OFFLOAD_ECN;
	*out = bits;
	return 0;
}

/* `offload` of attach: a map of rx, tx and max. */
static int want_offload(const msgpack_object_map *params, struct port_offload *out, struct err *err)
{
	const msgpack_object *o;
	uint64_t max = FETH_FRAME_MAX;
	const enum rpc_field f = rpc_get(params, "offload", &o);
	if (f == RPC_FIELD_ABSENT)
		return 0;
	if (f != RPC_FIELD_OK || o->type != MSGPACK_OBJECT_MAP)
		return bad_field(err, "offload", "must be given once, as a map of rx, tx and max");
	int rc = want_offload_list(&o->via.map, "rx", &out->rx, err);
	if (!rc)
		rc = want_offload_list(&o->via.map, "tx", &out->tx, err);
	if (!rc && (rpc_get_uint(&o->via.map, "max", &max) == RPC_FIELD_BAD || !max))
		rc = bad_field(err, "offload", "max must be a number of bytes");
	out->asked = true;
	out->max = max < FETH_FRAME_MAX ? (uint32_t)max : FETH_FRAME_MAX;
	return rc;
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
	if (!rc)
		rc = want_offload(params, &cmd->in.conf.offload, err);
	const struct port_conf *conf = &cmd->in.conf;
	if (!rc && cmd->monitor &&
		(conf->mac_given || conf->locked || conf->rules.given || cmd->groups.given ||
			conf->ring || conf->offload.asked))
		return bad_field(err, "monitor",
			"who only watches has no address, groups, rules, rings or offload; give a "
			"name at most");
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
	if (!rc)
		rc = want_dial(params, &cmd->in.conf, err);
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

static void pack_offload_list(struct rpc_out *out, const char *key, uint8_t bits)
{
	rpc_put_array(out, key);
	for (unsigned bit = 0; bit < OFFLOAD_NAMES; bit++)
		if (bits & 1u << bit)
			rpc_out_text(out, offload_names[bit]);
	rpc_out_close(out);
}

static void pack_offload(const struct port_offload *offload, struct rpc_out *out)
{
	rpc_put_map(out, "offload");
	pack_offload_list(out, "rx", offload->rx);
	pack_offload_list(out, "tx", offload->tx);
	rpc_put_uint(out, "max", offload->max);
	rpc_out_close(out);
}

static void pack_dial(const struct port_info *port, struct rpc_out *out)
{
	if (port->dial.connect[0])
		rpc_put_text(out, "connect", port->dial.connect);
	if (port->dial.local[0])
		rpc_put_text(out, "local", port->dial.local);
	if (port->dial.remote[0])
		rpc_put_text(out, "remote", port->dial.remote);
	if (port->why[0])
		rpc_put_text(out, "why", port->why);
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
	const bool calls = dial_text_any(&port->dial);
	if (calls)
		pack_dial(port, out);
	if (calls && port->kind != PORT_KIND_DGRAM)
		dir = NULL; /* it has no socket */
	/* the kernel attests nobody at the other end of TCP or UDP */
	if (port->attached && port->kind != PORT_KIND_HOST &&
		(!calls || port->dial.connect[0] == '/')) {
		rpc_put_uint(out, "uid", port->uid);
		rpc_put_uint(out, "pid", port->pid);
		if (port->ring)
			rpc_put_uint(out, "ring", port->ring);
		if (port->offload.rx | port->offload.tx)
			pack_offload(&port->offload, out);
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
	if (port->offload.asked)
		pack_offload(&port->offload, out);
	rpc_put_array(out, "features");
	if (port->offload.rx | port->offload.tx)
		rpc_out_text(out, "offload");
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
