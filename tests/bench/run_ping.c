/* run_ping.c - round-trip times of single frames. See runs.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/runs.h"

#define PING_WAIT 0.2 /* seconds; what takes longer counts as lost */

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Waits until one frame more has come. 1; 0: none did; -1: it ended. */
static int wait_frame(struct end *end, double until)
{
	const uint64_t before = end->in.frames;
	while (end->in.frames == before) {
		if (end->ops->recv(end) < 0)
			return -1;
		if (end->in.frames == before && (bench_stop || end_now() > until))
			return 0;
	}
	return 1;
}

static int send_one(struct end *end)
{
	int n;
	do
		n = end->ops->send(end);
	while (!n && !bench_stop);
	return n;
}

static void print_times(double *us, unsigned n, unsigned lost)
{
	static const double at[] = { 0.5, 0.9, 0.99, 0.999 };
	static const char *const names[] = { "p50", "p90", "p99", "p999" };
	qsort(us, n, sizeof(*us), by_size);
	printf("{\"count\": %u, \"lost\": %u", n, lost);
	for (size_t i = 0; n && i < sizeof(at) / sizeof(at[0]); i++)
		printf(", \"%s_us\": %.1f", names[i], us[(unsigned)(at[i] * (n - 1) + 0.5)]);
	if (n)
		printf(", \"min_us\": %.1f, \"max_us\": %.1f", us[0], us[n - 1]);
	puts("}");
}

int run_ping(struct end *end, unsigned count, unsigned gap_us)
{
	const struct timespec gap = { .tv_sec = gap_us / 1000000,
		.tv_nsec = (long)(gap_us % 1000000) * 1000 };
	double *us = calloc(count, sizeof(*us));
	unsigned n = 0, lost = 0;
	int rc = us ? 0 : -1;
	end->in.only = end->mac;
	while (rc >= 0 && n + lost < count && !bench_stop) {
		const double start = end_now();
		/* an answer that comes too late must not be taken for the next one's */
		end->in.next = end->out.next;
		const uint32_t asked = end->out.next;
		rc = send_one(end);
		while (rc > 0 && (rc = wait_frame(end, start + PING_WAIT)) > 0)
			if (end->in.next == asked + 1)
				break;
		if (rc > 0)
			us[n++] = (end_now() - start) * 1e6;
		else
			lost++;
		nanosleep(&gap, NULL);
	}
	if (rc < 0)
		fprintf(stderr, "bench_client: ping: %s\n", strerror(errno));
	else
		print_times(us, n, lost);
	free(us);
	return rc < 0;
}

int run_echo(struct end *end)
{
	uint64_t frames = 0;
	static const uint8_t nobody[6] = { 0 };
	end->in.only = end->mac;
	if (batch_make(end, nobody, 60, 1) < 0)
		return 1;
	while (!bench_stop) {
		const int rc = wait_frame(end, 0);
		if (rc < 0)
			break;
		if (!rc)
			continue;
		memcpy(end->out.bytes + end->out.hdr, end->in.from, 6);
		end->out.next = end->in.next - 1;
		if (send_one(end) < 0)
			break;
		frames++;
	}
	printf("{\"frames\": %llu}\n", (unsigned long long)frames);
	return 0;
}
