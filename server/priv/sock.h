/* sock.h - sockets, born close-on-exec and non-blocking by each system's own means. */
#ifndef SERVER_PRIV_SOCK_H
#define SERVER_PRIV_SOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Of sendmsg() and recvmsg(). Darwin has neither: there SIGPIPE is ignored (daemon_run()), and
 * descriptors that come in are closed at once; nothing of ours calls exec(). Darwin's headers know
 * MSG_NOSIGNAL, but not every kernel that they serve does (bsd/sys/socket.h: not XNU 4903). */
#ifdef MSG_CMSG_CLOEXEC
#define SOCK_SEND_FLAGS MSG_NOSIGNAL
#define SOCK_RECV_FLAGS MSG_CMSG_CLOEXEC
#else
#define SOCK_SEND_FLAGS 0
#define SOCK_RECV_FLAGS 0
#endif

/* Of descriptors no more can come at once: Linux' SCM_MAX_FD is 253, and XNU wants 8 bytes for
 * each, behind a header of 12, to fit into 2048 (uipc_syscalls.c:sockargs). */
#define SOCK_FDS_MAX 254u

/* How many are in a control message of @msg. cmsg_len alone does not say: where the control buffer
 * was too small, XNU leaves it as it was sent (uipc_syscalls.c:copyout_control). */
unsigned sock_fds(const struct msghdr *msg, struct cmsghdr *c);

/* Each returns a descriptor (sock_pair(): 0), or -errno. */

/* One to connect or bind, of any family and type. Where the kernel can refuse them, nobody can send
 * descriptors over a Unix socket or its connections, whose closing could take long; elsewhere they
 * are closed with care (io/shared.h). */
int sock_new(int family, int type);
/* Whether Unix sockets of that type are to be had: Darwin has no SOCK_SEQPACKET. */
bool sock_has(int type);

/* The next connection of a listening socket. */
int sock_accept(int fd);

/* Two connected ones of @type: ours is out[0], which takes no descriptors where the kernel can
 * refuse them; out[1], which blocks, is to be given away. */
int sock_pair(int type, int out[2]);

/* Gives a socket of ours an address by which it can be asked for (verb_place_held()); false where
 * that is not needed or cannot be. */
struct sockaddr_un;
bool sock_name(int fd, struct sockaddr_un *out, socklen_t *out_len);

/* Whose the socket is that a connected datagram socket is connected to, as the kernel has it: of
 * the socket itself, wherever its name leads by now. Linux 5.3. -ENOENT: the kernel does not say,
 * or that one is gone or in another network namespace. -EOPNOTSUPP elsewhere. */
int sock_peer_owner(int fd, uint32_t *out_uid);

/* Has the kernel say of each message who sent it, from now on (Linux). */
void sock_attest(int fd, bool on);

/* Bytes written to a connection that its peer has not read, as they count against SO_SNDBUF; -1
 * where the system does not tell. */
int sock_unread(int fd);

/* Before a close: its peer sees the end. Whether nothing is left to be read, nor can come any more:
 * only then closing it takes no time, for descriptors that were sent along are closed with it. */
bool sock_drained(int fd);

#endif
