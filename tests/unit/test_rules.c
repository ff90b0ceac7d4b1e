/* test_rules.c - server/core/rules.c, police.c and network_rules.c: what the rules of a port let
 * pass. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "server/core/police.h"
#include "tests/support/eth.h"
#include "tests/support/fakenet.h"

/* A network with a host side and four ports a, b, c, d, whose addresses are 1, 2, 3, 4. */
struct fixture {
	struct fakenet fn;
	struct fake_port a, b, c, d;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	return fakenet_open(&f->fn, true, 1500) ||
	       fake_attach(&f->fn, &f->a, "a", 0, false, NULL) ||
	       fake_attach(&f->fn, &f->b, "b", 0, false, NULL) ||
	       fake_attach(&f->fn, &f->c, "c", 0, false, NULL) ||
	       fake_attach(&f->fn, &f->d, "d", 0, false, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct fake_port *ports[] = { &f->a, &f->b, &f->c, &f->d };
	for (unsigned i = 0; i < 4; i++)
		if (ports[i]->attached)
			fake_detach(ports[i]);
	fakenet_close(&f->fn);
	free(f);
	return 0;
}

/* What each has written down since the last time. */
static void logs(struct fixture *f, const char *host, const char *a, const char *b, const char *c,
	const char *d)
{
	assert_string_equal(f->fn.host_log, host);
	assert_string_equal(f->a.log, a);
	assert_string_equal(f->b.log, b);
	assert_string_equal(f->c.log, c);
	assert_string_equal(f->d.log, d);
	f->fn.host_log[0] = f->a.log[0] = f->b.log[0] = f->c.log[0] = f->d.log[0] = '\0';
}

/* Every port says where it is. */
static void hello(struct fixture *f)
{
	fake_send(&f->fn, &f->a, BROADCAST, 1, '1');
	fake_send(&f->fn, &f->b, BROADCAST, 2, '2');
	fake_send(&f->fn, &f->c, BROADCAST, 3, '3');
	fake_send(&f->fn, &f->d, BROADCAST, 4, '4');
	f->fn.host_log[0] = f->a.log[0] = f->b.log[0] = f->c.log[0] = f->d.log[0] = '\0';
}

static int set_as(
	struct fakenet *fn, struct fake_port *p, const struct port_rules *rules, bool control)
{
	const struct port_conf conf = { .rules = *rules, .control = control };
	struct err err = { 0 };
	const int rc = network_set_port(fn->net, p->port.id, &conf, fn->now_ms, &p->info, &err);
	assert_int_equal(rc, err.code);
	return rc;
}

static void set(struct fixture *f, struct fake_port *p, struct port_rules rules)
{
	assert_int_equal(set_as(&f->fn, p, &rules, true), 0);
}

static const struct port_rules isolated = { .given = RULE_ISOLATED, .isolated = true };
static const struct port_rules shared = { .given = RULE_ISOLATED };
static const struct port_rules down = { .given = RULE_UP };
static const struct port_rules up = { .given = RULE_UP, .up = true };

static uint64_t drops(const struct fake_port *p, enum drop_reason reason)
{
	return p->port.stats->drops[reason];
}

static void test_isolated_ports_do_not_reach_each_other(void **state)
{
	struct fixture *f = *state;
	hello(f);
	set(f, &f->a, isolated);
	set(f, &f->b, isolated);
	fake_send(&f->fn, &f->a, BROADCAST, 1, 'x');
	logs(f, "x", "", "", "x|", "x|");
	fake_send(&f->fn, &f->a, 2, 1, 'x');
	logs(f, "", "", "", "", "");
	assert_int_equal(drops(&f->a, DROP_ISOLATED), 1);
	assert_int_equal(drops(&f->b, DROP_ISOLATED), 0);
	fake_send(&f->fn, &f->a, 9, 1, 'x'); /* nobody knows 9 */
	logs(f, "x", "", "", "x|", "x|");
	fake_send(&f->fn, &f->a, HOST_MAC, 1, 'x');
	fake_send(&f->fn, &f->b, 3, 2, 'y');
	fake_send(&f->fn, &f->c, 2, 3, 'z');
	fake_send(&f->fn, NULL, 1, HOST_MAC, 'h');
	fake_send(&f->fn, NULL, BROADCAST, HOST_MAC, 'i');
	logs(f, "x", "h|i|", "z|i|", "y|i|", "i|");
	set(f, &f->b, shared);
	fake_send(&f->fn, &f->a, 2, 1, 'x');
	fake_send(&f->fn, &f->b, 1, 2, 'y');
	logs(f, "", "y|", "x|", "", "");
	assert_int_equal(drops(&f->a, DROP_ISOLATED), 1);
}

static void test_a_link_that_is_down_carries_nothing(void **state)
{
	struct fixture *f = *state;
	hello(f);
	set(f, &f->b, down);
	assert_false(f->b.info.rules.up);
	fake_send(&f->fn, &f->b, BROADCAST, 2, 'x');
	fake_send(&f->fn, &f->b, 1, 2, 'x');
	logs(f, "", "", "", "", "");
	assert_int_equal(drops(&f->b, DROP_LINK_DOWN), 2);
	fake_send(&f->fn, &f->a, 2, 1, 'y'); /* forgotten, so all others get it */
	logs(f, "y", "", "", "y|", "y|");
	fake_send(&f->fn, NULL, BROADCAST, HOST_MAC, 'z');
	logs(f, "", "z|", "", "z|", "z|");
	assert_int_equal(drops(&f->b, DROP_LINK_DOWN), 2);
	set(f, &f->b, up);
	fake_send(&f->fn, &f->a, 2, 1, 'y');
	logs(f, "y", "", "y|", "y|", "y|");
	fake_send(&f->fn, &f->b, 1, 2, 'x');
	fake_send(&f->fn, &f->a, 2, 1, 'y');
	logs(f, "", "x|", "y|", "", "");
}

static void test_a_locked_address_stays_with_a_link_that_is_down(void **state)
{
	struct fixture *f = *state;
	struct fake_port e = { 0 };
	assert_int_equal(fake_attach(&f->fn, &e, "e", 5, true, NULL), 0);
	set(f, &e, down);
	fake_send(&f->fn, &f->a, BROADCAST, 5, 'x');
	assert_int_equal(drops(&f->a, DROP_SPOOFED), 1);
	fake_send(&f->fn, &f->a, 5, 1, 'x');
	logs(f, "", "", "", "", "");
	assert_int_equal(drops(&e, DROP_LINK_DOWN), 1);
	set(f, &e, up);
	fake_send(&f->fn, &f->a, 5, 1, 'x');
	assert_string_equal(e.log, "x|");
	fake_detach(&e);
}

static void test_a_given_address_is_known_again_when_the_link_comes_up(void **state)
{
	struct fixture *f = *state;
	struct fake_port e = { 0 };
	const struct port_conf conf = { .name = "e",
		.kind = PORT_KIND_NATIVE,
		.mac_given = true,
		.mac = mac_n(5),
		.rules = down };
	assert_int_equal(fake_attach_conf(&f->fn, &e, &conf, NULL), 0);
	fake_send(&f->fn, &f->a, 5, 1, 'x');
	logs(f, "x", "", "x|", "x|", "x|");
	set(f, &e, up);
	fake_send(&f->fn, &f->a, 5, 1, 'y');
	logs(f, "", "", "", "", "");
	assert_string_equal(e.log, "y|");
	fake_detach(&e);
}

static void test_the_cap_is_the_smaller_of_both(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[1600];
	hello(f);
	set(f, &f->b, (struct port_rules){ .given = RULE_CAP, .cap = 1000 });
	assert_int_equal(f->b.info.cap, 1000);
	struct frame fits = eth_frame(buf, 2, 1, 0x88b5, 996, 'x');
	fake_batch(&f->fn, &f->a, &fits, 1);
	struct frame tagged = eth_frame(buf, 2, 1, ETH_P_CTAG, 1000, 'y');
	fake_batch(&f->fn, &f->a, &tagged, 1);
	logs(f, "", "", "x|y|", "", "");
	struct frame over = eth_frame(buf, 2, 1, 0x88b5, 997, 'z');
	fake_batch(&f->fn, &f->a, &over, 1);
	logs(f, "", "", "|", "", "");
	assert_int_equal(drops(&f->b, DROP_TOO_BIG_FOR_PORT), 1);
	over = eth_frame(buf, 1, 2, 0x88b5, 997, 'z');
	fake_batch(&f->fn, &f->b, &over, 1);
	logs(f, "", "", "", "", "");
	assert_int_equal(drops(&f->b, DROP_OVERSIZE), 1);

	assert_int_equal(fake_set_mtu(&f->fn, 900), 0); /* the network's is smaller now */
	assert_int_equal(network_rec_named(f->fn.net, "b")->info.cap, 918);
	assert_int_equal(fake_set_mtu(&f->fn, 9000), 0);
	assert_int_equal(network_rec_named(f->fn.net, "b")->info.cap, 1000);
	assert_int_equal(network_rec_named(f->fn.net, "a")->info.cap, 9018);
	f->b.log[0] = '\0';
	over = eth_frame(buf, 2, 1, 0x88b5, 997, 'z');
	fake_batch(&f->fn, &f->a, &over, 1);
	assert_string_equal(f->b.log, "|");
}

static struct frame *full_frames(
	struct frame frames[100], uint8_t bufs[100][1514], unsigned dst, unsigned src)
{
	for (unsigned i = 0; i < 100; i++)
		frames[i] = eth_frame(bufs[i], dst, src, 0x88b5, 1514, 'r');
	return frames;
}

static void test_a_rate_is_a_burst_and_so_much_a_second(void **state)
{
	struct fixture *f = *state;
	static uint8_t bufs[100][1514];
	struct frame frames[100];
	f->fn.now_ms = 1000000;
	hello(f);
	set(f, &f->a, (struct port_rules){ .given = RULE_RX_RATE, .rx_rate = 15140 });
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, 2, 1), 100);
	assert_int_equal(strlen(f->b.log), POLICE_BURST_MIN / 1514 + 1); /* and the flush */
	assert_int_equal(drops(&f->a, DROP_RATE), 100 - POLICE_BURST_MIN / 1514);
	f->b.log[0] = '\0';
	f->fn.now_ms += 1000; /* ten more, and what was left */
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, 2, 1), 100);
	assert_int_equal(strlen(f->b.log), 11);

	f->b.log[0] = '\0';
	set(f, &f->a, (struct port_rules){ .given = RULE_RX_RATE });
	set(f, &f->b, (struct port_rules){ .given = RULE_TX_RATE, .tx_rate = 1 });
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, 2, 1), 100);
	assert_int_equal(strlen(f->b.log), POLICE_BURST_MIN / 1514 + 1);
	assert_int_equal(drops(&f->b, DROP_RATE), 100 - POLICE_BURST_MIN / 1514);
	fake_batch(&f->fn, &f->b, full_frames(frames, bufs, 1, 2), 100); /* the other way: none */
	assert_int_equal(strlen(f->a.log), 101);
	f->fn.now_ms -= 100000; /* a clock that is set back starves nobody for long */
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, 2, 1), 1);
	f->fn.now_ms += 1514000;
	f->b.log[0] = '\0';
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, 2, 1), 2);
	assert_string_equal(f->b.log, "r|");
}

