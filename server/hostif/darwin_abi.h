/* darwin_abi.h - the part of the Darwin kernel's interface that the feth backend speaks: numbers
 * and layouts, under names of our own.
 *
 * Much of it is in no SDK (if_fake_var.h, the newer BPF calls), some is missing from the one we
 * cross-compile with (net/bpf.h, net/ndrv.h), and the simulated kernel of tests/darwin needs it on
 * Linux, where these numbers mean something else. So nothing here includes or relies on a system
 * header. The layouts are those of LP64, the same on arm64 and x86_64; each is asserted below, and
 * a structure's size is part of its ioctl's number.
 *
 * Source: XNU xnu-11417.101.15 (macOS 15.4); files are named relative to bsd/. */
#ifndef SERVER_HOSTIF_DARWIN_ABI_H
#define SERVER_HOSTIF_DARWIN_ABI_H

#include <stddef.h>
#include <stdint.h>

/* -- error numbers (sys/errno.h); those of 1 to 34 are the same everywhere -- */
enum {
	DW_EPERM = 1,
	DW_ENOENT = 2,
	DW_ESRCH = 3,
	DW_EINTR = 4,
	DW_EIO = 5,
	DW_ENXIO = 6,
	DW_EBADF = 9,
	DW_ENOMEM = 12,
	DW_EACCES = 13,
	DW_EFAULT = 14,
	DW_EBUSY = 16,
	DW_EEXIST = 17,
	DW_ENODEV = 19,
	DW_EINVAL = 22,
	DW_EMFILE = 24,
	DW_ENOTTY = 25,
	DW_ENOSPC = 28,
	DW_EPIPE = 32,
	DW_EAGAIN = 35,
	DW_EALREADY = 37,
	DW_ENOTSOCK = 38,
	DW_EDESTADDRREQ = 39,
	DW_EMSGSIZE = 40,
	DW_EPROTOTYPE = 41,
	DW_EPROTONOSUPPORT = 43,
	DW_ENOTSUP = 45,
	DW_EAFNOSUPPORT = 47,
	DW_EADDRINUSE = 48,
	DW_EADDRNOTAVAIL = 49,
	DW_ENETDOWN = 50,
	DW_ECONNREFUSED = 61,
	DW_ECONNRESET = 54,
	DW_ENOBUFS = 55,
	DW_EISCONN = 56,
	DW_ENOTCONN = 57,
	DW_EOPNOTSUPP = 102,
};

/* -- families, sockets (sys/socket.h, net/ndrv.h) -- */
#define DW_AF_UNSPEC 0
#define DW_AF_UNIX 1
#define DW_AF_INET 2
#define DW_AF_ROUTE 17
#define DW_AF_LINK 18
#define DW_AF_NDRV 27
#define DW_AF_INET6 30
#define DW_AF_SYSTEM 32
#define DW_SOCK_STREAM 1
#define DW_SOCK_DGRAM 2
#define DW_SOCK_RAW 3
#define DW_SOCK_SEQPACKET 5
#define DW_SYSPROTO_EVENT 1
#define DW_SYSPROTO_CONTROL 2
#define DW_SOL_SOCKET 0xffff
#define DW_SO_SNDBUF 0x1001
#define DW_SO_RCVBUF 0x1002
#define DW_SO_NOSIGPIPE 0x1022

/* -- interfaces (net/if.h, net/if_types.h) -- */
#define DW_IFNAMSIZ 16u
#define DW_IFT_OTHER 1
#define DW_IFT_ETHER 6
#define DW_IFT_BRIDGE 209
#define DW_IF_MINMTU 72u
#define DW_IF_MAXMTU 65535u
#define DW_IF_MAXUNIT 0x7fffu

#define DW_IFF_UP 0x1u
#define DW_IFF_BROADCAST 0x2u
#define DW_IFF_POINTOPOINT 0x10u
#define DW_IFF_RUNNING 0x40u
#define DW_IFF_PROMISC 0x100u
#define DW_IFF_ALLMULTI 0x200u
#define DW_IFF_SIMPLEX 0x800u
#define DW_IFF_MULTICAST 0x8000u

