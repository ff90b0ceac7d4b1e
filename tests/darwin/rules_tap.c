/* rules_tap.c - rules 33 to 43: direction, writing, loss and the end of a BPF device's interface.
 * See rules.h. */
#include "tests/darwin/rules.h"

#include <string.h>

static void host_sends(const char *ifname, unsigned number)
{
	uint8_t frame[100];
	frame_make(frame, sizeof(frame), number);
	expect_eq(rules_sys.host_output(ifname, frame, sizeof(frame)), 0);
}

static bool stored(const struct tap *tap, int32_t want)
{
	int32_t bytes = 0;
	return darwin_sys.ioctl(tap->fd, DW_FIONREAD, &bytes) == 0 && bytes == want;
}

/* bpf.c:bpfopen: BPF_D_INOUT. */
static void own_injections(void)
{
	struct pair p;
	struct tap all, in;
	pair_new(&p, true);
	uint32_t seen = 0;
	tap_open(&all, p.s, TAP_HDRCMPLT, 4096);
	expect_eq(darwin_sys.ioctl(all.fd, DW_BIOCGSEESENT, &seen), 0);
	expect_eq(seen, 1);
	tap_open(&in, p.s, TAP_HDRCMPLT | TAP_IN_ONLY, 4096);
	expect_eq(darwin_sys.ioctl(in.fd, DW_BIOCGSEESENT, &seen), 0);
	expect_eq(seen, 0);
	int fd = ndrv_open(p.s);

	inject_number(fd, 1, 60);
	inject_number(all.fd, 2, 60);
	inject_number(in.fd, 3, 60);
	host_sends(p.h, 4);
	for (unsigned i = 1; i <= 3; i++)
		tap_expect_number(&all, i); /* its own write among them */
	tap_expect_number(&all, 4);
	tap_expect_number(&in, 4); /* exactly the injected ones are missing */
	tap_expect_nothing(&in);
	tap_expect_nothing(&all);

	expect_eq(tap_u32(&in, DW_BIOCSSEESENT, 1), 0);
	inject_number(fd, 5, 60);
	tap_expect_number(&in, 5);
}

static void direction(void)
{
	struct pair p;
	struct tap tap;
	pair_new(&p, true);
	tap_open(&tap, p.s, 0, 4096);
	if (rules_profile() < SIM_14_0) {
		expect_err(tap_u32(&tap, DW_BIOCSDIRECTION, 1), DW_EINVAL);
		return;
	}
	int fd = ndrv_open(p.s);
	uint32_t now = 0;
	expect_eq(darwin_sys.ioctl(tap.fd, DW_BIOCGDIRECTION, &now), 0);
	expect_eq(now, 3);
	static const bool sees[4][2] = { { 0, 0 }, { 1, 0 }, { 0, 1 }, { 1, 1 } }; /* in, out */
	for (uint32_t mode = 0; mode < 4; mode++) {
		expect_eq(tap_u32(&tap, DW_BIOCSDIRECTION, mode), 0);
		host_sends(p.h, 10 + mode);
		if (sees[mode][0])
			tap_expect_number(&tap, 10 + mode);
		inject_number(fd, 20 + mode, 60);
		if (sees[mode][1])
			tap_expect_number(&tap, 20 + mode);
		tap_expect_nothing(&tap);
	}
	expect_err(tap_u32(&tap, DW_BIOCSDIRECTION, 4), DW_EINVAL);
}

static void wrong_member(void)
{
	struct pair p;
	struct tap tap;
	pair_new(&p, true);
	tap_open(&tap, p.h, TAP_IN_ONLY, 4096);
	int fd = ndrv_open(p.s);
	host_sends(p.h, 1);
	tap_expect_nothing(&tap);
	inject_number(fd, 2, 60);
	tap_expect_number(&tap, 2);
	tap_expect_nothing(&tap);
}

