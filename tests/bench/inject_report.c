/* inject_report.c - what bench_inject prints: a table for people, JSON for programs. */
#include <stdlib.h>
#include <string.h>

#include "tests/bench/inject_cells.h"

/* What changes the path of a frame, and is not for us to set. */
static const char *const settings[] = { "net.link.fake.txstart", "net.link.fake.hwcsum",
	"net.link.fake.bsd_mode", "net.link.fake.tso_support", "net.link.fake.fcs",
	"net.link.fake.trailer_length", "debug.bpf_bufsize_cap" };

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

struct spread {
	double median, least, most;
	bool any;
};

static struct spread spread(const struct series *s)
{
	double v[ROUNDS];
	struct spread out = { .any = s->n > 0 };
	if (!s->n)
		return out;
	memcpy(v, s->v, sizeof(v));
	qsort(v, s->n, sizeof(v[0]), by_value);
	out.least = v[0];
	out.most = v[s->n - 1];
	out.median = s->n % 2 ? v[s->n / 2] : (v[s->n / 2 - 1] + v[s->n / 2]) / 2;
	return out;
}

static void print(FILE *f, const struct series *s, double scale, int digits)
{
	const struct spread x = spread(s);
	char text[64];
	if (x.any)
		snprintf(text, sizeof(text), "%.*f (%.*f-%.*f)", digits, x.median * scale, digits,
			x.least * scale, digits, x.most * scale);
	else
		snprintf(text, sizeof(text), "-");
	fprintf(f, " %-24s", text);
}

static void print_send(const struct bench *b, unsigned way, unsigned size, FILE *f)
{
	const struct send_cell *cell = &b->send[way][size];
	fprintf(f, "%6u %-16s %3u ", (unsigned)sizes[size], ways[way].name, ways[way].batch);
	if (cell->absent[0]) {
		fprintf(f, " %s\n", cell->absent);
		return;
	}
	print(f, &cell->per_s, 1e-3, 1);
	print(f, &cell->cpu_us, 1, 3);
	print(f, &cell->arrived, 100, 1);
	fprintf(f, " %llu\n", (unsigned long long)cell->refused);
}

void report_table(const struct bench *b, FILE *f)
{
	const char *warn = machine_simulated ? " (SIMULATED: the figures mean nothing)" : "";
	fprintf(f,
		"\nInto the service member, n frames a write; median (least-most) of %u rounds%s\n",
		b->rounds, warn);
	fprintf(f, "%6s %-16s %3s  %-24s %-24s %-24s %s\n", "bytes", "way", "n", "kframes/s",
		"CPU us/frame", "arrived, %", "ENOBUFS");
	for (unsigned size = 0; size < SIZES; size++)
		for (unsigned way = 0; way < WAYS; way++)
			print_send(b, way, size, f);

	fprintf(f, "\nBPF read at the service member%s\n", warn);
	fprintf(f, "%6s %8s  %-24s %-24s %s\n", "bytes", "waiting", "us/frame", "frames a read",
		"lost, %");
	for (unsigned size = 0; size < SIZES; size++) {
		for (unsigned burst = 0; burst < BURSTS; burst++) {
			const struct recv_cell *cell = &b->recv[burst][size];
			fprintf(f, "%6u %8u ", (unsigned)sizes[size], bursts[burst]);
			print(f, &cell->us, 1, 3);
			print(f, &cell->per_read, 1, 1);
			print(f, &cell->lost, 100, 1);
			fputc('\n', f);
		}
	}
}

static void json_text(FILE *f, const char *text)
{
	fputc('"', f);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', f);
		if ((unsigned char)*text >= ' ')
			fputc(*text, f);
	}
	fputc('"', f);
}

static void json_series(FILE *f, const char *name, const struct series *s)
{
	const struct spread x = spread(s);
	fprintf(f, ", \"%s\": ", name);
	if (!x.any) {
		fputs("null", f);
		return;
	}
	fprintf(f, "{\"median\": %.6g, \"rounds\": [", x.median);
	for (unsigned i = 0; i < s->n; i++)
		fprintf(f, "%s%.6g", i ? ", " : "", s->v[i]);
	fputs("]}", f);
}

static void json_settings(FILE *f)
{
	const char *comma = "";
	fputs("  \"settings\": {", f);
	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		int32_t value;
		if (!lab_sysctl_int(settings[i], &value))
			continue;
		fprintf(f, "%s\"%s\": %d", comma, settings[i], (int)value);
		comma = ", ";
	}
	fputs("},\n", f);
}

static void json_send(const struct bench *b, unsigned way, unsigned size, FILE *f)
{
	const struct send_cell *cell = &b->send[way][size];
	fputs("    {\"way\": ", f);
	json_text(f, ways[way].name);
	fprintf(f, ", \"batch\": %u, \"bytes\": %u", ways[way].batch, (unsigned)sizes[size]);
	if (cell->absent[0]) {
		fputs(", \"absent\": ", f);
		json_text(f, cell->absent);
	} else {
		json_series(f, "frames_per_s", &cell->per_s);
		json_series(f, "cpu_us_per_frame", &cell->cpu_us);
		json_series(f, "arrived", &cell->arrived);
		fprintf(f, ", \"enobufs\": %llu", (unsigned long long)cell->refused);
	}
	fputc('}', f);
}

static void json_recv(const struct bench *b, unsigned burst, unsigned size, FILE *f)
{
	const struct recv_cell *cell = &b->recv[burst][size];
	fprintf(f, "    {\"waiting\": %u, \"bytes\": %u", bursts[burst], (unsigned)sizes[size]);
	json_series(f, "us_per_frame", &cell->us);
	json_series(f, "frames_per_read", &cell->per_read);
	json_series(f, "lost", &cell->lost);
	fputc('}', f);
}

void report_json(const struct bench *b, const char *machine, FILE *f)
{
	fputs("{\n  \"machine\": ", f);
	json_text(f, machine);
	fprintf(f, ",\n  \"simulated\": %s,\n", machine_simulated ? "true" : "false");
	if (machine_simulated)
		fputs("  \"warning\": \"simulated kernel: the figures mean nothing\",\n", f);
	json_settings(f);
	fprintf(f,
		"  \"rounds\": %u,\n  \"counted\": %s,\n  \"mtu\": %u,\n  \"bpf_buffer\": %u,\n"
		"  \"send\": [\n",
		b->rounds, b->at_host.fd >= 0 ? "true" : "false", (unsigned)b->lab.mtu,
		(unsigned)b->at_service.size);
	for (unsigned i = 0; i < WAYS * SIZES; i++) {
		json_send(b, i % WAYS, i / WAYS, f);
		fputs(i + 1 < WAYS * SIZES ? ",\n" : "\n", f);
	}
	fputs("  ],\n  \"receive\": [\n", f);
	for (unsigned i = 0; i < BURSTS * SIZES; i++) {
		json_recv(b, i % BURSTS, i / BURSTS, f);
		fputs(i + 1 < BURSTS * SIZES ? ",\n" : "\n", f);
	}
	fputs("  ]\n}\n", f);
}