static void test_a_storm_is_of_flooded_frames_alone(void **state)
{
	struct fixture *f = *state;
	static uint8_t bufs[100][1514];
	struct frame frames[100];
	hello(f);
	f->fn.now_ms += 1000;
	set(f, &f->a, (struct port_rules){ .given = RULE_STORM, .storm = 10 });
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, BROADCAST, 1), 7);
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, 9, 1), 7); /* nobody knows 9 */
	logs(f, "rrrrrrrrrr", "", "rrrrrrr|rrr|", "rrrrrrr|rrr|", "rrrrrrr|rrr|");
	assert_int_equal(drops(&f->a, DROP_STORM), 4);
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, BROADCAST, 1), 1);
	logs(f, "", "", "", "", "");
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, 2, 1), 20); /* is for one */
	logs(f, "", "", "rrrrrrrrrrrrrrrrrrrr|", "", "");
	fake_batch(
		&f->fn, &f->c, full_frames(frames, bufs, BROADCAST, 3), 1); /* nor is another's */
	logs(f, "r", "r|", "r|", "", "r|");
	f->fn.now_ms += 200;
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, BROADCAST, 1), 5);
	logs(f, "rr", "", "rr|", "rr|", "rr|");
	assert_int_equal(network_rec_named(f->fn.net, "d")->info.rules.storm, RULES_STORM);
}