/* bpf.c:bpfwrite: without it, by dlil_output() of PF_INET, which is not attached. */
static void header_not_complete(void)
{
	struct pair p;
	struct tap tap, in;
	uint8_t frame[100];
	pair_new(&p, true);
	tap_open(&tap, p.s, 0, 4096);
	tap_open(&in, p.h, TAP_IN_ONLY, 4096);
	frame_make(frame, sizeof(frame), 1);
	uint32_t on = 9;
	expect_eq(darwin_sys.ioctl(tap.fd, DW_BIOCGHDRCMPLT, &on), 0);
	expect_eq(on, 0);
	expect_err(darwin_sys.write(tap.fd, frame, sizeof(frame)), DW_ENXIO);
	tap_expect_nothing(&in);
	expect_eq(tap_u32(&tap, DW_BIOCSHDRCMPLT, 1), 0);
	inject(tap.fd, frame, sizeof(frame));
	tap_expect(&in, frame, sizeof(frame));
	/* and unattached there is nothing to write to */
	struct tap loose;
	tap_open(&loose, "", TAP_LOOSE | TAP_HDRCMPLT, 4096);
	expect_err(darwin_sys.write(loose.fd, frame, sizeof(frame)), DW_ENXIO);
}

/* -- rule 36: bpf.c:catchpacket -- */

static struct dw_bpf_stat stats(const struct tap *tap)
{
	struct dw_bpf_stat st;
	memset(&st, 0xee, sizeof(st));
	expect_eq(darwin_sys.ioctl(tap->fd, DW_BIOCGSTATS, &st), 0);
	return st;
}

/* Two buffers of four records each, and twelve frames: which eight are there? */
static void overflow(unsigned flags, unsigned first)
{
	struct pair p;
	struct tap tap;
	pair_new(&p, true);
	tap_open(&tap, p.h, TAP_IN_ONLY | flags, 512);
	int fd = ndrv_open(p.s);
	for (unsigned i = 0; i < 12; i++)
		inject_number(fd, i, 100);
	eventually(stats(&tap).recv == 12, 2000);
	expect_eq(stats(&tap).drop, 4);
	for (unsigned half = 0; half < 2; half++) {
		expect_eq(tap_read(&tap), 478);
		for (unsigned i = 0; i < 4; i++)
			expect_eq(frame_number(tap.buf + i * 120 + 18), first + half * 4 + i);
	}
	expect_err(tap_read(&tap), DW_EAGAIN);
	inject_number(fd, 50, 100); /* there is room again */
	tap_expect_number(&tap, 50);
	expect_eq(stats(&tap).drop, 4);
	expect_eq(stats(&tap).recv, 13);
}

static void newest_dropped(void)
{
	overflow(0, 0);
}

static void oldest_dropped(void)
{
	overflow(TAP_HEADDROP, 4);
}

/* -- rule 37: bpf.c:bpf_movein_batch -- */

static void no_batches(void)
{
	struct pair p;
	struct tap tap;
	pair_new(&p, true);
	tap_open(&tap, p.s, TAP_HDRCMPLT, 4096);
	expect_err(tap_u32(&tap, DW_BIOCSBATCHWRITE, 1), DW_EINVAL);
	uint32_t on = 0;
	expect_err(darwin_sys.ioctl(tap.fd, DW_BIOCGBATCHWRITE, &on), DW_EINVAL);
}

/* Appends a record. @datalen is the frame's, unless it is to be wrong. */
static size_t add_record(uint8_t *at, unsigned number, uint32_t len, uint32_t datalen, uint16_t hdr)
{
	memset(at, 0, hdr);
	memcpy(at + 8, &len, 4);
	memcpy(at + 12, &datalen, 4);
	memcpy(at + 16, &hdr, 2);
	if (len > 0)
		frame_make(at + hdr, len, number);
	size_t used = hdr + len, padded = (used + 3) & ~(size_t)3;
	memset(at + used, 0, padded - used);
	return padded;
}

struct batch {
	struct pair p;
	struct tap writer, in;
	uint8_t buf[4096];
};

static void batch_new(struct batch *b)
{
	pair_new(&b->p, true);
	tap_open(&b->writer, b->p.s, TAP_HDRCMPLT | TAP_IN_ONLY, 4096);
	tap_open(&b->in, b->p.h, TAP_IN_ONLY, 8192);
	expect_eq(tap_u32(&b->writer, DW_BIOCSBATCHWRITE, 1), 0);
}

