/* test_monitor.c - server/core/monitor.c and network_monitor.c: the bytes of a record, and what is
 * done when there is no room. Where frames go is seen by tests/daemon/test_capture.py. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "server/core/network_priv.h"
#include "tests/support/bytes.h"
#include "tests/support/eth.h"
#include "tests/support/fakenet.h"

#define NOW_NS 0x1122334455667788u

/* A client that writes down what it is given. */
struct eye {
	struct port port;
	struct bytes got;    /* as it would be written */
	unsigned n, flushes; /* records; flushes with some */
	unsigned asked;      /* for the time */
	uint32_t queued;     /* what it says that waits */
};

static struct eye *eye_of(const struct port *port)
{
	return (struct eye *)(uintptr_t)port;
}

static void eye_send(struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	struct eye *eye = eye_of(port);
	assert_false(flooded);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(frames[i].framing, FRAMING_NATIVE);
		bytes_add(&eye->got, frames[i].head - frames[i].wire_hdr,
			frames[i].wire_hdr + frames[i].len);
	}
	eye->n += n;
}

static void eye_flush(struct port *port)
{
	eye_of(port)->flushes++;
}

static uint32_t eye_queued(const struct port *port)
{
	return eye_of(port)->queued;
}

static uint64_t eye_now(const struct port *port)
{
	eye_of(port)->asked++;
	return NOW_NS;
}

static const struct port_ops eye_ops = {
	.send = eye_send, .flush = eye_flush, .queued = eye_queued, .now_ns = eye_now
};

struct fixture {
	struct fakenet fn;
	struct fake_port a, b;
	struct eye eye;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	f->eye.port.ops = &eye_ops;
	return fakenet_open(&f->fn, true, 1500) ||
	       fake_attach(&f->fn, &f->a, "a", 0, false, NULL) ||
	       fake_attach(&f->fn, &f->b, "b", 0, false, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	if (f->eye.port.stats)
		network_detach(f->fn.net, &f->eye.port);
	fake_detach(&f->a);
	fake_detach(&f->b);
	fakenet_close(&f->fn);
	free(f->eye.got.data);
	free(f);
	return 0;
}

static int watch(struct fixture *f, uint32_t snaplen, const struct bpf_step *steps, unsigned n)
{
	static struct monitor_conf want;
	struct port_conf conf = { .kind = PORT_KIND_NATIVE, .monitor = &want };
	struct port_info info;
	struct err err = { 0 };
	want = (struct monitor_conf){ .snaplen = snaplen, .n_steps = (uint16_t)n };
	for (unsigned i = 0; i < n; i++)
		want.steps[i] = steps[i];
	return network_attach(f->fn.net, &conf, &f->eye.port, 0, &info, &err);
}

static void test_a_record_is_an_ext_of_type_2(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[16];
	struct frame frame = eth_frame(bytes, BROADCAST, 1, 0x88b5, 16, 't');
	assert_int_equal(watch(f, MONITOR_SNAPLEN_MAX, NULL, 0), 0);
	fake_batch(&f->fn, &f->a, &frame, 1);
	const uint8_t want[] = {
		0xc7, 32, 2,                                    /* msgpack: ext 8, bytes, type */
		0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, /* ns */
		0, 1,                                           /* from port 1 */
		VERDICT_FLOOD, 0, 0, 0, 0, 16,                  /* verdict, reason, length */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, 0, 't', /* it */
	};
	assert_int_equal(f->eye.got.len, sizeof(want));
	assert_memory_equal(f->eye.got.data, want, sizeof(want));
	assert_int_equal(f->eye.flushes, 1);
}

static void test_a_dropped_frame_has_its_reason_counted_from_1(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[16] = { 0 };
	struct frame frame = { .head = bytes, .head_len = 5, .len = 5 };
	assert_int_equal(watch(f, MONITOR_SNAPLEN_MAX, NULL, 0), 0);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->eye.got.len, 3 + 16 + 5);
	assert_int_equal(f->eye.got.data[13], VERDICT_DROP);
	assert_int_equal(f->eye.got.data[14], DROP_RUNT + 1);
	assert_int_equal(monitor_reason((struct verdict){ VERDICT_DROP, DROP_LOCAL, 0 }), 6);
	assert_int_equal(monitor_reason((struct verdict){ VERDICT_PORT, 0, 1 }), 0);
}

static void test_a_frame_in_pieces_is_copied_as_one(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[40];
	struct frame frame = eth_frame(bytes, BROADCAST, 1, 0x88b5, 40, 't');
	for (uint8_t i = 14; i < 40; i++)
		bytes[i] = i;
	const struct seg more[] = { { bytes + 14, 6 }, { bytes + 20, 0 }, { bytes + 20, 20 } };
	frame.head_len = 14;
	frame.more = more;
	frame.more_n = 3;
	assert_int_equal(watch(f, 23, NULL, 0), 0); /* ends in the last piece */
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->eye.got.len, 3 + 16 + 23);
	assert_memory_equal(f->eye.got.data + 19, bytes, 23);
}

