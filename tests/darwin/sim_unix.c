/* sim_unix.c - AF_UNIX sockets, as far as the rules speak of them: limits of datagrams, who the
 * other side is, and what there is no such socket for. kern/uipc_usrreq.c.
 *
 * There is no accept(), so streams come by socketpair(). Names are a list of their own, without
 * folders or permissions, and stay when their socket goes, as files do. */
#include "tests/darwin/sim_file.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_SPACE 8192u /* net.local.stream.{send,recv}space */
#define DGRAM_SEND 2048u   /* net.local.dgram.maxdgram */
#define DGRAM_RECV 4096u   /* net.local.dgram.recvspace */
#define STREAM_LOWAT 2048u /* MCLBYTES, by soreserve() */
#define NONAME_LEN 16u     /* sun_noname: the address of whom has none */
#define SB_EFFICIENCY 8u   /* sb_mbmax is so many times sb_hiwat */
#define MSIZE 256u
#define MHLEN 88u      /* about: data in a first mbuf */
#define MINCLSIZE 312u /* about: from here in clusters */
#define PATH_SIZE 256u /* SOCK_MAXADDRLEN, and a NUL */
#define STAFF 20u

struct message {
	struct message *next;
	uint32_t len;
	uint32_t space; /* what it counts for in sb_cc: with the address */
	uint32_t mbufs; /* and in sb_mbcnt */
	uint32_t at;    /* streams: what was read of it */
	uint8_t data[];
};

struct unp {              /* struct unpcb and its socket */
	struct unp *next; /* all there are */
	struct sim_sock so;
	struct sim_file *file;
	int type;
	struct unp *conn;  /* unp_conn */
	uint32_t addr_len; /* sun_len of its name; 0: none */
	struct message *first, **end;
	uint32_t cc, mbcnt; /* sb_cc, sb_mbcnt of what is to be read */
	bool havepc;        /* UNP_HAVEPC */
	struct dw_xucred peercred;
	int32_t last_pid; /* of the process that used it last */
};

struct name { /* a socket in the file system */
	struct name *next;
	struct unp *unp; /* NULL: its socket is gone */
	char path[PATH_SIZE];
};

struct unix_domain {
	struct unp *all;
	struct name *names; /* owned */
};

static struct unix_domain *domain_of(struct sim *sim)
{
	if (!sim->unix_)
		sim->unix_ = calloc(1, sizeof(struct unix_domain));
	return sim->unix_;
}

/* -- buffers -- */

/* uipc_socket2.c:sbspace() */
static uint32_t sbspace(const struct unp *unp)
{
	const uint64_t hiwat = unp->so.rcv_hiwat, mbmax = hiwat * SB_EFFICIENCY;
	const uint64_t bytes = hiwat > unp->cc ? hiwat - unp->cc : 0;
	const uint64_t mbufs = mbmax > unp->mbcnt ? mbmax - unp->mbcnt : 0;

	return (uint32_t)(bytes < mbufs ? bytes : mbufs);
}

/* What a datagram takes in mbufs; uipc_socket.c:sosend() chooses them about so. */
static uint32_t mbufs_of(uint32_t len)
{
	if (len <= MINCLSIZE)
		return MSIZE + (len <= MHLEN ? 1 : 2) * MSIZE; /* the first is the name's */
	if (len <= 2048)
		return 2 * MSIZE + 2048;
	return MSIZE + (len + 4095) / 4096 * (MSIZE + 4096);
}

static int append(struct unp *to, const void *data, uint32_t len, uint32_t addr_len)
{
	struct message *m = malloc(sizeof(*m) + len);
	if (!m)
		return -DW_ENOBUFS;
	*m = (struct message){ .len = len, .space = len + addr_len };
	if (to->type == DW_SOCK_DGRAM)
		m->mbufs = mbufs_of(len);
	memcpy(m->data, data, len);
	*to->end = m;
	to->end = &m->next;
	to->cc += m->space;
	to->mbcnt += m->mbufs;
	sim_file_ready(to->file);
	return 0;
}

