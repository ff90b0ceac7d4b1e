/* test_network_macs.c - server/core/network_macs.c: what ports may use, and who may change that. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "server/core/network_priv.h"
#include "tests/support/claims.h"
#include "tests/support/fakenet.h"

struct fixture {
	struct fakenet fn;
	struct fake_port p, q; /* q is "q", not locked */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	const int rc = fakenet_open(&f->fn, true, 1500);
	return rc ? rc : fake_attach(&f->fn, &f->q, "q", 0, false, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	if (f->p.attached)
		fake_detach(&f->p);
	fake_detach(&f->q);
	fakenet_close(&f->fn);
	free(f);
	return 0;
}

/* "p" with this address (0: none), locked or not, and further ones up to a 0. */
static struct port_conf conf_of(unsigned mac, bool locked, unsigned more, unsigned more2)
{
	struct port_conf conf = { .name = "p",
		.kind = PORT_KIND_NATIVE,
		.mac_given = mac != 0,
		.mac = mac_n(mac),
		.has_locked = true,
		.locked = locked,
		.rules = { .given = RULE_MACS, .macs = { mac_n(more), mac_n(more2) } } };
	conf.rules.n_macs = (uint8_t)(!!more + !!more2);
	return conf;
}

static int attach(struct fixture *f, const struct port_conf *conf)
{
	return fake_attach_conf(&f->fn, &f->p, conf, NULL);
}

static int set(struct fixture *f, const struct port_conf *conf, struct err *err)
{
	struct port_info out;
	const int rc = network_set_port(f->fn.net, f->p.info.id, conf, f->fn.now_ms, &out, err);
	if (!rc)
		f->p.info = out;
	return rc;
}

/* Whether a frame from @src goes through at p. */
static bool may(struct fixture *f, unsigned src)
{
	f->q.log[0] = '\0';
	fake_send(&f->fn, &f->p, BROADCAST, src, 'x');
	return strchr(f->q.log, 'x');
}

/* Whether it does so at q. */
static bool others_may(struct fixture *f, unsigned src)
{
	f->p.log[0] = '\0';
	fake_send(&f->fn, &f->q, BROADCAST, src, 'x');
	return strchr(f->p.log, 'x');
}

static void test_a_port_is_locked_to_all_its_addresses(void **state)
{
	struct fixture *f = *state;
	const struct port_conf conf = conf_of(5, true, 6, 7);
	assert_int_equal(attach(f, &conf), 0);
	for (unsigned src = 4; src < 9; src++) {
		const bool own = src >= 5 && src <= 7;
		assert_int_equal(may(f, src), own);
		assert_int_equal(others_may(f, src), !own);
	}
	struct claims c;
	claims_arp(&c, 6, 7);
	struct frame frame = claims_frame(&c);
	f->q.log[0] = '\0';
	fake_batch(&f->fn, &f->p, &frame, 1);
	assert_int_not_equal(f->q.log[0], '\0');
	claims_arp(&c, 6, 8);
	f->q.log[0] = '\0';
	fake_batch(&f->fn, &f->p, &frame, 1);
	assert_string_equal(f->q.log, "");
}

static void test_what_is_given_to_a_port_is_nobody_elses(void **state)
{
	struct fixture *f = *state;
	struct port_conf conf = conf_of(5, false, 6, 0);
	struct fake_port r = { 0 };
	struct err err;
	assert_int_equal(attach(f, &conf), 0);
	assert_int_equal(fake_attach(&f->fn, &r, "r", 6, false, &err), -EEXIST);
	assert_string_equal(
		err.text, "lab: the MAC address 02:00:00:00:00:06 belongs to p; give another");
	conf = conf_of(7, true, 8, 5);
	strcpy(conf.name, "r");
	assert_int_equal(fake_attach_conf(&f->fn, &r, &conf, NULL), -EEXIST);
	conf = conf_of(7, true, HOST_MAC, 0);
	strcpy(conf.name, "r");
	assert_int_equal(fake_attach_conf(&f->fn, &r, &conf, NULL), -EEXIST);
	assert_true(others_may(f, 5)); /* not locked: the right to it is to be asked for */

	struct command *cmd = fake_command(&f->fn, CMD_PREPARE);
	cmd->out.facts.spec.mac = mac_n(6); /* the host neither */
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, -EEXIST);
	command_free(cmd);
}

