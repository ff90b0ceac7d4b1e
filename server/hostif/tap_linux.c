/* tap_linux.c - the tap backend: the host member is a tap interface whose other end is ours.
 *
 * Theory of operation. There is no service member: what the host sends is read from the descriptor
 * that made the interface, and what is written there the host receives. So nothing has to be kept
 * away from the other end, as it must with a pair (veth_linux.c), and the interface goes with the
 * descriptor: a daemon that is killed leaves none behind. What it cannot do is outlive the daemon,
 * or be a member of several; and each frame is a call of its own (tapio.h).
 *
 * Ownership: ours is the tap that has our tag as its alias. One that was moved to another namespace
 * still works, since the descriptor does; from here it cannot be seen, nor changed. */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/hostif/backends.h"
#include "server/hostif/mcast_linux.h"
#include "server/hostif/member_linux.h"
#include "server/hostif/tap_linux.h"
#include "server/hostif/tapdev_linux.h"
#include "server/hostif/tapio.h"

bool tap_allowed(void)
{
	return member_allowed(1u << CAP_NET_ADMIN);
}

static bool is_ours(const struct nl_link *link, const char *tag)
{
	return !strcmp(link->kind, "tun") && !strcmp(link->alias, tag);
}

/* The host member with our tag; -ENODEV where there is none. */
static int find(struct nl *nl, const struct hostif_spec *spec, struct nl_link *out)
{
	const int rc = member_named(nl, spec->host, out);
	if (rc == -EEXIST || (!rc && !is_ours(out, spec->tag)))
		return -ENODEV;
	return rc;
}

/* Brings the host member from what it is to @to; a tun has no MAC. On failure some of it may be
 * changed. */
static int apply(struct nl *nl, struct nl_link *host, const struct end *to, const char **out_what)
{
	*out_what = "set the MTU of interface";
	int rc = member_mtu(nl, host, to->mtu);
	if (rc < 0)
		return rc;
	*out_what = "set the MAC of interface";
	rc = host->ethernet ? member_mac(nl, host, to->mac) : 0;
	if (rc < 0)
		return rc;
	*out_what = to->up ? "bring up interface" : "take down interface";
	return member_up(nl, host, to->up);
}

int tap_change(const struct hostif_spec *now, const struct hostif_spec *want, struct err *err)
{
	int rc = ipv6_check(want, err);
	if (rc < 0)
		return rc;
	struct nl nl;
	struct nl_link host = { 0 };
	rc = nl_open(&nl);
	if (rc < 0)
		return member_refused(err, want, rc, NULL, "open netlink for", want->host);
	rc = find(&nl, now, &host);
	if (rc == -ENODEV)
		err_set(err, rc, "%s: cannot change interface %s: it is gone, or not ours any more",
			want->network, now->host);
	else if (rc < 0)
		member_refused(err, want, rc, &nl, "look for interface", now->host);
	if (rc < 0)
		goto done;

	/* The kernel's word counts, not @now: somebody may have used `ip link`. */
	const struct end was = member_end(&host);
	const struct end to = state_wanted(want).host;
	const char *what;
	uint32_t added = 0;
	rc = apply(&nl, &host, &to, &what);
	if (rc < 0)
		member_refused(err, want, rc, &nl, what, want->host);
	else
		rc = member_addrs(&nl, host.index, now, want, &added, err);
	if (rc < 0) {
		(void)apply(&nl, &host, &was, &what);
		member_addrs_undo(&nl, host.index, now, want, added);
	}
done:
	nl_close(&nl);
	return rc;
}

/* Removes what is left of an earlier one of ours; -EEXIST where the name is somebody else's. */
static int name_clear(struct nl *nl, const struct hostif_spec *spec, struct err *err)
{
	struct nl_link link;
	int rc = member_named(nl, spec->host, &link);
	if (rc == -ENODEV)
		return 0;
	if (rc == -EEXIST || (!rc && !is_ours(&link, spec->tag)))
		return err_set(err, -EEXIST,
			"%s: cannot make interface %s: there is one of this name that is not "
			"ours; remove it, or give the network another unit",
			spec->network, spec->host);
	if (!rc)
		rc = nl_link_delete(nl, link.index);
	if (rc < 0 && rc != -ENODEV)
		return member_refused(err, spec, rc, nl, "replace interface", spec->host);
	return 0;
}

static int make_failed(int rc, const struct hostif_spec *spec, struct err *err)
{
	if (rc == -EEXIST)
		return err_set(err, rc,
			"%s: cannot make interface %s: it exists already and is not ours",
			spec->network, spec->host);
	if (rc == -EOPNOTSUPP)
		return err_set(err, rc,
			"%s: cannot make interface %s: there is no /dev/net/tun here; try "
			"modprobe tun, or use another backend",
			spec->network, spec->host);
	if (rc == -EACCES)
		return err_set(err, rc,
			"%s: cannot make interface %s: /dev/net/tun may be opened by others only; "
			"chmod it 0666, as udev does, run fethd as root, or use another backend",
			spec->network, spec->host);
	return member_refused(err, spec, rc, NULL, "make interface", spec->host);
}

