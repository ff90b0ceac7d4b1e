/* text.c - see text.h. */
#include "protocol/text.h"

#include <stdio.h>
#include <string.h>

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool name_valid(const char *name)
{
	const size_t len = strlen(name);
	if (!len || len > FETH_NAME_MAX || !is_alnum(name[0]))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_alnum(name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return true;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool name_same(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return *a == *b;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mac_parse(struct feth_mac *out, const char *text)
{
	if (strlen(text) != MAC_TEXT - 1)
		return false;

	struct feth_mac mac;
	const char sep = text[2];
	if (sep != ':' && sep != '-')
		return false;
	for (size_t i = 0; i < 6; i++) {
		const char *p = text + 3 * i;
		const int hi = hex(p[0]), lo = hex(p[1]);
		if (hi < 0 || lo < 0 || (i < 5 && p[2] != sep))
			return false;
		mac.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*out = mac;
	return true;
}

void mac_format(char out[MAC_TEXT], struct feth_mac mac)
{
	snprintf(out, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac.b[0], mac.b[1], mac.b[2],
		mac.b[3], mac.b[4], mac.b[5]);
}

bool mac_equal(struct feth_mac a, struct feth_mac b)
{
	return !memcmp(a.b, b.b, sizeof(a.b));
}

bool mac_is_group(struct feth_mac mac)
{
	return mac.b[0] & 1;
}

bool mac_is_zero(struct feth_mac mac)
{
	static const struct feth_mac zero;
	return mac_equal(mac, zero);
}

/* A decimal of 1 to 3 digits, without leading zeros, at *p; advances *p. -1: none. */
static int decimal(const char **p, int max)
{
	int v = 0, digits = 0;
	const char *s = *p;
	for (; *s >= '0' && *s <= '9' && digits < 4; s++, digits++)
		v = v * 10 + (*s - '0');
	if (!digits || digits > 3 || v > max || (digits > 1 && **p == '0'))
		return -1;
	*p = s;
	return v;
}

bool ipv4_parse(uint8_t out[4], const char **text)
{
	const char *p = *text;
	for (int i = 0; i < 4; i++) {
		if (i && *p++ != '.')
			return false;
		const int v = decimal(&p, 255);
		if (v < 0)
			return false;
		out[i] = (uint8_t)v;
	}
	*text = p;
	return true;
}

/* RFC 4291, 2.2: up to eight groups, one "::" may stand for zeros, the last 32 bits may be dotted.
 */
static bool ipv6_parse(uint8_t out[16], const char **text)
{
	uint8_t bytes[16] = { 0 };
	size_t n = 0;
	size_t gap = SIZE_MAX;
	const char *p = *text;

	if (p[0] == ':' && p[1] == ':') {
		gap = 0;
		p += 2;
	}
	while (n < 16 && hex(*p) >= 0) {
		const char *v4 = p;
		if (n <= 12 && ipv4_parse(bytes + n, &v4)) {
			n += 4;
			p = v4;
			break;
		}
		unsigned v = 0;
		int digits = 0;
		for (; hex(*p) >= 0 && digits < 5; p++, digits++)
			v = v << 4 | (unsigned)hex(*p);
		if (digits > 4)
			return false;
		bytes[n++] = (uint8_t)(v >> 8);
		bytes[n++] = (uint8_t)v;
		if (*p != ':')
			break;
		if (p[1] == ':') {
			if (gap != SIZE_MAX)
				return false;
			gap = n;
			p += 2;
		} else if (n < 16 && hex(p[1]) >= 0) {
			p++;
		} else {
			return false;
		}
	}
	if (gap == SIZE_MAX ? n != 16 : n > 14)
		return false;

	memset(out, 0, 16);
	const size_t before = gap == SIZE_MAX ? n : gap;
	memcpy(out, bytes, before);
	memcpy(out + 16 - (n - before), bytes + before, n - before);
	*text = p;
	return true;
}

static bool all(const uint8_t *p, size_t n, uint8_t v)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != v)
			return false;
	return true;
}

/* Whether all bits behind the prefix are `bit`. */
static bool host_bits(const struct cidr *c, bool bit)
{
	for (unsigned i = c->prefix; i < (c->family == 4 ? 32u : 128u); i++)
		if (((c->addr[i / 8] >> (7 - i % 8)) & 1) != bit)
			return false;
	return true;
}

bool cidr_parse(struct cidr *out, const char *text, const char **why)
{
	struct cidr c = { 0 };
	const char *p = text;
	if (ipv4_parse(c.addr, &p)) {
		c.family = 4;
	} else if (p = text, ipv6_parse(c.addr, &p)) {
		c.family = 6;
	} else {
		*why = "it is no IPv4 or IPv6 address";
		return false;
	}

	*why = "a prefix length such as /24 or /64 must follow";
	if (*p++ != '/')
		return false;
	const int prefix = decimal(&p, c.family == 4 ? 32 : 128);
	if (prefix < 1 || *p)
		return false;
	c.prefix = (uint8_t)prefix;

	*why = "no interface can have this address";
	if (c.family == 4) {
		if (c.addr[0] == 0 || c.addr[0] == 127 || c.addr[0] >= 224)
			return false;
		*why = "it is the network's or broadcast address of its prefix";
		if (c.prefix <= 30 && (host_bits(&c, false) || host_bits(&c, true)))
			return false;
	} else if (c.addr[0] == 0xff || (all(c.addr, 15, 0) && c.addr[15] <= 1)) {
		return false;
	}
	*out = c;
	return true;
}

void cidr_format(char out[CIDR_TEXT], const struct cidr *cidr)
{
	const uint8_t *a = cidr->addr;
	if (cidr->family == 4) {
		snprintf(out, CIDR_TEXT, "%u.%u.%u.%u/%u", a[0], a[1], a[2], a[3], cidr->prefix);
		return;
	}

	/* RFC 5952: lower case, no leading zeros, "::" for the first longest run of two or more */
	unsigned group[8], best = 8, best_len = 1;
	for (unsigned i = 0; i < 8; i++)
		group[i] = (unsigned)a[(size_t)2 * i] << 8 | a[(size_t)2 * i + 1];
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;
		while (i + n < 8 && !group[i + n])
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
	}

	size_t at = 0;
	for (unsigned i = 0; i < 8; i++) {
		if (i == best) {
			at += (size_t)snprintf(out + at, CIDR_TEXT - at, "::");
			i += best_len - 1;
			continue;
		}
		at += (size_t)snprintf(out + at, CIDR_TEXT - at, "%s%x",
			i && i != best + best_len ? ":" : "", group[i]);
	}
	snprintf(out + at, CIDR_TEXT - at, "/%u", cidr->prefix);
}

bool cidr_equal(const struct cidr *a, const struct cidr *b)
{
	return a->family == b->family && a->prefix == b->prefix &&
	       !memcmp(a->addr, b->addr, a->family == 4 ? 4 : 16);
}

/* Of 1 to 65535; -1. */
static int port_number(const char *p)
{
	int v = 0;
	if (*p < '1' || *p > '9')
		return -1;
	for (; *p >= '0' && *p <= '9' && v <= 65535; p++)
		v = v * 10 + (*p - '0');
	return *p || v > 65535 ? -1 : v;
}

bool endpoint_parse(struct endpoint *out, const char *text, const char **why)
{
	struct endpoint e = { .family = 4 };
	const bool bracket = *text == '[';
	const char *p = text + bracket;
	*why = "give an address, such as 127.0.0.1 or [::1]; names are not looked up";
	if (bracket ? !ipv6_parse(e.addr, &p) || *p++ != ']' : !ipv4_parse(e.addr, &p))
		return false;
	if (bracket)
		e.family = 6;
	*why = "a port of 1 to 65535 must follow the address, as in 127.0.0.1:5000";
	const int port = *p == ':' ? port_number(p + 1) : -1;
	if (port < 0)
		return false;
	e.port = (uint16_t)port;
	*out = e;
	return true;
}

bool endpoint_is_loopback(const struct endpoint *end)
{
	if (end->family == 4)
		return end->addr[0] == 127;
	return all(end->addr, 15, 0) && end->addr[15] == 1;
}

bool utf8_valid(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t i = 0;
	while (i < len) {
		const uint8_t c = p[i];
		if (c && c < 0x80) {
			i++;
			continue;
		}
		const size_t n = c >= 0xc2 && c <= 0xdf   ? 2
				 : c >= 0xe0 && c <= 0xef ? 3
				 : c >= 0xf0 && c <= 0xf4 ? 4
							  : 0;
		if (!n || len - i < n)
			return false;
		for (size_t k = 1; k < n; k++)
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
		if ((c == 0xe0 && p[i + 1] < 0xa0) || (c == 0xed && p[i + 1] > 0x9f) ||
			(c == 0xf0 && p[i + 1] < 0x90) || (c == 0xf4 && p[i + 1] > 0x8f))
			return false;
		i += n;
	}
	return true;
}