static void test_the_clock_is_asked_once_a_batch_and_only_if_somebody_watches(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[3][60];
	struct frame frames[3];
	for (unsigned i = 0; i < 3; i++)
		frames[i] = eth_frame(bytes[i], BROADCAST, 1 + i, 0x88b5, 60, 't');
	fake_batch(&f->fn, &f->a, frames, 3);
	assert_int_equal(watch(f, MONITOR_SNAPLEN_MAX, NULL, 0), 0);
	assert_int_equal(f->eye.asked, 0);
	fake_batch(&f->fn, &f->a, frames, 3);
	assert_int_equal(f->eye.asked, 1);
	assert_int_equal(f->eye.n, 3);
	fake_batch(&f->fn, &f->a, frames, 3);
	assert_int_equal(f->eye.asked, 2);
	network_detach(f->fn.net, &f->eye.port);
	fake_batch(&f->fn, &f->a, frames, 3);
	assert_int_equal(f->eye.asked, 2);
	assert_int_equal(f->eye.n, 6);
}

static void test_a_batch_larger_than_the_stage_is_handed_over_in_parts(void **state)
{
	struct fixture *f = *state;
	enum { N = 200 };
	static uint8_t bytes[N][1500];
	static struct frame frames[N];
	for (unsigned i = 0; i < N; i++)
		frames[i] = eth_frame(bytes[i], BROADCAST, 1, 0x88b5, 1500, (char)i);
	assert_int_equal(watch(f, MONITOR_SNAPLEN_MAX, NULL, 0), 0);
	fake_batch(&f->fn, &f->a, frames, N);
	assert_int_equal(f->eye.n, N);
	assert_int_equal(f->eye.got.len, N * (4 + 16 + 1500));
	assert_in_range(f->eye.flushes, 2, 4); /* 300 KB by 128 KiB */
	for (unsigned i = 0; i < N; i++) {
		const uint8_t *end = f->eye.got.data + (i + 1) * (size_t)(4 + 16 + 1500);
		assert_int_equal(end[-1], (uint8_t)i);
	}
}

static void test_where_its_queue_is_full_it_counts_and_copies_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[60];
	struct frame frame = eth_frame(bytes, BROADCAST, 1, 0x88b5, 60, 't');
	assert_int_equal(watch(f, MONITOR_SNAPLEN_MAX, NULL, 0), 0);
	f->eye.queued = MONITOR_QUEUE - 60;
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->eye.n, 0);
	assert_int_equal(f->eye.flushes, 0);
	assert_int_equal(f->eye.port.stats->drops[DROP_QUEUE_FULL], 1);
	assert_string_equal(f->b.log, "t|"); /* the others got it */
	f->eye.queued = 0;
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->eye.n, 1);
}

static void test_what_its_program_does_not_want_costs_no_flush(void **state)
{
	struct fixture *f = *state;
	const struct bpf_step none[] = { { 0x06, 0, 0, 0 } };
	uint8_t bytes[60];
	struct frame frame = eth_frame(bytes, BROADCAST, 1, 0x88b5, 60, 't');
	assert_int_equal(watch(f, MONITOR_SNAPLEN_MAX, none, 1), 0);
	fake_batch(&f->fn, &f->a, &frame, 1);
	assert_int_equal(f->eye.n, 0);
	assert_int_equal(f->eye.flushes, 0);
}

static void test_the_longest_frame_fits_a_record_as_clients_read_them(void **state)
{
	struct fixture *f = *state;
	static uint8_t bytes[FETH_FRAME_MAX];
	struct frame frame = eth_frame(bytes, BROADCAST, 1, 0x88b5, FETH_FRAME_MAX, 't');
	assert_int_equal(watch(f, MONITOR_SNAPLEN_MAX, NULL, 0), 0);
	fake_batch(&f->fn, &f->a, &frame, 1); /* oversize, and seen all the same */
	struct wire_scan scan = { 0 };
	struct wire_item item;
	assert_int_equal(wire_next(&scan, f->eye.got.data, f->eye.got.len, &item), WIRE_EXT);
	assert_int_equal(item.ext, 2);
	assert_int_equal(item.len, 16 + MONITOR_SNAPLEN_MAX);
	assert_int_equal(item.total, f->eye.got.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_record_is_an_ext_of_type_2, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_dropped_frame_has_its_reason_counted_from_1, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_frame_in_pieces_is_copied_as_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_clock_is_asked_once_a_batch_and_only_if_somebody_watches, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_a_batch_larger_than_the_stage_is_handed_over_in_parts, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_where_its_queue_is_full_it_counts_and_copies_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_its_program_does_not_want_costs_no_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_longest_frame_fits_a_record_as_clients_read_them, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
