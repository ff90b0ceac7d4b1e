/* inject_cells.h - the cells of bench_inject: what is measured, how, and what came out. */
#ifndef TESTS_BENCH_INJECT_CELLS_H
#define TESTS_BENCH_INJECT_CELLS_H

#include <stdio.h>

#include "tests/bench/inject_lab.h"

#define ROUNDS 5u
#define SIZES 4u
#define WAYS 5u   /* to write: AF_NDRV, BPF, batches of 1, 8 and 64 */
#define BURSTS 4u /* how many frames wait when a reader comes */
#define BATCH_MAX 64u
#define CELLS (WAYS * SIZES)

enum method { METHOD_NDRV, METHOD_BPF, METHOD_BATCH };

struct way {
	enum method method;
	unsigned batch; /* frames a write */
	const char *name;
};

extern const struct way ways[WAYS];
extern const uint32_t sizes[SIZES]; /* bytes of a frame */
extern const unsigned bursts[BURSTS];

/* One figure over the rounds. */
struct series {
	double v[ROUNDS];
	unsigned n;
};

struct send_cell {
	struct series per_s, cpu_us,
		arrived;  /* frames accepted; CPU of a frame; of those, 0 to 1 */
	uint64_t refused; /* ENOBUFS */
	char absent[96];  /* why it cannot be had; "" if it can */
};

struct recv_cell {
	struct series us, per_read, lost; /* of a frame; frames; of the frames sent, 0 to 1 */
};

struct bench {
	struct lab lab;
	int into_service; /* AF_NDRV; also keeps the member up (rule 19) */
	int into_host;    /* AF_NDRV; plays the host's stack */
	struct lab_bpf at_service;
	struct lab_bpf at_host; /* the counter; in a check the reader. fd -1: uncounted */
	uint8_t *bytes;         /* owned; what one write gives */
	struct send_cell send[WAYS][SIZES];
	struct recv_cell recv[BURSTS][SIZES];
	unsigned rounds; /* complete ones */
};

int bench_open(struct bench *b, bool counted, struct err *err);
void bench_close(struct bench *b); /* also a half-open one */
bool bench_stopped(void);          /* by a signal */

/* Every way and size: each frame arrives once, in order, whole, on the right member only. */
int cells_check(struct bench *b, unsigned *out_absent, struct err *err);
/* ROUNDS rounds, in about so many seconds; fewer where the machine is slow. */
int cells_measure(struct bench *b, unsigned seconds, struct err *err);

void report_table(const struct bench *b, FILE *f);
void report_json(const struct bench *b, const char *machine, FILE *f);

#endif
