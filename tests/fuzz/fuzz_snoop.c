/* fuzz_snoop.c - frames for IP groups, one behind the other, as a network's switch reads them. The
 * checksums are put right first where the input wants it, or nothing would come behind them. */
#include "server/core/mcast.h"
#include "tests/support/bytes.h"
#include "tests/support/eth.h"
#include "tests/support/fuzz.h"

/* What the first two bytes of each frame say: its length, and how it comes. */
#define FIX_SUMS 0x8000u
#define IN_PIECES 0x4000u
#define MORE_TIME 0x2000u
#define LENGTH 0x07ffu

static uint16_t sum_of(const uint8_t *p, uint32_t len, uint64_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += (uint64_t)p[i] * (i % 2 ? 1 : 256);
	return (uint16_t)(65535 - sum % 65535);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* As far as the headers say where the sums are. */
static void fix_sums(uint8_t *b, uint32_t len)
{
	uint8_t *ip = b + 14;
	if (len < 14 + 48)
		return;
	const uint32_t room = len - 14;
	if (b[0] == 1) {
		const uint32_t header = (ip[0] & 15) * 4u, total = (uint32_t)(ip[2] << 8 | ip[3]);
		if (header < 20 || total > room || total < header + 4)
			return;
		put16(ip + 10, 0);
		put16(ip + 10, sum_of(ip, header, 0));
		put16(ip + header + 2, 0);
		put16(ip + header + 2, sum_of(ip + header, total - header, 0));
		return;
	}
	const uint32_t payload = (uint32_t)(ip[4] << 8 | ip[5]);
	const uint32_t options = ip[6] ? 0 : (ip[41] + 1u) * 8;
	if (payload > room - 40 || payload < options + 4)
		return;
	uint8_t *msg = ip + 40 + options;
	const uint64_t pseudo =
		65535u - sum_of(ip + 8, 32, 0) + payload - options + (ip[6] ? ip[6] : 58u);
	put16(msg + 2, 0);
	put16(msg + 2, sum_of(msg, payload - options, pseudo));
}

/* A report's groups are groups, of its family, and no more than it has room for. */
static void check_parse(const struct frame *frame)
{
	static uint8_t scratch[SNOOP_SCRATCH];
	struct snoop s;
	struct feth_mac group;
	bool join;
	uint32_t n = 0;
	snoop_parse(frame, scratch, &s);
	must(s.kind == SNOOP_DATA || snoop_may(frame));
	if (s.kind == SNOOP_QUERY)
		must(s.robustness && s.robustness < 8 && s.interval_ms && s.version);
	if (s.kind != SNOOP_REPORT)
		return;
	while (snoop_next(&s, &group, &join)) {
		must(mcast_is_ip(group.b));
		must((group.b[0] == 0x33) == (s.family == MCAST_IP6));
		n++;
	}
	must(n * 8 <= frame->len);
}

static void one_frame(
	struct mcast *mc, const uint8_t *data, uint32_t len, unsigned how, uint64_t now_ms)
{
	uint8_t *b = exact_copy(data, len);
	b[0] &= 0x33; /* an IP group, of one family or the other */
	b[0] = b[0] & 0x20 ? 0x33 : 0x01;
	memcpy(b + 1, b[0] == 1 ? "\0\x5e" : "\x33", b[0] == 1 ? 2 : 1);
	if (b[0] == 1)
		b[3] &= 0x7f;
	if (how & FIX_SUMS)
		fix_sums(b, len);

	const uint32_t head = how & IN_PIECES ? 14 + (len - 14) / 3 : len;
	uint8_t *first = exact_copy(b, head);
	const struct seg more = { b + head, len - head };
	const struct frame frame = { .head = first,
		.head_len = head,
		.len = len,
		.more = how & IN_PIECES ? &more : NULL,
		.more_n = how & IN_PIECES ? 1 : 0 };
	const uint16_t in = b[11] % 8;
	check_parse(&frame);
	const uint16_t to = mcast_route(mc, &frame, in, now_ms);
	if (to != MCAST_TO_ALL) {
		struct portset ports;
		mcast_set(mc, to, &ports);
		portset_without(&ports, &mc->ports);
		must(portset_empty(&ports)); /* to nobody who is not there */
	}
	free(first);
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct feth_mac host[] = { { { 0x33, 0x33, 0, 0, 0, 0xfb } } };
	static struct mcast mc; /* large, so one for all inputs; they leave nothing in it */
	static bool made;
	const struct mcast_conf deaf = { .policy = MCAST_FLOOD }, snoop = { .querier = len & 1 };
	struct group_row rows[64];
	struct feth_mac group;
	bool joined;
	uint16_t only;
	uint64_t now_ms = 1000;
	must(made || !mcast_init(&mc, 42));
	made = true;
	mcast_configure(&mc, &snoop);
	for (uint16_t p = 0; p < 8; p++)
		mcast_attach(&mc, p);
	mcast_host(&mc, host, 1);
	while (len > 2 + 14) {
		const unsigned how = (unsigned)(data[0] << 8 | data[1]);
		uint32_t n = how & LENGTH;
		data += 2;
		len -= 2;
		if (n < 14)
			n = 14;
		if (n > len)
			n = (uint32_t)len;
		one_frame(&mc, data, n, how, now_ms);
		data += n;
		len -= n;
		if (how & MORE_TIME)
			mcast_tick(&mc, now_ms += 20000);
		while (grouptable_news(&mc.table, &group, &joined, &only))
			must(joined || only == PORT_NONE);
	}
	const unsigned n = mcast_list(&mc, host[0], 0, false, rows, 64);
	for (unsigned i = 0; i < n; i++) {
		must(rows[i].how && rows[i].port < 8);
		must(!i || memcmp(rows[i - 1].group.b, rows[i].group.b, 6) <= 0);
	}
	for (uint16_t p = 0; p < 8; p++)
		mcast_detach(&mc, p);
	mcast_configure(&mc, &deaf);
	while (grouptable_news(&mc.table, &group, &joined, &only))
		must(!joined);
	must(!mc.table.n_members && !mc.table.n_groups);
	return 0;
}
