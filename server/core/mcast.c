/* mcast.c - see mcast.h. */
#include "server/core/mcast.h"

#include <errno.h>

int mcast_init(struct mcast *mc, uint64_t seed)
{
	memset(mc, 0, sizeof(*mc));
	for (unsigned f = 0; f < MCAST_FAMILIES; f++)
		querier_init(&mc->sides[f].querier);
	return grouptable_init(&mc->table, seed);
}

void mcast_fini(struct mcast *mc)
{
	grouptable_fini(&mc->table);
}

static enum mcast_family family_of(const uint8_t *mac)
{
	return mac[0] == 0x33 ? MCAST_IP6 : MCAST_IP4;
}

static uint64_t advance(struct mcast *mc, uint64_t now_ms)
{
	const uint64_t gap = mc->started && now_ms > mc->seen_ms ? now_ms - mc->seen_ms : 0;
	mc->started = true;
	mc->seen_ms = now_ms;
	mc->now_ms += gap < MCAST_GAP_MS ? gap : MCAST_GAP_MS;
	return mc->now_ms;
}

/* Calls @fn for every member; it may drop the one it is given. */
static void for_each_member(struct mcast *mc, void (*fn)(struct mcast *mc, struct member *m))
{
	for (uint32_t i = 0; i < mc->table.top_members; i++)
		if (mc->table.members[i].how)
			fn(mc, &mc->table.members[i]);
}

static struct mcast_side *side_of(struct mcast *mc, const struct member *m)
{
	const struct feth_mac mac = mac_of_key(mc->table.groups[m->group].key);
	return &mc->sides[family_of(mac.b)];
}

/* -- ports -- */

void mcast_attach(struct mcast *mc, uint16_t port)
{
	portset_add(&mc->ports, port);
	if (!mc->conf.ask_new || mc->conf.policy == MCAST_FLOOD)
		return;
	for (unsigned f = 0; f < MCAST_FAMILIES; f++)
		portset_add(&mc->sides[f].ask, port);
}

/* Ends memberships of a port that are for one of the reasons @how. */
static void drop_members(struct mcast *mc, uint16_t port, uint8_t how)
{
	for (uint32_t i = 0; i < mc->table.top_members; i++) {
		struct member *m = &mc->table.members[i];
		if (m->how & how && m->port == port)
			grouptable_drop(&mc->table, m, m->how & how);
	}
}

void mcast_detach(struct mcast *mc, uint16_t port)
{
	drop_members(mc, port, UINT8_MAX);
	portset_remove(&mc->ports, port);
	portset_remove(&mc->choosing, port);
	portset_remove(&mc->all, port);
	mcast_forget(mc, port);
}

void mcast_forget(struct mcast *mc, uint16_t port)
{
	drop_members(mc, port, GROUP_SNOOPED);
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		struct mcast_side *side = &mc->sides[f];
		portset_remove(&side->routers, port);
		portset_remove(&side->blurred, port);
		portset_remove(&side->ask, port);
		portset_remove(&side->ask_again, port);
		portset_remove(&side->due, port);
		querier_forget(&side->querier, port, mc->now_ms);
	}
}

int mcast_join(struct mcast *mc, uint16_t port, struct feth_mac group)
{
	const mac_key key = mac_key_at(group.b);
	return grouptable_add(&mc->table, key, port, GROUP_RPC, mc->now_ms) ? 0 : -ENOSPC;
}

int mcast_leave(struct mcast *mc, uint16_t port, struct feth_mac group)
{
	const uint16_t i = grouptable_find(&mc->table, mac_key_at(group.b));
	struct member *m = i == GROUPTABLE_NONE ? NULL : grouptable_member(&mc->table, i, port);
	if (!m || !(m->how & GROUP_RPC))
		return -ENOENT;
	grouptable_drop(&mc->table, m, GROUP_RPC);
	return 0;
}

