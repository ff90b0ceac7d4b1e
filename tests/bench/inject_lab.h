/* inject_lab.h - what bench_inject measures on: a feth pair of its own, and the ways in and out of
 * it. Everything goes through darwin_sys, so the same program runs on a Mac and on the simulated
 * kernel. */
#ifndef TESTS_BENCH_INJECT_LAB_H
#define TESTS_BENCH_INJECT_LAB_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/hostif/darwin_abi.h"
#include "server/hostif/darwin_sys.h"

#define LAB_BUFFER (512u * 1024u) /* bytes of a BPF buffer; what every release grants */
#define LAB_HEADER 18u            /* of a frame: Ethernet, then its number */
#define LAB_FRAME_MAX 16384u

struct lab {
	char host[DW_IFNAMSIZ], service[DW_IFNAMSIZ]; /* "" while it is not made */
	int ctl;                                      /* a socket for ioctls */
	int32_t max_mtu_was; /* net.link.fake.max_mtu to be put back; 0: none */
	uint32_t mtu;        /* of both members */
};

/* A BPF descriptor and its buffer. */
struct lab_bpf {
	int fd;
	uint32_t size; /* of a read: exactly this */
	uint8_t *buf;  /* owned */
};

/* Makes a pair of the highest free units, up and with the largest MTU there is. On failure nothing
 * is left. */
int lab_open(struct lab *lab, struct err *err);
void lab_close(struct lab *lab);

/* A socket that injects into @ifname, or a negative DW_E*. */
int lab_ndrv(const char *ifname, struct err *err);

/* A descriptor that reads what comes in at @ifname, not what is injected there, and can write whole
 * frames. @size of its buffer is a wish. */
int lab_bpf_open(struct lab_bpf *bpf, const char *ifname, uint32_t size, struct err *err);
void lab_bpf_close(struct lab_bpf *bpf);

/* Frames that came in so far, whether or not there was room for them. */
uint32_t lab_bpf_seen(const struct lab_bpf *bpf);

/* One read; calls @each with every frame. Returns how many, 0: none there; -DW_E*. */
typedef void (*lab_frame_fn)(void *ctx, const uint8_t *frame, uint32_t len, bool whole);
long lab_bpf_read(struct lab_bpf *bpf, lab_frame_fn each, void *ctx);

/* Lays frame number @seq of @size bytes at @at. */
void lab_frame(uint8_t *at, uint32_t seq, uint32_t size);
/* Whether this is one of ours, and its number. */
bool lab_frame_ours(const uint8_t *frame, uint32_t len, uint32_t *out_seq);
bool lab_frame_same(const uint8_t *frame, uint32_t seq, uint32_t size);

/* The same as a record of a batch (bpf.c:bpf_movein_batch); returns its length, padded. */
uint32_t lab_record(uint8_t *at, uint32_t seq, uint32_t size);

/* The machine below darwin_sys, which is the one we run on (inject_macos.c) or a simulated one
 * (inject_sim.c), where @profile says which. -1: there is no such. */
int machine_start(const char *profile, char *text, size_t size);
extern const bool machine_simulated;
/* Whether it is as it was before: no feth left, no setting changed. */
bool machine_clean(void);

/* "EMSGSIZE" and the like, for a negative DW_E*. */
const char *lab_errname(long rc);

/* What sysctl says; "" where there is no such name. */
void lab_sysctl_text(const char *name, char *out, size_t size);
bool lab_sysctl_int(const char *name, int32_t *out);

#endif
