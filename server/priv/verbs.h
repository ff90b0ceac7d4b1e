/* verbs.h - everything that needs privilege, as a closed list of verbs: plain data in, descriptors
 * and an error sentence out.
 *
 * Today they run in this process. Later a small root process serves them while the switch runs
 * unprivileged, so a verb takes no pointer to anything of ours and checks its own arguments: it
 * acts only on interface names that netid.h can produce, and only on paths inside the run
 * directory. */
#ifndef SERVER_PRIV_VERBS_H
#define SERVER_PRIV_VERBS_H

#include <stdint.h>

#include "server/base/err.h"
#include "server/core/access.h"
#include "server/core/command.h"
#include "server/core/hostif.h"

/* Once, before any other: where all paths must be. Makes the directory if it is missing, or checks
 * that it is ours: a directory, no link, our owner, writable by nobody else. Takes its lock for the
 * life of the process; -EBUSY where another daemon has it. @path becomes its one real name, so that
 * tags and locks agree however it was spelled. */
int verb_run_dir(char path[PATH_TEXT], struct err *err);
void verb_run_dir_leave(void); /* removes it, if we made it and it is empty */

/* Moves this process, which must have one thread, into a user and a network namespace of its own,
 * its user mapped to the same number, and tries that interfaces can be made there. */
int verb_rootless(struct err *err);

/* hostif_ops' control half, by the backend's name. */
bool verb_pair_allowed(const char *backend);
int verb_pair_make(const char *backend, const struct hostif_spec *spec, struct hostif_made *out,
	struct err *err);
int verb_pair_change(const char *backend, const struct hostif_spec *now,
	const struct hostif_spec *want, struct err *err);
int verb_pair_remove(const char *backend, const struct hostif_spec *spec);
bool verb_name_free(const char *backend, const char *name);
bool verb_pair_whole(const char *backend, const struct hostif_spec *spec);
bool verb_pair_carrier(const char *backend, const struct hostif_spec *spec);
/* Of every backend. @known: what RUN/state remembers, see hostif_ops. */
int verb_pair_sweep(
	const char *prefix, const struct hostif_spec *known, unsigned n, struct err *err);
int verb_watch(const char *backend, struct err *err); /* a descriptor for watch_read() */

/* Longest path of a socket and its end: with 32 bytes more for a client's companion socket beside
 * it, it must fit macOS' sun_path of 104. */
#define VERB_PATH_MAX (104u - 32u)

/* A directory below the run directory, 0755 of our user. An existing one must be ours. */
int verb_dir_make(const char *path, struct err *err);
/* Removes the sockets in a directory of ours, and it, if nothing else is there. */
void verb_dir_clear(const char *path);

/* A listening stream socket at @path, whose file is as @files says. Bound under another name, then
 * renamed, so that the path never shows a socket that is too open or deaf. */
int verb_listen(const char *path, const struct access_files *files, int *out_fd, struct err *err);
/* Makes all sockets in a directory of ours, and in its `ports`, as @files says. Some may be and
 * others not where that failed. */
int verb_dir_give(const char *path, const struct access_files *files, struct err *err);
void verb_unlink(const char *path); /* only a socket */

/* Writes a small file of ours whole or not at all; NULL text removes it. */
int verb_write(const char *path, const char *text, struct err *err);

/* Descriptors of the namespaces this process is in: user (only if @user), network. */
int verb_namespaces(bool user, int out_fds[2], uint8_t *out_n, struct err *err);

#endif