/* A group that somebody joined is no flood; one that nobody is known to want is. */
static void test_a_joined_group_is_no_storm(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	uint8_t buf[60];
	const struct mcast_conf snoop = { .policy = MCAST_SNOOP };
	const struct feth_mac group = { { 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 } };
	hello(f);
	assert_int_equal(network_set_multicast(f->fn.net, &snoop), 0);
	set(f, &f->a, (struct port_rules){ .given = RULE_STORM, .storm = 1 });
	assert_int_equal(network_group_join(f->fn.net, f->b.port.id, group, &err), 0);
	struct frame frame = eth_frame(buf, 0, 1, 0x0800, 60, 'g');
	memcpy(buf, group.b, 6);
	for (unsigned i = 0; i < 5; i++)
		fake_batch(&f->fn, &f->a, &frame, 1);
	assert_string_equal(f->b.log, "g|g|g|g|g|");
	assert_int_equal(drops(&f->a, DROP_STORM), 0);
	buf[5] = 4;
	for (unsigned i = 0; i < 5; i++)
		fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(drops(&f->a, DROP_STORM), 4);
	assert_string_equal(f->c.log, "g|");
}

static void test_the_host_side_has_rates_and_a_storm(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = fake_command(&f->fn, CMD_PORT_SET);
	hello(f);
	cmd->in.conf = (struct port_conf){ .name = "host",
		.control = true,
		.rules = { .given = RULE_STORM | RULE_TX_RATE, .storm = 1, .tx_rate = 1 } };
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, 0);
	assert_int_equal(cmd->out.port.id, PORT_HOST);
	assert_string_equal(cmd->out.port.name, "host");
	assert_int_equal(cmd->out.port.rules.storm, 1);
	fake_send(&f->fn, NULL, BROADCAST, HOST_MAC, 'x');
	fake_send(&f->fn, NULL, BROADCAST, HOST_MAC, 'y');
	logs(f, "", "x|", "x|", "x|", "x|");
	assert_int_equal(f->fn.net->host_side.stats.drops[DROP_STORM], 1);
	static uint8_t bufs[100][1514];
	struct frame frames[100];
	fake_batch(&f->fn, &f->a, full_frames(frames, bufs, HOST_MAC, 1), 100);
	assert_int_equal(strlen(f->fn.host_log), POLICE_BURST_MIN / 1514);
	assert_int_equal(
		f->fn.net->host_side.stats.drops[DROP_RATE], 100 - POLICE_BURST_MIN / 1514);

	cmd->in.conf.rules = isolated;
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, -EINVAL);
	assert_non_null(strstr(cmd->err.text, "isolated"));
	command_free(cmd);
}

