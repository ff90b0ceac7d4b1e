/* fuzz_messages.c - what peers of message sockets send (dgram, seqpacket, udp, VDE's data), through
 * msg_port.c, dgram.c and a network, to a port that looks at what comes out. Only the system's part
 * is the input's: what a read gives, and becomes of a write (msgio.h), whose a datagram is, and how
 * its socket can be reached. A model that knows nothing of ports but who was heard says what has to
 * come out, and what the counters have to say. */
#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "protocol/vde.h"
#include "server/base/log.h"
#include "server/io/dgram.h"
#include "server/io/msgio.h"
#include "server/io/peer.h"
#include "server/io/shared.h"
#include "server/priv/sock.h"
#include "tests/support/bytes.h"
#include "tests/support/fakenet.h"
#include "tests/support/fuzz.h"
#include "tests/support/rng.h"

#define STEPS 64u
#define FRAMES 1024u /* of one run, each with an address of its own */
#define FDS 1024
#define WAYS 32u
#define CLIENTS 8u
#define OUTSIDER 0u /* of the clients: is bound nowhere */
#define HEAD 18u    /* bytes of a frame before its filling */

static char longest[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* no end behind it */

/* Where senders are bound, and which client each of them is: a name with and without its end, or of
 * another user, an abstract one, which has no end, and the longest. */
static const struct sender {
	const char *name;
	uint32_t len, uid;
	uint8_t client;
} senders[] = {
	{ "", 0, 1000, OUTSIDER },
	{ "/a", 2, 1000, 1 },
	{ "/a", 2, 1001, 2 },
	{ "/b", 2, 1000, 3 },
	{ "/b", 3, 1000, 3 },
	{ "\0x", 2, 1000, 4 },
	{ "\0x", 3, 1000, 5 },
	{ longest, sizeof(longest), 1001, 6 },
	{ "/b", 2, 1001, 7 },
};
#define SENDERS (sizeof(senders) / sizeof(senders[0]))

struct expected {
	uint32_t stamp, len;
};

static struct {
	uv_loop_t uv;
	struct shared *shared;
	struct ioloop *loop;
} forever;

/* Of one run. */
static struct {
	struct rng rng;
	struct fakenet fn;
	struct fake_port sink;
	struct client_list clients;
	uint32_t mtu; /* of the ports that are fed */
	enum port_kind kind;
	bool greeting, lasting;
	struct dgram *d;
	struct msg_port *mp; /* of the other kinds */
	bool faults;         /* frames for a client were lost with it, which are counted too */

	int ways[WAYS][2]; /* ours that is given away, and the other end */
	unsigned n_ways;
	uint8_t *bodies[MSGIO_BATCH];
	unsigned n_bodies;
	uint32_t stamp;

	/* the model */
	struct {
		bool known, greets, fails;
		int refuses;        /* what verb_connect_peer() says of it, but for 0 */
		uint32_t last_sent; /* stamp */
	} clients_of[CLIENTS];
	uint8_t client_of_fd[FDS];
	struct expected want[MSGIO_BATCH];
	unsigned n_want, n_seen;
	uint64_t rx_frames, rx_bytes, runts, oversize, nobodys;
	bool denied[2]; /* the users 1000 and 1001 */
} run;

/* -- what came out -- */

static uint32_t stamp_of(const uint8_t *f)
{
	return (uint32_t)f[8] << 24 | (uint32_t)f[9] << 16 | (uint32_t)f[10] << 8 | f[11];
}

static void on_seen(void *ctx, unsigned port, const struct frame *f)
{
	(void)ctx;
	(void)port;
	if (!f || f->head[7] != 0x77)
		return; /* what the switch says itself */
	must(run.n_seen < run.n_want);
	const struct expected *e = &run.want[run.n_seen++];
	must(stamp_of(f->head) == e->stamp && f->len == e->len && f->head_len == f->len);
	must(e->len <= HEAD || f->head[e->len - 1] == (uint8_t)e->stamp);
}

/* -- the model -- */

/* Whether a message becomes a frame, of what is counted of it. */
static void one_message(const struct msgio_in *m, bool *greets)
{
	const bool greeting = *greets && m->len == 4 && !memcmp(m->data, "VFKT", 4);
	*greets = false;
	if (greeting)
		return;
	run.rx_frames++;
	run.rx_bytes += m->len;
	if (m->len < 14) {
		run.runts++;
		return;
	}
	const bool tagged = m->len >= 16 && m->data[12] == 0x81;
	if (m->len > run.mtu + 14 + (tagged ? 4 : 0)) {
		run.oversize++;
		return;
	}
	run.want[run.n_want++] = (struct expected){ stamp_of(m->data), m->len };
}

static bool is_same(const struct msgio_in *a, const struct msgio_in *b)
{
	return a->from_len == b->from_len && a->uid == b->uid &&
	       (!a->from_len || !memcmp(a->from, b->from, a->from_len));
}

/* Somebody is heard of first. */
static bool comes(unsigned client, uint32_t uid)
{
	static const uint8_t named_alike[CLIENTS] = { 0, 2, 1, 7, 0, 0, 0, 3 };
	if (client == OUTSIDER || run.denied[uid - 1000])
		return false;
	const int rc = run.clients_of[client].refuses;
	if (rc && rc != -EPERM)
		return false;
	run.clients_of[named_alike[client]].known = false;
	run.clients_of[client].known = run.clients_of[client].greets = true;
	run.clients_of[client].last_sent = 0;
	return true;
}

static void model_datagrams(const struct msgio_in *msgs, const uint8_t *from, unsigned n)
{
	unsigned arrivals = 0;
	bool heard = false;
	for (unsigned i = 0; i < n; i++) {
		const unsigned c = senders[from[i]].client;
		if (!i || !is_same(&msgs[i - 1], &msgs[i])) {
			heard = run.clients_of[c].known;
			if (!heard && arrivals < DGRAM_NEW) {
				arrivals++;
				heard = comes(c, senders[from[i]].uid);
			}
		}
		if (heard) {
			one_message(&msgs[i], &run.clients_of[c].greets);
			continue;
		}
		run.nobodys++;
		run.rx_frames++;
		run.rx_bytes += msgs[i].len;
	}
}

static bool ended; /* what msgio_ended() says */

static void model_messages(const struct msgio_in *msgs, unsigned n)
{
	bool empty = false;
	for (unsigned i = 0; i < n; i++) {
		if (!msgs[i].len && run.kind == PORT_KIND_SEQPACKET && ended) {
			run.clients_of[1].greets = false;
			empty = true;
			continue;
		}
		one_message(&msgs[i], &run.clients_of[1].greets);
	}
	run.clients_of[1].known &= !empty;
}

/* -- the system -- */

static struct msgio_in message(unsigned which, uint8_t *out_from)
{
	static const uint32_t near[] = { 0, 4, 13, 14, 15, 16, 18, 60, 1514, 1518, 9234 };
	static struct sockaddr_un names[MSGIO_BATCH];
	struct rng *rng = &run.rng;
	const unsigned how = rng_below(rng, 32);
	uint32_t len = how < 11   ? near[how]
		       : how < 20 ? run.mtu + 9 + how - 11
		       : how < 25 ? MSGIO_SLOT - 66 + 22 * (how - 20)
		       : how < 26 ? 200000
				  : rng_below(rng, 256);
	const uint32_t there = len < MSGIO_SLOT ? len : MSGIO_SLOT;
	uint8_t *body = malloc(there ? there : 1);
	must(body);
	run.bodies[run.n_bodies++] = body;
	uint8_t head[HEAD] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0x77 };
	const uint32_t stamp = ++run.stamp;
	for (unsigned i = 0; i < 4; i++)
		head[8 + i] = (uint8_t)(stamp >> (24 - 8 * i));
	memcpy(head + 12, rng_one_in(rng, 4) ? "\x81\0\0\0\x88\xb5" : "\x88\xb5\0\0\0\0", 6);
	memset(body, (uint8_t)stamp, there ? there : 1);
	memcpy(body, head, there < sizeof(head) ? there : sizeof(head));
	if (len == 4 && rng_below(rng, 4))
		memcpy(body, "VFKT", 4);
	struct msgio_in m = { .data = body, .len = len };
	if (run.kind != PORT_KIND_DGRAM)
		return m;
	*out_from = (uint8_t)rng_below(rng, SENDERS);
	const struct sender *s = &senders[*out_from];
	struct sockaddr_un *name = &names[which];
	memset(name, 0, sizeof(*name));
	name->sun_family = AF_UNIX;
	if (s->len)
		memcpy(name->sun_path, s->name, s->len);
	m.attested = true;
	m.uid = s->uid;
	m.from = s->len ? name : NULL;
	m.from_len = s->len ? (uint32_t)offsetof(struct sockaddr_un, sun_path) + s->len : 0;
	return m;
}

