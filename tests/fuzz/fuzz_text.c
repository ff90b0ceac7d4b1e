/* fuzz_text.c - the parsers of text.h: what they take they must write so that they take it again.
 */
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
	free(copy);
	return 0;
}
