/* rules_run.c - runs the rules, and what their checks say. See rules.h. */
#include "tests/darwin/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULES 59u
#define OWN_MAX 1024u

static const struct rule_list *const lists[] = { &rules_create, &rules_peer, &rules_mtu,
	&rules_path, &rules_bpf, &rules_tap, &rules_ndrv, &rules_events, &rules_unix };

static struct {
	jmp_buf out;
	pid_t pid;
	char why[512];
	enum sim_profile profile;
	unsigned units; /* given out */
	int fds[OWN_MAX];
	unsigned n_fds;
	char ifs[OWN_MAX][DW_IFNAMSIZ];
	unsigned n_ifs;
	unsigned passed, failed, skipped;
	bool seen[RULES + 1]; /* it ran, or it was said why not */
	bool ran[RULES + 1];
} run;

const char *rules_release(enum sim_profile profile)
{
	static const char *const names[SIM_PROFILES] = { "10.14", "12", "13", "14.0", "14.1",
		"15" };
	return names[profile];
}

enum sim_profile rules_profile(void)
{
	return run.profile;
}

/* A unit just destroyed may be EBUSY for a while (rule 7), so each is used once in a run. On a Mac
 * all are in the range that is ours to use. */
unsigned rules_unit(void)
{
	return 31000 + run.units++ % 1700;
}

/* -- failing -- */

static const struct {
	int number;
	const char *name;
} error_names[] = {
	{ DW_EPERM, "EPERM" },
	{ DW_ENOENT, "ENOENT" },
	{ DW_EIO, "EIO" },
	{ DW_ENXIO, "ENXIO" },
	{ DW_EBADF, "EBADF" },
	{ DW_EACCES, "EACCES" },
	{ DW_EBUSY, "EBUSY" },
	{ DW_EEXIST, "EEXIST" },
	{ DW_EINVAL, "EINVAL" },
	{ DW_ENOTTY, "ENOTTY" },
	{ DW_ENOSPC, "ENOSPC" },
	{ DW_EPIPE, "EPIPE" },
	{ DW_EAGAIN, "EAGAIN" },
	{ DW_EALREADY, "EALREADY" },
	{ DW_EDESTADDRREQ, "EDESTADDRREQ" },
	{ DW_EMSGSIZE, "EMSGSIZE" },
	{ DW_EPROTONOSUPPORT, "EPROTONOSUPPORT" },
	{ DW_ENOTSUP, "ENOTSUP" },
	{ DW_EADDRNOTAVAIL, "EADDRNOTAVAIL" },
	{ DW_ENETDOWN, "ENETDOWN" },
	{ DW_ENOBUFS, "ENOBUFS" },
	{ DW_EISCONN, "EISCONN" },
	{ DW_ENOTCONN, "ENOTCONN" },
	{ DW_EOPNOTSUPP, "EOPNOTSUPP" },
};

static const char *number_text(char *out, size_t size, long number)
{
	for (size_t i = 0; i < sizeof(error_names) / sizeof(error_names[0]); i++) {
		if (error_names[i].number == -number) {
			snprintf(out, size, "%ld (%s)", number, error_names[i].name);
			return out;
		}
	}
	snprintf(out, size, "%ld", number);
	return out;
}

void rules_fail(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	int n = snprintf(run.why, sizeof(run.why), "%s:%d: ", base ? base + 1 : file, line);
	va_list args;
	va_start(args, format);
	vsnprintf(run.why + n, sizeof(run.why) - (size_t)n, format, args);
	va_end(args);
	if (getpid() != run.pid) { /* a child of a test's: it has no way back */
		fprintf(stderr, "%s\n", run.why);
		_exit(1);
	}
	longjmp(run.out, 1);
}

void rules_expect(const char *file, int line, const char *text, bool holds)
{
	if (!holds)
		rules_fail(file, line, "%s: does not hold", text);
}

void rules_eq(const char *file, int line, const char *text, long got, long want)
{
	char a[40], b[40];
	if (got != want)
		rules_fail(file, line, "%s: got %s, expected %s", text,
			number_text(a, sizeof(a), got), number_text(b, sizeof(b), want));
}

void rules_str(const char *file, int line, const char *text, const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		rules_fail(file, line, "%s: got \"%.60s\", expected \"%.60s\"", text, got, want);
}

void rules_mem(
	const char *file, int line, const char *text, const void *got, const void *want, size_t len)
{
	const uint8_t *a = got, *b = want;
	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i])
			rules_fail(file, line, "%s: byte %zu is %02x, expected %02x", text, i, a[i],
				b[i]);
}

/* -- what a test leaves -- */

int own(int fd)
{
	char text[40];
	if (fd < 0)
		rules_fail(__FILE__, __LINE__, "no descriptor: %s",
			number_text(text, sizeof(text), fd));
	if (run.n_fds == OWN_MAX)
		rules_fail(__FILE__, __LINE__, "over %u descriptors in one test", OWN_MAX);
	run.fds[run.n_fds++] = fd;
	return fd;
}

void drop(int fd)
{
	for (unsigned i = 0; i < run.n_fds; i++) {
		if (run.fds[i] == fd) {
			run.fds[i] = run.fds[--run.n_fds];
			expect_eq(darwin_sys.close(fd), 0);
			return;
		}
	}
	rules_fail(__FILE__, __LINE__, "descriptor %d is not ours to close", fd);
}

