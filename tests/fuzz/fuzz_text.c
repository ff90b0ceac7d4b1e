/* fuzz_text.c - the parsers of text.h and rights.h: what they take they must write so that they
 * take it again. */
#include <stdio.h>

#include "protocol/rights.h"
#include "protocol/text.h"
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
	free(copy);
	return 0;
}
