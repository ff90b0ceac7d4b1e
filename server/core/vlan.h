/* vlan.h - VLANs of a port (IEEE 802.1Q): to which one a frame belongs, and how it leaves.
 *
 * Theory of operation. Every frame belongs to one VLAN, 1 to 4094, or to none (0): what has no tag,
 * a priority tag (VLAN 0) or a provider's tag (802.1ad). A port is one of three:
 *
 *  - transparent, without a rule: carries every VLAN, each frame with its tag, and those of no VLAN
 *    as they are. The host side always is, so that the host can have feth101.10.
 *  - access: a member of one VLAN, which it does not know of. It sends and gets frames without a
 *    tag.
 *  - trunk: a member of the VLANs of a list, whose frames have a tag there, and maybe of one more,
 *    its native one, whose frames have none.
 *
 * Of access and trunk ports nothing of no VLAN comes, and nothing of it goes there. A provider's
 * tag is theirs to read who are transparent. A frame with a second tag behind the first is never
 * sent without the first: what is inside would be taken for another VLAN (decisions, 13).
 *
 * Pure; frames are views, and so are edited ones. */
#ifndef SERVER_CORE_VLAN_H
#define SERVER_CORE_VLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/frame.h"

#define VLAN_MAX 4094u          /* IEEE 802.1Q-2018, 9.6: 4095 is reserved */
#define VLAN_REFUSED UINT16_MAX /* vlan_of(): the port may not send such a frame */
#define VLAN_HEADER 16u         /* two addresses and a tag */
/* Ranges of one trunk: what a person writes in a line has a few, and a port.list of 256 ports with
 * so many is 60 KiB of the 64 that an answer may have. */
#define VLAN_RANGES 32u

enum vlan_kind { VLAN_TRANSPARENT, VLAN_ACCESS, VLAN_TRUNK };

struct vlan_range {
	uint16_t from, to; /* 1 to VLAN_MAX, both of it */
};

struct vlan_rule {
	uint8_t kind;    /* enum vlan_kind */
	uint8_t n;       /* ranges */
	uint16_t native; /* access: its VLAN; trunk: that of frames without a tag, 0: none */
	struct vlan_range tagged[VLAN_RANGES]; /* trunk; ascending, with a gap between any two */
};

/* Adds VLANs to those of a trunk. Return: 0; -EINVAL where they are out of range or order; -E2BIG
 * where VLAN_RANGES do not do, and nothing was added. */
int vlan_add(struct vlan_rule *rule, uint64_t from, uint64_t to);

bool vlan_same(const struct vlan_rule *a, const struct vlan_rule *b);

/* Whether @more makes a port a member of a VLAN that it is no member of by @rule, or has it carry
 * what is of no VLAN. */
bool vlan_wider(const struct vlan_rule *rule, const struct vlan_rule *more);

/* The VLAN of a frame that came from a port, 0 to 4095, or VLAN_REFUSED. @rule may be NULL:
 * transparent. */
uint16_t vlan_of(const struct vlan_rule *rule, const struct frame *frame);

/* How frames of a VLAN leave by a port. */
enum vlan_form {
	VLAN_NOT,      /* not at all: the port is no member */
	VLAN_AS_IS,    /* of no VLAN */
	VLAN_TAGGED,   /* with its tag */
	VLAN_UNTAGGED, /* without */
};
enum vlan_form vlan_form(const struct vlan_rule *rule, uint16_t vlan);

/**
 * vlan_edit() - a frame in the form in which it leaves
 * @frame:	of @vlan: vlan_of() said so
 * @form:	VLAN_TAGGED or VLAN_UNTAGGED
 * @vlan:	1 to 4095
 * @header:	for the first bytes of a frame that is not as it leaves; lives as long as *out
 * @segs:	for the others; 1 + more_n of them
 * @out:	@frame itself where it is right already, else a view of @header and @segs
 *
 * Priority and drop eligibility of a tag stay what they are; a new one has none (IEEE 802.1Q-2018,
 * 6.9.4). Return: how many of @segs were used, which is none of a frame without payload; -EINVAL
 * where the frame has a second tag, and cannot leave without the first
 */
int vlan_edit(const struct frame *frame, enum vlan_form form, uint16_t vlan,
	uint8_t header[VLAN_HEADER], struct seg *segs, struct frame *out);

#endif
