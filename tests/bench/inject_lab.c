/* inject_lab.c - see inject_lab.h. */
#include "tests/bench/inject_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_FIRST 32700u /* downwards, in twos: far above what fethd and ZeroTier take */
#define UNIT_LAST 32600u
#define BPF_MAX 256u      /* bpf.c: bpf_maxdevices */
#define ETHERTYPE 0x88b5u /* IEEE 802: local experimental; no stack knows what to do with it */
#define MAX_MTU "net.link.fake.max_mtu"

const char *lab_errname(long rc)
{
	static const struct {
		long code;
		const char *name;
	} names[] = {
		{ DW_EPERM, "EPERM" },
		{ DW_ENOENT, "ENOENT" },
		{ DW_EIO, "EIO" },
		{ DW_ENXIO, "ENXIO" },
		{ DW_EACCES, "EACCES" },
		{ DW_EBUSY, "EBUSY" },
		{ DW_EEXIST, "EEXIST" },
		{ DW_EINVAL, "EINVAL" },
		{ DW_EAGAIN, "EAGAIN" },
		{ DW_EMSGSIZE, "EMSGSIZE" },
		{ DW_EPROTONOSUPPORT, "EPROTONOSUPPORT" },
		{ DW_ENETDOWN, "ENETDOWN" },
		{ DW_ENOBUFS, "ENOBUFS" },
	};
	static char other[32];
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].code == -rc)
			return names[i].name;
	snprintf(other, sizeof(other), "error %ld", -rc);
	return other;
}

void lab_sysctl_text(const char *name, char *out, size_t size)
{
	size_t len = size - 1;
	if (darwin_sys.sysctlbyname(name, out, &len, NULL, 0) < 0)
		len = 0;
	out[len] = '\0';
}

bool lab_sysctl_int(const char *name, int32_t *out)
{
	size_t len = sizeof(*out);
	return darwin_sys.sysctlbyname(name, out, &len, NULL, 0) == 0 && len == sizeof(*out);
}

static int fail(struct err *err, int rc, const char *what, const char *ifname)
{
	return err_set(err, rc, "%s on %s: %s", what, ifname, lab_errname(rc));
}

static void request(struct dw_ifreq *req, const char *ifname)
{
	memset(req, 0, sizeof(*req));
	snprintf(req->name, sizeof(req->name), "%s", ifname);
}

/* -- the pair -- */

static int create(struct lab *lab, char out[DW_IFNAMSIZ], unsigned unit)
{
	struct dw_ifreq req;
	char name[DW_IFNAMSIZ];
	snprintf(name, sizeof(name), "feth%u", unit);
	request(&req, name);
	const int rc = darwin_sys.ioctl(lab->ctl, DW_SIOCIFCREATE, &req);
	if (!rc)
		memcpy(out, name, sizeof(name));
	return rc;
}

static void destroy(struct lab *lab, char name[DW_IFNAMSIZ])
{
	struct dw_ifreq req;
	if (!name[0])
		return;
	request(&req, name);
	const int rc = darwin_sys.ioctl(lab->ctl, DW_SIOCIFDESTROY, &req);
	if (rc < 0 && rc != -DW_ENXIO)
		fprintf(stderr, "bench_inject: %s stays (%s): ifconfig %s destroy\n", name,
			lab_errname(rc), name);
	name[0] = '\0';
}

/* The units are free where both can be made: a taken one is left alone. */
static int create_pair(struct lab *lab, struct err *err)
{
	int rc = -DW_EEXIST;
	for (unsigned unit = UNIT_FIRST; unit > UNIT_LAST; unit -= 2) {
		rc = create(lab, lab->service, unit);
		if (!rc)
			rc = create(lab, lab->host, unit - 1);
		if (!rc)
			return 0;
		destroy(lab, lab->service);
		if (rc != -DW_EEXIST && rc != -DW_EBUSY)
			break;
	}
	return err_set(err, rc, "cannot make feth interfaces: %s%s", lab_errname(rc),
		rc == -DW_EPERM ? "; run it as root" : "");
}

/* A feth captures the limit when it is made (if_fake.c:feth_clone_create). */
static void raise_max_mtu(struct lab *lab)
{
	int32_t was;
	const int32_t want = (int32_t)DW_FETH_MTU_MAX;
	if (!lab_sysctl_int(MAX_MTU, &was) || was >= want)
		return; /* 10.14 has no such setting, and no limit but the largest */
	if (darwin_sys.sysctlbyname(MAX_MTU, NULL, NULL, &want, sizeof(want)) == 0)
		lab->max_mtu_was = was;
}

static void restore_max_mtu(struct lab *lab)
{
	if (lab->max_mtu_was)
		(void)darwin_sys.sysctlbyname(
			MAX_MTU, NULL, NULL, &lab->max_mtu_was, sizeof(lab->max_mtu_was));
	lab->max_mtu_was = 0;
}

