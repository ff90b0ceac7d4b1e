/* packet_linux.c - see packet_linux.h. The socket: packet(7). */
#include "server/hostif/packet_linux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/core/be.h"
#include "server/core/offload.h"
#include "server/hostif/kernel_linux.h"
#include "server/hostif/member_linux.h"
#include "server/hostif/packetring_linux.h"

/* 4 MiB each way: limits.md, 10. Memory is used only while frames wait. */
#define SOCKET_BYTES (4 * 1024 * 1024)

#define TAG 4u /* an 802.1Q tag: type and control information (IEEE 802.1Q-2018, 9.3) */

/* Slots start on cache lines; and one line more, since what lies a multiple of 4 KiB apart is in
 * each other's way in the cache. */
#define SLOT_ALIGN 64u
#define SLOT_SKEW 64u

#define IOVECS 1024u /* of one sendmmsg; also the most segments of one frame (UIO_MAXIOV) */

_Static_assert(sizeof(struct seg) == sizeof(struct iovec) &&
		       offsetof(struct seg, base) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct seg, len) == offsetof(struct iovec, iov_len),
	"a frame's segments are copied as iovecs");

union control {
	char buf[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct cmsghdr align;
};

struct hostif {
	int fd;                 /* owned */
	int index;              /* of the service member */
	char name[HOSTIF_NAME]; /* of the service member, as last seen */
	uint32_t mtu;           /* of the service member, as last seen */
	bool warned_csum, warned_size;
	bool vnet;               /* frames have a virtio_net_hdr */
	uint8_t offload;         /* OFFLOAD_* */
	struct packet_ring ring; /* without a map: all frames come by the queue */
	bool moved;              /* frames came by it since packet_missed() was called */
	int gap;                 /* a timer, owned; -1: there is none */
	bool gathers;            /* frames gather until it has run out */
	bool begin;              /* it is to be set by packet_done() */
	unsigned gathered;       /* so many came since it was set */
	uint32_t unread;         /* slots whose frames, too long for them, could not be had */
	uint32_t drops;          /* frames that the kernel had no room for */
	uint32_t ahead;          /* slots it took, by its last statistics, less those read */
	unsigned next;           /* frames to ask for, as long as those before were */
	struct mmsghdr in[HOSTIF_BATCH];
	struct iovec in_iov[HOSTIF_BATCH];
	union control in_control[HOSTIF_BATCH];
};

static void buffer_size(int fd, int force, int plain)
{
	const int bytes = SOCKET_BYTES;
	/* needs CAP_NET_ADMIN of the whole machine; what net.core.[rw]mem_max allows, otherwise */
	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

/* PACKET_VNET_HDR has the machine's byte order; ours is little-endian. */
static bool is_little(void)
{
	const uint16_t one = 1;
	uint8_t first;
	memcpy(&first, &one, 1);
	return first;
}

static uint8_t offload_of(bool vnet)
{
	const uint8_t takes = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN;
	if (!vnet)
		return 0;
	/* UDP super-frames (VIRTIO_NET_HDR_GSO_UDP_L4) by this header; nothing else tells */
	return kernel_since(6, 2) ? takes | OFFLOAD_USO4 | OFFLOAD_USO6 : takes;
}

int packet_socket(struct packet_traits *out, const char **out_what)
{
	/* Protocol 0: with any other, frames of every interface come in until bind(). */
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		*out_what = "open a packet socket for";
		return -errno;
	}

	const int on = 1;
	int rc = 0;
	/* A correctness matter: otherwise what anybody sends out of the service member comes back
	 * to us as if the host had sent it, and circles (limits.md, 2). Linux 4.20 on. */
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0) {
		rc = -errno;
		*out_what = "set PACKET_IGNORE_OUTGOING (Linux 4.20) for";
	} else if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0) {
		rc = -errno;
		*out_what = "set PACKET_AUXDATA for";
	}
	if (rc < 0) {
		close(fd);
		return rc;
	}

	/* Straight to the driver. A veth has no queue to skip; this is what lets our frames, and
	 * only ours, pass the seal (nl_link_seal). */
	out->bypass = !setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	out->offload = offload_of(member_offload() && is_little() &&
				  !setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)));
	buffer_size(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	buffer_size(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	rc = packet_ring_make(fd);
	if (rc < 0)
		log_info("veth", "no receive ring: %s; frames cost more of a processor's time",
			strerror(-rc));
	return fd;
}

int packet_bind(int fd, int index)
{
	const struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index
	};
	return bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}

