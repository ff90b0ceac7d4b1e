/* bench_client.c - one end of a measurement: sends frames as fast as the switch takes them, or
 * counts those that arrive. bench.py starts both ends.
 *
 *   bench_client send KIND WHERE DST SIZE BATCH SECONDS
 *   bench_client recv KIND WHERE
 *
 * KIND and WHERE: native, qemu and raw with a socket's path; vde with vde_switch's directory;
 * packet with an interface. A receiver prints "ready MAC" when the switch has its address, counts
 * until SIGTERM and 100 ms of silence, or until its connection ends. Both then print one line of
 * JSON. A sender stops by itself after SECONDS (at most 60); a receiver after 120. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/ends.h"

#define SECONDS_MAX 60.0
#define RECV_SECONDS_MAX 120.0

static volatile sig_atomic_t stop; /* the time is over */

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static double seconds_of(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

static double cpu_seconds(void)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	return seconds_of(&ru.ru_utime) + seconds_of(&ru.ru_stime);
}

static double now_seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void tally_frame(struct tally *t, const uint8_t *frame, size_t len)
{
	if (len < END_SEQ + 4 || frame[12] != END_ETHERTYPE >> 8 ||
		frame[13] != (END_ETHERTYPE & 0xff)) {
		t->other++;
		return;
	}
	uint32_t seq;
	memcpy(&seq, frame + END_SEQ, sizeof(seq));
	t->disorder += seq < t->next;
	t->next = seq + 1;
	t->frames++;
	t->bytes += len;
}

void batch_stamp(struct batch *b)
{
	uint8_t *at = b->bytes + b->hdr + END_SEQ;
	for (uint32_t i = 0; i < b->n; i++, at += b->hdr + b->size) {
		const uint32_t seq = b->next + i;
		memcpy(at, &seq, sizeof(seq));
	}
}

size_t end_hello(const struct end *end, uint8_t out[60])
{
	memset(out, 0, 60);
	memset(out, 0xff, 6);
	memcpy(out + 6, end->mac, 6);
	out[12] = 0x88; /* 88b6: the other experimental type */
	out[13] = 0xb6;
	return 60;
}

void end_socket(int fd)
{
	const int bytes = END_SNDBUF;
	const struct timeval in = { .tv_usec = 100000 }, out = { .tv_usec = 200000 };
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &in, sizeof(in));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &out, sizeof(out));
}

static int make_batch(struct end *end, const uint8_t dst[6], uint32_t size, unsigned n)
{
	struct batch *b = &end->out;
	uint8_t hdr[8];
	b->n = n;
	b->size = size;
	b->hdr = end->ops->header ? end->ops->header(hdr, size) : 0;
	b->bytes = calloc(n, b->hdr + size);
	if (!b->bytes)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *at = b->bytes + i * (b->hdr + size);
		memcpy(at, hdr, b->hdr);
		memcpy(at + b->hdr, dst, 6);
		memcpy(at + b->hdr + 6, end->mac, 6);
		at[b->hdr + 12] = END_ETHERTYPE >> 8;
		at[b->hdr + 13] = END_ETHERTYPE & 0xff;
		for (uint32_t k = END_SEQ; k < size; k++)
			at[b->hdr + k] = (uint8_t)(k * 31 + i);
	}
	return 0;
}

static int run_send(struct end *end, double seconds)
{
	const struct itimerval timer = {
		.it_value = { (time_t)seconds,
			(suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) }
	};
	uint64_t frames = 0;
	const double cpu = cpu_seconds(), start = now_seconds();
	setitimer(ITIMER_REAL, &timer, NULL);
	while (!stop) {
		const int n = end->ops->send(end);
		if (n < 0) {
			fprintf(stderr, "bench_client: send: %s\n", strerror(errno));
			return 1;
		}
		frames += (uint64_t)n;
	}
	printf("{\"frames\": %" PRIu64 ", \"seconds\": %.6f, \"cpu\": %.6f, \"calls\": %" PRIu64
	       "}\n",
		frames, now_seconds() - start, cpu_seconds() - cpu, end->calls);
	return 0;
}

static int run_recv(struct end *end)
{
	double first = 0, last = 0;
	const double cpu = cpu_seconds(), limit = now_seconds() + RECV_SECONDS_MAX;
	const uint64_t calls = end->calls;
	for (;;) {
		const uint64_t before = end->in.frames;
		const int rc = end->ops->recv(end);
		if (rc < 0 || (rc == 0 && stop))
			break;
		const double now = now_seconds();
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
		cpu_seconds() - cpu, end->calls - calls);
	return 0;
}

static const struct end_ops *find_kind(const char *name)
{
	static const struct end_ops *const kinds[] = {
		&end_native,
		&end_qemu,
		&end_raw,
		&end_packet,
#ifdef BENCH_VDE
		&end_vde,
#endif
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i]->name, name))
			return kinds[i];
	return NULL;
}

static int parse_mac(const char *text, uint8_t out[6])
{
	unsigned b[6];
	char rest;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		    &rest) != 6)
		return -1;
	for (unsigned i = 0; i < 6; i++)
		out[i] = (uint8_t)b[i];
	return 0;
}

static int usage(void)
{
	fputs("usage: bench_client send KIND WHERE DST SIZE BATCH SECONDS\n"
	      "       bench_client recv KIND WHERE\n",
		stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const bool sends = argc == 8 && !strcmp(argv[1], "send");
	if (!sends && !(argc == 4 && !strcmp(argv[1], "recv")))
		return usage();

	struct end end = { .ops = find_kind(argv[2]), .fd = -1 };
	const uint8_t mac[6] = { 0x02, 0xbe, 0, 0, 0, sends ? 1 : 2 };
	memcpy(end.mac, mac, 6);
	uint8_t dst[6] = { 0 };
	unsigned long size = 0, batch = 0;
	double seconds = 0;
	if (sends) {
		size = strtoul(argv[5], NULL, 10);
		batch = strtoul(argv[6], NULL, 10);
		seconds = strtod(argv[7], NULL);
		if (parse_mac(argv[4], dst) < 0 || size < 60 || size > END_SIZE_MAX || batch < 1 ||
			batch > END_BATCH_MAX || !(seconds > 0 && seconds <= SECONDS_MAX))
			return usage();
	}
	if (!end.ops) {
		fprintf(stderr, "bench_client: no kind %s here\n", argv[2]);
		return 2;
	}

	/* without SA_RESTART, so that a blocked call ends too */
	const struct sigaction act = { .sa_handler = on_signal };
	sigaction(sends ? SIGALRM : SIGTERM, &act, NULL);
	end.buf = malloc(END_BATCH_MAX * END_SLOT);
	if (!end.buf || end.ops->open(&end, argv[3], !sends) < 0) {
		fprintf(stderr, "bench_client: %s: %s\n", argv[3], strerror(errno));
		return 1;
	}
	int rc = 1;
	if (!sends) {
		printf("ready %02x:%02x:%02x:%02x:%02x:%02x\n", end.mac[0], end.mac[1], end.mac[2],
			end.mac[3], end.mac[4], end.mac[5]);
		fflush(stdout);
		rc = run_recv(&end);
	} else if (!make_batch(&end, dst, (uint32_t)size, (unsigned)batch)) {
		rc = run_send(&end, seconds);
	}
	free(end.out.bytes);
	free(end.buf);
	return rc;
}