static void drop_first(struct unp *unp)
{
	struct message *m = unp->first;

	unp->first = m->next;
	if (!unp->first)
		unp->end = &unp->first;
	unp->cc -= m->space;
	unp->mbcnt -= m->mbufs;
	free(m);
}

/* -- names -- */

/* The path of an address, and the address' length. namei() takes it up to the first NUL. */
static int path_of(const void *addr, size_t len, char path[PATH_SIZE])
{
	int rc = sim_sock_check_addr(addr, len);
	if (rc)
		return rc;
	const uint8_t *sun = addr;
	if (sun[1] != DW_AF_UNSPEC && sun[1] != DW_AF_UNIX)
		return -DW_EAFNOSUPPORT;
	if (len == 2)
		return -DW_EINVAL;
	memcpy(path, sun + 2, len - 2);
	path[len - 2] = '\0';
	return 0;
}

static struct name *name_find(const struct unix_domain *domain, const char *path)
{
	struct name *n = domain->names;

	while (n && strcmp(n->path, path) != 0)
		n = n->next;
	return n;
}

static bool named(const struct unix_domain *domain, const struct unp *unp)
{
	for (const struct name *n = domain->names; n; n = n->next) {
		if (n->unp == unp)
			return true;
	}
	return false;
}

/* unp_bind() */
static int unp_bind(struct sim_file *f, const void *addr, size_t len)
{
	struct unix_domain *domain = f->sim->unix_;
	struct unp *unp = f->priv;
	char path[PATH_SIZE];

	int rc = path_of(addr, len, path);
	if (rc)
		return rc;
	if (named(domain, unp) || (unp->so.cantsend && unp->so.cantrcv))
		return -DW_EINVAL;
	if (path[0] == '\0')
		return -DW_ENOENT;
	if (name_find(domain, path))
		return -DW_EADDRINUSE;
	struct name *n = calloc(1, sizeof(*n));
	if (!n)
		return -DW_ENOMEM;
	memcpy(n->path, path, sizeof(n->path));
	n->unp = unp;
	n->next = domain->names;
	domain->names = n;
	unp->addr_len = (uint32_t)len;
	unp->last_pid = f->proc->pid;
	return 0;
}

/* -- connections -- */

/* unp_disconnect(): a stream ends for both sides, a datagram socket just has no default any more.
 */
static void disconnect(struct unp *unp)
{
	struct unp *peer = unp->conn;

	if (!peer)
		return;
	unp->conn = NULL;
	unp->so.connected = false;
	if (unp->type == DW_SOCK_DGRAM)
		return;
	peer->conn = NULL;
	peer->so.connected = false;
	unp->so.cantsend = unp->so.cantrcv = true;
	peer->so.cantsend = peer->so.cantrcv = true;
	sim_file_ready(peer->file);
}

/* unp_connect(), with unp_connect2() */
static int connect_to(struct unp *unp, const void *addr, size_t len)
{
	const struct unix_domain *domain = unp->file->sim->unix_;
	char path[PATH_SIZE];

	int rc = path_of(addr, len, path);
	if (rc)
		return rc;
	const struct name *n = name_find(domain, path);
	if (!n)
		return -DW_ENOENT;
	if (!n->unp)
		return -DW_ECONNREFUSED;
	if (n->unp->type != unp->type)
		return -DW_EPROTOTYPE;
	if (unp->type == DW_SOCK_STREAM)
		return -DW_ECONNREFUSED; /* nobody listens */
	unp->conn = n->unp;
	unp->so.connected = true;
	return 0;
}

/* uipc_socket.c:soconnectlock(): what needs no connection may change its mind. */
static int unp_connect(struct sim_file *f, const void *addr, size_t len)
{
	struct unp *unp = f->priv;

	unp->last_pid = f->proc->pid;
	if (unp->so.connected) {
		if (unp->type == DW_SOCK_STREAM)
			return -DW_EISCONN;
		disconnect(unp);
	}
	return connect_to(unp, addr, len);
}

/* -- data -- */

static int take_error(struct unp *unp)
{
	const int error = unp->so.error;

	unp->so.error = 0;
	return -error;
}

