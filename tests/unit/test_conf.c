/* test_conf.c - server/conf: files of the configuration, what they declare, and what is wrong in
 * them, by line. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/conf/daemonfile.h"
#include "server/conf/keys.h"
#include "server/conf/lines.h"
#include "server/conf/netfile.h"
#include "server/core/apply.h"
#include "server/core/rules.h"

/* -- lines -- */

static char heard[1024];

static void hear(const char *kind, unsigned line, const char *a, const char *b)
{
	const size_t len = strlen(heard);
	snprintf(heard + len, sizeof(heard) - len, "%s%u:%s%s%s ", kind, line, a, b ? "=" : "",
		b ? b : "");
}

static void on_section(void *ctx, unsigned line, const char *name)
{
	(void)ctx;
	hear("s", line, name, NULL);
}

static void on_entry(void *ctx, unsigned line, const char *key, const char *value)
{
	(void)ctx;
	hear("e", line, key, value);
}

static void on_fault(void *ctx, unsigned line, const char *text)
{
	(void)ctx;
	(void)text;
	hear("f", line, "", NULL);
}

static const char *lines_of(const char *text, size_t len)
{
	static const struct lines_sink sink = { on_section, on_entry, on_fault };
	heard[0] = '\0';
	lines_read(text, len, &sink, NULL);
	return heard;
}

#define LINES(text, want) assert_string_equal(lines_of(text, sizeof(text) - 1), want)

static void test_lines_are_sections_and_entries(void **state)
{
	(void)state;
	LINES("[a]\nk = v\n", "s1:a e2:k=v ");
	LINES("\n\n  [a]  ; c\n\tk=v ; c\n# x\n; y\n", "s3:a e4:k=v ");
	LINES("[a]\r\nk = v w\r\n", "s1:a e2:k=v w ");
	LINES("\xef\xbb\xbf[a]\nk: v", "s1:a e2:k=v ");
	LINES("k = fd00::1/64", "e1:k=fd00::1/64 ");
	LINES("[port x y]", "s1:port x y ");
	LINES("", "");
}

static void test_each_wrong_line_is_found_by_its_number(void **state)
{
	(void)state;
	LINES("[a\n[b] c\nk\nk =\n= v\n[c]\n", "f1: f2: f3: f4: f5: s6:c ");
	LINES("k = \x01\nk = \xff\nk = a\0b\nk = v\n", "f1: f2: f3: e4:k=v ");
}

static void test_a_line_hangs_on_no_other(void **state)
{
	(void)state;
	LINES("k = v\n  w = x\n  y\n", "e1:k=v e2:w=x f3: ");
}

static void test_a_line_is_bounded(void **state)
{
	(void)state;
	char text[LINES_BYTES + 2], want[LINES_BYTES + 16];
	memset(text, 'v', sizeof(text));
	memcpy(text, "k=", 2);
	snprintf(want, sizeof(want), "e1:%.*s ", (int)LINES_BYTES, text);
	assert_string_equal(lines_of(text, LINES_BYTES), want);
	assert_string_equal(lines_of(text, LINES_BYTES + 1), "f1: ");
}

/* -- a network's file -- */

static struct netfile *read_text(const char *text, struct faults *faults)
{
	return netfile_read("lab", "lab.conf", text, strlen(text), faults);
}

/* The command that a file without faults stands for. */
static struct command *command_of(const char *text)
{
	struct faults faults = { 0 };
	struct netfile *nf = read_text(text, &faults);
	if (faults.n)
		print_message("%s: %s\n", text, faults.list[0].text);
	assert_non_null(nf);
	struct command *cmd = netfile_command(nf);
	assert_non_null(cmd);
	netfile_free(nf);
	faults_fini(&faults);
	return cmd;
}

