/* shared.c - see shared.h. */
#include "server/io/shared.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define STACK_BYTES (256u * 1024u) /* of a thread that closes: sanitizers want some */

/* Descriptors on their way to be closed. */
struct doomed {
	struct doomed *next;
	unsigned n;
	int fds[];
};

/* How many connections a user has, and what waits for the thread that closes his descriptors. */
struct uid_count {
	struct uid_count *next;
	struct shared *sh;
	uint32_t uid;
	unsigned n;
	struct doomed *first, **end;
	bool closing; /* there is that thread */
};

struct shared {
	struct ioloop *main_loop;
	struct refusals *refusals;
	uv_mutex_t lock; /* of what follows */
	struct uid_count *uids;
	unsigned closing; /* threads, which may outlive the daemon: the last frees this */
	bool freed;
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

static void destroy(struct shared *sh)
{
	while (sh->uids) {
		struct uid_count *c = sh->uids;
		sh->uids = c->next;
		while (c->first) { /* for want of a thread; the system closes them */
			struct doomed *d = c->first;
			c->first = d->next;
			free(d);
		}
		free(c);
	}
	uv_mutex_destroy(&sh->lock);
	free(sh);
}

void shared_free(struct shared *sh)
{
	if (!sh)
		return;
	uv_mutex_lock(&sh->lock);
	sh->freed = true;
	const bool last = !sh->closing;
	uv_mutex_unlock(&sh->lock);
	if (last)
		destroy(sh);
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

/* The count of @uid, which is made if there is none. NULL without memory. */
static struct uid_count *count_of(struct shared *sh, uint32_t uid)
{
	struct uid_count **link = find(sh, uid), *c = *link;
	if (c)
		return c;
	c = *link = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->sh = sh;
	c->uid = uid;
	c->end = &c->first;
	return c;
}

static void leave(struct shared *sh, uint32_t uid, unsigned n)
{
	struct uid_count **link = find(sh, uid), *c = *link;
	if (!c)
		return;
	c->n -= n;
	if (c->n || c->closing)
		return;
	*link = c->next;
	free(c);
}

bool shared_enter(struct shared *sh, uint32_t uid, bool unlimited)
{
	uv_mutex_lock(&sh->lock);
	struct uid_count *c = count_of(sh, uid);
	const bool entered = c && (unlimited || c->n < CLIENTS_PER_UID);
	if (entered)
		c->n++;
	uv_mutex_unlock(&sh->lock);
	return entered;
}

void shared_leave(struct shared *sh, uint32_t uid)
{
	uv_mutex_lock(&sh->lock);
	leave(sh, uid, 1);
	uv_mutex_unlock(&sh->lock);
}

/* The thread: all that there is of a user, and what comes meanwhile. */
static void *close_all(void *arg)
{
	struct uid_count *c = arg;
	struct shared *sh = c->sh;
	uv_mutex_lock(&sh->lock);
	for (struct doomed *d; (d = c->first);) {
		c->first = d->next;
		if (!c->first)
			c->end = &c->first;
		uv_mutex_unlock(&sh->lock);
		for (unsigned i = 0; i < d->n; i++)
			close(d->fds[i]);
		uv_mutex_lock(&sh->lock);
		c->n -= d->n;
		free(d);
	}
	c->closing = false;
	leave(sh, c->uid, 0);
	const bool last = !--sh->closing && sh->freed;
	uv_mutex_unlock(&sh->lock);
	if (last)
		destroy(sh);
	return NULL;
}

/* Detached, and without signals, which are main's. */
static bool start_thread(struct uid_count *c)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	if (pthread_attr_init(&attr))
		return false;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	const int rc = pthread_create(&thread, &attr, close_all, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return !rc;
}

/* Where no thread can be had they wait for the next time. */
static bool close_later(struct shared *sh, uint32_t uid, struct doomed *d)
{
	struct uid_count *c = count_of(sh, uid);
	if (!c) {
		free(d);
		return false;
	}
	c->n += d->n;
	*c->end = d;
	c->end = &d->next;
	if (!c->closing && start_thread(c)) {
		c->closing = true;
		sh->closing++;
	}
	return c->n <= CLIENTS_PER_UID;
}

bool shared_close(struct shared *sh, uint32_t uid, const void *fds, unsigned n)
{
	struct doomed *d = malloc(sizeof(*d) + n * sizeof(int));
	if (!d)
		return false; /* better than to hold the loop */
	d->next = NULL;
	d->n = n;
	memcpy(d->fds, fds, n * sizeof(int));
	uv_mutex_lock(&sh->lock);
	const bool within = close_later(sh, uid, d);
	uv_mutex_unlock(&sh->lock);
	return within;
}
