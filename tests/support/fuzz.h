/* fuzz.h - a fuzz target: one function over bytes, that aborts at anything wrong. Driven by
 * libFuzzer (preset fuzz), or over the seeds and past findings by fuzz/replay.c (all other
 * presets). */
#ifndef TESTS_SUPPORT_FUZZ_H
#define TESTS_SUPPORT_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define must(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

#endif
