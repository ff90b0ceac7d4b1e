/* inject_cells.c - see inject_cells.h. */
#include "tests/bench/inject_cells.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define CHECK_FRAMES 192u              /* of a cell: whole batches of every size */
#define CHECK_BUFFER (4u * LAB_BUFFER) /* a batch of the longest; 12 grants less and has none */
#define SETTLE_MS 100u                 /* until what was accepted has arrived or never will */
#define COUNTER_SIZE 4096u             /* full at once, then it only counts */
#define CLOCK_EVERY 32u                /* frames between two looks at the clock */
#define REST_SECONDS 2.0               /* of the time given: opening, settling, closing */
#define SLICE_MIN 0.002                /* seconds of a cell */

const struct way ways[WAYS] = {
	{ METHOD_NDRV, 1, "AF_NDRV write" },
	{ METHOD_BPF, 1, "BPF write" },
	{ METHOD_BATCH, 1, "BPF batch write" },
	{ METHOD_BATCH, 8, "BPF batch write" },
	{ METHOD_BATCH, 64, "BPF batch write" },
};
const uint32_t sizes[SIZES] = { 60, 1514, 9014, LAB_FRAME_MAX };
const unsigned bursts[BURSTS] = { 1, 8, 64, 1024 };

/* One way in, open for one cell, and what is written. */
struct writer {
	int fd;
	struct lab_bpf bpf; /* fd -1 for AF_NDRV, whose socket stays */
	const struct way *way;
	uint32_t size;
	uint32_t len; /* of what is in bench.bytes */
};

static double seconds_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu_now(void)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static void add(struct series *s, double v)
{
	if (s->n < ROUNDS)
		s->v[s->n++] = v;
}

/* -- opening -- */

int bench_open(struct bench *b, bool counted, struct err *err)
{
	*b = (struct bench){ .into_service = -1, .into_host = -1, .lab.ctl = -1 };
	b->at_service.fd = b->at_host.fd = -1;
	b->bytes = malloc((LAB_FRAME_MAX + 32u) * BATCH_MAX);
	if (!b->bytes)
		return err_set(err, -DW_ENOMEM, "out of memory");
	int rc = lab_open(&b->lab, err);
	if (rc < 0)
		return rc;
	b->into_service = lab_ndrv(b->lab.service, err);
	if (b->into_service < 0)
		return b->into_service;
	b->into_host = lab_ndrv(b->lab.host, err);
	if (b->into_host < 0)
		return b->into_host;
	rc = lab_bpf_open(&b->at_service, b->lab.service, LAB_BUFFER, err);
	if (!rc && counted)
		rc = lab_bpf_open(&b->at_host, b->lab.host, COUNTER_SIZE, err);
	return rc;
}

void bench_close(struct bench *b)
{
	lab_bpf_close(&b->at_host);
	lab_bpf_close(&b->at_service);
	if (b->into_host >= 0)
		darwin_sys.close(b->into_host);
	if (b->into_service >= 0)
		darwin_sys.close(b->into_service);
	lab_close(&b->lab);
	free(b->bytes);
	b->bytes = NULL;
}

/* -- writing -- */

static void writer_close(struct writer *w)
{
	lab_bpf_close(&w->bpf);
	w->fd = -1;
}

static void fill(struct bench *b, struct writer *w, uint32_t seq)
{
	w->len = 0;
	for (unsigned i = 0; i < w->way->batch; i++) {
		if (w->way->method == METHOD_BATCH) {
			w->len += lab_record(b->bytes + w->len, seq + i, w->size);
		} else {
			lab_frame(b->bytes, seq, w->size);
			w->len = w->size;
		}
	}
}

