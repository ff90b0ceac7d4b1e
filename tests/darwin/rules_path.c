/* rules_path.c - rules 20 to 26: the way of a frame through a pair. See rules.h. */
#include "tests/darwin/rules.h"

#include <string.h>

/* A pair that is up, a socket and a BPF device that inject at S, and two taps on each side: one
 * that sees all, one that sees what comes in. */
struct setup {
	struct pair p;
	int ndrv;
	struct tap writer;
	struct tap h_all, h_in, s_all, s_in;
};

static void setup(struct setup *t)
{
	pair_new(&t->p, true);
	t->ndrv = ndrv_open(t->p.s);
	tap_open(&t->writer, t->p.s, TAP_HDRCMPLT, 32768);
	tap_open(&t->h_all, t->p.h, 0, 32768);
	tap_open(&t->h_in, t->p.h, TAP_IN_ONLY, 32768);
	tap_open(&t->s_all, t->p.s, 0, 32768);
	tap_open(&t->s_in, t->p.s, TAP_IN_ONLY, 32768);
}

static void expect_silence(struct setup *t)
{
	tap_expect_nothing(&t->h_all);
	tap_expect_nothing(&t->s_all);
}

/* if_fake.c:feth_output_common: OUT on the sender, IN on its peer, and no further. */
static void both_directions(void)
{
	struct setup t;
	uint8_t frame[200];
	setup(&t);
	int fds[] = { t.ndrv, t.writer.fd };
	for (unsigned i = 0; i < 2; i++) {
		frame_make(frame, sizeof(frame), 10 + i);
		inject(fds[i], frame, sizeof(frame));
		tap_expect(&t.h_all, frame, sizeof(frame));
		tap_expect(&t.h_in, frame, sizeof(frame));
		tap_expect(&t.s_all, frame, sizeof(frame));
		tap_expect_nothing(&t.s_in);
		tap_expect_nothing(&t.h_in); /* once */
		expect_silence(&t);
	}
	frame_make(frame, sizeof(frame), 20);
	expect_eq(rules_sys.host_output(t.p.h, frame, sizeof(frame)), 0);
	tap_expect(&t.s_in, frame, sizeof(frame));
	tap_expect(&t.s_all, frame, sizeof(frame));
	tap_expect(&t.h_all, frame, sizeof(frame));
	tap_expect_nothing(&t.h_in);
	tap_expect_nothing(&t.s_in);
	expect_silence(&t);
}

/* The stack's own frames are recognized by what they carry. */
static bool holds(const uint8_t *frame, size_t len, const char *text)
{
	size_t n = strlen(text);
	for (size_t i = 14; i + n <= len; i++)
		if (memcmp(frame + i, text, n) == 0)
			return true;
	return false;
}

/* Reads a tap until a frame holds @text. Frames of the stack's own are none of ours, so this looks
 * into records itself. */
static bool tap_holds(struct tap *tap, const char *text, unsigned wait_ms)
{
	for (unsigned ms = 0; ms < wait_ms; ms++) {
		long n = tap_read(tap);
		while (n > 0 && tap->at + DW_BPF_HDR <= tap->len) {
			struct dw_bpf_hdr head;
			memcpy(&head, tap->buf + tap->at, DW_BPF_HDR);
			const uint8_t *frame = tap->buf + tap->at + head.hdrlen;
			if (holds(frame, head.caplen, text))
				return true;
			tap->at += DW_BPF_WORDALIGN((size_t)head.hdrlen + head.caplen);
		}
		darwin_sys.sleep_us(1000);
	}
	return false;
}

