/* test_dialled.c - server/io/dialled.c: a connection that was made for a port, where there is no
 * memory for it. All around it is faked here. */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "server/io/dgram.h"
#include "server/io/dialled.h"
#include "server/io/msg_port.h"
#include "server/io/peer.h"
#include "server/io/port_qemu.h"
#include "server/io/shared.h"

static struct {
	bool no_memory;
	int counted; /* connections, of all users */
	unsigned opened;
} fake;

bool shared_enter(struct shared *sh, uint32_t uid, bool unlimited)
{
	(void)sh;
	(void)uid;
	assert_true(unlimited);
	fake.counted += !fake.no_memory;
	return !fake.no_memory;
}

/* As the one that is there: it owns the socket, and counts it out, also where it fails. */
int port_qemu_dial(struct ioloop *loop, struct network *net, struct client_list *clients, int fd,
	const struct peer *who, const struct port_conf *conf,
	void (*ended)(void *ctx, const char *why), void *ctx, struct port_info *out,
	struct err *err)
{
	(void)loop;
	(void)net;
	(void)clients;
	(void)who;
	(void)conf;
	(void)ended;
	(void)ctx;
	(void)out;
	fake.opened++;
	fake.counted--;
	close(fd);
	return err_set(err, -EIO, "fails");
}

/* Of ports of kind dgram, of which is none here. */
int dgram_call(struct dgram *d, int fd, void (*ended)(void *ctx, const char *why), void *ctx,
	struct port_info *out, struct err *err)
{
	(void)d;
	(void)ended;
	(void)ctx;
	(void)out;
	close(fd);
	return err_set(err, -EIO, "fails");
}

bool network_calls(const struct network *net, const char *name, enum port_kind kind,
	const struct dial_text *dial)
{
	(void)net;
	(void)name;
	(void)kind;
	(void)dial;
	return true;
}

void network_set_why(struct network *net, const char *name, const char *why)
{
	(void)net;
	(void)name;
	(void)why;
	fail();
}

struct shared *ioloop_shared(struct ioloop *loop)
{
	(void)loop;
	return NULL;
}

void ioloop_post(struct ioloop *loop, struct message *msg)
{
	(void)loop;
	(void)msg;
	fail();
}

int peer_of(int fd, struct peer *out)
{
	(void)fd;
	(void)out;
	return -EIO;
}

int msg_port_open(struct msg_port **out, const struct msg_port_host *host,
	const struct msg_port_conf *conf, struct port_info *info, struct err *err)
{
	(void)out;
	(void)host;
	(void)conf;
	(void)info;
	return err_set(err, -EIO, "not this one");
}

/* A connection by TCP; what became of it, and that its descriptor is closed. */
static struct err dial(bool no_memory)
{
	struct dialled_host host = { .uid = 1000 };
	struct command cmd = { .kind = CMD_PORT_DIAL, .n_fds = 1 };
	cmd.fds[0] = open("/dev/null", O_RDONLY);
	assert_true(cmd.fds[0] >= 0);
	strcpy(cmd.network, "lab");
	strcpy(cmd.in.dialled.name, "up");
	strcpy(cmd.in.dialled.dial.connect, "tcp:127.0.0.1:1");
	cmd.in.dialled.kind = PORT_KIND_QEMU;
	fake.no_memory = no_memory;
	dialled(&host, &cmd);
	assert_int_equal(fcntl(cmd.fds[0], F_GETFD), -1);
	return cmd.err;
}

static void test_one_that_cannot_be_counted_is_none(void **state)
{
	(void)state;
	struct err err = dial(true);
	assert_int_equal(err.code, -ENOMEM);
	assert_string_equal(err.text, "lab: port up: out of memory");
	assert_int_equal(fake.opened, 0);
	assert_int_equal(fake.counted, 0);
	err = dial(false);
	assert_int_equal(err.code, -EIO);
	assert_int_equal(fake.opened, 1);
	assert_int_equal(fake.counted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_cannot_be_counted_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
