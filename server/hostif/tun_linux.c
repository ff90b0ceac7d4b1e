/* tun_linux.c - the tun backend: the host member is an interface of IP packets, of which we make an
 * Ethernet host (core/l3glue.h).
 *
 * Theory of operation. As tap_linux.c, whose control half it shares: the interface's descriptor is
 * the other end, and takes it along when it is closed. It has no hardware address, so what is
 * declared as MAC is that of the glue alone, and the kernel neither asks for neighbours nor looks
 * for duplicate addresses there (IFF_NOARP, IFF_POINTOPOINT: linux, tun_net_init()).
 *
 * The link-local address that the kernel would make up at random is not made; the one that follows
 * from the MAC is given to it instead, since the glue must know for which it answers. Where IPv6 is
 * off, it is without.
 *
 * Groups. The kernel's list of them (mcast_linux.h) is of hardware addresses, which it has none of
 * here; so they are not known, and the host is given every multicast. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/ipaddr.h"
#include "server/hostif/backends.h"
#include "server/hostif/l3io.h"
#include "server/hostif/member_linux.h"
#include "server/hostif/tap_linux.h"
#include "server/hostif/tapio.h"

/* With IPv6 switched off none can be set, and none is missed. */
static void set_link_local(const struct hostif_spec *now, const struct hostif_spec *want)
{
	const struct cidr before = l3_link_local(now->mac), is = l3_link_local(want->mac);
	struct nl nl;
	struct nl_link link;
	if (!nl_open(&nl) && !member_named(&nl, want->host, &link)) {
		if (!cidr_equal(&before, &is) && !has_addr(want->addrs, want->n_addrs, &before))
			(void)nl_addr_delete(&nl, link.index, &before);
		if (want->mtu >= IP6_MTU_MIN)
			(void)nl_addr_add(&nl, link.index, &is);
	}
	nl_close(&nl);
}

static int tun_make(const struct hostif_spec *spec, struct hostif_made *out, struct err *err)
{
	const int rc = tap_make_as(TAPDEV_TUN, spec, out, err);
	if (!rc)
		set_link_local(spec, spec);
	return rc;
}

static int tun_change(
	const struct hostif_spec *now, const struct hostif_spec *want, struct err *err)
{
	const int rc = tap_change(now, want, err);
	if (!rc)
		set_link_local(now, want);
	return rc;
}

/* -- frames -- */

struct hostif {
	int fd; /* owned */
	bool vnet;
	uint8_t offload;
	struct l3io io;
};

static void tun_close(struct hostif *hif)
{
	if (!hif)
		return;
	l3io_close(&hif->io);
	close(hif->fd);
	free(hif);
}

static int tun_open(struct hostif **out, const struct hostif_made *made,
	const struct hostif_spec *spec, struct err *err)
{
	struct hostif *hif = calloc(1, sizeof(*hif));
	if (!hif) {
		close(made->rx_fd);
		return err_set(err, -ENOMEM, "%s: out of memory", spec->network);
	}
	hif->fd = made->rx_fd; /* and made->tx_fd is the same */
	hif->offload = tapdev_offload(hif->fd, &hif->vnet);
	const int rc = l3io_open(&hif->io, spec, err);
	if (rc < 0) {
		tun_close(hif);
		return rc;
	}
	*out = hif;
	return 0;
}

/* What the glue has to say goes first: it is short, and others wait for it. */
static int tun_recv(
	struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	const unsigned own = l3glue_pull(hif->io.glue, frames, max);
	if (own)
		return (int)own;
	const int n = tapio_recv(hif->fd, hif->vnet, frames, max, buf, size);
	return n > 0 ? (int)l3io_out(&hif->io, frames, (unsigned)n, max) : n;
}

static bool tun_more(const struct hostif *hif)
{
	return l3glue_more(hif->io.glue);
}

static unsigned write_packets(void *ctx, const struct frame *packets, unsigned n)
{
	const struct hostif *hif = ctx;
	return tapio_send(hif->fd, hif->vnet, packets, n);
}

static unsigned tun_send(struct hostif *hif, const struct frame *frames, unsigned n)
{
	return l3io_in(&hif->io, frames, n, write_packets, hif);
}

static int tun_fd(const struct hostif *hif)
{
	return hif->fd;
}

static uint8_t tun_offload(const struct hostif *hif)
{
	return hif->offload;
}

static void tun_tick(struct hostif *hif, uint64_t now_ms, struct hostif_lost *lost)
{
	l3io_tick(&hif->io, now_ms, lost);
}

static void tun_changed(struct hostif *hif, const struct hostif_spec *spec)
{
	l3glue_set(hif->io.glue, spec);
}

const struct hostif_ops hostif_tun = {
	.name = "tun",
	.has_host = true,
	.single = true,
	.layer3 = true,
	.mtu_min = HOSTIF_MTU_MIN,
	.mtu_max = HOSTIF_MTU_MAX,
	.allowed = tap_allowed,
	.make = tun_make,
	.change = tun_change,
	.remove = tap_remove,
	.name_free = member_name_free,
	.whole = tap_whole,
	.carrier = tap_carrier,
	.watch_open = member_watch_open,
	.watch_read = nl_watch_read,
	.open = tun_open,
	.close = tun_close,
	.recv = tun_recv,
	.more = tun_more,
	.send = tun_send,
	.fd = tun_fd,
	.offload = tun_offload,
	.tick = tun_tick,
	.changed = tun_changed,
};
