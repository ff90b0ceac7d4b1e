/* test_network.c - server/core/network*.c with ports and a host side that write down what happens.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/core/network_priv.h"
#include "tests/support/eth.h"
#include "tests/support/fakenet.h"

/* A network with a host side and three ports a, b, c, whose addresses are 1, 2, 3 but not given. */
struct fixture {
	struct fakenet fn;
	struct fake_port a, b, c;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	return fakenet_open(&f->fn, true, 1500) ||
	       fake_attach(&f->fn, &f->a, "a", 0, false, NULL) ||
	       fake_attach(&f->fn, &f->b, "b", 0, false, NULL) ||
	       fake_attach(&f->fn, &f->c, "c", 0, false, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct fake_port *ports[] = { &f->a, &f->b, &f->c };
	for (unsigned i = 0; i < 3; i++)
		if (ports[i]->attached)
			fake_detach(ports[i]);
	const size_t kept = network_pool(f->fn.net)->used;
	fakenet_close(&f->fn);
	free(f);
	return kept ? -1 : 0;
}

/* What each has written down since the last time: host, a, b, c. */
static void logs(struct fixture *f, const char *host, const char *a, const char *b, const char *c)
{
	assert_string_equal(f->fn.host_log, host);
	assert_string_equal(f->a.log, a);
	assert_string_equal(f->b.log, b);
	assert_string_equal(f->c.log, c);
	f->fn.host_log[0] = f->a.log[0] = f->b.log[0] = f->c.log[0] = '\0';
}

/* Every port says where it is. */
static void hello(struct fixture *f)
{
	fake_send(&f->fn, &f->a, BROADCAST, 1, '1');
	fake_send(&f->fn, &f->b, BROADCAST, 2, '2');
	fake_send(&f->fn, &f->c, BROADCAST, 3, '3');
	logs(f, "123", "2|3|", "1|3|", "1|2|");
}

static struct port_stats stats_of(struct fixture *f, const char *name)
{
	struct command *cmd = fake_command(&f->fn, CMD_STATS_GET);
	struct port_stats stats = { 0 };
	fake_run(&f->fn, cmd);
	for (unsigned i = 0; i < cmd->n_items; i++)
		if (!strcmp(cmd->items.counters[i].name, name))
			stats = cmd->items.counters[i].stats;
	if (!strcmp(name, "*"))
		stats = cmd->out.sum.stats;
	command_free(cmd);
	return stats;
}

static int declare(struct fakenet *fn, const char *name, unsigned mac, bool locked)
{
	struct command *cmd = fake_command(fn, CMD_PORT_ADD);
	cmd->in.conf = (struct port_conf){ .kind = PORT_KIND_NATIVE,
		.mac_given = mac != 0,
		.mac = mac_n(mac),
		.has_locked = locked,
		.locked = locked };
	strcpy(cmd->in.conf.name, name);
	fake_run(fn, cmd);
	const int rc = cmd->err.code;
	command_free(cmd);
	return rc;
}

static int remove_port(struct fakenet *fn, const char *name)
{
	struct command *cmd = fake_command(fn, CMD_PORT_REMOVE);
	strcpy(cmd->in.conf.name, name);
	fake_run(fn, cmd);
	const int rc = cmd->err.code;
	command_free(cmd);
	return rc;
}

/* -- where frames go -- */

static void test_broadcast_goes_to_all_others_and_not_back(void **state)
{
	struct fixture *f = *state;
	fake_send(&f->fn, &f->a, BROADCAST, 1, 'x');
	logs(f, "x", "", "x|", "x|");
	fake_send(&f->fn, NULL, BROADCAST, HOST_MAC, 'y');
	logs(f, "", "y|", "y|", "y|");
	assert_int_equal(f->b.n_flooded, 2);
}

static void test_unicast_goes_where_the_address_is(void **state)
{
	struct fixture *f = *state;
	hello(f);
	fake_send(&f->fn, &f->a, 2, 1, 'x');
	logs(f, "", "", "x|", "");
	fake_send(&f->fn, &f->a, HOST_MAC, 1, 'x');
	logs(f, "x", "", "", "");
	fake_send(&f->fn, NULL, 3, HOST_MAC, 'x');
	logs(f, "", "", "", "x|");
	fake_send(&f->fn, &f->a, 9, 1, 'x'); /* nobody knows 9 */
	logs(f, "x", "", "x|", "x|");
	assert_int_equal(f->b.n_flooded, 3);
}

/* Whether a frame from a is still looked at after network_input(). */
static bool held(struct fixture *f, unsigned dst)
{
	uint8_t buf[60];
	struct frame frame = eth_frame(buf, dst, 1, 0x88b5, sizeof(buf), 'x');
	struct network *net = f->fn.net;
	network_input(net, f->a.port.id, &frame, 1, f->fn.now_ms);
	const bool holds = network_holds(net);
	network_flush(net);
	assert_false(network_holds(net));
	return holds;
}

static void test_who_copies_at_once_holds_no_frame(void **state)
{
	struct fixture *f = *state;
	hello(f);
	f->b.port.copies = true;
	assert_false(network_holds(f->fn.net));
	assert_false(held(f, 1)); /* back to itself: dropped */
	assert_false(held(f, 2));
	assert_true(held(f, 3));
	assert_true(held(f, HOST_MAC));
	assert_true(held(f, BROADCAST));
	f->c.port.copies = true;
	assert_false(held(f, 3));
	assert_true(held(f, BROADCAST)); /* the host gets it, too */
}

static void test_a_private_switch_has_no_host(void **state)
{
	(void)state;
	struct fakenet fn;
	struct fake_port a = { 0 }, b = { 0 };
	assert_int_equal(fakenet_open(&fn, false, 1500), 0);
	fake_attach(&fn, &a, "", 0, false, NULL);
	fake_attach(&fn, &b, "", 0, false, NULL);
	fake_send(&fn, &a, BROADCAST, 0, 'x'); /* 02:00:00:00:00:00 */
	fake_send(&fn, &b, 9, HOST_MAC, 'y');  /* an address like any other */
	assert_string_equal(fn.host_log, "");
	assert_string_equal(a.log, "y|");
	assert_string_equal(b.log, "x|");
	assert_int_equal(
		fn.net->host_side.stats.drops[DROP_HOST_REFUSED], 0); /* nothing to refuse */
	fake_detach(&a);
	fake_detach(&b);
	fakenet_close(&fn);
}

static void test_a_port_that_left_gets_nothing_and_is_forgotten(void **state)
{
	struct fixture *f = *state;
	hello(f);
	fake_detach(&f->b);
	fake_send(&f->fn, &f->a, 2, 1, 'x'); /* nobody knows 2 any more */
	logs(f, "x", "", "", "x|");
}

static void test_order_is_kept_for_each_destination(void **state)
{
	struct fixture *f = *state;
	hello(f);
	static const unsigned dst[] = { 2, 2, 3, BROADCAST, 2, HOST_MAC, 9, 1, 3 };
	uint8_t buf[9][60];
	struct frame frames[9];
	for (unsigned i = 0; i < 9; i++)
		frames[i] = eth_frame(buf[i], dst[i], 1, 0x88b5, 60, (char)('0' + i));
	fake_batch(&f->fn, &f->a, frames, 9); /* one flush each, at the end */
	logs(f, "356", "", "01346|", "2368|");
	assert_int_equal(stats_of(f, "a").drops[DROP_LOCAL], 1); /* the one for 1 */
	fake_batch(&f->fn, &f->a, frames, 0);
	logs(f, "", "", "", "");
}

static void test_addresses_age_with_the_tick(void **state)
{
	struct fixture *f = *state;
	hello(f);
	f->fn.now_ms = FDB_AGE_MS + 1;
	network_tick(f->fn.net, f->fn.now_ms);
	assert_int_equal(f->fn.net->sw.fdb.n, 1); /* the host's */
	fake_send(&f->fn, &f->a, 2, 1, 'x');
	logs(f, "x", "", "x|", "x|");
}

static void test_the_hosts_address_is_the_hosts(void **state)
{
	struct fixture *f = *state;
	fake_send(&f->fn, &f->a, BROADCAST, HOST_MAC, 'x');
	logs(f, "", "", "", "");
	assert_int_equal(stats_of(f, "a").drops[DROP_SPOOFED], 1);
}

static void test_an_address_given_is_known_before_its_port_sends(void **state)
{
	struct fixture *f = *state;
	fake_detach(&f->c);
	assert_int_equal(fake_attach(&f->fn, &f->c, "c", 3, false, NULL), 0);
	fake_send(&f->fn, &f->a, 3, 1, 'x');
	logs(f, "", "", "", "x|");
	fake_send(&f->fn, &f->c, BROADCAST, 7, 'y'); /* it is not locked to it */
	logs(f, "y", "y|", "y|", "");
}

static void test_a_locked_port_uses_its_address_only(void **state)
{
	struct fixture *f = *state;
	fake_detach(&f->c);
	assert_int_equal(fake_attach(&f->fn, &f->c, "c", 3, true, NULL), 0);
	fake_send(&f->fn, &f->c, BROADCAST, 3, 'x');
	fake_send(&f->fn, &f->c, BROADCAST, 7, 'y');
	fake_send(&f->fn, &f->a, BROADCAST, 3, 'z');
	logs(f, "x", "x|", "x|", "");
	assert_int_equal(stats_of(f, "c").drops[DROP_SPOOFED], 1);
	assert_int_equal(stats_of(f, "a").drops[DROP_SPOOFED], 1);
	fake_detach(&f->c);
	fake_send(&f->fn, &f->a, BROADCAST, 3, 'w'); /* the lock went with it */
	logs(f, "w", "", "w|", "");
}

static void test_a_port_with_a_smaller_mtu_gets_what_fits(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint16_t type;
		uint32_t len;
	} rows[] = { { 0x0800, 1014 }, { 0x0800, 1015 }, { 0x8100, 1018 }, { 0x88a8, 1018 },
		{ 0x0800, 1018 }, { 0x8100, 1019 }, { 0x0800, 60 } };
	uint8_t buf[7][1019];
	struct frame frames[7];
	f->fn.net->sw.ports[f->b.port.id].mtu = 1000;
	for (unsigned i = 0; i < 7; i++)
		frames[i] =
			eth_frame(buf[i], BROADCAST, 1, rows[i].type, rows[i].len, (char)('0' + i));
	fake_batch(&f->fn, &f->a, frames, 7);
	logs(f, "0123456", "", "0236|", "0123456|");
	assert_int_equal(stats_of(f, "b").drops[DROP_TOO_BIG_FOR_PORT], 3);
}

