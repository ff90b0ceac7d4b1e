/* access.h - who may do what: from who somebody is, and a network's rules, to rights.
 *
 * Root, the daemon's own user and the admin group hold every right. On a network others have what
 * its rules give them, all that fit them together:
 *
 *  - mode, as of a file: its owner, its group and all others; r is the right to observe, w to
 *    attach, and both make the owner, and nobody else, control;
 *  - allow, rules of one user or group each.
 *
 * The sockets' modes in the file system are only a fence in front of this: they let in everybody
 * whom the rules might, and what counts is judged here, of who the kernel says has connected.
 *
 * Pure but for access.elsewhere. See docs/decisions/0014. */
#ifndef SERVER_CORE_ACCESS_H
#define SERVER_CORE_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/rights.h"

#define ACCESS_NO_ONE UINT32_MAX /* no user, no group: -1 is neither */
#define UID_OVERFLOW 65534u      /* whoever is not mapped into our user namespace looks like this */
#define PEER_GROUPS 256u /* supplementary groups looked at; more are ignored, which only denies */
/* Rules of a network. A team has a Unix group; who lists more people than this one by one wants
 * one, too. It keeps a network's description at 5 KiB of the 64 that a message may have. */
#define ALLOW_MAX 64u
#define ACCESS_MODE 0660u /* of a network that says none */

/* Who is at the other end of a connection (io/peer.h). */
struct peer {
	uint32_t uid, gid, pid;
	unsigned n_groups;
	uint32_t groups[PEER_GROUPS]; /* last, so that a copy may end behind those there are */
};

/* A copy of its own, no larger than it must be: read it by its members, never as a whole. Free it
 * with free(). NULL without memory. */
struct peer *peer_copy(const struct peer *peer);
void peer_assign(struct peer *to, const struct peer *from); /* @from may be such a copy */

/* What the daemon judges by; set once at start. */
struct access {
	uint32_t uid;       /* the daemon's own */
	uint32_t admin_gid; /* --admin-group, or ACCESS_NO_ONE */
	bool rootless;      /* in a user namespace: UID_OVERFLOW is nobody we know */
	/* Whether a group that is not in @peer is the peer's all the same; NULL: it never is. */
	bool (*elsewhere)(const struct peer *peer, uint32_t gid);
};

struct access_rule {
	struct allow allow; /* as it was given */
	uint32_t id;        /* the user or group that meant then */
};

/* Who may use a network. */
struct access_rules {
	char owner[UNIX_NAME]; /* as given; empty: none, and uid is ACCESS_NO_ONE */
	char group[UNIX_NAME];
	uint32_t uid, gid;
	uint16_t mode; /* 0 to 0666 */
	uint16_t n_allow;
	struct access_rule allow[ALLOW_MAX];
};

/* What @peer may do on a network with these @rules; NULL: on no network in particular. */
unsigned access_rights(
	const struct access *access, const struct peer *peer, const struct access_rules *rules);

/* The same people are given the same, in the same words. */
bool access_same(const struct access_rules *a, const struct access_rules *b);

/* Whether two of the rules are about the same user or group, *first and *second; none may be. */
bool access_twice(const struct access_rules *rules, unsigned *first, unsigned *second);

/* Whose a socket's file shall be. */
struct access_files {
	uint32_t uid, gid; /* ACCESS_NO_ONE: as it is */
	unsigned mode;
};

/* Of a network's sockets: nobody is kept out by them whom the rules give anything, but for the
 * admin group, which has control.sock. */
struct access_files access_files(const struct access *access, const struct access_rules *rules);
/* The same of a socket in a directory that clients may write to: it stays ours whoever owns the
 * network, for who owns a file there can put another in its place. */
struct access_files access_files_shared(
	const struct access *access, const struct access_rules *rules);

#endif
