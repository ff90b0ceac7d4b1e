/* mcast_linux.c - see mcast_linux.h.
 *
 * Read from dev_mcast, the interface's own list (linux, net/core/net-procfs.c, dev_mc_seq_show()),
 * where all who join meet: IPv4, IPv6, packet sockets, `ip maddr add`. The alternative,
 * RTM_GETMULTICAST, lists what IPv6 joined, and since Linux 6.15 what IPv4 did, by their own
 * addresses; nothing tells of the others there. Anybody may read either.
 *
 * One interface's lines are one moment of it, unless they are more than a page; then the file is
 * read in parts, and what joins or leaves meanwhile may be missed, as it would have been a moment
 * earlier or later.
 *
 * While an interface is promiscuous or takes all multicast, the list is not what it listens to: who
 * made it so (a bridge, macvlan's passthru, a multicast router, tcpdump) joins nothing. That is
 * asked by netlink, which is of the thread's namespace, as /sys is not. Before Linux 6.1 it tells
 * of all multicast only where it was set by hand; a bridge's port is promiscuous too. */
#include "server/hostif/mcast_linux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/groups.h"
#include "server/hostif/netlink_linux.h"

/* Of the thread, not of the process: they may be in different network namespaces. */
#define DEV_MCAST "/proc/thread-self/net/dev_mcast"
#define LINE_MAX_BYTES 256u /* index, name, two counts, and MAX_ADDR_LEN (32) bytes in hex: 110 */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Twelve digits and nothing behind them: an address of another kind of link has more or fewer. */
static bool mac_hex(const char *text, struct feth_mac *out)
{
	struct feth_mac mac;
	for (unsigned i = 0; i < sizeof(mac.b); i++) {
		const int high = hex_digit(text[2 * i]);
		const int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
		if (low < 0)
			return false;
		mac.b[i] = (uint8_t)(high << 4 | low);
	}
	const char end = text[2 * sizeof(mac.b)];
	if (end && end != '\n')
		return false;
	*out = mac;
	return true;
}

/* Behind the blanks, the word and the blanks that @text begins with; a name has none in it (linux,
 * dev_valid_name()). */
static const char *skip_word(const char *text)
{
	text += strspn(text, " ");
	text += strcspn(text, " ");
	return text + strspn(text, " ");
}

bool mcast_line(const char *line, unsigned index, struct feth_mac *out)
{
	char *rest;
	struct feth_mac mac;
	if (strtoul(line, &rest, 10) != index || rest == line || *rest != ' ')
		return false;
	const char *address = skip_word(skip_word(skip_word(rest))); /* name and two counts */
	if (!mac_hex(address, &mac) || !groups_is(mac))
		return false; /* `ip maddr add` takes any six bytes */
	*out = mac;
	return true;
}

static int link_of(const char *host, struct nl_link *out)
{
	struct nl nl;
	int rc = nl_open(&nl);
	if (rc < 0)
		return rc;
	rc = nl_link_get(&nl, host, out);
	nl_close(&nl);
	return !rc && strcmp(out->name, host) ? -ENODEV
					      : rc; /* an alternative name is not its own */
}

int mcast_groups(const char *host, struct feth_mac *out, unsigned max)
{
	struct nl_link link;
	const int rc = link_of(host, &link);
	if (rc < 0)
		return rc;
	if (link.takes_all)
		return -EOPNOTSUPP;
	FILE *f = fopen(DEV_MCAST, "re");
	if (!f)
		return -errno;

	struct groups g = { 0 };
	char line[LINE_MAX_BYTES];
	bool whole = true; /* what is read next begins a line */
	while (fgets(line, sizeof(line), f)) {
		struct feth_mac mac;
		if (whole && mcast_line(line, (unsigned)link.index, &mac))
			groups_put(&g, mac);
		whole = strchr(line, '\n');
	}
	const bool failed = ferror(f);
	fclose(f);
	return failed ? -EIO : groups_give(&g, out, max);
}