#define DW_IFCAP_RXCSUM 0x1u
#define DW_IFCAP_TXCSUM 0x2u
#define DW_IFCAP_VLAN_MTU 0x4u
#define DW_IFCAP_VLAN_HWTAGGING 0x8u
#define DW_IFCAP_TSO4 0x20u
#define DW_IFCAP_TSO6 0x40u
#define DW_IFCAP_LRO 0x80u

/* sys/socket.h: any address; its length leads */
struct dw_sockaddr {
	uint8_t len;
	uint8_t family;
	uint8_t data[14];
};

struct dw_sockaddr_in {
	uint8_t len; /* 16 */
	uint8_t family;
	uint16_t port;
	uint8_t addr[4];
	uint8_t zero[8];
};

struct dw_sockaddr_in6 {
	uint8_t len; /* 28 */
	uint8_t family;
	uint16_t port;
	uint32_t flowinfo;
	uint8_t addr[16];
	uint32_t scope_id;
};

/* net/if_dl.h: data is the name, then the link address */
struct dw_sockaddr_dl {
	uint8_t len;
	uint8_t family;
	uint16_t index;
	uint8_t type;
	uint8_t nlen, alen, slen;
	uint8_t data[12]; /* often longer */
};

/* net/ndrv.h */
struct dw_sockaddr_ndrv {
	uint8_t len; /* 18 */
	uint8_t family;
	char name[DW_IFNAMSIZ];
};

struct dw_ifdevmtu {
	int32_t current, min, max;
};

struct dw_ifreq {
	char name[DW_IFNAMSIZ];
	union {
		struct dw_sockaddr addr;
		int16_t flags;
		int32_t mtu;
		int32_t metric;
		struct dw_ifdevmtu devmtu;
		int32_t cap[2]; /* wanted, current */
		uint64_t data;  /* a pointer */
	} u;
};

/* net/if.h, struct ifdrv, under #pragma pack(4) */
#pragma pack(push, 4)
struct dw_ifdrv {
	char name[DW_IFNAMSIZ];
	uint64_t cmd; /* unsigned long */
	uint64_t len; /* size_t, of *data */
	void *data;
};

struct dw_ifmediareq {
	char name[DW_IFNAMSIZ];
	int32_t current, mask, status, active, count;
	uint64_t list; /* a pointer */
};
#pragma pack(pop)

#define DW_IFM_AVALID 1
#define DW_IFM_ACTIVE 2

/* net/if_fake_var.h */
#define DW_FETH_SET_PEER 1u
#define DW_FETH_SET_MEDIA 2u
#define DW_FETH_SET_DEQUEUE_STALL 3u
#define DW_FETH_GET_PEER 1u
#define DW_FETH_MTU_MAX 16370u    /* FETH_MAX_MTU: 16 KiB less an Ethernet header */
#define DW_FETH_MTU_DEFAULT 2048u /* net.link.fake.max_mtu as the kernel starts with it */

struct dw_fake_media {
	int32_t current;
	uint32_t count;
	uint32_t reserved[3];
	int32_t list[27];
};

struct dw_fake_request {
	uint64_t reserved[4]; /* zero */
	union {
		char buf[128];
		struct dw_fake_media media;
		char peer_name[DW_IFNAMSIZ];
		uint32_t dequeue_stall;
	} u;
};

/* netinet/in_var.h, struct ifaliasreq of net/if.h */
struct dw_ifaliasreq {
	char name[DW_IFNAMSIZ];
	struct dw_sockaddr_in addr, broadaddr, mask;
};

/* netinet6/in6_var.h */
#define DW_IN6_IFF_NODAD 0x20
#define DW_ND6_INFINITE_LIFETIME 0xffffffffu

struct dw_in6_addrlifetime {
	int64_t expire, preferred;
	uint32_t vltime, pltime; /* seconds */
};

struct dw_in6_aliasreq {
	char name[DW_IFNAMSIZ];
	struct dw_sockaddr_in6 addr, dstaddr, prefixmask;
	int32_t flags;
	struct dw_in6_addrlifetime lifetime;
};

struct dw_in6_ifreq {
	char name[DW_IFNAMSIZ];
	union {
		struct dw_sockaddr_in6 addr;
		int32_t flags6;
		uint8_t size[272];
	} u;
};

