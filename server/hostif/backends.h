/* backends.h - the backends that backends.c lists; each is defined in the file of its name. */
#ifndef SERVER_HOSTIF_BACKENDS_H
#define SERVER_HOSTIF_BACKENDS_H

#include "server/core/hostif.h"

/* 68: RFC 791, what every IPv4 module must pass; Linux's ETH_MIN_MTU. 65521: the largest of every
 * backend, such that a header and the payload make 65535 bytes; a veth itself takes
 * 65535 and passes frames of that (measured). */
#define HOSTIF_MTU_MIN 68u
#define HOSTIF_MTU_MAX 65521u

extern const struct hostif_ops hostif_veth;
extern const struct hostif_ops hostif_tap;
extern const struct hostif_ops hostif_tun;
extern const struct hostif_ops hostif_feth; /* feth_darwin.c */
extern const struct hostif_ops hostif_utun; /* utun_darwin.c: "tun" there */
extern const struct hostif_ops hostif_none;
extern const struct hostif_ops hostif_fake;

#endif
