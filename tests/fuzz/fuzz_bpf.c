/* fuzz_bpf.c - a program and a frame: what passes bpf_check() ends, and reads nothing but the
 * frame, whole or in pieces. Input: a byte that says how many steps, 8 bytes a step, and the frame.
 */
#include <string.h>

#include "server/core/bpf.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

static struct bpf_step step_at(const uint8_t *p)
{
	return (struct bpf_step){
		.code = (uint16_t)(p[0] << 8 | p[1]),
		.jt = p[2],
		.jf = p[3],
		.k = (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | (uint32_t)p[6] << 8 | p[7],
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	unsigned n = *data++;
	len--;
	if (n > len / 8)
		n = (unsigned)(len / 8);
	struct bpf_step *steps = malloc((n ? n : 1) * sizeof(*steps));
	must(steps);
	for (unsigned i = 0; i < n; i++)
		steps[i] = step_at(data + 8 * i);
	data += 8 * n;
	len -= 8 * n;

	unsigned at = n + 1;
	const char *why = bpf_check(steps, n, &at);
	must(at <= n);
	if (!why) {
		/* each piece ends where its memory does */
		const size_t half = len / 2;
		uint8_t *one = exact_copy(data, len), *head = exact_copy(data, half),
			*tail = exact_copy(data + half, len - half);
		const struct seg more = { tail, len - half };
		const struct frame whole = {
			.head = one, .head_len = (uint32_t)len, .len = (uint32_t)len
		};
		const struct frame pieces = { .head = head,
			.head_len = (uint32_t)half,
			.len = (uint32_t)len,
			.more = &more,
			.more_n = 1 };
		must(bpf_run(steps, &whole) == bpf_run(steps, &pieces));
		free(one);
		free(head);
		free(tail);
	}
	free(steps);
	return 0;
}