static void test_what_a_client_can_take_lowers_the_cap_whatever_the_mtu(void **state)
{
	struct fixture *f = *state;
	struct fake_port p = { .port.frame_max = 1218 };
	const struct port_info *info = &p.info;
	uint8_t buf[2][1215];
	struct frame frames[2] = { eth_frame(buf[0], BROADCAST, 1, 0x0800, 1214, 'a'),
		eth_frame(buf[1], BROADCAST, 1, 0x0800, 1215, 'b') };
	assert_int_equal(fake_attach(&f->fn, &p, "vde", 0, false, NULL), 0);
	assert_int_equal(info->cap, 1218);
	assert_int_equal(info->mtu, 1500);
	fake_batch(&f->fn, &f->a, frames, 2);
	assert_string_equal(p.log, "a|");
	assert_int_equal(stats_of(f, "vde").drops[DROP_TOO_BIG_FOR_PORT], 1);

	assert_int_equal(fake_set_mtu(&f->fn, 9000), 0);
	info = &network_rec_named(f->fn.net, "vde")->info;
	assert_int_equal(info->cap, 1218);
	assert_int_equal(fake_set_mtu(&f->fn, 1000), 0);
	assert_int_equal(info->cap, 1018);
	fake_detach(&p);
}

/* -- counters -- */

