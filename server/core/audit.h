/* audit.h - which refusals get a line in the log, so that who asks without end cannot fill it.
 *
 * In a period, whose length is its owner's affair, each uid has AUDIT_LINES lines; the rest is
 * counted, and told at the period's end. Beyond AUDIT_UIDS the uids share the last place, so one
 * period has at most AUDIT_LINES * AUDIT_UIDS lines, however many uids somebody has at hand. */
#ifndef SERVER_CORE_AUDIT_H
#define SERVER_CORE_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#define AUDIT_LINES 16u /* a person's session of mistakes; a loop has them in a millisecond */
#define AUDIT_UIDS 32u  /* more people than share a machine by chance: 512 lines of 150 bytes */

/* All zero: a period in which nothing happened. */
struct audit {
	struct audit_uid {
		uint32_t uid;
		uint32_t lines;    /* written */
		uint64_t left_out; /* not written */
	} uids[AUDIT_UIDS];
	unsigned n;
};

/* Whether a refusal of @uid is to be written; otherwise it is counted. */
bool audit_admit(struct audit *audit, uint32_t uid);

/* Whether the place @i, below audit->n, is shared by several uids. */
bool audit_shared(const struct audit *audit, unsigned i);

#endif
