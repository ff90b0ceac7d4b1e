/* tool.h - programs of the system that verbs use: dnsmasq, nft, pfctl. */
#ifndef SERVER_PRIV_TOOL_H
#define SERVER_PRIV_TOOL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "server/base/err.h"

/* Where it is: in one of $PATH's directories, or of those where such programs are put and which a
 * user's PATH often lacks. $FETHD_TOOLS, if set, is searched instead. -ENOENT: nowhere. */
int tool_find(const char *name, char out[PATH_MAX]);

/* How one gets it on this system: "install the package ...". */
const char *tool_where(const char *name);

#define TOOL_GROUP 64u
/* Whether there is this user; if so, what his first group is called. */
bool tool_user(const char *name, char group[TOOL_GROUP]);

/* Starts a program, in a process group of its own (so that what it starts can be killed with it,
 * and ^C in our terminal is not for it), with signals as they are at first. @fds: its standard
 * files; -1: /dev/null. Nothing else is inherited but what lacks FD_CLOEXEC. 0, or a negative
 * errno. */
int tool_spawn(pid_t *out, const char *program, char *const argv[], const int fds[3]);

/**
 * tool_run() - run a program to its end
 * @argv:	ended by NULL; [0] is its path
 * @input:	its standard input; at most 60 KiB, so that a pipe holds it; NULL: none
 * @said:	out: the beginning of what it wrote to both of its outputs
 *
 * Blocks, but never for more than TOOL_MS: it is killed then.
 *
 * Return: 0 where it ended with status 0, else -EIO, -ETIMEDOUT where it was killed, or what kept
 * it from running, with what it said as the sentence
 */
int tool_run(const char *const argv[], const char *input, char *said, size_t size, struct err *err);

#define TOOL_MS 5000

#endif
