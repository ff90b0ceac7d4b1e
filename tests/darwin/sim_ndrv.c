/* sim_ndrv.c - AF_NDRV sockets: raw frames out of one interface. net/ndrv.c.
 *
 * Nothing ever waits in the send buffer, so such a socket is always writable and never says EAGAIN.
 * It receives only what it asks for by NDRV_SETDMXSPEC, which is not simulated. */
#include "tests/darwin/sim_file.h"

#include <stdlib.h>
#include <string.h>

#define NDRV_SPACE 8192u /* NDRVSNDQ, NDRVRCVQ in ndrv_var.h */
#define NDRV_OPT_DELDMXSPEC 2
#define NDRV_OPT_SETDMXSPEC 4
#define NDRV_OPT_DELMULTICAST 6

struct ndrv {
	struct sim_sock so;
	bool named;            /* nd_laddr: bind() came as far as to keep the address */
	struct sim_ifnet *ifp; /* nd_if */
	uint64_t generation;   /* of ifp when it was bound */
};

/* The record of an interface is used again under its name (dlil_if_acquire()), and what a socket of
 * the one before does then, nobody should rely on. Here it keeps to what it lost. */
static bool ndrv_gone(const struct ndrv *np)
{
	return !np->ifp->attached || np->ifp->generation != np->generation;
}

static struct sim_ifnet *find_exactly(struct sim *sim, const char *name, bool *any)
{
	for (struct sim_ifnet *ifp = sim->ifnets; ifp; ifp = ifp->next) {
		if (!ifp->attached)
			continue;
		*any = true;
		if (strncmp(ifp->name, name, DW_IFNAMSIZ) == 0)
			return ifp;
	}
	return NULL;
}

/* ndrv_bind(): the address is kept before anything is known of it, which spoils the socket. */
static int ndrv_bind(struct sim_file *f, const void *addr, size_t len)
{
	struct ndrv *np = f->priv;
	struct dw_sockaddr_ndrv sa = { 0 };
	bool any = false;

	int rc = sim_sock_check_addr(addr, len);
	if (rc)
		return rc;
	memcpy(&sa, addr, len < sizeof(sa) ? len : sizeof(sa));
	struct sim_ifnet *ifp = find_exactly(f->sim, sa.name, &any);
	if (!any)
		return -DW_EADDRNOTAVAIL;
	if (np->named)
		return -DW_EINVAL;
	np->named = true;
	if (sa.name[0] == '\0')
		return -DW_EINVAL;
	if (!ifp)
		return -DW_EADDRNOTAVAIL;
	np->ifp = ifp;
	np->generation = ifp->generation;
	sim_proto_attach(ifp, DW_AF_NDRV);
	return 0;
}

/* uipc_socket.c:soconnectlock() disconnects what is connected already, and ndrv_do_disconnect()
 * ends in soisdisconnected(), which forbids sending and receiving for good. So a second connect()
 * succeeds and spoils the socket: ndrv_connect()'s EISCONN is never reached. */
static int ndrv_connect(struct sim_file *f, const void *addr, size_t len)
{
	struct ndrv *np = f->priv;

	int rc = sim_sock_check_addr(addr, len);
	if (rc)
		return rc;
	if (np->so.connected) {
		np->so.connected = false;
		np->so.cantsend = np->so.cantrcv = true;
	}
	if (len < sizeof(struct dw_sockaddr_ndrv))
		return -DW_EINVAL;
	np->so.connected = true;
	return 0;
}

/* uipc_socket.c:sosendcheck(), then ndrv_send() and ndrv_output(); the address of a sendto() is not
 * looked at. */
static long ndrv_send(struct sim_file *f, const void *buf, size_t size, const void *addr)
{
	struct ndrv *np = f->priv;

	if (np->so.cantsend)
		return -DW_EPIPE;
	if (!np->so.connected && !addr)
		return -DW_EDESTADDRREQ;
	if (size > np->so.snd_hiwat)
		return -DW_EMSGSIZE;
	if (!np->ifp)
		return -DW_EINVAL; /* dlil_output.c:ifnet_output_raw() without an interface */
	if (ndrv_gone(np))
		return -DW_ENXIO; /* dlil_output(): ifnet_datamov_begin() */
	int rc = sim_output(np->ifp, buf, size);
	return rc < 0 ? rc : (long)size;
}

static long ndrv_write(
	struct sim_file *f, const void *buf, size_t size, const void *addr, size_t addr_len)
{
	const struct ndrv *np = f->priv;

