/* server_calls.c - the calls of processes. See server.h.
 *
 * Structures that hold a pointer (struct ifdrv) come with what it points to, and are patched here;
 * the others are passed on as they came, whatever they are: refusing is the kernel's business. */
#include "tests/darwin/server.h"

#include <stdlib.h>
#include <string.h>

#define IOCTL_MAX (0x1fffu + WIRE_DRVSPEC_MAX)
#define SYSCTL_OLD_MAX (1u << 20)

struct call {
	struct conn *conn;
	struct wire_request rq;
	struct desc *desc; /* NULL: none given, or closed */
	int fd;            /* its simulated number, -1 */
	const uint8_t *tail;
	size_t len;
	size_t reply; /* where the reply is in *out */
	struct bytes *out;
};

static void answer(struct call *c, int64_t rc, uint64_t size)
{
	const struct wire_reply reply = { .rc = rc, .size = size };
	memcpy(c->out->data + c->reply, &reply, sizeof(reply));
}

static void answer_desc(struct call *c, int fd)
{
	answer(c, fd < 0 ? fd : desc_new(c->conn, fd), 0);
}

/* A path or a name, NUL-terminated in the tail. */
static const char *text_of(const struct call *c)
{
	return memchr(c->tail, '\0', c->len) ? (const char *)c->tail : NULL;
}

/* Says again that there is something, if there is: a poll of the real descriptor is level-triggered
 * then, as one of the simulated is. */
static void announce_rest(struct call *c)
{
	if (c->desc && sim_poll(c->conn->proc, c->fd, DW_POLLIN) & DW_POLLIN)
		desc_announce(c->desc);
}

static bool serve_ioctl(struct call *c)
{
	const unsigned long request = c->rq.arg[0];
	const size_t n = DW_IOC_SIZE(request);
	const bool drvspec = request == DW_SIOCSDRVSPEC || request == DW_SIOCGDRVSPEC;
	union {
		uint8_t bytes[IOCTL_MAX];
		struct dw_ifdrv drv;
		struct dw_bpf_program program;
	} arg = { .bytes = { 0 } };
	if (c->rq.arg[1] != n || c->len < n || c->len > sizeof(arg))
		return false;
	memcpy(arg.bytes, c->tail, c->len);
	if (drvspec) {
		if (arg.drv.len > c->len - n)
			arg.drv.data = NULL; /* nothing of the caller's is at hand there */
		else
			arg.drv.data = arg.bytes + n;
	} else if (request == DW_BIOCSETF || request == DW_BIOCSETFNR) {
		if (arg.program.len * (uint64_t)8 > c->len - n)
			return false;
		arg.program.insns = (uintptr_t)(arg.bytes + n);
	}
	const int rc = sim_ioctl(c->conn->proc, c->fd, request, arg.bytes);
	memcpy(bytes_add(c->out, c->len), arg.bytes, c->len);
	answer(c, rc, 0);
	announce_rest(c);
	return true;
}

static bool serve_read(struct call *c)
{
	const size_t size = c->rq.arg[0];
	if (size > WIRE_REPLY_MAX - 4096)
		return false;
	if (c->desc)
		c->desc->announced = false; /* it has taken the byte before it asked */
	uint8_t *buf = bytes_add(c->out, size);
	const long rc = sim_read(c->conn->proc, c->fd, buf, size);
	c->out->len -= size - (rc > 0 ? (size_t)rc : 0);
	answer(c, rc, 0);
	if (rc >= 0)
		announce_rest(c);
	return true;
}

static bool serve_sysctlbyname(struct call *c)
{
	const char *name = text_of(c);
	size_t old_len = c->rq.arg[0];
	const size_t room = old_len, new_len = c->rq.arg[2];
	if (!name || room > SYSCTL_OLD_MAX || new_len > c->len - strlen(name) - 1)
		return false;
	uint8_t *old = bytes_add(c->out, room);
	memset(old, 0, room);
	const int rc = sim_sysctlbyname(c->conn->proc, name, c->rq.arg[1] ? old : NULL, &old_len,
		new_len ? name + strlen(name) + 1 : NULL, new_len);
	if (!c->rq.arg[1] || rc < 0 || old_len < room)
		c->out->len -= room - (c->rq.arg[1] && rc >= 0 ? old_len : 0);
	answer(c, rc, old_len);
	return true;
}

