/* run_flow.c - a sender that never waits and a receiver that counts. See runs.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "tests/bench/runs.h"

#define RECV_SECONDS_MAX 120.0

int run_send(struct end *end, double seconds)
{
	const struct itimerval timer = {
		.it_value = { (time_t)seconds,
			(suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) }
	};
	uint64_t frames = 0;
	const double cpu = end_cpu(), start = end_now();
	setitimer(ITIMER_REAL, &timer, NULL);
	while (!bench_stop) {
		const int n = end->ops->send(end);
		if (n < 0) {
			fprintf(stderr, "bench_client: send: %s\n", strerror(errno));
			return 1;
		}
		frames += (uint64_t)n;
	}
	printf("{\"frames\": %" PRIu64 ", \"seconds\": %.6f, \"cpu\": %.6f, \"calls\": %" PRIu64
	       "}\n",
		frames, end_now() - start, end_cpu() - cpu, end->calls);
	return 0;
}

int run_recv(struct end *end)
{
	double first = 0, last = 0;
	const double cpu = end_cpu(), limit = end_now() + RECV_SECONDS_MAX;
	const uint64_t calls = end->calls;
	for (;;) {
		const uint64_t before = end->in.frames;
		const int rc = end->ops->recv(end);
		if (rc < 0 || (rc == 0 && bench_stop))
			break;
		const double now = end_now();
		if (now > limit)
			break;
		if (end->in.frames == before)
			continue;
		if (!before)
			first = now;
		last = now;
	}
	printf("{\"frames\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"other\": %" PRIu64
	       ", \"disorder\": %" PRIu64 ", \"seconds\": %.6f, \"cpu\": %.6f, \"calls\": %" PRIu64
	       "}\n",
		end->in.frames, end->in.bytes, end->in.other, end->in.disorder, last - first,
		end_cpu() - cpu, end->calls - calls);
	return 0;
}