void rules_own_if(const char *name, bool ours)
{
	for (unsigned i = 0; i < run.n_ifs; i++) {
		if (strncmp(run.ifs[i], name, DW_IFNAMSIZ) == 0) {
			if (!ours)
				memcpy(run.ifs[i], run.ifs[--run.n_ifs], DW_IFNAMSIZ);
			return;
		}
	}
	if (ours && run.n_ifs < OWN_MAX)
		snprintf(run.ifs[run.n_ifs++], DW_IFNAMSIZ, "%s", name);
}

/* On a Mac. A simulated machine is thrown away as it is. */
void rules_clean(void)
{
	while (run.n_fds > 0)
		(void)darwin_sys.close(run.fds[--run.n_fds]);
	int fd = darwin_sys.socket(DW_AF_INET, DW_SOCK_DGRAM, 0);
	while (run.n_ifs > 0) {
		struct dw_ifreq req = { 0 };
		memcpy(req.name, run.ifs[--run.n_ifs], DW_IFNAMSIZ);
		int rc = fd < 0 ? fd : darwin_sys.ioctl(fd, DW_SIOCIFDESTROY, &req);
		if (rc < 0 && rc != -DW_ENXIO)
			printf("cannot destroy %s (%d): remove it with `ifconfig %s destroy`\n",
				req.name, rc, req.name);
	}
	if (fd >= 0)
		(void)darwin_sys.close(fd);
}

/* -- running -- */

/* Why a rule is not for this kernel; NULL: it is. */
static const char *not_here(const struct rule *rule, const struct rules_options *options)
{
	static char text[200];
	if (rule->sim_only && !rules_sys.simulated) {
		snprintf(text, sizeof(text), "only in the simulation: %s", rule->sim_only);
		return text;
	}
	if (run.profile < rule->from || (rule->before && run.profile >= rule->before)) {
		const char *from = rules_release(rule->from);
		if (rule->from > 0 && rule->before)
			snprintf(text, sizeof(text), "macOS %s up to, not including, %s", from,
				rules_release(rule->before));
		else if (rule->before)
			snprintf(
				text, sizeof(text), "macOS before %s", rules_release(rule->before));
		else
			snprintf(text, sizeof(text), "from macOS %s on", from);
		return text;
	}
	if (rule->ask && !rules_sys.simulated && !options->all) {
		snprintf(text, sizeof(text), "only with --all: %s", rule->ask);
		return text;
	}
	return NULL;
}

static bool run_one(const struct rule *rule, void (*begin)(enum sim_profile), void (*end)(void))
{
	volatile bool ok = false;
	run.why[0] = '\0';
	run.n_fds = run.n_ifs = 0;
	if (begin)
		begin(run.profile);
	if (setjmp(run.out) == 0) {
		rule->fn();
		ok = true;
	}
	if (end)
		end();
	return ok;
}

unsigned rules_run(enum sim_profile profile, const struct rules_options *options,
	void (*begin)(enum sim_profile), void (*end)(void))
{
	unsigned failed = 0;
	run.profile = profile;
	run.pid = getpid();
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (size_t j = 0; j < lists[i]->n; j++) {
			const struct rule *rule = &lists[i]->rules[j];
			if (options->only && rule->number != options->only)
				continue;
			run.seen[rule->number] = true;
			printf("rule %02u [%s] ", rule->number, rules_release(profile));
			const char *why = not_here(rule, options);
			if (why) {
				run.skipped++;
				printf("not here: %s (%s)\n", why, rule->sentence);
				continue;
			}
			run.ran[rule->number] = true;
			fflush(stdout);
			if (run_one(rule, begin, end)) {
				run.passed++;
				printf("ok  %s\n", rule->sentence);
			} else {
				failed++;
				printf("FAILED  %s\n        %s\n", rule->sentence, run.why);
			}
			fflush(stdout);
		}
	}
	run.failed += failed;
	return failed;
}

int rules_sum(const struct rules_options *options)
{
	bool complete = true;
	for (unsigned i = 1; i <= RULES; i++) {
		if (options->only && i != options->only)
			continue;
		if (!run.seen[i]) {
			printf("rule %02u has no test\n", i);
			complete = false;
		} else if (!run.ran[i]) {
			printf("rule %02u was not tested here (said why above)\n", i);
		}
	}
	printf("%u passed, %u failed, %u not here\n", run.passed, run.failed, run.skipped);
	return complete && run.failed == 0 && run.passed > 0 ? 0 : 1;
}

bool rules_options(struct rules_options *out, const char **profile, int argc, char **argv)
{
	*out = (struct rules_options){ 0 };
	*profile = NULL;
	for (int i = 1; i < argc; i++) {
		char *end;
		if (strcmp(argv[i], "--all") == 0) {
			out->all = true;
		} else if (strcmp(argv[i], "--rule") == 0 && i + 1 < argc) {
			unsigned long n = strtoul(argv[++i], &end, 10);
			if (*end || n < 1 || n > RULES)
				return false;
			out->only = (unsigned)n;
		} else if (strcmp(argv[i], "--profile") == 0 && i + 1 < argc) {
			*profile = argv[++i];
		} else {
			return false;
		}
	}
	return true;
}