static void test_frames_are_counted_where_they_come_from(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[2000];
	struct frame frames[4] = { eth_frame(buf, BROADCAST, 1, 0x0800, 1514, 'a') };
	frames[1] = frames[2] = frames[3] = frames[0];
	frames[1].len = 13;
	frames[2].len = 1515;
	fake_batch(&f->fn, &f->a, frames, 4);
	const struct port_stats a = stats_of(f, "a");
	assert_int_equal(a.rx_frames, 4);
	assert_int_equal(a.rx_bytes, 1514 + 13 + 1515 + 1514);
	assert_int_equal(a.drops[DROP_RUNT], 1);
	assert_int_equal(a.drops[DROP_OVERSIZE], 1);
	assert_int_equal(stats_of(f, "host").tx_frames, 2);
	assert_int_equal(stats_of(f, "host").tx_bytes, 2 * 1514);
}

static void test_what_the_kernel_refuses_is_counted_at_the_host(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[3][100];
	struct frame frames[3];
	for (unsigned i = 0; i < 3; i++)
		frames[i] = eth_frame(buf[i], HOST_MAC, 1, 0x88b5, 100, 'x');
	f->fn.host_takes = 1;
	fake_batch(&f->fn, &f->a, frames, 3);
	struct port_stats host = stats_of(f, "host");
	assert_int_equal(host.tx_frames, 1);
	assert_int_equal(host.tx_bytes, 100);
	assert_int_equal(host.drops[DROP_HOST_REFUSED], 2);

	network_set_host(f->fn.net, NULL, NULL); /* it is being made again */
	fake_batch(&f->fn, &f->a, frames, 3);
	host = stats_of(f, "host");
	assert_int_equal(host.tx_frames, 1);
	assert_int_equal(host.drops[DROP_HOST_REFUSED], 5);
}

static void test_sums_keep_what_ports_that_left_had(void **state)
{
	struct fixture *f = *state;
	hello(f);
	const struct port_stats before = stats_of(f, "*");
	assert_int_equal(before.rx_frames, 3);
	assert_int_equal(before.tx_frames, 3 * 3);
	fake_detach(&f->a);
	network_remove_port(f->fn.net, "b", NULL);
	fake_detach(&f->b);
	const struct port_stats after = stats_of(f, "*");
	assert_memory_equal(&before, &after, sizeof(before));
}

static void test_edges_count_what_they_drop_themselves(void **state)
{
	struct fixture *f = *state;
	network_count(f->fn.net, f->a.port.id, DROP_BAD_OFFLOAD, 3, 300);
	network_count(f->fn.net, PORT_NONE, DROP_DETACHED, 4, 400);
	assert_int_equal(stats_of(f, "a").rx_frames, 3);
	assert_int_equal(stats_of(f, "a").drops[DROP_BAD_OFFLOAD], 3);
	assert_int_equal(stats_of(f, "*").rx_frames, 7);
	assert_int_equal(stats_of(f, "*").rx_bytes, 700);
	assert_int_equal(stats_of(f, "*").drops[DROP_DETACHED], 4);
}

static void test_slow_ports_share_one_copy_of_a_flooded_frame(void **state)
{
	struct fixture *f = *state;
	struct block_pool *pool = network_pool(f->fn.net);
	f->b.slow = f->c.slow = true;
	uint8_t buf[600];
	struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, sizeof(buf), 'x');
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(pool->used, 600);
	assert_int_equal(f->b.q.frames.first->block->refs, 2);
	assert_ptr_equal(f->b.q.frames.first->block, f->c.q.frames.first->block);
	fake_detach(&f->b);
	assert_int_equal(pool->used, 600);
	fake_detach(&f->c);
	assert_int_equal(pool->used, 0);
}

