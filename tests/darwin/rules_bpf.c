/* rules_bpf.c - rules 27 to 32: opening and reading a BPF device. See rules.h. */
#include "tests/darwin/rules.h"

#include <stdio.h>
#include <string.h>

static int open_unit(unsigned i)
{
	char path[24];
	snprintf(path, sizeof(path), "/dev/bpf%u", i);
	return darwin_sys.open(path);
}

/* The highest device there is. Opening it makes the next, so this looks from above. */
static unsigned last_unit(void)
{
	for (unsigned i = 256; i-- > 0;) {
		int fd = open_unit(i);
		if (fd >= 0) {
			(void)darwin_sys.close(fd);
			return i;
		}
		if (fd != -DW_ENOENT) {
			expect_err(fd, DW_EBUSY);
			return i;
		}
	}
	rules_fail(__FILE__, __LINE__, "there is no BPF device");
}

/* bpf.c:bpfopen, bpf_make_dev_t. */
static void devices(void)
{
	expect_err(open_unit(300), DW_ENOENT);
	unsigned last = last_unit();
	if (rules_sys.simulated)
		expect_eq(last, 3); /* four at boot */
	int fd, next;
	unsigned unit = 0;
	if (last < 250) {
		/* looking for it has opened it, and so made the next */
		unit = last + 1;
		fd = own(open_unit(unit));
		next = own(open_unit(unit + 1));
		expect_err(open_unit(unit + 3), DW_ENOENT);
		drop(next);
	} else { /* all have been made, as ChmodBPF does: any free one will do */
		while ((fd = open_unit(unit)) == -DW_EBUSY)
			unit++;
		own(fd);
	}
	expect_err(open_unit(unit), DW_EBUSY);
	drop(fd);
	own(open_unit(unit)); /* closed, it is free again */

	if (!rules_sys.bpf_for_root())
		return;
	rules_sys.as_user(true);
	expect_err(open_unit(unit + 1), DW_EACCES);
	expect_err(open_unit(unit), DW_EACCES); /* before it is asked whether it is in use */
	rules_sys.as_user(false);
}

static void in_use_by_another(void)
{
	int fd = own(bpf_open());
	(void)fd;
	expect_err(open_unit(0), DW_EBUSY);
	rules_sys.knobs()->bpf_group_only = true; /* ChmodBPF has been there */
	rules_sys.as_user(true);
	expect_err(open_unit(0), DW_EBUSY);
	expect(open_unit(1) >= 0);
	rules_sys.as_user(false);
	expect_err(open_unit(1), DW_EBUSY);
}

static void device_limit(void)
{
	rules_sys.knobs()->bpf_group_only = true;
	for (unsigned i = 0; i < 256; i++) {
		rules_sys.as_user(i % 2); /* descriptors of one process are limited, too */
		expect(open_unit(i) >= 0);
	}
	expect_err(open_unit(256), DW_ENOENT);
	expect_err(open_unit(255), DW_EBUSY);
}

static void device_limit_by_knob(void)
{
	rules_sys.knobs()->bpf_max = 6;
	for (unsigned i = 0; i < 6; i++)
		expect(open_unit(i) >= 0);
	expect_err(open_unit(6), DW_ENOENT);
	expect_err(bpf_open(), DW_ENOENT);
}

static uint32_t get_blen(const struct tap *tap)
{
	uint32_t blen = 0;
	expect_eq(darwin_sys.ioctl(tap->fd, DW_BIOCGBLEN, &blen), 0);
	return blen;
}

static uint32_t set_blen(const struct tap *tap, uint32_t blen)
{
	expect_eq(darwin_sys.ioctl(tap->fd, DW_BIOCSBLEN, &blen), 0);
	expect_eq(get_blen(tap), blen); /* what is written back is what holds */
	return blen;
}

