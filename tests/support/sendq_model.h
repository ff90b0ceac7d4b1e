/* sendq_model.h - sendq and egress against a list of what was accepted: random frames of random
 * framings, random short writes, random messages in between. What arrives must be exactly the
 * frames that were accepted, in order, with the messages whole between them, and first.
 *
 * Shared by property/prop_sendq.c and fuzz/fuzz_sendq.c. */
#ifndef TESTS_SUPPORT_SENDQ_MODEL_H
#define TESTS_SUPPORT_SENDQ_MODEL_H

#include "tests/support/rng.h"

/* One life of a queue: at most that many operations, then all is drained. Fails by cmocka's
 * asserts. */
void sendq_model_run(struct rng rng, unsigned steps);

#endif
