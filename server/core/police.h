/* police.h - the frames of ports with rules of their own (rules.h): what comes in, what goes out.
 *
 * Plain ports never come here: network.c looks at one flag of struct vport and goes its short way.
 * What passes goes on as it would have, by the network_pass_*() of network_priv.h, in runs as long
 * as they were. */
#ifndef SERVER_CORE_POLICE_H
#define SERVER_CORE_POLICE_H

#include "server/core/network_priv.h"

/* Frames from a special port: those it may send are switched, the others counted at it. */
void police_input(
	struct network *net, uint16_t in, struct frame *frames, unsigned n, uint64_t now_ms);

/* Frames for a special port @rec that has a client, from port @in: those it may get are sent. A
 * frame that another may not send to it is counted at that other; @flooded ones, which have other
 * ways to go, are not. */
void police_output(struct network *net, uint16_t in, struct port_rec *rec, struct frame *frames,
	unsigned n, bool flooded);

#endif