static void batch_switch(void)
{
	struct batch b;
	struct tap tap;
	uint8_t frame[100];
	uint32_t on = 0;
	batch_new(&b);
	expect_eq(darwin_sys.ioctl(b.writer.fd, DW_BIOCGBATCHWRITE, &on), 0);
	expect(on != 0);
	expect_err(tap_u32(&b.writer, DW_BIOCSHDRCMPLT, 0), DW_EINVAL);
	tap_open(&tap, b.p.s, 0, 4096);
	expect_err(tap_u32(&tap, DW_BIOCSBATCHWRITE, 1), DW_EINVAL); /* HDRCMPLT is 0 */

	/* a plain frame is now read as a record: hdrlen 0 here */
	frame_make(frame, sizeof(frame), 1);
	memset(frame + 16, 0, 2);
	expect_err(darwin_sys.write(b.writer.fd, frame, sizeof(frame)), DW_EINVAL);
	tap_expect_nothing(&b.in);
	expect_eq(tap_u32(&b.writer, DW_BIOCSBATCHWRITE, 0), 0);
	inject(b.writer.fd, frame, sizeof(frame));
	tap_expect(&b.in, frame, sizeof(frame));
}

static void batch_good(void)
{
	struct batch b;
	batch_new(&b);
	size_t n = add_record(b.buf, 0, 60, 60, 18);
	n += add_record(b.buf + n, 1, 61, 61, 18);
	n += add_record(b.buf + n, 2, 14, 14, 18);
	n += add_record(b.buf + n, 9, 0, 0, 20);   /* empty: skipped */
	n += add_record(b.buf + n, 3, 77, 77, 24); /* a longer header */
	expect_eq(darwin_sys.write(b.writer.fd, b.buf, n), n);
	static uint8_t frame[100];
	static const size_t lens[] = { 60, 61, 14, 77 };
	for (unsigned i = 0; i < 4; i++) {
		frame_make(frame, lens[i], i);
		tap_expect(&b.in, frame, lens[i]);
	}
	tap_expect_nothing(&b.in);

	/* under 20 bytes behind the last are ignored, and not counted as written */
	n = add_record(b.buf, 5, 60, 60, 18);
	memset(b.buf + n, 0xff, 19);
	expect_eq(darwin_sys.write(b.writer.fd, b.buf, n + 19), n);
	tap_expect_number(&b.in, 5);
	/* gathered from pieces */
	n = add_record(b.buf, 6, 60, 60, 18);
	size_t m = add_record(b.buf + n, 7, 64, 64, 18);
	const struct seg pieces[] = { { b.buf, n }, { b.buf + n, m } };
	expect_eq(darwin_sys.writev(b.writer.fd, pieces, 2), n + m);
	tap_expect_number(&b.in, 6);
	tap_expect_number(&b.in, 7);
	tap_expect_nothing(&b.in);
}

static void batch_bad(void)
{
	struct batch b;
	batch_new(&b);
	static const struct {
		uint32_t len, datalen;
		uint16_t hdr;
		int error;
	} bad[] = {
		{ 60, 61, 18, DW_EINVAL },       /* caplen is not datalen */
		{ 60, 60, 17, DW_EINVAL },       /* a header too short */
		{ 1519, 1519, 18, DW_EMSGSIZE }, /* over MTU + 18 */
	};
	for (unsigned i = 0; i < 3; i++) {
		size_t n = add_record(b.buf, 1, 60, 60, 18);
		if (bad[i].hdr < 18) { /* add_record() would write over its end */
			size_t m = add_record(b.buf + n, 2, bad[i].len, bad[i].datalen, 18);
			memcpy(b.buf + n + 16, &bad[i].hdr, 2);
			n += m;
		} else {
			n += add_record(b.buf + n, 2, bad[i].len, bad[i].datalen, bad[i].hdr);
		}
		n += add_record(b.buf + n, 3, 60, 60, 18);
		expect_err(darwin_sys.write(b.writer.fd, b.buf, n), bad[i].error);
		tap_expect_nothing(&b.in); /* not even the first */
	}
	/* a record that says it is longer than what is there */
	size_t n = add_record(b.buf, 1, 60, 60, 18);
	size_t m = add_record(b.buf + n, 2, 200, 200, 18);
	expect(darwin_sys.write(b.writer.fd, b.buf, n + m - 100) < 0);
	tap_expect_nothing(&b.in);
}

