/* test_apply.c - server/core/network_apply.c: declared ports become what they shall be. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/network_priv.h"
#include "tests/support/eth.h"
#include "tests/support/fakenet.h"

static int setup(void **state)
{
	struct fakenet *fn = calloc(1, sizeof(*fn));
	*state = fn;
	return fakenet_open(fn, true, 1500);
}

static int teardown(void **state)
{
	struct fakenet *fn = *state;
	fakenet_close(fn);
	free(fn);
	return 0;
}

static struct port_conf want(
	const char *name, enum port_kind kind, unsigned mac_number, bool locked)
{
	struct port_conf conf = {
		.kind = kind, .has_locked = true, .locked = locked, .control = true
	};
	snprintf(conf.name, sizeof(conf.name), "%s", name);
	conf.mac_given = mac_number;
	conf.mac = (struct feth_mac){ { 2, 0, 0, 0, 0, (uint8_t)mac_number } };
	return conf;
}

/* Applies @n ports; `old` are those of the time before, and then these. */
struct declaring {
	struct port_name old[8];
	uint32_t n_old;
	bool replace;
	struct err err;
	char done[256]; /* "+a" added, "~a" changed, "-a" removed */
};

static int apply(struct fakenet *fn, struct declaring *d, struct port_conf *ports, uint32_t n)
{
	struct apply a = { .replace = d->replace,
		.ports = ports,
		.n_ports = n,
		.old = d->old,
		.n_old = d->n_old };
	d->done[0] = '\0';
	d->err = (struct err){ 0 };
	int rc = network_apply_check(fn->net, &a, &d->err);
	if (!rc)
		rc = network_apply_ports(fn->net, &a, fn->now_ms, &d->err);
	for (uint32_t i = 0; i < a.n_done; i++) {
		const size_t len = strlen(d->done);
		snprintf(d->done + len, sizeof(d->done) - len, "%c%s", "+~-"[a.done[i].what],
			a.done[i].name);
	}
	free(a.done);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < n; i++)
		strcpy(d->old[i].text, ports[i].name);
	d->n_old = n;
	return 0;
}

static struct port_info info_of(struct fakenet *fn, const char *name)
{
	const struct port_rec *rec = network_rec_named(fn->net, name);
	assert_non_null(rec);
	return rec->info;
}

static void test_applied_twice_changes_nothing(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, true),
		want("b", PORT_KIND_NATIVE, 0, false) };
	ports[1].rules = (struct port_rules){ .given = RULE_ISOLATED, .isolated = true };
	assert_int_equal(apply(fn, &d, ports, 2), 0);
	assert_string_equal(d.done, "+a+b");
	assert_true(info_of(fn, "b").rules.isolated);
	assert_int_equal(apply(fn, &d, ports, 2), 0);
	assert_string_equal(d.done, "");
}

static void test_what_is_not_said_is_the_default_again(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, true) };
	ports[0].rules =
		(struct port_rules){ .given = RULE_CAP | RULE_UP, .cap = 900, .up = false };
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	const struct feth_mac given = info_of(fn, "a").mac;
	assert_int_equal(info_of(fn, "a").cap, 900);
	ports[0] = want("a", PORT_KIND_QEMU, 0, false);
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_string_equal(d.done, "~a");
	assert_int_equal(info_of(fn, "a").cap, 1518);
	assert_true(info_of(fn, "a").rules.up);
	assert_false(info_of(fn, "a").locked);
	assert_false(mac_equal(info_of(fn, "a").mac, given));
}

static void test_only_ports_of_the_last_time_are_removed(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct err err;
	struct port_info info;
	struct fake_port client = { 0 };
	struct port_conf by_hand = want("hand", PORT_KIND_QEMU, 0, false);
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 0, false),
		want("b", PORT_KIND_QEMU, 0, false) };
	assert_int_equal(network_declare(fn->net, &by_hand, &info, &err), 0);
	assert_int_equal(fake_attach(fn, &client, "client", 0, false, NULL), 0);
	assert_int_equal(apply(fn, &d, ports, 2), 0);
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_string_equal(d.done, "-b");
	assert_int_equal(apply(fn, &d, ports, 0), 0);
	assert_string_equal(d.done, "-a");
	assert_non_null(network_rec_named(fn->net, "hand"));
	assert_non_null(network_rec_named(fn->net, "client"));
	fake_detach(&client);
}

