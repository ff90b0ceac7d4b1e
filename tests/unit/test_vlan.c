/* test_vlan.c - to which VLAN a frame belongs, and how it leaves. */
#include "tests/support/test.h"

#include <errno.h>

#include "server/core/rules.h"
#include "tests/support/eth.h"

/* A frame of an address field 02:00:00:00:00:02 from :01, then these bytes. */
struct made {
	uint8_t b[64];
	struct frame frame;
};

static struct frame *make(struct made *m, const char *rest, uint32_t len)
{
	m->frame = eth_frame(m->b, 2, 1, 0, 12 + len < 15 ? 15 : 12 + len, 0);
	memcpy(m->b + 12, rest, len);
	m->frame.len = m->frame.head_len = 12 + len;
	return &m->frame;
}

#define PLAIN "\x08\x00payload", 9u
#define PRIORITY "\x81\x00\xa0\x00\x08\x00payload", 13u
#define TAG10 "\x81\x00\x60\x0a\x08\x00payload", 13u
#define TAG20 "\x81\x00\x00\x14\x08\x00payload", 13u
#define TAG10_20 "\x81\x00\x00\x0a\x81\x00\x00\x14\x08\x00payload", 17u
#define PRIORITY_20 "\x81\x00\x00\x00\x81\x00\x00\x14\x08\x00payload", 17u
#define TAG10_S "\x81\x00\x00\x0a\x88\xa8\x00\x14\x08\x00payload", 17u
#define STAG "\x88\xa8\x00\x0a\x08\x00payload", 13u
#define CUT "\x81\x00\x00\x0a\x08", 5u

static const struct vlan_rule access10 = { .kind = VLAN_ACCESS, .native = 10 };
static const struct vlan_rule trunk = {
	.kind = VLAN_TRUNK, .n = 2, .tagged = { { 20, 29 }, { 40, 40 } }
};
static const struct vlan_rule trunk10 = {
	.kind = VLAN_TRUNK, .native = 10, .n = 1, .tagged = { { 20, 29 } }
};

static unsigned of(const struct vlan_rule *rule, const char *rest, uint32_t len)
{
	struct made m;
	return vlan_of(rule, make(&m, rest, len));
}

static void test_a_transparent_port_says_its_vlan_by_the_tag(void **state)
{
	(void)state;
	const struct vlan_rule clear = { .kind = VLAN_TRANSPARENT, .native = 7 };
	for (unsigned i = 0; i < 2; i++) {
		const struct vlan_rule *rule = i ? &clear : NULL;
		assert_int_equal(of(rule, PLAIN), 0);
		assert_int_equal(of(rule, PRIORITY), 0);
		assert_int_equal(of(rule, TAG10), 10);
		assert_int_equal(of(rule, TAG10_20), 10);
		assert_int_equal(of(rule, PRIORITY_20), 0);
		assert_int_equal(of(rule, STAG), 0);
		assert_int_equal(of(rule, CUT), 0);
		assert_int_equal(of(rule, "\x81\x00\xff\xff\x08\x00", 6), 4095);
	}
}

static void test_an_access_port_has_one_vlan_and_knows_of_none(void **state)
{
	(void)state;
	assert_int_equal(of(&access10, PLAIN), 10);
	assert_int_equal(of(&access10, PRIORITY), 10);
	assert_int_equal(of(&access10, TAG20), VLAN_REFUSED);
	assert_int_equal(of(&access10, TAG10), VLAN_REFUSED); /* its own is no better */
	assert_int_equal(of(&access10, PRIORITY_20), VLAN_REFUSED);
	assert_int_equal(
		of(&access10, "\x81\x00\x00\x00\x88\xa8\x00\x14\x08\x00", 10), VLAN_REFUSED);
	assert_int_equal(of(&access10, TAG10_20), VLAN_REFUSED);
	assert_int_equal(of(&access10, STAG), VLAN_REFUSED);
	assert_int_equal(of(&access10, CUT), VLAN_REFUSED);
}