static void test_given_addresses_are_known_before_they_send(void **state)
{
	struct fixture *f = *state;
	const struct port_conf conf = conf_of(5, false, 6, 0);
	assert_int_equal(attach(f, &conf), 0);
	const struct vswitch *sw = &f->fn.net->sw;
	assert_int_equal(fdb_find(&sw->fdb, key_n(5), 0), f->p.info.id);
	assert_int_equal(fdb_find(&sw->fdb, key_n(6), 0), f->p.info.id);
}

static void test_a_change_takes_effect_at_once_and_forgets(void **state)
{
	struct fixture *f = *state;
	struct port_conf conf = conf_of(5, false, 0, 0);
	assert_int_equal(attach(f, &conf), 0);
	assert_true(may(f, 9));
	assert_int_equal(fdb_find(&f->fn.net->sw.fdb, key_n(9), 0), f->p.info.id);

	conf = conf_of(10, true, 11, 0);
	assert_int_equal(set(f, &conf, NULL), 0);
	assert_true(mac_equal(f->p.info.mac, mac_n(10)));
	assert_true(f->p.info.locked);
	assert_int_equal(fdb_find(&f->fn.net->sw.fdb, key_n(9), 0), PORT_NONE);
	assert_int_equal(fdb_find(&f->fn.net->sw.fdb, key_n(5), 0), PORT_NONE);
	assert_false(may(f, 5));
	assert_true(may(f, 10));
	assert_true(may(f, 11));
	assert_true(others_may(f, 5));
	assert_false(others_may(f, 11));

	conf = (struct port_conf){ .rules = { .given = RULE_MACS } }; /* only this */
	assert_int_equal(set(f, &conf, NULL), 0);
	assert_true(may(f, 10));
	assert_false(may(f, 11));
	assert_true(others_may(f, 11));

	conf = (struct port_conf){ .has_locked = true }; /* unlocked again */
	assert_int_equal(set(f, &conf, NULL), 0);
	assert_true(may(f, 12));
	assert_true(others_may(f, 10));
}

static void test_a_refused_change_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct port_conf conf = conf_of(5, true, 6, 0);
	struct fake_port r = { 0 };
	assert_int_equal(attach(f, &conf), 0);
	assert_int_equal(fake_attach(&f->fn, &r, "r", 20, false, NULL), 0);
	conf = conf_of(7, false, 8, 20);
	assert_int_equal(set(f, &conf, NULL), -EEXIST);
	conf = conf_of(HOST_MAC, false, 8, 0);
	assert_int_equal(set(f, &conf, NULL), -EEXIST);
	conf = conf_of(BROADCAST, false, 0, 0);
	assert_int_equal(set(f, &conf, NULL), -EINVAL);
	assert_true(may(f, 5) && may(f, 6));
	assert_false(may(f, 7) || may(f, 8));
	fake_detach(&r);
}