void mcast_all(struct mcast *mc, uint16_t port, bool all)
{
	portset_add(&mc->choosing, port);
	portset_put(&mc->all, port, all);
}

/* Somebody behind a member's port has left: the others there have time to say that they have not,
 * if asked. By whoever is the querier, else by us, also where we are none. */
static void begin_leave(struct mcast *mc, struct mcast_side *side, struct member *m)
{
	m->leave_ms = mc->now_ms + MCAST_LEAVE_MS;
	if (querier_other(&side->querier))
		return;
	m->leave_ms += MCAST_LEAVE_RESPONSE_MS; /* it may take as long until we ask */
	portset_add(&side->ask, m->port);
	portset_add(&side->ask_again, m->port);
}

/* The host does not listen any more; what was reported may have been by it, or by others behind
 * it. */
static void drop_stale(struct mcast *mc, struct member *m)
{
	if (m->how & GROUP_HOST && !m->fresh) {
		if (m->how & GROUP_SNOOPED && !m->tagged && !m->leave_ms)
			begin_leave(mc, side_of(mc, m), m);
		grouptable_drop(&mc->table, m, GROUP_HOST);
	}
	m->fresh = false;
}

void mcast_host(struct mcast *mc, const struct feth_mac *macs, unsigned n)
{
	if (!portset_has(&mc->ports, PORT_HOST))
		return;
	mc->host_known = macs != NULL;
	for (unsigned i = 0; macs && i < n; i++) {
		if (!(macs[i].b[0] & 1))
			continue;
		const mac_key key = mac_key_at(macs[i].b);
		struct member *m =
			grouptable_add(&mc->table, key, PORT_HOST, GROUP_HOST, mc->now_ms);
		if (m)
			m->fresh = true;
		else
			mc->host_known = false;
	}
	for_each_member(mc, drop_stale);
}

static void drop_report(struct mcast *mc, struct member *m)
{
	grouptable_drop(&mc->table, m, GROUP_SNOOPED);
}

void mcast_configure(struct mcast *mc, const struct mcast_conf *conf)
{
	const bool deaf = conf->policy == MCAST_FLOOD;
	/* what was said meanwhile was not heard */
	const bool ask = mc->conf.policy == MCAST_FLOOD && !deaf && conf->ask_new;
	mc->conf = *conf;
	if (deaf)
		for_each_member(mc, drop_report);
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		struct mcast_side *side = &mc->sides[f];
		if (deaf) {
			*side = (struct mcast_side){ 0 };
			querier_init(&side->querier);
		}
		if (ask)
			side->ask = mc->ports;
		side->querier.wanted = conf->querier && !deaf;
		querier_update(&side->querier, mc->now_ms);
	}
}

/* -- what is heard -- */

static void blur(struct mcast *mc, enum mcast_family family, uint16_t in)
{
	portset_add(&mc->sides[family].blurred, in);
	mc->sides[family].blurred_ms[in] = mc->now_ms;
}

static struct member *reported(const struct mcast *mc, uint16_t in, const struct feth_mac *group)
{
	const uint16_t i = grouptable_find(&mc->table, mac_key_at(group->b));
	struct member *m = i == GROUPTABLE_NONE ? NULL : grouptable_member(&mc->table, i, in);
	return m && m->how & GROUP_SNOOPED ? m : NULL;
}

static void heard_join(
	struct mcast *mc, const struct snoop *report, uint16_t in, const struct feth_mac *group)
{
	const struct member *was = reported(mc, in, group);
	const bool some = report->sources && (!was || was->some);
	struct member *m =
		grouptable_add(&mc->table, mac_key_at(group->b), in, GROUP_SNOOPED, mc->now_ms);
	if (m) {
		m->tagged |= report->tagged;
		m->some = some;
		return;
	}
	mc->stats.full++;
	blur(mc, report->family, in);
}

