/* bench_path.c - the frame path without a system call: bytes of one read through decode, switch,
 * egress and flush, again and again. instr.sh counts its instructions under callgrind.
 *
 *   bench_path PATH BATCHES
 *
 * PATH is one of those below. Every batch is 64 frames of 60 bytes from one port, all to one
 * address (mixed4: to four in turn, so that no two neighbours share a decision; crowd: to one of
 * 511 that are there; coalesced: segments of a TCP connection, 1514 bytes each). Prints nothing
 * unless frames went elsewhere than they should (exit 1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/wire.h"
#include "server/core/csum.h"
#include "server/core/egress.h"
#include "server/core/ingress.h"
#include "server/core/loopguard.h"
#include "server/core/monitor.h"
#include "server/core/network.h"
#include "server/core/offload.h"

#define BATCH 64u
#define SIZE 60u
#define LONG 1514u
#define SINKS_MAX 511u

/* A port that does what io/stream.c does, less the write: all of it always went out. */
struct sink {
	struct port port;
	struct egress eg;
	struct sendq q;
	bool lent;
};

struct lab {
	struct network *net;
	struct sink source, sinks[SINKS_MAX], eye;
	unsigned n_sinks;
	enum framing in;
	bool from_host;
	uint64_t host_frames;
	struct wire_scan scan;
	uint8_t buf[BATCH * (LONG + 4)];
	size_t len;
};

void bench_measured(struct lab *lab, unsigned batches); /* its name is what callgrind looks for */

static struct sink *sink_of(struct port *port)
{
	return (struct sink *)port; /* its first member */
}

static void settle(struct sink *s)
{
	struct egress_sum sum;
	egress_settle(&s->eg, s->eg.bytes, &s->q, &sum);
	s->port.stats->tx_frames += sum.frames;
	s->port.stats->tx_bytes += sum.bytes;
}

static void sink_send(struct port *port, struct frame *frames, unsigned n, bool flooded)
{
	struct sink *s = sink_of(port);
	if (flooded && !sendq_empty(&s->q))
		abort();
	if (!s->lent)
		egress_reset(&s->eg);
	s->lent = true;
	for (;;) {
		const unsigned taken = egress_add(&s->eg, frames, n, s->q.framing);
		if (taken == n)
			break;
		frames += taken;
		n -= taken;
		settle(s);
	}
}

static void sink_flush(struct port *port)
{
	struct sink *s = sink_of(port);
	if (s->lent)
		settle(s);
	s->lent = false;
}

static void sink_close(struct port *port, bool gone)
{
	(void)port;
	(void)gone;
}

static uint32_t sink_queued(const struct port *port)
{
	(void)port;
	return 0;
}

static uint64_t eye_now(const struct port *port)
{
	(void)port;
	return 1;
}

static const struct port_ops sink_ops = {
	.send = sink_send,
	.flush = sink_flush,
	.close = sink_close,
	.queued = sink_queued,
	.now_ns = eye_now,
};

static unsigned host_send(struct hostif *hif, const struct frame *frames, unsigned n)
{
	struct lab *lab = (struct lab *)(void *)hif;
	(void)frames;
	lab->host_frames += n;
	return n;
}

static const struct hostif_ops host_ops = { .name = "bench", .has_host = true, .send = host_send };

static unsigned tso_send(struct hostif *hif, const struct frame *frames, unsigned n)
{
	struct lab *lab = (struct lab *)(void *)hif;
	for (unsigned i = 0; i < n; i++) {
		const uint32_t size = frames[i].offload.gso_size;
		lab->host_frames +=
			size ? (frames[i].len - frames[i].offload.hdr_len + size - 1) / size : 1;
	}
	return n;
}

static uint8_t host_offload(const struct hostif *hif)
{
	(void)hif;
	return OFFLOAD_CSUM | OFFLOAD_TSO4;
}

static const struct hostif_ops tso_ops = {
	.name = "tso", .has_host = true, .send = tso_send, .offload = host_offload
};

