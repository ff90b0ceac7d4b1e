/* main.c - fethd: options, then daemon_run(). The only exit. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/log.h"
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
	"  --config DIR         where its configuration is (%s for root, for others\n"
	"                       $XDG_CONFIG_HOME/fethd or ~/.config/fethd if it is there)\n"
	"  --check-config       say what is wrong in the configuration, and end\n"
	"  --admin-group GROUP  a Unix group that may administrate (as good as root for "
	"networking)\n"
	"  --control-mode MODE  of control.sock, octal (default 0660 with an admin group, else "
	"0600):\n"
	"                       0666 lets the owners and users of networks in, to what is theirs\n"
	"  --rootless           Linux: serve host sides without root, in a network namespace of\n"
	"                       its own (fethctl enter NET gets in)\n"
	"  --dial-anywhere      ports may be connected to other machines\n"
	"  --unit-base N        first interface unit less 100: 0 to 22768\n"
	"                       (default 0; 10000 on macOS)\n"
	"  --log-level LEVEL    error, warn, info (default) or debug\n"
	"  --version, --help\n"
	"\n"
	"fethd(8) has more; fethctl(1) makes networks.\n";

struct options {
	struct daemon_options daemon;
	char config[PATH_MAX]; /* the directory */
	bool check;
};

static int bad_option(const char *what)
{
	fprintf(stderr, "fethd: %s; fethd --help lists the options\n", what);
	return 2;
}

static bool set_text(char *out, size_t size, const char *text)
{
	if (!*text || strlen(text) >= size)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

/* Where fethd(8) says, if --run-dir does not. */
static bool default_run_dir(char *out, size_t size)
{
	const char *dir = getenv("FETHD_RUN_DIR");
	if (dir && *dir)
		return set_text(out, size, dir);
	if (geteuid() == 0)
		return set_text(out, size, machine.root_run_dir);
	dir = getenv(machine.user_variable);
	if (!dir || !*dir)
		return false;
	const int n = snprintf(out, size, "%s%s", dir, machine.user_suffix);
	return n > 0 && (size_t)n < size;
}

/* Where the configuration is, if --config does not say. Root's need not be there, for --save makes
 * it; another user's counts only if he has made it. */
static void default_config(char *out, size_t size)
{
	const char *dir = getenv("XDG_CONFIG_HOME"), *sub = "/fethd";
	struct stat st;
	if (geteuid() == 0) {
		(void)set_text(out, size, machine.root_config);
		return;
	}
	if (!dir || dir[0] != '/') {
		dir = getenv("HOME");
		sub = "/.config/fethd";
	}
	const int n = dir ? snprintf(out, size, "%s%s", dir, sub) : -1;
	if (n < 0 || (size_t)n >= size || stat(out, &st) < 0)
		out[0] = '\0';
}

static bool set_daemon(struct daemon_settings *s, const char *name, const char *value)
{
	char text[128];
	const char *why = daemon_setting(s, name, value);
	if (!why)
		return true;
	snprintf(text, sizeof(text), "--%s %s", name, why);
	(void)bad_option(text);
	return false;
}

/* 0: go on; else exit with this less one. */
static int parse_options(int argc, char **argv, struct options *o)
{
	enum { RUN_DIR = 1, CONFIG, CHECK, SWITCH, SETTING, VERSION, HELP };
	static const struct option options[] = {
		{ "run-dir", required_argument, NULL, RUN_DIR },
		{ "config", required_argument, NULL, CONFIG },
		{ "check-config", no_argument, NULL, CHECK },
		{ "admin-group", required_argument, NULL, SETTING },
		{ "control-mode", required_argument, NULL, SETTING },
		{ "rootless", no_argument, NULL, SWITCH },
		{ "dial-anywhere", no_argument, NULL, SWITCH },
		{ "unit-base", required_argument, NULL, SETTING },
		{ "log-level", required_argument, NULL, SETTING },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	char *const run_dir = o->daemon.run_dir;
	const size_t size = sizeof(o->daemon.run_dir);
	int opt, at = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, &at)) != -1) {
		switch (opt) {
		case RUN_DIR:
			if (!set_text(run_dir, size, optarg))
				return bad_option("--run-dir is empty or too long") + 1;
			break;
		case CONFIG:
			if (!set_text(o->config, sizeof(o->config), optarg))
				return bad_option("--config is empty or too long") + 1;
			break;
		case CHECK:
			o->check = true;
			break;
		case SWITCH:
			(void)daemon_setting(&o->daemon.given, options[at].name, "yes");
			break;
		case SETTING:
			if (!set_daemon(&o->daemon.given, options[at].name, optarg))
				return 3;
			break;
		case VERSION:
			puts("fethd " FETHD_VERSION);
			return 1;
		case 'h':
		case HELP:
			printf(usage, machine.root_run_dir, machine.user_variable,
				machine.user_suffix, machine.root_config);
			return 1;
		case ':':
			return bad_option("an option lacks its value") + 1;
		default:
			return bad_option("there is no such option") + 1;
		}
	}
	if (optind < argc)
		return bad_option("it takes options only") + 1;
	if (!run_dir[0] && !default_run_dir(run_dir, size)) {
		char text[64];
		snprintf(text, sizeof(text), "$%s is not set, so give --run-dir",
			machine.user_variable);
		return bad_option(text) + 1;
	}
	/* a slash at its end would follow a link there, and change the tags of our pairs */
	for (size_t n = strlen(run_dir); n > 1 && run_dir[n - 1] == '/'; n--)
		run_dir[n - 1] = '\0';
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