/* A real datagram each way: what an injected frame reaches, and where the stack's own appear. */
static void host_stack(void)
{
	struct setup t;
	uint8_t addr[4], broadcast[4], frame[300], got[100];
	struct link link;
	setup(&t);
	if_fresh_addr(addr);
	memcpy(broadcast, addr, 4);
	broadcast[3] = (uint8_t)(addr[3] + 2);
	const uint8_t other[4] = { addr[0], addr[1], addr[2], (uint8_t)(addr[3] + 1) };
	expect_eq(if_add_addr(t.p.h, addr, 30), 0);
	expect(if_listed(t.p.h, &link));

	static const char in[] = "into the host's stack", out[] = "out of the host's stack";
	expect_eq(rules_sys.host_udp_listen(t.p.h, 47311), 0);
	size_t len = frame_udp(frame, link.mac, other, addr, 47311, in, sizeof(in));
	inject(t.ndrv, frame, len);
	size_t n = 0;
	eventually((n = rules_sys.host_udp_recv(t.p.h, 47311, got, sizeof(got))) > 0, 2000);
	expect_eq(n, sizeof(in));
	expect_mem(got, in, sizeof(in));
	expect_eq(rules_sys.host_udp_recv(t.p.h, 47311, got, sizeof(got)), 0);

	expect_eq(rules_sys.host_udp_send(t.p.h, addr, broadcast, 47312, out, sizeof(out)), 0);
	expect(tap_holds(&t.s_in, out, 2000));
	expect(tap_holds(&t.s_all, out, 2000));
	expect(tap_holds(&t.h_all, out, 2000));
	expect(!tap_holds(&t.h_in, out, 60));
}

/* if_fake.c:feth_start frees it before any tap. */
static void without_a_peer(void)
{
	struct setup t;
	setup(&t);
	expect_eq(if_set_peer(t.p.s, ""), 0);
	inject_number(t.ndrv, 1, 100);
	inject_number(t.writer.fd, 2, 100);
	expect_silence(&t);
	expect_eq(if_set_peer(t.p.s, t.p.h), 0);
	inject_number(t.ndrv, 3, 100);
	tap_expect_number(&t.h_in, 3); /* and 1 and 2 are lost, not late */
	tap_expect_number(&t.s_all, 3);
}

/* dlil.c:ifnet_enqueue_mbuf_chain and bpf.c:bpfwrite look at the sender's IFF_UP; nobody at the
 * receiver's. */
static void who_must_be_up(void)
{
	struct setup t;
	uint8_t frame[100];
	setup(&t);
	frame_make(frame, sizeof(frame), 1);

	if_up(t.p.s, false);
	expect_err(darwin_sys.write(t.ndrv, frame, sizeof(frame)), DW_ENETDOWN);
	expect_err(darwin_sys.write(t.writer.fd, frame, sizeof(frame)), DW_ENETDOWN);
	expect_silence(&t);
	/* S is down and still sees what comes out of H */
	expect_eq(rules_sys.host_output(t.p.h, frame, sizeof(frame)), 0);
	tap_expect(&t.s_in, frame, sizeof(frame));

	/* H is down and still gets what S sends; but sends nothing itself */
	if_up(t.p.s, true);
	if_up(t.p.h, false);
	inject_number(t.ndrv, 2, 60);
	tap_expect_number(&t.h_in, 2);
	inject_number(t.writer.fd, 3, 60);
	tap_expect_number(&t.h_in, 3);
	expect_err(rules_sys.host_output(t.p.h, frame, sizeof(frame)), DW_ENETDOWN);
	tap_expect_nothing(&t.s_in);
}

/* -- rule 23 -- */

static void fourteen_bytes(void)
{
	struct setup t;
	uint8_t frame[14];
	setup(&t);
	frame_make(frame, sizeof(frame), 0x01020304);
	inject(t.ndrv, frame, sizeof(frame));
	tap_expect(&t.h_in, frame, sizeof(frame));
	inject(t.writer.fd, frame, sizeof(frame));
	tap_expect(&t.h_in, frame, sizeof(frame));
}

struct runt {
	size_t len;
	int fd;
	const char *out_of; /* the host's stack, instead of fd */
};

static void send_runt(void *arg)
{
	const struct runt *r = arg;
	uint8_t frame[14];
	frame_make(frame, sizeof(frame), 1);
	if (r->out_of)
		(void)rules_sys.host_output(r->out_of, frame, r->len);
	else
		(void)darwin_sys.write(r->fd, frame, r->len);
}

