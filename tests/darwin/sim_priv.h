/* sim_priv.h - the inside of the simulated kernel. See sim.h.
 *
 *   sim_core.c    machines, processes, descriptors, the way in of every call, profiles, time
 *   sim_ifnet.c   interfaces: cloning, flags, MTU, addresses, protocols; if.c, dlil*.c, in*.c
 *   sim_feth.c    what if_fake.c adds: peers, limits captured at create, and the frame path
 *   sim_route.c   routing sockets, kernel events, the NET_RT_IFLIST2 dump, memberships
 *   sim_sysctl.c  net.link.fake.* and what else is asked for by name
 *   sim_bpf.c     BPF devices; bpf.c, bpf_filter.c is left out
 *   sim_ndrv.c    AF_NDRV sockets; ndrv.c
 *   sim_unix.c    AF_UNIX sockets, as far as the rules speak of them; uipc_usrreq.c
 *   sim_ready.c   poll, select, kqueue; sys_generic.c, bpf.c:bpfkqfilter */
#ifndef TESTS_DARWIN_SIM_PRIV_H
#define TESTS_DARWIN_SIM_PRIV_H

#include "tests/darwin/sim.h"

struct sim_ifnet;
struct sim_file;
struct sim_bpf;

/* -- files: what a descriptor stands for -- */

struct sim_file_ops {
	const char *name;
	int (*ioctl)(struct sim_file *f, unsigned long request, void *arg);
	long (*read)(struct sim_file *f, void *buf, size_t size);
	/* one write, sendto or writev, gathered; @addr NULL but for sendto */
	long (*write)(struct sim_file *f, const void *buf, size_t size, const void *addr,
		size_t addr_len);
	int (*bind)(struct sim_file *f, const void *addr, size_t len);
	int (*connect)(struct sim_file *f, const void *addr, size_t len);
	int (*setsockopt)(struct sim_file *f, int level, int option, const void *value, size_t len);
	int (*getsockopt)(struct sim_file *f, int level, int option, void *value, size_t *len);
	int (*shutdown)(struct sim_file *f, int how);
	int (*poll)(struct sim_file *f, int events);
	int (*select)(struct sim_file *f, bool write);
	int (*knote_add)(struct sim_file *f, int filter); /* 0 or -DW_E* */
	void (*knote_delete)(struct sim_file *f, int filter);
	bool (*knote_ready)(struct sim_file *f, int filter);
	void (*close)(struct sim_file *f); /* last close; frees what is behind priv */
};

struct sim_file {
	struct sim *sim;
	struct sim_proc *proc; /* whose it is; duplicates and passing on are not simulated */
	int fd;
	const struct sim_file_ops *ops; /* a NULL member: the call is not for this kind */
	void *priv;
	bool nonblock;
};

/* sim_core.c. A new descriptor, the lowest free from 3; -DW_EMFILE, -DW_ENOMEM. */
int sim_file_new(
	struct sim_proc *p, const struct sim_file_ops *ops, void *priv, struct sim_file **out);
/* Something became ready for reading: tells whoever waits (sim_on_ready). */
void sim_file_ready(struct sim_file *f);
/* Whether this privileged call is to fail now (knobs fail_*): 0 or the -DW_E*. */
int sim_told_to_fail(struct sim *sim, const char *call);
uint32_t sim_euid(const struct sim_proc *p);
void sim_post_sigpipe(struct sim_proc *p);

/* -- interfaces -- */

#define SIM_QUEUE_LIMIT 2048u /* frames; fq_codel's packet limit */

struct sim_frame {
	struct sim_frame *next;
	uint32_t len;
	uint8_t data[];
};

struct sim_queue {
	struct sim_frame *first, **end;
	unsigned n;
};

struct sim_addr {
	struct sim_addr *next;
	int family; /* DW_AF_INET, DW_AF_INET6 */
	uint8_t addr[16];
	unsigned prefix;
};

struct sim_member { /* a multicast membership */
	struct sim_member *next;
	int family; /* DW_AF_INET, DW_AF_INET6, DW_AF_LINK */
	uint8_t group[16];
	uint8_t mac[6];
	unsigned refs;
};

/* struct ifnet; stays for good under its name (dlil recycles by name), so descriptors may hold it:
 * `attached` says whether it is there. */