static void test_a_trunk_has_those_of_its_list_and_a_native_one(void **state)
{
	(void)state;
	assert_int_equal(of(&trunk10, PLAIN), 10);
	assert_int_equal(of(&trunk10, PRIORITY), 10);
	assert_int_equal(of(&trunk10, TAG10), 10);
	assert_int_equal(of(&trunk10, TAG20), 20);
	assert_int_equal(of(&trunk10, TAG10_20), 10);
	assert_int_equal(of(&trunk10, "\x81\x00\x00\x1e\x08\x00", 6), VLAN_REFUSED); /* 30 */
	assert_int_equal(of(&trunk10, "\x81\x00\x0f\xff\x08\x00", 6), VLAN_REFUSED);
	assert_int_equal(of(&trunk10, STAG), VLAN_REFUSED);
	assert_int_equal(of(&trunk10, CUT), VLAN_REFUSED);
	assert_int_equal(of(&trunk10, PRIORITY_20), VLAN_REFUSED);
	assert_int_equal(of(&trunk, PLAIN), VLAN_REFUSED);
	assert_int_equal(of(&trunk, PRIORITY), VLAN_REFUSED);
	assert_int_equal(of(&trunk, TAG10), VLAN_REFUSED);
	assert_int_equal(of(&trunk, TAG20), 20);
}

static void test_who_is_a_member_gets_it_with_its_tag_or_without(void **state)
{
	(void)state;
	assert_int_equal(vlan_form(NULL, 0), VLAN_AS_IS);
	assert_int_equal(vlan_form(NULL, 10), VLAN_TAGGED);
	assert_int_equal(vlan_form(NULL, 4095), VLAN_TAGGED);
	assert_int_equal(vlan_form(&access10, 10), VLAN_UNTAGGED);
	assert_int_equal(vlan_form(&access10, 0), VLAN_NOT);
	assert_int_equal(vlan_form(&access10, 11), VLAN_NOT);
	assert_int_equal(vlan_form(&trunk10, 10), VLAN_UNTAGGED);
	assert_int_equal(vlan_form(&trunk10, 0), VLAN_NOT);
	assert_int_equal(vlan_form(&trunk, 0), VLAN_NOT);
	assert_int_equal(vlan_form(&trunk, 19), VLAN_NOT);
	assert_int_equal(vlan_form(&trunk, 20), VLAN_TAGGED);
	assert_int_equal(vlan_form(&trunk, 29), VLAN_TAGGED);
	assert_int_equal(vlan_form(&trunk, 30), VLAN_NOT);
	assert_int_equal(vlan_form(&trunk, 40), VLAN_TAGGED);
	assert_int_equal(vlan_form(&trunk, 4095), VLAN_NOT);
}

/* The bytes of a frame behind its addresses, whatever pieces it is in. */
static uint32_t flatten(const struct frame *f, uint8_t out[80])
{
	uint32_t n = f->head_len;
	memcpy(out, f->head, n);
	for (unsigned i = 0; i < f->more_n; i++) {
		memcpy(out + n, f->more[i].base, f->more[i].len);
		n += (uint32_t)f->more[i].len;
	}
	assert_int_equal(n, f->len);
	assert_true(f->head_len >= FETH_FRAME_MIN);
	return n;
}