/* feth_output_common takes 14 bytes off without a look: a negative length, and panic in
 * dlil_input_packet_list_common. */
static void runts_panic(void)
{
	struct setup t;
	setup(&t);
	static const size_t lens[] = { 13, 1 };
	for (unsigned i = 0; i < 2; i++) {
		struct runt ndrv = { .len = lens[i], .fd = t.ndrv };
		struct runt bpf = { .len = lens[i], .fd = t.writer.fd };
		struct runt host = { .len = lens[i], .out_of = t.p.h };
		expect(rules_sys.aborts(send_runt, &ndrv));
		expect(rules_sys.aborts(send_runt, &host));
		/* bpf_movein() asks for a header on 12 and 13; on 10.14 the length less the
		 * header's is below 0, and so over any MTU; later it asks no more */
		long error = rules_profile() < SIM_12 ? DW_EMSGSIZE : DW_EIO;
		if (rules_profile() >= SIM_14_0)
			expect(rules_sys.aborts(send_runt, &bpf));
		else
			expect_err(darwin_sys.write(bpf.fd, "0123456789012", lens[i]), error);
	}
	expect(!rules_sys.aborts(send_runt, &(struct runt){ .len = 14, .fd = t.ndrv }));
}

/* -- rule 24 -- */

static void ndrv_sizes(void)
{
	struct setup t;
	static uint8_t frame[FRAME_MAX];
	setup(&t);
	int size = 0;
	size_t size_len = sizeof(size);
	expect_eq(rules_sys.getsockopt(t.ndrv, DW_SOL_SOCKET, DW_SO_SNDBUF, &size, &size_len), 0);
	expect_eq(size, 8192);
	frame_make(frame, sizeof(frame), 1);
	expect_err(darwin_sys.write(t.ndrv, frame, 8193), DW_EMSGSIZE);
	tap_expect_nothing(&t.h_in);
	inject(t.ndrv, frame, 8192); /* far over the MTU of 1500 */
	tap_expect(&t.h_in, frame, 8192);
	expect_eq(darwin_sys.setsockopt(t.ndrv, DW_SOL_SOCKET, DW_SO_SNDBUF, 16388), 0);
	inject(t.ndrv, frame, 16388);
	tap_expect(&t.h_in, frame, 16388);
	expect_err(darwin_sys.write(t.ndrv, frame, 16389), DW_EMSGSIZE);

	/* gathered from pieces: one frame */
	const struct seg pieces[] = { { frame, 14 }, { frame + 14, 500 }, { frame + 514, 86 } };
	expect_eq(darwin_sys.writev(t.ndrv, pieces, 3), 600);
	tap_expect(&t.h_in, frame, 600);
	expect_eq(darwin_sys.writev(t.writer.fd, pieces, 3), 600);
	tap_expect(&t.h_in, frame, 600);
}

/* bpf.c:bpf_movein, bpfwrite up to macOS 13: a cluster, and the MTU without a tag. */
static void bpf_sizes_13(void)
{
	struct setup t;
	static uint8_t frame[FRAME_MAX];
	int value;
	if (sysctl_int("net.link.fake.max_mtu", &value) == 0)
		expect_eq(sysctl_set_int("net.link.fake.max_mtu", 9000), 0);
	setup(&t);
	frame_make(frame, sizeof(frame), 1);
	inject(t.writer.fd, frame, 1514);
	tap_expect(&t.h_in, frame, 1514);
	expect_err(darwin_sys.write(t.writer.fd, frame, 1515), DW_EMSGSIZE);
	expect_err(darwin_sys.write(t.writer.fd, frame, 2048), DW_EMSGSIZE);
	expect_err(darwin_sys.write(t.writer.fd, frame, 2049), DW_EIO);
	expect_eq(if_set_mtu(t.p.s, 9000), 0);
	inject(t.writer.fd, frame, 2048);
	tap_expect(&t.h_in, frame, 2048);
	expect_err(darwin_sys.write(t.writer.fd, frame, 2049), DW_EIO);
	expect_err(darwin_sys.write(t.writer.fd, frame, 9014), DW_EIO);
	tap_expect_nothing(&t.h_in);
}

