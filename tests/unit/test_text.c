/* test_text.c - protocol/text.c: names, MAC addresses, IP addresses, UTF-8. */
#include "tests/support/test.h"

#include <string.h>

#include "protocol/text.h"

static void test_names_are_a_letter_or_digit_and_31_more(void **state)
{
	(void)state;
	static const char *const good[] = { "a", "Z", "0", "lab", "8056c2e21c000001", "a-", "a_-_",
		"native-1", "abcdefghijklmnopqrstuvwxyz012345" /* 32 */ };
	static const char *const wrong[] = { "", "-a", "_a", ".", "..", "a.b", "a/b", "/", "a b",
		" a", "a\n", "a:b", "caf\xc3\xa9", "\xff", "a\x7f", "@", "[", "`", "{", "a@",
		"abcdefghijklmnopqrstuvwxyz0123456" /* 33 */ };
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(name_valid(good[i]));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(name_valid(wrong[i]));
}

static void test_names_that_differ_in_case_only_are_the_same(void **state)
{
	(void)state;
	assert_true(name_same("Lab", "lAB"));
	assert_true(name_same("", ""));
	assert_true(name_same("a-1_Z", "A-1_z"));
	assert_false(name_same("lab", "lab1"));
	assert_false(name_same("lab1", "lab"));
	assert_false(name_same("lab", ""));
	assert_false(name_same("a-", "a_"));
	assert_false(name_same("@", "`")); /* 0x20 apart, and no letters */
	assert_false(name_same("[", "{"));
}

static void test_mac_addresses_are_six_pairs_with_one_kind_of_joint(void **state)
{
	(void)state;
	static const uint8_t want[6] = { 0x02, 0x00, 0x5e, 0xab, 0xcd, 0xef };
	static const char *const good[] = { "02:00:5e:ab:cd:ef", "02-00-5E-AB-CD-EF",
		"02:00:5e:Ab:cD:EF" };
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct feth_mac mac;
		assert_true(mac_parse(&mac, good[i]));
		assert_memory_equal(mac.b, want, 6);
	}

	static const char *const wrong[] = { "", "02", "02:00:5e:ab:cd:e", "02:00:5e:ab:cd:eff",
		"02:00:5e:ab:cd:ef ", "02:00:5e:ab:cd-ef", "02-00:5e:ab:cd:ef", "02005eabcdef",
		"02:00:5e:ab:cd:eg", "0x:00:5e:ab:cd:ef", "2:00:5e:ab:cd:ef:", "02.00.5e.ab.cd.ef",
		"02:00:5e:ab:cd:ef\n", "::::::::::::::::::", ":::::::::::::::::" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct feth_mac mac = { { 9, 9, 9, 9, 9, 9 } };
		assert_false(mac_parse(&mac, wrong[i]));
		assert_memory_equal(mac.b, "\t\t\t\t\t\t", 6); /* left alone */
	}
}

static void test_mac_addresses_are_written_in_lower_case(void **state)
{
	(void)state;
	char out[MAC_TEXT];
	mac_format(out, (struct feth_mac){ { 0x02, 0x00, 0x5e, 0xab, 0xcd, 0xef } });
	assert_string_equal(out, "02:00:5e:ab:cd:ef");
}

static void test_group_and_zero_addresses_are_told(void **state)
{
	(void)state;
	assert_true(mac_is_group((struct feth_mac){ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } }));
	assert_true(mac_is_group((struct feth_mac){ { 0x01, 0, 0x5e, 0, 0, 1 } }));
	assert_false(mac_is_group((struct feth_mac){ { 0xfe, 1, 1, 1, 1, 1 } }));
	assert_true(mac_is_zero((struct feth_mac){ { 0 } }));
	assert_false(mac_is_zero((struct feth_mac){ { 0, 0, 0, 0, 0, 1 } }));
	assert_true(mac_equal((struct feth_mac){ { 1 } }, (struct feth_mac){ { 1 } }));
	assert_false(
		mac_equal((struct feth_mac){ { 1 } }, (struct feth_mac){ { 1, 0, 0, 0, 0, 1 } }));
}

