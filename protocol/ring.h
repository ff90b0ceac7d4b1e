/* ring.h - frames in shared memory: one ring each way between the server and one client.
 *
 * A client that asked for it with `attach` gets a piece of memory that both sides have mapped
 * (docs/protocol.md, 8). Each ring in it has one producer and one consumer, and no lock:
 *
 *        0  struct ring_words of the ring to the server, which the client fills
 *      512  struct ring_words of the ring to the client
 *     4096  `size` bytes of the ring to the server; `size` is a power of two
 *   + size  `size` bytes of the ring to the client
 *
 * `head` counts the bytes ever put into a ring, `tail` those ever taken out, both modulo 2^32, so
 * head - tail are in it and byte n lies at n modulo size. Records begin at multiples of 8: a 32-bit
 * word in the machine's order, its low 24 bits the length of the body, the others flags, then the
 * body. No record reaches over the end of the ring: where there is no room before it, a word
 * RING_SKIP says that the next one is at its beginning. Of frames of 60 bytes a record is one
 * cache line.
 *
 * Memory order. The producer writes records, then `head` with release; the consumer reads `head`
 * with acquire, then the records. It has taken them with `tail` (release), which the producer reads
 * (acquire) before it writes there again. Who finds a ring empty (full) and wants to be woken sets
 * `empty` (`full`), then looks once more; who has put (taken) something publishes that, then looks
 * at the flag. These four are sequentially consistent, so that one of the two sees what the other
 * did. Who finds the flag set and clears it by an exchange wakes the other side, once: by an ext
 * WIRE_EXT_WAKE on the stream. While both sides run nobody is woken.
 *
 * Nothing in the memory is believed. Each side has its own copies of size, position and what it saw
 * last of the other's; what the other side may change is read once, checked, and masked. A ring
 * that breaks these rules is RING_BROKEN for good. What a body says may change while it is looked
 * at: who judges it first copies it.
 *
 * Pure. Inline, since a frame of 60 bytes is some 15 instructions here. */
#ifndef PROTOCOL_RING_H
#define PROTOCOL_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "protocol/wire.h"

/* Bytes of one ring. Under 256 KiB its producer would sleep more than it works: rings of 256 KiB
 * carry a fifth to a tenth of what 1 MiB does at 1514 bytes, 4 MiB no more than twice as much
 * through a switch (limits.md, 7). */
#define RING_BYTES_MIN (256u * 1024u)
#define RING_BYTES (1024u * 1024u) /* if nobody says */
#define RING_BYTES_MAX (4u * 1024u * 1024u)

#define RING_DATA 4096u /* where the first ring begins in the memory */
#define RING_WORD 4u    /* bytes before a body */
#define RING_ALIGN 8u
#define RING_LEN 0x00ffffffu     /* of a word: bytes of body */
#define RING_SKIP 0x80000000u    /* a whole word: go on at the beginning */
#define RING_OFFLOAD 0x01000000u /* a flag: WIRE_OFFLOAD_LEN bytes of ext 1 before the frame */
#define RING_BODY_MAX WIRE_EXT_MAX

enum ring_way { RING_TO_SERVER, RING_TO_CLIENT };

/* What both sides of a ring share, each on cache lines of its own (two: they are fetched in
 * pairs). */
struct ring_words {
	_Alignas(128) _Atomic uint32_t head;  /* the producer's */
	_Alignas(128) _Atomic uint32_t full;  /* 1: the producer waits for room */
	_Alignas(128) _Atomic uint32_t tail;  /* the consumer's */
	_Alignas(128) _Atomic uint32_t empty; /* 1: the consumer waits for records */
};
_Static_assert(sizeof(struct ring_words) == 512, "as documented");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "what two processes share cannot have a lock");

/* The consumer's own. */
struct ring_reader {
	struct ring_words *words;
	const uint8_t *data;
	uint32_t size;
	uint32_t tail; /* what is taken; shared by ring_release() */
	uint32_t head; /* as it was seen, and found possible */
};

/* The producer's own. */
struct ring_writer {
	struct ring_words *words;
	uint8_t *data;
	uint32_t size;
	uint32_t limit; /* bytes that may be in it, at most size; an empty one takes any record */
	uint32_t head;  /* what is put; shared by ring_show(), ring_publish() */
	uint32_t tail;  /* as it was seen, and found possible */
	bool broken;    /* the consumer took what never was there */
};

