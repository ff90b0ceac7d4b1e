/* test_csum.c - the Internet checksum, against the plain way. */
#include "tests/support/test.h"

#include "server/core/csum.h"
#include "tests/support/bytes.h"
#include "tests/support/packet.h"
#include "tests/support/rng.h"

static uint16_t stored(uint64_t sum)
{
	uint8_t b[2];
	csum_put_nonzero(b, sum);
	return (uint16_t)packet_get16(b);
}

/* Of any length and alignment, with no byte behind it. */
static void test_equals_the_sum_of_words(void **state)
{
	(void)state;
	struct rng rng = { .state = 7 };
	for (unsigned len = 0; len < 400; len++) {
		for (unsigned off = 0; off < 9; off++) {
			uint8_t *b = malloc(len + off + 1);
			for (unsigned i = 0; i < len + off; i++)
				b[i] = (uint8_t)rng_next(&rng);
			uint8_t *exact = exact_copy(b + off, len);
			const uint16_t want = (uint16_t)~packet_sum(exact, len, 0);
			assert_int_equal(stored(csum_add(0, exact, len)), want ? want : 0xffff);
			assert_int_equal(stored(csum_add(0, b + off, len)), want ? want : 0xffff);
			free(exact);
			free(b);
		}
	}
}

static void test_the_longest_and_the_fullest(void **state)
{
	(void)state;
	static uint8_t b[65552];
	memset(b, 0xff, sizeof(b));
	assert_int_equal(csum_fold(csum_add(0, b, sizeof(b))), 0xffff);
	uint64_t sum = 0;
	for (unsigned i = 0; i < 1000; i++)
		sum = csum_add(sum, b, sizeof(b));
	assert_int_equal(csum_fold(sum), 0xffff);
	b[65551] = 0xfe;
	assert_int_equal(stored(csum_add(0, b, sizeof(b))), 1);
}

static void test_pieces_of_any_length(void **state)
{
	(void)state;
	uint8_t b[300];
	struct rng rng = { .state = 9 };
	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)rng_next(&rng);
	for (unsigned turn = 0; turn < 2000; turn++) {
		struct seg segs[8];
		uint32_t at = 0;
		unsigned n = 0;
		for (; n < 8; n++) {
			segs[n].base = b + at;
			segs[n].len = rng_below(&rng, 37);
			at += (uint32_t)segs[n].len;
		}
		const uint16_t want = (uint16_t)~packet_sum(b, at, 0);
		assert_int_equal(stored(csum_add_segs(0, segs, n)), want ? want : 0xffff);
	}
}

/* RFC 1071, 3 has these bytes and this sum. */
static void test_known_numbers(void **state)
{
	(void)state;
	assert_int_equal(stored(csum_add(0, BYTES(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7))),
		0xffff & ~0xddf2);
	assert_int_equal(stored(csum_be16(0x1234) + csum_be16(1)), 0xffff & ~0x1235);
	assert_int_equal(stored(csum_be16(0x1234) + csum_minus(csum_be16(0x34))), 0xffff & ~0x1200);
	assert_int_equal(stored(0xffff), 0xffff); /* never zero */
}

static void test_pseudo_headers(void **state)
{
	(void)state;
	uint8_t ip[40];
	for (unsigned i = 0; i < sizeof(ip); i++)
		ip[i] = (uint8_t)(i * 37 + 11);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const uint16_t want = (uint16_t)~packet_pseudo(ip, v6, 17, 40001);
		assert_int_equal(stored(csum_pseudo(ip, v6, 17, 40001)), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equals_the_sum_of_words),
		cmocka_unit_test(test_the_longest_and_the_fullest),
		cmocka_unit_test(test_pieces_of_any_length),
		cmocka_unit_test(test_known_numbers),
		cmocka_unit_test(test_pseudo_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