static void test_what_goes_to_many_is_counted_until_the_flush(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[60];
	struct frame frame = eth_frame(buf, BROADCAST, 1, 0x88b5, sizeof(buf), 'x');
	assert_int_equal(network_work(f->fn.net), 0);
	network_input(f->fn.net, f->a.port.id, &frame, 1, 1);
	network_input(f->fn.net, f->a.port.id, &frame, 1, 1);
	assert_int_equal(network_work(f->fn.net), 2 * 3); /* as many as there are ports */
	network_flush(f->fn.net);
	assert_int_equal(network_work(f->fn.net), 0);

	frame = eth_frame(buf, 1, 2, 0x88b5, sizeof(buf), 'y'); /* to one: it is not */
	network_input(f->fn.net, f->b.port.id, &frame, 1, 1);
	assert_int_equal(network_work(f->fn.net), 0);
	network_flush(f->fn.net);
}

/* -- ports come and go -- */

static void test_attaching_tells_all_there_is_to_know(void **state)
{
	struct fixture *f = *state;
	const struct port_info *a = &f->a.info;
	assert_int_equal(a->id, 1);
	assert_string_equal(a->name, "a");
	assert_int_equal(a->kind, PORT_KIND_NATIVE);
	assert_true(a->attached);
	assert_false(a->declared);
	assert_int_equal(a->mtu, 1500);
	assert_int_equal(a->uid, 1000);
	assert_int_equal(a->pid, 7);
	const struct netid_key key = netid_key("test");
	assert_true(mac_equal(a->mac, netid_mac(&key, "lab", "a")));
	assert_int_equal(f->fn.ports_events, 3);
	assert_int_equal(f->fn.ports_now, 3);
	assert_int_equal(network_facts(f->fn.net)->ports, 3);
	fake_detach(&f->b);
	assert_int_equal(f->fn.ports_now, 2);
	assert_int_equal(network_facts(f->fn.net)->ports, 2);
}

static void test_ports_without_a_name_are_numbered(void **state)
{
	struct fixture *f = *state;
	struct fake_port p[3] = { 0 };
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fake_attach(&f->fn, &p[i], "", 0, false, NULL), 0);
	assert_string_equal(p[0].info.name, "native-1");
	assert_string_equal(p[2].info.name, "native-3");
	assert_int_equal(p[2].info.id, 6);
	fake_detach(&p[1]);
	assert_int_equal(fake_attach(&f->fn, &p[1], "", 0, false, NULL), 0);
	assert_string_equal(p[1].info.name, "native-2"); /* name and number are free again */
	assert_int_equal(p[1].info.id, 5);
	for (unsigned i = 0; i < 3; i++)
		fake_detach(&p[i]);
}

static void test_a_name_in_use_is_busy_in_any_case(void **state)
{
	struct fixture *f = *state;
	struct fake_port p = { 0 };
	struct err err;
	assert_int_equal(fake_attach(&f->fn, &p, "A", 0, false, &err), -EBUSY);
	assert_string_equal(err.text, "lab: port a has a client; choose another name");
	assert_int_equal(f->fn.ports_now, 3);
}

static void test_addresses_that_are_taken_or_no_addresses_are_refused(void **state)
{
	struct fixture *f = *state;
	struct fake_port p = { 0 }, q = { 0 };
	struct err err;
	assert_int_equal(fake_attach(&f->fn, &p, "p", 5, false, &err), 0);
	assert_int_equal(fake_attach(&f->fn, &q, "q", 5, false, &err), -EEXIST);
	assert_string_equal(
		err.text, "lab: the MAC address 02:00:00:00:00:05 belongs to p; give another");
	assert_int_equal(fake_attach(&f->fn, &q, "q", HOST_MAC, false, &err), -EEXIST);
	assert_string_equal(err.text,
		"lab: the MAC address 02:00:00:00:00:ee belongs to the host side; give another");
	assert_int_equal(fake_attach(&f->fn, &q, "q", BROADCAST, false, &err), -EINVAL);

	struct port_conf zero = { .name = "q", .kind = PORT_KIND_NATIVE, .mac_given = true };
	assert_int_equal(fake_attach_conf(&f->fn, &q, &zero, &err), -EINVAL);
	fake_detach(&p);
	assert_int_equal(fake_attach(&f->fn, &q, "q", 5, true, &err), 0); /* free again */
	fake_detach(&q);
}

static void test_a_lock_to_a_derived_address_that_is_given_to_another_is_refused(void **state)
{
	struct fixture *f = *state;
	struct fake_port thief = { 0 }, p = { 0 };
	const struct netid_key key = netid_key("test");
	struct port_conf conf = { .name = "thief",
		.kind = PORT_KIND_NATIVE,
		.mac_given = true,
		.mac = netid_mac(&key, "lab", "p") };
	assert_int_equal(fake_attach_conf(&f->fn, &thief, &conf, NULL), 0);
	assert_int_equal(fake_attach(&f->fn, &p, "p", 0, true, NULL), -EEXIST);
	assert_int_equal(
		fake_attach(&f->fn, &p, "p", 0, false, NULL), 0); /* unlocked it may share */
	fake_detach(&p);
	fake_detach(&thief);
}

