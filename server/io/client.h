/* client.h - the list of live connections of one acceptor, whatever they speak. */
#ifndef SERVER_IO_CLIENT_H
#define SERVER_IO_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/access.h"

struct client {
	struct client *next, **link;
	uint32_t uid;
	struct peer *who; /* owned: who it is, to be judged again; see access.h */
	/* Asks it to go; @gone: its network is being removed. It leaves the list when it is closed.
	 */
	void (*close)(struct client *client, bool gone);
	/* What it may do on @network is @rights now; ends what it may no longer do. */
	void (*judged)(struct client *client, const char *network, unsigned rights);
};

struct client_list {
	struct client *first;
	unsigned n;
	size_t shared;            /* bytes of memory that they share with us (port_shm.h) */
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

/* The rules of a network have changed. */
static inline void clients_judge(struct client_list *list, const struct access *access,
	const char *network, const struct access_rules *rules)
{
	for (struct client *c = list->first, *next; c; c = next) {
		next = c->next;
		c->judged(c, network, access_rights(access, c->who, rules));
	}
}

#endif
