/* sim_core.c - machines, processes, descriptors, and the way in of every call: what is not special
 * to one kind of file. See sim.h. */
#include "tests/darwin/sim_priv.h"

#include <stdlib.h>
#include <string.h>

static const char *const profile_names[SIM_PROFILES] = { "10.14", "12", "13", "14.0", "14.1",
	"15" };

const char *sim_profile_name(enum sim_profile profile)
{
	return profile < SIM_PROFILES ? profile_names[profile] : "?";
}

bool sim_profile_find(enum sim_profile *out, const char *name)
{
	for (unsigned i = 0; i < SIM_PROFILES; i++) {
		if (strcmp(profile_names[i], name) == 0) {
			*out = (enum sim_profile)i;
			return true;
		}
	}
	return false;
}

/* -- the machine -- */

struct sim *sim_new(enum sim_profile profile)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	if (!sim)
		abort(); /* a test without memory has nothing to say */
	sim->profile = profile;
	sim->next_index = 1; /* if.c:if_next_index(): indexes count from 1 */
	sim->next_pid = 100;
	sim_fake_init(&sim->fake);
	if (profile == SIM_10_14)
		sim->fake.max_mtu = (int)DW_FETH_MTU_MAX; /* a constant there, no sysctl */
	return sim;
}

void sim_free(struct sim *sim)
{
	if (!sim)
		return;
	while (sim->procs)
		sim_proc_exit(sim->procs);
	sim_bpf_free(sim);
	sim_route_free(sim);
	sim_unix_free(sim);
	sim_ifnet_free(sim);
	free(sim);
}

struct sim_knobs *sim_knobs(struct sim *sim)
{
	return &sim->knobs;
}

enum sim_profile sim_profile_of(const struct sim *sim)
{
	return sim->profile;
}

uint64_t sim_now_us(const struct sim *sim)
{
	return sim->clock ? sim->clock() : sim->now_us;
}

void sim_advance_us(struct sim *sim, uint64_t us)
{
	sim->now_us += us;
	sim_settle(sim);
}

void sim_set_clock(struct sim *sim, uint64_t (*now_us)(void))
{
	sim->clock = now_us;
}

void sim_settle(struct sim *sim)
{
	sim_ifnet_settle(sim);
	sim_bpf_settle(sim);
	for (struct sim_ifnet *ifp = sim->ifnets; ifp; ifp = ifp->next)
		sim_output_run(ifp);
}

void sim_run(struct sim *sim)
{
	bool hold = sim->knobs.hold_output;
	sim->knobs.hold_output = false;
	sim_settle(sim);
	sim->knobs.hold_output = hold;
}

void sim_on_ready(struct sim *sim, void (*fn)(void *ctx, struct sim_proc *p, int fd), void *ctx)
{
	sim->ready = fn;
	sim->ready_ctx = ctx;
}

void sim_file_ready(struct sim_file *f)
{
	if (f->sim->ready)
		f->sim->ready(f->sim->ready_ctx, f->proc, f->fd);
}

int sim_told_to_fail(struct sim *sim, const char *call)
{
	struct sim_knobs *k = &sim->knobs;

	if (k->fail_after == 0)
		return 0;
	if (k->fail_call[0] && strcmp(k->fail_call, call) != 0)
		return 0;
	if (--k->fail_after > 0)
		return 0;
	return -(k->fail_errno > 0 ? k->fail_errno : DW_EIO);
}

/* -- processes -- */

struct sim_proc *sim_proc_new(struct sim *sim, uint32_t euid)
{
	struct sim_proc *p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->sim = sim;
	p->euid = euid;
	p->pid = sim->next_pid++;
	p->next = sim->procs;
	sim->procs = p;
	return p;
}

