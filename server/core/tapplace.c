/* tapplace.c - see tapplace.h. */
#include "server/core/tapplace.h"

#include <string.h>

/* Of printable ASCII. */
static bool plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* What Linux takes (dev_valid_name()), less what ip(8) or a shell reads otherwise, and '%', which
 * asks for a number. */
const char *tapplace_ifname(const char *text)
{
	const size_t len = strlen(text);
	if (!len || len >= HOSTIF_NAME || !plain(text) || strpbrk(text, "/:%@\\\"'") ||
		text[0] == '-' || !strcmp(text, ".") || !strcmp(text, ".."))
		return "an interface's name has 1 to 15 letters, digits and such, and none of / : "
		       "% @";
	return NULL;
}

const char *tapplace_netns(const char *text)
{
	const size_t len = strlen(text);
	if (len && len < TAPPLACE_NETNS && plain(text) && (text[0] == '/' || !strchr(text, '/')) &&
		strcmp(text, ".") != 0 && strcmp(text, "..") != 0)
		return NULL;
	return "must be a name of ip-netns(8), or an absolute path such as /proc/PID/ns/net";
}

bool tapplace_same(const struct tap_place *a, const struct tap_place *b)
{
	return !strcmp(a->ifname, b->ifname) && !strcmp(a->netns, b->netns);
}
