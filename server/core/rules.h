/* rules.h - the settings of a port: what it may send and get, and how much.
 *
 * A set of rules says something of those fields only that are in `given`: what a caller asks for,
 * or what a network says of ports that do not say (its defaults). The rules in force at a port say
 * all of them. They come in layers, each over the one before: the daemon's own, the network's
 * defaults, what declared the port or attached it, and what port.set has changed. */
#ifndef SERVER_CORE_RULES_H
#define SERVER_CORE_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "feth/types.h"
#include "server/core/vlan.h"

/* Further addresses of a port: a host with a few VLAN or macvlan interfaces has as many. Who has
 * more is a bridge, which is not locked to addresses. */
#define PORT_MACS_MAX 16u

/* RULE(symbol, name on the wire, field of struct port_rules): those that are one number or one
 * truth. */
#define RULES(RULE)                                                                                \
	RULE(ISOLATED, "isolated", isolated)                                                       \
	RULE(UP, "up", up)                                                                         \
	RULE(CAP, "cap", cap)                                                                      \
	RULE(QUEUE, "queue", queue)                                                                \
	RULE(RX_RATE, "rx_rate", rx_rate)                                                          \
	RULE(TX_RATE, "tx_rate", tx_rate)                                                          \
	RULE(STORM, "storm", storm)                                                                \
	RULE(LOOP_GUARD, "loop_guard", loop_guard)                                                 \
	RULE(RAW_OFFLOAD, "raw_offload", raw_offload)

enum rule_bit {
#define RULE(symbol, name, field) RULE_BIT_##symbol,
	RULES(RULE)
#undef RULE
		RULE_BIT_MACS,
	RULE_BIT_VLAN,
};

enum {
#define RULE(symbol, name, field) RULE_##symbol = 1 << RULE_BIT_##symbol,
	RULES(RULE)
#undef RULE
		RULE_MACS = 1 << RULE_BIT_MACS,
	RULE_VLAN = 1 << RULE_BIT_VLAN,
};

struct port_rules {
	uint32_t given; /* RULE_* bits: the fields that say something */
	bool isolated;  /* reaches the host side and ports that are not isolated, nobody else */
	bool up;        /* its link; false: no frame in or out */
	bool loop_guard;
	bool raw_offload; /* its frames owe work that nothing says: offload_guess() */
	uint32_t cap;     /* longest frame with header and one tag, bytes; 0: the network's */
	uint32_t queue;   /* bytes of frames that may wait for the client */
	uint32_t rx_rate; /* bytes a second from the client; 0: no limit */
	uint32_t tx_rate; /* to it */
	uint32_t storm;   /* flooded frames a second from the client; 0: no limit */
	uint8_t n_macs;
	struct feth_mac macs[PORT_MACS_MAX]; /* addresses of the port beside its `mac` */
	struct vlan_rule vlan;
};

/* Flooded frames a second from one port, if nobody says. A loop makes hundreds of thousands, and
 * each costs every port a frame: unlimited, one port that storms was 200000 a second at each of 49
 * others. 8000 a second took 10 % of a processor; with this limit the storm gets little beyond
 * that. What is no storm passes: a guest's ARP and mDNS are tens a second, arp-scan(1) of a /16 is
 * 1000, a video of 100 Mbit/s for a group that nobody joined 9500. */
#define RULES_STORM 10000u

/* The daemon's own: what holds where nobody says anything. All fields are given. */
extern const struct port_rules rules_builtin;
/* Of the host side: those it may have are given. */
extern const struct port_rules rules_host;

/* The name on the wire of the first of some RULE_* bits; NULL where there is none. */
const char *rules_name(uint32_t bits);

/* What @more says goes over what @rules say. */
void rules_take(struct port_rules *rules, const struct port_rules *more);

/* The first field of @more that lets a port do what @rules, which say all, do not: its name on the
 * wire; NULL where there is none. Of `macs` it depends on the lock, which is no rule. */
const char *rules_loosened(const struct port_rules *rules, const struct port_rules *more);

/* All of these, as RULE_* bits. */
uint32_t rules_looser(const struct port_rules *rules, const struct port_rules *more);

bool rules_same(const struct port_rules *a, const struct port_rules *b);

/* Whether a port with these is none of the plain ones, whose frames network.c passes on with no
 * look at any rule: police.h sees them then. */
bool rules_special(const struct port_rules *rules);

#endif
