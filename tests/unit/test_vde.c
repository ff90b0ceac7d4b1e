/* test_vde.c - protocol/vde.c: requests at every cut point, and what is wrong with some. */
#include "tests/support/test.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "protocol/vde.h"
#include "tests/support/bytes.h"

#define ROOM (VDE_REQUEST_MAX + VDE_DESCR_MAX)

static struct sockaddr_un unix_addr(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	memcpy(addr.sun_path, path, strlen(path) + 1);
	return addr;
}

static size_t put(uint8_t *out, size_t at, const void *data, size_t len)
{
	memcpy(out + at, data, len);
	return at + len;
}

static size_t put_word(uint8_t *out, size_t at, uint32_t v)
{
	return put(out, at, &v, sizeof(v));
}

/* As libvdeplug packs it: magic, version, type, address, what it says of itself. */
static size_t v3(uint8_t out[ROOM], uint32_t type, const struct sockaddr_un *addr)
{
	size_t n = put_word(out, 0, 0xfeedface);
	n = put_word(out, n, 3);
	n = put_word(out, n, type);
	n = put(out, n, addr, sizeof(*addr));
	return put(out, n, "QEMU", 4);
}

static size_t v1(uint8_t out[ROOM], uint32_t type, const struct sockaddr_un *addr)
{
	size_t n = put_word(out, 0, 0xfeedface);
	n = put_word(out, n, type);
	n = put(out, n, "\x02\0\0\0\0\x01", 6);
	return put(out, n, addr, sizeof(*addr));
}

static enum vde_found next(const uint8_t *bytes, size_t len, struct vde_request *req, size_t *need,
	const char **reason)
{
	uint8_t *buf = exact_copy(bytes, len);
	const enum vde_found found = vde_next(buf, len, req, need, reason);
	free(buf);
	return found;
}

static void is_bad(const uint8_t *bytes, size_t len, const char *why)
{
	struct vde_request req = { 0 };
	const struct vde_request before = req;
	size_t need;
	const char *reason = NULL;
	assert_int_equal(next(bytes, len, &req, &need, &reason), VDE_BAD);
	assert_string_equal(reason, why);
	assert_memory_equal(&req, &before, sizeof(req));
}

static void bad_path(const char *path, const char *why)
{
	uint8_t buf[ROOM];
	const struct sockaddr_un addr = unix_addr(path);
	is_bad(buf, v3(buf, 0, &addr), why);
	is_bad(buf, v1(buf, 0, &addr), why);
}

static void good_path(const char *path)
{
	uint8_t buf[ROOM];
	const struct sockaddr_un addr = unix_addr(path);
	struct vde_request req;
	size_t need;
	const char *reason;
	assert_int_equal(next(buf, v3(buf, 0, &addr), &req, &need, &reason), VDE_REQUEST);
	assert_string_equal(req.path, path);
	assert_false(req.abstract);
}

/* At every cut more is asked for, and that much brings progress. */
static void at_every_cut(const uint8_t *buf, size_t total)
{
	struct vde_request req;
	const char *reason;
	for (size_t len = 0; len < total; len++) {
		size_t need = 0;
		assert_int_equal(next(buf, len, &req, &need, &reason), VDE_MORE);
		assert_in_range(need, len + 1, total);
		assert_int_equal(need, len < 8 ? 8 : total);
	}
}

static void test_version_3_is_122_bytes_and_a_description(void **state)
{
	(void)state;
	uint8_t buf[ROOM];
	const struct sockaddr_un addr = unix_addr("/run/x.vde/.01234-00000");
	const size_t len = v3(buf, 0, &addr);
	struct vde_request req;
	size_t need;
	const char *reason;
#ifdef __linux__
	assert_int_equal(VDE_REQUEST_V3, 122);
#endif
	at_every_cut(buf, VDE_REQUEST_V3);
	for (size_t n = VDE_REQUEST_V3; n <= len; n++) {
		assert_int_equal(next(buf, n, &req, &need, &reason), VDE_REQUEST);
		assert_int_equal(req.len, VDE_REQUEST_V3);
		assert_false(req.abstract);
		assert_string_equal(req.path, "/run/x.vde/.01234-00000");
	}
}

static void test_version_1_has_an_address_of_its_own_before(void **state)
{
	(void)state;
	uint8_t buf[ROOM];
	const struct sockaddr_un addr = unix_addr("/tmp/vde.1");
	struct vde_request req;
	size_t need;
	const char *reason;
	for (uint32_t type = 0; type < 2; type++) {
		const size_t len = v1(buf, type, &addr);
		at_every_cut(buf, VDE_REQUEST_V1);
		assert_int_equal(next(buf, len, &req, &need, &reason), VDE_REQUEST);
		assert_int_equal(req.len, VDE_REQUEST_V1);
		assert_string_equal(req.path, "/tmp/vde.1");
	}
}

