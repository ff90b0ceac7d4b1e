/* test_network_offload.c - frames that owe work, on their way through a network: what prop_offload
 * does not look at. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/network_priv.h"
#include "tests/support/fakenet.h"
#include "tests/support/segments.h"

#define SEEN 64u

/* Ports a and b that take nothing, c that takes everything; a and c may owe. */
struct fixture {
	struct fakenet fn;
	struct fake_port a, b, c;
	unsigned n[4]; /* frames that the host, a, b, c were given */
	struct frame seen[4][SEEN];
	struct port eye; /* a monitor */
	struct port_stats eye_stats;
	unsigned n_records;
	uint32_t record_len[SEEN];
	uint8_t buf[PACKET_HEADERS + 65536];
};

static void on_seen(void *ctx, unsigned port, const struct frame *frame)
{
	struct fixture *f = ctx;
	if (!frame)
		return;
	assert_true(port < 4);
	if (f->n[port] < SEEN)
		f->seen[port][f->n[port]] = *frame;
	f->n[port]++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	f->c.port.offload = 0x3f;
	f->a.port.owes = f->c.port.owes = true;
	if (fakenet_open(&f->fn, true, 1500) || fake_attach(&f->fn, &f->a, "a", 1, true, NULL) ||
		fake_attach(&f->fn, &f->b, "b", 2, true, NULL) ||
		fake_attach(&f->fn, &f->c, "c", 3, true, NULL))
		return -1;
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
	const size_t kept = network_pool(f->fn.net)->used;
	fakenet_close(&f->fn);
	free(f);
	return kept ? -1 : 0;
}

static struct frame super(struct fixture *f, unsigned dst, unsigned src, uint32_t len)
{
	static const uint8_t zeros[65536];
	const struct packet p = {
		.tcp = true, .dst = dst, .src = src, .tcp_flags = 0x10, .payload = zeros, .len = len
	};
	struct frame frame = packet_super(&p, f->buf, 1000);
	assert_true(offload_valid(&frame, 1500));
	return frame;
}

static void test_made_once_for_all_who_need_it(void **state)
{
	struct fixture *f = *state;
	struct frame frame = super(f, BROADCAST, 1, 9500);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n[0], 10);
	assert_int_equal(f->n[2], 10);
	assert_int_equal(f->n[3], 1);
	for (unsigned i = 0; i < 10; i++)
		assert_ptr_equal(f->seen[0][i].head, f->seen[2][i].head);
	assert_ptr_equal(f->seen[3][0].head, f->buf);
	assert_int_equal(f->a.port.stats->rx_frames, 1);
	assert_int_equal(f->fn.net->host_side.stats.tx_frames, 10);
	assert_int_equal(f->fn.net->host_side.stats.tx_bytes, 9500 + 10 * 54);
}

static void test_a_port_of_the_next_client_begins_anew(void **state)
{
	struct fixture *f = *state;
	fake_detach(&f->c);
	f->c.port.offload = OFFLOAD_CSUM | OFFLOAD_TSO4;
	f->c.port.offload_max = 9553;
	assert_int_equal(fake_attach(&f->fn, &f->c, "c", 3, true, NULL), 0);
	struct frame frame = super(f, 3, 1, 9499);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n[3], 1);
	frame = super(f, 3, 1, 9500);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n[3], 1 + 10);
}

/* Judged by its segments. */
static void test_a_port_for_which_the_segments_are_too_long(void **state)
{
	struct fixture *f = *state;
	struct port_conf conf = { .control = true, .rules.given = RULE_CAP, .rules.cap = 1057 };
	struct port_info info;
	assert_int_equal(network_set_port(f->fn.net, f->c.port.id, &conf, 0, &info, NULL), 0);
	struct frame frame = super(f, 3, 1, 9500);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n[3], 0);
	assert_int_equal(f->c.port.stats->drops[DROP_TOO_BIG_FOR_PORT], 1);
	conf.rules.cap = 1058; /* with a tag that it has not */
	assert_int_equal(network_set_port(f->fn.net, f->c.port.id, &conf, 0, &info, NULL), 0);
	frame = super(f, 3, 1, 9500);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n[3], 1);
}

static void test_what_waits_for_a_slow_reader_is_shared(void **state)
{
	struct fixture *f = *state;
	f->b.slow = true;
	struct frame frame = super(f, BROADCAST, 1, 20000);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n[2], 20);
	assert_true(f->b.q.frames.bytes > 20000);
	assert_true(network_pool(f->fn.net)->used > 20000);
}

