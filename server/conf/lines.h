/* lines.h - the lines of a configuration file: sections, and `key = value`.
 *
 * The syntax is inih's, but each line is given to it alone, so that every wrong line is found and
 * known by its number, and no line hangs on the one before: how inih was built (values over several
 * lines, say) makes no difference. Pure: bytes in, calls out. */
#ifndef SERVER_CONF_LINES_H
#define SERVER_CONF_LINES_H

#include <stddef.h>

/* Bytes of a line. inih's own limit is 200 with what it adds, unless it was built otherwise. */
#define LINES_BYTES 190u

struct lines_sink {
	void (*section)(void *ctx, unsigned line, const char *name);
	/* Neither is empty. */
	void (*entry)(void *ctx, unsigned line, const char *key, const char *value);
	void (*fault)(void *ctx, unsigned line, const char *text);
};

/* Reads @len bytes of text, which may be anything. Lines count from 1. */
void lines_read(const char *text, size_t len, const struct lines_sink *sink, void *ctx);

#endif
