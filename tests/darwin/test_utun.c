/* test_utun.c - the tun backend of macOS on the simulated kernel: what becomes of the interface,
 * and packets both ways. What the glue says and when: unit/test_l3glue.c. */
#include "tests/support/test.h"

#include <errno.h>

#include "tests/support/l3rig.h"

#include "server/hostif/backends.h"
#include "tests/darwin/sim_priv.h"

static struct sim *sim;
static struct sim_proc *us;
static struct hostif_spec spec;
static struct hostif *hif;
static struct err err;
static uint8_t buf[4u << 20];

static int begin(void **state)
{
	(void)state;
	sim = sim_new(SIM_15);
	us = sim_proc_new(sim, 0);
	sim_become(us);
	spec = (struct hostif_spec){ .network = "lab",
		.host = "utun10100",
		.mac = mac_n(HOST_MAC),
		.mtu = 9000,
		.up = true,
		.n_addrs = 2,
		.addrs = { { 4, 24, { 10, 0, 0, 1 } }, { 6, 64, { 0xfd, [15] = 1 } } } };
	hif = NULL;
	return 0;
}

static int end(void **state)
{
	(void)state;
	hostif_utun.close(hif);
	sim_free(sim);
	return 0;
}

static void make(void)
{
	struct hostif_made made;
	assert_int_equal(hostif_utun.make(&spec, &made, &err), 0);
	assert_int_equal(hostif_utun.open(&hif, &made, &spec, &err), 0);
}

static struct sim_if_info look(void)
{
	struct sim_if_info info;
	assert_true(sim_interface(sim, spec.host, &info));
	return info;
}

static void assert_addresses(const char *want)
{
	char text[500];
	(void)sim_addresses(sim, spec.host, text, sizeof(text));
	assert_string_equal(text, want);
}

static const struct sim_ifnet *ifnet(void)
{
	return sim_ifnet_find(sim, spec.host);
}

static void test_the_interface_is_as_declared_and_goes_with_its_socket(void **state)
{
	(void)state;
	struct sim_if_info info;
	assert_true(hostif_utun.allowed());
	assert_true(hostif_utun.name_free(spec.host));
	make();
	assert_int_equal(look().mtu, 9000);
	assert_true(look().flags & DW_IFF_UP);
	assert_addresses("10.0.0.1/24\nfd00::1/64\nfe80::ff:fe00:ee/64\n");
	assert_int_equal(ifnet()->n_routes, 1);
	assert_memory_equal(ifnet()->routes[0].net, "\x0a\0\0\0", 4);
	assert_memory_equal(ifnet()->routes[0].mask, "\xff\xff\xff\0", 4);
	assert_false(hostif_utun.name_free(spec.host));
	assert_true(hostif_utun.whole(&spec));
	assert_true(hostif_utun.carrier(&spec));
	hostif_utun.close(hif);
	hif = NULL;
	assert_false(sim_interface(sim, spec.host, &info));
	assert_false(hostif_utun.whole(&spec));
	make();
	sim_proc_exit(us); /* a crash */
	us = sim_proc_new(sim, 0);
	sim_become(us);
	assert_false(sim_interface(sim, spec.host, &info));
}

static void test_one_of_another_program_is_left_alone(void **state)
{
	(void)state;
	struct hostif_made made;
	struct sim_proc *other = sim_proc_new(sim, 0);
	sim_become(other);
	assert_int_equal(hostif_utun.make(&spec, &made, &err), 0);
	sim_become(us);
	assert_int_equal(hostif_utun.make(&spec, &made, &err), -EEXIST);
	assert_non_null(strstr(err.text, "utun10100"));
	assert_int_equal(look().mtu, 9000);
}

static void test_who_is_not_root_hears_what_to_do(void **state)
{
	(void)state;
	struct hostif_made made;
	sim_become(sim_proc_new(sim, 501));
	assert_false(hostif_utun.allowed());
	assert_int_equal(hostif_utun.make(&spec, &made, &err), -EPERM);
	assert_string_equal(err.text,
		"lab: cannot make interface utun10100 (connect): Operation not "
		"permitted: needs root; run fethd as root");
}