/* The interface the socket is bound to; negative once it is gone. */
static int bound_index(int fd)
{
	struct sockaddr_ll addr = { 0 };
	socklen_t len = sizeof(addr);
	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return -errno;
	return addr.sll_ifindex ? addr.sll_ifindex : -ENODEV;
}

static int ask(const struct hostif *hif, unsigned long what, struct ifreq *ifr)
{
	*ifr = (struct ifreq){ 0 };
	memcpy(ifr->ifr_name, hif->name, sizeof(hif->name));
	return ioctl(hif->fd, what, ifr) < 0 ? -errno : 0;
}

/* Learns the present MTU; -ENODEV where the interface is gone. The control half may change it under
 * us at any time, and so may anybody with `ip link`, and a stale one would cut the first frames
 * that use a new one. Asking before every batch costs 0.65 us, without a lock, as much as a
 * recvmmsg() that finds nothing; a single frame costs 5 us of this machine, from socket to socket
 * (measured). */
static int mtu_refresh(struct hostif *hif)
{
	struct ifreq ifr;
	int rc = ask(hif, SIOCGIFMTU, &ifr);
	if (rc == -ENODEV) { /* renamed? */
		struct ifreq by_index = { .ifr_ifindex = hif->index };
		if (ioctl(hif->fd, SIOCGIFNAME, &by_index) < 0)
			return -ENODEV;
		memcpy(hif->name, by_index.ifr_name, sizeof(hif->name));
		hif->name[sizeof(hif->name) - 1] = '\0';
		rc = ask(hif, SIOCGIFMTU, &ifr);
	}
	if (!rc && ifr.ifr_mtu > 0)
		hif->mtu = (uint32_t)ifr.ifr_mtu;
	return rc;
}

int packet_open(struct hostif **out, const struct hostif_made *made, const struct hostif_spec *spec,
	struct err *err)
{
	const int fd = made->rx_fd; /* and made->tx_fd is the same */
	const int index = bound_index(fd);
	struct hostif *hif = index < 0 ? NULL : calloc(1, sizeof(*hif));
	if (!hif) {
		close(fd);
		return err_set(err, index < 0 ? index : -ENOMEM, "%s: cannot read interface %s: %s",
			spec->network, spec->service, strerror(index < 0 ? -index : ENOMEM));
	}

	hif->fd = fd;
	hif->index = index;
	hif->mtu = spec->mtu;
	hif->next = HOSTIF_BATCH;
	int vnet = 0;
	socklen_t len = sizeof(vnet);
	hif->vnet = getsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &vnet, &len) == 0 && vnet;
	hif->offload = offload_of(hif->vnet);
	memcpy(hif->name, spec->service, sizeof(hif->name));
	const int rc = packet_ring_open(&hif->ring, fd);
	if (rc < 0)
		log_info("veth",
			"no receive ring if=%s: %s; frames cost more of a processor's time",
			spec->service, strerror(-rc));
	hif->gap = hif->ring.map ? timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC) : -1;
	for (unsigned i = 0; i < HOSTIF_BATCH; i++) {
		hif->in[i].msg_hdr.msg_iov = &hif->in_iov[i];
		hif->in[i].msg_hdr.msg_iovlen = 1;
		hif->in[i].msg_hdr.msg_control = hif->in_control[i].buf;
	}
	*out = hif;
	return 0;
}

void packet_close(struct hostif *hif)
{
	if (!hif)
		return;
	packet_ring_close(&hif->ring); /* what is mapped keeps the socket */
	if (hif->gap >= 0)
		close(hif->gap);
	close(hif->fd);
	free(hif);
}

int packet_gathers(const struct hostif *hif)
{
	return hif->gathers ? hif->gap : -1;
}

int packet_fd(const struct hostif *hif)
{
	return hif->fd;
}

uint8_t packet_offload(const struct hostif *hif)
{
	return hif->offload;
}

/* -- from the host -- */

/* A frame as it came: @len bytes at @at, before which there is room for a tag, and the header lies
 * where there is one. */
struct came {
	uint8_t *at;
	uint32_t len;
	uint32_t status;    /* TP_STATUS_* */
	uint16_t tci, type; /* of the tag that the kernel has put aside */
};