static void test_a_declared_lock_is_not_its_clients_to_loosen(void **state)
{
	struct fixture *f = *state;
	struct err err;
	struct command *cmd = fake_command(&f->fn, CMD_PORT_ADD);
	cmd->in.conf = conf_of(5, true, 6, 0);
	fake_run(&f->fn, cmd);
	assert_int_equal(cmd->err.code, 0);
	command_free(cmd);

	struct port_conf conf = conf_of(0, true, 7, 0);
	assert_int_equal(attach(f, &conf), -EACCES);
	conf.rules.given = 0;
	assert_int_equal(attach(f, &conf), 0);
	conf = (struct port_conf){ .has_locked = true };
	assert_int_equal(set(f, &conf, &err), -EACCES);
	assert_string_equal(err.text, "locked: port p was declared with what it may use; ask who "
				      "controls network lab");
	conf = (struct port_conf){ .mac_given = true, .mac = mac_n(8) };
	assert_int_equal(set(f, &conf, NULL), -EACCES);
	conf = conf_of(5, true, 7, 0);
	assert_int_equal(set(f, &conf, NULL), -EACCES);
	conf = conf_of(5, true, 6, 0); /* as it is */
	assert_int_equal(set(f, &conf, NULL), 0);
	assert_true(may(f, 5) && may(f, 6));

	conf = conf_of(8, true, 9, 0);
	conf.control = true;
	assert_int_equal(set(f, &conf, NULL), 0);
	fake_detach(&f->p);
	conf = (struct port_conf){ .name = "p", .kind = PORT_KIND_NATIVE };
	assert_int_equal(attach(f, &conf), 0); /* what control sets stays */
	assert_true(may(f, 8) && may(f, 9));
	assert_false(may(f, 5));
}

static void test_what_a_client_asks_for_goes_with_it(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = fake_command(&f->fn, CMD_PORT_ADD);
	cmd->in.conf = conf_of(0, false, 0, 0);
	fake_run(&f->fn, cmd);
	const struct feth_mac derived = cmd->out.port.mac;
	command_free(cmd);
	struct port_conf conf = { .name = "p", .kind = PORT_KIND_NATIVE };
	assert_int_equal(attach(f, &conf), 0);
	conf = conf_of(8, true, 9, 0);
	assert_int_equal(set(f, &conf, NULL), 0);
	assert_false(may(f, 7));
	fake_detach(&f->p);
	fake_send(&f->fn, &f->q, BROADCAST, 8, 'x');
	assert_int_equal(fdb_find(&f->fn.net->sw.fdb, key_n(8), 0), f->q.info.id);
	conf = (struct port_conf){ .name = "p", .kind = PORT_KIND_NATIVE };
	assert_int_equal(attach(f, &conf), 0);
	assert_true(mac_equal(f->p.info.mac, derived));
	assert_false(f->p.info.locked);
	assert_int_equal(f->p.info.rules.n_macs, 0);
	assert_true(may(f, 7));
}

static void test_locks_leave_half_of_the_table_to_learn_in(void **state)
{
	struct fixture *f = *state;
	struct port_conf conf = conf_of(5, true, 6, 0);
	struct fdb *fdb = &f->fn.net->sw.fdb;
	struct err err;
	for (unsigned i = 0; i < FDB_CAPACITY / FDB_STATIC_SHARE - 2; i++) /* the host's is there */
		assert_int_equal(fdb_add_static(fdb, 0x10000u + i, 1000), 0);
	assert_int_equal(fake_attach_conf(&f->fn, &f->p, &conf, &err), -ENOSPC);
	assert_string_equal(err.text,
		"lab: no room to lock a port to 2 more addresses; a network has 4096, and learns "
		"in as many");
	conf.rules.n_macs = 0;
	assert_int_equal(attach(f, &conf), 0);
	assert_true(may(f, 5));
	conf = conf_of(6, true, 0, 0); /* its own place is free for another of its own */
	assert_int_equal(set(f, &conf, NULL), 0);
	assert_true(may(f, 6));
	fdb_forget_port(fdb, 1000);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_port_is_locked_to_all_its_addresses),
		T(test_what_is_given_to_a_port_is_nobody_elses),
		T(test_given_addresses_are_known_before_they_send),
		T(test_a_change_takes_effect_at_once_and_forgets),
		T(test_a_refused_change_changes_nothing),
		T(test_a_declared_lock_is_not_its_clients_to_loosen),
		T(test_what_a_client_asks_for_goes_with_it),
		T(test_locks_leave_half_of_the_table_to_learn_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