static void test_a_declared_port_outlives_its_clients(void **state)
{
	struct fixture *f = *state;
	struct fake_port p = { 0 };
	struct err err;
	assert_int_equal(declare(&f->fn, "vm", 5, true), 0);
	assert_int_equal(declare(&f->fn, "VM", 6, true), -EEXIST);
	assert_int_equal(declare(&f->fn, "a", 0, false), -EEXIST);
	assert_int_equal(f->fn.ports_now, 3); /* it waits */

	assert_int_equal(fake_attach(&f->fn, &p, "vm", 7, false, &err), -EEXIST); /* another MAC */
	assert_int_equal(fake_attach(&f->fn, &p, "vm", 0, false, &err), 0);
	assert_true(p.info.locked); /* its settings win */
	assert_true(p.info.declared);
	assert_true(mac_equal(p.info.mac, mac_n(5)));
	fake_send(&f->fn, &p, BROADCAST, 5, 'x');
	fake_send(&f->fn, &p, BROADCAST, 6, 'y');
	logs(f, "x", "x|", "x|", "x|");
	fake_detach(&p);

	assert_int_equal(stats_of(f, "vm").rx_frames, 2); /* counters stay */
	assert_int_equal(fake_attach(&f->fn, &p, "vm", 5, false, &err), 0);
	assert_int_equal(fake_attach(&f->fn, &f->a, "VM", 5, false, &err), -EBUSY);
	f->a.attached = true;
	fake_detach(&p);
	assert_int_equal(remove_port(&f->fn, "vm"), 0);
	assert_int_equal(remove_port(&f->fn, "vm"), -ENOENT);
	assert_int_equal(stats_of(f, "vm").rx_frames, 0);
	assert_int_equal(stats_of(f, "*").rx_frames, 2);
}

static void test_frames_for_a_locked_port_that_waits_are_dropped_there(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(declare(&f->fn, "vm", 5, true), 0);
	fake_send(&f->fn, &f->a, 5, 1, 'x');
	fake_send(&f->fn, &f->a, BROADCAST, 5, 'y');
	logs(f, "", "", "", "");
	assert_int_equal(stats_of(f, "vm").drops[DROP_DETACHED], 1);
	assert_int_equal(stats_of(f, "a").drops[DROP_SPOOFED], 1); /* the lock holds meanwhile */

	struct fake_port p = { 0 };
	assert_int_equal(fake_attach(&f->fn, &p, "vm", 0, false, NULL), 0);
	fake_detach(&p);
	fake_send(&f->fn, &f->a, BROADCAST, 5, 'z'); /* and after a client has left */
	logs(f, "", "", "", "");
}

static void test_only_declared_ports_can_be_asked_for_as_such(void **state)
{
	struct fixture *f = *state;
	struct fake_port p = { 0 };
	struct port_conf conf = { .name = "vm", .kind = PORT_KIND_QEMU, .take_only = true };
	assert_int_equal(fake_attach_conf(&f->fn, &p, &conf, NULL), -ENOENT);
	assert_int_equal(declare(&f->fn, "vm", 0, false), 0);
	struct err err;
	assert_int_equal(fake_attach_conf(&f->fn, &p, &conf, &err), -EEXIST);
	assert_string_equal(err.text, "lab: port vm is of kind native");
	conf.kind = PORT_KIND_NATIVE;
	assert_int_equal(fake_attach_conf(&f->fn, &p, &conf, NULL), 0);
	fake_detach(&p);
}

static void test_only_whom_it_calls_becomes_a_port_that_calls(void **state)
{
	struct fixture *f = *state;
	struct fake_port p = { 0 };
	struct port_conf conf = { .name = "up", .kind = PORT_KIND_QEMU };
	struct err err;
	struct command *cmd = fake_command(&f->fn, CMD_PORT_ADD);
	cmd->in.conf = conf;
	strcpy(cmd->in.conf.dial.connect, "/run/up.sock");
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, 0);
	command_free(cmd);
	assert_int_equal(fake_attach_conf(&f->fn, &p, &conf, &err), -EBUSY);
	assert_string_equal(
		err.text, "lab: port up is for whom it calls itself; choose another name");
	conf.take_only = conf.control = true;
	assert_int_equal(fake_attach_conf(&f->fn, &p, &conf, NULL), -EBUSY);
	conf.dialled = true;
	assert_int_equal(fake_attach_conf(&f->fn, &p, &conf, NULL), 0);
	fake_detach(&p);
}

static void test_removing_a_port_closes_its_client(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(declare(&f->fn, "vm", 0, false), 0);
	struct fake_port p = { 0 };
	assert_int_equal(fake_attach(&f->fn, &p, "vm", 0, false, NULL), 0);
	assert_int_equal(remove_port(&f->fn, "VM"), 0);
	assert_string_equal(p.log, "x");
	assert_non_null(network_rec_named(f->fn.net, "vm")); /* until the edge detaches */
	fake_detach(&p);
	assert_null(network_rec_named(f->fn.net, "vm"));
	assert_int_equal(remove_port(&f->fn, "nobody"), -ENOENT);
}