static void test_every_key_of_a_network_is_its_field(void **state)
{
	(void)state;
	struct command *cmd = command_of("[network]\n"
					 "backend = veth\n"
					 "unit = 123\n"
					 "mtu = 9000\n"
					 "mac = 02:00:00:00:00:09\n"
					 "address = 10.0.0.1/24\n"
					 "address = fd00::1/64\n"
					 "up = no\n"
					 "multicast = strict\n"
					 "querier = on\n"
					 "too-big = on\n"
					 "dhcp = 10.0.0.50-10.0.0.60\n"
					 "nat = yes\n"
					 "bridge = br0\n"
					 "owner = anna\n"
					 "group = users\n"
					 "mode = 0640\n"
					 "allow = user:bob=attach,observe\n"
					 "allow = group:7=control\n"
					 "[defaults]\n"
					 "isolated = yes\n"
					 "cap = 1000\n");
	const struct network_want *w = &cmd->in.want;
	assert_int_equal(cmd->kind, CMD_NETWORK_APPLY);
	assert_string_equal(cmd->network, "lab");
	assert_string_equal(w->name, "lab");
	assert_string_equal(w->backend, "veth");
	assert_true(w->has_unit && w->unit == 123);
	assert_true(w->has_mtu && w->mtu == 9000);
	assert_true(w->has_mac && w->mac.b[5] == 9);
	assert_true(w->has_addrs && w->n_addrs == 2);
	assert_int_equal(w->addrs[1].family, 6);
	assert_true(w->has_up && !w->up);
	assert_true(w->has_bridge && !strcmp(w->bridge, "br0"));
	assert_true(w->has_multicast && w->multicast == MCAST_STRICT);
	assert_true(w->has_querier && w->querier);
	assert_true(w->has_too_big && w->too_big);
	assert_true(w->has_dhcp && w->dhcp.on && w->dhcp.given);
	assert_true(w->has_nat && w->nat);
	assert_true(w->has_owner && w->has_group);
	assert_string_equal(w->owner, "anna");
	assert_string_equal(w->group, "users");
	assert_true(w->has_mode && w->mode == 0640);
	assert_true(w->has_allow && w->n_allow == 2);
	assert_string_equal(w->allow[0].name, "bob");
	assert_int_equal(w->allow[0].rights, RIGHT_ATTACH | RIGHT_OBSERVE);
	assert_true(w->allow[1].group && w->allow[1].rights == RIGHT_CONTROL);
	assert_true(w->has_defaults && w->defaults.isolated && w->defaults.cap == 1000);
	assert_false(w->save);
	assert_int_equal(cmd->apply->n_ports, 0);
	assert_false(cmd->apply->replace);
	command_free(cmd);
}

static void test_every_key_of_a_port_is_its_field(void **state)
{
	(void)state;
	struct command *cmd = command_of("[port a]\n"
					 "kind = qemu\n"
					 "mac = 02:00:00:00:00:0a\n"
					 "locked = yes\n"
					 "isolated = yes\n"
					 "up = no\n"
					 "cap = 1500\n"
					 "queue = 8192\n"
					 "rx-rate = 1000\n"
					 "tx-rate = 2000\n"
					 "storm = 3\n"
					 "vlan = native=1,tagged=10,20-29\n"
					 "vlan = tagged=40\n"
					 "macs = 02:00:00:00:00:0b\n"
					 "macs = 02:00:00:00:00:0c\n"
					 "[network]\n"
					 "[port b]\n"
					 "kind = native\n");
	const struct apply *a = cmd->apply;
	assert_int_equal(a->n_ports, 2);
	assert_string_equal(a->ports[0].name, "a");
	assert_int_equal(a->ports[0].kind, PORT_KIND_QEMU);
	assert_true(a->ports[0].mac_given && a->ports[0].mac.b[5] == 0x0a);
	assert_true(a->ports[0].locked);
	assert_true(a->ports[0].rules.given & RULE_ISOLATED && a->ports[0].rules.isolated);
	assert_true(a->ports[0].rules.given & RULE_UP && !a->ports[0].rules.up);
	assert_true(a->ports[0].rules.given & RULE_CAP && a->ports[0].rules.cap == 1500);
	assert_int_equal(a->ports[0].rules.queue, 8192);
	assert_int_equal(a->ports[0].rules.rx_rate, 1000);
	assert_int_equal(a->ports[0].rules.tx_rate, 2000);
	assert_int_equal(a->ports[0].rules.storm, 3);
	const struct vlan_rule *vlan = &a->ports[0].rules.vlan;
	assert_true(vlan->kind == VLAN_TRUNK && vlan->native == 1 && vlan->n == 3);
	assert_true(vlan->tagged[1].from == 20 && vlan->tagged[1].to == 29);
	assert_int_equal(vlan->tagged[2].from, 40);
	assert_int_equal(a->ports[0].rules.n_macs, 2);
	assert_string_equal(a->ports[1].name, "b");
	assert_int_equal(a->ports[1].kind, PORT_KIND_NATIVE);
	assert_int_equal(a->ports[1].rules.given, 0);
	command_free(cmd);
}

