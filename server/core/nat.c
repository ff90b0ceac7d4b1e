/* nat.c - see nat.h. */
#include "server/core/nat.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/core/netid.h"

void nat_prefix(char out[NAT_NAME], const char *run_dir)
{
	snprintf(out, NAT_NAME, "fethd-%016" PRIx64 "-", netid_id(run_dir));
}

void nat_name(char out[NAT_NAME], const char *run_dir, const char *network)
{
	nat_prefix(out, run_dir);
	const size_t at = strlen(out);
	snprintf(out + at, NAT_NAME - at, "%s", network);
}

bool nat_possible(const struct hostif_spec *spec)
{
	for (unsigned i = 0; i < spec->n_addrs; i++)
		if (spec->addrs[i].family == 4)
			return true;
	return false;
}

/* Text that is put together; what does not fit is a mistake of ours, and shows as a syntax error.
 */
struct text {
	char *out;
	size_t at;
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
add(struct text *t, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	const int n = vsnprintf(t->out + t->at, NAT_TEXT - t->at, format, ap);
	va_end(ap);
	t->at += n < 0 ? 0 : (size_t)n;
	if (t->at >= NAT_TEXT)
		t->at = NAT_TEXT - 1;
}

/* The subnet of an address. */
static void subnet(char out[CIDR_TEXT], const struct cidr *c)
{
	struct cidr net = *c;
	for (unsigned bit = c->prefix; bit < 32; bit++)
		net.addr[bit / 8] = (uint8_t)(net.addr[bit / 8] & ~(0x80u >> bit % 8));
	cidr_format(out, &net);
}

void nat_nft(char out[NAT_TEXT], const char *table, const struct hostif_spec *spec)
{
	struct text t = { .out = out };
	char net[CIDR_TEXT];
	/* to name it makes it, so that it can be deleted in any case */
	add(&t, "table ip %s\ndelete table ip %s\n", table, table);
	if (!spec)
		return;
	add(&t,
		"table ip %s {\n\tchain postrouting {\n"
		"\t\ttype nat hook postrouting priority 100; policy accept;\n",
		table);
	for (unsigned i = 0; i < spec->n_addrs; i++) {
		if (spec->addrs[i].family != 4)
			continue;
		subnet(net, &spec->addrs[i]);
		add(&t, "\t\tip saddr %s oifname != \"%s\" masquerade\n", net, spec->host);
	}
	add(&t,
		"\t}\n\tchain forward {\n"
		"\t\ttype filter hook forward priority 0; policy accept;\n"
		"\t\toifname != \"%s\" accept\n"
		"\t\tiifname \"%s\" accept\n"
		"\t\tct state established,related accept\n"
		"\t\tct status dnat accept\n"
		"\t\tdrop\n\t}\n}\n",
		spec->host, spec->host);
}

void nat_pf(char out[NAT_TEXT], const struct hostif_spec *spec, const char *outside)
{
	struct text t = { .out = out };
	char net[CIDR_TEXT];
	out[0] = '\0';
	for (unsigned i = 0; i < spec->n_addrs; i++) {
		if (spec->addrs[i].family != 4)
			continue;
		subnet(net, &spec->addrs[i]);
		add(&t, "nat on %s inet from %s to any -> (%s)\n", outside, net, outside);
	}
}

static bool in_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

bool nat_find(const char **list, const char *prefix, char out[NAT_NAME])
{
	const char *found;
	while ((found = strstr(*list, prefix))) {
		const bool whole = found == *list || !in_name(found[-1]);
		size_t len = strlen(prefix);
		while (in_name(found[len]))
			len++;
		*list = found + len;
		if (!whole || len >= NAT_NAME || len == strlen(prefix))
			continue;
		memcpy(out, found, len);
		out[len] = '\0';
		return true;
	}
	return false;
}
