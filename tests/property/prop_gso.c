/* prop_gso.c - random packets that owe work, in random pieces: what leaves is what Linux would have
 * made of them, byte for byte. */
#include "tests/support/test.h"

#include "server/core/csum.h"
#include "server/core/gso.h"
#include "tests/support/rng.h"
#include "tests/support/segments.h"

#define TURNS 3000u
#define PIECES 40u

static uint8_t data[65536];

/* The same frame in pieces of their own, each with nothing behind it. */
struct pieces {
	struct frame frame;
	struct seg more[PIECES];
};

static void cut_up(struct rng *rng, struct pieces *p, const struct frame *frame)
{
	uint32_t at = 14 + rng_below(rng, frame->len - 14 < 200 ? frame->len - 13 : 200);
	p->frame = *frame;
	p->frame.head = exact_copy(frame->head, at);
	p->frame.head_len = at;
	p->frame.more = p->more;
	while (at < frame->len) {
		uint32_t len = rng_one_in(rng, 3) ? rng_below(rng, 50) : rng_below(rng, 5000);
		if (len > frame->len - at || p->frame.more_n == PIECES - 1)
			len = frame->len - at;
		p->more[p->frame.more_n++] = (struct seg){ exact_copy(frame->head + at, len), len };
		at += len;
	}
}

static void put_down(struct pieces *p)
{
	free((void *)(uintptr_t)p->frame.head);
	for (unsigned i = 0; i < p->frame.more_n; i++)
		free((void *)(uintptr_t)p->more[i].base);
}

static struct packet random_packet(struct rng *rng)
{
	struct packet p = {
		.v6 = rng_one_in(rng, 2),
		.tcp = !rng_one_in(rng, 3),
		.dst = 1 + rng_below(rng, 200),
		.src = 1 + rng_below(rng, 200),
		.tags = rng_below(rng, 3),
		.ip_options = rng_below(rng, 11),
		.ext = rng_below(rng, 4),
		.tcp_options = rng_below(rng, 11),
		.tcp_flags = (uint8_t)rng_next(rng),
		.tos = (uint8_t)rng_next(rng),
		.ip_id = (uint16_t)rng_next(rng),
		.ip_frag = rng_one_in(rng, 2) ? 0x4000 : 0,
		.seq = (uint32_t)rng_next(rng),
		.ack = (uint32_t)rng_next(rng),
		.payload = data,
		.len = rng_below(rng, rng_one_in(rng, 2) ? 65000 : 3000),
	};
	for (unsigned i = 0; i < 64; i++)
		data[rng_below(rng, sizeof(data))] = (uint8_t)rng_next(rng);
	return p;
}

/* The way a receiver looks at it. */
static void check_valid(const struct frame *f)
{
	uint8_t *b = flat_frame(f);
	struct offload_parts p;
	must(offload_parse(b, f->len, f->len, &p));
	const uint32_t l4_len = f->len - p.l4;
	const uint16_t pseudo = packet_pseudo(b + p.l3, p.v6, p.protocol, l4_len);
	must(packet_sum(b + p.l4, l4_len, pseudo) == 0xffff);
	must(p.protocol == 6 || packet_get16(b + p.l4 + 6)); /* 0 in UDP: there is none */
	must(csum_fold(csum_add(
		     csum_pseudo(b + p.l3, p.v6, p.protocol, l4_len), b + p.l4, l4_len)) == 0xffff);
	free(b);
}

static void finish(const struct frame *owing)
{
	const struct cut cut = cut_frame(owing);
	for (unsigned i = 0; i < cut.n; i++)
		check_valid(&cut.out[i]);
	if (owing->offload.gso_type)
		check_segments(owing, cut.out, cut.n);
	cut_free(&cut);
}

static void test_what_leaves_is_right(void **state)
{
	(void)state;
	static uint8_t buf[PACKET_HEADERS + 65536];
	struct rng rng = rng_start("prop_gso");
	unsigned super = 0;
	for (unsigned turn = 0; turn < TURNS; turn++) {
		const struct packet p = random_packet(&rng);
		struct pieces pieces = { .frame = { 0 } };
		struct frame f = packet_make(&p, buf, true);
		if (!rng_one_in(&rng, 4))
			f = packet_super(&p, buf, (uint16_t)rng_between(&rng, 1, 9000));
		cut_up(&rng, &pieces, &f);
		if (offload_valid(&pieces.frame, 9200)) {
			super += pieces.frame.offload.gso_type != 0;
			finish(&pieces.frame);
		} else { /* only what cannot be had */
			must(p.len > (uint32_t)f.offload.gso_size * OFFLOAD_SEGMENTS);
		}
		put_down(&pieces);
	}
	assert_true(super > TURNS / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_leaves_is_right) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
