/* ioloop.c - see ioloop.h. */
#include "server/io/ioloop.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <uv.h>

#include "server/io/inbox.h"
#include "server/io/shared.h"

struct ioloop {
	uv_loop_t *uv;        /* borrowed */
	uv_prepare_t prepare; /* before the loop waits */
	uv_check_t check;     /* after it waited */
	uv_timer_t pace;      /* runs while some are held */
	uv_timer_t tidy;      /* runs when streams have closed */
	uint8_t *buf;         /* owned, IOLOOP_BUF bytes */
	struct egress *spare;
	struct egress *shared_eg;
	unsigned n_egress; /* made, lent or spare */
	struct ioloop_later *later, **later_end;
	struct ioloop_later *running; /* what run_later() has in hand */
	uv_idle_t idle; /* runs while some are left for the next turn, so that it comes at once */
	struct ioloop_later *held;
	unsigned flushed, behind; /* ports that the present batch went to */
	struct block_pool rpc_pool;
	struct daemon_counters counters;
	struct inbox *inbox;   /* owned */
	struct shared *shared; /* borrowed */
};

static void on_idle(uv_idle_t *h)
{
	(void)h;
}

/* Those that were there when it began; what they add comes in the next turn. */
static void run_later(struct ioloop *loop)
{
	loop->running = loop->later;
	loop->later = NULL;
	loop->later_end = &loop->later;
	while (loop->running) {
		struct ioloop_later *l = loop->running;
		loop->running = l->next;
		l->queued = false;
		l->fn(l->arg);
	}
	if (loop->later)
		uv_idle_start(&loop->idle, on_idle);
	else
		uv_idle_stop(&loop->idle);
}

static void on_prepare(uv_prepare_t *h)
{
	run_later(h->data);
}

static void on_check(uv_check_t *h)
{
	run_later(h->data);
}

struct ioloop *ioloop_new(void *uv, struct shared *shared)
{
	struct ioloop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return NULL;
	loop->buf = malloc(IOLOOP_BUF);
	loop->shared_eg = malloc(sizeof(*loop->shared_eg));
	loop->inbox = loop->buf && loop->shared_eg ? inbox_new(uv) : NULL;
	if (!loop->inbox) {
		free(loop->buf);
		free(loop->shared_eg);
		free(loop);
		return NULL;
	}
	loop->uv = uv;
	loop->shared = shared;
	loop->later_end = &loop->later;
	block_pool_init(&loop->rpc_pool, SIZE_MAX); /* each peer's queue has its own limit */
	uv_idle_init(loop->uv, &loop->idle);
	uv_timer_init(loop->uv, &loop->pace);
	uv_timer_init(loop->uv, &loop->tidy);
	uv_prepare_init(loop->uv, &loop->prepare);
	uv_check_init(loop->uv, &loop->check);
	loop->pace.data = loop->tidy.data = loop->prepare.data = loop->check.data = loop;
	uv_prepare_start(&loop->prepare, on_prepare);
	uv_check_start(&loop->check, on_check);
	uv_unref((uv_handle_t *)&loop->pace);
	uv_unref((uv_handle_t *)&loop->tidy);
	uv_unref((uv_handle_t *)&loop->prepare);
	uv_unref((uv_handle_t *)&loop->check);
	return loop;
}

void ioloop_close(struct ioloop *loop)
{
	while (loop->later)
		run_later(loop);
	inbox_close(loop->inbox);
	uv_close((uv_handle_t *)&loop->idle, NULL);
	uv_close((uv_handle_t *)&loop->pace, NULL);
	uv_close((uv_handle_t *)&loop->tidy, NULL);
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->check, NULL);
}

static void free_spares(struct ioloop *loop)
{
	while (loop->spare) {
		struct egress *eg = loop->spare;
		loop->spare = eg->next;
		loop->n_egress--;
		free(eg);
	}
}

static void on_tidy(uv_timer_t *timer)
{
	struct ioloop *loop = timer->data;
	uint8_t *untouched = malloc(IOLOOP_BUF); /* nobody has a view into the old one now */
	if (untouched) {
		free(loop->buf);
		loop->buf = untouched;
	}
	free_spares(loop);
#ifdef __GLIBC__
	malloc_trim(0); /* by itself glibc gives back what is at the end of its heap only */
#endif
}

