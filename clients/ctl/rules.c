/* rules.c - see rules.h. */
#include "clients/ctl/rules.h"

#include <inttypes.h>
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

/* What a rate may be written in, and how much it is. */
static const struct unit {
	const char *name;
	uint64_t bits; /* a second */
} units[] = {
	{ "Gbit", 1000000000 },
	{ "Mbit", 1000000 },
	{ "kbit", 1000 },
	{ "GB", 8000000000 },
	{ "MB", 8000000 },
	{ "kB", 8000 },
	{ "B", 8 },
};

#define N_UNITS (sizeof(units) / sizeof(units[0]))

/* "10Mbit", "2MB", "off". A bare number might be meant as either, so there is none. */
static int put_rate(struct rpc_out *params, const char *field, const char *where, const char *value)
{
	uint64_t v = 0;
	size_t u = 0;
	const char *p = value;
	if (!strcmp(value, "off")) {
		rpc_put_uint(params, field, 0);
		return 0;
	}
	for (; *p >= '0' && *p <= '9' && v <= UINT32_MAX; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	while (u < N_UNITS && strcmp(p, units[u].name) != 0)
		u++;
	if (p == value || u == N_UNITS)
		return ctl_fail(
			"%s %s: it must be off, or a number and what of a second: kbit, Mbit, "
			"Gbit, B, kB, MB or GB, as in 10Mbit",
			where, value);
	v = v * units[u].bits / 8;
	if (!v || v > UINT32_MAX)
		return ctl_fail("%s %s: it must be 1B to 34Gbit, or off", where, value);
	rpc_put_uint(params, field, v);
	return 0;
}

static int put_limit(
	struct rpc_out *params, const char *field, const char *where, const char *value)
{
	return put_number(params, field, where, !strcmp(value, "off") ? "0" : value);
}

static const struct rule rules[] = {
	{ "isolated", "isolated", put_switch },
	{ "link", "up", put_link },
	{ "vlan", "vlan", vlan_put },
	{ "cap", "cap", put_number },
	{ "queue", "queue", put_number },
	{ "rx-rate", "rx_rate", put_rate },
	{ "tx-rate", "tx_rate", put_rate },
	{ "storm", "storm", put_limit },
	{ "loop-guard", "loop_guard", put_switch },
	{ "raw-offload", "raw_offload", put_switch },
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

static uint64_t number(const msgpack_object *port, const char *field)
{
	const msgpack_object *v = out_get(port, field);
	return v && v->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? v->via.u64 : 0;
}

/* In the largest of bits, or else in bytes. */
static void print_rate(FILE *f, const char *sep, const char *name, uint64_t rate)
{
	size_t u = 0;
	while (u < 3 && rate * 8 % units[u].bits)
		u++;
	if (u < 3)
		fprintf(f, "%s%s %" PRIu64 " %s/s", sep, name, rate * 8 / units[u].bits,
			units[u].name);
	else
		fprintf(f, "%s%s %" PRIu64 " B/s", sep, name, rate);
}

void rules_text(FILE *f, const msgpack_object *port)
{
	const uint64_t rx = number(port, "rx_rate"), tx = number(port, "tx_rate");
	const char *sep = "";
	if (is(port, "isolated", true)) {
		fputs("isolated", f);
		sep = ", ";
	}
	if (is(port, "up", false)) {
		fprintf(f, "%slink down", sep);
		sep = ", ";
	}
	if (is(port, "looped", true)) {
		fprintf(f, "%sLOOPED", sep);
		sep = ", ";
	}
	if (is(port, "loop_guard", false)) {
		fprintf(f, "%sno loop guard", sep);
		sep = ", ";
	}
	if (is(port, "raw_offload", true)) {
		fprintf(f, "%sraw offload", sep);
		sep = ", ";
	}
	if (out_get(port, "vlan")) {
		fprintf(f, "%svlan ", sep);
		vlan_text(f, out_get(port, "vlan"));
		sep = ", ";
	}
	if (rx) {
		print_rate(f, sep, "rx", rx);
		sep = ", ";
	}
	if (tx) {
		print_rate(f, sep, "tx", tx);
		sep = ", ";
	}
	if (!*sep)
		fputc('-', f);
}
