/* bench_client.c - one end of a measurement: sends frames as fast as the switch takes them, counts
 * those that arrive, or measures how long one is on its way. The benches start both ends.
 *
 *   bench_client [-n NUMBER] [-s STATIONS] send KIND WHERE DST SIZE BATCH SECONDS
 *   bench_client [-n NUMBER] [-s STATIONS] recv KIND WHERE
 *   bench_client [-n NUMBER] ping KIND WHERE DST COUNT GAP_US
 *   bench_client [-n NUMBER] echo KIND WHERE
 *
 * KIND and WHERE: native, qemu and raw with a socket's path; direct with one that it makes itself,
 * for a raw sender; vde with vde_switch's directory; packet with an interface. NUMBER is the last
 * byte of its address (packet: the interface's own). With -s there are STATIONS behind the
 * receiver, and the sender takes them in turn. recv and echo print "ready MAC" when the switch has
 * their address, and run until SIGTERM (recv: and 100 ms of silence) or the end of the connection.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/runs.h"

#define SECONDS_MAX 60.0
#define COUNT_MAX 1000000u
#define STATIONS_MAX (1u << 20)
#define STATIONS_HIGH 0x55 /* byte 2 of their addresses */

volatile sig_atomic_t bench_stop;

static void on_signal(int sig)
{
	(void)sig;
	bench_stop = 1;
}

static const struct end_ops *find_kind(const char *name)
{
	static const struct end_ops *const kinds[] = {
		&end_native,
		&end_qemu,
		&end_raw,
		&end_direct,
		&end_packet,
#ifdef BENCH_VDE
		&end_vde,
#endif
#ifdef BENCH_SHM
		&end_shm,
		&end_raw_shm,
		&end_direct_shm,
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
	fputs("usage: bench_client [-n NUMBER] [-s STATIONS] send KIND WHERE DST SIZE BATCH "
	      "SECONDS\n"
	      "       bench_client [-n NUMBER] [-s STATIONS] recv KIND WHERE\n"
	      "       bench_client [-n NUMBER] ping KIND WHERE DST COUNT GAP_US\n"
	      "       bench_client [-n NUMBER] echo KIND WHERE\n",
		stderr);
	return 2;
}

static int listen_for(struct end *end, bool echo, uint32_t stations)
{
	if (stations && end_stations(end, STATIONS_HIGH, stations) < 0) {
		fprintf(stderr, "bench_client: %s\n", strerror(errno));
		return 1;
	}
	printf("ready %02x:%02x:%02x:%02x:%02x:%02x\n", end->mac[0], end->mac[1], end->mac[2],
		end->mac[3], end->mac[4], end->mac[5]);
	fflush(stdout);
	return echo ? run_echo(end) : run_recv(end);
}

/* argv: DST SIZE BATCH SECONDS, or DST COUNT GAP_US */
static int talk(struct end *end, char **argv, bool ping, uint32_t stations)
{
	uint8_t dst[6];
	if (parse_mac(argv[0], dst) < 0)
		return usage();
	const unsigned long a = strtoul(argv[1], NULL, 10), b = strtoul(argv[2], NULL, 10);
	if (ping) {
		if (a < 1 || a > COUNT_MAX || b > 1000000)
			return usage();
		return batch_make(end, dst, 60, 1) < 0 ? 1
						       : run_ping(end, (unsigned)a, (unsigned)b);
	}
	const double seconds = strtod(argv[3], NULL);
	if (a < 60 || a > END_SIZE_MAX || b < 1 || b > END_BATCH_MAX ||
		!(seconds > 0 && seconds <= SECONDS_MAX))
		return usage();
	if (batch_make(end, dst, (uint32_t)a, (unsigned)b) < 0)
		return 1;
	end->out.stations = stations;
	end->out.station = STATIONS_HIGH;
	return run_send(end, seconds);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int words;    /* with its own name */
		bool listens; /* needs no DST; the switch is to learn its address */
		uint8_t number;
	} runs[] = { { "send", 7, false, 1 }, { "recv", 3, true, 2 }, { "ping", 6, false, 3 },
		{ "echo", 3, true, 4 } };
	unsigned long number = 0, stations = 0;
	int opt;
	while ((opt = getopt(argc, argv, "n:s:")) != -1) {
		unsigned long *to = opt == 'n' ? &number : opt == 's' ? &stations : NULL;
		if (!to)
			return usage();
		*to = strtoul(optarg, NULL, 10);
	}
	argv += optind;
	argc -= optind;
	size_t run = 0;
	while (run < 4 && (argc < 1 || strcmp(argv[0], runs[run].name)))
		run++;
	if (run == 4 || argc != runs[run].words || number > 0xff || stations > STATIONS_MAX)
		return usage();

	struct end end = { .ops = find_kind(argv[1]), .fd = -1 };
	if (!end.ops) {
		fprintf(stderr, "bench_client: no kind %s here\n", argv[1]);
		return 2;
	}
	const uint8_t mac[6] = { 0x02, 0xbe, 0, 0, 0, number ? (uint8_t)number : runs[run].number };
	memcpy(end.mac, mac, 6);

	/* without SA_RESTART, so that a blocked call ends too */
	const struct sigaction act = { .sa_handler = on_signal };
	sigaction(SIGALRM, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	end.buf = malloc(END_BATCH_MAX * END_SLOT);
	if (!end.buf || end.ops->open(&end, argv[2], run != 0) < 0) {
		fprintf(stderr, "bench_client: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	const int rc = runs[run].listens ? listen_for(&end, run == 3, (uint32_t)stations)
					 : talk(&end, argv + 3, run == 2, (uint32_t)stations);
	free(end.out.bytes);
	free(end.buf);
	return rc;
}
