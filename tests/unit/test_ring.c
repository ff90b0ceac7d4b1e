/* test_ring.c - protocol/ring.h: what is put comes out, who sleeps is woken, and nothing that the
 * other side writes is believed. */
#include "tests/support/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "protocol/ring.h"

#define SIZE 4096u /* smaller than any real one, so that its end comes often */

struct fixture {
	uint8_t *area;
	struct ring_writer w;
	struct ring_reader r;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	f->area = aligned_alloc(128, ring_area(SIZE));
	memset(f->area, 0, ring_area(SIZE));
	ring_writer_init(&f->w, f->area, RING_TO_CLIENT, SIZE);
	ring_reader_init(&f->r, f->area, RING_TO_CLIENT, SIZE);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	free(f->area);
	free(f);
	return 0;
}

static bool put(struct fixture *f, uint32_t len, uint8_t fill)
{
	uint8_t *body = ring_reserve(&f->w, len, 0);
	if (body)
		memset(body, fill, len);
	return body != NULL;
}

static void takes(struct fixture *f, uint32_t len, uint8_t fill)
{
	struct ring_record rec = { 0 };
	assert_int_equal(ring_next(&f->r, &rec), RING_RECORD);
	assert_int_equal(rec.len, len);
	assert_int_equal(rec.flags, 0);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(rec.body[i], fill);
}

static enum ring_item next(struct fixture *f)
{
	struct ring_record rec = { 0 };
	return ring_next(&f->r, &rec);
}

static void put_word(struct fixture *f, uint32_t at, uint32_t word)
{
	memcpy(f->w.data + at, &word, sizeof(word));
}

static void test_a_record_lies_as_documented(void **state)
{
	struct fixture *f = *state;
	uint8_t *body = ring_reserve(&f->w, 5, RING_OFFLOAD);
	memcpy(body, "\x0a\x0b\x0c\x0d\x0e", 5);
	(void)ring_publish(&f->w);

	uint8_t want[RING_WORD + 5] = { 0, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e };
	const uint32_t word = 0x01000005; /* flag 01, length 5 */
	memcpy(want, &word, sizeof(word));
	assert_memory_equal(f->area + 4096 + SIZE, want, sizeof(want));
	assert_int_equal(*(uint32_t *)(void *)(f->area + 512), 16); /* head, to the next 8 bytes */
	struct ring_record rec = { 0 };
	assert_int_equal(ring_next(&f->r, &rec), RING_RECORD);
	assert_int_equal(rec.flags, RING_OFFLOAD);
	(void)ring_release(&f->r);
	assert_int_equal(*(uint32_t *)(void *)(f->area + 512 + 256), 16); /* tail */
}

static void test_nothing_is_seen_before_it_is_shown(void **state)
{
	struct fixture *f = *state;
	assert_true(put(f, 60, 1));
	assert_int_equal(next(f), RING_NONE);
	ring_show(&f->w);
	takes(f, 60, 1);
	assert_int_equal(next(f), RING_NONE);
}

static void test_a_full_ring_takes_no_more_until_it_is_released(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;
	while (put(f, 60, (uint8_t)n))
		n++;
	assert_int_equal(n, SIZE / 64);
	ring_show(&f->w);
	for (unsigned i = 0; i < n; i++)
		takes(f, 60, (uint8_t)i);
	assert_false(put(f, 60, 0)); /* taken, but not released */
	(void)ring_release(&f->r);
	assert_true(put(f, 60, 0));
}

static void test_a_record_without_room_before_the_end_lies_at_the_beginning(void **state)
{
	struct fixture *f = *state;
	assert_true(put(f, 3000, 1));
	ring_show(&f->w);
	takes(f, 3000, 1);
	(void)ring_release(&f->r);
	assert_true(put(f, 2000, 2)); /* 1096 are left there, 3000 before */
	ring_show(&f->w);
	takes(f, 2000, 2);
	assert_int_equal(f->r.tail, SIZE + ring_span(2000));
	assert_int_equal(next(f), RING_NONE);
}

static void test_an_empty_ring_takes_a_record_over_its_limit(void **state)
{
	struct fixture *f = *state;
	f->w.limit = 128;
	assert_true(put(f, 1500, 1));
	assert_false(put(f, 60, 2));
	ring_show(&f->w);
	takes(f, 1500, 1);
	(void)ring_release(&f->r);
	assert_true(put(f, 60, 3));
	assert_true(put(f, 60, 4));
	assert_false(put(f, 60, 5));
}