int msgio_recv(int fd, uint8_t *buf, struct msgio_in *out, bool named, const struct msgio_ops *ops,
	void *ctx)
{
	(void)buf;
	(void)ops;
	(void)ctx;
	uint8_t byte, from[MSGIO_BATCH];
	must(named == (run.kind == PORT_KIND_DGRAM));
	if (recv(fd, &byte, 1, MSG_DONTWAIT) != 1 || !byte)
		return 0;
	if (byte > MSGIO_BATCH) {
		if (!run.lasting && run.kind != PORT_KIND_DGRAM)
			run.clients_of[1].known = false;
		return -ECONNREFUSED;
	}
	for (unsigned i = 0; i < byte; i++)
		out[i] = message(i, &from[i]);
	ended = rng_one_in(&run.rng, 8);
	if (run.kind == PORT_KIND_DGRAM)
		model_datagrams(out, from, byte);
	else
		model_messages(out, byte);
	return byte;
}

bool msgio_ended(int fd)
{
	(void)fd;
	return ended;
}

void msgio_buffers(int fd)
{
	(void)fd;
}

/* Whole, never empty, no longer than fits, and each at most once and in order. */
static void sent(const struct msgio_out *msg, unsigned client)
{
	uint32_t len = 0;
	uint8_t head[14];
	for (unsigned i = 0; i < msg->n; i++)
		for (uint32_t b = 0; b < msg->segs[i].len; b++, len++)
			if (len < sizeof(head))
				head[len] = ((const uint8_t *)msg->segs[i].base)[b];
	must(len >= 14 && len <= run.fn.facts.spec.mtu + 18 && len <= run.mtu + 18);
	if (head[7] != 0x77)
		return;
	must(stamp_of(head) > run.clients_of[client].last_sent);
	run.clients_of[client].last_sent = stamp_of(head);
}