static int set_up(struct lab *lab, const char *name, struct err *err)
{
	struct dw_ifreq req;
	request(&req, name);
	req.u.mtu = (int32_t)lab->mtu;
	int rc = darwin_sys.ioctl(lab->ctl, DW_SIOCSIFMTU, &req);
	if (rc < 0)
		return fail(err, rc, "SIOCSIFMTU", name);
	request(&req, name);
	rc = darwin_sys.ioctl(lab->ctl, DW_SIOCGIFFLAGS, &req);
	if (!rc) {
		req.u.flags = (int16_t)((uint16_t)req.u.flags | DW_IFF_UP);
		rc = darwin_sys.ioctl(lab->ctl, DW_SIOCSIFFLAGS, &req);
	}
	return rc < 0 ? fail(err, rc, "SIOCSIFFLAGS", name) : 0;
}

static int set_peer(struct lab *lab, struct err *err)
{
	struct dw_fake_request peer = { 0 };
	struct dw_ifdrv drv = { .cmd = DW_FETH_SET_PEER, .len = sizeof(peer), .data = &peer };
	memcpy(drv.name, lab->host, sizeof(drv.name));
	memcpy(peer.u.peer_name, lab->service, sizeof(peer.u.peer_name));
	const int rc = darwin_sys.ioctl(lab->ctl, DW_SIOCSDRVSPEC, &drv);
	return rc < 0 ? fail(err, rc, "SIOCSDRVSPEC", lab->host) : 0;
}

int lab_open(struct lab *lab, struct err *err)
{
	struct dw_ifreq req;
	*lab = (struct lab){ .ctl = darwin_sys.socket(DW_AF_INET, DW_SOCK_DGRAM, 0) };
	if (lab->ctl < 0)
		return fail(err, lab->ctl, "socket(AF_INET)", "this machine");
	raise_max_mtu(lab);
	int rc = create_pair(lab, err);
	restore_max_mtu(lab);
	if (rc < 0)
		goto failed;

	lab->mtu = DW_FETH_MTU_MAX;
	request(&req, lab->host);
	if (darwin_sys.ioctl(lab->ctl, DW_SIOCGIFDEVMTU, &req) == 0 && req.u.devmtu.max > 0 &&
		(uint32_t)req.u.devmtu.max < lab->mtu)
		lab->mtu = (uint32_t)req.u.devmtu.max;
	rc = set_peer(lab, err);
	if (!rc)
		rc = set_up(lab, lab->service, err);
	if (!rc)
		rc = set_up(lab, lab->host, err);
	if (!rc)
		return 0;

failed:
	lab_close(lab);
	return rc;
}

void lab_close(struct lab *lab)
{
	restore_max_mtu(lab);
	destroy(lab, lab->service);
	destroy(lab, lab->host);
	if (lab->ctl >= 0)
		darwin_sys.close(lab->ctl);
	lab->ctl = -1;
}

/* -- ways in and out -- */

int lab_ndrv(const char *ifname, struct err *err)
{
	struct dw_sockaddr_ndrv addr = { .len = sizeof(addr), .family = DW_AF_NDRV };
	snprintf(addr.name, sizeof(addr.name), "%s", ifname);
	const int fd = darwin_sys.socket(DW_AF_NDRV, DW_SOCK_RAW, 0);
	if (fd < 0)
		return fail(err, fd, "socket(AF_NDRV)", ifname);
	int rc = darwin_sys.bind(fd, &addr, sizeof(addr));
	if (!rc)
		rc = darwin_sys.connect(fd, &addr, sizeof(addr));
	/* 8192 at first, and no frame may be longer (ndrv.c: NDRVSNDQ) */
	if (!rc)
		rc = darwin_sys.setsockopt(fd, DW_SOL_SOCKET, DW_SO_SNDBUF, 4 * LAB_FRAME_MAX);
	if (!rc)
		return fd;
	darwin_sys.close(fd);
	return fail(err, rc, "AF_NDRV", ifname);
}

static int open_device(struct err *err)
{
	int rc = -DW_ENOENT;
	for (unsigned i = 0; i < BPF_MAX; i++) {
		char path[24];
		snprintf(path, sizeof(path), "/dev/bpf%u", i);
		rc = darwin_sys.open(path);
		if (rc >= 0)
			return rc;
		if (rc != -DW_EBUSY)
			break;
	}
	return err_set(err, rc, "no BPF device is free: %s", lab_errname(rc));
}