static void test_a_sleeping_reader_is_woken_once(void **state)
{
	struct fixture *f = *state;
	assert_true(ring_sleep(&f->r));
	assert_true(put(f, 60, 1));
	assert_true(ring_publish(&f->w));
	assert_true(put(f, 60, 2));
	assert_false(ring_publish(&f->w)); /* it runs now */
	assert_false(ring_sleep(&f->r));   /* and may not sleep: there is something */
	assert_true(put(f, 60, 3));
	assert_false(ring_publish(&f->w));
}

static void test_a_waiting_writer_is_woken_when_half_is_free(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;
	while (put(f, 60, 0))
		n++;
	(void)ring_publish(&f->w);
	assert_true(ring_wait(&f->w, 60));
	for (unsigned i = 0; i < n; i++) {
		takes(f, 60, 0);
		assert_int_equal(ring_release(&f->r), i + 1 == n / 2);
	}
	assert_false(ring_wait(&f->w, 60)); /* there is room */
	assert_false(ring_release(&f->r));
}

static void test_a_writer_may_wait_for_half_before_it_is_full(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < SIZE / 128; i++)
		assert_true(put(f, 60, 0));
	assert_false(ring_wait_half(&f->w)); /* just half is in it */
	assert_true(put(f, 60, 0));
	assert_true(ring_wait_half(&f->w));
	(void)ring_publish(&f->w);
	takes(f, 60, 0);
	assert_true(ring_release(&f->r));
	assert_false(ring_wait_half(&f->w));
	atomic_store(&f->w.words->tail, 0u - 8u * SIZE);
	assert_false(ring_wait_half(&f->w));
	assert_true(f->w.broken);
}

static void test_positions_pass_2_to_the_32nd(void **state)
{
	struct fixture *f = *state;
	const uint32_t start = 0u - SIZE;
	f->w.head = f->w.tail = f->r.head = f->r.tail = start;
	atomic_store(&f->w.words->head, start);
	atomic_store(&f->w.words->tail, start);
	for (unsigned i = 0; i < 3 * SIZE / 64; i++) {
		assert_true(put(f, 60, (uint8_t)i));
		ring_show(&f->w);
		takes(f, 60, (uint8_t)i);
		(void)ring_release(&f->r);
	}
	assert_int_equal(f->r.tail, 2 * SIZE);
}

static void test_a_head_that_cannot_be_is_broken(void **state)
{
	struct fixture *f = *state;
	const uint32_t heads[] = { SIZE + 8, 0u - 8, 7, 0x80000000u };
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		atomic_store(&f->r.words->head, heads[i]);
		assert_int_equal(next(f), RING_BROKEN);
		assert_int_equal(next(f), RING_BROKEN);
	}
}

static void test_a_length_that_cannot_be_is_broken(void **state)
{
	struct fixture *f = *state;
	atomic_store(&f->r.words->head, 64);
	const uint32_t words[] = { 61, 64, RING_LEN, RING_BODY_MAX + 1, RING_OFFLOAD | 61 };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		put_word(f, 0, words[i]);
		assert_int_equal(next(f), RING_BROKEN);
	}
	put_word(f, 0, 60);
	assert_int_equal(next(f), RING_RECORD);
}

static void test_a_record_over_the_end_is_broken(void **state)
{
	struct fixture *f = *state;
	f->r.tail = f->r.head = SIZE - 64;
	atomic_store(&f->r.words->head, SIZE + 64);
	put_word(f, SIZE - 64, 100);
	assert_int_equal(next(f), RING_BROKEN);
}

static void test_a_skip_from_the_beginning_or_beyond_the_head_is_broken(void **state)
{
	struct fixture *f = *state;
	put_word(f, 0, RING_SKIP); /* would never end where heads come as fast */
	atomic_store(&f->r.words->head, SIZE);
	assert_int_equal(next(f), RING_BROKEN);
	f->r.tail = f->r.head = 64;
	put_word(f, 64, RING_SKIP);
	atomic_store(&f->r.words->head, SIZE - 64);
	assert_int_equal(next(f), RING_BROKEN);
}