static void test_a_private_switch_has_no_host_side_to_set(void **state)
{
	(void)state;
	struct fakenet fn;
	struct port_info out;
	const struct port_conf conf = { .control = true };
	assert_int_equal(fakenet_open(&fn, false, 1500), 0);
	assert_int_equal(network_set_port(fn.net, PORT_HOST, &conf, 0, &out, NULL), -ENOENT);
	fakenet_close(&fn);
}

static void test_the_queue_is_the_clients_limit(void **state)
{
	struct fixture *f = *state;
	set(f, &f->a, (struct port_rules){ .given = RULE_QUEUE, .queue = 5000 });
	assert_int_equal(f->a.limit, 5000);
	assert_int_equal(f->b.limit, SENDQ_FRAMES_MAX);
}

static void test_defaults_are_for_ports_that_do_not_say(void **state)
{
	struct fixture *f = *state;
	struct fake_port e = { 0 }, g = { 0 };
	struct port_conf conf = { .kind = PORT_KIND_NATIVE };
	struct err err = { 0 };
	f->fn.net->facts.defaults = (struct port_rules){
		.given = RULE_ISOLATED | RULE_CAP, .isolated = true, .cap = 500
	};
	assert_int_equal(fake_attach_conf(&f->fn, &e, &conf, NULL), 0);
	assert_true(e.info.rules.isolated);
	assert_int_equal(e.info.cap, 500);
	assert_false(network_rec_named(f->fn.net, "a")->info.rules.isolated);

	conf.rules = shared;
	assert_int_equal(fake_attach_conf(&f->fn, &g, &conf, &err), -EACCES);
	assert_non_null(strstr(err.text, "isolated"));
	conf.rules = (struct port_rules){ .given = RULE_CAP, .cap = 400 }; /* is stricter */
	assert_int_equal(fake_attach_conf(&f->fn, &g, &conf, NULL), 0);
	assert_int_equal(g.info.cap, 400);
	assert_int_equal(set_as(&f->fn, &g, &conf.rules, false), 0);
	conf.rules.cap = 500;
	assert_int_equal(set_as(&f->fn, &g, &conf.rules, false), 0); /* its own doing */
	conf.rules.cap = 501;
	assert_int_equal(set_as(&f->fn, &g, &conf.rules, false), -EACCES);
	assert_int_equal(g.info.cap, 500);
	fake_detach(&g);
	conf.rules = shared;
	conf.control = true;
	assert_int_equal(fake_attach_conf(&f->fn, &g, &conf, NULL), 0);
	assert_false(g.info.rules.isolated);
	fake_detach(&g);
	fake_detach(&e);
}

