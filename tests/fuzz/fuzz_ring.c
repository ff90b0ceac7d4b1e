/* fuzz_ring.c - both ends of a ring against another side that writes what it likes, where it likes.
 * The input is what it writes, and when we look. */
#include "protocol/ring.h"
#include "tests/support/fuzz.h"
#include "tests/support/rng.h"

#define SIZE 1024u

static uint32_t any_word(struct rng *rng, uint32_t near)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return (uint32_t)rng_read(rng, 4);
	case 1:
		return near + 8 * rng_below(rng, 2 * SIZE / 8);
	case 2:
		return near - 8 * rng_below(rng, 16);
	default:
		return RING_SKIP;
	}
}

static void scribble(struct rng *rng, struct ring_words *words, uint8_t *data, uint32_t near)
{
	const uint32_t word = any_word(rng, near);
	_Atomic uint32_t *all[] = { &words->head, &words->full, &words->tail, &words->empty };
	const uint32_t where = rng_below(rng, 8);
	if (where < 4) {
		atomic_store(all[where], word);
		return;
	}
	const uint32_t len = word & 0x7ff; /* of a record, most of the time */
	memcpy(data + 8 * rng_below(rng, SIZE / 8), where < 7 ? &len : &word, sizeof(word));
}

/* As who reads many short ones does (port_shm.c), who may read *left bytes whatever a record says.
 */
static void look_short(struct ring_reader *r, uint32_t max)
{
	struct ring_record rec = { 0 };
	uint32_t left = ring_left(r), before = left;
	while (ring_next_short(r, &left, max, &rec)) {
		must(rec.len <= max && !rec.flags);
		must(rec.body >= r->data + RING_WORD);
		must(rec.body - RING_WORD + before <= r->data + SIZE);
		must(left < before);
		before = left;
	}
	must(r->head - r->tail <= SIZE);
}

static void look(struct ring_reader *r)
{
	struct ring_record rec = { 0 };
	unsigned n = 0;
	enum ring_item got;
	while ((got = ring_next(r, &rec)) == RING_RECORD) {
		must(rec.len <= RING_BODY_MAX && !(rec.flags & RING_LEN));
		must(rec.body >= r->data && rec.body + rec.len <= r->data + SIZE);
		must(++n <= 2 * SIZE / 8); /* what it had seen, and what is there */
	}
	must(r->head - r->tail <= SIZE);
	if (got == RING_NONE)
		must(r->head == r->tail);
}

static void put(struct ring_writer *w, uint32_t len)
{
	const bool broken = w->broken;
	uint32_t room = ring_room(w);
	uint8_t *body = len % 2 ? ring_reserve_short(w, &room, len) : ring_reserve(w, len, 0);
	must(room <= SIZE);
	must(!broken || w->broken);
	must(w->head - w->tail <= SIZE);
	if (!body)
		return;
	must(body >= w->data + RING_WORD && body + len <= w->data + SIZE);
	memset(body, 0x5a, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct rng rng = { .bytes = input, .left = n };
	uint8_t *area = aligned_alloc(128, ring_area(SIZE));
	must(area);
	memset(area, 0, ring_area(SIZE));
	struct ring_reader r;
	struct ring_writer w;
	ring_reader_init(&r, area, RING_TO_SERVER, SIZE);
	ring_writer_init(&w, area, RING_TO_CLIENT, SIZE); /* its end is the end of the memory */

	while (!rng_empty(&rng)) {
		switch (rng_below(&rng, 8)) {
		case 0:
			look_short(&r, rng_below(&rng, SIZE / 8));
			look(&r);
			break;
		case 1:
			(void)ring_release(&r);
			break;
		case 2:
			(void)ring_sleep(&r);
			break;
		case 3:
			put(&w, rng_below(&rng, SIZE / 2));
			break;
		case 4:
			(void)ring_publish(&w);
			break;
		case 5:
			(void)ring_wait(&w, rng_below(&rng, SIZE / 2));
			break;
		case 6:
			scribble(&rng, w.words, w.data, w.head);
			break;
		default:
			scribble(&rng, r.words, (uint8_t *)(uintptr_t)r.data, r.tail);
		}
	}
	free(area);
	return 0;
}
