/* memberships.c - see memberships.h. */
#include "server/io/memberships.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first place whose address is not below @mac. */
static uint32_t place_of(const struct memberships *m, struct feth_mac mac)
{
	uint32_t low = 0, high = m->n;
	while (low < high) {
		const uint32_t mid = low + (high - low) / 2;
		if (memcmp(m->mac[mid].b, mac.b, sizeof(mac.b)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool has(const struct memberships *m, struct feth_mac mac, uint32_t *at)
{
	*at = place_of(m, mac);
	return *at < m->n && mac_equal(m->mac[*at], mac);
}

/* What there will be; false: no room. */
static bool add_all(struct memberships *m, const struct group_want *want)
{
	for (uint32_t i = 0; i < want->n; i++) {
		uint32_t at;
		if (has(m, want->mac[i], &at))
			continue;
		if (m->n == PORT_GROUPS_MAX)
			return false;
		memmove(&m->mac[at + 1], &m->mac[at], (m->n - at) * sizeof(m->mac[0]));
		m->mac[at] = want->mac[i];
		m->n++;
	}
	return true;
}

/* Tells the network of those in @now that are not in @was; all or none. */
static int join_new(struct network *net, uint16_t port, const struct memberships *was,
	const struct memberships *now, struct err *err)
{
	uint32_t at;
	for (uint32_t i = 0; i < now->n; i++) {
		if (has(was, now->mac[i], &at))
			continue;
		const int rc = network_group_join(net, port, now->mac[i], err);
		if (!rc)
			continue;
		while (i--)
			if (!has(was, now->mac[i], &at))
				(void)network_group_leave(net, port, now->mac[i], NULL);
		return rc;
	}
	return 0;
}

int memberships_join(struct memberships **own, struct network *net, uint16_t port,
	const struct group_want *want, struct err *err)
{
	static const struct memberships none;
	const struct memberships *was = *own ? *own : &none;
	struct memberships *now = malloc(sizeof(*now));
	if (!now)
		return err_set(err, -ENOMEM, "groups: out of memory");
	*now = *was;
	int rc = 0;
	if (!add_all(now, want))
		rc = err_set(err, -ENOSPC,
			"groups: a port can be in %u at most; leave some, or join \"all\"",
			PORT_GROUPS_MAX);
	if (!rc)
		rc = join_new(net, port, was, now, err);
	if (rc < 0) {
		free(now);
		return rc;
	}
	now->all |= want->all;
	/* the first call of a port also ends its getting what nobody asked for */
	if (now->all != was->all || !*own)
		network_groups_all(net, port, now->all);
	free(*own);
	*own = now;
	return 0;
}

void memberships_leave(
	struct memberships *own, struct network *net, uint16_t port, const struct group_want *want)
{
	if (want->all && own->all) {
		own->all = false;
		network_groups_all(net, port, false);
	}
	for (uint32_t i = 0; i < want->n; i++) {
		uint32_t at;
		if (!has(own, want->mac[i], &at))
			continue;
		(void)network_group_leave(net, port, want->mac[i], NULL);
		memmove(&own->mac[at], &own->mac[at + 1], (--own->n - at) * sizeof(own->mac[0]));
	}
}
