/* prop_bpf.c - core/bpf.c against libpcap: on random programs and frames the same answers, and no
 * program that libpcap would not run; what libpcap itself compiles is run and means the same. */
#include "tests/support/test.h"

#include <stdlib.h>

#include <pcap/pcap.h>

#include "server/core/bpf.h"
#include "tests/support/bytes.h"
#include "tests/support/rng.h"

#define PROGRAMS 20000u
#define STEPS_MAX 60u
#define PIECES 4u

/* Every step first: libpcap leaves its memory as the stack was. */
#define PROLOGUE (1u + BPF_WORDS)

_Static_assert(sizeof(struct bpf_step) == sizeof(struct bpf_insn), "laid out alike");

static const uint8_t codes[] = { 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x00, 0x80, 0x60, 0x01, 0x81,
	0x61, 0xb1, 0x02, 0x03, 0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x84, 0x94, 0xa4,
	0x0c, 0x1c, 0x2c, 0x3c, 0x4c, 0x5c, 0x6c, 0x7c, 0x9c, 0xac, 0x05, 0x15, 0x25, 0x35, 0x45,
	0x1d, 0x2d, 0x3d, 0x4d, 0x06, 0x16, 0x07, 0x87 };

static unsigned prologue(struct bpf_step *out)
{
	out[0] = (struct bpf_step){ 0x00, 0, 0, 0 };
	for (uint32_t i = 0; i < BPF_WORDS; i++)
		out[1 + i] = (struct bpf_step){ 0x02, 0, 0, i };
	return PROLOGUE;
}

/* Mostly what is valid, so that programs run; sometimes anything. */
static struct bpf_step random_step(struct rng *rng, unsigned behind)
{
	struct bpf_step s = { .code = codes[rng_below(rng, sizeof(codes))] };
	if (rng_one_in(rng, 400))
		s.code = (uint16_t)rng_below(rng, rng_one_in(rng, 2) ? 0x100 : 0x10000);
	if (behind) {
		s.jt = (uint8_t)rng_below(rng, behind < 8 ? behind : 8);
		s.jf = (uint8_t)rng_below(rng, behind < 8 ? behind : 8);
	}
	switch (rng_below(rng, 4)) {
	case 0:
		s.k = rng_below(rng, 16);
		break;
	case 1:
		s.k = rng_below(rng, 80);
		break;
	case 2:
		s.k = (uint32_t)rng_next(rng) >> rng_below(rng, 32);
		break;
	default:
		s.k = 1 + rng_below(rng, 31);
		break;
	}
	if (s.code == 0x05 && behind)
		s.k %= behind;
	if ((s.code == 0x60 || s.code == 0x61 || s.code == 0x02 || s.code == 0x03) &&
		!rng_one_in(rng, 200))
		s.k %= BPF_WORDS;
	if ((s.code == 0x64 || s.code == 0x74) && !rng_one_in(rng, 200))
		s.k %= 32;
	if (rng_one_in(rng, 300)) { /* out of bounds, perhaps */
		s.jt = (uint8_t)rng_next(rng);
		s.jf = (uint8_t)rng_next(rng);
	}
	return s;
}

static unsigned random_program(struct rng *rng, struct bpf_step *out)
{
	const unsigned n = prologue(out) + rng_between(rng, 1, STEPS_MAX);
	for (unsigned i = PROLOGUE; i < n; i++)
		out[i] = random_step(rng, n - 1 - i);
	if (!rng_one_in(rng, 50))
		out[n - 1].code = rng_one_in(rng, 2) ? 0x06 : 0x16;
	return n;
}

/* The same bytes as a view of one to PIECES + 1 pieces. */
struct pieces {
	struct seg more[PIECES];
	struct frame frame;
};

static void cut(struct rng *rng, const uint8_t *bytes, uint32_t len, struct pieces *out)
{
	uint32_t at = rng_below(rng, len + 1);
	out->frame = (struct frame){ .head = bytes, .head_len = at, .len = len, .more = out->more };
	while (at < len && out->frame.more_n < PIECES) {
		const bool last = out->frame.more_n == PIECES - 1;
		const uint32_t part = last ? len - at : rng_below(rng, len - at + 1);
		out->more[out->frame.more_n++] = (struct seg){ bytes + at, part };
		at += part;
	}
}

static void agree(struct rng *rng, const struct bpf_step *steps, const uint8_t *data, uint32_t len)
{
	struct pieces p;
	uint8_t *bytes = exact_copy(data, len);
	cut(rng, bytes, len, &p);
	const struct frame whole = { .head = bytes, .head_len = len, .len = len };
	const uint32_t want = bpf_filter((const struct bpf_insn *)steps, bytes, len, len);
	assert_int_equal(bpf_run(steps, &whole), want);
	assert_int_equal(bpf_run(steps, &p.frame), want);
	free(bytes);
}