/* From 14.0 on: if_mtu and BPF_WRITE_LEEWAY. */
static void bpf_sizes_14(void)
{
	struct setup t;
	static uint8_t frame[FRAME_MAX];
	expect_eq(sysctl_set_int("net.link.fake.max_mtu", 9000), 0);
	setup(&t);
	frame_make(frame, sizeof(frame), 1);
	inject(t.writer.fd, frame, 1518);
	tap_expect(&t.h_in, frame, 1518);
	expect_err(darwin_sys.write(t.writer.fd, frame, 1519), DW_EMSGSIZE);
	expect_eq(if_set_mtu(t.p.s, 9000), 0);
	inject(t.writer.fd, frame, 9018);
	tap_expect(&t.h_in, frame, 9018);
	expect_err(darwin_sys.write(t.writer.fd, frame, 9019), DW_EMSGSIZE);
	tap_expect_nothing(&t.h_in);
	if (rules_profile() < SIM_14_1)
		expect_err(tap_u32(&t.writer, DW_BIOCSWRITEMAX, 12000), DW_EINVAL);
}

static void bpf_write_max(void)
{
	struct setup t;
	static uint8_t frame[FRAME_MAX];
	setup(&t);
	frame_make(frame, sizeof(frame), 1);
	expect_err(darwin_sys.write(t.writer.fd, frame, 12000), DW_EMSGSIZE);
	expect_eq(tap_u32(&t.writer, DW_BIOCSWRITEMAX, 12000), 0);
	uint32_t now = 0;
	expect_eq(darwin_sys.ioctl(t.writer.fd, DW_BIOCGWRITEMAX, &now), 0);
	expect_eq(now, 12000);
	inject(t.writer.fd, frame, 12000);
	tap_expect(&t.h_in, frame, 12000);
	expect_eq(tap_u32(&t.writer, DW_BIOCSWRITEMAX, 0), 0); /* the MTU counts again */
	expect_err(darwin_sys.write(t.writer.fd, frame, 12000), DW_EMSGSIZE);
}

/* -- rule 25 -- */

static void order(void)
{
	struct setup t;
	setup(&t);
	struct tap tap;
	tap_open(&tap, t.p.h, TAP_IN_ONLY, 262144);
	for (unsigned i = 0; i < 500; i++) {
		inject_number(t.ndrv, i, 60 + i);
		if (i % 50 == 49) /* the receiver's queue has a limit too */
			darwin_sys.sleep_us(2000);
	}
	for (unsigned i = 0; i < 500; i++)
		tap_expect_number(&tap, i);
	tap_expect_nothing(&tap);

	struct tap back;
	tap_open(&back, t.p.s, TAP_IN_ONLY, 262144);
	uint8_t frame[100];
	for (unsigned i = 0; i < 200; i++) {
		frame_make(frame, sizeof(frame), 1000 + i);
		expect_eq(rules_sys.host_output(t.p.h, frame, sizeof(frame)), 0);
		if (i % 50 == 49)
			darwin_sys.sleep_us(2000);
	}
	for (unsigned i = 0; i < 200; i++)
		tap_expect_number(&back, 1000 + i);
}

/* classq_fq_codel.c:fq_addq: the oldest goes, the writer hears nothing. */
static void full_queue(void)
{
	struct setup t;
	setup(&t);
	rules_sys.knobs()->hold_output = true;
	rules_sys.knobs()->queue_limit = 4;
	for (unsigned i = 0; i < 7; i++)
		inject_number(t.ndrv, i, 60);
	tap_expect_nothing(&t.h_in);
	rules_sys.run();
	for (unsigned i = 3; i < 7; i++)
		tap_expect_number(&t.h_in, i);
	tap_expect_nothing(&t.h_in);
	rules_sys.knobs()->hold_output = false;
	inject_number(t.ndrv, 7, 60);
	tap_expect_number(&t.h_in, 7);
}