static void test_a_port_of_kind_tap_has_an_interface(void **state)
{
	(void)state;
	struct command *cmd = command_of("[network]\n"
					 "[port box]\n"
					 "ifname = eth0\n"
					 "kind = tap\n"
					 "netns = /proc/7/ns/net\n");
	const struct port_conf *conf = &cmd->apply->ports[0];
	assert_int_equal(conf->kind, PORT_KIND_TAP);
	assert_string_equal(conf->tap.ifname, "eth0");
	assert_string_equal(conf->tap.netns, "/proc/7/ns/net");
	command_free(cmd);
}

static void test_a_port_may_call(void **state)
{
	(void)state;
	struct command *cmd = command_of("[network]\n"
					 "[port up]\n"
					 "connect = /run/a socket\n"
					 "kind = qemu\n");
	assert_int_equal(cmd->apply->ports[0].kind, PORT_KIND_QEMU);
	assert_string_equal(cmd->apply->ports[0].dial.connect, "/run/a socket");
	command_free(cmd);
	cmd = command_of("[network]\n"
			 "[port vpcs]\n"
			 "kind = udp\n"
			 "local = 127.0.0.1:10001\n"
			 "remote = 127.0.0.1:10002\n");
	assert_int_equal(cmd->apply->ports[0].kind, PORT_KIND_UDP);
	assert_string_equal(cmd->apply->ports[0].dial.local, "127.0.0.1:10001");
	assert_string_equal(cmd->apply->ports[0].dial.remote, "127.0.0.1:10002");
	command_free(cmd);
}

static void test_words_of_truth(void **state)
{
	(void)state;
	static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false",
		"off" };
	for (unsigned i = 0; i < 3; i++) {
		char text[64];
		snprintf(text, sizeof(text), "[network]\nup = %s\ndhcp = %s\n", yes[i], no[i]);
		struct command *cmd = command_of(text);
		assert_true(cmd->in.want.up);
		assert_true(cmd->in.want.has_dhcp && !cmd->in.want.dhcp.on);
		command_free(cmd);
	}
}

/* The faults of a text, as "line:words line:words". */
static void faulty(const char *text, unsigned n, const unsigned *lines, const char *const *words)
{
	struct faults faults = { 0 };
	struct netfile *nf = read_text(text, &faults);
	assert_null(nf);
	for (unsigned i = 0; i < faults.n; i++)
		if (faults.n != n || i >= n || faults.list[i].line != lines[i] ||
			!strstr(faults.list[i].text, words[i]))
			print_message(
				"%s\n %u: %s\n", text, faults.list[i].line, faults.list[i].text);
	assert_int_equal(faults.n, n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(faults.list[i].line, lines[i]);
		assert_non_null(strstr(faults.list[i].text, words[i]));
		assert_string_equal(faults.list[i].file, "lab.conf");
	}
	faults_fini(&faults);
}

#define FAULT(text, line, words)                                                                   \
	faulty(text, 1, &(const unsigned){ line }, &(const char *){ words })
#define N "[network]\n"