static void test_addresses_are_written_as_rfc_5952_says(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "10.0.0.1/24", "10.0.0.1/24" },
		{ "192.168.100.254/30", "192.168.100.254/30" },
		{ "2001:DB8::1/64", "2001:db8::1/64" },            /* 4.3: lower case */
		{ "2001:0db8:0000::0001/128", "2001:db8::1/128" }, /* 4.1: no leading zeros */
		{ "2001:db8:0:0:0:0:2:1/64", "2001:db8::2:1/64" }, /* 4.2.1: shorten fully */
		{ "2001:db8:0:1:1:1:1:1/64", "2001:db8:0:1:1:1:1:1/64" }, /* 4.2.2: not one group */
		{ "2001:db8::1:1:1:1:1/64", "2001:db8:0:1:1:1:1:1/64" },
		{ "2001:0:0:1:0:0:0:1/64", "2001:0:0:1::1/64" },       /* 4.2.3: the longest */
		{ "2001:db8:0:0:1:0:0:1/64", "2001:db8::1:0:0:1/64" }, /* 4.2.3: the first of two */
		{ "fd00:1:2:3:4:5:6::/64", "fd00:1:2:3:4:5:6:0/64" },
		{ "::2/128", "::2/128" },
		{ "fe80::/10", "fe80::/10" },
		{ "::1:2:3:4:5:6:7/64", "0:1:2:3:4:5:6:7/64" },
		{ "64:ff9b::192.0.2.33/96", "64:ff9b::c000:221/96" },
		{ "1:2:3:4:5:6:10.1.2.3/64", "1:2:3:4:5:6:a01:203/64" },
		{ "ffff::/1", NULL }, /* multicast */
		{ "feff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128",
			"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct cidr c;
		const char *why;
		char out[CIDR_TEXT];
		const bool good = cidr_parse(&c, rows[i][0], &why);
		assert_int_equal(good, rows[i][1] != NULL);
		if (!good)
			continue;
		cidr_format(out, &c);
		assert_string_equal(out, rows[i][1]);

		struct cidr again;
		assert_true(cidr_parse(&again, out, &why));
		assert_true(cidr_equal(&c, &again));
	}
}

static void refused(const char *want, const char *const *rows)
{
	for (; *rows; rows++) {
		struct cidr c = { .family = 9 };
		const char *why = NULL;
		if (cidr_parse(&c, *rows, &why))
			fail_msg("%s was taken", *rows);
		assert_string_equal(why, want);
		assert_int_equal(c.family, 9); /* left alone */
	}
}

static void test_text_that_is_no_address_is_refused_with_the_reason(void **state)
{
	(void)state;
	refused("it is no IPv4 or IPv6 address",
		(const char *const[]){ "", "/24", "lab", "10.0.0/24", "10.0.0.256/24",
			"10.0.0.01/24", "010.0.0.1/24", "10..0.1/24", "10.0.0.0001/24",
			"1.2.3.-4/8", ":", ":1::/64", "1:/64", "1:2:3:4:5:6:7/64",
			"1:2:3:4:5:6:7:8:9/64", "1::2::3/64", "12345::1/64", "g::1/64",
			"1:2:3:4:5:6:7:8::/64", "::1:2:3:4:5:6:7:8/64", "0x10.0.0.1/24", NULL });
	refused("a prefix length such as /24 or /64 must follow",
		(const char *const[]){ "10.0.0.1", "10.0.0.1/", "10.0.0.1/0", "10.0.0.1/33",
			"10.0.0.1/024", "10.0.0.1/24 ", "10.0.0.1/24/24", "10.0.0.1 /24",
			"10.0.0.1/-1", "10.0.0.1/1000", "10.0.0.1.5/24", "fd00::1", "fd00::1/0",
			"fd00::1/129", "fd00::1%eth0/64", "fd00::1/64x", "fd00::1.2.3.4.5/64",
			"1:::2/64", "::1.2.3/64", "1.2.3.4::/64", NULL });
}

static void test_addresses_no_interface_can_have_are_refused(void **state)
{
	(void)state;
	refused("no interface can have this address",
		(const char *const[]){ "0.0.0.0/8", "0.1.2.3/8", "127.0.0.1/8", "224.0.0.1/24",
			"239.1.1.1/8", "240.0.0.1/8", "255.255.255.255/32", "::/128", "::1/128",
			"ff02::1/64", "ff00::/8", "::0.0.0.1/128", NULL });
	refused("it is the network's or broadcast address of its prefix",
		(const char *const[]){ "10.0.0.0/24", "10.0.0.255/24", "10.255.255.255/8",
			"10.0.0.4/30", "10.0.0.7/30", "128.0.0.0/1", NULL });
	/* RFC 3021 and host routes have neither */
	struct cidr c;
	const char *why;
	assert_true(cidr_parse(&c, "10.0.0.0/31", &why));
	assert_true(cidr_parse(&c, "10.0.0.1/31", &why));
	assert_true(cidr_parse(&c, "10.0.0.0/32", &why));
	assert_true(cidr_parse(&c, "10.0.0.5/30", &why));
	assert_true(cidr_parse(&c, "223.255.255.254/1", &why));
}

static void test_cidrs_are_equal_in_all_parts_or_not(void **state)
{
	(void)state;
	struct cidr a, b;
	const char *why;
	assert_true(cidr_parse(&a, "10.0.0.1/24", &why));
	b = a;
	b.addr[15] = 7; /* beyond an IPv4 address: nothing */
	assert_true(cidr_equal(&a, &b));
	assert_true(cidr_parse(&b, "10.0.0.1/25", &why));
	assert_false(cidr_equal(&a, &b));
	assert_true(cidr_parse(&b, "10.0.0.2/24", &why));
	assert_false(cidr_equal(&a, &b));
	assert_true(cidr_parse(&a, "fd00::1/64", &why));
	assert_true(cidr_parse(&b, "fd00::2/64", &why));
	assert_false(cidr_equal(&a, &b));
}

