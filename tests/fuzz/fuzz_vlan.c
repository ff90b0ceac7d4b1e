/* fuzz_vlan.c - frames with any tags through ports with any rules: what leaves is of the VLAN it
 * came in, has the tag that is due, and says the same. */
#include "server/core/vlan.h"
#include "tests/support/bytes.h"
#include "tests/support/eth.h"
#include "tests/support/fuzz.h"
#include "tests/support/rng.h"

static struct vlan_rule a_rule(struct rng *rng)
{
	struct vlan_rule rule = { .kind = (uint8_t)rng_below(rng, 3) };
	rule.native = (uint16_t)rng_below(rng, 16);
	for (unsigned i = rng_below(rng, 40); i; i--) {
		const uint64_t from = rng_below(rng, 0x10000), to = from + rng_below(rng, 4);
		const struct vlan_rule before = rule;
		if (vlan_add(&rule, from, to) < 0)
			must(!memcmp(&before, &rule, sizeof(rule)));
		for (unsigned k = 0; k < rule.n; k++) {
			must(rule.tagged[k].from && rule.tagged[k].from <= rule.tagged[k].to);
			must(rule.tagged[k].to <= VLAN_MAX);
			must(!k || rule.tagged[k - 1].to + 1u < rule.tagged[k].from);
		}
	}
	if (rule.kind == VLAN_ACCESS && !rule.native)
		rule.native = 1;
	return rule;
}

static uint8_t *flatten(const struct frame *f)
{
	uint8_t *flat = malloc(f->len);
	must(flat != NULL);
	uint32_t n = f->head_len;
	must(n >= 14 && n <= f->len);
	memcpy(flat, f->head, n);
	for (unsigned i = 0; i < f->more_n; i++) {
		must(f->more[i].len <= f->len - n);
		memcpy(flat + n, f->more[i].base, f->more[i].len);
		n += (uint32_t)f->more[i].len;
	}
	must(n == f->len);
	return flat;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* What is behind the tag, from the type on. */
static uint32_t inside(const uint8_t *b)
{
	return get16(b + 12) == ETH_P_CTAG ? 16 : 12;
}

static void leave(const struct frame *frame, const uint8_t *was, uint16_t vlan, enum vlan_form form)
{
	uint8_t header[VLAN_HEADER];
	struct seg segs[4];
	struct frame out;
	const int n = vlan_edit(frame, form, vlan, header, segs, &out);
	const uint16_t type = get16(was + inside(was));
	if (n < 0) {
		must(form == VLAN_UNTAGGED && inside(was) == 16);
		must(type == ETH_P_CTAG || type == ETH_P_STAG);
		return;
	}
	must(n <= 1 + frame->more_n && out.more_n <= 1 + frame->more_n);
	uint8_t *is = flatten(&out);
	must(!memcmp(is, was, 12));
	const uint32_t from = form == VLAN_TAGGED ? 16 : 12;
	must(out.len - from == frame->len - inside(was));
	must(!memcmp(is + from, was + inside(was), out.len - from));
	if (form == VLAN_TAGGED)
		must(get16(is + 12) == ETH_P_CTAG && (get16(is + 14) & 0xfff) == vlan);
	else
		must(get16(is + 12) != ETH_P_CTAG && get16(is + 12) != ETH_P_STAG);
	free(is);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 64 + 14)
		return 0;
	struct rng rng = { .bytes = data, .left = 64 };
	const struct vlan_rule in = a_rule(&rng), to = a_rule(&rng);
	const uint32_t n = (uint32_t)len - 64, head = 14 + rng_below(&rng, n - 13);
	uint8_t *b = exact_copy(data + 64, n);
	uint8_t *first = exact_copy(b, head);
	const struct seg more = { b + head, n - head };
	const struct frame frame = { .head = first,
		.head_len = head,
		.len = n,
		.more = head < n ? &more : NULL,
		.more_n = head < n ? 1 : 0 };
	const uint16_t vlan = vlan_of(&in, &frame);
	if (vlan != VLAN_REFUSED) {
		must(vlan <= 4095 && vlan_form(&in, vlan) != VLAN_NOT);
		const enum vlan_form form = vlan_form(&to, vlan);
		must((form == VLAN_AS_IS) == (!vlan && to.kind == VLAN_TRANSPARENT));
		if (form == VLAN_TAGGED || form == VLAN_UNTAGGED)
			leave(&frame, b, vlan, form);
	}
	free(first);
	free(b);
	return 0;
}
