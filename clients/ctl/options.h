/* options.h - the command line: options anywhere before `--`, and operands.
 *
 * Values are checked here as far as a better sentence can be given than the server's; whether they
 * are possible is for the server to say. */
#ifndef CLIENTS_CTL_OPTIONS_H
#define CLIENTS_CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feth/types.h"

struct command;
struct ctl;

struct option {
	const char *name; /* without "--"; one letter: without "-" */
	/* What to call its value in the help; NULL: it has none. In brackets: it may be left out;
	 * then a word behind it is one only if no network could be called so, as it is "on", "off"
	 * or has a dot; or a number, where SECONDS are meant. */
	const char *value;
	bool many; /* may be given more than once */
	const char *help;
};

#define ARGS_MAX 64u /* options and operands of one command line, each */

struct args {
	const struct command *cmd;
	const char *operands[ARGS_MAX];
	unsigned n_operands;
	struct {
		const struct option *option;
		const char *value;
	} given[ARGS_MAX];
	unsigned n_given;
	char **command; /* behind `--`, ends with NULL; NULL if there is no `--` */
	bool help, version;
};

/**
 * args_parse() - read the whole command line
 * @argv:	as main() has it, ended by NULL; borrowed by *args
 * @ctl:	out: --run-dir and --json
 * @args:	out; `cmd` is NULL only if no command was given, or help or version was asked for
 *
 * Return: 0, or CTL_USAGE after a sentence
 */
int args_parse(char **argv, struct ctl *ctl, struct args *args);

/* The value of an option; NULL where it was not given. */
const char *args_value(const struct args *args, const char *name);
/* Whether an option was given. */
bool args_flag(const struct args *args, const char *name);

/* Checked values. Return: 1 and *out, 0 if not given, -1 after a sentence. */
int args_uint(const struct args *args, const char *name, uint32_t *out);
int args_mac(const struct args *args, const char *name, struct feth_mac *out);
int args_name(const struct args *args, const char *name, const char **out);
/* "on" or "off". */
int args_switch(const struct args *args, const char *name, bool *out);
/* Operand `i`, which is the name of a network or port; NULL after a sentence. */
const char *args_operand_name(const struct args *args, unsigned i, const char *what);

#endif