/* -- ioctl numbers (sys/ioccom.h) -- */
#define DW_IOC_VOID 0x20000000ul
#define DW_IOC_OUT 0x40000000ul
#define DW_IOC_IN 0x80000000ul
#define DW_IOC_SIZE(request) ((size_t)((request) >> 16 & 0x1fff))
#define DW_IOC(dir, group, num, size)                                                              \
	((dir) | ((unsigned long)(size)&0x1fff) << 16 | (unsigned long)(group) << 8 | (num))
#define DW_IO(g, n) DW_IOC(DW_IOC_VOID, g, n, 0)
#define DW_IOR(g, n, t) DW_IOC(DW_IOC_OUT, g, n, sizeof(t))
#define DW_IOW(g, n, t) DW_IOC(DW_IOC_IN, g, n, sizeof(t))
#define DW_IOWR(g, n, t) DW_IOC(DW_IOC_IN | DW_IOC_OUT, g, n, sizeof(t))

/* sys/sockio.h; IFCREATE2 and the *_IN6 with their own sizes */
#define DW_SIOCIFCREATE DW_IOWR('i', 120, struct dw_ifreq)
#define DW_SIOCIFCREATE2 DW_IOWR('i', 122, struct dw_ifreq)
#define DW_SIOCIFDESTROY DW_IOW('i', 121, struct dw_ifreq)
#define DW_SIOCSDRVSPEC DW_IOW('i', 123, struct dw_ifdrv)
#define DW_SIOCGDRVSPEC DW_IOWR('i', 123, struct dw_ifdrv)
#define DW_SIOCSIFFLAGS DW_IOW('i', 16, struct dw_ifreq)
#define DW_SIOCGIFFLAGS DW_IOWR('i', 17, struct dw_ifreq)
#define DW_SIOCGIFMETRIC DW_IOWR('i', 23, struct dw_ifreq)
#define DW_SIOCSIFMETRIC DW_IOW('i', 24, struct dw_ifreq)
#define DW_SIOCDIFADDR DW_IOW('i', 25, struct dw_ifreq)
#define DW_SIOCAIFADDR DW_IOW('i', 26, struct dw_ifaliasreq)
#define DW_SIOCDIFADDR_IN6 DW_IOW('i', 25, struct dw_in6_ifreq)
#define DW_SIOCAIFADDR_IN6 DW_IOW('i', 26, struct dw_in6_aliasreq)
#define DW_SIOCADDMULTI DW_IOW('i', 49, struct dw_ifreq)
#define DW_SIOCDELMULTI DW_IOW('i', 50, struct dw_ifreq)
#define DW_SIOCGIFMTU DW_IOWR('i', 51, struct dw_ifreq)
#define DW_SIOCSIFMTU DW_IOW('i', 52, struct dw_ifreq)
#define DW_SIOCGIFMEDIA DW_IOWR('i', 56, struct dw_ifmediareq)
#define DW_SIOCSIFLLADDR DW_IOW('i', 60, struct dw_ifreq)
#define DW_SIOCGIFDEVMTU DW_IOWR('i', 68, struct dw_ifreq)
#define DW_SIOCSIFCAP DW_IOW('i', 90, struct dw_ifreq)
#define DW_SIOCGIFCAP DW_IOWR('i', 91, struct dw_ifreq)
#define DW_SIOCSKEVFILT DW_IOW('e', 2, struct dw_kev_request)

/* sys/filio.h */
#define DW_FIONREAD DW_IOR('f', 127, int32_t)
#define DW_FIONBIO DW_IOW('f', 126, int32_t)

/* -- BPF (net/bpf.h) -- */
#define DW_DLT_EN10MB 1u
#define DW_BPF_ALIGN 4u /* BPF_ALIGNMENT, sizeof(int32_t) */
#define DW_BPF_WORDALIGN(n) (((n) + (DW_BPF_ALIGN - 1)) & ~(size_t)(DW_BPF_ALIGN - 1))
#define DW_BPF_HDR 18u /* bytes of struct dw_bpf_hdr in use; what bh_hdrlen is on Ethernet */

struct dw_bpf_hdr {
	int32_t sec, usec;
	uint32_t caplen, datalen;
	uint16_t hdrlen;
};

struct dw_bpf_stat {
	uint32_t recv, drop;
};

struct dw_bpf_version {
	uint16_t major, minor;
};

