/* member_linux.h - what veth and tap do alike to the host member: find it, give it MTU, MAC, link
 * state and addresses, and say why something was refused.
 *
 * Below veth_linux.c and tap_linux.c, above netlink_linux.h. */
#ifndef SERVER_HOSTIF_MEMBER_LINUX_H
#define SERVER_HOSTIF_MEMBER_LINUX_H

#include "server/hostif/netlink_linux.h"
#include "server/hostif/wanted.h"

/* Whether this process has all capabilities of the mask @want (1u << CAP_NET_ADMIN). */
bool member_allowed(uint32_t want);

/* Whether frames shall come and go with work owed on them: as long as the environment does not say
 * FETHD_OFFLOAD=off. */
bool member_offload(void);

/* Says what failed and why, "lab: cannot @verb @object: why"; returns @rc. @nl (may be NULL) is
 * what was asked. */
int member_refused(struct err *err, const struct hostif_spec *spec, int rc, const struct nl *nl,
	const char *verb, const char *object);

/* The link that has exactly this name; -ENODEV. One that has it as an alternative name is -EEXIST:
 * the name is taken, by somebody else. */
int member_named(struct nl *nl, const char *name, struct nl_link *out);

/* How a link is; and one setting of it made so, if it is not: 0, and @link says it too, or -errno.
 */
struct end member_end(const struct nl_link *link);
int member_mtu(struct nl *nl, struct nl_link *link, uint32_t mtu);
int member_mac(struct nl *nl, struct nl_link *link, struct feth_mac mac);
int member_up(struct nl *nl, struct nl_link *link, bool up);

/* Removes the addresses of @now that @want has not, then adds all of @want: also those that were
 * there may be missing, since IPv6 addresses go with the link state, and IPv4 ones with the first
 * of their subnet. What somebody else added stays. @added: one bit per address that was missing. */
int member_addrs(struct nl *nl, int index, const struct hostif_spec *now,
	const struct hostif_spec *want, uint32_t *added, struct err *err);
/* Takes that back, after a failure. */
void member_addrs_undo(struct nl *nl, int index, const struct hostif_spec *now,
	const struct hostif_spec *want, uint32_t added);

/* What hostif_ops says of them. */
bool member_name_free(const char *name);
int member_watch_open(struct err *err);

#endif
