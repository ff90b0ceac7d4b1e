/* runs.h - what bench_client does with an end. Each prints one line of JSON and returns the exit
 * status of the program. */
#ifndef TESTS_BENCH_RUNS_H
#define TESTS_BENCH_RUNS_H

#include <signal.h>

#include "tests/bench/ends.h"

extern volatile sig_atomic_t bench_stop; /* set by a signal: the time is over */

/* Sends end->out again and again for @seconds and never waits longer than the socket makes it. */
int run_send(struct end *end, double seconds);
/* Counts what comes until bench_stop and 100 ms of silence, the end of the connection, or 120 s. */
int run_recv(struct end *end);
/* Sends one frame of end->out, waits for one back (200 ms at most), @count times @gap_us apart;
 * prints the round-trip times of those that came. */
int run_ping(struct end *end, unsigned count, unsigned gap_us);
/* Sends one frame back for every one that comes, until bench_stop. */
int run_echo(struct end *end);

#endif
