/* fuzz_params.c - the getters of rpc.h, and every method's parser, over any map a client may send;
 * and what the getters read, written by the builders, is read again. */
#include <string.h>

#include "protocol/rpc.h"
#include "protocol/wire.h"
#include "server/core/apply.h"
#include "server/core/monitor.h"
#include "server/rpc/event.h"
#include "server/rpc/method.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

static void each_getter(const msgpack_object_map *map, const char *key, struct rpc_out *out)
{
	const msgpack_object *o;
	const msgpack_object_array *a;
	uint64_t n;
	bool b;
	char text[65];
	if (rpc_get_uint(map, key, &n) == RPC_FIELD_OK)
		rpc_put_uint(out, key, n);
	if (rpc_get_bool(map, key, &b) == RPC_FIELD_OK)
		rpc_put_bool(out, key, b);
	if (rpc_get_text(map, key, text, sizeof(text)) == RPC_FIELD_OK)
		rpc_put_text(out, key, text);
	if (rpc_get_array(map, key, &a) == RPC_FIELD_OK) {
		rpc_put_array(out, key);
		for (uint32_t i = 0; i < a->size; i++)
			if (rpc_text(&a->ptr[i], text, sizeof(text)))
				rpc_out_text(out, text);
		rpc_out_close(out);
	}
	(void)rpc_get(map, key, &o);
}

/* Every key that is text, and some that are asked for anyway. */
static void every_field(const msgpack_object_map *map, struct rpc_out *out)
{
	static const char *const names[] = { "network", "mtu", "mac", "addresses", "" };
	for (unsigned i = 0; i < 5; i++)
		each_getter(map, names[i], out);
	for (uint32_t i = 0; map && i < map->size && i < 50; i++) {
		char key[65];
		if (rpc_text(&map->ptr[i].key, key, sizeof(key)))
			each_getter(map, key, out);
	}
}

static void check_rules(const struct port_rules *r)
{
	must(!(r->given & ~rules_builtin.given) && r->n_macs <= PORT_MACS_MAX);
	must(!(r->given & RULE_CAP) || (r->cap >= 86 && r->cap <= FETH_FRAME_MAX));
	must(!(r->given & RULE_QUEUE) || (r->queue >= 4096 && r->queue <= 4096 * 1024));
	for (unsigned i = 0; i < r->n_macs; i++)
		must(!mac_is_group(r->macs[i]) && !mac_is_zero(r->macs[i]));
}

static void check(const struct command *cmd, enum command_kind kind)
{
	unsigned at;
	must(cmd->groups.n <= PORT_GROUPS_MAX);
	const struct monitor_conf *m = cmd->monitor;
	must(!m || (kind == CMD_ATTACH && m->snaplen && m->snaplen <= MONITOR_SNAPLEN_MAX));
	must(!m || !m->n_steps || !bpf_check(m->steps, m->n_steps, &at));
	must(!m || !m->one || m->port < FDB_PORTS || name_valid(m->name));
	must(!m || (!cmd->groups.given && !cmd->in.conf.mac_given && !cmd->in.conf.locked));
	for (uint32_t i = 0; i < cmd->groups.n; i++)
		must(mac_is_group(cmd->groups.mac[i]));
	if (kind == CMD_NETWORK_CREATE || kind == CMD_NETWORK_SET) {
		const struct network_want *w = &cmd->in.want;
		check_rules(&w->defaults);
		must(!(w->defaults.given & RULE_MACS));
		must(!(w->mode & ~0666u) && w->n_allow <= ALLOW_MAX);
		for (unsigned i = 0; i < w->n_allow; i++)
			must(w->allow[i].rights && !(w->allow[i].rights & ~RIGHTS_NETWORK) &&
				w->allow[i].name[0]);
	}
	if (kind == CMD_ATTACH || kind == CMD_PORT_ADD || kind == CMD_PORT_OPEN ||
		kind == CMD_PORT_SET)
		check_rules(&cmd->in.conf.rules);
	must(!cmd->network[0] || name_valid(cmd->network));
	must(kind != CMD_EVENT_SUBSCRIBE || cmd->in.events < EVENT_BIT(EVENT_N));
	must(kind != CMD_GROUP_LIST || (cmd->limit && cmd->limit <= LIST_LIMIT));
	must(kind != CMD_GROUP_LIST || cmd->after_n < FDB_PORTS);
}

/* Every method of the table, as on control.sock and as on a network's. */
static void every_parser(const msgpack_object_map *map)
{
	static const char *const names[] = {
#define METHOD(symbol, name, sockets, right, summary) name,
#include "protocol/methods.def"
#undef METHOD
	};
	for (size_t i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++) {
		const char *name = names[i / 2];
		const struct method *m =
			method_find((struct rpc_str){ name, (uint32_t)strlen(name) });
		static struct command cmd;
		memset(&cmd, 0, sizeof(cmd));
		if (i % 2)
			strcpy(cmd.network, "lab");
		int rc = m->parse(map, &cmd, &cmd.err);
		if (!rc)
			rc = method_check(m->kind, !(i % 2), map, &cmd.err);
		must(rc == cmd.err.code && rc <= 0 && !rc == !cmd.err.text[0]);
		if (!rc)
			check(&cmd, m->kind);
		apply_free(cmd.apply);
		reload_free(cmd.reload);
		free(cmd.monitor);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_scan scan = { 0 };
	struct wire_item item;
	struct rpc_msg msg, again;
	if (wire_next(&scan, data, len, &item) != WIRE_RPC)
		return 0;
	uint8_t *copy = exact_copy(item.data, item.len);
	struct rpc_out out;
	rpc_out_init(&out);
	if (rpc_decode(&msg, copy, item.len) == RPC_OK && msg.kind != RPC_RESPONSE) {
		rpc_out_request(&out, 1, "m");
		rpc_out_map(&out);
		every_field(msg.params, &out);
		every_parser(msg.params);
		rpc_out_end(&out);
		if (rpc_out_ok(&out)) {
			const uint8_t *p = (const uint8_t *)out.buf.data;
			must(wire_next(&scan, p, out.buf.size, &item) == WIRE_RPC);
			must(rpc_decode(&again, item.data, item.len) == RPC_OK);
			rpc_msg_fini(&again);
		}
	} else if (msg.kind == RPC_RESPONSE && msg.failed) {
		must(rpc_error_number(msg.code) < 0);
	}
	rpc_out_fini(&out);
	rpc_msg_fini(&msg);
	free(copy);
	return 0;
}