static void test_changes_are_made_whole_or_not_at_all(void **state)
{
	(void)state;
	make();
	struct hostif_spec want = spec;
	want.mtu = 1400;
	want.mac = mac_n(0xdd);
	want.up = false;
	want.addrs[0] = (struct cidr){ 4, 16, { 172, 16, 0, 9 } };
	sim_knobs(sim)->fail_after = 1;
	sim_knobs(sim)->fail_errno = DW_EPERM;
	strcpy(sim_knobs(sim)->fail_call, "SIOCAIFADDR");
	assert_int_equal(hostif_utun.change(&spec, &want, &err), -EPERM);
	assert_int_equal(look().mtu, 9000);
	assert_true(look().flags & DW_IFF_UP);
	assert_addresses("10.0.0.1/24\nfd00::1/64\nfe80::ff:fe00:ee/64\n");
	assert_int_equal(ifnet()->n_routes, 1);
	assert_int_equal(hostif_utun.change(&spec, &want, &err), 0);
	assert_int_equal(look().mtu, 1400);
	assert_false(look().flags & DW_IFF_UP);
	assert_false(hostif_utun.carrier(&spec));
	assert_addresses("172.16.0.9/16\nfd00::1/64\nfe80::ff:fe00:dd/64\n");
	assert_int_equal(ifnet()->n_routes, 1);
	assert_memory_equal(ifnet()->routes[0].net, "\xac\x10\0\0", 4);
	want.mtu = 1279;
	assert_int_equal(hostif_utun.change(&spec, &want, &err), -EINVAL);
}

/* What recv() gives, in words. */
static const char *received(char *out, size_t size)
{
	struct frame frames[HOSTIF_BATCH];
	struct hostif_lost lost;
	size_t at = 0;
	out[0] = '\0';
	hostif_utun.tick(hif, 1000, &lost);
	for (;;) {
		const int n = hostif_utun.recv(hif, frames, HOSTIF_BATCH, buf, sizeof(buf));
		assert_true(n >= 0);
		for (int i = 0; i < n; i++, at = strlen(out))
			l3rig_tell(&frames[i], out + at, size - at);
		if (!n && !hostif_utun.more(hif))
			return out;
	}
}

static struct frame packet(uint8_t *b, bool v6, unsigned dst, unsigned src, char tag)
{
	const struct packet p = {
		.v6 = v6, .dst = dst, .src = src, .payload = (uint8_t *)&tag, .len = 1
	};
	return packet_make(&p, b, false);
}

static void test_packets_become_frames_and_frames_packets(void **state)
{
	(void)state;
	char words[1000];
	uint8_t b[PACKET_HEADERS + 1], got[PACKET_HEADERS + 1];
	make();
	(void)received(words, sizeof(words)); /* it looks for its own addresses */
	assert_non_null(strstr(words, "all: arp who has 1 from 0; "));
	for (char tag = 'a'; tag < 'd'; tag++) {
		const struct frame f = packet(b, false, 7, 1, tag);
		assert_int_equal(sim_utun_output(sim, spec.host, f.head + 14, f.len - 14), 0);
	}
	assert_string_equal(received(words, sizeof(words)), "all: arp who has 7 from 1; ");
	uint8_t arp[60] = { 2, 0, 0, 0, 0, HOST_MAC, 2, 0, 0, 0, 0, 7, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2,
		2, 0, 0, 0, 0, 7, 10, 0, 0, 7, 2, 0, 0, 0, 0, HOST_MAC, 10, 0, 0, 1 };
	struct frame f = { .head = arp, .head_len = 60, .len = 60 };
	assert_int_equal(hostif_utun.send(hif, &f, 1), 1);
	assert_true(hostif_utun.more(hif));
	assert_string_equal(received(words, sizeof(words)), "7: ip a; 7: ip b; 7: ip c; ");
	for (unsigned v6 = 0; v6 < 2; v6++) {
		f = packet(b, v6, 1, 7, 'x');
		memcpy(b, mac_n(HOST_MAC).b, 6);
		/* and in pieces */
		const struct seg more = { b + 20, f.len - 20 };
		struct frame two = {
			.head = b, .head_len = 20, .len = f.len, .more = &more, .more_n = 1
		};
		struct frame both[2] = { f, two };
		assert_int_equal(hostif_utun.send(hif, both, 2), 2);
		for (unsigned i = 0; i < 2; i++) {
			const size_t n = sim_host_input(sim, spec.host, got, sizeof(got));
			assert_int_equal(n, f.len - 14);
			assert_memory_equal(got, b + 14, n);
		}
	}
	uint8_t other[60] = { [5] = 9, [12] = 0x08, 0, 0x45 }; /* was flooded */
	f = (struct frame){ .head = other, .head_len = 60, .len = 60 };
	assert_int_equal(hostif_utun.send(hif, &f, 1), 1);
	assert_int_equal(sim_host_input(sim, spec.host, got, sizeof(got)), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_interface_is_as_declared_and_goes_with_its_socket),
		TEST(test_one_of_another_program_is_left_alone),
		TEST(test_who_is_not_root_hears_what_to_do),
		TEST(test_changes_are_made_whole_or_not_at_all),
		TEST(test_packets_become_frames_and_frames_packets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