int msgio_send(int fd, const struct msgio_out *msgs, unsigned n, const struct sockaddr_un *to,
	uint32_t to_len)
{
	(void)to_len;
	must(n && n <= MSGIO_BATCH && fd >= 0 && fd < FDS);
	const unsigned client = to ? (uint8_t)to->sun_path[0] : run.client_of_fd[fd];
	must(client < CLIENTS);
	if (run.clients_of[client].fails) {
		run.clients_of[client].known = run.lasting;
		run.faults = true;
		return -ECONNREFUSED;
	}
	static const int results[] = { -EAGAIN, -ENOBUFS, -EMSGSIZE };
	const unsigned how = rng_below(&run.rng, 8);
	const unsigned taken = how < 4 ? n : 1;
	run.faults |= how >= 5 || taken < n; /* what waits at the end of its port is lost with it */
	if (how >= 5)
		return results[how - 5];
	for (unsigned i = 0; i < taken; i++)
		sent(&msgs[i], client);
	return (int)taken;
}

int verb_connect_peer(int fd, const struct sockaddr_un *name, socklen_t len, uint32_t uid,
	struct verb_place *out, struct err *err)
{
	const uint32_t n = (uint32_t)(len - offsetof(struct sockaddr_un, sun_path));
	unsigned c = 0;
	for (unsigned i = 0; i < SENDERS && !c; i++)
		if (senders[i].len == n && senders[i].uid == uid &&
			!memcmp(senders[i].name, name->sun_path, n))
			c = senders[i].client;
	must(c && fd < FDS); /* nobody but who sent */
	const int rc = run.clients_of[c].refuses;
	if (rc && rc != -EPERM)
		return err_set(err, rc, "refused");
	*out = (struct verb_place){ .fd = -1, .uid = uid, .len = sizeof(out->addr) };
	out->addr.sun_path[0] = (char)c;
	run.client_of_fd[fd] = (uint8_t)c;
	return rc;
}

