/* test_lag.c - server/core/lag.c, with a reader, a socket and a queue that are numbers. */
#include "tests/support/test.h"

#include "server/core/lag.h"
#include "server/core/sendq.h"

#define FRAME 1500u
#define SNDBUF (832u * 1024u) /* as Linux counts IOLOOP_SNDBUF */
#define FIFO 4096u

/* A port as io/stream.c has it. Frames wait in one line, of which the socket holds the first. */
struct sim {
	struct lag lag;
	uint64_t now, caught_up, written;
	uint32_t sndbuf, unread, queued, fresh;
	uint64_t sent_ms[FIFO]; /* of the frames in line */
	unsigned first, n;
	unsigned taken, lost;
	uint64_t oldest; /* of those it read: how long they had waited */
};

static void start(struct sim *s)
{
	*s = (struct sim){ .now = 1000, .caught_up = 1000, .sndbuf = SNDBUF, .fresh = UINT32_MAX };
	lag_init(&s->lag);
}

static void look_back(struct sim *s, bool waits)
{
	if (!lag_asks(&s->lag, s->now, s->now - s->caught_up))
		return;
	if (lag_look(&s->lag, s->now, s->written, s->unread, waits))
		s->sndbuf = lag_capped(&s->lag) ? s->lag.cap : SNDBUF;
	s->fresh = lag_room(&s->lag, s->unread);
}

static void to_socket(struct sim *s)
{
	s->unread += FRAME;
	s->written += FRAME;
}

static void write_queue(struct sim *s)
{
	const bool waits = s->queued;
	if (waits)
		look_back(s, true);
	while (s->queued && s->unread < s->sndbuf) {
		s->queued -= FRAME;
		to_socket(s);
	}
	if (waits && !s->queued) {
		s->caught_up = s->now;
		lag_caught_up(&s->lag);
	}
}

/* A batch of frames for it. */
static void offer(struct sim *s, unsigned n)
{
	write_queue(s);
	unsigned i = 0;
	for (; i < n && !s->queued && s->unread < s->sndbuf && s->n < FIFO; i++) {
		to_socket(s);
		s->sent_ms[(s->first + s->n++) % FIFO] = s->now;
	}
	if (i < n || lag_capped(&s->lag))
		look_back(s, i < n);
	for (; i < n; i++) {
		const uint32_t limit = s->fresh < SENDQ_FRAMES_MAX ? s->fresh : SENDQ_FRAMES_MAX;
		if (s->queued + FRAME > limit || s->n == FIFO) {
			s->lost += n - i;
			return;
		}
		s->queued += FRAME;
		s->sent_ms[(s->first + s->n++) % FIFO] = s->now;
	}
}

/* It reads that many frames, if there are so many. */
static unsigned take(struct sim *s, unsigned n)
{
	unsigned i = 0;
	for (; i < n && s->unread; i++) {
		const uint64_t age = s->now - s->sent_ms[s->first];
		s->first = (s->first + 1) % FIFO;
		s->n--;
		s->unread -= FRAME;
		s->oldest = age > s->oldest ? age : s->oldest;
	}
	s->taken += i;
	if (s->unread * 4 <= s->sndbuf) /* when Linux says that there is room */
		write_queue(s);
	return i;
}

/* @ms milliseconds in which it is sent @sent frames each, and reads @read in each @period. */
static void run(struct sim *s, unsigned ms, unsigned sent, unsigned read, unsigned period)
{
	for (unsigned i = 0; i < ms; i++) {
		s->now++;
		offer(s, sent);
		if (s->now % period == 0)
			take(s, read);
	}
}

static void test_a_slow_reader_soon_reads_nothing_old(void **state)
{
	static struct sim s;
	/* frames in so many milliseconds: 0.4 to 120 Mbit/s */
	static const unsigned reads[][2] = { { 1, 30 }, { 1, 10 }, { 1, 3 }, { 1, 1 }, { 2, 1 },
		{ 5, 1 }, { 10, 1 } };
	(void)state;
	for (unsigned i = 0; i < sizeof(reads) / sizeof(*reads); i++) {
		const unsigned n = reads[i][0], period = reads[i][1];
		start(&s);
		run(&s, 40000, 60, n, period); /* what waited before is read first */
		s.taken = 0;
		s.oldest = 0;
		run(&s, 3000, 60, n, period);
		assert_int_equal(s.taken, 3000 * n / period); /* it always has something to read */
		/* twice LAG_MIN, and twice LAG_MS for the rounding */
		const uint64_t least = 2 * LAG_MIN / FRAME * period / n;
		assert_true(s.oldest <= least + 2 * LAG_MS + period);
	}
}

static void test_without_it_frames_would_be_half_a_second_old(void **state)
{
	static struct sim s;
	(void)state;
	start(&s);
	run(&s, 140, 60, 1, 1); /* it is not measured yet */
	assert_false(lag_capped(&s.lag));
	assert_int_equal(s.unread + s.queued, (s.unread + s.queued) / FRAME * FRAME);
	assert_true(s.unread + s.queued > 1024 * 1024);
}