/* -- rules 38, 39 -- */

/* bpf.c:bpfioctl reads one byte of it. */
static void immediate_by_a_byte(void)
{
	struct pair p;
	struct tap off, on;
	pair_new(&p, true);
	tap_open(&off, p.h, TAP_IN_ONLY, 4096);
	tap_open(&on, p.h, TAP_IN_ONLY | TAP_GATHER, 4096);
	expect_eq(tap_u32(&off, DW_BIOCIMMEDIATE, 0x100), 0);
	expect_eq(tap_u32(&on, DW_BIOCIMMEDIATE, 0x101), 0);
	inject_number(ndrv_open(p.s), 1, 60);
	eventually(stored(&off, 78) && stored(&on, 78), 2000);
	expect_eq(rules_sys.select(off.fd, false), 0);
	expect_eq(rules_sys.select(on.fd, false), 1);
}

/* spec_vnops.c:spec_kqfilter, bpf.c:bpfkqfilter, sys_generic.c:poll_nocancel. */
static void readiness_errors(void)
{
	struct pair p;
	struct tap tap;
	pair_new(&p, true);
	int kq = own(rules_sys.kqueue());
	tap_open(&tap, p.h, TAP_LOOSE | TAP_IN_ONLY, 4096);
	expect_err(rules_sys.kevent_add(kq, tap.fd, DW_EVFILT_READ), DW_EINVAL);
	expect_err(rules_sys.kevent_add(kq, tap.fd, DW_EVFILT_WRITE), DW_EINVAL);
	expect_eq(rules_sys.poll(tap.fd, DW_POLLIN), DW_POLLNVAL);
	expect_eq(rules_sys.select(tap.fd, false), 1); /* ready with an error */
	expect_eq(tap_attach(&tap, p.h), 0);
	expect_err(rules_sys.kevent_add(kq, tap.fd, DW_EVFILT_WRITE), DW_EINVAL);
	expect_eq(rules_sys.poll(tap.fd, DW_POLLIN), 0);
	expect(rules_sys.poll(tap.fd, DW_POLLOUT) & DW_POLLNVAL);
	inject_number(ndrv_open(p.s), 1, 60);
	eventually(rules_sys.poll(tap.fd, DW_POLLIN) == DW_POLLIN, 2000);
	expect_eq(rules_sys.kevent_add(kq, tap.fd, DW_EVFILT_READ), 0);
	expect_eq(rules_sys.kevent_delete(kq, tap.fd, DW_EVFILT_READ), 0);
}

/* -- rule 40: bpf.c:bpfdetach -- */

static void interface_gone(void)
{
	struct pair p, q;
	struct tap pending, empty, writer;
	uint8_t frame[60];
	pair_new(&p, true);
	tap_open(&pending, p.s, TAP_IN_ONLY, 4096);
	tap_open(&empty, p.s, TAP_IN_ONLY, 4096);
	tap_open(&writer, p.s, TAP_HDRCMPLT | TAP_IN_ONLY, 4096);
	int kq = own(rules_sys.kqueue());
	expect_eq(rules_sys.kevent_add(kq, empty.fd, DW_EVFILT_READ), 0);
	host_sends(p.h, 1);
	host_sends(p.h, 2);
	tap_expect_number(&empty, 1);
	tap_expect_number(&empty, 2);
	tap_expect_nothing(&empty);
	expect_eq(rules_sys.kevent(kq, empty.fd, DW_EVFILT_READ), 0);
	expect_eq(if_destroy(p.s), 0);

	long rc = -DW_EAGAIN;
	eventually((rc = tap_read(&empty)) != -DW_EAGAIN, 5000);
	expect_err(rc, DW_ENXIO);
	expect_eq(rules_sys.kevent(kq, empty.fd, DW_EVFILT_READ), 0); /* nobody is woken */
	expect_eq(rules_sys.select(empty.fd, false), 1);
	expect_eq(tap_read(&pending), 118 + 120); /* what came before is there */
	expect_err(tap_read(&pending), DW_ENXIO);
	frame_make(frame, sizeof(frame), 3);
	expect_err(darwin_sys.write(writer.fd, frame, sizeof(frame)), DW_ENXIO);
	expect_err(darwin_sys.ioctl(pending.fd, DW_BIOCPROMISC, NULL), DW_EINVAL);

	/* another interface, and it lives again */
	pair_new(&q, true);
	expect_eq(tap_attach(&pending, q.s), 0);
	expect_err(tap_read(&pending), DW_EAGAIN);
	host_sends(q.h, 4);
	tap_expect_number(&pending, 4);
}

