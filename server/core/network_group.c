/* network_group.c - multicast groups of a network, for the control plane. See network.h. */
#include <errno.h>

#include "server/core/network_priv.h"

void network_tell_groups(struct network *net)
{
	struct feth_mac group;
	bool joined;
	uint16_t only;
	while (grouptable_news(&net->sw.mcast.table, &group, &joined, &only))
		if (net->events->group)
			net->events->group(net->ctx, &group, joined, only);
}

/* An attached port, or NULL and a sentence. */
static const struct port_rec *find_port(const struct network *net, uint16_t port, struct err *err)
{
	const struct port_rec *rec = network_rec(net, port);
	if (rec && rec->client)
		return rec;
	err_set(err, -ENOENT, "%s: port %u has no client", net->facts.spec.network, port);
	return NULL;
}

int network_group_join(struct network *net, uint16_t port, struct feth_mac group, struct err *err)
{
	const char *name = net->facts.spec.network;
	if (!find_port(net, port, err))
		return -ENOENT;
	if (!mac_is_group(group))
		return err_set(err, -EINVAL,
			"%s: a group is an address whose first byte is odd; this is a station's",
			name);
	if (mcast_join(&net->sw.mcast, port, group) < 0)
		return err_set(err, -ENOSPC,
			"%s: no room for another group; a network has %u without the host's: "
			"leave one, or join \"all\"",
			name, GROUPTABLE_JOINED(GROUPTABLE_GROUPS));
	network_tell_groups(net);
	return 0;
}

int network_group_leave(struct network *net, uint16_t port, struct feth_mac group, struct err *err)
{
	const struct port_rec *rec = find_port(net, port, err);
	if (!rec)
		return -ENOENT;
	if (mcast_leave(&net->sw.mcast, port, group) < 0)
		return err_set(err, -ENOENT, "%s: port %s has not joined that group",
			net->facts.spec.network, rec->info.name);
	network_tell_groups(net);
	return 0;
}

void network_groups_all(struct network *net, uint16_t port, bool all)
{
	const struct port_rec *rec = network_rec(net, port);
	if (rec && rec->client)
		mcast_all(&net->sw.mcast, port, all);
}

unsigned network_group_list(const struct network *net, struct feth_mac after, uint16_t after_port,
	bool has_after, struct group_row *out, unsigned max)
{
	return mcast_list(&net->sw.mcast, after, after_port, has_after, out, max);
}

void network_set_host_groups(struct network *net, const struct feth_mac *macs, unsigned n)
{
	mcast_host(&net->sw.mcast, macs, n);
	network_tell_groups(net);
}

int network_set_multicast(struct network *net, const struct mcast_conf *conf)
{
	if (conf->policy != MCAST_SNOOP && conf->policy != MCAST_STRICT &&
		conf->policy != MCAST_FLOOD)
		return -EINVAL;
	net->facts.multicast = *conf;
	mcast_configure(&net->sw.mcast, &net->facts.multicast);
	network_tell_groups(net);
	return 0;
}

const struct mcast_conf *network_multicast(const struct network *net)
{
	return &net->facts.multicast;
}

const struct mcast_stats *network_multicast_stats(const struct network *net)
{
	return &net->sw.mcast.stats;
}
