/* test_access.c - server/core/access.c: who may do what; protocol/rights.c: rules as text;
 * server/core/audit.c: which refusals are written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

#include "server/core/access.h"
#include "server/core/audit.h"

enum { OWNER = 1001, MEMBER = 1002, STRANGER = 1003, DAEMON = 500, ADMINS = 60, USERS = 61 };
#define A RIGHT_ATTACH
#define O RIGHT_OBSERVE
#define C RIGHTS_NETWORK
#define ALL (RIGHTS_NETWORK | RIGHT_ADMIN)

static const struct access root = { .uid = 0, .admin_gid = ADMINS };

static struct peer peer(uint32_t uid, uint32_t gid, uint32_t second)
{
	struct peer p = { .uid = uid, .gid = gid };
	if (second != ACCESS_NO_ONE) {
		p.groups[0] = 7;
		p.groups[1] = second;
		p.n_groups = 2;
	}
	return p;
}

static struct access_rules rules(unsigned mode)
{
	return (struct access_rules){
		.owner = "o", .group = "g", .uid = OWNER, .gid = USERS, .mode = (uint16_t)mode
	};
}

static void allow(struct access_rules *r, bool group, uint32_t id, unsigned rights)
{
	r->allow[r->n_allow++] = (struct access_rule){
		.allow = { .group = group, .rights = (unsigned char)rights, .name = "x" }, .id = id
	};
}

static unsigned rights(const struct access *access, uint32_t uid, uint32_t gid, uint32_t second,
	const struct access_rules *r)
{
	const struct peer p = peer(uid, gid, second);
	return access_rights(access, &p, r);
}

static void test_mode_bits_give_owner_group_and_others_what_they_say(void **state)
{
	static const struct {
		unsigned mode, owner, member, stranger;
	} t[] = {
		{ 0660, C, A | O, 0 },
		{ 0600, C, 0, 0 },
		{ 0000, 0, 0, 0 },
		{ 0444, O, O, O },
		{ 0222, A, A, A },
		{ 0666, C, A | O, A | O },
		{ 0640, C, O, 0 },
		{ 0420, O, A, 0 },
		{ 0024, O, A | O, O }, /* what fits adds up: all others are everybody */
		{ 0204, A | O, O, O },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct access_rules r = rules(t[i].mode);
		assert_int_equal(rights(&root, OWNER, 1, 2, &r), t[i].owner);
		assert_int_equal(rights(&root, MEMBER, USERS, 2, &r), t[i].member);
		assert_int_equal(rights(&root, MEMBER, 1, USERS, &r), t[i].member);
		assert_int_equal(rights(&root, STRANGER, 1, 2, &r), t[i].stranger);
		assert_int_equal(rights(&root, 0, 1, 2, &r), ALL);
		assert_int_equal(rights(&root, STRANGER, ADMINS, 2, &r), ALL);
		assert_int_equal(rights(&root, STRANGER, 1, ADMINS, &r), ALL);
	}
}

static void test_an_owner_in_the_group_has_what_both_have(void **state)
{
	struct access_rules r = rules(0060);
	(void)state;
	/* r and w of the group do not make the owner control */
	assert_int_equal(rights(&root, OWNER, USERS, 2, &r), A | O);
	r.mode = 0240;
	assert_int_equal(rights(&root, OWNER, 1, USERS, &r), A | O);
}

static void test_allow_rules_add_and_control_holds_the_others(void **state)
{
	struct access_rules r = rules(0660);
	(void)state;
	allow(&r, false, 2001, A);
	allow(&r, false, 2002, O);
	allow(&r, false, 2003, RIGHT_CONTROL);
	allow(&r, true, 71, O);
	allow(&r, true, 72, RIGHT_CONTROL);
	allow(&r, false, MEMBER, RIGHT_CONTROL);
	assert_int_equal(rights(&root, 2001, 1, 2, &r), A);
	assert_int_equal(rights(&root, 2002, 1, 2, &r), O);
	assert_int_equal(rights(&root, 2003, 1, 2, &r), C);
	assert_int_equal(rights(&root, 2001, 1, 71, &r), A | O);
	assert_int_equal(rights(&root, STRANGER, 71, 2, &r), O);
	assert_int_equal(rights(&root, STRANGER, 1, 72, &r), C);
	assert_int_equal(rights(&root, MEMBER, USERS, 2, &r), C);
	assert_int_equal(rights(&root, 71, 1, 2, &r), 0); /* a group's number is no user's */
	assert_int_equal(rights(&root, STRANGER, 2001, 2002, &r), 0);
}