static void test_a_port_declared_by_hand_is_taken_over(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct err err;
	struct port_info info;
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, false) };
	assert_int_equal(network_declare(fn->net, &ports[0], &info, &err), 0);
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_string_equal(d.done, "");
	assert_int_equal(apply(fn, &d, ports, 0), 0);
	assert_string_equal(d.done, "-a");
}

static void test_clients_stay_when_their_port_changes(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct fake_port a = { 0 }, b = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, true),
		want("b", PORT_KIND_QEMU, 2, true) };
	struct port_conf attach = { .kind = PORT_KIND_QEMU, .take_only = true };
	assert_int_equal(apply(fn, &d, ports, 2), 0);
	strcpy(attach.name, "a");
	assert_int_equal(fake_attach_conf(fn, &a, &attach, NULL), 0);
	strcpy(attach.name, "b");
	assert_int_equal(fake_attach_conf(fn, &b, &attach, NULL), 0);

	fake_send(fn, &a, 2, 1, 'x');
	assert_string_equal(b.log, "x|");
	ports[0].mac.b[5] = 7;
	assert_int_equal(apply(fn, &d, ports, 2), 0);
	assert_string_equal(d.done, "~a");
	assert_true(a.attached && b.attached);
	b.log[0] = '\0';
	fake_send(fn, &a, 2, 1, 'y'); /* it is locked to another address now */
	assert_string_equal(b.log, "");
	fake_send(fn, &a, 2, 7, 'z');
	assert_string_equal(b.log, "z|");
	a.log[0] = '\0';
	fake_send(fn, &b, 7, 2, 'r');
	assert_string_equal(a.log, "r|");
	fake_detach(&a);
	fake_detach(&b);
}

static void test_ports_may_swap_addresses(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, true),
		want("b", PORT_KIND_QEMU, 2, true) };
	assert_int_equal(apply(fn, &d, ports, 2), 0);
	ports[0].mac.b[5] = 2;
	ports[1].mac.b[5] = 1;
	assert_int_equal(apply(fn, &d, ports, 2), 0);
	assert_string_equal(d.done, "~a~b");
	assert_int_equal(info_of(fn, "a").mac.b[5], 2);
	assert_int_equal(info_of(fn, "b").mac.b[5], 1);
}

static void test_an_address_of_a_removed_port_is_free(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, true) };
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	strcpy(ports[0].name, "b");
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_string_equal(d.done, "-a+b");
}

static void test_what_is_impossible_is_found_before_anything_is_done(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct fake_port client = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, false),
		want("b", PORT_KIND_QEMU, 0, false) };
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_int_equal(fake_attach(fn, &client, "client", 5, false, NULL), 0);

	ports[0].mac.b[5] = 9;
	strcpy(ports[1].name, "client"); /* a client's own */
	assert_int_equal(apply(fn, &d, ports, 2), -EBUSY);
	assert_non_null(strstr(d.err.text, "port client: "));
	assert_string_equal(d.done, "");

	ports[1] = want("b", PORT_KIND_QEMU, 5, false); /* a client's address */
	assert_int_equal(apply(fn, &d, ports, 2), -EEXIST);
	assert_non_null(strstr(d.err.text, "port b: mac: "));

	ports[1].mac = fn->facts.spec.mac; /* the host's */
	assert_int_equal(apply(fn, &d, ports, 2), -EEXIST);
	assert_int_equal(info_of(fn, "a").mac.b[5], 1);
	assert_null(network_rec_named(fn->net, "b"));
	fake_detach(&client);
}

