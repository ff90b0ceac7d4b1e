/* test_hub.c - server/io/hub.c: who is told of what; what a host joined and left adds up, however
 * much of it was never sent. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/wire.h"
#include "server/io/hub.h"
#include "tests/support/rng.h"

/* A subscriber with a queue of one place for each topic of host.groups. */
struct listener {
	struct subscriber sub;
	unsigned n[EVENT_N];
	unsigned lost;
	bool blocked; /* nothing is written */
	uint64_t waits;
	char *data; /* what waits, or came last */
	size_t len;
	bool known[256]; /* what it has heard of the host: by the last byte */
};

static const msgpack_object_array *list(const msgpack_object_map *params, const char *key)
{
	const msgpack_object_array *a;
	assert_int_equal(rpc_get_array(params, key, &a), RPC_FIELD_OK);
	return a;
}

static unsigned last_byte(const msgpack_object *o)
{
	struct feth_mac mac;
	char text[MAC_TEXT];
	assert_true(rpc_text(o, text, sizeof(text)));
	assert_true(mac_parse(&mac, text));
	return mac.b[5];
}

/* Reads what has come, as a client that follows the changes and checks them. */
static void read_host_groups(struct listener *l)
{
	struct rpc_msg msg;
	assert_int_equal(rpc_decode(&msg, (const uint8_t *)l->data, l->len), RPC_OK);
	assert_true(rpc_str_is(msg.method, "host.groups"));
	const msgpack_object_array *left = list(msg.params, "left");
	const msgpack_object_array *joined = list(msg.params, "joined");
	const msgpack_object_array *groups = list(msg.params, "groups");
	for (uint32_t i = 0; i < left->size; i++) {
		assert_true(l->known[last_byte(&left->ptr[i])]);
		l->known[last_byte(&left->ptr[i])] = false;
	}
	for (uint32_t i = 0; i < joined->size; i++) {
		assert_false(l->known[last_byte(&joined->ptr[i])]);
		l->known[last_byte(&joined->ptr[i])] = true;
	}
	unsigned n = 0;
	for (unsigned i = 0; i < 256; i++)
		n += l->known[i];
	assert_int_equal(groups->size, n);
	for (uint32_t i = 0; i < groups->size; i++)
		assert_true(l->known[last_byte(&groups->ptr[i])]);
	rpc_msg_fini(&msg);
}

static void unblock(struct listener *l)
{
	l->blocked = false;
	if (l->waits)
		read_host_groups(l);
	l->waits = 0;
}

static void on_tell(
	struct subscriber *sub, enum event_kind kind, const void *data, size_t len, uint64_t topic)
{
	struct listener *l = (struct listener *)sub;
	l->n[kind]++;
	free(l->data);
	l->data = malloc(len);
	assert_non_null(l->data);
	memcpy(l->data, data, len);
	l->len = len;
	if (kind != EVENT_HOST_GROUPS)
		return;
	assert_true(topic);
	assert_true(!l->waits || l->waits == topic);
	if (l->blocked)
		l->waits = topic;
	else
		read_host_groups(l);
}

static bool on_waits(const struct subscriber *sub, uint64_t topic)
{
	return ((const struct listener *)sub)->waits == topic;
}

static void on_lost(struct subscriber *sub)
{
	((struct listener *)sub)->lost++;
}

static const struct subscriber_ops ops = { .tell = on_tell, .waits = on_waits, .lost = on_lost };

static struct {
	struct hub hub;
	struct listener a, b;
	unsigned settled, changed;
	struct groups host;
} t;

static void on_settle(void *ctx)
{
	(void)ctx;
	t.settled++;
}

static void on_greet(void *ctx, struct subscriber *sub)
{
	(void)ctx;
	hub_greet(sub, "lab", 1, &t.host);
}

static void on_changed(void *ctx)
{
	(void)ctx;
	t.changed++;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.hub.settle = on_settle;
	t.hub.greet = on_greet;
	t.hub.changed = on_changed;
	t.a.sub.ops = t.b.sub.ops = &ops;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hub_leave(&t.hub, &t.a.sub);
	hub_leave(&t.hub, &t.b.sub);
	free(t.a.data);
	free(t.b.data);
	return 0;
}

static void tell(enum event_kind kind, const char *network)
{
	hub_tell(&t.hub, kind, network, 0, "\x93", 1);
}