/* 0, or 1 with the reason in @absent where this kernel has no such way. */
static int writer_open(struct bench *b, struct writer *w, const struct way *way, uint32_t size,
	char *absent, size_t absent_size, struct err *err)
{
	*w = (struct writer){ .fd = b->into_service, .bpf.fd = -1, .way = way, .size = size };
	if (size > b->lab.mtu + 14) {
		snprintf(absent, absent_size, "the largest MTU here is %u", (unsigned)b->lab.mtu);
		return 1;
	}
	fill(b, w, 0);
	if (way->method == METHOD_NDRV)
		return 0;
	int rc = lab_bpf_open(&w->bpf, b->lab.service, COUNTER_SIZE, err);
	if (rc < 0)
		return rc;
	w->fd = w->bpf.fd;
	int32_t on = 1;
	if (way->method == METHOD_BATCH)
		rc = darwin_sys.ioctl(w->fd, DW_BIOCSBATCHWRITE, &on);
	if (!rc)
		return 0;
	writer_close(w);
	if (rc != -DW_EINVAL)
		return err_set(
			err, rc, "BIOCSBATCHWRITE on %s: %s", b->lab.service, lab_errname(rc));
	snprintf(absent, absent_size, "no batches before macOS 14.1");
	return 1;
}

/* A limit of BPF's, which differs by release (bpf.c:bpf_movein). */
static bool too_long(const struct writer *w, long rc)
{
	return w->way->method != METHOD_NDRV && (rc == -DW_EIO || rc == -DW_EMSGSIZE);
}

static int write_failed(const struct bench *b, const struct writer *w, long rc, struct err *err)
{
	return err_set(err, (int)rc, "%s of %u bytes on %s: %s", w->way->name, (unsigned)w->size,
		b->lab.service, lab_errname(rc));
}

static long write_once(const struct bench *b, const struct writer *w)
{
	const long rc = darwin_sys.write(w->fd, b->bytes, w->len);
	return rc < 0 || rc == (long)w->len ? rc : -DW_EIO;
}

/* Until the kernel's threads have brought everything: @want frames more than @before, or nothing
 * new for 3 ms. */
static uint32_t settle(const struct lab_bpf *bpf, uint32_t before, uint32_t want)
{
	uint32_t last = lab_bpf_seen(bpf);
	unsigned quiet = 0;
	for (unsigned i = 0; i < SETTLE_MS && quiet < 3 && last - before < want; i++) {
		darwin_sys.sleep_us(1000);
		const uint32_t now = lab_bpf_seen(bpf);
		quiet = now == last ? quiet + 1 : 0;
		last = now;
	}
	return last - before;
}

static int measure_send(struct bench *b, unsigned way, unsigned size, double slice, struct err *err)
{
	struct send_cell *cell = &b->send[way][size];
	struct writer w;
	if (cell->absent[0])
		return 0;
	int rc = writer_open(
		b, &w, &ways[way], sizes[size], cell->absent, sizeof(cell->absent), err);
	if (rc)
		return rc < 0 ? rc : 0;

	const bool counted = b->at_host.fd >= 0;
	const uint32_t before = counted ? lab_bpf_seen(&b->at_host) : 0;
	uint64_t accepted = 0, refused = 0, since = 0;
	const double cpu = cpu_now(), begin = seconds_now();
	double now = begin;
	while (now - begin < slice && !bench_stopped()) {
		const long n = write_once(b, &w);
		if (n == -DW_ENOBUFS)
			refused += w.way->batch;
		else if (n >= 0)
			accepted += w.way->batch;
		else if (!accepted && too_long(&w, n))
			break;
		else
			rc = write_failed(b, &w, n, err);
		if (rc < 0)
			break;
		since += w.way->batch;
		if (since >= CLOCK_EVERY) {
			since = 0;
			now = seconds_now();
		}
	}
	const double spent = seconds_now() - begin, cpu_spent = cpu_now() - cpu;
	if (!rc && accepted) {
		const double n = (double)accepted;
		add(&cell->per_s, n / spent);
		add(&cell->cpu_us, 1e6 * cpu_spent / n);
		if (counted)
			add(&cell->arrived, settle(&b->at_host, before, (uint32_t)accepted) / n);
		cell->refused += refused;
	} else if (!rc && !bench_stopped()) {
		snprintf(cell->absent, sizeof(cell->absent), "%s",
			refused ? "ENOBUFS all the time" : "longer than a BPF write may be");
	}
	writer_close(&w);
	return rc;
}

/* -- reading -- */