static void test_every_wrong_value_is_found_in_its_line(void **state)
{
	(void)state;
	FAULT(N "backend = a-name-that-is-too-long", 2, "backend: ");
	FAULT(N "unit = x", 2, "unit: must be a whole number");
	FAULT(N "unit = 99999999999", 2, "unit: ");
	FAULT(N "unit = 99999999999999999999999", 2, "unit: must be a whole number");
	FAULT(N "mtu = -1", 2, "mtu: must be a whole number");
	FAULT(N "\nmtu = 1500 # as usual", 3, "mtu: must be a whole number");
	FAULT(N "mac = 02:00", 2, "mac: a MAC address looks like");
	FAULT(N "mac = ff:ff:ff:ff:ff:ff", 2, "mac: this is a group address");
	FAULT(N "address = 10.0.0.1/24\naddress = 10.0.0.1", 3, "address: 10.0.0.1: ");
	FAULT(N "up = maybe", 2, "up: must be yes or no");
	FAULT(N "multicast = some", 2, "multicast: must be snoop");
	FAULT(N "querier = 1", 2, "querier: must be yes or no");
	FAULT(N "dhcp = some", 2, "dhcp: ");
	FAULT(N "nat = 10.0.0.1", 2, "nat: must be yes or no");
	FAULT(N "bridge = yes", 2, "bridge: must be the name of a bridge");
	FAULT(N "bridge = br/0", 2, "bridge: an interface's name");
	FAULT(N "group = a-group-whose-name-is-much-too-long", 2, "group: ");
	FAULT(N "owner = a-user-whose-name-is-very-much-too-long", 2, "owner: ");
	FAULT(N "mode = 999", 2, "mode: ");
	FAULT(N "allow = anna", 2, "allow: ");
	FAULT(N "allow = user:anna=attach\nallow = user:bob=all", 3, "allow: ");
	FAULT(N "[defaults]\ncap = 1", 3, "cap: ");
	FAULT(N "[defaults]\nup = x", 3, "up: must be yes or no");
	FAULT(N "[port a]\nkind = tun", 3,
		"kind: must be native, qemu, tap, dgram, seqpacket, vde or udp");
	FAULT(N "[port a]\nkind = tap", 3, "needs the name of its interface");
	FAULT(N "[port a]\nkind = tap\nifname = a/b", 4, "ifname: an interface's name");
	FAULT(N "[port a]\nkind = tap\nifname = a-name-of-sixteen", 4,
		"ifname: an interface's name");
	FAULT(N "[port a]\nkind = tap\nifname = a\nnetns = b/c", 5, "netns: must be a name");
	FAULT(N "[port a]\nkind = tap\nnetns = box", 3, "needs the name of its interface");
	FAULT(N "[port a]\nkind = tap\nifname = a\nmac = 1", 5, "mac: a MAC address");
	FAULT(N "[port a]\nkind = qemu\nifname = a", 4, "ifname: only ports of kind tap");
	FAULT(N "[port a]\nkind = qemu\nconnect = a", 4, "connect: must be the absolute path");
	FAULT(N "[port a]\nconnect = tcp:localhost:1\nkind = qemu", 3, "connect: give an address");
	FAULT(N "[port a]\nkind = native\nconnect = /a", 4, "connect: only ports of kind qemu");
	FAULT(N "[port a]\nkind = qemu\nlocal = 127.0.0.1:1", 4, "local: only ports of kind udp");
	FAULT(N "[port a]\nkind = udp", 3, "needs both");
	FAULT(N "mtu = x\n[port a]\nkind = udp\nlocal = [::1]:1\nremote = [::1]:2", 2, "mtu: ");
	FAULT(N "mtu = x\n[port a]\nkind = udp\nlocal = 127.0.0.1:2\nremote = 127.0.0.1:1", 2,
		"mtu: ");
	FAULT(N "[port a]\nkind = udp\nlocal = 127.0.0.1:1", 3, "needs both");
	FAULT(N "[port a]\nkind = udp\nlocal = 127.0.0.1:1\nremote = x:1", 5,
		"remote: give an address");
	FAULT(N "[port a]\nkind = udp\nlocal = 127.0.0.1\nremote = 127.0.0.1:1", 4,
		"local: a port of 1");
	FAULT(N "[port a]\nkind = qemu\nmac = 1", 4, "mac: a MAC address");
	FAULT(N "[port a]\nkind = qemu\nlocked = 7", 4, "locked: must be yes or no");
	FAULT(N "[port a]\nkind = qemu\nvlan = 4095", 4, "vlan: must be a VLAN of 1 to 4094");
	FAULT(N "[port a]\nkind = qemu\nvlan = ten", 4, "vlan: must be a VLAN such as 10");
	FAULT(N "[port a]\nkind = qemu\nvlan = native=", 4, "vlan: must be a VLAN such as 10");
	FAULT(N "[port a]\nkind = qemu\nvlan = tagged=", 4, "vlan: must be a VLAN such as 10");
	FAULT(N "[port a]\nkind = qemu\nvlan = tagged=1,", 4, "vlan: must be a VLAN such as 10");
	FAULT(N "[port a]\nkind = qemu\nvlan = native=1,", 4, "vlan: must be a VLAN such as 10");
	FAULT(N "[port a]\nkind = qemu\nvlan = tagged=20-10", 4, "vlan: tagged must be");
	FAULT(N "[port a]\nkind = qemu\nvlan = 10\nvlan = 20", 4, "vlan: tagged must be");
	FAULT(N "[port a]\nkind = qemu\nqueue = 1", 4, "queue: ");
	FAULT(N "[port a]\nkind = qemu\nrx-rate = 1M", 4, "rx-rate: must be a whole number");
	FAULT(N "[port a]\nkind = qemu\ntx-rate = -1", 4, "tx-rate: must be a whole number");
	FAULT(N "[port a]\nkind = qemu\nstorm = 4294967296", 4, "storm: ");
	FAULT(N "[port a]\nkind = qemu\nmacs = 1", 4, "macs: ");
	FAULT(N "[port a]\nkind = qemu\ncap = 99999999", 4, "cap: 99999999 is out of range");
}

