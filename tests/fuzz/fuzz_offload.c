/* fuzz_offload.c - any virtio_net_hdr before any frame: what is taken can be finished, within the
 * room that was asked for, and what is cut is the frame. By a checksum that is written into it a
 * frame does not come to say anything else to the switch. */
#include "server/core/arpnd.h"
#include "server/core/gso.h"
#include "server/core/snoop.h"
#include "tests/support/rng.h"
#include "tests/support/segments.h"

static void read_alike(const struct frame *was, const struct frame *is)
{
	uint8_t scratch[2][ARPND_SCRATCH], snooped[2][SNOOP_SCRATCH];
	struct arpnd a[2];
	struct snoop s[2];
	mac_key claims[2];
	arpnd_read(was, scratch[0], &a[0]);
	arpnd_read(is, scratch[1], &a[1]);
	for (bool more = true; more;) {
		more = arpnd_next(&a[0], &claims[0]);
		must(more == arpnd_next(&a[1], &claims[1]));
		must(!more || claims[0] == claims[1]);
	}
	must(a[0].doubtful == a[1].doubtful);
	snoop_parse(was, snooped[0], &s[0]);
	snoop_parse(is, snooped[1], &s[1]);
	must(s[0].kind == s[1].kind && s[0].left == s[1].left);
}

static void finish(const struct frame *owing)
{
	const struct cut cut = cut_frame(owing);
	if (owing->offload.gso_type) {
		check_segments(owing, cut.out, cut.n);
	} else {
		must(cut.out->len == owing->len);
		uint8_t *was = flat_frame(owing), *is = flat_frame(cut.out);
		const uint32_t at = owing->offload.csum_start + owing->offload.csum_offset;
		must(!memcmp(was, is, at) &&
			!memcmp(was + at + 2, is + at + 2, cut.out->len - at - 2));
		free(was);
		free(is);
		read_alike(owing, cut.out);
	}
	cut_free(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < VNET_HDR_LEN + 8 + 14)
		return 0;
	struct rng rng = { .bytes = data + VNET_HDR_LEN, .left = 8 };
	const uint32_t mtu = rng_below(&rng, 65536), n = (uint32_t)len - VNET_HDR_LEN - 8;
	const uint32_t head = 14 + rng_below(&rng, n - 13);
	const uint32_t second = rng_below(&rng, n - head + 1);
	uint8_t *first = exact_copy(data + VNET_HDR_LEN + 8, head);
	uint8_t *next = exact_copy(data + VNET_HDR_LEN + 8 + head, second);
	uint8_t *rest = exact_copy(data + VNET_HDR_LEN + 8 + head + second, n - head - second);
	const struct seg more[] = { { next, second }, { rest, n - head - second } };
	struct frame f = { .head = first, .head_len = head, .len = n, .more = more, .more_n = 2 };
	offload_from_vnet(&f, data);
	if (offload_valid(&f, mtu)) {
		uint8_t hdr[VNET_HDR_LEN];
		struct frame back = f;
		must(!(offload_needs(&f) & (uint8_t)~OFFLOAD_CSUM) == !f.offload.gso_type);
		offload_to_vnet(hdr, &f);
		offload_from_vnet(&back, hdr);
		must(offload_valid(&back, mtu));
		must(!memcmp(&back.offload, &f.offload, sizeof(f.offload)));
		if (offload_needs(&f))
			finish(&f);
	}
	f.offload = (struct offload){ 0 };
	offload_guess(&f, mtu);
	if (offload_needs(&f)) {
		const struct offload o = f.offload;
		must(offload_valid(&f, mtu) && !memcmp(&o, &f.offload, sizeof(o)));
		finish(&f);
	}
	free(first);
	free(next);
	free(rest);
	return 0;
}
