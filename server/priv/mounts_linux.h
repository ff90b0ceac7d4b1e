/* mounts_linux.h - what kind of file system a file is on, without asking that: statfs() would, and
 * the program or the server behind it might never answer. */
#ifndef SERVER_PRIV_MOUNTS_LINUX_H
#define SERVER_PRIV_MOUNTS_LINUX_H

#include <stdbool.h>
#include <stdint.h>

#define MOUNT_TYPE 32u /* the longest in use is "fuse." and a program's name; may be cut off */

/* The type of the mount @id (statx: stx_mnt_id), as /proc/self/mountinfo has it (proc(5)). False
 * where there is none of that number. Costs about a microsecond for each mount there is. */
bool mount_type(uint64_t id, char out[MOUNT_TYPE]);

/* Whether the kernel alone serves it, so that nothing there waits for anybody. A list, so that what
 * nobody has thought of is not trusted. */
bool mount_local(const char *type);

#endif
