/* test_gro.c - which frames become one, and which do not. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "server/core/gro.h"
#include "server/core/offload.h"
#include "tests/support/flowpackets.h"

#define TSO (OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6)
#define ALL (TSO | OFFLOAD_ECN | OFFLOAD_USO4 | OFFLOAD_USO6)
#define ROOM 1600u

struct fixture {
	struct gro g;
	uint8_t bytes[GRO_BATCH][ROOM];
	struct frame frames[GRO_BATCH];
	unsigned n;
	struct segment_conf next;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (!f)
		return -1;
	f->next = (struct segment_conf){ .dst = 1,
		.src = 2,
		.ttl = 64,
		.df = true,
		.id = 65534,
		.sport = 5000,
		.dport = 80,
		.seq = 0xfffffc00,
		.ack = 77,
		.window = 501,
		.flags = FLAG_ACK,
		.options = 12,
		.stamp = 9,
		.size = 1000 };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void view(struct fixture *f, uint32_t len)
{
	assert_true(f->n < GRO_BATCH);
	f->frames[f->n] = (struct frame){ .head = f->bytes[f->n], .head_len = len, .len = len };
	f->n++;
}

/* The next segment of a flow; then it goes on behind it. */
static uint8_t *put(struct fixture *f, struct segment_conf *c)
{
	uint8_t *b = f->bytes[f->n];
	view(f, segment_write(b, c));
	c->seq += c->size;
	c->id++;
	return b;
}

/* What became of all so far: a letter a frame, the number of segments, "1" of a plain one. */
static void becomes(struct fixture *f, uint8_t takes, const char *want)
{
	char got[GRO_BATCH + 1];
	f->g.n_headers = 0;
	const unsigned n = gro_coalesce(&f->g, f->frames, f->n, takes, 0);
	if (!n) {
		memset(got, '1', f->n);
		got[f->n] = '\0';
	} else {
		for (unsigned i = 0; i < n; i++) {
			const struct frame *out = &f->g.frames[i];
			got[i] = (char)('0' + (out->offload.gso_type ? out->more_n : 1));
		}
		got[n] = '\0';
	}
	assert_string_equal(got, want);
	f->n = 0;
}

/* Segments of 1000 bytes that follow each other, but for what @change does to the second. */
static void second(struct fixture *f, const char *want, void (*change)(struct segment_conf *))
{
	struct segment_conf c = f->next;
	put(f, &c);
	change(&c);
	put(f, &c);
	becomes(f, ALL, want);
}

static void nothing(struct segment_conf *c)
{
	(void)c;
}

static void test_segments_that_follow_each_other_become_one(void **state)
{
	struct fixture *f = *state;
	for (unsigned kind = 0; kind < 8; kind++) {
		f->next.v6 = kind & 1;
		f->next.udp = kind & 2;
		f->next.vlan = kind & 4 ? 0x6005 : 0;
		second(f, "2", nothing);
		const struct frame *out = &f->g.frames[0];
		const uint32_t l3 = 14 + (kind & 4), l4 = l3 + (kind & 1 ? 40 : 20),
			       data = l4 + (kind & 2 ? 8 : 32);
		assert_int_equal(out->head_len, data);
		assert_int_equal(out->len, data + 2000);
		assert_ptr_equal(out->more[0].base, f->bytes[0] + data);
		assert_ptr_equal(out->more[1].base, f->bytes[1] + data);
		assert_int_equal(out->wire_hdr, 0);
		const struct offload *o = &out->offload;
		assert_int_equal(o->flags, VNET_NEEDS_CSUM);
		const uint8_t tcp = kind & 1 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
		const uint8_t udp = kind & 1 ? VNET_GSO_UDP_L4 | VNET_GSO_V6 : VNET_GSO_UDP_L4;
		assert_int_equal(o->gso_type, kind & 2 ? udp : tcp);
		assert_int_equal(o->gso_size, 1000);
		assert_int_equal(o->csum_start, l4);
		assert_int_equal(o->csum_offset, kind & 2 ? 6 : 16);
		assert_int_equal(o->hdr_len, data);
		uint8_t *flat = frame_flat(out);
		assert_true(super_has_pseudo(flat, out->len));
		free(flat);
	}
}

