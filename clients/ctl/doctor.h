/* doctor.h - what `fethctl doctor` looks at: a list of findings, and the means to look.
 *
 * doctor.c asks the daemon and looks at its files; doctor_linux.c and doctor_darwin.c look at the
 * machine. Everything of the machine is read below `root`, which is empty but in tests
 * (FETHCTL_DOCTOR_ROOT): so each check can be seen passing and failing. A check never changes
 * anything. */
#ifndef CLIENTS_CTL_DOCTOR_H
#define CLIENTS_CTL_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "clients/ctl/ctl.h"

enum verdict {
	DOCTOR_OK,
	DOCTOR_WARN, /* something may not work, or cannot be told */
	DOCTOR_FAIL, /* something does not work */
};

struct finding {
	enum verdict verdict;
	char check[24];
	char what[300];
	char advice[500]; /* empty where it is ok */
};

#define FINDINGS_MAX 64u

struct doctor {
	const char *root; /* of the file system; "" but in tests */
	struct ctl *ctl;
	struct finding found[FINDINGS_MAX];
	unsigned n;

	/* what the daemon says, where it answers us */
	bool reached;
	bool rootless;
	uint32_t pid;
	char run_dir[128];
	char admin_group[40];
	bool veth;                       /* a network has such a host side: so they can be made */
	unsigned nat;                    /* networks with it */
	unsigned dhcp;                   /* likewise */
	msgpack_object daemon, networks; /* results of daemon.show and network.list */
};

const char *verdict_name(enum verdict v);

/* Adds a finding. @advice: what to do; NULL where it is ok. */
void doctor_note(struct doctor *d, enum verdict v, const char *check, const char *advice,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Below the root: whether it is there; the beginning of a file as text; a number in it, or -1. */
bool doctor_exists(const struct doctor *d, const char *path);
bool doctor_read(const struct doctor *d, const char *path, char *out, size_t size);
long doctor_number(const struct doctor *d, const char *path);
/* Whether a file in this directory whose name ends so has this text in it. */
bool doctor_grep(const struct doctor *d, const char *dir, const char *suffix, const char *text);

/* Whether a program is there, in one of the usual directories. */
bool doctor_tool(const struct doctor *d, const char *name, char out[512]);
/* Runs one with up to three arguments and keeps the beginning of what it prints. False: it is not
 * there, or failed, as many do without root. */
bool doctor_run(const struct doctor *d, const char *name, const char *const args[3], char *out,
	size_t size);

/* Every check: the daemon's, then the machine's. */
void doctor_examine(struct doctor *d);
void doctor_system(struct doctor *d); /* doctor_linux.c, doctor_darwin.c */

#endif
