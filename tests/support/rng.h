/* rng.h - random choices that can be repeated: FETHD_SEED=n sets the seed a test has printed. A
 * fuzzer makes the choices itself: then they are read from its bytes. */
#ifndef TESTS_SUPPORT_RNG_H
#define TESTS_SUPPORT_RNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct rng {
	uint64_t state;
	const uint8_t *bytes; /* not NULL: choices come from here; all zero when it is used up */
	size_t left;
};

/* A fuzzer's bytes are used up. */
static inline bool rng_empty(const struct rng *rng)
{
	return rng->bytes && !rng->left;
}

static inline uint64_t rng_read(struct rng *rng, unsigned width)
{
	uint64_t v = 0;
	for (; width && rng->left; width--, rng->left--)
		v = v << 8 | *rng->bytes++;
	return v;
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t rng_next(struct rng *rng)
{
	if (rng->bytes)
		return rng_read(rng, 8);
	uint64_t z = rng->state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	if (rng->bytes)
		return (uint32_t)(rng_read(rng, n <= 0x100 ? 1 : n <= 0x10000 ? 2 : 3) % n);
	return (uint32_t)(rng_next(rng) % n);
}

static inline uint32_t rng_between(struct rng *rng, uint32_t min, uint32_t max)
{
	return min + rng_below(rng, max - min + 1);
}

static inline bool rng_one_in(struct rng *rng, uint32_t n)
{
	return !rng_below(rng, n);
}

/* A start for one test; printed, so that a failure can be run again. */
static inline struct rng rng_start(const char *test)
{
	const char *env = getenv("FETHD_SEED");
	struct timespec now;
	timespec_get(&now, TIME_UTC);
	const uint64_t seed = env ? strtoull(env, NULL, 0)
				  : (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	printf("%s: FETHD_SEED=%llu\n", test, (unsigned long long)seed);
	fflush(stdout);
	return (struct rng){ .state = seed };
}

#endif
