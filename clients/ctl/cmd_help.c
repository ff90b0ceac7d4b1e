/* cmd_help.c - help: of all commands and of one; help_rpc.c: of the daemon's methods. */
#include <stdio.h>
#include <string.h>

#include "clients/ctl/ctl.h"

static const char global_help[] =
	"Options of every command, anywhere before `--`:\n"
	"  --run-dir DIR         where the daemon's sockets are\n"
	"  --json                print one JSON document\n"
	"  -h, --help            explain the command\n"
	"  --version             print fethctl's version\n"
	"\n"
	"Without --run-dir: $FETHD_RUN_DIR, else your own daemon if it answers, else the\n"
	"system's. The exit status is 0, 1 for failure, 2 for a wrong command line.\n";

static void print_all(void)
{
	printf("fethctl - networks of fethd, the local Ethernet switch\n\n"
	       "usage: fethctl COMMAND [options]\n\n");
	for (const struct command *c = commands; c->name; c++)
		printf("  %-20s  %s\n", c->name, c->summary);
	printf("\n%s", global_help);
}

static void print_option(const struct option *o)
{
	char left[64];
	snprintf(left, sizeof(left), "%s%s%s%s", o->name[1] ? "--" : "-", o->name,
		o->value ? " " : "", o->value ? o->value : "");
	printf("  %-20s  %s\n", left, o->help);
}

void help_print(const struct command *cmd)
{
	if (!cmd) {
		print_all();
		return;
	}
	printf("usage: fethctl %s%s%s\n\n%s\n", cmd->name, *cmd->usage ? " " : "", cmd->usage,
		cmd->summary);
	if (cmd->text)
		printf("\n%s", cmd->text);
	for (const struct option *o = cmd->options; o && o->name; o++) {
		if (o == cmd->options)
			putchar('\n');
		print_option(o);
	}
	printf("\n%s", global_help);
}

int cmd_help(struct ctl *ctl, const struct args *args)
{
	const char *first = args->n_operands ? args->operands[0] : NULL;
	const char *second = args->n_operands > 1 ? args->operands[1] : NULL;
	bool more = false;
	if (!first) {
		help_print(NULL);
		return 0;
	}
	if (!strcmp(first, "rpc"))
		return help_rpc(ctl, second);
	const struct command *cmd = command_find(first, second, &more);
	if (!cmd && more && !second) { /* "port": all that begin so */
		for (const struct command *c = commands; c->name; c++)
			if (!strncmp(c->name, first, strlen(first)) &&
				c->name[strlen(first)] == ' ')
				printf("  %-20s  %s\n", c->name, c->summary);
		return 0;
	}
	if (!cmd)
		return ctl_usage(NULL, "%s%s%s: there is no such command", first, second ? " " : "",
			second ? second : "");
	help_print(cmd);
	return 0;
}
