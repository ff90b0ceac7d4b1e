/* block.h - memory for frames and messages that have to wait, counted against a limit.
 *
 * A block is shared by reference: one copy of a broadcast serves every queue that holds it. A queue
 * may find out that it must keep a frame long after that was given to it, when its port writes; so
 * the pool remembers the copies of a batch until that is flushed. A pool belongs to one network (or
 * to the control socket) and so to one loop: counts are not atomic. */
#ifndef SERVER_CORE_BLOCK_H
#define SERVER_CORE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All that a network may keep waiting: 256 ports with a full queue of 256 KiB each. */
#define BLOCK_POOL_LIMIT (64u * 1024u * 1024u)

/* Chains of them: of one read no more than 500 frames are long enough to be shared. */
#define BLOCK_COPIES 64u

struct block_pool {
	size_t used;         /* bytes of all live blocks */
	size_t limit;        /* most of them */
	struct block *spare; /* standard blocks kept */
	unsigned n_spare;
	unsigned n_copies;                  /* of this batch */
	struct block *copies[BLOCK_COPIES]; /* a reference each */
};

struct block {
	struct block_pool *pool;
	struct block *next; /* among the spare ones, or the copies */
	const void *of;     /* copies: where the frame was */
	uint32_t refs;
	uint32_t len;      /* bytes in use */
	uint32_t capacity; /* bytes there are */
	uint8_t data[];
};

#define BLOCK_STANDARD 32768u /* the size that is kept as spare */
/* As many as one full queue takes (sendq.h). With one spare the others went back to the system and
 * came again as page faults: 7 % of the daemon's time with a reader that lags. */
#define BLOCK_SPARES 8u

void block_pool_init(struct block_pool *pool, size_t limit);
void block_pool_fini(struct block_pool *pool); /* after its last block is gone */

/* A block with one reference and len 0; NULL at the limit or without memory. */
struct block *block_new(struct block_pool *pool, uint32_t capacity);
/* The same over the limit too: for what must be kept, of which each stream has one at most. */
struct block *block_new_beyond(struct block_pool *pool, uint32_t capacity);
struct block *block_ref(struct block *block);
void block_unref(struct block *block); /* NULL is fine */
/* Gives back the room behind `len` of a block that has one reference; it may have moved. */
struct block *block_trim(struct block *block);

/**
 * block_copy() - the one copy of a flooded frame
 * @of:		where the frame begins; it stays there until block_forget_copies()
 * @len:	its bytes
 * @beyond:	also over the limit, as block_new_beyond()
 * @fresh:	out: nobody has asked for it before, and its bytes are to be written now
 *
 * Return: borrowed: who keeps it takes a reference; NULL at the limit or without memory
 */
struct block *block_copy(
	struct block_pool *pool, const void *of, uint32_t len, bool beyond, bool *fresh);
/* The batch is flushed, its frames are gone. */
void block_forget_copies(struct block_pool *pool);

#endif