/* bpf.c:bpfioctl BIOCSBLEN: clamped, never refused, but for an attached device. */
static void buffer_length(void)
{
	char a[DW_IFNAMSIZ];
	struct tap tap = { .fd = own(bpf_open()) };
	if_must_create(a);
	int value = 4096;
	if (!rules_sys.simulated)
		(void)sysctl_int("debug.bpf_bufsize", &value);
	expect_eq(get_blen(&tap), value);
	expect_eq(set_blen(&tap, 1), 32);
	expect_eq(set_blen(&tap, 31), 32);
	expect_eq(set_blen(&tap, 33), 33);
	expect_eq(set_blen(&tap, 131072), 131072);

	int most = 32 << 20;
	if (rules_profile() < SIM_13) {
		most = 512 << 10;
		if (!rules_sys.simulated)
			(void)sysctl_int("debug.bpf_maxbufsize", &most);
	} else if (!rules_sys.simulated) {
		(void)sysctl_int("debug.bpf_bufsize_cap", &most);
	}
	expect_eq(set_blen(&tap, (uint32_t)most), most);
	expect_eq(set_blen(&tap, (uint32_t)most + 1), most);
	expect_eq(set_blen(&tap, 0x7fffffff), most);

	expect_eq(set_blen(&tap, 4096), 4096);
	expect_eq(tap_attach(&tap, a), 0);
	uint32_t blen = 8192;
	expect_err(darwin_sys.ioctl(tap.fd, DW_BIOCSBLEN, &blen), DW_EINVAL);
	expect_eq(get_blen(&tap), 4096);
	struct tap absent = { .fd = own(bpf_open()) };
	if_fresh(a);
	expect_err(tap_attach(&absent, a), DW_ENXIO);
	struct dw_ifreq req;
	expect_eq(darwin_sys.ioctl(tap.fd, DW_BIOCGETIF, &req), 0);
	uint32_t dlt = 0;
	expect_eq(darwin_sys.ioctl(tap.fd, DW_BIOCGDLT, &dlt), 0);
	expect_eq(dlt, DW_DLT_EN10MB);
}

/* bpf.c:bpfread: the length first, then whether there is an interface. */
static void read_length(void)
{
	struct pair p;
	struct tap tap;
	static uint8_t buf[8192];
	pair_new(&p, true);
	tap_open(&tap, p.h, TAP_LOOSE, 4096);
	expect_err(darwin_sys.read(tap.fd, buf, 4095), DW_EINVAL);
	expect_err(darwin_sys.read(tap.fd, buf, 4097), DW_EINVAL);
	expect_err(darwin_sys.read(tap.fd, buf, 4096), DW_ENXIO);
	expect_eq(tap_attach(&tap, p.h), 0);
	expect_err(darwin_sys.read(tap.fd, buf, 4095), DW_EINVAL);
	expect_err(darwin_sys.read(tap.fd, buf, 8192), DW_EINVAL);
	expect_err(darwin_sys.read(tap.fd, buf, 4096), DW_EAGAIN);
	inject_number(ndrv_open(p.s), 1, 60);
	eventually(rules_sys.select(tap.fd, false) == 1, 2000);
	expect_err(darwin_sys.read(tap.fd, buf, 2048), DW_EINVAL);
	expect_eq(darwin_sys.read(tap.fd, buf, 4096), 78); /* and nothing was lost by that */
}

static void nothing_to_read(void)
{
	struct pair p;
	struct tap tap, blocking;
	pair_new(&p, true);
	tap_open(&tap, p.h, 0, 4096);
	expect_err(tap_read(&tap), DW_EAGAIN);

	tap_open(&blocking, p.h, TAP_BLOCKING, 4096);
	struct dw_timeval timeout = { .usec = 50000 }, now = { .sec = 9 };
	expect_eq(darwin_sys.ioctl(blocking.fd, DW_BIOCSRTIMEOUT, &timeout), 0);
	expect_eq(darwin_sys.ioctl(blocking.fd, DW_BIOCGRTIMEOUT, &now), 0);
	expect_eq(now.sec, 0);
	expect(now.usec > 0 && now.usec <= 50000); /* whole ticks */
	expect_eq(tap_read(&blocking), 0);
	expect_eq(tap_read(&blocking), 0);
	inject_number(ndrv_open(p.s), 1, 60);
	expect_eq(tap_read(&blocking), 78);
}

/* -- rule 31: bpf.c:catchpacket -- */

/* Checks the record at @at against this frame, and gives where the next would begin. */
static size_t check_record(const struct tap *tap, size_t at, unsigned number, uint32_t len,
	uint32_t caplen, int64_t *time)
{
	static uint8_t frame[FRAME_MAX];
	struct dw_bpf_hdr head;
	frame_make(frame, len, number);
	expect(at + DW_BPF_HDR + caplen <= tap->len);
	memcpy(&head, tap->buf + at, DW_BPF_HDR);
	/* the very bytes: two 32-bit times, two lengths, 18 */
	uint8_t want[10] = { 0 };
	memcpy(want, &caplen, 4);
	memcpy(want + 4, &len, 4);
	want[8] = 18;
	expect_mem(tap->buf + at + 8, want, 10);
	expect(head.usec >= 0 && head.usec < 1000000);
	int64_t now = (int64_t)head.sec * 1000000 + head.usec;
	expect(now >= *time);
	*time = now;
	expect_mem(tap->buf + at + 18, frame, caplen);
	return at + ((18 + caplen + 3) & ~3u);
}

