/* wanted.c - see wanted.h. */
#include "server/hostif/wanted.h"

#include <errno.h>

#include "server/core/ipaddr.h"

int ipv6_check(const struct hostif_spec *spec, struct err *err)
{
	for (unsigned i = 0; i < spec->n_addrs && spec->mtu < IP6_MTU_MIN; i++)
		if (spec->addrs[i].family == 6)
			return err_set(err, -EINVAL,
				"%s: an MTU of %u is too small for IPv6 on interface %s: make it "
				"%u or more, or remove the IPv6 address",
				spec->network, spec->mtu, spec->host, IP6_MTU_MIN);
	return 0;
}
