/* test_news.c - server/core/news.c: the newest of each, in order; addresses that move too often. */
#include "tests/support/test.h"

#include "server/core/news.h"

static struct news_item port(enum news_kind kind, uint16_t id, uint32_t pid)
{
	return (struct news_item){ .kind = kind, .port = { .id = id, .pid = pid } };
}

static struct feth_mac mac(unsigned n)
{
	return (struct feth_mac){ { 0x33, 0x33, 0, 0, (uint8_t)(n >> 8), (uint8_t)n } };
}

static struct news_item group(unsigned n, bool joined)
{
	return (struct news_item){ .kind = NEWS_GROUP,
		.group = { .mac = mac(n), .joined = joined } };
}

static void put(struct news *news, struct news_item item)
{
	assert_true(news_put(news, &item));
}

static void test_the_newest_of_each_is_kept_and_stands_last(void **state)
{
	struct news *news = *state;
	put(news, group(1, true));
	put(news, group(2, true));
	put(news, port(NEWS_PORT_ATTACHED, 1, 7));
	put(news, group(1, false));
	assert_int_equal(news->n, 3);
	const struct news_item two = group(2, false);
	assert_int_equal(news_object(&news->items[0]), news_object(&two));
	assert_int_equal(news->items[1].kind, NEWS_PORT_ATTACHED);
	assert_int_equal(news->items[2].kind, NEWS_GROUP);
	assert_false(news->items[2].group.joined);
}

static void test_what_is_told_last_of_a_port_is_true(void **state)
{
	struct news *news = *state;
	put(news, port(NEWS_PORT_ATTACHED, 3, 1));
	put(news, port(NEWS_PORT_DETACHED, 3, 0));
	put(news, port(NEWS_PORT_ATTACHED, 3, 2));
	assert_int_equal(news->n, 2);
	assert_int_equal(news->items[0].kind, NEWS_PORT_DETACHED);
	assert_int_equal(news->items[1].kind, NEWS_PORT_ATTACHED);
	assert_int_equal(news->items[1].port.pid, 2);
	put(news, port(NEWS_PORT_DETACHED, 3, 0));
	assert_int_equal(news->items[1].kind, NEWS_PORT_DETACHED);
	put(news, port(NEWS_PORT_ATTACHED, 4, 2)); /* another port */
	assert_int_equal(news->n, 3);
}

static void test_one_address_may_be_a_group_and_move(void **state)
{
	struct news *news = *state;
	put(news, group(1, true));
	put(news, (struct news_item){ .kind = NEWS_MOVED, .moved.mac = mac(1) });
	assert_int_equal(news->n, 2);
}

static void test_there_is_room_for_64(void **state)
{
	struct news *news = *state;
	for (unsigned i = 0; i < NEWS_MAX; i++)
		put(news, group(i, true));
	const struct news_item more = group(NEWS_MAX, true);
	assert_false(news_put(news, &more));
	assert_int_equal(news->n, NEWS_MAX);
	put(news, group(0, false)); /* of what is there the newest is taken */
	assert_int_equal(news->n, NEWS_MAX);
	assert_false(news->items[NEWS_MAX - 1].group.joined);
	assert_int_equal(news->items[0].group.mac.b[5], 1);
}

static void test_an_address_is_told_of_once_a_second(void **state)
{
	struct news *news = *state;
	assert_true(news_moved_due(news, mac(1), 0)); /* also right after the machine started */
	assert_false(news_moved_due(news, mac(1), 0));
	assert_false(news_moved_due(news, mac(1), 999));
	assert_true(news_moved_due(news, mac(2), 999));
	assert_true(news_moved_due(news, mac(1), 1000));
	assert_false(news_moved_due(news, mac(1), 1999));
	assert_false(news_moved_due(news, mac(2), 1998));
	assert_true(news_moved_due(news, mac(2), 1999));
	assert_int_equal(news->n_moved, 2);
}

static void test_of_many_addresses_64_are_told_of_in_a_second(void **state)
{
	struct news *news = *state;
	unsigned told = 0;
	for (unsigned i = 0; i < 5000; i++)
		told += news_moved_due(news, mac(i), 10 + i / 100); /* within 50 ms */
	assert_int_equal(told, NEWS_MOVED_MAX);
	for (unsigned i = 0; i < 5000; i++)
		told += news_moved_due(news, mac(9000 + i), 1010);
	assert_int_equal(told, 2 * NEWS_MOVED_MAX);
	/* the one that is oldest makes room, no other */
	assert_false(news_moved_due(news, mac(9000), 2009));
	assert_true(news_moved_due(news, mac(1), 2010));
	assert_int_equal(news->n_moved, NEWS_MOVED_MAX);
}

static int setup(void **state)
{
	static struct news news;
	memset(&news, 0, sizeof(news));
	*state = &news;
	return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(test_the_newest_of_each_is_kept_and_stands_last),
		T(test_what_is_told_last_of_a_port_is_true),
		T(test_one_address_may_be_a_group_and_move),
		T(test_there_is_room_for_64),
		T(test_an_address_is_told_of_once_a_second),
		T(test_of_many_addresses_64_are_told_of_in_a_second),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
