/* rootless_darwin.c - the verbs that are about privilege itself, where there are no namespaces:
 * both refuse. See verbs.h. */
#include <errno.h>

#include "server/priv/verbs.h"

int verb_rootless(struct err *err)
{
	return err_set(err, -EOPNOTSUPP,
		"--rootless: macOS has no network namespaces; run fethd as root, or without "
		"--rootless for networks that have no host side (fethctl create NET --backend "
		"none)");
}

bool verb_is_rootless(void)
{
	return false;
}

int verb_namespaces(bool user, int out_fds[2], uint8_t *out_n, struct err *err)
{
	(void)user;
	(void)out_fds;
	(void)out_n;
	return err_set(err, -EOPNOTSUPP,
		"there is nothing to enter: macOS has no network namespaces, so the host side is "
		"where every program is");
}
