/* bpf_darwin.h - a BPF device for one feth: opened, set up and asked. Control half.
 *
 * Functions return 0, a descriptor, or -DW_E* with *out_call: the call that failed. */
#ifndef SERVER_HOSTIF_BPF_DARWIN_H
#define SERVER_HOSTIF_BPF_DARWIN_H

#include <stdint.h>

/* A device that gives whole frames which come in at interface @name, at once, and none that anybody
 * sends out of it. -DW_EBUSY: all devices are in use; -DW_EPROTONOSUPPORT: it is no Ethernet. */
int bpf_open(const char *name, const char **out_call);

/* Sets the device up for injecting too, in batches where it can. *out_mtu: the largest MTU whose
 * frames it takes. */
int bpf_inject(int fd, uint32_t *out_mtu, const char **out_call);

#endif
