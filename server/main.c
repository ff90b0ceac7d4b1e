/* main.c - fethd: options, then daemon_run(). The only exit. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/core/netid.h"
#include "server/io/daemon.h"
#include "server/io/machine.h"
#include "server/priv/keeper.h"
#include "server/priv/verbs.h"

static const char usage[] =
	"usage: fethd [options]\n"
	"Serves named Ethernet networks to VMs, emulators and programs on this machine.\n"
	"\n"
	"  --run-dir DIR        where its sockets are ($FETHD_RUN_DIR, %s for root,\n"
	"                       $%s%s for others)\n"
	"  --admin-group GROUP  a Unix group that may administrate (as good as root for "
	"networking)\n"
	"  --control-mode MODE  of control.sock, octal (default 0660 with an admin group, else "
	"0600):\n"
	"                       0666 lets the owners and users of networks in, to what is theirs\n"
	"  --rootless           Linux: serve host sides without root, in a network namespace of\n"
	"                       its own (fethctl enter NET gets in)\n"
	"  --unit-base N        first interface unit less 100: 0 to 22768\n"
	"                       (default 0; 10000 on macOS)\n"
	"  --log-level LEVEL    error, warn, info (default) or debug\n"
	"  --version, --help\n"
	"\n"
	"fethd(8) has more; fethctl(1) makes networks.\n";

static int bad_option(const char *what)
{
	fprintf(stderr, "fethd: %s; fethd --help lists the options\n", what);
	return 2;
}

static bool parse_base(const char *text, uint32_t *out)
{
	char *end;
	errno = 0;
	const unsigned long v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || v > NETID_BASE_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* Octal; our user must be able to connect, and nobody executes a socket. */
static bool parse_mode(const char *text, unsigned *out)
{
	char *end;
	const unsigned long v = strtoul(text, &end, 8);
	if (*text < '0' || *text > '7' || *end || (v & ~0666ul) || (v & 0600) != 0600)
		return false;
	*out = (unsigned)v;
	return true;
}

static bool parse_level(const char *text)
{
	enum log_level level;
	if (!log_level_parse(text, &level))
		return false;
	log_set_level(level);
	return true;
}

static bool set_text(char *out, size_t size, const char *text)
{
	if (!*text || strlen(text) >= size)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

/* Where design, 4 says, if --run-dir does not. */
static bool default_run_dir(struct daemon_options *o)
{
	const char *dir = getenv("FETHD_RUN_DIR");
	if (dir && *dir)
		return set_text(o->run_dir, sizeof(o->run_dir), dir);
	if (geteuid() == 0)
		return set_text(o->run_dir, sizeof(o->run_dir), machine.root_run_dir);
	dir = getenv(machine.user_variable);
	if (!dir || !*dir)
		return false;
	const int n = snprintf(o->run_dir, sizeof(o->run_dir), "%s%s", dir, machine.user_suffix);
	return n > 0 && (size_t)n < sizeof(o->run_dir);
}

/* 0: go on; else exit with this less one. */
static int parse_options(int argc, char **argv, struct daemon_options *o)
{
	enum { RUN_DIR = 1, ADMIN, CONTROL_MODE, ROOTLESS, BASE, LEVEL, VERSION, HELP };
	static const struct option options[] = {
		{ "run-dir", required_argument, NULL, RUN_DIR },
		{ "admin-group", required_argument, NULL, ADMIN },
		{ "control-mode", required_argument, NULL, CONTROL_MODE },
		{ "rootless", no_argument, NULL, ROOTLESS },
		{ "unit-base", required_argument, NULL, BASE },
		{ "log-level", required_argument, NULL, LEVEL },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	int opt;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case RUN_DIR:
			if (!set_text(o->run_dir, sizeof(o->run_dir), optarg))
				return bad_option("--run-dir is empty or too long") + 1;
			break;
		case ADMIN:
			if (!set_text(o->admin_group, sizeof(o->admin_group), optarg))
				return bad_option("--admin-group is empty or too long") + 1;
			break;
		case CONTROL_MODE:
			if (!parse_mode(optarg, &o->control_mode))
				return bad_option("--control-mode must be 0600 to 0666, octal") + 1;
			break;
		case ROOTLESS:
			o->rootless = true;
			break;
		case BASE:
			if (!parse_base(optarg, &o->unit_base))
				return bad_option("--unit-base must be 0 to 22768") + 1;
			o->has_unit_base = true;
			break;
		case LEVEL:
			if (!parse_level(optarg))
				return bad_option(
					       "--log-level must be error, warn, info or debug") +
				       1;
			break;
		case VERSION:
			puts("fethd " FETHD_VERSION);
			return 1;
		case 'h':
		case HELP:
			printf(usage, machine.root_run_dir, machine.user_variable,
				machine.user_suffix);
			return 1;
		case ':':
			return bad_option("an option lacks its value") + 1;
		default:
			return bad_option("there is no such option") + 1;
		}
	}
	if (optind < argc)
		return bad_option("it takes options only") + 1;
	if (!o->run_dir[0] && !default_run_dir(o)) {
		char text[64];
		snprintf(text, sizeof(text), "$%s is not set, so give --run-dir",
			machine.user_variable);
		return bad_option(text) + 1;
	}
	/* a slash at its end would follow a link there, and change the tags of our pairs */
	for (size_t n = strlen(o->run_dir); n > 1 && o->run_dir[n - 1] == '/'; n--)
		o->run_dir[n - 1] = '\0';
	return 0;
}

/* glibc keeps up to seven freed blocks of each of 64 sizes per thread, wherever they lie, and each
 * holds its page: 1.3 MiB after 200 clients came and went, against 0.4 without
 * (tests/daemon/test_churn.py). It can be told only before main(); nothing on the frame path
 * allocates. */
static void without_tcache(char **argv)
{
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
	if (getenv("GLIBC_TUNABLES"))
		return; /* ours, or somebody's who knows better */
	setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
	execv("/proc/self/exe", argv); /* goes on here where there is no /proc */
#else
	(void)argv;
#endif
}

int main(int argc, char **argv)
{
	struct daemon_options options = { 0 };
	struct err err = { 0 };
	if (argc > 1 && !strcmp(argv[1], KEEPER_WORD))
		return keeper_run(argv + 2);
	without_tcache(argv);
	umask(0077);
	const int quit = parse_options(argc, argv, &options);
	if (quit)
		return quit - 1;

	machine_raise_descriptors();
	int rc = 0;
	if (options.rootless)
		rc = verb_rootless(&err);
	if (!rc)
		rc = daemon_run(&options, &err);
	if (rc < 0) {
		log_error("daemon", "%s", err.text);
		return 1;
	}
	return 0;
}
