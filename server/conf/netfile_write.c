/* netfile_write.c - the text of a file from what is true. See netfile.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/conf/keys.h"
#include "server/conf/lines.h"
#include "server/conf/netfile.h"
#include "server/rpc/method.h"

/* What a result would say of something: a map to look into. */
struct shown {
	struct rpc_out out;
	struct rpc_msg msg;
	const msgpack_object_map *map; /* NULL: out of memory */
};

static void shown_end(struct shown *s)
{
	s->map = NULL;
	rpc_out_end(&s->out);
	if (rpc_out_ok(&s->out) &&
		rpc_decode(&s->msg, (const uint8_t *)s->out.buf.data, s->out.buf.size) == RPC_OK)
		s->map = &s->msg.result->via.map;
	else
		s->msg = (struct rpc_msg){ 0 };
}

static void show_network(struct shown *s, const struct network_facts *facts)
{
	*s = (struct shown){ 0 };
	rpc_out_init(&s->out);
	rpc_out_response(&s->out, 0);
	pack_facts(facts, &s->out);
	shown_end(s);
}

static void show_port(struct shown *s, const struct port_info *port)
{
	*s = (struct shown){ 0 };
	rpc_out_init(&s->out);
	rpc_out_response(&s->out, 0);
	rpc_out_map(&s->out);
	pack_port_fields(port, NULL, &s->out);
	rpc_out_close(&s->out);
	shown_end(s);
}

static void shown_fini(struct shown *s)
{
	rpc_msg_fini(&s->msg);
	rpc_out_fini(&s->out);
}

struct text {
	char *buf; /* owned, NETFILE_BYTES + 1 */
	size_t len;
	bool full;
};

static void put(struct text *t, const char *a, const char *b, const char *c, const char *d)
{
	const size_t room = NETFILE_BYTES + 1 - t->len;
	const int n = snprintf(t->buf + t->len, room, "%s%s%s%s\n", a, b, c, d);
	if (n < 0 || (size_t)n >= room)
		t->full = true;
	else
		t->len += (size_t)n;
}

/* Where the two differ, or the key is pinned. */
static void put_key(struct text *t, const struct key *key, const msgpack_object_map *now,
	const msgpack_object_map *standard)
{
	char value[LINES_BYTES];
	const msgpack_object *a, *b;
	const bool is = rpc_get(now, key->field, &a) == RPC_FIELD_OK;
	const bool was = rpc_get(standard, key->field, &b) == RPC_FIELD_OK;
	if (!is && was && key->kind == KEY_VLAN) /* a transparent port shows none */
		put(t, key->name, " = none", "", "");
	if (!is || (was && !(key->flags & KEY_PINNED) && msgpack_object_equal(*a, *b)))
		return;
	for (unsigned i = 0; key_text(key, a, i, value, sizeof(value)); i++)
		put(t, key->name, " = ", value, "");
}

static bool put_section(struct text *t, const struct key *keys, unsigned without,
	const msgpack_object_map *now, const msgpack_object_map *standard)
{
	for (; keys->name && now && standard; keys++)
		if (!(keys->flags & without))
			put_key(t, keys, now, standard);
	return now && standard;
}

static bool put_network(
	struct text *t, const struct network_facts *now, const struct network_facts *standard)
{
	struct shown a, b;
	const msgpack_object *defaults;
	show_network(&a, now);
	show_network(&b, standard);
	put(t, "# Written by fethd (fethctl create --save); see fethd.conf(5).\n", "[network]", "",
		"");
	bool ok = put_section(t, keys_network, 0, a.map, b.map);
	if (ok && rpc_get(a.map, "defaults", &defaults) == RPC_FIELD_OK &&
		defaults->type == MSGPACK_OBJECT_MAP && defaults->via.map.size) {
		static const msgpack_object_map nothing;
		put(t, "\n[defaults]", "", "", "");
		ok = put_section(t, keys_port, KEY_OWN, &defaults->via.map, &nothing);
	}
	shown_fini(&a);
	shown_fini(&b);
	return ok;
}

static bool put_port(struct text *t, const struct port_info *now, const struct port_info *standard)
{
	struct shown a, b;
	show_port(&a, now);
	show_port(&b, standard);
	put(t, "\n[port ", now->name, "]", "");
	const bool ok = put_section(t, keys_port, 0, a.map, b.map);
	shown_fini(&a);
	shown_fini(&b);
	return ok;
}

char *netfile_write(const struct network_facts *now, const struct network_facts *standard,
	const struct port_info *ports, const struct port_info *standard_ports, unsigned n,
	struct err *err)
{
	struct text t = { .buf = malloc(NETFILE_BYTES + 1) };
	bool ok = t.buf && put_network(&t, now, standard);
	for (unsigned i = 0; i < n && ok && !t.full; i++)
		ok = put_port(&t, &ports[i], &standard_ports[i]);
	if (ok && !t.full)
		return t.buf;
	free(t.buf);
	if (ok)
		err_set(err, -E2BIG, "%s: its file would have more than %u bytes",
			now->spec.network, NETFILE_BYTES);
	else
		err_set(err, -ENOMEM, "%s: out of memory", now->spec.network);
	return NULL;
}