struct dw_bpf_program {
	uint32_t len;
	uint64_t insns; /* a pointer */
};

struct dw_timeval {
	int64_t sec;
	int32_t usec, pad;
};

#define DW_BIOCGBLEN DW_IOR('B', 102, uint32_t)
#define DW_BIOCSBLEN DW_IOWR('B', 102, uint32_t)
#define DW_BIOCSETF DW_IOW('B', 103, struct dw_bpf_program)
#define DW_BIOCFLUSH DW_IO('B', 104)
#define DW_BIOCPROMISC DW_IO('B', 105)
#define DW_BIOCGDLT DW_IOR('B', 106, uint32_t)
#define DW_BIOCGETIF DW_IOR('B', 107, struct dw_ifreq)
#define DW_BIOCSETIF DW_IOW('B', 108, struct dw_ifreq)
#define DW_BIOCSRTIMEOUT DW_IOW('B', 109, struct dw_timeval)
#define DW_BIOCGRTIMEOUT DW_IOR('B', 110, struct dw_timeval)
#define DW_BIOCGSTATS DW_IOR('B', 111, struct dw_bpf_stat)
#define DW_BIOCIMMEDIATE DW_IOW('B', 112, uint32_t)
#define DW_BIOCVERSION DW_IOR('B', 113, struct dw_bpf_version)
#define DW_BIOCGHDRCMPLT DW_IOR('B', 116, uint32_t)
#define DW_BIOCSHDRCMPLT DW_IOW('B', 117, uint32_t)
#define DW_BIOCGSEESENT DW_IOR('B', 118, uint32_t)
#define DW_BIOCSSEESENT DW_IOW('B', 119, uint32_t)
#define DW_BIOCSETFNR DW_IOW('B', 126, struct dw_bpf_program)
/* private; the release that has it first */
#define DW_BIOCSHEADDROP DW_IOW('B', 128, int32_t)   /* 10.11 */
#define DW_BIOCGHEADDROP DW_IOR('B', 128, int32_t)   /* 10.11 */
#define DW_BIOCGDIRECTION DW_IOR('B', 138, uint32_t) /* 14.0 */
#define DW_BIOCSDIRECTION DW_IOW('B', 139, uint32_t) /* 14.0 */
#define DW_BIOCSWRITEMAX DW_IOW('B', 140, uint32_t)  /* 14.1 */
#define DW_BIOCGWRITEMAX DW_IOR('B', 141, uint32_t)  /* 14.1 */
#define DW_BIOCGBATCHWRITE DW_IOR('B', 142, int32_t) /* 14.1 */
#define DW_BIOCSBATCHWRITE DW_IOW('B', 143, int32_t) /* 14.1 */
#define DW_BIOCGNOTSTAMP DW_IOR('B', 144, int32_t)   /* 15.0 */
#define DW_BIOCSNOTSTAMP DW_IOW('B', 145, int32_t)   /* 15.0 */
#define DW_BIOCGDVRTIN DW_IOR('B', 146, int32_t)     /* 15.0 */
#define DW_BIOCSDVRTIN DW_IOW('B', 146, int32_t)     /* 15.0 */

/* -- routing socket and sysctl (net/route.h, net/if_var.h, sys/sysctl.h) -- */
#define DW_CTL_NET 4
#define DW_NET_RT_IFLIST2 6
#define DW_RTM_VERSION 5
#define DW_RTM_ADD 1
#define DW_RTM_DELETE 2
#define DW_RTM_NEWADDR 12
#define DW_RTM_DELADDR 13
#define DW_RTM_IFINFO 14
#define DW_RTM_NEWMADDR 15
#define DW_RTM_DELMADDR 16
#define DW_RTM_IFINFO2 18
#define DW_RTM_NEWMADDR2 19

/* the order of the addresses behind a message, one bit each in its `addrs` */
#define DW_RTAX_DST 0
#define DW_RTAX_GATEWAY 1
#define DW_RTAX_NETMASK 2
#define DW_RTAX_GENMASK 3
#define DW_RTAX_IFP 4
#define DW_RTAX_IFA 5
#define DW_RTAX_AUTHOR 6
#define DW_RTAX_BRD 7
#define DW_RTAX_MAX 8
/* each address takes its length rounded up to this, and this where the length is 0 (ROUNDUP32) */
#define DW_RT_ROUNDUP(len) ((len) > 0 ? 1 + (((size_t)(len)-1) | 3) : (size_t)4)

