/* groups.c - see groups.h. */
#include "server/core/groups.h"

#include <string.h>

static int compare(struct feth_mac a, struct feth_mac b)
{
	return memcmp(a.b, b.b, sizeof(a.b));
}

/* The first place whose MAC is not below @mac. */
static unsigned place_of(const struct groups *g, struct feth_mac mac)
{
	unsigned low = 0, high = g->n;
	while (low < high) {
		const unsigned mid = low + (high - low) / 2;
		if (compare(g->mac[mid], mac) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool groups_has(const struct groups *g, struct feth_mac mac)
{
	const unsigned at = place_of(g, mac);
	return at < g->n && !compare(g->mac[at], mac);
}

bool groups_put(struct groups *g, struct feth_mac mac)
{
	const unsigned at = place_of(g, mac);
	if (at < g->n && !compare(g->mac[at], mac))
		return false;
	g->total++;
	if (at == GROUPS_MAX)
		return false;
	if (g->n < GROUPS_MAX)
		g->n++; /* else the highest makes room */
	memmove(&g->mac[at + 1], &g->mac[at], (g->n - 1 - at) * sizeof(mac));
	g->mac[at] = mac;
	return true;
}

int groups_give(const struct groups *g, struct feth_mac *out, unsigned max)
{
	for (unsigned i = 0; i < g->n && i < max; i++)
		out[i] = g->mac[i];
	return (int)g->total;
}

int groups_read(struct groups *out, const struct hostif_ops *ops, const char *host)
{
	struct groups g = { 0 };
	const int n = ops->groups(host, g.mac, GROUPS_MAX);
	if (n < 0)
		return n;
	g.total = (unsigned)n;
	g.n = g.total < GROUPS_MAX ? g.total : GROUPS_MAX;
	*out = g;
	return 0;
}

static void append(struct groups *g, struct feth_mac mac)
{
	g->mac[g->n++] = mac;
	g->total++;
}

void groups_compare(const struct groups *was, const struct groups *is, struct groups *out_joined,
	struct groups *out_left)
{
	unsigned w = 0, i = 0;
	out_joined->n = out_joined->total = 0;
	out_left->n = out_left->total = 0;
	while (w < was->n || i < is->n) {
		int order = w == was->n ? 1 : -1;
		if (w < was->n && i < is->n)
			order = compare(was->mac[w], is->mac[i]);
		if (order < 0)
			append(out_left, was->mac[w]);
		if (order > 0)
			append(out_joined, is->mac[i]);
		w += order <= 0;
		i += order >= 0;
	}
}
