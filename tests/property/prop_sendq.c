/* prop_sendq.c - sendq and egress against the model of support/sendq_model.h. */
#include "tests/support/test.h"

#include "tests/support/sendq_model.h"

static void test_what_arrives_is_what_was_accepted_in_order(void **state)
{
	(void)state;
	struct rng rng = rng_start("sendq and egress");
	for (unsigned i = 0; i < 250; i++)
		sendq_model_run((struct rng){ .state = rng_next(&rng) }, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_arrives_is_what_was_accepted_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
