/* sim_bpf.c - BPF devices: what is opened, attached, tapped and read. net/bpf.c.
 *
 * Frames are kept as XNU keeps them, in two buffers of BIOCSBLEN bytes that turn: the tap fills
 * `store`; when that is full, or a reader wants it, it becomes `hold` and the free one is stored
 * into; a read empties `hold` whole. While both are full, frames are lost. */
#include "tests/darwin/sim_bpf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BPF_DEVICES 256u /* BPF_MAX_DEVICES */
#define BPF_AT_BOOT 4u   /* NBPFILTER */
#define BPF_SIZE 4096u   /* BPF_BUFSIZE */
#define BPF_SLEEP_STEPS 4096u
#define IFT_LOOP 24
#define DLT_NULL 0u

struct devices {
	unsigned n; /* nodes there are */
	struct sim_bpf *open[BPF_DEVICES];
};

static const struct sim_file_ops bpf_ops;

/* -- buffers -- */

/* ROTATE_BUFFERS() */
static void rotate(struct sim_bpf *d)
{
	d->hold = d->store;
	d->hold_len = d->store_len;
	d->hold_n = d->store_n;
	d->store = d->spare;
	d->store_len = d->store_n = 0;
	d->spare = NULL;
}

void sim_bpf_reset(struct sim_bpf *d)
{
	if (d->hold) {
		d->spare = d->hold;
		d->hold = NULL;
	}
	d->store_len = d->hold_len = 0;
	d->store_n = d->hold_n = 0;
	d->recv_n = d->drop_n = 0;
}

static void free_buffers(struct sim_bpf *d)
{
	free(d->store);
	free(d->hold);
	free(d->spare);
	d->store = d->hold = d->spare = NULL;
	d->store_len = d->hold_len = 0;
	d->store_n = d->hold_n = 0;
}

static int alloc_buffers(struct sim_bpf *d)
{
	free_buffers(d);
	d->store = calloc(1, d->size);
	d->spare = calloc(1, d->size);
	if (d->store && d->spare)
		return 0;
	free_buffers(d);
	return d->file->sim->profile >= SIM_13 ? -DW_ENOMEM : -DW_ENOBUFS;
}

/* -- readiness -- */

static void start_timer(struct sim_bpf *d)
{
	if (d->timeout_ticks == 0 || d->state != SIM_BPF_IDLE)
		return;
	d->deadline_us = sim_now_us(d->file->sim) + (uint64_t)d->timeout_ticks * SIM_BPF_TICK_US;
	d->state = SIM_BPF_WAITING;
}

/* filt_bpfread_common(). */
static bool filter_ready(struct sim_bpf *d)
{
	uint32_t data = d->hold_len;

	if (data == 0 && (d->immediate || d->state == SIM_BPF_TIMED_OUT))
		data = d->store_len;
	if (data == 0)
		start_timer(d);
	return data > 0;
}

/* bpf_wakeup(). A waiter is told where its filter finds something, so nobody in a kqueue hears of a
 * bpfdetach() (rule 40). Where nobody has attached a knote the waiter is another process, which is
 * taken for one that has. */
static void wakeup(struct sim_bpf *d)
{
	d->wakeups++;
	if (d->state == SIM_BPF_WAITING)
		d->state = SIM_BPF_IDLE;
	if (d->knotes > 0 && !d->knote_flag)
		return;
	if (d->knotes > 0)
		sim_knotes_wake(d->file);
	if (filter_ready(d))
		sim_file_ready(d->file);
}

/* bpf_timed_out() */
void sim_bpf_settle(struct sim *sim)
{
	struct devices *devs = sim->bpf;

	for (unsigned i = 0; devs && i < devs->n; i++) {
		struct sim_bpf *d = devs->open[i];
		if (!d || d->state != SIM_BPF_WAITING || sim_now_us(sim) < d->deadline_us)
			continue;
		d->state = SIM_BPF_TIMED_OUT;
		if (d->store_len > 0)
			wakeup(d);
	}
}