static void count_frame(void *ctx, const uint8_t *frame, uint32_t len, bool whole)
{
	unsigned *n = ctx;
	uint32_t seq;
	*n += whole && lab_frame_ours(frame, len, &seq);
}

static int read_failed(const char *ifname, long rc, struct err *err)
{
	return err_set(err, (int)rc, "read of BPF on %s: %s", ifname, lab_errname(rc));
}

/* Everything that waits at the service member. */
static int drain(struct bench *b, unsigned *frames, unsigned *reads, struct err *err)
{
	*frames = *reads = 0;
	for (;;) {
		const long n = lab_bpf_read(&b->at_service, count_frame, frames);
		if (n < 0)
			return read_failed(b->lab.service, n, err);
		if (!n)
			return 0;
		(*reads)++;
	}
}

/* Lets a burst collect, then takes the time of reading it. Reads do not wait, so it is CPU time. */
static int measure_recv(
	struct bench *b, unsigned burst, unsigned size, double slice, struct err *err)
{
	struct recv_cell *cell = &b->recv[burst][size];
	uint64_t sent = 0, got = 0, reads = 0;
	double reading = 0;
	if (sizes[size] > b->lab.mtu + 14)
		return 0;
	lab_frame(b->bytes, 0, sizes[size]);
	const double end = seconds_now() + slice;
	do {
		const uint32_t before = lab_bpf_seen(&b->at_service);
		unsigned here = 0, frames, n;
		for (unsigned i = 0; i < bursts[burst]; i++) {
			const long rc = darwin_sys.write(b->into_host, b->bytes, sizes[size]);
			if (rc < 0 && rc != -DW_ENOBUFS)
				return err_set(err, (int)rc, "AF_NDRV write on %s: %s", b->lab.host,
					lab_errname(rc));
			here += rc >= 0;
		}
		(void)settle(&b->at_service, before, here);
		const double begin = seconds_now();
		const int rc = drain(b, &frames, &n, err);
		if (rc < 0)
			return rc;
		reading += seconds_now() - begin;
		sent += here;
		got += frames;
		reads += n;
	} while (seconds_now() < end && !bench_stopped());
	if (!got || !sent || got > sent)
		return bench_stopped()
			       ? 0
			       : err_set(err, -DW_EIO, "%s: %llu frames were read of %llu sent",
					 b->lab.service, (unsigned long long)got,
					 (unsigned long long)sent);
	add(&cell->us, 1e6 * reading / (double)got);
	add(&cell->per_read, (double)got / (double)reads);
	add(&cell->lost, (double)(sent - got) / (double)sent);
	return 0;
}