static void record_layout(void)
{
	struct pair p;
	struct tap tap;
	int64_t time = 0;
	pair_new(&p, true);
	tap_open(&tap, p.h, TAP_IN_ONLY, 4096);
	int fd = ndrv_open(p.s);
	/* one read, five records, each length modulo 4 */
	static const uint32_t lens[] = { 60, 61, 62, 63, 14, 99 };
	for (unsigned i = 0; i < 6; i++)
		inject_number(fd, i, lens[i]);
	/* 80 + 80 + 80 + 84 + 32 + 117 */
	int32_t bytes = 0;
	eventually(darwin_sys.ioctl(tap.fd, DW_FIONREAD, &bytes) == 0 && bytes == 473, 2000);
	expect_eq(tap_read(&tap), 473);
	size_t at = 0;
	for (unsigned i = 0; i < 6; i++)
		at = check_record(&tap, at, i, lens[i], lens[i], &time);
	expect_eq(at, 476); /* the last is not padded */
	expect_err(tap_read(&tap), DW_EAGAIN);
	if (!rules_sys.simulated)
		expect(time > 1600000000ll * 1000000); /* of the calendar */
}

static void record_truncated(void)
{
	struct pair p;
	struct tap tap;
	int64_t time = 0;
	pair_new(&p, true);
	tap_open(&tap, p.h, TAP_IN_ONLY, 512);
	int fd = ndrv_open(p.s);
	static const uint32_t lens[] = { 494, 495, 496, 1514 };
	for (unsigned i = 0; i < 4; i++) {
		inject_number(fd, i, lens[i]);
		eventually(rules_sys.select(tap.fd, false) == 1, 2000);
		expect_eq(tap_read(&tap), 512);
		check_record(&tap, 0, i, lens[i], 494, &time);
	}
}

static void no_timestamps(void)
{
	struct pair p;
	struct tap tap;
	pair_new(&p, true);
	tap_open(&tap, p.h, TAP_IN_ONLY, 4096);
	uint32_t on = 0;
	expect_eq(darwin_sys.ioctl(tap.fd, DW_BIOCGNOTSTAMP, &on), 0);
	expect_eq(on, 0);
	expect_eq(tap_u32(&tap, DW_BIOCSNOTSTAMP, 1), 0);
	expect_eq(darwin_sys.ioctl(tap.fd, DW_BIOCGNOTSTAMP, &on), 0);
	expect_eq(on, 1);
	darwin_sys.sleep_us(1000);
	inject_number(ndrv_open(p.s), 1, 60);
	eventually(rules_sys.select(tap.fd, false) == 1, 2000);
	expect_eq(tap_read(&tap), 78);
	static const uint8_t zero[8];
	expect_mem(tap.buf, zero, 8);
}

/* -- rule 32: bpf.c:bpfselect, filt_bpfread_common, bpf_timed_out -- */

static bool stored(const struct tap *tap, int32_t want)
{
	int32_t bytes = 0;
	return darwin_sys.ioctl(tap->fd, DW_FIONREAD, &bytes) == 0 && bytes == want;
}

static void gathering(void)
{
	struct pair p;
	struct tap by_select, by_kqueue;
	pair_new(&p, true);
	tap_open(&by_select, p.h, TAP_IN_ONLY | TAP_GATHER, 512);
	tap_open(&by_kqueue, p.h, TAP_IN_ONLY | TAP_GATHER, 512);
	int kq = own(rules_sys.kqueue());
	expect_eq(rules_sys.kevent_add(kq, by_kqueue.fd, DW_EVFILT_READ), 0);
	int fd = ndrv_open(p.s);

	/* four records of 118 bytes fit in 512 */
	for (unsigned i = 0; i < 4; i++) {
		inject_number(fd, i, 100);
		eventually(stored(&by_select, (int32_t)(i * 120 + 118)), 2000);
		expect_eq(rules_sys.select(by_select.fd, false), 0);
		expect_eq(rules_sys.kevent(kq, by_kqueue.fd, DW_EVFILT_READ), 0);
	}
	inject_number(fd, 4, 100);
	eventually(rules_sys.select(by_select.fd, false) == 1, 2000);
	eventually(rules_sys.kevent(kq, by_kqueue.fd, DW_EVFILT_READ) == 1, 2000);
	expect_eq(tap_read(&by_select), 478);
	expect_eq(rules_sys.select(by_select.fd, false), 0);
	/* a read that does not wait gets the rest all the same */
	expect_eq(tap_read(&by_select), 118);
	expect_err(tap_read(&by_select), DW_EAGAIN);
	expect_eq(tap_read(&by_kqueue), 478);
	expect_eq(rules_sys.kevent(kq, by_kqueue.fd, DW_EVFILT_READ), 0);
}

