/* snapread.c - see snapread.h. */
#include "clients/ctl/snapread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/clock.h"
#include "clients/ctl/out.h"
#include "protocol/rpc.h"

/* Far beyond what a daemon can have (64 networks of 1025 ports): a list that never ends is cut. */
#define NETWORKS_LIMIT 1024u
#define PORTS_LIMIT 65536u
#define PAGE 256u

/* A snapshot and all that it points to. */
struct held {
	struct snapshot s; /* first: a snapshot is a held */
	msgpack_zone zone;
	size_t network_room,
		port_room; /* of the arrays that grow: networks, and the last one's ports */
};

enum step { DAEMON, NETWORKS, NETWORK, STATS, PORTS };

struct snapread {
	struct feth_conn *conn;
	const char *network;
	snapread_done *done;
	void *user;
	struct held *held;
	enum step step;
	size_t at;                   /* the network being read */
	const msgpack_object *after; /* of the page to come; NULL: the first */
};

static void next_call(struct snapread *r);

void snapshot_free(struct snapshot *s)
{
	struct held *h = (struct held *)s;
	if (!h)
		return;
	msgpack_zone_destroy(&h->zone);
	free(h);
}

static void finish(struct snapread *r, const char *code, const char *why)
{
	snapread_done *done = r->done;
	void *user = r->user;
	struct held *h = r->held;
	free(r);
	if (why) {
		done(user, NULL, code, why);
		snapshot_free(h ? &h->s : NULL);
	} else {
		done(user, &h->s, "", NULL);
	}
}

static const char no_memory[] = "out of memory";
static const char odd_answer[] = "the daemon's answer is not as documented";

/* -- values -- */

static uint64_t uint_of(const msgpack_object *map, const char *key, uint64_t otherwise)
{
	const msgpack_object *v = out_get(map, key);
	return v && v->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? v->via.u64 : otherwise;
}

static bool bool_of(const msgpack_object *map, const char *key, bool *has, bool otherwise)
{
	const msgpack_object *v = out_get(map, key);
	const bool there = v && v->type == MSGPACK_OBJECT_BOOLEAN;
	if (has)
		*has = there;
	return there ? v->via.boolean : otherwise;
}

/* Terminated, and cut at a zero; "" where it is missing or there is no memory. */
static const char *text_of(struct held *h, const msgpack_object *v)
{
	if (!v || v->type != MSGPACK_OBJECT_STR)
		return "";
	char *copy = msgpack_zone_malloc(&h->zone, v->via.str.size + 1u);
	if (!copy)
		return "";
	memcpy(copy, v->via.str.ptr, v->via.str.size);
	copy[v->via.str.size] = '\0';
	return copy;
}

static const char *text_at(struct held *h, const msgpack_object *map, const char *key)
{
	return text_of(h, out_get(map, key));
}

/* A map of names to numbers. */
static void counts_at(
	struct held *h, const msgpack_object *map, const char *key, struct snap_counts *out)
{
	const msgpack_object *m = out_get(map, key);
	*out = (struct snap_counts){ 0 };
	if (!m || m->type != MSGPACK_OBJECT_MAP || !m->via.map.size)
		return;
	struct snap_count *items = msgpack_zone_malloc(&h->zone, m->via.map.size * sizeof(*items));
	if (!items)
		return;
	for (uint32_t i = 0; i < m->via.map.size; i++) {
		const msgpack_object_kv *kv = &m->via.map.ptr[i];
		if (kv->key.type == MSGPACK_OBJECT_STR &&
			kv->val.type == MSGPACK_OBJECT_POSITIVE_INTEGER)
			items[out->n++] =
				(struct snap_count){ text_of(h, &kv->key), kv->val.via.u64 };
	}
	out->items = items;
}

static void traffic_of(struct held *h, const msgpack_object *map, struct snap_traffic *out)
{
	out->rx_frames = uint_of(map, "rx_frames", 0);
	out->rx_bytes = uint_of(map, "rx_bytes", 0);
	out->tx_frames = uint_of(map, "tx_frames", 0);
	out->tx_bytes = uint_of(map, "tx_bytes", 0);
	counts_at(h, map, "drops", &out->drops);
}

/* Room for one more of an array of @n; NULL: out of memory. What grows leaves its old room to the
 * zone, which is as much again at most. */
static void *grow(struct held *h, void *items, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return items;
	*room = *room ? 2 * *room : 16;
	void *more = msgpack_zone_malloc(&h->zone, *room * size);
	if (more && n)
		memcpy(more, items, n * size);
	return more;
}

/* -- answers -- */

static void take_daemon(struct held *h, const msgpack_object *map)
{
	struct snapshot *s = &h->s;
	s->has_daemon = true;
	s->version = text_at(h, map, "version");
	s->uptime_ms = uint_of(map, "uptime", 0);
	counts_at(h, map, "counters", &s->counters);
}

