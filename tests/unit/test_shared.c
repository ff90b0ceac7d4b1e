/* test_shared.c - verb_shared_*: a directory that clients write to, and what they may have left
 * there. As root also as somebody else. */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/priv/verbs.h"

#define STRANGER 65533u

static char run_dir[PATH_TEXT], dir[2 * PATH_TEXT];

static const char *in(const char *base, const char *name)
{
	static char out[2][3 * PATH_TEXT];
	static unsigned n;
	char *to = out[n++ % 2];
	snprintf(to, sizeof(out[0]), "%s/%s", base, name);
	return to;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static bool there(const char *path)
{
	struct stat st;
	return !lstat(path, &st);
}

static int bound(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void connect_to(int fd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
}

static int make(void **state)
{
	(void)state;
	snprintf(run_dir, sizeof(run_dir), "/tmp/test_shared.XXXXXX");
	umask(0077); /* as main() has it */
	struct err err;
	if (!mkdtemp(run_dir) || verb_run_dir(run_dir, &err) < 0)
		return -1;
	snprintf(dir, sizeof(dir), "%s/vde", run_dir);
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	verb_shared_clear(dir);
	return rmdir(run_dir);
}

static void make_door(const struct access_files *files)
{
	struct err err = { 0 };
	int fd;
	assert_int_equal(verb_shared_make(dir, &err), 0);
	assert_int_equal(mode_of(dir), 0755); /* nobody has got at it before it is whole */
	assert_int_equal(verb_listen(in(dir, "ctl"), SOCK_STREAM, files, &fd, &err), 0);
	assert_int_equal(verb_shared_give(dir, "ctl", files, &err), 0);
	close(fd);
}

static void test_the_directory_is_as_open_as_the_socket_and_sticky(void **state)
{
	static const struct {
		unsigned socket, dir;
	} modes[] = { { 0600, 01700 }, { 0660, 01770 }, { 0666, 01777 } };
	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		const struct access_files files = { geteuid(), getegid(), modes[i].socket };
		make_door(&files);
		assert_int_equal(mode_of(dir), modes[i].dir);
		assert_int_equal(mode_of(in(dir, "ctl")), modes[i].socket);
	}
	const struct access_files less = { geteuid(), ACCESS_NO_ONE, 0600 };
	assert_int_equal(verb_shared_give(dir, "ctl", &less, NULL), 0);
	assert_int_equal(mode_of(dir), 01700);
	assert_int_equal(mode_of(in(dir, "ctl")), 0600);
	assert_int_not_equal(verb_shared_give(dir, "other", &less, NULL), 0);
}

static void test_whatever_was_left_there_is_gone_or_does_no_harm(void **state)
{
	const struct access_files files = { geteuid(), getegid(), 0666 };
	char outside[2 * PATH_TEXT];
	(void)state;
	make_door(&files);
	snprintf(outside, sizeof(outside), "%s/precious", run_dir);
	close(open(outside, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlink(outside, in(dir, "link")), 0);
	assert_int_equal(symlink(run_dir, in(dir, "up")), 0);
	assert_int_equal(mkfifo(in(dir, "fifo"), 0600), 0);
	assert_int_equal(mkdir(in(dir, "empty"), 0700), 0);
	assert_int_equal(mkdir(in(dir, "full"), 0700), 0);
	close(bound(in(dir, "full/sock")));
	close(bound(in(dir, "sock")));
	close(open(in(dir, "file"), O_CREAT | O_WRONLY, 0600));

	make_door(&files); /* of a directory that is there */
	assert_true(there(in(dir, "ctl")) && there(in(dir, "full/sock")) && there(outside));
	assert_false(there(in(dir, "link")) || there(in(dir, "up")));
	assert_false(there(in(dir, "fifo")) || there(in(dir, "empty")));
	assert_false(there(in(dir, "sock")) || there(in(dir, "file")));

	verb_shared_clear(dir); /* "full" keeps it, closed to others */
	assert_int_equal(mode_of(dir), 0755);
	assert_false(there(in(dir, "ctl")));
	assert_int_equal(unlink(in(dir, "full/sock")), 0);
	verb_shared_clear(dir);
	assert_false(there(dir));
	assert_int_equal(unlink(outside), 0);
}

static void test_what_is_not_a_directory_of_ours_is_not_touched(void **state)
{
	struct err err = { 0 };
	(void)state;
	assert_int_equal(symlink("/tmp", dir), 0);
	assert_int_equal(verb_shared_make(dir, &err), -EACCES);
	assert_non_null(strstr(err.text, "not a directory of ours"));
	verb_shared_clear(dir);
	assert_true(there(dir));
	assert_int_equal(unlink(dir), 0);
	assert_int_equal(verb_shared_make("/tmp/elsewhere", &err), -EINVAL);
	assert_int_equal(verb_shared_make(in(run_dir, "a/../../x"), &err), -EINVAL);
	if (geteuid())
		return;
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(chown(dir, STRANGER, (gid_t)-1), 0);
	assert_int_equal(verb_shared_make(dir, &err), -EACCES);
	assert_int_equal(rmdir(dir), 0);
}

static void test_a_clients_socket_is_its_alone(void **state)
{
	const struct access_files files = { geteuid(), getegid(), 0666 };
	char path[PATH_TEXT], other[PATH_TEXT];
	struct err err = { 0 };
	struct stat st;
	(void)state;
	make_door(&files);
	const int client = bound(in(dir, "client"));
	const int fd = socket(AF_UNIX, SOCK_DGRAM, 0), fd2 = socket(AF_UNIX, SOCK_DGRAM, 0);
	connect_to(fd, in(dir, "client"));
	assert_int_equal(verb_shared_bind(fd, dir, geteuid(), path, &err), 0);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(verb_shared_bind(fd2, dir, STRANGER, other, &err), 0);
	assert_string_not_equal(path, other);
	assert_int_equal(lstat(other, &st), 0);
	assert_int_equal(st.st_uid, geteuid() ? geteuid() : STRANGER);
	assert_int_equal(st.st_mode & 07777, geteuid() ? 0666 : 0600);

	connect_to(client, path);
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(recv(fd, other, 1, 0), 1);
#ifdef __linux__
	const int third = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(
		sendto(third, "x", 1, 0, (const struct sockaddr *)&addr, sizeof(addr)), -1);
	assert_int_equal(errno, EPERM);
	close(third);
#endif
	close(fd);
	close(fd2);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_directory_is_as_open_as_the_socket_and_sticky),
		cmocka_unit_test(test_whatever_was_left_there_is_gone_or_does_no_harm),
		cmocka_unit_test(test_what_is_not_a_directory_of_ours_is_not_touched),
		cmocka_unit_test(test_a_clients_socket_is_its_alone),
	};
	return cmocka_run_group_tests(tests, make, remove_all);
}
