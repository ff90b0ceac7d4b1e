/* options.c - see options.h. */
#include "clients/ctl/options.h"

#include <stdlib.h>
#include <string.h>

#include "clients/ctl/ctl.h"
#include "protocol/text.h"

static const struct option globals[] = {
	{ "run-dir", "DIR", false, NULL },
	{ "json", NULL, false, NULL },
	{ "help", NULL, false, NULL },
	{ "version", NULL, false, NULL },
	{ 0 },
};

static const struct option *find(const struct option *list, const char *name, size_t len)
{
	for (; list && list->name; list++)
		if (strlen(list->name) == len && !memcmp(list->name, name, len))
			return list;
	return NULL;
}

bool args_flag(const struct args *args, const char *name)
{
	for (unsigned i = 0; i < args->n_given; i++)
		if (!strcmp(args->given[i].option->name, name))
			return true;
	return false;
}

const char *args_value(const struct args *args, const char *name)
{
	for (unsigned i = 0; i < args->n_given; i++)
		if (!strcmp(args->given[i].option->name, name))
			return args->given[i].value;
	return NULL;
}

static int take_global(struct ctl *ctl, struct args *args, const char *name, const char *value)
{
	if (!strcmp(name, "json"))
		ctl->json = true;
	else if (!strcmp(name, "help"))
		args->help = true;
	else if (!strcmp(name, "version"))
		args->version = true;
	else if (!value || !*value)
		return ctl_usage(args->cmd, "--run-dir: it is empty");
	else
		ctl->run_dir = value;
	return 0;
}

/* Whether what follows an option that may stand alone is its value. */
static bool is_value(const char *what, const char *word)
{
	if (word && *word && !strcmp(what, "[SECONDS]"))
		return strspn(word, "0123456789") == strlen(word);
	return word && (!strcmp(word, "on") || !strcmp(word, "off") || strchr(word, '.')) &&
	       word[0] != '-';
}

/* How an option is written: those of one letter with one dash. */
static const char *dashes(const struct option *o)
{
	return o->name[1] ? "--" : "-";
}

/* One option at argv[0]; *used: arguments it took. */
static int take_option(char **argv, struct ctl *ctl, struct args *args, unsigned *used)
{
	const char *name = argv[0] + (argv[0][1] == '-' ? 2 : 1);
	const char *equals = strchr(name, '=');
	const size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const bool global = find(globals, name, len) != NULL;
	const struct option *o = global ? find(globals, name, len)
					: find(args->cmd ? args->cmd->options : NULL, name, len);
	const char *value = equals ? equals + 1 : NULL;
	*used = 1;
	if (!o)
		return ctl_usage(args->cmd, "%s: there is no such option%s", argv[0],
			args->cmd ? "" : " before a command");
	if (!o->value && value)
		return ctl_usage(args->cmd, "%s%s takes no value", dashes(o), o->name);
	const bool alone = o->value && o->value[0] == '[' && !is_value(o->value, argv[1]);
	if (o->value && !value && !alone) {
		if (!argv[1])
			return ctl_usage(
				args->cmd, "%s%s: %s is missing", dashes(o), o->name, o->value);
		value = argv[1];
		*used = 2;
	}
	if (global)
		return take_global(ctl, args, o->name, value);
	if (!o->many && args_flag(args, o->name))
		return ctl_usage(args->cmd, "%s%s is given twice", dashes(o), o->name);
	if (args->n_given == ARGS_MAX)
		return ctl_usage(args->cmd, "more than %u options", ARGS_MAX);
	args->given[args->n_given].option = o;
	args->given[args->n_given++].value = value;
	return 0;
}

/* A word of the command, or an operand. */
static int take_operand(const char *word, struct args *args, const char **first)
{
	bool more = false;
	if (args->cmd && !*first && !args->n_operands) { /* "fdb", and "fdb flush" */
		const struct command *longer = command_find(args->cmd->name, word, &more);
		*first = word;
		if (longer) {
			args->cmd = longer;
			return 0;
		}
	}
	if (!args->cmd) {
		args->cmd = command_find(*first ? *first : word, *first ? word : NULL, &more);
		if (!args->cmd && more && !*first) {
			*first = word;
			return 0;
		}
		if (!args->cmd && *first)
			return ctl_usage(NULL, "%s %s: there is no such command", *first, word);
		if (!args->cmd)
			return ctl_usage(NULL, "%s: there is no such command", word);
		return 0;
	}
	if (args->n_operands == args->cmd->max)
		return ctl_usage(args->cmd, "%s: one argument too many%s", word,
			args->cmd->command ? "; the command to run goes behind --" : "");
	args->operands[args->n_operands++] = word;
	return 0;
}

