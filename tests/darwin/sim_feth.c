/* sim_feth.c - what if_fake.c adds to an interface: peers, limits captured at create, and the way
 * of a frame. */
#include "tests/darwin/sim_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETHER_HDR 14u
#define INPUT_KEPT 4096u

/* net/if_media.h */
#define IFM_ETHER 0x20
#define IFM_FDX 0x100000
#define IFM_10G_T 21

/* -- create and destroy -- */

/* if_fake.c:feth_ifnet_set_attrs() */
static void set_caps(struct sim_ifnet *ifp)
{
	uint32_t caps = 0;

	if (ifp->hwcsum)
		caps |= DW_IFCAP_RXCSUM | DW_IFCAP_TXCSUM;
	if (ifp->tso)
		caps |= DW_IFCAP_TSO4 | DW_IFCAP_TSO6;
	if (ifp->lro)
		caps |= DW_IFCAP_LRO;
	if (ifp->sim->profile >= SIM_15)
		caps |= ifp->vlan_tagging ? DW_IFCAP_VLAN_HWTAGGING : DW_IFCAP_VLAN_MTU;
	ifp->caps = ifp->caps_on = caps;
}

/* feth_clone_create(). Everything of net.link.fake.* that counts is copied here, and changes to it
 * have no effect any more afterwards. */
int sim_feth_create(struct sim_ifnet *ifp)
{
	const struct sim_fake_sysctl *fake = &ifp->sim->fake;

	ifp->feth = ifp->cloned = true;
	ifp->type = DW_IFT_ETHER;
	ifp->mtu = 1500;
	ifp->flags = DW_IFF_BROADCAST | DW_IFF_MULTICAST | DW_IFF_SIMPLEX;
	ifp->metric = 0;
	ifp->peer = NULL;
	ifp->stalled = false;
	/* get_max_mtu() */
	ifp->max_mtu = (uint32_t)fake->max_mtu;
	if (fake->bsd_mode && ifp->max_mtu > DW_FETH_MTU_MAX)
		ifp->max_mtu = DW_FETH_MTU_MAX;
	ifp->hwcsum = fake->hwcsum != 0;
	ifp->tso = fake->tso_support != 0;
	ifp->fcs = fake->fcs != 0;
	ifp->lro = fake->lro != 0;
	ifp->bsd_mode = fake->bsd_mode != 0;
	ifp->separate_header = fake->separate_frame_header != 0;
	ifp->vlan_tagging = fake->vlan_tagging != 0;
	ifp->txstart = fake->txstart != 0;
	ifp->trailer = (unsigned)fake->trailer_length;
	/* the first two of default_media_words; the others are not simulated */
	ifp->media_n = 2;
	ifp->media[0] = IFM_ETHER;
	ifp->media[1] = IFM_ETHER | IFM_10G_T | IFM_FDX;
	set_caps(ifp);
	return 0;
}

/* feth_config() */
static int set_peer(struct sim_ifnet *ifp, struct sim_ifnet *peer)
{
	if (peer) {
		if (ifp->peer || peer->peer)
			return -DW_EBUSY;
		ifp->peer = peer;
		peer->peer = ifp;
		sim_tell_event(ifp, DW_KEV_DL_LINK_ON);
		sim_tell_event(peer, DW_KEV_DL_LINK_ON);
	} else if (ifp->peer) {
		peer = ifp->peer;
		ifp->peer = NULL;
		peer->peer = NULL;
		sim_tell_event(ifp, DW_KEV_DL_LINK_OFF);
		sim_tell_event(peer, DW_KEV_DL_LINK_OFF);
	}
	return 0;
}

void sim_feth_destroy(struct sim_ifnet *ifp)
{
	set_peer(ifp, NULL);
}

/* -- ioctls -- */

/* if_fake.c:if_fake_request_copyin() */
static int copyin(struct dw_fake_request *out, const struct dw_ifdrv *drv)
{
	if (!drv->data || (uint32_t)drv->len < sizeof(*out))
		return -DW_EINVAL;
	memcpy(out, drv->data, sizeof(*out));
	for (unsigned i = 0; i < 4; i++) {
		if (out->reserved[i] != 0)
			return -DW_EINVAL;
	}
	return 0;
}

