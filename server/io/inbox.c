/* inbox.c - see inbox.h. */
#include "server/io/inbox.h"

#include <stdlib.h>
#include <uv.h>

struct inbox {
	uv_async_t async;
	uv_mutex_t lock; /* of the list */
	struct message *first, **end;
	struct message *taken, **taken_end; /* the loop's: to be carried out next */
};

/* Those that were there when it began: whoever answers each message by another must not keep the
 * loop from its descriptors. One that takes itself carries out the rest of those before its own. */
void inbox_take(struct inbox *in)
{
	uv_mutex_lock(&in->lock);
	if (in->first) {
		*in->taken_end = in->first;
		in->taken_end = in->end;
	}
	in->first = NULL;
	in->end = &in->first;
	uv_mutex_unlock(&in->lock);
	while (in->taken) {
		struct message *msg = in->taken;
		in->taken = msg->next;
		if (!in->taken)
			in->taken_end = &in->taken;
		msg->fn(msg->arg);
	}
}

static void on_async(uv_async_t *async)
{
	inbox_take(async->data);
}

struct inbox *inbox_new(void *uv)
{
	struct inbox *in = calloc(1, sizeof(*in));
	if (!in)
		return NULL;
	in->end = &in->first;
	in->taken_end = &in->taken;
	in->async.data = in;
	if (uv_mutex_init(&in->lock) < 0) {
		free(in);
		return NULL;
	}
	if (uv_async_init(uv, &in->async, on_async) < 0) {
		uv_mutex_destroy(&in->lock);
		free(in);
		return NULL;
	}
	return in;
}

/* The loop is woken with the lock held: a message that tells it to end is not seen before its
 * sender is through with the handle. */
void inbox_post(struct inbox *in, struct message *msg)
{
	msg->next = NULL;
	uv_mutex_lock(&in->lock);
	if (!in->first)
		uv_async_send(&in->async);
	*in->end = msg;
	in->end = &msg->next;
	uv_mutex_unlock(&in->lock);
}

void inbox_close(struct inbox *in)
{
	inbox_take(in);
	uv_close((uv_handle_t *)&in->async, NULL);
}

void inbox_free(struct inbox *in)
{
	uv_mutex_destroy(&in->lock);
	free(in);
}