static void test_a_tail_that_cannot_be_breaks_the_writer(void **state)
{
	struct fixture *f = *state;
	while (put(f, 60, 0))
		;
	atomic_store(&f->w.words->tail, 0u - 8); /* less than was ever put */
	assert_false(put(f, 60, 0));
	assert_true(f->w.broken);
	assert_false(ring_wait(&f->w, 60));
	assert_int_equal(f->w.tail, 0);
}

static void test_sizes_are_powers_of_two_within_limits(void **state)
{
	(void)state;
	assert_true(ring_size_good(RING_BYTES_MIN));
	assert_true(ring_size_good(RING_BYTES));
	assert_true(ring_size_good(RING_BYTES_MAX));
	assert_false(ring_size_good(RING_BYTES_MIN / 2));
	assert_false(ring_size_good(2 * RING_BYTES_MAX));
	assert_false(ring_size_good(RING_BYTES + 8));
	assert_false(ring_size_good(0));
	assert_false(ring_size_good(UINT64_MAX));
}

/* -- two threads, each asleep until the other wakes it -- */

#define RECORDS 200000u

struct bell {
	int fds[2];
};

static void ring_bell(const struct bell *b)
{
	if (write(b->fds[1], "", 1) != 1)
		abort();
}

static void wait_bell(const struct bell *b)
{
	char c;
	if (read(b->fds[0], &c, 1) != 1)
		abort();
}

struct duo {
	struct ring_writer w;
	struct bell room, more;
};

static uint32_t nth_len(uint32_t i)
{
	return 5 + i * 2654435761u % 1500;
}

static void *produce(void *arg)
{
	struct duo *duo = arg;
	for (uint32_t i = 0; i < RECORDS; i++) {
		const uint32_t len = nth_len(i);
		uint8_t *body;
		while (!(body = ring_reserve(&duo->w, len, 0))) {
			if (ring_publish(&duo->w))
				ring_bell(&duo->more);
			if (ring_wait(&duo->w, len))
				wait_bell(&duo->room);
		}
		memset(body, (int)(i & 0xff), len);
		memcpy(body, &i, sizeof(i));
		if (i % 7 == 0 && ring_publish(&duo->w))
			ring_bell(&duo->more);
	}
	if (ring_publish(&duo->w))
		ring_bell(&duo->more);
	return NULL;
}

static void test_two_threads_lose_nothing_and_no_wake(void **state)
{
	struct fixture *f = *state;
	struct duo duo = { .w = f->w };
	pthread_t thread;
	struct ring_record rec = { 0 };
	assert_int_equal(pipe(duo.room.fds), 0);
	assert_int_equal(pipe(duo.more.fds), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, &duo), 0);

	for (uint32_t i = 0; i < RECORDS;) {
		const enum ring_item got = ring_next(&f->r, &rec);
		assert_int_not_equal(got, RING_BROKEN);
		if (got == RING_RECORD) {
			uint32_t n;
			memcpy(&n, rec.body, sizeof(n));
			assert_int_equal(n, i);
			assert_int_equal(rec.len, nth_len(i));
			assert_int_equal(rec.body[rec.len - 1], i & 0xff);
			i++;
		}
		if ((got == RING_NONE || i % 5 == 0) && ring_release(&f->r))
			ring_bell(&duo.room);
		if (got == RING_NONE && ring_sleep(&f->r))
			wait_bell(&duo.more);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (int i = 0; i < 2; i++) {
		close(duo.room.fds[i]);
		close(duo.more.fds[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_a_record_lies_as_documented),
		T(test_nothing_is_seen_before_it_is_shown),
		T(test_a_full_ring_takes_no_more_until_it_is_released),
		T(test_a_record_without_room_before_the_end_lies_at_the_beginning),
		T(test_an_empty_ring_takes_a_record_over_its_limit),
		T(test_a_sleeping_reader_is_woken_once),
		T(test_a_waiting_writer_is_woken_when_half_is_free),
		T(test_a_writer_may_wait_for_half_before_it_is_full),
		T(test_positions_pass_2_to_the_32nd),
		T(test_a_head_that_cannot_be_is_broken),
		T(test_a_length_that_cannot_be_is_broken),
		T(test_a_record_over_the_end_is_broken),
		T(test_a_skip_from_the_beginning_or_beyond_the_head_is_broken),
		T(test_a_tail_that_cannot_be_breaks_the_writer),
		T(test_sizes_are_powers_of_two_within_limits),
		T(test_two_threads_lose_nothing_and_no_wake),
#undef T
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