static const char *take_network(struct held *h, const msgpack_object *map)
{
	struct snapshot *s = &h->s;
	const char *name = text_at(h, map, "name");
	if (!*name || s->n_networks == NETWORKS_LIMIT)
		return odd_answer;
	struct snap_network *nets =
		grow(h, s->networks, s->n_networks, &h->network_room, sizeof(*nets));
	if (!nets)
		return no_memory;
	s->networks = nets;
	struct snap_network *net = &nets[s->n_networks++];
	*net = (struct snap_network){
		.name = name,
		.backend = text_at(h, map, "backend"),
		.host = text_at(h, map, "host"),
		.mtu = (uint32_t)uint_of(map, "mtu", 0),
		.cap = (uint32_t)uint_of(map, "cap", 0),
	};
	net->up = bool_of(map, "up", &net->has_up, false);
	net->carrier = bool_of(map, "carrier", &net->has_carrier, false);
	return NULL;
}

static void take_sum(struct held *h, const msgpack_object *result, struct snap_network *net)
{
	const msgpack_object *sum = out_get(result, "network");
	if (!sum)
		return;
	const msgpack_object *addresses = out_get(sum, "addresses");
	net->at_ms = clock_now_ms();
	traffic_of(h, sum, &net->traffic);
	net->moves = uint_of(sum, "moves", 0);
	counts_at(h, sum, "multicast", &net->multicast);
	net->groups = uint_of(sum, "groups", 0);
	net->queue_memory = uint_of(sum, "queue_memory", 0);
	if (!addresses)
		return;
	net->learned = uint_of(addresses, "learned", 0);
	net->statics = uint_of(addresses, "static", 0);
}

static const char *take_counters(
	struct held *h, const msgpack_object *map, struct snap_network *net)
{
	const uint64_t id = uint_of(map, "port", UINT64_MAX);
	if (id > UINT32_MAX || net->n_ports == PORTS_LIMIT ||
		(net->n_ports && id <= net->ports[net->n_ports - 1].id))
		return odd_answer;
	struct snap_port *ports = grow(h, net->ports, net->n_ports, &h->port_room, sizeof(*ports));
	if (!ports)
		return no_memory;
	net->ports = ports;
	struct snap_port *p = &ports[net->n_ports++];
	*p = (struct snap_port){
		.id = (uint32_t)id,
		.name = text_at(h, map, "name"),
		.kind = "",
		.mac = "",
		.up = true,
		.has_age = out_get(map, "age") != NULL,
		.age_ms = uint_of(map, "age", 0),
		.queued_bytes = (uint32_t)uint_of(map, "queued_bytes", 0),
	};
	traffic_of(h, map, &p->traffic);
	return NULL;
}

/* More of a port whose counters were read. Ports that came since have none. */
static const char *take_port(struct held *h, const msgpack_object *map, struct snap_network *net)
{
	const uint64_t id = uint_of(map, "port", UINT64_MAX);
	const char *name = text_at(h, map, "name");
	const struct snap_port *found =
		id > UINT32_MAX ? NULL : snapshot_port(net, (uint32_t)id, name);
	if (!found)
		return NULL;
	struct snap_port *p = &net->ports[found - net->ports];
	p->kind = text_at(h, map, "kind");
	p->mac = text_at(h, map, "mac");
	p->attached = !strcmp(text_at(h, map, "state"), "attached");
	p->up = bool_of(map, "up", NULL, true);
	p->queue_bytes = (uint32_t)uint_of(map, "queue", 0);
	return NULL;
}

/* All items of a page. */
static const char *take_items(struct snapread *r, const msgpack_object *result)
{
	const msgpack_object *items = out_get(result, "items");
	struct held *h = r->held;
	struct snap_network *net = r->step == NETWORKS ? NULL : &h->s.networks[r->at];
	const char *bad = NULL;
	if (!items || items->type != MSGPACK_OBJECT_ARRAY)
		return odd_answer;
	if (r->step == STATS && !r->after)
		take_sum(h, result, net);
	for (uint32_t i = 0; i < items->via.array.size && !bad; i++) {
		const msgpack_object *item = &items->via.array.ptr[i];
		bad = !net               ? take_network(h, item)
		      : r->step == STATS ? take_counters(h, item, net)
					 : take_port(h, item, net);
	}
	r->after = out_get(result, "next");
	if (!bad && r->after && !items->via.array.size)
		bad = odd_answer;
	return bad;
}

/* The network being read has gone. */
static void leave_out(struct snapread *r)
{
	struct snapshot *s = &r->held->s;
	memmove(&s->networks[r->at], &s->networks[r->at + 1],
		(s->n_networks - r->at - 1) * sizeof(*s->networks));
	s->n_networks--;
	r->after = NULL;
	r->step = STATS;
}

/* What comes after what has been read. */
static void advance(struct snapread *r)
{
	if (r->after)
		return; /* the next page */
	switch (r->step) {
	case DAEMON:
		r->step = r->network ? NETWORK : NETWORKS;
		return;
	case NETWORKS:
	case NETWORK:
		r->step = STATS;
		return;
	case STATS:
		r->step = PORTS;
		return;
	case PORTS:
		r->step = STATS;
		r->at++;
		return;
	}
}