static void on_ports(void *ctx, unsigned attached)
{
	(void)ctx;
	(void)attached;
}

static const struct network_events events = { .ports = on_ports };

/* As io/session.c and io/port_qemu.c: frames until the bytes end. */
static void input_stream(struct lab *lab, uint64_t now_ms)
{
	struct frame frames[BATCH];
	size_t at = 0, used;
	unsigned n;
	for (;;) {
		const uint8_t *p = lab->buf + at;
		n = lab->in == FRAMING_QEMU
			    ? ingress_qemu(p, lab->len - at, frames, BATCH, &used)
			    : ingress_native(p, lab->len - at, frames, BATCH, &used);
		if (!n)
			break;
		network_input(lab->net, lab->source.port.id, frames, n, now_ms);
		at += used;
	}
	struct wire_item item;
	(void)wire_next(&lab->scan, lab->buf + at, lab->len - at, &item);
}

/* As hostif/packet_linux.c, after recvmmsg. */
static void input_host(struct lab *lab, uint64_t now_ms)
{
	struct frame frames[BATCH];
	for (unsigned i = 0; i < BATCH; i++)
		frames[i] = (struct frame){
			.head = lab->buf + i * SIZE, .head_len = SIZE, .len = SIZE
		};
	network_input(lab->net, PORT_HOST, frames, BATCH, now_ms);
}

void bench_measured(struct lab *lab, unsigned batches)
{
	for (unsigned i = 0; i < batches; i++) {
		const uint64_t now_ms = 1000 + i / 1000;
		for (unsigned k = 0; lab->n_sinks > 4 && k < LOOPGUARD_LOOKS; k++) {
			const unsigned n = i * LOOPGUARD_LOOKS + k; /* nobody repeats himself */
			memcpy(lab->buf + k * lab->len / BATCH + SIZE - 4, &n, sizeof(n));
		}
		if (lab->from_host)
			input_host(lab, now_ms);
		else
			input_stream(lab, now_ms);
		network_flush(lab->net);
	}
}

enum target { TO_PORT, TO_HOST, TO_ALL, TO_EACH };
enum watch { NOBODY, FOR_ARP, FOR_ALL }; /* a monitor, that wants no frame of these, or each */

static const struct path {
	const char *name;
	enum framing in, out; /* FRAMING_NONE: the host side */
	enum target target;
	unsigned sinks;
	enum watch watch;
	bool coalesced; /* segments, for a host side that takes super-frames */
} paths[] = {
	{ "native-native", FRAMING_NATIVE, FRAMING_NATIVE, TO_PORT, 1, NOBODY, false },
	{ "native-crowd", FRAMING_NATIVE, FRAMING_NATIVE, TO_PORT, SINKS_MAX, NOBODY, false },
	{ "native-qemu", FRAMING_NATIVE, FRAMING_QEMU, TO_PORT, 1, NOBODY, false },
	{ "qemu-native", FRAMING_QEMU, FRAMING_NATIVE, TO_PORT, 1, NOBODY, false },
	{ "qemu-qemu", FRAMING_QEMU, FRAMING_QEMU, TO_PORT, 1, NOBODY, false },
	{ "native-mixed4", FRAMING_NATIVE, FRAMING_NATIVE, TO_EACH, 4, NOBODY, false },
	{ "native-flood8", FRAMING_NATIVE, FRAMING_NATIVE, TO_ALL, 8, NOBODY, false },
	{ "native-host", FRAMING_NATIVE, FRAMING_NONE, TO_HOST, 1, NOBODY, false },
	{ "native-coalesced", FRAMING_NATIVE, FRAMING_NONE, TO_HOST, 1, NOBODY, true },
	{ "host-native", FRAMING_NONE, FRAMING_NATIVE, TO_PORT, 1, NOBODY, false },
	{ "native-watched", FRAMING_NATIVE, FRAMING_NATIVE, TO_PORT, 1, FOR_ARP, false },
	{ "native-captured", FRAMING_NATIVE, FRAMING_NATIVE, TO_PORT, 1, FOR_ALL, false },
};