static void test_what_does_not_fit_together_is_found(void **state)
{
	(void)state;
	FAULT(N "mtu = 1500\nmtu = 1400", 3, "mtu is given twice; the first time in line 2");
	FAULT(N "address = 10.0.0.1/24\naddress = 10.0.0.1/24", 2, "is given twice");
	FAULT(N "[network]", 2, "is there already, in line 1");
	FAULT(N "[port a]\nkind = qemu\n[port A]\nkind = qemu", 4, "is there already, in line 2");
	FAULT(N "[defaults]\n[defaults]", 3, "is there already, in line 2");
	FAULT(N "[port a]", 2, "kind: must be native, qemu, tap, dgram, seqpacket, vde or udp");
	FAULT(N "[port a]\nkind = qemu\nmac = 02:00:00:00:00:01\n[port b]\nkind = qemu\n"
		"mac = 02:00:00:00:00:01",
		7, "port a has this address");
}

static void test_unknown_keys_and_sections_are_faults(void **state)
{
	(void)state;
	FAULT(N "mtuu = 1", 2, "there is no key mtuu in [network]");
	FAULT(N "locked = yes", 2, "there is no key locked in [network]");
	FAULT(N "[port a]\nkind = qemu\nmtu = 9000", 4, "there is no key mtu in [port NAME]");
	FAULT(N "[defaults]\nmac = 02:00:00:00:00:01", 3, "there is no key mac in [defaults]");
	FAULT(N "[ports]\na = 1\nb = 2", 2, "there is no section [ports]");
	FAULT(N "[port]\n", 2, "there is no section [port]");
	FAULT(N "[port a b]\nkind = qemu", 2, "a port's name is a letter");
	FAULT(N "[port host]\nkind = qemu", 2, "and not host");
	FAULT("mtu = 1500\n" N, 1, "mtu is in no section");
	FAULT("", 1, "there is no section [network]");
	FAULT("# nothing\n", 1, "there is no section [network]");
}

static void test_all_faults_are_found(void **state)
{
	(void)state;
	static const unsigned lines[] = { 2, 4, 6, 3, 8 };
	static const char *const words[] = { "mtu: ", "there is no key colour", "this is neither",
		"mac: ", "cap: " };
	faulty(N "mtu = x\nmac = 1\ncolour = red\nup = no\nnonsense\n[port a]\ncap = 3\nkind = "
		 "qemu\n",
		5, lines, words);
}

static void test_faults_are_counted_beyond_what_is_kept(void **state)
{
	(void)state;
	char text[4096] = N;
	struct faults faults = { 0 };
	struct err err = { 0 };
	for (unsigned i = 0; i < FAULTS_MAX + 10; i++)
		strcat(text, "what = ever\n");
	assert_null(read_text(text, &faults));
	assert_int_equal(faults.n, FAULTS_MAX + 10);
	assert_int_equal(faults_err(&faults, &err), -EINVAL);
	assert_string_equal(err.text,
		"lab.conf:2: there is no key what in [network]; fethd.conf(5) lists them (and 73 "
		"more; fethd --check-config shows them)");
	faults_fini(&faults);
}

