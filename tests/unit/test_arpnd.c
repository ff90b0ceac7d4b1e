/* test_arpnd.c - server/core/arpnd.c: whom a frame of ARP or ND says it is from. */
#include "tests/support/test.h"

#include <stdio.h>

#include "tests/support/claims.h"

static struct claims c; /* long */

/* What is read: the last bytes of the addresses claimed, "?" where it is doubtful, "r" where they
 * are another's, "-" where nobody looks inside at all. */
static void reads(const struct frame *frame, const char *want)
{
	static uint8_t scratch[ARPND_SCRATCH];
	struct arpnd a;
	mac_key claim;
	char got[64] = "";
	arpnd_read(frame, scratch, &a);
	while (arpnd_next(&a, &claim) && strlen(got) < 40) {
		const struct feth_mac mac = mac_of_key(claim);
		assert_memory_equal(mac.b, mac_n(0).b, 5);
		snprintf(got + strlen(got), 16, "%u ", mac.b[5]);
	}
	snprintf(got + strlen(got), 8, "%s%s%s", a.doubtful ? "?" : "", a.of_another ? "r" : "",
		arpnd_may(frame) ? "" : "-");
	assert_string_equal(got, want);
}

/* The frame in one piece without a byte behind it, and then in every two pieces. */
static void claims(const char *want)
{
	uint8_t *copy = exact_copy(c.b, c.len);
	const struct frame whole = { .head = copy, .head_len = c.len, .len = c.len };
	reads(&whole, want);
	free(copy);
	for (uint32_t cut = 14; strcmp(want, "-") && cut < c.len; cut++) {
		uint8_t *first = exact_copy(c.b, cut), *rest = exact_copy(c.b + cut, c.len - cut);
		const struct seg more = { rest, c.len - cut };
		const struct frame two = {
			.head = first, .head_len = cut, .len = c.len, .more = &more, .more_n = 1
		};
		reads(&two, want);
		free(first);
		free(rest);
	}
}

static void test_arp_claims_its_sender_whatever_the_operation(void **state)
{
	(void)state;
	for (unsigned operation = 0; operation < 12; operation++) {
		claims_begin(&c, 1);
		claims_16(&c, ETH_P_ARP);
		claims_arp_body(&c, operation, 5);
		claims("5 ");
	}
}

static void test_rarp_and_aarp_are_laid_out_the_same(void **state)
{
	static const uint16_t types[] = { ETH_P_RARP, ETH_P_AARP };
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		claims_begin(&c, 1);
		claims_16(&c, types[i]);
		claims_arp_body(&c, 3, 6);
		claims("6 ");
		claims_begin(&c, 1);
		claims_snap(&c, types[i]);
		claims_arp_body(&c, 3, 6);
		claims("6 ");
	}
}

static void test_an_arp_of_other_lengths_is_read_at_the_same_place_and_doubtful(void **state)
{
	(void)state;
	claims_arp(&c, 1, 5);
	c.b[18] = 8; /* hlen */
	claims("5 ?");
	claims_arp(&c, 1, 5);
	c.b[18] = 0;
	claims("5 ?");
	claims_arp(&c, 1, 5);
	c.b[19] = 16; /* plen: behind the address */
	claims("5 ");
	claims_arp(&c, 1, 5);
	c.len = 14 + 13; /* cut in the address */
	claims("?");
	c.len = 14;
	reads(&(struct frame){ .head = c.b, .head_len = 14, .len = 14 }, "?");
}

static void test_up_to_two_tags_are_passed_over_and_three_are_doubtful(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		claims_begin(&c, 1);
		for (unsigned i = 0; i < n; i++)
			claims_tag(&c, i ? ETH_P_CTAG : ETH_P_STAG);
		claims_16(&c, ETH_P_ARP);
		claims_arp_body(&c, 1, 5);
		claims(n < 3 ? "5 " : "?");
	}
}

static void test_each_message_of_nd_claims_what_its_options_say(void **state)
{
	(void)state;
	for (unsigned type = 133; type <= 137; type++) {
		const char *another = type == 137 ? "r" : "";
		char want[16];
		claims_nd(&c, 1, type, 9);
		snprintf(want, sizeof(want), "9 %s", another);
		claims(want);
		/* both kinds, among others, and padding of the frame behind the packet */
		claims_begin(&c, 1);
		claims_16(&c, ETH_P_IP6);
		claims_ip6(&c, 58);
		claims_nd_body(&c, type);
		claims_option(&c, 5, 1); /* an MTU, or anything */
		claims_option(&c, 1, 2);
		claims_byte(&c, 3);
		claims_byte(&c, 4);
		claims_zero(&c, 30);
		claims_option(&c, 2, 3);
		claims_end(&c);
		claims_option(&c, 2, 4);
		snprintf(want, sizeof(want), "2 3 %s", another);
		claims(want);
	}
}

static void test_nd_without_options_claims_nothing(void **state)
{
	(void)state;
	for (unsigned type = 133; type <= 137; type++) {
		claims_begin(&c, 1);
		claims_16(&c, ETH_P_IP6);
		claims_ip6(&c, 58);
		claims_nd_body(&c, type);
		claims_end(&c);
		claims("");
		c.len--; /* cut: nobody reads it */
		claims("");
	}
}

static void test_options_that_end_nowhere_are_doubtful(void **state)
{
	(void)state;
	claims_nd(&c, 1, 135, 9);
	c.b[c.len - 7] = 0; /* of no length: what is there is read all the same */
	claims("9 ?");
	claims_nd(&c, 1, 135, 9);
	c.b[c.len - 7] = 2; /* longer than the packet, and than an address */
	claims("9 ?");
	claims_nd(&c, 1, 135, 9);
	c.len -= 2;
	claims_end(&c);
	claims("?");
	claims_nd(&c, 1, 135, 9);
	claims_byte(&c, 1); /* half an option */
	claims_end(&c);
	claims("9 ?");
	claims_nd(&c, 1, 136, 9);
	c.b[c.len - 7] = 3; /* an address of 22 bytes */
	claims_zero(&c, 16);
	claims_option(&c, 2, 4);
	claims_end(&c);
	claims("9 4 ?");
}

