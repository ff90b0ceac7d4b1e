/* test_sock.c - the sockets of server/priv/sock.h, as this system makes them. */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/priv/sock.h"

static bool cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static bool nonblocking(int fd)
{
	return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

static void test_of_a_pair_ours_does_not_block_and_the_other_does(void **state)
{
	int sv[2];
	char c;
	(void)state;
	assert_int_equal(sock_pair(SOCK_STREAM, sv), 0);
	assert_true(cloexec(sv[0]) && cloexec(sv[1]));
	assert_true(nonblocking(sv[0]));
	assert_false(nonblocking(sv[1]));
	assert_int_equal(write(sv[0], "x", 1), 1);
	assert_int_equal(read(sv[1], &c, 1), 1);
	close(sv[0]);
	close(sv[1]);
}

static void test_a_listener_and_its_connections_do_not_block(void **state)
{
	char dir[] = "/tmp/test_sock.XXXXXX";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_true(snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", dir) > 0);

	const int fd = sock_new(AF_UNIX, SOCK_STREAM);
	assert_true(fd >= 0 && cloexec(fd) && nonblocking(fd));
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(sock_accept(fd), -EAGAIN);

	const int client = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	const int conn = sock_accept(fd);
	assert_true(conn >= 0 && cloexec(conn) && nonblocking(conn));

	close(conn);
	close(client);
	close(fd);
	unlink(addr.sun_path);
	rmdir(dir);
}

/* A message that says it has @said descriptors, of which the buffer could hold @room. */
static unsigned counted(unsigned said, unsigned room)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_control = control.bytes,
		.msg_controllen = CMSG_LEN(0) + room * sizeof(int),
	};
	memset(&control, 0, sizeof(control));
	control.align.cmsg_len = CMSG_LEN(said * sizeof(int));
	return sock_fds(&msg, &control.align);
}

static void test_descriptors_beyond_the_buffer_are_not_counted(void **state)
{
	(void)state;
	assert_int_equal(counted(3, 3), 3);
	assert_int_equal(counted(3, 8), 3);
	assert_int_equal(counted(8, 3), 3);
	assert_int_equal(counted(1000, 8), 8);
	assert_int_equal(counted(8, 0), 0);
	assert_int_equal(counted(0, 8), 0);
}

#ifdef __linux__
/* By a name that is no path, as user-mode Linux has. */
static int named(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(addr.sun_path + 1, name, strlen(name));
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static int connected_to(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(addr.sun_path + 1, name, strlen(name));
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void test_the_kernel_says_whose_the_other_end_is(void **state)
{
	char mine[32], others[32];
	uint32_t uid = 12345;
	(void)state;
	snprintf(mine, sizeof(mine), "test_sock-%d-a", (int)getpid());
	snprintf(others, sizeof(others), "test_sock-%d-b", (int)getpid());

	const int a = named(mine), to_a = connected_to(mine);
	assert_int_equal(sock_peer_owner(to_a, &uid), 0);
	assert_int_equal(uid, geteuid());
	uid = 12345;
	assert_int_equal(sock_peer_owner(a, &uid), -ENOENT); /* it is connected to nothing */
	assert_int_equal(uid, 12345);

	if (!geteuid()) { /* a socket is whoever's made it, not whose the process is by now */
		assert_int_equal(seteuid(65533), 0);
		const int b = named(others);
		assert_int_equal(seteuid(0), 0);
		const int to_b = connected_to(others);
		assert_int_equal(sock_peer_owner(to_b, &uid), 0);
		assert_int_equal(uid, 65533);

		close(b); /* and if another takes the name, that is not who we are connected to */
		const int c = named(others);
		uid = 12345;
		assert_int_not_equal(sock_peer_owner(to_b, &uid), 0);
		assert_int_equal(uid, 12345);
		close(c);
		close(to_b);
	}
	close(a);
	close(to_a);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_a_pair_ours_does_not_block_and_the_other_does),
		cmocka_unit_test(test_a_listener_and_its_connections_do_not_block),
		cmocka_unit_test(test_descriptors_beyond_the_buffer_are_not_counted),
#ifdef __linux__
		cmocka_unit_test(test_the_kernel_says_whose_the_other_end_is),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
