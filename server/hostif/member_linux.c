/* member_linux.c - see member_linux.h. */
#include "server/hostif/member_linux.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/hostif/wanted.h"

bool member_allowed(uint32_t want)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	if (syscall(SYS_capget, &head, data) < 0)
		return false;
	return (data[0].effective & want) == want;
}

bool member_offload(void)
{
	const char *said = getenv("FETHD_OFFLOAD");
	return !said || strcmp(said, "off") != 0;
}

int member_refused(struct err *err, const struct hostif_spec *spec, int rc, const struct nl *nl,
	const char *verb, const char *object)
{
	if (rc == -EPERM)
		return err_set(err, rc,
			"%s: cannot %s %s: needs root or CAP_NET_ADMIN and CAP_NET_RAW; run fethd "
			"as root, or with --rootless",
			spec->network, verb, object);
	const char *why = nl ? nl->why : "";
	/* EACCES: IPv6 is switched off here, say. That is the system's word, not a matter of who
	 * asked, which `denied` would mean. */
	return err_set(err, rc == -EACCES ? -EIO : rc, "%s: cannot %s %s: %s%s%s", spec->network,
		verb, object, strerror(-rc), why[0] ? ": " : "", why);
}

int member_named(struct nl *nl, const char *name, struct nl_link *out)
{
	struct nl_link link;
	const int rc = nl_link_get(nl, name, &link);
	if (rc < 0)
		return rc;
	if (strcmp(link.name, name) != 0)
		return -EEXIST;
	*out = link;
	return 0;
}

struct end member_end(const struct nl_link *link)
{
	return (struct end){ .mtu = link->mtu, .mac = link->mac, .up = link->up };
}

int member_mtu(struct nl *nl, struct nl_link *link, uint32_t mtu)
{
	const int rc = link->mtu == mtu ? 0 : nl_link_set_mtu(nl, link->index, mtu);
	if (!rc)
		link->mtu = mtu;
	return rc;
}

int member_mac(struct nl *nl, struct nl_link *link, struct feth_mac mac)
{
	const int rc = mac_equal(link->mac, mac) ? 0 : nl_link_set_mac(nl, link->index, mac);
	if (!rc)
		link->mac = mac;
	return rc;
}

int member_up(struct nl *nl, struct nl_link *link, bool up)
{
	const int rc = link->up == up ? 0 : nl_link_set_up(nl, link->index, up);
	if (!rc)
		link->up = up;
	return rc;
}

int member_addrs(struct nl *nl, int index, const struct hostif_spec *now,
	const struct hostif_spec *want, uint32_t *added, struct err *err)
{
	char text[CIDR_TEXT];
	char verb[CIDR_TEXT + 16];

	for (unsigned i = 0; i < now->n_addrs; i++) {
		if (has_addr(want->addrs, want->n_addrs, &now->addrs[i]))
			continue;
		const int rc = nl_addr_delete(nl, index, &now->addrs[i]);
		/* gone already; ENXIO: with all of IPv6, below its least MTU */
		if (rc < 0 && rc != -EADDRNOTAVAIL && rc != -ENOENT && rc != -ENXIO) {
			cidr_format(text, &now->addrs[i]);
			snprintf(verb, sizeof(verb), "take %s from", text);
			return member_refused(err, want, rc, nl, verb, now->host);
		}
	}
	for (unsigned i = 0; i < want->n_addrs; i++) {
		const int rc = nl_addr_add(nl, index, &want->addrs[i]);
		if (rc < 0 && rc != -EEXIST) {
			cidr_format(text, &want->addrs[i]);
			snprintf(verb, sizeof(verb), "give %s to", text);
			return member_refused(err, want, rc, nl, verb, want->host);
		}
		if (!rc)
			*added |= 1u << i;
	}
	return 0;
}

void member_addrs_undo(struct nl *nl, int index, const struct hostif_spec *now,
	const struct hostif_spec *want, uint32_t added)
{
	for (unsigned i = 0; i < want->n_addrs; i++)
		if (added & 1u << i && !has_addr(now->addrs, now->n_addrs, &want->addrs[i]))
			(void)nl_addr_delete(nl, index, &want->addrs[i]);
	for (unsigned i = 0; i < now->n_addrs; i++)
		(void)nl_addr_add(nl, index, &now->addrs[i]);
}

_Static_assert(HOSTIF_ADDRS_MAX <= 32, "one bit per address");

bool member_name_free(const char *name)
{
	struct nl nl;
	struct nl_link link;
	bool found = true;
	if (nl_open(&nl) >= 0)
		found = nl_link_get(&nl, name, &link) != -ENODEV;
	nl_close(&nl);
	return !found;
}

int member_watch_open(struct err *err)
{
	const int rc = nl_watch_open();
	if (rc < 0)
		return err_set(err, rc, "cannot watch interfaces (netlink): %s", strerror(-rc));
	return rc;
}
