/* dhcp.c - see dhcp.h. */
#include "server/core/dhcp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/core/be.h"

/* As arguments of "%u.%u.%u.%u". */
#define DOTTED(n) (n) >> 24, (n) >> 16 & 255u, (n) >> 8 & 255u, (n)&255u

static uint32_t mask(const struct cidr *c)
{
	return UINT32_MAX << (32 - c->prefix); /* cidr_parse(): 1 to 32 */
}

bool dhcp_parse(struct dhcp_want *out, const char *text, const char **why)
{
	uint8_t from[4], to[4];
	*why = "it must be two IPv4 addresses such as 10.77.0.50-10.77.0.150";
	if (!ipv4_parse(from, &text) || *text++ != '-' || !ipv4_parse(to, &text) || *text)
		return false;
	*why = "the first address is above the last";
	if (get32(from) > get32(to))
		return false;
	*out = (struct dhcp_want){
		.on = true, .given = true, .from = get32(from), .to = get32(to)
	};
	return true;
}

void dhcp_format(char out[DHCP_RANGE_TEXT], const struct dhcp_facts *facts)
{
	snprintf(out, DHCP_RANGE_TEXT, "%u.%u.%u.%u-%u.%u.%u.%u", DOTTED(facts->from),
		DOTTED(facts->to));
}

/* The host's own address between @from and @to, or 0. */
static uint32_t own_between(const struct hostif_spec *spec, uint32_t from, uint32_t to)
{
	for (unsigned i = 0; i < spec->n_addrs; i++) {
		const uint32_t own = get32(spec->addrs[i].addr);
		if (spec->addrs[i].family == 4 && own >= from && own <= to)
			return own;
	}
	return 0;
}

static int choose_given(const struct hostif_spec *spec, const struct dhcp_want *want,
	struct dhcp_facts *out, struct err *err)
{
	char text[DHCP_RANGE_TEXT];
	*out = (struct dhcp_facts){ .on = true, .given = true, .from = want->from, .to = want->to };
	dhcp_format(text, out);
	for (unsigned i = 0; i < spec->n_addrs; i++) {
		const struct cidr *c = &spec->addrs[i];
		if (c->family != 4 || c->prefix > 30)
			continue;
		const uint32_t first = get32(c->addr) & mask(c), last = first | ~mask(c);
		if (want->from < first || want->to > last)
			continue;
		if (want->from == first || want->to == last)
			return err_set(err, -EINVAL,
				"dhcp: %s has the network's or the broadcast address in it; give a "
				"range between %u.%u.%u.%u and %u.%u.%u.%u",
				text, DOTTED(first + 1), DOTTED(last - 1));
		const uint32_t own = own_between(spec, want->from, want->to);
		if (own)
			return err_set(err, -EINVAL,
				"dhcp: %s has the host's own address %u.%u.%u.%u in it; give a "
				"range without it",
				text, DOTTED(own));
		out->at = (uint8_t)i;
		return 0;
	}
	return err_set(err, -EINVAL,
		"dhcp: %s is not in the subnet of an IPv4 address of the network; give another "
		"range, or an address such as 10.77.0.1/24",
		text);
}

static int choose_half(const struct hostif_spec *spec, struct dhcp_facts *out, struct err *err)
{
	const struct cidr *c = NULL;
	uint8_t at = 0;
	for (; at < spec->n_addrs && !c; at++)
		if (spec->addrs[at].family == 4 && spec->addrs[at].prefix <= 30)
			c = &spec->addrs[at];
	if (!c)
		return err_set(err, -EINVAL,
			"dhcp: the network has no IPv4 address with room beside it; give one such "
			"as 10.77.0.1/24");
	const uint32_t first = get32(c->addr) & mask(c), last = first | ~mask(c);
	const uint32_t middle = first + (last - first) / 2 + 1;
	*out = (struct dhcp_facts){
		.on = true, .at = (uint8_t)(at - 1), .from = middle, .to = last - 1
	};
	if (own_between(spec, middle, last - 1)) {
		out->from = first + 1;
		out->to = middle - 1;
	}
	if (own_between(spec, out->from, out->to))
		return err_set(err, -EINVAL,
			"dhcp: the host has addresses in both halves of %u.%u.%u.%u/%u; give a "
			"range FROM-TO",
			DOTTED(first), (unsigned)c->prefix);
	if (out->to - out->from >= DHCP_LEASES_MAX)
		out->to = out->from + DHCP_LEASES_MAX - 1;
	return 0;
}

int dhcp_choose(const struct hostif_spec *spec, const struct dhcp_want *want,
	struct dhcp_facts *out, struct err *err)
{
	struct dhcp_facts chosen = { 0 };
	int rc = 0;
	if (want->on)
		rc = want->given ? choose_given(spec, want, &chosen, err)
				 : choose_half(spec, &chosen, err);
	if (!rc)
		*out = chosen;
	return rc;
}

bool dhcp_same(const struct dhcp_facts *a, const struct dhcp_facts *b)
{
	return a->on == b->on && a->from == b->from && a->to == b->to;
}

void dhcp_conf(char out[DHCP_CONF_TEXT], const struct hostif_spec *spec,
	const struct dhcp_facts *facts, bool router, const struct dhcp_runas *who)
{
	const struct cidr *c = &spec->addrs[facts->at];
	const uint32_t host = get32(c->addr);
	char privilege[256] = "", gateway[64] = "dhcp-option=option:router\n";
	if (who->user)
		snprintf(
			privilege, sizeof(privilege), "user=%s\ngroup=%s\n", who->user, who->group);
	else if (who->stay)
		snprintf(privilege, sizeof(privilege), "no-daemon\n");
	if (router)
		snprintf(gateway, sizeof(gateway), "dhcp-option=option:router,%u.%u.%u.%u\n",
			DOTTED(host));
	snprintf(out, DHCP_CONF_TEXT,
		"# Written by fethd for the network %s; what is changed here is lost.\n"
		"keep-in-foreground\n"
		"log-facility=-\n"
		"quiet-dhcp\n"
		"%s"
		/* this interface alone; by its addresses, so that others may have port 53 of
		 * theirs (bind-dynamic would do the same, but is unknown on macOS) */
		"interface=%s\n"
		"except-interface=lo\n"
		"bind-interfaces\n"
		/* names: the guests', and what the host's own resolver knows. /etc/hosts says
		 * of the host what only the host can use (127.0.1.1) */
		"no-hosts\n"
		"domain-needed\n"
		"dhcp-range=%u.%u.%u.%u,%u.%u.%u.%u,%u.%u.%u.%u,1h\n"
		"dhcp-lease-max=%u\n"
		/* nobody else serves here, and a lease file that is lost is no reason to refuse */
		"dhcp-authoritative\n"
		"%s"
		"dhcp-option=option:dns-server,%u.%u.%u.%u\n"
		/* a guest of this name would become everybody's proxy (CERT VU#598349) */
		"dhcp-name-match=set:wpad-ignore,wpad\n"
		"dhcp-ignore-names=tag:wpad-ignore\n",
		spec->network, privilege, spec->host, DOTTED(facts->from), DOTTED(facts->to),
		DOTTED(mask(c)), DHCP_LEASES_MAX, gateway, DOTTED(host));
}
