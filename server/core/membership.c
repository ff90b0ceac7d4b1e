/* membership.c - see membership.h. */
#include "server/core/membership.h"

static bool is_about(const struct membership *e, uint32_t uid, uint32_t gid)
{
	return e->until && e->uid == uid && e->gid == gid;
}

bool membership_get(
	const struct memberships *m, uint32_t uid, uint32_t gid, uint64_t now_ms, bool *out_member)
{
	for (unsigned i = 0; i < MEMBERSHIPS_MAX; i++) {
		const struct membership *e = &m->all[i];
		if (!is_about(e, uid, gid) || e->until <= now_ms)
			continue;
		*out_member = e->member;
		return true;
	}
	return false;
}

void membership_put(struct memberships *m, uint32_t uid, uint32_t gid, bool member, uint64_t now_ms)
{
	struct membership *to = &m->all[0];
	for (unsigned i = 0; i < MEMBERSHIPS_MAX && !is_about(to, uid, gid); i++)
		if (is_about(&m->all[i], uid, gid) || m->all[i].until < to->until)
			to = &m->all[i];
	*to = (struct membership){
		.until = now_ms + MEMBERSHIP_MS, .uid = uid, .gid = gid, .member = member
	};
}