static void test_what_the_receiver_does_not_take_is_not_made(void **state)
{
	struct fixture *f = *state;
	const uint8_t bits[] = { OFFLOAD_TSO4, OFFLOAD_TSO6, OFFLOAD_USO4, OFFLOAD_USO6 };
	for (unsigned kind = 0; kind < 4; kind++) {
		f->next.v6 = kind & 1;
		f->next.udp = kind & 2;
		for (unsigned lacks = 0; lacks <= 5; lacks++) {
			struct segment_conf c = f->next;
			put(f, &c);
			put(f, &c);
			const uint8_t less = lacks < 4    ? bits[lacks]
					     : lacks == 4 ? OFFLOAD_CSUM
							  : OFFLOAD_ECN;
			becomes(f, (uint8_t)(ALL & ~less),
				lacks == kind || lacks == 4 ? "11" : "2");
		}
	}
}

static void test_a_longest_frame_is_kept_to(void **state)
{
	struct fixture *f = *state;
	struct segment_conf c = f->next;
	for (unsigned i = 0; i < 4; i++)
		put(f, &c);
	const uint32_t header = 66;
	assert_int_equal(gro_coalesce(&f->g, f->frames, 4, ALL, header + 2000), 2);
	assert_int_equal(f->g.frames[0].len, header + 2000);
	assert_int_equal(f->g.frames[1].len, header + 2000);
	f->g.n_headers = 0;
	assert_int_equal(gro_coalesce(&f->g, f->frames, 4, ALL, header + 2999), 2);
	f->g.n_headers = 0;
	assert_int_equal(gro_coalesce(&f->g, f->frames, 4, ALL, header + 1999), 0);
}

static void test_no_packet_is_longer_than_ip_allows(void **state)
{
	struct fixture *f = *state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct segment_conf c = f->next;
		c.v6 = v6;
		c.size = 1448;
		for (unsigned i = 0; i < GRO_BATCH; i++)
			put(f, &c);
		f->g.n_headers = 0;
		assert_int_equal(gro_coalesce(&f->g, f->frames, f->n, ALL, 0), 2);
		/* 52 or 72 bytes of headers, and 45 times 1448: one more would be 66 KiB */
		assert_int_equal(f->g.frames[0].more_n, 45);
		assert_int_equal(f->g.frames[1].more_n, GRO_BATCH - 45);
		f->n = 0;
	}
}

static void shorter(struct segment_conf *c)
{
	c->size = 999;
}

static void longer(struct segment_conf *c)
{
	c->size = 1001;
}

static void empty(struct segment_conf *c)
{
	c->size = 0;
}

static void test_only_the_last_is_shorter(void **state)
{
	struct fixture *f = *state;
	second(f, "2", shorter);
	second(f, "11", longer);
	second(f, "11", empty);
	struct segment_conf c = f->next;
	put(f, &c);
	c.size = 1;
	put(f, &c);
	put(f, &c);
	put(f, &c);
	becomes(f, ALL, "22");
}

static void gap(struct segment_conf *c)
{
	c->seq++;
}

static void again(struct segment_conf *c)
{
	c->seq -= c->size;
}

static void ack(struct segment_conf *c)
{
	c->ack++;
}

static void window(struct segment_conf *c)
{
	c->window++;
}

static void stamp(struct segment_conf *c)
{
	c->stamp++;
}

static void options(struct segment_conf *c)
{
	c->options += 4;
}

static void test_tcp_must_say_the_same_but_for_where_it_is(void **state)
{
	struct fixture *f = *state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		f->next.v6 = v6;
		second(f, "11", gap);
		second(f, "11", again);
		second(f, "11", ack);
		second(f, "11", window);
		second(f, "11", stamp);
		second(f, "11", options);
	}
}

static void tos(struct segment_conf *c)
{
	c->tos = 2;
}

static void ttl(struct segment_conf *c)
{
	c->ttl--;
}

static void label(struct segment_conf *c)
{
	c->label++;
}

