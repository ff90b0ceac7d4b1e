/* test_network_gro.c - segments on their way through a network to those who take super-frames. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/core/network_priv.h"
#include "tests/support/eth.h"
#include "tests/support/fakenet.h"
#include "tests/support/flowpackets.h"

#define BATCH 100u
#define ROOM 1100u

/* Ports a and b that take nothing, and c that takes everything; so does the host. */
struct fixture {
	struct fakenet fn;
	struct fake_port a, b, c;
	char seen[4][256]; /* what the host, a, b, c got: of each frame the number of segments */
	uint16_t tag[4];   /* of the last */
	uint8_t bytes[BATCH][ROOM];
	struct frame frames[BATCH];
};

static void on_seen(void *ctx, unsigned port, const struct frame *frame)
{
	struct fixture *f = ctx;
	if (!frame)
		return;
	assert_true(port < 4);
	unsigned n = 1;
	if (frame->offload.gso_type)
		n = (frame->len - frame->offload.hdr_len + frame->offload.gso_size - 1u) /
		    frame->offload.gso_size;
	char *to = f->seen[port] + strlen(f->seen[port]);
	assert_true(to + 8 < f->seen[port] + sizeof(f->seen[port]));
	snprintf(to, 8, "%u ", n);
	uint8_t *flat = frame_flat(frame);
	f->tag[port] = 0;
	if (frame_type(frame) == 0x8100)
		f->tag[port] = (uint16_t)(flat[14] << 8 | flat[15]);
	free(flat);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	if (!f)
		return -1;
	f->c.port.offload = 0x3f;
	if (fakenet_open(&f->fn, true, 1500) || fake_attach(&f->fn, &f->a, "a", 1, false, NULL) ||
		fake_attach(&f->fn, &f->b, "b", 2, false, NULL) ||
		fake_attach(&f->fn, &f->c, "c", 3, false, NULL))
		return -1;
	f->fn.net->offload->host = 0x3f;
	f->fn.host_takes = BATCH;
	f->fn.seen = on_seen;
	f->fn.seen_ctx = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct fake_port *ports[] = { &f->a, &f->b, &f->c };
	for (unsigned i = 0; i < 3; i++)
		fake_detach(ports[i]);
	fakenet_close(&f->fn);
	free(f);
	return 0;
}

/* @n segments of one flow from port a. */
static void segments(struct fixture *f, unsigned dst, unsigned n)
{
	struct segment_conf c = { .dst = dst,
		.src = 1,
		.ttl = 64,
		.df = true,
		.sport = 5000,
		.dport = 80,
		.flags = FLAG_ACK,
		.size = 1000 };
	for (unsigned i = 0; i < n; i++, c.seq += c.size, c.id++) {
		const uint32_t len = segment_write(f->bytes[i], &c);
		f->frames[i] = (struct frame){ .head = f->bytes[i], .head_len = len, .len = len };
	}
	memset(f->seen, 0, sizeof(f->seen));
	fake_batch(&f->fn, &f->a, f->frames, n);
}

static void seen(struct fixture *f, const char *host, const char *b, const char *c)
{
	assert_string_equal(f->seen[0], host);
	assert_string_equal(f->seen[2], b);
	assert_string_equal(f->seen[3], c);
}

static void test_the_host_gets_super_frames_if_it_takes_them(void **state)
{
	struct fixture *f = *state;
	const struct port_stats *stats = &f->fn.net->host_side.stats;
	segments(f, HOST_MAC, 10);
	seen(f, "10 ", "", "");
	assert_int_equal(stats->tx_frames, 10);
	assert_int_equal(stats->tx_bytes, 10 * 1054);
	assert_int_equal(f->fn.net->gro.n_headers, 0);

	f->fn.net->offload->host = OFFLOAD_CSUM;
	segments(f, HOST_MAC, 3);
	seen(f, "1 1 1 ", "", "");
}

static void test_more_than_are_looked_at_together(void **state)
{
	struct fixture *f = *state;
	segments(f, HOST_MAC, BATCH);
	seen(f, "64 36 ", "", "");
	segments(f, 3, BATCH);
	seen(f, "", "", "64 36 ");
}

static void test_what_the_host_refuses_is_counted_as_it_came(void **state)
{
	struct fixture *f = *state;
	const struct port_stats *stats = &f->fn.net->host_side.stats;
	f->fn.host_takes = 0;
	segments(f, HOST_MAC, 10);
	assert_int_equal(stats->tx_frames, 0);
	assert_int_equal(stats->tx_bytes, 0);
	assert_int_equal(stats->drops[DROP_HOST_REFUSED], 10);
}

static void test_a_port_gets_them_if_it_takes_them(void **state)
{
	struct fixture *f = *state;
	segments(f, 3, 10);
	seen(f, "", "", "10 ");
	segments(f, 2, 3);
	seen(f, "", "1 1 1 ", "");
	/* flooded: each gets what came */
	segments(f, 9, 3);
	seen(f, "3 ", "1 1 1 ", "1 1 1 ");
}

static void test_no_longer_than_the_port_takes(void **state)
{
	struct fixture *f = *state;
	fake_detach(&f->c);
	f->c.port.offload_max = 54 + 4999;
	assert_int_equal(fake_attach(&f->fn, &f->c, "c", 3, false, NULL), 0);
	segments(f, 3, 10);
	seen(f, "", "", "4 4 2 ");
}

/* As soon as the headers are used up the frames go as they are, until the ports have written. */
static void test_headers_live_until_the_ports_write(void **state)
{
	struct fixture *f = *state;
	segments(f, 3, 2);
	memset(f->seen, 0, sizeof(f->seen));
	for (unsigned i = 0; i < GRO_HEADERS; i++) {
		assert_int_equal(f->fn.net->gro.n_headers, i);
		f->seen[3][0] = '\0';
		network_input(f->fn.net, f->a.port.id, f->frames, 2, f->fn.now_ms);
		assert_string_equal(f->seen[3], "2 ");
	}
	f->seen[3][0] = '\0';
	network_input(f->fn.net, f->a.port.id, f->frames, 2, f->fn.now_ms);
	assert_string_equal(f->seen[3], "1 1 ");
	network_flush(f->fn.net);
	segments(f, 3, 2);
	seen(f, "", "", "2 ");
}

static void test_a_port_in_a_vlan_has_its_segments_made_one_too(void **state)
{
	struct fixture *f = *state;
	struct port_conf conf = { .control = true,
		.rules.given = RULE_VLAN,
		.rules.vlan = { .kind = VLAN_ACCESS, .native = 10 } };
	struct port_info info;
	assert_int_equal(network_set_port(f->fn.net, f->a.port.id, &conf, 0, &info, NULL), 0);
	segments(f, HOST_MAC, 10);
	seen(f, "10 ", "", "");
	assert_int_equal(f->tag[0], 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_host_gets_super_frames_if_it_takes_them),
		TEST(test_more_than_are_looked_at_together),
		TEST(test_what_the_host_refuses_is_counted_as_it_came),
		TEST(test_a_port_gets_them_if_it_takes_them),
		TEST(test_no_longer_than_the_port_takes),
		TEST(test_headers_live_until_the_ports_write),
		TEST(test_a_port_in_a_vlan_has_its_segments_made_one_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