bool verb_place_held(const struct verb_place *place)
{
	(void)place;
	return true;
}

void verb_place_close(struct verb_place *place)
{
	(void)place;
}

int peer_of_sender(const struct msgio_in *m, struct peer *out)
{
	*out = (struct peer){ .uid = m->uid, .gid = m->uid, .pid = 1 };
	return 0;
}

/* -- the path -- */

static int new_way(void)
{
	int *way = run.ways[run.n_ways];
	if (run.n_ways == WAYS || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, way))
		return -EMFILE;
	return run.ways[run.n_ways++][0];
}

static bool enter(void *ctx, const struct peer *who)
{
	(void)ctx;
	return !run.denied[who->uid - 1000] && shared_enter(forever.shared, who->uid, false);
}

static int fresh(void *ctx, int *out_fd, struct err *err)
{
	(void)ctx;
	const int fd = new_way();
	*out_fd = fd;
	return fd < 0 ? err_set(err, fd, "no more of them") : 0;
}

static bool closed;

static void on_closed(void *ctx)
{
	(void)ctx;
	closed = true;
}

static const struct dgram_ops dgram_ops = { .enter = enter, .fresh = fresh, .closed = on_closed };

static void on_ended(void *ctx, const char *why)
{
	(void)ctx;
	must(why && why[0]);
	run.mp = NULL;
}

/* -- a run -- */

static void turn(void)
{
	for (unsigned i = 0; i < 2; i++) /* what is left for later comes in the second */
		uv_run(&forever.uv, UV_RUN_NOWAIT);
	must(run.n_seen == run.n_want);
	run.n_seen = run.n_want = 0;
	for (unsigned i = 0; i < run.n_bodies; i++)
		free(run.bodies[i]);
	run.n_bodies = 0;
	if (run.kind != PORT_KIND_DGRAM)
		must(run.clients_of[1].known == (run.mp != NULL));
}

static void begin(void)
{
	static const uint32_t mtus[] = { 1500, 68, 9000, 65521 };
	struct rng *rng = &run.rng;
	struct err err = { 0 };
	struct port_conf conf = { .kind = PORT_KIND_NATIVE };
	const uint32_t mtu = mtus[rng_below(rng, 4)];
	must(!fakenet_open(&run.fn, false, mtu));
	fakenet_unguard(&run.fn);
	run.fn.seen = on_seen;
	run.mtu = mtu;
	must(!fake_attach_conf(&run.fn, &run.sink, &conf, &err));
	static const enum port_kind kinds[] = { PORT_KIND_DGRAM, PORT_KIND_DGRAM,
		PORT_KIND_SEQPACKET, PORT_KIND_UDP, PORT_KIND_VDE };
	run.kind = kinds[rng_below(rng, 5)];
	for (unsigned c = 1; c < CLIENTS; c++) {
		static const int how[] = { 0, 0, -EPERM, -ECONNREFUSED };
		run.clients_of[c].refuses = how[rng_below(rng, 4)];
	}
	run.denied[0] = rng_one_in(rng, 8);
	run.denied[1] = rng_one_in(rng, 4);
	const struct msg_port_host host = { forever.loop, run.fn.net, &run.clients };
	const int fd = new_way();
	must(fd >= 0 && fd < FDS);
	if (run.kind == PORT_KIND_DGRAM) {
		must(!dgram_open(&run.d, &host, fd, "", "", &dgram_ops, NULL));
		return;
	}
	run.lasting = run.kind == PORT_KIND_UDP;
	run.greeting = rng_one_in(rng, 2);
	run.clients_of[1].known = true;
	run.clients_of[1].greets = run.greeting;
	run.client_of_fd[fd] = 1;
	conf.kind = run.kind;
	const struct msg_port_conf mc = {
		.fd = fd,
		.port = &conf,
		.place = { .fd = -1 },
		.lasting = run.lasting,
		.greeting = run.greeting,
		.frame_max = run.kind == PORT_KIND_VDE ? VDE_FRAME_MAX
			     : run.lasting             ? 65507
						       : 0,
		.ended = on_ended,
	};
	if (mc.frame_max && mc.frame_max - 18 < run.mtu)
		run.mtu = mc.frame_max - 18;
	struct port_info info;
	must(!msg_port_open(&run.mp, &host, &mc, &info, &err));
}