/* What all messages begin with. */
struct dw_rt_head {
	uint16_t msglen;
	uint8_t version, type;
};

struct dw_if_data { /* struct if_data of RTM_IFINFO; only its size matters */
	uint8_t type, typelen, physical, addrlen, hdrlen, recvquota, xmitquota, unused1;
	uint32_t mtu, metric, baudrate;
	uint32_t counters[19];
};

struct dw_if_msghdr { /* RTM_IFINFO */
	uint16_t msglen;
	uint8_t version, type;
	int32_t addrs, flags;
	uint16_t index;
	uint16_t pad;
	struct dw_if_data data;
};

struct dw_if_msghdr2 { /* RTM_IFINFO2 */
	uint16_t msglen;
	uint8_t version, type;
	int32_t addrs, flags;
	uint16_t index;
	uint16_t pad;
	int32_t snd_len, snd_maxlen, snd_drops, timer;
	uint8_t if_type, typelen, physical, addrlen, hdrlen, recvquota, xmitquota, unused1;
	uint32_t mtu, metric;
	uint64_t data[14]; /* the rest of struct if_data64: counters */
};

struct dw_ifa_msghdr { /* RTM_NEWADDR, RTM_DELADDR */
	uint16_t msglen;
	uint8_t version, type;
	int32_t addrs, flags;
	uint16_t index;
	uint16_t pad;
	int32_t metric;
};

struct dw_ifma_msghdr { /* RTM_NEWMADDR, RTM_DELMADDR */
	uint16_t msglen;
	uint8_t version, type;
	int32_t addrs, flags;
	uint16_t index;
	uint16_t pad;
};

struct dw_ifma_msghdr2 { /* RTM_NEWMADDR2 */
	uint16_t msglen;
	uint8_t version, type;
	int32_t addrs, flags;
	uint16_t index;
	uint16_t pad;
	int32_t refcount;
};

/* -- kernel events (sys/kern_event.h, net/net_kev.h) -- */
#define DW_KEV_VENDOR_APPLE 1u
#define DW_KEV_NETWORK_CLASS 1u
#define DW_KEV_DL_SUBCLASS 2u
enum {
	DW_KEV_DL_SIFFLAGS = 1,
	DW_KEV_DL_SIFMETRICS = 2,
	DW_KEV_DL_SIFMTU = 3,
	DW_KEV_DL_ADDMULTI = 7,
	DW_KEV_DL_DELMULTI = 8,
	DW_KEV_DL_IF_ATTACHED = 9,
	DW_KEV_DL_IF_DETACHING = 10,
	DW_KEV_DL_IF_DETACHED = 11,
	DW_KEV_DL_LINK_OFF = 12,
	DW_KEV_DL_LINK_ON = 13,
	DW_KEV_DL_PROTO_ATTACHED = 14,
	DW_KEV_DL_PROTO_DETACHED = 15,
	DW_KEV_DL_LINK_ADDRESS_CHANGED = 16,
};

struct dw_kev_request {
	uint32_t vendor, kev_class, subclass;
};

struct dw_kern_event_msg {
	uint32_t total_size, vendor, kev_class, subclass, id, code;
	uint32_t data[1];
};

struct dw_net_event_data {
	uint32_t family, unit;
	char name[DW_IFNAMSIZ]; /* without the unit */
};

/* -- routes (net/route.h) -- */
#define DW_RTF_UP 0x1
#define DW_RTF_STATIC 0x800

struct dw_rt_msghdr {
	uint16_t msglen;
	uint8_t version, type;
	uint16_t index;
	int32_t flags, addrs, pid, seq, error, use;
	uint32_t inits, metrics[14];
};

/* -- kernel controls, and that of utun (sys/kern_control.h, sys/sys_domain.h, net/if_utun.h) -- */
#define DW_AF_SYS_CONTROL 2
/* A packet must fit into the socket's buffer of 512 KiB (utun_register_control()); the ioctl takes
 * up to DW_IF_MAXMTU. What fits into our frames. */
