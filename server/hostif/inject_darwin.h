/* inject_darwin.h - frames into the service member, whichever way: an AF_NDRV socket, or a BPF
 * device, one by one or in batches. One function before all three.
 *
 * AF_NDRV is first choice: it takes frames of any MTU on every release and does not go through the
 * one lock that all BPF devices of the machine share. BPF serves where there is no AF_NDRV. */
#ifndef SERVER_HOSTIF_INJECT_DARWIN_H
#define SERVER_HOSTIF_INJECT_DARWIN_H

#include <stdint.h>

#include "server/core/frame.h"

enum inject_way { INJECT_NDRV, INJECT_BPF, INJECT_BPF_BATCH };

struct inject {
	int fd; /* borrowed */
	enum inject_way way;
	uint32_t most; /* bytes of one frame, where it is for us to see to it */
};

/* A socket that injects into interface @name, and brings it up (rule 19). Returns it, or -DW_E*
 * with *out_call; -DW_EPROTONOSUPPORT or -DW_EAFNOSUPPORT where there is no AF_NDRV. */
int ndrv_open(const char *name, const char **out_call);

/* Learns from the descriptors alone which way it is. @mtu: of the interface. */
void inject_init(struct inject *in, int rx_fd, int tx_fd, uint32_t mtu);

/* Injects frames in their order; how many the kernel took. One it refuses is lost and the others
 * are still tried, but for an interface that is down or gone. */
unsigned inject_frames(const struct inject *in, const struct frame *frames, unsigned n);

#endif
