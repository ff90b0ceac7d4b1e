/* fuzz_arpnd.c - a frame, in one piece and in two: both are read alike, within their bounds, and
 * what the short look passes over claims nothing. The first byte says where it is cut. */
#include "server/core/arpnd.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

#define CLAIMS 512u

static unsigned read_all(const struct frame *frame, mac_key *out, bool *doubtful)
{
	static uint8_t scratch[ARPND_SCRATCH];
	struct arpnd a;
	mac_key claim;
	unsigned n = 0;
	arpnd_read(frame, scratch, &a);
	while (arpnd_next(&a, &claim)) {
		if (n < CLAIMS)
			out[n] = claim;
		n++;
	}
	must(n * 6 <= frame->len);
	must(arpnd_may(frame) || (!n && !a.doubtful));
	*doubtful = a.doubtful;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static mac_key one[CLAIMS], two[CLAIMS];
	bool doubtful_one, doubtful_two;
	if (len < 1 + 14 || len > ARPND_SCRATCH)
		return 0;
	const uint32_t n = (uint32_t)len - 1, cut = 14 + data[0] % (n - 13);
	uint8_t *whole = exact_copy(data + 1, n);
	uint8_t *first = exact_copy(data + 1, cut), *rest = exact_copy(data + 1 + cut, n - cut);
	const struct seg more = { rest, n - cut };
	const struct frame a = { .head = whole, .head_len = n, .len = n };
	const struct frame b = {
		.head = first, .head_len = cut, .len = n, .more = &more, .more_n = 1
	};
	const unsigned n_one = read_all(&a, one, &doubtful_one);
	must(read_all(&b, two, &doubtful_two) == n_one && doubtful_one == doubtful_two);
	must(!memcmp(one, two, (n_one < CLAIMS ? n_one : CLAIMS) * sizeof(one[0])));
	free(whole);
	free(first);
	free(rest);
	return 0;
}