static void test_files_are_bounded(void **state)
{
	(void)state;
	struct faults faults = { 0 };
	char *text = calloc(1, NETFILE_BYTES + 2);
	memset(text, '\n', NETFILE_BYTES + 1);
	memcpy(text, N, sizeof(N) - 1);
	struct netfile *nf = netfile_read("lab", "f", text, NETFILE_BYTES, &faults);
	assert_non_null(nf);
	netfile_free(nf);
	assert_null(netfile_read("lab", "f", text, NETFILE_BYTES + 1, &faults));
	assert_non_null(strstr(faults.list[0].text, "65536"));
	faults_fini(&faults);
	free(text);
}

static void test_files_that_say_the_same_are_the_same(void **state)
{
	(void)state;
	struct faults faults = { 0 };
	struct netfile *a = read_text(N "mtu = 9000\nup = yes\n", &faults);
	struct netfile *b =
		read_text("# big\n[network]\n\nmtu=9000 ; frames\n up = true\n", &faults);
	struct netfile *c = read_text(N "mtu = 9000\nup = no\n", &faults);
	assert_true(netfile_same(a, b));
	assert_false(netfile_same(a, c));
	netfile_free(a);
	netfile_free(b);
	netfile_free(c);
}

static void test_a_sentence_leads_to_its_line(void **state)
{
	(void)state;
	struct faults faults = { 0 };
	struct netfile *nf = read_text(
		"\n[network]\nmtu = 9\naddress = 10.0.0.1/24\n[port p]\nkind = qemu\ncap = 900\n",
		&faults);
	assert_non_null(nf);
	assert_int_equal(netfile_line(nf, "mtu: 9 is out of range"), 3);
	assert_int_equal(netfile_line(nf, "lab: mtu: 9 is out of range"), 3);
	assert_int_equal(netfile_line(nf, "addresses: too many"), 4);
	assert_int_equal(netfile_line(nf, "lab: something else"), 2);
	assert_int_equal(netfile_line(nf, "port p: cap: no"), 7);
	assert_int_equal(netfile_line(nf, "port p: no"), 5);
	assert_int_equal(netfile_line(nf, "port q: no"), 2);
	netfile_free(nf);
}

/* A field that a method takes and no file can say would be lost by a save. */
static void test_every_field_of_the_methods_has_a_key(void **state)
{
	(void)state;
	static const struct {
		const char *method, *field;
	} fields[] = {
#define FIELD(symbol, name, type, needed, summary) { #symbol, name },
#include "protocol/fields.def"
#undef FIELD
	};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const bool network = !strcmp(fields[i].method, "NETWORK_APPLY");
		const char *f = fields[i].field;
		if (!network && strcmp(fields[i].method, "PORT_ADD") != 0)
			continue;
		if (!strcmp(f, "network") || !strcmp(f, "name") || !strcmp(f, "save") ||
			!strcmp(f, "replace") || !strcmp(f, "ports") || !strcmp(f, "defaults"))
			continue; /* of the call itself, or sections */
		const struct key *key = network ? keys_network : keys_port;
		while (key->name && strcmp(key->field, f) != 0)
			key++;
		if (!key->name)
			print_message("server/conf/keys.c has no key for %s of %s\n", f,
				fields[i].method);
		assert_non_null(key->name);
	}
}

/* -- what is written -- */

static struct network_facts standard_facts(void)
{
	struct network_facts f = { .has_host = true, .backend = "veth", .unit = 321 };
	strcpy(f.spec.network, "lab");
	f.spec.mtu = 1500;
	f.spec.up = true;
	f.spec.mac = (struct feth_mac){ { 2, 0, 0, 0, 0, 1 } };
	return f;
}

static struct port_info standard_port(const char *name)
{
	struct port_info p = { .kind = PORT_KIND_QEMU, .declared = true, .mtu = 1500 };
	strcpy(p.name, name);
	p.mac = (struct feth_mac){ { 2, 0, 0, 0, 0, 2 } };
	p.rules = rules_builtin;
	p.cap = 1518;
	return p;
}