/* bpfselect(): what is not attached is "ready", with ENXIO. */
static int bpf_select(struct sim_file *f, bool write)
{
	struct sim_bpf *d = f->priv;

	if (!d->ifp || write)
		return 1;
	if (d->hold_len > 0)
		return 1;
	if ((d->immediate || d->state == SIM_BPF_TIMED_OUT) && d->store_len > 0)
		return 1;
	start_timer(d);
	return 0;
}

/* bpfkqfilter(). What it refuses goes on to spec_vnops.c:filt_specattach(), which says EINVAL to
 * all that is no terminal (rule 39). */
static int bpf_knote_add(struct sim_file *f, int filter)
{
	struct sim_bpf *d = f->priv;

	if (filter != DW_EVFILT_READ || !d->ifp)
		return -DW_EINVAL;
	d->knotes++;
	d->knote_flag = true;
	return 0;
}

/* filt_bpfdetach(): the flag is one for all, so whoever leaves silences the others (rule 41). */
static void bpf_knote_delete(struct sim_file *f, int filter)
{
	struct sim_bpf *d = f->priv;

	(void)filter;
	d->knotes--;
	d->knote_flag = false;
}

static bool bpf_knote_ready(struct sim_file *f, int filter)
{
	(void)filter;
	return filter_ready(f->priv);
}

/* -- the tap -- */

/* catchpacket(). Records start at multiples of 4; the last one ends where its data does. */
static void catch_frame(struct sim_bpf *d, const uint8_t *frame, uint32_t len, uint32_t snaplen)
{
	uint64_t total = (uint64_t)d->hdrlen + (snaplen < len ? snaplen : len);
	bool wake = d->immediate || d->state == SIM_BPF_TIMED_OUT;

	if (total > d->size)
		total = d->size;
	if (d->hdrlen > total)
		return;
	size_t at = DW_BPF_WORDALIGN((size_t)d->store_len);
	if (at + total > d->size) {
		if (!d->spare && !d->headdrop) {
			d->drop_n++;
			return;
		}
		if (!d->spare) { /* the older frames go instead */
			d->drop_n += d->hold_n;
			d->spare = d->hold;
		}
		rotate(d);
		wake = true;
		at = 0;
	}

	struct dw_bpf_hdr head = {
		.caplen = (uint32_t)total - d->hdrlen, .datalen = len, .hdrlen = (uint16_t)d->hdrlen
	};
	if (!d->no_stamp) {
		const uint64_t now = sim_now_us(d->file->sim);
		head.sec = (int32_t)(now / 1000000);
		head.usec = (int32_t)(now % 1000000);
	}
	/* from the end of the record before, so that padding never shows what was there before */
	memset(d->store + d->store_len, 0, at + d->hdrlen - d->store_len);
	memcpy(d->store + at, &head, DW_BPF_HDR);
	memcpy(d->store + at + d->hdrlen, frame, head.caplen);
	d->store_len = (uint32_t)(at + total);
	d->store_n++;
	if (wake)
		wakeup(d);
}

/* bpf_tap_imp() */
void sim_bpf_tap(struct sim_ifnet *ifp, const void *frame, size_t len, bool outgoing)
{
	struct sim_bpf *next;

	for (struct sim_bpf *d = ifp->bpfs; d; d = next) {
		next = d->next;
		if (!(d->direction & (outgoing ? SIM_BPF_OUT : SIM_BPF_IN)))
			continue;
		d->recv_n++;
		const uint32_t snaplen =
			sim_bpf_filter(d->filter, d->filter_len, frame, (uint32_t)len);
		if (snaplen > 0)
			catch_frame(d, frame, (uint32_t)len, snaplen);
	}
}

/* -- reading -- */

/* bpf_sleep(): true where something woke it, false where the time is up. Virtual time goes on
 * meanwhile; by itself nothing happens in it but that a destroyed interface goes at last. */