struct ring_record {
	const uint8_t *body; /* in shared memory, until ring_release() */
	uint32_t len;
	uint32_t flags;
};

enum ring_item { RING_NONE, RING_RECORD, RING_BROKEN };

static inline bool ring_size_good(uint64_t size)
{
	return size >= RING_BYTES_MIN && size <= RING_BYTES_MAX && !(size & (size - 1));
}

/* Bytes of the whole memory. */
static inline size_t ring_area(uint32_t size)
{
	return RING_DATA + 2 * (size_t)size;
}

static inline void ring_reader_init(
	struct ring_reader *r, uint8_t *area, enum ring_way way, uint32_t size)
{
	r->words = (struct ring_words *)(void *)area + way;
	r->data = area + RING_DATA + (way == RING_TO_CLIENT ? size : 0);
	r->size = size;
	r->tail = r->head = 0;
}

static inline void ring_writer_init(
	struct ring_writer *w, uint8_t *area, enum ring_way way, uint32_t size)
{
	w->words = (struct ring_words *)(void *)area + way;
	w->data = area + RING_DATA + (way == RING_TO_CLIENT ? size : 0);
	w->size = w->limit = size;
	w->head = w->tail = 0;
	w->broken = false;
}

/* Bytes of the ring that a record with such a body takes. */
static inline uint32_t ring_span(uint32_t len)
{
	return (RING_WORD + len + RING_ALIGN - 1) & ~(RING_ALIGN - 1);
}

/* -- the consumer -- */

/* The next record, which lives until ring_release(). RING_BROKEN: the producer broke the rules. */
static inline enum ring_item ring_next(struct ring_reader *r, struct ring_record *out)
{
	for (;;) {
		if (r->tail == r->head) {
			const uint32_t head =
				atomic_load_explicit(&r->words->head, memory_order_acquire);
			if (head - r->tail > r->size || head % RING_ALIGN)
				return RING_BROKEN;
			if (head == r->tail)
				return RING_NONE;
			r->head = head;
		}
		const uint32_t at = r->tail & (r->size - 1);
		const uint32_t left = r->head - r->tail, before_end = r->size - at;
		const uint32_t word =
			atomic_load_explicit((const _Atomic uint32_t *)(const void *)(r->data + at),
				memory_order_relaxed);
		if (word == RING_SKIP) {
			if (!at || before_end > left)
				return RING_BROKEN;
			r->tail += before_end;
			continue;
		}
		const uint32_t len = word & RING_LEN;
		if (len > RING_BODY_MAX || ring_span(len) > left || ring_span(len) > before_end)
			return RING_BROKEN;
		r->tail += ring_span(len);
		out->body = r->data + at + RING_WORD;
		out->len = len;
		out->flags = word & ~RING_LEN;
		return RING_RECORD;
	}
}

/* Bytes known to be in the ring that lie in one piece. */
static inline uint32_t ring_left(const struct ring_reader *r)
{
	const uint32_t left = r->head - r->tail;
	const uint32_t before_end = r->size - (r->tail & (r->size - 1));
	return left < before_end ? left : before_end;
}

/* ring_next() for who takes many short ones: the record at the beginning of a piece of *left bytes
 * (ring_left()), if it has no flags and at most @max bytes of body. False says nothing of what is
 * there instead: that is for ring_next() to say. */
static inline bool ring_next_short(
	struct ring_reader *r, uint32_t *left, uint32_t max, struct ring_record *out)
{
	if (*left < RING_ALIGN)
		return false;
	const uint8_t *at = r->data + (r->tail & (r->size - 1));
	const uint32_t word = atomic_load_explicit(
		(const _Atomic uint32_t *)(const void *)at, memory_order_relaxed);
	if (word > max || ring_span(word) > *left)
		return false;
	*left -= ring_span(word);
	r->tail += ring_span(word);
	*out = (struct ring_record){ .body = at + RING_WORD, .len = word };
	return true;
}

/* What ring_next() gave is taken. True: the producer waits for room, and is to be woken. It is when
 * half of the ring is free, so that it does not come back for each frame. */
static inline bool ring_release(struct ring_reader *r)
{
	atomic_store(&r->words->tail, r->tail);
	return atomic_load(&r->words->full) && r->head - r->tail <= r->size / 2 &&
	       atomic_exchange(&r->words->full, 0);
}