static void test_a_number_that_is_wished_for_is_passed_over(void **state)
{
	(void)state;
	uint8_t buf[ROOM];
	const struct sockaddr_un addr = unix_addr("/tmp/vde.1");
	struct vde_request req;
	size_t need;
	const char *reason;
	static const uint32_t types[] = { 0, 1, 7u << 8, 1 | 7u << 8, 0xffffff00 };
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_int_equal(
			next(buf, v3(buf, types[i], &addr), &req, &need, &reason), VDE_REQUEST);
	is_bad(buf, v3(buf, 2, &addr), "a type of request that VDE does not have");
	is_bad(buf, v3(buf, 0xff, &addr), "a type of request that VDE does not have");
}

static void test_what_is_no_request_is_known_by_four_bytes(void **state)
{
	(void)state;
	is_bad(BYTES(0, 0, 0, 14), "no request of VDE");
	is_bad(BYTES('G', 'E', 'T', ' ', '/'), "no request of VDE");
}

static void test_other_versions_are_refused_at_eight_bytes(void **state)
{
	(void)state;
	static const uint32_t versions[] = { 2, 4, 0x100, UINT32_MAX };
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		uint8_t buf[8];
		size_t len = put_word(buf, 0, 0xfeedface);
		len = put_word(buf, len, versions[i]);
		is_bad(buf, len, "a version of VDE's protocol that is not 1 or 3");
	}
}

static void test_paths_that_lead_elsewhere_are_refused(void **state)
{
	(void)state;
	bad_path("vde.1", "the path of its data socket is not absolute");
	bad_path("./vde.1", "the path of its data socket is not absolute");
	bad_path("/tmp/../etc/x", "the path of its data socket goes up by \"..\"");
	bad_path("/..", "the path of its data socket goes up by \"..\"");
	bad_path("/tmp/x/..", "the path of its data socket goes up by \"..\"");
	good_path("/tmp/..x/a");
	good_path("/tmp/...");
	good_path("/tmp/x..");
}

static void test_a_path_needs_an_end(void **state)
{
	(void)state;
	uint8_t buf[ROOM];
	struct sockaddr_un addr = unix_addr("/");
	memset(addr.sun_path + 1, 'a', sizeof(addr.sun_path) - 1);
	is_bad(buf, v3(buf, 0, &addr), "the path of its data socket has no end");
	addr.sun_path[sizeof(addr.sun_path) - 1] = '\0';
	good_path(addr.sun_path); /* as long as can be */
}

static void test_other_families_are_refused(void **state)
{
	(void)state;
	uint8_t buf[ROOM];
	struct sockaddr_un addr = unix_addr("/tmp/x");
	static const int families[] = { 0, AF_INET, AF_INET6 };
	for (size_t i = 0; i < 3; i++) {
		addr.sun_family = (sa_family_t)families[i];
		is_bad(buf, v3(buf, 0, &addr), "the address of its data socket is no Unix address");
	}
}

/* user-mode Linux' daemon transport: 0, then pid and time. */
static void test_a_name_that_is_no_path_is_taken_whole(void **state)
{
	(void)state;
	uint8_t buf[ROOM];
	struct sockaddr_un addr = unix_addr("");
	memcpy(addr.sun_path + 1, "\x01\x02\0\x03/../x", 9);
	const size_t len = v3(buf, 0, &addr);
#ifdef __linux__
	struct vde_request req;
	size_t need;
	const char *reason;
	assert_int_equal(next(buf, len, &req, &need, &reason), VDE_REQUEST);
	assert_true(req.abstract);
	assert_memory_equal(req.path, addr.sun_path, sizeof(addr.sun_path));
#else
	is_bad(buf, len, "its data socket has no path");
#endif
}

static void test_the_answer_is_the_systems_own_address(void **state)
{
	(void)state;
	uint8_t out[VDE_ADDR_LEN];
	struct sockaddr_un want = unix_addr("/run/fethd/lab/vde/007.12"), got;
	assert_int_equal(sizeof(want), VDE_ADDR_LEN);
	vde_answer(out, want.sun_path);
	memcpy(&got, out, sizeof(got));
	assert_int_equal(got.sun_family, AF_UNIX);
	assert_memory_equal(got.sun_path, want.sun_path, sizeof(want.sun_path));
#ifdef __APPLE__
	assert_int_equal(got.sun_len, sizeof(got));
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_3_is_122_bytes_and_a_description),
		cmocka_unit_test(test_version_1_has_an_address_of_its_own_before),
		cmocka_unit_test(test_a_number_that_is_wished_for_is_passed_over),
		cmocka_unit_test(test_what_is_no_request_is_known_by_four_bytes),
		cmocka_unit_test(test_other_versions_are_refused_at_eight_bytes),
		cmocka_unit_test(test_paths_that_lead_elsewhere_are_refused),
		cmocka_unit_test(test_a_path_needs_an_end),
		cmocka_unit_test(test_other_families_are_refused),
		cmocka_unit_test(test_a_name_that_is_no_path_is_taken_whole),
		cmocka_unit_test(test_the_answer_is_the_systems_own_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