static void test_other_icmpv6_and_other_protocols_claim_nothing(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		if (type >= 133 && type <= 137)
			continue;
		claims_nd(&c, 1, 135, 9);
		c.b[c.ip + 40] = (uint8_t)type;
		claims("");
	}
	claims_nd(&c, 1, 135, 9);
	c.b[c.ip + 6] = 6;
	claims("-");
	c.b[c.ip + 6] = 17;
	claims("-");
	c.b[c.ip + 6] = 59;
	claims("");
	claims_arp(&c, 1, 5);
	c.b[12] = 8; /* IPv4 */
	c.b[13] = 0;
	claims("-");
	c.b[12] = 0x88; /* nobody's */
	claims("-");
}

static void test_extension_headers_are_passed_over(void **state)
{
	static const uint8_t kinds[] = { 0, 43, 51, 60, 135, 139, 140 };
	(void)state;
	for (unsigned i = 0; i < sizeof(kinds); i++) {
		claims_begin(&c, 1);
		claims_tag(&c, ETH_P_CTAG);
		claims_16(&c, ETH_P_IP6);
		claims_ip6(&c, kinds[i]);
		claims_extension(&c, kinds[i], kinds[i], 16);
		claims_extension(&c, kinds[i], 60, 24);
		claims_extension(&c, 60, 58, 8);
		claims_nd_body(&c, 135);
		claims_option(&c, 1, 9);
		claims_end(&c);
		claims("9 ");
	}
}

static void test_nd_in_a_first_fragment_is_doubtful_and_a_later_one_is_nothing(void **state)
{
	(void)state;
	for (unsigned offset = 0; offset < 2; offset++) {
		claims_begin(&c, 1);
		claims_16(&c, ETH_P_IP6);
		claims_ip6(&c, 44);
		claims_extension(&c, 44, 60, 8);
		c.b[c.len - 5] = (uint8_t)(offset << 3 | 1);
		claims_extension(&c, 60, 58, 8);
		claims_nd_body(&c, 136);
		claims_option(&c, 2, 9);
		claims_end(&c);
		claims(offset ? "" : "9 ?");
	}
	/* a first one that does not say what it is of (RFC 7112) */
	claims_begin(&c, 1);
	claims_16(&c, ETH_P_IP6);
	claims_ip6(&c, 44);
	claims_extension(&c, 44, 60, 8);
	claims_extension(&c, 60, 58, 8);
	claims_end(&c);
	claims("?");
	c.len -= 4;
	claims_end(&c);
	claims("?");
	/* of a ping: like any other */
	claims_begin(&c, 1);
	claims_16(&c, ETH_P_IP6);
	claims_ip6(&c, 44);
	claims_extension(&c, 44, 58, 8);
	claims_byte(&c, 128);
	claims_zero(&c, 40);
	claims_end(&c);
	claims("");
}

static void test_a_header_that_no_host_could_read_is_nothing(void **state)
{
	(void)state;
	claims_nd(&c, 1, 135, 9);
	const uint32_t whole = c.len;
	for (c.len = 14; c.len < 14 + 40; c.len++) {
		uint8_t *copy = exact_copy(c.b, c.len);
		const struct frame frame = { .head = copy, .head_len = c.len, .len = c.len };
		reads(&frame, "");
		free(copy);
	}
	c.len = whole;
	c.b[c.ip + 6] = 60; /* the solicitation as an option header: longer than the packet */
	c.b[c.ip + 41] = 200;
	claims("");
}

static void test_a_message_longer_than_scratch_in_pieces_is_doubtful(void **state)
{
	(void)state;
	claims_begin(&c, 1);
	claims_16(&c, ETH_P_IP6);
	claims_ip6(&c, 58);
	claims_nd_body(&c, 134);
	while (c.len < 2000)
		claims_option(&c, 5, 1);
	claims_option(&c, 1, 9);
	claims_end(&c);
	struct frame frame = claims_frame(&c);
	reads(&frame, "9 "); /* in one piece it is read */
	const struct seg more = { c.b + 100, c.len - 100 };
	frame.head_len = 100;
	frame.more = &more;
	frame.more_n = 1;
	reads(&frame, "?");
	c.b[c.ip + 40] = 128; /* a ping of that length is none of ours */
	reads(&frame, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arp_claims_its_sender_whatever_the_operation),
		cmocka_unit_test(test_rarp_and_aarp_are_laid_out_the_same),
		cmocka_unit_test(
			test_an_arp_of_other_lengths_is_read_at_the_same_place_and_doubtful),
		cmocka_unit_test(test_up_to_two_tags_are_passed_over_and_three_are_doubtful),
		cmocka_unit_test(test_each_message_of_nd_claims_what_its_options_say),
		cmocka_unit_test(test_nd_without_options_claims_nothing),
		cmocka_unit_test(test_options_that_end_nowhere_are_doubtful),
		cmocka_unit_test(test_other_icmpv6_and_other_protocols_claim_nothing),
		cmocka_unit_test(test_extension_headers_are_passed_over),
		cmocka_unit_test(
			test_nd_in_a_first_fragment_is_doubtful_and_a_later_one_is_nothing),
		cmocka_unit_test(test_a_header_that_no_host_could_read_is_nothing),
		cmocka_unit_test(test_a_message_longer_than_scratch_in_pieces_is_doubtful),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