struct sim_ifnet {
	struct sim_ifnet *next;
	struct sim *sim;
	char name[DW_IFNAMSIZ];
	uint16_t index;
	uint8_t type; /* DW_IFT_ETHER */
	bool cloned, feth;
	bool attached;       /* visible to look-ups */
	bool inuse;          /* DLIF_INUSE: the detach is not through, create says EBUSY */
	uint64_t detach_us;  /* when it began */
	unsigned busy_left;  /* knobs.busy_calls still to go */
	uint64_t generation; /* counts creates: a descriptor of an earlier one gets ENXIO */
	uint32_t flags, mtu, metric;
	uint8_t mac[6], mac_len;
	unsigned media_n;
	struct sim_ifnet *peer;
	/* captured at create (if_fake.c:feth_clone_create) */
	uint32_t max_mtu;
	bool hwcsum, tso, fcs, lro, bsd_mode;
	unsigned trailer;
	bool stalled; /* SET_DEQUEUE_STALL */
	/* protocols attached (dlil.c:dlil_handle_proto_attach) */
	bool proto_inet, proto_inet6;
	unsigned n_ndrv; /* sockets bound; the protocol is attached while there are any */
	struct sim_addr *addrs;
	struct sim_member *members;
	struct sim_bpf *bpfs; /* descriptors attached, linked by sim_bpf.c */
	struct sim_queue out; /* not sent yet */
	struct sim_queue in;  /* what came in, for sim_host_input() */
};

/* sim_ifnet.c */
struct sim_ifnet *sim_ifnet_find(struct sim *sim, const char *name); /* only attached ones */
int sim_ifioctl(struct sim_file *f, unsigned long request, void *arg, int family);
/* dlil_handle_proto_attach(), if_proto_free(): UP comes with the first, goes with the last. */
void sim_proto_attach(struct sim_ifnet *ifp, int family);
void sim_proto_detach(struct sim_ifnet *ifp, int family);

/* sim_feth.c: ifnet_output_raw() and on: enqueues, then feth_start(). 0 also where the frame is
 * lost without a word; -DW_ENETDOWN, -DW_ENXIO, -DW_ENOBUFS. Aborts on a frame under 14 bytes: that
 * is a kernel panic. */
int sim_output(struct sim_ifnet *ifp, const void *frame, size_t len);
void sim_output_run(struct sim_ifnet *ifp); /* what waits in `out` goes, if it may */

/* sim_bpf.c */
int sim_bpf_open(struct sim_proc *p, const char *path);
void sim_bpf_tap(struct sim_ifnet *ifp, const void *frame, size_t len, bool outgoing);
void sim_bpf_detach(struct sim_ifnet *ifp); /* bpfdetach(): the interface goes */
unsigned sim_bpf_count(const struct sim_ifnet *ifp);

/* sim_ndrv.c, sim_unix.c, sim_route.c, sim_ready.c: new sockets, behind sim_socket() */
int sim_ndrv_socket(struct sim_proc *p, int type);
int sim_unix_socket(struct sim_proc *p, int type);
int sim_route_socket(struct sim_proc *p);
int sim_event_socket(struct sim_proc *p);
int sim_inet_socket(struct sim_proc *p, int family); /* sim_ifnet.c: for ioctls only */

/* sim_route.c: tells routing sockets and event sockets */
void sim_tell_ifinfo(struct sim_ifnet *ifp); /* rt_ifmsg() */
void sim_tell_addr(struct sim_ifnet *ifp, const struct sim_addr *addr, bool added);
void sim_tell_member(struct sim_ifnet *ifp, const struct sim_member *m, bool joined);
void sim_tell_event(struct sim_ifnet *ifp, uint32_t code); /* dlil_post_msg(), KEV_DL_* */

/* -- the machine -- */

/* The net.link.fake.* that a create captures, and max_mtu. */
struct sim_fake_sysctl {
	int txstart, hwcsum, vlan_tagging, nxattach, bsd_mode, tso_support, lro;
	int separate_frame_header, fcs, trailer_length, max_mtu, buflet_size;
};

struct sim {
	enum sim_profile profile;
	struct sim_knobs knobs;
	struct sim_ifnet *ifnets; /* in the order of their indexes */
	uint16_t next_index;
	struct sim_proc *procs;
	uint64_t now_us;
	uint64_t (*clock)(void);
	void (*ready)(void *ctx, struct sim_proc *p, int fd);
	void *ready_ctx;
	unsigned injections; /* counted for enobufs_every, lose_every */
	struct sim_fake_sysctl fake;
	void *bpf;   /* sim_bpf.c's: devices */
	void *route; /* sim_route.c's: sockets */
	void *unix_; /* sim_unix.c's: bound names */
};

void sim_bpf_free(struct sim *sim);
void sim_route_free(struct sim *sim);
void sim_unix_free(struct sim *sim);

#endif