static int check_count(const struct args *args, const char *first)
{
	if (args->help || args->version)
		return 0;
	if (first && !args->cmd)
		return ctl_usage(NULL, "%s: a second word is missing", first);
	if (!args->cmd)
		return 0;
	if (args->n_operands < args->cmd->min)
		return ctl_usage(args->cmd, "%s: an argument is missing", args->cmd->name);
	if (args->command && !args->cmd->command)
		return ctl_usage(args->cmd, "%s runs no command", args->cmd->name);
	if (args->command && !args->command[0])
		return ctl_usage(args->cmd, "%s: no command behind --", args->cmd->name);
	return 0;
}

/* "-w", where the command has an option of one letter so called. */
static bool is_letter(const struct args *args, const char *word)
{
	return word[0] == '-' && word[1] && !word[2] && args->cmd &&
	       find(args->cmd->options, word + 1, 1);
}

int args_parse(char **argv, struct ctl *ctl, struct args *args)
{
	const char *first = NULL; /* of two words */
	int rc = 0;
	memset(args, 0, sizeof(*args));
	for (unsigned i = 1; argv[i] && !rc; i++) {
		unsigned used = 1;
		if (!strcmp(argv[i], "--")) {
			args->command = argv + i + 1;
			break;
		}
		if (!strcmp(argv[i], "-h"))
			args->help = true;
		else if (!strncmp(argv[i], "--", 2) || is_letter(args, argv[i]))
			rc = take_option(argv + i, ctl, args, &used);
		else if (argv[i][0] == '-' && argv[i][1])
			rc = ctl_usage(args->cmd, "%s: there is no such option%s", argv[i],
				args->cmd && args->cmd->command
					? "; the command to run goes behind --"
					: "");
		else
			rc = take_operand(argv[i], args, &first);
		i += used - 1;
	}
	return rc ? rc : check_count(args, first);
}

int args_uint(const struct args *args, const char *name, uint32_t *out)
{
	const char *text = args_value(args, name);
	if (!text)
		return 0;
	uint64_t v = 0;
	const char *p = text;
	for (; *p >= '0' && *p <= '9' && v <= UINT32_MAX; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (*p || p == text || v > UINT32_MAX) {
		ctl_fail("--%s %s: it must be a decimal number", name, text);
		return -1;
	}
	*out = (uint32_t)v;
	return 1;
}

int args_switch(const struct args *args, const char *name, bool *out)
{
	const char *text = args_value(args, name);
	if (!text)
		return 0;
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0) {
		ctl_fail("--%s %s: it must be on or off", name, text);
		return -1;
	}
	*out = !strcmp(text, "on");
	return 1;
}

int args_mac(const struct args *args, const char *name, struct feth_mac *out)
{
	const char *text = args_value(args, name);
	if (!text)
		return 0;
	if (!mac_parse(out, text)) {
		ctl_fail("--%s %s: it must look like 02:00:00:00:00:01", name, text);
		return -1;
	}
	if (mac_is_group(*out) || mac_is_zero(*out)) {
		ctl_fail("--%s %s: it is %s, not the address of one station", name, text,
			mac_is_zero(*out) ? "zero" : "a group");
		return -1;
	}
	return 1;
}

static bool check_name(const char *what, const char *text)
{
	if (name_valid(text))
		return true;
	ctl_fail("%s %s: a name is a letter or digit, then at most %u letters, digits, '-' or '_'",
		what, *text ? text : "''", FETH_NAME_MAX - 1);
	return false;
}

int args_name(const struct args *args, const char *name, const char **out)
{
	const char *text = args_value(args, name);
	if (!text)
		return 0;
	if (!check_name(name, text))
		return -1;
	*out = text;
	return 1;
}

const char *args_operand_name(const struct args *args, unsigned i, const char *what)
{
	return check_name(what, args->operands[i]) ? args->operands[i] : NULL;
}
