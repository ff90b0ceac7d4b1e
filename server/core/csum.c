/* csum.c - see csum.h. */
#include "server/core/csum.h"

#define LOW32 0xffffffffu

typedef uint64_t vec __attribute__((vector_size(16)));

static inline vec load(const uint8_t *p)
{
	vec v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* The two halves of each lane apart, so that nothing carries over for 2^31 additions. */
static inline vec halves(vec v)
{
	return (v & LOW32) + (v >> 32);
}

uint64_t csum_add(uint64_t sum, const void *p, size_t len)
{
	const uint8_t *b = p;
	uint64_t word = 0;
	if (len >= 64) {
		vec v0 = { 0 }, v1 = v0, v2 = v0, v3 = v0; /* no array: gcc keeps that in memory */
		do {
			v0 += halves(load(b));
			v1 += halves(load(b + 16));
			v2 += halves(load(b + 32));
			v3 += halves(load(b + 48));
			b += 64;
			len -= 64;
		} while (len >= 64);
		v0 += v1 + v2 + v3;
		sum += v0[0] + v0[1];
	}
	for (; len >= 8; b += 8, len -= 8) {
		memcpy(&word, b, 8);
		sum += (word & LOW32) + (word >> 32);
	}
	word = 0;
	memcpy(&word, b, len);
	return sum + (word & LOW32) + (word >> 32);
}

/* RFC 1071, 2 (B): the sum of bytes that are swapped is the swapped sum. */
static uint64_t swapped(uint64_t sum)
{
	const uint16_t word = csum_fold(sum);
	return (uint16_t)(word << 8 | word >> 8);
}

uint64_t csum_add_segs(uint64_t sum, const struct seg *segs, unsigned n)
{
	bool odd = false;
	for (unsigned i = 0; i < n; i++) {
		if (!odd)
			sum = csum_add(sum, segs[i].base, segs[i].len);
		else
			sum += swapped(csum_add(0, segs[i].base, segs[i].len));
		odd ^= segs[i].len & 1;
	}
	return sum;
}

uint64_t csum_pseudo(const uint8_t *ip, bool v6, uint8_t protocol, uint32_t len)
{
	const uint64_t sum = csum_add(csum_be16(protocol), ip + (v6 ? 8 : 12), v6 ? 32 : 8);
	return sum + csum_be16(len >> 16) + csum_be16(len & 0xffff);
}