static void no_df(struct segment_conf *c)
{
	c->df = !c->df;
}

static void id_far(struct segment_conf *c)
{
	c->id++;
}

static void id_back(struct segment_conf *c)
{
	c->id -= 2;
}

static void id_same(struct segment_conf *c)
{
	c->id--;
}

static void test_ip_must_say_the_same(void **state)
{
	struct fixture *f = *state;
	for (unsigned udp = 0; udp < 2; udp++) {
		f->next.udp = udp;
		f->next.v6 = false;
		second(f, "11", tos);
		second(f, "11", ttl);
		second(f, "11", no_df);
		second(f, "11", id_far);
		second(f, "11", id_back);
		f->next.v6 = true;
		second(f, "11", tos);
		second(f, "11", ttl);
		second(f, "11", label);
	}
}

static void test_an_identification_that_stays_is_accepted_of_what_is_not_fragmented(void **state)
{
	struct fixture *f = *state;
	second(f, "2", id_same);
	f->next.df = false;
	second(f, "11", id_same);
	second(f, "2", nothing);

	/* but it stays, or it grows */
	f->next.df = true;
	struct segment_conf c = f->next;
	put(f, &c);
	put(f, &c);
	c.id--;
	put(f, &c);
	c.id--;
	put(f, &c);
	becomes(f, ALL, "22");
	c = f->next;
	put(f, &c);
	c.id--;
	put(f, &c);
	put(f, &c);
	becomes(f, ALL, "21");
}

static void vlan(struct segment_conf *c)
{
	c->vlan = 7;
}

static void port(struct segment_conf *c)
{
	c->sport++;
}

static void address(struct segment_conf *c)
{
	c->src++;
}

static void test_flows_are_kept_apart(void **state)
{
	struct fixture *f = *state;
	second(f, "11", vlan);
	second(f, "11", port);
	second(f, "11", address);
	f->next.vlan = 8;
	second(f, "11", vlan);
	f->next.vlan = 0;

	struct segment_conf flows[GRO_FLOWS + 1];
	for (unsigned k = 0; k <= GRO_FLOWS; k++) {
		flows[k] = f->next;
		flows[k].sport += (uint16_t)k;
	}
	for (unsigned i = 0; i < 24; i++)
		put(f, &flows[i % GRO_FLOWS]);
	becomes(f, ALL, "33333333");
	/* of one more, each has made room when its next comes */
	for (unsigned i = 0; i < 2 * (GRO_FLOWS + 1); i++)
		put(f, &flows[i % (GRO_FLOWS + 1)]);
	becomes(f, ALL, "111111111111111111");
}

static void flags_are(struct fixture *f, const char *want, uint8_t a, uint8_t b, uint8_t c)
{
	struct segment_conf conf = f->next;
	const uint8_t flags[] = { a, b, c };
	for (unsigned i = 0; i < 3; i++) {
		conf.flags = flags[i];
		put(f, &conf);
	}
	becomes(f, ALL, want);
}

static void test_flags_are_those_that_cutting_gives_back(void **state)
{
	struct fixture *f = *state;
	const uint8_t a = FLAG_ACK;
	flags_are(f, "3", a, a, a | FLAG_PSH);
	assert_int_equal(f->g.frames[0].head[14 + 20 + 13], FLAG_ACK | FLAG_PSH);
	flags_are(f, "3", a, a, a | FLAG_FIN);
	flags_are(f, "3", a, a, a | FLAG_PSH | FLAG_FIN);
	flags_are(f, "21", a, a | FLAG_PSH, a);
	flags_are(f, "21", a, a | FLAG_FIN, a);
	flags_are(f, "12", a | FLAG_PSH, a, a);
	flags_are(f, "3", a | FLAG_ECE, a | FLAG_ECE, a | FLAG_ECE);
	flags_are(f, "12", a, a | FLAG_ECE, a | FLAG_ECE);
	flags_are(f, "21", a, a, a | FLAG_RST);
	flags_are(f, "111", a, a | FLAG_RST, a);
	flags_are(f, "111", a | FLAG_SYN, a | FLAG_SYN, a | FLAG_SYN);
	flags_are(f, "111", a | FLAG_URG, a | FLAG_URG, a | FLAG_URG);
	flags_are(f, "111", 0, 0, 0);
}

