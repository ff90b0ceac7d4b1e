/* bench_inject.c - what it costs to give frames to a feth interface and to read them there: AF_NDRV
 * against BPF, one frame a write and, from macOS 14.1, many (BIOCSBATCHWRITE).
 *
 *   bench_inject [--seconds S] [--json FILE] [--uncounted]     figures; about S seconds (20)
 *   bench_inject --check [--absent N]                          delivery: every frame, every byte
 *
 * Needs root. It makes a pair of its own, of the highest free units, and takes it away on every way
 * out. On Linux it is linked to the simulated kernel (--profile says which release): there it shows
 * that the program works; its figures mean nothing.
 *
 * A *cell* is one way to write, one frame size, one number of frames a write. All cells run one
 * after the other, in one round forwards and in the next backwards, so that what changes meanwhile
 * (clock, temperature, others) meets all alike; the table has medians over the rounds, and the
 * least and the greatest. The service member carries one BPF descriptor that sees only what comes
 * in, as fethd's does. Success of a write is not delivery (darwin-feth rule 25), so what arrives at
 * the host member is counted there by a BPF descriptor that nobody reads; --uncounted leaves it
 * out, for its cost is on the way of every frame. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/inject_cells.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

bool bench_stopped(void)
{
	return stop != 0;
}

/* A signal ends the measurement, not the program: the pair must go. */
static void catch_signals(unsigned seconds)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGALRM };
	struct sigaction action = { .sa_handler = on_signal };
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	alarm(seconds + 10);
}

struct options {
	unsigned seconds;
	const char *json;    /* a file, or "-" */
	const char *profile; /* of the simulated kernel */
	bool check, uncounted;
	int absent; /* how many cells this release cannot have; -1: as many as there are */
};

static int usage(void)
{
	fprintf(stderr,
		"usage: bench_inject [--seconds 2..300] [--json FILE] [--uncounted]\n"
		"       bench_inject --check [--absent N]\n%s",
		machine_simulated ? "       with --profile 10.14|12|13|14.0|14.1|15\n" : "");
	return 2;
}

static bool number(const char *text, long least, long most, long *out)
{
	char *end;
	*out = strtol(text, &end, 10);
	return end != text && !*end && *out >= least && *out <= most;
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "json", required_argument, NULL, 'j' },
		{ "profile", required_argument, NULL, 'p' },
		{ "absent", required_argument, NULL, 'a' },
		{ "check", no_argument, NULL, 'c' },
		{ "uncounted", no_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;
	long n = 0;
	*o = (struct options){ .seconds = 20, .absent = -1 };
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool fine = true;
		if (opt == 's') {
			fine = number(optarg, 2, 300, &n);
			o->seconds = (unsigned)n;
		} else if (opt == 'a') {
			fine = number(optarg, 0, 1000, &n);
			o->absent = (int)n;
		} else if (opt == 'j') {
			o->json = optarg;
		} else if (opt == 'p') {
			o->profile = optarg;
		} else if (opt == 'c') {
			o->check = true;
		} else if (opt == 'u') {
			o->uncounted = true;
		} else {
			fine = false;
		}
		if (!fine)
			return false;
	}
	return optind == argc;
}

static bool write_json(const struct bench *b, const char *path, const char *machine)
{
	if (!strcmp(path, "-")) {
		report_json(b, machine, stdout);
		return true;
	}
	FILE *f = fopen(path, "w");
	if (f)
		report_json(b, machine, f);
	if (f && fclose(f) == 0)
		return true;
	perror(path);
	return false;
}

static int check(struct bench *b, int absent, struct err *err)
{
	unsigned missing = 0;
	const int rc = cells_check(b, &missing, err);
	if (rc < 0)
		return rc;
	printf("%u cells delivered every byte, %u are not to be had here\n", CELLS - missing,
		missing);
	if (absent >= 0 && missing != (unsigned)absent)
		return err_set(err, -1, "%u cells are absent, where %d should be", missing, absent);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o;
	struct err err = { 0 };
	char machine[256];
	static struct bench b;
	if (!parse(argc, argv, &o) || machine_start(o.profile, machine, sizeof(machine)) < 0)
		return usage();
	catch_signals(o.seconds);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("bench_inject: %s\n", machine);
	if (machine_simulated)
		puts("SIMULATED KERNEL: figures from here mean nothing, on any machine.");

	int rc = bench_open(&b, !o.uncounted, &err);
	if (!rc)
		rc = o.check ? check(&b, o.absent, &err) : cells_measure(&b, o.seconds, &err);
	if (!rc && !o.check) {
		report_table(&b, stdout);
		if (o.json && !write_json(&b, o.json, machine))
			rc = -1;
	}
	bench_close(&b);
	if (rc < 0 && err.text[0])
		fprintf(stderr, "bench_inject: %s\n", err.text);
	if (!machine_clean()) {
		fprintf(stderr, "bench_inject: the machine is not as it was before\n");
		rc = -1;
	}
	return rc < 0 || stop ? 1 : 0;
}
