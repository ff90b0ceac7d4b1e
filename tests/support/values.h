/* values.h - random msgpack, in every form an encoder may choose. */
#ifndef TESTS_SUPPORT_VALUES_H
#define TESTS_SUPPORT_VALUES_H

#include "tests/support/bytes.h"
#include "tests/support/rng.h"

static inline void put_be(struct bytes *b, unsigned width, uint64_t v)
{
	while (width--)
		bytes_byte(b, (unsigned)(v >> (8 * width)) & 0xff);
}

static inline void put_random(struct bytes *b, struct rng *rng, uint32_t n)
{
	while (n--)
		bytes_byte(b, rng_below(rng, 256));
}

/* A type byte of @base whose length of 1, 2 or 4 bytes can hold @n. */
static inline void put_length(struct bytes *b, struct rng *rng, unsigned base, uint32_t n)
{
	const unsigned least = n <= 0xff ? 0 : n <= 0xffff ? 1 : 2;
	const unsigned form = rng_between(rng, least, 2);
	bytes_byte(b, base + form);
	put_be(b, 1u << form, n);
}

static inline void put_container(
	struct bytes *b, struct rng *rng, unsigned fix, unsigned base16, uint32_t n)
{
	const unsigned form = rng_between(rng, n < 16 ? 0 : 1, 2);
	if (form == 0) {
		bytes_byte(b, fix | n);
	} else {
		bytes_byte(b, base16 + form - 1);
		put_be(b, form == 1 ? 2 : 4, n);
	}
}

/* One value; containers nest up to @depth. Few are long, and those are flat. */
static inline void put_value(struct bytes *b, struct rng *rng, unsigned depth)
{
	static const uint8_t fixed[][2] = { { 0xca, 4 }, { 0xcb, 8 }, { 0xcc, 1 }, { 0xcd, 2 },
		{ 0xce, 4 }, { 0xcf, 8 }, { 0xd0, 1 }, { 0xd1, 2 }, { 0xd2, 4 }, { 0xd3, 8 },
		{ 0xd4, 2 }, { 0xd5, 3 }, { 0xd6, 5 }, { 0xd7, 9 }, { 0xd8, 17 } };
	const uint32_t n = rng_one_in(rng, 20) ? rng_below(rng, 400) : rng_below(rng, 6);
	switch (rng_below(rng, depth ? 10 : 7)) {
	case 0:
		bytes_byte(b, rng_below(rng, 0x80));
		break;
	case 1:
		bytes_byte(b, rng_between(rng, 0xe0, 0xff));
		break;
	case 2:
		bytes_byte(b, "\xc0\xc2\xc3"[rng_below(rng, 3)] & 0xff);
		break;
	case 3: {
		const uint8_t *f = fixed[rng_below(rng, 15)];
		bytes_byte(b, f[0]);
		put_random(b, rng, f[1]);
		break;
	}
	case 4: /* str */
		if (n < 32 && rng_one_in(rng, 2))
			bytes_byte(b, 0xa0 | n);
		else
			put_length(b, rng, 0xd9, n);
		put_random(b, rng, n);
		break;
	case 5: /* bin */
		put_length(b, rng, 0xc4, n);
		put_random(b, rng, n);
		break;
	case 6: /* ext */
		put_length(b, rng, 0xc7, n);
		put_random(b, rng, n + 1);
		break;
	case 7:
	case 8: /* array */
		put_container(b, rng, 0x90, 0xdc, n);
		for (uint32_t i = 0; i < n; i++)
			put_value(b, rng, n < 6 ? depth - 1 : 0);
		break;
	default: /* map */
		put_container(b, rng, 0x80, 0xde, n);
		for (uint32_t i = 0; i < 2 * n; i++)
			put_value(b, rng, n < 3 ? depth - 1 : 0);
	}
}

/* An array, as every RPC object is one. */
static inline void put_array(struct bytes *b, struct rng *rng, unsigned depth)
{
	const uint32_t n = rng_below(rng, 7);
	put_container(b, rng, 0x90, 0xdc, n);
	for (uint32_t i = 0; i < n; i++)
		put_value(b, rng, depth - 1);
}

#endif