static void finish(void)
{
	if (run.mp)
		msg_port_end(run.mp, "over");
	closed = !run.d;
	if (run.d)
		dgram_close(run.d);
	while (!closed || run.clients.n)
		uv_run(&forever.uv, UV_RUN_NOWAIT);
	struct command *cmd = fake_command(&run.fn, CMD_STATS_GET);
	fake_run(&run.fn, cmd);
	const struct port_stats *sum = &cmd->out.sum.stats;
	must(sum->rx_frames == run.rx_frames && sum->rx_bytes == run.rx_bytes);
	must(sum->drops[DROP_RUNT] == run.runts && sum->drops[DROP_OVERSIZE] == run.oversize);
	must(run.faults ? sum->drops[DROP_DETACHED] >= run.nobodys
			: sum->drops[DROP_DETACHED] == run.nobodys);
	must(!sum->drops[DROP_NO_MEMORY] && !sum->drops[DROP_SPOOFED]);
	command_free(cmd);
	fake_detach(&run.sink);
	fakenet_close(&run.fn);
	for (unsigned i = 0; i < run.n_ways; i++)
		close(run.ways[i][1]);
}

/* A frame for all of them; @client's socket may be gone. */
static void outward(unsigned client)
{
	uint8_t buf[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0x66, 0, 0, 0, 1, 0x88, 0xb5 };
	struct frame f = { .head = buf, .head_len = sizeof(buf), .len = sizeof(buf) };
	run.clients_of[client].fails = true;
	run.rx_frames++;
	run.rx_bytes += f.len;
	fake_batch(&run.fn, &run.sink, &f, 1);
	run.clients_of[client].fails = false;
	turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!forever.loop) {
		must(!uv_loop_init(&forever.uv) && (forever.shared = shared_new()) != NULL);
		memset(longest, 'c', sizeof(longest));
		longest[0] = '/';
		log_set_level(LOG_ERROR);
		must((forever.loop = ioloop_new(&forever.uv, forever.shared)) != NULL);
	}
	memset(&run, 0, sizeof(run));
	run.rng = (struct rng){ .bytes = data, .left = len };
	begin();
	for (unsigned i = 0; i < STEPS && run.stamp < FRAMES && !rng_empty(&run.rng); i++) {
		const unsigned what = rng_below(&run.rng, 8);
		if (what == 0) {
			outward(rng_below(&run.rng, CLIENTS));
			continue;
		}
		const uint8_t n = (uint8_t)rng_below(&run.rng, what == 1 ? MSGIO_BATCH + 2 : 9);
		const unsigned way = rng_below(&run.rng, run.n_ways);
		(void)send(run.ways[way][1], &n, 1, MSG_NOSIGNAL); /* it may be closed */
		turn();
	}
	finish();
	return 0;
}