static void test_each_hears_what_it_wants(void **state)
{
	(void)state;
	hub_subscribe(&t.hub, &t.a.sub, EVENT_BIT(EVENT_PORT_ATTACHED), "");
	hub_subscribe(&t.hub, &t.b.sub, EVENT_BIT(EVENT_PORT_ATTACHED) | EVENT_BIT(EVENT_FDB_MOVED),
		"lab");
	assert_int_equal(t.settled, 2);
	assert_int_equal(t.hub.wanted, EVENT_BIT(EVENT_PORT_ATTACHED) | EVENT_BIT(EVENT_FDB_MOVED));
	tell(EVENT_PORT_ATTACHED, "lab");
	tell(EVENT_PORT_ATTACHED, "other");
	tell(EVENT_FDB_MOVED, "lab");
	tell(EVENT_FDB_MOVED, "other");
	tell(EVENT_GROUP_CHANGED, "lab");
	assert_int_equal(t.a.n[EVENT_PORT_ATTACHED], 2);
	assert_int_equal(t.a.n[EVENT_FDB_MOVED], 0);
	assert_int_equal(t.b.n[EVENT_PORT_ATTACHED], 1);
	assert_int_equal(t.b.n[EVENT_FDB_MOVED], 1);
	assert_int_equal(t.a.n[EVENT_GROUP_CHANGED] + t.b.n[EVENT_GROUP_CHANGED], 0);
}

static void test_what_is_wanted_is_said_when_it_changes(void **state)
{
	(void)state;
	hub_subscribe(&t.hub, &t.a.sub, 6, "");
	assert_int_equal(t.changed, 1);
	hub_subscribe(&t.hub, &t.b.sub, 2, ""); /* of which all is wanted already */
	assert_int_equal(t.changed, 1);
	hub_subscribe(&t.hub, &t.a.sub, 2, "");
	assert_int_equal(t.changed, 2);
	assert_int_equal(t.hub.wanted, 2);
	hub_subscribe(&t.hub, &t.b.sub, 0, "");
	assert_null(t.b.sub.link);
	hub_leave(&t.hub, &t.b.sub); /* twice is fine */
	assert_int_equal(t.changed, 2);
	hub_leave(&t.hub, &t.a.sub);
	assert_int_equal(t.changed, 3);
	assert_int_equal(t.hub.wanted, 0);
	assert_null(t.hub.first);
}

static void random_groups(struct rng *rng, struct groups *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t n = rng_below(rng, 20); n; n--)
		groups_put(out,
			(struct feth_mac){ { 0x33, 0x33, 0, 0, 0, (uint8_t)rng_below(rng, 30) } });
}

static void test_joined_and_left_add_up_however_slow_the_reader(void **state)
{
	(void)state;
	struct rng rng = rng_start("host groups");
	random_groups(&rng, &t.host);
	hub_subscribe(&t.hub, &t.a.sub, EVENT_BIT(EVENT_HOST_GROUPS), "");
	t.b.blocked = true; /* from the first word on */
	hub_subscribe(&t.hub, &t.b.sub, EVENT_BIT(EVENT_HOST_GROUPS), "lab");
	for (unsigned round = 0; round < 2000; round++) {
		struct listener *l = rng_one_in(&rng, 2) ? &t.a : &t.b;
		if (rng_one_in(&rng, 4))
			l->blocked = true;
		else if (rng_one_in(&rng, 3))
			unblock(l);
		struct groups now;
		random_groups(&rng, &now);
		hub_tell_host_groups(&t.hub, "lab", 1, &t.host, &now);
		t.host = now;
	}
	unblock(&t.a);
	unblock(&t.b);
	for (unsigned i = 0; i < 256; i++) {
		const bool there = groups_has(
			&t.host, (struct feth_mac){ { 0x33, 0x33, 0, 0, 0, (uint8_t)i } });
		assert_int_equal(t.a.known[i], there);
		assert_int_equal(t.b.known[i], there);
	}
	assert_int_equal(t.a.n[EVENT_HOST_GROUPS], 2001);
}

