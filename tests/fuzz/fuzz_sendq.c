/* fuzz_sendq.c - sendq and egress against their model, with every choice made by the fuzzer. */
#include "tests/support/fuzz.h"
#include "tests/support/sendq_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len)
		sendq_model_run((struct rng){ .bytes = data, .left = len }, 200);
	return 0;
}