static bool bpf_sleep(struct sim_bpf *d)
{
	struct sim *sim = d->file->sim;
	const unsigned before = d->wakeups;
	const uint64_t ticks = d->timeout_ticks;
	const uint64_t until = sim_now_us(sim) + ticks * SIM_BPF_TICK_US;
	uint64_t step = (ticks / BPF_SLEEP_STEPS + 1) * SIM_BPF_TICK_US;

	for (unsigned i = 0; d->wakeups == before; i++) {
		if (ticks == 0 && (d->ifp->attached || i > 100 * 60))
			sim_halt("a blocking read of /dev/bpf%u without a timeout: nothing will "
				 "wake it",
				d->minor);
		if (ticks > 0 && sim_now_us(sim) >= until)
			return false;
		if (ticks > 0 && step > until - sim_now_us(sim))
			step = until - sim_now_us(sim);
		if (sim->clock) {
			struct timespec t = { .tv_nsec = 1000000 };
			nanosleep(&t, NULL);
			sim_settle(sim);
		} else {
			sim_advance_us(sim, step);
		}
	}
	return true;
}

/* bpfread() until there is something to hold: 1, 0 where the time is up, or -DW_E*. */
static int wait_hold(struct sim_bpf *d, bool timed_out)
{
	while (!d->hold) {
		if ((d->immediate || timed_out || d->file->nonblock) && d->store_len > 0) {
			rotate(d);
			break;
		}
		if (!d->ifp)
			return -DW_ENXIO;
		if (d->file->nonblock)
			return -DW_EAGAIN;
		if (bpf_sleep(d))
			continue;
		if (d->hold)
			break;
		if (d->store_len == 0)
			return 0;
		rotate(d);
	}
	return 1;
}

/* spec_vnops.c:spec_read(), bpfread() */
static long bpf_read(struct sim_file *f, void *buf, size_t size)
{
	struct sim_bpf *d = f->priv;

	if (size == 0)
		return 0; /* spec_read() does not even ask the device */
	if (size != d->size)
		return -DW_EINVAL;
	const bool timed_out = d->state == SIM_BPF_TIMED_OUT;
	d->state = SIM_BPF_IDLE;
	int rc = wait_hold(d, timed_out);
	if (rc <= 0)
		return rc;

	/* a buffer from before a BIOCSBLEN on what has lost its interface may be larger */
	const size_t n = d->hold_len < size ? d->hold_len : size;
	memcpy(buf, d->hold, n);
	d->spare = d->hold;
	d->hold = NULL;
	d->hold_len = d->hold_n = 0;
	return (long)n;
}

/* -- interfaces -- */

/* kpi_interface.c:ifnet_set_promiscuous() counts; here, the descriptors that want it. */
static void set_promisc(struct sim_bpf *d, bool on)
{
	struct sim_ifnet *ifp = d->ifp;
	unsigned n = 0;

	d->promisc = on;
	for (const struct sim_bpf *other = ifp->bpfs; other; other = other->next)
		n += other->promisc;
	if (n <= 1)
		sim_set_flags(ifp, n ? DW_IFF_PROMISC : 0, DW_IFF_PROMISC);
}

int sim_bpf_promisc(struct sim_bpf *d)
{
	if (!d->ifp)
		return -DW_EINVAL;
	if (!d->promisc)
		set_promisc(d, true);
	return 0;
}

/* bpf_detachd() */
static void detach(struct sim_bpf *d)
{
	struct sim_ifnet *ifp = d->ifp;

	if (d->divert_in)
		ifp->input_off = d->divert_in = false;
	if (d->promisc)
		set_promisc(d, false);
	for (struct sim_bpf **at = &ifp->bpfs; *at; at = &(*at)->next) {
		if (*at == d) {
			*at = d->next;
			break;
		}
	}
	d->next = NULL;
	d->ifp = NULL;
}

/* bpf_attachd(); the header's length is bpf_attach()'s, so that what follows the link header is
 * aligned. */
static void attach(struct sim_bpf *d, struct sim_ifnet *ifp)
{
	const bool loop = ifp->type == IFT_LOOP;
	const size_t link = loop ? 4 : SIM_BPF_ETHER;

	d->dlt = loop ? DLT_NULL : DW_DLT_EN10MB;
	d->hdrlen = (uint32_t)(DW_BPF_WORDALIGN(link + DW_BPF_HDR) - link);
	d->ifp = ifp;
	d->next = ifp->bpfs;
	ifp->bpfs = d;
}

