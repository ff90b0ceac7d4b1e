/* sim_bpf_ioctl.c - the requests of a BPF device. net/bpf.c:bpfioctl().
 *
 * A number carries the size of its argument, so one of a wrong size is one that does not exist, and
 * so is one that a release does not have yet: EINVAL. Numbers that XNU has and nobody here needs
 * stop the test instead of lying to it. */
#include "tests/darwin/sim_bpf.h"

#include <stdlib.h>
#include <string.h>

#define BPF_SIZE_MIN 32u       /* BPF_MINBUFSIZE */
#define BPF_SIZE_MAX 524288u   /* debug.bpf_maxbufsize, until 12 */
#define BPF_SIZE_CAP 33554432u /* debug.bpf_bufsize_cap, from 13 */
#define BPF_INSNS_MAX 512u     /* BPF_MAXINSNS */
#define SO_TC_CTL 900          /* the highest traffic class; they are the hundreds from 0 */
#define FIOASYNC DW_IOW('f', 125, int32_t)
#define BIOCSDLT DW_IOW('B', 120, uint32_t)
#define BIOCGETTC DW_IOR('B', 122, int32_t)
#define BIOCSETTC DW_IOW('B', 123, int32_t)

static uint32_t get(const void *arg)
{
	uint32_t n;

	memcpy(&n, arg, sizeof(n));
	return n;
}

static int put(void *arg, uint32_t n)
{
	memcpy(arg, &n, sizeof(n));
	return 0;
}

/* -- buffers -- */

static int get_size(struct sim_bpf *d, void *arg)
{
	return put(arg, d->size);
}

static int set_size(struct sim_bpf *d, void *arg)
{
	uint32_t size = get(arg), max = BPF_SIZE_CAP;

	if (d->ifp)
		return -DW_EINVAL;
	if (d->file->sim->profile < SIM_13)
		max = d->headdrop ? 2 * BPF_SIZE_MAX : BPF_SIZE_MAX;
	if (size > max)
		size = max;
	if (size < BPF_SIZE_MIN)
		size = BPF_SIZE_MIN;
	d->size = size;
	return put(arg, size);
}

static int flush(struct sim_bpf *d, void *arg)
{
	(void)arg;
	sim_bpf_reset(d);
	return 0;
}

/* Without what is held, and from 14.0 on only while a read is under way with it; before, only while
 * none is. A read here is over before anybody asks (rule 43). */
static int unread(struct sim_bpf *d, void *arg)
{
	return put(arg, d->store_len + (d->file->sim->profile < SIM_14_0 ? d->hold_len : 0));
}

static int stats(struct sim_bpf *d, void *arg)
{
	const struct dw_bpf_stat s = { .recv = d->recv_n, .drop = d->drop_n };

	memcpy(arg, &s, sizeof(s));
	return 0;
}

static int get_headdrop(struct sim_bpf *d, void *arg)
{
	return put(arg, d->headdrop);
}

static int set_headdrop(struct sim_bpf *d, void *arg)
{
	d->headdrop = get(arg) != 0;
	return 0;
}

static int get_no_stamp(struct sim_bpf *d, void *arg)
{
	return put(arg, d->no_stamp);
}

static int set_no_stamp(struct sim_bpf *d, void *arg)
{
	d->no_stamp = get(arg) != 0;
	return 0;
}

/* -- when a read returns -- */

static int set_immediate(struct sim_bpf *d, void *arg)
{
	d->immediate = *(const uint8_t *)arg; /* one byte of four */
	return 0;
}

/* itimerfix(), and tvtohz() less the tick of grace */
static int set_timeout(struct sim_bpf *d, void *arg)
{
	struct dw_timeval tv;

	memcpy(&tv, arg, sizeof(tv));
	if (tv.sec < 0 || tv.sec > 100000000 || tv.usec < 0 || tv.usec >= 1000000)
		return -DW_EINVAL;
	const int64_t us = tv.sec * 1000000 + tv.usec;
	const int64_t ticks = (us + SIM_BPF_TICK_US - 1) / SIM_BPF_TICK_US + 1;
	d->timeout_ticks = (uint32_t)(ticks > INT32_MAX ? INT32_MAX : ticks) - 1;
	return 0;
}

