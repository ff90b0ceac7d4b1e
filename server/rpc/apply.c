/* apply.c - network.apply and daemon.reload: declared state in, what was done out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/rpc/apply.h"

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

/* One of `ports`, as port.add would read it. */
static int want_port(const msgpack_object *o, uint32_t i, struct command *scratch,
	struct port_conf *out, struct err *err)
{
	struct err why = { 0 };
	char name[FETH_NAME_MAX + 1];
	if (o->type != MSGPACK_OBJECT_MAP)
		return bad_field(err, "ports", "each must be a map of what port.add takes");
	memset(&scratch->in.conf, 0, sizeof(scratch->in.conf));
	int rc = parse_PORT_ADD(&o->via.map, scratch, &why);
	if (!rc)
		rc = method_check(CMD_PORT_ADD, false, &o->via.map, &why);
	*out = scratch->in.conf;
	if (!rc)
		return 0;
	if (rpc_get_text(&o->via.map, "name", name, sizeof(name)) == RPC_FIELD_OK &&
		name_valid(name))
		return err_set(err, rc, "port %s: %s", name, why.text);
	return err_set(err, rc, "ports: the one at %u: %s", i + 1, why.text);
}

static bool names_mac(const struct port_conf *conf, struct feth_mac mac)
{
	for (unsigned i = 0; i < conf->rules.n_macs; i++)
		if (mac_equal(conf->rules.macs[i], mac))
			return true;
	return conf->mac_given && mac_equal(conf->mac, mac);
}

static bool share_mac(const struct port_conf *a, const struct port_conf *b)
{
	for (unsigned i = 0; i < a->rules.n_macs; i++)
		if (names_mac(b, a->rules.macs[i]))
			return true;
	return a->mac_given && names_mac(b, a->mac);
}

/* Of the last of @n + 1 ports. */
static int check_twice(const struct port_conf *ports, uint32_t n, struct err *err)
{
	const struct port_conf *last = &ports[n];
	for (uint32_t i = 0; i < n; i++) {
		if (name_same(ports[i].name, last->name))
			return err_set(err, -EINVAL, "port %s: it is declared twice", last->name);
		if (share_mac(last, &ports[i]))
			return err_set(err, -EINVAL,
				"port %s: mac: port %s has this address as well; give another",
				last->name, ports[i].name);
	}
	return 0;
}

static int want_ports(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	const msgpack_object_array *list;
	const enum rpc_field f = rpc_get_array(params, "ports", &list);
	if (f == RPC_FIELD_ABSENT)
		return 0;
	if (f == RPC_FIELD_BAD)
		return bad_field(err, "ports", "must be an array of maps");
	if (list->size > APPLY_PORTS_MAX)
		return err_set(err, -E2BIG, "ports: at most %u are possible", APPLY_PORTS_MAX);
	struct command *scratch = command_new(CMD_PORT_ADD);
	cmd->apply->ports = calloc(list->size + 1u, sizeof(*cmd->apply->ports));
	if (!scratch || !cmd->apply->ports) {
		command_free(scratch);
		return no_memory(err);
	}
	int rc = 0;
	memcpy(scratch->network, cmd->network, sizeof(scratch->network));
	scratch->rights = RIGHT_CONTROL;
	for (uint32_t i = 0; i < list->size && !rc; i++) {
		rc = want_port(&list->ptr[i], i, scratch, &cmd->apply->ports[i], err);
		if (!rc)
			rc = check_twice(cmd->apply->ports, i, err);
		cmd->apply->n_ports = i + 1;
	}
	command_free(scratch);
	return rc;
}

int parse_NETWORK_APPLY(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	bool has;
	cmd->apply = calloc(1, sizeof(*cmd->apply));
	if (!cmd->apply)
		return no_memory(err);
	int rc = parse_NETWORK_CREATE(params, cmd, err);
	if (!rc)
		rc = want_bool(params, "replace", &has, &cmd->apply->replace, err);
	return rc < 0 ? rc : want_ports(params, cmd, err);
}

int parse_DAEMON_RELOAD(const msgpack_object_map *params, struct command *cmd, struct err *err)
{
	bool has;
	cmd->reload = calloc(1, sizeof(*cmd->reload));
	return cmd->reload ? want_bool(params, "replace", &has, &cmd->reload->replace, err)
			   : no_memory(err);
}

/* -- what is the same -- */

/* What is shown of a network, but for what is not a setting. */
static void show(struct rpc_out *out, struct network_facts facts)
{
	facts.ports = 0;
	facts.mtu_max = 0;
	facts.saved = facts.carrier = facts.bridged = false;
	facts.bridge_mtu = 0;
	rpc_out_init(out);
	rpc_out_response(out, 0);
	pack_facts(&facts, out);
	rpc_out_end(out);
}

