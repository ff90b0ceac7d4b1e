/* cmd_help.c - help: of all commands, of one, and of the daemon's methods. */
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
	snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
		o->value ? o->value : "");
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

/* -- help rpc -- */

static const struct out_field method_columns[] = {
	{ "METHOD", "method", out_any, false },
	{ "SOCKETS", "sockets", out_any, false },
	{ "RIGHT", "right", out_any, false },
	{ "WHAT", "what", out_any, false },
};

static void put_method(struct rpc_out *doc, const char *name, const char *sockets,
	const char *right, const char *what)
{
	char lower[16] = "";
	for (size_t i = 0; right[i] && i + 1 < sizeof(lower); i++)
		lower[i] = (char)(right[i] - 'A' + 'a');
	rpc_out_map(doc);
	rpc_put_text(doc, "method", name);
	rpc_put_array(doc, "sockets");
	if (strchr(sockets, 'N'))
		rpc_out_text(doc, "feth.sock");
	if (strchr(sockets, 'C'))
		rpc_out_text(doc, "control.sock");
	rpc_out_close(doc);
	rpc_put_text(doc, "right", lower);
	rpc_put_text(doc, "what", what);
	rpc_out_close(doc);
}

static int help_rpc(struct ctl *ctl)
{
	struct rpc_out doc;
	struct rows rows = { 0 };
	msgpack_object methods = { .type = MSGPACK_OBJECT_NIL };
	size_t used = 0;
	rpc_out_init(&doc);
	rpc_out_array(&doc);
#define METHOD(symbol, name, sockets, right, summary)                                              \
	put_method(&doc, name, #sockets, #right, summary);
#include "protocol/methods.def"
#undef METHOD
	rpc_out_close(&doc);

	bool good = rpc_out_ok(&doc) && msgpack_unpack(doc.buf.data, doc.buf.size, &used,
						&ctl->zone, &methods) == MSGPACK_UNPACK_SUCCESS;
	for (uint32_t i = 0; good && i < methods.via.array.size; i++)
		good = rows_add(&rows, &methods.via.array.ptr[i]);
	if (good)
		ctl->out->table(ctl->out, OUT_FIELDS(method_columns), &rows, NULL);
	rows_fini(&rows);
	rpc_out_fini(&doc);
	return good ? 0 : ctl_fail("out of memory");
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
	if (!second && !strcmp(first, "rpc"))
		return help_rpc(ctl);
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
