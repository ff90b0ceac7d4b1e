/* ipaddr.c - see ipaddr.h. */
#include "server/core/ipaddr.h"

#include <string.h>

#include "server/core/be.h"

bool ip_same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	const unsigned whole = bits / 8, rest = bits % 8;
	return !memcmp(a, b, whole) && (!rest || a[whole] >> (8 - rest) == b[whole] >> (8 - rest));
}

bool ip4_is_broadcast_of(const uint8_t *a, const uint8_t *own, unsigned prefix)
{
	if (prefix > 30 || !ip_same_prefix(a, own, prefix))
		return false;
	const uint32_t mask = UINT32_MAX >> prefix;
	const uint32_t host = get32(a) & mask;
	return !host || host == mask;
}

bool ip4_is_host(const uint8_t *a)
{
	return a[0] != 0 && a[0] != 127 && a[0] < 224;
}

bool ip6_is_host(const uint8_t *a)
{
	static const uint8_t zero[15];
	return a[0] != 0xff && (memcmp(a, zero, 15) != 0 || a[15] > 1);
}