void ioloop_tidy(struct ioloop *loop)
{
	if (!uv_is_active((uv_handle_t *)&loop->tidy) && !uv_is_closing((uv_handle_t *)&loop->tidy))
		uv_timer_start(&loop->tidy, on_tidy, IOLOOP_TIDY_MS, 0);
}

void ioloop_free(struct ioloop *loop)
{
	if (!loop)
		return;
	free_spares(loop);
	block_pool_fini(&loop->rpc_pool);
	inbox_free(loop->inbox);
	free(loop->shared_eg);
	free(loop->buf);
	free(loop);
}

void *ioloop_uv(struct ioloop *loop)
{
	return loop->uv;
}

uint64_t ioloop_now(struct ioloop *loop)
{
	return uv_now(loop->uv);
}

uint8_t *ioloop_buf(struct ioloop *loop)
{
	return loop->buf;
}

struct block_pool *ioloop_rpc_pool(struct ioloop *loop)
{
	return &loop->rpc_pool;
}

struct shared *ioloop_shared(struct ioloop *loop)
{
	return loop->shared;
}

void ioloop_post(struct ioloop *loop, struct message *msg)
{
	inbox_post(loop->inbox, msg);
}

void ioloop_take(struct ioloop *loop)
{
	inbox_take(loop->inbox);
}

struct daemon_counters *ioloop_counters(struct ioloop *loop)
{
	return &loop->counters;
}

struct egress *ioloop_egress(struct ioloop *loop)
{
	struct egress *eg = loop->spare;
	if (eg) {
		loop->spare = eg->next;
	} else if (loop->n_egress < IOLOOP_EGRESS) {
		eg = malloc(sizeof(*eg));
		loop->n_egress += eg != NULL;
	}
	if (eg)
		egress_reset(eg);
	return eg;
}

struct egress *ioloop_egress_shared(struct ioloop *loop)
{
	egress_reset(loop->shared_eg);
	return loop->shared_eg;
}

void ioloop_egress_return(struct ioloop *loop, struct egress *eg)
{
	eg->next = loop->spare;
	loop->spare = eg;
}

void ioloop_defer(struct ioloop *loop, struct ioloop_later *later, void (*fn)(void *arg), void *arg)
{
	if (later->queued)
		return;
	*later = (struct ioloop_later){ .fn = fn, .arg = arg, .queued = true };
	*loop->later_end = later;
	loop->later_end = &later->next;
}

void ioloop_batch(struct ioloop *loop)
{
	loop->flushed = loop->behind = 0;
}

void ioloop_flushed(struct ioloop *loop, bool behind)
{
	loop->flushed++;
	loop->behind += behind;
}

bool ioloop_overran(const struct ioloop *loop)
{
	return loop->behind && loop->behind == loop->flushed;
}

static void on_pace(uv_timer_t *timer)
{
	ioloop_release(timer->data);
}

void ioloop_hold(struct ioloop *loop, struct ioloop_later *later, void (*fn)(void *arg), void *arg)
{
	if (!loop->held)
		uv_timer_start(&loop->pace, on_pace, IOLOOP_PACE_MS, 0);
	*later = (struct ioloop_later){ .next = loop->held, .fn = fn, .arg = arg };
	loop->held = later;
}

/* Takes @later out of a list. Returns the link that was to it, or NULL if it is not there. */
static struct ioloop_later **unlink_later(struct ioloop_later **link, struct ioloop_later *later)
{
	while (*link && *link != later)
		link = &(*link)->next;
	if (!*link)
		return NULL;
	*link = later->next;
	later->queued = false;
	return link;
}

void ioloop_cancel(struct ioloop *loop, struct ioloop_later *later)
{
	if (unlink_later(&loop->held, later) || unlink_later(&loop->running, later))
		return;
	struct ioloop_later **link = unlink_later(&loop->later, later);
	if (link && !*link)
		loop->later_end = link;
}

void ioloop_release(struct ioloop *loop)
{
	while (loop->held) {
		struct ioloop_later *l = loop->held;
		loop->held = l->next;
		ioloop_defer(loop, l, l->fn, l->arg);
	}
}
