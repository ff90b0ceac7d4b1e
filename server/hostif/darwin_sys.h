/* darwin_sys.h - the entry points of the Darwin kernel that the feth backend is linked against: the
 * kernel itself on macOS (sys_darwin.c), a simulated one in the tests (tests/darwin).
 *
 * Everything speaks darwin_abi.h: requests, structures, socket options and error numbers are
 * Darwin's, wherever this is compiled. Each function returns 0 or more, or the negative of a
 * DW_E* number; there is no errno. */
#ifndef SERVER_HOSTIF_DARWIN_SYS_H
#define SERVER_HOSTIF_DARWIN_SYS_H

#include <stddef.h>
#include <stdint.h>

#include "server/core/frame.h" /* struct seg */

struct darwin_sys {
	uint32_t (*geteuid)(void);

	int (*socket)(int domain, int type, int protocol); /* close-on-exec */
	int (*open)(const char *path); /* O_RDWR | O_NONBLOCK | O_CLOEXEC; only /dev/bpfN */
	int (*close)(int fd);

	int (*ioctl)(int fd, unsigned long request, void *arg);
	int (*setsockopt)(int fd, int level, int option, int value);
	int (*bind)(int fd, const void *addr, size_t addr_len);
	int (*connect)(int fd, const void *addr, size_t addr_len);

	long (*read)(int fd, void *buf, size_t size); /* bytes */
	long (*write)(int fd, const void *buf, size_t size);
	long (*writev)(int fd, const struct seg *pieces, unsigned n);

	/* @old_len is in and out, as in sysctl(3): with @old NULL it becomes the size needed. @new
	 * may be NULL. */
	int (*sysctlbyname)(
		const char *name, void *old, size_t *old_len, const void *new, size_t new_len);
	int (*sysctl)(const int *mib, unsigned n, void *old, size_t *old_len);

	void (*sleep_us)(unsigned us);
};

extern const struct darwin_sys darwin_sys;

#endif