static bool serve_sysctl(struct call *c)
{
	int mib[16];
	size_t old_len = c->rq.arg[0];
	const size_t room = old_len;
	if (room > SYSCTL_OLD_MAX || c->len > sizeof(mib) || c->len % sizeof(int))
		return false;
	memcpy(mib, c->tail, c->len);
	uint8_t *old = bytes_add(c->out, room);
	memset(old, 0, room);
	const int rc = sim_sysctl(c->conn->proc, mib, (unsigned)(c->len / sizeof(int)),
		c->rq.arg[1] ? old : NULL, &old_len);
	if (!c->rq.arg[1] || rc < 0 || old_len < room)
		c->out->len -= room - (c->rq.arg[1] && rc >= 0 ? old_len : 0);
	answer(c, rc, old_len);
	return true;
}

static bool serve_open(struct call *c)
{
	const char *path = text_of(c);
	if (!path)
		return false;
	answer_desc(c, sim_open(c->conn->proc, path));
	return true;
}

static bool serve(struct conn *conn, const uint8_t *data, size_t len, struct bytes *out)
{
	struct call c = { .conn = conn, .out = out, .fd = -1 };
	if (len < sizeof(c.rq))
		return false;
	memcpy(&c.rq, data, sizeof(c.rq));
	c.tail = data + sizeof(c.rq);
	c.len = len - sizeof(c.rq);
	c.reply = out->len;
	(void)bytes_add(out, sizeof(struct wire_reply));
	c.desc = desc_find(conn, c.rq.desc);
	if (c.desc)
		c.fd = (int)(c.rq.desc & 0xffff);

	struct sim_proc *p = conn->proc;
	const uint64_t *arg = c.rq.arg;
	switch ((enum wire_op)c.rq.op) {
	case WIRE_SOCKET:
		answer_desc(&c, sim_socket(p, (int)arg[0], (int)arg[1], (int)arg[2]));
		return true;
	case WIRE_OPEN:
		return serve_open(&c);
	case WIRE_IOCTL:
		return serve_ioctl(&c);
	case WIRE_SETSOCKOPT: {
		const int value = (int)arg[2];
		answer(&c, sim_setsockopt(p, c.fd, (int)arg[0], (int)arg[1], &value, sizeof(value)),
			0);
		return true;
	}
	case WIRE_BIND:
		answer(&c, sim_bind(p, c.fd, c.tail, c.len), 0);
		return true;
	case WIRE_CONNECT:
		answer(&c, sim_connect(p, c.fd, c.tail, c.len), 0);
		return true;
	case WIRE_READ:
		return serve_read(&c);
	case WIRE_WRITE:
		answer(&c, sim_write(p, c.fd, c.tail, c.len), 0);
		return true;
	case WIRE_SYSCTLBYNAME:
		return serve_sysctlbyname(&c);
	case WIRE_SYSCTL:
		return serve_sysctl(&c);
	}
	return false;
}

bool call_serve(struct conn *conn, const uint8_t *data, size_t len, struct bytes *out)
{
	const struct machine *m = conn->m;
	struct sim_knobs *knobs = sim_knobs(m->sim);
	if (!m->refused[0])
		return serve(conn, data, len, out);
	/* one of them fails within a request, and none of other programs' */
	const struct sim_knobs was = *knobs;
	knobs->fail_after = 1;
	knobs->fail_errno = m->refused_errno;
	memcpy(knobs->fail_call, m->refused, sizeof(knobs->fail_call));
	const bool good = serve(conn, data, len, out);
	knobs->fail_after = was.fail_after;
	knobs->fail_errno = was.fail_errno;
	memcpy(knobs->fail_call, was.fail_call, sizeof(knobs->fail_call));
	return good;
}
