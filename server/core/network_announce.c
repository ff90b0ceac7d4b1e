/* network_announce.c - says for those who came back where they are now (announce.h). See network.h.
 *
 * The switch itself knows at once. Bridges beyond the host side or a port do not, and would send
 * what is for a guest that was migrated, or came back elsewhere, to where it was until it speaks.
 * So a port with addresses of its own is announced when its client comes, when they change, and
 * when its link comes up; and the host side when it was made anew, or has another address.
 *
 * It is done at the next tick: whoever comes and goes ten times in a second is announced once, and
 * what a client's call began sends nothing in the middle of its stream. */
#include "server/core/announce.h"
#include "server/core/network_priv.h"

/* Frames in a tick, a second: each goes to all ports, of which there may be a thousand that come
 * back at the same moment. */
#define ANNOUNCE_FRAMES 32u
/* The host's waits for the second tick, when the kernel has looked for others with its IPv6 address
 * (RFC 4862, 5.4: a second as a rule). */
#define ANNOUNCE_HOST_TICKS 2u

void network_announce_port(struct network *net, const struct port_rec *rec)
{
	if (rec->client && rec->info.rules.up &&
		(rec->mac_given || rec->info.locked || rec->info.rules.n_macs)) {
		portset_add(&net->announce, rec->info.id);
		net->announces = true;
	}
}

void network_announce_host(struct network *net)
{
	net->announce_host = ANNOUNCE_HOST_TICKS;
}

/* It goes where a broadcast from there goes, at once: @buf is its caller's. Nothing is learned of
 * it, for nobody spoke. */
static void send(struct network *net, uint16_t in, const uint8_t *buf, uint32_t len)
{
	struct frame frame = { .head = buf, .head_len = len, .len = len };
	if (net->n_monitors)
		network_watch(net, PORT_NONE, (struct verdict){ VERDICT_FLOOD, 0, PORT_NONE }, NULL,
			&frame, 1);
	if (net->sw.vlans)
		network_vlan_flood(net, in, vlan_of(net->sw.ports[in].vlan, &frame), &frame);
	else
		network_flood(net, in, &frame, 1);
	network_flush(net);
}

/* Where another has it meanwhile, who may, that one has spoken. */
static void announce_mac(struct network *net, uint16_t in, struct feth_mac mac)
{
	const struct vlan_rule *vlan = net->sw.ports[in].vlan;
	const mac_key key = fdb_key_in(&net->sw.fdb, mac_key_at(mac.b), vlan ? vlan->native : 0);
	uint8_t buf[ANNOUNCE_MAX];
	if (fdb_find(&net->sw.fdb, key, net->now_ms) == in)
		send(net, in, buf, announce_rarp(mac, buf));
}

static unsigned announce_port(struct network *net, const struct port_rec *rec)
{
	const struct port_rules *rules = &rec->info.rules;
	const bool own = rec->mac_given || rec->info.locked;
	if (own)
		announce_mac(net, rec->info.id, rec->info.mac);
	for (unsigned i = 0; i < rules->n_macs; i++)
		announce_mac(net, rec->info.id, rules->macs[i]);
	return own + rules->n_macs;
}

static void announce_host(struct network *net)
{
	const struct hostif_spec *spec = &net->facts.spec;
	uint8_t buf[ANNOUNCE_MAX];
	if (!net->host || !spec->up)
		return;
	for (unsigned i = 0; i < spec->n_addrs; i++)
		send(net, PORT_HOST, buf, announce_address(spec->mac, &spec->addrs[i], buf));
	if (!spec->n_addrs)
		announce_mac(net, PORT_HOST, spec->mac);
}

void network_announce(struct network *net)
{
	unsigned sent = 0;
	uint16_t id = 0;
	if (net->announce_host && !--net->announce_host)
		announce_host(net);
	while (net->announces && sent < ANNOUNCE_FRAMES) {
		id = portset_next(&net->announce, id + 1u);
		if (id == PORT_NONE) {
			net->announces = false;
			break;
		}
		const struct port_rec *rec = network_rec(net, id);
		portset_remove(&net->announce, id);
		if (rec && rec->client && rec->info.rules.up)
			sent += announce_port(net, rec);
	}
}
