/* test_block.c - server/core/block.c: the limit is exact, and nothing is left behind. */
#include "tests/support/test.h"

#include "server/core/block.h"

static void test_blocks_count_until_their_last_reference_is_gone(void **state)
{
	(void)state;
	struct block_pool pool;
	block_pool_init(&pool, 1000);
	struct block *b = block_new(&pool, 600);
	assert_int_equal(b->refs, 1);
	assert_int_equal(b->len, 0);
	assert_int_equal(b->capacity, 600);
	assert_ptr_equal(block_ref(b), b);
	assert_int_equal(pool.used, 600);
	block_unref(b);
	assert_int_equal(pool.used, 600);
	block_unref(b);
	assert_int_equal(pool.used, 0);
	block_unref(NULL);
	block_pool_fini(&pool);
}

static void test_the_limit_is_the_last_byte(void **state)
{
	(void)state;
	struct block_pool pool;
	block_pool_init(&pool, 1000);
	struct block *a = block_new(&pool, 400), *b = block_new(&pool, 600);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(block_new(&pool, 1));
	assert_null(block_new(&pool, UINT32_MAX));
	block_unref(a);
	assert_null(block_new(&pool, 401));
	a = block_new(&pool, 400);
	assert_non_null(a);
	block_unref(a);
	block_unref(b);
	block_pool_fini(&pool);
}

static void test_some_standard_blocks_are_kept_and_used_again(void **state)
{
	(void)state;
	struct block_pool pool;
	block_pool_init(&pool, (BLOCK_SPARES + 2) * BLOCK_STANDARD);
	struct block *blocks[BLOCK_SPARES + 1];
	for (unsigned i = 0; i <= BLOCK_SPARES; i++)
		blocks[i] = block_new(&pool, BLOCK_STANDARD);
	blocks[BLOCK_SPARES - 1]->len = 7;
	for (unsigned i = 0; i <= BLOCK_SPARES; i++)
		block_unref(blocks[i]);
	assert_int_equal(pool.n_spare, BLOCK_SPARES); /* one was too many */
	assert_ptr_equal(pool.spare, blocks[BLOCK_SPARES - 1]);
	assert_int_equal(pool.used, 0); /* a spare is no frame */
	struct block *small = block_new(&pool, 10);
	assert_int_equal(pool.n_spare, BLOCK_SPARES);
	struct block *again = block_new(&pool, BLOCK_STANDARD);
	assert_ptr_equal(again, blocks[BLOCK_SPARES - 1]);
	assert_int_equal(again->len, 0);
	assert_int_equal(again->refs, 1);
	assert_int_equal(pool.n_spare, BLOCK_SPARES - 1);
	block_unref(small);
	block_unref(again);
	block_pool_fini(&pool); /* LeakSanitizer watches */
}

static void test_a_trimmed_block_counts_what_it_holds(void **state)
{
	(void)state;
	struct block_pool pool;
	block_pool_init(&pool, 2 * BLOCK_STANDARD);
	struct block *b = block_new(&pool, BLOCK_STANDARD);
	b->data[0] = 'x';
	b->len = 1;
	b = block_trim(b);
	assert_int_equal(b->data[0], 'x');
	assert_int_equal(b->capacity, 1);
	assert_int_equal(pool.used, 1);
	block_unref(b);
	assert_null(pool.spare); /* no standard block any more */
	assert_int_equal(pool.used, 0);
	block_pool_fini(&pool);
}

static void test_a_copy_is_made_once_and_forgotten_with_its_batch(void **state)
{
	(void)state;
	static uint8_t frames[500];
	struct block_pool pool;
	struct block *kept[500];
	bool fresh;
	block_pool_init(&pool, 500 * 20);
	for (unsigned i = 0; i < 500; i++) {
		kept[i] = block_ref(block_copy(&pool, frames + i, 20, false, &fresh));
		assert_true(fresh);
		assert_int_equal(kept[i]->len, 20);
	}
	for (unsigned i = 0; i < 500; i++) {
		assert_ptr_equal(block_copy(&pool, frames + i, 20, false, &fresh), kept[i]);
		assert_false(fresh);
	}
	assert_null(block_copy(&pool, frames, 21, false, &fresh)); /* another; the pool is full */
	assert_non_null(block_copy(&pool, frames, 21, true, &fresh));
	assert_true(fresh);
	assert_int_equal(pool.n_copies, 501);
	block_forget_copies(&pool);
	assert_int_equal(pool.n_copies, 0);
	assert_int_equal(pool.used, 500 * 20); /* that one was nobody's */
	assert_int_equal(kept[7]->refs, 1);
	for (unsigned i = 0; i < 500; i++)
		block_unref(kept[i]);
	assert_int_equal(pool.used, 0);
	block_forget_copies(&pool);
	block_pool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_count_until_their_last_reference_is_gone),
		cmocka_unit_test(test_the_limit_is_the_last_byte),
		cmocka_unit_test(test_some_standard_blocks_are_kept_and_used_again),
		cmocka_unit_test(test_a_copy_is_made_once_and_forgotten_with_its_batch),
		cmocka_unit_test(test_a_trimmed_block_counts_what_it_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
