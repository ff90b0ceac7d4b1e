/* sim_priv.h - the inside of the simulated kernel. See sim.h.
 *
 *   sim_core.c    machines, processes, descriptors, the way in of every call, profiles, time
 *   sim_ifnet.c   interfaces: cloning, flags, protocols; if.c, dlil*.c
 *   sim_ifioctl.c the ioctls on interfaces; if.c:ifioctl()
 *   sim_inet.c, sim_inet6.c   addresses and what they bring along; netinet/in.c, netinet6/in6*.c
 *   sim_member.c  multicast memberships; if.c
 *   sim_rtmsg.c   routing messages, sim_iflist.c the dump of them; net/rtsock.c
 *   sim_host.c    what the host's stack sends and gets, what tests look at
 *   sim_local.c   the table darwin_sys
 *   sim_feth.c    what if_fake.c adds: peers, limits captured at create, and the frame path
 *   sim_route.c   routing sockets and event sockets; rtsock.c, kern_event.c
 *   sim_sysctl.c  net.link.fake.* and what else is asked for by name
 *   sim_bpf*.c    BPF devices; bpf.c, bpf_filter.c (see sim_bpf.h)
 *   sim_sock.c    options and states of sockets (see sim_file.h); uipc_socket*.c
 *   sim_ndrv.c    AF_NDRV sockets; ndrv.c
 *   sim_utun.c    utun interfaces and their control sockets; if_utun.c, kern_control.c
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
	uint64_t serial; /* of all files ever, so that a descriptor's next owner can be told */
	const struct sim_file_ops *ops; /* a NULL member: the call is not for this kind */
	void *priv;
	bool nonblock;
};

#define SIM_FD_FIRST 3
#define SIM_FD_MAX 256 /* the soft RLIMIT_NOFILE that launchd gives */

struct sim_proc {
	struct sim_proc *next;
	struct sim *sim;
	uint32_t euid;
	int32_t pid;
	bool sigpipe;
	struct sim_file *files[SIM_FD_MAX]; /* owned; by descriptor */
};

/* sim_core.c. A new descriptor, the lowest free from 3; -DW_EMFILE, -DW_ENOMEM. */
int sim_file_new(
	struct sim_proc *p, const struct sim_file_ops *ops, void *priv, struct sim_file **out);
/* Who has this descriptor; NULL: EBADF. */
struct sim_file *sim_file_find(const struct sim_proc *p, int fd);
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
	int family;       /* DW_AF_INET, DW_AF_INET6 */
	uint8_t addr[16]; /* link-local IPv6 with the index embedded, as in6_setscope() does */
	uint8_t mask[16], broad[4];
	unsigned prefix;
	bool route;     /* IFA_ROUTE: the subnet's route is this address's; IPv4 only */
	unsigned joins; /* how often its groups were joined; IPv6 only */
};

struct sim_member { /* a multicast membership */
	struct sim_member *next;
	int family; /* DW_AF_INET, DW_AF_INET6, DW_AF_LINK */
	uint8_t group[16];
	uint8_t mac[6];
	unsigned refs;         /* joins; of a link entry: entries that map to it, and 1 for anon */
	unsigned anon;         /* joined by SIOCADDMULTI so often */
	struct sim_member *ll; /* the link entry of an IP one */
};

#define SIM_ROUTES 8u

/* struct ifnet; stays for good under its name (dlil recycles by name), so descriptors may hold it:
 * `attached` says whether it is there. */