/* One whose headers were changed behind our back. */
static void test_what_cannot_be_finished_is_counted(void **state)
{
	struct fixture *f = *state;
	struct frame frames[] = { super(f, 2, 1, 9500), super(f, 2, 1, 9500) };
	uint8_t other[PACKET_HEADERS + 9500];
	memcpy(other, f->buf, frames[0].len);
	other[14] = 0x65;
	frames[0].head = other;
	fake_batch(&f->fn, &f->a, frames, 2);
	assert_int_equal(f->n[2], 10);
	assert_int_equal(f->a.port.stats->drops[DROP_BAD_OFFLOAD], 1);
}

static void test_in_more_pieces_than_there_is_room_for(void **state)
{
	struct fixture *f = *state;
	static struct seg segs[OFFLOAD_SEGS];
	struct frame frame = super(f, 2, 1, 9500);
	frame.head_len = 60;
	frame.more = segs;
	frame.more_n = OFFLOAD_SEGS;
	segs[0] = (struct seg){ f->buf + 60, frame.len - 60 };
	for (unsigned i = 1; i < OFFLOAD_SEGS; i++)
		segs[i] = (struct seg){ f->buf, 0 };
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n[2], 0);
	assert_int_equal(f->a.port.stats->drops[DROP_BAD_OFFLOAD], 1);
	frame.more_n = OFFLOAD_SEGS / 2;
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n[2], 10);
}

static void test_a_port_whose_frames_say_nothing(void **state)
{
	struct fixture *f = *state;
	struct port_conf conf = {
		.control = true, .rules.given = RULE_RAW_OFFLOAD, .rules.raw_offload = true
	};
	struct port_info info;
	struct frame frame = super(f, BROADCAST, 2, 14600);
	frame.offload = (struct offload){ 0 };
	fake_batch(&f->fn, &f->b, &frame, 1);
	assert_int_equal(f->b.port.stats->drops[DROP_OVERSIZE], 1);
	assert_int_equal(network_set_port(f->fn.net, f->b.port.id, &conf, 0, &info, NULL), 0);
	fake_batch(&f->fn, &f->b, &frame, 1);
	assert_int_equal(f->n[0], 10);
	assert_int_equal(f->n[1], 10);
	assert_int_equal(f->n[3], 1);
	assert_int_equal(f->seen[1][0].len, 1514);
	assert_int_equal(f->seen[3][0].offload.gso_size, 1460);
	frame.offload = (struct offload){ 0 };
	frame.made = 0;
	conf.rules.raw_offload = false;
	assert_int_equal(network_set_port(f->fn.net, f->b.port.id, &conf, 0, &info, NULL), 0);
	fake_batch(&f->fn, &f->b, &frame, 1);
	assert_int_equal(f->b.port.stats->drops[DROP_OVERSIZE], 2);
}

static void test_finishing_is_work(void **state)
{
	struct fixture *f = *state;
	struct frame frame = super(f, 3, 1, 9500);
	network_input(f->fn.net, f->a.port.id, &frame, 1, 0);
	assert_int_equal(network_work(f->fn.net), 0); /* c takes it as it is */
	frame = super(f, 2, 1, 9500);
	network_input(f->fn.net, f->a.port.id, &frame, 1, 0);
	assert_int_equal(network_work(f->fn.net), 10 + 10);
	network_flush(f->fn.net);
	assert_int_equal(network_work(f->fn.net), 0);
	frame = super(f, BROADCAST, 1, 9500);
	network_input(f->fn.net, f->a.port.id, &frame, 1, 0);
	assert_int_equal(network_work(f->fn.net), 3 + 10 + 10); /* a flood to three; b's */
	network_flush(f->fn.net);
}

/* -- limits: what is cut counts as what becomes of it -- */

static void limit_a(struct fixture *f, const struct port_rules *rules)
{
	const struct port_conf conf = { .control = true, .rules = *rules };
	struct port_info info;
	assert_int_equal(network_set_port(f->fn.net, f->a.port.id, &conf, 0, &info, NULL), 0);
}

static void test_a_storm_is_counted_in_segments(void **state)
{
	struct fixture *f = *state;
	f->fn.now_ms = 1000000;
	limit_a(f, &(struct port_rules){ .given = RULE_STORM, .storm = 35 });
	for (unsigned i = 0; i < 5; i++) {
		struct frame frame = super(f, BROADCAST, 1, 9500);
		fake_batch(&f->fn, &f->a, &frame, 1);
	}
	assert_int_equal(f->n[2], 3 * 10);
	assert_int_equal(f->n[3], 3);
	assert_int_equal(f->a.port.stats->drops[DROP_STORM], 2);
	f->fn.now_ms += 1000;
	for (unsigned i = 0; i < 2; i++) { /* one of more than may pass may, if nothing else did */
		struct frame frame = super(f, BROADCAST, 1, 40000);
		fake_batch(&f->fn, &f->a, &frame, 1);
	}
	assert_int_equal(f->n[2], 30 + 40);
	assert_int_equal(f->a.port.stats->drops[DROP_STORM], 3);
}

