/* shared.c - see shared.h. */
#include "server/io/shared.h"

#include <stdlib.h>
#include <uv.h>

/* How many connections a user has. */
struct uid_count {
	struct uid_count *next;
	uint32_t uid;
	unsigned n;
};

struct shared {
	struct ioloop *main_loop;
	struct refusals *refusals;
	uv_mutex_t lock; /* of the list */
	struct uid_count *uids;
};

struct shared *shared_new(void)
{
	struct shared *sh = calloc(1, sizeof(*sh));
	if (sh && uv_mutex_init(&sh->lock) < 0) {
		free(sh);
		return NULL;
	}
	return sh;
}

void shared_free(struct shared *sh)
{
	if (!sh)
		return;
	while (sh->uids) {
		struct uid_count *c = sh->uids;
		sh->uids = c->next;
		free(c);
	}
	uv_mutex_destroy(&sh->lock);
	free(sh);
}

void shared_set(struct shared *sh, struct ioloop *main_loop, struct refusals *refusals)
{
	sh->main_loop = main_loop;
	sh->refusals = refusals;
}

struct ioloop *shared_main(struct shared *sh)
{
	return sh->main_loop;
}

struct refusals *shared_refusals(struct shared *sh)
{
	return sh->refusals;
}

/* The link to the count of @uid, or to the end of the list. */
static struct uid_count **find(struct shared *sh, uint32_t uid)
{
	struct uid_count **link = &sh->uids;
	while (*link && (*link)->uid != uid)
		link = &(*link)->next;
	return link;
}

static bool enter(struct shared *sh, uint32_t uid, bool unlimited)
{
	struct uid_count **link = find(sh, uid);
	if (!*link) {
		*link = calloc(1, sizeof(**link));
		if (!*link)
			return false;
		(*link)->uid = uid;
	}
	if (!unlimited && (*link)->n >= CLIENTS_PER_UID)
		return false;
	(*link)->n++;
	return true;
}

bool shared_enter(struct shared *sh, uint32_t uid, bool unlimited)
{
	uv_mutex_lock(&sh->lock);
	const bool entered = enter(sh, uid, unlimited);
	uv_mutex_unlock(&sh->lock);
	return entered;
}

void shared_leave(struct shared *sh, uint32_t uid)
{
	uv_mutex_lock(&sh->lock);
	struct uid_count **link = find(sh, uid), *c = *link;
	if (c && !--c->n) {
		*link = c->next;
		free(c);
	}
	uv_mutex_unlock(&sh->lock);
}