static void test_a_fast_reader_that_waits_for_a_processor_is_left_alone(void **state)
{
	static struct sim s;
	(void)state;
	start(&s);
	for (unsigned i = 0; i < 100; i++) {
		run(&s, 45, 60, 0, 1);
		run(&s, 45, 60, 200, 1);
		assert_false(lag_capped(&s.lag));
	}
}

static void test_a_fast_reader_that_is_never_through_is_left_alone(void **state)
{
	static struct sim s;
	(void)state;
	start(&s);
	for (unsigned i = 0; i < 5000; i++) {
		run(&s, 1, 60, 30, 1); /* 360 Mbit/s of 720 */
		assert_false(lag_capped(&s.lag));
	}
	assert_true(s.lost > 0);
}

static void test_one_that_has_stopped_keeps_what_it_is_owed(void **state)
{
	static struct sim s;
	(void)state;
	start(&s);
	run(&s, 5000, 60, 0, 1);
	assert_false(lag_capped(&s.lag));
	assert_true(s.queued > SENDQ_FRAMES_MAX - FRAME);
	while (take(&s, 100))
		;
	assert_int_equal(s.queued + s.unread, 0);
}

static void test_one_that_comes_by_seldom_gets_more_and_more(void **state)
{
	static struct sim s;
	(void)state;
	start(&s);
	run(&s, 2000, 60, 1, 1);
	assert_true(lag_capped(&s.lag));
	unsigned ms = 0;
	for (; lag_capped(&s.lag) && ms < 5000; ms += 90) {
		run(&s, 90, 60, 0, 1);
		while (take(&s, 1000))
			;
	}
	assert_true(ms < 5000);
}

static void test_one_that_becomes_fast_has_no_cap_soon(void **state)
{
	static struct sim s;
	(void)state;
	start(&s);
	run(&s, 2000, 60, 1, 10);
	assert_int_equal(s.lag.cap, LAG_MIN);
	run(&s, 1000, 30, 1000, 1);
	assert_false(lag_capped(&s.lag));
	assert_int_equal(s.sndbuf, SNDBUF);
	assert_int_equal(s.fresh, UINT32_MAX);
}

static void test_a_cap_is_forgotten_where_nothing_happens(void **state)
{
	static struct sim s;
	(void)state;
	start(&s);
	run(&s, 2000, 60, 1, 1);
	assert_true(lag_capped(&s.lag));
	run(&s, 200, 0, 1, 1);
	s.now += LAG_FORGET_MS;
	offer(&s, 1);
	assert_false(lag_capped(&s.lag));
}

static void test_it_is_seldom_asked(void **state)
{
	struct lag lag;
	(void)state;
	lag_init(&lag);
	assert_false(lag_asks(&lag, 1000, LAG_PATIENCE_MS - 1));
	assert_true(lag_asks(&lag, 1000, LAG_PATIENCE_MS));
	assert_false(lag_look(&lag, 1000, 0, 100000, true));
	assert_false(lag_asks(&lag, 1000 + LAG_WINDOW_MS - 1, 1000));
	lag_caught_up(&lag);
	assert_false(lag_asks(&lag, 1000 + LAG_WINDOW_MS, 0));
	assert_false(lag_look(&lag, 2000, 0, 100000, true));
	assert_true(lag_asks(&lag, 2000 + LAG_WINDOW_MS, 1000));
	assert_true(lag_look(&lag, 2000 + LAG_WINDOW_MS, 0, 50000, true)); /* 500 bytes a ms */
	assert_int_equal(lag.cap, 16384);
	assert_int_equal(lag_room(&lag, 0), 16384);
	assert_int_equal(lag_room(&lag, 1000), 15384);
	assert_int_equal(lag_room(&lag, 50000), LAG_MIN);
	assert_int_equal(lag_room(&lag, UINT32_MAX), LAG_MIN);
	assert_true(lag_asks(&lag, 2001 + LAG_WINDOW_MS, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_slow_reader_soon_reads_nothing_old),
		cmocka_unit_test(test_without_it_frames_would_be_half_a_second_old),
		cmocka_unit_test(test_a_fast_reader_that_waits_for_a_processor_is_left_alone),
		cmocka_unit_test(test_a_fast_reader_that_is_never_through_is_left_alone),
		cmocka_unit_test(test_one_that_has_stopped_keeps_what_it_is_owed),
		cmocka_unit_test(test_one_that_comes_by_seldom_gets_more_and_more),
		cmocka_unit_test(test_one_that_becomes_fast_has_no_cap_soon),
		cmocka_unit_test(test_a_cap_is_forgotten_where_nothing_happens),
		cmocka_unit_test(test_it_is_seldom_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
