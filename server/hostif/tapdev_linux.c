/* tapdev_linux.c - see tapdev_linux.h. */
#include "server/hostif/tapdev_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int tapdev_make(const char *name, char out_name[HOSTIF_NAME])
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL) };
	const size_t len = strlen(name);

	if (!len || len >= sizeof(ifr.ifr_name))
		return -EINVAL;
	memcpy(ifr.ifr_name, name, len);
	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) /* ENODEV, ENXIO: there is the file but no driver */
		return errno == ENOENT || errno == ENODEV || errno == ENXIO ? -EOPNOTSUPP : -errno;
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		/* EBUSY: a tap of that name; EINVAL: one of that name that is none, or a name that
		 * none can have, which callers have looked at */
		const int rc = errno == EBUSY || errno == EINVAL ? -EEXIST : -errno;
		close(fd);
		return rc;
	}
	memcpy(out_name, ifr.ifr_name, HOSTIF_NAME);
	return fd;
}
