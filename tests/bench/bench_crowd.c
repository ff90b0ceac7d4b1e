/* bench_crowd.c - many ports: clients of fethd's native socket that send nothing and read all that
 * comes.
 *
 *   bench_crowd PATH COUNT
 *
 * Attaches COUNT clients, has the switch learn one address of each (02:be:55 and three bytes),
 * prints "ready" when all is quiet, and on SIGTERM a line of JSON: bytes that came since, and CPU
 * seconds. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/bench/ends.h"

#define COUNT_MAX 4096u
#define CROWD_HIGH 0x55 /* as a sender with -s numbers them */
#define QUIET_MS 100

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static uint8_t buf[END_READ];

/* Reads what there is, until nothing came for @ms, or until told to stop. Bytes. */
static uint64_t read_all(int ep, int ms)
{
	uint64_t bytes = 0;
	while (!stop) {
		struct epoll_event ev[256];
		const int n = epoll_wait(ep, ev, 256, ms);
		if (!n && ms >= 0)
			break;
		for (int i = 0; i < n; i++) {
			const ssize_t got = recv(ev[i].data.fd, buf, sizeof(buf), MSG_DONTWAIT);
			if (got > 0)
				bytes += (uint64_t)got;
			else if (!got)
				epoll_ctl(ep, EPOLL_CTL_DEL, ev[i].data.fd, NULL);
		}
	}
	return bytes;
}

int main(int argc, char **argv)
{
	const unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	if (count < 1 || count > COUNT_MAX) {
		fputs("usage: bench_crowd PATH COUNT\n", stderr);
		return 2;
	}
	const struct rlimit files = { COUNT_MAX + 64, COUNT_MAX + 64 };
	const struct sigaction act = { .sa_handler = on_signal };
	(void)setrlimit(RLIMIT_NOFILE, &files);
	sigaction(SIGTERM, &act, NULL);
	const int ep = epoll_create1(EPOLL_CLOEXEC);
	for (uint32_t i = 0; i < count; i++) {
		struct end end = { .ops = &end_native, .fd = -1, .buf = buf };
		end_station(end.mac, CROWD_HIGH, i);
		/* before it speaks, so that what the others said does not pile up */
		(void)read_all(ep, 0);
		if (end_native.open(&end, argv[1], true) < 0) {
			fprintf(stderr, "bench_crowd: client %u: %s\n", i, strerror(errno));
			return 1;
		}
		struct epoll_event ev = { .events = EPOLLIN, .data.fd = end.fd };
		if (epoll_ctl(ep, EPOLL_CTL_ADD, end.fd, &ev) < 0)
			return 1;
	}
	(void)read_all(ep, QUIET_MS);
	puts("ready");
	fflush(stdout);
	const double cpu = end_cpu();
	const uint64_t bytes = read_all(ep, -1);
	printf("{\"bytes\": %" PRIu64 ", \"cpu\": %.6f}\n", bytes, end_cpu() - cpu);
	return 0;
}