int lab_bpf_open(struct lab_bpf *bpf, const char *ifname, uint32_t size, struct err *err)
{
	struct dw_ifreq req;
	uint32_t on = 1, off = 0;
	bpf->buf = NULL;
	bpf->fd = open_device(err);
	if (bpf->fd < 0)
		return bpf->fd;
	request(&req, ifname);
	const struct {
		unsigned long number;
		void *arg;
		const char *name;
	} steps[] = {
		{ DW_BIOCSBLEN, &size, "BIOCSBLEN" },
		{ DW_BIOCIMMEDIATE, &on, "BIOCIMMEDIATE" },
		{ DW_BIOCSSEESENT, &off, "BIOCSSEESENT" },
		{ DW_BIOCSHDRCMPLT, &on, "BIOCSHDRCMPLT" },
		{ DW_BIOCSETIF, &req, "BIOCSETIF" },
		{ DW_BIOCGBLEN, &bpf->size, "BIOCGBLEN" },
	};
	int rc = 0;
	for (unsigned i = 0; !rc && i < sizeof(steps) / sizeof(steps[0]); i++) {
		rc = darwin_sys.ioctl(bpf->fd, steps[i].number, steps[i].arg);
		if (rc < 0)
			fail(err, rc, steps[i].name, ifname);
	}
	if (!rc)
		bpf->buf = malloc(bpf->size);
	if (!rc && !bpf->buf)
		rc = err_set(err, -DW_ENOMEM, "out of memory");
	if (rc < 0)
		lab_bpf_close(bpf);
	return rc;
}

void lab_bpf_close(struct lab_bpf *bpf)
{
	if (bpf->fd >= 0)
		darwin_sys.close(bpf->fd);
	free(bpf->buf);
	*bpf = (struct lab_bpf){ .fd = -1 };
}

uint32_t lab_bpf_seen(const struct lab_bpf *bpf)
{
	struct dw_bpf_stat stat = { 0 };
	(void)darwin_sys.ioctl(bpf->fd, DW_BIOCGSTATS, &stat);
	return stat.recv;
}

long lab_bpf_read(struct lab_bpf *bpf, lab_frame_fn each, void *ctx)
{
	const long len = darwin_sys.read(bpf->fd, bpf->buf, bpf->size);
	if (len < 0)
		return len == -DW_EAGAIN ? 0 : len;
	long n = 0;
	for (size_t at = 0; at + DW_BPF_HDR <= (size_t)len; n++) {
		struct dw_bpf_hdr hdr;
		memcpy(&hdr, bpf->buf + at, DW_BPF_HDR);
		if (hdr.hdrlen < DW_BPF_HDR || hdr.caplen > (size_t)len - at ||
			hdr.hdrlen > (size_t)len - at - hdr.caplen)
			return -DW_EINVAL;
		each(ctx, bpf->buf + at + hdr.hdrlen, hdr.caplen, hdr.caplen == hdr.datalen);
		at += DW_BPF_WORDALIGN((size_t)hdr.hdrlen + hdr.caplen);
	}
	return n;
}

/* -- frames -- */

static uint8_t pattern(uint32_t seq, uint32_t at)
{
	return (uint8_t)(seq * 31 + at);
}

void lab_frame(uint8_t *at, uint32_t seq, uint32_t size)
{
	/* To nobody, from nobody; locally administered. */
	static const uint8_t head[14] = { 2, 'b', 'e', 'n', 'c', 'h', 2, 'i', 'n', 'j', 'e', 'c',
		ETHERTYPE >> 8, ETHERTYPE & 0xff };
	memcpy(at, head, sizeof(head));
	for (unsigned i = 0; i < 4; i++)
		at[14 + i] = (uint8_t)(seq >> (24 - 8 * i));
	for (uint32_t i = LAB_HEADER; i < size; i++)
		at[i] = pattern(seq, i);
}

bool lab_frame_ours(const uint8_t *frame, uint32_t len, uint32_t *out_seq)
{
	if (len < LAB_HEADER || frame[12] != ETHERTYPE >> 8 || frame[13] != (ETHERTYPE & 0xff))
		return false;
	*out_seq = (uint32_t)frame[14] << 24 | (uint32_t)frame[15] << 16 |
		   (uint32_t)frame[16] << 8 | frame[17];
	return true;
}

bool lab_frame_same(const uint8_t *frame, uint32_t seq, uint32_t size)
{
	for (uint32_t i = LAB_HEADER; i < size; i++)
		if (frame[i] != pattern(seq, i))
			return false;
	return true;
}

uint32_t lab_record(uint8_t *at, uint32_t seq, uint32_t size)
{
	const struct dw_bpf_hdr hdr = { .caplen = size, .datalen = size, .hdrlen = DW_BPF_HDR };
	const uint32_t len = (uint32_t)DW_BPF_WORDALIGN(DW_BPF_HDR + (size_t)size);
	memset(at + len - DW_BPF_ALIGN, 0, DW_BPF_ALIGN);
	memcpy(at, &hdr, DW_BPF_HDR);
	lab_frame(at + DW_BPF_HDR, seq, size);
	return len;
}
