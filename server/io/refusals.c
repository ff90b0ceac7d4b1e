/* refusals.c - see refusals.h. */
#include "server/io/refusals.h"

#include <stdlib.h>
#include <uv.h>

#include "server/base/log.h"
#include "server/core/audit.h"
#include "server/io/ioloop.h"
#include "server/io/shared.h"

struct refusals {
	struct ioloop *main_loop; /* borrowed */
	uv_timer_t timer;         /* main's; runs while a period does */
	struct message begun;     /* to main: it does */
	uv_mutex_t lock;          /* of the rest */
	bool running;
	struct audit audit;
};

static void period_ends(struct refusals *r)
{
	uv_mutex_lock(&r->lock);
	const struct audit audit = r->audit;
	r->audit = (struct audit){ 0 };
	r->running = false;
	uv_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < audit.n; i++) {
		const struct audit_uid *u = &audit.uids[i];
		if (u->left_out)
			log_warn("access", "denied uid=%u%s suppressed=%llu", (unsigned)u->uid,
				audit_shared(&audit, i) ? " and others" : "",
				(unsigned long long)u->left_out);
	}
}

static void on_timer(uv_timer_t *timer)
{
	period_ends(timer->data);
}

static void on_begun(void *arg)
{
	struct refusals *r = arg;
	if (!uv_is_closing((uv_handle_t *)&r->timer))
		uv_timer_start(&r->timer, on_timer, REFUSALS_MS, 0);
}

struct refusals *refusals_new(struct ioloop *main_loop)
{
	struct refusals *r = calloc(1, sizeof(*r));
	if (r && uv_mutex_init(&r->lock) < 0) {
		free(r);
		return NULL;
	}
	if (!r)
		return NULL;
	r->main_loop = main_loop;
	r->begun = (struct message){ .fn = on_begun, .arg = r };
	uv_timer_init(ioloop_uv(main_loop), &r->timer);
	uv_unref((uv_handle_t *)&r->timer);
	r->timer.data = r;
	return r;
}

void refusals_close(struct refusals *r)
{
	period_ends(r);
	uv_close((uv_handle_t *)&r->timer, NULL);
}

void refusals_free(struct refusals *r)
{
	if (!r)
		return;
	uv_mutex_destroy(&r->lock);
	free(r);
}

bool refusals_admit(struct ioloop *loop, uint32_t uid)
{
	struct refusals *r = shared_refusals(ioloop_shared(loop));
	uv_mutex_lock(&r->lock);
	const bool write = audit_admit(&r->audit, uid);
	if (!r->running) /* the message of the period before has long been carried out */
		ioloop_post(r->main_loop, &r->begun);
	r->running = true;
	uv_mutex_unlock(&r->lock);
	return write;
}

void refusals_put(struct ioloop *loop, const char *method, const char *network, uint32_t uid,
	uint32_t pid, const char *socket)
{
	ioloop_counters(loop)->denied++;
	if (refusals_admit(loop, uid))
		log_warn("access", "denied method=%s net=%s uid=%u pid=%u socket=%s", method,
			network, (unsigned)uid, (unsigned)pid, socket);
}
