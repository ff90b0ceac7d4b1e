/* rights.h - what one may do, and the written form of a rule that allows it.
 *
 * One parser for daemon and clients. Who is who is server/core/access.h's to judge. Pure. */
#ifndef PROTOCOL_RIGHTS_H
#define PROTOCOL_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#define UNIX_NAME 33u /* a Unix user's or group's name or number, and its end (useradd(8): 32) */

/* Rights on a network; `control` holds the other two. The last is on the machine, and holds all. */
enum right {
	RIGHT_ANY = 0, /* whoever may connect */
	RIGHT_ATTACH = 1,
	RIGHT_OBSERVE = 2,
	RIGHT_CONTROL = 4,
	RIGHT_ADMIN = 8,
};
#define RIGHTS_NETWORK ((unsigned)RIGHT_ATTACH | RIGHT_OBSERVE | RIGHT_CONTROL)

/* "attach", "observe" or "control": its right; any other text: RIGHT_ANY. */
unsigned right_parse(const char *text, size_t len);
const char *right_name(unsigned right); /* of several the first of these, or "admin" */

/* Who is allowed what. */
struct allow {
	bool group;           /* else a user */
	unsigned char rights; /* of the three, at least one */
	char name[UNIX_NAME]; /* or number; not empty */
};

/* "user:NAME=RIGHT,…" or "group:NAME=RIGHT,…". On false, *why is a constant sentence. */
bool allow_parse(struct allow *out, const char *text, const char **why);

#endif