static struct tpacket_auxdata auxdata(const struct msghdr *msg)
{
	struct tpacket_auxdata aux = { 0 };
	struct msghdr *m = (struct msghdr *)msg; /* CMSG_NXTHDR wants it so; it is only read */
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA &&
			c->cmsg_len >= CMSG_LEN(sizeof(aux)))
			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	return aux;
}

/* Before a frame in its place: room for the tag, and the header, whose place the tag takes. */
#define BEFORE (TAG > VNET_HDR_LEN ? TAG : VNET_HDR_LEN)

/* Turns what came into a frame. The kernel has put the outer tag aside, also a priority tag (VLAN
 * 0): the addresses move down to make room for it, 12 bytes each, so that the frame stays in one
 * piece. */
static bool frame_take(struct hostif *hif, struct frame *out, const struct came *in)
{
	uint8_t *head = in->at;
	uint32_t len = in->len;

	if (len < FETH_FRAME_MIN)
		return false; /* the kernel sends none */
	*out = (struct frame){ .head = head, .head_len = len, .len = len };
	if (hif->vnet && (head[-(int)VNET_HDR_LEN] || head[1 - (int)VNET_HDR_LEN]))
		offload_from_vnet(out, head - VNET_HDR_LEN);
	if ((in->status & TP_STATUS_CSUMNOTREADY) && !hif->vnet && !hif->warned_csum) {
		log_warn("veth",
			"unfinished checksum if=%s: somebody switched on checksum offload at its "
			"peer; receivers will drop such frames",
			hif->name);
		hif->warned_csum = true;
	}
	if (in->status & TP_STATUS_VLAN_VALID) {
		const bool has_type = in->status & TP_STATUS_VLAN_TPID_VALID;
		memmove(head - TAG, head, 12);
		head -= TAG;
		len += TAG;
		put16(head + 12, has_type ? in->type : ETH_P_CTAG);
		put16(head + 14, in->tci);
		out->head = head;
		out->head_len = out->len = len;
		if (out->offload.flags)
			out->offload.csum_start = (uint16_t)(out->offload.csum_start + TAG);
	}
	return true;
}

/* What an error of the socket means now. The kernel says ENETDOWN once, for a member that went down
 * and for one that was removed, also where it is up again since. */
static int recv_error(struct hostif *hif, int error)
{
	if (error == EINTR)
		return 0;
	if (error != ENETDOWN && error != EAGAIN && error != EWOULDBLOCK)
		return -error;
	if (bound_index(hif->fd) < 0)
		return -ENODEV;
	if (error != ENETDOWN)
		return 0;
	struct ifreq ifr;
	(void)mtu_refresh(hif); /* and its name, which may be another by now */
	if (!ask(hif, SIOCGIFFLAGS, &ifr) && ifr.ifr_flags & IFF_UP)
		return 0;
	return -ENETDOWN;
}

/* -- by the queue -- */

/* Where frames of at most @room bytes, header and all, are put in a buffer. */
struct places {
	size_t room, before, size;
};

