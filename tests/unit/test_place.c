/* test_place.c - server/priv/place_*.c: what a peer may have us connect to. */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#endif

#include "server/core/access.h"
#include "server/priv/sock.h"
#include "server/priv/verbs.h"
#include "server/priv/verbs_priv.h"

static char dir[] = "/tmp/fethd-place-XXXXXX";

static struct sockaddr_un name_of(const char *file)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/%s", dir, file);
	return name;
}

static int bound(const char *file)
{
	const struct sockaddr_un name = name_of(file);
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	unlink(name.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

/* What connecting to @name as @uid says says; the socket is closed again. */
static int try(const struct sockaddr_un *name, socklen_t len, uint32_t uid)
{
	struct err err = { 0 };
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	const int rc = verb_connect_peer(fd, name, len, uid, NULL, &err);
	assert_int_equal(rc, err.code);
	assert_true(!rc == !err.text[0]);
	close(fd);
	return rc;
}

static int try_file(const char *file, uint32_t uid)
{
	const struct sockaddr_un name = name_of(file);
	return try(&name, sizeof(name), uid);
}

static void test_a_socket_of_the_peers_own_is_reached(void **state)
{
	(void)state;
	const struct sockaddr_un name = name_of("own");
	const int peer = bound("own");
	struct verb_place place = { .fd = -1 };
	struct err err = { 0 };
	char byte = 0;
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	assert_int_equal(verb_connect_peer(fd, &name, sizeof(name), geteuid(), &place, &err), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(recv(peer, &byte, 1, 0), 1);
	assert_int_equal(byte, 'x');
	assert_true(verb_place_held(&place));
	close(peer);
#ifdef __linux__
	assert_false(verb_place_held(&place));
#endif
	assert_int_not_equal(send(fd, "x", 1, 0), 1);
	verb_place_close(&place);
	verb_place_close(&place); /* fine */
	close(fd);
}

static void test_a_place_means_the_socket_that_was_there(void **state)
{
	(void)state;
	const struct sockaddr_un name = name_of("moved");
	const int first = bound("moved");
	struct verb_place place;
	struct err err = { 0 };
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	assert_int_equal(verb_connect_peer(fd, &name, sizeof(name), geteuid(), &place, &err), 0);
	const int second = bound("moved"); /* another at that path */
	char byte;
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(recv(first, &byte, 1, 0), 1);
	assert_int_equal(recv(second, &byte, 1, MSG_DONTWAIT), -1);
	verb_place_close(&place);
	close(first);
	close(second);
	close(fd);
}

static void test_what_is_no_socket_is_refused(void **state)
{
	(void)state;
	const int peer = bound("real");
	const struct sockaddr_un real = name_of("real"), link = name_of("link");
	assert_int_equal(symlink(real.sun_path, link.sun_path), 0);
	assert_int_equal(try_file("real", geteuid()), 0);
	assert_int_equal(try_file("link", geteuid()), -ENOTSOCK); /* not followed */
	assert_true(try_file("nothing", geteuid()) < 0);
	assert_true(try_file("nothing", ACCESS_NO_ONE) < 0);
	assert_int_equal(try_file(".", geteuid()), -ENOTSOCK);
	assert_true(try_file("real/under", geteuid()) < 0);
	const struct sockaddr_un file = name_of("file");
	close(creat(file.sun_path, 0600));
	assert_int_equal(try_file("file", geteuid()), -ENOTSOCK);
	close(peer);
	assert_int_equal(try_file("real", geteuid()), -ECONNREFUSED);
}

static void test_anybody_elses_is_refused_but_for_administrators(void **state)
{
	(void)state;
	const int peer = bound("others");
	assert_int_equal(try_file("others", geteuid() + 1), -EACCES);
	assert_int_equal(try_file("others", ACCESS_NO_ONE), 0);
	const struct sockaddr_un name = name_of("others");
	const uint32_t me = geteuid();
	struct verb_place place = { .fd = -1 };
	struct err err = { 0 };
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	if (!me) /* to one who is known by his file alone */
		assert_int_equal(chown(name.sun_path, 12345, 12345), 0);
	assert_int_equal(
		verb_connect_peer(fd, &name, sizeof(name), ACCESS_NO_ONE, &place, &err), 0);
	assert_int_equal(place.uid, me ? me : 12345);
	verb_place_close(&place);
	close(fd);
	close(peer);
}

static void test_names_that_say_nothing_are_refused(void **state)
{
	(void)state;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const socklen_t before = offsetof(struct sockaddr_un, sun_path);
	assert_int_equal(try(&name, 0, geteuid()), -EDESTADDRREQ);
	assert_int_equal(try(&name, before, geteuid()), -EDESTADDRREQ);
	assert_int_equal(try(&name, sizeof(name) + 1, geteuid()), -EDESTADDRREQ);
	memset(name.sun_path, 'a', sizeof(name.sun_path)); /* and no end */
	assert_int_equal(try(&name, sizeof(name), geteuid()) < 0, 1);
	name.sun_path[0] = '/';
	assert_int_equal(try(&name, sizeof(name), geteuid()) < 0, 1);
	snprintf(name.sun_path, sizeof(name.sun_path), "relative");
	assert_int_equal(try(&name, sizeof(name), geteuid()), -EINVAL);
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_what_a_link_means_is_given_to_nobody(void **state)
{
	(void)state;
	const struct access_files files = { geteuid(), ACCESS_NO_ONE, 0666 };
	const struct sockaddr_un mine = name_of("mine"), link = name_of("to-mine");
	close(creat(mine.sun_path, 0600));
	assert_int_equal(symlink(mine.sun_path, link.sun_path), 0);
	assert_int_equal(verbs_give(AT_FDCWD, link.sun_path, &files), -ELOOP);
	assert_int_equal(mode_of(mine.sun_path), 0600);
	assert_int_equal(verbs_give(AT_FDCWD, mine.sun_path, &files), 0);
	assert_int_equal(mode_of(mine.sun_path), 0666);
	assert_int_equal(
		verbs_give(AT_FDCWD, dir, &(struct access_files){ geteuid(), ACCESS_NO_ONE, 0700 }),
		0);
}

#ifdef __linux__
static void test_a_path_without_an_end_is_said_to_its_end(void **state)
{
	(void)state;
	struct {
		struct sockaddr_un name;
		char behind[8];
	} his = { { .sun_family = AF_UNIX }, "others'" };
	struct sockaddr_un *name = &his.name;
	char path[sizeof(name->sun_path) + 1] = "";
	memset(name->sun_path, 'a', sizeof(name->sun_path));
	memcpy(name->sun_path, dir, sizeof(dir) - 1);
	name->sun_path[sizeof(dir) - 1] = '/';
	memcpy(path, name->sun_path, sizeof(name->sun_path));
	const int peer = sock_new(AF_UNIX, SOCK_DGRAM), fd = sock_new(AF_UNIX, SOCK_DGRAM);
	struct err err = { 0 };
	char want[ERR_TEXT];
	assert_int_equal(bind(peer, (const struct sockaddr *)name, sizeof(*name)), 0);
	assert_int_equal(try(name, sizeof(*name), geteuid()), 0);
	close(peer);
	assert_int_equal(
		verb_connect_peer(fd, name, sizeof(*name), geteuid(), NULL, &err), -ECONNREFUSED);
	snprintf(want, sizeof(want), "cannot reach the client's socket %s: Connection refused",
		path);
	assert_string_equal(err.text, want);
	unlink(path);
	close(fd);
}

/* From now on openat2() is refused, as by whoever filters what it does not know. */
static bool no_openat2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { .len = sizeof(code) / sizeof(*code), .filter = code };
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static void test_one_that_may_not_be_looked_at_is_not_one_connected_to_another(void **state)
{
	(void)state;
	enum { REFUSED, REACHED, NO_FILTER };
	int status;
	const struct sockaddr_un name = name_of("own");
	const int peer = bound("own"), fd = sock_new(AF_UNIX, SOCK_DGRAM);
	const pid_t child = fork();
	if (!child) {
		struct verb_place place = { .fd = -1 };
		struct err err = { 0 };
		if (!no_openat2())
			_exit(NO_FILTER);
		const int rc = verb_connect_peer(fd, &name, sizeof(name), geteuid(), &place, &err);
		_exit(rc == -EACCES && err.code == rc && !place.len ? REFUSED : REACHED);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	close(peer);
	close(fd);
	if (WEXITSTATUS(status) == NO_FILTER)
		skip();
	assert_int_equal(WEXITSTATUS(status), REFUSED);
}

static void test_no_link_on_the_way_of_an_administrators_path(void **state)
{
	(void)state;
	const struct sockaddr_un real = name_of("real"), to = name_of("."), link = name_of("link");
	char path[sizeof(real.sun_path)];
	const int peer = bound("real");
	unlink(link.sun_path);
	assert_int_equal(symlink(to.sun_path, link.sun_path), 0);
	assert_int_equal(try_file("link/real", geteuid()), 0); /* his own all the same */
	static const char *const good[] = { "real", "./real", "/real" };
	static const char *const bad[] = { "link/real", "link", "link/", "link/link/real" };
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (try_file(good[i], ACCESS_NO_ONE) != 0)
			fail_msg("%s is not reached", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (try_file(bad[i], ACCESS_NO_ONE) == 0)
			fail_msg("%s is reached", bad[i]);
	assert_int_equal(try_file("link/real", ACCESS_NO_ONE), -ELOOP);
	assert_int_equal(try_file("link/nothing", ACCESS_NO_ONE), -ELOOP);
	assert_true(try_file("real/under", ACCESS_NO_ONE) < 0);
	assert_int_equal(verbs_open_real("/proc/self/fd"), -ELOOP); /* that is a link, too */
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(verbs_open_real(path), -ENOENT);
	close(peer);
}

static void test_an_abstract_one_only_of_our_own_user(void **state)
{
	(void)state;
	struct sockaddr_un name;
	socklen_t len;
	const int peer = sock_new(AF_UNIX, SOCK_DGRAM);
	assert_true(sock_name(peer, &name, &len));
	assert_int_equal(name.sun_path[0], '\0');
	assert_int_equal(try(&name, len, geteuid()), 0);
	assert_int_equal(try(&name, len, geteuid() + 1), -EACCES);
	close(peer);
	assert_int_equal(try(&name, len, geteuid()), -ECONNREFUSED);
}

static void test_an_abstract_one_that_is_connected_to_another_is_told_why(void **state)
{
	(void)state;
	const struct sockaddr_un ours = name_of("ours");
	struct sockaddr_un name;
	struct err err = { 0 };
	socklen_t len;
	const int door = bound("ours"), client = sock_new(AF_UNIX, SOCK_DGRAM);
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	assert_true(sock_name(client, &name, &len));
	assert_int_equal(connect(client, (const struct sockaddr *)&ours, sizeof(ours)), 0);
	assert_int_equal(verb_connect_peer(fd, &name, len, geteuid(), NULL, &err), -EACCES);
	assert_non_null(strstr(err.text, "has connected"));
	close(door);
	close(client);
	close(fd);
}

static void test_one_that_is_connected_to_another_says_so_and_has_a_place(void **state)
{
	(void)state;
	const struct sockaddr_un ours = name_of("ours"), name = name_of("client");
	const int door = bound("ours"), client = bound("client");
	assert_int_equal(connect(client, (const struct sockaddr *)&ours, sizeof(ours)), 0);
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM);
	struct verb_place place = { .fd = -1 };
	struct err err = { 0 };
	assert_int_equal(
		verb_connect_peer(fd, &name, sizeof(name), geteuid(), &place, &err), -EPERM);
	assert_true(verb_place_held(&place));
	char byte;
	assert_int_equal(sendto(door, "x", 1, 0, (const struct sockaddr *)&place.addr, place.len),
		1); /* from who it is connected to */
	assert_int_equal(recv(client, &byte, 1, 0), 1);
	close(client);
	assert_false(verb_place_held(&place));
	verb_place_close(&place);
	close(door);
	close(fd);
}
#endif

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const files[] = { "own", "moved", "real", "link", "file", "others",
		"ours", "client", "mine", "to-mine" };
	(void)state;
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const struct sockaddr_un name = name_of(files[i]);
		unlink(name.sun_path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_socket_of_the_peers_own_is_reached),
		cmocka_unit_test(test_a_place_means_the_socket_that_was_there),
		cmocka_unit_test(test_what_is_no_socket_is_refused),
		cmocka_unit_test(test_anybody_elses_is_refused_but_for_administrators),
		cmocka_unit_test(test_names_that_say_nothing_are_refused),
		cmocka_unit_test(test_what_a_link_means_is_given_to_nobody),
#ifdef __linux__
		cmocka_unit_test(test_a_path_without_an_end_is_said_to_its_end),
		cmocka_unit_test(
			test_one_that_may_not_be_looked_at_is_not_one_connected_to_another),
		cmocka_unit_test(test_no_link_on_the_way_of_an_administrators_path),
		cmocka_unit_test(test_an_abstract_one_only_of_our_own_user),
		cmocka_unit_test(test_an_abstract_one_that_is_connected_to_another_is_told_why),
		cmocka_unit_test(test_one_that_is_connected_to_another_says_so_and_has_a_place),
#endif
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
