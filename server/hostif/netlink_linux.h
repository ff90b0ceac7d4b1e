/* netlink_linux.h - what the veth backend asks of rtnetlink, one function per question.
 *
 * Below veth_linux.c, which decides; nothing here knows of networks or of ownership. Links are
 * named by index wherever something is changed: an index is not given to another interface while
 * the kernel lives, a name may be.
 *
 * Every function returns 0 or a negative errno; after a failure nl->why holds the kernel's own
 * words (NETLINK_EXT_ACK), or "". */
#ifndef SERVER_HOSTIF_NETLINK_LINUX_H
#define SERVER_HOSTIF_NETLINK_LINUX_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/text.h"
#include "server/core/hostif.h"

#define NL_WHY 128u

struct nlmsghdr;

struct nl {
	struct mnl_socket *sock; /* owned; NULL while closed */
	uint32_t seq;
	char why[NL_WHY];
};

/* An interface as the kernel describes it. */
struct nl_link {
	int index;
	int peer;   /* index of a veth's other end, in whatever namespace that is */
	int master; /* index of the bridge or such that it is in; 0: none */
	char name[HOSTIF_NAME];
	char kind[HOSTIF_NAME]; /* "veth"; "" for hardware */
	char alias[HOSTIF_TAG]; /* "" where none is set */
	struct feth_mac mac;
	uint32_t mtu;
	bool ethernet;  /* else `mac` means nothing */
	bool up;        /* administratively: IFF_UP */
	bool carrier;   /* of a veth: both ends are up */
	bool takes_all; /* promiscuous, or all multicast, whoever wants it so */
};

/* One end of a pair to be made. */
struct nl_end {
	const char *name;
	struct feth_mac mac;
};

int nl_open(struct nl *nl);
void nl_close(struct nl *nl); /* a closed one is fine */

/* Makes a veth pair, or nothing: -EEXIST where a name is taken. Both ends are down. */
int nl_veth_make(struct nl *nl, const struct nl_end *one, const struct nl_end *two, uint32_t mtu);

/* The link of this name; -ENODEV. An alternative name (altname) finds its link too, so out->name
 * may differ. */
int nl_link_get(struct nl *nl, const char *name, struct nl_link *out);

/* Calls @each with every link of the namespace; with some twice, where links came and went while
 * the kernel listed them. -EAGAIN: they did so all the time. */
int nl_link_list(struct nl *nl, void (*each)(void *data, const struct nl_link *link), void *data);

/* The same of those that are in the bridge of index @master; old kernels tell of others, too. Of a
 * thousand links it takes 0.5 ms instead of 15 (measured: Linux 6.18). */
int nl_link_ports(struct nl *nl, int master, void (*each)(void *data, const struct nl_link *link),
	void *data);

/* What a message of the kernel's says of a link; false where it is none of those. */
bool nl_link_parse(struct nl_link *out, const struct nlmsghdr *nlh);

int nl_link_delete(struct nl *nl, int index); /* with its peer */
int nl_link_set_alias(struct nl *nl, int index, const char *alias);
int nl_link_set_mtu(struct nl *nl, int index, uint32_t mtu);
int nl_link_set_mac(struct nl *nl, int index, struct feth_mac mac);
int nl_link_set_up(struct nl *nl, int index, bool up);
/* Moves it, down, into another network namespace, by a descriptor of that, under the name it shall
 * have there; -EEXIST where that is taken. */
int nl_link_move(struct nl *nl, int index, int netns, const char *name);

/* Puts it into the bridge of index @master, out of any other; 0: into none. -ELOOP or -EINVAL where
 * it can be in none. */
int nl_link_set_master(struct nl *nl, int index, int master);

/* Neither sends nor answers ARP (IFF_NOARP). */
int nl_link_set_noarp(struct nl *nl, int index);

/* No IPv6 address of its own making (addr_gen_mode none): hence no RS, no DAD, no MLD report.
 * -EAFNOSUPPORT where the link has no IPv6 at all, as with an MTU below 1280. */
int nl_link_set_addr_gen_none(struct nl *nl, int index);

/* Cuts the link off from the network stack, both ways, but not from packet sockets: see
 * veth_linux.c. Needs clsact and cls_bpf in the kernel; -EOPNOTSUPP or -ENOENT without. */
int nl_link_seal(struct nl *nl, int index);

/* Add: -EEXIST where it is there. Delete: -EADDRNOTAVAIL where it is not. */
int nl_addr_add(struct nl *nl, int index, const struct cidr *addr);
int nl_addr_delete(struct nl *nl, int index, const struct cidr *addr);

/* What hostif_ops says of watch_open(), watch_read() and groups_told(). */
int nl_watch_open(void);
int nl_watch_read(int fd, struct hostif_event *events, unsigned max);
enum hostif_told nl_groups_told(int fd);

#endif
