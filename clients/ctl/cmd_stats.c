/* cmd_stats.c - stats, of one network or of all.
 *
 * For programs, a network is {"network", "ports", "total"}; for people, all ports of all networks
 * are one table, with a line `(total)` for each network, which also counts the ports that are gone.
 */
#include <string.h>

#include "clients/ctl/ctl.h"

static const struct out_field columns[] = {
	{ "NETWORK", "network", out_any, false },
	{ "PORT", "port", out_any, true },
	{ "NAME", "name", out_any, false },
	{ "RX-FRAMES", "rx_frames", out_any, true },
	{ "RX-BYTES", "rx_bytes", out_any, true },
	{ "TX-FRAMES", "tx_frames", out_any, true },
	{ "TX-BYTES", "tx_bytes", out_any, true },
	{ "QUEUED", "queued_bytes", out_any, true },
	{ "DROPS", "drops", out_any, false },
};

/* `text` must stay. */
static msgpack_object text_of(const char *text)
{
	msgpack_object o = { .type = MSGPACK_OBJECT_STR };
	o.via.str.ptr = text;
	o.via.str.size = (uint32_t)strlen(text);
	return o;
}

static msgpack_object *new_map(struct ctl *ctl, uint32_t size)
{
	msgpack_object *o = msgpack_zone_malloc(&ctl->zone, sizeof(*o));
	msgpack_object_kv *kv = msgpack_zone_malloc(&ctl->zone, size * sizeof(*kv));
	if (!o || !kv)
		return NULL;
	o->type = MSGPACK_OBJECT_MAP;
	o->via.map.size = size;
	o->via.map.ptr = kv;
	return o;
}

static void put(msgpack_object *map, uint32_t i, const char *key, msgpack_object value)
{
	map->via.map.ptr[i].key = text_of(key);
	map->via.map.ptr[i].val = value;
}

/* A line of the table: `port`, and what network it is of; `name` unless NULL. */
static bool add_line(struct ctl *ctl, struct rows *rows, const char *network, const char *name,
	const msgpack_object *port)
{
	const uint32_t had = port->type == MSGPACK_OBJECT_MAP ? port->via.map.size : 0;
	const uint32_t more = name ? 2 : 1;
	msgpack_object *line = new_map(ctl, had + more);
	if (!line)
		return false;
	put(line, 0, "network", text_of(network));
	if (name)
		put(line, 1, "name", text_of(name));
	for (uint32_t i = 0; i < had; i++)
		line->via.map.ptr[more + i] = port->via.map.ptr[i];
	return rows_add(rows, line);
}

static bool add_lines(struct ctl *ctl, struct rows *lines, const char *network,
	const struct rows *ports, const msgpack_object *total)
{
	for (size_t i = 0; i < ports->n; i++)
		if (!add_line(ctl, lines, network, NULL, ports->items[i]))
			return false;
	return add_line(ctl, lines, network, "(total)", total);
}

/* The document of one network. NULL: out of memory. */
static msgpack_object *make_doc(
	struct ctl *ctl, const char *network, const struct rows *ports, const msgpack_object *total)
{
	msgpack_object *doc = new_map(ctl, 3);
	msgpack_object list = { .type = MSGPACK_OBJECT_ARRAY };
	list.via.array.size = (uint32_t)ports->n;
	list.via.array.ptr =
		msgpack_zone_malloc(&ctl->zone, (ports->n + 1) * sizeof(*list.via.array.ptr));
	if (!doc || !list.via.array.ptr)
		return NULL;
	for (size_t i = 0; i < ports->n; i++)
		list.via.array.ptr[i] = *ports->items[i];
	put(doc, 0, "network", text_of(network));
	put(doc, 1, "ports", list);
	put(doc, 2, "total", *total);
	return doc;
}

/* Reads the counters of one network: its lines and its document. */
static int read_network(struct ctl *ctl, const char *network, struct rows *lines, struct rows *docs)
{
	static const msgpack_object nil = { .type = MSGPACK_OBJECT_NIL };
	struct rows ports;
	msgpack_object first = nil;
	int status = ctl_list(
		ctl, "stats.get", network, "read the counters of network", network, &ports, &first);
	if (!status) {
		const msgpack_object *total = out_get(&first, "network");
		msgpack_object *doc = make_doc(ctl, network, &ports, total ? total : &nil);
		if (!doc || !rows_add(docs, doc) ||
			!add_lines(ctl, lines, network, &ports, total ? total : &nil))
			status = ctl_fail("out of memory");
	}
	rows_fini(&ports);
	return status;
}

/* A terminated copy of a network's name; NULL: it has none. */
static const char *name_of(struct ctl *ctl, const msgpack_object *network)
{
	const msgpack_object *name = out_get(network, "name");
	if (!name || name->type != MSGPACK_OBJECT_STR)
		return NULL;
	char *copy = msgpack_zone_malloc(&ctl->zone, name->via.str.size + 1u);
	if (!copy)
		return NULL;
	memcpy(copy, name->via.str.ptr, name->via.str.size);
	copy[name->via.str.size] = '\0';
	return copy;
}

static int read_all(struct ctl *ctl, struct rows *lines, struct rows *docs)
{
	struct rows networks;
	int status = ctl_list(ctl, "network.list", NULL, "list", "networks", &networks, NULL);
	ctl->may_be_gone = true; /* between the list and its turn */
	for (size_t i = 0; !status && i < networks.n; i++) {
		const char *name = name_of(ctl, networks.items[i]);
		status = name ? read_network(ctl, name, lines, docs)
			      : ctl_fail("the daemon sent a network without a name");
		if (status == CTL_GONE)
			status = 0;
	}
	rows_fini(&networks);
	return status;
}

int cmd_stats(struct ctl *ctl, const struct args *args)
{
	struct rows lines = { 0 }, docs = { 0 };
	const char *name = NULL;
	uint32_t seconds = 1, times = 0;
	const bool watch = args_flag(args, "watch");
	const int counted = args_uint(args, "count", &times);
	if (counted < 0 || (args_value(args, "watch") && args_uint(args, "watch", &seconds) < 0))
		return CTL_FAILED;
	if (counted && !(watch && times))
		return ctl_usage(args->cmd, "--count: it is 1 or more, and goes with --watch");
	if (args->n_operands && !(name = args_operand_name(args, 0, "network")))
		return CTL_FAILED;
	if (name ? ctl_connect_observer(ctl, name) : ctl_connect(ctl, NULL))
		return CTL_FAILED;

	if (watch)
		return ctl_watch(ctl, name, seconds, times);
	const int status =
		name ? read_network(ctl, name, &lines, &docs) : read_all(ctl, &lines, &docs);
	if (!status && ctl->json) /* one network is no list */
		ctl->out->table(ctl->out, NULL, 0, &docs, name && docs.n ? docs.items[0] : NULL);
	else if (!status)
		ctl->out->table(ctl->out, OUT_FIELDS(columns), &lines, NULL);
	rows_fini(&lines);
	rows_fini(&docs);
	return status;
}
