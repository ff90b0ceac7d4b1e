/* test_msgio.c - server/io/msgio_linux.c: whose a message is said to be. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/io/msgio.h"
#include "server/priv/sock.h"

static void none_came(void *ctx, const void *fds, unsigned n)
{
	(void)ctx;
	(void)fds;
	fail_msg("%u descriptors", n);
}

static void test_a_name_is_said_only_of_whom_the_kernel_attests(void **state)
{
	static const struct msgio_ops ops = { .descriptors = none_came };
	struct msgio_in in[MSGIO_BATCH];
	struct sockaddr_un door, name;
	socklen_t door_len, len;
	uint8_t *buf = malloc(MSGIO_BUF);
	const int fd = sock_new(AF_UNIX, SOCK_DGRAM), client = sock_new(AF_UNIX, SOCK_DGRAM);
	(void)state;
	assert_non_null(buf);
	assert_true(sock_name(fd, &door, &door_len));
	assert_true(sock_name(client, &name, &len));
	assert_int_equal(sendto(client, "a", 1, 0, (const struct sockaddr *)&door, door_len), 1);
	sock_attest(fd, true); /* what came before says nothing */
	assert_int_equal(sendto(client, "b", 1, 0, (const struct sockaddr *)&door, door_len), 1);
	assert_int_equal(msgio_recv(fd, buf, in, true, &ops, NULL), 2);
	assert_int_equal(in[0].data[0], 'a');
	assert_false(in[0].attested);
	assert_int_equal(in[0].from_len, 0);
	assert_int_equal(in[1].data[0], 'b');
	assert_true(in[1].attested);
	assert_int_equal(in[1].uid, geteuid());
	assert_int_equal(in[1].from_len, len);
	assert_memory_equal(in[1].from, &name, len);
	close(fd);
	close(client);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_is_said_only_of_whom_the_kernel_attests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