/* feth_set_drvspec() */
static int set_drvspec(struct sim_ifnet *ifp, const struct dw_ifdrv *drv)
{
	struct dw_fake_request req;
	uint32_t cmd = (uint32_t)drv->cmd;

	if (cmd != DW_FETH_SET_PEER && cmd != DW_FETH_SET_MEDIA && cmd != DW_FETH_SET_DEQUEUE_STALL)
		return -DW_EOPNOTSUPP;
	int rc = copyin(&req, drv);
	if (rc)
		return rc;

	switch (cmd) {
	case DW_FETH_SET_PEER: {
		if (req.u.peer_name[0] == '\0')
			return set_peer(ifp, NULL);
		req.u.peer_name[DW_IFNAMSIZ - 1] = '\0';
		struct sim_ifnet *peer = sim_ifnet_find(ifp->sim, req.u.peer_name);
		if (!peer)
			return -DW_ENXIO;
		if (peer->type != DW_IFT_ETHER || !peer->feth)
			return -DW_EINVAL;
		return set_peer(ifp, peer);
	}
	case DW_FETH_SET_MEDIA: /* feth_set_media() */
		if (req.u.media.count > 27)
			return -DW_EINVAL;
		ifp->media_n = req.u.media.count;
		memcpy(ifp->media, req.u.media.list, ifp->media_n * sizeof(int32_t));
		return 0;
	default: /* feth_enable_dequeue_stall() */
		ifp->stalled = req.u.dequeue_stall != 0;
		if (!ifp->stalled)
			sim_output_run(ifp);
		return 0;
	}
}

/* feth_get_drvspec() */
static int get_drvspec(const struct sim_ifnet *ifp, const struct dw_ifdrv *drv)
{
	struct dw_fake_request req = { 0 };

	if ((uint32_t)drv->cmd != DW_FETH_GET_PEER)
		return -DW_EOPNOTSUPP;
	if ((uint32_t)drv->len < sizeof(req))
		return -DW_EINVAL;
	if (ifp->peer)
		memcpy(req.u.peer_name, ifp->peer->name, DW_IFNAMSIZ);
	if (!drv->data)
		return -DW_EFAULT;
	memcpy(drv->data, &req, sizeof(req));
	return 0;
}

static int get_media(const struct sim_ifnet *ifp, struct dw_ifmediareq *req)
{
	req->active = ifp->peer ? IFM_ETHER | IFM_10G_T | IFM_FDX : IFM_ETHER;
	req->current = IFM_ETHER;
	req->mask = 0;
	req->status = ifp->peer ? DW_IFM_AVALID | DW_IFM_ACTIVE : DW_IFM_AVALID;
	if (req->list == 0) {
		req->count = (int32_t)ifp->media_n;
	} else if (req->count > 0) {
		if ((unsigned)req->count > ifp->media_n)
			req->count = (int32_t)ifp->media_n;
		memcpy((void *)(uintptr_t)req->list, ifp->media,
			(size_t)req->count * sizeof(int32_t));
	}
	return 0;
}

/* if_fake.c:feth_ioctl(); @f NULL where the kernel itself calls */
int sim_feth_ioctl(struct sim_file *f, struct sim_ifnet *ifp, unsigned long request, void *arg)
{
	struct dw_ifreq *ifr = arg;

	if (ifp->utun && ifp->attached)
		return sim_utun_ioctl(ifp, request, arg);
	if (!ifp->feth || !ifp->attached)
		return -DW_EOPNOTSUPP;
	switch (request) {
	case DW_SIOCGIFMEDIA:
		return get_media(ifp, arg);
	case DW_SIOCGIFDEVMTU:
		ifr->u.devmtu = (struct dw_ifdevmtu){ (int32_t)ifp->mtu, (int32_t)DW_IF_MINMTU,
			(int32_t)ifp->max_mtu };
		return 0;
	case DW_SIOCSIFMTU:
		if (ifr->u.mtu < (int32_t)DW_IF_MINMTU || (uint32_t)ifr->u.mtu > ifp->max_mtu)
			return -DW_EINVAL;
		ifp->mtu = (uint32_t)ifr->u.mtu;
		return 0;
	case DW_SIOCSDRVSPEC:
		if (f && sim_euid(f->proc) != 0)
			return -DW_EPERM;
		return set_drvspec(ifp, arg);
	case DW_SIOCGDRVSPEC:
		return get_drvspec(ifp, arg);
	case DW_SIOCSIFLLADDR:
		/* kpi_interface.c:ifnet_set_lladdr_internal(): no length at all erases it */
		if (ifr->u.addr.len != 0 && ifr->u.addr.len != 6)
			return -DW_EINVAL;
		memset(ifp->mac, 0, sizeof(ifp->mac));
		memcpy(ifp->mac, ifr->u.addr.data, ifr->u.addr.len);
		ifp->mac_len = ifr->u.addr.len;
		sim_tell_event(ifp, DW_KEV_DL_LINK_ADDRESS_CHANGED);
		return 0;
	case DW_SIOCSIFFLAGS:
		sim_set_flags(ifp, ifp->flags & DW_IFF_UP ? DW_IFF_RUNNING : 0, DW_IFF_RUNNING);
		return 0;
	case DW_SIOCADDMULTI:
	case DW_SIOCDELMULTI:
		return 0;
	case DW_SIOCSIFCAP:
		if (!ifp->lro)
			return -DW_EOPNOTSUPP;
		ifp->caps_on =
			(ifp->caps_on & ~DW_IFCAP_LRO) | ((uint32_t)ifr->u.cap[0] & DW_IFCAP_LRO);
		return 0;
	default:
		return -DW_EOPNOTSUPP;
	}
}

/* -- frames -- */