/* uipc_send() for datagrams: they are refused when the receiver has no room, and nobody waits. */
static int send_dgram(struct unp *unp, const void *buf, size_t size, const void *addr, size_t len)
{
	if (addr) {
		if (unp->conn)
			return -DW_EISCONN;
		int rc = connect_to(unp, addr, len);
		if (rc)
			return rc;
	}
	struct unp *to = unp->conn;
	const uint32_t addr_len = unp->addr_len ? unp->addr_len : NONAME_LEN;
	int rc = 0;
	if (to->so.cantrcv)
		rc = -DW_EINVAL; /* SB_DROP */
	else if (size + addr_len > sbspace(to))
		rc = -DW_ENOBUFS;
	else
		rc = append(to, buf, (uint32_t)size, addr_len);
	if (addr)
		disconnect(unp);
	return rc;
}

/* uipc_socket.c:sosend() for a stream: the receiver's unread bytes are what fills the sender. */
static long send_stream(struct unp *unp, const uint8_t *buf, size_t size)
{
	const uint32_t hiwat = unp->so.snd_hiwat, used = unp->conn->cc;
	const size_t space = hiwat > used ? hiwat - used : 0;
	const size_t lowat = hiwat < STREAM_LOWAT ? hiwat : STREAM_LOWAT;

	if (space < size && (space == 0 || space < lowat)) {
		if (unp->file->nonblock)
			return -DW_EAGAIN;
		sim_halt("a blocking write of a full Unix socket %d", unp->file->fd);
	}
	if (size > space && !unp->file->nonblock)
		sim_halt("a blocking write of a Unix socket %d, more than fits", unp->file->fd);
	const size_t n = size < space ? size : space;
	int rc = n > 0 ? append(unp->conn, buf, (uint32_t)n, 0) : 0;
	return rc < 0 ? rc : (long)n;
}

/* uipc_socket.c:sosendcheck(), then uipc_send() */
static long send_any(
	struct unp *unp, const void *buf, size_t size, const void *addr, size_t addr_len)
{
	if (unp->so.cantsend)
		return -DW_EPIPE;
	if (unp->so.error)
		return take_error(unp);
	if (!unp->so.connected && unp->type == DW_SOCK_STREAM)
		return -DW_ENOTCONN;
	if (!unp->so.connected && !addr)
		return -DW_EDESTADDRREQ;
	if (unp->type == DW_SOCK_STREAM)
		return send_stream(unp, buf, size);
	if (size > unp->so.snd_hiwat)
		return -DW_EMSGSIZE;
	int rc = send_dgram(unp, buf, size, addr, addr_len);
	return rc < 0 ? rc : (long)size;
}

static long unp_write(
	struct sim_file *f, const void *buf, size_t size, const void *addr, size_t addr_len)
{
	struct unp *unp = f->priv;

	if (addr) {
		int rc = sim_sock_check_addr(addr, addr_len);
		if (rc)
			return rc;
	}
	unp->last_pid = f->proc->pid;
	return sim_sock_sent(f, &unp->so, send_any(unp, buf, size, addr, addr_len));
}

static long read_stream(struct unp *unp, uint8_t *buf, size_t size)
{
	size_t n = 0;

	while (unp->first && n < size) {
		struct message *m = unp->first;
		const uint32_t left = m->len - m->at;
		const uint32_t take = left < size - n ? left : (uint32_t)(size - n);
		memcpy(buf + n, m->data + m->at, take);
		n += take;
		m->at += take;
		m->space -= take;
		unp->cc -= take;
		if (m->at == m->len)
			drop_first(unp);
	}
	return (long)n;
}

