/* listener.c - see listener.h. */
#include "server/io/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "server/base/log.h"
#include "server/priv/sock.h"

struct listener {
	struct ioloop *loop;
	uv_poll_t poll;
	uv_timer_t timer; /* while accepting is paused */
	int fd;           /* owned */
	unsigned handles; /* not yet closed */
	const struct listener_ops *ops;
	void *ctx;
};

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_resume(uv_timer_t *timer)
{
	struct listener *l = timer->data;
	uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void pause_accept(struct listener *l)
{
	log_warn("listener", "out of descriptors: accepting pauses for %u ms; raise ulimit -n",
		LISTENER_PAUSE_MS);
	uv_poll_stop(&l->poll);
	uv_timer_start(&l->timer, on_resume, LISTENER_PAUSE_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;
	(void)status;
	(void)events;
	for (unsigned i = 0; i < LISTENER_BATCH && l->fd >= 0; i++) {
		const int fd = sock_accept(l->fd);
		if (fd < 0) {
			if (fd == -EMFILE || fd == -ENFILE)
				pause_accept(l);
			return;
		}
		struct peer peer;
		if (peer_of(fd, &peer) < 0) {
			close(fd);
			continue;
		}
		ioloop_counters(l->loop)->accepted++;
		l->ops->accepted(l->ctx, fd, &peer);
	}
}

static void on_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;
	if (--l->handles)
		return;
	const struct listener_ops *ops = l->ops;
	void *ctx = l->ctx;
	free(l);
	ops->closed(ctx);
}

int listener_open(struct listener **out, struct ioloop *loop, int fd,
	const struct listener_ops *ops, void *ctx)
{
	struct listener *l = calloc(1, sizeof(*l));
	int rc = l ? uv_poll_init(ioloop_uv(loop), &l->poll, fd) : -ENOMEM;
	if (rc < 0) {
		free(l);
		close(fd);
		return rc;
	}
	uv_timer_init(ioloop_uv(loop), &l->timer);
	l->loop = loop;
	l->fd = fd;
	l->handles = 2;
	l->ops = ops;
	l->ctx = ctx;
	l->poll.data = l->timer.data = l;
	uv_poll_start(&l->poll, UV_READABLE, on_readable);
	*out = l;
	return 0;
}

void listener_wait(struct listener *l)
{
	uv_poll_stop(&l->poll);
}

void listener_go(struct listener *l)
{
	uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

void listener_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	uv_close((uv_handle_t *)&l->poll, on_closed); /* while the number is ours */
	uv_close((uv_handle_t *)&l->timer, on_closed);
	close(l->fd);
	l->fd = -1;
}