static int start(struct nl *nl, const struct hostif_spec *spec, struct err *err)
{
	static const struct hostif_spec nothing;
	const struct end to = state_wanted(spec).host;
	const char *what = "find the new interface";
	struct nl_link host = { 0 };
	uint32_t added = 0;
	int rc = member_named(nl, spec->host, &host);
	if (!rc) {
		what = "tag interface";
		rc = nl_link_set_alias(nl, host.index, spec->tag);
	}
	if (!rc && !host.ethernet) /* while it is down: see tun_linux.c */
		(void)nl_link_set_addr_gen_none(nl, host.index);
	if (!rc)
		rc = apply(nl, &host, &to, &what);
	if (rc < 0)
		return member_refused(err, spec, rc, nl, what, spec->host);
	return member_addrs(nl, host.index, &nothing, spec, &added, err);
}

int tap_make_as(
	enum tapdev kind, const struct hostif_spec *spec, struct hostif_made *out, struct err *err)
{
	struct nl nl = { 0 };
	int fd = -1;
	int rc = ipv6_check(spec, err);
	if (rc < 0)
		return rc;
	rc = nl_open(&nl);
	if (rc < 0)
		return member_refused(err, spec, rc, NULL, "open netlink for", spec->host);
	rc = name_clear(&nl, spec, err);
	if (rc < 0)
		goto fail;
	char name[HOSTIF_NAME];
	fd = tapdev_make(spec->host, kind, name);
	if (fd < 0) {
		rc = make_failed(fd, spec, err);
		goto fail;
	}
	rc = start(&nl, spec, err);
	if (rc < 0)
		goto fail;
	nl_close(&nl);
	*out = (struct hostif_made){ .rx_fd = fd, .tx_fd = fd };
	return 0;

fail:
	nl_close(&nl);
	if (fd >= 0)
		close(fd); /* and the interface is gone */
	return rc;
}

static int tap_make(const struct hostif_spec *spec, struct hostif_made *out, struct err *err)
{
	return tap_make_as(TAPDEV_TAP, spec, out, err);
}

int tap_remove(const struct hostif_spec *spec)
{
	struct nl nl;
	struct nl_link link;
	int rc = nl_open(&nl);
	if (!rc) {
		rc = find(&nl, spec, &link); /* most often it went with its descriptor */
		if (!rc)
			rc = nl_link_delete(&nl, link.index);
		if (rc == -ENODEV)
			rc = 0;
	}
	if (rc < 0)
		log_warn("tap", "not removed if=%s: %s", spec->host, strerror(-rc));
	nl_close(&nl);
	return rc;
}

/* That it is gone is said by its descriptor; out of sight it may just be elsewhere. */
bool tap_whole(const struct hostif_spec *spec)
{
	struct nl nl;
	struct nl_link link;
	int rc = nl_open(&nl);
	if (!rc)
		rc = member_named(&nl, spec->host, &link);
	nl_close(&nl);
	return rc == -ENODEV || (!rc && is_ours(&link, spec->tag));
}

bool tap_carrier(const struct hostif_spec *spec)
{
	struct nl nl;
	struct nl_link link = { .carrier = false };
	int rc = nl_open(&nl);
	if (!rc)
		rc = member_named(&nl, spec->host, &link);
	nl_close(&nl);
	return rc == -ENODEV || (!rc && is_ours(&link, spec->tag) && link.up && link.carrier);
}

/* -- frames -- */

struct hostif {
	int fd; /* owned */
	bool vnet;
	uint8_t offload;
};

static int tap_open(struct hostif **out, const struct hostif_made *made,
	const struct hostif_spec *spec, struct err *err)
{
	struct hostif *hif = calloc(1, sizeof(*hif));
	if (!hif) {
		close(made->rx_fd);
		return err_set(err, -ENOMEM, "%s: out of memory", spec->network);
	}
	hif->fd = made->rx_fd; /* and made->tx_fd is the same */
	hif->offload = tapdev_offload(hif->fd, &hif->vnet);
	*out = hif;
	return 0;
}

static void tap_close(struct hostif *hif)
{
	if (!hif)
		return;
	close(hif->fd);
	free(hif);
}

static int tap_recv(
	struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size)
{
	return tapio_recv(hif->fd, hif->vnet, frames, max, buf, size);
}

static unsigned tap_send(struct hostif *hif, const struct frame *frames, unsigned n)
{
	return tapio_send(hif->fd, hif->vnet, frames, n);
}

static int tap_fd(const struct hostif *hif)
{
	return hif->fd;
}

static uint8_t tap_offload(const struct hostif *hif)
{
	return hif->offload;
}

const struct hostif_ops hostif_tap = {
	.name = "tap",
	.has_host = true,
	.single = true,
	.mtu_min = HOSTIF_MTU_MIN,
	.mtu_max = HOSTIF_MTU_MAX,
	.allowed = tap_allowed,
	.make = tap_make,
	.change = tap_change,
	.remove = tap_remove,
	.name_free = member_name_free,
	.whole = tap_whole,
	.carrier = tap_carrier,
	.groups = mcast_groups,
	.watch_open = member_watch_open,
	.watch_read = nl_watch_read,
	.groups_told = nl_groups_told,
	.open = tap_open,
	.close = tap_close,
	.recv = tap_recv,
	.send = tap_send,
	.fd = tap_fd,
	.offload = tap_offload,
};