/* uipc_socket.c:soreceive() */
static long unp_read(struct sim_file *f, void *buf, size_t size)
{
	struct unp *unp = f->priv;

	unp->last_pid = f->proc->pid;
	if (!unp->first) {
		if (unp->so.error)
			return take_error(unp);
		if (unp->so.cantrcv)
			return 0;
		if (unp->type == DW_SOCK_STREAM && !unp->so.connected)
			return -DW_ENOTCONN;
		if (size == 0)
			return 0;
		if (f->nonblock)
			return -DW_EAGAIN;
		sim_halt("a blocking read of Unix socket %d, which has nothing", f->fd);
	}
	if (unp->type == DW_SOCK_STREAM)
		return read_stream(unp, buf, size);
	const size_t n = unp->first->len < size ? unp->first->len : size;
	memcpy(buf, unp->first->data, n);
	drop_first(unp);
	return (long)n;
}

static int unp_shutdown(struct sim_file *f, int how)
{
	struct unp *unp = f->priv;
	bool rd = false, wr = false;

	int rc = sim_sock_shutdown(&unp->so, how, &rd, &wr);
	while (rd && unp->first) /* sorflush() */
		drop_first(unp);
	if (wr && unp->type == DW_SOCK_STREAM && unp->conn) {
		unp->conn->so.cantrcv = true;
		sim_file_ready(unp->conn->file);
	}
	return rc;
}

/* -- options -- */

static int unp_setsockopt(struct sim_file *f, int level, int option, const void *value, size_t len)
{
	struct unp *unp = f->priv;

	if (level != DW_SOL_SOCKET)
		return -DW_EOPNOTSUPP;
	return sim_sock_setopt(&unp->so, option, value, len);
}

/* uipc_ctloutput(), whatever the level */
static int unp_getsockopt(struct sim_file *f, int level, int option, void *value, size_t *len)
{
	const struct unp *unp = f->priv;

	if (level == DW_SOL_SOCKET)
		return sim_sock_getopt(&unp->so, option, value, len);
	switch (option) {
	case DW_LOCAL_PEERCRED:
		if (!unp->havepc)
			return unp->type == DW_SOCK_STREAM ? -DW_ENOTCONN : -DW_EINVAL;
		return sim_sock_copyout(&unp->peercred, sizeof(unp->peercred), value, len);
	case DW_LOCAL_PEERPID:
		if (!unp->conn)
			return -DW_ENOTCONN;
		return sim_sock_copyout(
			&unp->conn->last_pid, sizeof(unp->conn->last_pid), value, len);
	default:
		return -DW_EOPNOTSUPP;
	}
}

static int unp_ioctl(struct sim_file *f, unsigned long request, void *arg)
{
	const struct unp *unp = f->priv;

	if (request == DW_FIONREAD) {
		memcpy(arg, &unp->cc, sizeof(unp->cc));
		return 0;
	}
	if ((request >> 8 & 0xff) == 'i')
		return sim_ifioctl(f, request, arg, DW_AF_UNIX);
	return -DW_EOPNOTSUPP;
}

/* -- readiness -- */

/* uipc_socket.c:filt_sowrite_common(). From 13 on the receiver's room counts too, though for
 * datagrams nobody is told when it comes back. */
static bool writable(const struct unp *unp)
{
	const struct unp *to = unp->conn;
	const bool stream = unp->type == DW_SOCK_STREAM;
	uint32_t space = unp->so.snd_hiwat, lowat = stream ? STREAM_LOWAT : 1;

	if (unp->so.error)
		return true;
	if (stream && !to)
		return false;
	if (stream)
		space = space > to->cc ? space - to->cc : 0;
	if (to && unp->so.profile >= SIM_13 && sbspace(to) < space)
		space = sbspace(to);
	if (lowat > unp->so.snd_hiwat)
		lowat = unp->so.snd_hiwat;
	return space > 0 && space >= lowat;
}

static int unp_poll(struct sim_file *f, int events)
{
	const struct unp *unp = f->priv;
	int revents = 0;

	if (events & DW_POLLIN) {
		if (unp->so.cantrcv)
			revents |= SIM_POLLHUP | DW_POLLIN;
		else if (unp->so.error || unp->cc > 0)
			revents |= DW_POLLIN;
	}
	if (events & DW_POLLOUT) {
		if (unp->so.cantsend)
			revents |= SIM_POLLHUP;
		else if (!(revents & SIM_POLLHUP) && writable(unp))
			revents |= DW_POLLOUT;
	}
	return revents;
}