static int get_timeout(struct sim_bpf *d, void *arg)
{
	const struct dw_timeval tv = { .sec = d->timeout_ticks / 100,
		.usec = (int32_t)(d->timeout_ticks % 100 * SIM_BPF_TICK_US) };

	memcpy(arg, &tv, sizeof(tv));
	return 0;
}

/* -- interfaces -- */

static int get_if(struct sim_bpf *d, void *arg)
{
	struct dw_ifreq ifr = { 0 };

	if (!d->ifp)
		return -DW_EINVAL;
	memcpy(ifr.name, d->ifp->name, sizeof(ifr.name));
	memcpy(arg, &ifr, sizeof(ifr));
	return 0;
}

static int set_if(struct sim_bpf *d, void *arg)
{
	struct dw_ifreq ifr;

	memcpy(&ifr, arg, sizeof(ifr));
	ifr.name[sizeof(ifr.name) - 1] = '\0';
	return sim_bpf_setif(d, ifr.name);
}

static int get_dlt(struct sim_bpf *d, void *arg)
{
	return d->ifp ? put(arg, d->dlt) : -DW_EINVAL;
}

/* bpf_setdlt(): each interface here has one type */
static int set_dlt(struct sim_bpf *d, void *arg)
{
	return d->ifp && get(arg) == d->dlt ? 0 : -DW_EINVAL;
}

static int promisc(struct sim_bpf *d, void *arg)
{
	(void)arg;
	return sim_bpf_promisc(d);
}

static int get_divert_in(struct sim_bpf *d, void *arg)
{
	return put(arg, d->divert_in);
}

static int set_divert_in(struct sim_bpf *d, void *arg)
{
	if (!d->ifp)
		return -DW_ENXIO;
	if (get(arg) == 0) {
		if (!d->divert_in)
			return -DW_EINVAL;
		d->ifp->input_off = d->divert_in = false;
		return 0;
	}
	if (d->divert_in || d->ifp->input_off)
		return -DW_EALREADY;
	d->ifp->input_off = d->divert_in = true;
	return 0;
}

/* -- what is seen -- */

static int get_seesent(struct sim_bpf *d, void *arg)
{
	return put(arg, (d->direction & SIM_BPF_OUT) != 0);
}

static int set_seesent(struct sim_bpf *d, void *arg)
{
	d->direction = get(arg) ? SIM_BPF_IN | SIM_BPF_OUT : SIM_BPF_IN;
	return 0;
}

static int get_direction(struct sim_bpf *d, void *arg)
{
	return put(arg, d->direction);
}

static int set_direction(struct sim_bpf *d, void *arg)
{
	if (get(arg) > (SIM_BPF_IN | SIM_BPF_OUT))
		return -DW_EINVAL;
	d->direction = get(arg);
	return 0;
}

/* bpf_setf() */
static int set_filter(struct sim_bpf *d, void *arg, bool reset)
{
	struct dw_bpf_program prog;
	struct sim_bpf_insn *insns = NULL;

	memcpy(&prog, arg, sizeof(prog));
	if (prog.insns == 0) {
		if (prog.len != 0)
			return -DW_EINVAL;
		reset = true;
	} else {
		if (prog.len == 0 || prog.len > BPF_INSNS_MAX)
			return -DW_EINVAL;
		insns = calloc(prog.len, sizeof(*insns));
		if (!insns)
			return -DW_ENOMEM;
		memcpy(insns, (const void *)(uintptr_t)prog.insns, prog.len * sizeof(*insns));
		if (!sim_bpf_validate(insns, prog.len)) {
			free(insns);
			return -DW_EINVAL;
		}
	}
	free(d->filter);
	d->filter = insns;
	d->filter_len = prog.len;
	if (reset)
		sim_bpf_reset(d);
	return 0;
}

