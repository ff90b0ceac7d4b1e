/* end_vde.c - an end on vde_switch through libvdeplug as packaged, which knows one frame a call.
 * See ends.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <libvdeplug.h>

#include "tests/bench/ends.h"

static int open_vde(struct end *end, const char *where, bool hello)
{
	char url[128];
	if (strlen(where) >= sizeof(url)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(url, where); /* its parameter is not const */
	end->conn = vde_open(url, (char[]){ "bench" }, NULL);
	if (!end->conn)
		return -1;
	end->fd = vde_datafd(end->conn);
	end_socket(end->fd);
	uint8_t frame[60];
	return hello && vde_send(end->conn, frame, end_hello(end, frame), 0) < 0 ? -1 : 0;
}

static int send_vde(struct end *end)
{
	struct batch *b = &end->out;
	int sent = 0;
	batch_stamp(b);
	for (unsigned i = 0; i < b->n; i++) {
		if (vde_send(end->conn, b->bytes + i * b->size, b->size, 0) < 0) {
			if (errno != EINTR && errno != EAGAIN && errno != ENOBUFS)
				return -1;
			break;
		}
		end->calls++;
		sent++;
	}
	b->next += (unsigned)sent;
	return sent;
}

static int recv_vde(struct end *end)
{
	const ssize_t n = vde_recv(end->conn, end->buf, END_READ, 0);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	if (!n)
		return 0; /* libvdeplug: a frame not for us, or a runt */
	end->calls++;
	tally_frame(&end->in, end->buf, (size_t)n);
	return 1;
}

const struct end_ops end_vde = {
	.name = "vde",
	.open = open_vde,
	.send = send_vde,
	.recv = recv_vde,
};