static void test_cwr_is_of_the_first_for_those_who_know_it(void **state)
{
	struct fixture *f = *state;
	const uint8_t a = FLAG_ACK, cwr = FLAG_ACK | FLAG_CWR;
	flags_are(f, "3", cwr, a, a);
	assert_int_equal(f->g.frames[0].offload.gso_type, VNET_GSO_TCPV4 | VNET_GSO_ECN);
	assert_int_equal(offload_needs(&f->g.frames[0]), OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_ECN);
	flags_are(f, "12", a, cwr, a);
	flags_are(f, "111", cwr, cwr, cwr | FLAG_PSH);
	struct segment_conf c = f->next;
	c.flags = cwr;
	put(f, &c);
	c.flags = a;
	put(f, &c);
	put(f, &c);
	put(f, &c);
	becomes(f, TSO, "13"); /* the others are nothing special */
}

static void test_a_wrong_checksum_is_handed_on_as_it_is(void **state)
{
	struct fixture *f = *state;
	for (unsigned kind = 0; kind < 4; kind++) {
		f->next.v6 = kind & 1;
		f->next.udp = kind & 2;
		for (unsigned bad = 0; bad < 4; bad++) {
			struct segment_conf c = f->next;
			for (unsigned i = 0; i < 4; i++) {
				uint8_t *b = put(f, &c);
				if (i == bad)
					b[500] ^= 1;
			}
			static const char *const want[] = { "13", "112", "211", "31" };
			becomes(f, ALL, want[bad]);
		}
	}
	f->next.v6 = f->next.udp = false;
	struct segment_conf c = f->next;
	put(f, &c);
	put(f, &c)[14 + 10] ^= 1; /* that of IPv4 */
	becomes(f, ALL, "11");
}

static void test_udp_without_a_checksum_stays_so(void **state)
{
	struct fixture *f = *state;
	f->next.udp = true;
	struct segment_conf c = f->next;
	for (unsigned i = 0; i < 2; i++)
		memset(put(f, &c) + 14 + 20 + 6, 0, 2);
	becomes(f, ALL, "11");
}

static void test_padding_fragments_options_and_lengths_that_lie_stay(void **state)
{
	struct fixture *f = *state;
	struct segment_conf c = f->next;
	put(f, &c);
	put(f, &c);
	f->frames[1].len = ++f->frames[1].head_len;
	becomes(f, ALL, "11");

	static const struct {
		uint8_t at, v;
	} changes[] = { { 14, 0x46 }, { 14, 0x55 }, { 16, 0xff }, { 16, 0 }, { 20, 0x20 },
		{ 21, 1 }, { 14 + 20 + 12, 0x40 }, { 14 + 20 + 12, 0xf0 } };
	for (unsigned k = 0; k < sizeof(changes) / sizeof(*changes); k++) {
		c = f->next;
		for (unsigned i = 0; i < 2; i++) {
			uint8_t *b = put(f, &c);
			b[changes[k].at] = changes[k].v;
			const uint32_t l4 = segment_l4(b);
			if (l4 + 20 < f->frames[i].len)
				segment_sums(b, f->frames[i].len);
		}
		becomes(f, ALL, "11");
	}
	f->next.udp = true;
	c = f->next;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *b = put(f, &c);
		b[14 + 20 + 5]++; /* the length of UDP */
		segment_sums(b, f->frames[i].len);
	}
	becomes(f, ALL, "11");
}

static void test_what_comes_between_is_not_overtaken(void **state)
{
	struct fixture *f = *state;
	struct segment_conf c = f->next;
	put(f, &c);
	put(f, &c);
	struct segment_conf pure = c;
	pure.size = 0;
	put(f, &pure); /* of the same flow */
	put(f, &c);
	put(f, &c);
	becomes(f, ALL, "212");

	put(f, &c);
	put(f, &c);
	memset(f->bytes[f->n], 0xff, 60); /* of none */
	view(f, 60);
	put(f, &c);
	put(f, &c);
	becomes(f, ALL, "212");

	struct segment_conf other = pure;
	other.sport++;
	put(f, &c);
	put(f, &c);
	put(f, &other);
	put(f, &c);
	becomes(f, ALL, "31");
}