static void heard_leave(
	struct mcast *mc, const struct snoop *report, uint16_t in, const struct feth_mac *group)
{
	struct mcast_side *side = &mc->sides[report->family];
	struct member *m = reported(mc, in, group);
	if (!m || m->tagged || report->tagged || m->leave_ms)
		return;
	/* Some sources were left, by one who may want others. A querier asks for the left ones only
	 * (RFC 3376, 6.6.3.2), which he who wants others does not answer. */
	if (report->sources && (!m->some || querier_other(&side->querier)))
		return;
	begin_leave(mc, side, m);
}

static uint16_t heard_report(struct mcast *mc, struct snoop *report, uint16_t in)
{
	const struct mcast_side *side = &mc->sides[report->family];
	struct feth_mac group;
	bool join;
	mc->stats.reports++;
	while (snoop_next(report, &group, &join)) {
		if (join)
			heard_join(mc, report, in, &group);
		else
			heard_leave(mc, report, in, &group);
	}
	if (portset_empty(&side->routers) && !side->querier.asking)
		return MCAST_TO_ALL;
	return (uint16_t)(MCAST_TO_ROUTERS + report->family);
}

static void heard_router(struct mcast_side *side, uint16_t in, uint64_t now_ms, uint32_t hold_ms)
{
	const uint64_t until = now_ms + hold_ms;
	if (hold_ms && portset_has(&side->routers, in) && side->router_until_ms[in] > until)
		return; /* a query and a hello, each for its own time */
	side->router_until_ms[in] = until;
	portset_put(&side->routers, in, hold_ms != 0);
}

/* What a frame of ours says. True: *to is where it goes; false: it is data. */
static bool hear(
	struct mcast *mc, const struct frame *frame, uint16_t in, uint64_t now_ms, uint16_t *to)
{
	uint8_t scratch[SNOOP_SCRATCH];
	struct snoop s;
	snoop_parse(frame, scratch, &s);
	if (s.kind == SNOOP_DATA)
		return false;

	struct mcast_side *side = &mc->sides[s.family];
	const uint64_t now = advance(mc, now_ms);
	*to = MCAST_TO_ALL;
	switch (s.kind) {
	case SNOOP_QUERY:
		mc->stats.queries++;
		if (querier_is_ours(&s, mc->own))
			break;
		const uint32_t there = querier_heard(&side->querier, &s, in, now);
		if (there)
			heard_router(side, in, now, there);
		break;
	case SNOOP_HELLO:
		heard_router(side, in, now, s.hold_ms);
		break;
	case SNOOP_REPORT:
		*to = heard_report(mc, &s, in);
		break;
	case SNOOP_BAD:
		mc->stats.bad++;
		if (s.cut)
			blur(mc, s.family, in);
		break;
	case SNOOP_OTHER: /* RFC 4541, 2.1.1, 3: IGMP that is not known goes to all */
	case SNOOP_DATA:
		break;
	}
	return true;
}

/* -- where frames go -- */

/* 224.0.0.x, which nobody need report (RFC 4541, 2.1.2, 2), and ff02::1, which nobody may (RFC
 * 3810, 6). */
