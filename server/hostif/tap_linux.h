/* tap_linux.h - the control half of tap_linux.c, which tun_linux.c shares. */
#ifndef SERVER_HOSTIF_TAP_LINUX_H
#define SERVER_HOSTIF_TAP_LINUX_H

#include "server/hostif/tapdev_linux.h"

/* hostif_ops.make, of either kind; of a tun spec->mac does not matter. */
int tap_make_as(
	enum tapdev kind, const struct hostif_spec *spec, struct hostif_made *out, struct err *err);

/* What hostif_ops says of them. */
bool tap_allowed(void);
int tap_change(const struct hostif_spec *now, const struct hostif_spec *want, struct err *err);
int tap_remove(const struct hostif_spec *spec);
bool tap_whole(const struct hostif_spec *spec);
bool tap_carrier(const struct hostif_spec *spec);

#endif