struct sim_ifnet {
	struct sim_ifnet *next;
	struct sim *sim;
	char name[DW_IFNAMSIZ];
	uint16_t index;
	uint8_t type; /* DW_IFT_ETHER */
	bool cloned, feth, utun;
	bool attached;       /* visible to look-ups */
	bool detaching;      /* destroyed, and BPF and the protocols do not know yet */
	bool inuse;          /* DLIF_INUSE: the detach is not through, create says EBUSY */
	uint64_t detach_us;  /* when it began */
	unsigned busy_left;  /* knobs.busy_calls still to go */
	uint64_t generation; /* counts creates: a descriptor of an earlier one gets ENXIO */
	uint32_t flags, mtu, metric;
	uint8_t mac[6], mac_len;
	unsigned media_n;
	int32_t media[27];
	char base[DW_IFNAMSIZ]; /* the name without the unit: what if_name is in XNU */
	unsigned unit;
	struct sim_ifnet *peer;
	/* captured at create (if_fake.c:feth_clone_create) */
	uint32_t max_mtu;
	bool hwcsum, tso, fcs, lro, bsd_mode;
	bool separate_header, vlan_tagging, txstart;
	unsigned trailer;
	uint32_t caps, caps_on; /* DW_IFCAP_*: what it can do, what is in use */
	bool stalled;           /* SET_DEQUEUE_STALL */
	bool input_off;         /* BIOCSDVRTIN: IFXF_DISABLE_INPUT */
	/* protocols attached (dlil.c:dlil_handle_proto_attach) */
	bool proto_inet, proto_inet6;
	unsigned n_ndrv; /* sockets bound; the protocol is attached while there are any. Zero again
			    once the interface is gone: a socket of an earlier generation has
			    nothing to detach any more */
	struct sim_addr *addrs;
	bool all_hosts;             /* 224.0.0.1 joined for the addresses: if_allhostsinm */
	struct sim_member *members; /* newest first, as if_multiaddrs */
	struct sim_bpf *bpfs;       /* descriptors attached, linked by sim_bpf.c */
	struct sim_file *control;   /* of a utun: whose it is */
	struct {
		uint8_t net[4], mask[4];
	} routes[SIM_ROUTES]; /* that programs added */
	unsigned n_routes;
	struct sim_queue out; /* not sent yet */
	struct sim_queue in;  /* what came in, for sim_host_input() */
};

/* sim_ifnet.c */
struct sim_ifnet *sim_ifnet_find(struct sim *sim, const char *name); /* only attached ones */
struct sim_ifnet *sim_ifnet_named(struct sim *sim, const char *base, unsigned unit);
int sim_clone_create(struct sim *sim, char name[DW_IFNAMSIZ]);
/* Attaches one whose name is free, and begins its end. */
struct sim_ifnet *sim_ifnet_make(struct sim *sim, const char *base, unsigned unit);
void sim_ifnet_end(struct sim_ifnet *ifp);
int sim_clone_destroy(struct sim *sim, const char name[DW_IFNAMSIZ]);
/* sim_ifioctl.c; for sockets of every family */
int sim_ifioctl(struct sim_file *f, unsigned long request, void *arg, int family);
/* sim_inet.c: in_control(), in6_control(). -DW_EOPNOTSUPP: not theirs, the driver is asked. */
int sim_in_control(struct sim_file *f, struct sim_ifnet *ifp, unsigned long request, void *arg);
int sim_in6_control(struct sim_file *f, struct sim_ifnet *ifp, unsigned long request, void *arg);
void sim_inet_updown(struct sim_ifnet *ifp, bool up); /* rip_ctlinput(): PRC_IFUP, PRC_IFDOWN */
void sim_inet_purge(struct sim_ifnet *ifp);           /* if_purgeaddrs() */
void sim_inet6_purge(struct sim_ifnet *ifp);          /* in6_purgeif() */
void sim_inet_free(struct sim_ifnet *ifp);

/* sim_member.c: memberships; if.c:if_addmulti_common(), if_delmulti_common(). The network level:
 * @group 4 or 16 bytes. The link level by hand: SIOCADDMULTI, SIOCDELMULTI. */
int sim_member_join(struct sim_ifnet *ifp, int family, const void *group);
int sim_member_leave(struct sim_ifnet *ifp, int family, const void *group);
int sim_link_member(struct sim_ifnet *ifp, const struct dw_sockaddr *sa, bool join);
/* in6_setscope(): the index goes into what has link or interface scope */
void sim_embed_scope(const struct sim_ifnet *ifp, uint8_t addr[16]);
/* kpi_interface.c:ifnet_set_flags(): tells routing sockets where UP changes. */
void sim_set_flags(struct sim_ifnet *ifp, uint32_t flags, uint32_t mask);
/* dlil_handle_proto_attach(), if_proto_free(): UP comes with the first, goes with the last. With
 * DW_AF_NDRV they count n_ndrv, and attach with the first socket and detach with the last. */
void sim_proto_attach(struct sim_ifnet *ifp, int family);
void sim_proto_detach(struct sim_ifnet *ifp, int family);

bool sim_proto_any(const struct sim_ifnet *ifp);

