/* sim_sock.c - what sockets of every family have: buffer sizes, options, shutdown, SIGPIPE. See
 * sim_file.h. */
#include "tests/darwin/sim_file.h"

#include <string.h>

/* kern.ipc.maxsockbuf, SB_MAX in sys/socketvar.h. Until 14.3, uipc_socket2.c:sbreserve() refuses
 * more than the share of it that data has where an mbuf goes with every cluster; later it cuts down
 * to the whole, and refuses only what already has the whole. */
#define SB_MAX 8388608u
#define SB_MAX_DATA ((uint32_t)((uint64_t)SB_MAX * 2048u / (256u + 2048u)))

static int reserve(enum sim_profile profile, uint32_t *hiwat, uint32_t size)
{
	if (profile < SIM_15 && size > SB_MAX_DATA)
		return -DW_ENOBUFS;
	if (size > SB_MAX) {
		if (*hiwat == SB_MAX)
			return -DW_ENOBUFS;
		size = SB_MAX;
	}
	*hiwat = size;
	return 0;
}

int sim_sock_setopt(struct sim_sock *so, int option, const void *value, size_t len)
{
	int32_t n;

	if (so->cantsend && so->cantrcv)
		return -DW_EINVAL; /* no options any more on what has been shut down */
	if (option != DW_SO_SNDBUF && option != DW_SO_RCVBUF && option != DW_SO_NOSIGPIPE)
		return -SIM_ENOPROTOOPT;
	if (len < sizeof(n))
		return -DW_EINVAL;
	memcpy(&n, value, sizeof(n));
	if (option == DW_SO_NOSIGPIPE) {
		so->nosigpipe = n != 0;
		return 0;
	}
	if (n < 1)
		return -DW_EINVAL;
	return reserve(
		so->profile, option == DW_SO_SNDBUF ? &so->snd_hiwat : &so->rcv_hiwat, (uint32_t)n);
}

int sim_sock_copyout(const void *from, size_t size, void *value, size_t *len)
{
	if (*len > size)
		*len = size;
	memcpy(value, from, *len);
	return 0;
}

int sim_sock_getopt(const struct sim_sock *so, int option, void *value, size_t *len)
{
	int32_t n;

	switch (option) {
	case DW_SO_SNDBUF:
		n = (int32_t)so->snd_hiwat;
		break;
	case DW_SO_RCVBUF:
		n = (int32_t)so->rcv_hiwat;
		break;
	case DW_SO_NOSIGPIPE:
		n = so->nosigpipe;
		break;
	default:
		return -SIM_ENOPROTOOPT;
	}
	return sim_sock_copyout(&n, sizeof(n), value, len);
}

/* uipc_syscalls.c:getsockaddr(): SOCK_MAXADDRLEN, and room for length and family. */
int sim_sock_check_addr(const void *addr, size_t len)
{
	if (len > 255)
		return -SIM_ENAMETOOLONG;
	if (len < 2)
		return -DW_EINVAL;
	return addr ? 0 : -DW_EFAULT;
}

int sim_sock_shutdown(struct sim_sock *so, int how, bool *rd, bool *wr)
{
	if (how < 0 || how > 2)
		return -DW_EINVAL;
	if (!so->connected)
		return -DW_ENOTCONN;
	*rd = *wr = false;
	if (how != 1) {
		if (so->cantrcv)
			return -DW_ENOTCONN;
		so->cantrcv = *rd = true;
	}
	if (how != 0) {
		if (so->cantsend)
			return -DW_ENOTCONN;
		so->cantsend = *wr = true;
	}
	return 0;
}

/* sys_socket.c:soo_write(), uipc_syscalls.c:sendit() */
long sim_sock_sent(struct sim_file *f, const struct sim_sock *so, long rc)
{
	if (rc == -DW_EPIPE && !so->nosigpipe)
		sim_post_sigpipe(f->proc);
	return rc;
}