static void test_a_client_loosens_no_declared_port(void **state)
{
	struct fixture *f = *state;
	struct fake_port e = { 0 };
	struct command *cmd = fake_command(&f->fn, CMD_PORT_ADD);
	cmd->in.conf =
		(struct port_conf){ .name = "e", .kind = PORT_KIND_NATIVE, .rules = isolated };
	cmd->in.conf.control = true;
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, 0);
	assert_true(cmd->out.port.rules.isolated);
	command_free(cmd);

	struct port_conf conf = { .name = "e", .kind = PORT_KIND_NATIVE, .rules = shared };
	assert_int_equal(fake_attach_conf(&f->fn, &e, &conf, NULL), -EACCES);
	conf.rules = down;
	assert_int_equal(fake_attach_conf(&f->fn, &e, &conf, NULL), 0);
	assert_false(e.info.rules.up);
	assert_int_equal(set_as(&f->fn, &e, &up, false), 0); /* it was down by its own word */
	assert_int_equal(set_as(&f->fn, &e, &shared, false), -EACCES);
	assert_true(network_rec_named(f->fn.net, "e")->info.rules.isolated);
	assert_int_equal(set_as(&f->fn, &e, &down, false), 0);
	fake_detach(&e);
	assert_true(network_rec_named(f->fn.net, "e")->info.rules.up); /* it went with its client */

	conf.rules = (struct port_rules){ 0 };
	assert_int_equal(fake_attach_conf(&f->fn, &e, &conf, NULL), 0);
	assert_int_equal(set_as(&f->fn, &e, &shared, true), 0);
	assert_int_equal(set_as(&f->fn, &e, &down, true), 0);
	assert_int_equal(set_as(&f->fn, &e, &up, false), -EACCES);
	fake_detach(&e);
	const struct port_rec *rec = network_rec_named(f->fn.net, "e");
	assert_true(!rec->info.rules.isolated && !rec->info.rules.up); /* control's word stays */
}