static void test_endpoints_are_an_address_and_a_port(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned family, last, port;
		bool loopback;
	} good[] = {
		{ "127.0.0.1:1", 4, 1, 1, true },
		{ "127.255.3.2:65535", 4, 2, 65535, true },
		{ "128.0.0.1:80", 4, 1, 80, false },
		{ "0.0.0.0:80", 4, 0, 80, false }, /* all of this machine's */
		{ "[::1]:5000", 6, 1, 5000, true },
		{ "[::]:5000", 6, 0, 5000, false },
		{ "[1::1]:5000", 6, 1, 5000, false },
		{ "[::ffff:127.0.0.1]:5000", 6, 1, 5000, false }, /* of which kernels differ */
		{ "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535", 6, 255, 65535, false },
	};
	static const char *const bad[] = { "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
		"127.0.0.1:65536", "127.0.0.1:99999999999", "127.0.0.1:080", "127.0.0.1:8x",
		"127.0.0.1:8 ", " 127.0.0.1:8", "127.0.0.1 :8", "127.0.0:8", "256.0.0.1:8", "::1:8",
		"[::1]", "[::1:8", "[::1]8", "[]:8", "[127.0.0.1]:8", "[fe80::1%eth0]:8",
		"localhost:80", ":80", "127.0.0.1:-1", "127.0.0.1:+1" };
	struct endpoint e;
	const char *why;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(endpoint_parse(&e, good[i].text, &why));
		assert_int_equal(e.family, good[i].family);
		assert_int_equal(e.addr[e.family == 4 ? 3 : 15], good[i].last);
		assert_int_equal(e.port, good[i].port);
		assert_int_equal(endpoint_is_loopback(&e), good[i].loopback);
		assert_true(strlen(good[i].text) < ENDPOINT_TEXT);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		why = NULL;
		if (endpoint_parse(&e, bad[i], &why))
			fail_msg("%s is none", bad[i]);
		assert_non_null(why);
	}
}

static void test_utf8_is_valid_as_rfc_3629_says(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "", true },
		{ "hello\n\x7f", true },
		{ "\xc2\x80", true },          /* U+0080, the first of two bytes */
		{ "\xdf\xbf", true },          /* U+07FF, the last */
		{ "\xe0\xa0\x80", true },      /* U+0800 */
		{ "\xed\x9f\xbf", true },      /* U+D7FF, below the surrogates */
		{ "\xee\x80\x80", true },      /* U+E000, above them */
		{ "\xef\xbf\xbf", true },      /* U+FFFF */
		{ "\xf0\x90\x80\x80", true },  /* U+10000 */
		{ "\xf4\x8f\xbf\xbf", true },  /* U+10FFFF, the last of all */
		{ "\x80", false },             /* a tail alone */
		{ "\xc0\x80", false },         /* NUL in two bytes */
		{ "\xc1\xbf", false },         /* overlong */
		{ "\xe0\x9f\xbf", false },     /* overlong */
		{ "\xf0\x8f\xbf\xbf", false }, /* overlong */
		{ "\xed\xa0\x80", false },     /* U+D800 */
		{ "\xed\xbf\xbf", false },     /* U+DFFF */
		{ "\xf4\x90\x80\x80", false }, /* U+110000 */
		{ "\xf5\x80\x80\x80", false },
		{ "\xff", false },
		{ "\xc2", false }, /* cut */
		{ "\xe2\x82", false },
		{ "\xf0\x9f\x98", false },
		{ "\xc2\x41", false }, /* a head without its tail */
		{ "\xe2\x82\x41", false },
		{ "\xf0\x9f\x98\xc0", false },
		{ "ok\xc3\xa9ok\xc3", false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (utf8_valid(rows[i].text, strlen(rows[i].text)) != rows[i].good)
			fail_msg("row %zu", i);
	assert_false(utf8_valid("a\0b", 3)); /* C strings cannot carry it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_a_letter_or_digit_and_31_more),
		cmocka_unit_test(test_names_that_differ_in_case_only_are_the_same),
		cmocka_unit_test(test_mac_addresses_are_six_pairs_with_one_kind_of_joint),
		cmocka_unit_test(test_mac_addresses_are_written_in_lower_case),
		cmocka_unit_test(test_group_and_zero_addresses_are_told),
		cmocka_unit_test(test_addresses_are_written_as_rfc_5952_says),
		cmocka_unit_test(test_text_that_is_no_address_is_refused_with_the_reason),
		cmocka_unit_test(test_addresses_no_interface_can_have_are_refused),
		cmocka_unit_test(test_cidrs_are_equal_in_all_parts_or_not),
		cmocka_unit_test(test_endpoints_are_an_address_and_a_port),
		cmocka_unit_test(test_utf8_is_valid_as_rfc_3629_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
