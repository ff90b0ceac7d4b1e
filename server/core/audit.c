/* audit.c - see audit.h. */
#include "server/core/audit.h"

static struct audit_uid *place(struct audit *audit, uint32_t uid)
{
	for (unsigned i = 0; i < audit->n; i++)
		if (audit->uids[i].uid == uid)
			return &audit->uids[i];
	if (audit->n == AUDIT_UIDS)
		return &audit->uids[AUDIT_UIDS - 1];
	audit->uids[audit->n].uid = uid;
	return &audit->uids[audit->n++];
}

bool audit_admit(struct audit *audit, uint32_t uid)
{
	struct audit_uid *u = place(audit, uid);
	if (u->lines == AUDIT_LINES) {
		u->left_out++;
		return false;
	}
	u->lines++;
	return true;
}

bool audit_shared(const struct audit *audit, unsigned i)
{
	return i == AUDIT_UIDS - 1 && audit->n == AUDIT_UIDS;
}