static struct places places_of(size_t room, bool vnet)
{
	const size_t size = (BEFORE + room + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN + SLOT_SKEW;
	return (struct places){ room, vnet ? BEFORE - VNET_HDR_LEN : BEFORE, size };
}

static bool message_take(struct hostif *hif, struct frame *out, const struct mmsghdr *in)
{
	const struct msghdr *msg = &in->msg_hdr;
	const uint32_t hdr = hif->vnet ? VNET_HDR_LEN : 0;
	const struct tpacket_auxdata aux = auxdata(msg);

	if (msg->msg_flags & MSG_TRUNC) {
		if (!hif->warned_size)
			log_warn("veth",
				"long frame if=%s mtu=%u: lost; an offload of its peer was "
				"switched on",
				hif->name, hif->mtu);
		hif->warned_size = true;
		return false;
	}
	const struct came came = {
		.at = (uint8_t *)msg->msg_iov->iov_base + hdr,
		.len = in->msg_len < hdr ? 0 : in->msg_len - hdr,
		.status = aux.tp_status,
		.tci = aux.tp_vlan_tci,
		.type = aux.tp_vlan_tpid,
	};
	return frame_take(hif, out, &came);
}

/* Asks for @n messages, and makes frames of those that come. Returns how many came, as recvmmsg();
 * *taken: of how many there are frames. */
static int queue_read(struct hostif *hif, struct frame *frames, unsigned n, uint8_t *buf,
	const struct places *places, unsigned *taken, size_t *bytes)
{
	for (unsigned i = 0; i < n; i++) {
		hif->in_iov[i] =
			(struct iovec){ .iov_base = buf + i * places->size + places->before,
				.iov_len = places->room };
		hif->in[i].msg_hdr.msg_controllen = sizeof(hif->in_control[i].buf);
	}
	const int got = recvmmsg(hif->fd, hif->in, n, 0, NULL);
	for (int i = 0; i < got; i++) {
		*bytes += hif->in[i].msg_len;
		if (message_take(hif, &frames[*taken], &hif->in[i]))
			++*taken;
	}
	return got;
}

/* recvmmsg() knows no limit in bytes, so it is asked for as many frames as would keep to it if they
 * were as long as those before. */
static unsigned next_batch(size_t bytes, unsigned n)
{
	const size_t most = n && bytes ? HOSTIF_BATCH_BYTES / (bytes / n + 1) + 1 : HOSTIF_BATCH;
	return most < HOSTIF_BATCH ? (unsigned)most : HOSTIF_BATCH;
}

static int queue_recv(
	struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	/* A frame has its header, at most one tag in it (beside the one put aside) and the payload:
	 * linux, is_skb_forwardable() drops longer ones before they get here. A super-frame is as
	 * long as a packet of IP can be, whatever the MTU. */
	const int rc = hif->vnet ? 0 : mtu_refresh(hif);
	if (rc < 0)
		return rc;
	const struct places places = places_of(hif->vnet ? VNET_HDR_LEN + (size_t)FETH_FRAME_MAX
							 : (size_t)hif->mtu + FETH_FRAME_MIN + TAG,
		hif->vnet);
	unsigned n = max < hif->next ? max : hif->next;
	if (n > size / places.size)
		n = (unsigned)(size / places.size);
	if (!n)
		return -ENOBUFS;

	unsigned taken = 0;
	size_t bytes = 0;
	const int got = queue_read(hif, frames, n, buf, &places, &taken, &bytes);
	if (got < 0)
		return recv_error(hif, errno);
	hif->next = next_batch(bytes, (unsigned)got);
	return (int)taken;
}

/* -- by the ring -- */

/* While frames come fast they gather for GATHER_NS each time. Who is quicker than his sender would
 * sleep again after each few frames, and each time be woken by him, which costs both: from a host
 * member to a tap port, 60 bytes, 0.57 Mframes a switch-CPU-second without this, 0.75 with it
 * (recvmmsg(): 0.48), and the sender 1.8 us a frame and 1.6. */
#define GATHER_NS 50000
#define GATHER_FROM 32u /* frames of one recv(): half of what it can have */
#define GATHER_LEAST 4u /* frames of a gap, 80,000 a second; with fewer it does not pay */

/* @n: slots that a recv() found; @all: there are no more. */
static void gather(struct hostif *hif, unsigned n, bool all)
{
	hif->gathered += n;
	if (!hif->gathers) {
		hif->gathers = hif->gap >= 0 && n >= GATHER_FROM;
		all = hif->gathers;
	} else if (all) {
		hif->gathers = hif->gathered >= GATHER_LEAST;
	}
	hif->begin = all && hif->gathers;
	if (all)
		hif->gathered = 0;
}

/* A gap begins when all that came before is done with, or there would be none. */
static void gap_begin(struct hostif *hif)
{
	const struct itimerspec gap = { .it_value = { .tv_nsec = GATHER_NS } };
	if (hif->begin)
		(void)timerfd_settime(hif->gap, 0, &gap, NULL); /* it is not readable until then */
	hif->begin = false;
}

/* The kernel forgets what it has told. */
static void statistics(struct hostif *hif)
{
	struct tpacket_stats stats = { 0 };
	socklen_t len = sizeof(stats);
	if (getsockopt(hif->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) < 0)
		return;
	hif->drops += stats.tp_drops;
	hif->ahead += stats.tp_packets - stats.tp_drops; /* the former are with the latter */
}

/* Where there is no full slot: throws away frames of the queue whose slots were read without them.
 * Else each long frame from then on would come in the slot of the next, and the socket would be
 * readable with nothing to be had. They are counted already: `unread`. A frame is in the queue
 * before its slot is full, but not before the kernel has counted the slot; so where it had counted
 * none but those read, after a frame was seen in the queue, that one is such. */
static void queue_settle(struct hostif *hif, bool *down)
{
	uint8_t start[VNET_HDR_LEN]; /* of a frame; the kernel wants room for its header */
	for (int len = 0; !ioctl(hif->fd, SIOCINQ, &len) && len;) {
		statistics(hif);
		if (hif->ahead)
			return;
		if (recv(hif->fd, start, sizeof(start), 0) < 0) {
			*down = errno == ENETDOWN;
			return;
		}
	}
}

static bool is_long(const struct tpacket2_hdr *slot)
{
	return slot->tp_snaplen < slot->tp_len;
}

/* Takes the full slots that come next, at most @most, whose frames are in the queue; until the
 * frames have HOSTIF_BATCH_BYTES with the @bytes before. Returns how many. */
static unsigned long_slots(struct hostif *hif, unsigned most, size_t bytes)
{
	const struct tpacket2_hdr *slot;
	unsigned n = 0;
	while (n < most && bytes < HOSTIF_BATCH_BYTES && (slot = packet_ring_peek(&hif->ring)) &&
		is_long(slot) && slot->tp_status & TP_STATUS_COPY) {
		bytes += slot->tp_len;
		packet_ring_take(&hif->ring);
		n++;
	}
	return n;
}

#define NEWS_MOST 4u /* while one batch is read; with more see queue_settle() */

/* The frames of @n slots, too long for them, from the queue, which has the order of the slots. One
 * that is not there is lost; another in its place would be taken for it, and its own slot then
 * finds nothing, so that nothing is ever more than one out of place. An error of the socket is told
 * once, before what is in its queue: *down. Returns how many frames there are. */
static unsigned long_take(struct hostif *hif, struct frame *out, unsigned n, uint8_t *buf,
	const struct places *places, size_t *bytes, bool *down)
{
	unsigned taken = 0, done = 0, news = 0;
	while (done < n) { /* news within a batch ends it, and is told next */
		const int got = queue_read(
			hif, out, n - done, buf + done * places->size, places, &taken, bytes);
		if (got > 0)
			done += (unsigned)got;
		else if (errno == ENETDOWN && news++ < NEWS_MOST)
			*down = true;
		else
			break;
	}
	hif->unread += n - taken;
	return taken;
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error ? error : EAGAIN;
}

static int ring_recv(
	struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	const struct places places = places_of(VNET_HDR_LEN + (size_t)FETH_FRAME_MAX, hif->vnet);
	const struct tpacket2_hdr *slot = NULL;
	unsigned taken = 0, n;
	size_t used = 0, bytes = 0;
	bool down = false;

	if (size < places.size)
		return -ENOBUFS;
	packet_ring_give_back(&hif->ring);
	while (taken < max && bytes < HOSTIF_BATCH_BYTES && size - used >= places.size) {
		const size_t room = (size - used) / places.size;
		slot = packet_ring_peek(&hif->ring);
		if (!slot)
			break;
		n = long_slots(hif, room < max - taken ? (unsigned)room : max - taken, bytes);
		if (n) {
			taken += long_take(
				hif, &frames[taken], n, buf + used, &places, &bytes, &down);
			used += n * places.size;
			continue;
		}
		packet_ring_take(&hif->ring);
		if (is_long(slot)) { /* the queue had no room for it */
			hif->unread++;
			continue;
		}
		const struct came came = {
			.at = (uint8_t *)slot + slot->tp_mac,
			.len = slot->tp_len,
			.status = slot->tp_status,
			.tci = slot->tp_vlan_tci,
			.type = slot->tp_vlan_tpid,
		};
		bytes += came.len;
		taken += frame_take(hif, &frames[taken], &came);
	}
	hif->moved |= hif->ring.held > 0;
	hif->ahead -= hif->ring.held;
	if (!hif->ring.held)
		queue_settle(hif, &down);
	gather(hif, hif->ring.held, !slot);
	if (down && recv_error(hif, ENETDOWN) == -ENODEV)
		return -ENODEV; /* it is not told again */
	return taken ? (int)taken : recv_error(hif, socket_error(hif->fd));
}

void packet_done(struct hostif *hif)
{
	packet_ring_give_back(&hif->ring);
	gap_begin(hif);
}

int packet_recv(struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	return hif->ring.map ? ring_recv(hif, frames, max, buf, size)
			     : queue_recv(hif, frames, max, buf, size);
}

/* Linux (from 5.6 on; seen with 6.18) leaves a slot locked when it cannot say by a virtio_net_hdr
 * what a frame is, such as a super-frame of SCTP: tpacket_rcv() goes to drop_n_account with the
 * slot's bit in rx_owner_map set, and from then on drops all. The offloads that lead there are off,
 * but somebody may have switched one on. */
static bool is_stuck(const struct hostif *hif, uint32_t lost)
{
	return hif->ring.map && lost && !hif->moved && !packet_ring_peek(&hif->ring);
}

uint32_t packet_missed(struct hostif *hif)
{
	statistics(hif);
	const uint32_t lost = hif->unread + hif->drops;
	if (is_stuck(hif, lost)) {
		log_warn("veth",
			"receive ring stuck if=%s: an offload of its peer was switched on; frames "
			"cost more of a processor's time from now on",
			hif->name);
		packet_ring_end(&hif->ring, hif->fd);
		hif->gathers = false;
	}
	hif->moved = false;
	hif->unread = hif->drops = 0;
	return lost;
}

/* -- to the host -- */

/* What one sendmmsg() carries. */
struct batch {
	struct mmsghdr out[HOSTIF_BATCH];
	struct iovec iov[IOVECS];
	uint8_t hdr[HOSTIF_BATCH][VNET_HDR_LEN];
};

/* Lays out as many of @frames as fit one call. Returns how many; a frame of too many pieces to be
 * sent at all is passed over by an empty message, which the kernel refuses. */
static unsigned batch_fill(struct batch *b, bool vnet, const struct frame *frames, unsigned n)
{
	struct mmsghdr *out = b->out;
	struct iovec *iov = b->iov;
	size_t used = 0;
	unsigned i = 0;

	for (; i < n && i < HOSTIF_BATCH; i++) {
		const struct frame *f = &frames[i];
		const size_t pieces = 1 + vnet + (size_t)f->more_n;
		out[i] = (struct mmsghdr){ 0 };
		if (pieces > IOVECS)
			continue;
		if (pieces > IOVECS - used)
			break;
		out[i].msg_hdr.msg_iov = &iov[used];
		out[i].msg_hdr.msg_iovlen = pieces;
		if (vnet) {
			offload_to_vnet(b->hdr[i], f);
			iov[used++] = (struct iovec){ b->hdr[i], VNET_HDR_LEN };
		}
		iov[used++] = (struct iovec){ (void *)f->head, f->head_len };
		if (f->more_n)
			memcpy(&iov[used], f->more, f->more_n * sizeof(*iov));
		used += f->more_n;
	}
	return i;
}

/* Sends one batch and returns how many were taken. sendmmsg() stops at the first frame the kernel
 * refuses - EMSGSIZE, ENOBUFS while the host member is down, EAGAIN - so it is called anew behind
 * that one: at most a call per frame. *gone: no frame can be sent at present. */
static unsigned batch_send(struct hostif *hif, struct mmsghdr *out, unsigned n, bool *gone)
{
	unsigned taken = 0;
	bool told = false;
	for (unsigned at = 0; at < n;) {
		const int sent = sendmmsg(hif->fd, out + at, n - at, 0);
		if (sent > 0) {
			taken += (unsigned)sent;
			at += (unsigned)sent;
		} else if (sent < 0 && errno == EINTR) {
			continue;
		} else if (sent < 0 && errno == ENETDOWN && !told) {
			told = true; /* may be old news, which is told once */
		} else if (sent < 0 && (errno == ENETDOWN || errno == ENXIO || errno == ENODEV)) {
			*gone = true;
			break;
		} else {
			at++;
		}
	}
	return taken;
}

unsigned packet_send(struct hostif *hif, const struct frame *frames, unsigned n)
{
	struct batch batch;
	unsigned taken = 0;
	bool gone = false;

	for (unsigned at = 0; at < n && !gone;) {
		const unsigned filled = batch_fill(&batch, hif->vnet, frames + at, n - at);
		taken += batch_send(hif, batch.out, filled, &gone);
		at += filled;
	}
	return taken;
}
