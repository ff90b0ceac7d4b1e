/* client.h - the list of live connections of one acceptor, whatever they speak. */
#ifndef SERVER_IO_CLIENT_H
#define SERVER_IO_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
	struct client *next, **link;
	uint32_t uid;
	/* Asks it to go; @gone: its network is being removed. It leaves the list when it is closed.
	 */
	void (*close)(struct client *client, bool gone);
};

struct client_list {
	struct client *first;
	unsigned n;
	void (*empty)(void *ctx); /* the last one has left; NULL to not be told */
	void *ctx;
};

static inline void client_join(struct client_list *list, struct client *c)
{
	c->next = list->first;
	c->link = &list->first;
	if (c->next)
		c->next->link = &c->next;
	list->first = c;
	list->n++;
}

static inline void client_leave(struct client_list *list, struct client *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	if (!--list->n && list->empty)
		list->empty(list->ctx);
}

static inline void clients_close(struct client_list *list, bool gone)
{
	for (struct client *c = list->first, *next; c; c = next) {
		next = c->next;
		c->close(c, gone);
	}
}

#endif
