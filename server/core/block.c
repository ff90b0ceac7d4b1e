/* block.c - see block.h. */
#include "server/core/block.h"

#include <stdlib.h>

void block_pool_init(struct block_pool *pool, size_t limit)
{
	pool->used = 0;
	pool->limit = limit;
	pool->spare = NULL;
}

void block_pool_fini(struct block_pool *pool)
{
	free(pool->spare);
	pool->spare = NULL;
}

struct block *block_new(struct block_pool *pool, uint32_t capacity)
{
	if (capacity > pool->limit - pool->used)
		return NULL;

	struct block *block = pool->spare;
	if (block && capacity == BLOCK_STANDARD)
		pool->spare = NULL;
	else
		block = malloc(sizeof(*block) + capacity);
	if (!block)
		return NULL;
	block->pool = pool;
	block->refs = 1;
	block->len = 0;
	block->capacity = capacity;
	pool->used += capacity;
	return block;
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
	if (block->capacity == BLOCK_STANDARD && !pool->spare)
		pool->spare = block;
	else
		free(block);
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