static void test_a_frame_in_pieces_takes_part(void **state)
{
	struct fixture *f = *state;
	for (uint32_t at = 14; at < 140; at++) {
		struct segment_conf c = f->next;
		put(f, &c);
		put(f, &c);
		put(f, &c);
		struct seg more[3][2];
		for (unsigned i = 0; i < 3; i++) {
			const uint32_t mid = at + 101 + i, len = f->frames[i].len;
			f->frames[i].head_len = at;
			more[i][0] = (struct seg){ f->bytes[i] + at, mid - at };
			more[i][1] = (struct seg){ f->bytes[i] + mid, len - mid };
			f->frames[i].more = more[i];
			f->frames[i].more_n = 2;
		}
		f->g.n_headers = 0;
		assert_int_equal(gro_coalesce(&f->g, f->frames, 3, ALL, 0), 1);
		uint8_t *flat = frame_flat(&f->g.frames[0]);
		for (unsigned i = 0; i < 3; i++) {
			uint8_t segment[ROOM];
			const uint32_t len = super_segment(
				flat, f->g.frames[0].len, &f->g.frames[0].offload, i, segment);
			assert_int_equal(len, f->frames[i].len);
			assert_memory_equal(segment, f->bytes[i], len);
		}
		free(flat);
		f->n = 0;
	}
}

static void test_what_is_owed_already_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct segment_conf c = f->next;
	put(f, &c);
	put(f, &c);
	f->frames[1].offload.flags = VNET_NEEDS_CSUM;
	becomes(f, ALL, "11");
}

static void test_headers_of_earlier_calls_stay_and_run_out(void **state)
{
	struct fixture *f = *state;
	struct segment_conf c = f->next;
	const uint8_t *first = NULL;
	unsigned made = 0;
	put(f, &c);
	put(f, &c);
	while (gro_coalesce(&f->g, f->frames, 2, ALL, 0)) {
		if (!made++)
			first = f->g.frames[0].head;
		else
			assert_ptr_not_equal(f->g.frames[0].head, first);
	}
	assert_int_equal(made, GRO_HEADERS);
}

static void test_what_is_short_or_alone_is_not_looked_at(void **state)
{
	struct fixture *f = *state;
	struct segment_conf c = f->next;
	put(f, &c);
	assert_false(gro_worth(f->frames, 1));
	c.size = 0;
	put(f, &c);
	assert_false(gro_worth(f->frames, 2));
	c.size = 1000;
	put(f, &c);
	assert_true(gro_worth(f->frames, 3));
	f->bytes[0][12] = 0x88;
	assert_false(gro_worth(f->frames, 3));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_segments_that_follow_each_other_become_one),
		TEST(test_what_the_receiver_does_not_take_is_not_made),
		TEST(test_a_longest_frame_is_kept_to),
		TEST(test_no_packet_is_longer_than_ip_allows),
		TEST(test_only_the_last_is_shorter),
		TEST(test_tcp_must_say_the_same_but_for_where_it_is),
		TEST(test_ip_must_say_the_same),
		TEST(test_an_identification_that_stays_is_accepted_of_what_is_not_fragmented),
		TEST(test_flows_are_kept_apart),
		TEST(test_flags_are_those_that_cutting_gives_back),
		TEST(test_cwr_is_of_the_first_for_those_who_know_it),
		TEST(test_a_wrong_checksum_is_handed_on_as_it_is),
		TEST(test_udp_without_a_checksum_stays_so),
		TEST(test_padding_fragments_options_and_lengths_that_lie_stay),
		TEST(test_what_comes_between_is_not_overtaken),
		TEST(test_a_frame_in_pieces_takes_part),
		TEST(test_what_is_owed_already_is_left_alone),
		TEST(test_headers_of_earlier_calls_stay_and_run_out),
		TEST(test_what_is_short_or_alone_is_not_looked_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
