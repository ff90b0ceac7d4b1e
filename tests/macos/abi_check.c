/* abi_check.c - darwin_abi.h against what the SDK says, wherever it says anything. Compiled for
 * macOS only; there is nothing to run. What no SDK has (feth, the private BPF calls) rests on the
 * asserted numbers of darwin_abi.h alone. */
#include <errno.h>
#include <net/if.h>
#include <net/if_dl.h>
#include <net/if_var.h>
#include <net/net_kev.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/filio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/sysctl.h>
#include <sys/types.h>
#include <sys/ucred.h>
#include <sys/un.h>

#include "server/hostif/darwin_abi.h"

#define SAME(name) _Static_assert((DW_##name) == (name), #name)
#define SAME_SIZE(ours, theirs)                                                                    \
	_Static_assert(sizeof(struct ours) == sizeof(struct theirs), #theirs)
#define SAME_AT(ours, our_field, theirs, their_field)                                              \
	_Static_assert(offsetof(struct ours, our_field) == offsetof(struct theirs, their_field),   \
		#theirs "." #their_field)

SAME(EPERM);
SAME(ENOENT);
SAME(ESRCH);
SAME(EIO);
SAME(ENXIO);
SAME(EBADF);
SAME(ENOMEM);
SAME(EACCES);
SAME(EFAULT);
SAME(EBUSY);
SAME(EEXIST);
SAME(ENODEV);
SAME(EINVAL);
SAME(EMFILE);
SAME(ENOTTY);
SAME(ENOSPC);
SAME(EPIPE);
SAME(EAGAIN);
SAME(EALREADY);
SAME(ENOTSOCK);
SAME(EDESTADDRREQ);
SAME(EMSGSIZE);
SAME(EPROTOTYPE);
SAME(EPROTONOSUPPORT);
SAME(ENOTSUP);
SAME(EAFNOSUPPORT);
SAME(EADDRINUSE);
SAME(EADDRNOTAVAIL);
SAME(ENETDOWN);
SAME(ECONNREFUSED);
SAME(ECONNRESET);
SAME(ENOBUFS);
SAME(EISCONN);
SAME(ENOTCONN);
SAME(EOPNOTSUPP);

SAME(AF_UNSPEC);
SAME(AF_UNIX);
SAME(AF_INET);
SAME(AF_ROUTE);
SAME(AF_LINK);
SAME(AF_NDRV);
SAME(AF_INET6);
SAME(AF_SYSTEM);
SAME(SOCK_STREAM);
SAME(SOCK_DGRAM);
SAME(SOCK_RAW);
SAME(SOCK_SEQPACKET);
SAME(SOL_SOCKET);
SAME(SO_SNDBUF);
SAME(SO_RCVBUF);
SAME(SO_NOSIGPIPE);
SAME(SOL_LOCAL);
SAME(LOCAL_PEERCRED);
SAME(LOCAL_PEERPID);

SAME(IFNAMSIZ);
SAME(IFF_UP);
SAME(IFF_BROADCAST);
SAME(IFF_POINTOPOINT);
SAME(IFF_RUNNING);
SAME(IFF_PROMISC);
SAME(IFF_ALLMULTI);
SAME(IFF_SIMPLEX);
SAME(IFF_MULTICAST);
SAME(IFCAP_RXCSUM);
SAME(IFCAP_TXCSUM);
SAME(IFCAP_VLAN_MTU);
SAME(IFCAP_VLAN_HWTAGGING);
SAME(IFCAP_TSO4);
SAME(IFCAP_TSO6);
SAME(IFCAP_LRO);

SAME_SIZE(dw_sockaddr, sockaddr);
SAME_SIZE(dw_sockaddr_in, sockaddr_in);
SAME_SIZE(dw_sockaddr_in6, sockaddr_in6);
SAME_SIZE(dw_sockaddr_dl, sockaddr_dl);
SAME_AT(dw_sockaddr_dl, index, sockaddr_dl, sdl_index);
SAME_AT(dw_sockaddr_dl, nlen, sockaddr_dl, sdl_nlen);
SAME_AT(dw_sockaddr_dl, alen, sockaddr_dl, sdl_alen);
SAME_AT(dw_sockaddr_dl, data, sockaddr_dl, sdl_data);
SAME_SIZE(dw_sockaddr_un, sockaddr_un);
SAME_SIZE(dw_xucred, xucred);
SAME(RTM_ADD);
SAME(RTM_DELETE);
SAME(RTF_UP);
SAME(RTF_STATIC);
SAME_SIZE(dw_rt_msghdr, rt_msghdr);
SAME_AT(dw_rt_msghdr, flags, rt_msghdr, rtm_flags);
SAME_AT(dw_rt_msghdr, addrs, rt_msghdr, rtm_addrs);
SAME_AT(dw_xucred, ngroups, xucred, cr_ngroups);
SAME_AT(dw_xucred, groups, xucred, cr_groups);
SAME_SIZE(dw_ifreq, ifreq);
SAME_AT(dw_ifreq, u, ifreq, ifr_ifru);
SAME_SIZE(dw_ifdevmtu, ifdevmtu);
SAME_AT(dw_ifdevmtu, max, ifdevmtu, ifdm_max);
SAME_SIZE(dw_ifmediareq, ifmediareq);
SAME_AT(dw_ifmediareq, status, ifmediareq, ifm_status);
SAME_SIZE(dw_ifaliasreq, ifaliasreq);
SAME_AT(dw_ifaliasreq, mask, ifaliasreq, ifra_mask);

SAME(SIOCIFCREATE);
SAME(SIOCIFCREATE2);
SAME(SIOCIFDESTROY);
SAME(SIOCSIFFLAGS);
SAME(SIOCGIFFLAGS);
SAME(SIOCGIFMETRIC);
SAME(SIOCSIFMETRIC);
SAME(SIOCDIFADDR);
SAME(SIOCAIFADDR);
SAME(SIOCADDMULTI);
SAME(SIOCDELMULTI);
SAME(SIOCGIFMTU);
SAME(SIOCSIFMTU);
SAME(SIOCGIFMEDIA);
SAME(SIOCSIFLLADDR);
SAME(SIOCGIFDEVMTU);
SAME(SIOCSIFCAP);
SAME(SIOCGIFCAP);
SAME(FIONREAD);
SAME(FIONBIO);

SAME(CTL_NET);
SAME(NET_RT_IFLIST2);
SAME(RTM_VERSION);
SAME(RTM_NEWADDR);
SAME(RTM_DELADDR);
SAME(RTM_IFINFO);
SAME(RTM_NEWMADDR);
SAME(RTM_DELMADDR);
SAME(RTM_IFINFO2);
SAME(RTM_NEWMADDR2);
SAME(RTAX_GATEWAY);
SAME(RTAX_NETMASK);
SAME(RTAX_IFP);
SAME(RTAX_IFA);
SAME(RTAX_BRD);
SAME(RTAX_MAX);
SAME_SIZE(dw_if_data, if_data);
SAME_SIZE(dw_if_msghdr, if_msghdr);
SAME_AT(dw_if_msghdr, data, if_msghdr, ifm_data);
SAME_SIZE(dw_if_msghdr2, if_msghdr2);
SAME_AT(dw_if_msghdr2, if_type, if_msghdr2, ifm_data);
SAME_SIZE(dw_ifa_msghdr, ifa_msghdr);
SAME_SIZE(dw_ifma_msghdr, ifma_msghdr);
SAME_SIZE(dw_ifma_msghdr2, ifma_msghdr2);
SAME_AT(dw_ifma_msghdr2, refcount, ifma_msghdr2, ifmam_refcount);

SAME(KEV_DL_SIFFLAGS);
SAME(KEV_DL_SIFMETRICS);
SAME(KEV_DL_SIFMTU);
SAME(KEV_DL_ADDMULTI);
SAME(KEV_DL_DELMULTI);
SAME(KEV_DL_IF_ATTACHED);
SAME(KEV_DL_IF_DETACHING);
SAME(KEV_DL_IF_DETACHED);
SAME(KEV_DL_LINK_OFF);
SAME(KEV_DL_LINK_ON);
SAME(KEV_DL_PROTO_ATTACHED);
SAME(KEV_DL_PROTO_DETACHED);
SAME(KEV_DL_LINK_ADDRESS_CHANGED);

/* What Apple's own SDK has and the one we cross-compile with has not. */
#if __has_include(<net/bpf.h>)
#include <net/bpf.h>
SAME(DLT_EN10MB);
SAME(BIOCGBLEN);
SAME(BIOCSBLEN);
SAME(BIOCSETF);
SAME(BIOCSETFNR);
SAME(BIOCFLUSH);
SAME(BIOCPROMISC);
SAME(BIOCGDLT);
SAME(BIOCGETIF);
SAME(BIOCSETIF);
SAME(BIOCSRTIMEOUT);
SAME(BIOCGRTIMEOUT);
SAME(BIOCGSTATS);
SAME(BIOCIMMEDIATE);
SAME(BIOCVERSION);
SAME(BIOCGHDRCMPLT);
SAME(BIOCSHDRCMPLT);
SAME(BIOCGSEESENT);
SAME(BIOCSSEESENT);
SAME_SIZE(dw_bpf_hdr, bpf_hdr);
SAME_AT(dw_bpf_hdr, caplen, bpf_hdr, bh_caplen);
SAME_AT(dw_bpf_hdr, hdrlen, bpf_hdr, bh_hdrlen);
SAME_SIZE(dw_bpf_program, bpf_program);
SAME_SIZE(dw_bpf_stat, bpf_stat);
_Static_assert(DW_BPF_ALIGN == BPF_ALIGNMENT, "BPF_ALIGNMENT");
#endif
#if __has_include(<net/ndrv.h>)
#include <net/ndrv.h>
SAME_SIZE(dw_sockaddr_ndrv, sockaddr_ndrv);
SAME_AT(dw_sockaddr_ndrv, name, sockaddr_ndrv, snd_name);
#endif
#if __has_include(<netinet6/in6_var.h>)
#include <netinet6/in6_var.h>
SAME(SIOCAIFADDR_IN6);
SAME(SIOCDIFADDR_IN6);
SAME(IN6_IFF_NODAD);
SAME_SIZE(dw_in6_aliasreq, in6_aliasreq);
SAME_AT(dw_in6_aliasreq, lifetime, in6_aliasreq, ifra_lifetime);
SAME_SIZE(dw_in6_ifreq, in6_ifreq);
#endif
#if __has_include(<net/if_types.h>)
#include <net/if_types.h>
SAME(IFT_OTHER);
SAME(IFT_ETHER);
#endif
#if __has_include(<sys/kern_control.h>) && __has_include(<sys/sys_domain.h>)
#include <sys/kern_control.h>
#include <sys/sys_domain.h>
SAME(SYSPROTO_CONTROL);
SAME(AF_SYS_CONTROL);
SAME(CTLIOCGINFO);
SAME_SIZE(dw_ctl_info, ctl_info);
SAME_SIZE(dw_sockaddr_ctl, sockaddr_ctl);
SAME_AT(dw_sockaddr_ctl, unit, sockaddr_ctl, sc_unit);
#endif
#if __has_include(<net/if_utun.h>)
#include <net/if_utun.h>
_Static_assert(sizeof(DW_UTUN_CONTROL_NAME) == sizeof(UTUN_CONTROL_NAME), "UTUN_CONTROL_NAME");
#endif