static void test_a_network_that_goes_is_forgotten(void **state)
{
	(void)state;
	struct groups none = { 0 }, one = { 0 };
	groups_put(&one, (struct feth_mac){ { 0x33, 0x33, 0, 0, 0, 9 } });
	hub_subscribe(&t.hub, &t.a.sub,
		EVENT_BIT(EVENT_HOST_GROUPS) | EVENT_BIT(EVENT_NETWORK_REMOVED), "");
	t.a.blocked = true;
	hub_tell_host_groups(&t.hub, "lab", 1, &none, &one);
	hub_tell_host_groups(&t.hub, "lab", 1, &one, &none);
	assert_non_null(t.a.sub.heard);
	hub_tell_removed(&t.hub, "lab", 1);
	assert_null(t.a.sub.heard);
	assert_int_equal(t.a.n[EVENT_NETWORK_REMOVED], 1);
	/* the next network with its number begins anew */
	t.a.waits = 0;
	t.a.blocked = false;
	hub_tell_host_groups(&t.hub, "next", 1, &none, &one);
	assert_true(t.a.known[9]);
}

static void test_who_listens_hears_that_something_was_lost(void **state)
{
	(void)state;
	hub_subscribe(&t.hub, &t.a.sub, EVENT_BIT(EVENT_PORT_ATTACHED), "");
	hub_subscribe(&t.hub, &t.b.sub, EVENT_BIT(EVENT_PORT_ATTACHED), "lab");
	hub_lost(&t.hub, EVENT_BIT(EVENT_PORT_ATTACHED), "other");
	assert_int_equal(t.a.lost, 1);
	assert_int_equal(t.b.lost, 0);
	hub_lost(&t.hub, EVENT_BIT(EVENT_GROUP_CHANGED), "lab"); /* of which neither hears */
	hub_lost(&t.hub, EVENT_BIT(EVENT_PORT_ATTACHED) | EVENT_BIT(EVENT_GROUP_CHANGED), "lab");
	assert_int_equal(t.a.lost, 2);
	assert_int_equal(t.b.lost, 1);
}

static void test_names_and_patterns(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t mask;
	} rows[] = {
		{ "*", EVENT_BIT(EVENT_N) - 1 },
		{ "port.*", EVENT_BIT(EVENT_PORT_ATTACHED) | EVENT_BIT(EVENT_PORT_CHANGED) |
				    EVENT_BIT(EVENT_PORT_DETACHED) },
		{ "network.removed", EVENT_BIT(EVENT_NETWORK_REMOVED) },
		{ "host.groups", EVENT_BIT(EVENT_HOST_GROUPS) },
		{ "", 0 },
		{ "port", 0 },
		{ "port.", 0 },
		{ ".*", 0 },
		{ "p*", 0 },
		{ "port.a*", 0 },
		{ "**", 0 },
		{ "*.*", 0 },
		{ "port.attached.*", 0 },
		{ "port.attached*", 0 },
		{ "PORT.*", 0 },
		{ "network.removedx", 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t mask = 0;
		assert_int_equal(event_match(rows[i].text, &mask), rows[i].mask != 0);
		assert_int_equal(mask, rows[i].mask);
	}
	for (unsigned k = 0; k < EVENT_N; k++) {
		uint32_t mask = EVENT_BIT(31); /* is added to */
		assert_true(event_match(event_name((enum event_kind)k), &mask));
		assert_int_equal(mask, EVENT_BIT(31) | EVENT_BIT(k));
	}
}

static void test_topics_are_of_one_object_each(void **state)
{
	(void)state;
	const uint64_t far = UINT64_C(0xffffffffffff); /* no address is all ones and learned */
	assert_int_equal(event_topic(0, EVENT_GROUP_CHANGED, 1), 0);
	assert_int_equal(event_topic(EVENT_SLOTS, EVENT_GROUP_CHANGED, 1), 0);
	assert_int_equal(event_topic(1, EVENT_NETWORK_REMOVED, 0), 0); /* each is told */
	for (unsigned k = 0; k < EVENT_N; k++)
		for (unsigned other = 0; other < k; other++)
			if (event_topic(1, (enum event_kind)k, 0))
				assert_int_not_equal(event_topic(1, (enum event_kind)k, 0),
					event_topic(1, (enum event_kind)other, 0));
	assert_int_not_equal(
		event_topic(1, EVENT_FDB_MOVED, far), event_topic(2, EVENT_FDB_MOVED, far));
	assert_int_not_equal(
		event_topic(1, EVENT_FDB_MOVED, far), event_topic(1, EVENT_FDB_MOVED, far - 1));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_hears_what_it_wants),
		T(test_what_is_wanted_is_said_when_it_changes),
		T(test_joined_and_left_add_up_however_slow_the_reader),
		T(test_a_network_that_goes_is_forgotten),
		T(test_who_listens_hears_that_something_was_lost),
		T(test_names_and_patterns),
		T(test_topics_are_of_one_object_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
