/* daemonfile.c - see daemonfile.h. */
#include "server/conf/daemonfile.h"

#include <string.h>

#include "server/conf/lines.h"
#include "server/core/netid.h"

static const char *set_group(struct daemon_settings *s, const char *value)
{
	if (!*value || strlen(value) >= sizeof(s->admin_group))
		return "is empty or too long";
	memcpy(s->admin_group, value, strlen(value) + 1);
	return NULL;
}

static const char *set_base(struct daemon_settings *s, const char *value)
{
	uint32_t v = 0;
	const char *p = value;
	for (; *p >= '0' && *p <= '9' && v <= NETID_BASE_MAX; p++)
		v = v * 10 + (uint32_t)(*p - '0');
	if (*p || p == value || v > NETID_BASE_MAX)
		return "must be 0 to 22768";
	s->unit_base = v;
	s->has_unit_base = true;
	return NULL;
}

static const char *set_level(struct daemon_settings *s, const char *value)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		s->level = (enum log_level)i;
		s->has_level = true;
		return NULL;
	}
	return "must be error, warn, info or debug";
}

static const char *set_truth(bool *has, bool *out, const char *value)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return "must be yes or no";
	*out = value[0] == 'y';
	*has = true;
	return NULL;
}

static const char *set_rootless(struct daemon_settings *s, const char *value)
{
	return set_truth(&s->has_rootless, &s->rootless, value);
}

static const char *set_dial_anywhere(struct daemon_settings *s, const char *value)
{
	return set_truth(&s->has_dial_anywhere, &s->dial_anywhere, value);
}

/* Our user must be able to connect, and nobody executes a socket. */
static const char *set_mode(struct daemon_settings *s, const char *value)
{
	unsigned v = 0;
	const char *p = value;
	for (; *p >= '0' && *p <= '7' && v <= 0777; p++)
		v = v * 8 + (unsigned)(*p - '0');
	if (*p || p == value || (v & ~0666u) || (v & 0600u) != 0600)
		return "must be 0600 to 0666, octal";
	s->control_mode = v;
	return NULL;
}

static const struct {
	const char *name;
	const char *(*set)(struct daemon_settings *s, const char *value);
} settings[] = {
	{ "admin-group", set_group },
	{ "control-mode", set_mode },
	{ "unit-base", set_base },
	{ "log-level", set_level },
	{ "rootless", set_rootless },
	{ "dial-anywhere", set_dial_anywhere },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static size_t find(const char *name)
{
	size_t i = 0;
	while (i < SETTINGS && strcmp(settings[i].name, name) != 0)
		i++;
	return i;
}

const char *daemon_setting(struct daemon_settings *s, const char *name, const char *value)
{
	const size_t i = find(name);
	return i < SETTINGS ? settings[i].set(s, value) : "is no setting";
}

struct reading {
	struct daemon_settings *out;
	const char *file;
	struct faults *faults;
	bool in_daemon, elsewhere;
	unsigned seen[SETTINGS]; /* lines */
};

static void on_section(void *ctx, unsigned line, const char *name)
{
	struct reading *r = ctx;
	const bool daemon = !strcmp(name, "daemon");
	if (!daemon)
		faults_add(r->faults, r->file, line,
			"there is no section [%s] here; there is [daemon]", name);
	else if (r->in_daemon)
		faults_add(r->faults, r->file, line, "[daemon] is there already");
	r->in_daemon |= daemon;
	r->elsewhere = !daemon;
}

static void on_entry(void *ctx, unsigned line, const char *key, const char *value)
{
	struct reading *r = ctx;
	if (r->elsewhere)
		return; /* that was said of its section */
	if (!r->in_daemon) {
		faults_add(
			r->faults, r->file, line, "%s is in no section; [daemon] begins one", key);
		return;
	}
	const size_t i = find(key);
	if (i == SETTINGS) {
		faults_add(r->faults, r->file, line,
			"there is no key %s in [daemon]; fethd.conf(5) lists them", key);
		return;
	}
	if (r->seen[i]) {
		faults_add(r->faults, r->file, line, "%s is given twice; the first time in line %u",
			key, r->seen[i]);
		return;
	}
	r->seen[i] = line;
	const char *why = settings[i].set(r->out, value);
	if (why)
		faults_add(r->faults, r->file, line, "%s: %s", key, why);
}

static void on_fault(void *ctx, unsigned line, const char *text)
{
	const struct reading *r = ctx;
	faults_add(r->faults, r->file, line, "%s", text);
}

void daemonfile_read(struct daemon_settings *out, const char *file, const char *text, size_t len,
	struct faults *faults)
{
	static const struct lines_sink sink = { on_section, on_entry, on_fault };
	struct reading r = { .out = out, .file = file, .faults = faults };
	if (len > DAEMONFILE_BYTES)
		faults_add(faults, file, 0, "the file has over %u bytes, which is too much",
			DAEMONFILE_BYTES);
	else
		lines_read(text, len, &sink, &r);
}

void daemon_settings_merge(struct daemon_settings *over, const struct daemon_settings *under)
{
	if (!over->admin_group[0])
		memcpy(over->admin_group, under->admin_group, sizeof(over->admin_group));
	if (!over->control_mode)
		over->control_mode = under->control_mode;
	if (!over->has_unit_base) {
		over->has_unit_base = under->has_unit_base;
		over->unit_base = under->unit_base;
	}
	if (!over->has_level) {
		over->has_level = under->has_level;
		over->level = under->level;
	}
	if (!over->has_rootless) {
		over->has_rootless = under->has_rootless;
		over->rootless = under->rootless;
	}
	if (!over->has_dial_anywhere) {
		over->has_dial_anywhere = under->has_dial_anywhere;
		over->dial_anywhere = under->dial_anywhere;
	}
}
