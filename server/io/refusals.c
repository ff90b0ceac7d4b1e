/* refusals.c - see refusals.h. */
#include "server/io/refusals.h"

#include <stdlib.h>
#include <uv.h>

#include "server/base/log.h"
#include "server/core/audit.h"

struct refusals {
	struct audit audit;
	struct daemon_counters *counters; /* borrowed */
	uv_timer_t timer;                 /* runs while a period does */
};

static void period_ends(struct refusals *r)
{
	for (unsigned i = 0; i < r->audit.n; i++) {
		const struct audit_uid *u = &r->audit.uids[i];
		if (u->left_out)
			log_warn("access", "denied uid=%u%s suppressed=%llu", (unsigned)u->uid,
				audit_shared(&r->audit, i) ? " and others" : "",
				(unsigned long long)u->left_out);
	}
	r->audit = (struct audit){ 0 };
}

static void on_timer(uv_timer_t *timer)
{
	period_ends(timer->data);
}

struct refusals *refusals_new(void *uv, struct daemon_counters *counters)
{
	struct refusals *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->counters = counters;
	uv_timer_init(uv, &r->timer);
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
	free(r);
}

void refusals_put(struct refusals *r, const char *method, const char *network, uint32_t uid,
	uint32_t pid, const char *socket)
{
	r->counters->denied++;
	if (!uv_is_active((uv_handle_t *)&r->timer))
		uv_timer_start(&r->timer, on_timer, REFUSALS_MS, 0);
	if (audit_admit(&r->audit, uid))
		log_warn("access", "denied method=%s net=%s uid=%u pid=%u socket=%s", method,
			network, (unsigned)uid, (unsigned)pid, socket);
}
