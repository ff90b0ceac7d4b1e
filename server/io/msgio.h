/* msgio.h - many messages of a message socket in one call, where the system can.
 *
 * Of SOCK_DGRAM, SOCK_SEQPACKET and connected UDP sockets, non-blocking. Linux has recvmmsg() and
 * sendmmsg(), which are 1.0 to 1.4 times as fast as a call for each (limits.md, 1); elsewhere it is
 * a call for each. */
#ifndef SERVER_IO_MSGIO_H
#define SERVER_IO_MSGIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/frame.h"

struct sockaddr_un;

#define MSGIO_BATCH 64u
/* Bytes of one message that can be read, and of all of a batch with what comes beside them. More
 * than a frame has, so that a frame too long is seen; and no power of two, or the beginnings of all
 * 64 would fall on the same lines of a processor's cache. */
#define MSGIO_SLOT 65600u
#define MSGIO_BUF (4276u * 1024u)

/* A message that came in. */
struct msgio_in {
	uint8_t *data;
	uint32_t len; /* bytes it had; of them min(len, MSGIO_SLOT) are at data */
	/* Where its sender's socket is bound; from_len 0: nowhere, or its name was not asked for.
	 */
	const struct sockaddr_un *from;
	uint32_t from_len;
	bool attested; /* Linux, where sock_attest() asked for it: who sent it */
	uint32_t uid, gid, pid;
};

struct msgio_ops {
	/* Descriptors that came along, int[n], unaligned, are nobody's. */
	void (*descriptors)(void *ctx, const void *fds, unsigned n);
};

/**
 * msgio_recv() - read what has come
 * @buf:	MSGIO_BUF bytes; views into it are good until the next call
 * @out:	MSGIO_BATCH of them
 * @named:	say where senders are bound (Unix sockets)
 *
 * Return: how many messages, at most MSGIO_BATCH, 0 where there are none now; or -errno. An ended
 * SOCK_SEQPACKET shows as messages of no length, to which msgio_ended() is the answer.
 */
int msgio_recv(int fd, uint8_t *buf, struct msgio_in *out, bool named, const struct msgio_ops *ops,
	void *ctx);

/* Whether nobody is at the other end of a connection any more; or sends any more, on Linux, and all
 * that it sent has been read, but perhaps for messages of no length. */
bool msgio_ended(int fd);

/* A message to be written: its pieces, at most 1024. */
struct msgio_out {
	const struct seg *segs;
	uint16_t n;
};

/**
 * msgio_send() - write messages
 * @to:		where to, or NULL: where the socket is connected to
 *
 * Return: how many of them went out, from the first; -errno where the first did not: -EAGAIN and
 * -ENOBUFS: later
 */
int msgio_send(int fd, const struct msgio_out *msgs, unsigned n, const struct sockaddr_un *to,
	uint32_t to_len);

/* Has the system keep as much for a socket as frames want. */
void msgio_buffers(int fd);

#endif
