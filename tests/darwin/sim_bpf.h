/* sim_bpf.h - a BPF descriptor, between the files that make it up.
 *
 *   sim_bpf.c         devices, buffers, the tap, reading, readiness
 *   sim_bpf_ioctl.c   bpfioctl()
 *   sim_bpf_write.c   bpfwrite(), one frame or a batch
 *   sim_bpf_filter.c  bpf_filter.c: programs of BIOCSETF */
#ifndef TESTS_DARWIN_SIM_BPF_H
#define TESTS_DARWIN_SIM_BPF_H

#include "tests/darwin/sim_file.h"

#define SIM_BPF_TICK_US 10000u      /* hz is 100: what timeouts are counted in */
#define SIM_BPF_WRITE_MAX 16777216u /* BPF_WRITE_MAX, 14.1 and later */
#define SIM_BPF_IN 1u               /* BPF_D_IN, BPF_D_OUT */
#define SIM_BPF_OUT 2u
#define SIM_BPF_ETHER 14u /* bytes of an Ethernet header */

struct sim_bpf_insn { /* struct bpf_insn */
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

enum sim_bpf_state { SIM_BPF_IDLE, SIM_BPF_WAITING, SIM_BPF_TIMED_OUT };

/* struct bpf_d of bpfdesc.h; its names without bd_ are in the remarks where ours differ */
struct sim_bpf {
	struct sim_bpf *next; /* on the same interface */
	struct sim_file *file;
	unsigned minor;
	struct sim_ifnet *ifp; /* bif; NULL: not attached */
	uint32_t dlt;
	uint32_t hdrlen; /* bif_hdrlen: of each record */

	uint8_t *store, *hold, *spare; /* owned: sbuf, hbuf, fbuf */
	uint32_t store_len, hold_len;  /* bytes */
	uint32_t store_n, hold_n;      /* frames */
	uint32_t size;                 /* bufsize */
	uint32_t recv_n, drop_n;       /* rcount, dcount */

	uint8_t immediate; /* a byte of what BIOCIMMEDIATE gave (rule 38) */
	bool hdrcmplt, headdrop, promisc, divert_in, batch_write, no_stamp;
	uint32_t direction; /* SIM_BPF_* */
	uint32_t write_max; /* write_size_max */
	int32_t traffic_class;
	struct sim_bpf_insn *filter; /* owned; NULL: everything */
	unsigned filter_len;

	uint32_t timeout_ticks; /* rtout; 0: none */
	enum sim_bpf_state state;
	uint64_t deadline_us; /* while WAITING */
	unsigned wakeups;     /* counted, so that a sleeper knows */
	unsigned knotes;
	bool knote_flag; /* BPF_KNOTE: whether knotes are told */
};

/* sim_bpf.c */
int sim_bpf_setif(struct sim_bpf *d, const char *name);
void sim_bpf_reset(struct sim_bpf *d); /* reset_d() */
int sim_bpf_promisc(struct sim_bpf *d);

/* sim_bpf_ioctl.c */
int sim_bpf_ioctl(struct sim_file *f, unsigned long request, void *arg);

/* sim_bpf_write.c */
long sim_bpf_write(
	struct sim_file *f, const void *buf, size_t size, const void *addr, size_t addr_len);

/* sim_bpf_filter.c */
bool sim_bpf_validate(const struct sim_bpf_insn *f, unsigned len);
uint32_t sim_bpf_filter(
	const struct sim_bpf_insn *f, unsigned f_len, const uint8_t *frame, uint32_t len);

#endif
