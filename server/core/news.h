/* news.h - what has happened on a network since it was last told: of each object the newest.
 *
 * Things happen in the middle of a batch of frames, where nobody may write to a socket. So they are
 * noted here, at no more cost than a look through 64 entries, and told when the batch is over.
 *
 * Pure: no I/O, no clock, no allocation. */
#ifndef SERVER_CORE_NEWS_H
#define SERVER_CORE_NEWS_H

#include "server/core/command.h"

#define NEWS_MAX 64u /* kept at once; whoever has more tells them first */
/* An address that moves is told of once in so long: one that two stations share moves with every
 * frame they send. */
#define NEWS_MOVED_MS 1000u
/* Addresses told of within NEWS_MOVED_MS: who invents more of them than this is not worth more
 * words; stats.get counts them all. */
#define NEWS_MOVED_MAX 64u

enum news_kind {
	NEWS_PORT_ATTACHED,
	NEWS_PORT_CHANGED, /* declared, or its rules are others */
	NEWS_PORT_DETACHED,
	NEWS_GROUP,
	NEWS_MOVED,
	NEWS_DUPLICATE,
};

struct news_item {
	enum news_kind kind;
	union {
		struct port_info port; /* after DETACHED: it is no more, unless declared */
		struct {
			struct feth_mac mac;
			bool joined;
			uint16_t only; /* its one member; PORT_NONE */
		} group;
		struct {
			struct feth_mac mac;
			uint16_t from, to;
			char from_name[FETH_NAME_MAX + 1], to_name[FETH_NAME_MAX + 1];
			struct feth_mac own; /* duplicate: what the station at `to` could have */
		} moved;
	};
};

/* All zero is empty. */
struct news {
	struct news_item items[NEWS_MAX];
	unsigned n;
	struct {
		struct feth_mac mac;
		uint64_t told_ms;
	} moved[NEWS_MOVED_MAX];
	unsigned n_moved;
};

/* Notes @item behind all others, instead of an older one that says the same of the same port, group
 * or address. So what is told last of a port is true of it. False: no room. */
bool news_put(struct news *news, const struct news_item *item);

/* Whether it is time to tell that @mac has moved; if so, it is taken as told at @now_ms. */
bool news_moved_due(struct news *news, struct feth_mac mac, uint64_t now_ms);

/* The object an item is about: a port's number, or an address as a number. */
uint64_t news_object(const struct news_item *item);

#endif