/* -- life -- */

static void unp_close(struct sim_file *f)
{
	struct unix_domain *domain = f->sim->unix_;
	struct unp *unp = f->priv;

	disconnect(unp);
	for (struct unp **at = &domain->all; *at;) {
		struct unp *other = *at;
		if (other == unp) {
			*at = unp->next;
			continue;
		}
		if (other->conn == unp) { /* unp_detach(): unp_drop() */
			other->so.error = DW_ECONNRESET;
			disconnect(other);
		}
		at = &other->next;
	}
	for (struct name *n = domain->names; n; n = n->next) {
		if (n->unp == unp)
			n->unp = NULL;
	}
	while (unp->first)
		drop_first(unp);
	free(unp);
}

static const struct sim_file_ops unp_ops = {
	.name = "unix",
	.ioctl = unp_ioctl,
	.read = unp_read,
	.write = unp_write,
	.bind = unp_bind,
	.connect = unp_connect,
	.setsockopt = unp_setsockopt,
	.getsockopt = unp_getsockopt,
	.shutdown = unp_shutdown,
	.poll = unp_poll,
	.close = unp_close,
};

/* uipc_proto.c:localsw has these two (rule 58); unp_attach(). */
int sim_unix_socket(struct sim_proc *p, int type)
{
	if (type != DW_SOCK_STREAM && type != DW_SOCK_DGRAM)
		return -DW_EPROTONOSUPPORT;
	struct unix_domain *domain = domain_of(p->sim);
	struct unp *unp = calloc(1, sizeof(*unp));
	if (!domain || !unp) {
		free(unp);
		return -DW_ENOBUFS;
	}
	int fd = sim_file_new(p, &unp_ops, unp, &unp->file);
	if (fd < 0) {
		free(unp);
		return fd;
	}
	unp->type = type;
	unp->so.profile = p->sim->profile;
	unp->so.snd_hiwat = type == DW_SOCK_STREAM ? STREAM_SPACE : DGRAM_SEND;
	unp->so.rcv_hiwat = type == DW_SOCK_STREAM ? STREAM_SPACE : DGRAM_RECV;
	unp->end = &unp->first;
	unp->last_pid = p->pid;
	unp->next = domain->all;
	domain->all = unp;
	return fd;
}

/* unp_connect2(): only a stream learns whose the other side is (rule 59). */
static void pair_one(struct unp *unp, struct unp *with, uint32_t euid)
{
	unp->conn = with;
	unp->so.connected = true;
	if (unp->type != DW_SOCK_STREAM)
		return;
	unp->havepc = true;
	unp->peercred = (struct dw_xucred){ .uid = euid, .ngroups = 1 };
	unp->peercred.groups[0] = euid == 0 ? 0 : STAFF;
}

static int unix_pair(struct sim_proc *p, int type, int out[2])
{
	const int a = sim_unix_socket(p, type);
	if (a < 0)
		return a;
	const int b = sim_unix_socket(p, type);
	if (b < 0) {
		sim_close(p, a);
		return b;
	}
	struct unp *x = sim_file_find(p, a)->priv, *y = sim_file_find(p, b)->priv;
	pair_one(x, y, p->euid);
	pair_one(y, x, p->euid);
	out[0] = a;
	out[1] = b;
	return 0;
}

/* uipc_syscalls.c:socketpair(): other families have no pru_connect2. */
int sim_socketpair(struct sim_proc *p, int domain, int type, int out[2])
{
	sim_settle(p->sim);
	if (domain == DW_AF_UNIX)
		return unix_pair(p, type, out);
	const int fd = sim_socket(p, domain, type, 0);
	if (fd < 0)
		return fd;
	sim_close(p, fd);
	return -DW_EOPNOTSUPP;
}

/* Whatever is open was closed with its process. */
void sim_unix_free(struct sim *sim)
{
	struct unix_domain *domain = sim->unix_;

	while (domain && domain->names) {
		struct name *n = domain->names;
		domain->names = n->next;
		free(n);
	}
	free(domain);
	sim->unix_ = NULL;
}