static void test_no_owner_and_no_group_are_nobody(void **state)
{
	struct access_rules r = rules(0666 & ~06u);
	const struct access no_admins = { .uid = DAEMON, .admin_gid = ACCESS_NO_ONE };
	(void)state;
	r.uid = r.gid = ACCESS_NO_ONE;
	r.owner[0] = r.group[0] = '\0';
	assert_int_equal(rights(&no_admins, OWNER, USERS, ACCESS_NO_ONE, &r), 0);
	assert_int_equal(rights(&no_admins, STRANGER, ACCESS_NO_ONE, ACCESS_NO_ONE, &r), 0);
	assert_int_equal(rights(&no_admins, DAEMON, 1, 2, &r), ALL);
	assert_int_equal(rights(&no_admins, 0, 1, 2, NULL), ALL);
	assert_int_equal(rights(&no_admins, OWNER, USERS, 2, NULL), 0);
}

static void test_who_is_not_mapped_matches_nothing_but_all_others(void **state)
{
	struct access rootless = { .uid = DAEMON, .admin_gid = UID_OVERFLOW, .rootless = true };
	struct access_rules r = rules(0660);
	(void)state;
	r.uid = r.gid = UID_OVERFLOW;
	allow(&r, false, UID_OVERFLOW, RIGHT_CONTROL);
	allow(&r, true, UID_OVERFLOW, RIGHT_CONTROL);
	assert_int_equal(rights(&rootless, UID_OVERFLOW, UID_OVERFLOW, UID_OVERFLOW, &r), 0);
	assert_int_equal(rights(&rootless, UID_OVERFLOW, UID_OVERFLOW, 2, NULL), 0);
	assert_int_equal(rights(&rootless, STRANGER, UID_OVERFLOW, UID_OVERFLOW, &r), 0);
	assert_int_equal(rights(&rootless, DAEMON, UID_OVERFLOW, 2, &r), ALL);
	r.mode = 0664;
	assert_int_equal(rights(&rootless, UID_OVERFLOW, UID_OVERFLOW, 2, &r), O);
	rootless.rootless = false; /* there it is a user like others */
	rootless.admin_gid = ACCESS_NO_ONE;
	assert_int_equal(rights(&rootless, UID_OVERFLOW, 1, 2, &r), C);
	assert_int_equal(rights(&rootless, STRANGER, 1, UID_OVERFLOW, &r), C);
}

static unsigned asked;

static bool elsewhere(const struct peer *peer, uint32_t gid)
{
	asked++;
	return peer->uid == MEMBER && (gid == USERS || gid == 72);
}

static void test_the_directory_is_asked_only_where_something_can_be_won(void **state)
{
	const struct access access = {
		.uid = 0, .admin_gid = ACCESS_NO_ONE, .elsewhere = elsewhere
	};
	struct access_rules r = rules(0660);
	(void)state;
	asked = 0;
	assert_int_equal(rights(&access, MEMBER, 1, 2, &r), A | O);
	assert_int_equal(asked, 1);
	allow(&r, true, 71, O);
	allow(&r, true, 72, A | O);
	assert_int_equal(rights(&access, MEMBER, 1, 2, &r), A | O);
	assert_int_equal(asked, 2);
	assert_int_equal(rights(&access, OWNER, 1, 2, &r), C);
	assert_int_equal(asked, 2);
	assert_int_equal(rights(&access, STRANGER, 1, 2, &r), 0);
	assert_int_equal(asked, 5);
}

static void files_are(const struct access *access, const struct access_rules *r, uint32_t uid,
	uint32_t gid, unsigned mode)
{
	const struct access_files f = access_files(access, r);
	assert_int_equal(f.uid, uid);
	assert_int_equal(f.gid, gid);
	assert_int_equal(f.mode, mode);
}

