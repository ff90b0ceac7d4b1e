/* rules.c - see rules.h. */
#include "clients/ctl/rules.h"

#include <string.h>

/* How a rule is written and sent. @where: "--cap" or the like, for the sentence. */
struct rule {
	const char *option;
	const char *field;
	int (*put)(struct rpc_out *params, const char *field, const char *where, const char *value);
};

static int put_switch(
	struct rpc_out *params, const char *field, const char *where, const char *value)
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return ctl_fail("%s %s: it must be on or off", where, value);
	rpc_put_bool(params, field, !strcmp(value, "on"));
	return 0;
}

static int put_link(struct rpc_out *params, const char *field, const char *where, const char *value)
{
	if (strcmp(value, "up") != 0 && strcmp(value, "down") != 0)
		return ctl_fail("%s %s: it must be up or down", where, value);
	rpc_put_bool(params, field, !strcmp(value, "up"));
	return 0;
}

static int put_number(
	struct rpc_out *params, const char *field, const char *where, const char *value)
{
	uint64_t v = 0;
	const char *p = value;
	for (; *p >= '0' && *p <= '9' && v <= UINT32_MAX; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (*p || p == value || v > UINT32_MAX)
		return ctl_fail("%s %s: it must be a decimal number", where, value);
	rpc_put_uint(params, field, v);
	return 0;
}

static const struct rule rules[] = {
	{ "isolated", "isolated", put_switch },
	{ "link", "up", put_link },
	{ "cap", "cap", put_number },
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

int rules_put(const struct args *args, struct rpc_out *params)
{
	char where[32];
	int status = 0;
	for (size_t i = 0; i < N_RULES && !status; i++) {
		const char *value = args_value(args, rules[i].option);
		snprintf(where, sizeof(where), "--%s", rules[i].option);
		if (value)
			status = rules[i].put(params, rules[i].field, where, value);
	}
	return status;
}

static int put_default(struct rpc_out *params, const char *text)
{
	char where[48];
	const char *equals = strchr(text, '=');
	const size_t len = equals ? (size_t)(equals - text) : strlen(text);
	for (size_t i = 0; equals && i < N_RULES; i++) {
		if (strlen(rules[i].option) != len || memcmp(rules[i].option, text, len) != 0)
			continue;
		snprintf(where, sizeof(where), "--default %s", rules[i].option);
		return rules[i].put(params, rules[i].field, where, equals + 1);
	}
	return ctl_fail(
		"--default %s: it must be a setting of fethctl port set and its value, such "
		"as isolated=on, or none",
		text);
}

int rules_put_defaults(const struct args *args, struct rpc_out *params)
{
	int status = 0;
	unsigned n = 0;
	if (!args_flag(args, "default"))
		return 0;
	for (unsigned i = 0; i < args->n_given; i++)
		n += !strcmp(args->given[i].option->name, "default");
	rpc_put_map(params, "defaults");
	for (unsigned i = 0; i < args->n_given && !status; i++) {
		if (strcmp(args->given[i].option->name, "default") != 0)
			continue;
		if (n > 1 || strcmp(args->given[i].value, "none") != 0)
			status = put_default(params, args->given[i].value);
	}
	rpc_out_close(params);
	return status;
}

static bool is(const msgpack_object *port, const char *field, bool value)
{
	const msgpack_object *v = out_get(port, field);
	return v && v->type == MSGPACK_OBJECT_BOOLEAN && v->via.boolean == value;
}

void rules_text(FILE *f, const msgpack_object *port)
{
	const char *sep = "";
	if (is(port, "isolated", true)) {
		fputs("isolated", f);
		sep = ", ";
	}
	if (is(port, "up", false)) {
		fprintf(f, "%slink down", sep);
		sep = ", ";
	}
	if (!*sep)
		fputc('-', f);
}
