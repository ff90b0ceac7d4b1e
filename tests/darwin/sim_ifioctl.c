/* sim_ifioctl.c - the ioctls on interfaces, whatever socket they come by: if.c:ifioctl(). */
#include "tests/darwin/sim_priv.h"

#include <string.h>

/* IFF_CANTCHANGE of net/if_private.h, with IFF_POINTOPOINT and IFF_OACTIVE */
#define CANTCHANGE                                                                                 \
	(DW_IFF_BROADCAST | 0x10u | DW_IFF_RUNNING | 0x400u | DW_IFF_SIMPLEX | DW_IFF_MULTICAST |  \
		DW_IFF_ALLMULTI)

/* Those that want root, by the names that knobs.fail_call knows. */
static const struct {
	unsigned long request;
	const char *name;
} privileged[] = {
	{ DW_SIOCIFCREATE, "SIOCIFCREATE" },
	{ DW_SIOCIFCREATE2, "SIOCIFCREATE2" },
	{ DW_SIOCIFDESTROY, "SIOCIFDESTROY" },
	{ DW_SIOCSDRVSPEC, "SIOCSDRVSPEC" },
	{ DW_SIOCSIFFLAGS, "SIOCSIFFLAGS" },
	{ DW_SIOCSIFMETRIC, "SIOCSIFMETRIC" },
	{ DW_SIOCSIFMTU, "SIOCSIFMTU" },
	{ DW_SIOCSIFLLADDR, "SIOCSIFLLADDR" },
	{ DW_SIOCSIFCAP, "SIOCSIFCAP" },
	{ DW_SIOCADDMULTI, "SIOCADDMULTI" },
	{ DW_SIOCDELMULTI, "SIOCDELMULTI" },
	{ DW_SIOCAIFADDR, "SIOCAIFADDR" },
	{ DW_SIOCDIFADDR, "SIOCDIFADDR" },
	{ DW_SIOCAIFADDR_IN6, "SIOCAIFADDR_IN6" },
	{ DW_SIOCDIFADDR_IN6, "SIOCDIFADDR_IN6" },
};

static int told_to_fail(struct sim *sim, unsigned long request)
{
	for (size_t i = 0; i < sizeof(privileged) / sizeof(privileged[0]); i++) {
		if (privileged[i].request == request)
			return sim_told_to_fail(sim, privileged[i].name);
	}
	return 0;
}

static int set_flags(struct sim_file *f, struct sim_ifnet *ifp, struct dw_ifreq *ifr)
{
	sim_set_flags(ifp, (uint16_t)ifr->u.flags, 0xffff & ~CANTCHANGE);
	sim_feth_ioctl(f, ifp, DW_SIOCSIFFLAGS, ifr); /* its error is ignored */
	sim_tell_event(ifp, DW_KEV_DL_SIFFLAGS);
	return 0;
}

static int set_mtu(struct sim_file *f, struct sim_ifnet *ifp, struct dw_ifreq *ifr)
{
	if (ifr->u.mtu < (int32_t)DW_IF_MINMTU || ifr->u.mtu > (int32_t)DW_IF_MAXMTU)
		return -DW_EINVAL;
	int rc = sim_feth_ioctl(f, ifp, DW_SIOCSIFMTU, ifr);
	if (rc)
		return rc;
	sim_tell_event(ifp, DW_KEV_DL_SIFMTU);
	sim_tell_ifinfo(ifp);
	return 0;
}

/* SIOCADDMULTI, SIOCDELMULTI: the link level's own memberships */
static int set_multi(struct sim_ifnet *ifp, unsigned long request, struct dw_ifreq *ifr)
{
	bool join = request == DW_SIOCADDMULTI;

	if (!(ifp->flags & DW_IFF_MULTICAST))
		return -DW_EOPNOTSUPP;
	if (ifr->u.addr.family != DW_AF_UNSPEC && ifr->u.addr.family != DW_AF_LINK)
		return -DW_EINVAL;
	if (ifr->u.addr.len > sizeof(ifr->u.addr))
		ifr->u.addr.len = sizeof(ifr->u.addr);
	int rc = sim_link_member(ifp, &ifr->u.addr, join);
	if (rc)
		return rc;
	sim_tell_event(ifp, join ? DW_KEV_DL_ADDMULTI : DW_KEV_DL_DELMULTI);
	return 0;
}

/* if.c:ifioctl_ifreq(), the part that sets: all want root, after the interface is looked up */
static int set_ifreq(
	struct sim_file *f, struct sim_ifnet *ifp, unsigned long request, struct dw_ifreq *ifr)
{
	if (sim_euid(f->proc) != 0)
		return -DW_EPERM;
	switch (request) {
	case DW_SIOCSIFFLAGS:
		return set_flags(f, ifp, ifr);
	case DW_SIOCSIFMTU:
		return set_mtu(f, ifp, ifr);
	case DW_SIOCSIFMETRIC:
		ifp->metric = (uint32_t)ifr->u.metric;
		sim_tell_event(ifp, DW_KEV_DL_SIFMETRICS);
		return 0;
	case DW_SIOCSIFCAP:
		if ((uint32_t)ifr->u.cap[0] & ~ifp->caps)
			return -DW_EINVAL;
		return sim_feth_ioctl(f, ifp, request, ifr);
	case DW_SIOCADDMULTI:
	case DW_SIOCDELMULTI:
		return set_multi(ifp, request, ifr);
	default: /* SIOCSIFLLADDR */
		return sim_feth_ioctl(f, ifp, request, ifr);
	}
}

