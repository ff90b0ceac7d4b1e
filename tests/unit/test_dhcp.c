/* test_dhcp.c - core/dhcp.c: which addresses are given away, and what dnsmasq reads. */
#include "tests/support/test.h"

#include <errno.h>
#include <string.h>

#include "server/core/dhcp.h"

static struct hostif_spec spec_with(const char *const *addrs)
{
	struct hostif_spec spec = { .network = "lab", .host = "feth101" };
	const char *why;
	for (; *addrs; addrs++)
		assert_true(cidr_parse(&spec.addrs[spec.n_addrs++], *addrs, &why));
	return spec;
}

#define SPEC(...) spec_with((const char *const[]){ __VA_ARGS__, NULL })

/* The range that follows from the addresses, or from @text. */
static const char *chosen(const struct hostif_spec *spec, const char *text, struct err *err)
{
	static char out[DHCP_RANGE_TEXT];
	struct dhcp_want want = { .on = true };
	struct dhcp_facts facts = { .at = 99 };
	const char *why;
	if (text)
		assert_true(dhcp_parse(&want, text, &why));
	*err = (struct err){ 0 };
	const int rc = dhcp_choose(spec, &want, &facts, err);
	assert_int_equal(rc, err->code);
	if (rc < 0) {
		assert_int_equal(rc, -EINVAL);
		assert_int_equal(facts.at, 99); /* left alone */
		assert_false(facts.on);
		return NULL;
	}
	assert_true(facts.on);
	assert_int_equal(facts.given, text != NULL);
	dhcp_format(out, &facts);
	return out;
}

static void assert_range(const struct hostif_spec *spec, const char *text, const char *range)
{
	struct err err;
	const char *got = chosen(spec, text, &err);
	assert_non_null(got);
	assert_string_equal(got, range);
}

static void assert_refused(const struct hostif_spec *spec, const char *text, const char *words)
{
	struct err err;
	assert_null(chosen(spec, text, &err));
	assert_non_null(strstr(err.text, words));
}

static void test_a_range_is_two_addresses_in_order(void **state)
{
	(void)state;
	struct dhcp_want want = { 0 };
	const char *why;
	assert_true(dhcp_parse(&want, "10.77.0.50-10.77.0.150", &why));
	assert_true(want.on && want.given);
	assert_int_equal(want.from, 0x0a4d0032);
	assert_int_equal(want.to, 0x0a4d0096);
	assert_true(dhcp_parse(&want, "255.255.255.255-255.255.255.255", &why));

	static const char *const wrong[] = { "", "-", "10.77.0.50", "10.77.0.50-", "-10.77.0.50",
		"10.77.0.50-150", "10.77.0.50 - 10.77.0.150", "10.77.0.50-10.77.0.150 ",
		"10.77.0.50-10.77.0.150/24", "10.77.0.050-10.77.0.150", "10.77.0.50-10.77.0.256",
		"fd00::1-fd00::2", "10.77.0.50,10.77.0.150", "true", "10.77.0.51-10.77.0.50" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		want.from = 7;
		why = NULL;
		assert_false(dhcp_parse(&want, wrong[i], &why));
		assert_non_null(why);
		assert_int_equal(want.from, 7);
	}
}

static void test_without_a_range_it_is_the_upper_half(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("10.77.0.1/24");
	assert_range(&s, NULL, "10.77.0.128-10.77.0.254");
	s = SPEC("192.168.5.127/24");
	assert_range(&s, NULL, "192.168.5.128-192.168.5.254");
	s = SPEC("172.16.0.1/30");
	assert_range(&s, NULL, "172.16.0.2-172.16.0.2");
	s = SPEC("172.16.0.9/29");
	assert_range(&s, NULL, "172.16.0.12-172.16.0.14");
}

static void test_or_the_lower_half_if_the_host_is_in_the_upper(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("10.77.0.254/24");
	assert_range(&s, NULL, "10.77.0.1-10.77.0.127");
	s = SPEC("10.77.0.128/24");
	assert_range(&s, NULL, "10.77.0.1-10.77.0.127");
	s = SPEC("172.16.0.2/30");
	assert_range(&s, NULL, "172.16.0.1-172.16.0.1");
	s = SPEC("10.77.0.1/24", "10.77.0.200/24");
	assert_refused(&s, NULL, "both halves of 10.77.0.0/24");
	assert_range(&s, "10.77.0.2-10.77.0.199", "10.77.0.2-10.77.0.199");
}

static void test_a_large_subnet_gives_as_many_as_a_network_has_ports(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("10.0.0.1/8");
	assert_range(&s, NULL, "10.128.0.0-10.128.3.255");
	s = SPEC("128.0.0.1/1");
	assert_range(&s, NULL, "192.0.0.0-192.0.3.255");
	s = SPEC("10.0.0.1/21");
	assert_range(&s, NULL, "10.0.4.0-10.0.7.254");
}

static void test_the_first_ipv4_address_with_room_counts(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("fd00::1/64", "10.1.1.1/32", "10.2.2.2/31", "10.77.0.1/24");
	struct dhcp_facts facts;
	assert_int_equal(dhcp_choose(&s, &(struct dhcp_want){ .on = true }, &facts, NULL), 0);
	assert_int_equal(facts.at, 3);
	s = SPEC("fd00::1/64");
	assert_refused(&s, NULL, "no IPv4 address");
	s = SPEC("10.1.1.1/32", "10.2.2.2/31");
	assert_refused(&s, NULL, "no IPv4 address with room");
	s.n_addrs = 0;
	assert_refused(&s, NULL, "such as 10.77.0.1/24");
}