/* The same name again is another interface. */
static void interface_made_again(void)
{
	struct pair p;
	struct tap tap;
	pair_new(&p, true);
	tap_open(&tap, p.s, TAP_IN_ONLY, 4096);
	expect_eq(if_destroy(p.s), 0);
	int rc = if_create(p.s);
	for (unsigned i = 0; rc == -DW_EBUSY && i < 10000; i++) {
		darwin_sys.sleep_us(1000);
		rc = if_create(p.s);
	}
	expect_eq(rc, 0);
	expect_eq(if_set_peer(p.h, p.s), 0);
	host_sends(p.h, 1);
	darwin_sys.sleep_us(50000);
	expect_err(tap_read(&tap), DW_ENXIO);
	expect_eq(tap_attach(&tap, p.s), 0);
	host_sends(p.h, 2);
	tap_expect_number(&tap, 2);
}

/* -- rule 41: bpf.c:filt_bpfdetach -- */

static void second_knote(void)
{
	struct pair p;
	pair_new(&p, true);
	int fd = ndrv_open(p.s);
	for (unsigned by_poll = 0; by_poll < 2; by_poll++) {
		struct tap tap;
		tap_open(&tap, p.h, TAP_IN_ONLY, 4096);
		int first = own(rules_sys.kqueue()), second = own(rules_sys.kqueue());
		expect_eq(rules_sys.kevent_add(first, tap.fd, DW_EVFILT_READ), 0);
		inject_number(fd, 1, 60);
		eventually(rules_sys.kevent(first, tap.fd, DW_EVFILT_READ) == 1, 2000);
		tap_expect_number(&tap, 1);
		expect_eq(rules_sys.kevent(first, tap.fd, DW_EVFILT_READ), 0);

		if (by_poll) {
			expect_eq(rules_sys.poll(tap.fd, DW_POLLIN), 0);
		} else {
			expect_eq(rules_sys.kevent_add(second, tap.fd, DW_EVFILT_READ), 0);
			expect_eq(rules_sys.kevent_delete(second, tap.fd, DW_EVFILT_READ), 0);
		}
		inject_number(fd, 2, 60);
		eventually(stored(&tap, 78), 2000);
		expect_eq(rules_sys.kevent(first, tap.fd, DW_EVFILT_READ), 0); /* deaf */
		expect_eq(rules_sys.select(tap.fd, false), 1);
		tap_expect_number(&tap, 2);
		drop(tap.fd); /* before its queues: nothing may walk its list of knotes now */
	}
}

/* -- rules 42, 43 -- */

