/* snapshot.c - see snapshot.h. */
#include "clients/ctl/snapshot.h"

#include <string.h>

const struct snap_network *snapshot_network(const struct snapshot *s, const char *name)
{
	for (size_t i = 0; s && i < s->n_networks; i++)
		if (!strcmp(s->networks[i].name, name))
			return &s->networks[i];
	return NULL;
}

const struct snap_port *snapshot_port(const struct snap_network *net, uint32_t id, const char *name)
{
	size_t lo = 0, hi = net ? net->n_ports : 0;
	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		const struct snap_port *p = &net->ports[mid];
		if (p->id == id)
			return strcmp(p->name, name) ? NULL : p;
		if (p->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

uint64_t snap_count_of(const struct snap_counts *counts, const char *name)
{
	for (size_t i = 0; i < counts->n; i++)
		if (!strcmp(counts->items[i].name, name))
			return counts->items[i].n;
	return 0;
}

uint64_t snap_counts_sum(const struct snap_counts *counts)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < counts->n; i++)
		sum += counts->items[i].n;
	return sum;
}