/* Whole, and cut into pieces at every place from 14 on. */
static void edits(
	const char *rest, uint32_t len, enum vlan_form form, const char *want, uint32_t want_len)
{
	struct made m;
	make(&m, rest, len);
	for (uint32_t at = 14; at <= m.frame.len; at++) {
		uint8_t header[VLAN_HEADER], flat[80];
		const uint32_t mid = at + (m.frame.len - at) / 2;
		const struct seg more[3] = { { m.b + at, mid - at }, { m.b, 0 },
			{ m.b + mid, m.frame.len - mid } };
		struct seg segs[4];
		struct frame out, f = m.frame;
		f.framing = FRAMING_QEMU;
		f.wire_hdr = 4;
		if (at < f.len) {
			f.head_len = at;
			f.more = more;
			f.more_n = 3;
			f.wire_hdr = 0;
		}
		const int n = vlan_edit(&f, form, 10, header, segs, &out);
		if (!want) {
			assert_int_equal(n, -EINVAL);
			continue;
		}
		assert_in_range(n, 0, 1 + f.more_n);
		assert_int_equal(flatten(&out, flat), 12 + want_len);
		assert_memory_equal(flat, m.b, 12);
		assert_memory_equal(flat + 12, want, want_len);
		if (out.head == f.head) /* the same, with its framing */
			assert_memory_equal(&out, &f, sizeof(f));
		else
			assert_int_equal(out.wire_hdr, 0);
	}
}

static void test_a_frame_leaves_in_the_form_that_is_due(void **state)
{
	(void)state;
	edits(PLAIN, VLAN_TAGGED, "\x81\x00\x00\x0a\x08\x00payload", 13);
	edits(PRIORITY, VLAN_TAGGED, "\x81\x00\xa0\x0a\x08\x00payload", 13); /* it keeps that */
	edits(TAG10, VLAN_TAGGED, TAG10);
	edits(TAG10_20, VLAN_TAGGED, TAG10_20);
	edits(PLAIN, VLAN_UNTAGGED, PLAIN);
	edits(PRIORITY, VLAN_UNTAGGED, PLAIN);
	edits(TAG10, VLAN_UNTAGGED, PLAIN);
	edits(TAG10_20, VLAN_UNTAGGED, NULL, 0);
	edits(TAG10_S, VLAN_UNTAGGED, NULL, 0);
	edits("\x81\x00\x00\x0a\x08\x00", 6, VLAN_UNTAGGED, "\x08\x00", 2); /* with nothing in it */
}

static void test_a_tag_moves_where_a_checksum_begins(void **state)
{
	(void)state;
	struct made m;
	struct frame out;
	uint8_t header[VLAN_HEADER];
	struct seg segs[1];
	make(&m, PLAIN)->offload =
		(struct offload){ .flags = 1, .csum_start = 34, .csum_offset = 6 };
	assert_int_equal(vlan_edit(&m.frame, VLAN_TAGGED, 10, header, segs, &out), 1);
	assert_int_equal(out.offload.csum_start, 38);
	make(&m, TAG10)->offload =
		(struct offload){ .flags = 1, .csum_start = 38, .csum_offset = 6 };
	assert_int_equal(vlan_edit(&m.frame, VLAN_UNTAGGED, 10, header, segs, &out), 1);
	assert_int_equal(out.offload.csum_start, 34);
	make(&m, PLAIN);
	assert_int_equal(vlan_edit(&m.frame, VLAN_TAGGED, 10, header, segs, &out), 1);
	assert_int_equal(out.offload.csum_start, 0);
}