static int get_ifreq(
	struct sim_file *f, struct sim_ifnet *ifp, unsigned long request, struct dw_ifreq *ifr)
{
	switch (request) {
	case DW_SIOCGIFFLAGS:
		ifr->u.flags = (int16_t)ifp->flags;
		return 0;
	case DW_SIOCGIFMTU:
		ifr->u.mtu = (int32_t)ifp->mtu;
		return 0;
	case DW_SIOCGIFMETRIC:
		ifr->u.metric = (int32_t)ifp->metric;
		return 0;
	case DW_SIOCGIFCAP:
		ifr->u.cap[0] = (int32_t)ifp->caps;
		ifr->u.cap[1] = (int32_t)ifp->caps_on;
		return 0;
	default: /* SIOCGIFDEVMTU */
		return sim_feth_ioctl(f, ifp, request, ifr);
	}
}

/* What is on no list there: the protocol of the socket is asked, then the driver. */
static int other(struct sim_file *f, unsigned long request, void *arg, int family)
{
	char name[DW_IFNAMSIZ];

	if (DW_IOC_SIZE(request) < sizeof(name))
		return -DW_EINVAL;
	memcpy(name, arg, sizeof(name));
	struct sim_ifnet *ifp = sim_ifnet_find(f->sim, name);
	if (!ifp)
		return -DW_ENXIO;
	if (request == DW_SIOCGIFMEDIA)
		return sim_feth_ioctl(f, ifp, request, arg);

	int rc = family == DW_AF_INET    ? sim_in_control(f, ifp, request, arg)
		 : family == DW_AF_INET6 ? sim_in6_control(f, ifp, request, arg)
					 : -DW_EOPNOTSUPP;
	if (rc == -DW_EOPNOTSUPP && request != DW_SIOCAIFADDR && request != DW_SIOCDIFADDR)
		rc = sim_feth_ioctl(f, ifp, request, arg);
	return rc;
}

int sim_ifioctl(struct sim_file *f, unsigned long request, void *arg, int family)
{
	if ((request >> 8 & 0xff) != 'i')
		return -DW_EOPNOTSUPP;
	int rc = told_to_fail(f->sim, request);
	if (rc)
		return rc;

	struct dw_ifreq *ifr = arg;
	bool set = false;
	switch (request) {
	case DW_SIOCIFCREATE:
	case DW_SIOCIFCREATE2:
	case DW_SIOCIFDESTROY:
		ifr->name[DW_IFNAMSIZ - 1] = '\0';
		if (sim_euid(f->proc) != 0)
			return -DW_EPERM;
		return request == DW_SIOCIFDESTROY ? sim_clone_destroy(f->sim, ifr->name)
						   : sim_clone_create(f->sim, ifr->name);
	case DW_SIOCSIFFLAGS:
	case DW_SIOCSIFMTU:
	case DW_SIOCSIFMETRIC:
	case DW_SIOCSIFCAP:
	case DW_SIOCADDMULTI:
	case DW_SIOCDELMULTI:
	case DW_SIOCSIFLLADDR:
		set = true;
		break;
	case DW_SIOCGIFFLAGS:
	case DW_SIOCGIFMTU:
	case DW_SIOCGIFMETRIC:
	case DW_SIOCGIFCAP:
	case DW_SIOCGIFDEVMTU:
		break;
	default:
		return other(f, request, arg, family);
	}

	ifr->name[DW_IFNAMSIZ - 1] = '\0';
	struct sim_ifnet *ifp = sim_ifnet_find(f->sim, ifr->name);
	if (!ifp)
		return -DW_ENXIO;
	return set ? set_ifreq(f, ifp, request, ifr) : get_ifreq(f, ifp, request, ifr);
}

/* -- sockets of AF_INET and AF_INET6: for ioctls only -- */

static int inet_ioctl(struct sim_file *f, unsigned long request, void *arg)
{
	return sim_ifioctl(f, request, arg, DW_AF_INET);
}

static int inet6_ioctl(struct sim_file *f, unsigned long request, void *arg)
{
	return sim_ifioctl(f, request, arg, DW_AF_INET6);
}

static int inet_setsockopt(struct sim_file *f, int level, int option, const void *value, size_t len)
{
	(void)f;
	(void)level;
	(void)option;
	return value && len >= sizeof(int32_t) ? 0 : -DW_EINVAL;
}

static const struct sim_file_ops inet_ops = {
	.name = "inet", .ioctl = inet_ioctl, .setsockopt = inet_setsockopt
};
static const struct sim_file_ops inet6_ops = {
	.name = "inet6", .ioctl = inet6_ioctl, .setsockopt = inet_setsockopt
};

int sim_inet_socket(struct sim_proc *p, int family)
{
	return sim_file_new(p, family == DW_AF_INET ? &inet_ops : &inet6_ops, NULL, NULL);
}
