/* fuzz_l3glue.c - frames from anybody and packets from the host, with time going by, as the bytes
 * say: nothing is read or written beyond its end, what the glue sends are whole frames of ARP and
 * ND with the right sums, and what it gives to the kernel is no more than it was given.
 *
 * A byte of choice, whose low three bits say: 0 to 4 a frame, begun as ARP, IPv4, NS, NA or not at
 * all; 5 a packet from the host; 6 time goes by; 7 other addresses. The others: whether the frame
 * is begun here and its checksum mended, and where it is cut. Then a byte of length, and so many.
 */
#include "tests/support/fuzz.h"
#include "tests/support/l3rig.h"

static struct l3rig r;

/* The first bytes of frames that get far. */
static uint32_t begin_frame(unsigned kind, uint8_t *b)
{
	struct l3rig_nd nd = { kind == 2 ? 135 : 136, 0x60, .from = 7, .to = 1, .target = 7 };
	memset(b, 0, 400);
	memcpy(b, mac_n(HOST_MAC).b, 6);
	memcpy(b + 6, mac_n(7).b, 6);
	switch (kind) {
	case 0:
		memcpy(b + 12, "\x08\x06\0\1\x08\0\6\4\0", 9);
		return 21;
	case 1:
		memcpy(b + 12, "\x08\0\x45", 3);
		return 15;
	case 2:
	case 3:
		return l3rig_nd_make(b, &nd);
	default:
		return 12;
	}
}

/* So that fuzzers get behind the checksum. */
static void mend_sum(uint8_t *b, uint32_t len)
{
	const uint32_t n = packet_get16(b + 18);
	if (len < 54 + 24 || packet_get16(b + 12) != 0x86dd || n < 4 || n > len - 54)
		return;
	packet_put16(b + 56, 0);
	packet_put16(b + 56, (uint16_t)~packet_sum(b + 54, n, packet_pseudo(b + 14, true, 58, n)));
}

static void give(uint8_t *b, uint32_t len, uint32_t cut)
{
	uint8_t *first = exact_copy(b, cut), *rest = exact_copy(b + cut, len - cut);
	const struct seg more = { rest, len - cut };
	struct frame f = { .head = first,
		.head_len = cut,
		.len = len,
		.more = cut < len ? &more : NULL,
		.more_n = cut < len };
	if (l3glue_in(r.g, &f) == L3_PASS) {
		must(f.head == first + 14 && f.len <= len - 14 && f.head_len <= cut - 14);
		must(f.len >= 20 || cut < len);
		must(!(b[0] & 1) ? !memcmp(b, r.g->mac.b, 6) : true);
	}
	free(first);
	free(rest);
}

static void take_out(const uint8_t *data, uint32_t len)
{
	uint8_t *b = malloc(14 + len + 1);
	must(b);
	memcpy(b + 14, data, len);
	struct frame f = { .head = b + 14, .head_len = len, .len = len };
	if (l3glue_out(r.g, &f, 1)) {
		must(f.head == b && f.len == len + 14 && f.head_len == f.len);
		must(!memcmp(b + 6, r.g->mac.b, 6) && !memcmp(b + 14, data, len));
	}
	free(b);
}

static void check_own(void)
{
	struct frame frames[16];
	unsigned n;
	while ((n = l3glue_pull(r.g, frames, 16))) {
		for (unsigned i = 0; i < n; i++) {
			const struct frame *f = &frames[i];
			must(f->len >= 34 && f->head_len == f->len &&
				!memcmp(f->head + 6, r.g->mac.b, 6));
			if (packet_get16(f->head + 12) != 0x86dd || f->head[20] != 58 ||
				f->head[54] < 135 || f->head[54] > 136 || f->head[21] != 255)
				continue;
			const uint32_t m = packet_get16(f->head + 18);
			must(f->len == 54 + m);
			must(packet_sum(f->head + 54, m,
				     packet_pseudo(f->head + 14, true, 58, m)) == 0xffff);
		}
	}
	must(r.g->neighbours.waiting <= NEIGH_WAITING_BYTES);
	must(r.g->neighbours.fresh <= NEIGH_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t b[1024];
	must(l3rig_begin(&r));
	while (len > 2) {
		const unsigned kind = data[0] % 8, step = data[0] / 8;
		uint32_t n = data[1];
		data += 2;
		len -= 2;
		if (kind == 6) {
			r.now += n * n;
			l3glue_tick(r.g, r.now);
			continue;
		}
		if (kind == 7) {
			r.spec.mtu = n % 2 ? 1500 : 1000;
			r.spec.mac = mac_n(n / 2 % 3 ? HOST_MAC : 0xdd);
			r.spec.n_addrs = (uint8_t)(n / 8 % 3);
			l3glue_set(r.g, &r.spec);
			continue;
		}
		if (n > len)
			n = (uint32_t)len;
		if (kind == 5) {
			take_out(data, n);
		} else {
			const uint32_t known = step % 4 ? begin_frame(kind, b) : 0;
			memcpy(b + known, data, n);
			if (known + n >= 14) {
				if (step % 4 > 1)
					mend_sum(b, known + n);
				give(b, known + n,
					step % 8 < 4 ? known + n
						     : 14 + (step * 7) % (known + n - 13));
			}
		}
		check_own();
		data += n;
		len -= n;
	}
	struct l3_conflict c;
	(void)l3glue_conflict(r.g, &c);
	l3glue_free(r.g);
	return 0;
}