static void test_ranges_melt_together(void **state)
{
	(void)state;
	struct vlan_rule r = { .kind = VLAN_TRUNK };
	assert_int_equal(vlan_add(&r, 20, 29), 0);
	assert_int_equal(vlan_add(&r, 10, 10), 0);
	assert_int_equal(vlan_add(&r, 40, 49), 0);
	assert_int_equal(r.n, 3);
	assert_int_equal(r.tagged[0].from, 10);
	assert_int_equal(vlan_add(&r, 11, 12), 0); /* beside the first */
	assert_int_equal(r.n, 3);
	assert_int_equal(r.tagged[0].to, 12);
	assert_int_equal(vlan_add(&r, 25, 39), 0); /* two become one */
	assert_int_equal(r.n, 2);
	assert_int_equal(r.tagged[1].from, 20);
	assert_int_equal(r.tagged[1].to, 49);
	assert_int_equal(vlan_add(&r, 1, 4094), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(vlan_add(&r, 0, 4), -EINVAL);
	assert_int_equal(vlan_add(&r, 5, 4), -EINVAL);
	assert_int_equal(vlan_add(&r, 4095, 4095), -EINVAL);
	assert_int_equal(vlan_add(&r, 1, UINT64_MAX), -EINVAL);
	assert_int_equal(r.n, 1);
}

static void test_there_is_room_for_so_many_ranges(void **state)
{
	(void)state;
	struct vlan_rule r = { .kind = VLAN_TRUNK };
	for (unsigned i = 0; i < VLAN_RANGES; i++)
		assert_int_equal(vlan_add(&r, 10 + 2 * i, 10 + 2 * i), 0);
	const struct vlan_rule before = r;
	assert_int_equal(vlan_add(&r, 1, 1), -E2BIG);
	assert_memory_equal(&r, &before, sizeof(r));
	assert_int_equal(vlan_add(&r, 11, 11), 0);
	assert_int_equal(r.n, VLAN_RANGES - 1);
	assert_int_equal(vlan_add(&r, 1, 1), 0);
}

static void test_rules_compare_by_what_they_let_through(void **state)
{
	(void)state;
	const struct vlan_rule none = { 0 };
	const struct vlan_rule junk = { .kind = VLAN_TRANSPARENT, .native = 3, .n = 1 };
	assert_true(vlan_same(&none, &junk));
	assert_true(vlan_same(&trunk, &trunk));
	assert_false(vlan_same(&trunk, &trunk10));
	assert_false(vlan_same(&access10, &trunk10));
	assert_true(vlan_wider(&access10, &none));
	assert_false(vlan_wider(&none, &access10));
	assert_true(vlan_wider(&access10, &trunk10));
	assert_false(vlan_wider(&trunk10, &access10));
	assert_true(vlan_wider(&trunk10, &trunk)); /* 40 */
	assert_false(vlan_wider(&trunk, &trunk));
}

static void test_a_client_may_leave_vlans_but_not_enter_others(void **state)
{
	(void)state;
	const struct port_rules more[] = {
		{ .given = RULE_VLAN, .vlan = trunk },
		{ .given = RULE_VLAN },
		{ .given = RULE_VLAN, .vlan = access10 },
	};
	struct port_rules rules = rules_builtin;
	assert_null(rules_loosened(&rules, &more[0]));
	rules_take(&rules, &(struct port_rules){ .given = RULE_VLAN, .vlan = trunk10 });
	assert_true(vlan_same(&rules.vlan, &trunk10));
	assert_string_equal(rules_loosened(&rules, &more[0]), "vlan"); /* 40 */
	assert_string_equal(rules_loosened(&rules, &more[1]), "vlan");
	assert_null(rules_loosened(&rules, &more[2]));
	assert_false(rules_same(&rules, &rules_builtin));
	rules_take(&rules, &(struct port_rules){ .given = RULE_UP }); /* says nothing of it */
	assert_true(vlan_same(&rules.vlan, &trunk10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_transparent_port_says_its_vlan_by_the_tag),
		cmocka_unit_test(test_an_access_port_has_one_vlan_and_knows_of_none),
		cmocka_unit_test(test_a_trunk_has_those_of_its_list_and_a_native_one),
		cmocka_unit_test(test_who_is_a_member_gets_it_with_its_tag_or_without),
		cmocka_unit_test(test_a_frame_leaves_in_the_form_that_is_due),
		cmocka_unit_test(test_a_tag_moves_where_a_checksum_begins),
		cmocka_unit_test(test_ranges_melt_together),
		cmocka_unit_test(test_there_is_room_for_so_many_ranges),
		cmocka_unit_test(test_rules_compare_by_what_they_let_through),
		cmocka_unit_test(test_a_client_may_leave_vlans_but_not_enter_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
