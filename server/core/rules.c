/* rules.c - see rules.h. */
#include "server/core/rules.h"

#include <string.h>

#include "server/core/sendq.h"

const struct port_rules rules_builtin = {
#define RULE(symbol, name, field) | RULE_##symbol
	.given = 0 RULES(RULE) | RULE_MACS | RULE_VLAN,
#undef RULE
	.up = true,
	.loop_guard = true,
	.queue = SENDQ_FRAMES_MAX,
	.storm = RULES_STORM,
};

/* It is not limited: what the host sends is its administrator's doing. */
const struct port_rules rules_host = {
	.given = RULE_RX_RATE | RULE_TX_RATE | RULE_STORM | RULE_LOOP_GUARD,
	.up = true,
	.loop_guard = true,
};

const char *rules_name(uint32_t bits)
{
#define RULE(symbol, name, field)                                                                  \
	if (bits & RULE_##symbol)                                                                  \
		return name;
	RULES(RULE)
#undef RULE
	return bits & RULE_MACS ? "macs" : bits & RULE_VLAN ? "vlan" : NULL;
}

void rules_take(struct port_rules *rules, const struct port_rules *more)
{
#define RULE(symbol, name, field)                                                                  \
	if (more->given & RULE_##symbol)                                                           \
		rules->field = more->field;
	RULES(RULE)
#undef RULE
	if (more->given & RULE_MACS) {
		rules->n_macs = more->n_macs;
		memcpy(rules->macs, more->macs, sizeof(rules->macs));
	}
	if (more->given & RULE_VLAN)
		rules->vlan = more->vlan;
	rules->given |= more->given;
}

static bool same_macs(const struct port_rules *a, const struct port_rules *b)
{
	return a->n_macs == b->n_macs && !memcmp(a->macs, b->macs, a->n_macs * sizeof(a->macs[0]));
}

/* Of a limit that is none at 0. */
static bool raised(uint32_t limit, uint32_t to)
{
	return limit && (!to || to > limit);
}

uint32_t rules_looser(const struct port_rules *rules, const struct port_rules *more)
{
	uint32_t loose = 0;
	if (rules->isolated && !more->isolated)
		loose |= RULE_ISOLATED;
	if (!rules->up && more->up)
		loose |= RULE_UP;
	if (rules->loop_guard && !more->loop_guard)
		loose |= RULE_LOOP_GUARD;
	if (raised(rules->cap, more->cap))
		loose |= RULE_CAP;
	if (more->queue > rules->queue)
		loose |= RULE_QUEUE;
	if (raised(rules->rx_rate, more->rx_rate))
		loose |= RULE_RX_RATE;
	if (raised(rules->tx_rate, more->tx_rate))
		loose |= RULE_TX_RATE;
	if (raised(rules->storm, more->storm))
		loose |= RULE_STORM;
	if (more->given & RULE_VLAN && vlan_wider(&rules->vlan, &more->vlan))
		loose |= RULE_VLAN;
	return loose & more->given;
}

const char *rules_loosened(const struct port_rules *rules, const struct port_rules *more)
{
	return rules_name(rules_looser(rules, more));
}

bool rules_same(const struct port_rules *a, const struct port_rules *b)
{
#define RULE(symbol, name, field)                                                                  \
	if (a->field != b->field)                                                                  \
		return false;
	RULES(RULE)
#undef RULE
	return a->given == b->given && same_macs(a, b) && vlan_same(&a->vlan, &b->vlan);
}

bool rules_special(const struct port_rules *rules)
{
	return rules->isolated || !rules->up || rules->rx_rate || rules->tx_rate;
}
