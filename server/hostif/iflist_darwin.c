/* iflist_darwin.c - see iflist_darwin.h. XNU rtsock.c:sysctl_iflist2(). */
#include "server/hostif/iflist_darwin.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/groups.h"
#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"

#define LIST_TRIES 8u
#define LIST_MAX (16u * 1024 * 1024) /* bytes; an interface takes less than 10 KiB */
#define MIB_N 6u

/* Asks for the size, then for the list. */
static int get(struct iflist *out, const int mib[MIB_N])
{
	size_t len = 0;
	int rc = darwin_sys.sysctl(mib, MIB_N, NULL, &len);
	if (rc < 0)
		return rc;
	if (len > LIST_MAX)
		return -DW_ENOMEM;
	len += len / 4 + 1024;
	uint8_t *data = malloc(len);
	if (!data)
		return -DW_ENOMEM;
	rc = darwin_sys.sysctl(mib, MIB_N, data, &len);
	if (rc < 0)
		free(data);
	else
		*out = (struct iflist){ .data = data, .len = len };
	return rc;
}

/* The list may grow between those two calls, which is ENOMEM; and within either, since the kernel
 * goes through it twice itself, which is ENOBUFS. */
int iflist_get(struct iflist *out, int family, unsigned index)
{
	const int mib[MIB_N] = { DW_CTL_NET, DW_AF_ROUTE, 0, family, DW_NET_RT_IFLIST2,
		(int)index };
	int rc = -DW_ENOMEM;
	*out = (struct iflist){ 0 };
	for (unsigned tries = 0; tries < LIST_TRIES && (rc == -DW_ENOMEM || rc == -DW_ENOBUFS);
		tries++)
		rc = get(out, mib);
	return rc < 0 ? rc : 0;
}

void iflist_free(struct iflist *list)
{
	free(list->data);
	*list = (struct iflist){ 0 };
}

static bool next_link(struct route_reader *r, struct route_record *out)
{
	while (route_next(r, false, out))
		if (out->kind == ROUTE_LINK)
			return true;
	return false;
}

bool iflist_find(const struct iflist *list, const char *name, struct route_record *out)
{
	struct route_reader r = { list->data, list->len };
	struct route_record rec;
	while (next_link(&r, &rec))
		if (!strcmp(rec.name, name)) {
			*out = rec;
			return true;
		}
	return false;
}

bool iflist_find_index(const struct iflist *list, uint16_t index, struct route_record *out)
{
	struct route_reader r = { list->data, list->len };
	struct route_record rec;
	while (next_link(&r, &rec))
		if (rec.index == index) {
			*out = rec;
			return true;
		}
	return false;
}

/* An IP membership is in the list twice: with its IP address, and as the link address that comes of
 * it. The latter, in a record of its own, is what counts; a group that was joined as such has that
 * one only. */
static void collect(const struct iflist *list, uint16_t index, struct groups *out)
{
	struct route_reader r = { list->data, list->len };
	struct route_record rec;
	while (route_next(&r, false, &rec))
		if (rec.kind == ROUTE_GROUP && rec.index == index && rec.has_mac &&
			groups_is(rec.mac))
			groups_put(out, rec.mac);
}

int iflist_groups(const char *name, struct feth_mac *out, unsigned max)
{
	struct iflist list;
	struct route_record link;
	struct groups groups = { 0 };
	const int rc = iflist_get(&list, DW_AF_LINK, 0);
	if (rc < 0)
		return rc;
	int failed = 0;
	if (!iflist_find(&list, name, &link))
		failed = -DW_ENXIO;
	else if (link.flags & (DW_IFF_PROMISC | DW_IFF_ALLMULTI))
		failed = -DW_EOPNOTSUPP; /* who made it so joins nothing */
	else
		collect(&list, link.index, &groups);
	iflist_free(&list);
	return failed ? failed : groups_give(&groups, out, max);
}

int iflist_addrs(uint16_t index, struct cidr *out, unsigned max)
{
	struct iflist list;
	struct route_record rec;
	const int rc = iflist_get(&list, 0, index);
	if (rc < 0)
		return rc;
	struct route_reader r = { list.data, list.len };
	unsigned n = 0;
	while (n < max && route_next(&r, false, &rec))
		if (rec.kind == ROUTE_ADDR && rec.index == index && rec.addr.family)
			out[n++] = rec.addr;
	iflist_free(&list);
	return (int)n;
}
