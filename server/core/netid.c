/* netid.c - see netid.h. */
#include "server/core/netid.h"

#include <stdio.h>
#include <string.h>

static uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static uint64_t le64(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* Which compilers make one load of. */
static uint64_t word(const uint8_t *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

static void sip_rounds(uint64_t v[4], int n)
{
	while (n--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] = rotl(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] = rotl(v[2], 32);
	}
}

uint64_t siphash24(const struct netid_key *key, const void *data, size_t len)
{
	const uint8_t *p = data;
	const uint64_t k0 = le64(key->b, 8), k1 = le64(key->b + 8, 8);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573 };

	size_t left = len;
	for (; left >= 8; left -= 8, p += 8) {
		const uint64_t m = word(p);
		v[3] ^= m;
		sip_rounds(v, 2);
		v[0] ^= m;
	}
	const uint64_t last = (uint64_t)len << 56 | le64(p, left);
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct netid_key netid_key(const char *machine_id)
{
	static const struct netid_key app = { "fethd machine id" };
	struct netid_key key;
	const size_t len = strlen(machine_id);
	for (unsigned half = 0; half < 2; half++) {
		struct netid_key k = app;
		k.b[0] ^= (uint8_t)half;
		const uint64_t h = siphash24(&k, machine_id, len);
		for (unsigned i = 0; i < 8; i++)
			key.b[8 * half + i] = (uint8_t)(h >> (8 * i));
	}
	return key;
}

static bool hex_id(const char *name, uint64_t *out)
{
	uint64_t v = 0;
	size_t n = 0;
	for (; name[n]; n++) {
		const char c = name[n];
		if (n == 16)
			return false;
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*out = v;
	return n == 16;
}

uint64_t netid_id(const char *name)
{
	uint64_t id;
	if (hex_id(name, &id))
		return id;
	id = 0xcbf29ce484222325; /* FNV-1a 64: offset basis and prime */
	for (const char *p = name; *p; p++)
		id = (id ^ (uint8_t)*p) * 0x100000001b3;
	return id;
}

uint32_t netid_unit(uint64_t id, uint32_t base)
{
	return base + NETID_UNIT_MIN + (uint32_t)((id ^ id >> 32 ^ id >> 48) % NETID_UNITS);
}

uint32_t netid_unit_next(uint32_t unit, uint32_t base)
{
	const uint32_t next = unit - base + 1;
	return base + (next < NETID_UNIT_MIN + NETID_UNITS ? next : NETID_UNIT_MIN);
}

void netid_names(uint32_t unit, char host[HOSTIF_NAME], char service[HOSTIF_NAME])
{
	snprintf(host, HOSTIF_NAME, "feth%u", (unsigned)unit);
	snprintf(service, HOSTIF_NAME, "feth%u", (unsigned)(unit + NETID_SERVICE_OFFSET));
}

static struct feth_mac mac_of(const struct netid_key *key, const char *text, size_t len)
{
	const uint64_t h = siphash24(key, text, len);
	struct feth_mac mac = { { 0x02 } };
	for (unsigned i = 1; i < 6; i++)
		mac.b[i] = (uint8_t)(h >> (8 * (i - 1)));
	return mac;
}

struct feth_mac netid_mac(const struct netid_key *key, const char *network, const char *port)
{
	char text[2 * (FETH_NAME_MAX + 1) + 1];
	/* '/' is in no name, so no two pairs of names give one text */
	const int len =
		snprintf(text, sizeof(text), "%s%s%s", network, port ? "/" : "", port ? port : "");
	return mac_of(key, text, (size_t)len);
}

struct feth_mac netid_service_mac(const struct netid_key *key, const char *tag)
{
	return mac_of(key, tag, strlen(tag));
}
