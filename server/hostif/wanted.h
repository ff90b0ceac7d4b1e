/* wanted.h - what veth and feth mean alike by a pair that is as declared: the settings of its two
 * members, which are read from the kernel and changed step by step. */
#ifndef SERVER_HOSTIF_WANTED_H
#define SERVER_HOSTIF_WANTED_H

#include "server/core/hostif.h"

struct end {
	uint32_t mtu;
	struct feth_mac mac;
	bool up;
};

struct state {
	struct end host, service;
};

static inline struct state state_wanted(const struct hostif_spec *want)
{
	return (struct state){
		.host = { .mtu = want->mtu, .mac = want->mac, .up = want->up },
		.service = { .mtu = want->mtu, .mac = want->service_mac, .up = true },
	};
}

/* -EINVAL where what is declared cannot be: below IP6_MTU_MIN Linux takes IPv6 off an interface,
 * and XNU attaches none (in6_ifattach.c). */
int ipv6_check(const struct hostif_spec *spec, struct err *err);

static inline bool has_addr(const struct cidr *addrs, unsigned n, const struct cidr *addr)
{
	for (unsigned i = 0; i < n; i++)
		if (cidr_equal(&addrs[i], addr))
			return true;
	return false;
}

#endif