static void divert_input(void)
{
	struct pair p;
	struct tap first, second;
	pair_new(&p, true);
	tap_open(&first, p.s, TAP_IN_ONLY | TAP_LOOSE, 4096);
	tap_open(&second, p.s, TAP_IN_ONLY, 4096);
	if (rules_profile() < SIM_15) {
		expect_err(tap_u32(&second, DW_BIOCSDVRTIN, 1), DW_EINVAL);
		return;
	}
	expect_err(tap_u32(&first, DW_BIOCSDVRTIN, 1), DW_ENXIO);
	expect_eq(tap_attach(&first, p.s), 0);
	expect_err(tap_u32(&first, DW_BIOCSDVRTIN, 0), DW_EINVAL);
	expect_eq(tap_u32(&first, DW_BIOCSDVRTIN, 1), 0);
	uint32_t on = 0;
	expect_eq(darwin_sys.ioctl(first.fd, DW_BIOCGDVRTIN, &on), 0);
	expect_eq(on, 1);
	expect_err(tap_u32(&first, DW_BIOCSDVRTIN, 1), DW_EALREADY);
	expect_err(tap_u32(&second, DW_BIOCSDVRTIN, 1), DW_EALREADY);
	host_sends(p.h, 1);
	tap_expect_number(&first, 1);
	tap_expect_number(&second, 1);
	drop(first.fd); /* takes it back */
	expect_eq(tap_u32(&second, DW_BIOCSDVRTIN, 1), 0);
	expect_eq(tap_u32(&second, DW_BIOCSDVRTIN, 0), 0);
	host_sends(p.h, 2);
	tap_expect_number(&second, 2);
}

/* bpf.c:bpfioctl FIONREAD: the store buffer; and the hold buffer, but while a read copies it up to
 * macOS 13, and only then since 14.0. */
static void fionread(void)
{
	struct pair p;
	struct tap tap;
	pair_new(&p, true);
	tap_open(&tap, p.h, TAP_IN_ONLY, 512);
	int fd = ndrv_open(p.s);
	expect(stored(&tap, 0));
	for (unsigned i = 0; i < 4; i++)
		inject_number(fd, i, 100);
	eventually(stored(&tap, 478), 2000);
	inject_number(fd, 4, 100);
	/* 596 bytes can be read */
	eventually(stored(&tap, rules_profile() < SIM_14_0 ? 596 : 118), 2000);
	expect_eq(tap_read(&tap), 478);
	expect(stored(&tap, 118));
	expect_eq(tap_read(&tap), 118);
	expect(stored(&tap, 0));
}

static const struct rule rules[] = {
	{ 33, "injections are read back, one's own too; SEESENT 0 removes exactly them",
		.fn = own_injections },
	{ 33, "BIOCSDIRECTION, where there is one", .fn = direction },
	{ 34, "SEESENT 0 on H sees what is injected, and nothing of the host's",
		.fn = wrong_member },
	{ 35, "a write without HDRCMPLT is ENXIO", .fn = header_not_complete },
	{ 36, "both buffers full: the newest is dropped and counted", .fn = newest_dropped },
	{ 36, "both buffers full under HEADDROP: the oldest buffer goes", .fn = oldest_dropped },
	{ 37, "there are no batches: EINVAL", .fn = no_batches, .before = SIM_14_1 },
	{ 37, "batches need HDRCMPLT, and turn every write into records", .fn = batch_switch,
		.from = SIM_14_1 },
	{ 37, "a batch's frames go in order", .fn = batch_good, .from = SIM_14_1 },
	{ 37, "one bad record and nothing of a batch goes", .fn = batch_bad, .from = SIM_14_1 },
	{ 38, "BIOCIMMEDIATE 0x100 means off", .fn = immediate_by_a_byte },
	{ 39, "kqueue: EINVAL unattached and for writing; poll: POLLNVAL", .fn = readiness_errors },
	{ 40,
		"interface gone: what was pending, then ENXIO; kqueue is not woken; it can be "
		"attached anew",
		.fn = interface_gone },
	{ 40, "a new interface of the old name needs BIOCSETIF too", .fn = interface_made_again },
	{ 41, "a second knote silences the first when it goes", .fn = second_knote,
		.ask = "leaves a stale entry in a list of the kernel's until the device is "
		       "closed" },
	{ 42, "BIOCSDVRTIN: ENXIO unattached, EALREADY twice, EINVAL before macOS 15",
		.fn = divert_input },
	{ 43, "FIONREAD counts the store buffer, and before macOS 14 the hold buffer too",
		.fn = fionread },
};

const struct rule_list rules_tap = RULES_OF(rules);