static void test_only_what_differs_is_written(void **state)
{
	(void)state;
	const struct network_facts standard = standard_facts();
	struct network_facts now = standard;
	struct err err;
	char *text = netfile_write(&now, &standard, NULL, NULL, 0, &err);
	assert_string_equal(strchr(text, '\n') + 1, "[network]\nbackend = veth\nunit = 321\n");
	free(text);

	const char *why;
	now.spec.mtu = 9000;
	now.spec.up = false;
	now.spec.n_addrs = 2;
	assert_true(cidr_parse(&now.spec.addrs[0], "10.0.0.1/24", &why));
	assert_true(cidr_parse(&now.spec.addrs[1], "fd00::1/64", &why));
	now.access.n_allow = 1;
	now.access.allow[0].allow =
		(struct allow){ .rights = RIGHT_ATTACH | RIGHT_OBSERVE, .name = "bob" };
	now.defaults.given = RULE_ISOLATED;
	now.defaults.isolated = true;
	const struct port_info ports[] = { standard_port("a"), standard_port("b") };
	struct port_info is[] = { ports[0], ports[1] };
	is[0].locked = true;
	is[0].mac.b[5] = 9;
	text = netfile_write(&now, &standard, is, ports, 2, &err);
	assert_string_equal(strchr(text, '\n') + 1,
		"[network]\nbackend = veth\nunit = 321\nmtu = 9000\naddress = 10.0.0.1/24\n"
		"address = fd00::1/64\nup = no\nallow = "
		"user:bob=attach,observe\n\n[defaults]\nisolated = yes\n\n[port a]\n"
		"kind = qemu\nmac = 02:00:00:00:00:09\nlocked = yes\n\n[port b]\nkind = qemu\n");

	struct command *cmd = command_of(text); /* what is written is read */
	assert_int_equal(cmd->in.want.mtu, 9000);
	assert_int_equal(cmd->apply->n_ports, 2);
	assert_true(cmd->apply->ports[0].locked);
	command_free(cmd);
	free(text);
}

/* The vlan lines of a port that has been written, and what is read from them. */
static void written_vlan(const struct vlan_rule *rule, const char *lines)
{
	const struct network_facts facts = standard_facts();
	const struct port_info standard = standard_port("a");
	struct port_info is = standard;
	struct err err;
	is.rules.vlan = *rule;
	char *text = netfile_write(&facts, &facts, &is, &standard, 1, &err);
	assert_non_null(text);
	const char *from = strstr(text, "kind = qemu\n");
	assert_non_null(from);
	assert_string_equal(from + strlen("kind = qemu\n"), lines);
	struct command *cmd = command_of(text);
	if (rule->kind != VLAN_TRANSPARENT)
		assert_true(vlan_same(&cmd->apply->ports[0].rules.vlan, rule));
	command_free(cmd);
	free(text);
}

static void test_vlans_are_written_as_they_are_read(void **state)
{
	(void)state;
	written_vlan(&(struct vlan_rule){ .kind = VLAN_TRANSPARENT }, "");
	written_vlan(&(struct vlan_rule){ .kind = VLAN_ACCESS, .native = 10 }, "vlan = 10\n");
	written_vlan(
		&(struct vlan_rule){ .kind = VLAN_TRUNK, .native = 4094 }, "vlan = native=4094\n");
	struct vlan_rule rule = { .kind = VLAN_TRUNK };
	assert_int_equal(vlan_add(&rule, 10, 10), 0);
	assert_int_equal(vlan_add(&rule, 20, 29), 0);
	written_vlan(&rule, "vlan = tagged=10,20-29\n");
	rule.native = 1;
	written_vlan(&rule, "vlan = native=1,tagged=10,20-29\n");
	rule.n = 0;
	for (unsigned i = 0; i < VLAN_RANGES; i++) /* more than a line has room for */
		assert_int_equal(vlan_add(&rule, 1000 + 10 * i, 1005 + 10 * i), 0);
	written_vlan(&rule,
		"vlan = "
		"native=1,tagged=1000-1005,1010-1015,1020-1025,1030-1035,1040-1045,1050-1055,"
		"1060-1065,1070-1075,1080-1085,1090-1095,1100-1105,1110-1115\n"
		"vlan = "
		"tagged=1120-1125,1130-1135,1140-1145,1150-1155,1160-1165,1170-1175,1180-1185,"
		"1190-1195,1200-1205,1210-1215,1220-1225,1230-1235\n"
		"vlan = "
		"tagged=1240-1245,1250-1255,1260-1265,1270-1275,1280-1285,1290-1295,1300-1305,"
		"1310-1315\n");
}

