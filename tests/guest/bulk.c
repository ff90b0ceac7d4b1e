/* bulk.c - deterministic noise on standard output: the payload of the bulk transfer tests.
 *
 *   bulk SEED NBYTES
 *
 * The same SEED gives the same bytes on every machine, so both ends of a transfer can be compared
 * without either keeping a copy. No part repeats, so that lost, doubled and swapped pieces all
 * show. xorshift64* (S. Vigna, 2016), little-endian, and fast enough under emulation.
 * Exit 0; 1 when it cannot write; 2 for wrong usage. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char chunk[64 * 1024]; /* a multiple of 8 */

static uint64_t next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

static int parse(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		return -1;
	*out = value;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seed, left;

	if (argc != 3 || parse(argv[1], &seed) < 0 || parse(argv[2], &left) < 0) {
		fputs("usage: bulk SEED NBYTES\n", stderr);
		return 2;
	}

	uint64_t state = seed + UINT64_C(0x9e3779b97f4a7c15);
	if (!state)
		state = 1; /* zero would stay zero */
	while (left) {
		for (size_t i = 0; i < sizeof(chunk); i += 8) {
			uint64_t value = next(&state);
			for (unsigned b = 0; b < 8; b++)
				chunk[i + b] = (unsigned char)(value >> (8 * b));
		}
		size_t n = left < sizeof(chunk) ? (size_t)left : sizeof(chunk);
		if (fwrite(chunk, 1, n, stdout) != n)
			break;
		left -= n;
	}
	if (left || fflush(stdout)) {
		fprintf(stderr, "bulk: write: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