static void test_a_port_is_set_by_name_and_told_of(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = fake_command(&f->fn, CMD_PORT_SET);
	cmd->in.conf = (struct port_conf){ .name = "B", .rules = isolated, .control = true };
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, 0);
	assert_string_equal(cmd->out.port.name, "b");
	assert_true(cmd->out.port.rules.isolated);
	strcpy(cmd->in.conf.name, "nosuch");
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, -ENOENT);
	command_free(cmd);
	struct port_info out;
	const struct port_conf conf = { .rules = isolated };
	assert_int_equal(network_set_port(f->fn.net, 99, &conf, 0, &out, NULL), -ENOENT);
	assert_int_equal(network_set_port(f->fn.net, UINT16_MAX, &conf, 0, &out, NULL), -ENOENT);
}

static void test_what_is_looser(void **state)
{
	(void)state;
	struct port_rules r = rules_builtin, m = rules_builtin;
	assert_null(rules_loosened(&r, &m));
	m.storm = m.rx_rate = m.tx_rate = m.cap = 7;
	m.queue--;
	m.isolated = true;
	m.up = false;
	assert_null(rules_loosened(&r, &m));
	assert_false(rules_same(&r, &m));
	rules_take(&r, &m);
	assert_true(rules_same(&r, &m));
#define LOOSER(bit, name, change)                                                                  \
	do {                                                                                       \
		struct port_rules l = m;                                                           \
		l.change;                                                                          \
		assert_string_equal(rules_loosened(&r, &l), name);                                 \
		l.given &= ~(uint32_t)(bit);                                                       \
		assert_null(rules_loosened(&r, &l));                                               \
	} while (0)
	LOOSER(RULE_ISOLATED, "isolated", isolated = false);
	LOOSER(RULE_UP, "up", up = true);
	LOOSER(RULE_LOOP_GUARD, "loop_guard", loop_guard = false);
	m.raw_offload = true; /* loosens nothing: it costs, and harms nobody */
	assert_null(rules_loosened(&r, &m));
	m.raw_offload = r.raw_offload;
	LOOSER(RULE_CAP, "cap", cap = 8);
	LOOSER(RULE_CAP, "cap", cap = 0);
	LOOSER(RULE_QUEUE, "queue", queue++);
	LOOSER(RULE_RX_RATE, "rx_rate", rx_rate = 8);
	LOOSER(RULE_RX_RATE, "rx_rate", rx_rate = 0);
	LOOSER(RULE_TX_RATE, "tx_rate", tx_rate = 8);
	LOOSER(RULE_STORM, "storm", storm = 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_isolated_ports_do_not_reach_each_other),
		T(test_a_link_that_is_down_carries_nothing),
		T(test_a_locked_address_stays_with_a_link_that_is_down),
		T(test_a_given_address_is_known_again_when_the_link_comes_up),
		T(test_the_cap_is_the_smaller_of_both),
		T(test_a_rate_is_a_burst_and_so_much_a_second),
		T(test_a_storm_is_of_flooded_frames_alone),
		T(test_a_joined_group_is_no_storm),
		T(test_the_host_side_has_rates_and_a_storm),
		cmocka_unit_test(test_a_private_switch_has_no_host_side_to_set),
		T(test_the_queue_is_the_clients_limit),
		T(test_defaults_are_for_ports_that_do_not_say),
		T(test_a_client_loosens_no_declared_port),
		T(test_a_port_is_set_by_name_and_told_of),
		cmocka_unit_test(test_what_is_looser),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
