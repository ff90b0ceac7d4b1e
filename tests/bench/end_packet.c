/* end_packet.c - an end on a network interface: AF_PACKET with sendmmsg and recvmmsg, batches of 64
 * (limits.md, 2: the fastest that carries frames singly). See ends.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/ends.h"

#define ALL_PROTOCOLS 0x0003 /* ETH_P_ALL */

static int open_packet(struct end *end, const char *where, bool hello)
{
	const int on = 1, bytes = 4 * 1024 * 1024;
	struct ifreq ifr = { 0 };
	const unsigned index = if_nametoindex(where);
	if (!index)
		return -1;
	strncpy(ifr.ifr_name, where, sizeof(ifr.ifr_name) - 1);
	end->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (end->fd < 0 || ioctl(end->fd, SIOCGIFHWADDR, &ifr) < 0)
		return -1;
	memcpy(end->mac, ifr.ifr_hwaddr.sa_data, 6);
	end_socket(end->fd);
	(void)setsockopt(end->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(end->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));

	/* protocol 0 receives nothing: a sender's own queue stays empty */
	const struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = hello ? htons(ALL_PROTOCOLS) : 0,
		.sll_ifindex = (int)index,
	};
	if (bind(end->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	uint8_t frame[60];
	return hello && send(end->fd, frame, end_hello(end, frame), 0) < 0 ? -1 : 0;
}

static int packet_send(struct end *end)
{
	struct batch *b = &end->out;
	struct mmsghdr msgs[END_BATCH];
	struct iovec iov[END_BATCH];

	batch_stamp(b);
	for (unsigned i = 0; i < b->n; i++) {
		iov[i] = (struct iovec){ b->bytes + i * b->size, b->size };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	const int n = sendmmsg(end->fd, msgs, b->n, 0);
	if (n < 0) /* ENOBUFS: the interface's queue is full */
		return errno == EINTR || errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
	end->calls++;
	b->next += (unsigned)n;
	return n;
}

static int packet_recv(struct end *end)
{
	struct mmsghdr msgs[END_BATCH];
	struct iovec iov[END_BATCH];

	for (unsigned i = 0; i < END_BATCH; i++) {
		iov[i] = (struct iovec){ end->buf + i * END_SLOT, END_SLOT };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	const int n = recvmmsg(end->fd, msgs, END_BATCH, MSG_WAITFORONE, NULL);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN || errno == ENETDOWN ? 0 : -1;
	end->calls++;
	for (int i = 0; i < n; i++)
		tally_frame(&end->in, iov[i].iov_base, msgs[i].msg_len);
	return 1;
}

const struct end_ops end_packet = {
	.name = "packet",
	.open = open_packet,
	.send = packet_send,
	.recv = packet_recv,
};
