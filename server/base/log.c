/* log.c - see log.h. */
#include "server/base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum log_level threshold = LOG_INFO; /* the one global: it is set before anything starts */

void log_set_level(enum log_level level)
{
	threshold = level;
}

void log_line(enum log_level level, const char *component, const char *format, ...)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	if (level > threshold)
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
