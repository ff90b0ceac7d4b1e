/* pair_darwin.h - a pair of feth interfaces as the kernel has it: whose it is, and how to change
 * it.
 *
 * The middle of the feth backend: above the calls (ifioctl_darwin.h, iflist_darwin.h), below what
 * the daemon asks for (feth_darwin.c). Functions return 0 or -DW_E*; then the ifctl says which call
 * it was. */
#ifndef SERVER_HOSTIF_PAIR_DARWIN_H
#define SERVER_HOSTIF_PAIR_DARWIN_H

#include "server/hostif/ifioctl_darwin.h"
#include "server/hostif/wanted.h"

struct member {
	bool there;
	bool ours;
	uint16_t index;
	uint32_t mtu;
	struct feth_mac mac;
	bool up;
	char peer[HOSTIF_NAME]; /* "" for none */
};

struct pair {
	const struct hostif_spec *spec; /* the names; borrowed */
	struct member host, service;
};

/* What there is under the two names of @spec. @made: this process made the pair (else it may be
 * somebody else's that looks like it). */
int pair_look(struct ifctl *c, const struct hostif_spec *spec, bool made, struct pair *out);

/* Both members are there and ours; they may have been parted. */
bool pair_whole(const struct pair *p);

/* Destroys those members that are ours, the host member first. Tries both in any case. */
int pair_destroy(struct ifctl *c, const struct pair *p);

struct state state_of(const struct pair *p);

/* Brings the pair from what it is to @to. On failure some of it may be changed, which @p knows.
 * *out_what: "set the MTU of". */
int pair_apply(struct ifctl *c, struct pair *p, const struct state *to, const char **out_what);

/* Makes the members' peers each other again where they were parted. */
int pair_join(struct ifctl *c, struct pair *p);

/* Removes the addresses of @now that @want has not from the host member and adds those of @want
 * that it lacks. What somebody else added stays. @added: one bit for each of @want's that was
 * missing. On failure *out_addr is the one it was about, and *out_what "give" or "take". */
int pair_addrs(struct ifctl *c, const struct pair *p, const struct hostif_spec *now,
	const struct hostif_spec *want, uint32_t *added, const struct cidr **out_addr,
	const char **out_what);
void pair_addrs_undo(struct ifctl *c, const struct pair *p, const struct hostif_spec *now,
	const struct hostif_spec *want, uint32_t added);

#endif