static int setf(struct sim_bpf *d, void *arg)
{
	return set_filter(d, arg, true);
}

static int setfnr(struct sim_bpf *d, void *arg)
{
	return set_filter(d, arg, false);
}

/* -- how is written -- */

static int get_hdrcmplt(struct sim_bpf *d, void *arg)
{
	return put(arg, d->hdrcmplt);
}

static int set_hdrcmplt(struct sim_bpf *d, void *arg)
{
	if (get(arg) == 0 && d->batch_write)
		return -DW_EINVAL;
	d->hdrcmplt = get(arg) != 0;
	return 0;
}

static int get_tc(struct sim_bpf *d, void *arg)
{
	return put(arg, (uint32_t)d->traffic_class);
}

static int set_tc(struct sim_bpf *d, void *arg)
{
	const int32_t tc = (int32_t)get(arg);

	if ((tc != 0 && d->batch_write) || tc < 0 || tc > SO_TC_CTL || tc % 100 != 0)
		return -DW_EINVAL;
	d->traffic_class = tc;
	return 0;
}

static int get_write_max(struct sim_bpf *d, void *arg)
{
	return put(arg, d->write_max);
}

static int set_write_max(struct sim_bpf *d, void *arg)
{
	if (get(arg) > SIM_BPF_WRITE_MAX)
		return -DW_EINVAL;
	d->write_max = get(arg);
	return 0;
}

static int get_batch_write(struct sim_bpf *d, void *arg)
{
	return put(arg, d->batch_write);
}

static int set_batch_write(struct sim_bpf *d, void *arg)
{
	if (get(arg) != 0 && (!d->hdrcmplt || d->traffic_class != 0))
		return -DW_EINVAL;
	d->batch_write = get(arg) != 0;
	return 0;
}

/* -- the table -- */

static int version(struct sim_bpf *d, void *arg)
{
	const struct dw_bpf_version v = { .major = 1, .minor = 1 };

	(void)d;
	memcpy(arg, &v, sizeof(v));
	return 0;
}

static int accept_it(struct sim_bpf *d, void *arg)
{
	(void)d;
	(void)arg;
	return 0;
}