/* bpf_setif() */
int sim_bpf_setif(struct sim_bpf *d, const char *name)
{
	struct sim_ifnet *ifp = sim_ifnet_find(d->file->sim, name);
	if (!ifp)
		return -DW_ENXIO;
	int rc = alloc_buffers(d);
	if (rc < 0)
		return rc;
	if (d->ifp != ifp) {
		if (d->ifp)
			detach(d);
		attach(d, ifp);
	}
	sim_bpf_reset(d);
	return 0;
}

/* bpfdetach() */
void sim_bpf_detach(struct sim_ifnet *ifp)
{
	while (ifp->bpfs) {
		struct sim_bpf *d = ifp->bpfs;
		detach(d);
		wakeup(d);
	}
}

unsigned sim_bpf_count(const struct sim_ifnet *ifp)
{
	unsigned n = 0;

	for (const struct sim_bpf *d = ifp->bpfs; d; d = d->next)
		n++;
	return n;
}

/* -- devices -- */

static struct devices *devices(struct sim *sim)
{
	if (!sim->bpf)
		sim->bpf = calloc(1, sizeof(struct devices));
	return sim->bpf;
}

static unsigned device_max(const struct sim *sim)
{
	const unsigned max = sim->knobs.bpf_max;
	return max > 0 && max < BPF_DEVICES ? max : BPF_DEVICES;
}

/* The nodes at boot are made when the first is asked for, by when the test has set its knobs. */
static void grow(struct sim *sim, struct devices *devs, unsigned n)
{
	if (n > device_max(sim))
		n = device_max(sim);
	if (devs->n < n)
		devs->n = n;
}

/* "bpf7", as devfs has it: no leading zeros. */
static bool minor_of(const char *path, unsigned *out)
{
	char exact[24];

	if (sscanf(path, "/dev/bpf%3u", out) != 1)
		return false;
	snprintf(exact, sizeof(exact), "/dev/bpf%u", *out);
	return strcmp(exact, path) == 0;
}

/* The node's mode is 0600, root's; then bpfopen(). */
int sim_bpf_open(struct sim_proc *p, const char *path)
{
	struct sim *sim = p->sim;
	struct devices *devs = devices(sim);
	unsigned minor;

	if (!devs)
		return -DW_ENOMEM;
	grow(sim, devs, BPF_AT_BOOT);
	if (!minor_of(path, &minor) || minor >= devs->n)
		return -DW_ENOENT;
	if (sim_euid(p) != 0 && !sim->knobs.bpf_group_only)
		return -DW_EACCES;
	if (minor == devs->n - 1) /* the last makes the next first, whether it can be had or not */
		grow(sim, devs, devs->n + 1);
	if (devs->open[minor])
		return -DW_EBUSY;

	struct sim_bpf *d = calloc(1, sizeof(*d));
	if (!d)
		return -DW_ENOMEM;
	int fd = sim_file_new(p, &bpf_ops, d, &d->file);
	if (fd < 0) {
		free(d);
		return fd;
	}
	d->file->nonblock = true; /* sim_open() is with O_NONBLOCK */
	d->minor = minor;
	d->size = BPF_SIZE;
	d->direction = SIM_BPF_IN | SIM_BPF_OUT;
	devs->open[minor] = d;
	return fd;
}

/* bpfclose() */
static void bpf_close(struct sim_file *f)
{
	struct sim_bpf *d = f->priv;
	struct devices *devs = f->sim->bpf;

	if (d->ifp)
		detach(d);
	devs->open[d->minor] = NULL;
	free_buffers(d);
	free(d->filter);
	free(d);
}

void sim_bpf_free(struct sim *sim)
{
	free(sim->bpf);
	sim->bpf = NULL;
}

static const struct sim_file_ops bpf_ops = {
	.name = "bpf",
	.ioctl = sim_bpf_ioctl,
	.read = bpf_read,
	.write = sim_bpf_write,
	.select = bpf_select,
	.knote_add = bpf_knote_add,
	.knote_delete = bpf_knote_delete,
	.knote_ready = bpf_knote_ready,
	.close = bpf_close,
};
