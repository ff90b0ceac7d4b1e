/* mounts_linux.c - see mounts_linux.h. */
#include "server/priv/mounts_linux.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mount_type(uint64_t id, char out[MOUNT_TYPE])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *rest;
	size_t room = 0;
	bool found = false;
	while (f && !found && getline(&line, &room, f) > 0) {
		if (strtoull(line, &rest, 10) != id)
			continue;
		const char *type = strstr(rest, " - "); /* what is before it has no blanks in it */
		found = type && sscanf(type + 3, "%31s", out) == 1;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

bool mount_local(const char *type)
{
	static const char *const local[] = { "aufs", "bcachefs", "btrfs", "devtmpfs", "ext2",
		"ext3", "ext4", "f2fs", "jffs2", "jfs", "nilfs2", "overlay", "ramfs", "reiserfs",
		"rootfs", "tmpfs", "ubifs", "xfs", "zfs" };
	for (unsigned i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		if (!strcmp(type, local[i]))
			return true;
	return false;
}