	if (addr) {
		int rc = sim_sock_check_addr(addr, addr_len);
		if (rc)
			return rc;
	}
	return sim_sock_sent(f, &np->so, ndrv_send(f, buf, size, addr));
}

/* uipc_socket.c:soreceive() */
static long ndrv_read(struct sim_file *f, void *buf, size_t size)
{
	const struct ndrv *np = f->priv;

	(void)buf;
	if (size == 0 || np->so.cantrcv)
		return 0;
	if (f->nonblock)
		return -DW_EAGAIN;
	sim_halt("a blocking read of NDRV socket %d: nothing ever comes", f->fd);
}

/* ndrv_ctloutput() takes every level but SOL_SOCKET for its own. */
static int ndrv_setsockopt(struct sim_file *f, int level, int option, const void *value, size_t len)
{
	struct ndrv *np = f->priv;

	if (level == DW_SOL_SOCKET)
		return sim_sock_setopt(&np->so, option, value, len);
	if (option == NDRV_OPT_DELDMXSPEC ||
		(option >= NDRV_OPT_SETDMXSPEC && option <= NDRV_OPT_DELMULTICAST))
		sim_halt("NDRV socket option %d is not simulated", option);
	return -DW_ENOTSUP;
}

static int ndrv_getsockopt(struct sim_file *f, int level, int option, void *value, size_t *len)
{
	const struct ndrv *np = f->priv;

	if (level != DW_SOL_SOCKET)
		return -DW_ENOTSUP;
	return sim_sock_getopt(&np->so, option, value, len);
}

static int ndrv_shutdown(struct sim_file *f, int how)
{
	struct ndrv *np = f->priv;
	bool rd, wr;

	return sim_sock_shutdown(&np->so, how, &rd, &wr);
}

/* sys_socket.c:soioctl(): what is an interface's goes there from any socket. */
static int ndrv_ioctl(struct sim_file *f, unsigned long request, void *arg)
{
	const int32_t none = 0;

	if (request == DW_FIONREAD) {
		memcpy(arg, &none, sizeof(none));
		return 0;
	}
	if ((request >> 8 & 0xff) == 'i')
		return sim_ifioctl(f, request, arg, DW_AF_NDRV);
	return -DW_EOPNOTSUPP;
}

/* sys_generic.c:poll_callback() over uipc_socket.c:filt_soread_common(), filt_sowrite_common() */
static int ndrv_poll(struct sim_file *f, int events)
{
	const struct ndrv *np = f->priv;
	int revents = 0;

	if (events & DW_POLLIN && np->so.cantrcv)
		revents |= SIM_POLLHUP | DW_POLLIN;
	if (events & DW_POLLOUT)
		revents |= np->so.cantsend ? SIM_POLLHUP : revents & SIM_POLLHUP ? 0 : DW_POLLOUT;
	return revents;
}

static int ndrv_select(struct sim_file *f, bool write)
{
	const struct ndrv *np = f->priv;

	return write || np->so.cantrcv;
}

/* ndrv_do_detach(): the protocol goes with the interface's last socket. (XNU tells interfaces apart
 * by family and unit here, so that a socket on en5 would keep feth5's protocol; left out.) */
static void ndrv_close(struct sim_file *f)
{
	struct ndrv *np = f->priv;

	if (np->ifp && !ndrv_gone(np))
		sim_proto_detach(np->ifp, DW_AF_NDRV);
	free(np);
}

static const struct sim_file_ops ndrv_ops = {
	.name = "ndrv",
	.ioctl = ndrv_ioctl,
	.read = ndrv_read,
	.write = ndrv_write,
	.bind = ndrv_bind,
	.connect = ndrv_connect,
	.setsockopt = ndrv_setsockopt,
	.getsockopt = ndrv_getsockopt,
	.shutdown = ndrv_shutdown,
	.poll = ndrv_poll,
	.select = ndrv_select,
	.close = ndrv_close,
};

/* uipc_socket.c:socreate_internal() finds no other type in the family; ndrv_attach() wants root,
 * once and for all. */
int sim_ndrv_socket(struct sim_proc *p, int type)
{
	if (p->sim->knobs.no_ndrv || type != DW_SOCK_RAW)
		return -DW_EPROTONOSUPPORT;
	if (sim_euid(p) != 0)
		return -DW_EPERM;
	struct ndrv *np = calloc(1, sizeof(*np));
	if (!np)
		return -DW_ENOBUFS;
	np->so.profile = p->sim->profile;
	np->so.snd_hiwat = np->so.rcv_hiwat = NDRV_SPACE;
	int fd = sim_file_new(p, &ndrv_ops, np, NULL);
	if (fd < 0)
		free(np);
	return fd;
}
