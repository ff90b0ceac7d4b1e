/* nat.h - the rules by which what comes from a network may leave by the host's other interfaces.
 *
 * Pure: text for nft(8) and pfctl(8). Whose rules they are is said by a name: "fethd-", a number
 * that stands for the run directory, and the network. IPv4 alone: IPv6 has addresses enough to be
 * routed (decision 16). */
#ifndef SERVER_CORE_NAT_H
#define SERVER_CORE_NAT_H

#include <stdbool.h>
#include <stddef.h>

#include "server/core/hostif.h"

#define NAT_NAME 64u /* PF_ANCHOR_NAME_SIZE of macOS; the longest is 55 */
#define NAT_TEXT (512u + HOSTIF_ADDRS_MAX * 128u)

/* What the names of all tables of a run directory begin with: "fethd-0123456789abcdef-". */
void nat_prefix(char out[NAT_NAME], const char *run_dir);
/* The name of one network's. */
void nat_name(char out[NAT_NAME], const char *run_dir, const char *network);

/* Whether there is anything to translate. */
bool nat_possible(const struct hostif_spec *spec);

/**
 * nat_nft() - what makes a table what it shall be, whatever it was, in one transaction
 * @table:	its name; of the family ip
 * @spec:	NULL: it shall be gone
 *
 * Masquerades what comes from the subnets of the host member's IPv4 addresses and leaves by another
 * interface. Towards the network passes what belongs to a connection that began there, and what
 * somebody's own rule translated (a forwarded port); nothing else: with forwarding on, a neighbour
 * on the host's LAN could otherwise route itself in. What other tables drop stays dropped.
 */
void nat_nft(char out[NAT_TEXT], const char *table, const struct hostif_spec *spec);

/**
 * nat_pf() - the same for an anchor of pf
 * @outside:	the interface by which everything leaves
 */
void nat_pf(char out[NAT_TEXT], const struct hostif_spec *spec, const char *outside);

/**
 * nat_find() - tables or anchors of ours in a list
 * @list:	what `nft list tables` or `pfctl -s Anchors` said; moves behind what was found
 *
 * Return: true, and the name in @out, or false at the end of the list
 */
bool nat_find(const char **list, const char *prefix, char out[NAT_NAME]);

#endif
