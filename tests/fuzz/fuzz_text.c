/* fuzz_text.c - the parsers of text.h, rights.h, dial.h and dhcp.h: what they take they must write
 * so that they take it again; and what is found in what nft and pfctl print (nat.h). */
#include <ctype.h>
#include <stdio.h>

#include "protocol/rights.h"
#include "protocol/text.h"
#include "server/core/dhcp.h"
#include "server/core/dial.h"
#include "server/core/nat.h"
#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

static void mac(const char *text)
{
	struct feth_mac a, b;
	char out[MAC_TEXT];
	if (!mac_parse(&a, text))
		return;
	mac_format(out, a);
	must(mac_parse(&b, out) && mac_equal(a, b));
}

static void cidr(const char *text)
{
	struct cidr a, b;
	const char *why = NULL;
	char out[CIDR_TEXT];
	if (!cidr_parse(&a, text, &why)) {
		must(why);
		return;
	}
	must((a.family == 4 && a.prefix <= 32) || (a.family == 6 && a.prefix <= 128));
	cidr_format(out, &a);
	must(cidr_parse(&b, out, &why) && cidr_equal(&a, &b));
	char twice[CIDR_TEXT];
	cidr_format(twice, &b);
	must(!strcmp(out, twice));
}

static void rule(const char *text)
{
	struct allow a, b;
	const char *why = NULL;
	char out[UNIX_NAME + 32];
	if (!allow_parse(&a, text, &why)) {
		must(why);
		return;
	}
	must(a.name[0] && strlen(a.name) < UNIX_NAME);
	must(a.rights && !(a.rights & ~RIGHTS_NETWORK));
	snprintf(out, sizeof(out), "%s:%s=", a.group ? "group" : "user", a.name);
	for (unsigned right = RIGHT_ATTACH; right <= RIGHT_CONTROL; right <<= 1)
		if (a.rights & right)
			snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s",
				out[strlen(out) - 1] == '=' ? "" : ",", right_name(right));
	must(allow_parse(&b, out, &why));
	must(a.group == b.group && a.rights == b.rights && !strcmp(a.name, b.name));
}

static void range(const char *text)
{
	struct dhcp_want a, b;
	const char *why = NULL;
	char out[DHCP_RANGE_TEXT];
	if (!dhcp_parse(&a, text, &why)) {
		must(why);
		return;
	}
	must(a.on && a.given && a.from <= a.to);
	dhcp_format(out, &(struct dhcp_facts){ .from = a.from, .to = a.to });
	must(!strcmp(out, text) && dhcp_parse(&b, out, &why));
	must(a.from == b.from && a.to == b.to);
}

/* What is taken is taken whole, and stays here only where it says so itself. */
static void call(const char *connect)
{
	struct dial_text text = { 0 };
	struct dial dial;
	const char *field = NULL, *why = NULL;
	if (!*connect || strlen(connect) >= sizeof(text.connect))
		return;
	strcpy(text.connect, connect);
	if (!dial_parse(&dial, &text, &field, &why)) {
		must(field && why);
		return;
	}
	if (dial.way == DIAL_PATH) {
		must(!strcmp(dial.path, connect) && connect[0] == '/' && dial_is_local(&dial));
		return;
	}
	must(dial.way == DIAL_TCP && dial.remote.port && strlen(connect) < 4 + ENDPOINT_TEXT);
	if (dial.remote.family == 4)
		must(dial_is_local(&dial) == !strncmp(connect, "tcp:127.", 8));
}

static void tables(const char *text)
{
	char name[NAT_NAME];
	for (const char *p = text, *before = p; nat_find(&p, "fethd-1-", name); before = p) {
		must(p > before && p <= text + strlen(text));
		must(!strncmp(name, "fethd-1-", 8) && name[8] && strlen(name) < NAT_NAME);
		for (const char *c = name; *c; c++) /* nft will read it */
			must(isalnum((unsigned char)*c) || *c == '-' || *c == '_');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *bytes = (char *)exact_copy(data, len);
	const bool text = utf8_valid(bytes, len);
	free(bytes);

	uint8_t *copy = malloc(len + 1);
	must(copy);
	if (len)
		memcpy(copy, data, len);
	copy[len] = '\0';
	const char *s = (const char *)copy;
	if (name_valid(s))
		must(strlen(s) <= FETH_NAME_MAX && name_same(s, s) && (strlen(s) < len || text));
	mac(s);
	cidr(s);
	rule(s);
	range(s);
	call(s);
	tables(s);
	free(copy);
	return 0;
}
