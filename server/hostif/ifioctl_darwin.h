/* ifioctl_darwin.h - what the feth backend asks of interfaces by ioctl, one function per question.
 *
 * Below pair_darwin.c and feth_darwin.c, which decide; nothing here knows of networks or of
 * ownership. Interfaces are named, since that is all Darwin's calls take.
 *
 * Every function returns 0 or -DW_E*; then @c says which call it was, on what. */
#ifndef SERVER_HOSTIF_IFIOCTL_DARWIN_H
#define SERVER_HOSTIF_IFIOCTL_DARWIN_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/text.h"
#include "server/core/hostif.h"

struct ifctl {
	int inet, inet6;        /* sockets, owned; -1 until needed */
	const char *call;       /* the last one, "SIOCIFCREATE" */
	char name[HOSTIF_NAME]; /* the interface it was about */
};

void ifctl_init(struct ifctl *c);
void ifctl_close(struct ifctl *c);

/* -DW_EEXIST: the name is taken. -DW_EBUSY: who had it last is still being removed (rule 7). */
int if_create(struct ifctl *c, const char *name);
/* 0 also where there is none; tries again where the kernel would not. */
int if_destroy(struct ifctl *c, const char *name);

int if_get_flags(struct ifctl *c, const char *name, uint32_t *out); /* -DW_ENXIO: no such one */
int if_set_up(struct ifctl *c, const char *name, bool up);
int if_set_mtu(struct ifctl *c, const char *name, uint32_t mtu);
int if_get_mtu_max(struct ifctl *c, const char *name, uint32_t *out); /* captured at create */
int if_set_mac(struct ifctl *c, const char *name, struct feth_mac mac);
int if_get_caps(struct ifctl *c, const char *name, uint32_t *out); /* DW_IFCAP_*, those in force */

/* Makes the two each other's peers. -DW_EBUSY where one has a peer. */
int if_set_peer(struct ifctl *c, const char *name, const char *peer);
/* "" where it has none. An error where it is no feth. */
int if_get_peer(struct ifctl *c, const char *name, char out[HOSTIF_NAME]);

/* The first address brings the interface up (rule 19), and so may a removed one. */
int if_add_addr(struct ifctl *c, const char *name, const struct cidr *addr);
int if_delete_addr(struct ifctl *c, const char *name, const struct cidr *addr);

#endif