static void test_files_let_in_whom_the_rules_let_in(void **state)
{
	const struct access user = { .uid = DAEMON, .admin_gid = ACCESS_NO_ONE };
	struct access_rules r = rules(0660);
	(void)state;
	files_are(&root, &r, OWNER, USERS, 0660);
	files_are(&user, &r, DAEMON, USERS, 0666); /* who cannot give a file away opens it */
	r.uid = DAEMON;
	files_are(&user, &r, DAEMON, USERS, 0660);
	r.mode = 0600;
	files_are(&user, &r, DAEMON, USERS, 0600);
	files_are(&root, &r, DAEMON, USERS, 0600);
	r.mode = 0060; /* of an owner in the group the kernel looks at the owner's bits alone */
	files_are(&root, &r, DAEMON, USERS, 0660);
	r.mode = 0004;
	files_are(&root, &r, DAEMON, USERS, 0666);
	r.mode = 0000;
	allow(&r, false, 2001, O);
	files_are(&root, &r, DAEMON, USERS, 0666);
	r = rules(0660);
	r.uid = r.gid = ACCESS_NO_ONE;
	files_are(&root, &r, 0, ACCESS_NO_ONE, 0600);
	files_are(&user, &r, DAEMON, ACCESS_NO_ONE, 0600);
}

static void test_files_that_others_could_replace_stay_ours(void **state)
{
	const struct access user = { .uid = DAEMON, .admin_gid = ACCESS_NO_ONE };
	struct access_rules r = rules(0660);
	(void)state;
	struct access_files f = access_files_shared(&root, &r); /* of OWNER, else */
	assert_int_equal(f.uid, 0);
	assert_int_equal(f.gid, USERS);
	assert_int_equal(f.mode, 0666);
	r.uid = 0;
	f = access_files_shared(&root, &r);
	assert_int_equal(f.uid, 0);
	assert_int_equal(f.mode, 0660);
	r.uid = ACCESS_NO_ONE;
	f = access_files_shared(&user, &r);
	assert_int_equal(f.uid, DAEMON);
	assert_int_equal(f.mode, 0660);
}

static void test_rules_differ_by_what_they_give_and_by_what_they_say(void **state)
{
	struct access_rules a = rules(0660), b;
	unsigned first = 9, second = 9;
	(void)state;
	allow(&a, false, 1, A);
	allow(&a, true, 1, A);
	allow(&a, false, 2, A);
	assert_false(access_twice(&a, &first, &second));
	assert_true(access_same(&a, &a));
#define DIFFERS(change)                                                                            \
	do {                                                                                       \
		b = a;                                                                             \
		change;                                                                            \
		assert_false(access_same(&a, &b));                                                 \
		assert_false(access_same(&b, &a));                                                 \
	} while (0)
	DIFFERS(b.mode = 0600);
	DIFFERS(b.uid = 3);
	DIFFERS(b.gid = 3);
	DIFFERS(strcpy(b.owner, "1001"));
	DIFFERS(strcpy(b.group, "61"));
	DIFFERS(b.n_allow--);
	DIFFERS(b.allow[2].id = 3);
	DIFFERS(b.allow[2].allow.rights = O);
	DIFFERS(b.allow[2].allow.group = true);
	DIFFERS(strcpy(b.allow[2].allow.name, "y"));
	allow(&a, true, 1, O);
	assert_true(access_twice(&a, &first, &second));
	assert_int_equal(first, 1);
	assert_int_equal(second, 3);
}

static void test_a_copy_of_a_peer_is_as_long_as_it_must_be(void **state)
{
	struct peer p = peer(1, 2, 3), back = { 0 };
	(void)state;
	for (unsigned n = 0; n <= PEER_GROUPS; n += 64) { /* ASan sees a byte too many */
		p.n_groups = n;
		struct peer *copy = peer_copy(&p);
		assert_non_null(copy);
		peer_assign(&back, copy);
		free(copy);
		assert_int_equal(back.n_groups, n);
		assert_memory_equal(back.groups, p.groups, n * sizeof(p.groups[0]));
	}
}

