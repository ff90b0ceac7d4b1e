/* dhcp.h - which addresses a network gives away by DHCP, and what dnsmasq is told of it.
 *
 * Pure: the process itself is priv/dnsmasq.h's, its life io/dhcpd.c's. IPv4 addresses are numbers
 * in the order of the host here, so that ranges can be compared. */
#ifndef SERVER_CORE_DHCP_H
#define SERVER_CORE_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/text.h"
#include "server/base/err.h"
#include "server/core/hostif.h"

#define DHCP_RANGE_TEXT 32u /* "255.255.255.255-255.255.255.255" and its end */
/* Addresses that are given away where nobody says which: one for each port that a network can have
 * (PORTS_MAX), and leases at once whatever the range: a guest that invents addresses must not fill
 * memory or disk. */
#define DHCP_LEASES_MAX 1024u

/* What is wanted: nothing, a range, or (given false) one that follows from the addresses. */
struct dhcp_want {
	bool on;
	bool given;
	uint32_t from, to;
};

/* What is true. */
struct dhcp_facts {
	bool on;
	bool given;        /* the range was asked for; else it follows the addresses */
	uint8_t at;        /* which of the network's addresses it belongs to */
	uint32_t from, to; /* both included */
};

/* "10.77.0.50-10.77.0.150". On false, *why is a constant sentence. */
bool dhcp_parse(struct dhcp_want *out, const char *text, const char **why);
void dhcp_format(char out[DHCP_RANGE_TEXT], const struct dhcp_facts *facts);

/**
 * dhcp_choose() - find what is to be given away
 * @spec:	the addresses of the host member
 * @want:	as asked for
 * @out:	out: complete; where @want is off, all zero
 *
 * A range must lie in the subnet of one IPv4 address and spare all addresses of the host, and the
 * subnet's first and last. Where none is given it is the upper half of the first subnet, at most
 * DHCP_LEASES_MAX of it: what people number by hand begins below; or the lower one if the host
 * itself is in the upper.
 *
 * Return: 0, or -EINVAL with a sentence
 */
int dhcp_choose(const struct hostif_spec *spec, const struct dhcp_want *want,
	struct dhcp_facts *out, struct err *err);

bool dhcp_same(const struct dhcp_facts *a, const struct dhcp_facts *b);

#define DHCP_CONF_TEXT 2048u

/* Who a dnsmasq is when it has started. All NULL and false: as it finds right. */
struct dhcp_runas {
	const char *user, *group; /* NULL or both */
	bool stay;                /* root, who may become nobody else */
};

/**
 * dhcp_conf() - the configuration of one dnsmasq
 * @spec:	of the network; `facts` is on
 * @router:	whether the host forwards, so that guests may send it what is not for the network
 * @who:	who it shall be
 *
 * No path is in it, for what a path may be made of dnsmasq reads in its own way: these go by the
 * command line.
 */
void dhcp_conf(char out[DHCP_CONF_TEXT], const struct hostif_spec *spec,
	const struct dhcp_facts *facts, bool router, const struct dhcp_runas *who);

#endif
