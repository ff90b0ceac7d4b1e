/* block.c - see block.h. */
#include "server/core/block.h"

#include <stdlib.h>

void block_pool_init(struct block_pool *pool, size_t limit)
{
	*pool = (struct block_pool){ .limit = limit };
}

void block_pool_fini(struct block_pool *pool)
{
	while (pool->spare) {
		struct block *block = pool->spare;
		pool->spare = block->next;
		free(block);
	}
	pool->n_spare = 0;
}

struct block *block_new_beyond(struct block_pool *pool, uint32_t capacity)
{
	struct block *block = pool->spare;
	if (block && capacity == BLOCK_STANDARD) {
		pool->spare = block->next;
		pool->n_spare--;
	} else {
		block = malloc(sizeof(*block) + capacity);
	}
	if (!block)
		return NULL;
	block->pool = pool;
	block->refs = 1;
	block->len = 0;
	block->capacity = capacity;
	pool->used += capacity;
	return block;
}

struct block *block_new(struct block_pool *pool, uint32_t capacity)
{
	if (pool->used > pool->limit || capacity > pool->limit - pool->used)
		return NULL;
	return block_new_beyond(pool, capacity);
}

struct block *block_ref(struct block *block)
{
	block->refs++;
	return block;
}

void block_unref(struct block *block)
{
	if (!block || --block->refs)
		return;
	struct block_pool *pool = block->pool;
	pool->used -= block->capacity;
	if (block->capacity != BLOCK_STANDARD || pool->n_spare == BLOCK_SPARES) {
		free(block);
		return;
	}
	block->next = pool->spare;
	pool->spare = block;
	pool->n_spare++;
}

/* By Fibonacci hashing (Knuth, TAOCP 3, 6.4): of 32 bits the upper 6. */
static struct block **chain_of(struct block_pool *pool, const void *of)
{
	return &pool->copies[(uint32_t)(uintptr_t)of * 2654435761u >> 26];
}

struct block *block_copy(
	struct block_pool *pool, const void *of, uint32_t len, bool beyond, bool *fresh)
{
	struct block **chain = chain_of(pool, of);
	struct block *block = *chain;
	while (block && (block->of != of || block->len != len))
		block = block->next;
	*fresh = !block;
	if (block)
		return block;
	block = beyond ? block_new_beyond(pool, len) : block_new(pool, len);
	if (!block)
		return NULL;
	block->len = len;
	block->of = of;
	block->next = *chain;
	*chain = block;
	pool->n_copies++;
	return block;
}

void block_forget_copies(struct block_pool *pool)
{
	for (unsigned i = 0; pool->n_copies && i < BLOCK_COPIES; i++)
		while (pool->copies[i]) {
			struct block *block = pool->copies[i];
			pool->copies[i] = block->next;
			pool->n_copies--;
			block_unref(block);
		}
}

struct block *block_trim(struct block *block)
{
	struct block *less = realloc(block, sizeof(*block) + block->len);
	if (!less)
		return block;
	less->pool->used -= less->capacity - less->len;
	less->capacity = less->len;
	return less;
}