static void test_another_kind_wants_replace(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, false) };
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	ports[0].kind = PORT_KIND_NATIVE;
	assert_int_equal(apply(fn, &d, ports, 1), -EBUSY);
	assert_non_null(strstr(d.err.text, "replace"));
	assert_int_equal(info_of(fn, "a").kind, PORT_KIND_QEMU);
	d.replace = true;
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_string_equal(d.done, "-a+a");
	assert_int_equal(info_of(fn, "a").kind, PORT_KIND_NATIVE);
}

static void test_another_interface_wants_replace_too(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_TAP, 1, false) };
	ports[0].tap = (struct tap_place){ .ifname = "eth0", .netns = "box" };
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_string_equal(info_of(fn, "a").tap.ifname, "eth0");
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_string_equal(d.done, "");
	for (unsigned i = 0; i < 2; i++) {
		d.replace = false;
		strcpy(ports[0].tap.ifname, i ? "eth1" : "eth0");
		strcpy(ports[0].tap.netns, "pod");
		assert_int_equal(apply(fn, &d, ports, 1), -EBUSY);
		assert_non_null(strstr(d.err.text, i ? "eth0 in pod" : "eth0 in box"));
		d.replace = true;
		assert_int_equal(apply(fn, &d, ports, 1), 0);
		assert_string_equal(d.done, "-a+a");
		const struct port_info now = info_of(fn, "a");
		assert_true(tapplace_same(&now.tap, &ports[0].tap));
	}
}

static void test_another_to_call_wants_replace_too(void **state)
{
	static const char *const to[] = { "/run/a", "", "tcp:127.0.0.1:7" }, *const was[] = {
		"(/run/b)", "(/run/a)", "(nobody)"
	};
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, false) };
	strcpy(ports[0].dial.connect, "/run/b");
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_string_equal(d.done, "");
	for (unsigned i = 0; i < 3; i++) {
		d.replace = false;
		strcpy(ports[0].dial.connect, to[i]);
		assert_int_equal(apply(fn, &d, ports, 1), -EBUSY);
		assert_non_null(strstr(d.err.text, "port a: connect: "));
		assert_non_null(strstr(d.err.text, was[i]));
		d.replace = true;
		assert_int_equal(apply(fn, &d, ports, 1), 0);
		assert_string_equal(d.done, "-a+a");
		assert_string_equal(info_of(fn, "a").dial.connect, to[i]);
	}
}

static void test_no_more_ports_than_there_is_room_for(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct port_info info;
	struct err err;
	struct port_conf by_hand = want("hand", PORT_KIND_QEMU, 0, false);
	assert_int_equal(network_declare(fn->net, &by_hand, &info, &err), 0);
	struct port_conf *ports = calloc(PORTS_MAX, sizeof(*ports));
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		char name[16];
		snprintf(name, sizeof(name), "p%u", i);
		ports[i] = want(name, PORT_KIND_QEMU, 0, false);
	}
	struct apply a = { .ports = ports, .n_ports = PORTS_MAX };
	assert_int_equal(network_apply_check(fn->net, &a, &err), -ENOSPC);
	a.n_ports--;
	assert_int_equal(network_apply_check(fn->net, &a, &err), 0);
	assert_int_equal(network_apply_ports(fn->net, &a, 0, &err), 0);
	assert_int_equal(a.n_done, PORTS_MAX - 1);
	free(a.done);
	free(ports);
	(void)d;
}

