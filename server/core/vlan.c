/* vlan.c - see vlan.h. */
#include "server/core/vlan.h"

#include <errno.h>
#include <string.h>

#define ADDRESSES 12u
#define TAG 4u
#define VID 0x0fffu

/* -- rules -- */

int vlan_add(struct vlan_rule *rule, uint64_t from, uint64_t to)
{
	struct vlan_range all[VLAN_RANGES + 1];
	unsigned n = 0, i = 0;
	if (!from || from > to || to > VLAN_MAX)
		return -EINVAL;
	for (; i < rule->n && rule->tagged[i].to + 1u < from; i++)
		all[n++] = rule->tagged[i];
	for (; i < rule->n && rule->tagged[i].from <= to + 1; i++) { /* these melt into one */
		if (rule->tagged[i].from < from)
			from = rule->tagged[i].from;
		if (rule->tagged[i].to > to)
			to = rule->tagged[i].to;
	}
	all[n++] = (struct vlan_range){ (uint16_t)from, (uint16_t)to };
	while (i < rule->n)
		all[n++] = rule->tagged[i++];
	if (n > VLAN_RANGES)
		return -E2BIG;
	memcpy(rule->tagged, all, n * sizeof(*all));
	rule->n = (uint8_t)n;
	return 0;
}

static bool ranges_same(const struct vlan_rule *a, const struct vlan_rule *b)
{
	return a->n == b->n && !memcmp(a->tagged, b->tagged, a->n * sizeof(*a->tagged));
}

bool vlan_same(const struct vlan_rule *a, const struct vlan_rule *b)
{
	return a->kind == b->kind &&
	       (a->kind == VLAN_TRANSPARENT ||
		       (a->native == b->native && (a->kind == VLAN_ACCESS || ranges_same(a, b))));
}

static bool is_tagged_at(const struct vlan_rule *rule, uint16_t vlan)
{
	for (unsigned i = 0; i < rule->n && rule->tagged[i].from <= vlan; i++)
		if (vlan <= rule->tagged[i].to)
			return true;
	return false;
}

enum vlan_form vlan_form(const struct vlan_rule *rule, uint16_t vlan)
{
	if (!rule || rule->kind == VLAN_TRANSPARENT)
		return vlan ? VLAN_TAGGED : VLAN_AS_IS;
	if (!vlan)
		return VLAN_NOT;
	if (vlan == rule->native)
		return VLAN_UNTAGGED;
	return rule->kind == VLAN_TRUNK && is_tagged_at(rule, vlan) ? VLAN_TAGGED : VLAN_NOT;
}

bool vlan_wider(const struct vlan_rule *rule, const struct vlan_rule *more)
{
	for (uint16_t vlan = 0; vlan <= VLAN_MAX; vlan++)
		if (vlan_form(rule, vlan) == VLAN_NOT && vlan_form(more, vlan) != VLAN_NOT)
			return true;
	return false;
}

/* -- frames -- */

/* The 16-bit word @at of a frame that is long enough, in whichever piece it lies. */
static uint16_t word_at(const struct frame *frame, uint32_t at)
{
	const uint8_t *p = frame->head;
	size_t len = frame->head_len;
	uint8_t b[2];
	for (unsigned k = 0, more = 0; k < 2; k++, at++) {
		while (at >= len) {
			at -= (uint32_t)len;
			p = frame->more[more].base;
			len = frame->more[more++].len;
		}
		b[k] = p[at];
	}
	return (uint16_t)(b[0] << 8 | b[1]);
}

static bool is_tag(uint16_t type)
{
	return type == ETH_P_CTAG || type == ETH_P_STAG;
}

uint16_t vlan_of(const struct vlan_rule *rule, const struct frame *frame)
{
	const bool transparent = !rule || rule->kind == VLAN_TRANSPARENT;
	const uint16_t type = frame_type(frame);
	const bool whole = frame->len >= FETH_FRAME_MIN + TAG;
	if (!is_tag(type))
		return transparent ? 0 : rule->native ? rule->native : VLAN_REFUSED;
	if (transparent)
		return type == ETH_P_CTAG && whole ? word_at(frame, 14) & VID : 0;
	if (type == ETH_P_STAG || !whole)
		return VLAN_REFUSED;

	uint16_t vlan = word_at(frame, 14) & VID;
	if (!vlan && !is_tag(word_at(frame, 16)))
		return rule->native ? rule->native : VLAN_REFUSED;
	return vlan && rule->kind == VLAN_TRUNK && vlan_form(rule, vlan) != VLAN_NOT ? vlan
										     : VLAN_REFUSED;
}

/* Views all of @frame from @skip on. Returns how many pieces that takes. */
static unsigned rest_of(const struct frame *frame, size_t skip, struct seg *segs)
{
	unsigned n = 0;
	struct seg piece = { frame->head, frame->head_len };
	for (unsigned i = 0;; i++) {
		if (piece.len > skip)
			segs[n++] = (struct seg){ (const uint8_t *)piece.base + skip,
				piece.len - skip };
		skip -= piece.len < skip ? piece.len : skip;
		if (i == frame->more_n)
			return n;
		piece = frame->more[i];
	}
}

int vlan_edit(const struct frame *frame, enum vlan_form form, uint16_t vlan,
	uint8_t header[VLAN_HEADER], struct seg *segs, struct frame *out)
{
	const bool has_tag = frame_type(frame) == ETH_P_CTAG;
	const uint16_t tci = has_tag ? word_at(frame, 14) : 0;
	*out = *frame;
	out->made = 0;
	if (form == VLAN_UNTAGGED ? !has_tag : has_tag && (tci & VID) == vlan)
		return 0;

	uint32_t made = ADDRESSES, skip = ADDRESSES + (has_tag ? TAG : 0);
	uint16_t words[2] = { ETH_P_CTAG, (uint16_t)((tci & ~VID) | vlan) };
	unsigned n_words = 2;
	if (form == VLAN_UNTAGGED) { /* the type comes along, for every header has one */
		words[0] = word_at(frame, 16);
		if (is_tag(words[0]))
			return -EINVAL;
		n_words = 1;
		skip += 2;
	}
	memcpy(header, frame->head, ADDRESSES);
	for (unsigned i = 0; i < n_words; i++) {
		header[made++] = (uint8_t)(words[i] >> 8);
		header[made++] = (uint8_t)words[i];
	}
	out->head = header;
	out->head_len = made;
	out->len = frame->len - skip + made;
	out->more = segs;
	out->more_n = (uint16_t)rest_of(frame, skip, segs);
	out->framing = FRAMING_NONE;
	out->wire_hdr = 0;
	if (out->offload.flags || out->offload.gso_type)
		out->offload.csum_start = (uint16_t)(out->offload.csum_start + made - skip);
	if (out->offload.gso_type)
		out->offload.hdr_len = (uint16_t)(out->offload.hdr_len + made - skip);
	return out->more_n;
}