static void test_1024_ports_are_the_limit(void **state)
{
	(void)state;
	struct fakenet fn;
	static struct fake_port ports[PORTS_MAX + 1];
	assert_int_equal(fakenet_open(&fn, true, 1500), 0);
	char name[16];
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(fake_attach(&fn, &ports[i], name, 0, false, NULL), 0);
		assert_int_equal(ports[i].port.id, i + 1);
	}
	assert_int_equal(fake_attach(&fn, &ports[PORTS_MAX], "one-more", 0, false, NULL), -ENOSPC);
	fake_send(&fn, &ports[0], BROADCAST, 1, 'x');
	for (unsigned i = 1; i < PORTS_MAX; i++)
		assert_string_equal(ports[i].log, "x|");
	for (unsigned i = 0; i < PORTS_MAX; i++)
		fake_detach(&ports[i]);
	assert_int_equal(fn.ports_now, 0);
	fakenet_close(&fn);
}

/* -- ports that leave in the middle of something -- */

static void test_ports_may_leave_inside_flush(void **state)
{
	struct fixture *f = *state;
	f->a.detach_on = "flush"; /* and take b along, whose turn was still to come */
	f->a.also = &f->b;
	fake_send(&f->fn, NULL, BROADCAST, HOST_MAC, 'x');
	logs(f, "", "x|", "x", "x|");
	assert_int_equal(f->fn.ports_now, 1);
	fake_send(&f->fn, NULL, BROADCAST, HOST_MAC, 'y');
	logs(f, "", "", "", "y|");
}

static void test_a_port_that_takes_the_number_of_one_that_left_is_not_flushed(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[60];
	struct frame frame = eth_frame(buf, BROADCAST, HOST_MAC, 0x88b5, 60, 'x');
	network_input(f->fn.net, PORT_HOST, &frame, 1, 0);
	const uint16_t id = f->b.port.id;
	fake_detach(&f->b);
	assert_int_equal(fake_attach(&f->fn, &f->b, "new", 0, false, NULL), 0);
	assert_int_equal(f->b.port.id, id);
	network_flush(f->fn.net);
	logs(f, "", "x|", "", "x|");
}

static void test_ports_may_leave_when_told_of_a_change(void **state)
{
	struct fixture *f = *state;
	f->a.detach_on = f->b.detach_on = "changed";
	f->a.also = &f->c;
	assert_int_equal(fake_set_mtu(&f->fn, 9000), 0);
	assert_int_equal(f->fn.ports_now, 0);
}

static void test_ports_may_leave_when_told_to(void **state)
{
	struct fixture *f = *state;
	f->b.detach_on = "close";
	assert_int_equal(remove_port(&f->fn, "b"), 0);
	assert_false(f->b.attached);
	logs(f, "", "", "x", "");
	assert_int_equal(f->fn.ports_now, 2);
}

/* -- changes -- */

static void test_a_raised_mtu_is_told_before_larger_frames_come(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fake_set_mtu(&f->fn, 9000), 0);
	logs(f, "", "<9000/1500>", "<9000/1500>", "<9000/1500>");
	uint8_t buf[9014];
	struct frame frame = eth_frame(buf, BROADCAST, 1, 0x0800, 9014, 'x');
	fake_batch(&f->fn, &f->a, &frame, 1);
	logs(f, "x", "", "x|", "x|");
	assert_int_equal(network_rec(f->fn.net, f->a.port.id)->info.mtu, 9000);
}

static void test_a_lowered_mtu_holds_before_it_is_told(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fake_set_mtu(&f->fn, 1000), 0);
	logs(f, "", "<1000/1000>", "<1000/1000>", "<1000/1000>"); /* once */
	uint8_t buf[1015];
	struct frame frame = eth_frame(buf, BROADCAST, HOST_MAC, 0x0800, 1015, 'x');
	fake_batch(&f->fn, NULL, &frame, 1);
	logs(f, "", "", "", "");
	assert_int_equal(stats_of(f, "host").drops[DROP_OVERSIZE], 1);
}

static void test_a_lowered_mtu_that_the_kernel_refuses_is_taken_back(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = fake_command(&f->fn, CMD_PREPARE);
	const struct network_facts before = *network_facts(f->fn.net);
	cmd->out.facts.spec.mtu = 1000;
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, 0);
	cmd->kind = CMD_FACTS;
	cmd->out.facts = before;
	fake_run(&f->fn, cmd);
	command_free(cmd);
	logs(f, "", "<1000/1000><1500/1000>", "<1000/1000><1500/1000>", "<1000/1000><1500/1000>");
}

static int set_bridge(struct fixture *f, uint32_t bridge_mtu)
{
	struct command *cmd = fake_command(&f->fn, CMD_FACTS);
	cmd->out.facts = *network_facts(f->fn.net);
	cmd->out.facts.bridge_mtu = bridge_mtu;
	fake_run(&f->fn, cmd);
	const int rc = cmd->err.code;
	command_free(cmd);
	return rc;
}