static void test_a_given_range_lies_in_one_subnet_and_spares_the_host(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("10.1.0.1/24", "10.77.0.1/24");
	struct dhcp_want want;
	struct dhcp_facts facts;
	const char *why;
	assert_true(dhcp_parse(&want, "10.77.0.2-10.77.0.254", &why));
	assert_int_equal(dhcp_choose(&s, &want, &facts, NULL), 0);
	assert_int_equal(facts.at, 1);
	assert_range(&s, "10.77.0.9-10.77.0.9", "10.77.0.9-10.77.0.9");

	assert_refused(&s, "10.77.0.1-10.77.0.1", "own address 10.77.0.1");
	assert_refused(&s, "10.1.0.1-10.1.0.9", "own address 10.1.0.1");
	assert_refused(&s, "10.77.0.0-10.77.0.9", "between 10.77.0.1 and 10.77.0.254");
	assert_refused(&s, "10.77.0.9-10.77.0.255", "broadcast");
	assert_refused(&s, "10.77.0.9-10.77.1.9", "10.77.0.9-10.77.1.9 is not in the subnet");
	assert_refused(&s, "10.1.0.9-10.77.0.9", "not in the subnet");
	assert_refused(&s, "10.78.0.2-10.78.0.9", "not in the subnet");
}

static void test_off_is_nothing(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("fd00::1/64");
	struct dhcp_facts facts = { .on = true, .from = 7 }, zero = { 0 };
	assert_int_equal(dhcp_choose(&s, &(struct dhcp_want){ 0 }, &facts, NULL), 0);
	assert_true(dhcp_same(&facts, &zero));
	assert_false(facts.on);
}

/* Whether the configuration has this line. */
static bool has(const char *conf, const char *line)
{
	const size_t len = strlen(line);
	for (const char *p = strstr(conf, line); p; p = strstr(p + 1, line))
		if ((p == conf || p[-1] == '\n') && p[len] == '\n')
			return true;
	return false;
}

static void test_dnsmasq_is_told_of_one_interface(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("10.1.0.1/24", "10.77.4.1/22");
	struct dhcp_want want;
	struct dhcp_facts facts;
	const char *why;
	char conf[DHCP_CONF_TEXT];
	assert_true(dhcp_parse(&want, "10.77.5.0-10.77.6.255", &why));
	assert_int_equal(dhcp_choose(&s, &want, &facts, NULL), 0);
	struct dhcp_runas who = { .user = "nobody", .group = "nogroup" };
	dhcp_conf(conf, &s, &facts, true, &who);
	assert_true(has(conf, "interface=feth101"));
	assert_true(has(conf, "bind-interfaces"));
	assert_true(has(conf, "dhcp-range=10.77.5.0,10.77.6.255,255.255.252.0,1h"));
	assert_true(has(conf, "dhcp-option=option:router,10.77.4.1"));
	assert_true(has(conf, "dhcp-option=option:dns-server,10.77.4.1"));
	assert_true(has(conf, "user=nobody"));
	assert_true(has(conf, "group=nogroup"));
	assert_true(has(conf, "no-hosts"));
	assert_true(has(conf, "keep-in-foreground"));

	who = (struct dhcp_runas){ 0 };
	dhcp_conf(conf, &s, &facts, false, &who);
	assert_true(has(conf, "dhcp-option=option:router")); /* none is announced */
	assert_null(strstr(conf, "user="));
	assert_null(strstr(conf, "group="));
	assert_false(has(conf, "no-daemon"));

	who.stay = true;
	dhcp_conf(conf, &s, &facts, false, &who);
	assert_true(has(conf, "no-daemon"));
}

static void test_the_longest_configuration_fits(void **state)
{
	(void)state;
	struct hostif_spec s = SPEC("203.200.200.200/24");
	struct dhcp_facts facts = { .on = true, .from = UINT32_MAX, .to = UINT32_MAX };
	char conf[DHCP_CONF_TEXT];
	char user[101];
	memset(user, 'u', 100);
	user[100] = '\0';
	memset(s.network, 'n', FETH_NAME_MAX);
	memset(s.host, 'h', HOSTIF_NAME - 1);
	const struct dhcp_runas who = { .user = user, .group = user };
	dhcp_conf(conf, &s, &facts, true, &who);
	assert_true(has(conf, "dhcp-ignore-names=tag:wpad-ignore"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_range_is_two_addresses_in_order),
		cmocka_unit_test(test_without_a_range_it_is_the_upper_half),
		cmocka_unit_test(test_or_the_lower_half_if_the_host_is_in_the_upper),
		cmocka_unit_test(test_a_large_subnet_gives_as_many_as_a_network_has_ports),
		cmocka_unit_test(test_the_first_ipv4_address_with_room_counts),
		cmocka_unit_test(test_a_given_range_lies_in_one_subnet_and_spares_the_host),
		cmocka_unit_test(test_off_is_nothing),
		cmocka_unit_test(test_dnsmasq_is_told_of_one_interface),
		cmocka_unit_test(test_the_longest_configuration_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
