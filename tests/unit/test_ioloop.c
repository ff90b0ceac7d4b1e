/* test_ioloop.c - server/io/ioloop.c: what is left for later, and taken back. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <uv.h>

#include "server/io/ioloop.h"
#include "server/io/shared.h"

struct rig {
	uv_loop_t uv;
	struct shared *shared;
	struct ioloop *loop;
	unsigned calls;
};

static void rig_init(struct rig *rig)
{
	*rig = (struct rig){ .shared = shared_new() };
	assert_non_null(rig->shared);
	assert_int_equal(uv_loop_init(&rig->uv), 0);
	rig->loop = ioloop_new(&rig->uv, rig->shared);
	assert_non_null(rig->loop);
}

static void rig_run(struct rig *rig)
{
	uv_run(&rig->uv, UV_RUN_NOWAIT);
	uv_run(&rig->uv, UV_RUN_NOWAIT);
}

static void rig_fini(struct rig *rig)
{
	ioloop_close(rig->loop);
	uv_run(&rig->uv, UV_RUN_DEFAULT);
	ioloop_free(rig->loop);
	assert_int_equal(uv_loop_close(&rig->uv), 0);
	shared_free(rig->shared);
}

static void count(void *arg)
{
	struct rig *rig = arg;
	rig->calls++;
}

/* Takes back what is behind it in the same turn, and frees it: as a port ends whose turn has come.
 */
struct ender {
	struct rig *rig;
	struct ioloop_later later, *other;
};

static void end_other(void *arg)
{
	struct ender *e = arg;
	ioloop_cancel(e->rig->loop, e->other);
	free(e->other);
}

static void test_who_is_taken_back_in_its_turn_is_not_looked_at_again(void **state)
{
	struct rig rig;
	struct ioloop_later last = { 0 };
	(void)state;
	rig_init(&rig);
	struct ender e = { .rig = &rig, .other = calloc(1, sizeof(*e.other)) };
	assert_non_null(e.other);
	ioloop_defer(rig.loop, &e.later, end_other, &e);
	ioloop_defer(rig.loop, e.other, count, &rig);
	ioloop_defer(rig.loop, &last, count, &rig);
	rig_run(&rig);
	assert_int_equal(rig.calls, 1); /* the last, and not the one in between */
	rig_fini(&rig);
}

static void test_the_last_may_be_taken_back_and_another_left(void **state)
{
	struct rig rig;
	struct ioloop_later a = { 0 }, b = { 0 };
	(void)state;
	rig_init(&rig);
	ioloop_defer(rig.loop, &a, count, &rig);
	ioloop_defer(rig.loop, &b, count, &rig);
	ioloop_cancel(rig.loop, &b);
	ioloop_cancel(rig.loop, &b); /* nothing happens */
	ioloop_defer(rig.loop, &b, count, &rig);
	rig_run(&rig);
	assert_int_equal(rig.calls, 2);
	rig_fini(&rig);
}

static void test_what_is_held_waits_for_the_release(void **state)
{
	struct rig rig;
	struct ioloop_later a = { 0 }, b = { 0 };
	(void)state;
	rig_init(&rig);
	ioloop_hold(rig.loop, &a, count, &rig);
	ioloop_hold(rig.loop, &b, count, &rig);
	ioloop_cancel(rig.loop, &b);
	ioloop_release(rig.loop);
	rig_run(&rig);
	assert_int_equal(rig.calls, 1);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_taken_back_in_its_turn_is_not_looked_at_again),
		cmocka_unit_test(test_the_last_may_be_taken_back_and_another_left),
		cmocka_unit_test(test_what_is_held_waits_for_the_release),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