/* sim_feth.c */
int sim_feth_create(struct sim_ifnet *ifp);   /* feth_clone_create(): after the name is known */
void sim_feth_destroy(struct sim_ifnet *ifp); /* feth_clone_destroy(), as far as it is feth's */
int sim_feth_ioctl(struct sim_file *f, struct sim_ifnet *ifp, unsigned long request, void *arg);
void sim_queue_flush(struct sim_queue *q);
struct sim_frame *sim_queue_take(struct sim_queue *q);
void sim_queue_put(struct sim_queue *q, const void *data, size_t len);
/* -DW_ENXIO, -DW_ENETDOWN: what is asked before a frame is queued */
int sim_output_ready(const struct sim_ifnet *ifp);
void sim_enqueue(struct sim_ifnet *ifp, const void *frame, size_t len);

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
void sim_bpf_settle(struct sim *sim); /* read timers that are due go off; for sim_settle() */

/* sim_ndrv.c, sim_unix.c, sim_route.c, sim_ready.c: new sockets, behind sim_socket() */
int sim_ndrv_socket(struct sim_proc *p, int type);
int sim_unix_socket(struct sim_proc *p, int type);
int sim_route_socket(struct sim_proc *p);
int sim_control_socket(struct sim_proc *p); /* sim_utun.c */
int sim_utun_ioctl(struct sim_ifnet *ifp, unsigned long request, const void *arg);
long sim_route_write(struct sim_file *f, const uint8_t *msg, size_t size);
int sim_event_socket(struct sim_proc *p);
int sim_inet_socket(struct sim_proc *p, int family); /* sim_ifioctl.c: for ioctls only */

/* sim_route.c: tells routing sockets and event sockets */
void sim_tell_ifinfo(struct sim_ifnet *ifp); /* rt_ifmsg() */
void sim_tell_addr(struct sim_ifnet *ifp, const struct sim_addr *addr, bool added);
void sim_tell_member(struct sim_ifnet *ifp, const struct sim_member *m, bool joined);
void sim_tell_event(struct sim_ifnet *ifp, uint32_t code); /* dlil_post_msg(), KEV_DL_* */
void sim_tell_proto(struct sim_ifnet *ifp, uint32_t code, int family); /* KEV_DL_PROTO_* */

/* sim_rtmsg.c: addresses as they lie in routing messages and dumps, and messages of them. */
#define SIM_SA_MAX 64
struct sim_rtinfo {
	bool has[DW_RTAX_MAX];
	uint8_t sa[DW_RTAX_MAX][SIM_SA_MAX]; /* each with its length in front */
};
#define SIM_RTMSG_MAX 1024
void sim_rt_link(struct sim_rtinfo *info, int which, const struct sim_ifnet *ifp);
void sim_rt_addr(struct sim_rtinfo *info, const struct sim_addr *a);
void sim_rt_member(
	struct sim_rtinfo *info, const struct sim_ifnet *ifp, const struct sim_member *m);
/* rt_msg1(), rt_msg2(): @head bytes of header and what @info has; with @round the last address too
 * is padded. Returns how long it is; the header's first four bytes are filled in. */
size_t sim_rt_build(uint8_t out[SIM_RTMSG_MAX], uint8_t type, size_t head,
	const struct sim_rtinfo *info, bool round, int32_t *addrs);
/* sim_iflist.c: NET_RT_IFLIST2 */
int sim_iflist2(struct sim *sim, int af, int index, void *old, size_t *old_len);

/* -- the machine -- */

/* The net.link.fake.* that a create captures, and max_mtu. */
struct sim_fake_sysctl {
	int txstart, hwcsum, vlan_tagging, nxattach, bsd_mode, tso_support, lro;
	int separate_frame_header, fcs, trailer_length, max_mtu, buflet_size, debug;
};

struct sim {
	uint64_t serials;
	int32_t next_pid;
	enum sim_profile profile;
	struct sim_knobs knobs;
	struct sim_ifnet *ifnets; /* in the order of their attaching, as ifnet_head */
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

void sim_settle(struct sim *sim);       /* what is due happens; sim_run() without the release */
void sim_ifnet_settle(struct sim *sim); /* destroys finish */
void sim_ifnet_free(struct sim *sim);
void sim_fake_init(struct sim_fake_sysctl *fake);

void sim_bpf_free(struct sim *sim);
void sim_route_free(struct sim *sim);
void sim_unix_free(struct sim *sim);

#endif
