/* news.c - see news.h. */
#include "server/core/news.h"

uint64_t news_object(const struct news_item *item)
{
	switch (item->kind) {
	case NEWS_PORT_ATTACHED:
	case NEWS_PORT_CHANGED:
	case NEWS_PORT_DETACHED:
		return item->port.id;
	case NEWS_GROUP:
		return mac_key_at(item->group.mac.b);
	case NEWS_MOVED:
	case NEWS_DUPLICATE:
		return mac_key_at(item->moved.mac.b);
	}
	return 0;
}

static bool same(const struct news_item *a, const struct news_item *b)
{
	return a->kind == b->kind && news_object(a) == news_object(b);
}

bool news_put(struct news *news, const struct news_item *item)
{
	unsigned i = 0;
	while (i < news->n && !same(&news->items[i], item))
		i++;
	if (i == NEWS_MAX)
		return false;
	if (i < news->n)
		memmove(&news->items[i], &news->items[i + 1],
			(--news->n - i) * sizeof(news->items[0]));
	news->items[news->n++] = *item;
	return true;
}

bool news_moved_due(struct news *news, struct feth_mac mac, uint64_t now_ms)
{
	unsigned oldest = 0;
	unsigned i = 0;
	for (; i < news->n_moved && !mac_equal(news->moved[i].mac, mac); i++)
		if (news->moved[i].told_ms < news->moved[oldest].told_ms)
			oldest = i;
	if (i == NEWS_MOVED_MAX) /* the place of one that may be forgotten */
		i = oldest;
	if (i < news->n_moved && now_ms - news->moved[i].told_ms < NEWS_MOVED_MS)
		return false;
	if (i == news->n_moved)
		news->n_moved++;
	news->moved[i].mac = mac;
	news->moved[i].told_ms = now_ms;
	return true;
}