/* The consumer goes to sleep. False: it must not, there is more (or a broken ring). */
static inline bool ring_sleep(struct ring_reader *r)
{
	atomic_store(&r->words->empty, 1);
	if (atomic_load(&r->words->head) == r->tail)
		return true;
	atomic_store_explicit(&r->words->empty, 0, memory_order_relaxed);
	return false;
}

/* -- the producer -- */

/* Looks how far the consumer is. */
static inline void ring_look(struct ring_writer *w)
{
	const uint32_t tail = atomic_load(&w->words->tail);
	if (w->head - tail > w->size)
		w->broken = true;
	else
		w->tail = tail;
}

/* Bytes that lie in it, as far as it was looked. */
static inline uint32_t ring_used(const struct ring_writer *w)
{
	return w->head - w->tail;
}

/* Whether @need more bytes have room, as far as it was looked. */
static inline bool ring_fits(const struct ring_writer *w, uint32_t need)
{
	const uint32_t used = ring_used(w);
	return need <= w->size - used && (!used || (used <= w->limit && need <= w->limit - used));
}

/* What the next record with such a body takes, with what it has to skip. */
static inline uint32_t ring_need(const struct ring_writer *w, uint32_t len)
{
	const uint32_t before_end = w->size - (w->head & (w->size - 1));
	return ring_span(len) + (ring_span(len) > before_end ? before_end : 0);
}

/**
 * ring_reserve() - room for a record
 * @len:	bytes of its body, RING_BODY_MAX at most
 * @flags:	0 or RING_OFFLOAD
 *
 * Return: where to write the body before the next ring_show() or ring_publish(); NULL: no room, or
 * the ring is broken
 */
static inline uint8_t *ring_reserve(struct ring_writer *w, uint32_t len, uint32_t flags)
{
	const uint32_t need = ring_need(w, len);
	if (!ring_fits(w, need)) {
		ring_look(w);
		if (w->broken || !ring_fits(w, need))
			return NULL;
	}
	const uint32_t skip = need - ring_span(len), word = len | flags, over = RING_SKIP;
	uint8_t *at = w->data + (w->head & (w->size - 1));
	if (skip) {
		memcpy(at, &over, sizeof(over));
		at = w->data;
	}
	memcpy(at, &word, sizeof(word));
	w->head += need;
	return at + RING_WORD;
}

/* Bytes of records that have room in one piece, as far as it was looked. */
static inline uint32_t ring_room(const struct ring_writer *w)
{
	const uint32_t used = ring_used(w), limit = w->limit < w->size ? w->limit : w->size;
	const uint32_t before_end = w->size - (w->head & (w->size - 1));
	const uint32_t room = used < limit ? limit - used : 0;
	return room < before_end ? room : before_end;
}

/* ring_reserve() for who puts many short ones: from a piece of *room bytes (ring_room()). NULL says
 * nothing, as above. */
static inline uint8_t *ring_reserve_short(struct ring_writer *w, uint32_t *room, uint32_t len)
{
	if (ring_span(len) > *room)
		return NULL;
	uint8_t *at = w->data + (w->head & (w->size - 1));
	memcpy(at, &len, sizeof(len));
	*room -= ring_span(len);
	w->head += ring_span(len);
	return at + RING_WORD;
}

/* Shows what was put to a consumer that runs. */
static inline void ring_show(struct ring_writer *w)
{
	atomic_store_explicit(&w->words->head, w->head, memory_order_release);
}

/* The same. True: the consumer sleeps, and is to be woken. */
static inline bool ring_publish(struct ring_writer *w)
{
	atomic_store(&w->words->head, w->head);
	return atomic_load(&w->words->empty) && atomic_exchange(&w->words->empty, 0);
}

/* The producer waits until half of the ring is free. False: it is (or the ring is broken). */
static inline bool ring_wait_half(struct ring_writer *w)
{
	atomic_store(&w->words->full, 1);
	ring_look(w);
	if (!w->broken && ring_used(w) > w->size / 2)
		return true;
	atomic_store_explicit(&w->words->full, 0, memory_order_relaxed);
	return false;
}

/* The producer waits for room for a body of @len bytes. False: it need not, there is some (or a
 * broken ring). */
static inline bool ring_wait(struct ring_writer *w, uint32_t len)
{
	atomic_store(&w->words->full, 1);
	ring_look(w);
	if (!w->broken && !ring_fits(w, ring_need(w, len)))
		return true;
	atomic_store_explicit(&w->words->full, 0, memory_order_relaxed);
	return false;
}

#endif
