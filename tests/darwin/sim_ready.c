/* sim_ready.c - poll, select, kqueue. kern/sys_generic.c, kern/kern_event.c.
 *
 * poll() of XNU is a kqueue that lives for one call, so it attaches and detaches knotes like any
 * other, with what that does to a BPF device (rule 41).
 *
 * A knote is active from the moment its filter said ready, when it was attached or when the file
 * told its knotes (KNOTE()), until a scan finds it is not any more. Where a file does not tell
 * them, a waiter learns nothing, however much there is to read: that is how BPF differs. Files
 * without knotes of their own are asked by poll, which is what XNU's sockets come to. */
#include "tests/darwin/sim_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct knote {
	struct knote *next;
	int fd, filter;
	uint64_t serial; /* of the file: the next owner of the descriptor has no knotes */
	bool active;
};

struct kqueue {
	struct knote *knotes; /* owned */
};

_Noreturn void sim_halt(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("simulated Darwin: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

/* -- filters -- */

/* f_attach */
static int filter_attach(struct sim_file *f, int filter)
{
	if (f->ops->knote_add)
		return f->ops->knote_add(f, filter);
	if (!f->ops->poll || (filter != DW_EVFILT_READ && filter != DW_EVFILT_WRITE))
		return -DW_EINVAL;
	return 0;
}

/* f_event, f_process */
static bool filter_ready(struct sim_file *f, int filter)
{
	if (f->ops->knote_add)
		return f->ops->knote_ready(f, filter);
	return f->ops->poll(f, filter == DW_EVFILT_READ ? DW_POLLIN : DW_POLLOUT) != 0;
}

static void filter_detach(struct sim_file *f, int filter)
{
	if (f->ops->knote_add)
		f->ops->knote_delete(f, filter);
}

/* -- kqueue -- */

static void kqueue_close(struct sim_file *f)
{
	struct kqueue *kq = f->priv;

	while (kq->knotes) {
		struct knote *kn = kq->knotes;
		struct sim_file *on = sim_file_find(f->proc, kn->fd);
		if (on && on->serial == kn->serial)
			filter_detach(on, kn->filter);
		kq->knotes = kn->next;
		free(kn);
	}
	free(kq);
}

static const struct sim_file_ops kqueue_ops = { .name = "kqueue", .close = kqueue_close };

int sim_kqueue(struct sim_proc *p)
{
	struct kqueue *kq = calloc(1, sizeof(*kq));
	if (!kq)
		return -DW_ENOMEM;
	int fd = sim_file_new(p, &kqueue_ops, kq, NULL);
	if (fd < 0)
		free(kq);
	return fd;
}

static struct kqueue *kqueue_of(struct sim_proc *p, int fd)
{
	struct sim_file *f = sim_file_find(p, fd);
	return f && f->ops == &kqueue_ops ? f->priv : NULL;
}

/* Drops those whose descriptor was closed meanwhile (knote_fdclose()). */
static struct knote **knote_find(struct sim_proc *p, struct kqueue *kq, int fd, int filter)
{
	struct knote **at = &kq->knotes;

	while (*at) {
		struct knote *kn = *at;
		const struct sim_file *f = sim_file_find(p, kn->fd);
		if (!f || f->serial != kn->serial) {
			*at = kn->next;
			free(kn);
			continue;
		}
		if (kn->fd == fd && kn->filter == filter)
			break;
		at = &kn->next;
	}
	return at;
}

int sim_kevent_add(struct sim_proc *p, int kq_fd, int fd, int filter)
{
	sim_settle(p->sim);
	struct kqueue *kq = kqueue_of(p, kq_fd);
	struct sim_file *f = sim_file_find(p, fd);
	if (!kq || !f)
		return -DW_EBADF;

	struct knote *kn = *knote_find(p, kq, fd, filter);
	if (!kn) {
		kn = calloc(1, sizeof(*kn));
		if (!kn)
			return -DW_ENOMEM;
		int rc = filter_attach(f, filter);
		if (rc < 0) {
			free(kn);
			return rc;
		}
		kn->fd = fd;
		kn->filter = filter;
		kn->serial = f->serial;
		kn->next = kq->knotes;
		kq->knotes = kn;
	}
	if (filter_ready(f, filter)) /* f_attach, or f_touch where it was there */
		kn->active = true;
	return 0;
}

int sim_kevent_delete(struct sim_proc *p, int kq_fd, int fd, int filter)
{
	sim_settle(p->sim);
	struct kqueue *kq = kqueue_of(p, kq_fd);
	struct sim_file *f = sim_file_find(p, fd);
	if (!kq || !f)
		return -DW_EBADF;

	struct knote **at = knote_find(p, kq, fd, filter);
	struct knote *kn = *at;
	if (!kn)
		return -DW_ENOENT;
	*at = kn->next;
	free(kn);
	filter_detach(f, filter);
	return 0;
}

int sim_kevent(struct sim_proc *p, int kq_fd, int fd, int filter)
{
	sim_settle(p->sim);
	struct kqueue *kq = kqueue_of(p, kq_fd);
	struct sim_file *f = sim_file_find(p, fd);
	if (!kq || !f)
		return -DW_EBADF;

	struct knote *kn = *knote_find(p, kq, fd, filter);
	if (!kn)
		return -DW_ENOENT;
	if (kn->active || !f->ops->knote_add)
		kn->active = filter_ready(f, filter);
	return kn->active;
}

void sim_knotes_wake(struct sim_file *f)
{
	for (struct sim_proc *p = f->sim->procs; p; p = p->next) {
		for (int fd = 0; fd < SIM_FD_MAX; fd++) {
			struct kqueue *kq = kqueue_of(p, fd);
			for (struct knote *kn = kq ? kq->knotes : NULL; kn; kn = kn->next) {
				if (kn->serial == f->serial && filter_ready(f, kn->filter))
					kn->active = true;
			}
		}
	}
}

/* -- poll and select -- */

/* sys_generic.c:poll_nocancel(): a knote that cannot be attached is POLLNVAL, also for the other
 * direction. */
static int poll_by_knotes(struct sim_file *f, int events)
{
	const bool in = (events & DW_POLLIN) != 0, out = (events & DW_POLLOUT) != 0;
	int revents = 0;

	if (in && filter_attach(f, DW_EVFILT_READ) < 0)
		return DW_POLLNVAL;
	if (out && filter_attach(f, DW_EVFILT_WRITE) < 0) {
		revents = DW_POLLNVAL;
	} else {
		if (in && filter_ready(f, DW_EVFILT_READ))
			revents |= DW_POLLIN;
		if (out) {
			if (filter_ready(f, DW_EVFILT_WRITE))
				revents |= DW_POLLOUT;
			filter_detach(f, DW_EVFILT_WRITE);
		}
	}
	if (in)
		filter_detach(f, DW_EVFILT_READ);
	return revents;
}

int sim_poll(struct sim_proc *p, int fd, int events)
{
	sim_settle(p->sim);
	if (fd < 0)
		return 0;
	struct sim_file *f = sim_file_find(p, fd);
	if (!f)
		return (events & (DW_POLLIN | DW_POLLOUT)) ? DW_POLLNVAL : 0;
	if (f->ops->poll)
		return f->ops->poll(f, events);
	return poll_by_knotes(f, events);
}

/* sys_generic.c:selscan(): any answer but 0 is "ready", errors among them. */
int sim_select(struct sim_proc *p, int fd, bool write)
{
	sim_settle(p->sim);
	struct sim_file *f = sim_file_find(p, fd);
	if (!f)
		return -DW_EBADF;
	if (f->ops->select)
		return f->ops->select(f, write) != 0;
	return f->ops->poll && f->ops->poll(f, write ? DW_POLLOUT : DW_POLLIN) != 0;
}