static void gathering_with_timeout(void)
{
	struct pair p;
	struct tap by_select, by_kqueue;
	struct dw_timeval timeout = { .usec = 200000 };
	pair_new(&p, true);
	tap_open(&by_select, p.h, TAP_IN_ONLY | TAP_GATHER, 4096);
	tap_open(&by_kqueue, p.h, TAP_IN_ONLY | TAP_GATHER, 4096);
	expect_eq(darwin_sys.ioctl(by_select.fd, DW_BIOCSRTIMEOUT, &timeout), 0);
	expect_eq(darwin_sys.ioctl(by_kqueue.fd, DW_BIOCSRTIMEOUT, &timeout), 0);
	inject_number(ndrv_open(p.s), 1, 100);
	eventually(stored(&by_select, 118) && stored(&by_kqueue, 118), 2000);
	int kq = own(rules_sys.kqueue());
	/* the first look starts the clock */
	expect_eq(rules_sys.kevent_add(kq, by_kqueue.fd, DW_EVFILT_READ), 0);
	expect_eq(rules_sys.select(by_select.fd, false), 0);
	expect_eq(rules_sys.kevent(kq, by_kqueue.fd, DW_EVFILT_READ), 0);
	darwin_sys.sleep_us(400000);
	expect_eq(rules_sys.select(by_select.fd, false), 1);
	expect_eq(rules_sys.kevent(kq, by_kqueue.fd, DW_EVFILT_READ), 1);
	expect_eq(tap_read(&by_select), 118);
	expect_eq(tap_read(&by_kqueue), 118);
}

static void immediate(void)
{
	struct pair p;
	struct tap tap;
	pair_new(&p, true);
	tap_open(&tap, p.h, TAP_IN_ONLY, 4096);
	int kq = own(rules_sys.kqueue());
	expect_eq(rules_sys.kevent_add(kq, tap.fd, DW_EVFILT_READ), 0);
	expect_eq(rules_sys.select(tap.fd, false), 0);
	expect_eq(rules_sys.select(tap.fd, true), 1); /* writing is always possible */
	expect_eq(rules_sys.kevent(kq, tap.fd, DW_EVFILT_READ), 0);
	inject_number(ndrv_open(p.s), 1, 100);
	eventually(rules_sys.kevent(kq, tap.fd, DW_EVFILT_READ) == 1, 2000);
	expect_eq(rules_sys.kevent(kq, tap.fd, DW_EVFILT_READ), 1); /* still: it is a level */
	expect_eq(rules_sys.select(tap.fd, false), 1);
	expect_eq(tap_read(&tap), 118);
	expect_eq(rules_sys.kevent(kq, tap.fd, DW_EVFILT_READ), 0);
	expect_eq(rules_sys.select(tap.fd, false), 0);
}

static const struct rule rules[] = {
	{ 27, "bpf devices: the last one opened makes the next; in use EBUSY, beyond ENOENT",
		.fn = devices },
	{ 27, "a device in use is EBUSY for everybody; ChmodBPF lets users in",
		.fn = in_use_by_another, .sim_only = "changes permissions by a knob" },
	{ 27, "there are at most 256 devices", .fn = device_limit,
		.sim_only = "would take every bpf device of the machine" },
	{ 27, "there are at most as many devices as a knob says", .fn = device_limit_by_knob,
		.sim_only = "sets the number by a knob" },
	{ 28, "BIOCSBLEN clamps and writes back what holds; attached it is EINVAL",
		.fn = buffer_length },
	{ 29, "read of another length than the buffer's is EINVAL, unattached ENXIO",
		.fn = read_length },
	{ 30, "nothing to read: EAGAIN, or 0 after the timeout where reads wait",
		.fn = nothing_to_read },
	{ 31, "records: 18 bytes, the frame, the next at a multiple of 4, the last unpadded",
		.fn = record_layout },
	{ 31, "a frame over the buffer's length - 18 is cut: caplen < datalen",
		.fn = record_truncated },
	{ 31, "BIOCSNOTSTAMP leaves the time 0", .fn = no_timestamps, .from = SIM_15 },
	{ 32, "not immediate: ready when a buffer is full, though a read gets all",
		.fn = gathering },
	{ 32, "not immediate, with a timeout: ready after it", .fn = gathering_with_timeout },
	{ 32, "immediate: ready with the first frame", .fn = immediate },
};

const struct rule_list rules_bpf = RULES_OF(rules);
