/* test_inbox.c - server/io/inbox.c and shared.c: what threads may do at once. */
#include "tests/support/test.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <uv.h>

#include "server/io/inbox.h"
#include "server/io/shared.h"

#define SENDERS 4u
#define EACH 2000u

struct rig;

struct letter {
	struct message msg;
	struct rig *rig;
	unsigned sender, number;
};

struct sender {
	uv_thread_t thread;
	struct rig *rig;
	unsigned number;
};

/* A loop that ends its inbox when it has got all letters, from whichever thread they are. */
struct rig {
	uv_loop_t uv;
	struct inbox *inbox;
	unsigned next[SENDERS]; /* the letter that comes next of each */
	unsigned total, at_once, most_at_once;
	uv_check_t turn;
	bool closed;
};

static void close_rig(struct rig *rig)
{
	rig->closed = true;
	uv_close((uv_handle_t *)&rig->turn, NULL);
	inbox_close(rig->inbox);
}

static void on_letter(void *arg)
{
	struct letter *letter = arg;
	struct rig *rig = letter->rig;
	assert_int_equal(letter->number, rig->next[letter->sender]);
	rig->next[letter->sender]++;
	rig->at_once++;
	const bool last = ++rig->total == SENDERS * EACH;
	free(letter);
	if (last)
		close_rig(rig);
}

static void on_turn(uv_check_t *check)
{
	struct rig *rig = check->data;
	if (rig->at_once > rig->most_at_once)
		rig->most_at_once = rig->at_once;
	rig->at_once = 0;
}

static struct letter *letter_new(struct rig *rig, unsigned sender, unsigned number)
{
	struct letter *letter = malloc(sizeof(*letter));
	assert_non_null(letter);
	*letter = (struct letter){ { NULL, on_letter, letter }, rig, sender, number };
	return letter;
}

static void send_all(void *arg)
{
	const struct sender *s = arg;
	for (unsigned i = 0; i < EACH; i++)
		inbox_post(s->rig->inbox, &letter_new(s->rig, s->number, i)->msg);
}

static void rig_init(struct rig *rig)
{
	*rig = (struct rig){ 0 };
	assert_int_equal(uv_loop_init(&rig->uv), 0);
	rig->inbox = inbox_new(&rig->uv);
	assert_non_null(rig->inbox);
	uv_check_init(&rig->uv, &rig->turn);
	rig->turn.data = rig;
	uv_check_start(&rig->turn, on_turn);
}

static void rig_fini(struct rig *rig)
{
	assert_int_equal(uv_loop_close(&rig->uv), 0); /* no handle is left */
	inbox_free(rig->inbox);
}

static void test_all_that_threads_post_comes_in_the_order_of_each(void **state)
{
	struct rig rig;
	struct sender senders[SENDERS];
	(void)state;
	rig_init(&rig);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i].rig = &rig;
		senders[i].number = i;
		assert_int_equal(uv_thread_create(&senders[i].thread, send_all, &senders[i]), 0);
	}
	uv_run(&rig.uv, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < SENDERS; i++) {
		uv_thread_join(&senders[i].thread);
		assert_int_equal(rig.next[i], EACH);
	}
	rig_fini(&rig);
}

/* Each is answered by another, for ever: descriptors still get their turns. */
struct echo {
	struct message msg;
	struct rig *rig;
	unsigned left;
};

static void on_echo(void *arg)
{
	struct echo *echo = arg;
	echo->rig->at_once++;
	if (!--echo->left)
		return close_rig(echo->rig);
	inbox_post(echo->rig->inbox, &echo->msg);
}

static void test_what_messages_post_comes_in_another_turn(void **state)
{
	struct rig rig;
	(void)state;
	rig_init(&rig);
	struct echo echo = { { NULL, on_echo, &echo }, &rig, 100 };
	inbox_post(rig.inbox, &echo.msg);
	uv_run(&rig.uv, UV_RUN_DEFAULT);
	assert_int_equal(rig.most_at_once, 1);
	rig_fini(&rig);
}

static void test_what_has_come_is_carried_out_at_the_end(void **state)
{
	struct rig rig;
	(void)state;
	rig_init(&rig);
	for (unsigned i = 0; i < 3; i++)
		inbox_post(rig.inbox, &letter_new(&rig, 0, i)->msg);
	close_rig(&rig);
	assert_int_equal(rig.total, 3);
	uv_run(&rig.uv, UV_RUN_DEFAULT);
	rig_fini(&rig);
}

/* One that posts another, and must know what was posted before. */
static void on_taker(void *arg)
{
	struct letter *letter = arg;
	struct rig *rig = letter->rig;
	inbox_post(rig->inbox, &letter_new(rig, 0, 1)->msg);
	inbox_take(rig->inbox);
	assert_int_equal(rig->total, 2);
	close_rig(rig);
}

static void test_who_takes_in_the_midst_keeps_the_order(void **state)
{
	struct rig rig;
	(void)state;
	rig_init(&rig);
	struct letter taker = { { NULL, on_taker, &taker }, &rig, 0, 0 };
	inbox_post(rig.inbox, &taker.msg);
	inbox_post(rig.inbox, &letter_new(&rig, 0, 0)->msg);
	uv_run(&rig.uv, UV_RUN_DEFAULT);
	rig_fini(&rig);
}

/* -- shared.h -- */

struct crowd {
	uv_thread_t thread;
	struct shared *sh;
	unsigned entered;
};

static void come_and_go(void *arg)
{
	struct crowd *c = arg;
	for (unsigned i = 0; i < 10u * CLIENTS_PER_UID; i++) {
		if (!shared_enter(c->sh, 1000, false))
			continue;
		if (i % 2)
			c->entered++;
		else
			shared_leave(c->sh, 1000);
	}
}

static void test_a_user_has_so_many_connections_whatever_the_threads(void **state)
{
	struct crowd crowds[SENDERS];
	struct shared *sh = shared_new();
	unsigned n = 0;
	(void)state;
	assert_non_null(sh);
	for (unsigned i = 0; i < SENDERS; i++) {
		crowds[i] = (struct crowd){ .sh = sh };
		assert_int_equal(uv_thread_create(&crowds[i].thread, come_and_go, &crowds[i]), 0);
	}
	for (unsigned i = 0; i < SENDERS; i++) {
		uv_thread_join(&crowds[i].thread);
		n += crowds[i].entered;
	}
	assert_int_equal(n, CLIENTS_PER_UID);
	assert_false(shared_enter(sh, 1000, false));
	assert_true(shared_enter(sh, 1001, false)); /* another has room */
	assert_true(shared_enter(sh, 1000, true));  /* and who is not limited */
	shared_leave(sh, 1000);
	assert_false(shared_enter(sh, 1000, false));
	shared_leave(sh, 1000);
	assert_true(shared_enter(sh, 1000, false));
	shared_leave(sh, 1001);
	shared_leave(sh, 1001); /* who never came */
	for (unsigned i = 0; i < CLIENTS_PER_UID; i++)
		shared_leave(sh, 1000);
	shared_free(sh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_that_threads_post_comes_in_the_order_of_each),
		cmocka_unit_test(test_what_messages_post_comes_in_another_turn),
		cmocka_unit_test(test_what_has_come_is_carried_out_at_the_end),
		cmocka_unit_test(test_who_takes_in_the_midst_keeps_the_order),
		cmocka_unit_test(test_a_user_has_so_many_connections_whatever_the_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