static const struct request {
	unsigned long number;
	const char *name;
	int (*fn)(struct sim_bpf *d, void *arg);
	enum sim_profile since;
} requests[] = {
	{ DW_FIONREAD, "FIONREAD", unread, SIM_10_14 },
	{ FIOASYNC, "FIOASYNC", accept_it, SIM_10_14 }, /* signals are not simulated */
	{ DW_BIOCGBLEN, "BIOCGBLEN", get_size, SIM_10_14 },
	{ DW_BIOCSBLEN, "BIOCSBLEN", set_size, SIM_10_14 },
	{ DW_BIOCSETF, "BIOCSETF", setf, SIM_10_14 },
	{ DW_BIOCSETFNR, "BIOCSETFNR", setfnr, SIM_10_14 },
	{ DW_BIOCFLUSH, "BIOCFLUSH", flush, SIM_10_14 },
	{ DW_BIOCPROMISC, "BIOCPROMISC", promisc, SIM_10_14 },
	{ DW_BIOCGDLT, "BIOCGDLT", get_dlt, SIM_10_14 },
	{ BIOCSDLT, "BIOCSDLT", set_dlt, SIM_10_14 },
	{ DW_BIOCGETIF, "BIOCGETIF", get_if, SIM_10_14 },
	{ DW_BIOCSETIF, "BIOCSETIF", set_if, SIM_10_14 },
	{ DW_BIOCSRTIMEOUT, "BIOCSRTIMEOUT", set_timeout, SIM_10_14 },
	{ DW_BIOCGRTIMEOUT, "BIOCGRTIMEOUT", get_timeout, SIM_10_14 },
	{ DW_BIOCGSTATS, "BIOCGSTATS", stats, SIM_10_14 },
	{ DW_BIOCIMMEDIATE, "BIOCIMMEDIATE", set_immediate, SIM_10_14 },
	{ DW_BIOCVERSION, "BIOCVERSION", version, SIM_10_14 },
	{ DW_BIOCGHDRCMPLT, "BIOCGHDRCMPLT", get_hdrcmplt, SIM_10_14 },
	{ DW_BIOCSHDRCMPLT, "BIOCSHDRCMPLT", set_hdrcmplt, SIM_10_14 },
	{ DW_BIOCGSEESENT, "BIOCGSEESENT", get_seesent, SIM_10_14 },
	{ DW_BIOCSSEESENT, "BIOCSSEESENT", set_seesent, SIM_10_14 },
	{ BIOCGETTC, "BIOCGETTC", get_tc, SIM_10_14 },
	{ BIOCSETTC, "BIOCSETTC", set_tc, SIM_10_14 },
	{ DW_BIOCSHEADDROP, "BIOCSHEADDROP", set_headdrop, SIM_10_14 },
	{ DW_BIOCGHEADDROP, "BIOCGHEADDROP", get_headdrop, SIM_10_14 },
	{ DW_BIOCGDIRECTION, "BIOCGDIRECTION", get_direction, SIM_14_0 },
	{ DW_BIOCSDIRECTION, "BIOCSDIRECTION", set_direction, SIM_14_0 },
	{ DW_BIOCSWRITEMAX, "BIOCSWRITEMAX", set_write_max, SIM_14_1 },
	{ DW_BIOCGWRITEMAX, "BIOCGWRITEMAX", get_write_max, SIM_14_1 },
	{ DW_BIOCGBATCHWRITE, "BIOCGBATCHWRITE", get_batch_write, SIM_14_1 },
	{ DW_BIOCSBATCHWRITE, "BIOCSBATCHWRITE", set_batch_write, SIM_14_1 },
	{ DW_BIOCGNOTSTAMP, "BIOCGNOTSTAMP", get_no_stamp, SIM_15 },
	{ DW_BIOCSNOTSTAMP, "BIOCSNOTSTAMP", set_no_stamp, SIM_15 },
	{ DW_BIOCGDVRTIN, "BIOCGDVRTIN", get_divert_in, SIM_15 },
	{ DW_BIOCSDVRTIN, "BIOCSDVRTIN", set_divert_in, SIM_15 },
};

/* Theirs and not here: those of bpf.h that all the profiles have. */
static const unsigned long absent[] = {
	0x40044272ul, 0x80044273ul, /* BIOCGRSIG, BIOCSRSIG */
	0xc00c4279ul,               /* BIOCGDLTLIST */
	0x8004427cul,               /* BIOCSEXTHDR */
	0xc020427dul,               /* BIOCGIFATTACHCOUNT */
	0x4004427ful, 0xc004427ful, /* BIOCGWANTPKTAP, BIOCSWANTPKTAP */
	0x80044281ul,               /* BIOCSTRUNCATE */
	0x40104282ul,               /* BIOCGETUUID */
	0x80044284ul, 0x80044285ul, /* BIOCSPKTHDRV2, BIOCGPKTHDRV2 */
};

int sim_bpf_ioctl(struct sim_file *f, unsigned long request, void *arg)
{
	struct sim_bpf *d = f->priv;

	d->state = SIM_BPF_IDLE; /* whatever is asked, the timer of a waiter stops */
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct request *r = &requests[i];
		if (r->number != request || f->sim->profile < r->since)
			continue;
		if (DW_IOC_SIZE(request) > 0 && !arg)
			return -DW_EFAULT;
		int rc =
			request & (DW_IOC_IN | DW_IOC_VOID) ? sim_told_to_fail(f->sim, r->name) : 0;
		return rc < 0 ? rc : r->fn(d, arg);
	}
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		if (absent[i] == request)
			sim_halt("BPF request %#lx is not simulated", request);
	}
	return -DW_EINVAL;
}