static bool is_for_all(const uint8_t *mac)
{
	static const uint8_t local[5] = { 0x01, 0x00, 0x5e, 0, 0 };
	static const uint8_t all_nodes[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	return !memcmp(mac, local, sizeof(local)) || !memcmp(mac, all_nodes, sizeof(all_nodes));
}

uint16_t mcast_route(struct mcast *mc, const struct frame *frame, uint16_t in, uint64_t now_ms)
{
	uint16_t to;
	if (!mcast_is_ip(frame->head) || mc->conf.policy == MCAST_FLOOD)
		return MCAST_TO_ALL;
	if (snoop_may(frame) && hear(mc, frame, in, now_ms, &to))
		return to;
	if (is_for_all(frame->head))
		return MCAST_TO_ALL;
	to = grouptable_find(&mc->table, mac_key_at(frame->head));
	if (to != GROUPTABLE_NONE && mc->table.groups[to].n)
		return to;
	return (uint16_t)(MCAST_TO_UNKNOWN + family_of(frame->head));
}

void mcast_set(const struct mcast *mc, uint16_t to, struct portset *out)
{
	const struct mcast_side *side;
	*out = (struct portset){ 0 };
	if (to >= MCAST_TO_ROUTERS) {
		side = &mc->sides[to - MCAST_TO_ROUTERS];
	} else if (to >= MCAST_TO_UNKNOWN) {
		side = &mc->sides[to - MCAST_TO_UNKNOWN];
		if (mc->conf.policy == MCAST_SNOOP) {
			*out = mc->ports;
			portset_without(out, &mc->choosing);
			portset_remove(out, PORT_HOST);
		}
		portset_join(out, &side->blurred);
	} else {
		const struct feth_mac mac = mac_of_key(mc->table.groups[to].key);
		side = &mc->sides[family_of(mac.b)];
		*out = mc->table.groups[to].ports;
		portset_join(out, &side->blurred);
	}
	portset_join(out, &side->routers);
	portset_join(out, &mc->all);
	if (!mc->host_known && portset_has(&mc->ports, PORT_HOST))
		portset_add(out, PORT_HOST);
}

/* -- time -- */

static void expire_member(struct mcast *mc, struct member *m)
{
	if (!(m->how & GROUP_SNOOPED))
		return;
	const struct querier *q = &side_of(mc, m)->querier;
	if (mc->now_ms < querier_good_until(q, m->heard_ms) &&
		!(m->leave_ms && mc->now_ms >= m->leave_ms))
		return;
	grouptable_drop(&mc->table, m, GROUP_SNOOPED);
}

static void tick_side(struct mcast *mc, struct mcast_side *side)
{
	const uint64_t now = mc->now_ms;
	uint16_t port = 0;
	querier_update(&side->querier, now);
	while ((port = portset_next(&side->routers, port)) != PORT_NONE) {
		portset_put(&side->routers, port, now < side->router_until_ms[port]);
		port++;
	}
	port = 0;
	while ((port = portset_next(&side->blurred, port)) != PORT_NONE) {
		const uint64_t until = querier_good_until(&side->querier, side->blurred_ms[port]);
		portset_put(&side->blurred, port, now < until);
		port++;
	}
	side->due = side->ask;
	side->ask = side->ask_again;
	side->ask_again = (struct portset){ 0 };
}

void mcast_tick(struct mcast *mc, uint64_t now_ms)
{
	advance(mc, now_ms);
	for (unsigned f = 0; f < MCAST_FAMILIES; f++)
		tick_side(mc, &mc->sides[f]);
	for_each_member(mc, expire_member);
}

bool mcast_asks(struct mcast *mc, struct mcast_ask *out)
{
	for (unsigned f = 0; f < MCAST_FAMILIES; f++) {
		struct mcast_side *side = &mc->sides[f];
		*out = (struct mcast_ask){ f, QUERY_RESPONSE_MS, mc->ports };
		if (querier_due(&side->querier, mc->now_ms))
			return true;
		out->response_ms = MCAST_LEAVE_RESPONSE_MS;
		out->ports = side->due;
		side->due = (struct portset){ 0 };
		/* MLD has no address that no other querier would yield to */
		if (f == MCAST_IP6 && querier_other(&side->querier))
			continue;
		if (!portset_empty(&out->ports))
			return true;
	}
	return false;
}

/* -- lists -- */

/* The rows that stand for every group: of "all", and of the routers of each family. */
static const struct feth_mac wide[] = {
	{ { 0 } },
	{ { 0x01, 0x00, 0x5e, 0, 0, 0 } },
	{ { 0x33, 0x33, 0, 0, 0, 0 } },
};

static const struct portset *wide_ports(const struct mcast *mc, unsigned i)
{
	return i ? &mc->sides[i - 1].routers : &mc->all;
}

static uint32_t span_ms(uint64_t from, uint64_t to)
{
	return to <= from ? 0 : to - from < UINT32_MAX ? (uint32_t)(to - from) : UINT32_MAX;
}

/* Until @until; what is over already is so at the next tick. */
static uint32_t left_ms(const struct mcast *mc, uint64_t until)
{
	const uint32_t left = span_ms(mc->now_ms, until);
	return until == UINT64_MAX ? 0 : left ? left : 1;
}

static void row_of_member(const struct mcast *mc, const struct member *m, struct group_row *row)
{
	row->how |= m->how;
	row->age_ms = span_ms(m->heard_ms, mc->now_ms);
	row->expires_ms = 0;
	if (m->how != GROUP_SNOOPED)
		return;
	const struct querier *q = &mc->sides[family_of(row->group.b)].querier;
	uint64_t until = querier_good_until(q, m->heard_ms);
	if (m->leave_ms && m->leave_ms < until)
		until = m->leave_ms;
	row->expires_ms = left_ms(mc, until);
}

/* Rows of one group, from port @from on. */
static unsigned list_group(const struct mcast *mc, struct feth_mac mac, unsigned from,
	struct group_row *out, unsigned max)
{
	const uint16_t g = grouptable_find(&mc->table, mac_key_at(mac.b));
	struct portset ports = { 0 };
	unsigned n = 0, w = 0;
	if (g != GROUPTABLE_NONE)
		ports = mc->table.groups[g].ports;
	while (w < 3 && memcmp(wide[w].b, mac.b, sizeof(mac.b)) != 0)
		w++;
	if (w < 3)
		portset_join(&ports, wide_ports(mc, w));
	for (uint16_t p; n < max && (p = portset_next(&ports, from)) != PORT_NONE; from = p + 1u) {
		struct group_row *row = &out[n++];
		*row = (struct group_row){ .group = mac, .port = p };
		if (w < 3 && portset_has(wide_ports(mc, w), p)) {
			row->how = w ? GROUP_ROUTER : GROUP_ALL;
			if (w)
				row->expires_ms = left_ms(mc, mc->sides[w - 1].router_until_ms[p]);
		}
		const struct member *m =
			g == GROUPTABLE_NONE ? NULL : grouptable_member(&mc->table, g, p);
		if (m)
			row_of_member(mc, m, row);
	}
	return n;
}

/* The next group of the list from @mac on; false at the end. */
static bool next_group(const struct mcast *mc, struct feth_mac *mac)
{
	struct feth_mac best;
	const uint16_t g = grouptable_next(&mc->table, mac);
	bool found = g != GROUPTABLE_NONE;
	if (found)
		best = mac_of_key(mc->table.groups[g].key);
	for (unsigned w = 0; w < 3; w++) {
		if (memcmp(wide[w].b, mac->b, 6) < 0 || portset_empty(wide_ports(mc, w)) ||
			(found && memcmp(wide[w].b, best.b, 6) > 0))
			continue;
		best = wide[w];
		found = true;
	}
	if (found)
		*mac = best;
	return found;
}

/* The address behind @mac; false: it is the last. */
static bool step(struct feth_mac *mac)
{
	for (unsigned i = 6; i--;)
		if (++mac->b[i])
			return true;
	return false;
}

unsigned mcast_list(const struct mcast *mc, struct feth_mac after, uint16_t after_port,
	bool has_after, struct group_row *out, unsigned max)
{
	struct feth_mac mac = { { 0 } };
	unsigned from = 0, n = 0;
	if (has_after) {
		mac = after;
		from = after_port == PORT_NONE ? FDB_PORTS : after_port + 1u;
	}
	while (n < max) {
		const struct feth_mac first = mac;
		if (!next_group(mc, &mac))
			break;
		if (memcmp(first.b, mac.b, sizeof(mac.b)) != 0)
			from = 0;
		n += list_group(mc, mac, from, out + n, max - n);
		from = 0;
		if (n < max && !step(&mac))
			break;
	}
	return n;
}
