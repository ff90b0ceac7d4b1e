/* lines.c - see lines.h. */
#include "server/conf/lines.h"

#include <ini.h>
#include <stdbool.h>
#include <string.h>

#include "protocol/text.h"

struct reading {
	const struct lines_sink *sink;
	void *ctx;
	unsigned line;
};

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* "[name]", and nothing behind it but a comment. */
static void section(const struct reading *r, char *s)
{
	char *end = strchr(s, ']');
	const char *rest = end ? skip_blanks(end + 1) : "";
	if (!end || (*rest && *rest != ';' && *rest != '#')) {
		r->sink->fault(r->ctx, r->line, "a section is a name in [ ] on a line of its own");
		return;
	}
	*end = '\0';
	r->sink->section(r->ctx, r->line, s + 1);
}

static int entry(void *user, const char *in, const char *key, const char *value)
{
	const struct reading *r = user;
	(void)in; /* the section: inih sees one line at a time, and none */
	if (!key || !*key || !value)
		return 0;
	if (*value)
		r->sink->entry(r->ctx, r->line, key, value);
	else
		r->sink->fault(r->ctx, r->line, "there is no value behind the =");
	return 1;
}

static bool printable(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
			return false;
	return utf8_valid(s, len);
}

static void one_line(const struct reading *r, const char *s, size_t len)
{
	char text[LINES_BYTES + 1];
	if (len && s[len - 1] == '\r')
		len--;
	if (len > LINES_BYTES) {
		r->sink->fault(r->ctx, r->line, "the line is too long; 190 bytes are possible");
		return;
	}
	if (!printable(s, len)) {
		r->sink->fault(r->ctx, r->line, "this is no line of UTF-8 text");
		return;
	}
	memcpy(text, s, len);
	text[len] = '\0';
	char *begin = text + strspn(text, " \t");
	if (*begin == '[')
		section(r, begin);
	else if (ini_parse_string(begin, entry, (void *)r))
		r->sink->fault(r->ctx, r->line, "this is neither `key = value` nor a [section]");
}

void lines_read(const char *text, size_t len, const struct lines_sink *sink, void *ctx)
{
	static const char mark[] = "\xef\xbb\xbf"; /* some editors begin a file of UTF-8 with it */
	struct reading r = { .sink = sink, .ctx = ctx };
	if (len >= 3 && !memcmp(text, mark, 3)) {
		text += 3;
		len -= 3;
	}
	while (len) {
		const char *end = memchr(text, '\n', len);
		const size_t n = end ? (size_t)(end - text) : len;
		r.line++;
		one_line(&r, text, n);
		text += end ? n + 1 : n;
		len -= end ? n + 1 : n;
	}
}