static void test_a_key_may_be_repeated_so_often(void **state)
{
	(void)state;
	char text[4096] = N;
	struct faults faults = { 0 };
	for (unsigned i = 0; i < 129; i++)
		strcat(text, "allow = user:1=attach\n");
	assert_null(read_text(text, &faults));
	assert_non_null(strstr(faults.list[0].text, "allow is given too often"));
	assert_int_equal(faults.list[0].line, 130);
	faults_fini(&faults);
}

/* -- fethd.conf -- */

static struct daemon_settings daemon_of(const char *text, struct faults *faults)
{
	struct daemon_settings s = { 0 };
	daemonfile_read(&s, "fethd.conf", text, strlen(text), faults);
	return s;
}

static void test_every_setting_of_the_daemon(void **state)
{
	(void)state;
	struct faults faults = { 0 };
	const struct daemon_settings s =
		daemon_of("[daemon]\nadmin-group = net\nunit-base = 22768\n"
			  "control-mode = 0666\n"
			  "log-level = debug\nrootless = yes\n",
			&faults);
	assert_int_equal(faults.n, 0);
	assert_string_equal(s.admin_group, "net");
	assert_true(s.has_unit_base && s.unit_base == 22768);
	assert_int_equal(s.control_mode, 0666);
	assert_true(s.has_level && s.level == LOG_DEBUG);
	assert_true(s.has_rootless && s.rootless);
	(void)daemon_of("", &faults);
	assert_int_equal(faults.n, 0);
}

static void test_wrong_settings_of_the_daemon(void **state)
{
	(void)state;
	struct faults faults = { 0 };
	(void)daemon_of("unit-base = 1\n[daemon]\nunit-base = 22769\nlog-level = loud\n"
			"rootless = perhaps\nrun-dir = /x\nadmin-group = "
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
			"unit-base = 1\nnonsense\n[network]\nmtu = 1\n[daemon]\n"
			"control-mode = 0400\n",
		&faults);
	static const unsigned lines[] = { 1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13 };
	assert_int_equal(faults.n, 11);
	for (unsigned i = 0; i < 11; i++)
		assert_int_equal(faults.list[i].line, lines[i]);
	faults_fini(&faults);
}

static void test_options_go_over_the_file(void **state)
{
	(void)state;
	struct daemon_settings over = { .has_level = true, .level = LOG_WARN };
	const struct daemon_settings under = { .has_level = true,
		.level = LOG_DEBUG,
		.has_unit_base = true,
		.unit_base = 7,
		.admin_group = "g" };
	daemon_settings_merge(&over, &under);
	assert_int_equal(over.level, LOG_WARN);
	assert_true(over.has_unit_base && over.unit_base == 7);
	assert_string_equal(over.admin_group, "g");
	assert_false(over.has_rootless);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_sections_and_entries),
		cmocka_unit_test(test_each_wrong_line_is_found_by_its_number),
		cmocka_unit_test(test_a_line_hangs_on_no_other),
		cmocka_unit_test(test_a_line_is_bounded),
		cmocka_unit_test(test_every_key_of_a_network_is_its_field),
		cmocka_unit_test(test_every_key_of_a_port_is_its_field),
		cmocka_unit_test(test_a_port_of_kind_tap_has_an_interface),
		cmocka_unit_test(test_a_port_may_call),
		cmocka_unit_test(test_words_of_truth),
		cmocka_unit_test(test_every_wrong_value_is_found_in_its_line),
		cmocka_unit_test(test_what_does_not_fit_together_is_found),
		cmocka_unit_test(test_unknown_keys_and_sections_are_faults),
		cmocka_unit_test(test_all_faults_are_found),
		cmocka_unit_test(test_faults_are_counted_beyond_what_is_kept),
		cmocka_unit_test(test_files_are_bounded),
		cmocka_unit_test(test_files_that_say_the_same_are_the_same),
		cmocka_unit_test(test_a_sentence_leads_to_its_line),
		cmocka_unit_test(test_every_field_of_the_methods_has_a_key),
		cmocka_unit_test(test_only_what_differs_is_written),
		cmocka_unit_test(test_vlans_are_written_as_they_are_read),
		cmocka_unit_test(test_a_key_may_be_repeated_so_often),
		cmocka_unit_test(test_every_setting_of_the_daemon),
		cmocka_unit_test(test_wrong_settings_of_the_daemon),
		cmocka_unit_test(test_options_go_over_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