static void parses(const char *text, bool group, const char *name, unsigned want)
{
	struct allow a = { 0 };
	const char *why = NULL;
	assert_true(allow_parse(&a, text, &why));
	assert_int_equal(a.group, group);
	assert_string_equal(a.name, name);
	assert_int_equal(a.rights, want);
}

static void test_rules_as_text(void **state)
{
	static const char *const bad[] = { "", "user", "user:", "user:=attach", "user:a",
		"user:a=", "user:a=,", "user:a=attach,", "user:a=,attach", "user:a=Attach",
		"user:a=attach ", "user:a=admin", "user:a=attach,attach", "User:a=attach",
		"a=attach", "attach", "group:a=attach=observe",
		"user:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=attach" };
	(void)state;
	parses("user:alice=attach", false, "alice", A);
	parses("group:5=observe,attach", true, "5", A | O);
	parses("user:a:b=control,observe,attach", false, "a:b", C);
	parses("user:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=attach", false,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", A);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct allow a = { .name = "untouched" };
		const char *why = NULL;
		assert_false(allow_parse(&a, bad[i], &why));
		assert_non_null(why);
		assert_string_equal(a.name, "untouched");
	}
	assert_int_equal(right_parse("control", 7), RIGHT_CONTROL);
	assert_int_equal(right_parse("controls", 7), RIGHT_CONTROL);
	assert_int_equal(right_parse("contro", 6), RIGHT_ANY);
	assert_string_equal(right_name(RIGHT_OBSERVE), "observe");
	assert_string_equal(right_name(RIGHT_ADMIN), "admin");
}

static void test_refusals_have_lines_by_uid_and_the_rest_is_counted(void **state)
{
	struct audit a = { 0 };
	(void)state;
	for (unsigned i = 0; i < 3 * AUDIT_LINES; i++) {
		assert_int_equal(audit_admit(&a, 7), i < AUDIT_LINES);
		assert_true(i || audit_admit(&a, 8)); /* others have theirs */
	}
	assert_int_equal(a.n, 2);
	assert_int_equal(a.uids[0].left_out, 2 * AUDIT_LINES);
	assert_int_equal(a.uids[1].left_out, 0);
	assert_false(audit_shared(&a, 1));
}

static void test_any_number_of_uids_has_a_bounded_number_of_lines(void **state)
{
	struct audit a = { 0 };
	unsigned lines = 0, left_out = 0;
	(void)state;
	for (uint32_t i = 0; i < 20000; i++)
		lines += audit_admit(&a, i % 5000);
	assert_in_range(lines, 1, AUDIT_LINES * AUDIT_UIDS);
	for (unsigned i = 0; i < a.n; i++)
		left_out += (unsigned)a.uids[i].left_out;
	assert_int_equal(lines + left_out, 20000);
	assert_true(audit_shared(&a, AUDIT_UIDS - 1));
	assert_false(audit_shared(&a, AUDIT_UIDS - 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mode_bits_give_owner_group_and_others_what_they_say),
		cmocka_unit_test(test_an_owner_in_the_group_has_what_both_have),
		cmocka_unit_test(test_allow_rules_add_and_control_holds_the_others),
		cmocka_unit_test(test_no_owner_and_no_group_are_nobody),
		cmocka_unit_test(test_who_is_not_mapped_matches_nothing_but_all_others),
		cmocka_unit_test(test_the_directory_is_asked_only_where_something_can_be_won),
		cmocka_unit_test(test_files_let_in_whom_the_rules_let_in),
		cmocka_unit_test(test_files_that_others_could_replace_stay_ours),
		cmocka_unit_test(test_rules_differ_by_what_they_give_and_by_what_they_say),
		cmocka_unit_test(test_a_copy_of_a_peer_is_as_long_as_it_must_be),
		cmocka_unit_test(test_rules_as_text),
		cmocka_unit_test(test_refusals_have_lines_by_uid_and_the_rest_is_counted),
		cmocka_unit_test(test_any_number_of_uids_has_a_bounded_number_of_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