bool facts_same(const struct network_facts *a, const struct network_facts *b)
{
	struct rpc_out x, y;
	show(&x, *a);
	show(&y, *b);
	const bool same = rpc_out_ok(&x) && rpc_out_ok(&y) && x.buf.size == y.buf.size &&
			  !memcmp(x.buf.data, y.buf.data, x.buf.size);
	rpc_out_fini(&x);
	rpc_out_fini(&y);
	return same;
}

static const msgpack_object_map *shown(struct rpc_out *out, struct rpc_msg *msg)
{
	static const msgpack_object_map nothing;
	if (rpc_decode(msg, (const uint8_t *)out->buf.data, out->buf.size) != RPC_OK)
		return &nothing;
	return &msg->result->via.map;
}

static bool field_same(const msgpack_object_map *in, const msgpack_object_kv *kv)
{
	const msgpack_object *o;
	char key[64];
	return rpc_text(&kv->key, key, sizeof(key)) && rpc_get(in, key, &o) == RPC_FIELD_OK &&
	       msgpack_object_equal(*o, kv->val);
}

static bool has_key(const msgpack_object_map *in, const msgpack_object *key)
{
	const msgpack_object *o;
	char text[64];
	return rpc_text(key, text, sizeof(text)) && rpc_get(in, text, &o) == RPC_FIELD_OK;
}

static void put_key(struct rpc_out *out, const msgpack_object *key)
{
	char text[64];
	if (rpc_text(key, text, sizeof(text)))
		rpc_out_text(out, text);
}

/* The names of the fields in which the two differ. */
static void put_changed(
	struct rpc_out *out, const struct network_facts *before, const struct network_facts *now)
{
	struct rpc_out x, y;
	struct rpc_msg mx, my;
	show(&x, *before);
	show(&y, *now);
	const msgpack_object_map *a = shown(&x, &mx), *b = shown(&y, &my);
	for (uint32_t i = 0; i < b->size; i++)
		if (!field_same(a, &b->ptr[i]))
			put_key(out, &b->ptr[i].key);
	for (uint32_t i = 0; i < a->size; i++)
		if (!has_key(b, &a->ptr[i].key))
			put_key(out, &a->ptr[i].key);
	rpc_msg_fini(&mx);
	rpc_msg_fini(&my);
	rpc_out_fini(&x);
	rpc_out_fini(&y);
}

/* -- results -- */

static void put_ports(struct rpc_out *out, const char *key, const struct apply *a,
	enum apply_what what, bool *more)
{
	rpc_put_array(out, key);
	for (uint32_t i = 0; i < a->n_done; i++) {
		if (a->done[i].what != what)
			continue;
		*more |= list_full(out);
		if (!*more)
			rpc_out_text(out, a->done[i].name);
	}
	rpc_out_close(out);
}

void pack_NETWORK_APPLY(const struct command *cmd, struct rpc_out *out)
{
	const struct apply *a = cmd->apply;
	bool more = false;
	rpc_out_map(out);
	rpc_out_text(out, "network");
	pack_facts(&cmd->out.facts, out);
	rpc_put_bool(out, "created", a->created);
	rpc_put_array(out, "changed");
	if (!a->created)
		put_changed(out, &a->before, &cmd->out.facts);
	rpc_out_close(out);
	rpc_put_map(out, "ports");
	put_ports(out, "added", a, APPLY_ADDED, &more);
	put_ports(out, "changed", a, APPLY_CHANGED, &more);
	put_ports(out, "removed", a, APPLY_REMOVED, &more);
	rpc_put_bool(out, "more", more);
	rpc_out_close(out);
	rpc_out_close(out);
}

static void put_networks(
	struct rpc_out *out, const char *key, const struct reload *r, enum reload_what what)
{
	rpc_put_array(out, key);
	for (uint32_t i = 0; i < r->n; i++)
		if (r->done[i].what == what)
			rpc_out_text(out, r->done[i].name);
	rpc_out_close(out);
}

void pack_DAEMON_RELOAD(const struct command *cmd, struct rpc_out *out)
{
	const struct reload *r = cmd->reload;
	rpc_out_map(out);
	put_networks(out, "created", r, RELOAD_CREATED);
	put_networks(out, "changed", r, RELOAD_CHANGED);
	put_networks(out, "removed", r, RELOAD_REMOVED);
	put_networks(out, "unchanged", r, RELOAD_SAME);
	rpc_put_array(out, "failed");
	for (uint32_t i = 0; i < r->n && !list_full(out); i++) {
		if (r->done[i].what != RELOAD_FAILED)
			continue;
		rpc_out_map(out);
		rpc_put_text(out, "network", r->done[i].name);
		rpc_put_text(out, "message", r->done[i].why);
		rpc_out_close(out);
	}
	rpc_out_close(out);
	rpc_put_array(out, "restart");
	for (uint32_t i = 0; i < r->n_restart; i++)
		rpc_out_text(out, r->restart[i]);
	rpc_out_close(out);
	rpc_out_close(out);
}