static void test_random_programs_answer_as_libpcap_says(void **state)
{
	struct rng rng = rng_start("prop_bpf");
	static struct bpf_step steps[PROLOGUE + STEPS_MAX];
	unsigned good = 0, wanted = 0, fewer = 0;
	(void)state;
	for (unsigned round = 0; round < PROGRAMS; round++) {
		const unsigned n = random_program(&rng, steps);
		unsigned at;
		const bool ours = !bpf_check(steps, n, &at);
		const bool theirs = bpf_validate((const struct bpf_insn *)steps, (int)n);
		if (ours)
			assert_true(theirs); /* we refuse more, never less */
		fewer += theirs && !ours;
		if (!ours)
			continue;
		good++;
		for (unsigned i = 0; i < 8; i++) {
			uint8_t data[96];
			const uint32_t len = rng_below(&rng, sizeof(data) + 1);
			for (uint32_t k = 0; k < len; k++)
				data[k] = (uint8_t)rng_next(&rng);
			agree(&rng, steps, data, len);
			const struct frame f = { .head = data, .head_len = len, .len = len };
			wanted += bpf_run(steps, &f) > 0;
		}
	}
	printf("%u programs of %u ran, %u refused that libpcap takes; %u of %u frames wanted\n",
		good, PROGRAMS, fewer, wanted, 8 * good);
	/* the generator is no good if nearly nothing runs, or all programs say the same */
	assert_in_range(good, PROGRAMS / 4, PROGRAMS);
	assert_in_range(wanted, good / 2, 7 * good);
}

/* -- what people write -- */

static const char *const expressions[] = { "", "arp", "ip", "ip6", "tcp port 80",
	"udp portrange 67-68", "ether host 02:00:00:00:00:01", "ether broadcast",
	"ether multicast and not ip6", "vlan 7 and icmp", "host 10.0.0.1 and not port 22",
	"net 10.0.0.0/8", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "ip[0] & 0xf != 5", "len > 100",
	"greater 60 and less 1500", "ether proto 0x88b5", "stp", "igmp or icmp6", "ip6 proto 58",
	"port domain", "ether[0] & 1 = 0 and ip[16] >= 224",
	"tcp[13] % 3 == 1 or ether[15] ^ 3 == 2", "pppoes and ip", "mpls",
	"src net 192.168.0.0/16 or dst net fd00::/8" };

/* A frame that some of them want: types and protocols that occur, addresses likewise. */
static uint32_t random_frame(struct rng *rng, uint8_t *out)
{
	static const uint16_t types[] = { 0x0800, 0x0806, 0x86dd, 0x8100, 0x88b5, 0x8864, 0x8847,
		0x0026 };
	static const uint8_t protocols[] = { 1, 2, 6, 17, 58, 47 };
	const uint32_t len = rng_between(rng, 0, 128);
	for (uint32_t i = 0; i < len; i++)
		out[i] = (uint8_t)rng_next(rng);
	const uint16_t type = types[rng_below(rng, 8)];
	const uint8_t fields[][2] = { { 12, (uint8_t)(type >> 8) }, { 13, (uint8_t)type },
		{ 14, type == 0x0800 ? 0x45 : 0x60 }, { 20, 0 }, { 21, 0 },
		{ 23, protocols[rng_below(rng, 6)] }, { 20, protocols[rng_below(rng, 6)] },
		{ 26, 10 }, { 34, 0 }, { 35, rng_one_in(rng, 2) ? 80 : 53 } };
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i][0] < len && !rng_one_in(rng, 6))
			out[fields[i][0]] = fields[i][1];
	if (len > 16 && type == 0x8100) {
		out[14] = 0;
		out[15] = 7;
		if (len > 17)
			bytes_put(out + 16, BYTES(0x08, 0x00));
	}
	return len;
}

static void test_expressions_that_libpcap_compiles_mean_the_same(void **state)
{
	struct rng rng = rng_start("prop_bpf expressions");
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	(void)state;
	assert_non_null(pcap);
	for (size_t e = 0; e < sizeof(expressions) / sizeof(expressions[0]); e++) {
		for (int optimize = 0; optimize <= 1; optimize++) {
			struct bpf_program prog;
			unsigned at;
			assert_int_equal(pcap_compile(pcap, &prog, expressions[e], optimize,
						 PCAP_NETMASK_UNKNOWN),
				0);
			const struct bpf_step *steps = (const struct bpf_step *)prog.bf_insns;
			assert_null(bpf_check(steps, prog.bf_len, &at));
			for (unsigned i = 0; i < 400; i++) {
				uint8_t data[128];
				agree(&rng, steps, data, random_frame(&rng, data));
			}
			pcap_freecode(&prog);
		}
	}
	pcap_close(pcap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_programs_answer_as_libpcap_says),
		cmocka_unit_test(test_expressions_that_libpcap_compiles_mean_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