static const struct feth_mac host_mac = { { 2, 0, 0, 0, 0, 0xfe } };
static const struct feth_mac source_mac = { { 2, 0, 0, 0, 0, 1 } };
static const struct feth_mac sink_mac = { { 2, 0, 0, 0, 0, 2 } }; /* and on, of the others */

static int attach(struct lab *lab, struct sink *s, const char *name, enum framing framing)
{
	struct port_conf conf = { .kind = PORT_KIND_NATIVE };
	struct port_info info;
	struct err err;
	strcpy(conf.name, name);
	s->port.ops = &sink_ops;
	sendq_init(&s->q, network_pool(lab->net), network_pool(lab->net), framing);
	return network_attach(lab->net, &conf, &s->port, 0, &info, &err);
}

static int watch(struct lab *lab, enum watch watch)
{
	static const struct bpf_step arp[] = { { 0x28, 0, 0, 12 }, { 0x15, 0, 1, 0x806 },
		{ 0x06, 0, 0, 65535 }, { 0x06, 0, 0, 0 } };
	static struct monitor_conf conf = { .snaplen = MONITOR_SNAPLEN_MAX };
	const struct port_conf port = { .kind = PORT_KIND_NATIVE, .monitor = &conf };
	struct port_info info;
	struct err err;
	if (watch == NOBODY)
		return 0;
	if (watch == FOR_ARP) {
		memcpy(conf.steps, arp, sizeof(arp));
		conf.n_steps = 4;
	}
	lab->eye.port.ops = &sink_ops;
	sendq_init(&lab->eye.q, network_pool(lab->net), network_pool(lab->net), FRAMING_NATIVE);
	return network_attach(lab->net, &port, &lab->eye.port, 0, &info, &err);
}

static void fill_segments(struct lab *lab)
{
	static const uint8_t addresses[] = { 10, 0, 0, 1, 10, 0, 0, 2 };
	const uint32_t payload = LONG - 54;
	for (unsigned i = 0; i < BATCH; i++) {
		lab->len += framing_header(lab->in, lab->buf + lab->len, LONG);
		uint8_t *b = lab->buf + lab->len, *ip = b + 14, *tcp = b + 34;
		lab->len += LONG;
		memcpy(b, host_mac.b, 6);
		memcpy(b + 6, source_mac.b, 6);
		b[12] = 0x08;
		ip[0] = 0x45;
		ip[2] = (LONG - 14) >> 8;
		ip[3] = (LONG - 14) & 0xff;
		ip[5] = (uint8_t)i;
		ip[8] = 64;
		ip[9] = 6;
		memcpy(ip + 12, addresses, 8);
		csum_put(ip + 10, csum_add(0, ip, 20));
		for (unsigned k = 0; k < 4; k++)
			tcp[4 + k] = (uint8_t)(i * payload >> (24 - 8 * k));
		tcp[12] = 5 << 4;
		tcp[13] = 0x10; /* ACK */
		memset(tcp + 20, (int)i, payload);
		csum_put(tcp + 16, csum_add(csum_pseudo(ip, false, 6, LONG - 34), tcp, LONG - 34));
	}
}

