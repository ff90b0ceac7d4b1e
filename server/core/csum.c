/* csum.c - see csum.h. */
#include "server/core/csum.h"

#define LOW32 0xffffffffu

typedef uint64_t vec __attribute__((vector_size(16)));

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
		vec v[4], a[4] = { { 0 } };
		do {
			memcpy(v, b, sizeof(v));
			for (unsigned i = 0; i < 4; i++)
				a[i] += halves(v[i]);
			b += 64;
			len -= 64;
		} while (len >= 64);
		a[0] += a[1] + a[2] + a[3];
		sum += a[0][0] + a[0][1];
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