static void loss_knobs(void)
{
	struct setup t;
	uint8_t frame[60];
	setup(&t);
	rules_sys.knobs()->enobufs_every = 3;
	for (unsigned i = 1; i <= 9; i++) {
		frame_make(frame, sizeof(frame), i);
		long n = darwin_sys.write(i % 2 ? t.ndrv : t.writer.fd, frame, sizeof(frame));
		expect_eq(n, i % 3 ? (long)sizeof(frame) : -DW_ENOBUFS);
		if (i % 3)
			tap_expect_number(&t.h_in, i);
		tap_expect_nothing(&t.h_in);
	}
	rules_sys.knobs()->enobufs_every = 0;
	rules_sys.knobs()->lose_every = 4;
	unsigned arrived = 0;
	size_t len;
	for (unsigned i = 0; i < 16; i++) {
		inject_number(t.ndrv, 100 + i, 60);
		arrived += tap_next(&t.h_in, &len, 5) != NULL;
	}
	expect_eq(arrived, 12);
}

/* -- rule 26 -- */

static void as_it_is(void)
{
	struct setup t;
	uint8_t frame[200];
	setup(&t);
	static const size_t lens[] = { 14, 15, 42, 59, 60, 61, 64 };
	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		frame_make(frame, lens[i], i);
		inject(t.ndrv, frame, lens[i]);
		tap_expect(&t.h_in, frame, lens[i]); /* no padding, no FCS */
		expect_eq(rules_sys.host_output(t.p.h, frame, lens[i]), 0);
		tap_expect(&t.s_in, frame, lens[i]);
	}
	/* 802.1Q: the tag stays in its place */
	frame_make(frame, 104, 99);
	memmove(frame + 16, frame + 12, 88);
	frame[12] = 0x81;
	frame[13] = 0x00;
	frame[14] = 0x20;
	frame[15] = 0x05;
	inject(t.ndrv, frame, 104);
	tap_expect(&t.h_in, frame, 104);
	inject(t.writer.fd, frame, 104);
	tap_expect(&t.h_in, frame, 104);
}

static const struct rule rules[] = {
	{ 20, "what S injects comes out at S and in at H, what H sends out at H and in at S; once",
		.fn = both_directions },
	{ 20, "an injected datagram reaches the host's stack, and the stack's own reach S",
		.fn = host_stack },
	{ 21, "injected without a peer, a frame is taken and lost; no tap sees it",
		.fn = without_a_peer },
	{ 22, "who sends must be up (ENETDOWN), who receives need not be", .fn = who_must_be_up },
	{ 23, "a frame of 14 bytes is good", .fn = fourteen_bytes },
	{ 23, "a frame under 14 bytes is a kernel panic", .fn = runts_panic,
		.sim_only = "panics the kernel" },
	{ 24, "AF_NDRV takes frames up to SO_SNDBUF, 8192 at first, whatever the MTU",
		.fn = ndrv_sizes },
	{ 24, "bpf writes 2048 bytes (EIO above) and MTU + 14 (EMSGSIZE above)", .fn = bpf_sizes_13,
		.before = SIM_14_0 },
	{ 24, "bpf writes MTU + 18 bytes (EMSGSIZE above)", .fn = bpf_sizes_14, .from = SIM_14_0 },
	{ 24, "BIOCSWRITEMAX lifts the MTU's limit", .fn = bpf_write_max, .from = SIM_14_1 },
	{ 25, "frames keep their order", .fn = order },
	{ 25, "a full queue drops its oldest, and tells nobody", .fn = full_queue,
		.sim_only = "stalls a queue by a knob" },
	{ 25, "injections that fail with ENOBUFS, or are lost", .fn = loss_knobs,
		.sim_only = "fails injections by a knob" },
	{ 26, "nothing is padded or appended; an 802.1Q tag stays inline", .fn = as_it_is },
};

const struct rule_list rules_path = RULES_OF(rules);