static void fill(struct lab *lab, const struct path *path)
{
	const uint8_t *dst = path->target == TO_HOST ? host_mac.b : sink_mac.b;
	const uint8_t *src = lab->from_host ? host_mac.b : source_mac.b;
	uint8_t frame[SIZE] = { 0 };
	memcpy(frame, dst, 6);
	if (path->target == TO_ALL)
		memset(frame, 0xff, 6);
	memcpy(frame + 6, src, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	for (unsigned i = 0; i < BATCH; i++) {
		if (path->target == TO_EACH)
			frame[5] = (uint8_t)(sink_mac.b[5] + i % path->sinks);
		if (lab->in != FRAMING_NONE)
			lab->len += framing_header(lab->in, lab->buf + lab->len, SIZE);
		memcpy(lab->buf + lab->len, frame, SIZE);
		lab->len += SIZE;
	}
}

static int lab_open(struct lab *lab, const struct path *path)
{
	struct network_facts facts = {
		.has_host = path->target == TO_HOST || !path->in,
		.mtu_min = 68,
		.mtu_max = 65521,
		.defaults = { .given = RULE_STORM }, /* no limit: what a flood costs is asked */
	};
	const struct netid_key key = { 0 };
	facts.spec.mtu = 1500;
	facts.spec.mac = host_mac;
	strcpy(facts.spec.network, "bench");
	if (network_new(&lab->net, &facts, &key, 0x5eed5eed5eed5eed, &events, lab) < 0)
		return -1;
	if (facts.has_host)
		network_set_host(lab->net, path->coalesced ? &tso_ops : &host_ops,
			(struct hostif *)(void *)lab);
	lab->in = path->in;
	lab->from_host = path->in == FRAMING_NONE;
	if (attach(lab, &lab->source, "source", lab->in) < 0)
		return -1;
	for (; lab->n_sinks < path->sinks; lab->n_sinks++) {
		char name[16];
		snprintf(name, sizeof(name), "sink%u", lab->n_sinks);
		if (attach(lab, &lab->sinks[lab->n_sinks], name, path->out) < 0)
			return -1;
	}

	/* the sinks say where they are, to nobody */
	uint8_t hello[SIZE];
	memcpy(hello + 6, sink_mac.b, 6);
	for (unsigned i = 0; i < path->sinks; i++) {
		hello[10] = (uint8_t)(i >> 8);
		hello[11] = (uint8_t)(sink_mac.b[5] + i);
		memcpy(hello, hello + 6, 6);
		struct frame frame = { .head = hello, .head_len = SIZE, .len = SIZE };
		network_input(lab->net, lab->sinks[i].port.id, &frame, 1, 1000);
	}
	network_flush(lab->net);
	if (path->coalesced)
		fill_segments(lab);
	else
		fill(lab, path);
	return watch(lab, path->watch);
}

/* Frames that went where they should. */
static uint64_t arrived(const struct lab *lab, const struct path *path)
{
	if (path->target == TO_HOST)
		return lab->host_frames;
	uint64_t sum = 0;
	for (unsigned i = 0; i < lab->n_sinks; i++)
		sum += lab->sinks[i].port.stats->tx_frames;
	return sum;
}

static int run(const struct path *path, unsigned batches)
{
	static struct lab lab;
	if (lab_open(&lab, path) < 0)
		return 1;
	bench_measured(&lab, batches);
	const uint64_t per_frame = path->target == TO_ALL ? lab.n_sinks : 1;
	const uint64_t want = (uint64_t)batches * BATCH * per_frame;
	const uint64_t got = arrived(&lab, path);
	const uint64_t seen = path->watch ? lab.eye.port.stats->tx_frames : 0;
	if (path->watch)
		network_detach(lab.net, &lab.eye.port);
	network_detach(lab.net, &lab.source.port);
	for (unsigned i = 0; i < lab.n_sinks; i++)
		network_detach(lab.net, &lab.sinks[i].port);
	network_free(lab.net);
	if (got == want && seen == (path->watch == FOR_ALL ? want : 0))
		return 0;
	fprintf(stderr, "bench_path: %s: %llu frames of %llu arrived\n", path->name,
		(unsigned long long)got, (unsigned long long)want);
	return 1;
}

int main(int argc, char **argv)
{
	const unsigned long batches = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && batches; i++)
		if (!strcmp(paths[i].name, argv[1]))
			return run(&paths[i], (unsigned)batches);
	fputs("usage: bench_path PATH BATCHES, PATH one of", stderr);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		fprintf(stderr, " %s", paths[i].name);
	fputs("\n", stderr);
	return 2;
}
