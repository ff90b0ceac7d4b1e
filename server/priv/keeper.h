/* keeper.h - a small process between fethd and a server that it started: when fethd is gone,
 * however it ended, the keeper ends the server. (A parent-death signal does not survive that a
 * server gives up its privilege, and macOS has none.)
 *
 * It is fethd's own program under another name, `fethd --keeper PROGRAM ARG...`, with a socket to
 * fethd as its standard input. It passes on what the server says on its standard error, and ends
 * when the server has. */
#ifndef SERVER_PRIV_KEEPER_H
#define SERVER_PRIV_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "server/base/err.h"

#define KEEPER_WORD "--keeper"

/* A keeper and its server, as who started it knows them. */
struct kept {
	pid_t pid; /* the keeper's: our child, until kept_end() */
	int fd; /* owned: what the server says, a line each; its end is their end. Closing it ends
		   them */
};

/* Starts @argv (ended by NULL; [0] is a path) behind a keeper. 0, or -errno with a sentence. */
int kept_start(struct kept *out, const char *const argv[], struct err *err);
/* Ends both, and returns when both are gone: a millisecond or two. False: the keeper did not come
 * to its own end, so its server may be there still; then process_kill_by_argument(). */
bool kept_end(struct kept *kept);

/* main()'s: the keeper itself. Return: its exit status */
int keeper_run(char *argv[]);

/* By each system's own means: */

/* The path of this program. */
int keeper_program(char *out, size_t size);
/* Kills every process that has @argument among its arguments, but for ourselves, and returns how
 * many, when they are gone and what they had bound is free: after PROCESS_END_MS each at the
 * latest. For those whose keeper was killed. */
#define PROCESS_END_MS 1000
unsigned process_kill_by_argument(const char *argument);

#endif
