/* dial.c - see dial.h. */
#include "server/core/dial.h"

#include <string.h>

bool dial_text_any(const struct dial_text *text)
{
	return text->connect[0] || text->local[0] || text->remote[0];
}

bool dial_text_same(const struct dial_text *a, const struct dial_text *b)
{
	return !strcmp(a->connect, b->connect) && !strcmp(a->local, b->local) &&
	       !strcmp(a->remote, b->remote);
}

static bool path_parse(struct dial *out, enum dial_way way, const char *text, const char **why)
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
	out->way = way;
	memcpy(out->path, text, len + 1);
	return true;
}

static bool connect_parse(struct dial *out, const char *text, const char **why)
{
	if (*text == '/')
		return path_parse(out, DIAL_PATH, text, why);
	*why = "must be the absolute path of a socket, or tcp:ADDRESS:PORT";
	out->way = DIAL_TCP;
	return !strncmp(text, "tcp:", 4) && endpoint_parse(&out->remote, text + 4, why);
}

bool dial_parse(
	struct dial *out, const struct dial_text *text, const char **field, const char **why)
{
	*out = (struct dial){ .way = DIAL_UDP };
	*field = "connect";
	if (text->connect[0])
		return connect_parse(out, text->connect, why);
	*field = "remote";
	if (!text->local[0] && text->remote[0] == '/')
		return path_parse(out, DIAL_PLACE, text->remote, why);
	*field = "local";
	if (!endpoint_parse(&out->local, text->local, why))
		return false;
	*field = "remote";
	if (!endpoint_parse(&out->remote, text->remote, why))
		return false;
	*why = "must be of the same kind as local: both of IPv4, or both of IPv6";
	if (out->local.family != out->remote.family)
		return false;
	*why = "is local itself; everything would come back";
	return out->local.port != out->remote.port ||
	       memcmp(out->local.addr, out->remote.addr, sizeof(out->local.addr)) != 0;
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
	case DIAL_PLACE:
		break;
	}
	return true;
}

void dial_pace_opened(struct dial_pace *pace, uint64_t now_ms)
{
	pace->open = true;
	pace->since_ms = now_ms;
}

uint32_t dial_pace_wait_ms(struct dial_pace *pace, uint64_t now_ms, uint32_t random)
{
	uint32_t most = DIAL_FIRST_MS;
	if (pace->open && now_ms - pace->since_ms >= DIAL_STEADY_MS)
		pace->tries = 0;
	pace->open = false;
	for (unsigned i = 0; i < pace->tries && most < DIAL_MOST_MS; i++)
		most *= 2;
	if (most >= DIAL_MOST_MS)
		most = DIAL_MOST_MS;
	else
		pace->tries++;
	return most / 2 + random % (most / 2 + 1);
}
