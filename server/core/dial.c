/* dial.c - see dial.h. */
#include "server/core/dial.h"

#include <string.h>

bool dial_text_same(const struct dial_text *a, const struct dial_text *b)
{
	return !strcmp(a->connect, b->connect);
}

static bool path_parse(struct dial *out, const char *text, const char **why)
{
	const size_t len = strlen(text);
	*why = "the path of a socket has at most 107 bytes of printable text";
	if (len >= sizeof(out->path) || !utf8_valid(text, len))
		return false;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	*why = "a path with ' ;' in it, or a blank at its end, cannot be kept in a file";
	if (strstr(text, " ;") || text[len - 1] == ' ')
		return false;
	out->way = DIAL_PATH;
	memcpy(out->path, text, len + 1);
	return true;
}

bool dial_parse(struct dial *out, const char *text, const char **why)
{
	*out = (struct dial){ .way = DIAL_NONE };
	if (*text == '/')
		return path_parse(out, text, why);
	if (!strncmp(text, "tcp:", 4)) {
		if (!endpoint_parse(&out->remote, text + 4, why))
			return false;
		out->way = DIAL_TCP;
		return true;
	}
	*why = "must be the absolute path of a socket, or tcp:ADDRESS:PORT";
	return false;
}

bool dial_is_local(const struct dial *dial)
{
	switch (dial->way) {
	case DIAL_TCP:
		return endpoint_is_loopback(&dial->remote);
	case DIAL_UDP:
		return endpoint_is_loopback(&dial->local) && endpoint_is_loopback(&dial->remote);
	case DIAL_NONE:
	case DIAL_PATH:
		break;
	}
	return true;
}

uint32_t dial_wait_ms(unsigned tries, uint32_t random)
{
	uint32_t most = DIAL_FIRST_MS;
	for (unsigned i = 0; i < tries && most < DIAL_MOST_MS; i++)
		most *= 2;
	if (most > DIAL_MOST_MS)
		most = DIAL_MOST_MS;
	return most / 2 + random % (most / 2 + 1);
}
