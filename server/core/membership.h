/* membership.h - who is in which Unix group, as a slow directory said it: remembered for a while.
 *
 * Pure; the clock is the caller's, monotonic. A denial is remembered as well as a membership. */
#ifndef SERVER_CORE_MEMBERSHIP_H
#define SERVER_CORE_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

/* How long an answer holds. A minute: whoever connects in a loop has the directory asked once in
 * it, and a user who was put into a group, or taken out, does not wait long. */
#define MEMBERSHIP_MS 60000u

/* Answers at a time, 6 KiB: three users and a network with as many rules as it can have, or many
 * users and a handful of groups. With more of both the directory is asked more often, and that is
 * all. */
#define MEMBERSHIPS_MAX 256u

struct membership {
	uint64_t until; /* milliseconds; 0: none */
	uint32_t uid, gid;
	bool member;
};

/* All zero: none. */
struct memberships {
	struct membership all[MEMBERSHIPS_MAX];
};

/* False where nothing is known, or no longer. */
bool membership_get(
	const struct memberships *m, uint32_t uid, uint32_t gid, uint64_t now_ms, bool *out_member);

/* Takes the place of an older answer to the same, else of the one that ends first. */
void membership_put(
	struct memberships *m, uint32_t uid, uint32_t gid, bool member, uint64_t now_ms);

#endif