static struct sim_frame *frame_new(const void *data, size_t len)
{
	struct sim_frame *frame = malloc(sizeof(*frame) + len);
	if (!frame)
		abort();
	frame->next = NULL;
	frame->len = (uint32_t)len;
	if (len > 0)
		memcpy(frame->data, data, len);
	return frame;
}

static void queue_add(struct sim_queue *q, struct sim_frame *frame)
{
	if (!q->first)
		q->end = &q->first;
	*q->end = frame;
	q->end = &frame->next;
	q->n++;
}

struct sim_frame *sim_queue_take(struct sim_queue *q)
{
	struct sim_frame *frame = q->first;
	if (frame) {
		q->first = frame->next;
		q->n--;
	}
	return frame;
}

void sim_queue_flush(struct sim_queue *q)
{
	struct sim_frame *frame;

	while ((frame = sim_queue_take(q)))
		free(frame);
}

static uint32_t crc32(const uint8_t *data, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* ifnet_input(): kept for sim_host_input(), the newest INPUT_KEPT of them. */
static void input(struct sim_ifnet *ifp, const void *data, size_t len)
{
	if (ifp->input_off)
		return; /* IFXF_DISABLE_INPUT: ifnet_input_common() frees it */
	queue_add(&ifp->in, frame_new(data, len));
	if (ifp->in.n > INPUT_KEPT)
		free(sim_queue_take(&ifp->in));
}

/* if_fake.c:feth_output_common(). That the peer is down is no matter. */
static void output_common(struct sim_ifnet *ifp, const struct sim_frame *frame)
{
	struct sim_ifnet *peer = ifp->peer;
	uint8_t *wire = malloc(frame->len + ifp->trailer + 4);
	if (!wire)
		abort();
	size_t len = frame->len;
	memcpy(wire, frame->data, len);
	for (unsigned i = 0; i < ifp->trailer; i++)
		wire[len++] = (uint8_t) "trailer"[i % 7];
	if (ifp->fcs) {
		uint32_t crc = crc32(wire, len);
		memcpy(wire + len, &crc, sizeof(crc));
		len += sizeof(crc);
	}

	if (frame->len < ETHER_HDR) {
		/* _mbuf_adjust_pkthdr_and_data() leaves a negative length behind, and
		 * MBUF_INPUT_CHECK in the receiver's input thread panics of it */
		fprintf(stderr,
			"kernel panic: %s: a frame of %u bytes, which is less than an Ethernet "
			"header\n",
			ifp->name, frame->len);
		abort();
	}
	/* before 15 the OUT tap was ahead of what is appended */
	sim_bpf_tap(ifp, wire, ifp->sim->profile >= SIM_15 ? len : frame->len, true);
	sim_bpf_tap(peer, wire, len, false);
	input(peer, wire, len);
	free(wire);
}

/* feth_start(): without a peer frames are lost before any tap. */
static void start(struct sim_ifnet *ifp)
{
	struct sim_frame *frame;

	while ((frame = sim_queue_take(&ifp->out))) {
		if (ifp->peer)
			output_common(ifp, frame);
		free(frame);
	}
}

void sim_output_run(struct sim_ifnet *ifp)
{
	if (ifp->utun) /* its packets wait to be read */
		return;
	if (ifp->attached && !ifp->stalled && !ifp->sim->knobs.hold_output)
		start(ifp);
}

/* dlil_output.c:dlil_output() and dlil.c:ifnet_enqueue_mbuf_chain(). A full queue drops its oldest
 * frame and takes the new one (classq_fq_codel.c:fq_addq). */
int sim_output_ready(const struct sim_ifnet *ifp)
{
	if (!ifp->attached)
		return -DW_ENXIO;
	/* txstart=0: straight to feth_output(), which does not ask */
	if (!(ifp->flags & DW_IFF_UP) && (ifp->txstart || !ifp->feth))
		return -DW_ENETDOWN;
	return 0;
}

void sim_queue_put(struct sim_queue *q, const void *data, size_t len)
{
	queue_add(q, frame_new(data, len));
}

void sim_enqueue(struct sim_ifnet *ifp, const void *data, size_t len)
{
	unsigned limit = ifp->sim->knobs.queue_limit;

	queue_add(&ifp->out, frame_new(data, len));
	if (ifp->out.n > (limit ? limit : SIM_QUEUE_LIMIT))
		free(sim_queue_take(&ifp->out));
	sim_output_run(ifp);
}

int sim_output(struct sim_ifnet *ifp, const void *data, size_t len)
{
	struct sim *sim = ifp->sim;
	int rc = sim_output_ready(ifp);
	if (rc)
		return rc;

	sim->injections++;
	if (sim->knobs.enobufs_every && sim->injections % sim->knobs.enobufs_every == 0)
		return -DW_ENOBUFS;
	if (sim->knobs.lose_every && sim->injections % sim->knobs.lose_every == 0)
		return 0;
	sim_enqueue(ifp, data, len);
	return 0;
}
