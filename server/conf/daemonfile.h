/* daemonfile.h - fethd.conf: the daemon's own settings, by the names of its options. Pure. */
#ifndef SERVER_CONF_DAEMONFILE_H
#define SERVER_CONF_DAEMONFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/log.h"
#include "server/conf/faults.h"
#include "server/core/command.h"

#define DAEMONFILE_BYTES 16384u /* some hundred lines of comments; it has few keys */

/* What is said, by options or by the file; `has_*`, and no empty text, says that it is. */
struct daemon_settings {
	char admin_group[UNIX_NAME];
	unsigned control_mode; /* 0: not said */
	bool has_unit_base, has_level, has_rootless;
	uint32_t unit_base; /* 0 to NETID_BASE_MAX */
	enum log_level level;
	bool rootless;
	bool has_dial_anywhere, dial_anywhere; /* ports may call other machines */
};

/* Sets what is called @name, in both: NULL, or what a value must be. @name is one of theirs. */
const char *daemon_setting(struct daemon_settings *s, const char *name, const char *value);

/* What is wrong in the file is added to @faults. */
void daemonfile_read(struct daemon_settings *out, const char *file, const char *text, size_t len,
	struct faults *faults);

/* What neither says of @over, @under does. */
void daemon_settings_merge(struct daemon_settings *over, const struct daemon_settings *under);

#endif
