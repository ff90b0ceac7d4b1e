/* hostside.c - see hostside.h. */
#include "server/io/hostside.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

static void on_poll(uv_poll_t *poll, int status, int events);

static uv_poll_t *poll_new(struct hostside *h, int fd)
{
	uv_poll_t *poll = calloc(1, sizeof(*poll));
	if (!poll || uv_poll_init(ioloop_uv(h->loop), poll, fd) < 0) {
		free(poll);
		return NULL;
	}
	poll->data = h;
	return poll;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void poll_free(uv_poll_t **poll)
{
	if (*poll)
		uv_close((uv_handle_t *)*poll, free_handle);
	*poll = NULL;
}

static void start(struct hostside *h)
{
	uv_poll_start(h->gathers ? h->gather_poll : h->poll, UV_READABLE, on_poll);
}

static void stop(struct hostside *h)
{
	uv_poll_stop(h->gathers ? h->gather_poll : h->poll);
}

static void rested(void *arg)
{
	struct hostside *h = arg;
	h->resting = false;
	start(h);
	if (h->ops->more && h->ops->more(h->host))
		on_poll(h->poll, 0, UV_READABLE);
}

/* Tells it the time, and counts what it could not deliver. */
static void tick(struct hostside *h)
{
	struct hostif_lost lost = { 0 };
	if (!h->host || !h->ops->tick)
		return;
	h->ops->tick(h->host, ioloop_now(h->loop), &lost);
	if (lost.frames)
		network_count(h->net, PORT_HOST, DROP_UNRESOLVED, lost.frames, lost.bytes);
}

void hostside_waits(struct hostside *h)
{
	if (h->resting || !h->poll)
		return;
	h->resting = true;
	stop(h);
	ioloop_defer(h->loop, &h->rest, rested, h);
}

/* Polls what recv() says is to be polled now. */
static void follow(struct hostside *h)
{
	const int fd = h->ops->gathers ? h->ops->gathers(h->host) : -1;
	if ((fd >= 0) == h->gathers)
		return;
	if (fd >= 0 && !h->gather_poll)
		h->gather_poll = poll_new(h, fd);
	if (!h->gather_poll)
		return; /* out of memory: as before */
	stop(h);
	h->gathers = fd >= 0;
	if (!h->resting)
		start(h);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct hostside *h = poll->data;
	struct frame frames[HOSTIF_BATCH];
	(void)events;
	tick(h);
	int n = h->ops->recv(h->host, frames, HOSTIF_BATCH, ioloop_buf(h->loop), IOLOOP_BUF);
	if (n > 0 && h->ops->offload)
		n = (int)network_judge(h->net, PORT_HOST, frames, (unsigned)n);
	if (n > 0) {
		ioloop_batch(h->loop);
		network_input(h->net, PORT_HOST, frames, (unsigned)n, ioloop_now(h->loop));
		network_flush(h->net);
		if (h->resting) {
			/* the poll was stopped: this comes of events seen before */
		} else if (ioloop_overran(h->loop)) {
			h->resting = true;
			stop(h); /* the kernel keeps what it has room for */
			ioloop_hold(h->loop, &h->rest, rested, h);
		} else if (h->ops->more && h->ops->more(h->host)) {
			h->resting = true; /* others come first, then the rest of it */
			stop(h);
			ioloop_defer(h->loop, &h->rest, rested, h);
		}
	} else if (n == -ENODEV || n == -ENXIO || n == -EBADF) {
		hostside_close(h); /* gone; main makes it anew, after it has heard of it: once */
		h->lost(h->ctx);
		return;
	}
	if (h->ops->done)
		h->ops->done(h->host);
	follow(h);
	if (status < 0 &&
		!h->resting) /* libuv stops at POLLERR; recv() took the error, such as ENETDOWN */
		start(h);
}

void hostside_close(struct hostside *h)
{
	network_set_host(h->net, NULL, NULL);
	if (h->resting)
		ioloop_cancel(h->loop, &h->rest);
	h->resting = false;
	poll_free(&h->poll);
	poll_free(&h->gather_poll);
	h->gathers = false;
	if (h->host)
		h->ops->close(h->host);
	h->host = NULL;
}

int hostside_open(struct hostside *h, const struct hostif_ops *ops, const struct hostif_made *made,
	const struct hostif_spec *spec, struct err *err)
{
	h->ops = ops;
	int rc = ops->open(&h->host, made, spec, err);
	if (rc < 0)
		return rc;
	const int fd = ops->fd(h->host);
	if (fd >= 0) {
		h->poll = poll_new(h, fd);
		if (!h->poll) {
			hostside_close(h);
			return err_set(
				err, -EIO, "%s: cannot wait for its host side", spec->network);
		}
		start(h);
	}
	network_set_host(h->net, ops, h->host);
	return 0;
}

void hostside_tick(struct hostside *h)
{
	if (!h->host)
		return;
	if (h->ops->missed)
		network_count(h->net, PORT_HOST, DROP_MISSED, h->ops->missed(h->host), 0);
	tick(h);
	if (h->ops->tick && h->ops->more(h->host))
		hostside_waits(h);
}

void hostside_changed(struct hostside *h, const struct hostif_spec *spec)
{
	if (h->host && h->ops->changed)
		h->ops->changed(h->host, spec);
}