/* glibc raises this to the largest block ever freed, and then keeps such blocks in its heap: 1.5
 * MiB stayed after 200 clients, against 1.0 with the threshold fixed at its default. Here, for it
 * must not be set while another thread allocates (mallopt(3): MT-Unsafe). */
static void fix_mmap_threshold(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

/* Prints all that is wrong, or that nothing is. */
static int check_config(struct options *o, const struct confset *conf, struct faults *faults)
{
	char text[FAULT_FILE + ERR_TEXT + 16];
	if (conf && !faults->n)
		daemon_judge(&o->daemon, conf, faults);
	for (unsigned i = 0; i < faults->n && i < FAULTS_MAX && faults->list; i++) {
		fault_text(faults, i, text);
		fprintf(stderr, "%s/%s\n", o->config, text);
	}
	if (faults->n > FAULTS_MAX)
		fprintf(stderr, "and %u more\n", faults->n - FAULTS_MAX);
	if (!conf || faults->n)
		return 1;
	printf("%u networks, all is well\n", conf->n);
	return fflush(stdout) ? 1 : 0;
}

static int serve(struct options *o, struct confset *conf, struct err *err)
{
	int rc = 0;
	machine_raise_descriptors();
	o->daemon.rootless = o->daemon.settings.rootless;
	if (o->daemon.rootless)
		rc = verb_rootless(err);
	if (o->daemon.settings.dial_anywhere)
		verb_dial_anywhere();
	if (!rc)
		return daemon_run(&o->daemon, conf, err);
	conffiles_free(conf);
	return rc;
}

/* Whoever started us may have closed these; what is opened next would get their numbers, and what
 * we log would be written there. libuv, too, takes them for nobody's. */
static void have_standard_files(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	static struct options options;
	struct faults faults = { 0 };
	struct err err = { 0 };
	have_standard_files();
	if (argc > 1 && !strcmp(argv[1], KEEPER_WORD))
		return keeper_run(argv + 2);
	without_tcache(argv);
	fix_mmap_threshold();
	umask(0077);
	const int quit = parse_options(argc, argv, &options);
	if (quit)
		return quit - 1;
	if (!options.config[0])
		default_config(options.config, sizeof(options.config));

	int rc = verb_conf_dir(options.config, &err);
	struct confset *conf = rc < 0 ? NULL : conffiles_load(&faults);
	options.daemon.settings = options.daemon.given;
	if (conf)
		daemon_settings_merge(&options.daemon.settings, &conf->daemon);
	else if (!rc)
		rc = err_set(&err, -ENOMEM, "out of memory");
	if (options.daemon.settings.has_level)
		log_set_level(options.daemon.settings.level);
	if (options.check && !rc) {
		const int status = check_config(&options, conf, &faults);
		faults_fini(&faults);
		conffiles_free(conf);
		return status;
	}
	if (!rc)
		rc = faults_err(&faults, &err);
	faults_fini(&faults);
	if (rc < 0)
		conffiles_free(conf);
	else
		rc = serve(&options, conf, &err);
	if (rc < 0) {
		log_error("daemon", "%s", err.text);
		return 1;
	}
	return 0;
}