static void test_a_rate_counts_the_headers_of_all_segments(void **state)
{
	struct fixture *f = *state;
	static const uint8_t zeros[65536];
	struct packet p = {
		.tcp = true, .dst = 2, .src = 1, .tcp_flags = 0x10, .payload = zeros, .len = 500
	};
	f->fn.now_ms = 1000000;
	limit_a(f, &(struct port_rules){ .given = RULE_RX_RATE, .rx_rate = 131072 });
	for (unsigned i = 0; i < 6; i++) { /* 500 frames of 55 bytes are 27500 */
		struct frame frame = packet_super(&p, f->buf, 1);
		assert_true(offload_valid(&frame, 1500));
		fake_batch(&f->fn, &f->a, &frame, 1);
	}
	assert_int_equal(f->n[2], 4 * 500); /* of 131072 */
	assert_int_equal(f->a.port.stats->drops[DROP_RATE], 2);
	f->fn.now_ms += 1000;
	p.v6 = true;
	p.ext = 22;
	p.len = 65000;
	for (unsigned i = 0; i < 2; i++) { /* of more than the bucket holds */
		struct frame frame = packet_super(&p, f->buf, 127);
		assert_true(offload_valid(&frame, 1500));
		fake_batch(&f->fn, &f->a, &frame, 1);
	}
	assert_int_equal(f->n[2], 2000 + 512);
	assert_int_equal(f->a.port.stats->drops[DROP_RATE], 3);
}

/* -- monitors -- */

static struct fixture *of_eye(const struct port *port)
{
	return (struct fixture *)((char *)(uintptr_t)port - offsetof(struct fixture, eye));
}

static void eye_send(struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	struct fixture *f = of_eye(port);
	(void)flooded;
	for (unsigned i = 0; i < n; i++)
		f->record_len[f->n_records++ % SEEN] = packet_get32(frames[i].head + 12);
}

static void eye_flush(struct port *port)
{
	(void)port;
}

static uint32_t eye_queued(const struct port *port)
{
	(void)port;
	return 0;
}

static uint64_t eye_now(const struct port *port)
{
	(void)port;
	return 1;
}

static const struct port_ops eye_ops = {
	.send = eye_send, .flush = eye_flush, .queued = eye_queued, .now_ns = eye_now
};

/* Also where those it was for get it in another form, with a tag and without. */
static void test_monitors_see_what_would_be_on_a_wire(void **state)
{
	struct fixture *f = *state;
	struct monitor_conf watch = { .snaplen = FETH_FRAME_MAX, .port = PORT_NONE };
	struct port_conf conf = { .kind = PORT_KIND_NATIVE, .monitor = &watch };
	struct port_info info;
	f->eye.ops = &eye_ops;
	assert_int_equal(network_attach(f->fn.net, &conf, &f->eye, 0, &info, NULL), 0);
	struct frame frame = super(f, 3, 1, 9500);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n[3], 1);
	assert_int_equal(f->n_records, 10);
	assert_int_equal(f->record_len[0], 1054);
	assert_int_equal(f->record_len[9], 554);

	struct port_conf access = { .control = true, .rules.given = RULE_VLAN };
	access.rules.vlan = (struct vlan_rule){ .kind = VLAN_ACCESS, .native = 10 };
	assert_int_equal(network_set_port(f->fn.net, f->a.port.id, &access, 0, &info, NULL), 0);
	memset(f->n, 0, sizeof(f->n));
	frame = super(f, BROADCAST, 1, 9500);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->n_records, 20);
	assert_int_equal(f->record_len[10], 1054);
	assert_int_equal(f->n[2], 10);
	assert_int_equal(f->seen[2][0].len, 1058); /* b is transparent: with a tag */
	assert_int_equal(f->n[3], 1);
	assert_int_equal(f->seen[3][0].len, 9500 + 58);
	assert_int_equal(f->seen[3][0].offload.hdr_len, 58);
	network_detach(f->fn.net, &f->eye);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_made_once_for_all_who_need_it),
		CASE(test_a_port_of_the_next_client_begins_anew),
		CASE(test_a_port_for_which_the_segments_are_too_long),
		CASE(test_what_waits_for_a_slow_reader_is_shared),
		CASE(test_what_cannot_be_finished_is_counted),
		CASE(test_in_more_pieces_than_there_is_room_for),
		CASE(test_a_port_whose_frames_say_nothing),
		CASE(test_finishing_is_work),
		CASE(test_a_storm_is_counted_in_segments),
		CASE(test_a_rate_counts_the_headers_of_all_segments),
		CASE(test_monitors_see_what_would_be_on_a_wire),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