#define DW_UTUN_MTU_MAX 65521u
#define DW_UTUN_CONTROL_NAME "com.apple.net.utun_control"

struct dw_ctl_info {
	uint32_t id;
	char name[96];
};
#define DW_CTLIOCGINFO DW_IOWR('N', 3, struct dw_ctl_info)

struct dw_sockaddr_ctl {
	uint8_t len; /* 32 */
	uint8_t family;
	uint16_t sysaddr; /* DW_AF_SYS_CONTROL */
	uint32_t id, unit;
	uint32_t reserved[5];
};

/* -- Unix sockets (sys/un.h, sys/ucred.h) -- */
#define DW_SOL_LOCAL 0
#define DW_LOCAL_PEERCRED 1
#define DW_LOCAL_PEERPID 2

struct dw_xucred {
	uint32_t version; /* 0 */
	uint32_t uid;
	int16_t ngroups;
	uint32_t groups[16]; /* the first is the effective gid */
};

struct dw_sockaddr_un {
	uint8_t len;
	uint8_t family;
	char path[104];
};

/* -- what all of this must come to -- */
#define DW_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
#define DW_AT(type, field, at)                                                                     \
	_Static_assert(offsetof(struct type, field) == (at), #type "." #field)
#define DW_IS(name, value) _Static_assert((name) == (value), #name)

_Static_assert(sizeof(void *) == 8, "LP64");
DW_SIZE(dw_sockaddr, 16);
DW_SIZE(dw_sockaddr_in, 16);
DW_SIZE(dw_sockaddr_in6, 28);
DW_SIZE(dw_sockaddr_dl, 20);
DW_AT(dw_sockaddr_dl, data, 8);
DW_SIZE(dw_sockaddr_ndrv, 18);
DW_SIZE(dw_sockaddr_un, 106);
DW_SIZE(dw_ifreq, 32);
DW_AT(dw_ifreq, u, 16);
DW_SIZE(dw_ifdrv, 40);
DW_AT(dw_ifdrv, len, 24);
DW_AT(dw_ifdrv, data, 32);
DW_SIZE(dw_ifmediareq, 44);
DW_SIZE(dw_fake_media, 128);
DW_SIZE(dw_fake_request, 160);
DW_AT(dw_fake_request, u, 32);
DW_SIZE(dw_ifaliasreq, 64);
DW_SIZE(dw_in6_addrlifetime, 24);
DW_SIZE(dw_in6_aliasreq, 128);
DW_AT(dw_in6_aliasreq, dstaddr, 44);
DW_AT(dw_in6_aliasreq, prefixmask, 72);
DW_AT(dw_in6_aliasreq, flags, 100);
DW_AT(dw_in6_aliasreq, lifetime, 104);
DW_SIZE(dw_in6_ifreq, 288);
DW_SIZE(dw_bpf_hdr, 20);
DW_AT(dw_bpf_hdr, hdrlen, 16);
DW_SIZE(dw_bpf_program, 16);
DW_SIZE(dw_bpf_stat, 8);
DW_SIZE(dw_timeval, 16);
DW_SIZE(dw_rt_head, 4);
DW_SIZE(dw_if_data, 96);
DW_SIZE(dw_if_msghdr, 112);
DW_SIZE(dw_if_msghdr2, 160);
DW_AT(dw_if_msghdr2, if_type, 32);
DW_AT(dw_if_msghdr2, mtu, 40);
DW_SIZE(dw_ifa_msghdr, 20);
DW_SIZE(dw_ifma_msghdr, 16);
DW_SIZE(dw_ifma_msghdr2, 20);
DW_AT(dw_ifma_msghdr2, refcount, 16);
DW_SIZE(dw_kev_request, 12);
DW_SIZE(dw_kern_event_msg, 28);
DW_SIZE(dw_net_event_data, 24);
DW_SIZE(dw_xucred, 76);
DW_SIZE(dw_rt_msghdr, 92);
DW_SIZE(dw_ctl_info, 100);
DW_SIZE(dw_sockaddr_ctl, 32);
DW_IS(DW_CTLIOCGINFO, 0xC0644E03ul);

DW_IS(DW_SIOCIFCREATE, 0xC0206978ul);
DW_IS(DW_SIOCIFCREATE2, 0xC020697Aul);
DW_IS(DW_SIOCIFDESTROY, 0x80206979ul);
DW_IS(DW_SIOCSDRVSPEC, 0x8028697Bul);
DW_IS(DW_SIOCGDRVSPEC, 0xC028697Bul);
DW_IS(DW_SIOCGIFFLAGS, 0xC0206911ul);
DW_IS(DW_SIOCSIFFLAGS, 0x80206910ul);
DW_IS(DW_SIOCGIFMTU, 0xC0206933ul);
DW_IS(DW_SIOCSIFMTU, 0x80206934ul);
DW_IS(DW_SIOCGIFDEVMTU, 0xC0206944ul);
DW_IS(DW_SIOCGIFMETRIC, 0xC0206917ul);
DW_IS(DW_SIOCSIFMETRIC, 0x80206918ul);
DW_IS(DW_SIOCSIFLLADDR, 0x8020693Cul);
DW_IS(DW_SIOCGIFMEDIA, 0xC02C6938ul);
DW_IS(DW_SIOCGIFCAP, 0xC020695Bul);
DW_IS(DW_SIOCSIFCAP, 0x8020695Aul);
DW_IS(DW_SIOCADDMULTI, 0x80206931ul);
DW_IS(DW_SIOCDELMULTI, 0x80206932ul);
DW_IS(DW_SIOCAIFADDR, 0x8040691Aul);
DW_IS(DW_SIOCDIFADDR, 0x80206919ul);
DW_IS(DW_SIOCAIFADDR_IN6, 0x8080691Aul);
DW_IS(DW_SIOCDIFADDR_IN6, 0x81206919ul);
DW_IS(DW_SIOCSKEVFILT, 0x800C6502ul);
DW_IS(DW_FIONREAD, 0x4004667Ful);
DW_IS(DW_FIONBIO, 0x8004667Eul);
DW_IS(DW_BIOCGBLEN, 0x40044266ul);
DW_IS(DW_BIOCSBLEN, 0xC0044266ul);
DW_IS(DW_BIOCSETF, 0x80104267ul);
DW_IS(DW_BIOCSETFNR, 0x8010427Eul);
DW_IS(DW_BIOCFLUSH, 0x20004268ul);
DW_IS(DW_BIOCPROMISC, 0x20004269ul);
DW_IS(DW_BIOCGDLT, 0x4004426Aul);
DW_IS(DW_BIOCGETIF, 0x4020426Bul);
DW_IS(DW_BIOCSETIF, 0x8020426Cul);
DW_IS(DW_BIOCSRTIMEOUT, 0x8010426Dul);
DW_IS(DW_BIOCGRTIMEOUT, 0x4010426Eul);
DW_IS(DW_BIOCGSTATS, 0x4008426Ful);
DW_IS(DW_BIOCIMMEDIATE, 0x80044270ul);
DW_IS(DW_BIOCVERSION, 0x40044271ul);
DW_IS(DW_BIOCGHDRCMPLT, 0x40044274ul);
DW_IS(DW_BIOCSHDRCMPLT, 0x80044275ul);
DW_IS(DW_BIOCGSEESENT, 0x40044276ul);
DW_IS(DW_BIOCSSEESENT, 0x80044277ul);
DW_IS(DW_BIOCSHEADDROP, 0x80044280ul);
DW_IS(DW_BIOCGHEADDROP, 0x40044280ul);
DW_IS(DW_BIOCGDIRECTION, 0x4004428Aul);
DW_IS(DW_BIOCSDIRECTION, 0x8004428Bul);
DW_IS(DW_BIOCSWRITEMAX, 0x8004428Cul);
DW_IS(DW_BIOCGWRITEMAX, 0x4004428Dul);
DW_IS(DW_BIOCGBATCHWRITE, 0x4004428Eul);
DW_IS(DW_BIOCSBATCHWRITE, 0x8004428Ful);
DW_IS(DW_BIOCGNOTSTAMP, 0x40044290ul);
DW_IS(DW_BIOCSNOTSTAMP, 0x80044291ul);
DW_IS(DW_BIOCGDVRTIN, 0x40044292ul);
DW_IS(DW_BIOCSDVRTIN, 0x80044292ul);

#undef DW_SIZE
#undef DW_AT
#undef DW_IS

#endif
