/* log.c - see log.h. */
#include "server/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* The one global: set before anything starts, and later by daemon.set alone; read by all threads.
 */
static _Atomic enum log_level threshold = LOG_INFO;

static const char *const names[] = { "error", "warn", "info", "debug" };

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
	return atomic_load_explicit(&threshold, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
	return names[level];
}

bool log_level_parse(const char *name, enum log_level *out)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name))
			continue;
		*out = (enum log_level)i;
		return true;
	}
	return false;
}

void log_line(enum log_level level, const char *component, const char *format, ...)
{
	if (level > log_get_level())
		return;

	char line[1024];
	va_list ap;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	fprintf(stderr, "fethd: %s: %s: %s\n", names[level], component, line);
}

const char *log_text(char *out, size_t size, const char *text)
{
	size_t at = 0;
	for (const unsigned char *p = (const unsigned char *)text; *p && at + 5 <= size; p++) {
		if (*p >= 0x20 && *p < 0x7f && *p != '\\')
			out[at++] = (char)*p;
		else
			at += (size_t)snprintf(out + at, size - at, "\\x%02x", *p);
	}
	if (size)
		out[at] = '\0';
	return out;
}