static void on_reply(struct feth_conn *conn, const struct feth_reply *reply, void *user)
{
	struct snapread *r = user;
	struct held *h = r->held;
	const char *bad = NULL;
	(void)conn;
	if (reply->status) {
		/* who may not ask for the daemon itself does without; so does a network's socket */
		const bool optional = r->step == DAEMON && *reply->code;
		const bool gone =
			(r->step == STATS || r->step == PORTS) && !r->network &&
			(!strcmp(reply->code, "not_found") || !strcmp(reply->code, "denied"));
		if (!optional && !gone)
			return finish(r, reply->code, reply->message);
		if (gone)
			leave_out(r);
		else
			advance(r);
		return next_call(r);
	}

	char *copy = msgpack_zone_malloc(&h->zone, reply->result_len);
	msgpack_object result;
	size_t used = 0;
	if (!copy)
		return finish(r, "", no_memory);
	memcpy(copy, reply->result, reply->result_len);
	if (msgpack_unpack(copy, reply->result_len, &used, &h->zone, &result) !=
		MSGPACK_UNPACK_SUCCESS)
		return finish(r, "", no_memory);

	if (r->step == DAEMON)
		take_daemon(h, &result);
	else if (r->step == NETWORK)
		bad = take_network(h, &result);
	else
		bad = take_items(r, &result);
	if (bad)
		return finish(r, "", bad);
	if (r->after) { /* it must live until the call is written */
		msgpack_object *kept = msgpack_zone_malloc(&h->zone, sizeof(*kept));
		if (!kept)
			return finish(r, "", no_memory);
		*kept = *r->after;
		r->after = kept;
	}
	advance(r);
	next_call(r);
}

static void put_after(struct rpc_out *params, const msgpack_object *after)
{
	if (after->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
		rpc_put_uint(params, "after", after->via.u64);
	} else if (after->type == MSGPACK_OBJECT_STR) {
		char text[128];
		if (rpc_text(after, text, sizeof(text)))
			rpc_put_text(params, "after", text);
	}
}

static void next_call(struct snapread *r)
{
	static const char *const methods[] = { "daemon.show", "network.list", "network.show",
		"stats.get", "port.list" };
	const struct snapshot *s = &r->held->s;
	struct rpc_out params;
	if (r->step >= STATS && r->at == s->n_networks)
		return finish(r, "", NULL);
	if (r->step == STATS && !r->after)
		r->held->port_room = 0;
	rpc_out_init(&params);
	rpc_out_map(&params);
	if (r->step == NETWORK)
		rpc_put_text(&params, "network", r->network);
	else if (r->step >= STATS)
		rpc_put_text(&params, "network", s->networks[r->at].name);
	if (r->step != DAEMON && r->step != NETWORK)
		rpc_put_uint(&params, "limit", PAGE);
	if (r->after)
		put_after(&params, r->after);
	rpc_out_close(&params);
	const int rc = rpc_out_ok(&params) ? feth_call_start(r->conn, methods[r->step],
						     (const uint8_t *)params.buf.data,
						     params.buf.size, on_reply, r)
					   : -ENOMEM;
	rpc_out_fini(&params);
	if (rc < 0)
		finish(r, "", rc == -ENOMEM ? no_memory : feth_error(r->conn));
}

void snapread_start(struct feth_conn *conn, const char *network, snapread_done *done, void *user)
{
	struct snapread *r = calloc(1, sizeof(*r));
	struct held *h = calloc(1, sizeof(*h));
	if (!r || !h || !msgpack_zone_init(&h->zone, 16384)) {
		free(h);
		free(r);
		return done(user, NULL, "", no_memory);
	}
	h->s.version = "";
	*r = (struct snapread){
		.conn = conn, .network = network, .done = done, .user = user, .held = h
	};
	next_call(r);
}

/* -- waiting -- */

struct waiting {
	bool over;
	struct snapshot *s;
	char *why; /* borrowed, with its size */
	size_t size;
};

static void on_waited(void *user, struct snapshot *s, const char *code, const char *why)
{
	struct waiting *w = user;
	(void)code;
	w->over = true;
	w->s = s;
	if (!s)
		snprintf(w->why, w->size, "%s", why);
}

struct snapshot *snapread_wait(
	struct feth_conn **conn, const char *network, int timeout_ms, char *why, size_t size)
{
	const uint64_t until = clock_now_ms() + (uint64_t)timeout_ms;
	struct waiting w = { .why = why, .size = size };
	snapread_start(*conn, network, on_waited, &w);
	while (!w.over) {
		struct feth_frame frame; /* none can come: this is no port */
		const uint64_t now = clock_now_ms();
		const int rc = now < until ? feth_recv(*conn, &frame, 1, (int)(until - now)) : 0;
		if (w.over || (now < until && (rc >= 0 || rc == -EINTR)))
			continue;
		feth_close(*conn); /* on_waited() is called here: nobody is owed an answer then */
		*conn = NULL;
		if (now >= until)
			snprintf(why, size, "the daemon did not answer within %d ms", timeout_ms);
	}
	return w.s;
}
