/* tapdev_linux.c - see tapdev_linux.h. */
#include "server/hostif/tapdev_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "server/core/offload.h"
#include "server/hostif/member_linux.h"

/* Linux 6.2; the headers may be older. */
#define SET_USO4 0x20u
#define SET_USO6 0x40u

int tapdev_make(const char *name, enum tapdev kind, char out_name[HOSTIF_NAME])
{
	const int is = kind == TAPDEV_TUN ? IFF_TUN : IFF_TAP;
	struct ifreq ifr = { .ifr_flags = (short)(is | IFF_NO_PI | IFF_TUN_EXCL) };
	const size_t len = strlen(name);

	if (!len || len >= sizeof(ifr.ifr_name))
		return -EINVAL;
	memcpy(ifr.ifr_name, name, len);
	if (member_offload())
		ifr.ifr_flags |= (short)IFF_VNET_HDR;
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

uint8_t tapdev_offload(int fd, bool *out_vnet)
{
	const unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	const int header = VNET_HDR_LEN, little = 1;
	struct ifreq ifr = { 0 };

	*out_vnet = ioctl(fd, TUNGETIFF, &ifr) == 0 && ifr.ifr_flags & IFF_VNET_HDR;
	if (!*out_vnet || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
		ioctl(fd, TUNSETVNETLE, &little) < 0)
		return 0;
	const uint8_t takes = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN;
	if (ioctl(fd, TUNSETOFFLOAD, tcp | SET_USO4 | SET_USO6) == 0)
		return takes | OFFLOAD_USO4 | OFFLOAD_USO6;
	return ioctl(fd, TUNSETOFFLOAD, tcp) == 0 ? takes : 0;
}
