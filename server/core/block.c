/* block.c - see block.h. */
#include "server/core/block.h"

#include <stdlib.h>

void block_pool_init(struct block_pool *pool, size_t limit)
{
	pool->used = 0;
	pool->limit = limit;
	pool->spare = NULL;
	pool->n_spare = 0;
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

struct block *block_trim(struct block *block)
{
	struct block *less = realloc(block, sizeof(*block) + block->len);
	if (!less)
		return block;
	less->pool->used -= less->capacity - less->len;
	less->capacity = less->len;
	return less;
}