static int measure_round(struct bench *b, bool backwards, double slice, double end, struct err *err)
{
	const unsigned n = SIZES * (WAYS + BURSTS);
	for (unsigned i = 0; i < n; i++) {
		const unsigned at = backwards ? n - 1 - i : i;
		const unsigned size = at / (WAYS + BURSTS), what = at % (WAYS + BURSTS);
		if (bench_stopped() || seconds_now() > end)
			return 1;
		const int rc = what < WAYS ? measure_send(b, what, size, slice, err)
					   : measure_recv(b, what - WAYS, size, slice, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int cells_measure(struct bench *b, unsigned seconds, struct err *err)
{
	const double cells = ROUNDS * SIZES * (WAYS + BURSTS);
	const double begin = seconds_now();
	double slice = ((double)seconds - REST_SECONDS) / cells;
	if (slice < SLICE_MIN)
		slice = SLICE_MIN;
	for (unsigned round = 0; round < ROUNDS; round++) {
		const int rc = measure_round(b, round % 2, slice, begin + (double)seconds, err);
		if (rc)
			return rc < 0 ? rc : 0; /* the time is over */
		b->rounds++;
	}
	return 0;
}

/* -- checking -- */

struct expect {
	uint32_t next, size;
	unsigned frames, wrong;
};

static void check_frame(void *ctx, const uint8_t *frame, uint32_t len, bool whole)
{
	struct expect *e = ctx;
	uint32_t seq;
	if (!lab_frame_ours(frame, len, &seq))
		return; /* somebody else's: a Mac may say something on a new interface */
	e->frames++;
	if (!whole || len != e->size || seq != e->next || !lab_frame_same(frame, seq, len))
		e->wrong++;
	e->next = seq + 1;
}

/* Reads until @want frames were seen, 100 ms at most. */
static int expect_frames(
	struct lab_bpf *bpf, const char *ifname, struct expect *e, unsigned want, struct err *err)
{
	for (unsigned i = 0; i < SETTLE_MS; i++) {
		const long n = lab_bpf_read(bpf, check_frame, e);
		if (n < 0)
			return read_failed(ifname, n, err);
		if (e->frames >= want)
			break;
		if (!n)
			darwin_sys.sleep_us(1000);
	}
	if (e->frames == want && !e->wrong)
		return 0;
	return err_set(err, -DW_EIO, "%s: of %u frames of %u bytes %u came, %u of them wrong",
		ifname, want, (unsigned)e->size, e->frames, e->wrong);
}

static int check_send(struct bench *b, struct lab_bpf *at_host, const struct way *way,
	uint32_t size, char *absent, size_t absent_size, struct err *err)
{
	struct writer w;
	struct expect here = { .size = size }, echo = { .size = size };
	int rc = writer_open(b, &w, way, size, absent, absent_size, err);
	if (rc)
		return rc;
	for (uint32_t seq = 0; !rc && seq < CHECK_FRAMES; seq += way->batch) {
		fill(b, &w, seq);
		const long n = write_once(b, &w);
		if (n < 0 && !seq && too_long(&w, n)) {
			snprintf(absent, absent_size, "%s: longer than a BPF write may be",
				lab_errname(n));
			rc = 1;
		} else if (n < 0) {
			rc = write_failed(b, &w, n, err);
		} else {
			rc = expect_frames(at_host, b->lab.host, &here, seq + way->batch, err);
		}
	}
	writer_close(&w);
	if (!rc) /* nothing of it comes back */
		rc = expect_frames(&b->at_service, b->lab.service, &echo, 0, err);
	return rc;
}

static int check_recv(struct bench *b, uint32_t size, unsigned burst, struct err *err)
{
	struct expect e = { .size = size };
	const uint32_t before = lab_bpf_seen(&b->at_service);
	for (uint32_t seq = 0; seq < burst; seq++) {
		lab_frame(b->bytes, seq, size);
		const long n = darwin_sys.write(b->into_host, b->bytes, size);
		if (n != (long)size)
			return err_set(err, (int)n, "AF_NDRV write on %s: %s", b->lab.host,
				lab_errname(n));
	}
	(void)settle(&b->at_service, before, burst);
	return expect_frames(&b->at_service, b->lab.service, &e, burst, err);
}

static int check_all(
	struct bench *b, struct lab_bpf *at_host, unsigned *out_absent, struct err *err)
{
	for (unsigned way = 0; way < WAYS; way++) {
		for (unsigned size = 0; size < SIZES; size++) {
			char why[96] = "";
			const int rc = check_send(
				b, at_host, &ways[way], sizes[size], why, sizeof(why), err);
			if (rc < 0)
				return rc;
			*out_absent += rc > 0;
			printf("%-16s %2u a write %6u bytes: %s\n", ways[way].name, ways[way].batch,
				(unsigned)sizes[size], rc ? why : "ok");
		}
	}
	for (unsigned size = 0; size < SIZES; size++) {
		const unsigned burst = LAB_BUFFER / (sizes[size] + 32); /* what one buffer holds */
		const unsigned n = burst < 64 ? burst : 64;
		const int rc =
			sizes[size] > b->lab.mtu + 14 ? 0 : check_recv(b, sizes[size], n, err);
		if (rc < 0)
			return rc;
		printf("BPF read %24u bytes: ok, %u frames\n", (unsigned)sizes[size], n);
	}
	return 0;
}

int cells_check(struct bench *b, unsigned *out_absent, struct err *err)
{
	struct lab_bpf at_host;
	int rc = lab_bpf_open(&at_host, b->lab.host, CHECK_BUFFER, err);
	if (rc < 0)
		return rc;
	rc = check_all(b, &at_host, out_absent, err);
	lab_bpf_close(&at_host);
	return rc;
}
