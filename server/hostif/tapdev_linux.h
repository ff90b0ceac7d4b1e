/* tapdev_linux.h - making a tap or tun interface (linux, Documentation/networking/tuntap.rst). It
 * lives as long as its descriptor: nothing of it stays after a crash. Below tap_linux.c,
 * tun_linux.c and priv/. */
#ifndef SERVER_HOSTIF_TAPDEV_LINUX_H
#define SERVER_HOSTIF_TAPDEV_LINUX_H

#include "server/core/hostif.h"

enum tapdev { TAPDEV_TAP, TAPDEV_TUN };

/* Makes the interface @name, which may have a %d for a number that is free, in the namespace of
 * this thread, down, and returns its descriptor: whose reads and writes are frames (TAP), or IP
 * packets (TUN). @out_name is what it is called. -EEXIST where there is one of that name, which is
 * left alone; -EOPNOTSUPP where the system has none; other -errno. */
int tapdev_make(const char *name, enum tapdev kind, char out_name[HOSTIF_NAME]);

/* Has frames come and go with work owed on them (core/offload.h), as far as the system does that:
 * returns what it takes, OFFLOAD_*, and in *out_vnet whether each has a virtio_net_hdr of
 * VNET_HDR_LEN bytes, little-endian. Needs no privilege. */
uint8_t tapdev_offload(int fd, bool *out_vnet);

#endif
