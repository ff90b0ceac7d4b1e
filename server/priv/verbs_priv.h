/* verbs_priv.h - what the files of the verbs share. */
#ifndef SERVER_PRIV_VERBS_PRIV_H
#define SERVER_PRIV_VERBS_PRIV_H

#include "server/base/err.h"
#include "server/core/access.h"
#include "server/core/command.h"

/* That it is inside the run directory, and short enough for a socket. 0, -EINVAL, -ENAMETOOLONG. */
int verbs_check_path(const char *path, struct err *err);
/* RUN/@network/@file, or RUN/@file where @network is NULL. -EINVAL where that is no path of ours.
 */
int verbs_path(char out[2 * PATH_TEXT], const char *network, const char *file, struct err *err);
/* Makes @name in the directory @dir as @files says: whose it is, then who may. Never what a link
 * there means. 0 or -errno, -ELOOP for a link; and the sentence for that. */
int verbs_give(int dir, const char *name, const struct access_files *files);
int verbs_give_failed(int rc, const char *path, const struct access_files *files, struct err *err);
/* What tags, tables and anchors of this daemon are told by. */
const char *verbs_run_dir(void);
/* Of a path that -ELOOP was said of. */
#define VERBS_LINKED "there is a link in the path %s; name the real one"
/* Connects @fd to the Unix socket whose file is @path. 0, -ELOOP where a link is anywhere in it,
 * -ENOTSOCK where it is something else, or another negative errno. */
int verbs_connect(int fd, const char *path);
/* Whether somebody has the socket @name open, in the directory @dir at @path, which nobody else can
 * write to. Asks at once, and says nothing to whoever has it; true where that is not known. */
bool verbs_held(int dir, const char *path, const char *name);
/* Linux: the file at @path, absolute, by O_PATH; no link in it is followed, so it is the file that
 * has this name and none that a directory's owner points to. -ELOOP: there is one; or another
 * negative errno. */
int verbs_open_real(const char *path);
/* macOS: whether no link is on the way to the directory of @path, absolute. 0, -ELOOP or another
 * negative errno. */
int verbs_check_way(const char *path);
/* Around bind() and connect() of a UDP socket, when it would hear anybody: nothing is heard, and
 * what was nevertheless is forgotten. 0 or -errno. */
int verbs_deaf(int fd);
int verbs_hear(int fd);
/* Has a TCP connection end when its peer has answered nothing, or taken nothing in, for
 * VERBS_GONE_S: where an uplink was switched off, a person waits that long before looking. */
#define VERBS_GONE_S 60
void verbs_watch(int fd);
/* "feth" and a number; nothing else may be made, removed or served. */
bool verbs_name_ours(const char *interface);

#endif