static void test_what_a_client_asked_for_is_no_declaration(void **state)
{
	struct fakenet *fn = *state;
	struct declaring d = { 0 };
	struct fake_port a = { 0 };
	struct port_conf ports[] = { want("a", PORT_KIND_QEMU, 1, true) };
	struct port_conf attach = { .kind = PORT_KIND_QEMU, .take_only = true };
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	strcpy(attach.name, "a");
	attach.rules = (struct port_rules){ .given = RULE_ISOLATED, .isolated = true };
	assert_int_equal(fake_attach_conf(fn, &a, &attach, NULL), 0);
	assert_true(info_of(fn, "a").rules.isolated);
	assert_int_equal(apply(fn, &d, ports, 1), 0);
	assert_string_equal(d.done, "");

	struct command *cmd = command_new(CMD_LIST_DECLARED);
	network_list_declared(fn->net, cmd);
	assert_int_equal(cmd->n_items, 1);
	assert_false(cmd->items.ports[0].rules.isolated);
	assert_true(cmd->items.ports[0].locked);
	assert_false(cmd->items.ports[1].locked);
	assert_false(mac_equal(cmd->items.ports[0].mac, cmd->items.ports[1].mac));
	command_free(cmd);
	fake_detach(&a);
}

/* The client of port a, which is declared so, asks for more itself. */
static void redeclare(struct fakenet *fn, bool isolated, uint32_t cap)
{
	struct declaring d = { 0 };
	struct port_conf conf = want("a", PORT_KIND_QEMU, 1, true);
	conf.rules = (struct port_rules){
		.given = RULE_ISOLATED | RULE_CAP, .isolated = isolated, .cap = cap
	};
	assert_int_equal(apply(fn, &d, &conf, 1), 0);
}

static void assert_rules(struct fakenet *fn, bool isolated, uint32_t cap)
{
	assert_int_equal(info_of(fn, "a").rules.isolated, isolated);
	assert_int_equal(info_of(fn, "a").rules.cap, cap);
}

static void test_what_a_client_asked_for_outlives_declarations_that_say_the_same(void **state)
{
	struct fakenet *fn = *state;
	struct fake_port a = { 0 };
	struct port_info out;
	struct port_conf attach = { .kind = PORT_KIND_QEMU,
		.take_only = true,
		.rules = { .given = RULE_ISOLATED, .isolated = true } };
	struct port_conf set = { .rules = { .given = RULE_CAP, .cap = 1000 } };
	redeclare(fn, false, 1400);
	strcpy(attach.name, "a");
	assert_int_equal(fake_attach_conf(fn, &a, &attach, NULL), 0);
	assert_int_equal(network_set_port(fn->net, a.info.id, &set, 0, &out, NULL), 0);
	assert_rules(fn, true, 1000);
	redeclare(fn, true, 1000); /* what it has by its own word, too */
	redeclare(fn, true, 900);
	assert_rules(fn, true, 900);
	redeclare(fn, false, 1400);
	assert_rules(fn, true, 1000);

	/* who controls the port has the last word on what he names */
	set.control = true;
	set.rules.cap = 1200;
	assert_int_equal(network_set_port(fn->net, a.info.id, &set, 0, &out, NULL), 0);
	redeclare(fn, false, 1300);
	assert_rules(fn, true, 1300);
	fake_detach(&a);
	assert_rules(fn, false, 1300);
	attach.rules.given = 0;
	assert_int_equal(fake_attach_conf(fn, &a, &attach, NULL), 0); /* another asks for nothing */
	redeclare(fn, false, 1250);
	assert_rules(fn, false, 1250);
	fake_detach(&a);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_applied_twice_changes_nothing),
		TEST(test_what_is_not_said_is_the_default_again),
		TEST(test_only_ports_of_the_last_time_are_removed),
		TEST(test_a_port_declared_by_hand_is_taken_over),
		TEST(test_clients_stay_when_their_port_changes),
		TEST(test_ports_may_swap_addresses),
		TEST(test_an_address_of_a_removed_port_is_free),
		TEST(test_what_is_impossible_is_found_before_anything_is_done),
		TEST(test_another_kind_wants_replace),
		TEST(test_another_interface_wants_replace_too),
		TEST(test_another_to_call_wants_replace_too),
		TEST(test_no_more_ports_than_there_is_room_for),
		TEST(test_what_a_client_asked_for_is_no_declaration),
		TEST(test_what_a_client_asked_for_outlives_declarations_that_say_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