static void test_a_narrow_bridge_gets_what_fits_and_the_rest_is_counted(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[4][1019];
	struct frame frames[4] = {
		eth_frame(buf[0], BROADCAST, 1, 0x0800, 1014, 'a'),
		eth_frame(buf[1], BROADCAST, 1, 0x0800, 1015, 'b'),
		eth_frame(buf[2], HOST_MAC, 1, 0x8100, 1018, 'c'),
		eth_frame(buf[3], HOST_MAC, 1, 0x8100, 1019, 'd'),
	};
	assert_int_equal(set_bridge(f, 1000), 0);
	logs(f, "", "<1500/1500>", "<1500/1500>", "<1500/1500>"); /* the ports' is what it was */
	fake_batch(&f->fn, &f->a, frames, 4);
	logs(f, "ac", "", "ab|", "ab|");
	assert_int_equal(stats_of(f, "host").drops[DROP_TOO_BIG_FOR_PORT], 2);
	assert_int_equal(set_bridge(f, 9000), 0); /* wider than the network */
	logs(f, "", "<1500/1500>", "<1500/1500>", "<1500/1500>");
	fake_batch(&f->fn, &f->a, frames, 4);
	logs(f, "abcd", "", "ab|", "ab|");
}

static void test_facts_that_are_the_same_are_no_news(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fake_set_mtu(&f->fn, 1500), 0);
	logs(f, "", "", "", "");
}

static void test_declared_ports_that_wait_get_the_mtu_too(void **state)
{
	struct fixture *f = *state;
	struct fake_port p = { 0 };
	assert_int_equal(declare(&f->fn, "vm", 0, false), 0);
	assert_int_equal(fake_set_mtu(&f->fn, 9000), 0);
	assert_int_equal(network_rec_named(f->fn.net, "vm")->info.mtu, 9000);
	assert_int_equal(fake_attach(&f->fn, &p, "vm", 0, false, NULL), 0);
	assert_int_equal(p.info.mtu, 9000);
	assert_string_equal(p.log, "");
	fake_detach(&p);
}

static void test_the_hosts_address_changes_with_the_facts(void **state)
{
	struct fixture *f = *state;
	hello(f);
	struct command *cmd = fake_command(&f->fn, CMD_PREPARE);
	cmd->out.facts.spec.mac = mac_n(9);
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, 0);
	logs(f, "", "", "", ""); /* nothing is true yet */
	cmd->kind = CMD_FACTS;
	fake_run(&f->fn, cmd);
	command_free(cmd);
	logs(f, "", "<1500/1500>", "<1500/1500>", "<1500/1500>");
	fake_send(&f->fn, &f->a, 9, 1, 'x');
	logs(f, "x", "", "", "");
	fake_send(&f->fn, &f->a, HOST_MAC, 1, 'y'); /* now one that nobody knows */
	logs(f, "y", "", "y|", "y|");
}

static void test_a_host_address_that_a_port_has_is_refused(void **state)
{
	struct fixture *f = *state;
	struct fake_port p = { 0 };
	assert_int_equal(fake_attach(&f->fn, &p, "p", 5, false, NULL), 0);
	struct command *cmd = fake_command(&f->fn, CMD_PREPARE);
	cmd->out.facts.spec.mac = mac_n(5);
	cmd->out.facts.spec.mtu = 1000;
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, -EEXIST);
	assert_string_equal(cmd->err.text, "lab: that MAC address belongs to port p; give another");
	command_free(cmd);
	logs(f, "", "", "", ""); /* the MTU has not changed either */
	fake_detach(&p);
}

/* -- lists -- */

static struct command *list(struct fixture *f, uint32_t limit, bool has_after, uint64_t after)
{
	struct command *cmd = fake_command(&f->fn, CMD_PORT_LIST);
	cmd->limit = limit;
	cmd->has_after = has_after;
	cmd->after_n = after;
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, 0);
	return cmd;
}

static void test_ports_are_listed_by_number_in_pages(void **state)
{
	struct fixture *f = *state;
	fake_detach(&f->b);
	struct command *cmd = list(f, 2, false, 0);
	assert_int_equal(cmd->n_items, 2);
	assert_true(cmd->more);
	assert_string_equal(cmd->items.ports[0].name, "host");
	assert_int_equal(cmd->items.ports[0].kind, PORT_KIND_HOST);
	assert_true(cmd->items.ports[0].attached);
	assert_true(mac_equal(cmd->items.ports[0].mac, mac_n(HOST_MAC)));
	assert_int_equal(cmd->items.ports[1].id, 1);
	command_free(cmd);

	cmd = list(f, 1, true, 1);
	assert_int_equal(cmd->n_items, 1);
	assert_false(cmd->more);
	assert_int_equal(cmd->items.ports[0].id, 3);
	command_free(cmd);
}

static void test_nothing_comes_after_the_largest_number(void **state)
{
	struct fixture *f = *state;
	static const uint64_t after[] = { 3, PORTS_MAX, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX };
	for (unsigned i = 0; i < 5; i++) {
		struct command *cmd = list(f, 4, true, after[i]);
		assert_int_equal(cmd->n_items, 0);
		assert_false(cmd->more);
		command_free(cmd);
	}
}