void sim_proc_exit(struct sim_proc *p)
{
	if (!p)
		return;
	for (int fd = 0; fd < SIM_FD_MAX; fd++) {
		if (p->files[fd])
			sim_close(p, fd);
	}
	for (struct sim_proc **at = &p->sim->procs; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	free(p);
}

uint32_t sim_euid(const struct sim_proc *p)
{
	return p->euid;
}

void sim_post_sigpipe(struct sim_proc *p)
{
	p->sigpipe = true;
}

bool sim_sigpipe(struct sim_proc *p)
{
	bool came = p->sigpipe;

	p->sigpipe = false;
	return came;
}

/* -- descriptors -- */

int sim_file_new(
	struct sim_proc *p, const struct sim_file_ops *ops, void *priv, struct sim_file **out)
{
	int fd = SIM_FD_FIRST;
	while (fd < SIM_FD_MAX && p->files[fd])
		fd++;
	if (fd == SIM_FD_MAX)
		return -DW_EMFILE;

	struct sim_file *f = calloc(1, sizeof(*f));
	if (!f)
		return -DW_ENOMEM;
	f->sim = p->sim;
	f->proc = p;
	f->fd = fd;
	f->serial = ++p->sim->serials;
	f->ops = ops;
	f->priv = priv;
	p->files[fd] = f;
	if (out)
		*out = f;
	return fd;
}

struct sim_file *sim_file_find(const struct sim_proc *p, int fd)
{
	return fd >= 0 && fd < SIM_FD_MAX ? p->files[fd] : NULL;
}

/* What every call on a descriptor begins with. */
static struct sim_file *enter(struct sim_proc *p, int fd)
{
	sim_settle(p->sim);
	return sim_file_find(p, fd);
}

int sim_close(struct sim_proc *p, int fd)
{
	struct sim_file *f = enter(p, fd);
	if (!f)
		return -DW_EBADF;
	p->files[fd] = NULL; /* before: nobody finds it while it closes */
	if (f->ops->close)
		f->ops->close(f);
	free(f);
	return 0;
}

/* -- calls -- */

int sim_socket(struct sim_proc *p, int domain, int type, int protocol)
{
	sim_settle(p->sim);
	int rc = sim_told_to_fail(p->sim, "socket");
	if (rc)
		return rc;

	switch (domain) {
	case DW_AF_INET:
	case DW_AF_INET6:
		if (type != DW_SOCK_DGRAM && type != DW_SOCK_STREAM)
			return type == DW_SOCK_RAW && p->euid != 0 ? -DW_EPERM
								   : -DW_EPROTONOSUPPORT;
		return sim_inet_socket(p, domain);
	case DW_AF_NDRV:
		if (p->sim->knobs.no_ndrv)
			return -DW_EPROTONOSUPPORT;
		return sim_ndrv_socket(p, type);
	case DW_AF_UNIX:
		return sim_unix_socket(p, type);
	case DW_AF_ROUTE:
		/* uipc_socket.c:socreate_internal(): a known family without this type */
		if (type != DW_SOCK_RAW)
			return -DW_EPROTOTYPE;
		return sim_route_socket(p);
	case DW_AF_SYSTEM:
		if (type == DW_SOCK_DGRAM && protocol == DW_SYSPROTO_CONTROL)
			return sim_control_socket(p);
		/* sys_domain: SOCK_RAW speaks SYSPROTO_EVENT only, kern_event.c:eventsw */
		if (type != DW_SOCK_RAW || protocol != DW_SYSPROTO_EVENT)
			return -DW_EPROTONOSUPPORT;
		return sim_event_socket(p);
	default:
		return -DW_EAFNOSUPPORT;
	}
}

int sim_open(struct sim_proc *p, const char *path)
{
	sim_settle(p->sim);
	int rc = sim_told_to_fail(p->sim, "open");
	if (rc)
		return rc;
	if (strncmp(path, "/dev/bpf", 8) != 0)
		return -DW_ENOENT;
	return sim_bpf_open(p, path);
}

int sim_ioctl(struct sim_proc *p, int fd, unsigned long request, void *arg)
{
	struct sim_file *f = enter(p, fd);
	if (!f)
		return -DW_EBADF;

	/* sys_generic.c:ioctl() hands on a copy, and copies back where the call worked */
	_Alignas(16) uint8_t copy[0x2000] = { 0 };
	size_t size = DW_IOC_SIZE(request);
	if ((request & (DW_IOC_IN | DW_IOC_OUT)) && size > 0 && !arg)
		return -DW_EFAULT;
	if (request & DW_IOC_IN)
		memcpy(copy, arg, size);
	if (request == DW_FIONBIO) {
		/* sys_generic.c:ioctl() keeps it in the file; every kind here goes along */
		int32_t on;
		memcpy(&on, copy, sizeof(on));
		f->nonblock = on != 0;
		return 0;
	}
	int rc = f->ops->ioctl ? f->ops->ioctl(f, request, copy) : -DW_ENOTTY;
	if (rc >= 0 && request & DW_IOC_OUT)
		memcpy(arg, copy, size);
	sim_settle(p->sim);
	return rc;
}

int sim_setsockopt(struct sim_proc *p, int fd, int level, int option, const void *value, size_t len)
{
	struct sim_file *f = enter(p, fd);
	if (!f)
		return -DW_EBADF;
	return f->ops->setsockopt ? f->ops->setsockopt(f, level, option, value, len) : -DW_ENOTSOCK;
}

int sim_getsockopt(struct sim_proc *p, int fd, int level, int option, void *value, size_t *len)
{
	struct sim_file *f = enter(p, fd);
	if (!f)
		return -DW_EBADF;
	return f->ops->getsockopt ? f->ops->getsockopt(f, level, option, value, len) : -DW_ENOTSOCK;
}

int sim_bind(struct sim_proc *p, int fd, const void *addr, size_t len)
{
	struct sim_file *f = enter(p, fd);
	if (!f)
		return -DW_EBADF;
	int rc = sim_told_to_fail(p->sim, "bind");
	if (rc)
		return rc;
	return f->ops->bind ? f->ops->bind(f, addr, len) : -DW_ENOTSOCK;
}

int sim_connect(struct sim_proc *p, int fd, const void *addr, size_t len)
{
	struct sim_file *f = enter(p, fd);
	if (!f)
		return -DW_EBADF;
	int rc = sim_told_to_fail(p->sim, "connect");
	if (rc)
		return rc;
	return f->ops->connect ? f->ops->connect(f, addr, len) : -DW_ENOTSOCK;
}

int sim_shutdown(struct sim_proc *p, int fd, int how)
{
	struct sim_file *f = enter(p, fd);
	if (!f)
		return -DW_EBADF;
	return f->ops->shutdown ? f->ops->shutdown(f, how) : -DW_ENOTSOCK;
}

long sim_read(struct sim_proc *p, int fd, void *buf, size_t size)
{
	struct sim_file *f = enter(p, fd);
	if (!f)
		return -DW_EBADF;
	return f->ops->read ? f->ops->read(f, buf, size) : -DW_EINVAL;
}

long sim_sendto(
	struct sim_proc *p, int fd, const void *buf, size_t size, const void *addr, size_t addr_len)
{
	struct sim_file *f = enter(p, fd);
	if (!f)
		return -DW_EBADF;
	if (!f->ops->write)
		return -DW_EINVAL;
	long n = f->ops->write(f, buf, size, addr, addr_len);
	sim_settle(p->sim);
	return n;
}

long sim_write(struct sim_proc *p, int fd, const void *buf, size_t size)
{
	return sim_sendto(p, fd, buf, size, NULL, 0);
}

long sim_writev(struct sim_proc *p, int fd, const struct seg *pieces, unsigned n)
{
	size_t size = 0;

	if (n == 0 || n > 1024) /* UIO_MAXIOV */
		return -DW_EINVAL;
	for (unsigned i = 0; i < n; i++)
		size += pieces[i].len;
	uint8_t *all = malloc(size ? size : 1);
	if (!all)
		return -DW_ENOMEM;
	size_t at = 0;
	for (unsigned i = 0; i < n; i++) {
		if (pieces[i].len > 0)
			memcpy(all + at, pieces[i].base, pieces[i].len);
		at += pieces[i].len;
	}
	long rc = sim_write(p, fd, all, size);
	free(all);
	return rc;
}
