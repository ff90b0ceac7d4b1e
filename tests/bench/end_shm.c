/* end_shm.c - ends whose frames go by rings in shared memory (protocol/ring.h): a port of fethd,
 * and two ends with nothing in between. Wakes go by the stream, as docs/protocol.md, 8 says. See
 * ends.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol/ring.h"
#include "tests/bench/ends.h"

struct shm {
	struct ring_reader in;
	struct ring_writer out;
};

static const uint8_t wake[] = { 0xd4, WIRE_EXT_WAKE, 0 };

/* What the stream says is not looked at: it is a wake. 1; 0: nothing came; -1: it ended. */
static int sleep_on(struct end *end)
{
	uint8_t bytes[256];
	const ssize_t n = recv(end->fd, bytes, sizeof(bytes), 0);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	return n > 0 ? 1 : -1;
}

static int map(struct end *end, int fd, enum ring_way out)
{
	struct stat st;
	struct shm *shm = calloc(1, sizeof(*shm));
	if (!shm || fstat(fd, &st) < 0)
		return -1;
	if ((uint64_t)st.st_size != ring_area(RING_BYTES)) {
		errno = EPROTO;
		return -1;
	}
	uint8_t *area =
		mmap(NULL, ring_area(RING_BYTES), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED)
		return -1;
	close(fd);
	ring_writer_init(&shm->out, area, out, RING_BYTES);
	ring_reader_init(&shm->in, area, out == RING_TO_SERVER ? RING_TO_CLIENT : RING_TO_SERVER,
		RING_BYTES);
	end->conn = shm;
	return 0;
}

/* A descriptor and what it comes with. Bytes, or -1. */
static ssize_t take_fd(struct end *end, int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { end->buf, END_READ };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n = -1;
	for (unsigned tries = 0; n < 0 && tries < 50; tries++) {
		n = recvmsg(end->fd, &msg, MSG_CMSG_CLOEXEC);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
	}
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS) {
		errno = EPROTO;
		return -1;
	}
	memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return n;
}

static int give_fd(int to, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .align = { .cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { (char[]){ 0 }, 1 };
	const struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	return sendmsg(to, &msg, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int publish(struct end *end)
{
	struct shm *shm = end->conn;
	end->calls++;
	return ring_publish(&shm->out) ? end_write(end->fd, wake, sizeof(wake)) : 0;
}

/* [0, 1, "attach", [{"shm": true}]] */
static int open_shm(struct end *end, const char *where, bool hello)
{
	static const uint8_t attach[] = { 0x94, 0x00, 0x01, 0xa6, 'a', 't', 't', 'a', 'c', 'h',
		0x91, 0x81, 0xa3, 's', 'h', 'm', 0xc3 };
	int fd;
	if (end_connect(end, where) < 0 || end_write(end->fd, attach, sizeof(attach)) < 0 ||
		take_fd(end, &fd) < 0 || map(end, fd, RING_TO_SERVER) < 0)
		return -1;
	if (!hello)
		return 0;
	struct shm *shm = end->conn;
	uint8_t frame[60];
	const size_t len = end_hello(end, frame);
	memcpy(ring_reserve(&shm->out, (uint32_t)len, 0), frame, len); /* the first always fits */
	return publish(end);
}

static int shm_send(struct end *end)
{
	struct batch *b = &end->out;
	struct shm *shm = end->conn;
	unsigned i = 0;
	batch_stamp(b);
	for (; i < b->n; i++) {
		uint8_t *at = ring_reserve(&shm->out, b->size, 0);
		if (!at)
			break;
		memcpy(at, b->bytes + i * b->size, b->size);
	}
	b->next += i;
	if (publish(end) < 0)
		return -1;
	if (i < b->n && ring_wait(&shm->out, b->size) && sleep_on(end) < 0)
		return -1;
	return (int)i;
}

static int shm_recv(struct end *end)
{
	struct shm *shm = end->conn;
	struct ring_record r;
	enum ring_item item = RING_NONE;
	unsigned n = 0;
	while (n < END_BATCH_MAX && (item = ring_next(&shm->in, &r)) == RING_RECORD) {
		tally_frame(&end->in, r.body, r.len);
		n++;
	}
	if (item == RING_BROKEN) {
		errno = EPROTO;
		return -1;
	}
	if (!n)
		return ring_sleep(&shm->in) ? sleep_on(end) : 1;
	end->calls++;
	return ring_release(&shm->in) && end_write(end->fd, wake, sizeof(wake)) < 0 ? -1 : 1;
}

/* The other end of direct-shm, which makes the memory. */
static int open_raw_shm(struct end *end, const char *where, bool hello)
{
	int fd;
	(void)hello;
	return end_connect(end, where) < 0 || take_fd(end, &fd) < 0 ? -1
								    : map(end, fd, RING_TO_SERVER);
}

static int direct_shm_recv(struct end *end)
{
	if (end->listens) {
		const int fd = accept(end->fd, NULL, NULL);
		if (fd < 0)
			return errno == EINTR ? 0 : -1;
		close(end->fd);
		end->fd = fd;
		end->listens = false;
		end_socket(fd);
		const int memory = memfd_create("bench", MFD_CLOEXEC);
		if (memory < 0 || ftruncate(memory, (off_t)ring_area(RING_BYTES)) < 0 ||
			give_fd(fd, memory) < 0 || map(end, memory, RING_TO_CLIENT) < 0)
			return -1;
	}
	return shm_recv(end);
}

static int open_direct_shm(struct end *end, const char *where, bool hello)
{
	return end_direct.open(end, where, hello);
}

const struct end_ops end_shm = {
	.name = "shm",
	.open = open_shm,
	.send = shm_send,
	.recv = shm_recv,
};

const struct end_ops end_raw_shm = {
	.name = "raw-shm",
	.open = open_raw_shm,
	.send = shm_send,
	.recv = shm_recv,
};

const struct end_ops end_direct_shm = {
	.name = "direct-shm",
	.open = open_direct_shm,
	.send = shm_send,
	.recv = direct_shm_recv,
};