static void test_a_private_switch_lists_no_host(void **state)
{
	(void)state;
	struct fakenet fn;
	struct fake_port a = { 0 };
	assert_int_equal(fakenet_open(&fn, false, 1500), 0);
	fake_attach(&fn, &a, "", 0, false, NULL);
	struct command *cmd = fake_command(&fn, CMD_PORT_LIST);
	fake_run(&fn, cmd);
	assert_int_equal(cmd->n_items, 1);
	assert_int_equal(cmd->items.ports[0].id, 1);
	command_free(cmd);
	fake_detach(&a);
	fakenet_close(&fn);
}

static void test_counters_are_listed_with_what_waits(void **state)
{
	struct fixture *f = *state;
	f->b.slow = true;
	fake_send(&f->fn, &f->a, BROADCAST, 1, 'x');
	struct command *cmd = fake_command(&f->fn, CMD_STATS_GET);
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->n_items, 4);
	assert_string_equal(cmd->items.counters[0].name, "host");
	assert_string_equal(cmd->items.counters[2].name, "b");
	assert_int_equal(cmd->items.counters[2].queued_bytes, 62);
	assert_int_equal(cmd->items.counters[3].queued_bytes, 0);
	command_free(cmd);
}

static void test_addresses_are_listed_with_the_names_of_their_ports(void **state)
{
	struct fixture *f = *state;
	hello(f);
	f->fn.now_ms = 1000;
	struct command *cmd = fake_command(&f->fn, CMD_FDB_LIST);
	cmd->has_after = true;
	cmd->after_mac = mac_n(1);
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->n_items, 3);
	assert_string_equal(cmd->items.fdb[0].name, "b");
	assert_int_equal(cmd->items.fdb[0].info.age_ms, 1000);
	assert_string_equal(cmd->items.fdb[2].name, "host");
	assert_true(cmd->items.fdb[2].info.is_static);
	command_free(cmd);
}

static void test_show_tells_the_facts_and_other_commands_are_refused(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = fake_command(&f->fn, CMD_NETWORK_SHOW);
	memset(&cmd->out, 0, sizeof(cmd->out));
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->out.facts.ports, 3);
	assert_string_equal(cmd->out.facts.spec.network, "lab");
	cmd->kind = CMD_DAEMON_STOP;
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, -EOPNOTSUPP);
	command_free(cmd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_broadcast_goes_to_all_others_and_not_back),
		T(test_unicast_goes_where_the_address_is),
		T(test_who_copies_at_once_holds_no_frame),
		cmocka_unit_test(test_a_private_switch_has_no_host),
		T(test_a_port_that_left_gets_nothing_and_is_forgotten),
		T(test_order_is_kept_for_each_destination),
		T(test_addresses_age_with_the_tick),
		T(test_the_hosts_address_is_the_hosts),
		T(test_an_address_given_is_known_before_its_port_sends),
		T(test_a_locked_port_uses_its_address_only),
		T(test_a_port_with_a_smaller_mtu_gets_what_fits),
		T(test_what_a_client_can_take_lowers_the_cap_whatever_the_mtu),
		T(test_frames_are_counted_where_they_come_from),
		T(test_what_the_kernel_refuses_is_counted_at_the_host),
		T(test_sums_keep_what_ports_that_left_had),
		T(test_edges_count_what_they_drop_themselves),
		T(test_slow_ports_share_one_copy_of_a_flooded_frame),
		T(test_what_goes_to_many_is_counted_until_the_flush),
		T(test_attaching_tells_all_there_is_to_know),
		T(test_ports_without_a_name_are_numbered),
		T(test_a_name_in_use_is_busy_in_any_case),
		T(test_addresses_that_are_taken_or_no_addresses_are_refused),
		T(test_a_lock_to_a_derived_address_that_is_given_to_another_is_refused),
		T(test_a_declared_port_outlives_its_clients),
		T(test_frames_for_a_locked_port_that_waits_are_dropped_there),
		T(test_only_declared_ports_can_be_asked_for_as_such),
		T(test_only_whom_it_calls_becomes_a_port_that_calls),
		T(test_removing_a_port_closes_its_client),
		cmocka_unit_test(test_1024_ports_are_the_limit),
		T(test_ports_may_leave_inside_flush),
		T(test_a_port_that_takes_the_number_of_one_that_left_is_not_flushed),
		T(test_ports_may_leave_when_told_of_a_change),
		T(test_ports_may_leave_when_told_to),
		T(test_a_raised_mtu_is_told_before_larger_frames_come),
		T(test_a_lowered_mtu_holds_before_it_is_told),
		T(test_a_lowered_mtu_that_the_kernel_refuses_is_taken_back),
		T(test_a_narrow_bridge_gets_what_fits_and_the_rest_is_counted),
		T(test_facts_that_are_the_same_are_no_news),
		T(test_declared_ports_that_wait_get_the_mtu_too),
		T(test_the_hosts_address_changes_with_the_facts),
		T(test_a_host_address_that_a_port_has_is_refused),
		T(test_ports_are_listed_by_number_in_pages),
		T(test_nothing_comes_after_the_largest_number),
		cmocka_unit_test(test_a_private_switch_lists_no_host),
		T(test_counters_are_listed_with_what_waits),
		T(test_addresses_are_listed_with_the_names_of_their_ports),
		T(test_show_tells_the_facts_and_other_commands_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
