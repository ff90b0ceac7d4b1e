/* peer.c - what of peer.h is the same everywhere. */
#include "server/io/peer.h"
#include "server/io/machine.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

static bool is_number(const char *text, uint32_t *out)
{
	char *end;
	errno = 0;
	const unsigned long n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n >= UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

int user_find(const char *text, uint32_t *out_uid, struct err *err)
{
	if (is_number(text, out_uid))
		return 0;
	const struct passwd *pw = getpwnam(text);
	if (!pw)
		return err_set(err, -ENOENT, "there is no user %.32s on this machine", text);
	*out_uid = pw->pw_uid;
	return 0;
}

int group_find(const char *text, uint32_t *out_gid, struct err *err)
{
	if (is_number(text, out_gid))
		return 0;
	const struct group *gr = getgrnam(text);
	if (!gr)
		return err_set(err, -ENOENT, "there is no group %.32s on this machine; %s", text,
			machine.make_group);
	*out_gid = gr->gr_gid;
	return 0;
}
